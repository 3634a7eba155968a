/* When a log writes, syncs, recycles, runs out of room and stops. Each story is told by one fiber. */
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "storage/log/segment_private.h"
#include "tests/unit/storage/log/stage.h"

#include <errno.h>
#include <signal.h>

enum { DISK_BYTES = 256 * 1024 * 1024, SEGMENT_SIZE = 256 * 1024 };
static const uint64_t MS = 1000 * 1000;

static struct log *open_log_of(struct stage *s, enum log_mode mode, uint64_t segment_size)
{
	struct log_start start = start_of(segment_size);
	int error;
	make_directory(s, NULL);
	struct log *log = log_open(s->core, &start, &error);
	check(log);
	log_set_mode(log, mode);
	return log;
}

static struct log *open_log(struct stage *s, enum log_mode mode) { return open_log_of(s, mode, SEGMENT_SIZE); }

static uint64_t append(struct log *log, size_t size)
{
	uint8_t *bytes = memory_zalloc(size + 1);
	struct slice part = slice_of(bytes, size);
	uint64_t lsn = log_append(log, RECORD_SYSTEM_DELETE, SLOT_SYSTEM, 0, &part, 1, false);
	memory_free(bytes);
	return lsn;
}

static void pass(struct stage *s, uint64_t ns) { fiber_sleep(s->core, ns); }
static uint64_t frames(const struct log *log) { return log_counters(log)->frames; }

static void tell(void (*story)(struct stage *s, void *arg), const struct sim_disk_faults *faults)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct stage s = stage_begin(disk, 1);
	if (faults)
		sim_disk_set_faults(disk, faults);
	check(stage_run(&s, story, NULL));
	stage_end(&s);
	sim_disk_free(disk);
}

