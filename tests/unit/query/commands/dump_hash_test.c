/* Hashes in payloads: each form, with and without fields that expire, there and back; and whatever comes instead. */
#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "query/commands/dump_private.h"
#include "storage/keyspace/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { SEED = 7, NOW_MS = 1700000000, NEVER_EACH = 3 };

static struct shard *shard;
static struct exec exec;

static void begin(void)
{
	shard = shard_new(NULL, SEED);
	shard->now_ms = NOW_MS;
	exec = (struct exec){.shard = shard};
}

static void end(void) { shard_free(shard); }

TestSuite(dump_hash, .init = begin, .fini = end);

static struct key key_of(const char *name)
{
	struct slice slice = slice_from_str(name);
	return (struct key){.name = slice, .hash = key_hash(SEED, slice), .slot = slot_of(slice)};
}

static struct packed_sought text(uint32_t number, const char *kind, char room[64])
{
	if (number % 2)
		return packed_seek(slice_of(room, integer_format(number, room)));
	return packed_seek(slice_of(room, (size_t)snprintf(room, 64, "%s:%u", kind, number)));
}

static int64_t time_of(uint32_t field, uint32_t n)
{
	return field % NEVER_EACH ? (int64_t)NOW_MS + 1 + (n - field) * 7 : (int64_t)EXPIRES_NEVER;
}

static struct object *hash_of(const struct key *key, uint32_t n, bool timed)
{
	struct collection hash;
	char rooms[2][64];
	cr_assert_eq(collection_open(shard, key, OBJECT_HASH, FIND_QUIET, &hash), OK);
	for (uint32_t i = 0; i < n; i++) {
		struct packed_sought field = text(i, "field", rooms[0]), value = text(i, "value", rooms[1]);
		(void)hash_set(&hash, &field, &value);
		if (timed && time_of(i, n) != EXPIRES_NEVER)
			hash_expire(&hash, &field, time_of(i, n));
	}
	return hash.object;
}

static void is_hash(const struct object *hash, uint32_t n, bool timed)
{
	char rooms[2][64];
	cr_assert_eq(collection_count(hash), n);
	for (uint32_t i = 0; i < n; i++) {
		struct packed_sought field = text(i, "field", rooms[0]), value = text(i, "value", rooms[1]);
		struct hash_pair pair;
		cr_assert(hash_get_pair(hash, &field, NOW_MS, &pair));
		cr_assert(packed_equals(&pair.value, &value));
		cr_assert_eq(pair.expires_ms, timed ? time_of(i, n) : EXPIRES_NEVER);
	}
}

/* Type and value, without the footer; false: refused. */
static bool restore(struct slice value, const struct key *key)
{
	cleanup(buf_fini) struct buf packed = {0};
	uint8_t *exact = memory_alloc(value.len + 1); /* a sanitizer sees its end */
	memcpy(exact, value.ptr, value.len);
	struct slice in = slice_of(exact + 1, value.len - 1);
	enum dump_type type = exact[0];
	exec.first = *key;
	bool done = restore_hash_read(type, &in, &packed) && in.len == 0 &&
	            restore_hash_put(&exec, type, buf_slice(&packed), EXPIRES_NEVER);
	memory_free(exact);
	return done;
}

static const struct form {
	uint32_t n;
	bool timed;
	enum dump_type type;
} forms[] = {
        {5, false, DUMP_HASH_LISTPACK},   {5, true, DUMP_HASH_LISTPACK_TIMED},
        {300, false, DUMP_HASH_LISTPACK}, {300, true, DUMP_HASH_LISTPACK_TIMED},
        {3000, false, DUMP_HASH},         {3000, true, DUMP_HASH_TIMED},
};

Test(dump_hash, goes_there_and_back_in_each_form)
{
	struct key key = key_of("key"), copy = key_of("copy");
	for (size_t i = 0; i < array_len(forms); i++) {
		cleanup(buf_fini) struct buf payload = {0};
		const struct form *form = &forms[i];
		dump_hash(hash_of(&key, form->n, form->timed), NOW_MS, &payload);
		cr_assert_eq(payload.ptr[0], form->type);
		cr_assert(restore(buf_slice(&payload), &copy));
		is_hash(keyspace_peek(shard, &copy), form->n, form->timed);
		keyspace_delete(shard, &key);
	}
	shard_verify(shard);
}

/* In the order of times; those that do not expire come last. */
Test(dump_hash, has_triples_in_order)
{
	struct key key = key_of("key");
	static const uint32_t sizes[] = {20, 300};
	for (size_t i = 0; i < array_len(sizes); i++) {
		cleanup(buf_fini) struct buf payload = {0}, packed = {0};
		int64_t last_ms = 0;
		dump_hash(hash_of(&key, sizes[i], true), NOW_MS, &payload);
		struct slice in = slice_sub(buf_slice(&payload), 9, payload.len);
		cr_assert(dump_take_listpack(&in, &packed));
		for (const uint8_t *at = packed.ptr; at != packed.ptr + packed.len;) {
			struct packed_element time;
			at = packed_read(packed_skip(packed_skip(at)), &time);
			int64_t time_ms = time.integer ? time.integer : INT64_MAX;
			cr_assert_geq(time_ms, last_ms);
			last_ms = time_ms;
		}
		cr_assert_eq(last_ms, INT64_MAX);
		keyspace_delete(shard, &key);
	}
}

/* A hash whose fields do not expire any more is what 7.0 takes, and what has expired is not shown. */
Test(dump_hash, has_times_only_where_some_are_to_come)
{
	struct key key = key_of("key"), copy = key_of("copy");
	cleanup(buf_fini) struct buf payload = {0};
	const struct object *hash = hash_of(&key, 12, true);
	dump_hash(hash, NOW_MS + 1000, &payload);
	cr_assert_eq(payload.ptr[0], DUMP_HASH_LISTPACK);
	cr_assert(restore(buf_slice(&payload), &copy));
	cr_assert_eq(collection_count(keyspace_peek(shard, &copy)), 12 / NEVER_EACH);
}

Test(dump_hash, stays_sound_when_payloads_are_hostile)
{
	struct key key = key_of("key"), copy = key_of("copy");
	uint64_t random = 1, taken = 0;
	for (size_t i = 0; i < array_len(forms); i++) {
		cleanup(buf_fini) struct buf payload = {0};
		dump_hash(hash_of(&key, forms[i].n, forms[i].timed), NOW_MS, &payload);
		keyspace_delete(shard, &key);
		for (uint32_t round = 0; round < 60000 / (forms[i].n + 20); round++) {
			cleanup(buf_fini) struct buf hostile = {0};
			buf_append(&hostile, buf_slice(&payload));
			for (int changes = 1 + round % 3; changes > 0; changes--) {
				random = random * 6364136223846793005u + 1442695040888963407u;
				size_t most = round % 2 && hostile.len > 24 ? 24 : hostile.len;
				hostile.ptr[1 + (random >> 33) % (most - 1)] = (uint8_t)(random >> 24);
			}
			if (round % 7 == 0)
				hostile.len = 1 + (random >> 40) % hostile.len;
			taken += restore(buf_slice(&hostile), &copy);
		}
		shard_verify(shard);
	}
	cr_assert_gt(taken, 100);
}
