/* Segments of a log made from the input: sound frames, frames with one thing wrong, records that lie, raw
 * bytes. Whatever they say, reading ends, twice alike; what is given is in order and whole; bodies are taken
 * apart within their bounds; and behind damage salvage goes on, and ends as well. */
#include "engine/core/fiber.h"
#include "engine/core/reactor_private.h"
#include "engine/io/sim.h"
#include "engine/io/sim_disk.h"
#include "engine/memory/memory.h"
#include "storage/log/frame_private.h"
#include "storage/log/reader.h"
#include "tests/fuzz/fuzz.h"

enum { LOG = 3, SEGMENT_SIZE = 64 * 1024, SEGMENTS_MAX = 4, DISK_BYTES = 8 * 1024 * 1024 };

/* What is being made. */
struct making {
	struct sim_disk *disk;
	struct slice input;
	struct segment_head head;
	struct frame_header header;
	uint64_t at;
	uint32_t n_segments, n_frames;
};

struct told {
	uint64_t sum;
	uint32_t n_records, n_frames;
	enum log_read read;
	struct log_end end;
};

/* ---- making segments --------------------------------------------------------------------- */

static void put(struct making *m, uint64_t at, const void *bytes, size_t size)
{
	char path[64];
	segment_path("data", m->head.number, path, sizeof(path));
	if (at + size <= SEGMENT_SIZE)
		sim_disk_write(m->disk, path, at, slice_of(bytes, size));
}

static void begin_segment(struct making *m, uint8_t what)
{
	uint8_t block[LOG_BLOCK];
	m->head.number++;
	m->head.generation++;
	m->head.place += m->n_segments > 0;
	m->head.epoch += what & 1;
	m->head.first_lsn = m->header.first_lsn + (what >> 1 & 1);
	m->head.chain = m->header.chain ^ (what >> 2 & 1);
	m->head.format = LOG_FORMAT + (what >> 3 == 31);
	segment_head_write(&m->head, block);
	put(m, SEGMENT_SIZE - 1, "", 1);
	if (what >> 3 != 30)
		put(m, 0, block, LOG_BLOCK);
	if (what >> 3 != 29)
		put(m, LOG_BLOCK, block, LOG_BLOCK);
	m->header.generation = m->head.generation;
	m->header.epoch = m->head.epoch;
	m->at = SEGMENT_FRAMES_AT;
	m->n_segments++;
}

/* A record of the input's bytes; its length and checksum are right, or not. */
static uint32_t make_record(struct making *m, uint8_t *to, uint64_t lsn)
{
	uint8_t kind = fuzz_byte(&m->input), flags = fuzz_byte(&m->input), size = fuzz_byte(&m->input) % 64;
	struct record_header header = {.length = size, .kind = kind % 40, .flags = flags % 16 & 7, .slot = SLOT_SYSTEM};
	if (flags == 255)
		header.length += 100;
	memcpy(to, &header, sizeof(header));
	for (uint8_t i = 0; i < size; i++)
		to[sizeof(header) + i] = fuzz_byte(&m->input);
	header.crc = record_crc(record_seed(LOG), lsn, to, header.length) ^ (flags == 254);
	memcpy(to, &header, sizeof(header));
	return (uint32_t)sizeof(header) + size;
}

static void spoil(struct frame_header *header, uint8_t how)
{
	switch (how) {
	case 1:
		header->generation--;
		break;
	case 2:
		header->epoch++;
		break;
	case 3:
		header->first_lsn++;
		break;
	case 4:
		header->chain ^= 1;
		break;
	case 5:
		header->at++;
		break;
	case 6:
		header->n_records++;
		break;
	case 7:
		header->log++;
		break;
	case 8:
		header->durable_lsn = UINT64_MAX;
		break;
	case 9:
		header->first_lsn = UINT64_MAX;
		break;
	case 10:
		header->n_records = UINT32_MAX;
		break;
	}
}

static void make_frame(struct making *m, uint8_t how)
{
	static uint8_t frame[2 * LOG_BLOCK];
	struct frame_header header = m->header;
	uint32_t n = fuzz_byte(&m->input) % 6;
	memset(frame, 0, sizeof(frame));
	header.used = sizeof(header);
	header.at = frame_at(m->at);
	header.n_records = n;
	header.flags = n == 0 ? FRAME_CLOSING : 0;
	for (uint32_t i = 0; i < n; i++)
		header.used += make_record(m, frame + header.used, header.first_lsn + i);
	spoil(&header, how);
	uint32_t crc = frame_seal(frame, &header);
	put(m, m->at, frame, header.length);
	m->at += header.length;
	m->n_frames++;
	if (how != 0 && how != 8)
		return;
	m->header.chain = crc;
	m->header.first_lsn += n;
	m->header.durable_lsn = m->header.first_lsn - 1;
}

static void make_raw(struct making *m)
{
	uint8_t bytes[64];
	uint32_t n = fuzz_byte(&m->input) % sizeof(bytes);
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = fuzz_byte(&m->input);
	put(m, m->at, bytes, n);
	m->at += LOG_BLOCK;
}

