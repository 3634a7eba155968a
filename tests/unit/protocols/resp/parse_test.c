#include "protocols/resp/parse.h"
#include "tests/unit/protocols/resp/resp_reference.h"

#include <criterion/criterion.h>

static const struct resp_limits trusted = {512 << 20, 1024 * 1024, 64 * 1024, true};
static const struct resp_limits untrusted = {16 * 1024, 10, 64 * 1024, false};

/* ---- a connection's worth of feeding --------------------------------------------------- */

struct feed {
	struct resp_parser parser;
	const struct resp_limits *limits;
	uint32_t room;
	struct slice stream;
	size_t taken, given; /* of the stream */
	struct buf log;
	bool broken;
};

/* One call with the window in a block of its own, so that a look past its end is seen by
 * the sanitizer, and offsets must survive its moving. */
static enum resp_parsed feed_step(struct feed *feed)
{
	size_t len = feed->given - feed->taken, used = 0;
	uint8_t *block = malloc(len > 0 ? len : 1);
	memcpy(block, feed->stream.ptr + feed->taken, len);
	struct slice window = slice_of(block, len), args[16], *longer = NULL;
	uint32_t n = 0;
	enum resp_parsed parsed = resp_parse(&feed->parser, feed->limits, window, args, feed->room, &n, &used);
	if (parsed == RESP_BROKEN)
		buf_printf(&feed->log, "!%s", feed->parser.error);
	if (parsed == RESP_COMMAND) {
		cr_assert(n > 0);
		longer = malloc(n * sizeof(*longer));
		if (n > feed->room)
			resp_arguments(&feed->parser, window, longer);
		log_command(&feed->log, n > feed->room ? longer : args, n);
	}
	if (parsed == RESP_NOTHING)
		log_command(&feed->log, NULL, 0);
	if (parsed == RESP_COMMAND || parsed == RESP_NOTHING) {
		cr_assert(used > 0);
		cr_assert(used <= len);
	}
	feed->taken += used;
	free(longer);
	free(block);
	return parsed;
}

/* All that can be understood of the stream's first `given` bytes. */
static void feed_to(struct feed *feed, size_t given)
{
	feed->given = given;
	while (!feed->broken) {
		enum resp_parsed parsed = feed_step(feed);
		feed->broken = parsed == RESP_BROKEN;
		if (parsed == RESP_PARTIAL)
			break;
	}
}

static struct feed feed_begin(struct slice stream, const struct resp_limits *limits, uint32_t room)
{
	return (struct feed){.stream = stream, .limits = limits, .room = room};
}

/* Bytes as a C string would be written: they are often binary. */
static const char *shown(struct slice bytes, struct buf *room)
{
	for (size_t i = 0; i < bytes.len; i++)
		if (bytes.ptr[i] >= ' ' && bytes.ptr[i] < 127)
			buf_byte(room, bytes.ptr[i]);
		else
			buf_printf(room, "\\%03o", bytes.ptr[i]);
	buf_byte(room, '\0');
	return (const char *)room->ptr;
}

/* The whole stream is given: is the log the one expected? "?" stands for a command that
 * is begun but not ended. */
static void feed_end(struct feed *feed, struct slice expected, const char *how, size_t where)
{
	if (!feed->broken && feed->taken < feed->stream.len)
		buf_append(&feed->log, S("?"));
	if (!slice_equal(buf_slice(&feed->log), expected)) {
		struct buf stream = {0}, got = {0}, wanted = {0};
		cr_assert(false, "%s\n%s %zu, room %u: got\n%s\nexpected\n%s", shown(feed->stream, &stream), how, where,
		          feed->room, shown(buf_slice(&feed->log), &got), shown(expected, &wanted));
	}
	resp_parser_fini(&feed->parser);
	buf_fini(&feed->log);
}

