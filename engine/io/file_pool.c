#include "engine/io/file_pool.h"

#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DIR_MODE = 0700 };

static void list_add(struct op_list *list, struct io_op *op)
{
	op->next = NULL;
	if (list->last)
		list->last->next = op;
	else
		list->first = op;
	list->last = op;
}

static struct io_op *list_take(struct op_list *list)
{
	struct io_op *op = list->first;
	list->first = op->next;
	if (!list->first)
		list->last = NULL;
	return op;
}

/* ---- one operation ------------------------------------------------------------------ */

static const char *path_of(const struct io_op *op) { return (const char *)(uintptr_t)op->args[0]; }

static void free_paths(struct io_op *op)
{
	switch ((enum file_kind)op->kind) {
	case FILE_READ:
	case FILE_WRITE:
	case FILE_SYNC:
	case FILE_CLOSE:
	case FILE_SIZE:
	case FILE_RESERVE:
		return;
	case FILE_RENAME:
		memory_free((void *)(uintptr_t)op->args[1]);
		break;
	case FILE_OPEN:
	case FILE_REMOVE:
	case FILE_DIR_MAKE:
	case FILE_DIR_SYNC:
	case FILE_DIR_LIST:
		break;
	}
	memory_free((void *)(uintptr_t)op->args[0]);
}

static int64_t or_error(int64_t result) { return result < 0 ? -errno : result; }

static int64_t run_open(struct io_op *op)
{
	int flags = (int)op->args[1];
	int fd = open(path_of(op), flags, (mode_t)op->args[2]);
	if (fd < 0 && errno == EINVAL && flags & O_DIRECT)
		fd = open(path_of(op), flags & ~O_DIRECT, (mode_t)op->args[2]);
	return or_error(fd);
}

static ssize_t write_durable(int fd, const struct iovec *iov, off_t at, int flags)
{
	ssize_t n = pwritev2(fd, iov, 1, at, flags);
	if (n >= 0 || !flags || (errno != EOPNOTSUPP && errno != ENOSYS))
		return n;
	n = pwritev(fd, iov, 1, at);
	return n >= 0 && fdatasync(fd) != 0 ? -1 : n;
}

static int64_t run_transfer(struct io_op *op)
{
	struct iovec iov = {(void *)(uintptr_t)op->args[0], op->args[1]};
	ssize_t n;
	do
		n = op->kind == FILE_READ ? preadv(op->fd, &iov, 1, (off_t)op->args[2])
		                          : write_durable(op->fd, &iov, (off_t)op->args[2], (int)op->args[3]);
	while (n < 0 && errno == EINTR);
	return or_error(n);
}

static int64_t run_size(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? (int64_t)st.st_size : -errno;
}

static int64_t run_reserve(int fd, off_t size)
{
	int err;
	do
		err = posix_fallocate(fd, 0, size);
	while (err == EINTR);
	return -err;
}

/* One that is there is fine; something else of that name is not. */
static int64_t run_dir_make(const char *path)
{
	struct stat st;
	if (mkdir(path, DIR_MODE) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) != 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int64_t run_dir_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int64_t result = or_error(fsync(fd));
	close(fd);
	return result;
}

/* ---- listing a directory --------------------------------------------------------------- */

static bool is_listed(DIR *dir, const struct dirent *entry)
{
	struct stat st;
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return false;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_REG || entry->d_type == DT_DIR;
	return fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

static int64_t read_names(DIR *dir, struct buf *names)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			return -errno;
		if (is_listed(dir, entry))
			buf_append(names, slice_of(entry->d_name, strlen(entry->d_name) + 1));
	}
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void append_sorted(struct buf *names, const struct buf *found)
{
	cleanup(buf_fini) struct buf order = {0};
	for (const char *name = (char *)found->ptr; name < (char *)found->ptr + found->len; name += strlen(name) + 1)
		buf_append(&order, slice_of(&name, sizeof(char *)));
	const char **sorted = (const char **)(void *)order.ptr;
	size_t n = order.len / sizeof(char *);
	if (n > 0)
		qsort(sorted, n, sizeof(char *), compare_names);
	for (size_t i = 0; i < n; i++)
		buf_append(names, slice_of(sorted[i], strlen(sorted[i]) + 1));
}