#define STORY(suite, name, ...)                                                                   \
	static void suite##_##name(struct stage *s, void *arg);                                   \
	Test(suite, name) { tell(suite##_##name, &(const struct sim_disk_faults){__VA_ARGS__}); } \
	static void suite##_##name(struct stage *s, void *arg)

/* ---- modes ------------------------------------------------------------------------------------ */

STORY(modes, always_is_durable_at_once)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	cr_assert_eq(append(log, 100), 1);
	cr_assert_eq(append(log, 100), 2);
	cr_assert_eq(log_durable(log), 0);
	cr_assert_gt(log_backlog(log), 200);
	pass(s, 3 * MS);
	cr_assert_eq(log_durable(log), 2);
	cr_assert_eq(log_backlog(log), 0);
	cr_assert_eq(frames(log), 1);
	log_close(log);
}

STORY(modes, everysec_writes_soon_and_syncs_in_a_second)
{
	struct log *log = open_log(s, LOG_EVERYSEC);
	append(log, 100);
	pass(s, 5 * MS);
	cr_assert_eq(frames(log), 0);
	pass(s, 10 * MS);
	cr_assert_eq(frames(log), 1);
	cr_assert_eq(log_durable(log), 0);
	append(log, 100);
	pass(s, 500 * MS);
	cr_assert_eq(frames(log), 2);
	cr_assert_eq(log_durable(log), 0);
	pass(s, 600 * MS);
	cr_assert_eq(log_durable(log), 2);
	log_close(log);
}

STORY(modes, everysec_writes_full_frames_at_once)
{
	struct log *log = open_log(s, LOG_EVERYSEC);
	append(log, 1);
	pass(s, 30 * MS); /* the file is filled with zeros, too */
	uint64_t before = frames(log);
	for (int i = 0; i < 4; i++)
		append(log, 50 * 1000);
	pass(s, 3 * MS);
	cr_assert_eq(frames(log), before);
	append(log, 60 * 1000);
	pass(s, 3 * MS);
	cr_assert_eq(frames(log), before + 1);
	cr_assert_lt(log_backlog(log), 60 * 1000);
	cr_assert_gt(log_backlog(log), 0);
	pass(s, 10 * MS);
	cr_assert_eq(log_backlog(log), 0);
	log_close(log);
}

/* Of 50 KB five go into a frame of 256 KiB. */
STORY(modes, full_frames_leave_together_while_nobody_waits)
{
	struct log *log = open_log_of(s, LOG_EVERYSEC, 4 * 1024 * 1024);
	append(log, 1);
	pass(s, 30 * MS);
	uint64_t before = frames(log);
	for (int i = 0; i < 3 * 5; i++)
		append(log, 50 * 1000);
	pass(s, 5 * MS);
	cr_assert_eq(frames(log), before);
	pass(s, 20 * MS);
	cr_assert_eq(frames(log), before + 3);
	for (int i = 0; i < 4 * 5 + 1; i++)
		append(log, 50 * 1000);
	pass(s, 5 * MS);
	cr_assert_eq(frames(log), before + 7);
	log_close(log);
}

STORY(modes, frames_that_fill_leave_at_once_for_who_waits)
{
	struct log *log = open_log_of(s, LOG_EVERYSEC, 4 * 1024 * 1024);
	for (int i = 0; i < 7; i++)
		append(log, 50 * 1000);
	uint64_t from_ns = s->core->now_ns;
	cr_assert_eq(log_wait_for(s->core, log, 2), 0);
	cr_assert_lt(s->core->now_ns, from_ns + 5 * MS);
	cr_assert_eq(frames(log), 2);
	cr_assert_eq(log_durable(log), 7);
	log_close(log);
}

STORY(modes, no_never_asks)
{
	struct log *log = open_log(s, LOG_NO);
	append(log, 100);
	pass(s, 5000 * MS);
	cr_assert_eq(frames(log), 1);
	cr_assert_eq(log_durable(log), 0);
	log_close(log);
}

/* A session of its own mind, or a transaction's prepare record. */
STORY(modes, whoever_waits_is_served_in_any_mode)
{
	struct log *log = open_log(s, LOG_NO);
	append(log, 100);
	pass(s, 50 * MS); /* written, not durable: the wait must make this so as well */
	uint64_t lsn = append(log, 100), now_ns = s->core->now_ns;
	cr_assert_eq(log_wait_for(s->core, log, lsn), 0);
	cr_assert_lt(s->core->now_ns - now_ns, 3 * MS);
	cr_assert_eq(log_durable(log), lsn);
	cr_assert_eq(log_wait_for(s->core, log, 1), 0);
	lsn = append(log, 100); /* nothing is without a sync: the frame itself asks for durability */
	uint64_t syncs = sim_disk_counts(s->disk)->syncs;
	cr_assert_eq(log_wait_for(s->core, log, lsn), 0);
	cr_assert_eq(sim_disk_counts(s->disk)->syncs, syncs);
	log_close(log);
}

STORY(modes, a_stricter_mode_makes_up_for_what_was_not_done)
{
	struct log *log = open_log(s, LOG_NO);
	append(log, 100);
	pass(s, 50 * MS);
	log_set_mode(log, LOG_EVERYSEC);
	pass(s, 1100 * MS);
	cr_assert_eq(log_durable(log), 1);
	log_set_mode(log, LOG_NO);
	append(log, 100);
	pass(s, 50 * MS);
	log_set_mode(log, LOG_ALWAYS);
	pass(s, 5 * MS);
	cr_assert_eq(log_durable(log), 2);
	log_close(log);
}

STORY(modes, an_idle_log_says_once_that_all_is_durable)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	append(log, 100);
	pass(s, 5 * MS);
	cr_assert_eq(frames(log), 1);
	pass(s, 20 * MS);
	cr_assert_eq(frames(log), 2);
	pass(s, 5000 * MS);
	cr_assert_eq(frames(log), 2);
	log_close(log);
	/* A busy one does not. */
}

STORY(modes, a_busy_log_writes_no_closing_frames)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	for (int i = 0; i < 20; i++) {
		append(log, 100);
		pass(s, 5 * MS);
	}
	cr_assert_eq(frames(log), 20);
	log_close(log);
}

