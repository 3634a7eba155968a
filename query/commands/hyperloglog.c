/* hyperloglog.c -- PFADD, PFCOUNT, PFMERGE: about how many different elements there were.
 *
 * The values are strings in Redis' own form (hll.h), so GET, SET, DUMP and RESTORE carry them between servers.
 */
#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "query/commands/command.h"
#include "query/commands/hll.h"
#include "query/commands/notify.h"
#include "storage/journal/journal.h"

static enum err say_corrupt(struct exec *exec)
{
	reply_error_fmt(exec->reply, "INVALIDOBJ Corrupted HLL object detected");
	return OK;
}

/* False: it is no HyperLogLog, and the error is said. */
static bool find_hll(struct exec *exec, const struct key *key, enum find_how how, struct slice *out, bool *found,
                     char scratch[STRING_SCRATCH])
{
	struct object *object;
	enum err err = exec_find_string(exec, key, how, &object);
	if (err != OK) {
		reply_err(exec->reply, err);
		return false;
	}
	*found = object != NULL;
	if (!object)
		return true;
	*out = string_value(object, scratch);
	if (hll_is_one(*out))
		return true;
	reply_error_fmt(exec->reply, "WRONGTYPE Key is not a valid HyperLogLog string value.");
	return false;
}

static void put(struct exec *exec, const struct buf *hll)
{
	string_put_bytes(exec->shard, &exec->first, buf_slice(hll), EXPIRES_KEEP, true);
}

static void tell_added(struct exec *exec) { exec_notify(exec, EVENT_STRING, S("pfadd"), &exec->first); }

/* ---- PFADD -------------------------------------------------------------------------- */

/* Changed where it lies: only the bytes that change go to the log. */
static bool add_to_dense(struct exec *exec, struct slice hll)
{
	uint8_t *bytes = NULL;
	for (uint32_t at = 2; at < exec->argc; at++) {
		struct hll_place place = hll_place_of(exec->argv[at]);
		uint8_t four[3];
		size_t from = hll_four_at(place.index);
		/* Mostly nothing changes: that is found out on a copy of its bytes. */
		memcpy(four, (bytes ? bytes : hll.ptr) + from, sizeof(four));
		if (!hll_raise_four(four, place))
			continue;
		if (!bytes)
			bytes = string_edit(exec->shard, &exec->first, HLL_DENSE_SIZE);
		memcpy(bytes + from, four, sizeof(four));
		shard_note_patch(exec->shard, from, sizeof(four));
	}
	if (!bytes)
		return false;
	hll_forget_count(bytes);
	shard_note_patch(exec->shard, HLL_COUNT_AT, 8);
	return true;
}

static enum err add_to_sparse(struct exec *exec, const struct slice *old, bool *changed)
{
	cleanup(buf_fini) struct buf hll = {0};
	if (old)
		buf_append(&hll, *old);
	else
		hll_make_empty(&hll);
	*changed = !old;
	for (uint32_t at = 2; at < exec->argc; at++) {
		enum hll_change change =
		        hll_raise(&hll, hll_place_of(exec->argv[at]), exec->core->settings->hll_sparse_max_bytes);
		if (change == HLL_CORRUPT)
			return ERR_SYNTAX;
		*changed |= change == HLL_CHANGED;
	}
	if (*changed) {
		hll_forget_count(hll.ptr);
		put(exec, &hll);
	}
	return OK;
}

static enum err run_pfadd(struct exec *exec)
{
	char scratch[STRING_SCRATCH];
	struct slice hll;
	bool found, changed;
	if (!find_hll(exec, &exec->first, FIND_WRITE, &hll, &found, scratch))
		return OK;
	if (found && hll_is_dense(hll))
		changed = add_to_dense(exec, hll);
	else if (add_to_sparse(exec, found ? &hll : NULL, &changed) != OK)
		return say_corrupt(exec);
	if (changed)
		tell_added(exec);
	reply_integer(exec->reply, changed);
	return OK;
}

/* ---- PFCOUNT ------------------------------------------------------------------------ */

