#include "protocols/bench/histogram.h"

#include "engine/memory/memory.h"
#include "protocols/bench/keys.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct histogram *empty(void) { return memory_zalloc(sizeof(struct histogram)); }

/* Spread over all powers of two, as latencies of all sizes are. */
static uint64_t some_value(struct random *random) { return random_next(random) >> (18 + random_below(random, 46)); }

Test(histogram, middle_lies_in_its_bucket_within_one_percent)
{
	struct random random = {7};
	for (int i = 0; i < 100000; i++) {
		uint64_t value = some_value(&random), middle = histogram_middle(histogram_bucket(value));
		cr_assert_eq(histogram_bucket(middle), histogram_bucket(value), "%lu", value);
		uint64_t off = middle > value ? middle - value : value - middle;
		cr_assert_leq(off, value / 100, "%lu counts as %lu", value, middle);
	}
}

Test(histogram, buckets_rise_with_values_and_leave_no_gap)
{
	uint32_t last = 0;
	for (uint64_t value = 0; value < 1000000; value++) {
		uint32_t bucket = histogram_bucket(value);
		cr_assert(bucket == last || bucket == last + 1, "%lu", value);
		last = bucket;
	}
}

Test(histogram, keeps_the_longest_in_the_last_bucket)
{
	cr_assert_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
	cr_assert_eq(histogram_bucket((1ull << HISTOGRAM_TOP_BITS) - 1), HISTOGRAM_BUCKETS - 1);
}

static int order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

Test(histogram, quantiles_agree_with_a_sorted_list)
{
	enum { N = 20000 };
	static const double shares[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
	struct histogram *histogram = empty();
	struct random random = {3};
	uint64_t *values = memory_alloc(N * sizeof(*values));
	for (int i = 0; i < N; i++)
		histogram_record(histogram, values[i] = some_value(&random), 1);
	qsort(values, N, sizeof(*values), order);
	for (size_t i = 0; i < array_len(shares); i++) {
		int rank = (int)(shares[i] * N);
		uint64_t exact = values[rank > 0 ? rank - 1 : 0], got = histogram_quantile(histogram, shares[i]);
		cr_assert_float_eq((double)got, (double)exact, (double)exact / 64 + 1, "%f", shares[i]);
	}
	cr_assert_eq(histogram_quantile(histogram, 1), values[N - 1]);
	memory_free(values);
	memory_free(histogram);
}

Test(histogram, weighs_and_merges)
{
	struct histogram *a = empty(), *b = empty();
	histogram_record(a, 10, 3);
	histogram_record(b, 50, 1);
	histogram_record(b, 70, 0);
	histogram_merge(a, b);
	cr_assert_eq(a->n, 4);
	cr_assert_float_eq(histogram_mean(a), 20, 1e-9);
	cr_assert_eq(histogram_quantile(a, 0.75), 10);
	cr_assert_eq(histogram_quantile(a, 0.76), 50);
	cr_assert_eq(a->least, 10);
	cr_assert_eq(a->most, 50);
	memory_free(a);
	memory_free(b);
}

Test(histogram, empty_is_zero)
{
	struct histogram *a = empty(), *b = empty();
	histogram_merge(a, b);
	cr_assert_eq(histogram_quantile(a, 0.5), 0);
	cr_assert_float_eq(histogram_mean(a), 0, 0);
	memory_free(a);
	memory_free(b);
}
