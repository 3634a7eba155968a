#include "storage/collections/packed.h"

#include "engine/base/copy.h"
#include "engine/base/number.h"
#include "kernels/bytes.h"
#include "kernels/text/find_text.h"

#include <string.h>

/* The first byte of an element. */
enum {
	HEAD_UINT7 = 0x00,
	HEAD_STRING6 = 0x80,
	HEAD_INT13 = 0xc0,
	HEAD_STRING12 = 0xe0,
	HEAD_STRING32 = 0xf0,
	HEAD_INT16 = 0xf1,
	HEAD_INT24 = 0xf2,
	HEAD_INT32 = 0xf3,
	HEAD_INT64 = 0xf4,
};

enum { STRING6_MAX = 63, STRING12_MAX = 4095 };

/* ---- the length behind an element ----------------------------------------------------- */

/* Redis takes one byte more from 16383 and 2097151 on, and not from one later: so do we. */
static inline size_t back_size(size_t len)
{
	if (likely(len <= 127))
		return 1;
	return len < 16383 ? 2 : len < 2097151 ? 3 : len < 268435455 ? 4 : 5;
}

static uint8_t *back_write(uint8_t *to, size_t len)
{
	size_t n = back_size(len);
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)((len >> 7 * (n - 1 - i) & 127) | (i ? 128 : 0));
	return to + n;
}

/* ---- heads ---------------------------------------------------------------------------- */

static inline size_t string_head_size(size_t len) { return len <= STRING6_MAX ? 1 : len <= STRING12_MAX ? 2 : 5; }

/* Bytes of head and content; 0: no such head. `have` bytes may be looked at. */
static inline size_t body_size(const uint8_t *at, size_t have)
{
	uint8_t head = at[0];
	if (!(head & 0x80))
		return 1;
	if ((head & 0xc0) == HEAD_STRING6)
		return 1 + (head & 63u);
	if ((head & 0xe0) == HEAD_INT13)
		return 2;
	if ((head & 0xf0) == HEAD_STRING12)
		return have < 2 ? 0 : 2 + ((head & 15u) << 8 | at[1]);
	switch (head) {
	case HEAD_STRING32:
		return have < 5 ? 0 : 5 + (size_t)load_u32(at + 1);
	case HEAD_INT16:
		return 3;
	case HEAD_INT24:
		return 4;
	case HEAD_INT32:
		return 5;
	case HEAD_INT64:
		return 9;
	}
	return 0;
}

static inline size_t body_size_sound(const uint8_t *at) { return body_size(at, 5); }

static size_t integer_body_size(int64_t value)
{
	if (value >= 0 && value <= 127)
		return 1;
	if (value >= -4096 && value <= 4095)
		return 2;
	if (value == (int16_t)value)
		return 3;
	if (value >= -(1 << 23) && value < 1 << 23)
		return 4;
	return value == (int32_t)value ? 5 : 9;
}

/* ---- writing -------------------------------------------------------------------------- */

static bool as_integer(struct slice value, int64_t *out)
{
	return value.len <= INTEGER_TEXT_MAX && integer_parse(value, out);
}

size_t packed_size_integer(int64_t value) { return integer_body_size(value) + 1; }

size_t packed_size(struct slice value)
{
	int64_t integer;
	if (as_integer(value, &integer))
		return packed_size_integer(integer);
	size_t body = string_head_size(value.len) + value.len;
	return body + back_size(body);
}

uint8_t *packed_write_integer(uint8_t *to, int64_t value)
{
	uint64_t bits = (uint64_t)value;
	size_t size = integer_body_size(value);
	static const uint8_t heads[] = {[3] = HEAD_INT16, [4] = HEAD_INT24, [5] = HEAD_INT32, [9] = HEAD_INT64};
	if (size == 1) {
		to[0] = (uint8_t)bits;
	} else if (size == 2) {
		to[0] = (uint8_t)(HEAD_INT13 | (bits >> 8 & 31));
		to[1] = (uint8_t)bits;
	} else {
		to[0] = heads[size];
		memcpy(to + 1, &bits, size - 1);
	}
	to[size] = (uint8_t)size;
	return to + size + 1;
}

