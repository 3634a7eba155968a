/* Records back into a shard, sound and unsound ones. */
#include "tests/unit/storage/journal/world.h"

static struct shard *recovered;

static void start(void)
{
	world_start();
	recovered = recovering_shard();
}

static void stop(void)
{
	shard_verify(recovered);
	shard_free(recovered);
	world_stop();
}

TestSuite(apply, .init = start, .fini = stop, .timeout = 20);

static enum err apply(enum record_kind kind, struct slice name, const void *head, size_t head_len, const void *tail,
                      size_t tail_len)
{
	struct buf body = {0};
	buf_append(&body, slice_of(head, head_len));
	if (kind == RECORD_KEY_PUT || kind == RECORD_KEY_PATCH)
		buf_append(&body, slice_of(&(uint32_t){(uint32_t)name.len}, 4));
	buf_append(&body, name);
	buf_append(&body, slice_of(tail, tail_len));
	struct record record = {.kind = (uint8_t)kind, .slot = slot_of(name), .body = buf_slice(&body)};
	enum err err = record_apply(recovered, &record);
	buf_fini(&body);
	return err;
}

static enum err apply_put(int64_t expires_ms, const char *packed, size_t len)
{
	return apply(RECORD_KEY_PUT, S("key"), &expires_ms, 8, packed, len);
}

static enum err apply_patch(uint64_t at, uint64_t whole, struct slice bytes)
{
	return apply(RECORD_KEY_PATCH, S("key"), (uint64_t[]){at, whole}, 16, bytes.ptr, bytes.len);
}

static struct object *found(void)
{
	struct key key = key_named(0, S("key"));
	return keyspace_find(recovered, &key, FIND_QUIET);
}

Test(apply, keeps_what_would_have_expired)
{
	cr_assert_eq(apply_put(5, "\0\1value", 7), OK);
	cr_assert(value_is(found(), S("value")));
	cr_assert_eq(object_expires_ms(found()), 5);
	cr_assert_eq(apply_patch(5, 6, S("s")), OK);
	cr_assert(value_is(found(), S("values")));
	cr_assert_eq(object_expires_ms(found()), 5);
	shard_recovered(recovered);
	cr_assert_null(found());
	recovered->recovering = true;
}

Test(apply, is_idempotent)
{
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(apply_patch(3, 10, S("abc")), OK);
		cr_assert(value_is(found(), slice_of("\0\0\0abc\0\0\0\0", 10)));
	}
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(apply(RECORD_KEY_EXPIRE, S("key"), &(int64_t){77}, 8, NULL, 0), OK);
		cr_assert_eq(object_expires_ms(found()), 77);
	}
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(apply(RECORD_KEY_DELETE, S("key"), NULL, 0, NULL, 0), OK);
		cr_assert_null(found());
		cr_assert_eq(apply(RECORD_KEY_EXPIRE, S("key"), &(int64_t){77}, 8, NULL, 0), OK, "of what is gone");
		cr_assert_null(found());
	}
}

Test(apply, refuses_what_makes_no_sense)
{
	cr_assert_eq(apply_put(EXPIRES_NEVER, "\0\1value", 7), OK);
	cr_assert_eq(apply_put(EXPIRES_KEEP, "\0\1other", 7), ERR_SYNTAX);
	cr_assert_eq(apply_put(-100, "\0\1other", 7), ERR_SYNTAX);
	cr_assert_eq(apply_put(EXPIRES_NEVER, "", 0), ERR_SYNTAX);
	cr_assert_eq(apply_put(EXPIRES_NEVER, "\x55\1other", 7), ERR_SYNTAX);
	cr_assert_eq(apply_put(EXPIRES_NEVER, "\0\0seven??", 9), ERR_SYNTAX);
	cr_assert_eq(apply(RECORD_KEY_EXPIRE, S("key"), &(int64_t){-2}, 8, NULL, 0), ERR_SYNTAX);
	cr_assert_eq(apply_patch(0, 4, S("x")), ERR_SYNTAX, "strings never get shorter so");
	cr_assert_eq(apply_patch(5, 5, S("x")), ERR_SYNTAX);
	cr_assert_eq(apply_patch(UINT64_MAX, 9, S("x")), ERR_SYNTAX);
	cr_assert_eq(apply_patch(0, (uint64_t)1 << 40, S("x")), ERR_SYNTAX);
	cr_assert_eq(apply(RECORD_TX_COMMIT, S("key"), (char[16]){0}, 16, NULL, 0), ERR_SYNTAX);
	struct record elsewhere = {.kind = RECORD_KEY_DELETE, .slot = 1, .body = S("key")};
	cr_assert_eq(record_apply(recovered, &elsewhere), ERR_SYNTAX);
	cr_assert(value_is(found(), S("value")));
	cr_assert_eq(object_expires_ms(found()), EXPIRES_NEVER);
}

/* Any bytes: refused or applied, nothing else. */
Test(apply, survives_random_bodies)
{
	static const uint8_t kinds[] = {RECORD_KEY_PUT, RECORD_KEY_DELETE, RECORD_KEY_EXPIRE, RECORD_KEY_PATCH, 200};
	struct dice dice = {3};
	uint8_t bytes[64];
	for (int i = 0; i < 300000; i++) {
		uint32_t len = roll(&dice, sizeof(bytes));
		for (uint32_t at = 0; at < len; at++)
			bytes[at] = (uint8_t)(roll(&dice, 3) ? roll(&dice, 3) : roll(&dice, 256));
		struct record record = {.kind = kinds[roll(&dice, array_len(kinds))], .body = slice_of(bytes, len)};
		struct record_body body;
		if (record_parse(&record, &body))
			record.slot = slot_of(body.key);
		(void)!record_apply(recovered, &record);
	}
}
