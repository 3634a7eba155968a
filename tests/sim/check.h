/* check.h -- is there an order of the operations in which every reply is right?
 *
 * What      Linearizability: an order in which no operation comes before one that had been
 *           answered before it was asked, and in which the model explains each reply. Keys
 *           that no operation ties together are judged apart. Of one session, operations
 *           that share a key, or of which one is a barrier, stay in its order.
 * Unseen    What was never answered may have been done at any time, or not.
 * Bounded   The search gives up after a number of steps, and says so.
 * Source    Wing, Gong, "Testing and Verifying Concurrent Objects", JPDC 1993; Lowe, "Testing
 *           for Linearizability", CCPE 2017 (the memory of what was tried before).
 */
#pragma once

#include "tests/sim/history.h"

enum verdict { LINEARIZABLE, NOT_LINEARIZABLE, TOO_HARD };

struct checked {
	enum verdict verdict;
	uint64_t steps;        /* of the search */
	uint32_t parts;        /* judged apart */
	uint32_t part_longest; /* operations */
};

/* Explains itself to `to` if the answer is not LINEARIZABLE. */
struct checked check_history(const struct history *history, uint64_t steps_max, FILE *to);
