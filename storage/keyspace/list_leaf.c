/* A compressed leaf is COMPRESSED 1 | length of the elements 4 | the elements as an LZF stream. */
#include "storage/keyspace/list_private.h"

#include "engine/base/lzf.h"
#include "storage/collections/packed.h"

static const struct tree_key no_key;

enum {
	COMPRESSED = 0xff, /* where a listpack ends: no element begins so */
	HEAD_SIZE = 1 + sizeof(uint32_t),
	LENGTH_MIN = RARE(48, 16), /* shorter ones stay plain */
	LENGTH_MAX = 64 * 1024,    /* longer ones too: one long element, that no step shall take long over */
	GAIN_MIN = 8,
};

static bool is_compressed(const struct leaf *leaf) { return leaf->bytes[0] == COMPRESSED; }

/* ---- reading -------------------------------------------------------------------------- */

size_t leaf_length(const struct leaf *leaf)
{
	uint32_t length = leaf->len;
	assert(!leaf->away);
	if (unlikely(is_compressed(leaf)))
		memcpy(&length, leaf->bytes + 1, sizeof(length));
	return length;
}

struct slice leaf_elements(const struct leaf *leaf, struct buf *room)
{
	struct slice bytes = slice_of(leaf->bytes, leaf->len);
	assert(!leaf->away);
	if (likely(!is_compressed(leaf)))
		return bytes;
	room->len = 0;
	uint8_t *to = buf_reserve(room, leaf_length(leaf));
	lzf_unpack(slice_sub(bytes, HEAD_SIZE, bytes.len), to);
	return slice_of(to, leaf_length(leaf));
}

bool leaf_check(struct slice bytes, uint32_t count)
{
	cleanup(buf_fini) struct buf plain = {0};
	uint32_t length, found;
	size_t measured;
	if (bytes.len > HEAD_SIZE && bytes.ptr[0] == COMPRESSED) {
		memcpy(&length, bytes.ptr + 1, sizeof(length));
		bytes = slice_sub(bytes, HEAD_SIZE, bytes.len);
		if (!lzf_measure(bytes, &measured) || measured != length || length > LENGTH_MAX)
			return false;
		lzf_unpack(bytes, buf_reserve(&plain, length));
		bytes = slice_of(plain.ptr, length);
	}
	return packed_check(bytes, &found) && found == count;
}

/* ---- how large blocks may be ----------------------------------------------------------- */

enum {
	LEAF_BYTES_DEFAULT = 8192,
	LEAF_BYTES_CLASSES = 5, /* -1 .. -5: 4 KiB, twice as much each */
};

struct leaf_limit {
	size_t bytes;
	uint32_t count;
};

/* As Redis reads its setting: so many elements in up to 8 KiB, or a class of bytes. */
static struct leaf_limit leaf_limit(const struct shard *shard)
{
	int64_t setting = shard->collections.list_leaf;
	struct leaf_limit limit = {LEAF_BYTES_DEFAULT, UINT32_MAX};
	if (setting >= 0)
		limit.count = setting > 0 ? (uint32_t)setting : 1;
	else
		limit.bytes = (size_t)4096 << ((setting < -LEAF_BYTES_CLASSES ? LEAF_BYTES_CLASSES : -setting) - 1);
	limit.bytes -= sizeof(struct leaf); /* so that blocks and the allocator's classes fit */
	return (struct leaf_limit){RARE(limit.bytes, limit.bytes / 64), limit.count};
}

bool leaf_fits(const struct shard *shard, size_t len, uint64_t count)
{
	struct leaf_limit limit = leaf_limit(shard);
	return len <= limit.bytes && count <= limit.count;
}

/* With room to grow, or else the next insertion would part them again. */
bool leaves_fit_as_one(const struct shard *shard, const struct leaf *a, const struct leaf *b)
{
	if (unlikely(leaf_is_apart(a) || leaf_is_apart(b)))
		return false;
	return leaf_fits(shard, 2 * (leaf_length(a) + leaf_length(b)), 2 * ((uint64_t)a->count + b->count));
}

/* ---- opening and compressing ------------------------------------------------------------ */

/* Other bytes of the same elements. */
static void leaf_write(struct shard *shard, struct tree_path *path, struct slice bytes)
{
	struct leaf *leaf = tree_own(shard, path, bytes.len);
	memcpy(leaf->bytes, bytes.ptr, bytes.len);
	tree_changed(path, leaf->count, (uint32_t)bytes.len, no_key);
}

void leaf_open(struct shard *shard, struct tree_path *path)
{
	cleanup(buf_fini) struct buf plain = {0};
	if (unlikely(is_compressed(path->leaf)))
		leaf_write(shard, path, leaf_elements(path->leaf, &plain));
}

static void leaf_compress(struct shard *shard, struct tree_path *path)
{
	const struct leaf *leaf = path->leaf;
	cleanup(buf_fini) struct buf packed = {0};
	uint32_t length = leaf->len;
	if (is_compressed(leaf) || length < LENGTH_MIN || length > LENGTH_MAX)
		return;
	uint8_t *to = buf_reserve(&packed, length);
	size_t n = lzf_pack(slice_of(leaf->bytes, length), to + HEAD_SIZE, length - HEAD_SIZE - GAIN_MIN);
	if (n == 0)
		return;
	to[0] = COMPRESSED;
	memcpy(to + 1, &length, sizeof(length));
	leaf_write(shard, path, slice_of(to, HEAD_SIZE + n));
	(void)tree_refit(shard, path, HEAD_SIZE + n);
}

/* ---- settling --------------------------------------------------------------------------- */

/* The elements between the ends that stay plain; none if there are no leaves between them. */
struct middle {
	uint64_t from, to;
};

static struct middle middle_of(const struct shard *shard, struct tree *tree)
{
	uint64_t depth = shard->collections.list_compress_depth;
	struct tree_path head, tail;
	if (depth == 0 || tree->leaves <= 2 * depth)
		return (struct middle){0};
	(void)tree_first(tree, &head);
	(void)tree_last(tree, &tail);
	for (; depth > 0; depth--) {
		(void)tree_next(&head);
		(void)tree_prev(&tail);
	}
	return (struct middle){head.before, tail.before + tail.leaf->count};
}

static void settle(struct shard *shard, struct tree_path *path, struct middle middle)
{
	if (path->leaf->away)
		return;
	if (path->before >= middle.from && path->before < middle.to)
		leaf_compress(shard, path);
	else
		leaf_open(shard, path);
}

void leaf_settle(struct shard *shard, struct tree_path *path)
{
	struct middle middle = middle_of(shard, path->tree);
	if (middle.to > 0)
		settle(shard, path, middle);
}

void leaves_settle(struct shard *shard, struct tree *tree, uint64_t at)
{
	struct middle middle = middle_of(shard, tree);
	struct tree_path path;
	if (middle.to == 0)
		return;
	tree_seek_at(tree, at < tree->count ? at : tree->count - 1, &path);
	uint64_t before = path.before, behind = before + path.leaf->count;
	/* The change itself, what it may have parted or joined, and on either side of where the middle begins and ends
	 * what has moved over that. */
	const uint64_t places[] = {before, before - 1, behind, middle.from, middle.from - 1, middle.to - 1, middle.to};
	for (size_t i = 0; i < array_len(places); i++) {
		if (places[i] >= tree->count)
			continue;
		tree_seek_at(tree, places[i], &path);
		settle(shard, &path, middle);
	}
}
