/* Paths of owned nodes, and what happens to nodes on the way back up.
 *
 *   node   refs, n, cap | cap children | cap counts | cap keys
 *
 * The three arrays lie apart, so that a search touches keys alone and a rank counts alone. A child's count is of
 * all elements beneath it, its key that of its first leaf. */
#include "storage/collections/tree.h"

#include "engine/memory/slab.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/value.h"

#include <assert.h>
#include <string.h>

enum {
	CAP_MIN = 4,
	JOIN_MAX = TREE_FANOUT * 3 / 4, /* children of a node that two were made into: room to grow is left */
	LEAF_SIZE_MAX = (1 << 30) - 1,
};

struct tree_node {
	uint32_t refs;
	uint16_t n, cap;
};
static_assert(sizeof(struct tree_node) == 8, "children follow, aligned");
static_assert(offsetof(struct tree_node, refs) == 0, "leaves and nodes count alike");
static_assert(offsetof(struct leaf, refs) == 0, "leaves and nodes count alike");

struct entry {
	void *child; /* a node, or a leaf */
	uint64_t count;
	struct tree_key key;
};
static_assert(sizeof(struct entry) == sizeof(void *) + sizeof(uint64_t) + sizeof(struct tree_key), "one of each array");

static inline void **children_of(const struct tree_node *node) { return (void **)(node + 1); }
static inline uint64_t *counts_of(const struct tree_node *node) { return (uint64_t *)(children_of(node) + node->cap); }

static inline struct tree_key *keys_of(const struct tree_node *node)
{
	return (struct tree_key *)(counts_of(node) + node->cap);
}

static inline uint32_t *refs_of(void *leaf_or_node) { return leaf_or_node; }

/* ---- nodes and leaves ----------------------------------------------------------------- */

static size_t node_size(unsigned cap) { return sizeof(struct tree_node) + cap * sizeof(struct entry); }
static size_t leaf_size(size_t room) { return sizeof(struct leaf) + room; }

static unsigned cap_for(unsigned n)
{
	unsigned cap = CAP_MIN;
	while (cap < n)
		cap *= 2;
	return cap;
}

static struct tree_node *node_new(struct shard *shard, struct tree *tree, unsigned cap)
{
	struct tree_node *node = value_take(shard, node_size(cap));
	*node = (struct tree_node){.refs = 1, .cap = (uint16_t)cap};
	tree->memory += slab_size(node_size(cap));
	return node;
}

static void node_give(struct shard *shard, struct tree_node *node) { value_give(shard, node, node_size(node->cap)); }

static void leaf_give(struct shard *shard, struct leaf *leaf)
{
	if (unlikely(leaf->away))
		cold_leaf_forget(shard, leaf);
	value_give(shard, leaf, leaf_size(leaf->room));
}

/* What the allocator would round away belongs to the leaf. */
static struct leaf *leaf_new(struct shard *shard, struct tree *tree, size_t room)
{
	size_t size = slab_size(leaf_size(room));
	assert(size <= LEAF_SIZE_MAX);
	struct leaf *leaf = value_take(shard, size);
	*leaf = (struct leaf){.refs = 1, .room = (uint32_t)(size - sizeof(struct leaf)) & LEAF_SIZE_MAX};
	tree->memory += size;
	return leaf;
}

/* The tree no longer points to it; others may. */
static void node_forget(struct shard *shard, struct tree *tree, struct tree_node *node)
{
	tree->memory -= slab_size(node_size(node->cap));
	if (--node->refs == 0)
		node_give(shard, node);
}

static void leaf_forget(struct shard *shard, struct tree *tree, struct leaf *leaf)
{
	tree->memory -= slab_size(leaf_size(leaf->room));
	tree->away -= leaf->away;
	tree->back -= leaf->back;
	leaf_let_go(shard, leaf);
}

struct leaf *leaf_hold(struct leaf *leaf)
{
	leaf->refs++;
	return leaf;
}

