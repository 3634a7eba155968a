/* values.h -- answers between commands and Lua.
 *
 * What      A record holds one answer as bytes: commands say it through `record_ops`, and Lua's values are written
 *           so too. It is whole before anybody reads it, since an error in Lua jumps out of the middle of things.
 * Source    The conversions are those of Redis' scripts in RESP2 and RESP3.
 */
#pragma once

#include "engine/base/buf.h"
#include "query/commands/reply.h"

struct lua_State;

extern const struct reply_ops record_ops; /* into reply->out */

bool record_is_error(const struct buf *record);

/* Says a record again. */
void record_say(const struct buf *record, struct reply *reply);

/* Pushes a record as Lua's value, as scripts in RESP `resp` see it. */
void record_push(struct lua_State *L, const struct buf *record, uint8_t resp);

/* Takes the value at the top and appends its record. */
void record_take(struct lua_State *L, struct buf *record, uint8_t resp);

/* Appends an error; `counted`: the statistics know of it. */
void record_error(struct buf *record, struct slice text, bool counted);
