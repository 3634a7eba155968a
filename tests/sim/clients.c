#include "tests/sim/clients.h"

#include "engine/memory/memory.h"
#include "tests/sim/caches.h"
#include "tests/sim/clients_private.h"
#include "tests/sim/keeper.h"
#include "tests/sim/replies.h"
#include "tests/sim/world.h"

#include <stdarg.h>

enum { ALL_CLIENTS_MAX = CLIENTS_MAX + SUBSCRIBERS_MAX + 6, FAILURE_MAX = 400, TRICKLE = 8 };

static const uint64_t REST_NS = 100 * 1000 * 1000; /* until all who are to be told were told */

/* Changes that nobody will ever be told of, or not surely, can have happened at any time or not at all: each
 * doubles the work of whoever looks for the order of things. */
enum { UNTOLD_MAX = 6, DOUBTS_MAX = 3 };

/* A session whose client left before all was answered. */
struct ghost {
	uint16_t client, session;
	int fd;
};

struct clients {
	const struct config *config;
	struct client all[ALL_CLIENTS_MAX];
	uint16_t n;
	struct buf ghosts; /* of struct ghost */
	uint64_t active_ns;
	bool ends; /* the server does */
	char failure[FAILURE_MAX];
};

/* ---- failures ----------------------------------------------------------------------------- */

static void fail(struct client *c, const char *format, ...) printf_like(2, 3);
static void fail(struct client *c, const char *format, ...)
{
	struct clients *clients = c->clients;
	if (clients->failure[0])
		return;
	size_t n = (size_t)snprintf(clients->failure, FAILURE_MAX, "client %u.%u: ", c->id, c->session);
	va_list args;
	va_start(args, format);
	vsnprintf(clients->failure + n, FAILURE_MAX - n, format, args);
	va_end(args);
}

static int shown(struct slice bytes) { return (int)(bytes.len < 80 ? bytes.len : 80); }

/* ---- connections -------------------------------------------------------------------------- */

static struct awaited *awaited_at(const struct client *c, uint32_t i)
{
	return (struct awaited *)c->awaited.ptr + c->awaited_at + i;
}

static uint32_t awaited_count(const struct client *c)
{
	return (uint32_t)(c->awaited.len / sizeof(struct awaited)) - c->awaited_at;
}

static void memberships_leave(struct client *c, bool broke)
{
	struct membership *all = (struct membership *)c->history->memberships.ptr;
	for (size_t i = 0; i < c->history->memberships.len / sizeof(*all); i++) {
		if (all[i].client != c->id || all[i].session != c->session)
			continue;
		if (all[i].left == NEVER)
			all[i].left = history_moment(c->history);
		all[i].broke |= broke;
	}
	c->listens = 0;
}

static void come(struct client *c)
{
	c->wire = sim_connect(c->sim, WORLD_PORT);
	if (!c->wire && !c->clients->ends)
		fail(c, "nobody listens");
	if (!c->wire) {
		c->left = 0;
		return;
	}
	c->resp = 2;
	c->db = 0;
	c->finishing = false;
	if (c->role != KEEPER && c->role != CACHER && sim_chance(c->sim, 300))
		ask_hello(c);
	if (c->role == WORKER && c->config->waits)
		ask_id(c);
}

/* Forgets the connection. */
static void forget(struct client *c)
{
	sim_client_free(take(c->wire));
	buf_fini(&c->input);
	c->output.len = c->output_at = 0;
	c->marks.len = c->marks_at = 0;
	c->awaited.len = c->awaited_at = 0;
	c->watched = 0;
	c->server_id = 0;
	c->leaves = LEAVE_NOT;
	c->session++;
	c->act_ns = sim_now_ns(c->sim) + sim_below(c->sim, (uint64_t)c->config->think_ns + 1);
}

static void become_ghost(struct client *c)
{
	struct ghost ghost = {.client = c->id, .session = c->session, .fd = sim_client_fd(c->wire)};
	buf_append(&c->clients->ghosts, slice_of(&ghost, sizeof(ghost)));
}

static void leave_now(struct client *c)
{
	bool by_reset = c->leaves == LEAVE_BY_RESET;
	memberships_leave(c, by_reset);
	c->leaves = LEAVE_NOT;
	if (by_reset) {
		become_ghost(c);
		sim_client_reset(c->wire);
		forget(c);
		return;
	}
	sim_client_finish(c->wire);
	c->finishing = true;
}

