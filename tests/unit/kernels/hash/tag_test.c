#include "kernels/hash/tag.h"
#include "tests/unit/kernels/places.h"

static uint32_t match_one_by_one(const uint8_t *tags, uint8_t tag)
{
	uint32_t matches = 0;
	for (size_t i = 0; i < 16; i++)
		matches |= (uint32_t)(tags[i] == tag) << i;
	return matches;
}

static uint64_t match_many_one_by_one(const uint8_t *tags, uint8_t tag)
{
	uint64_t matches = 0;
	for (size_t b = 0; b < TAG_BUCKETS; b++)
		matches |= (uint64_t)match_one_by_one(tags + b * TAG_BUCKET_SIZE, tag) << 16 * b;
	return matches;
}

/* Few distinct tags, so that many match, and neighbours that differ in one bit, which is what a
 * comparison within a word gets wrong. */
static uint8_t fill_tags(uint8_t *tags, size_t n)
{
	uint8_t tag = (uint8_t)random_u64();
	for (size_t i = 0; i < n; i++) {
		uint64_t r = random_u64();
		tags[i] = r & 1 ? tag : r & 2 ? tag ^ (uint8_t)(1 << (r >> 8) % 8) : (uint8_t)(r >> 16);
	}
	return tag;
}

static void look_at_match(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	if (n != 16)
		return;
	for (size_t i = 0; i < 2000; i++) {
		uint8_t tag = fill_tags(bytes, n);
		uint32_t expected = match_one_by_one(bytes, tag);
		if (((tag_match_fn *)variant->run)(bytes, tag) != expected)
			disagree(variant, bytes, n);
		if (tag_match_inline(bytes, tag) != expected)
			cr_assert_fail("tag_match_inline disagrees");
	}
}

/* From the first tag of the first bucket to the last of the last: what lies between is readable. */
enum { MANY_SIZE = (TAG_BUCKETS - 1) * TAG_BUCKET_SIZE + 16 };

static uint8_t tags_of_many[MANY_SIZE + 16];

Test(tag_match, every_form_agrees_with_a_loop) { at_every_place(tag_match_variants, look_at_match); }

Test(tag_match, each_tag_against_each)
{
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&tag_match_variants[v]))
			continue;
		for (unsigned tag = 0; tag < 256; tag++)
			for (unsigned other = 0; other < 256; other++) {
				uint8_t tags[16] = {[3] = (uint8_t)other, [9] = (uint8_t)other, [10] = (uint8_t)tag};
				if (((tag_match_fn *)tag_match_variants[v].run)(tags, (uint8_t)tag) !=
				    match_one_by_one(tags, (uint8_t)tag))
					disagree(&tag_match_variants[v], tags, 16);
			}
	}
}

Test(tag_match_many, every_form_agrees_with_a_loop)
{
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&tag_match_many_variants[v]))
			continue;
		for (size_t i = 0; i < 20000; i++) {
			uint8_t *tags = tags_of_many + i % 16;
			uint8_t tag = fill_tags(tags, MANY_SIZE);
			uint64_t expected = match_many_one_by_one(tags, tag);
			if (((tag_match_many_fn *)tag_match_many_variants[v].run)(tags, tag) != expected)
				disagree(&tag_match_many_variants[v], tags, MANY_SIZE);
			if (tag_match_many_inline(tags, tag) != expected)
				cr_assert_fail("tag_match_many_inline disagrees");
		}
	}
}

static void look_at_match_many(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	if (n < MANY_SIZE)
		return;
	bytes += n - MANY_SIZE; /* the last tag is the last byte before the fence */
	uint8_t tag = fill_tags(bytes, MANY_SIZE);
	if (((tag_match_many_fn *)variant->run)(bytes, tag) != match_many_one_by_one(bytes, tag))
		disagree(variant, bytes, n);
}

Test(tag_match_many, reads_nothing_past_the_last_bucket)
{
	at_every_place(tag_match_many_variants, look_at_match_many);
}

/* ---- tags of two bytes ------------------------------------------------------------------- */

Test(tag_match_wide, agrees_with_a_loop_at_any_address)
{
	uint8_t bytes[64];
	uint64_t state = 1;
	for (uint32_t round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 62);
		const uint8_t *tags = bytes + round % 33;
		uint16_t tag = load_u16(bytes + round % 63);
		uint32_t expected = 0;
		for (uint32_t i = 0; i < 16; i++)
			expected |= (uint32_t)(load_u16(tags + 2 * (size_t)i) == tag) << i;
		cr_assert_eq(tag_match_wide_inline(tags, tag), expected);
	}
}
