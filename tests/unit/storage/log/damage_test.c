/* Logs are damaged in every way, and the reader must give exactly what lies before, and tell a torn
 * tail from corruption as a second, plain reading of the bytes does. */
#include "storage/log/frame_private.h"
#include "tests/unit/storage/log/stage.h"

enum { DISK_BYTES = 64 * 1024 * 1024, FRAMES_MAX = 4096, FILE_MAX = 1024 * 1024, DAMAGES = 60, SEEDS = 24 };

/* ---- logs to be damaged ---------------------------------------------------------------------- */

struct writing {
	uint64_t segment_size;
	bool close;
};

static void append_some(struct stage *s, struct log *log)
{
	static const uint32_t most[] = {1, 60, 500, 6000, 90 * 1000};
	static uint8_t bytes[90 * 1000];
	uint32_t n = 1 + (uint32_t)sim_below(s->sim, 4);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = (uint32_t)sim_below(s->sim, most[sim_below(s->sim, sim_chance(s->sim, 50) ? 5 : 4)]);
		memset(bytes, (int)sim_random(s->sim), size);
		struct slice part = slice_of(bytes, size);
		log_append(log, RECORD_SYSTEM_DELETE, SLOT_SYSTEM, 0, &part, 1, i + 1 < n);
	}
}

/* A log as a kill or an orderly end leaves it. */
static void write_log(struct stage *s, void *arg)
{
	const struct writing *writing = arg;
	struct log_start start = start_of(writing->segment_size);
	int error;
	make_directory(s, NULL);
	struct log *log = log_open(s->core, &start, &error);
	log_set_mode(log, (enum log_mode)sim_below(s->sim, 3));
	for (uint32_t i = 0, n = 10 + (uint32_t)sim_below(s->sim, 60); i < n; i++) {
		append_some(s, log);
		if (sim_chance(s->sim, 300))
			check_eq(log_wait_for(s->core, log, log_appended(log)), 0);
		if (sim_chance(s->sim, 300))
			fiber_sleep(s->core, sim_below(s->sim, 40) * 1000 * 1000);
	}
	if (writing->close) {
		log_close(log);
		return;
	}
	fiber_sleep(s->core, 3000 * 1000); /* what is under way ends */
	log_abandon(log);
	fiber_sleep(s->core, 3000 * 1000);
}

/* ---- the plain reading -------------------------------------------------------------------------- */

struct seen_frame {
	uint32_t file; /* index */
	uint64_t at, length, first_lsn, durable_lsn;
	uint32_t n_records;
	bool damaged;
};

struct seen_file {
	char path[64];
	uint64_t number;
};

struct plain {
	struct seen_frame frames[FRAMES_MAX];
	uint32_t n_frames;
	struct seen_file files[64]; /* in order */
	uint32_t n_files;
	struct record records[4 * FRAMES_MAX]; /* without bodies */
	uint32_t n_records;
	uint64_t next_lsn;
};

static void see_frames(const struct stage *s, struct plain *plain, uint32_t file)
{
	static uint8_t bytes[FILE_MAX];
	struct frame_header header;
	size_t size = sim_disk_read(s->disk, plain->files[file].path, 0, bytes, sizeof(bytes));
	for (uint64_t at = SEGMENT_FRAMES_AT; at < size; at += header.length) {
		memcpy(&header, bytes + at, sizeof(header));
		if (header.magic != FRAME_MAGIC)
			return;
		plain->frames[plain->n_frames++] = (struct seen_frame){.file = file,
		                                                       .at = at,
		                                                       .length = header.length,
		                                                       .first_lsn = header.first_lsn,
		                                                       .durable_lsn = header.durable_lsn,
		                                                       .n_records = header.n_records};
		plain->next_lsn = header.first_lsn + header.n_records;
	}
}

static enum log_read read_records(struct stage *s, struct plain *out, struct log_end *end, struct buf *why)
{
	struct found found;
	const struct record *records;
	uint32_t n;
	enum log_read read;
	find_segments(s, 1, &found);
	struct log_reader *reader = log_reader_new(s->core, "data", &found.segments, 1);
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME)
		for (uint32_t i = 0; i < n; i++)
			out->records[out->n_records++] = records[i];
	*end = *log_reader_end(reader);
	why->len = 0;
	buf_append(why, slice_from_str(log_reader_why(reader)));
	buf_byte(why, 0);
	log_reader_free(reader);
	segment_list_free(&found.segments);
	segment_list_free(&found.spare);
	return read;
}

static void see_log(struct stage *s, void *arg)
{
	struct plain *plain = arg;
	struct found found;
	struct log_end end;
	cleanup(buf_fini) struct buf why = {0};
	find_segments(s, 1, &found);
	for (uint32_t i = 0; i < found.segments.n; i++) {
		struct seen_file *file = &plain->files[plain->n_files++];
		file->number = found.segments.all[i].number;
		segment_path("data", file->number, file->path, sizeof(file->path));
		see_frames(s, plain, i);
	}
	segment_list_free(&found.segments);
	segment_list_free(&found.spare);
	check_eq(read_records(s, plain, &end, &why), LOG_READ_END, "%s", why.ptr);
	check_eq(end.next_lsn, plain->next_lsn);
}

/* ---- damage ------------------------------------------------------------------------------------- */

struct damage {
	struct plain *plain;
	uint32_t file;
	uint64_t from, to; /* bytes that may have changed */
	uint8_t before[FILE_MAX];
	struct plain after;
};

