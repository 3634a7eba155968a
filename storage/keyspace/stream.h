/* stream.h -- streams: entries of fields and values, in the order of their IDs; and groups of consumers.
 *
 * What      A stream is a tree of blocks, ordered by ID. A block has an ID and the names of fields that most of its
 *           entries share; entries follow in the bytes of Redis' listpacks, their IDs counted from the block's. They
 *           are only ever added behind the last one; one that is deleted stays as a mark until its block has no other.
 *           How large blocks grow is said by the settings stream-node-max-bytes and stream-node-max-entries: where
 *           blocks end, approximate trimming cuts, at the same places as Redis.
 * Groups    A group has read up to an ID; what its consumers have not acknowledged is pending: by ID in the group,
 *           by ID in each consumer.
 * Memory    Blocks of a large one leave it one by one (cold_leaf.h). What is known of one that is away: its first and
 *           last entry's ID. So facts, adding, and trimming whole blocks need none. What is pending stays.
 * Edits     Results, times included; a group's are written and applied by stream_groups.c, all others by stream.c.
 * Costs     Adding: the bytes of the entry, in place. Trimming: a little for each block, marks in one. Copying and
 *           freeing: a little for each group and consumer, the rest is shared, and freed in slices.
 * Owner     The shard. Streams may be empty.
 */
#pragma once

#include "engine/base/buf.h"
#include "storage/collections/packed.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/collection.h"
#include "storage/keyspace/pending.h"
#include "storage/keyspace/stream_id.h"

/* ---- reading -------------------------------------------------------------------------- */

struct stream_facts {
	struct stream_id first;       /* of the first entry; zero: there is none */
	struct stream_id last;        /* that was given ever */
	struct stream_id max_deleted; /* the greatest that was deleted by name */
	uint64_t length, added, blocks;
};
void stream_facts(const struct object *stream, struct stream_facts *out);
struct stream_id stream_last_id(const struct object *stream); /* as in the facts */

/* Of the last entry; false: there is none. */
bool stream_last_entry(const struct object *stream, struct stream_id *out);

struct stream_entry {
	struct stream_id id;
	uint32_t n_fields;
	bool shared;                  /* the fields are the block's */
	const uint8_t *field, *value; /* that stream_field() reads next; without `shared` only `value` is */
};

/* Through entries from one ID to another, both included; good until the stream changes. */
struct stream_walk {
	struct tree_path path; /* path.leaf NULL: the end */
	const uint8_t *at;     /* where the next entry begins, or if `backwards` ends */
	struct stream_id from, to;
	bool backwards;
};
void stream_walk(const struct object *stream, struct stream_id from, struct stream_id to, bool backwards,
                 struct stream_walk *out);
bool stream_next(struct stream_walk *walk, struct stream_entry *out);

/* The fields of an entry, one after the other, n_fields times. */
void stream_field(struct stream_entry *entry, struct packed_element *field, struct packed_element *value);

/* How many entries a walk will show, `limit` at most. */
uint64_t stream_count(const struct stream_walk *walk, uint64_t limit);

/* What a call needs in memory: what a walk shows, `limit` entries of it at most. */
struct reach stream_reach(struct stream_id from, struct stream_id to, bool backwards, uint64_t limit);

/* And what it needs that names a group. */
enum stream_reach {
	STREAM_REACH_UNREAD,  /* the first entries that the group has not read */
	STREAM_REACH_PENDING, /* as many that are pending in it, from an ID on, at whichever consumer */
};
struct reach stream_reach_group(enum stream_reach what, struct slice group, struct stream_id from, uint64_t limit);

/* The entry of an ID; false: there is none. */
bool stream_find(const struct object *stream, struct stream_id id, struct stream_entry *out);

/* Its blocks in order, as Redis' listpacks: what lies between head and end mark. */
void stream_each_block(const struct object *stream,
                       void (*show)(void *arg, struct stream_id id, struct slice packed, uint32_t elements), void *arg);

/* ---- changing: of an opened collection, touched on the way ------------------------------- */

/* Makes the stream if there is none. */
void stream_touch(struct collection *stream);

/* `fields` are n_fields names, each followed by its value; `id` is greater than the last one. */
void stream_add(struct collection *stream, struct stream_id id, const struct slice *fields, uint32_t n_fields);

/* False: there is no such entry. */
bool stream_delete(struct collection *stream, struct stream_id id);

struct stream_trim {
	bool by_id;        /* up to `least`, else down to `length` */
	bool whole_blocks; /* and nothing else is removed */
	struct stream_id least;
	uint64_t length;
	uint64_t limit; /* entries removed at most, in whole blocks; 0: any number */
};
uint64_t stream_trim(struct collection *stream, const struct stream_trim *how);

/* What XSETID sets; the caller has looked whether it may. */
void stream_set(struct collection *stream, struct stream_id last, uint64_t added, struct stream_id max_deleted);

/* ---- from payloads --------------------------------------------------------------------- */

/* A stream in packed form, as object_unpack() takes it, put together in this order: the beginning, its blocks, its
 * facts, its groups, the end. Zeroed before; buf_fini() of `packed` at last. */
struct stream_pack {
	struct buf packed;
	size_t leaves_at;
	struct stream_facts facts; /* first, length and blocks count along; the others are the caller's */
	struct stream_id last;     /* entry so far */
};
void stream_pack_begin(struct stream_pack *pack);

/* A block as stream_each_block() shows it, behind those before. False: malformed. */
bool stream_pack_block(struct stream_pack *pack, struct stream_id id, struct slice packed) must_check;

void stream_pack_facts(struct stream_pack *pack);

struct stream_consumer_facts {
	struct slice name;
	int64_t seen_ms;
};

/* A group whose consumers are numbered as they come; what is pending is in the order of IDs. */
struct stream_group_facts {
	struct slice name;
	struct stream_id last;
	int64_t entries_read;
	const struct stream_consumer_facts *consumers;
	uint32_t n_consumers;
	const struct pending *pending;
	uint64_t n_pending;
};
void stream_pack_group(struct stream_pack *pack, const struct stream_group_facts *group);
void stream_pack_end(struct stream_pack *pack);
