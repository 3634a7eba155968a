#include "kernels/checksum/crc16.h"

#include "kernels/bytes.h"
#include "kernels/checksum/table_private.h"
#include "kernels/target.h"

/* The CRC starts at zero, so zero bytes in front of a message change nothing. All forms use
 * that: the odd bytes are taken first, as a number padded with zeros, and what remains is
 * whole words or blocks. No form has a loop over single bytes. */

/* slices[s][b]: the CRC of byte b followed by s zero bytes. */
static const uint16_t slices[8][256] = {
        CRC_TABLE(0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4, 0x9188),
        CRC_TABLE(0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc, 0x1b98),
        CRC_TABLE(0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad, 0x3b5a),
        CRC_TABLE(0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c, 0xdd38),
        CRC_TABLE(0xaa51, 0x4483, 0x8906, 0x022d, 0x045a, 0x08b4, 0x1168, 0x22d0),
        CRC_TABLE(0x45a0, 0x8b40, 0x06a1, 0x0d42, 0x1a84, 0x3508, 0x6a10, 0xd420),
        CRC_TABLE(0xb861, 0x60e3, 0xc1c6, 0x93ad, 0x377b, 0x6ef6, 0xddec, 0xabf9),
        CRC_TABLE(0x47d3, 0x8fa6, 0x0f6d, 0x1eda, 0x3db4, 0x7b68, 0xf6d0, 0xfd81),
};

/* Up to eight bytes as one number, the last byte lowest. Loads overlap instead of looping. */
static inline uint64_t word_of(const uint8_t *bytes, size_t n)
{
	if (n >= 4)
		return (uint64_t)load_be32(bytes) << 8 * (n - 4) | load_be32(bytes + n - 4);
	if (n == 0)
		return 0;
	size_t middle = n / 2;
	return (uint64_t)bytes[0] << 8 * (n - 1) | (uint64_t)bytes[middle] << 8 * (n - 1 - middle) | bytes[n - 1];
}

static inline uint16_t crc16_of_word(uint64_t word)
{
	return slices[7][word >> 56] ^ slices[6][word >> 48 & 0xff] ^ slices[5][word >> 40 & 0xff] ^
	       slices[4][word >> 32 & 0xff] ^ slices[3][word >> 24 & 0xff] ^ slices[2][word >> 16 & 0xff] ^
	       slices[1][word >> 8 & 0xff] ^ slices[0][word & 0xff];
}

static uint16_t crc16_scalar(const uint8_t *bytes, size_t n)
{
	if (n <= 8)
		return crc16_of_word(word_of(bytes, n));
	size_t at = (n - 1) % 8 + 1;
	uint16_t crc = crc16_of_word(load_be64(bytes) >> (64 - 8 * at));
	for (; at < n; at += 8)
		crc = crc16_of_word(load_be64(bytes + at) ^ (uint64_t)crc << 48);
	return crc;
}

crc16_fn *crc16 = crc16_scalar;

#ifdef __x86_64__
/* A word W with w words behind it adds W * x^(64w + 16) mod P to the CRC. With the constants
 *
 *   R = x^(64w + 16) mod P          16 bits
 *   Q = floor(R * x^64 / P)         64 bits
 *
 * that is W * R - floor(W * Q / x^64) * P, exactly (Shoup's division by a known factor,
 * carry-less). Only its low 16 bits can be set, all steps are linear, so the parts of many
 * words are summed first and one multiplication by P ends it: two multiplications in a row
 * for any key of up to 64 bytes, where Barrett's reduction of the folded message has four.
 *
 * The tables hold a pair for each block of 16 bytes, in the order of the message. Within a pair the
 * later word comes first, as in a register, whose low half is its block's later word. */
static const uint64_t quotients[8] __attribute__((aligned(64))) = {
        0xb613407c87952745, 0x969eafb05c7c12d3, 0x8595612bfbea24e0, 0xb3ca6c43d9a2c1e4,
        0x11ffd336d86b6334, 0x41a61426ff09865c, 0x11303471a041b343, 0xe569d503417ca4a2,
};
static const uint64_t remainders[8] __attribute__((aligned(64))) = {
        0xbd64, 0x9fe5, 0x8ddc, 0xb8e0, 0x10e2, 0x45b4, 0x1021, 0xeb23,
};

/* From any window of 16: which bytes to take so that the first k come out reversed, after
 * zeros. The window starts at 16 - k. */
static const uint8_t reverse_first[32] = {
        15,   14,   13,   12,   11,   10,   9,    8,    7,    6,    5,    4,    3,    2,    1,    0,
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
};

struct parts {
	__m128i quotient;  /* its high half counts */
	__m128i remainder; /* its low 16 bits count */
};

target_pclmul kernel_step struct parts parts_of(__m128i block, const uint64_t *q, const uint64_t *r)
{
	__m128i quotient = _mm_load_si128((const __m128i *)q), remainder = _mm_load_si128((const __m128i *)r);
	return (struct parts){
	        _mm_xor_si128(_mm_clmulepi64_si128(block, quotient, 0x00), _mm_clmulepi64_si128(block, quotient, 0x11)),
	        _mm_xor_si128(_mm_clmulepi64_si128(block, remainder, 0x00),
	                      _mm_clmulepi64_si128(block, remainder, 0x11)),
	};
}

