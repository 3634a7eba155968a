/* Many sockets, few chunks, no descriptors, and random operations against the contract. */
#include "tests/unit/engine/io/io_test.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- chunks --------------------------------------------------------------------------- */

EACH_BACK_END(sockets_starve_and_recover)
{
	enum { N = 400 };
	struct host host;
	static struct end clients[N], servers[N];
	host_listen_unix(&host, io);
	for (int i = 0; i < N; i++) {
		pair_connect(&host, &clients[i], &servers[i]);
		servers[i].hoard = true;
		end_write(&clients[i], "0123456789", 10);
	}
	int received;
#define count_received()                                \
	({                                              \
		received = 0;                           \
		for (int i_ = 0; i_ < N; i_++)          \
			received += servers[i_].n_data; \
		received;                               \
	})
	poll_until(io, count_received() == CHUNKS);
	poll_for(io, 3000000);
	cr_assert_eq(count_received(), CHUNKS);
	/* Starving costs no turns: nothing is tried until a chunk is released. */
	uint64_t before = io->enters;
	poll_for(io, 20000000);
	cr_assert_lt(io->enters - before, 10);
	/* One of those that starve goes meanwhile, and one is paused. */
	int gone = -1, paused = -1;
	for (int i = 0; i < N; i++)
		if (servers[i].n_data == 0) {
			paused = gone;
			gone = i;
		}
	end_close(&servers[gone]);
	io_pause(&servers[paused].socket);
	for (int i = 0; i < N; i++)
		end_release(&servers[i]);
	poll_until(io, count_received() == N - 2);
	for (int i = 0; i < N; i++)
		end_release(&servers[i]);
	io_recv(&servers[paused].socket);
	poll_until(io, count_received() == N - 1);
	for (int i = 0; i < N; i++) {
		end_fini(&clients[i]);
		end_fini(&servers[i]);
	}
	host_fini(&host);
}

/* ---- descriptors ------------------------------------------------------------------------ */

EACH_BACK_END(accept_backs_off_without_descriptors)
{
	struct host host;
	struct end clients[3];
	host_listen_unix(&host, io);
	for (int i = 0; i < 3; i++) {
		end_init(&clients[i], io);
		cr_assert_eq(io_connect_unix(&clients[i].socket, host.name), 0);
	}
	/* The connections wait in the listener's queue; there is no number left for their descriptors. */
	struct rlimit limit, none;
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	poll_until(io, host.n_refused > 0 || host.n_accepted > 0);
	cr_assert_eq(host.n_accepted, 0);
	cr_assert_eq(host.last_error, -EMFILE);
	uint64_t before = io->enters;
	int refused = host.n_refused;
	poll_for(io, 350000000);
	cr_assert_leq(host.n_refused - refused, 4);
	cr_assert_geq(host.n_refused - refused, 2);
	cr_assert_lt(io->enters - before, 30);
	setrlimit(RLIMIT_NOFILE, &limit);
	poll_until(io, host.n_accepted == 3);
	for (int i = 0; i < 3; i++)
		end_fini(&clients[i]);
	/* And a listener that backs off can be closed. */
	setrlimit(RLIMIT_NOFILE, &none);
	refused = host.n_refused;
	setrlimit(RLIMIT_NOFILE, &limit);
	end_init(&clients[0], io);
	cr_assert_eq(io_connect_unix(&clients[0].socket, host.name), 0);
	setrlimit(RLIMIT_NOFILE, &none);
	poll_until(io, host.n_refused > refused || host.n_accepted > 3);
	setrlimit(RLIMIT_NOFILE, &limit);
	host_fini(&host);
	end_fini(&clients[0]);
}

/* ---- many ------------------------------------------------------------------------------- */

/* A child holds the other ends, since all of them would pass the limit of descriptors. */
static void child_connects(const char *path, int n, int go)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	int *fds = calloc((size_t)n, sizeof(int));
	for (int i = 0; i < n; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&name, sizeof(name)) != 0)
			_exit(1);
	}
	char byte;
	if (read(go, &byte, 1) != 1)
		_exit(2);
	for (int i = 0; i < n; i++)
		if (write(fds[i], "ping", 4) != 4)
			_exit(3);
	for (int i = 0; i < n; i++)
		if (recv(fds[i], &name, 4, MSG_WAITALL) != 4)
			_exit(4);
	_exit(0); /* and all of them close at once */
}

