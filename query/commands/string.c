/* string.c -- commands on strings. */
#include "engine/base/number.h"
#include "query/commands/command.h"
#include "query/commands/lcs.h"
#include "query/commands/notify.h"
#include "query/commands/string_limit.h"
#include "storage/journal/journal.h"

#include <math.h>

/* ---- reading ---------------------------------------------------------------------- */

static void say_or_null(struct exec *exec, struct object *object)
{
	if (object)
		exec_reply_string(exec, object);
	else
		reply_null(exec->reply);
}

static enum err run_get(struct exec *exec)
{
	struct object *object;
	TRY(exec_find_string(exec, &exec->first, FIND_READ, &object));
	say_or_null(exec, object);
	return OK;
}

static enum err run_strlen(struct exec *exec)
{
	struct object *object;
	TRY(exec_find_string(exec, &exec->first, FIND_READ, &object));
	reply_integer(exec->reply, object ? (int64_t)string_length(object) : 0);
	return OK;
}

/* Positions count from the end if negative; both ends are part of the range, and are moved
 * into the string. An end before the string becomes its first byte, as in Redis. */
static struct slice range_of(struct slice value, int64_t from, int64_t to)
{
	struct slice nothing = slice_of(value.ptr, 0);
	int64_t len = (int64_t)value.len;
	if (len == 0 || (from < 0 && to < 0 && from > to))
		return nothing;
	if (from < 0)
		from = from + len < 0 ? 0 : from + len;
	if (to < 0)
		to = to + len < 0 ? 0 : to + len;
	if (to >= len)
		to = len - 1;
	return from > to ? nothing : slice_sub(value, (size_t)from, (size_t)to + 1);
}

static enum err run_getrange(struct exec *exec)
{
	int64_t from, to;
	struct object *object;
	char scratch[STRING_SCRATCH];
	TRY(exec_integer(exec, 2, &from));
	TRY(exec_integer(exec, 3, &to));
	TRY(exec_find_string(exec, &exec->first, FIND_READ, &object));
	if (object)
		exec_reply_bytes(exec, object, range_of(string_value(object, scratch), from, to));
	else
		reply_bulk(exec->reply, S(""));
	return OK;
}

/* ---- several keys ----------------------------------------------------------------- */

enum { KEYS_AHEAD = 16 }; /* their memory is asked for together, so that misses overlap */

static uint32_t keys_ahead(const struct exec *exec, uint32_t at, uint32_t step, struct key keys[KEYS_AHEAD])
{
	uint32_t n = 0;
	for (; n < KEYS_AHEAD && at < exec->argc; n++, at += step) {
		keys[n] = exec_key(exec, at);
		keyspace_prefetch_bucket(exec->shard, &keys[n]);
	}
	for (uint32_t i = 0; i < n; i++)
		keyspace_prefetch_object(exec->shard, &keys[i]);
	return n;
}

static enum err run_mget(struct exec *exec)
{
	struct key keys[KEYS_AHEAD];
	reply_array(exec->reply, exec->argc - 1);
	for (uint32_t at = 1; at < exec->argc;) {
		uint32_t n = keys_ahead(exec, at, 1, keys);
		for (uint32_t i = 0; i < n; i++) {
			struct object *object = NULL;
			/* What is no string is answered as what is absent. */
			if (exec_find_string(exec, &keys[i], FIND_READ, &object) != OK)
				object = NULL;
			say_or_null(exec, object);
		}
		at += n;
	}
	return OK;
}

/* Has every key a value? Says the error otherwise. */
static bool comes_in_pairs(struct exec *exec, const char *name)
{
	if (exec->argc % 2 == 1)
		return true;
	reply_error_fmt(exec->reply, "ERR wrong number of arguments for '%s' command", name);
	return false;
}

static void set(struct exec *exec, const struct key *key, struct slice value, int64_t expires_ms)
{
	string_put(exec->shard, key, value, expires_ms);
	exec_notify(exec, EVENT_STRING, S("set"), key);
}

