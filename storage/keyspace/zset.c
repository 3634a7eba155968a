/* Sorted sets in both forms: small ones here, large ones in zset_tree.c; and their edits. */
#include "storage/keyspace/zset.h"

#include "engine/base/number.h"
#include "storage/keyspace/zset_private.h"

/* Whatever the settings say: of more members it takes too long to see whether one is there twice. */
enum { SMALL_COUNT_MAX = 1024 };

static struct zset_root *root_of(const struct object *zset) { return (struct zset_root *)collection_tree(zset); }

/* ---- packed scores ---------------------------------------------------------------------- */

/* As Redis packs them: whole numbers as such, which makes -0 a 0, others as text. */
struct packed_score {
	bool is_integer;
	int64_t integer;
	char text[32];
	size_t len;
};

static struct packed_score pack_score(double score)
{
	const double whole_max = (double)(INT64_MAX / 2);
	struct packed_score packed = {0};
	if (score >= -whole_max && score <= whole_max && score == (double)(int64_t)score) {
		packed.is_integer = true;
		packed.integer = (int64_t)score;
	} else {
		packed.len = real_format_17(score, packed.text);
	}
	return packed;
}

static size_t score_size(const struct packed_score *score)
{
	return score->is_integer ? packed_size_integer(score->integer) : packed_size(slice_of(score->text, score->len));
}

static void score_write(const struct packed_score *score, uint8_t *to)
{
	if (score->is_integer)
		(void)packed_write_integer(to, score->integer);
	else
		(void)packed_write(to, slice_of(score->text, score->len));
}

/* False: it is none. */
static bool read_score(const struct packed_element *element, double *out)
{
	if (element->bytes.ptr)
		return real_parse_double(element->bytes, out);
	*out = (double)element->integer;
	return true;
}

static double score_of(const struct packed_element *element)
{
	double score = 0;
	bool sound = read_score(element, &score);
	assert(sound); /* checked where it came from */
	return score;
}

/* ---- small ones ------------------------------------------------------------------------- */

/* A pair in the block. */
struct pair {
	const uint8_t *at, *end;
	uint32_t rank;
	struct packed_element member, score;
};

static const uint8_t *block_end(const struct object *zset)
{
	struct slice block = body_slice(zset);
	return block.ptr + block.len;
}

static void pair_read(struct pair *pair)
{
	pair->end = packed_read(packed_read(pair->at, &pair->member), &pair->score);
}

static struct pair pair_first(const struct object *zset) { return (struct pair){.at = body_slice(zset).ptr}; }

static void pair_next(struct pair *pair)
{
	pair->at = pair->end;
	pair->rank++;
}

static bool small_find(const struct object *zset, struct slice member, struct pair *out)
{
	struct packed_sought sought = packed_seek(member);
	const uint8_t *end = block_end(zset);
	for (*out = pair_first(zset); out->at != end; pair_next(out)) {
		pair_read(out);
		if (packed_equals(&out->member, &sought))
			return true;
	}
	return false;
}

/* The first pair that is not before the bound. */
static struct pair small_seek(const struct object *zset, const struct zset_bound *bound)
{
	char scratch[PACKED_SCRATCH];
	const uint8_t *end = block_end(zset);
	struct pair pair;
	for (pair = pair_first(zset); pair.at != end; pair_next(&pair)) {
		pair_read(&pair);
		if (!zset_is_before(score_of(&pair.score), packed_text(&pair.member, scratch), bound))
			break;
	}
	return pair;
}

static size_t offset_of(const struct object *zset, const uint8_t *at) { return (size_t)(at - body_slice(zset).ptr); }

static void small_cut(struct shard *shard, struct object *zset, const uint8_t *from, const uint8_t *to, uint32_t n)
{
	(void)body_splice(shard, zset, offset_of(zset, from), (size_t)(to - from), 0);
	body_of(zset)->count -= n;
}

