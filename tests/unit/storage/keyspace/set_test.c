/* Sets against a table of who is in: members of all lengths, forms that change into each other, scans while members
 * come and go, edits, packed forms. */
#include "storage/keyspace/set.h"

#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/collection_private.h"
#include "support.h"

enum { VALUES = 60000 };

static struct shard *shard;
static struct dice dice = {1};

/* Members by number; from 0 on many are integers, few are long. */
static struct slice value_of(uint32_t number, char room[NAME_MAX_SIZE])
{
	uint32_t kind = number % 16;
	if (kind < 6)
		return slice_of(room, integer_format((int64_t)number * (kind & 2 ? (int64_t)number << 17 : 1) *
		                                             (kind & 1 ? -1 : 1),
		                                     room));
	size_t len = (size_t)snprintf(room, NAME_MAX_SIZE, "value:%u:", number);
	size_t more = kind == 6 ? number % 600 : number % 24;
	memset(room + len, 'v', more);
	return slice_of(room, len + more);
}

/* Which numbers are in, and how many. */
struct model {
	bool in[VALUES];
	uint32_t n;
};

static void model_put(struct model *model, uint32_t number, bool in)
{
	model->n += in - model->in[number];
	model->in[number] = in;
}

static uint32_t number_of(const struct packed_element *member)
{
	char scratch[PACKED_SCRATCH], room[NAME_MAX_SIZE];
	struct slice text = packed_text(member, scratch);
	uint32_t number = 0;
	if (member->bytes.ptr) {
		for (size_t i = 6; text.ptr[i] != ':'; i++)
			number = number * 10 + (text.ptr[i] - '0');
	} else {
		uint64_t value = (uint64_t)(member->integer < 0 ? -member->integer : member->integer);
		for (number = 0; number < VALUES && value != 0; number++)
			if (number % 16 < 6 &&
			    (uint64_t)number * (number % 16 & 2 ? (uint64_t)number << 17 : 1) == value &&
			    (member->integer < 0) == (number % 16 & 1))
				break;
	}
	cr_assert(slice_equal(value_of(number, room), text));
	return number;
}

static struct collection open_set(const struct key *key)
{
	struct collection set;
	cr_assert_eq(collection_open(shard, key, OBJECT_SET, FIND_QUIET, &set), OK);
	return set;
}

static bool has(const struct object *set, uint32_t number)
{
	char room[NAME_MAX_SIZE];
	struct packed_sought sought = packed_seek(value_of(number, room));
	return set_has(set, &sought);
}

static bool put(struct collection *set, uint32_t number, bool in)
{
	char room[NAME_MAX_SIZE];
	struct packed_sought sought = packed_seek(value_of(number, room));
	return in ? set_add(set, &sought) : set_remove(set, &sought);
}

static const struct leaf *before;

/* Leaves are what recovery would believe, and begin where the tree thinks. */
static void check_leaf(void *arg, const struct leaf *leaf, struct tree_key key)
{
	struct tree_key least;
	cr_assert(slots_check_leaf(SEED, slice_of(leaf->bytes, leaf->len), leaf->count, 1, false, before, &least));
	cr_assert(tree_key_compare(key, least) <= 0 || !before);
	cr_assert(leaf->len <= 4096 || leaf->count == 1);
	before = leaf;
}

static void check(const struct key *key, const struct model *model, bool all)
{
	struct object *object = keyspace_find(shard, key, FIND_QUIET);
	cr_assert_eq(object != NULL, model->n > 0);
	if (!object)
		return;
	cr_assert_eq(collection_count(object), model->n);
	for (int i = 0; i < 20; i++) {
		uint32_t number = roll(&dice, VALUES);
		cr_assert_eq(has(object, number), model->in[number]);
	}
	struct packed_element member;
	set_at(object, roll(&dice, model->n), &member);
	struct packed_sought sought = packed_seek_element(&member);
	cr_assert(set_has(object, &sought));
	if (!all)
		return;
	struct set_walk walk;
	uint32_t n = 0;
	for (set_walk(object, &walk); set_next(&walk, &member); n++)
		cr_assert(model->n > 3000 || model->in[number_of(&member)]);
	cr_assert_eq(n, model->n);
	for (uint32_t i = 0; i < VALUES; i++)
		cr_assert_eq(has(object, i), model->in[i]);
	before = NULL;
	if (collection_tree(object))
		tree_verify(collection_tree(object), check_leaf, NULL);
	shard_verify(shard);
}

