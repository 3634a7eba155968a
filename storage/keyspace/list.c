/* Blocks of packed elements: one, or the leaves of a tree that is ordered by position alone. */
#include "storage/keyspace/list.h"

#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/list_private.h"

static const struct tree_key no_key;

/* ---- reading -------------------------------------------------------------------------- */

static void walk_block(struct list_walk *walk, struct slice block, uint32_t count, uint32_t at)
{
	walk->begin = block.ptr;
	walk->end = block.ptr + block.len;
	walk->at = packed_at(block, count, at);
}

static void walk_leaf(struct list_walk *walk, uint32_t at)
{
	const struct leaf *leaf = walk->path.leaf;
	walk_block(walk, leaf_elements(leaf, &walk->plain), leaf->count, at);
}

void list_walk(const struct object *list, uint64_t at, struct list_walk *walk)
{
	struct tree *tree = collection_tree(list);
	walk->path.leaf = NULL;
	if (!tree) {
		walk_block(walk, body_slice(list), body_of(list)->count, (uint32_t)at);
		return;
	}
	if (at < tree->count)
		tree_seek_at(tree, at, &walk->path);
	else
		tree_last(tree, &walk->path);
	walk_leaf(walk, (uint32_t)(at - walk->path.before));
}

void list_walk_end(struct list_walk *walk) { buf_fini(&walk->plain); }

static bool walk_on(struct list_walk *walk, bool forwards)
{
	struct tree_path path = walk->path;
	if (!path.leaf || !(forwards ? tree_next(&path) : tree_prev(&path)))
		return false;
	walk->path = path;
	walk_leaf(walk, forwards ? 0 : path.leaf->count);
	return true;
}

bool list_next(struct list_walk *walk, struct packed_element *out)
{
	if (unlikely(walk->at == walk->end) && !walk_on(walk, true))
		return false;
	walk->at = packed_read(walk->at, out);
	return true;
}

bool list_prev(struct list_walk *walk, struct packed_element *out)
{
	if (unlikely(walk->at == walk->begin) && !walk_on(walk, false))
		return false;
	walk->at = packed_back(walk->at);
	(void)packed_read(walk->at, out);
	return true;
}

uint64_t list_blocks(const struct object *list)
{
	struct tree *tree = collection_tree(list);
	return tree ? tree->leaves : 1;
}

void list_each_block(const struct object *list, void (*show)(void *arg, struct slice packed, uint32_t count), void *arg)
{
	cleanup(buf_fini) struct buf plain = {0};
	struct tree *tree = collection_tree(list);
	struct tree_path path;
	if (!tree)
		show(arg, body_slice(list), body_of(list)->count);
	for (bool more = tree && tree_first(tree, &path); more; more = tree_next(&path))
		show(arg, leaf_elements(path.leaf, &plain), path.leaf->count);
}

/* ---- an element that is on its way in ---------------------------------------------------- */

/* A value whose packed form is made once, where it goes; or a packed form itself, of an edit. */
struct item {
	struct slice value;
	struct slice packed; /* ptr NULL: the value says it */
	size_t size;
};

static struct item item_of(struct slice value) { return (struct item){.value = value, .size = packed_size(value)}; }

static void item_write(const struct item *item, uint8_t *to)
{
	if (item->packed.ptr)
		memcpy(to, item->packed.ptr, item->packed.len);
	else
		packed_write(to, item->value);
}

/* ---- leaves: plain ones, but where it says so --------------------------------------------- */

static struct slice leaf_slice(const struct leaf *leaf) { return slice_of(leaf->bytes, leaf->len); }

/* Puts room for `insert` bytes in place of `remove` bytes at `at`; says nothing to the tree yet. */
static uint8_t *leaf_splice(struct shard *shard, struct tree_path *path, size_t at, size_t remove, size_t insert)
{
	size_t len = path->leaf->len, behind = len - at - remove;
	assert(!leaf_is_apart(path->leaf));
	struct leaf *leaf = tree_own(shard, path, insert > remove ? len - remove + insert : 0);
	memmove(leaf->bytes + at + insert, leaf->bytes + at + remove, behind);
	return leaf->bytes + at;
}

