/* commands.h -- the state of the command room on one core.
 *
 * Hangs from core->commands. The index and the settings are shared and read-only; the
 * rest is this core's own, and is gathered with fiber_call_all() where a command shows
 * the whole server's.
 */
#pragma once

#include "engine/base/list.h"
#include "query/commands/command.h"

#include <stdint.h>

struct slowlog;   /* slowlog.c */
struct latency;   /* latency.c */
struct channels;  /* pubsub.c: who listens on this core */

struct command_statistics {
	uint64_t calls, rejected, failed;
	uint64_t busy_ns;
};

struct commands {
	struct core *core;
	const struct command_index *index;
	struct link sessions;
	uint32_t n_sessions;
	struct command_statistics *statistics; /* by command number */
	struct slowlog *slowlog;
	struct latency *latency;
	struct channels *channels;
	struct rounds *rounds;                 /* query/session/round.c */
	uint64_t clients_paused_until_ns;      /* CLIENT PAUSE; 0: not */
	bool paused_writes_only;
};

struct commands *commands_new(struct core *core, const struct command_index *index) must_check;
void commands_free(struct commands *commands);

/* Tells what one command cost; called by whoever ran it. Feeds statistics, slow log. */
void commands_count(struct core *core, const struct command *command, uint64_t ns, bool failed);
