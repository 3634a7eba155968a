/* Collections that leave memory and come back: the same content, and what is changed is another object. */
#include "storage/keyspace/cold.h"

#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/hash.h"
#include "storage/keyspace/list.h"
#include "storage/keyspace/set.h"
#include "storage/keyspace/stream.h"
#include "storage/keyspace/zset.h"
#include "support.h"

static struct shard *shard;
static const struct cold_pointer somewhere = {.file = 1, .offset = 4096, .size = 100, .length = 100};

static struct collection opened(const struct key *key, enum object_type type)
{
	struct collection c;
	cr_assert_eq(collection_open(shard, key, type, FIND_QUIET, &c), OK);
	return c;
}

static void add(const struct key *key, enum object_type type, uint32_t number)
{
	char room[64];
	struct slice text = slice_of(room, (size_t)snprintf(room, sizeof(room), "element:%u", number));
	struct slice fields[] = {S("field"), text};
	struct packed_sought sought = packed_seek(text), value = packed_seek(S("value"));
	struct collection c = opened(key, type);
	double score;
	switch (type) {
	case OBJECT_LIST:
		list_push(&c, LIST_TAIL, text);
		break;
	case OBJECT_SET:
		set_add(&c, &sought);
		break;
	case OBJECT_HASH:
		hash_set(&c, &sought, &value);
		break;
	case OBJECT_ZSET:
		zset_put(&c, text, number, 0, &score);
		break;
	default:
		stream_add(&c, (struct stream_id){number + 1, 0}, fields, 1);
	}
	(void)collection_close(&c);
}

static struct buf packed(const struct key *key)
{
	struct buf out = {0};
	object_pack(keyspace_peek(shard, key), &out);
	return out;
}

static bool is_backed(const struct key *key)
{
	struct cold_pointer pointer;
	return object_pointer(keyspace_peek(shard, key), &pointer);
}

/* Out of memory and back; `as` is what it is then. */
static void leave_and_return(const struct key *key, struct slice as)
{
	keyspace_chill(shard, key, &somewhere);
	cr_assert(object_is_cold(keyspace_peek(shard, key)));
	cr_assert_eq(shard->counters.cold_keys, 1);
	for (size_t len = 0; len < as.len; len += 1 + len / 3)
		cr_assert_eq(keyspace_warm(shard, key, slice_sub(as, 0, len)), ERR_SYNTAX);
	cr_assert(object_is_cold(keyspace_peek(shard, key)));
	cr_assert_eq(keyspace_warm(shard, key, as), OK);
	cr_assert_eq(shard->counters.cold_keys, 0);
	cr_assert(is_backed(key));
}

static void expect_equal(const struct key *one, const struct key *other)
{
	struct buf a = packed(one), b = packed(other);
	cr_assert(slice_equal(buf_slice(&a), buf_slice(&b)));
	buf_fini(&a);
	buf_fini(&b);
}

/* One leaves after every few changes, its twin never. */
static void play(enum object_type type, uint32_t n, uint32_t every)
{
	struct key key = key_named(0, S("{tag}leaves")), twin = key_named(0, S("{tag}stays"));
	for (uint32_t i = 0; i < n; i++) {
		add(&key, type, i);
		add(&twin, type, i);
		cr_assert(!is_backed(&key), "what has changed has no copy");
		if (i % every != 0)
			continue;
		struct buf as = packed(&key);
		leave_and_return(&key, buf_slice(&as));
		buf_fini(&as);
		expect_equal(&key, &twin);
	}
	shard_verify(shard);
	keyspace_delete(shard, &key);
	keyspace_delete(shard, &twin);
	shard_verify(shard);
}

static void begin(void) { shard = shard_new(NULL, SEED); }
static void end(void) { shard_free(shard); }
TestSuite(cold, .init = begin, .fini = end);

Test(cold, collections_come_back_as_they_left)
{
	for (enum object_type type = OBJECT_LIST; type <= OBJECT_STREAM; type++)
		for (uint32_t every = 1; every < 200; every *= 7)
			play(type, 400, every);
}

Test(cold, an_expiry_and_another_name_go_along)
{
	struct key key = key_named(0, S("{tag}leaves")), other = key_named(0, S("{tag}renamed"));
	for (uint32_t i = 0; i < 20; i++)
		add(&key, OBJECT_HASH, i);
	struct buf as = packed(&key);
	leave_and_return(&key, buf_slice(&as));
	keyspace_expire(shard, &key, keyspace_peek(shard, &key), 1ll << 50);
	leave_and_return(&key, buf_slice(&as));
	cr_assert_eq(object_expires_ms(keyspace_peek(shard, &key)), 1ll << 50);
	add(&key, OBJECT_HASH, 20);
	keyspace_move(shard, &key, &other);
	cr_assert_eq(object_expires_ms(keyspace_peek(shard, &other)), 1ll << 50);
	cr_assert_eq(collection_count(keyspace_peek(shard, &other)), 21);
	cr_assert(!is_backed(&other));
	shard_verify(shard);
	buf_fini(&as);
}

Test(cold, a_change_shows_in_the_version_also_of_what_is_lent)
{
	struct key key = key_named(0, S("leaves"));
	for (uint32_t i = 0; i < 20; i++)
		add(&key, OBJECT_SET, i);
	struct object *object = keyspace_peek(shard, &key);
	uint32_t version = object_version(object);
	object_lend(shard, object);
	add(&key, OBJECT_SET, 20);
	cr_assert_eq(keyspace_peek(shard, &key), object);
	cr_assert_neq(object_version(object), version);
	keyspace_delete(shard, &key);
	add(&key, OBJECT_SET, 0);
	cr_assert_neq(keyspace_peek(shard, &key), object, "its place is not free before it is returned");
	object_return(shard, object);
	shard_verify(shard);
}
