/* What was acknowledged is there after the next start, whatever the number of cores. */
#include "tests/unit/storage/recovery/house.h"

#include "engine/base/buf.h"
#include "engine/core/fiber.h"
#include "engine/placement/placement.h"
#include "storage/keyspace/keyspace.h"
#include "storage/locks/locks.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { DISK_BYTES = 1 << 30 };

static void do_write(struct house *house, void *arg) { house_write(house, *(uint32_t *)arg); }

static void do_image(struct house *house, void *arg)
{
	cr_assert_eq(store_image(house->cores[0].core, house->store), 0);
	house->model->images++;
}

static void do_flush(struct house *house, void *arg) { house_flush(house); }

Test(store, keeps_what_was_written)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	uint32_t n = 20;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		cr_assert(house_open(&house, disk, model, 2, seed), "%s", house.why);
		house_verify(&house);
		cr_assert(house_run(&house, do_write, &n));
		house_verify(&house);
		house_close(&house);
	}
	sim_disk_free(disk);
}

Test(store, goes_on_with_any_number_of_cores)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint32_t n = 1 + (uint32_t)chance(&model->random, 20);
		cr_assert(house_open(&house, disk, model, 1 + (uint16_t)chance(&model->random, 4), seed), "%s",
		          house.why);
		house_verify(&house);
		cr_assert(house_run(&house, do_write, &n));
		if (chance(&model->random, 4) == 0)
			cr_assert(house_run(&house, do_image, NULL));
		if (chance(&model->random, 8) == 0)
			cr_assert(house_run(&house, do_flush, NULL));
		cr_assert(house_run(&house, do_write, &n));
		house_close(&house);
	}
	sim_disk_free(disk);
}

/* More eras without an image than a partition can name: a start writes images before it begins the next. */
Test(store, begins_any_number_of_eras)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	uint32_t n = 3;
	for (uint64_t i = 0; i < 2 * RANGES_MAX + 3; i++) {
		cr_assert(house_open(&house, disk, model, 1 + i % 3, i + 1), "%s", house.why);
		house_verify(&house);
		cr_assert(house_run(&house, do_write, &n));
		house_close(&house);
	}
	struct buf text = {0};
	cr_assert(house_check(disk, "data", 1, &text), "%s", (const char *)text.ptr);
	buf_fini(&text);
	sim_disk_free(disk);
}

/* ---- ends and heads -------------------------------------------------------------------------- */

/* Asked to stop while it loads, it does: soon, and nothing has changed. */
Test(store, gives_up_loading)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	uint32_t n = 50;
	bool gives_up = false;
	cr_assert(house_open(&house, disk, model, 2, 1));
	cr_assert(house_run(&house, do_write, &n));
	cr_assert(house_run(&house, do_image, NULL));
	cr_assert(house_run(&house, do_write, &n));
	house_close(&house);
	gives_up = true;
	house.options.gives_up = &gives_up;
	uint64_t writes = sim_disk_counts(disk)->writes;
	for (uint16_t cores = 1; cores <= 3; cores++) {
		cr_assert_not(house_open(&house, disk, model, cores, 2));
		cr_assert(strstr(house.why, "stopped while loading"), "%s", house.why);
	}
	cr_assert_eq(sim_disk_counts(disk)->writes, writes);
	gives_up = false;
	cr_assert(house_open(&house, disk, model, 2, 3), "%s", house.why);
	house_verify(&house);
	house_close(&house);
	sim_disk_free(disk);
}

static void lose_heads(void *arg, const char *path, uint64_t size)
{
	static const uint8_t zeros[8192];
	static uint8_t bytes[4];
	sim_disk_read(arg, path, 0, bytes, sizeof(bytes));
	if (strncmp(path, "data/log/", 9) == 0 && memcmp(bytes, "ORSG", 4) == 0)
		sim_disk_write(arg, path, 0, slice_of(zeros, sizeof(zeros)));
}

/* Not even the manifest says yet that it has any. */
Test(store, misses_the_only_segment_of_a_young_log)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	uint32_t n = 3;
	cr_assert(house_open(&house, disk, model, 1, 1));
	cr_assert(house_run(&house, do_write, &n));
	house_close(&house);
	sim_disk_each(disk, lose_heads, disk);
	cr_assert_not(house_open(&house, disk, model, 1, 2));
	cr_assert(strstr(house.why, "both copies of its head are lost"), "%s", house.why);
	sim_disk_free(disk);
}

static void do_flush_beside_image(struct house *house, void *arg)
{
	struct core *core = house->cores[0].core;
	struct store_facts facts;
	house_write(house, 25);
	cr_assert(store_image_start(core, house->store));
	fiber_sleep(core, chance(&house->random, 300000000));
	house_flush(house);
	house_write(house, 25);
	do {
		fiber_sleep(core, 10000000);
		store_facts(house->store, &facts);
	} while (facts.image_running);
}

/* A database gets another keyspace just when an image of its partition is begun. */
Test(store, images_what_follows_a_flush)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	sim_disk_set_faults(disk, &(struct sim_disk_faults){
	                                  .delay_ns = 100000, .slow = 500, .slow_ns = 20000000, .where = "image/"});
	for (uint64_t seed = 1; seed <= 10; seed++) {
		cr_assert(house_open(&house, disk, model, 2, seed), "%s", house.why);
		house_verify(&house);
		cr_assert(house_run(&house, do_flush_beside_image, NULL));
		house_close(&house);
	}
	sim_disk_free(disk);
}

static void never(struct shard *shard, struct lock_waiter *waiter) { cr_assert(false, "it was free"); }

