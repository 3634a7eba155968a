/* One shard's log.
 *
 *   log_append() --> batch that fills --full--> queue --one at a time--> in flight --> durable --> waiters run
 *                           \------- when a write is due ------/             \--> written --sync--/
 *
 * All decisions are made in step(), which runs at the end of each turn: so everything that a turn
 * appended leaves together. Either one write or one sync is in flight. A write asks for durability
 * itself (the right-hand way) if somebody waits and nothing before it is without; otherwise it is only written
 * and a sync of the file makes all of it durable at once. A segment begins when everything
 * before it is durable, so it can be only the last segment that has a torn tail.
 *
 * Frames get their checksums when they are shut, one by one; a write of several finds that work done. Not so those behind
 * a body that is made later (log_append_later()): each names the one before it, so they are sealed when they are written.
 */
#include "storage/log/log.h"

#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "storage/log/batch_private.h"
#include "storage/log/frame_private.h"
#include "storage/log/reader.h"
#include "storage/log/run_private.h"
#include "storage/log/segment_private.h"
#include "storage/log/waiters_private.h"

#include <errno.h>

/* Holding back, see hold_begin(). */
enum {
	HOLD_SHARE = 2,       /* the part of the time of a write that it takes at most: half */
	HOLD_LOOK_SHARE = 8,  /* and before it is judged by what came: an eighth */
	HOLD_MIN_NS = 25000,  /* no sleep is shorter */
	HOLD_SKIPPED_MAX = 7, /* chances not taken after it was in vain, again and again */
};

enum {
	GATHER_NS = 10 * 1000 * 1000, /* that a frame may fill while nobody asks */
	SYNC_NS = 1000 * 1000 * 1000,
	IDLE_NS = 10 * 1000 * 1000,
	LINE = 64,                         /* of a cache */
	MAKE_BYTES = RARE(32 * 1024, 500), /* of a body that is made later, at once */
	ROOM_LAST = 2 * LOG_BLOCK,         /* for a closing frame, and the outcome of a transaction */
};

/* Whether those who were just answered ask again, so that the next write is theirs too. */
struct hold {
	uint64_t from_ns;         /* 0: not now */
	uint32_t answered, asked; /* how many the last write answered; who waited then */
	uint64_t usual_ns;        /* that a write takes */
	uint32_t skipped, skip;   /* chances still to be left out, and how many the next time */
};

/* A file in use. */
struct segment {
	uint64_t number, size, first_lsn;
	bool own; /* of this log's pool; others were there before */
};

struct log {
	struct core *core;
	uint32_t id, seed;
	struct log_batch *filling; /* the last: more frames come behind what it has */
	struct frame *open;        /* the last of it, if more records come into that */
	uint64_t next_lsn;

	enum log_mode mode;
	struct link queue; /* of full batches */
	uint64_t next_at;  /* where the next frame begins */
	uint64_t written_lsn, durable_lsn;
	uint64_t attested_lsn; /* of which the last written frame says that it is durable */
	uint64_t backlog;      /* bytes in frames that are shut, or to be made */
	struct link runs;      /* struct log_run, oldest first: bodies to be made, behind all that is queued */
	struct task maker;     /* of the first */
	uint32_t unsealed;     /* frames that are shut, and not behind a run */
	struct waiters waiters;
	int failed; /* errno */

	struct io_op op;
	bool writing, syncing; /* one of them at most */
	bool flight_durable;
	struct log_batch *flight;
	uint64_t issued_ns;
	bool unsynced; /* something is written that no sync has followed */
	struct hold hold;

	struct turn_end hook;
	struct timer gather, sync, idle;
	bool gathered, sync_due, idle_due; /* they have fired */
	uint64_t quiet_ns;                 /* when the last write was done */

	/* What frames and heads carry. */
	uint32_t chain;
	uint64_t epoch, generation, place;
	uint8_t directory_id[16];

	struct segment_pool pool;
	struct log_room_giver *giver;
	enum log_kept room_kept;
	enum { ASKED_NOTHING, ASKED_PART, ASKED_ALL } asked_for_room;
	struct segment *segments; /* in use, oldest first */
	uint32_t n_segments, segments_room;
	uint64_t forget_lsn;
	struct link holds;

	struct log_batch_stock stock;
	struct log_counters counters;

	bool closing, abandoned;
	struct fiber *closer;       /* waits until nothing is left to be written, */
	struct fiber *pool_awaiter; /* and then for the pool's fiber */
};

/* ---- frames in memory ---------------------------------------------------------------------- */

static struct frame *open_frame(struct log *log)
{
	uint64_t size = log->pool.segment_size;
	if (!log->filling)
		log->filling = log_batch_take(&log->stock);
	struct frame *frame = log->open = log_batch_add(log->filling, frame_place(log->next_at, size));
	frame->limit = frame_limit(frame->at, size);
	frame->used = sizeof(struct frame_header);
	frame->first_lsn = log->next_lsn;
	return frame;
}

