/* resp.c -- a Redis client: bytes -> commands -> rounds -> answers.
 *
 * The commands of a window form rounds. A round that is done at once lets go of its bytes
 * at once; one that waits for other cores blocks the input, whose bytes its arguments
 * point into, and goes on in done().
 */
#include "protocols/resp/resp.h"

#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/log/log.h"
#include "protocols/resp/parse.h"
#include "protocols/resp/render.h"
#include "query/session/block.h"
#include "query/session/round.h"
#include "query/session/session.h"

enum { ARGUMENTS_ROOM = 16 };
enum { BULK_MAX_UNTRUSTED = 16 * 1024, ARGUMENTS_MAX = 1024 * 1024, ARGUMENTS_MAX_UNTRUSTED = 10 };
enum { INLINE_MAX = 64 * 1024 };

struct resp_connection {
	struct connection connection; /* first: the engine gives us this */
	struct session session;
	struct resp_parser parser;
	struct round *round; /* NULL: no call gathers or runs */
	size_t taken;        /* bytes of the window that belong to the round */
	bool running;        /* the round waits for others */
	bool broken;         /* the parser has given up; parser.error says why */
	bool draining;       /* close when the round is done */
	struct postponed postponed;
	struct buf kept_back; /* messages, until what runs is answered */
};

static struct resp_connection *of_session(const struct session *session)
{
	return container_of(session, struct resp_connection, session);
}

/* ---- what the session asks of its wire ---------------------------------------------- */

static const struct reply_ops *ops_of(const struct session *session)
{
	return session->resp == 3 ? &resp3_ops : &resp2_ops;
}

/* Messages for a client whose transaction runs come after its answer: the transaction may
 * have subscribed, and the client takes what comes first for the answer. */
static void push(struct session *session, struct reply *out)
{
	struct resp_connection *r = of_session(session);
	struct buf *to = session->flags & SESSION_IN_EXEC ? &r->kept_back : connection_out(&r->connection);
	*out = (struct reply){.ops = ops_of(session), .out = to};
}

/* A round that runs may owe answers of reads that were before the change. */
static void push_behind(struct session *session, struct reply *out)
{
	struct resp_connection *r = of_session(session);
	struct buf *to = r->running ? &r->kept_back : connection_out(&r->connection);
	*out = (struct reply){.ops = ops_of(session), .out = to};
}

static void pushed(struct session *session)
{
	struct resp_connection *r = of_session(session);
	struct connection *c = &r->connection;
	connection_written(c);
	if (!c->dead && connection_unsent(c) + r->kept_back.len > c->core->settings->client_output_hard_limit) {
		log_notice("client %lu closed: it reads too slowly for what is published to it", (unsigned long)c->id);
		connection_abort(c);
	}
}

static void close_session(struct session *session, bool at_once)
{
	struct resp_connection *r = of_session(session);
	session->flags |= SESSION_CLOSING;
	if (at_once)
		session_leave(session);
	if (at_once)
		connection_abort(&r->connection);
	else if (r->running)
		r->draining = true; /* the answer of the running round goes out first */
	else
		connection_close(&r->connection);
}

static void address(struct session *session, bool local, char *out, size_t size)
{
	/* The peer's end of a Unix socket has no name. */
	local |= (session->flags & SESSION_UNIX) != 0;
	connection_address(&of_session(session)->connection, local, out, size);
}

static void trust(struct session *session)
{
	connection_trust(&of_session(session)->connection, session->authenticated);
}

static size_t memory(const struct session *session, size_t *input, size_t *output)
{
	const struct resp_connection *r = of_session(session);
	const struct connection *c = &r->connection;
	*input = connection_input(c).len;
	*output = connection_unsent(c);
	size_t waiting = session->blocked ? blocked_memory(session->blocked) : 0;
	return sizeof(*r) + waiting + c->carry.cap + c->out.cap + c->sending.cap + r->parser.places.cap;
}

static int descriptor(const struct session *session) { return of_session(session)->connection.socket.fd; }

static void resume(struct session *session)
{
	struct connection *c = &of_session(session)->connection;
	connection_written(c);
	connection_unblock(c);
}

