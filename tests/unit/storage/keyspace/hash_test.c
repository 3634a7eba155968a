/* Hashes against a table of values: fields and values of all lengths, forms that change into each other, scans while
 * fields come and go, edits, packed forms. */
#include "storage/keyspace/hash.h"

#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/collection_private.h"
#include "support.h"

enum { FIELDS = 20000, NONE = 0 };

static struct shard *shard;
static struct dice dice = {1};

/* Texts by number: fields, and values from 1 on. Few are long. */
static struct slice text_of(uint32_t number, char room[NAME_MAX_SIZE])
{
	uint32_t kind = number % 16;
	if (kind < 5)
		return slice_of(room, integer_format((int64_t)number * (kind & 1 ? -1 : 1), room));
	size_t len = (size_t)snprintf(room, NAME_MAX_SIZE, "text:%u:", number);
	size_t more = kind == 5 ? number % 600 : number % 20;
	memset(room + len, 't', more);
	return slice_of(room, len + more);
}

static uint32_t number_of(const struct packed_element *element)
{
	if (!element->bytes.ptr)
		return (uint32_t)(element->integer < 0 ? -element->integer : element->integer);
	uint32_t number = 0;
	for (size_t i = 5; element->bytes.ptr[i] != ':'; i++)
		number = number * 10 + (element->bytes.ptr[i] - '0');
	return number;
}

static bool says(const struct packed_element *element, uint32_t number)
{
	char room[NAME_MAX_SIZE], scratch[PACKED_SCRATCH];
	return slice_equal(packed_text(element, scratch), text_of(number, room));
}

struct model {
	uint32_t value[FIELDS]; /* NONE: the field is absent */
	uint32_t n;
};

static void model_put(struct model *model, uint32_t field, uint32_t value)
{
	model->n += (value != NONE) - (model->value[field] != NONE);
	model->value[field] = value;
}

static struct collection open_hash(const struct key *key)
{
	struct collection hash;
	cr_assert_eq(collection_open(shard, key, OBJECT_HASH, FIND_QUIET, &hash), OK);
	return hash;
}

/* What hash_set() or hash_remove() says. */
static bool put(struct collection *hash, uint32_t field, uint32_t value)
{
	char room[2][NAME_MAX_SIZE];
	struct packed_sought name = packed_seek(text_of(field, room[0])), text = packed_seek(text_of(value, room[1]));
	return value == NONE ? hash_remove(hash, &name) : hash_set(hash, &name, &text);
}

static void check_field(const struct object *hash, uint32_t field, uint32_t value)
{
	char room[NAME_MAX_SIZE];
	struct packed_sought name = packed_seek(text_of(field, room));
	struct packed_element found;
	cr_assert_eq(hash_get(hash, &name, shard->now_ms, &found), value != NONE);
	cr_assert(value == NONE || says(&found, value));
}

static const struct leaf *before;

static void check_leaf(void *arg, const struct leaf *leaf, struct tree_key key)
{
	struct tree_key least;
	cr_assert(slots_check_leaf(SEED, slice_of(leaf->bytes, leaf->len), leaf->count, 2, true, before, &least));
	cr_assert(tree_key_compare(key, least) <= 0 || !before);
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
		uint32_t field = roll(&dice, FIELDS);
		check_field(object, field, model->value[field]);
	}
	struct hash_pair pair;
	hash_at(object, roll(&dice, model->n), &pair);
	cr_assert(says(&pair.value, model->value[number_of(&pair.field)]));
	if (!all)
		return;
	struct hash_walk walk;
	uint32_t n = 0;
	for (hash_walk(object, shard->now_ms, &walk); hash_next(&walk, &pair); n++) {
		cr_assert(says(&pair.field, number_of(&pair.field)));
		cr_assert(says(&pair.value, model->value[number_of(&pair.field)]));
	}
	cr_assert_eq(n, model->n);
	before = NULL;
	if (collection_tree(object))
		tree_verify(collection_tree(object), check_leaf, NULL);
	shard_verify(shard);
}

