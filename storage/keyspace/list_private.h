/* list_private.h -- the leaves of large lists: packed elements, plain or compressed.
 *
 * What      Under list-compress-depth N, while there are more than 2 N leaves, the N at either end are plain and those
 *           between them compressed, each for itself. A compressed leaf says so by its first byte, which begins no
 *           element, so images carry it as it is.
 * When      A leaf is opened on the way to a change. After it those around the change are settled, and those that
 *           have come to lie in the middle, or out of it. What another setting left behind is read all the same.
 * Source    Redis' quicklist.
 */
#pragma once

#include "engine/base/buf.h"
#include "storage/keyspace/collection_private.h"

/* Bytes of its elements, once plain. */
size_t leaf_length(const struct leaf *leaf);

/* Its elements: in the leaf itself, or unpacked into `room`. */
struct slice leaf_elements(const struct leaf *leaf, struct buf *room);

/* Is its content left alone by changes of other leaves? It is not in memory, or was not: see cold_leaf.h. */
static inline bool leaf_is_apart(const struct leaf *leaf) { return leaf->away || leaf->back; }

/* May a leaf be so long, and have so many elements? */
bool leaf_fits(const struct shard *shard, size_t len, uint64_t count);

/* May two become one? */
bool leaves_fit_as_one(const struct shard *shard, const struct leaf *a, const struct leaf *b);

/* Makes the path's leaf plain. */
void leaf_open(struct shard *shard, struct tree_path *path);

/* Compresses the path's leaf, if it gains by that, or opens it, as its place asks for. */
void leaf_settle(struct shard *shard, struct tree_path *path);

/* The same for whichever leaves a change around element `at` of the tree may have concerned. */
void leaves_settle(struct shard *shard, struct tree *tree, uint64_t at);

/* May these bytes, which may be anything, be a leaf with so many elements? */
bool leaf_check(struct slice bytes, uint32_t count);
