/* fold_private.h -- many blocks of a reflected CRC's message become one.
 *
 * A block followed by D more bits is replaced by another, of the same remainder, that can
 * be added to the block D bits later: its halves times x^(D + 63) and x^(D - 1) mod P,
 * bit-reflected. (The odd exponents undo that a carry-less product of two reflected
 * 64-bit numbers comes out one place too low.) What remains at the end is 16 bytes whose
 * CRC from a zero start is the CRC of the whole.
 *
 * Source  Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
 *         Instruction", Intel, 2009.
 */
#pragma once

#include "kernels/target.h"

#include <stddef.h>
#include <stdint.h>

/* Multipliers of the low and the high half of a block, by how many bits it moves. */
struct fold {
	uint64_t by_128[2], by_256[2], by_384[2], by_512[2], by_2048[2];
};

#ifdef __x86_64__
target_pclmul kernel_step __m128i fold_128(__m128i block, const uint64_t by[2], __m128i into)
{
	__m128i k = _mm_loadu_si128((const __m128i *)by);
	__m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(block, k, 0x00), _mm_clmulepi64_si128(block, k, 0x11));
	return _mm_xor_si128(moved, into);
}

target_vpclmul kernel_step __m512i fold_512(__m512i blocks, const uint64_t by[2], __m512i into)
{
	__m512i k = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)by));
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(blocks, k, 0x00),
	                                 _mm512_clmulepi64_epi128(blocks, k, 0x11), into, 0x96);
}

target_pclmul kernel_step __m128i fold_join(const struct fold *fold, const __m128i blocks[4])
{
	return fold_128(blocks[0], fold->by_384,
	                fold_128(blocks[1], fold->by_256, fold_128(blocks[2], fold->by_128, blocks[3])));
}

/* Folds the largest multiple of 64 bytes in `bytes[0..n)`, n >= 64, with `seed` added to its
 * first eight; what is left is bytes[n & ~63 .. n). */
target_pclmul kernel_step __m128i fold_pclmul(const struct fold *fold, uint64_t seed, const uint8_t *bytes, size_t n)
{
	__m128i blocks[4];
	for (size_t i = 0; i < 4; i++)
		blocks[i] = _mm_loadu_si128((const __m128i *)bytes + i);
	blocks[0] = _mm_xor_si128(blocks[0], _mm_cvtsi64_si128((long long)seed));
	for (size_t at = 64; at + 64 <= n; at += 64)
		for (size_t i = 0; i < 4; i++)
			blocks[i] =
			        fold_128(blocks[i], fold->by_512, _mm_loadu_si128((const __m128i *)(bytes + at) + i));
	return fold_join(fold, blocks);
}

target_vpclmul kernel_step __m128i fold_vpclmul(const struct fold *fold, uint64_t seed, const uint8_t *bytes, size_t n)
{
	__m512i first = _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)seed));
	first = _mm512_xor_si512(first, _mm512_loadu_si512(bytes));
	size_t at = 64;
	if (n >= 512) { /* four streams hide the multiplication's latency */
		__m512i second = _mm512_loadu_si512(bytes + 64), third = _mm512_loadu_si512(bytes + 128),
		        fourth = _mm512_loadu_si512(bytes + 192);
		for (at = 256; at + 256 <= n; at += 256) {
			first = fold_512(first, fold->by_2048, _mm512_loadu_si512(bytes + at));
			second = fold_512(second, fold->by_2048, _mm512_loadu_si512(bytes + at + 64));
			third = fold_512(third, fold->by_2048, _mm512_loadu_si512(bytes + at + 128));
			fourth = fold_512(fourth, fold->by_2048, _mm512_loadu_si512(bytes + at + 192));
		}
		second = fold_512(first, fold->by_512, second);
		third = fold_512(second, fold->by_512, third);
		first = fold_512(third, fold->by_512, fourth);
	}
	for (; at + 64 <= n; at += 64)
		first = fold_512(first, fold->by_512, _mm512_loadu_si512(bytes + at));
	const __m128i blocks[4] = {_mm512_castsi512_si128(first), _mm512_extracti64x2_epi64(first, 1),
	                           _mm512_extracti64x2_epi64(first, 2), _mm512_extracti64x2_epi64(first, 3)};
	return fold_join(fold, blocks);
}
#endif
