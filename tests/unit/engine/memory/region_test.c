/* Regions: zeroed and aligned; a prepared one comes from the thread. */
#include "engine/memory/region.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>

static void expect_fresh(const uint8_t *region)
{
	cr_assert_eq((uintptr_t)region % REGION_SIZE, 0);
	for (size_t at = 0; at < REGION_SIZE; at += 1000)
		cr_assert_eq(region[at], 0);
}

Test(region, first_is_of_small_pages)
{
	struct region_source *source = region_source_new();
	bool small;
	uint8_t *region = region_take(source, &small);
	cr_assert(small);
	expect_fresh(region);
	region[REGION_SIZE - 1] = 1;
	region_join(region);
	region_source_free(source);
	cr_assert_eq(region[REGION_SIZE - 1], 1, "what was taken stays");
	region_give(region);
}

Test(region, who_can_wait_gets_one_that_is_touched)
{
	struct region_source *source = region_source_new();
	uint8_t *region = region_take_touched(source);
	unsigned char there[REGION_SIZE / 4096];
	cr_assert_eq(mincore(region, REGION_SIZE, there), 0);
	for (size_t i = 0; i < sizeof(there); i++)
		cr_assert(there[i] & 1);
	expect_fresh(region);
	region_give(region);
	region_source_free(source);
}

Test(region, is_made_ready_when_asked_for, .timeout = 20)
{
	struct region_source *source = region_source_new();
	for (int round = 0; round < 5; round++) {
		region_prepare(source);
		for (bool small = true; small; sched_yield()) {
			uint8_t *region = region_take(source, &small);
			expect_fresh(region);
			region_give(region);
		}
	}
	region_prepare(source); /* and nobody takes it */
	region_source_free(source);
	region_source_free(NULL);
}