static void lock_it(struct core *there, void *arg)
{
	cr_assert(lock_take(there->shard->locks,
	                    &(struct lock_waiter){.fingerprint = 1, .kind = LOCK_HOLD, .run = never}));
}

static void unlock_it(struct core *there, void *arg) { lock_release(there->shard, there->shard->locks, 1); }

static void do_image_beside_lock(struct house *house, void *arg)
{
	struct core *core = house->cores[0].core;
	struct store_facts facts;
	house_write(house, 10);
	fiber_call(core, 1, lock_it, NULL);
	cr_assert(store_image_start(core, house->store));
	fiber_sleep(core, 500 * 1000 * 1000);
	store_facts(house->store, &facts);
	cr_assert(facts.image_running, "it counts before the transaction has ended whose changes it may show");
	fiber_call(core, 1, unlock_it, NULL);
	fiber_sleep(core, 500 * 1000 * 1000);
	store_facts(house->store, &facts);
	cr_assert_not(facts.image_running);
	cr_assert_not(facts.image_failed);
}

Test(store, lets_transactions_end_before_images_count)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	cr_assert(house_open(&house, disk, model, 2, 1), "%s", house.why);
	cr_assert(house_run(&house, do_image_beside_lock, NULL));
	house_close(&house);
	sim_disk_free(disk);
}

/* ---- an image that is written while its keys change ----------------------------------------- */

enum { FUZZY_KEYS = 1500, FUZZY_STEPS = 1500, FUZZY_SIZE = 1200 };

static struct key fuzzy_key(const struct house *house, uint32_t k, char *name)
{
	snprintf(name, 32, "{one}:%u", k);
	struct key key = {.name = slice_from_str(name), .keyspace = house->names.of_db[0]};
	key.hash = key_hash(store_hash_seed(house->store), key.name);
	key.slot = slot_of(key.name);
	return key;
}

/* Of results that depend on what was there before. */
static void fuzzy_change(struct house *house, struct shard *shard, uint32_t k)
{
	static uint8_t bytes[3 * FUZZY_SIZE];
	char name[32];
	struct key key = fuzzy_key(house, k, name);
	struct object *object = keyspace_peek(shard, &key);
	uint32_t at = (uint32_t)chance(&house->random, FUZZY_SIZE), what = (uint32_t)chance(&house->random, 5);
	memset(bytes, (int)chance(&house->random, 256), sizeof(bytes));
	if (!object || what == 0)
		string_put(shard, &key, slice_of(bytes, FUZZY_SIZE + at), EXPIRES_NEVER);
	else if (what == 1)
		(void)keyspace_delete(shard, &key);
	else if (what == 2)
		keyspace_expire(shard, &key, object, 4000000000000 + at);
	else {
		size_t length = string_length(object);
		memset(string_edit(shard, &key, length + at / 8) + length - 50, 'p', 50);
		journal_note_patch(shard->journal, length - 50, 50);
	}
}

static void fuzzy_step(struct core *there, void *arg)
{
	struct house *house = arg;
	there->shard->now_ms = there->wall_us / 1000;
	fuzzy_change(house, there->shard, (uint32_t)chance(&house->random, FUZZY_KEYS));
	(void)journal_flush(there->shard->journal);
}

static void do_fuzzy(struct house *house, void *arg)
{
	struct core *core = house->cores[0].core;
	char name[32];
	uint16_t owner = core_of_slot(core, fuzzy_key(house, 0, name).slot);
	for (uint32_t i = 0; i < FUZZY_KEYS; i++)
		fiber_call(core, owner, fuzzy_step, house);
	cr_assert(store_image_start(core, house->store));
	struct store_facts facts;
	uint32_t during = 0;
	do {
		for (uint32_t i = 0; i < 3; i++)
			fiber_call(core, owner, fuzzy_step, house);
		fiber_yield(core);
		store_facts(house->store, &facts);
		during++;
	} while (facts.image_running);
	cr_assert_gt(during, 5, "the image was written before anything could change");
	cr_assert_not(facts.image_failed);
	for (uint32_t i = 0; i < 100; i++)
		fiber_call(core, owner, fuzzy_step, house);
}

static void show(struct house *house, struct buf *out)
{
	char name[32];
	for (uint32_t k = 0; k < FUZZY_KEYS; k++) {
		struct key key = fuzzy_key(house, k, name);
		struct shard *shard = house->cores[core_of_slot(house->cores[0].core, key.slot)].core->shard;
		struct object *object = keyspace_peek(shard, &key);
		buf_printf(out, "%u:", k);
		if (!object)
			continue;
		buf_printf(out, "%ld ", (long)object_expires_ms(object));
		object_pack(object, out);
	}
}

Test(store, replays_what_changed_while_an_image_was_written)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct house house = {.options = {.directory = seed % 2 ? "odd" : "even", .segment_size = 1 << 20}};
		struct buf before = {0}, after = {0};
		cr_assert(house_open(&house, disk, model, 1 + seed % 3, seed), "%s", house.why);
		cr_assert(house_run(&house, do_fuzzy, NULL));
		show(&house, &before);
		house_close(&house);
		cr_assert(house_open(&house, disk, model, 1 + seed % 2, seed), "%s", house.why);
		show(&house, &after);
		cr_assert(slice_equal(buf_slice(&before), buf_slice(&after)), "seed %lu", (unsigned long)seed);
		house_close(&house);
		buf_fini(&before);
		buf_fini(&after);
	}
	sim_disk_free(disk);
}
