#include "engine/metrics/metrics.h"

#include "engine/memory/memory.h"

#include <inttypes.h>

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(name, kind, prometheus, meaning) [METRIC_##name] = {prometheus, METRIC_IS_##kind, meaning},
#include "engine/metrics/metrics.def"
#undef METRIC
};

const struct metric_row *metric_row(enum metric metric)
{
	assert(metric < METRIC_COUNT);
	return &rows[metric];
}

uint64_t *metrics_new(void)
{
	/* Whole cache lines: other cores' counters must not share one with these. */
	size_t size = (METRIC_COUNT * sizeof(uint64_t) + 63) / 64 * 64;
	uint64_t *slots = memory_aligned(64, size);
	memset(slots, 0, size);
	return slots;
}

uint64_t metric_sum(const struct machine *machine, enum metric metric)
{
	uint64_t sum = 0;
	for (uint16_t i = 0; i < machine->n_cores; i++) {
		const struct core *core = machine->cores[i];
		if (core && core->metrics)
			sum += __atomic_load_n(&core->metrics[metric], __ATOMIC_RELAXED);
	}
	return sum;
}

void metrics_reset_counters(struct core *core)
{
	for (enum metric metric = 0; metric < METRIC_COUNT; metric++)
		if (rows[metric].kind == METRIC_IS_COUNTER)
			metric_set(core, metric, 0);
}

void metrics_prometheus(const struct machine *machine, struct buf *out)
{
	for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
		const struct metric_row *row = &rows[metric];
		const char *kind = row->kind == METRIC_IS_COUNTER ? "counter" : "gauge";
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", row->prometheus, row->meaning,
		           row->prometheus, kind, row->prometheus, metric_sum(machine, metric));
	}
}
