#include "query/commands/sample.h"

#include "engine/core/core.h"

/* Picks the numbers that are wanted, or those that are not, whichever are fewer. */
struct sample sample_of(struct core *core, uint64_t count, uint64_t wanted)
{
	uint64_t words = count / 64 + 1;
	struct sample sample = {memory_zalloc(words * sizeof(uint64_t)), count};
	bool inverse = wanted > count / 2;
	for (uint64_t left = inverse ? count - wanted : wanted; left > 0;) {
		uint64_t number = core_random(core) % count;
		left -= !sample_has(&sample, number);
		sample.bits[number / 64] |= (uint64_t)1 << number % 64;
	}
	for (uint64_t i = 0; inverse && i < words; i++)
		sample.bits[i] = ~sample.bits[i];
	return sample;
}

bool sample_next(const struct sample *sample, uint64_t *from, uint64_t *out)
{
	for (uint64_t at = *from; at < sample->count; at = (at / 64 + 1) * 64) {
		uint64_t bits = sample->bits[at / 64] >> at % 64;
		if (!bits)
			continue;
		*out = at + (uint64_t)__builtin_ctzll(bits);
		*from = *out + 1;
		return *out < sample->count;
	}
	return false;
}
