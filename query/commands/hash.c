/* hash.c -- commands on hashes. */
#include "storage/keyspace/hash.h"

#include "engine/base/number.h"
#include "engine/core/core.h"
#include "query/commands/notify.h"
#include "query/commands/sample.h"
#include "query/commands/scan.h"

#include <math.h>

/* ---- words ------------------------------------------------------------------------ */

/* The hash of a key, or NULL, for commands that do not change it. */
static enum err find_hash(struct exec *exec, struct object **out)
{
	struct object *object = exec_find(exec, &exec->first, FIND_READ);
	if (object && unlikely(object_type(object) != OBJECT_HASH))
		return ERR_WRONG_TYPE;
	*out = object;
	return OK;
}

static enum err open_hash(struct exec *exec, struct collection *out)
{
	return exec_open(exec, &exec->first, OBJECT_HASH, out);
}

static uint64_t count_of(const struct exec *exec, const struct object *hash)
{
	return hash ? hash_count(hash, exec->shard->now_ms) : 0;
}

static void reply_element(struct exec *exec, const struct packed_element *element)
{
	char scratch[PACKED_SCRATCH];
	reply_bulk(exec->reply, packed_text(element, scratch));
}

static bool get(const struct exec *exec, const struct object *hash, struct slice name, struct packed_element *out)
{
	struct packed_sought field = packed_seek(name);
	return hash && hash_get(hash, &field, exec->shard->now_ms, out);
}

static bool set(struct collection *hash, struct slice name, struct slice text)
{
	struct packed_sought field = packed_seek(name), value = packed_seek(text);
	return hash_set(hash, &field, &value);
}

/* ---- setting and removing ------------------------------------------------------------ */

/* How many fields are new. False: the error is said. */
static enum err set_all(struct exec *exec, const char *name, int64_t *out)
{
	struct collection hash;
	*out = -1;
	if (exec->argc % 2 == 1) {
		reply_error_fmt(exec->reply, "ERR wrong number of arguments for '%s' command", name);
		return OK;
	}
	TRY(open_hash(exec, &hash));
	*out = 0;
	for (uint32_t at = 2; at < exec->argc; at += 2)
		*out += set(&hash, exec->argv[at], exec->argv[at + 1]);
	exec_notify(exec, EVENT_HASH, S("hset"), &exec->first);
	return OK;
}

static enum err run_hset(struct exec *exec)
{
	int64_t n;
	TRY(set_all(exec, "hset", &n));
	if (n >= 0)
		reply_integer(exec->reply, n);
	return OK;
}

static enum err run_hmset(struct exec *exec)
{
	int64_t n;
	TRY(set_all(exec, "hmset", &n));
	if (n >= 0)
		reply_ok(exec->reply);
	return OK;
}

static enum err run_hsetnx(struct exec *exec)
{
	struct collection hash;
	struct packed_element old;
	TRY(open_hash(exec, &hash));
	bool absent = !get(exec, hash.object, exec->argv[2], &old);
	if (absent) {
		(void)set(&hash, exec->argv[2], exec->argv[3]);
		exec_notify(exec, EVENT_HASH, S("hset"), &exec->first);
	}
	reply_integer(exec->reply, absent);
	return OK;
}

static enum err run_hdel(struct exec *exec)
{
	struct collection hash;
	int64_t removed = 0;
	TRY(open_hash(exec, &hash));
	for (uint32_t at = 2; at < exec->argc; at++) {
		struct packed_sought field = packed_seek(exec->argv[at]);
		removed += hash_remove(&hash, &field);
	}
	reply_integer(exec->reply, removed);
	if (removed == 0)
		return OK;
	exec_notify(exec, EVENT_HASH, S("hdel"), &exec->first);
	if (collection_close(&hash))
		exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	return OK;
}

/* ---- counting ---------------------------------------------------------------------- */

/* A field that is there expires when it would have. */
static void count(struct collection *hash, struct slice name, struct slice text, bool there)
{
	struct packed_sought field = packed_seek(name), value = packed_seek(text);
	if (there)
		hash_change(hash, &field, &value);
	else
		(void)hash_set(hash, &field, &value);
}