static uint8_t *string_head_write(uint8_t *to, size_t len)
{
	if (len <= STRING6_MAX) {
		*to = (uint8_t)(HEAD_STRING6 | len);
	} else if (len <= STRING12_MAX) {
		to[0] = (uint8_t)(HEAD_STRING12 | len >> 8);
		to[1] = (uint8_t)len;
	} else {
		uint32_t len32 = (uint32_t)len;
		*to = HEAD_STRING32;
		memcpy(to + 1, &len32, sizeof(len32));
	}
	return to + string_head_size(len);
}

uint8_t *packed_write(uint8_t *to, struct slice value)
{
	int64_t integer;
	if (as_integer(value, &integer))
		return packed_write_integer(to, integer);
	assert(value.len <= UINT32_MAX);
	uint8_t *at = string_head_write(to, value.len);
	if (value.len)
		memcpy(at, value.ptr, value.len);
	at += value.len;
	return back_write(at, (size_t)(at - to));
}

/* ---- reading -------------------------------------------------------------------------- */

/* The size of an element whose head says it all; 0: it does not. Walks are as quick as this is. */
#define FOUR(n)    (n), (n) + 1, (n) + 2, (n) + 3
#define SIXTEEN(n) FOUR(n), FOUR((n) + 4), FOUR((n) + 8), FOUR((n) + 12)
static const uint8_t sizes[256] = {
        [0 ... HEAD_STRING6 - 1] = 2,
        [HEAD_STRING6] = SIXTEEN(2),
        SIXTEEN(18),
        SIXTEEN(34),
        SIXTEEN(50),
        [HEAD_INT13... HEAD_STRING12 - 1] = 3,
        [HEAD_INT16] = 4,
        [HEAD_INT24] = 5,
        [HEAD_INT32] = 6,
        [HEAD_INT64] = 10,
};

static inline const uint8_t *skip(const uint8_t *at)
{
	size_t size = sizes[*at];
	if (likely(size))
		return at + size;
	size_t body = body_size_sound(at);
	return at + body + back_size(body);
}

const uint8_t *packed_skip(const uint8_t *at) { return skip(at); }

/* Of one that fits no shorter head. */
static int64_t wide_integer(const uint8_t *at)
{
	switch (at[0]) {
	case HEAD_INT16:
		return (int16_t)load_u16(at + 1);
	case HEAD_INT24:
		return (int32_t)((uint32_t)load_u16(at + 1) << 8 | (uint32_t)at[3] << 24) >> 8;
	case HEAD_INT32:
		return (int32_t)load_u32(at + 1);
	}
	return (int64_t)load_u64(at + 1);
}

const uint8_t *packed_read(const uint8_t *at, struct packed_element *out)
{
	uint8_t head = at[0];
	size_t body = body_size_sound(at);
	out->bytes = slice_of(NULL, 0);
	out->integer = 0;
	if (!(head & 0x80))
		out->integer = head;
	else if ((head & 0xc0) == HEAD_STRING6)
		out->bytes = slice_of(at + 1, body - 1);
	else if ((head & 0xe0) == HEAD_INT13)
		out->integer = (int64_t)((uint64_t)((head & 31u) << 8 | at[1]) << 51) >> 51;
	else if ((head & 0xf0) == HEAD_STRING12)
		out->bytes = slice_of(at + 2, body - 2);
	else if (head == HEAD_STRING32)
		out->bytes = slice_of(at + 5, body - 5);
	else
		out->integer = wide_integer(at);
	return at + body + back_size(body);
}

const uint8_t *packed_back(const uint8_t *at)
{
	size_t len = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = *--at;
		len |= (size_t)(byte & 127) << shift;
		if (!(byte & 128))
			return at - len;
	}
}

struct slice packed_text(const struct packed_element *element, char scratch[PACKED_SCRATCH])
{
	if (element->bytes.ptr)
		return element->bytes;
	return slice_of(scratch, integer_format(element->integer, scratch));
}

const uint8_t *packed_at(struct slice packed, uint32_t count, uint32_t at)
{
	assert(at <= count);
	const uint8_t *place = packed.ptr;
	if (at < count - at) {
		while (at-- > 0)
			place = packed_skip(place);
		return place;
	}
	place += packed.len;
	for (; at < count; at++)
		place = packed_back(place);
	return place;
}