static void live(uint32_t range, uint32_t steps)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model *model = memory_zalloc(sizeof(*model));
	shard = shard_new(NULL, SEED);
	for (uint32_t i = 0; i < steps; i++) {
		struct collection hash = open_hash(&key);
		bool grow = roll(&dice, 1000) < (i / (steps / 8) % 2 ? 350u : 650u);
		for (uint32_t n = 1 + roll(&dice, 6); n > 0; n--) {
			uint32_t field = roll(&dice, range), value = grow ? 1 + roll(&dice, FIELDS - 1) : NONE;
			bool there = model->value[field] != NONE;
			cr_assert_eq(put(&hash, field, value), grow ? !there : there);
			model_put(model, field, value);
		}
		bool closed = collection_close(&hash);
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

TestSuite(hash, .timeout = 170);
Test(hash, is_what_its_model_says_when_small) { live(30, 40000); }
Test(hash, is_what_its_model_says_between_forms) { live(300, 40000); }
Test(hash, is_what_its_model_says_when_large) { live(FIELDS, 40000); }

/* As Redis says it: few fields, none of them long; and a table for good once it has been one. */
Test(hash, is_a_table_where_redis_has_one)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct packed_sought field = packed_seek(S("field")), value = packed_seek(S("value"));
	uint8_t bytes[65];
	memset(bytes, 'x', sizeof(bytes));
	struct packed_sought fits = packed_seek(slice_of(bytes, 64)), is_long = packed_seek(slice_of(bytes, 65));
	shard = shard_new(NULL, SEED);
	struct collection hash = open_hash(&key);
	for (uint32_t i = 0; i < 512; i++) {
		struct packed_sought number = {.is_integer = true, .integer = i};
		(void)hash_set(&hash, &number, &fits);
	}
	cr_assert_str_eq(object_encoding(hash.object), "listpack");
	(void)hash_set(&hash, &field, &value);
	cr_assert_str_eq(object_encoding(hash.object), "hashtable");
	(void)hash_remove(&hash, &field);
	cr_assert_str_eq(object_encoding(hash.object), "hashtable");
	keyspace_delete(shard, &key);
	hash = open_hash(&key);
	(void)hash_set(&hash, &fits, &fits);
	cr_assert_str_eq(object_encoding(hash.object), "listpack");
	(void)hash_set(&hash, &fits, &is_long);
	cr_assert_str_eq(object_encoding(hash.object), "hashtable");
	shard_free(shard);
}

/* ---- scans ---------------------------------------------------------------------------- */

static void mark(void *arg, const struct hash_pair *pair) { ((bool *)arg)[number_of(&pair->field)] = true; }

Test(hash, scans_show_all_that_stays)
{
	enum { STAY = 40, RANGE = 2000 };
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	bool *seen = memory_alloc(FIELDS);
	shard = shard_new(NULL, SEED);
	for (uint32_t round = 0; round < 200; round++) {
		bool grows = round % 2;
		uint32_t want = 1 + roll(&dice, 40);
		struct collection hash = open_hash(&key);
		for (uint32_t i = 0; i < (grows ? STAY : RANGE); i++)
			put(&hash, i, i + 1);
		memset(seen, 0, FIELDS);
		uint64_t cursor = 0;
		do {
			cursor = hash_scan(hash.object, cursor, want, shard->now_ms, mark, seen);
			for (uint32_t n = roll(&dice, 3 * want); n > 0; n--)
				put(&hash, STAY + roll(&dice, RANGE - STAY), grows ? 1 + roll(&dice, 90) : NONE);
		} while (cursor != 0);
		for (uint32_t i = 0; i < STAY; i++)
			cr_assert(seen[i]);
		(void)collection_close(&hash);
		keyspace_delete(shard, &key);
	}
	memory_free(seen);
	shard_free(shard);
}

