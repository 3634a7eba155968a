/* sorted_set.c -- commands on one sorted set: scores, ranks, pops, random members. */
#include "query/commands/sorted_set.h"

#include "engine/base/number.h"
#include "engine/core/core.h"
#include "query/commands/notify.h"
#include "query/commands/sample.h"
#include "query/commands/scan.h"

/* ---- words ------------------------------------------------------------------------ */

enum err sorted_set_find(struct exec *exec, const struct key *key, struct object **out)
{
	struct object *object = exec_find(exec, key, FIND_READ);
	if (object && unlikely(object_type(object) != OBJECT_ZSET))
		return ERR_WRONG_TYPE;
	*out = object;
	return OK;
}

enum err sorted_set_open(struct exec *exec, const struct key *key, struct collection *out)
{
	return exec_open(exec, key, OBJECT_ZSET, out);
}

void sorted_set_close(struct exec *exec, struct collection *zset)
{
	const struct key *key = zset->key;
	if (collection_close(zset))
		exec_notify(exec, EVENT_GENERIC, S("del"), key);
}

void sorted_set_store(struct exec *exec, struct collection *made, struct slice event)
{
	const struct key *key = made->key;
	uint64_t n = collection_count(made->object);
	bool existed = keyspace_find(exec->shard, key, FIND_QUIET);
	bool stored = collection_put(made, EXPIRES_NEVER);
	reply_integer(exec->reply, (int64_t)n);
	if (stored)
		exec_notify(exec, EVENT_SORTED_SET, event, key);
	else if (existed)
		exec_notify(exec, EVENT_GENERIC, S("del"), key);
}

enum err exec_score(const struct exec *exec, uint32_t at, double *out)
{
	return likely(real_parse_double(exec->argv[at], out)) ? OK : ERR_NOT_FLOAT;
}

bool exec_count(struct exec *exec, uint32_t at, int64_t min, const char *otherwise, int64_t *out)
{
	if (exec_integer(exec, at, out) == OK && *out >= min)
		return true;
	reply_error_fmt(exec->reply, "ERR %s", otherwise);
	return false;
}

void reply_elements(struct exec *exec, uint64_t n, bool with_scores)
{
	reply_array(exec->reply, with_scores && exec->client->resp == 2 ? 2 * n : n);
}

void reply_element(struct exec *exec, const struct zset_element *element, bool with_scores)
{
	char scratch[PACKED_SCRATCH];
	if (with_scores && exec->client->resp > 2)
		reply_array(exec->reply, 2);
	reply_bulk(exec->reply, packed_text(&element->member, scratch));
	if (with_scores)
		reply_real(exec->reply, element->score);
}

int find_numbered_keys(const struct slice *argv, uint32_t argc, uint32_t at, uint32_t *out, uint32_t room)
{
	int64_t n;
	if (at >= argc || !integer_parse(argv[at], &n) || n < 1 || n > (int64_t)argc - 1 - at)
		return -1;
	for (uint32_t i = 0; i < (uint32_t)n && i < room; i++)
		out[i] = at + 1 + i;
	return (int)n;
}

/* ---- ZADD ------------------------------------------------------------------------- */

struct addition {
	unsigned conditions;
	bool counts_changes;
	uint32_t pairs_at;
};

static bool read_condition(const struct exec *exec, uint32_t at, struct addition *out)
{
	static const struct {
		struct slice word;
		unsigned condition;
	} conditions[] = {
	        {S("NX"), ZSET_IF_ABSENT}, {S("XX"), ZSET_IF_PRESENT}, {S("GT"), ZSET_IF_GREATER},
	        {S("LT"), ZSET_IF_LESS},   {S("INCR"), ZSET_ADD},
	};
	for (size_t i = 0; i < array_len(conditions); i++)
		if (exec_is(exec, at, conditions[i].word)) {
			out->conditions |= conditions[i].condition;
			return true;
		}
	if (!exec_is(exec, at, S("CH")))
		return false;
	out->counts_changes = true;
	return true;
}

static const char *contradiction(unsigned conditions, uint32_t n_pairs)
{
	bool absent = conditions & ZSET_IF_ABSENT, greater = conditions & ZSET_IF_GREATER,
	     less = conditions & ZSET_IF_LESS;
	if (absent && (conditions & ZSET_IF_PRESENT))
		return "XX and NX options at the same time are not compatible";
	if ((greater && absent) || (less && absent) || (greater && less))
		return "GT, LT, and/or NX options at the same time are not compatible";
	if ((conditions & ZSET_ADD) && n_pairs > 1)
		return "INCR option supports a single increment-element pair";
	return NULL;
}

