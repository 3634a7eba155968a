/* file_pool.h -- file operations on two threads, for what no ring does.
 *
 * Lifetime  The threads start with the first operation: a server that only keeps memory
 *           has none. file_pool_fini() finishes what was given, and calls nothing back.
 * Owner     The core gives operations and takes finished ones; `notify` is called on a
 *           thread of the pool after one has finished.
 */
#pragma once

#include "engine/io/io.h"

#include <pthread.h>
#include <stdbool.h>

enum { FILE_THREADS = 2 };

enum file_kind {
	FILE_OPEN,
	FILE_READ,
	FILE_WRITE,
	FILE_SYNC,
	FILE_CLOSE,
	FILE_RENAME,
	FILE_REMOVE,
	FILE_SIZE,
	FILE_RESERVE,
	FILE_DIR_MAKE,
	FILE_DIR_SYNC,
	FILE_DIR_LIST,
};

struct op_list {
	struct io_op *first, *last;
};

struct file_pool {
	pthread_mutex_t mutex;
	pthread_cond_t given;
	struct op_list todo, done;
	bool stopping;
	int n_threads;
	pthread_t threads[FILE_THREADS];
	void (*notify)(void *arg);
	void *arg;
};

void file_pool_init(struct file_pool *pool, void (*notify)(void *arg), void *arg);
void file_pool_fini(struct file_pool *pool);

/* What has a path: it is the first of args, from file_path_copy(), and is freed by the pool.
 * FILE_OPEN: then flags and mode of open(2). FILE_RENAME: then the other path. FILE_DIR_LIST:
 * then the buffer. FILE_RESERVE: the size. FILE_READ and FILE_WRITE: memory, size, place, and flags of pwritev2(2). */
void file_pool_give(struct file_pool *pool, struct io_op *op);

/* What has finished, in that order; linked by `next`. */
struct io_op *file_pool_take_done(struct file_pool *pool);
