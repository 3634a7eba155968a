#include "protocols/resp/parse.h"

#include "engine/base/number.h"
#include "kernels/text/resp_scan.h"

#include <limits.h>
#include <stdio.h>

enum {
	HEADER_LOOK = 6,          /* bytes a short header reads, and the fewest any argument takes: "$0\r\n\r\n" */
	SHORT_MAX = 999,          /* what a short header can say */
	ROOM_KEPT_MAX = 4 * 1024, /* what a parser at rest may hold of each buffer */
};

/* Lengths beyond this are "invalid" even to a client that may not send much yet. */
static const int64_t bulk_longest = 512 * 1024 * 1024;

static enum resp_parsed broken(struct resp_parser *parser, const char *error)
{
	parser->error = error;
	return RESP_BROKEN;
}

/* ---- whole commands ---------------------------------------------------------------- */

/* The number of a header of one to three digits; the byte after its CR is taken for LF
 * unseen, as Redis does. Returns the header's size, or 0 for what needs a closer look.
 * Branches on the digits' count are foretold well: commands repeat their shapes. */
static inline uint32_t short_header(const uint8_t *p, uint32_t *out)
{
	uint32_t a = (uint32_t)p[1] - '0';
	if (a > 9)
		return 0;
	if (p[2] == '\r') {
		*out = a;
		return 4;
	}
	uint32_t b = (uint32_t)p[2] - '0';
	if (b > 9 || a == 0)
		return 0;
	if (p[3] == '\r') {
		*out = a * 10 + b;
		return 5;
	}
	uint32_t c = (uint32_t)p[3] - '0';
	if (c > 9 || p[4] != '\r')
		return 0;
	*out = a * 100 + b * 10 + c;
	return 6;
}

/* The same for up to nine digits, at the edge of a window too. */
static uint32_t long_header(const uint8_t *p, size_t n, uint32_t *out)
{
	if (n < 2 || p[1] < '0' || p[1] > '9')
		return 0;
	uint32_t value = 0;
	for (uint32_t i = 1; i < n && i <= 10; i++) {
		uint32_t digit = (uint32_t)p[i] - '0';
		if (digit > 9) {
			if (p[i] != '\r' || i + 2 > n || (p[1] == '0' && i > 2))
				return 0;
			*out = value;
			return i + 2;
		}
		if (i == 10)
			return 0;
		value = value * 10 + digit;
	}
	return 0;
}

/* A multi-bulk command that is there as a whole and not in the least odd: its size, or 0. */
static inline size_t parse_whole(const struct resp_limits *limits, struct slice window, struct slice *args,
                                 uint32_t room, uint32_t *n)
{
	const uint8_t *p = window.ptr;
	size_t left = window.len;
	uint32_t count;
	if (left < 4 + HEADER_LOOK || p[0] != '*')
		return 0;
	uint32_t header = short_header(p, &count);
	if (header == 0 || count == 0 || count > room || count > limits->arguments_max)
		return 0;
	if (unlikely(limits->bulk_max < SHORT_MAX))
		return 0;
	p += header;
	left -= header;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t len;
		if (left < HEADER_LOOK || *p != '$')
			return 0;
		header = short_header(p, &len);
		if (unlikely(header == 0)) {
			header = long_header(p, left, &len);
			if (header == 0 || len > limits->bulk_max)
				return 0;
		}
		size_t whole = (size_t)header + len + 2;
		if (left < whole)
			return 0;
		args[i] = slice_of(p + header, len);
		p += whole;
		left -= whole;
	}
	*n = count;
	return window.len - left;
}

/* ---- lines ------------------------------------------------------------------------- */

enum line { LINE_WHOLE, LINE_PARTIAL, LINE_TOO_LONG };

/* Looks for `end` in the line that begins at parser->at, and goes on where the last look
 * stopped. A NUL hides all that follows it until the line is too long, as in Redis, whose
 * search stops there. */
static enum line find_line(struct resp_parser *parser, const struct resp_limits *limits, struct slice window,
                           uint8_t end, size_t *out)
{
	const uint8_t *line = window.ptr + parser->at;
	size_t len = window.len - parser->at;
	size_t most = (size_t)limits->inline_max + 1;
	size_t to = len < most ? len : most;
	size_t from = parser->scanned;
	if (from < to && line[from] != '\0') {
		size_t found = from + find_byte(line + from, to - from, end);
		size_t nul = from + find_byte(line + from, found - from, '\0');
		parser->scanned = nul;
		if (found < to && nul == found) {
			*out = found;
			return LINE_WHOLE;
		}
	}
	return len >= most ? LINE_TOO_LONG : LINE_PARTIAL;
}

/* The number of the header line at parser->at, which is whole and ends before `end`. */
static bool header_number(const struct resp_parser *parser, struct slice window, size_t end, int64_t *out)
{
	return integer_parse(slice_sub(window, parser->at + 1, parser->at + end), out);
}

static void line_taken(struct resp_parser *parser, size_t len)
{
	parser->at += len;
	parser->scanned = 0;
}

