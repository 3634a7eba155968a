#include "engine/io/io_private.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum {
	LISTEN_BACKLOG = 4096,
	LISTEN_TRIES = 50,
	LISTEN_WAIT_NS = 20 * 1000 * 1000,
};

/* ---- chunks ------------------------------------------------------------------------ */

int chunk_pool_init(struct chunk_pool *pool)
{
	size_t size = (size_t)CHUNKS * CHUNK_STRIDE;
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	/* A huge page would make the first byte received cost 2 MiB. */
	(void)madvise(base, size, MADV_NOHUGEPAGE);
	ASAN_POISON_MEMORY_REGION(base, size);
	*pool = (struct chunk_pool){.base = base};
	for (unsigned id = CHUNKS; id-- > 0;)
		chunk_put(pool, id);
	return 0;
}

void chunk_pool_fini(struct chunk_pool *pool)
{
	if (!pool->base)
		return;
	ASAN_UNPOISON_MEMORY_REGION(pool->base, (size_t)CHUNKS * CHUNK_STRIDE);
	munmap(pool->base, (size_t)CHUNKS * CHUNK_STRIDE);
	pool->base = NULL;
}

uint8_t *chunk_open(struct chunk_pool *pool, unsigned id)
{
	ASAN_UNPOISON_MEMORY_REGION(chunk_at(pool, id), IO_CHUNK_SIZE);
	return chunk_at(pool, id);
}

struct io_chunk chunk_lend(struct chunk_pool *pool, unsigned id, uint32_t len)
{
	assert(id < CHUNKS);
	uint64_t bit = 1ull << id % 64;
	assert(!(pool->lent[id / 64] & bit));
	pool->lent[id / 64] |= bit;
	ASAN_POISON_MEMORY_REGION(chunk_at(pool, id), IO_CHUNK_SIZE);
	ASAN_UNPOISON_MEMORY_REGION(chunk_at(pool, id), len);
	return (struct io_chunk){.ptr = chunk_at(pool, id), .len = len, .id = id};
}

void chunk_return(struct chunk_pool *pool, struct io_chunk chunk)
{
	assert(chunk.id < CHUNKS);
	uint64_t bit = 1ull << chunk.id % 64;
	assert(pool->lent[chunk.id / 64] & bit); /* else it was released twice */
	pool->lent[chunk.id / 64] &= ~bit;
	ASAN_POISON_MEMORY_REGION(chunk_at(pool, chunk.id), IO_CHUNK_SIZE);
	chunk_put(pool, chunk.id);
}

/* ---- lists of sockets ---------------------------------------------------------------- */

void socket_list_push(struct socket_list *list, struct io_socket *socket)
{
	socket->next_starved = NULL;
	if (list->last)
		list->last->next_starved = socket;
	else
		list->first = socket;
	list->last = socket;
}

struct io_socket *socket_list_pop(struct socket_list *list)
{
	struct io_socket *socket = list->first;
	if (!socket)
		return NULL;
	list->first = socket->next_starved;
	if (!list->first)
		list->last = NULL;
	socket->next_starved = NULL;
	return socket;
}

/* ---- clock and randomness ------------------------------------------------------------ */

uint64_t real_now_ns(struct io *io) { return os_now_ns(); }
int64_t real_wall_us(struct io *io) { return os_wall_us(); }
void real_random(struct io *io, void *out, size_t size) { os_random(out, size); }

bool accept_error_passes(int error)
{
	return error == -ECONNABORTED || error == -EINTR || error == -EAGAIN || error == -ECANCELED;
}

/* ---- names of sockets ---------------------------------------------------------------- */

int socket_name_tcp(const char *address, uint16_t port, struct socket_name *out)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	*out = (struct socket_name){0};
	if (strcmp(address, "localhost") == 0)
		address = "127.0.0.1";
	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
		memcpy(&out->storage, &v4, sizeof(v4));
		out->size = sizeof(v4);
		return 0;
	}
	if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
		memcpy(&out->storage, &v6, sizeof(v6));
		out->size = sizeof(v6);
		return 0;
	}
	return -EINVAL;
}

int socket_name_unix(const char *path, struct socket_name *out)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	if (len == 0)
		return -EINVAL;
	if (len >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, len + 1);
	*out = (struct socket_name){.size = sizeof(name)};
	memcpy(&out->storage, &name, sizeof(name));
	return 0;
}

int socket_text(int fd, bool local, char *out, size_t size)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	if ((local ? getsockname : getpeername)(fd, (struct sockaddr *)&name, &len) != 0)
		return -errno;
	char text[INET6_ADDRSTRLEN];
	if (name.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&name;
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		snprintf(out, size, "%s:%u", text, ntohs(v4->sin_port));
	} else if (name.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&name;
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		snprintf(out, size, "[%s]:%u", text, ntohs(v6->sin6_port));
	} else if (name.ss_family == AF_UNIX) {
		/* Only the listening side of a Unix socket has a name, and its length may end it. */
		const struct sockaddr_un *un = (const struct sockaddr_un *)&name;
		size_t path_len = len > offsetof(struct sockaddr_un, sun_path)
		                          ? strnlen(un->sun_path, len - offsetof(struct sockaddr_un, sun_path))
		                          : 0;
		snprintf(out, size, "%.*s:0", (int)path_len, un->sun_path);
	} else {
		return -EAFNOSUPPORT;
	}
	return 0;
}

