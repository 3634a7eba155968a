#include "protocols/bench/replies.h"

/* Longer strings and bigger aggregates are no answers to anything the generator asks. */
static const uint64_t number_max = 1ull << 40;

/* One value is whole; true when the reply is. */
static bool value_done(struct replies *r)
{
	if (--r->values > 0)
		return false;
	if (!r->pushed)
		return true;
	r->pushed = false;
	return false;
}

/* An element list: the values that come take the place of the one they make up. */
static bool values_open(struct replies *r, uint64_t more)
{
	r->values += more;
	return value_done(r);
}

static void keep_error_byte(struct replies *r, uint8_t c)
{
	if (r->errors == 0 && r->error_len < REPLIES_ERROR_MAX)
		r->error[r->error_len++] = (char)c;
}

/* The line has ended: true when that completes a reply. */
static bool line_done(struct replies *r)
{
	uint8_t type = r->type;
	r->type = 0;
	switch (type) {
	case '+':
	case ':':
	case ',':
	case '(':
	case '#':
		return value_done(r);
	case '_':
		r->nulls++;
		return value_done(r);
	case '-':
		r->errors++;
		return value_done(r);
	case '$':
	case '=':
	case '!':
		if (r->negative) {
			r->nulls++;
			return value_done(r);
		}
		r->errors += type == '!';
		r->skip = r->number + 2;
		return false;
	case '*':
	case '~':
	case '>':
		if (r->negative) {
			r->nulls++;
			return value_done(r);
		}
		return values_open(r, r->number);
	case '%':
		return values_open(r, r->number * 2);
	case '|': /* stands before a value, instead of none */
		r->values += r->number * 2;
		return false;
	default:
		r->broken = true;
		return false;
	}
}

static bool has_number(uint8_t type)
{
	switch (type) {
	case '$':
	case '=':
	case '!':
	case '*':
	case '~':
	case '>':
	case '%':
	case '|':
		return true;
	default:
		return false;
	}
}

static void number_byte(struct replies *r, uint8_t c)
{
	if (c == '-' && r->number == 0 && !r->negative)
		r->negative = true;
	else if (c >= '0' && c <= '9' && r->number < number_max)
		r->number = r->number * 10 + (c - '0');
	else if (c != '\r')
		r->broken = true;
}

static void line_open(struct replies *r, uint8_t type)
{
	r->type = type;
	r->number = 0;
	r->negative = false;
	if (r->values > 0)
		return;
	r->values = 1;
	r->pushed = type == '>';
}

/* Reads on in the open line; returns where it stopped: behind the line's end, or `end`. */
static const uint8_t *line_read(struct replies *r, const uint8_t *at, const uint8_t *end, bool *ended)
{
	bool number = has_number(r->type), error = r->type == '-';
	for (; at < end; at++) {
		if (*at == '\n') {
			*ended = true;
			return at + 1;
		}
		if (number)
			number_byte(r, *at);
		else if (error && *at != '\r')
			keep_error_byte(r, *at);
	}
	*ended = false;
	return end;
}

/* Nearly all of what comes: a top-level string of up to 9,999 bytes, wholly there. Returns
 * its size, or 0 for what needs a closer look. */
static size_t whole_string(const uint8_t *at, size_t left)
{
	if (left < 8 || at[0] != '$')
		return 0;
	size_t number = 0, i = 1;
	for (; i < 5 && at[i] != '\r'; i++) {
		uint32_t digit = (uint32_t)at[i] - '0';
		if (digit > 9)
			return 0;
		number = number * 10 + digit;
	}
	if (i == 1 || at[i] != '\r')
		return 0;
	size_t size = i + 2 + number + 2;
	return size <= left ? size : 0;
}

static size_t whole_ok(const uint8_t *at, size_t left) { return left >= 5 && memcmp(at, "+OK\r\n", 5) == 0 ? 5 : 0; }

uint64_t replies_count(struct replies *r, struct slice bytes)
{
	const uint8_t *at = bytes.ptr, *end = at + bytes.len;
	uint64_t n = 0;
	while (at < end && !r->broken) {
		if (r->skip > 0) {
			uint64_t here = (uint64_t)(end - at) < r->skip ? (uint64_t)(end - at) : r->skip;
			r->skip -= here;
			at += here;
			if (r->skip == 0)
				n += value_done(r);
			continue;
		}
		if (r->type == 0 && r->values == 0) {
			size_t size = whole_string(at, (size_t)(end - at));
			if (size == 0)
				size = whole_ok(at, (size_t)(end - at));
			if (size > 0) {
				at += size;
				n++;
				continue;
			}
		}
		if (r->type == 0)
			line_open(r, *at++);
		bool ended;
		at = line_read(r, at, end, &ended);
		if (ended && !r->broken)
			n += line_done(r);
	}
	return n;
}
