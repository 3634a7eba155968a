/* The shard itself: its life, memory, background work. */
#include "engine/memory/memory.h"
#include "engine/memory/slab.h"
#include "storage/journal/journal.h"
#include "storage/keyspace/keyspace_private.h"
#include "storage/locks/locks.h"
#include "storage/tier/tier.h"

/* ---- memory ------------------------------------------------------------------------- */

void *table_take(struct shard *shard, size_t size)
{
	shard->counters.tables_bytes += slab_size(size);
	return slab_take(shard->slab, size);
}

void table_give(struct shard *shard, void *block, size_t size)
{
	shard->counters.tables_bytes -= slab_size(size);
	slab_give(shard->slab, block, size);
}

uint64_t shard_memory(const struct shard *shard) { return slab_used(shard->slab); }

/* ---- life --------------------------------------------------------------------------- */

/* Sanitizers must see every block, and a scratch shard lives too short to map regions. */
static enum slab_backing backing_for(const struct core *core)
{
#if ORBIT_SYSTEM_MALLOC
	return SLAB_PLAIN;
#else
	return core ? SLAB_REGIONS : SLAB_PLAIN;
#endif
}

static void region_empty(void *arg) { background_wake(arg); }

struct shard *shard_new(struct core *core, uint64_t hash_seed)
{
	struct shard *shard = memory_zalloc(sizeof(*shard));
	struct keyspace_tables *tables = memory_zalloc(sizeof(*tables));
	*shard = (struct shard){.core = core,
	                        .hash_seed = hash_seed,
	                        .slab = slab_new(backing_for(core)),
	                        .tables = tables,
	                        .locks = locks_new(),
	                        .collections = {.list_leaf = -2,
	                                        .set_integers_max = 512,
	                                        .hash_entries_max = 512,
	                                        .hash_value_max = 64,
	                                        .zset_packed_count = 128,
	                                        .zset_packed_member = 64,
	                                        .stream_bytes = 4096,
	                                        .stream_entries = 100}};
	for (uint32_t db = 0; db < sizeof(shard->keyspace_of_db) / sizeof(shard->keyspace_of_db[0]); db++)
		shard->keyspace_of_db[db] = db; /* until a SWAPDB or FLUSHDB */
	wheel_init(&tables->wheel);
	list_init(&tables->dropped);
	list_init(&tables->blocks);
	list_init(&tables->trees);
	tables->random = hash_seed;
	background_init(shard);
	slab_tell_empty(shard->slab, region_empty, shard);
	return shard;
}

void shard_free(struct shard *shard)
{
	if (!shard)
		return;
	struct keyspace_tables *tables = shard->tables;
	while (tables->n_keyspaces)
		keyspace_drop(shard, tables->keyspaces[0]->id, true);
	free_run(shard, INT64_MAX);
	background_fini(shard);
	assert(tables->loans.n == 0);
	assert(!tables->watches);
	waits_free(shard);
	memory_free(tables->loans.table);
	memory_free(tables->keyspaces);
	memory_free(tables);
	locks_free(shard->locks);
	slab_free(shard->slab);
	memory_free(shard);
}

/* SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
uint64_t shard_random(struct shard *shard)
{
	uint64_t z = shard->tables->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* ---- background --------------------------------------------------------------------- */

enum {
	ENTRY_NS = 25,      /* to see one entry and its object, when prefetched */
	EVICTIONS_MAX = 16, /* in one admission */
	EVICTION_COST = 40,
	TRIM_COST = 2000, /* of giving a region back */
};

uint64_t shard_excess(const struct shard *shard, unsigned percent)
{
	uint64_t limit = shard->memory_max / 100 * percent + shard->memory_max % 100 * percent / 100;
	uint64_t used = sizeof(*shard) + shard_memory(shard);
	return shard->memory_max && used > limit ? used - limit : 0;
}

static bool over_limit(const struct shard *shard)
{
	/* What an empty shard takes counts here, so that a limit of one byte is always passed. */
	return shard->memory_max && sizeof(*shard) + shard_memory(shard) > shard->memory_max;
}

bool shard_may_forget(const struct shard *shard) { return shard_refuses(shard, SHARD_WRITES) == OK; }

/* Work is counted in entries, not measured: so it is the same in every run of a simulation. */
bool shard_background(struct shard *shard, uint64_t budget_ns, uint64_t *next_ns)
{
	assert(!shard->recovering);
	int64_t budget = (int64_t)(budget_ns / ENTRY_NS) + 1;
	budget = free_run(shard, budget);
	bool forgetting = shard_may_forget(shard);
	if (forgetting)
		budget = expiry_run(shard, budget);
	for (; budget > 0 && slab_can_trim(shard->slab); budget -= TRIM_COST)
		slab_trim(shard->slab);
	bool evicting = false;
	for (; budget > 0 && forgetting && over_limit(shard); budget -= EVICTION_COST) {
		evicting = evict_one(shard);
		if (!evicting)
			break;
	}
	if (shard->journal)
		journal_flush(shard->journal);
	if (free_is_due(shard) || slab_can_trim(shard->slab) || (forgetting && expiry_is_due(shard)) ||
	    (evicting && over_limit(shard)))
		return true;
	int64_t next_ms = expiry_next_ms(shard);
	uint64_t now_ns = shard->core ? shard->core->now_ns : 0;
	*next_ns = next_ms == INT64_MAX ? UINT64_MAX : now_ns + (uint64_t)(next_ms - shard->now_ms) * 1000000u;
	return false;
}

bool shard_admit(struct shard *shard)
{
	if (unlikely(shard->policy == EVICT_TIER))
		return tier_admit(shard);
	if (likely(!over_limit(shard)))
		return true;
	if (!shard_may_forget(shard))
		return false;
	for (int i = 0; i < EVICTIONS_MAX && over_limit(shard); i++)
		if (!evict_one(shard))
			return false;
	background_wake(shard);
	return true;
}

void shard_relieve(struct shard *shard)
{
	if (unlikely(over_limit(shard)) && shard->policy != EVICT_TIER)
		(void)shard_admit(shard);
}

/* ---- proof -------------------------------------------------------------------------- */

static void keyspace_verify(struct shard *shard, struct keyspace *keyspace, struct dict_tally *all)
{
	struct dict_tally total = {0};
	for (unsigned partition = 0; partition < PARTITIONS; partition++)
		dict_verify(shard, &keyspace->dicts[partition], &total);
	assert(keyspace->count == total.count);
	assert(keyspace->expiring == total.expiring);
	assert(keyspace->due == total.due);
	assert(keyspace->expiry_sum_ms == total.expiry_sum_ms);
	all->segments_due += total.segments_due;
}

void shard_verify(struct shard *shard)
{
	struct keyspace_tables *tables = shard->tables;
	struct dict_tally all = {0};
	for (uint32_t i = 0; i < tables->n_keyspaces; i++) {
		assert(i == 0 || tables->keyspaces[i - 1]->id < tables->keyspaces[i]->id);
		assert(!tables->keyspaces[i]->dropped);
		keyspace_verify(shard, tables->keyspaces[i], &all);
	}
	if (list_empty(&tables->dropped))
		assert(tables->wheel.n == all.segments_due);
	assert(shard->counters.objects_bytes + shard->counters.tables_bytes == slab_used(shard->slab));
	slab_verify(shard->slab);
}
