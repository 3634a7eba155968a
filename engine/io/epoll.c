/* epoll.c -- the back end on epoll, for kernels and containers that refuse io_uring.
 *
 *   turn:  sends go out where they are staged ... io_poll(): wait, receive, call back
 *
 * Watching   Level-triggered, and a descriptor is registered only while something is
 *            awaited on it: hang-ups are reported whether asked for or not, so a paused
 *            socket left registered would keep an idle core running.
 * Blocking   recv and send say MSG_DONTWAIT, so accepted descriptors need no flags and may
 *            move between the back ends.
 * Results    What is known where it was staged waits in `results` until io_poll().
 * Closing    The descriptor goes at once; `closed` waits in `results`, which run after the
 *            events of a turn, so that no event names a socket that is gone.
 * Files      Two threads (file_pool.h).
 * Waking     An eventfd, written once for each sleep. It is read before `woken` is cleared:
 *            the other way round a wake between the two would be swallowed.
 */
#include "engine/io/file_pool.h"
#include "engine/io/io_private.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256, /* in a turn */
	RECV_ROUNDS = 4,  /* chunks from one socket in a turn, so that others have theirs */
	ACCEPT_ROUNDS = 64,
};

/* io_socket.state */
enum {
	WANTED = 1, /* the owner wants data */
	SENDING = 2,
	CONNECTING = 4,
	BLOCKED = 8, /* the send or connect waits until the socket is writable */
	LISTENING = 16,
	QUEUED = 32, /* in `starved` or `refused` */
	ENDED = 64,
	CLOSING = 128,
	WATCH_IN = 256, /* what epoll knows */
	WATCH_OUT = 512,
};

struct result {
	struct io_socket *socket;
	ssize_t value;
	enum { RESULT_SENT, RESULT_CONNECTED, RESULT_END, RESULT_CLOSED } what;
};

struct epoll {
	struct io io; /* first */
	int epoll_fd, eventfd;
	struct chunk_pool chunks;
	struct socket_list starved, refused;
	uint64_t accept_at_ns;
	bool sweep; /* a queued socket is closing */
	struct result *results;
	size_t n_results, results_room;
	struct file_pool files;
	_Atomic uint32_t woken;
};

static struct epoll *epoll_of(struct io *io) { return (struct epoll *)io; }

static void add_result(struct epoll *e, struct io_socket *socket, int what, ssize_t value)
{
	if (e->n_results == e->results_room) {
		e->results_room = e->results_room ? e->results_room * 2 : 64;
		e->results = memory_resize(e->results, e->results_room * sizeof(*e->results));
	}
	e->results[e->n_results++] = (struct result){.socket = socket, .value = value, .what = what};
}

/* ---- watching ----------------------------------------------------------------------- */

static unsigned wanted_watch(const struct io_socket *socket)
{
	unsigned state = socket->state, watch = 0;
	if (state & (WANTED | LISTENING) && !(state & (ENDED | QUEUED)))
		watch |= WATCH_IN;
	if (state & BLOCKED)
		watch |= WATCH_OUT;
	return watch;
}

/* Without a place in the epoll set nothing would ever be heard of the socket. */
static void watch_failed(struct epoll *e, struct io_socket *socket, int err)
{
	if (socket->state & BLOCKED)
		add_result(e, socket, socket->state & CONNECTING ? RESULT_CONNECTED : RESULT_SENT, err);
	if (socket->state & WANTED && !(socket->state & ENDED)) {
		socket->state |= ENDED;
		add_result(e, socket, RESULT_END, err);
	}
	socket->state &= (uint16_t)~BLOCKED;
}

/* Tells epoll what the state asks for. */
static void watch(struct epoll *e, struct io_socket *socket)
{
	unsigned has = socket->state & (WATCH_IN | WATCH_OUT);
	unsigned wants = socket->state & CLOSING ? has : wanted_watch(socket);
	if (has == wants)
		return;
	struct epoll_event event = {.data.ptr = socket};
	event.events = (wants & WATCH_IN ? EPOLLIN : 0) | (wants & WATCH_OUT ? EPOLLOUT : 0);
	int op = !has ? EPOLL_CTL_ADD : wants ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
	if (epoll_ctl(e->epoll_fd, op, socket->fd, &event) != 0) {
		watch_failed(e, socket, -errno);
		return;
	}
	socket->state = (uint16_t)((socket->state & ~(WATCH_IN | WATCH_OUT)) | wants);
}

