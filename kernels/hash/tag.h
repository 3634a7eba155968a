/* tag.h -- which of a dictionary bucket's one-byte tags equal a tag.
 *
 * In      16 bytes of tags, any alignment, all of them readable. Of a bucket 14 are tags;
 *         what the other two are is the caller's to mask off.
 * Out     Bit i says that tags[i] equals `tag`.
 * Pure    Every form returns what the scalar one returns.
 *
 * tag_match_inline() is what a lookup uses: the call through a pointer costs more than
 * the work. tag_match and its forms are the same function for those who walk kernels.
 */
#pragma once

#include "kernels/bytes.h"
#include "kernels/cpu.h"

#ifdef __x86_64__
#include <emmintrin.h>
#endif

enum { TAG_BUCKET_SIZE = 128, TAG_BUCKETS = 4 };

typedef uint32_t tag_match_fn(const uint8_t tags[16], uint8_t tag);
extern tag_match_fn *tag_match;
extern const struct kernel_variant tag_match_variants[KERNEL_VARIANTS];

/* The same for TAG_BUCKETS buckets that lie side by side, TAG_BUCKET_SIZE bytes apart;
 * `tags` is in the first. Bit 16b + i: tag i of bucket b. */
typedef uint64_t tag_match_many_fn(const uint8_t *tags, uint8_t tag);
extern tag_match_many_fn *tag_match_many;
extern const struct kernel_variant tag_match_many_variants[KERNEL_VARIANTS];

/* Which of eight bytes equal `tag`, eight bits. A byte of the difference is zero where its top
 * bit stays clear after 0x7f is added to its low bits; exact, no borrow runs into the next. */
static inline uint32_t tag_match_word(uint64_t word, uint8_t tag)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7f;
	uint64_t differs = word ^ 0x0101010101010101u * tag;
	uint64_t equal = ~(((differs & low) + low) | differs | low);
	return (uint32_t)((equal >> 7) * 0x0102040810204080 >> 56);
}

static inline uint32_t tag_match_inline(const uint8_t tags[16], uint8_t tag)
{
#ifdef __x86_64__
	__m128i equal = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)tags), _mm_set1_epi8((char)tag));
	return (uint32_t)_mm_movemask_epi8(equal);
#else
	return tag_match_word(load_u64(tags), tag) | tag_match_word(load_u64(tags + 8), tag) << 8;
#endif
}

/* Which of sixteen tags of two bytes, at any address, equal `tag`: sixteen bits. */
static inline uint32_t tag_match_wide_inline(const uint8_t *tags, uint16_t tag)
{
#ifdef __x86_64__
	const __m128i *at = (const __m128i *)tags, sought = _mm_set1_epi16((short)tag);
	__m128i low = _mm_cmpeq_epi16(_mm_loadu_si128(at), sought);
	__m128i high = _mm_cmpeq_epi16(_mm_loadu_si128(at + 1), sought);
	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
#else
	uint32_t matches = 0;
	for (unsigned i = 0; i < 16; i++)
		matches |= (uint32_t)(load_u16(tags + 2 * i) == tag) << i;
	return matches;
#endif
}

static inline uint64_t tag_match_many_inline(const uint8_t *tags, uint8_t tag)
{
	uint64_t matches = 0;
	for (size_t b = 0; b < TAG_BUCKETS; b++)
		matches |= (uint64_t)tag_match_inline(tags + b * TAG_BUCKET_SIZE, tag) << 16 * b;
	return matches;
}
