/* The simulated disk against models of what may be left of it, and each of its faults by itself. */
#include "engine/io/sim.h"
#include "engine/io/sim_disk.h"
#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISK_BYTES = 64 * 1024 * 1024, SECTOR = SIM_SECTOR_SIZE, PIECE = SIM_PIECE_SIZE };

static const unsigned BOTH = IO_OPEN_READ | IO_OPEN_WRITE, NEW = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE;

/* ---- a world with one io, and operations one at a time ------------------------------------------ */

struct bench {
	struct sim *sim;
	struct io *io;
	struct sim_disk *disk;
};

struct doing {
	struct io_op op; /* first */
	bool is_done;
};

static void on_done(struct io_op *op) { ((struct doing *)op)->is_done = true; }

static void bench_boot(struct bench *b, uint64_t seed)
{
	const struct sim_faults kind = {.clock_ns = 10, .chunks = 1};
	b->sim = sim_new(seed, &kind);
	b->io = sim_io_new(b->sim);
	sim_use_disk(b->sim, b->disk);
}

static struct bench bench_new(uint64_t seed)
{
	struct bench b = {.disk = sim_disk_new(DISK_BYTES)};
	bench_boot(&b, seed);
	return b;
}

static void bench_halt(struct bench *b)
{
	io_free(b->io);
	sim_free(b->sim);
}

static void bench_free(struct bench *b)
{
	bench_halt(b);
	sim_disk_verify(b->disk);
	sim_disk_free(b->disk);
}

/* False: nothing is in flight, or the power is off. */
static bool pass(struct bench *b)
{
	if (!sim_io_due(b->io)) {
		uint64_t next_ns = sim_io_next_ns(b->io);
		if (next_ns == UINT64_MAX)
			return false;
		sim_pass_ns(b->sim, next_ns - sim_now_ns(b->sim));
	}
	io_poll(b->io, 0);
	return true;
}

static int64_t finish(struct bench *b, struct doing *doing)
{
	cr_assert_not(doing->is_done);
	while (!doing->is_done)
		cr_assert(pass(b));
	return doing->op.result;
}

#define RUN(b, call, ...)                               \
	({                                              \
		struct doing d_ = {.op.done = on_done}; \
		call((b)->io, &d_.op, ##__VA_ARGS__);   \
		finish((b), &d_);                       \
	})

static int open_new(struct bench *b, const char *path)
{
	int fd = (int)RUN(b, io_file_open, path, NEW, 0600);
	cr_assert_geq(fd, 0);
	return fd;
}

/* One whose name stays. */
static int open_kept(struct bench *b, const char *path)
{
	int fd = open_new(b, path);
	cr_assert_eq(RUN(b, io_dir_sync, ""), 0);
	return fd;
}

static void crash(struct bench *b, uint64_t random)
{
	sim_disk_crash(b->disk, random);
	bench_halt(b);
	sim_disk_verify(b->disk);
	bench_boot(b, random + 1);
}

static uint8_t *filled(uint8_t byte)
{
	static uint8_t bytes[4 * SECTOR];
	memset(bytes, byte, sizeof(bytes));
	return bytes;
}

static int byte_at(struct bench *b, const char *path, uint64_t at)
{
	uint8_t byte;
	return sim_disk_read(b->disk, path, at, &byte, 1) == 1 ? byte : -1;
}

/* ---- states ----------------------------------------------------------------------------------------- */

/* What many crashes from one moment leave at a place, as a set of bytes. */
struct outcomes {
	int n[256], missing;
};

static struct outcomes crash_often(struct bench *b, const char *path, uint64_t at)
{
	struct outcomes outcomes = {0};
	for (uint64_t random = 0; random < 400; random++) {
		struct sim_disk *copy = sim_disk_copy(b->disk);
		uint8_t byte;
		sim_disk_crash(copy, random);
		sim_disk_verify(copy);
		if (sim_disk_read(copy, path, at, &byte, 1) == 1)
			outcomes.n[byte]++;
		else
			outcomes.missing++;
		sim_disk_free(copy);
	}
	return outcomes;
}

Test(sim_disk, what_is_cached_may_be_lost_and_what_is_durable_not)
{
	struct bench b = bench_new(1);
	int fd = open_kept(&b, "f");
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('a'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
	cr_assert(sim_disk_is_durable(b.disk, "f", 0, SECTOR));
	struct outcomes o = crash_often(&b, "f", 5);
	cr_assert_eq(o.n['a'], 400);
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('b'), SECTOR, 0, 0), SECTOR);
	cr_assert_not(sim_disk_is_durable(b.disk, "f", 0, SECTOR));
	cr_assert_eq(byte_at(&b, "f", 5), 'b');
	o = crash_often(&b, "f", 5);
	cr_assert(o.n['a'] > 50 && o.n['b'] > 50 && o.n['a'] + o.n['b'] < 400, "old, new, and garbage");
	cr_assert_eq(RUN(&b, io_file_sync, fd), 0);
	o = crash_often(&b, "f", 5);
	cr_assert_eq(o.n['b'], 400);
	bench_free(&b);
}

