/* collection_private.h -- for the files that implement a type of collection.
 *
 * The object's 24 fixed bytes are a struct body. Small: `ptr` is a block of `cap` bytes, `len` in use, with `count`
 * elements. Large: `ptr` is the type's root, which begins with the struct tree that holds the elements; whatever else
 * it has can be built from that again, or is told in parts.
 */
#pragma once

#include "storage/collections/tree.h"
#include "storage/keyspace/collection.h"
#include "storage/keyspace/keyspace_private.h"
#include "storage/keyspace/object_private.h"

enum collection_encoding {
	ENCODING_PACKED,   /* packed.h */
	ENCODING_INTEGERS, /* of sets */
	ENCODING_TREE,
	ENCODING_TIMED, /* of hashes */
	ENCODINGS
};

/* A small collection never has more bytes, whatever the settings say: it is copied and written in one go. */
enum { SMALL_BYTES_MAX = RARE(64 * 1024, 256) };

struct body {
	void *ptr;
	union {
		struct {
			uint32_t len, cap; /* of a small one */
		};
		uint64_t seed; /* of a large one whose kind is `hashed` */
	};
	uint32_t version; /* counts edits */
	uint32_t count;
};
static_assert(sizeof(struct body) == 24, "in place of a block");

struct reach_part; /* cold_leaf.h */

/* The row of a type, beside its struct object_kind. Bytes come from disk, and are believed only once they were
 * looked at. */
struct collection_kind {
	size_t root_size; /* begins with struct tree */

	/* Is this the content of a small one? How many elements. */
	bool (*check_small)(struct slice bytes, enum collection_encoding encoding, uint32_t *out_count);

	/* Is this the content of a leaf with `count` elements that may follow on `before` (NULL: it is the first)? The
	 * key it begins with. */
	bool (*check_leaf)(struct shard *shard, struct slice bytes, uint32_t count, const struct leaf *before,
	                   struct tree_key *out_key);

	/* Leaves may leave memory, one by one (cold_leaf.h): may these bytes be one with so many elements? The root
	 * begins as a struct leaving_root. NULL: they stay. */
	bool (*check_away)(struct slice bytes, uint32_t count);

	/* What stays known of such a leaf while it is away, fence_size bytes. Is this the fence of one that may follow
	 * on `before`; the key it begins with. NULL: nothing stays, and keys are zeros. */
	uint32_t fence_size;
	void (*fence)(struct slice bytes, uint8_t *out);
	bool (*check_fence)(const uint8_t *fence, const struct leaf *before, struct tree_key *out_key);

	/* A part of REACH_OWN as one of REACH_KEYS; false: nothing is needed. NULL: there are none. */
	bool (*reach)(const struct object *object, const struct reach_part *part, struct reach_part *out);

	/* All leaves are there: builds the rest of the root. False: they cannot be. NULL: there is no rest. */
	bool (*complete)(struct shard *shard, void *root);

	/* Lets go of what the root has besides its tree; and makes `to`, a copy of `root`'s bytes whose tree is already
	 * shared, stand for itself. NULL: there is nothing else. */
	void (*let_go)(struct shard *shard, void *root);
	void (*share)(struct shard *shard, void *root, void *to);

	/* Bytes of that. NULL: there is nothing else. */
	size_t (*memory)(const void *root);

	/* An empty one stays, and is large in form. */
	bool stays_empty;

	/* What a root has besides its tree and what can be built from that: parts, each some bytes, which part()
	 * appends to `out`, and a tree (NULL: none). False: there is no part number `i`. add_part() takes the bytes
	 * back and says where the leaves go; false: malformed. NULL: there are no parts. */
	bool (*part)(const void *root, uint32_t i, struct buf *out, struct tree **out_tree);
	bool (*add_part)(struct shard *shard, void *root, uint32_t i, struct slice bytes, struct tree **out_tree);
	bool (*check_part_leaf)(struct slice bytes, uint32_t count, const struct leaf *before,
	                        struct tree_key *out_key);
	/* Leaves besides those of the tree; NULL: none. */
	uint64_t (*rest_leaves)(const void *root);

	/* Elements are ordered by a hash with the shard's seed: leaves that were made with another seed are handed to
	 * add_leaf(), which adds each element to the collection, instead of check_leaf(). False: malformed. */
	bool hashed;
	bool (*add_leaf)(struct collection *c, struct slice bytes, uint32_t count);

	/* Applies one edit, taken off the front of `edits`, as far as the content goes. False: malformed, or
	 * impossible. */
	bool (*apply)(struct collection *c, struct slice *edits);

