/* client.c -- CLIENT: what connections say of themselves, and of all others.
 *
 * A session belongs to its connection's core. What is about all of them visits core after
 * core; nothing refers to a session past its visit.
 */
#include "engine/base/number.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/pubsub.h"
#include "query/commands/rows_private.h"
#include "query/commands/tracking.h"
#include "query/session/block.h"
#include "query/session/session.h"
#include "query/session/transaction.h"

enum { ADDRESS_SIZE = 256 };

static enum err run_client_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "CACHING (YES|NO)",
	        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
	        "GETREDIR",
	        "    Return the client ID we are redirecting to when tracking is enabled.",
	        "GETNAME",
	        "    Return the name of the current connection.",
	        "ID",
	        "    Return the ID of the current connection.",
	        "INFO",
	        "    Return information about the current client connection.",
	        "KILL <ip:port>",
	        "    Kill connection made from <ip:port>.",
	        "KILL <option> <value> [<option> <value> [...]]",
	        "    Kill connections. Options are:",
	        "    * ADDR (<ip:port>|<unixsocket>:0)",
	        "      Kill connections made from the specified address",
	        "    * LADDR (<ip:port>|<unixsocket>:0)",
	        "      Kill connections made to specified local address",
	        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
	        "      Kill connections by type.",
	        "    * USER <username>",
	        "      Kill connections authenticated by <username>.",
	        "    * SKIPME (YES|NO)",
	        "      Skip killing current connection (default: yes).",
	        "LIST [options ...]",
	        "    Return information about client connections. Options:",
	        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
	        "      Return clients of specified type.",
	        "UNPAUSE",
	        "    Stop the current client pause, resuming traffic.",
	        "PAUSE <timeout> [WRITE|ALL]",
	        "    Suspend all, or just write, clients for <timeout> milliseconds.",
	        "REPLY (ON|OFF|SKIP)",
	        "    Control the replies sent to the current connection.",
	        "SETNAME <name>",
	        "    Assign the name <name> to the current connection.",
	        "SETINFO <option> <value>",
	        "    Set client meta attr. Options are:",
	        "    * LIB-NAME: the client lib name.",
	        "    * LIB-VER: the client lib version.",
	        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
	        "    Unblock the specified blocked client.",
	        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
	        "         [OPTIN] [OPTOUT] [NOLOOP]",
	        "    Control server assisted client side caching.",
	        "TRACKINGINFO",
	        "    Report tracking status for the current connection.",
	        "NO-EVICT (ON|OFF)",
	        "    Protect current client connection from eviction.",
	        "NO-TOUCH (ON|OFF)",
	        "    Will not touch LRU/LFU stats when this mode is on.",
	        "DURABILITY [SERVER|ALWAYS|EVERYSEC|NO]",
	        "    What answers of this connection wait for; SERVER is as CONFIG says.",
	        NULL,
	};
	return reply_help(exec, "CLIENT", lines);
}

/* ---- names ------------------------------------------------------------------------ */

/* Names are shown in CLIENT LIST, whose fields are separated by spaces. */
static bool is_showable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '!' || text.ptr[i] > '~')
			return false;
	return true;
}

