#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "storage/image/stream_private.h"

#include <assert.h>
#include <errno.h>

enum { CHUNK = 256 * 1024 };

/* What is left of one chunk is copied in front of the next, so that it goes on in one piece. */
struct half {
	uint8_t *room; /* IMAGE_IN_MOST bytes for what is left over, then CHUNK for what is read */
	size_t n;      /* that were read */
};

struct image_in {
	struct io_op op; /* first; the read in flight */
	struct core *core;
	struct fiber *waiting;
	bool busy;
	int fd;
	uint64_t size;
	uint64_t asked;    /* up to here reads were begun */
	struct half ahead; /* being read, or read */
	struct half now;
	const uint8_t *at, *end; /* in `now` */
	uint64_t taken;
};

static void on_read(struct io_op *op)
{
	struct image_in *in = (struct image_in *)op;
	in->busy = false;
	if (in->waiting)
		fiber_wake(in->core, take(in->waiting));
}

static void wait_for_read(struct image_in *in)
{
	if (!in->busy)
		return;
	in->waiting = fiber_self(in->core);
	fiber_wait(in->core);
}

static void read_ahead(struct image_in *in)
{
	uint64_t left = in->size - in->asked;
	in->ahead.n = left < CHUNK ? left : CHUNK;
	if (in->ahead.n == 0)
		return;
	/* Whole pages are asked for; where the file ends is known. */
	size_t size = (in->ahead.n + FILE_ALIGNMENT - 1) / FILE_ALIGNMENT * FILE_ALIGNMENT;
	in->busy = true;
	in->op = (struct io_op){.done = on_read};
	io_file_read(in->core->io, &in->op, in->fd, in->ahead.room + IMAGE_IN_MOST, size, in->asked);
	in->asked += in->ahead.n;
}

struct image_in *image_in_new(struct core *core, const char *path, int *error)
{
	int fd = file_open(core, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	int64_t size = fd < 0 ? fd : file_size(core, fd);
	if (size < 0) {
		if (fd >= 0)
			file_close(core, fd);
		*error = (int)size;
		return NULL;
	}
	struct image_in *in = memory_zalloc(sizeof(*in));
	in->core = core;
	in->fd = fd;
	in->size = (uint64_t)size;
	in->ahead.room = memory_aligned(FILE_ALIGNMENT, IMAGE_IN_MOST + CHUNK);
	in->now.room = memory_aligned(FILE_ALIGNMENT, IMAGE_IN_MOST + CHUNK);
	in->at = in->end = in->now.room + IMAGE_IN_MOST;
	read_ahead(in);
	return in;
}

/* The chunk ahead, complete: a read may give less than was asked for, and is then gone on with. */
static int finish_ahead(struct image_in *in)
{
	wait_for_read(in);
	int64_t n = in->ahead.n ? in->op.result : 0;
	if (n < 0)
		return (int)n;
	size_t from = (size_t)n / FILE_ALIGNMENT * FILE_ALIGNMENT;
	if ((size_t)n >= in->ahead.n)
		return 0;
	uint64_t at = in->asked - in->ahead.n + from;
	n = file_read(in->core, in->fd, in->ahead.room + IMAGE_IN_MOST + from, CHUNK - from, at);
	if (n < 0)
		return (int)n;
	return from + (size_t)n >= in->ahead.n ? 0 : -ENODATA;
}

static int next_half(struct image_in *in)
{
	int result = finish_ahead(in);
	if (result < 0)
		return result;
	size_t left = (size_t)(in->end - in->at);
	struct half used = in->now;
	in->now = in->ahead;
	in->ahead = used;
	uint8_t *begin = in->now.room + IMAGE_IN_MOST;
	if (left)
		memcpy(begin - left, in->at, left);
	in->at = begin - left;
	in->end = begin + in->now.n;
	read_ahead(in);
	return 0;
}

int image_in_take(struct image_in *in, size_t size, const uint8_t **out)
{
	assert(size <= IMAGE_IN_MOST);
	if (in->size - in->taken < size)
		return -ENODATA;
	if ((size_t)(in->end - in->at) < size) {
		int result = next_half(in);
		if (result < 0)
			return result;
	}
	*out = in->at;
	in->at += size;
	in->taken += size;
	return 0;
}

uint64_t image_in_size(const struct image_in *in) { return in->size; }
uint64_t image_in_at(const struct image_in *in) { return in->taken; }

void image_in_free(struct image_in *in)
{
	if (!in)
		return;
	wait_for_read(in);
	file_close(in->core, in->fd);
	memory_free(in->ahead.room);
	memory_free(in->now.room);
	memory_free(in);
}
