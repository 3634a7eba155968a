#include "protocols/resp/render.h"

#include "engine/base/copy.h"
#include "engine/base/number.h"

/* Longest type byte, number and line end. */
enum { HEADER_MAX = 1 + INTEGER_TEXT_MAX + 2 };

static inline uint8_t *room(struct reply *reply, size_t more)
{
	struct buf *out = reply->out;
	return likely(out->cap - out->len >= more) ? out->ptr + out->len : buf_reserve(out, more);
}

/* The room taken is written up to `end`. */
static inline void wrote(struct reply *reply, const uint8_t *end) { reply->out->len = (size_t)(end - reply->out->ptr); }

static inline uint8_t *put_line_end(uint8_t *at)
{
	memcpy(at, "\r\n", 2);
	return at + 2;
}

static inline uint8_t *put_bytes(uint8_t *at, struct slice bytes)
{
	if (bytes.len > 0)
		memcpy(at, bytes.ptr, bytes.len);
	return at + bytes.len;
}

/* ":12\r\n": most numbers in replies are small. Whether they have one digit or two is no branch. */
static inline uint8_t *put_number(uint8_t *at, char type, int64_t value)
{
	*at++ = (uint8_t)type;
	if (likely(value >= 0 && value < 100)) {
		*at = (uint8_t)('0' + value / 10);
		at += value >= 10;
		*at++ = (uint8_t)('0' + value % 10);
	} else {
		at += integer_format(value, (char *)at);
	}
	return put_line_end(at);
}

static inline void say_number(struct reply *reply, char type, int64_t value)
{
	wrote(reply, put_number(room(reply, HEADER_MAX), type, value));
}

/* A type byte, text and a line end. */
static inline void say_line(struct reply *reply, char type, struct slice text)
{
	uint8_t *at = room(reply, text.len + 3);
	*at++ = (uint8_t)type;
	wrote(reply, put_line_end(put_bytes(at, text)));
}

static inline void say_literal(struct reply *reply, struct slice text)
{
	wrote(reply, put_bytes(room(reply, text.len), text));
}

/* ---- the same in both ---------------------------------------------------------------- */

static void say_simple(struct reply *reply, struct slice text) { say_line(reply, '+', text); }
static void say_error(struct reply *reply, struct slice text) { say_line(reply, '-', text); }
static void say_integer(struct reply *reply, int64_t value) { say_number(reply, ':', value); }
static void say_array(struct reply *reply, size_t n) { say_number(reply, '*', (int64_t)n); }

static void say_bulk(struct reply *reply, struct slice bytes)
{
	uint8_t *at = put_number(room(reply, HEADER_MAX + bytes.len + 2), '$', (int64_t)bytes.len);
	copy_short(at, bytes.ptr, bytes.len);
	wrote(reply, put_line_end(at + bytes.len));
}

static void say_lent(struct reply *reply, struct loan loan)
{
	if (!reply->loans) {
		say_bulk(reply, loan.bytes);
		return;
	}
	uint8_t *at = put_number(room(reply, HEADER_MAX + 2), '$', (int64_t)loan.bytes.len);
	loan.at = (size_t)(at - reply->out->ptr);
	wrote(reply, put_line_end(at));
	buf_append(reply->loans, slice_of(&loan, sizeof(loan)));
}

/* ---- RESP2: what it has no words for comes as bulk strings and flat arrays ------------ */

static void say2_null(struct reply *reply) { say_literal(reply, S("$-1\r\n")); }
static void say2_null_array(struct reply *reply) { say_literal(reply, S("*-1\r\n")); }
static void say2_boolean(struct reply *reply, bool value) { say_number(reply, ':', value); }
static void say2_map(struct reply *reply, size_t n_pairs) { say_array(reply, 2 * n_pairs); }

static void say2_real(struct reply *reply, double value)
{
	char text[32];
	reply_bulk(reply, slice_of(text, real_format_17(value, text)));
}

static void say2_verbatim(struct reply *reply, const char format[4], struct slice bytes) { say_bulk(reply, bytes); }

static void say2_attribute(struct reply *reply, size_t n_pairs)
{
	assert(!"attributes are for clients that speak RESP3");
}

const struct reply_ops resp2_ops = {
        .null = say2_null,
        .null_array = say2_null_array,
        .simple = say_simple,
        .error = say_error,
        .integer = say_integer,
        .real = say2_real,
        .boolean = say2_boolean,
        .bulk = say_bulk,
        .verbatim = say2_verbatim,
        .big_number = say_bulk,
        .array = say_array,
        .map = say2_map,
        .set = say_array,
        .push = say_array,
        .attribute = say2_attribute,
        .lent = say_lent,
};

/* ---- RESP3 ---------------------------------------------------------------------------- */

static void say3_null(struct reply *reply) { say_literal(reply, S("_\r\n")); }
static void say3_boolean(struct reply *reply, bool value) { say_literal(reply, value ? S("#t\r\n") : S("#f\r\n")); }
static void say3_big_number(struct reply *reply, struct slice digits) { say_line(reply, '(', digits); }
static void say3_decimal(struct reply *reply, struct slice digits) { say_line(reply, ',', digits); }
static void say3_map(struct reply *reply, size_t n_pairs) { say_number(reply, '%', (int64_t)n_pairs); }
static void say3_set(struct reply *reply, size_t n) { say_number(reply, '~', (int64_t)n); }
static void say3_push(struct reply *reply, size_t n) { say_number(reply, '>', (int64_t)n); }
static void say3_attribute(struct reply *reply, size_t n_pairs) { say_number(reply, '|', (int64_t)n_pairs); }

static void say3_real(struct reply *reply, double value)
{
	char text[32];
	say_line(reply, ',', slice_of(text, real_format_17(value, text)));
}

static void say3_verbatim(struct reply *reply, const char format[4], struct slice bytes)
{
	uint8_t *at = put_number(room(reply, HEADER_MAX + 4 + bytes.len + 2), '=', (int64_t)bytes.len + 4);
	memcpy(at, format, 3);
	at[3] = ':';
	wrote(reply, put_line_end(put_bytes(at + 4, bytes)));
}

const struct reply_ops resp3_ops = {
        .null = say3_null,
        .null_array = say3_null,
        .simple = say_simple,
        .error = say_error,
        .integer = say_integer,
        .real = say3_real,
        .boolean = say3_boolean,
        .bulk = say_bulk,
        .verbatim = say3_verbatim,
        .big_number = say3_big_number,
        .array = say_array,
        .map = say3_map,
        .set = say3_set,
        .push = say3_push,
        .attribute = say3_attribute,
        .lent = say_lent,
        .decimal = say3_decimal,
};
