/* stream_group.c -- groups of consumers: XGROUP, and what is pending in them. */
#include "engine/base/number.h"
#include "query/commands/list_reach.h"
#include "query/commands/notify.h"
#include "query/commands/rows_private.h"
#include "query/commands/stream_private.h"

enum { PENDING_SIZE = sizeof(struct pending), ID_SIZE = sizeof(struct stream_id) };

/* ---- XGROUP ----------------------------------------------------------------------- */

struct group_options {
	bool makes_stream;
	int64_t entries_read;
};

static bool read_group_options(struct exec *exec, bool creates, struct group_options *out)
{
	*out = (struct group_options){.entries_read = ENTRIES_READ_UNKNOWN};
	for (uint32_t at = 5; at < exec->argc; at++) {
		if (creates && exec_is(exec, at, S("MKSTREAM"))) {
			out->makes_stream = true;
		} else if (exec_is(exec, at, S("ENTRIESREAD")) && at + 1 < exec->argc) {
			if (!read_integer(exec, ++at, NULL, &out->entries_read))
				return false;
			if (out->entries_read < 0 && out->entries_read != ENTRIES_READ_UNKNOWN) {
				reply_error_fmt(exec->reply, "ERR value for ENTRIESREAD must be positive or -1");
				return false;
			}
		} else {
			(void)reply_subcommand_syntax(exec);
			return false;
		}
	}
	return true;
}

/* The stream that XGROUP is about. False: there is none, as is said then. */
static enum err open_stream(struct exec *exec, struct collection *out, bool *there)
{
	TRY(exec_open(exec, &exec->first, OBJECT_STREAM, out));
	*there = out->object;
	if (!out->object)
		reply_error_fmt(
		        exec->reply,
		        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want "
		        "to use the MKSTREAM option to create an empty stream automatically.");
	return OK;
}

/* And its group; *out NULL: the error is said. */
static enum err open_group(struct exec *exec, struct collection *stream, struct stream_group **out)
{
	bool there;
	struct slice name = exec->argv[3], key = exec->argv[2];
	*out = NULL;
	TRY(open_stream(exec, stream, &there));
	if (!there)
		return OK;
	*out = stream_group(stream->object, name);
	if (!*out)
		reply_error_fmt(exec->reply,
		                "NOGROUP No such consumer group '" NAME_FORMAT "' for key name '" NAME_FORMAT "'",
		                NAME_ARGUMENTS(name), NAME_ARGUMENTS(key));
	return OK;
}

static bool is_last(struct slice text)
{
	return text.len > 0 && text.ptr[0] == '$' && (text.len == 1 || text.ptr[1] == 0);
}

enum { CREATE_WORDS_MAX = 8 };

static enum err run_xgroup_create(struct exec *exec)
{
	struct group_options options;
	struct collection stream;
	struct stream_id last = {0};
	bool there;
	if (!read_group_options(exec, true, &options))
		return OK;
	if (options.makes_stream) {
		TRY(exec_open(exec, &exec->first, OBJECT_STREAM, &stream));
	} else {
		TRY(open_stream(exec, &stream, &there));
		if (!there)
			return OK;
	}
	if (exec->argc > CREATE_WORDS_MAX)
		return reply_subcommand_syntax(exec);
	if (is_last(exec->argv[4]))
		last = stream.object ? stream_last_id(stream.object) : last;
	else if (!read_id(exec, 4, &last))
		return OK;
	if (stream.object && stream_group(stream.object, exec->argv[3])) {
		reply_error_fmt(exec->reply, "BUSYGROUP Consumer Group name already exists");
		return OK;
	}
	group_create(&stream, exec->argv[3], last, options.entries_read);
	reply_ok(exec->reply);
	exec_notify(exec, EVENT_STREAM, S("xgroup-create"), &exec->first);
	return OK;
}

static enum err run_xgroup_setid(struct exec *exec)
{
	struct group_options options;
	struct collection stream;
	struct stream_group *group;
	struct stream_id last;
	if (!read_group_options(exec, false, &options))
		return OK;
	TRY(open_group(exec, &stream, &group));
	if (!group)
		return OK;
	if (exec->argc != 5 && exec->argc != 7)
		return reply_subcommand_syntax(exec);
	if (is_last(exec->argv[4]))
		last = stream_last_id(stream.object);
	else if (!read_id_or_end(exec, 4, &last))
		return OK;
	group_set(&stream, group, last, options.entries_read);
	reply_ok(exec->reply);
	exec_notify(exec, EVENT_STREAM, S("xgroup-setid"), &exec->first);
	return OK;
}

