/* Freeing what is large in slices: dropped keyspaces a segment at a time, huge blocks by 8 MiB. */
#include "engine/memory/slab.h"
#include "storage/journal/journal.h"
#include "storage/keyspace/collection_private.h"

static void keyspace_free(struct shard *shard, struct keyspace *keyspace)
{
	list_remove(&keyspace->link);
	table_give(shard, keyspace, sizeof(*keyspace));
}

enum { SLICE_COST = 500 }; /* of unmapping SLAB_HUGE_MIN, in entries seen */

struct doomed_block {
	struct link link;
	size_t size;
};

static int64_t blocks_cut(struct shard *shard, int64_t budget);

static void freed(struct shard *shard, uint64_t n)
{
	shard->counters.freeing -= n;
	shard->counters.freed += n;
}

void blocks_doom(struct shard *shard, void *block, size_t size)
{
	struct doomed_block *doomed = block;
	*doomed = (struct doomed_block){.size = slab_size(size)};
	list_push_back(&shard->tables->blocks, &doomed->link);
	shard->counters.freeing++;
	if (shard->core && !shard->recovering)
		background_wake(shard);
	else
		blocks_cut(shard, INT64_MAX); /* the block alone: a keyspace may be being freed above us */
}

static void block_cut(struct shard *shard, struct doomed_block *block)
{
	size_t size = block->size, keep = size >= 2 * SLAB_HUGE_MIN ? size - SLAB_HUGE_MIN : 0;
	block->size = keep;
	if (!keep) {
		list_remove(&block->link);
		freed(shard, 1);
	}
	shard->counters.objects_bytes -= size - keep;
	slab_cut(shard->slab, block, size, keep);
}

static int64_t blocks_cut(struct shard *shard, int64_t budget)
{
	struct keyspace_tables *tables = shard->tables;
	for (; budget > 0 && !list_empty(&tables->blocks); budget -= SLICE_COST)
		block_cut(shard, container_of(tables->blocks.next, struct doomed_block, link));
	return budget;
}

/* One segment, or one step over a partition without keys. */
static int64_t drop_step(struct shard *shard, struct keyspace *keyspace)
{
	struct keyspace_tables *tables = shard->tables;
	struct dict *dict = &keyspace->dicts[tables->drop_partition];
	uint64_t before = dict->count;
	if (dict->directory)
		tables->drop_at = dict_free_segment(shard, dict, tables->drop_at);
	uint64_t n = before - dict->count;
	freed(shard, n);
	if (tables->drop_at == 0 && ++tables->drop_partition == PARTITIONS) {
		tables->drop_partition = 0;
		keyspace_free(shard, keyspace);
	}
	return (int64_t)n + 1;
}

/* ---- trees -------------------------------------------------------------------------- */

enum { TREE_SMALL = RARE(64, 2) }; /* leaves that are freed at once */

struct doomed_tree {
	struct link link;
	struct tree tree;
};

static int64_t trees_cut(struct shard *shard, int64_t budget)
{
	struct keyspace_tables *tables = shard->tables;
	while (budget > 0 && !list_empty(&tables->trees)) {
		struct doomed_tree *doomed = container_of(tables->trees.next, struct doomed_tree, link);
		if (!tree_free_some(shard, &doomed->tree, &budget))
			break;
		list_remove(&doomed->link);
		freed(shard, 1);
		value_give(shard, doomed, sizeof(*doomed));
	}
	return budget;
}

void tree_doom(struct shard *shard, struct tree *tree)
{
	int64_t at_once = INT64_MAX;
	if (tree->leaves <= TREE_SMALL || !shard->core || shard->recovering) {
		(void)tree_free_some(shard, tree, &at_once);
		return;
	}
	struct doomed_tree *doomed = value_take(shard, sizeof(*doomed));
	doomed->tree = *tree;
	*tree = (struct tree){0};
	list_push_back(&shard->tables->trees, &doomed->link);
	shard->counters.freeing++;
	background_wake(shard);
}

int64_t free_run(struct shard *shard, int64_t budget)
{
	struct keyspace_tables *tables = shard->tables;
	budget = blocks_cut(shard, budget);
	budget = trees_cut(shard, budget);
	while (budget > 0 && !list_empty(&tables->dropped))
		budget -= 4 * drop_step(shard, container_of(tables->dropped.next, struct keyspace, link));
	return budget;
}

bool free_is_due(const struct shard *shard)
{
	return !list_empty(&shard->tables->blocks) || !list_empty(&shard->tables->trees) ||
	       !list_empty(&shard->tables->dropped);
}

void keyspace_drop(struct shard *shard, uint32_t id, bool now)
{
	struct keyspace *keyspace = keyspace_of(shard->tables, id);
	if (!keyspace)
		return;
	if (shard->journal)
		journal_keep_names(shard->journal);
	keyspace_unlist(shard->tables, keyspace);
	keyspace->dropped = true;
	shard->counters.freeing += keyspace->count;
	shard->changes += keyspace->count;
	list_push_back(&shard->tables->dropped, &keyspace->link);
	if (now)
		free_run(shard, INT64_MAX);
	else
		background_wake(shard);
}
