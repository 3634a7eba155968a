#include "engine/io/file_pool.h"

#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

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

static int64_t run_open(struct io_op *op)
{
	char *path = (char *)(uintptr_t)op->args[0];
	int fd = open(path, (int)op->args[1], (mode_t)op->args[2]);
	int64_t result = fd < 0 ? -errno : fd;
	memory_free(path);
	return result;
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
	return n < 0 ? -errno : n;
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
		return fsync(op->fd) == 0 ? 0 : -errno;
	case FILE_CLOSE:
		return close(op->fd) == 0 ? 0 : -errno;
	case FILE_RENAME:
		return rename((const char *)(uintptr_t)op->args[0], (const char *)(uintptr_t)op->args[1]) == 0 ? 0
		                                                                                               : -errno;
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
		if (op->kind == FILE_OPEN)
			memory_free((void *)(uintptr_t)op->args[0]);
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
