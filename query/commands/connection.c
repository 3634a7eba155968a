/* connection.c -- the connection group: who the client is and how it wants to talk. */
#include "engine/base/number.h"
#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "query/commands/rows_private.h"
#include "query/commands/tracking.h"
#include "query/commands/version.h"
#include "query/session/session.h"

void text_replace(struct slice *kept, struct slice text)
{
	uint8_t *copy = NULL;
	if (text.len > 0)
		copy = memcpy(memory_alloc(text.len), text.ptr, text.len);
	memory_free((void *)kept->ptr);
	*kept = slice_of(copy, text.len);
}

enum err reply_help(struct exec *exec, const char *name, const char *const *lines)
{
	struct reply *reply = exec->reply;
	size_t n = 0;
	while (lines[n])
		n++;
	cleanup(buf_fini) struct buf heading = {0};
	buf_printf(&heading, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
	reply_array(reply, n + 3);
	reply_simple(reply, buf_slice(&heading));
	for (size_t i = 0; i < n; i++)
		reply_simple(reply, slice_from_str(lines[i]));
	reply_simple(reply, S("HELP"));
	reply_simple(reply, S("    Prints this help."));
	return OK;
}

enum err reply_subcommand_syntax(struct exec *exec)
{
	char parent[32];
	size_t len = exec->argv[0].len < sizeof(parent) ? exec->argv[0].len : sizeof(parent) - 1;
	for (size_t i = 0; i < len; i++)
		parent[i] = (char)(ascii_lower(exec->argv[0].ptr[i]) - 'a' + 'A');
	reply_error_fmt(exec->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %.*s HELP.",
	                (int)exec->argv[1].len, exec->argv[1].ptr, (int)len, parent);
	return OK;
}

/* ---- who -------------------------------------------------------------------------- */

/* Takes as long for any wrong password of one length. */
static bool secret_equal(struct slice given, const char *secret)
{
	size_t len = strlen(secret);
	volatile uint8_t different = given.len != len;
	for (size_t i = 0; i < given.len; i++)
		different |= given.ptr[i] ^ (uint8_t)secret[len ? i % len : 0];
	return !different;
}

bool session_log_in(struct exec *exec, struct slice user, struct slice password)
{
	const char *secret = exec->core->settings->requirepass;
	if (!slice_equal(user, S("default")) || (*secret && !secret_equal(password, secret))) {
		reply_err(exec->reply, ERR_WRONG_PASS);
		return false;
	}
	exec->session->authenticated = true;
	exec->session->ops->trust(exec->session);
	return true;
}

static enum err run_auth(struct exec *exec)
{
	if (exec->argc > 3)
		return ERR_SYNTAX;
	if (exec->argc == 2 && !*exec->core->settings->requirepass) {
		reply_error_fmt(exec->reply, "ERR AUTH <password> called without any password configured for the "
		                             "default user. Are you sure your configuration is correct?");
		return OK;
	}
	struct slice user = exec->argc == 2 ? S("default") : exec->argv[1];
	if (session_log_in(exec, user, exec->argv[exec->argc - 1]))
		reply_ok(exec->reply);
	return OK;
}

/* ---- how -------------------------------------------------------------------------- */

static bool hello_version(struct exec *exec, int64_t *out)
{
	if (!integer_parse(exec->argv[1], out)) {
		reply_error_fmt(exec->reply, "ERR Protocol version is not an integer or out of range");
		return false;
	}
	if (*out < 2 || *out > 3) {
		reply_err(exec->reply, ERR_NO_PROTO);
		return false;
	}
	return true;
}

/* AUTH and SETNAME, in the order given: each acts at once, as Redis has it. */
static bool hello_options(struct exec *exec)
{
	for (uint32_t at = 2; at < exec->argc; at++) {
		uint32_t more = exec->argc - 1 - at;
		if (exec_is(exec, at, S("AUTH")) && more >= 2) {
			if (!session_log_in(exec, exec->argv[at + 1], exec->argv[at + 2]))
				return false;
			at += 2;
		} else if (exec_is(exec, at, S("SETNAME")) && more >= 1) {
			if (!session_rename(exec, exec->argv[at + 1]))
				return false;
			at++;
		} else {
			reply_error_fmt(exec->reply, "ERR Syntax error in HELLO option '%.*s'", (int)exec->argv[at].len,
			                exec->argv[at].ptr);
			return false;
		}
	}
	return true;
}

static void say_hello(struct exec *exec)
{
	struct reply *reply = exec->reply;
	reply_map(reply, 7);
	reply_str(reply, "server");
	reply_str(reply, versions.compatible_name);
	reply_str(reply, "version");
	reply_str(reply, versions.compatible);
	reply_str(reply, "proto");
	reply_integer(reply, exec->session->resp);
	reply_str(reply, "id");
	reply_integer(reply, (int64_t)exec->session->id);
	reply_str(reply, "mode");
	reply_str(reply, "standalone");
	reply_str(reply, "role");
	reply_str(reply, "master");
	reply_str(reply, "modules");
	reply_array(reply, 0);
}

static enum err run_hello(struct exec *exec)
{
	int64_t version = 0;
	if (exec->argc >= 2 && (!hello_version(exec, &version) || !hello_options(exec)))
		return OK;
	if (!exec->session->authenticated) {
		reply_error_fmt(exec->reply,
		                "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
		                "HELLO AUTH <user> <pass> option can be used to authenticate the client and "
		                "select the RESP protocol version at the same time");
		return OK;
	}
	if (version)
		exec->session->resp = (uint8_t)version;
	exec->reply->ops = exec->session->ops->reply_ops(exec->session);
	say_hello(exec);
	return OK;
}

static enum err run_select(struct exec *exec)
{
	int64_t db;
	TRY(exec_integer(exec, 1, &db));
	if (db < INT32_MIN || db > INT32_MAX) {
		reply_error_fmt(exec->reply, "ERR value is out of range, value must between %d and %d", INT32_MIN,
		                INT32_MAX);
		return OK;
	}
	if (db < 0 || db >= exec->core->settings->databases)
		return ERR_DB_INDEX;
	exec->session->db = (uint16_t)db;
	reply_ok(exec->reply);
	return OK;
}

static enum err run_reset(struct exec *exec)
{
	session_reset(exec->session);
	exec->reply->ops = exec->session->ops->reply_ops(exec->session);
	reply_simple(exec->reply, S("RESET"));
	return OK;
}

/* ---- small talk ------------------------------------------------------------------- */

static enum err run_echo(struct exec *exec)
{
	reply_bulk(exec->reply, exec->argv[1]);
	return OK;
}

/* In RESP2 a subscriber must be able to tell the answer from a message. */
static enum err run_ping(struct exec *exec)
{
	if (exec->argc > 2) {
		reply_error_fmt(exec->reply, "ERR wrong number of arguments for 'ping' command");
		return OK;
	}
	bool given = exec->argc == 2;
	if (session_is_subscribed(exec->session)) {
		reply_array(exec->reply, 2);
		reply_bulk(exec->reply, S("pong"));
		reply_bulk(exec->reply, given ? exec->argv[1] : S(""));
	} else if (given) {
		reply_bulk(exec->reply, exec->argv[1]);
	} else {
		reply_simple(exec->reply, S("PONG"));
	}
	return OK;
}

static enum err run_quit(struct exec *exec)
{
	reply_ok(exec->reply);
	subscriptions_drop(exec->session); /* now: the connection may linger */
	tracking_end(exec->session);
	exec->session->ops->close(exec->session, false);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument auth_args[] = {
        {"username", NULL, "6.0.0", ARG_STRING, ARG_OPTIONAL},
        {"password", .type = ARG_STRING},
        {0},
};

static const struct command_argument echo_args[] = {
        {"message", .type = ARG_STRING},
        {0},
};

static const struct command_argument hello_arguments_username_password_args[] = {
        {"username", .type = ARG_STRING},
        {"password", .type = ARG_STRING},
        {0},
};

static const struct command_argument hello_arguments_args[] = {
        {"protover", .type = ARG_INTEGER},
        {"username_password", "AUTH", NULL, ARG_BLOCK, ARG_OPTIONAL, hello_arguments_username_password_args},
        {"clientname", "SETNAME", NULL, ARG_STRING, ARG_OPTIONAL},
        {0},
};

static const struct command_argument hello_args[] = {
        {"arguments", NULL, NULL, ARG_BLOCK, ARG_OPTIONAL, hello_arguments_args},
        {0},
};

static const struct command_argument ping_args[] = {
        {"message", NULL, NULL, ARG_STRING, ARG_OPTIONAL},
        {0},
};

static const struct command_argument select_args[] = {
        {"index", .type = ARG_INTEGER},
        {0},
};

static const struct command_history auth_history[] = {
        {"6.0.0", "Added ACL style (username and password)."},
        {0},
};

static const struct command_history hello_history[] = {
        {"6.2.0", "`protover` made optional; when called without arguments the command reports the current "
                  "connection's context."},
        {0},
};

/* clang-format off */
const struct command connection_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"AUTH", -2, {0}, ROW_CLIENT | COMMAND_FAST | COMMAND_NO_AUTH, "1.0.0",
	 "O(N) where N is the number of passwords defined for the user",
	 "Proves who the client is with a password, or with a name and a password.", run_auth, auth_args,
	 .history = auth_history},
	{"CLIENT", -2, {0}, 0, "2.4.0", "Depends on subcommand.", "Commands about client connections.", NULL,
	 .subcommands = client_rows},
	{"ECHO", 2, {0}, ROW_ALWAYS | COMMAND_FAST, "1.0.0", "O(1)", "Answers what it was given.", run_echo,
	 echo_args},
	{"HELLO", -1, {0}, ROW_CLIENT | COMMAND_FAST | COMMAND_NO_AUTH, "6.0.0", "O(1)",
	 "Chooses the protocol version, and may authenticate and name the connection at once.", run_hello,
	 hello_args, .history = hello_history},
	{"PING", -1, {0}, COMMAND_FAST | COMMAND_SUBSCRIBED, "1.0.0", "O(1)",
	 "Answers PONG, or what it was given.", run_ping, ping_args,
	 .tips = "request_policy:all_shards response_policy:all_succeeded"},
	{"QUIT", -1, {0}, ROW_CLIENT | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_SUBSCRIBED | COMMAND_IN_MULTI,
	 "1.0.0", "O(1)", "Closes the connection after the answer.", run_quit},
	{"RESET", 1, {0}, ROW_CLIENT | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_SUBSCRIBED | COMMAND_IN_MULTI,
	 "6.2.0", "O(1)", "Makes the connection as it was when it was new.", run_reset},
	{"SELECT", 2, {0}, ROW_ALWAYS | COMMAND_FAST, "1.0.0", "O(1)",
	 "Chooses the database that the connection works on.", run_select, select_args},
	{0},
};
/* clang-format on */