/* What comes while a frame is in flight leaves together in the next. */
STORY(modes, commits_are_grouped, .delay_ns = 20 * 1000 * 1000)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	for (int i = 0; i < 100; i++) {
		append(log, 100);
		pass(s, MS);
	}
	cr_assert_eq(log_wait_for(s->core, log, 100), 0);
	cr_assert_lt(frames(log), 50);
	cr_assert_gt(frames(log), 5);
	log_close(log);
}

STORY(modes, a_log_that_nobody_writes_to_writes_little)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	pass(s, 5000 * MS);
	cr_assert_leq(sim_disk_used_bytes(s->disk), FILL_FIRST + LOG_BLOCK);
	append(log, 1);
	pass(s, 100 * MS);
	cr_assert_geq(sim_disk_used_bytes(s->disk), (1 + READY_WANTED) * SEGMENT_SIZE);
	log_close(log);
}

STORY(modes, closing_an_empty_log_writes_nothing)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	uint64_t writes = sim_disk_counts(s->disk)->writes;
	log_close(log);
	cr_assert_eq(sim_disk_counts(s->disk)->writes, writes);
}

/* ---- large values -------------------------------------------------------------------------------- */

static void read_large(struct stage *s, size_t size)
{
	struct found found;
	const struct record *records;
	uint32_t n, seen = 0;
	find_segments(s, 1, &found);
	struct log_reader *reader = log_reader_new(s->core, "data", &found.segments, 1);
	enum log_read read;
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME) {
		for (uint32_t i = 0; i < n; i++, seen++)
			cr_assert_eq(records[i].body.len, seen == 1 ? size : 10);
	}
	cr_assert_eq(read, LOG_READ_END);
	cr_assert_eq(seen, 3);
	log_reader_free(reader);
	segment_list_free(&found.segments);
	segment_list_free(&found.spare);
}

STORY(modes, a_large_value_is_many_fragments)
{
	const size_t size = 30 * 1000 * 1000;
	struct log *log = open_log(s, LOG_EVERYSEC);
	append(log, 10);
	append(log, size);
	cr_assert_gt(log_backlog(log), LOG_BACKLOG_MAX);
	uint64_t lsn = append(log, 10);
	cr_assert_eq(log_wait_for(s->core, log, lsn), 0);
	cr_assert_eq(log_backlog(log), 0);
	cr_assert_gt(log_size(log), size);
	log_close(log);
	read_large(s, size);
}

/* ---- recycling -------------------------------------------------------------------------------------- */

static void count_file(void *arg, const char *path, uint64_t size) { ++*(uint32_t *)arg; }

static uint32_t files(const struct stage *s)
{
	uint32_t n = 0;
	sim_disk_each(s->disk, count_file, &n);
	return n;
}

static void fill_segments(struct stage *s, struct log *log, uint32_t n)
{
	for (uint32_t i = 0; i < n * (SEGMENT_SIZE / 32 / 1024); i++) {
		uint64_t lsn = append(log, 32 * 1024 - 150);
		if (i % 7 == 0)
			cr_assert_eq(log_wait_for(s->core, log, lsn), 0);
	}
	cr_assert_eq(log_wait_for(s->core, log, log_appended(log)), 0);
	pass(s, 50 * MS);
}

STORY(segments, files_are_used_again)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	for (int i = 0; i < 20; i++) {
		fill_segments(s, log, 2);
		log_forget_before(log, log_durable(log) + 1);
	}
	pass(s, 100 * MS);
	cr_assert_leq(log_size(log), SEGMENT_SIZE);
	cr_assert_leq(files(s), 1 + READY_MAX + 3);
	cr_assert_gt(log_counters(log)->segments_reused, 20);
	log_close(log);
}

STORY(segments, there_are_not_too_many)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	fill_segments(s, log, 30);
	cr_assert_gt(files(s), 30);
	log_forget_before(log, log_durable(log));
	pass(s, 100 * MS);
	cr_assert_leq(files(s), 2 + READY_MAX);
	log_close(log);
}

