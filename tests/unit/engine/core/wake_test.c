/* Real threads at the edge of sleep: a million messages, and no wake lost.
 *
 * The first tests sleep in user space, so that there are millions of sleeps a second, each
 * with its chance of meeting a publish halfway; then the real back ends do the same through
 * the kernel. Nothing here starts a timer: a core whose wake is lost sleeps for ever, and
 * the watchdog says so.
 */
#include "engine/core/reactor_private.h"
#include "engine/io/io.h"
#include "engine/io/os.h"

#include "tests/support/unit.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { CORES = 2 };

/* ---- an io that sleeps by looking ------------------------------------------------------ */

struct light_io {
	struct io io;
	_Atomic int woken;
};

static int light_poll(struct io *io, uint64_t until_ns)
{
	struct light_io *light = container_of(io, struct light_io, io);
	for (int looks = 1; until_ns && !atomic_load_explicit(&light->woken, memory_order_acquire); looks++)
		if (looks % 256 == 0)
			sched_yield(); /* the other may need this CPU */
	return atomic_load_explicit(&light->woken, memory_order_relaxed) ? atomic_exchange(&light->woken, 0) : 0;
}

static void light_wake(struct io *io, struct io *target)
{
	atomic_store_explicit(&container_of(target, struct light_io, io)->woken, 1, memory_order_release);
}

static uint64_t light_now_ns(struct io *io) { return os_now_ns(); }
static int64_t light_wall_us(struct io *io) { return os_wall_us(); }
static void light_random(struct io *io, void *out, size_t size) { os_random(out, size); }
static void light_free(struct io *io) {}

static const struct io_ops light_ops = {
        .name = "light",
        .free = light_free,
        .poll = light_poll,
        .wake = light_wake,
        .now_ns = light_now_ns,
        .wall_us = light_wall_us,
        .random = light_random,
};

/* ---- the load ------------------------------------------------------------------------------ */

struct side {
	struct core *core;
	uint64_t to_send, out; /* requests */
	uint64_t arrived, arrived_posts;
	_Atomic uint64_t progress;
	uint64_t random;
};

static struct machine *machine;
static struct side sides[CORES];
static pthread_barrier_t all_joined, all_stopped;
static const char *back_end;
static enum reactor_poll poll_policy;
static uint64_t pause_max; /* iterations of doing nothing between answer and next burst */

static uint64_t any(struct side *side)
{
	side->random ^= side->random << 13;
	side->random ^= side->random >> 7;
	side->random ^= side->random << 17;
	return side->random;
}

static void on_answer(struct core *core, struct message *message);
static void on_request(struct core *core, struct message *message)
{
	sides[core->id].arrived++;
	core_reply(core, message->from, &(struct message){.run = on_answer});
}
static void on_post(struct core *core, struct message *message) { sides[core->id].arrived_posts++; }

/* Mostly one message at a time, so that both sides sleep between; sometimes many. */
static void burst(struct side *side)
{
	struct core *core = side->core;
	uint64_t n = any(side) % 64 ? 1 : any(side) % 700;
	for (volatile uint64_t i = pause_max ? any(side) % pause_max : 0; i > 0; i--)
		;
	for (; n && side->to_send; n--, side->to_send--) {
		uint16_t to = (uint16_t)(1 - core->id);
		if (any(side) % 8 == 0) /* so that some bursts are of posts alone but for one */
			core_post(core, to, &(struct message){.run = on_post});
		else
			core_request(core, to, &(struct message){.run = on_request}), side->out++;
	}
}

static void on_answer(struct core *core, struct message *message)
{
	struct side *side = &sides[core->id];
	atomic_fetch_add_explicit(&side->progress, 1, memory_order_relaxed);
	side->out--;
	while (side->out == 0 && side->to_send)
		burst(side);
}

static void begin(struct core *core, struct errand *errand) { burst(&sides[core->id]); }
static void stop(struct core *core, struct errand *errand) { core->stopped = true; }

