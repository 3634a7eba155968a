/* stream_info.c -- XINFO: what streams, groups and consumers say of themselves. */
#include "query/commands/list_reach.h"
#include "query/commands/rows_private.h"
#include "query/commands/stream_private.h"
#include "query/commands/stream_reach.h"

/* *out NULL: there is no such key, as is said then. */
static enum err find(struct exec *exec, struct object **out)
{
	TRY(stream_read(exec, &exec->first, out));
	return *out ? OK : ERR_NOT_FOUND;
}

static void say_integer(struct reply *reply, const char *name, uint64_t value)
{
	reply_str(reply, name);
	reply_integer(reply, (int64_t)value);
}

static void say_id(struct reply *reply, const char *name, struct stream_id id)
{
	reply_str(reply, name);
	reply_id(reply, id);
}

/* How much a group has read, and how much it has not. */
static void say_progress(struct reply *reply, const struct object *stream, const struct stream_group *group)
{
	int64_t lag;
	reply_str(reply, "entries-read");
	if (group->entries_read != ENTRIES_READ_UNKNOWN)
		reply_integer(reply, group->entries_read);
	else
		reply_null(reply);
	reply_str(reply, "lag");
	if (group_lag(stream, group, &lag))
		reply_integer(reply, lag);
	else
		reply_null(reply);
}

/* ---- XINFO GROUPS, XINFO CONSUMERS -------------------------------------------------- */

static enum err run_xinfo_groups(struct exec *exec)
{
	struct reply *reply = exec->reply;
	struct object *stream;
	TRY(find(exec, &stream));
	uint32_t n = stream_groups(stream);
	reply_array(reply, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct stream_group *group = stream_group_at(stream, i);
		reply_map(reply, 6);
		reply_str(reply, "name");
		reply_bulk(reply, group->name);
		say_integer(reply, "consumers", group->n_consumers);
		say_integer(reply, "pending", group->pending.count);
		say_id(reply, "last-delivered-id", group->last);
		say_progress(reply, stream, group);
	}
	return OK;
}

static enum err run_xinfo_consumers(struct exec *exec)
{
	struct reply *reply = exec->reply;
	struct object *stream;
	struct slice name = exec->argv[3], key = exec->argv[2];
	TRY(find(exec, &stream));
	const struct stream_group *group = stream_group(stream, name);
	if (!group) {
		reply_error_fmt(reply,
		                "NOGROUP No such consumer group '" NAME_FORMAT "' for key name '" NAME_FORMAT "'",
		                NAME_ARGUMENTS(name), NAME_ARGUMENTS(key));
		return OK;
	}
	reply_array(reply, group->n_consumers);
	for (uint32_t i = 0; i < group->n_consumers; i++) {
		const struct stream_consumer *consumer = group_consumer_at(group, i);
		int64_t idle_ms = exec->client->now_ms - consumer->seen_ms;
		reply_map(reply, 3);
		reply_str(reply, "name");
		reply_bulk(reply, consumer->name);
		say_integer(reply, "pending", consumer->pending.count);
		say_integer(reply, "idle", idle_ms > 0 ? (uint64_t)idle_ms : 0);
	}
	return OK;
}

/* ---- XINFO STREAM ------------------------------------------------------------------- */

static void say_edge(struct reply *reply, const char *name, const struct object *stream, bool last)
{
	struct stream_walk walk;
	struct stream_entry entry;
	reply_str(reply, name);
	stream_walk(stream, (struct stream_id){0}, STREAM_ID_MAX, last, &walk);
	if (stream_next(&walk, &entry))
		reply_entry(reply, &entry);
	else
		reply_null(reply);
}

