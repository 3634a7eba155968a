/* The ring against a model, and between two threads. */
#include "engine/core/queue.h"
#include "engine/core/ring.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include "tests/support/unit.h"
#include <sched.h>

static struct ring *ring;
static uint64_t seed = 88172645463325252u;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void setup(void)
{
	ring = memory_aligned(CACHE_PAIR, sizeof(*ring));
	ring_init(ring);
}

static void teardown(void) { memory_free(ring); }

TestSuite(ring, .init = setup, .fini = teardown, .timeout = 60);

Test(ring, lies_in_lines_of_its_own)
{
	cr_assert_eq(offsetof(struct ring, staged) - offsetof(struct ring, published), CACHE_PAIR);
	cr_assert_eq(offsetof(struct ring, taken) - offsetof(struct ring, staged), CACHE_PAIR);
	cr_assert_eq(offsetof(struct ring, slots) % CACHE_PAIR, 0);
	cr_assert_eq((uintptr_t)ring % CACHE_PAIR, 0);
}

/* Counters that begin near their end wrap around within the test. */
static void begin_at(uint32_t at)
{
	ring->staged = ring->taken_seen = ring->published_seen = at;
	atomic_store(&ring->published, at);
	atomic_store(&ring->taken, at);
}

Test(ring, agrees_with_a_model)
{
	uint64_t staged = 0, published = 0, taken = 0, posts = 0;
	begin_at(UINT32_MAX - 5000);
	for (int i = 0; i < 200 * 1000; i++) {
		switch (any(3)) {
		case 0:
			for (uint64_t n = any(400); n && staged - taken < RING_SLOTS; n--)
				ring_stage(ring)->args[0].word = staged++;
			break;
		case 1:
			ring_publish(ring);
			published = staged;
			break;
		case 2: {
			uint32_t ready = ring_ready(ring), n = (uint32_t)any(ready + 1);
			cr_assert(ready <= published - taken);
			/* All of it, if what was seen before is used up. */
			cr_assert(ready > 0 || published == taken);
			for (uint32_t at = 0; at < n; at++)
				cr_assert_eq(ring_at(ring, at)->args[0].word, taken + at);
			ring_take(ring, n, n / 2);
			taken += n;
			posts += n / 2;
			cr_assert_eq(atomic_load(&ring->posts_read), (uint32_t)posts);
			break;
		}
		}
	}
	cr_assert(taken > 1000 * 1000);
}

enum { BETWEEN_THREADS = 1000 * 1000 };

/* One thread writes bursts, as a turn does; the other must see all of each, in order. */
static void write_all(void *arg)
{
	for (uint64_t i = 0; i < BETWEEN_THREADS;) {
		while (ring->staged - atomic_load_explicit(&ring->taken, memory_order_acquire) > RING_SLOTS - 64)
			sched_yield();
		for (uint64_t n = i % 63 + 1; n && i < BETWEEN_THREADS; n--, i++) {
			struct message *message = ring_stage(ring);
			for (int a = 0; a < 6; a++)
				message->args[a].word = i + (uint64_t)a;
		}
		ring_publish(ring);
	}
}

Test(ring, carries_a_million_messages_between_threads)
{
	pthread_t writer;
	cr_assert_eq(os_thread_start(&writer, -1, "writer", write_all, NULL), 0);
	for (uint64_t i = 0; i < BETWEEN_THREADS;) {
		uint32_t n = ring_ready(ring);
		if (n == 0)
			sched_yield();
		for (uint32_t at = 0; at < n; at++, i++)
			for (int a = 0; a < 6; a++)
				cr_assert_eq(ring_at(ring, at)->args[a].word, i + (uint64_t)a);
		ring_take(ring, n, 0);
	}
	os_thread_join(writer);
}

/* ---- the queue ----------------------------------------------------------------------------- */

Test(queue, agrees_with_a_model, .timeout = 60)
{
	struct message_queue queue = {0};
	uint64_t pushed = 0, dropped = 0;
	for (int i = 0; i < 100 * 1000; i++) {
		for (uint64_t n = any(i % 1000 < 500 ? 8 : 3); n; n--)
			message_queue_push(&queue)->args[0].word = pushed++;
		for (uint64_t n = any(i % 1000 < 500 ? 3 : 12); n && dropped < pushed; n--, dropped++) {
			struct message *front = message_queue_front(&queue);
			cr_assert_eq(front->args[0].word, dropped);
			message_queue_push(&queue)->args[0].word = pushed++;
			cr_assert_eq(front->args[0].word, dropped, "a message moved while it ran");
			message_queue_drop(&queue);
			if (any(2) && dropped + 1 < pushed) {
				message_queue_drop(&queue);
				dropped++;
			}
		}
		cr_assert_eq(queue.n, pushed - dropped);
		cr_assert_eq(message_queue_empty(&queue), pushed == dropped);
	}
	message_queue_fini(&queue);
	message_queue_fini(&queue);
}