static void leaf_add(struct shard *shard, struct tree_path *path, size_t at, const struct item *item)
{
	uint32_t count = path->leaf->count, len = path->leaf->len;
	item_write(item, leaf_splice(shard, path, at, 0, item->size));
	tree_changed(path, count + 1, len + (uint32_t)item->size, no_key);
}

/* At an end; of a compressed one, too. */
static void leaf_add_at(struct shard *shard, struct tree_path *path, enum list_end end, const struct item *item)
{
	leaf_open(shard, path);
	leaf_add(shard, path, end == LIST_HEAD ? 0 : path->leaf->len, item);
}

/* Removes elements that are not all; gives memory back where that is much. */
static void leaf_cut(struct shard *shard, struct tree_path *path, size_t at, size_t bytes, uint32_t n)
{
	uint32_t count = path->leaf->count - n, len = path->leaf->len - (uint32_t)bytes;
	(void)leaf_splice(shard, path, at, bytes, 0);
	tree_changed(path, count, len, no_key);
	(void)tree_own(shard, path, len);
}

/* A new leaf beside the path's, with some elements. */
static void leaf_new(struct shard *shard, struct tree_path *path, bool behind, struct slice bytes, uint32_t count)
{
	struct leaf *leaf = tree_insert(shard, path, behind, bytes.len);
	memcpy(leaf->bytes, bytes.ptr, bytes.len);
	tree_changed(path, count, (uint32_t)bytes.len, no_key);
}

static void leaf_new_item(struct shard *shard, struct tree_path *path, bool behind, const struct item *item)
{
	struct leaf *leaf = tree_insert(shard, path, behind, item->size);
	item_write(item, leaf->bytes);
	tree_changed(path, 1, (uint32_t)item->size, no_key);
}

/* A compressed one, too. */
static bool leaf_takes(const struct shard *shard, const struct leaf *leaf, const struct item *item)
{
	return !leaf_is_apart(leaf) && leaf_fits(shard, leaf_length(leaf) + item->size, leaf->count + (uint64_t)1);
}

/* Parts the path's leaf before byte `at`, its element number `number`: the path leads to the left part. */
static void leaf_split(struct shard *shard, struct tree_path *path, size_t at, uint32_t number)
{
	struct leaf *leaf = path->leaf;
	uint32_t count = leaf->count;
	struct tree_path behind = *path;
	leaf_new(shard, &behind, true, slice_of(leaf->bytes + at, leaf->len - at), count - number);
	uint64_t before = path->before;
	tree_seek_at(behind.tree, before, path);
	leaf_cut(shard, path, at, path->leaf->len - at, count - number);
}

/* Puts an element before byte `at` of the path's leaf, its element number `number`, or into a neighbour. Before byte 0
 * the leaf may be away. */
static void leaf_put(struct shard *shard, struct tree_path *path, size_t at, uint32_t number, const struct item *item)
{
	if (leaf_takes(shard, path->leaf, item)) {
		leaf_add(shard, path, at, item);
		return;
	}
	if (at > 0 && at < path->leaf->len)
		leaf_split(shard, path, at, number);
	bool behind = at > 0;
	struct tree_path beside = *path;
	if (behind && leaf_takes(shard, path->leaf, item))
		leaf_add(shard, path, path->leaf->len, item);
	else if ((behind ? tree_next(&beside) : tree_prev(&beside)) && leaf_takes(shard, beside.leaf, item))
		leaf_add_at(shard, &beside, behind ? LIST_HEAD : LIST_TAIL, item);
	else
		leaf_new_item(shard, path, behind, item);
}

/* ---- trees ---------------------------------------------------------------------------- */

static void tree_push(struct shard *shard, struct tree *tree, enum list_end end, const struct item *item)
{
	struct tree_path path;
	bool any = end == LIST_HEAD ? tree_first(tree, &path) : tree_last(tree, &path);
	if (any && leaf_takes(shard, path.leaf, item))
		leaf_add_at(shard, &path, end, item);
	else
		leaf_new_item(shard, &path, end == LIST_TAIL, item);
}

