/* Keys whose hashes nearly agree: somebody may find some. Then the table must neither fail nor
 * let its directory run away; lookups may get slower. */
#include "storage/keyspace/keyspace_private.h"
#include "support.h"

enum { BITS = 12, KEYS = 1500, SPREAD = 300 };

static uint32_t numbers[KEYS];

/* Numbers whose keys lie in one 2^-BITS of the positions, in one partition. */
static void find_numbers(void)
{
	char name[NAME_MAX_SIZE];
	uint32_t n = 0;
	for (uint32_t i = 0; n < KEYS; i++)
		if (position_of(key_numbered(0, "c", i, name).hash) >> (64 - BITS) == 77)
			numbers[n++] = i;
}

static struct key clustered(uint32_t i)
{
	static char name[NAME_MAX_SIZE];
	return key_numbered(0, "c", numbers[i], name);
}

static void put_all(struct shard *shard)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key key = clustered(i);
		string_put_integer(shard, &key, i, i % 5 ? EXPIRES_NEVER : 1000);
		if (i % 100 == 0)
			shard_verify(shard);
	}
	char name[NAME_MAX_SIZE];
	for (uint32_t i = 0; i < SPREAD; i++) {
		struct key key = key_numbered(0, "c", 0x80000000u + i, name);
		string_put_integer(shard, &key, i, EXPIRES_NEVER);
	}
	shard_verify(shard);
}

static void count_one(void *arg, struct object *object) { ++*(uint32_t *)arg; }

Test(cluster, of_hashes_neither_fails_nor_blows_up_the_directory, .timeout = 120)
{
	struct shard *shard = shard_new(NULL, SEED);
	find_numbers();
	put_all(shard);
	struct key first = clustered(0);
	const struct dict *dict = &keyspace_of(shard->tables, 0)->dicts[partition_of(first.slot)];
	cr_assert_leq(1u << dict->depth, 16 * (dict->segments + 4));
	cr_assert_lt(shard->counters.tables_bytes, 100 * KEYS);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key key = clustered(i);
		int64_t value;
		cr_assert(string_integer(keyspace_find(shard, &key, FIND_READ), &value));
		cr_assert_eq(value, i);
	}
	uint32_t seen = 0;
	uint64_t position = 0;
	do
		position = keyspace_scan(shard, 0, partition_of(first.slot), position, 10, count_one, &seen);
	while (position != 0);
	cr_assert_eq(seen, KEYS + SPREAD);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key key = clustered(i);
		cr_assert(keyspace_delete(shard, &key));
		if (i % 100 == 0)
			shard_verify(shard);
	}
	cr_assert_eq(keyspace_count(shard, 0), SPREAD);
	shard_verify(shard);
	shard_free(shard);
}
