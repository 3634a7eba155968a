/* The order in which waiters run, against a count of how many wait for each LSN. */
#include "storage/log/waiters_private.h"

#include <criterion/criterion.h>

enum { LSNS = 500, WAITERS = 4000, STEPS = 200 * 1000 };

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

struct world {
	struct waiters waiters;
	struct log_waiter all[WAITERS];
	uint32_t free[WAITERS], n_free;
	uint32_t count[LSNS]; /* who wait for it */
};

static struct world world;

static void add(uint64_t lsn)
{
	struct log_waiter *waiter = &world.all[world.free[--world.n_free]];
	waiter->lsn = lsn;
	world.count[lsn]++;
	waiters_add(&world.waiters, waiter);
}

static void take_one(void)
{
	uint64_t least = 0;
	while (least < LSNS && world.count[least] == 0)
		least++;
	const struct log_waiter *first = waiters_first(&world.waiters);
	if (least == LSNS) {
		cr_assert_null(first);
		return;
	}
	cr_assert_eq(first->lsn, least);
	cr_assert_eq(waiters_take(&world.waiters), first);
	world.count[least]--;
	world.free[world.n_free++] = (uint32_t)(first - world.all);
}

static void begin(void)
{
	for (uint32_t i = 0; i < WAITERS; i++)
		world.free[world.n_free++] = i;
}

Test(waiters, least_first, .init = begin)
{
	uint32_t at = 0;
	for (int i = 0; i < STEPS; i++) {
		bool grows = i / 5000 % 2 == 0 ? random_below(3) > 0 : random_below(3) == 0;
		at = random_below(50) == 0 ? random_below(LSNS) : at;
		if (grows && world.n_free > 0)
			add(random_below(4) > 0 ? at : random_below(LSNS));
		else
			take_one();
		cr_assert_eq(world.waiters.n, WAITERS - world.n_free);
	}
	while (world.waiters.n > 0)
		take_one();
	take_one();
}

Test(waiters, each_before_the_last, .init = begin)
{
	for (uint32_t i = LSNS; i > 0; i--)
		add(i - 1);
	for (int i = 0; i < LSNS; i++)
		take_one();
	take_one();
}
