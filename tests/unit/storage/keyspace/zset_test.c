/* Sorted sets against a sorted array: members come, go and get other scores; sets are walked, counted and searched, in
 * both forms. */
#include "storage/keyspace/zset.h"

#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/collection_private.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

enum { MEMBERS = 20000 };

static struct shard *shard;
static struct dice dice = {1};

/* Members by number. Many begin alike, few are long; some are numbers. */
static struct slice member_of(uint32_t number, char room[NAME_MAX_SIZE])
{
	uint32_t kind = number % 16;
	if (kind < 3)
		return slice_of(room, integer_format((int64_t)number * number * (kind & 1 ? -1 : 1), room));
	if (kind == 3 && number < 64)
		return slice_of("\0\0\0\0\0\0\0\0\0\0\0\0\0\0", number / 4);
	size_t len = (size_t)snprintf(room, NAME_MAX_SIZE, kind < 8 ? "member:%u:" : "%u", number);
	size_t more = kind == 4 ? number % 600 : kind == 5 ? number % 60 : 0;
	memset(room + len, 'v', more);
	return slice_of(room, len + more);
}

struct model {
	uint32_t *order; /* members, as they are ranked */
	uint64_t n;
	double scores[MEMBERS];
	bool there[MEMBERS];
};

static int compare(const struct model *model, uint32_t a, double score, uint32_t b)
{
	char rooms[2][NAME_MAX_SIZE];
	if (model->scores[a] != score)
		return model->scores[a] < score ? -1 : 1;
	struct slice x = member_of(a, rooms[0]), y = member_of(b, rooms[1]);
	size_t len = x.len < y.len ? x.len : y.len;
	int order = memcmp(x.ptr, y.ptr, len);
	return order ? order : (x.len > y.len) - (x.len < y.len);
}

