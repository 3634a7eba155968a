/* io.h -- the one window on the kernel: sockets, files, clock, randomness, sleep.
 *
 * What      A core owns one `struct io`. The core stages operations, then io_poll()
 *           hands them to the kernel, sleeps if told to, and calls back what completed.
 *           Nothing in Orbit calls the kernel for these around this interface, so the
 *           same code runs on three back ends: `uring`, `epoll` (with threads for
 *           files), and `sim`, where one thread plays all cores on virtual time.
 * Owner     Every call is made on the owning core, except where it says otherwise.
 * Calls     Callbacks run only inside io_poll(), never inside the call that staged them.
 *           A callback may stage further operations and may close its own socket.
 * Errors    Results are >= 0, or -errno as the kernel says it.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "engine/base/rare.h"
#include "engine/base/slice.h"

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct io;
struct io_socket;

/* ---- received bytes ------------------------------------------------------------- */

/* Bytes that arrived, in the back end's memory. Whoever is given one releases it once,
 * at any later time; while too many are out, sockets simply stop receiving. */
struct io_chunk {
	uint8_t *ptr;
	uint32_t len;
	uint32_t id; /* the back end's */
};

enum { IO_CHUNK_SIZE = 16 * 1024 }; /* most bytes in one chunk */

/* ---- sockets -------------------------------------------------------------------- */

/* Who is told about a socket. `data` takes the chunk. After `end` (0: the peer has sent
 * all; else -errno) no data comes. `sent` answers io_send(): bytes accepted, maybe fewer
 * than given, or -errno. `accepted` is for listeners: a connected descriptor, which the
 * callee owns, or -errno. `connected` answers io_connect(). `closed` answers
 * io_socket_close(): nothing is in flight any more and the owner may free the socket. */
struct io_socket_events {
	void (*data)(struct io_socket *socket, struct io_chunk chunk);
	void (*end)(struct io_socket *socket, int error);
	void (*sent)(struct io_socket *socket, ssize_t result);
	void (*accepted)(struct io_socket *listener, int result);
	void (*connected)(struct io_socket *socket, int result);
	void (*closed)(struct io_socket *socket);
};

/* Lies inside its owner (a connection, a listener). Zeroed, then io_socket_init(). Only
 * back ends touch the fields. */
struct io_socket {
	struct io *io;
	const struct io_socket_events *on;
	int fd;         /* descriptor, or the simulator's number */
	uint16_t state; /* the back end's flags */
	int send_iovs;
	const struct iovec *send_iov;   /* the send in flight */
	struct io_socket *next_starved; /* waits for a chunk to be released */
};

/* ---- other operations ----------------------------------------------------------- */

/* One file operation; lies inside its owner until `done` is called. */
struct io_op {
	void (*done)(struct io_op *op);
	int64_t result; /* >= 0, or -errno */
	/* the back end's: */
	struct io_op *next;
	struct io *io;
	uint64_t args[4];
	uint32_t kind;
	int fd;
};

enum {
	IO_OPEN_READ = 1,
	IO_OPEN_WRITE = 2,
	IO_OPEN_CREATE = 4,
	IO_OPEN_DIRECT = 8, /* O_DIRECT: buffer, offset and length multiples of 4096; through the page
	                     * cache where the file system has no such thing */
};

enum {
	IO_WRITE_DURABLE = 1, /* done only when the device has it */
};

/* ---- the back end --------------------------------------------------------------- */

struct io_ops {
	const char *name; /* "uring", "epoll", "sim" */
	void (*free)(struct io *io);

	int (*poll)(struct io *io, uint64_t until_ns);
	void (*wake)(struct io *io, struct io *target);
	uint64_t (*now_ns)(struct io *io);
	int64_t (*wall_us)(struct io *io);
	void (*random)(struct io *io, void *out, size_t size);

	int (*listen_tcp)(struct io *io, struct io_socket *listener, const char *address, uint16_t port);
	int (*listen_unix)(struct io *io, struct io_socket *listener, const char *path, unsigned mode);
	int (*connect_tcp)(struct io *io, struct io_socket *socket, const char *address, uint16_t port);
	int (*connect_unix)(struct io *io, struct io_socket *socket, const char *path);
	void (*adopt)(struct io *io, struct io_socket *socket, int fd);
	void (*refuse)(struct io *io, int fd);
	void (*recv)(struct io_socket *socket);
	void (*pause)(struct io_socket *socket);
	void (*release)(struct io *io, struct io_chunk chunk);
	void (*send)(struct io_socket *socket, const struct iovec *iov, int n);
	void (*finish)(struct io_socket *socket);
	void (*close)(struct io_socket *socket);
	int (*peer)(struct io_socket *socket, bool local, char *out, size_t size);

