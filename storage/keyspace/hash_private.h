/* hash_private.h -- the forms of a hash, for the files that implement them.
 *
 *   ENCODING_PACKED   pairs: field, value
 *   ENCODING_TIMED    triples: field, value, time as an integer, in the order of times; those that do not expire come
 *                     last, with time 0, as in the listpacks of Redis 7.4
 *   ENCODING_TREE     slots of pairs with times (slots.h), and those times once more in their order
 */
#pragma once

#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/hash.h"

enum {
	PAIR = 2,
	TRIPLE = 3,
	/* More packed pairs are looked through more slowly than a tree is. */
	PACKED_PAIRS_MAX = RARE(128, 6),
	PACKED_BYTES_MAX = RARE(16 * 1024, 256),
};
static_assert((int)PACKED_BYTES_MAX <= (int)SMALL_BYTES_MAX, "a small one is copied in one go");

/* Hashes whose fields do not expire pay nothing for those that do: the pointer shares its word with the flags. */
struct root {
	struct tree tree;
	uintptr_t times; /* struct tree * (NULL: no field expires) | enum root_flag */
};

enum root_flag {
	ROOT_TABLE = 1, /* in Redis' words; for good, once it has been */
	ROOT_TIMED = 2, /* a field was to expire once */
	ROOT_FLAGS = 7,
};

static inline struct root *root_of(const struct object *object) { return body_of(object)->ptr; }
static inline struct tree *root_times(const struct root *root)
{
	return (struct tree *)(root->times & ~(uintptr_t)ROOT_FLAGS);
}

/* Times as they are kept: 0 in place of EXPIRES_NEVER. */
static inline int64_t time_kept(int64_t expires_ms) { return expires_ms == EXPIRES_NEVER ? 0 : expires_ms; }
static inline int64_t time_told(int64_t time_ms) { return time_ms == 0 ? EXPIRES_NEVER : time_ms; }
static inline bool time_is_past(int64_t time_ms, int64_t now_ms) { return time_ms != 0 && time_ms <= now_ms; }

static inline uint8_t *pair_write(uint8_t *to, const struct packed_sought *field, const struct packed_sought *value)
{
	return packed_sought_write(packed_sought_write(to, field), value);
}

static inline size_t pair_size(const struct packed_sought *field, const struct packed_sought *value)
{
	return packed_sought_size(field) + packed_sought_size(value);
}

static inline struct slots slots_of(struct shard *shard, const struct object *object)
{
	const struct body *body = body_of(object);
	return (struct slots){.shard = shard, .tree = body->ptr, .seed = body->seed, .width = PAIR};
}

/* ---- triples: hash_triples.c ------------------------------------------------------------- */

/* Reads one; where the next begins. */
const uint8_t *triple_read(const uint8_t *at, struct hash_pair *out);
int64_t triple_time(const uint8_t *at);

/* Bytes that pairs take as triples, another time included. */
size_t triples_size(const struct body *pairs);

/* Makes triples of pairs; no field expires. */
void triples_make(struct shard *shard, struct object *object);

/* Puts a triple where its time belongs; in place of the one at `at`, which is the end if it is not `there`. */
void triples_put(struct shard *shard, struct object *object, uint32_t at, bool there, const struct packed_sought *field,
                 const struct packed_sought *value, int64_t time_ms);
void triples_retime(struct shard *shard, struct object *object, uint32_t at, int64_t time_ms);

/* The first that has not expired, or the end; how many come before it, which are no more than `most`. */
const uint8_t *triples_living(const struct object *object, int64_t now_ms, uint32_t most, uint32_t *out_n);

/* The latest time; 0: some do not expire, or there are none. */
int64_t triples_last(const struct object *object);

/* Are these triples in order? How many fields; they may be there twice. */
bool triples_check(struct slice bytes, uint32_t *out_count);

/* ---- the index of a large one: hash_expiry.c ----------------------------------------------- */

/* A field with this hash expires then; not any more; at another time. False: too many do (times_add()). */
bool index_add(struct shard *shard, struct root *root, int64_t time_ms, uint64_t hash);
void index_remove(struct shard *shard, struct root *root, int64_t time_ms, uint64_t hash);

/* Of struct collection_kind. */
void hash_let_go(struct shard *shard, void *root);
void hash_share(struct shard *shard, void *root, void *to);
size_t hash_memory(const void *root);
int64_t hash_due(const struct object *object);
bool hash_is_over(const struct object *object, int64_t now_ms);
uint32_t hash_reap(struct collection *hash, uint32_t most);

/* ---- what expiry asks of the content: hash.c ---------------------------------------------- */

/* Takes out a field that has expired, and says so: the first of triples; or of a large one, the one at `place`, which
 * is not the last. */
void hash_reap_triple(struct collection *hash);
void hash_reap_entry(struct collection *hash, const struct slots *slots, struct slots_place *place);
