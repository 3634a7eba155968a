/* world.h -- one server on simulated I/O: its cores step in turn, in one thread.
 *
 * What      The real reactors, rings, fibers, network, commands and shards. Between any two
 *           stages of a core's loop others may run. A core that sleeps runs again when it
 *           was woken, something is due for it, or its timer is; sometimes for nothing.
 *           Changes of the shared keys are noted down in `history` as they are seen.
 * Disk      With config->keeps there is a store on the disk that the sim uses: step until world_is_open() or
 *           world_refused(). When that disk has crashed the world stands still: leave it as it is.
 */
#pragma once

#include "engine/core/core.h"
#include "tests/sim/history.h"

enum { WORLD_PORT = 6379 };
#define WORLD_DIRECTORY "data"

struct world;
struct command_index;
struct key;

struct world *world_new(const struct config *config, struct sim *sim, const struct command_index *index,
                        struct history *history) must_check;
void world_free(struct world *world);

/* Lets one core make one step; false: all sleep, and nothing is due for any. */
bool world_step(struct world *world);

/* A core that sleeps though it has messages to read or to send, and that nobody has woken;
 * -1: none. */
int world_sleeper(struct world *world);

/* Cores sleep, nothing is under way to any, and no command waits for a lock or the disk: is there a key that has what
 * a client waits for, which nobody has told it? NULL: none. */
const struct key *world_overlooked(struct world *world);

/* When a core that sleeps will next have something to do; UINT64_MAX: never by itself. */
uint64_t world_next_ns(struct world *world);

struct core *world_core(struct world *world, uint16_t id);

/* ---- with a store ------------------------------------------------------------------------ */

bool world_is_open(const struct world *world);
const char *world_refused(const struct world *world); /* why the directory was; NULL: it was not */
struct store *world_store(struct world *world);

/* A key as it lies there now; between steps. NULL: it is not there. */
struct object *world_object(struct world *world, uint8_t db, struct slice name);
/* The value of a key, wherever it lies: what is not in memory is read from the disk, behind the server's back.
 * TEXT_NONE: there is no object; TEXT_LOST: what lies on the disk is not what was written. */
uint32_t world_text(const struct world *world, struct texts *texts, const struct object *object);
uint64_t world_keys(struct world *world); /* of all databases */

struct tier_counters; /* storage/tier/tier.h */
void world_add_tiers(const struct world *world, struct tier_counters *sum);

/* Is something in memory that is not durable? */
bool world_is_behind(const struct world *world);

/* Closes the logs, after the drain: step until world_is_closed(). */
void world_close(struct world *world);
bool world_is_closed(const struct world *world);

/* What the store is at, for the count of crashes. */
enum moment {
	MOMENT_BEGIN,    /* looks at the directory */
	MOMENT_LOAD,     /* reads images and logs */
	MOMENT_OPEN,     /* has read them: manifest, logs and outcomes of this start */
	MOMENT_MANIFEST, /* a manifest is being written while it serves */
	MOMENT_CLEAN,    /* what is live in a file of cold values is moved to another */
	MOMENT_DEMOTE,   /* values leave memory, */
	MOMENT_FETCH,    /* and come back */
	MOMENT_IMAGE,    /* images are written */
	MOMENT_COMMIT,   /* a command over several shards holds its locks */
	MOMENT_SERVE,
	MOMENT_CLOSE,
	MOMENTS
};
extern const char *const moment_names[MOMENTS];
enum moment world_moment(struct world *world);

/* ---- the end --------------------------------------------------------------------------------- */

/* As at the end of the server: asks, then cuts, then ends; step until world_is_quiet(). */
void world_drain(struct world *world);
void world_cut(struct world *world);
void world_stop(struct world *world);
bool world_has_connection(struct world *world, int fd); /* or will have */
uint32_t world_connections(const struct world *world);
bool world_has_stopped(const struct world *world);

/* Walks the structures of all shards. */
void world_verify(struct world *world);

void world_print(struct world *world, FILE *to);

/* Of a server that nobody uses, and that has no keys unless it may: is there anything left?
 * Says what. */
bool world_is_clean(struct world *world, bool may_have_keys, char *why, size_t why_size);
