/* The files of one log, made ready by a fiber.
 *
 *   spare --open, clean--\
 *                         ready --segment_pool_take()--> active --> the log's --segment_pool_give()--> spare
 *   nothing --create-----/  \                             /                                          or surplus
 *                            '--zeros up to the full size--'
 *
 * Each step of the fiber is the most urgent thing there is to do. Only files that this process has made are used
 * again: of others nobody knows whether all their blocks are there, nor whether their name was lost by
 * a sync of the directory that failed; they are removed.
 */
#include "storage/log/segment_private.h"

#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	PATH_MAX_BYTES = 4096,
	RETRY_NS = 1000 * 1000 * 1000,
	CLEANED = SEGMENT_FRAMES_AT + LOG_BLOCK, /* both heads and what a first frame begins with */
};

static struct segment_file *file_of(struct link *link) { return container_of(link, struct segment_file, link); }

static struct segment_file *segment_file_new(uint64_t number, uint64_t filled)
{
	struct segment_file *file = memory_zalloc(sizeof(*file));
	*file = (struct segment_file){.number = number, .filled = filled, .fd = -1};
	return file;
}

static void path_of(const struct segment_pool *pool, const struct segment_file *file, char out[PATH_MAX_BYTES])
{
	segment_path(pool->directory, file->number, out, PATH_MAX_BYTES);
}

/* ---- steps, in the fiber ------------------------------------------------------------------ */

static void drop_zeros(struct segment_pool *pool)
{
	file_buffer_free(take(pool->zeros));
	pool->zeros_size = 0;
}

static const void *zeros_of(struct segment_pool *pool, size_t size)
{
	if (pool->zeros_size < size) {
		drop_zeros(pool);
		pool->zeros = file_buffer_new(size);
		pool->zeros_size = size;
	}
	return pool->zeros;
}

/* Zeros up to `end`, a piece at most. */
static int fill(struct segment_pool *pool, struct segment_file *file, uint64_t end)
{
	size_t size = end - file->filled < FILL_PIECE ? (size_t)(end - file->filled) : FILL_PIECE;
	int result = file_write(pool->core, file->fd, zeros_of(pool, size), size, file->filled, 0);
	if (result < 0)
		return result;
	file->filled += size;
	/* What the file system has to note of the new blocks is noted here, not by the log's first writes. */
	return file->filled == pool->segment_size ? file_sync(pool->core, file->fd) : 0;
}

static int write_zeros(struct segment_pool *pool, struct segment_file *file, size_t size, uint64_t at)
{
	void *zeros = file_buffer_new(size);
	int result = file_write(pool->core, file->fd, zeros, size, at, IO_WRITE_DURABLE);
	file_buffer_free(zeros);
	return result;
}

static int open_file(struct segment_pool *pool, struct segment_file *file, unsigned flags)
{
	char path[PATH_MAX_BYTES];
	path_of(pool, file, path);
	int fd = file_open(pool->core, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_DIRECT | flags, 0600);
	if (fd >= 0)
		file->fd = fd;
	return fd < 0 ? fd : 0;
}

static void close_file(struct segment_pool *pool, struct segment_file *file)
{
	if (file->fd >= 0)
		file_close(pool->core, file->fd);
	memory_free(file);
}

/* From the beginning on it has its full size, since one that is shorter was cut; and a name, since a crash that
 * takes it back would take back the segment. */
static int create(struct segment_pool *pool, struct segment_file *file)
{
	char path[PATH_MAX_BYTES];
	uint64_t mark = dir_mark(pool->core);
	int result = open_file(pool, file, IO_OPEN_CREATE);
	if (result == 0)
		result = write_zeros(pool, file, LOG_BLOCK, pool->segment_size - LOG_BLOCK);
	if (result < 0)
		return result;
	snprintf(path, sizeof(path), "%s/log", pool->directory);
	return dir_sync(pool->core, path, mark);
}

/* A crash must not bring an old head back, nor an old frame behind half a new head. */
static int clean(struct segment_pool *pool, struct segment_file *file)
{
	size_t size = pool->segment_size < CLEANED ? (size_t)pool->segment_size : CLEANED;
	int result = open_file(pool, file, 0);
	return result < 0 ? result : write_zeros(pool, file, size, 0);
}

uint64_t segment_pool_number(struct segment_pool *pool)
{
	uint64_t number = pool->next_number;
	pool->next_number += pool->number_step;
	return number;
}

/* What is whole is taken before what is still being filled: on a full disk that may take long. */
static void put_ready(struct segment_pool *pool, struct segment_file *file)
{
	struct link *at = &pool->ready;
	while (file->filled == pool->segment_size && at->prev != &pool->ready &&
	       file_of(at->prev)->filled < pool->segment_size)
		at = at->prev;
	list_insert_before(at, &file->link);
	pool->n_ready++;
}

