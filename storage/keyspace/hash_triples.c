/* Small hashes with fields that expire: one block, in the order of times. */
#include "engine/base/buf.h"
#include "storage/keyspace/hash_private.h"

enum { TIME_NONE_SIZE = 2, TIME_SIZE_MAX = 10 };

/* ---- reading -------------------------------------------------------------------------- */

static const uint8_t *time_at(const uint8_t *at) { return packed_skip(packed_skip(at)); }

int64_t triple_time(const uint8_t *at)
{
	struct packed_element time;
	(void)packed_read(time_at(at), &time);
	return time.integer;
}

const uint8_t *triple_read(const uint8_t *at, struct hash_pair *out)
{
	struct packed_element time;
	at = packed_read(packed_read(packed_read(at, &out->field), &out->value), &time);
	out->expires_ms = time_told(time.integer);
	return at;
}

static const uint8_t *triple_end(const uint8_t *at) { return packed_skip(time_at(at)); }

const uint8_t *triples_living(const struct object *object, int64_t now_ms, uint32_t most, uint32_t *out_n)
{
	struct slice block = body_slice(object);
	const uint8_t *at = block.ptr;
	for (*out_n = 0; *out_n < most && at != block.ptr + block.len && time_is_past(triple_time(at), now_ms);
	     (*out_n)++)
		at = triple_end(at);
	return at;
}

int64_t triples_last(const struct object *object)
{
	struct slice block = body_slice(object);
	struct packed_element time;
	if (block.len == 0)
		return 0;
	(void)packed_read(packed_back(block.ptr + block.len), &time);
	return time.integer;
}

/* ---- changing ------------------------------------------------------------------------- */

size_t triples_size(const struct body *pairs)
{
	return pairs->len + (size_t)pairs->count * TIME_NONE_SIZE + TIME_SIZE_MAX;
}

void triples_make(struct shard *shard, struct object *object)
{
	struct body *body = body_of(object), pairs = *body;
	const uint8_t *at = pairs.ptr, *end = at + pairs.len;
	*body = (struct body){.version = pairs.version, .count = pairs.count};
	object->encoding = ENCODING_TIMED;
	uint8_t *to = body_splice(shard, object, 0, 0, pairs.len + (size_t)pairs.count * TIME_NONE_SIZE);
	while (at != end) {
		const uint8_t *next = time_at(at);
		memcpy(to, at, (size_t)(next - at));
		to = packed_write_integer(to + (next - at), 0);
		at = next;
	}
	body_give(shard, &pairs);
}

/* Where a triple of this time goes: behind its equals, but those that do not expire come last. */
static size_t place_of(const struct object *object, int64_t time_ms)
{
	struct slice block = body_slice(object);
	const uint8_t *at = block.ptr, *end = at + block.len;
	if (time_ms == 0)
		return block.len;
	for (int64_t other; at != end && (other = triple_time(at)) != 0 && other <= time_ms;)
		at = triple_end(at);
	return (size_t)(at - block.ptr);
}

static void take_out(struct shard *shard, struct object *object, uint32_t at)
{
	const uint8_t *from = (const uint8_t *)body_of(object)->ptr + at;
	(void)body_splice(shard, object, at, (size_t)(triple_end(from) - from), 0);
}

void triples_put(struct shard *shard, struct object *object, uint32_t at, bool there, const struct packed_sought *field,
                 const struct packed_sought *value, int64_t time_ms)
{
	const uint8_t *from = (const uint8_t *)body_of(object)->ptr + at;
	if (there && triple_time(from) == time_ms) {
		const uint8_t *old = packed_skip(from);
		size_t value_at = at + (size_t)(old - from), size = (size_t)(packed_skip(old) - old);
		(void)packed_sought_write(body_splice(shard, object, value_at, size, packed_sought_size(value)), value);
		return;
	}
	if (there)
		take_out(shard, object, at);
	size_t size = pair_size(field, value) + packed_size_integer(time_ms);
	uint8_t *to = body_splice(shard, object, place_of(object, time_ms), 0, size);
	(void)packed_write_integer(pair_write(to, field, value), time_ms);
	body_of(object)->count += !there;
}

void triples_retime(struct shard *shard, struct object *object, uint32_t at, int64_t time_ms)
{
	cleanup(buf_fini) struct buf pair = {0};
	const uint8_t *from = (const uint8_t *)body_of(object)->ptr + at;
	buf_append(&pair, slice_of(from, (size_t)(time_at(from) - from)));
	take_out(shard, object, at);
	size_t size = pair.len + packed_size_integer(time_ms);
	uint8_t *to = body_splice(shard, object, place_of(object, time_ms), 0, size);
	memcpy(to, pair.ptr, pair.len);
	(void)packed_write_integer(to + pair.len, time_ms);
}

/* ---- bytes that may be anything ---------------------------------------------------------- */

bool triples_check(struct slice bytes, uint32_t *out_count)
{
	uint32_t n;
	int64_t last_ms = 0;
	if (!packed_check(bytes, &n) || n % TRIPLE != 0)
		return false;
	const uint8_t *end = bytes.ptr + bytes.len;
	for (const uint8_t *at = bytes.ptr; at != end; at = triple_end(at)) {
		struct packed_element time;
		(void)packed_read(time_at(at), &time);
		bool first = at == bytes.ptr, in_order = time.integer == 0 || (time.integer >= last_ms && last_ms != 0);
		if (time.bytes.ptr || time.integer < 0 || time.integer > HASH_EXPIRES_MAX || (!first && !in_order))
			return false;
		last_ms = time.integer;
	}
	*out_count = n / TRIPLE;
	return true;
}
