/* resp_scan.h -- where a line ends.
 *
 * In      `bytes[0..n)`, any alignment. n may be 0.
 * Out     A position, or n if there is none.
 * Pure    Every form returns what the scalar one returns.
 */
#pragma once

#include "kernels/cpu.h"

#include <stdbool.h>

/* The first byte that equals `byte`. */
typedef size_t find_byte_fn(const uint8_t *bytes, size_t n, uint8_t byte);
extern find_byte_fn *find_byte;
extern const struct kernel_variant find_byte_variants[KERNEL_VARIANTS];

/* The '\r' of the first "\r\n". A '\r' at the very end is no match: its '\n' may come. */
typedef size_t find_crlf_fn(const uint8_t *bytes, size_t n);
extern find_crlf_fn *find_crlf;
extern const struct kernel_variant find_crlf_variants[KERNEL_VARIANTS];

/* Is the '\n' that find_byte() found at `at` preceded by a '\r'? */
static inline bool newline_has_cr(const uint8_t *bytes, size_t at) { return at > 0 && bytes[at - 1] == '\r'; }
