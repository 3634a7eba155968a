#include "protocols/bench/keys.h"

#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <math.h>

static const double thetas[] = {0.3, 0.99, 1, 1.3};

static struct keys zipf(uint64_t n, double theta)
{
	struct keys keys;
	keys_init(&keys, KEYS_ZIPF, n, theta, 5, 0, 1);
	return keys;
}

static double harmonic(uint64_t n, double theta)
{
	double sum = 0;
	for (uint64_t k = 1; k <= n; k++)
		sum += pow((double)k, -theta);
	return sum;
}

/* Pearson's sum over all ranks: about the number of ranks if the draws follow the law; five
 * standard deviations above that are no chance. */
static double deviation(uint64_t n, double theta, uint64_t draws)
{
	struct keys keys = zipf(n, theta);
	uint64_t *seen = memory_zalloc((n + 1) * sizeof(*seen));
	for (uint64_t i = 0; i < draws; i++)
		seen[keys_zipf_rank(&keys)]++;
	double sum = 0, all = harmonic(n, theta);
	for (uint64_t k = 1; k <= n; k++) {
		double wanted = (double)draws * pow((double)k, -theta) / all, off = (double)seen[k] - wanted;
		sum += off * off / wanted;
	}
	memory_free(seen);
	return sum;
}

Test(keys, zipf_ranks_follow_the_law)
{
	enum { N = 500 };
	for (size_t i = 0; i < sizeof(thetas) / sizeof(thetas[0]); i++) {
		double sum = deviation(N, thetas[i], 400000);
		cr_assert_lt(sum, N + 5 * sqrt(2.0 * N), "theta %g: %g", thetas[i], sum);
	}
}

Test(keys, zipf_stays_in_range_for_any_size)
{
	static const uint64_t sizes[] = {1, 2, 3, 10, 1000000, 1000000000000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t j = 0; j < sizeof(thetas) / sizeof(thetas[0]); j++) {
			struct keys keys = zipf(sizes[i], thetas[j]);
			for (int draw = 0; draw < 2000; draw++)
				cr_assert_lt(keys_next(&keys), sizes[i]);
		}
}

/* The ranks are spread by a permutation: all keys can be drawn, none stands for two. */
Test(keys, zipf_spreads_by_a_permutation)
{
	enum { N = 997 * 4 };
	struct keys keys = zipf(N, 0.99);
	static bool seen[N];
	for (uint64_t rank = 0; rank < N; rank++)
		seen[rank * keys.spread % N] = true;
	for (uint64_t key = 0; key < N; key++)
		cr_assert(seen[key], "%lu", key);
}

Test(keys, uniform_draws_all_alike)
{
	enum { N = 100, DRAWS = 1000000 };
	struct keys keys;
	keys_init(&keys, KEYS_UNIFORM, N, 0, 1, 0, 1);
	uint64_t seen[N] = {0};
	for (int i = 0; i < DRAWS; i++)
		seen[keys_next(&keys)]++;
	for (int i = 0; i < N; i++)
		cr_assert_float_eq((double)seen[i], DRAWS / N, 500, "%d: %lu", i, seen[i]);
}

Test(keys, sequential_parts_take_turns)
{
	enum { N = 10, PARTS = 3 };
	struct keys keys[PARTS];
	for (uint64_t part = 0; part < PARTS; part++)
		keys_init(&keys[part], KEYS_SEQUENTIAL, N, 0, 1, part, PARTS);
	for (uint64_t i = 0; i < 100; i++)
		cr_assert_eq(keys_next(&keys[i % PARTS]), i % N, "%lu", i);
}

Test(keys, same_seed_same_keys_and_others_differ)
{
	struct keys a, b, c, d;
	keys_init(&a, KEYS_UNIFORM, 1ull << 40, 0, 1, 0, 2);
	keys_init(&b, KEYS_UNIFORM, 1ull << 40, 0, 1, 0, 2);
	keys_init(&c, KEYS_UNIFORM, 1ull << 40, 0, 1, 1, 2);
	keys_init(&d, KEYS_UNIFORM, 1ull << 40, 0, 2, 0, 2);
	uint64_t key = keys_next(&a);
	cr_assert_eq(key, keys_next(&b));
	cr_assert_neq(key, keys_next(&c));
	cr_assert_neq(key, keys_next(&d));
}
