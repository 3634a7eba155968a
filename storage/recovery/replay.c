/* One log, read from its first record needed to its end.
 *
 *   record --of a partition here--> applied at once
 *          --of another core's----> batch --full--> request to the owner --answer--> freed
 *          --behind a prepare-----> kept aside until the outcome, or the end of the era
 *
 * A few batches are under way at a time; the ring between two cores keeps their order, and so the order
 * of each partition's records.
 */
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "storage/recovery/load_private.h"

#include <inttypes.h>
#include <string.h>

enum {
	BATCH_BYTES = RARE(32 * 1024, 200),
	BATCHES_MAX = RARE(8, 2), /* of one log under way */
};

struct batch {
	struct replay *replay;
	struct buf records; /* packed */
};

/* ---- to the owners ------------------------------------------------------------------------- */

static void batch_free(struct batch *batch)
{
	if (!batch)
		return;
	buf_fini(&batch->records);
	memory_free(batch);
}

static void batch_ended(struct core *core, struct message *message)
{
	struct batch *batch = message->args[0].ptr;
	struct replay *replay = batch->replay;
	batch_free(batch);
	replay->in_flight--;
	if (replay->waiting)
		fiber_wake(core, take(replay->waiting));
}

static void batch_begins(struct core *core, struct message *message)
{
	struct batch *batch = message->args[0].ptr;
	struct load_share *share = batch->replay->load->shares[core->id];
	struct slice left = buf_slice(&batch->records);
	struct record_chunk chunk = {0};
	while (unpack_record(&left, &chunk.records[chunk.n], &chunk.covered[chunk.n]))
		if (++chunk.n == CHUNK_MAX)
			share_apply(share, &chunk);
	share_apply(share, &chunk);
	struct message answer = {.run = batch_ended, .args[0].ptr = batch};
	core_reply(core, message->from, &answer);
}

static void wait_for_batches(struct replay *replay, uint32_t most)
{
	struct core *core = replay->share->core;
	while (replay->in_flight > most) {
		replay->waiting = fiber_self(core);
		fiber_wait(core);
	}
}

static void send_batch(struct replay *replay, uint16_t to)
{
	struct batch *batch = take(replay->batches[to]);
	if (!batch)
		return;
	wait_for_batches(replay, BATCHES_MAX - 1);
	replay->in_flight++;
	core_request(replay->share->core, to, &(struct message){.run = batch_begins, .args[0].ptr = batch});
}

static void flush_batches(struct replay *replay)
{
	for (uint16_t to = 0; to < replay->share->core->n_cores; to++)
		send_batch(replay, to);
	wait_for_batches(replay, 0);
}

static void add_to_batch(struct replay *replay, uint16_t to, const struct record *record, bool covered)
{
	if (!replay->batches[to]) {
		replay->batches[to] = memory_zalloc(sizeof(struct batch));
		replay->batches[to]->replay = replay;
	}
	struct batch *batch = replay->batches[to];
	pack_record(&batch->records, record, covered);
	if (batch->records.len >= BATCH_BYTES)
		send_batch(replay, to);
	share_worked(replay->share, 1 + (uint32_t)(record->body.len / 4096));
}

/* ---- one record ---------------------------------------------------------------------------- */

/* UINT16_MAX: there is no such slot. */
static uint16_t partition_of_record(const struct record *record)
{
	if (record->slot == SLOT_SYSTEM)
		return PARTITION_SYSTEM;
	return record->slot < SLOTS ? partition_of(record->slot) : UINT16_MAX;
}

/* Before the bodies go that its records point to. */
static void flush_chunk(struct replay *replay)
{
	uint32_t work = replay->chunk.n;
	for (uint32_t i = 0; i < replay->chunk.n; i++)
		work += (uint32_t)(replay->chunk.records[i].body.len / 4096);
	share_apply(replay->share, &replay->chunk);
	share_worked(replay->share, work);
}

static void add_to_chunk(struct replay *replay, const struct record *record, bool covered)
{
	struct record_chunk *chunk = &replay->chunk;
	chunk->records[chunk->n] = *record;
	chunk->covered[chunk->n] = covered;
	if (++chunk->n == CHUNK_MAX)
		flush_chunk(replay);
}

