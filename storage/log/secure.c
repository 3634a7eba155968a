/* The end of a log, made sure of.
 *
 *   ... | attested | unattested |                 read, and perhaps not durable: nothing says so
 *                  | head | unattested, copied | closing |       a small segment of the new epoch, full
 *
 * The new segment goes on where the last frame ends that is certainly durable, so for readers it takes the place of
 * what it holds copies of. Nothing is written where old frames lie: a crash could break what was
 * whole. The copies are durable before the head, and the head before the closing frame: until the
 * head is there, the old frames count; from the closing frame on nothing needs to be copied again.
 */
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "storage/log/frame_private.h"
#include "storage/log/reader.h"

#include <errno.h>
#include <stdio.h>

enum { PATH_MAX_BYTES = 4096 };

struct tail_frame {
	uint64_t at, last_lsn;
	struct frame_header header;
};

/* The last segment, as far as it counts. */
struct tail {
	struct buf frames;        /* of struct tail_frame: those with records that no later frame vouches for */
	struct frame_header last; /* of all frames; length 0: there is none */
	uint64_t last_at;
};

/* The file that is being made. */
struct copy {
	struct core *core;
	const char *directory;
	struct segment_info from, to;
	int from_fd, fd;
	uint8_t *buffer;
	uint64_t mark; /* of the directory, before the copy is made */
	uint64_t at;
	uint32_t chain;
	uint64_t durable_lsn; /* before all that is copied */
	uint64_t next_lsn;
	bool begins_epoch; /* the segment that is copied from: what was not whole before it stays so */
};

static const struct tail_frame *frames_of(const struct tail *tail, size_t *n)
{
	*n = tail->frames.len / sizeof(struct tail_frame);
	return (const struct tail_frame *)(const void *)tail->frames.ptr;
}

/* ---- what is there ---------------------------------------------------------------------------- */

static void note_frame(struct tail *tail, const struct frame_header *header, uint64_t at)
{
	struct tail_frame frame = {.at = at, .last_lsn = header->first_lsn + header->n_records - 1, .header = *header};
	size_t n, durable = 0;
	const struct tail_frame *frames = frames_of(tail, &n);
	while (durable < n && frames[durable].last_lsn <= header->durable_lsn)
		durable++;
	if (durable > 0)
		buf_drop(&tail->frames, durable * sizeof(frame));
	if (header->n_records > 0)
		buf_append(&tail->frames, slice_of(&frame, sizeof(frame)));
	tail->last = *header;
	tail->last_at = at;
}

/* Reads the last segment once more; it must end where it did. */
static int find_tail(struct core *core, const char *directory, struct segment_info *last, const struct log_end *end,
                     struct tail *out)
{
	struct segment_list one = {.all = last, .n = 1, .room = 1};
	struct log_reader *reader = log_reader_new(core, directory, &one, 0);
	const struct record *records;
	enum log_read read;
	uint32_t n;
	uint64_t number, at;
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME) {
		const struct frame_header *header = log_reader_frame(reader, &number, &at);
		note_frame(out, header, at);
	}
	const struct log_end *now = log_reader_end(reader);
	bool same = read == LOG_READ_END && now->next_lsn == end->next_lsn && now->chain == end->chain;
	log_reader_free(reader);
	return same ? 0 : -EIO;
}

/* ---- the new segment ----------------------------------------------------------------------------- */

static int write_frame(struct copy *copy, struct frame_header *header)
{
	header->log = copy->to.head.log;
	header->generation = copy->to.head.generation;
	header->epoch = copy->to.head.epoch;
	header->at = frame_at(copy->at);
	header->chain = copy->chain;
	copy->chain = frame_seal(copy->buffer, header);
	bool closing = header->flags & FRAME_CLOSING;
	uint64_t at = copy->at;
	copy->at += header->length;
	return file_write(copy->core, copy->fd, copy->buffer, header->length, at, closing ? IO_WRITE_DURABLE : 0);
}

