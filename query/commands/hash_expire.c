/* hash_expire.c -- when fields of hashes go: HEXPIRE and its kin, HTTL and its kin, HPERSIST. */
#include "query/commands/expire.h"
#include "query/commands/notify.h"
#include "storage/keyspace/hash.h"

enum unit { SECONDS = 1000, MILLISECONDS = 1 };

/* What is said of a field. */
enum {
	NO_SUCH_FIELD = -2,
	NEVER_EXPIRES = -1,
	CONDITION_NOT_MET = 0,
	DONE = 1,
	DELETED = 2,
};

/* ---- arguments -------------------------------------------------------------------- */

/* "FIELDS numfields field ..." from argv[at] on, to the end; false: the error is said. */
static bool read_fields(struct exec *exec, uint32_t at, const char *wrong_number, uint32_t *out_first)
{
	int64_t n;
	if (at + 1 >= exec->argc || !exec_is(exec, at, S("FIELDS"))) {
		reply_error_fmt(exec->reply, "ERR Mandatory argument FIELDS is missing or not at the right position");
		return false;
	}
	if (exec_integer(exec, at + 1, &n) != OK || n < 1) {
		reply_error_fmt(exec->reply, "ERR %s", wrong_number);
		return false;
	}
	*out_first = at + 2;
	if (n != (int64_t)(exec->argc - *out_first)) {
		reply_error_fmt(exec->reply, "ERR The `numfields` parameter must match the number of arguments");
		return false;
	}
	return true;
}

#define NOT_A_NUMBER "Number of fields must be a positive integer"

enum { FIELDS_AT = 2 };

static bool get_pair(const struct exec *exec, const struct object *hash, uint32_t at, struct packed_sought *field,
                     struct hash_pair *out)
{
	*field = packed_seek(exec->argv[at]);
	return hash && hash_get_pair(hash, field, exec->shard->now_ms, out);
}

/* ---- setting ---------------------------------------------------------------------- */

static const int64_t longest_ms = HASH_EXPIRES_MAX >> 2; /* that may be asked for */

/* argv[2] as a time since 1970; false: the error is said. */
static bool read_time(struct exec *exec, enum unit unit, int64_t base_ms, int64_t *out)
{
	int64_t time;
	if (exec_integer(exec, 2, &time) != OK) {
		reply_err(exec->reply, ERR_NOT_INTEGER);
		return false;
	}
	if (time < 0) {
		reply_error_fmt(exec->reply, "ERR invalid expire time, must be >= 0");
		return false;
	}
	if (time > longest_ms / (int64_t)unit || time * (int64_t)unit > HASH_EXPIRES_MAX - base_ms) {
		reply_wrong_expiry(exec);
		return false;
	}
	*out = base_ms + time * (int64_t)unit;
	return true;
}

/* What is said of one field. */
static int64_t expire_field(struct exec *exec, struct collection *hash, uint32_t at, unsigned condition,
                            int64_t time_ms)
{
	struct packed_sought field;
	struct hash_pair pair;
	if (!get_pair(exec, hash->object, at, &field, &pair))
		return NO_SUCH_FIELD;
	if (!expire_conditions_hold(condition, pair.expires_ms, time_ms))
		return CONDITION_NOT_MET;
	if (time_ms <= exec->client->now_ms) {
		(void)hash_remove(hash, &field);
		return DELETED;
	}
	hash_expire(hash, &field, time_ms);
	return DONE;
}

