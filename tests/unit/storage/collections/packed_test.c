/* Packed elements: the bytes that Redis writes, both directions of walking, and what is refused. */
#include "storage/collections/packed.h"

#include "engine/base/buf.h"
#include "engine/base/number.h"
#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static struct slice packed_of(struct buf *out, struct slice value)
{
	uint8_t *at = buf_reserve(out, packed_size(value));
	size_t n = (size_t)(packed_write(at, value) - at);
	cr_assert_eq(n, packed_size(value));
	out->len += n;
	return slice_of(at, n);
}

/* From RPUSH of one element and OBJECT ENCODING listpack, as DUMP of redis-server 7.0 shows it. */
Test(packed, has_the_bytes_of_a_listpack)
{
	static const struct {
		const char *value;
		const char *bytes;
		size_t len;
	} known[] = {
	        {"0", "\x00\x01", 2},
	        {"127", "\x7f\x01", 2},
	        {"128", "\xc0\x80\x02", 3},
	        {"-1", "\xdf\xff\x02", 3},
	        {"4095", "\xcf\xff\x02", 3},
	        {"-4096", "\xd0\x00\x02", 3},
	        {"4096", "\xf1\x00\x10\x03", 4},
	        {"-32768", "\xf1\x00\x80\x03", 4},
	        {"32768", "\xf2\x00\x80\x00\x04", 5},
	        {"8388608", "\xf3\x00\x00\x80\x00\x05", 6},
	        {"2147483648", "\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09", 10},
	        {"", "\x80\x01", 2},
	        {"a",
	         "\x81"
	         "a\x02",
	         3},
	        {"007",
	         "\x83"
	         "007\x04",
	         5},
	};
	for (size_t i = 0; i < array_len(known); i++) {
		struct buf out = {0};
		struct slice bytes = packed_of(&out, slice_from_str(known[i].value));
		cr_assert(slice_equal(bytes, slice_of(known[i].bytes, known[i].len)), "%s", known[i].value);
		buf_fini(&out);
	}
}

static uint64_t random_state = 1;

static uint32_t roll(uint32_t sides)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 32) * sides >> 32);
}

enum { ELEMENTS = 400 };

static struct slice any_value(char *room)
{
	static const size_t lengths[] = {0, 1, 20, 62, 63, 64, 126, 127, 128, 4094, 4095, 4096, 16376, 16385};
	if (roll(2))
		return slice_of(
		        room, integer_format((int64_t)((uint64_t)roll(UINT32_MAX) << 32 | roll(UINT32_MAX)) >> roll(64),
		                             room));
	size_t len = lengths[roll(roll(8) ? 9 : 14)];
	for (size_t i = 0; i < len; i++)
		room[i] = (char)('a' + roll(26));
	return slice_of(room, len);
}

Test(packed, is_read_forwards_and_backwards)
{
	static char room[ELEMENTS][17000];
	struct slice values[ELEMENTS];
	char scratch[PACKED_SCRATCH];
	struct packed_element element;
	for (int round = 0; round < 20; round++) {
		struct buf all = {0};
		for (int i = 0; i < ELEMENTS; i++)
			(void)packed_of(&all, values[i] = any_value(room[i]));
		uint32_t n;
		cr_assert(packed_check(buf_slice(&all), &n));
		cr_assert_eq(n, ELEMENTS);
		const uint8_t *at = all.ptr;
		for (int i = 0; i < ELEMENTS; i++) {
			cr_assert_eq(packed_at(buf_slice(&all), ELEMENTS, (uint32_t)i), at);
			cr_assert_eq(packed_skip(at), packed_read(at, &element));
			at = packed_read(at, &element);
			cr_assert(slice_equal(packed_text(&element, scratch), values[i]));
		}
		cr_assert_eq(at, all.ptr + all.len);
		for (int i = ELEMENTS; i-- > 0;) {
			at = packed_back(at);
			struct packed_sought sought = packed_seek(values[i]);
			(void)packed_read(at, &element);
			cr_assert(packed_equals(&element, &sought));
		}
		cr_assert_eq(at, all.ptr);
		struct packed_sought last = packed_seek(values[ELEMENTS - 1]);
		const uint8_t *found = packed_find(all.ptr, all.ptr + all.len, &last, 3);
		cr_assert(found);
		buf_fini(&all);
	}
}

