/* Scanning: what lives all the while is shown at least once, whatever happens in between. */
#include "support.h"

enum { STABLE = 4000, PASSING = 40000 };

struct seen {
	uint32_t stable[STABLE];
	uint64_t shown;
};

static void note(void *arg, struct object *object)
{
	struct seen *seen = arg;
	struct slice name = object_key(object);
	unsigned number;
	char text_of[64];
	snprintf(text_of, sizeof(text_of), "%.*s", (int)name.len, (const char *)name.ptr);
	seen->shown++;
	if (sscanf(text_of, "{s}:%u", &number) == 1 && number < STABLE)
		seen->stable[number]++;
}

static void put(struct shard *shard, uint32_t number)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(1, "s", number, name);
	string_put(shard, &key, text("v"), EXPIRES_NEVER);
}

static void drop(struct shard *shard, uint32_t number)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(1, "s", number, name);
	keyspace_delete(shard, &key);
}

/* The partition grows and shrinks by a factor of ten while the cursor passes over it. */
static void mutate(struct shard *shard, struct dice *dice, bool growing)
{
	for (int i = 0; i < 200; i++) {
		uint32_t number = STABLE + roll(dice, PASSING);
		if (roll(dice, 10) < (growing ? 8u : 1u))
			put(shard, number);
		else
			drop(shard, number);
	}
}

static void scan_once(struct shard *shard, struct dice *dice, uint32_t want)
{
	static struct seen seen;
	seen = (struct seen){0};
	uint16_t partition = partition_of(slot_of(S("{s}")));
	uint64_t position = 0;
	do {
		uint64_t shown = seen.shown;
		uint64_t next = keyspace_scan(shard, 1, partition, position, want, note, &seen);
		cr_assert(next == 0 || next > position);
		cr_assert_eq(next & 0x3ffff, 0, "the low bits are free for a cursor");
		cr_assert_lt(seen.shown - shown, want + 60);
		position = next;
		mutate(shard, dice, roll(dice, 50) < 25 + (uint32_t)(position >> 60));
	} while (position != 0);
	for (uint32_t i = 0; i < STABLE; i++)
		cr_assert_geq(seen.stable[i], 1, "key %u was missed", i);
}

Test(scan, misses_nothing_that_stays, .timeout = 60)
{
	struct shard *shard = shard_new(NULL, SEED);
	struct dice dice = {3};
	for (uint32_t i = 0; i < STABLE; i++)
		put(shard, i);
	for (int round = 0; round < 12; round++) {
		scan_once(shard, &dice, 1 + roll(&dice, 60));
		shard_verify(shard);
	}
	shard_free(shard);
}

Test(scan, shows_everything_once_when_nothing_changes)
{
	struct shard *shard = shard_new(NULL, SEED);
	static struct seen seen;
	for (uint32_t i = 0; i < STABLE; i++)
		put(shard, i);
	uint64_t position = 0;
	do
		position = keyspace_scan(shard, 1, partition_of(slot_of(S("{s}"))), position, 10, note, &seen);
	while (position != 0);
	cr_assert_eq(seen.shown, STABLE);
	for (uint32_t i = 0; i < STABLE; i++)
		cr_assert_eq(seen.stable[i], 1);
	shard_free(shard);
}

Test(scan, does_not_show_what_has_expired)
{
	struct shard *shard = shard_new(NULL, SEED);
	static struct seen seen;
	char name[NAME_MAX_SIZE];
	shard->now_ms = 1000;
	for (uint32_t i = 0; i < 100; i++) {
		struct key key = key_numbered(1, "s", i, name);
		string_put(shard, &key, text("v"), i % 2 ? 2000 : 3000);
	}
	shard->now_ms = 2000;
	uint64_t next = keyspace_scan(shard, 1, partition_of(slot_of(S("{s}"))), 0, 1000, note, &seen);
	cr_assert_eq(next, 0);
	cr_assert_eq(seen.shown, 50);
	shard_free(shard);
}

Test(scan, of_an_absent_keyspace_ends_at_once)
{
	struct shard *shard = shard_new(NULL, SEED);
	cr_assert_eq(keyspace_scan(shard, 9, 5, 0, 10, note, NULL), 0);
	cr_assert_null(keyspace_random(shard, 9, 1));
	shard_free(shard);
}

Test(random, draws_all_keys_about_alike)
{
	enum { KEYS = 2000, DRAWS = 400000 };
	struct shard *shard = shard_new(NULL, SEED);
	struct dice dice = {5};
	static uint32_t drawn[KEYS];
	char name[NAME_MAX_SIZE];
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key key = key_numbered(1, i % 2 ? "s" : NULL, i, name);
		int64_t value = i;
		string_put_integer(shard, &key, value, EXPIRES_NEVER);
	}
	for (int i = 0; i < DRAWS; i++) {
		uint64_t high = roll(&dice, UINT32_MAX);
		struct object *object = keyspace_random(shard, 1, high << 32 | roll(&dice, UINT32_MAX));
		int64_t value;
		cr_assert_not_null(object);
		cr_assert(string_integer(object, &value));
		drawn[value]++;
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		cr_assert_gt(drawn[i], DRAWS / KEYS / 3);
		cr_assert_lt(drawn[i], DRAWS / KEYS * 3);
	}
	shard_free(shard);
}

Test(random, finds_the_last_living_key_among_expired_ones)
{
	struct shard *shard = shard_new(NULL, SEED);
	char name[NAME_MAX_SIZE];
	shard->now_ms = 1;
	for (uint32_t i = 0; i < 5000; i++) {
		struct key key = key_numbered(1, NULL, i, name);
		string_put_integer(shard, &key, i, i == 77 ? EXPIRES_NEVER : 10);
	}
	shard->now_ms = 100;
	int64_t value;
	cr_assert(string_integer(keyspace_random(shard, 1, 12345), &value));
	cr_assert_eq(value, 77);
	shard_free(shard);
}
