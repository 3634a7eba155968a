#include "query/session/gate.h"

#include "engine/core/fiber.h"
#include "query/session/round_private.h"

/* One core's gate, asked for by a fiber of another. */
struct gate_visit {
	struct lock_waiter waiter;
	uint16_t from;
	bool deferred; /* the answer comes by a post */
	struct fiber *fiber;
};

static void fiber_goes_on(struct core *core, struct message *message) { fiber_wake(core, message->args[0].ptr); }

static void gate_granted(struct shard *shard, struct lock_waiter *waiter)
{
	struct gate_visit *visit = container_of(waiter, struct gate_visit, waiter);
	struct message message = {.run = fiber_goes_on, .args[0].ptr = visit->fiber};
	if (visit->deferred)
		core_post(shard->core, visit->from, &message);
	else
		core_reply(shard->core, visit->from, &message);
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

static void gate_opened(struct core *core, void *arg) { gate_release(core->shard, core->shard->locks); }

void gate_close(struct core *core)
{
	struct rounds *rounds = core->commands->rounds;
	struct fiber *self = fiber_self(core);
	if (rounds->gate_holder == self) {
		rounds->gate_depth++;
		return;
	}
	for (uint16_t to = 0; to < core->n_cores; to++) {
		struct gate_visit visit = {.waiter = {.kind = LOCK_GATE, .run = gate_granted}, .from = core->id,
					   .fiber = self};
		struct message message = {.run = gate_asked, .args[0].ptr = &visit};
		core_request(core, to, &message);
		fiber_wait(core);
	}
	assert(!rounds->gate_holder); /* the gate of this very core was ours to get */
	rounds->gate_holder = self;
	rounds->gate_depth = 1;
}

void gate_open(struct core *core)
{
	struct rounds *rounds = core->commands->rounds;
	assert(rounds->gate_holder == fiber_self(core));
	if (--rounds->gate_depth > 0)
		return;
	rounds->gate_holder = NULL;
	fiber_call_all(core, gate_opened, NULL);
}
