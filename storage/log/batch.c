#include "storage/log/batch_private.h"

#include "engine/memory/memory.h"
#include "storage/log/frame_private.h"

#include <assert.h>

enum { KEPT_MAX = 3 };

void log_batch_stock_init(struct log_batch_stock *stock)
{
	list_init(&stock->kept);
	stock->n = 0;
}

void log_batch_stock_fini(struct log_batch_stock *stock)
{
	for (struct link *link; (link = list_pop_front(&stock->kept));)
		log_batch_free(container_of(link, struct log_batch, link));
	stock->n = 0;
}

static struct log_batch *batch_new(void)
{
	struct log_batch *batch = memory_zalloc(sizeof(*batch));
	size_t size = SEGMENT_FRAMES_AT + BATCH_FRAMES * FRAME_MAX;
	batch->bytes = (uint8_t *)memory_aligned(LOG_BLOCK, size) + SEGMENT_FRAMES_AT;
	return batch;
}

void log_batch_free(struct log_batch *batch)
{
	if (!batch)
		return;
	memory_free(batch->bytes - SEGMENT_FRAMES_AT);
	memory_free(batch);
}

struct log_batch *log_batch_take(struct log_batch_stock *stock)
{
	struct link *kept = list_pop_front(&stock->kept);
	if (!kept)
		return batch_new();
	stock->n--;
	return container_of(kept, struct log_batch, link);
}

void log_batch_give(struct log_batch_stock *stock, struct log_batch *batch)
{
	if (stock->n == KEPT_MAX) {
		log_batch_free(batch);
		return;
	}
	batch->n = 0;
	list_push_front(&stock->kept, &batch->link);
	stock->n++;
}

struct frame *log_batch_add(struct log_batch *batch, uint64_t at)
{
	assert(batch->n < BATCH_FRAMES);
	struct frame *frame = &batch->frames[batch->n++];
	*frame = (struct frame){.at = at};
	frame->bytes = batch->bytes + (at - log_batch_at(batch));
	return frame;
}

uint64_t log_batch_end(const struct log_batch *batch)
{
	const struct frame *last = &batch->frames[batch->n - 1];
	return last->at + frame_length(last->used);
}

uint64_t log_batch_used(const struct log_batch *batch)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < batch->n; i++)
		bytes += batch->frames[i].used - sizeof(struct frame_header);
	return bytes;
}
