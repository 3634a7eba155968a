/* Fields that expire, against a table of values and times, on virtual time: what has expired is gone at once, whatever
 * the form, and out of memory soon; edits, packed forms, copies. */
#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/hash.h"
#include "storage/keyspace/hash_times.h"
#include "storage/locks/locks.h"
#include "support.h"

enum { FIELDS = 4000, NONE = 0, START_MS = 1700000000 };

static struct shard *shard;
static struct dice dice = {1};

struct model {
	uint32_t value[FIELDS];     /* NONE: the field is absent */
	int64_t expires_ms[FIELDS]; /* EXPIRES_NEVER */
};

static struct slice text_of(uint32_t number, char room[NAME_MAX_SIZE])
{
	if (number % 3 == 0)
		return slice_of(room, integer_format(number, room));
	return slice_of(room, (size_t)snprintf(room, NAME_MAX_SIZE, "text:%u", number));
}

static uint32_t number_of(const struct packed_element *element)
{
	uint32_t number = 0;
	if (!element->bytes.ptr)
		return (uint32_t)element->integer;
	for (size_t i = 5; i < element->bytes.len; i++)
		number = number * 10 + (element->bytes.ptr[i] - '0');
	return number;
}

static struct collection open_hash(const struct key *key)
{
	struct collection hash;
	cr_assert_eq(collection_open(shard, key, OBJECT_HASH, FIND_QUIET, &hash), OK);
	return hash;
}

static void drain(void)
{
	uint64_t next_ns;
	while (shard_background(shard, 100000, &next_ns))
		;
}

/* ---- the model --------------------------------------------------------------------------- */

static bool lives(const struct model *model, uint32_t field)
{
	int64_t expires_ms = model->expires_ms[field];
	return model->value[field] != NONE && (expires_ms == EXPIRES_NEVER || expires_ms > shard->now_ms);
}

static uint32_t count(const struct model *model)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < FIELDS; i++)
		n += lives(model, i);
	return n;
}

static void model_set(struct model *model, uint32_t field, uint32_t value, int64_t expires_ms)
{
	model->value[field] = value;
	model->expires_ms[field] = expires_ms;
}

static void is_pair(const struct model *model, const struct hash_pair *pair)
{
	uint32_t field = number_of(&pair->field);
	cr_assert(lives(model, field));
	cr_assert_eq(number_of(&pair->value), model->value[field]);
	cr_assert_eq(pair->expires_ms, model->expires_ms[field]);
}

static void check_field(const struct object *hash, const struct model *model, uint32_t field)
{
	char room[NAME_MAX_SIZE];
	struct packed_sought name = packed_seek(text_of(field, room));
	struct packed_element value;
	struct hash_pair pair;
	cr_assert_eq(hash_get(hash, &name, shard->now_ms, &value), lives(model, field));
	cr_assert_eq(hash_get_pair(hash, &name, shard->now_ms, &pair), lives(model, field));
	if (lives(model, field))
		is_pair(model, &pair);
}

struct shown {
	const struct model *model;
	uint32_t n;
};

static void show(void *arg, const struct hash_pair *pair)
{
	struct shown *shown = arg;
	is_pair(shown->model, pair);
	shown->n++;
}

static void check(const struct key *key, const struct model *model)
{
	struct object *hash = keyspace_find(shard, key, FIND_QUIET);
	uint32_t n = count(model);
	cr_assert_eq(hash != NULL, n > 0);
	if (!hash)
		return;
	cr_assert_eq(hash_count(hash, shard->now_ms), n);
	for (int i = 0; i < 30; i++)
		check_field(hash, model, roll(&dice, FIELDS));
	struct hash_walk walk;
	struct hash_pair pair;
	uint32_t walked = 0;
	for (hash_walk(hash, shard->now_ms, &walk); hash_next(&walk, &pair); walked++)
		is_pair(model, &pair);
	cr_assert_eq(walked, n);
	struct shown shown = {model, 0};
	uint64_t cursor = 0;
	do
		cursor = hash_scan(hash, cursor, 10, shard->now_ms, show, &shown);
	while (cursor);
	cr_assert_eq(shown.n, n);
	shard_verify(shard);
}