/* Numbers below `range`, or all of which are integers. */
static void live(uint32_t range, bool integers, uint32_t steps)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model *model = memory_zalloc(sizeof(*model));
	shard = shard_new(NULL, SEED);
	for (uint32_t i = 0; i < steps; i++) {
		struct collection set = open_set(&key);
		bool grow = roll(&dice, 1000) < (i / (steps / 8) % 2 ? 350u : 650u);
		for (uint32_t n = 1 + roll(&dice, 6); n > 0; n--) {
			uint32_t number = roll(&dice, range);
			number = integers ? number - number % 16 + number % 6 : number;
			cr_assert_eq(put(&set, number, grow), model->in[number] != grow);
			model_put(model, number, grow);
		}
		bool closed = collection_close(&set);
		cr_assert(!closed || model->n == 0);
		check(&key, model, i % (steps / 40) == 0);
	}
	keyspace_delete(shard, &key);
	while (shard->counters.freeing)
		(void)shard_background(shard, 1000000, &(uint64_t){0});
	cr_assert_eq(shard->counters.objects_bytes, 0);
	shard_free(shard);
	memory_free(model);
}

TestSuite(set, .timeout = 170);
Test(set, is_what_its_model_says_when_small) { live(40, false, 40000); }
Test(set, is_what_its_model_says_of_integers) { live(1200, true, 40000); }
Test(set, is_what_its_model_says_when_large) { live(VALUES, false, 40000); }

/* ---- scans ---------------------------------------------------------------------------- */

static void mark(void *arg, const struct packed_element *member) { ((bool *)arg)[number_of(member)] = true; }

/* Whoever is in from the first call to the last is shown, while the set grows out of nothing, or shrinks to it. */
Test(set, scans_show_all_that_stays)
{
	enum { STAY = 40, RANGE = 4000 };
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	shard = shard_new(NULL, SEED);
	bool *seen = memory_alloc(VALUES);
	for (uint32_t round = 0; round < 300; round++) {
		bool grows = round % 2;
		uint32_t stay = round % 3 ? STAY : 3, want = 1 + roll(&dice, 40);
		struct collection set = open_set(&key);
		for (uint32_t i = 0; i < (grows ? stay : RANGE); i++)
			put(&set, 16 * (i / 8) + i % 8, true);
		memset(seen, 0, VALUES);
		uint64_t cursor = 0, calls = 0;
		do {
			cursor = set_scan(set.object, cursor, want, mark, seen);
			cr_assert_lt(cursor, (uint64_t)1 << 52);
			for (uint32_t n = roll(&dice, 3 * want); n > 0; n--) {
				uint32_t i = stay + roll(&dice, RANGE - stay);
				put(&set, 16 * (i / 8) + i % 8, grows);
			}
			cr_assert_lt(++calls, 3 * RANGE);
		} while (cursor != 0);
		for (uint32_t i = 0; i < stay; i++)
			cr_assert(seen[16 * (i / 8) + i % 8]);
		(void)collection_close(&set);
		keyspace_delete(shard, &key);
	}
	memory_free(seen);
	shard_free(shard);
}

Test(set, a_scan_shows_about_as_many_as_asked_for)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	bool *seen = memory_zalloc(VALUES);
	shard = shard_new(NULL, SEED);
	struct collection set = open_set(&key);
	for (uint32_t i = 0; i < 3000; i++)
		put(&set, i, true);
	uint64_t calls = 0, cursor = 0;
	do {
		cursor = set_scan(set.object, cursor, 10, mark, seen);
		calls++;
	} while (cursor != 0);
	cr_assert_leq(calls, collection_count(set.object) / 10 + 1);
	cr_assert_geq(calls, collection_count(set.object) / 11);
	cr_assert_eq(set_scan(set.object, UINT64_MAX, 10, mark, seen), 0);
	shard_free(shard);
	memory_free(seen);
}

/* Members that no leaf is large enough for, among small ones. */
Test(set, holds_members_larger_than_a_leaf)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	enum { LARGE = 200000, MANY = 60 };
	uint8_t *large = memory_alloc(LARGE);
	shard = shard_new(NULL, SEED);
	memset(large, 'x', LARGE);
	struct collection set = open_set(&key);
	for (uint32_t i = 0; i < 20 * MANY; i++) {
		struct packed_sought sought = packed_seek(slice_of(large, 3000 * (i / 20 + 1)));
		cr_assert_eq(i % 20 ? put(&set, i, true) : set_add(&set, &sought), true);
	}
	before = NULL;
	tree_verify(collection_tree(set.object), check_leaf, NULL);
	for (uint32_t i = 0; i < 20 * MANY; i++) {
		struct packed_sought sought = packed_seek(slice_of(large, 3000 * (i / 20 + 1)));
		cr_assert_eq(i % 20 ? has(set.object, i) : set_has(set.object, &sought), true);
		cr_assert_eq(i % 20 ? put(&set, i, false) : set_remove(&set, &sought), true);
	}
	cr_assert(collection_close(&set));
	shard_free(shard);
	memory_free(large);
}

/* ---- edits, as recovery applies them ------------------------------------------------------ */

static void edit_of(uint32_t number, bool in, struct buf *out)
{
	char room[NAME_MAX_SIZE];
	struct slice value = value_of(number, room);
	buf_byte(out, in ? 1 : 2);
	uint8_t *at = buf_reserve(out, packed_size(value));
	out->len += (size_t)(packed_write(at, value) - at);
}

