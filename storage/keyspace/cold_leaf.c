#include "storage/keyspace/cold_leaf.h"

#include "storage/keyspace/collection_private.h"
#include "storage/tier/tier.h"

/* Behind the bytes that count, in the leaf's room: what memory alone knows. */
struct private { uint32_t lost, place; };

enum { ROOM = COLD_LEAF_SIZE + sizeof(struct private) };

const struct reach reach_all = {1, {{0, -1}}}, reach_none;

/* ---- pointers ------------------------------------------------------------------------- */

bool cold_leaf_read(struct slice bytes, struct cold_pointer *out)
{
	struct cold_pointer pointer = {0};
	if (bytes.len != COLD_LEAF_SIZE || bytes.ptr[0] != COLD_LEAF_MARK)
		return false;
	memcpy(&pointer, bytes.ptr + 1, COLD_LEAF_SIZE - 1);
	*out = pointer;
	return tier_may_point(&pointer);
}

static struct private private_of(const struct leaf *leaf)
{
	struct private own;
	memcpy(&own, leaf->bytes + COLD_LEAF_SIZE, sizeof(own));
	return own;
}

static void private_set(struct leaf *leaf, struct private own)
{
	memcpy(leaf->bytes + COLD_LEAF_SIZE, &own, sizeof(own));
}

struct cold_pointer cold_leaf_pointer(const struct leaf *leaf)
{
	struct cold_pointer pointer;
	bool has = cold_leaf_read(slice_of(leaf->bytes, leaf->len), &pointer);
	assert(leaf->away);
	assert(has);
	pointer.lost = private_of(leaf).lost;
	return pointer;
}

uint32_t cold_leaf_place(const struct leaf *leaf) { return private_of(leaf).place; }

void cold_leaf_set_place(struct leaf *leaf, uint32_t place)
{
	struct private own = private_of(leaf);
	own.place = place;
	private_set(leaf, own);
}

static void write_pointer(struct shard *shard, struct leaf *leaf, const struct cold_pointer *pointer)
{
	leaf->bytes[0] = COLD_LEAF_MARK;
	memcpy(leaf->bytes + 1, pointer, COLD_LEAF_SIZE - 1);
	private_set(leaf, (struct private){.lost = pointer->lost});
	shard->counters.cold_leaves++;
	shard->counters.cold_bytes += pointer->length;
	if (shard->tier)
		tier_retain_leaf(shard->tier, leaf, pointer);
}

void cold_leaf_forget(struct shard *shard, const struct leaf *leaf)
{
	struct cold_pointer pointer = cold_leaf_pointer(leaf);
	shard->counters.cold_leaves--;
	shard->counters.cold_bytes -= pointer.length;
	if (shard->tier)
		tier_release_leaf(shard->tier, leaf, &pointer);
}

void cold_leaf_send(struct shard *shard, struct tree_path *path, const struct cold_pointer *pointer)
{
	assert(!path->leaf->away);
	write_pointer(shard, tree_exchange(shard, path, ROOM, COLD_LEAF_SIZE), pointer);
	tree_set_away(path, true);
}

void cold_leaf_return(struct shard *shard, struct tree_path *path, struct slice bytes)
{
	assert(path->leaf->away);
	memcpy(tree_exchange(shard, path, bytes.len, (uint32_t)bytes.len)->bytes, bytes.ptr, bytes.len);
	tree_set_back(path, true);
}

void cold_leaf_repoint(struct shard *shard, struct leaf *leaf, const struct cold_pointer *pointer)
{
	cold_leaf_forget(shard, leaf);
	write_pointer(shard, leaf, pointer);
}

/* ---- records ---------------------------------------------------------------------------- */

enum { TYPE_OF_LEAF = 0x40 };

static uint8_t mark_of(enum object_type type) { return (uint8_t)(type | TYPE_OF_LEAF); }

