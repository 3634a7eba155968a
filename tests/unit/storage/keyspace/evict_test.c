/* Eviction: the limit holds, and each policy lets go of what it should. */
#include "support.h"

enum { KEYS = 20000, LIMIT = 1000000 };

static struct key numbered(uint32_t i)
{
	static char name[NAME_MAX_SIZE];
	return key_numbered(0, NULL, i, name);
}

static struct shard *shard_with(enum eviction_policy policy)
{
	struct shard *shard = shard_new(NULL, SEED);
	shard->now_ms = 1000000;
	shard->memory_max = LIMIT;
	shard->policy = policy;
	return shard;
}

static bool put(struct shard *shard, uint32_t i, int64_t expires_ms)
{
	struct key key = numbered(i);
	if (!shard_admit(shard))
		return false;
	string_put(shard, &key, text("a value of thirty-two bytes....."), expires_ms);
	return true;
}

static uint32_t alive(struct shard *shard, uint32_t from, uint32_t to, uint32_t step)
{
	uint32_t n = 0;
	for (uint32_t i = from; i < to; i += step) {
		struct key key = numbered(i);
		n += keyspace_find(shard, &key, FIND_QUIET) != NULL;
	}
	return n;
}

Test(evict, refuses_when_the_policy_allows_none)
{
	struct shard *shard = shard_with(EVICT_NOTHING);
	uint32_t i = 0;
	while (put(shard, i, EXPIRES_NEVER))
		cr_assert_lt(++i, KEYS);
	cr_assert_eq(shard->counters.evicted, 0);
	shard_free(shard);
}

Test(evict, volatile_policies_touch_only_what_expires)
{
	for (enum eviction_policy policy = EVICT_VOLATILE_LRU; policy <= EVICT_VOLATILE_TTL; policy++) {
		struct shard *shard = shard_with(policy);
		uint32_t i = 0;
		while (put(shard, i, i % 4 ? EXPIRES_NEVER : shard->now_ms + 100000))
			cr_assert_lt(++i, 2 * KEYS);
		cr_assert_eq(keyspace_count_expiring(shard, 0), 0);
		cr_assert_eq(alive(shard, 0, i, 1), i - shard->counters.evicted);
		cr_assert_gt(shard->counters.evicted, i / 5);
		shard_verify(shard);
		shard_free(shard);
	}
}

Test(evict, keeps_to_its_limit_with_bounded_steps)
{
	for (enum eviction_policy policy = EVICT_ALLKEYS_LRU; policy <= EVICT_ALLKEYS_RANDOM; policy++) {
		struct shard *shard = shard_with(policy);
		for (uint32_t i = 0; i < KEYS; i++) {
			cr_assert(put(shard, i, EXPIRES_NEVER));
			cr_assert_leq(shard_memory(shard), LIMIT + 16384);
		}
		cr_assert_gt(shard_memory(shard), LIMIT * 9 / 10);
		shard_verify(shard);
		shard_free(shard);
	}
}

/* Of the keys that came first a tenth is read now and then, while many others pass. */
static uint32_t hot_left(enum eviction_policy policy)
{
	struct shard *shard = shard_with(policy);
	for (uint32_t i = 0; i < 3 * KEYS; i++) {
		shard->now_ms += 10;
		cr_assert(put(shard, i, EXPIRES_NEVER));
		for (int reads = 0; reads < 4; reads++) {
			struct key key = numbered((i * 7 + (uint32_t)reads * 251) % 10000 / 10 * 10);
			keyspace_find(shard, &key, FIND_READ);
		}
	}
	uint32_t left = alive(shard, 0, 10000, 10);
	shard_free(shard);
	return left;
}

Test(evict, lru_keeps_what_is_read) { cr_assert_gt(hot_left(EVICT_ALLKEYS_LRU), 950); }
Test(evict, lfu_keeps_what_is_read) { cr_assert_gt(hot_left(EVICT_ALLKEYS_LFU), 950); }
Test(evict, random_keeps_nothing_in_particular) { cr_assert_lt(hot_left(EVICT_ALLKEYS_RANDOM), 700); }

Test(evict, ttl_takes_what_would_go_first)
{
	struct shard *shard = shard_with(EVICT_VOLATILE_TTL);
	uint32_t n = 0;
	/* Odd keys live ten times as long. */
	for (; n < KEYS; n++)
		cr_assert(put(shard, n, shard->now_ms + (n % 2 ? 1000000 : 100000)));
	uint32_t even = alive(shard, 0, n, 2), odd = alive(shard, 1, n, 2);
	cr_assert_gt(odd, KEYS / 2 - 500);
	cr_assert_lt(even, KEYS / 4);
	shard_free(shard);
}

Test(evict, a_lower_limit_is_reached_in_the_background)
{
	struct shard *shard = shard_with(EVICT_ALLKEYS_LRU);
	for (uint32_t i = 0; i < KEYS; i++)
		cr_assert(put(shard, i, EXPIRES_NEVER));
	shard->memory_max = LIMIT / 4;
	uint64_t next_ns;
	while (shard_background(shard, 100000, &next_ns))
		;
	cr_assert_leq(shard_memory(shard), LIMIT / 4);
	cr_assert_gt(keyspace_count(shard, 0), 1000);
	shard_free(shard);
}

Test(access, idle_time_and_frequency_follow_use)
{
	struct shard *shard = shard_with(EVICT_ALLKEYS_LRU);
	struct key key = numbered(1);
	put(shard, 1, EXPIRES_NEVER);
	shard->now_ms += 10000;
	cr_assert_eq(object_idle_s(shard, keyspace_find(shard, &key, FIND_QUIET)), 10);
	cr_assert_eq(object_idle_s(shard, keyspace_find(shard, &key, FIND_READ)), 0);
	shard->policy = EVICT_ALLKEYS_LFU;
	struct object *object = string_put(shard, &key, text("v"), EXPIRES_NEVER);
	keyspace_delete(shard, &key);
	object = string_put(shard, &key, text("v"), EXPIRES_NEVER);
	cr_assert_eq(object_frequency(shard, object), 5);
	for (int i = 0; i < 1000; i++)
		object = keyspace_find(shard, &key, FIND_READ);
	cr_assert_gt(object_frequency(shard, object), 10);
	cr_assert_lt(object_frequency(shard, object), 40);
	shard->now_ms += 5 * 60000;
	unsigned before = object_frequency(shard, object);
	cr_assert_gt(before, 2);
	shard->now_ms += 3600 * 1000;
	cr_assert_eq(object_frequency(shard, object), 0);
	shard_free(shard);
}