/* Merges the keys from argv[1] on into `registers`; false: the error is said. */
static bool merge_keys(struct exec *exec, uint8_t registers[HLL_REGISTERS], bool *any_dense)
{
	for (uint32_t at = 1; at < exec->argc; at++) {
		struct key key = exec_key(exec, at);
		char scratch[STRING_SCRATCH];
		struct slice hll;
		bool found;
		if (!find_hll(exec, &key, FIND_READ, &hll, &found, scratch))
			return false;
		if (!found)
			continue;
		*any_dense |= hll_is_dense(hll);
		if (!hll_merge(hll, registers)) {
			(void)say_corrupt(exec);
			return false;
		}
	}
	return true;
}

/* A count that was just made is kept in the value, if the log has room to say so. */
static void keep_count(struct exec *exec, size_t size, uint64_t count)
{
	if (shard_refuses(exec->shard, SHARD_GROWS) != OK)
		return;
	hll_say_count(string_edit(exec->shard, &exec->first, size) + HLL_COUNT_AT, count);
	shard_note_patch(exec->shard, HLL_COUNT_AT, 8);
}

static enum err count_one(struct exec *exec)
{
	char scratch[STRING_SCRATCH];
	struct slice hll;
	bool found;
	uint64_t count = 0;
	if (!find_hll(exec, &exec->first, FIND_READ, &hll, &found, scratch))
		return OK;
	if (found && !hll_known_count(hll, &count)) {
		if (!hll_count(hll, &count))
			return say_corrupt(exec);
		keep_count(exec, hll.len, count);
	}
	reply_integer(exec->reply, (int64_t)count);
	return OK;
}

static enum err run_pfcount(struct exec *exec)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	bool any_dense = false;
	if (exec->argc == 2)
		return count_one(exec);
	if (merge_keys(exec, registers, &any_dense))
		reply_integer(exec->reply, (int64_t)hll_count_registers(registers));
	return OK;
}

/* ---- PFMERGE ------------------------------------------------------------------------ */

static enum err run_pfmerge(struct exec *exec)
{
	cleanup(buf_fini) struct buf merged = {0};
	uint8_t registers[HLL_REGISTERS] = {0};
	char scratch[STRING_SCRATCH];
	bool any_dense = false, found;
	struct slice old;
	if (!merge_keys(exec, registers, &any_dense) ||
	    !find_hll(exec, &exec->first, FIND_WRITE, &old, &found, scratch))
		return OK;
	if (found)
		buf_append(&merged, old);
	else
		hll_make_empty(&merged);
	if (any_dense && !hll_make_dense(&merged))
		return say_corrupt(exec);
	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		if (registers[i] > 0 && hll_raise(&merged, (struct hll_place){i, registers[i]},
		                                  exec->core->settings->hll_sparse_max_bytes) == HLL_CORRUPT)
			return say_corrupt(exec);
	hll_forget_count(merged.ptr);
	put(exec, &merged);
	tell_added(exec);
	reply_ok(exec->reply);
	return OK;
}

/* ---- PFDEBUG, PFSELFTEST ------------------------------------------------------------ */

static void say_decoded(struct exec *exec, struct slice hll)
{
	cleanup(buf_fini) struct buf text = {0};
	if (hll_is_dense(hll)) {
		reply_error_fmt(exec->reply, "ERR HLL encoding is not sparse");
		return;
	}
	hll_decode(hll, &text);
	reply_bulk(exec->reply, buf_slice(&text));
}

/* False: corrupt. */
static bool make_dense(struct exec *exec, struct slice hll, bool *changed)
{
	cleanup(buf_fini) struct buf dense = {0};
	*changed = !hll_is_dense(hll);
	if (!*changed)
		return true;
	buf_append(&dense, hll);
	if (!hll_make_dense(&dense))
		return false;
	put(exec, &dense);
	return true;
}

static enum err say_registers(struct exec *exec, struct slice hll)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	bool changed;
	if (!hll_merge(hll, registers) || !make_dense(exec, hll, &changed))
		return say_corrupt(exec);
	reply_array(exec->reply, HLL_REGISTERS);
	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		reply_integer(exec->reply, registers[i]);
	return OK;
}

