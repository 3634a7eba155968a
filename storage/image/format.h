/* format.h -- the bytes of an image.
 *
 *   image   head | block | block | ... | foot | zeros to a multiple of 4096
 *   block   header | body, as zstd has it, or plain where that gains nothing
 *   foot    a block whose body is a struct image_foot
 *   body    entries, one after the other, or a piece of one that is too large for a block:
 *           varint: key length * 2 + (does it expire?) | varint: value length | expires_ms 8 ? | key | value
 *
 * All numbers are little-endian; a varint has 7 bits a byte, the low ones first, the top bit says that more
 * follow. Checksums are CRC32C.
 * Ranges   Each block shows a range of positions of one keyspace as they were at one LSN. The ranges of a
 *          keyspace follow one another from 0 to the last position; keyspaces follow one another by id. Where
 *          one block was too small for a range, several follow that repeat it.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "engine/base/rare.h"
#include "engine/base/slice.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	IMAGE_FORMAT = 1,
	IMAGE_PAGE = 4096,
	IMAGE_MAGIC = 0x4d49524f,  /* "ORIM" */
	IMAGE_RAW_MAX = 64 * 1024, /* of a block's body, before it was compressed */
	IMAGE_ENTRY_HEAD_MAX = 22, /* varints of 7 bytes */
};

/* Of key and value; collections are as long as memory allows. */
static const uint64_t IMAGE_ENTRY_MAX = (uint64_t)1 << 42;

/* A page of its own, zeros behind it. */
struct image_head {
	uint32_t magic;
	uint32_t crc; /* of the page from the next field on */
	uint32_t format;
	uint16_t partition;
	uint16_t unused;
	uint64_t number;
	uint64_t begin_lsn;
	uint32_t key_id;       /* room: encryption */
	uint8_t directory[16]; /* id of the data directory */
	uint8_t unused_too[4];
};
static_assert(sizeof(struct image_head) == 56, "the image's head");

enum image_kind {
	IMAGE_ENTRIES = 1,
	IMAGE_PIECE = 2,
	IMAGE_FOOT = 3,
};

enum image_flags {
	IMAGE_PLAIN = 1, /* the body is not compressed */
	IMAGE_MORE = 2,  /* the entry goes on in the next block */
};

struct image_block {
	uint32_t crc; /* of the image's number (8), the header from the next field on, the body as stored */
	uint8_t kind, flags;
	uint16_t unused;
	uint32_t index; /* how many blocks are before it */
	uint32_t space;
	uint64_t from, to; /* positions, both included */
	uint64_t lsn;
	uint32_t entries; /* that begin in it */
	uint32_t raw_length, stored_length;
	uint8_t tag[16]; /* room: authentication of encryption */
	uint8_t unused_too[4];
};
static_assert(sizeof(struct image_block) == 72, "a block's header");

struct image_foot {
	uint64_t blocks, entries, raw_bytes; /* of all blocks before */
	uint64_t end_lsn;
	uint64_t file_size;
	uint32_t chain; /* CRC32C of their checksums, one after the other */
	uint32_t unused;
};
static_assert(sizeof(struct image_foot) == 48, "the image's foot");

void image_head_encode(struct image_head *head, uint8_t page[IMAGE_PAGE]); /* sets magic, crc and format */

/* False: damaged, or none. The format may be one that is not known. */
bool image_head_decode(const uint8_t page[IMAGE_PAGE], struct image_head *out) must_check;

uint32_t image_block_crc(uint64_t number, const struct image_block *block, const uint8_t *body);

/* What is impossible in a header, whatever its checksum; NULL: nothing. */
const char *image_block_problem(const struct image_block *block);

/* The head of an entry, to which key and value are appended; its length. */
size_t image_entry_head(size_t key_len, size_t value_len, int64_t expires_ms, uint8_t out[IMAGE_ENTRY_HEAD_MAX]);

/* Takes an entry's head off the front of `*bytes`: false if it is none, or more is said to follow than an entry
 * may have. Whether that is there is the caller's to check. */
struct image_entry_size {
	int64_t expires_ms;
	size_t key_len, value_len;
};
bool image_entry_take_head(struct slice *bytes, struct image_entry_size *out) must_check;
