/* library.c -- libraries of functions: their text runs once, in poorer globals, and registers what they have.
 *
 * While it runs nothing is there but `redis`, and in that only what registers functions, the log and the version: so
 * a library is the same in each Lua that loads it. What its functions see when they are called are the usual globals.
 */
#include "query/script/flags.h"
#include "query/script/libraries.h"
#include "query/script/state_private.h"

#include <strings.h>

static const char CHUNK[] = "@user_function";

/* Where register_function() keeps what it has read, on its stack. */
enum { AT_ARGUMENT = 1, AT_CALLBACK, AT_NAME, AT_DESCRIPTION, AT_LAST = AT_DESCRIPTION };

bool script_name_is_sound(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_letter && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return name.len > 0;
}

static int raise(lua_State *L, const char *text)
{
	script_push_error(L, text);
	return lua_error(L);
}

/* ---- reading arguments -------------------------------------------------------------- */

/* The array at the top. */
static uint32_t read_flags(lua_State *L)
{
	uint32_t flags = 0;
	for (int i = 1;; i++) {
		lua_rawgeti(L, -1, i);
		if (lua_isnil(L, -1))
			break;
		const char *name = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
		uint32_t flag = script_flag_find(slice_from_str(name), true);
		if (!flag)
			raise(L, "unknown flag given");
		flags |= flag;
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return flags;
}

/* The value at the top, which it takes. */
static void read_named(lua_State *L, const char *key, uint32_t *flags)
{
	if (strcasecmp(key, "function_name") == 0) {
		if (!lua_isstring(L, -1))
			raise(L, "function_name argument given to redis.register_function must be a string");
		lua_replace(L, AT_NAME);
	} else if (strcasecmp(key, "description") == 0) {
		if (!lua_isstring(L, -1))
			raise(L, "description argument given to redis.register_function must be a string");
		lua_replace(L, AT_DESCRIPTION);
	} else if (strcasecmp(key, "callback") == 0) {
		if (!lua_isfunction(L, -1))
			raise(L, "callback argument given to redis.register_function must be a function");
		lua_replace(L, AT_CALLBACK);
	} else if (strcasecmp(key, "flags") == 0) {
		if (!lua_istable(L, -1))
			raise(L, "flags argument to redis.register_function must be a table representing function "
			         "flags");
		*flags = read_flags(L);
		lua_pop(L, 1);
	} else {
		raise(L, "unknown argument given to redis.register_function");
	}
}

static uint32_t read_table(lua_State *L)
{
	uint32_t flags = 0;
	if (!lua_istable(L, AT_ARGUMENT))
		raise(L, "calling redis.register_function with a single argument is only applicable to Lua table "
		         "(representing named arguments).");
	lua_settop(L, AT_LAST);
	lua_pushnil(L);
	while (lua_next(L, AT_ARGUMENT)) {
		if (!lua_isstring(L, -2))
			raise(L, "named argument key given to redis.register_function is not a string");
		bool is_text = lua_type(L, -2) == LUA_TSTRING; /* a number would be changed in place */
		read_named(L, is_text ? lua_tostring(L, -2) : "", &flags);
	}
	if (lua_isnil(L, AT_NAME))
		raise(L, "redis.register_function must get a function name argument");
	if (lua_isnil(L, AT_CALLBACK))
		raise(L, "redis.register_function must get a callback argument");
	return flags;
}

static uint32_t read_pair(lua_State *L)
{
	if (!lua_isstring(L, AT_ARGUMENT))
		raise(L, "first argument to redis.register_function must be a string");
	if (!lua_isfunction(L, AT_CALLBACK))
		raise(L, "second argument to redis.register_function must be a function");
	lua_settop(L, AT_LAST);
	lua_pushvalue(L, AT_ARGUMENT);
	lua_replace(L, AT_NAME);
	return 0;
}

static struct slice text_at(lua_State *L, int at)
{
	size_t len = 0;
	const char *text = lua_tolstring(L, at, &len);
	return slice_of(text ? text : "", len);
}

static int register_function(lua_State *L)
{
	struct script_state *state = script_state_of(L);
	if (!state->loader)
		return raise(L, "redis.register_function can only be called on FUNCTION LOAD command");
	int n = lua_gettop(L);
	if (n < 1 || n > 2)
		return raise(L, "wrong number of arguments to redis.register_function");
	uint32_t flags = n == 1 ? read_table(L) : read_pair(L);
	struct script_function function = {.name = text_at(L, AT_NAME),
	                                   .description = text_at(L, AT_DESCRIPTION),
	                                   .is_described = !lua_isnil(L, AT_DESCRIPTION),
	                                   .flags = flags};
	if (!script_name_is_sound(function.name))
		return raise(L, SCRIPT_NAME_RULE);
	lua_rawgeti(L, LUA_REGISTRYINDEX, state->loaded);
	lua_pushvalue(L, AT_NAME);
	lua_rawget(L, -2);
	if (!lua_isnil(L, -1))
		return raise(L, "Function already exists in the library");
	lua_pop(L, 1);
	lua_pushvalue(L, AT_NAME);
	lua_pushvalue(L, AT_CALLBACK);
	lua_rawset(L, -3);
	state->loader->registered(state->loader, &function);
	return 0;
}

void script_open_loading(lua_State *L)
{
	lua_newtable(L);
	script_open_redis_of_loading(L);
	lua_pushcfunction(L, register_function);
	lua_setfield(L, -2, "register_function");
	script_refuse_absent(L);
	script_protect(L);
	lua_setfield(L, -2, "redis");
	script_refuse_absent(L);
	script_state_of(L)->loading_globals = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* ---- loading ------------------------------------------------------------------------ */

struct loading {
	struct slice text;
	struct buf *error;
	bool done;
};

static const char *why_of(lua_State *L)
{
	if (lua_istable(L, -1)) {
		lua_pushliteral(L, "err");
		lua_rawget(L, -2);
		return lua_isstring(L, -1) ? lua_tostring(L, -1) : "ERR unknown error";
	}
	return lua_isstring(L, -1) ? lua_pushfstring(L, "ERR %s", lua_tostring(L, -1)) : "ERR unknown error";
}

static int load(lua_State *L)
{
	struct loading *loading = lua_touserdata(L, 1);
	struct script_state *state = script_state_of(L);
	if (!script_load_text(L, loading->text, CHUNK)) {
		buf_append(loading->error, S("Error compiling function: "));
		buf_append(loading->error, slice_from_str(lua_tostring(L, -1)));
		return 0;
	}
	lua_newtable(L);
	state->loaded = luaL_ref(L, LUA_REGISTRYINDEX);
	script_show_globals(L, state->loading_globals);
	int failed = lua_pcall(L, 0, 0, 0);
	script_show_globals(L, state->globals);
	if (failed) {
		const char *why = why_of(L);
		buf_append(loading->error, S("Error registering functions: "));
		buf_append(loading->error, slice_from_str(why));
	}
	loading->done = !failed;
	return 0;
}

int script_load_library(struct script_state *state, struct slice text, struct script_loader *loader, struct buf *error)
{
	struct loading loading = {.text = text, .error = error};
	state->loader = loader;
	state->loaded = LUA_NOREF;
	script_host_begins(state, loader->host, 0);
	if (lua_cpcall(state->L, load, &loading) != 0) {
		error->len = 0;
		buf_append(error, S("Error registering functions: ERR not enough memory"));
		state->broken = true; /* its globals may be those of loading still */
	}
	script_host_ends(state);
	state->loader = NULL;
	if (loading.done)
		return state->loaded;
	luaL_unref(state->L, LUA_REGISTRYINDEX, state->loaded);
	return -1;
}
