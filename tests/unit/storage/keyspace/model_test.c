/* The keyspace against the simplest model there is, an array of values, under random commands.
 * Some keys are long, some values integers or large; a few keys share one partition so that its
 * dictionary splits and joins. Waves let the keyspace fill and nearly empty again. */
#include "support.h"
#include "tests/unit/engine/core/machine.h"

#include <stdlib.h>

enum { KEYS = 30000, STEPS = 1000000, WAVE = 150000, LENT_MAX = 50 };

struct model_value {
	uint8_t *bytes; /* NULL: absent */
	size_t len;
	int64_t expires_ms;
};

struct lent {
	struct object *object;
	uint8_t *bytes;
	size_t len;
};

static struct model_value model[2][KEYS];
static struct lent lent[LENT_MAX];
static struct shard *shard;
static struct dice dice = {1};
static uint64_t n_changed;

static void count_change(struct shard *s, const struct key *key)
{
	cr_assert_eq(key->slot, slot_of(key->name));
	cr_assert_eq(key->hash, key_hash(SEED, key->name));
	n_changed++;
}

static struct key model_key(uint32_t keyspace, uint32_t number, char name[NAME_MAX_SIZE])
{
	struct key key = key_numbered(keyspace, number % 4 ? "a" : NULL, number, name);
	if (number % 50)
		return key;
	memset(name + key.name.len, 'x', 600 - key.name.len);
	return key_named(keyspace, slice_of(name, 240 + number % 60));
}

static struct model_value *model_at(uint32_t keyspace, uint32_t number)
{
	struct model_value *value = &model[keyspace][number];
	if (value->bytes && value->expires_ms != EXPIRES_NEVER && value->expires_ms <= shard->now_ms) {
		free(value->bytes);
		value->bytes = NULL;
	}
	return value;
}

static void model_set(struct model_value *value, const void *bytes, size_t len, int64_t expires_ms)
{
	uint8_t *copy = malloc(len + 1);
	memcpy(copy, bytes, len);
	if (expires_ms == EXPIRES_KEEP)
		expires_ms = value->bytes ? value->expires_ms : EXPIRES_NEVER;
	free(value->bytes);
	*value = (struct model_value){.bytes = copy, .len = len, .expires_ms = expires_ms};
}

static void model_clear(struct model_value *value)
{
	free(value->bytes);
	value->bytes = NULL;
}

static void expect_same(struct object *object, const struct model_value *value, const struct key *key)
{
	cr_assert_eq(object != NULL, value->bytes != NULL);
	if (!object)
		return;
	cr_assert(slice_equal(object_key(object), key->name));
	cr_assert(value_is(object, slice_of(value->bytes, value->len)));
	cr_assert_eq(object_expires_ms(object), value->expires_ms);
	cr_assert_gt(object_memory(object), key->name.len);
}

static int64_t random_expiry(void)
{
	uint32_t r = roll(&dice, 4);
	return r == 0 ? shard->now_ms + 1 + roll(&dice, 5000) : r == 1 ? EXPIRES_KEEP : EXPIRES_NEVER;
}

static size_t random_value(uint8_t *out)
{
	uint32_t r = roll(&dice, 100);
	if (r < 30)
		return (size_t)sprintf((char *)out, "%d", (int)roll(&dice, 1u << 31) - (1 << 30));
	size_t len = r < 90 ? roll(&dice, 60) : r < 98 ? roll(&dice, 400) : roll(&dice, 6000);
	memset(out, (int)('a' + roll(&dice, 26)), len);
	return len;
}

static void step_put(const struct key *key, struct model_value *value)
{
	static uint8_t bytes[8192];
	size_t len = random_value(bytes);
	int64_t expires_ms = random_expiry();
	string_put(shard, key, slice_of(bytes, len), expires_ms);
	model_set(value, bytes, len, expires_ms);
}

static void step_edit(const struct key *key, struct model_value *value)
{
	size_t len = value->bytes ? value->len : 0, size = roll(&dice, 3) ? len + roll(&dice, 30) : roll(&dice, 5000);
	uint8_t *ptr = string_edit(shard, key, size);
	size_t total = size > len ? size : len;
	uint8_t *copy = calloc(1, total + 1);
	if (len)
		memcpy(copy, value->bytes, len);
	cr_assert_eq(memcmp(ptr, copy, total), 0);
	if (total) {
		size_t at = roll(&dice, (uint32_t)total);
		ptr[at] = copy[at] = 'E';
	}
	model_set(value, copy, total, EXPIRES_KEEP);
	free(copy);
}

static void step_expire(const struct key *key, struct model_value *value)
{
	struct object *object = keyspace_find(shard, key, FIND_WRITE);
	if (!object)
		return;
	value->expires_ms = roll(&dice, 3) ? shard->now_ms + 1 + roll(&dice, 20000) : EXPIRES_NEVER;
	expect_same(keyspace_expire(shard, key, object, value->expires_ms), value, key);
}

static void step_two_keys(const struct key *from, struct model_value *source)
{
	char name[NAME_MAX_SIZE];
	uint32_t keyspace = roll(&dice, 2), number = roll(&dice, KEYS);
	struct key to = model_key(keyspace, number, name);
	struct model_value *target = model_at(keyspace, number);
	if (!source->bytes || source == target)
		return;
	model_set(target, source->bytes, source->len, source->expires_ms);
	if (roll(&dice, 2)) {
		keyspace_copy(shard, from, &to);
		return;
	}
	keyspace_move(shard, from, &to);
	model_clear(source);
}