static enum err run_xgroup_destroy(struct exec *exec)
{
	struct collection stream;
	bool there;
	TRY(open_stream(exec, &stream, &there));
	if (!there)
		return OK;
	struct stream_group *group = stream_group(stream.object, exec->argv[3]);
	reply_integer(exec->reply, group != NULL);
	if (group) {
		group_destroy(&stream, group);
		exec_notify(exec, EVENT_STREAM, S("xgroup-destroy"), &exec->first);
	}
	return OK;
}

static struct stream_consumer *make_consumer(struct exec *exec, struct collection *stream, struct stream_group *group,
                                             struct slice name)
{
	struct stream_consumer *consumer = consumer_create(stream, group, name, exec->client->now_ms);
	exec_notify(exec, EVENT_STREAM, S("xgroup-createconsumer"), &exec->first);
	return consumer;
}

static enum err run_xgroup_createconsumer(struct exec *exec)
{
	struct collection stream;
	struct stream_group *group;
	TRY(open_group(exec, &stream, &group));
	if (!group)
		return OK;
	bool is_new = !group_consumer(group, exec->argv[4]);
	if (is_new)
		(void)make_consumer(exec, &stream, group, exec->argv[4]);
	reply_integer(exec->reply, is_new);
	return OK;
}

static enum err run_xgroup_delconsumer(struct exec *exec)
{
	struct collection stream;
	struct stream_group *group;
	TRY(open_group(exec, &stream, &group));
	if (!group)
		return OK;
	struct stream_consumer *consumer = group_consumer(group, exec->argv[4]);
	reply_integer(exec->reply, consumer ? (int64_t)consumer->pending.count : 0);
	if (consumer) {
		consumer_delete(&stream, group, consumer);
		exec_notify(exec, EVENT_STREAM, S("xgroup-delconsumer"), &exec->first);
	}
	return OK;
}

static enum err run_xgroup_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "CREATE <key> <groupname> <id|$> [option]",
	        "    Create a new consumer group. Options are:",
	        "    * MKSTREAM",
	        "      Create the empty stream if it does not exist.",
	        "    * ENTRIESREAD entries_read",
	        "      Set the group's entries_read counter (internal use).",
	        "CREATECONSUMER <key> <groupname> <consumer>",
	        "    Create a new consumer in the specified group.",
	        "DELCONSUMER <key> <groupname> <consumer>",
	        "    Remove the specified consumer.",
	        "DESTROY <key> <groupname>",
	        "    Remove the specified group.",
	        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
	        "    Set the current group ID and entries_read counter.",
	        NULL,
	};
	return reply_help(exec, "XGROUP", lines);
}

/* ---- XACK ------------------------------------------------------------------------- */

enum err run_xack(struct exec *exec)
{
	struct collection stream;
	struct stream_id id;
	int64_t n = 0;
	struct object *object;
	TRY(stream_read(exec, &exec->first, &object));
	struct stream_group *group = object ? stream_group(object, exec->argv[2]) : NULL;
	if (!group) {
		reply_integer(exec->reply, 0);
		return OK;
	}
	for (uint32_t at = 3; at < exec->argc; at++)
		if (!read_id(exec, at, &id))
			return OK;
	TRY(collection_open(exec->shard, &exec->first, OBJECT_STREAM, FIND_QUIET, &stream));
	for (uint32_t at = 3; at < exec->argc; at++) {
		bool is_id = id_parse(exec->argv[at], 0, ID_STRICT, NULL, &id);
		n += is_id && group_acknowledge(&stream, group, id);
	}
	reply_integer(exec->reply, n);
	return OK;
}

/* ---- XPENDING --------------------------------------------------------------------- */

static void reply_summary(struct exec *exec, struct stream_group *group)
{
	struct reply *reply = exec->reply;
	struct stream_id first, last;
	size_t n = 0;
	reply_array(reply, 4);
	reply_integer(reply, (int64_t)group->pending.count);
	if (!ids_ends(&group->pending, PENDING_SIZE, &first, &last)) {
		reply_null(reply);
		reply_null(reply);
		reply_null_array(reply);
		return;
	}
	reply_id(reply, first);
	reply_id(reply, last);
	for (uint32_t i = 0; i < group->n_consumers; i++)
		n += group_consumer_at(group, i)->pending.count > 0;
	reply_array(reply, n);
	for (uint32_t i = 0; i < group->n_consumers; i++) {
		const struct stream_consumer *consumer = group_consumer_at(group, i);
		char digits[INTEGER_TEXT_MAX];
		if (consumer->pending.count == 0)
			continue;
		reply_array(reply, 2);
		reply_bulk(reply, consumer->name);
		reply_bulk(reply, slice_of(digits, integer_format((int64_t)consumer->pending.count, digits)));
	}
}