void leaf_let_go(struct shard *shard, struct leaf *leaf)
{
	if (--leaf->refs == 0)
		leaf_give(shard, leaf);
}

/* ---- entries of nodes ----------------------------------------------------------------- */

static void entries_move(struct tree_node *to, uint32_t to_at, const struct tree_node *from, uint32_t from_at,
                         uint32_t n)
{
	memmove(children_of(to) + to_at, children_of(from) + from_at, n * sizeof(void *));
	memmove(counts_of(to) + to_at, counts_of(from) + from_at, n * sizeof(uint64_t));
	memmove(keys_of(to) + to_at, keys_of(from) + from_at, n * sizeof(struct tree_key));
}

static void entry_insert(struct tree_node *node, uint32_t at, const struct entry *entry)
{
	assert(node->n < node->cap);
	assert(at <= node->n);
	entries_move(node, at + 1, node, at, node->n - at);
	children_of(node)[at] = entry->child;
	counts_of(node)[at] = entry->count;
	keys_of(node)[at] = entry->key;
	node->n++;
}

static void entry_remove(struct tree_node *node, uint32_t at)
{
	entries_move(node, at, node, at + 1, node->n - at - 1);
	node->n--;
}

static uint64_t count_before(const struct tree_node *node, uint32_t at)
{
	const uint64_t *counts = counts_of(node);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < at; i++)
		sum += counts[i];
	return sum;
}

/* The same entries in a node of another size, for one tree alone. */
static struct tree_node *node_remake(struct shard *shard, struct tree *tree, struct tree_node *node, unsigned cap)
{
	assert(cap >= node->n);
	struct tree_node *made = node_new(shard, tree, cap);
	entries_move(made, 0, node, 0, node->n);
	made->n = node->n;
	if (node->refs > 1)
		for (uint32_t i = 0; i < node->n; i++)
			++*refs_of(children_of(node)[i]);
	node_forget(shard, tree, node);
	return made;
}

/* ---- paths ---------------------------------------------------------------------------- */

/* Makes the path's step at `depth` lead to another node or, below the steps, to another leaf. */
static void path_put(struct tree_path *path, uint32_t depth, void *leaf_or_node)
{
	if (depth == 0)
		path->tree->root = leaf_or_node;
	else
		children_of(path->steps[depth - 1].node)[path->steps[depth - 1].at] = leaf_or_node;
	if (depth == path->tree->height)
		path->leaf = leaf_or_node;
	else
		path->steps[depth].node = leaf_or_node;
}

static void path_own(struct shard *shard, struct tree_path *path)
{
	for (uint32_t depth = 0; depth < path->tree->height; depth++) {
		struct tree_node *node = path->steps[depth].node;
		if (unlikely(node->refs > 1))
			path_put(path, depth, node_remake(shard, path->tree, node, node->cap));
	}
}

struct tree_key tree_path_key(const struct tree_path *path)
{
	uint32_t height = path->tree->height;
	return height ? keys_of(path->steps[height - 1].node)[path->steps[height - 1].at] : path->tree->key;
}

/* The first child of an owned node at `depth` may begin with another key: those above it say so. */
static void path_rekey(struct tree_path *path, uint32_t depth)
{
	for (; depth > 0 && path->steps[depth].at == 0; depth--)
		keys_of(path->steps[depth - 1].node)[path->steps[depth - 1].at] = keys_of(path->steps[depth].node)[0];
}

/* From the path's node or leaf at `depth` down to its first or last leaf. */
static void path_down(struct tree_path *path, uint32_t depth, void *at, bool last)
{
	for (; depth < path->tree->height; depth++) {
		struct tree_node *node = at;
		path->steps[depth].node = node;
		path->steps[depth].at = last ? node->n - 1u : 0;
		at = children_of(node)[path->steps[depth].at];
	}
	path->leaf = at;
}