/* What a frame that begins a segment is the first to have; its head says the same. */
static void begin_segment(struct log *log, struct log_batch *batch)
{
	batch->generation = ++log->generation;
	batch->chain = log->chain;
}

static void seal(struct log *log, struct log_batch *batch, struct frame *frame)
{
	if (frame->at == SEGMENT_FRAMES_AT)
		begin_segment(log, batch);
	struct frame_header header = {.used = frame->used,
	                              .generation = log->generation,
	                              .epoch = log->epoch,
	                              .first_lsn = frame->first_lsn,
	                              .durable_lsn = log->durable_lsn,
	                              .n_records = frame->n_records,
	                              .chain = log->chain,
	                              .log = log->id,
	                              .flags = frame->flags,
	                              .at = frame_at(frame->at)};
	frame->durable_lsn = log->durable_lsn;
	frame->sealed = true;
	log->chain = frame_seal_new(frame->bytes, &header, log->seed);
}

static void seal_rest(struct log *log, struct log_batch *batch)
{
	for (uint32_t i = 0; i < batch->n && log->unsealed > 0; i++) {
		if (batch->frames[i].sealed)
			continue;
		seal(log, batch, &batch->frames[i]);
		log->unsealed--;
	}
}

static struct log_run *run_of(struct link *link) { return container_of(link, struct log_run, link); }

/* No frame comes behind those that it has. */
static void shut_batch(struct log *log)
{
	struct log_batch *batch = take(log->filling);
	list_push_back(list_empty(&log->runs) ? &log->queue : &run_of(log->runs.prev)->behind, &batch->link);
}

/* Nothing more comes into the open frame; where the next begins is known now. */
static void shut_frame(struct log *log)
{
	struct frame *frame = take(log->open);
	frame->n_records = (uint32_t)(log->next_lsn - frame->first_lsn);
	log->backlog += frame->used - sizeof(struct frame_header);
	log->next_at = frame->at + frame_length(frame->used);
	if (likely(list_empty(&log->runs))) {
		if (likely(log->unsealed == 0))
			seal(log, log->filling, frame);
		else
			log->unsealed++;
	}
	if (log->filling->n == BATCH_FRAMES || log->next_at >= log->pool.segment_size)
		shut_batch(log);
}

/* ---- appending ------------------------------------------------------------------------------- */

/* Where in the parts of a body the next byte comes from. */
struct cursor {
	const struct slice *part;
	size_t offset;
};

static void cursor_copy(struct cursor *from, uint8_t *to, size_t n)
{
	while (n > 0) {
		size_t left = from->part->len - from->offset, some = n < left ? n : left;
		if (some > 0)
			memcpy(to, from->part->ptr + from->offset, some);
		from->offset += some;
		to += some;
		n -= some;
		if (from->offset == from->part->len) {
			from->part++;
			from->offset = 0;
		}
	}
}

/* The body is behind the header's place already; the checksum comes with those of all records of the frame. */
static inline void finish_record(struct log *log, struct frame *frame, const struct record_header *header)
{
	memcpy(frame->bytes + frame->used, header, sizeof(*header));
	frame->used += (uint32_t)sizeof(*header) + header->length;
	log->next_lsn++;
	/* The next record's lines were last seen by the device; stores wait for them in order. */
	const uint8_t *next = frame->bytes + frame->used;
	prefetch_to_write(next + LINE);
	prefetch_to_write(next + 2 * LINE);
}

/* How much of the `left` bytes of a body of `length` the next record takes. */
static uint32_t next_fragment(struct log *log, size_t length, size_t left)
{
	for (;;) {
		struct frame *frame = log->open ? log->open : open_frame(log);
		/* What is large is cut anyway, and segments are filled to their end. */
		bool cut = length > FRAGMENT_MAX || frame->at + frame->limit == log->pool.segment_size;
		uint32_t takes;
		if (fragment_fits(left, frame->limit - frame->used, cut, &takes))
			return takes;
		shut_frame(log);
	}
}

/* What does not fit into the open frame as it is. */
static uint64_t append_fragments(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space,
                                 const struct slice *parts, size_t length, bool more)
{
	struct record_header header = {.kind = (uint8_t)kind, .slot = slot, .space = space};
	struct cursor from = {.part = parts};
	uint8_t group = more ? RECORD_GROUP : 0;
	size_t left = length;
	log->counters.records++;
	log->counters.bytes += sizeof(header) + length;
	if (log->failed)
		return log->next_lsn++;
	if (length > FRAGMENT_MAX && log->open)
		shut_frame(log); /* so that all of it lies together */
	do {
		header.length = next_fragment(log, length, left);
		header.flags = group | fragment_flags(left == length, left - header.length);
		cursor_copy(&from, log->open->bytes + log->open->used + sizeof(header), header.length);
		left -= header.length;
		finish_record(log, log->open, &header);
	} while (left > 0);
	return log->next_lsn - 1;
}

uint8_t *log_place(struct log *log, size_t length)
{
	const struct frame *frame = log->open;
	if (unlikely(!frame || length > FRAGMENT_MAX ||
	             sizeof(struct record_header) + length > frame->limit - frame->used))
		return NULL;
	return frame->bytes + frame->used + sizeof(struct record_header);
}

