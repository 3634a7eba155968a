#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "storage/image/stream_private.h"

#include <errno.h>

enum { CHUNK = 256 * 1024 };

struct image_out {
	struct io_op op; /* first; the write in flight */
	struct core *core;
	struct fiber *waiting;
	bool busy;
	int fd;
	int error;
	uint8_t *filling, *writing; /* swap with each write */
	size_t filled;
	size_t in_flight; /* bytes of the last write */
	uint64_t written; /* bytes handed to writes */
};

/* A file of that name is what an attempt left that was cut off. */
static int make_file(struct core *core, const char *path)
{
	int result = file_remove(core, path);
	if (result < 0 && result != -ENOENT)
		return result;
	return file_open(core, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, 0600);
}

struct image_out *image_out_new(struct core *core, const char *path, int *error)
{
	int fd = make_file(core, path);
	if (fd < 0) {
		*error = fd;
		return NULL;
	}
	struct image_out *out = memory_zalloc(sizeof(*out));
	out->core = core;
	out->fd = fd;
	out->filling = memory_aligned(FILE_ALIGNMENT, CHUNK);
	out->writing = memory_aligned(FILE_ALIGNMENT, CHUNK);
	return out;
}

static void on_written(struct io_op *op)
{
	struct image_out *out = (struct image_out *)op;
	out->busy = false;
	if (op->result < 0)
		out->error = (int)op->result;
	else if ((size_t)op->result != out->in_flight)
		out->error = -ENOSPC; /* that is what cuts writes short */
	if (out->waiting)
		fiber_wake(out->core, take(out->waiting));
}

static void wait_for_write(struct image_out *out)
{
	if (!out->busy)
		return;
	out->waiting = fiber_self(out->core);
	fiber_wait(out->core);
}

static void write_chunk(struct image_out *out)
{
	wait_for_write(out);
	if (out->error)
		return;
	uint8_t *full = out->filling;
	out->filling = out->writing;
	out->writing = full;
	out->in_flight = out->filled;
	out->filled = 0;
	out->busy = true;
	out->op = (struct io_op){.done = on_written};
	io_file_write(out->core->io, &out->op, out->fd, full, out->in_flight, out->written, 0);
	out->written += out->in_flight;
}

int image_out_append(struct image_out *out, struct slice bytes)
{
	while (bytes.len && !out->error) {
		size_t n = bytes.len < CHUNK - out->filled ? bytes.len : CHUNK - out->filled;
		memcpy(out->filling + out->filled, bytes.ptr, n);
		out->filled += n;
		bytes = slice_sub(bytes, n, bytes.len);
		if (out->filled == CHUNK)
			write_chunk(out);
	}
	return out->error;
}

int image_out_finish(struct image_out *out)
{
	static const uint8_t zeros[FILE_ALIGNMENT];
	size_t over = image_out_size(out) % FILE_ALIGNMENT;
	int result = image_out_append(out, slice_of(zeros, over ? FILE_ALIGNMENT - over : 0));
	if (result == 0 && out->filled)
		write_chunk(out);
	wait_for_write(out);
	return out->error ? out->error : file_sync(out->core, out->fd);
}

uint64_t image_out_size(const struct image_out *out) { return out->written + out->filled; }

void image_out_free(struct image_out *out)
{
	if (!out)
		return;
	wait_for_write(out);
	file_close(out->core, out->fd);
	memory_free(out->filling);
	memory_free(out->writing);
	memory_free(out);
}