	/* When the first element expires; EXPIRES_NEVER: none does. Has every one? Deletes some that have, but not the
	 * last element, and says so in edits, after collection_touch(); how many, `most` at most. NULL: elements do not
	 * expire. */
	int64_t (*due)(const struct object *object);
	bool (*is_over)(const struct object *object, int64_t now_ms);
	uint32_t (*reap)(struct collection *c, uint32_t most);
};

/* How the root of a kind begins whose leaves may leave memory. */
struct leaving_root {
	struct tree tree;
	uint64_t hand; /* the element from which on more are looked for */
};

/* Bytes of a tree that may leave memory leaf by leaf; 0: they are not worth it. Then some leaf may, or is lent. */
size_t cold_leaves_chillable(const struct collection_kind *kind, const struct tree *tree);

/* Its value must be in memory. */
static inline struct body *body_of(const struct object *object)
{
	assert(object_form(object) == FORM_BLOCK);
	return object_fixed(object);
}

static inline struct slice body_slice(const struct object *object)
{
	return slice_of(body_of(object)->ptr, body_of(object)->len);
}

/* NULL: it is small. */
static inline struct tree *collection_tree(const struct object *object)
{
	return object->encoding == ENCODING_TREE ? body_of(object)->ptr : NULL;
}

/* ---- changing ------------------------------------------------------------------------- */

/* Before a change: there is an object (a new one is empty and packed), it has its next version, and watchers and
 * journal know. May be called again at any time, and must be after anything else ran on the shard. */
struct object *collection_touch(struct collection *c);

/* Room for an edit of `len` bytes behind those that were told already, for the caller to write; NULL: nobody wants to
 * know. After collection_touch(). */
uint8_t *collection_edit(struct collection *c, size_t len);

/* After a change of when elements expire. */
void collection_due_changed(struct collection *c);

/* In a small one: puts room for `insert` bytes in place of `remove` bytes at `at`, and returns where it is. */
uint8_t *body_splice(struct shard *shard, struct object *object, size_t at, size_t remove, size_t insert);

/* Makes a small one large: its root, zeroed, takes the place of the block, which is the caller's to fill the tree from
 * and to give back with body_give(). */
struct body body_grow(struct shard *shard, struct object *object);
void body_give(struct shard *shard, const struct body *small);

/* A new leaf behind the last one; see tree_insert(). */
struct leaf *tree_append(struct shard *shard, struct tree *tree, struct tree_path *path, size_t room);

/* ---- rows of struct object_kind -------------------------------------------------------- */

size_t collection_memory(const struct object *object);
void collection_free(struct shard *shard, struct object *object);
struct slice collection_pack(const struct object *object, struct buf *out);
size_t collection_chillable(const struct object *object);
enum err collection_unpack(struct shard *shard, const struct key *key, enum object_type type, struct slice packed,
                           int64_t expires_ms);
struct object *collection_warm(struct shard *shard, const struct object *cold, struct slice packed);

/* The whole row: types differ in what they are called, in `encoding` and in their struct collection_kind. */
#define COLLECTION_KIND(its_name, its_encoding, its_kind) \
	{                                                 \
		.name = its_name,                         \
		.encoding = its_encoding,                 \
		.memory = collection_memory,              \
		.free = collection_free,                  \
		.pack = collection_pack,                  \
		.chillable = collection_chillable,        \
		.unpack = collection_unpack,              \
		.warm = collection_warm,                  \
		.collection = its_kind,                   \
	}

/* The packed form of a large one that is put together from elsewhere: its head, parts, the end. Leaves go behind the
 * head and behind each part; *leaves_at is where their number stands. */
void pack_new(struct buf *out, enum object_type type, size_t *leaves_at);
void pack_part(struct buf *out, struct slice bytes, size_t *leaves_at);
void pack_leaf(struct buf *out, size_t leaves_at, struct slice bytes, uint32_t count);
void pack_end(struct buf *out);

/* Takes a leaf of a packed form off its front. False: it is not all there. */
struct packed_leaf {
	struct slice bytes;
	uint32_t count;
	bool away; /* the bytes say where it is: cold_leaf_read() */
};
bool packed_take_leaf(struct slice *packed, struct packed_leaf *out) must_check;

/* ---- for the rest of the room ----------------------------------------------------------- */

/* Deletes up to `most` elements that have expired; how many. The key goes with its last one. */
uint32_t collection_reap(struct shard *shard, struct keyspace *keyspace, struct object *object, uint32_t most);

/* An object of another name with the same content, in no table; large ones share it. */
struct object *collection_share(struct shard *shard, const struct object *object, struct slice name,
                                int64_t expires_ms);

/* Frees a tree in the background, in slices. */
void tree_doom(struct shard *shard, struct tree *tree);
