/* keyspace.h -- the keys of one shard.
 *
 * What      For each (keyspace, partition) a segmented extendible hash table, created at
 *           first use: 128-byte buckets with one-byte tags, neighbour and stash buckets;
 *           segments grow in steps and split, so nothing ever stops to grow. Expiry by a
 *           wheel of segments and a check at each access; eviction by comparing the keys
 *           of one bucket at a time, by what each object remembers of its use.
 * Owner     One core. Everything here runs to completion and never waits.
 * Time      `shard->now_ms` is the wall time that the running batch took; whoever runs
 *           commands sets it. An expired key is gone for every reader from that time on.
 * Errors    None for memory: shard_admit() is asked before a command may grow anything.
 * Source    Fagin et al., "Extendible Hashing", TODS 1979; Lu et al., "Dash", VLDB 2020.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/list.h"
#include "storage/keyspace/key.h"
#include "storage/keyspace/object.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct slab;
struct dict;

enum eviction_policy {
	EVICT_NOTHING, /* noeviction */
	EVICT_ALLKEYS_LRU,
	EVICT_ALLKEYS_LFU,
	EVICT_ALLKEYS_RANDOM,
	EVICT_VOLATILE_LRU,
	EVICT_VOLATILE_LFU,
	EVICT_VOLATILE_RANDOM,
	EVICT_VOLATILE_TTL,
	EVICT_TIER, /* no key goes: values leave memory, see storage/tier */
};

/* What happens to keys without a command saying so. */
enum key_event {
	KEY_NEW, /* it was not there before */
	KEY_EXPIRED,
	KEY_EVICTED,
	KEY_ELEMENTS_EXPIRED, /* fields of a hash */
	KEY_EMPTIED,          /* ... and there were no others: said behind that */
};

/* What INFO and the metrics ask of a shard. */
struct shard_counters {
	uint64_t hits, misses;         /* of reads */
	uint64_t expired, evicted;     /* keys gone so */
	uint64_t expired_elements;     /* fields of hashes */
	uint64_t objects_bytes;        /* slab bytes of keys and values, rounding included */
	uint64_t tables_bytes;         /* dictionaries */
	uint64_t lent;                 /* values in loan now */
	uint64_t streams;              /* large values that are packed piece by piece now: they keep what leaves */
	uint64_t freeing, freed;       /* objects that wait to be freed in the background, and that were */
	uint64_t cold_keys, cold_bytes; /* whose values are not in memory; how long they are, leaves included */
	uint64_t cold_leaves;           /* of large collections: those that are not in memory */
};

/* The forms of collections, as settings say. */
struct collection_settings {
	int32_t list_leaf; /* list-max-listpack-size, as Redis reads it */
	uint32_t list_compress_depth;
	uint32_t set_integers_max; /* set-max-intset-entries */
	/* Most elements, and bytes of a member, of a sorted set in one block. */
	uint64_t zset_packed_count, zset_packed_member;
	uint64_t hash_entries_max; /* hash-max-listpack-entries */
	uint64_t hash_value_max;   /* hash-max-listpack-value */
	int64_t stream_bytes, stream_entries; /* of a block; 0: no limit */
};

struct journal;
struct tier;
struct keyspace_tables; /* private: the dictionaries */
struct shard {
	struct core *core;        /* NULL: a scratch shard */
	uint64_t hash_seed;       /* the server's; key_hash() takes it */
	int64_t now_ms;           /* wall time of the running batch */
	struct slab *slab;
	struct keyspace_tables *tables;
	struct locks *locks;      /* storage/locks */
	struct journal *journal;  /* storage/journal: notes what changes; NULL: nobody does */
	struct tier *tier;        /* storage/tier: values that have left memory; NULL: they cannot */
	bool recovering;          /* what was logged is being put back, see shard_recovered() */
	struct shard_counters counters;
	uint64_t changes;         /* every change of a key; "dirty" in Redis */
	uint64_t memory_max;      /* this shard's part of maxmemory; 0: no limit */
	enum eviction_policy policy;
	struct collection_settings collections;
	uint32_t waited_keys;     /* that somebody waits for: storage/keyspace/waits.h */
	bool keys_ready;          /* some of them came: waits_serve() is due at the end of the command */
	uint32_t keyspace_of_db[16]; /* what SELECT n names here; changed on all shards behind a gate */
	/* Called after each change of a key, expiry and eviction included; NULL: nobody. */
	void (*changed)(struct shard *shard, const struct key *key);
	void *changed_arg;
	/* The same, for those who keep what they have read; NULL: nobody does. `by_itself`: it has expired. */
	void (*tracked)(struct shard *shard, const struct key *key, bool by_itself);
	/* Called when something happens to a key by itself; NULL: nobody. Not while recovering. The key may be gone
	 * after the call. */
	void (*happened)(struct shard *shard, const struct key *key, enum key_event event);
	uint32_t event_classes; /* of events that commands tell: query/commands/notify.h; 0: nobody listens */
};

/* A shard without keys. With a core it frees and expires in the background there;
 * without one it is a scratch shard: it neither expires nor evicts by itself. */
struct shard *shard_new(struct core *core, uint64_t hash_seed) must_check;
void shard_free(struct shard *shard);

