/* utf8.h -- are these bytes UTF-8?
 *
 * What    Unicode's table 3-7: no overlong forms, no surrogates, nothing past U+10FFFF, no
 *         sequence cut short. NUL is fine, and so is the empty text.
 * In      `bytes[0..n)`, any alignment.
 * Pure    Every form returns what the scalar one returns.
 * Source  Keiser, Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte",
 *         Software: Practice and Experience 51(5), 2021.
 */
#pragma once

#include "kernels/cpu.h"

#include <stdbool.h>

typedef bool utf8_valid_fn(const uint8_t *bytes, size_t n);
extern utf8_valid_fn *utf8_valid;
extern const struct kernel_variant utf8_valid_variants[KERNEL_VARIANTS];