/* ---- random work -------------------------------------------------------------------------- */

static int64_t random_time(void)
{
	static const uint32_t spans_ms[] = {3, 50, 1000, 100000};
	return shard->now_ms + 1 + roll(&dice, spans_ms[roll(&dice, 4)]);
}

static void step(struct collection *hash, struct model *model, uint32_t range)
{
	char rooms[2][NAME_MAX_SIZE];
	uint32_t field = roll(&dice, range), value = 1 + roll(&dice, FIELDS), kind = roll(&dice, 10);
	struct packed_sought name = packed_seek(text_of(field, rooms[0])), text = packed_seek(text_of(value, rooms[1]));
	bool there = lives(model, field);
	if (kind < 4) {
		cr_assert_eq(hash_set(hash, &name, &text), !there);
		model_set(model, field, value, EXPIRES_NEVER);
	} else if (kind < 5) {
		cr_assert_eq(hash_remove(hash, &name), there);
		if (there)
			model->value[field] = NONE;
	} else if (there && kind < 6) {
		hash_change(hash, &name, &text);
		model->value[field] = value;
	} else if (there) {
		int64_t expires_ms = kind < 7 ? EXPIRES_NEVER : random_time();
		hash_expire(hash, &name, expires_ms);
		model->expires_ms[field] = expires_ms;
	}
}

static void copy_stays_as_it_is(const struct key *key, const struct key *other, const struct model *model)
{
	if (!keyspace_find(shard, key, FIND_QUIET))
		return;
	keyspace_copy(shard, key, other);
	struct buf packed = {0};
	object_pack(keyspace_find(shard, key, FIND_QUIET), &packed);
	check(other, model);
	keyspace_delete(shard, other);
	cr_assert_eq(object_unpack(shard, other, buf_slice(&packed), EXPIRES_NEVER), OK);
	check(other, model);
	keyspace_delete(shard, other);
	buf_fini(&packed);
}

static void live(uint32_t range, uint32_t steps)
{
	char names[2][NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, names[0]), other = key_numbered(0, NULL, 2, names[1]);
	struct model *model = memory_zalloc(sizeof(*model));
	shard = shard_new(NULL, SEED);
	shard->now_ms = START_MS;
	for (uint32_t i = 0; i < steps; i++) {
		struct collection hash = open_hash(&key);
		for (uint32_t n = 1 + roll(&dice, 6); n > 0; n--)
			step(&hash, model, range);
		(void)collection_close(&hash);
		shard->now_ms += roll(&dice, 4);
		if (roll(&dice, 10) == 0)
			drain();
		if (i % 20 == 0)
			check(&key, model);
		if (i % 500 == 0)
			copy_stays_as_it_is(&key, &other, model);
	}
	keyspace_delete(shard, &key);
	while (shard->counters.freeing)
		drain();
	cr_assert_eq(shard->counters.objects_bytes, 0);
	cr_assert_eq(keyspace_count_due(shard, 0), 0);
	shard_free(shard);
	memory_free(model);
}

TestSuite(hash_expiry, .timeout = 170);
Test(hash_expiry, is_what_its_model_says_when_small) { live(8, 20000); }
Test(hash_expiry, is_what_its_model_says_between_forms) { live(200, 20000); }
Test(hash_expiry, is_what_its_model_says_when_large) { live(FIELDS, 20000); }

/* ---- going by themselves ------------------------------------------------------------------- */

static void fill(const struct key *key, uint32_t n, uint32_t n_timed, int64_t expires_ms)
{
	char room[NAME_MAX_SIZE];
	struct packed_sought value = packed_seek(S("value"));
	struct collection hash = open_hash(key);
	for (uint32_t i = 0; i < n; i++) {
		struct packed_sought name = packed_seek(text_of(i, room));
		(void)hash_set(&hash, &name, &value);
		if (i < n_timed)
			hash_expire(&hash, &name, expires_ms);
	}
}

