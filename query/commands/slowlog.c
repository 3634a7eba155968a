/* slowlog.c -- SLOWLOG.
 *
 * An entry is one block: the fixed part, the lengths of its texts, their bytes. The texts
 * are the arguments as they are shown, then the client's address and name if the client
 * was on this core; for others they are looked up when the log is shown.
 */
#include "query/commands/slowlog.h"

#include "engine/base/number.h"
#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/latency.h"
#include "query/commands/rows_private.h"
#include "query/session/session.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_ARGS_MAX = 32, SHOWN_BYTES_MAX = 128, ADDRESS_SIZE = 256, SHOWN_DEFAULT = 10 };

struct entry {
	struct link link;
	uint64_t id;
	int64_t at_us;
	uint64_t took_us;
	uint64_t client;
	size_t size;     /* of the block */
	uint32_t n_args; /* shown */
	uint32_t lens[]; /* n_args + 2, then the bytes */
};

struct slowlog {
	struct link entries; /* newest first */
	size_t n;
	uint64_t next; /* serial of this core's next entry */
};

struct slowlog *slowlog_new(void)
{
	struct slowlog *slowlog = memory_zalloc(sizeof(*slowlog));
	list_init(&slowlog->entries);
	return slowlog;
}

void slowlog_trim(struct slowlog *slowlog, size_t n_max)
{
	for (; slowlog->n > n_max; slowlog->n--) {
		struct entry *oldest = container_of(slowlog->entries.prev, struct entry, link);
		list_remove(&oldest->link);
		memory_free(oldest);
	}
}

void slowlog_free(struct slowlog *slowlog)
{
	if (!slowlog)
		return;
	slowlog_trim(slowlog, 0);
	memory_free(slowlog);
}

/* ---- remembering ------------------------------------------------------------------ */

bool argument_is_secret(const struct slice *argv, uint32_t argc, uint32_t at)
{
	if (at == 0)
		return false;
	if (slice_equal_nocase(argv[0], S("AUTH")))
		return true;
	if (slice_equal_nocase(argv[0], S("HELLO")))
		return slice_equal_nocase(argv[at - 1], S("AUTH")) ||
		       (at >= 2 && slice_equal_nocase(argv[at - 2], S("AUTH")));
	if (slice_equal_nocase(argv[0], S("CONFIG")))
		return slice_equal_nocase(argv[at - 1], S("requirepass"));
	return false;
}

static void append_argument(struct buf *out, struct slice arg)
{
	size_t shown = arg.len < SHOWN_BYTES_MAX ? arg.len : SHOWN_BYTES_MAX;
	buf_append(out, slice_sub(arg, 0, shown));
	if (shown < arg.len)
		buf_printf(out, "... (%zu more bytes)", arg.len - shown);
}

/* The texts of an entry one after the other; their lengths go to `lens`. */
static void append_texts(struct buf *out, uint32_t *lens, uint32_t n, const struct slice *argv, uint32_t argc,
                         struct session *session)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t before = out->len;
		if (i == n - 1 && argc > n)
			buf_printf(out, "... (%u more arguments)", argc - n + 1);
		else if (argument_is_secret(argv, argc, i))
			buf_append(out, S("(redacted)"));
		else
			append_argument(out, argv[i]);
		lens[i] = (uint32_t)(out->len - before);
	}
	lens[n] = lens[n + 1] = 0;
	if (!session)
		return;
	char address[ADDRESS_SIZE] = "";
	session->ops->address(session, false, address, sizeof(address));
	lens[n] = (uint32_t)strlen(address);
	buf_append(out, slice_from_str(address));
	struct slice name =
	        slice_sub(session->name, 0, session->name.len < SHOWN_BYTES_MAX ? session->name.len : SHOWN_BYTES_MAX);
	lens[n + 1] = (uint32_t)name.len;
	buf_append(out, name);
}

