/* survey.h -- which files of a data directory belong to which log.
 *
 * What      Reads the heads of all segments and gives each log that the manifest names its own, in the order of
 *           their places, from the one on that holds the first LSN needed. What belongs to no such log, or
 *           lies before that, is spare: it may be used again.
 * Faults    A log that is missing or has a gap, a segment whose head is lost, files of another directory
 *           or of a newer program, a manifest older than the logs.
 */
#pragma once

#include "storage/disk/directory.h"
#include "storage/log/segment.h"
#include "storage/recovery/faults.h"

struct log_files {
	struct manifest_log log;
	uint64_t from_lsn;   /* of the first record needed; 0: of whatever there is */
	bool only_decisions; /* no partition needs it, but a log of its era may ask how transactions ended */
	struct segment_list segments;
};

struct survey {
	struct log_files *logs; /* in the order of the manifest */
	uint32_t n_logs;
	struct segment_list spare;
	uint64_t next_number, next_generation; /* above all that were seen */
	uint64_t n_files, log_bytes;           /* bytes of the segments that logs need */
};

/* Fiber code. False: a fault or more; `out` is filled as far as it goes, and to be freed. */
bool survey_take(struct core *core, const char *directory, const struct superblock *superblock,
                 const struct manifest *manifest, struct survey *out, struct faults *faults);
void survey_fini(struct survey *survey);
