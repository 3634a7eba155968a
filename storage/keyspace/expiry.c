/* When keys expire. Reading finds out by itself (place_find()); this is for the memory: each
 * segment waits in a wheel for the time before which none of its keys expires, is swept, and
 * waits again. No key costs anything for it. */
#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/keyspace_private.h"

/* ---- the wheel ---------------------------------------------------------------------- */

void wheel_init(struct expiry_wheel *wheel)
{
	list_init(&wheel->moved);
	for (int slot = 0; slot < WHEEL_SLOTS; slot++)
		list_init(&wheel->slots[slot]);
}

static unsigned bits_of(uint64_t x) { return x ? 64 - (unsigned)__builtin_clzll(x) : 0; }

static void wheel_add(struct expiry_wheel *wheel, struct segment *segment)
{
	int64_t at_ms = segment->due_ms > wheel->now_ms ? segment->due_ms : wheel->now_ms;
	unsigned slot = bits_of((uint64_t)(at_ms ^ wheel->now_ms));
	list_push_back(&wheel->slots[slot], &segment->due);
	wheel->used |= (uint64_t)1 << slot;
	wheel->n++;
}

void wheel_remove(struct expiry_wheel *wheel, struct segment *segment)
{
	if (!link_linked(&segment->due))
		return;
	list_remove(&segment->due);
	wheel->n--;
}

