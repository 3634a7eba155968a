#include "engine/core/file.h"

#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"

#include <errno.h>
#include <string.h>

/* One operation, on the stack of the fiber that waits for it. */
struct call {
	struct io_op op; /* first */
	struct core *core;
	struct fiber *fiber;
};

static void on_done(struct io_op *op)
{
	struct call *call = (struct call *)op;
	fiber_wake(call->core, call->fiber);
}

static struct call call_begin(struct core *core)
{
	return (struct call){.op.done = on_done, .core = core, .fiber = fiber_self(core)};
}

static int64_t call_wait(struct call *call)
{
	fiber_wait(call->core);
	return call->op.result;
}

int file_open(struct core *core, const char *path, unsigned flags, unsigned mode)
{
	struct call call = call_begin(core);
	io_file_open(core->io, &call.op, path, flags, mode);
	return (int)call_wait(&call);
}

/* What it says is of no use to anybody: who must know that his bytes are there has synced. */
void file_close(struct core *core, int fd)
{
	struct call call = call_begin(core);
	io_file_close(core->io, &call.op, fd);
	(void)call_wait(&call);
}

/* What is left is asked for from an aligned place, though some bytes come twice: a file without page
 * cache gives nothing from others. One that ends is asked once more. */
int64_t file_read(struct core *core, int fd, void *to, size_t size, uint64_t at)
{
	for (size_t got = 0;;) {
		size_t from = got - got % FILE_ALIGNMENT;
		struct call call = call_begin(core);
		io_file_read(core->io, &call.op, fd, (uint8_t *)to + from, size - from, at + from);
		int64_t n = call_wait(&call);
		if (n < 0)
			return n;
		if (from + (size_t)n <= got || from + (size_t)n == size)
			return (int64_t)(from + (size_t)n > got ? from + (size_t)n : got);
		got = from + (size_t)n;
	}
}

int file_write(struct core *core, int fd, const void *from, size_t size, uint64_t at, unsigned flags)
{
	struct call call = call_begin(core);
	io_file_write(core->io, &call.op, fd, from, size, at, flags);
	int64_t n = call_wait(&call);
	if (n < 0)
		return (int)n;
	return (uint64_t)n == size ? 0 : -ENOSPC;
}

int file_sync(struct core *core, int fd)
{
	struct call call = call_begin(core);
	io_file_sync(core->io, &call.op, fd);
	return (int)call_wait(&call);
}

int64_t file_size(struct core *core, int fd)
{
	struct call call = call_begin(core);
	io_file_size(core->io, &call.op, fd);
	return call_wait(&call);
}

int file_reserve(struct core *core, int fd, uint64_t size)
{
	struct call call = call_begin(core);
	io_file_reserve(core->io, &call.op, fd, size);
	return (int)call_wait(&call);
}

int file_rename(struct core *core, const char *from, const char *to)
{
	struct call call = call_begin(core);
	io_file_rename(core->io, &call.op, from, to);
	return (int)call_wait(&call);
}

int file_remove(struct core *core, const char *path)
{
	struct call call = call_begin(core);
	io_file_remove(core->io, &call.op, path);
	return (int)call_wait(&call);
}

int dir_make(struct core *core, const char *path)
{
	struct call call = call_begin(core);
	io_dir_make(core->io, &call.op, path);
	return (int)call_wait(&call);
}

int dir_list(struct core *core, const char *path, struct buf *names)
{
	struct call call = call_begin(core);
	io_dir_list(core->io, &call.op, path, names);
	return (int)call_wait(&call);
}

void *file_buffer_new(size_t size) { return memset(memory_aligned(FILE_ALIGNMENT, size), 0, size); }
void file_buffer_free(void *buffer) { memory_free(buffer); }
