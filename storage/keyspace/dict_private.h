/* dict_private.h -- the hash table of one partition of one keyspace.
 *
 *   position:  the hash, bent so that the density of keys falls by half from its begin to its end
 *   directory: top `depth` bits of the position -> cell: segment, its depth, its buckets
 *   segment:   header line, n home buckets, a few stash buckets; 128 bytes each
 *   bucket:    14 tags, two counts of what had to go elsewhere, 14 entries
 *
 * Order     The 12 bits below the segment's depth, times n, say the home bucket: the whole table
 *           lies in order of positions. So a scan's place stays good whatever grows, splits or
 *           joins.
 * Bend      Hashes are so even that segments over equal parts of them would grow and split in
 *           the same minute, all of one size: memory per key would swing by a factor, and each
 *           size class of the slab be deserted in turn. Bent, the sizes spread over an octave,
 *           the same at any count. Source: the density of Martin, "Spiral Storage", 1979.
 * Placement Home, else the bucket after it, else the stash. The home bucket counts what went
 *           elsewhere, so most lookups and nearly all misses touch one bucket.
 * Entry     16 bits of the position | 48-bit pointer, whose low bits are flags. The bits are a
 *           window that begins at a multiple of WINDOW_STEP above the segment's depth:
 *           growing within a segment and four of five splits touch no object.
 */
#pragma once

#include "kernels/hash/tag.h"
#include "storage/keyspace/object_private.h"

enum {
	BUCKET_ENTRIES = 14,
	BUCKET_TAGS = (1 << BUCKET_ENTRIES) - 1,
	PLACE_BITS = 12,  /* of the position, choose the bucket in a segment */
	WINDOW_BITS = 16, /* of the position, kept in an entry */
	WINDOW_STEP = WINDOW_BITS - PLACE_BITS + 1,
	DICT_DEPTH_MAX = 30,
	COUNT_FULL = UINT8_MAX, /* such a count has overflowed and stays */
};

enum entry_flags {
	ENTRY_EXPIRES = 1,
	ENTRY_COLD = 2,
	ENTRY_DUE = 4, /* elements of the value expire */
	ENTRY_WAITS = ENTRY_EXPIRES | ENTRY_DUE,
};
#define ENTRY_POINTER 0x0000fffffffffff8u

struct bucket {
	uint8_t tags[BUCKET_ENTRIES]; /* 0: free */
	uint8_t near;                 /* entries of this home in the next bucket */
	uint8_t stashed;              /* in the stash */
	uint64_t entries[BUCKET_ENTRIES];
};
static_assert(sizeof(struct bucket) == TAG_BUCKET_SIZE, "two cache lines");

struct segment {
	/* What every insertion touches, in one line: */
	struct dict *dict;
	uint64_t prefix;    /* the position bits above `depth` */
	int64_t expires_ms; /* no key here, and no element, expires earlier; INT64_MAX: none expires */
	uint32_t count;
	uint32_t expiring; /* entries with ENTRY_WAITS */
	uint32_t stash; /* buckets after the first n */
	uint8_t n;
	uint8_t depth;
	/* And what is for expiry alone: */
	struct link due; /* in the wheel */
	int64_t due_ms;  /* when it shall look */
	int64_t swept_ms;
	_Alignas(TAG_BUCKET_SIZE) struct bucket buckets[];
};
static_assert(sizeof(struct segment) == TAG_BUCKET_SIZE, "one line pair before the buckets");
static_assert(offsetof(struct segment, depth) < 64, "one line for insertions");

struct dict {
	uint64_t *directory; /* NULL: no keys */
	uint64_t count;
	uint32_t segments;
	uint32_t deepest; /* segments at full depth: without any the directory halves */
	uint8_t depth;
	uint8_t partition;
};

/* Where an entry is. */
struct place {
	struct segment *segment;
	uint64_t *entry;
};

/* ---- cells: segment pointer, depth in its low bits, window's base, n on top --------- */

#define CELL_POINTER 0x00007fffffffff80u

static inline unsigned window_base(unsigned depth) { return depth / WINDOW_STEP * WINDOW_STEP; }

/* u + u(1 - u)/3 of the hash as a fraction u. */
static inline uint64_t position_of(uint64_t hash)
{
	return hash + (uint64_t)((unsigned __int128)hash * ~hash >> 64) / 3;
}

static inline const uint64_t *dict_cell_at(const struct dict *dict, uint64_t position)
{
	return &dict->directory[position >> 1 >> (63 - dict->depth)];
}

static inline uint64_t dict_cell(const struct dict *dict, uint64_t position) { return *dict_cell_at(dict, position); }

static inline struct segment *cell_segment(uint64_t cell) { return (struct segment *)(cell & CELL_POINTER); }

/* What a key's hash looks for, and where. */
struct probe {
	struct segment *segment;
	uint32_t home;
	uint32_t n;
	uint16_t window;
	uint8_t tag;
};