static void ten_thousand(enum back_end which)
{
	enum { N = 10000 };
	struct io *io = back_end_new(which);
	struct host host;
	int go[2], received = 0, ended = 0, closed = 0, status;
	os_files_max_raise();
	host_listen_unix(&host, io);
	cr_assert_eq(pipe(go), 0);
	pid_t child = fork();
	if (child == 0)
		child_connects(host.name, N, go[0]);
	struct end *ends = memory_alloc(N * sizeof(*ends));
	uint64_t before = os_resident_bytes();
	for (int i = 0; i < N; i++) {
		end_init(&ends[i], io);
		ends[i].echo = true;
		io_adopt(&ends[i].socket, host_take(&host));
		io_recv(&ends[i].socket);
	}
	poll_for(io, 1000000);
	uint64_t grown = os_resident_bytes() - before;
	/* What the test itself keeps of each, and a little for the kernel-shared memory. */
	cr_assert_lt((int64_t)grown, (int64_t)(N * (sizeof(struct end) + 256)) + 4 * 1024 * 1024);
	cr_assert_eq(write(go[1], "x", 1), 1);
#define sum(total, field)                             \
	({                                            \
		total = 0;                            \
		for (int i_ = 0; i_ < N; i_++)        \
			total += (int)ends[i_].field; \
		total;                                \
	})
	poll_until(io, sum(received, received) == 4 * N);
	poll_until(io, sum(ended, n_end) == N);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	for (int i = 0; i < N; i++)
		end_close(&ends[i]);
	poll_until(io, sum(closed, n_closed) == N);
	for (int i = 0; i < N; i++)
		end_fini(&ends[i]);
	memory_free(ends);
	host_fini(&host);
	io_free(io);
}

Test(uring, ten_thousand_sockets, .timeout = 60) { ten_thousand(BACK_END_URING); }
Test(epoll, ten_thousand_sockets, .timeout = 60) { ten_thousand(BACK_END_EPOLL); }

/* ---- at random ---------------------------------------------------------------------------- */

enum { PAIRS = 40 };

struct random_test {
	struct host host;
	uint64_t random;
	struct end ends[2 * PAIRS];
	uint64_t written[2 * PAIRS];
	bool finished[2 * PAIRS];
};

static void renew(struct random_test *t, int pair)
{
	struct end *a = &t->ends[2 * pair], *b = a + 1;
	end_fini(a);
	end_fini(b);
	pair_connect(&t->host, a, b);
	a->check = b->check = true;
	for (int i = 2 * pair; i < 2 * pair + 2; i++) {
		t->written[i] = 0;
		t->finished[i] = false;
		t->ends[i].close_in = random_below(&t->random, 12) == 0 ? (int)(1 + random_below(&t->random, 3)) : 0;
		t->ends[i].hoard = random_below(&t->random, 5) == 0;
	}
}

static void random_write(struct random_test *t, int i)
{
	struct end *end = &t->ends[i];
	if (end->closing || t->finished[i] || end->output.len > 500000)
		return;
	size_t size = 1 + random_below(&t->random, random_below(&t->random, 10) ? 2000 : 200000);
	uint8_t *to = buf_reserve(&end->output, size);
	for (size_t k = 0; k < size; k++)
		to[k] = pattern(t->written[i] + k);
	end->output.len += size;
	t->written[i] += size;
	end_flush(end, 1 + (int)random_below(&t->random, 8));
}

static void random_step(struct random_test *t)
{
	int i = (int)random_below(&t->random, 2 * PAIRS);
	struct end *end = &t->ends[i];
	switch (random_below(&t->random, 20)) {
	case 0:
		end_close(end);
		break;
	case 1:
		if (!end->closing)
			io_pause(&end->socket);
		break;
	case 2:
		if (!end->closing && !end->sending && end->output.len == 0) {
			io_finish(&end->socket);
			t->finished[i] = true;
		}
		break;
	case 3:
		if (end->closing)
			renew(t, i / 2);
		break;
	case 4:
	case 5:
		end_release(end);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		if (!end->closing)
			io_recv(&end->socket);
		break;
	default:
		random_write(t, i);
		break;
	}
}

/* What arrived is a prefix of what was written (the pattern checks its bytes); whoever
 * reads on until the other side has finished gets all of it. */
EACH_BACK_END(random_operations_keep_the_contract)
{
	static struct random_test t;
	memset(&t, 0, sizeof(t));
	t.random = 0x9e3779b97f4a7c15ull;
	host_listen_unix(&t.host, io);
	for (int i = 0; i < 2 * PAIRS; i++)
		end_init(&t.ends[i], io);
	for (int pair = 0; pair < PAIRS; pair++)
		renew(&t, pair);
	for (int step = 0; step < 20000; step++) {
		random_step(&t);
		if (step % 3 == 0)
			io_poll(io, random_below(&t.random, 50) ? 0 : io_now_ns(io) + 20000);
		for (int i = 0; step % 500 == 0 && i < 2 * PAIRS; i++)
			cr_assert_leq(t.ends[i].received, t.written[i ^ 1]);
	}
	for (int i = 0; i < 2 * PAIRS; i++) {
		end_release(&t.ends[i]);
		t.ends[i].hoard = false;
		if (!t.ends[i].closing)
			io_recv(&t.ends[i].socket);
	}
	for (int i = 0; i < 2 * PAIRS; i++) {
		struct end *end = &t.ends[i], *peer = &t.ends[i ^ 1];
		if (end->closing || peer->closing || end->close_in || peer->close_in)
			continue;
		poll_until(io, end->received == t.written[i ^ 1]);
	}
	for (int i = 0; i < 2 * PAIRS; i++)
		end_fini(&t.ends[i]);
	host_fini(&t.host);
}
