#include "storage/keyspace/pending.h"

#include "engine/base/buf.h"

enum { LEAF_FEW = IDS_LEAF / 4 };

void pending_set(struct pending *pending, uint32_t consumer, int64_t delivered_ms, uint64_t deliveries)
{
	const uint64_t most = ((uint64_t)1 << PENDING_TIMES_MAX_BITS) - 1;
	uint64_t ms = delivered_ms < 0 ? 0 : (uint64_t)delivered_ms;
	pending->delivered_ms = (ms < most ? ms : most) & most;
	pending->deliveries = (deliveries < most ? deliveries : most) & most;
	pending->consumer_low = consumer & 0xffff;
	pending->consumer_high = consumer >> 16 & 0xffff;
}

/* ---- places --------------------------------------------------------------------------- */

static struct stream_id id_at(const struct leaf *leaf, size_t size, uint32_t at)
{
	struct stream_id id;
	memcpy(&id, leaf->bytes + at * size, sizeof(id));
	return id;
}

/* The first record that is not before the ID, or the end. */
static uint32_t place_in(const struct leaf *leaf, size_t size, struct stream_id id)
{
	uint32_t from = 0, to = leaf->count;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (stream_id_compare(id_at(leaf, size, middle), id) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* False: there is no such record; the path leads to the leaf it would be in, if there is any leaf. */
static bool find(struct tree *ids, size_t size, struct stream_id id, struct tree_path *path, uint32_t *at)
{
	if (!tree_seek(ids, stream_key(id), NULL, NULL, path))
		return false;
	*at = place_in(path->leaf, size, id);
	return *at < path->leaf->count && stream_id_equal(id_at(path->leaf, size, *at), id);
}

/* ---- leaves --------------------------------------------------------------------------- */

static void changed(struct tree_path *path, size_t size, uint32_t count)
{
	tree_changed(path, count, (uint32_t)(count * size), stream_key(id_at(path->leaf, size, 0)));
}

static void put(struct shard *shard, struct tree_path *path, size_t size, uint32_t at, const void *record)
{
	uint32_t count = path->leaf->count;
	struct leaf *leaf = tree_own(shard, path, (count + 1) * size);
	uint8_t *to = leaf->bytes + at * size;
	memmove(to + size, to, (count - at) * size);
	memcpy(to, record, size);
	changed(path, size, count + 1);
}

static void begin(struct shard *shard, struct tree_path *path, size_t size, const void *records, uint32_t n)
{
	struct leaf *leaf = tree_insert(shard, path, true, n * size);
	memcpy(leaf->bytes, records, n * size);
	changed(path, size, n);
}

/* The second half becomes a leaf of its own. */
static void split(struct shard *shard, struct tree *ids, size_t size, struct stream_id id, struct tree_path *path)
{
	uint32_t half = path->leaf->count / 2, rest = path->leaf->count - half;
	struct stream_id first = id_at(path->leaf, size, 0);
	struct tree_path behind = *path;
	begin(shard, &behind, size, path->leaf->bytes + half * size, rest);
	(void)tree_seek(ids, stream_key(first), NULL, NULL, path);
	(void)tree_own(shard, path, 0);
	changed(path, size, half);
	(void)tree_own(shard, path, half * size);
	(void)tree_seek(ids, stream_key(id), NULL, NULL, path);
}

/* A leaf of few records takes in the one behind it. */
static void join(struct shard *shard, struct tree *ids, size_t size, struct tree_path *path)
{
	struct stream_id first = id_at(path->leaf, size, 0);
	uint32_t count = path->leaf->count;
	if (count > LEAF_FEW || !tree_next(path) || count + path->leaf->count > IDS_LEAF / 2)
		return;
	cleanup(buf_fini) struct buf more = {0};
	buf_append(&more, slice_of(path->leaf->bytes, path->leaf->len));
	(void)tree_remove(shard, path);
	(void)tree_seek(ids, stream_key(first), NULL, NULL, path);
	struct leaf *leaf = tree_own(shard, path, path->leaf->len + more.len);
	memcpy(leaf->bytes + leaf->len, more.ptr, more.len);
	changed(path, size, count + (uint32_t)(more.len / size));
}

/* ---- the calls ------------------------------------------------------------------------ */

bool ids_insert(struct shard *shard, struct tree *ids, size_t size, const void *record)
{
	struct stream_id id;
	struct tree_path path;
	uint32_t at;
	memcpy(&id, record, sizeof(id));
	if (!tree_last(ids, &path)) {
		path = (struct tree_path){.tree = ids};
		begin(shard, &path, size, record, 1);
		return true;
	}
	if (stream_id_compare(id_at(path.leaf, size, path.leaf->count - 1), id) < 0) {
		if (path.leaf->count < IDS_LEAF)
			put(shard, &path, size, path.leaf->count, record);
		else
			begin(shard, &path, size, record, 1);
		return true;
	}
	if (find(ids, size, id, &path, &at))
		return false;
	if (path.leaf->count >= IDS_LEAF)
		split(shard, ids, size, id, &path);
	put(shard, &path, size, place_in(path.leaf, size, id), record);
	return true;
}

bool ids_remove(struct shard *shard, struct tree *ids, size_t size, struct stream_id id)
{
	struct tree_path path;
	uint32_t at;
	if (!find(ids, size, id, &path, &at))
		return false;
	uint32_t count = path.leaf->count - 1;
	if (count == 0) {
		(void)tree_remove(shard, &path);
		return true;
	}
	struct leaf *leaf = tree_own(shard, &path, 0);
	uint8_t *to = leaf->bytes + at * size;
	memmove(to, to + size, (count - at) * size);
	changed(&path, size, count);
	(void)tree_own(shard, &path, count * size);
	join(shard, ids, size, &path);
	return true;
}

const void *ids_find(struct tree *ids, size_t size, struct stream_id id)
{
	struct tree_path path;
	uint32_t at;
	return find(ids, size, id, &path, &at) ? path.leaf->bytes + at * size : NULL;
}

void *ids_own(struct shard *shard, struct tree *ids, size_t size, struct stream_id id)
{
	struct tree_path path;
	uint32_t at;
	return find(ids, size, id, &path, &at) ? tree_own(shard, &path, 0)->bytes + at * size : NULL;
}

void ids_walk(struct tree *ids, size_t size, struct stream_id from, struct ids_walk *out)
{
	out->at = 0;
	out->more = tree_seek(ids, stream_key(from), NULL, NULL, &out->path);
	if (!out->more)
		return;
	out->at = place_in(out->path.leaf, size, from);
}

const void *ids_next(struct ids_walk *walk, size_t size)
{
	if (walk->more && walk->at == walk->path.leaf->count) {
		walk->more = tree_next(&walk->path);
		walk->at = 0;
	}
	return walk->more ? walk->path.leaf->bytes + walk->at++ * size : NULL;
}

bool ids_ends(struct tree *ids, size_t size, struct stream_id *first, struct stream_id *last)
{
	struct tree_path path;
	if (!tree_first(ids, &path))
		return false;
	*first = id_at(path.leaf, size, 0);
	(void)tree_last(ids, &path);
	*last = id_at(path.leaf, size, path.leaf->count - 1);
	return true;
}

bool ids_check(struct slice bytes, uint32_t count, size_t size, const struct leaf *before)
{
	struct stream_id last = {0}, id;
	bool first = !before;
	if (count == 0 || bytes.len != count * size)
		return false;
	if (before)
		last = id_at(before, size, before->count - 1);
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&id, bytes.ptr + i * size, sizeof(id));
		if (!first && stream_id_compare(last, id) >= 0)
			return false;
		first = false;
		last = id;
	}
	return true;
}
