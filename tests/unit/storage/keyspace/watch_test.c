/* Watches: every kind of change breaks them, nothing else does. */
#include "storage/keyspace/watch.h"

#include "support.h"

static struct shard *shard;
static struct key key, other;

static void start(void)
{
	shard = shard_new(NULL, SEED);
	shard->now_ms = 1000;
	key = key_named(0, text("watched"));
	other = key_named(0, text("other"));
}

static void stop(void) { shard_free(shard); }

TestSuite(watch, .init = start, .fini = stop);

static void put(const struct key *k) { string_put(shard, k, text("v"), EXPIRES_NEVER); }
static void put_until(int64_t expires_ms) { string_put(shard, &key, text("v"), expires_ms); }
static void change_put(void) { put(&key); }
static void change_edit(void) { string_edit(shard, &key, 5); }
static void change_delete(void) { keyspace_delete(shard, &key); }
static void change_move_away(void) { keyspace_move(shard, &key, &other); }
static void change_expire(void) { keyspace_expire(shard, &key, keyspace_find(shard, &key, FIND_WRITE), 5000); }
static void change_drop(void) { keyspace_drop(shard, 0, false); }
static void change_move_here(void)
{
	put(&other);
	keyspace_move(shard, &other, &key);
}
static void change_copy_here(void)
{
	put(&other);
	keyspace_copy(shard, &other, &key);
}

Test(watch, breaks_at_every_change_of_a_living_key)
{
	void (*changes[])(void) = {change_put,    change_edit, change_delete,    change_move_away,
	                           change_expire, change_drop, change_move_here, change_copy_here};
	for (size_t i = 0; i < array_len(changes); i++) {
		put(&key);
		struct watch *watch = watch_new(shard, &key);
		cr_assert(watch_existed(watch));
		cr_assert_not(watch_broken(shard, watch));
		changes[i]();
		cr_assert(watch_broken(shard, watch), "change %zu", i);
		watch_free(shard, watch);
	}
}

Test(watch, breaks_when_an_absent_key_is_made_and_gone_again)
{
	struct watch *watch = watch_new(shard, &key);
	cr_assert_not(watch_existed(watch));
	put(&key);
	keyspace_delete(shard, &key);
	cr_assert(watch_broken(shard, watch));
	watch_free(shard, watch);
}

Test(watch, holds_through_reads_and_changes_of_others)
{
	put(&key);
	struct watch *watch = watch_new(shard, &key);
	struct key elsewhere = key_named(1, key.name);
	put(&other);
	put(&elsewhere);
	keyspace_find(shard, &key, FIND_READ);
	keyspace_find(shard, &key, FIND_WRITE);
	keyspace_copy(shard, &key, &other);
	keyspace_drop(shard, 1, true);
	cr_assert_not(watch_broken(shard, watch));
	watch_free(shard, watch);
}

Test(watch, holds_when_an_absent_key_s_keyspace_is_dropped)
{
	put(&other);
	struct watch *watch = watch_new(shard, &key);
	keyspace_drop(shard, 0, true);
	cr_assert_not(watch_broken(shard, watch));
	watch_free(shard, watch);
}

Test(watch, breaks_when_the_key_expires_meanwhile)
{
	put_until(2000);
	struct watch *watch = watch_new(shard, &key);
	shard->now_ms = 1999;
	cr_assert_not(watch_broken(shard, watch));
	shard->now_ms = 2000;
	cr_assert(watch_broken(shard, watch));
	watch_free(shard, watch);
}

Test(watch, holds_for_a_key_that_had_expired_before)
{
	put_until(2000);
	shard->now_ms = 3000;
	struct watch *watch = watch_new(shard, &key);
	cr_assert_not(watch_existed(watch));
	cr_assert_not(watch_broken(shard, watch));
	watch_free(shard, watch);
}

Test(watch, follows_the_names_of_two_keyspaces)
{
	struct key there = key_named(1, key.name);
	struct watch *watch = watch_new(shard, &key), *watch_there = watch_new(shard, &there);
	put(&other);
	watches_follow(shard, 0, 1);
	cr_assert_not(watch_broken(shard, watch));
	cr_assert_not(watch_broken(shard, watch_there));
	put(&there); /* what the first watch is for now */
	cr_assert(watch_broken(shard, watch));
	cr_assert_not(watch_broken(shard, watch_there));
	watches_follow(shard, 0, 1);
	cr_assert(watch_broken(shard, watch_there));
	watch_free(shard, watch);
	watch_free(shard, watch_there);
	watches_follow(shard, 0, 1); /* nobody watches */
}

Test(watch, many_watches_on_many_keys_are_independent)
{
	enum { WATCHES = 500 };
	struct watch *watches[WATCHES];
	char name[NAME_MAX_SIZE];
	for (uint32_t i = 0; i < WATCHES; i++) {
		struct key k = key_numbered(0, NULL, i / 2, name);
		watches[i] = watch_new(shard, &k);
	}
	for (uint32_t i = 0; i < WATCHES / 2; i += 3) {
		struct key k = key_numbered(0, NULL, i, name);
		put(&k);
	}
	for (uint32_t i = 0; i < WATCHES; i++)
		cr_assert_eq(watch_broken(shard, watches[i]), i / 2 % 3 == 0);
	for (uint32_t i = 0; i < WATCHES; i++)
		watch_free(shard, watches[i]);
	watch_free(shard, NULL);
}
