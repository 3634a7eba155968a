/* How many answers share a write, when those who got one ask again: clients in a closed loop, on a disk whose writes
 * take as long as they do, by chance. */
#include "tests/unit/storage/log/stage.h"

enum { DISK_BYTES = 512 * 1024 * 1024, SEGMENT_SIZE = 4 * 1024 * 1024, CLIENTS = 50 };
static const uint64_t MS = 1000 * 1000, MEASURED_NS = 5000000000;

struct clients {
	struct stage *stage;
	struct log *log;
	uint32_t n, started, ended;
	uint64_t think_ns, until_ns;
	uint64_t answers, latency_ns;
	struct fiber *waits;
};

static void client(void *arg)
{
	struct clients *clients = arg;
	struct core *core = clients->stage->core;
	uint32_t own = clients->started++;
	uint8_t body[80] = {0};
	struct slice part = slice_of(body, sizeof(body));
	for (uint64_t from_ns; (from_ns = core->now_ns) < clients->until_ns;) {
		uint64_t lsn = log_append(clients->log, RECORD_SYSTEM_DELETE, SLOT_SYSTEM, 0, &part, 1, false);
		check_eq(log_wait_for(core, clients->log, lsn), 0);
		clients->answers++;
		clients->latency_ns += core->now_ns - from_ns;
		fiber_sleep(core, clients->think_ns + own % 3 * MS);
	}
	if (++clients->ended == clients->n)
		fiber_wake(core, clients->waits);
}

struct figures {
	double each_frame, a_second, latency_ms;
};

struct scene {
	uint32_t n;
	uint64_t think_ns;
	struct figures figures;
};

static void play(struct stage *s, void *arg)
{
	struct scene *scene = arg;
	struct log_start start = start_of(SEGMENT_SIZE);
	int error;
	make_directory(s, NULL);
	struct log *log = log_open(s->core, &start, &error);
	check(log);
	log_set_mode(log, LOG_ALWAYS);
	struct clients clients = {.stage = s,
	                          .log = log,
	                          .n = scene->n,
	                          .think_ns = scene->think_ns,
	                          .until_ns = s->core->now_ns + MEASURED_NS,
	                          .waits = fiber_self(s->core)};
	for (uint32_t i = 0; i < scene->n; i++)
		fiber_start(s->core, client, &clients);
	fiber_wait(s->core);
	const struct log_counters *counters = log_counters(log);
	scene->figures = (struct figures){.each_frame = (double)counters->records / (double)counters->frames,
	                                  .a_second = (double)clients.answers / (double)MEASURED_NS * 1e9,
	                                  .latency_ms = (double)clients.latency_ns / (double)clients.answers / 1e6};
	log_close(log);
}

static struct figures figures_of(uint32_t n, uint64_t think_ns, uint64_t write_ns)
{
	struct scene scene = {.n = n, .think_ns = think_ns};
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct stage s = stage_begin(disk, 1);
	sim_disk_set_faults(disk, &(struct sim_disk_faults){.slow = 1000, .slow_ns = 2 * write_ns});
	check(stage_run(&s, play, &scene));
	stage_end(&s);
	sim_disk_free(disk);
	return scene.figures;
}

/* Half of them would ask while the others' write is under way, and each write carry 25. */
Test(hold, lets_those_who_ask_again_at_once_share_a_write)
{
	struct figures figures = figures_of(CLIENTS, 0, 20 * MS);
	cr_assert_gt(figures.each_frame, 32, "%.1f", figures.each_frame);
	cr_assert_lt(figures.latency_ms, 32, "%.1f ms", figures.latency_ms);
}

Test(hold, costs_nothing_where_they_take_their_time)
{
	struct figures figures = figures_of(CLIENTS, 100 * MS, 20 * MS);
	cr_assert_gt(figures.a_second, 380, "%.0f a second", figures.a_second);
}

Test(hold, leaves_one_client_alone)
{
	struct figures figures = figures_of(1, 5 * MS, 5 * MS);
	cr_assert_lt(figures.latency_ms, 5.5, "%.1f ms", figures.latency_ms);
}
