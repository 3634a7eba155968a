/* stream_id.h -- by what the entries of a stream are named and ordered: milliseconds, and a number among those of the
 * same millisecond. */
#pragma once

#include "storage/collections/tree.h"

#include <stdbool.h>
#include <stdint.h>

struct stream_id {
	uint64_t ms, seq;
};

#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

static inline struct tree_key stream_key(struct stream_id id) { return (struct tree_key){id.ms, id.seq}; }

static inline int stream_id_compare(struct stream_id a, struct stream_id b)
{
	return tree_key_compare(stream_key(a), stream_key(b));
}

static inline bool stream_id_equal(struct stream_id a, struct stream_id b) { return a.ms == b.ms && a.seq == b.seq; }
static inline bool stream_id_is_zero(struct stream_id id) { return id.ms == 0 && id.seq == 0; }

/* False: there is no such ID, and it stays. */
static inline bool stream_id_increment(struct stream_id *id)
{
	if (stream_id_equal(*id, STREAM_ID_MAX))
		return false;
	if (++id->seq == 0)
		id->ms++;
	return true;
}

static inline bool stream_id_decrement(struct stream_id *id)
{
	if (stream_id_is_zero(*id))
		return false;
	if (id->seq-- == 0)
		id->ms--;
	return true;
}
