/* slice.h -- bytes with a length, borrowed.
 *
 * No NUL-terminated string survives past the edge of the program: names, keys,
 * values and paths are slices, and whoever keeps one says whose memory it is.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *ptr;
	size_t len;
};

/* From a string literal only: sizeof knows its length, "" rejects pointers. */
#define S(lit) ((struct slice){(const uint8_t *)("" lit), sizeof(lit) - 1})

static inline struct slice slice_of(const void *ptr, size_t len)
{
	return (struct slice){ptr, len};
}

static inline struct slice slice_from_str(const char *str)
{
	return slice_of(str, strlen(str));
}

static inline struct slice slice_sub(struct slice s, size_t from, size_t to)
{
	assert(from <= to);
	assert(to <= s.len);
	return slice_of(s.ptr + from, to - from);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* By bytes; what another begins with comes before it. */
static inline int slice_compare(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Copies `size` bytes off the front; false: there are not so many, and they stay. */
static inline bool slice_take(struct slice *from, void *out, size_t size)
{
	if (from->len < size)
		return false;
	memcpy(out, from->ptr, size);
	*from = slice_sub(*from, size, from->len);
	return true;
}

/* ASCII letters only, as protocol words are. */
static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* -1: it is none. */
static inline int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	return true;
}
