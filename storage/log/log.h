/* log.h -- a shard's log: everything that must outlive the process passes here.
 *
 * What      Records are packed into frames in memory as they come; one or a few are one direct write. As
 *           soon as none is in flight the next goes out, with all that gathered meanwhile: the
 *           group commit. A position is (log id, LSN); LSNs count records, fragments each, from 1.
 * Owner     One core. Everything but log_open() and log_close() runs to completion.
 * Durable   log_durable() is the last LSN of which it is known that the device has it, with
 *           all before it. Whoever must not show something earlier waits with log_wait().
 * Modes     LOG_ALWAYS writes at once. LOG_EVERYSEC and LOG_NO gather longer and do not ask the
 *           device to confirm each frame: once a second, or never. The mode is what is needed
 *           by those who wait; order is the same in all.
 * Failure   A failed write is never repeated. The log stops for good: log_failed() says the
 *           errno, waiters are called, appends go nowhere. A full disk is no failure: segments are
 *           there before they are needed, and log_room() says early that there will be none. What
 *           frees room is taken then still, into files made of what a log_room_giver keeps.
 * Source    Group commit: DeWitt et al., "Implementation Techniques for Main Memory Database
 *           Systems", SIGMOD 1984.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/list.h"
#include "engine/base/slice.h"
#include "storage/log/record.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct log;
struct segment_list;

/* Who keeps room on the disk for the day when it is full. */
struct log_room_giver {
	/* Fiber code of any core: gives all that is kept, for a start. False: it was given already. */
	bool (*give)(struct core *core, struct log_room_giver *giver);
	/* Gives the part of the logs, or all of it: begun and not waited for; log_set_kept() tells then. */
	void (*ask)(struct core *core, struct log_room_giver *giver, bool all);
	/* A log of this core has begun a segment: time to look whether enough is kept. */
	void (*grew)(struct core *core, struct log_room_giver *giver);
};

enum log_mode { LOG_ALWAYS, LOG_EVERYSEC, LOG_NO };

/* Where a log goes on. */
struct log_start {
	uint32_t id;
	uint64_t epoch;
	uint64_t next_lsn; /* of its first record now */
	uint64_t place;    /* of its next segment */
	uint32_t chain;    /* of the last frame that counts; 0: none */
	uint64_t segment_size;
	const char *directory; /* the data directory; copied */
	uint8_t directory_id[16];
	struct segment_list *segments; /* those that it has already, oldest first; taken over. NULL: none */
	struct segment_list *spare;    /* files that nobody needs any more, to be removed; taken over. NULL: none */
	uint64_t next_number; /* of a new file: counts on in steps of `number_step`, so that cores never meet */
	uint64_t number_step;
	uint64_t next_generation;     /* greater than that of any file there is */
	struct log_room_giver *giver; /* NULL: nobody keeps room, and a disk without any is an error */
};

/* Fiber code. Opens or makes the first segment, so that a record can be written at once; more are
 * made ready in the background once something is written. NULL with -errno in *error. */
struct log *log_open(struct core *core, const struct log_start *start, int *error) must_check;

/* Fiber code. Writes what is left and the closing frame, waits for it, frees. The last LSN that is durable. */
uint64_t log_close(struct log *log);

/* Frees without writing: for a shard that has stopped. */
void log_abandon(struct log *log);

/* ---- writing ---------------------------------------------------------------------- */

/* Appends a record whose body is the parts one after the other (8 at most); `more`: the next
 * record belongs to the same group. Copies everything. Never waits, never fails: log_room() was
 * asked before. Returns its LSN. */
uint64_t log_append(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space, const struct slice *parts,
                    int n, bool more);

/* The same for a body that is made where it goes: `length` bytes, to be written at once, and then
 * log_append_placed(). NULL: it does not fit just so, log_append() it. */
uint8_t *log_place(struct log *log, size_t length);
uint64_t log_append_placed(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space, size_t length,
                           bool more);