static bool take_head(struct slice *packed, enum object_type type, uint32_t count)
{
	uint8_t mark;
	uint32_t its_count;
	return slice_take(packed, &mark, 1) && slice_take(packed, &its_count, sizeof(its_count)) &&
	       mark == mark_of(type) && its_count == count;
}

bool cold_leaf_is(struct slice packed, enum object_type type, uint32_t count)
{
	const struct collection_kind *kind = object_kind(type)->collection;
	return kind && kind->check_away && take_head(&packed, type, count) && kind->check_away(packed, count);
}

void cold_leaf_head(const struct object *object, const struct leaf *leaf, uint8_t head[COLD_LEAF_HEAD])
{
	head[0] = mark_of(object_type(object));
	memcpy(head + 1, &leaf->count, sizeof(leaf->count));
}

bool cold_leaf_take(const struct object *object, const struct leaf *leaf, struct slice *packed)
{
	return cold_leaf_is(*packed, object_type(object), leaf->count) &&
	       take_head(packed, object_type(object), leaf->count);
}

/* ---- packed values ------------------------------------------------------------------------ */

void packed_each_away(struct slice packed,
                      void (*show)(void *arg, enum object_type type, uint32_t count,
                                   const struct cold_pointer *pointer),
                      void *arg)
{
	uint8_t type, encoding;
	uint32_t version, leaves, head[2];
	uint64_t seed;
	struct cold_pointer pointer;
	if (!slice_take(&packed, &type, 1) || !object_kind(type) || !object_kind(type)->collection ||
	    !object_kind(type)->collection->check_away || !slice_take(&packed, &encoding, 1) ||
	    encoding != ENCODING_TREE || !slice_take(&packed, &version, sizeof(version)) ||
	    !slice_take(&packed, &seed, sizeof(seed)) || !slice_take(&packed, &leaves, sizeof(leaves)))
		return;
	for (; leaves > 0 && slice_take(&packed, head, sizeof(head)) && head[0] <= packed.len; leaves--) {
		if (cold_leaf_read(slice_sub(packed, 0, head[0]), &pointer))
			show(arg, (enum object_type)type, head[1], &pointer);
		packed = slice_sub(packed, head[0], packed.len);
	}
}

/* ---- reach ------------------------------------------------------------------------------ */

/* The tree of a collection whose leaves may be away; NULL: it is none. */
static struct tree *tree_of(const struct object *object)
{
	const struct collection_kind *kind = object_kind(object->type)->collection;
	return kind && kind->check_away && !object_is_cold(object) ? collection_tree(object) : NULL;
}

bool object_has_away(const struct object *object)
{
	const struct tree *tree = tree_of(object);
	return tree && tree->away > 0;
}

static bool range_away(struct tree *tree, int64_t first, int64_t last, uint64_t from, struct tree_path *out)
{
	int64_t count = (int64_t)tree->count;
	first = first < 0 ? first + count : first;
	last = last < 0 ? last + count : last;
	first = first < (int64_t)from ? (int64_t)from : first;
	if (first > last || first >= count)
		return false;
	bool more = true;
	for (tree_seek_at(tree, (uint64_t)first, out); more && (int64_t)out->before <= last; more = tree_next(out))
		if (out->leaf->away)
			return true;
	return false;
}

bool reach_away(const struct object *object, const struct reach *reach, uint64_t from, struct tree_path *out)
{
	struct tree *tree = tree_of(object);
	bool found = false;
	for (uint32_t i = 0; tree && tree->away > 0 && i < reach->n && !found; i++)
		found = range_away(tree, reach->ranges[i].from, reach->ranges[i].to, from, out);
	return found;
}

/* ---- what may leave ----------------------------------------------------------------------- */

enum {
	WHOLE_MAX = RARE(128 * 1024, 100), /* bytes of leaves: as many leave with the value as a whole */
	LEAF_MIN = RARE(512, 32),          /* bytes: what is shorter gains little */
	STAYS = RARE(16 * 1024, 0), /* bytes of a collection that are left alone: leaves that are used come and go */
	LOOK_AT = 2048,              /* leaves at once */
	FIND_AMONG = 64,             /* on either side */
};

