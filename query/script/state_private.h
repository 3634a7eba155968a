/* state_private.h -- what the files of a Lua state share. */
#pragma once

#include "query/script/state.h"

#include <lauxlib.h>
#include <lua.h>

/* What cjson's settings are; each run begins with the defaults. */
struct json_settings {
	bool convert_sparse;
	int sparse_ratio, sparse_safe;
	int encode_depth, decode_depth;
	bool encode_invalid, encode_null_invalid, decode_invalid;
	int precision;
};

struct script_state {
	lua_State *L;
	size_t used, collected; /* bytes: now, and after the last full collection */
	enum script_source source;
	int globals;                  /* reference to the table that is behind the read-only one */
	int loading_globals;          /* the same while a library is loaded */
	struct script_loader *loader; /* NULL: none is */
	int loaded;                   /* reference to what it has registered, by name */
	struct script_host *host;     /* NULL: none runs */
	uint8_t resp;
	bool stopped;  /* by the host: whatever the script tries fails */
	bool unwanted; /* and its answer goes nowhere */
	bool broken;   /* not to be used again */
	uint32_t breaths;
	size_t spent;    /* bytes made or moved since the host was asked last */
	bool hurried;    /* it is asked at the next instruction */
	uint64_t random; /* 48 bits */
	struct json_settings json;
	struct slice *argv;
	uint32_t argv_room;
	struct buf record; /* answers on their way between commands and Lua */
};

struct script_state *script_state_of(lua_State *L);

/* What runs need over and over, made once: numbers in the registry of a state. */
enum script_kept {
	KEPT_RUN = 1,
	KEPT_ADD_PLACE,
	KEPT_WORDS, /* the first of: */
	WORD_KEYS = KEPT_WORDS,
	WORD_ARGV,
	WORD_OK,
	WORD_ERR,
	WORD_IGNORE,
	WORD_DOUBLE,
	WORD_BIG_NUMBER,
	WORD_VERBATIM,
	WORD_FORMAT,
	WORD_STRING,
	WORD_MAP,
	WORD_SET,
	KEPT_END
};

static inline void script_push_kept(lua_State *L, enum script_kept kept) { lua_rawgeti(L, LUA_REGISTRYINDEX, kept); }

/* Fills the globals of a new state. Leaves the read-only table in their place. */
void script_open_sandbox(lua_State *L);
int script_open_redis(lua_State *L);             /* leaves its table */
void script_open_redis_of_loading(lua_State *L); /* the same */
void script_open_loading(lua_State *L);          /* makes what libraries see while they are loaded */
int script_open_cjson(lua_State *L);
void script_json_defaults(struct json_settings *settings);

/* A table that is read through another and never changed: takes the table at the top, leaves the other. */
void script_protect(lua_State *L);

/* Is it such a table? Then what it shows lies at the top of the stack. */
bool script_unprotect(lua_State *L, int at);

/* What a table does not have cannot be asked for: the table at the top. */
void script_refuse_absent(lua_State *L);

/* The globals show this table from now on: `table` is a reference. */
void script_show_globals(lua_State *L, int table);

/* Raises what Redis says of a change to such a table. */
int script_raise_readonly(lua_State *L);

/* Leaves the function of a text, or says false and leaves why. `chunk` is its name in errors. */
bool script_load_text(lua_State *L, struct slice text, const char *chunk);

/* Between these two the host is asked whether what runs may go on. */
void script_host_begins(struct script_state *state, struct script_host *host, uint64_t seed);
void script_host_ends(struct script_state *state);

/* An error as redis.pcall() returns it: {err = "ERR text"}. */
void script_push_error(lua_State *L, const char *text);

/* For long work in C that does not run the script: lets the host look, as it does while the script runs. */
void script_breathe(lua_State *L);

/* The same for one step that looks at so many bytes. */
void script_spend(lua_State *L, size_t bytes);

/* Raises the error of a script that was ended by its host. */
int script_raise_stopped(lua_State *L);