static void list_move_all(struct link *to, struct link *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

enum { CLOCK_JITTER_MS = 1000 };

/* The time moves on; what may be due waits in `moved`. The clocks of batches differ a little, so
 * a small step back is none; after a large one all is dealt out again. */
static void wheel_advance(struct expiry_wheel *wheel, int64_t now_ms)
{
	if (now_ms <= wheel->now_ms && now_ms >= wheel->now_ms - CLOCK_JITTER_MS)
		return;
	unsigned highest = now_ms > wheel->now_ms ? bits_of((uint64_t)(now_ms ^ wheel->now_ms)) : WHEEL_SLOTS - 1;
	for (unsigned slot = 0; slot <= highest; slot++)
		list_move_all(&wheel->moved, &wheel->slots[slot]);
	wheel->used &= ~(uint64_t)1 << highest;
	wheel->now_ms = now_ms;
}

/* ---- segments ----------------------------------------------------------------------- */

/* A sweep reads all keys of its segment that expire, so a segment waits at least as many
 * milliseconds as there are segments in the wheel: below 1 % of a core, whatever there is. */
void segment_arm(struct shard *shard, struct segment *segment)
{
	struct expiry_wheel *wheel = &shard->tables->wheel;
	wheel_remove(wheel, segment);
	if (segment->expires_ms == INT64_MAX)
		return;
	int64_t rested_ms = segment->swept_ms + wheel->n + 1;
	segment->due_ms = segment->expires_ms > rested_ms ? segment->expires_ms : rested_ms;
	wheel_add(wheel, segment);
	background_wake_at(shard, segment->due_ms);
}

void segment_expires(struct shard *shard, struct segment *segment, int64_t expires_ms)
{
	if (expires_ms >= segment->expires_ms)
		return;
	segment->expires_ms = expires_ms;
	segment_arm(shard, segment);
}

/* ---- sweeping ----------------------------------------------------------------------- */

enum {
	SWEEP_MAX = 64,
	REAPED_KEYS_MAX = 4, /* whose elements go, */
	REAP_MAX = 64,       /* so many of each */
	DELETE_COST = 12,
};

struct sweep {
	struct object *dead[SWEEP_MAX];
	unsigned n;
	struct object *due[REAPED_KEYS_MAX]; /* they live, but some of their elements have expired */
	unsigned n_due;
	bool more;
	int64_t now_ms;
	int64_t earliest_ms; /* of those that stay */
};

/* Has this time come? */
static bool sweep_time(struct sweep *sweep, int64_t time_ms)
{
	if (time_ms > sweep->now_ms && time_ms < sweep->earliest_ms)
		sweep->earliest_ms = time_ms;
	return time_ms <= sweep->now_ms;
}

/* False: there is no room for it. */
static bool sweep_keep(struct object **kept, unsigned *n, unsigned most, struct object *object)
{
	if (*n == most)
		return false;
	kept[(*n)++] = object;
	return true;
}

static void sweep_entry(struct sweep *sweep, uint64_t entry)
{
	struct object *object = entry_object(entry);
	if (entry & ENTRY_EXPIRES && sweep_time(sweep, *object_expiry(object)))
		sweep->more |= !sweep_keep(sweep->dead, &sweep->n, SWEEP_MAX, object);
	else if (entry & ENTRY_DUE && sweep_time(sweep, object_due_ms(object)))
		sweep->more |= !sweep_keep(sweep->due, &sweep->n_due, REAPED_KEYS_MAX, object);
}

static unsigned bucket_expiring(const struct bucket *bucket)
{
	unsigned expiring = 0;
	for (unsigned i = 0; i < BUCKET_ENTRIES; i++)
		expiring |= (bucket->tags[i] && bucket->entries[i] & ENTRY_WAITS ? 1u : 0u) << i;
	return expiring;
}

static void sweep_look(struct sweep *sweep, const struct segment *segment)
{
	uint32_t buckets = segment->n + segment->stash;
	unsigned expiring = bucket_expiring(&segment->buckets[0]);
	for (uint32_t at = 0; at < buckets; at++) {
		unsigned next = at + 1 < buckets ? bucket_expiring(&segment->buckets[at + 1]) : 0;
		for (unsigned left = next; left; left &= left - 1)
			__builtin_prefetch(entry_object(segment->buckets[at + 1].entries[__builtin_ctz(left)]));
		for (; expiring; expiring &= expiring - 1)
			sweep_entry(sweep, segment->buckets[at].entries[__builtin_ctz(expiring)]);
		expiring = next;
	}
}

/* Deleting may move or join the segment: so it is put back in the wheel first. Returns what the
 * sweep cost, in entries seen. */
static int64_t segment_sweep(struct shard *shard, struct segment *segment)
{
	struct keyspace *keyspace = dict_keyspace(segment->dict);
	if (keyspace->dropped)
		return 1;
	struct sweep sweep = {.now_ms = shard->now_ms, .earliest_ms = INT64_MAX};
	int64_t cost = segment->expiring + 8;
	sweep_look(&sweep, segment);
	segment->expires_ms = sweep.more ? shard->now_ms : sweep.earliest_ms;
	segment->swept_ms = sweep.more ? INT64_MIN / 2 : shard->tables->wheel.now_ms;
	segment_arm(shard, segment);
	for (unsigned i = 0; i < sweep.n; i++)
		keyspace_forget(shard, keyspace, sweep.dead[i], KEY_EXPIRED);
	shard->counters.expired += sweep.n;
	cost += DELETE_COST * sweep.n;
	for (unsigned i = 0; i < sweep.n_due; i++)
		cost += DELETE_COST * (int64_t)collection_reap(shard, keyspace, sweep.due[i], REAP_MAX);
	return cost;
}

static struct segment *first_of(struct link *list)
{
	return list_empty(list) ? NULL : container_of(list->next, struct segment, due);
}

int64_t expiry_run(struct shard *shard, int64_t budget)
{
	struct expiry_wheel *wheel = &shard->tables->wheel;
	wheel_advance(wheel, shard->now_ms);
	for (; budget > 0; budget--) {
		struct segment *segment = first_of(&wheel->moved);
		if (!segment)
			break;
		wheel_remove(wheel, segment);
		wheel_add(wheel, segment);
	}
	while (budget > 0 && expiry_is_due(shard)) {
		struct segment *segment = first_of(&wheel->slots[0]);
		wheel_remove(wheel, segment);
		budget -= segment_sweep(shard, segment);
	}
	return budget;
}

bool expiry_is_due(const struct shard *shard)
{
	const struct expiry_wheel *wheel = &shard->tables->wheel;
	return !list_empty(&wheel->moved) || !list_empty(&wheel->slots[0]);
}

int64_t expiry_next_ms(const struct shard *shard)
{
	const struct expiry_wheel *wheel = &shard->tables->wheel;
	if (expiry_is_due(shard))
		return wheel->now_ms;
	for (uint64_t used = wheel->used; used; used &= used - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(used);
		if (list_empty(&wheel->slots[slot]))
			continue;
		/* All times in the slot share the bits above, and have this one set. */
		uint64_t above = (uint64_t)wheel->now_ms >> (slot - 1);
		return (int64_t)((above | 1) << (slot - 1));
	}
	return INT64_MAX;
}
