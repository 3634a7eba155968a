/* Which key goes when memory is short. A hand goes round all buckets in the order of hashes;
 * where it stands it compares a dozen keys by what the policy looks at, and the worst goes.
 * So every key is weighed once a round against its neighbours, which are random company. */
#include "storage/keyspace/access_private.h"
#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/keyspace_private.h"

enum {
	CANDIDATES = 12, /* enough to choose from */
	CANDIDATES_MAX = 64,
	LOOKS_MAX = 64, /* buckets, or segments and partitions without candidates */
};

struct choice {
	struct shard *shard;
	bool expiring_only, warm_only;
	uint64_t seen;
	unsigned n;
	struct object *candidates[CANDIDATES_MAX];
};

static bool policy_is_volatile(enum eviction_policy policy)
{
	return policy >= EVICT_VOLATILE_LRU && policy <= EVICT_VOLATILE_TTL;
}

static void consider(void *arg, uint64_t entry)
{
	struct choice *choice = arg;
	choice->seen++;
	if (choice->n == CANDIDATES_MAX || (choice->warm_only && entry & ENTRY_COLD) ||
	    (choice->expiring_only && !(entry & ENTRY_EXPIRES)))
		return;
	__builtin_prefetch(entry_object(entry));
	choice->candidates[choice->n++] = entry_object(entry);
}

/* The one with most goes. */
static uint64_t weight(struct shard *shard, const struct object *object)
{
	switch (shard->policy) {
	case EVICT_ALLKEYS_LFU:
	case EVICT_VOLATILE_LFU:
		return 255 - access_frequency(shard, object);
	case EVICT_ALLKEYS_RANDOM:
	case EVICT_VOLATILE_RANDOM:
		return shard_random(shard);
	case EVICT_VOLATILE_TTL:
		return (uint64_t)(INT64_MAX - expiry_of(object));
	default:
		return access_age(shard, object);
	}
}

/* What is lent would stay in memory all the same. */
static struct object *choose(const struct choice *choice)
{
	struct object *worst = NULL;
	uint64_t most = 0;
	for (unsigned i = 0; i < choice->n; i++) {
		struct object *object = choice->candidates[i];
		if (object->lent)
			continue;
		uint64_t w = object_expired(object, choice->shard->now_ms) ? UINT64_MAX : weight(choice->shard, object);
		if (!worst || w > most) {
			worst = object;
			most = w;
		}
	}
	return worst;
}

/* The hand moves past one bucket, or past what has no candidates. */
static void hand_move(struct keyspace_tables *tables, struct keyspace *keyspace, struct choice *choice)
{
	struct dict *dict = &keyspace->dicts[tables->evict_partition];
	struct segment *segment = dict->directory ? cell_segment(dict_cell(dict, tables->evict_at)) : NULL;
	if (!segment)
		tables->evict_at = 0;
	else if (choice->expiring_only && !segment->expiring)
		tables->evict_at = segment->depth ? segment->prefix + ((uint64_t)1 << (64 - segment->depth)) : 0;
	else
		tables->evict_at = dict_walk(dict, tables->evict_at, consider, choice);
	if (tables->evict_at == 0 && ++tables->evict_partition == PARTITIONS) {
		tables->evict_partition = 0;
		tables->evict_keyspace++;
	}
}

static struct keyspace *hand_keyspace(struct keyspace_tables *tables, struct choice *choice)
{
	for (uint32_t i = 0; i < tables->n_keyspaces; i++) {
		tables->evict_keyspace %= tables->n_keyspaces;
		struct keyspace *keyspace = tables->keyspaces[tables->evict_keyspace];
		if (choice->expiring_only ? keyspace->expiring : keyspace->count)
			return keyspace;
		tables->evict_keyspace++;
		tables->evict_partition = 0;
		tables->evict_at = 0;
	}
	return NULL;
}

