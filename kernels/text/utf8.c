#include "kernels/text/utf8.h"

#include "kernels/bytes.h"
#include "kernels/target.h"

static inline bool continues(uint8_t byte) { return (byte & 0xc0) == 0x80; }

/* The size of the character that bytes[0..n) starts with, n > 0; 0 if it is none. */
static inline size_t character_size(const uint8_t *bytes, size_t n)
{
	uint8_t lead = bytes[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xe0)
		return lead >= 0xc2 && n >= 2 && continues(bytes[1]) ? 2 : 0;
	/* The second byte has narrower bounds after some leads: that is all the rest of table 3-7. */
	uint8_t from = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	uint8_t to = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (n < 3 || bytes[1] < from || bytes[1] > to || !continues(bytes[2]))
		return 0;
	if (lead < 0xf0)
		return 3;
	return lead <= 0xf4 && n >= 4 && continues(bytes[3]) ? 4 : 0;
}

static bool utf8_valid_scalar(const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		if (n - at >= 8 && !(load_u64(bytes + at) & 0x8080808080808080)) {
			at += 8;
			continue;
		}
		size_t size = character_size(bytes + at, n - at);
		if (size == 0)
			return false;
		at += size;
	}
	return true;
}

utf8_valid_fn *utf8_valid = utf8_valid_scalar;

#ifdef __x86_64__
/* Three look-ups by half a byte each (the two halves of a byte, the high half of the next) say
 * which errors a pair of bytes could be; what all three agree on, it is. */
enum {
	TOO_SHORT = 1 << 0,      /* a lead, then no continuation */
	TOO_LONG = 1 << 1,       /* ASCII, then a continuation */
	OVERLONG_3 = 1 << 2,     /* e0 80..9f */
	TOO_LARGE = 1 << 3,      /* f4 90..bf, f5..ff */
	SURROGATE = 1 << 4,      /* ed a0..bf */
	OVERLONG_2 = 1 << 5,     /* c0, c1 */
	OVERLONG_4 = 1 << 6,     /* f0 80..8f */
	TOO_LARGE_1000 = 1 << 6, /* f5..ff 80..8f: the same bit, for no byte can be both */
	TWO_CONTINUATIONS = 1 << 7,
	ANY_LOW = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS, /* errors that the low half doesn't decide */
	PAST_F4 = ANY_LOW | TOO_LARGE | TOO_LARGE_1000,
};

static const uint8_t by_first_high[16] __attribute__((aligned(16))) = {
        TOO_LONG,
        TOO_LONG,
        TOO_LONG,
        TOO_LONG,
        TOO_LONG,
        TOO_LONG,
        TOO_LONG,
        TOO_LONG,
        TWO_CONTINUATIONS,
        TWO_CONTINUATIONS,
        TWO_CONTINUATIONS,
        TWO_CONTINUATIONS,
        TOO_SHORT | OVERLONG_2,
        TOO_SHORT,
        TOO_SHORT | OVERLONG_3 | SURROGATE,
        TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4,
};

static const uint8_t by_first_low[16] __attribute__((aligned(16))) = {
        ANY_LOW | OVERLONG_3 | OVERLONG_2 | OVERLONG_4,
        ANY_LOW | OVERLONG_2,
        ANY_LOW,
        ANY_LOW,
        ANY_LOW | TOO_LARGE,
        PAST_F4,
        PAST_F4,
        PAST_F4,
        PAST_F4,
        PAST_F4,
        PAST_F4,
        PAST_F4,
        PAST_F4,
        PAST_F4 | SURROGATE,
        PAST_F4,
        PAST_F4,
};

enum {
	SECOND_ANY = TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS, /* errors of every continuation */
};

static const uint8_t by_second_high[16] __attribute__((aligned(16))) = {
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
        SECOND_ANY | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
        SECOND_ANY | OVERLONG_3 | TOO_LARGE,
        SECOND_ANY | SURROGATE | TOO_LARGE,
        SECOND_ANY | SURROGATE | TOO_LARGE,
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
        TOO_SHORT,
};

/* The greatest bytes that, as the last of a block, leave no character open. */
static const uint8_t last_closed[64] __attribute__((aligned(64))) = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0xdf, 0xbf,
};

struct check_256 {
	__m256i errors;
	__m256i before; /* the block before */
	__m256i open;   /* not zero: its last character isn't finished */
};

