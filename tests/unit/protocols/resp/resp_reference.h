/* resp_reference.h -- requests as Redis 7 reads them, said as plainly as possible.
 *
 * Understands one command of a whole window, from its first byte, every time anew: what
 * the parser that can be stopped anywhere is compared with, in tests and by the fuzzer.
 */
#pragma once

#include "engine/base/buf.h"
#include "protocols/resp/parse.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* What was read, as text: "SET|k|v;" a command, "-;" nothing, "!error" an end. */
static inline void log_command(struct buf *log, const struct slice *args, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i > 0)
			buf_byte(log, '|');
		buf_append(log, args[i]);
	}
	buf_append(log, n > 0 ? S(";") : S("-;"));
}

static inline enum resp_parsed reference_error(struct buf *log, const char *text)
{
	buf_printf(log, "!Protocol error: %s", text);
	return RESP_BROKEN;
}

/* Index of `end` in the line from `at`; -1: not there yet, -2: the line is too long. */
static inline long reference_line(struct slice w, size_t at, uint8_t end, const struct resp_limits *limits)
{
	for (size_t i = at; i < w.len && i - at <= limits->inline_max; i++) {
		if (w.ptr[i] == end)
			return (long)i;
		if (w.ptr[i] == '\0')
			break;
	}
	return w.len - at > limits->inline_max ? -2 : -1;
}

static inline bool reference_number(struct slice text, long long *out)
{
	char copy[24], again[24];
	if (text.len == 0 || text.len > 20)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*out = strtoll(copy, NULL, 10);
	snprintf(again, sizeof(again), "%lld", *out);
	return strlen(copy) == text.len && strcmp(copy, again) == 0;
}

static inline bool reference_space(int c) { return c == ' ' || (c >= 9 && c <= 13); }

static inline int reference_hex(int c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
	return at && (c >= '0' && c <= '9' ? true : c >= 'A') ? (int)(at - digits) : -1;
}

/* Redis' sdssplitargs(), over a line ended by a NUL; false if quotes are unbalanced. */
static inline bool reference_split(const uint8_t *p, struct buf *words, size_t *ends, uint32_t *n)
{
	*n = 0;
	for (;;) {
		while (*p && reference_space(*p))
			p++;
		if (!*p)
			return true;
		bool in_double = false, in_single = false, done = false;
		while (!done) {
			if (in_double && *p == '\\' && p[1] == 'x' && reference_hex(p[2]) >= 0 &&
			    reference_hex(p[3]) >= 0) {
				buf_byte(words, (uint8_t)(reference_hex(p[2]) * 16 + reference_hex(p[3])));
				p += 3;
			} else if (in_double && *p == '\\' && p[1]) {
				const char *from = "nrtba", *to = "\n\r\t\b\a", *at = strchr(from, *++p);
				buf_byte(words, at ? (uint8_t)to[at - from] : *p);
			} else if (in_single && *p == '\\' && p[1] == '\'') {
				buf_byte(words, *++p);
			} else if ((in_double && *p == '"') || (in_single && *p == '\'')) {
				if (p[1] && !reference_space(p[1]))
					return false;
				done = true;
			} else if ((in_double || in_single) && !*p) {
				return false;
			} else if (in_double || in_single) {
				buf_byte(words, *p);
			} else if (!*p || strchr(" \n\r\t", *p)) {
				done = true;
			} else if (*p == '"') {
				in_double = true;
			} else if (*p == '\'') {
				in_single = true;
			} else {
				buf_byte(words, *p);
			}
			if (*p)
				p++;
		}
		ends[(*n)++] = words->len;
	}
}

