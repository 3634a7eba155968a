/* keys.c -- commands on keys of any type: whether they are, what they are, where they are.
 *
 * More of the group "generic" lies in expire.c, scan.c, dump.c and sort.c.
 */
#include "engine/core/core.h"
#include "query/commands/command.h"
#include "query/commands/list_reach.h"
#include "query/commands/notify.h"
#include "query/commands/rows_private.h"
#include "query/session/session.h"

#include <limits.h>

enum { KEYS_AHEAD = 16 }; /* their memory is asked for together, so that misses overlap */

static uint32_t keys_ahead(const struct exec *exec, uint32_t at, struct key keys[KEYS_AHEAD])
{
	uint32_t n = 0;
	for (; n < KEYS_AHEAD && at < exec->argc; n++, at++) {
		keys[n] = exec_key(exec, at);
		keyspace_prefetch_bucket(exec->shard, &keys[n]);
	}
	for (uint32_t i = 0; i < n; i++)
		keyspace_prefetch_object(exec->shard, &keys[i]);
	return n;
}

/* Answers how many keys, from argv[1] on, say yes. */
static enum err count_keys(struct exec *exec, bool (*says_yes)(struct exec *exec, const struct key *key))
{
	struct key keys[KEYS_AHEAD];
	int64_t count = 0;
	for (uint32_t at = 1; at < exec->argc;) {
		uint32_t n = keys_ahead(exec, at, keys);
		for (uint32_t i = 0; i < n; i++)
			count += says_yes(exec, &keys[i]);
		at += n;
	}
	reply_integer(exec->reply, count);
	return OK;
}

static bool is_deleted(struct exec *exec, const struct key *key)
{
	bool deleted = keyspace_delete(exec->shard, key);
	if (deleted)
		exec_notify(exec, EVENT_GENERIC, S("del"), key);
	return deleted;
}

static bool is_there(struct exec *exec, const struct key *key) { return exec_look(exec, key) != NULL; }

/* TOUCH counts as an access even for a client that wants no traces left. */
static bool is_touched(struct exec *exec, const struct key *key)
{
	bool found = keyspace_find(exec->shard, key, FIND_READ) != NULL;
	if (!found)
		exec_notify(exec, EVENT_MISS, S("keymiss"), key);
	return found;
}

static enum err run_del(struct exec *exec) { return count_keys(exec, is_deleted); }
static enum err run_exists(struct exec *exec) { return count_keys(exec, is_there); }
static enum err run_touch(struct exec *exec) { return count_keys(exec, is_touched); }

static enum err run_type(struct exec *exec)
{
	struct object *object = exec_look(exec, &exec->first);
	reply_simple(exec->reply, slice_from_str(object ? object_type_name(object_type(object)) : "none"));
	return OK;
}

/* ---- RENAME, COPY, MOVE ----------------------------------------------------------- */

/* To Redis a key that takes the place of another is new, too: the keyspace does not say so. */
static void tell_replaced(struct exec *exec, const struct key *to, bool was_there)
{
	if (was_there)
		exec_notify(exec, EVENT_NEW, S("new"), to);
}

static enum err rename_key(struct exec *exec, bool only_if_free)
{
	struct key to = exec_key(exec, 2);
	if (!exec_find(exec, &exec->first, FIND_WRITE))
		return ERR_NOT_FOUND;
	bool same = slice_equal(exec->first.name, to.name);
	bool replaces = !same && exec_find(exec, &to, FIND_WRITE);
	bool renamed = !same && !(only_if_free && replaces);
	if (renamed) {
		keyspace_move(exec->shard, &exec->first, &to);
		tell_replaced(exec, &to, replaces);
		exec_notify(exec, EVENT_GENERIC, S("rename_from"), &exec->first);
		exec_notify(exec, EVENT_GENERIC, S("rename_to"), &to);
	}
	if (only_if_free)
		reply_integer(exec->reply, renamed);
	else
		reply_ok(exec->reply);
	return OK;
}

static enum err run_rename(struct exec *exec) { return rename_key(exec, false); }
static enum err run_renamenx(struct exec *exec) { return rename_key(exec, true); }