struct tally {
	uint64_t added, changed;
	bool refused, nan;
	double score; /* of the last that was not refused */
};

static void add_pairs(struct exec *exec, struct collection *zset, const struct addition *addition, const double *scores,
                      struct tally *out)
{
	for (uint32_t at = addition->pairs_at; at < exec->argc && !out->nan; at += 2) {
		enum zset_result result =
		        zset_put(zset, exec->argv[at + 1], *scores++, addition->conditions, &out->score);
		out->added += result == ZSET_ADDED;
		out->changed += result == ZSET_CHANGED;
		out->refused = result == ZSET_REFUSED;
		out->nan = result == ZSET_NAN;
	}
}

static void reply_tally(struct exec *exec, const struct addition *addition, const struct tally *tally)
{
	if (tally->nan)
		reply_error_fmt(exec->reply, "ERR resulting score is not a number (NaN)");
	else if (!(addition->conditions & ZSET_ADD))
		reply_integer(exec->reply, (int64_t)(tally->added + (addition->counts_changes ? tally->changed : 0)));
	else if (tally->refused)
		reply_null(exec->reply);
	else
		reply_real(exec->reply, tally->score);
}

enum { PAIRS_FEW = 16 };

static enum err add(struct exec *exec, unsigned conditions)
{
	struct addition addition = {.conditions = conditions, .pairs_at = 2};
	while (addition.pairs_at < exec->argc && read_condition(exec, addition.pairs_at, &addition))
		addition.pairs_at++;
	uint32_t values = exec->argc - addition.pairs_at;
	if (values == 0 || values % 2 != 0)
		return ERR_SYNTAX;
	const char *wrong = contradiction(addition.conditions, values / 2);
	if (wrong) {
		reply_error_fmt(exec->reply, "ERR %s", wrong);
		return OK;
	}
	double few[PAIRS_FEW], *scores = few;
	cleanup(buf_fini) struct buf many = {0};
	if (values / 2 > PAIRS_FEW)
		scores = (double *)buf_reserve(&many, values / 2 * sizeof(double));
	for (uint32_t i = 0; i < values / 2; i++)
		TRY(exec_score(exec, addition.pairs_at + 2 * i, &scores[i]));
	struct collection zset;
	struct tally tally = {0};
	TRY(sorted_set_open(exec, &exec->first, &zset));
	add_pairs(exec, &zset, &addition, scores, &tally);
	reply_tally(exec, &addition, &tally);
	if (tally.added + tally.changed > 0)
		exec_notify(exec, EVENT_SORTED_SET, addition.conditions & ZSET_ADD ? S("zincr") : S("zadd"),
		            &exec->first);
	return OK;
}

static enum err run_zadd(struct exec *exec) { return add(exec, ZSET_ALWAYS); }
static enum err run_zincrby(struct exec *exec) { return add(exec, ZSET_ADD); }

/* ---- ZREM ------------------------------------------------------------------------- */

static enum err run_zrem(struct exec *exec)
{
	struct collection zset;
	int64_t removed = 0;
	TRY(sorted_set_open(exec, &exec->first, &zset));
	for (uint32_t at = 2; zset.object && at < exec->argc && collection_count(zset.object) > 0; at++)
		removed += zset_remove(&zset, exec->argv[at]);
	reply_integer(exec->reply, removed);
	if (removed > 0) {
		exec_notify(exec, EVENT_SORTED_SET, S("zrem"), &exec->first);
		sorted_set_close(exec, &zset);
	}
	return OK;
}

/* ---- asking for members -------------------------------------------------------------- */

static enum err run_zcard(struct exec *exec)
{
	struct object *zset;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	reply_integer(exec->reply, zset ? (int64_t)collection_count(zset) : 0);
	return OK;
}

static void say_score(struct exec *exec, struct object *zset, struct slice member)
{
	double score;
	if (zset && zset_score(exec->shard, zset, member, &score))
		reply_real(exec->reply, score);
	else
		reply_null(exec->reply);
}

static enum err run_zscore(struct exec *exec)
{
	struct object *zset;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	say_score(exec, zset, exec->argv[2]);
	return OK;
}

static enum err run_zmscore(struct exec *exec)
{
	struct object *zset;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	reply_array(exec->reply, exec->argc - 2);
	for (uint32_t at = 2; at < exec->argc; at++)
		say_score(exec, zset, exec->argv[at]);
	return OK;
}

