/* crc32c.h -- the checksum of what is stored: log frames, records, images.
 *
 * What    CRC-32C (Castagnoli, as iSCSI and ext4), with its inversions inside, so that
 *         crc32c(crc32c(0, a), b) is the checksum of a and b together.
 *         crc32c(0, "123456789", 9) gives 0xe3069283.
 * In      `bytes[0..n)`, any alignment. n may be 0.
 * Pure    Every form returns what the scalar one returns.
 */
#pragma once

#include "kernels/cpu.h"

typedef uint32_t crc32c_fn(uint32_t seed_crc, const uint8_t *bytes, size_t n);
extern crc32c_fn *crc32c;

extern const struct kernel_variant crc32c_variants[KERNEL_VARIANTS];