static void queue(struct socket_list *list, struct io_socket *socket)
{
	socket->state |= QUEUED;
	socket_list_push(list, socket);
}

static void sweep(struct socket_list *list)
{
	struct socket_list all = *list;
	*list = (struct socket_list){0};
	for (struct io_socket *socket; (socket = socket_list_pop(&all));)
		if (!(socket->state & CLOSING))
			socket_list_push(list, socket);
}

static void watch_first(struct epoll *e, struct socket_list *list)
{
	struct io_socket *socket = socket_list_pop(list);
	socket->state &= (uint16_t)~QUEUED;
	if (!(socket->state & CLOSING))
		watch(e, socket);
}

/* ---- receiving ---------------------------------------------------------------------- */

static void epoll_recv(struct io_socket *socket)
{
	if (socket->state & (ENDED | CLOSING))
		return;
	socket->state |= WANTED;
	watch(epoll_of(socket->io), socket);
}

static void epoll_pause(struct io_socket *socket)
{
	socket->state &= (uint16_t)~WANTED;
	watch(epoll_of(socket->io), socket);
}

static void epoll_release(struct io *io, struct io_chunk chunk) { chunk_return(&epoll_of(io)->chunks, chunk); }

static ssize_t receive_into(int fd, uint8_t *to)
{
	ssize_t got;
	do
		got = recv(fd, to, IO_CHUNK_SIZE, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Takes one chunk; whether there may be more. */
static bool receive_one(struct epoll *e, struct io_socket *socket)
{
	if (e->chunks.n_free == 0) {
		queue(&e->starved, socket);
		watch(e, socket);
		return false;
	}
	unsigned id = chunk_take(&e->chunks);
	ssize_t got = receive_into(socket->fd, chunk_open(&e->chunks, id));
	if (got > 0) {
		socket->on->data(socket, chunk_lend(&e->chunks, id, (uint32_t)got));
		return got == IO_CHUNK_SIZE;
	}
	chunk_put(&e->chunks, id);
	if (got == -EAGAIN)
		return false;
	socket->state |= ENDED;
	watch(e, socket);
	socket->on->end(socket, (int)got);
	return false;
}

static void receive(struct epoll *e, struct io_socket *socket)
{
	for (int i = 0; i < RECV_ROUNDS; i++) {
		if (!(socket->state & WANTED) || socket->state & (ENDED | QUEUED | CLOSING))
			return;
		if (!receive_one(e, socket))
			return;
	}
}

static void accept_some(struct epoll *e, struct io_socket *listener)
{
	for (int i = 0; i < ACCEPT_ROUNDS && !(listener->state & CLOSING); i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
		int result = fd < 0 ? -errno : fd;
		if (result == -EAGAIN)
			return;
		if (accept_error_passes(result))
			continue;
		if (result < 0) {
			queue(&e->refused, listener);
			e->accept_at_ns = os_now_ns() + ACCEPT_RETRY_NS;
			watch(e, listener);
			listener->on->accepted(listener, result);
			return;
		}
		listener->on->accepted(listener, result);
	}
}

/* ---- sending and connecting ----------------------------------------------------------- */

static ssize_t try_send(struct io_socket *socket)
{
	struct msghdr header = {.msg_iov = (struct iovec *)socket->send_iov, .msg_iovlen = (size_t)socket->send_iovs};
	ssize_t sent;
	do
		sent = sendmsg(socket->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static void epoll_send(struct io_socket *socket, const struct iovec *iov, int n)
{
	struct epoll *e = epoll_of(socket->io);
	assert(n > 0 && n <= IO_SEND_IOVS);
	assert(!(socket->state & (SENDING | CLOSING)));
	socket->state |= SENDING;
	socket->send_iov = iov;
	socket->send_iovs = n;
	ssize_t sent = try_send(socket);
	if (sent != -EAGAIN) {
		add_result(e, socket, RESULT_SENT, sent);
		return;
	}
	socket->state |= BLOCKED;
	watch(e, socket);
}

static void unblocked(struct epoll *e, struct io_socket *socket)
{
	if (socket->state & CONNECTING) {
		int err = 0;
		socklen_t size = sizeof(err);
		if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &err, &size) != 0)
			err = errno;
		socket->state &= (uint16_t) ~(BLOCKED | CONNECTING);
		watch(e, socket);
		socket->on->connected(socket, -err);
		return;
	}
	ssize_t sent = try_send(socket);
	if (sent == -EAGAIN)
		return;
	socket->state &= (uint16_t) ~(BLOCKED | SENDING);
	/* It is watched for writing until here, and again if the owner's next send blocks. */
	socket->on->sent(socket, sent);
	watch(e, socket);
}

static int connect_to(struct io *io, struct io_socket *socket, const struct socket_name *name)
{
	struct epoll *e = epoll_of(io);
	int fd = socket_open(name, SOCK_NONBLOCK);
	if (fd < 0)
		return fd;
	int err = connect(fd, (const struct sockaddr *)&name->storage, name->size) == 0 ? 0 : errno;
	if (err && err != EINPROGRESS && err != EINTR) {
		close(fd);
		return -err;
	}
	socket->fd = fd;
	socket->state = CONNECTING;
	if (err) {
		socket->state |= BLOCKED;
		watch(e, socket);
	} else {
		add_result(e, socket, RESULT_CONNECTED, 0);
	}
	return 0;
}

static int epoll_connect_tcp(struct io *io, struct io_socket *socket, const char *address, uint16_t port)
{
	struct socket_name name;
	int err = socket_name_tcp(address, port, &name);
	return err ? err : connect_to(io, socket, &name);
}

static int epoll_connect_unix(struct io *io, struct io_socket *socket, const char *path)
{
	struct socket_name name;
	int err = socket_name_unix(path, &name);
	return err ? err : connect_to(io, socket, &name);
}

static int listen_on(struct io *io, struct io_socket *listener, int fd)
{
	if (fd < 0)
		return fd;
	listener->fd = fd;
	listener->state = LISTENING;
	watch(epoll_of(io), listener);
	if (listener->state & WATCH_IN)
		return 0;
	close(fd);
	listener->fd = -1;
	return -ENOSPC;
}

static int epoll_listen_tcp(struct io *io, struct io_socket *listener, const char *address, uint16_t port)
{
	return listen_on(io, listener, socket_listen_tcp(address, port, SOCK_NONBLOCK));
}

static int epoll_listen_unix(struct io *io, struct io_socket *listener, const char *path, unsigned mode)
{
	return listen_on(io, listener, socket_listen_unix(path, mode, SOCK_NONBLOCK));
}

static void epoll_adopt(struct io *io, struct io_socket *socket, int fd)
{
	socket->fd = fd;
	socket->state = 0;
	socket_no_delay(fd);
}

static void epoll_close(struct io_socket *socket)
{
	struct epoll *e = epoll_of(socket->io);
	assert(!(socket->state & CLOSING));
	if (socket->state & LISTENING)
		socket_unlink(socket->fd);
	if (socket->state & BLOCKED)
		add_result(e, socket, socket->state & CONNECTING ? RESULT_CONNECTED : RESULT_SENT, -ECANCELED);
	e->sweep |= (socket->state & QUEUED) != 0;
	socket->state |= CLOSING;
	socket->state &= (uint16_t) ~(WANTED | BLOCKED);
	if (socket->fd >= 0)
		close(socket->fd); /* and epoll forgets it */
	socket->fd = -1;
	add_result(e, socket, RESULT_CLOSED, 0);
}

/* ---- files -------------------------------------------------------------------------- */

static void give(struct io *io, struct io_op *op, enum file_kind kind, int fd)
{
	op->io = io;
	op->kind = kind;
	op->fd = fd;
	file_pool_give(&epoll_of(io)->files, op);
}

static void epoll_file_open(struct io *io, struct io_op *op, const char *path, unsigned flags, unsigned mode)
{
	op->args[0] = file_path_copy(path);
	op->args[1] = (uint64_t)file_open_flags(flags);
	op->args[2] = mode;
	give(io, op, FILE_OPEN, -1);
}

static void transfer(struct io *io, struct io_op *op, enum file_kind kind, int fd, const void *bytes, size_t size,
                     uint64_t at, int flags)
{
	op->args[0] = (uintptr_t)bytes;
	op->args[1] = size;
	op->args[2] = at;
	op->args[3] = (uint64_t)flags;
	give(io, op, kind, fd);
}

static void epoll_file_read(struct io *io, struct io_op *op, int fd, void *to, size_t size, uint64_t at)
{
	transfer(io, op, FILE_READ, fd, to, size, at, 0);
}

static void epoll_file_write(struct io *io, struct io_op *op, int fd, const void *from, size_t size, uint64_t at,
                             unsigned flags)
{
	transfer(io, op, FILE_WRITE, fd, from, size, at, flags & IO_WRITE_DURABLE ? RWF_DSYNC : 0);
}

static void epoll_file_sync(struct io *io, struct io_op *op, int fd) { give(io, op, FILE_SYNC, fd); }
static void epoll_file_close(struct io *io, struct io_op *op, int fd) { give(io, op, FILE_CLOSE, fd); }

static void epoll_file_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	op->args[0] = file_path_copy(from);
	op->args[1] = file_path_copy(to);
	give(io, op, FILE_RENAME, -1);
}

static void epoll_file_size(struct io *io, struct io_op *op, int fd) { give(io, op, FILE_SIZE, fd); }

static void epoll_file_reserve(struct io *io, struct io_op *op, int fd, uint64_t size)
{
	op->args[0] = size;
	give(io, op, FILE_RESERVE, fd);
}

static void give_path(struct io *io, struct io_op *op, enum file_kind kind, const char *path)
{
	op->args[0] = file_path_copy(path);
	give(io, op, kind, -1);
}

static void epoll_file_remove(struct io *io, struct io_op *op, const char *path)
{
	give_path(io, op, FILE_REMOVE, path);
}

static void epoll_dir_make(struct io *io, struct io_op *op, const char *path)
{
	give_path(io, op, FILE_DIR_MAKE, path);
}

static void epoll_dir_sync(struct io *io, struct io_op *op, const char *path)
{
	give_path(io, op, FILE_DIR_SYNC, path);
}

static void epoll_dir_list(struct io *io, struct io_op *op, const char *path, struct buf *names)
{
	op->args[1] = (uintptr_t)names;
	give_path(io, op, FILE_DIR_LIST, path);
}

/* ---- waking ------------------------------------------------------------------------- */

static void wake(void *arg)
{
	struct epoll *e = arg;
	uint64_t one = 1;
	/* Always an exchange, never a look first: it also orders what was published before. */
	if (atomic_exchange(&e->woken, 1))
		return;
	while (write(e->eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void epoll_wake(struct io *io, struct io *target) { wake(epoll_of(target)); }

static int on_woken(struct epoll *e)
{
	uint64_t count;
	while (read(e->eventfd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	atomic_exchange(&e->woken, 0);
	int n = 1;
	for (struct io_op *op = file_pool_take_done(&e->files), *next; op; op = next, n++) {
		next = op->next;
		op->done(op);
	}
	return n;
}

/* ---- the turn ------------------------------------------------------------------------ */

static int run_results(struct epoll *e)
{
	if (e->sweep) {
		e->sweep = false;
		sweep(&e->starved);
		sweep(&e->refused);
	}
	size_t n = e->n_results;
	for (size_t i = 0; i < n; i++) {
		struct result r = e->results[i]; /* a copy: callbacks add results */
		switch (r.what) {
		case RESULT_SENT:
			r.socket->state &= (uint16_t)~SENDING;
			r.socket->on->sent(r.socket, r.value);
			break;
		case RESULT_CONNECTED:
			r.socket->state &= (uint16_t)~CONNECTING;
			r.socket->on->connected(r.socket, (int)r.value);
			break;
		case RESULT_END:
			if (!(r.socket->state & CLOSING))
				r.socket->on->end(r.socket, (int)r.value);
			break;
		case RESULT_CLOSED:
			r.socket->on->closed(r.socket); /* and it may be gone */
			break;
		}
	}
	e->n_results -= n;
	if (e->n_results)
		memmove(e->results, e->results + n, e->n_results * sizeof(*e->results));
	return (int)n;
}

static void on_event(struct epoll *e, struct io_socket *socket, unsigned events)
{
	if (socket->state & CLOSING)
		return; /* by a callback of this turn */
	if (socket->state & LISTENING) {
		accept_some(e, socket);
		return;
	}
	if (socket->state & BLOCKED && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		unblocked(e, socket);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(e, socket);
}

static int wait_events(struct epoll *e, struct epoll_event *events, uint64_t until_ns)
{
	struct timespec time = {0}, *time_ptr = &time;
	if (until_ns == UINT64_MAX) {
		time_ptr = NULL;
	} else if (until_ns) {
		uint64_t now = os_now_ns(), left = until_ns > now ? until_ns - now : 0;
		time.tv_sec = (time_t)(left / 1000000000);
		time.tv_nsec = (long)(left % 1000000000);
	}
	e->io.enters++;
	int n = epoll_pwait2(e->epoll_fd, events, EVENTS_MAX, time_ptr, NULL);
	if (n < 0 && errno == ENOSYS) {
		/* Before Linux 5.11: milliseconds, rounded up so as not to spin through the last one. */
		int64_t ms = !time_ptr ? -1 : time.tv_sec * 1000 + (time.tv_nsec + 999999) / 1000000;
		n = epoll_wait(e->epoll_fd, events, EVENTS_MAX, ms > INT32_MAX ? INT32_MAX : (int)ms);
	}
	return n < 0 ? 0 : n; /* EINTR: nothing has happened */
}

static void replenish(struct epoll *e)
{
	for (unsigned n = e->chunks.n_free; n > 0 && e->starved.first; n--)
		watch_first(e, &e->starved);
	if (unlikely(e->refused.first) && os_now_ns() >= e->accept_at_ns)
		while (e->refused.first)
			watch_first(e, &e->refused);
}

static int epoll_poll(struct io *io, uint64_t until_ns)
{
	struct epoll *e = epoll_of(io);
	struct epoll_event events[EVENTS_MAX];
	replenish(e);
	if (e->n_results > 0)
		until_ns = 0;
	if (unlikely(e->refused.first) && until_ns > e->accept_at_ns)
		until_ns = e->accept_at_ns;
	int n = wait_events(e, events, until_ns), handled = n;
	if ((n > 0 || e->n_results > 0) && io->awake)
		io->awake(io);
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr)
			on_event(e, events[i].data.ptr, events[i].events);
		else
			handled += on_woken(e) - 1;
	}
	return handled + run_results(e);
}

/* ---- making and unmaking -------------------------------------------------------------- */

static void epoll_free(struct io *io)
{
	struct epoll *e = epoll_of(io);
	file_pool_fini(&e->files);
	if (e->eventfd >= 0)
		close(e->eventfd);
	if (e->epoll_fd >= 0)
		close(e->epoll_fd);
	chunk_pool_fini(&e->chunks);
	memory_free(e->results);
	memory_free(e);
}

static const struct io_ops epoll_ops = {
        .name = "epoll",
        .free = epoll_free,
        .poll = epoll_poll,
        .wake = epoll_wake,
        .now_ns = real_now_ns,
        .wall_us = real_wall_us,
        .random = real_random,
        .listen_tcp = epoll_listen_tcp,
        .listen_unix = epoll_listen_unix,
        .connect_tcp = epoll_connect_tcp,
        .connect_unix = epoll_connect_unix,
        .adopt = epoll_adopt,
        .refuse = real_refuse,
        .recv = epoll_recv,
        .pause = epoll_pause,
        .release = epoll_release,
        .send = epoll_send,
        .finish = real_finish,
        .close = epoll_close,
        .peer = real_peer,
        .file_open = epoll_file_open,
        .file_read = epoll_file_read,
        .file_write = epoll_file_write,
        .file_sync = epoll_file_sync,
        .file_close = epoll_file_close,
        .file_rename = epoll_file_rename,
        .file_remove = epoll_file_remove,
        .file_size = epoll_file_size,
        .file_reserve = epoll_file_reserve,
        .dir_make = epoll_dir_make,
        .dir_sync = epoll_dir_sync,
        .dir_list = epoll_dir_list,
};

static int set_up(struct epoll *e)
{
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (e->epoll_fd < 0 || e->eventfd < 0 || epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->eventfd, &event) != 0)
		return -errno;
	return chunk_pool_init(&e->chunks);
}

struct io *epoll_new(char *why, size_t why_size)
{
	struct epoll *e = memory_zalloc(sizeof(*e));
	e->io = (struct io){.ops = &epoll_ops, .note = "epoll, files on two threads"};
	file_pool_init(&e->files, wake, e);
	int err = set_up(e);
	if (!err)
		return &e->io;
	snprintf(why, why_size, "epoll: %s", strerror(-err));
	epoll_free(&e->io);
	return NULL;
}
