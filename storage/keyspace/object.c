#include "engine/memory/slab.h"
#include "storage/keyspace/access_private.h"
#include "storage/keyspace/keyspace_private.h"
#include "storage/tier/tier.h"

static const struct object_kind *const object_kinds[OBJECT_TYPES] = {
        [OBJECT_STRING] = &string_kind,
        [OBJECT_LIST] = &list_kind,
        [OBJECT_SET] = &set_kind,
        [OBJECT_ZSET] = &zset_kind,
        [OBJECT_HASH] = &hash_kind,
        [OBJECT_STREAM] = &stream_kind,
};
static const struct object_kind *kind_of(const struct object *object) { return object_kinds[object->type]; }

const struct object_kind *object_kind(unsigned type) { return type < OBJECT_TYPES ? object_kinds[type] : NULL; }

/* ---- memory ------------------------------------------------------------------------- */

void *value_take(struct shard *shard, size_t size)
{
	shard->counters.objects_bytes += slab_size(size);
	return slab_take(shard->slab, size);
}

void value_give(struct shard *shard, void *block, size_t size)
{
	shard->counters.objects_bytes -= slab_size(size);
	slab_give(shard->slab, block, size);
}

static void copy(void *to, const void *from, size_t len)
{
	if (len)
		memcpy(to, from, len);
}

static struct object *object_make(struct shard *shard, enum object_type type, unsigned shape, struct slice name,
                                  size_t inline_len, size_t behind, int64_t expires_ms)
{
	assert(inline_len <= OBJECT_INLINE_MAX);
	struct object *object = value_take(shard, shape_key_at(shape) + name.len + inline_len + behind);
	bool is_long = shape & SHAPE_LONG_KEY;
	*object = (struct object){.shape = (uint16_t)(shape & (SHAPES - 1)),
	                          .inline_len = (uint16_t)(inline_len & 0xfff),
	                          .type = type & 15,
	                          .key_len = is_long ? KEY_LONG : (uint8_t)name.len,
	                          .access = access_first(shard)};
	if (shape & SHAPE_EXPIRES)
		*object_expiry(object) = expires_ms;
	if (is_long)
		object_expiry(object)[shape & SHAPE_EXPIRES ? 1 : 0] = (int64_t)name.len;
	copy((uint8_t *)object + shape_key_at(shape), name.ptr, name.len);
	return object;
}

struct object *object_new(struct shard *shard, enum object_type type, unsigned shape, struct slice name,
                          size_t inline_len, int64_t expires_ms)
{
	return object_make(shard, type, shape, name, inline_len, 0, expires_ms);
}

/* ---- pointers ----------------------------------------------------------------------- */

static void cold_count(struct shard *shard, const struct cold_pointer *pointer, uint64_t n)
{
	shard->counters.cold_keys += n;
	shard->counters.cold_bytes += n * pointer->length;
}

static void pointer_set(struct shard *shard, struct object *object, const struct cold_pointer *pointer)
{
	memcpy(object_pointer_at(object), pointer, sizeof(*pointer));
	if (object_form(object) == FORM_COLD)
		cold_count(shard, pointer, 1);
	if (shard->tier)
		tier_retain(shard->tier, pointer);
}

static void pointer_drop(struct shard *shard, const struct object *object)
{
	struct cold_pointer pointer;
	if (likely(!object_pointer(object, &pointer)))
		return;
	if (object_form(object) == FORM_COLD)
		cold_count(shard, &pointer, (uint64_t)-1);
	if (shard->tier)
		tier_release(shard->tier, &pointer);
}

void object_repoint(struct shard *shard, struct object *object, const struct cold_pointer *pointer)
{
	pointer_drop(shard, object);
	pointer_set(shard, object, pointer);
}

bool object_is_lent(const struct object *object) { return object->lent; }
bool object_is_cold(const struct object *object) { return object_form(object) == FORM_COLD; }

bool object_pointer(const struct object *object, struct cold_pointer *out)
{
	if (likely(object_form(object) != FORM_COLD && !object->backed))
		return false;
	memcpy(out, object_pointer_at(object), sizeof(*out));
	return out->size > 0;
}

bool object_unback(struct shard *shard, struct object *object)
{
	static const struct cold_pointer none;
	struct cold_pointer pointer;
	assert(object_form(object) != FORM_COLD);
	if (likely(!object_pointer(object, &pointer)))
		return false;
	pointer_drop(shard, object);
	memcpy(object_pointer_at(object), &none, sizeof(none));
	return true;
}