uint64_t log_append_placed(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space, size_t length,
                           bool more)
{
	struct record_header header = {.length = (uint32_t)length,
	                               .kind = (uint8_t)kind,
	                               .flags = more ? RECORD_GROUP : 0,
	                               .slot = slot,
	                               .space = space};
	log->counters.records++;
	log->counters.bytes += sizeof(header) + length;
	finish_record(log, log->open, &header);
	return log->next_lsn - 1;
}

uint64_t log_append(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space, const struct slice *parts,
                    int n, bool more)
{
	size_t length = 0;
	for (int i = 0; i < n; i++)
		length += parts[i].len;
	uint8_t *to = log_place(log, length);
	if (unlikely(!to))
		return append_fragments(log, kind, slot, space, parts, length, more);
	for (int i = 0; i < n; i++) {
		if (parts[i].len > 0)
			memcpy(to, parts[i].ptr, parts[i].len);
		to += parts[i].len;
	}
	return log_append_placed(log, kind, slot, space, length, more);
}

/* ---- bodies that are made later -------------------------------------------------------------- */

/* All that was appended so far comes before it, all that follows behind it. */
uint64_t log_append_later(struct log *log, enum record_kind kind, uint16_t slot, uint32_t space,
                          struct log_source *source, bool more)
{
	assert(source->length > FRAGMENT_MAX);
	if (log->failed) {
		source->free(source);
		return log->next_lsn++;
	}
	if (log->open)
		shut_frame(log);
	if (log->filling)
		shut_batch(log);
	struct record_header header = {
	        .kind = (uint8_t)kind, .flags = more ? RECORD_GROUP : 0, .slot = slot, .space = space};
	struct log_run_end end;
	struct log_run *run = log_run_new(&header, source, log->pool.segment_size, log->next_at, log->next_lsn, &end);
	list_push_back(&log->runs, &run->link);
	log->counters.records++;
	log->counters.bytes += end.bytes;
	log->backlog += end.bytes;
	log->next_at = end.next_at;
	log->next_lsn = end.next_lsn;
	return log->next_lsn - 1;
}

/* What was shut behind it is next. */
static void finish_run(struct log *log, struct log_run *run)
{
	list_remove(&run->link);
	for (struct link *link; (link = list_pop_front(&run->behind));) {
		log->unsealed += container_of(link, struct log_batch, link)->n;
		list_push_back(&log->queue, link);
	}
	if (list_empty(&log->runs) && log->filling)
		log->unsealed += log->filling->n - (log->open ? 1 : 0);
	log_run_free(run);
}

/* Another batch, a piece in each turn, as soon as all before it are under way: so two are in memory at most. */
static void make_some(struct core *core, struct task *task)
{
	struct log *log = container_of(task, struct log, maker);
	if (list_empty(&log->runs) || !list_empty(&log->queue))
		return;
	struct log_run *run = run_of(log->runs.next);
	size_t budget = MAKE_BYTES;
	assert(log->unsealed == 0);
	for (struct frame *frame; (frame = log_run_make(run, &log->stock, &budget));) {
		seal(log, run->batch, frame);
		struct log_batch *batch = log_run_take_batch(run);
		if (!batch)
			continue;
		list_push_back(&log->queue, &batch->link);
		if (log_run_done(run))
			finish_run(log, run);
		return;
	}
}

uint64_t log_appended(const struct log *log) { return log->next_lsn - 1; }
uint64_t log_durable(const struct log *log) { return log->durable_lsn; }
int log_failed(const struct log *log) { return log->failed; }
uint32_t log_id(const struct log *log) { return log->id; }
uint64_t log_epoch(const struct log *log) { return log->epoch; }

uint64_t log_backlog(const struct log *log)
{
	return log->backlog + (log->open ? log->open->used - sizeof(struct frame_header) : 0);
}

/* ---- waiting ----------------------------------------------------------------------------------- */

bool log_wait(struct log *log, struct log_waiter *waiter)
{
	if (waiter->lsn <= log->durable_lsn)
		return true;
	log->counters.waits++;
	waiters_add(&log->waiters, waiter);
	return false;
}

/* How many they were. */
static uint32_t run_waiters(struct log *log)
{
	uint32_t n = 0;
	for (struct log_waiter *first; (first = waiters_first(&log->waiters)); n++) {
		if (first->lsn > log->durable_lsn && !log->failed)
			break;
		waiters_take(&log->waiters);
		first->run(log, first);
	}
	return n;
}

struct fiber_waiter {
	struct log_waiter waiter;
	struct core *core;
	struct fiber *fiber;
};

static void wake_fiber(struct log *log, struct log_waiter *waiter)
{
	struct fiber_waiter *own = container_of(waiter, struct fiber_waiter, waiter);
	fiber_wake(own->core, own->fiber);
}

