/* sorted_set_combine.c -- unions, intersections and differences of sorted sets, and of sets, whose scores are all 1. */
#include "engine/base/number.h"
#include "query/commands/notify.h"
#include "query/commands/sorted_set.h"
#include "storage/keyspace/set.h"

#include <math.h>
#include <stdlib.h>

enum operation { UNION, INTERSECTION, DIFFERENCE };

/* ---- inputs ----------------------------------------------------------------------- */

struct input {
	const struct object *object; /* NULL: there is none */
	bool is_set;
	uint64_t count;
	double weight;
	uint32_t number; /* in the client's order */
};

struct input_walk {
	bool is_set;
	struct set_walk set;
	struct zset_walk zset;
};

static void input_walk(const struct input *input, struct input_walk *out)
{
	out->is_set = input->is_set;
	if (input->is_set)
		set_walk(input->object, &out->set);
	else
		zset_walk(input->object, 0, &out->zset);
}

static bool input_next(struct input_walk *walk, struct zset_element *out)
{
	out->score = 1;
	return walk->is_set ? set_next(&walk->set, &out->member) : zset_next(&walk->zset, out);
}

/* Has it this member? */
static bool input_find(struct exec *exec, const struct input *input, struct slice member, double *out)
{
	*out = 1;
	if (!input->object)
		return false;
	if (!input->is_set)
		return zset_score(exec->shard, input->object, member, out);
	struct packed_sought sought = packed_seek(member);
	return set_has(input->object, &sought);
}

static enum err read_input(struct exec *exec, uint32_t at, uint32_t number, struct input *out)
{
	struct key key = exec_key(exec, at);
	const struct object *object = exec_find(exec, &key, FIND_READ);
	*out = (struct input){.object = object, .weight = 1, .number = number};
	if (!object)
		return OK;
	out->is_set = object_type(object) == OBJECT_SET;
	if (!out->is_set && object_type(object) != OBJECT_ZSET)
		return ERR_WRONG_TYPE;
	out->count = collection_count(object);
	return OK;
}