struct object *object_new_backed(struct shard *shard, enum object_type type, unsigned shape, struct slice name,
                                 size_t inline_len, int64_t expires_ms, const struct cold_pointer *pointer)
{
	struct object *object = object_make(shard, type, shape, name, inline_len, sizeof(*pointer), expires_ms);
	object->backed = 1;
	pointer_set(shard, object, pointer);
	return object;
}

struct object *object_new_cold(struct shard *shard, enum object_type type, struct slice name, int64_t expires_ms,
                               const struct cold_pointer *pointer)
{
	unsigned shape = shape_for(FORM_COLD, name, expires_ms != EXPIRES_NEVER);
	struct object *object = object_make(shard, type, shape, name, 0, 0, expires_ms);
	pointer_set(shard, object, pointer);
	return object;
}

/* ---- other shapes ------------------------------------------------------------------- */

struct object *object_reshape(struct shard *shard, const struct object *object, struct slice name, int64_t expires_ms,
                              bool keep)
{
	unsigned shape = shape_for(object_form(object), name, expires_ms != EXPIRES_NEVER);
	struct cold_pointer pointer;
	bool points = object_pointer(object, &pointer), is_cold = object_form(object) == FORM_COLD;
	bool is_backed = keep && points && !is_cold;
	assert(keep || !is_cold);
	struct object *fresh = object_make(shard, object->type, shape, name, object->inline_len,
	                                   is_backed ? sizeof(pointer) : 0, expires_ms);
	fresh->encoding = object->encoding;
	fresh->access = object->access;
	fresh->backed = is_backed;
	/* The fixed part ends where the key begins. */
	copy(object_fixed(fresh), object_fixed(object), (size_t)(key_of(object).ptr - (uint8_t *)object_fixed(object)));
	copy(object_inline(fresh), object_inline(object), object->inline_len);
	if (points && keep)
		pointer_set(shard, fresh, &pointer);
	return fresh;
}

void object_free_shell(struct shard *shard, struct object *object)
{
	pointer_drop(shard, object);
	value_give(shard, object, object_size(object));
}

void object_discard(struct shard *shard, struct object *object)
{
	if (unlikely(object->lent) && loans_orphan(&shard->tables->loans, object))
		return;
	if (object_form(object) != FORM_COLD)
		kind_of(object)->free(shard, object);
	object_free_shell(shard, object);
}

/* ---- the public face ---------------------------------------------------------------- */

enum object_type object_type(const struct object *object) { return object->type; }
struct slice object_key(const struct object *object) { return key_of(object); }
int64_t object_expires_ms(const struct object *object) { return expiry_of(object); }
const char *object_encoding(const struct object *object) { return kind_of(object)->encoding(object); }
size_t object_chillable(const struct object *object) { return kind_of(object)->chillable(object); }

struct object *object_warm(struct shard *shard, const struct object *cold, struct slice packed)
{
	if (packed.len == 0 || packed.ptr[0] != cold->type)
		return NULL;
	return kind_of(cold)->warm(shard, cold, slice_sub(packed, 1, packed.len));
}

const char *object_type_name(enum object_type type)
{
	assert(type < OBJECT_TYPES);
	return object_kinds[type]->name;
}

size_t object_memory(const struct object *object)
{
	size_t own = slab_size(object_size(object));
	return object_form(object) == FORM_COLD ? own : own + kind_of(object)->memory(object);
}

void object_pack(const struct object *object, struct buf *out) { buf_append(out, object_pack_parts(object, out)); }

/* A pointer in packed form: the type with this bit, then what follows. */
enum { PACKED_POINTER = 0x80, PACKED_POINTER_SIZE = 1 + offsetof(struct cold_pointer, lost) };

static void pack_pointer(const struct object *object, const struct cold_pointer *pointer, struct buf *out)
{
	buf_byte(out, object->type | PACKED_POINTER);
	buf_append(out, slice_of(pointer, PACKED_POINTER_SIZE - 1));
}

struct slice object_pack_parts(const struct object *object, struct buf *out)
{
	struct cold_pointer pointer;
	if (unlikely(object_form(object) == FORM_COLD) && object_pointer(object, &pointer)) {
		pack_pointer(object, &pointer, out);
		return S("");
	}
	buf_byte(out, object->type);
	return kind_of(object)->pack(object, out);
}

