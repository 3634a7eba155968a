/* keys.h -- which key comes next.
 *
 * What      Numbers below `n`, uniform, in order, or Zipf: the k-th most popular key is
 *           asked for in proportion to 1 / k^theta. Popular keys are spread over the whole
 *           range by a fixed permutation, so that they don't lie side by side.
 * Seeds     The same seed draws the same keys, so that two servers get the same requests.
 * Source    Zipf: Hörmann, Derflinger, "Rejection-Inversion to Generate Variates from
 *           Monotone Discrete Distributions", ACM TOMACS 6(3), 1996: no table, any theta.
 *           Random bits: Vigna's splitmix64.
 */
#pragma once

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t x = random->state += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Below `n`, which is not 0; the bias of 64 bits over it is of no account. */
static inline uint64_t random_below(struct random *random, uint64_t n)
{
	return (uint64_t)((unsigned __int128)random_next(random) * n >> 64);
}

/* In [0, 1). */
static inline double random_unit(struct random *random) { return (double)(random_next(random) >> 11) * 0x1p-53; }

enum distribution { KEYS_UNIFORM, KEYS_ZIPF, KEYS_SEQUENTIAL };

struct keys {
	enum distribution distribution;
	uint64_t n;
	struct random random;
	uint64_t next, step; /* sequential */
	/* Zipf: */
	double theta;
	double area_first, area_last, cut; /* h(1.5) - 1, h(n + 0.5) and the shortcut s */
	uint64_t spread;                   /* coprime with n */
};

/* `part` of `parts` generators that share the work: in order they take turns; otherwise
 * they differ in their seeds. `theta` > 0 is for Zipf. */
void keys_init(struct keys *keys, enum distribution distribution, uint64_t n, double theta, uint64_t seed,
               uint64_t part, uint64_t parts);

uint64_t keys_next(struct keys *keys);

/* How popular the next Zipf draw is: 1 for the most popular, at most n. */
uint64_t keys_zipf_rank(struct keys *keys);
