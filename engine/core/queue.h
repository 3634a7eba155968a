/* queue.h -- messages that wait on their sender, first in, first out.
 *
 * What      A list of 4 KiB blocks, so that a message stays where it is while it runs and
 *           more come in behind it.
 * Owner     The core that holds it; nothing here is shared.
 * Lifetime  A zeroed struct is an empty queue; message_queue_fini() frees it.
 */
#pragma once

#include "engine/core/message.h"

#include <stdbool.h>

enum { MESSAGE_BLOCK_SLOTS = 63 };

struct message_block {
	struct message_block *next;
	uint32_t read, written;
	struct message slots[MESSAGE_BLOCK_SLOTS];
};

struct message_queue {
	struct message_block *first, *last;
	uint32_t n;
};

void message_queue_fini(struct message_queue *queue);

static inline bool message_queue_empty(const struct message_queue *queue) { return queue->n == 0; }

/* Room for one more, to be filled by the caller. */
struct message *message_queue_push(struct message_queue *queue);

/* The oldest, which stays in place until message_queue_drop(). Not of an empty queue. */
struct message *message_queue_front(struct message_queue *queue);
void message_queue_drop(struct message_queue *queue);
