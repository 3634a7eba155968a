/* Making back ends: the ladder, and kernels or filters that refuse. */
#include "tests/unit/engine/io/io_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Makes system call `number` fail with `err` from here on, in this process. */
static void deny(long number, int err)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)err),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = array_len(code), .filter = code};
	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void falls_back(long number, int err, const char *call, const char *hint)
{
	char why[256];
	deny(number, err);
	cr_assert_null(io_new(IO_URING, why, sizeof(why)));
	cr_assert_not_null(strstr(why, call), "%s", why);
	struct io *io = io_new(IO_AUTO, why, sizeof(why));
	cr_assert_not_null(io);
	cr_assert_str_eq(io->ops->name, "epoll");
	cr_assert_not_null(strstr(why, call), "%s", why);
	cr_assert_not_null(strstr(why, strerror(err)), "%s", why);
	cr_assert_not_null(strstr(why, hint), "%s", why);
	io_poll(io, 0);
	io_free(io);
}

/* Criterion runs each test in a process of its own, so a filter stays in its test. */
Test(setup, filter_with_eperm_gives_epoll) { falls_back(SYS_io_uring_setup, EPERM, "io_uring_setup", "seccomp"); }

Test(setup, filter_with_enosys_gives_epoll) { falls_back(SYS_io_uring_setup, ENOSYS, "io_uring_setup", "seccomp"); }

Test(setup, ring_without_memory_gives_epoll)
{
	falls_back(SYS_io_uring_setup, ENOMEM, "io_uring_setup", "locked memory");
}

Test(setup, ring_that_may_not_be_entered_gives_epoll)
{
	falls_back(SYS_io_uring_enter, EPERM, "io_uring_enter", "seccomp");
}

Test(setup, ring_without_registration_gives_epoll)
{
	falls_back(SYS_io_uring_register, EPERM, "io_uring_register", "seccomp");
}

Test(setup, auto_takes_the_ring)
{
	char why[256] = "?";
	struct io *io = io_new(IO_AUTO, why, sizeof(why));
	cr_assert_not_null(io);
	cr_assert_str_eq(io->ops->name, "uring");
	cr_assert_str_eq(why, "");
	io_free(io);
	io = io_new(IO_EPOLL, why, sizeof(why));
	cr_assert_str_eq(io->ops->name, "epoll");
	io_free(io);
	io_free(NULL);
}

Test(setup, ring_has_the_asked_size)
{
	for (int rung = URING_DEFER; rung < URING_RUNGS; rung++) {
		struct io *io = back_end_new((enum back_end)rung);
		unsigned entries, mask, cq_entries;
		uring_geometry(io, &entries, &mask, &cq_entries);
		cr_assert_eq(entries, 1024);
		cr_assert_eq(mask, entries - 1);
		cr_assert_eq(cq_entries, 8192);
		io_free(io);
	}
}

Test(setup, rungs_have_names)
{
	const char *words[] = {"deferred", "cooperative", "no task work"};
	for (int rung = URING_DEFER; rung < URING_RUNGS; rung++) {
		struct io *io = back_end_new((enum back_end)rung);
		cr_assert_not_null(strstr(io->note, words[rung]));
		io_free(io);
	}
}

Test(setup, resting_memory_is_small)
{
	for (int which = BACK_END_URING; which <= BACK_END_EPOLL; which++) {
		uint64_t before = os_resident_bytes();
		struct io *io = back_end_new((enum back_end)which);
		for (int i = 0; i < 10; i++)
			io_poll(io, 0);
		uint64_t grown = os_resident_bytes() - before;
		if (which == BACK_END_URING || which == BACK_END_EPOLL)
			cr_assert_lt((int64_t)grown, 1024 * 1024, "%llu bytes", (unsigned long long)grown);
		io_free(io);
	}
}

/* A quiet turn asks the kernel nothing. */
Test(setup, quiet_poll_does_not_enter)
{
	struct io *io = back_end_new(BACK_END_URING);
	for (int i = 0; i < 10; i++)
		io_poll(io, 0);
	uint64_t before = io->enters;
	for (int i = 0; i < 1000; i++)
		io_poll(io, 0);
	cr_assert_eq(io->enters, before);
	io_free(io);
}