/* ---- looking for one ------------------------------------------------------------------ */

struct packed_sought packed_seek(struct slice text)
{
	struct packed_sought sought = {.text = text};
	sought.is_integer = as_integer(text, &sought.integer);
	return sought;
}

bool packed_equals(const struct packed_element *element, const struct packed_sought *sought)
{
	if (element->bytes.ptr)
		return !sought->is_integer && slice_equal(element->bytes, sought->text);
	return sought->is_integer && element->integer == sought->integer;
}

static inline const uint8_t *skip_step(const uint8_t *at, const uint8_t *end, unsigned step)
{
	at = skip(at);
	for (unsigned i = 1; i < step && at != end; i++)
		at = skip(at);
	return at;
}

static const uint8_t *find_long(const uint8_t *from, const uint8_t *end, const struct packed_sought *sought,
                                unsigned step)
{
	for (; from != end; from = skip_step(from, end, step)) {
		struct packed_element element;
		(void)packed_read(from, &element);
		if (packed_equals(&element, sought))
			return from;
	}
	return NULL;
}

/* A short element as it is written, without the length at its end: what lies before that differs more. But a head
 * alone is too little to look for. */
static size_t element_write(const struct packed_sought *sought, uint8_t element[STRING6_MAX + 2])
{
	const uint8_t *end;
	if (sought->is_integer) {
		end = packed_write_integer(element, sought->integer);
	} else {
		uint8_t *text = string_head_write(element, sought->text.len);
		copy_short(text, sought->text.ptr, sought->text.len);
		end = back_write(text + sought->text.len, 1 + sought->text.len);
	}
	size_t size = (size_t)(end - element);
	return size > 2 ? size - 1 : size;
}

/* Its bytes are looked for wherever they lie, and elements walked through only up to where they do: those of one that
 * is not there are found nowhere, mostly. */
static inline __attribute__((always_inline)) const uint8_t *
find_short(const uint8_t *at, const uint8_t *end, const uint8_t *element, size_t size, unsigned step)
{
	for (;;) {
		const uint8_t *found = at + find_text(at, (size_t)(end - at), element, size);
		if (found == end)
			return NULL;
		while (at < found)
			at = skip_step(at, end, step);
		if (at == found)
			return at;
	}
}

const uint8_t *packed_find(const uint8_t *from, const uint8_t *end, const struct packed_sought *sought, unsigned step)
{
	uint8_t element[STRING6_MAX + 2];
	if (!sought->is_integer && sought->text.len > STRING6_MAX)
		return find_long(from, end, sought, step);
	size_t size = element_write(sought, element);
	/* Pairs are looked through most, and quicker by a step that is a constant. */
	return step == 2 ? find_short(from, end, element, size, 2) : find_short(from, end, element, size, step);
}

/* ---- hostile bytes -------------------------------------------------------------------- */

/* Has it the head and the form that its value is written with? Elements are looked for by these: in any other it would
 * not be found, and could be there twice. */
static bool has_own_form(const struct packed_element *element, size_t body)
{
	int64_t integer;
	if (!element->bytes.ptr)
		return body == integer_body_size(element->integer);
	return body == string_head_size(element->bytes.len) + element->bytes.len &&
	       !as_integer(element->bytes, &integer);
}

static bool element_sound(const uint8_t *at, size_t have, size_t *out)
{
	size_t body = have ? body_size(at, have) : 0;
	if (body == 0 || body >= have)
		return false;
	size_t back = back_size(body);
	uint8_t expected[5];
	back_write(expected, body);
	if (have - body < back || memcmp(at + body, expected, back) != 0)
		return false;
	struct packed_element element;
	(void)packed_read(at, &element);
	*out = body + back;
	return has_own_form(&element, body);
}

bool packed_check_first(struct slice bytes, size_t *out) { return element_sound(bytes.ptr, bytes.len, out); }

bool packed_check(struct slice packed, uint32_t *out)
{
	uint32_t n = 0;
	for (size_t at = 0, size; at < packed.len; at += size, n++)
		if (n == UINT32_MAX || !element_sound(packed.ptr + at, packed.len - at, &size))
			return false;
	*out = n;
	return true;
}
