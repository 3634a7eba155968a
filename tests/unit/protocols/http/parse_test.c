#include "protocols/http/parse.h"

#include "engine/base/buf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* ---- a connection's worth of feeding --------------------------------------------------- */

struct feed {
	struct http_parser parser;
	struct slice stream;
	size_t taken; /* of the stream */
	struct buf log;
	bool broken;
};

static void log_request(struct buf *log, const struct http_request *r)
{
	buf_printf(log, "%.*s %.*s", (int)r->method.len, r->method.ptr, (int)r->path.len, r->path.ptr);
	if (r->query.len > 0)
		buf_printf(log, "?%.*s", (int)r->query.len, r->query.ptr);
	if (r->body.len > 0)
		buf_printf(log, " {%.*s}", (int)r->body.len, r->body.ptr);
	buf_append(log, r->keep_alive ? S(";") : S(" close;"));
}

/* One call with the window in a block of its own, so that a look past its end is seen by
 * the sanitizer, and offsets must survive its moving. */
static enum http_parsed feed_step(struct feed *feed, size_t given)
{
	size_t len = given - feed->taken, used = 0;
	uint8_t *block = malloc(len > 0 ? len : 1);
	memcpy(block, feed->stream.ptr + feed->taken, len);
	struct http_request request;
	enum http_parsed parsed = http_parse(&feed->parser, slice_of(block, len), &request, &used);
	if (parsed == HTTP_REQUEST) {
		cr_assert(used > 0);
		cr_assert(used <= len);
		log_request(&feed->log, &request);
	}
	if (parsed == HTTP_CONTINUE)
		buf_append(&feed->log, S("(continue)"));
	if (parsed == HTTP_BROKEN) {
		cr_assert_not_null(feed->parser.why);
		buf_printf(&feed->log, "!%d", feed->parser.status);
	}
	feed->taken += used;
	free(block);
	return parsed;
}

static void feed_to(struct feed *feed, size_t given)
{
	enum http_parsed parsed = HTTP_REQUEST;
	while (!feed->broken && parsed != HTTP_PARTIAL) {
		parsed = feed_step(feed, given);
		feed->broken = parsed == HTTP_BROKEN;
	}
}

/* "?" stands for a request that is begun but not ended. */
static void feed_end(struct feed *feed, struct slice expected, const char *how, size_t where)
{
	feed_to(feed, feed->stream.len);
	if (!feed->broken && feed->taken < feed->stream.len)
		buf_append(&feed->log, S("?"));
	cr_assert(slice_equal(buf_slice(&feed->log), expected), "%.*s\n%s %zu: got %.*s, expected %.*s",
	          (int)feed->stream.len, feed->stream.ptr, how, where, (int)feed->log.len, feed->log.ptr,
	          (int)expected.len, expected.ptr);
	buf_fini(&feed->log);
}

static void check_steps(struct slice stream, struct slice expected, size_t step)
{
	struct feed feed = {.stream = stream};
	for (size_t given = step; given < stream.len; given += step)
		feed_to(&feed, given);
	feed_end(&feed, expected, "in steps of", step);
}

static void check_every_split(struct slice stream, struct slice expected)
{
	check_steps(stream, expected, stream.len);
	check_steps(stream, expected, 1);
	for (size_t cut = 0; cut <= stream.len; cut++) {
		struct feed feed = {.stream = stream};
		feed_to(&feed, cut);
		feed_end(&feed, expected, "cut at", cut);
	}
}

/* ---- cases -------------------------------------------------------------------------------- */

#define HOST "Host: a\r\n"
#define CASE(stream, expected)                                                                                         \
	{                                                                                                              \
		{(const uint8_t *)(stream), sizeof(stream) - 1}, { (const uint8_t *)(expected), sizeof(expected) - 1 } \
	}