	void (*file_open)(struct io *io, struct io_op *op, const char *path, unsigned flags, unsigned mode);
	void (*file_read)(struct io *io, struct io_op *op, int fd, void *to, size_t size, uint64_t at);
	void (*file_write)(struct io *io, struct io_op *op, int fd, const void *from, size_t size, uint64_t at,
	                   unsigned flags);
	void (*file_sync)(struct io *io, struct io_op *op, int fd);
	void (*file_close)(struct io *io, struct io_op *op, int fd);
	void (*file_rename)(struct io *io, struct io_op *op, const char *from, const char *to);
	void (*file_remove)(struct io *io, struct io_op *op, const char *path);
	void (*file_size)(struct io *io, struct io_op *op, int fd);
	void (*file_reserve)(struct io *io, struct io_op *op, int fd, uint64_t size);
	void (*dir_make)(struct io *io, struct io_op *op, const char *path);
	void (*dir_sync)(struct io *io, struct io_op *op, const char *path);
	void (*dir_list)(struct io *io, struct io_op *op, const char *path, struct buf *names);
};

/* First in every back end's own struct. */
struct io {
	const struct io_ops *ops;
	void *owner;      /* the core, for callbacks that need it */
	const char *note; /* the rung of the degrade ladder that runs, for logs and INFO */
	uint64_t enters;  /* io_poll() calls that went into the kernel */
	/* The owner's, or NULL: told in io_poll() after its wait, before the first callback, so
	 * that callbacks find a clock that has not slept. */
	void (*awake)(struct io *io);
};

/* Submits what is staged, reaps what completed (bounded) and calls it back. With
 * `until_ns` 0 it does not wait; otherwise it sleeps until something happens, a wake
 * comes or the monotonic clock reaches `until_ns` (UINT64_MAX: for ever). Returns how
 * many completions were handled. */
static inline int io_poll(struct io *io, uint64_t until_ns) { return io->ops->poll(io, until_ns); }

/* Ends the sleep of `target`, at once or as soon as it begins. Called on the core of
 * `io`; `io` NULL from a thread that is no core. Cheap to call twice, never lost. */
static inline void io_wake(struct io *io, struct io *target) { target->ops->wake(io, target); }

/* Monotonic nanoseconds; and microseconds since 1970, which may jump. */
static inline uint64_t io_now_ns(struct io *io) { return io->ops->now_ns(io); }
static inline int64_t io_wall_us(struct io *io) { return io->ops->wall_us(io); }
static inline void io_random(struct io *io, void *out, size_t size) { io->ops->random(io, out, size); }

static inline void io_socket_init(struct io_socket *socket, struct io *io, const struct io_socket_events *on)
{
	*socket = (struct io_socket){.io = io, .on = on, .fd = -1};
}

/* Binds, listens and goes on accepting until io_socket_close(). Port 0 picks one: see
 * io_socket_address(). A left-over Unix socket file that nobody serves is replaced. */
static inline int must_check io_listen_tcp(struct io_socket *l, const char *address, uint16_t port)
{
	return l->io->ops->listen_tcp(l->io, l, address, port);
}
static inline int must_check io_listen_unix(struct io_socket *l, const char *path, unsigned mode)
{
	return l->io->ops->listen_unix(l->io, l, path, mode);
}

/* 0, then on->connected comes; or -errno at once. */
static inline int must_check io_connect_tcp(struct io_socket *s, const char *address, uint16_t port)
{
	return s->io->ops->connect_tcp(s->io, s, address, port);
}
static inline int must_check io_connect_unix(struct io_socket *s, const char *path)
{
	return s->io->ops->connect_unix(s->io, s, path);
}

/* Makes an accepted descriptor (of any core's listener) this socket's; sets TCP_NODELAY. */
static inline void io_adopt(struct io_socket *socket, int fd) { socket->io->ops->adopt(socket->io, socket, fd); }

/* Closes an accepted descriptor nobody wants. */
static inline void io_refuse(struct io *io, int fd) { io->ops->refuse(io, fd); }

/* Receive until io_pause() or the end; both may be called again at any time. After a
 * pause, chunks already on their way may still come. */
