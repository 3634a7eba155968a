/* spread.h -- commands whose keys lie on several shards, as one atomic step.
 *
 * What      A lockset is a set of keys on any shards, locked in the global order (core,
 *           then fingerprint). While it is held, spread_execute() runs a command on it:
 *           the values come to a scratch shard of this core, the command's ordinary
 *           function runs there, and what it changed goes back.
 * Where     Fiber code of the client's core.
 * Cost      One message there and back for each core to lock and fetch, one to apply and
 *           release, and those of unit.h. Values travel whole, packed.
 */
#pragma once

#include "query/commands/command.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct session;
struct unit;

/* A key of the set; points to its name, which must stay. */
struct locked_key {
	struct slice name;
	uint64_t hash;
	uint16_t slot, core;
	struct reach reach;  /* of a large collection */
	struct buf *fetched; /* packed values by database, of those fetched; else NULL */
	int64_t *expires_ms;
	bool *dirty;
};

struct lockset {
	struct core *core;
	struct locked_key *keys; /* sorted by (core, hash, name), each once */
	uint32_t n, room;
};

void lockset_add(struct lockset *set, const struct core *core, struct slice name);

/* The same for argv[at] of a call, which says what it needs of the value. Of a key that is there already more than one
 * call needs all, or nothing: one changes what the other will find. */
void lockset_add_for(struct lockset *set, const struct core *core, const struct command *command,
		     const struct slice *argv, uint32_t argc, uint32_t at);

void lockset_lock(struct core *core, struct lockset *set);    /* waits */

/* The same, unless a script keeps one of them for too long: then none is locked, and why is told. */
bool lockset_lock_unless_busy(struct core *core, struct lockset *set, const char **why) must_check;

/* Adds a key to a set that is locked, and locks it, if that can be had at once. `name` must stay. Waits for its core. */
bool lockset_try(struct core *core, struct lockset *set, struct slice name);
bool lockset_has(const struct lockset *set, const struct core *core, struct slice name);

/* Locks a set whose keys all lie on this core, where no lock is held: at once. */
void lockset_hold(struct core *core, struct lockset *set);

/* Fiber code: values of these keys that are cold come back; the locks, or the gate, are held. In one database, or
 * (-1) in all. */
void lockset_warm(struct core *core, struct lockset *set, int db);

/* Fiber code: until the shards of these keys have room for more, or no hope of it; holding nothing. */
void lockset_wait_for_room(struct core *core, struct lockset *set);

void lockset_release(struct core *core, struct lockset *set); /* waits for the last */
void lockset_fini(struct lockset *set);

/* Runs a command whose keys are all in the locked set, and that was admitted. Says its reply. What it changes belongs to
 * `unit`. */
void spread_execute(struct core *core, const struct client_view *client, const struct command *command,
		    const struct slice *argv, uint32_t argc, struct reply *reply, struct unit *unit);

/* Locks, runs, makes durable, releases: for a command by itself. */
void spread_run(struct core *core, const struct client_view *client, const struct command *command,
		const struct slice *argv, uint32_t argc, struct reply *reply);