/* ---- multi-bulk, a step at a time --------------------------------------------------- */

static enum resp_parsed take_count(struct resp_parser *parser, const struct resp_limits *limits, struct slice window)
{
	size_t end;
	enum line line = find_line(parser, limits, window, '\r', &end);
	if (line == LINE_TOO_LONG)
		return broken(parser, "Protocol error: too big mbulk count string");
	if (line == LINE_PARTIAL || parser->at + end + 2 > window.len)
		return RESP_PARTIAL;
	int64_t count;
	if (!header_number(parser, window, end, &count) || count > INT_MAX)
		return broken(parser, "Protocol error: invalid multibulk length");
	if (count > limits->arguments_max)
		return broken(parser, limits->authenticated ? "Protocol error: invalid multibulk length"
		                                            : "Protocol error: unauthenticated multibulk length");
	line_taken(parser, end + 2);
	if (count <= 0)
		return RESP_NOTHING;
	parser->arguments_left = count;
	parser->bulk_left = -1;
	return RESP_COMMAND;
}

static enum resp_parsed expected_bulk(struct resp_parser *parser, uint8_t got)
{
	if (got == '\r' || got == '\n')
		got = ' ';
	snprintf(parser->error_room, sizeof(parser->error_room), "Protocol error: expected '$', got '%c'", got);
	return broken(parser, parser->error_room);
}

static enum resp_parsed take_length(struct resp_parser *parser, const struct resp_limits *limits, struct slice window)
{
	const uint8_t *header = window.ptr + parser->at;
	uint32_t len;
	if (window.len - parser->at >= HEADER_LOOK && *header == '$') {
		uint32_t size = short_header(header, &len);
		if (size > 0 && len <= limits->bulk_max) {
			line_taken(parser, size);
			parser->bulk_left = len;
			return RESP_COMMAND;
		}
	}
	size_t end;
	enum line line = find_line(parser, limits, window, '\r', &end);
	if (line == LINE_TOO_LONG)
		return broken(parser, "Protocol error: too big bulk count string");
	if (line == LINE_PARTIAL || parser->at + end + 2 > window.len)
		return RESP_PARTIAL;
	if (*header != '$')
		return expected_bulk(parser, *header);
	int64_t length;
	if (!header_number(parser, window, end, &length) || length < 0 || length > UINT32_MAX)
		return broken(parser, "Protocol error: invalid bulk length");
	if ((uint64_t)length > limits->bulk_max)
		return broken(parser, limits->authenticated || length > bulk_longest
		                              ? "Protocol error: invalid bulk length"
		                              : "Protocol error: unauthenticated bulk length");
	line_taken(parser, end + 2);
	parser->bulk_left = length;
	return RESP_COMMAND;
}

static void add_place(struct resp_parser *parser, uint64_t at, size_t len, bool unquoted)
{
	struct resp_place *place = (struct resp_place *)buf_reserve(&parser->places, sizeof(*place));
	*place = (struct resp_place){.at = at, .len = (uint32_t)len, .unquoted = unquoted};
	parser->places.len += sizeof(*place);
}

/* Takes what is there of the arguments; RESP_COMMAND when none is missing. */
static enum resp_parsed take_arguments(struct resp_parser *parser, const struct resp_limits *limits,
                                       struct slice window)
{
	while (parser->arguments_left > 0) {
		if (parser->bulk_left < 0) {
			enum resp_parsed length = take_length(parser, limits, window);
			if (length != RESP_COMMAND)
				return length;
		}
		/* Nobody looks at the two bytes after the argument; Redis does not either. */
		if (window.len - parser->at < (uint64_t)parser->bulk_left + 2)
			return RESP_PARTIAL;
		add_place(parser, parser->at, (size_t)parser->bulk_left, false);
		parser->at += (uint64_t)parser->bulk_left + 2;
		parser->bulk_left = -1;
		parser->arguments_left--;
	}
	return RESP_COMMAND;
}

/* ---- inline commands ---------------------------------------------------------------- */

/* isspace() of the C locale. */
static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* What ends a word outside quotes: fewer than what may stand before one. */
static bool ends_word(uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static uint8_t escaped(uint8_t c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return c;
	}
}

/* Unquotes up to the closing `"`; returns where that stands, NULL if nowhere. */
static const uint8_t *unquote_double(struct buf *out, const uint8_t *p, const uint8_t *end)
{
	for (; p < end && *p != '"'; p++) {
		if (*p != '\\' || end - p < 2) {
			buf_byte(out, *p);
		} else if (end - p >= 4 && p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
			buf_byte(out, (uint8_t)(hex_digit(p[2]) * 16 + hex_digit(p[3])));
			p += 3;
		} else {
			buf_byte(out, escaped(*++p));
		}
	}
	return p < end ? p : NULL;
}

/* The same for `'`, where only \' is an escape. */
static const uint8_t *unquote_single(struct buf *out, const uint8_t *p, const uint8_t *end)
{
	for (; p < end && *p != '\''; p++) {
		if (*p == '\\' && end - p >= 2 && p[1] == '\'')
			p++;
		buf_byte(out, *p);
	}
	return p < end ? p : NULL;
}

