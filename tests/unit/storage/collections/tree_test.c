/* Trees of leaves against arrays of them: several versions that share what they can live side by side, and after each
 * step each is what its own model says. Compiled twice: with the usual and with tiny nodes. */
#include "storage/collections/tree.h"

#include "engine/memory/memory.h"
#include "engine/memory/slab.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/value.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- memory, counted ------------------------------------------------------------------ */

static uint64_t memory_used, blocks_used;

void *value_take(struct shard *shard, size_t size)
{
	memory_used += slab_size(size);
	blocks_used++;
	return memory_alloc(slab_size(size));
}

void cold_leaf_forget(struct shard *shard, const struct leaf *leaf) { cr_assert(leaf->away); }

void value_give(struct shard *shard, void *block, size_t size)
{
	memory_used -= slab_size(size);
	blocks_used--;
	memory_free(block);
}

static uint64_t random_state = 1;

static uint32_t roll(uint32_t sides)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 32) * sides >> 32);
}

/* ---- the model ------------------------------------------------------------------------ */

/* A leaf begins with `order`: its upper part is the key, so that many leaves have equal keys. The rest of its bytes
 * are those of a generator. */
struct item {
	uint64_t order;
	uint32_t count, len;
	uint8_t seed;
};

struct model {
	struct item *items;
	uint32_t n, cap;
};

static struct tree_key key_of(uint64_t order) { return (struct tree_key){order >> 40, order >> 36 & 15}; }

static void model_insert(struct model *model, uint32_t at, struct item item)
{
	if (model->n == model->cap) {
		model->cap = model->cap ? 2 * model->cap : 64;
		struct item *items = memory_alloc(model->cap * sizeof(struct item));
		if (model->n)
			memcpy(items, model->items, model->n * sizeof(struct item));
		memory_free(model->items);
		model->items = items;
	}
	memmove(model->items + at + 1, model->items + at, (model->n - at) * sizeof(struct item));
	model->items[at] = item;
	model->n++;
}

static void model_remove(struct model *model, uint32_t at)
{
	model->n--;
	memmove(model->items + at, model->items + at + 1, (model->n - at) * sizeof(struct item));
}

static uint64_t model_before(const struct model *model, uint32_t at)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < at; i++)
		sum += model->items[i].count;
	return sum;
}

static struct item any_item(uint64_t order)
{
	return (struct item){order, 1 + roll(5), (uint32_t)sizeof(order) + roll(roll(10) ? 60 : 3000),
	                     (uint8_t)roll(256)};
}

static uint64_t order_between(const struct model *model, uint32_t at)
{
	uint64_t from = at > 0 ? model->items[at - 1].order : 0;
	uint64_t to = at < model->n ? model->items[at].order : (uint64_t)1 << 44;
	return from + (uint64_t)((double)(to - from) * (1 + roll(1000)) / 1001);
}

static void leaf_fill(struct leaf *leaf, struct item item)
{
	memcpy(leaf->bytes, &item.order, sizeof(item.order));
	for (uint32_t i = sizeof(item.order); i < item.len; i++)
		leaf->bytes[i] = (uint8_t)(item.seed + i);
}

static bool leaf_is(const struct leaf *leaf, struct item item)
{
	if (leaf->count != item.count || leaf->len != item.len || memcmp(leaf->bytes, &item.order, 8) != 0)
		return false;
	for (uint32_t i = sizeof(item.order); i < item.len; i++)
		if (leaf->bytes[i] != (uint8_t)(item.seed + i))
			return false;
	return true;
}

/* ---- a version: a tree and what it should be ------------------------------------------- */

struct version {
	struct tree tree;
	struct model model;
};

struct walk {
	const struct model *model;
	uint32_t at;
};

static void check_leaf(void *arg, const struct leaf *leaf, struct tree_key key)
{
	struct walk *walk = arg;
	cr_assert(walk->at < walk->model->n);
	struct item item = walk->model->items[walk->at++];
	cr_assert(leaf_is(leaf, item));
	cr_assert_eq(tree_key_compare(key, key_of(item.order)), 0);
}

static void version_verify(struct version *version)
{
	struct walk walk = {&version->model, 0};
	tree_verify(&version->tree, check_leaf, &walk);
	cr_assert_eq(walk.at, version->model.n);
	cr_assert_eq(version->tree.count, model_before(&version->model, version->model.n));
}

static void path_is(const struct tree_path *path, const struct model *model, uint32_t at)
{
	cr_assert(path->leaf);
	cr_assert_eq(path->before, model_before(model, at));
	cr_assert(leaf_is(path->leaf, model->items[at]));
}

/* A path to leaf `at`, by one of the ways there are. */
static struct tree_path path_to(struct version *version, uint32_t at)
{
	struct tree_path path;
	const struct model *model = &version->model;
	uint32_t way = roll(4);
	if (way == 0 && at < 20) {
		cr_assert(tree_first(&version->tree, &path));
		for (uint32_t i = 0; i < at; i++)
			cr_assert(tree_next(&path));
	} else if (way == 1 && model->n - at < 20) {
		cr_assert(tree_last(&version->tree, &path));
		for (uint32_t i = model->n - 1; i > at; i--)
			cr_assert(tree_prev(&path));
	} else {
		tree_seek_at(&version->tree, model_before(model, at) + roll(model->items[at].count), &path);
	}
	path_is(&path, model, at);
	return path;
}

