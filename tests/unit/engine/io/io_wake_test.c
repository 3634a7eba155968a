/* Waking: never lost, whoever wakes and whenever. */
#include "tests/unit/engine/io/io_test.h"

#include <stdatomic.h>

/* ---- from a thread that is no core -------------------------------------------------------- */

struct waker {
	struct io *target;
	_Atomic uint64_t asked, seen;
	uint64_t rounds;
};

static void wake_again_and_again(void *arg)
{
	struct waker *w = arg;
	for (uint64_t i = 1; i <= w->rounds; i++) {
		atomic_store_explicit(&w->asked, i, memory_order_release);
		io_wake(NULL, w->target);
		if (i % 3 == 0)
			io_wake(NULL, w->target); /* cheap to call twice */
		while (atomic_load_explicit(&w->seen, memory_order_acquire) != i)
			sched_yield();
	}
}

EACH_BACK_END(wake_from_a_thread_is_never_lost)
{
	struct waker w = {.target = io, .rounds = 5000};
	pthread_t thread;
	cr_assert_eq(os_thread_start(&thread, -1, "waker", wake_again_and_again, &w), 0);
	uint64_t until = os_now_ns() + patience_ns;
	for (uint64_t seen = 0; seen < w.rounds;) {
		uint64_t asked = atomic_load_explicit(&w.asked, memory_order_acquire);
		if (asked != seen) {
			seen = asked;
			atomic_store_explicit(&w.seen, seen, memory_order_release);
			continue;
		}
		io_poll(io, UINT64_MAX);
		cr_assert_lt(os_now_ns(), until);
	}
	os_thread_join(thread);
}

EACH_BACK_END(wake_before_the_sleep_ends_it)
{
	for (int i = 0; i < 20; i++) {
		io_wake(i % 2 ? NULL : io, io);
		uint64_t start = io_now_ns(io);
		int n = 0;
		while (n == 0)
			n = io_poll(io, start + 5000000000ull);
		cr_assert_lt(io_now_ns(io) - start, 2000000000ull);
	}
}

/* ---- between cores -------------------------------------------------------------------------- */

/* Two ios hand a number to and fro. Each sleeps for ever after announcing it, and looks
 * once more in between, as a reactor does; whoever publishes wakes only a sleeper. */
struct court {
	_Atomic uint64_t ball; /* the side it is on has its parity */
	struct io *_Atomic io[2];
	atomic_bool asleep[2];
	enum back_end which[2];
	uint64_t rounds;
	_Atomic int out;
};

struct player {
	struct court *court;
	int side;
};

static void play(void *arg)
{
	struct player *p = arg;
	struct court *c = p->court;
	struct io *io = back_end_new(c->which[p->side]), *other;
	atomic_store(&c->io[p->side], io);
	while (!(other = atomic_load(&c->io[1 - p->side])))
		sched_yield();
	for (;;) {
		uint64_t ball = atomic_load(&c->ball);
		if (ball >= c->rounds)
			break;
		if ((int)(ball % 2) == p->side) {
			atomic_store(&c->ball, ball + 1);
			if (atomic_exchange(&c->asleep[1 - p->side], false))
				io_wake(io, other);
			io_poll(io, 0); /* the end of the turn */
			continue;
		}
		atomic_store(&c->asleep[p->side], true);
		if ((int)(atomic_load(&c->ball) % 2) != p->side && atomic_load(&c->ball) < c->rounds)
			io_poll(io, UINT64_MAX);
		atomic_store(&c->asleep[p->side], false);
	}
	/* The other may still sleep, or be about to wake us: both leave together. */
	io_wake(io, other);
	io_poll(io, 0);
	atomic_fetch_add(&c->out, 1);
	while (atomic_load(&c->out) < 2) {
		io_poll(io, io_now_ns(io) + 1000000);
		sched_yield();
	}
	atomic_fetch_add(&c->out, 1);
	while (atomic_load(&c->out) < 4)
		sched_yield();
	io_free(io);
}

static void ping_pong(enum back_end a, enum back_end b)
{
	struct court court = {.which = {a, b}, .rounds = 20000};
	struct player players[2] = {{&court, 0}, {&court, 1}};
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		cr_assert_eq(os_thread_start(&threads[i], -1, "player", play, &players[i]), 0);
	for (int i = 0; i < 2; i++)
		os_thread_join(threads[i]);
	cr_assert_eq(atomic_load(&court.ball), court.rounds);
}

Test(uring, no_wake_is_lost_between_cores, .timeout = 60) { ping_pong(BACK_END_URING, BACK_END_URING); }
Test(uring_coop, no_wake_is_lost_between_cores, .timeout = 60) { ping_pong(BACK_END_COOP, BACK_END_COOP); }
Test(uring_plain, no_wake_is_lost_between_cores, .timeout = 60) { ping_pong(BACK_END_PLAIN, BACK_END_PLAIN); }
Test(uring, no_wake_is_lost_to_and_from_epoll, .timeout = 60) { ping_pong(BACK_END_URING, BACK_END_EPOLL); }
Test(epoll, no_wake_is_lost_between_cores, .timeout = 60) { ping_pong(BACK_END_EPOLL, BACK_END_EPOLL); }
