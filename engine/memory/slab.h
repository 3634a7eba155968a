/* slab.h -- memory for the keys and rows of one shard, counted exactly.
 *
 * What      Blocks by size class: every 8 bytes up to 128, then eight steps for each
 *           doubling (12.5 %) up to SLAB_SMALL_MAX. A class takes 64 KiB spans out of
 *           2 MiB huge-page regions; an empty span serves any class; empty regions wait
 *           for slab_trim(), since giving one back takes time. Larger blocks come from memory.h, huge ones from
 *           os_map().
 * Frees     Sized: the caller knows what it asked for, so blocks carry no header.
 * Align     A block whose rounded size is a multiple of 128 lies on a multiple of 128; every block on a multiple of 8.
 * Owner     One core; no locks.
 * Errors    None: shard_admit() keeps within maxmemory; exhaustion ends the process.
 * Source    Bonwick, "The Slab Allocator", USENIX Summer 1994.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab;

enum {
	SLAB_SMALL_MAX = 32 * 1024,
	SLAB_HUGE_MIN = 8 * 1024 * 1024, /* from here on a block has mappings of its own */
};

enum slab_backing {
	SLAB_REGIONS,
	SLAB_PLAIN, /* every block from memory.h: short-lived slabs, and under sanitizers */
};

/* Maps nothing until the first block. slab_free() expects all blocks to be back. */
struct slab *slab_new(enum slab_backing backing) must_check;
void slab_free(struct slab *slab);

/* Nobody waits for this core, which fills the slab: from the second on its regions are of huge pages at once, though
 * that takes some 0.1 ms each. Off at first. */
void slab_may_wait(struct slab *slab, bool may_wait);

/* Bytes a block of `size` really takes; slab_give() accepts any size of the same class. */
size_t slab_size(size_t size);

void *slab_take(struct slab *slab, size_t size) __attribute__((malloc, returns_nonnull));
void slab_give(struct slab *slab, void *block, size_t size);

/* Gives back the tail of a huge block: of `size` bytes, the first `keep` stay. Lets a caller
 * free in slices what would be slow to free at once. `keep` is a multiple of 2 MiB. */
void slab_cut(struct slab *slab, void *block, size_t size, size_t keep);

/* Gives one empty region back to the system, if there are more than one; true if there still
 * are. `empty` is told when there is one. */
bool slab_trim(struct slab *slab);
bool slab_can_trim(const struct slab *slab);
void slab_tell_empty(struct slab *slab, void (*empty)(void *arg), void *arg);

uint64_t slab_used(const struct slab *slab);   /* by blocks, rounding included */
uint64_t slab_mapped(const struct slab *slab); /* asked from below */

/* Walks all spans and asserts that counts and lists agree. */
void slab_verify(const struct slab *slab);
