/* sort.c -- SORT and SORT_RO: their options and rows; the work is in sort_steps.c.
 *
 * Keys that BY and GET make of their patterns are not known before the elements are. A pattern whose hash tag is its
 * own ("w:{users}:*") still says where they lie; those of others may lie on any core.
 */
#include "query/commands/sort.h"

#include "engine/placement/placement.h"
#include "storage/keyspace/cold.h"

/* ---- arguments -------------------------------------------------------------------- */

static bool says(struct slice argument, struct slice word) { return slice_equal_nocase(argument, word); }

/* How many values follow an option, or -1 if there is no such. */
static int values_of(struct slice option, bool may_store)
{
	if (says(option, S("ASC")) || says(option, S("DESC")) || says(option, S("ALPHA")))
		return 0;
	if (says(option, S("BY")) || says(option, S("GET")))
		return 1;
	if (says(option, S("LIMIT")))
		return 2;
	return may_store && says(option, S("STORE")) ? 1 : -1;
}

static enum err read_option(const struct exec *exec, uint32_t at, struct sort_options *out)
{
	if (exec_is(exec, at, S("LIMIT"))) {
		TRY(exec_integer(exec, at + 1, &out->offset));
		return exec_integer(exec, at + 2, &out->count);
	}
	if (exec_is(exec, at, S("STORE"))) {
		out->store_at = at + 1;
	} else if (exec_is(exec, at, S("GET"))) {
		out->n_gets++;
	} else if (exec_is(exec, at, S("BY"))) {
		out->by = exec->argv[at + 1];
		out->keeps_order |= !sort_has_star(out->by);
	} else if (exec_is(exec, at, S("ALPHA"))) {
		out->alpha = true;
	} else {
		out->descending = exec_is(exec, at, S("DESC"));
	}
	return OK;
}

enum err sort_read_options(const struct exec *exec, struct sort_options *out)
{
	*out = (struct sort_options){.count = -1, .store_at = SORT_NO_STORE};
	for (uint32_t at = 2; at < exec->argc; at++) {
		int values = values_of(exec->argv[at], exec->command->flags & COMMAND_WRITE);
		if (values < 0 || exec->argc - at - 1 < (uint32_t)values)
			return ERR_SYNTAX;
		TRY(read_option(exec, at, out));
		at += (uint32_t)values;
	}
	return OK;
}

struct slice sort_next_get(const struct slice *argv, uint32_t *at)
{
	while (!says(argv[*at], S("GET")))
		*at += 1 + (uint32_t)values_of(argv[*at], true);
	*at += 2;
	return argv[*at - 1];
}

/* As Redis looks for them, whether the options make sense or not. */
static int find_sort_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	uint32_t store_at = SORT_NO_STORE;
	for (uint32_t at = 2; at < argc; at++) {
		if (says(argv[at], S("LIMIT")))
			at += 2;
		else if (says(argv[at], S("GET")) || says(argv[at], S("BY")))
			at += 1;
		else if (says(argv[at], S("STORE")) && at + 1 < argc)
			store_at = at + 1;
	}
	if (room > 0)
		out[0] = 1;
	if (room > 1)
		out[1] = store_at;
	return store_at == SORT_NO_STORE ? 1 : 2;
}

static int find_sort_ro_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	if (room > 0)
		out[0] = 1;
	return 1;
}

/* ---- where it reads ------------------------------------------------------------------- */

/* Does a pattern's own hash tag put all keys that it makes on this core? */
static bool stays_on(const struct core *core, struct slice pattern, uint16_t home)
{
	const uint8_t *star = memchr(pattern.ptr, '*', pattern.len);
	struct slice before = slice_of(pattern.ptr, (size_t)(star - pattern.ptr));
	const uint8_t *open = before.len > 0 ? memchr(before.ptr, '{', before.len) : NULL;
	const uint8_t *close = open ? memchr(open, '}', (size_t)(star - open)) : NULL;
	return close && close > open + 1 && core_of_slot(core, slot_of(before)) == home;
}

/* May it have to wait for what it reads? Values that are cold come back first. */
static bool sort_roams(const struct core *core, const struct slice *argv, uint32_t argc)
{
	uint16_t home = core_of_slot(core, slot_of(argv[1]));
	bool has_patterns = false, strays = shard_is_tiered(core->shard);
	for (uint32_t at = 2; at < argc; at++) {
		int values = values_of(argv[at], true);
		if (values < 0 || argc - at - 1 < (uint32_t)values)
			return false; /* it says what is wrong with it anywhere */
		if (says(argv[at], S("STORE")))
			strays |= core_of_slot(core, slot_of(argv[at + 1])) != home;
		else if (values == 1 && sort_has_star(argv[at + 1])) {
			has_patterns = true;
			strays |= core->n_cores > 1 && !stays_on(core, argv[at + 1], home);
		}
		at += (uint32_t)values;
	}
	return has_patterns && strays;
}

static enum err run_sort(struct exec *exec)
{
	cleanup(sort_fini) struct sort sort = {0};
	TRY(sort_begin(&sort, exec));
	for (uint64_t n; (n = sort_ask(&sort)) > 0;)
		sort_answer(&sort, exec, 0, n);
	sort_end(&sort, exec);
	return OK;
}

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
	 "Sort the elements in a list, set or sorted set", run_sort, sort_arguments, .find_keys = find_sort_keys, .roams = sort_roams,
	 .categories = "-keyspace set sortedset list dangerous", .uses = "RO access, OW update"},
	{"SORT_RO", -2, {1, 1, 1}, COMMAND_READ | COMMAND_MOVABLE_KEYS, "7.0.0", SORT_COST,
	 "Sort the elements in a list, set or sorted set. Read-only variant of SORT.", run_sort, sort_ro_arguments,
	 .find_keys = find_sort_ro_keys, .roams = sort_roams, .categories = "-keyspace set sortedset list dangerous"},
	{0},
};
/* clang-format on */
