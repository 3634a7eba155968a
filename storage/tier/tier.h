/* tier.h -- values of one shard that have left memory.
 *
 * What      Files `tier/NUMBER`, written front to back and never changed: records of key and value, many in one
 *           write. A demotion writes values that were not used for long, and when the device has them, memory
 *           keeps a pointer (storage/keyspace/cold.h) and the log a record that says it. A fetch brings one back
 *           with one read. A cleaner copies what is still pointed to out of files that are mostly dead.
 * Pressure  Under the policy `tier` values begin to leave at 90 % of the shard's memory. At the limit who adds
 *           waits (tier_wait_for_room()); only when nothing more can leave, or the disk takes nothing, is
 *           there no memory.
 * Files     belong to nobody: a pointer names its file by number, and any core reads any file. The core that wrote
 *           one, or inherits pointers into it, counts the live bytes of its own keys. A file goes when no
 *           core points there, and no image or log range that is kept either: see tier_needs().
 * Locks     A fetch holds its key's lock while it reads. The value of a key that is locked never leaves: its lock may
 *           stand for a transaction that is not decided.
 * Owner     One core.
 * Failure   A record that cannot be read, or is not the one that was written, makes its key answer errors: it is never
 *           a wrong value. A write that fails is not repeated; another file is begun after a while.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "engine/base/list.h"
#include "storage/keyspace/cold.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct tier;

/* ---- life ------------------------------------------------------------------------- */

/* The files there are: read once, before the tiers are made. */
struct tier_list {
	struct tier_listed {
		uint32_t number;
		uint64_t size;
		uint64_t live; /* of all cores, once tier_tell_live() was called on each */
	} * all;
	uint32_t n;
	uint32_t next_number;
};
/* Fiber code. 0 or -errno; no directory is no file. */
int tier_survey(struct core *core, const char *directory, struct tier_list *out) must_check;
void tier_list_fini(struct tier_list *list);

/* Sets shard->tier; what cold keys the shard has already is counted. New files take every `step`th number from
 * `next_number` on, so that cores never meet. */
struct tier *tier_new(struct core *core, const char *directory, uint64_t file_size, const struct tier_list *list,
                      uint32_t next_number, uint32_t step) must_check;

/* After everything is loaded: adds this core's live bytes up; and then, when all have, learns which part of each
 * file is its to clean. */
void tier_tell_live(struct tier *tier, struct tier_list *list);
void tier_learn_share(struct tier *tier, const struct tier_list *list);

/* From now on values may leave: the shard has a journal. */
void tier_begin(struct tier *tier);

/* Once in a while: is there something to clean? And settings have changed. */
void tier_tend(struct tier *tier);

/* Fiber code: lets what is under way end. Fetches that wait are not waited for: no client is there. */
void tier_stop(struct tier *tier);

/* Clears shard->tier. NULL is fine. */
void tier_free(struct tier *tier);

/* ---- pointers --------------------------------------------------------------------- */

/* Could a record lie there? For pointers that were read from a disk. */
bool tier_may_point(const struct cold_pointer *pointer);

void tier_retain(struct tier *tier, const struct cold_pointer *pointer);
void tier_release(struct tier *tier, const struct cold_pointer *pointer);

/* The same of a leaf that is away: the tier knows where it is, and tells it its place. */
void tier_retain_leaf(struct tier *tier, struct leaf *leaf, const struct cold_pointer *pointer);
void tier_release_leaf(struct tier *tier, const struct leaf *leaf, const struct cold_pointer *pointer);

/* ---- pressure --------------------------------------------------------------------- */

/* shard_admit() under this policy: begins in time. False: nothing more can leave. */
bool tier_admit(struct shard *shard);

/* Should who adds wait? Not where values cannot leave: there tier_admit() says no. */
bool tier_is_full(const struct shard *shard);

/* Lies in its owner until `run` is called: there is room, or no hope of it. In order of arrival. */
struct room_waiter {
	struct link link;
	void (*run)(struct shard *shard, struct room_waiter *waiter);
};
void tier_wait_for_room(struct shard *shard, struct room_waiter *waiter);

/* ---- values back ------------------------------------------------------------------- */

/* Is something of the key's value needed from the tier? The key lives, and its value, or a leaf of it within reach, is
 * not in memory and not known to be lost. */
bool tier_must_fetch(struct shard *shard, const struct key *key, const struct reach *reach);

/* Is something within reach still not in memory? */
bool tier_lacks(const struct object *object, const struct reach *reach);

/* Begins to bring it back; the name is copied. Leaves come one after the other. Takes the key's lock (LOCK_HOLD) before
 * it reads, so that whoever takes the lock afterwards finds the value, or the key cold and lost. `inside`: see struct
 * lock_waiter; `first`: in front of those who wait for the lock already. False: a whole value for this key is on its way
 * already, and nothing is begun. */
bool tier_fetch(struct shard *shard, const struct key *key, const struct reach *reach, bool inside, bool first);

/* The same for who holds the lock, or the gate; `done` is called once for each, maybe before this returns. */
struct fetch_waiter {
	void (*done)(struct fetch_waiter *waiter);
};
void tier_fetch_held(struct shard *shard, const struct key *key, const struct reach *reach,
                     struct fetch_waiter *waiter);

/* Fiber code: reads and checks one record of a directory, for tools. 0; -EBADMSG: it is not there. `record` holds
 * what `key` and `packed` show. */
int tier_read(struct core *core, const char *directory, const struct cold_pointer *pointer, struct buf *record,
              struct slice *key, struct slice *packed) must_check;

/* ---- files that nobody needs --------------------------------------------------------- */

/* No image and no log range that is kept knows anything from before this LSN. */
void tier_forget_before(struct tier *tier, uint64_t lsn);

/* Bytes of files that go with the next images. */
uint64_t tier_idle_bytes(const struct tier *tier);
uint64_t tier_live_bytes(const struct tier *tier);

/* May some key of this shard, or what is kept on disk, point to the file, or is it being written? */
bool tier_needs(const struct tier *tier, uint32_t number);

/* It has been removed. */
void tier_drop_file(struct tier *tier, uint32_t number);

/* "DIRECTORY/tier/NUMBER"; and the number of a name, 0 if it is none. */
void tier_path(const char *directory, uint32_t number, char *out, size_t size);
uint32_t tier_number(const char *name);

struct tier_counters {
	uint64_t reads, demotions, dropped; /* values read; that left with a write, for nothing */
	uint64_t leaves;                    /* of large collections that left: among `demotions` */
	uint64_t written_bytes, cleaned_bytes;
	uint64_t lost;
};
const struct tier_counters *tier_counters(const struct tier *tier);

/* Asserts that the counts are those of the keys; for tests. */
void tier_verify(struct tier *tier);