static void put_pairs(struct exec *exec)
{
	struct key keys[KEYS_AHEAD];
	for (uint32_t at = 1; at < exec->argc;) {
		uint32_t n = keys_ahead(exec, at, 2, keys);
		for (uint32_t i = 0; i < n; i++, at += 2)
			set(exec, &keys[i], exec->argv[at + 1], EXPIRES_NEVER);
	}
}

static enum err run_mset(struct exec *exec)
{
	if (!comes_in_pairs(exec, "mset"))
		return OK;
	put_pairs(exec);
	reply_ok(exec->reply);
	return OK;
}

static bool any_key_exists(struct exec *exec)
{
	struct key keys[KEYS_AHEAD];
	for (uint32_t at = 1; at < exec->argc;) {
		uint32_t n = keys_ahead(exec, at, 2, keys);
		for (uint32_t i = 0; i < n; i++, at += 2)
			if (exec_find(exec, &keys[i], FIND_WRITE))
				return true;
	}
	return false;
}

static enum err run_msetnx(struct exec *exec)
{
	if (!comes_in_pairs(exec, "msetnx"))
		return OK;
	bool is_free = !any_key_exists(exec);
	if (is_free)
		put_pairs(exec);
	reply_integer(exec->reply, is_free);
	return OK;
}

/* ---- options and expiry of SET and GETEX ------------------------------------------ */

enum option {
	OPTION_NX = 1 << 0,
	OPTION_XX = 1 << 1,
	OPTION_GET = 1 << 2,
	OPTION_KEEPTTL = 1 << 3,
	OPTION_PERSIST = 1 << 4,
	OPTION_EX = 1 << 5,
	OPTION_PX = 1 << 6,
	OPTION_EXAT = 1 << 7,
	OPTION_PXAT = 1 << 8,
	OPTIONS_TIMED = OPTION_EX | OPTION_PX | OPTION_EXAT | OPTION_PXAT, /* a time follows */
	OPTIONS_EXPIRY = OPTIONS_TIMED | OPTION_KEEPTTL | OPTION_PERSIST,
	OPTIONS_SET = OPTION_NX | OPTION_XX | OPTION_GET | OPTION_KEEPTTL | OPTIONS_TIMED,
	OPTIONS_GETEX = OPTION_PERSIST | OPTIONS_TIMED,
};

/* `excludes` never holds the option itself: saying it twice is fine, the last one counts. */
static const struct option_word {
	const char *word;
	uint32_t option;
	uint32_t excludes;
} option_words[] = {
        {"NX", OPTION_NX, OPTION_XX},
        {"XX", OPTION_XX, OPTION_NX},
        {"GET", OPTION_GET, 0},
        {"EX", OPTION_EX, OPTIONS_EXPIRY & ~OPTION_EX},
        {"PX", OPTION_PX, OPTIONS_EXPIRY & ~OPTION_PX},
        {"EXAT", OPTION_EXAT, OPTIONS_EXPIRY & ~OPTION_EXAT},
        {"PXAT", OPTION_PXAT, OPTIONS_EXPIRY & ~OPTION_PXAT},
        {"KEEPTTL", OPTION_KEEPTTL, OPTIONS_EXPIRY & ~OPTION_KEEPTTL},
        {"PERSIST", OPTION_PERSIST, OPTIONS_EXPIRY & ~OPTION_PERSIST},
};

struct options {
	uint32_t given;   /* of enum option */
	uint32_t time_at; /* where the time stands in argv, if one is given */
};

static const struct option_word *find_option(struct slice word, uint32_t allowed)
{
	for (size_t i = 0; i < array_len(option_words); i++)
		if (option_words[i].option & allowed && slice_equal_nocase(word, slice_from_str(option_words[i].word)))
			return &option_words[i];
	return NULL;
}

