/* pending.h -- what consumers of a stream have been given and have not acknowledged.
 *
 * What      Records of one size that begin with the ID of an entry, each ID once, in the leaves of a tree in the
 *           order of IDs. Groups have a struct pending for each entry, consumers the IDs alone.
 * Costs     At the end of the order: constant. Elsewhere a way down the tree, and half a leaf that moves.
 * Owner     The shard. A record is good until its tree changes.
 */
#pragma once

#include "storage/collections/tree.h"
#include "storage/keyspace/stream_id.h"

enum {
	PENDING_TIMES_MAX_BITS = 48,
	IDS_LEAF = RARE(63, 4), /* records of a leaf: with its head they fit a class of the allocator */
};

/* What a group knows of an entry. */
struct pending {
	struct stream_id id;
	uint64_t delivered_ms : PENDING_TIMES_MAX_BITS;
	uint64_t consumer_low : 16;
	uint64_t deliveries : PENDING_TIMES_MAX_BITS;
	uint64_t consumer_high : 16;
};
static_assert(sizeof(struct pending) == 32, "in the log and in images");

static inline uint32_t pending_consumer(const struct pending *pending)
{
	return (uint32_t)pending->consumer_low | (uint32_t)pending->consumer_high << 16;
}

/* Numbers that do not fit become the nearest that do. */
void pending_set(struct pending *pending, uint32_t consumer, int64_t delivered_ms, uint64_t deliveries);

/* Records of `size` bytes; false: the ID is there already. */
bool ids_insert(struct shard *shard, struct tree *ids, size_t size, const void *record);
bool ids_remove(struct shard *shard, struct tree *ids, size_t size, struct stream_id id);

/* The record of an ID; NULL: there is none. ids_own() finds it for a change of what is not the ID. */
const void *ids_find(struct tree *ids, size_t size, struct stream_id id);
void *ids_own(struct shard *shard, struct tree *ids, size_t size, struct stream_id id);

/* Through all records from an ID on. */
struct ids_walk {
	struct tree_path path;
	uint32_t at; /* in the path's leaf, if more */
	bool more;
};
void ids_walk(struct tree *ids, size_t size, struct stream_id from, struct ids_walk *out);
const void *ids_next(struct ids_walk *walk, size_t size); /* NULL: the end */

/* The first and the last ID; false: there are none. */
bool ids_ends(struct tree *ids, size_t size, struct stream_id *first, struct stream_id *last);

/* Are these bytes `count` records in order, behind `before` (NULL: they are the first)? */
bool ids_check(struct slice bytes, uint32_t count, size_t size, const struct leaf *before);
