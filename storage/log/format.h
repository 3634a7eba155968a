/* format.h -- the bytes of a log on disk.
 *
 *   segment  head, twice | frame | frame | ... | unused        a file `log/NUMBER`, always of full size
 *   frame    header | record | record | ... | zeros            one write, a multiple of 4096 bytes
 *   record   header | body                                     packed, no alignment
 *
 * All numbers are little-endian. Checksums are CRC32C. A file is written anew many times: the
 * generation in its head and in each frame tells what belongs to this use from what was left by
 * an earlier one.
 */
#pragma once

#include "engine/base/rare.h"

#include <assert.h>
#include <stdint.h>

enum {
	LOG_FORMAT = 1,
	LOG_BLOCK = 4096,
	SEGMENT_FRAMES_AT = 2 * LOG_BLOCK, /* behind both copies of the head */
	FRAME_MAX = RARE(256 * 1024, 4 * LOG_BLOCK),
	FRAGMENT_MAX = RARE(64 * 1024, 3000), /* bytes of a record's body from which on it is cut */
	SEGMENT_MAGIC = 0x4753524f,           /* "ORSG" */
	FRAME_MAGIC = 0x4d46524f,             /* "ORFM" */
};

/* A block of its own, zeros behind it. Both copies are equal. */
struct segment_head {
	uint32_t magic;
	uint32_t crc; /* of the block from the next field on */
	uint32_t format;
	uint32_t log;          /* id of the log that it is part of */
	uint64_t number;       /* the file's: a misplaced copy is noticed */
	uint64_t generation;   /* of this use of the file; grows from use to use */
	uint64_t place;        /* 0, 1, ...: its place in its log */
	uint64_t epoch;        /* of the recovery that it was begun after */
	uint64_t first_lsn;    /* of its first record */
	uint64_t size;         /* of the file */
	uint32_t chain;        /* checksum of the log's last frame before it that counts; 0: there is none */
	uint32_t key_id;       /* of the encryption; 0: none */
	uint8_t directory[16]; /* id of the data directory */
};

enum frame_flags {
	FRAME_CLOSING = 1, /* no records: says that all before it is durable; what is not whole now never will be */
	FRAME_COPIED = 2,  /* of the epoch before, written once more at the beginning of the next */
};

struct frame_header {
	uint32_t magic;
	uint32_t crc;    /* of the frame from the next field to its end, zeros included */
	uint32_t length; /* of the frame, a multiple of LOG_BLOCK */
	uint32_t used;   /* bytes of header and records */
	uint64_t generation, epoch;
	uint64_t first_lsn;
	uint64_t durable_lsn; /* what was known to be durable when this frame was issued */
	uint32_t n_records;
	uint32_t chain; /* checksum of the log's last frame before this one */
	uint32_t log;
	uint16_t flags;
	uint16_t at;          /* its offset in the segment, in blocks: a misdirected write is noticed (modulo 2^16) */
	uint64_t term, index; /* room: the log of a replicated group */
	uint32_t key_id;      /* room: encryption, */
	uint8_t tag[16];      /* and its authentication tag */
	uint8_t unused[28];
};
static_assert(sizeof(struct frame_header) == 128, "the frame's header");

/* A logical record is one, or several fragments: FIRST | MORE, MORE ..., none. Each fragment is a
 * record here, with an LSN of its own; the logical record's LSN is that of its last. */
enum record_flags {
	RECORD_CONTINUES = 1, /* the body goes on in the next record, of the same kind */
	RECORD_CONTINUED = 2, /* it is not the first fragment */
	RECORD_GROUP = 4,     /* more records follow that are taken or dropped together with it */
};

struct record_header {
	uint32_t crc;    /* of log id (4), LSN (8), then the record from the next field to its end */
	uint32_t length; /* of the body */
	uint8_t kind;    /* enum record_kind, see record.def */
	uint8_t flags;
	uint16_t slot;  /* SLOT_SYSTEM: of the system partition */
	uint32_t space; /* keyspace or relation; 0 in the system partition */
};
static_assert(sizeof(struct record_header) == 16, "the record's header");

enum { SLOT_SYSTEM = 16384 };
