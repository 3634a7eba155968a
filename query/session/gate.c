#include "query/session/gate.h"

#include "engine/core/fiber.h"
#include "query/session/block.h"
#include "query/session/round_private.h"

/* One core's gate, asked for by a fiber of another. */
struct gate_visit {
	struct lock_waiter waiter;
	uint16_t from;
	bool deferred; /* the answer comes by a post */
	struct fiber *fiber;
	const char *why; /* it was refused; NULL: it was not */
};

static void fiber_goes_on(struct core *core, struct message *message) { fiber_wake(core, message->args[0].ptr); }

static void gate_answer(struct shard *shard, struct gate_visit *visit)
{
	struct message message = {.run = fiber_goes_on, .args[0].ptr = visit->fiber};
	if (visit->deferred)
		core_post(shard->core, visit->from, &message);
	else
		core_reply(shard->core, visit->from, &message);
}

static void gate_granted(struct shard *shard, struct lock_waiter *waiter)
{
	gate_answer(shard, container_of(waiter, struct gate_visit, waiter));
}

static void gate_refused(struct shard *shard, struct lock_waiter *waiter, const char *why)
{
	struct gate_visit *visit = container_of(waiter, struct gate_visit, waiter);
	visit->why = why;
	gate_answer(shard, visit);
}

static void gate_asked(struct core *core, struct message *message)
{
	struct gate_visit *visit = message->args[0].ptr;
	if (lock_take(core->shard->locks, &visit->waiter)) {
		gate_granted(core->shard, &visit->waiter);
		return;
	}
	visit->deferred = true;
	core_defer(core, visit->from);
}

static void gate_opened(struct core *core, void *arg)
{
	block_serve(core, core->shard, NULL, 0);
	gate_release(core->shard, core->shard->locks);
}

/* False: `why`, and nothing is closed. */
static bool close_all(struct core *core, bool gives_up, const char **why)
{
	struct rounds *rounds = core->commands->rounds;
	struct fiber *self = fiber_self(core);
	if (rounds->gate_holder == self) {
		rounds->gate_depth++;
		return true;
	}
	for (uint16_t to = 0; to < core->n_cores; to++) {
		struct gate_visit visit = {.waiter = {.kind = LOCK_GATE, .run = gate_granted}, .from = core->id,
					   .fiber = self};
		struct message message = {.run = gate_asked, .args[0].ptr = &visit};
		visit.waiter.refused = gives_up ? gate_refused : NULL;
		core_request(core, to, &message);
		fiber_wait(core);
		if (unlikely(visit.why)) {
			*why = visit.why;
			while (to-- > 0)
				fiber_call(core, to, gate_opened, NULL);
			return false;
		}
	}
	assert(!rounds->gate_holder); /* the gate of this very core was ours to get */
	rounds->gate_holder = self;
	rounds->gate_depth = 1;
	return true;
}

void gate_close(struct core *core) { (void)close_all(core, false, NULL); }
bool gate_close_unless_busy(struct core *core, const char **why) { return close_all(core, true, why); }

void gate_open(struct core *core)
{
	struct rounds *rounds = core->commands->rounds;
	assert(rounds->gate_holder == fiber_self(core));
	if (--rounds->gate_depth > 0)
		return;
	rounds->gate_holder = NULL;
	fiber_call_all(core, gate_opened, NULL);
}
