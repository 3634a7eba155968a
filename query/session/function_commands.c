/* function_commands.c -- FUNCTION: libraries come, go, and are told of.
 *
 * A change is prepared on the client's core, where new libraries are run once. Then the gate is closed, so that nobody
 * else changes libraries and no transaction is in the midst of one; the rows are made durable; every core follows; the
 * gate is opened. Inside MULTI the rows count with the rest of the transaction.
 */
#include "engine/base/glob.h"
#include "engine/core/fiber.h"
#include "query/commands/dump.h"
#include "query/script/flags.h"
#include "query/session/functions.h"
#include "query/session/gate.h"
#include "query/session/round_private.h"
#include "query/session/script.h"
#include "query/session/unit.h"
#include "storage/recovery/store.h"

#include <stdio.h>

/* What lies before each library in a payload. */
enum { OPCODE_LIBRARY = 0xf5, OPCODE_LIBRARY_OF_RC = 0xf6 };

static struct functions *functions_on(const struct core *core)
{
	return script_jobs_functions(core->commands->rounds->scripts);
}

static struct library *library_of(const struct link *link) { return container_of(link, struct library, all); }

/* ---- changes ------------------------------------------------------------------------ */

struct change {
	bool flushes;
	bool replaces;          /* what comes may have the name of what is there */
	struct slice gone;      /* a library's name; "": none */
	struct functions *made; /* what comes; NULL: nothing */
};

static const struct link *made_of(const struct change *change)
{
	static const struct link none = {.next = (struct link *)&none, .prev = (struct link *)&none};
	return change->made ? functions_libraries(change->made) : &none;
}

/* A function of what comes that has the name of one that stays. NULL: there is none. */
static const struct function *collision(const struct functions *functions, const struct change *change)
{
	list_each (link, made_of(change)) {
		const struct library *library = library_of(link);
		for (uint32_t i = 0; i < library->n_functions; i++) {
			const struct function *other = functions_find(functions, library->functions[i].name);
			if (other && !functions_library(change->made, other->library->name))
				return &library->functions[i];
		}
	}
	return NULL;
}

/* Does it fit what is there? False: the error was said. */
static bool fits(const struct functions *functions, const struct change *change, struct reply *reply)
{
	if (change->flushes)
		return true;
	if (change->gone.len > 0 && !functions_library(functions, change->gone)) {
		reply_error_fmt(reply, "ERR Library not found");
		return false;
	}
	list_each (link, made_of(change)) {
		struct slice name = library_of(link)->name;
		if (!change->replaces && functions_library(functions, name)) {
			reply_error_fmt(reply, "ERR Library %.*s already exists", (int)name.len, name.ptr);
			return false;
		}
	}
	const struct function *other = collision(functions, change);
	if (other)
		reply_error_fmt(reply, "ERR Function %.*s already exists", (int)other->name.len, other->name.ptr);
	return !other;
}

static void follow_there(struct core *there, void *arg)
{
	const struct change *change = arg;
	struct functions *functions = functions_on(there);
	if (change->flushes)
		functions_flush(functions);
	functions_delete(functions, change->gone);
	list_each (link, made_of(change))
		functions_delete(functions, library_of(link)->name);
	list_each (link, made_of(change)) {
		bool is_put = functions_put(functions, library_of(link)->form);
		assert(is_put); /* it fitted, and the gate is closed */
	}
}

struct noting {
	struct unit *unit;
	const struct change *change;
	enum err err;
};

static void row_name(struct buf *out, struct slice library)
{
	out->len = 0;
	buf_append(out, LIBRARY_ROW);
	buf_append(out, library);
}

static void collect_gone(struct core *first, struct changes *changes, struct slice library)
{
	cleanup(buf_fini) struct buf name = {0};
	row_name(&name, library);
	store_collect_row_gone(first->store, buf_slice(&name), changes);
}

