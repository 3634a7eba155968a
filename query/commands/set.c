/* set.c -- commands on sets. */
#include "storage/keyspace/set.h"

#include "engine/base/number.h"
#include "engine/core/core.h"
#include "query/commands/notify.h"
#include "query/commands/sample.h"
#include "query/commands/scan.h"

/* ---- words ------------------------------------------------------------------------ */

/* The set of a key, or NULL, for commands that do not change it. */
static enum err find_set(struct exec *exec, const struct key *key, struct object **out)
{
	struct object *object = exec_find(exec, key, FIND_READ);
	if (object && unlikely(object_type(object) != OBJECT_SET))
		return ERR_WRONG_TYPE;
	*out = object;
	return OK;
}

static enum err open_set(struct exec *exec, const struct key *key, struct collection *out)
{
	return exec_open(exec, key, OBJECT_SET, out);
}

/* Deletes the set if it is empty, and says so. */
static void close_set(struct exec *exec, struct collection *set)
{
	const struct key *key = set->key;
	if (collection_close(set))
		exec_notify(exec, EVENT_GENERIC, S("del"), key);
}

static void reply_member(struct exec *exec, const struct packed_element *member)
{
	char scratch[PACKED_SCRATCH];
	reply_bulk(exec->reply, packed_text(member, scratch));
}

static void reply_members(struct exec *exec, const struct object *set)
{
	struct set_walk walk;
	struct packed_element member;
	for (set_walk(set, &walk); set_next(&walk, &member);)
		reply_member(exec, &member);
}

/* A number that is `min` at least. False: the error is said. */
static bool read_count(struct exec *exec, uint32_t at, int64_t min, const char *otherwise, int64_t *out)
{
	if (exec_integer(exec, at, out) == OK && *out >= min)
		return true;
	reply_error_fmt(exec->reply, "ERR %s", otherwise);
	return false;
}

/* ---- one set, given members ---------------------------------------------------------- */

static enum err run_sadd(struct exec *exec)
{
	struct collection set;
	int64_t added = 0;
	TRY(open_set(exec, &exec->first, &set));
	for (uint32_t at = 2; at < exec->argc; at++) {
		struct packed_sought member = packed_seek(exec->argv[at]);
		added += set_add(&set, &member);
	}
	reply_integer(exec->reply, added);
	if (added > 0)
		exec_notify(exec, EVENT_SET, S("sadd"), &exec->first);
	(void)collection_close(&set);
	return OK;
}

static enum err run_srem(struct exec *exec)
{
	struct collection set;
	int64_t removed = 0;
	TRY(open_set(exec, &exec->first, &set));
	for (uint32_t at = 2; at < exec->argc; at++) {
		struct packed_sought member = packed_seek(exec->argv[at]);
		removed += set_remove(&set, &member);
	}
	reply_integer(exec->reply, removed);
	if (removed > 0) {
		exec_notify(exec, EVENT_SET, S("srem"), &exec->first);
		close_set(exec, &set);
	}
	return OK;
}

static enum err run_sismember(struct exec *exec)
{
	struct object *set;
	struct packed_sought member = packed_seek(exec->argv[2]);
	TRY(find_set(exec, &exec->first, &set));
	reply_integer(exec->reply, set && set_has(set, &member));
	return OK;
}

static enum err run_smismember(struct exec *exec)
{
	struct object *set;
	TRY(find_set(exec, &exec->first, &set));
	reply_array(exec->reply, exec->argc - 2);
	for (uint32_t at = 2; at < exec->argc; at++) {
		struct packed_sought member = packed_seek(exec->argv[at]);
		reply_integer(exec->reply, set && set_has(set, &member));
	}
	return OK;
}

static enum err run_scard(struct exec *exec)
{
	struct object *set;
	TRY(find_set(exec, &exec->first, &set));
	reply_integer(exec->reply, set ? (int64_t)collection_count(set) : 0);
	return OK;
}

static enum err run_smembers(struct exec *exec)
{
	struct object *set;
	TRY(find_set(exec, &exec->first, &set));
	reply_set(exec->reply, set ? collection_count(set) : 0);
	if (set)
		reply_members(exec, set);
	return OK;
}

