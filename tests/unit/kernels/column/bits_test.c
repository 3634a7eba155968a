#include "kernels/column/bits.h"
#include "tests/unit/kernels/places.h"

#include <string.h>

static bool bit_at(const uint8_t *bytes, size_t bit) { return bytes[bit / 8] >> (7 - bit % 8) & 1; }

static uint64_t count_one_by_one(const uint8_t *bytes, size_t n)
{
	uint64_t count = 0;
	for (size_t bit = 0; bit < n * 8; bit++)
		count += bit_at(bytes, bit);
	return count;
}

static size_t find_one_by_one(const uint8_t *bytes, size_t n, unsigned wanted)
{
	for (size_t bit = 0; bit < n * 8; bit++)
		if (bit_at(bytes, bit) == wanted)
			return bit;
	return SIZE_MAX;
}

static void look_at_count(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	if (random_u64() % 4)
		random_fill(bytes, n);
	else if (n > 0)
		memset(bytes, 0xff, n); /* the sums of bytes are at their largest */
	if (((bits_count_fn *)variant->run)(bytes, n) != count_one_by_one(bytes, n))
		disagree(variant, bytes, n);
}

static void look_at_find(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	bits_find_fn *find = (bits_find_fn *)variant->run;
	for (unsigned bit = 0; bit < 2; bit++) {
		if (n > 0)
			memset(bytes, bit ? 0 : 0xff, n);
		for (size_t i = 0; i < 2 && n > 0; i++) {
			uint64_t at = random_u64() % (n * 10);
			if (at < n * 8)
				bytes[at / 8] ^= (uint8_t)(0x80 >> at % 8);
		}
		if (find(bytes, n, bit) != find_one_by_one(bytes, n, bit))
			disagree(variant, bytes, n);
	}
}

Test(bits_count, every_form_agrees_with_a_loop) { at_every_place(bits_count_variants, look_at_count); }
Test(bits_find, every_form_agrees_with_a_loop) { at_every_place(bits_find_variants, look_at_find); }

Test(bits_find, finds_the_only_bit_anywhere)
{
	uint8_t bytes[PLACES_EVERY];
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&bits_find_variants[v]))
			continue;
		bits_find_fn *find = (bits_find_fn *)bits_find_variants[v].run;
		for (size_t at = 0; at < PLACES_EVERY * 8; at++) {
			memset(bytes, 0, sizeof(bytes));
			bytes[at / 8] = (uint8_t)(0x80 >> at % 8);
			cr_assert_eq(find(bytes, sizeof(bytes), 1), at);
			cr_assert_eq(find(bytes, at / 8, 1), SIZE_MAX);
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = (uint8_t)~bytes[i];
			cr_assert_eq(find(bytes, sizeof(bytes), 0), at);
			cr_assert_eq(find(bytes, at / 8, 0), SIZE_MAX);
		}
	}
}

static uint8_t and_bytes(uint8_t dst, uint8_t src) { return dst & src; }
static uint8_t or_bytes(uint8_t dst, uint8_t src) { return dst | src; }
static uint8_t xor_bytes(uint8_t dst, uint8_t src) { return dst ^ src; }
static uint8_t not_bytes(uint8_t dst, uint8_t src)
{
	(void)dst;
	return (uint8_t)~src;
}

/* Destination and source take turns at the fence, and the bytes before the destination stay. */
static void agree(const struct kernel_variant *variant, uint8_t *fenced, size_t n, uint8_t (*merge)(uint8_t, uint8_t))
{
	static uint8_t other[PLACES_MAX + 128], expected[PLACES_MAX + 128];
	bits_merge_fn *run = (bits_merge_fn *)variant->run;
	uint8_t *beside = other + 64 + random_u64() % 16;

	random_fill(fenced, n);
	random_fill(beside - 64, n + 112);
	for (size_t i = 0; i < n; i++)
		expected[i] = merge(fenced[i], beside[i]);
	run(fenced, beside, n);
	if (n > 0 && memcmp(fenced, expected, n) != 0)
		disagree(variant, fenced, n);

	memcpy(expected, beside - 64, n + 112);
	for (size_t i = 0; i < n; i++)
		expected[64 + i] = merge(beside[i], fenced[i]);
	run(beside, fenced, n);
	if (memcmp(beside - 64, expected, n + 112) != 0)
		disagree(variant, fenced, n);

	for (size_t i = 0; i < n; i++)
		expected[i] = merge(fenced[i], fenced[i]);
	run(fenced, fenced, n);
	if (n > 0 && memcmp(fenced, expected, n) != 0)
		disagree(variant, fenced, n);
}

#define MERGE_TEST(name)                                                                           \
	static void look_at_##name(const struct kernel_variant *variant, uint8_t *bytes, size_t n) \
	{                                                                                          \
		agree(variant, bytes, n, name##_bytes);                                            \
	}                                                                                          \
	Test(bits_##name, every_form_agrees_with_a_loop) { at_every_place(bits_##name##_variants, look_at_##name); }

MERGE_TEST(and)
MERGE_TEST(or)
MERGE_TEST(xor)
MERGE_TEST(not )

/* Long bitmaps may be aligned first: each way the destination can lie, the bytes around it stay. */
static void keep_to_destination(const struct kernel_variant *variants, uint8_t (*merge)(uint8_t, uint8_t))
{
	enum { LONG = 36 * 1024 };
	static uint8_t before[LONG], dst[LONG], src[LONG], expected[LONG];
	random_fill(before, LONG);
	random_fill(src, LONG);
	for (size_t v = 0; v < KERNEL_VARIANTS; v++)
		for (size_t at = 64; at < 128 && can_run(&variants[v]); at++) {
			size_t n = 32 * 1024 + random_u64() % 2048;
			memcpy(dst, before, LONG);
			memcpy(expected, before, LONG);
			for (size_t i = 0; i < n; i++)
				expected[at + i] = merge(dst[at + i], src[i]);
			((bits_merge_fn *)variants[v].run)(dst + at, src, n);
			if (memcmp(dst, expected, LONG) != 0)
				disagree(&variants[v], dst + at, n);
		}
}

Test(bits_and, long_ones_keep_to_their_destination) { keep_to_destination(bits_and_variants, and_bytes); }
Test(bits_or, long_ones_keep_to_their_destination) { keep_to_destination(bits_or_variants, or_bytes); }
Test(bits_xor, long_ones_keep_to_their_destination) { keep_to_destination(bits_xor_variants, xor_bytes); }
Test(bits_not, long_ones_keep_to_their_destination) { keep_to_destination(bits_not_variants, not_bytes); }
