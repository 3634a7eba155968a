/* Segments made by hand: what the reader takes for the log's own, and what it says of all else. */
#include "storage/log/frame_private.h"
#include "tests/unit/storage/log/stage.h"

#include <string.h>

enum { DISK_BYTES = 16 * 1024 * 1024, SEGMENT_SIZE = 64 * 1024, FIRST_LSN = 1 };

/* What a crafted log is being made of. Tests change fields of the heads and headers to come. */
struct craft {
	struct sim_disk *disk;
	struct segment_head head;
	struct frame_header header;
	uint64_t at;
	struct log_end end;
	enum log_read read;
	char why[512];
	uint32_t n_records;
	uint64_t lsns[256];
	char bodies[256][16];
	size_t lengths[256];
	uint32_t headless;
	uint64_t from_lsn;
	uint32_t skips; /* past corruption, when reading */
};

static struct craft craft_begin(void)
{
	struct craft c = {.disk = sim_disk_new(DISK_BYTES)};
	c.head = (struct segment_head){.format = LOG_FORMAT,
	                               .log = TEST_LOG,
	                               .generation = 10,
	                               .epoch = 3,
	                               .first_lsn = FIRST_LSN,
	                               .size = SEGMENT_SIZE};
	c.header = (struct frame_header){.log = TEST_LOG, .first_lsn = FIRST_LSN};
	struct stage s = stage_begin(c.disk, 1);
	check(stage_run(&s, make_directory, NULL));
	stage_end(&s);
	c.from_lsn = FIRST_LSN;
	return c;
}

static void path_of(const struct craft *c, char out[64]) { segment_path("data", c->head.number, out, 64); }

/* The next file; its head goes on where the last frame ended, unless the caller changes it. */
static void put_segment(struct craft *c, int copies)
{
	char path[64];
	uint8_t block[LOG_BLOCK];
	path_of(c, path);
	sim_disk_write(c->disk, path, SEGMENT_SIZE - 1, S("\0"));
	segment_head_write(&c->head, block);
	for (int i = 0; i < copies; i++)
		sim_disk_write(c->disk, path, (uint64_t)i * LOG_BLOCK, slice_of(block, LOG_BLOCK));
	c->header.generation = c->head.generation;
	c->header.epoch = c->head.epoch;
	c->at = SEGMENT_FRAMES_AT;
}

static void next_segment(struct craft *c, uint64_t epoch)
{
	c->head.number++;
	c->head.place++;
	c->head.generation++;
	c->head.epoch = epoch;
	c->head.first_lsn = c->header.first_lsn;
	c->head.chain = c->header.chain;
	put_segment(c, 2);
}

static uint32_t put_record(const struct craft *c, uint8_t *to, uint64_t lsn, uint8_t kind, uint8_t flags,
                           const char *body)
{
	struct record_header header = {
	        .length = (uint32_t)strlen(body), .kind = kind, .flags = flags, .slot = SLOT_SYSTEM};
	memcpy(to, &header, sizeof(header));
	memcpy(to + sizeof(header), body, header.length);
	header.crc = record_crc(record_seed(c->header.log), lsn, to, header.length);
	memcpy(to, &header, sizeof(header));
	return (uint32_t)sizeof(header) + header.length;
}

struct crafted_record {
	uint8_t kind, flags;
	const char *body;
};

/* The next frame, in its place; the header goes on behind it. */
static void put_frame(struct craft *c, const struct crafted_record *records, uint32_t n)
{
	char path[64];
	uint8_t frame[LOG_BLOCK];
	struct frame_header header = c->header;
	header.used = sizeof(header);
	header.at ^= frame_at(c->at);
	header.n_records = n;
	for (uint32_t i = 0; i < n; i++)
		header.used += put_record(c, frame + header.used, header.first_lsn + i, records[i].kind,
		                          records[i].flags, records[i].body);
	c->header.chain = frame_seal(frame, &header);
	c->header.first_lsn += n;
	path_of(c, path);
	sim_disk_write(c->disk, path, c->at, slice_of(frame, LOG_BLOCK));
	c->at += LOG_BLOCK;
}

static void put_plain(struct craft *c, const char *body)
{
	put_frame(c, &(struct crafted_record){RECORD_SYSTEM_DELETE, 0, body}, 1);
}