static enum err run_smove(struct exec *exec)
{
	struct collection from, to;
	struct key to_key = exec_key(exec, 2);
	struct packed_sought member = packed_seek(exec->argv[3]);
	TRY(open_set(exec, &exec->first, &from));
	if (!from.object) {
		reply_integer(exec->reply, 0);
		return OK;
	}
	TRY(open_set(exec, &to_key, &to));
	if (slice_equal(exec->argv[1], exec->argv[2]) || !set_has(from.object, &member)) {
		reply_integer(exec->reply, set_has(from.object, &member));
		return OK;
	}
	(void)set_remove(&from, &member);
	exec_notify(exec, EVENT_SET, S("srem"), &exec->first);
	close_set(exec, &from);
	TRY(open_set(exec, &to_key, &to));
	if (set_add(&to, &member))
		exec_notify(exec, EVENT_SET, S("sadd"), &to_key);
	(void)collection_close(&to);
	reply_integer(exec->reply, 1);
	return OK;
}

/* ---- random members ------------------------------------------------------------------ */

static void random_member(struct exec *exec, const struct object *set, struct packed_element *out)
{
	set_at(set, core_random(exec->core) % collection_count(set), out);
}

static void reply_some(struct exec *exec, const struct object *set, uint64_t wanted)
{
	uint64_t count = collection_count(set);
	cleanup(sample_fini) struct sample sample = sample_of(exec->core, count, wanted);
	struct packed_element member;
	for (uint64_t from = 0, at; wanted <= count / 8 && sample_next(&sample, &from, &at);) {
		set_at(set, at, &member);
		reply_member(exec, &member);
	}
	if (wanted <= count / 8)
		return;
	struct set_walk walk;
	set_walk(set, &walk);
	for (uint64_t i = 0; set_next(&walk, &member); i++)
		if (sample_has(&sample, i))
			reply_member(exec, &member);
}

static enum err random_several(struct exec *exec, int64_t n)
{
	struct object *set;
	struct packed_element member;
	TRY(find_set(exec, &exec->first, &set));
	uint64_t count = set ? collection_count(set) : 0;
	if (!set || n >= 0) {
		uint64_t wanted = n < 0 || (uint64_t)n > count ? count : (uint64_t)n;
		reply_array(exec->reply, wanted);
		if (wanted > 0 && wanted == count)
			reply_members(exec, set);
		else if (wanted > 0)
			reply_some(exec, set, wanted);
		return OK;
	}
	if (n < -SAMPLE_REPEATED_MAX) {
		reply_error_fmt(exec->reply, "ERR value is out of range");
		return OK;
	}
	reply_array(exec->reply, (uint64_t)-n);
	for (; n < 0; n++) {
		random_member(exec, set, &member);
		reply_member(exec, &member);
	}
	return OK;
}

static enum err run_srandmember(struct exec *exec)
{
	struct object *set;
	struct packed_element member;
	int64_t n;
	if (exec->argc > 3)
		return ERR_SYNTAX;
	if (exec->argc == 3) {
		TRY(exec_integer(exec, 2, &n));
		if (n == INT64_MIN) {
			reply_error_fmt(exec->reply, "ERR value is out of range, value must between %lld and %lld",
			                -(long long)INT64_MAX, (long long)INT64_MAX);
			return OK;
		}
		return random_several(exec, n);
	}
	TRY(find_set(exec, &exec->first, &set));
	if (!set) {
		reply_null(exec->reply);
		return OK;
	}
	random_member(exec, set, &member);
	reply_member(exec, &member);
	return OK;
}

/* Removes a member that lies in the set itself. */
static void remove_own(struct collection *set, const struct packed_element *member)
{
	struct packed_sought sought = packed_seek_element(member);
	bool removed = set_remove(set, &sought);
	assert(removed);
}

static void pop_one(struct exec *exec, struct collection *set)
{
	struct packed_element member;
	random_member(exec, set->object, &member);
	reply_member(exec, &member);
	remove_own(set, &member);
}