Test(set, edits_do_what_they_say_and_no_harm_when_hostile)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model *model = memory_zalloc(sizeof(*model));
	shard = shard_new(NULL, SEED);
	for (int i = 0; i < 60000; i++) {
		struct buf bytes = {0};
		struct collection set = open_set(&key);
		uint32_t number = roll(&dice, 3000);
		bool hostile = i > 30000, in = !model->in[number];
		edit_of(number, in, &bytes);
		if (hostile)
			bytes.ptr[roll(&dice, (uint32_t)bytes.len)] = (uint8_t)roll(&dice, 256);
		size_t len = hostile && roll(&dice, 2) ? roll(&dice, (uint32_t)bytes.len) : bytes.len;
		uint8_t *exact = memory_alloc(len + 1); /* a sanitizer sees its end */
		memcpy(exact, bytes.ptr, len);
		struct slice edits = slice_of(exact, len);
		(void)collection_touch(&set);
		bool applied = set_kind.collection->apply(&set, &edits);
		cr_assert(hostile || (applied && edits.len == 0));
		if (!hostile)
			model_put(model, number, in);
		(void)collection_close(&set);
		if (!hostile && i % 100 == 0)
			check(&key, model, i % 3000 == 0);
		memory_free(exact);
		buf_fini(&bytes);
	}
	shard_verify(shard);
	shard_free(shard);
	memory_free(model);
}

/* ---- packed values, as they come from disk ------------------------------------------------- */

static void same_set(const struct object *a, const struct object *b)
{
	struct set_walk walk;
	struct packed_element member;
	uint64_t n = 0;
	cr_assert_eq(collection_count(a), collection_count(b));
	for (set_walk(a, &walk); set_next(&walk, &member); n++) {
		struct packed_sought sought = packed_seek_element(&member);
		cr_assert(set_has(b, &sought));
	}
	cr_assert_eq(n, collection_count(a));
}

/* Finds nothing out of order: whatever was believed stays a set. */
static void use(const struct key *key)
{
	struct collection set = open_set(key);
	if (!set.object)
		return;
	struct packed_element member;
	set_at(set.object, collection_count(set.object) - 1, &member);
	for (uint32_t i = 0; i < 30; i++)
		put(&set, roll(&dice, 100), roll(&dice, 2));
	(void)collection_close(&set);
}

Test(set, is_packed_and_unpacked_and_stays_sound_when_that_is_hostile)
{
	char name[4][NAME_MAX_SIZE];
	struct key keys[4];
	for (uint32_t i = 0; i < 4; i++)
		keys[i] = key_numbered(0, NULL, i, name[i]);
	shard = shard_new(NULL, SEED);
	struct shard *other = shard_new(NULL, SEED + 1);
	for (int round = 0; round < 300; round++) {
		struct collection set = open_set(&keys[0]);
		bool integers = roll(&dice, 3) == 0;
		for (uint32_t n = 1 + roll(&dice, roll(&dice, 3) ? 30 : 1500); n > 0; n--) {
			uint32_t number = roll(&dice, 3000);
			put(&set, integers ? number - number % 16 : number, true);
		}
		struct buf packed = {0};
		object_pack(set.object, &packed);
		cr_assert_eq(object_unpack(shard, &keys[1], buf_slice(&packed), EXPIRES_NEVER), OK);
		same_set(set.object, keyspace_find(shard, &keys[1], FIND_QUIET));
		struct key there = keys[3];
		there.hash = key_hash(SEED + 1, there.name);
		cr_assert_eq(object_unpack(other, &there, buf_slice(&packed), EXPIRES_NEVER), OK);
		same_set(set.object, keyspace_find(other, &there, FIND_QUIET));
		for (int i = 0; i < 100; i++) {
			size_t len = roll(&dice, 3) ? packed.len : roll(&dice, (uint32_t)packed.len + 1);
			uint8_t *exact = memory_alloc(len + 1);
			memcpy(exact, packed.ptr, len);
			for (uint32_t n = 1 + roll(&dice, 3); n > 0 && len > 1; n--) /* but not the type */
				exact[1 + roll(&dice, roll(&dice, 2) && len > 24 ? 24 : (uint32_t)len - 1)] =
				        (uint8_t)roll(&dice, 256);
			if (object_unpack(shard, &keys[2], slice_of(exact, len), EXPIRES_NEVER) == OK)
				use(&keys[2]);
			(void)!object_unpack(other, &there, slice_of(exact, len), EXPIRES_NEVER);
			memory_free(exact);
		}
		shard_verify(shard);
		for (int i = 0; i < 3; i++)
			keyspace_delete(shard, &keys[i]);
		keyspace_delete(other, &there);
		buf_fini(&packed);
	}
	shard_free(shard);
	shard_free(other);
}
