/* Expiry on virtual time: nothing expired is shown, and the memory comes back in good time. */
#include "support.h"

enum { START_MS = 1700000000 };

static void drain(struct shard *shard)
{
	uint64_t next_ns;
	while (shard_background(shard, 100000, &next_ns))
		;
}

Test(expiry, is_seen_at_the_millisecond)
{
	struct shard *shard = shard_new(NULL, SEED);
	struct key key = key_named(0, text("k"));
	shard->now_ms = START_MS;
	string_put(shard, &key, text("v"), START_MS + 100);
	shard->now_ms = START_MS + 99;
	cr_assert_not_null(keyspace_find(shard, &key, FIND_READ));
	shard->now_ms = START_MS + 100;
	cr_assert_null(keyspace_find(shard, &key, FIND_READ));
	cr_assert_eq(keyspace_count(shard, 0), 0);
	cr_assert_eq(shard->counters.expired, 1);
	cr_assert_eq(shard->counters.misses, 1);
	shard_free(shard);
}

/* Keys whose times lie from milliseconds to years ahead; the clock jumps by random steps. */
Test(expiry, follows_the_clock_over_all_distances, .timeout = 60)
{
	enum { KEYS = 20000 };
	static int64_t expires_ms[KEYS];
	struct shard *shard = shard_new(NULL, SEED);
	struct dice dice = {11};
	char name[NAME_MAX_SIZE];
	shard->now_ms = START_MS;
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key key = key_numbered(0, i % 2 ? "e" : NULL, i, name);
		uint64_t distance = (uint64_t)1 << roll(&dice, 36);
		expires_ms[i] = START_MS + 1 + (int64_t)(distance + roll(&dice, 1000));
		string_put_integer(shard, &key, i, expires_ms[i]);
	}
	for (int step = 0; step < 300; step++) {
		shard->now_ms += 1 + ((int64_t)1 << roll(&dice, 34)) / 4;
		drain(shard);
		/* Segments rest between two sweeps, at most as many ms as there are segments. */
		shard->now_ms += 400;
		drain(shard);
		uint64_t left = 0;
		for (uint32_t i = 0; i < KEYS; i++)
			left += expires_ms[i] > shard->now_ms - 400;
		cr_assert_leq(keyspace_count(shard, 0), left);
		if (step % 20 == 0)
			shard_verify(shard);
	}
	shard->now_ms += (int64_t)1 << 40;
	drain(shard);
	cr_assert_eq(keyspace_count(shard, 0), 0);
	cr_assert_eq(shard->counters.expired, KEYS);
	shard_free(shard);
}

Test(expiry, says_when_to_come_again)
{
	struct shard *shard = shard_new(NULL, SEED);
	struct key key = key_named(0, text("k"));
	uint64_t next_ns;
	shard->now_ms = START_MS;
	cr_assert_not(shard_background(shard, 100000, &next_ns));
	cr_assert_eq(next_ns, UINT64_MAX);
	string_put(shard, &key, text("v"), START_MS + 60000);
	int rounds = 0;
	while (keyspace_count(shard, 0)) {
		cr_assert_not(shard_background(shard, 100000, &next_ns));
		if (!keyspace_count(shard, 0))
			break;
		cr_assert_gt(next_ns, 0);
		shard->now_ms += (int64_t)(next_ns / 1000000);
		cr_assert_leq(shard->now_ms, START_MS + 60000 + 2);
		rounds++;
	}
	cr_assert_lt(rounds, 40, "the times given are good steps");
	cr_assert_geq(shard->now_ms, START_MS + 60000);
	shard_free(shard);
}

Test(expiry, survives_a_clock_that_goes_back)
{
	struct shard *shard = shard_new(NULL, SEED);
	char name[NAME_MAX_SIZE];
	shard->now_ms = START_MS;
	drain(shard);
	shard->now_ms = START_MS - 3600000;
	for (uint32_t i = 0; i < 1000; i++) {
		struct key key = key_numbered(0, NULL, i, name);
		string_put(shard, &key, text("v"), shard->now_ms + 1000 + i);
	}
	drain(shard);
	cr_assert_eq(keyspace_count(shard, 0), 1000);
	shard->now_ms += 500;
	drain(shard);
	cr_assert_eq(keyspace_count(shard, 0), 1000);
	shard->now_ms += 10000;
	drain(shard);
	cr_assert_eq(keyspace_count(shard, 0), 0);
	shard_free(shard);
}

Test(expiry, a_slice_does_a_bounded_part_of_much_work)
{
	struct shard *shard = shard_new(NULL, SEED);
	char name[NAME_MAX_SIZE];
	shard->now_ms = START_MS;
	for (uint32_t i = 0; i < 50000; i++) {
		struct key key = key_numbered(0, NULL, i, name);
		string_put(shard, &key, text("v"), START_MS + 10);
	}
	shard->now_ms += 1000;
	uint64_t next_ns, before = 50000;
	int slices = 0;
	while (shard_background(shard, 50000, &next_ns)) {
		cr_assert_lt(before - keyspace_count(shard, 0), 1000);
		before = keyspace_count(shard, 0);
		slices++;
	}
	cr_assert_gt(slices, 50);
	shard->now_ms += 1000; /* segments that were joined just then rest a little */
	drain(shard);
	cr_assert_eq(keyspace_count(shard, 0), 0);
	shard_free(shard);
}

Test(expiry, can_be_set_kept_and_cleared)
{
	struct shard *shard = shard_new(NULL, SEED);
	struct key key = key_named(0, text("k"));
	shard->now_ms = START_MS;
	struct object *object = string_put(shard, &key, text("v"), EXPIRES_NEVER);
	object = keyspace_expire(shard, &key, object, START_MS + 500);
	cr_assert_eq(object_expires_ms(object), START_MS + 500);
	object = string_put(shard, &key, text("other"), EXPIRES_KEEP);
	cr_assert_eq(object_expires_ms(object), START_MS + 500);
	cr_assert_eq(keyspace_average_ttl_ms(shard, 0), 500);
	object = keyspace_expire(shard, &key, object, EXPIRES_NEVER);
	cr_assert_eq(object_expires_ms(object), EXPIRES_NEVER);
	cr_assert_eq(keyspace_count_expiring(shard, 0), 0);
	shard->now_ms += 1000;
	drain(shard);
	cr_assert_not_null(keyspace_find(shard, &key, FIND_READ));
	shard_free(shard);
}