/* Changes bytes [from, to): a bit, garbage, zeros, or what lies elsewhere in the file. */
static void inflict(struct stage *s, struct damage *d)
{
	static uint8_t bytes[FILE_MAX];
	const char *path = d->plain->files[d->file].path;
	size_t size = (size_t)(d->to - d->from);
	sim_disk_read(s->disk, path, 0, d->before, sizeof(d->before));
	memcpy(bytes, d->before + d->from, size);
	switch (sim_below(s->sim, 4)) {
	case 0:
		d->to = d->from + 1;
		size = 1;
		bytes[0] ^= (uint8_t)(1 << sim_below(s->sim, 8));
		break;
	case 1:
		memset(bytes, 0, size);
		break;
	case 2:
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)sim_random(s->sim);
		break;
	case 3:
		memcpy(bytes, d->before + SEGMENT_FRAMES_AT, size);
		break;
	}
	sim_disk_write(s->disk, path, d->from, slice_of(bytes, size));
	for (uint32_t i = 0; i < d->plain->n_frames; i++) {
		struct seen_frame *frame = &d->plain->frames[i];
		uint64_t from = frame->at > d->from ? frame->at : d->from;
		uint64_t to = frame->at + frame->length < d->to ? frame->at + frame->length : d->to;
		frame->damaged = frame->file == d->file && from < to &&
		                 memcmp(d->before + from, bytes + (from - d->from), (size_t)(to - from)) != 0;
	}
}

static void heal(struct stage *s, struct damage *d)
{
	sim_disk_write(s->disk, d->plain->files[d->file].path, d->from,
	               slice_of(d->before + d->from, (size_t)(d->to - d->from)));
}

static const struct seen_frame *first_damaged(const struct plain *plain)
{
	for (uint32_t i = 0; i < plain->n_frames; i++)
		if (plain->frames[i].damaged)
			return &plain->frames[i];
	return NULL;
}

/* Does anything else say that this frame had been durable? */
static bool is_attested(const struct plain *plain, const struct seen_frame *frame)
{
	if (frame->file + 1 < plain->n_files)
		return true;
	for (const struct seen_frame *later = frame + 1; later < plain->frames + plain->n_frames; later++)
		if (!later->damaged && (later->durable_lsn >= frame->first_lsn || later->first_lsn == frame->first_lsn))
			return true;
	return false;
}

/* Records of groups that are whole before `end_lsn`. */
static uint32_t records_before(const struct plain *plain, uint64_t end_lsn)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < plain->n_records && plain->records[i].lsn < end_lsn; i++)
		if (!plain->records[i].group)
			n = i + 1;
	return n;
}

static void read_damaged(struct stage *s, void *arg)
{
	struct damage *d = arg;
	struct log_end end;
	cleanup(buf_fini) struct buf why = {0};
	const struct seen_frame *frame = first_damaged(d->plain);
	bool corrupt = frame && is_attested(d->plain, frame);
	uint64_t next_lsn = frame ? frame->first_lsn : d->plain->next_lsn;
	d->after.n_records = 0;
	enum log_read read = read_records(s, &d->after, &end, &why);
	check_eq(read, corrupt ? LOG_READ_CORRUPT : LOG_READ_END, "%s", why.ptr);
	check_eq(end.next_lsn, next_lsn, "%lu", end.next_lsn);
	check_eq(corrupt, why.len > 1);
	check_eq(d->after.n_records, records_before(d->plain, next_lsn));
	for (uint32_t i = 0; i < d->after.n_records; i++)
		check_eq(d->after.records[i].lsn, d->plain->records[i].lsn);
}

/* Small damage, often at the end, or all to the end. */
static void choose_place(struct stage *s, struct damage *d)
{
	const struct plain *plain = d->plain;
	const struct seen_frame *last = &plain->frames[plain->n_frames - 1];
	uint32_t back = (uint32_t)sim_below(s->sim, sim_chance(s->sim, 500) ? 3 : plain->n_frames);
	const struct seen_frame *frame = back < plain->n_frames ? last - back : plain->frames;
	d->file = frame->file;
	d->from = frame->at + sim_below(s->sim, sim_chance(s->sim, 300) ? sizeof(struct frame_header) : frame->length);
	uint64_t size = sim_below(s->sim, sim_chance(s->sim, 500) ? 16 : 3 * LOG_BLOCK) + 1;
	if (sim_chance(s->sim, 200))
		size = FILE_MAX;
	uint64_t end = (uint64_t)sim_disk_size(s->disk, plain->files[d->file].path);
	d->to = d->from + size < end ? d->from + size : end;
}

static void damage_log(uint64_t seed, uint32_t *n_corrupt, uint32_t *n_torn)
{
	static struct damage d;
	static struct plain plain;
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct stage s = stage_begin(disk, seed);
	struct writing writing = {.segment_size = (128u << sim_below(s.sim, 4)) * 1024, .close = seed % 3 == 0};
	memset(&plain, 0, sizeof(plain));
	d.plain = &plain;
	check(stage_run(&s, write_log, &writing));
	check(stage_run(&s, see_log, &plain));
	for (uint32_t i = 0; i < DAMAGES && plain.n_frames > 0; i++) {
		choose_place(&s, &d);
		inflict(&s, &d);
		const struct seen_frame *frame = first_damaged(&plain);
		*n_corrupt += frame && is_attested(&plain, frame);
		*n_torn += frame && !is_attested(&plain, frame);
		check(stage_run(&s, read_damaged, &d));
		heal(&s, &d);
	}
	stage_end(&s);
	sim_disk_free(disk);
}

Test(damage, is_told_from_a_torn_tail, .timeout = 300)
{
	uint32_t n_corrupt = 0, n_torn = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		damage_log(seed, &n_corrupt, &n_torn);
	cr_assert_gt(n_corrupt, 100, "%u", n_corrupt);
	cr_assert_gt(n_torn, 100, "%u", n_torn);
}
