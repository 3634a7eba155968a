/* sandbox.c -- the globals of scripts.
 *
 * Lua 5.1 knows no read-only tables. So each library, and the table of globals itself, is hidden behind an empty
 * one that shows it by its metatable and refuses changes; the functions that look at tables themselves see through
 * it or refuse it. What could leave the sandbox, or could not be bounded, is absent or replaced: files, functions'
 * environments, bytecode, the collector's settings, patterns that recurse without end.
 */
#include "query/script/heap_text.h"
#include "query/script/libraries.h"
#include "query/script/state_private.h"

#include <lualib.h>
#include <math.h>
#include <stdio.h>

enum { PATTERN_ITEMS_MAX = 200, SORT_BREATHES_FROM = 4096, BYTES_OF_VALUE = 16 };

static const char behind = 0; /* its address: the key of what a read-only table shows */
static void *behind_key(void) { return (void *)&behind; }

/* ---- read-only tables --------------------------------------------------------------- */

int script_raise_readonly(lua_State *L)
{
	lua_pushliteral(L, "Attempt to modify a readonly table");
	return lua_error(L);
}

/* By assignment: Redis says where. */
static int refuse_change(lua_State *L) { return luaL_error(L, "Attempt to modify a readonly table"); }

void script_protect(lua_State *L)
{
	lua_newtable(L);
	lua_createtable(L, 0, 3);
	lua_pushlightuserdata(L, behind_key());
	lua_pushvalue(L, -4);
	lua_rawset(L, -3);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, refuse_change);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
	lua_remove(L, -2);
}

bool script_unprotect(lua_State *L, int at)
{
	if (!lua_istable(L, at) || !lua_getmetatable(L, at))
		return false;
	lua_pushlightuserdata(L, behind_key());
	lua_rawget(L, -2);
	lua_remove(L, -2);
	if (lua_istable(L, -1))
		return true;
	lua_pop(L, 1);
	return false;
}

/* The first argument becomes what it shows. */
static void see_through(lua_State *L)
{
	if (script_unprotect(L, 1))
		lua_replace(L, 1);
}

static void refuse_readonly(lua_State *L)
{
	if (script_unprotect(L, 1))
		script_raise_readonly(L);
}

/* ---- functions on tables ------------------------------------------------------------ */

static int safe_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	see_through(L);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

static int safe_pairs(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 1); /* next() sees through it: what it hides is never handed out */
	lua_pushnil(L);
	return 3;
}

static int safe_rawget(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	lua_settop(L, 2);
	see_through(L);
	lua_rawget(L, 1);
	return 1;
}

static int safe_rawset(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	luaL_checkany(L, 3);
	refuse_readonly(L);
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 1;
}

