/* HTTP requests: the same requests however the bytes are cut. Input: a byte of seed, a stream. */
#include "protocols/http/parse.h"
#include "tests/fuzz/fuzz.h"

struct feed {
	struct http_parser parser;
	struct slice stream;
	size_t taken;
	bool broken;
	struct buf log;
};

static void note(struct buf *log, struct slice part)
{
	buf_printf(log, "%zu:", part.len);
	buf_append(log, part);
}

static void note_request(struct buf *log, const struct http_request *request)
{
	note(log, request->method);
	note(log, request->path);
	note(log, request->query);
	note(log, request->body);
	buf_byte(log, request->keep_alive ? 'k' : 'c');
	fuzz_check(request->method.len > 0);
	fuzz_check(request->path.len > 0);
	fuzz_check(request->path.ptr[0] == '/' || slice_equal(request->path, S("*")));
	fuzz_check(request->body.len <= HTTP_BODY_MAX);
}

static enum http_parsed step(struct feed *feed, size_t given)
{
	size_t used = 0, len = given - feed->taken;
	uint8_t *block = fuzz_copy(slice_sub(feed->stream, feed->taken, given));
	struct http_request request;
	enum http_parsed parsed = http_parse(&feed->parser, slice_of(block, len), &request, &used);
	if (parsed == HTTP_REQUEST)
		note_request(&feed->log, &request);
	else if (parsed == HTTP_CONTINUE)
		buf_byte(&feed->log, '+');
	else if (parsed == HTTP_BROKEN)
		buf_printf(&feed->log, "!%d %s", feed->parser.status, feed->parser.why);
	else
		fuzz_check(len < HTTP_HEAD_MAX + HTTP_BODY_MAX);
	fuzz_check(used <= len);
	fuzz_check((used > 0) == (parsed == HTTP_REQUEST));
	feed->taken += used;
	free(block);
	return parsed;
}

static void feed_to(struct feed *feed, size_t given)
{
	enum http_parsed parsed = HTTP_REQUEST;
	while (!feed->broken && parsed != HTTP_PARTIAL) {
		parsed = step(feed, given);
		feed->broken = parsed == HTTP_BROKEN;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice stream = slice_of(data, size);
	uint32_t seed = fuzz_byte(&stream);
	struct feed whole = {.stream = stream}, cut = {.stream = stream};
	feed_to(&whole, stream.len);
	for (size_t given = 0; given < stream.len; given += fuzz_piece(&seed))
		feed_to(&cut, given);
	feed_to(&cut, stream.len);
	fuzz_check(whole.taken == cut.taken);
	fuzz_check(slice_equal(buf_slice(&whole.log), buf_slice(&cut.log)));
	buf_fini(&whole.log);
	buf_fini(&cut.log);
	return 0;
}