static size_t place_in(const struct leaf *leaf, uint32_t number)
{
	return (size_t)(packed_at(leaf_slice(leaf), leaf->count, number) - leaf->bytes);
}

static void tree_put(struct shard *shard, struct tree *tree, uint64_t at, const struct item *item)
{
	if (at == tree->count) {
		tree_push(shard, tree, LIST_TAIL, item);
		return;
	}
	struct tree_path path;
	tree_seek_at(tree, at, &path);
	uint32_t number = (uint32_t)(at - path.before);
	if (number > 0 || !leaf_is_apart(path.leaf))
		leaf_open(shard, &path);
	leaf_put(shard, &path, number > 0 ? place_in(path.leaf, number) : 0, number, item);
}

/* The path's leaf and the one before, compressed or not, become a plain one, if both are small; else nothing changes.
 */
static bool join_before(struct shard *shard, struct tree_path *path)
{
	struct tree_path left = *path;
	if (!tree_prev(&left) || !leaves_fit_as_one(shard, left.leaf, path->leaf))
		return false;
	cleanup(buf_fini) struct buf bytes = {0};
	leaf_open(shard, path);
	uint32_t count = path->leaf->count;
	uint64_t before = left.before;
	buf_append(&bytes, leaf_slice(path->leaf));
	(void)tree_remove(shard, path);
	tree_seek_at(left.tree, before, path);
	leaf_open(shard, path);
	count += path->leaf->count;
	uint32_t len = path->leaf->len;
	memcpy(leaf_splice(shard, path, len, 0, bytes.len), bytes.ptr, bytes.len);
	tree_changed(path, count, len + (uint32_t)bytes.len, no_key);
	return true;
}

/* Leaves around element `at` have lost elements: they may join. */
static void tree_join_at(struct shard *shard, struct tree *tree, uint64_t at)
{
	struct tree_path path;
	if (tree->count == 0)
		return;
	tree_seek_at(tree, at < tree->count ? at : tree->count - 1, &path);
	(void)join_before(shard, &path);
	if (tree_next(&path))
		(void)join_before(shard, &path);
}

/* Removes elements [number, number + n) of the path's leaf, compressed or not; true: the path leads to the leaf that
 * follows them. */
static bool leaf_remove(struct shard *shard, struct tree_path *path, uint32_t number, uint32_t n)
{
	if (n == path->leaf->count)
		return tree_remove(shard, path);
	leaf_open(shard, path);
	const struct leaf *leaf = path->leaf;
	size_t from = place_in(leaf, number), to = leaf->len;
	if (n <= leaf->count - number - n) {
		const uint8_t *at = leaf->bytes + from;
		for (uint32_t i = 0; i < n; i++)
			at = packed_skip(at);
		to = (size_t)(at - leaf->bytes);
	} else if (number + n < leaf->count) {
		to = place_in(leaf, number + n);
	}
	leaf_cut(shard, path, from, to - from, n);
	return tree_next(path);
}

static void tree_take(struct shard *shard, struct tree *tree, uint64_t at, uint64_t n)
{
	struct tree_path path;
	bool inside = at > 0 && at + n < tree->count, more = true;
	tree_seek_at(tree, at, &path);
	for (uint64_t left = n; left > 0;) {
		assert(more);
		uint32_t number = (uint32_t)(at - path.before), have = path.leaf->count - number;
		uint32_t some = left < have ? (uint32_t)left : have;
		left -= some;
		more = leaf_remove(shard, &path, number, some);
	}
	if (inside) /* at the ends leaves are emptied soon, or filled */
		tree_join_at(shard, tree, at);
}

/* ---- both forms ----------------------------------------------------------------------- */

/* The block becomes the first leaf of a tree, whatever its size. */
static struct tree *become_tree(struct shard *shard, struct object *object)
{
	struct body small = body_grow(shard, object);
	struct tree *tree = collection_tree(object);
	struct tree_path path = {.tree = tree};
	if (small.count > 0)
		leaf_new(shard, &path, true, slice_of(small.ptr, small.len), small.count);
	body_give(shard, &small);
	return tree;
}

