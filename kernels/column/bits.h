/* bits.h -- bitmaps: counting, combining and searching them.
 *
 * In      `bytes[0..n)`, any alignment. n may be 0.
 * Order   As Redis numbers bits: bit 0 is the most significant of byte 0.
 * Pure    Every form returns what the scalar one returns.
 * Source  Mula, Kurz, Lemire, "Faster Population Counts Using AVX2 Instructions",
 *         The Computer Journal 61(1), 2018.
 */
#pragma once

#include "kernels/cpu.h"

/* How many bits are set. */
typedef uint64_t bits_count_fn(const uint8_t *bytes, size_t n);
extern bits_count_fn *bits_count;
extern const struct kernel_variant bits_count_variants[KERNEL_VARIANTS];

/* dst[i] = dst[i] op src[i]; bits_not: dst[i] = ~src[i]. `dst` may be `src`, but the two may not
 * overlap in part. */
typedef void bits_merge_fn(uint8_t *dst, const uint8_t *src, size_t n);
extern bits_merge_fn *bits_and, *bits_or, *bits_xor, *bits_not;
extern const struct kernel_variant bits_and_variants[KERNEL_VARIANTS];
extern const struct kernel_variant bits_or_variants[KERNEL_VARIANTS];
extern const struct kernel_variant bits_xor_variants[KERNEL_VARIANTS];
extern const struct kernel_variant bits_not_variants[KERNEL_VARIANTS];

/* The number of the first bit that is `bit` (0 or 1); SIZE_MAX if there is none. */
typedef size_t bits_find_fn(const uint8_t *bytes, size_t n, unsigned bit);
extern bits_find_fn *bits_find;
extern const struct kernel_variant bits_find_variants[KERNEL_VARIANTS];
