/* luas.h -- the Luas of one core that run scripts of one source.
 *
 * What      Whoever runs something takes a Lua, and gives it back. What is compiled has a place, the same in all of
 *           them; each compiles it when it first runs it there.
 * Owner     The core.
 */
#pragma once

#include "query/script/state.h"

#include <stdint.h>

struct lua;
struct luas;

struct luas *luas_new(enum script_source source) must_check;
void luas_free(struct luas *luas); /* NULL is fine */

/* None of those that are there is used for what begins from now on. */
void luas_renew(struct luas *luas);

size_t luas_memory(const struct luas *luas); /* of those that rest */

/* One Lua, for one at a time. */
struct lua *luas_take(struct luas *luas);
void luas_give(struct luas *luas, struct lua *lua);
struct script_state *lua_state_of(struct lua *lua);

/* What a script says to the server's log; `level` as in redis.LOG_... */
void script_log(int level, struct slice text);

/* Where something lies in every Lua. */
struct lua_place {
	uint64_t serial; /* nothing else ever has it */
	uint32_t index;  /* nothing else has it now */
};
struct lua_place luas_place(struct luas *luas);
void luas_give_place(struct luas *luas, struct lua_place place);

/* What script_compile() or script_load_library() gave; -1: it is not there yet. */
int lua_find(const struct lua *lua, struct lua_place place);
void lua_keep(struct lua *lua, struct lua_place place, int reference);