/* ---- sending ------------------------------------------------------------------------------ */

/* Requests whose first byte is sent now are asked now. */
static void date_requests(struct client *c, size_t until)
{
	const struct mark *mark = (const struct mark *)c->marks.ptr;
	size_t n = c->marks.len / sizeof(*mark);
	for (; c->marks_at < n && mark[c->marks_at].at < until; c->marks_at++) {
		const struct mark *m = &mark[c->marks_at];
		uint64_t moment = history_moment(c->history);
		if (m->what == AWAIT_OPERATION)
			history_at(c->history, m->number)->invoked = moment;
		else if (m->what == AWAIT_PUBLISHED)
			((struct publication *)c->history->publications.ptr)[m->number].invoked = moment;
		else if (m->what == AWAIT_SUBSCRIBED)
			((struct membership *)c->history->memberships.ptr)[m->number].asked = moment;
		else if (m->what == AWAIT_UNSUBSCRIBED)
			((struct membership *)c->history->memberships.ptr)[m->number].left = moment;
	}
}

static void send_some(struct client *c)
{
	size_t left = c->output.len - c->output_at, n = left;
	if (sim_chance(c->sim, c->config->fragments))
		n = 1 + sim_below(c->sim, left);
	date_requests(c, c->output_at + n);
	sim_client_send(c->wire, slice_of(c->output.ptr + c->output_at, n));
	c->output_at += n;
	c->act_ns = sim_now_ns(c->sim) + sim_below(c->sim, (uint64_t)c->config->think_ns + 1);
	if (c->output_at < c->output.len)
		return;
	c->output.len = c->output_at = 0;
	c->marks.len = c->marks_at = 0;
	if (c->leaves != LEAVE_NOT)
		leave_now(c);
}

/* The rest is never sent: what lies there stays undated, and is no part of the history. */
static void cut_output(struct client *c) { c->output.len = sim_below(c->sim, c->output.len) + 1; }

/* Is an answer to come that may take its time? */
static bool waits(const struct client *c)
{
	for (uint32_t i = 0; i < awaited_count(c); i++) {
		const struct awaited *awaited = awaited_at(c, i);
		if (awaited->what != AWAIT_OPERATION)
			continue;
		enum verb verb = history_at(c->history, awaited->number)->steps[0].verb;
		if (verb_waits(verb))
			return true;
	}
	return false;
}

static void generate(struct client *c)
{
	uint64_t n = 1 + sim_below(c->sim, c->config->pipeline);
	if (c->role < KEEPER && sim_chance(c->sim, c->config->disconnects))
		c->leaves = c->role != FILLER && sim_chance(c->sim, 500) ? LEAVE_BY_RESET : LEAVE_BY_END;
	if (c->leaves == LEAVE_BY_END && waits(c))
		c->leaves = LEAVE_NOT;
	if (c->role == CACHER && !c->looks_back && n > c->left - c->config->n_keys)
		n = c->left - c->config->n_keys;
	for (uint64_t asked = 0; asked < n && c->left > 0; asked++, c->left--)
		ask_something(c, c->leaves == LEAVE_BY_RESET && asked + awaited_count(c) >= UNTOLD_MAX);
	if (c->leaves == LEAVE_BY_RESET && sim_chance(c->sim, 500) && c->role == WORKER)
		cut_output(c);
}

/* ---- replies ------------------------------------------------------------------------------- */

/* A message that was published: its text ends with its number. */
static bool take_message(struct client *c, struct slice reply)
{
	if (reply.len < 2 || !begins_with(slice_sub(reply, 1, reply.len), S("3\r\n$7\r\nmessage\r\n")))
		return false;
	struct delivery delivery = {.client = c->id, .session = c->session, .moment = history_moment(c->history)};
	const uint8_t *text = reply.ptr + reply.len - 2, *channel = memmem(reply.ptr, reply.len, "news", 4);
	int64_t number = 0;
	while (text > reply.ptr && text[-1] != '#')
		text--;
	number = reply_number(slice_of(text, (size_t)(reply.ptr + reply.len - 2 - text)));
	if (!channel || number < 0 || (size_t)number >= c->history->publications.len / sizeof(struct publication)) {
		fail(c, "a message that nobody published: %.*s", shown(reply), reply.ptr);
		return true;
	}
	delivery.channel = (uint8_t)(channel[4] - '0');
	delivery.publication = (uint32_t)number;
	buf_append(&c->history->deliveries, slice_of(&delivery, sizeof(delivery)));
	return true;
}