target_avx2 kernel_step void check_block_256(struct check_256 *check, __m256i block)
{
	if (!_mm256_movemask_epi8(block)) {
		check->errors = _mm256_or_si256(check->errors, check->open);
		check->open = _mm256_setzero_si256();
		check->before = block;
		return;
	}
	const __m256i half = _mm256_set1_epi8(0x0f);
	__m256i joint = _mm256_permute2x128_si256(check->before, block, 0x21);
	__m256i one_back = _mm256_alignr_epi8(block, joint, 15), two_back = _mm256_alignr_epi8(block, joint, 14),
	        three_back = _mm256_alignr_epi8(block, joint, 13);
	__m256i first_high = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)by_first_high));
	__m256i first_low = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)by_first_low));
	__m256i second_high = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)by_second_high));
	__m256i pair = _mm256_and_si256(
	        _mm256_and_si256(
	                _mm256_shuffle_epi8(first_high, _mm256_and_si256(_mm256_srli_epi16(one_back, 4), half)),
	                _mm256_shuffle_epi8(first_low, _mm256_and_si256(one_back, half))),
	        _mm256_shuffle_epi8(second_high, _mm256_and_si256(_mm256_srli_epi16(block, 4), half)));
	/* Third and fourth bytes of characters: two continuations are right there, and only there. */
	__m256i third = _mm256_subs_epu8(two_back, _mm256_set1_epi8(0xe0 - 0x80));
	__m256i fourth = _mm256_subs_epu8(three_back, _mm256_set1_epi8(0xf0 - 0x80));
	__m256i later = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
	check->errors = _mm256_or_si256(check->errors, _mm256_xor_si256(later, pair));
	check->open = _mm256_subs_epu8(block, _mm256_load_si256((const __m256i *)(last_closed + 32)));
	check->before = block;
}

target_avx2 static bool utf8_valid_avx2(const uint8_t *bytes, size_t n)
{
	if (n < 32)
		return utf8_valid_scalar(bytes, n);
	struct check_256 check = {0};
	size_t at = 0;
	for (; at + 32 <= n; at += 32)
		check_block_256(&check, _mm256_loadu_si256((const __m256i *)(bytes + at)));
	if (at < n) { /* zeros after the text end what it left open */
		uint8_t rest[32] = {0};
		memcpy(rest, bytes + at, n - at);
		check_block_256(&check, _mm256_loadu_si256((const __m256i *)rest));
	}
	__m256i errors = _mm256_or_si256(check.errors, check.open);
	return _mm256_testz_si256(errors, errors);
}

struct check_512 {
	__m512i errors;
	__m512i before;
	__m512i open;
};

target_avx512 kernel_step void check_block_512(struct check_512 *check, __m512i block)
{
	if (!_mm512_movepi8_mask(block)) {
		check->errors = _mm512_or_si512(check->errors, check->open);
		check->open = _mm512_setzero_si512();
		check->before = block;
		return;
	}
	const __m512i half = _mm512_set1_epi8(0x0f);
	__m512i joint = _mm512_alignr_epi64(block, check->before, 6);
	__m512i one_back = _mm512_alignr_epi8(block, joint, 15), two_back = _mm512_alignr_epi8(block, joint, 14),
	        three_back = _mm512_alignr_epi8(block, joint, 13);
	__m512i first_high = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)by_first_high));
	__m512i first_low = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)by_first_low));
	__m512i second_high = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)by_second_high));
	__m512i pair = _mm512_ternarylogic_epi64(
	        _mm512_shuffle_epi8(first_high, _mm512_and_si512(_mm512_srli_epi16(one_back, 4), half)),
	        _mm512_shuffle_epi8(first_low, _mm512_and_si512(one_back, half)),
	        _mm512_shuffle_epi8(second_high, _mm512_and_si512(_mm512_srli_epi16(block, 4), half)), 0x80);
	__m512i third = _mm512_subs_epu8(two_back, _mm512_set1_epi8(0xe0 - 0x80));
	__m512i fourth = _mm512_subs_epu8(three_back, _mm512_set1_epi8(0xf0 - 0x80));
	__m512i later = _mm512_and_si512(_mm512_or_si512(third, fourth), _mm512_set1_epi8((char)0x80));
	check->errors = _mm512_ternarylogic_epi64(check->errors, later, pair, 0xf6); /* errors | (later ^ pair) */
	check->open = _mm512_subs_epu8(block, _mm512_load_si512(last_closed));
	check->before = block;
}

target_avx512 static bool utf8_valid_avx512(const uint8_t *bytes, size_t n)
{
	struct check_512 check = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
	size_t at = 0;
	for (; at + 64 <= n; at += 64)
		check_block_512(&check, _mm512_loadu_si512(bytes + at));
	if (at < n)
		check_block_512(&check, _mm512_maskz_loadu_epi8(~0ull >> (64 - (n - at)), bytes + at));
	__m512i errors = _mm512_or_si512(check.errors, check.open);
	return _mm512_test_epi8_mask(errors, errors) == 0;
}
#endif

const struct kernel_variant utf8_valid_variants[KERNEL_VARIANTS] = {
        {"scalar", CPU_ANY, (kernel_fn *)utf8_valid_scalar},
#ifdef __x86_64__
        {"avx2", CPU_AVX2, (kernel_fn *)utf8_valid_avx2},
        {"avx512", CPU_AVX512, (kernel_fn *)utf8_valid_avx512},
#endif
};