static void route(struct replay *replay, const struct record *record)
{
	struct load_share *share = replay->share;
	uint16_t partition = partition_of_record(record);
	if (partition == UINT16_MAX) {
		fault(&share->faults, "log %" PRIu32 ", LSN %" PRIu64 ": slot %u does not exist", replay->files->log.id,
		      record->lsn, record->slot);
		return;
	}
	if (record->lsn < replay->partitions[partition].from_lsn)
		return;
	bool covered = replay->partitions[partition].covered;
	uint16_t owner = load_owner(share->core, partition);
	if (owner == share->core->id)
		add_to_chunk(replay, record, covered);
	else
		add_to_batch(replay, owner, record, covered);
}

/* ---- transactions -------------------------------------------------------------------------- */

static bool same_tx(const struct tx_id *a, const struct tx_id *b)
{
	return a->log == b->log && a->epoch == b->epoch && a->number == b->number;
}

static struct prepared *prepared_find(struct replay *replay, const struct tx_id *id)
{
	list_each (link, &replay->open) {
		struct prepared *prepared = container_of(link, struct prepared, link);
		if (same_tx(&prepared->id, id))
			return prepared;
	}
	return NULL;
}

static void prepared_free(struct prepared *prepared)
{
	list_remove(&prepared->link);
	buf_fini(&prepared->records);
	memory_free(prepared);
}

static void prepared_end(struct replay *replay, struct prepared *prepared, bool committed)
{
	struct slice left = buf_slice(&prepared->records);
	struct record record;
	bool covered;
	while (committed && unpack_record(&left, &record, &covered))
		route(replay, &record);
	flush_chunk(replay);
	prepared_free(prepared);
}

static void take_prepare(struct replay *replay, const struct record *record, const struct record_body *body)
{
	struct prepared *prepared = memory_zalloc(sizeof(*prepared));
	prepared->id = body->tx;
	list_push_back(&replay->open, &prepared->link);
	replay->gathering = record->group ? prepared : NULL;
}

static void take_outcome(struct replay *replay, const struct record_body *body)
{
	/* One whose prepare lies before all that is needed: the image has it. */
	struct prepared *prepared = prepared_find(replay, &body->tx);
	if (prepared)
		prepared_end(replay, prepared, body->committed);
}

static void take_transaction(struct replay *replay, const struct record *record)
{
	struct record_body body;
	if (!record_parse(record, &body)) {
		fault(&replay->share->faults, "log %" PRIu32 ", LSN %" PRIu64 ": malformed record of a transaction",
		      replay->files->log.id, record->lsn);
		return;
	}
	if (record->kind == RECORD_TX_PREPARE)
		take_prepare(replay, record, &body);
	else if (record->kind == RECORD_TX_COMMIT)
		buf_append(&replay->commits, slice_of(&body.tx, sizeof(body.tx)));
	else
		take_outcome(replay, &body);
}

static void take_record(struct replay *replay, const struct record *record)
{
	if (replay->gathering) {
		pack_record(&replay->gathering->records, record, false);
		if (!record->group)
			replay->gathering = NULL;
		return;
	}
	switch (record->kind) {
	case RECORD_TX_PREPARE:
	case RECORD_TX_COMMIT:
	case RECORD_TX_OUTCOME:
		take_transaction(replay, record);
		return;
	default:
		route(replay, record);
	}
}

/* ---- the log ------------------------------------------------------------------------------- */

/* How far the reader has come, for the progress line. */
static void tell_progress(struct replay *replay, const struct log_reader *reader)
{
	uint64_t number, at;
	if (!log_reader_frame(reader, &number, &at))
		return;
	const struct segment_list *list = &replay->files->segments;
	if (number != replay->seen_number) {
		replay->seen_bytes = 0;
		for (uint32_t i = 0; i < list->n && list->all[i].number != number; i++)
			replay->seen_bytes += list->all[i].size;
		replay->seen_number = number;
	}
	uint64_t now = replay->seen_bytes + at;
	if (now > replay->told_bytes) {
		progress_add(&replay->load->progress->done_bytes, now - replay->told_bytes);
		replay->told_bytes = now;
	}
}

static bool goes_on(const struct replay *replay)
{
	return !load_gives_up(replay->load) && (replay->load->salvage || replay->share->faults.n == 0);
}

/* Reads to the end, or to damage that is not gone past. */
static void read_records(struct replay *replay, struct log_reader *reader)
{
	const struct record *records;
	uint32_t n;
	while (goes_on(replay)) {
		enum log_read result = log_reader_next(reader, &records, &n);
		if (result == LOG_READ_END)
			return;
		if (result != LOG_READ_FRAME) {
			fault(&replay->share->faults, "%s", log_reader_why(reader));
			replay->gathering = NULL;
			if (!replay->load->salvage || !log_reader_skip(reader))
				return;
			continue;
		}
		tell_progress(replay, reader);
		for (uint32_t i = 0; i < n; i++)
			take_record(replay, &records[i]);
		flush_chunk(replay);
	}
}