static enum err run_hincrby(struct exec *exec)
{
	struct collection hash;
	struct packed_element old = {0};
	char digits[INTEGER_TEXT_MAX];
	int64_t by, sum;
	TRY(exec_integer(exec, 3, &by));
	TRY(open_hash(exec, &hash));
	bool there = get(exec, hash.object, exec->argv[2], &old);
	if (there && old.bytes.ptr) {
		reply_error_fmt(exec->reply, "ERR hash value is not an integer");
		return OK;
	}
	if (__builtin_add_overflow(old.integer, by, &sum)) {
		reply_error_fmt(exec->reply, "ERR increment or decrement would overflow");
		return OK;
	}
	count(&hash, exec->argv[2], slice_of(digits, integer_format(sum, digits)), there);
	reply_integer(exec->reply, sum);
	exec_notify(exec, EVENT_HASH, S("hincrby"), &exec->first);
	return OK;
}

static enum err run_hincrbyfloat(struct exec *exec)
{
	struct collection hash;
	struct packed_element old;
	char text[REAL_TEXT_MAX];
	long double value = 0, by;
	TRY(exec_real(exec, 3, &by));
	if (!isfinite(by)) {
		reply_error_fmt(exec->reply, "ERR value is NaN or Infinity");
		return OK;
	}
	TRY(open_hash(exec, &hash));
	bool there = get(exec, hash.object, exec->argv[2], &old);
	if (there && !real_parse(packed_text(&old, text), &value)) {
		reply_error_fmt(exec->reply, "ERR hash value is not a float");
		return OK;
	}
	value += by;
	if (!isfinite(value))
		return ERR_NAN_OR_INFINITY;
	struct slice sum = slice_of(text, real_format_plain(value, text));
	count(&hash, exec->argv[2], sum, there);
	reply_bulk(exec->reply, sum);
	exec_notify(exec, EVENT_HASH, S("hincrbyfloat"), &exec->first);
	return OK;
}

/* ---- reading ---------------------------------------------------------------------- */

static void reply_value(struct exec *exec, const struct object *hash, struct slice name)
{
	struct packed_element value;
	if (get(exec, hash, name, &value))
		reply_element(exec, &value);
	else
		reply_null(exec->reply);
}

static enum err run_hget(struct exec *exec)
{
	struct object *hash;
	TRY(find_hash(exec, &hash));
	reply_value(exec, hash, exec->argv[2]);
	return OK;
}

static enum err run_hmget(struct exec *exec)
{
	struct object *hash;
	TRY(find_hash(exec, &hash));
	reply_array(exec->reply, exec->argc - 2);
	for (uint32_t at = 2; at < exec->argc; at++)
		reply_value(exec, hash, exec->argv[at]);
	return OK;
}

static enum err run_hlen(struct exec *exec)
{
	struct object *hash;
	TRY(find_hash(exec, &hash));
	reply_integer(exec->reply, (int64_t)count_of(exec, hash));
	return OK;
}

static enum err run_hstrlen(struct exec *exec)
{
	struct object *hash;
	struct packed_element value;
	char scratch[PACKED_SCRATCH];
	TRY(find_hash(exec, &hash));
	bool there = get(exec, hash, exec->argv[2], &value);
	reply_integer(exec->reply, there ? (int64_t)packed_text(&value, scratch).len : 0);
	return OK;
}

static enum err run_hexists(struct exec *exec)
{
	struct object *hash;
	struct packed_element value;
	TRY(find_hash(exec, &hash));
	reply_integer(exec->reply, get(exec, hash, exec->argv[2], &value));
	return OK;
}

enum parts { FIELDS = 1, VALUES = 2 };

static void reply_pair(struct exec *exec, const struct hash_pair *pair, unsigned parts)
{
	if (parts & FIELDS)
		reply_element(exec, &pair->field);
	if (parts & VALUES)
		reply_element(exec, &pair->value);
}

static enum err reply_all(struct exec *exec, unsigned parts)
{
	struct object *hash;
	TRY(find_hash(exec, &hash));
	uint64_t n = count_of(exec, hash);
	if (parts == (FIELDS | VALUES))
		reply_map(exec->reply, n);
	else
		reply_array(exec->reply, n);
	struct hash_walk walk;
	struct hash_pair pair;
	if (!hash)
		return OK;
	for (hash_walk(hash, exec->shard->now_ms, &walk); hash_next(&walk, &pair);)
		reply_pair(exec, &pair, parts);
	return OK;
}

