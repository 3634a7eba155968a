/* io_test.h -- words for tests of the real back ends: each test runs on all of them.
 *
 * A `struct end` is one end of a connection. It checks as it goes what the contract says:
 * no data after the end, one answer for each send and each connect, `closed` once and last.
 */
#pragma once

#include "engine/io/io.h"
#include "engine/io/io_private.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum back_end { BACK_END_URING, BACK_END_COOP, BACK_END_PLAIN, BACK_END_EPOLL };

static inline struct io *back_end_new(enum back_end which)
{
	char why[256] = "";
	int error;
	struct io *io = which == BACK_END_EPOLL ? epoll_new(why, sizeof(why))
	                                        : uring_new((enum uring_rung)which, why, sizeof(why), &error);
	cr_assert_not_null(io, "%s", why);
	return io;
}

/* Runs `name(io)` on every rung and back end. */
#define EACH_BACK_END(name)                                    \
	static void name(struct io *io);                       \
	static void name##_on(enum back_end which)             \
	{                                                      \
		struct io *io = back_end_new(which);           \
		name(io);                                      \
		io_free(io);                                   \
	}                                                      \
	Test(uring, name) { name##_on(BACK_END_URING); }       \
	Test(uring_coop, name) { name##_on(BACK_END_COOP); }   \
	Test(uring_plain, name) { name##_on(BACK_END_PLAIN); } \
	Test(epoll, name) { name##_on(BACK_END_EPOLL); }       \
	static void name(struct io *io)

static const uint64_t patience_ns = 20ull * 1000 * 1000 * 1000;

/* Polls until `condition` holds. */
#define poll_until(io, condition)                                                            \
	do {                                                                                 \
		uint64_t end_ = io_now_ns(io) + patience_ns;                                 \
		while (!(condition)) {                                                       \
			cr_assert(io_now_ns(io) < end_, "waited too long for: " #condition); \
			io_poll(io, io_now_ns(io) + 5000000);                                \
		}                                                                            \
	} while (0)

#define poll_for(io, ns)                              \
	do {                                          \
		uint64_t end_ = io_now_ns(io) + (ns); \
		while (io_now_ns(io) < end_)          \
			io_poll(io, end_);            \
	} while (0)

/* ---- reproducible randomness ---------------------------------------------------------- */

static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint64_t random_below(uint64_t *state, uint64_t n) { return next_random(state) % n; }

/* Byte `at` of the stream every test sends: no period of a power of two. */
static inline uint8_t pattern(uint64_t at) { return (uint8_t)(at * 31 + at / 251 * 7 + at / 65521); }

/* ---- one end of a connection ------------------------------------------------------------ */

struct end {
	struct io_socket socket;
	/* what the test chooses */
	bool echo;    /* send back what comes */
	bool check;   /* what comes must be the pattern */
	bool hoard;   /* keep chunks until end_release() */
	int close_in; /* enum end_callback: close there */
	/* what happened */
	uint64_t received, sent;
	struct io_chunk *held;
	int n_held, held_room;
	int n_data, n_end, n_sent, n_sends, n_connected, n_closed;
	int end_error, connected;
	ssize_t last_sent;
	bool closing;
	/* sending */
	struct buf output, flight;
	size_t flight_at;
	struct iovec iov[IO_SEND_IOVS];
	bool sending;
};

enum end_callback { IN_NONE, IN_DATA, IN_END, IN_SENT, IN_CONNECTED };

static inline void end_close(struct end *end)
{
	if (end->closing)
		return;
	end->closing = true;
	io_socket_close(&end->socket);
}

static inline void end_reached(struct end *end, enum end_callback where)
{
	cr_assert_eq(end->n_closed, 0);
	if (end->close_in == (int)where)
		end_close(end);
}

/* Sends what is left of `flight`, cut into `pieces` iovecs. */
static inline void end_launch(struct end *end, int pieces)
{
	size_t at = end->flight_at, step = (end->flight.len - at) / (size_t)pieces;
	int n = 0;
	for (; n < pieces - 1 && step > 0; n++, at += step)
		end->iov[n] = (struct iovec){end->flight.ptr + at, step};
	end->iov[n++] = (struct iovec){end->flight.ptr + at, end->flight.len - at};
	end->sending = true;
	end->n_sends++;
	io_send(&end->socket, end->iov, n);
}

/* Sends what `output` holds, unless something is under way. */
static inline void end_flush(struct end *end, int pieces)
{
	if (end->sending || end->closing || end->output.len == 0)
		return;
	struct buf empty = end->flight;
	end->flight = end->output;
	end->flight_at = 0;
	end->output = empty;
	end->output.len = 0;
	end_launch(end, pieces);
}

static inline void end_write(struct end *end, const void *bytes, size_t size)
{
	buf_append(&end->output, slice_of(bytes, size));
	end_flush(end, 1);
}

static inline void end_release(struct end *end)
{
	for (int i = 0; i < end->n_held; i++)
		io_chunk_release(end->socket.io, end->held[i]);
	end->n_held = 0;
}

static inline void on_end_data(struct io_socket *socket, struct io_chunk chunk)
{
	struct end *end = container_of(socket, struct end, socket);
	cr_assert_eq(end->n_end, 0, "data after the end");
	cr_assert_gt(chunk.len, 0);
	cr_assert_leq(chunk.len, IO_CHUNK_SIZE);
	end->n_data++;
	if (end->check)
		for (uint32_t i = 0; i < chunk.len; i++)
			if (chunk.ptr[i] != pattern(end->received + i))
				cr_assert_fail("wrong byte at %llu", (unsigned long long)(end->received + i));
	end->received += chunk.len;
	if (end->echo)
		buf_append(&end->output, slice_of(chunk.ptr, chunk.len));
	if (end->hoard) {
		if (end->n_held == end->held_room) {
			end->held_room = end->held_room ? end->held_room * 2 : 4;
			end->held = memory_resize(end->held, (size_t)end->held_room * sizeof(*end->held));
		}
		end->held[end->n_held++] = chunk;
	} else {
		io_chunk_release(socket->io, chunk);
	}
	end_flush(end, end->n_data % 7 + 1);
	end_reached(end, IN_DATA);
}

static inline void on_end_end(struct io_socket *socket, int error)
{
	struct end *end = container_of(socket, struct end, socket);
	cr_assert_eq(end->n_end, 0, "two ends");
	end->n_end++;
	end->end_error = error;
	end_reached(end, IN_END);
}

static inline void on_end_sent(struct io_socket *socket, ssize_t result)
{
	struct end *end = container_of(socket, struct end, socket);
	cr_assert(end->sending, "an answer to no send");
	end->sending = false;
	end->n_sent++;
	end->last_sent = result;
	if (result > 0) {
		end->sent += (uint64_t)result;
		end->flight_at += (size_t)result;
		cr_assert_leq(end->flight_at, end->flight.len);
		if (end->flight_at < end->flight.len && !end->closing)
			end_launch(end, end->n_sent % 5 + 1);
		else
			end_flush(end, end->n_sent % 5 + 1);
	}
	end_reached(end, IN_SENT);
}

static inline void on_end_connected(struct io_socket *socket, int result)
{
	struct end *end = container_of(socket, struct end, socket);
	cr_assert_eq(end->n_connected, 0);
	end->n_connected++;
	end->connected = result;
	if (result == 0 && !end->closing)
		io_recv(socket);
	end_reached(end, IN_CONNECTED);
}

static inline void on_end_closed(struct io_socket *socket)
{
	struct end *end = container_of(socket, struct end, socket);
	cr_assert(end->closing);
	cr_assert_not(end->sending, "a send without an answer");
	cr_assert_eq(end->n_closed, 0, "closed twice");
	end->n_closed++;
}

static const struct io_socket_events end_events = {.data = on_end_data,
                                                   .end = on_end_end,
                                                   .sent = on_end_sent,
                                                   .connected = on_end_connected,
                                                   .closed = on_end_closed};

static inline void end_init(struct end *end, struct io *io)
{
	*end = (struct end){0};
	io_socket_init(&end->socket, io, &end_events);
}

/* Closes if that has not been done, waits for it, and frees what the test gathered. */
static inline void end_fini(struct end *end)
{
	end_release(end);
	end_close(end);
	poll_until(end->socket.io, end->n_closed);
	end_release(end);
	cr_assert_eq(end->n_sends, end->n_sent);
	buf_fini(&end->output);
	buf_fini(&end->flight);
	memory_free(end->held);
	memset(&end->socket, 0xdd, sizeof(end->socket)); /* nobody may look at it now */
}

/* ---- a listener ------------------------------------------------------------------------- */

struct host {
	struct io_socket listener;
	struct io *io;
	int *accepted; /* descriptors, in order */
	int n_accepted, n_taken, room, n_refused, last_error, n_closed;
	char name[100];
	uint16_t port;
};

static inline void on_host_accepted(struct io_socket *listener, int result)
{
	struct host *host = container_of(listener, struct host, listener);
	if (result < 0) {
		host->n_refused++;
		host->last_error = result;
		return;
	}
	if (host->n_accepted == host->room) {
		host->room = host->room ? host->room * 2 : 16;
		host->accepted = memory_resize(host->accepted, (size_t)host->room * sizeof(int));
	}
	host->accepted[host->n_accepted++] = result;
}

static inline void on_host_closed(struct io_socket *listener)
{
	container_of(listener, struct host, listener)->n_closed++;
}

static const struct io_socket_events host_events = {.accepted = on_host_accepted, .closed = on_host_closed};

static inline void host_listen_tcp(struct host *host, struct io *io, const char *address)
{
	*host = (struct host){.io = io};
	io_socket_init(&host->listener, io, &host_events);
	cr_assert_eq(io_listen_tcp(&host->listener, address, 0), 0);
	cr_assert_eq(io_socket_address(&host->listener, true, host->name, sizeof(host->name)), 0);
	host->port = (uint16_t)atoi(strrchr(host->name, ':') + 1);
	cr_assert_neq(host->port, 0);
}

static inline void host_listen_unix(struct host *host, struct io *io)
{
	*host = (struct host){.io = io};
	snprintf(host->name, sizeof(host->name), "/tmp/io_test.%d.sock", getpid());
	io_socket_init(&host->listener, io, &host_events);
	cr_assert_eq(io_listen_unix(&host->listener, host->name, 0600), 0);
}

static inline int host_take(struct host *host)
{
	poll_until(host->io, host->n_taken < host->n_accepted);
	return host->accepted[host->n_taken++];
}

static inline void host_fini(struct host *host)
{
	io_socket_close(&host->listener);
	poll_until(host->io, host->n_closed);
	cr_assert_eq(host->n_closed, 1);
	while (host->n_taken < host->n_accepted)
		io_refuse(host->io, host->accepted[host->n_taken++]);
	memory_free(host->accepted);
}

/* Both ends of a connection through `host`, which listens on TCP (`port`) or Unix. */
static inline void pair_connect(struct host *host, struct end *client, struct end *server)
{
	struct io *io = host->io;
	end_init(client, io);
	end_init(server, io);
	int err = host->port ? io_connect_tcp(&client->socket, "127.0.0.1", host->port)
	                     : io_connect_unix(&client->socket, host->name);
	cr_assert_eq(err, 0);
	io_adopt(&server->socket, host_take(host));
	io_recv(&server->socket);
	poll_until(io, client->n_connected);
	cr_assert_eq(client->connected, 0);
}