bool tree_first(struct tree *tree, struct tree_path *out)
{
	out->tree = tree;
	out->leaf = NULL;
	out->before = 0;
	if (tree->root)
		path_down(out, 0, tree->root, false);
	return tree->root;
}

bool tree_last(struct tree *tree, struct tree_path *out)
{
	if (!tree_first(tree, out))
		return false;
	path_down(out, 0, tree->root, true);
	out->before = tree->count - out->leaf->count;
	return true;
}

bool tree_next(struct tree_path *path)
{
	for (uint32_t depth = path->tree->height; depth-- > 0;) {
		struct tree_node *node = path->steps[depth].node;
		if (path->steps[depth].at + 1 == node->n)
			continue;
		path->before += path->leaf->count;
		path_down(path, depth + 1, children_of(node)[++path->steps[depth].at], false);
		return true;
	}
	path->leaf = NULL;
	return false;
}

bool tree_prev(struct tree_path *path)
{
	for (uint32_t depth = path->tree->height; depth-- > 0;) {
		struct tree_node *node = path->steps[depth].node;
		if (path->steps[depth].at == 0)
			continue;
		path_down(path, depth + 1, children_of(node)[--path->steps[depth].at], true);
		path->before -= path->leaf->count;
		return true;
	}
	path->leaf = NULL;
	return false;
}

/* ---- seeking -------------------------------------------------------------------------- */

static const struct leaf *first_leaf(void *at, uint32_t height)
{
	for (; height > 0; height--)
		at = children_of(at)[0];
	return at;
}

/* The first of keys [from, to) that is greater than `key` (or equal, if `or_equal`); `to`: none. */
static uint32_t keys_bound(const struct tree_key *keys, uint32_t from, uint32_t to, struct tree_key key, bool or_equal)
{
	/* Without branches: where the way goes cannot be foretold. */
	for (uint32_t n = to - from; n > 0;) {
		uint32_t half = n / 2;
		const struct tree_key *middle = &keys[from + half];
		bool below = (middle->high < key.high) |
		             ((middle->high == key.high) &
		              ((middle->low < key.low) | ((middle->low == key.low) & !or_equal)));
		from = below ? from + half + 1 : from;
		n = below ? n - half - 1 : half;
	}
	return from;
}

struct sought {
	struct tree_key key;
	bool (*begins_behind)(void *arg, const struct leaf *leaf);
	void *arg;
};

/* The last child that does not begin behind, or the first child. */
static uint32_t node_seek(const struct tree_node *node, const struct sought *sought, uint32_t height)
{
	const struct tree_key *keys = keys_of(node);
	uint32_t to = keys_bound(keys, 0, node->n, sought->key, false);
	if (sought->begins_behind && to > 0 && tree_key_compare(keys[to - 1], sought->key) == 0) {
		uint32_t from = keys_bound(keys, 0, to, sought->key, true);
		while (from < to) {
			uint32_t middle = (from + to) / 2;
			if (sought->begins_behind(sought->arg, first_leaf(children_of(node)[middle], height)))
				to = middle;
			else
				from = middle + 1;
		}
	}
	return to ? to - 1 : 0;
}

bool tree_seek(struct tree *tree, struct tree_key key, bool (*begins_behind)(void *arg, const struct leaf *leaf),
               void *arg, struct tree_path *out)
{
	const struct sought sought = {key, begins_behind, arg};
	out->tree = tree;
	out->before = 0;
	void *at = tree->root;
	for (uint32_t depth = 0; depth < tree->height; depth++) {
		struct tree_node *node = at;
		uint32_t child = node_seek(node, &sought, tree->height - depth - 1);
		at = children_of(node)[child];
		__builtin_prefetch(at); /* it comes while the counts are added up */
		out->steps[depth].node = node;
		out->steps[depth].at = child;
		out->before += count_before(node, child);
	}
	out->leaf = at;
	return at;
}

