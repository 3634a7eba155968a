#include "kernels/text/utf8.h"
#include "tests/unit/kernels/places.h"

#include <string.h>

static size_t encode(uint32_t point, uint8_t out[4])
{
	if (point < 0x80) {
		out[0] = (uint8_t)point;
		return 1;
	}
	size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--, point >>= 6)
		out[i] = 0x80 | (point & 0x3f);
	out[0] = (uint8_t)(0xf00 >> size) | (uint8_t)point;
	return size;
}

/* By decoding whatever the lead announces, and seeing whether encoding it gives the same bytes. */
static bool valid_by_decoding(const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		uint8_t lead = bytes[at], again[4];
		size_t size = lead < 0x80   ? 1
		              : lead < 0xc0 ? 0
		              : lead < 0xe0 ? 2
		              : lead < 0xf0 ? 3
		              : lead < 0xf8 ? 4
		                            : 0;
		if (size == 0 || size > n - at)
			return false;
		uint32_t point = size == 1 ? lead : lead & (0x7fu >> size);
		for (size_t i = 1; i < size; i++)
			point = point << 6 | (bytes[at + i] & 0x3f);
		if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
			return false;
		if (encode(point, again) != size || memcmp(bytes + at, again, size) != 0)
			return false;
		at += size;
	}
	return true;
}

static uint32_t random_point(void)
{
	static const uint32_t below[] = {0x80, 0x800, 0xd800, 0x10000, 0x110000};
	uint32_t point = (uint32_t)(random_u64() % below[random_u64() % 5]);
	return point >= 0xd800 && point < 0xe000 ? 'x' : point;
}

/* Valid text up to the last byte; one character more than fits is cut, as hostile text is. */
static void fill_text(uint8_t *bytes, size_t n, bool cut)
{
	bool ascii_run = random_u64() & 1;
	for (size_t at = 0; at < n;) {
		uint8_t character[4];
		size_t size = encode(ascii_run && random_u64() % 40 ? 'a' : random_point(), character);
		if (size > n - at && !cut)
			size = encode('z', character);
		size = size < n - at ? size : n - at;
		memcpy(bytes + at, character, size);
		at += size;
	}
}

static void look(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	utf8_valid_fn *valid = (utf8_valid_fn *)variant->run;
	fill_text(bytes, n, false);
	if (!valid(bytes, n))
		cr_assert_fail("%s refuses valid text, n = %zu", variant->name, n);
	fill_text(bytes, n, true);
	if (valid(bytes, n) != valid_by_decoding(bytes, n))
		disagree(variant, bytes, n);
	if (n > 0)
		bytes[random_u64() % n] ^= (uint8_t)(1 << random_u64() % 8);
	if (valid(bytes, n) != valid_by_decoding(bytes, n))
		disagree(variant, bytes, n);
}

Test(utf8_valid, every_form_agrees_with_decoding) { at_every_place(utf8_valid_variants, look); }

/* Every byte where a rule of table 3-7 changes, and its neighbours. */
static const uint8_t edges[] = {
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
        0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff,
};

/* Four such bytes in all orders, where vectors of 32 and 64 bytes meet and at the end. */
static void try_edges(const struct kernel_variant *variant, size_t at, size_t n)
{
	uint8_t text[160];
	memset(text, 'x', sizeof(text));
	const size_t count = sizeof(edges);
	for (size_t i = 0; i < count * count * count * count; i++) {
		text[at] = edges[i % count];
		text[at + 1] = edges[i / count % count];
		text[at + 2] = edges[i / count / count % count];
		text[at + 3] = edges[i / count / count / count];
		if (((utf8_valid_fn *)variant->run)(text, n) != valid_by_decoding(text + at, n - at))
			cr_assert_fail("%s is wrong about %02x %02x %02x %02x at %zu of %zu", variant->name, text[at],
			               text[at + 1], text[at + 2], text[at + 3], at, n);
	}
}

Test(utf8_valid, every_form_keeps_every_rule)
{
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&utf8_valid_variants[v]))
			continue;
		try_edges(&utf8_valid_variants[v], 62, 70);
		try_edges(&utf8_valid_variants[v], 60, 64);
		try_edges(&utf8_valid_variants[v], 31, 128);
	}
}

Test(utf8_valid, every_character_alone)
{
	uint8_t text[64];
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&utf8_valid_variants[v]))
			continue;
		for (uint32_t point = 0; point < 0x110000; point++) {
			memset(text, 0, sizeof(text));
			encode(point, text + 30); /* with surrogates, which must be refused */
			bool surrogate = point >= 0xd800 && point < 0xe000;
			if (((utf8_valid_fn *)utf8_valid_variants[v].run)(text, sizeof(text)) == surrogate)
				cr_assert_fail("%s is wrong about U+%04X", utf8_valid_variants[v].name, point);
		}
	}
}