/* Segments [from, to) follow on one another. */
static void read_run(struct replay *replay, uint32_t from, uint32_t to)
{
	struct segment_list run = {.all = replay->files->segments.all + from, .n = to - from, .room = to - from};
	struct log_reader *reader =
	        log_reader_new(replay->share->core, replay->load->directory, &run, replay->files->from_lsn);
	read_records(replay, reader);
	replay->end = *log_reader_end(reader);
	log_reader_free(reader);
}

/* An image counts only once the log is durable up to where it was written, and the manifest says how far it was seen
 * to be: what is shorter now was longer. */
static void judge_end(struct replay *replay)
{
	uint64_t needed = replay->files->log.durable_lsn + 1;
	for (uint32_t p = 0; p < PARTITIONS_ALL; p++) {
		uint64_t from = replay->partitions[p].from_lsn;
		if (from != UINT64_MAX && from > needed)
			needed = from;
	}
	if (needed > replay->end.next_lsn)
		fault(&replay->share->faults,
		      "log %" PRIu32 ": ends before LSN %" PRIu64 ", but went on at least to LSN %" PRIu64 " once",
		      replay->files->log.id, replay->end.next_lsn, needed - 1);
}

static void tell_end(struct replay *replay)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < replay->files->segments.n; i++)
		bytes += replay->files->segments.all[i].size;
	progress_add(&replay->load->progress->done_bytes, bytes - replay->told_bytes);
	progress_add(&replay->load->torn_bytes, replay->end.torn_bytes);
}

void replay_run(struct replay *replay, struct load_share *share)
{
	const struct segment_list *list = &replay->files->segments;
	replay->share = share;
	for (uint32_t from = 0, to; from < list->n; from = to) {
		for (to = from + 1; to < list->n && list->all[to].head.place == list->all[to - 1].head.place + 1; to++)
			;
		read_run(replay, from, to);
	}
	flush_batches(replay);
	if (list->n > 0 && goes_on(replay))
		judge_end(replay);
	tell_end(replay);
}

static bool was_committed(const struct load *load, const struct tx_id *id)
{
	for (uint32_t i = 0; i < load->survey->n_logs; i++) {
		if (load->survey->logs[i].log.id != id->log)
			continue;
		const struct buf *commits = &load->replays[i].commits;
		const struct tx_id *all = (const struct tx_id *)commits->ptr;
		for (size_t at = commits->len / sizeof(*all); at > 0; at--)
			if (same_tx(&all[at - 1], id))
				return true;
	}
	return false;
}

void replay_settle(struct replay *replay)
{
	while (!list_empty(&replay->open)) {
		struct prepared *prepared = container_of(replay->open.next, struct prepared, link);
		struct load_outcome outcome;
		memset(&outcome, 0, sizeof(outcome));
		outcome.tx = prepared->id;
		outcome.committed = was_committed(replay->load, &prepared->id);
		buf_append(&replay->outcomes, slice_of(&outcome, sizeof(outcome)));
		prepared_end(replay, prepared, outcome.committed);
	}
	flush_batches(replay);
}

/* ---- life ---------------------------------------------------------------------------------- */

void replay_init(struct replay *replay, struct load *load, const struct log_files *files)
{
	*replay = (struct replay){.load = load, .files = files, .seen_number = UINT64_MAX};
	replay->end.next_lsn = 1;
	list_init(&replay->open);
	for (uint32_t p = 0; p < PARTITIONS_ALL; p++) {
		const struct manifest_partition *partition = &load->manifest->partitions[p];
		replay->partitions[p].from_lsn = UINT64_MAX;
		for (uint32_t i = 0; i < partition->n_ranges; i++) {
			if (partition->ranges[i].log != files->log.id)
				continue;
			replay->partitions[p].from_lsn = partition->ranges[i].from_lsn;
			replay->partitions[p].covered = partition->image && i == 0;
		}
	}
}

void replay_fini(struct replay *replay)
{
	list_each (link, &replay->open)
		prepared_free(container_of(link, struct prepared, link));
	for (uint16_t i = 0; i < CORES_MAX; i++)
		batch_free(replay->batches[i]);
	buf_fini(&replay->commits);
	buf_fini(&replay->outcomes);
}