const struct leaf *tree_look(const struct tree *tree, struct tree_key key)
{
	const void *at = tree->root;
	for (uint32_t depth = 0; depth < tree->height; depth++) {
		const struct tree_node *node = at;
		uint32_t behind = keys_bound(keys_of(node), 0, node->n, key, false);
		at = children_of(node)[behind ? behind - 1 : 0];
	}
	return at;
}

void tree_seek_at(struct tree *tree, uint64_t at, struct tree_path *out)
{
	assert(at < tree->count);
	out->tree = tree;
	out->before = 0;
	void *below = tree->root;
	for (uint32_t depth = 0; depth < tree->height; depth++) {
		struct tree_node *node = below;
		const uint64_t *counts = counts_of(node);
		uint32_t child = 0;
		for (; at - out->before >= counts[child]; child++)
			out->before += counts[child];
		assert(child < node->n);
		out->steps[depth].node = node;
		out->steps[depth].at = child;
		below = children_of(node)[child];
	}
	out->leaf = below;
}

/* ---- changing a leaf ------------------------------------------------------------------ */

/* The same leaf with other room, for one tree alone. */
static struct leaf *leaf_remake(struct shard *shard, struct tree_path *path, size_t room)
{
	struct leaf *leaf = path->leaf, *made = leaf_new(shard, path->tree, room);
	assert(!leaf->away);
	made->len = leaf->len;
	made->count = leaf->count;
	made->back = leaf->back;
	path->tree->back += made->back;
	memcpy(made->bytes, leaf->bytes, leaf->len);
	leaf_forget(shard, path->tree, leaf);
	path_put(path, path->tree->height, made);
	return made;
}

struct leaf *tree_own(struct shard *shard, struct tree_path *path, size_t room)
{
	struct leaf *leaf = path->leaf;
	path_own(shard, path);
	size_t needed = room > leaf->len ? room : leaf->len;
	bool fits = room == 0 || (needed <= leaf->room && leaf_size(leaf->room) <= 2 * leaf_size(needed));
	if (likely(leaf->refs == 1 && fits))
		return leaf;
	return leaf_remake(shard, path, room == 0 ? leaf->room : needed);
}

struct leaf *tree_refit(struct shard *shard, struct tree_path *path, size_t room)
{
	path_own(shard, path);
	return leaf_remake(shard, path, room > path->leaf->len ? room : path->leaf->len);
}

struct leaf *tree_exchange(struct shard *shard, struct tree_path *path, size_t room, uint32_t len)
{
	struct tree *tree = path->tree;
	path_own(shard, path);
	struct leaf *leaf = path->leaf, *made = leaf_new(shard, tree, room);
	assert(len <= made->room);
	made->len = len;
	made->count = leaf->count;
	tree->len += (uint64_t)len - leaf->len;
	leaf_forget(shard, tree, leaf);
	path_put(path, tree->height, made);
	return made;
}

void tree_set_away(struct tree_path *path, bool away)
{
	assert(path->leaf->refs == 1);
	path->tree->away += (uint32_t)away - path->leaf->away;
	path->leaf->away = away;
}

void tree_set_back(struct tree_path *path, bool back)
{
	assert(path->leaf->refs == 1);
	path->tree->back += (uint32_t)back - path->leaf->back;
	path->leaf->back = back;
}

void tree_changed(struct tree_path *path, uint32_t count, uint32_t len, struct tree_key key)
{
	struct tree *tree = path->tree;
	struct leaf *leaf = path->leaf;
	assert(leaf->refs == 1);
	assert(count > 0);
	assert(len <= leaf->room);
	uint64_t more = (uint64_t)count - leaf->count; /* modulo 2^64 if there are less */
	tree->count += more;
	tree->len += (uint64_t)len - leaf->len;
	leaf->count = count;
	leaf->len = len;
	for (uint32_t depth = 0; depth < tree->height; depth++)
		counts_of(path->steps[depth].node)[path->steps[depth].at] += more;
	if (tree->height == 0) {
		tree->key = key;
		return;
	}
	keys_of(path->steps[tree->height - 1].node)[path->steps[tree->height - 1].at] = key;
	path_rekey(path, tree->height - 1);
}