/* Few stay: they make a new set, as in Redis, which may be one of integers then. */
static void pop_most(struct exec *exec, struct collection *set, uint64_t n)
{
	uint64_t count = collection_count(set->object);
	int64_t expires_ms = object_expires_ms(set->object);
	cleanup(sample_fini) struct sample popped = sample_of(exec->core, count, n);
	struct collection rest = collection_apart(exec->shard, set->key, OBJECT_SET);
	struct packed_element member;
	struct set_walk walk;
	set_walk(set->object, &walk);
	for (uint64_t i = 0; set_next(&walk, &member); i++) {
		if (sample_has(&popped, i)) {
			reply_member(exec, &member);
		} else {
			struct packed_sought sought = packed_seek_element(&member);
			(void)set_add(&rest, &sought);
		}
	}
	(void)collection_put(&rest, expires_ms);
}

enum { POP_MOST = 5 }; /* popped, for each that stays: where Redis does it the other way */

static enum err pop_several(struct exec *exec)
{
	struct collection set;
	int64_t n;
	if (!read_count(exec, 2, 0, "value is out of range, must be positive", &n))
		return OK;
	TRY(open_set(exec, &exec->first, &set));
	uint64_t count = set.object ? collection_count(set.object) : 0;
	uint64_t wanted = (uint64_t)n < count ? (uint64_t)n : count;
	reply_set(exec->reply, wanted);
	if (wanted == 0)
		return OK;
	exec_notify(exec, EVENT_SET, S("spop"), &exec->first);
	if (wanted == count) {
		reply_members(exec, set.object);
		(void)keyspace_delete(exec->shard, &exec->first);
		exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	} else if ((count - wanted) * POP_MOST > wanted) {
		for (uint64_t i = 0; i < wanted; i++)
			pop_one(exec, &set);
	} else {
		pop_most(exec, &set, wanted);
	}
	return OK;
}

static enum err run_spop(struct exec *exec)
{
	struct collection set;
	if (exec->argc > 3)
		return ERR_SYNTAX;
	if (exec->argc == 3)
		return pop_several(exec);
	TRY(open_set(exec, &exec->first, &set));
	if (!set.object) {
		reply_null(exec->reply);
		return OK;
	}
	pop_one(exec, &set);
	exec_notify(exec, EVENT_SET, S("spop"), &exec->first);
	close_set(exec, &set);
	return OK;
}

/* ---- several sets -------------------------------------------------------------------- */

/* Sets that keys have, absent ones are NULL. */
struct operands {
	struct buf room;
	struct object **sets;
	uint32_t n;
	bool any_absent;
};

static void operands_fini(struct operands *operands) { buf_fini(&operands->room); }

static enum err find_operands(struct exec *exec, uint32_t from, uint32_t n, struct operands *out)
{
	out->sets = (struct object **)buf_reserve(&out->room, n * sizeof(*out->sets));
	out->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct key key = exec_key(exec, from + i);
		TRY(find_set(exec, &key, &out->sets[i]));
		out->any_absent |= !out->sets[i];
	}
	return OK;
}

static uint64_t size_of(const struct object *set) { return set ? collection_count(set) : 0; }

static void swap_sets(struct object **a, struct object **b)
{
	struct object *old = *a;
	*a = *b;
	*b = old;
}

static bool all_have(const struct operands *operands, const struct packed_sought *member)
{
	for (uint32_t i = 1; i < operands->n; i++)
		if (operands->sets[i] != operands->sets[0] && !set_has(operands->sets[i], member))
			return false;
	return true;
}

/* Shows members of all sets, none of which is absent, up to `limit`; how many. */
static uint64_t intersect(struct operands *operands, uint64_t limit,
                          void (*show)(void *arg, const struct packed_element *member), void *arg)
{
	for (uint32_t i = 1; i < operands->n; i++)
		if (size_of(operands->sets[i]) < size_of(operands->sets[0]))
			swap_sets(&operands->sets[i], &operands->sets[0]);
	struct set_walk walk;
	struct packed_element member;
	uint64_t n = 0;
	set_walk(operands->sets[0], &walk);
	while (n < limit && set_next(&walk, &member)) {
		struct packed_sought sought = packed_seek_element(&member);
		if (!all_have(operands, &sought))
			continue;
		show(arg, &member);
		n++;
	}
	return n;
}