int log_wait_for(struct core *core, struct log *log, uint64_t lsn)
{
	struct fiber_waiter own = {.waiter = {.lsn = lsn, .run = wake_fiber}, .core = core, .fiber = fiber_self(core)};
	if (log_wait(log, &own.waiter))
		return 0;
	fiber_wait(core);
	return lsn <= log->durable_lsn ? 0 : -log->failed;
}

void log_set_mode(struct log *log, enum log_mode mode) { log->mode = mode; }

/* ---- segments ------------------------------------------------------------------------------------ */

static void add_segment(struct log *log, struct segment segment)
{
	if (log->n_segments == log->segments_room) {
		log->segments_room = log->segments_room ? log->segments_room * 2 : 8;
		log->segments = memory_resize(log->segments, log->segments_room * sizeof(*log->segments));
	}
	log->segments[log->n_segments++] = segment;
}

/* Gives back segments that hold nothing from `forget_lsn` or a hold on; those that follow are on disk. */
static void reclaim(struct log *log)
{
	uint64_t needed = log->forget_lsn < log->durable_lsn ? log->forget_lsn : log->durable_lsn;
	uint32_t n = 0;
	list_each (link, &log->holds) {
		uint64_t held = container_of(link, struct log_hold, link)->lsn;
		needed = held < needed ? held : needed;
	}
	while (n + 1 < log->n_segments && log->segments[n + 1].first_lsn <= needed) {
		const struct segment *segment = &log->segments[n];
		segment_pool_give(&log->pool, segment->number, segment->own);
		n++;
	}
	if (n == 0)
		return;
	log->n_segments -= n;
	memmove(log->segments, log->segments + n, log->n_segments * sizeof(*log->segments));
}

void log_forget_before(struct log *log, uint64_t lsn)
{
	if (lsn > log->forget_lsn)
		log->forget_lsn = lsn;
	reclaim(log);
}

void log_hold(struct log *log, struct log_hold *hold) { list_push_back(&log->holds, &hold->link); }

void log_release(struct log *log, struct log_hold *hold)
{
	list_remove(&hold->link);
	reclaim(log);
}

uint64_t log_first_lsn(const struct log *log)
{
	return log->n_segments > 0 ? log->segments[0].first_lsn : log->next_lsn;
}

uint64_t log_size(const struct log *log)
{
	uint64_t bytes = log_backlog(log);
	for (uint32_t i = 0; i + 1 < log->n_segments; i++)
		bytes += log->segments[i].size;
	if (log->n_segments > 0)
		bytes += log->pool.active ? log->next_at : log->segments[log->n_segments - 1].size;
	return bytes;
}

/* Of zeros in which frames may lie, in front of the first file that ends too early. */
static uint64_t room_bytes(const struct log *log)
{
	const struct segment_pool *pool = &log->pool;
	uint64_t bytes = 0;
	if (pool->active) {
		bytes = log->next_at < pool->active->filled ? pool->active->filled - log->next_at : 0;
		if (pool->active->filled < pool->segment_size)
			return bytes;
	}
	return bytes + segment_pool_ready_bytes(pool);
}

static bool is_tight(const struct log *log) { return log->room_kept >= LOG_KEPT_SHORT; }

/* Can files still be had, of what is kept or what was given of it? */
static bool can_get_files(const struct log *log)
{
	return log->room_kept == LOG_KEPT_ALL || log->room_kept == LOG_KEPT_SHORT ||
	       (is_tight(log) && !log->pool.error);
}

enum log_room log_room(const struct log *log)
{
	if (likely(!log->pool.error && !is_tight(log)))
		return LOG_ROOM_YES;
	uint64_t bytes = room_bytes(log), needed = log_backlog(log);
	if (bytes > needed + RESERVE * log->pool.segment_size && !is_tight(log))
		return LOG_ROOM_YES;
	/* Of files that are yet to come one is counted on: there may not be more. */
	if (bytes > needed + FRAME_MAX || (can_get_files(log) && bytes + log->pool.segment_size > needed))
		return LOG_ROOM_LOW;
	return bytes > needed + ROOM_LAST ? LOG_ROOM_NONE : LOG_ROOM_NOTHING;
}

void log_set_kept(struct log *log, enum log_kept kept)
{
	bool comes = kept == LOG_KEPT_GIVEN || (kept != log->room_kept && kept != LOG_KEPT_SHORT);
	log->room_kept = kept;
	log->pool.thrifty = is_tight(log);
	log->asked_for_room = kept == LOG_KEPT_GIVEN ? ASKED_PART : ASKED_NOTHING;
	if (comes && (log->pool.error || log->pool.running))
		segment_pool_try_again(&log->pool);
}

bool log_makes_files(const struct log *log) { return log->pool.running && !log->pool.error; }

/* The disk is full, and little is left: what is kept for that day is needed now. All of it, also what is there for
 * images, only for what was taken already: an image waits for that. */
