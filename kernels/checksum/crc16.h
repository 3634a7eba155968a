/* crc16.h -- the checksum that makes a key's slot.
 *
 * What    CRC-16/XMODEM, as Redis Cluster: polynomial 0x1021, most significant bit first,
 *         starts at 0, no final inversion. "123456789" gives 0x31c3.
 * In      `bytes[0..n)`, any alignment; made for keys of 8 to 40 bytes. n may be 0.
 * Pure    Every form returns what the scalar one returns.
 */
#pragma once

#include "kernels/cpu.h"

typedef uint16_t crc16_fn(const uint8_t *bytes, size_t n);
extern crc16_fn *crc16;

extern const struct kernel_variant crc16_variants[KERNEL_VARIANTS];