static enum err read_options(const struct exec *exec, uint32_t at, uint32_t allowed, struct options *out)
{
	struct options options = {0};
	for (; at < exec->argc; at++) {
		const struct option_word *word = find_option(exec->argv[at], allowed);
		if (!word || options.given & word->excludes)
			return ERR_SYNTAX;
		options.given |= word->option;
		if (word->option & OPTIONS_TIMED) {
			if (++at == exec->argc)
				return ERR_SYNTAX;
			options.time_at = at;
		}
	}
	*out = options;
	return OK;
}

static bool say_bad_expiry(struct exec *exec)
{
	char name[16] = "";
	for (size_t i = 0; i + 1 < sizeof(name) && exec->command->name[i]; i++)
		name[i] = (char)ascii_lower((uint8_t)exec->command->name[i]);
	reply_error_fmt(exec->reply, "ERR invalid expire time in '%s' command", name);
	return false;
}

/* The time at argv[at], said in the unit of a timed `option`, as milliseconds since 1970;
 * false with the error said if it makes no sense. */
static bool read_expiry(struct exec *exec, uint32_t at, uint32_t option, int64_t *out)
{
	int64_t time;
	enum err err = exec_integer(exec, at, &time);
	if (err != OK) {
		reply_err(exec->reply, err);
		return false;
	}
	if (time <= 0)
		return say_bad_expiry(exec);
	if (option & (OPTION_EX | OPTION_EXAT) && __builtin_mul_overflow(time, 1000, &time))
		return say_bad_expiry(exec);
	if (option & (OPTION_EX | OPTION_PX) && __builtin_add_overflow(time, exec->client->now_ms, &time))
		return say_bad_expiry(exec);
	*out = time;
	return true;
}

static bool is_past(const struct exec *exec, int64_t expires_ms)
{
	return expires_ms >= 0 && expires_ms <= exec->client->now_ms;
}

/* ---- SET and its kin -------------------------------------------------------------- */

/* A value that has expired before it is set is told of as if it had been there. */
static void put_and_expire(struct exec *exec)
{
	const struct key *key = &exec->first;
	if (!keyspace_delete(exec->shard, key))
		exec_notify(exec, EVENT_NEW, S("new"), key);
	exec_notify(exec, EVENT_STRING, S("set"), key);
	exec_notify(exec, EVENT_GENERIC, S("expire"), key);
	exec_notify(exec, EVENT_EXPIRED, S("expired"), key);
}

static void put(struct exec *exec, struct slice value, int64_t expires_ms)
{
	if (unlikely(is_past(exec, expires_ms))) {
		put_and_expire(exec);
		return;
	}
	set(exec, &exec->first, value, expires_ms);
	if (expires_ms >= 0)
		exec_notify(exec, EVENT_GENERIC, S("expire"), &exec->first);
}

static enum err set_with_options(struct exec *exec)
{
	struct options options;
	TRY(read_options(exec, 3, OPTIONS_SET, &options));
	uint32_t given = options.given;
	int64_t expires_ms = given & OPTION_KEEPTTL ? EXPIRES_KEEP : EXPIRES_NEVER;
	if (options.time_at && !read_expiry(exec, options.time_at, given, &expires_ms))
		return OK;

	struct object *old = NULL;
	if (given & OPTION_GET)
		TRY(exec_find_string(exec, &exec->first, FIND_READ, &old));
	else if (given & (OPTION_NX | OPTION_XX))
		old = exec_find(exec, &exec->first, FIND_WRITE);

	bool refused = (given & OPTION_NX && old) || (given & OPTION_XX && !old);
	if (given & OPTION_GET)
		say_or_null(exec, old);
	else if (refused)
		reply_null(exec->reply);
	else
		reply_ok(exec->reply);
	if (!refused)
		put(exec, exec->argv[2], expires_ms);
	return OK;
}

/* With GET it looks at the value that was there. */
static const char *set_uses(const struct slice *argv, uint32_t argc)
{
	for (uint32_t i = 3; i < argc; i++)
		if (slice_equal_nocase(argv[i], S("GET")))
			return "RW access update";
	return "OW update";
}

