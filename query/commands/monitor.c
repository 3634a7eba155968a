#include "query/commands/monitor.h"

#include "engine/base/rare.h"
#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/handout.h"
#include "query/commands/rows_private.h"
#include "query/commands/slowlog.h"
#include "query/session/session.h"

enum { UNDER_WAY_MAX = RARE(64 * 1024 * 1024, 4096) }; /* bytes to one core */
enum { ADDRESS_SIZE = 256 };

struct monitor {
	struct core *core;
	struct link watchers; /* this core's sessions that watch */
	uint64_t cores;       /* bits: those with such sessions */
	uint64_t overrun;     /* bits: those that lines were kept from */
	struct buf lines;     /* of this turn, each behind its length */
	struct handouts handouts;
	struct task send;
};

static struct monitor *monitor_of(const struct core *core) { return core->commands->monitor; }

/* ---- lines ------------------------------------------------------------------------ */

/* As Redis shows strings: in quotes, with escapes. */
static void append_quoted(struct buf *out, struct slice text)
{
	static const char letters[] = "\\\"\n\r\t\a\b", names[] = "\\\"nrtab";
	buf_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.ptr[i];
		const char *letter = byte ? strchr(letters, byte) : NULL;
		if (letter) {
			buf_byte(out, '\\');
			buf_byte(out, (uint8_t)names[letter - letters]);
		} else if (byte >= ' ' && byte <= '~') {
			buf_byte(out, byte);
		} else {
			buf_printf(out, "\\x%02x", byte);
		}
	}
	buf_byte(out, '"');
}

static void append_where(struct buf *out, const struct session *session)
{
	char address[ADDRESS_SIZE] = "";
	if (session->flags & SESSION_UNIX) {
		buf_printf(out, "unix:%s", session->core->settings->unixsocket);
		return;
	}
	session->ops->address((struct session *)session, false, address, sizeof(address));
	buf_append(out, slice_from_str(address));
}

/* `session` NULL: a script's command. */
static void add_line(struct monitor *monitor, const struct session *session, uint16_t db, const struct slice *argv,
                     uint32_t argc)
{
	struct buf *lines = &monitor->lines;
	int64_t now_us = monitor->core->wall_us;
	size_t start = lines->len, len = 0; /* escapes make of 1 GiB more than 32 bits count */
	buf_append(lines, slice_of(&len, sizeof(len)));
	buf_printf(lines, "%lld.%06lld [%u ", (long long)(now_us / 1000000), (long long)(now_us % 1000000), db);
	if (session)
		append_where(lines, session);
	else
		buf_append(lines, S("lua"));
	buf_byte(lines, ']');
	for (uint32_t i = 0; i < argc; i++) {
		buf_byte(lines, ' ');
		append_quoted(lines, argument_is_secret(argv, argc, i) ? S("(redacted)") : argv[i]);
	}
	len = lines->len - start - sizeof(len);
	memcpy(lines->ptr + start, &len, sizeof(len));
	core_ready(monitor->core, &monitor->send, CLASS_FOREGROUND);
}

/* EVAL and its kin skip it in the table, but Redis shows them. */
static bool is_shown(const struct command *command)
{
	bool skipped = command && command->flags & COMMAND_SKIP_MONITOR && !(command->flags & COMMAND_SCRIPT);
	return command && !skipped && !(command->flags & COMMAND_ADMIN);
}

void monitor_show(const struct session *session, const struct command *command, const struct slice *argv, uint32_t argc)
{
	if (is_shown(command))
		add_line(monitor_of(session->core), session, session->db, argv, argc);
}

void monitor_show_scripted(struct core *core, uint16_t db, const struct command *command, const struct slice *argv,
                           uint32_t argc)
{
	if (is_shown(command))
		add_line(monitor_of(core), NULL, db, argv, argc);
}

/* ---- over cores ------------------------------------------------------------------- */