static void check_steps(struct slice stream, const struct resp_limits *limits, uint32_t room, struct slice expected,
                        size_t step)
{
	struct feed feed = feed_begin(stream, limits, room);
	for (size_t given = step; given < stream.len; given += step)
		feed_to(&feed, given);
	feed_to(&feed, stream.len);
	feed_end(&feed, expected, "in steps of", step);
}

static void check_every_split(struct slice stream, const struct resp_limits *limits, struct slice expected)
{
	static const uint32_t rooms[] = {0, 1, 2, 16};
	for (size_t r = 0; r < array_len(rooms); r++) {
		check_steps(stream, limits, rooms[r], expected, stream.len);
		check_steps(stream, limits, rooms[r], expected, 1);
		for (size_t cut = 0; cut <= stream.len; cut++) {
			struct feed feed = feed_begin(stream, limits, rooms[r]);
			feed_to(&feed, cut);
			feed_to(&feed, stream.len);
			feed_end(&feed, expected, "cut at", cut);
		}
	}
}

/* ---- cases, as redis-server 7.0.15 answers them ------------------------------------------ */

struct parse_case {
	struct slice stream;
	struct slice expected;
	bool untrusted;
};

#define ERROR(text) "!Protocol error: " text
#define CASE(stream, expected)                                                                                        \
	{                                                                                                             \
		{(const uint8_t *)(stream), sizeof(stream) - 1}, {(const uint8_t *)(expected), sizeof(expected) - 1}, \
		        false                                                                                         \
	}
#define UNTRUSTED(stream, expected)                                                                                   \
	{                                                                                                             \
		{(const uint8_t *)(stream), sizeof(stream) - 1}, {(const uint8_t *)(expected), sizeof(expected) - 1}, \
		        true                                                                                          \
	}

