/* rows_private.h -- what the files of the connection, server and pubsub groups share. */
#pragma once

#include "query/commands/command.h"

/* Flags that go together. */
enum {
	ROW_ALWAYS = COMMAND_LOADING | COMMAND_STALE,
	ROW_CLIENT = ROW_ALWAYS | COMMAND_NO_SCRIPT,
	ROW_ADMIN = ROW_CLIENT | COMMAND_ADMIN,
};

/* Rows below a row of another file. */
extern const struct command client_rows[];
extern const struct command config_rows[];
extern const struct command introspection_rows[]; /* COMMAND's */
extern const struct command slowlog_rows[];
extern const struct command latency_rows[];
extern const struct command memory_rows[];

enum err run_command(struct exec *exec);
enum err run_monitor(struct exec *exec);
enum err run_client_tracking(struct exec *exec);
enum err run_client_caching(struct exec *exec);
enum err run_client_getredir(struct exec *exec);
enum err run_client_trackinginfo(struct exec *exec);
enum err run_info(struct exec *exec);
enum err run_flushdb(struct exec *exec);
enum err run_flushall(struct exec *exec);
enum err run_swapdb(struct exec *exec);
enum err run_save(struct exec *exec);
enum err run_bgsave(struct exec *exec);
enum err run_bgrewriteaof(struct exec *exec);
enum err run_lastsave(struct exec *exec);

/* Is all that was written so far durable? False without a log. Fiber code. */
bool durability_reached(struct core *core) must_check;

/* Waits for that, or until the time is over (0: forever); *out says which. Fiber code. */
enum err durability_wait(struct core *core, uint64_t timeout_ms, bool *out) must_check;

/* What Redis says of a subcommand with arguments of a number that it does not take. */
enum err reply_subcommand_syntax(struct exec *exec);

/* The session's password check; says the error if it fails. */
bool session_log_in(struct exec *exec, struct slice user, struct slice password);

/* Names the session; says the error if it cannot be called so. */
bool session_rename(struct exec *exec, struct slice name);

/* A copy of `text` on ordinary memory instead of what `kept` held. */
void text_replace(struct slice *kept, struct slice text);
