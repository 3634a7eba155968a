/* sorted_set_blocking.c -- pops that wait for a sorted set to come. */
#include "query/commands/command.h"
#include "query/commands/notify.h"
#include "query/commands/sorted_set.h"

/* ---- BZPOPMIN, BZPOPMAX ------------------------------------------------------------- */

static bool read_keys_and_timeout(struct exec *exec, struct block_wish *out)
{
	*out = (struct block_wish){.first = 1, .n = exec->argc - 2};
	return exec_timeout(exec, exec->argc - 1, &out->timeout_ns);
}

/* The element is said beside its key, not in an array of its own. */
static enum err pop_for(struct exec *exec, const struct key *key, enum zset_end end)
{
	struct collection zset;
	struct zset_walk walk;
	struct zset_element element = {0};
	char scratch[PACKED_SCRATCH];
	TRY(sorted_set_open(exec, key, &zset));
	uint64_t count = collection_count(zset.object);
	zset_walk(zset.object, end == ZSET_MIN ? 0 : count, &walk);
	(void)(end == ZSET_MIN ? zset_next(&walk, &element) : zset_prev(&walk, &element));
	reply_array(exec->reply, 3);
	reply_bulk(exec->reply, key->name);
	reply_bulk(exec->reply, packed_text(&element.member, scratch));
	reply_real(exec->reply, element.score);
	zset_cut(&zset, end == ZSET_MIN ? 0 : count - 1, 1);
	exec_notify(exec, EVENT_SORTED_SET, end == ZSET_MIN ? S("zpopmin") : S("zpopmax"), key);
	sorted_set_close(exec, &zset);
	return OK;
}

static enum err serve_bzpopmin(struct exec *exec, const struct key *key, uint32_t at)
{
	return pop_for(exec, key, ZSET_MIN);
}

static enum err serve_bzpopmax(struct exec *exec, const struct key *key, uint32_t at)
{
	return pop_for(exec, key, ZSET_MAX);
}

/* ---- BZMPOP ------------------------------------------------------------------------- */

static int find_bzmpop_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	return find_numbered_keys(argv, argc, 2, out, room);
}

struct popping {
	uint32_t n_keys;
	enum zset_end end;
	uint64_t n;
};

static bool say_syntax(struct exec *exec)
{
	reply_err(exec->reply, ERR_SYNTAX);
	return false;
}

/* False: the error is said. */
static bool read_popping(struct exec *exec, struct popping *out)
{
	int64_t n_keys, n = 1;
	if (!exec_count(exec, 2, 1, "numkeys should be greater than 0", &n_keys))
		return false;
	if (n_keys > (int64_t)exec->argc - 4)
		return say_syntax(exec);
	out->n_keys = (uint32_t)n_keys;
	uint32_t at = 3 + out->n_keys;
	out->end = exec_is(exec, at, S("MIN")) ? ZSET_MIN : ZSET_MAX;
	if (out->end == ZSET_MAX && !exec_is(exec, at, S("MAX")))
		return say_syntax(exec);
	at++;
	if (at < exec->argc && (!exec_is(exec, at, S("COUNT")) || at + 1 == exec->argc))
		return say_syntax(exec);
	if (at < exec->argc && !exec_count(exec, at + 1, 1, "count should be greater than 0", &n))
		return false;
	if (at + 2 < exec->argc)
		return say_syntax(exec);
	out->n = (uint64_t)n;
	return true;
}

static bool read_bzmpop(struct exec *exec, struct block_wish *out)
{
	struct popping popping;
	if (!read_popping(exec, &popping))
		return false;
	*out = (struct block_wish){.first = 3, .n = popping.n_keys};
	return exec_timeout(exec, 1, &out->timeout_ns);
}

static enum err serve_bzmpop(struct exec *exec, const struct key *key, uint32_t at)
{
	struct popping popping;
	struct collection zset;
	if (!read_popping(exec, &popping))
		return OK;
	TRY(sorted_set_open(exec, key, &zset));
	reply_array(exec->reply, 2);
	reply_bulk(exec->reply, key->name);
	sorted_set_pop(exec, &zset, popping.end, popping.n, true);
	return OK;
}

/* ---- rows --------------------------------------------------------------------------- */

enum { SORTED_SETS = 1 << OBJECT_ZSET };

static const struct blocking bzpopmin = {
        .types = SORTED_SETS, .read = read_keys_and_timeout, .serve = serve_bzpopmin, .nothing = reply_null_array};
static const struct blocking bzpopmax = {
        .types = SORTED_SETS, .read = read_keys_and_timeout, .serve = serve_bzpopmax, .nothing = reply_null_array};
static const struct blocking bzmpop = {
        .types = SORTED_SETS, .read = read_bzmpop, .serve = serve_bzmpop, .nothing = reply_null_array};

typedef const struct command_argument arguments;

static arguments keys_and_timeout[] = {
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {"timeout", .type = ARG_DOUBLE}, {0}};
static arguments ends[] = {{"min", "MIN", .type = ARG_PURE_TOKEN}, {"max", "MAX", .type = ARG_PURE_TOKEN}, {0}};
static arguments bzmpop_arguments[] = {
        {"timeout", .type = ARG_DOUBLE},
        {"numkeys", .type = ARG_INTEGER},
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {"where", .type = ARG_ONEOF, .inner = ends},
        {"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static const struct command_history timeout_history[] = {
        {"6.0.0", "`timeout` is interpreted as a double instead of an integer."}, {0}};

enum { WAITS = COMMAND_WRITE | COMMAND_BLOCKING };

/* clang-format off */
const struct command sorted_set_blocking_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"BZMPOP", -5, {0, 0, 0}, WAITS | COMMAND_MOVABLE_KEYS, "7.0.0",
	 "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted "
	 "set, and M being the number of elements popped.",
	 "Remove and return members with scores in a sorted set or block until one is available", run_blocking,
	 bzmpop_arguments, .find_keys = find_bzmpop_keys, .blocking = &bzmpop, .uses = "RW access delete"},
	{"BZPOPMAX", -3, {1, -2, 1}, WAITS | COMMAND_FAST | COMMAND_NO_SCRIPT, "5.0.0",
	 "O(log(N)) with N being the number of elements in the sorted set.",
	 "Remove and return the member with the highest score from one or more sorted sets, or block until one is "
	 "available",
	 run_blocking, keys_and_timeout, .history = timeout_history, .blocking = &bzpopmax, .uses = "RW access delete"},
	{"BZPOPMIN", -3, {1, -2, 1}, WAITS | COMMAND_FAST | COMMAND_NO_SCRIPT, "5.0.0",
	 "O(log(N)) with N being the number of elements in the sorted set.",
	 "Remove and return the member with the lowest score from one or more sorted sets, or block until one is available",
	 run_blocking, keys_and_timeout, .history = timeout_history, .blocking = &bzpopmin, .uses = "RW access delete"},
	{0},
};
/* clang-format on */
