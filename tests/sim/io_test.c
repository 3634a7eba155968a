/* The simulated world by itself: streams, wakes, files, and that a seed decides all. */
#include "engine/io/sim.h"
#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <errno.h>

enum { PORT = 7, TEXT_MAX = 4000 };

static const struct sim_faults unkind = {.clock_ns = 100,
                                         .delay_ns = 5000,
                                         .wake_ns = 3000,
                                         .piece_bytes = 7,
                                         .receive_bytes = 5,
                                         .send_bytes = 11,
                                         .window_bytes = 60,
                                         .chunks = 2,
                                         .held_back = 300,
                                         .stragglers = 500};

/* A server that says back what it hears. */
struct echo {
	struct io *io;
	struct io_socket listener, socket;
	struct buf heard;
	size_t said;
	struct iovec iov;
	bool is_open, is_sending, has_ended, is_closed;
	int error;
};

static struct echo *of_socket(struct io_socket *socket) { return container_of(socket, struct echo, socket); }

static void say(struct echo *echo)
{
	if (echo->is_sending || echo->said == echo->heard.len || echo->error)
		return;
	echo->is_sending = true;
	echo->iov = (struct iovec){echo->heard.ptr + echo->said, echo->heard.len - echo->said};
	io_send(&echo->socket, &echo->iov, 1);
}

static void on_data(struct io_socket *socket, struct io_chunk chunk)
{
	struct echo *echo = of_socket(socket);
	uint8_t *before = echo->heard.ptr;
	buf_append(&echo->heard, slice_of(chunk.ptr, chunk.len));
	cr_assert(before == NULL || before == echo->heard.ptr); /* reserved: a send is in flight */
	io_chunk_release(echo->io, chunk);
	say(echo);
}

static void on_end(struct io_socket *socket, int error)
{
	of_socket(socket)->has_ended = true;
	of_socket(socket)->error = error;
}

static void on_sent(struct io_socket *socket, ssize_t result)
{
	struct echo *echo = of_socket(socket);
	echo->is_sending = false;
	if (result > 0)
		echo->said += (size_t)result;
	else
		echo->error = (int)result;
	say(echo);
}

static void on_closed(struct io_socket *socket) { of_socket(socket)->is_closed = true; }

static const struct io_socket_events events = {.data = on_data, .end = on_end, .sent = on_sent, .closed = on_closed};

static void on_accepted(struct io_socket *listener, int result)
{
	struct echo *echo = container_of(listener, struct echo, listener);
	io_socket_init(&echo->socket, echo->io, &events);
	io_adopt(&echo->socket, result);
	io_recv(&echo->socket);
	echo->is_open = true;
}

static const struct io_socket_events listener_events = {.accepted = on_accepted, .closed = on_closed};

static void echo_begin(struct echo *echo, struct sim *sim)
{
	*echo = (struct echo){.io = sim_io_new(sim)};
	(void)buf_reserve(&echo->heard, TEXT_MAX);
	io_socket_init(&echo->listener, echo->io, &listener_events);
	cr_assert_eq(io_listen_tcp(&echo->listener, "127.0.0.1", PORT), 0);
}

static void echo_end(struct echo *echo, struct sim *sim)
{
	io_free(echo->io);
	buf_fini(&echo->heard);
	sim_free(sim);
}

static void pass(struct echo *echo, struct sim *sim, struct sim_client *client)
{
	uint64_t next_ns = sim_io_next_ns(echo->io), client_ns = sim_client_next_ns(client);
	if (sim_io_due(echo->io)) {
		io_poll(echo->io, 0);
		return;
	}
	next_ns = client_ns < next_ns ? client_ns : next_ns;
	cr_assert_neq(next_ns, UINT64_MAX);
	sim_pass_ns(sim, next_ns > sim_now_ns(sim) ? next_ns - sim_now_ns(sim) : 1);
}

static void fill(uint8_t *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text[i] = (uint8_t)('a' + i * 7 % 26);
}

/* What comes back through all pieces, and what the world noted. */
static uint64_t echo_run(uint64_t seed, struct buf *back)
{
	uint8_t text[TEXT_MAX];
	struct sim *sim = sim_new(seed, &unkind);
	struct echo echo;
	echo_begin(&echo, sim);
	struct sim_client *client = sim_connect(sim, PORT);
	cr_assert(client);
	fill(text, sizeof(text));
	sim_client_send(client, slice_of(text, sizeof(text)));
	sim_client_finish(client);
	while (back->len < sizeof(text)) {
		struct slice arrived = sim_client_input(client);
		buf_append(back, arrived);
		sim_client_read(client, arrived.len);
		if (arrived.len == 0)
			pass(&echo, sim, client);
	}
	cr_assert(memcmp(back->ptr, text, sizeof(text)) == 0);
	while (!echo.has_ended)
		pass(&echo, sim, client);
	cr_assert_eq(echo.error, 0);
	io_socket_close(&echo.socket);
	while (!sim_client_ended(client) || !echo.is_closed)
		pass(&echo, sim, client);
	uint64_t trace = sim_trace(sim);
	cr_assert_eq(sim_io_chunks_out(echo.io), 0);
	sim_client_free(client);
	echo_end(&echo, sim);
	return trace;
}

