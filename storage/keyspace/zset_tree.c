/* Leaves of both trees: how elements move in and out, how leaves split and join. */
#include "engine/base/buf.h"
#include "engine/memory/memory.h"
#include "kernels/bytes.h"
#include "storage/keyspace/zset_private.h"

#include <stdlib.h>

enum {
	SCORE_SIZE = 8,
	START_SIZE = 2,
	FIXED_SIZE = SCORE_SIZE + START_SIZE, /* of an element, besides its member */
	HASH_SIZE = 4,
	ENTRY_SIZE = HASH_SIZE + SCORE_SIZE,

	/* With its header a leaf fills a class of the allocator. */
	SCORE_LEAF_BYTES = RARE(1024 - (int)sizeof(struct leaf), 120),
	MEMBER_LEAF_BYTES = RARE(1024 - (int)sizeof(struct leaf), 5 * ENTRY_SIZE),
	MEMBER_LEAF_COUNT = MEMBER_LEAF_BYTES / ENTRY_SIZE,
	SCORES_USUAL = 48, /* elements of a leaf, as far as fetching ahead goes */
};
static_assert(SCORE_LEAF_BYTES < 65536, "members start where two bytes say");

/* ---- order ---------------------------------------------------------------------------- */

/* The same order as the scores have; 0 and -0 are equal. */
static uint64_t score_order(double score)
{
	uint64_t bits;
	score += 0.0;
	memcpy(&bits, &score, sizeof(bits));
	return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t prefix_order(struct slice member)
{
	if (likely(member.len >= 8))
		return load_be64(member.ptr);
	uint8_t padded[8] = {0};
	if (member.len)
		memcpy(padded, member.ptr, member.len);
	return load_be64(padded);
}

struct tree_key zset_key(double score, struct slice member)
{
	return (struct tree_key){score_order(score), prefix_order(member)};
}

/* ---- leaves by score -------------------------------------------------------------------- */

/* What a leaf holds: the leaf's bytes, or some that come from outside. */
struct elements {
	const uint8_t *bytes;
	size_t len;
	uint32_t n;
};

static inline struct elements elements_of(const struct leaf *leaf)
{
	return (struct elements){leaf->bytes, leaf->len, leaf->count};
}

static inline double score_at(struct elements e, uint32_t at)
{
	double score;
	memcpy(&score, e.bytes + (size_t)at * SCORE_SIZE, sizeof(score));
	return score;
}

/* Where the members of elements from `at` on start, in the leaf's part of members. */
static inline size_t start_at(struct elements e, uint32_t at)
{
	if (at == e.n)
		return e.len - (size_t)e.n * FIXED_SIZE;
	return load_u16(e.bytes + (size_t)e.n * SCORE_SIZE + (size_t)at * START_SIZE);
}

static inline struct slice member_at(struct elements e, uint32_t at)
{
	size_t from = start_at(e, at);
	return slice_of(e.bytes + (size_t)e.n * FIXED_SIZE + from, start_at(e, at + 1) - from);
}

struct slice zset_leaf_member(const struct leaf *leaf, uint32_t at) { return member_at(elements_of(leaf), at); }

static struct tree_key elements_key(struct elements e) { return zset_key(score_at(e, 0), member_at(e, 0)); }

/* The first element that is not before the bound: by scores alone as long as they differ. */
static uint32_t elements_seek(struct elements e, const struct zset_bound *bound)
{
	uint32_t from = 0, n = e.n;
	while (n > 0) {
		uint32_t half = n / 2;
		bool before = score_at(e, from + half) < bound->score;
		from = before ? from + half + 1 : from;
		n = before ? n - half - 1 : half;
	}
	uint32_t to = e.n;
	if (from == to || score_at(e, from) != bound->score)
		return from;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (zset_is_before(score_at(e, middle), member_at(e, middle), bound))
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool begins_behind(void *arg, const struct leaf *leaf)
{
	struct elements e = elements_of(leaf);
	return !zset_is_before(score_at(e, 0), member_at(e, 0), arg);
}

/* What a search in a leaf reads comes all at once, not one line after the other. */
static inline void prefetch_leaf(const struct leaf *leaf, size_t bytes)
{
	for (size_t at = 0; at < sizeof(*leaf) + bytes; at += 64)
		__builtin_prefetch((const uint8_t *)leaf + at);
}

static bool seek_leaf(struct zset_root *root, const struct zset_bound *bound, struct tree_path *out)
{
	struct tree_key key = zset_key(bound->score, bound->member);
	if (bound->last)
		key.low = UINT64_MAX;
	if (!tree_seek(&root->by_score, key, begins_behind, (void *)bound, out))
		return false;
	prefetch_leaf(out->leaf, SCORES_USUAL * SCORE_SIZE);
	return true;
}

bool zset_tree_seek(struct zset_root *root, const struct zset_bound *bound, struct zset_place *out)
{
	if (!seek_leaf(root, bound, &out->path))
		return false;
	out->at = elements_seek(elements_of(out->path.leaf), bound);
	return true;
}

/* The path's leaf with room for `len` bytes and some more, so that not every insertion makes it anew. */
static struct leaf *grow(struct shard *shard, struct tree_path *path, size_t len, size_t most)
{
	if (len <= path->leaf->room)
		return tree_own(shard, path, len);
	size_t roomy = len + len / 8;
	return tree_own(shard, path, roomy <= most ? roomy : len > most ? len : most);
}

static void move(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len)
		memmove(to, from, len);
}

static void starts_add(uint8_t *starts, uint32_t n, size_t more)
{
	for (uint32_t i = 0; i < n; i++) {
		uint16_t start = (uint16_t)(load_u16(starts + i * START_SIZE) + more);
		memcpy(starts + i * START_SIZE, &start, sizeof(start));
	}
}

/* Puts an element before number `at` of elements that have room for it: all parts move, the last first. */
static void elements_insert(uint8_t *bytes, struct elements e, uint32_t at, struct slice member, double score)
{
	size_t start = start_at(e, at), members_len = e.len - (size_t)e.n * FIXED_SIZE;
	const uint8_t *old_starts = bytes + (size_t)e.n * SCORE_SIZE, *old_members = old_starts + e.n * START_SIZE;
	uint8_t *starts = bytes + ((size_t)e.n + 1) * SCORE_SIZE, *members = starts + ((size_t)e.n + 1) * START_SIZE;
	uint16_t start16 = (uint16_t)start;
	move(members + start + member.len, old_members + start, members_len - start);
	move(members, old_members, start);
	move(starts + (at + 1) * START_SIZE, old_starts + at * START_SIZE, (e.n - at) * START_SIZE);
	move(starts, old_starts, at * START_SIZE);
	starts_add(starts + (at + 1) * START_SIZE, e.n - at, member.len);
	move(bytes + ((size_t)at + 1) * SCORE_SIZE, bytes + (size_t)at * SCORE_SIZE, (e.n - at) * SCORE_SIZE);
	memcpy(bytes + (size_t)at * SCORE_SIZE, &score, SCORE_SIZE);
	memcpy(starts + at * START_SIZE, &start16, sizeof(start16));
	move(members + start, member.ptr, member.len);
}

/* Takes `n` elements out; the length that is left. */
static size_t elements_cut(uint8_t *bytes, struct elements e, uint32_t at, uint32_t n)
{
	size_t from = start_at(e, at), to = start_at(e, at + n), members_len = e.len - (size_t)e.n * FIXED_SIZE;
	uint32_t kept = e.n - n, behind = e.n - at - n;
	const uint8_t *old_starts = bytes + (size_t)e.n * SCORE_SIZE, *old_members = old_starts + e.n * START_SIZE;
	uint8_t *starts = bytes + (size_t)kept * SCORE_SIZE, *members = starts + (size_t)kept * START_SIZE;
	move(bytes + (size_t)at * SCORE_SIZE, bytes + ((size_t)at + n) * SCORE_SIZE, (size_t)behind * SCORE_SIZE);
	move(starts, old_starts, (size_t)at * START_SIZE);
	move(starts + at * START_SIZE, old_starts + ((size_t)at + n) * START_SIZE, (size_t)behind * START_SIZE);
	starts_add(starts + at * START_SIZE, behind, from - to);
	move(members, old_members, from);
	move(members + from, old_members + to, members_len - to);
	return (size_t)kept * FIXED_SIZE + members_len - (to - from);
}

/* Elements [from, to) in the form of a leaf, behind `before` members of `total` that are there already. */
static void elements_copy(uint8_t *to_bytes, uint32_t total, uint32_t before, struct elements e, uint32_t from,
                          uint32_t to, size_t members_before)
{
	size_t start = start_at(e, from), end = start_at(e, to);
	uint8_t *starts = to_bytes + (size_t)total * SCORE_SIZE, *members = starts + (size_t)total * START_SIZE;
	memcpy(to_bytes + (size_t)before * SCORE_SIZE, e.bytes + (size_t)from * SCORE_SIZE,
	       (size_t)(to - from) * SCORE_SIZE);
	memcpy(starts + before * START_SIZE, e.bytes + (size_t)e.n * SCORE_SIZE + (size_t)from * START_SIZE,
	       (size_t)(to - from) * START_SIZE);
	starts_add(starts + before * START_SIZE, to - from, members_before - start);
	move(members + members_before, e.bytes + (size_t)e.n * FIXED_SIZE + start, end - start);
}

/* ---- changing leaves by score ------------------------------------------------------------ */

static size_t element_size(struct slice member) { return FIXED_SIZE + member.len; }

static bool leaf_takes(const struct leaf *leaf, struct slice member)
{
	return leaf->len + element_size(member) <= SCORE_LEAF_BYTES;
}

static void leaf_changed(struct tree_path *path, uint32_t count, size_t len)
{
	struct elements e = {path->leaf->bytes, len, count};
	tree_changed(path, count, (uint32_t)len, elements_key(e));
}

static void leaf_add(struct shard *shard, struct zset_place *place, struct slice member, double score)
{
	size_t len = place->path.leaf->len + element_size(member);
	struct leaf *leaf = grow(shard, &place->path, len, SCORE_LEAF_BYTES);
	elements_insert(leaf->bytes, elements_of(leaf), place->at, member, score);
	leaf_changed(&place->path, leaf->count + 1, len);
}

static void leaf_new(struct shard *shard, struct tree_path *path, bool behind, struct slice member, double score)
{
	size_t len = element_size(member);
	struct leaf *leaf = tree_insert(shard, path, behind, len);
	elements_insert(leaf->bytes, (struct elements){leaf->bytes, 0, 0}, 0, member, score);
	leaf_changed(path, 1, len);
}

/* Removes elements that are not all; gives memory back where that is much. */
static void leaf_cut(struct shard *shard, struct tree_path *path, uint32_t at, uint32_t n)
{
	struct leaf *leaf = tree_own(shard, path, 0);
	size_t len = elements_cut(leaf->bytes, elements_of(leaf), at, n);
	leaf_changed(path, leaf->count - n, len);
	(void)tree_own(shard, path, len);
}

/* Parts the place's leaf before element `cut`. The place may have moved into the right part. */
static void leaf_split(struct shard *shard, struct zset_place *place, uint32_t cut)
{
	struct elements e = elements_of(place->path.leaf);
	struct tree_path behind = place->path;
	uint64_t before = place->path.before;
	uint32_t n_right = e.n - cut;
	size_t len = (size_t)n_right * FIXED_SIZE + start_at(e, e.n) - start_at(e, cut);
	struct leaf *right = tree_insert(shard, &behind, true, len);
	elements_copy(right->bytes, n_right, 0, e, cut, e.n, 0);
	leaf_changed(&behind, n_right, len);
	tree_seek_at(behind.tree, before, &place->path);
	leaf_cut(shard, &place->path, cut, n_right);
	if (place->at >= cut) {
		tree_seek_at(behind.tree, before + cut, &place->path);
		place->at -= cut;
	}
}

/* Where a full leaf is parted: in the middle; but before the new element if it is at an end of the set, as it is in
 * sets that grow there. */
static uint32_t cut_for(const struct zset_place *place)
{
	const struct leaf *leaf = place->path.leaf;
	bool first = place->path.before == 0, last = place->path.before + leaf->count == place->path.tree->count;
	if ((last && place->at == leaf->count) || (first && place->at == 0))
		return place->at;
	struct elements e = elements_of(leaf);
	uint32_t cut = 1;
	while (cut + 1 < e.n && start_at(e, cut) + (size_t)cut * FIXED_SIZE < e.len / 2)
		cut++;
	return cut;
}

static void elements_put(struct shard *shard, struct zset_place *place, struct slice member, double score)
{
	while (!leaf_takes(place->path.leaf, member)) {
		uint32_t n = place->path.leaf->count, cut = cut_for(place);
		bool large = element_size(member) > SCORE_LEAF_BYTES;
		if (large && place->at > 0 && place->at < n)
			cut = place->at;
		if (cut == 0 || cut >= n || n == 1 || (large && place->at == 0)) {
			leaf_new(shard, &place->path, place->at > 0, member, score);
			return;
		}
		leaf_split(shard, place, cut);
	}
	leaf_add(shard, place, member, score);
}

/* The path's leaf and the one before become one, if both are small: with room to grow, or else the next insertion would
 * part them again. */
static bool join_before(struct shard *shard, struct tree_path *path)
{
	struct tree_path left = *path;
	if (!tree_prev(&left) || 2 * ((size_t)left.leaf->len + path->leaf->len) > SCORE_LEAF_BYTES)
		return false;
	uint8_t copy[SCORE_LEAF_BYTES];
	struct elements a = elements_of(left.leaf), b = elements_of(path->leaf);
	uint32_t n = a.n + b.n;
	size_t len = a.len + b.len;
	uint64_t before = left.before;
	elements_copy(copy, n, 0, a, 0, a.n, 0);
	elements_copy(copy, n, a.n, b, 0, b.n, start_at(a, a.n));
	(void)tree_remove(shard, path);
	tree_seek_at(left.tree, before, path);
	struct leaf *leaf = tree_own(shard, path, len);
	memcpy(leaf->bytes, copy, len);
	leaf_changed(path, n, len);
	return true;
}

static void join_at(struct shard *shard, struct tree *tree, uint64_t at)
{
	struct tree_path path;
	if (tree->count == 0)
		return;
	tree_seek_at(tree, at < tree->count ? at : tree->count - 1, &path);
	(void)join_before(shard, &path);
	if (tree_next(&path))
		(void)join_before(shard, &path);
}

/* Removes elements [at, at + n) of the path's leaf; true: the path leads to the leaf that follows them. */
static bool leaf_remove(struct shard *shard, struct tree_path *path, uint32_t at, uint32_t n)
{
	if (n == path->leaf->count)
		return tree_remove(shard, path);
	leaf_cut(shard, path, at, n);
	return tree_next(path);
}

static void elements_remove(struct shard *shard, struct zset_place *place)
{
	struct tree *tree = place->path.tree;
	uint64_t before = place->path.before;
	size_t len = place->path.leaf->len;
	(void)leaf_remove(shard, &place->path, place->at, 1);
	if (len < SCORE_LEAF_BYTES / 2)
		join_at(shard, tree, before);
}

/* ---- leaves by member -------------------------------------------------------------------- */

static inline uint32_t member_hash(const struct shard *shard, struct slice member)
{
	return (uint32_t)(key_hash(shard->hash_seed, member) >> 32);
}

static struct tree_key hash_key(uint32_t hash) { return (struct tree_key){hash, 0}; }

static inline uint32_t hash_at(const struct leaf *leaf, uint32_t at) { return load_u32(leaf->bytes + at * HASH_SIZE); }

static inline double entry_score(const struct leaf *leaf, uint32_t at)
{
	double score;
	memcpy(&score, leaf->bytes + leaf->count * HASH_SIZE + at * SCORE_SIZE, sizeof(score));
	return score;
}

/* The first entry with a greater hash. */
static uint32_t entries_seek(const struct leaf *leaf, uint32_t hash)
{
	uint32_t from = 0, n = leaf->count;
	while (n > 0) {
		uint32_t half = n / 2;
		bool below = hash_at(leaf, from + half) <= hash;
		from = below ? from + half + 1 : from;
		n = below ? n - half - 1 : half;
	}
	return from;
}

static bool seek_hash(struct zset_root *root, uint32_t hash, struct zset_place *out)
{
	out->at = 0;
	if (!tree_seek(&root->by_member, hash_key(hash), NULL, NULL, &out->path))
		return false;
	prefetch_leaf(out->path.leaf, MEMBER_LEAF_COUNT * HASH_SIZE);
	out->at = entries_seek(out->path.leaf, hash);
	return true;
}

/* To the entry before, if it has this hash. */
static bool entry_before(struct zset_place *place, uint32_t hash)
{
	if (place->at == 0) {
		if (!tree_prev(&place->path))
			return false;
		place->at = place->path.leaf->count;
	}
	place->at--;
	return hash_at(place->path.leaf, place->at) == hash;
}

static void entries_changed(struct tree_path *path, uint32_t count)
{
	tree_changed(path, count, count * ENTRY_SIZE, hash_key(hash_at(path->leaf, 0)));
}

static void entry_add(struct shard *shard, struct zset_place *place, uint32_t hash, double score)
{
	uint32_t n = place->path.leaf->count, at = place->at;
	struct leaf *leaf = grow(shard, &place->path, (n + 1) * (size_t)ENTRY_SIZE, MEMBER_LEAF_BYTES);
	uint8_t *old_scores = leaf->bytes + n * HASH_SIZE, *scores = old_scores + HASH_SIZE;
	move(scores + (at + 1) * SCORE_SIZE, old_scores + at * SCORE_SIZE, (n - at) * (size_t)SCORE_SIZE);
	move(scores, old_scores, at * (size_t)SCORE_SIZE);
	move(leaf->bytes + (at + 1) * HASH_SIZE, leaf->bytes + at * HASH_SIZE, (n - at) * (size_t)HASH_SIZE);
	memcpy(leaf->bytes + at * HASH_SIZE, &hash, HASH_SIZE);
	memcpy(scores + at * SCORE_SIZE, &score, SCORE_SIZE);
	entries_changed(&place->path, n + 1);
}

static void entry_remove(struct shard *shard, struct tree_path *path, uint32_t at, uint32_t removed)
{
	struct leaf *leaf = tree_own(shard, path, 0);
	uint32_t n = leaf->count, kept = n - removed;
	uint8_t *old_scores = leaf->bytes + n * HASH_SIZE, *scores = leaf->bytes + kept * HASH_SIZE;
	move(leaf->bytes + at * HASH_SIZE, leaf->bytes + (at + removed) * HASH_SIZE,
	     (n - at - removed) * (size_t)HASH_SIZE);
	move(scores, old_scores, at * (size_t)SCORE_SIZE);
	move(scores + at * SCORE_SIZE, old_scores + (at + removed) * SCORE_SIZE,
	     (n - at - removed) * (size_t)SCORE_SIZE);
	entries_changed(path, kept);
	(void)tree_own(shard, path, kept * (size_t)ENTRY_SIZE);
}

/* A new leaf behind the path's, with entries [from, to) of `source`. */
static void entries_new(struct shard *shard, struct tree_path *path, const struct leaf *source, uint32_t from,
                        uint32_t to)
{
	uint32_t n = to - from;
	struct leaf *leaf = tree_insert(shard, path, true, n * (size_t)ENTRY_SIZE);
	memcpy(leaf->bytes, source->bytes + from * HASH_SIZE, n * (size_t)HASH_SIZE);
	memcpy(leaf->bytes + n * HASH_SIZE, source->bytes + source->count * HASH_SIZE + from * SCORE_SIZE,
	       n * (size_t)SCORE_SIZE);
	entries_changed(path, n);
}

static void entries_split(struct shard *shard, struct zset_place *place)
{
	struct tree_path behind = place->path;
	struct leaf *leaf = place->path.leaf;
	uint64_t before = place->path.before;
	uint32_t n = leaf->count, cut = n / 2;
	entries_new(shard, &behind, leaf, cut, n);
	tree_seek_at(behind.tree, before, &place->path);
	entry_remove(shard, &place->path, cut, n - cut);
	if (place->at > cut) {
		tree_seek_at(behind.tree, before + cut, &place->path);
		place->at -= cut;
	}
}

static void entry_put(struct shard *shard, struct zset_place *place, uint32_t hash, double score)
{
	if (!place->path.leaf) {
		(void)tree_insert(shard, &place->path, true, ENTRY_SIZE);
		place->at = 0;
	} else if (place->path.leaf->count == MEMBER_LEAF_COUNT) {
		entries_split(shard, place);
	}
	entry_add(shard, place, hash, score);
}

static bool entries_join_before(struct shard *shard, struct tree_path *path)
{
	struct tree_path left = *path;
	if (!tree_prev(&left) || 2 * (left.leaf->count + path->leaf->count) > MEMBER_LEAF_COUNT)
		return false;
	uint8_t copy[MEMBER_LEAF_BYTES];
	uint32_t a = left.leaf->count, b = path->leaf->count, n = a + b;
	uint64_t before = left.before;
	uint8_t *scores = copy + n * HASH_SIZE;
	memcpy(copy, left.leaf->bytes, a * (size_t)HASH_SIZE);
	memcpy(copy + a * HASH_SIZE, path->leaf->bytes, b * (size_t)HASH_SIZE);
	memcpy(scores, left.leaf->bytes + a * HASH_SIZE, a * (size_t)SCORE_SIZE);
	memcpy(scores + a * SCORE_SIZE, path->leaf->bytes + b * HASH_SIZE, b * (size_t)SCORE_SIZE);
	(void)tree_remove(shard, path);
	tree_seek_at(left.tree, before, path);
	struct leaf *leaf = tree_own(shard, path, n * (size_t)ENTRY_SIZE);
	memcpy(leaf->bytes, copy, n * (size_t)ENTRY_SIZE);
	entries_changed(path, n);
	return true;
}

static void entries_remove(struct shard *shard, struct zset_place *place)
{
	struct tree *tree = place->path.tree;
	uint32_t n = place->path.leaf->count;
	if (n == 1) {
		(void)tree_remove(shard, &place->path);
		return;
	}
	uint64_t before = place->path.before;
	entry_remove(shard, &place->path, place->at, 1);
	if (n > MEMBER_LEAF_COUNT / 4)
		return;
	struct tree_path path;
	tree_seek_at(tree, before, &path);
	if (!entries_join_before(shard, &path) && tree_next(&path))
		(void)entries_join_before(shard, &path);
}

/* ---- both trees ------------------------------------------------------------------------- */

static bool is_there(struct zset_root *root, double score, struct slice member, struct zset_place *out)
{
	struct zset_bound bound = {.score = score, .member = member, .behind = true};
	if (!zset_tree_seek(root, &bound, out) || out->at == 0)
		return false;
	struct elements e = elements_of(out->path.leaf);
	out->at--;
	return score_at(e, out->at) == score && slice_equal(member_at(e, out->at), member);
}

bool zset_tree_find(struct shard *shard, struct zset_root *root, struct slice member, struct zset_found *out)
{
	uint32_t hash = member_hash(shard, member);
	struct zset_place *place = &out->by_member;
	if (!seek_hash(root, hash, place) || place->at == 0 || hash_at(place->path.leaf, place->at - 1) != hash)
		return false;
	struct zset_place candidate = *place;
	while (entry_before(&candidate, hash)) {
		out->score = entry_score(candidate.path.leaf, candidate.at);
		if (is_there(root, out->score, member, &out->by_score)) {
			*place = candidate;
			return true;
		}
	}
	return false;
}

static void put_by_score(struct shard *shard, struct zset_root *root, struct slice member, double score)
{
	struct zset_place place = {.path = {.tree = &root->by_score}};
	struct zset_bound bound = {.score = score, .member = member};
	if (zset_tree_seek(root, &bound, &place))
		elements_put(shard, &place, member, score);
	else
		leaf_new(shard, &place.path, true, member, score);
}

void zset_tree_aim(struct zset_root *root, struct slice member, double score, struct tree_path *out)
{
	struct zset_bound bound = {.score = score, .member = member};
	(void)seek_leaf(root, &bound, out);
}

void zset_tree_add(struct shard *shard, struct zset_root *root, struct zset_found *found, const struct tree_path *aim,
                   struct slice member, double score)
{
	entry_put(shard, &found->by_member, member_hash(shard, member), score);
	if (!aim || !aim->leaf) {
		put_by_score(shard, root, member, score);
		return;
	}
	struct zset_place place = {.path = *aim};
	struct zset_bound bound = {.score = score, .member = member};
	place.at = elements_seek(elements_of(aim->leaf), &bound);
	elements_put(shard, &place, member, score);
}

void zset_tree_move(struct shard *shard, struct zset_root *root, struct zset_found *found, struct slice member,
                    double score)
{
	struct leaf *leaf = tree_own(shard, &found->by_member.path, 0);
	memcpy(leaf->bytes + leaf->count * HASH_SIZE + found->by_member.at * SCORE_SIZE, &score, SCORE_SIZE);
	elements_remove(shard, &found->by_score);
	put_by_score(shard, root, member, score);
}

void zset_tree_remove(struct shard *shard, struct zset_root *root, struct zset_found *found)
{
	entries_remove(shard, &found->by_member);
	elements_remove(shard, &found->by_score);
}

/* Of several entries with one hash and one score any will do. */
static void forget(struct shard *shard, struct zset_root *root, struct slice member, double score)
{
	uint32_t hash = member_hash(shard, member);
	struct zset_place place;
	bool found = seek_hash(root, hash, &place);
	do
		found = found && entry_before(&place, hash);
	while (found && entry_score(place.path.leaf, place.at) != score);
	assert(found);
	entries_remove(shard, &place);
}

/* Freed piece by piece, if they are many. */
static void cut_all(struct shard *shard, struct zset_root *root)
{
	tree_doom(shard, &root->by_score);
	tree_doom(shard, &root->by_member);
	*root = (struct zset_root){0};
}

void zset_tree_cut(struct shard *shard, struct zset_root *root, uint64_t from, uint64_t n)
{
	struct tree *tree = &root->by_score;
	struct tree_path path;
	bool more = true;
	if (n == tree->count) {
		cut_all(shard, root);
		return;
	}
	tree_seek_at(tree, from, &path);
	for (uint64_t left = n; left > 0;) {
		assert(more);
		struct elements e = elements_of(path.leaf);
		uint32_t at = (uint32_t)(from - path.before), some = left < e.n - at ? (uint32_t)left : e.n - at;
		for (uint32_t i = at; i < at + some; i++)
			forget(shard, root, member_at(e, i), score_at(e, i));
		left -= some;
		more = leaf_remove(shard, &path, at, some);
	}
	join_at(shard, tree, from);
}

/* ---- from disk -------------------------------------------------------------------------- */

/* Do members start one behind the other, within the bytes? */
static bool starts_sound(struct elements e)
{
	if (e.n == 0 || e.len < (size_t)e.n * FIXED_SIZE || start_at(e, 0) != 0)
		return false;
	for (uint32_t at = 0; at < e.n; at++)
		if (start_at(e, at) > start_at(e, at + 1))
			return false;
	return true;
}

bool zset_check_leaf(struct shard *shard, struct slice bytes, uint32_t count, const struct leaf *before,
                     struct tree_key *out_key)
{
	struct elements e = {bytes.ptr, bytes.len, count}, earlier = e;
	if (!starts_sound(e))
		return false;
	if (before)
		earlier = elements_of(before);
	for (uint32_t at = before ? 0 : 1; at < count; at++) {
		uint32_t previous = at ? at - 1 : earlier.n - 1;
		struct elements from = at ? e : earlier;
		struct zset_bound bound = {.score = score_at(e, at), .member = member_at(e, at)};
		if (!zset_is_before(score_at(from, previous), member_at(from, previous), &bound))
			return false;
	}
	for (uint32_t at = 0; at < count; at++)
		if (score_at(e, at) != score_at(e, at))
			return false;
	*out_key = elements_key(e);
	return true;
}

struct entry {
	uint32_t hash;
	double score;
};

/* By eight bits of the hash at a time, into `other` and back. */
static void sort_entries(struct entry *entries, struct entry *other, uint64_t n)
{
	for (unsigned shift = 0; shift < 32; shift += 8) {
		uint64_t at[257] = {0};
		for (uint64_t i = 0; i < n; i++)
			at[(entries[i].hash >> shift & 255) + 1]++;
		for (unsigned i = 0; i < 256; i++)
			at[i + 1] += at[i];
		for (uint64_t i = 0; i < n; i++)
			other[at[entries[i].hash >> shift & 255]++] = entries[i];
		struct entry *swap = entries;
		entries = other;
		other = swap;
	}
}

static void gather(struct shard *shard, struct tree *tree, struct entry *out)
{
	struct tree_path path;
	for (bool more = tree_first(tree, &path); more; more = tree_next(&path)) {
		struct elements e = elements_of(path.leaf);
		for (uint32_t at = 0; at < e.n; at++)
			*out++ = (struct entry){member_hash(shard, member_at(e, at)), score_at(e, at)};
	}
}

/* True: some have one hash. */
static bool append(struct shard *shard, struct tree *tree, const struct entry *entries, uint64_t n)
{
	struct tree_path path;
	bool alike = false;
	for (uint64_t i = 0; i < n;) {
		uint32_t some = n - i < MEMBER_LEAF_COUNT ? (uint32_t)(n - i) : MEMBER_LEAF_COUNT;
		struct leaf *leaf = tree_append(shard, tree, &path, some * (size_t)ENTRY_SIZE);
		for (uint32_t at = 0; at < some; at++, i++) {
			alike |= i > 0 && entries[i].hash == entries[i - 1].hash;
			memcpy(leaf->bytes + at * HASH_SIZE, &entries[i].hash, HASH_SIZE);
			memcpy(leaf->bytes + some * HASH_SIZE + at * SCORE_SIZE, &entries[i].score, SCORE_SIZE);
		}
		entries_changed(&path, some);
	}
	return alike;
}

/* No member is there twice, with two scores? Only those with one hash can be. */
static bool are_unique(struct shard *shard, struct zset_root *root)
{
	struct tree_path path;
	struct zset_found found;
	for (bool more = tree_first(&root->by_score, &path); more; more = tree_next(&path)) {
		struct elements e = elements_of(path.leaf);
		for (uint32_t at = 0; at < e.n; at++)
			if (!zset_tree_find(shard, root, member_at(e, at), &found) || found.score != score_at(e, at))
				return false;
	}
	return true;
}

bool zset_complete(struct shard *shard, void *root)
{
	struct zset_root *zset = root;
	uint64_t n = zset->by_score.count;
	struct entry *entries = memory_alloc(2 * n * sizeof(*entries));
	gather(shard, &zset->by_score, entries);
	sort_entries(entries, entries + n, n);
	bool alike = append(shard, &zset->by_member, entries, n);
	memory_free(entries);
	return !alike || are_unique(shard, zset);
}

/* ---- scanning --------------------------------------------------------------------------- */

/* The second tree says which scores the members have whose hashes come next; the first tree says who they are. */

enum { LOOKED_AT_FOR_ONE = 256 }; /* elements, for each that is shown */

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Scores of all members with hashes from `from` on, until there are `want`; the hash behind them, or 2^32: none is. */
static uint64_t next_scores(struct zset_root *root, uint64_t from, uint64_t want, struct buf *out)
{
	struct zset_place place;
	uint32_t last = 0;
	if (from > UINT32_MAX)
		return from;
	place.at = 0;
	if (from == 0)
		(void)tree_first(&root->by_member, &place.path);
	else
		(void)seek_hash(root, (uint32_t)(from - 1), &place);
	for (uint64_t n = 0;; n++, place.at++) {
		if (place.at == place.path.leaf->count) {
			if (!tree_next(&place.path))
				return (uint64_t)UINT32_MAX + 1;
			place.at = 0;
		}
		uint32_t hash = hash_at(place.path.leaf, place.at);
		if (n >= want && hash != last)
			return hash;
		double score = entry_score(place.path.leaf, place.at);
		buf_append(out, slice_of(&score, sizeof(score)));
		last = hash;
	}
}

static uint64_t rank_before(struct zset_root *root, double score, bool last)
{
	struct zset_place place;
	struct zset_bound bound = {.score = score, .last = last};
	return zset_tree_seek(root, &bound, &place) ? place.path.before + place.at : 0;
}

/* Sorts scores and leaves each once; how many elements have one of them. */
static uint64_t narrow(struct zset_root *root, struct buf *scores)
{
	double *at = (double *)scores->ptr;
	size_t n = scores->len / sizeof(*at), kept = 0;
	uint64_t elements = 0;
	qsort(at, n, sizeof(*at), by_value);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && at[kept - 1] == at[i])
			continue;
		at[kept++] = at[i];
		elements += rank_before(root, at[i], true) - rank_before(root, at[i], false);
	}
	scores->len = kept * sizeof(*at);
	return elements;
}