static void note_there(struct core *first, void *arg)
{
	struct noting *noting = arg;
	const struct change *change = noting->change;
	cleanup(buf_fini) struct buf name = {0};
	noting->err = shard_refuses(first->shard, change->made ? SHARD_GROWS : SHARD_FREES);
	if (noting->err != OK)
		return;
	unit_join(first, noting->unit);
	struct changes *changes = unit_changes(first, noting->unit);
	if (change->flushes)
		list_each (link, functions_libraries(functions_on(first)))
			collect_gone(first, changes, library_of(link)->name);
	if (change->gone.len > 0)
		collect_gone(first, changes, change->gone);
	list_each (link, made_of(change)) {
		row_name(&name, library_of(link)->name);
		store_collect_row(first->store, buf_slice(&name), library_of(link)->form, changes);
	}
	unit_leave(first, noting->unit);
}

/* Whatever the client waits for, the gate does not open before it is durable: what calls the functions lies in other
 * logs. */
static enum err make_durable(struct exec *exec, const struct change *change)
{
	struct core *core = exec->core;
	struct unit own, *unit = exec->session->unit;
	struct noting noting = {.unit = unit ? unit : &own, .change = change};
	if (!core->store)
		return OK;
	if (!unit)
		unit_init(&own, core, true);
	noting.unit->waits = true;
	fiber_call(core, 0, note_there, &noting);
	if (unit)
		return noting.err;
	enum err err = noting.err == OK ? unit_commit(&own) : noting.err;
	unit_fini(&own);
	return err;
}

/* False: nothing has changed, and the error was said. */
static bool change_libraries(struct exec *exec, struct change *change)
{
	struct core *core = exec->core;
	const char *why;
	if (!gate_close_unless_busy(core, &why)) {
		reply_error_fmt(exec->reply, "%s", why);
		return false;
	}
	bool fit = fits(functions_on(core), change, exec->reply);
	enum err err = fit ? make_durable(exec, change) : OK;
	if (fit && err == OK)
		fiber_call_all(core, follow_there, change);
	gate_open(core);
	if (err != OK)
		reply_err(exec->reply, err);
	return fit && err == OK;
}

/* ---- FUNCTION LOAD, DELETE, FLUSH --------------------------------------------------- */

/* Runs a library and adds it to `made`. False: why. */
static bool make(struct exec *exec, struct functions *made, struct slice text, struct buf *why)
{
	cleanup(buf_fini) struct buf form = {0}, name = {0};
	if (!library_read_name(text, &name, why))
		return false;
	if (functions_library(made, buf_slice(&name))) {
		buf_printf(why, "Library '%.*s' already exists", (int)name.len, name.ptr);
		return false;
	}
	if (!library_make(exec->core, functions_on(exec->core), text, &form, why))
		return false;
	struct functions *alone = functions_new();
	struct change change = {.made = alone};
	const struct function *other = NULL;
	/* Redis takes names that differ in case from one library, and stumbles over them later. */
	if (!functions_put(alone, buf_slice(&form)))
		buf_append(why, S("Function already exists in the library"));
	else if ((other = collision(made, &change)))
		buf_printf(why, "Function %.*s already exists", (int)other->name.len, other->name.ptr);
	functions_free(alone);
	return why->len == 0 && functions_put(made, buf_slice(&form));
}

static enum err run_load(struct exec *exec)
{
	struct change change = {0};
	cleanup(buf_fini) struct buf why = {0}, name = {0};
	struct slice text = exec->argv[exec->argc - 1];
	for (uint32_t at = 2; at + 1 < exec->argc; at++) {
		if (!exec_is(exec, at, S("REPLACE"))) {
			reply_error_fmt(exec->reply, "ERR Unknown option given: %.*s", (int)exec->argv[at].len,
			                exec->argv[at].ptr);
			return OK;
		}
		change.replaces = true;
	}
	if (library_read_name(text, &name, &why) && !change.replaces &&
	    functions_library(functions_on(exec->core), buf_slice(&name)))
		buf_printf(&why, "Library '%.*s' already exists", (int)name.len, name.ptr);
	change.made = functions_new();
	if (why.len > 0 || !make(exec, change.made, text, &why))
		reply_error_fmt(exec->reply, "ERR %.*s", (int)why.len, why.ptr);
	else if (change_libraries(exec, &change))
		reply_bulk(exec->reply, buf_slice(&name));
	functions_free(change.made);
	return OK;
}

