/* Files for fibers, on every back end: the same story, told by one fiber. */
#include "engine/core/file.h"

#include "engine/core/fiber.h"
#include "engine/core/reactor_private.h"
#include "engine/io/sim.h"
#include "engine/io/sim_disk.h"
#include "engine/memory/memory.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { BYTES = 3 * FILE_ALIGNMENT };

struct story {
	struct core *core;
	char dir[64], one[96], two[96];
	bool is_told;
};

static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
}

static void tell_reads(struct story *s, int fd)
{
	uint8_t *bytes = file_buffer_new(BYTES), *back = file_buffer_new(2 * BYTES);
	for (int i = 0; i < BYTES; i++)
		cr_assert_eq(bytes[i], 0);
	fill(bytes, BYTES);
	cr_assert_eq(file_size(s->core, fd), 0);
	cr_assert_eq(file_read(s->core, fd, back, BYTES, 0), 0);
	cr_assert_eq(file_write(s->core, fd, bytes, BYTES, 0, IO_WRITE_DURABLE), 0);
	cr_assert_eq(file_sync(s->core, fd), 0);
	cr_assert_eq(file_size(s->core, fd), BYTES);
	cr_assert_eq(file_read(s->core, fd, back, BYTES, 0), BYTES);
	cr_assert_eq(memcmp(bytes, back, BYTES), 0);
	/* Less than was asked for, as the file ends. */
	cr_assert_eq(file_read(s->core, fd, back, 2 * BYTES, FILE_ALIGNMENT), BYTES - FILE_ALIGNMENT);
	cr_assert_eq(memcmp(bytes + FILE_ALIGNMENT, back, BYTES - FILE_ALIGNMENT), 0);
	cr_assert_eq(file_read(s->core, fd, back, BYTES, BYTES), 0);
	file_buffer_free(bytes);
	file_buffer_free(back);
}

/* A file whose end is nowhere special, with and without the page cache. */
static void tell_odd_end(struct story *s, unsigned flags)
{
	uint8_t *bytes = file_buffer_new(BYTES), *back = file_buffer_new(BYTES);
	fill(bytes, BYTES);
	int fd = file_open(s->core, s->two, IO_OPEN_WRITE, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(file_write(s->core, fd, bytes, 5000, 0, 0), 0);
	file_close(s->core, fd);
	fd = file_open(s->core, s->two, IO_OPEN_READ | flags, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(file_read(s->core, fd, back, BYTES, 0), 5000);
	cr_assert_eq(memcmp(bytes, back, 5000), 0);
	file_close(s->core, fd);
	file_buffer_free(bytes);
	file_buffer_free(back);
}

static void tell(void *arg)
{
	struct story *s = arg;
	cleanup(buf_fini) struct buf names = {0};
	const unsigned both = IO_OPEN_READ | IO_OPEN_WRITE;
	cr_assert_eq(dir_make(s->core, s->dir), 0);
	cr_assert_eq(dir_make(s->core, s->dir), 0);
	cr_assert_eq(file_open(s->core, s->one, both | IO_OPEN_DIRECT, 0600), -ENOENT);
	int fd = file_open(s->core, s->one, both | IO_OPEN_DIRECT | IO_OPEN_CREATE, 0600);
	cr_assert_geq(fd, 0);
	tell_reads(s, fd);
	file_close(s->core, fd);
	cr_assert_eq(file_size(s->core, fd), -EBADF);
	fd = file_open(s->core, s->two, both | IO_OPEN_CREATE, 0600);
	cr_assert_geq(fd, 0);
	file_close(s->core, fd);
	tell_odd_end(s, 0);
	tell_odd_end(s, IO_OPEN_DIRECT);
	cr_assert_eq(dir_list(s->core, s->dir, &names), 0);
	cr_assert(slice_equal(buf_slice(&names), S("one\0two\0")));
	cr_assert_eq(file_rename(s->core, s->one, s->two), 0);
	cr_assert_eq(file_rename(s->core, s->one, s->two), -ENOENT);
	cr_assert_eq(file_remove(s->core, s->two), 0);
	cr_assert_eq(file_remove(s->core, s->two), -ENOENT);
	cr_assert_eq(dir_sync(s->core, s->dir, dir_mark(s->core)), 0);
	uint64_t mark = dir_mark(s->core);
	cr_assert_eq(dir_sync(s->core, s->one, mark), -ENOENT);
	/* Names that may be older than a failure are not sure any more. */
	cr_assert_eq(dir_sync(s->core, s->dir, mark), -EIO);
	cr_assert_eq(dir_sync(s->core, s->dir, dir_mark(s->core)), 0);
	names.len = 0;
	cr_assert_eq(dir_list(s->core, s->dir, &names), 0);
	cr_assert_eq(names.len, 0);
	s->is_told = true;
	s->core->stopped = true;
}

static struct story story_begin(struct machine *machine, struct io *io)
{
	struct story s = {.core = core_new(machine, 0, io)};
	snprintf(s.dir, sizeof(s.dir), "file_test.%d", getpid());
	snprintf(s.one, sizeof(s.one), "%s/one", s.dir);
	snprintf(s.two, sizeof(s.two), "%s/two", s.dir);
	return s;
}

static void story_end(struct story *s, struct machine *machine, struct io *io)
{
	cr_assert(s->is_told);
	core_free(s->core);
	machine_free(machine);
	io_free(io);
}

static void on_back_end(enum io_choice choice)
{
	char why[200];
	struct io *io = io_new(choice, why, sizeof(why));
	cr_assert(io, "%s", why);
	struct machine *machine = machine_new(1);
	struct story s = story_begin(machine, io);
	fiber_start(s.core, tell, &s);
	reactor_run(s.core);
	story_end(&s, machine, io);
	cr_assert_eq(rmdir(s.dir), 0);
}

Test(file, fibers_wait_for_the_ring) { on_back_end(IO_URING); }
Test(file, fibers_wait_for_the_pool) { on_back_end(IO_EPOLL); }

/* Reads come in parts there, too. */
Test(file, fibers_wait_for_the_simulator)
{
	const struct sim_faults faults = {.clock_ns = 100, .delay_ns = 5000, .chunks = 2};
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim *sim = sim_new(seed, &faults);
		struct sim_disk_faults parts = {.delay_ns = 5000, .read_short = (uint32_t)seed * 40};
		sim_disk_set_faults(sim_disk_of(sim), &parts);
		struct io *io = sim_io_new(sim);
		struct machine *machine = machine_new(1);
		struct story s = story_begin(machine, io);
		reactor_set_poll(s.core, REACTOR_POLL_NEVER);
		fiber_start(s.core, tell, &s);
		for (enum reactor_stage stage = REACTOR_WORK; stage != REACTOR_STOPPED;) {
			if (stage == REACTOR_SLEEP && !sim_io_due(io))
				sim_pass_ns(sim, sim_io_next_ns(io) - sim_now_ns(sim));
			stage = reactor_step(s.core);
		}
		story_end(&s, machine, io);
		sim_free(sim);
	}
}
