/* segment_private.h -- the pool of files that a log is written to.
 *
 * What      Files lie ready in the order in which the log takes them; a fiber of the pool makes more,
 *           fills them with zeros and cleans those that are used again, a piece at a time,
 *           and ends when nothing is left to do.
 * Filled    A file may be written up to `filled`, where its blocks are the file system's promise: a log's
 *           write never meets a full disk. What lies behind is the pool's to write.
 * Clean     Before a file is used again its heads and its first frame are wiped, durably. So
 *           a file with a sound first frame and no sound head has lost its head, or was being begun.
 */
#pragma once

#include "engine/base/list.h"
#include "engine/core/timer.h"
#include "storage/log/segment.h"

struct fiber;

enum {
	FILL_PIECE = 1024 * 1024, /* a write costs as much as 200 KiB do */
	FILL_FIRST = 64 * 1024,   /* before the log opens: more follows with the first record */
	READY_WANTED = 3,
	READY_MAX = 4, /* files */
	RESERVE = 2,   /* files that only what frees room may use */
};

/* A file that is open, or (fd -1) one that might be. */
struct segment_file {
	struct link link;
	uint64_t number;
	uint64_t filled;
	int fd;
};

struct segment_pool {
	struct core *core;
	char *directory;
	uint64_t segment_size, next_number, number_step;
	struct segment_file *active; /* the log's; filled further while that is needed */
	struct link ready;           /* open, clean, known to their directory */
	struct link spare;           /* closed: to be cleaned and used again */
	struct link leaving;         /* the log has done with their descriptors */
	struct link surplus;         /* to be removed */
	uint32_t n_ready, n_spare;
	bool wanted;  /* something was appended: make files ready */
	bool running; /* the fiber */
	void *zeros;  /* while files are filled: */
	size_t zeros_size;
	bool hungry;                                /* the log has a frame, and no place for it */
	bool thrifty;                               /* one file ready is enough */
	bool tries_again;                           /* room came while a step was under way */
	bool closing;                               /* nothing more is done but for a log that is hungry */
	bool stopping;                              /* it is to end */
	int error;                                  /* errno: too few files are ready, and no more can be made */
	struct timer retry;                         /* runs: not before it fires */
	void (*stopped)(struct segment_pool *pool); /* called when the fiber has ended, if it was to */
	uint64_t n_made, n_reused;
};

/* `spare`: files that others have left; may be NULL. */
void segment_pool_init(struct segment_pool *pool, struct core *core, const char *directory, uint64_t segment_size,
                       uint64_t next_number, uint64_t number_step, const struct segment_list *spare);

/* Fiber code: makes the first file ready, as far as its first frames need it. 0 or -errno. */
int segment_pool_open(struct segment_pool *pool) must_check;

/* Fiber code: removes now what is to be removed. */
void segment_pool_clear(struct segment_pool *pool);

/* Of a new file; never given twice. */
uint64_t segment_pool_number(struct segment_pool *pool);

/* Is a file ready with `bytes` of it filled? */
bool segment_pool_has(const struct segment_pool *pool, uint64_t bytes);

/* The next file for the log, which becomes the active one. NULL: none is ready with `bytes` of it filled. */
struct segment_file *segment_pool_take(struct segment_pool *pool, uint64_t bytes);

/* The active one is full: it is closed in the background. */
void segment_pool_leave(struct segment_pool *pool);

/* A file that no log needs any more. `own`: it came from this pool. */
void segment_pool_give(struct segment_pool *pool, uint64_t number, bool own);

/* None is ready: it is tried again and again. */
void segment_pool_go_without(struct segment_pool *pool, int error);

/* Room may have come: it is tried at once again. */
void segment_pool_try_again(struct segment_pool *pool);

/* Lets the fiber work if there is something to do. */
void segment_pool_work(struct segment_pool *pool);

/* Bytes of ready files that can be written one after the other. */
uint64_t segment_pool_ready_bytes(const struct segment_pool *pool);

/* Asks the fiber to end. True: it has; else pool->stopped() will be called. */
bool segment_pool_stop(struct segment_pool *pool);

/* Frees; the fiber has ended. In a fiber it waits until all descriptors are closed. */
void segment_pool_fini(struct segment_pool *pool);
