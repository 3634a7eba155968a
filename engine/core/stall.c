/* Finds what runs too long.
 *
 * Wall time is at hand, but on a shared machine most long runs are others' turns on the
 * CPU. Thread CPU time costs a system call, so it is read a few thousand times a second
 * only, and again after a long run: the run then used at most the difference, and at least
 * the difference less what may have been used between the reading and its start.
 */
#include "engine/core/reactor_private.h"

#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/log/log.h"

enum { REFRESH_NS = 250 * 1000 };
static const uint64_t log_every_ns = 1000ull * 1000 * 1000;

extern const char __executable_start;

static void mark(struct stall_watch *watch, uint64_t now_ns, uint64_t cpu_ns)
{
	watch->mark_ns = now_ns;
	watch->mark_cpu_ns = cpu_ns;
}

void stall_refresh(struct core *core)
{
	struct stall_watch *watch = &core->reactor->watch;
	if (core->reactor->at_ns - watch->mark_ns >= REFRESH_NS)
		mark(watch, core->reactor->at_ns, os_thread_cpu_ns());
}

static void stall_log(struct core *core, uint64_t now_ns, uint64_t cpu_ns, const char *name, const void *code)
{
	struct stall_watch *watch = &core->reactor->watch;
	if (watch->logged_ns && now_ns - watch->logged_ns < log_every_ns) {
		watch->unlogged++;
		return;
	}
	/* The address is what addr2line(1) wants of a position-independent program. */
	log_warning("stall: %s (at 0x%zx) kept the core for %llu us of CPU time; %u more since the last such line",
	            name ? name : "task", code ? (size_t)((const char *)code - &__executable_start) : 0,
	            (unsigned long long)(cpu_ns / 1000), watch->unlogged);
	watch->logged_ns = now_ns;
	watch->unlogged = 0;
}

static void stall_note(struct core *core, uint64_t from_ns, uint64_t now_ns, const char *name, const void *code)
{
	struct reactor_stats *stats = &core->reactor->stats;
	struct stall_watch *watch = &core->reactor->watch;
	uint64_t took_ns = now_ns - from_ns;
	uint64_t cpu_ns = os_thread_cpu_ns(), since_mark_ns = cpu_ns - watch->mark_cpu_ns;
	uint64_t before_ns = from_ns - watch->mark_ns;
	uint64_t at_most_ns = since_mark_ns < took_ns ? since_mark_ns : took_ns;
	uint64_t at_least_ns = since_mark_ns > before_ns ? since_mark_ns - before_ns : 0;
	stats->stalls++;
	if (took_ns > stats->run_longest_ns)
		stats->run_longest_ns = took_ns;
	if (at_most_ns > stats->run_longest_cpu_ns)
		stats->run_longest_cpu_ns = at_most_ns;
	if (at_least_ns > STALL_LOGGED_NS)
		stall_log(core, now_ns, at_least_ns, name, code);
	mark(watch, now_ns, cpu_ns);
}

void stall_check(struct core *core, const char *name, const void *code)
{
	struct reactor *reactor = core->reactor;
	uint64_t from_ns = reactor->at_ns;
	reactor->at_ns = io_now_ns(core->io);
	if (unlikely(reactor->at_ns - from_ns > STALL_NS))
		stall_note(core, from_ns, reactor->at_ns, name, code);
}

/* They are known together only; more than their number excuses is one's fault. */
void stall_check_calls(struct core *core, int n)
{
	uint64_t from_ns = core->now_ns;
	core->reactor->at_ns = io_now_ns(core->io);
	if (unlikely(core->reactor->at_ns - from_ns > (uint64_t)n * STALL_NS))
		stall_note(core, from_ns, core->reactor->at_ns, "completions", NULL);
}

void reactor_forget_longest(struct core *core)
{
	core->reactor->stats.run_longest_ns = core->reactor->stats.run_longest_cpu_ns = 0;
}

uint64_t reactor_ran(struct core *core, uint64_t from_ns, const char *name)
{
	uint64_t now_ns = io_now_ns(core->io);
	if (unlikely(now_ns - from_ns > STALL_NS))
		stall_note(core, from_ns, now_ns, name, NULL);
	return now_ns;
}