/* ---- making sockets ------------------------------------------------------------------ */

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

void socket_no_delay(int fd)
{
	/* A Unix socket refuses, and has no delay to begin with. */
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int socket_open(const struct socket_name *name, int flags)
{
	int fd = socket(name->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	if (name->storage.ss_family != AF_UNIX)
		socket_no_delay(fd);
	return fd;
}

static int listen_tcp_once(const char *address, uint16_t port, int flags)
{
	struct socket_name name;
	int err = socket_name_tcp(address, port, &name);
	if (err)
		return err;
	cleanup(close_p) int fd = socket_open(&name, flags);
	if (fd < 0)
		return fd;
	int on = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* "::" and "0.0.0.0" are two listeners, so that each fails or works for itself. */
	if (name.storage.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&name.storage, name.size) != 0 || listen(fd, LISTEN_BACKLOG) != 0)
		return -errno;
	return take_fd(&fd);
}

/* Whether the file is a socket that nobody listens on: one that a crash left over. */
static bool socket_file_is_stale(const char *path, const struct socket_name *name)
{
	struct stat st;
	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	cleanup(close_p) int fd = socket_open(name, SOCK_NONBLOCK);
	return fd >= 0 && connect(fd, (const struct sockaddr *)&name->storage, name->size) != 0 &&
	       errno == ECONNREFUSED;
}

static int listen_unix_once(const char *path, unsigned mode, int flags)
{
	struct socket_name name;
	int err = socket_name_unix(path, &name);
	if (err)
		return err;
	cleanup(close_p) int fd = socket_open(&name, flags);
	if (fd < 0)
		return fd;
	/* bind() gives the file the mode of the descriptor, less the umask: never wider than
	 * asked, not even for a moment. chmod() then adds what the umask took. */
	if (fchmod(fd, mode) != 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&name.storage, name.size) != 0) {
		if (errno != EADDRINUSE)
			return -errno;
		if (!socket_file_is_stale(path, &name))
			return -EADDRINUSE;
		if (unlink(path) != 0 || bind(fd, (struct sockaddr *)&name.storage, name.size) != 0)
			return -errno;
	}
	if (chmod(path, mode) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
		err = -errno;
		unlink(path);
		return err;
	}
	return take_fd(&fd);
}

/* The kernel takes the ring of a killed process apart in the background, and the listeners
 * that its operations hold live until then: 30 to 50 ms after the process is gone. */
static bool try_again(int result, int *tries)
{
	if (result != -EADDRINUSE || ++*tries >= LISTEN_TRIES)
		return false;
	nanosleep(&(struct timespec){.tv_nsec = LISTEN_WAIT_NS}, NULL);
	return true;
}

int socket_listen_tcp(const char *address, uint16_t port, int flags)
{
	int fd, tries = 0;
	do
		fd = listen_tcp_once(address, port, flags);
	while (try_again(fd, &tries));
	return fd;
}

int socket_listen_unix(const char *path, unsigned mode, int flags)
{
	int fd, tries = 0;
	do
		fd = listen_unix_once(path, mode, flags);
	while (try_again(fd, &tries));
	return fd;
}

void socket_unlink(int listener_fd)
{
	struct sockaddr_un name;
	socklen_t len = sizeof(name);
	if (getsockname(listener_fd, (struct sockaddr *)&name, &len) != 0 || name.sun_family != AF_UNIX)
		return;
	if (len > offsetof(struct sockaddr_un, sun_path) && name.sun_path[0])
		(void)unlink(name.sun_path);
}

void real_refuse(struct io *io, int fd) { close(fd); }

int real_peer(struct io_socket *socket, bool local, char *out, size_t size)
{
	return socket_text(socket->fd, local, out, size);
}

/* At once, not as a ring operation: the kernel would hand that to a helper thread. */
void real_finish(struct io_socket *socket) { (void)shutdown(socket->fd, SHUT_WR); }

int file_open_flags(unsigned flags)
{
	int result = O_CLOEXEC;
	bool writes = flags & IO_OPEN_WRITE;
	result |= writes ? (flags & IO_OPEN_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
	result |= flags & IO_OPEN_CREATE ? O_CREAT : 0;
	result |= flags & IO_OPEN_DIRECT ? O_DIRECT : 0;
	return result;
}

uint64_t file_path_copy(const char *path)
{
	size_t size = strlen(path) + 1;
	return (uintptr_t)memcpy(memory_alloc(size), path, size);
}
