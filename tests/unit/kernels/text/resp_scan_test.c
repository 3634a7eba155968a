#include "kernels/text/resp_scan.h"
#include "tests/unit/kernels/places.h"

#include <string.h>

static size_t byte_one_by_one(const uint8_t *bytes, size_t n, uint8_t byte)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] == byte)
			return i;
	return n;
}

static size_t crlf_one_by_one(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (bytes[i] == '\r' && bytes[i + 1] == '\n')
			return i;
	return n;
}

/* Bytes that differ from `byte` in one bit or in many, then perhaps one or two that are it. */
static void fill_almost(uint8_t *bytes, size_t n, uint8_t byte)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = byte ^ (uint8_t)(random_u64() & 1 ? 1 << i % 8 : 1 + random_u64() % 255);
	for (size_t i = 0; i < 2 && n > 0; i++) {
		uint64_t at = random_u64() % (n + 1 + n / 4);
		if (at < n)
			bytes[at] = byte;
	}
}

static void look_at_byte(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	uint8_t byte = random_u64() & 1 ? '\n' : (uint8_t)random_u64();
	fill_almost(bytes, n, byte);
	find_byte_fn *find = (find_byte_fn *)variant->run;
	if (find(bytes, n, byte) != byte_one_by_one(bytes, n, byte))
		disagree(variant, bytes, n);
}

/* Many a '\r' and '\n', few of them together. */
static void look_at_crlf(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = random_u64() & 1 ? 'x' : i > 0 && bytes[i - 1] == '\r' ? '\r' : "\r\n"[random_u64() & 1];
	uint64_t at = random_u64() % (n + n / 4 + 1);
	if (at + 1 < n)
		memcpy(bytes + at, "\r\n", 2);
	find_crlf_fn *find = (find_crlf_fn *)variant->run;
	if (find(bytes, n) != crlf_one_by_one(bytes, n))
		disagree(variant, bytes, n);
}

Test(find_byte, every_form_agrees_with_a_loop) { at_every_place(find_byte_variants, look_at_byte); }
Test(find_crlf, every_form_agrees_with_a_loop) { at_every_place(find_crlf_variants, look_at_crlf); }

/* One match, at each place of each length: no position is special to a form. */
Test(find_byte, finds_the_only_one_anywhere)
{
	uint8_t bytes[PLACES_EVERY];
	memset(bytes, 0, sizeof(bytes));
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&find_byte_variants[v]))
			continue;
		for (size_t n = 1; n <= PLACES_EVERY; n++)
			for (size_t at = 0; at < n; at++) {
				bytes[at] = '\n';
				size_t found = ((find_byte_fn *)find_byte_variants[v].run)(bytes, n, '\n');
				bytes[at] = 0;
				if (found != at)
					disagree(&find_byte_variants[v], bytes, n);
			}
	}
}

Test(find_crlf, finds_the_only_pair_anywhere)
{
	uint8_t bytes[PLACES_EVERY];
	memset(bytes, '\r', sizeof(bytes));
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&find_crlf_variants[v]))
			continue;
		for (size_t n = 2; n <= PLACES_EVERY; n++)
			for (size_t at = 0; at + 1 < n; at++) {
				bytes[at + 1] = '\n';
				size_t found = ((find_crlf_fn *)find_crlf_variants[v].run)(bytes, n);
				bytes[at + 1] = '\r';
				if (found != at)
					disagree(&find_crlf_variants[v], bytes, n);
			}
	}
}

/* The bytes behind the end complete the match; it is none all the same. */
Test(find_crlf, a_pair_that_the_end_cuts_is_none)
{
	uint8_t bytes[PLACES_EVERY + 1];
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&find_crlf_variants[v]))
			continue;
		for (size_t n = 1; n <= PLACES_EVERY; n++) {
			memset(bytes, '\r', sizeof(bytes));
			bytes[n] = '\n';
			if (((find_crlf_fn *)find_crlf_variants[v].run)(bytes, n) != n)
				disagree(&find_crlf_variants[v], bytes, n);
		}
	}
}

Test(newline_has_cr, looks_one_back)
{
	cr_assert(newline_has_cr((const uint8_t *)"PING\r\n", 5));
	cr_assert_not(newline_has_cr((const uint8_t *)"PING\n", 4));
	cr_assert_not(newline_has_cr((const uint8_t *)"\n", 0));
}