static struct entry *entry_new(struct core *core, const struct slice *argv, uint32_t argc, uint64_t client)
{
	uint32_t lens[SHOWN_ARGS_MAX + 2];
	uint32_t n = argc < SHOWN_ARGS_MAX ? argc : SHOWN_ARGS_MAX;
	cleanup(buf_fini) struct buf texts = {0};
	append_texts(&texts, lens, n, argv, argc, client ? session_find(core, client) : NULL);
	size_t lens_size = (n + 2) * sizeof(lens[0]);
	size_t size = sizeof(struct entry) + lens_size + texts.len;
	struct entry *entry = memory_zalloc(size);
	entry->size = size;
	entry->n_args = n;
	memcpy(entry->lens, lens, lens_size);
	if (texts.len > 0)
		memcpy((char *)entry->lens + lens_size, texts.ptr, texts.len);
	return entry;
}

static void remember(struct core *core, const struct slice *argv, uint32_t argc, uint64_t ns, uint64_t client)
{
	struct slowlog *slowlog = core->commands->slowlog;
	struct entry *entry = entry_new(core, argv, argc, client);
	/* Unique over the cores without asking them. */
	entry->id = slowlog->next++ * core->n_cores + core->id;
	entry->at_us = core->wall_us;
	entry->took_us = ns / 1000;
	entry->client = client;
	list_push_front(&slowlog->entries, &entry->link);
	slowlog->n++;
	slowlog_trim(slowlog, (size_t)core->settings->slowlog_max_len);
}

void slowlog_note(struct core *core, const struct command *command, const struct slice *argv, uint32_t argc,
                  uint64_t ns, const struct client_view *client)
{
	if (likely(ns < core->commands->slow_ns))
		return;
	const struct settings *settings = core->settings;
	int64_t slow_us = settings->slowlog_log_slower_than;
	if (slow_us >= 0 && ns / 1000 >= (uint64_t)slow_us && settings->slowlog_max_len > 0 &&
	    !(command->flags & COMMAND_SKIP_SLOWLOG))
		remember(core, argv, argc, ns, client->client_id);
	int64_t slow_ms = settings->latency_monitor_threshold;
	if (slow_ms > 0 && ns / 1000000 >= (uint64_t)slow_ms)
		latency_event(core, command->flags & COMMAND_FAST ? "fast-command" : "command", ns / 1000000);
}

/* ---- showing ---------------------------------------------------------------------- */

static struct slice entry_text(const struct entry *entry, uint32_t number)
{
	const uint8_t *at = (const uint8_t *)(entry->lens + entry->n_args + 2);
	for (uint32_t i = 0; i < number; i++)
		at += entry->lens[i];
	return slice_of(at, entry->lens[number]);
}

/* An entry of any core, and its client if that is on another one. */
struct shown {
	struct entry *entry; /* a copy */
	struct slice name;   /* owned */
	char address[ADDRESS_SIZE];
};

struct gathering {
	size_t n_max; /* entries wanted of each core */
	struct buf shown;
};

static void gather_there(struct core *there, void *arg)
{
	struct gathering *gathering = arg;
	size_t n = 0;
	list_each (link, &there->commands->slowlog->entries) {
		if (n++ == gathering->n_max)
			return;
		const struct entry *entry = container_of(link, struct entry, link);
		struct shown shown = {.entry = memory_alloc(entry->size)};
		memcpy(shown.entry, entry, entry->size);
		buf_append(&gathering->shown, slice_of(&shown, sizeof(shown)));
	}
}

struct shown_list {
	struct shown *at;
	size_t n;
};

static void find_clients_there(struct core *there, void *arg)
{
	const struct shown_list *list = arg;
	for (size_t i = 0; i < list->n; i++) {
		struct shown *shown = &list->at[i];
		const struct entry *entry = shown->entry;
		if (!entry->client || entry->lens[entry->n_args] > 0)
			continue;
		struct session *session = session_find(there, entry->client);
		if (!session)
			continue;
		session->ops->address(session, false, shown->address, sizeof(shown->address));
		text_replace(&shown->name, session->name);
	}
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *one = ((const struct shown *)a)->entry, *other = ((const struct shown *)b)->entry;
	if (one->at_us != other->at_us)
		return one->at_us < other->at_us ? 1 : -1;
	return one->id < other->id ? 1 : -1;
}