static void run_side(void *arg)
{
	struct side *side = arg;
	char why[200] = "";
	struct light_io light = {.io.ops = &light_ops};
	struct io *io = &light.io;
	if (strcmp(back_end, "light") != 0)
		io = io_new(strcmp(back_end, "uring") == 0 ? IO_URING : IO_EPOLL, why, sizeof(why));
	cr_assert(io, "%s", why);
	side->core = core_new(machine, (uint16_t)(side - sides), io);
	reactor_set_poll(side->core, poll_policy);
	pthread_barrier_wait(&all_joined);
	reactor_run(side->core);
	pthread_barrier_wait(&all_stopped);
	core_free(side->core);
	io_free(io);
}

/* True when everything was answered; false when nothing moves any more. */
static bool watch(uint64_t total)
{
	uint64_t before = 0, now = 0;
	for (int still_ms = 0; still_ms < 4000; still_ms = now == before ? still_ms + 5 : 0) {
		before = now;
		usleep(5000);
		now = 0;
		for (int i = 0; i < CORES; i++)
			now += atomic_load_explicit(&sides[i].progress, memory_order_relaxed);
		if (now >= total)
			return true;
	}
	return false;
}

static void exchange(const char *with, enum reactor_poll poll, uint64_t n_each, bool both, uint64_t pause)
{
	pthread_t threads[CORES];
	struct errand begins[CORES] = {{.run = begin}, {.run = begin}}, stops[CORES] = {{.run = stop}, {.run = stop}};
	back_end = with;
	poll_policy = poll;
	pause_max = pause;
	machine = machine_new(CORES);
	pthread_barrier_init(&all_joined, NULL, CORES + 1);
	pthread_barrier_init(&all_stopped, NULL, CORES + 1);
	for (int i = 0; i < CORES; i++) {
		sides[i] = (struct side){.to_send = both || i == 0 ? n_each : 0, .random = 77 + (uint64_t)i};
		cr_assert_eq(os_thread_start(&threads[i], -1, "core", run_side, &sides[i]), 0);
	}
	pthread_barrier_wait(&all_joined);
	for (int i = 0; i < CORES; i++)
		core_errand(sides[i].core, &begins[i]);
	/* One in eight is a post; the last of all is answered or there is nothing after it. */
	uint64_t goal = (both ? 2 : 1) * (n_each - n_each / 4);
	cr_assert(watch(goal), "a wake was lost");
	for (int still_ms = 0; still_ms < 300;) { /* the rest; a busy machine may keep a thread waiting for long */
		uint64_t before = sides[0].progress + sides[1].progress;
		usleep(10000);
		still_ms = sides[0].progress + sides[1].progress == before ? still_ms + 10 : 0;
	}
	for (int i = 0; i < CORES; i++)
		core_errand(sides[i].core, &stops[i]);
	pthread_barrier_wait(&all_stopped);
	for (int i = 0; i < CORES; i++)
		os_thread_join(threads[i]);
	for (int i = 0; i < CORES; i++) {
		cr_assert_eq(sides[i].out + sides[i].to_send, 0, "a wake was lost");
		cr_assert_eq(sides[i].arrived + sides[i].arrived_posts, both || i == 1 ? n_each : 0);
	}
	machine_free(machine);
}

/* ---- the edge itself ----------------------------------------------------------------------- */

/* Both sides meet, then one publishes while the other announces its sleep and looks. Each
 * has a store on its way to a line that the other's cache holds when it loads: without the
 * fence between the two, both can miss what the other did. */

static const uint64_t EDGE_NS = 2000ull * 1000 * 1000;
static _Atomic uint32_t at_edge[CORES];
static uint32_t lost, rounds_done;
static _Atomic bool enough;

