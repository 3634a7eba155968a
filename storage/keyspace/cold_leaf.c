#include "storage/keyspace/cold_leaf.h"

#include "storage/keyspace/collection_private.h"
#include "storage/tier/tier.h"

/* Behind the bytes that count, in the leaf's room: what memory alone knows. */
struct private { uint32_t lost, place; };

static const struct collection_kind *kind_of(const struct object *object)
{
	return object_kind(object_type(object))->collection;
}

/* ---- pointers ------------------------------------------------------------------------- */

static struct cold_pointer pointer_in(const uint8_t *bytes)
{
	struct cold_pointer pointer = {0};
	memcpy(&pointer, bytes, COLD_LEAF_POINTER);
	return pointer;
}

bool cold_leaf_read(const struct collection_kind *kind, struct slice bytes, struct cold_pointer *out)
{
	if (!kind->check_away || bytes.len != COLD_LEAF_POINTER + kind->fence_size)
		return false;
	*out = pointer_in(bytes.ptr);
	return tier_may_point(out);
}

static struct private private_of(const struct leaf *leaf)
{
	struct private own;
	memcpy(&own, leaf->bytes + leaf->len, sizeof(own));
	return own;
}

static void private_set(struct leaf *leaf, struct private own) { memcpy(leaf->bytes + leaf->len, &own, sizeof(own)); }

