#include "engine/metrics/metrics.h"

#include "engine/memory/memory.h"

#include <inttypes.h>

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(name, kind, prometheus, meaning) [METRIC_##name] = {prometheus, METRIC_IS_##kind, meaning},
#include "engine/metrics/metrics.def"
};

static const struct {
	const char *prometheus, *meaning;
} durations[DURATION_COUNT] = {
#define DURATION(name, prometheus, meaning) [DURATION_##name] = {prometheus, meaning},
#include "engine/metrics/metrics.def"
};

const struct metric_row *metric_row(enum metric metric)
{
	assert(metric < METRIC_COUNT);
	return &rows[metric];
}

uint64_t *metrics_new(void)
{
	/* Whole cache lines: other cores' counters must not share one with these. */
	size_t size = (METRIC_SLOTS * sizeof(uint64_t) + 63) / 64 * 64;
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
	for (unsigned slot = METRIC_COUNT; slot < METRIC_SLOTS; slot++)
		metric_set(core, (enum metric)slot, 0);
}

uint64_t duration_bucket_end_ns(unsigned bucket)
{
	assert(bucket < DURATION_BUCKETS);
	if (bucket == DURATION_BUCKETS - 1)
		return UINT64_MAX;
	unsigned doubling = bucket >> DURATION_STEP_BITS, step = bucket & ((1u << DURATION_STEP_BITS) - 1);
	return (uint64_t)((1u << DURATION_STEP_BITS) + step) << (doubling + DURATION_LOW_BITS - DURATION_STEP_BITS);
}

/* A bucket begins with its lower bound, which is one nanosecond more than `le` would have it. */
static void print_duration(const struct machine *machine, enum duration duration, struct buf *out)
{
	const char *name = durations[duration].prometheus;
	unsigned first = METRIC_COUNT + (unsigned)duration * DURATION_SLOTS;
	uint64_t below = 0;
	buf_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, durations[duration].meaning, name);
	for (unsigned bucket = 0; bucket < DURATION_BUCKETS; bucket++) {
		below += metric_sum(machine, (enum metric)(first + bucket));
		if (bucket < DURATION_BUCKETS - 1)
			buf_printf(out, "%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", name,
			           (double)duration_bucket_end_ns(bucket) / 1e9, below);
	}
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.9f\n%s_count %" PRIu64 "\n", name, below, name,
	           (double)metric_sum(machine, (enum metric)(first + DURATION_BUCKETS)) / 1e9, name, below);
}

void metrics_prometheus(const struct machine *machine, struct buf *out)
{
	for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
		const struct metric_row *row = &rows[metric];
		const char *kind = row->kind == METRIC_IS_COUNTER ? "counter" : "gauge";
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", row->prometheus, row->meaning,
		           row->prometheus, kind, row->prometheus, metric_sum(machine, metric));
	}
	for (enum duration duration = 0; duration < DURATION_COUNT; duration++)
		print_duration(machine, duration, out);
}