/* Where the next choice begins: behind the tree in its root. */
static uint64_t *hand_of(const struct object *object) { return &((struct leaving_root *)body_of(object)->ptr)->hand; }

bool object_leaves_by_leaf(const struct object *object)
{
	const struct tree *tree = tree_of(object);
	return tree && (tree->away > 0 || tree->len > WHOLE_MAX);
}

size_t cold_leaves_chillable(const struct tree *of)
{
	struct tree copy = *of, *tree = &copy; /* paths may lead to changes, these do not */
	struct tree_path first, last;
	if (tree->leaves < tree->away + 3)
		return 0;
	(void)tree_first(tree, &first);
	(void)tree_last(tree, &last);
	uint32_t ends = !first.leaf->away + (uint32_t)!last.leaf->away;
	uint64_t bytes = tree->len - (uint64_t)tree->away * COLD_LEAF_SIZE;
	bytes -= first.leaf->away ? 0 : first.leaf->len;
	bytes -= last.leaf->away ? 0 : last.leaf->len;
	if (bytes <= STAYS || bytes / (tree->leaves - tree->away - ends) < LEAF_MIN)
		return 0;
	return bytes < COLD_VALUE_MAX ? bytes : COLD_VALUE_MAX;
}

static bool may_leave(const struct tree_path *path)
{
	const struct leaf *leaf = path->leaf;
	bool is_end = path->before == 0 || path->before + leaf->count == path->tree->count;
	return !is_end && !leaf->away && leaf->len >= LEAF_MIN && leaf->len <= COLD_VALUE_MAX;
}

bool cold_leaf_choose(const struct object *object, struct tree_path *out)
{
	struct tree *tree = tree_of(object);
	uint64_t *hand = hand_of(object);
	bool more = true;
	if (*hand >= tree->count)
		*hand = 0;
	tree_seek_at(tree, *hand ? *hand : tree->count / 2, out);
	for (int i = 0; i < LOOK_AT; i++) {
		if (!more && !tree_first(tree, out))
			return false;
		*hand = out->before + out->leaf->count;
		if (may_leave(out))
			return true;
		more = tree_next(out);
	}
	return false;
}

static bool find_towards(const struct leaf *leaf, bool forwards, struct tree_path *path)
{
	bool more = true;
	for (int i = 0; i < FIND_AMONG && more; i++) {
		if (path->leaf == leaf)
			return true;
		more = forwards ? tree_next(path) : tree_prev(path);
	}
	return false;
}

bool cold_leaf_find(const struct object *object, const struct leaf *leaf, uint64_t before, struct tree_path *out)
{
	struct tree *tree = tree_of(object);
	if (!tree || tree->count == 0)
		return false;
	uint64_t at = before < tree->count ? before : tree->count - 1;
	tree_seek_at(tree, at, out);
	if (find_towards(leaf, true, out))
		return true;
	tree_seek_at(tree, at, out);
	return find_towards(leaf, false, out);
}

/* ---- all of them ---------------------------------------------------------------------------- */

struct away_walk {
	void (*show)(void *arg, struct leaf *leaf);
	void *arg;
};

static void show_away(void *arg, uint64_t entry)
{
	const struct away_walk *walk = arg;
	struct tree *tree = tree_of(entry_object(entry));
	struct tree_path path;
	for (bool more = tree && tree->away > 0 && tree_first(tree, &path); more; more = tree_next(&path))
		if (path.leaf->away)
			walk->show(walk->arg, path.leaf);
}

void keyspace_each_away(struct shard *shard, void (*show)(void *arg, struct leaf *leaf), void *arg)
{
	struct away_walk walk = {.show = show, .arg = arg};
	keyspace_each_entry(shard, show_away, &walk);
}
