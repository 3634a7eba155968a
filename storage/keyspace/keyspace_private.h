/* keyspace_private.h -- what a shard holds besides its public face. */
#pragma once

#include "engine/core/core.h"
#include "engine/placement/placement.h"
#include "storage/keyspace/dict_private.h"

#include <stdbool.h>

struct keyspace {
	uint32_t id;
	bool dropped;
	uint64_t count;
	uint64_t expiring;
	uint64_t due;           /* keys with elements that expire */
	__int128 expiry_sum_ms; /* of all keys that expire: the average is exact */
	struct link link;       /* when dropped: waits to be freed */
	struct dict dicts[PARTITIONS];
};

/* Segments by when they shall be looked at: slot k holds those whose time differs from
 * `now_ms` first in bit k - 1, slot 0 those that are due. When the time moves on, the slots
 * up to the highest bit that changed are dealt out again, so a segment moves at most once for
 * each bit. `moved` holds what is yet to be dealt out, so that no step is long.
 * Source: Ahuja, Mehlhorn, Orlin, Tarjan, "Faster Algorithms for the Shortest Path Problem",
 * JACM 1990 (the radix heap); used here as a wheel whose levels are powers of two. */
enum { WHEEL_SLOTS = 64 };
struct expiry_wheel {
	int64_t now_ms;
	uint32_t n; /* segments in it */
	uint64_t used;
	struct link moved;
	struct link slots[WHEEL_SLOTS];
};

/* Objects that are lent. */
struct loan_count {
	struct object *object; /* NULL: free */
	uint32_t loans;
	bool orphan; /* in no table any more: freed with the last loan */
};
struct loans {
	struct loan_count *table; /* open addressing */
	uint32_t n;
	uint32_t cap; /* power of two, or 0 */
};

struct watches;
struct waits;

struct keyspace_tables {
	struct shard *shard;
	struct task task;            /* background work, */
	struct timer timer;          /* and when it is next due, */
	int64_t wake_ms;             /* at this wall time; INT64_MAX: not started */
	struct keyspace *last;       /* the one used last */
	struct keyspace **keyspaces; /* by id */
	uint32_t n_keyspaces;
	uint32_t keyspaces_cap;
	struct expiry_wheel wheel;
	struct loans loans;
	struct watches *watches; /* NULL: nobody watches */
	struct waits *waits;     /* NULL: nobody waits */
	uint64_t random;         /* state of the shard's own generator */
	struct link dropped;     /* keyspaces to free */
	uint32_t drop_partition; /* where freeing the first of them goes on: partition, */
	uint64_t drop_at;        /* position */
	struct link blocks;      /* huge values to free */
	struct link trees;       /* large collections to free */
	/* Where eviction goes on: */
	uint32_t evict_keyspace;
	uint32_t evict_partition;
	uint64_t evict_at;
};

static inline struct keyspace *dict_keyspace(struct dict *dict)
{
	return container_of(dict - dict->partition, struct keyspace, dicts[0]);
}

/* NULL if it has no keys yet. */
struct keyspace *keyspace_lookup(struct keyspace_tables *tables, uint32_t id);

static inline struct keyspace *keyspace_of(struct keyspace_tables *tables, uint32_t id)
{
	struct keyspace *last = tables->last;
	if (likely(last && last->id == id))
		return last;
	return keyspace_lookup(tables, id);
}

/* Memory of tables, counted. */
void *table_take(struct shard *shard, size_t size) __attribute__((malloc, returns_nonnull));
void table_give(struct shard *shard, void *block, size_t size);

/* Every change of a key passes here: what it is now, or NULL. What it was before is freed later. */
void shard_key_changed(struct shard *shard, const struct key *key, const struct object *object);

/* Shows every entry of every table. */
void keyspace_each_entry(struct shard *shard, void (*show)(void *arg, uint64_t entry), void *arg);

/* The object of a key, an expired one too, and its place; NULL if there is none. */
struct object *place_peek(struct shard *shard, const struct key *key, struct place *out);

/* The living object of a key and its place; NULL if there is none. Leaves no trace of use. */
struct object *place_find(struct shard *shard, const struct key *key, struct place *out);

/* Makes `object` the key's object. `old`, from place_find(), is discarded if it is another;
 * if it is the same, `before_ms` was its expiry. Says that the key changed. */
void place_put(struct shard *shard, const struct key *key, const struct place *place, struct object *old,
               int64_t before_ms, struct object *object);

/* Creates or replaces a key by a cold one. */
void keyspace_put_cold(struct shard *shard, const struct key *key, enum object_type type, int64_t expires_ms,
                       const struct cold_pointer *pointer);

/* Deletes an object that is in a table, by no command's doing; says that the key changed, and why. */
void keyspace_forget(struct shard *shard, struct keyspace *keyspace, struct object *object, enum key_event why);

/* It has changed when the elements of a key's value expire; or they are looked at later. */
void keyspace_due_changed(struct shard *shard, const struct key *key);
void keyspace_due_later(struct shard *shard, const struct key *key, int64_t at_ms);

/* The key of an object that is in a table. */
struct key key_from(struct shard *shard, const struct keyspace *keyspace, const struct object *object);

/* Says what happened to a key by itself. */
static inline void shard_key_happened(struct shard *shard, const struct key *key, enum key_event event)
{
	if (unlikely(shard->happened != NULL) && !shard->recovering)
		shard->happened(shard, key, event);
}

/* Is there room in the log to say that keys went by themselves? If not, they wait. */
bool shard_may_forget(const struct shard *shard);

uint64_t shard_random(struct shard *shard);

/* No longer found by its id. */
void keyspace_unlist(struct keyspace_tables *tables, struct keyspace *keyspace);

/* ---- free.c ------------------------------------------------------------------------- */

/* Frees a huge block in slices, in the background. */
void blocks_doom(struct shard *shard, void *block, size_t size);

/* Works until about `budget` objects are freed; what is left of it. */
int64_t free_run(struct shard *shard, int64_t budget);
bool free_is_due(const struct shard *shard);

/* ---- expiry.c ----------------------------------------------------------------------- */

void wheel_init(struct expiry_wheel *wheel);
void wheel_remove(struct expiry_wheel *wheel, struct segment *segment);

/* A key of the segment expires at `expires_ms`. */
void segment_expires(struct shard *shard, struct segment *segment, int64_t expires_ms);

/* Puts a segment where its bound says; after it has moved. */
void segment_arm(struct shard *shard, struct segment *segment);

/* Sweeps due segments until about `budget` entries were seen; what is left of it. */
int64_t expiry_run(struct shard *shard, int64_t budget);
bool expiry_is_due(const struct shard *shard);
int64_t expiry_next_ms(const struct shard *shard); /* INT64_MAX: never */

/* ---- background.c: nothing happens in a shard without a core ------------------------ */

void background_init(struct shard *shard);
void background_fini(struct shard *shard);
void background_wake(struct shard *shard);                   /* there is work */
void background_wake_at(struct shard *shard, int64_t at_ms); /* there will be */

/* ---- loans.c, watch.c, evict.c ------------------------------------------------------ */

/* The object has left its table: true if loans keep it. */
bool loans_orphan(struct loans *loans, struct object *object);

void watches_mark(struct shard *shard, const struct key *key);

/* ---- waits.c ------------------------------------------------------------------------ */

/* Somebody waits for keys: maybe for this one, which is now `object`, or gone (NULL). */
void waits_mark(struct shard *shard, const struct key *key, const struct object *object);
void waits_free(struct shard *shard); /* asserts that nobody waits */

/* Evicts one key; false if the policy allows none. */
bool evict_one(struct shard *shard);
