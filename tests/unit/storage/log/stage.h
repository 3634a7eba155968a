/* stage.h -- one core on the simulator, and fibers that run on it to their end. */
#pragma once

#include "engine/core/fiber.h"
#include "engine/core/reactor_private.h"
#include "engine/io/sim.h"
#include "engine/memory/memory.h"
#include "storage/log/log.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct stage {
	struct sim *sim;
	struct io *io;
	struct machine *machine;
	struct core *core;
	enum reactor_stage at;
};

static inline void stage_init(struct stage *s, uint64_t seed)
{
	const struct sim_faults faults = {.clock_ns = 100, .delay_ns = 300 * 1000, .chunks = 2};
	*s = (struct stage){.sim = sim_new(seed, &faults), .machine = machine_new(1), .at = REACTOR_WORK};
	s->io = sim_io_new(s->sim);
	s->core = core_new(s->machine, 0, s->io);
	reactor_set_poll(s->core, REACTOR_POLL_NEVER);
}

static inline void stage_fini(struct stage *s)
{
	core_free(s->core);
	machine_free(s->machine);
	io_free(s->io);
	sim_free(s->sim);
}

static inline uint64_t stage_next_ns(const struct stage *s)
{
	uint64_t io_ns = sim_io_next_ns(s->io), timer_ns = timer_wheel_next_ns(&s->core->timers);
	return io_ns < timer_ns ? io_ns : timer_ns;
}

/* One stage of the loop; time leaps when the core sleeps. False: it would sleep for ever. */
static inline bool stage_step(struct stage *s)
{
	core_set_current(s->core);
	if (s->at == REACTOR_SLEEP && !sim_io_due(s->io)) {
		uint64_t next_ns = stage_next_ns(s), now_ns = sim_now_ns(s->sim);
		if (next_ns == UINT64_MAX)
			return false;
		if (next_ns > now_ns)
			sim_pass_ns(s->sim, next_ns - now_ns);
	}
	s->at = reactor_step(s->core);
	return true;
}

struct stage_call {
	void (*run)(struct stage *s, void *arg);
	struct stage *stage;
	void *arg;
	bool done;
};

static inline void stage_call_run(void *arg)
{
	struct stage_call *call = arg;
	call->run(call->stage, call->arg);
	call->done = true;
}

/* Runs `run` in a fiber until it ends. */
static inline void stage_run(struct stage *s, void (*run)(struct stage *s, void *arg), void *arg)
{
	struct stage_call call = {.run = run, .stage = s, .arg = arg};
	core_set_current(s->core);
	fiber_start(s->core, stage_call_run, &call);
	while (!call.done)
		cr_assert(stage_step(s), "it waits for what never comes");
}

/* Lets time pass. */
static inline void stage_pass(struct stage *s, uint64_t ns)
{
	uint64_t until_ns = sim_now_ns(s->sim) + ns;
	while (sim_now_ns(s->sim) < until_ns) {
		if (s->at == REACTOR_SLEEP && !sim_io_due(s->io) && stage_next_ns(s) > until_ns)
			sim_pass_ns(s->sim, until_ns - sim_now_ns(s->sim));
		else
			stage_step(s);
	}
}
