/* How messages get from core to core.
 *
 *   core_request() --credit?--> ring: staged --reactor_publish()--> reactor_drain() there
 *        \------------no------> parked --------^ (with the credit a reply or a read post gives back)
 *
 * Nobody sleeps on a message. The reader announces its sleep, then looks at the rings; the
 * writer publishes, then looks for the announcement; a full fence between the two steps on
 * both sides means that at least one of them sees the other.
 */
#include "engine/core/reactor_private.h"

#include "engine/io/io.h"

static struct ring *ring_between(struct core *core, uint16_t from, uint16_t to)
{
	return &core->machine->rings[from * core->n_cores + to];
}

static uint16_t next_peer(uint64_t *set)
{
	uint16_t id = (uint16_t)__builtin_ctzll(*set);
	*set &= *set - 1;
	return id;
}

/* ---- sending -------------------------------------------------------------------- */

static void fill(struct core *core, struct message *slot, const struct message *message, enum message_kind kind)
{
	*slot = *message;
	slot->from = core->id;
	slot->kind = (uint8_t)kind;
}

static void stage(struct core *core, uint16_t to, const struct message *message, enum message_kind kind)
{
	fill(core, ring_stage(ring_between(core, core->id, to)), message, kind);
	core->reactor->dirty |= 1ull << to;
	core->reactor->stats.messages_sent++;
}

static bool has_credit(struct core *core, uint16_t to)
{
	struct peer *peer = &core->reactor->peers[to];
	if (likely(peer->requests_out + (peer->posts_sent - peer->posts_read_seen) < RING_CREDIT))
		return true;
	struct ring *ring = ring_between(core, core->id, to);
	peer->posts_read_seen = atomic_load_explicit(&ring->posts_read, memory_order_acquire);
	return peer->requests_out + (peer->posts_sent - peer->posts_read_seen) < RING_CREDIT;
}

static void stage_on_credit(struct core *core, uint16_t to, const struct message *message, enum message_kind kind)
{
	struct peer *peer = &core->reactor->peers[to];
	if (kind == MESSAGE_REQUEST) {
		peer->requests_out++;
		core->reactor->awaited++;
	} else {
		peer->posts_sent++;
	}
	stage(core, to, message, kind);
}

static void park(struct core *core, uint16_t to, const struct message *message, enum message_kind kind)
{
	struct reactor *reactor = core->reactor;
	fill(core, message_queue_push(&reactor->peers[to].parked), message, kind);
	reactor->parked |= 1ull << to;
	reactor->stats.messages_parked++;
	/* Asks the reader to wake us after it has read posts: see wake_all(). */
	atomic_store_explicit(&ring_between(core, core->id, to)->starved, true, memory_order_relaxed);
}

static void dispatch(struct core *core, uint16_t to, const struct message *message, enum message_kind kind)
{
	assert(to < core->n_cores);
	if (to == core->id)
		fill(core, message_queue_push(&core->reactor->local), message, kind);
	else if (unlikely(core->reactor->parked & 1ull << to) || unlikely(!has_credit(core, to)))
		park(core, to, message, kind);
	else
		stage_on_credit(core, to, message, kind);
}

void core_request(struct core *core, uint16_t to, const struct message *message)
{
	dispatch(core, to, message, MESSAGE_REQUEST);
}

void core_post(struct core *core, uint16_t to, const struct message *message)
{
	dispatch(core, to, message, MESSAGE_POST);
}

/* A reply needs no credit: its request has paid. */
void core_reply(struct core *core, uint16_t to, const struct message *message)
{
	assert(to < core->n_cores);
	if (to == core->id)
		fill(core, message_queue_push(&core->reactor->local), message, MESSAGE_REPLY);
	else
		stage(core, to, message, MESSAGE_REPLY);
}

static void answer_comes_later(struct core *core, struct message *message) {}

void core_defer(struct core *core, uint16_t to)
{
	if (to != core->id)
		core_reply(core, to, &(struct message){.run = answer_comes_later});
}

static void send_parked(struct core *core, uint16_t to)
{
	struct reactor *reactor = core->reactor;
	struct message_queue *parked = &reactor->peers[to].parked;
	while (!message_queue_empty(parked) && has_credit(core, to)) {
		struct message *message = message_queue_front(parked);
		stage_on_credit(core, to, message, message->kind);
		message_queue_drop(parked);
	}
	if (!message_queue_empty(parked))
		return;
	reactor->parked &= ~(1ull << to);
	atomic_store_explicit(&ring_between(core, core->id, to)->starved, false, memory_order_relaxed);
}

static void wake_if_asleep(struct core *core, uint16_t to)
{
	struct bell *bell = &core->machine->bells[to];
	if (!atomic_load_explicit(&bell->sleeping, memory_order_relaxed))
		return;
	if (!atomic_exchange_explicit(&bell->sleeping, false, memory_order_relaxed))
		return; /* another core was first: one wake a sleep */
	core->reactor->stats.wakes++;
	io_wake(core->io, core->machine->cores[to]->io);
}

/* `relieved` are cores whose posts we have read: one that holds messages back because of
 * them must know, or it could sleep on them for ever. */
static void wake_all(struct core *core, uint64_t sent, uint64_t relieved)
{
	while (sent)
		wake_if_asleep(core, next_peer(&sent));
	while (relieved) {
		uint16_t id = next_peer(&relieved);
		if (atomic_load_explicit(&ring_between(core, id, core->id)->starved, memory_order_relaxed))
			wake_if_asleep(core, id);
	}
}

