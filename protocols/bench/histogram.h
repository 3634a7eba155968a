/* histogram.h -- how often each latency was seen, within 1 %.
 *
 * What      Log-linear buckets: each power of two is cut into 64 equal parts, so a value is
 *           known within 1/64 of itself and recording is a shift and an addition.
 * Lifetime  A zeroed struct is empty. About 21 KiB.
 * Units     Nanoseconds, up to 2^46 (19 hours); longer ones count as that.
 * Source    Tene's HdrHistogram, with fixed precision.
 */
#pragma once

#include <stdint.h>

enum {
	HISTOGRAM_PART_BITS = 6,
	HISTOGRAM_PARTS = 1 << HISTOGRAM_PART_BITS,
	HISTOGRAM_TOP_BITS = 46,
	HISTOGRAM_BUCKETS = (HISTOGRAM_TOP_BITS - HISTOGRAM_PART_BITS + 1) * HISTOGRAM_PARTS,
};

struct histogram {
	uint64_t n;
	uint64_t least, most; /* as recorded; `least` holds if n > 0 */
	double sum;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Which bucket a value is counted in, and the middle of what that bucket holds. */
uint32_t histogram_bucket(uint64_t value);
uint64_t histogram_middle(uint32_t bucket);

/* Records `value` `times` times. */
void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times);

void histogram_merge(struct histogram *into, const struct histogram *from);

/* The least value that at least `share` (0 to 1) of all are not above; 0 when empty. Never
 * outside [least, most]. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

double histogram_mean(const struct histogram *histogram);
