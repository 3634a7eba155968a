/* tracking.h -- clients that keep what they have read are told when it changes (CLIENT TRACKING).
 *
 * What      Each shard remembers which clients have read which of its keys (readers.h), and forgets it when it tells
 *           them. Clients in broadcasting mode are told of all keys that begin so, read or not. Keys go by their
 *           names, whatever their database, as in Redis.
 * Order     A client is told of a change after the answer of the read that the change makes stale, never before: the
 *           message follows the answer from core to core, and where it finds a round running it waits for its end.
 *           It does not wait until the change is durable: who reads again does.
 * Lost      Nothing is. Where too much is under way to a core, it is told that everything has changed.
 * Own       A client with NOLOOP is not told of its own changes, and stays a reader: of the next one by others it is
 *           told. (Redis forgets it then.) That a key expires or is evicted is nobody's change.
 * Cost      One test for each command while nobody tracks.
 * Owner     What was read: the shard's core. Who tracks and how: the core of the client's connection.
 */
#pragma once

#include "engine/base/compiler.h"
#include "query/commands/command.h"

struct core;
struct tracking;
struct tracker; /* hangs from a session that tracks, or that others' messages go to */

/* What a shard must know of the client; in struct client_view. */
enum tracks {
	TRACKS_READS = 1, /* keys that it reads are remembered */
	TRACKS_NO_LOOP = 2,
};

enum tracking_options {
	TRACKING_BROADCAST = 1 << 0,
	TRACKING_OPT_IN = 1 << 1,
	TRACKING_OPT_OUT = 1 << 2,
	TRACKING_NO_LOOP = 1 << 3,
};

struct tracking *tracking_new(struct core *core) must_check;
void tracking_free(struct tracking *tracking);

/* Trims what is remembered on this core's shard to what core->settings say. */
void tracking_follow_settings(struct core *core);

/* ---- for those who run commands ---------------------------------------------------- */

/* Must a command of this client on this shard go through tracking_run()? */
static inline bool tracking_concerns(const struct shard *shard, const struct client_view *client)
{
	return (client->tracks && shard->core) || shard->tracked;
}

/* Runs a command, and remembers the keys that it has read. */
enum err tracking_run(struct exec *exec) must_check;

/* On the key's core: the client reads it now. */
void tracking_read(struct core *there, const struct client_view *client, uint64_t hash, struct slice name);

/* Changes between the two are this client's; in one step. */
void tracking_write_begins(struct core *there, const struct client_view *client);
void tracking_write_ends(struct core *there);

/* Every key may have changed: this shard forgets its readers, and this core's clients are told. Said on all cores,
 * while no command runs on any. */
void tracking_all_changed(struct core *there);

/* Does any client of the server track? Then a write waits for its connection's earlier writes on other shards. */
bool tracking_anywhere(const struct core *core);

/* ---- for sessions ------------------------------------------------------------------ */

struct tracking_choice {
	uint32_t options;
	uint64_t redirect; /* id of the client that messages go to; 0: to itself */
	const struct slice *prefixes;
	uint32_t n_prefixes;
};

/* Is there a client of this id on any core? Fiber code. */
bool tracking_client_lives(struct core *core, uint64_t id);

/* Begins, or goes on in another way. When it returns all shards know. Fiber code. */
void tracking_begin(struct session *session, const struct tracking_choice *choice);
void tracking_end(struct session *session);

/* The session is about to go. */
void tracking_drop(struct session *session);

/* For struct client_view. */
uint8_t tracking_view(const struct session *session);

bool tracking_is_on(const struct session *session);
uint32_t tracking_options(const struct session *session);
bool tracking_is_broken(const struct session *session); /* the client that messages went to has gone */
uint64_t tracking_redirect(const struct session *session);

/* The prefixes that a session listens to, in order; `visit` is shown each. */
void tracking_each_prefix(const struct session *session, void (*visit)(void *arg, struct slice prefix), void *arg);
uint32_t tracking_count_prefixes(const struct session *session);

/* CLIENT CACHING counted for the command that has just run, or transaction; not for CLIENT's own. NULL: for one that
 * is unknown. */
void tracking_caching_over(struct session *session, const struct command *command);

/* ---- for INFO ----------------------------------------------------------------------- */

struct tracking_sums {
	uint64_t clients, keys, items, prefixes;
};

/* Over all cores. Fiber code. */
struct tracking_sums tracking_sum(struct core *core);