STORY(segments, a_hold_keeps_what_others_do_not_need)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	struct log_hold early = {.lsn = 20}, later = {.lsn = 50};
	fill_segments(s, log, 20);
	log_hold(log, &later);
	log_hold(log, &early);
	log_forget_before(log, log_durable(log));
	cr_assert_leq(log_first_lsn(log), 20);
	cr_assert_gt(log_first_lsn(log), 1);
	log_release(log, &early);
	cr_assert_leq(log_first_lsn(log), 50);
	cr_assert_gt(log_first_lsn(log), 20);
	log_release(log, &later);
	cr_assert_gt(log_first_lsn(log), 100);
	log_close(log);
}

struct cleanliness {
	struct stage *stage;
	uint64_t first_lsn; /* of the segments in use */
	uint32_t n_clean;
};

/* Or a crash in the midst of its next beginning could leave old frames behind half a new head. */
static void see_clean(void *arg, const char *path, uint64_t size)
{
	struct cleanliness *seen = arg;
	static uint8_t bytes[SEGMENT_FRAMES_AT + LOG_BLOCK];
	struct segment_head head;
	sim_disk_read(seen->stage->disk, path, 0, bytes, sizeof(bytes));
	if (segment_head_read(bytes, &head) && head.first_lsn >= seen->first_lsn)
		return;
	for (size_t i = 0; i < sizeof(bytes); i++)
		cr_assert_eq(bytes[i], 0);
	cr_assert(sim_disk_is_durable(seen->stage->disk, path, 0, sizeof(bytes)));
	seen->n_clean++;
}

/* A segment is given up when the next one's first record is durable, whatever its owner has no need of. */
STORY(segments, are_not_forgotten_before_what_follows_is_durable, .delay_ns = 3 * 1000 * 1000)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	cr_assert_eq(log_wait_for(s->core, log, append(log, 100)), 0);
	uint64_t behind = 0;
	for (int i = 0; i < 300; i++) {
		append(log, 20 * 1000);
		log_forget_before(log, UINT64_MAX);
		cr_assert_leq(log_first_lsn(log), log_durable(log));
		behind += log_durable(log) < log_appended(log);
		pass(s, MS / 2);
		cr_assert_leq(log_first_lsn(log), log_durable(log));
	}
	cr_assert_gt(behind, 100);
	cr_assert_gt(log_first_lsn(log), 1);
	log_close(log);
}

STORY(segments, what_is_ready_again_is_clean)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	for (int i = 0; i < 3; i++) {
		fill_segments(s, log, 5);
		log_forget_before(log, log_durable(log));
		pass(s, 100 * MS);
	}
	struct cleanliness seen = {.stage = s, .first_lsn = log_first_lsn(log)};
	sim_disk_each(s->disk, see_clean, &seen);
	cr_assert_eq(seen.n_clean, READY_MAX);
	cr_assert_gt(log_counters(log)->segments_reused, 0);
	log_close(log);
}

static void set_room(struct stage *s, uint64_t bytes)
{
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){.room_bytes = bytes});
}

/* Until the log says so. */
static void append_until(struct stage *s, struct log *log, enum log_room room)
{
	for (int i = 0; log_room(log) != room; i++) {
		cr_assert_lt(i, 1000);
		cr_assert_eq(log_wait_for(s->core, log, append(log, 10 * 1000)), 0);
		pass(s, 2 * MS);
	}
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* What the pool has begun is waited for, asleep; files for a log that ends are not made. */
STORY(closing, waits_for_no_files, .delay_ns = 1, .slow = 1000, .slow_ns = 2000ull * 1000 * 1000)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	append(log, 100);
	pass(s, 3 * MS);
	uint64_t turns = reactor_stats(s->core)->turns, operations = sim_disk_counts(s->disk)->operations;
	log_close(log);
	/* The record, the closing frame, a piece of zeros; descriptors. */
	cr_assert_leq(sim_disk_counts(s->disk)->operations - operations, 6);
	cr_assert_leq(reactor_stats(s->core)->turns - turns, 60);
}