static void fill_segment(struct craft *c)
{
	while (c->at < SEGMENT_SIZE)
		put_plain(c, "full");
}

/* ---- reading ------------------------------------------------------------------------------------ */

static void keep_record(struct craft *c, const struct record *record)
{
	size_t n = record->body.len < 15 ? record->body.len : 15;
	c->lsns[c->n_records] = record->lsn;
	c->lengths[c->n_records] = record->body.len;
	memcpy(c->bodies[c->n_records], record->body.ptr, n);
	c->bodies[c->n_records++][n] = 0;
}

static void read_all(struct stage *s, void *arg)
{
	struct craft *c = arg;
	struct found found;
	const struct record *records;
	uint32_t n, skips = c->skips;
	find_segments(s, c->from_lsn, &found);
	c->headless = found.headless;
	struct log_reader *reader = log_reader_new(s->core, "data", &found.segments, c->from_lsn);
	for (;;) {
		c->read = log_reader_next(reader, &records, &n);
		for (uint32_t i = 0; c->read == LOG_READ_FRAME && i < n; i++)
			keep_record(c, &records[i]);
		if (c->read != LOG_READ_FRAME && (skips == 0 || skips-- == 0 || !log_reader_skip(reader)))
			break;
	}
	check_eq(log_reader_next(reader, &records, &n), c->read);
	snprintf(c->why, sizeof(c->why), "%s", log_reader_why(reader));
	c->end = *log_reader_end(reader);
	log_reader_free(reader);
	segment_list_free(&found.segments);
	segment_list_free(&found.spare);
}

static void craft_read(struct craft *c)
{
	struct stage s = stage_begin(c->disk, 2);
	c->n_records = 0;
	check(stage_run(&s, read_all, c));
	stage_end(&s);
}

static void expect_end(struct craft *c, uint64_t next_lsn, uint32_t n_records)
{
	craft_read(c);
	check_eq(c->read, LOG_READ_END, "%s", c->why);
	check_eq(c->end.next_lsn, next_lsn, "%lu", c->end.next_lsn);
	check_eq(c->n_records, n_records, "%u", c->n_records);
	sim_disk_free(c->disk);
}

static void expect_corrupt(struct craft *c, const char *what, uint32_t n_records)
{
	craft_read(c);
	check_eq(c->read, LOG_READ_CORRUPT);
	check(strstr(c->why, what), "%s", c->why);
	check_eq(c->n_records, n_records, "%u", c->n_records);
	sim_disk_free(c->disk);
}

Test(craft, frames_in_their_order_are_read)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	put_plain(&c, "two");
	expect_end(&c, 3, 2);
	cr_assert_str_eq(c.bodies[1], "two");
	cr_assert_eq(c.end.place, 1);
	cr_assert_eq(c.end.epoch, 3);
	cr_assert_eq(c.end.chain, c.header.chain);
	cr_assert_eq(c.end.torn_bytes, 0);
}

Test(craft, one_copy_of_the_head_is_enough)
{
	struct craft c = craft_begin();
	put_segment(&c, 1);
	put_plain(&c, "one");
	expect_end(&c, 2, 1);
}

Test(craft, an_empty_log_begins_where_it_is_told)
{
	struct craft c = craft_begin();
	c.from_lsn = 1;
	expect_end(&c, 1, 0);
}

/* ---- frames that are not of this log, this use, this place -------------------------------------- */

/* A second frame that is right but for one thing is not read. */
#define TEST_STRANGER(name, change)                      \
	Test(craft, name)                                \
	{                                                \
		struct craft c = craft_begin();          \
		put_segment(&c, 2);                      \
		put_plain(&c, "one");                    \
		struct frame_header *header = &c.header; \
		change;                                  \
		put_plain(&c, "two");                    \
		expect_end(&c, 2, 1);                    \
	}

TEST_STRANGER(a_frame_of_an_earlier_use_is_not_read, header->generation--)
TEST_STRANGER(a_frame_of_another_epoch_is_not_read, header->epoch--)
TEST_STRANGER(a_frame_of_another_log_is_not_read, header->log++)
TEST_STRANGER(a_frame_with_another_lsn_is_not_read, header->first_lsn++)
TEST_STRANGER(a_frame_after_another_one_is_not_read, header->chain ^= 1)
TEST_STRANGER(a_frame_of_another_place_is_not_read, header->at = 1)

