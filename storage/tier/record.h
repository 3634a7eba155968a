/* record.h -- the bytes of a tier file.
 *
 *   file     head, a block | write | write | ...
 *   write    record | record | ... | zeros          a multiple of 4096 bytes
 *   record   header | key | packed value            packed, no alignment
 *
 * All numbers are little-endian, checksums CRC32C. A pointer carries its record's checksum, which covers where it lies:
 * a record that was never written, was damaged, or lies elsewhere is never taken for another. A write that a
 * crash cut off is followed by nothing, and nothing points there.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"
#include "storage/keyspace/cold.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	TIER_FORMAT = 1,
	TIER_BLOCK = 4096,
	TIER_MAGIC = 0x4954524f, /* "ORTI" */
};

/* Fills a block of its own, zeros behind it. */
struct tier_head {
	uint32_t magic;
	uint32_t crc; /* of the block from the next field on */
	uint32_t format;
	uint32_t number; /* the file's */
};

struct tier_record {
	uint32_t crc;  /* of the file's number (4), the offset (4), the record from the next field to its end */
	uint32_t size; /* with this header; 0: the rest of the write is empty */
	uint32_t key_length;
	uint32_t space; /* keyspace */
	uint16_t slot;
	uint16_t unused;
	uint32_t length; /* as in the pointer */
};
static_assert(sizeof(struct tier_record) == 24, "the record's header");

void tier_head_write(uint32_t number, uint8_t block[TIER_BLOCK]);
bool tier_head_is_sound(uint32_t number, const uint8_t block[TIER_BLOCK]) must_check;

/* Writes a record for `file` at `offset` to `to`, where there is room for tier_record_size(). */
uint32_t tier_record_size(struct slice key, struct slice head, struct slice value);
struct cold_pointer tier_record_write(uint8_t *to, uint32_t file, uint32_t offset, const struct key *key,
                                      struct slice head, struct slice value, uint32_t length);

/* The record at `bytes`, of which `room` are there: false if it is not whole or its checksum is wrong. */
bool tier_record_read(const uint8_t *bytes, size_t room, uint32_t file, uint32_t offset, struct tier_record *out,
                      struct slice *key, struct slice *packed) must_check;