static bool small_takes(const struct shard *shard, const struct object *object, size_t removed, const struct item *item)
{
	const struct body *body = body_of(object);
	size_t len = body->len - removed + item->size;
	return len <= SMALL_BYTES_MAX && leaf_fits(shard, len, body->count + (uint64_t)(removed == 0));
}

static size_t place_in_small(const struct object *object, uint64_t at)
{
	struct slice block = body_slice(object);
	return (size_t)(packed_at(block, body_of(object)->count, (uint32_t)at) - block.ptr);
}

/* A tree that had so many leaves has been changed around element `at`. Within the leaf at an end that is nothing to
 * other leaves. */
static void settle_at(struct shard *shard, struct tree *tree, uint32_t leaves, uint64_t at)
{
	if (tree->leaves != leaves || (at > 0 && at + 1 < tree->count))
		leaves_settle(shard, tree, at);
}

static void put(struct shard *shard, struct object *object, uint64_t at, const struct item *item)
{
	if (!collection_tree(object) && small_takes(shard, object, 0, item)) {
		item_write(item, body_splice(shard, object, place_in_small(object, at), 0, item->size));
		body_of(object)->count++;
		return;
	}
	struct tree *tree = collection_tree(object);
	if (!tree)
		tree = become_tree(shard, object);
	uint32_t leaves = tree->leaves;
	if (at == 0)
		tree_push(shard, tree, LIST_HEAD, item);
	else
		tree_put(shard, tree, at, item);
	settle_at(shard, tree, leaves, at);
}

static void take_out(struct shard *shard, struct object *object, uint64_t at, uint64_t n)
{
	struct tree *tree = collection_tree(object);
	if (n == 0)
		return;
	if (tree) {
		uint32_t leaves = tree->leaves;
		tree_take(shard, tree, at, n);
		settle_at(shard, tree, leaves, at);
		return;
	}
	size_t from = place_in_small(object, at), to = place_in_small(object, at + n);
	(void)body_splice(shard, object, from, to - from, 0);
	body_of(object)->count -= (uint32_t)n;
}

static void tree_replace(struct shard *shard, struct tree *tree, uint64_t at, const struct item *item)
{
	struct tree_path path;
	tree_seek_at(tree, at, &path);
	leaf_open(shard, &path);
	uint32_t number = (uint32_t)(at - path.before), count = path.leaf->count, len = path.leaf->len;
	size_t from = place_in(path.leaf, number);
	size_t size = (size_t)(packed_skip(path.leaf->bytes + from) - path.leaf->bytes) - from;
	if (count == 1 || item->size <= size || leaf_fits(shard, len - size + item->size, count)) {
		item_write(item, leaf_splice(shard, &path, from, size, item->size));
		tree_changed(&path, count, (uint32_t)(len - size + item->size), no_key);
		(void)tree_own(shard, &path, path.leaf->len);
		return;
	}
	tree_put(shard, tree, at, item);
	tree_take(shard, tree, at + 1, 1);
}

static void replace(struct shard *shard, struct object *object, uint64_t at, const struct item *item)
{
	struct tree *tree = collection_tree(object);
	if (!tree) {
		size_t from = place_in_small(object, at), size = place_in_small(object, at + 1) - from;
		if (small_takes(shard, object, size, item)) {
			item_write(item, body_splice(shard, object, from, size, item->size));
			return;
		}
		tree = become_tree(shard, object);
	}
	uint32_t leaves = tree->leaves;
	tree_replace(shard, tree, at, item);
	settle_at(shard, tree, leaves, at);
}

/* ---- edits ---------------------------------------------------------------------------- */

/* An edit is one of these bytes; then, as far as it has them, a position and a number of elements, 8 bytes each; then
 * a packed element. */