static void push_lines(struct session *session, const struct buf *lines)
{
	struct reply reply;
	session->ops->push_behind(session, &reply);
	for (size_t at = 0; at < lines->len;) {
		size_t len;
		memcpy(&len, lines->ptr + at, sizeof(len));
		at += sizeof(len);
		reply_simple(&reply, slice_of(lines->ptr + at, len));
		at += len;
	}
	session->ops->pushed(session);
}

static void lines_arrived(struct core *core, const struct buf *lines)
{
	list_each (link, &monitor_of(core)->watchers)
		push_lines(container_of(link, struct session, watching), lines);
}

static void close_watchers(struct core *core, struct message *message)
{
	list_each (link, &monitor_of(core)->watchers) {
		struct session *session = container_of(link, struct session, watching);
		log_notice("client %llu closed: it cannot be shown commands as fast as they come",
		           (unsigned long long)session->id);
		monitor_end(session);
		session->ops->close(session, true);
	}
}

static void send(struct core *core, struct task *task)
{
	struct monitor *monitor = container_of(task, struct monitor, send);
	uint64_t to = monitor->cores & ~monitor->overrun;
	for (uint16_t i = 0; i < core->n_cores; i++) {
		if (!(to & 1ull << i) || handouts_under_way(&monitor->handouts, i) <= UNDER_WAY_MAX)
			continue;
		struct message message = {.run = close_watchers};
		core_post(core, i, &message);
		monitor->overrun |= 1ull << i;
	}
	if (monitor->lines.len > 0)
		handout(&monitor->handouts, &monitor->lines, to & ~monitor->overrun, lines_arrived);
}

/* ---- who watches ------------------------------------------------------------------ */

static void core_tells(struct core *there, uint16_t from, bool watches)
{
	struct monitor *monitor = monitor_of(there);
	uint64_t bit = 1ull << from;
	monitor->cores = watches ? monitor->cores | bit : monitor->cores & ~bit;
	monitor->overrun &= monitor->cores;
	there->commands->monitored = monitor->cores != 0;
}

static void core_told(struct core *core, struct message *message)
{
	core_tells(core, message->from, message->args[0].word);
}

/* Posts and calls of one core arrive in the order sent. */
static void tell_cores(struct core *core)
{
	bool watches = !list_empty(&monitor_of(core)->watchers);
	core_tells(core, core->id, watches);
	for (uint16_t to = 0; to < core->n_cores; to++) {
		struct message message = {.run = core_told, .args[0].word = watches};
		if (to != core->id)
			core_post(core, to, &message);
	}
}

static void nothing_there(struct core *there, void *arg) {}

enum err run_monitor(struct exec *exec)
{
	struct session *session = exec->session;
	if (session->unit) {
		reply_error_fmt(exec->reply, "ERR MONITOR isn't allowed for DENY BLOCKING client");
		return OK;
	}
	if (link_linked(&session->watching))
		return OK; /* not answered, as Redis has it */
	list_push_back(&monitor_of(exec->core)->watchers, &session->watching);
	tell_cores(exec->core);
	fiber_call_all(exec->core, nothing_there, NULL); /* by now they know */
	reply_ok(exec->reply);
	return OK;
}

void monitor_end(struct session *session)
{
	if (!link_linked(&session->watching))
		return;
	list_remove(&session->watching);
	if (list_empty(&monitor_of(session->core)->watchers))
		tell_cores(session->core);
}

/* ---- life ------------------------------------------------------------------------- */

struct monitor *monitor_new(struct core *core)
{
	struct monitor *monitor = memory_zalloc(sizeof(*monitor));
	monitor->core = core;
	monitor->send = (struct task){.run = send, .name = "monitor"};
	list_init(&monitor->watchers);
	handouts_init(&monitor->handouts, core);
	return monitor;
}

void monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return;
	assert(list_empty(&monitor->watchers));
	core_forget(monitor->core, &monitor->send);
	handouts_fini(&monitor->handouts);
	buf_fini(&monitor->lines);
	memory_free(monitor);
}
