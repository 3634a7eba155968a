/* Strings: short ones lie in the object, integers too, long ones in a block of their own. */
#include "engine/base/copy.h"
#include "engine/base/number.h"
#include "engine/memory/slab.h"
#include "storage/journal/journal.h"
#include "storage/keyspace/keyspace_private.h"

enum {
	EDIT_INLINE_MAX = 128, /* what grows past this gets a block with spare room */
	EMBSTR_MAX = 44,       /* Redis' border between "embstr" and "raw" */
};

/* Whether it was changed in place once: Redis then calls it "raw". */
enum { AS_GIVEN, EDITED };

static struct block *string_block(const struct object *object) { return object_fixed(object); }

struct slice string_value(const struct object *object, char scratch[STRING_SCRATCH])
{
	switch (object_form(object)) {
	case FORM_INTEGER:
		return slice_of(scratch, integer_format(*(int64_t *)object_fixed(object), scratch));
	case FORM_COLD:
		assert(!"a value that is not in memory");
		return S("");
	case FORM_BLOCK:
		return slice_of(string_block(object)->ptr, string_block(object)->len);
	default:
		return slice_of(object_inline(object), object->inline_len);
	}
}

size_t string_length(const struct object *object)
{
	char scratch[STRING_SCRATCH];
	struct cold_pointer pointer;
	if (unlikely(object_form(object) == FORM_COLD) && object_pointer(object, &pointer))
		return pointer.length;
	return string_value(object, scratch).len;
}

bool string_integer(const struct object *object, int64_t *out)
{
	if (object_form(object) == FORM_INTEGER) {
		*out = *(int64_t *)object_fixed(object);
		return true;
	}
	return object_form(object) == FORM_INLINE &&
	       integer_parse(slice_of(object_inline(object), object->inline_len), out);
}

/* ---- putting whole values ----------------------------------------------------------- */

/* May the new value take the place of the old one, without moving? */
static bool fits_in_place(const struct object *old, unsigned shape, size_t size)
{
	return old && !old->lent && !old->backed && old->type == OBJECT_STRING && old->shape == shape &&
	       slab_size(object_size(old)) == slab_size(size);
}

/* The object for a value of `inline_len` bytes or of a fixed form: the old one if it serves. */
static struct object *string_shell(struct shard *shard, struct object *old, enum object_form form, struct slice name,
                                   size_t inline_len, int64_t expires_ms)
{
	unsigned shape = shape_for(form, name, expires_ms != EXPIRES_NEVER);
	if (!fits_in_place(old, shape, shape_key_at(shape) + name.len + inline_len))
		return object_new(shard, OBJECT_STRING, shape, name, inline_len, expires_ms);
	old->inline_len = (uint16_t)(inline_len & 0xfff);
	old->encoding = AS_GIVEN;
	if (shape & SHAPE_EXPIRES)
		*object_expiry(old) = expires_ms;
	return old;
}

static struct block block_new(struct shard *shard, size_t cap)
{
	cap = slab_size(cap);
	return (struct block){.ptr = value_take(shard, cap), .cap = cap};
}

static void block_give(struct shard *shard, const struct block *block)
{
	if (block->cap >= SLAB_HUGE_MIN)
		blocks_doom(shard, block->ptr, block->cap);
	else
		value_give(shard, block->ptr, block->cap);
}

/* The block for `len` bytes of the object that replaces `old`: the same again if it is of the
 * right size. */
static void block_for(struct shard *shard, const struct object *old, struct object *object, size_t len)
{
	struct block *block = string_block(object);
	if (object != old) {
		*block = block_new(shard, len);
	} else if (block->cap < len || block->cap / 2 > len) {
		block_give(shard, block);
		*block = block_new(shard, len);
	}
	block->len = len;
}

static int64_t resolve_expiry(const struct object *old, int64_t expires_ms)
{
	if (expires_ms != EXPIRES_KEEP)
		return expires_ms;
	return old ? expiry_of(old) : EXPIRES_NEVER;
}

struct object *string_put_bytes(struct shard *shard, const struct key *key, struct slice value, int64_t expires_ms,
                                bool edited)
{
	struct place place;
	struct object *old = place_find(shard, key, &place);
	int64_t before_ms = old ? expiry_of(old) : EXPIRES_NEVER;
	enum object_form form = value.len <= OBJECT_INLINE_MAX ? FORM_INLINE : FORM_BLOCK;
	struct object *object = string_shell(shard, old, form, key->name, form == FORM_INLINE ? value.len : 0,
	                                     resolve_expiry(old, expires_ms));
	if (form == FORM_BLOCK) {
		block_for(shard, old, object, value.len);
		memcpy(string_block(object)->ptr, value.ptr, value.len);
	} else if (value.len) {
		memcpy(object_inline(object), value.ptr, value.len);
	}
	object->encoding = edited ? EDITED : AS_GIVEN;
	place_put(shard, key, &place, old, before_ms, object);
	return object;
}