static inline void io_recv(struct io_socket *socket) { socket->io->ops->recv(socket); }
static inline void io_pause(struct io_socket *socket) { socket->io->ops->pause(socket); }
static inline void io_chunk_release(struct io *io, struct io_chunk chunk) { io->ops->release(io, chunk); }

/* Sends; at most one in flight for each socket. The iovecs (64 at most) and their bytes
 * stay untouched until on->sent. */
enum { IO_SEND_IOVS = RARE(64, 3) };
static inline void io_send(struct io_socket *socket, const struct iovec *iov, int n)
{
	socket->io->ops->send(socket, iov, n);
}

/* Half-close: says that no more bytes will be sent. Not while a send is in flight. */
static inline void io_finish(struct io_socket *socket) { socket->io->ops->finish(socket); }

/* Ends everything on the socket, once; on->closed comes when nothing is in flight. A send
 * or connect in flight is answered before it, with -ECANCELED if it was cut off. Fine for
 * a socket that never had a descriptor. */
static inline void io_socket_close(struct io_socket *socket) { socket->io->ops->close(socket); }

/* "127.0.0.1:6379", "[::1]:6379" or "path:0"; of the peer, or of this side. */
static inline int io_socket_address(struct io_socket *socket, bool local, char *out, size_t size)
{
	return socket->io->ops->peer(socket, local, out, size);
}

/* Files: each call stages one operation; `op->done` is called with op->result set. Paths are
 * copied; memory to read to or write from stays untouched until the operation is done. */
static inline void io_file_open(struct io *io, struct io_op *op, const char *path, unsigned flags, unsigned mode)
{
	io->ops->file_open(io, op, path, flags, mode);
}
static inline void io_file_read(struct io *io, struct io_op *op, int fd, void *to, size_t size, uint64_t at)
{
	io->ops->file_read(io, op, fd, to, size, at);
}
static inline void io_file_write(struct io *io, struct io_op *op, int fd, const void *from, size_t size, uint64_t at,
                                 unsigned flags)
{
	io->ops->file_write(io, op, fd, from, size, at, flags);
}
static inline void io_file_sync(struct io *io, struct io_op *op, int fd) { io->ops->file_sync(io, op, fd); }
static inline void io_file_close(struct io *io, struct io_op *op, int fd) { io->ops->file_close(io, op, fd); }
/* Replaces what is at `to`. */
static inline void io_file_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	io->ops->file_rename(io, op, from, to);
}
/* A file that is open stays until it is closed. */
static inline void io_file_remove(struct io *io, struct io_op *op, const char *path)
{
	io->ops->file_remove(io, op, path);
}
/* The result is its length in bytes. */
static inline void io_file_size(struct io *io, struct io_op *op, int fd) { io->ops->file_size(io, op, fd); }
/* Gives the file blocks, and its length, up to `size` bytes; what it has stays as it is. -ENOSPC: not all can be had. */
static inline void io_file_reserve(struct io *io, struct io_op *op, int fd, uint64_t size)
{
	io->ops->file_reserve(io, op, fd, size);
}

/* Directories. A name that was created, renamed or removed outlives a crash only once its directory
 * was synced. Making one that is there is fine (0); the user alone may enter it. A list appends
 * the names of files and directories, each ended by a zero byte, sorted by bytes, to `names`, which
 * is the operation's until it is done. */
static inline void io_dir_make(struct io *io, struct io_op *op, const char *path) { io->ops->dir_make(io, op, path); }
static inline void io_dir_sync(struct io *io, struct io_op *op, const char *path) { io->ops->dir_sync(io, op, path); }
static inline void io_dir_list(struct io *io, struct io_op *op, const char *path, struct buf *names)
{
	io->ops->dir_list(io, op, path, names);
}

/* ---- making one ----------------------------------------------------------------- */

enum io_choice {
	IO_AUTO,  /* uring, else epoll with one log line that says why */
	IO_URING, /* uring or nothing */
	IO_EPOLL,
};

/* Makes a back end for one core; called on the thread that will own it, except that
 * io_wake() may reach it from anywhere once this returned. NULL with `why` (static or
 * formatted into `why_room`) when it cannot be had. */
struct io *io_new(enum io_choice choice, char *why, size_t why_size) must_check;

/* On the thread that made it, when nobody can wake it any more. Waits for operations on
 * files, whose memory is their callers', and calls nothing back. */
static inline void io_free(struct io *io)
{
	if (io)
		io->ops->free(io);
}
