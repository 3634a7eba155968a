/* What a change costs to note and to log, append included: a put in a shard with a journal beside the same in
 * one without, thread CPU time, medians of rounds that alternate, and the tenth that neighbours disturbed least. The
 * frames are written between rounds.
 *
 *   perf/journal DIRECTORY    made if it is not there; a log is left in it
 */
#include "storage/journal/journal.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "kernels/cpu.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 1000, PUTS = 1000, ROUNDS = 401, NAME_SIZE = 16, SEGMENT_SIZE = 64 << 20 };

struct bench {
	struct core *core;
	const char *directory;
	struct shard *plain, *noted;
	struct log *log;
	char names[KEYS][NAME_SIZE + 1];
	uint8_t value[64 * 1024];
	uint64_t random;
	struct key keys[PUTS]; /* of the round */
	double plain_ns[ROUNDS], noted_ns[ROUNDS];
};

static void choose_keys(struct bench *b)
{
	for (int i = 0; i < PUTS; i++) {
		b->random = b->random * 6364136223846793005u + 1442695040888963407u;
		struct slice name = slice_of(b->names[(b->random >> 32) % KEYS], NAME_SIZE);
		b->keys[i] =
		        (struct key){.name = name, .hash = key_hash(b->plain->hash_seed, name), .slot = slot_of(name)};
	}
}

static double round_ns(struct bench *b, struct shard *shard, size_t size, int commands)
{
	uint64_t from_ns = os_thread_cpu_ns();
	for (int i = 0; i < PUTS; i++) {
		string_put_bytes(shard, &b->keys[i], slice_of(b->value, size), EXPIRES_NEVER, false);
		if (shard->journal && (i + 1) % commands == 0)
			journal_flush(shard->journal);
	}
	return (double)(os_thread_cpu_ns() - from_ns) / PUTS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void sort(double *values) { qsort(values, ROUNDS, sizeof(*values), compare); }

static void drain(struct bench *b)
{
	if (log_wait_for(b->core, b->log, log_appended(b->log)) != 0)
		abort();
	log_forget_before(b->log, log_durable(b->log)); /* segments come back: the directory stays small */
}

static void measure(struct bench *b, size_t size, int keys_each, const char *what)
{
	for (int i = 0; i < ROUNDS; i++) {
		choose_keys(b);
		b->plain_ns[i] = round_ns(b, b->plain, size, keys_each);
		b->noted_ns[i] = round_ns(b, b->noted, size, keys_each);
		drain(b);
	}
	sort(b->plain_ns);
	sort(b->noted_ns);
	const double *plain = &b->plain_ns[ROUNDS / 2], *noted = &b->noted_ns[ROUNDS / 2];
	const double *plain_calm = &b->plain_ns[ROUNDS / 10], *noted_calm = &b->noted_ns[ROUNDS / 10];
	printf("%-36s %7.1f ns without, %7.1f with: %6.1f for the journal, %6.1f in the calmest tenth\n", what, *plain,
	       *noted, *noted - *plain, *noted_calm - *plain_calm);
}

static void open_log(struct bench *b)
{
	struct log_start start = {.id = 1,
	                          .epoch = 1,
	                          .next_lsn = 1,
	                          .segment_size = SEGMENT_SIZE,
	                          .directory = b->directory,
	                          .next_number = 1,
	                          .number_step = 1,
	                          .next_generation = 1};
	char path[4096];
	int error = 0;
	snprintf(path, sizeof(path), "%s/log", b->directory);
	(void)!dir_make(b->core, b->directory); /* it may be there */
	(void)!dir_make(b->core, path);
	b->log = log_open(b->core, &start, &error);
	if (!b->log) {
		fprintf(stderr, "%s: no log: error %d\n", b->directory, -error);
		exit(1);
	}
}

static void run(void *arg)
{
	struct bench *b = arg;
	open_log(b);
	b->noted->journal = journal_new(b->noted, b->log);
	measure(b, 16, 1, "16-byte values, a command each");
	measure(b, 100, 1, "100-byte values");
	measure(b, 1000, 1, "1000-byte values");
	measure(b, 16, 10, "16-byte values, ten keys a command");
	journal_free(b->noted->journal);
	log_close(b->log);
	b->core->stopped = true;
}

int main(int argc, char **argv)
{
	char why[200];
	if (argc != 2) {
		fprintf(stderr, "perf/journal DIRECTORY\n");
		return 2;
	}
	kernels_init(cpu_features());
	struct machine *machine = machine_new(1);
	struct io *io = io_new(IO_AUTO, why, sizeof(why));
	struct core *core = core_new(machine, 0, io);
	struct bench *b = memory_zalloc(sizeof(*b));
	*b = (struct bench){.core = core,
	                    .directory = argv[1],
	                    .plain = shard_new(core, 42),
	                    .noted = shard_new(core, 42),
	                    .random = 1};
	for (int i = 0; i < KEYS; i++)
		snprintf(b->names[i], NAME_SIZE + 1, "key:%012d", i);
	fiber_start(core, run, b);
	reactor_run(core);
	shard_free(b->plain);
	shard_free(b->noted);
	memory_free(b);
	core_free(core);
	io_free(io);
	machine_free(machine);
	return 0;
}
