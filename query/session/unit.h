/* unit.h -- changes on several shards that become durable as one, or not at all.
 *
 * What      Whoever holds the locks (or the gate) runs commands on shards between unit_join() and
 *           unit_leave(), which collect what changes there. unit_commit() then logs it: on
 *           one shard as a group; on several by two phases, with this core's log as the
 *           coordinator's. Locks stay until it returns: nobody sees what is in doubt.
 * Where     unit_join() and unit_leave() on the shard's core, in one step; the rest in fiber code of
 *           the client's core.
 * Failure   Memory is ahead of the logs here. If a log fails in the middle, the shards that took
 *           part stop as well: they answer errors until a restart settles it. Where names of keyspaces
 *           are in doubt every key is: then all shards stop.
 * Source    Presumed abort: Mohan, Lindsay, Obermarck, "Transaction Management in the R*
 *           Distributed Database Management System", TODS 1986.
 */
#pragma once

#include "engine/base/err.h"
#include "engine/core/core.h"
#include "storage/journal/journal.h"

struct unit_part;
struct unit {
	struct core *core;
	bool waits;                         /* the client's answers wait for durability */
	bool unlocked;                      /* one step on this core's shard alone: nothing is locked meanwhile */
	bool doomed;                        /* it is not to last: the shards that it changed stop */
	bool renames;                       /* keyspaces: on every shard, and core 0's log says so */
	struct unit_part *parts[CORES_MAX]; /* by core; NULL: nothing ran there */
};

void unit_init(struct unit *unit, struct core *core, bool waits);
void unit_fini(struct unit *unit);

void unit_join(struct core *there, struct unit *unit);
void unit_leave(struct core *there, struct unit *unit);

/* Those of a shard that is joined, for what no command notes. */
struct changes *unit_changes(const struct core *there, const struct unit *unit);

/* Waits until all that any shard has changed so far is durable. Fiber code. */
enum err unit_wait_everywhere(struct core *core) must_check;

/* Durable when it returns, if that is waited for or several shards take part. */
enum err unit_commit(struct unit *unit) must_check;
