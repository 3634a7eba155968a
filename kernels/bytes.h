/* bytes.h -- numbers read from bytes at any address. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "kernels count bytes from the low end of a word");

static inline uint16_t load_u16(const uint8_t *bytes)
{
	uint16_t word;
	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline uint32_t load_u32(const uint8_t *bytes)
{
	uint32_t word;
	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline uint64_t load_u64(const uint8_t *bytes)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline void store_u16(uint8_t *bytes, uint16_t word) { memcpy(bytes, &word, sizeof(word)); }
static inline void store_u64(uint8_t *bytes, uint64_t word) { memcpy(bytes, &word, sizeof(word)); }

static inline uint32_t load_be32(const uint8_t *bytes) { return __builtin_bswap32(load_u32(bytes)); }

static inline uint64_t load_be64(const uint8_t *bytes) { return __builtin_bswap64(load_u64(bytes)); }
