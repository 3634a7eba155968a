#include "engine/core/fiber.h"

#include "tests/unit/engine/core/machine.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_machine m;

static void teardown(void)
{
	for (uint16_t id = 0; id < m.machine->n_cores; id++)
		cr_assert_eq(fiber_pool_living(m.core[id]->fibers), 0);
	test_machine_fini(&m);
}

TestSuite(fiber, .fini = teardown, .timeout = 120);

static int count;
static struct fiber *parked;

static void step_until_arm(uint16_t id)
{
	do
		test_step(&m, id);
	while (m.core[id]->reactor->stage != REACTOR_ARM);
}

/* ---- life -------------------------------------------------------------------------------- */

static void count_one(void *arg) { count++; }

Test(fiber, runs_at_once)
{
	test_machine_init(&m, 1, 1);
	fiber_start(m.core[0], count_one, NULL);
	cr_assert_eq(count, 1);
	cr_assert_null(fiber_self(m.core[0]));
}

static void wait_once(void *arg)
{
	struct core *core = arg;
	parked = fiber_self(core);
	count = 1;
	fiber_wait(core);
	count = 2;
}

Test(fiber, waits_for_its_wake)
{
	test_machine_init(&m, 1, 1);
	fiber_start(m.core[0], wait_once, m.core[0]);
	test_run_until_asleep(&m);
	cr_assert_eq(count, 1);
	fiber_wake(m.core[0], parked);
	cr_assert_eq(count, 1, "not inside the waker");
	step_until_arm(0);
	cr_assert_eq(count, 2);
}

static void wake_before_wait(void *arg)
{
	struct core *core = arg;
	fiber_wake(core, fiber_self(core));
	fiber_wait(core);
	count = 7;
}

Test(fiber, a_wake_before_the_wait_is_remembered)
{
	test_machine_init(&m, 1, 1);
	fiber_start(m.core[0], wake_before_wait, m.core[0]);
	cr_assert_eq(count, 7);
}

/* ---- thousands, with state of their own ----------------------------------------------- */

enum { MANY = 5000 };
static struct fiber *many[MANY];
static int done[MANY];

static void keep_state(void *arg)
{
	struct core *core = m.core[0];
	int id = (int)(intptr_t)arg;
	volatile int64_t mine[100];
	volatile double real = id * 0.5;
	for (int i = 0; i < 100; i++)
		mine[i] = id * 1000 + i;
	for (int round = 0; round < 5; round++) {
		many[id] = fiber_self(core);
		fiber_wait(core);
		for (int i = 0; i < 100; i++)
			cr_assert_eq(mine[i], id * 1000 + i);
		cr_assert_eq(real, id * 0.5);
	}
	done[id]++;
}

Test(fiber, thousands_keep_their_own_stacks)
{
	test_machine_init(&m, 1, 3);
	for (int i = 0; i < MANY; i++)
		fiber_start(m.core[0], keep_state, (void *)(intptr_t)i);
	cr_assert_eq(fiber_pool_living(m.core[0]->fibers), MANY);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < MANY; i++)
			fiber_wake(m.core[0], many[(i * 7 + round) % MANY]);
		step_until_arm(0);
		while (m.core[0]->reactor->stage != REACTOR_WORK)
			test_step(&m, 0);
	}
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(done[i], 1);
}

/* ---- nesting --------------------------------------------------------------------------- */

static void nest(void *arg)
{
	intptr_t depth = (intptr_t)arg;
	struct core *core = m.core[0];
	struct fiber *self = fiber_self(core);
	if (depth > 0)
		fiber_start(core, nest, (void *)(depth - 1));
	cr_assert_eq(fiber_self(core), self);
	fiber_yield(core);
	cr_assert_eq(fiber_self(core), self);
	count++;
}

