/* The loop of one core.
 *
 *   WORK   messages -> foreground tasks and fibers -> a share of query and background work
 *          -> timers -> turn-end hooks (they stage the sends) -> publish
 *          -> messages that came meanwhile, hooks, publish -> io_poll(0)
 *   ARM    announces the sleep to the other cores
 *   CHECK  looks once more for what they published before they could see that
 *   SLEEP  io_poll() until the next timer
 *
 * Every turn enters the kernel once: what hooks and tasks staged is submitted by the same
 * io_poll() that reaps, calls back and so begins the next turn. A turn that leaves nothing
 * to do makes that call in SLEEP, after it has looked on for a while in vain.
 */
#include "engine/core/reactor_private.h"

#include "engine/io/io.h"
#include "engine/io/os.h"

enum {
	SPIN_START_NS = 20 * 1000,
	SPIN_MAX_NS = 100 * 1000,
	SPIN_ALONE_NS = 10 * 1000,   /* no other core to hear from, or no CPU to spare */
	SLEEP_LONG_NS = 1000 * 1000, /* looking on would not have helped */
	SAMPLE_NS = 10 * 1000 * 1000,
	CROWDED_NS = 100 * 1000 * 1000,
	CROWDED_PREEMPTIONS = 2,      /* in one sample */
	SPIN_LOOKS = 8,               /* at the rings, for each look at the network */
	SPIN_TURN_MAX_NS = 20 * 1000, /* an idle turn that took longer was not ours: the CPU was taken away */
};

static void cpu_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb"); /* yield does nothing on most */
#endif
}

/* ---- when to sleep -------------------------------------------------------------- */

void reactor_set_poll(struct core *core, enum reactor_poll poll)
{
	struct spin *spin = &core->reactor->spin;
	bool spare = core->n_cores > 1 && core->machine->n_cpus >= core->n_cores;
	spin->poll = poll;
	spin->ns = spin->ns_start = spare ? SPIN_START_NS : SPIN_ALONE_NS;
	spin->ns_max = spare ? SPIN_MAX_NS : SPIN_ALONE_NS;
}

/* A core that looks on while others wait for its CPU delays the very clients it waits for. */
static void spin_sample(struct spin *spin, uint64_t now_ns)
{
	if (now_ns - spin->sampled_ns < SAMPLE_NS)
		return;
	uint64_t preemptions = os_thread_preemptions();
	if (spin->sampled_ns && preemptions - spin->preemptions >= CROWDED_PREEMPTIONS)
		spin->crowded_until_ns = now_ns + CROWDED_NS;
	spin->preemptions = preemptions;
	spin->sampled_ns = now_ns;
}

static bool spin_goes_on(struct core *core)
{
	struct spin *spin = &core->reactor->spin;
	if (spin->poll != REACTOR_POLL_AUTO)
		return spin->poll == REACTOR_POLL_ALWAYS;
	spin_sample(spin, core->now_ns);
	if (core->now_ns < spin->crowded_until_ns)
		return false;
	/* An answer on its way comes within microseconds; to sleep before it costs both sides more. */
	uint64_t span_ns = core->reactor->awaited > 0 ? spin->ns_max : spin->ns;
	return spin->from_ns == 0 || core->now_ns - spin->from_ns < span_ns;
}

/* A short sleep should have been a spin; a long one makes the next spin a waste. */
static void spin_learn(struct spin *spin, uint64_t slept_ns)
{
	if (slept_ns < spin->ns_max)
		spin->ns = spin->ns * 2 < spin->ns_max ? spin->ns * 2 : spin->ns_max;
	else if (slept_ns > SLEEP_LONG_NS)
		spin->ns = spin->ns / 2 > spin->ns_start ? spin->ns / 2 : spin->ns_start;
}

/* The turn that ended found nothing: its time was spent looking on. */
static void spin_account(struct core *core, uint64_t turn_ns)
{
	if (core->reactor->spin.idle && turn_ns < SPIN_TURN_MAX_NS)
		core->reactor->stats.spin_ns += turn_ns;
}

/* ---- the stages ----------------------------------------------------------------- */

static void run_turn_ends(struct core *core)
{
	core->timers.again_ns = UINT64_MAX;
	list_each (link, &core->reactor->turn_ends) {
		struct turn_end *hook = container_of(link, struct turn_end, link);
		hook->run(core, hook);
	}
}

/* The clock of a turn is read before its first callback, or here when there was none. */
static void read_clock(struct core *core)
{
	struct spin *spin = &core->reactor->spin;
	uint64_t before_ns = core->reactor->at_ns;
	core_refresh_clock(core);
	core->reactor->at_ns = core->now_ns;
	if (spin->slept_from_ns)
		spin_learn(spin, core->now_ns - spin->slept_from_ns);
	else
		spin_account(core, core->now_ns - before_ns);
	spin->slept_from_ns = 0;
}