static int safe_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argcheck(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
	refuse_readonly(L);
	if (luaL_getmetafield(L, 1, "__metatable"))
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

static int safe_getmetatable(lua_State *L)
{
	luaL_checkany(L, 1);
	if (lua_type(L, 1) == LUA_TSTRING) {
		lua_pushvalue(L, lua_upvalueindex(1));
		return 1;
	}
	if (lua_rawequal(L, 1, LUA_GLOBALSINDEX)) {
		lua_pushvalue(L, lua_upvalueindex(2));
		return 1;
	}
	bool hides = script_unprotect(L, 1);
	if (hides || !lua_getmetatable(L, 1)) {
		lua_pushnil(L);
		return 1;
	}
	(void)luaL_getmetafield(L, 1, "__metatable");
	return 1;
}

/* The library's own function behind a look at the first argument. */
static lua_CFunction behind_it(lua_State *L) { return lua_tocfunction(L, lua_upvalueindex(1)); }

static int checked_change(lua_State *L)
{
	refuse_readonly(L);
	return behind_it(L)(L);
}

/* table.insert() or remove() in the middle, with so many arguments: all that is behind moves. */
static int checked_move(lua_State *L)
{
	bool moves = lua_gettop(L) == lua_tointeger(L, lua_upvalueindex(2)) && lua_isnumber(L, 2);
	refuse_readonly(L);
	if (moves && lua_istable(L, 1))
		script_spend(L, lua_objlen(L, 1) * BYTES_OF_VALUE);
	return behind_it(L)(L);
}

static int less_with_breath(lua_State *L)
{
	script_breathe(L);
	lua_pushboolean(L, lua_lessthan(L, 1, 2));
	return 1;
}

/* What compares in Lua is looked at; what would not, in a large table, gets a function that is. */
static int checked_sort(lua_State *L)
{
	refuse_readonly(L);
	if (lua_istable(L, 1) && lua_isnoneornil(L, 2) && lua_objlen(L, 1) >= SORT_BREATHES_FROM) {
		lua_settop(L, 1);
		lua_pushcfunction(L, less_with_breath);
	}
	return behind_it(L)(L);
}

static int checked_walk(lua_State *L)
{
	see_through(L);
	return behind_it(L)(L);
}

/* ---- errors, code and memory -------------------------------------------------------- */

/* An error table turns into its text, as scripts older than error tables expect. */
static int redis_like_pcall(lua_State *L)
{
	luaL_checkany(L, 1);
	int failed = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
	if (script_state_of(L)->stopped)
		return script_raise_stopped(L);
	if (failed && lua_istable(L, -1)) {
		lua_pushliteral(L, "err");
		lua_rawget(L, -2);
		if (lua_isstring(L, -1))
			lua_replace(L, -2);
		else
			lua_pop(L, 1);
	}
	luaL_checkstack(L, 1, "too many results");
	lua_pushboolean(L, !failed);
	lua_insert(L, 1);
	return lua_gettop(L);
}

/* The name lies on the stack below: the parser's own copy of it is not seen by the collector. */
static int load_text(lua_State *L, const char *text, size_t len, const char *name)
{
	if (len > 0 && text[0] == LUA_SIGNATURE[0]) {
		char shown[LUA_IDSIZE];
		snprintf(shown, sizeof(shown), "%.40s", name);
		lua_pushnil(L);
		lua_pushfstring(L, "[string \"%s\"]:1: unexpected symbol near 'char(27)'", shown);
		return 2;
	}
	lua_pushstring(L, name);
	if (luaL_loadbuffer(L, text, len, name) == 0)
		return 1;
	lua_pushnil(L);
	lua_insert(L, -2);
	return 2;
}

static int safe_loadstring(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	return load_text(L, text, len, luaL_optstring(L, 2, text));
}

/* Collects what the function says first: no parser is open while it runs. */
static int safe_load(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	const char *name = luaL_optstring(L, 2, "=(load)");
	lua_settop(L, 2);
	struct heap_text text;
	heap_text_init(&text, L);
	for (;;) {
		lua_pushvalue(L, 1);
		lua_call(L, 0, 1);
		if (lua_isnil(L, -1))
			break;
		if (!lua_isstring(L, -1))
			return luaL_error(L, "reader function must return a string");
		size_t len;
		const char *piece = lua_tolstring(L, -1, &len);
		if (len == 0)
			break;
		heap_text_append(&text, piece, len);
		lua_pop(L, 1);
	}
	heap_text_push(&text);
	size_t len;
	const char *all = lua_tolstring(L, -1, &len);
	return load_text(L, all, len, name);
}

static int safe_unpack(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	int64_t from = luaL_optint(L, 2, 1);
	int64_t to = lua_isnoneornil(L, 3) ? (int64_t)lua_objlen(L, 1) : luaL_checkint(L, 3);
	if (from > to)
		return 0;
	if (to - from >= INT32_MAX || !lua_checkstack(L, (int)(to - from + 1)))
		return luaL_error(L, "too many results to unpack");
	for (int64_t i = from; i <= to; i++)
		lua_rawgeti(L, 1, (int)i);
	return (int)(to - from + 1);
}

/* The collector stays as it is; asking it to collect is fine. */
static int safe_collectgarbage(lua_State *L)
{
	static const char *const options[] = {"collect", "count",    "step",       "stop",
	                                      "restart", "setpause", "setstepmul", NULL};
	int option = luaL_checkoption(L, 1, "collect", options);
	int argument = luaL_optint(L, 2, 0);
	if (option == 0 || option == 2)
		script_spend(L, script_state_of(L)->used);
	if (option == 0)
		lua_pushnumber(L, lua_gc(L, LUA_GCCOLLECT, 0));
	else if (option == 1)
		lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT, 0) + lua_gc(L, LUA_GCCOUNTB, 0) / 1024.0);
	else if (option == 2)
		lua_pushboolean(L, lua_gc(L, LUA_GCSTEP, argument < 0 ? 0 : argument % 1024));
	else
		lua_pushnumber(L, 0);
	return 1;
}