static const struct session_ops session_ops = {
	.reply_ops = ops_of, .push = push, .pushed = pushed, .push_behind = push_behind, .close = close_session,
	.address = address, .trust = trust, .memory = memory, .descriptor = descriptor, .resume = resume,
};

/* ---- what a round asks of its wire -------------------------------------------------- */

static struct buf *out(void *wire) { return connection_out(&((struct resp_connection *)wire)->connection); }

static void lend(void *wire, struct slice bytes, void *object, uint16_t core)
{
	struct resp_connection *r = wire;
	connection_splice(&r->connection, (struct splice){.bytes = bytes, .sent = loan_return, .object = object,
							  .from = core});
}

/* The peer has gone while the session waits: nothing may be taken for it any more. */
static void leave(struct connection *c)
{
	struct resp_connection *r = container_of(c, struct resp_connection, connection);
	if (!r->session.blocked)
		return;
	session_leave(&r->session);
	connection_close(c);
	connection_unblock(c);
}

/* The round is done: its bytes may go. */
static void settle(struct resp_connection *r)
{
	connection_consume(&r->connection, r->taken);
	r->taken = 0;
	round_free(take(r->round));
	r->session.flags &= ~(uint32_t)SESSION_IN_EXEC;
	if (unlikely(r->kept_back.len > 0)) {
		buf_append(connection_out(&r->connection), buf_slice(&r->kept_back));
		buf_fini(&r->kept_back);
	}
	r->session.bytes_in = r->connection.bytes_in;
	connection_written(&r->connection);
}

/* The client waits for keys: its next commands stay in the input, and how long it waits is not our doing. One that
 * has left meanwhile, or is to leave, waits no more. */
static void stand_still(struct resp_connection *r)
{
	struct connection *c = &r->connection;
	(void)connection_keep_input(c);
	connection_block(c);
	c->asked_ns = 0;
	if (c->ended || c->closing)
		leave(c);
}

/* A round has ended: true if input goes on. */
static bool ends(struct resp_connection *r)
{
	r->running = false;
	settle(r);
	if (r->draining)
		connection_close(&r->connection);
	if (likely(!r->session.blocked))
		return true;
	stand_still(r);
	return false;
}

static void done(void *wire)
{
	struct resp_connection *r = wire;
	struct connection *c = &r->connection;
	if (ends(r))
		connection_unblock(c);
	connection_release(c);
}

static const struct round_sink round_sink = {.out = out, .lend = lend, .done = done};

/* ---- input -------------------------------------------------------------------------- */

static struct resp_limits limits_of(const struct resp_connection *r)
{
	bool trusted = r->session.authenticated;
	return (struct resp_limits){
		.bulk_max = trusted ? r->connection.core->settings->proto_max_bulk_len : BULK_MAX_UNTRUSTED,
		.arguments_max = trusted ? ARGUMENTS_MAX : ARGUMENTS_MAX_UNTRUSTED,
		.inline_max = INLINE_MAX,
		.authenticated = trusted,
	};
}

/* Leaves the commands of the round in the input until CLIENT PAUSE is over. */
static void postpone(struct resp_connection *r)
{
	round_postpone(r->round, &r->postponed);
	round_free(take(r->round));
	resp_parser_fini(&r->parser);
	r->parser = (struct resp_parser){0};
	r->taken = 0;
	r->broken = false;
	(void)connection_keep_input(&r->connection);
	connection_block(&r->connection);
}

static void run_again(struct postponed *postponed)
{
	struct resp_connection *r = container_of(postponed, struct resp_connection, postponed);
	connection_unblock(&r->connection);
}

/* Runs what was gathered. False: it waits, and done() goes on. */
static bool run(struct resp_connection *r)
{
	if (!r->round)
		return true;
	if (round_is_empty(r->round)) {
		settle(r);
		return true;
	}
	if (round_is_paused(r->round)) {
		postpone(r);
		return false;
	}
	/* Held from before: what runs may publish, close, or come back to us. */
	r->running = true;
	connection_hold(&r->connection);
	if (round_run(r->round)) {
		bool goes_on = ends(r);
		connection_release(&r->connection);
		return goes_on;
	}
	connection_block(&r->connection);
	return false;
}

