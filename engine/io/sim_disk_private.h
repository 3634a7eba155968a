/* sim_disk_private.h -- the parts of the simulated disk.
 *
 *   sim_disk.c        life, memory, chance; what tests may look at
 *   sim_disk_data.c   sectors of files
 *   sim_disk_names.c  directories, and changes of names that are not durable
 *   sim_disk_op.c     operations: from staged to done, with faults
 *   sim_disk_crash.c  what is left
 *
 * Memory    Everything lies in the mapping that begins with struct sim_disk, and names each other by
 *           *refs*, places in it: so it means the same in a copy. A ref of 0 is none.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/io/sim_disk.h"

enum {
	HEAP_UNIT = 32, /* what refs count */
	HEAP_CLASSES = 28,
	DESCRIPTORS_MAX = 1024,
	PIECES = SIM_SECTOR_SIZE / SIM_PIECE_SIZE,
};

/* A file's table has an entry for each sector, holes as well. */
static const uint64_t FILE_LENGTH_MAX = 4ull << 30;

/* A list that grows. */
struct disk_array {
	uint32_t items; /* ref */
	uint32_t n, room;
};

/* `base` is what is durable, `cached` what is read while it is something else. */
struct sector {
	uint32_t base, cached; /* refs of contents; 0: zeros, nothing */
	uint64_t dirty;        /* when it was cached; 0: never, or a sync of it failed: none will help */
};

struct disk_file {
	uint32_t next; /* of all */
	bool is_directory;
	bool is_marked;
	uint32_t syncs_in_flight;
	uint64_t length, durable_length;
	struct disk_array sectors;
	uint32_t sectors_used; /* that have contents */
	uint32_t entries;      /* of a directory, sorted */
};

struct disk_entry {
	uint32_t next;
	uint32_t file;
	uint32_t name; /* ends with a zero byte */
};

/* What one name in one directory means, before and after. */
struct slot {
	uint32_t dir, name, before, after;
};

/* A change of names that is not durable. */
struct change {
	struct slot slots[2];
	uint64_t done;
	uint8_t n_slots;
	bool is_lost; /* a sync of it failed: none will help */
};

struct descriptor {
	uint32_t file; /* 0: free */
	uint32_t flags;
};

enum disk_kind {
	DISK_OPEN,
	DISK_READ,
	DISK_WRITE,
	DISK_SYNC,
	DISK_CLOSE,
	DISK_RENAME,
	DISK_REMOVE,
	DISK_SIZE,
	DISK_RESERVE,
	DISK_DIR_MAKE,
	DISK_DIR_SYNC,
	DISK_DIR_LIST,
};

/* An operation in flight. */
struct disk_op {
	uint32_t next; /* of all, as they were staged */
	uint8_t kind;
	int fd;
	int error; /* known when it was staged */
	uint32_t flags;
	uint32_t file;
	uint32_t path, path_to;
	uint32_t bytes; /* a copy of what is written */
	uint64_t size, at;
	uint64_t staged; /* a sync is about what was done until then */
	uint64_t length; /* of the file then */
};

struct sim_disk {
	uint64_t memory_bytes, top, taken; /* of the heap, in units */
	uint32_t free[HEAP_CLASSES];
	struct sim_disk_faults faults;
	struct sim_disk_counts counts;
	uint64_t random;
	uint64_t clock; /* operations done */
	uint64_t life;  /* how many worlds have ended with a crash or a kill */
	uint64_t events, crash_at;
	bool has_crashed;
	uint32_t root, files, ops;
	struct disk_array changes;
	struct descriptor descriptors[DESCRIPTORS_MAX];
};

/* ---- memory and chance ---------------------------------------------------------------------- */

uint32_t heap_take(struct sim_disk *disk, size_t size); /* zeroed */
void heap_give(struct sim_disk *disk, uint32_t ref, size_t size);
size_t heap_size(size_t size); /* what it takes */

static inline void *heap_at(const struct sim_disk *disk, uint32_t ref)
{
	return (uint8_t *)(uintptr_t)disk + (size_t)ref * HEAP_UNIT;
}

uint32_t heap_text(struct sim_disk *disk, struct slice text);
void heap_text_give(struct sim_disk *disk, uint32_t ref);
static inline const char *text_at(const struct sim_disk *disk, uint32_t ref) { return heap_at(disk, ref); }

/* Room for one more; where it is. */
void *array_add(struct sim_disk *disk, struct disk_array *array, size_t item_size);
void array_give(struct sim_disk *disk, struct disk_array *array, size_t item_size);