/* Values that no leaf is large enough for come and go among small ones. */
Test(hash, holds_values_larger_than_a_leaf)
{
	char name[NAME_MAX_SIZE], room[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	enum { LARGE = 200000, MANY = 400 };
	static uint32_t lengths[MANY];
	uint8_t *large = memory_alloc(LARGE);
	memset(large, 'x', LARGE);
	shard = shard_new(NULL, SEED);
	struct collection hash = open_hash(&key);
	for (uint32_t i = 0; i < 6000; i++) {
		uint32_t field = roll(&dice, MANY), len = roll(&dice, roll(&dice, 20) ? 40 : LARGE);
		struct packed_sought sought = packed_seek(text_of(field, room)),
		                     value = packed_seek(slice_of(large, len));
		if (roll(&dice, 4) == 0)
			(void)hash_remove(&hash, &sought), lengths[field] = 0;
		else
			(void)hash_set(&hash, &sought, &value), lengths[field] = len + 1;
		field = roll(&dice, MANY);
		sought = packed_seek(text_of(field, room));
		struct packed_element found;
		bool there = hash.object && hash_get(hash.object, &sought, shard->now_ms, &found);
		cr_assert_eq(there, lengths[field] != 0);
		cr_assert(!there || found.bytes.len + 1 == lengths[field]);
		before = NULL;
		if (i % 500 == 0 && collection_tree(hash.object))
			tree_verify(collection_tree(hash.object), check_leaf, NULL);
	}
	keyspace_delete(shard, &key);
	shard_free(shard);
	memory_free(large);
}

/* ---- edits, as recovery applies them ------------------------------------------------------ */

static void put_text(uint32_t number, struct buf *out)
{
	char room[NAME_MAX_SIZE];
	struct slice text = text_of(number, room);
	uint8_t *at = buf_reserve(out, packed_size(text));
	out->len += (size_t)(packed_write(at, text) - at);
}

Test(hash, edits_do_what_they_say_and_no_harm_when_hostile)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model *model = memory_zalloc(sizeof(*model));
	shard = shard_new(NULL, SEED);
	for (int i = 0; i < 60000; i++) {
		struct buf bytes = {0};
		struct collection hash = open_hash(&key);
		uint32_t field = roll(&dice, 2000), value = roll(&dice, 3) ? 1 + roll(&dice, 5000) : NONE;
		bool hostile = i > 30000;
		if (model->value[field] == NONE && value == NONE)
			value = 1;
		buf_byte(&bytes, value == NONE ? 2 : 1);
		put_text(field, &bytes);
		if (value != NONE)
			put_text(value, &bytes);
		if (hostile)
			bytes.ptr[roll(&dice, (uint32_t)bytes.len)] = (uint8_t)roll(&dice, 256);
		size_t len = hostile && roll(&dice, 2) ? roll(&dice, (uint32_t)bytes.len) : bytes.len;
		uint8_t *exact = memory_alloc(len + 1); /* a sanitizer sees its end */
		memcpy(exact, bytes.ptr, len);
		struct slice edits = slice_of(exact, len);
		(void)collection_touch(&hash);
		bool applied = hash_kind.collection->apply(&hash, &edits);
		cr_assert(hostile || (applied && edits.len == 0));
		if (!hostile)
			model_put(model, field, value);
		(void)collection_close(&hash);
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

static void same_hash(const struct object *a, const struct object *b)
{
	struct hash_walk walk;
	struct hash_pair pair;
	uint64_t n = 0;
	cr_assert_eq(collection_count(a), collection_count(b));
	for (hash_walk(a, shard->now_ms, &walk); hash_next(&walk, &pair); n++)
		check_field(b, number_of(&pair.field), number_of(&pair.value));
	cr_assert_eq(n, collection_count(a));
}

/* Finds nothing out of order: whatever was believed stays a hash. */
static void use(const struct key *key)
{
	struct collection hash = open_hash(key);
	if (!hash.object)
		return;
	struct hash_pair pair;
	hash_at(hash.object, collection_count(hash.object) - 1, &pair);
	for (uint32_t i = 0; i < 30; i++)
		put(&hash, roll(&dice, 100), roll(&dice, 2) ? 1 + roll(&dice, 2000) : NONE);
	(void)collection_close(&hash);
}

Test(hash, is_packed_and_unpacked_and_stays_sound_when_that_is_hostile)
{
	char name[4][NAME_MAX_SIZE];
	struct key keys[4];
	for (uint32_t i = 0; i < 4; i++)
		keys[i] = key_numbered(0, NULL, i, name[i]);
	shard = shard_new(NULL, SEED);
	struct shard *other = shard_new(NULL, SEED + 1);
	for (int round = 0; round < 300; round++) {
		struct collection hash = open_hash(&keys[0]);
		for (uint32_t n = 1 + roll(&dice, roll(&dice, 3) ? 60 : 1500); n > 0; n--)
			put(&hash, roll(&dice, 3000), 1 + roll(&dice, 3000));
		struct buf packed = {0};
		object_pack(hash.object, &packed);
		cr_assert_eq(object_unpack(shard, &keys[1], buf_slice(&packed), EXPIRES_NEVER), OK);
		same_hash(hash.object, keyspace_find(shard, &keys[1], FIND_QUIET));
		struct key there = keys[3];
		there.hash = key_hash(SEED + 1, there.name);
		cr_assert_eq(object_unpack(other, &there, buf_slice(&packed), EXPIRES_NEVER), OK);
		same_hash(hash.object, keyspace_find(other, &there, FIND_QUIET));
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