struct cold_pointer cold_leaf_pointer(const struct leaf *leaf)
{
	assert(leaf->away);
	struct cold_pointer pointer = pointer_in(leaf->bytes);
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

static void count_pointer(struct shard *shard, struct leaf *leaf, const struct cold_pointer *pointer)
{
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

/* The path's leaf is away from now on. */
static void put_away(struct shard *shard, struct tree_path *path, struct slice bytes,
                     const struct cold_pointer *pointer)
{
	struct leaf *leaf = tree_exchange(shard, path, bytes.len + sizeof(struct private), (uint32_t)bytes.len);
	memcpy(leaf->bytes, bytes.ptr, bytes.len);
	count_pointer(shard, leaf, pointer);
	tree_set_away(path, true);
}

void cold_leaf_send(struct shard *shard, const struct object *object, struct tree_path *path,
                    const struct cold_pointer *pointer)
{
	const struct collection_kind *kind = kind_of(object);
	uint8_t bytes[COLD_LEAF_POINTER + COLD_FENCE_MAX];
	assert(!path->leaf->away);
	memcpy(bytes, pointer, COLD_LEAF_POINTER);
	if (kind->fence)
		kind->fence(slice_of(path->leaf->bytes, path->leaf->len), bytes + COLD_LEAF_POINTER);
	put_away(shard, path, slice_of(bytes, COLD_LEAF_POINTER + kind->fence_size), pointer);
}

void cold_leaf_load(struct shard *shard, struct tree_path *path, struct slice bytes)
{
	struct cold_pointer pointer = pointer_in(bytes.ptr);
	put_away(shard, path, bytes, &pointer);
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
	memcpy(leaf->bytes, pointer, COLD_LEAF_POINTER);
	count_pointer(shard, leaf, pointer);
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

/* Are these the elements of the leaf that has left this fence? */
static bool is_leaf(const struct collection_kind *kind, struct slice bytes, uint32_t count, const uint8_t *its_fence)
{
	uint8_t fence[COLD_FENCE_MAX];
	if (!kind->check_away(bytes, count))
		return false;
	if (kind->fence)
		kind->fence(bytes, fence);
	return memcmp(fence, its_fence, kind->fence_size) == 0;
}

bool cold_leaf_is(struct slice packed, const struct packed_away *away)
{
	return take_head(&packed, away->type, away->count) &&
	       is_leaf(object_kind(away->type)->collection, packed, away->count, away->fence);
}

void cold_leaf_head(const struct object *object, const struct leaf *leaf, uint8_t head[COLD_LEAF_HEAD])
{
	head[0] = mark_of(object_type(object));
	memcpy(head + 1, &leaf->count, sizeof(leaf->count));
}

bool cold_leaf_take(const struct object *object, const struct leaf *leaf, struct slice *packed)
{
	return take_head(packed, object_type(object), leaf->count) &&
	       is_leaf(kind_of(object), *packed, leaf->count, cold_leaf_fence(leaf));
}

/* ---- packed values ------------------------------------------------------------------------ */

void packed_each_away(struct slice packed, void (*show)(void *arg, const struct packed_away *away), void *arg)
{
	uint8_t type, encoding;
	uint32_t version, leaves;
	uint64_t seed;
	struct packed_leaf leaf;
	if (!slice_take(&packed, &type, 1) || !object_kind(type) || !object_kind(type)->collection ||
	    !slice_take(&packed, &encoding, 1) || encoding != ENCODING_TREE ||
	    !slice_take(&packed, &version, sizeof(version)) || !slice_take(&packed, &seed, sizeof(seed)) ||
	    !slice_take(&packed, &leaves, sizeof(leaves)))
		return;
	for (; leaves > 0 && packed_take_leaf(&packed, &leaf); leaves--) {
		struct packed_away away = {
		        .type = type, .count = leaf.count, .fence = leaf.bytes.ptr + COLD_LEAF_POINTER};
		if (leaf.away && cold_leaf_read(object_kind(type)->collection, leaf.bytes, &away.pointer))
			show(arg, &away);
	}
}

/* ---- the log: EDIT 1 | position 8 | elements 8 | length 8 | as many bytes ------------------------------------ */

void cold_leaf_tell(struct collection *c, uint8_t edit, struct tree_path *path)
{
	if (likely(!path->leaf->back))
		return;
	const struct leaf *leaf = tree_own(c->shard, path, 0);
	uint64_t numbers[] = {path->before, leaf->count, leaf->len};
	uint8_t *to = collection_edit(c, 1 + sizeof(numbers) + leaf->len);
	if (to) {
		to[0] = edit;
		memcpy(to + 1, numbers, sizeof(numbers));
		memcpy(to + 1 + sizeof(numbers), leaf->bytes, leaf->len);
	}
	tree_set_back(path, false);
}

void cold_leaves_tell(struct collection *c, uint8_t edit, uint64_t from, uint64_t to)
{
	struct tree *tree = collection_tree(c->object);
	struct tree_path path;
	if (likely(tree->back == 0) || from >= tree->count)
		return;
	tree_seek_at(tree, from, &path);
	for (bool more = true; more && path.before <= to; more = tree_next(&path))
		cold_leaf_tell(c, edit, &path);
}

/* A leaf that is not away has these bytes already, and more. */
bool cold_leaf_apply(struct collection *c, struct slice *edits)
{
	uint64_t at, count, len;
	struct tree_path path;
	struct tree *tree = collection_tree(c->object);
	if (!slice_take(edits, &at, sizeof(at)) || !slice_take(edits, &count, sizeof(count)) ||
	    !slice_take(edits, &len, sizeof(len)) || len > edits->len)
		return false;
	struct slice bytes = slice_sub(*edits, 0, len);
	*edits = slice_sub(*edits, len, edits->len);
	if (!tree || tree->away == 0 || at >= tree->count)
		return true;
	tree_seek_at(tree, at, &path);
	if (!path.leaf->away)
		return true;
	if (path.before != at || path.leaf->count != count ||
	    !is_leaf(kind_of(c->object), bytes, path.leaf->count, cold_leaf_fence(path.leaf)))
		return false;
	cold_leaf_return(c->shard, &path, bytes);
	tree_set_back(&path, false);
	return true;
}

/* ---- reach ------------------------------------------------------------------------------ */

const struct reach reach_all = {1, {{.by = REACH_PLACES, .first = 0, .last = -1}}}, reach_none;

struct reach reach_range(int64_t first, int64_t last)
{
	return (struct reach){1, {{.by = REACH_PLACES, .first = first, .last = last}}};
}

struct reach reach_places(int64_t one, int64_t other)
{
	return (struct reach){2,
	                      {{.by = REACH_PLACES, .first = one, .last = one},
	                       {.by = REACH_PLACES, .first = other, .last = other}}};
}

void reach_add_key(struct reach *reach, struct tree_key key)
{
	if (reach->n < REACH_PARTS) {
		reach->parts[reach->n++] =
		        (struct reach_part){.by = REACH_KEYS, .from = key, .to = key, .limit = UINT64_MAX};
		return;
	}
	struct reach_part *all = &reach->parts[0];
	for (uint32_t i = 1; i < reach->n; i++) {
		assert(all->by == REACH_KEYS);
		assert(reach->parts[i].by == REACH_KEYS);
		all->from = tree_key_compare(reach->parts[i].from, all->from) < 0 ? reach->parts[i].from : all->from;
		all->to = tree_key_compare(reach->parts[i].to, all->to) > 0 ? reach->parts[i].to : all->to;
	}
	reach->n = 1;
	reach_add_key(reach, key);
}

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

/* Elements by number; none: `from` is greater. */
struct places {
	uint64_t from, to;
};

static const struct places no_places = {1, 0};

static struct places places_between(const struct tree *tree, int64_t first, int64_t last)
{
	int64_t count = (int64_t)tree->count;
	first = first < 0 ? first + count : first;
	last = last < 0 ? last + count : last;
	first = first < 0 ? 0 : first;
	return first <= last && first < count ? (struct places){(uint64_t)first, (uint64_t)last} : no_places;
}

static uint64_t sum(uint64_t a, uint64_t b) { return a < UINT64_MAX - b ? a + b : UINT64_MAX; }

/* Whole leaves. At either end there may be one without any such element: so it does not count against the limit. */
static struct places places_of_keys(struct tree *tree, const struct reach_part *part)
{
	struct tree_path first, last;
	if (tree_key_compare(part->from, part->to) > 0 || part->limit == 0 ||
	    !tree_seek(tree, part->from, NULL, NULL, &first) || !tree_seek(tree, part->to, NULL, NULL, &last))
		return no_places;
	struct places all = {first.before, last.before + last.leaf->count - 1};
	uint64_t few = sum(first.before + first.leaf->count - 1, part->limit);
	if (!part->backwards && few < all.to)
		all.to = few;
	if (part->backwards && last.before - all.from > part->limit)
		all.from = last.before - part->limit;
	return all;
}

static struct places places_of(const struct object *object, struct tree *tree, const struct reach_part *part)
{
	struct reach_part keys;
	switch (part->by) {
	case REACH_PLACES:
		return places_between(tree, part->first, part->last);
	case REACH_KEYS:
		return places_of_keys(tree, part);
	case REACH_OWN:
		break;
	}
	const struct collection_kind *kind = kind_of(object); /* which may be another than the call is for */
	return kind->reach && kind->reach(object, part, &keys) ? places_of_keys(tree, &keys) : no_places;
}

static bool places_away(struct tree *tree, struct places places, uint64_t from, struct tree_path *out)
{
	from = places.from > from ? places.from : from;
	if (from > places.to || from >= tree->count)
		return false;
	bool more = true;
	for (tree_seek_at(tree, from, out); more && out->before <= places.to; more = tree_next(out))
		if (out->leaf->away)
			return true;
	return false;
}

bool reach_away(const struct object *object, const struct reach *reach, uint64_t from, struct tree_path *out)
{
	struct tree *tree = tree_of(object);
	bool found = false;
	for (uint32_t i = 0; tree && tree->away > 0 && i < reach->n && !found; i++)
		found = places_away(tree, places_of(object, tree, &reach->parts[i]), from, out);
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

size_t cold_leaves_chillable(const struct collection_kind *kind, const struct tree *of)
{
	struct tree copy = *of, *tree = &copy; /* paths may lead to changes, these do not */
	struct tree_path first, last;
	if (tree->leaves < tree->away + 3)
		return 0;
	(void)tree_first(tree, &first);
	(void)tree_last(tree, &last);
	uint32_t ends = !first.leaf->away + (uint32_t)!last.leaf->away;
	uint64_t bytes = tree->len - (uint64_t)tree->away * (COLD_LEAF_POINTER + kind->fence_size);
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