/* The result has all that `set` has, and nothing else yet. */
static void begin_with(struct exec *exec, const struct object *set, struct collection *out)
{
	const struct key *key = out->key;
	collection_drop(out);
	*out = collection_apart_from(exec->shard, key, set);
}

static void add_all(struct collection *to, const struct object *set)
{
	struct set_walk walk;
	struct packed_element member;
	for (set_walk(set, &walk); set_next(&walk, &member);) {
		struct packed_sought sought = packed_seek_element(&member);
		(void)set_add(to, &sought);
	}
}

/* The largest, if it is so large that a result should rather share it than add its members one by one. */
static const struct object *largest(const struct operands *operands)
{
	const struct object *set = NULL;
	for (uint32_t i = 0; i < operands->n; i++)
		if (size_of(operands->sets[i]) > size_of(set))
			set = operands->sets[i];
	return set && collection_is_large(set) ? set : NULL;
}

static void unite(struct exec *exec, const struct operands *operands, struct collection *out)
{
	const struct object *shared = largest(operands);
	if (shared)
		begin_with(exec, shared, out);
	for (uint32_t i = 0; i < operands->n; i++)
		if (operands->sets[i] && operands->sets[i] != shared)
			add_all(out, operands->sets[i]);
}

static bool any_other_has(const struct operands *operands, const struct packed_sought *member)
{
	for (uint32_t i = 1; i < operands->n; i++)
		if (operands->sets[i] && set_has(operands->sets[i], member))
			return true;
	return false;
}

/* Looks each member of the first up in the others; or removes what the others have from a copy of the first: what is
 * less work, by Redis' measure, for what was integers once depends on it. */
static bool looking_up_is_less(const struct operands *operands)
{
	uint64_t look_up = 0, remove = 0;
	for (uint32_t i = 0; i < operands->n; i++) {
		look_up += operands->sets[i] ? size_of(operands->sets[0]) : 0;
		remove += size_of(operands->sets[i]);
	}
	return look_up / 2 <= remove;
}

static void subtract_by_look_up(const struct operands *operands, struct collection *out)
{
	struct set_walk walk;
	struct packed_element member;
	for (set_walk(operands->sets[0], &walk); set_next(&walk, &member);) {
		struct packed_sought sought = packed_seek_element(&member);
		if (!any_other_has(operands, &sought))
			(void)set_add(out, &sought);
	}
}

static void subtract_by_removal(struct exec *exec, const struct operands *operands, struct collection *out)
{
	struct set_walk walk;
	struct packed_element member;
	if (collection_is_large(operands->sets[0]))
		begin_with(exec, operands->sets[0], out);
	else
		add_all(out, operands->sets[0]);
	for (uint32_t i = 1; i < operands->n && collection_count(out->object) > 0; i++) {
		if (!operands->sets[i])
			continue;
		for (set_walk(operands->sets[i], &walk); set_next(&walk, &member);) {
			struct packed_sought sought = packed_seek_element(&member);
			(void)set_remove(out, &sought);
		}
	}
}

/* So much is left of a large first set that it is shared, whatever Redis does: the result is no array of integers
 * either way. To take a member out of what is shared costs some times more than to look it up and add it. */
static bool removing_is_little(const struct exec *exec, const struct operands *operands)
{
	uint64_t removed = 0, n = size_of(operands->sets[0]);
	for (uint32_t i = 1; i < operands->n; i++)
		removed += size_of(operands->sets[i]);
	return collection_is_large(operands->sets[0]) && removed < n / 8 &&
	       n - removed > exec->shard->collections.set_integers_max;
}

static void subtract(struct exec *exec, const struct operands *operands, struct collection *out)
{
	if (!operands->sets[0])
		return;
	for (uint32_t i = 1; i < operands->n; i++)
		if (operands->sets[i] == operands->sets[0])
			return;
	if (looking_up_is_less(operands) && !removing_is_little(exec, operands))
		subtract_by_look_up(operands, out);
	else
		subtract_by_removal(exec, operands, out);
}

