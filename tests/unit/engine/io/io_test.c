/* What io.h promises about sockets and clocks, on each back end. */
#include "tests/unit/engine/io/io_test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void append_pattern(struct buf *buf, uint64_t at, size_t size)
{
	uint8_t *to = buf_reserve(buf, size);
	for (size_t i = 0; i < size; i++)
		to[i] = pattern(at + i);
	buf->len += size;
}

/* ---- echo --------------------------------------------------------------------------- */

static void echo_random_sizes(struct host *host)
{
	struct end client, server;
	uint64_t random = 88172645463325252ull, written = 0;
	pair_connect(host, &client, &server);
	server.echo = true;
	client.check = true;
	for (int round = 0; round < 60; round++) {
		size_t size = 1 + random_below(&random, round % 10 ? 300 : 200000);
		append_pattern(&client.output, written, size);
		written += size;
		end_flush(&client, 1 + (int)random_below(&random, IO_SEND_IOVS));
		if (random_below(&random, 2))
			poll_until(host->io, client.received == written);
	}
	poll_until(host->io, client.received == written);
	cr_assert_eq(server.received, written);
	end_fini(&client);
	poll_until(host->io, server.n_end);
	cr_assert_eq(server.end_error, 0);
	end_fini(&server);
}

EACH_BACK_END(tcp_echoes_random_sizes)
{
	struct host host;
	host_listen_tcp(&host, io, "127.0.0.1");
	echo_random_sizes(&host);
	host_fini(&host);
}

EACH_BACK_END(unix_echoes_random_sizes)
{
	struct host host;
	host_listen_unix(&host, io);
	echo_random_sizes(&host);
	host_fini(&host);
	cr_assert_neq(access(host.name, F_OK), 0, "the socket's file goes with its listener");
}

EACH_BACK_END(bytes_may_come_one_at_a_time)
{
	struct host host;
	struct end client, server;
	host_listen_tcp(&host, io, "127.0.0.1");
	pair_connect(&host, &client, &server);
	server.check = true;
	for (uint64_t at = 0; at < 500; at++) {
		uint8_t byte = pattern(at);
		end_write(&client, &byte, 1);
		poll_until(io, server.received == at + 1);
	}
	end_fini(&client);
	end_fini(&server);
	host_fini(&host);
}

/* ---- ends --------------------------------------------------------------------------- */

EACH_BACK_END(half_closed_connection_still_answers)
{
	struct host host;
	struct end client, server;
	host_listen_tcp(&host, io, "127.0.0.1");
	pair_connect(&host, &client, &server);
	end_write(&client, "question", 8);
	poll_until(io, client.n_sent);
	io_finish(&client.socket);
	poll_until(io, server.n_end);
	cr_assert_eq(server.end_error, 0);
	cr_assert_eq(server.received, 8);
	io_recv(&server.socket); /* asks in vain */
	end_write(&server, "answer", 6);
	poll_until(io, client.received == 6);
	io_finish(&server.socket);
	poll_until(io, client.n_end);
	poll_for(io, 5000000);
	cr_assert_eq(server.n_end, 1);
	end_fini(&client);
	end_fini(&server);
	host_fini(&host);
}

EACH_BACK_END(reset_by_the_peer_is_an_end_with_an_error)
{
	struct host host;
	struct end server;
	host_listen_tcp(&host, io, "127.0.0.1");
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(host.port), .sin_addr = {htonl(0x7f000001)}};
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	end_init(&server, io);
	io_adopt(&server.socket, host_take(&host));
	int no_delay = 0;
	socklen_t size = sizeof(no_delay);
	getsockopt(server.socket.fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
	cr_assert_neq(no_delay, 0);
	io_recv(&server.socket);
	poll_for(io, 2000000);
	struct linger hard = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	poll_until(io, server.n_end);
	cr_assert_eq(server.end_error, -ECONNRESET);
	end_write(&server, "x", 1);
	poll_until(io, server.n_sent);
	cr_assert_lt(server.last_sent, 0);
	end_fini(&server);
	host_fini(&host);
}

EACH_BACK_END(refused_connection_says_so)
{
	struct end client;
	struct host host;
	host_listen_tcp(&host, io, "127.0.0.1");
	uint16_t port = host.port;
	host_fini(&host);
	end_init(&client, io);
	int err = io_connect_tcp(&client.socket, "127.0.0.1", port);
	if (err == 0) {
		poll_until(io, client.n_connected);
		err = client.connected;
	}
	cr_assert_eq(err, -ECONNREFUSED);
	end_fini(&client); /* also when it never had a descriptor */
	end_init(&client, io);
	cr_assert_eq(io_connect_tcp(&client.socket, "not-a-number", port), -EINVAL);
	end_fini(&client);
}

