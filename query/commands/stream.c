/* stream.c -- commands on streams: entries. Groups are in stream_group.c, reading behind an ID in stream_read.c. */
#include "storage/keyspace/stream.h"

#include "engine/base/number.h"
#include "query/commands/list_reach.h"
#include "query/commands/notify.h"
#include "query/commands/stream_private.h"
#include "query/commands/stream_reach.h"

/* ---- words ------------------------------------------------------------------------ */

enum err stream_read(struct exec *exec, const struct key *key, struct object **out)
{
	struct object *object = exec_find(exec, key, FIND_READ);
	if (object && unlikely(object_type(object) != OBJECT_STREAM))
		return ERR_WRONG_TYPE;
	*out = object;
	return OK;
}

enum { ID_ARGUMENT_MAX = 127 };

/* As strtoull() reads all of a text, which Redis asks for what is no plain integer: spaces, a sign, zeros. */
static bool parse_loose(struct slice text, uint64_t *out)
{
	size_t at = 0;
	uint64_t value = 0;
	while (at < text.len && (text.ptr[at] == ' ' || (text.ptr[at] >= '\t' && text.ptr[at] <= '\r')))
		at++;
	bool negative = at < text.len && text.ptr[at] == '-';
	at += at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+');
	if (at == text.len)
		return false;
	for (; at < text.len; at++) {
		uint8_t digit = (uint8_t)(text.ptr[at] - '0');
		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*out = negative ? -value : value;
	return true;
}

static bool parse_number(struct slice text, uint64_t *out)
{
	int64_t value;
	if (!integer_parse(text, &value))
		return parse_loose(text, out);
	*out = (uint64_t)value;
	return value >= 0;
}

bool id_parse(struct slice text, uint64_t missing, enum id_words words, bool *any_number, struct stream_id *out)
{
	if (text.len > ID_ARGUMENT_MAX)
		return false;
	text.len = text.len ? strnlen((const char *)text.ptr, text.len) : 0;
	bool is_end = text.len == 1 && (text.ptr[0] == '-' || text.ptr[0] == '+');
	if (any_number)
		*any_number = false;
	if (is_end) {
		*out = text.ptr[0] == '-' ? (struct stream_id){0} : STREAM_ID_MAX;
		return !(words & ID_STRICT);
	}
	const uint8_t *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
	size_t ms_len = dash ? (size_t)(dash - text.ptr) : text.len;
	out->seq = missing;
	if (!parse_number(slice_sub(text, 0, ms_len), &out->ms))
		return false;
	if (!dash)
		return true;
	struct slice seq = slice_sub(text, ms_len + 1, text.len);
	if (any_number && slice_equal(seq, S("*"))) {
		*any_number = true;
		out->seq = 0;
		return true;
	}
	return parse_number(seq, &out->seq);
}

static bool id_or_error(struct exec *exec, bool is_id)
{
	if (!is_id)
		reply_error_fmt(exec->reply, "ERR Invalid stream ID specified as stream command argument");
	return is_id;
}

bool read_id(struct exec *exec, uint32_t at, struct stream_id *out)
{
	return id_or_error(exec, id_parse(exec->argv[at], 0, ID_STRICT, NULL, out));
}

bool read_id_or_end(struct exec *exec, uint32_t at, struct stream_id *out)
{
	return id_or_error(exec, id_parse(exec->argv[at], 0, 0, NULL, out));
}

bool id_parse_bound(struct slice text, uint64_t missing, struct stream_id *out, bool *excluded)
{
	*excluded = text.len > 1 && text.ptr[0] == '(';
	if (*excluded)
		return id_parse(slice_sub(text, 1, text.len), missing, ID_STRICT, NULL, out);
	return id_parse(text, missing, 0, NULL, out);
}

static bool read_bound(struct exec *exec, uint32_t at, uint64_t missing, struct stream_id *out, bool *excluded)
{
	return id_or_error(exec, id_parse_bound(exec->argv[at], missing, out, excluded));
}

bool read_from(struct exec *exec, uint32_t at, struct stream_id *out)
{
	bool excluded;
	if (!read_bound(exec, at, 0, out, &excluded))
		return false;
	if (!excluded || stream_id_increment(out))
		return true;
	reply_error_fmt(exec->reply, "ERR invalid start ID for the interval");
	return false;
}

bool read_to(struct exec *exec, uint32_t at, struct stream_id *out)
{
	bool excluded;
	if (!read_bound(exec, at, UINT64_MAX, out, &excluded))
		return false;
	if (!excluded || stream_id_decrement(out))
		return true;
	reply_error_fmt(exec->reply, "ERR invalid end ID for the interval");
	return false;
}

bool read_integer(struct exec *exec, uint32_t at, const char *otherwise, int64_t *out)
{
	if (exec_integer(exec, at, out) == OK)
		return true;
	if (otherwise)
		reply_error_fmt(exec->reply, "ERR %s", otherwise);
	else
		reply_err(exec->reply, ERR_NOT_INTEGER);
	return false;
}

static size_t format_number(uint64_t value, char *out)
{
	if (likely(value <= INT64_MAX))
		return integer_format((int64_t)value, out);
	size_t len = integer_format((int64_t)(value / 10), out);
	out[len] = (char)('0' + value % 10);
	return len + 1;
}

struct slice id_text(struct stream_id id, char text[ID_TEXT_MAX])
{
	size_t len = format_number(id.ms, text);
	text[len++] = '-';
	return slice_of(text, len + format_number(id.seq, text + len));
}

void reply_id(struct reply *reply, struct stream_id id)
{
	char text[ID_TEXT_MAX];
	reply_bulk(reply, id_text(id, text));
}

void reply_entry(struct reply *reply, struct stream_entry *entry)
{
	struct packed_element field, value;
	char scratch[PACKED_SCRATCH];
	reply_array(reply, 2);
	reply_id(reply, entry->id);
	reply_array(reply, 2 * (size_t)entry->n_fields);
	for (uint32_t i = entry->n_fields; i > 0; i--) {
		stream_field(entry, &field, &value);
		reply_bulk(reply, packed_text(&field, scratch));
		reply_bulk(reply, packed_text(&value, scratch));
	}
}

void reply_entries(struct reply *reply, const struct stream_walk *walk, uint64_t limit)
{
	struct stream_walk copy = *walk;
	struct stream_entry entry;
	uint64_t n = stream_count(walk, limit);
	reply_array(reply, n);
	for (; n > 0 && stream_next(&copy, &entry); n--)
		reply_entry(reply, &entry);
}

void reply_no_group(struct exec *exec, struct slice key, struct slice group)
{
	reply_error_fmt(exec->reply, "NOGROUP No such key '" NAME_FORMAT "' or consumer group '" NAME_FORMAT "'",
	                NAME_ARGUMENTS(key), NAME_ARGUMENTS(group));
}

/* ---- adding and trimming ------------------------------------------------------------ */

enum { TRIMMED_BLOCKS = 100, TRIMMED_DEFAULT = 10000, TRIMMED_MAX = 1000000, TEXT_MAX = 1 << 30 };

/* What XADD and XTRIM say before the ID. */
struct adding {
	bool only_existing;
	bool has_id, any_number; /* else the ID is made here, or its number */
	struct stream_id id;
	bool trims;
	struct stream_trim trim;
	int64_t limit;
	bool has_limit;
};

static bool say_syntax(struct exec *exec, const char *why)
{
	reply_error_fmt(exec->reply, "ERR syntax error, %s", why);
	return false;
}

/* [~|=] threshold, from `*at` on; `*at` is the last word that belongs to it then. */
static bool read_threshold(struct exec *exec, uint32_t *at, bool by_id, struct adding *out)
{
	int64_t length;
	if (out->trims)
		return say_syntax(exec, "MAXLEN and MINID options at the same time are not compatible");
	out->trim = (struct stream_trim){.by_id = by_id};
	bool sign_may = *at + 2 < exec->argc;
	if (sign_may && slice_equal(exec->argv[*at + 1], S("~")))
		out->trim.whole_blocks = true;
	if (sign_may && (out->trim.whole_blocks || slice_equal(exec->argv[*at + 1], S("="))))
		++*at;
	++*at;
	if (by_id ? !read_id(exec, *at, &out->trim.least) : !read_integer(exec, *at, NULL, &length))
		return false;
	if (!by_id && length < 0) {
		reply_error_fmt(exec->reply, "ERR The MAXLEN argument must be >= 0.");
		return false;
	}
	if (!by_id)
		out->trim.length = (uint64_t)length;
	out->trims = true;
	return true;
}

/* Redis bounds its work where nobody else does. */
static uint64_t trim_limit(const struct exec *exec)
{
	int64_t entries = exec->shard->collections.stream_entries, limit;
	if (__builtin_mul_overflow(entries, TRIMMED_BLOCKS, &limit) || limit <= 0)
		return TRIMMED_DEFAULT;
	return limit < TRIMMED_MAX ? (uint64_t)limit : TRIMMED_MAX;
}

static bool check_adding(struct exec *exec, bool adds, struct adding *out)
{
	if (out->limit != 0 && !out->trims)
		return say_syntax(exec, "LIMIT cannot be used without specifying a trimming strategy");
	if (!adds && !out->trims)
		return say_syntax(exec, "XTRIM must be called with a trimming strategy");
	if (out->has_limit && !out->trim.whole_blocks)
		return say_syntax(exec, "LIMIT cannot be used without the special ~ option");
	if (out->trim.whole_blocks)
		out->trim.limit = out->has_limit ? (uint64_t)out->limit : trim_limit(exec);
	return true;
}

static bool read_limit(struct exec *exec, uint32_t at, struct adding *out)
{
	if (!read_integer(exec, at, NULL, &out->limit))
		return false;
	out->has_limit = true;
	if (out->limit >= 0)
		return true;
	reply_error_fmt(exec->reply, "ERR The LIMIT argument must be >= 0.");
	return false;
}

/* Where the options end: at the ID, if it `adds`. 0: the error is said. */
static uint32_t read_adding(struct exec *exec, bool adds, struct adding *out)
{
	*out = (struct adding){0};
	uint32_t at = 2;
	for (; at < exec->argc; at++) {
		bool more = at + 1 < exec->argc;
		if (adds && slice_equal(exec->argv[at], S("*")))
			break;
		if (more && (exec_is(exec, at, S("MAXLEN")) || exec_is(exec, at, S("MINID")))) {
			if (!read_threshold(exec, &at, exec_is(exec, at, S("MINID")), out))
				return 0;
		} else if (more && exec_is(exec, at, S("LIMIT"))) {
			if (!read_limit(exec, ++at, out))
				return 0;
		} else if (adds && exec_is(exec, at, S("NOMKSTREAM"))) {
			out->only_existing = true;
		} else if (adds) {
			if (!id_or_error(exec, id_parse(exec->argv[at], 0, ID_STRICT, &out->any_number, &out->id)))
				return 0;
			out->has_id = true;
			break;
		} else {
			reply_err(exec->reply, ERR_SYNTAX);
			return 0;
		}
	}
	return check_adding(exec, adds, out) ? at : 0;
}

/* The ID of the next entry behind `last`; false: there is none. */
static bool next_id(const struct exec *exec, const struct adding *adding, struct stream_id last, struct stream_id *out)
{
	*out = adding->id;
	if (!adding->has_id) {
		out->ms = (uint64_t)exec->client->now_ms;
		out->seq = 0;
		if (out->ms <= last.ms) {
			*out = last;
			return stream_id_increment(out);
		}
	} else if (adding->any_number && out->ms == last.ms) {
		if (last.seq == UINT64_MAX)
			return false;
		out->seq = last.seq + 1;
	}
	return stream_id_compare(*out, last) > 0;
}

static size_t text_length(const struct slice *texts, uint32_t n)
{
	size_t len = 0;
	for (uint32_t i = 0; i < n; i++)
		len += texts[i].len;
	return len;
}

/* False: the error is said. */
static bool may_add(struct exec *exec, const struct adding *adding, const struct object *stream, uint32_t fields_at,
                    struct stream_id *out)
{
	struct stream_id last = stream ? stream_last_id(stream) : (struct stream_id){0};
	if (stream_id_equal(last, STREAM_ID_MAX))
		reply_error_fmt(exec->reply,
		                "ERR The stream has exhausted the last possible ID, unable to add more items");
	else if (!next_id(exec, adding, last, out))
		reply_error_fmt(exec->reply, "ERR The ID specified in XADD is equal or smaller than the target stream "
		                             "top item");
	else if (text_length(exec->argv + fields_at, exec->argc - fields_at) > TEXT_MAX)
		reply_error_fmt(exec->reply, "ERR Elements are too large to be stored");
	else
		return true;
	return false;
}

static enum err run_xadd(struct exec *exec)
{
	struct adding adding;
	struct collection stream;
	struct stream_id id;
	uint32_t at = read_adding(exec, true, &adding), n = exec->argc - at - 1;
	if (at == 0)
		return OK;
	if (at >= exec->argc || n < 2 || n % 2 == 1) {
		reply_error_fmt(exec->reply, "ERR wrong number of arguments for 'xadd' command");
		return OK;
	}
	if (adding.has_id && !adding.any_number && stream_id_is_zero(adding.id)) {
		reply_error_fmt(exec->reply, "ERR The ID specified in XADD must be greater than 0-0");
		return OK;
	}
	TRY(exec_open(exec, &exec->first, OBJECT_STREAM, &stream));
	if (!stream.object && adding.only_existing) {
		reply_null(exec->reply);
		return OK;
	}
	if (!may_add(exec, &adding, stream.object, at + 1, &id))
		return OK;
	stream_add(&stream, id, exec->argv + at + 1, n / 2);
	reply_id(exec->reply, id);
	exec_notify(exec, EVENT_STREAM, S("xadd"), &exec->first);
	if (adding.trims && stream_trim(&stream, &adding.trim) > 0)
		exec_notify(exec, EVENT_STREAM, S("xtrim"), &exec->first);
	return OK;
}

static enum err run_xtrim(struct exec *exec)
{
	struct adding adding;
	struct collection stream;
	if (read_adding(exec, false, &adding) == 0)
		return OK;
	TRY(exec_open(exec, &exec->first, OBJECT_STREAM, &stream));
	uint64_t removed = stream.object ? stream_trim(&stream, &adding.trim) : 0;
	if (removed > 0)
		exec_notify(exec, EVENT_STREAM, S("xtrim"), &exec->first);
	reply_integer(exec->reply, (int64_t)removed);
	return OK;
}

/* ---- XDEL, XSETID ------------------------------------------------------------------- */

static enum err run_xdel(struct exec *exec)
{
	struct collection stream;
	struct stream_id id;
	int64_t deleted = 0;
	TRY(exec_open(exec, &exec->first, OBJECT_STREAM, &stream));
	if (!stream.object) {
		reply_integer(exec->reply, 0);
		return OK;
	}
	for (uint32_t at = 2; at < exec->argc; at++)
		if (!read_id(exec, at, &id))
			return OK;
	for (uint32_t at = 2; at < exec->argc; at++) {
		bool is_id = id_parse(exec->argv[at], 0, ID_STRICT, NULL, &id);
		deleted += is_id && stream_delete(&stream, id);
	}
	if (deleted > 0)
		exec_notify(exec, EVENT_STREAM, S("xdel"), &exec->first);
	reply_integer(exec->reply, deleted);
	return OK;
}

struct setting {
	struct stream_id last, max_deleted;
	int64_t added; /* -1: not given */
};

static bool read_added(struct exec *exec, uint32_t at, struct setting *out)
{
	if (!read_integer(exec, at, NULL, &out->added))
		return false;
	if (out->added >= 0)
		return true;
	reply_error_fmt(exec->reply, "ERR entries_added must be positive");
	return false;
}

static bool read_max_deleted(struct exec *exec, uint32_t at, struct setting *out)
{
	if (!read_id(exec, at, &out->max_deleted))
		return false;
	if (stream_id_compare(out->last, out->max_deleted) >= 0)
		return true;
	reply_error_fmt(exec->reply,
	                "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
	return false;
}

static bool read_setting(struct exec *exec, struct setting *out)
{
	*out = (struct setting){.added = -1};
	if (!read_id(exec, 2, &out->last))
		return false;
	for (uint32_t at = 3; at < exec->argc; at += 2) {
		bool more = at + 1 < exec->argc;
		if (more && exec_is(exec, at, S("ENTRIESADDED"))) {
			if (!read_added(exec, at + 1, out))
				return false;
		} else if (more && exec_is(exec, at, S("MAXDELETEDID"))) {
			if (!read_max_deleted(exec, at + 1, out))
				return false;
		} else {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
	}
	return true;
}

static enum err run_xsetid(struct exec *exec)
{
	struct setting setting;
	struct collection stream;
	struct stream_facts facts;
	struct stream_id entry;
	if (!read_setting(exec, &setting))
		return OK;
	TRY(exec_open(exec, &exec->first, OBJECT_STREAM, &stream));
	if (!stream.object)
		return ERR_NOT_FOUND;
	stream_facts(stream.object, &facts);
	if (stream_last_entry(stream.object, &entry) && stream_id_compare(setting.last, entry) < 0) {
		reply_error_fmt(exec->reply,
		                "ERR The ID specified in XSETID is smaller than the target stream top item");
		return OK;
	}
	if (setting.added != -1 && facts.length > (uint64_t)setting.added) {
		reply_error_fmt(exec->reply,
		                "ERR The entries_added specified in XSETID is smaller than the target stream length");
		return OK;
	}
	stream_set(&stream, setting.last, setting.added == -1 ? facts.added : (uint64_t)setting.added,
	           stream_id_is_zero(setting.max_deleted) ? facts.max_deleted : setting.max_deleted);
	reply_ok(exec->reply);
	exec_notify(exec, EVENT_STREAM, S("xsetid"), &exec->first);
	return OK;
}

/* ---- XLEN, XRANGE --------------------------------------------------------------------- */

static enum err run_xlen(struct exec *exec)
{
	struct object *stream;
	TRY(stream_read(exec, &exec->first, &stream));
	reply_integer(exec->reply, stream ? (int64_t)collection_count(stream) : 0);
	return OK;
}

static bool read_range_count(struct exec *exec, int64_t *out)
{
	*out = -1;
	for (uint32_t at = 4; at < exec->argc; at += 2) {
		if (at + 1 == exec->argc || !exec_is(exec, at, S("COUNT"))) {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
		if (!read_integer(exec, at + 1, NULL, out))
			return false;
		*out = *out < 0 ? 0 : *out;
	}
	return true;
}

static enum err range(struct exec *exec, bool backwards)
{
	struct stream_id from, to;
	struct object *stream;
	struct stream_walk walk;
	int64_t count;
	if (!read_from(exec, backwards ? 3 : 2, &from) || !read_to(exec, backwards ? 2 : 3, &to) ||
	    !read_range_count(exec, &count))
		return OK;
	TRY(stream_read(exec, &exec->first, &stream));
	if (!stream) {
		reply_array(exec->reply, 0);
		return OK;
	}
	if (count == 0) {
		reply_null_array(exec->reply);
		return OK;
	}
	stream_walk(stream, from, to, backwards, &walk);
	reply_entries(exec->reply, &walk, count < 0 ? UINT64_MAX : (uint64_t)count);
	return OK;
}

static enum err run_xrange(struct exec *exec) { return range(exec, false); }
static enum err run_xrevrange(struct exec *exec) { return range(exec, true); }

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments xack_arguments[] = {{"key", .type = ARG_KEY},
                                     {"group", .type = ARG_STRING},
                                     {"ID", .type = ARG_STRING, .flags = ARG_MULTIPLE},
                                     {0}};
static arguments xadd_arguments_trim_strategy[] = {
        {"maxlen", "MAXLEN", .type = ARG_PURE_TOKEN}, {"minid", "MINID", "6.2.0", .type = ARG_PURE_TOKEN}, {0}};
static arguments xadd_arguments_trim_operator[] = {
        {"equal", "=", .type = ARG_PURE_TOKEN}, {"approximately", "~", .type = ARG_PURE_TOKEN}, {0}};
static arguments xadd_arguments_trim[] = {
        {"strategy", .type = ARG_ONEOF, .inner = xadd_arguments_trim_strategy},
        {"operator", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = xadd_arguments_trim_operator},
        {"threshold", .type = ARG_STRING},
        {"count", "LIMIT", "6.2.0", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
        {0}};
static arguments xadd_arguments_id_or_auto[] = {
        {"auto_id", "*", .type = ARG_PURE_TOKEN}, {"ID", .type = ARG_STRING}, {0}};
static arguments xadd_arguments_field_value[] = {{"field", .type = ARG_STRING}, {"value", .type = ARG_STRING}, {0}};
static arguments xadd_arguments[] = {
        {"key", .type = ARG_KEY},
        {"nomkstream", "NOMKSTREAM", "6.2.0", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
        {"trim", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = xadd_arguments_trim},
        {"id_or_auto", .type = ARG_ONEOF, .inner = xadd_arguments_id_or_auto},
        {"field_value", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .inner = xadd_arguments_field_value},
        {0}};
static const struct command_history xadd_history[] = {
        {"6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option."},
        {"7.0.0", "Added support for the `<ms>-*` explicit ID form."},
        {0}};
static arguments xautoclaim_arguments[] = {{"key", .type = ARG_KEY},
                                           {"group", .type = ARG_STRING},
                                           {"consumer", .type = ARG_STRING},
                                           {"min-idle-time", .type = ARG_STRING},
                                           {"start", .type = ARG_STRING},
                                           {"count", "COUNT", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
                                           {"justid", "JUSTID", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
                                           {0}};
static const struct command_history xautoclaim_history[] = {
        {"7.0.0", "Added an element to the reply array, containing deleted entries the command cleared from the PEL"},
        {0}};
static arguments xclaim_arguments[] = {{"key", .type = ARG_KEY},
                                       {"group", .type = ARG_STRING},
                                       {"consumer", .type = ARG_STRING},
                                       {"min-idle-time", .type = ARG_STRING},
                                       {"ID", .type = ARG_STRING, .flags = ARG_MULTIPLE},
                                       {"ms", "IDLE", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
                                       {"unix-time-milliseconds", "TIME", .type = ARG_UNIX_TIME, .flags = ARG_OPTIONAL},
                                       {"count", "RETRYCOUNT", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
                                       {"force", "FORCE", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
                                       {"justid", "JUSTID", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
                                       {"id", "LASTID", .type = ARG_STRING, .flags = ARG_OPTIONAL},
                                       {0}};
static arguments xdel_arguments[] = {{"key", .type = ARG_KEY}, {"ID", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static arguments xinfo_groups_arguments[] = {{"key", .type = ARG_KEY}, {0}};
static arguments xpending_arguments_filters[] = {
        {"min-idle-time", "IDLE", "6.2.0", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
        {"start", .type = ARG_STRING},
        {"end", .type = ARG_STRING},
        {"count", .type = ARG_INTEGER},
        {"consumer", .type = ARG_STRING, .flags = ARG_OPTIONAL},
        {0}};
static arguments xpending_arguments[] = {
        {"key", .type = ARG_KEY},
        {"group", .type = ARG_STRING},
        {"filters", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = xpending_arguments_filters},
        {0}};
static const struct command_history xpending_history[] = {
        {"6.2.0", "Added the `IDLE` option and exclusive range intervals."}, {0}};
static arguments xrange_arguments[] = {{"key", .type = ARG_KEY},
                                       {"start", .type = ARG_STRING},
                                       {"end", .type = ARG_STRING},
                                       {"count", "COUNT", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
                                       {0}};
static const struct command_history xrange_history[] = {{"6.2.0", "Added exclusive ranges."}, {0}};
static arguments xread_arguments_streams[] = {
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {"ID", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static arguments xread_arguments[] = {{"count", "COUNT", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
                                      {"milliseconds", "BLOCK", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
                                      {"streams", "STREAMS", .type = ARG_BLOCK, .inner = xread_arguments_streams},
                                      {0}};
static arguments xreadgroup_arguments_group_consumer[] = {
        {"group", .type = ARG_STRING}, {"consumer", .type = ARG_STRING}, {0}};
static arguments xreadgroup_arguments[] = {
        {"group_consumer", "GROUP", .type = ARG_BLOCK, .inner = xreadgroup_arguments_group_consumer},
        {"count", "COUNT", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
        {"milliseconds", "BLOCK", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
        {"noack", "NOACK", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
        {"streams", "STREAMS", .type = ARG_BLOCK, .inner = xread_arguments_streams},
        {0}};
static arguments xrevrange_arguments[] = {{"key", .type = ARG_KEY},
                                          {"end", .type = ARG_STRING},
                                          {"start", .type = ARG_STRING},
                                          {"count", "COUNT", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
                                          {0}};
static const struct command_history xrevrange_history[] = {{"6.2.0", "Added exclusive ranges."}, {0}};
static arguments xsetid_arguments[] = {
        {"key", .type = ARG_KEY},
        {"last-id", .type = ARG_STRING},
        {"entries_added", "ENTRIESADDED", "7.0.0", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
        {"max_deleted_entry_id", "MAXDELETEDID", "7.0.0", .type = ARG_STRING, .flags = ARG_OPTIONAL},
        {0}};
static const struct command_history xsetid_history[] = {
        {"7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments."}, {0}};
static arguments xtrim_arguments[] = {
        {"key", .type = ARG_KEY}, {"trim", .type = ARG_BLOCK, .inner = xadd_arguments_trim}, {0}};
static const struct command_history xtrim_history[] = {
        {"6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option."}, {0}};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

/* clang-format off */
const struct command stream_commands[] = {
	{"XACK", -4, {1, 1, 1}, WRITE | FAST, "5.0.0",
	 "O(1) for each message ID processed.",
	 "Marks a pending message as correctly processed, effectively removing it from the pending entries list of "
	 "the consumer group. Return value of the command is the number of messages successfully acknowledged, that "
	 "is, the IDs we were actually able to resolve in the PEL.", run_xack, xack_arguments, .uses = "RW update",
	 .reach = needs_none},
	{"XADD", -5, {1, 1, 1}, WRITE | GROWS | FAST, "5.0.0",
	 "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
	 "Appends a new entry to a stream", run_xadd, xadd_arguments, .history = xadd_history,
	 .tips = "nondeterministic_output", .uses = "RW update",
	 .reach = needs_xadd},
	{"XAUTOCLAIM", -6, {1, 1, 1}, WRITE | FAST, "6.2.0",
	 "O(1) if COUNT is small.",
	 "Changes (or acquires) ownership of messages in a consumer group, as if the messages were delivered to the "
	 "specified consumer.", run_xautoclaim, xautoclaim_arguments, .history = xautoclaim_history,
	 .tips = "nondeterministic_output", .uses = "RW delete",
	 .reach = needs_xautoclaim},
	{"XCLAIM", -6, {1, 1, 1}, WRITE | FAST, "5.0.0",
	 "O(log N) with N being the number of messages in the PEL of the consumer group.",
	 "Changes (or acquires) ownership of a message in a consumer group, as if the message was delivered to the "
	 "specified consumer.", run_xclaim, xclaim_arguments,
	 .tips = "nondeterministic_output", .uses = "RW update",
	 .reach = needs_xclaim},
	{"XDEL", -3, {1, 1, 1}, WRITE | FAST, "5.0.0",
	 "O(1) for each single item to delete in the stream, regardless of the stream size.",
	 "Removes the specified entries from the stream. Returns the number of items actually deleted, that may be "
	 "different from the number of IDs passed in case certain IDs do not exist.", run_xdel, xdel_arguments,
	 .uses = "RW delete",
	 .reach = needs_xdel},
	{"XGROUP", -2, {0}, 0, "5.0.0",
	 "Depends on subcommand.",
	 "A container for consumer groups commands", .subcommands = xgroup_rows},
	{"XINFO", -2, {0}, 0, "5.0.0",
	 "Depends on subcommand.",
	 "A container for stream introspection commands", .subcommands = xinfo_rows},
	{"XLEN", 2, {1, 1, 1}, READ | FAST, "5.0.0",
	 "O(1)",
	 "Return the number of entries in a stream", run_xlen, xinfo_groups_arguments, .uses = "RO",
	 .reach = needs_none},
	{"XPENDING", -3, {1, 1, 1}, READ, "5.0.0",
	 "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call "
	 "is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the "
	 "command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an "
	 "additional O(N) time for iterating every consumer.",
	 "Return information and entries from a stream consumer group pending entries list, that are messages "
	 "fetched but never acknowledged.", run_xpending, xpending_arguments, .history = xpending_history,
	 .tips = "nondeterministic_output", .reach = needs_none},
	{"XRANGE", -4, {1, 1, 1}, READ, "5.0.0",
	 "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the "
	 "first 10 elements with COUNT), you can consider it O(1).",
	 "Return a range of elements in a stream, with IDs matching the specified IDs interval", run_xrange,
	 xrange_arguments, .history = xrange_history, .reach = needs_xrange},
	{"XREAD", -4, {0}, COMMAND_BLOCKING | READ | COMMAND_MOVABLE_KEYS, "5.0.0",
	 "For each stream mentioned: O(N) with N being the number of elements being returned, it means that "
	 "XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in "
	 "order to serve the M clients blocked on the stream getting new data.",
	 "Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for "
	 "each stream. Can block.", run_xread, xread_arguments, .find_keys = find_xread_keys, .blocking = &xread_blocking,
	 .reach = needs_xread},
	{"XREADGROUP", -7, {0}, COMMAND_BLOCKING | WRITE | COMMAND_MOVABLE_KEYS, "5.0.0",
	 "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. "
	 "always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when "
	 "XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream "
	 "getting new data.",
	 "Return new entries from a stream using a consumer group, or access the history of the pending entries for "
	 "a given consumer. Can block.", run_xreadgroup, xreadgroup_arguments, .find_keys = find_xread_keys, .blocking = &xreadgroup_blocking,
	 .uses = "RO access",
	 .reach = needs_xreadgroup},
	{"XREVRANGE", -4, {1, 1, 1}, READ, "5.0.0",
	 "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 "
	 "elements with COUNT), you can consider it O(1).",
	 "Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order "
	 "(from greater to smaller IDs) compared to XRANGE", run_xrevrange, xrevrange_arguments, .history =
	 xrevrange_history, .reach = needs_xrevrange},
	{"XSETID", -3, {1, 1, 1}, WRITE | GROWS | FAST, "5.0.0",
	 "O(1)",
	 "An internal command for replicating stream values", run_xsetid, xsetid_arguments, .history = xsetid_history,
	 .uses = "RW update",
	 .reach = needs_tail},
	{"XTRIM", -4, {1, 1, 1}, WRITE, "5.0.0",
	 "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are "
	 "organized in macro nodes containing multiple entries that can be released with a single deallocation.",
	 "Trims the stream to (approximately if '~' is passed) a certain size", run_xtrim, xtrim_arguments, .history
	 = xtrim_history,
	 .tips = "nondeterministic_output", .uses = "RW delete",
	 .reach = needs_xtrim},
	{0},
};
/* clang-format on */
