/* expire.c -- when keys go: EXPIRE and its kin, TTL and its kin, PERSIST. */
#include "query/commands/expire.h"

#include "query/commands/notify.h"

enum unit { SECONDS = 1000, MILLISECONDS = 1 };

/* ---- setting ---------------------------------------------------------------------- */

unsigned expire_condition_named(const struct exec *exec, uint32_t at)
{
	if (exec_is(exec, at, S("NX")))
		return IF_NONE;
	if (exec_is(exec, at, S("XX")))
		return IF_ANY;
	if (exec_is(exec, at, S("GT")))
		return IF_LATER;
	return exec_is(exec, at, S("LT")) ? IF_EARLIER : 0;
}

/* False: the error is said. */
static bool read_conditions(struct exec *exec, unsigned *out)
{
	unsigned conditions = 0;
	for (uint32_t at = 3; at < exec->argc; at++) {
		unsigned named = expire_condition_named(exec, at);
		conditions |= named;
		if (!named) {
			struct slice text = exec->argv[at];
			reply_error_fmt(exec->reply, "ERR Unsupported option %.*s",
			                (int)strnlen((const char *)text.ptr, text.len), text.ptr);
			return false;
		}
	}
	if (conditions & IF_NONE && conditions != IF_NONE) {
		reply_error_fmt(exec->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
		return false;
	}
	if (conditions & IF_LATER && conditions & IF_EARLIER) {
		reply_error_fmt(exec->reply, "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	*out = conditions;
	return true;
}

bool expire_conditions_hold(unsigned conditions, int64_t now_set_ms, int64_t wanted_ms)
{
	bool expires = now_set_ms != EXPIRES_NEVER;
	if (conditions & IF_NONE && expires)
		return false;
	if (conditions & IF_ANY && !expires)
		return false;
	if (conditions & IF_LATER && (!expires || wanted_ms <= now_set_ms))
		return false;
	return !(conditions & IF_EARLIER && expires && wanted_ms >= now_set_ms);
}

void reply_wrong_expiry(struct exec *exec)
{
	char name[16] = {0};
	for (size_t i = 0; i + 1 < sizeof(name) && exec->command->name[i]; i++)
		name[i] = (char)ascii_lower((uint8_t)exec->command->name[i]);
	reply_error_fmt(exec->reply, "ERR invalid expire time in '%s' command", name);
}

/* argv[2] as a time since 1970; false: the error is said. */
static bool read_time(struct exec *exec, enum unit unit, int64_t base_ms, int64_t *out)
{
	int64_t time;
	if (exec_integer(exec, 2, &time) != OK) {
		reply_err(exec->reply, ERR_NOT_INTEGER);
		return false;
	}
	if (__builtin_mul_overflow(time, (int64_t)unit, &time) || __builtin_add_overflow(time, base_ms, &time)) {
		reply_wrong_expiry(exec);
		return false;
	}
	*out = time;
	return true;
}

static enum err expire(struct exec *exec, enum unit unit, int64_t base_ms)
{
	unsigned conditions;
	int64_t time_ms;
	if (!read_conditions(exec, &conditions) || !read_time(exec, unit, base_ms, &time_ms))
		return OK;
	struct object *object = exec_find(exec, &exec->first, FIND_WRITE);
	bool done = object && expire_conditions_hold(conditions, object_expires_ms(object), time_ms);
	if (done && time_ms <= exec->client->now_ms) {
		keyspace_delete(exec->shard, &exec->first);
		exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	} else if (done) {
		keyspace_expire(exec->shard, &exec->first, object, time_ms);
		exec_notify(exec, EVENT_GENERIC, S("expire"), &exec->first);
	}
	reply_integer(exec->reply, done);
	return OK;
}

static enum err run_expire(struct exec *exec) { return expire(exec, SECONDS, exec->client->now_ms); }
static enum err run_pexpire(struct exec *exec) { return expire(exec, MILLISECONDS, exec->client->now_ms); }
static enum err run_expireat(struct exec *exec) { return expire(exec, SECONDS, 0); }
static enum err run_pexpireat(struct exec *exec) { return expire(exec, MILLISECONDS, 0); }

static enum err run_persist(struct exec *exec)
{
	struct object *object = exec_find(exec, &exec->first, FIND_WRITE);
	bool expires = object && object_expires_ms(object) != EXPIRES_NEVER;
	if (expires) {
		keyspace_expire(exec->shard, &exec->first, object, EXPIRES_NEVER);
		exec_notify(exec, EVENT_GENERIC, S("persist"), &exec->first);
	}
	reply_integer(exec->reply, expires);
	return OK;
}

/* ---- asking ----------------------------------------------------------------------- */

enum { NO_SUCH_KEY = -2 };

/* Milliseconds from `base_ms` to the expiry, in `unit`, rounded. */
static enum err say_expiry(struct exec *exec, enum unit unit, int64_t base_ms)
{
	struct object *object = exec_look(exec, &exec->first);
	int64_t answer = object ? object_expires_ms(object) : NO_SUCH_KEY;
	if (answer >= 0) {
		int64_t left_ms = answer > base_ms ? answer - base_ms : 0;
		answer = left_ms / unit + (left_ms % unit >= (unit + 1) / 2);
	}
	reply_integer(exec->reply, answer);
	return OK;
}

static enum err run_ttl(struct exec *exec) { return say_expiry(exec, SECONDS, exec->client->now_ms); }
static enum err run_pttl(struct exec *exec) { return say_expiry(exec, MILLISECONDS, exec->client->now_ms); }
static enum err run_expiretime(struct exec *exec) { return say_expiry(exec, SECONDS, 0); }
static enum err run_pexpiretime(struct exec *exec) { return say_expiry(exec, MILLISECONDS, 0); }

/* ---- rows ------------------------------------------------------------------------- */

enum { READ = COMMAND_READ, WRITE = COMMAND_WRITE, FAST = COMMAND_FAST };

typedef const struct command_argument arguments;

static arguments key_alone[] = {{"key", .type = ARG_KEY}, {0}};
static arguments conditions[] = {
        {"nx", "NX", .type = ARG_PURE_TOKEN},
        {"xx", "XX", .type = ARG_PURE_TOKEN},
        {"gt", "GT", .type = ARG_PURE_TOKEN},
        {"lt", "LT", .type = ARG_PURE_TOKEN},
        {0},
};
#define CONDITION                                                               \
	{                                                                       \
		"condition", NULL, "7.0.0", ARG_ONEOF, ARG_OPTIONAL, conditions \
	}
static arguments expire_arguments[] = {{"key", .type = ARG_KEY}, {"seconds", .type = ARG_INTEGER}, CONDITION, {0}};
static arguments pexpire_arguments[] = {
        {"key", .type = ARG_KEY}, {"milliseconds", .type = ARG_INTEGER}, CONDITION, {0}};
static arguments expireat_arguments[] = {
        {"key", .type = ARG_KEY}, {"unix-time-seconds", .type = ARG_UNIX_TIME}, CONDITION, {0}};
static arguments pexpireat_arguments[] = {
        {"key", .type = ARG_KEY}, {"unix-time-milliseconds", .type = ARG_UNIX_TIME}, CONDITION, {0}};

static const struct command_history conditions_history[] = {{"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
                                                            {0}};
static const struct command_history ttl_history[] = {{"2.8.0", "Added the -2 reply."}, {0}};

/* clang-format off */
const struct command expire_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"EXPIRE", -3, {1, 1, 1}, WRITE | FAST | COMMAND_COLD, "1.0.0", "O(1)",
	 "Set a key's time to live in seconds", run_expire, expire_arguments, .history = conditions_history,
	 .uses = "RW update"},
	{"EXPIREAT", -3, {1, 1, 1}, WRITE | FAST | COMMAND_COLD, "1.2.0", "O(1)",
	 "Set the expiration for a key as a UNIX timestamp", run_expireat, expireat_arguments,
	 .history = conditions_history, .uses = "RW update"},
	{"EXPIRETIME", 2, {1, 1, 1}, READ | FAST | COMMAND_COLD, "7.0.0", "O(1)",
	 "Get the expiration Unix timestamp for a key", run_expiretime, key_alone},
	{"PERSIST", 2, {1, 1, 1}, WRITE | FAST | COMMAND_COLD, "2.2.0", "O(1)",
	 "Remove the expiration from a key", run_persist, key_alone, .uses = "RW update"},
	{"PEXPIRE", -3, {1, 1, 1}, WRITE | FAST | COMMAND_COLD, "2.6.0", "O(1)",
	 "Set a key's time to live in milliseconds", run_pexpire, pexpire_arguments, .history = conditions_history,
	 .uses = "RW update"},
	{"PEXPIREAT", -3, {1, 1, 1}, WRITE | FAST | COMMAND_COLD, "2.6.0", "O(1)",
	 "Set the expiration for a key as a UNIX timestamp specified in milliseconds", run_pexpireat,
	 pexpireat_arguments, .history = conditions_history, .uses = "RW update"},
	{"PEXPIRETIME", 2, {1, 1, 1}, READ | FAST | COMMAND_COLD, "7.0.0", "O(1)",
	 "Get the expiration Unix timestamp for a key in milliseconds", run_pexpiretime, key_alone},
	{"PTTL", 2, {1, 1, 1}, READ | FAST | COMMAND_COLD, "2.6.0", "O(1)",
	 "Get the time to live for a key in milliseconds", run_pttl, key_alone, .history = ttl_history,
	 .tips = "nondeterministic_output"},
	{"TTL", 2, {1, 1, 1}, READ | FAST | COMMAND_COLD, "1.0.0", "O(1)",
	 "Get the time to live for a key in seconds", run_ttl, key_alone, .history = ttl_history,
	 .tips = "nondeterministic_output"},
	{0},
};
/* clang-format on */
