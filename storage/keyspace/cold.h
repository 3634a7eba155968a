/* cold.h -- values that have left memory: what the keyspace knows of them.
 *
 * What      A cold object keeps key, type and expiry, and a pointer to a record of storage/tier in place of its
 *           value. A warm one may be backed: it has its value and the pointer too, since a copy that was read
 *           back stays good until the value changes; it leaves again for nothing.
 * Changes   Leaving and coming back is no change of the key: nobody watches it, nothing is logged here.
 *           Whatever does change the value leaves an object without a pointer.
 * Loans     A string that is lent is replaced and never changed. A collection may change, which its version tells; its
 *           object stays until it is returned, so no other can be taken for it.
 * Rules     Who wants a value looks first whether it is there: string_value() of a cold object is an assertion.
 *           Each pointer in memory is counted: tier_retain(), tier_release().
 */
#pragma once

#include "storage/keyspace/keyspace.h"

/* Where a record lies. `file` numbers count on for ever: none is used twice while something points there. */
struct cold_pointer {
	uint32_t file, offset, size; /* bytes, in the file */
	uint32_t crc;                /* of the record: whatever else lies there is noticed */
	uint32_t length;             /* of a string; of a collection, packed */
	uint32_t lost;               /* it could not be read: until then, in seconds, nobody tries. In memory only */
};

enum {
	COLD_VALUE_MIN = 64,               /* bytes: what is shorter gains nothing */
	COLD_VALUE_MAX = 16 * 1024 * 1024, /* what is longer stays */
};

static inline bool shard_has_cold(const struct shard *shard)
{
	return shard->counters.cold_keys > 0 || shard->counters.cold_leaves > 0;
}

/* May anything of this shard be cold, or full? */
static inline bool shard_is_tiered(const struct shard *shard)
{
	return shard_has_cold(shard) || shard->policy == EVICT_TIER;
}

bool object_is_cold(const struct object *object);
/* How long a value is that may leave memory; 0: none of its kind may. */
size_t object_chillable(const struct object *object);
/* Does it leave, if at all, in parts (cold_leaf.h), and not as a whole? */
bool object_leaves_by_leaf(const struct object *object);
bool object_is_lent(const struct object *object);

/* Differs after each change of a value where it is. */
uint32_t object_version(const struct object *object);

/* Cold or backed: where its copy lies. False: it has none. */
bool object_pointer(const struct object *object, struct cold_pointer *out);

/* The packed form for this directory's own images: the pointer, if there is one; else as object_pack_parts(). */
struct slice object_pack_kept(const struct object *object, struct buf *out);

/* Does a packed value say a pointer? */
bool packed_pointer(struct slice packed, struct cold_pointer *out);

/* A value for its key, warm and not lent, leaves memory; its copy lies at `pointer`. */
void keyspace_chill(struct shard *shard, const struct key *key, const struct cold_pointer *pointer);

/* The value of a cold key is back. ERR_SYNTAX: that is no value; the key is as it was. */
enum err keyspace_warm(struct shard *shard, const struct key *key, struct slice packed) must_check;

/* The copy of a key that is cold or backed lies elsewhere now. */
void keyspace_repoint(struct shard *shard, const struct key *key, const struct cold_pointer *pointer);

/* Goes on round all keys and finds some that may leave, those first that were not used for longest among their
 * neighbours: warm, not lent, long enough; `backed`: only those that leave for nothing. How many. `seen` adds up what
 * was looked at: nothing found in cold_round() of that means that there is nothing. */
enum { COLDEST_MAX = 4 };
struct cold_walk {
	uint64_t seen, busy; /* keys, or places without; of these, such as are lent now */
	uint32_t keyspace;   /* of those found */
	struct object *found[COLDEST_MAX];
};
unsigned keyspace_coldest(struct shard *shard, bool backed, struct cold_walk *walk);
uint64_t cold_round(const struct shard *shard);

/* Shows every pointer there is, in tables of whatever keyspace. */
void keyspace_each_pointer(struct shard *shard, void (*show)(void *arg, const struct cold_pointer *pointer), void *arg);

/* How much memory is beyond what the policy allows to be used; 0: none. `percent` of the limit. */
uint64_t shard_excess(const struct shard *shard, unsigned percent);
