/* commands.h -- the state of the command room on one core.
 *
 * Hangs from core->commands. The index and the settings are shared and read-only; the
 * rest is this core's own, and is gathered with fiber_call_all() where a command shows
 * the whole server's.
 */
#pragma once

#include "engine/base/list.h"
#include "engine/core/timer.h"
#include "query/commands/command.h"

#include <stdint.h>

struct keyspace_names; /* storage/recovery/store.h */
struct slowlog;   /* slowlog.c */
struct latency;   /* latency.c */
struct channels;  /* pubsub.c: who listens on this core */
struct notifier;  /* notify.c: what is on its way to them */
struct tracking;  /* tracking.c: who has read which keys */
struct monitor;   /* monitor.c: what is on its way to those who watch */

struct command_statistics {
	uint64_t calls, rejected, failed;
	uint64_t busy_ns;
};

/* How often errors of one code ("WRONGTYPE") were said. */
struct error_count {
	char code[24];
	uint64_t n;
};

enum { ERROR_CODES_MAX = 64 }; /* further codes count as "other" */

/* What INFO compares with to say rates: the counters when it was last asked. Core 0's. */
struct rate_mark {
	uint64_t at_ns, commands, bytes_in, bytes_out;
	uint64_t memory_peak;
};

struct commands {
	struct core *core;
	const struct command_index *index;
	struct link sessions;
	uint32_t n_sessions;
	_Atomic uint32_t n_waiting;            /* calls that wait for keys, all cores'; core 0's counts */
	struct command_statistics *statistics; /* by command number */
	struct slowlog *slowlog;
	struct latency *latency;
	struct channels *channels;
	struct notifier *notifier;
	struct tracking *tracking;
	struct monitor *monitor;
	bool monitored;                        /* some client of the server says MONITOR */
	struct rounds *rounds;                 /* query/session/round.c */
	uint64_t clients_paused_until_ns;      /* CLIENT PAUSE; 0: not */
	bool paused_writes_only;
	uint64_t slow_ns;                      /* what took so long is told to slow log or latency monitor */
	struct error_count errors[ERROR_CODES_MAX];
	uint32_t n_errors;
	struct timer sample;                   /* runs commands_sample() a moment after commands ran */
	struct rate_mark rates;
	char run_id[41];                       /* names this run of the server; core 0's counts */
	uint32_t next_keyspace;                /* ids that FLUSHALL and its kin give away; core 0's */
};

struct commands *commands_new(struct core *core, const struct command_index *index) must_check;
void commands_free(struct commands *commands);

/* Tells that a command ran `n` times, for `ns` each; called by whoever ran it. Feeds statistics and histograms;
 * slowlog_note() (slowlog.h) remembers the slow ones. */
void commands_count(struct core *core, const struct command *command, uint32_t n, uint64_t ns, uint32_t n_failed);

/* The same of calls that were refused, and thus never began. */
void commands_count_refused(struct core *core, const struct command *command, uint32_t n);

/* Counts an error that is said, and its code: `text` begins with it. */
void commands_count_error(struct core *core, struct slice text);

/* Makes a core and its shard do as core->settings say: at start, and after CONFIG SET. */
void commands_follow_settings(struct core *core);

/* What databases are called on this core, as recovered. */
void commands_follow_names(struct core *core, const struct keyspace_names *names);

/* Writes what is known only when asked into this core's metrics. It happens a tenth of a
 * second after commands ran, so that readers of metrics need not visit the cores and an
 * idle core is left asleep. */
void commands_sample(struct core *core);

/* Runs `work(there, arg)` on one core after the other, so that all may add to `arg`; waits.
 * Fiber code. */
void commands_each_core(struct core *core, void (*work)(struct core *there, void *arg), void *arg);
