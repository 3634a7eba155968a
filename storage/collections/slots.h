/* slots.h -- entries that are found by the hash of their name: the leaves of large sets and hashes.
 *
 * What      A tree whose leaves lie in the order of a 64-bit hash. An entry is `width` packed elements one behind
 *           the other, the first of which is its name; names differ. Inside a leaf entries lie as they came:
 *
 *             entries, one behind the other | 16-bit tag of each | 16-bit offset of each
 *
 *           A tag is the low bits of the hash, so a leaf is searched sixteen tags at a time, and a miss looks at no
 *           entry. An entry takes four bytes besides its own.
 * Times     An entry may carry a time, in seven bytes before its first element. What that means is its owner's matter:
 *           entries are found and kept by their names alone.
 * Splits    A leaf that grows past 4 KiB or 256 entries is halved at a hash; entries of one hash stay together. A
 *           long entry gets a leaf of its own. Offsets past 16 bits are told by the entries before them.
 * Scans     A cursor is a position in the order of hashes, so whatever is there from the first call to the last is
 *           shown, however the leaves change meanwhile.
 * Owner     The shard, as of the tree.
 */
#pragma once

#include "storage/collections/packed.h"
#include "storage/collections/tree.h"

#include <string.h>

struct slots {
	struct shard *shard; /* NULL: for reading only */
	struct tree *tree;
	uint64_t seed; /* of the hash */
	unsigned width;
};

/* A name to look for. */
struct slots_sought {
	struct packed_sought name;
	uint64_t hash;
};
struct slots_sought slots_seek(const struct slots *slots, const struct packed_sought *name);

/* ---- entries with times ----------------------------------------------------------------- */

enum {
	SLOTS_TIME = 0xff, /* begins no packed element */
	SLOTS_TIME_SIZE = 1 + 6,
};
#define SLOTS_TIME_MAX (((int64_t)1 << 48) - 2)

/* 0: it has none. */
static inline int64_t slots_time(const uint8_t *entry)
{
	uint64_t time = 0;
	if (likely(*entry != SLOTS_TIME))
		return 0;
	memcpy(&time, entry + 1, SLOTS_TIME_SIZE - 1);
	return (int64_t)time;
}

/* Writes a time from 1 to SLOTS_TIME_MAX; where the entry's first element goes. */
static inline uint8_t *slots_time_write(uint8_t *entry, int64_t time)
{
	*entry = SLOTS_TIME;
	memcpy(entry + 1, &time, SLOTS_TIME_SIZE - 1);
	return entry + SLOTS_TIME_SIZE;
}

/* An entry's first element. */
static inline const uint8_t *slots_name(const uint8_t *entry)
{
	return likely(*entry != SLOTS_TIME) ? entry : entry + SLOTS_TIME_SIZE;
}

/* ---- reading -------------------------------------------------------------------------- */

/* The entry of this name; NULL: there is none. */
const uint8_t *slots_look(const struct slots *slots, const struct slots_sought *sought);

/* Entry number `at` in the tree's order, which is less than tree->count. */
const uint8_t *slots_at(const struct slots *slots, uint64_t at);

/* Its hash. */
uint64_t slots_hash(const struct slots *slots, const uint8_t *entry);

/* All entries, in the tree's order. */
struct slots_walk {
	struct slots slots;
	struct tree_path path;
	const uint8_t *at;
	uint32_t left; /* entries of the leaf */
};
void slots_walk(const struct slots *slots, struct slots_walk *out);
const uint8_t *slots_next(struct slots_walk *walk); /* NULL: no more */

/* Shows about `want` entries from a cursor on, 0 at first; the cursor to go on from, 0: that was all. Cursors are less
 * than 2^52, so that they are exact in a double. */
uint64_t slots_scan(const struct slots *slots, uint64_t cursor, uint64_t want,
                    void (*show)(void *arg, const uint8_t *entry), void *arg);

/* ---- changing ------------------------------------------------------------------------- */

/* Where an entry is, or would be: good until the tree changes by anything else. */
struct slots_place {
	struct tree_path path;
	uint32_t at;
};

/* An entry with this hash and time; false: there is none. */
bool slots_find_timed(const struct slots *slots, uint64_t hash, int64_t time, struct slots_place *out);

/* True: it is there. */
bool slots_find(const struct slots *slots, const struct slots_sought *sought, struct slots_place *out);

const uint8_t *slots_entry(const struct slots *slots, const struct slots_place *place);

/* Room for a new entry of `size` bytes at a place where it is not, for the caller to write at once. */
uint8_t *slots_add(const struct slots *slots, const struct slots_sought *sought, struct slots_place *place,
                   size_t size);

/* Puts room for `insert` bytes in place of `remove` bytes, `from` its beginning, into an entry. */
uint8_t *slots_splice(const struct slots *slots, const struct slots_sought *sought, struct slots_place *place,
                      size_t from, size_t remove, size_t insert);

/* The place means nothing afterwards. */
void slots_remove(const struct slots *slots, struct slots_place *place);

/* ---- bytes that may be anything ---------------------------------------------------------- */

/* Is this a leaf of `count` entries, whatever their hashes? May they have times? The entries. */
bool slots_check(struct slice bytes, uint32_t count, unsigned width, bool timed, struct slice *out) must_check;

/* ... and is it one that may follow on `before` (NULL: it is the first)? By what it begins. */
bool slots_check_leaf(uint64_t seed, struct slice bytes, uint32_t count, unsigned width, bool timed,
                      const struct leaf *before, struct tree_key *out) must_check;
