/* script.h -- where and how scripts run.
 *
 * What      A script runs in a deep fiber of one core and is one transaction: what it changes is in the log as a whole
 *           or not at all, and nobody sees the middle of it. How it keeps others out:
 *             in one step   All its keys lie on this shard, and it ends without waiting: the common case.
 *             by locks      On the keys that it declared, and on others as it touches them, if they are free.
 *             by the gate   All shards stand still: what touches all keys, or met a lock that it had not declared.
 *           One that has begun in one step and must wait (it has run for 200 us, or calls a command that waits)
 *           takes its locks then. One that needs the gate begins anew: what it changed is put back first.
 * Where     Shard code begins a script of its batch; fiber code runs one by itself or within an EXEC.
 * Limits    256 scripts of one core wait at a time; others line up.
 */
#pragma once

#include "engine/base/err.h"
#include "query/commands/command.h"
#include "query/script/state.h"

#include <stdbool.h>

struct core;
struct session;
struct unit;
struct script_jobs;
struct script_job;
struct functions;
struct scripts;

struct script_jobs *script_jobs_new(struct core *core) must_check;
void script_jobs_free(struct script_jobs *jobs);
struct scripts *script_jobs_scripts(struct script_jobs *jobs);
struct functions *script_jobs_functions(struct script_jobs *jobs);

/* Runs a script that is a call of a batch. NULL: it has answered to `exec`. Else it goes on by itself; then `ended` is
 * called, in a task, and script_job_answer() says its answer. */
struct script_job *script_begin(struct exec *exec, void (*ended)(void *arg, struct script_job *job), void *arg);

/* Says the answer, counts the call, and lets go of the job. */
void script_job_answer(struct script_job *job, struct reply *reply);

/* In a deep fiber of the client's core: a script whose keys lie on several shards, or anywhere. */
void script_run_alone(struct core *core, const struct client_view *client, const struct command *command,
                      const struct slice *argv, uint32_t argc, struct reply *reply);

/* The same within a transaction that holds the gate. */
void script_run_within(struct core *core, const struct client_view *client, const struct command *command,
                       const struct slice *argv, uint32_t argc, struct reply *reply, struct unit *unit);

/* May this call write? A script that declares no-writes may not; one that this core does not know yet may. Of a command
 * that runs a script and is flagged MAY_REPLICATE. */
bool script_may_write(struct core *core, const struct command *command, const struct slice *argv);

/* ---- those that run: fiber code --------------------------------------------------------- */

/* One of them: its words as it was called, each behind its length (8). */
struct script_running {
	struct buf name, command;
	uint32_t argc; /* 0: none was found */
	uint64_t since_ns, ms;
};

/* That which has run longest, on any core. */
void script_find_running(struct core *core, enum script_source source, struct script_running *out);

/* Has one run for longer than the setting busy-reply-threshold? What is said to those whom it holds up. */
bool script_is_busy(struct core *core, enum script_source source);
const char *script_busy_text(enum script_source source);

/* Ends that which has run longest of those that have not written, and says what happened. */
void script_kill_running(struct core *core, enum script_source source, struct reply *reply);

/* What all cores know and keep of scripts. */
struct script_sums {
	uint64_t scripts;                              /* different ones */
	uint64_t text_bytes;                           /* of all copies */
	uint64_t lua_bytes;                            /* of Luas that rest */
	uint32_t functions, libraries;                 /* of FUNCTION LOAD */
	uint64_t functions_bytes, functions_lua_bytes; /* the same of them */
};
struct script_sums script_sum(struct core *core); /* fiber code */