struct slice object_pack_kept(const struct object *object, struct buf *out)
{
	struct cold_pointer pointer;
	if (likely(!object_pointer(object, &pointer)))
		return object_pack_parts(object, out);
	pack_pointer(object, &pointer, out);
	return S("");
}

bool packed_pointer(struct slice packed, struct cold_pointer *out)
{
	if (packed.len != PACKED_POINTER_SIZE || !(packed.ptr[0] & PACKED_POINTER) ||
	    !object_kind(packed.ptr[0] & ~PACKED_POINTER))
		return false;
	struct cold_pointer pointer = {0};
	memcpy(&pointer, packed.ptr + 1, PACKED_POINTER_SIZE - 1);
	if (!tier_may_point(&pointer))
		return false;
	*out = pointer;
	return true;
}

enum err object_unpack(struct shard *shard, const struct key *key, struct slice packed, int64_t expires_ms)
{
	struct cold_pointer pointer;
	if (unlikely(packed_pointer(packed, &pointer))) {
		keyspace_put_cold(shard, key, (enum object_type)(packed.ptr[0] & ~PACKED_POINTER), expires_ms,
		                  &pointer);
		return OK;
	}
	if (packed.len == 0 || !object_kind(packed.ptr[0]))
		return ERR_SYNTAX;
	enum object_type type = packed.ptr[0];
	return object_kinds[type]->unpack(shard, key, type, slice_sub(packed, 1, packed.len), expires_ms);
}

/* ---- access ------------------------------------------------------------------------- */

static uint32_t minute_of(int64_t now_ms) { return (uint32_t)(now_ms / MINUTE_MS) & 0xffffff; }

uint32_t access_first(const struct shard *shard)
{
	return policy_is_lfu(shard->policy) ? minute_of(shard->now_ms) << 8 | LFU_START : access_tick(shard->now_ms);
}

unsigned access_frequency(const struct shard *shard, const struct object *object)
{
	uint32_t minutes = (minute_of(shard->now_ms) - (object->access >> 8)) & 0xffffff,
	         counter = object->access & 0xff;
	return minutes < counter ? counter - minutes : 0;
}

void access_count(struct shard *shard, struct object *object)
{
	unsigned counter = access_frequency(shard, object);
	unsigned above = counter > LFU_START ? counter - LFU_START : 0;
	if (counter < 255 && shard_random(shard) % (above * LFU_LOG_FACTOR + 1) == 0)
		counter++;
	object->access = minute_of(shard->now_ms) << 8 | counter;
}

uint32_t access_idle_ticks(const struct shard *shard, const struct object *object)
{
	uint32_t ticks = (access_tick(shard->now_ms) - object->access) & ACCESS_TICKS;
	return ticks > ACCESS_TICKS - BACK_TICKS ? 0 : ticks;
}

uint32_t access_age(const struct shard *shard, const struct object *object)
{
	uint32_t ticks = access_idle_ticks(shard, object);
	return object->access & (uint32_t)ACCESS_AGAIN ? ticks / 4 : ticks;
}

uint64_t object_idle_s(struct shard *shard, const struct object *object)
{
	return policy_is_lfu(shard->policy) ? 0 : (uint64_t)access_idle_ticks(shard, object) * TICK_MS / 1000;
}

unsigned object_frequency(struct shard *shard, const struct object *object) { return access_frequency(shard, object); }

void object_set_use(struct shard *shard, struct object *object, int64_t idle_s, int64_t frequency)
{
	const int64_t idle_max_s = (int64_t)(ACCESS_TICKS - BACK_TICKS) * TICK_MS / 1000;
	if (policy_is_lfu(shard->policy)) {
		if (frequency >= 0)
			object->access = minute_of(shard->now_ms) << 8 | (uint32_t)(frequency < 255 ? frequency : 255);
		return;
	}
	if (idle_s < 0)
		return;
	int64_t idle_ms = (idle_s < idle_max_s ? idle_s : idle_max_s) * 1000;
	uint32_t ticks = (uint32_t)((idle_ms + TICK_MS - 1) / TICK_MS);
	object->access = (access_tick(shard->now_ms) - ticks) & ACCESS_TICKS;
}
