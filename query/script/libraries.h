/* libraries.h -- the libraries of Redis' scripts that are our own: bit, cmsgpack and struct.
 *
 * What      Functions of Lua 5.1 that turn values into bytes and back. They keep no state and
 *           reach nothing but their arguments; what they build lies on Lua's heap, so that
 *           its limit counts it and an error frees it.
 * Errors    Lua errors, in the words of the libraries that Redis carries. No length that the
 *           bytes merely declare is allocated, and nesting is bounded.
 * Source    The MessagePack specification; Pall, "Lua BitOp"; Ierusalimschy, "struct".
 */
#pragma once

struct lua_State;

/* Each leaves its table on the stack, for lua_call(): 1 result. */
int script_open_bit(struct lua_State *L);
int script_open_cmsgpack(struct lua_State *L);
int script_open_struct(struct lua_State *L);
