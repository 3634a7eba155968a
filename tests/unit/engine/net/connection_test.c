/* Connections on a real core, with a protocol of their own at one end and raw bytes at the
 * other: random requests in random pieces against what must come back.
 *
 *   E n bytes   says the bytes
 *   L n         lends n * 1000 bytes
 *   B n bytes   is at work until work_end(): the bytes must stay as they are; says them
 *   Q           says "bye" and closes
 */
#include "engine/config/settings.h"
#include "engine/core/reactor.h"
#include "engine/io/io_private.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network_private.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LENT_UNIT = 1000, LENT_MAX = 255 * LENT_UNIT };

static struct {
	struct machine *machine;
	struct core *core;
	struct settings *settings;
	uint8_t lent[LENT_MAX];
	int n_lent, n_returned;
	int n_opened, n_closed, n_idled;
} net;

/* ---- the protocol ----------------------------------------------------------------------- */

struct parrot {
	struct connection connection;
	bool works; /* on a request of kind B */
	size_t work_size;
	struct slice bytes; /* of that request, where they lie */
	uint8_t copy[256];
};

static struct parrot *last; /* opened */

static struct parrot *of(struct connection *c) { return container_of(c, struct parrot, connection); }

static void lent_sent(struct core *core, void *object, uint16_t from)
{
	cr_assert_eq(object, net.lent);
	net.n_returned++;
}

static void lend(struct connection *c, size_t n)
{
	net.n_lent++;
	connection_splice(c, (struct splice){.bytes = slice_of(net.lent, n), .sent = lent_sent, .object = net.lent});
}

static void work_begin(struct parrot *p, struct slice bytes, size_t size)
{
	p->works = true;
	p->bytes = bytes;
	p->work_size = size;
	memcpy(p->copy, bytes.ptr, bytes.len);
	connection_hold(&p->connection);
	connection_block(&p->connection);
}

static void work_end(struct parrot *p)
{
	struct connection *c = &p->connection;
	cr_assert_eq(memcmp(p->copy, p->bytes.ptr, p->bytes.len), 0, "input moved under a request");
	buf_append(connection_out(c), p->bytes);
	connection_written(c);
	connection_consume(c, p->work_size);
	p->works = false;
	connection_unblock(c);
	connection_release(c);
}

static bool take_request(struct parrot *p)
{
	struct connection *c = &p->connection;
	struct slice in = connection_input(c);
	size_t size = in.len == 0 ? 1 : in.ptr[0] == 'Q' ? 1 : in.len < 2 ? 2 : in.ptr[0] == 'L' ? 2 : 2u + in.ptr[1];
	if (in.len < size)
		return false;
	struct slice bytes = slice_sub(in, size < 2 ? 1 : 2, size);
	switch (in.ptr[0]) {
	case 'B':
		work_begin(p, bytes, size);
		return false;
	case 'E':
		buf_append(connection_out(c), bytes);
		connection_written(c);
		break;
	case 'L':
		lend(c, (size_t)in.ptr[1] * LENT_UNIT);
		break;
	default:
		buf_append(connection_out(c), S("bye"));
		connection_written(c);
		connection_close(c);
	}
	connection_consume(c, size);
	return !c->closing;
}

static void parrot_input(struct connection *c)
{
	cr_assert(!of(c)->works, "input while blocked");
	while (!connection_is_choked(c) && take_request(of(c)))
		;
}

static void parrot_opened(struct connection *c)
{
	last = of(c);
	net.n_opened++;
	connection_trust(c, true);
}

static void parrot_ended(struct connection *c) { connection_close(c); }
static void parrot_closed(struct connection *c) { net.n_closed++; }
static void parrot_idled(struct connection *c) { net.n_idled++; }

static const struct protocol parrot = {
        .name = "parrot",
        .refusal = S("no"),
        .connection_size = sizeof(struct parrot),
        .opened = parrot_opened,
        .input = parrot_input,
        .ended = parrot_ended,
        .drain = parrot_ended,
        .idled = parrot_idled,
        .closed = parrot_closed,
};

/* ---- the core ----------------------------------------------------------------------------- */

