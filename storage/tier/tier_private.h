/* tier_private.h -- what the parts of a tier share.
 *
 *   files.c   which files there are, what in them is live, descriptors
 *   fetch.c   values back
 *   demote.c  writes, and values that leave
 *   clean.c   live records out of files that are mostly dead
 *   tier.c    life, pressure, the worker: one fiber that runs while there is something to do
 */
#pragma once

#include "engine/base/rare.h"
#include "engine/core/core.h"
#include "engine/io/io.h"
#include "storage/tier/record.h"
#include "storage/tier/tier.h"

struct fiber;

enum {
	TIER_BATCH = RARE(256 * 1024, 16 * 1024), /* bytes of a write, unless one record is longer */
	TIER_FILE_MIN = 64 * 1024,
	TIER_OPEN_MAX = RARE(256, 2), /* files that are kept open only because they were read */
	PATH_ROOM = 4096,
	FETCH_LISTS = 256,
	BEGIN_PERCENT = 90, /* of the memory: values begin to leave, */
	REST_PERCENT = 85,  /* and go on until so much is used */
	FETCH_PERCENT = 97, /* from which on a value that comes back sends others away first */
};

struct tier_file {
	uint32_t number;
	bool sealed;         /* nothing is written to it any more */
	bool opening;        /* its descriptor is on the way, */
	int fd;              /* else -1 */
	uint32_t users;      /* operations under way */
	uint64_t size;       /* written */
	uint64_t live;       /* bytes of records that keys here point to */
	uint64_t share;      /* of the size, what is this core's to clean */
	uint64_t left;       /* live after it was cleaned: what cannot be moved now */
	uint64_t kept_lsn;   /* images begun from here on do not point there: if `live` is 0 */
	struct link openers; /* struct fetch */

	struct tier_leaf *leaves; /* that point here, in no order */
	uint32_t n_leaves, leaves_room;
};

struct tier_leaf {
	struct leaf *leaf;
	uint32_t offset;
};

/* A value on its way out, or to another file. */
struct leaving {
	struct object *object; /* lent; NULL: it is not in memory, or a leaf goes */
	struct leaf *leaf;     /* held; NULL: a whole value goes */
	uint64_t before;       /* elements in front of the leaf, when it was chosen */
	struct cold_pointer from, to;
	uint64_t hash;
	size_t at; /* of its record in the batch */
	uint32_t name_length, space;
	uint32_t version; /* of the object */
	uint16_t slot;
};

struct batch {
	struct tier_file *file;
	uint8_t *bytes;
	size_t room, used;
	struct buf leaving; /* of struct leaving */
	bool waited;        /* others have run */
};

/* Why nothing leaves memory. */
enum stuck {
	STUCK_NOT,
	STUCK_BARREN, /* all that could leave has */
	STUCK_BUSY,   /* what could leave has been locked or lent for long: who asks from now on waits anew */
	STUCK_FAILED, /* nothing can be written */
};

struct tier {
	struct core *core;
	struct shard *shard;
	char *directory;
	uint64_t file_size;
	uint32_t next_number, step;
	struct tier_file **files; /* by number */
	uint32_t n_files, files_room, n_open, n_closing;
	struct tier_file *active; /* written to; NULL: none */
	bool begun, stopping;

	struct task task; /* starts the worker */
	bool working;
	struct tier_file *cleaning; /* what is live in it is moved; NULL: none */
	struct fiber *stopper;      /* waits for the end of the worker and of all fetches */
	struct link rooms;          /* struct room_waiter */
	bool serving;               /* those in `rooms` are told */
	enum stuck stuck;           /* not STUCK_NOT: */
	uint64_t retry_ns;          /* not before this is it tried again, by itself */
	uint64_t least_memory;      /* used when it was last tried; less, if an admission has seen less since */
	int error;                  /* errno of the last write, if it failed */
	uint64_t forgotten_lsn;
	bool clean_due;

	struct link fetches[FETCH_LISTS]; /* by hash */
	uint32_t n_fetches;
	struct tier_counters counters;
};

/* ---- files.c ---------------------------------------------------------------------- */

struct tier_file *file_find(const struct tier *tier, uint32_t number); /* NULL: not known */
struct tier_file *file_add(struct tier *tier, uint32_t number, uint64_t size);

/* Fiber code: a new file, open and durable by name, or NULL with the errno in tier->error. */
struct tier_file *file_create(struct tier *tier);

void file_opened(struct tier *tier, struct tier_file *file, int fd);
/* The leaf that points to the file at the least offset from this on; NULL: none. */
struct leaf *file_leaf_from(const struct tier_file *file, uint32_t offset);

void files_settle(struct tier *tier);    /* between changes of all kinds */
void file_close_idle(struct tier *tier); /* one, if too many are open */
void files_close(struct tier *tier);     /* begins to close all; see n_closing */
void files_free(struct tier *tier);      /* none is open */

/* ---- fetch.c ---------------------------------------------------------------------- */

/* The descriptor of a file that was being opened, or -errno: those who wait for it go on. */
void file_has_opened(struct tier *tier, struct tier_file *file, int result);

/* ---- demote.c --------------------------------------------------------------------- */

/* Fiber code. False: nothing left memory, and tier->stuck says whether there is hope. */
bool demote_some(struct tier *tier);

/* Sends values away that leave for nothing. True: some did. */
bool demote_backed(struct tier *tier, unsigned percent);

/* Fiber code: appends a record to the batch, which is written when it is full. False: nothing can be written. */
bool batch_add(struct tier *tier, struct batch *batch, const struct key *key, struct slice head, struct slice value,
               const struct leaving *leaving);
bool batch_write(struct tier *tier, struct batch *batch); /* what there is; empties it */
void batch_fini(struct tier *tier, struct batch *batch);

struct key key_of_object(const struct shard *shard, const struct object *object, uint32_t keyspace);

/* ---- clean.c ---------------------------------------------------------------------- */

/* The file that it pays to clean most; NULL: none. */
struct tier_file *clean_choose(const struct tier *tier);
void clean_file(struct tier *tier, struct tier_file *file); /* fiber code */

/* ---- tier.c ----------------------------------------------------------------------- */

void tier_look(struct tier *tier); /* at what there is to do */
void tier_serve_rooms(struct tier *tier);
bool tier_wants_room(const struct tier *tier);
void tier_may_have_ended(struct tier *tier);
void tier_fail(struct tier *tier, const char *what, int error); /* a write: stuck for a while */
