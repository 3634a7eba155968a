/* list.h -- lists: elements by position.
 *
 * What      A small list is one packed block, a large one a counted tree of packed blocks (leaves), each as long as
 *           the setting list-max-listpack-size says. An element that is longer has a leaf of its own. Leaves that
 *           are far from both ends may be compressed (list-compress-depth).
 * Edits     Pushes, pops, and changes at a position: their bytes are written and applied by list.c alone.
 * Costs     Ends: constant, but for the bytes of one leaf that move. Elsewhere: a way down the tree, a walk over
 *           half a leaf. Removing a range: a little for each leaf of it.
 * Owner     The shard.
 */
#pragma once

#include "engine/base/buf.h"
#include "storage/collections/packed.h"
#include "storage/collections/tree.h"
#include "storage/keyspace/collection.h"

enum list_end { LIST_HEAD, LIST_TAIL };

/* ---- reading -------------------------------------------------------------------------- */

/* A place between two elements; good until the list changes. Zeroed, and ended, by list_walk_end(). */
struct list_walk {
	struct tree_path path;           /* path.leaf NULL: the list is small */
	const uint8_t *begin, *at, *end; /* the block around it */
	struct buf plain;                /* of a compressed one */
};

/* Before element `at`, which may be the end. */
void list_walk(const struct object *list, uint64_t at, struct list_walk *walk);
void list_walk_end(struct list_walk *walk);

/* The element behind (before) the place, which moves over it; false at the end (the beginning). It is good until the
 * walk goes on. */
bool list_next(struct list_walk *walk, struct packed_element *out);
bool list_prev(struct list_walk *walk, struct packed_element *out);

/* Its blocks of packed elements, in order. */
uint64_t list_blocks(const struct object *list);
void list_each_block(const struct object *list, void (*show)(void *arg, struct slice packed, uint32_t count),
                     void *arg);

/* ---- changing: of an opened collection, touched on the way ------------------------------- */

/* `value` may not be the list's own memory; so below. */
void list_push(struct collection *list, enum list_end end, struct slice value);

/* Element `at`, which is there. */
void list_set(struct collection *list, uint64_t at, struct slice value);

/* It becomes element `at`, which may be the end. */
void list_insert(struct collection *list, uint64_t at, struct slice value);

/* Elements [at, at + n), which are there. */
void list_cut(struct collection *list, uint64_t at, uint64_t n);

/* The first (last) `limit` elements that equal, counted from `from`; how many there were. */
uint64_t list_cut_equal(struct collection *list, enum list_end from, uint64_t limit, struct slice value);
