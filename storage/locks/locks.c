#include "storage/locks/locks.h"

#include "engine/base/rare.h"
#include "engine/memory/memory.h"

#include <assert.h>

enum { TABLE_SIZE = RARE(256, 2) };

/* A fingerprint that is held; those who wait for it in order. */
struct lock {
	struct lock *next;
	uint64_t fingerprint;
	uint64_t number; /* of its holding */
	struct link waiters;
};

struct locks {
	uint32_t users; /* locks held, gate held, entries queued: first, see locks_at_rest() */
	uint32_t held;
	bool gated;
	uint64_t next_number;
	uint64_t gate_number; /* while gated */
	struct link entry;    /* the gate's waiters, and who came after them */
	struct lock *table[TABLE_SIZE];
};

struct locks *locks_new(void)
{
	struct locks *locks = memory_zalloc(sizeof(*locks));
	list_init(&locks->entry);
	return locks;
}

void locks_free(struct locks *locks)
{
	if (!locks)
		return;
	assert(locks->users == 0);
	memory_free(locks);
}

static struct lock **lock_place(struct locks *locks, uint64_t fingerprint)
{
	struct lock **at = &locks->table[fingerprint % TABLE_SIZE];
	while (*at && (*at)->fingerprint != fingerprint)
		at = &(*at)->next;
	return at;
}

static void lock_hold(struct locks *locks, struct lock **place, uint64_t fingerprint)
{
	struct lock *lock = memory_alloc(sizeof(*lock));
	lock->next = NULL;
	lock->fingerprint = fingerprint;
	lock->number = locks->next_number++;
	list_init(&lock->waiters);
	*place = lock;
	locks->held++;
	locks->users++;
}

static void line_up(struct link *waiters, struct lock_waiter *waiter)
{
	if (waiter->place == LOCK_LAST)
		list_push_back(waiters, &waiter->link);
	else if (waiter->place == LOCK_FIRST || list_empty(waiters))
		list_push_front(waiters, &waiter->link);
	else
		list_push_front(waiters->next, &waiter->link);
}

/* Takes the lock or queues at its key; the gate does not stand in the way. */
static bool take_inside(struct locks *locks, struct lock_waiter *waiter)
{
	struct lock **place = lock_place(locks, waiter->fingerprint);
	if (*place) {
		line_up(&(*place)->waiters, waiter);
		return false;
	}
	if (waiter->kind == LOCK_HOLD)
		lock_hold(locks, place, waiter->fingerprint);
	return true;
}

static bool take_gate(struct locks *locks)
{
	if (locks->held > 0 || locks->gated)
		return false;
	locks->gated = true;
	locks->gate_number = locks->next_number++;
	locks->users++;
	return true;
}

bool lock_take(struct locks *locks, struct lock_waiter *waiter)
{
	bool must_queue = !waiter->inside && (locks->gated || !list_empty(&locks->entry));
	if (!must_queue && waiter->kind != LOCK_GATE)
		return take_inside(locks, waiter);
	if (!must_queue && take_gate(locks))
		return true;
	list_push_back(&locks->entry, &waiter->link);
	locks->users++;
	return false;
}

bool lock_try(struct locks *locks, uint64_t fingerprint)
{
	struct lock **place = lock_place(locks, fingerprint);
	if (locks->gated || *place)
		return false;
	lock_hold(locks, place, fingerprint);
	return true;
}

/* Lets in those who line up at the entry, until the next gate or the end of the line. */
static void serve_entry(struct shard *shard, struct locks *locks)
{
	while (!locks->gated && !list_empty(&locks->entry)) {
		struct lock_waiter *first = container_of(locks->entry.next, struct lock_waiter, link);
		if (first->kind == LOCK_GATE && !take_gate(locks))
			return;
		list_remove(&first->link);
		locks->users--;
		if (first->kind == LOCK_GATE || take_inside(locks, first))
			first->run(shard, first);
	}
}

void lock_release(struct shard *shard, struct locks *locks, uint64_t fingerprint)
{
	struct lock *lock = *lock_place(locks, fingerprint);
	assert(lock);
	/* PASS waiters run with the lock still in the table, so that what they start cannot
	 * overtake those behind them. */
	for (struct link *link; (link = list_pop_front(&lock->waiters));) {
		struct lock_waiter *next = container_of(link, struct lock_waiter, link);
		bool hands_over = next->kind == LOCK_HOLD;
		if (hands_over)
			lock->number = locks->next_number++;
		next->run(shard, next);
		if (hands_over)
			return;
	}
	*lock_place(locks, fingerprint) = lock->next;
	memory_free(lock);
	locks->held--;
	locks->users--;
	serve_entry(shard, locks);
}

void gate_release(struct shard *shard, struct locks *locks)
{
	assert(locks->gated);
	locks->gated = false;
	locks->users--;
	serve_entry(shard, locks);
}

/* ---- turning away ------------------------------------------------------------------- */

/* Moves those who can be refused out of a queue; their number. */
static uint32_t take_out(struct link *queue, bool gates_only, struct link *out)
{
	uint32_t n = 0;
	list_each (link, queue) {
		struct lock_waiter *waiter = container_of(link, struct lock_waiter, link);
		if (!waiter->refused || (gates_only && waiter->kind != LOCK_GATE))
			continue;
		list_remove(link);
		list_push_back(out, link);
		n++;
	}
	return n;
}

/* They are in no queue any more, so whatever they do now is theirs to do. */
static void refuse_all(struct shard *shard, struct link *refused, const char *why)
{
	for (struct link *link; (link = list_pop_front(refused));) {
		struct lock_waiter *waiter = container_of(link, struct lock_waiter, link);
		waiter->refused(shard, waiter, why);
	}
}

void lock_turn_away(struct shard *shard, struct locks *locks, uint64_t fingerprint, const char *why)
{
	struct lock *lock = *lock_place(locks, fingerprint);
	struct link refused;
	list_init(&refused);
	locks->users -= take_out(&locks->entry, true, &refused);
	bool any_gate = !list_empty(&refused);
	if (lock)
		(void)take_out(&lock->waiters, false, &refused);
	refuse_all(shard, &refused, why);
	if (any_gate)
		serve_entry(shard, locks);
}

void gate_turn_away(struct shard *shard, struct locks *locks, const char *why)
{
	struct link refused;
	list_init(&refused);
	if (!locks->gated)
		return;
	locks->users -= take_out(&locks->entry, false, &refused);
	refuse_all(shard, &refused, why);
}

bool lock_is_held(const struct locks *locks, uint64_t fingerprint)
{
	const struct lock *lock = locks->held > 0 ? locks->table[fingerprint % TABLE_SIZE] : NULL;
	while (lock && lock->fingerprint != fingerprint)
		lock = lock->next;
	return lock;
}

bool locks_gated(const struct locks *locks) { return locks->gated || !list_empty(&locks->entry); }

uint64_t locks_next(const struct locks *locks) { return locks->next_number; }

uint64_t locks_oldest(const struct locks *locks)
{
	uint64_t oldest = locks->gated ? locks->gate_number : UINT64_MAX;
	for (uint32_t i = 0; i < TABLE_SIZE && locks->held > 0; i++)
		for (const struct lock *lock = locks->table[i]; lock; lock = lock->next)
			if (lock->number < oldest)
				oldest = lock->number;
	return oldest;
}
