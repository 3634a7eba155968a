/* metrics.h -- every counter and gauge of the server, in one table.
 *
 * A row of metrics.def is a slot in each core's array (core->metrics). The owner adds to
 * its own slot; readers of other cores sum the slots without stopping anybody. INFO and
 * Prometheus show the same rows. What is computed when asked (memory, keys, connections)
 * is a row of kind SAMPLED, which its room writes into the slot before a reading.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/core/core.h"

#include <stdint.h>

enum metric {
#define METRIC(name, ...) METRIC_##name,
#include "engine/metrics/metrics.def"
#undef METRIC
	METRIC_COUNT
};

enum metric_kind { METRIC_IS_COUNTER, METRIC_IS_GAUGE };

struct metric_row {
	const char *prometheus; /* "orbit_commands_total" */
	enum metric_kind kind;
	const char *meaning;
};
const struct metric_row *metric_row(enum metric metric);

/* One core's slots; freed with memory_free(). */
uint64_t *metrics_new(void) must_check;

static inline void metric_add(struct core *core, enum metric metric, uint64_t n)
{
	/* Only the owner writes; relaxed stores keep other cores' readings whole. */
	uint64_t *slot = &core->metrics[metric];
	__atomic_store_n(slot, __atomic_load_n(slot, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void metric_set(struct core *core, enum metric metric, uint64_t value)
{
	__atomic_store_n(&core->metrics[metric], value, __ATOMIC_RELAXED);
}

uint64_t metric_sum(const struct machine *machine, enum metric metric);
void metrics_reset_counters(struct core *core); /* CONFIG RESETSTAT: this core's */

/* Prometheus text format 0.0.4 of all rows. */
void metrics_prometheus(const struct machine *machine, struct buf *out);