static void ask_for_room(struct log *log)
{
	uint64_t bytes = room_bytes(log), needed = log_backlog(log);
	if (log->room_kept == LOG_KEPT_NOTHING || bytes > needed + log->pool.segment_size)
		return;
	bool all = needed > bytes;
	if (log->asked_for_room >= (all ? ASKED_ALL : ASKED_PART))
		return;
	log->asked_for_room = all ? ASKED_ALL : ASKED_PART;
	log->giver->ask(log->core, log->giver, all);
}

const struct log_counters *log_counters(const struct log *log) { return &log->counters; }

/* ---- failure and the end -------------------------------------------------------------------------- */

static void drop_batches(struct link *batches)
{
	for (struct link *link; (link = list_pop_front(batches));)
		log_batch_free(container_of(link, struct log_batch, link));
}

static void drop_frames(struct log *log)
{
	drop_batches(&log->queue);
	for (struct link *link; (link = list_pop_front(&log->runs));) {
		drop_batches(&run_of(link)->behind);
		log_run_free(run_of(link));
	}
	log_batch_free(take(log->filling));
	log->open = NULL;
	log->backlog = 0;
	log->unsealed = 0;
}

static void log_free(struct log *log)
{
	struct timer_wheel *timers = &log->core->timers;
	list_remove(&log->hook.link);
	core_forget(log->core, &log->maker);
	timer_stop(timers, &log->gather);
	timer_stop(timers, &log->sync);
	timer_stop(timers, &log->idle);
	drop_frames(log);
	log_batch_stock_fini(&log->stock);
	segment_pool_fini(&log->pool);
	memory_free(log->segments);
	memory_free(log);
}

/* Frees what was abandoned, once nothing is under way that would come back to it. */
static bool freed(struct log *log)
{
	if (!log->abandoned || log->writing || log->syncing || log->pool.running)
		return false;
	log_free(log);
	return true;
}

static void pool_stopped(struct segment_pool *pool)
{
	struct log *log = container_of(pool, struct log, pool);
	if (log->pool_awaiter)
		fiber_wake(log->core, take(log->pool_awaiter));
	else
		freed(log);
}

/* A second try could tell of success for bytes that are lost. Stop instead, for good. */
static void fail(struct log *log, const char *what, int64_t result)
{
	char path[4096];
	log->failed = result < 0 ? (int)-result : EIO;
	log->counters.last_error = log->failed;
	segment_path(log->pool.directory, log->pool.active->number, path, sizeof(path));
	log_warning("log %u has stopped: %s %s at %llu failed: %s. What is durable goes up to LSN %llu", log->id, what,
	            path, (unsigned long long)(log->flight ? log_batch_at(log->flight) : log->next_at),
	            strerror(log->failed), (unsigned long long)log->durable_lsn);
	drop_frames(log);
	log->pool.wanted = false;
	run_waiters(log);
}

