/* What the log costs: nanoseconds to append a record, its write aside; those of its checksums, when its frame is shut;
 * commits a second when each of some sessions waits for its own; megabytes a second to read it back. On real files in
 * the present folder.
 *
 *   perf-log [epoll]
 */
#include "engine/log/log.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/core/reactor_private.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"
#include "kernels/cpu.h"
#include "storage/log/frame_private.h"
#include "storage/log/log.h"
#include "storage/log/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SEGMENT_SIZE = 16 * 1024 * 1024,
	BACKLOG = 2 * 1024 * 1024,
	BATCH = 1000,
	BATCHES = 3000,
	COMMITS_NS = 2000 * 1000 * 1000
};

static const char directory[] = "perf-log.data";

struct bench {
	struct core *core;
	struct log *log;
	int left;         /* sessions */
	uint64_t commits; /* of all */
	uint64_t until_ns;
	struct fiber *waits;
};

static struct log *open_log(struct bench *b)
{
	struct log_start start = {.id = 1,
	                          .epoch = 1,
	                          .next_lsn = 1,
	                          .segment_size = SEGMENT_SIZE,
	                          .directory = directory,
	                          .next_number = 1,
	                          .number_step = 1,
	                          .next_generation = 1};
	int error = dir_make(b->core, directory);
	char path[64];
	snprintf(path, sizeof(path), "%s/log", directory);
	error = error ? error : dir_make(b->core, path);
	struct log *log = error ? NULL : log_open(b->core, &start, &error);
	if (!log) {
		fprintf(stderr, "perf-log: %s\n", strerror(-error));
		exit(1);
	}
	return log;
}

static void remove_all(struct bench *b)
{
	struct buf names = {0};
	char path[400];
	snprintf(path, sizeof(path), "%s/log", directory);
	if (dir_list(b->core, path, &names) < 0)
		return;
	for (size_t at = 0; at < names.len; at += strlen((const char *)names.ptr + at) + 1) {
		snprintf(path, sizeof(path), "%s/log/%s", directory, (const char *)names.ptr + at);
		(void)!file_remove(b->core, path);
	}
	snprintf(path, sizeof(path), "%s/log", directory);
	rmdir(path);
	rmdir(directory);
	buf_fini(&names);
}

/* ---- appending ------------------------------------------------------------------------------- */

static uint64_t append_batch(struct log *log, size_t size)
{
	static uint8_t bytes[4096];
	const struct slice parts[2] = {slice_of(bytes, 16), slice_of(bytes + 16, size - 16)};
	uint64_t before_ns = os_thread_cpu_ns();
	for (int i = 0; i < BATCH; i++)
		log_append(log, RECORD_KEY_PUT, 1, 1, parts, 2, false);
	return os_thread_cpu_ns() - before_ns;
}

static void measure_append(struct bench *b, size_t size)
{
	uint64_t ns = 0, best_ns = UINT64_MAX;
	log_set_mode(b->log, LOG_EVERYSEC);
	for (int i = 0; i < BATCHES; i++) {
		uint64_t took_ns = append_batch(b->log, size);
		ns += took_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
		log_forget_before(b->log, log_durable(b->log));
		while (log_backlog(b->log) > BACKLOG)
			fiber_sleep(b->core, 100 * 1000);
	}
	printf("append of %4zu bytes: %5.1f ns; %5.1f in an undisturbed moment\n", size, (double)ns / BATCH / BATCHES,
	       (double)best_ns / BATCH);
}

/* A record's checksum, and its share of the frame's. The bytes come from memory that was last seen a frame ago. */
static void measure_sums(size_t size)
{
	enum { FRAMES = 8, ROUNDS = 200 };
	uint8_t *frames = memory_aligned(LOG_BLOCK, FRAMES * FRAME_MAX);
	struct record_header record = {.length = (uint32_t)size, .kind = RECORD_KEY_PUT};
	struct frame_header header = {.used = sizeof(header), .first_lsn = 1};
	for (; header.used + sizeof(record) + size <= FRAME_MAX; header.n_records++) {
		for (int i = 0; i < FRAMES; i++)
			memcpy(frames + i * FRAME_MAX + header.used, &record, sizeof(record));
		header.used += (uint32_t)(sizeof(record) + size);
	}
	uint64_t best_ns = UINT64_MAX, from_ns = os_thread_cpu_ns();
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before_ns = os_thread_cpu_ns();
		(void)frame_seal_new(frames + i % FRAMES * FRAME_MAX, &header, record_seed(1));
		uint64_t took_ns = os_thread_cpu_ns() - before_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	printf("checksums of %4zu bytes: %5.1f ns; %5.1f in an undisturbed moment\n", size,
	       (double)(os_thread_cpu_ns() - from_ns) / ROUNDS / header.n_records, (double)best_ns / header.n_records);
	memory_free(frames);
}

