/* tree.h -- blocks of elements in order, counted, and shared between versions.
 *
 * What      A B+-tree whose leaves are blocks that their owner fills as it likes. Of a leaf the tree knows
 *           how many elements and bytes it has, and by which key it begins. It finds leaves by key or by
 *           the number of an element, keeps the counts, and splits and joins its own nodes.
 * Sharing   tree_share() makes a second tree of the same content in constant time. Every node and leaf
 *           counts who points to it; what is shared is copied on the way to a change (tree_own()) and
 *           never changed. So a copy, an image or an iteration keeps one state while others write, and one
 *           change copies at most a leaf and one node a level.
 * Owner     The shard. All memory is taken by value_take(). A struct tree is part of its owner's struct;
 *           zeroed it is an empty tree. It is moved by copying it, if the old place is forgotten.
 * Source    Bayer, McCreight, "Organization and Maintenance of Large Ordered Indexes", 1972; Rodeh, "B-trees,
 *           Shadowing, and Clones", ACM TOS 2008.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/rare.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;
struct tree_node;

enum {
	TREE_FANOUT = RARE(64, 4),
	TREE_HEIGHT_MAX = RARE(12, 40), /* nodes above a leaf */
};

/* By what leaves are ordered; `high` counts first. Trees that are ordered by position alone have zeros. */
struct tree_key {
	uint64_t high, low;
};

static inline int tree_key_compare(struct tree_key a, struct tree_key b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	return (a.low > b.low) - (a.low < b.low);
}

struct leaf {
	uint32_t refs;      /* who points to it; only one: it may be changed */
	uint32_t room : 30; /* bytes there is room for */
	uint32_t away : 1;  /* its elements are not in memory: see storage/keyspace/cold_leaf.h */
	uint32_t back : 1;  /* they were not, and it has not been changed since */
	uint32_t len;       /* bytes in use */
	uint32_t count;     /* elements */
	uint8_t bytes[];
};

struct tree {
	void *root; /* a leaf if height is 0, else a node; NULL: no leaves */
	uint32_t height;
	uint32_t leaves;
	uint32_t away, back; /* leaves that are */
	uint64_t count;      /* elements of all leaves */
	uint64_t len;        /* bytes in use of all leaves */
	uint64_t memory;     /* bytes of leaves and nodes, the allocator's rounding included, shared ones too */
	struct tree_key key; /* by which the only leaf begins, if height is 0: no node says it then */
};

/* The way to one leaf. Good until the tree changes by anything but this path. */
struct tree_path {
	struct tree *tree;
	struct leaf *leaf; /* NULL: beyond either end */
	uint64_t before;   /* elements in the leaves before it */
	struct {
		struct tree_node *node;
		uint32_t at;
	} steps[TREE_HEIGHT_MAX]; /* from the root down */
};

/* ---- finding ------------------------------------------------------------------------ */

/* False: the tree is empty. */
bool tree_first(struct tree *tree, struct tree_path *out);
bool tree_last(struct tree *tree, struct tree_path *out);
/* False: there is no such leaf; the path means nothing then. */
bool tree_next(struct tree_path *path);
bool tree_prev(struct tree_path *path);

/* The last leaf that does not begin behind `key`, or the first leaf. Where leaves begin with keys equal to `key`,
 * `begins_behind(arg, leaf)` decides whether a leaf begins behind what is sought (NULL: none does). False: the tree is
 * empty. */
bool tree_seek(struct tree *tree, struct tree_key key, bool (*begins_behind)(void *arg, const struct leaf *leaf),
               void *arg, struct tree_path *out);

/* The leaf with element number `at`, which is less than tree->count: it is number at - out->before in it. */
void tree_seek_at(struct tree *tree, uint64_t at, struct tree_path *out);

/* The key by which the path's leaf begins. */
struct tree_key tree_path_key(const struct tree_path *path);

/* The leaf alone that tree_seek() finds without `begins_behind`; NULL: the tree is empty. */
const struct leaf *tree_look(const struct tree *tree, struct tree_key key);

/* ---- changing: through a path, which stays good ---------------------------------------- */

/* The path's leaf with room for at least `room` bytes (0: as it has), for the caller alone to change. Its content
 * stays. A leaf with much too much room gets less, if `room` is not 0. */
struct leaf *tree_own(struct shard *shard, struct tree_path *path, size_t room);

/* The same with as much room as asked for and the allocator gives, no more: for a leaf that was much longer. */
struct leaf *tree_refit(struct shard *shard, struct tree_path *path, size_t room);

/* The owned leaf has been changed: it has so many elements and bytes now, and begins with this key. It may not be
 * empty: then it is removed instead. */
void tree_changed(struct tree_path *path, uint32_t count, uint32_t len, struct tree_key key);

/* Another leaf of as many elements in place of the path's, `len` bytes that are the caller's to fill, room for `room`.
 * Whoever else has the old one keeps it. */
struct leaf *tree_exchange(struct shard *shard, struct tree_path *path, size_t room, uint32_t len);

/* Says so of the path's leaf, which is owned. */
void tree_set_away(struct tree_path *path, bool away);
void tree_set_back(struct tree_path *path, bool back);

/* Keeps a leaf as it is: whoever changes its tree copies it first. */
struct leaf *leaf_hold(struct leaf *leaf);
void leaf_let_go(struct shard *shard, struct leaf *leaf);

/* A new leaf behind the path's (before it: `behind` false), owned and empty, with room; the first one of an empty tree
 * (path->tree is all that must be set then). The path leads to the new leaf. The caller fills it and says
 * tree_changed(). */
struct leaf *tree_insert(struct shard *shard, struct tree_path *path, bool behind, size_t room);

/* Removes the path's leaf. The path leads to the one behind it; false if there is none. */
bool tree_remove(struct shard *shard, struct tree_path *path);

/* ---- as a whole ----------------------------------------------------------------------- */

/* The same content once more. */
struct tree tree_share(struct tree *tree);

/* Lets go of up to *budget leaves and nodes, and subtracts them; true once the tree is empty. Until then it is good for
 * nothing but the next call. */
bool tree_free_some(struct shard *shard, struct tree *tree, int64_t *budget);

/* Walks all of it and asserts: order, counts, lengths, memory, references; calls `check` for each leaf (NULL: nothing
 * more), with the key by which the tree finds it. */
void tree_verify(struct tree *tree, void (*check)(void *arg, const struct leaf *leaf, struct tree_key key), void *arg);
