/* dump_forms.c -- listpacks and ziplists, in which payloads hold small collections and blocks of lists.
 *
 *   listpack   bytes of all 4 | elements 2 (65535: count them) | elements, packed.h | 0xff
 *   ziplist    bytes of all 4 | offset of the last element 4 | elements 2 (65535: count them) | elements | 0xff
 *   element    bytes of the element before 1, or 0xfe and 4 | head, and what it calls for
 *
 * All low byte first, but for the lengths in heads.
 */
#include "kernels/bytes.h"
#include "query/commands/dump_private.h"
#include "storage/collections/packed.h"

enum {
	LISTPACK_HEAD = 6,
	ZIPLIST_HEAD = 10,
	END = 0xff,
	COUNT_UNKNOWN = 0xffff,
	BEFORE_LONG = 0xfe,
};

static void put_packed(struct buf *out, struct slice value)
{
	uint8_t *at = buf_reserve(out, packed_size(value));
	out->len += (size_t)(packed_write(at, value) - at);
}

static void put_packed_integer(struct buf *out, int64_t value)
{
	uint8_t *at = buf_reserve(out, packed_size_integer(value));
	out->len += (size_t)(packed_write_integer(at, value) - at);
}

bool dump_take_element(struct slice *in, struct buf *packed)
{
	cleanup(buf_fini) struct buf room = {0};
	struct slice value;
	if (!dump_take_string(in, &room, &value))
		return false;
	put_packed(packed, value);
	return true;
}

/* ---- listpacks ------------------------------------------------------------------------ */

void dump_put_listpack(struct buf *out, struct slice packed, uint32_t count)
{
	cleanup(buf_fini) struct buf listpack = {0};
	uint32_t size = (uint32_t)(LISTPACK_HEAD + packed.len + 1);
	uint16_t number = count < COUNT_UNKNOWN ? (uint16_t)count : COUNT_UNKNOWN;
	buf_append(&listpack, slice_of(&size, sizeof(size)));
	buf_append(&listpack, slice_of(&number, sizeof(number)));
	buf_append(&listpack, packed);
	buf_byte(&listpack, END);
	dump_put_string(out, buf_slice(&listpack));
}

bool dump_take_listpack(struct slice *in, struct buf *packed)
{
	cleanup(buf_fini) struct buf room = {0};
	struct slice listpack;
	uint32_t count;
	if (!dump_take_string(in, &room, &listpack) || listpack.len <= LISTPACK_HEAD)
		return false;
	uint16_t number = load_u16(listpack.ptr + 4);
	struct slice elements = slice_sub(listpack, LISTPACK_HEAD, listpack.len - 1);
	if (load_u32(listpack.ptr) != listpack.len || listpack.ptr[listpack.len - 1] != END ||
	    !packed_check(elements, &count) || (number != COUNT_UNKNOWN && number != count))
		return false;
	buf_append(packed, elements);
	return true;
}

/* ---- ziplists ------------------------------------------------------------------------- */

enum {
	HEAD_INT16 = 0xc0,
	HEAD_INT32 = 0xd0,
	HEAD_INT64 = 0xe0,
	HEAD_INT24 = 0xf0,
	HEAD_INT8 = 0xfe,
	HEAD_TINY = 0xf1, /* to 0xfd: 0 to 12 */
};

static bool take_ziplist_integer(struct slice *in, uint8_t head, struct buf *packed)
{
	int n_bytes = head == HEAD_INT8    ? 1
	              : head == HEAD_INT16 ? 2
	              : head == HEAD_INT24 ? 3
	              : head == HEAD_INT32 ? 4
	              : head == HEAD_INT64 ? 8
	                                   : 0;
	uint64_t bits;
	if (n_bytes == 0 && (head < HEAD_TINY || head >= HEAD_INT8))
		return false;
	if (n_bytes == 0) {
		put_packed_integer(packed, head - HEAD_TINY);
		return true;
	}
	if (!dump_take_number(in, n_bytes, false, &bits))
		return false;
	int shift = 64 - 8 * n_bytes;
	put_packed_integer(packed, (int64_t)(bits << shift) >> shift);
	return true;
}

static bool take_ziplist_value(struct slice *in, struct buf *packed)
{
	uint64_t head, len, low;
	struct slice value;
	if (!dump_take_number(in, 1, true, &head))
		return false;
	switch (head >> 6) {
	case 0:
		len = head;
		break;
	case 1:
		if (!dump_take_number(in, 1, true, &low))
			return false;
		len = (head & 0x3f) << 8 | low;
		break;
	case 2:
		if (!dump_take_number(in, 4, true, &len))
			return false;
		break;
	default:
		return take_ziplist_integer(in, (uint8_t)head, packed);
	}
	if (!dump_take_bytes(in, len, &value))
		return false;
	put_packed(packed, value);
	return true;
}

/* Its length counted from the element before, as it says itself. */
static bool take_before(struct slice *in, uint64_t expected)
{
	uint64_t before;
	if (!dump_take_number(in, 1, true, &before))
		return false;
	if (before == BEFORE_LONG && !dump_take_number(in, 4, false, &before))
		return false;
	return before == expected;
}

bool dump_take_ziplist(struct slice *in, struct buf *packed)
{
	cleanup(buf_fini) struct buf room = {0};
	struct slice ziplist;
	if (!dump_take_string(in, &room, &ziplist) || ziplist.len <= ZIPLIST_HEAD)
		return false;
	struct slice left = slice_sub(ziplist, ZIPLIST_HEAD, ziplist.len - 1);
	uint64_t before = 0, count = 0, last = ZIPLIST_HEAD;
	for (; left.len > 0; count++) {
		size_t len = left.len;
		last = ziplist.len - 1 - len;
		if (!take_before(&left, before) || !take_ziplist_value(&left, packed))
			return false;
		before = len - left.len;
	}
	uint16_t number = load_u16(ziplist.ptr + 8);
	return load_u32(ziplist.ptr) == ziplist.len && load_u32(ziplist.ptr + 4) == last &&
	       ziplist.ptr[ziplist.len - 1] == END && (number == COUNT_UNKNOWN || number == count);
}
