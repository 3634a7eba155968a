/* Lists against arrays of values: random changes at the ends, inside, by value, with blocks of any size; every list is
 * walked from both ends and from anywhere. */
#include "storage/keyspace/list.h"

#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/collection_private.h"
#include "support.h"

#include <stdlib.h>

enum { LENGTH_MAX = 60000, VALUES = 3000 };

static struct shard *shard;
static struct dice dice = {1};

/* Values by number: the model of a list is an array of numbers. Few are long. */
static struct slice value_of(uint32_t number, char room[NAME_MAX_SIZE])
{
	uint32_t kind = number % 16;
	if (kind < 4)
		return slice_of(room, integer_format((int64_t)number * number * (kind & 1 ? -1 : 1), room));
	size_t len = (size_t)snprintf(room, NAME_MAX_SIZE, "value:%u:", number);
	size_t more = kind == 4 ? number % 600 : number % 24;
	memset(room + len, 'v', more);
	return slice_of(room, len + more);
}

struct model {
	uint32_t *items;
	uint64_t n;
};

static void model_insert(struct model *model, uint64_t at, uint32_t item)
{
	memmove(model->items + at + 1, model->items + at, (model->n - at) * sizeof(uint32_t));
	model->items[at] = item;
	model->n++;
}

static void model_remove(struct model *model, uint64_t at, uint64_t n)
{
	memmove(model->items + at, model->items + at + n, (model->n - at - n) * sizeof(uint32_t));
	model->n -= n;
}

static void element_is(const struct packed_element *element, uint32_t item)
{
	char room[NAME_MAX_SIZE], scratch[PACKED_SCRATCH];
	cr_assert(slice_equal(packed_text(element, scratch), value_of(item, room)));
}

static struct collection open_list(const struct key *key)
{
	struct collection list;
	cr_assert_eq(collection_open(shard, key, OBJECT_LIST, FIND_QUIET, &list), OK);
	return list;
}

/* All of it, from an end; or the surroundings of any place. */
static void check(const struct key *key, const struct model *model, bool all)
{
	struct object *object = keyspace_find(shard, key, FIND_QUIET);
	cr_assert_eq(object != NULL, model->n > 0);
	if (!object)
		return;
	cr_assert_eq(collection_count(object), model->n);
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element;
	uint64_t from = all ? 0 : roll(&dice, (uint32_t)model->n), steps = all ? model->n : 30, at = from;
	list_walk(object, at, &walk);
	for (; at < from + steps && at < model->n; at++) {
		cr_assert(list_next(&walk, &element));
		element_is(&element, model->items[at]);
	}
	cr_assert(at < model->n || !list_next(&walk, &element));
	for (; steps-- > 0 && at > 0; at--) {
		cr_assert(list_prev(&walk, &element));
		element_is(&element, model->items[at - 1]);
	}
	cr_assert(at > 0 || !list_prev(&walk, &element));
}

static uint64_t model_cut_equal(struct model *model, enum list_end from, uint64_t limit, uint32_t item)
{
	uint64_t n = 0;
	if (from == LIST_HEAD) {
		for (uint64_t at = 0; at < model->n && n < limit;)
			if (model->items[at] == item)
				model_remove(model, at, 1), n++;
			else
				at++;
	} else {
		for (uint64_t at = model->n; at-- > 0 && n < limit;)
			if (model->items[at] == item)
				model_remove(model, at, 1), n++;
	}
	return n;
}

static void push(struct collection *list, struct model *model, enum list_end end)
{
	char room[NAME_MAX_SIZE];
	uint32_t item = roll(&dice, VALUES);
	list_push(list, end, value_of(item, room));
	model_insert(model, end == LIST_HEAD ? 0 : model->n, item);
}

/* A few equal ones, anywhere or side by side. */
static void plant(struct collection *list, struct model *model, uint32_t item)
{
	char room[NAME_MAX_SIZE];
	uint64_t at = roll(&dice, (uint32_t)model->n + 1);
	for (uint32_t i = roll(&dice, 40); i > 0; i--) {
		if (roll(&dice, 3) == 0)
			at = roll(&dice, (uint32_t)model->n + 1);
		list_insert(list, at, value_of(item, room));
		model_insert(model, at, item);
	}
}