struct filter {
	struct stream_id from, to;
	int64_t count, idle_ms;
	uint32_t consumer_at; /* 0: any */
};

static bool read_filter(struct exec *exec, struct filter *out)
{
	uint32_t at = 3;
	*out = (struct filter){0};
	if (exec_is(exec, 3, S("IDLE"))) {
		if (!read_integer(exec, 4, NULL, &out->idle_ms))
			return false;
		if (exec->argc < 8) {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
		at += 2;
	}
	if (!read_integer(exec, at + 2, NULL, &out->count) || !read_from(exec, at, &out->from) ||
	    !read_to(exec, at + 1, &out->to))
		return false;
	out->consumer_at = at + 3 < exec->argc ? at + 3 : 0;
	return true;
}

/* Through what is pending in a group, or at one of its consumers. */
struct pending_walk {
	struct ids_walk ids;
	struct stream_group *group;
	bool of_consumer;
};

static void pending_walk(struct stream_group *group, struct stream_consumer *consumer, struct stream_id from,
                         struct pending_walk *out)
{
	out->group = group;
	out->of_consumer = consumer;
	if (consumer)
		ids_walk(&consumer->pending, ID_SIZE, from, &out->ids);
	else
		ids_walk(&group->pending, PENDING_SIZE, from, &out->ids);
}

static const struct pending *pending_next(struct pending_walk *walk)
{
	if (!walk->of_consumer)
		return ids_next(&walk->ids, PENDING_SIZE);
	const struct stream_id *id = ids_next(&walk->ids, ID_SIZE);
	return id ? ids_find(&walk->group->pending, PENDING_SIZE, *id) : NULL;
}

static const struct pending *filter_next(const struct filter *filter, struct pending_walk *walk, int64_t now_ms)
{
	const struct pending *pending;
	while ((pending = pending_next(walk)) && stream_id_compare(pending->id, filter->to) <= 0)
		if (filter->idle_ms == 0 || now_ms - (int64_t)pending->delivered_ms >= filter->idle_ms)
			return pending;
	return NULL;
}

static void reply_filtered(struct exec *exec, struct stream_group *group, const struct filter *filter)
{
	struct stream_consumer *consumer = NULL;
	struct pending_walk walk, counting;
	const struct pending *pending;
	int64_t now_ms = exec->client->now_ms, n = 0;
	if (filter->consumer_at > 0 && !(consumer = group_consumer(group, exec->argv[filter->consumer_at]))) {
		reply_array(exec->reply, 0);
		return;
	}
	pending_walk(group, consumer, filter->from, &walk);
	counting = walk;
	while (n < filter->count && filter_next(filter, &counting, now_ms))
		n++;
	reply_array(exec->reply, (size_t)n);
	for (; n > 0 && (pending = filter_next(filter, &walk, now_ms)); n--) {
		int64_t idle_ms = now_ms - (int64_t)pending->delivered_ms;
		reply_array(exec->reply, 4);
		reply_id(exec->reply, pending->id);
		reply_bulk(exec->reply, pending_owner(group, pending)->name);
		reply_integer(exec->reply, idle_ms > 0 ? idle_ms : 0);
		reply_integer(exec->reply, (int64_t)pending->deliveries);
	}
}

enum err run_xpending(struct exec *exec)
{
	bool summary = exec->argc == 3;
	struct filter filter;
	struct object *stream;
	if (!summary && (exec->argc < 6 || exec->argc > 9))
		return ERR_SYNTAX;
	if (!summary && !read_filter(exec, &filter))
		return OK;
	TRY(stream_read(exec, &exec->first, &stream));
	struct stream_group *group = stream ? stream_group(stream, exec->argv[2]) : NULL;
	if (!group)
		reply_no_group(exec, exec->argv[1], exec->argv[2]);
	else if (summary)
		reply_summary(exec, group);
	else
		reply_filtered(exec, group, &filter);
	return OK;
}

/* ---- claiming --------------------------------------------------------------------- */

/* A consumer that takes pending entries over. */
struct claimer {
	struct exec *exec;
	struct collection stream;
	struct stream_group *group;
	struct stream_consumer *consumer; /* NULL: nothing was taken yet */
	bool ids_only;
	int64_t idle_min_ms;
	int64_t delivered_ms;
	int64_t deliveries; /* -1: one more, unless ids_only */
	struct buf claimed; /* of struct stream_id */
	struct buf gone;    /* the same: their entries are */
};

static void claimer_fini(struct claimer *claimer)
{
	buf_fini(&claimer->claimed);
	buf_fini(&claimer->gone);
}

/* *out_group NULL: the error is said. */
static enum err claimer_open(struct exec *exec, const struct object *stream, struct claimer *out)
{
	out->exec = exec;
	out->group = stream ? stream_group(stream, exec->argv[2]) : NULL;
	if (!out->group) {
		reply_no_group(exec, exec->argv[1], exec->argv[2]);
		return OK;
	}
	return collection_open(exec->shard, &exec->first, OBJECT_STREAM, FIND_QUIET, &out->stream);
}

static bool is_idle(const struct claimer *claimer, const struct pending *pending)
{
	return claimer->idle_min_ms == 0 ||
	       claimer->exec->client->now_ms - (int64_t)pending->delivered_ms >= claimer->idle_min_ms;
}

/* `pending` NULL: it is made. */
static void claim(struct claimer *claimer, struct stream_id id, const struct pending *pending)
{
	struct exec *exec = claimer->exec;
	struct slice name = exec->argv[3];
	uint64_t deliveries = pending ? pending->deliveries : 1;
	if (claimer->deliveries >= 0)
		deliveries = (uint64_t)claimer->deliveries;
	else if (!claimer->ids_only)
		deliveries++;
	if (!claimer->consumer) {
		claimer->consumer = group_consumer(claimer->group, name);
		if (claimer->consumer)
			consumer_seen(claimer->consumer, exec->client->now_ms);
		else
			claimer->consumer = make_consumer(exec, &claimer->stream, claimer->group, name);
	}
	group_claim(&claimer->stream, claimer->group, claimer->consumer, id, claimer->delivered_ms, deliveries);
	buf_append(&claimer->claimed, slice_of(&id, sizeof(id)));
}

static void reply_claimed(const struct claimer *claimer)
{
	struct reply *reply = claimer->exec->reply;
	const struct stream_id *ids = (const struct stream_id *)claimer->claimed.ptr;
	size_t n = claimer->claimed.len / sizeof(*ids);
	struct stream_entry entry;
	reply_array(reply, n);
	for (size_t i = 0; i < n; i++) {
		if (claimer->ids_only)
			reply_id(reply, ids[i]);
		else if (stream_find(claimer->stream.object, ids[i], &entry))
			reply_entry(reply, &entry);
	}
}

/* ---- XCLAIM ----------------------------------------------------------------------- */

struct claiming {
	uint32_t ids_end;
	bool forces;
	struct stream_id last;
};

static bool read_claim_option(struct exec *exec, uint32_t *at, struct claimer *claimer, struct claiming *out)
{
	bool more = *at + 1 < exec->argc;
	if (exec_is(exec, *at, S("FORCE"))) {
		out->forces = true;
	} else if (exec_is(exec, *at, S("JUSTID"))) {
		claimer->ids_only = true;
	} else if (more && exec_is(exec, *at, S("IDLE"))) {
		if (!read_integer(exec, ++*at, "Invalid IDLE option argument for XCLAIM", &claimer->delivered_ms))
			return false;
		claimer->delivered_ms = (int64_t)((uint64_t)exec->client->now_ms - (uint64_t)claimer->delivered_ms);
	} else if (more && exec_is(exec, *at, S("TIME"))) {
		return read_integer(exec, ++*at, "Invalid TIME option argument for XCLAIM", &claimer->delivered_ms);
	} else if (more && exec_is(exec, *at, S("RETRYCOUNT"))) {
		return read_integer(exec, ++*at, "Invalid RETRYCOUNT option argument for XCLAIM", &claimer->deliveries);
	} else if (more && exec_is(exec, *at, S("LASTID"))) {
		return read_id(exec, ++*at, &out->last);
	} else {
		reply_error_fmt(exec->reply, "ERR Unrecognized XCLAIM option '" NAME_FORMAT "'",
		                NAME_ARGUMENTS(exec->argv[*at]));
		return false;
	}
	return true;
}

static bool read_claiming(struct exec *exec, struct claimer *claimer, struct claiming *out)
{
	struct stream_id id;
	int64_t now_ms = exec->client->now_ms;
	*out = (struct claiming){.ids_end = 5};
	if (!read_integer(exec, 4, "Invalid min-idle-time argument for XCLAIM", &claimer->idle_min_ms))
		return false;
	claimer->idle_min_ms = claimer->idle_min_ms < 0 ? 0 : claimer->idle_min_ms;
	while (out->ids_end < exec->argc && id_parse(exec->argv[out->ids_end], 0, ID_STRICT, NULL, &id))
		out->ids_end++;
	claimer->delivered_ms = claimer->deliveries = -1;
	for (uint32_t at = out->ids_end; at < exec->argc; at++)
		if (!read_claim_option(exec, &at, claimer, out))
			return false;
	if (claimer->delivered_ms < 0 || claimer->delivered_ms > now_ms)
		claimer->delivered_ms = now_ms;
	return true;
}

static void claim_id(struct claimer *claimer, struct stream_id id, bool forces)
{
	struct stream_entry entry;
	const struct pending *pending = ids_find(&claimer->group->pending, PENDING_SIZE, id);
	if (!stream_find(claimer->stream.object, id, &entry)) {
		if (pending)
			(void)group_acknowledge(&claimer->stream, claimer->group, id);
	} else if (pending ? is_idle(claimer, pending) : forces) {
		claim(claimer, id, pending);
	}
}

enum err run_xclaim(struct exec *exec)
{
	cleanup(claimer_fini) struct claimer claimer = {0};
	struct claiming claiming;
	struct object *stream;
	struct stream_id id;
	TRY(stream_read(exec, &exec->first, &stream));
	TRY(claimer_open(exec, stream, &claimer));
	if (!claimer.group || !read_claiming(exec, &claimer, &claiming))
		return OK;
	if (stream_id_compare(claiming.last, claimer.group->last) > 0)
		group_set(&claimer.stream, claimer.group, claiming.last, claimer.group->entries_read);
	for (uint32_t at = 5; at < claiming.ids_end; at++) {
		bool is_id = id_parse(exec->argv[at], 0, ID_STRICT, NULL, &id);
		assert(is_id);
		claim_id(&claimer, id, claiming.forces);
	}
	reply_claimed(&claimer);
	return OK;
}

/* ---- XAUTOCLAIM ------------------------------------------------------------------- */

static const int64_t autoclaim_max = INT64_MAX / (int64_t)sizeof(struct stream_id);

struct autoclaiming {
	struct stream_id from;
	int64_t count;
};

static bool read_autoclaiming(struct exec *exec, struct claimer *claimer, struct autoclaiming *out)
{
	out->count = AUTOCLAIM_COUNT;
	if (!read_integer(exec, 4, "Invalid min-idle-time argument for XAUTOCLAIM", &claimer->idle_min_ms) ||
	    !read_from(exec, 5, &out->from))
		return false;
	claimer->idle_min_ms = claimer->idle_min_ms < 0 ? 0 : claimer->idle_min_ms;
	claimer->delivered_ms = exec->client->now_ms;
	claimer->deliveries = -1;
	for (uint32_t at = 6; at < exec->argc; at++) {
		if (at + 1 < exec->argc && exec_is(exec, at, S("COUNT"))) {
			if (!read_integer(exec, ++at, "COUNT must be > 0", &out->count))
				return false;
			if (out->count < 1 || out->count > autoclaim_max) {
				reply_error_fmt(exec->reply, "ERR COUNT must be > 0");
				return false;
			}
		} else if (exec_is(exec, at, S("JUSTID"))) {
			claimer->ids_only = true;
		} else {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
	}
	return true;
}

/* From an ID on, as far as the count goes; where to go on, zero at the end. */
static struct stream_id claim_from(struct claimer *claimer, struct stream_id at, int64_t count)
{
	int64_t looks;
	if (__builtin_mul_overflow(count, AUTOCLAIM_LOOKS, &looks))
		looks = INT64_MAX;
	for (;; looks--) {
		struct ids_walk walk;
		struct stream_entry entry;
		ids_walk(&claimer->group->pending, PENDING_SIZE, at, &walk);
		const struct pending *pending = ids_next(&walk, PENDING_SIZE);
		if (!pending)
			return (struct stream_id){0};
		at = pending->id;
		if (looks == 0 || count == 0)
			return at;
		if (!stream_find(claimer->stream.object, at, &entry)) {
			buf_append(&claimer->gone, slice_of(&at, sizeof(at)));
			(void)group_acknowledge(&claimer->stream, claimer->group, at);
			count--;
		} else if (is_idle(claimer, pending)) {
			claim(claimer, at, pending);
			count--;
		}
		if (!stream_id_increment(&at))
			return (struct stream_id){0};
	}
}

enum err run_xautoclaim(struct exec *exec)
{
	cleanup(claimer_fini) struct claimer claimer = {0};
	struct autoclaiming claiming;
	struct object *stream = exec_find(exec, &exec->first, FIND_READ);
	if (!read_autoclaiming(exec, &claimer, &claiming))
		return OK;
	if (stream && object_type(stream) != OBJECT_STREAM)
		return ERR_WRONG_TYPE;
	TRY(claimer_open(exec, stream, &claimer));
	if (!claimer.group)
		return OK;
	struct stream_id next = claim_from(&claimer, claiming.from, claiming.count);
	const struct stream_id *gone = (const struct stream_id *)claimer.gone.ptr;
	size_t n = claimer.gone.len / sizeof(*gone);
	reply_array(exec->reply, 3);
	reply_id(exec->reply, next);
	reply_claimed(&claimer);
	reply_array(exec->reply, n);
	for (size_t i = 0; i < n; i++)
		reply_id(exec->reply, gone[i]);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments xgroup_create_arguments_id[] = {
        {"ID", .type = ARG_STRING}, {"new_id", "$", .type = ARG_PURE_TOKEN}, {0}};
static arguments xgroup_create_arguments[] = {
        {"key", .type = ARG_KEY},
        {"groupname", .type = ARG_STRING},
        {"id", .type = ARG_ONEOF, .inner = xgroup_create_arguments_id},
        {"mkstream", "MKSTREAM", .type = ARG_PURE_TOKEN, .flags = ARG_OPTIONAL},
        {"entries_read", "ENTRIESREAD", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
        {0}};
static const struct command_history xgroup_create_history[] = {{"7.0.0", "Added the `entries_read` named argument."},
                                                               {0}};
static arguments xgroup_createconsumer_arguments[] = {
        {"key", .type = ARG_KEY}, {"groupname", .type = ARG_STRING}, {"consumername", .type = ARG_STRING}, {0}};
static arguments xgroup_destroy_arguments[] = {{"key", .type = ARG_KEY}, {"groupname", .type = ARG_STRING}, {0}};
static arguments xgroup_setid_arguments[] = {
        {"key", .type = ARG_KEY},
        {"groupname", .type = ARG_STRING},
        {"id", .type = ARG_ONEOF, .inner = xgroup_create_arguments_id},
        {"entries_read", "ENTRIESREAD", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
        {0}};
static const struct command_history xgroup_setid_history[] = {{"7.0.0", "Added the optional `entries_read` argument."},
                                                              {0}};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

/* clang-format off */
const struct command xgroup_rows[] = {
	{"CREATE", -5, {2, 2, 1}, WRITE | GROWS, "5.0.0",
	 "O(1)",
	 "Create a consumer group.", run_xgroup_create, xgroup_create_arguments, .history = xgroup_create_history,
	 .uses = "RW insert",
	 .reach = needs_none},
	{"CREATECONSUMER", 5, {2, 2, 1}, WRITE | GROWS, "6.2.0",
	 "O(1)",
	 "Create a consumer in a consumer group.", run_xgroup_createconsumer, xgroup_createconsumer_arguments,
	 .uses = "RW insert",
	 .reach = needs_none},
	{"DELCONSUMER", 5, {2, 2, 1}, WRITE, "5.0.0",
	 "O(1)",
	 "Delete a consumer from a consumer group.", run_xgroup_delconsumer, xgroup_createconsumer_arguments,
	 .uses = "RW delete",
	 .reach = needs_none},
	{"DESTROY", 4, {2, 2, 1}, WRITE, "5.0.0",
	 "O(N) where N is the number of entries in the group's pending entries list (PEL).",
	 "Destroy a consumer group.", run_xgroup_destroy, xgroup_destroy_arguments, .uses = "RW delete",
	 .reach = needs_none},
	{"HELP", 2, {0}, COMMAND_LOADING | COMMAND_STALE, "5.0.0",
	 "O(1)",
	 "Show helpful text about the different subcommands", run_xgroup_help},
	{"SETID", -5, {2, 2, 1}, WRITE, "5.0.0",
	 "O(1)",
	 "Set a consumer group to an arbitrary last delivered ID value.", run_xgroup_setid, xgroup_setid_arguments,
	 .history = xgroup_setid_history, .uses = "RW update",
	 .reach = needs_none},
	{0},
};
/* clang-format on */