/* ---- strings ------------------------------------------------------------------------ */

/* What is made anew takes time even where Lua finds that it has such a string already. */
static int checked_text(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TSTRING)
		script_spend(L, lua_objlen(L, 1));
	return behind_it(L)(L);
}

/* The matcher calls itself for each of these, on the stack of the core. */
static int checked_pattern(lua_State *L)
{
	size_t len, items = 0;
	const char *pattern = lua_tolstring(L, 2, &len);
	for (size_t i = 0; pattern && i < len; i++)
		items += strchr("?*+-()", pattern[i]) && pattern[i];
	if (items > PATTERN_ITEMS_MAX)
		return luaL_error(L, "pattern too complex");
	return checked_text(L);
}

/* Lua's own adds the text once more and once more, however long it takes to find that there is no memory. */
static int safe_rep(lua_State *L)
{
	size_t len, total;
	const char *text = luaL_checklstring(L, 1, &len);
	int n = luaL_checkint(L, 2);
	if (n <= 0 || len == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (__builtin_mul_overflow(len, (size_t)n, &total) || total > SCRIPT_MEMORY_MAX)
		return luaL_error(L, "not enough memory");
	char *all = lua_newuserdata(L, total);
	memcpy(all, text, len);
	for (size_t done = len; done < total; done *= 2)
		memcpy(all + done, all, done < total - done ? done : total - done);
	lua_pushlstring(L, all, total);
	return 1;
}

/* ---- random numbers ----------------------------------------------------------------- */

/* The generator of drand48(), so that a seed gives the numbers that it gives in Redis. */
static uint32_t next_random(struct script_state *state)
{
	state->random = (state->random * 0x5deece66du + 0xb) & 0xffffffffffffu;
	return (uint32_t)(state->random >> 17);
}

static int safe_random(lua_State *L)
{
	struct script_state *state = script_state_of(L);
	lua_Number part = (lua_Number)(next_random(state) % INT32_MAX) / (lua_Number)INT32_MAX;
	if (lua_gettop(L) == 0) {
		lua_pushnumber(L, part);
		return 1;
	}
	if (lua_gettop(L) > 2)
		return luaL_error(L, "wrong number of arguments");
	int at = lua_gettop(L);
	lua_Number low = at == 1 ? 1 : luaL_checkint(L, 1), high = luaL_checkint(L, at);
	luaL_argcheck(L, low <= high, at, "interval is empty");
	lua_pushnumber(L, floor(part * (high - low + 1)) + low);
	return 1;
}

static int safe_randomseed(lua_State *L)
{
	script_state_of(L)->random = (uint64_t)(uint32_t)luaL_checkint(L, 1) << 16 | 0x330e;
	return 0;
}

/* ---- putting it together ------------------------------------------------------------ */

static int absent_global(lua_State *L)
{
	const char *name = lua_tostring(L, 2);
	if (!name)
		return luaL_error(L, "Second argument to luaProtectedTableError must be a string or number");
	return luaL_error(L, "Script attempted to access nonexistent global variable '%s'", name);
}

void script_refuse_absent(lua_State *L)
{
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, absent_global);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
}

void script_show_globals(lua_State *L, int table)
{
	lua_pushvalue(L, LUA_GLOBALSINDEX);
	(void)lua_getmetatable(L, -1);
	lua_pushlightuserdata(L, behind_key());
	lua_rawgeti(L, LUA_REGISTRYINDEX, table);
	lua_pushvalue(L, -1);
	lua_setfield(L, -4, "__index");
	lua_rawset(L, -3);
	lua_pop(L, 2);
}

static void open_library(lua_State *L, lua_CFunction open, const char *name)
{
	lua_pushcfunction(L, open);
	lua_pushstring(L, name);
	lua_call(L, 1, 0);
}

static void add_library(lua_State *L, lua_CFunction open, const char *name)
{
	lua_pushcfunction(L, open);
	lua_call(L, 0, 1);
	lua_setglobal(L, name);
}