/* A few small integers and short texts, and texts that have the bytes of such elements in them. */
static struct slice any_lookalike(uint8_t *room)
{
	struct buf inner = {0};
	char digits[INTEGER_TEXT_MAX];
	size_t len = 0;
	if (roll(3) == 0) {
		len = integer_format((int64_t)roll(6) << 7 * roll(4), digits);
		memcpy(room, digits, len);
		return slice_of(room, len);
	}
	for (uint32_t n = roll(4); n > 0; n--) {
		size_t size = integer_format((int64_t)roll(6) << 7 * roll(4), digits);
		if (roll(2))
			digits[0] = 'a';
		(void)packed_of(&inner, slice_of(digits, size));
	}
	len = inner.len;
	if (len)
		memcpy(room, inner.ptr, len);
	while (roll(4) == 0 && len < 80)
		room[len++] = 'a';
	buf_fini(&inner);
	return slice_of(room, len);
}

static const uint8_t *find_by_reading(struct slice packed, const struct packed_sought *sought, unsigned step)
{
	const uint8_t *at = packed.ptr, *end = at + packed.len;
	for (unsigned i = 0; at != end; i++) {
		struct packed_element element;
		const uint8_t *next = packed_read(at, &element);
		if (i % step == 0 && packed_equals(&element, sought))
			return at;
		at = next;
	}
	return NULL;
}

/* What only looks like the sought one, inside of others or between the steps, is not found. */
Test(packed, finds_what_reading_finds)
{
	uint8_t room[256];
	for (int round = 0; round < 20000; round++) {
		struct buf all = {0};
		(void)buf_reserve(&all, 1);
		for (uint32_t n = roll(40); n > 0; n--)
			(void)packed_of(&all, any_lookalike(room));
		struct packed_sought sought = packed_seek(any_lookalike(room));
		unsigned step = 1 + roll(3);
		const uint8_t *found = packed_find(all.ptr, all.ptr + all.len, &sought, step);
		cr_assert_eq(found, find_by_reading(buf_slice(&all), &sought, step));
		buf_fini(&all);
	}
}

/* Whatever is changed: it is refused, or all of it can be read within its bounds. */
Test(packed, stays_within_hostile_bytes)
{
	static char room[17000];
	for (int round = 0; round < 20000; round++) {
		struct buf all = {0};
		for (uint32_t n = 1 + roll(6); n > 0; n--)
			(void)packed_of(&all, any_value(room));
		for (uint32_t n = 1 + roll(3); n > 0; n--)
			all.ptr[roll((uint32_t)all.len)] = (uint8_t)roll(256);
		size_t len = roll(4) ? all.len : roll((uint32_t)all.len);
		uint8_t *exact = memory_alloc(len + 1); /* a sanitizer sees its end */
		memcpy(exact, all.ptr, len);
		uint32_t count, seen = 0;
		if (packed_check(slice_of(exact, len), &count)) {
			struct packed_element element;
			const uint8_t *at = exact;
			for (; at < exact + len; seen++)
				at = packed_read(at, &element);
			cr_assert_eq(at, exact + len);
			cr_assert_eq(seen, count);
			while (at > exact)
				at = packed_back(at);
			cr_assert_eq(at, exact);
		}
		memory_free(exact);
		buf_fini(&all);
	}
}

Test(packed, refuses_an_integer_as_text)
{
	uint32_t n;
	cr_assert(!packed_check(S("\x81"
	                          "7\x02"),
	                        &n));
	cr_assert(packed_check(S("\x82"
	                         "07\x03"),
	                       &n));
}

Test(packed, refuses_a_longer_head_than_the_value_needs)
{
	uint32_t n;
	cr_assert(packed_check(S("\x05\x01"), &n));
	cr_assert(!packed_check(S("\xc0\x05\x02"), &n));
	cr_assert(!packed_check(S("\xf1\x05\x00\x03"), &n));
	cr_assert(!packed_check(S("\xf4\x05\x00\x00\x00\x00\x00\x00\x00\x09"), &n));
	cr_assert(packed_check(S("\x81"
	                         "a\x02"),
	                       &n));
	cr_assert(!packed_check(S("\xe0\x01"
	                          "a\x03"),
	                        &n));
	cr_assert(!packed_check(S("\xf0\x01\x00\x00\x00"
	                          "a\x06"),
	                        &n));
}