/* Nor does what an earlier use left vouch for anything. */
Test(craft, a_frame_of_an_earlier_use_is_no_witness)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.at += LOG_BLOCK;
	c.header.generation--;
	c.header.durable_lsn = 100;
	put_plain(&c, "old");
	expect_end(&c, 2, 1);
}

Test(craft, a_later_frame_that_says_so_is_a_witness)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.at += LOG_BLOCK;
	c.header.first_lsn = 4;
	c.header.durable_lsn = 2;
	put_plain(&c, "four");
	expect_corrupt(&c, "records 2 to 3 are lost", 1);
}

Test(craft, a_later_frame_that_knows_less_is_none)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.at += LOG_BLOCK;
	c.header.first_lsn = 4;
	c.header.durable_lsn = 1;
	put_plain(&c, "four");
	expect_end(&c, 2, 1);
	cr_assert_eq(c.end.torn_bytes, 2 * LOG_BLOCK);
}

Test(craft, a_frame_follows_a_closing_one_only_when_that_is_durable)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.at += LOG_BLOCK; /* the closing frame that is lost */
	c.header.durable_lsn = 1;
	put_plain(&c, "two");
	expect_corrupt(&c, "no record is lost by it", 1);
}

/* ---- from segment to segment -------------------------------------------------------------------- */

Test(craft, a_full_segment_is_followed_by_the_next)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	fill_segment(&c);
	next_segment(&c, 3);
	put_plain(&c, "more");
	expect_end(&c, 16, 15);
	cr_assert_eq(c.end.place, 2);
}

Test(craft, what_a_crash_left_is_passed_over)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	struct frame_header header = c.header;
	put_plain(&c, "cut off");
	put_plain(&c, "cut off");
	c.header = header;
	next_segment(&c, 4);
	put_plain(&c, "two");
	expect_end(&c, 3, 2);
	cr_assert_str_eq(c.bodies[1], "two");
	cr_assert_eq(c.end.epoch, 4);
}

/* In the same epoch a segment begins only when the one before it is full. */
Test(craft, a_segment_that_ends_early_is_corrupt)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	next_segment(&c, 3);
	put_plain(&c, "two");
	expect_corrupt(&c, "goes on at LSN 2", 1);
}

Test(craft, a_new_epoch_that_goes_on_later_shows_what_is_lost)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.header.first_lsn = 5;
	next_segment(&c, 4);
	put_plain(&c, "five");
	expect_corrupt(&c, "records 2 to 4 are lost", 1);
}

Test(craft, a_new_epoch_that_follows_another_frame_is_corrupt)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.header.chain ^= 1;
	next_segment(&c, 4);
	put_plain(&c, "two");
	expect_corrupt(&c, "goes on at LSN 2", 1);
}

/* What one recovery took for the end, another must not go beyond. */
Test(craft, a_frame_across_the_beginning_of_the_next_epoch_is_corrupt)
{
	struct craft c = craft_begin();
	const struct crafted_record three[] = {
	        {RECORD_SYSTEM_DELETE, 0, "a"}, {RECORD_SYSTEM_DELETE, 0, "b"}, {RECORD_SYSTEM_DELETE, 0, "c"}};
	put_segment(&c, 2);
	put_plain(&c, "one");
	put_frame(&c, three, 3);
	c.header.first_lsn = 3;
	next_segment(&c, 4);
	put_plain(&c, "three");
	expect_corrupt(&c, "beyond where the next segment begins", 1);
}

#define TEST_HEAD(name, change, what)                \
	Test(craft, name)                            \
	{                                            \
		struct craft c = craft_begin();      \
		put_segment(&c, 2);                  \
		fill_segment(&c);                    \
		next_segment(&c, 3);                 \
		put_plain(&c, "more");               \
		struct segment_head *head = &c.head; \
		change;                              \
		put_segment(&c, 2);                  \
		expect_corrupt(&c, what, 14);        \
	}