/* Candidates are of one keyspace: there are enough in it, or the next call looks on. */
bool evict_one(struct shard *shard)
{
	if (shard->policy == EVICT_NOTHING || shard->policy == EVICT_TIER)
		return false;
	struct keyspace_tables *tables = shard->tables;
	struct choice choice = {.shard = shard, .expiring_only = policy_is_volatile(shard->policy)};
	struct keyspace *keyspace = hand_keyspace(tables, &choice);
	if (!keyspace)
		return false;
	uint32_t here = tables->evict_keyspace;
	for (int looks = 0; looks < LOOKS_MAX && choice.n < CANDIDATES && tables->evict_keyspace == here; looks++)
		hand_move(tables, keyspace, &choice);
	struct object *victim = choose(&choice);
	if (!victim)
		return true;
	if (object_is_over(victim, shard->now_ms)) {
		(void)collection_reap(shard, keyspace, victim, 0);
		return true;
	}
	bool expired = object_expired(victim, shard->now_ms);
	if (expired)
		shard->counters.expired++;
	else
		shard->counters.evicted++;
	keyspace_forget(shard, keyspace, victim, expired ? KEY_EXPIRED : KEY_EVICTED);
	return true;
}

/* ---- what may leave memory ------------------------------------------------------------ */

enum { COLD_NAME_MAX = 64 * 1024 };

static bool may_leave(const struct object *object, bool backed)
{
	struct cold_pointer pointer;
	if (object_is_cold(object) || (backed && !object_pointer(object, &pointer)) ||
	    key_of(object).len > COLD_NAME_MAX)
		return false;
	size_t length = object_chillable(object);
	return length >= COLD_VALUE_MIN && length <= COLD_VALUE_MAX;
}

/* Of those that came since `kept`, leaves those that may go. */
static unsigned sift(struct choice *choice, unsigned kept, bool backed, struct cold_walk *walk)
{
	for (unsigned i = kept; i < choice->n; i++) {
		struct object *object = choice->candidates[i];
		if (!may_leave(object, backed))
			continue;
		if (object->lent)
			walk->busy++;
		else
			choice->candidates[kept++] = object;
	}
	return choice->n = kept;
}

static unsigned oldest_of(struct choice *choice, unsigned max, struct object **out)
{
	unsigned n = 0;
	for (; n < max && choice->n > 0; n++) {
		unsigned oldest = 0;
		for (unsigned i = 1; i < choice->n; i++)
			if (access_age(choice->shard, choice->candidates[i]) >
			    access_age(choice->shard, choice->candidates[oldest]))
				oldest = i;
		out[n] = choice->candidates[oldest];
		choice->candidates[oldest] = choice->candidates[--choice->n];
	}
	return n;
}

/* A third of a dozen goes; the others stay for this round. */
unsigned keyspace_coldest(struct shard *shard, bool backed, struct cold_walk *walk)
{
	struct keyspace_tables *tables = shard->tables;
	struct choice choice = {.shard = shard, .warm_only = true};
	struct keyspace *keyspace = hand_keyspace(tables, &choice);
	walk->seen++;
	if (!keyspace) {
		walk->seen += LOOKS_MAX;
		return 0;
	}
	uint32_t here = tables->evict_keyspace;
	unsigned kept = 0, looks = 0;
	for (; looks < LOOKS_MAX && kept < CANDIDATES && tables->evict_keyspace == here; looks++) {
		hand_move(tables, keyspace, &choice);
		kept = sift(&choice, kept, backed, walk);
	}
	walk->seen += choice.seen + looks; /* empty buckets are work too */
	walk->keyspace = keyspace->id;
	unsigned max = (kept + 2) / 3;
	return oldest_of(&choice, max < COLDEST_MAX ? max : COLDEST_MAX, walk->found);
}

uint64_t cold_round(const struct shard *shard)
{
	const struct keyspace_tables *tables = shard->tables;
	uint64_t places = LOOKS_MAX;
	for (uint32_t i = 0; i < tables->n_keyspaces; i++)
		places += PARTITIONS + 3 * tables->keyspaces[i]->count;
	return places;
}