Test(hash_expiry, fields_go_by_themselves_and_the_key_with_the_last)
{
	static const uint32_t sizes[] = {3, 100, 20000};
	char name[NAME_MAX_SIZE];
	for (size_t i = 0; i < array_len(sizes); i++) {
		struct key key = key_numbered(0, NULL, 1, name);
		uint32_t n = sizes[i];
		shard = shard_new(NULL, SEED);
		shard->now_ms = START_MS;
		fill(&key, n, n - 1, START_MS + 10);
		uint64_t before = shard->counters.objects_bytes;
		cr_assert_eq(keyspace_count_due(shard, 0), 1);
		shard->now_ms += 10;
		cr_assert_eq(hash_count(keyspace_find(shard, &key, FIND_QUIET), shard->now_ms), 1);
		shard->now_ms += 10; /* segments rest between two sweeps */
		drain();
		cr_assert_eq(collection_count(keyspace_peek(shard, &key)), 1);
		cr_assert_eq(keyspace_count_due(shard, 0), 0);
		cr_assert_eq(shard->counters.expired_elements, n - 1);
		cr_assert(n < 100 || shard->counters.objects_bytes < before / 4);
		fill(&key, n, n, START_MS + 1000);
		shard->now_ms = START_MS + 2000;
		drain();
		cr_assert_eq(keyspace_count(shard, 0), 0);
		cr_assert_eq(shard->counters.expired_elements, n - 1 + n);
		shard_verify(shard);
		shard_free(shard);
	}
}

/* No task deletes more than it may. */
Test(hash_expiry, is_cut_into_steps)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	uint64_t next_ns;
	shard = shard_new(NULL, SEED);
	shard->now_ms = START_MS;
	fill(&key, 20000, 19999, START_MS + 10);
	shard->now_ms += 100;
	uint32_t left = 20000, steps = 0;
	for (bool more = true; more; steps++) {
		more = shard_background(shard, 100000, &next_ns);
		uint32_t now = (uint32_t)collection_count(keyspace_peek(shard, &key));
		cr_assert_leq(left - now, 1000);
		left = now;
	}
	cr_assert_eq(left, 1);
	cr_assert_gt(steps, 20);
	shard_free(shard);
}

static void locked_run(struct shard *there, struct lock_waiter *waiter) { (void)there, (void)waiter; }

/* What a transaction holds is its own: its edits and those of expiry would follow on the same version. */
Test(hash_expiry, waits_for_locked_keys)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct lock_waiter waiter = {.fingerprint = key.hash, .kind = LOCK_HOLD, .run = locked_run};
	shard = shard_new(NULL, SEED);
	shard->now_ms = START_MS;
	fill(&key, 500, 499, START_MS + 10);
	cr_assert(lock_take(shard->locks, &waiter));
	for (int i = 0; i < 10; i++) {
		shard->now_ms += 100;
		drain();
		cr_assert_eq(collection_count(keyspace_peek(shard, &key)), 500);
		cr_assert_eq(hash_count(keyspace_peek(shard, &key), shard->now_ms), 1);
		shard_verify(shard);
	}
	lock_release(shard, shard->locks, key.hash);
	shard->now_ms += 100;
	drain();
	cr_assert_eq(collection_count(keyspace_peek(shard, &key)), 1);
	shard_free(shard);
}

static char happened[256];

static void note_happened(struct shard *there, const struct key *key, enum key_event event)
{
	(void)there, (void)key;
	static const char *const names[] = {"new", "expired", "evicted", "fields", "emptied"};
	strcat(strcat(happened, names[event]), " ");
}

Test(hash_expiry, is_told)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	shard = shard_new(NULL, SEED);
	shard->now_ms = START_MS;
	shard->happened = note_happened;
	fill(&key, 5, 2, START_MS + 10);
	shard->now_ms += 100;
	drain();
	fill(&key, 5, 5, START_MS + 200);
	shard->now_ms += 400;
	cr_assert_null(keyspace_find(shard, &key, FIND_QUIET));
	fill(&key, 5, 5, START_MS + 1000);
	shard->now_ms += 2000;
	drain();
	cr_assert_str_eq(happened, "new fields fields emptied new fields emptied ");
	shard_free(shard);
}

