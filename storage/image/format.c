#include "storage/image/format.h"

#include "kernels/bytes.h"
#include "kernels/checksum/crc32c.h"
#include "storage/keyspace/object.h"

enum {
	HEAD_CHECKED_FROM = offsetof(struct image_head, format),
	BLOCK_CHECKED_FROM = offsetof(struct image_block, kind)
};

void image_head_encode(struct image_head *head, uint8_t page[IMAGE_PAGE])
{
	memset(page, 0, IMAGE_PAGE);
	head->magic = IMAGE_MAGIC;
	head->format = IMAGE_FORMAT;
	memcpy(page, head, sizeof(*head));
	head->crc = crc32c(0, page + HEAD_CHECKED_FROM, IMAGE_PAGE - HEAD_CHECKED_FROM);
	memcpy(page + offsetof(struct image_head, crc), &head->crc, sizeof(head->crc));
}

bool image_head_decode(const uint8_t page[IMAGE_PAGE], struct image_head *out)
{
	struct image_head head;
	memcpy(&head, page, sizeof(head));
	if (head.magic != IMAGE_MAGIC ||
	    head.crc != crc32c(0, page + HEAD_CHECKED_FROM, IMAGE_PAGE - HEAD_CHECKED_FROM))
		return false;
	*out = head;
	return true;
}

uint32_t image_block_crc(uint64_t number, const struct image_block *block, const uint8_t *body)
{
	uint32_t crc = crc32c(0, (const uint8_t *)&number, sizeof(number));
	crc = crc32c(crc, (const uint8_t *)block + BLOCK_CHECKED_FROM, sizeof(*block) - BLOCK_CHECKED_FROM);
	return crc32c(crc, body, block->stored_length);
}

const char *image_block_problem(const struct image_block *block)
{
	if (block->kind < IMAGE_ENTRIES || block->kind > IMAGE_FOOT)
		return "is of an unknown kind";
	if (block->flags & ~(IMAGE_PLAIN | IMAGE_MORE))
		return "has unknown flags";
	if (block->raw_length > IMAGE_RAW_MAX)
		return "is longer than a block may be";
	if (block->stored_length > block->raw_length)
		return "has grown by being compressed";
	if (block->flags & IMAGE_PLAIN && block->stored_length != block->raw_length)
		return "has two lengths";
	if (block->from > block->to)
		return "has a range that ends before it begins";
	return NULL;
}

static uint8_t *varint_put(uint8_t *at, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		*at++ = (uint8_t)value | 0x80;
	*at++ = (uint8_t)value;
	return at;
}

size_t image_entry_head(size_t key_len, size_t value_len, int64_t expires_ms, uint8_t out[IMAGE_ENTRY_HEAD_MAX])
{
	bool expires = expires_ms != EXPIRES_NEVER;
	uint8_t *at = varint_put(varint_put(out, key_len << 1 | expires), value_len);
	if (expires) {
		store_u64(at, (uint64_t)expires_ms);
		at += 8;
	}
	return (size_t)(at - out);
}

enum { VARINT_BYTES = 7 }; /* 49 bits: more than any length needs */
static_assert(2 * VARINT_BYTES + 8 == IMAGE_ENTRY_HEAD_MAX, "an entry's head");

static bool varint_take(struct slice *bytes, uint64_t *out)
{
	uint64_t value = 0;
	for (size_t i = 0; i < VARINT_BYTES && i < bytes->len; i++) {
		value |= (uint64_t)(bytes->ptr[i] & 0x7f) << 7 * i;
		if (!(bytes->ptr[i] & 0x80)) {
			*out = value;
			*bytes = slice_of(bytes->ptr + i + 1, bytes->len - i - 1);
			return true;
		}
	}
	return false;
}

bool image_entry_take_head(struct slice *bytes, struct image_entry_size *out)
{
	uint64_t key, value_len;
	if (!varint_take(bytes, &key) || !varint_take(bytes, &value_len))
		return false;
	struct image_entry_size size = {.expires_ms = EXPIRES_NEVER, .key_len = key >> 1, .value_len = value_len};
	if (key & 1) {
		if (bytes->len < 8)
			return false;
		size.expires_ms = (int64_t)load_u64(bytes->ptr);
		*bytes = slice_of(bytes->ptr + 8, bytes->len - 8);
	}
	if (size.key_len > IMAGE_ENTRY_MAX || size.value_len > IMAGE_ENTRY_MAX - size.key_len)
		return false;
	*out = size;
	return true;
}
