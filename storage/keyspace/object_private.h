/* object_private.h -- the bytes of an object.
 *
 *   header 8 | expiry 8 ? | key length 8 ? | by form: -, integer 8, block 24, pointer 24 | key | inline bytes |
 *   pointer 24 ?
 *
 * The offset of the key is a function of `shape` alone. A 16-byte key with a 16-byte value
 * takes 40 bytes, 48 with an expiry. A block always has room for an expiry, so that setting
 * one later never moves or copies what may be large.
 */
#pragma once

#include "storage/keyspace/cold.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/value.h"

#include <string.h>

enum object_form {
	FORM_INLINE,  /* the value follows the key */
	FORM_INTEGER, /* int64_t */
	FORM_BLOCK,   /* struct block, or struct body of a collection */
	FORM_COLD,    /* struct cold_pointer in place of the value */
	FORMS
};

enum { SHAPE_EXPIRES = 4, SHAPE_LONG_KEY = 8, SHAPES = 16 };
enum { OBJECT_INLINE_MAX = 2048, KEY_SHORT_MAX = 254, KEY_LONG = 255 };

struct object {
	uint16_t shape : 4; /* enum object_form, SHAPE_* */
	uint16_t inline_len : 12;
	uint8_t type : 4;     /* enum object_type */
	uint8_t encoding : 2; /* the type's own: see string.c, collection_private.h */
	uint8_t lent : 1;     /* counted in the shard's loans */
	uint8_t backed : 1;   /* the value, and behind all else a pointer to its copy, or room for it */
	uint8_t key_len;      /* KEY_LONG: see the 8 bytes */
	uint32_t access;      /* see access_private.h */
};
static_assert(sizeof(struct object) == 8, "the header");
static_assert(sizeof(struct cold_pointer) == 24, "as large as a block");

struct block {
	uint8_t *ptr;
	size_t len;
	size_t cap; /* as slab_take() was asked */
};

struct collection_kind;

/* One row for each type: what the rest of the room cannot know about a value. */
struct object_kind {
	const char *name;
	const char *(*encoding)(const struct object *object);
	size_t (*memory)(const struct object *object);                      /* besides the object's own block */
	void (*free)(struct shard *shard, struct object *object);           /* what hangs from the object */
	struct slice (*pack)(const struct object *object, struct buf *out); /* but for the type: object_pack_parts() */
	/* How long a value is that may leave memory; 0: it may not. */
	size_t (*chillable)(const struct object *object);
	enum err (*unpack)(struct shard *shard, const struct key *key, enum object_type type, struct slice packed,
	                   int64_t expires_ms);
	/* What takes the place of a cold object, backed: object_new_backed(); NULL: malformed. */
	struct object *(*warm)(struct shard *shard, const struct object *cold, struct slice packed);
	const struct collection_kind *collection; /* NULL: a string */
};

extern const struct object_kind string_kind;
extern const struct object_kind list_kind;
extern const struct object_kind set_kind;
extern const struct object_kind zset_kind;
extern const struct object_kind hash_kind;
extern const struct object_kind stream_kind;

/* NULL: no such type. */
const struct object_kind *object_kind(unsigned type);

static inline enum object_form object_form(const struct object *object) { return object->shape & 3; }

static inline size_t shape_key_at(unsigned shape)
{
	static const uint8_t fixed[4] = {0, 8, 24, 24};
	return 8 + (shape & SHAPE_EXPIRES ? 8 : 0) + (shape & SHAPE_LONG_KEY ? 8 : 0) + fixed[shape & 3];
}

static inline int64_t *object_expiry(const struct object *object) { return (int64_t *)(object + 1); }

/* Integer, block or pointer. */
static inline void *object_fixed(const struct object *object)
{
	return (uint8_t *)object + shape_key_at(object->shape & ~3u);
}

static inline struct slice key_of(const struct object *object)
{
	size_t len = object->key_len;
	if (unlikely(object->shape & SHAPE_LONG_KEY))
		len = *(const uint64_t *)((const uint8_t *)object + (object->shape & SHAPE_EXPIRES ? 16 : 8));
	return slice_of((const uint8_t *)object + shape_key_at(object->shape), len);
}

static inline uint8_t *object_inline(const struct object *object)
{
	struct slice key = key_of(object);
	return (uint8_t *)key.ptr + key.len;
}

/* Where the pointer of a cold or backed object is; it may lie on any byte. */
static inline uint8_t *object_pointer_at(const struct object *object)
{
	return object->backed ? object_inline(object) + object->inline_len : object_fixed(object);
}

/* Bytes asked of the slab for the object itself. */
static inline size_t object_size(const struct object *object)
{
	return shape_key_at(object->shape) + key_of(object).len + object->inline_len +
	       (object->backed ? sizeof(struct cold_pointer) : 0);
}

static inline unsigned shape_for(enum object_form form, struct slice name, bool expires)
{
	return form | (expires || form == FORM_BLOCK ? SHAPE_EXPIRES : 0) |
	       (name.len > KEY_SHORT_MAX ? SHAPE_LONG_KEY : 0);
}

static inline int64_t expiry_of(const struct object *object)
{
	return object->shape & SHAPE_EXPIRES ? *object_expiry(object) : EXPIRES_NEVER;
}

/* When the first element of the value expires, as fields of hashes may; EXPIRES_NEVER: none does. Have all expired? Then
 * there is no such key. */
int64_t elements_due_ms(const struct object *object);
bool elements_are_over(const struct object *object, int64_t now_ms);

static inline int64_t object_due_ms(const struct object *object)
{
	return unlikely(object->type == OBJECT_HASH) ? elements_due_ms(object) : EXPIRES_NEVER;
}

static inline bool object_is_over(const struct object *object, int64_t now_ms)
{
	return unlikely(object->type == OBJECT_HASH) && elements_are_over(object, now_ms);
}

static inline bool object_expired(const struct object *object, int64_t now_ms)
{
	int64_t expires_ms = expiry_of(object);
	return (expires_ms != EXPIRES_NEVER && expires_ms <= now_ms) || object_is_over(object, now_ms);
}

/* A new object, in no table, with key and header set; the value is the caller's to fill. */
struct object *object_new(struct shard *shard, enum object_type type, unsigned shape, struct slice name,
                          size_t inline_len, int64_t expires_ms);

/* The same with room for a pointer behind all else; and one that is nothing but a pointer. They are counted. */
struct object *object_new_backed(struct shard *shard, enum object_type type, unsigned shape, struct slice name,
                                 size_t inline_len, int64_t expires_ms, const struct cold_pointer *pointer);
struct object *object_new_cold(struct shard *shard, enum object_type type, struct slice name, int64_t expires_ms,
                               const struct cold_pointer *pointer);

/* The same value under another name or with another expiry. What hangs from `object` now
 * hangs from both: object_free_shell() one of them. A pointer stays only if `keep`. */
struct object *object_reshape(struct shard *shard, const struct object *object, struct slice name, int64_t expires_ms,
                              bool keep);
/* The value is about to change where it is: the pointer to its copy goes. False: there was none. */
bool object_unback(struct shard *shard, struct object *object);

/* Another pointer for a cold or backed one. */
void object_repoint(struct shard *shard, struct object *object, const struct cold_pointer *pointer);

/* The warm, backed form of a cold one, in no table; NULL: `packed` is no value of its type. */
struct object *object_warm(struct shard *shard, const struct object *cold, struct slice packed);

void object_free_shell(struct shard *shard, struct object *object);

/* Out of its table; freed now, in the background, or when the last loan comes back. */
void object_discard(struct shard *shard, struct object *object);
