/* image.h -- a partition's state in a file, from which its log before can be dropped.
 *
 * What      Blocks of entries, zstd-compressed, each with its checksum. An image is fuzzy: it is
 *           written while commands run. A block covers a range of positions in the table of one
 *           keyspace and carries the LSN at which it was read; replay skips records on keys of
 *           that range up to that LSN (image_covers()). All that is later lies in the log, so an image
 *           counts only once the log is durable up to its end_lsn.
 * File      image/PARTITION-NUMBER: head | block ... | foot; see format.h.
 * Where     Fiber code, as background work: a slice of entries, then others have their turn.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "storage/disk/directory.h"
#include "storage/keyspace/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct core;

/* ---- writing ---------------------------------------------------------------------- */

struct image_written {
	uint64_t entries, bytes, raw_bytes;
	uint64_t begin_lsn; /* replay goes on from here */
	uint64_t end_lsn;   /* of the log, when the last block was read */
};

/* How the writer asks its shard's log; on the shard's core. */
struct image_source {
	struct shard *shard;
	uint64_t (*lsn)(void *arg); /* the last LSN appended */
	void *arg;
	/* Between slices: lets others run, holds back while commits wait. False: give up. */
	bool (*pause)(void *arg, size_t bytes);
};

/* Writes the image of a partition, all keyspaces named in `keyspaces`, durably. 0 or -errno; on an
 * error the file is removed. */
int image_write(struct core *core, const char *directory, const struct superblock *superblock, uint64_t number,
                uint16_t partition, const struct image_source *source, const uint32_t *keyspaces, uint32_t n_keyspaces,
                struct image_written *out) must_check;

/* The image of the system partition: rows, each name and value. */
int image_write_rows(struct core *core, const char *directory, const struct superblock *superblock, uint64_t number,
                     uint64_t lsn, const struct slice *names, const struct slice *values, uint32_t n,
                     struct image_written *out) must_check;

/* ---- reading ---------------------------------------------------------------------- */

struct image_reader;

/* One entry: a key with its packed value, or a row of the system partition (space 0, no expiry). */
struct image_entry {
	uint32_t space;
	int64_t expires_ms;
	struct slice key, value;
};

/* -EBADMSG: `why` says what is wrong. */
int image_open(struct core *core, const char *directory, const struct superblock *superblock, uint64_t number,
               uint16_t partition, struct image_reader **out, char *why, size_t why_size) must_check;

/* The entries of the next block, good until the next call. 1; 0: the end, the foot was sound; or an error as above. */
int image_next(struct image_reader *reader, const struct image_entry **entries, uint32_t *n, char *why,
               size_t why_size) must_check;
uint64_t image_begin_lsn(const struct image_reader *reader);

/* Takes from the reader, when it is at its end, what covers which positions; then the reader may go. */
struct image_cover;
struct image_cover *image_take_cover(struct image_reader *reader) must_check;
void image_cover_free(struct image_cover *cover);

/* Was the record `lsn` on this key already in what the image shows? `position` as dictionaries have
 * it: key_position(). */
bool image_covers(const struct image_cover *cover, uint32_t space, uint64_t position, uint64_t lsn);

void image_close(struct image_reader *reader); /* NULL is fine */

/* "DIRECTORY/image/PARTITION-NUMBER" */
void image_path(const char *directory, uint16_t partition, uint64_t number, char *out, size_t size);
