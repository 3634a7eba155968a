/* fibers.h -- a story told by one fiber of one core, on whichever back end. */
#pragma once

#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/core/reactor_private.h"
#include "engine/io/io.h"
#include "engine/io/sim.h"
#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct telling {
	struct core *core;
	void (*tell)(struct core *core, void *arg);
	void *arg;
	bool is_told;
};

static inline void tell_and_stop(void *arg)
{
	struct telling *telling = arg;
	telling->tell(telling->core, telling->arg);
	telling->is_told = true;
	telling->core->stopped = true;
}

/* On virtual time; the world and its files stay the caller's. False: it stands still, the power has failed. */
static inline bool tell_in_world(struct sim *sim, void (*tell)(struct core *core, void *arg), void *arg)
{
	struct io *io = sim_io_new(sim);
	struct machine *machine = machine_new(1);
	struct telling telling = {.core = core_new(machine, 0, io), .tell = tell, .arg = arg};
	reactor_set_poll(telling.core, REACTOR_POLL_NEVER);
	fiber_start(telling.core, tell_and_stop, &telling);
	for (enum reactor_stage stage = REACTOR_WORK; stage != REACTOR_STOPPED;) {
		if (stage == REACTOR_SLEEP && !sim_io_due(io)) {
			uint64_t next_ns = sim_io_next_ns(io), timer_ns = timer_wheel_next_ns(&telling.core->timers);
			next_ns = next_ns < timer_ns ? next_ns : timer_ns;
			if (next_ns == UINT64_MAX)
				return false; /* what the fiber holds is lost with it, as in a crash */
			if (next_ns > sim_now_ns(sim))
				sim_pass_ns(sim, next_ns - sim_now_ns(sim));
		}
		stage = reactor_step(telling.core);
	}
	cr_assert(telling.is_told);
	core_free(telling.core);
	machine_free(machine);
	io_free(io);
	return true;
}

static inline void tell_for_real(enum io_choice choice, void (*tell)(struct core *core, void *arg), void *arg)
{
	char why[200];
	struct io *io = io_new(choice, why, sizeof(why));
	cr_assert(io, "%s", why);
	struct machine *machine = machine_new(1);
	struct telling telling = {.core = core_new(machine, 0, io), .tell = tell, .arg = arg};
	fiber_start(telling.core, tell_and_stop, &telling);
	reactor_run(telling.core);
	cr_assert(telling.is_told);
	core_free(telling.core);
	machine_free(machine);
	io_free(io);
}

/* Same seeds, same rolls. */
struct chance {
	uint64_t state;
};

static inline uint64_t draw(struct chance *chance)
{
	uint64_t z = chance->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline uint64_t draw_below(struct chance *chance, uint64_t n) { return draw(chance) % n; }
