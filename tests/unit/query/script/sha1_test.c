#include "query/script/sha1.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(struct slice text, const char *name)
{
	char hex[SHA1_HEX + 1];
	sha1_hex(text, hex);
	cr_expect_str_eq(hex, name);
}

Test(sha1, names_the_examples_of_the_standard)
{
	expect(S(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	expect(S("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
	expect(S("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
	       "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	expect(S("return 1"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

Test(sha1, names_a_million_letters)
{
	static uint8_t letters[1000 * 1000];
	memset(letters, 'a', sizeof(letters));
	expect(slice_of(letters, sizeof(letters)), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* The end takes one block or two: told apart at 55, 56, 63, 64. As sha1sum says. */
Test(sha1, ends_at_every_length_around_a_block)
{
	static const char *const names[] = {[55] = "c1c8bbdc22796e28c0e15163d20899b65621d65a",
	                                    [56] = "c2db330f6083854c99d4b5bfb6e8f29f201be699",
	                                    [63] = "03f09f5b158a7a8cdad920bddc29b81c18a551f5",
	                                    [64] = "0098ba824b5c16427bd7a1122a5a442a25ec644d",
	                                    [65] = "11655326c708d70319be2610e8a57d9a5b959d3b"};
	uint8_t letters[65];
	memset(letters, 'a', sizeof(letters));
	for (size_t len = 55; len <= sizeof(letters); len++)
		if (names[len])
			expect(slice_of(letters, len), names[len]);
}