void reactor_awake(struct io *io)
{
	struct core *core = io->owner;
	read_clock(core);
	core->reactor->clock_read = true;
}

static void begin_turn(struct core *core)
{
	struct reactor *reactor = core->reactor;
	if (reactor->clock_read)
		stall_check_calls(core, reactor->n_called);
	else
		read_clock(core);
	reactor->clock_read = false;
	reactor->stats.turns++;
	stall_refresh(core);
}

static bool work_left(struct core *core)
{
	return tasks_ready(core->reactor) || !message_queue_empty(&core->reactor->local);
}

/* Hands over what is staged and calls back what completed. */
static void poll_now(struct core *core)
{
	struct reactor *reactor = core->reactor;
	reactor->n_called = io_poll(core->io, 0);
	if (reactor->n_called > 0)
		reactor->spin.from_ns = 0;
}

/* The rings are much cheaper to look at than the clock and the kernel. */
static void look_on(struct core *core)
{
	for (int looks = 0; looks < SPIN_LOOKS && reactor_inbox_empty(core); looks++)
		cpu_pause();
}

/* The kernel may keep us long. What came meanwhile from the other cores need not wait for that,
 * and what it gives to send leaves with this entry instead of one of its own. */
static int answer_before_entry(struct core *core)
{
	if (core->n_cores == 1)
		return 0;
	int n = reactor_drain_rings(core);
	if (n > 0) {
		run_turn_ends(core);
		reactor_publish(core);
	}
	return n;
}

static enum reactor_stage work(struct core *core)
{
	struct spin *spin = &core->reactor->spin;
	begin_turn(core);
	bool quiet = spin->from_ns != 0; /* the last io_poll() brought nothing */
	int n = reactor_drain(core);
	n += tasks_run(core, quiet && n == 0);
	n += timer_wheel_run(core, &core->timers, core->now_ns);
	run_turn_ends(core);
	reactor_publish(core);
	n += answer_before_entry(core);
	spin->idle = quiet && n == 0;
	if (core->stopped) {
		poll_now(core);
		return REACTOR_STOPPED;
	}
	if (!spin->idle)
		spin->from_ns = 0;
	bool goes_on = work_left(core) || spin_goes_on(core);
	if (!spin->idle)
		spin->from_ns = core->now_ns;
	if (!goes_on)
		return REACTOR_ARM;
	if (spin->idle && core->n_cores > 1)
		look_on(core);
	poll_now(core);
	return REACTOR_WORK;
}

static enum reactor_stage arm(struct core *core)
{
	struct bell *bell = &core->machine->bells[core->id];
	atomic_store_explicit(&bell->sleeping, true, memory_order_relaxed);
	fence_full();
	return REACTOR_CHECK;
}

static void disarm(struct core *core)
{
	struct bell *bell = &core->machine->bells[core->id];
	atomic_store_explicit(&bell->sleeping, false, memory_order_relaxed);
}

static enum reactor_stage check(struct core *core)
{
	if (reactor_inbox_empty(core))
		return REACTOR_SLEEP;
	disarm(core);
	poll_now(core); /* this turn's one entry, or the network would starve behind busy rings */
	return REACTOR_WORK;
}

static enum reactor_stage sleep_on(struct core *core)
{
	struct spin *spin = &core->reactor->spin;
	uint64_t until_ns = timer_wheel_next_ns(&core->timers);
	core->reactor->stats.sleeps++;
	spin->slept_from_ns = core->now_ns;
	spin->from_ns = 0;
	core->reactor->n_called = io_poll(core->io, until_ns ? until_ns : 1);
	disarm(core);
	return REACTOR_WORK;
}

enum reactor_stage reactor_step(struct core *core)
{
	struct reactor *reactor = core->reactor;
	switch (reactor->stage) {
	case REACTOR_WORK:
		reactor->stage = work(core);
		break;
	case REACTOR_ARM:
		reactor->stage = arm(core);
		break;
	case REACTOR_CHECK:
		reactor->stage = check(core);
		break;
	case REACTOR_SLEEP:
		reactor->stage = sleep_on(core);
		break;
	case REACTOR_STOPPED:
		break;
	}
	return reactor->stage;
}

void reactor_run(struct core *core)
{
	core_set_current(core);
	while (reactor_step(core) != REACTOR_STOPPED)
		;
}

void reactor_restart(struct core *core)
{
	core->stopped = false;
	core->reactor->stage = REACTOR_WORK;
}

void reactor_init(struct core *core)
{
	struct reactor *reactor = core->reactor;
	tasks_init(reactor);
	list_init(&reactor->turn_ends);
	reactor_set_poll(core, REACTOR_POLL_AUTO);
	core->io->owner = core;
	core->io->awake = reactor_awake;
}

const struct reactor_stats *reactor_stats(const struct core *core) { return &core->reactor->stats; }
