#include "protocols/resp/render.h"

#include <criterion/criterion.h>
#include <math.h>

static void say_null(struct reply *r) { reply_null(r); }
static void say_null_array(struct reply *r) { reply_null_array(r); }
static void say_simple(struct reply *r) { reply_simple(r, S("OK")); }
static void say_empty_simple(struct reply *r) { reply_simple(r, S("")); }
static void say_error(struct reply *r) { r->ops->error(r, S("ERR no")); }
static void say_bulk(struct reply *r) { reply_bulk(r, S("a\r\nb\0c")); }
static void say_empty_bulk(struct reply *r) { reply_bulk(r, (struct slice){NULL, 0}); }
static void say_bulk_of_12(struct reply *r) { reply_bulk(r, S("abcdefghijkl")); }
static void say_true(struct reply *r) { reply_boolean(r, true); }
static void say_false(struct reply *r) { reply_boolean(r, false); }
static void say_verbatim(struct reply *r) { reply_verbatim(r, "txt", S("Some string")); }
static void say_empty_verbatim(struct reply *r) { reply_verbatim(r, "mkd", S("")); }
static void say_big_number(struct reply *r) { r->ops->big_number(r, S("3492890328409238509324850943850943825024385")); }
static void say_array(struct reply *r) { reply_array(r, 2); }
static void say_no_array(struct reply *r) { reply_array(r, 0); }
static void say_long_array(struct reply *r) { reply_array(r, 1234567); }
static void say_map(struct reply *r) { reply_map(r, 7); }
static void say_set(struct reply *r) { reply_set(r, 3); }
static void say_push(struct reply *r) { reply_push(r, 3); }
static void say_real(struct reply *r) { reply_real(r, 0.1); }
static void say_whole_real(struct reply *r) { reply_real(r, 10); }
static void say_infinity(struct reply *r) { reply_real(r, INFINITY); }
static void say_less_infinity(struct reply *r) { reply_real(r, -INFINITY); }
static void say_nan(struct reply *r) { reply_real(r, NAN); }

static const struct {
	const char *name;
	void (*say)(struct reply *reply);
	struct slice resp2, resp3;
} golden[] = {
#define ROW(say, resp2, resp3)                                             \
	{                                                                  \
#say, say, {(const uint8_t *)(resp2), sizeof(resp2) - 1 }, \
		{                                                          \
			(const uint8_t *)(resp3), sizeof(resp3) - 1        \
		}                                                          \
	}
        ROW(say_null, "$-1\r\n", "_\r\n"),
        ROW(say_null_array, "*-1\r\n", "_\r\n"),
        ROW(say_simple, "+OK\r\n", "+OK\r\n"),
        ROW(say_empty_simple, "+\r\n", "+\r\n"),
        ROW(say_error, "-ERR no\r\n", "-ERR no\r\n"),
        ROW(say_bulk, "$6\r\na\r\nb\0c\r\n", "$6\r\na\r\nb\0c\r\n"),
        ROW(say_empty_bulk, "$0\r\n\r\n", "$0\r\n\r\n"),
        ROW(say_bulk_of_12, "$12\r\nabcdefghijkl\r\n", "$12\r\nabcdefghijkl\r\n"),
        ROW(say_true, ":1\r\n", "#t\r\n"),
        ROW(say_false, ":0\r\n", "#f\r\n"),
        ROW(say_verbatim, "$11\r\nSome string\r\n", "=15\r\ntxt:Some string\r\n"),
        ROW(say_empty_verbatim, "$0\r\n\r\n", "=4\r\nmkd:\r\n"),
        ROW(say_big_number, "$43\r\n3492890328409238509324850943850943825024385\r\n",
            "(3492890328409238509324850943850943825024385\r\n"),
        ROW(say_array, "*2\r\n", "*2\r\n"),
        ROW(say_no_array, "*0\r\n", "*0\r\n"),
        ROW(say_long_array, "*1234567\r\n", "*1234567\r\n"),
        ROW(say_map, "*14\r\n", "%7\r\n"),
        ROW(say_set, "*3\r\n", "~3\r\n"),
        ROW(say_push, "*3\r\n", ">3\r\n"),
        ROW(say_real, "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n"),
        ROW(say_whole_real, "$2\r\n10\r\n", ",10\r\n"),
        ROW(say_infinity, "$3\r\ninf\r\n", ",inf\r\n"),
        ROW(say_less_infinity, "$4\r\n-inf\r\n", ",-inf\r\n"),
        ROW(say_nan, "$3\r\nnan\r\n", ",nan\r\n"),
#undef ROW
};

