/* sort.c -- SORT and SORT_RO: their arguments, and what they answer without elements.
 *
 * The types that have elements to sort are not there yet, so a key is either absent, which
 * sorts as empty, or of a type that cannot be sorted.
 */
#include "query/commands/command.h"

/* ---- arguments -------------------------------------------------------------------- */

enum { NO_STORE = 0 };

/* How many values follow an option, or -1 if there is no such. */
static int values_of(const struct exec *exec, uint32_t at, bool may_store)
{
	if (exec_is(exec, at, S("ASC")) || exec_is(exec, at, S("DESC")) || exec_is(exec, at, S("ALPHA")))
		return 0;
	if (exec_is(exec, at, S("BY")) || exec_is(exec, at, S("GET")))
		return 1;
	if (exec_is(exec, at, S("LIMIT")))
		return 2;
	return may_store && exec_is(exec, at, S("STORE")) ? 1 : -1;
}

/* Where the name of the key to store at is; the last one counts. */
static enum err read_options(const struct exec *exec, bool may_store, uint32_t *store_at)
{
	*store_at = NO_STORE;
	for (uint32_t at = 2; at < exec->argc; at++) {
		int values = values_of(exec, at, may_store);
		if (values < 0 || exec->argc - at - 1 < (uint32_t)values)
			return ERR_SYNTAX;
		if (exec_is(exec, at, S("LIMIT"))) {
			int64_t offset, count;
			TRY(exec_integer(exec, at + 1, &offset));
			TRY(exec_integer(exec, at + 2, &count));
		} else if (exec_is(exec, at, S("STORE"))) {
			*store_at = at + 1;
		}
		at += (uint32_t)values;
	}
	return OK;
}

/* As Redis looks for them, whether the options make sense or not. */
static int find_sort_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	uint32_t store_at = NO_STORE;
	for (uint32_t at = 2; at < argc; at++) {
		if (slice_equal_nocase(argv[at], S("LIMIT")))
			at += 2;
		else if (slice_equal_nocase(argv[at], S("GET")) || slice_equal_nocase(argv[at], S("BY")))
			at += 1;
		else if (slice_equal_nocase(argv[at], S("STORE")) && at + 1 < argc)
			store_at = at + 1;
	}
	if (room > 0)
		out[0] = 1;
	if (room > 1)
		out[1] = store_at;
	return store_at == NO_STORE ? 1 : 2;
}

static int find_sort_ro_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	if (room > 0)
		out[0] = 1;
	return 1;
}

/* ---- running ---------------------------------------------------------------------- */

static enum err sort(struct exec *exec, bool may_store)
{
	uint32_t store_at;
	TRY(read_options(exec, may_store, &store_at));
	if (exec_find(exec, &exec->first, FIND_READ))
		return ERR_WRONG_TYPE;
	if (store_at == NO_STORE) {
		reply_array(exec->reply, 0);
		return OK;
	}
	struct key to = exec_key(exec, store_at);
	keyspace_delete(exec->shard, &to);
	reply_integer(exec->reply, 0);
	return OK;
}

static enum err run_sort(struct exec *exec) { return sort(exec, true); }
static enum err run_sort_ro(struct exec *exec) { return sort(exec, false); }

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments limit[] = {{"offset", .type = ARG_INTEGER}, {"count", .type = ARG_INTEGER}, {0}};
static arguments order[] = {{"asc", "ASC", .type = ARG_PURE_TOKEN}, {"desc", "DESC", .type = ARG_PURE_TOKEN}, {0}};

/* clang-format off */
#define SORT_ARGUMENTS                                                                         \
	{"key", .type = ARG_KEY},                                                              \
	{"pattern", "BY", NULL, ARG_PATTERN, ARG_OPTIONAL},                                    \
	{"offset_count", "LIMIT", NULL, ARG_BLOCK, ARG_OPTIONAL, limit},                       \
	{"pattern", "GET", NULL, ARG_PATTERN, ARG_OPTIONAL | ARG_MULTIPLE | ARG_MULTIPLE_TOKEN}, \
	{"order", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, order},                                 \
	{"sorting", "ALPHA", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL}

static arguments sort_arguments[] = {
	SORT_ARGUMENTS, {"destination", "STORE", NULL, ARG_KEY, ARG_OPTIONAL}, {0},
};
static arguments sort_ro_arguments[] = {SORT_ARGUMENTS, {0}};

#define SORT_COST                                                                                                      \
	"O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned "    \
	"elements. When the elements are not sorted, complexity is O(N)."

const struct command sort_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"SORT", -2, {1, 1, 1}, COMMAND_WRITE | COMMAND_GROWS | COMMAND_MOVABLE_KEYS, "1.0.0", SORT_COST,
	 "Sort the elements in a list, set or sorted set", run_sort, sort_arguments, .find_keys = find_sort_keys,
	 .categories = "-keyspace set sortedset list dangerous"},
	{"SORT_RO", -2, {1, 1, 1}, COMMAND_READ | COMMAND_MOVABLE_KEYS, "7.0.0", SORT_COST,
	 "Sort the elements in a list, set or sorted set. Read-only variant of SORT.", run_sort_ro, sort_ro_arguments,
	 .find_keys = find_sort_ro_keys, .categories = "-keyspace set sortedset list dangerous"},
	{0},
};
/* clang-format on */