static inline enum resp_parsed reference_inline(struct slice w, const struct resp_limits *limits, struct buf *log,
                                                size_t *used)
{
	long end = reference_line(w, 0, '\n', limits);
	if (end == -1)
		return RESP_PARTIAL;
	if (end == -2)
		return reference_error(log, "too big inline request");
	size_t len = end > 0 && w.ptr[end - 1] == '\r' ? (size_t)end - 1 : (size_t)end;
	uint8_t *line = calloc(1, len + 1);
	memcpy(line, w.ptr, len);
	size_t *ends = calloc(len + 1, sizeof(size_t));
	struct buf words = {0};
	buf_reserve(&words, 1); /* even an empty word has an address */
	uint32_t n;
	bool balanced = reference_split(line, &words, ends, &n);
	size_t from = 0;
	for (uint32_t i = 0; balanced && i < n; from = ends[i++]) {
		if (i > 0)
			buf_byte(log, '|');
		buf_append(log, slice_sub(buf_slice(&words), from, ends[i]));
	}
	free(line);
	free(ends);
	buf_fini(&words);
	if (!balanced)
		return reference_error(log, "unbalanced quotes in request");
	buf_append(log, n > 0 ? S(";") : S("-;"));
	*used = (size_t)end + 1;
	return n > 0 ? RESP_COMMAND : RESP_NOTHING;
}

static inline enum resp_parsed reference_bulk(struct slice w, const struct resp_limits *limits, struct buf *log,
                                              size_t *at, struct slice *out)
{
	long end = reference_line(w, *at, '\r', limits);
	if (end == -2)
		return reference_error(log, "too big bulk count string");
	if (end == -1 || (size_t)end + 2 > w.len)
		return RESP_PARTIAL;
	uint8_t c = w.ptr[*at];
	if (c != '$') {
		buf_printf(log, "!Protocol error: expected '$', got '%c'", c == '\r' || c == '\n' ? ' ' : c);
		return RESP_BROKEN;
	}
	long long len;
	bool is_number = reference_number(slice_sub(w, *at + 1, (size_t)end), &len);
	if (!is_number || len < 0 || len > (limits->authenticated ? (long long)limits->bulk_max : 512 << 20))
		return reference_error(log, "invalid bulk length");
	if (len > (long long)limits->bulk_max)
		return reference_error(log, "unauthenticated bulk length");
	if (w.len - ((size_t)end + 2) < (size_t)len + 2)
		return RESP_PARTIAL;
	*out = slice_of(w.ptr + end + 2, (size_t)len);
	*at = (size_t)end + 2 + (size_t)len + 2;
	return RESP_COMMAND;
}

static inline enum resp_parsed reference_parse(struct slice w, const struct resp_limits *limits, struct buf *log,
                                               size_t *used)
{
	if (w.len == 0)
		return RESP_PARTIAL;
	if (w.ptr[0] != '*')
		return reference_inline(w, limits, log, used);
	long end = reference_line(w, 0, '\r', limits);
	if (end == -2)
		return reference_error(log, "too big mbulk count string");
	if (end == -1 || (size_t)end + 2 > w.len)
		return RESP_PARTIAL;
	long long count;
	if (!reference_number(slice_sub(w, 1, (size_t)end), &count) || count > INT_MAX ||
	    (limits->authenticated && count > limits->arguments_max))
		return reference_error(log, "invalid multibulk length");
	if (count > limits->arguments_max)
		return reference_error(log, "unauthenticated multibulk length");
	*used = (size_t)end + 2;
	if (count <= 0) {
		log_command(log, NULL, 0);
		return RESP_NOTHING;
	}
	struct buf command = {0};
	enum resp_parsed got = RESP_COMMAND;
	for (long long i = 0; got == RESP_COMMAND && i < count; i++) {
		struct slice bulk;
		got = reference_bulk(w, limits, log, used, &bulk);
		if (got != RESP_COMMAND)
			break;
		if (i > 0)
			buf_byte(&command, '|');
		buf_append(&command, bulk);
	}
	if (got == RESP_COMMAND) {
		buf_append(log, buf_slice(&command));
		buf_append(log, S(";"));
	}
	buf_fini(&command);
	return got;
}