static void check_golden(const char *name, const struct reply_ops *ops, void (*say)(struct reply *), struct slice bytes)
{
	struct buf out = {0};
	struct reply reply = {.ops = ops, .out = &out};
	/* From an empty buffer, and after something: both paths of making room. */
	for (int before = 0; before < 2; before++) {
		size_t from = out.len;
		say(&reply);
		struct slice said = slice_sub(buf_slice(&out), from, out.len);
		cr_assert(slice_equal(said, bytes), "%s: %.*s", name, (int)said.len, said.ptr);
	}
	buf_fini(&out);
}

Test(render, golden_bytes)
{
	for (size_t i = 0; i < array_len(golden); i++) {
		check_golden(golden[i].name, &resp2_ops, golden[i].say, golden[i].resp2);
		check_golden(golden[i].name, &resp3_ops, golden[i].say, golden[i].resp3);
	}
}

Test(render, attributes_are_resp3)
{
	struct buf out = {0};
	struct reply reply = {.ops = &resp3_ops, .out = &out};
	resp3_ops.attribute(&reply, 1);
	cr_assert(slice_equal(buf_slice(&out), S("|1\r\n")));
	buf_fini(&out);
}

Test(render, integers)
{
	static const int64_t values[] = {0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, -1, -9, -10, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < array_len(values); i++) {
		struct buf out = {0}, expected = {0};
		struct reply reply = {.ops = &resp2_ops, .out = &out};
		reply_integer(&reply, values[i]);
		buf_printf(&expected, ":%lld\r\n", (long long)values[i]);
		cr_assert(slice_equal(buf_slice(&out), buf_slice(&expected)), "%lld", (long long)values[i]);
		buf_fini(&out);
		buf_fini(&expected);
	}
}

/* Every length around the growing of the buffer is written whole and within it. */
Test(render, bulks_of_every_length)
{
	struct buf value = {0};
	for (size_t len = 0; len < 1100; len++) {
		struct buf out = {0}, expected = {0};
		struct reply reply = {.ops = &resp3_ops, .out = &out};
		reply_bulk(&reply, slice_of(value.ptr, len));
		buf_printf(&expected, "$%zu\r\n%.*s\r\n", len, (int)len, len > 0 ? (const char *)value.ptr : "");
		cr_assert(slice_equal(buf_slice(&out), buf_slice(&expected)), "%zu", len);
		cr_assert(out.len <= out.cap);
		buf_fini(&out);
		buf_fini(&expected);
		buf_byte(&value, (uint8_t)('a' + len % 26));
	}
	buf_fini(&value);
}

Test(render, lent_values_are_named_where_they_belong)
{
	struct buf out = {0}, loans = {0};
	struct reply reply = {.ops = &resp2_ops, .out = &out, .loans = &loans};
	struct object *object = (struct object *)&out;
	reply_integer(&reply, 7);
	resp2_ops.lent(&reply, (struct loan){.bytes = S("value"), .object = object, .core = 3});
	reply_ok(&reply);
	resp2_ops.lent(&reply, (struct loan){.bytes = S(""), .object = object});
	cr_assert(slice_equal(buf_slice(&out), S(":7\r\n$5\r\n\r\n+OK\r\n$0\r\n\r\n")));
	cr_assert_eq(loans.len, 2 * sizeof(struct loan));
	const struct loan *loan = (const struct loan *)loans.ptr;
	cr_assert_eq(loan[0].at, 8);
	cr_assert_eq(loan[0].core, 3);
	cr_assert_eq(loan[0].object, object);
	cr_assert(slice_equal(loan[0].bytes, S("value")));
	cr_assert_eq(loan[1].at, 19);
	buf_fini(&out);
	buf_fini(&loans);
}

Test(render, values_are_copied_where_nothing_may_be_lent)
{
	struct buf out = {0};
	struct reply reply = {.ops = &resp3_ops, .out = &out};
	resp3_ops.lent(&reply, (struct loan){.bytes = S("value")});
	cr_assert(slice_equal(buf_slice(&out), S("$5\r\nvalue\r\n")));
	buf_fini(&out);
}
