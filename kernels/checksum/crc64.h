/* crc64.h -- the checksum at the end of a DUMP payload.
 *
 * What    CRC-64/Jones as Redis uses it: reflected, without inversions, so that
 *         crc64(crc64(0, a), b) is the checksum of a and b together.
 *         crc64(0, "123456789", 9) gives 0xe9c6d914c4b8d9ca.
 * In      `bytes[0..n)`, any alignment. n may be 0.
 * Pure    Every form returns what the scalar one returns.
 */
#pragma once

#include "kernels/cpu.h"

typedef uint64_t crc64_fn(uint64_t seed_crc, const uint8_t *bytes, size_t n);
extern crc64_fn *crc64;

extern const struct kernel_variant crc64_variants[KERNEL_VARIANTS];
