/* fake_log.h -- a log that keeps its records in memory, for a look at each; what it says of itself is set. To be
 * included by one file of a program, which then links this one. */
#pragma once

#include "engine/base/buf.h"
#include "engine/memory/memory.h"
#include "storage/log/log.h"

enum { FAKE_RECORDS_MAX = 1 << 17 };

struct log {
	struct record *records; /* bodies: offsets in `bytes` until fake_record() */
	struct buf bytes;
	uint32_t n;
	uint64_t durable;
	int failed;
	enum log_room room;
	uint64_t epoch;
	struct log_source *late; /* a body that is yet to be made, */
	size_t late_at;          /* and where it goes */
};

static inline struct log *fake_log_new(void)
{
	struct log *log = memory_zalloc(sizeof(*log));
	log->records = memory_zalloc(FAKE_RECORDS_MAX * sizeof(*log->records));
	return log;
}

/* Makes the body that was to be made later. False: there is none. */
static inline bool fake_log_make(struct log *log)
{
	struct log_source *late = log->late;
	if (!late)
		return false;
	log->late = NULL;
	size_t half = late->length / 2;
	late->read(late, log->bytes.ptr + log->late_at, half);
	late->read(late, log->bytes.ptr + log->late_at + half, late->length - half);
	late->free(late);
	return true;
}

static inline void fake_log_free(struct log *log)
{
	(void)fake_log_make(log);
	buf_fini(&log->bytes);
	memory_free(log->records);
	memory_free(log);
}

static inline struct record fake_record(struct log *log, uint64_t lsn)
{
	(void)fake_log_make(log);
	assert(lsn > 0);
	assert(lsn <= log->n);
	struct record record = log->records[lsn - 1];
	record.body.ptr = log->bytes.ptr + (uintptr_t)record.body.ptr;
	return record;
}

uint64_t log_append(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space, const struct slice *parts,
                    int n, bool more)
{
	assert(log->n < FAKE_RECORDS_MAX);
	assert(n <= 8);
	size_t at = log->bytes.len;
	for (int i = 0; i < n; i++)
		buf_append(&log->bytes, parts[i]);
	log->records[log->n++] = (struct record){.kind = (uint8_t)kind,
	                                         .group = more,
	                                         .slot = slot,
	                                         .space = space,
	                                         .lsn = log->n,
	                                         .body = slice_of((const uint8_t *)at, log->bytes.len - at)};
	return log->n;
}

/* Room where the next record's body will lie. */
uint8_t *log_place(struct log *log, size_t length) { return buf_reserve(&log->bytes, length); }

uint64_t log_append_placed(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space, size_t length,
                           bool more)
{
	uint64_t lsn = log_append(log, kind, slot, space, NULL, 0, more);
	log->records[lsn - 1].body.len = length;
	log->bytes.len += length;
	return lsn;
}

uint64_t log_append_later(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space,
                          struct log_source *source, bool more)
{
	(void)fake_log_make(log);
	(void)log_place(log, source->length);
	log->late = source;
	log->late_at = log->bytes.len;
	return log_append_placed(log, kind, slot, space, source->length, more);
}

uint64_t log_appended(const struct log *log) { return log->n; }
uint64_t log_durable(const struct log *log) { return log->durable; }
int log_failed(const struct log *log) { return log->failed; }
enum log_room log_room(const struct log *log) { return log->room; }
uint32_t log_id(const struct log *log) { return 5; }
uint64_t log_epoch(const struct log *log) { return log->epoch; }
