/* Objects: their size, what they say of themselves, loans, packing, the larger strings. */
#include "support.h"

#include "engine/memory/slab.h"

static struct shard *shard;
static struct key key;

static void start(void)
{
	shard = shard_new(NULL, SEED);
	shard->now_ms = 1000;
	key = key_named(0, text("0123456789abcdef"));
}

static void stop(void)
{
	shard_verify(shard);
	shard_free(shard);
}

TestSuite(object, .init = start, .fini = stop);

static struct object *put(const char *value) { return string_put(shard, &key, text(value), EXPIRES_NEVER); }

Test(object, of_sixteen_bytes_each_takes_forty)
{
	cr_assert_eq(object_memory(put("a value of 16...")), 40);
	cr_assert_eq(object_memory(string_put(shard, &key, text("a value of 16..."), 5000)), 48);
}

Test(object, says_its_encoding_as_redis_does)
{
	cr_assert_str_eq(object_encoding(put("12345")), "int");
	cr_assert_str_eq(object_encoding(put("-9223372036854775808")), "int");
	cr_assert_str_eq(object_encoding(put("9223372036854775808")), "embstr");
	cr_assert_str_eq(object_encoding(put("012")), "embstr");
	cr_assert_str_eq(object_encoding(put("+1")), "embstr");
	cr_assert_str_eq(object_encoding(put("-0")), "embstr");
	cr_assert_str_eq(object_encoding(put("")), "embstr");
	cr_assert_str_eq(object_encoding(put("12345678901234567890123456789012345678901234")), "embstr");
	cr_assert_str_eq(object_encoding(put("123456789012345678901234567890123456789012345")), "raw");
	put("12");
	string_edit(shard, &key, 3)[2] = '3';
	struct object *object = keyspace_find(shard, &key, FIND_QUIET);
	cr_assert_str_eq(object_encoding(object), "raw");
	cr_assert(value_is(object, S("123")));
	cr_assert_str_eq(object_encoding(put("x")), "embstr");
	cr_assert_str_eq(object_type_name(object_type(object)), "string");
}

Test(object, integers_read_back_in_their_only_form)
{
	int64_t value;
	cr_assert(string_integer(put("-42"), &value));
	cr_assert_eq(value, -42);
	cr_assert(value_is(keyspace_find(shard, &key, FIND_QUIET), S("-42")));
	cr_assert_eq(string_length(keyspace_find(shard, &key, FIND_QUIET)), 3);
	cr_assert_not(string_integer(put("4x"), &value));
	cr_assert(string_integer(string_put_integer(shard, &key, INT64_MIN, EXPIRES_NEVER), &value));
	cr_assert_eq(value, INT64_MIN);
}

Test(object, appending_seldom_copies)
{
	size_t moves = 0;
	uint8_t *before = NULL;
	for (size_t size = 1; size <= 200000; size++) {
		uint8_t *bytes = string_edit(shard, &key, size);
		bytes[size - 1] = (uint8_t)size;
		moves += bytes != before;
		before = bytes;
	}
	cr_assert_lt(moves, 70);
	for (size_t i = 0; i < 200000; i++)
		cr_assert_eq(before[i], (uint8_t)(i + 1));
	cr_assert_lt(object_memory(keyspace_find(shard, &key, FIND_QUIET)), 300000);
}

Test(object, a_huge_string_grows_is_zeroed_and_leaves_in_slices)
{
	enum { HUGE_SIZE = 40 * 1024 * 1024 };
	uint8_t *bytes = string_edit(shard, &key, HUGE_SIZE);
	cr_assert_eq(bytes[0], 0);
	cr_assert_eq(bytes[HUGE_SIZE - 1], 0);
	bytes[0] = 'a';
	bytes = string_edit(shard, &key, HUGE_SIZE + 1);
	cr_assert_eq(bytes[0], 'a');
	cr_assert_eq(bytes[HUGE_SIZE], 0);
	cr_assert_geq(shard_memory(shard), HUGE_SIZE);
	keyspace_delete(shard, &key);
	cr_assert_eq(shard->counters.objects_bytes, 0);
	cr_assert_eq(shard->counters.freeing, 0);
}

Test(object, a_huge_string_goes_with_its_keyspace)
{
	string_edit(shard, &key, 20 * 1024 * 1024);
	keyspace_drop(shard, 0, true);
	cr_assert_eq(shard_memory(shard), 0);
	cr_assert_eq(shard->counters.freeing, 0);
}

Test(object, a_long_key_is_like_any_other)
{
	static uint8_t name[100000];
	memset(name, 'n', sizeof(name));
	for (size_t len = 250; len < sizeof(name); len = len * 3 / 2 + 1) {
		struct key longer = key_named(0, slice_of(name, len));
		struct object *object = string_put(shard, &longer, text("12"), 9000);
		object = keyspace_expire(shard, &longer, object, EXPIRES_NEVER);
		cr_assert(slice_equal(object_key(object), longer.name));
		cr_assert(value_is(object, S("12")));
	}
	cr_assert_geq(keyspace_count(shard, 0), 10);
}