Test(fiber, starts_others_from_inside)
{
	test_machine_init(&m, 1, 1);
	fiber_start(m.core[0], nest, (void *)50);
	cr_assert_eq(count, 0);
	test_run_until_asleep(&m);
	cr_assert_eq(count, 51);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void sleep_some(void *arg)
{
	struct core *core = m.core[0];
	uint64_t ns = (uint64_t)(intptr_t)arg, from_ns = io_now_ns(core->io);
	fiber_sleep(core, ns);
	count += io_now_ns(core->io) - from_ns >= ns;
}

Test(fiber, sleeps)
{
	test_machine_init(&m, 1, 1);
	for (intptr_t i = 0; i < 200; i++)
		fiber_start(m.core[0], sleep_some, (void *)(i * 1234567));
	test_run_until_idle(&m);
	cr_assert_eq(count, 200);
}

/* ---- calls -------------------------------------------------------------------------------- */

static uint64_t visits[TEST_CORES_MAX];

static void visit(struct core *there, void *arg)
{
	cr_assert_eq(core_current(), there);
	cr_assert_null(fiber_self(there), "shard code is no fiber");
	visits[there->id]++;
	if (arg)
		++*(uint16_t *)arg;
}

static void caller(void *arg)
{
	struct core *core = arg;
	for (int i = 0; i < 100; i++) {
		uint16_t called = 0;
		fiber_call(core, (uint16_t)(core_random(core) % core->n_cores), visit, &called);
		cr_assert_eq(called, 1);
		if (i % 10 == 0)
			fiber_call_all(core, visit, NULL);
		if (i % 17 == 0)
			fiber_yield(core);
	}
	count++;
}

Test(fiber, calls_other_cores)
{
	test_machine_init(&m, 3, 9);
	for (int i = 0; i < 300; i++) {
		core_set_current(m.core[i % 3]);
		fiber_start(m.core[i % 3], caller, m.core[i % 3]);
		if (i % 3 == 2)
			for (uint16_t id = 0; id < 3; id++)
				m.io[id].woken = true;
	}
	test_run_until_asleep(&m);
	cr_assert_eq(count, 300);
	cr_assert_eq(visits[0] + visits[1] + visits[2], 300 * (100 + 30));
}

static void ordered(struct core *there, void *arg) { cr_assert_eq(count++, (int)(intptr_t)arg); }
static void on_earlier(struct core *core, struct message *message) { ordered(core, message->args[0].ptr); }

static void call_after_post(void *arg)
{
	struct core *core = arg;
	fiber_yield(core); /* so that the loop runs us */
	fiber_call(core, 0, ordered, (void *)0);
	cr_assert_eq(count, 1);
	core_post(core, 0, &(struct message){.run = on_earlier, .args[0].ptr = (void *)1});
	fiber_call(core, 0, ordered, (void *)2);
	cr_assert_eq(count, 3);
}

Test(fiber, a_call_home_does_not_overtake)
{
	test_machine_init(&m, 1, 9);
	fiber_start(m.core[0], call_after_post, m.core[0]);
	test_run_until_asleep(&m);
	cr_assert_eq(count, 3);
}

/* ---- stacks --------------------------------------------------------------------------------- */

__attribute__((noinline)) static size_t dig(struct core *core, size_t keep)
{
	volatile char room[512];
	room[0] = 1;
	if (fiber_stack_left(core) < keep)
		return (size_t)room[0];
	return dig(core, keep) + (size_t)room[0];
}

static void dig_far(void *arg)
{
	size_t left = fiber_stack_left(m.core[0]);
	cr_assert(left > FIBER_STACK_SIZE - 4096, "%zu", left);
	count = (int)dig(m.core[0], 8192);
}

Test(fiber, knows_how_much_stack_is_left)
{
	test_machine_init(&m, 1, 1);
	cr_assert_eq(fiber_stack_left(m.core[0]), SIZE_MAX);
	fiber_start(m.core[0], dig_far, NULL);
	cr_assert(count > 20, "%d", count);
}

static void dig_too_far(void *arg) { count = (int)dig(m.core[0], 0); }

/* Below the stack lies a page that nobody may touch. */
Test(fiber, an_overflow_dies_at_once)
{
	test_machine_init(&m, 1, 1);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		close(STDERR_FILENO);
		fiber_start(m.core[0], dig_too_far, NULL);
		_exit(0);
	}
	int status = 0;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}
