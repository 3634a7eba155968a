#include "query/commands/stream_reach.h"

#include "engine/base/number.h"
#include "query/commands/stream_private.h"

static bool is(struct slice text, const char *word) { return slice_equal_nocase(text, slice_from_str(word)); }

/* ---- trimming ------------------------------------------------------------------------- */

/* Of a stream that gets `added` entries first, the block of the first entry that stays: it may be cut. One that has just
 * been added is in memory. */
static struct reach cut_by_length(struct slice text, int64_t added)
{
	int64_t length;
	if (!integer_parse(text, &length) || length <= added)
		return reach_none;
	return reach_range(added - length, added - length);
}

static struct reach cut_by_id(struct slice text)
{
	struct stream_id least;
	if (!id_parse(text, 0, ID_STRICT, NULL, &least))
		return reach_none;
	return stream_reach(least, least, false, UINT64_MAX);
}

/* [~|=] threshold behind argv[*at], which is the last word that belongs to it then. */
static struct reach needs_threshold(const struct slice *argv, uint32_t argc, uint32_t *at, int64_t added)
{
	bool by_id = is(argv[*at], "MINID"), may_sign = *at + 2 < argc;
	bool whole_blocks = may_sign && slice_equal(argv[*at + 1], S("~"));
	*at += may_sign && (whole_blocks || slice_equal(argv[*at + 1], S("=")));
	++*at;
	if (whole_blocks)
		return reach_none;
	return by_id ? cut_by_id(argv[*at]) : cut_by_length(argv[*at], added);
}

/* The options as run_xadd() and run_xtrim() read them; whoever says two thresholds is refused. */
static struct reach needs_trimming(const struct slice *argv, uint32_t argc, bool adds)
{
	struct reach reach = reach_none;
	for (uint32_t at = 2; at < argc; at++) {
		bool more = at + 1 < argc;
		if (more && (is(argv[at], "MAXLEN") || is(argv[at], "MINID")))
			reach = needs_threshold(argv, argc, &at, adds);
		else if (more && is(argv[at], "LIMIT"))
			at++;
		else if (!is(argv[at], "NOMKSTREAM"))
			break; /* the ID */
	}
	return reach;
}

struct reach needs_xadd(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return needs_trimming(argv, argc, true);
}

struct reach needs_xtrim(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return needs_trimming(argv, argc, false);
}

/* ---- ranges --------------------------------------------------------------------------- */

static struct reach needs_between(const struct slice *argv, uint32_t argc, bool backwards)
{
	struct stream_id from, to;
	int64_t count = -1;
	bool from_excluded, to_excluded;
	if (!id_parse_bound(argv[backwards ? 3 : 2], 0, &from, &from_excluded) ||
	    !id_parse_bound(argv[backwards ? 2 : 3], UINT64_MAX, &to, &to_excluded))
		return reach_none;
	for (uint32_t at = 4; at + 1 < argc; at += 2) {
		if (!integer_parse(argv[at + 1], &count))
			return reach_none;
		count = count < 0 ? 0 : count;
	}
	return stream_reach(from, to, backwards, count < 0 ? UINT64_MAX : (uint64_t)count);
}

struct reach needs_xrange(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return needs_between(argv, argc, false);
}

struct reach needs_xrevrange(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return needs_between(argv, argc, true);
}

/* ---- reading behind an ID --------------------------------------------------------------- */

struct reading {
	struct slice group, id;
	uint64_t count;
};

