/* streams.h -- streams as texts: all that a command can see of one, and its one group.
 *
 * What      IDs are 0-N, and only N is kept. Entries have one field. Times of deliveries are left out: they are the
 *           clock's.
 */
#pragma once

#include "tests/sim/items.h"

struct flow_entry {
	int64_t id;
	struct slice field, value;
};

struct flow_pending {
	int64_t id, times;
	struct slice consumer;
};

struct flow {
	int64_t last, added, max_deleted;
	struct buf entries; /* of struct flow_entry, by ID */
	bool has_group;
	int64_t read;           /* up to which ID the group has */
	struct items consumers; /* by name */
	struct buf pending;     /* of struct flow_pending, by ID */
};

struct flow flow_of(struct slice text);
void flow_fini(struct flow *flow);
void flow_text(const struct flow *flow, struct buf *out);
