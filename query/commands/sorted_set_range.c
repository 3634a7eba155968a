/* sorted_set_range.c -- commands on ranges: by rank, by score, by member. All become ranges of ranks first. */
#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "query/commands/notify.h"
#include "query/commands/sorted_set.h"

#include <math.h>
#include <stdlib.h>

/* ---- ranges ----------------------------------------------------------------------- */

enum range_by { BY_ANY, BY_RANK, BY_SCORE, BY_MEMBER };

struct score_end {
	double score;
	bool open; /* the score itself does not belong to it */
};

struct member_end {
	enum { LEAST, GREATEST, MEMBER } kind;
	struct slice member;
	bool open;
};

/* As a client says it. */
struct range {
	enum range_by by;
	int64_t from, to; /* ranks; negative: from the end */
	struct score_end min, max;
	struct member_end least, greatest;
};

/* Elements [from, from + n). */
struct ranks {
	uint64_t from, n;
};

/* As strtod() reads a C string, an empty one too. */
static bool read_loosely(struct slice text, double *out)
{
	cleanup(buf_fini) struct buf copy = {0};
	buf_append(&copy, text);
	buf_byte(&copy, 0);
	char *end;
	*out = strtod((const char *)copy.ptr, &end);
	return *end == 0 && !isnan(*out);
}

static bool read_score_end(struct slice text, struct score_end *out)
{
	out->open = text.len > 0 && text.ptr[0] == '(';
	if (out->open)
		text = slice_sub(text, 1, text.len);
	return real_parse_double(text, &out->score) || read_loosely(text, &out->score);
}

static bool read_member_end(struct slice text, struct member_end *out)
{
	if (text.len == 0)
		return false;
	char kind = (char)text.ptr[0];
	out->kind = kind == '-' ? LEAST : kind == '+' ? GREATEST : MEMBER;
	out->member = slice_sub(text, 1, text.len);
	out->open = kind == '(';
	return kind == '(' || kind == '[' || ((kind == '-' || kind == '+') && text.len == 1);
}

/* Reads argv[min_at] and argv[max_at]; false: the error is said. */
static bool read_range(struct exec *exec, uint32_t min_at, uint32_t max_at, struct range *out)
{
	struct slice min = exec->argv[min_at], max = exec->argv[max_at];
	const char *wrong = NULL;
	switch (out->by) {
	case BY_ANY:
	case BY_RANK:
		if (exec_integer(exec, min_at, &out->from) != OK || exec_integer(exec, max_at, &out->to) != OK)
			wrong = "value is not an integer or out of range";
		break;
	case BY_SCORE:
		if (!read_score_end(min, &out->min) || !read_score_end(max, &out->max))
			wrong = "min or max is not a float";
		break;
	case BY_MEMBER:
		if (!read_member_end(min, &out->least) || !read_member_end(max, &out->greatest))
			wrong = "min or max not valid string range item";
		break;
	}
	if (wrong)
		reply_error_fmt(exec->reply, "ERR %s", wrong);
	return !wrong;
}

static struct ranks ranks_between(uint64_t from, uint64_t to)
{
	return from < to ? (struct ranks){from, to - from} : (struct ranks){0, 0};
}

static struct ranks by_rank(uint64_t count, int64_t from, int64_t to)
{
	int64_t length = (int64_t)count;
	from = from < 0 ? from + length : from;
	to = to < 0 ? to + length : to;
	from = from < 0 ? 0 : from;
	to = to >= length ? length - 1 : to;
	return from > to ? (struct ranks){0, 0} : (struct ranks){(uint64_t)from, (uint64_t)(to - from + 1)};
}

/* How many elements come before an end of a range. */
static uint64_t count_to(const struct object *zset, const struct member_end *end, bool is_first)
{
	if (end->kind != MEMBER)
		return end->kind == LEAST ? 0 : collection_count(zset);
	return zset_count_before(zset, end->member, is_first == end->open);
}

