#include "kernels/checksum/crc64.h"

#include "kernels/bytes.h"
#include "kernels/checksum/fold_private.h"
#include "kernels/checksum/table_private.h"
#include "kernels/target.h"

/* slices[s][b]: the CRC of byte b followed by s zero bytes. */
static const uint64_t slices[8][256] = {
        CRC_TABLE(0x7ad870c830358979, 0xf5b0e190606b12f2, 0xc038e5739841b68f, 0xab28ecb46814fe75, 0x7d08ff3b88be6f81,
                  0xfa11fe77117cdf02, 0xdf7adabd7a6e2d6f, 0x95ac9329ac4bc9b5),
        CRC_TABLE(0x89e99ffd73bddf69, 0x388a19a9bfec2db9, 0x711433537fd85b72, 0xe22866a6ffb0b6e4, 0xef09eb1ea7f6fea3,
                  0xf54af06e177a6e2d, 0xc1ccc68f76634f31, 0xa8c0ab4db4510d09),
        CRC_TABLE(0xf4125129ce4038be, 0xc37d8400c417e217, 0xada22e52d0b85745, 0x701d7af6f9e73de1, 0xe03af5edf3ce7bc2,
                  0xeb2ccd88bf0b64ef, 0xfd00bd4226815ab5, 0xd1585cd715952601),
        CRC_TABLE(0x8ce168638c796306, 0x329bf69440655567, 0x6537ed2880caaace, 0xca6fda510195559c, 0xbf8692f15bbd3853,
                  0x545403b1efede3cd, 0xa8a80763dfdbc79a, 0x7a092894e7201c5f),
        CRC_TABLE(0x3504e58b9ba6dd1e, 0x6a09cb17374dba3c, 0xd413962e6e9b7478, 0x837e0a0f85a17b9b, 0x2da5324c53d5645d,
                  0x5b4a6498a7aac8ba, 0xb694c9314f559174, 0x4670b431c63cb183),
        CRC_TABLE(0xe39d1389931b9354, 0xec6301407ea0b5c3, 0xf39f24d3a5d6f8ed, 0xcc676ff4133a62b1, 0xb397f9bb7ee35609,
                  0x4c76d525a5513f79, 0x98edaa4b4aa27ef2, 0x1a8272c5cdd36e8f),
        CRC_TABLE(0x62a95de6e302eff2, 0xc552bbcdc605dfe4, 0xa1fc51c8d49c2ca3, 0x68a185c2f1afca2d, 0xd1430b85e35f945a,
                  0x89df31589e28bbdf, 0x38e744e264c6e4d5, 0x71ce89c4c98dc9aa),
        CRC_TABLE(0x381d0015c96f4444, 0x703a002b92de8888, 0xe074005725bd1110, 0xebb126fd13edb14b, 0xfc3b6ba97f4cf1fd,
                  0xd32ff101a60e7091, 0x8d06c450148b7249, 0x3154aef3718177f9),
};

static inline uint64_t crc64_of_word(uint64_t word)
{
	return slices[7][word & 0xff] ^ slices[6][word >> 8 & 0xff] ^ slices[5][word >> 16 & 0xff] ^
	       slices[4][word >> 24 & 0xff] ^ slices[3][word >> 32 & 0xff] ^ slices[2][word >> 40 & 0xff] ^
	       slices[1][word >> 48 & 0xff] ^ slices[0][word >> 56];
}

static uint64_t crc64_scalar(uint64_t seed_crc, const uint8_t *bytes, size_t n)
{
	uint64_t crc = seed_crc;
	for (; n >= 8; n -= 8, bytes += 8)
		crc = crc64_of_word(load_u64(bytes) ^ crc);
	for (; n > 0; n--, bytes++)
		crc = crc >> 8 ^ slices[0][(crc ^ *bytes) & 0xff];
	return crc;
}

crc64_fn *crc64 = crc64_scalar;

#ifdef __x86_64__
static const struct fold fold = {
        .by_128 = {0xd9d7be7d505da32c, 0x381d0015c96f4444},
        .by_256 = {0x6ba4d760ab38201e, 0xef3d1d18ed889ed2},
        .by_384 = {0xa062b2319d66692f, 0x7b3211a760160db8},
        .by_512 = {0xaf86efb16d9ab4fb, 0xf49784a634f014e4},
        .by_2048 = {0x9a8908341a6d6d52, 0x9471a5389095fe44},
};

/* The last 16 bytes of a fold go through the table: twice a few loads, once a message. */
target_pclmul kernel_step uint64_t crc64_of_block(__m128i block)
{
	uint64_t crc = crc64_of_word((uint64_t)_mm_cvtsi128_si64(block));
	return crc64_of_word((uint64_t)_mm_extract_epi64(block, 1) ^ crc);
}

target_pclmul static uint64_t crc64_pclmul(uint64_t seed_crc, const uint8_t *bytes, size_t n)
{
	if (n < 64)
		return crc64_scalar(seed_crc, bytes, n);
	uint64_t crc = crc64_of_block(fold_pclmul(&fold, seed_crc, bytes, n));
	return crc64_scalar(crc, bytes + (n & ~(size_t)63), n & 63);
}

target_vpclmul static uint64_t crc64_avx512(uint64_t seed_crc, const uint8_t *bytes, size_t n)
{
	if (n < 64)
		return crc64_scalar(seed_crc, bytes, n);
	uint64_t crc = crc64_of_block(fold_vpclmul(&fold, seed_crc, bytes, n));
	return crc64_scalar(crc, bytes + (n & ~(size_t)63), n & 63);
}
#endif

const struct kernel_variant crc64_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)crc64_scalar},
#ifdef __x86_64__
        {"pclmul", CPU_SSE42 | CPU_PCLMUL, (kernel_fn *)crc64_pclmul},
        {"avx512", CPU_SSE42 | CPU_PCLMUL | CPU_AVX512 | CPU_VPCLMUL, (kernel_fn *)crc64_avx512},
#endif
};