static struct zset_root *become_tree(struct shard *shard, struct object *zset)
{
	char scratch[PACKED_SCRATCH];
	struct body small = body_grow(shard, zset);
	struct zset_root *root = root_of(zset);
	const uint8_t *at = small.ptr, *end = at + small.len;
	while (at != end) {
		struct packed_element member, score;
		struct zset_found place;
		at = packed_read(packed_read(at, &member), &score);
		struct slice text = packed_text(&member, scratch);
		bool found = zset_tree_find(shard, root, text, &place);
		assert(!found);
		zset_tree_add(shard, root, &place, NULL, text, score_of(&score));
	}
	body_give(shard, &small);
	return root;
}

static bool small_takes(const struct shard *shard, const struct object *zset, struct slice member, size_t size)
{
	const struct collection_settings *settings = &shard->collections;
	const struct body *body = body_of(zset);
	return body->count < settings->zset_packed_count && body->count < SMALL_COUNT_MAX &&
	       member.len <= settings->zset_packed_member && body->len + size <= SMALL_BYTES_MAX;
}

/* A member that is not there, in a small one. */
static void small_add(struct shard *shard, struct object *zset, struct slice member, double score)
{
	struct packed_score packed = pack_score(score);
	size_t member_size = packed_size(member), size = member_size + score_size(&packed);
	if (!small_takes(shard, zset, member, size)) {
		struct zset_found place;
		struct zset_root *root = become_tree(shard, zset);
		(void)zset_tree_find(shard, root, member, &place);
		zset_tree_add(shard, root, &place, NULL, member, score);
		return;
	}
	struct pair pair = small_seek(zset, &(struct zset_bound){.score = score, .member = member});
	uint8_t *to = body_splice(shard, zset, offset_of(zset, pair.at), 0, size);
	(void)packed_write(to, member);
	score_write(&packed, to + member_size);
	body_of(zset)->count++;
}

/* ---- edits ---------------------------------------------------------------------------- */

/* An edit is one of these bytes; then its numbers, 8 bytes each; then a length, 4 bytes, and a member, or nothing. */
enum edit {
	EDIT_PUT = 1, /* score, member */
	EDIT_REMOVE,  /* member */
	EDIT_CUT,     /* rank, number of elements */
};

static void note(struct collection *zset, enum edit edit, const void *numbers, size_t numbers_size,
                 const struct slice *member)
{
	uint32_t len = member ? (uint32_t)member->len : 0;
	uint8_t *to = collection_edit(zset, 1 + numbers_size + (member ? sizeof(len) + len : 0));
	if (!to)
		return;
	*to++ = (uint8_t)edit;
	if (numbers_size)
		memcpy(to, numbers, numbers_size);
	if (!member)
		return;
	memcpy(to + numbers_size, &len, sizeof(len));
	if (len)
		memcpy(to + numbers_size + sizeof(len), member->ptr, len);
}

static bool take_member(struct slice *in, struct slice *out)
{
	uint32_t len;
	if (!slice_take(in, &len, sizeof(len)) || in->len < len)
		return false;
	*out = slice_sub(*in, 0, len);
	*in = slice_sub(*in, len, in->len);
	return true;
}

/* ---- changing ------------------------------------------------------------------------- */

/* Where a member is, in either form. */
struct spot {
	bool found;
	double score;
	struct pair pair;
	struct zset_found place;
	struct tree_path aim; /* leaf NULL: none was taken */
};

static void find(struct shard *shard, const struct object *zset, struct slice member, struct spot *out)
{
	struct zset_root *root = root_of(zset);
	out->aim.leaf = NULL;
	if (root) {
		out->found = zset_tree_find(shard, root, member, &out->place);
		out->score = out->place.score;
		return;
	}
	out->found = small_find(zset, member, &out->pair);
	if (out->found)
		out->score = score_of(&out->pair.score);
}

/* The same, where it will be put with this score unless there is one to add to. */
static void find_to_put(struct shard *shard, const struct object *zset, struct slice member, double score,
                        struct spot *out)
{
	struct zset_root *root = root_of(zset);
	struct tree_path aim;
	if (!root) {
		find(shard, zset, member, out);
		return;
	}
	zset_tree_aim(root, member, score, &aim);
	find(shard, zset, member, out);
	out->aim = aim;
}

