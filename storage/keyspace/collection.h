/* collection.h -- what hashes, lists, sets, sorted sets and streams have in common.
 *
 * What      A command opens a key's collection, asks it through its type's calls (list.h, set.h, ...), which touch
 *           it before their first change, and closes it: an empty one is deleted.
 *           Small collections are one block, large ones a counted tree of blocks (storage/collections).
 * The log   Each change is told to the journal as an edit: results in the type's own bytes, which its row
 *           applies again at recovery. Every edit of a key makes its next version, so that none is applied
 *           twice or left out. A key that is new is logged whole, and one whose value the log may know by a pointer
 *           alone (cold.h).
 * Owner     The shard. A struct collection is a command's, and good until another command runs.
 */
#pragma once

#include "storage/keyspace/keyspace.h"

struct collection {
	struct shard *shard;
	const struct key *key;
	struct object *object; /* NULL: there is no such key */
	enum object_type type;
	bool whole;    /* logged as it is when the command is done, so no edit is told */
	bool apart;    /* its object is in no table yet: nobody is told of changes */
	uint64_t note; /* of the journal, that edits belong to; 0: none yet */
};

/* ERR_WRONG_TYPE, or OK. `key` must outlive `out`. */
enum err collection_open(struct shard *shard, const struct key *key, enum object_type type, enum find_how how,
                         struct collection *out) must_check;

/* Deletes it if it has become empty: true then. */
bool collection_close(struct collection *c);

/* One in no table, to be filled: then it takes the place of whatever its key has (an empty one: deletes that; false),
 * or is dropped. Meanwhile nobody is told of anything. */
struct collection collection_apart(struct shard *shard, const struct key *key, enum object_type type);
/* The same that begins with all that another collection has: shared, so in no time if that is large. */
struct collection collection_apart_from(struct shard *shard, const struct key *key, const struct object *from);

bool collection_put(struct collection *c, int64_t expires_ms);
void collection_drop(struct collection *c); /* one that was put or dropped is fine */

/* Applies the edits that make `version` of an object, in a shard that recovers; edits that it has already are left out.
 * False: malformed, or the object is another, or in another version. */
bool collection_apply(struct shard *shard, const struct key *key, struct object *object, enum object_type type,
                      uint32_t version, struct slice edits) must_check;

/* Elements: fields, members, entries. */
uint64_t collection_count(const struct object *object);

/* A collection of more elements or bytes than a command may copy or free in one go. */
bool collection_is_large(const struct object *object);
