/* find_text.h -- where a text lies in another.
 *
 * In      `bytes[0..n)` and `text[0..len)`, any alignment; len is 2 or more, n may be less.
 * Out     The first place where all of the text is, or n if there is none.
 * Pure    Every form returns what the scalar one returns.
 * Cost    Places are sieved by the text's first, second and last byte, so it is for texts of which these tell much.
 *         One that passes the sieve everywhere and is nowhere takes n * len.
 * Source  Mula, "SIMD-friendly algorithms for substring searching", 2018: the generic algorithm, with one byte more.
 */
#pragma once

#include "kernels/cpu.h"

typedef size_t find_text_fn(const uint8_t *bytes, size_t n, const uint8_t *text, size_t len);
extern find_text_fn *find_text;
extern const struct kernel_variant find_text_variants[KERNEL_VARIANTS];
