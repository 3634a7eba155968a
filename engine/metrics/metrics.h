/* metrics.h -- every counter and gauge of the server, in one table.
 *
 * A row of metrics.def is a slot in each core's array (core->metrics). The owner adds to
 * its own slot; readers of other cores sum the slots without stopping anybody. INFO and
 * Prometheus show the same rows. What is computed when asked (memory, keys, connections)
 * is a row of kind SAMPLED, which its room writes into the slot before a reading.
 * A duration has a slot for each of its buckets, four to a doubling, and one for the sum.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/core/core.h"

#include <stdint.h>

enum metric {
#define METRIC(name, ...) METRIC_##name,
#include "engine/metrics/metrics.def"
	METRIC_COUNT
};

enum duration {
#define DURATION(name, ...) DURATION_##name,
#include "engine/metrics/metrics.def"
	DURATION_COUNT
};

/* Bucket 0 is below 1,024 ns, the last has all from 2^34 ns (17 s) on. */
enum { DURATION_LOW_BITS = 10, DURATION_HIGH_BITS = 34, DURATION_STEP_BITS = 2 };
enum {
	DURATION_BUCKETS = ((DURATION_HIGH_BITS - DURATION_LOW_BITS) << DURATION_STEP_BITS) + 2,
	DURATION_SLOTS = DURATION_BUCKETS + 1, /* and the sum, in ns */
	METRIC_SLOTS = METRIC_COUNT + DURATION_COUNT * DURATION_SLOTS,
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

static inline unsigned duration_bucket(uint64_t ns)
{
	if (ns >> DURATION_LOW_BITS == 0)
		return 0;
	if (ns >> DURATION_HIGH_BITS)
		return DURATION_BUCKETS - 1;
	unsigned top = 63 - (unsigned)__builtin_clzll(ns);
	unsigned step = (unsigned)(ns >> (top - DURATION_STEP_BITS)) & ((1u << DURATION_STEP_BITS) - 1);
	return 1 + ((top - DURATION_LOW_BITS) << DURATION_STEP_BITS) + step;
}

/* The least that is above a bucket; UINT64_MAX: nothing is above the last. */
uint64_t duration_bucket_end_ns(unsigned bucket);

static inline void duration_add(struct core *core, enum duration duration, uint64_t ns)
{
	unsigned first = METRIC_COUNT + (unsigned)duration * DURATION_SLOTS;
	metric_add(core, (enum metric)(first + duration_bucket(ns)), 1);
	metric_add(core, (enum metric)(first + DURATION_BUCKETS), ns);
}

uint64_t metric_sum(const struct machine *machine, enum metric metric);
void metrics_reset_counters(struct core *core); /* CONFIG RESETSTAT: this core's */

/* Prometheus text format 0.0.4 of all rows. */
void metrics_prometheus(const struct machine *machine, struct buf *out);