/* ---- one key -------------------------------------------------------------------- */

enum find_how {
	FIND_READ,  /* counts a hit or miss, and as an access for eviction */
	FIND_WRITE, /* counts as an access */
	FIND_QUIET, /* leaves no trace: for TOUCH-less looks, introspection, tools */
};

/* For batches: first the bucket's lines, a few calls later the object's. Where batches are large and in no order, the
 * line that leads to the bucket before both, and for changes, with the bucket, what counts its keys. */
void keyspace_prefetch_way(struct shard *shard, const struct key *key);
void keyspace_prefetch_bucket(struct shard *shard, const struct key *key);
void keyspace_prefetch_change(struct shard *shard, const struct key *key); /* bucket and counts */
void keyspace_prefetch_object(struct shard *shard, const struct key *key);

/* The live object of a key, or NULL. An expired one is deleted on the way. */
struct object *keyspace_find(struct shard *shard, const struct key *key, enum find_how how);

/* The object of a key, an expired one too; NULL if there is none. Changes nothing. */
struct object *keyspace_peek(struct shard *shard, const struct key *key);

/* Deletes a key; false if there is none. Big values are freed in the background. */
bool keyspace_delete(struct shard *shard, const struct key *key);

/* Sets or clears (EXPIRES_NEVER) the expiry of a living key; the object may move. */
struct object *keyspace_expire(struct shard *shard, const struct key *key, struct object *object, int64_t expires_ms);

/* Both keys on this shard: `to` (any keyspace) becomes `from`'s value and expiry,
 * replacing what was there. `from` must live; after a move it is gone. */
void keyspace_move(struct shard *shard, const struct key *from, const struct key *to);
void keyspace_copy(struct shard *shard, const struct key *from, const struct key *to);

/* An object stays while lent, even past delete and replace: a string's value as it was, a collection's may change. */
void object_lend(struct shard *shard, struct object *object);
void object_return(struct shard *shard, struct object *object); /* once for each loan */

/* ---- many keys ------------------------------------------------------------------ */

uint64_t keyspace_count(struct shard *shard, uint32_t keyspace);
uint64_t keyspace_count_expiring(struct shard *shard, uint32_t keyspace);
uint64_t keyspace_count_due(struct shard *shard, uint32_t keyspace); /* keys with elements that expire */
uint64_t keyspace_average_ttl_ms(struct shard *shard, uint32_t keyspace); /* estimate */

/* Shows objects of one partition from `position` on (0 at first), about `want` of them,
 * and returns the position to go on from; 0 when the partition is done. A key that lives
 * from the first call to the last is shown at least once, whatever grows meanwhile.
 * Expired objects are not shown. `show` must not change the shard. The low 18 bits of a
 * position are zero. */
uint64_t keyspace_scan(struct shard *shard, uint32_t keyspace, uint16_t partition, uint64_t position, uint32_t want,
		       void (*show)(void *arg, struct object *object), void *arg);

/* The same, but shows what has expired too, and touches no object: `show` may fetch them ahead. It may
 * lend them. */
uint64_t keyspace_scan_all(struct shard *shard, uint32_t keyspace, uint16_t partition, uint64_t position, uint32_t want,
                           void (*show)(void *arg, struct object *object), void *arg);

/* Where a scan shows the key of this hash: from the first call whose position is not greater and whose
 * answer is, or is 0. (It may show a few whose position is smaller, after segments have joined.) */
uint64_t key_position(uint64_t hash);

/* A random living object of the keyspace; NULL if it is empty. */
struct object *keyspace_random(struct shard *shard, uint32_t keyspace, uint64_t random);

/* Forgets a whole keyspace at once; memory comes back in the background, or before this
 * returns if `now`. Does not call `changed`. */
void keyspace_drop(struct shard *shard, uint32_t keyspace, bool now);

/* ---- memory --------------------------------------------------------------------- */

/* May a command that adds memory run? Evicts as the policy allows until the shard is
 * under its limit; false if that cannot be done. A bounded amount of work each time. Values that leave memory
 * take their time: meanwhile it says yes, and who can wait asks tier_is_full() before. */
bool shard_admit(struct shard *shard);

/* The same before a command that adds none: what an earlier one added need not wait for the next that does. */
void shard_relieve(struct shard *shard);

uint64_t shard_memory(const struct shard *shard); /* bytes, all that maxmemory counts */

/* Background work, a slice of at most `budget_ns`: expiry, freeing, evicting. True if more is
 * due now. `next_ns` (monotonic) is when to come again otherwise. A shard with a core does so
 * by itself, with a task and a timer. */
bool shard_background(struct shard *shard, uint64_t budget_ns, uint64_t *next_ns);

/* memory_max or the policy is another: what is too much goes in the background. */
void shard_limits_changed(struct shard *shard);

/* While shard->recovering is set nothing expires, whatever the time is, nothing happens in the
 * background and nothing is noted in the journal: replay puts back what was, and the time only marks when
 * keys were used. This ends it. */
void shard_recovered(struct shard *shard);

/* Walks every structure and asserts its invariants; for tests. */
void shard_verify(struct shard *shard);