static int64_t run_dir_list(const char *path, struct buf *names)
{
	cleanup(buf_fini) struct buf found = {0};
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	int64_t result = read_names(dir, &found);
	closedir(dir);
	if (result == 0)
		append_sorted(names, &found);
	return result;
}

static int64_t run(struct io_op *op)
{
	switch ((enum file_kind)op->kind) {
	case FILE_OPEN:
		return run_open(op);
	case FILE_READ:
	case FILE_WRITE:
		return run_transfer(op);
	case FILE_SYNC:
		return or_error(fsync(op->fd));
	case FILE_CLOSE:
		return or_error(close(op->fd));
	case FILE_RENAME:
		return or_error(rename(path_of(op), (const char *)(uintptr_t)op->args[1]));
	case FILE_REMOVE:
		return or_error(unlink(path_of(op)));
	case FILE_SIZE:
		return run_size(op->fd);
	case FILE_RESERVE:
		return run_reserve(op->fd, (off_t)op->args[0]);
	case FILE_DIR_MAKE:
		return run_dir_make(path_of(op));
	case FILE_DIR_SYNC:
		return run_dir_sync(path_of(op));
	case FILE_DIR_LIST:
		return run_dir_list(path_of(op), (struct buf *)(uintptr_t)op->args[1]);
	}
	return -EINVAL;
}

/* ---- the pool ----------------------------------------------------------------------- */

static void thread_run(void *arg)
{
	struct file_pool *pool = arg;
	pthread_mutex_lock(&pool->mutex);
	for (;;) {
		while (!pool->todo.first && !pool->stopping)
			pthread_cond_wait(&pool->given, &pool->mutex);
		if (!pool->todo.first)
			break;
		struct io_op *op = list_take(&pool->todo);
		pthread_mutex_unlock(&pool->mutex);
		op->result = run(op);
		free_paths(op);
		pthread_mutex_lock(&pool->mutex);
		list_add(&pool->done, op);
		pool->notify(pool->arg); /* under the mutex: file_pool_fini() ends what it points to */
	}
	pthread_mutex_unlock(&pool->mutex);
}

void file_pool_init(struct file_pool *pool, void (*notify)(void *arg), void *arg)
{
	*pool = (struct file_pool){.notify = notify, .arg = arg};
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->given, NULL);
}

void file_pool_fini(struct file_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->given);
	pthread_mutex_unlock(&pool->mutex);
	for (int i = 0; i < pool->n_threads; i++)
		os_thread_join(pool->threads[i]);
	pthread_cond_destroy(&pool->given);
	pthread_mutex_destroy(&pool->mutex);
}

void file_pool_give(struct file_pool *pool, struct io_op *op)
{
	int err = 0;
	while (pool->n_threads < FILE_THREADS) {
		err = os_thread_start(&pool->threads[pool->n_threads], -1, "file", thread_run, pool);
		if (err)
			break;
		pool->n_threads++;
	}
	pthread_mutex_lock(&pool->mutex);
	if (pool->n_threads > 0) { /* one will do, if two cannot be had */
		list_add(&pool->todo, op);
		pthread_cond_signal(&pool->given);
	} else {
		op->result = err;
		free_paths(op);
		list_add(&pool->done, op);
		pool->notify(pool->arg);
	}
	pthread_mutex_unlock(&pool->mutex);
}

struct io_op *file_pool_take_done(struct file_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	struct io_op *first = pool->done.first;
	pool->done = (struct op_list){0};
	pthread_mutex_unlock(&pool->mutex);
	return first;
}
