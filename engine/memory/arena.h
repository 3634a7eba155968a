/* arena.h -- memory that dies together.
 *
 * What      Bump allocation from 64 KiB blocks; one reset frees everything.
 * Lifetime  One arena per request or per query; the shorter-lived may point into the
 *           longer-lived, never the reverse.
 * Owner     The core that made it; never locked.
 * Units     Sizes in bytes; alignment a power of two, at most 64.
 * Errors    NULL when the budget given at creation would be exceeded: callers answer
 *           ERR_NO_MEMORY, nothing aborts on a client's appetite.
 * Source    Hanson, "Fast Allocation and Deallocation of Memory Based on Object
 *           Lifetimes", Software: Practice and Experience 20(1), 1990.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stddef.h>

struct arena;

/* An arena that may hold blocks of `budget_bytes` together. Touches no block yet. */
struct arena *arena_new(size_t budget_bytes) must_check;
void arena_free(struct arena *arena); /* NULL is fine */

/* `size` bytes, zeroed. Valid until arena_reset() or arena_free(). */
void *arena_alloc(struct arena *arena, size_t size, size_t align) must_check;

/* Forgets everything allocated; keeps one block warm for the next use. */
void arena_reset(struct arena *arena);