/* library.name becomes `check`, with what it was behind it, and a number. */
static void put_before_with(lua_State *L, const char *library, const char *name, lua_CFunction check, int number)
{
	lua_getglobal(L, library);
	lua_getfield(L, -1, name);
	lua_pushinteger(L, number);
	lua_pushcclosure(L, check, 2);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

static void put_before(lua_State *L, const char *library, const char *name, lua_CFunction check)
{
	put_before_with(L, library, name, check, 0);
}

static void replace_functions(lua_State *L)
{
	static const luaL_Reg base[] = {
	        {"next", safe_next},
	        {"rawget", safe_rawget},
	        {"rawset", safe_rawset},
	        {"setmetatable", safe_setmetatable},
	        {"pcall", redis_like_pcall},
	        {"loadstring", safe_loadstring},
	        {"load", safe_load},
	        {"unpack", safe_unpack},
	        {"collectgarbage", safe_collectgarbage},
	        {0},
	};
	for (const luaL_Reg *row = base; row->name; row++)
		lua_register(L, row->name, row->func);
	lua_getglobal(L, "next");
	lua_pushcclosure(L, safe_pairs, 1);
	lua_setglobal(L, "pairs");
	lua_getglobal(L, "tostring");
	lua_setfield(L, LUA_REGISTRYINDEX, "tostring");
	lua_getglobal(L, "math");
	lua_pushcfunction(L, safe_random);
	lua_setfield(L, -2, "random");
	lua_pushcfunction(L, safe_randomseed);
	lua_setfield(L, -2, "randomseed");
	lua_pop(L, 1);
	lua_getglobal(L, "string");
	lua_pushcfunction(L, safe_rep);
	lua_setfield(L, -2, "rep");
	lua_pop(L, 1);
	static const char *const patterns[] = {"find", "match", "gmatch", "gfind", "gsub"};
	for (size_t i = 0; i < array_len(patterns); i++)
		put_before(L, "string", patterns[i], checked_pattern);
	static const char *const texts[] = {"upper", "lower", "reverse"};
	for (size_t i = 0; i < array_len(texts); i++)
		put_before(L, "string", texts[i], checked_text);
	put_before_with(L, "table", "insert", checked_move, 3);
	put_before_with(L, "table", "remove", checked_move, 2);
	put_before(L, "table", "sort", checked_sort);
	put_before(L, "table", "setn", checked_change);
	put_before(L, "table", "foreach", checked_walk);
}

static void remove_functions(lua_State *L)
{
	static const char *const absent[] = {"dofile",  "loadfile", "print",  "getfenv",
	                                     "setfenv", "newproxy", "module", "require"};
	for (size_t i = 0; i < array_len(absent); i++) {
		lua_pushnil(L);
		lua_setglobal(L, absent[i]);
	}
}

static void protect_libraries(lua_State *L)
{
	static const char *const libraries[] = {"string",   "table",  "math", "coroutine", "cjson",
	                                        "cmsgpack", "struct", "bit",  "redis"};
	for (size_t i = 0; i < array_len(libraries); i++) {
		lua_getglobal(L, libraries[i]);
		script_protect(L);
		lua_setglobal(L, libraries[i]);
	}
	/* getmetatable("") shows where methods of strings are; the real one stays unseen. */
	lua_createtable(L, 0, 1);
	lua_getglobal(L, "string");
	lua_setfield(L, -2, "__index");
	script_protect(L);
	/* getmetatable(_G) is one that asks for what is not there. */
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, absent_global);
	lua_setfield(L, -2, "__index");
	script_protect(L);
	lua_pushcclosure(L, safe_getmetatable, 2);
	lua_setglobal(L, "getmetatable");
}

void script_open_sandbox(lua_State *L)
{
	open_library(L, luaopen_base, "");
	open_library(L, luaopen_table, LUA_TABLIBNAME);
	open_library(L, luaopen_string, LUA_STRLIBNAME);
	open_library(L, luaopen_math, LUA_MATHLIBNAME);
	add_library(L, script_open_bit, "bit");
	add_library(L, script_open_cjson, "cjson");
	add_library(L, script_open_cmsgpack, "cmsgpack");
	add_library(L, script_open_struct, "struct");
	add_library(L, script_open_redis, "redis");
	replace_functions(L);
	remove_functions(L);
	protect_libraries(L);
	if (script_state_of(L)->source == SCRIPTS_OF_LIBRARIES)
		script_open_loading(L);
	lua_pushvalue(L, LUA_GLOBALSINDEX);
	script_refuse_absent(L);
	lua_pushvalue(L, -1);
	script_state_of(L)->globals = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pushvalue(L, -1);
	script_protect(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, "_G");
	lua_replace(L, LUA_GLOBALSINDEX);
	lua_pop(L, 1);
}
