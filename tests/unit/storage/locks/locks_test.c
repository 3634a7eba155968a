/* The lock table against a simple model: who holds what, and who must have waited. */
#include "storage/locks/locks.h"

#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 6, ACTORS = 24, STEPS = 20000 };

struct actor {
	struct lock_waiter waiter; /* first */
	bool waiting, granted;
	unsigned order;   /* of asking */
	unsigned holding; /* number of it */
};

static struct actor actors[ACTORS];
static struct locks *locks;
static unsigned clock_of_asking, holdings;
static int holder[KEYS]; /* actor that holds the key, or -1 */
static int gate_holder;

static int held(void)
{
	int n = 0;
	for (int k = 0; k < KEYS; k++)
		n += holder[k] >= 0;
	return n;
}

static void note_granted(struct actor *a)
{
	int id = (int)(a - actors);
	a->waiting = false;
	switch (a->waiter.kind) {
	case LOCK_PASS:
		cr_assert(gate_holder < 0 || gate_holder == id, "nobody passes a closed gate");
		break;
	case LOCK_HOLD:
		cr_assert(gate_holder < 0);
		cr_assert(holder[a->waiter.fingerprint] == -1 || holder[a->waiter.fingerprint] == -2,
		          "two hold one key");
		holder[a->waiter.fingerprint] = id;
		a->granted = true;
		a->holding = holdings++;
		break;
	case LOCK_GATE:
		cr_assert_eq(held(), 0, "the gate closed over held keys");
		cr_assert(gate_holder < 0);
		gate_holder = id;
		a->granted = true;
		a->holding = holdings++;
		break;
	}
}

static void on_turn(struct shard *shard, struct lock_waiter *waiter)
{
	struct actor *a = container_of(waiter, struct actor, waiter);
	cr_assert(a->waiting);
	/* First come, first served: nobody of the same key and way in has waited longer. */
	for (int i = 0; i < ACTORS; i++)
		if (actors[i].waiting && &actors[i] != a && a->waiter.kind != LOCK_GATE &&
		    actors[i].waiter.kind != LOCK_GATE && actors[i].waiter.fingerprint == a->waiter.fingerprint)
			cr_assert(actors[i].order > a->order, "overtaken");
	note_granted(a);
}

static unsigned refusals;

static void on_refusal(struct shard *shard, struct lock_waiter *waiter, const char *why)
{
	struct actor *a = container_of(waiter, struct actor, waiter);
	cr_assert(a->waiting);
	cr_assert_str_eq(why, "busy");
	a->waiting = false;
	refusals++;
}

static void ask(struct actor *a, enum lock_kind kind, uint64_t key)
{
	a->waiter = (struct lock_waiter){.fingerprint = key, .kind = kind, .run = on_turn};
	a->waiter.refused = rand() % 2 ? on_refusal : NULL;
	a->order = ++clock_of_asking;
	a->waiting = true;
	if (lock_take(locks, &a->waiter))
		note_granted(a);
}

static void give_back(struct actor *a)
{
	a->granted = false;
	if (a->waiter.kind == LOCK_GATE) {
		gate_holder = -1;
		gate_release(NULL, locks);
		return;
	}
	uint64_t key = a->waiter.fingerprint;
	holder[key] = -2; /* on its way to the next */
	lock_release(NULL, locks, key);
	if (holder[key] == -2)
		holder[key] = -1;
}

/* Of those who wait behind the gate nobody is held up by a key. */
static bool is_refused(const struct actor *a, bool by_gate, uint64_t key)
{
	if (!a->waiting || !a->waiter.refused)
		return false;
	return by_gate || a->waiter.kind == LOCK_GATE || a->waiter.fingerprint == key;
}

static void turn_away(const struct actor *a)
{
	bool by_gate = a->waiter.kind == LOCK_GATE;
	uint64_t key = a->waiter.fingerprint;
	if (by_gate)
		gate_turn_away(NULL, locks, "busy");
	else
		lock_turn_away(NULL, locks, key, "busy");
	/* Those who lined up behind a gate's waiter have gone on to the key, and are refused the next time. */
	if (!by_gate)
		lock_turn_away(NULL, locks, key, "busy");
	bool gated = false;
	for (int i = 0; i < ACTORS; i++)
		gated |= actors[i].waiting && actors[i].waiter.kind == LOCK_GATE;
	for (int i = 0; i < ACTORS && !(gated && !by_gate); i++)
		cr_assert_not(is_refused(&actors[i], by_gate, key), "actor %d waits on", i);
}