bool reply_leaves_doubt(struct slice reply) { return begins_with(reply, S("-IOERR")); }

static bool lacks_memory(struct slice reply)
{
	return begins_with(reply, S("-OOM")) ||
	       begins_with(reply, S("-EXECABORT Transaction discarded because of: OOM")) ||
	       begins_with(reply, S("-EXECABORT Transaction discarded because of previous errors"));
}

bool reply_refuses(struct slice reply)
{
	return lacks_memory(reply) || begins_with(reply, S("-MISCONF")) ||
	       begins_with(reply, S("-EXECABORT Transaction discarded because of: MISCONF")) ||
	       begins_with(reply, S("-EXECABORT Transaction discarded because of: IOERR"));
}

/* With little memory one value in loan may be most of it: who reads it holds up the others, for a moment. */
bool may_refuse(struct history *history, const struct config *config, struct slice reply)
{
	if (!reply_refuses(reply))
		return false;
	if (config->memory_bytes > 0 && lacks_memory(reply)) {
		history->unadmitted++;
		return true;
	}
	return config->may_refuse || config->may_stop;
}

static void expect(struct client *c, uint32_t text, struct slice reply)
{
	struct slice expected = text_bytes(c->history->texts, text);
	bool is_queued = slice_equal(expected, S("+QUEUED\r\n"));
	if (is_queued && lacks_memory(reply) && may_refuse(c->history, c->config, reply))
		return; /* EXEC says so too */
	if (!slice_equal(expected, reply))
		fail(c, "the reply is %.*s, but should be %.*s", shown(reply), reply.ptr, shown(expected),
		     expected.ptr);
}

/* Of a transaction; the model takes it as one that changed nothing. No value has such a line. */
static bool has_refused_step(struct slice reply)
{
	return reply.ptr[0] == '*' && memmem(reply.ptr, reply.len, "\r\n-IOERR", sizeof("\r\n-IOERR") - 1);
}

static bool was_unblocked(const struct operation *operation, struct slice reply)
{
	return verb_waits(operation->steps[0].verb) && begins_with(reply, S("-UNBLOCKED"));
}

/* What was refused or unblocked never happened; what is in doubt is known when the server is gone. */
static void take_answer(struct client *c, struct operation *operation, struct slice reply, uint64_t moment)
{
	if (may_refuse(c->history, c->config, reply) || was_unblocked(operation, reply)) {
		operation->invoked = NEVER;
	} else if (c->config->may_stop && reply_leaves_doubt(reply)) {
		operation->in_doubt = true;
		if (++c->doubts == DOUBTS_MAX)
			c->left = 0;
	} else if (!c->config->may_stop && has_refused_step(reply)) {
		fail(c, "a value cannot be read, on a disk that does all it is told: %.*s", shown(reply), reply.ptr);
	} else {
		cleanup(buf_fini) struct buf said = {0};
		reply_in_order(operation, reply, &said);
		operation->responded = moment;
		operation->reply = text_id(c->history->texts, buf_slice(&said));
	}
}

