/* script_commands.c -- the rows of EVAL and its kin, and SCRIPT. */
#include "engine/base/number.h"
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "query/session/functions.h"
#include "query/session/round_private.h"
#include "query/session/script.h"
#include "query/session/scripts.h"

#include <stdlib.h>

static struct scripts *scripts_on(const struct core *core)
{
	return script_jobs_scripts(core->commands->rounds->scripts);
}

static struct functions *functions_on(const struct core *core)
{
	return script_jobs_functions(core->commands->rounds->scripts);
}

/* EVAL text numkeys key ... */
static int find_eval_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	int64_t n;
	if (argc < 3 || !integer_parse(argv[2], &n) || n < 0 || n > (int64_t)argc - 3)
		return -1;
	for (uint32_t i = 0; i < n && i < room; i++)
		out[i] = 3 + i;
	return (int)n;
}

/* Whoever runs calls sees the flag, and calls script.h instead. */
static enum err run_eval(struct exec *exec)
{
	assert(!"a script is not run as other commands are");
	return OK;
}

/* ---- SCRIPT ------------------------------------------------------------------------- */

struct load_visit {
	struct slice text;
};

static void load_there(struct core *there, void *arg)
{
	struct scripts *scripts = scripts_on(there);
	struct load_visit *visit = arg;
	cleanup(buf_fini) struct buf why = {0};
	struct script *script = scripts_find_text(scripts, visit->text);
	if (!script)
		script = scripts_add(scripts, visit->text, &why);
	assert(script); /* it was sound on the core that was asked first */
	scripts_keep(scripts, script);
}

/* Compiled here first. False: the error was said. */
static bool script_is_sound(struct exec *exec, struct slice text)
{
	struct scripts *scripts = scripts_on(exec->core);
	cleanup(buf_fini) struct buf why = {0};
	struct script *script = scripts_find_text(scripts, text);
	if (!script)
		script = scripts_add(scripts, text, &why);
	if (!script) {
		reply_error_fmt(exec->reply, "ERR %.*s", (int)why.len, why.ptr);
		return false;
	}
	struct luas *luas = scripts_luas(scripts);
	struct lua *lua = luas_take(luas);
	bool sound = script_function(lua, script, &why) >= 0;
	luas_give(luas, lua);
	if (!sound)
		reply_error_fmt(exec->reply, "ERR Error compiling script (new function): %.*s", (int)why.len, why.ptr);
	return sound;
}

static enum err run_script_load(struct exec *exec)
{
	struct load_visit visit = {.text = exec->argv[2]};
	if (!script_is_sound(exec, visit.text))
		return OK;
	char name[SHA1_HEX + 1];
	sha1_hex(visit.text, name);
	commands_each_core(exec->core, load_there, &visit);
	reply_bulk(exec->reply, slice_of(name, SHA1_HEX));
	return OK;
}

struct exists_visit {
	const struct slice *names;
	uint32_t n;
	bool *found;
};

static void look_there(struct core *there, void *arg)
{
	struct exists_visit *visit = arg;
	for (uint32_t i = 0; i < visit->n; i++)
		visit->found[i] |= scripts_find(scripts_on(there), visit->names[i]) != NULL;
}

static enum err run_script_exists(struct exec *exec)
{
	struct exists_visit visit = {.names = exec->argv + 2, .n = exec->argc - 2};
	visit.found = memory_zalloc(visit.n * sizeof(*visit.found));
	commands_each_core(exec->core, look_there, &visit);
	reply_array(exec->reply, visit.n);
	for (uint32_t i = 0; i < visit.n; i++)
		reply_integer(exec->reply, visit.found[i]);
	memory_free(visit.found);
	return OK;
}

static void flush_there(struct core *there, void *arg) { scripts_flush(scripts_on(there)); }

