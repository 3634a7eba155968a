/* monitor.h -- every command that runs, shown to the clients that watch (MONITOR).
 *
 * What      A line for each command, in Redis' form: of a script before it runs, of others when they have run. Not
 *           shown: commands for administrators, those that were refused, and passwords among arguments.
 * Order     That of each connection's core; lines of several cores come as they arrive, each with its time.
 * Full      A client that does not read its lines is closed, as any that is sent messages; and if a core cannot keep
 *           up with those of another, all its clients that watch are: a gap would not be seen.
 * Cost      One test for each round while nobody watches.
 */
#pragma once

#include "engine/base/compiler.h"
#include "query/commands/command.h"

struct core;
struct monitor;

struct monitor *monitor_new(struct core *core) must_check;
void monitor_free(struct monitor *monitor);

/* A command of the session has run on its core. Asked first: core->commands->monitored. */
void monitor_show(const struct session *session, const struct command *command, const struct slice *argv,
                  uint32_t argc);

/* A script has run a command on this core, in this database. */
void monitor_show_scripted(struct core *core, uint16_t db, const struct command *command, const struct slice *argv,
                           uint32_t argc);

/* The session watches no more. */
void monitor_end(struct session *session);
