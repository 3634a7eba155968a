/* packed.h -- elements one behind the other, as small as they can be.
 *
 * What      Each element is a byte string or a 64-bit integer; text that is an integer in its only decimal form is
 *           kept as one. The bytes of an element are those of Redis' listpack, so that DUMP and RESTORE copy
 *           them: head and content, then the length of both, readable backwards.
 *           A sequence of elements has no header and no end mark: its length is kept outside.
 * Safety    packed_check() is asked once of bytes from outside; all other calls trust them.
 * Source    Sanfilippo, "Listpack", the specification in Redis' sources (listpack.md).
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKED_OVERHEAD_MAX = 10, /* bytes of an element besides a string's own */
	PACKED_SCRATCH = 24,
};

/* What an element says. */
struct packed_element {
	struct slice bytes; /* in the sequence itself; ptr NULL: it is the integer */
	int64_t integer;
};

/* Bytes that an element takes. */
size_t packed_size(struct slice value);
size_t packed_size_integer(int64_t value);

/* Writes it; where the next goes. */
uint8_t *packed_write(uint8_t *to, struct slice value);
uint8_t *packed_write_integer(uint8_t *to, int64_t value);

/* Reads the element at `at`; where the next begins. */
const uint8_t *packed_read(const uint8_t *at, struct packed_element *out);
const uint8_t *packed_skip(const uint8_t *at);

/* The element before `at`, which is not the first. */
const uint8_t *packed_back(const uint8_t *at);

/* The text of an element: its bytes, or an integer's digits in `scratch`. */
struct slice packed_text(const struct packed_element *element, char scratch[PACKED_SCRATCH]);

/* A value to look for, looked at once. */
struct packed_sought {
	struct slice text;
	bool is_integer;
	int64_t integer;
};
struct packed_sought packed_seek(struct slice text);
/* The value of another element: in its sequence still. */
static inline struct packed_sought packed_seek_element(const struct packed_element *element)
{
	return (struct packed_sought){element->bytes, !element->bytes.ptr, element->integer};
}
bool packed_equals(const struct packed_element *element, const struct packed_sought *sought);

/* As packed_size() and packed_write(). */
static inline size_t packed_sought_size(const struct packed_sought *sought)
{
	return sought->is_integer ? packed_size_integer(sought->integer) : packed_size(sought->text);
}

static inline uint8_t *packed_sought_write(uint8_t *to, const struct packed_sought *sought)
{
	return sought->is_integer ? packed_write_integer(to, sought->integer) : packed_write(to, sought->text);
}

/* The first of elements number 0, `step`, 2 * `step` ... from `from` on that equals; NULL: none. */
const uint8_t *packed_find(const uint8_t *from, const uint8_t *end, const struct packed_sought *sought, unsigned step);

/* The first byte of element `at`, which may be the end: counted from whichever end is nearer. */
const uint8_t *packed_at(struct slice packed, uint32_t count, uint32_t at);

/* Are these bytes elements and nothing else, each in the one form that packed_write() gives it or another form that
 * Redis writes? How many. Hostile bytes are fine. */
bool packed_check(struct slice packed, uint32_t *out) must_check;

/* Do they begin with one? Its size. */
bool packed_check_first(struct slice bytes, size_t *out) must_check;