static enum err run_delete(struct exec *exec)
{
	struct change change = {.gone = exec->argv[2]};
	if (change.gone.len == 0)
		reply_error_fmt(exec->reply, "ERR Library not found");
	else if (change_libraries(exec, &change))
		reply_ok(exec->reply);
	return OK;
}

static enum err say_wrong_number(struct exec *exec)
{
	struct slice word = exec->argv[1];
	reply_error_fmt(exec->reply,
	                "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try FUNCTION HELP.",
	                (int)(word.len < 128 ? word.len : 128), word.ptr);
	return OK;
}

static enum err run_flush(struct exec *exec)
{
	struct change change = {.flushes = true};
	if (exec->argc > 3)
		return say_wrong_number(exec);
	if (exec->argc == 3 && !exec_is(exec, 2, S("SYNC")) && !exec_is(exec, 2, S("ASYNC")))
		reply_error_fmt(exec->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
	else if (change_libraries(exec, &change))
		reply_ok(exec->reply);
	return OK;
}

/* ---- FUNCTION DUMP, RESTORE --------------------------------------------------------- */

static enum err run_dump(struct exec *exec)
{
	cleanup(buf_fini) struct buf payload = {0};
	list_each (link, functions_libraries(functions_on(exec->core))) {
		buf_byte(&payload, OPCODE_LIBRARY);
		dump_put_string(&payload, library_of(link)->text);
	}
	dump_seal(&payload);
	reply_bulk(exec->reply, buf_slice(&payload));
	return OK;
}

static bool take_text(struct slice *in, const char *what, struct buf *out, struct buf *why)
{
	cleanup(buf_fini) struct buf room = {0};
	struct slice text;
	if (!dump_take_string(in, &room, &text)) {
		buf_printf(why, "Failed loading library %s", what);
		return false;
	}
	buf_append(out, text);
	return true;
}

/* As release candidates of Redis 7.0 wrote it: name, engine, description and the text without its first line. */
static bool take_old_library(struct slice *in, struct buf *out, struct buf *why)
{
	cleanup(buf_fini) struct buf name = {0}, engine = {0}, description = {0}, body = {0};
	uint64_t is_described;
	struct slice room_of_engine;
	cleanup(buf_fini) struct buf room = {0};
	if (!take_text(in, "name", &name, why))
		return false;
	if (!dump_take_string(in, &room, &room_of_engine)) {
		buf_append(why, S("Failed loading engine name"));
		return false;
	}
	buf_append(&engine, room_of_engine);
	if (!dump_take_length(in, &is_described)) {
		buf_append(why, S("Failed loading library description indicator"));
		return false;
	}
	if ((is_described && !take_text(in, "description", &description, why)) || !take_text(in, "blob", &body, why))
		return false;
	buf_printf(out, "#!%.*s name=%.*s\n", (int)engine.len, engine.ptr, (int)name.len, name.ptr);
	buf_append(out, buf_slice(&body));
	return true;
}

static bool take_library(struct slice *in, struct buf *out, struct buf *why)
{
	uint64_t opcode;
	(void)dump_take_number(in, 1, true, &opcode); /* it is not empty */
	if (opcode == OPCODE_LIBRARY)
		return take_text(in, "payload", out, why);
	if (opcode == OPCODE_LIBRARY_OF_RC)
		return take_old_library(in, out, why);
	buf_append(why, S("given type is not a function"));
	return false;
}

/* All libraries of a payload are made before any is put. */
static bool make_all(struct exec *exec, struct slice payload, struct functions *made, struct buf *why)
{
	while (payload.len > 0) {
		cleanup(buf_fini) struct buf text = {0};
		if (!take_library(&payload, &text, why) || !make(exec, made, buf_slice(&text), why))
			return false;
	}
	return true;
}

static enum err run_restore(struct exec *exec)
{
	struct change change = {0};
	struct slice payload = exec->argv[2];
	cleanup(buf_fini) struct buf why = {0};
	if (exec->argc > 4)
		return say_wrong_number(exec);
	change.flushes = exec->argc == 4 && exec_is(exec, 3, S("FLUSH"));
	change.replaces = exec->argc == 4 && exec_is(exec, 3, S("REPLACE"));
	if (exec->argc == 4 && !change.flushes && !change.replaces && !exec_is(exec, 3, S("APPEND"))) {
		reply_error_fmt(exec->reply,
		                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
		return OK;
	}
	if (!dump_unseal(&payload)) {
		reply_error_fmt(exec->reply, "ERR DUMP payload version or checksum are wrong");
		return OK;
	}
	change.made = functions_new();
	if (!make_all(exec, payload, change.made, &why))
		reply_error_fmt(exec->reply, "ERR %.*s", (int)why.len, why.ptr);
	else if (change_libraries(exec, &change))
		reply_ok(exec->reply);
	functions_free(change.made);
	return OK;
}

/* ---- FUNCTION LIST ------------------------------------------------------------------ */

static void say_flags(struct reply *reply, uint32_t flags)
{
	reply_set(reply, (size_t)__builtin_popcount(flags & (SCRIPT_DECLARES - 1)));
	for (size_t i = 0; i < SCRIPT_FLAG_COUNT; i++)
		if (flags & script_flag_names[i].flag)
			reply_simple(reply, slice_from_str(script_flag_names[i].name));
}

static void say_function(struct reply *reply, const struct function *function)
{
	reply_map(reply, 3);
	reply_str(reply, "name");
	reply_bulk(reply, function->name);
	reply_str(reply, "description");
	if (function->is_described)
		reply_bulk(reply, function->description);
	else
		reply_null(reply);
	reply_str(reply, "flags");
	say_flags(reply, function->habits.flags);
}

static void say_library(struct reply *reply, const struct library *library, bool with_code)
{
	reply_map(reply, with_code ? 4 : 3);
	reply_str(reply, "library_name");
	reply_bulk(reply, library->name);
	reply_str(reply, "engine");
	reply_str(reply, "LUA");
	reply_str(reply, "functions");
	reply_array(reply, library->n_functions);
	for (uint32_t i = 0; i < library->n_functions; i++)
		say_function(reply, &library->functions[i]);
	if (with_code) {
		reply_str(reply, "library_code");
		reply_bulk(reply, library->text);
	}
}

struct listing {
	bool with_code, has_pattern;
	struct slice pattern;
};

static bool read_listing(struct exec *exec, struct listing *out)
{
	for (uint32_t at = 2; at < exec->argc; at++) {
		if (!out->with_code && exec_is(exec, at, S("WITHCODE"))) {
			out->with_code = true;
		} else if (!out->has_pattern && exec_is(exec, at, S("LIBRARYNAME"))) {
			if (++at == exec->argc) {
				reply_error_fmt(exec->reply, "ERR library name argument was not given");
				return false;
			}
			out->has_pattern = true;
			out->pattern = exec->argv[at];
		} else {
			reply_error_fmt(exec->reply, "ERR Unknown argument %.*s", (int)exec->argv[at].len,
			                exec->argv[at].ptr);
			return false;
		}
	}
	return true;
}

static bool is_listed(const struct listing *listing, const struct library *library)
{
	return !listing->has_pattern || glob_fits_nocase(listing->pattern, library->name);
}

static enum err run_list(struct exec *exec)
{
	struct listing listing = {0};
	const struct link *libraries = functions_libraries(functions_on(exec->core));
	size_t n = 0;
	if (!read_listing(exec, &listing))
		return OK;
	list_each (link, libraries)
		n += is_listed(&listing, library_of(link));
	reply_array(exec->reply, n);
	list_each (link, libraries)
		if (is_listed(&listing, library_of(link)))
			say_library(exec->reply, library_of(link), listing.with_code);
	return OK;
}

/* ---- FUNCTION STATS, KILL, HELP ----------------------------------------------------- */

static void say_running(struct reply *reply, const struct script_running *running)
{
	reply_map(reply, 3);
	reply_str(reply, "name");
	reply_bulk(reply, buf_slice(&running->name));
	reply_str(reply, "command");
	struct slice words = buf_slice(&running->command), word;
	reply_array(reply, running->argc);
	for (uint32_t i = 0; i < running->argc; i++) {
		uint64_t len = 0;
		(void)slice_take(&words, &len, sizeof(len));
		word = slice_sub(words, 0, len);
		words = slice_sub(words, len, words.len);
		reply_bulk(reply, word);
	}
	reply_str(reply, "duration_ms");
	reply_integer(reply, (int64_t)running->ms);
}

static enum err run_stats(struct exec *exec)
{
	struct reply *reply = exec->reply;
	struct script_running running = {0};
	uint32_t n_libraries, n_functions = functions_count(functions_on(exec->core), &n_libraries);
	script_find_running(exec->core, SCRIPTS_OF_LIBRARIES, &running);
	if (running.argc == 0 && script_is_busy(exec->core, SCRIPTS_OF_EVAL)) {
		reply_error_fmt(reply, "%s", script_busy_text(SCRIPTS_OF_EVAL));
		return OK;
	}
	reply_map(reply, 2);
	reply_str(reply, "running_script");
	if (running.argc > 0)
		say_running(reply, &running);
	else
		reply_null(reply);
	reply_str(reply, "engines");
	reply_map(reply, 1);
	reply_str(reply, "LUA");
	reply_map(reply, 2);
	reply_str(reply, "libraries_count");
	reply_integer(reply, n_libraries);
	reply_str(reply, "functions_count");
	reply_integer(reply, n_functions);
	buf_fini(&running.name);
	buf_fini(&running.command);
	return OK;
}

static enum err run_kill(struct exec *exec)
{
	script_kill_running(exec->core, SCRIPTS_OF_LIBRARIES, exec->reply);
	return OK;
}

static enum err run_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "LOAD [REPLACE] <FUNCTION CODE>",
	        "    Create a new library with the given library name and code.",
	        "DELETE <LIBRARY NAME>",
	        "    Delete the given library.",
	        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
	        "    Return general information on all the libraries:",
	        "    * Library name",
	        "    * The engine used to run the Library",
	        "    * Library description",
	        "    * Functions list",
	        "    * Library code (if WITHCODE is given)",
	        "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
	        "STATS",
	        "    Return information about the current function running:",
	        "    * Function name",
	        "    * Command used to run the function",
	        "    * Duration in MS that the function is running",
	        "    If no function is running, return nil",
	        "    In addition, returns a list of available engines.",
	        "KILL",
	        "    Kill the current running function.",
	        "FLUSH [ASYNC|SYNC]",
	        "    Delete all the libraries.",
	        "    When called without the optional mode argument, the behavior is determined by the",
	        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
	        "    * ASYNC: Asynchronously flush the libraries.",
	        "    * SYNC: Synchronously flush the libraries.",
	        "DUMP",
	        "    Return a serialized payload representing the current libraries, can be restored using FUNCTION "
	        "RESTORE command",
	        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
	        "    Restore the libraries represented by the given payload, it is possible to give a restore policy "
	        "to",
	        "    control how to handle existing libraries (default APPEND):",
	        "    * FLUSH: delete all existing libraries.",
	        "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
	        "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the "
	        "old",
	        "      libraries with the new libraries (notice that even on this option there is a chance of failure",
	        "      in case of functions name collision with another library).",
	        NULL,
	};
	return reply_help(exec, "FUNCTION", lines);
}