static bool begins_behind(void *arg, const struct leaf *leaf)
{
	uint64_t order;
	memcpy(&order, leaf->bytes, sizeof(order));
	return order > *(const uint64_t *)arg;
}

static void check_seek(struct version *version)
{
	const struct model *model = &version->model;
	uint64_t order =
	        model->n && roll(2) ? model->items[roll(model->n)].order + roll(3) - 1 : (uint64_t)roll(1 << 20) << 24;
	bool by_key_alone = roll(4) == 0;
	struct tree_path path;
	bool found = tree_seek(&version->tree, key_of(order), by_key_alone ? NULL : begins_behind, &order, &path);
	cr_assert_eq(found, model->n > 0);
	uint32_t at = 0;
	for (; at + 1 < model->n; at++) {
		uint64_t next = model->items[at + 1].order;
		if (by_key_alone ? tree_key_compare(key_of(next), key_of(order)) > 0 : next > order)
			break;
	}
	if (found)
		path_is(&path, model, at);
}

/* ---- steps ---------------------------------------------------------------------------- */

static void fill(struct version *version, struct tree_path *path, uint32_t at)
{
	struct item item = version->model.items[at];
	leaf_fill(path->leaf, item);
	tree_changed(path, item.count, item.len, key_of(item.order));
	path_is(path, &version->model, at);
}

static void step_insert(struct version *version, uint32_t at)
{
	struct model *model = &version->model;
	struct item item = any_item(order_between(model, at));
	struct tree_path path = {.tree = &version->tree};
	bool behind = at > 0 && (at == model->n || roll(2));
	if (model->n)
		path = path_to(version, behind ? at - 1 : at);
	struct leaf *leaf = tree_insert(NULL, &path, behind, item.len);
	cr_assert_eq(leaf, path.leaf);
	cr_assert_eq(leaf->refs, 1);
	cr_assert_geq(leaf->room, item.len);
	model_insert(model, at, item);
	fill(version, &path, at);
	if (roll(2) && at + 1 < model->n) { /* the path leads on */
		cr_assert(tree_next(&path));
		path_is(&path, model, at + 1);
	}
}

static void step_change(struct version *version)
{
	struct model *model = &version->model;
	uint32_t at = roll(model->n);
	struct item item = any_item(order_between(model, at + 1)), old = model->items[at];
	struct tree_path path = path_to(version, at);
	bool in_place = item.len <= path.leaf->room && roll(2);
	struct leaf *leaf = tree_own(NULL, &path, in_place ? 0 : item.len);
	cr_assert_eq(leaf, path.leaf);
	cr_assert_eq(leaf->refs, 1);
	cr_assert_geq(leaf->room, item.len);
	cr_assert(leaf_is(leaf, old));
	model->items[at] = item;
	fill(version, &path, at);
	(void)tree_own(NULL, &path, leaf->len);
	path_is(&path, model, at);
	cr_assert_leq(sizeof(*leaf) + path.leaf->room, 2 * slab_size(sizeof(*leaf) + item.len));
}

/* Removes `n` leaves along one path. */
static void step_remove(struct version *version, uint32_t at, uint32_t n)
{
	struct model *model = &version->model;
	struct tree_path path = path_to(version, at);
	for (; n > 0 && at < model->n; n--) {
		bool more = tree_remove(NULL, &path);
		model_remove(model, at);
		cr_assert_eq(more, at < model->n);
		if (more)
			path_is(&path, model, at);
		else
			cr_assert(!path.leaf);
	}
}

static struct version version_share(struct version *version)
{
	struct version copy = {.tree = tree_share(&version->tree), .model = version->model};
	copy.model.items = memory_alloc(copy.model.cap * sizeof(struct item));
	memcpy(copy.model.items, version->model.items, version->model.n * sizeof(struct item));
	return copy;
}

static void version_free(struct version *version)
{
	int64_t budget = 1 + roll(10);
	for (int64_t before = budget; !tree_free_some(NULL, &version->tree, &budget); before = budget = 1 + roll(10)) {
		cr_assert_leq(budget, 0);
		cr_assert_geq(budget, before - 11);
	}
	cr_assert(!version->tree.root);
	cr_assert_eq(version->tree.memory, 0);
	memory_free(version->model.items);
	*version = (struct version){0};
}

