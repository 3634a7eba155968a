/* format.h -- the bytes of the superblock and the manifests.
 *
 *   superblock   copy 0 | copy 1 | copy 2 | copy 3       a block each
 *   manifest.N   copy 0 | unused | copy 1                version V lies in file V modulo 2
 *
 * All numbers are little-endian and packed; offsets are listed in README.md. Checksums are CRC32C.
 * A superblock of whatever format has its magic, checksum, format, copy number and features where they are now:
 * so an older program can say what it lacks.
 */
#pragma once

#include "engine/base/compiler.h"
#include "storage/disk/directory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SUPERBLOCK_COPIES = 4,
	SUPERBLOCK_COPY_SIZE = 4096,
	SUPERBLOCK_SIZE = SUPERBLOCK_COPIES * SUPERBLOCK_COPY_SIZE,
	SUPERBLOCK_MAGIC = 0x4253524f, /* "ORSB" */

	MANIFEST_FORMAT = 2,
	MANIFEST_COPIES = 2,
	MANIFEST_SIZE_MAX = 11718,
	MANIFEST_COPY_SIZE = 16 * 1024,
	MANIFEST_COPY_STRIDE = 64 * 1024,
	MANIFEST_FILE_SIZE = (MANIFEST_COPIES - 1) * MANIFEST_COPY_STRIDE + MANIFEST_COPY_SIZE,
	MANIFEST_MAGIC = 0x4e4d524f, /* "ORMN" */
};

enum copy_state {
	COPY_UNSOUND, /* no copy, or one that was torn or damaged */
	COPY_SOUND,
	COPY_REFUSED, /* what was written is there, but it says what it should not: `why` */
};

/* ---- superblock ------------------------------------------------------------------- */

void superblock_encode(const struct superblock *superblock, unsigned copy, uint8_t block[SUPERBLOCK_COPY_SIZE]);

/* Of a sound copy the fields, whatever they say. */
bool superblock_decode(const uint8_t block[SUPERBLOCK_COPY_SIZE], unsigned copy, struct superblock *out) must_check;

/* Do two sound copies say the same? */
bool superblock_same(const uint8_t a[SUPERBLOCK_COPY_SIZE], const uint8_t b[SUPERBLOCK_COPY_SIZE]);

/* May this program use it? Else `why`. */
bool superblock_is_known(const struct superblock *superblock, char *why, size_t why_size) must_check;

/* ---- manifest --------------------------------------------------------------------- */

/* The rest of the copy becomes zeros. */
void manifest_encode(const struct superblock *superblock, const struct manifest *manifest, unsigned copy,
                     uint8_t bytes[MANIFEST_COPY_SIZE]);

/* The directory's id, and what manifest_problem() asks, are checked. `out` is touched only if it is sound. */
enum copy_state manifest_decode(const uint8_t bytes[MANIFEST_COPY_SIZE], const struct superblock *superblock,
                                unsigned copy, struct manifest *out, char *why, size_t why_size) must_check;

/* What no manifest may say; NULL: nothing of that. */
const char *manifest_problem(const struct manifest *manifest);