static void take_reply(struct client *c, struct slice reply)
{
	struct history *history = c->history;
	sim_note_bytes(c->sim, reply);
	if (c->clients->ends && begins_with(reply, S("-ERR max number of clients reached")))
		return; /* it came too late */
	if (c->role == SUBSCRIBER && take_message(c, reply))
		return;
	if (c->role == CACHER && cache_drop(c, reply))
		return;
	if (awaited_count(c) == 0) {
		fail(c, "a reply to nothing: %.*s", shown(reply), reply.ptr);
		return;
	}
	struct awaited awaited = *awaited_at(c, 0);
	uint64_t moment = history_moment(history);
	c->awaited_at++;
	switch (awaited.what) {
	case AWAIT_TEXT:
		expect(c, awaited.number, reply);
		break;
	case AWAIT_OPERATION:
		take_answer(c, history_at(history, awaited.number), reply, moment);
		break;
	case AWAIT_KEPT:
		if (!keeper_told(history->keeper, history, c->config, awaited.number, reply))
			fail(c, "the keeper is told %.*s", shown(reply), reply.ptr);
		break;
	case AWAIT_WHATEVER:
		break;
	case AWAIT_PUBLISHED: {
		struct publication *p = (struct publication *)history->publications.ptr + awaited.number;
		p->responded = moment;
		p->receivers = reply_number(slice_sub(reply, 1, reply.len - 2));
		if (reply.ptr[0] != ':')
			fail(c, "PUBLISH is answered %.*s", shown(reply), reply.ptr);
		break;
	}
	case AWAIT_SUBSCRIBED:
		expect(c, awaited.text, reply);
		((struct membership *)history->memberships.ptr)[awaited.number].confirmed = moment;
		break;
	case AWAIT_UNSUBSCRIBED:
		expect(c, awaited.text, reply);
		((struct membership *)history->memberships.ptr)[awaited.number].left_confirmed = moment;
		break;
	case AWAIT_ID:
		c->server_id = reply_number(slice_sub(reply, 1, reply.len - 2));
		break;
	case AWAIT_CACHED:
		if (!cache_take(c, (uint8_t)awaited.number, reply))
			fail(c, "key %u has changed, and nobody told who keeps it: now %.*s", awaited.number,
			     shown(reply), reply.ptr);
		break;
	case AWAIT_ANYTHING:
		if (reply.ptr[0] == '-')
			fail(c, "refused: %.*s", shown(reply), reply.ptr);
		break;
	}
}

static void take_replies(struct client *c)
{
	size_t at = 0;
	for (size_t n; at < c->input.len; at += n) {
		struct slice rest = slice_of(c->input.ptr + at, c->input.len - at);
		n = reply_length(rest);
		if (n == 0)
			break;
		take_reply(c, slice_sub(rest, 0, n));
		c->act_ns = sim_now_ns(c->sim) + sim_below(c->sim, (uint64_t)c->config->think_ns + 1);
	}
	buf_drop(&c->input, at);
	if (c->awaited_at * sizeof(struct awaited) == c->awaited.len)
		c->awaited.len = c->awaited_at = 0;
}

static void read_some(struct client *c)
{
	struct slice arrived = sim_client_input(c->wire);
	bool slow = sim_chance(c->sim, c->config->slow_reader);
	size_t n = slow ? 1 + sim_below(c->sim, TRICKLE + arrived.len / TRICKLE) : arrived.len;
	if (n > arrived.len)
		n = arrived.len;
	if (slow)
		c->read_ns = sim_now_ns(c->sim) + 1 + sim_below(c->sim, 20000);
	buf_append(&c->input, slice_sub(arrived, 0, n));
	sim_client_read(c->wire, n);
	take_replies(c);
	if (!sim_client_ended(c->wire))
		return;
	if (c->clients->ends) {
		memberships_leave(c, true);
		become_ghost(c);
		c->left = 0;
	} else if (!c->finishing || awaited_count(c) > 0 || c->input.len > 0) {
		fail(c, "the server closed the connection with %u replies to come", awaited_count(c));
	}
	forget(c);
}

void clients_hear_out(struct clients *clients)
{
	struct history *history = clients->all[0].history;
	for (uint16_t i = 0; i < clients->n; i++) {
		struct client *c = &clients->all[i];
		if (!c->wire)
			continue;
		for (uint64_t ns; (ns = sim_client_next_ns(c->wire)) != UINT64_MAX;) {
			uint64_t now_ns = sim_now_ns(c->sim);
			sim_pass_ns(c->sim, ns > now_ns ? ns - now_ns : 1);
			struct slice arrived = sim_client_input(c->wire);
			buf_append(&c->input, arrived);
			sim_client_read(c->wire, arrived.len);
		}
		take_replies(c);
	}
	uint64_t moment = history_moment(history);
	for (uint32_t i = 0; i < history_count(history); i++) {
		struct operation *operation = history_at(history, i);
		if (operation->responded == NEVER && operation->dead == NEVER)
			operation->dead = moment;
	}
}

/* ---- those who left -------------------------------------------------------------------------- */

