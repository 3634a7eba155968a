/* readers.h -- which clients have read which keys.
 *
 * What      A table from a key's name to the readers that are to be told when it changes. A reader is a number: what
 *           it stands for is the caller's. Nothing here sends anything.
 * Memory    Bounded by the caller, who takes out any key when there are too many. A key with one reader is one
 *           allocation; the readers of one with more are a sorted array.
 * Cost      Linear hashing: the table grows and shrinks by one chain at a time, so no step is long.
 * Source    Litwin, "Linear Hashing", VLDB 1980.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct readers;

/* A key that somebody has read. */
struct read_key {
	struct read_key *next; /* in its chain */
	uint64_t hash;
	uint32_t n_readers, room; /* room 0: the only one is `one` */
	union {
		uint64_t one;
		uint64_t *many; /* ascending */
	};
	uint32_t name_len;
	uint8_t name[];
};

static inline struct slice read_key_name(const struct read_key *key) { return slice_of(key->name, key->name_len); }

static inline const uint64_t *read_key_readers(const struct read_key *key) { return key->room ? key->many : &key->one; }

struct readers *readers_new(void) must_check;
void readers_free(struct readers *readers); /* NULL is fine */

/* Frees some of the keys; true when all is gone, and the table too. */
bool readers_free_some(struct readers *readers, uint32_t keys);

/* The reader has read the key whose name hashes so. */
void readers_add(struct readers *readers, uint64_t hash, struct slice name, uint64_t reader);

/* NULL: nobody has read it. Good until the table is changed. */
struct read_key *readers_find(const struct readers *readers, uint64_t hash, struct slice name);

/* Any key; NULL: there is none. */
struct read_key *readers_any(const struct readers *readers, uint64_t random);

/* The key has no readers any more, except `but` if that is one. */
void readers_forget(struct readers *readers, struct read_key *key, uint64_t but);

enum { READER_NONE = 0 }; /* no reader has this number */

uint64_t readers_keys(const struct readers *readers);
uint64_t readers_items(const struct readers *readers); /* readers of all keys, counted for each key */

/* Walks everything and asserts what holds; for tests. */
void readers_verify(const struct readers *readers);