static uint64_t less(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void say_group_pending(struct reply *reply, struct stream_group *group, uint64_t limit)
{
	struct ids_walk walk;
	uint64_t n = less(limit, group->pending.count);
	reply_str(reply, "pending");
	reply_array(reply, n);
	ids_walk(&group->pending, sizeof(struct pending), (struct stream_id){0}, &walk);
	for (; n > 0; n--) {
		const struct pending *pending = ids_next(&walk, sizeof(*pending));
		reply_array(reply, 4);
		reply_id(reply, pending->id);
		reply_bulk(reply, pending_owner(group, pending)->name);
		reply_integer(reply, (int64_t)pending->delivered_ms);
		reply_integer(reply, (int64_t)pending->deliveries);
	}
}

static void say_consumer_pending(struct reply *reply, struct stream_group *group, struct stream_consumer *consumer,
                                 uint64_t limit)
{
	struct ids_walk walk;
	uint64_t n = less(limit, consumer->pending.count);
	reply_str(reply, "pending");
	reply_array(reply, n);
	ids_walk(&consumer->pending, sizeof(struct stream_id), (struct stream_id){0}, &walk);
	for (; n > 0; n--) {
		const struct stream_id *id = ids_next(&walk, sizeof(*id));
		const struct pending *pending = ids_find(&group->pending, sizeof(*pending), *id);
		reply_array(reply, 3);
		reply_id(reply, *id);
		reply_integer(reply, (int64_t)pending->delivered_ms);
		reply_integer(reply, (int64_t)pending->deliveries);
	}
}

static void say_consumers(struct reply *reply, struct stream_group *group, uint64_t limit)
{
	reply_str(reply, "consumers");
	reply_array(reply, group->n_consumers);
	for (uint32_t i = 0; i < group->n_consumers; i++) {
		struct stream_consumer *consumer = group_consumer_at(group, i);
		reply_map(reply, 4);
		reply_str(reply, "name");
		reply_bulk(reply, consumer->name);
		say_integer(reply, "seen-time", (uint64_t)consumer->seen_ms);
		say_integer(reply, "pel-count", consumer->pending.count);
		say_consumer_pending(reply, group, consumer, limit);
	}
}

static void say_full(struct reply *reply, const struct object *stream, uint64_t limit)
{
	struct stream_walk walk;
	uint32_t n = stream_groups(stream);
	reply_str(reply, "entries");
	stream_walk(stream, (struct stream_id){0}, STREAM_ID_MAX, false, &walk);
	reply_entries(reply, &walk, limit);
	reply_str(reply, "groups");
	reply_array(reply, n);
	for (uint32_t i = 0; i < n; i++) {
		struct stream_group *group = stream_group_at(stream, i);
		reply_map(reply, 7);
		reply_str(reply, "name");
		reply_bulk(reply, group->name);
		say_id(reply, "last-delivered-id", group->last);
		say_progress(reply, stream, group);
		say_integer(reply, "pel-count", group->pending.count);
		say_group_pending(reply, group, limit);
		say_consumers(reply, group, limit);
	}
}

/* [FULL [COUNT count]]. *out 0: not in full. False: the error is said. */
static bool read_full(struct exec *exec, uint64_t *out)
{
	int64_t count;
	*out = exec->argc == 3 ? 0 : INFO_FULL_COUNT;
	if (exec->argc == 3 || (exec->argc == 4 && exec_is(exec, 3, S("FULL"))))
		return true;
	if (exec->argc != 6 || !exec_is(exec, 3, S("FULL")) || !exec_is(exec, 4, S("COUNT"))) {
		(void)reply_subcommand_syntax(exec);
		return false;
	}
	if (!read_integer(exec, 5, NULL, &count))
		return false;
	*out = count < 0 ? INFO_FULL_COUNT : count == 0 ? UINT64_MAX : (uint64_t)count;
	return true;
}

static enum err run_xinfo_stream(struct exec *exec)
{
	struct reply *reply = exec->reply;
	struct object *stream;
	struct stream_facts facts;
	uint64_t full;
	TRY(find(exec, &stream));
	if (!read_full(exec, &full))
		return OK;
	stream_facts(stream, &facts);
	reply_map(reply, full ? 9 : 10);
	say_integer(reply, "length", facts.length);
	say_integer(reply, "radix-tree-keys", facts.blocks);
	say_integer(reply, "radix-tree-nodes", facts.blocks + 1);
	say_id(reply, "last-generated-id", facts.last);
	say_id(reply, "max-deleted-entry-id", facts.max_deleted);
	say_integer(reply, "entries-added", facts.added);
	say_id(reply, "recorded-first-entry-id", facts.first);
	if (full) {
		say_full(reply, stream, full);
		return OK;
	}
	say_integer(reply, "groups", stream_groups(stream));
	say_edge(reply, "first-entry", stream, false);
	say_edge(reply, "last-entry", stream, true);
	return OK;
}

static enum err run_xinfo_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "CONSUMERS <key> <groupname>",
	        "    Show consumers of <groupname>.",
	        "GROUPS <key>",
	        "    Show the stream consumer groups.",
	        "STREAM <key> [FULL [COUNT <count>]",
	        "    Show information about the stream.",
	        NULL,
	};
	return reply_help(exec, "XINFO", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments xgroup_destroy_arguments[] = {{"key", .type = ARG_KEY}, {"groupname", .type = ARG_STRING}, {0}};
static arguments xinfo_groups_arguments[] = {{"key", .type = ARG_KEY}, {0}};
static const struct command_history xinfo_groups_history[] = {{"7.0.0", "Added the `entries-read` and `lag` fields"},
                                                              {0}};
static arguments xinfo_stream_arguments_full[] = {{"count", "COUNT", .type = ARG_INTEGER, .flags = ARG_OPTIONAL}, {0}};
static arguments xinfo_stream_arguments[] = {
        {"key", .type = ARG_KEY},
        {"full", "FULL", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = xinfo_stream_arguments_full},
        {0}};
static const struct command_history xinfo_stream_history[] = {
        {"6.0.0", "Added the `FULL` modifier."},
        {"7.0.0", "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and "
                  "`lag` fields"},
        {0}};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

/* clang-format off */
const struct command xinfo_rows[] = {
	{"CONSUMERS", 4, {2, 2, 1}, READ, "5.0.0",
	 "O(1)",
	 "List the consumers in a consumer group", run_xinfo_consumers, xgroup_destroy_arguments,
	 .tips = "nondeterministic_output", .reach = needs_none},
	{"GROUPS", 3, {2, 2, 1}, READ, "5.0.0",
	 "O(1)",
	 "List the consumer groups of a stream", run_xinfo_groups, xinfo_groups_arguments, .history =
	 xinfo_groups_history, .reach = needs_none},
	{"HELP", 2, {0}, COMMAND_LOADING | COMMAND_STALE, "5.0.0",
	 "O(1)",
	 "Show helpful text about the different subcommands", run_xinfo_help},
	{"STREAM", -3, {2, 2, 1}, READ, "5.0.0",
	 "O(1)",
	 "Get information about a stream", run_xinfo_stream, xinfo_stream_arguments, .history = xinfo_stream_history,
	 .reach = needs_xinfo_stream},
	{0},
};
/* clang-format on */