static const struct {
	struct slice stream, expected;
} cases[] = {
        CASE("GET /metrics HTTP/1.1\r\n" HOST "\r\n", "GET /metrics;"),
        CASE("GET / HTTP/1.1\r\nhost:a\r\nX-Y: z\r\n\r\nHEAD /a HTTP/1.1\r\nHOST:\t a \r\n\r\n", "GET /;HEAD /a;"),
        CASE("\r\n\r\nGET /a?b=c?d HTTP/1.1\r\n" HOST "\r\n\r\n", "GET /a?b=c?d;?"),
        CASE("GET /a? HTTP/1.1\r\n" HOST "\r\n", "GET /a;"),
        CASE("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS *;"),
        CASE("GET http://h:1/a?b HTTP/1.1\r\n" HOST "\r\n", "GET /a?b;"),
        CASE("GET HTTPS://h HTTP/1.1\r\n" HOST "\r\n", "GET /;"),
        CASE("GET http://h?q HTTP/1.1\r\n" HOST "\r\n", "GET /?q;"),
        CASE("GET / HTTP/1.9\r\n" HOST "\r\n", "GET /;"),
        /* keep-alive */
        CASE("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "GET / close;"),
        CASE("GET / HTTP/1.1\r\n" HOST "Connection: TE, Close ,x\r\n\r\n", "GET / close;"),
        CASE("GET / HTTP/1.1\r\n" HOST "Connection: x\r\nConnection: close\r\n\r\n", "GET / close;"),
        CASE("GET / HTTP/1.0\r\n\r\n", "GET / close;"),
        CASE("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET /;"),
        CASE("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / close;"),
        /* bodies */
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n" HOST "\r\n",
             "POST /a {abc};GET /b;"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "POST /a;"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 16384\r\n\r\nabc", "?"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 16385\r\n\r\n", "!413"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n", "!413"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nab",
             "(continue)POST /a {ab};"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", "POST /a;"),
        CASE("POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", "POST /a {a} close;"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\nabc", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 3 3\r\n\r\nabc", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "!400"),
        CASE("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "!400"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", "!411"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", "!501"),
        CASE("POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", "!501"),
        /* lines that are not right */
        CASE("GET / HTTP/1.1\n" HOST "\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\n\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\n: a\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\nX: \177\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\nHost: a\r\nX: \377\t\r\n\r\n", "GET /;"),
        CASE("GET / HTTP/1.1\r\n\r\n", "!400"),
        CASE("GET / HTTP/1.1\r\n" HOST HOST "\r\n", "!400"),
        CASE("GET / HTTP/1.0\r\n" HOST HOST "\r\n", "!400"),
        CASE("GET /\r\n", "!400"),
        CASE("GET  / HTTP/1.1\r\n", "!400"),
        CASE("GET / HTTP/1.1 \r\n", "!400"),
        CASE("GET / x HTTP/1.1\r\n", "!400"),
        CASE("GET /\tHTTP/1.1\r\n", "!400"),
        CASE("GET /\200 HTTP/1.1\r\n", "!400"),
        CASE("GET /a#b HTTP/1.1\r\n", "!400"),
        CASE("GET a HTTP/1.1\r\n", "!400"),
        CASE("CONNECT a:1 HTTP/1.1\r\n", "!400"),
        CASE("GET http:// HTTP/1.1\r\n", "!400"),
        CASE("GET /\0 HTTP/1.1\r\n", "!400"),
        CASE("G{T / HTTP/1.1\r\n", "!400"),
        CASE(" GET / HTTP/1.1\r\n", "!400"),
        CASE("GET / http/1.1\r\n", "!400"),
        CASE("GET / HTTP/11\r\n", "!400"),
        CASE("GET / HTTP/1.x\r\n", "!400"),
        CASE("GET / HTTP/2.0\r\n", "!505"),
        CASE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "!505"),
        CASE("*1\r\n$4\r\nPING\r\n", "!400"),
        CASE("\026\003\001", "!400"),
        CASE("GET / HTTP/1.1\r\n" HOST, "?"),
        CASE("GET / HTTP/1.1\r\n" HOST "\r", "?"),
        CASE("GE", "?"),
};

Test(http_parse, cases_at_every_split)
{
	for (size_t i = 0; i < array_len(cases); i++)
		check_every_split(cases[i].stream, cases[i].expected);
}

/* Line ends between requests are no request, and do not hide the next. */
Test(http_parse, empty_lines_before_a_request)
{
	check_every_split(S("\r\n\r\nGET /a HTTP/1.1\r\n" HOST "\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"),
	                  S("GET /a;GET /b;"));
}

static struct buf repeated(struct slice head, struct slice piece, size_t n, struct slice tail)
{
	struct buf buf = {0};
	buf_append(&buf, head);
	for (size_t i = 0; i < n; i++)
		buf_append(&buf, piece);
	buf_append(&buf, tail);
	return buf;
}

static void check_long(struct slice head, struct slice piece, size_t n, struct slice tail, struct slice expected)
{
	struct buf stream = repeated(head, piece, n, tail);
	check_steps(buf_slice(&stream), expected, stream.len);
	check_steps(buf_slice(&stream), expected, 1);
	check_steps(buf_slice(&stream), expected, 1000);
	buf_fini(&stream);
}

Test(http_parse, limits)
{
	struct slice end = S(" HTTP/1.1\r\n" HOST "\r\n"), get = S("GET / HTTP/1.1\r\n" HOST);
	/* "GET /" and " HTTP/1.1\r\n" are 16 of the 4096 bytes of a line. */
	struct buf path = repeated(S("GET /"), S("a"), 4080, S(";"));
	check_long(S("GET /"), S("a"), 4080, end, buf_slice(&path));
	check_long(S("GET /"), S("a"), 4081, end, S("!414"));
	check_long(S("GET /"), S("a"), 5000, S(""), S("!414"));
	check_long(S(""), S("\r\n"), 2048, S(""), S("!414"));
	check_long(get, S("A: b\r\n"), 99, S("\r\n"), S("GET /;"));
	check_long(get, S("A: b\r\n"), 100, S("\r\n"), S("!431"));
	size_t left = HTTP_HEAD_MAX - get.len - strlen("A: \r\n\r\n");
	check_long(S("GET / HTTP/1.1\r\n" HOST "A: "), S("b"), left, S("\r\n\r\n"), S("GET /;"));
	check_long(S("GET / HTTP/1.1\r\n" HOST "A: "), S("b"), left + 1, S("\r\n\r\n"), S("!431"));
	check_long(S("GET / HTTP/1.1\r\n" HOST "A: "), S("b"), 20000, S(""), S("!431"));
	buf_fini(&path);
}

/* ---- random streams: the cut does not matter ------------------------------------------------ */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void random_stream(struct buf *out, uint64_t *random)
{
	static const struct slice pieces[] = {
	        S("GET / HTTP/1.1\r\n"),
	        S("HEAD /a?b HTTP/1.0\r\n"),
	        S("Host: a\r\n"),
	        S("Host: b\r\n"),
	        S("Connection: close\r\n"),
	        S("Connection: keep-alive\r\n"),
	        S("Content-Length: 5\r\n"),
	        S("Transfer-Encoding: chunked\r\n"),
	        S("Expect: 100-continue\r\n"),
	        S("\r\n"),
	        S("\r\n"),
	        S("\r\n\r\n"),
	        S("abcde"),
	        S("\n"),
	        S("\r"),
	        S(" "),
	        S(":"),
	        S("GET "),
	        S("\0"),
	};
	for (uint64_t i = 1 + next_random(random) % 4; i > 0; i--) {
		if (next_random(random) % 3)
			buf_append(out, S("GET /x HTTP/1.1\r\nHost: a\r\n"));
		for (uint64_t n = next_random(random) % 6; n > 0; n--)
			buf_append(out, pieces[next_random(random) % array_len(pieces)]);
		buf_append(out, S("\r\n"));
	}
}

Test(http_parse, random_cuts_change_nothing)
{
	uint64_t random = 88172645463325252u;
	for (int i = 0; i < 20000; i++) {
		struct buf stream = {0};
		random_stream(&stream, &random);
		struct feed whole = {.stream = buf_slice(&stream)}, cut = {.stream = buf_slice(&stream)};
		feed_to(&whole, stream.len);
		if (!whole.broken && whole.taken < stream.len)
			buf_append(&whole.log, S("?"));
		uint64_t most = 1 + next_random(&random) % 60;
		for (size_t given = 0; given < stream.len; given += 1 + next_random(&random) % most)
			feed_to(&cut, given);
		feed_end(&cut, buf_slice(&whole.log), "random steps up to", most);
		buf_fini(&whole.log);
		buf_fini(&stream);
	}
}
