/* block.h -- clients that wait for keys (BLPOP and its kin).
 *
 * What      A call that may wait has a struct blocked from the start. If it finds nothing, the shards of its keys keep
 *           waiters for it; its round ends without an answer, and the session keeps the object until somebody claims
 *           it: a shard that has what it waits for, its timer, CLIENT UNBLOCK, or the end of its connection.
 * Order     storage/keyspace/waits.h. block_serve() is called by whoever has changed keys, before anybody else may
 *           change them.
 * Owner     The client's core; the waiters are their shards'. `claim` is shared.
 * Memory    Its arguments are its own copy: the client's input does not stay in place.
 */
#pragma once

#include "query/commands/command.h"

struct core;
struct locked_key;
struct round;
struct session;

/* ---- a call that may wait ------------------------------------------------------------ */

static inline bool blocking_may(const struct blocking *blocking, const struct slice *argv, uint32_t argc)
{
	return !blocking->may || blocking->may(argv, argc);
}

struct blocked *blocked_new(struct session *session, const struct command *command, const struct slice *argv,
                            uint32_t argc) must_check;

/* The call has run and its answer, if it has said one, is in `out`. `said`: it has; then the wait is off, if there is
 * one. True: the session waits. */
bool blocked_settle(struct blocked *blocked, bool said, struct buf *out);

/* It has not run and will not. */
void blocked_discard(struct blocked *blocked);

/* Fiber code: a call whose keys lie on several shards. */
void blocked_run_spread(struct core *core, const struct client_view *client, const struct command *command,
                        struct reply *reply, struct blocked *blocked);

/* ---- keys that came ------------------------------------------------------------------ */

/* Serves who waits for keys that became ready on this core's shard and are not locked, or are among the caller's
 * `n` locked ones. What has changed them is logged. */
void block_serve_ready(struct core *core, const struct locked_key *held, uint32_t n);

static inline void block_serve(struct core *core, const struct shard *shard, const struct locked_key *held, uint32_t n)
{
	if (unlikely(shard->keys_ready))
		block_serve_ready(core, held, n);
}

/* Does any call wait for keys, on any core? Then a write waits for its connection's earlier writes on other shards, so
 * that who is woken finds them. */
bool block_any(const struct core *core);

/* ---- a session that waits: session->blocked ------------------------------------------- */

/* CLIENT UNBLOCK: answers as if the time were over, or with an error. False: it does not wait any more. */
bool session_unblock(struct session *session, bool with_error);

/* The client is gone or going: nothing is served to it from now on. Fine if it does not wait. */
void session_leave(struct session *session);

size_t blocked_memory(const struct blocked *blocked); /* bytes */
