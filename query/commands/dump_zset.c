/* dump_zset.c -- sorted sets in payloads of DUMP: a block of ours is a listpack there, a tree its elements. */
#include "engine/base/number.h"
#include "kernels/bytes.h"
#include "query/commands/dump_private.h"
#include "storage/keyspace/zset.h"

#include <math.h>

/* In place of the length of a score's text, in the oldest form. */
enum { TEXT_NAN = 253, TEXT_INFINITY = 254, TEXT_LESS_INFINITY = 255 };

/* Redis says the last first, since it puts them back at the front then. */
static void put_elements(const struct object *zset, struct buf *out)
{
	struct zset_walk walk;
	struct zset_element element;
	char scratch[PACKED_SCRATCH];
	uint64_t count = collection_count(zset);
	buf_byte(out, DUMP_ZSET_2);
	dump_put_length(out, count);
	zset_walk(zset, count, &walk);
	while (zset_prev(&walk, &element)) {
		dump_put_string(out, packed_text(&element.member, scratch));
		buf_append(out, slice_of(&element.score, sizeof(element.score)));
	}
}

void dump_zset(const struct object *zset, struct buf *out)
{
	struct slice block;
	if (!zset_block(zset, &block)) {
		put_elements(zset, out);
		return;
	}
	buf_byte(out, DUMP_ZSET_LISTPACK);
	dump_put_listpack(out, block, 2 * (uint32_t)collection_count(zset));
}

/* ---- reading: elements are kept as score 8 | length 4 | member ----------------------------- */

static void keep(struct buf *elements, double score, struct slice member)
{
	uint32_t len = (uint32_t)member.len;
	buf_append(elements, slice_of(&score, sizeof(score)));
	buf_append(elements, slice_of(&len, sizeof(len)));
	buf_append(elements, member);
}

static bool take_text_score(struct slice *in, double *out)
{
	uint64_t len;
	struct slice text;
	if (!dump_take_number(in, 1, true, &len) || len == TEXT_NAN)
		return false;
	if (len >= TEXT_INFINITY) {
		*out = len == TEXT_INFINITY ? INFINITY : -INFINITY;
		return true;
	}
	return dump_take_bytes(in, len, &text) && real_parse_double(text, out);
}

static bool take_binary_score(struct slice *in, double *out)
{
	struct slice bytes;
	if (!dump_take_bytes(in, sizeof(*out), &bytes))
		return false;
	memcpy(out, bytes.ptr, sizeof(*out));
	return !isnan(*out);
}

static bool take_elements(enum dump_type type, struct slice *in, struct buf *elements)
{
	uint64_t n;
	if (!dump_take_length(in, &n))
		return false;
	for (; n > 0; n--) {
		cleanup(buf_fini) struct buf room = {0};
		struct slice member;
		double score;
		if (!dump_take_string(in, &room, &member) ||
		    !(type == DUMP_ZSET ? take_text_score(in, &score) : take_binary_score(in, &score)))
			return false;
		keep(elements, score, member);
	}
	return true;
}

static bool take_pairs(enum dump_type type, struct slice *in, struct buf *elements)
{
	cleanup(buf_fini) struct buf packed = {0};
	if (!(type == DUMP_ZSET_LISTPACK ? dump_take_listpack(in, &packed) : dump_take_ziplist(in, &packed)))
		return false;
	const uint8_t *at = packed.ptr, *end = packed.ptr + packed.len;
	while (at != end) {
		struct packed_element member, number;
		char member_scratch[PACKED_SCRATCH], scratch[PACKED_SCRATCH];
		double score;
		at = packed_read(at, &member);
		if (at == end)
			return false;
		at = packed_read(at, &number);
		if (!real_parse_double(packed_text(&number, scratch), &score))
			return false;
		keep(elements, score, packed_text(&member, member_scratch));
	}
	return true;
}

bool restore_zset_read(enum dump_type type, struct slice *in, struct buf *elements)
{
	bool taken = type == DUMP_ZSET || type == DUMP_ZSET_2 ? take_elements(type, in, elements)
	                                                      : take_pairs(type, in, elements);
	return taken && elements->len > 0;
}

/* NULL: a member is there twice. */
struct object *restore_zset_put(struct exec *exec, struct slice elements, int64_t expires_ms)
{
	struct collection zset = collection_apart(exec->shard, &exec->first, OBJECT_ZSET);
	while (elements.len > 0) {
		double score;
		uint32_t len = load_u32(elements.ptr + sizeof(score));
		memcpy(&score, elements.ptr, sizeof(score));
		size_t head = sizeof(score) + sizeof(len);
		struct slice member = slice_sub(elements, head, head + len);
		if (zset_put(&zset, member, score, ZSET_IF_ABSENT, &score) != ZSET_ADDED) {
			collection_drop(&zset);
			return NULL;
		}
		elements = slice_sub(elements, head + len, elements.len);
	}
	(void)collection_put(&zset, expires_ms);
	return keyspace_find(exec->shard, &exec->first, FIND_QUIET);
}
