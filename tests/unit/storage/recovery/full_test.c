/* A full disk: it refuses what grows, serves the rest, starts again, and recovers by itself. */
#include "tests/unit/storage/recovery/house.h"

#include "engine/core/fiber.h"
#include "engine/placement/placement.h"
#include "storage/keyspace/keyspace.h"
#include "storage/recovery/crew.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISK_BYTES = 1 << 30, SEGMENT_SIZE = 64 * 1024, VALUE_BYTES = 3000, NAME_ROOM = 32 };
static const uint64_t MS = 1000 * 1000;

/* ---- keys of these tests ------------------------------------------------------------------------ */

/* What is done to key `k` on its core, if the log there takes it. */
struct deed {
	struct house *house;
	uint32_t k, n;
	enum shard_use use;
	enum err err;
	bool exists;
};

static struct key key_of(const struct house *house, uint32_t k, char name[NAME_ROOM])
{
	snprintf(name, NAME_ROOM, "full:%u", k);
	struct key key = {.name = slice_from_str(name), .keyspace = house->cores[0].core->shard->keyspace_of_db[0]};
	key.hash = key_hash(store_hash_seed(house->store), key.name);
	key.slot = slot_of(key.name);
	return key;
}

static void do_there(struct core *there, void *arg)
{
	static uint8_t value[VALUE_BYTES];
	struct deed *deed = arg;
	struct shard *shard = there->shard;
	char name[NAME_ROOM];
	struct key key = key_of(deed->house, deed->k, name);
	shard->now_ms = there->wall_us / 1000;
	deed->err = shard_refuses(shard, deed->use);
	if (deed->err != OK)
		return;
	/* Nothing that compresses: images take as much room as the values do. */
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)core_random(there);
	if (deed->use == SHARD_GROWS)
		string_put(shard, &key, slice_of(value, sizeof(value)), EXPIRES_NEVER);
	else if (deed->use == SHARD_WRITES)
		(void)keyspace_delete(shard, &key);
	else
		deed->exists = keyspace_find(shard, &key, FIND_READ) != NULL;
	(void)journal_flush(shard->journal);
}

static void wait_there(struct core *there, void *arg)
{
	struct log *log = journal_log(there->shard->journal);
	*(int *)arg = log_wait_for(there, log, log_appended(log));
}

static enum err act(struct house *house, enum shard_use use, uint32_t k, bool *exists)
{
	struct core *core = house->cores[0].core;
	char name[NAME_ROOM];
	struct deed deed = {.house = house, .k = k, .use = use};
	uint16_t owner = core_of_slot(core, key_of(house, k, name).slot);
	fiber_call(core, owner, do_there, &deed);
	if (exists)
		*exists = deed.exists;
	return deed.err;
}

static void pass(struct house *house, uint64_t ns) { fiber_sleep(house->cores[0].core, ns); }

static void sync_all(struct house *house)
{
	int result = 0;
	for (uint16_t id = 0; id < house->n_cores; id++) {
		crew_run_on(house->cores[0].core, id, wait_there, &result);
		must(result == 0);
	}
}

static void set_room(struct house *house, uint64_t bytes)
{
	sim_disk_set_faults(house->disk, &(struct sim_disk_faults){.delay_ns = 100 * 1000, .room_bytes = bytes});
}

/* Somebody else takes all that is free. */
static void take_the_rest(struct house *house) { set_room(house, sim_disk_used_bytes(house->disk)); }

/* New keys from `k` on until nothing may grow; the first that was refused. */
static uint32_t fill(struct house *house, uint32_t k)
{
	for (;; k++) {
		enum err err = act(house, SHARD_GROWS, k, NULL);
		if (err == ERR_NO_ROOM)
			return k;
		must(err == OK);
		must(k < 100000, "it is never full");
		if (k % 8 == 0)
			sync_all(house);
	}
}

static void must_hold(struct house *house, uint32_t from, uint32_t to)
{
	for (uint32_t k = from; k < to; k++) {
		bool exists = false;
		must(act(house, SHARD_READS, k, &exists) == OK);
		must(exists, "key %u", k);
	}
}

