/* ring.h -- one writer, one reader: the messages of an ordered pair of cores.
 *
 * What      1024 slots of 64 bytes. The writer fills slots as it goes and publishes them
 *           with one store a turn; the reader takes what is published, runs it in place
 *           and gives the slots back with one store a batch.
 * Layout    What the writer stores, what of it the reader looks at all the time, and what
 *           the reader stores lie 128 bytes apart, since the prefetcher fetches lines in
 *           pairs. Each side keeps a copy of the other's counter and looks again only when
 *           the copy says full, or empty.
 * Units     Counters count messages since the start and wrap around at 2^32.
 * Source    See message.h.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/rare.h"
#include "engine/core/message.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
	RING_SLOTS = RARE(1024, 4),
	RING_CREDIT = RING_SLOTS / 2, /* requests unanswered and posts unread, at most; as many replies fit beside */
	CACHE_PAIR = 128,
};

struct ring {
	/* The writer's, which the reader looks at: */
	alignas(CACHE_PAIR) _Atomic uint32_t published;
	atomic_bool starved; /* it holds messages back until posts are read */
	/* The writer's own: */
	alignas(CACHE_PAIR) uint32_t staged; /* written, maybe not published yet */
	uint32_t taken_seen;                 /* copy of `taken` */
	/* The reader's: */
	alignas(CACHE_PAIR) _Atomic uint32_t taken;
	_Atomic uint32_t posts_read; /* those among `taken` that were posts */
	uint32_t published_seen;     /* copy of `published` */

	alignas(CACHE_PAIR) struct message slots[RING_SLOTS];
};

/* The counters; slots are touched first by the core that writes them. */
static inline void ring_init(struct ring *ring)
{
	atomic_init(&ring->published, 0);
	atomic_init(&ring->starved, false);
	ring->staged = ring->taken_seen = 0;
	atomic_init(&ring->taken, 0);
	atomic_init(&ring->posts_read, 0);
	ring->published_seen = 0;
}

/* Where the next message goes. Asserts that there is room: the credit sees to it. */
static inline struct message *ring_stage(struct ring *ring)
{
	if (unlikely(ring->staged - ring->taken_seen == RING_SLOTS)) {
		ring->taken_seen = atomic_load_explicit(&ring->taken, memory_order_acquire);
		assert(ring->staged - ring->taken_seen < RING_SLOTS);
	}
	return &ring->slots[ring->staged++ % RING_SLOTS];
}

static inline void ring_publish(struct ring *ring)
{
	atomic_store_explicit(&ring->published, ring->staged, memory_order_release);
}

/* How many messages wait to be read; the first is ring_at(0). Asks the writer's line only
 * when what was seen of it is used up. */
static inline uint32_t ring_ready(struct ring *ring)
{
	uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	if (ring->published_seen == taken)
		ring->published_seen = atomic_load_explicit(&ring->published, memory_order_acquire);
	return ring->published_seen - taken;
}

static inline struct message *ring_at(struct ring *ring, uint32_t i)
{
	return &ring->slots[(atomic_load_explicit(&ring->taken, memory_order_relaxed) + i) % RING_SLOTS];
}

/* Gives `n` slots back, `posts` of which were posts. The order matters: a writer that sees
 * the posts read must find their slots free. */
static inline void ring_take(struct ring *ring, uint32_t n, uint32_t posts)
{
	uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	atomic_store_explicit(&ring->taken, taken + n, memory_order_release);
	if (posts) {
		uint32_t read = atomic_load_explicit(&ring->posts_read, memory_order_relaxed);
		atomic_store_explicit(&ring->posts_read, read + posts, memory_order_release);
	}
}