static enum err run_hgetall(struct exec *exec) { return reply_all(exec, FIELDS | VALUES); }
static enum err run_hkeys(struct exec *exec) { return reply_all(exec, FIELDS); }
static enum err run_hvals(struct exec *exec) { return reply_all(exec, VALUES); }

/* ---- HRANDFIELD -------------------------------------------------------------------- */

/* With values, pairs are arrays of their own from RESP3 on. */
static void reply_pairs_begin(struct exec *exec, uint64_t n, bool with_values)
{
	reply_array(exec->reply, with_values && exec->client->resp == 2 ? 2 * n : n);
}

static void reply_random(struct exec *exec, const struct hash_pair *pair, bool with_values)
{
	if (with_values && exec->client->resp > 2)
		reply_array(exec->reply, 2);
	reply_pair(exec, pair, with_values ? FIELDS | VALUES : FIELDS);
}

enum { DRAWS = 64 };

/* Where nearly all fields have expired and are still to be deleted: by counting those that live. */
static void pair_behind(struct exec *exec, const struct object *hash, struct hash_pair *out)
{
	struct hash_walk walk;
	uint64_t at = core_random(exec->core) % count_of(exec, hash);
	hash_walk(hash, exec->shard->now_ms, &walk);
	do
		(void)hash_next(&walk, out);
	while (at-- > 0);
}

static void random_pair(struct exec *exec, const struct object *hash, struct hash_pair *out)
{
	for (int draw = 0; draw < DRAWS; draw++) {
		hash_at(hash, core_random(exec->core) % collection_count(hash), out);
		if (out->expires_ms == EXPIRES_NEVER || out->expires_ms > exec->shard->now_ms)
			return;
	}
	pair_behind(exec, hash, out);
}

static void reply_some(struct exec *exec, const struct object *hash, uint64_t wanted, bool with_values)
{
	uint64_t count = count_of(exec, hash);
	struct hash_pair pair;
	struct hash_walk walk;
	if (wanted == count) {
		for (hash_walk(hash, exec->shard->now_ms, &walk); hash_next(&walk, &pair);)
			reply_random(exec, &pair, with_values);
		return;
	}
	cleanup(sample_fini) struct sample sample = sample_of(exec->core, count, wanted);
	if (wanted <= count / 8 && count == collection_count(hash)) {
		for (uint64_t from = 0, at; sample_next(&sample, &from, &at);) {
			hash_at(hash, at, &pair);
			reply_random(exec, &pair, with_values);
		}
		return;
	}
	hash_walk(hash, exec->shard->now_ms, &walk);
	for (uint64_t i = 0; hash_next(&walk, &pair); i++)
		if (sample_has(&sample, i))
			reply_random(exec, &pair, with_values);
}

static enum err random_several(struct exec *exec, int64_t n, bool with_values)
{
	struct object *hash;
	struct hash_pair pair;
	TRY(find_hash(exec, &hash));
	uint64_t count = count_of(exec, hash);
	if (!hash || n >= 0) {
		uint64_t wanted = n < 0 || (uint64_t)n > count ? count : (uint64_t)n;
		reply_pairs_begin(exec, wanted, with_values);
		if (wanted > 0)
			reply_some(exec, hash, wanted, with_values);
		return OK;
	}
	if (n < -SAMPLE_REPEATED_MAX) {
		reply_error_fmt(exec->reply, "ERR value is out of range");
		return OK;
	}
	reply_pairs_begin(exec, (uint64_t)-n, with_values);
	for (; n < 0; n++) {
		random_pair(exec, hash, &pair);
		reply_random(exec, &pair, with_values);
	}
	return OK;
}