static void show_score(struct shard *shard, struct zset_root *root, double score, uint64_t from, uint64_t to,
                       void (*show)(void *arg, const struct zset_element *element), void *arg)
{
	struct zset_place place;
	struct zset_bound bound = {.score = score};
	bool more = zset_tree_seek(root, &bound, &place);
	for (; more; more = tree_next(&place.path), place.at = 0) {
		struct elements e = elements_of(place.path.leaf);
		for (; place.at < e.n; place.at++) {
			struct zset_element element = {.member = {.bytes = member_at(e, place.at)},
			                               .score = score_at(e, place.at)};
			if (element.score > score)
				return;
			uint32_t hash = member_hash(shard, element.member.bytes);
			if (hash >= from && hash < to)
				show(arg, &element);
		}
	}
}

uint64_t zset_tree_scan(struct shard *shard, struct zset_root *root, uint64_t cursor, uint64_t want,
                        void (*show)(void *arg, const struct zset_element *element), void *arg)
{
	cleanup(buf_fini) struct buf scores = {0};
	if (root->by_member.count == 0 || cursor > UINT32_MAX)
		return 0;
	uint64_t to = next_scores(root, cursor, want, &scores), looks = narrow(root, &scores);
	if (looks / LOOKED_AT_FOR_ONE > want) {
		scores.len = 0;
		to = next_scores(root, cursor, looks / LOOKED_AT_FOR_ONE, &scores);
		(void)narrow(root, &scores);
	}
	const double *at = (const double *)scores.ptr;
	for (size_t i = 0; i < scores.len / sizeof(*at); i++)
		show_score(shard, root, at[i], cursor, to, show, arg);
	return to > UINT32_MAX ? 0 : to;
}

