/* When the fields of a hash expire: the index of a large one, and what the shard's expiry asks. */
#include "engine/memory/slab.h"
#include "storage/keyspace/hash_private.h"
#include "storage/keyspace/hash_times.h"

/* ---- the index of a large one ------------------------------------------------------------- */

bool index_add(struct shard *shard, struct root *root, int64_t time_ms, uint64_t hash)
{
	struct tree *times = root_times(root);
	if (!times) {
		times = value_take(shard, sizeof(*times));
		*times = (struct tree){0};
		root->times |= (uintptr_t)times | ROOT_TIMED;
	}
	return times_add(shard, times, time_ms, hash);
}

static void index_free(struct shard *shard, struct root *root)
{
	value_give(shard, root_times(root), sizeof(struct tree));
	root->times &= ROOT_FLAGS;
}

void index_remove(struct shard *shard, struct root *root, int64_t time_ms, uint64_t hash)
{
	struct tree *times = root_times(root);
	times_remove(shard, times, time_ms, hash);
	if (times->count == 0)
		index_free(shard, root);
}

void hash_let_go(struct shard *shard, void *at)
{
	struct root *root = at;
	if (!root_times(root))
		return;
	tree_doom(shard, root_times(root));
	index_free(shard, root);
}

void hash_share(struct shard *shard, void *at, void *to)
{
	struct root *copy = to;
	struct tree *times = root_times(at);
	if (!times)
		return;
	struct tree *shared = value_take(shard, sizeof(*shared));
	*shared = tree_share(times);
	copy->times = (copy->times & ROOT_FLAGS) | (uintptr_t)shared;
}

size_t hash_memory(const void *root)
{
	const struct tree *times = root_times(root);
	return times ? slab_size(sizeof(*times)) + times->memory : 0;
}

/* ---- asking --------------------------------------------------------------------------- */

/* NULL: it is small, or no field expires. */
static struct tree *times_of(const struct object *object)
{
	return object->encoding == ENCODING_TREE ? root_times(root_of(object)) : NULL;
}

int64_t hash_due(const struct object *object)
{
	struct tree *times = times_of(object);
	uint64_t hash;
	if (times)
		return times_first(times, &hash);
	if (object->encoding != ENCODING_TIMED || body_of(object)->len == 0)
		return EXPIRES_NEVER;
	return time_told(triple_time(body_of(object)->ptr));
}

bool hash_is_over(const struct object *object, int64_t now_ms)
{
	struct tree *times = times_of(object);
	if (times)
		return times->count == collection_count(object) && times_last(times) <= now_ms;
	return object->encoding == ENCODING_TIMED && time_is_past(triples_last(object), now_ms);
}

uint64_t hash_count(const struct object *object, int64_t now_ms)
{
	uint64_t count = collection_count(object);
	struct tree *times = times_of(object);
	uint32_t gone = 0;
	if (times)
		return count - times_until(times, now_ms);
	if (object->encoding == ENCODING_TIMED)
		(void)triples_living(object, now_ms, UINT32_MAX, &gone);
	return count - gone;
}

/* ---- reaping -------------------------------------------------------------------------- */

static uint32_t reap_triples(struct collection *hash, uint32_t most)
{
	uint32_t n;
	(void)triples_living(hash->object, hash->shard->now_ms, most, &n);
	for (uint32_t i = 0; i < n; i++)
		hash_reap_triple(hash);
	return n;
}

static uint32_t reap_entries(struct collection *hash, uint32_t most)
{
	struct slots slots = slots_of(hash->shard, hash->object);
	struct slots_place place;
	uint32_t n = 0;
	uint64_t field;
	for (struct tree *times; n < most && (times = times_of(hash->object)); n++) {
		int64_t time_ms = times_first(times, &field);
		if (time_ms > hash->shard->now_ms)
			break;
		bool found = slots_find_timed(&slots, field, time_ms, &place);
		assert(found);
		hash_reap_entry(hash, &slots, &place);
	}
	return n;
}

uint32_t hash_reap(struct collection *hash, uint32_t most)
{
	return hash->object->encoding == ENCODING_TREE ? reap_entries(hash, most) : reap_triples(hash, most);
}
