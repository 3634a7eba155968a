#include "kernels/text/resp_scan.h"

#include "kernels/bytes.h"
#include "kernels/target.h"

#define EACH_BYTE 0x0101010101010101ull

/* The lowest set top bit marks the first byte of `word` that is zero; those above may lie. */
static inline uint64_t zero_bytes(uint64_t word) { return (word - EACH_BYTE) & ~word & EACH_BYTE << 7; }

static size_t find_byte_scalar(const uint8_t *bytes, size_t n, uint8_t byte)
{
	size_t at = 0;
	for (; at + 8 <= n; at += 8) {
		uint64_t zero = zero_bytes(load_u64(bytes + at) ^ EACH_BYTE * byte);
		if (zero)
			return at + (size_t)__builtin_ctzll(zero) / 8;
	}
	while (at < n && bytes[at] != byte)
		at++;
	return at;
}

static size_t find_crlf_scalar(const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at + 1 < n; at++) {
		at += find_byte_scalar(bytes + at, n - 1 - at, '\r');
		if (at + 1 < n && bytes[at + 1] == '\n')
			return at;
	}
	return n;
}

find_byte_fn *find_byte = find_byte_scalar;
find_crlf_fn *find_crlf = find_crlf_scalar;

#ifdef __x86_64__
target_avx2 kernel_step uint32_t equal_32(const uint8_t *bytes, char byte)
{
	__m256i block = _mm256_loadu_si256((const __m256i *)bytes);
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(block, _mm256_set1_epi8(byte)));
}

/* Up to 31 bytes. The last load reaches back over what is known not to match. */
target_avx2 kernel_step size_t find_byte_short(const uint8_t *bytes, size_t n, uint8_t byte)
{
	if (n < 16)
		return find_byte_scalar(bytes, n, byte);
	__m128i wanted = _mm_set1_epi8((char)byte);
	__m128i first = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)bytes), wanted);
	__m128i last = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(bytes + n - 16)), wanted);
	uint32_t equal = (uint32_t)_mm_movemask_epi8(first) | (uint32_t)_mm_movemask_epi8(last) << (n - 16);
	return equal ? (size_t)__builtin_ctz(equal) : n;
}

target_avx2 static size_t find_byte_avx2(const uint8_t *bytes, size_t n, uint8_t byte)
{
	if (n < 32)
		return find_byte_short(bytes, n, byte);
	for (size_t at = 0; at + 32 <= n; at += 32) {
		uint32_t equal = equal_32(bytes + at, (char)byte);
		if (equal)
			return at + (size_t)__builtin_ctz(equal);
	}
	uint32_t equal = equal_32(bytes + n - 32, (char)byte);
	return equal ? n - 32 + (size_t)__builtin_ctz(equal) : n;
}

target_avx2 static size_t find_crlf_avx2(const uint8_t *bytes, size_t n)
{
	if (n < 33)
		return find_crlf_scalar(bytes, n);
	for (size_t at = 0; at + 33 <= n; at += 32) {
		uint32_t pair = equal_32(bytes + at, '\r') & equal_32(bytes + at + 1, '\n');
		if (pair)
			return at + (size_t)__builtin_ctz(pair);
	}
	uint32_t pair = equal_32(bytes + n - 33, '\r') & equal_32(bytes + n - 32, '\n');
	return pair ? n - 33 + (size_t)__builtin_ctz(pair) : n;
}

target_avx512 static size_t find_byte_avx512(const uint8_t *bytes, size_t n, uint8_t byte)
{
	const __m512i wanted = _mm512_set1_epi8((char)byte);
	size_t at = 0;
	for (; at + 64 <= n; at += 64) {
		uint64_t equal = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes + at), wanted);
		if (equal)
			return at + (size_t)__builtin_ctzll(equal);
	}
	if (at == n)
		return n;
	__mmask64 live = ~0ull >> (64 - (n - at)); /* what is masked off is neither read nor faults */
	uint64_t equal = _mm512_mask_cmpeq_epi8_mask(live, _mm512_maskz_loadu_epi8(live, bytes + at), wanted);
	return equal ? at + (size_t)__builtin_ctzll(equal) : n;
}

target_avx512 static size_t find_crlf_avx512(const uint8_t *bytes, size_t n)
{
	const __m512i cr = _mm512_set1_epi8('\r'), lf = _mm512_set1_epi8('\n');
	size_t at = 0;
	for (; at + 65 <= n; at += 64) {
		__mmask64 found = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes + at), cr);
		uint64_t pair = _mm512_mask_cmpeq_epi8_mask(found, _mm512_loadu_si512(bytes + at + 1), lf);
		if (pair)
			return at + (size_t)__builtin_ctzll(pair);
	}
	if (n - at < 2)
		return n;
	__mmask64 live = ~0ull >> (64 - (n - at - 1));
	__mmask64 found = _mm512_mask_cmpeq_epi8_mask(live, _mm512_maskz_loadu_epi8(live, bytes + at), cr);
	uint64_t pair = _mm512_mask_cmpeq_epi8_mask(found, _mm512_maskz_loadu_epi8(live, bytes + at + 1), lf);
	return pair ? at + (size_t)__builtin_ctzll(pair) : n;
}
#endif

const struct kernel_variant find_byte_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)find_byte_scalar},
#ifdef __x86_64__
        {"avx2", CPU_AVX2, (kernel_fn *)find_byte_avx2},
        {"avx512", CPU_AVX512, (kernel_fn *)find_byte_avx512},
#endif
};

const struct kernel_variant find_crlf_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)find_crlf_scalar},
#ifdef __x86_64__
        {"avx2", CPU_AVX2, (kernel_fn *)find_crlf_avx2},
        {"avx512", CPU_AVX512, (kernel_fn *)find_crlf_avx512},
#endif
};