static void step(const struct key *key, struct model *model, uint32_t size)
{
	char room[NAME_MAX_SIZE];
	struct collection list = open_list(key);
	uint32_t kind = roll(&dice, 22), item = roll(&dice, VALUES), n = (uint32_t)model->n;
	if (n == 0 || (kind < 6 && n < size)) {
		enum list_end end = roll(&dice, 2) ? LIST_HEAD : LIST_TAIL;
		for (uint32_t i = 1 + roll(&dice, roll(&dice, 30) ? 5 : size / 2); i > 0 && model->n < LENGTH_MAX / 2;
		     i--)
			push(&list, model, end);
	} else if (kind < 9 && n < size) {
		uint32_t at = roll(&dice, n + 1);
		list_insert(&list, at, value_of(item, room));
		model_insert(model, at, item);
	} else if (kind < 12) {
		uint32_t at = roll(&dice, n);
		list_set(&list, at, value_of(item, room));
		model->items[at] = item;
	} else if (kind < 16) {
		uint32_t some = 1 + roll(&dice, roll(&dice, 10) ? 6 : n);
		some = some < n ? some : n;
		uint32_t at = kind & 1 ? 0 : n - some;
		list_cut(&list, at, some);
		model_remove(model, at, some);
	} else if (kind < 18) {
		uint32_t at = roll(&dice, n), some = 1 + roll(&dice, roll(&dice, 4) ? 8 : n - at);
		some = some < n - at ? some : n - at;
		list_cut(&list, at, some);
		model_remove(model, at, some);
	} else {
		enum list_end end = kind & 1 ? LIST_HEAD : LIST_TAIL;
		uint64_t limit = roll(&dice, 3) ? UINT64_MAX : 1 + roll(&dice, 20);
		if (model->n < LENGTH_MAX - 100)
			plant(&list, model, item);
		cr_assert_eq(list_cut_equal(&list, end, limit, value_of(item, room)),
		             model_cut_equal(model, end, limit, item));
	}
	cr_assert_eq(collection_close(&list), model->n == 0);
}

static void live(int32_t leaf, uint32_t depth, uint32_t size, uint32_t steps)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model model = {.items = memory_alloc(LENGTH_MAX * sizeof(uint32_t))};
	shard = shard_new(NULL, SEED);
	shard->collections.list_leaf = leaf;
	shard->collections.list_compress_depth = depth;
	for (uint32_t i = 0; i < steps; i++) {
		step(&key, &model, size);
		check(&key, &model, i % 64 == 0);
		if (i % 64 == 0)
			shard_verify(shard);
		if (roll(&dice, 4000) == 0) { /* a setting that changes leaves blocks as they are */
			static const int32_t leaves[] = {-1, -2, -5, 1, 2, 7, 128, -1000, 100000};
			shard->collections.list_leaf = leaves[roll(&dice, array_len(leaves))];
			shard->collections.list_compress_depth = roll(&dice, 4);
		}
	}
	keyspace_delete(shard, &key);
	while (shard->counters.freeing)
		(void)shard_background(shard, 1000000, &(uint64_t){0});
	cr_assert_eq(shard->counters.objects_bytes, 0);
	shard_free(shard);
	memory_free(model.items);
}

TestSuite(list, .timeout = 170);
Test(list, is_what_its_model_says_when_small) { live(-2, 0, 60, 60000); }
Test(list, is_what_its_model_says_with_tiny_blocks) { live(3, 0, 500, 40000); }
Test(list, is_what_its_model_says_when_large) { live(-1, 0, 20000, 10000); }
Test(list, is_what_its_model_says_with_compressed_leaves) { live(12, 1, 2000, 20000); }
Test(list, is_what_its_model_says_with_large_compressed_leaves) { live(-1, 2, 20000, 4000); }

