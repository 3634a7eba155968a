/* uring.c -- the back end on io_uring: one ring for each core.
 *
 *   turn:  stage operations ... io_poll(): publish chunks, ONE enter, call back
 *
 * Rungs      The best kernel features first; a kernel that refuses one set gets the next.
 *            With deferred task work, completions happen only when the owner enters, so
 *            nothing interrupts a running turn; TASKRUN_FLAG says when entering is due.
 * Receiving  A multishot operation for each socket takes chunks from a ring that all
 *            sockets of the core share. The kernel takes them first in, first out, so only
 *            a window of them is published; the others wait on a stack. The window doubles
 *            when the kernel finds it empty. So 50 busy connections use 64 chunks over and
 *            over instead of walking through all of them, and an idle core touches none.
 * Starving   A receive that finds no chunk ends with ENOBUFS, which says nothing about the
 *            connection. Its socket queues and is armed again when chunks are published.
 * Closing    What flies is cancelled, its last completion awaited, then the descriptor
 *            is closed by the ring, and that completion calls `closed`: no completion that
 *            names a socket comes later, so user_data may be a plain pointer.
 * Files      By the ring, which hands what would block to helper threads of the kernel. What
 *            is done with directories has no operation, or would be three: it is rare, and
 *            goes to threads of ours (file_pool.h), whose answers come with a wake.
 * Waking     MSG_RING from a ring, staged and sent by the waker's next enter; an eventfd
 *            under a multishot poll from any other thread. `woken` is set by whoever wakes
 *            first and cleared when the completion is seen, both by exchange: a waker that
 *            finds it set knows that what it published before will be seen afterwards.
 */
#include "engine/io/file_pool.h"
#include "engine/io/io_private.h"
#include "engine/io/os.h"
#include "engine/io/uring_compat.h"
#include "engine/memory/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	SQ_ENTRIES = 1024,
	CQ_ENTRIES = 8192,
	REAP_MAX = 512,
	WINDOW_FIRST = 32,
	CHUNK_GROUP = 0,
	FILE_WORKERS = 4,         /* kernel helper threads a core may have for what would block */
	RW_SIZE_MAX = 0x7ffff000, /* the kernel's own limit for one operation */
};

/* What a completion is about: the top byte of user_data, over a pointer. */
enum kind {
	KIND_IGNORED,
	KIND_RECV,
	KIND_ACCEPT,
	KIND_SEND,
	KIND_CONNECT,
	KIND_CLOSE,
	KIND_FILE,
	KIND_WOKEN,     /* another ring's message */
	KIND_SIGNALLED, /* the eventfd's */
	KIND_WAKE_LOST, /* our message did not arrive */
};

/* io_socket.state */
enum {
	WANTED = 1,     /* the owner wants data */
	RECEIVING = 2,  /* a receive or an accept is in the kernel */
	CANCELLING = 4, /* and it has been told to end */
	SENDING = 8,
	CONNECTING = 16,
	LISTENING = 32,
	QUEUED = 64, /* in `starved` or `refused` */
	ENDED = 128,
	CLOSING = 256,
	CLOSED = 512, /* the descriptor's close is staged */
	BUSY = RECEIVING | SENDING | CONNECTING | QUEUED,
};

/* What an operation points to until the kernel has read it, which it does when the
 * operation is submitted: one for each submission entry. */
union argument {
	struct msghdr header;
	struct socket_name name;
};

struct uring {
	struct io io; /* first */
	struct io_uring ring;
	int enter_fd;
	unsigned enter_flags; /* always */
	unsigned sleep_flags; /* when waiting */

	struct io_uring_buf_ring *published;
	unsigned n_published, window;
	struct chunk_pool chunks;
	struct socket_list starved;

	struct socket_list refused; /* listeners without descriptors for what they accept */
	uint64_t accept_at_ns;
	bool sweep; /* a queued socket is closing */
	bool live;  /* set up to the end */

	union argument *arguments;
	unsigned n_files;
	struct file_pool pool;
	unsigned n_pooled;   /* given to the pool and not yet called back */
	uint64_t device;     /* that was last written to durably */
	bool writes_through; /* it does, see os_device_writes_through() */
	int eventfd;
	_Atomic uint32_t woken;
};

static const struct io_ops uring_ops;

static uint64_t tagged(enum kind kind, const void *ptr) { return (uint64_t)kind << 56 | (uintptr_t)ptr; }

static enum kind kind_of(uint64_t user_data) { return (enum kind)(user_data >> 56); }
static void *pointer_of(uint64_t user_data) { return (void *)(uintptr_t)(user_data & ((1ull << 56) - 1)); }

static struct uring *uring_of(struct io *io) { return (struct uring *)io; }

/* ---- entering the kernel ----------------------------------------------------------- */