/* The words before STREAMS, as find_xread_keys() skips them. */
static bool read_words(const struct slice *argv, uint32_t argc, uint32_t key_at, struct reading *out)
{
	int64_t count;
	uint32_t at = 1;
	*out = (struct reading){.count = UINT64_MAX};
	for (; at + 2 < argc && !is(argv[at], "STREAMS"); at++) {
		if (is(argv[at], "COUNT")) {
			if (!integer_parse(argv[++at], &count))
				return false;
			out->count = count > 0 ? (uint64_t)count : UINT64_MAX;
		} else if (is(argv[at], "BLOCK")) {
			at++;
		} else if (is(argv[at], "GROUP")) {
			out->group = argv[at + 1];
			at += 2;
		}
	}
	uint32_t n = (argc - at - 1) / 2;
	if (at >= argc || key_at <= at || key_at + n >= argc)
		return false;
	out->id = argv[key_at + n];
	return true;
}

struct reach needs_xread(const struct slice *argv, uint32_t argc, uint32_t at)
{
	struct reading reading;
	struct stream_id after;
	if (!read_words(argv, argc, at, &reading) || id_special(reading.id) == ID_LAST)
		return reach_none;
	if (id_special(reading.id) == ID_LAST_ENTRY)
		return reach_range(-1, -1);
	if (!id_parse(reading.id, 0, ID_STRICT, NULL, &after) || !stream_id_increment(&after))
		return reach_none;
	return stream_reach(after, STREAM_ID_MAX, false, reading.count);
}

struct reach needs_xreadgroup(const struct slice *argv, uint32_t argc, uint32_t at)
{
	struct reading reading;
	struct stream_id after;
	if (!read_words(argv, argc, at, &reading))
		return reach_none;
	if (id_special(reading.id) == ID_NEW)
		after = STREAM_ID_MAX;
	else if (!id_parse(reading.id, 0, ID_STRICT, NULL, &after))
		return reach_none;
	if (stream_id_equal(after, STREAM_ID_MAX))
		return stream_reach_group(STREAM_REACH_UNREAD, reading.group, after, reading.count);
	/* Those of other consumers lie between: how many are passed over is not known. */
	(void)stream_id_increment(&after);
	return stream_reach_group(STREAM_REACH_PENDING, reading.group, after, UINT64_MAX);
}

/* ---- entries by name -------------------------------------------------------------------- */

/* IDs from argv[at] on, as far as there are any. */
static struct reach needs_ids(const struct slice *argv, uint32_t argc, uint32_t at)
{
	struct reach reach = reach_none;
	struct stream_id id;
	for (; at < argc && id_parse(argv[at], 0, ID_STRICT, NULL, &id); at++)
		reach_add_key(&reach, stream_key(id));
	return reach;
}

struct reach needs_xdel(const struct slice *argv, uint32_t argc, uint32_t at) { return needs_ids(argv, argc, 2); }
struct reach needs_xclaim(const struct slice *argv, uint32_t argc, uint32_t at) { return needs_ids(argv, argc, 5); }

struct reach needs_xautoclaim(const struct slice *argv, uint32_t argc, uint32_t at)
{
	struct stream_id from;
	bool excluded;
	int64_t count = AUTOCLAIM_COUNT, looks;
	if (!id_parse_bound(argv[5], 0, &from, &excluded))
		return reach_none;
	for (uint32_t word = 6; word + 1 < argc; word++)
		if (is(argv[word], "COUNT") && !integer_parse(argv[++word], &count))
			return reach_none;
	if (count < 1 || (excluded && !stream_id_increment(&from)))
		return reach_none;
	if (__builtin_mul_overflow(count, AUTOCLAIM_LOOKS, &looks))
		looks = INT64_MAX;
	return stream_reach_group(STREAM_REACH_PENDING, argv[2], from, (uint64_t)looks);
}

struct reach needs_xinfo_stream(const struct slice *argv, uint32_t argc, uint32_t at)
{
	int64_t count;
	if (argc == 3)
		return reach_places(0, -1);
	if (argc != 6)
		return reach_range(0, INFO_FULL_COUNT - 1);
	if (!integer_parse(argv[5], &count))
		return reach_none;
	return reach_range(0, count < 0 ? INFO_FULL_COUNT - 1 : count - 1); /* 0: all of them */
}