static enum err run_script_flush(struct exec *exec)
{
	if (exec->argc > 3 || (exec->argc == 3 && !exec_is(exec, 2, S("SYNC")) && !exec_is(exec, 2, S("ASYNC")))) {
		reply_error_fmt(exec->reply, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
		return OK;
	}
	fiber_call_all(exec->core, flush_there, NULL);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_script_kill(struct exec *exec)
{
	script_kill_running(exec->core, SCRIPTS_OF_EVAL, exec->reply);
	return OK;
}

static enum err run_script_debug(struct exec *exec)
{
	if (exec_is(exec, 2, S("NO")))
		reply_ok(exec->reply);
	else if (exec_is(exec, 2, S("YES")) || exec_is(exec, 2, S("SYNC")))
		reply_error_fmt(exec->reply, "ERR The script debugger is not supported");
	else
		reply_error_fmt(exec->reply, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
	return OK;
}

static enum err run_script_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "DEBUG (YES|SYNC|NO)",
	        "    Set the debug mode for subsequent scripts executed.",
	        "EXISTS <sha1> [<sha1> ...]",
	        "    Return information about the existence of the scripts in the script cache.",
	        "FLUSH [ASYNC|SYNC]",
	        "    Flush the Lua scripts cache. Very dangerous on replicas.",
	        "    When called without the optional mode argument, the behavior is determined by the",
	        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
	        "    * ASYNC: Asynchronously flush the scripts cache.",
	        "    * SYNC: Synchronously flush the scripts cache.",
	        "KILL",
	        "    Kill the currently executing Lua script.",
	        "LOAD <script>",
	        "    Load a script into the scripts cache without executing it.",
	        NULL,
	};
	return reply_help(exec, "SCRIPT", lines);
}

/* ---- sums --------------------------------------------------------------------------- */

struct summing {
	struct script_sums sums;
	struct buf names; /* of scripts that may go */
	uint64_t stay;
};

static void sum_there(struct core *there, void *arg)
{
	struct summing *summing = arg;
	const struct scripts *scripts = scripts_on(there);
	summing->stay = scripts_names(scripts, &summing->names);
	summing->sums.text_bytes += scripts_memory(scripts);
	summing->sums.lua_bytes += luas_memory(scripts_luas(scripts));
	summing->sums.functions_lua_bytes += luas_memory(functions_luas(functions_on(there)));
	summing->sums.functions_bytes += functions_memory(functions_on(there));
}

static int compare_names(const void *a, const void *b) { return memcmp(a, b, SHA1_HEX); }

struct script_sums script_sum(struct core *core)
{
	struct summing summing = {0};
	commands_each_core(core, sum_there, &summing);
	uint8_t *names = summing.names.ptr;
	size_t n = summing.names.len / SHA1_HEX;
	summing.sums.scripts = summing.stay;
	summing.sums.functions = functions_count(functions_on(core), &summing.sums.libraries);
	if (n > 0)
		qsort(names, n, SHA1_HEX, compare_names);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || memcmp(names + (i - 1) * SHA1_HEX, names + i * SHA1_HEX, SHA1_HEX) != 0)
			summing.sums.scripts++;
	buf_fini(&summing.names);
	return summing.sums;
}

/* ---- the rows ----------------------------------------------------------------------- */

typedef const struct command_argument arguments;

#define KEYS_AND_ARGUMENTS                                                                                \
	{"numkeys", .type = ARG_INTEGER}, {"key", .type = ARG_KEY, .flags = ARG_OPTIONAL | ARG_MULTIPLE}, \
	        {"arg", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},                        \
	{                                                                                                 \
		0                                                                                         \
	}