enum edit {
	EDIT_PUSH_HEAD = 1, /* element */
	EDIT_PUSH_TAIL,     /* element */
	EDIT_POP_HEAD,      /* number */
	EDIT_POP_TAIL,      /* number */
	EDIT_SET,           /* position, element */
	EDIT_INSERT,        /* position, element */
	EDIT_REMOVE,        /* position, number */
	EDIT_LEAF,          /* see cold_leaf_tell() */
};

static void note(struct collection *list, enum edit edit, const uint64_t *numbers, int n, const struct item *item)
{
	size_t head = 1 + (size_t)n * sizeof(uint64_t);
	uint8_t *to = collection_edit(list, head + (item ? item->size : 0));
	if (!to)
		return;
	to[0] = (uint8_t)edit;
	if (n > 0)
		memcpy(to + 1, numbers, head - 1);
	if (item)
		item_write(item, to + head);
}

/* ---- leaves that came back ------------------------------------------------------------ */

static void tell_at(struct collection *list, uint64_t at, bool at_begin)
{
	struct tree *tree = collection_tree(list->object);
	struct tree_path path;
	if (likely(!tree || tree->back == 0) || at >= tree->count)
		return;
	tree_seek_at(tree, at, &path);
	if (at_begin || at > path.before)
		cold_leaf_tell(list, EDIT_LEAF, &path);
}

/* Before element `at` is changed; before leaves are parted in front of it. */
static void tell_element(struct collection *list, uint64_t at) { tell_at(list, at, true); }
static void tell_parting(struct collection *list, uint64_t at) { tell_at(list, at, false); }

/* For edits from disk: is the leaf that these would change or part not in memory? */
static bool is_away(const struct object *object, uint64_t at, bool at_begin)
{
	struct tree *tree = collection_tree(object);
	struct tree_path path;
	if (likely(!tree || tree->away == 0) || at >= tree->count)
		return false;
	tree_seek_at(tree, at, &path);
	return path.leaf->away && (at_begin || at > path.before);
}

/* ---- applying ------------------------------------------------------------------------- */

static bool take_item(struct slice *in, struct item *out)
{
	size_t size;
	if (!packed_check_first(*in, &size))
		return false;
	*out = (struct item){.packed = slice_sub(*in, 0, size), .size = size};
	*in = slice_sub(*in, size, in->len);
	return true;
}

static bool apply_put(struct collection *list, enum edit edit, uint64_t count, struct slice *edits)
{
	struct item item;
	uint64_t at = edit == EDIT_PUSH_TAIL ? count : 0;
	bool has_place = edit == EDIT_SET || edit == EDIT_INSERT;
	if ((has_place && !slice_take(edits, &at, sizeof(at))) || !take_item(edits, &item))
		return false;
	if (at > count || (edit == EDIT_SET && at == count) || is_away(list->object, at, edit == EDIT_SET))
		return false;
	if (edit == EDIT_SET)
		replace(list->shard, list->object, at, &item);
	else
		put(list->shard, list->object, at, &item);
	return true;
}

static bool apply_remove(struct collection *list, enum edit edit, uint64_t count, struct slice *edits)
{
	uint64_t at = 0, n;
	if ((edit == EDIT_REMOVE && !slice_take(edits, &at, sizeof(at))) || !slice_take(edits, &n, sizeof(n)))
		return false;
	if (at > count || n > count - at)
		return false;
	at = edit == EDIT_POP_TAIL ? count - n : at;
	if (is_away(list->object, at, false) || is_away(list->object, at + n, false))
		return false;
	take_out(list->shard, list->object, at, n);
	return true;
}

static bool apply(struct collection *list, struct slice *edits)
{
	if (edits->len == 0)
		return false;
	enum edit edit = edits->ptr[0];
	uint64_t count = collection_count(list->object);
	*edits = slice_sub(*edits, 1, edits->len);
	switch (edit) {
	case EDIT_PUSH_HEAD:
	case EDIT_PUSH_TAIL:
	case EDIT_SET:
	case EDIT_INSERT:
		return apply_put(list, edit, count, edits);
	case EDIT_POP_HEAD:
	case EDIT_POP_TAIL:
	case EDIT_REMOVE:
		return apply_remove(list, edit, count, edits);
	case EDIT_LEAF:
		return cold_leaf_apply(list, edits);
	}
	return false;
}

