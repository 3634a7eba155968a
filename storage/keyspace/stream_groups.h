/* stream_groups.h -- groups of consumers of a stream.
 *
 * What      A group has read a stream up to `last`. What it gave its consumers is pending until it is acknowledged,
 *           given to another, or its entry is found to be gone.
 * Owner     The shard. Groups and consumers are good until the stream is changed by another command; they are read
 *           by anybody, and changed by the calls below alone.
 */
#pragma once

#include "storage/keyspace/collection.h"
#include "storage/keyspace/pending.h"
#include "storage/keyspace/stream_id.h"

struct stream_walk;

enum { ENTRIES_READ_UNKNOWN = -1 };

struct stream_consumer {
	struct slice name;
	int64_t seen_ms;
	struct tree pending; /* of struct stream_id */
};

struct stream_group {
	struct slice name;
	struct stream_id last;
	int64_t entries_read; /* up to `last`, since the stream began, or ENTRIES_READ_UNKNOWN */
	struct tree pending;  /* of struct pending */
	/* By their numbers, which pending entries say; NULL: the number is free. */
	struct stream_consumer **consumers;
	uint32_t *order; /* numbers in the order of names */
	uint32_t numbers, cap, n_consumers;
};

/* ---- reading -------------------------------------------------------------------------- */

uint32_t stream_groups(const struct object *stream);
struct stream_group *stream_group_at(const struct object *stream, uint32_t at);    /* in the order of names */
struct stream_group *stream_group(const struct object *stream, struct slice name); /* NULL: none */
struct stream_consumer *group_consumer_at(const struct stream_group *group, uint32_t at);
struct stream_consumer *group_consumer(const struct stream_group *group, struct slice name);

/* A number that stands for a name, and the group that has it. */
uint64_t stream_group_tag(struct slice name);
const struct stream_group *stream_group_tagged(const struct object *stream, uint64_t tag); /* NULL: none */

/* The first and the last of up to `limit` pending entries from *from on; false: there are none. */
bool group_pending_from(const struct stream_group *group, uint64_t limit, struct stream_id *from,
                        struct stream_id *out_to);

static inline struct stream_consumer *pending_owner(const struct stream_group *group, const struct pending *pending)
{
	return group->consumers[pending_consumer(pending)];
}

/* How many entries there ever were up to an ID; ENTRIES_READ_UNKNOWN: that cannot be known. */
struct stream_facts;
int64_t stream_entries_up_to(const struct stream_facts *facts, struct stream_id id);

/* Entries that a group has not read; false: nobody can know, as some were deleted. */
bool group_lag(const struct object *stream, const struct stream_group *group, int64_t *out);

/* ---- changing: of an opened stream, touched on the way ----------------------------------- */

/* There is no group of that name. Makes the stream if there is none. */
void group_create(struct collection *stream, struct slice name, struct stream_id last, int64_t entries_read);
void group_set(struct collection *stream, struct stream_group *group, struct stream_id last, int64_t entries_read);
void group_destroy(struct collection *stream, struct stream_group *group);

struct stream_consumer *consumer_create(struct collection *stream, struct stream_group *group, struct slice name,
                                        int64_t now_ms);
void consumer_delete(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer);

/* A consumer has been heard of. This alone is no change of the stream: it is known after a restart only as far as
 * changes said it. */
static inline void consumer_seen(struct stream_consumer *consumer, int64_t now_ms) { consumer->seen_ms = now_ms; }

/* The group gives a consumer the first n entries of a walk, which are those behind what it has read. `noted`: they
 * are pending from now on. */
void group_deliver(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                   const struct stream_walk *walk, uint32_t n, bool noted, int64_t now_ms);

/* A consumer reads up to n of its pending entries once more, those from an ID on. */
void group_repeat(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                  struct stream_id from, uint64_t n, int64_t now_ms);

/* The entry is pending at this consumer, whoever had it before. */
void group_claim(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                 struct stream_id id, int64_t delivered_ms, uint64_t deliveries);

/* It is not pending any more; false: it was not. */
bool group_acknowledge(struct collection *stream, struct stream_group *group, struct stream_id id);