static void add(struct shard *shard, struct object *zset, struct spot *spot, struct slice member, double score)
{
	struct zset_root *root = root_of(zset);
	if (root)
		zset_tree_add(shard, root, &spot->place, &spot->aim, member, score);
	else
		small_add(shard, zset, member, score);
}

static void rescore(struct shard *shard, struct object *zset, struct spot *spot, struct slice member, double score)
{
	struct zset_root *root = root_of(zset);
	if (root) {
		zset_tree_move(shard, root, &spot->place, member, score);
		return;
	}
	small_cut(shard, zset, spot->pair.at, spot->pair.end, 1);
	small_add(shard, zset, member, score);
}

static void remove_at(struct shard *shard, struct object *zset, struct spot *spot)
{
	struct zset_root *root = root_of(zset);
	if (root)
		zset_tree_remove(shard, root, &spot->place);
	else
		small_cut(shard, zset, spot->pair.at, spot->pair.end, 1);
}

static void cut(struct shard *shard, struct object *zset, uint64_t from, uint64_t n)
{
	struct zset_root *root = root_of(zset);
	if (root) {
		zset_tree_cut(shard, root, from, n);
		return;
	}
	struct slice block = body_slice(zset);
	uint32_t elements = 2 * body_of(zset)->count;
	const uint8_t *begin = packed_at(block, elements, (uint32_t)(2 * from));
	const uint8_t *end = packed_at(block, elements, (uint32_t)(2 * (from + n)));
	small_cut(shard, zset, begin, end, (uint32_t)n);
}

/* May it have the score? ZSET_CHANGED: yes; `score` is what it becomes. */
static enum zset_result judge(double old, unsigned conditions, double *score)
{
	if (conditions & ZSET_IF_ABSENT)
		return ZSET_REFUSED;
	if (conditions & ZSET_ADD)
		*score += old;
	if (*score != *score)
		return ZSET_NAN;
	if (((conditions & ZSET_IF_LESS) && *score >= old) || ((conditions & ZSET_IF_GREATER) && *score <= old))
		return ZSET_REFUSED;
	return *score == old ? ZSET_SAME : ZSET_CHANGED;
}

enum zset_result zset_put(struct collection *zset, struct slice member, double score, unsigned conditions, double *out)
{
	struct spot spot;
	enum zset_result result = ZSET_ADDED;
	spot.found = false; /* the rest is large, and set when it is */
	spot.aim.leaf = NULL;
	if (zset->object)
		find_to_put(zset->shard, zset->object, member, score, &spot);
	if (spot.found)
		result = judge(spot.score, conditions, &score);
	else if (conditions & ZSET_IF_PRESENT)
		result = ZSET_REFUSED;
	if (result == ZSET_NAN || result == ZSET_REFUSED)
		return result;
	*out = score;
	if (result == ZSET_SAME)
		return result;
	struct object *object = collection_touch(zset);
	note(zset, EDIT_PUT, &score, sizeof(score), &member);
	if (spot.found)
		rescore(zset->shard, object, &spot, member, score);
	else
		add(zset->shard, object, &spot, member, score);
	return result;
}

bool zset_remove(struct collection *zset, struct slice member)
{
	struct spot spot;
	spot.found = false;
	if (zset->object)
		find(zset->shard, zset->object, member, &spot);
	if (!spot.found)
		return false;
	struct object *object = collection_touch(zset);
	note(zset, EDIT_REMOVE, NULL, 0, &member);
	remove_at(zset->shard, object, &spot);
	return true;
}

void zset_cut(struct collection *zset, uint64_t from, uint64_t n)
{
	if (n == 0)
		return;
	struct object *object = collection_touch(zset);
	uint64_t numbers[] = {from, n}, count = collection_count(object);
	assert(from <= count);
	assert(n <= count - from);
	note(zset, EDIT_CUT, numbers, sizeof(numbers), NULL);
	cut(zset->shard, object, from, n);
}

void zset_enlarge(struct collection *zset)
{
	assert(collection_count(zset->object) == 0);
	if (!collection_tree(zset->object))
		(void)become_tree(zset->shard, zset->object);
}

/* ---- applying edits --------------------------------------------------------------------- */

