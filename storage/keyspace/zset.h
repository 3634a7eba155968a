/* zset.h -- sorted sets: members by score, and scores by member.
 *
 * What      A small one is one packed block of members, each with its score behind it, in order, as Redis' listpacks.
 *           A large one is two trees (zset_private.h): leaves of elements in order, and scores by the hash of their
 *           member.
 * Order     By score, then by the member's bytes. A rank is the number of elements in front.
 * Scores    Doubles, never NaN. -0 is kept as such in large ones only, as in Redis.
 * Edits     Members that are put or removed, ranges of ranks that are cut.
 * Costs     Of large ones: a way down each tree.
 * Owner     The shard.
 */
#pragma once

#include "storage/collections/packed.h"
#include "storage/collections/tree.h"
#include "storage/keyspace/collection.h"

/* ---- reading -------------------------------------------------------------------------- */

struct zset_element {
	struct packed_element member;
	double score;
};

/* False: it is no member. */
bool zset_score(struct shard *shard, const struct object *zset, struct slice member, double *out);
bool zset_rank(struct shard *shard, const struct object *zset, struct slice member, uint64_t *out, double *out_score);

/* How many elements have a smaller score (`or_equal`: or this one). */
uint64_t zset_count_below(const struct object *zset, double score, bool or_equal);

/* How many elements from the front on have a smaller member (`or_equal`: or this one): makes sense where all scores are
 * equal. */
uint64_t zset_count_before(const struct object *zset, struct slice member, bool or_equal);

/* A place between two elements; good until the set changes. */
struct zset_walk {
	struct tree_path path;           /* path.leaf NULL: the set is small */
	const uint8_t *begin, *at, *end; /* the block of a small one */
	uint32_t number;                 /* of the next element in the leaf of a large one */
};

/* Before the element of this rank, which may be the end. */
void zset_walk(const struct object *zset, uint64_t rank, struct zset_walk *out);

/* The element behind (before) the place, which moves over it; false at the end (the beginning). */
bool zset_next(struct zset_walk *walk, struct zset_element *out);
bool zset_prev(struct zset_walk *walk, struct zset_element *out);

/* The block of a small one, as it lies there: members and scores. False: it is large. */
bool zset_block(const struct object *zset, struct slice *out);

/* Shows about `want` elements from a cursor on, 0 at first; the cursor to go on from, 0: that was all. A member that is
 * there from the first call to the last is shown, whatever scores it has. A small set is shown whole. Where very many
 * have one score, a call costs a look at each of them, and shows more. */
uint64_t zset_scan(struct shard *shard, const struct object *zset, uint64_t cursor, uint64_t want,
                   void (*show)(void *arg, const struct zset_element *element), void *arg);

/* ---- changing: of an opened collection, touched on the way ------------------------------- */

enum zset_condition {
	ZSET_ALWAYS = 0,
	ZSET_IF_ABSENT = 1 << 0,
	ZSET_IF_PRESENT = 1 << 1,
	ZSET_IF_GREATER = 1 << 2, /* than the score it has */
	ZSET_IF_LESS = 1 << 3,
	ZSET_ADD = 1 << 4, /* the score is added to the one it has */
};

enum zset_result {
	ZSET_ADDED,
	ZSET_CHANGED,
	ZSET_SAME,    /* it has this score already */
	ZSET_REFUSED, /* by a condition */
	ZSET_NAN,     /* the sum is not a number */
};

/* `member` may not be the set's own memory; so below. `score` is not NaN. What the score is then, unless refused. */
enum zset_result zset_put(struct collection *zset, struct slice member, double score, unsigned conditions, double *out);

/* False: it was no member. */
bool zset_remove(struct collection *zset, struct slice member);

/* Elements of ranks [from, from + n), which are there. */
void zset_cut(struct collection *zset, uint64_t from, uint64_t n);

/* Makes an empty one large, whatever the settings say. */
void zset_enlarge(struct collection *zset);

/* ---- for tests -------------------------------------------------------------------------- */

/* Asserts that both trees say the same. */
void zset_verify(struct shard *shard, const struct object *zset);
