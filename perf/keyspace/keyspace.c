/* What a key costs: bytes at growing counts, with and without expiry, and nanoseconds to put it
 * and to find it. Keys and values of 16 bytes, one core with all partitions.
 *
 *   perf/keyspace [most keys, in millions]
 */
#include "storage/keyspace/keyspace.h"
#include "engine/core/core.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"
#include "engine/memory/slab.h"
#include "engine/placement/placement.h"
#include "kernels/cpu.h"

#include <stdio.h>
#include <stdlib.h>

enum { WINDOW = 16, ROUND = 64 * WINDOW, ROUNDS = 500, NAME_SIZE = 16 };

static const double checkpoints[] = {0.001, 0.01, 0.1, 1, 1.4, 2, 2.8, 4, 5.7, 8, 10};

struct totals {
	double sum, worst; /* bytes per key, from a million keys on */
	int n;
	uint64_t longest_put_ns;
	uint64_t slow_puts; /* above 200 us */
};

static struct key numbered(const struct shard *shard, uint32_t number, char name[NAME_SIZE + 1])
{
	snprintf(name, NAME_SIZE + 1, "key:%012u", number);
	struct slice s = slice_of(name, NAME_SIZE);
	return (struct key){.name = s, .hash = key_hash(shard->hash_seed, s), .slot = slot_of(s)};
}

static void put(struct shard *shard, uint32_t number, bool expires)
{
	char name[NAME_SIZE + 1], value[NAME_SIZE + 1];
	struct key key = numbered(shard, number, name);
	snprintf(value, sizeof(value), "value:%010u", number);
	int64_t expires_ms = 1000000000 + (int64_t)number;
	string_put(shard, &key, slice_of(value, 16), expires ? expires_ms : EXPIRES_NEVER);
}

static void note_put(struct totals *totals, uint64_t ns)
{
	totals->slow_puts += ns > 200000;
	if (ns > totals->longest_put_ns)
		totals->longest_put_ns = ns;
}

static void grow(struct shard *shard, uint32_t from, uint32_t to, bool expires, struct totals *totals)
{
	for (uint32_t i = from; i < to; i++) {
		uint64_t before_ns = os_thread_cpu_ns();
		put(shard, i, expires);
		note_put(totals, os_thread_cpu_ns() - before_ns);
	}
}

/* What the clock shows when nothing is done: interrupts, and a hypervisor that takes the CPU away
 * unseen. A put's longest time says nothing where this says the same. */
static void report_noise(uint32_t times)
{
	struct totals noise = {0};
	for (uint32_t i = 0; i < times; i++) {
		uint64_t before_ns = os_thread_cpu_ns();
		for (volatile int spin = 0; spin < 200; spin++)
			;
		note_put(&noise, os_thread_cpu_ns() - before_ns);
	}
	printf("  longest turn of an empty loop %lu us; %lu above 200 us\n", noise.longest_put_ns / 1000,
	       noise.slow_puts);
}

static void report_memory(const struct shard *shard, uint32_t keys, uint64_t empty, struct totals *totals)
{
	double resident = (double)(os_resident_bytes() - empty) / keys, counted = (double)shard_memory(shard) / keys;
	printf("%9u keys: %6.1f bytes resident, %6.1f counted (tables %5.1f), slab %6.1f per key\n", keys, resident,
	       counted, (double)shard->counters.tables_bytes / keys, (double)slab_mapped(shard->slab) / keys);
	if (keys < 1000000)
		return;
	totals->sum += resident;
	totals->n++;
	if (resident > totals->worst)
		totals->worst = resident;
}

static uint64_t random_state = 1;
static uint32_t random_number(uint32_t below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 32) * below >> 32);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static uint32_t find_all(struct shard *shard, const struct key *keys, bool prefetch)
{
	uint32_t found = 0;
	for (int w = 0; w < ROUND; w += WINDOW) {
		for (int i = 0; prefetch && i < WINDOW; i++)
			keyspace_prefetch_bucket(shard, &keys[w + i]);
		for (int i = 0; prefetch && i < WINDOW; i++)
			keyspace_prefetch_object(shard, &keys[w + i]);
		for (int i = 0; i < WINDOW; i++) {
			struct object *object = keyspace_find(shard, &keys[w + i], FIND_READ);
			found += object && string_length(object) == NAME_SIZE;
		}
	}
	return found;
}

