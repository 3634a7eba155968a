/* cold_leaf.h -- leaves of large collections that have left memory.
 *
 * What      Of a leaf that is away the tree keeps its count of elements, and in place of its bytes a pointer to a record
 *           of storage/tier and its fence: what its type must know of it meanwhile. So what counts elements, or is
 *           elsewhere in the collection, needs no read.
 * Changes   Leaving and coming back is no change: nothing is logged of it, and whoever shares the tree keeps what it
 *           has. Images, and whole states in the log, hold the pointer in place of the leaf's bytes: so the log may know
 *           a leaf by its pointer alone, also when it has come back (leaf->back). Before such a leaf is changed, or an
 *           edit is logged that reads it when it is applied, its bytes are logged: cold_leaf_tell().
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

struct collection;
struct collection_kind;

/* The bytes of a leaf that is away: the pointer up to `crc` and `length`, and the fence. Packed values say of each leaf
 * whether it is: see collection.c. */
enum {
	COLD_LEAF_POINTER = offsetof(struct cold_pointer, lost),
	COLD_FENCE_MAX = 64,
};

/* May these bytes, which may be anything, be a leaf of this kind that is away? */
bool cold_leaf_read(const struct collection_kind *kind, struct slice bytes, struct cold_pointer *out) must_check;

/* Of a leaf that is away. */
struct cold_pointer cold_leaf_pointer(const struct leaf *leaf);
static inline const uint8_t *cold_leaf_fence(const struct leaf *leaf) { return leaf->bytes + COLD_LEAF_POINTER; }

/* The path's leaf leaves memory; it comes back; its record lies elsewhere now. */
void cold_leaf_send(struct shard *shard, const struct object *object, struct tree_path *path,
                    const struct cold_pointer *pointer);
void cold_leaf_return(struct shard *shard, struct tree_path *path, struct slice bytes);
void cold_leaf_repoint(struct shard *shard, struct leaf *leaf, const struct cold_pointer *pointer);

/* The path's leaf is away from the beginning: cold_leaf_read() has believed these bytes. */
void cold_leaf_load(struct shard *shard, struct tree_path *path, struct slice bytes);

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

/* A leaf that is away, as a packed value says it. */
struct packed_away {
	enum object_type type;
	uint32_t count;
	struct cold_pointer pointer;
	const uint8_t *fence;
};

/* Is this such a record, of that leaf? */
bool cold_leaf_is(struct slice packed, const struct packed_away *away) must_check;

/* Shows the leaves that are away in a packed value, which may be anything, as far as it can be followed. */
void packed_each_away(struct slice packed, void (*show)(void *arg, const struct packed_away *away), void *arg);

/* ---- the log --------------------------------------------------------------------------------------------- */

/* If the path's leaf came back: tells the edit `edit`, by which whoever knows but a pointer of it learns its bytes. The
 * path stays good, what was known of the leaf's bytes does not. After collection_touch(). */
void cold_leaf_tell(struct collection *c, uint8_t edit, struct tree_path *path);

/* Of all leaves with elements from number `from` to number `to`. */
void cold_leaves_tell(struct collection *c, uint8_t edit, uint64_t from, uint64_t to);

/* Applies such an edit, behind its first byte. False: malformed, or it is about no leaf that is there. */
bool cold_leaf_apply(struct collection *c, struct slice *edits) must_check;

/* ---- what a call needs ----------------------------------------------------------------------------------- */

/* Which elements of a collection, in some parts. It says so of whatever the collection has when it is asked: so it can
 * be said before, on another core. */
enum reach_by {
	REACH_PLACES, /* by number, as LRANGE says it: both ends belong to it, negative ones count from the end */
	REACH_KEYS,   /* by the tree's keys (of streams: IDs), both ends belong to it */
	REACH_OWN,    /* as the type knows it: see its row */
};

struct reach_part {
	enum reach_by by;
	uint32_t own;       /* what, of REACH_OWN */
	bool backwards;     /* the limit counts from the end */
	int64_t first, last; /* of REACH_PLACES */
	struct tree_key from, to;
	uint64_t limit; /* elements at most */
	uint64_t tag;   /* the type's */
};

enum { REACH_PARTS = 4 };

struct reach {
	uint32_t n;
	struct reach_part parts[REACH_PARTS];
};
extern const struct reach reach_all, reach_none;

/* By number. */
struct reach reach_range(int64_t first, int64_t last);
struct reach reach_places(int64_t one, int64_t other);

/* One more key. What has no room for it reaches from the least to the greatest. */
void reach_add_key(struct reach *reach, struct tree_key key);

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
