#include "kernels/checksum/crc32c.h"

#include "kernels/bytes.h"
#include "kernels/checksum/fold_private.h"
#include "kernels/checksum/table_private.h"
#include "kernels/target.h"

/* slices[s][b]: the CRC, without inversions, of byte b followed by s zero bytes. */
static const uint32_t slices[8][256] = {
        CRC_TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
        CRC_TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
        CRC_TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
        CRC_TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
        CRC_TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
        CRC_TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
        CRC_TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
        CRC_TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint32_t crc32c_scalar(uint32_t seed_crc, const uint8_t *bytes, size_t n)
{
	uint32_t crc = ~seed_crc;
	for (; n >= 8; n -= 8, bytes += 8) {
		uint64_t word = load_u64(bytes) ^ crc;
		crc = slices[7][word & 0xff] ^ slices[6][word >> 8 & 0xff] ^ slices[5][word >> 16 & 0xff] ^
		      slices[4][word >> 24 & 0xff] ^ slices[3][word >> 32 & 0xff] ^ slices[2][word >> 40 & 0xff] ^
		      slices[1][word >> 48 & 0xff] ^ slices[0][word >> 56];
	}
	for (; n > 0; n--, bytes++)
		crc = crc >> 8 ^ slices[0][(crc ^ *bytes) & 0xff];
	return ~crc;
}

crc32c_fn *crc32c = crc32c_scalar;

#ifdef __x86_64__
/* Without inversions, as the instruction has it. Fewer than some hundred bytes. */
target_sse42 kernel_step uint32_t one_stream(uint32_t crc, const uint8_t *bytes, size_t n)
{
	uint64_t wide = crc;
	for (; n >= 8; n -= 8, bytes += 8)
		wide = _mm_crc32_u64(wide, load_u64(bytes));
	crc = (uint32_t)wide;
	if (n & 4) {
		crc = _mm_crc32_u32(crc, load_u32(bytes));
		bytes += 4;
	}
	for (n &= 3; n > 0; n--, bytes++)
		crc = _mm_crc32_u8(crc, *bytes);
	return crc;
}

/* The instruction takes three cycles and one can start in each, so three parts are done at
 * once. The first two CRCs are moved over the parts behind them: times x^(16p - 33) and
 * x^(8p - 33) mod P for parts of p bytes; the instruction itself supplies the other x^33. */
target_pclmul kernel_step uint32_t three_streams(uint32_t crc, const uint8_t *bytes, size_t part, uint32_t over_two,
                                                 uint32_t over_one)
{
	uint64_t first = crc, second = 0, third = 0;
	for (size_t at = 0; at < part; at += 8) {
		first = _mm_crc32_u64(first, load_u64(bytes + at));
		second = _mm_crc32_u64(second, load_u64(bytes + part + at));
		third = _mm_crc32_u64(third, load_u64(bytes + 2 * part + at));
	}
	__m128i by = _mm_set_epi64x(over_one, over_two);
	__m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)first), by, 0x00),
	                              _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)second), by, 0x10));
	return (uint32_t)(_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(moved)) ^ third);
}

target_pclmul static uint32_t crc32c_sse42(uint32_t seed_crc, const uint8_t *bytes, size_t n)
{
	uint32_t crc = ~seed_crc;
	for (; n >= 3 * 2048; n -= 3 * 2048, bytes += 3 * 2048)
		crc = three_streams(crc, bytes, 2048, 0x82f89c77, 0xa51b6135);
	for (; n >= 3 * 256; n -= 3 * 256, bytes += 3 * 256)
		crc = three_streams(crc, bytes, 256, 0xdd7e3b0c, 0xb9e02b86);
	for (; n >= 3 * 64; n -= 3 * 64, bytes += 3 * 64)
		crc = three_streams(crc, bytes, 64, 0x0d3b6092, 0x9e4addf8);
	return ~one_stream(crc, bytes, n);
}

static const struct fold fold = {
        .by_128 = {0x3743f7bd00000000, 0x3171d43000000000},
        .by_256 = {0x33ccbbbc00000000, 0xa2158b3400000000},
        .by_384 = {0xa46ef4aa00000000, 0x6051243f00000000},
        .by_512 = {0x1c19243b00000000, 0x75bba45b00000000},
        .by_2048 = {0xe9a5d8be00000000, 0x1426a81500000000},
};

target_vpclmul static uint32_t crc32c_avx512(uint32_t seed_crc, const uint8_t *bytes, size_t n)
{
	if (n < 192)
		return ~one_stream(~seed_crc, bytes, n);
	__m128i rest = fold_vpclmul(&fold, ~seed_crc, bytes, n);
	uint64_t crc = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(rest));
	crc = _mm_crc32_u64(crc, (uint64_t)_mm_extract_epi64(rest, 1));
	return ~one_stream((uint32_t)crc, bytes + (n & ~(size_t)63), n & 63);
}
#endif

const struct kernel_variant crc32c_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)crc32c_scalar},
#ifdef __x86_64__
        {"sse42", CPU_SSE42 | CPU_PCLMUL, (kernel_fn *)crc32c_sse42},
        {"avx512", CPU_SSE42 | CPU_PCLMUL | CPU_AVX512 | CPU_VPCLMUL, (kernel_fn *)crc32c_avx512},
#endif
};
