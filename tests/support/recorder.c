#include "tests/support/recorder.h"

#include "engine/base/number.h"

static void space(struct reply *reply)
{
	if (reply->out->len > 0)
		buf_byte(reply->out, ' ');
}

static void say_text(struct reply *reply, const char *mark, struct slice text)
{
	space(reply);
	buf_append(reply->out, slice_from_str(mark));
	buf_append(reply->out, text);
}

static void say_number(struct reply *reply, const char *mark, int64_t value)
{
	char digits[INTEGER_TEXT_MAX];
	say_text(reply, mark, slice_of(digits, integer_format(value, digits)));
}

static void say_quoted(struct reply *reply, struct slice bytes)
{
	buf_byte(reply->out, '"');
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = bytes.ptr[i];
		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			buf_printf(reply->out, "\\x%02x", c);
		else
			buf_byte(reply->out, c);
	}
	buf_byte(reply->out, '"');
}

static void record_null(struct reply *r) { say_text(r, "nil", S("")); }
static void record_null_array(struct reply *r) { say_text(r, "nil*", S("")); }
static void record_simple(struct reply *r, struct slice text) { say_text(r, "+", text); }
static void record_error(struct reply *r, struct slice text) { say_text(r, "-", text); }
static void record_integer(struct reply *r, int64_t value) { say_number(r, ":", value); }
static void record_boolean(struct reply *r, bool value) { say_text(r, value ? "#t" : "#f", S("")); }
static void record_big_number(struct reply *r, struct slice digits) { say_text(r, "(", digits); }
static void record_array(struct reply *r, size_t n) { say_number(r, "*", (int64_t)n); }
static void record_map(struct reply *r, size_t n) { say_number(r, "%", (int64_t)n); }
static void record_set(struct reply *r, size_t n) { say_number(r, "~", (int64_t)n); }
static void record_push(struct reply *r, size_t n) { say_number(r, ">", (int64_t)n); }
static void record_attribute(struct reply *r, size_t n) { say_number(r, "|", (int64_t)n); }

static void record_real(struct reply *r, double value)
{
	char text[32];
	say_text(r, ",", slice_of(text, real_format_17(value, text)));
}

static void record_bulk(struct reply *r, struct slice bytes)
{
	space(r);
	say_quoted(r, bytes);
}

static void record_verbatim(struct reply *r, const char format[4], struct slice bytes)
{
	say_text(r, "=", slice_of(format, 3));
	say_quoted(r, bytes);
}

/* Says the value as it is when it is lent; the loan stays open, for the test to return. */
static void record_lent(struct reply *r, struct loan loan)
{
	record_bulk(r, loan.bytes);
	loan.at = r->out->len;
	buf_append(r->loans, slice_of(&loan, sizeof(loan)));
}

const struct reply_ops recorder_ops = {
        .null = record_null,
        .null_array = record_null_array,
        .simple = record_simple,
        .error = record_error,
        .integer = record_integer,
        .real = record_real,
        .boolean = record_boolean,
        .bulk = record_bulk,
        .verbatim = record_verbatim,
        .big_number = record_big_number,
        .array = record_array,
        .map = record_map,
        .set = record_set,
        .push = record_push,
        .attribute = record_attribute,
        .lent = record_lent,
};