/* ---- changing ------------------------------------------------------------------------- */

void list_push(struct collection *list, enum list_end end, struct slice value)
{
	struct object *object = collection_touch(list);
	struct item item = item_of(value);
	note(list, end == LIST_HEAD ? EDIT_PUSH_HEAD : EDIT_PUSH_TAIL, NULL, 0, &item);
	put(list->shard, object, end == LIST_HEAD ? 0 : collection_count(object), &item);
}

void list_set(struct collection *list, uint64_t at, struct slice value)
{
	struct object *object = collection_touch(list);
	struct item item = item_of(value);
	assert(at < collection_count(object));
	tell_element(list, at);
	note(list, EDIT_SET, &at, 1, &item);
	replace(list->shard, object, at, &item);
}

void list_insert(struct collection *list, uint64_t at, struct slice value)
{
	struct object *object = collection_touch(list);
	struct item item = item_of(value);
	assert(at <= collection_count(object));
	tell_parting(list, at);
	note(list, EDIT_INSERT, &at, 1, &item);
	put(list->shard, object, at, &item);
}

void list_cut(struct collection *list, uint64_t at, uint64_t n)
{
	if (n == 0)
		return;
	struct object *object = collection_touch(list);
	uint64_t count = collection_count(object), numbers[] = {at, n};
	assert(at <= count);
	assert(n <= count - at);
	tell_parting(list, at);
	tell_parting(list, at + n);
	if (at == 0)
		note(list, EDIT_POP_HEAD, &n, 1, NULL);
	else if (at + n == count)
		note(list, EDIT_POP_TAIL, &n, 1, NULL);
	else
		note(list, EDIT_REMOVE, numbers, 2, NULL);
	take_out(list->shard, object, at, n);
}

/* ---- removing by value ------------------------------------------------------------------ */

/* How many elements of a block equal, up to `limit`. */
static uint64_t count_equal(struct slice block, const struct packed_sought *sought, uint64_t limit)
{
	const uint8_t *end = block.ptr + block.len, *at = block.ptr;
	uint64_t n = 0;
	for (; n < limit && at != end && (at = packed_find(at, end, sought, 1)); n++)
		at = packed_skip(at);
	return n;
}

/* Squeezes elements number [skip, skip + n) of those that equal out of `bytes`, whose first element is number
 * `number` of the list, and tells the edits; the length that is left. */
static size_t squeeze(struct collection *list, uint8_t *bytes, size_t len, uint64_t number,
                      const struct packed_sought *sought, uint64_t skip, uint64_t n)
{
	const uint8_t *from = bytes, *end = bytes + len, *kept = bytes;
	uint8_t *to = bytes;
	while (n > 0) {
		struct packed_element element;
		const uint8_t *next = packed_read(from, &element);
		if (!packed_equals(&element, sought) || (skip > 0 && skip--)) {
			number++;
		} else {
			memmove(to, kept, (size_t)(from - kept));
			to += from - kept;
			kept = next;
			n--;
			note(list, EDIT_REMOVE, (uint64_t[]){number, 1}, 2, NULL);
		}
		from = next;
	}
	memmove(to, kept, (size_t)(end - kept));
	return (size_t)(to - bytes) + (size_t)(end - kept);
}

/* The last ones of a block, or the first. */
static uint64_t to_skip(struct slice block, enum list_end from, const struct packed_sought *sought, uint64_t n)
{
	return from == LIST_HEAD ? 0 : count_equal(block, sought, UINT64_MAX) - n;
}

static uint64_t small_remove_equal(struct collection *list, enum list_end from, uint64_t limit,
                                   const struct packed_sought *sought)
{
	uint64_t n = count_equal(body_slice(list->object), sought, limit);
	if (n == 0)
		return 0;
	struct object *object = collection_touch(list);
	struct slice block = body_slice(object);
	size_t left = squeeze(list, body_of(object)->ptr, block.len, 0, sought, to_skip(block, from, sought, n), n);
	(void)body_splice(list->shard, object, left, block.len - left, 0);
	body_of(object)->count -= (uint32_t)n;
	return n;
}