static enum err expire(struct exec *exec, enum unit unit, int64_t base_ms)
{
	struct collection hash;
	uint32_t first;
	int64_t time_ms, deleted = 0, done = 0;
	TRY(exec_open(exec, &exec->first, OBJECT_HASH, &hash));
	unsigned condition = expire_condition_named(exec, 3);
	if (!read_time(exec, unit, base_ms, &time_ms) ||
	    !read_fields(exec, condition ? 4 : 3, "Parameter `numFields` should be greater than 0", &first))
		return OK;
	reply_array(exec->reply, exec->argc - first);
	for (uint32_t at = first; at < exec->argc; at++) {
		int64_t said = expire_field(exec, &hash, at, condition, time_ms);
		deleted += said == DELETED;
		done += said == DONE;
		reply_integer(exec->reply, said);
	}
	if (deleted > 0)
		exec_notify(exec, EVENT_HASH, S("hdel"), &exec->first);
	if (done > 0)
		exec_notify(exec, EVENT_HASH, S("hexpire"), &exec->first);
	if (deleted > 0 && collection_close(&hash))
		exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	return OK;
}

static enum err run_hexpire(struct exec *exec) { return expire(exec, SECONDS, exec->client->now_ms); }
static enum err run_hpexpire(struct exec *exec) { return expire(exec, MILLISECONDS, exec->client->now_ms); }
static enum err run_hexpireat(struct exec *exec) { return expire(exec, SECONDS, 0); }
static enum err run_hpexpireat(struct exec *exec) { return expire(exec, MILLISECONDS, 0); }

static int64_t persist_field(struct exec *exec, struct collection *hash, uint32_t at)
{
	struct packed_sought field;
	struct hash_pair pair;
	if (!get_pair(exec, hash->object, at, &field, &pair))
		return NO_SUCH_FIELD;
	if (pair.expires_ms == EXPIRES_NEVER)
		return NEVER_EXPIRES;
	hash_expire(hash, &field, EXPIRES_NEVER);
	return DONE;
}

static enum err run_hpersist(struct exec *exec)
{
	struct collection hash;
	uint32_t first;
	bool any = false;
	TRY(exec_open(exec, &exec->first, OBJECT_HASH, &hash));
	if (!read_fields(exec, FIELDS_AT, NOT_A_NUMBER, &first))
		return OK;
	reply_array(exec->reply, exec->argc - first);
	for (uint32_t at = first; at < exec->argc; at++) {
		int64_t said = persist_field(exec, &hash, at);
		any |= said == DONE;
		reply_integer(exec->reply, said);
	}
	if (any)
		exec_notify(exec, EVENT_HASH, S("hpersist"), &exec->first);
	return OK;
}

/* ---- asking ----------------------------------------------------------------------- */

/* From `base_ms` to the expiry of each field, in `unit`, begun units being whole ones. */
static enum err say_expiry(struct exec *exec, enum unit unit, int64_t base_ms)
{
	uint32_t first;
	struct object *hash = exec_find(exec, &exec->first, FIND_READ);
	if (hash && object_type(hash) != OBJECT_HASH)
		return ERR_WRONG_TYPE;
	if (!read_fields(exec, FIELDS_AT, NOT_A_NUMBER, &first))
		return OK;
	reply_array(exec->reply, exec->argc - first);
	for (uint32_t at = first; at < exec->argc; at++) {
		struct packed_sought field;
		struct hash_pair pair;
		int64_t answer = NO_SUCH_FIELD;
		if (get_pair(exec, hash, at, &field, &pair))
			answer = pair.expires_ms == EXPIRES_NEVER ? NEVER_EXPIRES
			                                          : (pair.expires_ms - base_ms + unit - 1) / unit;
		reply_integer(exec->reply, answer);
	}
	return OK;
}