static inline uint8_t tag_of(uint64_t hash) { return (uint8_t)hash | 0x80; }

static inline struct probe dict_probe(const struct dict *dict, uint64_t hash)
{
	uint64_t position = position_of(hash), cell = dict_cell(dict, position);
	unsigned depth = cell & 127, base = cell >> 48 & 0xff, n = (unsigned)(cell >> 56);
	return (struct probe){.segment = cell_segment(cell),
	                      .home = (uint32_t)((position << depth >> (64 - PLACE_BITS)) * n >> PLACE_BITS),
	                      .n = n,
	                      .window = (uint16_t)(position << base >> (64 - WINDOW_BITS)),
	                      .tag = tag_of(hash)};
}

static inline struct object *entry_object(uint64_t entry) { return (struct object *)(entry & ENTRY_POINTER); }
static inline uint16_t entry_window(uint64_t entry) { return (uint16_t)(entry >> 48); }

static inline uint32_t next_bucket(uint32_t at, uint32_t n) { return at + 1 == n ? 0 : at + 1; }

/* Bit i: tag i is `tag`. The two counts behind the tags are read along and masked off. */
static inline unsigned bucket_match(const struct bucket *bucket, uint8_t tag)
{
	return tag_match_inline((const uint8_t *)(const void *)bucket, tag) & BUCKET_TAGS;
}

/* Words at a time, the last one overlapping: a call of memcmp() costs more than most names. */
static inline bool name_equal(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	if (a.len < 8 || a.len > 64)
		return slice_equal(a, b);
	uint64_t differs = load_u64(a.ptr + a.len - 8) ^ load_u64(b.ptr + b.len - 8);
	for (size_t at = 0; at + 8 < a.len; at += 8)
		differs |= load_u64(a.ptr + at) ^ load_u64(b.ptr + at);
	return differs == 0;
}

/* The entry of a key in one bucket, or NULL. The window weeds out nearly all false tags
 * before an object is touched. */
static inline uint64_t *bucket_seek(struct bucket *bucket, const struct probe *probe, struct slice name)
{
	unsigned matches = bucket_match(bucket, probe->tag);
	for (; matches; matches &= matches - 1) {
		uint64_t *entry = &bucket->entries[__builtin_ctz(matches)];
		if (entry_window(*entry) == probe->window && name_equal(key_of(entry_object(*entry)), name))
			return entry;
	}
	return NULL;
}

uint64_t *stash_seek(const struct probe *probe, struct slice name);

static inline uint64_t *probe_seek(const struct probe *probe, struct slice name)
{
	struct bucket *home = &probe->segment->buckets[probe->home];
	uint64_t *entry = bucket_seek(home, probe, name);
	if (likely(entry != NULL))
		return entry;
	if (home->near)
		entry = bucket_seek(&probe->segment->buckets[next_bucket(probe->home, probe->n)], probe, name);
	if (!entry && home->stashed)
		entry = stash_seek(probe, name);
	return entry;
}

/* ---- changes ------------------------------------------------------------------------ */

/* Of a key that is there; false: it is not. */
bool dict_find(const struct dict *dict, uint64_t hash, struct slice name, struct place *out);

/* The key must not be there. */
void dict_insert(struct shard *shard, struct dict *dict, uint64_t hash, struct object *object);

/* Another object of the same key takes the entry. */
void dict_replace(struct shard *shard, const struct place *place, struct object *object);

/* The object's expiry was `before_ms` and was changed in place. */
void dict_expiry_changed(struct shard *shard, const struct place *place, int64_t before_ms);

/* It was changed in place when the elements of the object expire. */
void dict_due_changed(struct shard *shard, const struct place *place);

/* Takes the entry out; the object is the caller's. May shrink, merge and free segments. */
void dict_remove(struct shard *shard, const struct place *place);

/* Frees the segment that a position lies in, with its objects, and returns the position after
 * it; 0: the dictionary is gone. For keyspaces that were dropped: neighbours are not joined. */
uint64_t dict_free_segment(struct shard *shard, struct dict *dict, uint64_t position);

/* ---- walks -------------------------------------------------------------------------- */

/* Shows the entries whose home is the bucket that `position` lies in, from `position` on;
 * returns the position of the next bucket, 0 after the last. */
uint64_t dict_walk(const struct dict *dict, uint64_t position, void (*show)(void *arg, uint64_t entry), void *arg);

/* An entry, as random as `random` is; 0 if the walk was unlucky. */
uint64_t dict_random(const struct dict *dict, uint64_t random);

/* Asserts all invariants, and adds up what is there. */
struct dict_tally {
	uint64_t count, expiring, due, segments_due;
	__int128 expiry_sum_ms;
};
void dict_verify(struct shard *shard, struct dict *dict, struct dict_tally *total);
