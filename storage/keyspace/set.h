/* set.h -- sets: members, each once.
 *
 * What      A small set is a sorted array of integers, as Redis' intset, or a block of packed members; a large one
 *           lies in the order of hashes (slots.h).
 * Members   Are given as packed_seek() looked at them. They may not be the set's own memory when it changes.
 * Costs     Adding, finding and removing: one leaf. A random member: a way down the tree.
 * Owner     The shard.
 */
#pragma once

#include "storage/collections/slots.h"
#include "storage/keyspace/collection.h"

/* ---- reading -------------------------------------------------------------------------- */

bool set_has(const struct object *set, const struct packed_sought *member);

/* Member number `at`, which is there, in no order that means anything. */
void set_at(const struct object *set, uint64_t at, struct packed_element *out);

/* All members; good until the set changes. */
struct set_walk {
	const uint8_t *at, *end; /* of a small one */
	unsigned width;          /* bytes of an integer; 0: packed */
	bool large;
	struct slots_walk slots;
};
void set_walk(const struct object *set, struct set_walk *out);
bool set_next(struct set_walk *walk, struct packed_element *out);

/* Shows about `want` members from a cursor on, 0 at first; the cursor to go on from, 0: that was all. What is there
 * from the first call to the last is shown. */
uint64_t set_scan(const struct object *set, uint64_t cursor, uint64_t want,
                  void (*show)(void *arg, const struct packed_element *member), void *arg);

/* The array of one that is kept as integers, as DUMP says it: sorted, low bytes first. False: it is not. */
bool set_integers(const struct object *set, unsigned *width, struct slice *out);

/* Such an array, of bytes that may be anything, as the content of an empty set; false: it is none. */
bool set_put_integers(struct collection *set, unsigned width, struct slice array) must_check;

/* ---- changing: of an opened collection, touched on the way ------------------------------- */

/* False: it is there already; it is not. */
bool set_add(struct collection *set, const struct packed_sought *member);
bool set_remove(struct collection *set, const struct packed_sought *member);