/* Values that no block is large enough for. */
Test(list, holds_values_larger_than_a_block)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	shard = shard_new(NULL, SEED);
	uint8_t *large = memory_alloc(300000);
	memset(large, 'x', 300000);
	struct collection list = open_list(&key);
	for (uint32_t i = 0; i < 40; i++) {
		list_push(&list, i % 3 ? LIST_TAIL : LIST_HEAD, slice_of(large, 100 + 7000 * i));
		list_push(&list, LIST_TAIL, S("small"));
	}
	for (uint32_t i = 0; i < 40; i++)
		list_set(&list, 2 * i, slice_of(large, 290000 - 7000 * i));
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element;
	list_walk(list.object, 0, &walk);
	for (uint32_t i = 0; i < 80; i++) {
		cr_assert(list_next(&walk, &element));
		if (i % 2 == 0)
			cr_assert_eq(element.bytes.len, 290000 - 7000 * (i / 2));
	}
	cr_assert_eq(list_cut_equal(&list, LIST_TAIL, UINT64_MAX, slice_of(large, 290000)), 1);
	list_cut(&list, 0, 79);
	cr_assert(collection_close(&list));
	memory_free(large);
	shard_free(shard);
}

/* ---- edits, as recovery applies them ------------------------------------------------------ */

enum { PUSH_HEAD = 1, PUSH_TAIL, POP_HEAD, POP_TAIL, SET, INSERT, REMOVE };

static void put_u64(struct buf *out, uint64_t value) { buf_append(out, slice_of(&value, sizeof(value))); }

static void put_item(struct buf *out, uint32_t item)
{
	char room[NAME_MAX_SIZE];
	struct slice value = value_of(item, room);
	uint8_t *at = buf_reserve(out, packed_size(value));
	out->len += (size_t)(packed_write(at, value) - at);
}

/* The bytes of an edit that does to a list what is done to the model. */
static void any_edit(struct model *model, struct buf *out)
{
	uint32_t item = roll(&dice, VALUES), n = (uint32_t)model->n;
	uint32_t at = roll(&dice, n + 1), some = n ? roll(&dice, roll(&dice, 8) ? 4 : n) : 0, kind = 1 + roll(&dice, 7);
	some = some < n - at ? some : n - at;
	if (n > 3000)
		kind = REMOVE;
	else if (n == 0 || (kind == SET && at == n))
		kind = PUSH_TAIL;
	buf_byte(out, (uint8_t)kind);
	if (kind == SET || kind == INSERT || kind == REMOVE)
		put_u64(out, at);
	if (kind == POP_HEAD || kind == POP_TAIL || kind == REMOVE) {
		put_u64(out, some);
		model_remove(model, kind == POP_HEAD ? 0 : kind == POP_TAIL ? n - some : at, some);
		return;
	}
	put_item(out, item);
	if (kind == SET)
		model->items[at] = item;
	else
		model_insert(model, kind == PUSH_HEAD ? 0 : kind == PUSH_TAIL ? n : at, item);
}

static bool apply(struct collection *list, struct slice *edits)
{
	(void)collection_touch(list);
	return list_kind.collection->apply(list, edits);
}

Test(list, edits_do_what_they_say)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model model = {.items = memory_alloc(LENGTH_MAX * sizeof(uint32_t))};
	shard = shard_new(NULL, SEED);
	shard->collections.list_leaf = 9;
	for (int i = 0; i < 30000; i++) {
		struct buf bytes = {0};
		struct collection list = open_list(&key);
		for (uint32_t n = roll(&dice, 3); n > 0; n--)
			any_edit(&model, &bytes);
		struct slice edits = buf_slice(&bytes);
		while (edits.len > 0)
			cr_assert(apply(&list, &edits));
		(void)collection_close(&list);
		check(&key, &model, i % 100 == 0);
		buf_fini(&bytes);
	}
	shard_free(shard);
	memory_free(model.items);
}