/* The key's own time counts, too. */
Test(hash_expiry, goes_with_its_key)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	shard = shard_new(NULL, SEED);
	shard->now_ms = START_MS;
	fill(&key, 5, 2, START_MS + 1000);
	(void)keyspace_expire(shard, &key, keyspace_find(shard, &key, FIND_QUIET), START_MS + 10);
	shard_verify(shard);
	shard->now_ms += 100;
	drain();
	cr_assert_eq(keyspace_count(shard, 0), 0);
	cr_assert_eq(shard->counters.expired, 1);
	cr_assert_eq(shard->counters.expired_elements, 0);
	shard_free(shard);
}

/* While a shard recovers there is no time. */
Test(hash_expiry, waits_for_recovery)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	shard = shard_new(NULL, SEED);
	shard->now_ms = START_MS;
	fill(&key, 500, 500, START_MS + 10);
	shard->recovering = true;
	shard->now_ms += 100;
	cr_assert_not_null(keyspace_find(shard, &key, FIND_QUIET));
	shard_recovered(shard);
	cr_assert_null(keyspace_find(shard, &key, FIND_QUIET));
	shard_free(shard);
}

/* ---- edits, as recovery applies them ------------------------------------------------------ */

static void put_text(struct buf *out, struct slice text)
{
	uint8_t *at = buf_reserve(out, packed_size(text));
	out->len += (size_t)(packed_write(at, text) - at);
}

Test(hash_expiry, edits_do_what_they_say_and_no_harm_when_hostile)
{
	enum { SET = 1, REMOVE, CHANGE, EXPIRE };
	char name[NAME_MAX_SIZE], room[NAME_MAX_SIZE], other_room[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name);
	struct model *model = memory_zalloc(sizeof(*model));
	shard = shard_new(NULL, SEED);
	for (int i = 0; i < 60000; i++) {
		struct buf bytes = {0};
		uint32_t field = roll(&dice, i % 20000 < 2000 ? 8 : 1500), value = 1 + roll(&dice, FIELDS);
		bool hostile = i > 30000, there = model->value[field] != NONE;
		uint32_t edit = there ? 1 + roll(&dice, 4) : (uint32_t)SET;
		int64_t expires_ms = roll(&dice, 3) ? 1 + roll(&dice, 100000) : 0;
		struct collection hash = open_hash(&key);
		buf_byte(&bytes, (uint8_t)edit);
		put_text(&bytes, text_of(field, room));
		if (edit == SET || edit == CHANGE)
			put_text(&bytes, text_of(value, other_room));
		else if (edit == EXPIRE)
			put_text(&bytes, slice_of(other_room, integer_format(expires_ms, other_room)));
		if (hostile)
			bytes.ptr[roll(&dice, (uint32_t)bytes.len)] = (uint8_t)roll(&dice, 256);
		size_t len = hostile && roll(&dice, 2) ? roll(&dice, (uint32_t)bytes.len) : bytes.len;
		uint8_t *exact = memory_alloc(len + 1); /* a sanitizer sees its end */
		memcpy(exact, bytes.ptr, len);
		struct slice edits = slice_of(exact, len);
		(void)collection_touch(&hash);
		bool applied = hash_kind.collection->apply(&hash, &edits);
		keyspace_due_changed(shard, &key);
		cr_assert(hostile || (applied && edits.len == 0));
		if (!hostile) {
			int64_t kept_ms = edit == CHANGE ? model->expires_ms[field] : EXPIRES_NEVER;
			if (edit == EXPIRE)
				model->expires_ms[field] = expires_ms ? expires_ms : EXPIRES_NEVER;
			else
				model_set(model, field, edit == REMOVE ? (uint32_t)NONE : value, kept_ms);
		}
		(void)collection_close(&hash);
		if (!hostile && i % 500 == 0)
			check(&key, model);
		memory_free(exact);
		buf_fini(&bytes);
	}
	shard_verify(shard);
	shard_free(shard);
	memory_free(model);
}

