/* gate.h -- commands whose effect is on every key (FLUSHALL, SWAPDB).
 *
 * Fiber code. gate_close() takes the whole of every shard, in ascending order, once all
 * key locks held there are released; commands that arrive meanwhile are parked. Between
 * the two calls the caller alone changes keys, through fiber_call_all().
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdbool.h>

struct core;

void gate_close(struct core *core);

/* The same, unless a script keeps it for too long from being closed: then it is open, and why is told. */
bool gate_close_unless_busy(struct core *core, const char **why) must_check;
void gate_open(struct core *core);