static enum err run_hrandfield(struct exec *exec)
{
	struct object *hash;
	struct hash_pair pair;
	int64_t n;
	if (exec->argc >= 3) {
		TRY(exec_integer(exec, 2, &n));
		if (n == INT64_MIN) {
			reply_error_fmt(exec->reply, "ERR value is out of range, value must between %lld and %lld",
			                -(long long)INT64_MAX, (long long)INT64_MAX);
			return OK;
		}
		if (exec->argc > 4 || (exec->argc == 4 && !exec_is(exec, 3, S("WITHVALUES"))))
			return ERR_SYNTAX;
		if (exec->argc == 4 && (n < -INT64_MAX / 2 || n > INT64_MAX / 2)) {
			reply_error_fmt(exec->reply, "ERR value is out of range");
			return OK;
		}
		return random_several(exec, n, exec->argc == 4);
	}
	TRY(find_hash(exec, &hash));
	if (!hash) {
		reply_null(exec->reply);
		return OK;
	}
	random_pair(exec, hash, &pair);
	reply_element(exec, &pair.field);
	return OK;
}

/* ---- HSCAN ------------------------------------------------------------------------- */

struct scanned {
	const struct scan_options *options;
	struct buf found;
	uint64_t n;
};

static void scanned_fini(struct scanned *scanned) { buf_fini(&scanned->found); }

static void scanned_add(struct scanned *scanned, const struct packed_element *element)
{
	struct packed_sought sought = packed_seek_element(element);
	uint8_t *to = buf_reserve(&scanned->found, packed_sought_size(&sought));
	scanned->found.len += (size_t)(packed_sought_write(to, &sought) - to);
	scanned->n++;
}

static void take_if_fits(void *arg, const struct hash_pair *pair)
{
	struct scanned *scanned = arg;
	char scratch[PACKED_SCRATCH];
	if (!scan_fits(scanned->options, packed_text(&pair->field, scratch)))
		return;
	scanned_add(scanned, &pair->field);
	if (!scanned->options->no_values)
		scanned_add(scanned, &pair->value);
}

