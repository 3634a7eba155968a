/* placement.h -- which core a key lives on.
 *
 * Slot = CRC16(key or its hash tag) & 16383, as Redis Cluster; partition = 256 slots;
 * a shard owns a set of partitions. Read through these functions alone, so that the
 * owner may later be another node.
 */
#pragma once

#include "engine/base/slice.h"
#include "engine/core/core.h"

#include <stdint.h>

enum { SLOTS = 16384, PARTITIONS = 64, SLOTS_PER_PARTITION = SLOTS / PARTITIONS };

struct placement {
	uint16_t core_of[PARTITIONS];
};

/* Spreads the partitions over the cores in turn; what a fresh server does. */
void placement_spread(struct placement *placement, uint16_t n_cores);

/* The slot of a key. With "{tag}" in it, the tag alone counts (first '{', next '}', not empty). */
uint16_t slot_of(struct slice key);

static inline uint16_t partition_of(uint16_t slot) { return slot / SLOTS_PER_PARTITION; }

static inline uint16_t core_of_slot(const struct core *core, uint16_t slot)
{
	return core->machine->placement->core_of[partition_of(slot)];
}
