/* sample.h -- some of many, by chance: what SRANDMEMBER, SPOP, HRANDFIELD and ZRANDMEMBER answer. */
#pragma once

#include "engine/memory/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct core;

/* What one answer may repeat: nobody's memory ends for a number. */
enum { SAMPLE_REPEATED_MAX = 1 << 24 };

/* Numbers below `count`, each once, as bits. */
struct sample {
	uint64_t *bits;
	uint64_t count;
};

/* `wanted` of them, at most `count`. */
struct sample sample_of(struct core *core, uint64_t count, uint64_t wanted);
static inline void sample_fini(struct sample *sample) { memory_free(sample->bits); }

static inline bool sample_has(const struct sample *sample, uint64_t number)
{
	return sample->bits[number / 64] >> number % 64 & 1;
}

/* The first from `*from` on, which is counted up past it; false: no more. */
bool sample_next(const struct sample *sample, uint64_t *from, uint64_t *out);