TEST_HEAD(a_newer_format_is_refused, head->format++, "newer")
TEST_HEAD(a_head_with_another_lsn_is_corrupt, head->first_lsn++, "another LSN")
TEST_HEAD(a_head_with_another_chain_is_corrupt, head->chain++, "chain")
TEST_HEAD(a_head_with_an_earlier_epoch_is_corrupt, head->epoch--, "does not follow")
TEST_HEAD(a_head_with_an_earlier_generation_is_corrupt, head->generation -= 2, "does not follow")
TEST_HEAD(a_head_of_another_directory_is_corrupt, head->directory[3]++, "another log")
TEST_HEAD(a_gap_is_corrupt, head->place++, "does not follow")
TEST_HEAD(a_size_that_cannot_be_is_corrupt, head->size++, "size")

/* ---- files without a head ------------------------------------------------------------------------ */

Test(craft, a_lost_head_is_noticed_by_its_frames)
{
	struct craft c = craft_begin();
	put_segment(&c, 0);
	put_plain(&c, "one");
	c.header.durable_lsn = 1;
	put_plain(&c, "two");
	craft_read(&c);
	cr_assert_eq(c.headless, 1);
	sim_disk_free(c.disk);
}

Test(craft, a_head_that_never_was_durable_is_not_missed)
{
	struct craft c = craft_begin();
	put_segment(&c, 0);
	put_plain(&c, "one");
	put_plain(&c, "two");
	craft_read(&c);
	cr_assert_eq(c.headless, 0);
	sim_disk_free(c.disk);
}

/* Of two copies that a cut write left the newer one counts. */
Test(craft, the_newer_copy_of_a_head_counts)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	c.head.generation++;
	c.head.first_lsn = c.header.first_lsn = 5;
	put_segment(&c, 1);
	put_plain(&c, "five");
	c.from_lsn = 5;
	expect_end(&c, 6, 1);
}

/* ---- records ----------------------------------------------------------------------------------------- */

Test(craft, an_unknown_kind_is_refused_as_newer)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_frame(&c, &(struct crafted_record){99, 0, "?"}, 1);
	expect_corrupt(&c, "of kind 99", 0);
}

Test(craft, a_record_of_another_log_is_refused)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	const struct crafted_record one = {RECORD_SYSTEM_DELETE, 0, "one"};
	uint8_t frame[LOG_BLOCK];
	struct frame_header header = c.header;
	c.header.log++; /* of which the record's checksum is */
	header.used = (uint32_t)sizeof(header) + put_record(&c, frame + sizeof(header), 1, one.kind, 0, one.body);
	header.n_records = 1;
	header.at = frame_at(SEGMENT_FRAMES_AT);
	frame_seal(frame, &header);
	sim_disk_write(c.disk, "data/log/0000000000000000", SEGMENT_FRAMES_AT, slice_of(frame, LOG_BLOCK));
	expect_corrupt(&c, "checksum of record 1", 0);
}

Test(craft, fragments_become_a_record)
{
	struct craft c = craft_begin();
	const struct crafted_record some[] = {{RECORD_KEY_PUT, 0, "zero"},
	                                      {RECORD_SYSTEM_PUT, RECORD_CONTINUES, "one,"},
	                                      {RECORD_SYSTEM_PUT, RECORD_CONTINUES | RECORD_CONTINUED, "two,"}};
	put_segment(&c, 2);
	put_frame(&c, some, 3);
	put_frame(&c, &(struct crafted_record){RECORD_SYSTEM_PUT, RECORD_CONTINUED, "three"}, 1);
	expect_end(&c, 5, 2);
	cr_assert_str_eq(c.bodies[0], "zero");
	cr_assert_str_eq(c.bodies[1], "one,two,three");
	cr_assert_eq(c.lsns[1], 4);
}

Test(craft, groups_are_given_whole)
{
	struct craft c = craft_begin();
	const struct crafted_record some[] = {{RECORD_KEY_PUT, RECORD_GROUP, "a"}, {RECORD_KEY_PUT, RECORD_GROUP, "b"}};
	const struct crafted_record rest[] = {{RECORD_KEY_PUT, RECORD_GROUP | RECORD_CONTINUES, "c"},
	                                      {RECORD_KEY_PUT, RECORD_GROUP | RECORD_CONTINUED, "d"},
	                                      {RECORD_KEY_PUT, 0, "e"},
	                                      {RECORD_KEY_PUT, RECORD_GROUP, "cut off"}};
	put_segment(&c, 2);
	put_frame(&c, some, 2);
	put_frame(&c, rest, 4);
	expect_end(&c, 7, 4);
	cr_assert_str_eq(c.bodies[0], "a");
	cr_assert_str_eq(c.bodies[2], "cd");
	cr_assert_str_eq(c.bodies[3], "e");
}