static bool apply_put(struct collection *zset, struct slice *edits)
{
	double score;
	struct slice member;
	struct spot spot;
	if (!slice_take(edits, &score, sizeof(score)) || !take_member(edits, &member) || score != score)
		return false;
	find(zset->shard, zset->object, member, &spot);
	if (spot.found)
		rescore(zset->shard, zset->object, &spot, member, score);
	else
		add(zset->shard, zset->object, &spot, member, score);
	return true;
}

static bool apply_remove(struct collection *zset, struct slice *edits)
{
	struct slice member;
	struct spot spot;
	if (!take_member(edits, &member))
		return false;
	find(zset->shard, zset->object, member, &spot);
	if (spot.found)
		remove_at(zset->shard, zset->object, &spot);
	return spot.found;
}

static bool apply_cut(struct collection *zset, struct slice *edits)
{
	uint64_t from, n, count = collection_count(zset->object);
	if (!slice_take(edits, &from, sizeof(from)) || !slice_take(edits, &n, sizeof(n)))
		return false;
	if (from > count || n == 0 || n > count - from)
		return false;
	cut(zset->shard, zset->object, from, n);
	return true;
}

static bool apply(struct collection *zset, struct slice *edits)
{
	uint8_t edit;
	if (!slice_take(edits, &edit, 1))
		return false;
	switch (edit) {
	case EDIT_PUT:
		return apply_put(zset, edits);
	case EDIT_REMOVE:
		return apply_remove(zset, edits);
	case EDIT_CUT:
		return apply_cut(zset, edits);
	}
	return false;
}

/* ---- reading -------------------------------------------------------------------------- */

bool zset_score(struct shard *shard, const struct object *zset, struct slice member, double *out)
{
	struct spot spot;
	find(shard, zset, member, &spot);
	if (spot.found)
		*out = spot.score;
	return spot.found;
}

bool zset_rank(struct shard *shard, const struct object *zset, struct slice member, uint64_t *out, double *out_score)
{
	struct spot spot;
	find(shard, zset, member, &spot);
	if (!spot.found)
		return false;
	const struct zset_place *place = &spot.place.by_score;
	*out = root_of(zset) ? place->path.before + place->at : spot.pair.rank;
	*out_score = spot.score;
	return true;
}

static uint64_t rank_of(const struct object *zset, const struct zset_bound *bound)
{
	struct zset_root *root = root_of(zset);
	struct zset_place place;
	if (!root)
		return small_seek(zset, bound).rank;
	return zset_tree_seek(root, bound, &place) ? place.path.before + place.at : 0;
}

uint64_t zset_count_below(const struct object *zset, double score, bool or_equal)
{
	return rank_of(zset, &(struct zset_bound){.score = score, .last = or_equal});
}

/* Members of a small one may have scores that differ: then it is as many as come first, as in Redis. */
static uint32_t small_count_before(const struct object *zset, struct slice member, bool or_equal)
{
	char scratch[PACKED_SCRATCH];
	const uint8_t *end = block_end(zset);
	struct pair pair;
	for (pair = pair_first(zset); pair.at != end; pair_next(&pair)) {
		pair_read(&pair);
		int order = slice_compare(packed_text(&pair.member, scratch), member);
		if (order > 0 || (order == 0 && !or_equal))
			break;
	}
	return pair.rank;
}

uint64_t zset_count_before(const struct object *zset, struct slice member, bool or_equal)
{
	struct tree_path first;
	struct zset_root *root = root_of(zset);
	if (!root)
		return small_count_before(zset, member, or_equal);
	if (!tree_first(&root->by_score, &first))
		return 0;
	double score = zset_leaf_score(first.leaf, 0);
	return rank_of(zset, &(struct zset_bound){.score = score, .member = member, .behind = or_equal});
}

void zset_walk(const struct object *zset, uint64_t rank, struct zset_walk *out)
{
	struct tree *tree = collection_tree(zset);
	out->path.leaf = NULL;
	if (!tree) {
		struct slice block = body_slice(zset);
		out->begin = block.ptr;
		out->end = block.ptr + block.len;
		out->at = packed_at(block, 2 * body_of(zset)->count, (uint32_t)(2 * rank));
		return;
	}
	if (rank < tree->count)
		tree_seek_at(tree, rank, &out->path);
	else
		tree_last(tree, &out->path);
	out->number = (uint32_t)(rank - out->path.before);
}

