#include "engine/base/lzf.h"

#include <criterion/criterion.h>

#include <stdlib.h>

enum { PLAIN_MAX = 20000 };

static uint8_t plain[PLAIN_MAX], packed[2 * PLAIN_MAX], unpacked[PLAIN_MAX + 1];

static size_t fill(size_t len, unsigned letters)
{
	for (size_t i = 0; i < len;) {
		size_t run = 1 + (size_t)rand() % 300;
		size_t back = 1 + (size_t)rand() % 9000;
		bool repeat = rand() % 2 && back <= i;
		for (size_t j = 0; j < run && i < len; j++, i++)
			plain[i] = repeat ? plain[i - back] : (uint8_t)((unsigned)rand() % letters);
	}
	return len;
}

Test(lzf, packs_as_redis_does)
{
	memset(plain, 'a', 64);
	size_t n = lzf_pack(slice_of(plain, 64), packed, 60);
	cr_expect_eq(n, 9);
	cr_expect_arr_eq(packed,
	                 "\x01"
	                 "aa"
	                 "\xe0\x33\x00"
	                 "\x01"
	                 "aa",
	                 9);
}

Test(lzf, unpacks_what_it_packs)
{
	srand(3);
	for (int round = 0; round < 400; round++) {
		size_t len = fill((size_t)rand() % PLAIN_MAX, round % 2 ? 3 : 256);
		size_t n = lzf_pack(slice_of(plain, len), packed, sizeof(packed));
		cr_assert_eq(n == 0, len == 0);
		size_t measured = PLAIN_MAX + 1;
		cr_assert(lzf_measure(slice_of(packed, n), &measured));
		cr_assert_eq(measured, len);
		lzf_unpack(slice_of(packed, n), unpacked);
		cr_assert(memcmp(plain, unpacked, len) == 0);
	}
}

Test(lzf, writes_no_further_than_its_room)
{
	srand(4);
	for (int round = 0; round < 300; round++) {
		size_t len = fill(1 + (size_t)rand() % 200, round % 2 ? 3 : 256);
		for (size_t room = 0; room < len + 10; room++) {
			uint8_t *out = malloc(room); /* its own block, so that a sanitizer sees its end */
			size_t n = lzf_pack(slice_of(plain, len), out, room);
			cr_assert_leq(n, room);
			free(out);
		}
	}
}

Test(lzf, refuses_or_unpacks_any_bytes)
{
	srand(5);
	size_t good = 0;
	for (int round = 0; round < 100000; round++) {
		size_t n = (size_t)rand() % 40;
		uint8_t *bytes = malloc(n);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(rand() % 3 ? rand() % 8 : rand());
		size_t len;
		if (lzf_measure(slice_of(bytes, n), &len)) {
			good++;
			cr_assert_leq(len, n * 88);
			uint8_t *out = malloc(len);
			lzf_unpack(slice_of(bytes, n), out);
			free(out);
		}
		free(bytes);
	}
	cr_assert_gt(good, 1000);
}

Test(lzf, refuses_every_truncation_but_whole_runs)
{
	srand(6);
	size_t len = fill(3000, 3);
	size_t n = lzf_pack(slice_of(plain, len), packed, sizeof(packed));
	for (size_t cut = 0; cut < n; cut++) {
		size_t measured = len;
		bool whole = lzf_measure(slice_of(packed, cut), &measured);
		cr_assert(!whole || measured < len);
	}
}
