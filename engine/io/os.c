#include "engine/io/os.h"

#include "engine/memory/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { HUGE_PAGE_SIZE = 2 * 1024 * 1024, THREAD_NAME_SIZE = 16 };

/* ---- threads ---------------------------------------------------------------------- */

int os_cpus(int *out, int room)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	int n = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < room; cpu++)
		if (CPU_ISSET(cpu, &set))
			out[n++] = cpu;
	return n;
}

struct thread_start {
	void (*run)(void *);
	void *arg;
	int cpu;
	char name[THREAD_NAME_SIZE];
};

static void *thread_main(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;
	memory_free(arg);
	pthread_setname_np(pthread_self(), start.name);
	cpu_set_t set;
	CPU_ZERO(&set);
	if (start.cpu >= 0)
		CPU_SET(start.cpu, &set);
	else /* the first thread is never pinned */
		(void)sched_getaffinity(getpid(), sizeof(set), &set);
	/* A CPU that went away since os_cpus() leaves the thread unpinned: slower, not wrong. */
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	start.run(start.arg);
	return NULL;
}

int os_thread_start(pthread_t *out, int cpu, const char *name, void (*run)(void *), void *arg)
{
	struct thread_start *start = memory_alloc(sizeof(*start));
	*start = (struct thread_start){.run = run, .arg = arg, .cpu = cpu};
	snprintf(start->name, sizeof(start->name), "%s", name);
	int err = pthread_create(out, NULL, thread_main, start);
	if (err)
		memory_free(start);
	return -err;
}

void os_thread_join(pthread_t thread) { pthread_join(thread, NULL); }

/* ---- facts ------------------------------------------------------------------------ */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t os_thread_cpu_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
uint64_t os_process_cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }
uint64_t os_now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t os_cpu_ns_of(int pid)
{
	clockid_t clock;
	return clock_getcpuclockid(pid, &clock) == 0 ? clock_ns(clock) : 0;
}

int64_t os_wall_us(void) { return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000); }

static uint64_t timeval_us(struct timeval tv) { return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec; }

void os_process_cpu_split(uint64_t *user_us, uint64_t *system_us)
{
	struct rusage usage = {0};
	getrusage(RUSAGE_SELF, &usage);
	*user_us = timeval_us(usage.ru_utime);
	*system_us = timeval_us(usage.ru_stime);
}

uint64_t os_thread_preemptions(void)
{
	struct rusage usage = {0};
	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_nivcsw;
}

uint64_t os_resident_bytes(void)
{
	char text[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	unsigned long long all, resident;
	if (got <= 0)
		return 0;
	text[got] = 0;
	if (sscanf(text, "%llu %llu", &all, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t os_memory_total(void) { return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE); }

int os_pid(void) { return getpid(); }

static char release_text[256]; /* written once, before anybody reads it */

static void release_write(void)
{
	struct utsname name;
	if (uname(&name) != 0)
		snprintf(release_text, sizeof(release_text), "unknown");
	else
		snprintf(release_text, sizeof(release_text), "%.64s %.64s %.64s", name.sysname, name.release,
		         name.machine);
}

const char *os_release(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, release_write);
	return release_text;
}

int os_files_max_raise(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	rlim_t soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		limit.rlim_cur = soft;
	return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int)limit.rlim_cur;
}

/* ---- mappings --------------------------------------------------------------------- */

/* Maps more than asked and gives back both ends, since mmap() aligns to small pages only. */
void *os_map(size_t size)
{
	assert(size > 0);
	assert(size % HUGE_PAGE_SIZE == 0);
	size_t more;
	if (__builtin_add_overflow(size, HUGE_PAGE_SIZE, &more))
		return NULL;
	uint8_t *raw = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		return NULL;
	size_t before = (size_t)(-(uintptr_t)raw % HUGE_PAGE_SIZE);
	if (before)
		munmap(raw, before);
	munmap(raw + before + size, more - before - size);
	/* Without huge pages it is the same memory, only slower to look up. */
	(void)madvise(raw + before, size, MADV_HUGEPAGE);
	return raw + before;
}

void os_unmap(void *ptr, size_t size)
{
	if (ptr)
		munmap(ptr, size);
}

void os_advise_unused(void *ptr, size_t size) { (void)madvise(ptr, size, MADV_DONTNEED); }
void os_advise_small(void *ptr, size_t size) { (void)madvise(ptr, size, MADV_NOHUGEPAGE); }
void os_advise_huge(void *ptr, size_t size) { (void)madvise(ptr, size, MADV_HUGEPAGE); }

void *os_stack_map(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	assert(size % page == 0);
	uint8_t *raw = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (raw == MAP_FAILED)
		return NULL;
	if (mprotect(raw, page, PROT_NONE) != 0) {
		munmap(raw, size + page);
		return NULL;
	}
	/* One huge page would cost as much as the touched pages of a hundred stacks. */
	(void)madvise(raw + page, size, MADV_NOHUGEPAGE);
	return raw + page;
}

void os_stack_unmap(void *stack, size_t size)
{
	if (!stack)
		return;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	munmap((uint8_t *)stack - page, size + page);
}

/* ---- small files ------------------------------------------------------------------ */

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

uint64_t os_device_of(int fd)
{
	struct stat stat;
	return fstat(fd, &stat) == 0 ? stat.st_dev : 0;
}

/* The queue of a partition is its disk's. */
static bool queue_says(uint64_t device, const char *name, const char *value)
{
	cleanup(buf_fini) struct buf text = {0};
	char path[96];
	for (int whole = 0; whole < 2; whole++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s/queue/%s", major(device), minor(device),
		         whole ? "/.." : "", name);
		if (os_file_load(path, 64, &text) == 0)
			break;
	}
	if (text.len > 0 && text.ptr[text.len - 1] == '\n')
		text.len--;
	return slice_equal(buf_slice(&text), slice_from_str(value));
}