/* A crash came before the group was whole: what came after it is not its end. */
Test(craft, a_group_does_not_go_on_in_the_next_epoch)
{
	struct craft c = craft_begin();
	const struct crafted_record some[] = {{RECORD_KEY_PUT, 0, "a"}, {RECORD_KEY_PUT, RECORD_GROUP, "half"}};
	put_segment(&c, 2);
	put_frame(&c, some, 2);
	next_segment(&c, 4);
	put_plain(&c, "b");
	expect_end(&c, 4, 2);
	cr_assert_str_eq(c.bodies[1], "b");
	cr_assert_eq(c.lsns[1], 3);
}

Test(craft, a_fragment_does_not_go_on_in_the_next_epoch)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_frame(&c, &(struct crafted_record){RECORD_KEY_PUT, RECORD_CONTINUES, "half"}, 1);
	next_segment(&c, 4);
	put_plain(&c, "b");
	expect_end(&c, 3, 1);
}

#define TEST_FRAGMENTS(name, what, ...)                             \
	Test(craft, name)                                           \
	{                                                           \
		struct craft c = craft_begin();                     \
		const struct crafted_record some[] = {__VA_ARGS__}; \
		put_segment(&c, 2);                                 \
		put_plain(&c, "one");                               \
		put_frame(&c, some, array_len(some));               \
		expect_corrupt(&c, what, 1);                        \
	}

TEST_FRAGMENTS(a_fragment_without_its_first_is_corrupt, "beginning", {RECORD_KEY_PUT, RECORD_CONTINUED, "a"})
TEST_FRAGMENTS(a_fragment_without_its_last_is_corrupt, "whole", {RECORD_KEY_PUT, RECORD_CONTINUES, "a"},
               {RECORD_KEY_PUT, 0, "b"})
TEST_FRAGMENTS(fragments_of_two_kinds_are_corrupt, "does not continue", {RECORD_KEY_PUT, RECORD_CONTINUES, "a"},
               {RECORD_KEY_DELETE, RECORD_CONTINUED, "b"})
TEST_FRAGMENTS(unknown_flags_are_refused, "newer", {RECORD_KEY_PUT, 8, "a"})

/* ---- parts of a log ------------------------------------------------------------------------------------ */

static struct craft craft_three_segments(void)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	fill_segment(&c);
	next_segment(&c, 3);
	fill_segment(&c);
	next_segment(&c, 3);
	put_plain(&c, "last");
	return c;
}

Test(craft, reading_begins_at_the_lsn_that_is_asked_for)
{
	struct craft c = craft_three_segments();
	c.from_lsn = 20;
	expect_end(&c, 30, 10);
	cr_assert_eq(c.lsns[0], 20);
}

Test(craft, what_is_missing_at_the_front_is_lost)
{
	struct craft c = craft_three_segments();
	sim_disk_remove(c.disk, "data/log/0000000000000000");
	c.from_lsn = 10;
	expect_corrupt(&c, "records 10 to 14 are lost", 0);
}

Test(craft, all_there_is_may_be_read)
{
	struct craft c = craft_three_segments();
	sim_disk_remove(c.disk, "data/log/0000000000000000");
	c.from_lsn = 0;
	expect_end(&c, 30, 15);
}

/* A group may have begun in what is lost: what could be its end is left out. */
Test(craft, salvage_goes_on_behind_the_damage)
{
	struct craft c = craft_three_segments();
	sim_disk_flip_bit(c.disk, "data/log/0000000000000001", (SEGMENT_FRAMES_AT + LOG_BLOCK + 500) * 8);
	c.skips = 1;
	expect_end(&c, 30, 15 + 11 + 1);
	cr_assert_eq(c.lsns[14], 15);
	cr_assert_eq(c.lsns[15], 18);
}