/* Goes on to the next leaf, in the direction that leads away from `from`. */
static bool leaf_after(struct tree_path *path, enum list_end from)
{
	return from == LIST_HEAD ? tree_next(path) : tree_prev(path);
}

/* Joins the path's leaf and the one before it on the way from an end. */
static void join_seen(struct shard *shard, struct tree_path *path, enum list_end from)
{
	struct tree_path behind = *path;
	if (from == LIST_HEAD)
		(void)join_before(shard, path);
	else if (tree_next(&behind) && join_before(shard, &behind))
		*path = behind;
}

/* Removes `n` equal elements of the path's leaf, and leads on. */
static bool leaf_remove_equal(struct collection *list, struct tree_path *path, enum list_end from,
                              const struct packed_sought *sought, uint64_t n)
{
	struct shard *shard = list->shard;
	cold_leaf_tell(list, EDIT_LEAF, path);
	leaf_open(shard, path);
	struct leaf *leaf = tree_own(shard, path, 0);
	uint32_t count = leaf->count - (uint32_t)n;
	size_t len = squeeze(list, leaf->bytes, leaf->len, path->before, sought,
	                     to_skip(leaf_slice(leaf), from, sought, n), n);
	if (count > 0) {
		tree_changed(path, count, (uint32_t)len, no_key);
		(void)tree_own(shard, path, len);
		join_seen(shard, path, from);
		leaf_settle(shard, path);
		return leaf_after(path, from);
	}
	bool behind = tree_remove(shard, path);
	if (from == LIST_HEAD)
		return behind;
	return behind ? tree_prev(path) : tree_last(path->tree, path);
}

/* Removes them from a tree, whose leaves it touches only where there are any. */
static uint64_t tree_remove_equal(struct collection *list, enum list_end from, uint64_t limit,
                                  const struct packed_sought *sought)
{
	cleanup(buf_fini) struct buf plain = {0};
	struct tree *tree = collection_tree(list->object);
	struct tree_path path;
	uint64_t removed = 0;
	bool more = from == LIST_HEAD ? tree_first(tree, &path) : tree_last(tree, &path);
	while (more && removed < limit) {
		uint64_t n = count_equal(leaf_elements(path.leaf, &plain), sought, limit - removed);
		if (n == 0) {
			more = leaf_after(&path, from);
			continue;
		}
		if (removed == 0) {
			uint64_t before = path.before;
			tree = collection_tree(collection_touch(list));
			tree_seek_at(tree, before, &path);
		}
		more = leaf_remove_equal(list, &path, from, sought, n);
		removed += n;
	}
	if (removed > 0 && tree->count > 0)
		leaves_settle(list->shard, tree, 0);
	return removed;
}

uint64_t list_cut_equal(struct collection *list, enum list_end from, uint64_t limit, struct slice value)
{
	struct packed_sought sought = packed_seek(value);
	return collection_tree(list->object) ? tree_remove_equal(list, from, limit, &sought)
	                                     : small_remove_equal(list, from, limit, &sought);
}

/* ---- the rows ------------------------------------------------------------------------- */

/* Redis 7.0 has one name for all lists. */
static const char *encoding(const struct object *object) { return "quicklist"; }

static bool check_small(struct slice bytes, enum collection_encoding encoding, uint32_t *out_count)
{
	return encoding == ENCODING_PACKED && packed_check(bytes, out_count);
}

static bool check_leaf(struct shard *shard, struct slice bytes, uint32_t count, const struct leaf *before,
                       struct tree_key *out_key)
{
	*out_key = no_key;
	return leaf_check(bytes, count);
}

static const struct collection_kind elements = {
        .root_size = sizeof(struct leaving_root),
        .check_small = check_small,
        .check_leaf = check_leaf,
        .check_away = leaf_check,
        .apply = apply,
};

const struct object_kind list_kind = COLLECTION_KIND("list", encoding, &elements);
