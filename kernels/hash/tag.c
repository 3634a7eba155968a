#include "kernels/hash/tag.h"

#include "kernels/target.h"

static uint32_t tag_match_scalar(const uint8_t tags[16], uint8_t tag)
{
	return tag_match_word(load_u64(tags), tag) | tag_match_word(load_u64(tags + 8), tag) << 8;
}

static uint64_t tag_match_many_scalar(const uint8_t *tags, uint8_t tag)
{
	uint64_t matches = 0;
	for (size_t b = 0; b < TAG_BUCKETS; b++)
		matches |= (uint64_t)tag_match_scalar(tags + b * TAG_BUCKET_SIZE, tag) << 16 * b;
	return matches;
}

tag_match_fn *tag_match = tag_match_scalar;
tag_match_many_fn *tag_match_many = tag_match_many_scalar;

#ifdef __x86_64__
static uint32_t tag_match_sse2(const uint8_t tags[16], uint8_t tag) { return tag_match_inline(tags, tag); }

target_avx512 static uint32_t tag_match_avx512(const uint8_t tags[16], uint8_t tag)
{
	return _mm_cmpeq_epi8_mask(_mm_loadu_si128((const __m128i *)tags), _mm_set1_epi8((char)tag));
}

target_avx2 kernel_step __m256i two_buckets(const uint8_t *tags)
{
	__m128i first = _mm_loadu_si128((const __m128i *)tags);
	return _mm256_inserti128_si256(_mm256_castsi128_si256(first),
	                               _mm_loadu_si128((const __m128i *)(tags + TAG_BUCKET_SIZE)), 1);
}

target_avx2 static uint64_t tag_match_many_avx2(const uint8_t *tags, uint8_t tag)
{
	__m256i wanted = _mm256_set1_epi8((char)tag);
	uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(two_buckets(tags), wanted));
	uint32_t high =
	        (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(two_buckets(tags + 2 * TAG_BUCKET_SIZE), wanted));
	return low | (uint64_t)high << 32;
}

target_avx512 static uint64_t tag_match_many_avx512(const uint8_t *tags, uint8_t tag)
{
	__m512i four = _mm512_inserti64x4(_mm512_castsi256_si512(two_buckets(tags)),
	                                  two_buckets(tags + 2 * TAG_BUCKET_SIZE), 1);
	return _mm512_cmpeq_epi8_mask(four, _mm512_set1_epi8((char)tag));
}
#endif

const struct kernel_variant tag_match_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)tag_match_scalar},
#ifdef __x86_64__
        {"sse2", CPU_ANY, (kernel_fn *)tag_match_sse2},
        {"avx512", CPU_AVX512, (kernel_fn *)tag_match_avx512},
#endif
};

const struct kernel_variant tag_match_many_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)tag_match_many_scalar},
#ifdef __x86_64__
        {"avx2", CPU_AVX2, (kernel_fn *)tag_match_many_avx2},
        {"avx512", CPU_AVX512, (kernel_fn *)tag_match_many_avx512},
#endif
};
