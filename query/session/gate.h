/* gate.h -- commands whose effect is on every key (FLUSHALL, SWAPDB).
 *
 * Fiber code. gate_close() takes the whole of every shard, in ascending order, once all
 * key locks held there are released; commands that arrive meanwhile are parked. Between
 * the two calls the caller alone changes keys, through fiber_call_all().
 */
#pragma once

struct core;

void gate_close(struct core *core);
void gate_open(struct core *core);
