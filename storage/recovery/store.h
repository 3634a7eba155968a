/* store.h -- a server's data directory at work: recovery at the start, images and the manifest while it
 * runs, the orderly end.
 *
 * What      store_open() reads what is there, in parallel: images first, then logs, era after era, and
 *           opens each core's log; then the journals note changes. store_image() writes an image of
 *           everything, a partition at a time on each core, by itself whenever logs have grown enough.
 * Owner     The machine's; core 0 owns the manifest, others ask it.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "engine/base/slice.h"
#include "storage/disk/directory.h"
#include "storage/log/log.h"

#include <stdbool.h>
#include <stdint.h>

struct changes;
struct core;
struct store;

struct store_options {
	const char *directory;
	uint64_t segment_size; /* 0: the usual size */
	enum log_mode mode;
	/* Images are written by themselves when a core's log takes more than this and more than
	 * `image_growth` times what the core's last images took; 0: the usual values. UINT64_MAX: never. */
	uint64_t image_log_bytes;
	uint32_t image_growth;
	const bool *gives_up; /* store_open() fails soon after it has become true, on whatever thread; NULL: never */
};
enum { STORE_SEGMENT_SIZE = RARE(16 * 1024 * 1024, 64 * 1024) };

/* The part before the cores have shards: loads or makes the superblock, so that its hash seed is known. Fiber
 * code of core 0, with no shard yet. NULL: `why`. */
struct store *store_begin(struct core *core, const struct store_options *options, char *why,
                          size_t why_size) must_check;
uint64_t store_hash_seed(const struct store *store);

/* Fiber code of core 0, once all cores run and have empty shards: fills them, opens logs, sets shard->journal
 * everywhere. False: `why` says what is wrong and what to do; nothing was changed on disk. */
bool store_open(struct core *core, struct store *store, char *why, size_t why_size) must_check;

/* Fiber code of core 0: closes all logs, durably. */
void store_close(struct core *core, struct store *store);

/* NULL is fine. What store_close() has not closed is abandoned, as by a crash: when no core runs any more, and all
 * are still there. */
void store_free(struct store *store);

/* ---- while it runs ------------------------------------------------------------------ */

/* Fiber code of any core. Images of all partitions, one after the other on each core; waits for the end.
 * 0; -EBUSY: one is being written already; or -errno. */
int store_image(struct core *core, struct store *store) must_check;

/* The same, begun and not waited for. False: one is being written already. */
bool store_image_start(struct core *core, struct store *store);

/* A row of the system partition, durable when it returns. Fiber code of any core; 0 or -errno. */
int store_put_row(struct core *core, struct store *store, struct slice name, struct slice value) must_check;

/* Names of keyspaces: a change of them, durable when it returns. Fiber code, behind the gate. 0 or -errno. */
struct keyspace_names {
	uint32_t next_id;
	uint32_t of_db[16];
};
int store_name_keyspaces(struct core *core, struct store *store, const struct keyspace_names *names) must_check;

/* The same as part of a transaction: puts the row into its changes (changes_put_row()). Shard code of core 0, behind
 * the gate. Who puts the row there by other means leaves the store's images without it. */
void store_collect_names(struct store *store, const struct keyspace_names *names, struct changes *changes);

/* Any row comes, or goes, as part of a transaction: as store_collect_names(). */
void store_collect_row(struct store *store, struct slice name, struct slice value, struct changes *changes);
void store_collect_row_gone(struct store *store, struct slice name, struct changes *changes);

/* Shard code of core 0: shows the rows whose names begin so, in the order in which they came. */
void store_each_row(struct store *store, struct slice prefix,
                    void (*visit)(void *arg, struct slice name, struct slice value), void *arg);
const struct keyspace_names *store_keyspace_names(const struct store *store); /* as recovered */

/* For INFO. */
struct store_facts {
	bool loading;
	uint64_t load_done_bytes, load_all_bytes, loaded_keys, load_ns;
	bool image_running, image_failed;
	int64_t image_last_s, image_last_ok_s; /* wall time */
	uint64_t image_last_ns;
	uint64_t changes_at_image;         /* shard->changes of all shards together, when the last images were begun */
	uint64_t images_ok, images_failed; /* rounds since the start; failures since the last that went well */
	uint64_t log_bytes;
	int failed_cores; /* whose logs have stopped */
};
void store_facts(struct store *store, struct store_facts *out);
void store_facts_here(struct core *core, struct store *store); /* brings what this core tells up to date */