/* Forwards, whatever the direction in which they will be said. */
static struct ranks find_ranks(const struct object *zset, const struct range *range)
{
	uint64_t from = 0, to = 0;
	switch (range->by) {
	case BY_ANY:
	case BY_RANK:
		return by_rank(collection_count(zset), range->from, range->to);
	case BY_SCORE:
		from = zset_count_below(zset, range->min.score, range->min.open);
		to = zset_count_below(zset, range->max.score, !range->max.open);
		break;
	case BY_MEMBER:
		from = count_to(zset, &range->least, true);
		to = count_to(zset, &range->greatest, false);
		break;
	}
	return ranks_between(from, to);
}

/* ---- counting ---------------------------------------------------------------------- */

static enum err count(struct exec *exec, enum range_by by)
{
	struct object *zset;
	struct range range = {.by = by};
	if (!read_range(exec, 2, 3, &range))
		return OK;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	reply_integer(exec->reply, zset ? (int64_t)find_ranks(zset, &range).n : 0);
	return OK;
}

static enum err run_zcount(struct exec *exec) { return count(exec, BY_SCORE); }
static enum err run_zlexcount(struct exec *exec) { return count(exec, BY_MEMBER); }

/* ---- removing ---------------------------------------------------------------------- */

static enum err remove_range(struct exec *exec, enum range_by by, struct slice event)
{
	struct collection zset;
	struct range range = {.by = by};
	if (!read_range(exec, 2, 3, &range))
		return OK;
	TRY(sorted_set_open(exec, &exec->first, &zset));
	struct ranks ranks = zset.object ? find_ranks(zset.object, &range) : (struct ranks){0, 0};
	if (ranks.n > 0)
		zset_cut(&zset, ranks.from, ranks.n);
	reply_integer(exec->reply, (int64_t)ranks.n);
	if (ranks.n > 0) {
		exec_notify(exec, EVENT_SORTED_SET, event, &exec->first);
		sorted_set_close(exec, &zset);
	}
	return OK;
}

static enum err run_zremrangebyrank(struct exec *exec) { return remove_range(exec, BY_RANK, S("zremrangebyrank")); }
static enum err run_zremrangebyscore(struct exec *exec) { return remove_range(exec, BY_SCORE, S("zremrangebyscore")); }
static enum err run_zremrangebylex(struct exec *exec) { return remove_range(exec, BY_MEMBER, S("zremrangebylex")); }

/* ---- ZRANGE and what came before it -------------------------------------------------- */

struct query {
	struct range range;
	bool backwards, may_turn; /* REV may say so */
	bool stores;
	bool with_scores;
	int64_t offset, limit; /* negative: all */
};

/* One option, behind which `left` arguments follow; how many it takes, -1: there is no such, -2: the error is said. */
static int read_option(struct exec *exec, uint32_t at, uint32_t left, struct query *out)
{
	if (!out->stores && exec_is(exec, at, S("WITHSCORES"))) {
		out->with_scores = true;
		return 0;
	}
	if (exec_is(exec, at, S("LIMIT")) && left >= 2) {
		if (exec_integer(exec, at + 1, &out->offset) == OK && exec_integer(exec, at + 2, &out->limit) == OK)
			return 2;
		reply_err(exec->reply, ERR_NOT_INTEGER);
		return -2;
	}
	bool by_member = exec_is(exec, at, S("BYLEX"));
	if (out->may_turn && exec_is(exec, at, S("REV"))) {
		out->may_turn = false;
		out->backwards = true;
		return 0;
	}
	if (out->range.by == BY_ANY && (by_member || exec_is(exec, at, S("BYSCORE")))) {
		out->range.by = by_member ? BY_MEMBER : BY_SCORE;
		return 0;
	}
	return -1;
}

/* Options from argv[at] on; false: the error is said. */
static bool read_options(struct exec *exec, uint32_t at, struct query *out)
{
	for (; at < exec->argc; at++) {
		int taken = read_option(exec, at, exec->argc - at - 1, out);
		if (taken == -1)
			reply_err(exec->reply, ERR_SYNTAX);
		if (taken < 0)
			return false;
		at += (uint32_t)taken;
	}
	if (out->range.by == BY_ANY)
		out->range.by = BY_RANK;
	const char *wrong = NULL;
	if (out->limit != -1 && out->range.by == BY_RANK)
		wrong = "LIMIT is only supported in combination with either BYSCORE or BYLEX";
	else if (out->with_scores && out->range.by == BY_MEMBER)
		wrong = "WITHSCORES not supported in combination with BYLEX";
	if (wrong)
		reply_error_fmt(exec->reply, "ERR syntax error, %s", wrong);
	return !wrong;
}