target_pclmul kernel_step uint16_t crc16_of_parts(struct parts parts)
{
	__m128i multiple = _mm_clmulepi64_si128(parts.quotient, _mm_cvtsi32_si128(0x1021), 0x01);
	return (uint16_t)_mm_cvtsi128_si32(_mm_xor_si128(multiple, parts.remainder));
}

/* Up to 16 bytes. */
target_pclmul kernel_step uint16_t crc16_of_short(const uint8_t *bytes, size_t n)
{
	if (n <= 8) {
		__m128i word = _mm_cvtsi64_si128((long long)word_of(bytes, n));
		return crc16_of_parts((struct parts){
		        _mm_clmulepi64_si128(word, _mm_cvtsi64_si128((long long)quotients[6]), 0x00),
		        _mm_clmulepi64_si128(word, _mm_cvtsi64_si128((long long)remainders[6]), 0x00),
		});
	}
	uint64_t high = load_be64(bytes) >> 8 * (16 - n), low = load_be64(bytes + n - 8);
	return crc16_of_parts(parts_of(_mm_set_epi64x((long long)high, (long long)low), quotients + 6, remainders + 6));
}

/* More than 16 bytes: the odd ones, then blocks of 16. */
target_pclmul kernel_step uint16_t crc16_of_blocks(const uint8_t *bytes, size_t n)
{
	const __m128i reverse = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	size_t at = (n - 1) % 16 + 1;
	__m128i block = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)bytes),
	                                 _mm_loadu_si128((const __m128i *)(reverse_first + 16 - at)));
	const __m128i next_block = _mm_set_epi64x(0x650b, 0xaefc); /* x^192, x^128 mod P */
	for (; n - at > 48; at += 16) {
		__m128i carried = _mm_xor_si128(_mm_clmulepi64_si128(block, next_block, 0x00),
		                                _mm_clmulepi64_si128(block, next_block, 0x11));
		__m128i next = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(bytes + at)), reverse);
		block = _mm_xor_si128(carried, next);
	}

	size_t word = 6 - (n - at) / 8;
	struct parts sum = parts_of(block, quotients + word, remainders + word);
	for (; at < n; at += 16) {
		word += 2;
		block = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(bytes + at)), reverse);
		struct parts parts = parts_of(block, quotients + word, remainders + word);
		sum.quotient = _mm_xor_si128(sum.quotient, parts.quotient);
		sum.remainder = _mm_xor_si128(sum.remainder, parts.remainder);
	}
	return crc16_of_parts(sum);
}

target_pclmul static uint16_t crc16_pclmul(const uint8_t *bytes, size_t n)
{
	return n <= 16 ? crc16_of_short(bytes, n) : crc16_of_blocks(bytes, n);
}

target_vpclmul static uint16_t crc16_avx512(const uint8_t *bytes, size_t n)
{
	/* Wide registers gain nothing here: one masked block of 64 takes 16 ns until its result is
	 * known, at any length; blocks of 16 take 10 to 12 (measured on Ice Lake). */
	if (n <= 16)
		return crc16_of_short(bytes, n);
	if (n <= 64)
		return crc16_of_blocks(bytes, n);

	const __m512i reverse =
	        _mm512_broadcast_i32x4(_mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
	size_t at = (n - 1) % 64 + 1;
	/* The lanes in front of the message are masked off: they are neither read nor fault. */
	__m512i head = _mm512_maskz_loadu_epi8(~0ull << (64 - at), (const void *)((uintptr_t)bytes + at - 64));
	__m512i block = _mm512_shuffle_epi8(head, reverse);
	const __m512i next_block = _mm512_broadcast_i32x4(_mm_set_epi64x(0x8832, 0x13fc)); /* x^576, x^512 mod P */
	for (; at < n; at += 64)
		block = _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(block, next_block, 0x00),
		                                  _mm512_clmulepi64_epi128(block, next_block, 0x11),
		                                  _mm512_shuffle_epi8(_mm512_loadu_si512(bytes + at), reverse), 0x96);

	__m512i q = _mm512_load_si512(quotients), r = _mm512_load_si512(remainders);
	__m512i quotient =
	        _mm512_xor_si512(_mm512_clmulepi64_epi128(block, q, 0x00), _mm512_clmulepi64_epi128(block, q, 0x11));
	__m512i remainder =
	        _mm512_xor_si512(_mm512_clmulepi64_epi128(block, r, 0x00), _mm512_clmulepi64_epi128(block, r, 0x11));
	/* The halves that count, side by side; then the four lanes are summed. */
	__m512i both = _mm512_mask_blend_epi64(0xaa, remainder, quotient);
	__m256i two = _mm256_xor_si256(_mm512_castsi512_si256(both), _mm512_extracti64x4_epi64(both, 1));
	__m128i one = _mm_xor_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
	return crc16_of_parts((struct parts){one, one});
}
#endif

const struct kernel_variant crc16_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)crc16_scalar},
#ifdef __x86_64__
        {"pclmul", CPU_SSE42 | CPU_PCLMUL, (kernel_fn *)crc16_pclmul},
        {"avx512", CPU_PCLMUL | CPU_AVX512 | CPU_VPCLMUL, (kernel_fn *)crc16_avx512},
#endif
};