/* Where no file is ready a closing frame is not worth one. */
STORY(closing, goes_without_its_last_frame)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	set_room(s, 6 * SEGMENT_SIZE);
	append_until(s, log, LOG_ROOM_NONE);
	while (log_room(log) != LOG_ROOM_NOTHING)
		cr_assert_eq(log_wait_for(s->core, log, append(log, 10)), 0);
	uint64_t operations = sim_disk_counts(s->disk)->operations;
	log_close(log);
	cr_assert_leq(sim_disk_counts(s->disk)->operations - operations, 4);
}

/* ---- a full disk -------------------------------------------------------------------------------------- */

STORY(full, is_said_early_and_passes)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	set_room(s, 10 * SEGMENT_SIZE);
	append_until(s, log, LOG_ROOM_LOW);
	uint64_t low_lsn = log_durable(log);
	append_until(s, log, LOG_ROOM_NONE);
	/* Between the two lies the reserve, less what a frame might need. */
	cr_assert_gt((log_durable(log) - low_lsn) * 10 * 1000, RESERVE * SEGMENT_SIZE - FRAME_MAX - 50 * 1000);
	cr_assert_eq(log_failed(log), 0);
	pass(s, 5000 * MS);
	cr_assert_eq(log_room(log), LOG_ROOM_NONE);
	set_room(s, 20 * SEGMENT_SIZE);
	pass(s, 1500 * MS);
	cr_assert_eq(log_room(log), LOG_ROOM_YES);
	cr_assert_eq(log_wait_for(s->core, log, append(log, 100)), 0);
	log_close(log);
}

/* Files that are there are cleaned, though none can be made nor filled. */
STORY(full, uses_what_is_there)
{
	struct log *log = open_log(s, LOG_EVERYSEC);
	set_room(s, 10 * SEGMENT_SIZE);
	append_until(s, log, LOG_ROOM_LOW);
	set_room(s, 1);
	log_forget_before(log, log_durable(log));
	pass(s, 100 * MS);
	cr_assert_eq(log_room(log), LOG_ROOM_YES);
	log_close(log);
}

STORY(full, passes_when_old_segments_go)
{
	struct log *log = open_log(s, LOG_EVERYSEC);
	set_room(s, 10 * SEGMENT_SIZE);
	append_until(s, log, LOG_ROOM_NONE);
	log_forget_before(log, log_durable(log));
	pass(s, 1500 * MS);
	cr_assert_eq(log_room(log), LOG_ROOM_YES);
	cr_assert_eq(log_failed(log), 0);
	log_close(log);
}

/* What was appended nevertheless waits until there is room. */
STORY(full, keeps_what_was_appended_nevertheless)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	set_room(s, 8 * SEGMENT_SIZE);
	append_until(s, log, LOG_ROOM_NONE);
	uint64_t lsn = append(log, 3 * SEGMENT_SIZE);
	pass(s, 3000 * MS);
	cr_assert_lt(log_durable(log), lsn);
	cr_assert_eq(log_failed(log), 0);
	set_room(s, 0);
	cr_assert_eq(log_wait_for(s->core, log, lsn), 0);
	log_close(log);
}

STORY(full, does_not_keep_a_log_from_closing)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	set_room(s, 8 * SEGMENT_SIZE);
	append_until(s, log, LOG_ROOM_NONE);
	append(log, 3 * SEGMENT_SIZE);
	log_close(log);
}

STORY(full, from_the_beginning_is_an_error, .room_bytes = LOG_BLOCK)
{
	struct log_start start = start_of(SEGMENT_SIZE);
	int error = 0;
	make_directory(s, NULL);
	cr_assert_null(log_open(s->core, &start, &error));
	cr_assert_eq(error, -ENOSPC);
}

/* Not even a file's name and its last block can be had. */
STORY(full, without_a_block_is_an_error)
{
	struct log_start start = start_of(SEGMENT_SIZE);
	int error = 0;
	make_directory(s, NULL);
	set_room(s, 1);
	cr_assert_null(log_open(s->core, &start, &error));
	cr_assert_eq(error, -ENOSPC);
}