/* ---- a new leaf ----------------------------------------------------------------------- */

/* A new root above the old one. */
static void path_raise(struct shard *shard, struct tree_path *path)
{
	struct tree *tree = path->tree;
	assert(tree->height < TREE_HEIGHT_MAX);
	struct tree_key key = tree->height ? keys_of(tree->root)[0] : tree->key;
	struct entry old = {tree->root, tree->count, key};
	struct tree_node *root = node_new(shard, tree, CAP_MIN);
	entry_insert(root, 0, &old);
	memmove(path->steps + 1, path->steps, tree->height * sizeof(path->steps[0]));
	path->steps[0].node = root;
	path->steps[0].at = 0;
	tree->root = root;
	tree->height++;
}

/* At either end of the tree the new child begins a node of its own, and the full one stays full: so lists that
 * grow at an end have full nodes. Anywhere else the node is halved. */
static uint32_t split_place(const struct tree_path *path, uint32_t depth, uint32_t at)
{
	uint32_t n = path->steps[depth].node->n;
	bool first = at <= 1, last = at == n; /* 1: behind a child that has just been cut at its beginning */
	for (uint32_t above = 0; above < depth; above++) {
		first &= path->steps[above].at == 0;
		last &= path->steps[above].at + 1u == path->steps[above].node->n;
	}
	return first ? at : last ? n : n / 2;
}

static struct tree_node *node_with_room(struct shard *shard, struct tree_path *path, uint32_t depth)
{
	struct tree_node *node = path->steps[depth].node;
	if (node->n == node->cap) {
		node = node_remake(shard, path->tree, node, cap_for(node->n + 1u));
		path_put(path, depth, node);
	}
	return node;
}

/* Cuts a full node in two and inserts entry number `at`. The new, right node is not in its parent yet. */
static struct tree_node *node_split(struct shard *shard, struct tree_path *path, uint32_t depth, uint32_t at,
                                    const struct entry *entry)
{
	struct tree_node *left = path->steps[depth].node;
	uint32_t cut = split_place(path, depth, at), n_right = left->n - cut;
	bool in_right = at > cut || n_right == 0;
	struct tree_node *right = node_new(shard, path->tree, cap_for(n_right + in_right));
	entries_move(right, 0, left, cut, n_right);
	right->n = (uint16_t)n_right;
	left->n = (uint16_t)cut;
	if (in_right)
		entry_insert(right, at - cut, entry);
	else
		entry_insert(left, at, entry);
	counts_of(path->steps[depth - 1].node)[path->steps[depth - 1].at] = count_before(left, left->n);
	return right;
}

/* Inserts a leaf without elements as child `at` of the lowest node; the path leads to it. */
static void path_insert(struct shard *shard, struct tree_path *path, uint32_t at, struct entry entry)
{
	bool lead = true; /* the path goes through the entry, else through the one before */
	for (uint32_t depth = path->tree->height - 1;; depth--) {
		uint32_t follow = lead ? at : at - 1;
		if (path->steps[depth].node->n < TREE_FANOUT) {
			entry_insert(node_with_room(shard, path, depth), at, &entry);
			path->steps[depth].at = follow;
			return;
		}
		if (depth == 0) {
			path_raise(shard, path);
			depth = 1;
		}
		struct tree_node *left = path->steps[depth].node;
		struct tree_node *right = node_split(shard, path, depth, at, &entry);
		lead = follow >= left->n;
		path->steps[depth].node = lead ? right : left;
		path->steps[depth].at = lead ? follow - left->n : follow;
		entry = (struct entry){right, count_before(right, right->n), keys_of(right)[0]};
		at = path->steps[depth - 1].at + 1;
	}
}

