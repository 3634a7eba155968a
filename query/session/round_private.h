/* round_private.h -- what a round's parts share with each other, with spread.c and transaction.c.
 *
 *   round.c      a client's calls: placed on shards, run, their answers put together
 *   batch.c      those of one core
 *   round_last.c the one that ends a round
 */
#pragma once

#include "engine/base/rare.h"
#include "engine/core/core.h"
#include "query/commands/commands.h"
#include "query/session/round.h"
#include "query/session/session.h"
#include "storage/journal/journal.h"
#include "storage/locks/locks.h"

enum { MAY_WRITE = COMMAND_WRITE | COMMAND_SCRIPT };
enum { ROUND_CALLS = RARE(256, 5), ROUND_KEYS_INLINE = RARE(64, 3) };

/* What must happen with a call. */
enum call_kind {
	CALL_SHARD,    /* all keys on one shard: in that shard's batch */
	CALL_HERE,     /* no keys: on the client's core, at once */
	CALL_FIBER,    /* the same, but it waits */
	CALL_SPREAD,   /* keys on several shards */
	CALL_ROAM,     /* keys that it does not name */
	CALL_QUEUE,    /* inside MULTI */
	CALL_UNSOUND,  /* command_resolve() says the error */
	CALL_NO_AUTH,
	CALL_SUBSCRIBED, /* not allowed while subscribed in RESP2 */
	CALL_MONITORING, /* not allowed while it says MONITOR */
};

struct call {
	const struct command *command;
	struct call *next;   /* in its batch */
	uint64_t hash;       /* of the first key */
	uint32_t args_at, argc; /* in the round's arguments */
	uint16_t slot, core;
	uint8_t kind;
	uint8_t first_key;   /* position of the first key among the arguments */
	bool many_keys;
	bool resolved;       /* more than its name was looked at: a subcommand */
	bool direct;         /* its answer went straight to the wire */
	bool failed;
	bool refused;        /* failed before it began */
	size_t from, to;     /* else: its answer in the batch's `out` */
};

/* Who lines up for a fiber: the task is made ready when one may be had. */
struct fiberless {
	struct link link;
	struct task *task;
};

/* The calls of a round on one core. Those for another core go there in a parcel, and run from
 * a batch of its own: see parcel.h. */
struct batch {
	struct round *round; /* NULL: another core's */
	struct call *first, **last;
	uint32_t n;
	uint32_t parked;     /* calls that wait for a lock */
	struct call *rest;   /* those behind a parked call on several keys, or a script: they wait for it */
	struct call *script; /* that goes on by itself; counts as parked */
	bool passed;         /* every other call has been run or parked */
	bool deferred;       /* its core answers by a post */
	bool disordered;     /* a call has waited: others answered before it */
	bool direct;         /* answers go to the wire as they are said: none may have to be held back */
	uint32_t flags;      /* of all its commands together */
	struct blocked *blocked; /* of its one call, if that may wait for keys */
	struct log_waiter waiter; /* until what the answers rest on is durable */
	uint16_t core;
	struct client_view client;
	const struct reply_ops *ops;
	const struct slice *arguments;
	struct buf out, loans;
	size_t out_from;     /* where its answers begin in `out` */
	struct buf parcel;
};

struct round {
	struct rounds *rounds;
	struct core *core;
	struct session *session;
	const struct round_sink *sink;
	void *wire;
	struct task resume;      /* goes on after an answer that came on this core */
	struct fiberless line;
	uint32_t n;
	uint32_t pending;        /* batches not done */
	bool has_last;           /* the last call is not a batch's */
	struct blocked *blocked; /* of the one call, which may wait for keys; else NULL */
	bool running_now;        /* inside round_run() */
	bool starting;           /* inside fiber_start(): whoever called it sees the end himself */
	bool last_done;
	bool strict;
	bool scripted;           /* it has scripts, and so calls of one core alone */
	bool notifies;           /* changes are told of or waited for: writes run in order over the shards */
	struct slice *arguments;
	uint32_t n_arguments, arguments_room;
	uint16_t cores[CORES_MAX]; /* with a batch, in order of first use */
	uint16_t n_cores;
	struct batch **batches;  /* by core; NULL until used */
	struct buf side, side_loans; /* the last call's answer, if it waits */
	struct reply side_reply;
	struct round *next_free;
	struct call calls[ROUND_CALLS];
};

