/* A shard with a core works by itself: on timers when keys expire, on tasks when much is freed. */
#include "support.h"
#include "tests/unit/engine/core/machine.h"

static struct test_machine m;
static struct shard *shard;

static void start(void)
{
	test_machine_init(&m, 1, 1);
	shard = shard_new(m.core[0], SEED);
	shard->now_ms = m.core[0]->wall_us / 1000;
}

static void stop(void)
{
	shard_verify(shard);
	shard_free(shard);
	test_machine_fini(&m);
}

TestSuite(background, .init = start, .fini = stop);

static void put(uint32_t i, int64_t expires_ms)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, i, name);
	string_put(shard, &key, text("a value"), expires_ms);
}

Test(background, removes_expired_keys_soon_and_then_rests)
{
	for (uint32_t i = 0; i < 10000; i++)
		put(i, shard->now_ms + 100 + i % 5000);
	uint64_t from_ns = m.io[0].now_ns;
	test_run_until_idle(&m);
	cr_assert_eq(keyspace_count(shard, 0), 0);
	cr_assert_eq(shard->counters.expired, 10000);
	cr_assert_lt(m.io[0].now_ns - from_ns, 5300 * (uint64_t)1000000);
}

Test(background, wakes_earlier_for_an_earlier_key)
{
	put(1, shard->now_ms + 3600000);
	put(2, shard->now_ms + 50);
	uint64_t from_ns = m.io[0].now_ns;
	while (keyspace_count(shard, 0) == 2)
		test_step(&m, 0);
	cr_assert_lt(m.io[0].now_ns - from_ns, 100 * (uint64_t)1000000);
}

Test(background, waits_until_the_shard_has_recovered)
{
	struct key key = key_named(0, text("huge"));
	shard->recovering = true;
	shard->now_ms = 0;
	for (uint32_t i = 0; i < 1000; i++)
		put(i, m.core[0]->wall_us / 1000 + (i % 2 ? -1000 : 2000));
	string_edit(shard, &key, 20 * 1024 * 1024);
	keyspace_delete(shard, &key);
	cr_assert_eq(shard->counters.freeing, 0, "nobody else would free it now");
	uint64_t from_ns = m.io[0].now_ns;
	test_run_until_idle(&m);
	cr_assert_eq(keyspace_count(shard, 0), 1000);
	shard_recovered(shard);
	while (keyspace_count(shard, 0) == 1000)
		test_step(&m, 0);
	cr_assert_eq(keyspace_count(shard, 0), 500);
	test_run_until_idle(&m);
	cr_assert_eq(keyspace_count(shard, 0), 0);
	cr_assert_lt(m.io[0].now_ns - from_ns, 2500 * (uint64_t)1000000);
}

Test(background, frees_a_dropped_keyspace_in_slices)
{
	for (uint32_t i = 0; i < 100000; i++)
		put(i, i % 2 ? EXPIRES_NEVER : shard->now_ms + 10000);
	keyspace_drop(shard, 0, false);
	cr_assert_eq(keyspace_count(shard, 0), 0);
	cr_assert_eq(shard->counters.freeing, 100000);
	uint64_t next_ns;
	for (uint64_t slices = 0, before = 100000; slices < 10; slices++, before = shard->counters.freeing) {
		cr_assert(shard_background(shard, 50000, &next_ns));
		cr_assert_lt(shard->counters.freeing, before);
		cr_assert_lt(before - shard->counters.freeing, 2000);
	}
	test_run_until_idle(&m);
	cr_assert_eq(shard->counters.freeing, 0);
	cr_assert_eq(shard_memory(shard), 0);
}

Test(background, frees_a_huge_value_in_slices)
{
	struct key key = key_named(0, text("huge"));
	string_edit(shard, &key, 100 * 1024 * 1024);
	keyspace_delete(shard, &key);
	cr_assert_eq(shard->counters.freeing, 1);
	cr_assert_gt(shard_memory(shard), 100 * 1024 * 1024);
	test_run_until_idle(&m);
	cr_assert_eq(shard->counters.freeing, 0);
	cr_assert_eq(shard_memory(shard) - shard->counters.tables_bytes, 0);
}
