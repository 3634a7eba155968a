/* sum.h -- one number for all keys, values and expiries of a shard. */
#pragma once

#include "engine/placement/placement.h"
#include "storage/keyspace/keyspace.h"

struct sum {
	uint64_t value;
	uint32_t keyspace;
};

static inline void sum_object(void *arg, struct object *object)
{
	struct sum *sum = arg;
	struct buf packed = {0};
	int64_t expires_ms = object_expires_ms(object);
	object_pack(object, &packed);
	buf_append(&packed, slice_of(&expires_ms, sizeof(expires_ms)));
	buf_append(&packed, slice_of(&sum->keyspace, sizeof(sum->keyspace)));
	sum->value += key_hash(key_hash(1, object_key(object)), buf_slice(&packed));
	buf_fini(&packed);
}

static inline uint64_t shard_sum(struct shard *of, uint32_t keyspaces)
{
	struct sum sum = {0};
	for (; sum.keyspace < keyspaces; sum.keyspace++) {
		sum.value += keyspace_count(of, sum.keyspace) * (sum.keyspace + 1);
		for (uint16_t partition = 0; partition < PARTITIONS; partition++) {
			uint64_t position = 0;
			do
				position = keyspace_scan_all(of, sum.keyspace, partition, position, 1000, sum_object,
				                             &sum);
			while (position);
		}
	}
	return sum.value;
}