/* Small ones first: sums of doubles depend on their order. */
static int by_count(const void *a, const void *b)
{
	const struct input *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* ---- what is asked for --------------------------------------------------------------- */

enum aggregate { SUM, LEAST, GREATEST };

struct combination {
	enum operation operation;
	bool stores, counts; /* counts: nothing but how many there would be */
	enum aggregate aggregate;
	bool with_scores;
	int64_t limit; /* of what is counted; 0: none */
	uint32_t n;
	struct input *inputs;
	struct buf room;
};

static void combination_fini(struct combination *c) { buf_fini(&c->room); }

static bool read_aggregate(const struct exec *exec, uint32_t at, enum aggregate *out)
{
	static const struct slice words[] = {[SUM] = S("SUM"), [LEAST] = S("MIN"), [GREATEST] = S("MAX")};
	for (size_t i = 0; i < array_len(words); i++)
		if (exec_is(exec, at, words[i])) {
			*out = (enum aggregate)i;
			return true;
		}
	return false;
}

/* Weights behind argv[at]; false: the error is said. */
static bool read_weights(struct exec *exec, uint32_t at, struct combination *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (exec_score(exec, at + 1 + i, &c->inputs[i].weight) != OK) {
			reply_error_fmt(exec->reply, "ERR weight value is not a float");
			return false;
		}
	return true;
}

/* False: the error is said. */
static bool read_options(struct exec *exec, uint32_t at, struct combination *c)
{
	bool weighs = c->operation != DIFFERENCE && !c->counts;
	while (at < exec->argc) {
		uint32_t left = exec->argc - at;
		if (weighs && left > c->n && exec_is(exec, at, S("WEIGHTS"))) {
			if (!read_weights(exec, at, c))
				return false;
			at += 1 + c->n;
		} else if (weighs && left >= 2 && exec_is(exec, at, S("AGGREGATE")) &&
		           read_aggregate(exec, at + 1, &c->aggregate)) {
			at += 2;
		} else if (!c->stores && !c->counts && exec_is(exec, at, S("WITHSCORES"))) {
			c->with_scores = true;
			at++;
		} else if (c->counts && left >= 2 && exec_is(exec, at, S("LIMIT"))) {
			if (!exec_count(exec, at + 1, 0, "LIMIT can't be negative", &c->limit))
				return false;
			at += 2;
		} else {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
	}
	return true;
}

/* Their number is argv[at]; false: the error is said. */
static bool read_inputs(struct exec *exec, uint32_t at, struct combination *c)
{
	int64_t n;
	enum err err = exec_integer(exec, at, &n);
	if (err == OK && n < 1) {
		char name[32] = {0};
		for (size_t i = 0; exec->command->name[i] && i + 1 < sizeof(name); i++)
			name[i] = (char)ascii_lower((uint8_t)exec->command->name[i]);
		reply_error_fmt(exec->reply, "ERR at least 1 input key is needed for '%s' command", name);
		return false;
	}
	if (err == OK && n > (int64_t)exec->argc - at - 1)
		err = ERR_SYNTAX;
	if (err == OK) {
		c->n = (uint32_t)n;
		c->inputs = (struct input *)buf_reserve(&c->room, c->n * sizeof(*c->inputs));
	}
	for (uint32_t i = 0; i < c->n && err == OK; i++)
		err = read_input(exec, at + 1 + i, i, &c->inputs[i]);
	if (err != OK)
		reply_err(exec->reply, err);
	return err == OK;
}

/* ---- combining -------------------------------------------------------------------- */

static double number_or_0(double value) { return isnan(value) ? 0 : value; }

static double aggregate(enum aggregate how, double a, double b)
{
	switch (how) {
	case SUM:
		return number_or_0(a + b);
	case LEAST:
		return b < a ? b : a;
	case GREATEST:
		return b > a ? b : a;
	}
	return a;
}

static void put(struct collection *made, struct slice member, double score)
{
	double same;
	(void)zset_put(made, member, score, ZSET_ALWAYS, &same);
}

static void unite(struct exec *exec, const struct combination *c, struct collection *made)
{
	char scratch[PACKED_SCRATCH];
	for (uint32_t i = 0; i < c->n; i++) {
		struct input_walk walk;
		struct zset_element element;
		if (!c->inputs[i].object)
			continue;
		for (input_walk(&c->inputs[i], &walk); input_next(&walk, &element);) {
			struct slice member = packed_text(&element.member, scratch);
			double score = number_or_0(element.score * c->inputs[i].weight), before;
			if (i > 0 && zset_score(exec->shard, made->object, member, &before))
				score = aggregate(c->aggregate, before, score);
			put(made, member, score);
		}
	}
}

/* Is a member of the first in all others too? What its score becomes. */
static bool is_in_all(struct exec *exec, const struct combination *c, struct slice member, double *score)
{
	*score = number_or_0(*score * c->inputs[0].weight);
	for (uint32_t i = 1; i < c->n; i++) {
		double other;
		if (!input_find(exec, &c->inputs[i], member, &other))
			return false;
		*score = aggregate(c->aggregate, *score, other * c->inputs[i].weight);
	}
	return true;
}

static bool is_in_no_other(struct exec *exec, const struct combination *c, struct slice member)
{
	double other;
	for (uint32_t i = 1; i < c->n; i++)
		if (input_find(exec, &c->inputs[i], member, &other))
			return false;
	return true;
}

/* Members of the first input that stay; how many. `made` NULL: they are counted only. */
static uint64_t sift(struct exec *exec, const struct combination *c, struct collection *made)
{
	char scratch[PACKED_SCRATCH];
	struct input_walk walk;
	struct zset_element element;
	uint64_t n = 0;
	if (!c->inputs[0].object)
		return 0;
	for (input_walk(&c->inputs[0], &walk); input_next(&walk, &element);) {
		struct slice member = packed_text(&element.member, scratch);
		double score = element.score;
		if (!(c->operation == DIFFERENCE ? is_in_no_other(exec, c, member)
		                                 : is_in_all(exec, c, member, &score)))
			continue;
		if (made)
			put(made, member, score);
		if (++n == (uint64_t)c->limit)
			break;
	}
	return n;
}

/* The large sorted set whose elements and scores are the result, all of them; NULL: it is no such. */
static const struct object *only_one(const struct combination *c)
{
	const struct input *one = NULL;
	for (uint32_t i = 0; i < c->n; i++) {
		if (!c->inputs[i].object && c->operation != INTERSECTION)
			continue;
		if (one)
			return NULL;
		one = &c->inputs[i];
	}
	bool is_whole = one && one->object && !one->is_set && one->weight == 1 &&
	                (c->operation != DIFFERENCE || one == c->inputs);
	return is_whole && collection_is_large(one->object) ? one->object : NULL;
}

/* In no table yet. */
static struct collection make(struct exec *exec, const struct combination *c, const struct key *key)
{
	const struct object *one = only_one(c);
	if (one)
		return collection_apart_from(exec->shard, key, one);
	struct collection made = collection_apart(exec->shard, key, OBJECT_ZSET);
	if (!c->stores)
		zset_enlarge(&made); /* where scores are what they are, -0 too */
	if (c->operation == UNION)
		unite(exec, c, &made);
	else
		(void)sift(exec, c, &made);
	return made;
}

static void say(struct exec *exec, const struct object *made, bool with_scores)
{
	struct zset_walk walk;
	struct zset_element element;
	reply_elements(exec, collection_count(made), with_scores);
	if (collection_count(made) == 0)
		return;
	for (zset_walk(made, 0, &walk); zset_next(&walk, &element);)
		reply_element(exec, &element, with_scores);
}

static enum err combine(struct exec *exec, enum operation operation, bool stores, bool counts)
{
	static const struct slice events[] = {S("zunionstore"), S("zinterstore"), S("zdiffstore")};
	cleanup(combination_fini) struct combination c = {.operation = operation, .stores = stores, .counts = counts};
	uint32_t number_at = stores ? 2 : 1;
	if (!read_inputs(exec, number_at, &c) || !read_options(exec, number_at + 1 + c.n, &c))
		return OK;
	if (operation != DIFFERENCE)
		qsort(c.inputs, c.n, sizeof(*c.inputs), by_count);
	if (counts) {
		reply_integer(exec->reply, (int64_t)sift(exec, &c, NULL));
		return OK;
	}
	struct key key = exec_key(exec, stores ? 1 : 2);
	struct collection made = make(exec, &c, &key);
	if (stores) {
		sorted_set_store(exec, &made, events[operation]);
	} else {
		say(exec, made.object, c.with_scores);
		collection_drop(&made);
	}
	return OK;
}

static enum err run_zunion(struct exec *exec) { return combine(exec, UNION, false, false); }
static enum err run_zinter(struct exec *exec) { return combine(exec, INTERSECTION, false, false); }
static enum err run_zdiff(struct exec *exec) { return combine(exec, DIFFERENCE, false, false); }
static enum err run_zunionstore(struct exec *exec) { return combine(exec, UNION, true, false); }
static enum err run_zinterstore(struct exec *exec) { return combine(exec, INTERSECTION, true, false); }
static enum err run_zdiffstore(struct exec *exec) { return combine(exec, DIFFERENCE, true, false); }
static enum err run_zintercard(struct exec *exec) { return combine(exec, INTERSECTION, false, true); }

/* ---- keys ------------------------------------------------------------------------- */

static int find_source_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	return find_numbered_keys(argv, argc, 1, out, room);
}

static int find_target_and_source_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	if (room > 0)
		out[0] = 1;
	int n = find_numbered_keys(argv, argc, 2, room > 0 ? out + 1 : out, room > 0 ? room - 1 : 0);
	return n < 0 ? -1 : n + 1;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

/* clang-format off */
static arguments zdiff_arguments[] = {
	{"numkeys", .type = ARG_INTEGER},
	{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
	{"withscores", "WITHSCORES", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments zdiffstore_arguments[] = {
	{"destination", .type = ARG_KEY},
	{"numkeys", .type = ARG_INTEGER},
	{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
	{0},
};
static arguments zinter_arguments_aggregate[] = {
	{"sum", "SUM", .type = ARG_PURE_TOKEN},
	{"min", "MIN", .type = ARG_PURE_TOKEN},
	{"max", "MAX", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments zinter_arguments[] = {
	{"numkeys", .type = ARG_INTEGER},
	{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
	{"weight", "WEIGHTS", NULL, ARG_INTEGER, ARG_OPTIONAL | ARG_MULTIPLE},
	{"aggregate", "AGGREGATE", NULL, ARG_ONEOF, ARG_OPTIONAL, zinter_arguments_aggregate},
	{"withscores", "WITHSCORES", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments zintercard_arguments[] = {
	{"numkeys", .type = ARG_INTEGER},
	{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
	{"limit", "LIMIT", NULL, ARG_INTEGER, ARG_OPTIONAL},
	{0},
};
static arguments zinterstore_arguments[] = {
	{"destination", .type = ARG_KEY},
	{"numkeys", .type = ARG_INTEGER},
	{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
	{"weight", "WEIGHTS", NULL, ARG_INTEGER, ARG_OPTIONAL | ARG_MULTIPLE},
	{"aggregate", "AGGREGATE", NULL, ARG_ONEOF, ARG_OPTIONAL, zinter_arguments_aggregate},
	{0},
};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

const struct command sorted_set_combine_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"ZDIFF", -3, {0, 0, 0}, READ | COMMAND_MOVABLE_KEYS, "6.2.0",
	 "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of "
	 "the first set, and K is the size of the result set.",
	 "Subtract multiple sorted sets", run_zdiff, zdiff_arguments, .find_keys = find_source_keys},
	{"ZDIFFSTORE", -4, {1, 1, 1}, WRITE | GROWS | COMMAND_MOVABLE_KEYS, "6.2.0",
	 "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of "
	 "the first set, and K is the size of the result set.",
	 "Subtract multiple sorted sets and store the resulting sorted set in a new key", run_zdiffstore,
	 zdiffstore_arguments, .find_keys = find_target_and_source_keys, .uses = "OW update, RO access"},
	{"ZINTER", -3, {0, 0, 0}, READ | COMMAND_MOVABLE_KEYS, "6.2.0",
	 "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input "
	 "sorted sets and M being the number of elements in the resulting sorted set.",
	 "Intersect multiple sorted sets", run_zinter, zinter_arguments, .find_keys = find_source_keys},
	{"ZINTERCARD", -3, {0, 0, 0}, READ | COMMAND_MOVABLE_KEYS, "7.0.0",
	 "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
	 "Intersect multiple sorted sets and return the cardinality of the result", run_zintercard,
	 zintercard_arguments, .find_keys = find_source_keys},
	{"ZINTERSTORE", -4, {1, 1, 1}, WRITE | GROWS | COMMAND_MOVABLE_KEYS, "2.0.0",
	 "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input "
	 "sorted sets and M being the number of elements in the resulting sorted set.",
	 "Intersect multiple sorted sets and store the resulting sorted set in a new key", run_zinterstore,
	 zinterstore_arguments, .find_keys = find_target_and_source_keys, .uses = "OW update, RO access"},
	{"ZUNION", -3, {0, 0, 0}, READ | COMMAND_MOVABLE_KEYS, "6.2.0",
	 "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of "
	 "elements in the resulting sorted set.",
	 "Add multiple sorted sets", run_zunion, zinter_arguments, .find_keys = find_source_keys},
	{"ZUNIONSTORE", -4, {1, 1, 1}, WRITE | GROWS | COMMAND_MOVABLE_KEYS, "2.0.0",
	 "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of "
	 "elements in the resulting sorted set.",
	 "Add multiple sorted sets and store the resulting sorted set in a new key", run_zunionstore,
	 zinterstore_arguments, .find_keys = find_target_and_source_keys, .uses = "OW update, RO access"},
	{0},
};
/* clang-format on */