static uint64_t model_rank(const struct model *model, double score, uint32_t member)
{
	uint64_t from = 0, to = model->n;
	while (from < to) {
		uint64_t middle = (from + to) / 2;
		if (compare(model, model->order[middle], score, member) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void model_cut(struct model *model, uint64_t at, uint64_t n)
{
	for (uint64_t i = at; i < at + n; i++)
		model->there[model->order[i]] = false;
	memmove(model->order + at, model->order + at + n, (model->n - at - n) * sizeof(uint32_t));
	model->n -= n;
}

static void model_put(struct model *model, uint32_t member, double score)
{
	if (model->there[member])
		model_cut(model, model_rank(model, model->scores[member], member), 1);
	uint64_t at = model_rank(model, score, member);
	memmove(model->order + at + 1, model->order + at, (model->n - at) * sizeof(uint32_t));
	model->order[at] = member;
	model->scores[member] = score;
	model->there[member] = true;
	model->n++;
}

static void element_is(const struct model *model, const struct zset_element *element, uint32_t member)
{
	char room[NAME_MAX_SIZE], scratch[PACKED_SCRATCH];
	cr_assert(slice_equal(packed_text(&element->member, scratch), member_of(member, room)));
	cr_assert_eq(element->score, model->scores[member]);
}

static struct collection open_zset(const struct key *key)
{
	struct collection zset;
	cr_assert_eq(collection_open(shard, key, OBJECT_ZSET, FIND_QUIET, &zset), OK);
	return zset;
}

static void check_walk(const struct object *object, const struct model *model, bool all)
{
	struct zset_walk walk;
	struct zset_element element;
	uint64_t from = all ? 0 : roll(&dice, (uint32_t)model->n + 1), steps = all ? model->n : 30, at = from;
	zset_walk(object, at, &walk);
	for (; at < from + steps && at < model->n; at++) {
		cr_assert(zset_next(&walk, &element));
		element_is(model, &element, model->order[at]);
	}
	cr_assert(at < model->n || !zset_next(&walk, &element));
	for (; steps-- > 0 && at > 0; at--) {
		cr_assert(zset_prev(&walk, &element));
		element_is(model, &element, model->order[at - 1]);
	}
	cr_assert(at > 0 || !zset_prev(&walk, &element));
}

static void check_member(const struct object *object, const struct model *model, uint32_t member)
{
	char room[NAME_MAX_SIZE];
	struct slice name = member_of(member, room);
	double score, same_score, sought = model->scores[member];
	uint64_t rank, below = 0, upto = 0;
	cr_assert_eq(zset_score(shard, object, name, &score), model->there[member]);
	cr_assert_eq(zset_rank(shard, object, name, &rank, &same_score), model->there[member]);
	if (model->there[member]) {
		cr_assert_eq(score, sought);
		cr_assert_eq(same_score, sought);
		cr_assert_eq(rank, model_rank(model, sought, member));
	}
	while (below < model->n && model->scores[model->order[below]] < sought)
		below++;
	for (upto = below; upto < model->n && model->scores[model->order[upto]] == sought;)
		upto++;
	cr_assert_eq(zset_count_below(object, sought, false), below);
	cr_assert_eq(zset_count_below(object, sought, true), upto);
	if (upto == model->n && below == 0) {
		uint64_t before = model_rank(model, sought, member);
		cr_assert_eq(zset_count_before(object, name, false), before);
		cr_assert_eq(zset_count_before(object, name, true), before + model->there[member]);
	}
}

static void check(const struct key *key, const struct model *model, bool all)
{
	struct object *object = keyspace_find(shard, key, FIND_QUIET);
	cr_assert_eq(object != NULL, model->n > 0);
	if (!object)
		return;
	cr_assert_eq(collection_count(object), model->n);
	check_walk(object, model, all);
	check_member(object, model, roll(&dice, MEMBERS));
	check_member(object, model, model->order[roll(&dice, (uint32_t)model->n)]);
	if (all)
		zset_verify(shard, object);
}

static unsigned variety; /* of scores: 1 is one */

static double any_score(void)
{
	uint32_t kind = roll(&dice, 10);
	double score = (double)roll(&dice, variety) - variety / 2;
	if (variety > 100 && kind == 0)
		return roll(&dice, 2) ? INFINITY : -INFINITY;
	return kind < 3 && variety > 1 ? score / 7 : score;
}

static void put(struct collection *zset, struct model *model, uint32_t member, double score)
{
	char room[NAME_MAX_SIZE];
	double out = NAN;
	enum zset_result expected = !model->there[member]            ? ZSET_ADDED
	                            : model->scores[member] == score ? ZSET_SAME
	                                                             : ZSET_CHANGED;
	cr_assert_eq(zset_put(zset, member_of(member, room), score, ZSET_ALWAYS, &out), expected);
	cr_assert_eq(out, score);
	if (expected != ZSET_SAME)
		model_put(model, member, score);
}

static void step(const struct key *key, struct model *model, uint32_t size, uint32_t members)
{
	char room[NAME_MAX_SIZE];
	struct collection zset = open_zset(key);
	uint32_t kind = roll(&dice, 20), member = roll(&dice, members), n = (uint32_t)model->n;
	if (n == 0 || (kind < 9 && n < size)) {
		for (uint32_t i = 1 + roll(&dice, roll(&dice, 30) ? 3 : size / 2); i > 0; i--)
			put(&zset, model, roll(&dice, members), any_score());
	} else if (kind < 12) {
		put(&zset, model, model->order[roll(&dice, n)], any_score());
	} else if (kind < 17) {
		bool there = model->there[member];
		cr_assert_eq(zset_remove(&zset, member_of(member, room)), there);
		if (there)
			model_cut(model, model_rank(model, model->scores[member], member), 1);
	} else {
		uint32_t at = kind == 17 ? 0 : roll(&dice, n), some = 1 + roll(&dice, roll(&dice, 6) ? 5 : n - at);
		some = some < n - at ? some : n - at;
		zset_cut(&zset, at, some);
		model_cut(model, at, some);
	}
	cr_assert_eq(collection_close(&zset), model->n == 0);
}

static struct model *model_new(void)
{
	struct model *model = memory_zalloc(sizeof(*model));
	model->order = memory_alloc(MEMBERS * sizeof(uint32_t));
	return model;
}

static void model_free(struct model *model)
{
	memory_free(model->order);
	memory_free(model);
}

static void live(uint32_t size, uint32_t members, unsigned scores, uint32_t steps)
{
	char name[NAME_MAX_SIZE], copy_name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name), copy = key_numbered(0, NULL, 2, copy_name);
	struct model *model = model_new(), *old = model_new();
	shard = shard_new(NULL, SEED);
	variety = scores;
	for (uint32_t i = 0; i < steps; i++) {
		step(&key, model, size, members);
		check(&key, model, i % 64 == 0);
		if (i % 64 == 0)
			shard_verify(shard);
		if (roll(&dice, 500) == 0 && model->n > 0) { /* a copy stays what it was */
			if (old->n > 0)
				check(&copy, old, true);
			uint32_t *order = old->order;
			keyspace_copy(shard, &key, &copy);
			memcpy(order, model->order, model->n * sizeof(*order));
			*old = *model;
			old->order = order;
		}
		if (roll(&dice, 1000) == 0)
			shard->collections.zset_packed_count = roll(&dice, 300);
	}
	keyspace_delete(shard, &key);
	keyspace_delete(shard, &copy);
	while (shard->counters.freeing)
		(void)shard_background(shard, 1000000, &(uint64_t){0});
	cr_assert_eq(shard->counters.objects_bytes, 0);
	shard_free(shard);
	model_free(model);
	model_free(old);
}

TestSuite(zset, .timeout = 170);
Test(zset, is_what_its_model_says_when_small) { live(60, 100, 20, 60000); }
Test(zset, is_what_its_model_says_when_small_and_large_in_turn) { live(200, 300, 50, 30000); }
Test(zset, is_what_its_model_says_when_large) { live(8000, MEMBERS, 1000000, 8000); }
Test(zset, is_what_its_model_says_when_scores_are_few) { live(8000, MEMBERS, 3, 8000); }
Test(zset, is_what_its_model_says_when_scores_are_one) { live(5000, MEMBERS, 1, 8000); }

Test(zset, grows_at_an_end_into_full_leaves)
{
	char name[NAME_MAX_SIZE], room[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	shard = shard_new(NULL, SEED);
	struct collection zset = open_zset(&key);
	double score;
	size_t payload = 0;
	for (uint32_t i = 0; i < 100000; i++) {
		size_t len = (size_t)snprintf(room, sizeof(room), "m%06u", i);
		(void)zset_put(&zset, slice_of(room, len), i, ZSET_ALWAYS, &score);
		payload += len + sizeof(score);
	}
	zset_verify(shard, zset.object);
	cr_assert_lt(object_memory(zset.object) - payload, RARE(28, 200) * 100000);
	zset_cut(&zset, 10, 99990);
	zset_verify(shard, zset.object);
	cr_assert_lt(object_memory(zset.object), RARE(3000, 6000));
	keyspace_delete(shard, &key);
	shard_free(shard);
}

/* ---- scanning ----------------------------------------------------------------------------- */

struct seen {
	uint8_t times[MEMBERS];
	uint64_t n;
};

static void see(void *arg, const struct zset_element *element)
{
	struct seen *seen = arg;
	char scratch[PACKED_SCRATCH];
	int64_t number;
	cr_assert(integer_parse(packed_text(&element->member, scratch), &number));
	seen->times[number]++;
	seen->n++;
}

static struct slice numbered(uint32_t number, char room[NAME_MAX_SIZE])
{
	return slice_of(room, integer_format(number, room));
}

/* Half of the members stay, and get other scores meanwhile; the others come and go. */
static void scan_all(unsigned scores, uint32_t members, uint64_t want)
{
	char name[NAME_MAX_SIZE], room[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct seen *seen = memory_zalloc(sizeof(*seen));
	uint64_t cursor = 0, calls = 0;
	double score;
	shard = shard_new(NULL, SEED);
	struct collection zset = open_zset(&key);
	for (uint32_t i = 0; i < members; i++)
		(void)zset_put(&zset, numbered(i, room), roll(&dice, scores), ZSET_ALWAYS, &score);
	do {
		uint64_t before = seen->n;
		cursor = zset_scan(shard, zset.object, cursor, want, see, seen);
		cr_assert(cursor == 0 || seen->n - before >= want);
		cr_assert_leq(cursor, (uint64_t)1 << 32);
		calls++;
		for (uint32_t i = 0; i < 50; i++) {
			uint32_t member = roll(&dice, members);
			if (member % 2 == 0)
				(void)zset_put(&zset, numbered(member, room), roll(&dice, scores), ZSET_ALWAYS, &score);
			else if (roll(&dice, 2))
				(void)zset_remove(&zset, numbered(member, room));
			else
				(void)zset_put(&zset, numbered(member, room), 1, ZSET_ALWAYS, &score);
		}
	} while (cursor);
	for (uint32_t i = 0; i < members; i++) {
		cr_assert_leq(seen->times[i], 1);
		cr_assert(i % 2 == 1 || seen->times[i] == 1, "%u", i);
	}
	cr_assert_leq(calls, members / want + 2);
	keyspace_delete(shard, &key);
	shard_free(shard);
	memory_free(seen);
}

Test(zset, is_scanned_while_it_changes)
{
	scan_all(1000000, 15000, 10);
	scan_all(50, 15000, 10);
	scan_all(1, 15000, 10);
	scan_all(1, 3000, 500);
	scan_all(10, 130, 1);
}

/* Members that no leaf is large enough for. */
Test(zset, holds_members_larger_than_a_leaf)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	shard = shard_new(NULL, SEED);
	uint8_t *large = memory_alloc(300000);
	memset(large, 'x', 300000);
	struct collection zset = open_zset(&key);
	double score;
	for (uint32_t i = 0; i < 400; i++) {
		size_t len = i % 3 ? 5 + i : 1000 + 700 * i;
		cr_assert_eq(zset_put(&zset, slice_of(large, len), i % 7, ZSET_ALWAYS, &score), ZSET_ADDED);
		if (i % 20 == 0)
			zset_verify(shard, zset.object);
	}
	struct zset_walk walk;
	struct zset_element element, last = {.score = -1};
	zset_walk(zset.object, 0, &walk);
	while (zset_next(&walk, &element)) {
		cr_assert(element.score > last.score || element.member.bytes.len > last.member.bytes.len);
		last = element;
	}
	for (uint32_t i = 0; i < 400; i += 2)
		cr_assert(zset_remove(&zset, slice_of(large, i % 3 ? 5 + i : 1000 + 700 * i)));
	zset_verify(shard, zset.object);
	zset_cut(&zset, 0, 200);
	cr_assert(collection_close(&zset));
	memory_free(large);
	shard_free(shard);
}

Test(zset, puts_under_conditions)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	for (uint32_t packed = 0; packed <= 128; packed += 128) {
		double out = 7;
		shard = shard_new(NULL, SEED);
		shard->collections.zset_packed_count = packed;
		struct collection zset = open_zset(&key);
		cr_assert_eq(zset_put(&zset, S("a"), 1, ZSET_IF_PRESENT, &out), ZSET_REFUSED);
		cr_assert_null(zset.object);
		cr_assert_eq(zset_put(&zset, S("a"), 1, ZSET_IF_ABSENT, &out), ZSET_ADDED);
		cr_assert_eq(zset_put(&zset, S("a"), 2, ZSET_IF_ABSENT, &out), ZSET_REFUSED);
		cr_assert_eq(zset_put(&zset, S("a"), 1, ZSET_IF_GREATER, &out), ZSET_REFUSED);
		cr_assert_eq(zset_put(&zset, S("a"), 2, ZSET_IF_LESS, &out), ZSET_REFUSED);
		cr_assert_eq(zset_put(&zset, S("a"), 0.5, ZSET_IF_LESS | ZSET_IF_PRESENT, &out), ZSET_CHANGED);
		cr_assert_eq(out, 0.5);
		cr_assert_eq(zset_put(&zset, S("a"), 2, ZSET_ADD, &out), ZSET_CHANGED);
		cr_assert_eq(out, 2.5);
		cr_assert_eq(zset_put(&zset, S("a"), INFINITY, ZSET_ADD, &out), ZSET_CHANGED);
		cr_assert_eq(zset_put(&zset, S("a"), INFINITY, ZSET_ADD, &out), ZSET_SAME);
		cr_assert_eq(zset_put(&zset, S("a"), -INFINITY, ZSET_ADD, &out), ZSET_NAN);
		cr_assert_eq(zset_put(&zset, S("a"), -2, ZSET_ADD | ZSET_IF_GREATER, &out), ZSET_REFUSED);
		keyspace_delete(shard, &key);
		shard_free(shard);
	}
}

/* ---- edits, as recovery applies them ------------------------------------------------------ */

enum { PUT = 1, REMOVE, CUT };

static void any_edit(struct model *model, uint32_t members, struct buf *out)
{
	char room[NAME_MAX_SIZE];
	uint32_t kind = model->n > 3000 ? CUT : 1 + roll(&dice, 3), member = roll(&dice, members);
	if (kind == REMOVE && !model->there[member])
		kind = PUT;
	if (kind == CUT && (model->n == 0 || (model->n < 3000 && roll(&dice, 4))))
		kind = PUT;
	buf_byte(out, (uint8_t)kind);
	if (kind == CUT) {
		uint64_t numbers[2] = {roll(&dice, (uint32_t)model->n)};
		numbers[1] = 1 + roll(&dice, (uint32_t)(model->n - numbers[0]));
		buf_append(out, slice_of(numbers, sizeof(numbers)));
		model_cut(model, numbers[0], numbers[1]);
		return;
	}
	struct slice name = member_of(member, room);
	double score = any_score();
	uint32_t len = (uint32_t)name.len;
	if (kind == PUT)
		buf_append(out, slice_of(&score, sizeof(score)));
	buf_append(out, slice_of(&len, sizeof(len)));
	buf_append(out, name);
	if (kind == PUT)
		model_put(model, member, score);
	else
		model_cut(model, model_rank(model, model->scores[member], member), 1);
}

static bool apply(struct collection *zset, struct slice *edits)
{
	(void)collection_touch(zset);
	return zset_kind.collection->apply(zset, edits);
}

Test(zset, edits_do_what_they_say)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model *model = model_new();
	shard = shard_new(NULL, SEED);
	variety = 50;
	for (int i = 0; i < 20000; i++) {
		struct buf bytes = {0};
		struct collection zset = open_zset(&key);
		for (uint32_t n = roll(&dice, 3); n > 0; n--)
			any_edit(model, 4000, &bytes);
		struct slice edits = buf_slice(&bytes);
		while (edits.len > 0)
			cr_assert(apply(&zset, &edits));
		(void)collection_close(&zset);
		check(&key, model, i % 100 == 0);
		buf_fini(&bytes);
	}
	keyspace_delete(shard, &key);
	shard_free(shard);
	model_free(model);
}

/* Whatever they say: the set stays a sorted set. */
Test(zset, hostile_edits_do_no_harm)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model *model = model_new();
	shard = shard_new(NULL, SEED);
	variety = 50;
	for (int i = 0; i < 40000; i++) {
		struct buf bytes = {0};
		struct collection zset = open_zset(&key);
		any_edit(model, 4000, &bytes);
		for (uint32_t n = roll(&dice, 3); n > 0; n--)
			bytes.ptr[roll(&dice, (uint32_t)bytes.len)] = (uint8_t)roll(&dice, 256);
		size_t len = roll(&dice, 4) ? bytes.len : roll(&dice, (uint32_t)bytes.len);
		uint8_t *exact = memory_alloc(len + 1); /* a sanitizer sees its end */
		memcpy(exact, bytes.ptr, len);
		struct slice edits = slice_of(exact, len);
		(void)(len > 0 && apply(&zset, &edits));
		cr_assert_leq(edits.len, len);
		(void)collection_close(&zset);
		if (i % 100 == 0 && (zset = open_zset(&key)).object) {
			zset_verify(shard, zset.object);
			shard_verify(shard);
			if (collection_count(zset.object) > 2000)
				keyspace_delete(shard, &key);
		}
		memory_free(exact);
		buf_fini(&bytes);
	}
	keyspace_delete(shard, &key);
	shard_free(shard);
	model_free(model);
}