Test(object, an_empty_key_is_a_key)
{
	struct key empty = key_named(0, S(""));
	string_put(shard, &empty, S(""), EXPIRES_NEVER);
	cr_assert(value_is(keyspace_find(shard, &empty, FIND_READ), S("")));
	cr_assert(keyspace_delete(shard, &empty));
}

/* ---- loans ---------------------------------------------------------------------------- */

static void expect_lent_bytes(const struct object *object, const char *value)
{
	char scratch[STRING_SCRATCH];
	cr_assert(slice_equal(string_value(object, scratch), text(value)));
}

Test(object, lent_survives_replacement_change_delete_and_move)
{
	struct key other = key_named(0, text("other"));
	struct object *object = put("lent out");
	object_lend(shard, object);
	object_lend(shard, object);
	put("new text");
	expect_lent_bytes(object, "lent out");
	object_return(shard, object);
	expect_lent_bytes(object, "lent out");
	object_return(shard, object);

	object = put("lent out");
	object_lend(shard, object);
	string_edit(shard, &key, 1)[0] = 'X';
	expect_lent_bytes(object, "lent out");
	keyspace_delete(shard, &key);
	object_return(shard, object);

	object = put("lent out");
	object_lend(shard, object);
	keyspace_move(shard, &key, &other);
	cr_assert_null(keyspace_find(shard, &key, FIND_QUIET));
	string_edit(shard, &other, 1)[0] = 'X';
	expect_lent_bytes(object, "lent out");
	cr_assert_eq(shard->counters.lent, 1);
	object_return(shard, object);
	cr_assert_eq(shard->counters.lent, 0);
}

Test(object, lent_survives_the_drop_of_its_keyspace)
{
	struct object *object = put("lent out");
	object_lend(shard, object);
	keyspace_drop(shard, 0, true);
	expect_lent_bytes(object, "lent out");
	object_return(shard, object);
	cr_assert_eq(shard->counters.objects_bytes, 0);
}

Test(object, returned_may_change_in_place_again)
{
	struct object *object = put("text one");
	object_lend(shard, object);
	object_return(shard, object);
	cr_assert_eq(put("text two"), object);
}

/* ---- packing -------------------------------------------------------------------------- */

static void expect_round_trip(struct object *object)
{
	struct key other = key_named(1, text("copy"));
	struct buf packed = {0};
	char a[STRING_SCRATCH], b[STRING_SCRATCH];
	object_pack(object, &packed);
	cr_assert_eq(object_unpack(shard, &other, buf_slice(&packed), 7000), OK);
	struct object *copy = keyspace_find(shard, &other, FIND_QUIET);
	cr_assert(slice_equal(string_value(copy, a), string_value(object, b)));
	cr_assert_str_eq(object_encoding(copy), object_encoding(object));
	cr_assert_eq(object_expires_ms(copy), 7000);
	buf_fini(&packed);
}

Test(object, packs_and_unpacks)
{
	static char large[5000];
	memset(large, 'l', sizeof(large) - 1);
	expect_round_trip(put("text"));
	expect_round_trip(put(""));
	expect_round_trip(put("123456"));
	expect_round_trip(put(large));
	string_edit(shard, &key, 1);
	expect_round_trip(keyspace_find(shard, &key, FIND_QUIET));
}

Test(object, keeps_digits_as_bytes_where_told_to)
{
	int64_t integer;
	struct object *object = string_put_bytes(shard, &key, S("12"), EXPIRES_NEVER, false);
	cr_assert_str_eq(object_encoding(object), "embstr");
	cr_assert(string_integer(object, &integer) && integer == 12);
	expect_round_trip(object);
	object = string_put_bytes(shard, &key, S("12"), EXPIRES_NEVER, true);
	cr_assert_str_eq(object_encoding(object), "raw");
	expect_round_trip(object);
	cr_assert_str_eq(object_encoding(put("12")), "int");
}

Test(object, refuses_malformed_packs_and_keeps_the_key)
{
	put("kept");
	static const uint8_t bad[][4] = {{200, 1, 1, 1}, {0, 9, 1, 1}, {0, 0, 1, 1}};
	for (size_t i = 0; i < 3; i++)
		for (size_t len = 0; len <= (i == 1 ? 4 : 2); len++)
			if (i != 1 || len != 0)
				cr_assert_eq(object_unpack(shard, &key, slice_of(bad[i], len), EXPIRES_NEVER),
				             ERR_SYNTAX);
	cr_assert(value_is(keyspace_find(shard, &key, FIND_QUIET), S("kept")));
}