static void make_all(struct making *m)
{
	begin_segment(m, 0);
	while (m->input.len > 0 && m->at < SEGMENT_SIZE) {
		uint8_t what = fuzz_byte(&m->input);
		if (what >= 250 && m->n_segments < SEGMENTS_MAX)
			begin_segment(m, fuzz_byte(&m->input));
		else if (what >= 240)
			make_raw(m);
		else if (what >= 230)
			m->at = SEGMENT_SIZE - LOG_BLOCK; /* nearly full */
		else
			make_frame(m, what % 32);
	}
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* A slice of what was parsed lies in the body. */
static void check_within(struct slice part, struct slice body)
{
	fuzz_check(part.len == 0 || (part.ptr >= body.ptr && part.ptr + part.len <= body.ptr + body.len));
}

static void see_record(struct told *told, const struct record *record)
{
	struct record_body body;
	fuzz_check(record_kind_name(record->kind));
	told->sum = told->sum * 31 + record->lsn * 7 + crc32c(record->kind, record->body.ptr, record->body.len);
	told->n_records++;
	if (!record_parse(record, &body))
		return;
	check_within(body.key, record->body);
	check_within(body.value, record->body);
	fuzz_check(body.offset <= body.whole_length);
}

/* In order, and no group half. */
static void see_frame(struct told *told, const struct record *records, uint32_t n, uint64_t *last_lsn)
{
	told->n_frames++;
	for (uint32_t i = 0; i < n; i++) {
		fuzz_check(records[i].lsn > *last_lsn);
		*last_lsn = records[i].lsn;
		see_record(told, &records[i]);
	}
	fuzz_check(n == 0 || !records[n - 1].group);
}

static void read_log(struct core *core, const struct segment_list *list, struct told *told)
{
	const struct record *records;
	uint32_t n;
	uint64_t last_lsn = 0;
	struct log_reader *reader = log_reader_new(core, "data", list, 1);
	while ((told->read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME)
		see_frame(told, records, n, &last_lsn);
	fuzz_check(told->read != LOG_READ_ERROR);
	told->end = *log_reader_end(reader);
	fuzz_check((told->read == LOG_READ_CORRUPT) == (log_reader_why(reader)[0] != 0));
	fuzz_check(told->read == LOG_READ_CORRUPT || told->end.next_lsn > last_lsn);
	while (log_reader_skip(reader)) {
		last_lsn = 0; /* lost segments may have been of any LSN */
		while (log_reader_next(reader, &records, &n) == LOG_READ_FRAME)
			see_frame(told, records, n, &last_lsn);
	}
	fuzz_check(told->n_frames <= (SEGMENTS_MAX + 1) * SEGMENT_SIZE / LOG_BLOCK);
	log_reader_free(reader);
}

/* A start after a crash: copies the end, and changes nothing. */
static void read_behind_copy(struct core *core, struct segment_list *used, const struct told *before)
{
	struct told after = {0};
	struct log_end end = before->end;
	uint32_t n = used->n;
	if (before->read != LOG_READ_END || n == 0)
		return;
	fuzz_check(log_secure(core, "data", used, &end, end.epoch + 1, 100, 1000) == 0);
	fuzz_check(end.next_lsn == before->end.next_lsn);
	if (used->n < n)
		return; /* the last was as good as not there: what follows takes its place */
	read_log(core, used, &after);
	fuzz_check(after.read == LOG_READ_END && after.sum == before->sum);
	fuzz_check(after.end.next_lsn == end.next_lsn);
}

static void read_twice(void *arg)
{
	struct core *core = arg;
	struct segment_list all = {0}, used = {0};
	struct told first = {0}, second = {0};
	fuzz_check(segments_survey(core, "data", &all) == 0);
	for (uint32_t i = 0; i < all.n; i++)
		if (all.all[i].valid_copies > 0)
			segment_list_add(&used, &all.all[i]);
	read_log(core, &used, &first);
	read_log(core, &used, &second);
	fuzz_check(first.sum == second.sum && first.read == second.read && first.n_frames == second.n_frames);
	read_behind_copy(core, &used, &first);
	segment_list_free(&all);
	segment_list_free(&used);
	core->stopped = true;
}

static void run_core(struct sim *sim, struct core *core)
{
	core_set_current(core);
	fiber_start(core, read_twice, core);
	for (enum reactor_stage stage = REACTOR_WORK; stage != REACTOR_STOPPED;) {
		if (stage == REACTOR_SLEEP && !sim_io_due(core->io))
			sim_pass_ns(sim, sim_io_next_ns(core->io) - sim_now_ns(sim));
		stage = reactor_step(core);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sim_faults kind = {.clock_ns = 10, .chunks = 1};
	struct making m = {.disk = sim_disk_new(DISK_BYTES), .input = slice_of(data, size)};
	m.head = (struct segment_head){.log = LOG, .epoch = 1, .size = SEGMENT_SIZE};
	m.header = (struct frame_header){.log = LOG, .first_lsn = 1};
	make_all(&m);
	struct sim *sim = sim_new(1, &kind);
	sim_use_disk(sim, m.disk);
	struct machine *machine = machine_new(1);
	struct core *core = core_new(machine, 0, sim_io_new(sim));
	struct io *io = core->io;
	reactor_set_poll(core, REACTOR_POLL_NEVER);
	run_core(sim, core);
	core_free(core);
	machine_free(machine);
	io_free(io);
	sim_free(sim);
	sim_disk_free(m.disk);
	return 0;
}
