/* replies.h -- bytes of RESP that a client was told. */
#pragma once

#include "tests/sim/history.h"

/* Length of the whole reply that `bytes` begin with; 0: it is not whole yet. */
size_t reply_length(struct slice bytes);

/* The reply as the model says it: elements that come in any order are sorted by their bytes. Put behind what is in
 * `out`. */
void reply_in_order(const struct operation *operation, struct slice reply, struct buf *out);

static inline bool begins_with(struct slice bytes, struct slice with)
{
	return bytes.len >= with.len && memcmp(bytes.ptr, with.ptr, with.len) == 0;
}

/* The number in a line, without its end; 0: there is none. */
int64_t reply_number(struct slice line);
