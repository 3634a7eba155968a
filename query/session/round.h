/* round.h -- one read's commands of one client, squashed by shard.
 *
 * What      A wire adds the commands that it parsed; commands on keys gather until one
 *           comes that is none (a barrier, always the last), the round is full, or the
 *           input ends; then the round runs. Each other core gets its calls in one message
 *           and the local ones run meanwhile, with their memory prefetched; answers are
 *           put together in the order of the calls. Commands whose keys lie on several
 *           shards, and those that wait, run in a fiber.
 * Owner     The client's core. Arguments point into the client's input, which must stay
 *           in place until the round is done; one round of a client runs at a time.
 * Order     Calls on one shard run in order; those on different shards side by side,
 *           unless the setting pipeline-order is `strict`.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/list.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct round;
struct rounds;
struct session;

struct rounds *rounds_new(struct core *core);
void rounds_free(struct rounds *rounds);

/* What a wire does for its rounds. */
struct round_sink {
	/* Where answers go, in order. */
	struct buf *(*out)(void *wire);
	/* A value by reference, at the end of the output so far; `sent` once it was. */
	void (*lend)(void *wire, struct slice bytes, void *object, uint16_t core);
	/* The round is done, all answers are in `out`; only if round_run() returned false. */
	void (*done)(void *wire);
};

/* An empty round for a client. Given back by round_free(), after it is done. */
struct round *round_new(struct session *session, const struct round_sink *sink, void *wire) must_check;
void round_free(struct round *round);

/* Room for the arguments of the next call: `room` slices at least 16. A wire with more
 * asks again with what it needs. */
struct slice *round_arguments(struct round *round, uint32_t n, uint32_t *room);

/* Adds a call with the first `n` arguments that were written there. False: the round is
 * to run now, before anything else is added. */
bool round_add(struct round *round, uint32_t n);

bool round_is_empty(const struct round *round);

/* Is there room for another call? If not, it is to run now. */
bool round_takes_more(const struct round *round);

/* Runs what was added. True: done, the answers are in `out` and the round is empty again.
 * False: `done` comes later. */
bool round_run(struct round *round) must_check;

/* Who waits for the end of CLIENT PAUSE; lies in its owner, who may take `link` out. */
struct postponed {
	struct link link; /* zeroed: does not wait */
	void (*again)(struct postponed *postponed);
};

/* Is the round held back, before it runs? Then round_postpone() forgets its calls, for the
 * wire to add them once more when it is called: a pause may be long, and its clients many. */
bool round_is_paused(const struct round *round);
void round_postpone(struct round *round, struct postponed *postponed);
uint32_t round_postponed(const struct core *core); /* how many of this core wait so */

/* A shard's value came back from being sent. */
void loan_return(struct core *core, void *object, uint16_t from);
