#include "engine/core/queue.h"

#include "engine/memory/memory.h"

static_assert(sizeof(struct message_block) <= 4096, "a block fills a page");

static struct message_block *block_new(void)
{
	struct message_block *block = memory_alloc(sizeof(*block));
	block->next = NULL;
	block->read = block->written = 0;
	return block;
}

void message_queue_fini(struct message_queue *queue)
{
	while (queue->first) {
		struct message_block *block = queue->first;
		queue->first = block->next;
		memory_free(block);
	}
	*queue = (struct message_queue){0};
}

struct message *message_queue_push(struct message_queue *queue)
{
	if (!queue->last)
		queue->first = queue->last = block_new();
	if (queue->last->written == MESSAGE_BLOCK_SLOTS)
		queue->last = queue->last->next = block_new();
	queue->n++;
	return &queue->last->slots[queue->last->written++];
}

struct message *message_queue_front(struct message_queue *queue)
{
	assert(queue->n > 0);
	return &queue->first->slots[queue->first->read];
}

/* The last block is kept for the next message: a queue in steady use allocates nothing. */
void message_queue_drop(struct message_queue *queue)
{
	struct message_block *block = queue->first;
	assert(queue->n > 0);
	queue->n--;
	block->read++;
	if (block->read < block->written)
		return;
	if (block->next) {
		queue->first = block->next;
		memory_free(block);
	} else {
		block->read = block->written = 0;
	}
}