/* The median round; names are made outside the measured time. */
static double find_ns(struct shard *shard, uint32_t keys, uint32_t first, bool prefetch)
{
	static char names[ROUND][NAME_SIZE + 1];
	static struct key window[ROUND];
	static uint64_t spent_ns[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < ROUND; i++)
			window[i] = numbered(shard, first + random_number(keys), names[i]);
		uint64_t from_ns = os_thread_cpu_ns();
		uint32_t found = find_all(shard, window, prefetch);
		spent_ns[round] = os_thread_cpu_ns() - from_ns;
		if (found != (first == 0 ? ROUND : 0))
			abort();
	}
	qsort(spent_ns, ROUNDS, sizeof(spent_ns[0]), compare_u64);
	return (double)spent_ns[ROUNDS / 2] / ROUND;
}

static double overwrite_ns(struct shard *shard, uint32_t keys, bool expires)
{
	uint64_t from_ns = os_thread_cpu_ns();
	for (int i = 0; i < ROUND * ROUNDS; i++)
		put(shard, random_number(keys), expires);
	return (double)(os_thread_cpu_ns() - from_ns) / (ROUND * ROUNDS);
}

/* New keys under a limit that the keys there already reach. */
static void report_eviction(struct shard *shard, uint32_t first, bool expires)
{
	uint64_t before = shard->counters.evicted;
	shard->memory_max = shard_memory(shard);
	shard->policy = EVICT_ALLKEYS_LRU;
	uint64_t from_ns = os_thread_cpu_ns();
	for (uint32_t i = 0; i < ROUND * ROUNDS; i++) {
		shard_admit(shard);
		put(shard, first + i, expires);
	}
	printf("  put of a new key at the limit %.1f ns, %.2f evictions each\n",
	       (double)(os_thread_cpu_ns() - from_ns) / (ROUND * ROUNDS),
	       (double)(shard->counters.evicted - before) / (ROUND * ROUNDS));
}

static void report_speed(struct shard *shard, uint32_t keys, bool expires)
{
	double near = find_ns(shard, 1000, 0, false), near_window = find_ns(shard, 1000, 0, true);
	printf("  find, ns: 1000 hot keys %.1f, in windows %.1f", near, near_window);
	double far = find_ns(shard, keys, 0, false), far_window = find_ns(shard, keys, 0, true);
	printf("; any key %.1f, in windows %.1f", far, far_window);
	printf("; absent %.1f, in windows %.1f\n", find_ns(shard, keys, keys, false), find_ns(shard, keys, keys, true));
	printf("  put over any key %.1f ns (with the text of it made)\n", overwrite_ns(shard, keys, expires));
}

static void run(struct core *core, uint32_t most, bool expires)
{
	struct shard *shard = shard_new(core, 42);
	struct totals totals = {0};
	shard->now_ms = 1000000;
	uint64_t empty = os_resident_bytes();
	uint32_t keys = 0;
	printf("%s expiry\n", expires ? "with" : "without");
	for (size_t i = 0; i < array_len(checkpoints) && checkpoints[i] * 1e6 <= most; i++) {
		uint32_t to = (uint32_t)(checkpoints[i] * 1e6);
		grow(shard, keys, to, expires, &totals);
		keys = to;
		report_memory(shard, keys, empty, &totals);
		if (keys == 10000 || keys == 1000000 || keys == most)
			report_speed(shard, keys, expires);
	}
	report_eviction(shard, keys, expires);
	if (totals.n)
		printf("  from a million keys on: mean %.1f, worst %.1f bytes\n", totals.sum / totals.n, totals.worst);
	printf("  longest put %lu us of thread CPU; %lu above 200 us\n", totals.longest_put_ns / 1000,
	       totals.slow_puts);
	report_noise(keys);
	shard_free(shard);
}

int main(int argc, char **argv)
{
	char why[200];
	setvbuf(stdout, NULL, _IOLBF, 0); /* it takes minutes: each line when it is known, into a file too */
	kernels_init(cpu_features());
	struct machine *machine = machine_new(1);
	struct io *io = io_new(IO_AUTO, why, sizeof(why));
	struct core *core = core_new(machine, 0, io);
	uint32_t most = argc > 1 ? (uint32_t)(atof(argv[1]) * 1e6) : 10000000;
	run(core, most, false);
	run(core, most, true);
	core_free(core);
	io_free(io);
	machine_free(machine);
	return 0;
}