static bool refuse(struct exec *exec, enum err err)
{
	reply_err(exec->reply, err);
	return false;
}

/* The keyspace that a database's number stands for; false: the error is said. */
static bool read_database(struct exec *exec, uint32_t at, uint32_t *out)
{
	int64_t db;
	if (exec_integer(exec, at, &db) != OK)
		return refuse(exec, ERR_NOT_INTEGER);
	if (db < INT_MIN || db > INT_MAX) {
		reply_error_fmt(exec->reply, "ERR value is out of range, value must between %d and %d", INT_MIN,
		                INT_MAX);
		return false;
	}
	if (db < 0 || db >= (int64_t)array_len(exec->shard->keyspace_of_db))
		return refuse(exec, ERR_DB_INDEX);
	*out = exec->shard->keyspace_of_db[db];
	return true;
}

struct copy_options {
	uint32_t keyspace;
	bool replace;
};

/* False: the error is said. */
static bool read_copy_options(struct exec *exec, struct copy_options *out)
{
	*out = (struct copy_options){.keyspace = exec->client->keyspace};
	for (uint32_t at = 3; at < exec->argc; at++) {
		if (exec_is(exec, at, S("REPLACE"))) {
			out->replace = true;
		} else if (exec_is(exec, at, S("DB")) && at + 1 < exec->argc) {
			if (!read_database(exec, ++at, &out->keyspace))
				return false;
		} else {
			return refuse(exec, ERR_SYNTAX);
		}
	}
	return true;
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->keyspace == b->keyspace && slice_equal(a->name, b->name);
}

static enum err run_copy(struct exec *exec)
{
	struct copy_options options;
	if (!read_copy_options(exec, &options))
		return OK;
	struct key to = exec_key(exec, 2);
	to.keyspace = options.keyspace;
	if (same_key(&exec->first, &to))
		return ERR_SAME_OBJECT;
	bool exists = exec_find(exec, &exec->first, FIND_READ);
	bool replaces = exists && exec_find(exec, &to, FIND_WRITE);
	bool copied = exists && (options.replace || !replaces);
	if (copied) {
		keyspace_copy(exec->shard, &exec->first, &to);
		tell_replaced(exec, &to, replaces);
		exec_notify(exec, EVENT_GENERIC, S("copy_to"), &to);
	}
	reply_integer(exec->reply, copied);
	return OK;
}

static enum err run_move(struct exec *exec)
{
	struct key to = exec->first;
	if (!read_database(exec, 2, &to.keyspace))
		return OK;
	if (to.keyspace == exec->first.keyspace)
		return ERR_SAME_OBJECT;
	bool moved = exec_find(exec, &exec->first, FIND_WRITE) && !exec_find(exec, &to, FIND_WRITE);
	if (moved) {
		keyspace_move(exec->shard, &exec->first, &to);
		exec_notify(exec, EVENT_GENERIC, S("move_from"), &exec->first);
		exec_notify(exec, EVENT_GENERIC, S("move_to"), &to);
	}
	reply_integer(exec->reply, moved);
	return OK;
}

/* ---- OBJECT ----------------------------------------------------------------------- */

static enum err run_object_encoding(struct exec *exec)
{
	struct object *object = exec_inspect(exec, &exec->first);
	if (object)
		reply_str(exec->reply, object_encoding(object));
	else
		reply_null(exec->reply);
	return OK;
}

static bool counts_frequency(const struct shard *shard)
{
	return shard->policy == EVICT_ALLKEYS_LFU || shard->policy == EVICT_VOLATILE_LFU;
}

#define SWITCHING \
	"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

static enum err run_object_freq(struct exec *exec)
{
	struct object *object = exec_inspect(exec, &exec->first);
	if (!object)
		reply_null(exec->reply);
	else if (!counts_frequency(exec->shard))
		reply_error_fmt(exec->reply, "ERR An LFU maxmemory policy is not selected, access frequency not "
		                             "tracked. " SWITCHING);
	else
		reply_integer(exec->reply, object_frequency(exec->shard, object));
	return OK;
}

