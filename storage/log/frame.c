#include "storage/log/frame_private.h"

enum { CRC_COVERS_FROM = offsetof(struct frame_header, length) };

uint32_t frame_seal(uint8_t *frame, struct frame_header *header)
{
	header->magic = FRAME_MAGIC;
	header->length = frame_length(header->used);
	memcpy(frame, header, sizeof(*header));
	memset(frame + header->used, 0, header->length - header->used);
	header->crc = crc32c(0, frame + CRC_COVERS_FROM, header->length - CRC_COVERS_FROM);
	memcpy(frame + offsetof(struct frame_header, crc), &header->crc, sizeof(header->crc));
	return header->crc;
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