static void bury(struct history *history, const struct ghost *ghost)
{
	uint64_t moment = history_moment(history);
	for (uint32_t i = 0; i < history_count(history); i++) {
		struct operation *operation = history_at(history, i);
		if (operation->client == ghost->client && operation->session == ghost->session &&
		    operation->responded == NEVER)
			operation->dead = moment;
	}
}

void clients_bury(struct clients *clients, bool (*knows)(void *arg, int fd), void *arg)
{
	struct ghost *all = (struct ghost *)clients->ghosts.ptr;
	size_t n = clients->ghosts.len / sizeof(*all), kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (knows(arg, all[i].fd))
			all[kept++] = all[i];
		else
			bury(clients->all[0].history, &all[i]);
	}
	clients->ghosts.len = kept * sizeof(*all);
}

/* ---- turns --------------------------------------------------------------------------------- */

static bool is_done(const struct client *c) { return !c->wire && c->left == 0; }

/* All whose role comes before this one. */
static bool are_done_before(const struct clients *clients, enum role role)
{
	for (uint16_t i = 0; i < clients->n; i++)
		if (clients->all[i].role < role && !is_done(&clients->all[i]))
			return false;
	return true;
}

/* Does a client that may act have anything to do? */
static bool wants_to_act(const struct client *c)
{
	if (!c->wire && c->clients->ends && c->role == JANITOR)
		return false;
	if (!c->wire && c->role == JANITOR) /* what the dead have asked may still be done */
		return c->left > 0 && are_done_before(c->clients, JANITOR) && c->clients->ghosts.len == 0;
	if (!c->wire)
		return c->left > 0;
	if (c->finishing)
		return false;
	if (c->output.len > 0)
		return true;
	if (c->role == CACHER && c->left == c->config->n_keys) /* all that there is to tell was told by then */
		return awaited_count(c) == 0 && are_done_before(c->clients, CACHER) && c->clients->ghosts.len == 0;
	if (c->left > 0)
		return awaited_count(c) <= c->overlap;
	return awaited_count(c) == 0;
}

static void act(struct client *c)
{
	if (!c->wire) {
		come(c);
	} else if (c->output.len > 0) {
		send_some(c);
	} else if (c->role == CACHER && c->left == c->config->n_keys && !c->looks_back) {
		c->looks_back = true;
		c->act_ns = sim_now_ns(c->sim) + REST_NS;
	} else if (c->left > 0) {
		generate(c);
	} else {
		c->leaves = LEAVE_BY_END;
		leave_now(c);
	}
}

static bool may_act(const struct client *c) { return c->act_ns <= sim_now_ns(c->sim) && wants_to_act(c); }

static bool sulks(const struct client *c) { return c->role == SULKER && !are_done_before(c->clients, SULKER); }

static bool has_arrived(struct client *c) { return sim_client_input(c->wire).len > 0 || sim_client_ended(c->wire); }

static bool may_read(struct client *c)
{
	return c->wire && c->read_ns <= sim_now_ns(c->sim) && !sulks(c) && has_arrived(c);
}

bool clients_step(struct clients *clients)
{
	struct client *able[ALL_CLIENTS_MAX];
	uint16_t n = 0;
	for (uint16_t i = 0; i < clients->n; i++)
		if (may_read(&clients->all[i]) || may_act(&clients->all[i]))
			able[n++] = &clients->all[i];
	if (n == 0)
		return false;
	struct client *c = able[sim_below(clients->all->sim, n)];
	sim_note(c->sim, c->id);
	clients->active_ns = sim_now_ns(c->sim);
	if (may_read(c) && (!may_act(c) || sim_chance(c->sim, 500)))
		read_some(c);
	else
		act(c);
	return true;
}

static uint64_t next_ns(struct client *c)
{
	uint64_t now_ns = sim_now_ns(c->sim), next_ns = NEVER, arrives_ns = NEVER;
	if (wants_to_act(c))
		next_ns = c->act_ns;
	if (c->wire && !sulks(c))
		arrives_ns = has_arrived(c) ? now_ns : sim_client_next_ns(c->wire);
	if (arrives_ns != NEVER && arrives_ns < c->read_ns)
		arrives_ns = c->read_ns;
	return arrives_ns < next_ns ? arrives_ns : next_ns;
}