Test(sim, streams_keep_their_bytes_and_a_seed_decides_the_rest)
{
	uint64_t traces[8];
	for (uint64_t seed = 0; seed < 8; seed++) {
		cleanup(buf_fini) struct buf once = {0}, again = {0};
		traces[seed] = echo_run(seed, &once);
		cr_assert_eq(traces[seed], echo_run(seed, &again));
		for (uint64_t other = 0; other < seed; other++)
			cr_assert_neq(traces[seed], traces[other]);
		buf_fini(&again);
	}
}

Test(sim, who_does_not_read_holds_up_the_sender_alone)
{
	uint8_t text[TEXT_MAX];
	struct sim *sim = sim_new(5, &unkind);
	struct echo echo;
	echo_begin(&echo, sim);
	struct sim_client *client = sim_connect(sim, PORT);
	fill(text, sizeof(text));
	sim_client_send(client, slice_of(text, sizeof(text)));
	while (echo.heard.len < sizeof(text))
		pass(&echo, sim, client);
	for (int i = 0; i < 1000; i++)
		io_poll(echo.io, 0), sim_pass_ns(sim, 10000);
	cr_assert_eq(echo.said, unkind.window_bytes);
	sim_client_reset(client);
	while (!echo.has_ended)
		pass(&echo, sim, client);
	cr_assert_eq(echo.error, -ECONNRESET);
	sim_client_free(client);
	io_socket_close(&echo.socket);
	for (int i = 0; i < 100; i++)
		io_poll(echo.io, 0), sim_pass_ns(sim, 10000);
	cr_assert(echo.is_closed);
	echo_end(&echo, sim);
}

Test(sim, a_wake_comes_late_but_comes)
{
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct sim *sim = sim_new(seed, &unkind);
		struct io *one = sim_io_new(sim), *other = sim_io_new(sim);
		cr_assert(!sim_io_is_woken(other));
		cr_assert_eq(sim_io_next_ns(other), UINT64_MAX);
		io_wake(one, other);
		cr_assert(sim_io_is_woken(other));
		uint64_t at_ns = sim_io_next_ns(other);
		cr_assert_leq(at_ns, sim_now_ns(sim) + unkind.wake_ns);
		sim_pass_ns(sim, at_ns - sim_now_ns(sim));
		cr_assert(sim_io_due(other));
		cr_assert_eq(io_poll(other, UINT64_MAX), 1);
		cr_assert(!sim_io_is_woken(other));
		io_free(one);
		io_free(other);
		sim_free(sim);
	}
}

/* ---- files -------------------------------------------------------------------------------- */

struct doing {
	struct io_op op; /* first */
	bool is_done;
};

static void on_done(struct io_op *op) { ((struct doing *)op)->is_done = true; }

static int64_t finish(struct sim *sim, struct io *io, struct doing *doing)
{
	cr_assert(!doing->is_done); /* never inside the call that staged it */
	while (!doing->is_done) {
		if (!sim_io_due(io))
			sim_pass_ns(sim, sim_io_next_ns(io) - sim_now_ns(sim));
		io_poll(io, 0);
	}
	doing->is_done = false;
	return doing->op.result;
}

Test(sim, files_keep_what_was_written_under_their_last_name)
{
	struct sim *sim = sim_new(3, &unkind);
	struct io *io = sim_io_new(sim);
	struct doing doing = {.op.done = on_done};
	char text[8] = "";
	io_file_open(io, &doing.op, "a", IO_OPEN_READ, 0600);
	cr_assert_eq(finish(sim, io, &doing), -ENOENT);
	io_file_open(io, &doing.op, "a", IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
	int fd = (int)finish(sim, io, &doing);
	cr_assert_geq(fd, 0);
	io_file_write(io, &doing.op, fd, "word", 4, 2, IO_WRITE_DURABLE);
	cr_assert_eq(finish(sim, io, &doing), 4);
	io_file_rename(io, &doing.op, "a", "b");
	cr_assert_eq(finish(sim, io, &doing), 0);
	io_file_rename(io, &doing.op, "a", "c");
	cr_assert_eq(finish(sim, io, &doing), -ENOENT);
	io_file_open(io, &doing.op, "b", IO_OPEN_READ, 0600);
	int again = (int)finish(sim, io, &doing);
	io_file_read(io, &doing.op, again, text, sizeof(text), 0);
	cr_assert_eq(finish(sim, io, &doing), 6);
	cr_assert(memcmp(text, "\0\0word", 6) == 0);
	io_file_read(io, &doing.op, again, text, sizeof(text), 6);
	cr_assert_eq(finish(sim, io, &doing), 0);
	io_file_sync(io, &doing.op, fd);
	cr_assert_eq(finish(sim, io, &doing), 0);
	io_file_close(io, &doing.op, fd);
	cr_assert_eq(finish(sim, io, &doing), 0);
	io_file_read(io, &doing.op, fd, text, sizeof(text), 0);
	cr_assert_eq(finish(sim, io, &doing), -EBADF);
	io_free(io);
	sim_free(sim);
}
