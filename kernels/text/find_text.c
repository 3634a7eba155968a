#include "kernels/text/find_text.h"

#include "kernels/target.h"

#include <string.h>

/* From place `at` on. */
static size_t find_from(const uint8_t *bytes, size_t n, const uint8_t *text, size_t len, size_t at)
{
	for (; at + len <= n; at++) {
		const uint8_t *first = memchr(bytes + at, text[0], n - len + 1 - at);
		if (!first)
			return n;
		at = (size_t)(first - bytes);
		if (bytes[at + len - 1] == text[len - 1] && memcmp(first + 1, text + 1, len - 1) == 0)
			return at;
	}
	return n;
}

static size_t find_text_scalar(const uint8_t *bytes, size_t n, const uint8_t *text, size_t len)
{
	return find_from(bytes, n, text, len, 0);
}

find_text_fn *find_text = find_text_scalar;

#ifdef __x86_64__
/* The first of the places, told by bits, whose other bytes are the text's too; NULL: none. */
static const uint8_t *confirm(const uint8_t *bytes, uint64_t places, const uint8_t *text, size_t len)
{
	for (; places; places &= places - 1) {
		const uint8_t *at = bytes + __builtin_ctzll(places);
		if (memcmp(at, text, len) == 0)
			return at;
	}
	return NULL;
}

target_avx2 kernel_step __m256i equal_32(const uint8_t *bytes, uint8_t byte)
{
	return _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)bytes), _mm256_set1_epi8((char)byte));
}

target_avx2 static size_t find_text_avx2(const uint8_t *bytes, size_t n, const uint8_t *text, size_t len)
{
	size_t at = 0;
	for (; at + 32 + len - 1 <= n; at += 32) {
		const uint8_t *from = bytes + at, *found;
		__m256i ends = _mm256_and_si256(equal_32(from, text[0]), equal_32(from + len - 1, text[len - 1]));
		__m256i places = _mm256_and_si256(ends, equal_32(from + 1, text[1]));
		if (!_mm256_testz_si256(places, places) &&
		    (found = confirm(from, (uint32_t)_mm256_movemask_epi8(places), text, len)))
			return (size_t)(found - bytes);
	}
	return find_from(bytes, n, text, len, at);
}

target_avx512 kernel_step uint64_t sieve(const uint8_t *from, __mmask64 live, const uint8_t *text, size_t len)
{
	__m512i first = _mm512_maskz_loadu_epi8(live, from), second = _mm512_maskz_loadu_epi8(live, from + 1);
	__m512i last = _mm512_maskz_loadu_epi8(live, from + len - 1);
	__mmask64 places = _mm512_mask_cmpeq_epi8_mask(live, first, _mm512_set1_epi8((char)text[0]));
	places = _mm512_mask_cmpeq_epi8_mask(places, second, _mm512_set1_epi8((char)text[1]));
	return _mm512_mask_cmpeq_epi8_mask(places, last, _mm512_set1_epi8((char)text[len - 1]));
}

target_avx512 static size_t find_text_avx512(const uint8_t *bytes, size_t n, const uint8_t *text, size_t len)
{
	for (size_t at = 0; at + len <= n; at += 64) {
		size_t places = n - len + 1 - at;
		__mmask64 live = places < 64 ? ~0ull >> (64 - places) : ~0ull; /* masked off: neither read nor faults */
		uint64_t found = sieve(bytes + at, live, text, len);
		const uint8_t *there;
		if (found && (there = confirm(bytes + at, found, text, len)))
			return (size_t)(there - bytes);
	}
	return n;
}
#endif

const struct kernel_variant find_text_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)find_text_scalar},
#ifdef __x86_64__
        {"avx2", CPU_AVX2, (kernel_fn *)find_text_avx2},
        {"avx512", CPU_AVX512, (kernel_fn *)find_text_avx512},
#endif
};