static unsigned staged(const struct uring *u)
{
	return u->ring.sq.sqe_tail - io_uring_smp_load_acquire(u->ring.sq.khead);
}

static bool completions_ready(const struct uring *u)
{
	return *u->ring.cq.khead != io_uring_smp_load_acquire(u->ring.cq.ktail);
}

/* Work that waits for us to enter, or completions that had no room in the ring. */
static bool kernel_waits(const struct uring *u)
{
	return IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Submits everything; the kernel takes fewer only when it lacks memory for a moment. */
static void enter(struct uring *u, unsigned flags, uint64_t until_ns)
{
	struct __kernel_timespec time;
	struct io_uring_getevents_arg arg = {0};
	unsigned wait = 0;
	size_t arg_size = 0;
	void *arg_ptr = NULL;

	flags |= u->enter_flags;
	if (until_ns) {
		uint64_t now = until_ns == UINT64_MAX ? 0 : os_now_ns();
		wait = until_ns > now;
		if (wait && now) {
			time.tv_sec = (int64_t)((until_ns - now) / 1000000000);
			time.tv_nsec = (long long)((until_ns - now) % 1000000000);
			arg.ts = (uintptr_t)&time;
			arg_ptr = &arg;
			arg_size = sizeof(arg);
			flags |= IORING_ENTER_EXT_ARG;
		}
		if (wait)
			flags |= u->sleep_flags;
	}
	/* The index array is the identity, written once: publishing is one store. */
	io_uring_smp_store_release(u->ring.sq.ktail, u->ring.sq.sqe_tail);
	for (;;) {
		int got = io_uring_enter2((unsigned)u->enter_fd, staged(u), wait, flags, arg_ptr, arg_size);
		u->io.enters++;
		if (unlikely(got < 0 && got != -ETIME && got != -EINTR && got != -EAGAIN && got != -EBUSY))
			assert(!"io_uring_enter refuses what it took before");
		if (likely(staged(u) == 0))
			return;
		wait = 0;
		flags |= IORING_ENTER_GETEVENTS; /* what makes room in the kernel */
	}
}

static struct io_uring_sqe *stage(struct uring *u, unsigned op, int fd, uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	if (unlikely(!sqe)) {
		enter(u, 0, 0);
		sqe = io_uring_get_sqe(&u->ring);
	}
	*sqe = (struct io_uring_sqe){.opcode = (uint8_t)op, .fd = fd, .user_data = user_data};
	return sqe;
}

static union argument *argument_of(struct uring *u, const struct io_uring_sqe *sqe)
{
	return &u->arguments[sqe - u->ring.sq.sqes];
}

/* ---- receiving --------------------------------------------------------------------- */

static void arm(struct uring *u, struct io_socket *socket)
{
	assert(!(socket->state & (RECEIVING | QUEUED)));
	socket->state |= RECEIVING;
	if (socket->state & LISTENING) {
		struct io_uring_sqe *sqe = stage(u, IORING_OP_ACCEPT, socket->fd, tagged(KIND_ACCEPT, socket));
		sqe->ioprio = IORING_ACCEPT_MULTISHOT;
		/* Blocking: the ring waits by itself, and would take O_NONBLOCK for our wish to
		 * have EAGAIN. */
		sqe->accept_flags = SOCK_CLOEXEC;
		return;
	}
	struct io_uring_sqe *sqe = stage(u, IORING_OP_RECV, socket->fd, tagged(KIND_RECV, socket));
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = CHUNK_GROUP;
}

static void queue(struct socket_list *list, struct io_socket *socket)
{
	socket->state |= QUEUED;
	socket_list_push(list, socket);
}

static void close_when_idle(struct uring *u, struct io_socket *socket)
{
	if (socket->state & (BUSY | CLOSED))
		return;
	socket->state |= CLOSED;
	stage(u, socket->fd >= 0 ? IORING_OP_CLOSE : IORING_OP_NOP, socket->fd, tagged(KIND_CLOSE, socket));
	socket->fd = -1;
}

static void receive_ended(struct uring *u, struct io_socket *socket, int result)
{
	if (socket->state & CLOSING) {
		close_when_idle(u, socket);
		return;
	}
	/* None of these says anything about the connection. */
	if (result > 0 || result == -ENOBUFS || result == -ECANCELED || result == -EINTR || result == -EAGAIN) {
		if (!(socket->state & WANTED) || socket->state & (RECEIVING | QUEUED))
			return; /* paused, or the owner has asked again */
		if (result == -ENOBUFS)
			queue(&u->starved, socket);
		else
			arm(u, socket);
		return;
	}
	socket->state |= ENDED;
	socket->on->end(socket, result);
}

static void on_recv(struct uring *u, struct io_socket *socket, int result, unsigned flags)
{
	bool last = !(flags & IORING_CQE_F_MORE);
	if (last)
		socket->state &= (uint16_t) ~(RECEIVING | CANCELLING);
	if (flags & IORING_CQE_F_BUFFER) {
		unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
		u->n_published--;
		if (result > 0 && !(socket->state & CLOSING))
			socket->on->data(socket, chunk_lend(&u->chunks, id, (uint32_t)result));
		else
			chunk_put(&u->chunks, id);
	} else if (result == -ENOBUFS && u->chunks.n_free > 0 && u->window < CHUNKS) {
		u->window *= 2;
	}
	if (last)
		receive_ended(u, socket, result);
}

static void on_accept(struct uring *u, struct io_socket *listener, int result, unsigned flags)
{
	bool last = !(flags & IORING_CQE_F_MORE);
	bool bad = result < 0 && !accept_error_passes(result);
	if (last)
		listener->state &= (uint16_t) ~(RECEIVING | CANCELLING);
	if (listener->state & CLOSING) {
		if (result >= 0)
			close(result);
	} else if (result >= 0 || bad) {
		listener->on->accepted(listener, result);
	}
	if (!last)
		return;
	if (listener->state & CLOSING) {
		close_when_idle(u, listener);
	} else if (bad) {
		queue(&u->refused, listener);
		u->accept_at_ns = os_now_ns() + ACCEPT_RETRY_NS;
	} else {
		arm(u, listener);
	}
}

/* Takes closing sockets out of a queue; the others keep their order. */
static void sweep(struct uring *u, struct socket_list *list)
{
	struct socket_list all = *list;
	*list = (struct socket_list){0};
	for (struct io_socket *socket; (socket = socket_list_pop(&all));) {
		if (!(socket->state & CLOSING)) {
			socket_list_push(list, socket);
			continue;
		}
		socket->state &= (uint16_t)~QUEUED;
		close_when_idle(u, socket);
	}
}

static void arm_first(struct uring *u, struct socket_list *list)
{
	struct io_socket *socket = socket_list_pop(list);
	socket->state &= (uint16_t)~QUEUED;
	if (socket->state & (WANTED | LISTENING))
		arm(u, socket);
}

static void publish(struct uring *u)
{
	int n = 0;
	for (; u->n_published < u->window && u->chunks.n_free > 0; u->n_published++, n++) {
		unsigned id = chunk_take(&u->chunks);
		io_uring_buf_ring_add(u->published, chunk_at(&u->chunks, id), IO_CHUNK_SIZE, (unsigned short)id,
		                      CHUNKS - 1, n);
	}
	io_uring_buf_ring_advance(u->published, n);
}

/* Before entering: gives the kernel chunks, and sockets back that waited for some. */
static void replenish(struct uring *u)
{
	if (unlikely(u->sweep)) {
		u->sweep = false;
		sweep(u, &u->starved);
		sweep(u, &u->refused);
	}
	if (u->n_published < u->window && u->chunks.n_free > 0)
		publish(u);
	/* No more than can find a chunk: the others would only starve again. */
	for (unsigned n = u->n_published; n > 0 && u->starved.first; n--)
		arm_first(u, &u->starved);
	if (unlikely(u->refused.first) && os_now_ns() >= u->accept_at_ns)
		while (u->refused.first)
			arm_first(u, &u->refused);
}

static void uring_recv(struct io_socket *socket)
{
	if (socket->state & (ENDED | CLOSING))
		return;
	socket->state |= WANTED;
	/* A receive that is being cancelled is armed again when it has ended. */
	if (!(socket->state & (RECEIVING | QUEUED)))
		arm(uring_of(socket->io), socket);
}

static void cancel(struct uring *u, enum kind kind, struct io_socket *socket)
{
	struct io_uring_sqe *sqe = stage(u, IORING_OP_ASYNC_CANCEL, -1, tagged(KIND_IGNORED, NULL));
	sqe->addr = tagged(kind, socket);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

static void cancel_receive(struct uring *u, struct io_socket *socket)
{
	if (!(socket->state & RECEIVING) || socket->state & CANCELLING)
		return;
	socket->state |= CANCELLING;
	cancel(u, socket->state & LISTENING ? KIND_ACCEPT : KIND_RECV, socket);
}

static void uring_pause(struct io_socket *socket)
{
	socket->state &= (uint16_t)~WANTED;
	cancel_receive(uring_of(socket->io), socket);
}

static void uring_release(struct io *io, struct io_chunk chunk) { chunk_return(&uring_of(io)->chunks, chunk); }

/* ---- sending and closing ----------------------------------------------------------- */

static void uring_send(struct io_socket *socket, const struct iovec *iov, int n)
{
	struct uring *u = uring_of(socket->io);
	assert(n > 0 && n <= IO_SEND_IOVS);
	assert(!(socket->state & (SENDING | CLOSING)));
	socket->state |= SENDING;
	socket->send_iov = iov;
	socket->send_iovs = n;
	struct io_uring_sqe *sqe =
	        stage(u, n == 1 ? IORING_OP_SEND : IORING_OP_SENDMSG, socket->fd, tagged(KIND_SEND, socket));
	/* WAITALL: the kernel goes on after a short write by itself. */
	sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
	if (n == 1) {
		sqe->addr = (uintptr_t)iov->iov_base;
		sqe->len = (uint32_t)(iov->iov_len < RW_SIZE_MAX ? iov->iov_len : RW_SIZE_MAX);
		return;
	}
	struct msghdr *header = &argument_of(u, sqe)->header;
	*header = (struct msghdr){.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	sqe->addr = (uintptr_t)header;
	sqe->len = 1;
}

static void on_send(struct uring *u, struct io_socket *socket, int result)
{
	socket->state &= (uint16_t)~SENDING;
	if (unlikely(result == -EINTR || result == -EAGAIN) && !(socket->state & CLOSING)) {
		uring_send(socket, socket->send_iov, socket->send_iovs);
		return;
	}
	socket->on->sent(socket, result);
	if (socket->state & CLOSING)
		close_when_idle(u, socket);
}

static void uring_close(struct io_socket *socket)
{
	struct uring *u = uring_of(socket->io);
	assert(!(socket->state & CLOSING));
	socket->state |= CLOSING;
	socket->state &= (uint16_t)~WANTED;
	if (socket->state & LISTENING)
		socket_unlink(socket->fd);
	cancel_receive(u, socket);
	if (socket->state & SENDING)
		cancel(u, KIND_SEND, socket);
	if (socket->state & CONNECTING)
		cancel(u, KIND_CONNECT, socket);
	u->sweep |= (socket->state & QUEUED) != 0;
	close_when_idle(u, socket);
}

/* ---- listening and connecting ------------------------------------------------------- */

static int listen_on(struct io *io, struct io_socket *listener, int fd)
{
	if (fd < 0)
		return fd;
	listener->fd = fd;
	listener->state = LISTENING;
	arm(uring_of(io), listener);
	return 0;
}

static int uring_listen_tcp(struct io *io, struct io_socket *listener, const char *address, uint16_t port)
{
	return listen_on(io, listener, socket_listen_tcp(address, port, 0));
}

static int uring_listen_unix(struct io *io, struct io_socket *listener, const char *path, unsigned mode)
{
	return listen_on(io, listener, socket_listen_unix(path, mode, 0));
}

static int connect_to(struct io *io, struct io_socket *socket, const struct socket_name *name)
{
	struct uring *u = uring_of(io);
	int fd = socket_open(name, 0);
	if (fd < 0)
		return fd;
	socket->fd = fd;
	socket->state = CONNECTING;
	struct io_uring_sqe *sqe = stage(u, IORING_OP_CONNECT, fd, tagged(KIND_CONNECT, socket));
	struct socket_name *copy = &argument_of(u, sqe)->name;
	*copy = *name;
	sqe->addr = (uintptr_t)&copy->storage;
	sqe->off = copy->size;
	return 0;
}

static int uring_connect_tcp(struct io *io, struct io_socket *socket, const char *address, uint16_t port)
{
	struct socket_name name;
	int err = socket_name_tcp(address, port, &name);
	return err ? err : connect_to(io, socket, &name);
}

static int uring_connect_unix(struct io *io, struct io_socket *socket, const char *path)
{
	struct socket_name name;
	int err = socket_name_unix(path, &name);
	return err ? err : connect_to(io, socket, &name);
}

static void on_connect(struct uring *u, struct io_socket *socket, int result)
{
	socket->state &= (uint16_t)~CONNECTING;
	socket->on->connected(socket, result);
	if (socket->state & CLOSING)
		close_when_idle(u, socket);
}

static void uring_adopt(struct io *io, struct io_socket *socket, int fd)
{
	socket->fd = fd;
	socket->state = 0;
	socket_no_delay(fd);
}

/* ---- files -------------------------------------------------------------------------- */

/* Among the arguments of an operation: a sync is to follow the write; what the write before a sync has written. */
enum { SYNC_FOLLOWS, WRITTEN };

static struct io_uring_sqe *stage_file(struct io *io, struct io_op *op, unsigned code, int fd)
{
	struct uring *u = uring_of(io);
	u->n_files++;
	op->io = io;
	op->kind = code;
	return stage(u, code, fd, tagged(KIND_FILE, op));
}

static void stage_open(struct io *io, struct io_op *op)
{
	struct io_uring_sqe *sqe = stage_file(io, op, IORING_OP_OPENAT, AT_FDCWD);
	sqe->addr = op->args[0];
	sqe->open_flags = (unsigned)op->args[1];
	sqe->len = (unsigned)op->args[2];
}

static void uring_file_open(struct io *io, struct io_op *op, const char *path, unsigned flags, unsigned mode)
{
	op->args[0] = file_path_copy(path);
	op->args[1] = (uint64_t)file_open_flags(flags);
	op->args[2] = mode;
	stage_open(io, op);
}

static struct io_uring_sqe *stage_transfer(struct io *io, struct io_op *op, unsigned code, int fd, const void *bytes,
                                           size_t size, uint64_t at)
{
	struct io_uring_sqe *sqe = stage_file(io, op, code, fd);
	sqe->addr = (uintptr_t)bytes;
	sqe->len = (uint32_t)(size < RW_SIZE_MAX ? size : RW_SIZE_MAX);
	sqe->off = at;
	op->fd = fd;
	op->args[SYNC_FOLLOWS] = false;
	return sqe;
}

static void uring_file_read(struct io *io, struct io_op *op, int fd, void *to, size_t size, uint64_t at)
{
	(void)stage_transfer(io, op, IORING_OP_READ, fd, to, size, at);
}

static bool writes_through(struct uring *u, int fd)
{
	uint64_t device = os_device_of(fd);
	if (device != u->device) {
		u->device = device;
		u->writes_through = os_device_writes_through(device);
	}
	return u->writes_through;
}

static void uring_file_write(struct io *io, struct io_op *op, int fd, const void *from, size_t size, uint64_t at,
                             unsigned flags)
{
	struct io_uring_sqe *sqe = stage_transfer(io, op, IORING_OP_WRITE, fd, from, size, at);
	if (!(flags & IO_WRITE_DURABLE))
		return;
	if (writes_through(uring_of(io), fd))
		sqe->rw_flags = RWF_DSYNC;
	else
		op->args[SYNC_FOLLOWS] = true;
}

static void uring_file_sync(struct io *io, struct io_op *op, int fd)
{
	stage_file(io, op, IORING_OP_FSYNC, fd);
	op->args[WRITTEN] = 0;
}

/* The second half of a durable write to a device that must be told to flush. The kernel would do both (RWF_DSYNC), but
 * the sync on a kernel thread that is bound to the processor where the interrupt came, and so waits for whatever runs
 * there, mostly this very core: a commit then takes six times as long where processors are shared. The ring's own
 * threads wait for none. */
static void sync_written(struct uring *u, struct io_op *op, int written)
{
	u->n_files--;
	stage_file(&u->io, op, IORING_OP_FSYNC, op->fd)->fsync_flags = IORING_FSYNC_DATASYNC;
	op->args[WRITTEN] = (uint64_t)written;
}

static void uring_file_close(struct io *io, struct io_op *op, int fd) { stage_file(io, op, IORING_OP_CLOSE, fd); }

static void uring_file_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	op->args[0] = file_path_copy(from);
	op->args[1] = file_path_copy(to);
	struct io_uring_sqe *sqe = stage_file(io, op, IORING_OP_RENAMEAT, AT_FDCWD);
	sqe->addr = op->args[0];
	sqe->addr2 = op->args[1];
	sqe->len = (uint32_t)AT_FDCWD;
}

static void uring_file_remove(struct io *io, struct io_op *op, const char *path)
{
	op->args[0] = file_path_copy(path);
	stage_file(io, op, IORING_OP_UNLINKAT, AT_FDCWD)->addr = op->args[0];
}

static void uring_file_size(struct io *io, struct io_op *op, int fd)
{
	struct statx *status = memory_zalloc(sizeof(*status));
	op->args[0] = (uintptr_t)status;
	op->args[1] = (uintptr_t) "";
	struct io_uring_sqe *sqe = stage_file(io, op, IORING_OP_STATX, fd);
	sqe->addr = op->args[1];
	sqe->addr2 = (uintptr_t)status;
	sqe->len = STATX_SIZE;
	sqe->statx_flags = AT_EMPTY_PATH;
}

/* What the operation owned besides. */
static void settle_file(struct uring *u, struct io_op *op)
{
	u->n_files--;
	if (op->kind == IORING_OP_RENAMEAT)
		memory_free((void *)(uintptr_t)op->args[1]);
	if (op->kind == IORING_OP_OPENAT || op->kind == IORING_OP_RENAMEAT || op->kind == IORING_OP_UNLINKAT ||
	    op->kind == IORING_OP_STATX)
		memory_free((void *)(uintptr_t)op->args[0]);
}

static bool refuses_direct(const struct io_op *op, int result)
{
	return op->kind == IORING_OP_OPENAT && result == -EINVAL && op->args[1] & O_DIRECT;
}

static void on_file(struct uring *u, struct io_op *op, int result)
{
	if (refuses_direct(op, result)) {
		op->args[1] &= ~(uint64_t)O_DIRECT;
		u->n_files--;
		stage_open(&u->io, op);
		return;
	}
	if (op->kind == IORING_OP_WRITE && op->args[SYNC_FOLLOWS] && result > 0) {
		sync_written(u, op, result);
		return;
	}
	op->result = op->kind == IORING_OP_FSYNC && result == 0 ? (int64_t)op->args[WRITTEN] : result;
	if (op->kind == IORING_OP_STATX && result == 0)
		op->result = (int64_t)((const struct statx *)(uintptr_t)op->args[0])->stx_size;
	settle_file(u, op);
	op->done(op);
}

/* ---- directories ---------------------------------------------------------------------- */

static void give(struct io *io, struct io_op *op, enum file_kind kind, uint64_t first)
{
	struct uring *u = uring_of(io);
	op->args[0] = first;
	op->io = io;
	op->kind = kind;
	u->n_pooled++;
	file_pool_give(&u->pool, op);
}

/* File systems that cannot do it have every block written: no ring does that for them. */
static void uring_file_reserve(struct io *io, struct io_op *op, int fd, uint64_t size)
{
	op->fd = fd;
	give(io, op, FILE_RESERVE, size);
}

static void uring_dir_make(struct io *io, struct io_op *op, const char *path)
{
	give(io, op, FILE_DIR_MAKE, file_path_copy(path));
}

static void uring_dir_sync(struct io *io, struct io_op *op, const char *path)
{
	give(io, op, FILE_DIR_SYNC, file_path_copy(path));
}

static void uring_dir_list(struct io *io, struct io_op *op, const char *path, struct buf *names)
{
	op->args[1] = (uintptr_t)names;
	give(io, op, FILE_DIR_LIST, file_path_copy(path));
}

/* After a wake, which may be the pool's. */
static void take_pooled(struct uring *u)
{
	if (likely(u->n_pooled == 0))
		return;
	for (struct io_op *op = file_pool_take_done(&u->pool), *next; op; op = next) {
		next = op->next;
		u->n_pooled--;
		op->done(op);
	}
}

/* ---- waking ------------------------------------------------------------------------- */

static void signal_eventfd(struct uring *u)
{
	uint64_t one = 1;
	while (write(u->eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* The counter is never read: each write makes the poll complete once more. */
static void watch_eventfd(struct uring *u)
{
	struct io_uring_sqe *sqe = stage(u, IORING_OP_POLL_ADD, u->eventfd, tagged(KIND_SIGNALLED, NULL));
	sqe->len = IORING_POLL_ADD_MULTI;
	sqe->poll32_events = POLLIN;
}

/* From a thread of the pool. */
static void pool_has_done(void *arg)
{
	struct uring *u = arg;
	if (!atomic_exchange(&u->woken, 1))
		signal_eventfd(u);
}

static void uring_wake(struct io *io, struct io *target)
{
	struct uring *to = uring_of(target);
	/* Always an exchange, never a look first: it also orders what was published before. */
	if (atomic_exchange(&to->woken, 1))
		return;
	if (!io || io == target || io->ops != &uring_ops) {
		signal_eventfd(to);
		return;
	}
	struct io_uring_sqe *sqe =
	        stage(uring_of(io), IORING_OP_MSG_RING, to->ring.ring_fd, tagged(KIND_WAKE_LOST, to));
	sqe->off = tagged(KIND_WOKEN, NULL);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

/* ---- the turn ------------------------------------------------------------------------ */

static void handle(struct uring *u, const struct io_uring_cqe *cqe)
{
	void *ptr = pointer_of(cqe->user_data);
	switch (kind_of(cqe->user_data)) {
	case KIND_RECV:
		on_recv(u, ptr, cqe->res, cqe->flags);
		break;
	case KIND_SEND:
		on_send(u, ptr, cqe->res);
		break;
	case KIND_ACCEPT:
		on_accept(u, ptr, cqe->res, cqe->flags);
		break;
	case KIND_CONNECT:
		on_connect(u, ptr, cqe->res);
		break;
	case KIND_CLOSE: {
		struct io_socket *socket = ptr;
		socket->on->closed(socket); /* and it may be gone */
		break;
	}
	case KIND_FILE:
		on_file(u, ptr, cqe->res);
		break;
	case KIND_SIGNALLED:
		if (!(cqe->flags & IORING_CQE_F_MORE))
			watch_eventfd(u);
		/* fall through */
	case KIND_WOKEN:
		atomic_exchange(&u->woken, 0);
		take_pooled(u);
		break;
	case KIND_WAKE_LOST:
		signal_eventfd(ptr);
		break;
	case KIND_IGNORED: /* a cancel that came too late */
		break;
	}
}

static int reap(struct uring *u)
{
	struct io_uring_cq *cq = &u->ring.cq;
	unsigned head = *cq->khead, tail = io_uring_smp_load_acquire(cq->ktail);
	int n = 0;
	if (head != tail && u->io.awake)
		u->io.awake(&u->io);
	for (; head != tail && n < REAP_MAX; head++, n++) {
		/* A copy: handling may submit, and so let the kernel write completions. */
		struct io_uring_cqe cqe = cq->cqes[head & cq->ring_mask];
		handle(u, &cqe);
	}
	io_uring_smp_store_release(cq->khead, head);
	return n;
}

static int uring_poll(struct io *io, uint64_t until_ns)
{
	struct uring *u = uring_of(io);
	replenish(u);
	if (completions_ready(u))
		until_ns = 0;
	if (unlikely(u->refused.first) && until_ns > u->accept_at_ns)
		until_ns = u->accept_at_ns;
	if (until_ns || staged(u) || kernel_waits(u))
		enter(u, IORING_ENTER_GETEVENTS, until_ns);
	return reap(u);
}

/* ---- making and unmaking -------------------------------------------------------------- */

static const struct {
	unsigned flags;
	const char *note;
} rungs[URING_RUNGS] = {
        [URING_DEFER] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                                 IORING_SETUP_SUBMIT_ALL,
                         "io_uring, deferred task work"},
        [URING_COOP] = {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
                        "io_uring, cooperative task work"},
        [URING_PLAIN] = {0, "io_uring, no task work flags"},
};

/* Why a call of the set-up was refused, for whoever runs the server. */
static const char *hint(int err)
{
	switch (err) {
	case -EPERM:
		return " (sysctl kernel.io_uring_disabled, or a seccomp filter)";
	case -ENOSYS:
		return " (an old kernel, or a seccomp filter)";
	case -ENOMEM:
		return " (memory, or the limit of locked memory)";
	case -EINVAL:
	case -EOPNOTSUPP:
		return " (the kernel is too old: 6.0 or later is needed)";
	default:
		return "";
	}
}

static int refuse(const char *call, int err, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: %s%s", call, strerror(-err), hint(err));
	return err;
}

/* SEND_ZC came with 6.0, as multishot receive did, which no probe shows. */
static int probe_operations(struct io_uring *ring)
{
	enum { OPS = 256 };
	struct io_uring_probe *probe = memory_zalloc(sizeof(*probe) + OPS * sizeof(probe->ops[0]));
	int err = io_uring_register_probe(ring, probe, OPS);
	if (err == 0 && !(io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) &&
	                  io_uring_opcode_supported(probe, IORING_OP_MSG_RING)))
		err = -EOPNOTSUPP;
	memory_free(probe);
	return err;
}

/* A filter may let a ring be made and then forbid entering it. */
static int try_nop(struct uring *u)
{
	stage(u, IORING_OP_NOP, -1, tagged(KIND_IGNORED, NULL));
	io_uring_smp_store_release(u->ring.sq.ktail, u->ring.sq.sqe_tail);
	int got = io_uring_enter2((unsigned)u->enter_fd, 1, 1, u->enter_flags | IORING_ENTER_GETEVENTS, NULL, 0);
	if (got < 0)
		return got;
	return reap(u) == 1 ? 0 : -EIO;
}

static int publish_ring(struct uring *u)
{
	size_t size = CHUNKS * sizeof(struct io_uring_buf);
	u->published = memory_aligned(4096, size);
	memset(u->published, 0, size);
	struct io_uring_buf_reg reg = {
	        .ring_addr = (uintptr_t)u->published, .ring_entries = CHUNKS, .bgid = CHUNK_GROUP};
	u->window = WINDOW_FIRST;
	return io_uring_register_buf_ring(&u->ring, &reg, 0);
}

static int set_up_ring(struct uring *u, enum uring_rung rung)
{
	for (; rung < URING_RUNGS; rung++) {
		struct io_uring_params params = {.flags = rungs[rung].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		                                 .cq_entries = CQ_ENTRIES};
		u->io.note = rungs[rung].note;
		int err = io_uring_queue_init_params(SQ_ENTRIES, &u->ring, &params);
		if (err != -EINVAL)
			return err;
	}
	return -EINVAL;
}

static int set_up(struct uring *u, enum uring_rung rung, char *why, size_t why_size)
{
	u->ring.ring_fd = -1;
	u->eventfd = -1;
	int err = set_up_ring(u, rung);
	if (err) {
		u->ring.ring_fd = -1;
		return refuse("io_uring_setup", err, why, why_size);
	}
	const unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP |
	                        IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL;
	if ((u->ring.features & needed) != needed)
		return refuse("io_uring features", -EOPNOTSUPP, why, why_size);
	if ((err = probe_operations(&u->ring)) != 0)
		return refuse("io_uring_register", err, why, why_size);
	assert(u->ring.sq.ring_mask == u->ring.sq.ring_entries - 1);
	for (unsigned i = 0; i < u->ring.sq.ring_entries; i++)
		u->ring.sq.array[i] = i;
	u->arguments = memory_alloc(u->ring.sq.ring_entries * sizeof(*u->arguments));

	/* Looking up the descriptor at each enter costs about 20 of 170 ns. */
	bool registered = io_uring_register_ring_fd(&u->ring) == 1;
	u->enter_fd = u->ring.enter_ring_fd;
	u->enter_flags = registered ? IORING_ENTER_REGISTERED_RING : 0;
	/* A sleeping server waits for clients, not for disks: it must not count as load. */
	u->sleep_flags = u->ring.features & IORING_FEAT_NO_IOWAIT ? IORING_ENTER_NO_IOWAIT : 0;

	if ((err = try_nop(u)) != 0)
		return refuse("io_uring_enter", err, why, why_size);
	if ((err = chunk_pool_init(&u->chunks)) != 0)
		return refuse("mmap", err, why, why_size);
	if ((err = publish_ring(u)) != 0)
		return refuse("io_uring_register", err, why, why_size);
	unsigned workers[2] = {FILE_WORKERS, FILE_WORKERS};
	(void)io_uring_register_iowq_max_workers(&u->ring, workers);

	u->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->eventfd < 0)
		return refuse("eventfd", -errno, why, why_size);
	watch_eventfd(u);
	u->live = true;
	return 0;
}

/* Buffers of file operations are their callers', who free them after this. */
static void wait_for_files(struct uring *u)
{
	struct io_uring_cq *cq = &u->ring.cq;
	while (u->n_files > 0) {
		enter(u, IORING_ENTER_GETEVENTS, UINT64_MAX);
		unsigned head = *cq->khead, tail = io_uring_smp_load_acquire(cq->ktail);
		for (; head != tail; head++) {
			uint64_t user_data = cq->cqes[head & cq->ring_mask].user_data;
			if (kind_of(user_data) == KIND_FILE)
				settle_file(u, pointer_of(user_data));
		}
		io_uring_smp_store_release(cq->khead, head);
	}
}

/* Left to itself the kernel ends operations some time after the ring is gone, and keeps the
 * sockets they are on open until then. */
static void end_operations(struct uring *u)
{
	struct io_uring_sync_cancel_reg all = {.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
	                                       .timeout = {-1, -1}};
	(void)io_uring_register_sync_cancel(&u->ring, &all);
	enter(u, IORING_ENTER_GETEVENTS, 0);
}

static void uring_free(struct io *io)
{
	struct uring *u = uring_of(io);
	if (u->live) {
		wait_for_files(u);
		end_operations(u);
	}
	file_pool_fini(&u->pool);
	if (u->ring.ring_fd >= 0)
		io_uring_queue_exit(&u->ring);
	if (u->eventfd >= 0)
		close(u->eventfd);
	chunk_pool_fini(&u->chunks);
	memory_free(u->published);
	memory_free(u->arguments);
	memory_free(u);
}

static const struct io_ops uring_ops = {
        .name = "uring",
        .free = uring_free,
        .poll = uring_poll,
        .wake = uring_wake,
        .now_ns = real_now_ns,
        .wall_us = real_wall_us,
        .random = real_random,
        .listen_tcp = uring_listen_tcp,
        .listen_unix = uring_listen_unix,
        .connect_tcp = uring_connect_tcp,
        .connect_unix = uring_connect_unix,
        .adopt = uring_adopt,
        .refuse = real_refuse,
        .recv = uring_recv,
        .pause = uring_pause,
        .release = uring_release,
        .send = uring_send,
        .finish = real_finish,
        .close = uring_close,
        .peer = real_peer,
        .file_open = uring_file_open,
        .file_read = uring_file_read,
        .file_write = uring_file_write,
        .file_sync = uring_file_sync,
        .file_close = uring_file_close,
        .file_rename = uring_file_rename,
        .file_remove = uring_file_remove,
        .file_size = uring_file_size,
        .file_reserve = uring_file_reserve,
        .dir_make = uring_dir_make,
        .dir_sync = uring_dir_sync,
        .dir_list = uring_dir_list,
};

struct io *uring_new(enum uring_rung first, char *why, size_t why_size, int *error)
{
	struct uring *u = memory_zalloc(sizeof(*u));
	u->io.ops = &uring_ops;
	file_pool_init(&u->pool, pool_has_done, u);
	*error = set_up(u, first, why, why_size);
	if (*error == 0)
		return &u->io;
	uring_free(&u->io);
	return NULL;
}

void uring_geometry(struct io *io, unsigned *entries, unsigned *mask, unsigned *cq_entries)
{
	struct io_uring *ring = &uring_of(io)->ring;
	*entries = ring->sq.ring_entries;
	*mask = *ring->sq.kring_mask;
	*cq_entries = ring->cq.ring_entries;
}