/* ---- failures ------------------------------------------------------------------------------------------- */

struct told {
	struct log_waiter waiter;
	int n, failed;
};

static void be_told(struct log *log, struct log_waiter *waiter)
{
	struct told *told = container_of(waiter, struct told, waiter);
	told->n++;
	told->failed = log_failed(log);
}

static void fail_and_stop(struct stage *s, struct log *log, const struct sim_disk_faults *faults)
{
	struct told told = {.waiter.run = be_told}, late = {.waiter.run = be_told};
	cr_assert_eq(log_wait_for(s->core, log, append(log, 100)), 0);
	uint64_t durable = log_durable(log);
	pass(s, 100 * MS); /* files are ready */
	sim_disk_set_faults(s->disk, faults);
	told.waiter.lsn = append(log, 100);
	cr_assert_not(log_wait(log, &told.waiter));
	cr_assert_eq(log_wait_for(s->core, log, told.waiter.lsn), -EIO);
	cr_assert_eq(told.n, 1);
	cr_assert_eq(told.failed, EIO);
	cr_assert_eq(log_failed(log), EIO);
	cr_assert_eq(log_counters(log)->last_error, EIO);
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){0});
	/* For good. */
	uint64_t writes = sim_disk_counts(s->disk)->writes;
	late.waiter.lsn = append(log, 1000 * 1000);
	cr_assert_gt(late.waiter.lsn, told.waiter.lsn);
	cr_assert_not(log_wait(log, &late.waiter));
	cr_assert_eq(late.n, 0);
	pass(s, 3000 * MS);
	cr_assert_eq(late.n, 1);
	cr_assert_eq(sim_disk_counts(s->disk)->writes, writes);
	cr_assert_eq(log_durable(log), durable);
	cr_assert_eq(log_backlog(log), 0);
}

STORY(failure, of_a_write_stops_the_log)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	fail_and_stop(s, log, &(const struct sim_disk_faults){.write_fails = 1000});
	log_close(log);
}

STORY(failure, of_a_part_of_a_write_stops_the_log)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	fail_and_stop(s, log, &(const struct sim_disk_faults){.write_short = 1000});
	log_abandon(log);
	pass(s, MS);
}

static void write_then_fail_sync(struct stage *s, struct log *log)
{
	log_set_mode(log, LOG_NO);
	append(log, 100);
	pass(s, 100 * MS);
	cr_assert_eq(log_failed(log), 0);
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){.sync_fails = 1000});
	cr_assert_eq(log_wait_for(s->core, log, append(log, 100)), -EIO);
	cr_assert_eq(log_durable(log), 0);
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){0});
	cr_assert_eq(log_wait_for(s->core, log, append(log, 100)), -EIO);
	cr_assert_eq(log_durable(log), 0);
}

STORY(failure, of_a_sync_stops_the_log)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	write_then_fail_sync(s, log);
	log_close(log);
}

/* ---- bodies that are made later ----------------------------------------------------------------------------- */

enum { LATE_BYTES = 5 * 1000 * 1000, AT_ONCE = 64 * 1024, AHEAD = 3 * 4 * 256 * 1024 };

static struct late_body *append_late(struct log *log, bool *freed, uint64_t *lsn)
{
	struct late_body *late = late_body_new(LATE_BYTES);
	late->freed = freed;
	*lsn = log_append_later(log, RECORD_SYSTEM_DELETE, SLOT_SYSTEM, 0, &late->source, false);
	return late;
}

