/* locks.h -- locks on keys, for commands that span shards.
 *
 * What      A table of locked fingerprints. A command on one key takes no lock: it looks
 *           whether the table is at rest, and if not, whether its key is in it; then it
 *           waits in the key's queue. The gate takes the whole shard at once.
 * Order     Whoever wants several locks takes them shard by shard in ascending order,
 *           and within a shard by ascending fingerprint: no cycle can form. Each key's
 *           queue is served in arrival order. While somebody waits for the gate, newcomers
 *           line up behind; who is already inside (holds a lock here) is not held up.
 * Owner     The shard. A waiter lies in its owner's memory until its `run` is called.
 */
#pragma once

#include "engine/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct locks;

enum lock_kind {
	LOCK_PASS, /* a single command: waits until the key is free, holds nothing */
	LOCK_HOLD, /* holds the key until lock_release() */
	LOCK_GATE, /* holds the whole shard until gate_release() */
};

/* Where in its key's queue. One whose turn it is may find that something has to be done first: that goes to the front,
 * and he behind it. */
enum lock_queue_place { LOCK_LAST, LOCK_FIRST, LOCK_SECOND };

struct lock_waiter {
	struct link link;
	uint64_t fingerprint; /* the key's hash; databases share it, which only waits longer */
	enum lock_kind kind;
	bool inside; /* its owner already holds locks here: it does not queue for the gate */
	enum lock_queue_place place;
	/* The turn has come: the key is free (PASS) or held for this waiter. */
	void (*run)(struct shard *shard, struct lock_waiter *waiter);
	/* It has been turned away, and waits no more. NULL: it cannot be. */
	void (*refused)(struct shard *shard, struct lock_waiter *waiter, const char *why);
};

struct locks *locks_new(void);
void locks_free(struct locks *locks); /* asserts that nobody holds or waits */

/* Nobody holds or waits for anything: the common case, one load. */
static inline bool locks_at_rest(const struct locks *locks)
{
	return *(const uint32_t *)locks == 0; /* struct locks begins with `users` */
}

/* True: granted at once (PASS: run it now). False: queued; `run` is called later. */
bool lock_take(struct locks *locks, struct lock_waiter *waiter);

/* Holds the key if it is free and nobody has the gate; never queues. For whoever is inside, out of order. */
bool lock_try(struct locks *locks, uint64_t fingerprint);

/* Is this fingerprint held, or everything, or does somebody line up for that? */
bool lock_is_held(const struct locks *locks, uint64_t fingerprint);
bool locks_gated(const struct locks *locks);

/* Each holding, of a lock or the gate, has a number; they count up. The next one's; and that of the oldest
 * holding there is, UINT64_MAX if there is none. Once the second reaches what the first said,
 * all who held anything then have let go. */
uint64_t locks_next(const struct locks *locks);
uint64_t locks_oldest(const struct locks *locks); /* looks at all that are held */

/* Give back; run those whose turn has come. */
void lock_release(struct shard *shard, struct locks *locks, uint64_t fingerprint);
void gate_release(struct shard *shard, struct locks *locks);

/* Who holds this key, or the gate, will be long: refuses those who wait for it, or for the gate because of it. */
void lock_turn_away(struct shard *shard, struct locks *locks, uint64_t fingerprint, const char *why);
void gate_turn_away(struct shard *shard, struct locks *locks, const char *why);
