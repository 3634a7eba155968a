/* Who is refused for want of memory: nobody while values are there that could leave. And the files that they go to. */
#include "tests/unit/storage/recovery/house.h"

#include "engine/core/fiber.h"
#include "storage/keyspace/value.h"
#include "storage/locks/locks.h"
#include "storage/recovery/store_private.h"
#include "storage/tier/tier.h"

#include <criterion/criterion.h>
#include <string.h>

enum { DISK_BYTES = 1 << 28, MEMORY = 256 * 1024, SHORT = 20, LONG = 512, NAME_ROOM = 256 };
static const uint64_t A_MOMENT_NS = 20 * 1000 * 1000; /* the worker ends, and nothing is tried again */

struct story {
	struct house *house;
	struct shard *shard;
	uint32_t n_keys, n_deleted;
};

static struct key key_of(const struct story *story, uint32_t number, char name[NAME_ROOM])
{
	snprintf(name, NAME_ROOM, "pressure:%u", number);
	struct key key = {.name = slice_from_str(name), .keyspace = story->shard->keyspace_of_db[0]};
	key.hash = key_hash(story->shard->hash_seed, key.name);
	key.slot = slot_of(key.name);
	return key;
}

static void put(struct story *story, size_t length)
{
	static const uint8_t value[LONG];
	char name[NAME_ROOM];
	struct key key = key_of(story, story->n_keys++, name);
	story->shard->now_ms = story->shard->core->wall_us / 1000;
	string_put(story->shard, &key, slice_of(value, length), EXPIRES_NEVER);
	(void)journal_flush(story->shard->journal);
}

static void delete_oldest(struct story *story)
{
	char name[NAME_ROOM];
	struct key key = key_of(story, story->n_deleted++, name);
	(void)keyspace_delete(story->shard, &key);
	(void)journal_flush(story->shard->journal);
}

static void pass_a_moment(const struct story *story) { fiber_sleep(story->shard->core, A_MOMENT_NS); }

static void fill(struct story *story, size_t length, unsigned percent)
{
	while (shard_excess(story->shard, percent) == 0) {
		must(shard_admit(story->shard));
		put(story, length);
	}
}

/* There are values that can leave: all wait for them, and then there is room. */
static void expect_room(struct story *story)
{
	must(shard_admit(story->shard));
	must(tier_is_full(story->shard));
	pass_a_moment(story);
	must(shard_excess(story->shard, 100) == 0);
	must(tier_counters(story->shard->tier)->demotions > 0);
}

static void expect_none(struct story *story)
{
	must(shard_excess(story->shard, 100) > 0);
	must(!shard_admit(story->shard));
	must(!tier_is_full(story->shard));
}

static void press(struct house *house, void *arg)
{
	struct story story = {.house = house, .shard = house->cores[0].core->shard};
	/* Nothing can leave, before all is used; then comes what can. */
	fill(&story, SHORT, 93);
	pass_a_moment(&story);
	fill(&story, LONG, 100);
	expect_room(&story);
	/* Nothing can leave, and all is used, and more by what was admitted together. */
	for (int tries = 0; tries < 10 && shard_admit(story.shard); tries++) {
		while (shard_excess(story.shard, 102) == 0)
			put(&story, SHORT);
		pass_a_moment(&story);
	}
	expect_none(&story);
	/* What takes its place is less than that, and can leave. */
	while (shard_excess(story.shard, 99) > 0)
		delete_oldest(&story);
	fill(&story, LONG, 100);
	expect_room(&story);
}

Test(pressure, refuses_nobody_while_values_can_leave)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {.memory_max = MEMORY};
	cr_assert(house_open(&house, disk, model, 1, 1), "%s", house.why);
	cr_assert(house_run(&house, press, NULL));
	house_close(&house);
	sim_disk_free(disk);
}

/* ---- values that are locked for long -------------------------------------------------------------- */

static const uint64_t LONG_NS = 2000ull * 1000 * 1000;

struct asker {
	struct room_waiter room;
	bool told, has_room;
};

static void note_answer(struct shard *shard, struct room_waiter *waiter)
{
	struct asker *asker = container_of(waiter, struct asker, room);
	asker->told = true;
	asker->has_room = shard_admit(shard) && shard_excess(shard, 100) == 0;
}

static void ask(const struct story *story, struct asker *asker)
{
	*asker = (struct asker){.room.run = note_answer};
	must(tier_is_full(story->shard));
	tier_wait_for_room(story->shard, &asker->room);
}

/* Whoever finds all locked for long is refused; but whoever comes later waits too, and gets room once it is there. */
static void lock_all(struct house *house, void *arg)
{
	struct story story = {.house = house, .shard = house->cores[0].core->shard};
	struct locks *locks = story.shard->locks;
	struct asker first, second;
	char name[NAME_ROOM];
	while (shard_excess(story.shard, 100) == 0) {
		must(lock_try(locks, key_of(&story, story.n_keys, name).hash));
		put(&story, LONG);
	}
	ask(&story, &first);
	fiber_sleep(story.shard->core, LONG_NS);
	must(first.told && !first.has_room);
	ask(&story, &second);
	pass_a_moment(&story);
	must(!second.told);
	for (uint32_t i = 0; i < story.n_keys; i++)
		lock_release(story.shard, locks, key_of(&story, i, name).hash);
	pass_a_moment(&story);
	must(second.told && second.has_room);
}

Test(pressure, lets_who_comes_later_wait_for_what_is_locked)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {.memory_max = MEMORY};
	cr_assert(house_open(&house, disk, model, 1, 1), "%s", house.why);
	cr_assert(house_run(&house, lock_all, NULL));
	house_close(&house);
	sim_disk_free(disk);
}

/* ---- files ----------------------------------------------------------------------------------- */

enum { SLOW_NS = 2 * 1000 * 1000, SEEDS = 40 };

struct sweeper {
	struct store *store;
	bool stops, has_stopped;
};

static void sweep(void *arg)
{
	struct sweeper *sweeper = arg;
	struct core *core = core_current();
	while (!sweeper->stops)
		tiers_remove_files(core, sweeper->store);
	sweeper->has_stopped = true;
}

/* Files that nobody needs are removed all the time, on a disk on which a file takes long to make. */
static void write_and_sweep(struct house *house, void *arg)
{
	struct story story = {.house = house, .shard = house->cores[0].core->shard};
	struct sweeper sweeper = {.store = house->store};
	struct core *core = story.shard->core;
	fiber_start(core, sweep, &sweeper);
	fill(&story, LONG, 100);
	expect_room(&story);
	sweeper.stops = true;
	while (!sweeper.has_stopped)
		pass_a_moment(&story);
}

static void keep_files(uint64_t seed)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	sim_disk_set_faults(disk, &(struct sim_disk_faults){.delay_ns = SLOW_NS});
	struct model *model = model_new(seed);
	struct house house = {.memory_max = MEMORY};
	struct buf text = {0};
	cr_assert(house_open(&house, disk, model, 1, seed), "%s", house.why);
	cr_assert(house_run(&house, write_and_sweep, NULL));
	house_close(&house);
	cr_assert(house_check(disk, "data", seed, &text), "%.*s", (int)text.len, (const char *)text.ptr);
	buf_fini(&text);
	sim_disk_free(disk);
}

Test(pressure, keeps_the_file_that_is_being_made)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		keep_files(seed);
}