static enum err run_hscan(struct exec *exec)
{
	uint64_t cursor, next = 0;
	struct object *hash;
	struct scan_options options;
	if (!scan_cursor(exec->argv[2], &cursor)) {
		reply_error_fmt(exec->reply, "ERR invalid cursor");
		return OK;
	}
	TRY(find_hash(exec, &hash));
	cleanup(scanned_fini) struct scanned scanned = {.options = &options};
	if (hash) {
		TRY(scan_options(exec, 3, SCAN_NOVALUES, &options));
		next = hash_scan(hash, cursor, scan_want(&options, hash), exec->shard->now_ms, take_if_fits, &scanned);
	}
	scan_reply(exec->reply, next, scanned.n, &scanned.found);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments key_alone[] = {{"key", .type = ARG_KEY}, {0}};
static arguments key_and_field[] = {{"key", .type = ARG_KEY}, {"field", .type = ARG_STRING}, {0}};
static arguments key_and_fields[] = {
        {"key", .type = ARG_KEY}, {"field", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static arguments field_value[] = {{"field", .type = ARG_STRING}, {"value", .type = ARG_STRING}, {0}};
static arguments key_and_pairs[] = {
        {"key", .type = ARG_KEY},
        {"field_value", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .inner = field_value},
        {0},
};
static arguments hsetnx_arguments[] = {
        {"key", .type = ARG_KEY}, {"field", .type = ARG_STRING}, {"value", .type = ARG_STRING}, {0}};
static arguments hincrby_arguments[] = {
        {"key", .type = ARG_KEY}, {"field", .type = ARG_STRING}, {"increment", .type = ARG_INTEGER}, {0}};
static arguments hincrbyfloat_arguments[] = {
        {"key", .type = ARG_KEY}, {"field", .type = ARG_STRING}, {"increment", .type = ARG_DOUBLE}, {0}};
static arguments hrandfield_options[] = {
        {"count", .type = ARG_INTEGER}, {"withvalues", "WITHVALUES", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL}, {0}};
static arguments hrandfield_arguments[] = {
        {"key", .type = ARG_KEY},
        {"options", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = hrandfield_options},
        {0},
};
static arguments hscan_arguments[] = {
        {"key", .type = ARG_KEY},
        {"cursor", .type = ARG_INTEGER},
        {"pattern", "MATCH", NULL, ARG_PATTERN, ARG_OPTIONAL},
        {"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {"novalues", "NOVALUES", "7.4.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {0},
};

static const struct command_history hset_history[] = {{"4.0.0", "Accepts multiple `field` and `value` arguments."},
                                                      {0}};
static const struct command_history hdel_history[] = {{"2.4.0", "Accepts multiple `field` arguments."}, {0}};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

#define SIZE_COST "O(N) where N is the size of the hash."

/* clang-format off */
const struct command hash_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"HDEL", -3, {1, 1, 1}, WRITE | FAST, "2.0.0", "O(N) where N is the number of fields to be removed.",
	 "Delete one or more hash fields", run_hdel, key_and_fields, .history = hdel_history, .uses = "RW delete"},
	{"HEXISTS", 3, {1, 1, 1}, READ | FAST, "2.0.0", "O(1)", "Determine if a hash field exists", run_hexists,
	 key_and_field, .uses = "RO"},
	{"HGET", 3, {1, 1, 1}, READ | FAST, "2.0.0", "O(1)", "Get the value of a hash field", run_hget, key_and_field},
	{"HGETALL", 2, {1, 1, 1}, READ, "2.0.0", SIZE_COST, "Get all the fields and values in a hash", run_hgetall,
	 key_alone, .tips = "nondeterministic_output_order"},
	{"HINCRBY", 4, {1, 1, 1}, WRITE | GROWS | FAST, "2.0.0", "O(1)",
	 "Increment the integer value of a hash field by the given number", run_hincrby, hincrby_arguments},
	{"HINCRBYFLOAT", 4, {1, 1, 1}, WRITE | GROWS | FAST, "2.6.0", "O(1)",
	 "Increment the float value of a hash field by the given amount", run_hincrbyfloat, hincrbyfloat_arguments},
	{"HKEYS", 2, {1, 1, 1}, READ, "2.0.0", SIZE_COST, "Get all the fields in a hash", run_hkeys, key_alone,
	 .tips = "nondeterministic_output_order"},
	{"HLEN", 2, {1, 1, 1}, READ | FAST, "2.0.0", "O(1)", "Get the number of fields in a hash", run_hlen, key_alone,
	 .uses = "RO"},
	{"HMGET", -3, {1, 1, 1}, READ | FAST, "2.0.0", "O(N) where N is the number of fields being requested.",
	 "Get the values of all the given hash fields", run_hmget, key_and_fields},
	{"HMSET", -4, {1, 1, 1}, WRITE | GROWS | FAST, "2.0.0", "O(N) where N is the number of fields being set.",
	 "Set multiple hash fields to multiple values", run_hmset, key_and_pairs, .deprecated_since = "4.0.0",
	 .replaced_by = "`HSET` with multiple field-value pairs", .uses = "RW update"},
	{"HRANDFIELD", -2, {1, 1, 1}, READ, "6.2.0", "O(N) where N is the number of fields returned",
	 "Get one or multiple random fields from a hash", run_hrandfield, hrandfield_arguments,
	 .tips = "nondeterministic_output"},
	{"HSCAN", -3, {1, 1, 1}, READ, "2.8.0",
	 "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return "
	 "back to 0. N is the number of elements inside the collection..",
	 "Incrementally iterate hash fields and associated values", run_hscan, hscan_arguments,
	 .tips = "nondeterministic_output"},
	{"HSET", -4, {1, 1, 1}, WRITE | GROWS | FAST, "2.0.0",
	 "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with "
	 "multiple field/value pairs.",
	 "Set the string value of a hash field", run_hset, key_and_pairs, .history = hset_history, .uses = "RW update"},
	{"HSETNX", 4, {1, 1, 1}, WRITE | GROWS | FAST, "2.0.0", "O(1)",
	 "Set the value of a hash field, only if the field does not exist", run_hsetnx, hsetnx_arguments,
	 .uses = "RW insert"},
	{"HSTRLEN", 3, {1, 1, 1}, READ | FAST, "3.2.0", "O(1)", "Get the length of the value of a hash field", run_hstrlen,
	 key_and_field, .uses = "RO"},
	{"HVALS", 2, {1, 1, 1}, READ, "2.0.0", SIZE_COST, "Get all the values in a hash", run_hvals, key_alone,
	 .tips = "nondeterministic_output_order"},
	{0},
};
/* clang-format on */