/* ---- packed values, as they come from disk ------------------------------------------------- */

Test(hash_expiry, is_packed_and_unpacked_and_stays_sound_when_that_is_hostile)
{
	static const uint32_t sizes[] = {3, 60, 1500};
	char names[3][NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, names[0]), copy = key_numbered(0, NULL, 2, names[1]);
	struct model *model = memory_zalloc(sizeof(*model));
	shard = shard_new(NULL, SEED);
	struct shard *other = shard_new(NULL, SEED + 1);
	struct key there = key_numbered(0, NULL, 3, names[2]);
	there.hash = key_hash(SEED + 1, there.name);
	for (int round = 0; round < 200; round++) {
		struct collection hash = open_hash(&key);
		struct buf packed = {0}, again = {0};
		for (uint32_t n = sizes[roll(&dice, 3)]; n > 0; n--)
			step(&hash, model, 1500);
		if (!hash.object || collection_close(&hash))
			continue;
		object_pack(hash.object, &packed);
		cr_assert_eq(object_unpack(other, &there, buf_slice(&packed), EXPIRES_NEVER), OK);
		object_pack(keyspace_peek(other, &there), &again);
		cr_assert_eq(object_unpack(shard, &copy, buf_slice(&again), EXPIRES_NEVER), OK);
		check(&copy, model);
		for (int i = 0; i < 100; i++) {
			size_t len = roll(&dice, 3) ? packed.len : roll(&dice, (uint32_t)packed.len + 1);
			uint8_t *exact = memory_alloc(len + 1);
			memcpy(exact, packed.ptr, len);
			for (uint32_t n = 1 + roll(&dice, 3); n > 0 && len > 1; n--) /* but not the type */
				exact[1 + roll(&dice, roll(&dice, 2) && len > 24 ? 24 : (uint32_t)len - 1)] =
				        (uint8_t)roll(&dice, 256);
			(void)!object_unpack(shard, &copy, slice_of(exact, len), EXPIRES_NEVER);
			(void)!object_unpack(other, &there, slice_of(exact, len), EXPIRES_NEVER);
			memory_free(exact);
		}
		shard_verify(shard);
		shard_verify(other);
		keyspace_delete(shard, &copy);
		keyspace_delete(other, &there);
		buf_fini(&packed);
		buf_fini(&again);
	}
	shard_free(shard);
	shard_free(other);
	memory_free(model);
}

/* ---- the index --------------------------------------------------------------------------- */

Test(hash_expiry, counts_fields_of_equal_time_and_hash)
{
	struct tree times = {0};
	uint64_t hash;
	shard = shard_new(NULL, SEED);
	for (int i = 0; i < 5; i++) {
		cr_assert(times_add(shard, &times, 20, 7));
		cr_assert(times_add(shard, &times, 10, UINT64_MAX));
	}
	cr_assert_eq(times_until(&times, 9), 0);
	cr_assert_eq(times_until(&times, 10), 5);
	cr_assert_eq(times_until(&times, 19), 5);
	cr_assert_eq(times_until(&times, 20), 10);
	cr_assert_eq(times_until(&times, INT64_MAX), 10);
	cr_assert_eq(times_until(&times, -1), 0);
	cr_assert_eq(times_first(&times, &hash), 10);
	cr_assert_eq(hash, UINT64_MAX);
	cr_assert_eq(times_last(&times), 20);
	for (int i = 0; i < 5; i++)
		times_remove(shard, &times, 10, UINT64_MAX);
	cr_assert_eq(times_first(&times, &hash), 20);
	for (int i = 0; i < 5; i++)
		times_remove(shard, &times, 20, 7);
	cr_assert_eq(times.count, 0);
	shard_free(shard);
}