static void leaf_element(const struct leaf *leaf, uint32_t at, struct zset_element *out)
{
	out->member.bytes = zset_leaf_member(leaf, at);
	out->score = zset_leaf_score(leaf, at);
}

bool zset_next(struct zset_walk *walk, struct zset_element *out)
{
	struct packed_element score;
	if (!walk->path.leaf) {
		if (walk->at == walk->end)
			return false;
		walk->at = packed_read(packed_read(walk->at, &out->member), &score);
		out->score = score_of(&score);
		return true;
	}
	if (walk->number == walk->path.leaf->count) {
		struct tree_path path = walk->path;
		if (!tree_next(&path))
			return false;
		walk->path = path;
		walk->number = 0;
	}
	leaf_element(walk->path.leaf, walk->number++, out);
	return true;
}

bool zset_prev(struct zset_walk *walk, struct zset_element *out)
{
	struct packed_element score;
	if (!walk->path.leaf) {
		if (walk->at == walk->begin)
			return false;
		walk->at = packed_back(walk->at);
		(void)packed_read(walk->at, &score);
		walk->at = packed_back(walk->at);
		(void)packed_read(walk->at, &out->member);
		out->score = score_of(&score);
		return true;
	}
	if (walk->number == 0) {
		struct tree_path path = walk->path;
		if (!tree_prev(&path))
			return false;
		walk->path = path;
		walk->number = path.leaf->count;
	}
	leaf_element(walk->path.leaf, --walk->number, out);
	return true;
}

uint64_t zset_scan(struct shard *shard, const struct object *zset, uint64_t cursor, uint64_t want,
                   void (*show)(void *arg, const struct zset_element *element), void *arg)
{
	struct zset_root *root = root_of(zset);
	struct zset_walk walk;
	struct zset_element element;
	if (root)
		return zset_tree_scan(shard, root, cursor, want, show, arg);
	for (zset_walk(zset, 0, &walk); zset_next(&walk, &element);)
		show(arg, &element);
	return 0;
}

bool zset_block(const struct object *zset, struct slice *out)
{
	if (collection_tree(zset))
		return false;
	*out = body_slice(zset);
	return true;
}

/* ---- the rows ------------------------------------------------------------------------- */

static const char *encoding(const struct object *zset) { return collection_tree(zset) ? "skiplist" : "listpack"; }

/* Pairs in order, no member twice? */
static bool check_small(struct slice bytes, enum collection_encoding encoding, uint32_t *out_count)
{
	char scratch[PACKED_SCRATCH];
	const uint8_t *end = bytes.ptr + bytes.len;
	uint32_t elements;
	if (encoding != ENCODING_PACKED || !packed_check(bytes, &elements) || elements % 2 != 0 ||
	    elements / 2 > SMALL_COUNT_MAX)
		return false;
	struct pair pair = {.at = bytes.ptr};
	for (double score; pair.at != end; pair_next(&pair)) {
		pair_read(&pair);
		struct packed_sought sought = packed_seek(packed_text(&pair.member, scratch));
		if (!read_score(&pair.score, &score))
			return false;
		if (pair.end == end)
			continue;
		struct pair next = {.at = pair.end};
		pair_read(&next);
		char next_scratch[PACKED_SCRATCH];
		double next_score;
		if (!read_score(&next.score, &next_score) || packed_find(pair.end, end, &sought, 2))
			return false;
		struct zset_bound bound = {.score = next_score, .member = packed_text(&next.member, next_scratch)};
		if (!zset_is_before(score, sought.text, &bound))
			return false;
	}
	*out_count = elements / 2;
	return true;
}

static const struct collection_kind elements = {
        .root_size = sizeof(struct zset_root),
        .check_small = check_small,
        .check_leaf = zset_check_leaf,
        .complete = zset_complete,
        .let_go = zset_let_go,
        .share = zset_share,
        .memory = zset_memory,
        .apply = apply,
};

const struct object_kind zset_kind = COLLECTION_KIND("zset", encoding, &elements);