/* ---- commits ------------------------------------------------------------------------------------ */

static void session(void *arg)
{
	struct bench *b = arg;
	static const uint8_t bytes[100];
	const struct slice part = slice_of(bytes, sizeof(bytes));
	while (b->core->now_ns < b->until_ns && !log_failed(b->log)) {
		uint64_t lsn = log_append(b->log, RECORD_KEY_PUT, 1, 1, &part, 1, false);
		b->commits += log_wait_for(b->core, b->log, lsn) == 0;
	}
	if (--b->left == 0)
		fiber_wake(b->core, b->waits);
}

static void measure_commits(struct bench *b, int sessions)
{
	struct log_counters before = *log_counters(b->log);
	log_set_mode(b->log, LOG_ALWAYS);
	core_refresh_clock(b->core);
	uint64_t cpu_ns = os_thread_cpu_ns();
	b->commits = 0;
	b->left = sessions;
	b->waits = fiber_self(b->core);
	b->until_ns = b->core->now_ns + COMMITS_NS;
	for (int i = 0; i < sessions; i++)
		fiber_start(b->core, session, b);
	fiber_wait(b->core);
	cpu_ns = os_thread_cpu_ns() - cpu_ns;
	const struct log_counters *now = log_counters(b->log);
	uint64_t frames = now->frames - before.frames;
	printf("%4d sessions: %8.0f commits/s, %6.1f to a frame, a write takes %4.0f us; %5.2f us of CPU a commit\n",
	       sessions, (double)b->commits * 1e9 / COMMITS_NS, (double)b->commits / (double)frames,
	       (double)(now->write_ns - before.write_ns) / (double)frames / 1000,
	       (double)cpu_ns / 1000 / (double)b->commits);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	uint64_t x = ((const struct segment_info *)a)->head.place, y = ((const struct segment_info *)b)->head.place;
	return x < y ? -1 : x > y;
}

static void measure_reading(struct bench *b)
{
	struct segment_list all = {0}, used = {0};
	const struct record *records;
	uint32_t n;
	if (segments_survey(b->core, directory, &all) < 0)
		return;
	for (uint32_t i = 0; i < all.n; i++)
		if (all.all[i].valid_copies > 0)
			segment_list_add(&used, &all.all[i]);
	qsort(used.all, used.n, sizeof(*used.all), by_place);
	struct log_reader *reader = log_reader_new(b->core, directory, &used, 0);
	uint64_t before_ns = io_now_ns(b->core->io), cpu_ns = os_thread_cpu_ns(), n_records = 0;
	while (log_reader_next(reader, &records, &n) == LOG_READ_FRAME)
		n_records += n;
	double seconds = (double)(io_now_ns(b->core->io) - before_ns) / 1e9;
	cpu_ns = os_thread_cpu_ns() - cpu_ns;
	printf("reading: %.0f MB/s, %.1f M records/s; %.1f ns of CPU a record\n",
	       (double)used.n * SEGMENT_SIZE / 1e6 / seconds, (double)n_records / 1e6 / seconds,
	       (double)cpu_ns / (double)n_records);
	log_reader_free(reader);
	segment_list_free(&all);
	segment_list_free(&used);
}

static void measure(void *arg)
{
	struct bench *b = arg;
	static const int sessions[] = {1, 4, 16, 50, 200};
	remove_all(b);
	b->log = open_log(b);
	measure_append(b, 60);
	measure_append(b, 60);
	measure_append(b, 200);
	measure_append(b, 1000);
	measure_sums(60);
	measure_sums(1000);
	for (size_t i = 0; i < array_len(sessions); i++)
		measure_commits(b, sessions[i]);
	for (int i = 0; i < 2000; i++) {
		append_batch(b->log, 60);
		while (log_backlog(b->log) > BACKLOG)
			fiber_sleep(b->core, 100 * 1000);
	}
	log_close(b->log);
	measure_reading(b);
	remove_all(b);
	b->core->stopped = true;
}

int main(int argc, char **argv)
{
	char why[200];
	kernels_init(cpu_features());
	struct bench b = {0};
	struct machine *machine = machine_new(1);
	struct io *io = io_new(argc > 1 && strcmp(argv[1], "epoll") == 0 ? IO_EPOLL : IO_AUTO, why, sizeof(why));
	if (!io) {
		fprintf(stderr, "perf-log: %s\n", why);
		return 1;
	}
	machine->log_level = LOG_NOTHING;
	b.core = core_new(machine, 0, io);
	fiber_start(b.core, measure, &b);
	reactor_run(b.core);
	core_free(b.core);
	machine_free(machine);
	io_free(io);
	return 0;
}
