/* whole_server.h -- several cores with their command state, and clients that run commands.
 *
 * What      Cores on fake ios (tests/unit/engine/core/machine.h), stepped in random order
 *           until all rest. A command runs in a fiber of its client's core, as a round
 *           would run it, and answers text as in recorder.h.
 * Owner     One server for each test. To be included by one file of a program.
 */
#pragma once

#include "engine/config/settings.h"
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "kernels/cpu.h"
#include "query/commands/commands.h"
#include "query/session/round.h"
#include "query/session/round_private.h"
#include "query/session/session.h"
#include "tests/support/recorder.h"
#include "tests/unit/engine/core/machine.h"

#include <stdio.h>

enum { CLIENTS_MAX = 8 };

struct client {
	struct session session; /* first */
	struct buf pushed, answer;
	char line[512];
	bool closed, answered;
};

static struct whole_server {
	struct test_machine m;
	struct command_index *index;
	struct settings *settings;
	struct client clients[CLIENTS_MAX];
	uint32_t n_clients;
} server;

/* ---- clients -------------------------------------------------------------------------- */

static struct client *client_of(const struct session *session) { return (struct client *)session; }

static const struct reply_ops *client_reply_ops(const struct session *session) { return &recorder_ops; }

static void client_push(struct session *session, struct reply *out)
{
	*out = (struct reply){.ops = &recorder_ops, .out = &client_of(session)->pushed};
}

static void client_pushed(struct session *session) {}
static void client_close(struct session *session, bool at_once) { client_of(session)->closed = true; }
static void client_trust(struct session *session) {}
static size_t client_memory(const struct session *session, size_t *input, size_t *output) { return sizeof(*session); }
static int client_descriptor(const struct session *session) { return 10 + (int)session->id; }

static void client_address(struct session *session, bool local, char *out, size_t size)
{
	snprintf(out, size, local ? "127.0.0.1:6379" : "127.0.0.1:%u", 50000 + (unsigned)session->id);
}

static const struct session_ops client_ops = {
        .reply_ops = client_reply_ops,
        .push = client_push,
        .pushed = client_pushed,
        .push_behind = client_push,
        .close = client_close,
        .address = client_address,
        .trust = client_trust,
        .memory = client_memory,
        .descriptor = client_descriptor,
};

static struct client *client_new(uint16_t core)
{
	assert(server.n_clients < CLIENTS_MAX);
	struct client *client = &server.clients[server.n_clients++];
	client->session = (struct session){.core = server.m.core[core], .ops = &client_ops, .id = server.n_clients};
	core_set_current(client->session.core);
	session_open(&client->session);
	return client;
}

/* ---- the server ----------------------------------------------------------------------- */

static void server_start(uint16_t n_cores)
{
	kernels_init(cpu_features());
	test_machine_init(&server.m, n_cores, 7);
	server.index = command_index_new();
	server.settings = settings_new();
	for (uint16_t id = 0; id < n_cores; id++) {
		struct core *core = server.m.core[id];
		core_set_current(core);
		core->settings = server.settings;
		core->metrics = metrics_new();
		core->shard = shard_new(core, 42);
		core->commands = commands_new(core, server.index);
		core->commands->rounds = rounds_new(core);
		commands_follow_settings(core);
	}
}

static void server_stop(void)
{
	for (uint32_t i = 0; i < server.n_clients; i++) {
		struct client *client = &server.clients[i];
		core_set_current(client->session.core);
		session_close(&client->session);
		buf_fini(&client->pushed);
		buf_fini(&client->answer);
	}
	test_run_until_asleep(&server.m);
	for (uint16_t id = 0; id < server.m.machine->n_cores; id++) {
		struct core *core = server.m.core[id];
		core_set_current(core);
		rounds_free(core->commands->rounds);
		commands_free(core->commands);
		shard_free(core->shard);
		memory_free(core->metrics);
	}
	test_machine_fini(&server.m);
	command_index_free(server.index);
	settings_free(server.settings);
}

/* Words divided by spaces; 'a b' keeps spaces. */
static uint32_t split(char *line, struct slice *argv, uint32_t room)
{
	uint32_t n = 0;
	while (*line) {
		line += strspn(line, " ");
		if (!*line)
			break;
		assert(n < room);
		char end = *line == '\'' ? *line++ : ' ';
		size_t len = strcspn(line, end == ' ' ? " " : "'");
		argv[n++] = slice_of(line, len);
		line += len + (line[len] != 0);
	}
	return n;
}

static void run_in_fiber(void *arg)
{
	struct client *client = arg;
	struct session *session = &client->session;
	struct slice argv[64];
	uint32_t argc = split(client->line, argv, array_len(argv));
	struct reply reply = {.ops = &recorder_ops, .out = &client->answer};
	const struct command *command = command_resolve(server.index, argv, argc, &reply);
	struct client_view view = session_view(session);
	session->last_command = command;
	if (command)
		call_execute(session->core, session->core->shard, &view, session, command, argv, argc, &reply,
			     false);
	client->answered = true;
}

/* Begins a command; the cores run it when they are stepped. */
static void client_begin(struct client *client, const char *line)
{
	snprintf(client->line, sizeof(client->line), "%s", line);
	client->answer.len = 0;
	client->answered = false;
	core_set_current(client->session.core);
	fiber_start(client->session.core, run_in_fiber, client);
	server.m.io[client->session.core->id].woken = true; /* as by the input that brought it */
}

static const char *client_end(struct client *client)
{
	test_run_until_asleep(&server.m);
	cr_assert(client->answered, "%s does not end", client->line);
	buf_byte(&client->answer, 0);
	return (const char *)client->answer.ptr;
}

/* The answer; good until the client's next command. */
static const char *client_run(struct client *client, const char *line)
{
	client_begin(client, line);
	return client_end(client);
}

/* What was pushed since this was last asked. */
static inline const char *client_pushes(struct client *client)
{
	static char text[4096];
	snprintf(text, sizeof(text), "%.*s", (int)client->pushed.len, client->pushed.ptr);
	client->pushed.len = 0;
	return text;
}

#define expect(client, line, answer)                                                                  \
	do {                                                                                          \
		const char *answer_ = client_run(client, line);                                       \
		cr_expect_str_eq(answer_, answer, "%s\n   is: %s\n  not: %s", line, answer_, answer); \
	} while (0)
#define expect_pushed(client, text)                                                  \
	do {                                                                         \
		const char *pushed_ = client_pushes(client);                         \
		cr_expect_str_eq(pushed_, text, "is: %s\n  not: %s", pushed_, text); \
	} while (0)

/* The part of the last answer that follows `mark`, up to `end`. */
static inline const char *field(const char *answer, const char *mark, const char *end)
{
	static char text[1024];
	const char *at = strstr(answer, mark);
	if (!at)
		return "(none)";
	at += strlen(mark);
	const char *stop = strstr(at, end);
	snprintf(text, sizeof(text), "%.*s", stop ? (int)(stop - at) : (int)strlen(at), at);
	return text;
}