static enum err run_set(struct exec *exec)
{
	if (unlikely(exec->argc > 3))
		return set_with_options(exec);
	set(exec, &exec->first, exec->argv[2], EXPIRES_NEVER);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_setnx(struct exec *exec)
{
	bool is_free = !exec_find(exec, &exec->first, FIND_WRITE);
	if (is_free)
		set(exec, &exec->first, exec->argv[2], EXPIRES_NEVER);
	reply_integer(exec->reply, is_free);
	return OK;
}

static enum err set_for(struct exec *exec, enum option unit)
{
	int64_t expires_ms;
	if (!read_expiry(exec, 2, unit, &expires_ms))
		return OK;
	put(exec, exec->argv[3], expires_ms);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_setex(struct exec *exec) { return set_for(exec, OPTION_EX); }
static enum err run_psetex(struct exec *exec) { return set_for(exec, OPTION_PX); }

static enum err run_getset(struct exec *exec)
{
	TRY(run_get(exec));
	set(exec, &exec->first, exec->argv[2], EXPIRES_NEVER);
	return OK;
}

static enum err run_getdel(struct exec *exec)
{
	TRY(run_get(exec));
	if (keyspace_delete(exec->shard, &exec->first))
		exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	return OK;
}

static void change_expiry(struct exec *exec, struct object *object, int64_t expires_ms)
{
	if (is_past(exec, expires_ms)) {
		keyspace_delete(exec->shard, &exec->first);
		exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	} else if (expires_ms != EXPIRES_NEVER) {
		keyspace_expire(exec->shard, &exec->first, object, expires_ms);
		exec_notify(exec, EVENT_GENERIC, S("expire"), &exec->first);
	} else if (object_expires_ms(object) != EXPIRES_NEVER) {
		keyspace_expire(exec->shard, &exec->first, object, EXPIRES_NEVER);
		exec_notify(exec, EVENT_GENERIC, S("persist"), &exec->first);
	}
}

static enum err run_getex(struct exec *exec)
{
	struct options options;
	struct object *object;
	int64_t expires_ms = EXPIRES_NEVER;
	TRY(read_options(exec, 2, OPTIONS_GETEX, &options));
	TRY(exec_find_string(exec, &exec->first, FIND_READ, &object));
	if (!object) {
		reply_null(exec->reply);
		return OK;
	}
	if (options.time_at && !read_expiry(exec, options.time_at, options.given, &expires_ms))
		return OK;
	exec_reply_string(exec, object);
	if (options.given)
		change_expiry(exec, object, expires_ms);
	return OK;
}

/* ---- changing a part -------------------------------------------------------------- */

static enum err run_append(struct exec *exec)
{
	struct object *object;
	struct slice more = exec->argv[2];
	TRY(exec_find_string(exec, &exec->first, FIND_WRITE, &object));
	size_t len = object ? string_length(object) : 0;
	if (!object) {
		string_put(exec->shard, &exec->first, more, EXPIRES_NEVER);
	} else {
		if (more.len > STRING_SIZE_MAX || len > STRING_SIZE_MAX - more.len)
			return ERR_STRING_TOO_LONG;
		uint8_t *bytes = string_edit(exec->shard, &exec->first, len + more.len);
		memcpy(bytes + len, more.ptr, more.len);
		shard_note_patch(exec->shard, len, more.len);
	}
	exec_notify(exec, EVENT_STRING, S("append"), &exec->first);
	reply_integer(exec->reply, (int64_t)(len + more.len));
	return OK;
}

static enum err run_setrange(struct exec *exec)
{
	int64_t offset;
	struct object *object;
	struct slice value = exec->argv[3];
	TRY(exec_integer(exec, 2, &offset));
	if (offset < 0) {
		reply_error_fmt(exec->reply, "ERR offset is out of range");
		return OK;
	}
	TRY(exec_find_string(exec, &exec->first, FIND_WRITE, &object));
	size_t len = object ? string_length(object) : 0;
	if (value.len > 0) {
		if (value.len > STRING_SIZE_MAX || offset > (int64_t)(STRING_SIZE_MAX - value.len))
			return ERR_STRING_TOO_LONG;
		size_t end = (size_t)offset + value.len;
		len = end > len ? end : len;
		uint8_t *bytes = string_edit(exec->shard, &exec->first, len);
		memcpy(bytes + offset, value.ptr, value.len);
		shard_note_patch(exec->shard, (uint64_t)offset, value.len);
		exec_notify(exec, EVENT_STRING, S("setrange"), &exec->first);
	}
	reply_integer(exec->reply, (int64_t)len);
	return OK;
}

/* ---- numbers ---------------------------------------------------------------------- */

static enum err change_by(struct exec *exec, int64_t by)
{
	struct object *object;
	int64_t value = 0;
	TRY(exec_find_string(exec, &exec->first, FIND_WRITE, &object));
	if (object && !string_integer(object, &value))
		return ERR_NOT_INTEGER;
	if (__builtin_add_overflow(value, by, &value))
		return ERR_OVERFLOW;
	string_put_integer(exec->shard, &exec->first, value, EXPIRES_KEEP);
	exec_notify(exec, EVENT_STRING, S("incrby"), &exec->first);
	reply_integer(exec->reply, value);
	return OK;
}

static enum err run_incr(struct exec *exec) { return change_by(exec, 1); }
static enum err run_decr(struct exec *exec) { return change_by(exec, -1); }

static enum err run_incrby(struct exec *exec)
{
	int64_t by;
	TRY(exec_integer(exec, 2, &by));
	return change_by(exec, by);
}

static enum err run_decrby(struct exec *exec)
{
	int64_t by;
	TRY(exec_integer(exec, 2, &by));
	if (by == INT64_MIN) { /* has no opposite */
		reply_error_fmt(exec->reply, "ERR decrement would overflow");
		return OK;
	}
	return change_by(exec, -by);
}

static enum err run_incrbyfloat(struct exec *exec)
{
	struct object *object;
	long double value = 0, by;
	char text[REAL_TEXT_MAX];
	TRY(exec_find_string(exec, &exec->first, FIND_WRITE, &object));
	if (object && !real_parse(string_value(object, text), &value))
		return ERR_NOT_FLOAT;
	TRY(exec_real(exec, 2, &by));
	value += by;
	if (!isfinite(value))
		return ERR_NAN_OR_INFINITY;
	struct slice sum = slice_of(text, real_format_plain(value, text));
	string_put_bytes(exec->shard, &exec->first, sum, EXPIRES_KEEP, false);
	exec_notify(exec, EVENT_STRING, S("incrbyfloat"), &exec->first);
	reply_bulk(exec->reply, sum);
	return OK;
}

/* ---- LCS -------------------------------------------------------------------------- */

struct lcs_options {
	bool length_only, runs, with_lengths;
	int64_t length_min;
};

static enum err read_lcs_options(const struct exec *exec, struct lcs_options *out)
{
	for (uint32_t at = 3; at < exec->argc; at++) {
		if (exec_is(exec, at, S("IDX")))
			out->runs = true;
		else if (exec_is(exec, at, S("LEN")))
			out->length_only = true;
		else if (exec_is(exec, at, S("WITHMATCHLEN")))
			out->with_lengths = true;
		else if (exec_is(exec, at, S("MINMATCHLEN")) && at + 1 < exec->argc)
			TRY(exec_integer(exec, ++at, &out->length_min));
		else
			return ERR_SYNTAX;
	}
	return OK;
}

/* Says the error and returns false if the two are longer than the work should be. The bound
 * is Redis', whose table has four bytes for each pair of positions; ours has a bit. */
static bool lcs_is_bearable(struct exec *exec, struct slice a, struct slice b)
{
	if (a.len >= UINT32_MAX - 1 || b.len >= UINT32_MAX - 1) {
		reply_error_fmt(exec->reply, "ERR String too long for LCS");
		return false;
	}
	uint64_t pairs = (uint64_t)(a.len + 1) * (b.len + 1);
	if (pairs > STRING_SIZE_MAX / sizeof(uint32_t)) {
		reply_error_fmt(exec->reply, "ERR Insufficient memory, transient memory for LCS exceeds "
		                             "proto-max-bulk-len");
		return false;
	}
	return true;
}

static size_t run_length(const struct lcs_run *run) { return run->a_to - run->a_from + 1; }

static void say_ends(struct reply *reply, size_t from, size_t to)
{
	reply_array(reply, 2);
	reply_integer(reply, (int64_t)from);
	reply_integer(reply, (int64_t)to);
}

static void say_run(struct reply *reply, const struct lcs_run *run, bool with_length)
{
	reply_array(reply, with_length ? 3 : 2);
	say_ends(reply, run->a_from, run->a_to);
	say_ends(reply, run->b_from, run->b_to);
	if (with_length)
		reply_integer(reply, (int64_t)run_length(run));
}

static void say_runs(struct reply *reply, const struct buf *runs, const struct lcs_options *options)
{
	const struct lcs_run *run = (const struct lcs_run *)runs->ptr;
	size_t n = runs->len / sizeof(*run), n_said = 0;
	for (size_t i = 0; i < n; i++)
		n_said += (int64_t)run_length(&run[i]) >= options->length_min;
	reply_array(reply, n_said);
	for (size_t i = 0; i < n; i++)
		if ((int64_t)run_length(&run[i]) >= options->length_min)
			say_run(reply, &run[i], options->with_lengths);
}

static void say_lcs(struct reply *reply, struct slice a, struct slice b, const struct lcs_options *options)
{
	cleanup(buf_fini) struct buf text = {0}, runs = {0};
	if (options->length_only) {
		reply_integer(reply, (int64_t)lcs_length(a, b));
		return;
	}
	size_t length = lcs_trace(a, b, &text, &runs);
	if (!options->runs) {
		reply_bulk(reply, buf_slice(&text));
		return;
	}
	reply_map(reply, 2);
	reply_str(reply, "matches");
	say_runs(reply, &runs, options);
	reply_str(reply, "len");
	reply_integer(reply, (int64_t)length);
}

static enum err run_lcs(struct exec *exec)
{
	struct key second = exec_key(exec, 2);
	struct object *a_object, *b_object;
	if (exec_find_string(exec, &exec->first, FIND_READ, &a_object) != OK ||
	    exec_find_string(exec, &second, FIND_READ, &b_object) != OK) {
		reply_error_fmt(exec->reply, "ERR The specified keys must contain string values");
		return OK;
	}
	struct lcs_options options = {0};
	TRY(read_lcs_options(exec, &options));
	if (options.runs && options.length_only) {
		reply_error_fmt(exec->reply, "ERR If you want both the length and indexes, please just use IDX.");
		return OK;
	}
	char a_scratch[STRING_SCRATCH], b_scratch[STRING_SCRATCH];
	struct slice a = a_object ? string_value(a_object, a_scratch) : S("");
	struct slice b = b_object ? string_value(b_object, b_scratch) : S("");
	if (lcs_is_bearable(exec, a, b))
		say_lcs(exec->reply, a, b, &options);
	return OK;
}

/* ---- the rows --------------------------------------------------------------------- */

enum { READ = COMMAND_READ, WRITE = COMMAND_WRITE, GROWS = COMMAND_GROWS, FAST = COMMAND_FAST };

typedef const struct command_argument arguments;

static arguments key_alone[] = {{"key", .type = ARG_KEY}, {0}};
static arguments keys_alone[] = {{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {0}};
static arguments key_and_value[] = {{"key", .type = ARG_KEY}, {"value", .type = ARG_STRING}, {0}};
static arguments key_and_decrement[] = {{"key", .type = ARG_KEY}, {"decrement", .type = ARG_INTEGER}, {0}};
static arguments key_and_increment[] = {{"key", .type = ARG_KEY}, {"increment", .type = ARG_INTEGER}, {0}};
static arguments key_and_real[] = {{"key", .type = ARG_KEY}, {"increment", .type = ARG_DOUBLE}, {0}};
static arguments range_arguments[] = {
        {"key", .type = ARG_KEY}, {"start", .type = ARG_INTEGER}, {"end", .type = ARG_INTEGER}, {0}};
static arguments setrange_arguments[] = {
        {"key", .type = ARG_KEY}, {"offset", .type = ARG_INTEGER}, {"value", .type = ARG_STRING}, {0}};
static arguments setex_arguments[] = {
        {"key", .type = ARG_KEY}, {"seconds", .type = ARG_INTEGER}, {"value", .type = ARG_STRING}, {0}};
static arguments psetex_arguments[] = {
        {"key", .type = ARG_KEY}, {"milliseconds", .type = ARG_INTEGER}, {"value", .type = ARG_STRING}, {0}};

static arguments pair[] = {{"key", .type = ARG_KEY}, {"value", .type = ARG_STRING}, {0}};
static arguments pairs_alone[] = {{"data", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .inner = pair}, {0}};

static arguments set_conditions[] = {
        {"nx", "NX", .type = ARG_PURE_TOKEN},
        {"xx", "XX", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments set_expirations[] = {
        {"seconds", "EX", "2.6.12", ARG_INTEGER},
        {"milliseconds", "PX", "2.6.12", ARG_INTEGER},
        {"unix-time-seconds", "EXAT", "6.2.0", ARG_UNIX_TIME},
        {"unix-time-milliseconds", "PXAT", "6.2.0", ARG_UNIX_TIME},
        {"keepttl", "KEEPTTL", "6.0.0", ARG_PURE_TOKEN},
        {0},
};
static arguments set_arguments[] = {
        {"key", .type = ARG_KEY},
        {"value", .type = ARG_STRING},
        {"condition", NULL, "2.6.12", ARG_ONEOF, ARG_OPTIONAL, set_conditions},
        {"get", "GET", "6.2.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"expiration", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, set_expirations},
        {0},
};
static const struct command_history set_history[] = {
        {"2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."},
        {"6.0.0", "Added the `KEEPTTL` option."},
        {"6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."},
        {"7.0.0", "Allowed the `NX` and `GET` options to be used together."},
        {0},
};

static arguments getex_expirations[] = {
        {"seconds", "EX", .type = ARG_INTEGER},
        {"milliseconds", "PX", .type = ARG_INTEGER},
        {"unix-time-seconds", "EXAT", .type = ARG_UNIX_TIME},
        {"unix-time-milliseconds", "PXAT", .type = ARG_UNIX_TIME},
        {"persist", "PERSIST", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments getex_arguments[] = {
        {"key", .type = ARG_KEY},
        {"expiration", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, getex_expirations},
        {0},
};

static arguments lcs_arguments[] = {
        {"key1", .type = ARG_KEY},
        {"key2", .type = ARG_KEY},
        {"len", "LEN", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"idx", "IDX", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"min-match-len", "MINMATCHLEN", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {"withmatchlen", "WITHMATCHLEN", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {0},
};

#define O_KEYS "O(N) where N is the number of keys"

/* clang-format off */
const struct command string_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"APPEND", 3, {1, 1, 1}, WRITE | GROWS | FAST, "2.0.0",
	 "O(1) amortized: room to grow is kept after the value",
	 "Appends to the value of a key, which is created if absent.", run_append, key_and_value, .uses = "RW insert"},
	{"DECR", 2, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0", "O(1)",
	 "Takes one from the integer value of a key; an absent key counts as 0.", run_decr, key_alone},
	{"DECRBY", 3, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0", "O(1)",
	 "Takes a number from the integer value of a key; an absent key counts as 0.", run_decrby, key_and_decrement},
	{"GET", 2, {1, 1, 1}, READ | FAST, "1.0.0", "O(1)", "The value of a key.", run_get, key_alone},
	{"GETDEL", 2, {1, 1, 1}, WRITE | FAST, "6.2.0", "O(1)",
	 "The value of a key, which is then gone.", run_getdel, key_alone, .uses = "RW access delete"},
	{"GETEX", -2, {1, 1, 1}, WRITE | FAST, "6.2.0", "O(1)",
	 "The value of a key, whose expiry it sets or clears.", run_getex, getex_arguments},
	{"GETRANGE", 4, {1, 1, 1}, READ, "2.4.0", "O(N) where N is the length of the answer",
	 "A part of the value of a key.", run_getrange, range_arguments},
	{"GETSET", 3, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0", "O(1)",
	 "Gives a key a value and answers the one it had.", run_getset, key_and_value,
	 .deprecated_since = "6.2.0", .replaced_by = "`SET` with the `!GET` argument"},
	{"INCR", 2, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0", "O(1)",
	 "Adds one to the integer value of a key; an absent key counts as 0.", run_incr, key_alone},
	{"INCRBY", 3, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0", "O(1)",
	 "Adds a number to the integer value of a key; an absent key counts as 0.", run_incrby, key_and_increment},
	{"INCRBYFLOAT", 3, {1, 1, 1}, WRITE | GROWS | FAST, "2.6.0", "O(1)",
	 "Adds a real number to the value of a key; an absent key counts as 0.", run_incrbyfloat, key_and_real},
	{"LCS", -3, {1, 2, 1}, READ, "7.0.0", "O(N*M/64) where N and M are the lengths of the values",
	 "The longest common subsequence of the values of two keys.", run_lcs, lcs_arguments},
	{"MGET", -2, {1, -1, 1}, READ | FAST, "1.0.0", O_KEYS, "The values of several keys.", run_mget, keys_alone},
	{"MSET", -3, {1, -1, 2}, WRITE | GROWS | COMMAND_COLD, "1.0.1", O_KEYS,
	 "Gives several keys their values, all at once.", run_mset, pairs_alone, .uses = "OW update"},
	{"MSETNX", -3, {1, -1, 2}, WRITE | GROWS | COMMAND_COLD, "1.0.1", O_KEYS,
	 "Gives several keys their values, all at once, if none of them exists.", run_msetnx, pairs_alone,
	 .uses = "OW insert"},
	{"PSETEX", 4, {1, 1, 1}, WRITE | GROWS | COMMAND_COLD, "2.6.0", "O(1)",
	 "Gives a key a value for a number of milliseconds.", run_psetex, psetex_arguments, .uses = "OW update"},
	{"SET", -3, {1, 1, 1}, WRITE | GROWS | COMMAND_COLD | COMMAND_MAY_GET, "1.0.0", "O(1)",
	 "Gives a key a value, whatever it was before; an expiry it had is forgotten.", run_set, set_arguments,
	 .history = set_history, .uses = "RW access update variable_flags", .uses_by = set_uses},
	{"SETEX", 4, {1, 1, 1}, WRITE | GROWS | COMMAND_COLD, "2.0.0", "O(1)",
	 "Gives a key a value for a number of seconds.", run_setex, setex_arguments, .uses = "OW update"},
	{"SETNX", 3, {1, 1, 1}, WRITE | GROWS | FAST | COMMAND_COLD, "1.0.0", "O(1)",
	 "Gives a key a value if it does not exist.", run_setnx, key_and_value, .uses = "OW insert"},
	{"SETRANGE", 4, {1, 1, 1}, WRITE | GROWS, "2.2.0", "O(N) where N is the length of the part",
	 "Overwrites a part of the value of a key, which grows by zero bytes as needed.", run_setrange,
	 setrange_arguments, .uses = "RW update"},
	{"STRLEN", 2, {1, 1, 1}, READ | FAST | COMMAND_COLD, "2.2.0", "O(1)",
	 "The length of the value of a key, in bytes.", run_strlen, key_alone, .uses = "RO"},
	{"SUBSTR", 4, {1, 1, 1}, READ, "1.0.0", "O(N) where N is the length of the answer",
	 "A part of the value of a key.", run_getrange, range_arguments,
	 .deprecated_since = "2.0.0", .replaced_by = "`GETRANGE`"},
	{0},
};
/* clang-format on */
