/* state.c -- a Lua's life: its memory, its functions, and one run after the other.
 *
 * All that may raise an error runs inside a protected call. The allocator refuses past the bound, which is an error in
 * Lua like any other. The count hook asks the host now and then; once that says no, a hook on every line makes
 * whatever the script still tries fail, so that no pcall() of its own keeps it alive. Few instructions can make many
 * bytes: past a bound the next one asks the host.
 */
#include "query/script/state.h"

#include "engine/memory/memory.h"
#include "query/commands/reply.h"
#include "query/script/state_private.h"
#include "query/script/values.h"

enum {
	LOOK_EVERY = 1000, /* instructions */
	RECORD_KEPT_MAX = 64 * 1024,
	ARGUMENTS_KEPT_MAX = 1024,
	SPENT_MAX = 4 * 1024 * 1024, /* bytes: about a millisecond */
	STATE_KEPT_MAX = 16 * 1024 * 1024,
};
static const char CHUNK[] = "@user_script";
static const char KILLED[] = "Script killed by user with SCRIPT KILL...";

/* ---- life --------------------------------------------------------------------------- */

static void look(lua_State *L, lua_Debug *at);

/* Nothing can be asked in the midst of the allocator. */
static void hurry(struct script_state *state)
{
	state->spent = 0;
	if (!state->host || state->stopped || state->hurried)
		return;
	state->hurried = true;
	lua_sethook(state->L, look, LUA_MASKCOUNT, 1);
}

static void *heap_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
	struct script_state *state = arg;
	if (size == 0) {
		memory_free(ptr);
		state->used -= ptr ? old_size : 0;
		return NULL;
	}
	size_t others = state->used - (ptr ? old_size : 0);
	if (size > SCRIPT_MEMORY_MAX || others > SCRIPT_MEMORY_MAX - size)
		return ptr && size <= old_size ? ptr : NULL; /* it shrinks without fail */
	state->used = others + size;
	state->spent += size;
	if (unlikely(state->spent >= SPENT_MAX))
		hurry(state);
	return ptr ? memory_resize(ptr, size) : memory_alloc(size);
}

struct script_state *script_state_of(lua_State *L)
{
	void *state;
	(void)lua_getallocf(L, &state);
	return state;
}

int script_raise_stopped(lua_State *L)
{
	bool loads = script_state_of(L)->loader;
	script_push_error(L, loads ? "FUNCTION LOAD timeout" : KILLED);
	return lua_error(L);
}

static void look(lua_State *L, lua_Debug *at)
{
	struct script_state *state = script_state_of(L);
	state->spent = 0;
	state->hurried &= L != state->L;
	if (!state->stopped && lua_gethookcount(L) == 1) /* it was hurried, or a coroutine of one that was */
		lua_sethook(L, look, LUA_MASKCOUNT, LOOK_EVERY);
	if (!state->stopped && (!state->host || state->host->go_on(state->host)))
		return;
	state->stopped = true;
	lua_sethook(L, look, LUA_MASKLINE | LUA_MASKCOUNT, 1);
	script_raise_stopped(L);
}

static void look_now(lua_State *L, struct script_state *state)
{
	state->spent = 0;
	if (state->host && !state->host->go_on(state->host)) {
		state->stopped = true;
		script_raise_stopped(L);
	}
}

void script_breathe(lua_State *L)
{
	struct script_state *state = script_state_of(L);
	if (++state->breaths % LOOK_EVERY == 0)
		look_now(L, state);
}

void script_spend(lua_State *L, size_t bytes)
{
	struct script_state *state = script_state_of(L);
	state->spent += bytes;
	if (state->spent >= SPENT_MAX)
		look_now(L, state);
}

static int run(lua_State *L);
static int add_place(lua_State *L);

static void keep(lua_State *L, int kept)
{
	int number = luaL_ref(L, LUA_REGISTRYINDEX);
	assert(number == kept); /* they are the first */
}

static void keep_all(lua_State *L)
{
	static const char *const words[] = {
	        [WORD_KEYS - KEPT_WORDS] = "KEYS",
	        [WORD_ARGV - KEPT_WORDS] = "ARGV",
	        [WORD_OK - KEPT_WORDS] = "ok",
	        [WORD_ERR - KEPT_WORDS] = "err",
	        [WORD_IGNORE - KEPT_WORDS] = "ignore_error_stats_update",
	        [WORD_DOUBLE - KEPT_WORDS] = "double",
	        [WORD_BIG_NUMBER - KEPT_WORDS] = "big_number",
	        [WORD_VERBATIM - KEPT_WORDS] = "verbatim_string",
	        [WORD_FORMAT - KEPT_WORDS] = "format",
	        [WORD_STRING - KEPT_WORDS] = "string",
	        [WORD_MAP - KEPT_WORDS] = "map",
	        [WORD_SET - KEPT_WORDS] = "set",
	};
	static_assert(array_len(words) == KEPT_END - KEPT_WORDS, "a text for each");
	lua_pushcfunction(L, run);
	keep(L, KEPT_RUN);
	lua_pushcfunction(L, add_place);
	keep(L, KEPT_ADD_PLACE);
	for (int i = KEPT_WORDS; i < KEPT_END; i++) {
		lua_pushstring(L, words[i - KEPT_WORDS]);
		keep(L, i);
	}
}

