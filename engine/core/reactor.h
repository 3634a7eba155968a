/* reactor.h -- what the loop of a core is told, and what it tells about itself.
 *
 * What      The policy of waiting, the loop's counters, and the one way in for threads
 *           that are no cores. The loop itself: reactor_step() in core.h.
 * Owner     The core, except for core_errand().
 */
#pragma once

#include "engine/core/core.h"

/* What a core does when it has nothing to do. */
enum reactor_poll {
	REACTOR_POLL_AUTO,   /* looks on for some microseconds, as long as that pays, then sleeps */
	REACTOR_POLL_ALWAYS, /* never sleeps */
	REACTOR_POLL_NEVER,  /* sleeps at once; the simulator's choice, since it reads no foreign clock */
};
void reactor_set_poll(struct core *core, enum reactor_poll poll);

struct reactor_stats {
	uint64_t turns;
	uint64_t sleeps;
	uint64_t wakes;           /* of other cores, by this one */
	uint64_t spin_ns;         /* CPU time spent looking on: not work */
	uint64_t messages;        /* handled */
	uint64_t messages_sent;   /* to other cores, answers too */
	uint64_t messages_parked; /* sent later, for want of credit */
	uint64_t tasks;
	uint64_t class_ns[CLASS_COUNT]; /* time given to tasks of each class */
	uint64_t stalls;                /* runs of more than 200 us */
	uint64_t run_longest_ns;        /* by the clock, others' turns on the CPU included */
	uint64_t run_longest_cpu_ns;    /* the same by thread CPU time, at most; of runs over 200 us */
};
const struct reactor_stats *reactor_stats(const struct core *core);

void reactor_forget_longest(struct core *core); /* the two longest runs begin anew */

/* Accounts for something that ran from `from_ns` until now, and returns now: counts a stall
 * if it took over 200 us, and logs it with its name over 1 ms of CPU time. The loop does
 * so for tasks and messages; callbacks of the I/O may do it for themselves. */
uint64_t reactor_ran(struct core *core, uint64_t from_ns, const char *name);

/* From a thread that is no core, such as the one that waits for signals: `run` is called on
 * `to` soon. The errand is the core's until then; neither the core nor its io may be freed
 * before the call has returned, even if it ended the loop. Not for use between cores. */
struct errand {
	struct errand *next;
	void (*run)(struct core *core, struct errand *errand);
};
void core_errand(struct core *to, struct errand *errand);
