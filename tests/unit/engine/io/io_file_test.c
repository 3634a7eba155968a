/* Files and directories on the real back ends: what a process sees of them, and that a durable
 * write has reached the file system when it is done. */
#include "tests/unit/engine/io/io_test.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

struct file_test {
	struct io_op op;
	int n_done;
};

static void on_file_done(struct io_op *op) { container_of(op, struct file_test, op)->n_done++; }

static int64_t await(struct io *io, struct file_test *test)
{
	poll_until(io, test->n_done);
	cr_assert_eq(test->n_done, 1);
	test->n_done = 0;
	return test->op.result;
}

EACH_BACK_END(file_keeps_what_is_written)
{
	struct file_test t = {.op.done = on_file_done};
	char path[64], got[16] = "";
	snprintf(path, sizeof(path), "/tmp/io_test.%d.file", getpid());
	io_file_open(io, &t.op, "/no/such/place", IO_OPEN_READ, 0);
	cr_assert_eq(await(io, &t), -ENOENT);
	{
		char gone[64]; /* the path need not outlive the call */
		strcpy(gone, path);
		io_file_open(io, &t.op, gone, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
		memset(gone, 'x', sizeof(gone));
	}
	int fd = (int)await(io, &t);
	cr_assert_geq(fd, 0);
	io_file_write(io, &t.op, fd, "hello world", 11, 5, IO_WRITE_DURABLE);
	cr_assert_eq(t.n_done, 0);
	cr_assert_eq(await(io, &t), 11);
	io_file_write(io, &t.op, fd, "HELLO", 5, 5, 0);
	cr_assert_eq(await(io, &t), 5);
	io_file_sync(io, &t.op, fd);
	cr_assert_eq(await(io, &t), 0);
	io_file_read(io, &t.op, fd, got, sizeof(got), 5);
	cr_assert_eq(await(io, &t), 11);
	cr_assert_str_eq(got, "HELLO world");
	io_file_close(io, &t.op, fd);
	cr_assert_eq(await(io, &t), 0);
	io_file_close(io, &t.op, fd);
	cr_assert_eq(await(io, &t), -EBADF);
	unlink(path);
}

EACH_BACK_END(file_without_page_cache)
{
	enum { N = 40, SIZE = 8192 };
	struct file_test t = {.op.done = on_file_done}, many[N];
	uint8_t *bytes = memory_aligned(4096, (size_t)N * SIZE), *back = memory_aligned(4096, (size_t)N * SIZE);
	char path[64];
	for (size_t i = 0; i < (size_t)N * SIZE; i++)
		bytes[i] = pattern(i);
	snprintf(path, sizeof(path), "io_test.%d.direct", getpid()); /* not in /tmp, which may be in memory */
	io_file_open(io, &t.op, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, 0600);
	int fd = (int)await(io, &t);
	cr_assert_geq(fd, 0);
	cr_assert(fcntl(fd, F_GETFL) & O_DIRECT);
	for (int i = 0; i < N; i++) {
		many[i] = (struct file_test){.op.done = on_file_done};
		io_file_write(io, &many[i].op, fd, bytes + (size_t)i * SIZE, SIZE, (uint64_t)i * SIZE,
		              IO_WRITE_DURABLE);
	}
	for (int i = 0; i < N; i++)
		cr_assert_eq(await(io, &many[i]), SIZE);
	for (int i = 0; i < N; i++)
		io_file_read(io, &many[i].op, fd, back + (size_t)i * SIZE, SIZE, (uint64_t)i * SIZE);
	for (int i = 0; i < N; i++)
		cr_assert_eq(await(io, &many[i]), SIZE);
	cr_assert_eq(memcmp(bytes, back, (size_t)N * SIZE), 0);
	io_file_write(io, &t.op, fd, bytes + 1, SIZE, 0, 0);
	cr_assert_eq(await(io, &t), -EINVAL, "an odd address is refused, not copied");
	io_file_close(io, &t.op, fd);
	cr_assert_eq(await(io, &t), 0);
	unlink(path);
	memory_free(bytes);
	memory_free(back);
}

EACH_BACK_END(free_waits_for_files)
{
	struct file_test tests[8];
	char path[64];
	uint8_t *bytes = memory_zalloc(1024 * 1024);
	snprintf(path, sizeof(path), "/tmp/io_test.%d.file", getpid());
	struct io *other = io->ops->name[0] == 'u' ? back_end_new(BACK_END_URING) : back_end_new(BACK_END_EPOLL);
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	for (int i = 0; i < 4; i++) {
		tests[i] = (struct file_test){.op.done = on_file_done};
		io_file_write(other, &tests[i].op, fd, bytes, 1024 * 1024, (uint64_t)i * 1024 * 1024, IO_WRITE_DURABLE);
		tests[i + 4] = (struct file_test){.op.done = on_file_done};
		io_file_open(other, &tests[i + 4].op, "/no/such/place", IO_OPEN_READ, 0);
	}
	io_free(other);
	memory_free(bytes);
	struct stat st;
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_size, 4 * 1024 * 1024);
	close(fd);
	unlink(path);
}

