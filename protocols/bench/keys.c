#include "protocols/bench/keys.h"

#include <assert.h>
#include <math.h>

/* ---- Zipf: inversion of the area under x^-theta, with rejection --------------------- */

/* expm1(x) / x and log1p(x) / x, whole near 0 too, where theta is near 1. */
static double expm1_over(double x) { return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2 * (1 + x / 3); }
static double log1p_over(double x) { return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2 + x * x / 3; }

static double height(double theta, double x) { return exp(-theta * log(x)); }

/* The area under `height` from 1 to x. */
static double area(double theta, double x)
{
	double log_x = log(x);
	return expm1_over((1 - theta) * log_x) * log_x;
}

static double area_inverse(double theta, double y)
{
	double t = y * (1 - theta);
	if (t < -1)
		t = -1; /* rounding, at the very end */
	return exp(log1p_over(t) * y);
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* A multiplier coprime with n makes k -> k * multiplier mod n a permutation. The golden
 * section keeps neighbours apart. */
static uint64_t spread_for(uint64_t n)
{
	uint64_t spread = (uint64_t)((double)n * 0.6180339887498949);
	if (spread == 0)
		return 1;
	while (greatest_divisor(spread, n) != 1)
		spread++;
	return spread;
}

static void zipf_init(struct keys *keys, double theta)
{
	assert(theta > 0);
	keys->theta = theta;
	keys->area_first = area(theta, 1.5) - 1;
	keys->area_last = area(theta, (double)keys->n + 0.5);
	keys->cut = 2 - area_inverse(theta, area(theta, 2.5) - height(theta, 2));
	keys->spread = spread_for(keys->n);
}

uint64_t keys_zipf_rank(struct keys *keys)
{
	double theta = keys->theta;
	for (;;) {
		double y = keys->area_last + random_unit(&keys->random) * (keys->area_first - keys->area_last);
		double x = area_inverse(theta, y);
		double k = floor(x + 0.5);
		if (k < 1)
			k = 1;
		else if (k > (double)keys->n)
			k = (double)keys->n;
		if (k - x <= keys->cut || y >= area(theta, k + 0.5) - height(theta, k))
			return (uint64_t)k;
	}
}

/* ---- all of them ----------------------------------------------------------------- */

void keys_init(struct keys *keys, enum distribution distribution, uint64_t n, double theta, uint64_t seed,
               uint64_t part, uint64_t parts)
{
	assert(n > 0 && part < parts);
	*keys = (struct keys){.distribution = distribution, .n = n, .next = part % n, .step = parts % n};
	/* Through the generator once, so that neighbouring seeds begin far apart. */
	struct random mixer = {seed ^ part << 32};
	keys->random.state = random_next(&mixer);
	if (distribution == KEYS_ZIPF)
		zipf_init(keys, theta);
}

static uint64_t sequential_next(struct keys *keys)
{
	uint64_t key = keys->next;
	keys->next += keys->step;
	if (keys->next >= keys->n)
		keys->next -= keys->n;
	return key;
}

uint64_t keys_next(struct keys *keys)
{
	switch (keys->distribution) {
	case KEYS_SEQUENTIAL:
		return sequential_next(keys);
	case KEYS_ZIPF:
		return (uint64_t)((unsigned __int128)(keys_zipf_rank(keys) - 1) * keys->spread % keys->n);
	case KEYS_UNIFORM:
		break;
	}
	return random_below(&keys->random, keys->n);
}
