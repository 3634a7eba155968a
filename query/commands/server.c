/* server.c -- the server group: its rows, and what operators ask of a server. */
#include "engine/base/number.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/log/log.h"
#include "query/commands/commands.h"
#include "query/commands/rows_private.h"
#include "query/commands/version.h"
#include "query/session/script.h"
#include "query/session/session.h"

/* ---- whole databases -------------------------------------------------------------- */

struct counting {
	uint16_t db;
	uint64_t n;
};

static void count_there(struct core *there, void *arg)
{
	struct counting *counting = arg;
	counting->n += keyspace_count(there->shard, there->shard->keyspace_of_db[counting->db]);
}

static enum err run_dbsize(struct exec *exec)
{
	struct counting counting = {.db = exec->client->db};
	commands_each_core(exec->core, count_there, &counting);
	reply_integer(exec->reply, (int64_t)counting.n);
	return OK;
}

/* ---- the server itself ------------------------------------------------------------ */

static enum err run_time(struct exec *exec)
{
	char digits[INTEGER_TEXT_MAX];
	int64_t parts[] = {exec->client->now_us / 1000000, exec->client->now_us % 1000000};
	reply_array(exec->reply, array_len(parts));
	for (size_t i = 0; i < array_len(parts); i++)
		reply_bulk(exec->reply, slice_of(digits, integer_format(parts[i], digits)));
	return OK;
}

static enum err run_role(struct exec *exec)
{
	reply_array(exec->reply, 3);
	reply_str(exec->reply, "master");
	reply_integer(exec->reply, 0);
	reply_array(exec->reply, 0);
	return OK;
}

/* What was acknowledged is on disk: SAVE, NOSAVE, NOW and FORCE change nothing here. The
 * connection's end is the answer. */
/* Unless it is told to lose what a script is at, a server does not end beside one that is long. True: that was said. */
static bool is_kept_up(struct exec *exec)
{
	for (enum script_source source = SCRIPTS_OF_EVAL; source <= SCRIPTS_OF_LIBRARIES; source++) {
		if (!script_is_busy(exec->core, source))
			continue;
		reply_error_fmt(exec->reply, "%s", script_busy_text(source));
		return true;
	}
	return false;
}

static enum err run_shutdown(struct exec *exec)
{
	bool abort = false, loses = false;
	for (uint32_t at = 1; at < exec->argc; at++) {
		bool is_abort = exec_is(exec, at, S("ABORT"));
		bool known = is_abort || exec_is(exec, at, S("NOSAVE")) || exec_is(exec, at, S("NOW")) ||
		             exec_is(exec, at, S("FORCE")) || exec_is(exec, at, S("SAVE"));
		if (!known || (is_abort && exec->argc > 2))
			return ERR_SYNTAX;
		if (exec_is(exec, at, S("SAVE")) && !exec->core->store) {
			reply_error_fmt(exec->reply, "ERR this server keeps nothing on disk (setting persist)");
			return OK;
		}
		abort |= is_abort;
		loses |= exec_is(exec, at, S("NOSAVE"));
	}
	if (abort) {
		reply_error_fmt(exec->reply, "ERR No shutdown in progress.");
		return OK;
	}
	if (!loses && is_kept_up(exec))
		return OK;
	log_notice("asked to stop by client %llu", (unsigned long long)exec->client->client_id);
	machine_stop(exec->core->machine);
	return OK;
}

static enum err run_lolwut(struct exec *exec)
{
	static const char picture[] = "          .  *\n"
	                              "     .--''--.   .\n"
	                              "  --( o      )--*-\n"
	                              "     `--..--'\n"
	                              "  .          *\n\n";
	int64_t version; /* of the picture: there is one */
	if (exec->argc >= 3 && exec_is(exec, 1, S("VERSION")))
		TRY(exec_integer(exec, 2, &version));
	cleanup(buf_fini) struct buf out = {0};
	buf_printf(&out, "%sOrbit ver. %s, Redis ver. %s\n", picture, versions.orbit, versions.compatible);
	reply_verbatim(exec->reply, "txt", buf_slice(&out));
	return OK;
}

/* ---- for tests -------------------------------------------------------------------- */

