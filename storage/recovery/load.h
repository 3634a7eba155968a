/* load.h -- fills the shards of all cores with what the images and logs of a directory hold.
 *
 * What      Images first, each read by the core that owns its partition. Then the logs, era after era: those
 *           of one era side by side, log i by core i modulo the cores; each record goes to the owner of its
 *           partition, in order. A transaction's records wait for its outcome; where there is
 *           none, the era's logs say at its end whether the coordinator had committed.
 * Order     Records of one partition are applied in the order of its ranges and of their LSNs.
 * Reads     only; nothing on disk changes.
 * Where     Fiber code of core 0; all cores run and have shards, which become those of a recovery and stay so.
 */
#pragma once

#include "storage/disk/directory.h"
#include "storage/log/reader.h"
#include "storage/recovery/faults.h"
#include "storage/recovery/rows.h"
#include "storage/recovery/survey.h"

struct core;
struct load_share;
struct replay;

/* A transaction that was prepared in a log whose end left it open. */
struct load_outcome {
	struct tx_id tx;
	bool committed;
};

/* May be read from any core while it runs. */
struct load_progress {
	uint64_t all_bytes, done_bytes, keys;
};

struct load {
	/* Given: */
	const char *directory;
	const struct superblock *superblock;
	const struct manifest *manifest;
	const struct survey *survey;
	bool salvage;         /* goes on past damage */
	const bool *gives_up; /* becomes true: all ends early, and load_run() says false; NULL: never does */
	struct load_progress *progress;
	/* Found: */
	struct system_rows rows;
	struct keyspace_names names;
	uint64_t n_images, torn_bytes;
	/* Its own: */
	struct load_share **shares; /* of each core */
	uint16_t n_cores;
	struct replay *replays; /* of each log, as in the survey */
};

/* False: a fault that nothing may be built on, never in salvage; or it gave up. */
bool load_run(struct core *core, struct load *load, struct faults *faults);

/* What was found out about the log at `i` of the survey. */
const struct log_end *load_log_end(const struct load *load, uint32_t i);
const struct load_outcome *load_outcomes(const struct load *load, uint32_t i, uint32_t *n);

void load_fini(struct load *load);