struct leaf *tree_insert(struct shard *shard, struct tree_path *path, bool behind, size_t room)
{
	struct tree *tree = path->tree;
	struct leaf *leaf = leaf_new(shard, tree, room);
	tree->leaves++;
	if (!tree->root) {
		tree->root = leaf;
		path->before = 0;
	} else {
		path_own(shard, path);
		path->before += behind ? path->leaf->count : 0;
		struct entry entry = {leaf, 0, tree_path_key(path)}; /* in order until tree_changed() says better */
		if (tree->height == 0)
			path_raise(shard, path);
		path_insert(shard, path, path->steps[tree->height - 1].at + behind, entry);
	}
	path->leaf = leaf;
	return leaf;
}

/* ---- one leaf less -------------------------------------------------------------------- */

/* Puts all of child `at` + 1 into child `at`, if that is not too much. */
static bool node_join(struct shard *shard, struct tree *tree, struct tree_node *parent, uint32_t at)
{
	struct tree_node *left = children_of(parent)[at], *right = children_of(parent)[at + 1];
	uint32_t n = left->n + (uint32_t)right->n;
	if (n > JOIN_MAX)
		return false;
	if (left->refs > 1 || n > left->cap)
		left = children_of(parent)[at] = node_remake(shard, tree, left, cap_for(n));
	entries_move(left, left->n, right, 0, right->n);
	left->n = (uint16_t)n;
	if (right->refs > 1)
		for (uint32_t i = 0; i < right->n; i++)
			++*refs_of(children_of(right)[i]);
	node_forget(shard, tree, right);
	counts_of(parent)[at] += counts_of(parent)[at + 1];
	entry_remove(parent, at + 1);
	return true;
}

/* The path's node at `depth` has lost a child: it may join a neighbour, and so may those above it. The steps mean
 * nothing afterwards. */
static void path_join(struct shard *shard, struct tree_path *path, uint32_t depth)
{
	struct tree *tree = path->tree;
	for (; depth > 0 && path->steps[depth].node->n <= JOIN_MAX; depth--) {
		struct tree_node *parent = path->steps[depth - 1].node;
		uint32_t at = path->steps[depth - 1].at;
		bool joined = (at > 0 && node_join(shard, tree, parent, at - 1)) ||
		              (at + 1 < parent->n && node_join(shard, tree, parent, at));
		if (!joined)
			break;
	}
	while (tree->height > 0 && ((struct tree_node *)tree->root)->n == 1) {
		struct tree_node *root = tree->root;
		tree->key = keys_of(root)[0];
		tree->root = children_of(root)[0];
		tree->height--;
		if (root->refs > 1)
			++*refs_of(tree->root);
		node_forget(shard, tree, root);
	}
}

/* Takes the lowest entry out of its node, and nodes that are empty then out of theirs; the depth of the node that is
 * not. */
static uint32_t path_cut(struct shard *shard, struct tree_path *path, uint64_t count)
{
	struct tree *tree = path->tree;
	for (uint32_t depth = tree->height; depth-- > 0;) {
		struct tree_node *node = path->steps[depth].node;
		if (node->n == 1) {
			node_forget(shard, tree, node);
			continue;
		}
		entry_remove(node, path->steps[depth].at);
		if (node->n <= node->cap / 4 && node->cap > CAP_MIN)
			path_put(path, depth, node_remake(shard, tree, node, node->cap / 2));
		for (uint32_t above = 0; above < depth; above++)
			counts_of(path->steps[above].node)[path->steps[above].at] -= count;
		path_rekey(path, depth);
		return depth;
	}
	tree->root = NULL;
	tree->height = 0;
	return 0;
}

