/* core.h -- everything one core owns hangs from this struct.
 *
 * What      A pinned thread, its I/O, its rings, timers, fibers and tasks, and the state
 *           of the rooms above, which the engine only points to. There is no other state:
 *           the one thread-local is core_current(), which the simulator switches.
 * Loop      rings -> tasks and fibers by class -> timers -> turn-end hooks (one send for
 *           each dirty connection) -> publish rings -> one io_poll(), which submits and
 *           calls back what completed. See reactor.c.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/list.h"
#include "engine/core/message.h"
#include "engine/core/timer.h"

#include <stdbool.h>
#include <stdint.h>

enum { CORES_MAX = 64 };

/* Who goes first when there is more work than time. */
enum class { CLASS_FOREGROUND, CLASS_QUERY, CLASS_BACKGROUND, CLASS_COUNT };

/* Work for a later moment of this core; lies inside its owner. `run` may make it ready
 * again. A background task does at most about 100 us at a time. */
struct task {
	struct link link; /* zeroed: not ready */
	void (*run)(struct core *core, struct task *task);
	const char *name; /* for the stall log */
};

/* Told once every turn, from core_at_turn_end() on, before the loop publishes and sleeps:
 * flushes what the turn left. */
struct turn_end {
	struct link link;
	void (*run)(struct core *core, struct turn_end *hook);
};

struct core {
	uint16_t id;
	uint16_t n_cores;
	bool stopping;   /* the drain has begun */
	bool stopped;    /* leave the loop */
	uint64_t now_ns; /* monotonic, read once a turn (core_refresh_clock() more often) */
	int64_t wall_us; /* read once a turn */
	struct io *io;
	struct machine *machine; /* all cores, and what they share; read-only while serving */
	struct timer_wheel timers;
	struct fiber_pool *fibers;
	struct reactor *reactor;         /* the loop's own state */
	uint64_t *metrics;               /* engine/metrics: counters of this core */
	const struct settings *settings; /* the version this core has seen */
	/* The rooms above: */
	struct network *network;   /* engine/net: connections and listeners */
	struct shard *shard;       /* storage: keys and what belongs to them */
	struct store *store;       /* storage/recovery: the data directory; NULL: nothing is kept on disk */
	struct commands *commands; /* query/commands: this core's share of the command state */
	void *simulated;           /* tests/sim */
};

/* The cores of one server. */
struct machine {
	uint16_t n_cores;
	int n_cpus; /* that the process may use */
	struct core *cores[CORES_MAX];
	uint64_t started_ns;
	int64_t started_wall_us;
	struct ring *rings; /* n_cores * n_cores: from each core to each */
	struct bell *bells; /* one for each core: how it is woken */
	struct placement *placement;
	struct dir_syncs *dir_syncs; /* see file.h */
	void (*stop)(struct machine *machine); /* the program's: see machine_stop() */
	_Atomic int log_level;                 /* enum log_level: lines below it are dropped; may be set at any time */
};

/* Asks the program for the orderly end (SHUTDOWN); from any core, more than once too. */
static inline void machine_stop(struct machine *machine)
{
	if (machine->stop)
		machine->stop(machine);
}

struct core *core_current(void);
void core_set_current(struct core *core);

/* Makes `task` ready. Fine if it already is. */
void core_ready(struct core *core, struct task *task, enum class class);
void core_forget(struct core *core, struct task *task);

void core_at_turn_end(struct core *core, struct turn_end *hook);

/* Said by a hook: should the core sleep after this turn, then not beyond `at_ns`. What timers are too coarse for. */
void core_turn_again(struct core *core, uint64_t at_ns);

/* Reads the clocks again, in the midst of long work. */
void core_refresh_clock(struct core *core);

/* 64 bits from the core's own generator, seeded once through io_random(). */
uint64_t core_random(struct core *core);

/* ---- life ----------------------------------------------------------------------- */

/* Called before any thread is pinned: it counts the CPUs. Keys are spread over the cores
 * evenly; core 0 says when it all started. */
struct machine *machine_new(uint16_t n_cores) must_check;
void machine_free(struct machine *machine);

/* Joins a core, with an io of its own, to the machine: on the thread that will run it, which
 * it becomes the current core of. None runs before all have joined, and none is freed before
 * all have left their loops: until then others may send to it and wake it. The io stays the
 * caller's. */
struct core *core_new(struct machine *machine, uint16_t id, struct io *io) must_check;
void core_free(struct core *core);

/* The loop, a stage at a time, so that the simulator can let other cores run between any
 * two: runs the stage that is due and returns the one that is due next. ARM announces the
 * sleep, CHECK looks at the rings once more: without it, a message published between the
 * last drain and the announcement would wait for ever. */
enum reactor_stage { REACTOR_WORK, REACTOR_ARM, REACTOR_CHECK, REACTOR_SLEEP, REACTOR_STOPPED };
enum reactor_stage reactor_step(struct core *core);

/* Steps until core->stopped. */
void reactor_run(struct core *core);

/* Lets a loop that has stopped begin anew. */
void reactor_restart(struct core *core);
