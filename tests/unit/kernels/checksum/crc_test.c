#include "kernels/checksum/crc16.h"
#include "kernels/checksum/crc32c.h"
#include "kernels/checksum/crc64.h"
#include "tests/unit/kernels/places.h"

#include <string.h>

static const uint8_t *const check = (const uint8_t *)"123456789";

/* The definitions, a bit at a time. */
static uint16_t crc16_by_bits(const uint8_t *bytes, size_t n)
{
	uint16_t crc = 0;
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint16_t)(bytes[i] << 8);
		for (size_t bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
	}
	return crc;
}

static uint64_t reflected_by_bits(uint64_t crc, uint64_t polynomial, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (size_t bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
	}
	return crc;
}

static uint32_t crc32c_by_bits(uint32_t seed, const uint8_t *bytes, size_t n)
{
	return ~(uint32_t)reflected_by_bits(~seed, 0x82f63b78, bytes, n);
}

static uint64_t crc64_by_bits(uint64_t seed, const uint8_t *bytes, size_t n)
{
	return reflected_by_bits(seed, 0x95ac9329ac4bc9b5, bytes, n);
}

static void look_at_crc16(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	random_fill(bytes, n);
	if (((crc16_fn *)variant->run)(bytes, n) != crc16_by_bits(bytes, n))
		disagree(variant, bytes, n);
}

static void look_at_crc32c(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	random_fill(bytes, n);
	uint32_t seed = (uint32_t)random_u64();
	if (((crc32c_fn *)variant->run)(seed, bytes, n) != crc32c_by_bits(seed, bytes, n))
		disagree(variant, bytes, n);
}

static void look_at_crc64(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	random_fill(bytes, n);
	uint64_t seed = random_u64();
	if (((crc64_fn *)variant->run)(seed, bytes, n) != crc64_by_bits(seed, bytes, n))
		disagree(variant, bytes, n);
}

Test(crc16, every_form_agrees_with_the_definition) { at_every_place(crc16_variants, look_at_crc16); }
Test(crc32c, every_form_agrees_with_the_definition) { at_every_place(crc32c_variants, look_at_crc32c); }
Test(crc64, every_form_agrees_with_the_definition) { at_every_place(crc64_variants, look_at_crc64); }

Test(crc16, known_values)
{
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		crc16_fn *run = (crc16_fn *)crc16_variants[v].run;
		if (!can_run(&crc16_variants[v]))
			continue;
		cr_assert_eq(run(check, 9), 0x31c3);
		cr_assert_eq(run(check, 0), 0);
		cr_assert_eq(run((const uint8_t *)"foo", 3) & 16383, 12182); /* CLUSTER KEYSLOT */
		cr_assert_eq(run((const uint8_t *)"somekey", 7) & 16383, 11058);
	}
}

Test(crc32c, known_values)
{
	uint8_t bytes[32];
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		crc32c_fn *run = (crc32c_fn *)crc32c_variants[v].run;
		if (!can_run(&crc32c_variants[v]))
			continue;
		cr_assert_eq(run(0, check, 9), 0xe3069283);
		cr_assert_eq(run(0, check, 0), 0);
		memset(bytes, 0, sizeof(bytes)); /* RFC 3720, appendix B.4 */
		cr_assert_eq(run(0, bytes, 32), 0x8a9136aa);
		memset(bytes, 0xff, sizeof(bytes));
		cr_assert_eq(run(0, bytes, 32), 0x62a8ab43);
	}
}

Test(crc64, known_values)
{
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		crc64_fn *run = (crc64_fn *)crc64_variants[v].run;
		if (!can_run(&crc64_variants[v]))
			continue;
		cr_assert_eq(run(0, check, 9), 0xe9c6d914c4b8d9ca);
		cr_assert_eq(run(0, check, 0), 0);
	}
}

/* As large as the largest frame of the log, and a bit. */
static uint8_t frame[256 * 1024 + 77];

Test(crc32c, frames_and_their_parts)
{
	random_fill(frame, sizeof(frame));
	uint32_t whole = crc32c_by_bits(0, frame, sizeof(frame));
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		crc32c_fn *run = (crc32c_fn *)crc32c_variants[v].run;
		if (!can_run(&crc32c_variants[v]))
			continue;
		cr_assert_eq(run(0, frame, sizeof(frame)), whole);
		for (size_t i = 0; i < 100; i++) {
			size_t cut = random_u64() % sizeof(frame);
			cr_assert_eq(run(run(0, frame, cut), frame + cut, sizeof(frame) - cut), whole);
		}
	}
}

Test(crc64, payloads_and_their_parts)
{
	random_fill(frame, sizeof(frame));
	uint64_t whole = crc64_by_bits(0, frame, sizeof(frame));
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		crc64_fn *run = (crc64_fn *)crc64_variants[v].run;
		if (!can_run(&crc64_variants[v]))
			continue;
		cr_assert_eq(run(0, frame, sizeof(frame)), whole);
		for (size_t i = 0; i < 100; i++) {
			size_t cut = random_u64() % sizeof(frame);
			cr_assert_eq(run(run(0, frame, cut), frame + cut, sizeof(frame) - cut), whole);
		}
	}
}