static enum err run_pfdebug(struct exec *exec)
{
	char scratch[STRING_SCRATCH];
	struct slice hll;
	bool found, changed;
	if (!find_hll(exec, &exec->first, FIND_WRITE, &hll, &found, scratch))
		return OK;
	if (!found) {
		reply_error_fmt(exec->reply, "ERR The specified key does not exist");
	} else if (exec_is(exec, 1, S("GETREG"))) {
		return say_registers(exec, hll);
	} else if (exec_is(exec, 1, S("DECODE"))) {
		say_decoded(exec, hll);
	} else if (exec_is(exec, 1, S("ENCODING"))) {
		reply_simple(exec->reply, hll_is_dense(hll) ? S("dense") : S("sparse"));
	} else if (exec_is(exec, 1, S("TODENSE"))) {
		if (!make_dense(exec, hll, &changed))
			return say_corrupt(exec);
		reply_integer(exec->reply, changed);
	} else {
		reply_error_fmt(exec->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)exec->argv[1].len,
		                exec->argv[1].ptr);
	}
	return OK;
}

/* Both forms, filled with the same elements, count the same, and about right. */
static enum err run_pfselftest(struct exec *exec)
{
	enum { ELEMENTS = 1000, ERROR_MAX = 50 };
	cleanup(buf_fini) struct buf sparse = {0}, dense = {0};
	uint64_t of_sparse = 0, of_dense = 0;
	hll_make_empty(&sparse);
	hll_make_empty(&dense);
	bool sound = hll_make_dense(&dense);
	for (uint64_t i = 0; i < ELEMENTS; i++) {
		struct hll_place place = hll_place_of(slice_of(&i, sizeof(i)));
		sound &= hll_raise(&sparse, place, UINT64_MAX) == hll_raise(&dense, place, 0);
	}
	sound &= !hll_is_dense(buf_slice(&sparse)) && hll_count(buf_slice(&sparse), &of_sparse) &&
	         hll_count(buf_slice(&dense), &of_dense) && of_sparse == of_dense;
	if (sound && of_dense > ELEMENTS - ERROR_MAX && of_dense < ELEMENTS + ERROR_MAX)
		reply_ok(exec->reply);
	else
		reply_error_fmt(exec->reply, "TESTFAILED sparse counts %lu, dense %lu of %d", (unsigned long)of_sparse,
		                (unsigned long)of_dense, ELEMENTS);
	return OK;
}

/* ---- rows --------------------------------------------------------------------------- */

enum { WRITE = COMMAND_WRITE | COMMAND_GROWS };

typedef const struct command_argument arguments;

static arguments pfadd_arguments[] = {
        {"key", .type = ARG_KEY},
        {"element", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};
static arguments pfcount_arguments[] = {{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {0}};
static arguments pfmerge_arguments[] = {
        {"destkey", .type = ARG_KEY},
        {"sourcekey", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {0},
};
static arguments pfdebug_arguments[] = {{"subcommand", .type = ARG_STRING}, {"key", .type = ARG_KEY}, {0}};

/* clang-format off */
const struct command hyperloglog_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"PFADD", -2, {1, 1, 1}, WRITE | COMMAND_FAST, "2.8.9", "O(1) to add every element.",
	 "Adds the specified elements to the specified HyperLogLog.", run_pfadd, pfadd_arguments, .uses = "RW insert"},
	{"PFCOUNT", -2, {1, -1, 1}, COMMAND_READ | COMMAND_MAY_REPLICATE, "2.8.9",
	 "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of "
	 "keys, and much bigger constant times, when called with multiple keys.",
	 "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).", run_pfcount,
	 pfcount_arguments, .uses = "RW access"},
	{"PFDEBUG", 3, {2, 2, 1}, WRITE | COMMAND_ADMIN, "2.8.9", "N/A",
	 "Internal commands for debugging HyperLogLog values", run_pfdebug, pfdebug_arguments, .uses = "RW access"},
	{"PFMERGE", -2, {1, -1, 1}, WRITE, "2.8.9", "O(N) to merge N HyperLogLogs, but with high constant times.",
	 "Merge N different HyperLogLogs into a single one.", run_pfmerge, pfmerge_arguments,
	 .uses = "RW access insert, RO access"},
	{"PFSELFTEST", 1, {0}, COMMAND_ADMIN, "2.8.9", "N/A",
	 "An internal command for testing HyperLogLog values", run_pfselftest},
	{0},
};
/* clang-format on */