/* ---- at the start ------------------------------------------------------------------- */

static void put_there(struct core *there, void *arg)
{
	const struct library *library = arg;
	bool is_put = functions_put(functions_on(there), library->form);
	assert(is_put); /* as on core 0 */
}

struct recovery {
	struct functions *found;
	struct slice malformed; /* a row's name; "": none is */
};

static void recover_row(void *arg, struct slice name, struct slice value)
{
	struct recovery *recovery = arg;
	if (!functions_put(recovery->found, value))
		recovery->malformed = name;
}

bool functions_recover(struct core *core, struct store *store, char *why, size_t why_size)
{
	struct recovery recovery = {.found = functions_new()};
	store_each_row(store, LIBRARY_ROW, recover_row, &recovery);
	bool sound = recovery.malformed.len == 0;
	if (!sound)
		snprintf(why, why_size,
		         "system row %.*s is not what this program can read: it was written by another version, or "
		         "is corrupt",
		         (int)recovery.malformed.len, recovery.malformed.ptr);
	list_each (link, functions_libraries(recovery.found))
		if (sound)
			fiber_call_all(core, put_there, library_of(link));
	functions_free(recovery.found);
	return sound;
}

/* ---- the rows ----------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments load_arguments[] = {
        {"replace", "REPLACE", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
        {"function-code", .type = ARG_STRING},
        {0},
};
static arguments restore_policies[] = {
        {"flush", "FLUSH", .type = ARG_PURE_TOKEN},
        {"append", "APPEND", .type = ARG_PURE_TOKEN},
        {"replace", "REPLACE", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments restore_arguments[] = {
        {"serialized-value", .type = ARG_STRING},
        {"policy", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = restore_policies},
        {0},
};
static arguments list_arguments[] = {
        {"library-name-pattern", "LIBRARYNAME", .type = ARG_STRING, .flags = ARG_OPTIONAL},
        {"withcode", "WITHCODE", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
        {0},
};
static arguments delete_arguments[] = {{"library-name", .type = ARG_STRING}, {0}};
static arguments flush_modes[] = {
        {"async", "ASYNC", .type = ARG_PURE_TOKEN},
        {"sync", "SYNC", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments flush_arguments[] = {{"async", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = flush_modes}, {0}};

/* Those that change libraries run in deep fibers, and in a transaction behind the gate. */
enum { CHANGES = COMMAND_NO_SCRIPT | COMMAND_WRITE | COMMAND_FIBER | COMMAND_SCRIPT };
#define ALL_SHARDS "request_policy:all_shards response_policy:all_succeeded"

