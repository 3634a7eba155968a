/* handout.h -- bytes that other cores read, and that stay the sender's until all of them have.
 *
 * Owner     The core that hands out. A reader must not keep what it is shown.
 * Order     What is handed out to one core arrives in that order.
 * Full      Nobody waits: whoever hands out asks how much is under way to a core, and is told when it has been read.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/list.h"

#include <stdint.h>

struct core;

typedef void handout_show(struct core *core, const struct buf *bytes);

struct handouts {
	struct core *core;
	struct link under_way;
	size_t *bytes_to;                                     /* under way, by core */
	void (*read)(struct handouts *handouts, uint16_t by); /* a core has read one; NULL: never mind */
};

void handouts_init(struct handouts *handouts, struct core *core);
void handouts_fini(struct handouts *handouts);

/* Takes `bytes` and shows them on these cores (bits): on this one before it returns. */
void handout(struct handouts *handouts, struct buf *bytes, uint64_t cores, handout_show *show);

static inline size_t handouts_under_way(const struct handouts *handouts, uint16_t to) { return handouts->bytes_to[to]; }
