/* io_private.h -- what the two real back ends share, and doors for their tests.
 *
 * What      Chunks, lists of sockets, the clock, and system calls that make, name and
 *           bind sockets: the parts in which `uring` and `epoll` do not differ.
 * Owner     The core of the io; only io_wake() comes from elsewhere.
 */
#pragma once

#include "engine/io/io.h"

#include <stdbool.h>
#include <sys/socket.h>

/* ---- making back ends by hand ------------------------------------------------------ */

/* Rungs of the ladder, best first; a kernel that refuses one gets the next. */
enum uring_rung { URING_DEFER, URING_COOP, URING_PLAIN, URING_RUNGS };

/* Begins at rung `first`. NULL with `why`; -errno in `*error`. */
struct io *uring_new(enum uring_rung first, char *why, size_t why_size, int *error) must_check;
struct io *epoll_new(char *why, size_t why_size) must_check;

/* Entries and mask of the submission ring, as the kernel and the library see them. */
void uring_geometry(struct io *io, unsigned *entries, unsigned *mask, unsigned *cq_entries);

/* ---- chunks ------------------------------------------------------------------------- */

enum {
	CHUNKS = 256,
	/* Not a power of two: chunks that begin at the same offset of a page would all meet in
	 * the same few sets of the first-level cache. */
	CHUNK_STRIDE = IO_CHUNK_SIZE + 5 * 64,
};

/* The last one put is the next one taken, so that memory nobody needed was never touched
 * and what is in the cache is used again. */
struct chunk_pool {
	uint8_t *base;
	unsigned n_free;
	uint16_t free[CHUNKS];
	uint64_t lent[CHUNKS / 64]; /* those the owners of sockets hold: catches a double release */
};

int chunk_pool_init(struct chunk_pool *pool) must_check;
void chunk_pool_fini(struct chunk_pool *pool);
static inline uint8_t *chunk_at(struct chunk_pool *pool, unsigned id) { return pool->base + (size_t)id * CHUNK_STRIDE; }
static inline unsigned chunk_take(struct chunk_pool *pool)
{
	assert(pool->n_free > 0);
	return pool->free[--pool->n_free];
}
static inline void chunk_put(struct chunk_pool *pool, unsigned id) { pool->free[pool->n_free++] = (uint16_t)id; }

/* Where to receive to: opens the whole chunk to the address sanitizer, for which free
 * chunks, and what lies behind the bytes of a lent one, must not be touched. */
uint8_t *chunk_open(struct chunk_pool *pool, unsigned id);

/* To the owner of a socket, and back. */
struct io_chunk chunk_lend(struct chunk_pool *pool, unsigned id, uint32_t len);
void chunk_return(struct chunk_pool *pool, struct io_chunk chunk);

/* ---- lists of sockets ---------------------------------------------------------------- */

/* First in, first out, through `next_starved`; a socket is in one list at most. */
struct socket_list {
	struct io_socket *first, *last;
};

void socket_list_push(struct socket_list *list, struct io_socket *socket);
struct io_socket *socket_list_pop(struct socket_list *list);

/* ---- clock and randomness ------------------------------------------------------------ */

uint64_t real_now_ns(struct io *io);
int64_t real_wall_us(struct io *io);
void real_random(struct io *io, void *out, size_t size);

/* When out of descriptors, a listener looks again this much later: a connection that
 * waits keeps it readable, and trying at once would use the whole core for nothing. */
enum { ACCEPT_RETRY_NS = 100 * 1000 * 1000 };

/* An error that says nothing about the next connection. */
bool accept_error_passes(int error);

/* ---- sockets ------------------------------------------------------------------------- */

struct socket_name {
	struct sockaddr_storage storage;
	socklen_t size;
};

/* Numbers only, and "localhost": asking a name server would block the core. */
int socket_name_tcp(const char *address, uint16_t port, struct socket_name *out) must_check;
int socket_name_unix(const char *path, struct socket_name *out) must_check;

/* A descriptor that listens, or -errno. `flags`: SOCK_NONBLOCK or 0. */
int socket_listen_tcp(const char *address, uint16_t port, int flags) must_check;
int socket_listen_unix(const char *path, unsigned mode, int flags) must_check;

/* A descriptor that can be connected to `name`, or -errno. */
int socket_open(const struct socket_name *name, int flags) must_check;

void socket_no_delay(int fd);
void socket_unlink(int listener_fd); /* a Unix listener's file; nothing for others */
int socket_text(int fd, bool local, char *out, size_t size);
void real_refuse(struct io *io, int fd);
int real_peer(struct io_socket *socket, bool local, char *out, size_t size);
void real_finish(struct io_socket *socket);

/* ---- files --------------------------------------------------------------------------- */

int file_open_flags(unsigned flags); /* of io_file_open(), as open(2) has them */

/* As an argument of an operation: the caller's path may go before it is read. */
uint64_t file_path_copy(const char *path);