/* The query whose source is argv[at]; false: the error is said. */
static bool read_query(struct exec *exec, uint32_t at, struct query *out)
{
	if (!read_options(exec, at + 3, out))
		return false;
	bool turned = out->backwards && out->range.by != BY_RANK; /* then the greater end comes first */
	return read_range(exec, at + (turned ? 2 : 1), at + (turned ? 1 : 2), &out->range);
}

/* What is asked for, forwards; said backwards it begins at the end. */
static struct ranks answer(const struct object *zset, const struct query *query)
{
	uint64_t count = collection_count(zset);
	if (query->range.by == BY_RANK) {
		struct ranks ranks = by_rank(count, query->range.from, query->range.to);
		if (query->backwards && ranks.n > 0)
			ranks.from = count - ranks.from - ranks.n;
		return ranks;
	}
	struct ranks ranks = find_ranks(zset, &query->range);
	if (query->offset < 0 || (uint64_t)query->offset >= ranks.n)
		return (struct ranks){0, 0};
	uint64_t left = ranks.n - (uint64_t)query->offset;
	uint64_t n = query->limit >= 0 && (uint64_t)query->limit < left ? (uint64_t)query->limit : left;
	uint64_t skipped = (uint64_t)query->offset;
	return (struct ranks){query->backwards ? ranks.from + left - n : ranks.from + skipped, n};
}

static void say(struct exec *exec, const struct object *zset, struct ranks ranks, const struct query *query)
{
	struct zset_walk walk;
	struct zset_element element;
	reply_elements(exec, ranks.n, query->with_scores);
	if (ranks.n == 0)
		return;
	zset_walk(zset, query->backwards ? ranks.from + ranks.n : ranks.from, &walk);
	for (uint64_t i = 0; i < ranks.n; i++) {
		(void)(query->backwards ? zset_prev(&walk, &element) : zset_next(&walk, &element));
		reply_element(exec, &element, query->with_scores);
	}
}

static enum err range(struct exec *exec, enum range_by by, bool may_turn, bool backwards)
{
	struct object *zset;
	struct query query = {.range = {.by = by}, .may_turn = may_turn, .backwards = backwards, .limit = -1};
	if (!read_query(exec, 1, &query))
		return OK;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	if (zset)
		say(exec, zset, answer(zset, &query), &query);
	else
		reply_array(exec->reply, 0);
	return OK;
}

static enum err run_zrange(struct exec *exec) { return range(exec, BY_ANY, true, false); }
static enum err run_zrevrange(struct exec *exec) { return range(exec, BY_RANK, false, true); }
static enum err run_zrangebyscore(struct exec *exec) { return range(exec, BY_SCORE, false, false); }
static enum err run_zrevrangebyscore(struct exec *exec) { return range(exec, BY_SCORE, false, true); }
static enum err run_zrangebylex(struct exec *exec) { return range(exec, BY_MEMBER, false, false); }
static enum err run_zrevrangebylex(struct exec *exec) { return range(exec, BY_MEMBER, false, true); }

/* Elements of these ranks, in no table yet: shared, if they are all of a large sorted set. */
static struct collection copy_of(struct exec *exec, const struct object *source, struct ranks ranks)
{
	if (source && ranks.n == collection_count(source) && collection_is_large(source))
		return collection_apart_from(exec->shard, &exec->first, source);
	struct collection made = collection_apart(exec->shard, &exec->first, OBJECT_ZSET);
	struct zset_walk walk;
	struct zset_element element;
	char scratch[PACKED_SCRATCH];
	double score;
	if (ranks.n > 0)
		zset_walk(source, ranks.from, &walk);
	for (uint64_t i = 0; i < ranks.n && zset_next(&walk, &element); i++)
		(void)zset_put(&made, packed_text(&element.member, scratch), element.score, ZSET_ALWAYS, &score);
	return made;
}

