/* locks.h -- locks on keys, for commands that span shards.
 *
 * What      A table of locked fingerprints (hash of key and keyspace). A command on one
 *           key takes no lock: it looks whether the table is empty, and if not, whether
 *           its key is in it; then it waits in the key's queue.
 * Order     Whoever wants several locks takes them shard by shard in ascending order,
 *           and within a shard by ascending fingerprint: no cycle can form. Each key's
 *           queue is served in arrival order.
 * Owner     The shard. The waiter lies in its owner's memory until it is run or removed.
 */
#pragma once

#include "engine/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct locks;

/* Somebody who waits for a key to be free. */
struct lock_waiter {
	struct link link;
	uint64_t fingerprint;
	bool wants_lock; /* false: a single command, which holds nothing afterwards */
	void (*run)(struct shard *shard, struct lock_waiter *waiter);
};

struct locks *locks_new(void);
void locks_free(struct locks *locks); /* asserts that nobody holds or waits */

static inline uint64_t lock_fingerprint(uint64_t key_hash, uint32_t keyspace)
{
	return key_hash ^ (uint64_t)keyspace * 0x9e3779b97f4a7c15u;
}

/* How many fingerprints are locked; 0 is the common case, tested first. */
uint32_t locks_held(const struct locks *locks);

/* Is the key locked, or does somebody wait for it? */
bool lock_is_taken(const struct locks *locks, uint64_t fingerprint);

/* Takes the lock if it is free (true); otherwise queues the waiter, whose `run` is called
 * with the lock held (wants_lock) or with the key free, when its turn comes. */
bool lock_take(struct locks *locks, struct lock_waiter *waiter);

/* Gives a lock back and runs those whose turn has come, until the next lock. */
void lock_release(struct shard *shard, struct locks *locks, uint64_t fingerprint);
