/* machine.h -- a few cores on fake ios, stepped by hand. */
#pragma once

#include "engine/core/reactor_private.h"
#include "tests/unit/engine/core/fake_io.h"

#include "tests/support/unit.h"

enum { TEST_CORES_MAX = 4 };

struct test_machine {
	struct machine *machine;
	struct fake_io io[TEST_CORES_MAX];
	struct core *core[TEST_CORES_MAX];
	uint64_t seed;
};

static inline void test_machine_init(struct test_machine *m, uint16_t n_cores, uint64_t seed)
{
	*m = (struct test_machine){.machine = machine_new(n_cores), .seed = seed};
	for (uint16_t id = 0; id < n_cores; id++) {
		fake_io_init(&m->io[id], seed + id);
		m->core[id] = core_new(m->machine, id, &m->io[id].io);
		reactor_set_poll(m->core[id], REACTOR_POLL_NEVER);
	}
}

static inline void test_machine_fini(struct test_machine *m)
{
	for (uint16_t id = 0; id < m->machine->n_cores; id++)
		core_free(m->core[id]);
	machine_free(m->machine);
}

static inline uint64_t test_random(struct test_machine *m)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return m->seed;
}

/* Would a real thread get on here? A core that is about to sleep does so only if a wake is
 * on its way. */
static inline bool test_may_run(struct test_machine *m, uint16_t id)
{
	return m->core[id]->reactor->stage != REACTOR_SLEEP || m->io[id].woken;
}

static inline void test_step(struct test_machine *m, uint16_t id)
{
	core_set_current(m->core[id]);
	reactor_step(m->core[id]);
}

/* Lets the cores run, a stage at a time and in random order, until all sleep for good.
 * Timers do not count: a lost wake must not be helped by one. */
static inline void test_run_until_asleep(struct test_machine *m)
{
	uint16_t n = m->machine->n_cores, able[TEST_CORES_MAX];
	for (uint32_t steps = 0;; steps++) {
		uint16_t n_able = 0;
		for (uint16_t id = 0; id < n; id++)
			if (test_may_run(m, id))
				able[n_able++] = id;
		if (n_able == 0)
			return;
		cr_assert(steps < 50 * 1000 * 1000, "the cores never rest");
		test_step(m, able[test_random(m) % n_able]);
	}
}

/* The same, firing timers: moves the clock on when all sleep. */
static inline void test_run_until_idle(struct test_machine *m)
{
	for (;;) {
		test_run_until_asleep(m);
		uint64_t next_ns = UINT64_MAX;
		for (uint16_t id = 0; id < m->machine->n_cores; id++) {
			uint64_t at_ns = timer_wheel_next_ns(&m->core[id]->timers);
			if (at_ns < next_ns)
				next_ns = at_ns;
		}
		if (next_ns == UINT64_MAX)
			return;
		for (uint16_t id = 0; id < m->machine->n_cores; id++) {
			if (m->io[id].now_ns < next_ns)
				m->io[id].now_ns = next_ns;
			m->io[id].woken = true;
		}
	}
}
