/* What the disk allows: direct reads of random blocks of 4 KiB from the files of a folder, so many at a time, through
 * the same I/O interface as the server's. Says reads a second, their mean time, and CPU of each.
 *
 *   perf-disk FOLDER DEPTH SECONDS [epoll]
 */
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/core/reactor_private.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "kernels/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, PATH_ROOM = 4096 };

struct file {
	int fd;
	uint64_t blocks;
};

struct bench {
	struct core *core;
	const char *folder;
	struct buf files; /* struct file */
	uint64_t blocks, depth, left, reads, took_ns, until_ns, random;
	double seconds;
	bool failed;
	struct fiber *waits;
};

static void open_one(struct bench *b, const char *name)
{
	char path[PATH_ROOM];
	struct file file;
	snprintf(path, sizeof(path), "%s/%s", b->folder, name);
	file.fd = file_open(b->core, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	int64_t size = file.fd < 0 ? 0 : file_size(b->core, file.fd);
	if (size < BLOCK)
		return;
	file.blocks = (uint64_t)size / BLOCK;
	b->blocks += file.blocks;
	buf_append(&b->files, slice_of(&file, sizeof(file)));
}

static void open_all(struct bench *b)
{
	struct buf names = {0};
	int result = dir_list(b->core, b->folder, &names);
	for (size_t at = 0; result == 0 && at < names.len; at += strlen((const char *)names.ptr + at) + 1)
		open_one(b, (const char *)names.ptr + at);
	buf_fini(&names);
}

static const struct file *pick(struct bench *b, uint64_t *at)
{
	uint64_t z = b->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	uint64_t block = (z ^ z >> 31) % b->blocks;
	const struct file *file = (const struct file *)(const void *)b->files.ptr;
	for (; block >= file->blocks; file++)
		block -= file->blocks;
	*at = block * BLOCK;
	return file;
}

static void reader(void *arg)
{
	struct bench *b = arg;
	uint8_t *block = file_buffer_new(BLOCK);
	while (b->core->now_ns < b->until_ns && !b->failed) {
		uint64_t at, from_ns = io_now_ns(b->core->io);
		const struct file *file = pick(b, &at);
		b->failed |= file_read(b->core, file->fd, block, BLOCK, at) != BLOCK;
		b->took_ns += io_now_ns(b->core->io) - from_ns;
		b->reads++;
	}
	file_buffer_free(block);
	if (--b->left == 0)
		fiber_wake(b->core, b->waits);
}

static void measure(void *arg)
{
	struct bench *b = arg;
	open_all(b);
	if (b->blocks > 0) {
		core_refresh_clock(b->core);
		uint64_t cpu_ns = os_thread_cpu_ns();
		b->until_ns = b->core->now_ns + (uint64_t)(b->seconds * 1e9);
		b->left = b->depth;
		b->waits = fiber_self(b->core);
		for (uint64_t i = 0; i < b->depth; i++)
			fiber_start(b->core, reader, b);
		fiber_wait(b->core);
		double reads = (double)b->reads;
		printf("{\"per_second\": %.0f, \"mean_us\": %.1f, \"cpu_us\": %.2f, \"bytes\": %llu}\n",
		       reads / b->seconds, (double)b->took_ns / 1000 / reads,
		       (double)(os_thread_cpu_ns() - cpu_ns) / 1000 / reads, (unsigned long long)b->blocks * BLOCK);
	}
	b->core->stopped = true;
}

int main(int argc, char **argv)
{
	char why[200];
	if (argc < 4) {
		fprintf(stderr, "usage: perf-disk FOLDER DEPTH SECONDS [epoll]\n");
		return 2;
	}
	kernels_init(cpu_features());
	struct bench b = {.folder = argv[1], .depth = strtoull(argv[2], NULL, 10), .seconds = strtod(argv[3], NULL)};
	struct machine *machine = machine_new(1);
	struct io *io = io_new(argc > 4 && strcmp(argv[4], "epoll") == 0 ? IO_EPOLL : IO_AUTO, why, sizeof(why));
	if (!io || b.depth == 0) {
		fprintf(stderr, "perf-disk: %s\n", io ? "a depth of at least 1" : why);
		return 1;
	}
	machine->log_level = LOG_NOTHING;
	b.core = core_new(machine, 0, io);
	fiber_start(b.core, measure, &b);
	reactor_run(b.core);
	core_free(b.core);
	machine_free(machine);
	io_free(io);
	buf_fini(&b.files);
	if (b.failed || b.reads == 0)
		fprintf(stderr, "perf-disk: %s\n", b.failed ? "a read failed" : "there is nothing to read");
	return b.failed || b.reads == 0;
}
