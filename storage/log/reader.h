/* reader.h -- a log read back, frame by frame, and what its end means.
 *
 * What      Reads the segments of one log in order from a given LSN on, checks heads, frames, chain
 *           and records, and gives whole records, fragments put together, groups complete.
 * End       A bad frame is the torn tail of a crash, unless something shows that it had been
 *           acknowledged: a later valid frame of the same epoch whose durable LSN is at or past it, or a later
 *           segment that goes on behind it. Then it is corruption, and nothing after it may
 *           be trusted to be complete.
 * Where     Fiber code; reads ahead.
 */
#pragma once

#include "engine/base/compiler.h"
#include "storage/log/record.h"
#include "storage/log/segment.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct log_reader;

enum log_read {
	LOG_READ_FRAME,   /* records of one frame (those whose group is complete) */
	LOG_READ_END,     /* the end: struct log_end says where writing goes on */
	LOG_READ_CORRUPT, /* log_reader_why() */
	LOG_READ_ERROR,   /* the disk: log_reader_why() */
};

/* Where a log ends. */
struct log_end {
	uint64_t next_lsn, place, epoch;
	uint32_t chain;
	uint64_t torn_bytes; /* of frames that were cut off */
	uint64_t frames, records;
};

/* `segments`: those of this log in the order of their places, without a gap; stays the caller's. Records before
 * `from_lsn` are skipped. */
struct log_reader *log_reader_new(struct core *core, const char *directory, const struct segment_list *segments,
                                  uint64_t from_lsn) must_check;
void log_reader_free(struct log_reader *reader);

/* The next records, good until the next call. A group is given whole, in one call, and never
 * if it is not complete at the end. */
enum log_read log_reader_next(struct log_reader *reader, const struct record **records, uint32_t *n) must_check;

const struct log_end *log_reader_end(const struct log_reader *reader);
const char *log_reader_why(const struct log_reader *reader); /* file, offset, what is wrong, what is lost */

/* Goes on past corruption, at the next frame that is sound: for salvage. False: there is none. The group that the
 * damage cuts into is dropped whole, and so is the first one behind it: it may have begun where the damage is. */
bool log_reader_skip(struct log_reader *reader);

/* The place of the last given frame, for listings: file number, offset, its header. NULL: none was given. */
const struct frame_header *log_reader_frame(const struct log_reader *reader, uint64_t *number, uint64_t *at);

/* Fiber code; before anything is built on a log that was read up to `end`. The frames that no later one vouches
 * for may have been read from a cache, and be gone after the next crash though the log had gone on
 * behind them. They are copied into a segment of the new `epoch`, file `number`, all of it durable; or there
 * are none. `segments` and `end` say then where the log goes on. Nothing happens if the last segment is of that
 * epoch already. 0 or -errno; the number is used up in any case. log_open() does this by itself. */
int log_secure(struct core *core, const char *directory, struct segment_list *segments, struct log_end *end,
               uint64_t epoch, uint64_t number, uint64_t generation) must_check;