struct object *string_put(struct shard *shard, const struct key *key, struct slice value, int64_t expires_ms)
{
	int64_t integer;
	if (value.len <= INTEGER_TEXT_MAX && integer_parse(value, &integer))
		return string_put_integer(shard, key, integer, expires_ms);
	return string_put_bytes(shard, key, value, expires_ms, false);
}

struct object *string_put_integer(struct shard *shard, const struct key *key, int64_t value, int64_t expires_ms)
{
	struct place place;
	struct object *old = place_find(shard, key, &place);
	int64_t before_ms = old ? expiry_of(old) : EXPIRES_NEVER;
	struct object *object = string_shell(shard, old, FORM_INTEGER, key->name, 0, resolve_expiry(old, expires_ms));
	*(int64_t *)object_fixed(object) = value;
	place_put(shard, key, &place, old, before_ms, object);
	return object;
}

/* ---- changing in place -------------------------------------------------------------- */

/* Bytes of a huge block are zero when it is new. */
static void block_extend(struct block *block, size_t len, bool is_new)
{
	if (!is_new || block->cap < SLAB_HUGE_MIN)
		memset(block->ptr + block->len, 0, len - block->len);
	block->len = len;
}

static void block_enlarge(struct shard *shard, struct block *block, size_t len)
{
	struct block larger = block_new(shard, len + len / 4);
	memcpy(larger.ptr, block->ptr, block->len);
	larger.len = block->len;
	block_extend(&larger, len, true);
	block_give(shard, block);
	*block = larger;
}

/* The same object with `len` bytes, if it can hold them. */
static bool edit_in_place(struct shard *shard, struct object *object, size_t len)
{
	if (object->lent || object->backed)
		return false;
	if (object_form(object) == FORM_BLOCK) {
		struct block *block = string_block(object);
		if (len > block->cap)
			block_enlarge(shard, block, len);
		else if (len > block->len)
			block_extend(block, len, false);
		return true;
	}
	size_t size = object_size(object), more = len - object->inline_len;
	if (object_form(object) != FORM_INLINE || len > OBJECT_INLINE_MAX || slab_size(size + more) != slab_size(size))
		return false;
	memset(object_inline(object) + object->inline_len, 0, more);
	object->inline_len = (uint16_t)(len & 0xfff);
	return true;
}

/* A new object with the old bytes, zeros up to `len`, and room for more if it is growing. */
static struct object *edit_anew(struct shard *shard, struct object *old, struct slice name, size_t len)
{
	char scratch[STRING_SCRATCH];
	struct slice bytes = old ? string_value(old, scratch) : S("");
	int64_t expires_ms = old ? expiry_of(old) : EXPIRES_NEVER;
	if (len <= EDIT_INLINE_MAX) {
		unsigned shape = shape_for(FORM_INLINE, name, expires_ms != EXPIRES_NEVER);
		struct object *object = object_new(shard, OBJECT_STRING, shape, name, len, expires_ms);
		memcpy(object_inline(object), bytes.ptr, bytes.len);
		memset(object_inline(object) + bytes.len, 0, len - bytes.len);
		return object;
	}
	struct object *object =
	        object_new(shard, OBJECT_STRING, shape_for(FORM_BLOCK, name, true), name, 0, expires_ms);
	struct block *block = string_block(object);
	*block = block_new(shard, old && len > bytes.len ? len + len / 4 : len);
	memcpy(block->ptr, bytes.ptr, bytes.len);
	block->len = bytes.len;
	block_extend(block, len, true);
	return object;
}

uint8_t *string_edit(struct shard *shard, const struct key *key, size_t size)
{
	struct place place;
	struct object *old = place_find(shard, key, &place), *object = old;
	assert(!old || old->type == OBJECT_STRING);
	bool was_backed = old && old->backed;
	size_t len = old ? string_length(old) : 0;
	if (size > len)
		len = size;
	if (!old || !edit_in_place(shard, old, len))
		object = edit_anew(shard, old, key->name, len);
	object->encoding = EDITED;
	place_put(shard, key, &place, old, expiry_of(object), object);
	if (unlikely(was_backed) && shard->journal && !shard->recovering)
		journal_note_whole(shard->journal);
	return object_form(object) == FORM_BLOCK ? string_block(object)->ptr : object_inline(object);
}

