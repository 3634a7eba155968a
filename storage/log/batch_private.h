/* batch_private.h -- frames in memory, one behind the other as they will lie on disk: what leaves in one write.
 *
 * Why       A write costs the processor the more, the less it carries: the device is told of each. A log that nobody
 *           waits for fills several frames first; one that is waited for writes a batch of one.
 * Owner     The log, which fills one at a time.
 */
#pragma once

#include "engine/base/list.h"
#include "storage/log/format.h"

#include <stdbool.h>
#include <stdint.h>

enum { BATCH_FRAMES = RARE(4, 2) };

struct frame {
	uint8_t *bytes;
	uint32_t used, limit;
	uint32_t n_records; /* once it is shut */
	uint16_t flags;
	bool sealed;
	uint64_t at; /* in its segment; SEGMENT_FRAMES_AT: it begins one */
	uint64_t first_lsn;
	uint64_t durable_lsn; /* as its header says, once it is shut */
};

struct log_batch {
	struct link link;
	uint8_t *bytes; /* of the first frame; in front of them there is room for the heads of a segment */
	struct frame frames[BATCH_FRAMES];
	uint32_t n;
	uint64_t generation; /* of the segment that it begins, if it does, */
	uint32_t chain;      /* and the checksum of the frame before that */
};

/* Empty ones, for the next: the last that was given is taken first, which the caches know. */
struct log_batch_stock {
	struct link kept;
	uint32_t n;
};

void log_batch_stock_init(struct log_batch_stock *stock);
void log_batch_stock_fini(struct log_batch_stock *stock);

struct log_batch *log_batch_take(struct log_batch_stock *stock); /* without frames */
void log_batch_give(struct log_batch_stock *stock, struct log_batch *batch);
void log_batch_free(struct log_batch *batch); /* NULL is fine */

/* One more frame at the end: where it lies, and no more. */
struct frame *log_batch_add(struct log_batch *batch, uint64_t at);

static inline struct frame *log_batch_last(struct log_batch *batch) { return &batch->frames[batch->n - 1]; }
static inline uint64_t log_batch_at(const struct log_batch *batch) { return batch->frames[0].at; }

uint64_t log_batch_end(const struct log_batch *batch);  /* in its segment */
uint64_t log_batch_used(const struct log_batch *batch); /* bytes of records */