/* Nothing of it is made in the call, then a piece at a time, and never far ahead of the device. */
STORY(late, bodies_are_made_as_they_are_written, .delay_ns = 20 * 1000)
{
	bool freed = false;
	uint64_t lsn, first = 0;
	struct log *log = open_log_of(s, LOG_ALWAYS, 1024 * 1024);
	uint64_t before = append(log, 100);
	const struct late_body *late = append_late(log, &freed, &lsn);
	uint64_t behind = append(log, 100);
	cr_assert_eq(late->at, 0);
	cr_assert_eq(lsn, log_appended(log) - 1);
	cr_assert_geq(log_backlog(log), LATE_BYTES);
	cr_assert_eq(log_wait_for(s->core, log, before), 0);
	while (!freed) {
		uint64_t made = late->at, written = log_counters(log)->written_bytes;
		cr_assert_leq(late->most, AT_ONCE);
		cr_assert_leq(made, written + AHEAD);
		cr_assert_lt(log_durable(log), lsn);
		fiber_yield(s->core);
		if (!freed)
			first = late->at - made > first ? late->at - made : first;
	}
	cr_assert_gt(first, 0);
	cr_assert_leq(first, 2 * AT_ONCE);
	cr_assert_eq(log_wait_for(s->core, log, lsn), 0);
	cr_assert_eq(log_wait_for(s->core, log, behind), 0);
	cr_assert_eq(log_backlog(log), 0);
	log_close(log);
}

STORY(late, bodies_are_let_go_by_a_failure)
{
	bool freed[3] = {false};
	uint64_t lsn;
	struct log *log = open_log_of(s, LOG_ALWAYS, 16 * 1024 * 1024);
	cr_assert_eq(log_wait_for(s->core, log, append(log, 100)), 0);
	pass(s, 1000 * MS);
	(void)append_late(log, &freed[0], &lsn);
	(void)append_late(log, &freed[1], &lsn);
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){.write_fails = 1000});
	cr_assert_eq(log_wait_for(s->core, log, lsn), -EIO);
	cr_assert(freed[0]);
	cr_assert(freed[1]);
	(void)append_late(log, &freed[2], &lsn);
	cr_assert(freed[2]);
	cr_assert_eq(lsn, log_appended(log));
	log_close(log);
}

STORY(late, bodies_are_let_go_by_who_abandons_the_log, .delay_ns = 20 * 1000 * 1000)
{
	bool freed = false;
	uint64_t lsn;
	struct log *log = open_log(s, LOG_ALWAYS);
	append(log, 100);
	pass(s, MS);
	(void)append_late(log, &freed, &lsn);
	pass(s, MS);
	log_abandon(log);
	cr_assert(freed);
	pass(s, 1000 * MS);
}

STORY(failure, an_abandoned_log_goes_when_all_is_done, .delay_ns = 20 * 1000 * 1000)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	append(log, 100);
	pass(s, MS);
	append(log, 100);
	log_abandon(log);
	pass(s, 1000 * MS);
}

/* ---- what a failed sync leaves ---------------------------------------------------------------------------- */

/* Of the second segment, whose head was not durable yet. */
static void lose_a_sync(struct stage *s, void *arg)
{
	struct log *log = open_log(s, LOG_NO);
	while (log_size(log) < SEGMENT_SIZE + 20 * 1000) {
		append(log, 16 * 1000);
		pass(s, 20 * MS);
	}
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){.sync_fails = 1000});
	cr_assert_eq(log_wait_for(s->core, log, append(log, 100)), -EIO);
	log_close(log);
}

struct taken {
	struct log_end end;
	uint64_t epoch;
	uint32_t n_segments;
};

/* Reads what is there, and goes on behind it, as a start of the server does. */
static void take_over(struct stage *s, void *arg)
{
	struct taken *taken = arg;
	struct found found;
	const struct record *records;
	uint32_t n;
	int error;
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){0});
	find_segments(s, 1, &found);
	taken->n_segments = found.segments.n;
	struct log_reader *reader = log_reader_new(s->core, "data", &found.segments, 1);
	enum log_read read;
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME)
		;
	check_eq(read, LOG_READ_END, "%s", log_reader_why(reader));
	taken->end = *log_reader_end(reader);
	log_reader_free(reader);
	struct log_start start = start_of(SEGMENT_SIZE);
	start.epoch = taken->epoch;
	start.next_lsn = taken->end.next_lsn;
	start.place = taken->end.place;
	start.chain = taken->end.chain;
	start.segments = &found.segments;
	start.spare = &found.spare;
	start.next_number = found.next_number;
	start.next_generation = found.next_generation;
	struct log *log = log_open(s->core, &start, &error);
	check(log);
	log_abandon(log);
	pass(s, MS);
}

