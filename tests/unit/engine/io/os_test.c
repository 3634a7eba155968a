/* os.h: the process and its machine. */
#include "engine/io/os.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void note_cpu(void *arg) { *(int *)arg = sched_getcpu(); }

Test(os, thread_runs_where_it_is_pinned)
{
	int cpus[64], n = os_cpus(cpus, 64);
	cr_assert_gt(n, 0);
	for (int i = 0; i < n; i++) {
		int seen = -1;
		pthread_t thread;
		cr_assert_eq(os_thread_start(&thread, cpus[i], "a name longer than allowed", note_cpu, &seen), 0);
		os_thread_join(thread);
		cr_assert_eq(seen, cpus[i]);
	}
	cr_assert_eq(os_cpus(cpus, 1), 1);
}

Test(os, clocks_go_forward)
{
	uint64_t user, system, start = os_now_ns(), cpu = os_thread_cpu_ns();
	volatile unsigned sum = 0;
	while (os_now_ns() - start < 5000000)
		sum += 1;
	cr_assert_gt(os_thread_cpu_ns(), cpu);
	cr_assert_geq(os_process_cpu_ns(), os_thread_cpu_ns());
	os_process_cpu_split(&user, &system);
	cr_assert_gt(user + system, 0);
	(void)os_thread_preemptions();
	cr_assert_gt(os_wall_us(), 1600000000ll * 1000000);
}

Test(os, facts)
{
	cr_assert_gt(os_resident_bytes(), 100000);
	cr_assert_gt(os_memory_total(), os_resident_bytes());
	cr_assert_eq(os_pid(), getpid());
	cr_assert_eq(strncmp(os_release(), "Linux ", 6), 0);
	cr_assert_geq(os_files_max_raise(), 256);
}

Test(os, mapping_is_aligned_zeroed_and_given_back)
{
	enum { SIZE = 6 * 1024 * 1024 };
	uint8_t *at = os_map(SIZE);
	cr_assert_not_null(at);
	cr_assert_eq((uintptr_t)at % (2 * 1024 * 1024), 0);
	for (size_t i = 0; i < SIZE; i += 4096)
		cr_assert_eq(at[i], 0);
	memset(at, 7, SIZE);
	os_advise_unused(at + 2 * 1024 * 1024, 2 * 1024 * 1024);
	cr_assert_eq(at[0], 7);
	cr_assert_eq(at[3 * 1024 * 1024], 0);
	cr_assert_eq(at[SIZE - 1], 7);
	os_unmap(at, SIZE);
	os_unmap(NULL, SIZE);
	cr_assert_null(os_map((size_t)1 << 62));
}

Test(os, stack_ends_in_a_guard, .signal = SIGSEGV)
{
	signal(SIGSEGV, SIG_DFL); /* sanitizers would report instead */
	volatile uint8_t *stack = os_stack_map(65536);
	cr_assert_not_null(stack);
	stack[0] = 1;
	stack[65535] = 1;
	stack[-1] = 1;
}

Test(os, file_is_loaded_up_to_its_limit)
{
	char path[64];
	struct buf out = {0};
	snprintf(path, sizeof(path), "/tmp/os_test.%d", getpid());
	FILE *file = fopen(path, "w");
	for (int i = 0; i < 20000; i++)
		fprintf(file, "%09d\n", i);
	fclose(file);
	buf_append(&out, S("before"));
	cr_assert_eq(os_file_load(path, 199999, &out), -EFBIG);
	cr_assert_eq(out.len, 6, "untouched on failure");
	cr_assert_eq(os_file_load(path, 200000, &out), 0);
	cr_assert_eq(out.len, 200006);
	cr_assert_eq(memcmp(out.ptr + 6 + 199990, "000019999\n", 10), 0);
	cr_assert_eq(os_file_load("/no/such/file", 10, &out), -ENOENT);
	cr_assert_eq(os_file_load("/proc/self/status", 100000, &out), 0);
	cr_assert_gt(out.len, 200100);
	buf_fini(&out);
	unlink(path);
}

Test(os, directory_is_made_with_its_parents_and_locked_once)
{
	char root[64], path[128], lock[160];
	snprintf(root, sizeof(root), "/tmp/os_test.%d.d", getpid());
	snprintf(path, sizeof(path), "%s/a/b", root);
	cr_assert_eq(os_directory_make(path), 0);
	cr_assert_eq(os_directory_make(path), 0);
	cr_assert_eq(os_directory_make(""), -ENOENT);
	cr_assert_eq(os_directory_make("/proc/self/status/x"), -ENOTDIR);
	cr_assert_eq(os_directory_lock(path), 0);
	cr_assert_eq(os_directory_lock(path), -EWOULDBLOCK);
	pid_t child = fork();
	if (child == 0)
		_exit(os_directory_lock(path) == -EWOULDBLOCK ? 0 : 1);
	int status;
	waitpid(child, &status, 0);
	cr_assert_eq(status, 0);
	cr_assert_eq(os_directory_lock("/no/such/place"), -ENOENT);
	snprintf(lock, sizeof(lock), "%s/lock", path);
	unlink(lock);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/a", root);
	rmdir(path);
	cr_assert_eq(rmdir(root), 0);
}

static void raise_later(void *arg)
{
	usleep(20000);
	kill(getpid(), SIGTERM);
}

Test(os, signal_is_waited_for)
{
	pthread_t thread;
	os_signals_block();
	cr_assert_eq(os_thread_start(&thread, -1, "raise", raise_later, NULL), 0);
	cr_assert_eq(os_signal_wait(), SIGTERM);
	os_thread_join(thread);
}

Test(os, text_goes_out_and_randomness_comes)
{
	os_stdout(S(""));
	os_stderr(S(""));
	uint8_t a[600] = {0}, b[600] = {0};
	os_random(a, sizeof(a)); /* more than one call of getrandom() promises */
	os_random(b, sizeof(b));
	cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
	cr_assert_neq(memcmp(a + 500, b + 500, 100), 0);
}

/* What it says depends on the machine; of what has no queue nobody says anything. */
Test(os, asks_the_device_of_a_file)
{
	int fd = open("/proc/self/status", O_RDONLY);
	cr_assert_geq(fd, 0);
	cr_assert_not(os_device_writes_through(os_device_of(fd)));
	close(fd);
	cr_assert_eq(os_device_of(-1), 0);
	cr_assert_not(os_device_writes_through(0));
}