/* ---- their answers ----------------------------------------------------------------------- */

static void show_to_set(void *arg, const struct packed_element *member)
{
	struct packed_sought sought = packed_seek_element(member);
	(void)set_add(arg, &sought);
}

static void show_to_buf(void *arg, const struct packed_element *member)
{
	buf_append(arg, slice_of(member, sizeof(*member)));
}

static void show_to_nobody(void *arg, const struct packed_element *member) {}

enum operation { UNITE, INTERSECT, SUBTRACT };

static struct slice store_event(enum operation operation)
{
	switch (operation) {
	case UNITE:
		return S("sunionstore");
	case INTERSECT:
		return S("sinterstore");
	case SUBTRACT:
		return S("sdiffstore");
	}
	return S("");
}

static void operate(struct exec *exec, enum operation operation, struct operands *operands, struct collection *out)
{
	if (operation == UNITE)
		unite(exec, operands, out);
	else if (operation == SUBTRACT)
		subtract(exec, operands, out);
	else if (!operands->any_absent)
		(void)intersect(operands, UINT64_MAX, show_to_set, out);
}

static enum err store(struct exec *exec, enum operation operation)
{
	cleanup(operands_fini) struct operands operands = {0};
	TRY(find_operands(exec, 2, exec->argc - 2, &operands));
	struct collection result = collection_apart(exec->shard, &exec->first, OBJECT_SET);
	operate(exec, operation, &operands, &result);
	uint64_t n = collection_count(result.object);
	bool existed = keyspace_find(exec->shard, &exec->first, FIND_QUIET);
	if (collection_put(&result, EXPIRES_NEVER))
		exec_notify(exec, EVENT_SET, store_event(operation), &exec->first);
	else if (existed)
		exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	reply_integer(exec->reply, (int64_t)n);
	return OK;
}

static enum err answer(struct exec *exec, enum operation operation)
{
	cleanup(operands_fini) struct operands operands = {0};
	TRY(find_operands(exec, 1, exec->argc - 1, &operands));
	struct collection result = collection_apart(exec->shard, &exec->first, OBJECT_SET);
	operate(exec, operation, &operands, &result);
	reply_set(exec->reply, collection_count(result.object));
	reply_members(exec, result.object);
	collection_drop(&result);
	return OK;
}

static enum err run_sunion(struct exec *exec) { return answer(exec, UNITE); }
static enum err run_sdiff(struct exec *exec) { return answer(exec, SUBTRACT); }
static enum err run_sunionstore(struct exec *exec) { return store(exec, UNITE); }
static enum err run_sdiffstore(struct exec *exec) { return store(exec, SUBTRACT); }
static enum err run_sinterstore(struct exec *exec) { return store(exec, INTERSECT); }

static enum err run_sinter(struct exec *exec)
{
	cleanup(operands_fini) struct operands operands = {0};
	cleanup(buf_fini) struct buf found = {0};
	TRY(find_operands(exec, 1, exec->argc - 1, &operands));
	uint64_t n = operands.any_absent ? 0 : intersect(&operands, UINT64_MAX, show_to_buf, &found);
	reply_set(exec->reply, n);
	for (uint64_t i = 0; i < n; i++)
		reply_member(exec, (const struct packed_element *)found.ptr + i);
	return OK;
}

static int find_numbered_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	int64_t n;
	if (argc < 3 || !integer_parse(argv[1], &n) || n < 1 || n > (int64_t)argc - 2)
		return -1;
	for (uint32_t i = 0; i < (uint32_t)n && i < room; i++)
		out[i] = 2 + i;
	return (int)n;
}