static void check_numbers(void)
{
	uint64_t oldest = UINT64_MAX;
	for (int i = 0; i < ACTORS; i++)
		if (actors[i].granted && actors[i].holding < oldest)
			oldest = actors[i].holding;
	cr_assert_eq(locks_oldest(locks), oldest);
	cr_assert_eq(locks_next(locks), holdings);
}

Test(locks, random_actors_never_share_and_all_get_their_turn)
{
	locks = locks_new();
	gate_holder = -1;
	for (int k = 0; k < KEYS; k++)
		holder[k] = -1;
	srand(7);
	for (int step = 0; step < STEPS; step++) {
		struct actor *a = &actors[rand() % ACTORS];
		if (a->granted && rand() % 4 == 0)
			turn_away(a);
		else if (a->granted)
			give_back(a);
		else if (!a->waiting)
			ask(a,
			    rand() % 20 == 0 ? LOCK_GATE
			    : rand() % 2     ? LOCK_HOLD
			                     : LOCK_PASS,
			    (uint64_t)(rand() % KEYS));
		check_numbers();
	}
	for (bool again = true; again;) {
		again = false;
		for (int i = 0; i < ACTORS; i++)
			if (actors[i].granted) {
				give_back(&actors[i]);
				again = true;
			}
	}
	for (int i = 0; i < ACTORS; i++)
		cr_assert_not(actors[i].waiting, "actor %d starves", i);
	cr_assert(locks_at_rest(locks));
	cr_assert_gt(refusals, 100);
	locks_free(locks);
}

Test(locks, an_insider_is_not_held_up_by_the_gate)
{
	locks = locks_new();
	gate_holder = -1;
	for (int k = 0; k < KEYS; k++)
		holder[k] = -1;
	ask(&actors[0], LOCK_HOLD, 1);
	ask(&actors[1], LOCK_GATE, 0);
	cr_assert(actors[1].waiting);
	struct actor *second = &actors[2];
	second->waiter = (struct lock_waiter){.fingerprint = 2, .kind = LOCK_HOLD, .inside = true, .run = on_turn};
	cr_assert(lock_take(locks, &second->waiter), "who holds a key may take the next");
	holder[2] = 2;
	second->granted = true;
	give_back(second);
	cr_assert(actors[1].waiting);
	give_back(&actors[0]);
	cr_assert(actors[1].granted);
	ask(&actors[3], LOCK_PASS, 5);
	cr_assert(actors[3].waiting);
	give_back(&actors[1]);
	cr_assert_not(actors[3].waiting);
	cr_assert(locks_at_rest(locks));
	locks_free(locks);
}

/* ---- one who finds, when it is his turn, that something is missing ---------------------- */

static char told[8];
static struct lock_waiter in_line[4]; /* who holds the key; who misses something; who brings it; who is next */

static void tell_turn(struct shard *shard, struct lock_waiter *waiter) { told[strlen(told)] = "hmbn"[waiter - in_line]; }

static void miss_something(struct shard *shard, struct lock_waiter *waiter)
{
	tell_turn(shard, waiter);
	in_line[2] = (struct lock_waiter){.kind = LOCK_HOLD, .place = LOCK_FIRST, .run = tell_turn};
	waiter->place = LOCK_SECOND;
	waiter->run = tell_turn;
	cr_assert_not(lock_take(locks, &in_line[2]));
	cr_assert_not(lock_take(locks, waiter));
}

Test(locks, one_who_waits_again_keeps_his_place)
{
	locks = locks_new();
	in_line[0] = (struct lock_waiter){.kind = LOCK_HOLD, .run = tell_turn};
	in_line[1] = (struct lock_waiter){.kind = LOCK_PASS, .run = miss_something};
	in_line[3] = (struct lock_waiter){.kind = LOCK_PASS, .run = tell_turn};
	cr_assert(lock_take(locks, &in_line[0]));
	cr_assert_not(lock_take(locks, &in_line[1]));
	cr_assert_not(lock_take(locks, &in_line[3]));
	lock_release(NULL, locks, 0);
	cr_assert_str_eq(told, "mb");
	lock_release(NULL, locks, 0);
	cr_assert_str_eq(told, "mbmn");
	cr_assert(locks_at_rest(locks));
	locks_free(locks);
}