static struct taken start_again(struct sim_disk *disk, uint64_t seed, uint64_t epoch)
{
	struct taken taken = {.epoch = epoch};
	struct stage s = stage_begin(disk, seed);
	check(stage_run(&s, take_over, &taken));
	stage_end(&s);
	return taken;
}

/* The LSN up to which there is something. */
static uint64_t start_after_lost_sync(uint64_t seed)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct stage s = stage_begin(disk, seed);
	s.machine->log_level = LOG_NOTHING;
	check(stage_run(&s, lose_a_sync, NULL));
	stage_end(&s);
	sim_disk_kill(disk, seed);
	struct taken first = start_again(disk, seed, 2);
	for (uint64_t random = 0; random < 5; random++) {
		struct sim_disk *copy = sim_disk_copy(disk);
		sim_disk_crash(copy, random);
		struct taken second = start_again(copy, seed, 3);
		cr_assert_eq(second.end.next_lsn, first.end.next_lsn);
		sim_disk_free(copy);
	}
	sim_disk_free(disk);
	return first.end.next_lsn;
}

/* The next process reads it, and another sync succeeds; the power must not take it then. */
Test(failure, what_a_failed_sync_left_is_made_sure_of_when_it_is_read)
{
	uint64_t least = UINT64_MAX, most = 0;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t lsn = start_after_lost_sync(seed);
		least = lsn < least ? lsn : least;
		most = lsn > most ? lsn : most;
	}
	cr_assert_lt(least, most);
}

static void write_some(struct stage *s, void *arg)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	append(log, 100);
	pass(s, 5 * MS);
	if (arg)
		log_close(log);
	else
		log_abandon(log);
	pass(s, 5 * MS);
}

static void count_start(bool closed, uint32_t n_segments)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct stage s = stage_begin(disk, 1);
	check(stage_run(&s, write_some, closed ? &s : NULL));
	stage_end(&s);
	for (uint64_t epoch = 2; epoch < 5; epoch++)
		cr_assert_eq(start_again(disk, epoch, epoch).end.next_lsn, 2);
	cr_assert_eq(start_again(disk, 5, 5).n_segments, n_segments);
	sim_disk_free(disk);
}

/* What was copied once needs no other copy, and what was closed none. */
Test(failure, starts_without_writes_leave_no_files)
{
	count_start(true, 1);
	count_start(false, 1); /* nothing was certain of the first: the copy has its place */
}

/* Another sync of the directory would succeed, and its name be lost nevertheless. */
STORY(failure, a_file_whose_making_failed_is_not_used)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	append(log, 100);
	pass(s, 100 * MS);
	cr_assert_eq(files(s), 1 + READY_WANTED);
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){.sync_fails = 1000});
	fill_segments(s, log, 1);
	sim_disk_set_faults(s->disk, &(const struct sim_disk_faults){0});
	cr_assert_eq(log_failed(log), 0);
	pass(s, 2000 * MS);
	cr_assert_eq(files(s), 2 + READY_WANTED);
	cr_assert_eq(sim_disk_size(s->disk, "data/log/0000000000000005"), -1);
	log_close(log);
}

STORY(failure, a_file_that_another_process_left_is_not_used)
{
	struct log *log = open_log(s, LOG_ALWAYS);
	struct found found;
	int error;
	fill_segments(s, log, 1);
	log_close(log);
	find_segments(s, 1, &found);
	uint32_t n = found.spare.n;
	cr_assert_gt(n, 0);
	struct log_start start = start_of(SEGMENT_SIZE);
	start.segments = &found.segments;
	start.spare = &found.spare;
	start.next_number = found.next_number;
	start.next_lsn = 1000;
	log = log_open(s->core, &start, &error);
	pass(s, 100 * MS);
	cr_assert_eq(files(s), 2 + 1);
	cr_assert_eq(log_first_lsn(log), 1);
	log_close(log);
}