/* A body that is made when its turn comes to be written, piece by piece. What it says must not change any more. */
struct log_source {
	size_t length;                                                  /* more than FRAGMENT_MAX */
	void (*read)(struct log_source *source, uint8_t *to, size_t n); /* the next `n` bytes, all of them */
	void (*free)(struct log_source *source); /* it is not needed any more, read to its end or not */
};

/* The same as log_append(), and the source is the log's from now on. Its LSN is known at once: what is appended next
 * comes behind it. */
uint64_t log_append_later(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space,
                          struct log_source *source, bool more);

uint64_t log_appended(const struct log *log); /* the last LSN there is */
uint64_t log_durable(const struct log *log);
int log_failed(const struct log *log); /* 0, or the errno that stopped it */

/* Stops it for good, as a failed write would: what is in memory must not be taken for what is on disk. */
void log_stop(struct log *log);

/* Is there room for more? LOW: only for what frees room (deletions, cleaning). NONE: only for what frees all there
 * is with one small record. NOTHING: not even for that. */
enum log_room { LOG_ROOM_YES, LOG_ROOM_LOW, LOG_ROOM_NONE, LOG_ROOM_NOTHING };
enum log_room log_room(const struct log *log);

/* What is left of the room that is kept; to be said on the log's core. */
enum log_kept {
	LOG_KEPT_NOTHING, /* nobody keeps any */
	LOG_KEPT_ALL,
	LOG_KEPT_SHORT, /* less than there should be: nothing may grow, and no more files are made than must be */
	LOG_KEPT_GIVEN, /* the same, and what there was for logs is free now */
};
void log_set_kept(struct log *log, enum log_kept kept);
bool log_makes_files(const struct log *log); /* just now, for a full disk or before */

/* Bytes appended that are not written yet. Past LOG_BACKLOG_MAX whoever appends waits as in
 * LOG_ALWAYS, whatever the mode: a log must not outgrow memory. */
uint64_t log_backlog(const struct log *log);
enum { LOG_BACKLOG_MAX = RARE(8 * 1024 * 1024, 16 * 1024) };

/* ---- waiting ---------------------------------------------------------------------- */

/* Lies in its owner until `run` is called, once: `lsn` is durable, or the log has failed. Waiters run
 * in the order of their LSNs. */
struct log_waiter {
	struct log_waiter *next, *child; /* the log's */
	uint64_t lsn;
	void (*run)(struct log *log, struct log_waiter *waiter);
};

/* True: `lsn` is durable already, nothing to wait for. */
bool log_wait(struct log *log, struct log_waiter *waiter);

/* Fiber code: waits for it; 0 or -errno of the failure. On the log's own core. */
int log_wait_for(struct core *core, struct log *log, uint64_t lsn) must_check;

/* What nobody waits for is written as this mode says. May change at any time. */
void log_set_mode(struct log *log, enum log_mode mode);

/* ---- segments --------------------------------------------------------------------- */

/* No record before `lsn` is needed any more: segments that hold nothing else are used again. */
void log_forget_before(struct log *log, uint64_t lsn);

/* While held, nothing from `lsn` on is forgotten. */
struct log_hold {
	struct link link;
	uint64_t lsn;
};
void log_hold(struct log *log, struct log_hold *hold);
void log_release(struct log *log, struct log_hold *hold);

uint64_t log_first_lsn(const struct log *log); /* of the oldest segment */
uint64_t log_size(const struct log *log);      /* bytes from the oldest record needed to the end */
uint32_t log_id(const struct log *log);
uint64_t log_epoch(const struct log *log);

/* What INFO and the metrics tell. */
struct log_counters {
	uint64_t records, bytes;        /* appended */
	uint64_t frames, written_bytes; /* given to the device */
	uint64_t waits;                 /* of log_wait() that had to */
	uint64_t segments_made, segments_reused;
	uint64_t write_ns, write_ns_max; /* from issue to completion */
	int64_t last_error;
};
const struct log_counters *log_counters(const struct log *log);
