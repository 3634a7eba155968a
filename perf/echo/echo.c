/* echo.c -- the floor: what a server costs that only moves bytes.
 *
 *   perf-echo --port P [--mode echo|resp] [--cpu N] [--io auto|uring|epoll]
 *
 * What      One core on engine/io, without reactor, parser or keyspace. `echo` sends back
 *           what came. `resp` answers "+OK" to each RESP command, found by the "*" that
 *           begins a line, so that Redis' own load generators can drive it.
 * Loop      As the reactor's: one send for each connection and turn, one io_poll(), which
 *           sleeps only after a turn that brought nothing.
 * Prints    On SIGTERM: requests, kernel entries and CPU time for each request.
 */
#include "engine/base/buf.h"
#include "engine/base/list.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { OUTPUT_MAX = 1024 * 1024 };

struct server {
	struct io *io;
	struct io_socket listener;
	struct link dirty;
	bool resp;
	uint64_t requests;
	atomic_bool stopping;
};

struct client {
	struct io_socket socket;
	struct server *server;
	struct link dirty;
	struct buf output, sending;
	size_t sent; /* of `sending` */
	struct iovec iov;
	bool in_flight, ended, closing;
	uint8_t last; /* byte received; a line begins after '\n' */
};

static void client_close(struct client *client)
{
	if (client->closing)
		return;
	client->closing = true;
	list_remove(&client->dirty);
	io_socket_close(&client->socket);
}

static void client_send(struct client *client)
{
	struct slice rest = slice_sub(buf_slice(&client->sending), client->sent, client->sending.len);
	client->iov = (struct iovec){(void *)rest.ptr, rest.len};
	client->in_flight = true;
	io_send(&client->socket, &client->iov, 1);
}

static void client_flush(struct client *client)
{
	if (client->in_flight || client->output.len == 0)
		return;
	struct buf empty = client->sending;
	client->sending = client->output;
	client->output = empty;
	client->output.len = 0;
	client->sent = 0;
	client_send(client);
}

static uint64_t answer_resp(struct client *client, struct slice bytes)
{
	uint64_t n = 0;
	const uint8_t *at = bytes.ptr, *end = at + bytes.len;
	while ((at = memchr(at, '*', (size_t)(end - at)))) {
		uint8_t before = at == bytes.ptr ? client->last : at[-1];
		if (before == '\n') {
			buf_append(&client->output, S("+OK\r\n"));
			n++;
		}
		if (++at == end)
			break;
	}
	client->last = end[-1];
	return n;
}

static void on_data(struct io_socket *socket, struct io_chunk chunk)
{
	struct client *client = container_of(socket, struct client, socket);
	struct server *server = client->server;
	struct slice bytes = slice_of(chunk.ptr, chunk.len);
	if (server->resp) {
		server->requests += answer_resp(client, bytes);
	} else {
		server->requests++;
		buf_append(&client->output, bytes);
	}
	io_chunk_release(server->io, chunk);
	if (!client->closing && !link_linked(&client->dirty))
		list_push_back(&server->dirty, &client->dirty);
	if (client->output.len > OUTPUT_MAX)
		io_pause(socket);
}

static void on_end(struct io_socket *socket, int error)
{
	struct client *client = container_of(socket, struct client, socket);
	client->ended = true;
	if (error || (!client->in_flight && client->output.len == 0))
		client_close(client);
}

static void on_sent(struct io_socket *socket, ssize_t result)
{
	struct client *client = container_of(socket, struct client, socket);
	client->in_flight = false;
	if (client->closing)
		return;
	if (result <= 0) {
		client_close(client);
		return;
	}
	client->sent += (size_t)result;
	if (client->sent < client->sending.len) {
		client_send(client);
		return;
	}
	if (client->output.len > 0)
		client_flush(client);
	else if (client->ended)
		client_close(client);
	else
		io_recv(socket);
}

static void on_closed(struct io_socket *socket)
{
	struct client *client = container_of(socket, struct client, socket);
	buf_fini(&client->output);
	buf_fini(&client->sending);
	memory_free(client);
}