static enum err run_object_idletime(struct exec *exec)
{
	struct object *object = exec_inspect(exec, &exec->first);
	if (!object)
		reply_null(exec->reply);
	else if (counts_frequency(exec->shard))
		reply_error_fmt(exec->reply, "ERR An LFU maxmemory policy is selected, idle time not "
		                             "tracked. " SWITCHING);
	else
		reply_integer(exec->reply, (int64_t)object_idle_s(exec->shard, object));
	return OK;
}

/* Values are never shared between keys, small integers neither. */
static enum err run_object_refcount(struct exec *exec)
{
	if (exec_inspect(exec, &exec->first))
		reply_integer(exec->reply, 1);
	else
		reply_null(exec->reply);
	return OK;
}

static const char *const object_help[] = {
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        "HELP",
        "    Prints this help.",
};

static enum err run_object_help(struct exec *exec)
{
	reply_array(exec->reply, array_len(object_help));
	for (size_t i = 0; i < array_len(object_help); i++)
		reply_simple(exec->reply, slice_from_str(object_help[i]));
	return OK;
}

/* ---- WAIT, MIGRATE ---------------------------------------------------------------- */

/* Milliseconds from now, 0: forever; false: the error is said. */
static bool read_timeout(struct exec *exec, uint32_t at, int64_t *out_ms)
{
	if (exec_integer(exec, at, out_ms) != OK)
		reply_error_fmt(exec->reply, "ERR timeout is not an integer or out of range");
	else if (*out_ms < 0)
		reply_error_fmt(exec->reply, "ERR timeout is negative");
	else
		return true;
	return false;
}

/* No replica can ever acknowledge: the answer is known without waiting for the timeout. */
static enum err run_wait(struct exec *exec)
{
	int64_t replicas, timeout_ms;
	TRY(exec_integer(exec, 1, &replicas));
	if (read_timeout(exec, 2, &timeout_ms))
		reply_integer(exec->reply, 0);
	return OK;
}

struct waitaof {
	int64_t local, replicas, timeout_ms;
};

/* False: the error is said. */
static bool read_waitaof(struct exec *exec, struct waitaof *out)
{
	const char *wrong = NULL;
	if (exec_integer(exec, 1, &out->local) != OK)
		return refuse(exec, ERR_NOT_INTEGER);
	if (out->local < 0 || out->local > 1)
		wrong = "value is out of range, value must between 0 and 1";
	else if (exec_integer(exec, 2, &out->replicas) != OK)
		return refuse(exec, ERR_NOT_INTEGER);
	else if (out->replicas < 0)
		wrong = "value is out of range, must be positive";
	else if (!read_timeout(exec, 3, &out->timeout_ms))
		return false;
	else if (out->local > 0 && !exec->core->store)
		wrong = "WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
	if (wrong)
		reply_error_fmt(exec->reply, "ERR %s", wrong);
	return !wrong;
}

/* The log is what Redis calls AOF. As there, inside a transaction nobody is waited for; and no replica can ever
 * acknowledge, so none is. */
static enum err run_waitaof(struct exec *exec)
{
	struct waitaof asked;
	bool durable;
	if (!read_waitaof(exec, &asked))
		return OK;
	if (asked.local > 0 && !exec->session->unit)
		TRY(durability_wait(exec->core, (uint64_t)asked.timeout_ms, &durable));
	else
		durable = durability_reached(exec->core);
	reply_array(exec->reply, 2);
	reply_integer(exec->reply, durable);
	reply_integer(exec->reply, 0);
	return OK;
}

/* Where MIGRATE's keys are: argv[3], or all behind KEYS if argv[3] is empty. */
static int find_migrate_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	uint32_t first = 3, end = 4;
	for (uint32_t at = 6; at < argc; at++) {
		if (slice_equal_nocase(argv[at], S("KEYS"))) {
			if (argv[3].len > 0)
				return -1;
			first = at + 1;
			end = argc;
			break;
		}
		if (slice_equal_nocase(argv[at], S("AUTH")))
			at += 1;
		else if (slice_equal_nocase(argv[at], S("AUTH2")))
			at += 2;
	}
	for (uint32_t i = 0; i < end - first && i < room; i++)
		out[i] = first + i;
	return (int)(end - first);
}

