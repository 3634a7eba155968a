/* The loop's policy: who runs when, how often the kernel is entered, when to sleep. */
#include "engine/core/fiber.h"

#include "tests/unit/engine/core/machine.h"

static struct test_machine m;
static struct core *core;
static struct fake_io *io;

static void setup(void)
{
	test_machine_init(&m, 1, 1);
	core = m.core[0];
	io = &m.io[0];
}

static void teardown(void) { test_machine_fini(&m); }

TestSuite(reactor, .init = setup, .fini = teardown, .timeout = 60);

/* A task that takes time, and is ready again at once as often as it is told. */
struct worker {
	struct task task;
	enum class class;
	uint64_t takes_ns;
	int left;
	uint64_t ran_ns;
};

static void work(struct core *c, struct task *task)
{
	struct worker *worker = container_of(task, struct worker, task);
	io->now_ns += worker->takes_ns;
	worker->ran_ns += worker->takes_ns;
	if (--worker->left > 0)
		core_ready(c, task, worker->class);
}

static struct worker worker_of(enum class class, uint64_t takes_ns, int n)
{
	return (struct worker){
	        .task = {.run = work, .name = "worker"}, .class = class, .takes_ns = takes_ns, .left = n};
}

static void start(struct worker *worker) { core_ready(core, &worker->task, worker->class); }

/* ---- turns --------------------------------------------------------------------------------- */

Test(reactor, a_turn_enters_the_kernel_once)
{
	struct worker worker = worker_of(CLASS_FOREGROUND, 1000, 100);
	start(&worker);
	for (int turn = 1; turn <= 99; turn++) {
		test_step(&m, 0);
		cr_assert_eq(io->polls, turn);
		cr_assert_eq(core->reactor->stage, REACTOR_WORK);
	}
	test_step(&m, 0); /* the last one: the entry of this turn is its sleep */
	cr_assert_eq(core->reactor->stage, REACTOR_ARM);
	cr_assert_eq(io->polls, 99);
	test_step(&m, 0);
	cr_assert_eq(core->reactor->stage, REACTOR_CHECK);
	test_step(&m, 0);
	cr_assert_eq(core->reactor->stage, REACTOR_SLEEP);
	test_step(&m, 0);
	cr_assert_eq(io->polls, 100);
	cr_assert_eq(io->sleeps, 1);
	cr_assert_eq(io->until_ns, UINT64_MAX);
}

Test(reactor, a_ready_task_may_be_forgotten)
{
	struct worker worker = worker_of(CLASS_QUERY, 1000, 1);
	start(&worker);
	start(&worker);
	core_forget(core, &worker.task);
	core_forget(core, &worker.task);
	test_run_until_asleep(&m);
	cr_assert_eq(worker.ran_ns, 0);
	start(&worker);
	io->woken = true;
	test_run_until_asleep(&m);
	cr_assert_eq(worker.ran_ns, 1000);
}

static struct worker victim;
static void forget_the_next(struct core *c, struct task *task) { core_forget(c, &victim.task); }

Test(reactor, a_task_may_forget_another_of_its_turn)
{
	struct task first = {.run = forget_the_next};
	victim = worker_of(CLASS_FOREGROUND, 1000, 1);
	core_ready(core, &first, CLASS_FOREGROUND);
	start(&victim);
	test_run_until_asleep(&m);
	cr_assert_eq(victim.ran_ns, 0);
}

static int hook_runs;
static void on_turn_end(struct core *c, struct turn_end *hook)
{
	hook_runs++;
	cr_assert_eq(io->polls, hook_runs - 1, "hooks run before the turn's entry");
}

Test(reactor, hooks_run_each_turn_before_the_entry)
{
	struct turn_end hook = {.run = on_turn_end};
	struct worker worker = worker_of(CLASS_FOREGROUND, 1000, 5);
	core_at_turn_end(core, &hook);
	core_at_turn_end(core, &hook);
	start(&worker);
	test_run_until_asleep(&m);
	cr_assert_eq(hook_runs, 5);
}

static void tick(struct core *c, struct timer *timer) { io->seed++; }

Test(reactor, sleeps_until_the_next_timer)
{
	struct timer timer = {.run = tick};
	timer_start(&core->timers, &timer, io->now_ns + 5000000);
	test_run_until_asleep(&m);
	test_step(&m, 0);
	cr_assert_eq(io->until_ns, 1005000000);
	uint64_t seed = io->seed;
	test_step(&m, 0);
	cr_assert_eq(io->seed, seed + 1);
}

static uint64_t seen_ns;
static int look_at_clock(void *arg)
{
	seen_ns = core->now_ns;
	return 1;
}

Test(reactor, callbacks_after_a_sleep_see_a_fresh_clock)
{
	struct timer timer = {.run = tick};
	timer_start(&core->timers, &timer, io->now_ns + 5000000);
	test_run_until_asleep(&m);
	io->completes = look_at_clock;
	test_step(&m, 0);
	cr_assert_eq(seen_ns, io->until_ns);
}

Test(reactor, stops)
{
	core->stopped = true;
	test_step(&m, 0);
	cr_assert_eq(core->reactor->stage, REACTOR_STOPPED);
	test_step(&m, 0);
	cr_assert_eq(io->polls, 1, "what was staged before is handed over, once");
}

/* ---- shares -------------------------------------------------------------------------------- */

