/* redis_table.c -- `redis`: the commands, and what else a script asks of its server. */
#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "query/commands/version.h"
#include "query/script/sha1.h"
#include "query/script/state_private.h"
#include "query/script/values.h"

#include <math.h>
#include <stdio.h>

enum { LOG_LEVELS = 4, REPLICATE_AOF = 1, REPLICATE_REPLICAS = 2 };

/* ---- errors ------------------------------------------------------------------------- */

void script_push_error(lua_State *L, const char *text)
{
	luaL_checkstack(L, 3, "too many values");
	lua_createtable(L, 0, 3);
	lua_pushfstring(L, "ERR %s", text);
	lua_setfield(L, -2, "err");
}

static int raise(lua_State *L, const char *text)
{
	script_push_error(L, text);
	return lua_error(L);
}

static int raise_outside(lua_State *L, const char *what)
{
	return raise(L, lua_pushfstring(L, "%s can only be called inside a script invocation", what));
}

/* ---- commands ----------------------------------------------------------------------- */

/* A number as an argument: 17 digits, as %.17g writes them. */
static void number_to_text(lua_State *L, int at)
{
	lua_Number number = lua_tonumber(L, at);
	char text[64];
	size_t len;
	if (number > -1e15 && number < 1e15 && number == (lua_Number)(int64_t)number &&
	    (number != 0 || !signbit(number)))
		len = integer_format((int64_t)number, text);
	else
		len = (size_t)snprintf(text, sizeof(text), "%.17g", number);
	lua_pushlstring(L, text, len);
	lua_replace(L, at);
}

/* All arguments on the stack, which keep their bytes: what a function gets may be more than luaL_checkstack() grants,
 * and leaves a few slots free. False: an error lies at the top. */
static bool take_arguments(lua_State *L, struct script_state *state, uint32_t *out_n)
{
	int n = lua_gettop(L);
	if (n == 0) {
		script_push_error(L, "Please specify at least one argument for this redis lib call");
		return false;
	}
	if ((uint32_t)n > state->argv_room) {
		state->argv_room = (uint32_t)n * 2;
		state->argv = memory_resize(state->argv, state->argv_room * sizeof(*state->argv));
	}
	for (int i = 0; i < n; i++) {
		if (lua_type(L, i + 1) == LUA_TNUMBER)
			number_to_text(L, i + 1);
		size_t len;
		const char *text = lua_tolstring(L, i + 1, &len);
		if (!text) {
			script_push_error(L, "Lua redis lib command arguments must be strings or integers");
			return false;
		}
		state->argv[i] = slice_of(text, len);
	}
	*out_n = (uint32_t)n;
	return true;
}

static int call_command(lua_State *L, bool raises)
{
	struct script_state *state = script_state_of(L);
	uint32_t argc;
	if (!state->host)
		return raise_outside(L, "redis.call/pcall");
	if (state->stopped)
		return script_raise_stopped(L);
	if (!take_arguments(L, state, &argc))
		return raises ? lua_error(L) : 1;
	state->record.len = 0;
	struct reply reply = {.ops = &record_ops, .out = &state->record};
	if (!state->host->call(state->host, state->argv, argc, state->resp, &reply)) {
		state->stopped = state->unwanted = true;
		return script_raise_stopped(L);
	}
	lua_settop(L, 0);
	bool failed = record_is_error(&state->record);
	record_push(L, &state->record, state->resp);
	return failed && raises ? lua_error(L) : 1;
}

static int redis_call(lua_State *L) { return call_command(L, true); }
static int redis_pcall(lua_State *L) { return call_command(L, false); }

/* There is one user, who may do everything. */
static int redis_acl_check_cmd(lua_State *L)
{
	struct script_state *state = script_state_of(L);
	uint32_t argc;
	if (!state->host)
		return raise_outside(L, "redis.acl_check_cmd");
	if (!take_arguments(L, state, &argc))
		return lua_error(L);
	if (!state->host->knows(state->host, state->argv, argc))
		return raise(L, "Invalid command passed to redis.acl_check_cmd()");
	lua_pushboolean(L, true);
	return 1;
}

/* ---- the rest ----------------------------------------------------------------------- */

static int redis_sha1hex(lua_State *L)
{
	if (lua_gettop(L) != 1)
		return raise(L, "wrong number of arguments");
	size_t len = 0;
	const char *text = lua_tolstring(L, 1, &len);
	char digest[SHA1_HEX + 1];
	script_spend(L, len);
	sha1_hex(slice_of(text, text ? len : 0), digest);
	lua_pushlstring(L, digest, SHA1_HEX);
	return 1;
}

static bool is_one_text(lua_State *L)
{
	if (lua_gettop(L) == 1 && lua_type(L, 1) == LUA_TSTRING)
		return true;
	script_push_error(L, "wrong number or type of arguments");
	return false;
}

static int redis_status_reply(lua_State *L)
{
	if (!is_one_text(L))
		return 1;
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "ok");
	return 1;
}

/* "CODE text", with ERR for the code if there is one word only; without line ends around it. */
static int redis_error_reply(lua_State *L)
{
	if (!is_one_text(L))
		return 1;
	const char *text = lua_tostring(L, 1);
	text += *text == '-';
	const char *space = strchr(text, ' ');
	struct slice code = space ? slice_of(text, (size_t)(space - text)) : S("ERR");
	struct slice rest = slice_from_str(space ? space + 1 : text);
	while (rest.len > 0 && strchr("\r\n", rest.ptr[0]))
		rest = slice_sub(rest, 1, rest.len);
	while (rest.len > 0 && strchr("\r\n", rest.ptr[rest.len - 1]))
		rest.len--;
	lua_createtable(L, 0, 1);
	lua_pushlstring(L, (const char *)code.ptr, code.len);
	lua_pushliteral(L, " ");
	lua_pushlstring(L, (const char *)rest.ptr, rest.len);
	lua_concat(L, 3);
	lua_setfield(L, -2, "err");
	return 1;
}