/* How long it takes until key `k` may be put. */
static uint64_t until_room(struct house *house, uint32_t k)
{
	struct core *core = house->cores[0].core;
	uint64_t from_ns = core->now_ns;
	while (act(house, SHARD_GROWS, k, NULL) != OK) {
		must(core->now_ns - from_ns < 60000 * MS, "there is never room again");
		pass(house, 100 * MS);
	}
	return core->now_ns - from_ns;
}

static void tell(uint16_t n_cores, void (*story)(struct house *house, void *arg))
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {.options.image_log_bytes = UINT64_MAX};
	struct buf text = {0};
	cr_assert(house_open(&house, disk, model, n_cores, 1), "%s", house.why);
	cr_assert(house_run(&house, story, NULL));
	house_close(&house);
	cr_assert(house_check(disk, "data", 1, &text), "%s", (const char *)text.ptr);
	buf_fini(&text);
	sim_disk_free(disk);
}

#define STORY(name, n_cores)                                     \
	static void full_##name(struct house *house, void *arg); \
	Test(full, name) { tell(n_cores, full_##name); }         \
	static void full_##name(struct house *house, void *arg)

/* ---- stories -------------------------------------------------------------------------------------- */

/* A few keys, again and again: all that fills the disk is the log. */
STORY(of_its_own_log_it_is_not_for_long, 2)
{
	uint32_t refused = 0;
	set_room(house, 4 << 20);
	for (uint32_t i = 0; i < 4000; i++) {
		enum err err = act(house, SHARD_GROWS, i % 100, NULL);
		if (err != OK) {
			must(err == ERR_NO_ROOM);
			refused++;
			must_hold(house, 0, 99);
			must(act(house, SHARD_WRITES, 99, NULL) == OK);
			must(until_room(house, i % 100) < 20000 * MS);
		}
		if (i % 8 == 0)
			sync_all(house);
	}
	must(refused > 2, "%u", refused);
	must_hold(house, 0, 98);
}

/* What was deleted makes room, by itself: images of the rest let go of the log. */
STORY(of_keys_it_takes_deletions, 2)
{
	set_room(house, 4 << 20);
	uint32_t n = fill(house, 0);
	/* Rounds go on as long as they make room. */
	for (uint64_t waited = 0; waited < 60; waited++) {
		pass(house, 1000 * MS);
		if (act(house, SHARD_GROWS, n, NULL) == OK)
			n = fill(house, n + 1);
	}
	must(n > 250, "%u", n);
	must_hold(house, 0, n);
	for (uint32_t k = 0; k < n; k += 2) {
		must(act(house, SHARD_WRITES, k, NULL) == OK, "key %u of %u", k, n);
		if (k % 64 == 0)
			sync_all(house);
	}
	sync_all(house);
	must(until_room(house, n) < 20000 * MS);
}

/* Writers that are faster than files are made. */
STORY(suddenly_it_takes_deletions, 1)
{
	uint32_t n = 0;
	take_the_rest(house);
	for (; n < 40; n++) {
		must(act(house, SHARD_GROWS, n, NULL) == OK);
		must(act(house, SHARD_WRITES, 1000 + n, NULL) == OK);
	}
	pass(house, 2000 * MS);
	must(act(house, SHARD_GROWS, n, NULL) == ERR_NO_ROOM);
	for (uint32_t k = 0; k < 20; k++)
		must(act(house, SHARD_WRITES, k, NULL) == OK);
	must_hold(house, 20, n);
	sync_all(house);
}

/* Others have taken all the room; what is kept serves those who delete, and the next starts. */
STORY(of_others_files_it_serves_what_it_can, 2)
{
	set_room(house, 4 << 20);
	pass(house, 2000 * MS);
	uint32_t n = 100;
	for (uint32_t k = 0; k < n; k++)
		must(act(house, SHARD_GROWS, k, NULL) == OK);
	sync_all(house);
	take_the_rest(house);
	n = fill(house, n);
	for (uint32_t k = 0; k < 20; k++) {
		must(act(house, SHARD_WRITES, k, NULL) == OK);
		sync_all(house);
	}
	must_hold(house, 20, n);
	pass(house, 10000 * MS);
	must(act(house, SHARD_WRITES, 20, NULL) == OK);
	set_room(house, 0);
	must(until_room(house, n) < 5000 * MS);
}

/* Not even deletions: but all of it at once, and then there is room. */
STORY(to_the_last_block_it_can_be_emptied, 2)
{
	set_room(house, 4 << 20);
	uint32_t n = fill(house, 0), k = 0;
	pass(house, 30000 * MS);
	n = fill(house, n);
	take_the_rest(house);
	for (enum err err = OK; err == OK && k < 20000; k++) {
		err = act(house, SHARD_WRITES, k % n, NULL);
		if (err == OK && k < n)
			err = act(house, SHARD_WRITES, n + k, NULL); /* no change, and so no record */
		sync_all(house);
		must(err == OK || err == ERR_NO_ROOM);
	}
	must(shard_refuses(house->cores[0].core->shard, SHARD_FREES) == OK);
	house_flush(house);
	(void)store_image_start(house->cores[0].core, house->store);
	must(until_room(house, 0) < 20000 * MS);
}

/* ---- lives ------------------------------------------------------------------------------------------ */

struct fullness {
	uint32_t n;
};

static void do_fill(struct house *house, void *arg)
{
	struct fullness *fullness = arg;
	set_room(house, 4 << 20);
	fullness->n = fill(house, 0);
	take_the_rest(house);
	fullness->n = fill(house, fullness->n);
	sync_all(house);
}

static void do_serve(struct house *house, void *arg)
{
	struct fullness *fullness = arg;
	must_hold(house, 0, fullness->n);
	must(act(house, SHARD_WRITES, fullness->n - 1, NULL) == OK);
	sync_all(house);
	fullness->n--;
}

static void do_recover(struct house *house, void *arg)
{
	struct fullness *fullness = arg;
	must_hold(house, 0, fullness->n);
	set_room(house, 0);
	must(until_room(house, fullness->n) < 5000 * MS);
}

/* On a disk without a free block it starts again and again, with any number of cores. */
Test(full, it_starts)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {.options.image_log_bytes = UINT64_MAX};
	struct fullness fullness;
	cr_assert(house_open(&house, disk, model, 2, 1), "%s", house.why);
	cr_assert(house_run(&house, do_fill, &fullness));
	house_close(&house);
	for (uint64_t i = 0; i < 6; i++) {
		cr_assert(house_open(&house, disk, model, 2 + i / 4, i), "life %d: %s", (int)i, house.why);
		cr_assert(house_run(&house, do_serve, &fullness));
		house_close(&house);
	}
	cr_assert(house_open(&house, disk, model, 1, 9), "%s", house.why);
	cr_assert(house_run(&house, do_recover, &fullness));
	house_close(&house);
	sim_disk_free(disk);
}

/* ---- lives that are too short for an image ---------------------------------------------------------- */

enum { FEW = 20, SHORT_LIVES = 16 };

/* Few keys again and again, until nothing may grow; then deletions, until none is taken or for a while. */
static void do_wear_out(struct house *house, void *arg)
{
	uint32_t life = *(uint32_t *)arg;
	if (life == 0)
		set_room(house, 4 << 20);
	for (uint32_t k = 0; act(house, SHARD_GROWS, k % FEW, NULL) == OK; k++)
		sync_all(house);
	for (uint32_t k = 0; k < 300 * life && act(house, SHARD_WRITES, k % FEW, NULL) == OK; k++)
		(void)act(house, SHARD_GROWS, k % FEW, NULL);
}

static void do_find_room(struct house *house, void *arg) { must(until_room(house, 0) < 20000 * MS); }

static void live_shortly(struct sim_disk *disk, struct model *model, uint32_t life)
{
	struct house house = {.options.image_log_bytes = UINT64_MAX};
	pid_t child = fork();
	if (child == 0) {
		must(house_open(&house, disk, model, 1 + life % 3, life), "life %u: %s", life, house.why);
		(void)house_run(&house, do_wear_out, &life);
		_exit(0);
	}
	int status = -1;
	waitpid(child, &status, 0);
	cr_assert(status == 0, "life %u", life);
	sim_disk_kill(disk, life);
}

/* What fills the disk is the log, and no life was long enough to make room: the next is. */
Test(full, of_logs_of_short_lives_it_is_not_for_long)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {.options.image_log_bytes = UINT64_MAX};
	for (uint32_t life = 0; life < SHORT_LIVES; life++)
		live_shortly(disk, model, life);
	cr_assert(house_open(&house, disk, model, 2, 99), "%s", house.why);
	cr_assert(house_run(&house, do_find_room, NULL));
	house_close(&house);
	sim_disk_free(disk);
}