/* Whatever they say: the list stays a list. */
Test(list, hostile_edits_do_no_harm)
{
	char name[NAME_MAX_SIZE], scratch[PACKED_SCRATCH];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model model = {.items = memory_alloc(LENGTH_MAX * sizeof(uint32_t))};
	shard = shard_new(NULL, SEED);
	shard->collections.list_leaf = 9;
	for (int i = 0; i < 60000; i++) {
		struct buf bytes = {0};
		struct collection list = open_list(&key);
		model.n = list.object ? collection_count(list.object) : 0;
		any_edit(&model, &bytes);
		for (uint32_t n = roll(&dice, 3); n > 0; n--)
			bytes.ptr[roll(&dice, (uint32_t)bytes.len)] = (uint8_t)roll(&dice, 256);
		size_t len = roll(&dice, 4) ? bytes.len : roll(&dice, (uint32_t)bytes.len);
		uint8_t *exact = memory_alloc(len + 1); /* a sanitizer sees its end */
		memcpy(exact, bytes.ptr, len);
		struct slice edits = slice_of(exact, len);
		(void)(len > 0 && apply(&list, &edits));
		cr_assert_leq(edits.len, len);
		(void)collection_close(&list);
		if (i % 100 == 0 && (list = open_list(&key)).object) {
			cleanup(list_walk_end) struct list_walk walk = {0};
			struct packed_element element;
			uint64_t n = 0;
			for (list_walk(list.object, 0, &walk); list_next(&walk, &element); n++)
				(void)packed_text(&element, scratch);
			cr_assert_eq(n, collection_count(list.object));
			if (n > 2000)
				keyspace_delete(shard, &key);
			shard_verify(shard);
		}
		memory_free(exact);
		buf_fini(&bytes);
	}
	shard_free(shard);
	memory_free(model.items);
}

/* ---- packed values, as they come from disk ------------------------------------------------- */

static void same_list(const struct object *a, const struct object *b)
{
	char scratch[2][PACKED_SCRATCH];
	struct list_walk walk[2] = {0};
	struct packed_element element[2];
	cr_assert_eq(collection_count(a), collection_count(b));
	list_walk(a, 0, &walk[0]);
	list_walk(b, 0, &walk[1]);
	while (list_next(&walk[0], &element[0])) {
		cr_assert(list_next(&walk[1], &element[1]));
		cr_assert(slice_equal(packed_text(&element[0], scratch[0]), packed_text(&element[1], scratch[1])));
	}
	cr_assert(!list_next(&walk[1], &element[1]));
	list_walk_end(&walk[0]);
	list_walk_end(&walk[1]);
}

Test(list, is_packed_and_unpacked_and_stays_sound_when_that_is_hostile)
{
	char name[3][NAME_MAX_SIZE];
	struct key keys[3];
	for (uint32_t i = 0; i < 3; i++)
		keys[i] = key_numbered(0, NULL, i, name[i]);
	struct model model = {.items = memory_alloc(LENGTH_MAX * sizeof(uint32_t))};
	shard = shard_new(NULL, SEED);
	for (int round = 0; round < 400; round++) {
		shard->collections.list_leaf = roll(&dice, 2) ? 3 : -2;
		shard->collections.list_compress_depth = roll(&dice, 3);
		struct collection list = open_list(&keys[0]);
		for (uint32_t n = 1 + roll(&dice, roll(&dice, 4) ? 12 : 3000); n > 0; n--)
			push(&list, &model, LIST_TAIL);
		(void)collection_close(&list);
		struct buf packed = {0};
		struct object *object = keyspace_find(shard, &keys[0], FIND_QUIET);
		object_pack(object, &packed);
		cr_assert_eq(object_unpack(shard, &keys[1], buf_slice(&packed), EXPIRES_NEVER), OK);
		same_list(keyspace_find(shard, &keys[0], FIND_QUIET), keyspace_find(shard, &keys[1], FIND_QUIET));
		for (int i = 0; i < 100; i++) {
			size_t len = roll(&dice, 3) ? packed.len : roll(&dice, (uint32_t)packed.len + 1);
			uint8_t *exact = memory_alloc(len + 1);
			memcpy(exact, packed.ptr, len);
			for (uint32_t n = 1 + roll(&dice, 3); n > 0 && len > 1; n--) /* but not the type */
				exact[1 + roll(&dice, roll(&dice, 2) ? 12 < len ? 12 : (uint32_t)len - 1
				                                     : (uint32_t)len - 1)] = (uint8_t)roll(&dice, 256);
			struct object *unpacked;
			if (object_unpack(shard, &keys[2], slice_of(exact, len), EXPIRES_NEVER) == OK &&
			    (unpacked = keyspace_find(shard, &keys[2], FIND_QUIET)))
				same_list(unpacked, unpacked);
			memory_free(exact);
		}
		shard_verify(shard);
		model.n = 0;
		for (int i = 0; i < 3; i++)
			keyspace_delete(shard, &keys[i]);
		buf_fini(&packed);
	}
	shard_free(shard);
	memory_free(model.items);
}
