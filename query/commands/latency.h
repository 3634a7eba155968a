/* latency.h -- how long things take: histograms of commands, and a memory of spikes.
 *
 * What      For each command a histogram of its durations with eight steps for each power
 *           of two of nanoseconds; and for each kind of event ("command", "fast-command")
 *           the slowest moment of each of the last 160 seconds that had a slow one.
 * Owner     One core; readers of all cores visit each in turn.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct latency;

struct latency *latency_new(uint32_t n_commands) must_check;
void latency_free(struct latency *latency);

/* `n` runs of a command took `ns` each. */
void latency_count(struct latency *latency, uint32_t number, uint32_t n, uint64_t ns);
void latency_forget_counts(struct latency *latency); /* CONFIG RESETSTAT */

/* Durations of a command. */
enum { LATENCY_STEPS = 8, LATENCY_BUCKETS = 40 * LATENCY_STEPS };
struct latency_histogram {
	uint64_t n;
	uint64_t counts[LATENCY_BUCKETS];
};

/* Those of all cores together, by the command's number; NULL where it never ran. `wanted`
 * leaves out the others; NULL: all. Fiber code. */
struct latency_histogram **latency_sums_new(struct core *core, const bool *wanted) must_check;
void latency_sums_free(struct core *core, struct latency_histogram **sums);

/* No more than one in a hundred (say) is above the 0.99 percentile: nanoseconds. */
uint64_t latency_percentile(const struct latency_histogram *histogram, double fraction);

/* Something took `ms`, at least the setting latency-monitor-threshold. `event` is a const
 * text. */
void latency_event(struct core *core, const char *event, uint64_t ms);