static int copy_frame(struct copy *copy, const struct tail_frame *frame)
{
	struct frame_header header = frame->header;
	int64_t n = file_read(copy->core, copy->from_fd, copy->buffer, header.length, frame->at);
	if (n < 0)
		return (int)n;
	if (n != header.length || memcmp(copy->buffer, &header, sizeof(header)) != 0 ||
	    !frame_is_sound(copy->buffer, header.length))
		return -EIO; /* it was sound a moment ago */
	if (!copy->begins_epoch || frame->at > SEGMENT_FRAMES_AT)
		header.flags |= FRAME_COPIED;
	header.durable_lsn = copy->durable_lsn;
	return write_frame(copy, &header);
}

static int copy_frames(struct copy *copy, const struct tail *tail)
{
	size_t n;
	const struct tail_frame *frames = frames_of(tail, &n);
	int result = 0;
	for (size_t i = 0; i < n && result == 0; i++)
		result = copy_frame(copy, &frames[i]);
	return result;
}

/* Zeros where the closing frame will lie: so the file has its full size before its head is there. */
static int make_durable(struct copy *copy)
{
	char path[PATH_MAX_BYTES];
	memset(copy->buffer, 0, LOG_BLOCK);
	int result = file_write(copy->core, copy->fd, copy->buffer, LOG_BLOCK, copy->at, 0);
	if (result == 0)
		result = file_sync(copy->core, copy->fd);
	snprintf(path, sizeof(path), "%s/log", copy->directory);
	return result == 0 ? dir_sync(copy->core, path, copy->mark) : result;
}

static int write_heads(struct copy *copy)
{
	segment_head_write(&copy->to.head, copy->buffer);
	memcpy(copy->buffer + LOG_BLOCK, copy->buffer, LOG_BLOCK);
	return file_write(copy->core, copy->fd, copy->buffer, SEGMENT_FRAMES_AT, 0, IO_WRITE_DURABLE);
}

static int write_closing(struct copy *copy)
{
	struct frame_header header = {.used = sizeof(header),
	                              .flags = FRAME_CLOSING,
	                              .first_lsn = copy->next_lsn,
	                              .durable_lsn = copy->next_lsn - 1};
	return write_frame(copy, &header);
}

static int fill_segment(struct copy *copy, const struct tail *tail)
{
	int result = copy_frames(copy, tail);
	if (result == 0)
		result = make_durable(copy);
	if (result == 0)
		result = write_heads(copy);
	return result == 0 ? write_closing(copy) : result;
}

static int open_segment(const struct copy *copy, const struct segment_info *info, unsigned flags)
{
	char path[PATH_MAX_BYTES];
	segment_path(copy->directory, info->number, path, sizeof(path));
	return file_open(copy->core, path, IO_OPEN_READ | IO_OPEN_DIRECT | flags, 0600);
}

/* What was not finished is in nobody's way, but for its blocks. */
static void remove_segment(const struct copy *copy)
{
	char path[PATH_MAX_BYTES];
	segment_path(copy->directory, copy->to.number, path, sizeof(path));
	int removed = file_remove(copy->core, path);
	(void)removed;
}

static int make_segment(struct copy *copy, const struct tail *tail)
{
	int from_fd = open_segment(copy, &copy->from, 0);
	copy->mark = dir_mark(copy->core);
	int fd = from_fd < 0 ? from_fd : open_segment(copy, &copy->to, IO_OPEN_WRITE | IO_OPEN_CREATE);
	int result = fd < 0 ? fd : 0;
	if (result == 0) {
		copy->from_fd = from_fd;
		copy->fd = fd;
		copy->buffer = file_buffer_new(FRAME_MAX > SEGMENT_FRAMES_AT ? FRAME_MAX : SEGMENT_FRAMES_AT);
		result = fill_segment(copy, tail);
		file_buffer_free(copy->buffer);
		file_close(copy->core, fd);
	}
	if (result < 0 && from_fd >= 0)
		remove_segment(copy);
	if (from_fd >= 0)
		file_close(copy->core, from_fd);
	return result;
}

