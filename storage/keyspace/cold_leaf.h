/* cold_leaf.h -- leaves of large collections that have left memory.
 *
 * What      Of a leaf that is away the tree keeps its count of elements, and in place of its bytes a pointer to a record
 *           of storage/tier. So what counts elements, or is elsewhere in the collection, needs no read.
 * Changes   Leaving and coming back is no change: nothing is logged of it, and whoever shares the tree keeps what it
 *           has. Images, and whole states in the log, hold the pointer in place of the leaf's bytes: so the log may know
 *           a leaf by its pointer alone, also when it has come back (leaf->back). Before such a leaf is changed its
 *           bytes are logged, by whoever changes it.
 * Rules     A leaf that is away is read and changed by nobody; it may be removed as a whole. One that is back is changed
 *           only for elements of its own, never for its neighbours': so an edit that is applied again finds what it
 *           needs, whatever is away then.
 *           Each pointer is counted once, whoever shares its leaf.
 * Owner     The shard.
 */
#pragma once

#include "engine/base/slice.h"
#include "storage/collections/tree.h"
#include "storage/keyspace/cold.h"

#include <stdbool.h>
#include <stdint.h>

/* A leaf that is away: a mark 1, which begins no leaf in memory, and the pointer up to `crc` and `length`. */
enum {
	COLD_LEAF_MARK = 0xfe,
	COLD_LEAF_SIZE = 1 + offsetof(struct cold_pointer, lost),
};

/* Do these bytes, which may be anything, say a pointer? */
bool cold_leaf_read(struct slice bytes, struct cold_pointer *out) must_check;

/* Of a leaf that is away. */
struct cold_pointer cold_leaf_pointer(const struct leaf *leaf);

/* The path's leaf leaves memory; it comes back; its record lies elsewhere now. */
void cold_leaf_send(struct shard *shard, struct tree_path *path, const struct cold_pointer *pointer);
void cold_leaf_return(struct shard *shard, struct tree_path *path, struct slice bytes);
void cold_leaf_repoint(struct shard *shard, struct leaf *leaf, const struct cold_pointer *pointer);

/* One whose last owner has gone: for the tree. */
void cold_leaf_forget(struct shard *shard, const struct leaf *leaf);

/* Where the tier notes it among the leaves of its file. */
uint32_t cold_leaf_place(const struct leaf *leaf);
void cold_leaf_set_place(struct leaf *leaf, uint32_t place);

/* ---- in records of the tier: a byte that no value begins with, the count 4, the leaf's bytes ------------------ */

enum { COLD_LEAF_HEAD = 1 + sizeof(uint32_t) };
void cold_leaf_head(const struct object *object, const struct leaf *leaf, uint8_t head[COLD_LEAF_HEAD]);

/* The bytes of the object's leaf `leaf`; false: they are not. */
bool cold_leaf_take(const struct object *object, const struct leaf *leaf, struct slice *packed) must_check;

/* Is this such a record, of a leaf with so many elements? */
bool cold_leaf_is(struct slice packed, enum object_type type, uint32_t count) must_check;

/* Shows the pointers in a packed value, which may be anything, as far as it can be followed. */
void packed_each_away(struct slice packed,
                      void (*show)(void *arg, enum object_type type, uint32_t count,
                                   const struct cold_pointer *pointer),
                      void *arg);

/* ---- what a call needs ----------------------------------------------------------------------------------- */

/* Elements by position, in up to two ranges, as LRANGE says them: both ends belong to it, negative ones count from
 * the end. */
struct reach {
	uint32_t n;
	struct {
		int64_t from, to;
	} ranges[2];
};
extern const struct reach reach_all, reach_none;
static inline struct reach reach_range(int64_t from, int64_t to) { return (struct reach){1, {{from, to}}}; }

/* Has the object's value leaves that are away? Then it is in memory but for those. */
bool object_has_away(const struct object *object);

/* The first leaf within reach, of those that begin at element `from` or behind it, that is away. */
bool reach_away(const struct object *object, const struct reach *reach, uint64_t from, struct tree_path *out);

/* ---- what may leave ---------------------------------------------------------------------------------------- */

/* The next leaf that may leave, going on round the collection from its middle; looks at some only. False: none of
 * these may. What is chosen is chosen again after a round. */
bool cold_leaf_choose(const struct object *object, struct tree_path *out);

/* The same leaf again, not far from where it was; false: it is not there any more. */
bool cold_leaf_find(const struct object *object, const struct leaf *leaf, uint64_t before, struct tree_path *out);

/* Shows every leaf that is away, of a shard in which none is shared. */
void keyspace_each_away(struct shard *shard, void (*show)(void *arg, struct leaf *leaf), void *arg);
