/* run_private.h -- a record whose body is made when its turn comes to be written.
 *
 * Why       A body of hundreds of megabytes, made at once, would keep the core for that long, and lie in memory until
 *           the device has it. Its length is known: so its fragments have their LSNs and their places at once, and what
 *           is appended later goes behind them. The bytes are made a piece at a time, in front of the device.
 * Owner     The log, which seals frames and says where batches go.
 */
#pragma once

#include "storage/log/batch_private.h"
#include "storage/log/log.h"

struct log_run {
	struct link link;
	struct link behind; /* batches that were shut after it and before the next; of the log */
	struct log_source *source;
	struct record_header header; /* of all fragments, but for length and the flags of a part */
	uint64_t segment_size;
	uint64_t next_at; /* where the next frame begins */
	uint64_t next_lsn;
	size_t left;    /* of the body */
	uint32_t piece; /* of the fragment that was begun, bytes that are left */
	struct log_batch *batch;
	struct frame *open; /* the last of it, until it is full */
};

/* What comes of a run: where the next frame begins then, and the LSN of the next record. */
struct log_run_end {
	uint64_t next_at, next_lsn;
	size_t bytes; /* headers of records included */
};

/* Begins at a fresh frame at `at` with this LSN. */
struct log_run *log_run_new(const struct record_header *header, struct log_source *source, uint64_t segment_size,
                            uint64_t at, uint64_t lsn, struct log_run_end *out_end) must_check;
void log_run_free(struct log_run *run); /* and what it has begun, and the source */

/* Makes up to `*budget` bytes, which it takes from that. A frame that is full or the last, to be sealed; NULL: there
 * is none yet. */
struct frame *log_run_make(struct log_run *run, struct log_batch_stock *stock, size_t *budget);

/* The batch that has the frame just made, if no other frame comes into it. */
struct log_batch *log_run_take_batch(struct log_run *run);

static inline bool log_run_done(const struct log_run *run) { return run->left == 0 && !run->batch; }

/* ---- where fragments go, made at once or later ---------------------------------------------- */

enum { FRAGMENT_MIN = 64 }; /* of a body: less is not worth a record */

/* How much of `left` bytes of a body goes into `room` of a frame; `cut`: a fragment shorter than it might be will do.
 * False: another frame is needed. */
static inline bool fragment_fits(size_t left, uint32_t room, bool cut, uint32_t *out)
{
	uint32_t want = left < FRAGMENT_MAX ? (uint32_t)left : FRAGMENT_MAX, header = sizeof(struct record_header);
	bool whole = room >= header + want;
	if (!whole && (!cut || room < header + FRAGMENT_MIN))
		return false;
	*out = whole ? want : room - header;
	return true;
}

static inline uint64_t frame_place(uint64_t next_at, uint64_t segment_size)
{
	return next_at < segment_size ? next_at : SEGMENT_FRAMES_AT;
}

static inline uint32_t frame_limit(uint64_t at, uint64_t segment_size)
{
	return segment_size - at < FRAME_MAX ? (uint32_t)(segment_size - at) : FRAME_MAX;
}

/* Of a body in more than one record, which part is one that leaves `left` bytes behind it? */
static inline uint8_t fragment_flags(bool first, size_t left)
{
	return (first ? 0 : RECORD_CONTINUED) | (left > 0 ? RECORD_CONTINUES : 0);
}
