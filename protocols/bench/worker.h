/* worker.h -- one core of the generator, and the connections it drives.
 *
 * What      All cores walk through the same phases; the last that is done with one sends
 *           all into the next. A closed loop sends a connection's next pipeline when the
 *           last reply of the one before has come. An open loop sends by the clock alone:
 *           pipeline k of the core is due at start + k * gap, and its latency counts from
 *           that moment, however late it really left.
 * Owner     A worker belongs to its core. Others read its `replies` and `errors` while it
 *           runs, and everything once all cores have left their loops.
 */
#pragma once

#include "engine/core/reactor.h"
#include "engine/core/timer.h"
#include "engine/io/io.h"
#include "protocols/bench/histogram.h"
#include "protocols/bench/options.h"
#include "protocols/bench/replies.h"
#include "protocols/bench/verify.h"

#include <stdatomic.h>

enum phase {
	PHASE_ENCODE,
	PHASE_CONNECT,
	PHASE_GREET, /* AUTH, SELECT, HELLO */
	PHASE_FILL,
	PHASE_RUN,
	PHASE_END,
	PHASE_COUNT,
};

/* What was measured between the opening and the closing of the window. */
struct measure {
	bool opened, closed;
	uint64_t from_ns, to_ns;
	uint64_t replies, errors, nulls;
	uint64_t unanswered;              /* open loop: due before the end, not answered by then */
	uint64_t cpu_ns, spin_ns, enters; /* of this core */
	uint64_t server_cpu_ns;           /* core 0: of --server-pid */
	struct histogram latency;
};

struct worker {
	struct bench *bench;
	struct core *core;
	struct io *io;
	pthread_t thread;
	uint16_t id;
	enum phase phase;
	struct client *clients;
	uint64_t n_clients, client_first;   /* the first one's number among all */
	uint64_t n_opened, n_ready, n_open; /* of clients: started to connect, done with the phase, not closed */
	bool over;                          /* the run: nothing is sent any more */
	/* Pipelines: still allowed (by --requests), taken to be sent, answered whole. */
	uint64_t batches_left, n_taken, n_answered;
	struct speaker speaker;
	/* Open loop: */
	uint64_t start_ns, n_due, next_client;
	double gap_ns;
	struct turn_end schedule;
	struct timer open_at, close_at, progress_at;
	struct errand interrupt;
	/* Since the start of the run, or of the fill: */
	uint64_t replies, errors, nulls;
	uint64_t progress_seen;
	struct measure measure;
};

/* All cores of one run. */
struct bench {
	struct options options;
	struct machine *machine;
	struct worker *workers;
	const uint8_t *noise;
	struct buf greeting;
	uint64_t greeting_replies;
	bool progress;                         /* a line each second */
	pthread_barrier_t joined, left;        /* all cores and the main thread */
	_Atomic uint32_t arrived[PHASE_COUNT]; /* cores that are done with it */
	atomic_bool unmade;                    /* a core could not be had: none runs */
	atomic_bool failed, interrupted, finished;
	uint64_t interrupted_ns; /* the main thread's */
	_Atomic uint64_t fill_from_ns, fill_to_ns;
	uint64_t filled, fill_errors;
	char why[256]; /* the first failure's */
	char server_error[REPLIES_ERROR_MAX + 1];
};

/* The thread of a worker: joins, runs until the end, leaves. */
void worker_main(void *worker);

/* Ends the run early; called through worker->interrupt. */
void worker_interrupt(struct core *core, struct errand *errand);