uint64_t clients_next_ns(struct clients *clients)
{
	uint64_t soonest_ns = NEVER;
	for (uint16_t i = 0; i < clients->n; i++) {
		uint64_t ns = next_ns(&clients->all[i]);
		soonest_ns = ns < soonest_ns ? ns : soonest_ns;
	}
	return soonest_ns;
}

void clients_expect_end(struct clients *clients)
{
	clients->ends = true;
	for (uint16_t i = 0; i < clients->n; i++)
		if (clients->all[i].role == JANITOR && !clients->all[i].wire)
			clients->all[i].left = 0;
}

uint64_t clients_idle_since_ns(const struct clients *clients) { return clients->active_ns; }

bool clients_are_done(const struct clients *clients)
{
	for (uint16_t i = 0; i < clients->n; i++)
		if (!is_done(&clients->all[i]))
			return false;
	return true;
}

const char *clients_failure(const struct clients *clients) { return clients->failure[0] ? clients->failure : NULL; }

void clients_print(const struct clients *clients, FILE *to)
{
	static const char *const roles[] = {"worker", "filler", "subscriber", "keeper", "sulker", "cacher", "janitor"};
	for (uint16_t i = 0; i < clients->n; i++) {
		const struct client *c = &clients->all[i];
		fprintf(to, "  %s %u.%u: %s, %u to ask, %zu bytes to send, %u replies to come%s\n", roles[c->role],
		        c->id, c->session, c->wire ? "connected" : "away", c->left, c->output.len - c->output_at,
		        awaited_count(c), c->finishing ? ", finishing" : "");
		for (uint32_t n = 0; n < awaited_count(c) && n < 4; n++) {
			const struct awaited *awaited = awaited_at(c, n);
			if (awaited->what == AWAIT_OPERATION)
				operation_print(c->history, history_at(c->history, awaited->number), to);
			else if (awaited->what == AWAIT_KEPT)
				keeper_print(c->history->keeper, awaited->number, to);
		}
	}
}

/* ---- making and unmaking ---------------------------------------------------------------------- */

int64_t draw_worker(struct client *c) { return c->clients->all[sim_below(c->sim, c->config->n_clients)].server_id; }

static struct client *add(struct clients *clients, enum role role, uint32_t operations)
{
	const struct client *like = &clients->all[0];
	struct client *c = &clients->all[clients->n];
	*c = (struct client){.clients = clients, .config = clients->config, .sim = like->sim, .history = like->history};
	c->id = clients->n++;
	c->role = role;
	c->left = operations;
	if (sim_chance(c->sim, 300))
		c->overlap = clients->config->pipeline;
	c->act_ns = sim_now_ns(c->sim) + sim_below(c->sim, (uint64_t)clients->config->think_ns * 4 + 1);
	return c;
}

struct clients *clients_new(const struct config *config, struct sim *sim, struct history *history)
{
	struct clients *clients = memory_zalloc(sizeof(*clients));
	clients->config = config;
	clients->active_ns = sim_now_ns(sim);
	clients->all[0].sim = sim;
	clients->all[0].history = history;
	for (uint16_t i = 0; i < config->n_clients; i++)
		add(clients, WORKER, config->n_operations);
	for (uint16_t i = 0; i < config->n_subscribers; i++)
		add(clients, SUBSCRIBER, config->n_operations / 4 + 2);
	if (config->has_filler)
		add(clients, FILLER, FILLER_OPERATIONS);
	if (config->has_keeper)
		add(clients, KEEPER, config->n_operations * 2);
	if (config->has_sulker)
		add(clients, SULKER, SULKER_OPERATIONS)->overlap = SULKER_OPERATIONS;
	for (uint16_t i = 0; i < config->n_cachers; i++)
		add(clients, CACHER, config->n_operations + config->n_keys);
	add(clients, JANITOR, config->life ? DATABASES_USED : JANITOR_OPERATIONS);
	return clients;
}

void clients_free(struct clients *clients)
{
	if (!clients)
		return;
	for (uint16_t i = 0; i < clients->n; i++) {
		struct client *c = &clients->all[i];
		sim_client_free(c->wire);
		buf_fini(&c->input);
		buf_fini(&c->output);
		buf_fini(&c->marks);
		buf_fini(&c->awaited);
	}
	buf_fini(&clients->ghosts);
	memory_free(clients);
}
