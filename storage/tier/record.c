#include "storage/tier/record.h"

#include "kernels/checksum/crc32c.h"

#include <stddef.h>
#include <string.h>

void tier_head_write(uint32_t number, uint8_t block[TIER_BLOCK])
{
	struct tier_head head = {.magic = TIER_MAGIC, .format = TIER_FORMAT, .number = number};
	memset(block, 0, TIER_BLOCK);
	memcpy(block, &head, sizeof(head));
	size_t from = offsetof(struct tier_head, format);
	head.crc = crc32c(0, block + from, TIER_BLOCK - from);
	memcpy(block + offsetof(struct tier_head, crc), &head.crc, sizeof(head.crc));
}

bool tier_head_is_sound(uint32_t number, const uint8_t block[TIER_BLOCK])
{
	struct tier_head head;
	size_t from = offsetof(struct tier_head, format);
	memcpy(&head, block, sizeof(head));
	return head.magic == TIER_MAGIC && head.crc == crc32c(0, block + from, TIER_BLOCK - from) &&
	       head.format == TIER_FORMAT && head.number == number;
}

static uint32_t record_crc(const uint8_t *record, uint32_t size, uint32_t file, uint32_t offset)
{
	uint32_t crc = crc32c(0, (const uint8_t *)&file, sizeof(file));
	crc = crc32c(crc, (const uint8_t *)&offset, sizeof(offset));
	return crc32c(crc, record + sizeof(crc), size - sizeof(crc));
}

uint32_t tier_record_size(struct slice key, struct slice head, struct slice value)
{
	return (uint32_t)(sizeof(struct tier_record) + key.len + head.len + value.len);
}

static uint8_t *put(uint8_t *to, struct slice bytes)
{
	if (bytes.len > 0)
		memcpy(to, bytes.ptr, bytes.len);
	return to + bytes.len;
}

struct cold_pointer tier_record_write(uint8_t *to, uint32_t file, uint32_t offset, const struct key *key,
                                      struct slice head, struct slice value, uint32_t length)
{
	struct tier_record record = {.size = tier_record_size(key->name, head, value),
	                             .key_length = (uint32_t)key->name.len,
	                             .space = key->keyspace,
	                             .slot = key->slot,
	                             .length = length};
	uint8_t *end = put(to, slice_of(&record, sizeof(record)));
	end = put(put(put(end, key->name), head), value);
	assert(end == to + record.size);
	uint32_t crc = record_crc(to, record.size, file, offset);
	memcpy(to, &crc, sizeof(crc));
	return (struct cold_pointer){.file = file, .offset = offset, .size = record.size, .crc = crc, .length = length};
}

bool tier_record_read(const uint8_t *bytes, size_t room, uint32_t file, uint32_t offset, struct tier_record *out,
                      struct slice *key, struct slice *packed)
{
	struct tier_record record;
	if (room < sizeof(record))
		return false;
	memcpy(&record, bytes, sizeof(record));
	if (record.size < sizeof(record) || record.size > room || record.key_length > record.size - sizeof(record) ||
	    record.crc != record_crc(bytes, record.size, file, offset))
		return false;
	*out = record;
	*key = slice_of(bytes + sizeof(record), record.key_length);
	*packed = slice_of(key->ptr + key->len, record.size - sizeof(record) - record.key_length);
	return true;
}