Test(craft, salvage_goes_on_behind_a_bad_head)
{
	struct craft c = craft_three_segments();
	c.head.number = 1;
	c.head.place = 1;
	c.head.generation = 11;
	c.head.first_lsn = 15;
	c.head.chain = 12345;
	put_segment(&c, 2);
	c.skips = 1;
	expect_end(&c, 30, 14 + 13 + 1);
}

/* ---- ends that are copied -------------------------------------------------------------------------------- */

static void secure_all(struct stage *s, void *arg)
{
	struct craft *c = arg;
	struct found found;
	find_segments(s, c->from_lsn, &found);
	check_eq(log_secure(s->core, "data", &found.segments, &c->end, c->end.epoch + 1, found.next_number,
	                    found.next_generation),
	         0);
	segment_list_free(&found.segments);
	segment_list_free(&found.spare);
}

/* As a start after a crash does. */
static void craft_secure(struct craft *c)
{
	craft_read(c);
	check_eq(c->read, LOG_READ_END, "%s", c->why);
	struct log_end before = c->end;
	struct stage s = stage_begin(c->disk, 2);
	check(stage_run(&s, secure_all, c));
	stage_end(&s);
	check_eq(c->end.next_lsn, before.next_lsn);
}

/* Where the same start goes on writing. */
static void go_on_after_copy(struct craft *c)
{
	c->head.number = 9;
	c->head.place = c->end.place;
	c->head.generation = 19;
	c->head.epoch = c->end.epoch;
	c->head.first_lsn = c->header.first_lsn = c->end.next_lsn;
	c->head.chain = c->header.chain = c->end.chain;
	put_segment(c, 2);
}

static void put_group_beginning(struct craft *c)
{
	put_frame(c, &(struct crafted_record){RECORD_KEY_PUT, RECORD_GROUP, "a"}, 1);
}

Test(craft, what_nothing_vouches_for_is_copied)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.header.durable_lsn = 1;
	put_plain(&c, "two");
	craft_secure(&c);
	craft_secure(&c); /* a copy needs no copy */
	cr_assert_eq(c.end.place, 2);
	sim_disk_flip_bit(c.disk, "data/log/0000000000000000", (SEGMENT_FRAMES_AT + LOG_BLOCK + 500) * 8);
	expect_end(&c, 3, 2);
	cr_assert_str_eq(c.bodies[1], "two");
}

Test(craft, a_segment_of_which_nothing_is_sure_may_vanish)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	fill_segment(&c);
	next_segment(&c, 3);
	put_plain(&c, "more");
	craft_secure(&c);
	cr_assert_eq(c.end.place, 2);
	sim_disk_remove(c.disk, "data/log/0000000000000001");
	expect_end(&c, 16, 15);
}

Test(craft, a_closing_frame_may_vanish)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	uint32_t chain = c.header.chain;
	c.header.durable_lsn = 1;
	c.header.flags = FRAME_CLOSING;
	put_frame(&c, NULL, 0);
	craft_secure(&c);
	cr_assert_eq(c.end.place, 1);
	cr_assert_eq(c.end.chain, chain);
	sim_disk_free(c.disk);
}

Test(craft, a_group_goes_on_among_the_copies)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_group_beginning(&c);
	c.header.durable_lsn = 1;
	put_plain(&c, "b");
	craft_secure(&c);
	expect_end(&c, 3, 2);
}

/* Behind them it does not. */
Test(craft, a_group_that_is_copied_in_part_stays_so)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_plain(&c, "one");
	c.header.durable_lsn = 1;
	put_group_beginning(&c);
	craft_secure(&c);
	go_on_after_copy(&c);
	put_plain(&c, "three");
	expect_end(&c, 4, 2);
	cr_assert_str_eq(c.bodies[1], "three");
}

/* The copies are of a segment that came after a crash itself. */
Test(craft, a_group_that_one_crash_broke_is_not_mended_by_another)
{
	struct craft c = craft_begin();
	put_segment(&c, 2);
	put_group_beginning(&c);
	next_segment(&c, 4);
	put_plain(&c, "b");
	craft_secure(&c);
	expect_end(&c, 3, 1);
	cr_assert_str_eq(c.bodies[0], "b");
}