/* ---- durable writes ------------------------------------------------------------------------ */

/* -1: the file system does not tell. */
static int has_delayed_extents(int fd)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + 16 * sizeof(struct fiemap_extent)];
	} u = {.map = {.fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 16}};
	if (ioctl(fd, FS_IOC_FIEMAP, &u.map) != 0)
		return -1;
	for (unsigned i = 0; i < u.map.fm_mapped_extents; i++)
		if (u.map.fm_extents[i].fe_flags & FIEMAP_EXTENT_DELALLOC)
			return 1;
	return 0;
}

/* What lies in the page cache alone has no place on the device yet. */
EACH_BACK_END(durable_writes_are_on_the_device)
{
	struct file_test t = {.op.done = on_file_done};
	char path[64];
	uint8_t bytes[8192] = {1};
	snprintf(path, sizeof(path), "io_test.%d.durable", getpid());
	io_file_open(io, &t.op, path, IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
	int fd = (int)await(io, &t);
	cr_assert_geq(fd, 0);
	unlink(path);
	io_file_write(io, &t.op, fd, bytes, sizeof(bytes), 0, 0);
	cr_assert_eq(await(io, &t), sizeof(bytes));
	bool told = has_delayed_extents(fd) == 1;
	io_file_write(io, &t.op, fd, bytes, sizeof(bytes), 0, IO_WRITE_DURABLE);
	cr_assert_eq(await(io, &t), sizeof(bytes));
	if (told)
		cr_assert_eq(has_delayed_extents(fd), 0);
	io_file_close(io, &t.op, fd);
	cr_assert_eq(await(io, &t), 0);
}

/* ---- sizes, names, directories --------------------------------------------------------------- */

EACH_BACK_END(direct_is_a_wish)
{
	struct file_test t = {.op.done = on_file_done};
	char text[6] = "";
	io_file_open(io, &t.op, "/proc/version", IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	int fd = (int)await(io, &t);
	cr_assert_geq(fd, 0);
	cr_assert_not(fcntl(fd, F_GETFL) & O_DIRECT);
	io_file_read(io, &t.op, fd, text, 5, 0);
	cr_assert_eq(await(io, &t), 5);
	cr_assert_str_eq(text, "Linux");
	io_file_close(io, &t.op, fd);
	cr_assert_eq(await(io, &t), 0);
	io_file_open(io, &t.op, "/proc/no/such", IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	cr_assert_eq(await(io, &t), -ENOENT);
}

struct place {
	char dir[64], file[96], other[96];
};

static struct place place_new(void)
{
	struct place place;
	snprintf(place.dir, sizeof(place.dir), "io_test.%d.dir", getpid());
	snprintf(place.file, sizeof(place.file), "%s/b", place.dir);
	snprintf(place.other, sizeof(place.other), "%s/a", place.dir);
	return place;
}

static void put(const char *path, size_t size)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

EACH_BACK_END(file_has_a_size)
{
	struct file_test t = {.op.done = on_file_done};
	char path[64];
	snprintf(path, sizeof(path), "io_test.%d.size", getpid());
	put(path, 0);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	io_file_size(io, &t.op, fd);
	cr_assert_eq(await(io, &t), 0);
	cr_assert_eq(ftruncate(fd, 5000000001), 0);
	io_file_size(io, &t.op, fd);
	cr_assert_eq(await(io, &t), 5000000001);
	close(fd);
	io_file_size(io, &t.op, fd);
	cr_assert_eq(await(io, &t), -EBADF);
}

EACH_BACK_END(directories_are_made_listed_and_synced)
{
	struct file_test t = {.op.done = on_file_done};
	struct place place = place_new();
	cleanup(buf_fini) struct buf names = {0};
	struct stat st;
	for (int i = 0; i < 2; i++) {
		io_dir_make(io, &t.op, place.dir);
		cr_assert_eq(await(io, &t), 0);
	}
	cr_assert_eq(stat(place.dir, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	io_dir_list(io, &t.op, place.dir, &names);
	cr_assert_eq(await(io, &t), 0);
	cr_assert_eq(names.len, 0);
	put(place.file, 1);
	io_dir_make(io, &t.op, place.file);
	cr_assert_eq(await(io, &t), -ENOTDIR);
	io_dir_make(io, &t.op, place.other);
	cr_assert_eq(await(io, &t), 0);
	io_dir_sync(io, &t.op, place.dir);
	cr_assert_eq(await(io, &t), 0);
	buf_append(&names, S("="));
	io_dir_list(io, &t.op, place.dir, &names);
	cr_assert_eq(await(io, &t), 0);
	cr_assert(slice_equal(buf_slice(&names), S("=a\0b\0")));
	cr_assert_eq(rmdir(place.other), 0);
	cr_assert_eq(unlink(place.file), 0);
	cr_assert_eq(rmdir(place.dir), 0);
}

EACH_BACK_END(directories_that_are_none)
{
	struct file_test t = {.op.done = on_file_done};
	cleanup(buf_fini) struct buf names = {0};
	io_dir_make(io, &t.op, "no/such/place");
	cr_assert_eq(await(io, &t), -ENOENT);
	io_dir_sync(io, &t.op, "no/such/place");
	cr_assert_eq(await(io, &t), -ENOENT);
	io_dir_list(io, &t.op, "no/such/place", &names);
	cr_assert_eq(await(io, &t), -ENOENT);
	io_dir_sync(io, &t.op, "/proc/version");
	cr_assert_eq(await(io, &t), -ENOTDIR);
	io_dir_list(io, &t.op, "/proc/version", &names);
	cr_assert_eq(await(io, &t), -ENOTDIR);
	cr_assert_eq(names.len, 0);
}

EACH_BACK_END(names_are_sorted)
{
	enum { N = 700 };
	struct file_test t = {.op.done = on_file_done};
	struct place place = place_new();
	cleanup(buf_fini) struct buf names = {0};
	char path[160];
	cr_assert_eq(mkdir(place.dir, 0700), 0);
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "%s/%03d", place.dir, (i * 37) % N);
		put(path, 0);
	}
	snprintf(path, sizeof(path), "%s/link", place.dir);
	cr_assert_eq(symlink("000", path), 0);
	io_dir_list(io, &t.op, place.dir, &names);
	cr_assert_eq(await(io, &t), 0);
	cr_assert_eq(names.len, 4 * N);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(atoi((char *)names.ptr + 4 * i), i);
		snprintf(path, sizeof(path), "%s/%03d", place.dir, i);
		cr_assert_eq(unlink(path), 0);
	}
	snprintf(path, sizeof(path), "%s/link", place.dir);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(rmdir(place.dir), 0);
}

EACH_BACK_END(removed_and_renamed)
{
	struct file_test t = {.op.done = on_file_done};
	struct place place = place_new();
	char gone[96], got[8] = "";
	cr_assert_eq(mkdir(place.dir, 0700), 0);
	put(place.file, 3);
	put(place.other, 4);
	int fd = open(place.other, O_RDONLY | O_CLOEXEC);
	strcpy(gone, place.file); /* paths need not outlive the call */
	io_file_rename(io, &t.op, gone, place.other);
	memset(gone, 'x', sizeof(gone));
	cr_assert_eq(await(io, &t), 0);
	io_file_rename(io, &t.op, place.file, place.other);
	cr_assert_eq(await(io, &t), -ENOENT);
	strcpy(gone, place.other);
	io_file_remove(io, &t.op, gone);
	memset(gone, 'x', sizeof(gone));
	cr_assert_eq(await(io, &t), 0);
	io_file_remove(io, &t.op, place.other);
	cr_assert_eq(await(io, &t), -ENOENT);
	io_file_remove(io, &t.op, place.dir);
	cr_assert_eq(await(io, &t), -EISDIR);
	io_file_read(io, &t.op, fd, got, sizeof(got), 0);
	cr_assert_eq(await(io, &t), 4, "it stays until it is closed");
	close(fd);
	cr_assert_eq(rmdir(place.dir), 0);
}

/* Operations on directories end while their core sleeps, and many at a time. */
EACH_BACK_END(directories_wake_a_sleeper)
{
	enum { N = 64 };
	struct file_test many[N];
	struct buf names[N] = {0};
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < N; i++) {
			many[i] = (struct file_test){.op.done = on_file_done};
			io_dir_list(io, &many[i].op, "/proc/self", &names[i]);
		}
		for (int i = 0; i < N; i++)
			while (!many[i].n_done)
				io_poll(io, UINT64_MAX);
		for (int i = 0; i < N; i++) {
			cr_assert_eq(many[i].op.result, 0);
			cr_assert(names[i].len > 0);
			buf_fini(&names[i]);
		}
	}
}

EACH_BACK_END(free_waits_for_directories)
{
	struct file_test tests[32];
	struct buf names[32] = {0};
	struct io *other = io->ops->name[0] == 'u' ? back_end_new(BACK_END_URING) : back_end_new(BACK_END_EPOLL);
	for (int i = 0; i < 32; i++) {
		tests[i] = (struct file_test){.op.done = on_file_done};
		if (i % 3 == 0)
			io_dir_list(other, &tests[i].op, "/proc/self", &names[i]);
		else if (i % 3 == 1)
			io_file_rename(other, &tests[i].op, "no/such/place", "nor/that");
		else
			io_file_size(other, &tests[i].op, -1);
	}
	io_free(other);
	for (int i = 0; i < 32; i++) {
		cr_assert_eq(tests[i].n_done, 0);
		cr_assert_eq(names[i].len > 0, i % 3 == 0);
		buf_fini(&names[i]);
	}
}
