#include "tests/sim/run.h"

#include "engine/io/sim_disk.h"
#include "storage/keyspace/key.h"
#include "tests/sim/check.h"
#include "tests/sim/listen.h"
#include "tests/sim/run_private.h"

enum { VERIFY_EVERY = 2000, BURY_EVERY = 8, STEPS_MAX = 20 * 1000 * 1000 };
static const uint64_t PATIENCE_NS = 300ull * 1000 * 1000 * 1000; /* of a client that waits */
static const uint64_t REST_NS = 100 * 1000 * 1000;               /* a store is never quite at rest: this is enough */
static const uint64_t SEARCH_STEPS_MAX = 8 * 1000 * 1000, SEARCH_STEPS_OF_A_LIFE_MAX = 1000 * 1000;

void run_fail(struct run *run, const char *kind, const char *why)
{
	if (run->outcome.kind)
		return;
	run->outcome.kind = kind;
	fprintf(run->to, "seed %llu: %s: %s\n", (unsigned long long)run->config.seed, kind, why);
}

/* All sleep: time leaps to whatever is next. False: nothing ever will be. */
static bool leap(struct run *run)
{
	uint64_t now_ns = sim_now_ns(run->sim), world_ns = world_next_ns(run->world);
	uint64_t next_ns = world_is_open(run->world) ? clients_next_ns(run->clients) : UINT64_MAX;
	int sleeper = world_sleeper(run->world);
	if (sleeper >= 0) {
		run_fail(run, "lost wake", "a core sleeps on messages");
		world_print(run->world, run->to);
		return false;
	}
	const struct key *overlooked = world_overlooked(run->world);
	if (overlooked) {
		fprintf(run->to, "  key %.*s\n", (int)overlooked->name.len, overlooked->name.ptr);
		run_fail(run, "lost wake", "a client waits for what is there");
		clients_print(run->clients, run->to);
		return false;
	}
	next_ns = world_ns < next_ns ? world_ns : next_ns;
	if (next_ns == UINT64_MAX)
		return false;
	sim_pass_ns(run->sim, next_ns > now_ns ? next_ns - now_ns : 1);
	return true;
}

static bool knows(void *world, int fd) { return world_has_connection(world, fd); }

bool run_step(struct run *run)
{
	run->outcome.steps++;
	if (run->watch)
		run->watch(run);
	if (run->outcome.steps % VERIFY_EVERY == 0)
		world_verify(run->world);
	if (run->outcome.steps % BURY_EVERY == 0)
		clients_bury(run->clients, knows, run->world);
	bool clients_first = world_is_open(run->world) && sim_chance(run->sim, 300);
	if (clients_first && clients_step(run->clients))
		return true;
	if (world_step(run->world))
		return true;
	if (!clients_first && world_is_open(run->world) && clients_step(run->clients))
		return true;
	clients_bury(run->clients, knows, run->world);
	return leap(run);
}

bool run_goes_on(struct run *run)
{
	if (run->is_over || (run->disk && sim_disk_has_crashed(run->disk)))
		return false;
	if (clients_failure(run->clients)) {
		run_fail(run, "reply", clients_failure(run->clients));
		return false;
	}
	if (world_refused(run->world) && run->may_be_refused) {
		run->is_refused = run->is_over = true;
		return false;
	}
	if (world_refused(run->world)) {
		run_fail(run, "refused", world_refused(run->world));
		return false;
	}
	if (run->outcome.steps > STEPS_MAX) {
		run_fail(run, "endless", "it never comes to rest");
		return false;
	}
	return !run->outcome.kind;
}

static bool is_endless(const struct run *run)
{
	return sim_now_ns(run->sim) - clients_idle_since_ns(run->clients) > PATIENCE_NS;
}

