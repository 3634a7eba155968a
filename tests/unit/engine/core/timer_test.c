/* The wheel against a plain array: random starts, stops and steps of the clock. */
#include "engine/core/timer.h"

#include "engine/base/compiler.h"

#include "tests/support/unit.h"
#include <stdlib.h>

enum { N = 300 };
static const uint64_t ms = 1000 * 1000;

struct checked {
	struct timer timer;
	uint64_t at_ns; /* of the model; 0: not started */
	int fired;
};

static struct timer_wheel wheel;
static struct checked timers[N];
static uint64_t now_ns, seed = 88172645463325252u;
static int n_again;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void start(struct checked *t, uint64_t at_ns)
{
	t->at_ns = at_ns > now_ns ? at_ns : now_ns + 1; /* what is past is due now */
	timer_start(&wheel, &t->timer, at_ns);
}

/* Nearby, far, very far, and past. */
static uint64_t some_time(void)
{
	static const uint64_t spans_ms[] = {3, 300, 70000, 20000000, 6000000000, 20000000000};
	uint64_t span_ms = spans_ms[any(array_len(spans_ms))];
	if (any(20) == 0)
		return now_ns - any(now_ns < 1000 * ms ? now_ns + 1 : 1000 * ms);
	return now_ns + any(span_ms * ms);
}

static void fired(struct core *core, struct timer *timer)
{
	struct checked *t = container_of(timer, struct checked, timer);
	cr_assert(t->at_ns != 0, "fired though stopped");
	cr_assert(t->at_ns <= now_ns + 1, "fired %lu ns early", t->at_ns - now_ns);
	cr_assert(!timer_started(timer));
	t->at_ns = 0;
	t->fired++;
	if (any(4) == 0) {
		start(t, now_ns + any(1000 * ms));
		n_again++;
	}
	if (any(8) == 0) { /* another one goes, maybe of the same slot */
		struct checked *other = &timers[any(N)];
		timer_stop(&wheel, &other->timer);
		other->at_ns = 0;
	}
}

static uint64_t model_next_ns(void)
{
	uint64_t next = UINT64_MAX;
	for (int i = 0; i < N; i++)
		if (timers[i].at_ns && timers[i].at_ns < next)
			next = timers[i].at_ns;
	return next;
}

static void expect_agreement(void)
{
	uint32_t n = 0;
	uint64_t next = model_next_ns(), wheel_next = timer_wheel_next_ns(&wheel);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(timer_started(&timers[i].timer), timers[i].at_ns != 0);
		n += timers[i].at_ns != 0;
		/* Due ones wait a millisecond at most. */
		if (timers[i].at_ns)
			cr_assert(timers[i].at_ns + ms > now_ns, "late: %lu at %lu", timers[i].at_ns, now_ns);
	}
	cr_assert_eq(wheel.n, n);
	cr_assert_eq(wheel_next == UINT64_MAX, n == 0);
	if (n && next > now_ns)
		cr_assert(wheel_next < next + ms, "would sleep too long: %lu for %lu at %lu", wheel_next, next, now_ns);
	uint64_t used = 0;
	for (int level = 0; level < TIMER_LEVELS; level++)
		for (int slot = 0; slot < TIMER_SLOTS; slot++) {
			bool marked = wheel.used[level][slot / 64] >> slot % 64 & 1;
			cr_assert_eq(marked, !list_empty(&wheel.slots[level][slot]));
			used += marked;
		}
	cr_assert(used <= n);
}

static void advance(void)
{
	static const uint64_t steps_ms[] = {1, 1, 10, 500, 100000, 30000000, 5000000000};
	/* The clock itself ends after 584 years. */
	now_ns += any(steps_ms[any(array_len(steps_ms) - (now_ns >> 62 != 0))] * ms);
	if (any(5) == 0 && timer_wheel_next_ns(&wheel) != UINT64_MAX && timer_wheel_next_ns(&wheel) > now_ns)
		now_ns = timer_wheel_next_ns(&wheel);
	timer_wheel_run(NULL, &wheel, now_ns);
}

static void random_operations(uint64_t from_ns, int n)
{
	now_ns = from_ns;
	timer_wheel_init(&wheel, now_ns);
	for (int i = 0; i < N; i++)
		timers[i].timer.run = fired;
	for (int i = 0; i < n; i++) {
		struct checked *t = &timers[any(N)];
		switch (any(4)) {
		case 0:
		case 1:
			start(t, some_time());
			break;
		case 2:
			timer_stop(&wheel, &t->timer);
			t->at_ns = 0;
			break;
		case 3:
			advance();
			break;
		}
		if (i % 16 == 0)
			expect_agreement();
	}
	cr_assert(n_again > n / 100);
}

TestSuite(timer, .timeout = 60);

Test(timer, agrees_with_a_model) { random_operations(12345678901, 200 * 1000); }
Test(timer, agrees_with_a_model_from_zero) { random_operations(0, 100 * 1000); }

static int order[10], n_order;
static void note(struct core *core, struct timer *timer)
{
	order[n_order++] = (int)(container_of(timer, struct checked, timer) - timers);
}

Test(timer, fires_in_the_order_of_time)
{
	timer_wheel_init(&wheel, 0);
	for (int i = 0; i < 10; i++) {
		timers[i].timer.run = note;
		timer_start(&wheel, &timers[i].timer, (uint64_t)((i * 7 % 10) * 40000) * ms);
	}
	cr_assert_eq(timer_wheel_run(NULL, &wheel, 1000000 * ms), 10);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(order[i] * 7 % 10, i);
}

Test(timer, the_end_of_time_is_far)
{
	timer_wheel_init(&wheel, 5 * ms);
	timers[0].timer.run = note;
	timer_start(&wheel, &timers[0].timer, UINT64_MAX);
	cr_assert_eq(timer_wheel_run(NULL, &wheel, 1ull << 60), 0);
	cr_assert(timer_wheel_next_ns(&wheel) != UINT64_MAX);
	timer_stop(&wheel, &timers[0].timer);
	cr_assert_eq(timer_wheel_next_ns(&wheel), UINT64_MAX);
}