/* A word with quotes in it, which may begin anywhere within: a"b c" is one word. Returns
 * where it ends, NULL if a quote is open or is closed in the middle of a word. */
static const uint8_t *unquote_word(struct buf *out, const uint8_t *p, const uint8_t *end)
{
	for (; p < end && !ends_word(*p); p++) {
		if (*p != '"' && *p != '\'') {
			buf_byte(out, *p);
			continue;
		}
		p = *p == '"' ? unquote_double(out, p + 1, end) : unquote_single(out, p + 1, end);
		if (!p || (p + 1 < end && !is_space(p[1])))
			return NULL;
		return p + 1;
	}
	return p;
}

/* The words of a line become places; false if its quotes are unbalanced. */
static bool split_line(struct resp_parser *parser, struct slice line)
{
	const uint8_t *p = line.ptr, *end = line.ptr + line.len;
	for (;;) {
		while (p < end && is_space(*p))
			p++;
		if (p == end)
			return true;
		const uint8_t *word = p;
		while (p < end && !ends_word(*p) && *p != '"' && *p != '\'')
			p++;
		if (p == end || ends_word(*p)) {
			add_place(parser, (uint64_t)(word - line.ptr), (size_t)(p - word), false);
			continue;
		}
		size_t from = parser->unquoted.len;
		buf_reserve(&parser->unquoted, 1); /* even an empty word has an address */
		p = unquote_word(&parser->unquoted, word, end);
		if (!p)
			return false;
		add_place(parser, from, parser->unquoted.len - from, true);
	}
}

static enum resp_parsed take_line(struct resp_parser *parser, const struct resp_limits *limits, struct slice window)
{
	size_t end;
	switch (find_line(parser, limits, window, '\n', &end)) {
	case LINE_TOO_LONG:
		return broken(parser, "Protocol error: too big inline request");
	case LINE_PARTIAL:
		return RESP_PARTIAL;
	case LINE_WHOLE:
		break;
	}
	size_t len = end > 0 && window.ptr[end - 1] == '\r' ? end - 1 : end;
	if (!split_line(parser, slice_sub(window, 0, len)))
		return broken(parser, "Protocol error: unbalanced quotes in request");
	line_taken(parser, end + 1);
	return parser->places.len > 0 ? RESP_COMMAND : RESP_NOTHING;
}

/* ---- all of it ---------------------------------------------------------------------- */

static uint32_t places_count(const struct resp_parser *parser)
{
	return (uint32_t)(parser->places.len / sizeof(struct resp_place));
}

static void clear(struct buf *buf)
{
	if (buf->cap > ROOM_KEPT_MAX)
		buf_fini(buf);
	buf->len = 0;
}

/* Understands what can be; parser->at moves over it. */
static enum resp_parsed take_more(struct resp_parser *parser, const struct resp_limits *limits, struct slice window)
{
	if (parser->at == 0) {
		clear(&parser->places);
		clear(&parser->unquoted);
		if (window.len == 0)
			return RESP_PARTIAL;
		if (window.ptr[0] != '*')
			return take_line(parser, limits, window);
		enum resp_parsed count = take_count(parser, limits, window);
		if (count != RESP_COMMAND)
			return count;
	}
	return take_arguments(parser, limits, window);
}

/* What is not whole, not short, not multi-bulk or not right. */
static __attribute__((noinline)) enum resp_parsed parse_carefully(struct resp_parser *parser,
                                                                  const struct resp_limits *limits, struct slice window,
                                                                  struct slice *args, uint32_t room, uint32_t *n,
                                                                  size_t *used)
{
	enum resp_parsed parsed = take_more(parser, limits, window);
	if (parsed != RESP_COMMAND && parsed != RESP_NOTHING)
		return parsed;
	*used = parser->at;
	parser->at = 0;
	*n = places_count(parser);
	if (*n <= room)
		resp_arguments(parser, window, args);
	return parsed;
}

enum resp_parsed resp_parse(struct resp_parser *parser, const struct resp_limits *limits, struct slice window,
                            struct slice *args, uint32_t room, uint32_t *n, size_t *used)
{
	assert(parser->at <= window.len);
	if (likely((parser->at | parser->scanned) == 0)) {
		size_t size = parse_whole(limits, window, args, room, n);
		if (likely(size > 0)) {
			*used = size;
			return RESP_COMMAND;
		}
	}
	return parse_carefully(parser, limits, window, args, room, n, used);
}

void resp_arguments(const struct resp_parser *parser, struct slice window, struct slice *args)
{
	const struct resp_place *place = (const struct resp_place *)parser->places.ptr;
	for (uint32_t i = 0, n = places_count(parser); i < n; i++, place++)
		args[i] = slice_of((place->unquoted ? parser->unquoted.ptr : window.ptr) + place->at, place->len);
}

void resp_parser_fini(struct resp_parser *parser)
{
	buf_fini(&parser->places);
	buf_fini(&parser->unquoted);
}