/* Until nothing happens any more by itself, but for looks at clocks. */
static void rest(struct run *run)
{
	uint64_t until_ns = sim_now_ns(run->sim) + REST_NS;
	while (run_goes_on(run) && run_step(run) && (!run->config.keeps || sim_now_ns(run->sim) < until_ns))
		;
}

bool run_serve(struct run *run)
{
	while (!clients_are_done(run->clients)) {
		if (!run_goes_on(run))
			return false;
		if (run->config.drain_at && run->outcome.steps >= run->config.drain_at && !run->has_drained &&
		    world_is_open(run->world)) {
			run->has_drained = true;
			clients_expect_end(run->clients);
			world_drain(run->world);
		}
		if (run_step(run) && !is_endless(run))
			continue;
		run_fail(run, "hang", "all sleep, and clients still wait");
		clients_print(run->clients, run->to);
		world_print(run->world, run->to);
		return false;
	}
	rest(run); /* what they left behind */
	return run_goes_on(run);
}

static void check_rest(struct run *run)
{
	char why[200];
	bool may_have_keys = run->has_drained || run->config.life > 0;
	world_verify(run->world);
	if (!world_is_clean(run->world, may_have_keys, why, sizeof(why)))
		run_fail(run, "left over", why);
}

static void close_store(struct run *run)
{
	uint64_t until_ns = sim_now_ns(run->sim) + PATIENCE_NS;
	world_close(run->world);
	while (!world_is_closed(run->world) && run_goes_on(run))
		if (!run_step(run) || sim_now_ns(run->sim) > until_ns)
			run_fail(run, "stop", "the store is not closed");
	if (run_goes_on(run))
		check_rest(run);
}

void run_stop(struct run *run)
{
	if (!run->config.keeps)
		check_rest(run);
	if (!run->has_drained)
		world_drain(run->world);
	rest(run);
	if (run_goes_on(run) && world_connections(run->world) > 0)
		run_fail(run, "drain", "connections are left");
	if (run->config.keeps && run_goes_on(run))
		close_store(run);
	if (!run_goes_on(run))
		return;
	world_stop(run->world);
	while (!world_has_stopped(run->world) && run_goes_on(run))
		if (!run_step(run))
			run_fail(run, "stop", "a core does not stop");
}

void run_check_replies(struct run *run)
{
	if (!check_deliveries(&run->history, run->to))
		run_fail(run, "delivery", "see above");
	deliveries_date(&run->history);
	struct checked checked = check_history(
	        &run->history, run->config.n_lives ? SEARCH_STEPS_OF_A_LIFE_MAX : SEARCH_STEPS_MAX, run->to);
	run->outcome.search_steps = checked.steps;
	if (checked.verdict == NOT_LINEARIZABLE)
		run_fail(run, "order", "see above");
	else
		run->outcome.given_up = checked.verdict == TOO_HARD; /* one of many: it is only counted */
}

struct outcome run_seed(uint64_t seed, enum play play, const struct command_index *index, bool loud, FILE *to)
{
	struct run run = {.config = config_draw(seed, play), .to = to};
	if (loud)
		config_print(&run.config, to);
	run.sim = sim_new(seed, &run.config.faults);
	history_init(&run.history);
	run.world = world_new(&run.config, run.sim, index, &run.history);
	run.clients = clients_new(&run.config, run.sim, &run.history);
	if (run_serve(&run)) {
		run_stop(&run);
		run_check_replies(&run);
	}
	if (run.outcome.kind && !loud)
		config_print(&run.config, to);
	run.outcome.passed = !run.outcome.kind;
	run.outcome.trace = sim_trace(run.sim);
	run.outcome.virtual_ns = sim_now_ns(run.sim);
	run.outcome.operations = history_count(&run.history);
	/* After a failure the server is in the middle of something, and cannot be taken apart. */
	if (run.outcome.passed) {
		clients_free(run.clients);
		world_free(run.world);
		sim_free(run.sim);
	}
	history_fini(&run.history);
	return run.outcome;
}
