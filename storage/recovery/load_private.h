/* load_private.h -- a load's parts: what each core keeps, and the reader of each log. */
#pragma once

#include "engine/base/list.h"
#include "engine/core/core.h"
#include "storage/image/image.h"
#include "storage/recovery/load.h"

/* One core's: changed there alone. */
struct load_share {
	struct load *load;
	struct core *core;
	struct faults faults;
	struct keyspace_names names; /* as far as they are known here */
	uint32_t *spaces;            /* keyspaces that have keys here */
	uint32_t n_spaces, spaces_room;
	uint32_t last_space;                        /* the last one asked about, */
	bool last_dead;                             /* and what was said */
	struct image_cover *covers[PARTITIONS_ALL]; /* NULL: no image, or one that could not be read to its end */
	uint32_t work;                              /* since the fiber last let others run */
};

/* Records on their way to the core that owns them, packed one behind the other. `size` is a multiple of 8. */
struct packed_record {
	uint64_t lsn;
	uint32_t space;
	uint32_t length; /* of the body, which follows */
	uint16_t slot;
	uint8_t kind;
	bool covered; /* the image of the partition may hold it already */
};

void pack_record(struct buf *to, const struct record *record, bool covered);

/* The next packed record; false: that was the last. */
bool unpack_record(struct slice *from, struct record *out, bool *covered) must_check;

static inline bool load_gives_up(const struct load *load)
{
	return load->gives_up && __atomic_load_n(load->gives_up, __ATOMIC_RELAXED);
}

/* ---- load.c --------------------------------------------------------------------------- */

uint16_t load_owner(const struct core *core, uint16_t partition);

/* Records that are applied together, in order, so that what they will touch can be fetched ahead. */
enum { CHUNK_MAX = 128 };
struct record_chunk {
	uint32_t n;
	struct record records[CHUNK_MAX];
	bool covered[CHUNK_MAX];
};

/* Shard code of the owner's core: applies records of partitions of its, and empties the chunk. */
void share_apply(struct load_share *share, struct record_chunk *chunk);

/* Fiber code: counts work done, and lets others run when it was enough. */
void share_worked(struct load_share *share, uint32_t work);

static inline void progress_add(uint64_t *counter, uint64_t n) { __atomic_fetch_add(counter, n, __ATOMIC_RELAXED); }

/* ---- replay.c: one log ------------------------------------------------------------------ */

/* A transaction's records, until its outcome. */
struct prepared {
	struct link link;
	struct tx_id id;
	struct buf records; /* packed */
};

struct batch;

struct replay {
	struct load *load;
	struct load_share *share; /* of the core that reads */
	const struct log_files *files;
	struct log_end end;
	struct buf commits;         /* struct tx_id: decisions of this log */
	struct link open;           /* struct prepared */
	struct buf outcomes;        /* struct load_outcome */
	struct prepared *gathering; /* the prepared group that records belong to now */
	struct {
		uint64_t from_lsn; /* UINT64_MAX: the partition does not need this log */
		bool covered;      /* its image was written beside this log */
	} partitions[PARTITIONS_ALL];
	struct record_chunk chunk;        /* for this core; the bodies are the reader's */
	struct batch *batches[CORES_MAX]; /* being filled, for each other owner */
	uint32_t in_flight;               /* batches */
	struct fiber *waiting;            /* for one of them */
	uint64_t seen_number, seen_bytes; /* for the progress: the segment last read from, all before it */
	uint64_t told_bytes;
};

void replay_init(struct replay *replay, struct load *load, const struct log_files *files);
void replay_fini(struct replay *replay);

/* Fiber code: reads the log to its end; all its records are applied when it returns. */
void replay_run(struct replay *replay, struct load_share *share);

/* Fiber code, when all logs of the era are read: decides what is still open. */
void replay_settle(struct replay *replay);
