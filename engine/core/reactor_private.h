/* reactor_private.h -- the loop's state, shared by the files of this folder. */
#pragma once

#include "engine/base/rare.h"
#include "engine/core/queue.h"
#include "engine/core/reactor.h"
#include "engine/core/ring.h"

/* What others write about a core: read by its owner at the edge of sleep, and by whoever
 * may have to wake it. */
struct bell {
	alignas(CACHE_PAIR) atomic_bool sleeping;
	_Atomic(struct errand *) errands; /* newest first */
};

/* The sending side towards one other core. */
struct peer {
	uint32_t requests_out; /* in the ring or unanswered */
	uint32_t posts_sent;
	uint32_t posts_read_seen; /* copy of the ring's posts_read */
	struct message_queue parked;
};

struct stall_watch {
	uint64_t mark_ns, mark_cpu_ns; /* both clocks, read together not long ago */
	uint64_t logged_ns;
	uint32_t unlogged;
};

/* How long to look on before sleeping. */
struct spin {
	enum reactor_poll poll;
	uint64_t ns, ns_start, ns_max;
	uint64_t from_ns;       /* since when there was nothing to do; 0: there was */
	uint64_t slept_from_ns; /* 0: did not sleep */
	bool idle;              /* this turn found nothing to do */
	uint64_t sampled_ns;    /* when preemptions were looked at */
	uint64_t preemptions;
	uint64_t crowded_until_ns; /* somebody else wants this CPU */
};

struct xoshiro {
	uint64_t s[4];
};

static_assert(CORES_MAX <= 64, "sets of peers are words");

struct reactor {
	enum reactor_stage stage; /* the one that is due */
	/* Sets of peers, a bit each: */
	uint64_t dirty;             /* staged messages to publish */
	uint64_t parked;            /* messages without credit */
	uint64_t relieved;          /* posts of theirs were read this turn */
	uint32_t awaited;  /* requests to others that are not answered yet */
	struct message_queue local; /* messages to the own core */
	bool clock_read;            /* by io_poll(), on behalf of the turn that begins */
	int n_called;               /* completions that the last io_poll() handled */
	uint64_t at_ns;             /* the clock when it was last read: what runs next began then */
	uint64_t wall_read_ns;      /* when core->wall_us was last read, not reckoned */
	int64_t wall_read_us;
	struct link ready[CLASS_COUNT];
	int64_t credit_ns[CLASS_COUNT]; /* time the lower classes may take */
	uint64_t lower_ended_ns;
	int64_t query_ahead_ns; /* of background, weighted, on a quiet core */
	struct link turn_ends;
	struct stall_watch watch;
	struct spin spin;
	struct xoshiro random;
	struct reactor_stats stats;
	struct peer peers[];
};

enum {
	DRAIN_MAX = RARE(256, 3), /* messages from one source in a turn */
	STALL_NS = 200 * 1000,
	STALL_LOGGED_NS = 1000 * 1000,
};

/* Before looking for what another core wrote after looking for what we write. TSan knows no
 * fences and warns of them; all that these order are atomics. */
#pragma GCC diagnostic push
#ifdef __SANITIZE_THREAD__
#pragma GCC diagnostic ignored "-Wtsan"
#endif
static inline void fence_full(void) { atomic_thread_fence(memory_order_seq_cst); }
#pragma GCC diagnostic pop

/* reactor.c */
void reactor_init(struct core *core);
void reactor_awake(struct io *io);

/* message.c */
int reactor_drain(struct core *core);        /* runs what arrived; returns how many */
int reactor_drain_rings(struct core *core);  /* only what came from others */
void reactor_publish(struct core *core);     /* makes what was staged visible, and wakes who sleeps */
bool reactor_inbox_empty(struct core *core); /* looks at the writers' lines; nothing that could be sent either */

/* task.c */
void tasks_init(struct reactor *reactor);
bool tasks_ready(const struct reactor *reactor);
int tasks_run(struct core *core, bool quiet); /* quiet: nothing else was found to do this turn */

/* stall.c */
void stall_refresh(struct core *core);
void stall_check(struct core *core, const char *name, const void *code); /* of what ran since reactor->at_ns */
void stall_check_calls(struct core *core, int n);                        /* of io_poll()'s callbacks */