/* Whatever it is now, it is none for the log. */
static void give_up(struct segment_pool *pool, struct segment_file *file)
{
	if (file->fd >= 0)
		file_close(pool->core, file->fd);
	file->fd = -1;
	list_push_back(&pool->surplus, &file->link);
}

static int make_from_spare(struct segment_pool *pool)
{
	struct segment_file *file = file_of(list_pop_front(&pool->spare));
	pool->n_spare--;
	int result = clean(pool, file);
	if (result < 0) {
		give_up(pool, file);
		return result;
	}
	pool->n_reused++;
	put_ready(pool, file);
	return 0;
}

/* The number of one that failed is not tried again: its name may be lost though a later sync succeeds. */
static int make_new(struct segment_pool *pool)
{
	struct segment_file *file = segment_file_new(segment_pool_number(pool), 0);
	int result = create(pool, file);
	if (result < 0) {
		give_up(pool, file);
		return result;
	}
	pool->n_made++;
	put_ready(pool, file);
	return 0;
}

/* ---- what there is to do -------------------------------------------------------------------- */

/* The file whose zeros are needed first. */
static struct segment_file *unfilled(const struct segment_pool *pool)
{
	if (pool->active && pool->active->filled < pool->segment_size)
		return pool->active;
	list_each (link, &pool->ready)
		if (file_of(link)->filled < pool->segment_size)
			return file_of(link);
	return NULL;
}

static bool lacks_files(const struct segment_pool *pool)
{
	uint32_t wanted = pool->thrifty ? 1 : READY_WANTED;
	return unfilled(pool) || pool->n_ready < wanted || !list_empty(&pool->spare);
}

/* To clean a file takes no room. */
static bool may_clean(const struct segment_pool *pool) { return pool->wanted && !list_empty(&pool->spare); }

static bool may_make(const struct segment_pool *pool) { return pool->wanted && !timer_started(&pool->retry); }

static bool has_work(const struct segment_pool *pool)
{
	if (pool->closing)
		return pool->hungry && (may_make(pool) || may_clean(pool));
	if (!list_empty(&pool->leaving) || !list_empty(&pool->surplus))
		return true;
	return may_clean(pool) || (may_make(pool) && lacks_files(pool));
}

static void remove_one(struct segment_pool *pool)
{
	char path[PATH_MAX_BYTES];
	struct segment_file *file = file_of(list_pop_front(&pool->surplus));
	path_of(pool, file, path);
	int result = file_remove(pool->core, path);
	if (result < 0 && result != -ENOENT)
		log_warning("%s, which is not needed any more, cannot be removed: %s", path, strerror(-result));
	close_file(pool, file);
}

static void failed_to_make(struct segment_pool *pool, int error)
{
	if (pool->error != -error)
		log_warning("no room can be made for the log in %s: %s; tried again every second", pool->directory,
		            strerror(-error));
	pool->error = -error;
	if (!timer_started(&pool->retry))
		timer_start(&pool->core->timers, &pool->retry, pool->core->now_ns + RETRY_NS);
}

static void one_step(struct segment_pool *pool)
{
	int result = 0;
	pool->tries_again = false;
	struct segment_file *file = may_make(pool) ? unfilled(pool) : NULL;
	if (file && file == pool->active)
		result = fill(pool, file, pool->segment_size);
	else if (!list_empty(&pool->leaving) && !pool->closing)
		close_file(pool, file_of(list_pop_front(&pool->leaving)));
	else if (!list_empty(&pool->surplus) && !pool->closing)
		remove_one(pool);
	else if (may_clean(pool))
		result = make_from_spare(pool);
	else if (file)
		result = fill(pool, file, pool->segment_size);
	else
		result = make_new(pool);
	if (result < 0 && !pool->tries_again)
		failed_to_make(pool, result);
	else if (pool->error && !lacks_files(pool))
		pool->error = 0;
}

static void work(void *arg)
{
	struct segment_pool *pool = arg;
	while (!pool->stopping && has_work(pool))
		one_step(pool);
	drop_zeros(pool);
	pool->running = false;
	if (pool->stopping)
		pool->stopped(pool);
}

void segment_pool_work(struct segment_pool *pool)
{
	if (pool->running || pool->stopping || !has_work(pool))
		return;
	pool->running = true;
	fiber_start(pool->core, work, pool);
}

void segment_pool_go_without(struct segment_pool *pool, int error)
{
	pool->wanted = true;
	failed_to_make(pool, -error);
}

void segment_pool_try_again(struct segment_pool *pool)
{
	timer_stop(&pool->core->timers, &pool->retry);
	pool->error = 0;
	pool->tries_again = pool->running;
	segment_pool_work(pool);
}