Test(sim_disk, what_is_in_flight_may_be_there_though_nobody_was_told)
{
	struct bench b = bench_new(1);
	struct doing d = {.op.done = on_done};
	int fd = open_kept(&b, "f");
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('a'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
	io_file_write(b.io, &d.op, fd, filled('b'), 2 * SECTOR, 0, IO_WRITE_DURABLE);
	cr_assert_eq(byte_at(&b, "f", 5), 'a');
	cr_assert_not(sim_disk_is_durable(b.disk, "f", 0, 1));
	struct outcomes o = crash_often(&b, "f", 5), longer = crash_often(&b, "f", SECTOR);
	cr_assert(o.n['a'] > 50 && o.n['b'] > 50);
	cr_assert(longer.missing > 50 && longer.n['b'] > 50 && longer.n[0] > 10, "a length without contents");
	cr_assert_eq(finish(&b, &d), 2 * SECTOR);
	cr_assert_eq(crash_often(&b, "f", SECTOR).n['b'], 400);
	bench_free(&b);
}

Test(sim_disk, of_two_cached_writes_the_first_may_stay)
{
	struct bench b = bench_new(7);
	int fd = open_kept(&b, "f");
	int seen = 0;
	for (int i = 0; i < 40; i++) {
		cr_assert_eq(RUN(&b, io_file_write, fd, filled('a'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
		cr_assert_eq(RUN(&b, io_file_write, fd, filled('b'), SECTOR, 0, 0), SECTOR);
		cr_assert_eq(RUN(&b, io_file_write, fd, filled('c'), SECTOR, 0, 0), SECTOR);
		seen += crash_often(&b, "f", 9).n['b'] > 0;
	}
	cr_assert(seen > 3 && seen < 30);
	bench_free(&b);
}

Test(sim_disk, a_sync_is_about_what_was_done_when_it_was_staged)
{
	struct sim_disk_faults faults = {.delay_ns = 1000};
	int later_lost = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct bench b = bench_new(seed);
		struct doing sync = {.op.done = on_done}, write = {.op.done = on_done};
		sim_disk_set_faults(b.disk, &faults);
		int fd = open_kept(&b, "f");
		cr_assert_eq(RUN(&b, io_file_write, fd, filled('a'), SECTOR, 0, 0), SECTOR);
		io_file_sync(b.io, &sync.op, fd);
		io_file_write(b.io, &write.op, fd, filled('b'), SECTOR, 0, 0);
		while (!sync.is_done || !write.is_done)
			cr_assert(pass(&b));
		struct outcomes o = crash_often(&b, "f", 0);
		cr_assert_eq(o.n[0] + o.missing, 0);
		later_lost += o.n['a'] > 0;
		bench_free(&b);
	}
	cr_assert_gt(later_lost, 10);
}

Test(sim_disk, a_sync_of_a_directory_too)
{
	struct sim_disk_faults faults = {.delay_ns = 1000};
	int later_lost = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct bench b = bench_new(seed);
		struct doing sync = {.op.done = on_done}, opening = {.op.done = on_done};
		sim_disk_set_faults(b.disk, &faults);
		open_new(&b, "first");
		io_dir_sync(b.io, &sync.op, "");
		io_file_open(b.io, &opening.op, "second", NEW, 0600);
		while (!sync.is_done || !opening.is_done)
			cr_assert(pass(&b));
		cr_assert(sim_disk_is_durable(b.disk, "first", 0, 0));
		cr_assert_not(sim_disk_is_durable(b.disk, "second", 0, 0));
		crash(&b, seed);
		cr_assert_eq(sim_disk_size(b.disk, "first"), 0);
		later_lost += sim_disk_size(b.disk, "second") < 0;
		bench_free(&b);
	}
	cr_assert_gt(later_lost, 10);
}

/* ---- names ------------------------------------------------------------------------------------------- */

Test(sim_disk, names_stay_when_their_directory_was_synced)
{
	struct bench b = bench_new(1);
	cr_assert_eq(RUN(&b, io_file_open, "d/f", NEW, 0600), -ENOENT, "directories are made");
	cr_assert_eq(RUN(&b, io_dir_make, "d"), 0);
	int fd = open_new(&b, "d/f");
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('a'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
	cr_assert_eq(RUN(&b, io_file_sync, fd), 0);
	cr_assert_gt(crash_often(&b, "d/f", 0).missing, 100);
	cr_assert_eq(RUN(&b, io_dir_sync, "d"), 0);
	cr_assert_gt(crash_often(&b, "d/f", 0).missing, 100, "its directory has no name yet");
	cr_assert_not(sim_disk_is_durable(b.disk, "d/f", 0, 1));
	cr_assert_eq(RUN(&b, io_dir_sync, "."), 0);
	cr_assert_eq(crash_often(&b, "d/f", 0).n['a'], 400);
	cr_assert(sim_disk_is_durable(b.disk, "d/f", 0, 1));
	cr_assert_eq(RUN(&b, io_file_remove, "/d/f"), 0);
	cr_assert_eq(sim_disk_size(b.disk, "d/f"), -1);
	struct outcomes o = crash_often(&b, "d/f", 0);
	cr_assert(o.missing > 50 && o.n['a'] > 50);
	cr_assert_eq(RUN(&b, io_dir_sync, "d/"), 0);
	cr_assert_eq(crash_often(&b, "d/f", 0).missing, 400);
	cr_assert_eq(RUN(&b, io_file_read, fd, filled(0), 1, 0), 1, "it is open");
	bench_free(&b);
}

Test(sim_disk, a_rename_happens_or_does_not)
{
	struct bench b = bench_new(1);
	int one = open_new(&b, "new"), two = open_new(&b, "kept");
	cr_assert_eq(RUN(&b, io_file_write, one, filled('n'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
	cr_assert_eq(RUN(&b, io_file_write, two, filled('k'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
	cr_assert_eq(RUN(&b, io_dir_sync, ""), 0);
	cr_assert_eq(RUN(&b, io_file_rename, "new", "kept"), 0);
	cr_assert_eq(byte_at(&b, "kept", 0), 'n');
	int renamed = 0;
	for (uint64_t random = 0; random < 200; random++) {
		struct sim_disk *copy = sim_disk_copy(b.disk);
		uint8_t byte = 0;
		sim_disk_crash(copy, random);
		cr_assert_eq(sim_disk_read(copy, "kept", 0, &byte, 1), 1);
		cr_assert_eq(byte, sim_disk_size(copy, "new") < 0 ? 'n' : 'k');
		renamed += byte == 'n';
		sim_disk_free(copy);
	}
	cr_assert(renamed > 50 && renamed < 150);
	cr_assert_eq(RUN(&b, io_dir_sync, ""), 0);
	cr_assert_eq(crash_often(&b, "kept", 0).n['n'], 400);
	cr_assert_eq(crash_often(&b, "new", 0).missing, 400);
	bench_free(&b);
}

Test(sim_disk, what_is_refused)
{
	struct bench b = bench_new(1);
	uint8_t *aligned = memory_aligned(SECTOR, 2 * SECTOR);
	int fd = (int)RUN(&b, io_file_open, "f", NEW | IO_OPEN_DIRECT, 0600);
	memset(aligned, 1, 2 * SECTOR);
	cr_assert_eq(RUN(&b, io_file_write, fd, aligned, SECTOR, 0, 0), SECTOR);
	cr_assert_eq(RUN(&b, io_file_write, fd, aligned, 512, 0, 0), -EINVAL);
	cr_assert_eq(RUN(&b, io_file_write, fd, aligned, SECTOR, 512, 0), -EINVAL);
	cr_assert_eq(RUN(&b, io_file_write, fd, aligned + 1, SECTOR, 0, 0), -EINVAL);
	cr_assert_eq(RUN(&b, io_file_read, fd, aligned + 512, SECTOR, 0), -EINVAL);
	int reader = (int)RUN(&b, io_file_open, "f", IO_OPEN_READ, 0);
	cr_assert_eq(RUN(&b, io_file_write, reader, aligned, SECTOR, 0, 0), -EBADF);
	cr_assert_eq(RUN(&b, io_file_write, fd, aligned, SECTOR, 1ull << 50, 0), -EFBIG);
	cr_assert_eq(RUN(&b, io_file_close, reader), 0);
	cr_assert_eq(RUN(&b, io_file_close, reader), -EBADF);
	cr_assert_eq(RUN(&b, io_file_size, fd), SECTOR);
	cr_assert_eq(RUN(&b, io_dir_make, "f"), -ENOTDIR);
	cr_assert_eq(RUN(&b, io_dir_make, "f/g"), -ENOTDIR);
	cr_assert_eq(RUN(&b, io_dir_make, "d"), 0);
	cr_assert_eq(RUN(&b, io_file_open, "d", BOTH, 0), -EISDIR);
	cr_assert_eq(RUN(&b, io_file_remove, "d"), -EISDIR);
	cr_assert_eq(RUN(&b, io_file_rename, "f", "d"), -EISDIR);
	cr_assert_eq(RUN(&b, io_file_rename, "f", "f"), 0);
	cr_assert_eq(RUN(&b, io_file_rename, "d", "e"), 0);
	cr_assert_eq(RUN(&b, io_dir_make, "g"), 0);
	cr_assert_eq(RUN(&b, io_dir_make, "e/h"), 0);
	cr_assert_eq(RUN(&b, io_file_rename, "g", "e"), -ENOTEMPTY);
	cr_assert_eq(RUN(&b, io_file_rename, "e", "g"), 0);
	cr_assert_eq(RUN(&b, io_file_rename, "g", "e"), 0);
	cr_assert_eq(RUN(&b, io_dir_make, "g"), 0);
	cr_assert_eq(RUN(&b, io_file_rename, "g", "e/g"), -EINVAL);
	memory_free(aligned);
	bench_free(&b);
}

/* ---- faults --------------------------------------------------------------------------------------------- */

static struct bench bench_with(uint64_t seed, struct sim_disk_faults faults, int *fd)
{
	struct bench b = bench_new(seed);
	*fd = open_kept(&b, "f");
	cr_assert_eq(RUN(&b, io_file_write, *fd, filled('a'), 4 * SECTOR, 0, IO_WRITE_DURABLE), 4 * SECTOR);
	sim_disk_set_faults(b.disk, &faults);
	return b;
}

Test(sim_disk, a_failed_sync_is_not_helped_by_the_next)
{
	int lost = 0, read_until_then = 0;
	for (uint64_t seed = 0; seed < 40; seed++) {
		int fd;
		struct bench b = bench_with(seed, (struct sim_disk_faults){.sync_fails = 1000}, &fd);
		cr_assert_eq(RUN(&b, io_file_write, fd, filled('b'), 4 * SECTOR, 0, 0), 4 * SECTOR);
		cr_assert_eq(RUN(&b, io_file_sync, fd), -EIO);
		sim_disk_set_faults(b.disk, &(struct sim_disk_faults){0});
		cr_assert_eq(RUN(&b, io_file_sync, fd), 0);
		int before = byte_at(&b, "f", seed % 4 * SECTOR);
		crash(&b, seed);
		int after = byte_at(&b, "f", seed % 4 * SECTOR);
		cr_assert(after == 'a' || after == 'b');
		lost += after == 'a';
		read_until_then += after == 'a' && before == 'b';
		cr_assert_eq(sim_disk_counts(b.disk)->sync_fails, 1);
		bench_free(&b);
	}
	cr_assert(lost > 5 && lost < 40 && read_until_then > 2);
}

Test(sim_disk, a_failed_sync_of_a_directory_is_not_helped_by_the_next)
{
	int lost = 0;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct bench b = bench_new(seed);
		open_new(&b, "f");
		sim_disk_set_faults(b.disk, &(struct sim_disk_faults){.sync_fails = 1000});
		cr_assert_eq(RUN(&b, io_dir_sync, ""), -EIO);
		sim_disk_set_faults(b.disk, &(struct sim_disk_faults){0});
		cr_assert_eq(RUN(&b, io_dir_sync, ""), 0);
		crash(&b, seed);
		lost += sim_disk_size(b.disk, "f") < 0;
		bench_free(&b);
	}
	cr_assert(lost > 20 && lost < 80);
}

Test(sim_disk, writes_fail_in_part)
{
	int fd, old = 0, new = 0;
	struct bench b = bench_with(11, (struct sim_disk_faults){.write_fails = 1000}, &fd);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(RUN(&b, io_file_write, fd, filled((uint8_t)('b' + i % 20)), SECTOR, 0, IO_WRITE_DURABLE),
		             -EIO);
		new += byte_at(&b, "f", 0) == 'b' + i % 20;
		old += byte_at(&b, "f", 0) != 'b' + i % 20;
	}
	cr_assert(old > 20 && new > 20);
	cr_assert_eq(sim_disk_counts(b.disk)->write_fails, 100);
	bench_free(&b);
}

Test(sim_disk, parts_are_done)
{
	int fd;
	struct bench b = bench_with(11, (struct sim_disk_faults){.write_short = 1000, .read_short = 1000}, &fd);
	for (int i = 0; i < 100; i++) {
		uint8_t byte = (uint8_t)('b' + i % 20);
		int64_t n = RUN(&b, io_file_write, fd, filled(byte), 3 * SECTOR, 0, IO_WRITE_DURABLE);
		cr_assert(n > 0 && n < 3 * SECTOR && n % PIECE == 0);
		cr_assert_eq(byte_at(&b, "f", (uint64_t)n - 1), byte);
		cr_assert_neq(byte_at(&b, "f", (uint64_t)n), byte);
		n = RUN(&b, io_file_read, fd, filled(0), 4 * SECTOR, 0);
		cr_assert(n > 0 && n < 4 * SECTOR && n % SECTOR == 0);
	}
	cr_assert_eq(RUN(&b, io_file_read, fd, filled(0), 100, 7), 100);
	bench_free(&b);
}

Test(sim_disk, reads_fail_and_lie)
{
	int fd;
	struct bench b = bench_with(11, (struct sim_disk_faults){.read_fails = 1000}, &fd);
	cr_assert_eq(RUN(&b, io_file_read, fd, filled(0), SECTOR, 0), -EIO);
	sim_disk_set_faults(b.disk, &(struct sim_disk_faults){.flip_on_read = 1000});
	uint8_t *bytes = filled(0);
	cr_assert_eq(RUN(&b, io_file_read, fd, bytes, SECTOR, 0), SECTOR);
	int bits = 0;
	for (int i = 0; i < SECTOR; i++)
		bits += __builtin_popcount(bytes[i] ^ 'a');
	cr_assert_eq(bits, 1);
	sim_disk_set_faults(b.disk, &(struct sim_disk_faults){0});
	cr_assert_eq(RUN(&b, io_file_read, fd, bytes, SECTOR, 0), SECTOR);
	for (int i = 0; i < SECTOR; i++)
		cr_assert_eq(bytes[i], 'a');
	bench_free(&b);
}

static int differing_bits(struct bench *b, uint8_t from)
{
	uint8_t bytes[4 * SECTOR];
	int bits = 0;
	size_t n = sim_disk_read(b->disk, "f", 0, bytes, sizeof(bytes));
	for (size_t i = 0; i < n; i++)
		bits += __builtin_popcount(bytes[i] ^ from);
	return bits;
}

Test(sim_disk, bits_flip)
{
	int fd;
	struct bench b = bench_with(11, (struct sim_disk_faults){.flip_at_rest = 1000}, &fd);
	cr_assert_eq(RUN(&b, io_file_size, fd), 4 * SECTOR);
	cr_assert_eq(differing_bits(&b, 'a'), 1);
	sim_disk_set_faults(b.disk, &(struct sim_disk_faults){.flip_at_rest = 1000, .where = "other"});
	cr_assert_eq(RUN(&b, io_file_size, fd), 4 * SECTOR);
	cr_assert_eq(differing_bits(&b, 'a'), 1);
	bench_free(&b);
	b = bench_with(11, (struct sim_disk_faults){0}, &fd);
	sim_disk_flip_bit(b.disk, "f", 8 * SECTOR + 3);
	cr_assert_eq(byte_at(&b, "f", SECTOR), 'a' ^ 8);
	crash(&b, 1);
	cr_assert_eq(byte_at(&b, "f", SECTOR), 'a' ^ 8);
	bench_free(&b);
}

Test(sim_disk, writes_get_lost_and_astray)
{
	int fd;
	struct bench b = bench_with(11, (struct sim_disk_faults){.write_lost = 1000}, &fd);
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('b'), SECTOR, 4 * SECTOR, IO_WRITE_DURABLE), SECTOR);
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('b'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
	cr_assert_eq(byte_at(&b, "f", 0), 'a');
	cr_assert_eq(byte_at(&b, "f", 4 * SECTOR), 0, "its length is there");
	sim_disk_set_faults(b.disk, &(struct sim_disk_faults){.write_misdirected = 1000});
	int elsewhere = 0, n = 0;
	for (int i = 0; i < 60; i++) {
		cr_assert_eq(RUN(&b, io_file_write, fd, filled('c'), SECTOR, 0, IO_WRITE_DURABLE), SECTOR);
		n = 0;
		for (uint64_t s = 0; s < 5; s++)
			n += byte_at(&b, "f", s * SECTOR) == 'c';
		elsewhere += byte_at(&b, "f", 0) != 'c';
	}
	cr_assert_eq(n, 5);
	cr_assert_gt(elsewhere, 0);
	cr_assert_eq(sim_disk_counts(b.disk)->write_misdirected, 60);
	bench_free(&b);
}

Test(sim_disk, a_full_disk_has_room_again_when_a_file_goes)
{
	int fd;
	struct bench b = bench_with(11, (struct sim_disk_faults){.room_bytes = 6 * SECTOR}, &fd);
	cr_assert_eq(sim_disk_used_bytes(b.disk), 4 * SECTOR);
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('b'), 4 * SECTOR, 0, 0), 4 * SECTOR, "it has that room");
	int other = open_kept(&b, "other");
	int64_t n = RUN(&b, io_file_write, other, filled('c'), 4 * SECTOR, 0, IO_WRITE_DURABLE);
	cr_assert(n == -ENOSPC || n == 2 * SECTOR);
	while (sim_disk_used_bytes(b.disk) < 6 * SECTOR)
		(void)RUN(&b, io_file_write, other, filled('c'), 4 * SECTOR, 0, IO_WRITE_DURABLE);
	cr_assert_eq(RUN(&b, io_file_write, other, filled('c'), SECTOR, 3 * SECTOR, 0), -ENOSPC);
	cr_assert_eq(RUN(&b, io_file_remove, "f"), 0);
	cr_assert_eq(RUN(&b, io_file_write, other, filled('c'), SECTOR, 3 * SECTOR, 0), -ENOSPC, "it is open");
	cr_assert_eq(RUN(&b, io_file_close, fd), 0);
	cr_assert_eq(RUN(&b, io_file_write, other, filled('c'), SECTOR, 3 * SECTOR, 0), SECTOR);
	cr_assert_geq(sim_disk_counts(b.disk)->full, 3);
	bench_free(&b);
}

Test(sim_disk, slow_and_out_of_order)
{
	int fd;
	struct bench b =
	        bench_with(11, (struct sim_disk_faults){.slow = 500, .slow_ns = 5000000000, .delay_ns = 1000}, &fd);
	struct doing many[32];
	uint64_t start_ns = sim_now_ns(b.sim);
	for (int i = 0; i < 32; i++) {
		many[i] = (struct doing){.op.done = on_done};
		io_file_write(b.io, &many[i].op, fd, filled('b'), SECTOR, 0, 0);
	}
	while (pass(&b))
		;
	for (int i = 0; i < 32; i++)
		cr_assert(many[i].is_done);
	const struct sim_disk_counts *counts = sim_disk_counts(b.disk);
	cr_assert(counts->slow > 5 && counts->slow < 27 && counts->reordered > 5);
	cr_assert_gt(sim_now_ns(b.sim) - start_ns, 1000000000);
	bench_free(&b);
}

static const struct sim_disk_faults all_faults = {.delay_ns = 10000,
                                                  .slow = 20,
                                                  .slow_ns = 1000000000,
                                                  .read_fails = 50,
                                                  .write_fails = 50,
                                                  .sync_fails = 100,
                                                  .name_fails = 100,
                                                  .read_short = 50,
                                                  .write_short = 50,
                                                  .write_misdirected = 50,
                                                  .write_lost = 50,
                                                  .flip_at_rest = 50,
                                                  .flip_on_read = 50,
                                                  .room_bytes = 20 * SECTOR};

enum { FLIGHTS = 6 };

static void stage_any(struct bench *b, struct doing *doing, uint8_t *bytes)
{
	static const char *const paths[] = {"a", "b", "d/a", "d/b", "d", "e"}, *const dirs[] = {"d", "e", "."};
	bool on_dir = sim_below(b->sim, 20) == 0;
	const char *path = paths[sim_below(b->sim, 4) + (on_dir ? 2 : 0)];
	const char *other = paths[sim_below(b->sim, 4) + (on_dir ? 2 : 0)], *dir = dirs[sim_below(b->sim, 3)];
	int fd = (int)sim_below(b->sim, 5);
	size_t size = sim_below(b->sim, 4 * SECTOR);
	uint64_t at = sim_below(b->sim, 6 * SECTOR);
	*doing = (struct doing){.op.done = on_done};
	switch (sim_below(b->sim, 16)) {
	case 0:
	case 1:
		io_file_open(b->io, &doing->op, path, NEW, 0600);
		break;
	case 2:
		io_file_rename(b->io, &doing->op, path, other);
		break;
	case 3:
		io_file_remove(b->io, &doing->op, path);
		break;
	case 4:
		io_dir_make(b->io, &doing->op, dir);
		break;
	case 5:
		io_dir_sync(b->io, &doing->op, dir);
		break;
	case 6:
		io_file_sync(b->io, &doing->op, fd);
		break;
	case 7:
		io_file_close(b->io, &doing->op, fd);
		break;
	case 8:
	case 9:
		io_file_read(b->io, &doing->op, fd, bytes, size, at);
		break;
	default:
		io_file_write(b->io, &doing->op, fd, bytes, size, at, at & 1 ? IO_WRITE_DURABLE : 0);
		break;
	}
}

static void do_anything(struct bench *b)
{
	static uint8_t bytes[FLIGHTS][4 * SECTOR];
	struct doing flights[FLIGHTS];
	for (int i = 0; i < FLIGHTS; i++)
		flights[i].is_done = true;
	for (int i = 0; i < 200; i++) {
		uint64_t which = sim_below(b->sim, FLIGHTS);
		if (flights[which].is_done)
			stage_any(b, &flights[which], bytes[which]);
		else
			pass(b);
		if (i % 16 == 0)
			sim_disk_verify(b->disk);
	}
}

Test(sim_disk, all_at_once_and_it_stays_whole, .timeout = 60)
{
	struct bench b = {.disk = sim_disk_new(DISK_BYTES)};
	sim_disk_set_faults(b.disk, &all_faults);
	for (uint64_t life = 0; life < 400; life++) {
		bench_boot(&b, life);
		if (life % 3 == 0)
			sim_disk_crash_after(b.disk, life % 200 + 1);
		do_anything(&b);
		if (life % 5 == 0)
			sim_disk_kill(b.disk, life);
		else
			sim_disk_crash(b.disk, life);
		bench_halt(&b);
		sim_disk_verify(b.disk);
		if (life % 50 == 0)
			while (sim_disk_size(b.disk, "a") >= 0 || sim_disk_size(b.disk, "b") >= 0)
				sim_disk_remove(b.disk, "a"), sim_disk_remove(b.disk, "b");
	}
	const struct sim_disk_counts *n = sim_disk_counts(b.disk);
	const uint64_t *each = (const uint64_t *)n;
	for (size_t i = 0; i < sizeof(*n) / sizeof(*each); i++)
		cr_assert_gt(each[i], 0, "count %d", (int)i);
	sim_disk_free(b.disk);
}

/* ---- crash points ------------------------------------------------------------------------------------------ */

Test(sim_disk, the_power_fails_between_any_two_events)
{
	int staged_only = 0, done_untold = 0;
	for (uint64_t n = 1; n <= 6; n++) {
		int fd;
		struct bench b = bench_with(11, (struct sim_disk_faults){0}, &fd);
		struct doing d[3];
		sim_disk_crash_after(b.disk, n);
		for (int i = 0; i < 3; i++) {
			d[i] = (struct doing){.op.done = on_done};
			io_file_write(b.io, &d[i].op, fd, filled('b'), SECTOR, (uint64_t)i * SECTOR, IO_WRITE_DURABLE);
			while (!d[i].is_done && pass(&b))
				;
			cr_assert_eq(d[i].is_done, n > 2 * (uint64_t)i + 2);
			if (!d[i].is_done && n == 2 * (uint64_t)i + 1)
				staged_only += byte_at(&b, "f", (uint64_t)i * SECTOR) == 'a';
			if (!d[i].is_done && n == 2 * (uint64_t)i + 2)
				done_untold += byte_at(&b, "f", (uint64_t)i * SECTOR) == 'b';
		}
		cr_assert(sim_disk_has_crashed(b.disk));
		crash(&b, n);
		cr_assert_not(sim_disk_has_crashed(b.disk));
		cr_assert_eq(RUN(&b, io_file_open, "f", BOTH, 0), 0);
		bench_free(&b);
	}
	cr_assert_eq(staged_only, 3);
	cr_assert_eq(done_untold, 3);
}

Test(sim_disk, a_killed_process_leaves_what_was_done)
{
	struct bench b = bench_new(3);
	int fd = open_new(&b, "f");
	struct doing d = {.op.done = on_done};
	cr_assert_eq(RUN(&b, io_file_write, fd, filled('a'), SECTOR, 0, 0), SECTOR);
	io_file_write(b.io, &d.op, fd, filled('b'), SECTOR, SECTOR, 0);
	sim_disk_kill(b.disk, 1);
	bench_halt(&b);
	bench_boot(&b, 2);
	cr_assert_eq(byte_at(&b, "f", 0), 'a');
	cr_assert_gt(crash_often(&b, "f", 0).missing, 50, "as volatile as before");
	bench_free(&b);
}

Test(sim_disk, a_disk_outlives_processes)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	for (int life = 0; life < 20; life++) {
		pid_t child = fork();
		if (child == 0) {
			struct bench b = {.disk = disk};
			bench_boot(&b, (uint64_t)life);
			int fd = open_kept(&b, "f");
			int64_t size = RUN(&b, io_file_size, fd);
			sim_disk_crash_after(disk, 3);
			int64_t n = RUN(&b, io_file_write, fd, filled((uint8_t)life), SECTOR, (uint64_t)size,
			                IO_WRITE_DURABLE);
			struct doing d = {.op.done = on_done};
			io_file_write(b.io, &d.op, fd, filled(0xee), SECTOR, 0, 0);
			_exit(n == SECTOR && size >= life * SECTOR && sim_disk_has_crashed(disk) && !pass(&b) ? 0 : 1);
		}
		int status = 0;
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert_eq(status, 0);
		sim_disk_crash(disk, (uint64_t)life);
		sim_disk_verify(disk);
		cr_assert_eq(sim_disk_size(disk, "f"), (life + 1) * SECTOR);
	}
	cr_assert_eq(sim_disk_counts(disk)->crashes, 20);
	sim_disk_free(disk);
}

struct seen {
	struct buf text;
};

static void see(void *arg, const char *path, uint64_t size)
{
	buf_printf(arg, "%s:%llu ", path, (unsigned long long)size);
}

Test(sim_disk, tests_look_and_touch)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	cleanup(buf_fini) struct buf text = {0};
	sim_disk_write(disk, "d/e/f", 3, S("word"));
	sim_disk_write(disk, "d/a", 0, S("x"));
	sim_disk_write(disk, "z", 0, S("yz"));
	sim_disk_write(disk, "z", 0, S("x"));
	sim_disk_crash(disk, 1);
	sim_disk_each(disk, see, &text);
	cr_assert(slice_equal(buf_slice(&text), S("d/a:1 d/e/f:7 z:2 ")), "%.*s", (int)text.len, text.ptr);
	sim_disk_cut(disk, "d/e/f", 4);
	sim_disk_write(disk, "d/e/f", 6, S("!"));
	char got[8] = "";
	cr_assert_eq(sim_disk_read(disk, "d/e/f", 0, got, 8), 7);
	cr_assert_eq(memcmp(got, "\0\0\0w\0\0!", 7), 0);
	sim_disk_remove(disk, "d/a");
	sim_disk_crash(disk, 2);
	cr_assert_eq(sim_disk_size(disk, "d/a"), -1);
	sim_disk_verify(disk);
	sim_disk_free(disk);
}