static enum err run_sintercard(struct exec *exec)
{
	int64_t n_keys, limit = 0;
	if (!read_count(exec, 1, 1, "numkeys should be greater than 0", &n_keys))
		return OK;
	if (n_keys > (int64_t)exec->argc - 2) {
		reply_error_fmt(exec->reply, "ERR Number of keys can't be greater than number of args");
		return OK;
	}
	for (uint32_t at = 2 + (uint32_t)n_keys; at < exec->argc; at += 2) {
		if (!exec_is(exec, at, S("LIMIT")) || at + 1 == exec->argc)
			return ERR_SYNTAX;
		if (!read_count(exec, at + 1, 0, "LIMIT can't be negative", &limit))
			return OK;
	}
	cleanup(operands_fini) struct operands operands = {0};
	TRY(find_operands(exec, 2, (uint32_t)n_keys, &operands));
	uint64_t most = limit ? (uint64_t)limit : UINT64_MAX;
	uint64_t n = operands.any_absent ? 0 : intersect(&operands, most, show_to_nobody, NULL);
	reply_integer(exec->reply, (int64_t)n);
	return OK;
}

/* ---- SSCAN ------------------------------------------------------------------------- */

struct scanned {
	const struct scan_options *options;
	struct buf found;
	uint64_t n;
};

static void scanned_fini(struct scanned *scanned) { buf_fini(&scanned->found); }

static void take_if_fits(void *arg, const struct packed_element *member)
{
	struct scanned *scanned = arg;
	char scratch[PACKED_SCRATCH];
	struct packed_sought sought = packed_seek_element(member);
	if (!scan_fits(scanned->options, packed_text(member, scratch)))
		return;
	uint8_t *to = buf_reserve(&scanned->found, packed_sought_size(&sought));
	scanned->found.len += (size_t)(packed_sought_write(to, &sought) - to);
	scanned->n++;
}