/* clang-format off */
static const struct command function_rows[] = {
	{"DELETE", 3, {0}, CHANGES, "7.0.0", "O(1)", "Delete a function by name", run_delete, delete_arguments,
	 .tips = ALL_SHARDS, .categories = "scripting"},
	{"DUMP", 2, {0}, COMMAND_NO_SCRIPT, "7.0.0", "O(N) where N is the number of functions",
	 "Dump all functions into a serialized binary payload", run_dump, .categories = "scripting"},
	{"FLUSH", -2, {0}, CHANGES, "7.0.0", "O(N) where N is the number of functions deleted", "Deleting all functions",
	 run_flush, flush_arguments, .tips = ALL_SHARDS, .categories = "scripting"},
	{"HELP", 2, {0}, COMMAND_LOADING | COMMAND_STALE, "7.0.0", "O(1)",
	 "Show helpful text about the different subcommands", run_help, .categories = "scripting"},
	{"KILL", 2, {0}, COMMAND_NO_SCRIPT | COMMAND_FIBER, "7.0.0", "O(1)",
	 "Kill the function currently in execution.", run_kill,
	 .tips = "request_policy:all_shards response_policy:one_succeeded", .categories = "scripting"},
	{"LIST", -2, {0}, COMMAND_NO_SCRIPT, "7.0.0", "O(N) where N is the number of functions",
	 "List information about all the functions", run_list, list_arguments,
	 .tips = "nondeterministic_output_order", .categories = "scripting"},
	{"LOAD", -3, {0}, CHANGES | COMMAND_GROWS, "7.0.0", "O(1) (considering compilation time is redundant)",
	 "Create a function with the given arguments (name, code, description)", run_load, load_arguments,
	 .tips = ALL_SHARDS, .categories = "scripting"},
	{"RESTORE", -3, {0}, CHANGES | COMMAND_GROWS, "7.0.0", "O(N) where N is the number of functions on the payload",
	 "Restore all the functions on the given payload", run_restore, restore_arguments, .tips = ALL_SHARDS,
	 .categories = "scripting"},
	{"STATS", 2, {0}, COMMAND_NO_SCRIPT | COMMAND_FIBER, "7.0.0", "O(1)",
	 "Return information about the function currently running (name, description, duration)", run_stats,
	 .tips = "nondeterministic_output request_policy:all_shards response_policy:special", .categories = "scripting"},
	{0},
};

const struct command function_commands[] = {
	{"FUNCTION", -2, {0}, 0, "7.0.0", "Depends on subcommand.", "A container for function commands",
	 .subcommands = function_rows},
	{0},
};
/* clang-format on */
