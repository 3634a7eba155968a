/* directory.h -- a data directory: what it is, and which files in it count.
 *
 *   superblock     written once: format, features, identity, hash seed; four copies
 *   manifest.0/1   which image and which logs each partition consists of; written in turn, two copies in each
 *   log/           segments of logs: storage/log
 *   image/         images of partitions: storage/image
 *   reserve        blocks for when the disk is full, nothing in them: storage/recovery
 *   lock           held by the server that uses it
 *
 * Whatever is unknown here (format, feature bit, version) is refused with a message that says what
 * it is; nothing is ever repaired in place.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/placement/placement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;

enum { DIRECTORY_FORMAT = 1, PARTITION_SYSTEM = PARTITIONS, PARTITIONS_ALL = PARTITIONS + 1, LOGS_MAX = 256 };

/* What a reader must know to read the directory, and what it may ignore. */
enum { FEATURES_NEEDED_KNOWN = 0, FEATURES_OPTIONAL_KNOWN = 0 };

struct superblock {
	uint32_t format;
	uint64_t features_needed, features_optional;
	uint8_t id[16];      /* of the directory: its segments and images carry it */
	uint64_t hash_seed;  /* of keys: positions in images rest on it */
	uint32_t partitions; /* 64 */
	int64_t made_us;     /* wall time */
};

/* A log that some partition needs. Logs of one era were written side by side, by as many cores as there were. */
struct manifest_log {
	uint32_t id;
	uint32_t era;
	uint16_t core; /* that writes it, if its era is the last */
	/* It was seen to be durable up to here: where it ends before, something is lost. 0: nobody has looked. */
	uint64_t durable_lsn;
};

/* Replay a partition's records of log `log` from `from_lsn` on. */
struct manifest_range {
	uint32_t log;
	uint64_t from_lsn;
};

enum { RANGES_MAX = 8 };
struct manifest_partition {
	uint64_t image; /* 0: none */
	uint32_t n_ranges;
	struct manifest_range ranges[RANGES_MAX]; /* in order of eras */
};

struct manifest {
	uint64_t version; /* grows with each writing */
	uint64_t epoch;   /* grows with each start */
	uint32_t next_log, next_era;
	uint64_t next_image;
	uint64_t next_generation; /* no segment has one as great */
	uint16_t n_cores;         /* of the last era */
	uint32_t n_logs;
	struct manifest_log logs[LOGS_MAX];
	struct manifest_partition partitions[PARTITIONS_ALL];
};

/* All in fiber code. 0; -errno; or -EBADMSG: `why` says what is wrong. */

/* -ENOENT: there is none, and nothing else either: a fresh directory. */
int superblock_load(struct core *core, const char *directory, struct superblock *out, char *why,
                    size_t why_size) must_check;
/* 1: there is something that only a server that has begun leaves; 0: there is not. */
int directory_has_data(struct core *core, const char *directory) must_check;
/* Makes the directory's folders and its superblock, durable. */
int superblock_create(struct core *core, const char *directory, const struct superblock *superblock) must_check;

/* The newest that is sound. -ENOENT: there is none. */
int manifest_load(struct core *core, const char *directory, const struct superblock *superblock, struct manifest *out,
                  char *why, size_t why_size) must_check;

/* Makes `manifest` what counts, atomically and durably; counts its version up. One at a time. */
int manifest_store(struct core *core, const char *directory, const struct superblock *superblock,
                   struct manifest *manifest) must_check;

const struct manifest_log *manifest_find_log(const struct manifest *manifest, uint32_t id);
/* Notes it; false: it was known already. */
bool manifest_saw_durable(struct manifest *manifest, uint32_t log, uint64_t lsn);

/* Drops logs that no partition needs: those of an era go together, since one may hold the
 * decisions of another. How many went. */
uint32_t manifest_drop_logs(struct manifest *manifest);

/* The first LSN of `log` that any partition needs; UINT64_MAX: none does. */
uint64_t manifest_needs_from(const struct manifest *manifest, uint32_t log);

/* How many copies of the superblock and of each manifest are sound: for `orbit check`. */
struct directory_copies {
	uint8_t superblock, superblock_all;
	uint8_t manifest[2], manifest_all;
	uint64_t manifest_version[2];
};
int directory_copies(struct core *core, const char *directory, struct directory_copies *out) must_check;
