/* A log is written, closed and read back. */
#include "tests/unit/storage/log/stage.h"

#include <unistd.h>

enum { SEGMENT_SIZE = 1024 * 1024 };

struct story {
	char directory[64], log_directory[80];
	uint32_t n;
	uint64_t last_lsn;
};

static void fill(uint8_t *bytes, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(seed * 31 + i * 7 + i / 251);
}

static size_t size_of(uint32_t i) { return i % 97 == 13 ? 300000 : i % 31 == 5 ? 70000 : i * 37 % 500; }

static uint64_t append_now(struct log *log, uint32_t i)
{
	uint8_t *bytes = memory_alloc(size_of(i) + 1);
	fill(bytes, size_of(i), i);
	struct slice parts[2] = {slice_of(&i, sizeof(i)), slice_of(bytes, size_of(i))};
	uint64_t lsn = log_append(log, RECORD_KEY_PUT, (uint16_t)(i % 16384), i / 3, parts, 2, i % 5 != 4);
	memory_free(bytes);
	return lsn;
}

static uint64_t append_late(struct log *log, uint32_t i)
{
	struct late_body *late = late_body_new(sizeof(i) + size_of(i));
	memcpy(late->bytes, &i, sizeof(i));
	fill(late->bytes + sizeof(i), size_of(i), i);
	return log_append_later(log, RECORD_KEY_PUT, (uint16_t)(i % 16384), i / 3, &late->source, i % 5 != 4);
}

static void write_and_close(struct stage *s, void *arg)
{
	struct story *story = arg;
	struct log_start start = start_of(SEGMENT_SIZE);
	int error = 0;
	cr_assert_eq(dir_make(s->core, story->directory), 0);
	cr_assert_eq(dir_make(s->core, story->log_directory), 0);
	start.directory = story->directory;
	struct log *log = log_open(s->core, &start, &error);
	cr_assert(log, "%d", error);
	for (uint32_t i = 0; i < story->n; i++) {
		story->last_lsn = size_of(i) > FRAGMENT_MAX && i % 2 ? append_late(log, i) : append_now(log, i);
		if (i % 13 == 0)
			cr_assert_eq(log_wait_for(s->core, log, story->last_lsn), 0);
	}
	log_close(log);
}

static void read_back(struct stage *s, void *arg)
{
	struct story *story = arg;
	struct segment_list list = {0};
	cr_assert_eq(segments_survey(s->core, story->directory, &list), 0);
	/* Those that were used, in their order: numbers are given out in order here. */
	struct segment_list used = {0};
	for (uint32_t i = 0; i < list.n; i++)
		if (list.all[i].valid_copies > 0)
			segment_list_add(&used, &list.all[i]);
	struct log_reader *reader = log_reader_new(s->core, story->directory, &used, 1);
	const struct record *records;
	uint32_t n, seen = 0;
	enum log_read read;
	uint8_t *bytes = memory_alloc(300000);
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME) {
		for (uint32_t i = 0; i < n; i++, seen++) {
			cr_assert_eq(records[i].kind, RECORD_KEY_PUT);
			cr_assert_eq(records[i].space, seen / 3);
			cr_assert_eq(records[i].body.len, 4 + size_of(seen));
			fill(bytes, size_of(seen), seen);
			cr_assert_eq(memcmp(records[i].body.ptr, &seen, 4), 0);
			cr_assert_eq(memcmp(records[i].body.ptr + 4, bytes, size_of(seen)), 0);
		}
	}
	cr_assert_eq(read, LOG_READ_END, "%s", log_reader_why(reader));
	cr_assert_eq(seen, story->n);
	cr_assert_eq(log_reader_end(reader)->next_lsn, story->last_lsn + 1);
	memory_free(bytes);
	log_reader_free(reader);
	segment_list_free(&list);
	segment_list_free(&used);
}

static struct story story_of(const char *directory, uint32_t n)
{
	struct story story = {.n = n};
	snprintf(story.directory, sizeof(story.directory), "%s", directory);
	snprintf(story.log_directory, sizeof(story.log_directory), "%s/log", directory);
	return story;
}

Test(log, what_was_closed_is_read_back)
{
	struct sim_disk *disk = sim_disk_new(64 * 1024 * 1024);
	struct stage s = stage_begin(disk, 1);
	struct story story = story_of("data", 1000);
	cr_assert(stage_run(&s, write_and_close, &story));
	cr_assert(stage_run(&s, read_back, &story));
	stage_end(&s);
	sim_disk_free(disk);
}

/* ---- on real files -------------------------------------------------------------------------- */

static void remove_all(struct stage *s, void *arg)
{
	const struct story *story = arg;
	cleanup(buf_fini) struct buf names = {0};
	char path[400];
	cr_assert_eq(dir_list(s->core, story->log_directory, &names), 0);
	for (const char *name = (const char *)names.ptr; name < (const char *)names.ptr + names.len;
	     name += strlen(name) + 1) {
		snprintf(path, sizeof(path), "%s/%s", story->log_directory, name);
		cr_assert_eq(file_remove(s->core, path), 0);
	}
	rmdir(story->log_directory);
	rmdir(story->directory);
}

static void tell_all(void *arg)
{
	struct stage_call *call = arg;
	write_and_close(call->stage, call->arg);
	read_back(call->stage, call->arg);
	remove_all(call->stage, call->arg);
	call->stage->core->stopped = true;
}

static void on_back_end(enum io_choice choice)
{
	char why[200], name[64];
	snprintf(name, sizeof(name), "log_test.%d", getpid());
	struct story story = story_of(name, 300);
	struct stage s = {.machine = machine_new(1), .io = io_new(choice, why, sizeof(why))};
	cr_assert(s.io, "%s", why);
	s.core = core_new(s.machine, 0, s.io);
	struct stage_call call = {.stage = &s, .arg = &story};
	fiber_start(s.core, tell_all, &call);
	reactor_run(s.core);
	core_free(s.core);
	machine_free(s.machine);
	io_free(s.io);
}

Test(log, is_written_through_the_ring) { on_back_end(IO_URING); }
Test(log, is_written_through_the_pool) { on_back_end(IO_EPOLL); }
