/* memory.h -- ordinary memory: what has no better home.
 *
 * What      The process allocator (mimalloc; the C library's under sanitizers, which
 *           must see every block). Keys and values live in slabs (slab.h), what dies
 *           together in arenas (arena.h), big tables in regions (region.h).
 * Owner     A block may be freed on another core than the one that made it; that is
 *           slower and is for the exception, not the rule.
 * Errors    None: these never return NULL. Every size asked for here is bounded by a
 *           limit that was checked before; exhaustion ends the process with a message.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stddef.h>

void *memory_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *memory_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *memory_resize(void *ptr, size_t size) __attribute__((returns_nonnull));
void *memory_aligned(size_t align, size_t size) __attribute__((malloc, returns_nonnull));
void memory_free(void *ptr); /* NULL is fine */

/* Gives memory that this thread has freed back to the system; slow. */
void memory_give_back(void);