/* Its head: it goes on before the first frame that is to be copied. */
static struct copy copy_of(const struct segment_info *last, const struct tail *tail, uint64_t place, uint64_t epoch,
                           uint64_t number, uint64_t generation)
{
	size_t n;
	const struct tail_frame *frames = frames_of(tail, &n);
	struct copy copy = {.from = *last,
	                    .at = SEGMENT_FRAMES_AT,
	                    .chain = frames[0].header.chain,
	                    .durable_lsn = frames[0].header.first_lsn - 1};
	uint64_t size = SEGMENT_FRAMES_AT + LOG_BLOCK;
	for (size_t i = 0; i < n; i++)
		size += frames[i].header.length;
	copy.to = (struct segment_info){.head = last->head, .number = number, .size = size, .valid_copies = 2};
	copy.to.head.number = number;
	copy.to.head.generation = generation;
	copy.to.head.place = place;
	copy.to.head.epoch = epoch;
	copy.to.head.first_lsn = frames[0].header.first_lsn;
	copy.to.head.chain = frames[0].header.chain;
	copy.to.head.size = size;
	return copy;
}

/* ---- the contract ------------------------------------------------------------------------------------ */

/* A segment of which nothing is certainly durable, its head included, gives its place to the one that follows. */
static bool is_replaced(const struct tail *tail)
{
	size_t n;
	const struct tail_frame *frames = frames_of(tail, &n);
	uint64_t from = n > 0 ? frames[0].at : tail->last.length ? tail->last_at : SEGMENT_FRAMES_AT;
	return from == SEGMENT_FRAMES_AT;
}

/* Nothing but perhaps a closing frame: what follows goes on before it, so that it may vanish. */
static void pass_over_closing(const struct tail *tail, struct segment_list *segments, struct log_end *end)
{
	const struct segment_info *last = &segments->all[segments->n - 1];
	end->place = last->head.place + 1;
	if (tail->last.length)
		end->chain = tail->last.chain;
	if (!is_replaced(tail))
		return;
	end->place = last->head.place;
	segments->n--;
}

static int secure_tail(struct core *core, const char *directory, const struct tail *tail, struct segment_list *segments,
                       struct log_end *end, uint64_t epoch, uint64_t number, uint64_t generation)
{
	struct segment_info *last = &segments->all[segments->n - 1];
	uint64_t place = last->head.place + !is_replaced(tail);
	struct copy copy = copy_of(last, tail, place, epoch, number, generation);
	copy.core = core;
	copy.directory = directory;
	copy.next_lsn = end->next_lsn;
	copy.begins_epoch = segments->n > 1 && last[-1].head.epoch < last->head.epoch;
	int result = make_segment(&copy, tail);
	if (result < 0)
		return result;
	if (is_replaced(tail))
		*last = copy.to;
	else
		segment_list_add(segments, &copy.to);
	end->place = place + 1;
	end->epoch = epoch;
	end->chain = copy.chain;
	return 0;
}

int log_secure(struct core *core, const char *directory, struct segment_list *segments, struct log_end *end,
               uint64_t epoch, uint64_t number, uint64_t generation)
{
	if (segments->n == 0 || segments->all[segments->n - 1].head.epoch == epoch)
		return 0;
	struct tail tail = {0};
	int result = find_tail(core, directory, &segments->all[segments->n - 1], end, &tail);
	if (result == 0 && tail.frames.len == 0)
		pass_over_closing(&tail, segments, end);
	else if (result == 0)
		result = secure_tail(core, directory, &tail, segments, end, epoch, number, generation);
	buf_fini(&tail.frames);
	return result;
}