static void say_entry(struct reply *reply, const struct shown *shown)
{
	const struct entry *entry = shown->entry;
	struct slice address = entry_text(entry, entry->n_args), name = entry_text(entry, entry->n_args + 1);
	bool known = address.len > 0;
	reply_array(reply, 6);
	reply_integer(reply, (int64_t)entry->id);
	reply_integer(reply, entry->at_us / 1000000);
	reply_integer(reply, (int64_t)entry->took_us);
	reply_array(reply, entry->n_args);
	for (uint32_t i = 0; i < entry->n_args; i++)
		reply_bulk(reply, entry_text(entry, i));
	reply_bulk(reply, known ? address : slice_from_str(shown->address));
	reply_bulk(reply, known ? name : shown->name);
}

static enum err run_slowlog_get(struct exec *exec)
{
	int64_t count = SHOWN_DEFAULT;
	if (exec->argc > 3)
		return reply_subcommand_syntax(exec);
	if (exec->argc == 3 && (!integer_parse(exec->argv[2], &count) || count < -1)) {
		reply_error_fmt(exec->reply, "ERR count should be greater than or equal to -1");
		return OK;
	}
	size_t n_max = (size_t)exec->core->settings->slowlog_max_len;
	struct gathering gathering = {.n_max = count < 0 || (size_t)count > n_max ? n_max : (size_t)count};
	commands_each_core(exec->core, gather_there, &gathering);
	struct shown *shown = (struct shown *)gathering.shown.ptr;
	size_t n = gathering.shown.len / sizeof(*shown);
	if (n > 0)
		qsort(shown, n, sizeof(*shown), newest_first);
	struct shown_list list = {shown, n < gathering.n_max ? n : gathering.n_max};
	commands_each_core(exec->core, find_clients_there, &list);
	reply_array(exec->reply, list.n);
	for (size_t i = 0; i < list.n; i++)
		say_entry(exec->reply, &shown[i]);
	for (size_t i = 0; i < n; i++) {
		memory_free(shown[i].entry);
		memory_free((void *)shown[i].name.ptr);
	}
	buf_fini(&gathering.shown);
	return OK;
}

static void count_there(struct core *there, void *arg) { *(int64_t *)arg += (int64_t)there->commands->slowlog->n; }

static enum err run_slowlog_len(struct exec *exec)
{
	int64_t n = 0;
	commands_each_core(exec->core, count_there, &n);
	int64_t n_max = exec->core->settings->slowlog_max_len; /* of each core; those beyond it are not shown */
	reply_integer(exec->reply, n < n_max ? n : n_max);
	return OK;
}

static void forget_there(struct core *there, void *arg) { slowlog_trim(there->commands->slowlog, 0); }

static enum err run_slowlog_reset(struct exec *exec)
{
	commands_each_core(exec->core, forget_there, NULL);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_slowlog_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "GET [<count>]",
	        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
	        "    Entries are made of:",
	        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
	        "    client name",
	        "LEN",
	        "    Return the length of the slowlog.",
	        "RESET",
	        "    Reset the slowlog.",
	        NULL,
	};
	return reply_help(exec, "SLOWLOG", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument slowlog_get_args[] = {
        {"count", NULL, NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static const struct command_history slowlog_get_history[] = {
        {"4.0.0", "Added client IP address, port and name to the reply."},
        {0},
};

/* clang-format off */
const struct command slowlog_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"GET", -2, {0}, ROW_ALWAYS | COMMAND_ADMIN | COMMAND_FIBER, "2.2.12",
	 "O(N) where N is the number of entries returned", "The slowest commands remembered, the newest first.",
	 run_slowlog_get, slowlog_get_args, .history = slowlog_get_history,
	 .tips = "request_policy:all_nodes nondeterministic_output"},
	{"HELP", 2, {0}, ROW_ALWAYS, "6.2.0", "O(1)", "Explains the subcommands.", run_slowlog_help},
	{"LEN", 2, {0}, ROW_ALWAYS | COMMAND_ADMIN | COMMAND_FIBER, "2.2.12", "O(1)",
	 "How many slow commands are remembered.", run_slowlog_len,
	 .tips = "request_policy:all_nodes response_policy:agg_sum nondeterministic_output"},
	{"RESET", 2, {0}, ROW_ALWAYS | COMMAND_ADMIN | COMMAND_FIBER, "2.2.12",
	 "O(N) where N is the number of entries in the slowlog", "Forgets the slow commands.",
	 run_slowlog_reset, .tips = "request_policy:all_nodes response_policy:all_succeeded"},
	{0},
};
/* clang-format on */
