/* A log, frame by frame.
 *
 *   segment by segment: its head must go on where the one before ended
 *     frame by frame: checksum, place, generation, epoch, first LSN, chain -> records (assembly.c)
 *   a frame that is not as it must be: if anything shows that it had been durable, corruption; else the end
 *
 * What shows it: a later segment, for one begins only when all before it is durable; or, further on
 * in the last segment, a sound frame of the same use that says so, or one that goes on at the very
 * LSN (what is bad was a closing frame, and frames follow one only when it is durable).
 */
#include "storage/log/reader.h"

#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "storage/log/assembly_private.h"
#include "storage/log/frame_private.h"
#include "storage/log/window_private.h"

#include <errno.h>
#include <stdio.h>

enum { NAME_ROOM = 32 };

struct log_reader {
	struct core *core;
	char *directory;
	const struct segment_list *segments;
	enum log_read state; /* LOG_READ_FRAME: goes on */
	uint32_t i;          /* the segment that is read */
	int fd;              /* -1: it is to be opened */
	uint64_t at;         /* of the next frame */
	struct window window;
	struct assembly assembly;
	bool new_epoch;     /* no frame of it was read yet */
	struct log_end end; /* where what was read so far ends: next_lsn and chain are what comes next */
	struct buf tail;    /* of struct tail_frame: those of this segment that no later one vouches for */
	struct frame_header frame;
	uint64_t frame_number, frame_offset;
	struct buf why;
};

/* ---- words for people ---------------------------------------------------------------------- */

static const struct segment_info *segment(const struct log_reader *reader, uint32_t i)
{
	return &reader->segments->all[i];
}

static const struct segment_info *next_segment(const struct log_reader *reader)
{
	return reader->i + 1 < reader->segments->n ? segment(reader, reader->i + 1) : NULL;
}

static void name_segment(const struct segment_info *info, char out[NAME_ROOM])
{
	snprintf(out, NAME_ROOM, "log/%016llx", (unsigned long long)info->number);
}

static void begin_why(struct log_reader *reader, uint64_t at)
{
	char name[NAME_ROOM];
	name_segment(segment(reader, reader->i), name);
	reader->why.len = 0;
	buf_printf(&reader->why, "%s at %llu: ", name, (unsigned long long)at);
}

static enum log_read stop(struct log_reader *reader, enum log_read state)
{
	buf_byte(&reader->why, 0);
	reader->why.len--;
	reader->state = state;
	return state;
}

/* LSNs from the next one up to before `until` (0: nobody knows) cannot be had. */
static void say_lost(struct log_reader *reader, uint64_t until)
{
	uint64_t first = reader->end.next_lsn;
	if (until > first)
		buf_printf(&reader->why, "; records %llu to %llu are lost", (unsigned long long)first,
		           (unsigned long long)until - 1);
	else if (until == 0)
		buf_printf(&reader->why, "; records from %llu on are lost", (unsigned long long)first);
	else
		buf_printf(&reader->why, "; no record is lost by it");
}

/* ---- bytes of files -------------------------------------------------------------------------- */

static uint64_t segment_end(const struct log_reader *reader)
{
	const struct segment_info *info = segment(reader, reader->i);
	return info->size < info->head.size ? info->size : info->head.size;
}

