#include "storage/log/run_private.h"

#include "engine/memory/memory.h"
#include "storage/log/frame_private.h"

/* The way of the frames, without making any. */
static struct log_run_end end_of(const struct log_run *run)
{
	struct log_run_end end = {.next_at = run->next_at, .next_lsn = run->next_lsn};
	for (size_t left = run->left; left > 0;) {
		uint64_t at = frame_place(end.next_at, run->segment_size);
		uint32_t used = sizeof(struct frame_header), limit = frame_limit(at, run->segment_size), length;
		for (; left > 0 && fragment_fits(left, limit - used, true, &length); left -= length) {
			used += sizeof(struct record_header) + length;
			end.bytes += sizeof(struct record_header) + length;
			end.next_lsn++;
		}
		end.next_at = at + frame_length(used);
	}
	return end;
}

struct log_run *log_run_new(const struct record_header *header, struct log_source *source, uint64_t segment_size,
                            uint64_t at, uint64_t lsn, struct log_run_end *out_end)
{
	struct log_run *run = memory_zalloc(sizeof(*run));
	*run = (struct log_run){.source = source,
	                        .header = *header,
	                        .segment_size = segment_size,
	                        .next_at = at,
	                        .next_lsn = lsn,
	                        .left = source->length};
	list_init(&run->behind);
	*out_end = end_of(run);
	return run;
}

void log_run_free(struct log_run *run)
{
	log_batch_free(run->batch);
	run->source->free(run->source);
	memory_free(run);
}

static void open_frame(struct log_run *run, struct log_batch_stock *stock)
{
	uint64_t at = frame_place(run->next_at, run->segment_size);
	if (!run->batch)
		run->batch = log_batch_take(stock);
	run->open = log_batch_add(run->batch, at);
	run->open->limit = frame_limit(at, run->segment_size);
	run->open->used = sizeof(struct frame_header);
	run->open->first_lsn = run->next_lsn;
}

static struct frame *shut_frame(struct log_run *run)
{
	struct frame *frame = take(run->open);
	frame->n_records = (uint32_t)(run->next_lsn - frame->first_lsn);
	run->next_at = frame->at + frame_length(frame->used);
	return frame;
}

/* Puts the header of the next fragment, if one fits. */
static bool begin_fragment(struct log_run *run)
{
	struct frame *frame = run->open;
	uint32_t length;
	if (!fragment_fits(run->left, frame->limit - frame->used, true, &length))
		return false;
	struct record_header header = run->header;
	header.length = length;
	header.flags |= fragment_flags(run->left == run->source->length, run->left - length);
	memcpy(frame->bytes + frame->used, &header, sizeof(header));
	frame->used += sizeof(header);
	run->piece = length;
	run->next_lsn++;
	return true;
}

struct frame *log_run_make(struct log_run *run, struct log_batch_stock *stock, size_t *budget)
{
	while (*budget > 0 && run->left > 0) {
		if (!run->open)
			open_frame(run, stock);
		if (run->piece == 0 && !begin_fragment(run))
			return shut_frame(run);
		uint32_t n = run->piece < *budget ? run->piece : (uint32_t)*budget;
		run->source->read(run->source, run->open->bytes + run->open->used, n);
		run->open->used += n;
		run->piece -= n;
		run->left -= n;
		*budget -= n;
	}
	return run->open && run->left == 0 ? shut_frame(run) : NULL;
}

struct log_batch *log_run_take_batch(struct log_run *run)
{
	const struct log_batch *batch = run->batch;
	if (batch->n < BATCH_FRAMES && run->next_at < run->segment_size && run->left > 0)
		return NULL;
	return take(run->batch);
}