static const struct io_socket_events client_events = {
        .data = on_data, .end = on_end, .sent = on_sent, .closed = on_closed};

static void on_accepted(struct io_socket *listener, int result)
{
	struct server *server = container_of(listener, struct server, listener);
	if (result < 0)
		return;
	struct client *client = memory_zalloc(sizeof(*client));
	client->server = server;
	client->last = '\n';
	io_socket_init(&client->socket, server->io, &client_events);
	io_adopt(&client->socket, result);
	io_recv(&client->socket);
}

static const struct io_socket_events listener_events = {.accepted = on_accepted};

static void serve(struct server *server)
{
	int handled = 0;
	while (!atomic_load_explicit(&server->stopping, memory_order_relaxed)) {
		for (struct link *link; (link = list_pop_front(&server->dirty));)
			client_flush(container_of(link, struct client, dirty));
		handled = io_poll(server->io, handled ? 0 : UINT64_MAX);
	}
}

struct options {
	uint16_t port;
	int cpu;
	bool resp;
	enum io_choice io;
};

static bool read_option(struct options *options, const char *name, const char *value)
{
	if (strcmp(name, "--port") == 0)
		options->port = (uint16_t)atoi(value);
	else if (strcmp(name, "--cpu") == 0)
		options->cpu = atoi(value);
	else if (strcmp(name, "--mode") == 0)
		options->resp = strcmp(value, "resp") == 0;
	else if (strcmp(name, "--io") == 0)
		options->io = strcmp(value, "uring") == 0 ? IO_URING : strcmp(value, "epoll") == 0 ? IO_EPOLL : IO_AUTO;
	else
		return false;
	return true;
}

struct run {
	struct options options;
	struct server server;
	_Atomic(struct io *) io; /* for the thread that waits for signals */
};

static void report(struct run *run, uint64_t cpu_ns)
{
	struct server *server = &run->server;
	double n = server->requests ? (double)server->requests : 1;
	printf("%s: %llu requests, %.3f enters and %.3f us of CPU each\n", server->io->note,
	       (unsigned long long)server->requests, (double)server->io->enters / n, (double)cpu_ns / n / 1000);
}

static void run_server(void *arg)
{
	struct run *run = arg;
	struct server *server = &run->server;
	char why[256], name[64];
	server->io = io_new(run->options.io, why, sizeof(why));
	if (why[0])
		fprintf(stderr, "perf-echo: %s\n", why);
	if (!server->io)
		exit(1);
	list_init(&server->dirty);
	server->resp = run->options.resp;
	io_socket_init(&server->listener, server->io, &listener_events);
	int err = io_listen_tcp(&server->listener, "127.0.0.1", run->options.port);
	if (err) {
		fprintf(stderr, "perf-echo: listen: %s\n", strerror(-err));
		exit(1);
	}
	io_socket_address(&server->listener, true, name, sizeof(name));
	printf("%s on %s\n", server->resp ? "resp" : "echo", name);
	fflush(stdout);
	atomic_store(&run->io, server->io);
	uint64_t before = os_thread_cpu_ns();
	serve(server);
	report(run, os_thread_cpu_ns() - before);
	io_free(server->io);
}

int main(int argc, char **argv)
{
	static struct run run = {.options = {.cpu = -1}};
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && read_option(&run.options, argv[i], argv[i + 1]))
			continue;
		fprintf(stderr, "usage: perf-echo --port P [--mode echo|resp] [--cpu N] [--io auto|uring|epoll]\n");
		return 2;
	}
	pthread_t thread;
	os_signals_block();
	if (os_thread_start(&thread, run.options.cpu, "echo", run_server, &run) != 0)
		return 1;
	os_signal_wait();
	atomic_store(&run.server.stopping, true);
	if (atomic_load(&run.io))
		io_wake(NULL, atomic_load(&run.io));
	os_thread_join(thread);
	return 0;
}