static enum err run_httl(struct exec *exec) { return say_expiry(exec, SECONDS, exec->client->now_ms); }
static enum err run_hpttl(struct exec *exec) { return say_expiry(exec, MILLISECONDS, exec->client->now_ms); }
static enum err run_hexpiretime(struct exec *exec) { return say_expiry(exec, SECONDS, 0); }
static enum err run_hpexpiretime(struct exec *exec) { return say_expiry(exec, MILLISECONDS, 0); }

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments fields[] = {
        {"numfields", .type = ARG_INTEGER}, {"field", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static arguments conditions[] = {
        {"nx", "NX", .type = ARG_PURE_TOKEN},
        {"xx", "XX", .type = ARG_PURE_TOKEN},
        {"gt", "GT", .type = ARG_PURE_TOKEN},
        {"lt", "LT", .type = ARG_PURE_TOKEN},
        {0},
};
#define CONDITION                                                            \
	{                                                                    \
		"condition", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, conditions \
	}
#define FIELDS                                                         \
	{                                                              \
		"fields", "FIELDS", .type = ARG_BLOCK, .inner = fields \
	}
static arguments key_and_fields[] = {{"key", .type = ARG_KEY}, FIELDS, {0}};
static arguments hexpire_arguments[] = {
        {"key", .type = ARG_KEY}, {"seconds", .type = ARG_INTEGER}, CONDITION, FIELDS, {0}};
static arguments hpexpire_arguments[] = {
        {"key", .type = ARG_KEY}, {"milliseconds", .type = ARG_INTEGER}, CONDITION, FIELDS, {0}};
static arguments hexpireat_arguments[] = {
        {"key", .type = ARG_KEY}, {"unix-time-seconds", .type = ARG_UNIX_TIME}, CONDITION, FIELDS, {0}};
static arguments hpexpireat_arguments[] = {
        {"key", .type = ARG_KEY}, {"unix-time-milliseconds", .type = ARG_UNIX_TIME}, CONDITION, FIELDS, {0}};

enum {
	READ = COMMAND_READ | COMMAND_FAST,
	WRITE = COMMAND_WRITE | COMMAND_FAST,
	GROWS = COMMAND_WRITE | COMMAND_GROWS | COMMAND_FAST,
};

#define COST "O(N) where N is the number of specified fields"

/* clang-format off */
const struct command hash_expire_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"HEXPIRE", -6, {1, 1, 1}, GROWS, "7.4.0", COST,
	 "Set expiry for hash field using relative time to expire (seconds)", run_hexpire, hexpire_arguments,
	 .uses = "RW update"},
	{"HEXPIREAT", -6, {1, 1, 1}, GROWS, "7.4.0", COST,
	 "Set expiry for hash field using an absolute Unix timestamp (seconds)", run_hexpireat, hexpireat_arguments,
	 .uses = "RW update"},
	{"HEXPIRETIME", -5, {1, 1, 1}, READ, "7.4.0", COST,
	 "Returns the expiration time of a hash field as a Unix timestamp, in seconds.", run_hexpiretime, key_and_fields},
	{"HPERSIST", -5, {1, 1, 1}, WRITE, "7.4.0", COST,
	 "Removes the expiration time for each specified field", run_hpersist, key_and_fields, .uses = "RW update"},
	{"HPEXPIRE", -6, {1, 1, 1}, GROWS, "7.4.0", COST,
	 "Set expiry for hash field using relative time to expire (milliseconds)", run_hpexpire, hpexpire_arguments,
	 .uses = "RW update"},
	{"HPEXPIREAT", -6, {1, 1, 1}, GROWS, "7.4.0", COST,
	 "Set expiry for hash field using an absolute Unix timestamp (milliseconds)", run_hpexpireat,
	 hpexpireat_arguments, .uses = "RW update"},
	{"HPEXPIRETIME", -5, {1, 1, 1}, READ, "7.4.0", COST,
	 "Returns the expiration time of a hash field as a Unix timestamp, in msec.", run_hpexpiretime, key_and_fields},
	{"HPTTL", -5, {1, 1, 1}, READ, "7.4.0", COST, "Returns the TTL in milliseconds of a hash field.", run_hpttl,
	 key_and_fields, .tips = "nondeterministic_output"},
	{"HTTL", -5, {1, 1, 1}, READ, "7.4.0", COST, "Returns the TTL in seconds of a hash field.", run_httl,
	 key_and_fields, .tips = "nondeterministic_output"},
	{0},
};
/* clang-format on */
