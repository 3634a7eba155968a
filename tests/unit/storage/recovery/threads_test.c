/* A store on real threads and files: what cores tell one another while they load, write images and close. */
#include "engine/core/fiber.h"
#include "engine/core/reactor.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "kernels/cpu.h"
#include "storage/journal/journal.h"
#include "storage/keyspace/keyspace.h"
#include "storage/recovery/crew.h"
#include "storage/recovery/store.h"

#include "tests/support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CORES = 3, KEYS = 3000 };

struct place {
	const char *directory;
	struct machine *machine;
	pthread_barrier_t joined;
	struct store *store;
	uint32_t round; /* what the values say */
	uint32_t n_found;
	uint16_t n_cores;
};

struct place_thread {
	struct place *place;
	pthread_t thread;
	uint16_t id;
};

static struct key key_of_number(const struct core *core, uint32_t k, char *name)
{
	snprintf(name, 32, "key:%u", k);
	struct key key = {.name = slice_from_str(name), .slot = slot_of(slice_from_str(name))};
	key.hash = key_hash(core->shard->hash_seed, key.name);
	return key;
}

static void make_shard(struct core *there, void *arg)
{
	there->shard = shard_new(there, store_hash_seed(((struct place *)arg)->store));
}

static void write_keys(struct core *there, void *arg)
{
	struct place *place = arg;
	char name[32], value[32];
	struct journal *journal = there->shard->journal;
	snprintf(value, sizeof(value), "round %u", place->round);
	for (uint32_t k = 0; k < KEYS; k++) {
		struct key key = key_of_number(there, k, name);
		if (core_of_slot(there, key.slot) != there->id)
			continue;
		string_put(there->shard, &key, slice_from_str(value), EXPIRES_NEVER);
		(void)journal_flush(journal);
		if (k % 50 == 0)
			cr_assert_eq(log_wait_for(there, journal_log(journal), log_appended(journal_log(journal))), 0);
	}
}

static void count_keys(struct core *there, void *arg)
{
	struct place *place = arg;
	char name[32], value[32], scratch[STRING_SCRATCH];
	snprintf(value, sizeof(value), "round %u", place->round);
	for (uint32_t k = 0; k < KEYS; k++) {
		struct key key = key_of_number(there, k, name);
		struct object *object = keyspace_peek(there->shard, &key);
		if (object && slice_equal(string_value(object, scratch), slice_from_str(value)))
			__atomic_fetch_add(&place->n_found, 1, __ATOMIC_RELAXED);
	}
}

static void leave(struct core *there, struct message *message) { there->stopped = true; }

static void story(void *arg)
{
	struct place *place = arg;
	struct core *core = core_current();
	char why[1024] = "";
	struct store_options options = {.directory = place->directory, .segment_size = 1 << 20};
	place->store = store_begin(core, &options, why, sizeof(why));
	cr_assert(place->store, "%s", why);
	fiber_call_all(core, make_shard, place);
	cr_assert(store_open(core, place->store, why, sizeof(why)), "%s", why);
	crew_run(core, count_keys, place);
	cr_assert_eq(place->n_found, place->round ? KEYS : 0);
	place->round++;
	cr_assert(store_image_start(core, place->store));
	crew_run(core, write_keys, place);
	struct keyspace_names names = *store_keyspace_names(place->store);
	cr_assert_eq(store_name_keyspaces(core, place->store, &names), 0);
	struct store_facts facts;
	store_facts(place->store, &facts);
	int result = store_image(core, place->store);
	cr_assert(result == 0 || result == -EBUSY);
	store_close(core, place->store);
	for (uint16_t to = 0; to < core->n_cores; to++)
		core_post(core, to, &(struct message){.run = leave});
}

static void thread_main(void *arg)
{
	struct place_thread *t = arg;
	struct place *place = t->place;
	char why[256] = "";
	struct io *io = io_new(t->id % 2 ? IO_EPOLL : IO_AUTO, why, sizeof(why));
	cr_assert(io, "%s", why);
	struct core *core = core_new(place->machine, t->id, io);
	core_set_current(core);
	pthread_barrier_wait(&place->joined);
	if (t->id == 0)
		fiber_start(core, story, place);
	reactor_run(core);
	pthread_barrier_wait(&place->joined);
	if (t->id == 0)
		store_free(place->store);
	pthread_barrier_wait(&place->joined);
	shard_free(core->shard);
	core_free(core);
	io_free(io);
}

static void run_with(struct place *place, uint16_t n_cores)
{
	struct place_thread threads[CORES];
	place->n_cores = n_cores;
	place->n_found = 0;
	place->machine = machine_new(n_cores);
	place->machine->log_level = LOG_WARNING;
	pthread_barrier_init(&place->joined, NULL, n_cores);
	for (uint16_t i = 0; i < n_cores; i++) {
		threads[i] = (struct place_thread){.place = place, .id = i};
		cr_assert_eq(os_thread_start(&threads[i].thread, -1, "core", thread_main, &threads[i]), 0);
	}
	for (uint16_t i = 0; i < n_cores; i++)
		os_thread_join(threads[i].thread);
	machine_free(place->machine);
}

Test(threads, keep_what_was_written, .timeout = 120)
{
	char directory[] = "/tmp/orbit-store-XXXXXX", command[64];
	cr_assert(mkdtemp(directory) != NULL);
	kernels_init(cpu_features());
	struct place place = {.directory = directory};
	for (uint16_t i = 0; i < 6; i++)
		run_with(&place, 1 + i % CORES);
	run_with(&place, CORES);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_assert_eq(system(command), 0);
}
