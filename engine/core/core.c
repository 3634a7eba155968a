#include "engine/core/core.h"

#include "engine/core/dir_sync_private.h"
#include "engine/core/fiber.h"
#include "engine/core/reactor_private.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"

static _Thread_local struct core *current;

struct core *core_current(void) { return current; }
void core_set_current(struct core *core) { current = core; }

/* The wall clock may jump, but not so often that it must be asked 10 million times a second:
 * for a millisecond the other clock carries it on. */
enum { WALL_READ_NS = 1000 * 1000 };

void core_refresh_clock(struct core *core)
{
	struct reactor *reactor = core->reactor;
	core->now_ns = io_now_ns(core->io);
	if (reactor->wall_read_ns == 0 || core->now_ns - reactor->wall_read_ns >= WALL_READ_NS) {
		reactor->wall_read_ns = core->now_ns;
		reactor->wall_read_us = io_wall_us(core->io);
	}
	core->wall_us = reactor->wall_read_us + (int64_t)(core->now_ns - reactor->wall_read_ns) / 1000;
}

void core_at_turn_end(struct core *core, struct turn_end *hook)
{
	assert(hook->run);
	if (!link_linked(&hook->link))
		list_push_back(&core->reactor->turn_ends, &hook->link);
}

void core_turn_again(struct core *core, uint64_t at_ns)
{
	if (at_ns < core->timers.again_ns)
		core->timers.again_ns = at_ns;
}

/* ---- random numbers -------------------------------------------------------------- */

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

/* xoshiro256++: Blackman, Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM
 * Transactions on Mathematical Software 47(4), 2021. Not for secrets. */
uint64_t core_random(struct core *core)
{
	uint64_t *s = core->reactor->random.s, result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

static void random_init(struct xoshiro *random, struct io *io)
{
	io_random(io, random->s, sizeof(random->s));
	random->s[0] |= 1; /* all zeros would stay zeros */
}

/* ---- life -------------------------------------------------------------------------- */

enum { CPUS_MAX = 1024 };

struct machine *machine_new(uint16_t n_cores)
{
	assert(n_cores >= 1 && n_cores <= CORES_MAX);
	struct machine *machine = memory_zalloc(sizeof(*machine));
	size_t n_rings = (size_t)n_cores * n_cores;
	int cpus[CPUS_MAX];
	machine->n_cores = n_cores;
	machine->n_cpus = os_cpus(cpus, CPUS_MAX);
	machine->rings = memory_aligned(CACHE_PAIR, n_rings * sizeof(struct ring));
	for (size_t i = 0; i < n_rings; i++)
		ring_init(&machine->rings[i]);
	machine->bells = memory_aligned(CACHE_PAIR, n_cores * sizeof(struct bell));
	for (uint16_t id = 0; id < n_cores; id++) {
		atomic_init(&machine->bells[id].sleeping, false);
		atomic_init(&machine->bells[id].errands, NULL);
	}
	machine->placement = memory_zalloc(sizeof(*machine->placement));
	placement_spread(machine->placement, n_cores);
	machine->dir_syncs = dir_syncs_new();
	atomic_init(&machine->log_level, LOG_NOTICE);
	return machine;
}

void machine_free(struct machine *machine)
{
	if (!machine)
		return;
	dir_syncs_free(machine->dir_syncs);
	memory_free(machine->placement);
	memory_free(machine->bells);
	memory_free(machine->rings);
	memory_free(machine);
}

struct core *core_new(struct machine *machine, uint16_t id, struct io *io)
{
	assert(id < machine->n_cores && !machine->cores[id]);
	struct core *core = memory_aligned(CACHE_PAIR, sizeof(*core));
	*core = (struct core){.id = id, .n_cores = machine->n_cores, .io = io, .machine = machine};
	core->reactor = memory_zalloc(sizeof(*core->reactor) + machine->n_cores * sizeof(struct peer));
	core->fibers = fiber_pool_new();
	core_refresh_clock(core);
	timer_wheel_init(&core->timers, core->now_ns);
	random_init(&core->reactor->random, io);
	reactor_init(core);
	if (id == 0) {
		machine->started_ns = core->now_ns;
		machine->started_wall_us = core->wall_us;
	}
	machine->cores[id] = core;
	core_set_current(core);
	return core;
}

void core_free(struct core *core)
{
	if (!core)
		return;
	struct reactor *reactor = core->reactor;
	core->machine->cores[core->id] = NULL;
	fiber_pool_free(core->fibers);
	message_queue_fini(&reactor->local);
	for (uint16_t id = 0; id < core->n_cores; id++)
		message_queue_fini(&reactor->peers[id].parked);
	memory_free(reactor);
	if (current == core)
		core_set_current(NULL);
	memory_free(core);
}