static void give_back(struct lent *loan)
{
	char scratch[STRING_SCRATCH];
	struct slice now = string_value(loan->object, scratch);
	cr_assert_eq(now.len, loan->len);
	cr_assert_eq(memcmp(now.ptr, loan->bytes, loan->len), 0, "a lent value has changed");
	object_return(shard, loan->object);
	free(loan->bytes);
	loan->object = NULL;
}

static void step_lend(const struct key *key, struct model_value *value)
{
	struct lent *loan = &lent[roll(&dice, LENT_MAX)];
	struct object *object = keyspace_find(shard, key, FIND_READ);
	if (loan->object) {
		give_back(loan);
	} else if (object) {
		object_lend(shard, object);
		*loan = (struct lent){.object = object, .bytes = malloc(value->len + 1), .len = value->len};
		memcpy(loan->bytes, value->bytes, value->len);
	}
}

static void step(uint32_t i)
{
	char name[NAME_MAX_SIZE];
	uint32_t keyspace = roll(&dice, 8) == 0, number = roll(&dice, KEYS), what = roll(&dice, 100);
	struct key key = model_key(keyspace, number, name);
	struct model_value *value = model_at(keyspace, number);
	bool filling = i / WAVE % 2 == 0;
	if (what < (filling ? 40 : 5))
		step_put(&key, value);
	else if (what < (filling ? 45 : 60)) {
		cr_assert_eq(keyspace_delete(shard, &key), value->bytes != NULL);
		model_clear(value);
	} else if (what < 70)
		step_edit(&key, value);
	else if (what < 75)
		step_expire(&key, value);
	else if (what < 80)
		step_two_keys(&key, value);
	else if (what < 83)
		step_lend(&key, value);
	else {
		keyspace_prefetch_bucket(shard, &key);
		keyspace_prefetch_object(shard, &key);
		expect_same(keyspace_find(shard, &key, (enum find_how)(what % 3)), value, &key);
	}
}

static void expect_counts(void)
{
	for (uint32_t keyspace = 0; keyspace < 2; keyspace++) {
		uint64_t count = 0, expiring = 0;
		for (uint32_t i = 0; i < KEYS; i++) {
			struct model_value *value = model_at(keyspace, i);
			char name[NAME_MAX_SIZE];
			struct key key = model_key(keyspace, i, name);
			expect_same(keyspace_find(shard, &key, FIND_QUIET), value, &key);
			count += value->bytes != NULL;
			expiring += value->bytes && value->expires_ms != EXPIRES_NEVER;
		}
		cr_assert_eq(keyspace_count(shard, keyspace), count);
		cr_assert_eq(keyspace_count_expiring(shard, keyspace), expiring);
	}
}

/* With a core, memory comes from the slab's regions; without, it is a scratch shard. */
static void start(struct core *core)
{
	shard = shard_new(core, SEED);
	shard->now_ms = 1000000;
	shard->changed = count_change;
}

static void forget_all(void)
{
	for (uint32_t i = 0; i < LENT_MAX; i++)
		if (lent[i].object)
			give_back(&lent[i]);
	for (uint32_t i = 0; i < 2 * KEYS; i++)
		model_clear(&model[i % 2][i / 2]);
}

static void run_against_model(struct core *core)
{
	start(core);
	for (uint32_t i = 0; i < STEPS; i++) {
		step(i);
		if (i % 100 == 0)
			shard->now_ms += roll(&dice, 20);
		uint64_t next_ns;
		if (i % 500 == 0)
			shard_background(shard, 20000, &next_ns);
		if (i % 50000 == 0) {
			expect_counts();
			shard_verify(shard);
		}
	}
	cr_assert_gt(shard->counters.expired, 1000);
	cr_assert_eq(shard->changes, n_changed);
	keyspace_drop(shard, 0, false);
	for (uint32_t i = 0; i < KEYS; i++)
		model_clear(&model[0][i]);
	expect_counts();
	forget_all();
	shard_free(shard);
}

Test(keyspace, of_a_core_agrees_with_a_model_under_random_commands, .timeout = 120)
{
	struct test_machine m;
	test_machine_init(&m, 1, 1);
	run_against_model(m.core[0]);
	test_machine_fini(&m);
}

Test(keyspace, of_a_scratch_shard_agrees_with_a_model_under_random_commands, .timeout = 120)
{
	run_against_model(NULL);
}

Test(keyspace, memory_returns_when_all_keys_are_deleted)
{
	start(NULL);
	char name[NAME_MAX_SIZE];
	for (uint32_t i = 0; i < 100000; i++) {
		struct key key = key_numbered(3, i % 2 ? "a" : NULL, i, name);
		string_put(shard, &key, text("0123456789abcdef"), i % 3 ? EXPIRES_NEVER : shard->now_ms + 1 + i);
	}
	shard_verify(shard);
	cr_assert_gt(shard_memory(shard), 4000000);
	for (uint32_t i = 0; i < 100000; i++) {
		struct key key = key_numbered(3, i % 2 ? "a" : NULL, i, name);
		cr_assert(keyspace_delete(shard, &key));
		if (i % 10000 == 0)
			shard_verify(shard);
	}
	cr_assert_lt(shard_memory(shard), 10000);
	cr_assert_eq(shard->counters.objects_bytes, 0);
	shard_free(shard);
}