static enum err run_migrate(struct exec *exec)
{
	reply_error_fmt(exec->reply, "ERR MIGRATE is not supported by this server");
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

enum { READ = COMMAND_READ, WRITE = COMMAND_WRITE, GROWS = COMMAND_GROWS, FAST = COMMAND_FAST };

typedef const struct command_argument arguments;

static arguments key_alone[] = {{"key", .type = ARG_KEY}, {0}};
static arguments keys_alone[] = {{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {0}};
static arguments move_arguments[] = {{"key", .type = ARG_KEY}, {"db", .type = ARG_INTEGER}, {0}};
static arguments rename_arguments[] = {{"key", .type = ARG_KEY}, {"newkey", .type = ARG_KEY}, {0}};
static arguments wait_arguments[] = {{"numreplicas", .type = ARG_INTEGER}, {"timeout", .type = ARG_INTEGER}, {0}};
static arguments waitaof_arguments[] = {
        {"numlocal", .type = ARG_INTEGER},
        {"numreplicas", .type = ARG_INTEGER},
        {"timeout", .type = ARG_INTEGER},
        {0},
};
static arguments copy_arguments[] = {
        {"source", .type = ARG_KEY},
        {"destination", .type = ARG_KEY},
        {"destination-db", "DB", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {"replace", "REPLACE", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {0},
};

static arguments migrate_keys[] = {
        {"key", .type = ARG_KEY},
        {"empty_string", "", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments migrate_user[] = {{"username", .type = ARG_STRING}, {"password", .type = ARG_STRING}, {0}};
static arguments migrate_authentication[] = {
        {"password", "AUTH", "4.0.7", ARG_STRING, ARG_OPTIONAL},
        {"username_password", "AUTH2", "6.0.0", ARG_BLOCK, ARG_OPTIONAL, migrate_user},
        {0},
};
static arguments migrate_arguments[] = {
        {"host", .type = ARG_STRING},
        {"port", .type = ARG_INTEGER},
        {"key_or_empty_string", .type = ARG_ONEOF, .inner = migrate_keys},
        {"destination-db", .type = ARG_INTEGER},
        {"timeout", .type = ARG_INTEGER},
        {"copy", "COPY", "3.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"replace", "REPLACE", "3.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"authentication", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, migrate_authentication},
        {"key", "KEYS", "3.0.6", ARG_KEY, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

static const struct command_history exists_history[] = {{"3.0.3", "Accepts multiple `key` arguments."}, {0}};
static const struct command_history renamenx_history[] = {
        {"3.2.0", "The command no longer returns an error when source and destination names are the same."},
        {0},
};
static const struct command_history migrate_history[] = {
        {"3.0.0", "Added the `COPY` and `REPLACE` options."},
        {"3.0.6", "Added the `KEYS` option."},
        {"4.0.7", "Added the `AUTH` option."},
        {"6.0.0", "Added the `AUTH2` option."},
        {0},
};

/* clang-format off */
static const struct command object_subcommands[] = {
	{"ENCODING", 3, {2, 2, 1}, READ, "2.2.3", "O(1)",
	 "Inspect the internal encoding of a Redis object", run_object_encoding, key_alone,
	 .tips = "nondeterministic_output", .reach = needs_none, .uses = "RO"},
	{"FREQ", 3, {2, 2, 1}, READ | COMMAND_COLD, "4.0.0", "O(1)",
	 "Get the logarithmic access frequency counter of a Redis object", run_object_freq, key_alone,
	 .tips = "nondeterministic_output", .uses = "RO"},
	{"HELP", 2, {0}, COMMAND_LOADING | COMMAND_STALE, "6.2.0", "O(1)",
	 "Show helpful text about the different subcommands", run_object_help},
	{"IDLETIME", 3, {2, 2, 1}, READ | COMMAND_COLD, "2.2.3", "O(1)",
	 "Get the time since a Redis object was last accessed", run_object_idletime, key_alone,
	 .tips = "nondeterministic_output", .uses = "RO"},
	{"REFCOUNT", 3, {2, 2, 1}, READ | COMMAND_COLD, "2.2.3", "O(1)",
	 "Get the number of references to the value of the key", run_object_refcount, key_alone,
	 .tips = "nondeterministic_output", .uses = "RO"},
	{0},
};

const struct command keys_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"COPY", -3, {1, 2, 1}, WRITE | GROWS | COMMAND_OTHER_DB, "6.2.0",
	 "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
	 "Copy a key", run_copy, copy_arguments, .uses = "RO access, OW update"},
	{"DEL", -2, {1, -1, 1}, WRITE | COMMAND_COLD, "1.0.0",
	 "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a "
	 "string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, "
	 "sorted set or hash. Removing a single key that holds a string value is O(1).",
	 "Delete a key", run_del, keys_alone, .tips = "request_policy:multi_shard response_policy:agg_sum",
	 .uses = "RM delete"},
	{"EXISTS", -2, {1, -1, 1}, READ | FAST | COMMAND_COLD, "1.0.0", "O(N) where N is the number of keys to check.",
	 "Determine if a key exists", run_exists, keys_alone, .history = exists_history,
	 .tips = "request_policy:multi_shard response_policy:agg_sum", .uses = "RO"},
	{"MIGRATE", -6, {3, 3, 1}, WRITE | COMMAND_MOVABLE_KEYS, "2.6.0",
	 "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See "
	 "the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is "
	 "performed.",
	 "Atomically transfer a key from a Redis instance to another one.", run_migrate, migrate_arguments,
	 .find_keys = find_migrate_keys, .history = migrate_history, .tips = "nondeterministic_output",
	 .categories = "dangerous", .uses = "RW access delete"},
	{"MOVE", 3, {1, 1, 1}, WRITE | FAST | COMMAND_OTHER_DB, "1.0.0", "O(1)",
	 "Move a key to another database", run_move, move_arguments},
	{"OBJECT", -2, {0}, 0, "2.2.3", "Depends on subcommand.",
	 "A container for object introspection commands", .subcommands = object_subcommands},
	{"RENAME", 3, {1, 2, 1}, WRITE, "1.0.0", "O(1)", "Rename a key", run_rename, rename_arguments,
	 .uses = "RW access delete, OW update"},
	{"RENAMENX", 3, {1, 2, 1}, WRITE | FAST, "1.0.0", "O(1)",
	 "Rename a key, only if the new key does not exist", run_renamenx, rename_arguments,
	 .history = renamenx_history, .uses = "RW access delete, OW insert"},
	{"TOUCH", -2, {1, -1, 1}, READ | FAST | COMMAND_COLD, "3.2.1", "O(N) where N is the number of keys that will be touched.",
	 "Alters the last access time of a key(s). Returns the number of existing keys specified.", run_touch,
	 keys_alone, .tips = "request_policy:multi_shard response_policy:agg_sum", .uses = "RO"},
	{"TYPE", 2, {1, 1, 1}, READ | FAST | COMMAND_COLD, "1.0.0", "O(1)", "Determine the type stored at key", run_type, key_alone,
	 .uses = "RO"},
	{"UNLINK", -2, {1, -1, 1}, WRITE | FAST | COMMAND_COLD, "4.0.0",
	 "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in "
	 "order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
	 "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.", run_del,
	 keys_alone, .tips = "request_policy:multi_shard response_policy:agg_sum", .uses = "RM delete"},
	{"WAIT", 3, {0}, COMMAND_NO_SCRIPT, "3.0.0", "O(1)",
	 "Wait for the synchronous replication of all the write commands sent in the context of the current connection",
	 run_wait, wait_arguments, .tips = "request_policy:all_shards response_policy:agg_min",
	 .categories = "-keyspace connection"},
	{"WAITAOF", 4, {0}, COMMAND_NO_SCRIPT | COMMAND_FIBER, "7.2.0", "O(1)",
	 "Wait for all write commands sent in the context of the current connection to be synced to AOF of local host "
	 "and/or replicas",
	 run_waitaof, waitaof_arguments, .tips = "request_policy:all_shards response_policy:agg_min",
	 .categories = "-keyspace connection"},
	{0},
};
/* clang-format on */
