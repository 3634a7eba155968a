/* sim_disk.h -- the disk of a simulated world: what a crash leaves of it, and what it does wrong.
 *
 * What      Files and directories. A world works on one (sim_use_disk() in sim.h; else on one of
 *           its own) and may die at any moment: the disk outlives it, and after sim_disk_crash()
 *           it is as a machine finds it that was switched off and on again.
 * Memory    One shared mapping holds it all, so it outlives a process too: fork, let the child
 *           run the server and _exit() in the middle, and go on with the disk in the parent.
 * States    Of a sector (4096 bytes): *durable*: it stays. *Cached*: a write of it is done but
 *           was not made durable; it is read back, and a crash keeps the old content or the new
 *           one, or mixes both in pieces of 512 bytes, now and then with a piece of garbage. *In
 *           flight*: the write is staged and not done; nobody reads it, and a crash does the same.
 *           What is cached may become durable by itself at any time, so of a sector written twice
 *           a crash may leave the first.
 * Durable   IO_WRITE_DURABLE: the sectors of that write, once it is done, and the file's length up
 *           to its end. io_file_sync(): of that file, all that was done when the sync was staged,
 *           and its length. Neither makes a name durable.
 * Names     Creating, renaming and removing are volatile until io_dir_sync() of the directory that
 *           holds the name (a rename: the new one), staged after they were done. A crash keeps or
 *           undoes each volatile change; a rename wholly or not at all; a change only with those
 *           that it builds on. A directory's own name needs a sync of its parent like any other:
 *           without it all that lies in it is lost.
 * Order     None between operations in flight: each has its effect when it is done.
 * Strict    Directories must be made before files in them. A descriptor opened with IO_OPEN_DIRECT
 *           takes aligned memory, offsets and lengths only, one opened for reading no writes. The
 *           bytes of a write must not change while it is in flight: an assertion.
 * Chance    Drawn from the world's seed while it runs, from `random` in a crash: equal runs leave
 *           equal disks.
 * Owner     One world at a time, one thread. Nothing here is for the program that serves.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_disk;

enum { SIM_SECTOR_SIZE = 4096, SIM_PIECE_SIZE = 512 };

/* Memory for `memory_bytes` (addresses; what is not used costs nothing): contents, old ones of what
 * is cached, copies of what is in flight. To use more is an assertion. Empty, and kind. */
struct sim_disk *sim_disk_new(size_t memory_bytes) must_check;
void sim_disk_free(struct sim_disk *disk); /* NULL is fine */

/* The same once more, with all its states: to try several crashes from one moment. No world uses it. */
struct sim_disk *sim_disk_copy(const struct sim_disk *disk) must_check;

/* ---- faults ------------------------------------------------------------------------------- */

/* All zero: a kind disk. What is not a bound is a chance in 1000, drawn for each operation. */
struct sim_disk_faults {
	uint32_t delay_ns; /* most that an operation takes: so far apart they overtake each other */
	uint32_t slow;     /* chance that it takes up to slow_ns instead */
	uint64_t slow_ns;

	/* -EIO. A write that failed may have landed in part. After a sync or durable write that
	 * failed, what it should have made durable is lost, or stays, at random, and a later sync
	 * succeeds without it, though it may be read until then: as Linux does. A failed change of a
	 * name may have happened. */
	uint32_t read_fails, write_fails, sync_fails, name_fails;

	/* A part is done, a multiple of 4096 (reads) or 512 (writes) bytes, if there is more. */
	uint32_t read_short, write_short;

	/* Reported as success: the bytes land at another sector of this or another file, or nowhere. */
	uint32_t write_misdirected, write_lost;

	uint32_t flip_at_rest; /* one bit of some file, as an operation is done */
	uint32_t flip_on_read; /* one bit of what is read, in memory only */

	/* Room for files, 0: no limit. A write that needs more fails with -ENOSPC, or takes a part. */
	uint64_t room_bytes;

	/* If not empty: faults, room apart, hit only what has this in its path. */
	char where[32];
};

void sim_disk_set_faults(struct sim_disk *disk, const struct sim_disk_faults *faults);
const struct sim_disk_faults *sim_disk_faults(const struct sim_disk *disk);

/* How often each happened, since the disk was made. */
struct sim_disk_counts {
	uint64_t operations, reads, writes, durable_writes, syncs, name_changes; /* done */
	uint64_t reordered; /* done though staged later than one that is not */
	uint64_t slow, read_fails, write_fails, sync_fails, name_fails, read_short, write_short;
	uint64_t write_misdirected, write_lost, flip_at_rest, flip_on_read, full;
	/* in crashes: */
	uint64_t crashes, kills;
	uint64_t sectors_kept, sectors_lost, sectors_torn, sectors_garbled; /* of those not durable */
	uint64_t in_flight;                                                 /* operations */
	uint64_t changes_kept, changes_undone;                              /* of names */
	uint64_t lengths_kept, lengths_lost;
};

const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *disk);

/* The bytes that files take, of room_bytes. */
uint64_t sim_disk_used_bytes(const struct sim_disk *disk);

/* ---- crashes ------------------------------------------------------------------------------- */

/* The power fails after `n` more events (at least 1) and the world stands still: an event is that an
 * operation is staged, or done; one done at that moment had its effect, but nobody is told. From
 * then on no operation is done or has an effect. 0: never mind. The owner of the world polls. */
void sim_disk_crash_after(struct sim_disk *disk, uint64_t n);
bool sim_disk_has_crashed(const struct sim_disk *disk);
uint64_t sim_disk_events(const struct sim_disk *disk); /* so far: to draw `n` from a run that went well */

/* The power fails, or has failed, and comes back: decides what is left, and makes that durable. The
 * world that used it is gone, or stands still for ever; another may use it. */
void sim_disk_crash(struct sim_disk *disk, uint64_t random);

/* The process dies, the machine goes on: what is in flight is done or is not; what was done stays, as
 * volatile as it was. */
void sim_disk_kill(struct sim_disk *disk, uint64_t random);

/* ---- for tests: what is on it, around all states and faults --------------------------------- */

/* Every file, by path ("data/log.0"), the names of each directory sorted. */
void sim_disk_each(const struct sim_disk *disk, void (*see)(void *arg, const char *path, uint64_t size), void *arg);

int64_t sim_disk_size(const struct sim_disk *disk, const char *path); /* -1: there is none */

/* As a process would read it now; how many bytes there were. */
size_t sim_disk_read(const struct sim_disk *disk, const char *path, uint64_t at, void *to, size_t size);

/* Durable at once, directories and names on the way as well; makes the file if there is none. */
void sim_disk_write(struct sim_disk *disk, const char *path, uint64_t at, struct slice bytes);
void sim_disk_cut(struct sim_disk *disk, const char *path, uint64_t size); /* to at most that many bytes */
void sim_disk_remove(struct sim_disk *disk, const char *path);

/* In what is read, and in what lies beneath. Bit 0 is the lowest of the first byte. */
void sim_disk_flip_bit(struct sim_disk *disk, const char *path, uint64_t bit);

/* Would every crash leave these bytes as they are read now, at this path? With `size` 0: the name. */
bool sim_disk_is_durable(const struct sim_disk *disk, const char *path, uint64_t at, uint64_t size);

/* Walks all that it is made of; asserts. */
void sim_disk_verify(const struct sim_disk *disk);