/* ---- back-pressure -------------------------------------------------------------------- */

EACH_BACK_END(slow_reader_gets_everything)
{
	enum { TOTAL = 12 * 1024 * 1024 };
	struct host host;
	struct end client, server;
	uint64_t random = 4711;
	host_listen_tcp(&host, io, "127.0.0.1");
	pair_connect(&host, &client, &server);
	int small = 16 * 1024;
	setsockopt(client.socket.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(server.socket.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	client.check = true;
	append_pattern(&server.output, 0, TOTAL);
	end_flush(&server, 9);
	uint64_t end = io_now_ns(io) + patience_ns;
	while (client.received < TOTAL) {
		cr_assert_lt(io_now_ns(io), end);
		if (random_below(&random, 4) == 0)
			io_pause(&client.socket);
		else
			io_recv(&client.socket);
		io_poll(io, io_now_ns(io) + random_below(&random, 300000));
	}
	poll_until(io, server.sent == TOTAL);
	end_fini(&server);
	end_fini(&client);
	host_fini(&host);
}

EACH_BACK_END(paused_socket_stays_quiet)
{
	struct host host;
	struct end client, server;
	host_listen_unix(&host, io);
	pair_connect(&host, &client, &server);
	io_pause(&server.socket);
	io_pause(&server.socket);
	poll_for(io, 1000000);
	end_write(&client, "a", 1);
	poll_for(io, 10000000);
	cr_assert_eq(server.received, 0);
	io_recv(&server.socket);
	io_pause(&server.socket);
	io_recv(&server.socket);
	io_recv(&server.socket);
	poll_until(io, server.received == 1);
	end_write(&client, "b", 1);
	poll_until(io, server.received == 2);
	/* The peer goes while nobody looks: no busy loop, and an end when asked again. */
	io_pause(&server.socket);
	poll_for(io, 1000000);
	end_fini(&client);
	poll_for(io, 1000000);
	uint64_t before = io->enters;
	poll_for(io, 20000000);
	cr_assert_lt(io->enters - before, 10);
	cr_assert_eq(server.n_end, 0);
	io_recv(&server.socket);
	poll_until(io, server.n_end);
	end_fini(&server);
	host_fini(&host);
}

/* ---- closing -------------------------------------------------------------------------- */

EACH_BACK_END(close_cuts_off_what_flies)
{
	struct host host;
	struct end client, server;
	for (int round = 0; round < 20; round++) {
		if (round % 2)
			host_listen_unix(&host, io);
		else
			host_listen_tcp(&host, io, "127.0.0.1");
		pair_connect(&host, &client, &server);
		io_pause(&client.socket);
		if (round % 5 == 0) { /* with nothing else under way */
			io_pause(&server.socket);
			poll_for(io, 1000000);
		}
		append_pattern(&server.output, 0, 8 * 1024 * 1024);
		end_flush(&server, round % 3 + 1);
		for (int i = 0; i < round % 4; i++)
			io_poll(io, 0);
		cr_assert_eq(server.n_closed, 0);
		end_close(&server);
		cr_assert_eq(server.n_closed, 0, "callbacks run in io_poll() only");
		poll_until(io, server.n_closed);
		cr_assert_geq(server.n_sent, 1);
		poll_for(io, 300000);
		end_fini(&server);
		end_fini(&client);
		host_fini(&host);
	}
}

EACH_BACK_END(close_while_connecting)
{
	struct host host;
	struct end client;
	host_listen_unix(&host, io);
	for (int round = 0; round < 5; round++) {
		end_init(&client, io);
		cr_assert_eq(io_connect_unix(&client.socket, host.name), 0);
		end_fini(&client);
	}
	/* Nobody answers there: the attempt is still under way when it is closed. */
	end_init(&client, io);
	if (io_connect_tcp(&client.socket, "192.0.2.1", 9) == 0) {
		poll_for(io, 5000000);
		end_close(&client);
		poll_until(io, client.n_closed);
		cr_assert_lt(client.connected, 0);
	}
	end_fini(&client);
	host_fini(&host);
}

EACH_BACK_END(close_inside_each_callback)
{
	struct host host;
	host_listen_tcp(&host, io, "127.0.0.1");
	for (int where = IN_DATA; where <= IN_CONNECTED; where++) {
		struct end client, server;
		end_init(&client, io);
		end_init(&server, io);
		client.close_in = where == IN_CONNECTED ? where : IN_NONE;
		server.close_in = where;
		server.echo = true;
		cr_assert_eq(io_connect_tcp(&client.socket, "127.0.0.1", host.port), 0);
		io_adopt(&server.socket, host_take(&host));
		io_recv(&server.socket);
		poll_until(io, client.n_connected);
		if (!client.closing) {
			append_pattern(&client.output, 0, 100000);
			end_flush(&client, 3);
			poll_until(io, client.n_sent || server.n_closed);
		}
		end_close(&client);
		poll_until(io, client.n_closed);
		if (where == IN_END || where == IN_CONNECTED)
			poll_until(io, server.n_end);
		if (where != IN_CONNECTED)
			poll_until(io, server.n_closed);
		end_fini(&server);
		end_fini(&client);
	}
	host_fini(&host);
}

/* A socket closed by the callback of another, whose own event is in the same batch. */
static struct end *victim;
static void on_data_closes_victim(struct io_socket *socket, struct io_chunk chunk)
{
	io_chunk_release(socket->io, chunk);
	end_close(victim);
}

EACH_BACK_END(callback_closes_another_socket)
{
	static const struct io_socket_events killer_events = {
	        .data = on_data_closes_victim, .end = on_end_end, .sent = on_end_sent, .closed = on_end_closed};
	struct host host;
	host_listen_unix(&host, io);
	for (int round = 0; round < 50; round++) {
		struct end clients[2], servers[2];
		for (int i = 0; i < 2; i++)
			pair_connect(&host, &clients[i], &servers[i]);
		servers[round % 2].socket.on = &killer_events;
		victim = &servers[1 - round % 2];
		victim->echo = true;
		for (int i = 0; i < 2; i++)
			end_write(&clients[i], "hello", 5);
		poll_until(io, victim->n_closed);
		for (int i = 0; i < 2; i++) {
			end_fini(&clients[i]);
			end_fini(&servers[i]);
		}
	}
	host_fini(&host);
}

/* ---- names ---------------------------------------------------------------------------- */

EACH_BACK_END(addresses_are_text)
{
	struct host host;
	struct end client, server;
	char a[160], b[160];
	host_listen_tcp(&host, io, "::1");
	cr_assert_eq(strncmp(host.name, "[::1]:", 6), 0);
	host_fini(&host);
	host_listen_tcp(&host, io, "localhost");
	pair_connect(&host, &client, &server);
	io_socket_address(&client.socket, true, a, sizeof(a));
	io_socket_address(&server.socket, false, b, sizeof(b));
	cr_assert_str_eq(a, b);
	cr_assert_eq(strncmp(a, "127.0.0.1:", 10), 0);
	end_fini(&client);
	end_fini(&server);
	host_fini(&host);
	host_listen_unix(&host, io);
	pair_connect(&host, &client, &server);
	io_socket_address(&server.socket, true, a, sizeof(a));
	snprintf(b, sizeof(b), "%s:0", host.name);
	cr_assert_str_eq(a, b);
	end_fini(&client);
	end_fini(&server);
	host_fini(&host);
}

EACH_BACK_END(unix_socket_left_over_is_replaced)
{
	struct host host, second = {.io = io};
	char path[64];
	snprintf(path, sizeof(path), "/tmp/io_test.%d.sock", getpid());
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	int left = socket(AF_UNIX, SOCK_STREAM, 0);
	unlink(path);
	cr_assert_eq(bind(left, (struct sockaddr *)&name, sizeof(name)), 0);
	close(left);
	host_listen_unix(&host, io);
	struct stat st;
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	/* One that is served is not. */
	io_socket_init(&second.listener, io, &host_events);
	cr_assert_eq(io_listen_unix(&second.listener, path, 0666), -EADDRINUSE);
	host_fini(&host);
	/* Nor is a file that is none. */
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(io_listen_unix(&second.listener, path, 0666), -EADDRINUSE);
	cr_assert_eq(unlink(path), 0);
}

/* ---- time ------------------------------------------------------------------------------- */

EACH_BACK_END(sleep_ends_in_time)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 10; i++) {
		uint64_t start = io_now_ns(io), until = start + 3300000;
		while (io_now_ns(io) < until)
			io_poll(io, until);
		uint64_t late = io_now_ns(io) - until;
		best = late < best ? late : best;
	}
	cr_assert_lt(best, 700000, "late by %llu ns", (unsigned long long)best);
	uint64_t start = io_now_ns(io);
	io_poll(io, 0);
	io_poll(io, 1); /* long past */
	io_poll(io, start);
	cr_assert_lt(io_now_ns(io) - start, 1000000000);
	cr_assert_gt(io_wall_us(io), 1600000000ll * 1000000);
	uint64_t a = 0, b = 0;
	io_random(io, &a, sizeof(a));
	io_random(io, &b, sizeof(b));
	cr_assert_neq(a, b);
}
