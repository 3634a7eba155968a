#include "protocols/bench/replies.h"

#include "engine/base/buf.h"
#include "protocols/bench/keys.h"

#include <criterion/criterion.h>

/* One reply each. */
static const struct {
	struct slice bytes;
	uint64_t replies, errors, nulls;
} samples[] = {
        {S("+OK\r\n"), 1, 0, 0},
        {S("+\r\n"), 1, 0, 0},
        {S("+QUEUED\r\n"), 1, 0, 0},
        {S(":-12\r\n"), 1, 0, 0},
        {S("$-1\r\n"), 1, 0, 1},
        {S("$0\r\n\r\n"), 1, 0, 0},
        {S("$5\r\na\r\n$b\r\n"), 1, 0, 0},
        {S("$12\r\n+OK\r\n-ERR\r\n*\r\n"), 1, 0, 0},
        {S("-ERR no\r\n"), 1, 1, 0},
        {S("*-1\r\n"), 1, 0, 1},
        {S("*0\r\n"), 1, 0, 0},
        {S("*2\r\n$1\r\na\r\n$-1\r\n"), 1, 0, 1},
        {S("*3\r\n*2\r\n:1\r\n*0\r\n*1\r\n*1\r\n+x\r\n-ERR in\r\n"), 1, 1, 0},
        {S("_\r\n"), 1, 0, 1},
        {S("#t\r\n"), 1, 0, 0},
        {S(",inf\r\n"), 1, 0, 0},
        {S("(123456789012345678901234567890\r\n"), 1, 0, 0},
        {S("=7\r\ntxt:abc\r\n"), 1, 0, 0},
        {S("!6\r\nERR no\r\n"), 1, 1, 0},
        {S("%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n:1\r\n:2\r\n"), 1, 0, 0},
        {S("~0\r\n"), 1, 0, 0},
        {S("|1\r\n+ttl\r\n:3600\r\n$1\r\na\r\n"), 1, 0, 0},
        {S("*2\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n:2\r\n"), 1, 0, 0},
        {S(">3\r\n+message\r\n$1\r\na\r\n$1\r\nb\r\n"), 0, 0, 0},
};

struct expected {
	uint64_t replies, errors, nulls;
};

static struct expected say_random(struct random *random, int n, struct buf *out)
{
	struct expected all = {0};
	for (int i = 0; i < n; i++) {
		size_t at = random_below(random, array_len(samples));
		buf_append(out, samples[at].bytes);
		all.replies += samples[at].replies;
		all.errors += samples[at].errors;
		all.nulls += samples[at].nulls;
	}
	return all;
}

/* Each piece in memory of its own, so that a sanitizer sees a step over its end. */
static uint64_t count_piece(struct replies *replies, struct slice piece)
{
	struct buf copy = {0};
	buf_append(&copy, piece);
	uint64_t n = replies_count(replies, buf_slice(&copy));
	buf_fini(&copy);
	return n;
}

Test(replies, each_type_counts_as_one)
{
	for (size_t i = 0; i < array_len(samples); i++) {
		struct replies replies = {0};
		cr_assert_eq(count_piece(&replies, samples[i].bytes), samples[i].replies, "%s", samples[i].bytes.ptr);
		cr_assert_eq(replies.errors, samples[i].errors, "%s", samples[i].bytes.ptr);
		cr_assert_eq(replies.nulls, samples[i].nulls, "%s", samples[i].bytes.ptr);
		cr_assert_eq(replies.values, 0);
		cr_assert_not(replies.broken);
	}
}

Test(replies, byte_by_byte_counts_the_same)
{
	for (size_t i = 0; i < array_len(samples); i++) {
		struct replies replies = {0};
		struct slice bytes = samples[i].bytes;
		for (size_t at = 0; at < bytes.len; at++) {
			uint64_t n = count_piece(&replies, slice_sub(bytes, at, at + 1));
			cr_assert_eq(n, at + 1 == bytes.len ? samples[i].replies : 0, "%s at %zu", bytes.ptr, at);
		}
	}
}

Test(replies, any_cut_of_a_stream_counts_the_same)
{
	struct random random = {11};
	for (int round = 0; round < 500; round++) {
		struct buf stream = {0};
		struct replies replies = {0};
		struct expected expected = say_random(&random, 40, &stream);
		uint64_t n = 0;
		for (size_t at = 0; at < stream.len;) {
			size_t most = stream.len - at, size = 1 + random_below(&random, most < 90 ? most : 90);
			n += count_piece(&replies, slice_sub(buf_slice(&stream), at, at + size));
			at += size;
		}
		cr_assert_eq(n, expected.replies);
		cr_assert_eq(replies.errors, expected.errors);
		cr_assert_eq(replies.nulls, expected.nulls);
		buf_fini(&stream);
	}
}

Test(replies, keeps_the_first_error)
{
	struct replies replies = {0};
	cr_assert_eq(replies_count(&replies, S("+OK\r\n-ERR fi")), 1);
	cr_assert_eq(replies_count(&replies, S("rst\r\n-ERR second\r\n")), 2);
	cr_assert_eq(replies.error_len, 9);
	cr_assert_arr_eq(replies.error, "ERR first", 9);
}

Test(replies, what_is_no_resp_breaks_it)
{
	static const struct slice bad[] = {S("HTTP/1.1 400 Bad Request\r\n"), S("$x\r\n"), S("*1x\r\n"), S("$--1\r\n"),
	                                   S("$99999999999999999999\r\n")};
	for (size_t i = 0; i < array_len(bad); i++) {
		struct replies replies = {0};
		cr_assert_eq(count_piece(&replies, bad[i]), 0);
		cr_assert(replies.broken, "%s", bad[i].ptr);
		cr_assert_eq(replies_count(&replies, S("+OK\r\n")), 0);
	}
}

Test(replies, random_bytes_do_no_harm)
{
	struct random random = {13};
	for (int round = 0; round < 20000; round++) {
		struct replies replies = {0};
		uint8_t junk[40];
		static const char alphabet[] = "$*+-:%|>~_#=!(,019\r\nax";
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)alphabet[random_below(&random, sizeof(alphabet) - 1)];
		cr_assert_leq(count_piece(&replies, slice_of(junk, sizeof(junk))), sizeof(junk));
	}
}