/* ---- packed values, as they come from disk ------------------------------------------------- */

/* All that it shows; true if it is in order and each member is found with its score. */
static bool is_sound(const struct object *object)
{
	struct zset_walk walk;
	struct zset_element element;
	char scratch[PACKED_SCRATCH];
	double score;
	uint64_t rank, n = 0;
	zset_walk(object, 0, &walk);
	for (; zset_next(&walk, &element); n++)
		if (!zset_rank(shard, object, packed_text(&element.member, scratch), &rank, &score) || rank != n ||
		    score != element.score)
			return false;
	return n == collection_count(object);
}

static void same(const struct object *a, const struct object *b)
{
	char scratch[2][PACKED_SCRATCH];
	struct zset_walk walk[2];
	struct zset_element element[2];
	zset_walk(a, 0, &walk[0]);
	zset_walk(b, 0, &walk[1]);
	while (zset_next(&walk[0], &element[0])) {
		cr_assert(zset_next(&walk[1], &element[1]));
		cr_assert_eq(element[0].score, element[1].score);
		cr_assert(slice_equal(packed_text(&element[0].member, scratch[0]),
		                      packed_text(&element[1].member, scratch[1])));
	}
	cr_assert(!zset_next(&walk[1], &element[1]));
}

Test(zset, is_packed_and_unpacked_and_stays_sound_when_that_is_hostile)
{
	char name[3][NAME_MAX_SIZE];
	struct key keys[3];
	uint32_t accepted = 0;
	for (uint32_t i = 0; i < 3; i++)
		keys[i] = key_numbered(0, NULL, i, name[i]);
	struct model *model = model_new();
	shard = shard_new(NULL, SEED);
	for (int round = 0; round < 300; round++) {
		shard->collections.zset_packed_count = roll(&dice, 2) ? 0 : 128;
		variety = roll(&dice, 2) ? 5 : 1000;
		struct collection zset = open_zset(&keys[0]);
		for (uint32_t n = 1 + roll(&dice, roll(&dice, 4) ? 12 : 2000); n > 0; n--)
			put(&zset, model, roll(&dice, MEMBERS), any_score());
		(void)collection_close(&zset);
		struct buf packed = {0};
		struct object *object = keyspace_find(shard, &keys[0], FIND_QUIET);
		object_pack(object, &packed);
		cr_assert_eq(object_unpack(shard, &keys[1], buf_slice(&packed), EXPIRES_NEVER), OK);
		struct object *again = keyspace_find(shard, &keys[1], FIND_QUIET);
		same(object, again);
		zset_verify(shard, again);
		for (int i = 0; i < 60; i++) {
			size_t len = roll(&dice, 3) ? packed.len : roll(&dice, (uint32_t)packed.len + 1);
			uint8_t *exact = memory_alloc(len + 1);
			memcpy(exact, packed.ptr, len);
			for (uint32_t n = 1 + roll(&dice, 3); n > 0 && len > 1; n--) /* but not the type */
				exact[1 + roll(&dice, roll(&dice, 2) ? 12 < len ? 12 : (uint32_t)len - 1
				                                     : (uint32_t)len - 1)] = (uint8_t)roll(&dice, 256);
			struct object *unpacked;
			if (object_unpack(shard, &keys[2], slice_of(exact, len), EXPIRES_NEVER) == OK &&
			    (unpacked = keyspace_find(shard, &keys[2], FIND_QUIET))) {
				cr_assert(is_sound(unpacked));
				accepted++;
			}
			memory_free(exact);
		}
		shard_verify(shard);
		model_cut(model, 0, model->n);
		for (int i = 0; i < 3; i++)
			keyspace_delete(shard, &keys[i]);
		buf_fini(&packed);
	}
	cr_assert_gt(accepted, 100);
	shard_free(shard);
	model_free(model);
}
