/* waiters_private.h -- who waits for the log, in the order of LSNs.
 *
 * What      Most come in that order and stand in a line. A reader may wait for what others wrote long before it: those
 *           that come late are in a heap beside the line, so that it takes no look at thousands.
 * Source    Fredman, Sedgewick, Sleator, Tarjan, "The Pairing Heap", Algorithmica 1986.
 */
#pragma once

#include "storage/log/log.h"

/* Zeroed: nobody. */
struct waiters {
	struct log_waiter *first, *last; /* the line */
	struct log_waiter *late;         /* the heap */
	uint32_t n;
};

void waiters_add(struct waiters *waiters, struct log_waiter *waiter);

/* The one with the least LSN; NULL: nobody waits. The other takes it out: somebody does. */
struct log_waiter *waiters_first(const struct waiters *waiters);
struct log_waiter *waiters_take(struct waiters *waiters);