static void give_up(struct resp_connection *r)
{
	struct buf *to = connection_out(&r->connection);
	buf_printf(to, "-ERR %s\r\n", r->parser.error);
	connection_consume(&r->connection, connection_input(&r->connection).len);
	connection_written(&r->connection);
	connection_close(&r->connection);
}

/* Gathers whole commands of the window into a round. *more: there may be others behind
 * them. False: the parser has given up. */
static bool gather(struct resp_connection *r, bool *more)
{
	struct slice window = connection_input(&r->connection);
	struct resp_limits limits = limits_of(r);
	*more = true;
	if (!r->round)
		r->round = round_new(&r->session, &round_sink, r);
	while (round_takes_more(r->round)) {
		uint32_t room, n;
		size_t used;
		struct slice rest = slice_sub(window, r->taken, window.len);
		struct slice *args = round_arguments(r->round, ARGUMENTS_ROOM, &room);
		enum resp_parsed parsed = resp_parse(&r->parser, &limits, rest, args, room, &n, &used);
		if (parsed == RESP_PARTIAL) {
			*more = false;
			return true;
		}
		if (parsed == RESP_BROKEN)
			return false;
		if (parsed == RESP_NOTHING) {
			r->taken += used;
			continue;
		}
		if (n > room)
			resp_arguments(&r->parser, rest, round_arguments(r->round, n, &room));
		if (!round_add(r->round, n))
			return true; /* parsed again when this round is done */
		r->taken += used;
		if (rest.ptr[0] != '*')
			return true; /* an inline command's words may lie in the parser: one at a time */
	}
	return true;
}

static void input(struct connection *c)
{
	struct resp_connection *r = container_of(c, struct resp_connection, connection);
	bool more = true;
	/* Without bytes the parser is asked once more only to let go of a long command's places. */
	while (more && !c->closing && !r->broken && (connection_input(c).len > 0 || r->parser.places.cap > 0)) {
		r->broken = !gather(r, &more);
		if (!run(r))
			return;
		/* A slow reader's answers wait here, so its questions wait too. */
		if (connection_is_choked(c))
			return;
	}
	if (r->broken && !c->closing)
		give_up(r);
}

/* ---- life --------------------------------------------------------------------------- */

static bool is_unix(struct connection *c)
{
	char peer[8] = "";
	connection_address(c, false, peer, sizeof(peer));
	return strcmp(peer, ":0") == 0;
}

static void opened(struct connection *c)
{
	struct resp_connection *r = container_of(c, struct resp_connection, connection);
	r->session.core = c->core;
	r->session.ops = &session_ops;
	r->session.id = c->id;
	r->postponed.again = run_again;
	if (is_unix(c))
		r->session.flags |= SESSION_UNIX;
	session_open(&r->session);
}

static void ended(struct connection *c) { connection_close(c); }

static void drain(struct connection *c)
{
	struct resp_connection *r = container_of(c, struct resp_connection, connection);
	if (link_linked(&r->postponed.link)) { /* now or never */
		list_remove(&r->postponed.link);
		connection_unblock(c);
	}
	if (r->running)
		r->draining = true;
	else
		connection_close(c);
}

/* Who waits for an answer or for messages is not idle. */
static void idled(struct connection *c)
{
	struct resp_connection *r = container_of(c, struct resp_connection, connection);
	if (!r->running && !r->session.blocked && !link_linked(&r->postponed.link) && subscriptions_count(&r->session) == 0)
		connection_abort(c);
}

static void closed(struct connection *c)
{
	struct resp_connection *r = container_of(c, struct resp_connection, connection);
	assert(!r->running);
	list_remove(&r->postponed.link);
	if (r->round)
		round_free(r->round);
	session_close(&r->session);
	buf_fini(&r->kept_back);
	resp_parser_fini(&r->parser);
}

const struct protocol resp_protocol = {
	.name = "resp",
	.refusal = {(const uint8_t *)"-ERR max number of clients reached\r\n", 36},
	.connection_size = sizeof(struct resp_connection),
	.opened = opened,
	.input = input,
	.ended = ended,
	.left = leave,
	.drain = drain,
	.idled = idled,
	.closed = closed,
};