static arguments eval_arguments[] = {{"script", .type = ARG_STRING}, KEYS_AND_ARGUMENTS};
static arguments evalsha_arguments[] = {{"sha1", .type = ARG_STRING}, KEYS_AND_ARGUMENTS};
/* What Redis says of the read-only ones is that arguments are not optional. */
static arguments eval_ro_arguments[] = {
        {"script", .type = ARG_STRING},
        {"numkeys", .type = ARG_INTEGER},
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {"arg", .type = ARG_STRING, .flags = ARG_MULTIPLE},
        {0},
};
static arguments evalsha_ro_arguments[] = {
        {"sha1", .type = ARG_STRING},
        {"numkeys", .type = ARG_INTEGER},
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {"arg", .type = ARG_STRING, .flags = ARG_MULTIPLE},
        {0},
};
/* The same in both forms. */
static arguments fcall_arguments[] = {{"function", .type = ARG_STRING}, KEYS_AND_ARGUMENTS};
static arguments load_arguments[] = {{"script", .type = ARG_STRING}, {0}};
static arguments exists_arguments[] = {{"sha1", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static arguments flush_modes[] = {
        {"async", "ASYNC", .type = ARG_PURE_TOKEN},
        {"sync", "SYNC", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments flush_arguments[] = {{"async", NULL, "6.2.0", ARG_ONEOF, ARG_OPTIONAL, flush_modes}, {0}};
static arguments debug_modes[] = {
        {"yes", "YES", .type = ARG_PURE_TOKEN},
        {"sync", "SYNC", .type = ARG_PURE_TOKEN},
        {"no", "NO", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments debug_arguments[] = {{"mode", .type = ARG_ONEOF, .inner = debug_modes}, {0}};

enum {
	EVAL_FLAGS = COMMAND_NO_SCRIPT | COMMAND_STALE | COMMAND_SKIP_MONITOR | COMMAND_MOVABLE_KEYS | COMMAND_SCRIPT |
	             COMMAND_COLD,
	SCRIPT_FLAGS = COMMAND_NO_SCRIPT | COMMAND_FIBER | COMMAND_SCRIPT,
};
#define ALL_NODES     "request_policy:all_nodes response_policy:all_succeeded"
#define SCRIPT_COST   "Depends on the script that is executed."
#define FUNCTION_COST "Depends on the function that is executed."
static const struct command_history flush_history[] = {
        {"6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers."},
        {0},
};

/* clang-format off */
static const struct command script_rows[] = {
	{"DEBUG", 3, {0}, COMMAND_NO_SCRIPT, "3.2.0", "O(1)", "Set the debug mode for executed scripts.",
	 run_script_debug, debug_arguments, .categories = "scripting"},
	{"EXISTS", -3, {0}, COMMAND_NO_SCRIPT | COMMAND_FIBER, "2.6.0",
	 "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
	 "Check existence of scripts in the script cache.", run_script_exists, exists_arguments,
	 .tips = "request_policy:all_shards response_policy:agg_logical_and", .categories = "scripting"},
	{"FLUSH", -2, {0}, SCRIPT_FLAGS, "2.6.0", "O(N) with N being the number of scripts in cache",
	 "Remove all the scripts from the script cache.", run_script_flush, flush_arguments,
	 .history = flush_history, .tips = ALL_NODES, .categories = "scripting"},
	{"HELP", 2, {0}, COMMAND_LOADING | COMMAND_STALE, "5.0.0", "O(1)",
	 "Show helpful text about the different subcommands", run_script_help, .categories = "scripting"},
	{"KILL", 2, {0}, COMMAND_NO_SCRIPT | COMMAND_FIBER, "2.6.0", "O(1)",
	 "Kill the script currently in execution.", run_script_kill,
	 .tips = "request_policy:all_shards response_policy:one_succeeded", .categories = "scripting"},
	{"LOAD", 3, {0}, SCRIPT_FLAGS | COMMAND_STALE, "2.6.0", "O(N) with N being the length in bytes of the script body.",
	 "Load the specified Lua script into the script cache.", run_script_load, load_arguments, .tips = ALL_NODES,
	 .categories = "scripting"},
	{0},
};

const struct command scripting_commands[] = {
	{"EVAL", -3, {0}, EVAL_FLAGS | COMMAND_MAY_REPLICATE, "2.6.0", SCRIPT_COST, "Execute a Lua script server side",
	 run_eval, eval_arguments, .find_keys = find_eval_keys, .categories = "scripting", .uses = "RW access update"},
	{"EVALSHA", -3, {0}, EVAL_FLAGS | COMMAND_MAY_REPLICATE, "2.6.0", SCRIPT_COST,
	 "Execute a Lua script server side", run_eval, evalsha_arguments, .find_keys = find_eval_keys,
	 .categories = "scripting", .uses = "RW access update"},
	{"EVALSHA_RO", -3, {0}, EVAL_FLAGS | COMMAND_READ, "7.0.0", SCRIPT_COST,
	 "Execute a read-only Lua script server side", run_eval, evalsha_ro_arguments, .find_keys = find_eval_keys,
	 .categories = "scripting", .uses = "RO access"},
	{"EVAL_RO", -3, {0}, EVAL_FLAGS | COMMAND_READ, "7.0.0", SCRIPT_COST, "Execute a read-only Lua script server side",
	 run_eval, eval_ro_arguments, .find_keys = find_eval_keys, .categories = "scripting", .uses = "RO access"},
	{"FCALL", -3, {0}, EVAL_FLAGS | COMMAND_MAY_REPLICATE, "7.0.0", FUNCTION_COST, "Invoke a function", run_eval,
	 fcall_arguments, .find_keys = find_eval_keys, .categories = "scripting", .uses = "RW access update"},
	{"FCALL_RO", -3, {0}, EVAL_FLAGS | COMMAND_READ, "7.0.0", FUNCTION_COST, "Invoke a read-only function", run_eval,
	 fcall_arguments, .find_keys = find_eval_keys, .categories = "scripting", .uses = "RO access"},
	{"SCRIPT", -2, {0}, 0, "2.6.0", "Depends on subcommand.", "A container for Lua scripts management commands",
	 .subcommands = script_rows},
	{0},
};
/* clang-format on */