void log_stop(struct log *log)
{
	if (log->failed)
		return;
	log->failed = ECANCELED;
	log_warning("log %u has stopped: a transaction over several shards could not be settled. What is durable goes "
	            "up to LSN "
	            "%llu",
	            log->id, (unsigned long long)log->durable_lsn);
	drop_frames(log);
	log->pool.wanted = false;
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static void on_written(struct io_op *op);
static void on_synced(struct io_op *op);

/* What is written next; frames may still come to it. NULL: there is nothing, or it is being made. */
static struct log_batch *next_batch(const struct log *log)
{
	if (!list_empty(&log->queue))
		return container_of(log->queue.next, struct log_batch, link);
	return list_empty(&log->runs) ? log->filling : NULL;
}

static bool is_urgent(const struct log *log) { return log->mode == LOG_ALWAYS || log->closing || log->waiters.n > 0; }

/* Is there a place for it? Takes the next segment's file if it begins one. */
static bool find_place(struct log *log, const struct log_batch *batch)
{
	uint64_t end = log_batch_end(batch);
	if (log_batch_at(batch) > SEGMENT_FRAMES_AT) {
		log->pool.hungry = end > log->pool.active->filled;
		return !log->pool.hungry;
	}
	segment_pool_leave(&log->pool);
	if (!segment_pool_take(&log->pool, end))
		return false;
	add_segment(log, (struct segment){.number = log->pool.active->number,
	                                  .size = log->pool.segment_size,
	                                  .first_lsn = batch->frames[0].first_lsn,
	                                  .own = true});
	reclaim(log);
	log->asked_for_room = ASKED_NOTHING;
	if (log->giver)
		log->giver->grew(log->core, log->giver);
	return true;
}

/* Both copies of the head, in front of the first frame: they leave in one write. */
static void put_head(struct log *log, const struct log_batch *batch)
{
	struct segment_head head = {.format = LOG_FORMAT,
	                            .log = log->id,
	                            .number = log->pool.active->number,
	                            .generation = batch->generation,
	                            .place = log->place,
	                            .epoch = log->epoch,
	                            .first_lsn = batch->frames[0].first_lsn,
	                            .size = log->pool.segment_size,
	                            .chain = batch->chain};
	memcpy(head.directory, log->directory_id, sizeof(head.directory));
	uint8_t *to = batch->bytes - SEGMENT_FRAMES_AT;
	segment_head_write(&head, to);
	memcpy(to + LOG_BLOCK, to, LOG_BLOCK);
	log->place++;
}

/* Bytes of a write: the heads of the segment that it begins, if it does, and its frames. */
static uint32_t write_ahead(const struct log_batch *batch)
{
	return log_batch_at(batch) == SEGMENT_FRAMES_AT ? SEGMENT_FRAMES_AT : 0;
}

static uint32_t write_size(const struct log_batch *batch)
{
	return write_ahead(batch) + (uint32_t)(log_batch_end(batch) - log_batch_at(batch));
}

static void write_batch(struct log *log)
{
	struct log_batch *batch = next_batch(log);
	if (!find_place(log, batch))
		return;
	if (log->open && batch == log->filling)
		shut_frame(log);
	if (batch == log->filling)
		shut_batch(log);
	list_remove(&batch->link);
	seal_rest(log, batch);
	uint32_t ahead = write_ahead(batch), size = write_size(batch);
	if (ahead > 0)
		put_head(log, batch);
	log->flight = batch;
	log->writing = true;
	log->flight_durable = (is_urgent(log) || batch->frames[0].flags & FRAME_CLOSING) && !log->unsynced;
	log->issued_ns = io_now_ns(log->core->io);
	log->op.done = on_written;
	log->gathered = false;
	log->idle_due = false;
	log->counters.frames += batch->n;
	log->counters.written_bytes += size;
	io_file_write(log->core->io, &log->op, log->pool.active->fd, batch->bytes - ahead, size,
	              log_batch_at(batch) - ahead, log->flight_durable ? IO_WRITE_DURABLE : 0);
}

static void note_time(struct log *log)
{
	uint64_t now_ns = io_now_ns(log->core->io), took_ns = now_ns - log->issued_ns;
	log->counters.write_ns += took_ns;
	if (took_ns > log->counters.write_ns_max)
		log->counters.write_ns_max = took_ns;
	/* The mean of the last, a storm counted for no more than a bad day. */
	uint64_t usual_ns = log->hold.usual_ns ? log->hold.usual_ns : took_ns;
	took_ns = took_ns < 4 * usual_ns ? took_ns : 4 * usual_ns;
	log->hold.usual_ns = usual_ns - usual_ns / 8 + took_ns / 8;
	log->quiet_ns = now_ns;
}

/* Clients that wait for their answers before they ask again fall into two groups, each asking while the other's
 * write is under way: so a write carries half of what it could. After a write that answered some, the next is held
 * back a little, until they have asked again; as long as they come faster than writes would get them done,
 * and never longer than a share of what the write itself takes. Where that was in vain it is not tried for a while. */
static void hold_begin(struct log *log, uint32_t answered)
{
	struct hold *hold = &log->hold;
	bool few = answered + log->waiters.n < 2 || answered * HOLD_LOOK_SHARE <= log->waiters.n;
	if (few || log->mode != LOG_ALWAYS || log->closing || hold->usual_ns < HOLD_LOOK_SHARE * HOLD_MIN_NS)
		return;
	if (hold->skipped > 0) {
		hold->skipped--;
		return;
	}
	hold->from_ns = io_now_ns(log->core->io);
	hold->answered = answered;
	hold->asked = log->waiters.n;
}

static void hold_end(struct hold *hold, bool in_vain)
{
	hold->from_ns = 0;
	hold->skip = !in_vain ? 0 : hold->skip < HOLD_SKIPPED_MAX ? hold->skip * 2 + 1 : HOLD_SKIPPED_MAX;
	hold->skipped = hold->skip;
}

static bool has_full_frame(const struct log *log)
{
	return !list_empty(&log->queue) || (log->filling && log->filling->n > 1);
}

static bool holds_back(struct log *log)
{
	struct hold *hold = &log->hold;
	if (likely(hold->from_ns == 0))
		return false;
	uint64_t past_ns = io_now_ns(log->core->io) - hold->from_ns, look_ns = hold->usual_ns / HOLD_LOOK_SHARE;
	uint32_t came = log->waiters.n > hold->asked ? log->waiters.n - hold->asked : 0;
	bool pays = came * (hold->usual_ns + past_ns) >= log->waiters.n * past_ns;
	bool over =
	        past_ns >= hold->usual_ns / HOLD_SHARE || came >= hold->answered || has_full_frame(log) || log->closing;
	if (over || (past_ns >= look_ns && !pays)) {
		hold_end(hold, !pays);
		return false;
	}
	core_turn_again(log->core, hold->from_ns + (past_ns < look_ns ? look_ns : hold->usual_ns / HOLD_SHARE));
	return true;
}

static void on_written(struct io_op *op)
{
	struct log *log = container_of(op, struct log, op);
	struct log_batch *batch = log->flight;
	const struct frame *last = log_batch_last(batch);
	log->writing = false;
	note_time(log);
	if (op->result != write_size(batch)) {
		fail(log, "writing", op->result);
	} else {
		log->written_lsn = last->first_lsn + last->n_records - 1;
		log->attested_lsn = last->durable_lsn;
		log->backlog -= log->failed ? 0 : log_batch_used(batch);
		if (log->flight_durable)
			log->durable_lsn = log->written_lsn;
		else
			log->unsynced = true;
	}
	log->flight = NULL;
	log_batch_give(&log->stock, batch);
	if (!freed(log))
		hold_begin(log, run_waiters(log));
}

static void sync_file(struct log *log)
{
	log->syncing = true;
	log->sync_due = false;
	timer_stop(&log->core->timers, &log->sync);
	log->op.done = on_synced;
	io_file_sync(log->core->io, &log->op, log->pool.active->fd);
}

static void on_synced(struct io_op *op)
{
	struct log *log = container_of(op, struct log, op);
	log->syncing = false;
	if (op->result < 0) {
		fail(log, "the sync of", op->result);
	} else {
		log->unsynced = false;
		log->durable_lsn = log->written_lsn;
	}
	if (!freed(log))
		run_waiters(log);
}

/* ---- what to do next ------------------------------------------------------------------------------------ */

static bool write_is_due(const struct log *log) { return !list_empty(&log->queue) || is_urgent(log) || log->gathered; }

/* Of what is written and not durable. */
static bool sync_is_due(const struct log *log)
{
	const struct log_batch *next = next_batch(log);
	if (log->sync_due || !next)
		return log->sync_due || is_urgent(log);
	if (log_batch_at(next) == SEGMENT_FRAMES_AT && write_is_due(log))
		return true;
	bool awaited = log->waiters.n > 0 && waiters_first(&log->waiters)->lsn <= log->written_lsn;
	return awaited || log->mode == LOG_ALWAYS || log->closing;
}

/* Is there a place for a closing frame? None is made for it. */
static bool has_closing_place(const struct log *log)
{
	if (log->next_at >= log->pool.segment_size)
		return segment_pool_has(&log->pool, SEGMENT_FRAMES_AT + LOG_BLOCK);
	return log->pool.active && log->next_at + LOG_BLOCK <= log->pool.active->filled;
}

/* All is durable, and no frame says so yet. */
static bool lacks_closing(const struct log *log)
{
	return log->durable_lsn == log->next_lsn - 1 && log->attested_lsn < log->durable_lsn && has_closing_place(log);
}

static void start_timer(struct log *log, struct timer *timer, uint64_t from_ns, uint64_t after_ns)
{
	if (!timer_started(timer))
		timer_start(&log->core->timers, timer, from_ns + after_ns);
}

static void arm_timers(struct log *log)
{
	uint64_t now_ns = log->core->now_ns;
	if (log->filling && !log->gathered)
		start_timer(log, &log->gather, now_ns, GATHER_NS);
	if (log->unsynced && log->mode == LOG_EVERYSEC)
		start_timer(log, &log->sync, now_ns, SYNC_NS);
	if (lacks_closing(log) && !log->idle_due)
		start_timer(log, &log->idle, log->quiet_ns, IDLE_NS);
}

static void step(struct log *log)
{
	if (log->writing || log->syncing || log->failed)
		return;
	if (log->unsynced && sync_is_due(log)) {
		sync_file(log);
	} else if (next_batch(log)) {
		if (write_is_due(log) && !holds_back(log))
			write_batch(log);
	} else if (lacks_closing(log) && (log->idle_due || log->closing)) {
		open_frame(log)->flags = FRAME_CLOSING;
		shut_frame(log);
		write_batch(log);
	}
	if (!log->writing && !log->syncing)
		arm_timers(log);
}

static void on_gathered(struct core *core, struct timer *timer)
{
	container_of(timer, struct log, gather)->gathered = true;
}
static void on_sync_due(struct core *core, struct timer *timer)
{
	container_of(timer, struct log, sync)->sync_due = true;
}

static void on_idle(struct core *core, struct timer *timer)
{
	struct log *log = container_of(timer, struct log, idle);
	log->idle_due = core->now_ns >= log->quiet_ns + IDLE_NS;
}

/* Is nothing left that could be written? Right after a step. */
static bool is_settled(const struct log *log)
{
	if (log->writing || log->syncing)
		return false;
	bool done = !next_batch(log) && list_empty(&log->runs) && !log->unsynced && !lacks_closing(log);
	return done || log->failed || (next_batch(log) && log->pool.error);
}

static void at_turn_end(struct core *core, struct turn_end *hook)
{
	struct log *log = container_of(hook, struct log, hook);
	step(log);
	segment_pool_work(&log->pool);
	if (unlikely(!list_empty(&log->runs)) && list_empty(&log->queue))
		core_ready(core, &log->maker, CLASS_FOREGROUND);
	if (unlikely(log->pool.error))
		ask_for_room(log);
	log->counters.segments_made = log->pool.n_made;
	log->counters.segments_reused = log->pool.n_reused;
	if (unlikely(log->failed))
		run_waiters(log);
	if (unlikely(log->closer != NULL) && is_settled(log))
		fiber_wake(core, take(log->closer));
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static struct log *log_new(struct core *core, const struct log_start *start)
{
	struct log *log = memory_zalloc(sizeof(*log));
	*log = (struct log){.core = core,
	                    .id = start->id,
	                    .seed = record_seed(start->id),
	                    .next_lsn = start->next_lsn,
	                    .next_at = start->segment_size,
	                    .written_lsn = start->next_lsn - 1,
	                    .durable_lsn = start->next_lsn - 1,
	                    .attested_lsn = start->next_lsn - 1,
	                    .epoch = start->epoch,
	                    .generation = start->next_generation, /* of what may be copied; the next is greater */
	                    .gather.run = on_gathered,
	                    .sync.run = on_sync_due,
	                    .idle.run = on_idle,
	                    .maker = {.run = make_some, .name = "log maker"},
	                    .giver = start->giver,
	                    .hook.run = at_turn_end};
	memcpy(log->directory_id, start->directory_id, sizeof(log->directory_id));
	list_init(&log->queue);
	list_init(&log->runs);
	list_init(&log->holds);
	log_batch_stock_init(&log->stock);
	segment_pool_init(&log->pool, core, start->directory, start->segment_size, start->next_number,
	                  start->number_step, start->spare);
	log->pool.stopped = pool_stopped;
	return log;
}

/* On a full disk: what nobody needs makes room, then what is kept for it. False: there is neither. */
static bool make_room(struct log *log)
{
	if (list_empty(&log->pool.surplus))
		return log->giver && log->giver->give(log->core, log->giver);
	segment_pool_clear(&log->pool);
	return true;
}

static int secure_end(struct log *log, const struct log_start *start, struct log_end *end)
{
	int result;
	if (!start->segments || start->segments->n == 0)
		return 0;
	do
		result = log_secure(log->core, start->directory, start->segments, end, start->epoch,
		                    segment_pool_number(&log->pool), log->generation);
	while (result == -ENOSPC && make_room(log));
	return result;
}

/* Without a place to write to it is there still, for those who read: one is made when there is room. */
static int open_pool(struct log *log)
{
	int result;
	do
		result = segment_pool_open(&log->pool);
	while (result == -ENOSPC && log->giver && log->giver->give(log->core, log->giver));
	if (result != -ENOSPC || !log->giver)
		return result;
	segment_pool_go_without(&log->pool, ENOSPC);
	return 0;
}

/* Takes over what there is, its end made sure of. */
static int go_on_from(struct log *log, const struct log_start *start)
{
	struct log_end end = {.next_lsn = start->next_lsn, .place = start->place, .chain = start->chain};
	int result = secure_end(log, start, &end);
	log->place = end.place;
	log->chain = end.chain;
	for (uint32_t i = 0; start->segments && i < start->segments->n; i++) {
		const struct segment_info *info = &start->segments->all[i];
		add_segment(log, (struct segment){.number = info->number,
		                                  .size = info->size,
		                                  .first_lsn = info->head.first_lsn});
	}
	return result == 0 ? open_pool(log) : result;
}

struct log *log_open(struct core *core, const struct log_start *start, int *error)
{
	assert(start->segment_size % LOG_BLOCK == 0);
	assert(start->segment_size > SEGMENT_FRAMES_AT);
	struct log *log = log_new(core, start);
	int result = go_on_from(log, start);
	segment_list_free(start->segments);
	segment_list_free(start->spare);
	if (result < 0) {
		*error = result;
		log_free(log);
		return NULL;
	}
	core_at_turn_end(core, &log->hook);
	return log;
}

/* A pool that is in the midst of something is waited for, and does nothing more. */
static void stop_pool(struct log *log)
{
	if (segment_pool_stop(&log->pool))
		return;
	log->pool_awaiter = fiber_self(log->core);
	fiber_wait(log->core);
}

static void wait_until_settled(struct log *log)
{
	step(log);
	if (is_settled(log))
		return;
	segment_pool_work(&log->pool);
	log->closer = fiber_self(log->core);
	fiber_wait(log->core);
}

uint64_t log_close(struct log *log)
{
	log->closing = log->pool.closing = true;
	wait_until_settled(log);
	while (!log->failed && next_batch(log) && make_room(log)) {
		segment_pool_try_again(&log->pool);
		wait_until_settled(log);
	}
	if (!log->failed && next_batch(log)) {
		log->failed = log->pool.error;
		log_warning("log %u is closed without what comes after LSN %llu: %s", log->id,
		            (unsigned long long)log->durable_lsn, strerror(log->failed));
	}
	run_waiters(log);
	stop_pool(log);
	uint64_t durable_lsn = log->durable_lsn;
	log_free(log);
	return durable_lsn;
}

void log_abandon(struct log *log)
{
	log->abandoned = true;
	if (!log->failed)
		log->failed = ECANCELED;
	drop_frames(log); /* what bodies were to be made of may not outlive this call */
	run_waiters(log);
	segment_pool_stop(&log->pool);
	freed(log);
}