bool os_device_writes_through(uint64_t device)
{
	return queue_says(device, "fua", "1") || queue_says(device, "write_cache", "write through");
}

/* Reads until the end instead of trusting fstat(): files in /proc say 0 bytes. */
int os_file_load(const char *path, size_t size_max, struct buf *out)
{
	cleanup(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t start = out->len;
	for (;;) {
		size_t loaded = out->len - start;
		size_t room = size_max - loaded + 1; /* one more shows that the file is too long */
		if (room > 64 * 1024)
			room = 64 * 1024;
		ssize_t got = read(fd, buf_reserve(out, room), room);
		if (got < 0 && errno == EINTR)
			continue;
		int err = got < 0 ? -errno : loaded + (size_t)got > size_max ? -EFBIG : 0;
		if (err) {
			out->len = start;
			return err;
		}
		if (got == 0)
			return 0;
		out->len += (size_t)got;
	}
}

/* The name of what was just made, in the directory that holds it. */
static int name_sync(const char *path)
{
	char parent[4096];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	memcpy(parent, path, len);
	parent[len] = 0;
	int fd = open(len ? parent : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int result = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

/* A name whose sync failed must not be found by the next attempt: a later sync could succeed without it. */
static int directory_make_one(const char *path)
{
	if (mkdir(path, 0750) == 0) {
		int result = name_sync(path);
		if (result < 0)
			(void)rmdir(path);
		return result;
	}
	int err = errno;
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	return -err;
}

int os_directory_make(const char *path)
{
	char part[4096];
	size_t len = strlen(path);
	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t at = 1; at <= len; at++) {
		if ((path[at] != '/' && path[at] != 0) || path[at - 1] == '/')
			continue;
		memcpy(part, path, at);
		part[at] = 0;
		int err = directory_make_one(part);
		if (err)
			return err;
	}
	return 0;
}

int os_directory_lock(const char *path)
{
	char name[4096];
	if ((size_t)snprintf(name, sizeof(name), "%s/lock", path) >= sizeof(name))
		return -ENAMETOOLONG;
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	return 0; /* the descriptor stays open: the kernel lets go when the process ends, however it ends */
}

/* ---- signals, text, randomness ---------------------------------------------------- */

static sigset_t awaited_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

void os_signals_block(void)
{
	sigset_t set = awaited_signals();
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int os_signal_wait(void)
{
	sigset_t set = awaited_signals();
	int got;
	while (sigwait(&set, &got) != 0)
		;
	return got;
}

int os_signal_wait_us(uint64_t us)
{
	sigset_t set = awaited_signals();
	struct timespec span = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
	int got = sigtimedwait(&set, NULL, &span);
	return got < 0 ? 0 : got;
}

void os_signal_stop(void) { kill(getpid(), SIGTERM); }

static void write_all(int fd, struct slice text)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.ptr, text.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text = slice_sub(text, (size_t)n, text.len);
	}
}

void os_stderr(struct slice text) { write_all(STDERR_FILENO, text); }
void os_stdout(struct slice text) { write_all(STDOUT_FILENO, text); }

void os_random(void *out, size_t size)
{
	for (uint8_t *at = out, *end = at + size; at < end;) {
		ssize_t got = getrandom(at, (size_t)(end - at), 0);
		assert(got >= 0 || errno == EINTR);
		at += got > 0 ? got : 0;
	}
}

void os_sleep_us(uint64_t us)
{
	struct timespec span = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
	while (nanosleep(&span, &span) < 0 && errno == EINTR)
		;
}

void os_signal_raise(void) { kill(getpid(), SIGTERM); }