static int open_state(lua_State *L)
{
	keep_all(L);
	script_open_sandbox(L);
	lua_gc(L, LUA_GCCOLLECT, 0);
	return 0;
}

struct script_state *script_state_new(enum script_source source)
{
	struct script_state *state = memory_zalloc(sizeof(*state));
	state->source = source;
	state->L = lua_newstate(heap_resize, state);
	assert(state->L);
	script_json_defaults(&state->json);
	int failed = lua_cpcall(state->L, open_state, NULL);
	assert(!failed);
	state->collected = state->used;
	return state;
}

void script_state_free(struct script_state *state)
{
	if (!state)
		return;
	assert(!state->host);
	lua_close(state->L);
	assert(state->used == 0);
	memory_free(state->argv);
	buf_fini(&state->record);
	memory_free(state);
}

size_t script_state_memory(const struct script_state *state) { return state->used; }
bool script_state_is_spent(const struct script_state *state) { return state->broken || state->used > STATE_KEPT_MAX; }

/* ---- functions ---------------------------------------------------------------------- */

struct compiling {
	struct slice text;
	struct buf *error;
	int function;
};

bool script_load_text(lua_State *L, struct slice text, const char *chunk)
{
	/* The parser's own copy of the name is not seen by the collector: this one is the same string. */
	lua_pushstring(L, chunk);
	/* Bytecode begins with this byte, and the parser of text says so of it. */
	if (text.len > 0 && text.ptr[0] == LUA_SIGNATURE[0]) {
		lua_pushfstring(L, "%s:1: unexpected symbol near 'char(27)'", chunk + 1);
		return false;
	}
	return luaL_loadbuffer(L, (const char *)text.ptr, text.len, chunk) == 0;
}

static int compile(lua_State *L)
{
	struct compiling *compiling = lua_touserdata(L, 1);
	if (!script_load_text(L, compiling->text, CHUNK)) {
		buf_append(compiling->error, slice_from_str(lua_tostring(L, -1)));
		return 0;
	}
	compiling->function = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

int script_compile(struct script_state *state, struct slice text, struct buf *error)
{
	struct compiling compiling = {.text = text, .error = error, .function = -1};
	if (lua_cpcall(state->L, compile, &compiling) != 0) {
		buf_append(error, S("not enough memory"));
		lua_settop(state->L, 0);
	}
	return compiling.function;
}

void script_forget(struct script_state *state, int function) { luaL_unref(state->L, LUA_REGISTRYINDEX, function); }

/* ---- running ------------------------------------------------------------------------ */

/* What Redis adds to an error: the line of the script, or of the script's call of what raised it. */
static int add_place(lua_State *L)
{
	lua_Debug at;
	bool found = lua_getstack(L, 1, &at) && lua_getinfo(L, "Sl", &at);
	if (found && strcmp(at.what, "C") == 0)
		found = lua_getstack(L, 2, &at) && lua_getinfo(L, "Sl", &at);
	luaL_checkstack(L, 8, "an error in an error");
	if (!lua_istable(L, 1) || script_unprotect(L, 1)) {
		lua_settop(L, 1);
		lua_getfield(L, LUA_REGISTRYINDEX, "tostring");
		lua_pushvalue(L, 1);
		lua_call(L, 1, 1);
		lua_createtable(L, 0, 3);
		lua_pushliteral(L, "ERR ");
		lua_pushvalue(L, 2);
		if (!lua_isstring(L, 2)) {
			lua_pop(L, 1);
			lua_pushliteral(L, "error");
		}
		lua_concat(L, 2);
		lua_setfield(L, 3, "err");
	}
	if (found) {
		lua_pushliteral(L, "source");
		lua_pushstring(L, at.source);
		lua_rawset(L, -3);
		lua_pushliteral(L, "line");
		lua_pushinteger(L, at.currentline);
		lua_rawset(L, -3);
	}
	return 1;
}

struct running {
	struct script_state *state;
	const struct script_call *call;
	struct buf *answer; /* a record */
};

static void push_array(lua_State *L, const struct slice *values, uint32_t n)
{
	lua_createtable(L, (int)n, 0);
	for (uint32_t i = 0; i < n; i++) {
		lua_pushlstring(L, (const char *)values[i].ptr, values[i].len);
		lua_rawseti(L, -2, (int)i + 1);
	}
}

static void set_global_array(lua_State *L, enum script_kept name, const struct slice *values, uint32_t n)
{
	script_push_kept(L, name);
	push_array(L, values, n);
	lua_rawset(L, -3);
}

static const char *text_field(lua_State *L, const char *name)
{
	lua_pushstring(L, name);
	lua_rawget(L, 2);
	return lua_tostring(L, -1); /* it stays on the stack */
}

static bool is_counted(lua_State *L)
{
	script_push_kept(L, WORD_IGNORE);
	lua_rawget(L, 2);
	return lua_toboolean(L, -1);
}

/* The error that lua_pcall() left at 2. */
static void take_error(lua_State *L, struct running *running)
{
	cleanup(buf_fini) struct buf text = {0};
	if (!lua_istable(L, 2)) {
		const char *why = lua_isstring(L, 2) ? lua_tostring(L, 2) : "execution failure";
		buf_printf(&text, "ERR Error running script %.*s, %.100s", (int)running->call->name.len,
		           running->call->name.ptr, why);
		record_error(running->answer, buf_slice(&text), false);
		return;
	}
	const char *err = text_field(L, "err"), *source = text_field(L, "source"), *line = text_field(L, "line");
	bool counted = is_counted(L); /* Lua may have no memory left and jump: nothing is built by then */
	buf_printf(&text, "%s", err ? err : "ERR unknown error");
	if (source && line)
		buf_printf(&text, " script: %.*s, on %s:%s.", (int)running->call->name.len, running->call->name.ptr,
		           source, line);
	record_error(running->answer, buf_slice(&text), counted);
}

/* A script finds its arguments in globals. */
static int push_script(lua_State *L, const struct script_call *call)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_state_of(L)->globals);
	set_global_array(L, WORD_KEYS, call->keys, call->n_keys);
	set_global_array(L, WORD_ARGV, call->args, call->n_args);
	lua_pop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, call->function);
	return 0;
}