uint64_t disk_random(struct sim_disk *disk);
uint64_t disk_below(struct sim_disk *disk, uint64_t n);
bool disk_chance(struct sim_disk *disk, uint32_t in_1000);

/* ---- data ------------------------------------------------------------------------------------ */

static inline struct disk_file *file_at(const struct sim_disk *disk, uint32_t ref) { return heap_at(disk, ref); }

/* How far what lands has come. */
enum landing { LANDS_CACHED, LANDS_DURABLE, LANDS_LOST /* is read, but nothing makes it durable */ };

void data_land(struct sim_disk *disk, struct disk_file *file, uint64_t at, struct slice bytes, enum landing how);
void data_land_some(struct sim_disk *disk, struct disk_file *file, uint64_t at, struct slice bytes, bool durable);
void data_extend(struct disk_file *file, uint64_t length, bool durable);
void data_reserve(struct sim_disk *disk, struct disk_file *file, uint64_t size); /* zeros where nothing is */
size_t data_read(const struct sim_disk *disk, const struct disk_file *file, uint64_t at, void *to, size_t size);
void data_sync(struct sim_disk *disk, struct disk_file *file, uint64_t staged, uint64_t length);
void data_sync_fails(struct sim_disk *disk, struct disk_file *file, uint64_t length);
void data_flip(struct sim_disk *disk, struct disk_file *file, uint64_t bit);
void data_cut(struct sim_disk *disk, struct disk_file *file, uint64_t size);
void data_crash(struct sim_disk *disk, struct disk_file *file);
bool data_is_durable(const struct sim_disk *disk, const struct disk_file *file, uint64_t at, uint64_t size);

/* How many of the `size` bytes at `at` can be written with room for so many sectors more. */
uint64_t data_fits(const struct sim_disk *disk, const struct disk_file *file, uint64_t at, uint64_t size,
                   uint64_t sectors);

/* ---- names ----------------------------------------------------------------------------------- */

/* Where a path leads: a name in a directory; an empty name is the root. */
struct place {
	uint32_t dir;
	struct slice name;
	uint32_t file; /* 0: there is none of that name */
};

int names_place(const struct sim_disk *disk, const char *path, struct place *out) must_check;

int64_t names_create(struct sim_disk *disk, const char *path, bool directory, uint32_t *out) must_check;
int64_t names_remove(struct sim_disk *disk, const char *path) must_check;
int64_t names_rename(struct sim_disk *disk, const char *from, const char *to) must_check;
int64_t names_list(const struct sim_disk *disk, const char *path, struct buf *names) must_check;

/* Of the changes that wait for this directory. */
void names_sync(struct sim_disk *disk, uint32_t dir, uint64_t staged);
void names_sync_fails(struct sim_disk *disk, uint32_t dir, uint64_t staged);
void names_sync_path(struct sim_disk *disk, const char *path); /* whatever it needs */

bool names_are_durable(const struct sim_disk *disk, const char *path);
bool names_touch(const struct sim_disk *disk, const char *path, const char *other); /* are they the same place? */

void names_crash(struct sim_disk *disk);

/* Frees the files that nobody can reach any more. */
void names_sweep(struct sim_disk *disk);

/* Of the files that have a name or are open. */
uint64_t names_sectors_used(struct sim_disk *disk);

/* ---- operations ------------------------------------------------------------------------------- */

struct disk_request {
	enum disk_kind kind;
	const char *path, *path_to;
	int fd;
	uint32_t flags; /* IO_OPEN_* or IO_WRITE_* */
	const void *memory;
	size_t size;
	uint64_t at;
};

/* The world that uses it, and no more. */
void disk_attach(struct sim_disk *disk, uint64_t random);
void disk_detach(struct sim_disk *disk);

/* While the power is on. A ref. */
uint32_t disk_stage(struct sim_disk *disk, const struct disk_request *request) must_check;

/* Its effect and its result. Afterwards the power may be off, and nobody may be told. `memory` is what
 * was given, or where to read to; `names` for DISK_DIR_LIST. */
int64_t disk_finish(struct sim_disk *disk, uint32_t op, void *memory, struct buf *names) must_check;

/* Takes it out, undone. */
void disk_forget(struct sim_disk *disk, uint32_t op);

static inline void disk_count_slow(struct sim_disk *disk) { disk->counts.slow++; }

/* What changes names, with no fault; else 0. */
int64_t disk_change_names(struct sim_disk *disk, const struct disk_op *op);
