#include "protocols/bench/histogram.h"

#include <math.h>

static const uint64_t value_max = (1ull << HISTOGRAM_TOP_BITS) - 1;

/* Below two times HISTOGRAM_PARTS each value has its own bucket; from there on the leading
 * one bit says the power and the bits after it the part. */
uint32_t histogram_bucket(uint64_t value)
{
	if (value > value_max)
		value = value_max;
	if (value < HISTOGRAM_PARTS)
		return (uint32_t)value;
	uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_PART_BITS;
	return (shift << HISTOGRAM_PART_BITS) + (uint32_t)(value >> shift);
}

uint64_t histogram_middle(uint32_t bucket)
{
	if (bucket < HISTOGRAM_PARTS)
		return bucket;
	uint32_t shift = (bucket >> HISTOGRAM_PART_BITS) - 1;
	uint64_t low = (uint64_t)(bucket - (shift << HISTOGRAM_PART_BITS)) << shift;
	return low + ((1ull << shift) >> 1);
}

void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times)
{
	if (times == 0)
		return;
	if (histogram->n == 0 || value < histogram->least)
		histogram->least = value;
	if (value > histogram->most)
		histogram->most = value;
	histogram->n += times;
	histogram->sum += (double)value * (double)times;
	histogram->counts[histogram_bucket(value)] += times;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	if (from->n == 0)
		return;
	if (into->n == 0 || from->least < into->least)
		into->least = from->least;
	if (from->most > into->most)
		into->most = from->most;
	into->n += from->n;
	into->sum += from->sum;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
}

static uint64_t within(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	if (histogram->n == 0)
		return 0;
	double rank = ceil(share * (double)histogram->n);
	uint64_t wanted = rank < 1 ? 1 : (uint64_t)rank;
	if (wanted >= histogram->n)
		return histogram->most;
	uint64_t seen = 0;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen >= wanted)
			return within(histogram_middle(i), histogram->least, histogram->most);
	}
	return histogram->most;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->n ? histogram->sum / (double)histogram->n : 0;
}
