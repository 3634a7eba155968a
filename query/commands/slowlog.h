/* slowlog.h -- the commands that took long, remembered on the core that ran them.
 *
 * Each core keeps the newest `slowlog-max-len` of its own; SLOWLOG GET merges the cores'
 * by time. Arguments are cut as Redis cuts them, and secrets among them are left out.
 */
#pragma once

#include "query/commands/command.h"

#include <stddef.h>
#include <stdint.h>

struct core;
struct slowlog;

struct slowlog *slowlog_new(void) must_check;
void slowlog_free(struct slowlog *slowlog);

/* A command ran on this core for `ns`: remembers it if the settings find that slow, and
 * tells the latency monitor. */
void slowlog_note(struct core *core, const struct command *command, const struct slice *argv, uint32_t argc,
		  uint64_t ns, const struct client_view *client);

/* Passwords are shown to nobody, whatever command brings them. */
bool argument_is_secret(const struct slice *argv, uint32_t argc, uint32_t at);

/* Drops the oldest until at most `n_max` are left. */
void slowlog_trim(struct slowlog *slowlog, size_t n_max);