bool session_rename(struct exec *exec, struct slice name)
{
	if (!is_showable(name)) {
		reply_error_fmt(exec->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
		return false;
	}
	text_replace(&exec->session->name, name);
	return true;
}

static enum err run_client_setname(struct exec *exec)
{
	if (session_rename(exec, exec->argv[2]))
		reply_ok(exec->reply);
	return OK;
}

static enum err run_client_getname(struct exec *exec)
{
	if (exec->session->name.len > 0)
		reply_bulk(exec->reply, exec->session->name);
	else
		reply_null(exec->reply);
	return OK;
}

static enum err run_client_setinfo(struct exec *exec)
{
	bool is_name = exec_is(exec, 2, S("LIB-NAME"));
	if (!is_name && !exec_is(exec, 2, S("LIB-VER"))) {
		reply_error_fmt(exec->reply, "ERR Unrecognized option '%.*s'", (int)exec->argv[2].len,
		                exec->argv[2].ptr);
		return OK;
	}
	if (!is_showable(exec->argv[3])) {
		reply_error_fmt(exec->reply, "ERR %s cannot contain spaces, newlines or special characters.",
		                is_name ? "lib-name" : "lib-ver");
		return OK;
	}
	text_replace(is_name ? &exec->session->lib_name : &exec->session->lib_version, exec->argv[3]);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_client_id(struct exec *exec)
{
	reply_integer(exec->reply, (int64_t)exec->session->id);
	return OK;
}

/* ---- ways ------------------------------------------------------------------------- */

static enum err run_client_reply(struct exec *exec)
{
	struct session *session = exec->session;
	if (exec_is(exec, 2, S("ON"))) {
		session->flags &= ~(uint32_t)(SESSION_REPLY_SKIP | SESSION_REPLY_OFF);
		reply_ok(exec->reply);
	} else if (exec_is(exec, 2, S("OFF"))) {
		session->flags |= SESSION_REPLY_OFF; /* not answered itself */
	} else if (exec_is(exec, 2, S("SKIP"))) {
		if (!(session->flags & SESSION_REPLY_OFF))
			session->flags |= SESSION_REPLY_SKIP_NEXT;
	} else {
		return ERR_SYNTAX;
	}
	return OK;
}

static enum err switch_flag(struct exec *exec, uint32_t flag)
{
	bool on = exec_is(exec, 2, S("ON"));
	if (!on && !exec_is(exec, 2, S("OFF")))
		return ERR_SYNTAX;
	exec->session->flags = on ? exec->session->flags | flag : exec->session->flags & ~flag;
	reply_ok(exec->reply);
	return OK;
}

static enum err run_client_no_evict(struct exec *exec) { return switch_flag(exec, SESSION_NO_EVICT); }
static enum err run_client_no_touch(struct exec *exec) { return switch_flag(exec, SESSION_NO_TOUCH); }

/* ---- durability ------------------------------------------------------------------- */

static const char *const durability_words[] = {"server", "always", "everysec", "no"};

/* Orbit's own: Redis knows one durability for all. */
static enum err run_client_durability(struct exec *exec)
{
	if (exec->argc == 2) {
		reply_bulk(exec->reply, slice_from_str(durability_words[exec->session->durability]));
		return OK;
	}
	for (uint8_t i = 0; i < array_len(durability_words); i++) {
		if (!exec_is(exec, 2, slice_from_str(durability_words[i])))
			continue;
		exec->session->durability = i;
		reply_ok(exec->reply);
		return OK;
	}
	return ERR_SYNTAX;
}

/* ---- kinds of clients ------------------------------------------------------------- */

enum client_type { CLIENT_NORMAL, CLIENT_PUBSUB, CLIENT_REPLICA, CLIENT_MASTER, CLIENT_ANY };

static bool client_type_parse(struct exec *exec, struct slice word, enum client_type *out)
{
	static const struct {
		const char *word;
		enum client_type type;
	} words[] = {
	        {"normal", CLIENT_NORMAL}, {"pubsub", CLIENT_PUBSUB}, {"replica", CLIENT_REPLICA},
	        {"slave", CLIENT_REPLICA}, {"master", CLIENT_MASTER},
	};
	for (size_t i = 0; i < array_len(words); i++) {
		if (slice_equal_nocase(word, slice_from_str(words[i].word))) {
			*out = words[i].type;
			return true;
		}
	}
	reply_error_fmt(exec->reply, "ERR Unknown client type '%.*s'", (int)word.len, word.ptr);
	return false;
}

static bool is_of_type(const struct session *session, enum client_type type)
{
	bool subscribed = session->subscriptions && subscriptions_count(session) > 0;
	return type == CLIENT_ANY || type == (subscribed ? CLIENT_PUBSUB : CLIENT_NORMAL);
}

/* ---- lists ------------------------------------------------------------------------ */

static void append_tracking_flags(struct buf *out, const struct session *session)
{
	if (tracking_is_on(session))
		buf_byte(out, 't');
	if (tracking_is_broken(session))
		buf_byte(out, 'R');
	if (tracking_options(session) & TRACKING_BROADCAST)
		buf_byte(out, 'B');
}

static void append_flags(struct buf *out, const struct session *session)
{
	size_t before = out->len;
	if (link_linked(&session->watching))
		buf_byte(out, 'O');
	if (is_of_type(session, CLIENT_PUBSUB))
		buf_byte(out, 'P');
	if (transaction_is_queueing(session))
		buf_byte(out, 'x');
	if (session->blocked)
		buf_byte(out, 'b');
	append_tracking_flags(out, session);
	static const struct {
		uint32_t flag;
		char letter;
	} letters[] = {{SESSION_UNIX, 'U'}, {SESSION_NO_EVICT, 'e'}, {SESSION_NO_TOUCH, 'T'}};
	for (size_t i = 0; i < array_len(letters); i++)
		if (session->flags & letters[i].flag)
			buf_byte(out, (uint8_t)letters[i].letter);
	if (out->len == before)
		buf_byte(out, 'N');
}

static void append_text(struct buf *out, const char *name, struct slice text)
{
	buf_printf(out, " %s=%.*s", name, (int)text.len, text.ptr);
}

static uint64_t seconds_since(const struct core *core, uint64_t ns)
{
	return core->now_ns > ns ? (core->now_ns - ns) / 1000000000 : 0;
}

/* A session's line, with Redis' fields; those about things that are not here are 0. */
static void append_line(struct buf *out, struct session *session)
{
	struct core *core = session->core;
	char peer[ADDRESS_SIZE] = "", local[ADDRESS_SIZE] = "";
	session->ops->address(session, false, peer, sizeof(peer));
	session->ops->address(session, true, local, sizeof(local));
	buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d", (unsigned long long)session->id, peer, local,
	           session->ops->descriptor(session));
	append_text(out, "name", session->name);
	buf_printf(out, " age=%llu idle=%llu flags=", (unsigned long long)seconds_since(core, session->opened_ns),
	           (unsigned long long)seconds_since(core, session->active_ns));
	append_flags(out, session);
	struct subscription_counts subscribed = subscription_counts(session);
	int multi = transaction_is_queueing(session) ? (int)transaction_queued(session) : -1;
	buf_printf(out, " db=%u sub=%u psub=%u ssub=%u multi=%d", session->db, subscribed.channels, subscribed.patterns,
	           subscribed.shard_channels, multi);
	size_t input = 0, output = 0;
	size_t total = session->ops->memory(session, &input, &output);
	buf_printf(out, " qbuf=%zu qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=%zu tot-mem=%zu",
	           input, output, total);
	const struct command *command = session->last_command;
	buf_printf(out, " events=r cmd=%s user=default redir=%lld resp=%u",
	           command ? command_full_name(core->commands->index, command) : "NULL",
	           tracking_is_on(session) ? (long long)tracking_redirect(session) : -1, session->resp);
	append_text(out, "lib-name", session->lib_name);
	append_text(out, "lib-ver", session->lib_version);
	buf_byte(out, '\n');
}

static enum err run_client_info(struct exec *exec)
{
	cleanup(buf_fini) struct buf line = {0};
	append_line(&line, exec->session);
	reply_verbatim(exec->reply, "txt", buf_slice(&line));
	return OK;
}

struct client_list {
	enum client_type type;
	struct buf lines;
};

static void list_one(void *arg, struct session *session)
{
	struct client_list *list = arg;
	if (is_of_type(session, list->type))
		append_line(&list->lines, session);
}

static void list_there(struct core *there, void *arg) { session_each(there, list_one, arg); }

/* The lines of named clients, in the order of the names. */
struct client_lines {
	uint32_t n;
	int64_t *ids;
	struct buf *lines;
};

static void lines_there(struct core *there, void *arg)
{
	struct client_lines *wanted = arg;
	for (uint32_t i = 0; i < wanted->n; i++) {
		struct session *session = wanted->ids[i] > 0 ? session_find(there, (uint64_t)wanted->ids[i]) : NULL;
		if (session)
			append_line(&wanted->lines[i], session);
	}
}

static bool ids_parse(struct exec *exec, uint32_t from, int64_t *out)
{
	for (uint32_t at = from; at < exec->argc; at++) {
		if (integer_parse(exec->argv[at], &out[at - from]))
			continue;
		reply_error_fmt(exec->reply, "ERR Invalid client ID");
		return false;
	}
	return true;
}

static void list_by_id(struct exec *exec)
{
	struct client_lines wanted = {.n = exec->argc - 3};
	wanted.ids = memory_alloc(wanted.n * sizeof(*wanted.ids));
	if (ids_parse(exec, 3, wanted.ids)) {
		cleanup(buf_fini) struct buf all = {0};
		wanted.lines = memory_zalloc(wanted.n * sizeof(*wanted.lines));
		commands_each_core(exec->core, lines_there, &wanted);
		for (uint32_t i = 0; i < wanted.n; i++) {
			buf_append(&all, buf_slice(&wanted.lines[i]));
			buf_fini(&wanted.lines[i]);
		}
		memory_free(wanted.lines);
		reply_verbatim(exec->reply, "txt", buf_slice(&all));
	}
	memory_free(wanted.ids);
}

static enum err run_client_list(struct exec *exec)
{
	struct client_list list = {.type = CLIENT_ANY};
	if (exec->argc == 4 && exec_is(exec, 2, S("TYPE"))) {
		if (!client_type_parse(exec, exec->argv[3], &list.type))
			return OK;
	} else if (exec->argc > 3 && exec_is(exec, 2, S("ID"))) {
		list_by_id(exec);
		return OK;
	} else if (exec->argc != 2) {
		return ERR_SYNTAX;
	}
	commands_each_core(exec->core, list_there, &list);
	reply_verbatim(exec->reply, "txt", buf_slice(&list.lines));
	buf_fini(&list.lines);
	return OK;
}

/* ---- ends ------------------------------------------------------------------------- */

struct kill_filter {
	struct slice address, local_address; /* ptr NULL: any */
	int64_t id;                          /* 0: any */
	enum client_type type;
	bool skip_me;
	uint64_t me;
	bool kill_me; /* found that it is to go too, after its answer */
	int64_t n_killed;
};

static bool has_address(struct session *session, bool local, struct slice wanted)
{
	if (!wanted.ptr)
		return true;
	char address[ADDRESS_SIZE] = "";
	session->ops->address(session, local, address, sizeof(address));
	return slice_equal(wanted, slice_from_str(address));
}

static void kill_one(void *arg, struct session *session)
{
	struct kill_filter *filter = arg;
	bool is_me = session->id == filter->me;
	if (is_me && filter->skip_me)
		return;
	if ((filter->id && session->id != (uint64_t)filter->id) || !is_of_type(session, filter->type))
		return;
	if (!has_address(session, false, filter->address) || !has_address(session, true, filter->local_address))
		return;
	filter->n_killed++;
	if (is_me)
		filter->kill_me = true;
	else
		session->ops->close(session, true);
}

static void kill_there(struct core *there, void *arg) { session_each(there, kill_one, arg); }

static bool kill_yes_no(struct exec *exec, uint32_t at, bool *out)
{
	*out = exec_is(exec, at, S("YES"));
	return *out || exec_is(exec, at, S("NO"));
}

/* One option of CLIENT KILL and its value; false with the error said. */
static bool kill_option(struct exec *exec, uint32_t at, struct kill_filter *filter)
{
	struct slice value = at + 1 < exec->argc ? exec->argv[at + 1] : (struct slice){0};
	if (!value.ptr) {
		reply_err(exec->reply, ERR_SYNTAX);
		return false;
	}
	if (exec_is(exec, at, S("TYPE")))
		return client_type_parse(exec, value, &filter->type);
	if (exec_is(exec, at, S("ID"))) {
		if (integer_parse(value, &filter->id) && filter->id > 0)
			return true;
		reply_error_fmt(exec->reply, "ERR client-id should be greater than 0");
		return false;
	}
	if (exec_is(exec, at, S("USER"))) {
		if (slice_equal(value, S("default")))
			return true;
		reply_error_fmt(exec->reply, "ERR No such user '%.*s'", (int)value.len, value.ptr);
		return false;
	}
	bool known = true;
	if (exec_is(exec, at, S("ADDR")))
		filter->address = value;
	else if (exec_is(exec, at, S("LADDR")))
		filter->local_address = value;
	else
		known = exec_is(exec, at, S("SKIPME")) && kill_yes_no(exec, at + 1, &filter->skip_me);
	if (!known)
		reply_err(exec->reply, ERR_SYNTAX);
	return known;
}

static enum err run_client_kill(struct exec *exec)
{
	bool by_address = exec->argc == 3;
	struct kill_filter filter = {.type = CLIENT_ANY, .skip_me = !by_address, .me = exec->session->id};
	if (by_address)
		filter.address = exec->argv[2];
	for (uint32_t at = 2; !by_address && at < exec->argc; at += 2)
		if (!kill_option(exec, at, &filter))
			return OK;
	commands_each_core(exec->core, kill_there, &filter);
	if (!by_address)
		reply_integer(exec->reply, filter.n_killed);
	else if (filter.n_killed == 0)
		reply_error_fmt(exec->reply, "ERR No such client");
	else
		reply_ok(exec->reply);
	if (filter.kill_me)
		exec->session->ops->close(exec->session, false);
	return OK;
}

struct unblock {
	int64_t id;
	bool with_error;
	bool found;
};

static void unblock_there(struct core *there, void *arg)
{
	struct unblock *unblock = arg;
	struct session *session = unblock->found ? NULL : session_find(there, (uint64_t)unblock->id);
	if (session)
		unblock->found = session_unblock(session, unblock->with_error);
}

static enum err run_client_unblock(struct exec *exec)
{
	int64_t id;
	if (exec->argc > 4)
		return reply_subcommand_syntax(exec);
	if (exec->argc == 4 && !exec_is(exec, 3, S("TIMEOUT")) && !exec_is(exec, 3, S("ERROR"))) {
		reply_error_fmt(exec->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
		return OK;
	}
	TRY(exec_integer(exec, 2, &id));
	struct unblock unblock = {.id = id, .with_error = exec->argc == 4 && exec_is(exec, 3, S("ERROR"))};
	commands_each_core(exec->core, unblock_there, &unblock);
	reply_integer(exec->reply, unblock.found);
	return OK;
}

/* ---- pauses ----------------------------------------------------------------------- */

struct pause {
	uint64_t until_ns; /* 0: over */
	bool writes_only;
};

/* Of two pauses the longer time and the greater strength count. */
static void pause_there(struct core *there, void *arg)
{
	const struct pause *pause = arg;
	struct commands *commands = there->commands;
	bool runs = commands->clients_paused_until_ns > there->now_ns;
	if (pause->until_ns == 0) {
		commands->clients_paused_until_ns = 0;
		return;
	}
	commands->paused_writes_only = pause->writes_only && (!runs || commands->paused_writes_only);
	if (!runs || commands->clients_paused_until_ns < pause->until_ns)
		commands->clients_paused_until_ns = pause->until_ns;
}

static bool pause_time(struct exec *exec, uint64_t *until_ns)
{
	int64_t ms;
	const char *wrong = NULL;
	if (!integer_parse(exec->argv[2], &ms))
		wrong = "timeout is not an integer or out of range";
	else if (ms < 0)
		wrong = "timeout is negative";
	else if (__builtin_mul_overflow((uint64_t)ms, 1000000u, until_ns) ||
	         __builtin_add_overflow(*until_ns, exec->core->now_ns, until_ns))
		wrong = "timeout is out of range";
	if (wrong)
		reply_error_fmt(exec->reply, "ERR %s", wrong);
	return !wrong;
}

static enum err run_client_pause(struct exec *exec)
{
	struct pause pause = {0};
	if (exec->argc > 4)
		return reply_subcommand_syntax(exec);
	if (exec->argc == 4) {
		pause.writes_only = exec_is(exec, 3, S("WRITE"));
		if (!pause.writes_only && !exec_is(exec, 3, S("ALL"))) {
			reply_error_fmt(exec->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
			return OK;
		}
	}
	if (!pause_time(exec, &pause.until_ns))
		return OK;
	fiber_call_all(exec->core, pause_there, &pause);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_client_unpause(struct exec *exec)
{
	struct pause over = {0};
	fiber_call_all(exec->core, pause_there, &over);
	reply_ok(exec->reply);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument client_caching_mode_args[] = {
        {"yes", "YES", NULL, ARG_PURE_TOKEN},
        {"no", "NO", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument client_caching_args[] = {
        {"mode", NULL, NULL, ARG_ONEOF, 0, client_caching_mode_args},
        {0},
};

static const struct command_argument client_kill_filter_new_format_normal_master_slave_pubsub_args[] = {
        {"normal", "NORMAL", NULL, ARG_PURE_TOKEN}, {"master", "MASTER", "3.2.0", ARG_PURE_TOKEN},
        {"slave", "SLAVE", NULL, ARG_PURE_TOKEN},   {"replica", "REPLICA", "5.0.0", ARG_PURE_TOKEN},
        {"pubsub", "PUBSUB", NULL, ARG_PURE_TOKEN}, {0},
};

static const struct command_argument client_kill_filter_new_format_args[] = {
        {"client-id", "ID", "2.8.12", ARG_INTEGER, ARG_OPTIONAL},
        {"normal_master_slave_pubsub", "TYPE", "2.8.12", ARG_ONEOF, ARG_OPTIONAL,
         client_kill_filter_new_format_normal_master_slave_pubsub_args},
        {"username", "USER", NULL, ARG_STRING, ARG_OPTIONAL},
        {"ip:port", "ADDR", NULL, ARG_STRING, ARG_OPTIONAL},
        {"ip:port", "LADDR", "6.2.0", ARG_STRING, ARG_OPTIONAL},
        {"yes/no", "SKIPME", NULL, ARG_STRING, ARG_OPTIONAL},
        {0},
};

static const struct command_argument client_kill_filter_args[] = {
        {"ip:port", .type = ARG_STRING},
        {"new-format", NULL, NULL, ARG_ONEOF, ARG_MULTIPLE, client_kill_filter_new_format_args},
        {0},
};

static const struct command_argument client_kill_args[] = {
        {"filter", NULL, NULL, ARG_ONEOF, 0, client_kill_filter_args},
        {0},
};

static const struct command_argument client_list_normal_master_replica_pubsub_args[] = {
        {"normal", "NORMAL", NULL, ARG_PURE_TOKEN},
        {"master", "MASTER", NULL, ARG_PURE_TOKEN},
        {"replica", "REPLICA", NULL, ARG_PURE_TOKEN},
        {"pubsub", "PUBSUB", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument client_list_id_args[] = {
        {"client-id", NULL, NULL, ARG_INTEGER, ARG_MULTIPLE},
        {0},
};

static const struct command_argument client_list_args[] = {
        {"normal_master_replica_pubsub", "TYPE", "5.0.0", ARG_ONEOF, ARG_OPTIONAL,
         client_list_normal_master_replica_pubsub_args},
        {"id", "ID", "6.2.0", ARG_BLOCK, ARG_OPTIONAL, client_list_id_args},
        {0},
};

static const struct command_argument client_no_evict_enabled_args[] = {
        {"on", "ON", NULL, ARG_PURE_TOKEN},
        {"off", "OFF", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument client_no_evict_args[] = {
        {"enabled", NULL, NULL, ARG_ONEOF, 0, client_no_evict_enabled_args},
        {0},
};

static const struct command_argument client_durability_modes[] = {
        {"server", "SERVER", NULL, ARG_PURE_TOKEN},     {"always", "ALWAYS", NULL, ARG_PURE_TOKEN},
        {"everysec", "EVERYSEC", NULL, ARG_PURE_TOKEN}, {"no", "NO", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument client_durability_args[] = {
        {"mode", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, client_durability_modes},
        {0},
};

static const struct command_argument client_pause_mode_args[] = {
        {"write", "WRITE", NULL, ARG_PURE_TOKEN},
        {"all", "ALL", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument client_pause_args[] = {
        {"timeout", .type = ARG_INTEGER},
        {"mode", NULL, "6.2.0", ARG_ONEOF, ARG_OPTIONAL, client_pause_mode_args},
        {0},
};

static const struct command_argument client_reply_on_off_skip_args[] = {
        {"on", "ON", NULL, ARG_PURE_TOKEN},
        {"off", "OFF", NULL, ARG_PURE_TOKEN},
        {"skip", "SKIP", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument client_reply_args[] = {
        {"on_off_skip", NULL, NULL, ARG_ONEOF, 0, client_reply_on_off_skip_args},
        {0},
};

static const struct command_argument client_setinfo_attr_args[] = {
        {"libname", "LIB-NAME", NULL, ARG_STRING},
        {"libver", "LIB-VER", NULL, ARG_STRING},
        {0},
};

static const struct command_argument client_setinfo_args[] = {
        {"attr", NULL, NULL, ARG_ONEOF, 0, client_setinfo_attr_args},
        {0},
};

static const struct command_argument client_setname_args[] = {
        {"connection-name", .type = ARG_STRING},
        {0},
};

static const struct command_argument client_tracking_args[] = {
        {"status", NULL, NULL, ARG_ONEOF, 0, client_no_evict_enabled_args},
        {"client-id", "REDIRECT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {"prefix", "PREFIX", NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE | ARG_MULTIPLE_TOKEN},
        {"bcast", "BCAST", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"optin", "OPTIN", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"optout", "OPTOUT", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"noloop", "NOLOOP", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
        {0},
};

static const struct command_argument client_unblock_timeout_error_args[] = {
        {"timeout", "TIMEOUT", NULL, ARG_PURE_TOKEN},
        {"error", "ERROR", NULL, ARG_PURE_TOKEN},
        {0},
};

static const struct command_argument client_unblock_args[] = {
        {"client-id", .type = ARG_INTEGER},
        {"timeout_error", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL, client_unblock_timeout_error_args},
        {0},
};

static const struct command_history client_kill_history[] = {
        {"2.8.12", "Added new filter format."},
        {"2.8.12", "`ID` option."},
        {"3.2.0", "Added `master` type in for `TYPE` option."},
        {"5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."},
        {"6.2.0", "`LADDR` option."},
        {0},
};

static const struct command_history client_list_history[] = {
        {"2.8.12", "Added unique client `id` field."},
        {"5.0.0", "Added optional `TYPE` filter."},
        {"6.0.0", "Added `user` field."},
        {"6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."},
        {"7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."},
        {"7.0.3", "Added `ssub` field."},
        {0},
};

static const struct command_history client_pause_history[] = {
        {"6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option."},
        {0},
};

/* clang-format off */
const struct command client_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"CACHING", 3, {0}, ROW_CLIENT, "6.0.0", "O(1)",
	 "Says whether the keys of the next command are tracked.", run_client_caching, client_caching_args},
	{"GETNAME", 2, {0}, ROW_CLIENT, "2.6.9", "O(1)", "The name of the connection.", run_client_getname},
	{"GETREDIR", 2, {0}, ROW_CLIENT, "6.0.0", "O(1)",
	 "The id of the client that tracking messages of this one go to.", run_client_getredir},
	{"HELP", 2, {0}, ROW_ALWAYS, "5.0.0", "O(1)", "Explains the subcommands.", run_client_help},
	{"ID", 2, {0}, ROW_CLIENT, "5.0.0", "O(1)",
	 "The number of the connection, which no other connection ever has.", run_client_id},
	{"INFO", 2, {0}, ROW_CLIENT, "6.2.0", "O(1)", "What CLIENT LIST says of this connection.",
	 run_client_info, .tips = "nondeterministic_output"},
	{"KILL", -3, {0}, ROW_ADMIN | COMMAND_FIBER, "2.4.0",
	 "O(N) where N is the number of client connections", "Closes connections.", run_client_kill,
	 client_kill_args, .history = client_kill_history},
	{"LIST", -2, {0}, ROW_ADMIN | COMMAND_FIBER, "2.4.0",
	 "O(N) where N is the number of client connections", "A line about each connection.", run_client_list,
	 client_list_args, .history = client_list_history, .tips = "nondeterministic_output"},
	{"DURABILITY", -2, {0}, ROW_CLIENT, "7.2.0", "O(1)", "What answers of the connection wait for.",
	 run_client_durability, client_durability_args},
	{"NO-EVICT", 3, {0}, ROW_ADMIN, "7.0.0", "O(1)",
	 "Says whether the connection may be closed to save memory.", run_client_no_evict,
	 client_no_evict_args},
	{"NO-TOUCH", 3, {0}, ROW_CLIENT, "7.2.0", "O(1)",
	 "Says whether commands of the connection count as uses of their keys.", run_client_no_touch,
	 client_no_evict_args},
	{"PAUSE", -3, {0}, ROW_ADMIN | COMMAND_FIBER, "2.9.50", "O(1)",
	 "Lets the commands of all clients wait for a time.", run_client_pause, client_pause_args,
	 .history = client_pause_history},
	{"REPLY", 3, {0}, ROW_CLIENT, "3.2.0", "O(1)", "Says whether commands of the connection are answered.",
	 run_client_reply, client_reply_args},
	{"SETINFO", 4, {0}, ROW_CLIENT, "7.2.0", "O(1)", "Tells the name or version of the client library.",
	 run_client_setinfo, client_setinfo_args},
	{"SETNAME", 3, {0}, ROW_CLIENT, "2.6.9", "O(1)", "Names the connection.", run_client_setname,
	 client_setname_args},
	{"TRACKING", -3, {0}, ROW_CLIENT | COMMAND_FIBER, "6.0.0", "O(1). Some options may introduce additional complexity.",
	 "Turns messages about changed keys on or off.", run_client_tracking, client_tracking_args},
	{"TRACKINGINFO", 2, {0}, ROW_CLIENT, "6.2.0", "O(1)", "What CLIENT TRACKING was told.",
	 run_client_trackinginfo},
	{"UNBLOCK", -3, {0}, ROW_ADMIN | COMMAND_FIBER, "5.0.0", "O(log N) where N is the number of client connections",
	 "Ends the wait of another client in a blocking command.", run_client_unblock, client_unblock_args},
	{"UNPAUSE", 2, {0}, ROW_ADMIN | COMMAND_FIBER, "6.2.0", "O(N) Where N is the number of paused clients",
	 "Ends CLIENT PAUSE.", run_client_unpause},
	{0},
};
/* clang-format on */