/* A function of a library gets them. */
static int push_member(lua_State *L, const struct script_call *call)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, call->function);
	lua_pushlstring(L, (const char *)call->member.ptr, call->member.len);
	lua_rawget(L, -2);
	lua_remove(L, -2);
	push_array(L, call->keys, call->n_keys);
	push_array(L, call->args, call->n_args);
	return 2;
}

static int run(lua_State *L)
{
	struct running *running = lua_touserdata(L, 1);
	const struct script_call *call = running->call;
	lua_settop(L, 0);
	script_push_kept(L, KEPT_ADD_PLACE);
	int n_arguments = running->state->source == SCRIPTS_OF_EVAL ? push_script(L, call) : push_member(L, call);
	if (lua_pcall(L, n_arguments, 1, 1) != 0)
		take_error(L, running);
	else if (!running->state->unwanted)
		record_take(L, running->answer, running->state->resp);
	return 0;
}

void script_host_begins(struct script_state *state, struct script_host *host, uint64_t seed)
{
	assert(!state->host);
	state->host = host;
	state->resp = 2;
	state->stopped = state->unwanted = state->hurried = false;
	state->spent = 0;
	state->random = seed & 0xffffffffffffu;
	script_json_defaults(&state->json);
	lua_sethook(state->L, look, LUA_MASKCOUNT, LOOK_EVERY);
}

/* What a big script leaves is not kept; nor is garbage of many megabytes for a collector that few later scripts drive.
 */
void script_host_ends(struct script_state *state)
{
	state->host = NULL;
	lua_settop(state->L, 0);
	if (state->record.cap > RECORD_KEPT_MAX)
		buf_fini(&state->record);
	if (state->argv_room > ARGUMENTS_KEPT_MAX) {
		memory_free(take(state->argv));
		state->argv_room = 0;
	}
	if (state->used > STATE_KEPT_MAX)
		lua_gc(state->L, LUA_GCCOLLECT, 0);
}

bool script_run(struct script_state *state, const struct script_call *call, struct buf *answer)
{
	struct running running = {.state = state, .call = call, .answer = answer};
	size_t from = answer->len;
	script_host_begins(state, call->host, call->seed);
	script_push_kept(state->L, KEPT_RUN);
	lua_pushlightuserdata(state->L, &running);
	if (lua_pcall(state->L, 1, 0, 0) != 0) {
		const char *why = lua_tostring(state->L, -1);
		cleanup(buf_fini) struct buf text = {0};
		if (state->stopped)
			buf_printf(&text, "ERR %s", KILLED);
		else
			buf_printf(&text, "ERR Error running script %.*s, %.100s", (int)call->name.len, call->name.ptr,
			           why ? why : "execution failure");
		answer->len = from;
		record_error(answer, buf_slice(&text), false);
	}
	bool wanted = !state->unwanted;
	script_host_ends(state);
	if (!wanted)
		answer->len = from;
	return wanted;
}
