/* os.h -- the process and its machine: what is asked of the kernel at start or by hand.
 *
 * What      Threads, pinning, signals, mappings, facts about memory and CPU time, and
 *           whole small files before the cores run. Everything that happens while
 *           serving, and that the simulator must be able to play, is in io.h instead.
 * Errors    -errno, or what a function says.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <pthread.h>
#include <stdint.h>

/* CPUs this process may run on, in order; returns how many. */
int os_cpus(int *out, int room);

/* Starts a thread on one CPU, or with `cpu` -1 on any that the process may use, wherever the
 * starting thread is pinned. Its name shows in top(1). */
int os_thread_start(pthread_t *out, int cpu, const char *name, void (*run)(void *), void *arg) must_check;
void os_thread_join(pthread_t thread);

/* CPU time of this thread and of the whole process, nanoseconds. */
uint64_t os_thread_cpu_ns(void);
uint64_t os_process_cpu_ns(void);
uint64_t os_cpu_ns_of(int pid); /* of another process, its ended threads included; 0: there is none */
void os_process_cpu_split(uint64_t *user_us, uint64_t *system_us);

/* Involuntary context switches of this thread: somebody else wants its CPU. */
uint64_t os_thread_preemptions(void);

uint64_t os_resident_bytes(void);
uint64_t os_memory_total(void);

/* Address space in multiples of 2 MiB, aligned to 2 MiB, zeroed on first touch and asked
 * for in huge pages. NULL when the system refuses. */
void *os_map(size_t size) must_check;
void os_unmap(void *ptr, size_t size);
void os_advise_unused(void *ptr, size_t size); /* gives pages back, keeps the addresses */
void os_advise_small(void *ptr, size_t size);  /* small pages: touched a little, it costs a little */
void os_advise_huge(void *ptr, size_t size);   /* again: the kernel joins pages when it finds time */

/* A stack of `size` usable bytes with an unreadable page below it. */
void *os_stack_map(size_t size) must_check;
void os_stack_unmap(void *stack, size_t size);

/* A whole file of at most `size_max` bytes, appended to `out`. */
int os_file_load(const char *path, size_t size_max, struct buf *out) must_check;
/* With parents, each durable by name; fine if it is there. What holds a directory that is made must be readable, or its
 * name could not be synced: -EACCES. */
int os_directory_make(const char *path) must_check;

/* Which block device a file lies on (0: unknown), and whether that makes a single write durable without a flush of its
 * whole cache: it forces writes through, or has no cache that forgets. False where nobody says. */
uint64_t os_device_of(int fd);
bool os_device_writes_through(uint64_t device);

/* Takes the directory's lock file for this process; -EWOULDBLOCK: another has it. */
int os_directory_lock(const char *path) must_check;

/* Blocks the signals for all threads to come; then one thread waits for the next. */
void os_signals_block(void);
int os_signal_wait(void); /* SIGTERM, SIGINT or SIGHUP */
int os_signal_wait_us(uint64_t us); /* the same, so long at most; 0: none came */
void os_signal_stop(void); /* a SIGTERM to this process */

void os_random(void *out, size_t size);
int64_t os_wall_us(void);
uint64_t os_now_ns(void);
int os_pid(void);
const char *os_release(void); /* "Linux 6.18.44 x86_64" */
void os_stderr(struct slice text); /* all of it, or as much as goes */
void os_stdout(struct slice text);
int os_files_max_raise(void); /* soft limit of open files up to the hard one; returns it */
void os_sleep_us(uint64_t us); /* this thread; for threads that are no cores */
void os_signal_raise(void);    /* as if SIGTERM had come: an orderly stop */
