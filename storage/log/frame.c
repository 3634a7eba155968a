#include "storage/log/frame_private.h"

enum {
	CRC_COVERS_FROM = offsetof(struct frame_header, length),
	NEAR = 8 * 1024, /* bytes that the nearest cache still has */
};

/* All but the checksum. */
static void put_header(uint8_t *frame, struct frame_header *header)
{
	header->magic = FRAME_MAGIC;
	header->length = frame_length(header->used);
	memcpy(frame, header, sizeof(*header));
	memset(frame + header->used, 0, header->length - header->used);
}

static uint32_t put_crc(uint8_t *frame, struct frame_header *header, uint32_t crc)
{
	header->crc = crc;
	memcpy(frame + offsetof(struct frame_header, crc), &crc, sizeof(crc));
	return crc;
}

uint32_t frame_seal(uint8_t *frame, struct frame_header *header)
{
	put_header(frame, header);
	return put_crc(frame, header, crc32c(0, frame + CRC_COVERS_FROM, header->length - CRC_COVERS_FROM));
}

/* Puts the checksum into a record; its size. */
static uint32_t sum_record(uint8_t *record, uint32_t seed, uint64_t lsn)
{
	uint32_t length;
	memcpy(&length, record + offsetof(struct record_header, length), sizeof(length));
	uint32_t crc = record_crc(seed, lsn, record, length);
	memcpy(record + offsetof(struct record_header, crc), &crc, sizeof(crc));
	return (uint32_t)sizeof(struct record_header) + length;
}

/* Records one after the other, so that the processor has several under way: their checksums don't depend on each
 * other, but one alone is a chain of steps. And the frame's follows while their bytes are near. */
uint32_t frame_seal_new(uint8_t *frame, struct frame_header *header, uint32_t seed)
{
	put_header(frame, header);
	uint32_t crc = 0, from = CRC_COVERS_FROM, to = sizeof(*header);
	for (uint32_t i = 0; i < header->n_records; i++) {
		to += sum_record(frame + to, seed, header->first_lsn + i);
		if (to - from >= NEAR) {
			crc = crc32c(crc, frame + from, to - from);
			from = to;
		}
	}
	return put_crc(frame, header, crc32c(crc, frame + from, header->length - from));
}

bool frame_begins(const uint8_t *block, struct frame_header *out)
{
	struct frame_header header;
	memcpy(&header, block, sizeof(header));
	if (header.magic != FRAME_MAGIC || header.length == 0 || header.length > FRAME_MAX ||
	    header.length % LOG_BLOCK != 0 || header.used < sizeof(header) || header.used > header.length)
		return false;
	*out = header;
	return true;
}

bool frame_is_sound(const uint8_t *frame, uint32_t length)
{
	uint32_t crc;
	memcpy(&crc, frame + offsetof(struct frame_header, crc), sizeof(crc));
	return crc32c(0, frame + CRC_COVERS_FROM, length - CRC_COVERS_FROM) == crc;
}