static enum err run_sscan(struct exec *exec)
{
	uint64_t cursor, next = 0;
	struct object *set;
	struct scan_options options;
	if (!scan_cursor(exec->argv[2], &cursor)) {
		reply_error_fmt(exec->reply, "ERR invalid cursor");
		return OK;
	}
	TRY(find_set(exec, &exec->first, &set));
	cleanup(scanned_fini) struct scanned scanned = {.options = &options};
	if (set) {
		TRY(scan_options(exec, 3, 0, &options));
		next = set_scan(set, cursor, scan_want(&options, set), take_if_fits, &scanned);
	}
	scan_reply(exec->reply, next, scanned.n, &scanned.found);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments key_alone[] = {{"key", .type = ARG_KEY}, {0}};
static arguments keys[] = {{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {0}};
static arguments key_and_member[] = {{"key", .type = ARG_KEY}, {"member", .type = ARG_STRING}, {0}};
static arguments key_and_members[] = {
        {"key", .type = ARG_KEY}, {"member", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static arguments destination_and_keys[] = {
        {"destination", .type = ARG_KEY}, {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {0}};
static arguments smove_arguments[] = {
        {"source", .type = ARG_KEY}, {"destination", .type = ARG_KEY}, {"member", .type = ARG_STRING}, {0}};
static arguments spop_arguments[] = {
        {"key", .type = ARG_KEY}, {"count", NULL, "3.2.0", ARG_INTEGER, ARG_OPTIONAL}, {0}};
static arguments srandmember_arguments[] = {
        {"key", .type = ARG_KEY}, {"count", NULL, "2.6.0", ARG_INTEGER, ARG_OPTIONAL}, {0}};
static arguments sintercard_arguments[] = {
        {"numkeys", .type = ARG_INTEGER},
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {"limit", "LIMIT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};
static arguments sscan_arguments[] = {
        {"key", .type = ARG_KEY},
        {"cursor", .type = ARG_INTEGER},
        {"pattern", "MATCH", NULL, ARG_PATTERN, ARG_OPTIONAL},
        {"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static const struct command_history member_history[] = {{"2.4.0", "Accepts multiple `member` arguments."}, {0}};
static const struct command_history spop_history[] = {{"3.2.0", "Added the `count` argument."}, {0}};
static const struct command_history srandmember_history[] = {{"2.6.0", "Added the optional `count` argument."}, {0}};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

#define TOTAL_COST "O(N) where N is the total number of elements in all given sets."
#define INTERSECTION_COST \
	"O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."
#define IN_ANY_ORDER "nondeterministic_output_order"
#define RANDOM       "nondeterministic_output"

/* clang-format off */
const struct command set_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"SADD", -3, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0",
	 "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
	 "Add one or more members to a set", run_sadd, key_and_members, .history = member_history, .uses = "RW insert"},
	{"SCARD", 2, {1, 1, 1}, READ | FAST, "1.0.0", "O(1)", "Get the number of members in a set", run_scard, key_alone,
	 .uses = "RO"},
	{"SDIFF", -2, {1, -1, 1}, READ, "1.0.0", TOTAL_COST, "Subtract multiple sets", run_sdiff, keys,
	 .tips = IN_ANY_ORDER},
	{"SDIFFSTORE", -3, {1, -1, 1}, WRITE | GROWS, "1.0.0", TOTAL_COST,
	 "Subtract multiple sets and store the resulting set in a key", run_sdiffstore, destination_and_keys,
	 .uses = "OW update, RO access"},
	{"SINTER", -2, {1, -1, 1}, READ, "1.0.0", INTERSECTION_COST, "Intersect multiple sets", run_sinter, keys,
	 .tips = IN_ANY_ORDER},
	{"SINTERCARD", -3, {0, 0, 0}, READ | COMMAND_MOVABLE_KEYS, "7.0.0", INTERSECTION_COST,
	 "Intersect multiple sets and return the cardinality of the result", run_sintercard, sintercard_arguments,
	 .find_keys = find_numbered_keys},
	{"SINTERSTORE", -3, {1, -1, 1}, WRITE | GROWS, "1.0.0", INTERSECTION_COST,
	 "Intersect multiple sets and store the resulting set in a key", run_sinterstore, destination_and_keys,
	 .uses = "RW update, RO access"},
	{"SISMEMBER", 3, {1, 1, 1}, READ | FAST, "1.0.0", "O(1)", "Determine if a given value is a member of a set",
	 run_sismember, key_and_member, .uses = "RO"},
	{"SMEMBERS", 2, {1, 1, 1}, READ, "1.0.0", "O(N) where N is the set cardinality.", "Get all the members in a set",
	 run_smembers, key_alone, .tips = IN_ANY_ORDER},
	{"SMISMEMBER", -3, {1, 1, 1}, READ | FAST, "6.2.0",
	 "O(N) where N is the number of elements being checked for membership",
	 "Returns the membership associated with the given elements for a set", run_smismember, key_and_members},
	{"SMOVE", 4, {1, 2, 1}, WRITE | FAST, "1.0.0", "O(1)", "Move a member from one set to another", run_smove,
	 smove_arguments, .uses = "RW access delete, RW insert"},
	{"SPOP", -2, {1, 1, 1}, WRITE | FAST, "1.0.0",
	 "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
	 "Remove and return one or multiple random members from a set", run_spop, spop_arguments, .history = spop_history,
	 .tips = RANDOM, .uses = "RW access delete"},
	{"SRANDMEMBER", -2, {1, 1, 1}, READ, "1.0.0",
	 "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
	 "Get one or multiple random members from a set", run_srandmember, srandmember_arguments,
	 .history = srandmember_history, .tips = RANDOM},
	{"SREM", -3, {1, 1, 1}, WRITE | FAST, "1.0.0", "O(N) where N is the number of members to be removed.",
	 "Remove one or more members from a set", run_srem, key_and_members, .history = member_history,
	 .uses = "RW delete"},
	{"SSCAN", -3, {1, 1, 1}, READ, "2.8.0",
	 "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return "
	 "back to 0. N is the number of elements inside the collection..",
	 "Incrementally iterate Set elements", run_sscan, sscan_arguments, .tips = RANDOM},
	{"SUNION", -2, {1, -1, 1}, READ, "1.0.0", TOTAL_COST, "Add multiple sets", run_sunion, keys, .tips = IN_ANY_ORDER},
	{"SUNIONSTORE", -3, {1, -1, 1}, WRITE | GROWS, "1.0.0", TOTAL_COST,
	 "Add multiple sets and store the resulting set in a key", run_sunionstore, destination_and_keys,
	 .uses = "OW update, RO access"},
	{0},
};
/* clang-format on */
