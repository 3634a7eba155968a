/* store_private.h -- a store's parts, and who may touch them.
 *
 * Core 0 owns the manifest, the system rows and the state of the image round. Each core owns its store_core.
 * What others may read is marked: numbers, read and written whole.
 */
#pragma once

#include "engine/base/list.h"
#include "engine/core/core.h"
#include "storage/journal/journal.h"
#include "storage/recovery/load.h"
#include "storage/recovery/rows.h"
#include "storage/recovery/store.h"
#include "storage/recovery/survey.h"
#include "storage/tier/tier.h"

/* A request to core 0 that changes the manifest; lies with who asked, until it is answered. */
struct manifest_change {
	struct link link;
	void (*apply)(struct manifest *manifest, const struct manifest_change *change);
	void (*answered)(struct core *core, struct message *message); /* on the core that asked */
	uint16_t from;
	int result;
};

/* One core's. */
struct store_core {
	struct store *store;
	struct core *core;
	struct log *log;
	struct journal *journal;
	struct tier *tier;
	struct timer look;    /* at the log's size */
	uint64_t image_bytes; /* that its last images took, before compression */
	struct manifest_change begun;
	uint64_t logged_before;   /* bytes of records that the images of its partitions may lack: found at the start, */
	uint64_t logged_at_image; /* and log_counters() when the last images were begun */
	bool is_begun;            /* the manifest knows that the log has a record */
	bool tells_begun;         /* it is being told */
	int error;                /* of log_open() */
	uint64_t closed_lsn;      /* how far the log was durable when it was closed */
	/* Others may read: */
	uint64_t log_bytes;
	uint64_t changes_at_image; /* of the shard, when the last images were begun */
	uint64_t tier_idle_bytes, tier_live_bytes;
	int log_error;
	uint64_t image_growth; /* what new images would take more than those that they replace, at most */
};

/* Who waits for the end of an image round. */
struct image_ask {
	struct link link;
	struct fiber *fiber;
	uint16_t from;
	int result;
};

struct image_round {
	bool running;    /* on core 0 */
	uint64_t number; /* of its images */
	uint16_t left;   /* cores that still write */
	int error;       /* the first */
	uint64_t began_ns;
	struct link asks;       /* struct image_ask */
	uint64_t wait_until_ns; /* after a failure: not by itself before; others may read it */
	uint64_t again_ns;      /* for want of room not before; others may read it */
};

/* The file `reserve`, see reserve.c. */
struct reserve {
	struct log_room_giver giver;
	uint64_t bytes, wanted;
	bool busy;          /* a fiber works on it, */
	uint32_t n_workers; /* of so many that want to */
	int error;          /* the last, -errno */
	enum log_kept kept; /* others may read it */
};

struct store {
	struct store_options options;
	char *directory;
	struct superblock superblock;
	struct manifest *manifest; /* as it is on disk */
	uint64_t next_image;
	struct survey survey;   /* after the start only the segments of old eras */
	struct load *load;      /* while loading */
	struct tier_list tiers; /* while loading: the files of cold values */
	struct keyspace_names recovered;
	struct system_rows rows;
	struct machine *machine;
	uint16_t n_cores;
	struct store_core cores[CORES_MAX];

	struct link changes;  /* struct manifest_change, in order */
	bool changing;        /* a fiber stores the manifest */
	struct fiber *closer; /* waits until nothing of the store runs */
	struct image_round round;
	struct reserve reserve;

	/* Others may read: */
	struct load_progress progress;
	bool loading, closing, image_running, image_failed;
	uint64_t load_began_ns, load_ns;
	int64_t image_last_s, image_last_ok_s;
	uint64_t image_last_ns, images_ok, images_failed;
};

#define told(field)        __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define tell(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

/* ---- manifest_change.c ---------------------------------------------------------------- */

/* Any core. Has the change made and durable; then change->answered is called there. Changes that come while one is
 * being stored go together. */
void manifest_ask(struct core *core, struct store *store, struct manifest_change *change);

/* ---- image_round.c ---------------------------------------------------------------------- */

/* Core 0. False: one runs already. */
bool round_begin(struct core *core, struct store *store);

/* Fiber code of core 0: removes the segments of logs that no partition needs any more. */
void remove_old_logs(struct core *core, struct store *store);

/* Fiber code: images of all partitions on their cores before there are logs, and their names in `manifest`; 0, or
 * -errno and the manifest is as it was. */
int images_before_logs(struct core *core, struct store *store, struct manifest *manifest);

/* Each core: looks at its log once in a while from now on. */
void look_begin(struct store_core *own);
void look_end(struct store_core *own);
void store_core_tell(struct store_core *own); /* the numbers that others may read */

/* Fiber code of core 0: neither a round nor a change of the manifest runs when this returns. */
void round_wait_for_end(struct core *core, struct store *store);
void round_may_have_ended(struct core *core, struct store *store); /* one of them has */

/* ---- reserve.c --------------------------------------------------------------------------- */

/* Fiber code of core 0, before the logs are opened: makes it as large as it must be, if there is room. */
void reserve_open(struct core *core, struct store *store);

/* Core 0, once in a while: makes it as large as it must be now. */
void reserve_tend(struct core *core, struct store *store);

/* Fiber code of any core: its room is free now, for logs. False: it had been given before. */
bool reserve_give(struct core *core, struct store *store);

/* The same for images: once the logs have taken their part of it. */
void reserve_give_to_images(struct core *core, struct store *store);

/* ---- cold_files.c ------------------------------------------------------------------------ */

/* Fiber code of core 0, before anything is loaded: finds the files of cold values and makes each core's tier. */
int tiers_make(struct core *core, struct store *store);

/* When all is loaded: tells the cores which part of each file is theirs to clean. */
void tiers_share(struct core *core, struct store *store);

/* Fiber code of core 0: removes the files that no key, no image and no log that is kept points to. */
void tiers_remove_files(struct core *core, struct store *store);

bool store_has_failed_log(const struct store *store);
