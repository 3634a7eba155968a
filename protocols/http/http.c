#include "protocols/http/http.h"

#include "engine/core/core.h"
#include "protocols/http/answer.h"

static const uint64_t idle_ns = 60ull * 1000 * 1000 * 1000;
static const uint64_t request_ns = 10ull * 1000 * 1000 * 1000;

struct http_connection {
	struct connection connection; /* first: the engine makes and knows this */
	struct http_parser parser;
	struct timer timer; /* to the end of patience */
	bool in_request;    /* bytes of a request are there, but not all */
};

static struct http_connection *http_of(struct connection *c) { return (struct http_connection *)c; }

static void be_patient(struct http_connection *http, uint64_t ns)
{
	struct core *core = http->connection.core;
	timer_start(&core->timers, &http->timer, core->now_ns + ns);
}

/* The last answer was said; the peer has its time to read it. */
static void leave(struct http_connection *http)
{
	be_patient(http, idle_ns);
	connection_close(&http->connection);
}

static void say_no(struct http_connection *http, enum http_status status, const char *why)
{
	struct connection *c = &http->connection;
	http_refuse(c->core, status, why, connection_out(c));
	connection_written(c);
	leave(http);
}

static void out_of_patience(struct core *core, struct timer *timer)
{
	struct http_connection *http = container_of(timer, struct http_connection, timer);
	struct connection *c = &http->connection;
	if (c->closing || connection_unsent(c) > 0)
		connection_abort(c);
	else if (http->in_request)
		say_no(http, HTTP_REQUEST_TIMEOUT, "a request must be whole within 10 seconds");
	else
		leave(http);
}

static void on_opened(struct connection *c)
{
	struct http_connection *http = http_of(c);
	http->timer.run = out_of_patience;
	be_patient(http, idle_ns);
}

static void answer(struct http_connection *http, const struct http_request *request)
{
	struct connection *c = &http->connection;
	bool keep_alive = request->keep_alive && !c->core->stopping;
	http_answer(c->core, request, keep_alive, connection_out(c));
	connection_written(c);
	if (!keep_alive)
		leave(http);
}

/* One step of the window; false if no more can be done with it now. */
static bool take_step(struct http_connection *http)
{
	struct connection *c = &http->connection;
	struct http_request request;
	size_t used;
	switch (http_parse(&http->parser, connection_input(c), &request, &used)) {
	case HTTP_REQUEST:
		answer(http, &request);
		connection_consume(c, used);
		http->in_request = false;
		return true;
	case HTTP_CONTINUE:
		buf_append(connection_out(c), S("HTTP/1.1 100 Continue\r\n\r\n"));
		connection_written(c);
		return true;
	case HTTP_PARTIAL:
		if (!http->in_request)
			be_patient(http, request_ns);
		http->in_request = true;
		return false;
	case HTTP_BROKEN:
		say_no(http, http->parser.status, http->parser.why);
		return false;
	}
	return false;
}

static void on_input(struct connection *c)
{
	struct http_connection *http = http_of(c);
	while (!c->closing && !connection_is_choked(c) && connection_input(c).len > 0 && take_step(http))
		;
	if (!c->closing && !http->in_request)
		be_patient(http, idle_ns);
}

/* A peer that has sent all may still read. */
static void on_ended(struct connection *c) { leave(http_of(c)); }

static void on_drain(struct connection *c)
{
	if (!http_of(c)->in_request)
		leave(http_of(c));
}

static void on_closed(struct connection *c) { timer_stop(&c->core->timers, &http_of(c)->timer); }

const struct protocol http_protocol = {
        .name = "http",
        .refusal = S("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
                     "Content-Length: 57\r\nConnection: close\r\n\r\n"
                     "The server has as many connections as maxclients allows.\n"),
        .connection_size = sizeof(struct http_connection),
        .opened = on_opened,
        .input = on_input,
        .ended = on_ended,
        .drain = on_drain,
        .closed = on_closed,
};
