/* zset_private.h -- the two trees of a large sorted set.
 *
 *   by_score    leaf: scores 8 each | where members start 2 each | members
 *               in order of (score, member); its key in the tree has the score's bits and the member's first 8 bytes
 *   by_member   leaf: hashes 4 each | scores 8 each
 *               in order of the hash
 *
 * The second finds a member's score, which finds the member in the first: members are kept once. Where hashes are
 * equal, the first tree decides. A member that is longer than a leaf should be has a leaf of its own, which may be of
 * any length: members start before byte 65536 wherever there are two.
 */
#pragma once

#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/zset.h"

struct zset_root {
	struct tree by_score; /* first: what a collection's root begins with */
	struct tree by_member;
};

/* Before element `at` of the path's leaf, which may be its end. */
struct zset_place {
	struct tree_path path;
	uint32_t at;
};

/* Where a member is; or, in by_member, would be. */
struct zset_found {
	double score;
	struct zset_place by_score, by_member;
};

/* A place in the order: of an element with this score and member. */
struct zset_bound {
	double score;
	struct slice member;
	bool behind; /* behind that element, not before it */
	bool last;   /* behind all elements with this score */
};

/* Is an element in front of the bound? */
static inline bool zset_is_before(double score, struct slice member, const struct zset_bound *bound)
{
	if (score != bound->score)
		return score < bound->score;
	if (bound->last)
		return true;
	int order = slice_compare(member, bound->member);
	return order < 0 || (bound->behind && order == 0);
}

/* By which a leaf of by_score that begins with this element is found. */
struct tree_key zset_key(double score, struct slice member);

/* An element of a leaf of by_score. */
static inline double zset_leaf_score(const struct leaf *leaf, uint32_t at)
{
	double score;
	memcpy(&score, leaf->bytes + 8 * (size_t)at, sizeof(score));
	return score;
}
struct slice zset_leaf_member(const struct leaf *leaf, uint32_t at);

/* False: the tree is empty. The rank there is path.before + at. */
bool zset_tree_seek(struct zset_root *root, const struct zset_bound *bound, struct zset_place *out);

/* False: it is no member; out->by_member says where it would be then. */
bool zset_tree_find(struct shard *shard, struct zset_root *root, struct slice member, struct zset_found *out);

/* The leaf where this element goes if it is not there yet, fetched ahead while its member is looked for; leaf NULL: the
 * tree is empty. */
void zset_tree_aim(struct zset_root *root, struct slice member, double score, struct tree_path *out);

/* `found` is what zset_tree_find() said, and means nothing afterwards. */
void zset_tree_add(struct shard *shard, struct zset_root *root, struct zset_found *found, const struct tree_path *aim,
                   struct slice member, double score); /* aim NULL: it was not asked for */
void zset_tree_move(struct shard *shard, struct zset_root *root, struct zset_found *found, struct slice member,
                    double score);
void zset_tree_remove(struct shard *shard, struct zset_root *root, struct zset_found *found);

/* Elements of ranks [from, from + n), which are there. */
void zset_tree_cut(struct shard *shard, struct zset_root *root, uint64_t from, uint64_t n);

/* See zset_scan(). A cursor is the hash of the first member that is yet to be shown. */
uint64_t zset_tree_scan(struct shard *shard, struct zset_root *root, uint64_t cursor, uint64_t want,
                        void (*show)(void *arg, const struct zset_element *element), void *arg);

/* Of struct collection_kind. */
bool zset_check_leaf(struct shard *shard, struct slice bytes, uint32_t count, const struct leaf *before,
                     struct tree_key *out_key);
bool zset_complete(struct shard *shard, void *root);
void zset_let_go(struct shard *shard, void *root);
void zset_share(struct shard *shard, void *root, void *to);
size_t zset_memory(const void *root);