static enum err rank(struct exec *exec, bool from_end)
{
	struct object *zset;
	uint64_t place;
	double score;
	bool with_score = exec->argc == 4;
	if (exec->argc > 4 || (with_score && !exec_is(exec, 3, S("WITHSCORE"))))
		return ERR_SYNTAX;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	if (!zset || !zset_rank(exec->shard, zset, exec->argv[2], &place, &score)) {
		if (with_score)
			reply_null_array(exec->reply);
		else
			reply_null(exec->reply);
		return OK;
	}
	if (with_score)
		reply_array(exec->reply, 2);
	reply_integer(exec->reply, (int64_t)(from_end ? collection_count(zset) - 1 - place : place));
	if (with_score)
		reply_real(exec->reply, score);
	return OK;
}

static enum err run_zrank(struct exec *exec) { return rank(exec, false); }
static enum err run_zrevrank(struct exec *exec) { return rank(exec, true); }

/* ---- popping ---------------------------------------------------------------------- */

void sorted_set_pop(struct exec *exec, struct collection *zset, enum zset_end end, uint64_t n, bool nested)
{
	struct zset_walk walk;
	struct zset_element element;
	char scratch[PACKED_SCRATCH];
	uint64_t count = collection_count(zset->object), some = n < count ? n : count;
	reply_array(exec->reply, nested ? some : 2 * some);
	zset_walk(zset->object, end == ZSET_MIN ? 0 : count, &walk);
	for (uint64_t i = 0; i < some; i++) {
		(void)(end == ZSET_MIN ? zset_next(&walk, &element) : zset_prev(&walk, &element));
		if (nested)
			reply_array(exec->reply, 2);
		reply_bulk(exec->reply, packed_text(&element.member, scratch));
		reply_real(exec->reply, element.score);
	}
	if (some == 0)
		return;
	zset_cut(zset, end == ZSET_MIN ? 0 : count - some, some);
	exec_notify(exec, EVENT_SORTED_SET, end == ZSET_MIN ? S("zpopmin") : S("zpopmax"), zset->key);
	sorted_set_close(exec, zset);
}

static enum err pop(struct exec *exec, enum zset_end end)
{
	struct collection zset;
	int64_t n = 1;
	bool several = exec->argc == 3;
	if (exec->argc > 3)
		return ERR_SYNTAX;
	if (several && !exec_count(exec, 2, 0, "value is out of range, must be positive", &n))
		return OK;
	TRY(sorted_set_open(exec, &exec->first, &zset));
	if (zset.object)
		sorted_set_pop(exec, &zset, end, (uint64_t)n, several && exec->client->resp > 2);
	else
		reply_array(exec->reply, 0);
	return OK;
}

static enum err run_zpopmin(struct exec *exec) { return pop(exec, ZSET_MIN); }
static enum err run_zpopmax(struct exec *exec) { return pop(exec, ZSET_MAX); }

static int find_zmpop_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	return find_numbered_keys(argv, argc, 1, out, room);
}

static enum err read_end(const struct exec *exec, uint32_t at, enum zset_end *out)
{
	if (at >= exec->argc)
		return ERR_SYNTAX;
	if (exec_is(exec, at, S("MIN")))
		*out = ZSET_MIN;
	else if (exec_is(exec, at, S("MAX")))
		*out = ZSET_MAX;
	else
		return ERR_SYNTAX;
	return OK;
}

static enum err run_zmpop(struct exec *exec)
{
	int64_t n_keys, n = 1;
	enum zset_end end;
	if (!exec_count(exec, 1, 1, "numkeys should be greater than 0", &n_keys))
		return OK;
	if (n_keys > (int64_t)exec->argc - 3)
		return ERR_SYNTAX;
	uint32_t at = 2 + (uint32_t)n_keys;
	TRY(read_end(exec, at++, &end));
	if (at < exec->argc && (!exec_is(exec, at, S("COUNT")) || at + 1 == exec->argc))
		return ERR_SYNTAX;
	if (at < exec->argc && !exec_count(exec, at + 1, 1, "count should be greater than 0", &n))
		return OK;
	if (at + 2 < exec->argc)
		return ERR_SYNTAX;
	for (uint32_t i = 2; i < 2 + (uint32_t)n_keys; i++) {
		struct key key = exec_key(exec, i);
		struct collection zset;
		TRY(sorted_set_open(exec, &key, &zset));
		if (!zset.object)
			continue;
		reply_array(exec->reply, 2);
		reply_bulk(exec->reply, key.name);
		sorted_set_pop(exec, &zset, end, (uint64_t)n, true);
		return OK;
	}
	reply_null_array(exec->reply);
	return OK;
}