static void any_step(struct version *version, uint32_t size)
{
	uint32_t n = version->model.n;
	uint32_t kind = roll(14);
	if (n == 0 || (n < size && kind < 3))
		step_insert(version, roll(n + 1));
	else if (n < 2 * size && kind < 5)
		for (uint32_t i = 1 + roll(12); i > 0; i--)
			step_insert(version, version->model.n);
	else if (n < 2 * size && kind < 6)
		for (uint32_t i = 1 + roll(12); i > 0; i--)
			step_insert(version, 0);
	else if (kind < 10)
		step_change(version);
	else if (kind < 12)
		step_remove(version, roll(n), 1);
	else if (kind < 13)
		step_remove(version, 0, roll(roll(200) ? 12 : 100000));
	else
		step_remove(version, roll(n), roll(20));
}

enum { VERSIONS = 5 };

static void live(uint32_t steps, uint32_t size, uint32_t verify_each)
{
	struct version versions[VERSIONS] = {0};
	for (uint32_t step = 0; step < steps; step++) {
		struct version *version = &versions[roll(VERSIONS)];
		if (roll(40) == 0) {
			struct version *other = &versions[roll(VERSIONS)];
			if (other != version) {
				version_free(version);
				*version = version_share(other);
			}
		} else {
			any_step(version, size);
		}
		check_seek(version);
		if (step % verify_each == 0)
			for (int i = 0; i < VERSIONS; i++)
				version_verify(&versions[i]);
	}
	for (int i = 0; i < VERSIONS; i++)
		version_free(&versions[i]);
	cr_assert_eq(memory_used, 0);
	cr_assert_eq(blocks_used, 0);
}

Test(tree, is_what_its_model_says_when_small) { live(20000, TREE_FANOUT < 64 ? 40 : 100, 1); }
Test(tree, is_what_its_model_says_when_large) { live(20000, TREE_FANOUT < 64 ? 1000 : 6000, 500); }

/* ---- what is promised of size --------------------------------------------------------- */

enum { LEAVES = TREE_FANOUT < 64 ? 5000 : 30000 };

static void grown_at_an_end_is_full(bool behind)
{
	struct tree tree = {0};
	struct tree_path path = {.tree = &tree};
	uint64_t leaf_memory = 0;
	for (uint32_t i = 0; i < LEAVES; i++) {
		struct leaf *leaf = tree_insert(NULL, &path, behind, 8);
		leaf_memory += sizeof(*leaf) + leaf->room;
		tree_changed(&path, 1, 8, (struct tree_key){0, 0});
		cr_assert(behind ? tree_last(&tree, &path) : tree_first(&tree, &path));
	}
	tree_verify(&tree, NULL, NULL);
	uint64_t full = 8 + 32 * (uint64_t)TREE_FANOUT;
	uint64_t nodes = LEAVES / (TREE_FANOUT - 1) * (TREE_FANOUT < 64 ? 2 : 1) + 60;
	cr_assert_leq(tree.memory - leaf_memory, nodes * slab_size(full));
	int64_t budget = INT64_MAX;
	cr_assert(tree_free_some(NULL, &tree, &budget));
	cr_assert_eq(memory_used, 0);
}

Test(tree, has_full_nodes_when_it_grew_at_its_end) { grown_at_an_end_is_full(true); }
Test(tree, has_full_nodes_when_it_grew_at_its_beginning) { grown_at_an_end_is_full(false); }

/* One leaf takes no node, a few take a small one. */
Test(tree, is_small_when_it_has_few_leaves)
{
	struct tree tree = {0};
	struct tree_path path = {.tree = &tree};
	uint64_t leaves = 0;
	for (uint32_t i = 0; i < 4; i++) {
		struct leaf *leaf = tree_insert(NULL, &path, true, 100);
		leaves += sizeof(*leaf) + leaf->room;
		tree_changed(&path, 1, 100, (struct tree_key){0, i});
		cr_assert_eq(tree.memory, leaves + (i ? slab_size(8 + 4 * 32) : 0));
	}
	int64_t budget = INT64_MAX;
	cr_assert(tree_free_some(NULL, &tree, &budget));
}

/* A change of a shared tree copies a leaf and the nodes above it, not more. */
Test(tree, copies_only_the_way_to_a_change)
{
	struct tree tree = {0};
	struct tree_path path = {.tree = &tree};
	for (uint32_t i = 0; i < LEAVES; i++) {
		(void)tree_insert(NULL, &path, true, 8);
		tree_changed(&path, 1, 8, (struct tree_key){0, i});
	}
	uint64_t blocks = blocks_used;
	struct tree other = tree_share(&tree);
	cr_assert_eq(blocks_used, blocks);
	tree_seek_at(&other, LEAVES / 2, &path);
	(void)tree_own(NULL, &path, 0);
	cr_assert_eq(blocks_used, blocks + other.height + 1);
	(void)tree_own(NULL, &path, 0);
	cr_assert_eq(blocks_used, blocks + other.height + 1);
	cr_assert_eq(other.memory, tree.memory);
	int64_t budget = INT64_MAX;
	cr_assert(tree_free_some(NULL, &other, &budget));
	cr_assert_eq(blocks_used, blocks);
	tree_verify(&tree, NULL, NULL);
	cr_assert(tree_free_some(NULL, &tree, &budget));
	cr_assert_eq(memory_used, 0);
}
