/* The slab: exact counts, sizes, alignment, and memory that comes back. */
#include "engine/memory/slab.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 6000, MIB = 1024 * 1024 };

struct block {
	uint8_t *ptr;
	size_t size;
	uint8_t fill;
};

static uint64_t state = 42;
static uint64_t next(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return state >> 33;
}

/* Mostly small, as keys are; now and then up to past the largest class. */
static size_t random_size(void)
{
	uint64_t r = next() % 100;
	return r < 70 ? next() % 130 : r < 95 ? next() % 3000 : next() % 70000;
}

Test(slab, rounds_by_an_eighth_at_most)
{
	size_t before = 0;
	for (size_t size = 1; size <= 100000; size++) {
		size_t rounded = slab_size(size);
		cr_assert_geq(rounded, size);
		cr_assert_geq(rounded, before);
		cr_assert_eq(rounded % 8, 0);
		cr_assert_eq(slab_size(rounded), rounded);
		if (size <= 128)
			cr_assert_lt(rounded, size + 8);
		else
			cr_assert_leq(rounded - size, size / 8);
		before = rounded;
	}
	cr_assert_eq(slab_size(0), 8);
}

static void drop(struct slab *slab, struct block *block)
{
	for (size_t i = 0; i < block->size; i++)
		cr_assert_eq(block->ptr[i], block->fill);
	slab_give(slab, block->ptr, block->size);
	block->ptr = NULL;
}

static void churn(enum slab_backing backing)
{
	static struct block blocks[BLOCKS];
	struct slab *slab = slab_new(backing);
	cr_assert_eq(slab_mapped(slab), 0);
	uint64_t used = 0;
	for (int step = 0; step < 200000; step++) {
		/* Waves: the first half of each thousand fills, the second empties. */
		struct block *block = &blocks[next() % BLOCKS];
		if (block->ptr) {
			if (step % 20000 < 10000 && next() % 4)
				continue;
			used -= slab_size(block->size);
			drop(slab, block);
		} else if (step % 20000 < 10000) {
			*block = (struct block){.size = random_size(), .fill = (uint8_t)next()};
			block->ptr = slab_take(slab, block->size);
			size_t rounded = slab_size(block->size);
			cr_assert_eq((uintptr_t)block->ptr % (rounded % 128 == 0 ? 128 : 8), 0);
			memset(block->ptr, block->fill, block->size);
			used += rounded;
		}
		cr_assert_eq(slab_used(slab), used);
		cr_assert_geq(slab_mapped(slab), used);
		if (step % 5000 == 0)
			slab_verify(slab);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i].ptr)
			drop(slab, &blocks[i]);
	slab_verify(slab);
	cr_assert_eq(slab_used(slab), 0);
	while (slab_trim(slab))
		;
	cr_assert_leq(slab_mapped(slab), 2 * MIB);
	slab_free(slab);
}

Test(slab, counts_exactly_under_churn_in_regions) { churn(SLAB_REGIONS); }
Test(slab, counts_exactly_under_churn_in_plain_memory) { churn(SLAB_PLAIN); }

Test(slab, an_empty_span_serves_another_class)
{
	struct slab *slab = slab_new(SLAB_REGIONS);
	for (size_t size = 8; size <= SLAB_SMALL_MAX; size += size / 16 + 8) {
		void *blocks[200];
		for (int i = 0; i < 200; i++)
			blocks[i] = slab_take(slab, size);
		for (int i = 0; i < 200; i++)
			slab_give(slab, blocks[i], size);
		while (slab_trim(slab))
			;
		cr_assert_eq(slab_mapped(slab), 2 * MIB);
	}
	slab_free(slab);
}

Test(slab, a_huge_block_can_be_cut_before_it_is_freed)
{
	struct slab *slab = slab_new(SLAB_REGIONS);
	size_t size = 21 * MIB;
	uint8_t *block = slab_take(slab, size);
	cr_assert_eq(slab_used(slab), 22 * MIB);
	block[0] = block[size - 1] = 1;
	slab_cut(slab, block, size, 12 * MIB);
	cr_assert_eq(slab_used(slab), 12 * MIB);
	cr_assert_eq(block[0], 1);
	slab_give(slab, block, 12 * MIB);
	cr_assert_eq(slab_mapped(slab), 0);
	slab_free(slab);
}

static void count_empty(void *arg) { ++*(int *)arg; }

Test(slab, says_when_a_region_is_empty_and_gives_it_back_when_told)
{
	enum { N = 4 * 64 };
	struct slab *slab = slab_new(SLAB_REGIONS);
	void *blocks[N];
	int told = 0;
	slab_tell_empty(slab, count_empty, &told);
	for (int i = 0; i < N; i++)
		blocks[i] = slab_take(slab, SLAB_SMALL_MAX);
	uint64_t mapped = slab_mapped(slab);
	cr_assert_geq(mapped, 8 * MIB);
	for (int i = 0; i < N; i++)
		slab_give(slab, blocks[i], SLAB_SMALL_MAX);
	cr_assert_eq(told, mapped / (2 * MIB) - 1);
	cr_assert_eq(slab_mapped(slab), mapped);
	cr_assert(slab_trim(slab));
	cr_assert_eq(slab_mapped(slab), mapped - 2 * MIB);
	slab_verify(slab);
	while (slab_trim(slab))
		;
	cr_assert_eq(slab_mapped(slab), 2 * MIB);
	cr_assert_not(slab_can_trim(slab));
	slab_free(slab);
}