static void share(uint64_t foreground_ns, uint64_t query_ns, uint64_t background_ns, int turns, double *out)
{
	struct worker workers[CLASS_COUNT];
	const uint64_t takes_ns[] = {foreground_ns, query_ns, background_ns};
	for (int c = 0; c < CLASS_COUNT; c++) {
		workers[c] = worker_of((enum class)c, takes_ns[c], INT32_MAX);
		if (takes_ns[c])
			start(&workers[c]);
	}
	for (int i = 0; i < turns; i++)
		test_step(&m, 0);
	double all = 0;
	for (int c = 0; c < CLASS_COUNT; c++) {
		all += (double)workers[c].ran_ns;
		cr_assert_eq(reactor_stats(core)->class_ns[c], workers[c].ran_ns);
		core_forget(core, &workers[c].task);
	}
	for (int c = 0; c < CLASS_COUNT; c++)
		out[c] = (double)workers[c].ran_ns / all;
}

static void expect_near(double got, double wanted)
{
	cr_assert(got > wanted * 0.85 && got < wanted * 1.15, "%f instead of %f", got, wanted);
}

Test(reactor, lower_classes_get_their_share_of_a_busy_core)
{
	double got[CLASS_COUNT];
	share(50000, 150000, 100000, 20000, got);
	expect_near(got[CLASS_QUERY], 4 / 16.0);
	expect_near(got[CLASS_BACKGROUND], 1 / 16.0);
}

Test(reactor, short_foreground_tasks_and_long_morsels_share_alike)
{
	double got[CLASS_COUNT];
	share(3000, 200000, 0, 100000, got);
	expect_near(got[CLASS_QUERY], 4 / 15.0);
}

Test(reactor, an_idle_core_is_theirs)
{
	double got[CLASS_COUNT];
	share(0, 150000, 100000, 20000, got);
	expect_near(got[CLASS_QUERY], 4 / 5.0);
	expect_near(got[CLASS_BACKGROUND], 1 / 5.0);
}

Test(reactor, background_work_alone_gets_all)
{
	double got[CLASS_COUNT];
	uint64_t from_ns = io->now_ns;
	share(0, 0, 100000, 1000, got);
	cr_assert(io->now_ns - from_ns > 1000ull * 99000);
}

/* However much is ready, a message waits for one slice at most. */
Test(reactor, the_network_is_looked_at_between_slices)
{
	struct worker workers[10];
	for (int i = 0; i < 10; i++) {
		workers[i] = worker_of(CLASS_QUERY, 150000, 1);
		start(&workers[i]);
	}
	uint64_t from_ns = io->now_ns;
	test_step(&m, 0);
	test_step(&m, 0);
	cr_assert(io->now_ns - from_ns <= 300000);
	test_run_until_asleep(&m);
}

/* ---- spinning ------------------------------------------------------------------------------ */

Test(reactor, looks_on_for_a_while_before_it_sleeps)
{
	reactor_set_poll(core, REACTOR_POLL_AUTO);
	io->poll_takes_ns = 500;
	test_run_until_asleep(&m);
	cr_assert(io->polls >= 15 && io->polls < 100, "%d", io->polls);
	cr_assert(reactor_stats(core)->spin_ns > 5000 && reactor_stats(core)->spin_ns < 50000);
	uint64_t spun_ns = reactor_stats(core)->spin_ns;
	struct worker worker = worker_of(CLASS_FOREGROUND, 100000, 10);
	start(&worker);
	io->woken = true;
	test_run_until_asleep(&m);
	cr_assert(reactor_stats(core)->spin_ns - spun_ns < 50000, "work is no spin");
}

Test(reactor, told_never_to_sleep_it_does_not)
{
	reactor_set_poll(core, REACTOR_POLL_ALWAYS);
	for (int i = 0; i < 10000; i++)
		test_step(&m, 0);
	cr_assert_eq(io->sleeps, 0);
	cr_assert_eq(io->polls, 10000);
}

/* ---- stalls -------------------------------------------------------------------------------- */

Test(reactor, long_runs_are_counted)
{
	struct worker shorter = worker_of(CLASS_FOREGROUND, 150000, 10),
	              longer = worker_of(CLASS_FOREGROUND, 300000, 3);
	start(&shorter);
	start(&longer);
	test_run_until_asleep(&m);
	cr_assert_eq(reactor_stats(core)->stalls, 3);
	cr_assert_eq(reactor_stats(core)->run_longest_ns, 300000);
}

static void stall(struct core *c, struct message *message) { io->now_ns += 400000; }
static void be_quick(struct core *c, struct message *message) { io->now_ns += 10000; }

Test(reactor, long_messages_are_counted)
{
	for (int i = 0; i < 200; i++)
		core_post(core, 0, &(struct message){.run = i == 50 ? stall : be_quick});
	test_run_until_asleep(&m);
	cr_assert_eq(reactor_stats(core)->stalls, 1);
	cr_assert_eq(reactor_stats(core)->messages, 200);
}

/* ---- randomness ------------------------------------------------------------------------------ */

Test(reactor, random_numbers_come_from_the_io_alone)
{
	struct test_machine other;
	test_machine_init(&other, 1, 1);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(core_random(core), core_random(other.core[0]));
	test_machine_fini(&other);
	test_machine_init(&other, 1, 2);
	cr_assert_neq(core_random(core), core_random(other.core[0]));
	test_machine_fini(&other);
}