static void net_init(bool epoll)
{
	char why[256] = "";
	struct io *io = io_new(epoll ? IO_EPOLL : IO_URING, why, sizeof(why));
	cr_assert_not_null(io, "%s", why);
	net.machine = machine_new(1);
	net.core = core_new(net.machine, 0, io);
	net.core->settings = net.settings = settings_new();
	net.core->metrics = metrics_new();
	net.core->network = network_new(net.core);
	reactor_set_poll(net.core, REACTOR_POLL_ALWAYS);
	for (size_t i = 0; i < sizeof(net.lent); i++)
		net.lent[i] = (uint8_t)(i * 7 + i / 256);
}

static void run(int turns)
{
	while (turns-- > 0)
		reactor_step(net.core);
}

#define run_until(condition)                                                               \
	do {                                                                               \
		uint64_t end_ = io_now_ns(net.core->io) + 20ull * 1000 * 1000 * 1000;      \
		while (!(condition)) {                                                     \
			cr_assert_lt(io_now_ns(net.core->io), end_, "never: " #condition); \
			run(1);                                                            \
		}                                                                          \
	} while (0)

/* A client's descriptor, of a connection that is now `last`. */
static int open_client(bool refuse)
{
	int fds[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	net.core->network->n++;
	connection_open(net.core->network, fds[0], (uint64_t)net.n_opened + 1, &parrot, NULL, refuse);
	return fds[1];
}

static void net_fini(void)
{
	run_until(network_connections(net.core) == 0);
	cr_assert_eq(net.n_opened, net.n_closed);
	cr_assert_eq(net.n_lent, net.n_returned, "lent bytes that never came back");
	network_free(net.core->network);
	struct io *io = net.core->io;
	memory_free(net.core->metrics);
	core_free(net.core);
	io_free(io);
	settings_free(net.settings);
	machine_free(net.machine);
}

#define EACH_BACK_END(name)             \
	static void name(void);         \
	Test(connection_on_uring, name) \
	{                               \
		net_init(false);        \
		name();                 \
		net_fini();             \
	}                               \
	Test(connection_on_epoll, name) \
	{                               \
		net_init(true);         \
		name();                 \
		net_fini();             \
	}                               \
	static void name(void)

/* What the peer sends and has got; and whether it has all. */
static void say(int fd, const char *bytes) { cr_assert_eq(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes)); }

static bool hear(int fd, struct buf *got)
{
	ssize_t n = recv(fd, buf_reserve(got, 65536), 65536, MSG_DONTWAIT);
	if (n > 0)
		got->len += (size_t)n;
	return n == 0 || (n < 0 && errno != EAGAIN);
}

/* ---- random requests ------------------------------------------------------------------------ */

static uint64_t below(uint64_t *seed, uint64_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % n;
}

static void add_request(uint64_t *seed, struct buf *requests, struct buf *answers)
{
	uint8_t kind = (uint8_t) "EEEEBBL"[below(seed, 7)], n = (uint8_t)below(seed, kind == 'L' ? 60 : 256);
	n += kind == 'L';
	buf_byte(requests, kind);
	buf_byte(requests, n);
	if (kind == 'L') {
		buf_append(answers, slice_of(net.lent, (size_t)n * LENT_UNIT));
		return;
	}
	for (int i = 0; i < n; i++) {
		uint8_t byte = (uint8_t)below(seed, 256);
		buf_byte(requests, byte);
		buf_byte(answers, byte);
	}
}

/* Sometimes ends the request that is at work, after it was moved or was not. */
static void work_on(uint64_t *seed, struct parrot *p)
{
	if (!p->works || below(seed, 4) > 0)
		return;
	if (below(seed, 3) == 0)
		p->bytes = slice_sub(connection_keep_input(&p->connection), 2, p->work_size);
	work_end(p);
}

static void converse(uint64_t seed)
{
	struct buf requests = {0}, answers = {0}, got = {0};
	int n = 1 + (int)below(&seed, 1500);
	for (int i = 0; i < n; i++)
		add_request(&seed, &requests, &answers);
	buf_byte(&requests, 'Q');
	buf_append(&answers, S("bye"));
	int fd = open_client(false);
	struct parrot *p = last;
	bool reads_seldom = below(&seed, 2) == 0, over = false;
	size_t sent = 0;
	while (!over) {
		size_t piece = 1 + below(&seed, below(&seed, 2) ? 30 : 40000);
		if (piece > requests.len - sent)
			piece = requests.len - sent;
		ssize_t taken = piece ? send(fd, requests.ptr + sent, piece, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		sent += taken > 0 ? (size_t)taken : 0;
		run((int)below(&seed, 6));
		if (!over && net.n_closed < net.n_opened)
			work_on(&seed, p);
		if (!reads_seldom || below(&seed, 10) == 0)
			over = hear(fd, &got);
	}
	cr_assert_eq(got.len, answers.len, "seed %lu", (unsigned long)seed);
	cr_assert_eq(memcmp(got.ptr, answers.ptr, got.len), 0, "seed %lu", (unsigned long)seed);
	close(fd);
	run_until(net.n_closed == net.n_opened);
	buf_fini(&requests);
	buf_fini(&answers);
	buf_fini(&got);
}

EACH_BACK_END(random_requests_in_random_pieces_are_answered_in_order)
{
	for (uint64_t seed = 1; seed <= 40; seed++)
		converse(seed * 0x9e3779b97f4a7c15);
}

EACH_BACK_END(clients_that_vanish_leave_nothing)
{
	uint64_t seed = 77;
	for (int i = 0; i < 200; i++) {
		struct buf requests = {0}, answers = {0};
		for (int j = 0; j < 20; j++)
			add_request(&seed, &requests, &answers);
		int fd = open_client(false);
		struct parrot *p = last;
		cr_assert_gt(send(fd, requests.ptr, requests.len, MSG_DONTWAIT), 0);
		run((int)below(&seed, 20));
		if (below(&seed, 2))
			connection_abort(&p->connection);
		else
			close(fd);
		run((int)below(&seed, 20));
		while (net.n_closed < net.n_opened && p->works) {
			work_end(p); /* which may begin the next */
			run(3);
		}
		(void)close(fd);
		run_until(net.n_closed == net.n_opened);
		buf_fini(&requests);
		buf_fini(&answers);
	}
}

/* ---- how long answers take --------------------------------------------------------------- */

enum { PAUSE_US = 20 * 1000, REPLIES = METRIC_COUNT + DURATION_REPLY * DURATION_SLOTS };

static uint64_t replies_sum_ns(void) { return net.core->metrics[REPLIES + DURATION_BUCKETS]; }

static uint64_t replies_count(void)
{
	uint64_t n = 0;
	for (unsigned bucket = 0; bucket < DURATION_BUCKETS; bucket++)
		n += net.core->metrics[REPLIES + bucket];
	return n;
}

EACH_BACK_END(time_from_request_to_answer_is_counted_once_for_each_batch)
{
	int fd = open_client(false);
	struct buf got = {0};
	say(fd, "E\x01x"
	        "E\x01y");
	run_until((hear(fd, &got), got.len == 2));
	cr_assert_eq(replies_count(), 1);
	say(fd, "B\x04wait");
	run_until(last->works);
	usleep(PAUSE_US);
	say(fd, "E\x01z");
	run(10);
	uint64_t before_ns = replies_sum_ns();
	work_end(last);
	run_until((hear(fd, &got), got.len == 7));
	cr_assert_eq(replies_count(), 2);
	cr_assert_geq(replies_sum_ns() - before_ns, PAUSE_US * 1000ull);
	connection_out(&last->connection);
	lend(&last->connection, 1); /* nobody asked */
	run_until((hear(fd, &got), got.len == 8));
	cr_assert_eq(replies_count(), 2);
	buf_fini(&got);
	close(fd);
}

EACH_BACK_END(clients_that_send_slowly_do_not_count_as_slow_answers)
{
	int fd = open_client(false);
	struct buf got = {0};
	say(fd, "E");
	run(10);
	usleep(PAUSE_US);
	say(fd, "\x01x");
	run_until((hear(fd, &got), got.len == 1));
	cr_assert_eq(replies_count(), 1);
	cr_assert_lt(replies_sum_ns(), PAUSE_US * 1000ull);
	buf_fini(&got);
	close(fd);
}

/* ---- limits ---------------------------------------------------------------------------------- */

EACH_BACK_END(a_choked_connection_takes_no_requests_until_it_is_read)
{
	int fd = open_client(false);
	struct connection *c = &last->connection;
	net.settings->client_output_soft_limit = 100 * 1000;
	say(fd, "L\xff");
	char many[6001] = "";
	for (int i = 0; i < 2000; i++)
		strcpy(many + i * 3, "E\x01x");
	say(fd, many);
	run(200);
	cr_assert(connection_is_choked(c));
	cr_assert_eq(connection_unsent(c), LENT_MAX);
	cr_assert_null(c->chunk.ptr, "a chunk is kept from others for as long as a reader is slow");
	struct buf got = {0};
	run_until((hear(fd, &got), got.len == LENT_MAX + 2000));
	cr_assert(!connection_is_choked(c));
	buf_fini(&got);
	close(fd);
}

EACH_BACK_END(what_waits_behind_a_request_is_bounded)
{
	int fd = open_client(false);
	struct parrot *p = last;
	static char much[4 << 20];
	for (size_t i = 0; i + 3 <= sizeof(much); i += 3)
		memcpy(much + i, "E\x01y", 3);
	say(fd, "B\x04wait");
	run_until(p->works);
	size_t sent = 0;
	for (int i = 0; i < 300; i++) {
		ssize_t taken = send(fd, much + sent, 60000, MSG_DONTWAIT);
		sent += taken > 0 ? (size_t)taken : 0;
		run(3);
	}
	cr_assert_lt(p->connection.waiting.len, 512 * 1024);
	cr_assert_lt(sent, 3 << 20);
	work_end(p);
	struct buf got = {0};
	run_until((hear(fd, &got), got.len == 4 + sent / 3));
	buf_fini(&got);
	close(fd);
}

EACH_BACK_END(requests_too_long_end_the_connection)
{
	net.settings->client_query_buffer_limit = 150;
	int fd = open_client(false);
	say(fd, "E\x64");
	run(50);
	for (int i = 0; i < 99; i++)
		say(fd, "x");
	run(50);
	cr_assert_eq(net.n_closed, 0);
	say(fd, "xE\xff");
	for (int i = 0; i < 160; i++)
		say(fd, "x");
	run_until(net.n_closed == 1);
	close(fd);
}

/* ---- the end ---------------------------------------------------------------------------------- */

EACH_BACK_END(a_closed_connection_listens_on_until_its_peer_has_left)
{
	int fd = open_client(false);
	struct connection *c = &last->connection;
	say(fd, "QE\x03"
	        "abc");
	struct buf got = {0};
	run_until(hear(fd, &got)); /* the server's half */
	cr_assert(slice_equal(buf_slice(&got), S("bye")));
	say(fd, "and more");
	run(50);
	cr_assert(c->lingering);
	cr_assert_null(c->chunk.ptr);
	buf_append(connection_out(c), S("too late"));
	connection_written(c);
	run(50);
	cr_assert_eq(net.n_closed, 0);
	close(fd);
	uint64_t left = io_now_ns(net.core->io);
	run_until(net.n_closed == 1);
	cr_assert_lt(io_now_ns(net.core->io) - left, 500ull * 1000 * 1000);
	buf_fini(&got);
}

EACH_BACK_END(lingering_ends_with_time_and_with_too_many_bytes)
{
	int silent = open_client(false);
	say(silent, "Q");
	run(50);
	uint64_t began = io_now_ns(net.core->io);
	int loud = open_client(false);
	say(loud, "Q");
	run(50);
	static char noise[1000];
	while (net.n_closed == 0) {
		(void)!send(loud, noise, sizeof(noise), MSG_DONTWAIT | MSG_NOSIGNAL);
		run(2);
	}
	cr_assert_lt(io_now_ns(net.core->io) - began, 900ull * 1000 * 1000);
	run_until(net.n_closed == 2);
	cr_assert_gt(io_now_ns(net.core->io) - began, 900ull * 1000 * 1000);
	close(silent);
	close(loud);
}

EACH_BACK_END(the_refused_hear_why_and_do_not_stay)
{
	int fd = open_client(true);
	struct buf got = {0};
	run_until(hear(fd, &got));
	cr_assert(slice_equal(buf_slice(&got), S("no")));
	run_until(net.n_closed == 1);
	buf_fini(&got);
	close(fd);
}

EACH_BACK_END(the_silent_are_told_of_after_the_timeout)
{
	net.settings->timeout = 1;
	network_follow_settings(net.core);
	int silent = open_client(false), busy = open_client(false);
	struct buf got = {0};
	uint64_t began = io_now_ns(net.core->io);
	while (net.n_idled == 0) {
		say(busy, "E\x01z");
		run(200);
		hear(busy, &got);
	}
	cr_assert_gt(io_now_ns(net.core->io) - began, 500ull * 1000 * 1000); /* it was silent before that, too */
	cr_assert_eq(net.n_idled, 1);
	net.settings->timeout = 0;
	network_follow_settings(net.core);
	cr_assert(!timer_started(&net.core->network->idle));
	buf_fini(&got);
	close(silent);
	close(busy);
}