/* Only this client waits: unlike Redis' server, others are served meanwhile. */
static enum err debug_sleep(struct exec *exec)
{
	long double seconds;
	TRY(exec_real(exec, 2, &seconds));
	if (seconds < 0 || seconds > 1e9L)
		return ERR_OUT_OF_RANGE;
	/* In slices: neither the server's end nor the client's waits for the whole of it. */
	uint64_t slice_ns = 20 * 1000 * 1000, rest_ns = (uint64_t)(seconds * 1e9L);
	while (rest_ns > 0 && !exec->core->stopping && !(exec->session->flags & SESSION_CLOSING)) {
		uint64_t ns = rest_ns < slice_ns ? rest_ns : slice_ns;
		fiber_sleep(exec->core, ns);
		rest_ns -= ns;
	}
	reply_ok(exec->reply);
	return OK;
}

/* Redis shows line ends as spaces, and so does every error here. */
static enum err debug_error(struct exec *exec)
{
	reply_error_fmt(exec->reply, "%.*s", (int)exec->argv[2].len, exec->argv[2].ptr);
	return OK;
}

static enum err debug_log(struct exec *exec)
{
	log_notice("DEBUG LOG: %.*s", (int)exec->argv[2].len, exec->argv[2].ptr);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_debug(struct exec *exec)
{
	static const char *const help[] = {
	        "ERROR <string>",
	        "    Answer with <string> as an error, so that tests of clients see what they do then.",
	        "LOG <message>",
	        "    Write <message> to the server's log.",
	        "SLEEP <seconds>",
	        "    Answer after <seconds>; other clients are served meanwhile. Decimals allowed.",
	        NULL,
	};
	if (exec->argc == 3 && exec_is(exec, 1, S("ERROR")))
		return debug_error(exec);
	if (exec->argc == 3 && exec_is(exec, 1, S("LOG")))
		return debug_log(exec);
	if (exec->argc == 3 && exec_is(exec, 1, S("SLEEP")))
		return debug_sleep(exec);
	if (exec->argc == 2 && exec_is(exec, 1, S("HELP")))
		return reply_help(exec, "DEBUG", help);
	reply_error_fmt(exec->reply, "ERR DEBUG %.*s is not supported by this server yet. Try DEBUG HELP.",
	                (int)exec->argv[1].len, exec->argv[1].ptr);
	return OK;
}

/* ---- what is not there ------------------------------------------------------------ */

static enum err run_not_built(struct exec *exec)
{
	reply_error_fmt(exec->reply, "ERR %s is not supported by this server yet", exec->command->name);
	return OK;
}

static enum err run_replicaof(struct exec *exec)
{
	if (!exec_is(exec, 1, S("NO")) || !exec_is(exec, 2, S("ONE")))
		return run_not_built(exec);
	reply_ok(exec->reply); /* it is nobody's */
	return OK;
}

static enum err run_acl_whoami(struct exec *exec)
{
	reply_bulk(exec->reply, S("default"));
	return OK;
}

static enum err run_acl_help(struct exec *exec)
{
	static const char *const lines[] = {"WHOAMI", "    Return the current connection username.", NULL};
	return reply_help(exec, "ACL", lines);
}

static enum err run_module_list(struct exec *exec)
{
	reply_array(exec->reply, 0);
	return OK;
}

static enum err run_module_help(struct exec *exec)
{
	static const char *const lines[] = {"LIST", "    Return a list of loaded modules.", NULL};
	return reply_help(exec, "MODULE", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

/* clang-format off */
static const struct command acl_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"HELP", 2, {0}, ROW_ALWAYS, "6.0.0", "O(1)", "Explains the subcommands.", run_acl_help},
	{"WHOAMI", 2, {0}, ROW_CLIENT, "6.0.0", "O(1)", "The name of the user of this connection.",
	 run_acl_whoami},
	{0},
};
/* clang-format on */

/* clang-format off */
static const struct command module_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"HELP", 2, {0}, ROW_ALWAYS, "5.0.0", "O(1)", "Explains the subcommands.", run_module_help},
	{"LIST", 2, {0}, COMMAND_ADMIN | COMMAND_NO_SCRIPT, "4.0.0",
	 "O(N) where N is the number of loaded modules.", "The modules, of which there are none.",
	 run_module_list, .tips = "nondeterministic_output_order"},
	{0},
};
/* clang-format on */
static const struct command_argument bgsave_args[] = {
        {"schedule", "SCHEDULE", "3.2.2", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {0},
};

static const struct command_argument failover_target_args[] = {
        {"host", .type = ARG_STRING},
        {"port", .type = ARG_INTEGER},
        {"force", "FORCE", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {0},
};

static const struct command_argument failover_args[] = {
        {"target", "TO", NULL, ARG_BLOCK, ARG_OPTIONAL, failover_target_args},
        {"abort", "ABORT", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"milliseconds", "TIMEOUT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static const struct command_argument flushall_async_args[] = {
        {"async", "ASYNC", "4.0.0", ARG_PURE_TOKEN},
        {"sync", "SYNC", "6.2.0", ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument flushall_args[] = {
        {"async", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, flushall_async_args},
        {0},
};

static const struct command_argument info_args[] = {
        {"section", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

static const struct command_argument lolwut_args[] = {
        {"version", "VERSION", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static const struct command_argument replicaof_args_host_port_args[] = {
        {"host", .type = ARG_STRING},
        {"port", .type = ARG_INTEGER},
        {0},
};

static const struct command_argument replicaof_args_no_one_args[] = {
        {"no", "NO", NULL, ARG_PURE_TOKEN},
        {"one", "ONE", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument replicaof_args_args[] = {
        {"host-port", NULL, NULL, ARG_BLOCK, 0, replicaof_args_host_port_args},
        {"no-one", NULL, NULL, ARG_BLOCK, 0, replicaof_args_no_one_args},
        {0},
};

static const struct command_argument replicaof_args[] = {
        {"args", NULL, NULL, ARG_ONEOF, 0, replicaof_args_args},
        {0},
};

static const struct command_argument shutdown_nosave_save_args[] = {
        {"nosave", "NOSAVE", NULL, ARG_PURE_TOKEN},
        {"save", "SAVE", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument shutdown_args[] = {
        {"nosave_save", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, shutdown_nosave_save_args},
        {"now", "NOW", "7.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"force", "FORCE", "7.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"abort", "ABORT", "7.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {0},
};

static const struct command_argument swapdb_args[] = {
        {"index1", .type = ARG_INTEGER},
        {"index2", .type = ARG_INTEGER},
        {0},
};

static const struct command_history bgsave_history[] = {
        {"3.2.2", "Added the `SCHEDULE` option."},
        {0},
};

static const struct command_history flushall_history[] = {
        {"4.0.0", "Added the `ASYNC` flushing mode modifier."},
        {"6.2.0", "Added the `SYNC` flushing mode modifier."},
        {0},
};

static const struct command_history flushdb_history[] = {
        {"4.0.0", "Added the `ASYNC` flushing mode modifier."},
        {"6.2.0", "Added the `SYNC` flushing mode modifier."},
        {0},
};

static const struct command_history info_history[] = {
        {"7.0.0", "Added support for taking multiple section arguments."},
        {0},
};

static const struct command_history shutdown_history[] = {
        {"7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers."},
        {0},
};

/* clang-format off */
const struct command server_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"ACL", -2, {0}, 0, "6.0.0", "Depends on subcommand.",
	 "Commands about users; only who is asking can be told yet.", NULL, .subcommands = acl_rows},
	{"BGREWRITEAOF", 1, {0}, COMMAND_ADMIN | COMMAND_NO_SCRIPT | COMMAND_FIBER, "1.0.0", "O(1)",
	 "Writes images in the background, and drops the log before them.", run_bgrewriteaof},
	{"BGSAVE", -1, {0}, COMMAND_ADMIN | COMMAND_NO_SCRIPT | COMMAND_FIBER, "1.0.0", "O(1)",
	 "Writes images of all partitions in the background.", run_bgsave, bgsave_args, .history = bgsave_history},
	{"COMMAND", -1, {0}, ROW_ALWAYS, "2.8.13", "O(N) where N is the total number of Redis commands",
	 "What is to know of all commands.", run_command, .subcommands = introspection_rows,
	 .tips = "nondeterministic_output_order", .categories = "connection"},
	{"CONFIG", -2, {0}, 0, "2.0.0", "Depends on subcommand.", "Commands about settings.", NULL,
	 .subcommands = config_rows},
	{"DBSIZE", 1, {0}, COMMAND_READ | COMMAND_FAST | COMMAND_FIBER, "1.0.0", "O(1)",
	 "How many keys the database has.", run_dbsize,
	 .tips = "request_policy:all_shards response_policy:agg_sum", .categories = "keyspace"},
	{"DEBUG", -2, {0}, ROW_ADMIN | COMMAND_FIBER, "1.0.0", "Depends on subcommand.", "Commands for tests.",
	 run_debug},
	{"FAILOVER", -1, {0}, COMMAND_ADMIN | COMMAND_NO_SCRIPT | COMMAND_STALE, "6.2.0", "O(1)",
	 "Hands over to a replica; not built yet.", run_not_built, failover_args},
	{"FLUSHALL", -1, {0}, COMMAND_WRITE | COMMAND_FIBER | COMMAND_BARRIER | COMMAND_ALL_SLOTS, "1.0.0",
	 "O(N) where N is the total number of keys in all databases", "Deletes all keys of all databases.",
	 run_flushall, flushall_args, .history = flushall_history,
	 .tips = "request_policy:all_shards response_policy:all_succeeded", .categories = "keyspace dangerous"},
	{"FLUSHDB", -1, {0}, COMMAND_WRITE | COMMAND_FIBER | COMMAND_BARRIER | COMMAND_ALL_SLOTS, "1.0.0",
	 "O(N) where N is the number of keys in the selected database", "Deletes all keys of the database.",
	 run_flushdb, flushall_args, .history = flushdb_history,
	 .tips = "request_policy:all_shards response_policy:all_succeeded", .categories = "keyspace dangerous"},
	{"INFO", -1, {0}, ROW_ALWAYS | COMMAND_FIBER, "1.0.0", "O(1)",
	 "How the server is and what it has done.", run_info, info_args, .history = info_history,
	 .tips = "nondeterministic_output request_policy:all_shards response_policy:special",
	 .categories = "dangerous"},
	{"LASTSAVE", 1, {0}, ROW_ALWAYS | COMMAND_FAST, "1.0.0", "O(1)", "When the server last saved.",
	 run_lastsave, .tips = "nondeterministic_output", .categories = "admin dangerous"},
	{"LATENCY", -2, {0}, 0, "2.8.13", "Depends on subcommand.", "Commands about what took long.", NULL,
	 .subcommands = latency_rows},
	{"LOLWUT", -1, {0}, COMMAND_READ | COMMAND_FAST, "5.0.0", "O(1)", "A small picture, and the version.",
	 run_lolwut, lolwut_args},
	{"MEMORY", -2, {0}, 0, "4.0.0", "Depends on subcommand.", "Commands about memory.", NULL,
	 .subcommands = memory_rows},
	{"MODULE", -2, {0}, 0, "4.0.0", "Depends on subcommand.",
	 "Commands about modules, of which there are none.", NULL, .subcommands = module_rows},
	{"MONITOR", 1, {0}, ROW_ADMIN | COMMAND_FIBER, "1.0.0", "O(1)", "Shows all commands as they come.",
	 run_monitor},
	{"REPLICAOF", 3, {0}, COMMAND_ADMIN | COMMAND_NO_SCRIPT | COMMAND_STALE, "5.0.0", "O(1)",
	 "Makes the server a replica; not built yet.", run_replicaof, replicaof_args},
	{"ROLE", 1, {0}, ROW_CLIENT | COMMAND_FAST, "2.8.12", "O(1)",
	 "What part the server plays in replication.", run_role, .categories = "admin dangerous"},
	{"SAVE", 1, {0}, COMMAND_ADMIN | COMMAND_NO_SCRIPT | COMMAND_NO_MULTI | COMMAND_FIBER, "1.0.0",
	 "O(N) where N is the total number of keys in all databases", "Writes images of all partitions and waits.",
	 run_save},
	{"SHUTDOWN", -1, {0}, ROW_ADMIN | COMMAND_NO_MULTI | COMMAND_FIBER, "1.0.0",
	 "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
	 "Stops the server.", run_shutdown, shutdown_args, .history = shutdown_history},
	{"SLAVEOF", 3, {0}, COMMAND_ADMIN | COMMAND_NO_SCRIPT | COMMAND_STALE, "1.0.0", "O(1)",
	 "REPLICAOF by its old name.", run_replicaof, replicaof_args, .deprecated_since = "5.0.0",
	 .replaced_by = "`REPLICAOF`"},
	{"SLOWLOG", -2, {0}, 0, "2.2.12", "Depends on subcommand.", "Commands about slow commands.", NULL,
	 .subcommands = slowlog_rows},
	{"SWAPDB", 3, {0}, COMMAND_WRITE | COMMAND_FAST | COMMAND_FIBER | COMMAND_BARRIER | COMMAND_ALL_SLOTS,
	 "4.0.0", "O(N) where N is the count of clients watching or blocking on keys from both databases.",
	 "Lets two databases change places.", run_swapdb, swapdb_args, .categories = "keyspace dangerous"},
	{"TIME", 1, {0}, ROW_ALWAYS | COMMAND_FAST, "2.6.0", "O(1)", "The time of the server.", run_time,
	 .tips = "nondeterministic_output"},
	{0},
};
/* clang-format on */