/* ---- as a whole ------------------------------------------------------------------------- */

void zset_let_go(struct shard *shard, void *root) { tree_doom(shard, &((struct zset_root *)root)->by_member); }

void zset_share(struct shard *shard, void *root, void *to)
{
	((struct zset_root *)to)->by_member = tree_share(&((struct zset_root *)root)->by_member);
}

size_t zset_memory(const void *root) { return ((const struct zset_root *)root)->by_member.memory; }

static void check_key(void *arg, const struct leaf *leaf, struct tree_key key)
{
	uint64_t *entries = arg;
	assert(leaf->len == leaf->count * ENTRY_SIZE);
	assert(key.high == hash_at(leaf, 0));
	for (uint32_t at = 1; at < leaf->count; at++)
		assert(hash_at(leaf, at - 1) <= hash_at(leaf, at));
	*entries += leaf->count;
}

static void check_order(void *arg, const struct leaf *leaf, struct tree_key key)
{
	struct tree_key found;
	const struct leaf **before = arg;
	assert(zset_check_leaf(NULL, slice_of(leaf->bytes, leaf->len), leaf->count, *before, &found));
	assert(tree_key_compare(found, key) == 0);
	assert(leaf->len <= SCORE_LEAF_BYTES || leaf->count == 1);
	*before = leaf;
}

void zset_verify(struct shard *shard, const struct object *zset)
{
	struct zset_root *root = (struct zset_root *)collection_tree(zset);
	const struct leaf *before = NULL;
	uint64_t entries = 0;
	if (!root)
		return;
	tree_verify(&root->by_score, check_order, &before);
	tree_verify(&root->by_member, check_key, &entries);
	assert(entries == root->by_score.count);
	assert(are_unique(shard, root));
}