/* ---- random members ------------------------------------------------------------------ */

static uint64_t random_below(struct exec *exec, uint64_t n)
{
	return (uint64_t)((unsigned __int128)core_random(exec->core) * n >> 64);
}

static void say_at(struct exec *exec, const struct object *zset, uint64_t at, bool with_scores)
{
	struct zset_walk walk;
	struct zset_element element;
	zset_walk(zset, at, &walk);
	(void)zset_next(&walk, &element);
	reply_element(exec, &element, with_scores);
}

/* Each at most once: every element is taken with the chance that leaves all choices equal.
 * Source: Fan, Muller, Rezucha, "Development of Sampling Plans by Using Sequential (Item by Item) Selection
 * Techniques", 1962. */
static void say_sample(struct exec *exec, const struct object *zset, uint64_t wanted, bool with_scores)
{
	struct zset_walk walk;
	struct zset_element element;
	uint64_t left = collection_count(zset);
	zset_walk(zset, 0, &walk);
	for (; wanted > 0 && zset_next(&walk, &element); left--) {
		if (random_below(exec, left) >= wanted)
			continue;
		reply_element(exec, &element, with_scores);
		wanted--;
	}
}

/* The same for few of many: drawn again where one was drawn already. */
static void say_few(struct exec *exec, const struct object *zset, uint64_t wanted, bool with_scores)
{
	uint64_t cap = 4, count = collection_count(zset);
	while (cap < 2 * wanted)
		cap *= 2;
	cleanup(buf_fini) struct buf room = {0};
	uint64_t *drawn = (uint64_t *)buf_reserve(&room, cap * sizeof(*drawn));
	memset(drawn, 0xff, cap * sizeof(*drawn));
	while (wanted > 0) {
		uint64_t at = random_below(exec, count), slot = at * 0x9e3779b97f4a7c15u & (cap - 1);
		while (drawn[slot] != UINT64_MAX && drawn[slot] != at)
			slot = (slot + 1) & (cap - 1);
		if (drawn[slot] == at)
			continue;
		drawn[slot] = at;
		say_at(exec, zset, at, with_scores);
		wanted--;
	}
}

static void say_random(struct exec *exec, const struct object *zset, int64_t n, bool with_scores)
{
	uint64_t count = collection_count(zset), wanted = n < 0 ? -(uint64_t)n : (uint64_t)n;
	if (n > 0 && wanted > count)
		wanted = count;
	reply_elements(exec, wanted, with_scores);
	if (n < 0) {
		for (; wanted > 0; wanted--)
			say_at(exec, zset, random_below(exec, count), with_scores);
	} else if (wanted > count / 3) {
		say_sample(exec, zset, wanted, with_scores);
	} else {
		say_few(exec, zset, wanted, with_scores);
	}
}

static enum err run_zrandmember(struct exec *exec)
{
	struct object *zset;
	int64_t n = 0;
	bool with_scores = exec->argc == 4;
	if (exec->argc > 2) {
		TRY(exec_integer(exec, 2, &n));
		if (n == INT64_MIN) {
			reply_error_fmt(exec->reply, "ERR value is out of range, value must between %ld and %ld",
			                -INT64_MAX, INT64_MAX);
			return OK;
		}
		if (exec->argc > 4 || (with_scores && !exec_is(exec, 3, S("WITHSCORES"))))
			return ERR_SYNTAX;
		if (with_scores && (n < -INT64_MAX / 2 || n > INT64_MAX / 2))
			return ERR_OUT_OF_RANGE;
	}
	TRY(sorted_set_find(exec, &exec->first, &zset));
	if (exec->argc > 2 && (!zset || n == 0))
		reply_array(exec->reply, 0);
	else if (!zset)
		reply_null(exec->reply);
	else if (exec->argc == 2)
		say_at(exec, zset, random_below(exec, collection_count(zset)), false);
	else if (n < -SAMPLE_REPEATED_MAX)
		return ERR_OUT_OF_RANGE;
	else
		say_random(exec, zset, n, with_scores);
	return OK;
}

/* ---- scanning --------------------------------------------------------------------- */

struct scanned {
	const struct scan_options *options;
	struct buf found; /* members and scores, packed */
	uint64_t n;
};