/* Source and target may be one key: it is replaced when all is copied. */
static enum err run_zrangestore(struct exec *exec)
{
	struct object *source;
	struct query query = {.range = {.by = BY_ANY}, .may_turn = true, .stores = true, .limit = -1};
	struct key from = exec_key(exec, 2);
	if (!read_query(exec, 2, &query))
		return OK;
	TRY(sorted_set_find(exec, &from, &source));
	struct collection made = copy_of(exec, source, source ? answer(source, &query) : (struct ranks){0, 0});
	sorted_set_store(exec, &made, S("zrangestore"));
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

/* clang-format off */
static arguments zcount_arguments[] = {
	{"key", .type = ARG_KEY},
	{"min", .type = ARG_DOUBLE},
	{"max", .type = ARG_DOUBLE},
	{0},
};
static arguments zlexcount_arguments[] = {
	{"key", .type = ARG_KEY},
	{"min", .type = ARG_STRING},
	{"max", .type = ARG_STRING},
	{0},
};
static const struct command_history zrange_history[] = {
	{"6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options."},
	{0},
};
static arguments zrange_arguments_sortby[] = {
	{"byscore", "BYSCORE", .type = ARG_PURE_TOKEN},
	{"bylex", "BYLEX", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments zrange_arguments_offset_count[] = {
	{"offset", .type = ARG_INTEGER},
	{"count", .type = ARG_INTEGER},
	{0},
};
static arguments zrange_arguments[] = {
	{"key", .type = ARG_KEY},
	{"start", .type = ARG_STRING},
	{"stop", .type = ARG_STRING},
	{"sortby", NULL, "6.2.0", ARG_ONEOF, ARG_OPTIONAL, zrange_arguments_sortby},
	{"rev", "REV", "6.2.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"offset_count", "LIMIT", "6.2.0", ARG_BLOCK, ARG_OPTIONAL, zrange_arguments_offset_count},
	{"withscores", "WITHSCORES", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments zrangebylex_arguments[] = {
	{"key", .type = ARG_KEY},
	{"min", .type = ARG_STRING},
	{"max", .type = ARG_STRING},
	{"offset_count", "LIMIT", NULL, ARG_BLOCK, ARG_OPTIONAL, zrange_arguments_offset_count},
	{0},
};
static const struct command_history zrangebyscore_history[] = {{"2.0.0", "Added the `WITHSCORES` modifier."}, {0}};
static arguments zrangebyscore_arguments[] = {
	{"key", .type = ARG_KEY},
	{"min", .type = ARG_DOUBLE},
	{"max", .type = ARG_DOUBLE},
	{"withscores", "WITHSCORES", "2.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"offset_count", "LIMIT", NULL, ARG_BLOCK, ARG_OPTIONAL, zrange_arguments_offset_count},
	{0},
};
static arguments zrangestore_arguments[] = {
	{"dst", .type = ARG_KEY},
	{"src", .type = ARG_KEY},
	{"min", .type = ARG_STRING},
	{"max", .type = ARG_STRING},
	{"sortby", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = zrange_arguments_sortby},
	{"rev", "REV", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"offset_count", "LIMIT", NULL, ARG_BLOCK, ARG_OPTIONAL, zrange_arguments_offset_count},
	{0},
};
static arguments zremrangebyrank_arguments[] = {
	{"key", .type = ARG_KEY},
	{"start", .type = ARG_INTEGER},
	{"stop", .type = ARG_INTEGER},
	{0},
};
static arguments zrevrange_arguments[] = {
	{"key", .type = ARG_KEY},
	{"start", .type = ARG_INTEGER},
	{"stop", .type = ARG_INTEGER},
	{"withscores", "WITHSCORES", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments zrevrangebylex_arguments[] = {
	{"key", .type = ARG_KEY},
	{"max", .type = ARG_STRING},
	{"min", .type = ARG_STRING},
	{"offset_count", "LIMIT", NULL, ARG_BLOCK, ARG_OPTIONAL, zrange_arguments_offset_count},
	{0},
};
static const struct command_history zrevrangebyscore_history[] = {
	{"2.1.6", "`min` and `max` can be exclusive."},
	{0},
};
static arguments zrevrangebyscore_arguments[] = {
	{"key", .type = ARG_KEY},
	{"max", .type = ARG_DOUBLE},
	{"min", .type = ARG_DOUBLE},
	{"withscores", "WITHSCORES", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"offset_count", "LIMIT", NULL, ARG_BLOCK, ARG_OPTIONAL, zrange_arguments_offset_count},
	{0},
};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

const struct command sorted_set_range_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"ZCOUNT", 4, {1, 1, 1}, READ | FAST, "2.0.0",
	 "O(log(N)) with N being the number of elements in the sorted set.",
	 "Count the members in a sorted set with scores within the given values", run_zcount, zcount_arguments},
	{"ZLEXCOUNT", 4, {1, 1, 1}, READ | FAST, "2.8.9",
	 "O(log(N)) with N being the number of elements in the sorted set.",
	 "Count the number of members in a sorted set between a given lexicographical range", run_zlexcount,
	 zlexcount_arguments},
	{"ZRANGE", -4, {1, 1, 1}, READ, "1.2.0",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
	 "Return a range of members in a sorted set", run_zrange, zrange_arguments, .history = zrange_history},
	{"ZRANGEBYLEX", -4, {1, 1, 1}, READ, "2.8.9",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being "
	 "returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider "
	 "it O(log(N)).",
	 "Return a range of members in a sorted set, by lexicographical range", run_zrangebylex,
	 zrangebylex_arguments, .deprecated_since = "6.2.0", .replaced_by = "`ZRANGE` with the `BYLEX` argument"},
	{"ZRANGEBYSCORE", -4, {1, 1, 1}, READ, "1.0.5",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being "
	 "returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider "
	 "it O(log(N)).",
	 "Return a range of members in a sorted set, by score", run_zrangebyscore, zrangebyscore_arguments,
	 .history = zrangebyscore_history, .deprecated_since = "6.2.0",
	 .replaced_by = "`ZRANGE` with the `BYSCORE` argument"},
	{"ZRANGESTORE", -5, {1, 2, 1}, WRITE | GROWS, "6.2.0",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored "
	 "into the destination key.",
	 "Store a range of members from sorted set into another key", run_zrangestore, zrangestore_arguments,
	 .uses = "OW update, RO access"},
	{"ZREMRANGEBYLEX", 4, {1, 1, 1}, WRITE, "2.8.9",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed "
	 "by the operation.",
	 "Remove all members in a sorted set between the given lexicographical range", run_zremrangebylex,
	 zlexcount_arguments, .uses = "RW delete"},
	{"ZREMRANGEBYRANK", 4, {1, 1, 1}, WRITE, "2.0.0",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed "
	 "by the operation.",
	 "Remove all members in a sorted set within the given indexes", run_zremrangebyrank,
	 zremrangebyrank_arguments, .uses = "RW delete"},
	{"ZREMRANGEBYSCORE", 4, {1, 1, 1}, WRITE, "1.2.0",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed "
	 "by the operation.",
	 "Remove all members in a sorted set within the given scores", run_zremrangebyscore, zcount_arguments,
	 .uses = "RW delete"},
	{"ZREVRANGE", -4, {1, 1, 1}, READ, "1.2.0",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
	 "Return a range of members in a sorted set, by index, with scores ordered from high to low", run_zrevrange,
	 zrevrange_arguments, .deprecated_since = "6.2.0", .replaced_by = "`ZRANGE` with the `REV` argument"},
	{"ZREVRANGEBYLEX", -4, {1, 1, 1}, READ, "2.8.9",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being "
	 "returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider "
	 "it O(log(N)).",
	 "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower "
	 "strings.", run_zrevrangebylex, zrevrangebylex_arguments, .deprecated_since = "6.2.0",
	 .replaced_by = "`ZRANGE` with the `REV` and `BYLEX` arguments"},
	{"ZREVRANGEBYSCORE", -4, {1, 1, 1}, READ, "2.2.0",
	 "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being "
	 "returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider "
	 "it O(log(N)).",
	 "Return a range of members in a sorted set, by score, with scores ordered from high to low",
	 run_zrevrangebyscore, zrevrangebyscore_arguments, .history = zrevrangebyscore_history,
	 .deprecated_since = "6.2.0", .replaced_by = "`ZRANGE` with the `REV` and `BYSCORE` arguments"},
	{0},
};
/* clang-format on */