void reactor_publish(struct core *core)
{
	struct reactor *reactor = core->reactor;
	for (uint64_t parked = reactor->parked; parked;)
		send_parked(core, next_peer(&parked));
	uint64_t sent = reactor->dirty, relieved = reactor->relieved & ~sent;
	if (!(sent | relieved))
		return;
	reactor->dirty = reactor->relieved = 0;
	for (uint64_t left = sent; left;)
		ring_publish(ring_between(core, core->id, next_peer(&left)));
	fence_full(); /* one for all: the other half is in reactor_step() */
	wake_all(core, sent, relieved);
}

/* ---- receiving ------------------------------------------------------------------ */

/* The clock is read once in so many messages: at 27 ns a reading it would be half the cost
 * of a small one. Four together stay under the limit of a stall, or one of them is to blame. */
enum { WATCHED_TOGETHER = 4 };

static void answered(struct core *core, struct peer *peer)
{
	assert(peer->requests_out > 0); /* one reply for each request */
	peer->requests_out--;
	core->reactor->awaited--;
}

/* One message further than the next: a small one takes less time than a line's way here. */
enum { FETCHED_AHEAD = 2 };

static void fetch(const struct message *message)
{
	for (unsigned i = 0; i < message->lines; i++)
		__builtin_prefetch((const uint8_t *)message->args[0].ptr + i * 64);
}

static int drain_ring(struct core *core, uint16_t from)
{
	struct ring *ring = ring_between(core, from, core->id);
	uint32_t n = ring_ready(ring), posts = 0;
	if (n == 0)
		return 0;
	if (n > DRAIN_MAX)
		n = DRAIN_MAX;
	for (uint32_t i = 0; i < n && i < FETCHED_AHEAD; i++)
		fetch(ring_at(ring, i));
	for (uint32_t i = 0; i < n; i++) {
		struct message *message = ring_at(ring, i);
		assert(message->from == from);
		if (i + FETCHED_AHEAD < n)
			fetch(ring_at(ring, i + FETCHED_AHEAD));
		message_fn *run = message->run;
		if (message->kind == MESSAGE_REPLY)
			answered(core, &core->reactor->peers[from]);
		posts += message->kind == MESSAGE_POST;
		run(core, message);
		if (i % WATCHED_TOGETHER == WATCHED_TOGETHER - 1 || i + 1 == n)
			stall_check(core, "message", (const void *)run);
	}
	ring_take(ring, n, posts);
	if (posts)
		core->reactor->relieved |= 1ull << from;
	return (int)n;
}

/* Only what was there before: what these send to their own core runs in the next turn. */
static int drain_local(struct core *core)
{
	struct message_queue *local = &core->reactor->local;
	uint32_t n = local->n;
	if (n == 0)
		return 0;
	if (n > DRAIN_MAX)
		n = DRAIN_MAX;
	for (uint32_t i = 0; i < n; i++) {
		struct message *message = message_queue_front(local);
		message_fn *run = message->run;
		run(core, message);
		message_queue_drop(local);
		if (i % WATCHED_TOGETHER == WATCHED_TOGETHER - 1 || i + 1 == n)
			stall_check(core, "message", (const void *)run);
	}
	return (int)n;
}

static int run_errands(struct core *core)
{
	struct bell *bell = &core->machine->bells[core->id];
	if (likely(!atomic_load_explicit(&bell->errands, memory_order_relaxed)))
		return 0;
	struct errand *newest = atomic_exchange_explicit(&bell->errands, NULL, memory_order_acquire), *oldest = NULL;
	while (newest) {
		struct errand *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	int n = 0;
	for (struct errand *next; oldest; oldest = next, n++) {
		next = oldest->next;
		oldest->run(core, oldest);
	}
	return n;
}

int reactor_drain_rings(struct core *core)
{
	int n = 0;
	for (uint16_t from = 0; from < core->n_cores; from++)
		if (from != core->id)
			n += drain_ring(core, from);
	core->reactor->stats.messages += (uint64_t)n;
	return n;
}

int reactor_drain(struct core *core)
{
	int n = drain_local(core);
	core->reactor->stats.messages += (uint64_t)n;
	n += reactor_drain_rings(core);
	return n + run_errands(core);
}

bool reactor_inbox_empty(struct core *core)
{
	for (uint16_t from = 0; from < core->n_cores; from++)
		if (from != core->id && ring_ready(ring_between(core, from, core->id)) > 0)
			return false;
	for (uint64_t parked = core->reactor->parked; parked;)
		if (has_credit(core, next_peer(&parked)))
			return false;
	return !atomic_load_explicit(&core->machine->bells[core->id].errands, memory_order_relaxed);
}

/* ---- from outside --------------------------------------------------------------- */

void core_errand(struct core *to, struct errand *errand)
{
	struct bell *bell = &to->machine->bells[to->id];
	errand->next = atomic_load_explicit(&bell->errands, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&bell->errands, &errand->next, errand, memory_order_release,
	                                              memory_order_relaxed))
		;
	fence_full();
	if (atomic_load_explicit(&bell->sleeping, memory_order_relaxed) &&
	    atomic_exchange_explicit(&bell->sleeping, false, memory_order_relaxed))
		io_wake(NULL, to->io);
}