bool tree_remove(struct shard *shard, struct tree_path *path)
{
	struct tree *tree = path->tree;
	struct leaf *leaf = path->leaf;
	uint64_t count = leaf->count;
	path_own(shard, path);
	tree->count -= count;
	tree->len -= leaf->len;
	tree->leaves--;
	leaf_forget(shard, tree, leaf);
	uint32_t depth = path_cut(shard, path, count);
	if (tree->root)
		path_join(shard, path, depth);
	path->leaf = NULL;
	if (path->before == tree->count)
		return false;
	tree_seek_at(tree, path->before, path);
	return true;
}

/* ---- as a whole ----------------------------------------------------------------------- */

struct tree tree_share(struct tree *tree)
{
	if (tree->root)
		++*refs_of(tree->root);
	return *tree;
}

/* Nodes lose their last children first, so that the tree itself remembers how far it is. */
bool tree_free_some(struct shard *shard, struct tree *tree, int64_t *budget)
{
	void *way[TREE_HEIGHT_MAX + 1] = {tree->root};
	uint32_t depth = 0;
	while (tree->root && *budget > 0) {
		struct tree_node *node = way[depth];
		if (depth < tree->height && node->refs == 1 && node->n > 0) {
			way[++depth] = children_of(node)[node->n - 1];
			continue;
		}
		--*budget;
		if (--*refs_of(node) == 0) {
			if (depth == tree->height)
				leaf_give(shard, way[depth]);
			else
				node_give(shard, node);
		}
		if (depth == 0)
			*tree = (struct tree){0};
		else
			((struct tree_node *)way[--depth])->n--;
	}
	return !tree->root;
}

/* ---- proof ---------------------------------------------------------------------------- */

struct tally {
	uint64_t count, len, memory;
	uint32_t leaves, away, back;
	struct tree_key key; /* of the leaf before */
	void (*check)(void *arg, const struct leaf *leaf, struct tree_key key);
	void *arg;
};

static void leaf_verify(const struct leaf *leaf, struct tree_key key, struct tally *tally)
{
	assert(leaf->refs > 0);
	assert(leaf->count > 0);
	assert(leaf->len <= leaf->room);
	assert(slab_size(leaf_size(leaf->room)) == leaf_size(leaf->room));
	assert(tree_key_compare(tally->key, key) <= 0);
	tally->key = key;
	tally->leaves++;
	tally->count += leaf->count;
	tally->len += leaf->len;
	tally->memory += leaf_size(leaf->room);
	tally->away += leaf->away;
	tally->back += leaf->back;
	if (tally->check)
		tally->check(tally->arg, leaf, key);
}

/* As deep as the tree is high. */
static void node_verify(void *at, uint32_t height, struct tree_key key, struct tally *tally)
{
	if (height == 0) {
		leaf_verify(at, key, tally);
		return;
	}
	const struct tree_node *node = at;
	assert(node->refs > 0);
	assert(node->n > 0);
	assert(node->n <= node->cap);
	assert(node->cap <= TREE_FANOUT);
	assert(tree_key_compare(keys_of(node)[0], key) == 0);
	tally->memory += slab_size(node_size(node->cap));
	for (uint32_t i = 0; i < node->n; i++) {
		uint64_t before = tally->count;
		node_verify(children_of(node)[i], height - 1, keys_of(node)[i], tally);
		assert(tally->count - before == counts_of(node)[i]);
	}
}

void tree_verify(struct tree *tree, void (*check)(void *arg, const struct leaf *leaf, struct tree_key key), void *arg)
{
	struct tally tally = {.check = check, .arg = arg};
	assert(tree->height <= TREE_HEIGHT_MAX);
	if (tree->height > 0)
		assert(((struct tree_node *)tree->root)->n > 1);
	if (tree->root)
		node_verify(tree->root, tree->height, tree->height ? keys_of(tree->root)[0] : tree->key, &tally);
	assert(tally.count == tree->count);
	assert(tally.len == tree->len);
	assert(tally.leaves == tree->leaves);
	assert(tally.away == tree->away);
	assert(tally.back == tree->back);
	assert(tally.memory == tree->memory);
}
