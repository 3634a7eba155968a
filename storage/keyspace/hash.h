/* hash.h -- hashes: fields, each with a value, some of which expire.
 *
 * What      A small hash is a block of packed elements, a field and its value by turns, in the order in which fields
 *           came; a large one lies in the order of hashes (slots.h). Once a field is to expire a small one is a block
 *           of fields, values and times, in the order of these, and a large one has the times in its entries and an
 *           index of them beside (hash_times.h): what has expired is found without looking at the rest.
 * Fields    And values are given as packed_seek() looked at them. They may not be the hash's own memory when it
 *           changes.
 * Expiry    A field that has expired is gone for whoever says what time it is, and deleted later (expiry.c), which is
 *           an edit like others. A hash whose fields have all expired is no key any more.
 * Costs     In a small one: a walk over half of it. In a large one: one leaf.
 * Owner     The shard.
 */
#pragma once

#include "storage/collections/slots.h"
#include "storage/keyspace/collection.h"

/* No field may expire later. */
#define HASH_EXPIRES_MAX SLOTS_TIME_MAX

/* ---- reading: `now_ms` says what has expired; 0 shows all -------------------------------- */

struct hash_pair {
	struct packed_element field, value;
	int64_t expires_ms; /* EXPIRES_NEVER if it does not */
};

/* False: there is no such field. */
bool hash_get(const struct object *hash, const struct packed_sought *field, int64_t now_ms, struct packed_element *out);
bool hash_get_pair(const struct object *hash, const struct packed_sought *field, int64_t now_ms, struct hash_pair *out);

/* How many fields there are; collection_count() counts those that have expired, too. */
uint64_t hash_count(const struct object *hash, int64_t now_ms);

/* Of collection_count() pairs number `at`, whether it has expired or not, in no order that means anything. */
void hash_at(const struct object *hash, uint64_t at, struct hash_pair *out);

/* All pairs; good until the hash changes. */
struct hash_walk {
	const uint8_t *at, *end; /* of a small one */
	uint8_t encoding;
	int64_t now_ms;
	struct slots_walk slots;
};
void hash_walk(const struct object *hash, int64_t now_ms, struct hash_walk *out);
bool hash_next(struct hash_walk *walk, struct hash_pair *out);

/* Shows about `want` pairs from a cursor on, 0 at first; the cursor to go on from, 0: that was all. What is there from
 * the first call to the last is shown. */
uint64_t hash_scan(const struct object *hash, uint64_t cursor, uint64_t want, int64_t now_ms,
                   void (*show)(void *arg, const struct hash_pair *pair), void *arg);

/* Would Redis keep it as a table? Else as a listpack: few fields, none of them long. */
bool hash_is_table(const struct object *hash);

/* ---- changing: of an opened collection, touched on the way ------------------------------- */

/* True: the field is new. It does not expire any more. */
bool hash_set(struct collection *hash, const struct packed_sought *field, const struct packed_sought *value);

/* Another value for a field that is there: it expires when it would have. */
void hash_change(struct collection *hash, const struct packed_sought *field, const struct packed_sought *value);

/* False: it is not there. */
bool hash_remove(struct collection *hash, const struct packed_sought *field);

/* A field that is there expires at this time, from 1 to HASH_EXPIRES_MAX, or EXPIRES_NEVER. */
void hash_expire(struct collection *hash, const struct packed_sought *field, int64_t expires_ms);