static int redis_log(lua_State *L)
{
	struct script_state *state = script_state_of(L);
	int n = lua_gettop(L);
	if (n < 2)
		return raise(L, "redis.log() requires two arguments or more.");
	if (!lua_isnumber(L, 1))
		return raise(L, "First argument must be a number (log level).");
	lua_Number level = lua_tonumber(L, 1);
	if (!(level > -1 && level < LOG_LEVELS))
		return raise(L, "Invalid debug level.");
	state->record.len = 0;
	for (int i = 2; i <= n; i++) {
		size_t len;
		const char *text = lua_tolstring(L, i, &len);
		if (text && i > 2)
			buf_byte(&state->record, ' ');
		if (text)
			buf_append(&state->record, slice_of(text, len));
	}
	if (state->host)
		state->host->log(state->host, (int)level, buf_slice(&state->record));
	return 0;
}

static int redis_setresp(lua_State *L)
{
	struct script_state *state = script_state_of(L);
	if (!state->host)
		return raise_outside(L, "redis.setresp");
	if (lua_gettop(L) != 1)
		return raise(L, "redis.setresp() requires one argument.");
	lua_Number resp = lua_tonumber(L, 1);
	if (!(resp >= 2 && resp < 4))
		return raise(L, "RESP version must be 2 or 3.");
	state->resp = (uint8_t)resp;
	return 0;
}

/* What a script writes is in the log, whatever it says here. */
static int redis_set_repl(lua_State *L)
{
	struct script_state *state = script_state_of(L);
	if (!state->host)
		return raise_outside(L, "redis.set_repl");
	if (lua_gettop(L) != 1)
		return raise(L, "redis.set_repl() requires two arguments.");
	lua_Number flags = lua_tonumber(L, 1);
	if (!(flags > -1 && flags < (REPLICATE_AOF | REPLICATE_REPLICAS) + 1))
		return raise(L, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
	return 0;
}

static int redis_replicate_commands(lua_State *L)
{
	lua_pushboolean(L, true);
	return 1;
}

/* No debugger is on the line. */
static int redis_breakpoint(lua_State *L)
{
	lua_pushboolean(L, false);
	return 1;
}

static int redis_debug(lua_State *L) { return 0; }

/* 6.2.1 as 0x060201. */
static int version_number(const char *version)
{
	int major = 0, minor = 0, patch = 0;
	(void)sscanf(version, "%d.%d.%d", &major, &minor, &patch);
	return major << 16 | minor << 8 | patch;
}

struct named_number {
	const char *name;
	int value;
};

/* Both end with a zeroed row. */
static void add_functions(lua_State *L, const luaL_Reg *functions)
{
	for (; functions->name; functions++) {
		lua_pushcfunction(L, functions->func);
		lua_setfield(L, -2, functions->name);
	}
}

static void add_numbers(lua_State *L, const struct named_number *numbers)
{
	for (; numbers->name; numbers++) {
		lua_pushinteger(L, numbers->value);
		lua_setfield(L, -2, numbers->name);
	}
}

void script_open_redis_of_loading(lua_State *L)
{
	static const struct named_number levels[] = {
	        {"LOG_DEBUG", 0}, {"LOG_VERBOSE", 1}, {"LOG_NOTICE", 2}, {"LOG_WARNING", 3}, {0},
	};
	lua_newtable(L);
	lua_pushcfunction(L, redis_log);
	lua_setfield(L, -2, "log");
	add_numbers(L, levels);
	lua_pushstring(L, versions.compatible);
	lua_setfield(L, -2, "REDIS_VERSION");
	lua_pushinteger(L, version_number(versions.compatible));
	lua_setfield(L, -2, "REDIS_VERSION_NUM");
}

int script_open_redis(lua_State *L)
{
	static const luaL_Reg functions[] = {
	        {"acl_check_cmd", redis_acl_check_cmd},
	        {"call", redis_call},
	        {"error_reply", redis_error_reply},
	        {"pcall", redis_pcall},
	        {"set_repl", redis_set_repl},
	        {"setresp", redis_setresp},
	        {"sha1hex", redis_sha1hex},
	        {"status_reply", redis_status_reply},
	        {0},
	};
	static const luaL_Reg of_eval[] = {
	        {"breakpoint", redis_breakpoint},
	        {"debug", redis_debug},
	        {"replicate_commands", redis_replicate_commands},
	        {0},
	};
	static const struct named_number replication[] = {
	        {"REPL_NONE", 0},
	        {"REPL_AOF", REPLICATE_AOF},
	        {"REPL_SLAVE", REPLICATE_REPLICAS},
	        {"REPL_REPLICA", REPLICATE_REPLICAS},
	        {"REPL_ALL", REPLICATE_AOF | REPLICATE_REPLICAS},
	        {0},
	};
	script_open_redis_of_loading(L);
	add_functions(L, functions);
	if (script_state_of(L)->source == SCRIPTS_OF_EVAL)
		add_functions(L, of_eval);
	add_numbers(L, replication);
	return 1;
}