struct rounds {
	struct core *core;
	struct round *free;
	uint32_t n_free;
	struct guest *guests;    /* free ones: parcel.h */
	uint32_t n_guests;
	struct shard *scratch;   /* for spread calls */
	struct script_jobs *scripts;
	struct link paused;      /* struct postponed: oldest first */
	struct timer pause_look; /* at them */
	uint32_t n_fibers;       /* of rounds, now */
	struct link fiberless;   /* who waits for a fiber, oldest first */
	const struct fiber *gate_holder;
	uint32_t gate_depth;
	uint64_t batches;        /* run on this core */
	uint64_t call_ns;        /* one call's share of the last batch that was timed */
};

/* May a command with these flags run now? Evicts if it may grow; see shard_admit(), shard_refuses(). One that neither
 * reads nor writes keys may: INFO and PING tell of a shard that has stopped. */
static inline enum err call_admit(struct shard *shard, uint32_t flags)
{
	if (!(flags & (COMMAND_READ | COMMAND_WRITE | COMMAND_GROWS)))
		return OK;
	enum shard_use use = SHARD_READS;
	if (flags & COMMAND_GROWS)
		use = SHARD_GROWS;
	else if (flags & COMMAND_WRITE)
		use = flags & COMMAND_ALL_SLOTS ? SHARD_FREES : SHARD_WRITES;
	TRY(shard_refuses(shard, use));
	return use == SHARD_GROWS && shard->memory_max && !shard_admit(shard) ? ERR_NO_MEMORY : OK;
}

/* Must each command on it be asked for with call_admit()? */
static inline bool shard_is_guarded(const struct shard *shard)
{
	return shard->memory_max || shard_refuses(shard, SHARD_GROWS) != OK;
}

/* What a reply has said so far; what comes later can be taken back. */
struct reply_mark {
	size_t said, lent;
};
struct reply_mark reply_mark(const struct reply *reply);
void reply_take_back(struct core *core, struct reply *reply, struct reply_mark mark);

/* May a client's work start a fiber now? If not it is in line. It says when the fiber is about to end. */
bool fiber_granted(struct rounds *rounds, struct fiberless *line);
void fiber_over(struct rounds *rounds);

/* Forgets the calls of a round of which nothing has run. */
void round_cancel(struct round *round);

/* Runs one call here as the client sees it, whatever locks say. `admitted`: call_admit() was asked before, as for the
 * parts of what happens whole or not at all. */
void call_execute(struct core *core, struct shard *shard, const struct client_view *client, struct session *session,
		  const struct command *command, const struct slice *argv, uint32_t argc, struct reply *reply,
		  bool admitted);

/* Counts a call that has run, in `ns`, for statistics and the slow log. */
void call_count(struct core *core, const struct client_view *client, const struct command *command,
		const struct slice *argv, uint32_t argc, uint64_t ns, bool failed);

/* The view of a client on a shard: its database under this shard's id. */
struct client_view view_on_shard(const struct client_view *client, const struct shard *shard);

/* Positions of a command's keys: in `room`, or in memory of its own if there are more
 * (then *owned is to be freed). The number, or -1. */
int keys_positions(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t *room,
		   uint32_t room_n, uint32_t **out, uint32_t **owned);

/* ---- round.c: its parts ------------------------------------------------------------ */

/* All its batches, or its last call, are done: says so to the wire if all of it is. */
void round_goes_on(struct round *round);

bool round_is_muted(const struct session *session);

/* Appends bytes [from, to) of `out` with the loans between them to the wire's output. */
void round_stitch(struct round *round, const struct buf *out, const struct buf *loans, size_t *loan_at, size_t from,
		  size_t to);

/* Empties one, and keeps its memory for the next round if it is little. */
void round_shrink_buffer(struct buf *buf);

/* ---- round_last.c ------------------------------------------------------------------ */

/* True: it has answered. Else a task of the round goes on. */
bool round_run_last(struct round *round);

/* ---- batch.c ----------------------------------------------------------------------- */

/* Sends a round's batches to the other cores; the one of its own core waits for batch_run(). */
void batches_send(struct round *round);

/* Runs its calls on their shard. `direct` (may be NULL) is the wire's own output: answers go there until a call has to
 * wait, those after it to the batch's buffer. */
void batch_run(struct core *core, struct batch *batch, struct buf *direct, struct buf *direct_loans);

/* May its answers have to be held back until something is durable? */
bool batch_may_wait(const struct core *core, const struct batch *batch);

/* All calls have run. True: the answers may go; else the batch is passed when what they rest on is durable. */
bool batch_settles(struct core *core, struct batch *batch);

void loans_drop(struct core *core, struct buf *loans);