/* ---- the row ------------------------------------------------------------------------ */

static const char *encoding(const struct object *object)
{
	if (object_form(object) == FORM_INTEGER)
		return "int";
	return object->encoding == AS_GIVEN && string_length(object) <= EMBSTR_MAX ? "embstr" : "raw";
}

static size_t memory(const struct object *object)
{
	return object_form(object) == FORM_BLOCK ? string_block(object)->cap : 0;
}

static void free_value(struct shard *shard, struct object *object)
{
	if (object_form(object) == FORM_BLOCK)
		block_give(shard, string_block(object));
}

static size_t chillable(const struct object *object)
{
	return object_form(object) == FORM_INTEGER ? 0 : string_length(object);
}

/* What follows the type in the packed form. */
enum packed { PACKED_INTEGER, PACKED_BYTES, PACKED_EDITED, PACKED_FORMS };

static struct slice pack(const struct object *object, struct buf *out)
{
	if (object_form(object) == FORM_INTEGER) {
		buf_byte(out, PACKED_INTEGER);
		return slice_of(object_fixed(object), sizeof(int64_t));
	}
	buf_byte(out, object->encoding == EDITED ? PACKED_EDITED : PACKED_BYTES);
	return string_value(object, NULL);
}

size_t object_packed_short(const struct object *object)
{
	if (object->type != OBJECT_STRING || object_form(object) > FORM_INTEGER)
		return 0;
	return 2 + (object_form(object) == FORM_INLINE ? object->inline_len : sizeof(int64_t));
}

void object_pack_short(const struct object *object, uint8_t *to)
{
	to[0] = OBJECT_STRING;
	if (object_form(object) == FORM_INLINE) {
		to[1] = object->encoding == EDITED ? PACKED_EDITED : PACKED_BYTES;
		copy_short(to + 2, object_inline(object), object->inline_len);
	} else {
		to[1] = PACKED_INTEGER;
		memcpy(to + 2, object_fixed(object), sizeof(int64_t));
	}
}

static enum err unpack(struct shard *shard, const struct key *key, enum object_type type, struct slice packed,
                       int64_t expires_ms)
{
	if (packed.len == 0 || packed.ptr[0] >= PACKED_FORMS)
		return ERR_SYNTAX;
	struct slice value = slice_sub(packed, 1, packed.len);
	if (packed.ptr[0] != PACKED_INTEGER) {
		string_put_bytes(shard, key, value, expires_ms, packed.ptr[0] == PACKED_EDITED);
		return OK;
	}
	int64_t integer;
	if (value.len != sizeof(integer))
		return ERR_SYNTAX;
	memcpy(&integer, value.ptr, sizeof(integer));
	string_put_integer(shard, key, integer, expires_ms);
	return OK;
}

static struct object *warm(struct shard *shard, const struct object *cold, struct slice packed)
{
	struct cold_pointer pointer;
	if (!object_pointer(cold, &pointer) || packed.len == 0 || packed.len - 1 != pointer.length ||
	    (packed.ptr[0] != PACKED_BYTES && packed.ptr[0] != PACKED_EDITED))
		return NULL;
	struct slice name = key_of(cold), value = slice_sub(packed, 1, packed.len);
	int64_t expires_ms = expiry_of(cold);
	enum object_form form = value.len <= OBJECT_INLINE_MAX ? FORM_INLINE : FORM_BLOCK;
	struct object *object =
	        object_new_backed(shard, OBJECT_STRING, shape_for(form, name, expires_ms != EXPIRES_NEVER), name,
	                          form == FORM_INLINE ? value.len : 0, expires_ms, &pointer);
	if (form == FORM_BLOCK)
		block_for(shard, NULL, object, value.len);
	memcpy(form == FORM_BLOCK ? string_block(object)->ptr : object_inline(object), value.ptr, value.len);
	object->encoding = packed.ptr[0] == PACKED_EDITED ? EDITED : AS_GIVEN;
	object->access = cold->access;
	return object;
}

const struct object_kind string_kind = {
        .name = "string",
        .encoding = encoding,
        .memory = memory,
        .free = free_value,
        .pack = pack,
        .chillable = chillable,
        .unpack = unpack,
        .warm = warm,
};
