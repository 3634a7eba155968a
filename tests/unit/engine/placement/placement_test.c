#include "engine/placement/placement.h"

#include <criterion/criterion.h>

Test(placement, slots_are_those_of_redis)
{
	/* CLUSTER KEYSLOT of Redis 7 */
	cr_assert_eq(slot_of(S("")), 0);
	cr_assert_eq(slot_of(S("123456789")), 12739);
	cr_assert_eq(slot_of(S("foo")), 12182);
	cr_assert_eq(slot_of(S("somekey")), 11058);
	cr_assert_eq(slot_of(slice_of(NULL, 0)), 0);
}

Test(placement, a_tag_counts_alone)
{
	cr_assert_eq(slot_of(S("foo{hash_tag}")), slot_of(S("hash_tag")));
	cr_assert_eq(slot_of(S("{user1000}.following")), slot_of(S("{user1000}.followers")));
	cr_assert_eq(slot_of(S("foo{bar}{zap}")), slot_of(S("bar")), "the first tag");
	cr_assert_eq(slot_of(S("foo{{bar}}zap")), slot_of(S("{bar")), "up to the first closing brace");
	cr_assert_eq(slot_of(S("a{b}c}")), slot_of(S("b")));
}

/* What is no tag: the whole key counts, and that differs from what lies inside. */
Test(placement, an_empty_or_open_tag_is_none)
{
	cr_assert_eq(slot_of(S("foo{}{bar}")), 8363);
	cr_assert_neq(slot_of(S("foo{}{bar}")), slot_of(S("bar")));
	cr_assert_neq(slot_of(S("foo{bar")), slot_of(S("bar")));
	cr_assert_neq(slot_of(S("}foo{")), slot_of(S("")));
	cr_assert_neq(slot_of(S("{")), slot_of(S("")));
	cr_assert_neq(slot_of(S("{}")), slot_of(S("")));
}

Test(placement, partitions_are_spread_evenly)
{
	for (uint16_t n_cores = 1; n_cores <= CORES_MAX; n_cores++) {
		struct placement placement;
		int owned[CORES_MAX] = {0};
		placement_spread(&placement, n_cores);
		for (int p = 0; p < PARTITIONS; p++)
			owned[placement.core_of[p]]++;
		for (int c = 0; c < n_cores; c++)
			cr_assert(owned[c] == PARTITIONS / n_cores || owned[c] == PARTITIONS / n_cores + 1);
	}
	cr_assert_eq(partition_of(0), 0);
	cr_assert_eq(partition_of(SLOTS - 1), PARTITIONS - 1);
}