static void meet(int self, uint32_t round, uint64_t delay)
{
	atomic_store_explicit(&at_edge[self], round, memory_order_release);
	for (int looks = 1; atomic_load_explicit(&at_edge[1 - self], memory_order_acquire) < round; looks++)
		if (looks % 1024 == 0)
			sched_yield();
	for (volatile uint64_t i = delay; i > 0; i--)
		;
}

static void sleeper(struct side *side)
{
	struct core *core = side->core;
	struct light_io *light = container_of(core->io, struct light_io, io);
	for (uint32_t round = 1; !enough; round++, rounds_done++) {
		while (core->reactor->stage != REACTOR_ARM)
			reactor_step(core);
		meet(1, 2 * round, any(side) % 128);
		reactor_step(core);
		reactor_step(core);
		meet(1, 2 * round + 1, 0); /* the other has published, and woken us or not */
		if (core->reactor->stage == REACTOR_SLEEP && !atomic_load(&light->woken)) {
			lost++;
			atomic_store(&light->woken, 1);
		}
		while (side->arrived_posts < round)
			reactor_step(core);
	}
}

static void waker(struct side *side)
{
	uint64_t until_ns = os_now_ns() + EDGE_NS;
	for (uint32_t round = 1; !enough; round++) {
		meet(0, 2 * round, any(side) % 128);
		core_post(side->core, 1, &(struct message){.run = on_post});
		reactor_publish(side->core);
		if (os_now_ns() > until_ns)
			enough = true;
		meet(0, 2 * round + 1, 0);
	}
}

static void run_edge(void *arg)
{
	struct side *side = arg;
	int id = (int)(side - sides);
	struct light_io light = {.io.ops = &light_ops};
	side->core = core_new(machine, (uint16_t)id, &light.io);
	reactor_set_poll(side->core, REACTOR_POLL_NEVER);
	pthread_barrier_wait(&all_stopped);
	(id == 0 ? waker : sleeper)(side);
	pthread_barrier_wait(&all_stopped);
	core_free(side->core);
}

static void edge(void)
{
	int cpus[CORES], n_cpus = os_cpus(cpus, CORES);
	pthread_t threads[CORES];
	machine = machine_new(CORES);
	pthread_barrier_init(&all_stopped, NULL, CORES);
	for (int i = 0; i < CORES; i++) {
		sides[i] = (struct side){.random = 77 + (uint64_t)i};
		cr_assert_eq(os_thread_start(&threads[i], n_cpus == CORES ? cpus[i] : -1, "core", run_edge, &sides[i]),
		             0);
	}
	for (int i = 0; i < CORES; i++)
		os_thread_join(threads[i]);
	machine_free(machine);
	cr_assert_eq(lost, 0, "%u of %u wakes were lost", lost, rounds_done);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { MANY = 100 * 1000, THROUGH_KERNEL = 20 * 1000 };
#else
enum { MANY = 1000 * 1000, THROUGH_KERNEL = 100 * 1000 };
#endif

TestSuite(wake, .timeout = 120);

Test(wake, none_is_lost_at_the_edge) { edge(); }
Test(wake, none_is_lost_from_one_side) { exchange("light", REACTOR_POLL_NEVER, MANY, false, 0); }
Test(wake, none_is_lost_from_both_sides) { exchange("light", REACTOR_POLL_NEVER, MANY, true, 40); }
Test(wake, none_is_lost_at_random_moments) { exchange("light", REACTOR_POLL_NEVER, MANY / 2, true, 400); }
Test(wake, none_is_lost_on_epoll) { exchange("epoll", REACTOR_POLL_NEVER, THROUGH_KERNEL, true, 0); }
Test(wake, none_is_lost_on_uring) { exchange("uring", REACTOR_POLL_NEVER, THROUGH_KERNEL, true, 0); }
Test(wake, a_million_cross_with_spinning) { exchange("uring", REACTOR_POLL_AUTO, MANY / 2, true, 0); }
Test(wake, a_million_cross_on_epoll_with_spinning) { exchange("epoll", REACTOR_POLL_AUTO, MANY / 2, true, 0); }