static void scanned_fini(struct scanned *scanned) { buf_fini(&scanned->found); }

static void take_text(struct scanned *scanned, struct slice text)
{
	uint8_t *to = buf_reserve(&scanned->found, packed_size(text));
	scanned->found.len += (size_t)(packed_write(to, text) - to);
	scanned->n++;
}

static void take_if_fits(void *arg, const struct zset_element *element)
{
	struct scanned *scanned = arg;
	char scratch[PACKED_SCRATCH], score[32];
	struct slice member = packed_text(&element->member, scratch);
	if (!scan_fits(scanned->options, member))
		return;
	take_text(scanned, member);
	take_text(scanned, slice_of(score, real_format_17(element->score, score)));
}

/* Scores of a block are said as they lie there. */
static void take_block(struct scanned *scanned, struct slice block)
{
	const uint8_t *at = block.ptr, *end = at + block.len;
	while (at != end) {
		char scratch[2][PACKED_SCRATCH];
		struct packed_element member, score;
		at = packed_read(packed_read(at, &member), &score);
		struct slice text = packed_text(&member, scratch[0]);
		if (!scan_fits(scanned->options, text))
			continue;
		take_text(scanned, text);
		take_text(scanned, packed_text(&score, scratch[1]));
	}
}

static enum err run_zscan(struct exec *exec)
{
	uint64_t cursor, next = 0;
	struct object *zset;
	struct slice block;
	struct scan_options options;
	if (!scan_cursor(exec->argv[2], &cursor)) {
		reply_error_fmt(exec->reply, "ERR invalid cursor");
		return OK;
	}
	TRY(sorted_set_find(exec, &exec->first, &zset));
	cleanup(scanned_fini) struct scanned scanned = {.options = &options};
	if (zset) {
		TRY(scan_options(exec, 3, 0, &options));
		if (zset_block(zset, &block))
			take_block(&scanned, block);
		else
			next = zset_scan(exec->shard, zset, cursor, scan_want(&options, zset), take_if_fits, &scanned);
	}
	scan_reply(exec->reply, next, scanned.n, &scanned.found);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

/* clang-format off */
static const struct command_history zadd_history[] = {
	{"2.4.0", "Accepts multiple elements."},
	{"3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."},
	{"6.2.0", "Added the `GT` and `LT` options."},
	{0},
};
static arguments zadd_arguments_condition[] = {
	{"nx", "NX", .type = ARG_PURE_TOKEN},
	{"xx", "XX", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments zadd_arguments_comparison[] = {
	{"gt", "GT", .type = ARG_PURE_TOKEN},
	{"lt", "LT", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments zadd_arguments_score_member[] = {{"score", .type = ARG_DOUBLE}, {"member", .type = ARG_STRING}, {0}};
static arguments zadd_arguments[] = {
	{"key", .type = ARG_KEY},
	{"condition", NULL, "3.0.2", ARG_ONEOF, ARG_OPTIONAL, zadd_arguments_condition},
	{"comparison", NULL, "6.2.0", ARG_ONEOF, ARG_OPTIONAL, zadd_arguments_comparison},
	{"change", "CH", "3.0.2", ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"increment", "INCR", "3.0.2", ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"score_member", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .inner = zadd_arguments_score_member},
	{0},
};
static arguments zcard_arguments[] = {{"key", .type = ARG_KEY}, {0}};
static arguments zincrby_arguments[] = {
	{"key", .type = ARG_KEY},
	{"increment", .type = ARG_INTEGER},
	{"member", .type = ARG_STRING},
	{0},
};
static arguments zmpop_arguments_where[] = {
	{"min", "MIN", .type = ARG_PURE_TOKEN},
	{"max", "MAX", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments zmpop_arguments[] = {
	{"numkeys", .type = ARG_INTEGER},
	{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
	{"where", .type = ARG_ONEOF, .inner = zmpop_arguments_where},
	{"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
	{0},
};
static arguments zmscore_arguments[] = {
	{"key", .type = ARG_KEY},
	{"member", .type = ARG_STRING, .flags = ARG_MULTIPLE},
	{0},
};
static arguments zpopmax_arguments[] = {
	{"key", .type = ARG_KEY},
	{"count", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
	{0},
};
static arguments zrandmember_arguments_options[] = {
	{"count", .type = ARG_INTEGER},
	{"withscores", "WITHSCORES", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments zrandmember_arguments[] = {
	{"key", .type = ARG_KEY},
	{"options", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = zrandmember_arguments_options},
	{0},
};
static const struct command_history zrank_history[] = {{"7.2.0", "Added the optional `WITHSCORE` argument."}, {0}};
static arguments zrank_arguments[] = {
	{"key", .type = ARG_KEY},
	{"member", .type = ARG_STRING},
	{"withscore", "WITHSCORE", "7.2.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static const struct command_history zrem_history[] = {{"2.4.0", "Accepts multiple elements."}, {0}};
static arguments zscan_arguments[] = {
	{"key", .type = ARG_KEY},
	{"cursor", .type = ARG_INTEGER},
	{"pattern", "MATCH", NULL, ARG_PATTERN, ARG_OPTIONAL},
	{"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
	{0},
};
static arguments zscore_arguments[] = {{"key", .type = ARG_KEY}, {"member", .type = ARG_STRING}, {0}};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

const struct command sorted_set_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"ZADD", -4, {1, 1, 1}, WRITE | GROWS | FAST, "1.2.0",
	 "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
	 "Add one or more members to a sorted set, or update its score if it already exists", run_zadd,
	 zadd_arguments, .history = zadd_history, .uses = "RW update"},
	{"ZCARD", 2, {1, 1, 1}, READ | FAST, "1.2.0", "O(1)",
	 "Get the number of members in a sorted set", run_zcard, zcard_arguments, .uses = "RO"},
	{"ZINCRBY", 4, {1, 1, 1}, WRITE | GROWS | FAST, "1.2.0",
	 "O(log(N)) where N is the number of elements in the sorted set.",
	 "Increment the score of a member in a sorted set", run_zincrby, zincrby_arguments},
	{"ZMPOP", -4, {0, 0, 0}, WRITE | COMMAND_MOVABLE_KEYS, "7.0.0",
	 "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted "
	 "set, and M being the number of elements popped.",
	 "Remove and return members with scores in a sorted set", run_zmpop, zmpop_arguments,
	 .find_keys = find_zmpop_keys, .uses = "RW access delete"},
	{"ZMSCORE", -3, {1, 1, 1}, READ | FAST, "6.2.0",
	 "O(N) where N is the number of members being requested.",
	 "Get the score associated with the given members in a sorted set", run_zmscore, zmscore_arguments},
	{"ZPOPMAX", -2, {1, 1, 1}, WRITE | FAST, "5.0.0",
	 "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements "
	 "popped.",
	 "Remove and return members with the highest scores in a sorted set", run_zpopmax, zpopmax_arguments,
	 .uses = "RW access delete"},
	{"ZPOPMIN", -2, {1, 1, 1}, WRITE | FAST, "5.0.0",
	 "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements "
	 "popped.",
	 "Remove and return members with the lowest scores in a sorted set", run_zpopmin, zpopmax_arguments,
	 .uses = "RW access delete"},
	{"ZRANDMEMBER", -2, {1, 1, 1}, READ, "6.2.0", "O(N) where N is the number of elements returned",
	 "Get one or multiple random elements from a sorted set", run_zrandmember, zrandmember_arguments,
	 .tips = "nondeterministic_output"},
	{"ZRANK", -3, {1, 1, 1}, READ | FAST, "2.0.0", "O(log(N))",
	 "Determine the index of a member in a sorted set", run_zrank, zrank_arguments, .history = zrank_history},
	{"ZREM", -3, {1, 1, 1}, WRITE | FAST, "1.2.0",
	 "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be "
	 "removed.",
	 "Remove one or more members from a sorted set", run_zrem, zmscore_arguments, .history = zrem_history,
	 .uses = "RW delete"},
	{"ZREVRANK", -3, {1, 1, 1}, READ | FAST, "2.0.0", "O(log(N))",
	 "Determine the index of a member in a sorted set, with scores ordered from high to low", run_zrevrank,
	 zrank_arguments, .history = zrank_history},
	{"ZSCAN", -3, {1, 1, 1}, READ, "2.8.0",
	 "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
	 "return back to 0. N is the number of elements inside the collection..",
	 "Incrementally iterate sorted sets elements and associated scores", run_zscan, zscan_arguments,
	 .tips = "nondeterministic_output"},
	{"ZSCORE", 3, {1, 1, 1}, READ | FAST, "1.2.0", "O(1)",
	 "Get the score associated with the given member in a sorted set", run_zscore, zscore_arguments},
	{0},
};
/* clang-format on */
