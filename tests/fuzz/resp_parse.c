/* RESP requests: the same commands however the bytes are cut, the reference's commands, and
 * memory in proportion to what arrived. Input: a byte of choices, a byte of seed, a stream. */
#include "protocols/resp/parse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocols/resp/resp_reference.h"

static const struct resp_limits trusted = {512 << 20, 1024 * 1024, 64 * 1024, true};
/* Small limits, so that a fuzzer reaches them. */
static const struct resp_limits untrusted = {300, 10, 200, false};

struct feed {
	struct resp_parser parser;
	const struct resp_limits *limits;
	uint32_t room;
	struct slice stream;
	size_t taken;
	bool broken;
	struct buf log;   /* as the reference writes it */
	struct buf sizes; /* of each argument: what the log does not tell apart */
};

static void note(struct feed *feed, const struct slice *args, uint32_t n)
{
	log_command(&feed->log, args, n);
	buf_printf(&feed->sizes, "%u", n);
	for (uint32_t i = 0; i < n; i++)
		buf_printf(&feed->sizes, " %zu", args[i].len);
}

static void check_memory(const struct feed *feed, size_t window)
{
	/* An argument takes two bytes of a line at least; buffers grow by half; 4 KiB are kept. */
	fuzz_check(feed->parser.places.cap <= 4096 + 64 + window / 2 * sizeof(struct resp_place) * 3 / 2 + 64);
	fuzz_check(feed->parser.unquoted.cap <= 4096 + 64 + window * 3 / 2);
	fuzz_check(feed->parser.at <= window);
}

static enum resp_parsed step(struct feed *feed, size_t given)
{
	size_t used = 0, len = given - feed->taken;
	uint8_t *block = fuzz_copy(slice_sub(feed->stream, feed->taken, given));
	struct slice window = slice_of(block, len), args[16], *longer = NULL;
	uint32_t n = 0;
	enum resp_parsed parsed = resp_parse(&feed->parser, feed->limits, window, args, feed->room, &n, &used);
	check_memory(feed, len);
	if (parsed == RESP_COMMAND) {
		fuzz_check(n > 0);
		longer = malloc(n * sizeof(*longer));
		if (n > feed->room)
			resp_arguments(&feed->parser, window, longer);
		note(feed, n > feed->room ? longer : args, n);
	} else if (parsed == RESP_NOTHING) {
		note(feed, NULL, 0);
	} else if (parsed == RESP_BROKEN) {
		buf_printf(&feed->log, "!%s", feed->parser.error);
	}
	fuzz_check(used <= len);
	fuzz_check((used > 0) == (parsed == RESP_COMMAND || parsed == RESP_NOTHING));
	feed->taken += used;
	free(longer);
	free(block);
	return parsed;
}

static void feed_to(struct feed *feed, size_t given)
{
	enum resp_parsed parsed = RESP_COMMAND;
	while (!feed->broken && parsed != RESP_PARTIAL) {
		parsed = step(feed, given);
		feed->broken = parsed == RESP_BROKEN;
	}
}

static void feed_fini(struct feed *feed)
{
	resp_parser_fini(&feed->parser);
	buf_fini(&feed->log);
	buf_fini(&feed->sizes);
}

static void reference_log(struct slice stream, const struct resp_limits *limits, struct buf *log)
{
	enum resp_parsed parsed = RESP_COMMAND;
	while (parsed == RESP_COMMAND || parsed == RESP_NOTHING) {
		size_t used = 0;
		parsed = reference_parse(stream, limits, log, &used);
		stream = slice_sub(stream, used <= stream.len && parsed != RESP_PARTIAL ? used : 0, stream.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice stream = slice_of(data, size);
	uint8_t choices = fuzz_byte(&stream);
	uint32_t seed = fuzz_byte(&stream);
	struct feed whole = {.limits = choices & 1 ? &untrusted : &trusted, .room = choices / 2 % 17, .stream = stream};
	struct feed cut = whole;
	struct buf reference = {0};
	feed_to(&whole, stream.len);
	for (size_t given = 0; given < stream.len; given += fuzz_piece(&seed))
		feed_to(&cut, given);
	feed_to(&cut, stream.len);
	reference_log(stream, whole.limits, &reference);
	fuzz_check(whole.taken == cut.taken);
	fuzz_check(slice_equal(buf_slice(&whole.log), buf_slice(&cut.log)));
	fuzz_check(slice_equal(buf_slice(&whole.sizes), buf_slice(&cut.sizes)));
	fuzz_check(slice_equal(buf_slice(&whole.log), buf_slice(&reference)));
	feed_fini(&whole);
	feed_fini(&cut);
	buf_fini(&reference);
	return 0;
}
