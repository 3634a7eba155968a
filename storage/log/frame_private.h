/* frame_private.h -- the checksums of frames and records, made and tested.
 *
 * Where     Both the writer and the reader of logs; pure functions over memory.
 */
#pragma once

#include "engine/base/compiler.h"
#include "kernels/checksum/crc32c.h"
#include "storage/log/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t frame_length(uint32_t used) { return (used + LOG_BLOCK - 1) / LOG_BLOCK * LOG_BLOCK; }

/* A frame's offset in its segment, as its header has it. */
static inline uint16_t frame_at(uint64_t offset) { return (uint16_t)(offset / LOG_BLOCK); }

/* Puts the header in front of records that are there already, zeros behind them, and the checksum over
 * all. `header`: magic, crc and length are filled in. Returns the checksum. */
uint32_t frame_seal(uint8_t *frame, struct frame_header *header);

/* The same for records without checksums, which are made on the way; `seed`: record_seed(). */
uint32_t frame_seal_new(uint8_t *frame, struct frame_header *header, uint32_t seed);

/* Does a frame seem to begin here: the magic, lengths that can be? Takes no more than the header. */
bool frame_begins(const uint8_t *block, struct frame_header *out) must_check;

/* Is the checksum right? All `length` bytes of the header are there. */
bool frame_is_sound(const uint8_t *frame, uint32_t length) must_check;

/* Checksums of records begin with that of their log's id. */
static inline uint32_t record_seed(uint32_t log) { return crc32c(0, (const uint8_t *)&log, sizeof(log)); }

/* `record`: the header and the body behind it. */
static inline uint32_t record_crc(uint32_t seed, uint64_t lsn, const uint8_t *record, uint32_t length)
{
	uint32_t crc = crc32c(seed, (const uint8_t *)&lsn, sizeof(lsn));
	return crc32c(crc, record + sizeof(uint32_t), sizeof(struct record_header) - sizeof(uint32_t) + length);
}