static const struct parse_case cases[] = {
        CASE("*1\r\n$4\r\nPING\r\n", "PING;"),
        CASE("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "GET|k;"),
        CASE("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n*1\r\n$4\r\nPING\r\n", "SET||\r\n;PING;"),
        CASE("*2\r\n$4\r\nECHO\r\n$12\r\nabcdefghijkl\r\nPING\r\n", "ECHO|abcdefghijkl;PING;"),
        CASE("*1\r\n$4\r\nPING", "?"),
        CASE("*1\r\n$4\r\nPING\r", "?"),
        CASE("*1\r\n$4\r\nPINGxy", "PING;"),
        CASE("*1\rX$4\rYPINGzz*1\r\n$1\r\na\r\n", "PING;a;"),
        CASE("*0\r\n*-1\r\n*-5\r\n\r\n\nPING\n", "-;-;-;-;-;PING;"),
        CASE("*", "?"),
        CASE("*1", "?"),
        CASE("*1\r", "?"),
        CASE("*\r\n", ERROR("invalid multibulk length")),
        CASE("*-0\r\n", ERROR("invalid multibulk length")),
        CASE("*+1\r\n", ERROR("invalid multibulk length")),
        CASE("*01\r\n$4\r\nPING\r\n", ERROR("invalid multibulk length")),
        CASE("* 1\r\n$4\r\nPING\r\n", ERROR("invalid multibulk length")),
        CASE("*1x\r\n$4\r\nPING\r\n", ERROR("invalid multibulk length")),
        CASE("*1048577\r\n", ERROR("invalid multibulk length")),
        CASE("*2147483648\r\n", ERROR("invalid multibulk length")),
        CASE("*99999999999999999999999\r\n", ERROR("invalid multibulk length")),
        CASE("PING\r\n*9223372036854775808\r\n", "PING;" ERROR("invalid multibulk length")),
        CASE("*1048576\r\n", "?"),
        CASE("*1\r\n$-1\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$04\r\nPING\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$004\r\nPING\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$00\r\n\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$+4\r\nPING\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$4a\r\nPING\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$536870913\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$536870912\r\n", "?"),
        CASE("*1\r\n$4294967297\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$18446744073709551617\r\n", ERROR("invalid bulk length")),
        CASE("*2\r\n$3\r\nGET\r\nx1\r\nk\r\n", ERROR("expected '$', got 'x'")),
        CASE("*1\r\nx\r\n", ERROR("expected '$', got 'x'")),
        CASE("*1\r\n\r\n", ERROR("expected '$', got ' '")),
        CASE("*1\r\n\nx\r\n", ERROR("expected '$', got ' '")),
        CASE("*1\r\n\377\r\n", ERROR("expected '$', got '\377'")),
        CASE("*1\r\nx\r", "?"),
        CASE("*1\0\r\n$4\r\nPING\r\n", "?"),
        CASE("*1\r\n$4\0\r\nPING\r\n", "?"),
        UNTRUSTED("*10\r\n", "?"),
        UNTRUSTED("*11\r\n", ERROR("unauthenticated multibulk length")),
        UNTRUSTED("*2147483647\r\n", ERROR("unauthenticated multibulk length")),
        UNTRUSTED("*2147483648\r\n", ERROR("invalid multibulk length")),
        UNTRUSTED("*1\r\n$16384\r\n", "?"),
        UNTRUSTED("*1\r\n$16385\r\n", ERROR("unauthenticated bulk length")),
        UNTRUSTED("*1\r\n$536870912\r\n", ERROR("unauthenticated bulk length")),
        UNTRUSTED("*1\r\n$536870913\r\n", ERROR("invalid bulk length")),
        CASE("PING\r\n", "PING;"),
        CASE("PING\n", "PING;"),
        CASE("PING", "?"),
        CASE("PING\r", "?"),
        CASE("  SET  k\tv \r\n", "SET|k|v;"),
        CASE(" \t\v\f\r\n", "-;"),
        CASE("SET k\rv\r\r\n", "SET|k|v;"),
        CASE("ECHO a\vb \fq\r\n", "ECHO|a\vb|q;"),
        CASE("ECHO \"\\x41\\xfF\\n\\r\\t\\b\\a\\q\\\\\\\"\"\r\n", "ECHO|A\377\n\r\t\b\aq\\\";"),
        CASE("ECHO \"\\x4\" \"\\xg1\"\r\n", "ECHO|x4|xg1;"),
        CASE("ECHO 'a\\'b\\n'\r\n", "ECHO|a'b\\n;"),
        CASE("ECHO \"\" '' \"a b\"\n", "ECHO|||a b;"),
        CASE("ECHO foo\"bar\" x'y z'\n", "ECHO|foobar|xy z;"),
        CASE("ECHO \"a\"\fb\n", "ECHO|a|b;"),
        CASE("ECHO 'a'\"b\"\n", ERROR("unbalanced quotes in request")),
        CASE("ECHO \"a\"b\n", ERROR("unbalanced quotes in request")),
        CASE("ECHO \"a\n", ERROR("unbalanced quotes in request")),
        CASE("ECHO \"a\\\n", ERROR("unbalanced quotes in request")),
        CASE("ECHO 'a\n", ERROR("unbalanced quotes in request")),
        CASE("ECHO a\"\n", ERROR("unbalanced quotes in request")),
        CASE("ECHO \"a\r\n", ERROR("unbalanced quotes in request")),
        CASE("P\0NG\r\nPING\r\n", "?"),
        CASE("\200\377 $1 *2\r\n$1\r\n", "\200\377|$1|*2;$1;"),
};

Test(parse, cases_at_every_split)
{
	for (size_t i = 0; i < array_len(cases); i++)
		check_every_split(cases[i].stream, cases[i].untrusted ? &untrusted : &trusted, cases[i].expected);
}

/* `head` and then `n` times `c`, then `tail`. */
static struct buf repeated(struct slice head, char c, size_t n, struct slice tail)
{
	struct buf buf = {0};
	buf_append(&buf, head);
	memset(buf_reserve(&buf, n), c, n);
	buf.len += n;
	buf_append(&buf, tail);
	return buf;
}

static void check_long(struct slice head, char c, size_t n, struct slice tail, struct slice expected)
{
	struct buf stream = repeated(head, c, n, tail);
	check_steps(buf_slice(&stream), &trusted, 16, expected, stream.len);
	check_steps(buf_slice(&stream), &trusted, 16, expected, 16 * 1024);
	check_steps(buf_slice(&stream), &trusted, 16, expected, 997);
	buf_fini(&stream);
}

/* A line may have 64 KiB before its end, however it arrives. */
Test(parse, endless_lines)
{
	check_long(S("PING"), ' ', 65532, S("\n"), S("PING;"));
	check_long(S("PING"), ' ', 65533, S("\n"), S("!Protocol error: too big inline request"));
	check_long(S(""), 'A', 65536, S(""), S("?"));
	check_long(S(""), 'A', 65537, S(""), S("!Protocol error: too big inline request"));
	check_long(S("PING\n*"), '1', 65535, S(""), S("PING;?"));
	check_long(S("PING\n*"), '1', 65536, S(""), S("PING;!Protocol error: too big mbulk count string"));
	check_long(S("PING\n*"), '1', 65535, S("\r\n"), S("PING;!Protocol error: invalid multibulk length"));
	check_long(S("*1\r\n$"), '1', 65536, S(""), S("!Protocol error: too big bulk count string"));
	check_long(S("*1\r\n$"), '1', 65535, S("\r\n"), S("!Protocol error: invalid bulk length"));
	check_long(S("P\0\n"), '\n', 65534, S(""), S("!Protocol error: too big inline request"));
}

/* A line that comes byte by byte is looked at once. */
Test(parse, slow_lines_cost_no_second_look)
{
	struct buf stream = repeated(S(""), 'A', 65536, S("\n"));
	struct resp_parser parser = {0};
	struct slice args[16];
	uint32_t n;
	size_t used = 0;
	for (size_t len = 1; len < stream.len; len++) {
		struct slice window = slice_of(stream.ptr, len);
		cr_assert_eq(resp_parse(&parser, &trusted, window, args, 16, &n, &used), RESP_PARTIAL);
		cr_assert_eq(parser.scanned, len);
	}
	cr_assert_eq(resp_parse(&parser, &trusted, buf_slice(&stream), args, 16, &n, &used), RESP_COMMAND);
	cr_assert_eq(args[0].len, 65536);
	resp_parser_fini(&parser);
	buf_fini(&stream);
}

/* What a client declares costs nothing until it is there, and what it sent is let go. */
Test(parse, nothing_declared_is_reserved)
{
	struct resp_parser parser = {0};
	struct slice args[16];
	uint32_t n;
	size_t used;
	struct slice declared = S("*1000000\r\n$1\r\nx\r\n$500000000\r\nabc");
	cr_assert_eq(resp_parse(&parser, &trusted, declared, args, 16, &n, &used), RESP_PARTIAL);
	cr_assert(parser.places.cap <= 64);
	cr_assert_eq(parser.unquoted.cap, 0);
	resp_parser_fini(&parser);

	parser = (struct resp_parser){0};
	struct buf many = {0};
	buf_printf(&many, "*%d\r\n", 100000);
	for (int i = 0; i < 100000; i++)
		buf_append(&many, S("$1\r\nx\r\n"));
	cr_assert_eq(resp_parse(&parser, &trusted, buf_slice(&many), args, 16, &n, &used), RESP_COMMAND);
	cr_assert_eq(n, 100000);
	cr_assert_eq(used, many.len);
	cr_assert_eq(resp_parse(&parser, &trusted, slice_of(many.ptr, 0), args, 16, &n, &used), RESP_PARTIAL);
	cr_assert(parser.places.cap <= 4096);
	resp_parser_fini(&parser);
	buf_fini(&many);
}

Test(parse, whole_commands_touch_no_heap)
{
	struct buf stream = repeated(S("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$70000\r\n"), 'v', 70000, S("\r\n"));
	struct resp_parser parser = {0};
	struct slice args[3];
	uint32_t n;
	size_t used;
	cr_assert_eq(resp_parse(&parser, &trusted, buf_slice(&stream), args, 3, &n, &used), RESP_COMMAND);
	cr_assert_eq(n, 3);
	cr_assert_eq(args[2].len, 70000);
	cr_assert_null(parser.places.ptr);
	buf_fini(&stream);
}

/* ---- random streams against the reference ------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void random_bulk(struct buf *out, uint64_t *random)
{
	size_t len = next_random(random) % 8 ? next_random(random) % 20 : next_random(random) % 1500;
	buf_printf(out, "$%zu\r\n", len);
	for (size_t i = 0; i < len; i++)
		buf_byte(out, (uint8_t)next_random(random));
	buf_append(out, S("\r\n"));
}

static void random_request(struct buf *out, uint64_t *random)
{
	static const struct slice pieces[] = {
	        S("*"), S("$"), S("\r\n"), S("\n"), S("\""), S("'"),      S("\\"),     S("\\x4"), S(" "),  S("1"),
	        S("0"), S("-"), S("a"),    S("\v"), S("\r"), S("*2\r\n"), S("$1\r\n"), S("PING"), S("\0"), S("\377"),
	};
	if (next_random(random) % 3) {
		uint64_t n = next_random(random) % 6;
		buf_printf(out, "*%d\r\n", (int)n);
		for (uint64_t i = 0; i < n; i++)
			random_bulk(out, random);
		return;
	}
	for (uint64_t i = next_random(random) % 12; i > 0; i--)
		buf_append(out, pieces[next_random(random) % array_len(pieces)]);
	buf_append(out, next_random(random) % 2 ? S("\r\n") : S("\n"));
}

static void reference_log(struct slice stream, const struct resp_limits *limits, struct buf *log)
{
	size_t at = 0;
	enum resp_parsed parsed = RESP_COMMAND;
	while (parsed == RESP_COMMAND || parsed == RESP_NOTHING) {
		size_t used = 0;
		parsed = reference_parse(slice_sub(stream, at, stream.len), limits, log, &used);
		if (parsed == RESP_COMMAND || parsed == RESP_NOTHING)
			at += used;
	}
	if (parsed == RESP_PARTIAL && at < stream.len)
		buf_append(log, S("?"));
}

static void check_random_stream(uint64_t *random)
{
	struct buf stream = {0}, expected = {0};
	const struct resp_limits *limits = next_random(random) % 4 ? &trusted : &untrusted;
	for (uint64_t i = 1 + next_random(random) % 8; i > 0; i--)
		random_request(&stream, random);
	if (next_random(random) % 4 == 0)
		stream.ptr[next_random(random) % stream.len] = (uint8_t)next_random(random);
	reference_log(buf_slice(&stream), limits, &expected);
	struct feed feed = feed_begin(buf_slice(&stream), limits, (uint32_t)(next_random(random) % 17));
	uint64_t most = 1 + next_random(random) % 300;
	for (size_t given = 0; given < stream.len; given += 1 + next_random(random) % most)
		feed_to(&feed, given);
	feed_to(&feed, stream.len);
	feed_end(&feed, buf_slice(&expected), "random steps up to", most);
	buf_fini(&stream);
	buf_fini(&expected);
}

Test(parse, random_streams_as_the_reference)
{
	uint64_t random = 88172645463325252u;
	for (int i = 0; i < 20000; i++)
		check_random_stream(&random);
}

Test(parse, cases_as_the_reference)
{
	for (size_t i = 0; i < array_len(cases); i++) {
		struct buf log = {0};
		reference_log(cases[i].stream, cases[i].untrusted ? &untrusted : &trusted, &log);
		cr_assert(slice_equal(buf_slice(&log), cases[i].expected), "case %zu: %.*s", i, (int)log.len, log.ptr);
		buf_fini(&log);
	}
}