static int segment_open(struct log_reader *reader)
{
	char path[4096];
	segment_path(reader->directory, segment(reader, reader->i)->number, path, sizeof(path));
	int fd = file_open(reader->core, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	if (fd < 0)
		return fd;
	reader->fd = fd;
	window_open(&reader->window, fd, segment_end(reader));
	return 0;
}

static void segment_close(struct log_reader *reader)
{
	if (reader->fd < 0)
		return;
	window_close(&reader->window);
	file_close(reader->core, reader->fd);
	reader->fd = -1;
}

static int64_t look(struct log_reader *reader, uint64_t at, size_t want, const uint8_t **out)
{
	return window_look(&reader->window, at, want, out);
}

static enum log_read failed(struct log_reader *reader, uint64_t at, int64_t error)
{
	begin_why(reader, at);
	buf_printf(&reader->why, "cannot be read: %s", strerror((int)-error));
	return stop(reader, LOG_READ_ERROR);
}

/* ---- frames ------------------------------------------------------------------------------------ */

static bool is_of_segment(const struct frame_header *header, const struct segment_head *head, uint64_t at)
{
	return header->log == head->log && header->generation == head->generation && header->epoch == head->epoch &&
	       header->at == frame_at(at);
}

/* A sound frame of this segment at `at`. 1, 0 or -errno. */
static int find_frame(struct log_reader *reader, uint64_t at, struct frame_header *header, const uint8_t **out)
{
	int64_t n = look(reader, at, LOG_BLOCK, out);
	if (n < LOG_BLOCK || !frame_begins(*out, header) ||
	    !is_of_segment(header, &segment(reader, reader->i)->head, at))
		return n < 0 ? (int)n : 0;
	n = look(reader, at, header->length, out);
	if (n < 0)
		return (int)n;
	return n == header->length && frame_is_sound(*out, header->length);
}

/* What is wrong with what lies where the next frame should. */
static const char *fault(struct log_reader *reader, bool sound, const struct frame_header *header)
{
	const struct segment_info *next = next_segment(reader);
	if (!sound)
		return "no sound frame lies there";
	if (header->first_lsn != reader->end.next_lsn)
		return "the frame begins with another LSN";
	if (header->chain != reader->end.chain)
		return "the frame does not follow the one before it";
	if (next && header->first_lsn + header->n_records > next->head.first_lsn)
		return "the frame goes on beyond where the next segment begins";
	return NULL;
}

static enum log_read corrupt_frame(struct log_reader *reader, const char *what, uint64_t until)
{
	begin_why(reader, reader->at);
	buf_printf(&reader->why, "the frame with LSN %llu is damaged (%s)", (unsigned long long)reader->end.next_lsn,
	           what);
	say_lost(reader, until);
	return stop(reader, LOG_READ_CORRUPT);
}

/* A later segment begins only when all before it is durable. */
static enum log_read corrupt_before_next(struct log_reader *reader, const char *what)
{
	const struct segment_info *next = next_segment(reader);
	char name[NAME_ROOM];
	name_segment(next, name);
	uint64_t first = next->head.first_lsn, expected = reader->end.next_lsn;
	corrupt_frame(reader, what, first > expected ? first : expected);
	buf_printf(&reader->why, ": %s goes on at LSN %llu", name, (unsigned long long)first);
	return stop(reader, LOG_READ_CORRUPT);
}

static enum log_read corrupt_by_witness(struct log_reader *reader, const char *what, uint64_t at,
                                        const struct frame_header *witness)
{
	corrupt_frame(reader, what, witness->first_lsn);
	buf_printf(&reader->why, ": the frame at %llu shows that it was durable", (unsigned long long)at);
	return stop(reader, LOG_READ_CORRUPT);
}

/* Where a frame of this use begins, sound or not, something was cut off. */
static uint64_t torn_end(struct log_reader *reader, uint64_t at, uint64_t torn_to)
{
	const uint8_t *bytes;
	struct frame_header header;
	int64_t n = look(reader, at, LOG_BLOCK, &bytes);
	if (n < LOG_BLOCK || !frame_begins(bytes, &header) ||
	    !is_of_segment(&header, &segment(reader, reader->i)->head, at))
		return torn_to;
	return at + header.length > torn_to ? at + header.length : torn_to;
}

/* In the last segment: is it the torn tail, or was it durable? */
static enum log_read judge_tail(struct log_reader *reader, const char *what)
{
	struct frame_header header;
	const uint8_t *bytes;
	uint64_t expected = reader->end.next_lsn, torn_to = reader->at;
	for (uint64_t at = reader->at; at < segment_end(reader); at += LOG_BLOCK) {
		int found = find_frame(reader, at, &header, &bytes);
		if (found < 0)
			return failed(reader, at, found);
		if (found > 0 && (header.durable_lsn >= expected || (header.first_lsn == expected && at > reader->at)))
			return corrupt_by_witness(reader, what, at, &header);
		torn_to = torn_end(reader, at, torn_to);
	}
	reader->end.torn_bytes = torn_to - reader->at;
	return stop(reader, LOG_READ_END);
}

/* ---- from segment to segment --------------------------------------------------------------------- */

/* After a crash the log went on elsewhere, from here: what follows in this segment was cut off. */
static bool next_takes_over(const struct log_reader *reader)
{
	const struct segment_info *next = next_segment(reader);
	return next && next->head.epoch > segment(reader, reader->i)->head.epoch &&
	       next->head.first_lsn == reader->end.next_lsn && next->head.chain == reader->end.chain;
}

static const char *head_fault(const struct log_reader *reader, const struct segment_head *head,
                              const struct segment_head *before)
{
	if (head->format != LOG_FORMAT)
		return "its format is unknown to this program: it was written by a newer one";
	if (head->size < SEGMENT_FRAMES_AT || head->size % LOG_BLOCK != 0)
		return "its head gives a size that cannot be";
	if (!before)
		return NULL;
	if (head->log != before->log || memcmp(head->directory, before->directory, sizeof(head->directory)) != 0)
		return "it belongs to another log";
	if (head->place != before->place + 1 || head->epoch < before->epoch || head->generation <= before->generation)
		return "its head does not follow that of the segment before it";
	if (head->first_lsn != reader->end.next_lsn)
		return "it begins with another LSN than the segment before it ends with";
	if (head->chain != reader->end.chain)
		return "its chain does not follow the last frame before it";
	return NULL;
}

/* Begins segment `i`. `before`: NULL at the first, or when what was before is known to be lost. */
static enum log_read enter(struct log_reader *reader, uint32_t i, const struct segment_head *before)
{
	const struct segment_head *head = &segment(reader, i)->head;
	segment_close(reader);
	if (before && head->epoch > before->epoch)
		reader->new_epoch = true;
	reader->i = i;
	reader->at = SEGMENT_FRAMES_AT;
	const char *what = head_fault(reader, head, before);
	if (what) {
		begin_why(reader, 0);
		buf_append(&reader->why, slice_from_str(what));
		say_lost(reader, head->first_lsn);
		return stop(reader, LOG_READ_CORRUPT);
	}
	reader->end.place = head->place + 1;
	reader->end.epoch = head->epoch;
	reader->end.next_lsn = head->first_lsn;
	reader->end.chain = head->chain;
	int result = segment_open(reader);
	return result < 0 ? failed(reader, 0, result) : LOG_READ_FRAME;
}

/* The segment in which `from_lsn` lies; records are needed whole, and begin there. */
static enum log_read enter_first(struct log_reader *reader)
{
	uint32_t i = 0;
	uint64_t from = reader->assembly.from_lsn;
	while (i + 1 < reader->segments->n && segment(reader, i + 1)->head.first_lsn <= from)
		i++;
	enum log_read state = enter(reader, i, NULL);
	if (state != LOG_READ_FRAME || from == 0 || from >= reader->end.next_lsn)
		return state;
	begin_why(reader, 0);
	buf_printf(&reader->why, "the log begins with LSN %llu; records %llu to %llu are lost",
	           (unsigned long long)reader->end.next_lsn, (unsigned long long)from,
	           (unsigned long long)reader->end.next_lsn - 1);
	return stop(reader, LOG_READ_CORRUPT);
}

/* ---- the contract ---------------------------------------------------------------------------------- */

struct log_reader *log_reader_new(struct core *core, const char *directory, const struct segment_list *segments,
                                  uint64_t from_lsn)
{
	struct log_reader *reader = memory_zalloc(sizeof(*reader));
	size_t size = strlen(directory) + 1;
	*reader = (struct log_reader){
	        .core = core, .segments = segments, .fd = -1, .i = UINT32_MAX, .end.next_lsn = from_lsn ? from_lsn : 1};
	reader->directory = memcpy(memory_alloc(size), directory, size);
	window_init(&reader->window, core);
	assembly_init(&reader->assembly, segments->n > 0 ? segments->all[0].head.log : 0, from_lsn);
	if (segments->n == 0)
		stop(reader, LOG_READ_END);
	return reader;
}

void log_reader_free(struct log_reader *reader)
{
	if (!reader)
		return;
	segment_close(reader);
	assembly_fini(&reader->assembly);
	window_fini(&reader->window);
	memory_free(reader->directory);
	buf_fini(&reader->why);
	memory_free(reader);
}

/* What is not whole stays so: after a crash, unless its end was copied; and where all that there was had been written.
 */
static bool breaks_off(struct log_reader *reader, const struct frame_header *header)
{
	bool after_crash = reader->new_epoch && !(header->flags & FRAME_COPIED);
	reader->new_epoch = false;
	return after_crash || header->flags & FRAME_CLOSING;
}

static enum log_read give_frame(struct log_reader *reader, const uint8_t *bytes, const struct record **records,
                                uint32_t *n)
{
	const struct frame_header *header = &reader->frame;
	cleanup(buf_fini) struct buf what = {0};
	if (breaks_off(reader, header))
		assembly_break(&reader->assembly, false);
	if (!assembly_add(&reader->assembly, bytes, header, &what)) {
		begin_why(reader, reader->at);
		buf_append(&reader->why, buf_slice(&what));
		say_lost(reader, header->first_lsn + header->n_records);
		return stop(reader, LOG_READ_CORRUPT);
	}
	reader->frame_number = segment(reader, reader->i)->number;
	reader->frame_offset = reader->at;
	reader->at += header->length;
	reader->end.next_lsn = header->first_lsn + header->n_records;
	reader->end.chain = header->crc;
	reader->end.frames++;
	reader->end.records += header->n_records;
	*records = assembly_records(&reader->assembly, n);
	return LOG_READ_FRAME;
}

/* Opens what is to be read next. LOG_READ_FRAME: a frame should lie at `at`. */
static enum log_read go_to_frame(struct log_reader *reader)
{
	enum log_read entered = reader->i == UINT32_MAX ? enter_first(reader) : LOG_READ_FRAME;
	if (entered != LOG_READ_FRAME)
		return entered;
	const struct segment_head *head = &segment(reader, reader->i)->head;
	while (next_takes_over(reader) || (reader->at == head->size && next_segment(reader))) {
		enum log_read state = enter(reader, reader->i + 1, head);
		if (state != LOG_READ_FRAME)
			return state;
		head = &segment(reader, reader->i)->head;
	}
	return reader->at == head->size ? stop(reader, LOG_READ_END) : LOG_READ_FRAME;
}

enum log_read log_reader_next(struct log_reader *reader, const struct record **records, uint32_t *n)
{
	const uint8_t *bytes;
	struct frame_header header;
	if (reader->state != LOG_READ_FRAME)
		return reader->state;
	enum log_read state = go_to_frame(reader);
	if (state != LOG_READ_FRAME)
		return state;
	int found = find_frame(reader, reader->at, &header, &bytes);
	if (found < 0)
		return failed(reader, reader->at, found);
	const char *what = fault(reader, found > 0, &header);
	if (what)
		return next_segment(reader) ? corrupt_before_next(reader, what) : judge_tail(reader, what);
	reader->frame = header;
	return give_frame(reader, bytes, records, n);
}

const struct log_end *log_reader_end(const struct log_reader *reader) { return &reader->end; }

const char *log_reader_why(const struct log_reader *reader)
{
	return reader->why.len > 0 ? (const char *)reader->why.ptr : "";
}

const struct frame_header *log_reader_frame(const struct log_reader *reader, uint64_t *number, uint64_t *at)
{
	*number = reader->frame_number;
	*at = reader->frame_offset;
	return reader->end.frames > 0 ? &reader->frame : NULL;
}

/* ---- salvage -------------------------------------------------------------------------------------------- */

/* The next sound frame of this segment, from `at` on. */
static bool skip_in_segment(struct log_reader *reader)
{
	struct frame_header header;
	const uint8_t *bytes;
	for (; reader->at < segment_end(reader); reader->at += LOG_BLOCK) {
		if (find_frame(reader, reader->at, &header, &bytes) <= 0)
			continue;
		reader->end.next_lsn = header.first_lsn;
		reader->end.chain = header.chain;
		return true;
	}
	return false;
}

bool log_reader_skip(struct log_reader *reader)
{
	if (reader->state != LOG_READ_CORRUPT && reader->state != LOG_READ_ERROR)
		return false;
	assembly_break(&reader->assembly, true);
	bool open = reader->fd >= 0;
	reader->at += LOG_BLOCK;
	for (uint32_t i = reader->i; i < reader->segments->n; i++, open = false) {
		if (!open && enter(reader, i, NULL) != LOG_READ_FRAME)
			continue;
		if (!skip_in_segment(reader))
			continue;
		reader->state = LOG_READ_FRAME;
		return true;
	}
	stop(reader, LOG_READ_END);
	return false;
}