static void retry(struct core *core, struct timer *timer)
{
	segment_pool_work(container_of(timer, struct segment_pool, retry));
}

/* ---- for the log ---------------------------------------------------------------------------- */

void segment_pool_init(struct segment_pool *pool, struct core *core, const char *directory, uint64_t segment_size,
                       uint64_t next_number, uint64_t number_step, const struct segment_list *spare)
{
	size_t size = strlen(directory) + 1;
	*pool = (struct segment_pool){.core = core,
	                              .segment_size = segment_size,
	                              .next_number = next_number,
	                              .number_step = number_step,
	                              .retry.run = retry};
	pool->directory = memcpy(memory_alloc(size), directory, size);
	list_init(&pool->ready);
	list_init(&pool->spare);
	list_init(&pool->leaving);
	list_init(&pool->surplus);
	for (uint32_t i = 0; spare && i < spare->n; i++)
		segment_pool_give(pool, spare->all[i].number, false);
}

static int open_first(struct segment_pool *pool)
{
	uint64_t first = pool->segment_size < FILL_FIRST ? pool->segment_size : FILL_FIRST;
	int result = list_empty(&pool->ready) ? make_new(pool) : 0;
	while (result == 0 && file_of(pool->ready.next)->filled < first)
		result = fill(pool, file_of(pool->ready.next), first);
	drop_zeros(pool);
	return result;
}

void segment_pool_clear(struct segment_pool *pool)
{
	while (!list_empty(&pool->surplus))
		remove_one(pool);
}

/* On a full disk what nobody needs makes room; what could not be made is not such a thing. */
int segment_pool_open(struct segment_pool *pool)
{
	for (;;) {
		bool has_surplus = !list_empty(&pool->surplus);
		int result = open_first(pool);
		if (result != -ENOSPC || !has_surplus)
			return result;
		segment_pool_clear(pool);
	}
}

bool segment_pool_has(const struct segment_pool *pool, uint64_t bytes)
{
	return !list_empty(&pool->ready) && file_of(pool->ready.next)->filled >= bytes;
}

struct segment_file *segment_pool_take(struct segment_pool *pool, uint64_t bytes)
{
	assert(!pool->active);
	pool->wanted = true;
	pool->hungry = !segment_pool_has(pool, bytes);
	if (pool->hungry)
		return NULL;
	pool->active = file_of(list_pop_front(&pool->ready));
	pool->n_ready--;
	return pool->active;
}

void segment_pool_leave(struct segment_pool *pool)
{
	if (pool->active)
		list_push_back(&pool->leaving, &pool->active->link);
	pool->active = NULL;
}

void segment_pool_give(struct segment_pool *pool, uint64_t number, bool own)
{
	bool used = own && pool->n_ready + pool->n_spare < READY_MAX;
	struct segment_file *file = segment_file_new(number, pool->segment_size);
	list_push_back(used ? &pool->spare : &pool->surplus, &file->link);
	pool->n_spare += used;
}

uint64_t segment_pool_ready_bytes(const struct segment_pool *pool)
{
	uint64_t bytes = 0;
	list_each (link, &pool->ready) {
		const struct segment_file *file = file_of(link);
		if (file->filled > SEGMENT_FRAMES_AT)
			bytes += file->filled - SEGMENT_FRAMES_AT;
		if (file->filled < pool->segment_size)
			break;
	}
	return bytes;
}

bool segment_pool_stop(struct segment_pool *pool)
{
	pool->stopping = true;
	timer_stop(&pool->core->timers, &pool->retry);
	return !pool->running;
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void closed(struct io_op *op) { memory_free(op); }

static void let_go(struct segment_pool *pool, struct segment_file *file)
{
	if (fiber_self(pool->core)) {
		close_file(pool, file);
		return;
	}
	if (file->fd >= 0) {
		struct io_op *op = memory_zalloc(sizeof(*op));
		op->done = closed;
		io_file_close(pool->core->io, op, file->fd);
	}
	memory_free(file);
}

static void let_all_go(struct segment_pool *pool, struct link *list)
{
	for (struct link *link; (link = list_pop_front(list));)
		let_go(pool, file_of(link));
}

void segment_pool_fini(struct segment_pool *pool)
{
	assert(!pool->running);
	timer_stop(&pool->core->timers, &pool->retry);
	segment_pool_leave(pool);
	let_all_go(pool, &pool->leaving);
	let_all_go(pool, &pool->ready);
	let_all_go(pool, &pool->spare);
	let_all_go(pool, &pool->surplus);
	memory_free(pool->directory);
	*pool = (struct segment_pool){0};
}
