/* key.h -- a key on its way to its shard: hashed once, where it was parsed.
 *
 * The hash is 64 bits, seeded once for each server (all cores share the seed), so that
 * nobody can choose keys that collide. The slot says the partition, hence the shard.
 */
#pragma once

#include "engine/base/slice.h"

#include <stdint.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct key {
	struct slice name;
	uint64_t hash;
	uint32_t keyspace; /* id of the keyspace, not the number that SELECT takes */
	uint16_t slot;
};

static inline uint64_t key_hash(uint64_t seed, struct slice name)
{
	return XXH3_64bits_withSeed(name.ptr, name.len, seed);
}
