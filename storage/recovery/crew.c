#include "storage/recovery/crew.h"

#include "engine/core/core.h"
#include "engine/core/fiber.h"

/* Lies on the stack of the fiber that waits; only its own core counts in it. */
struct crew {
	void (*work)(struct core *there, void *arg);
	void *arg;
	struct fiber *caller;
	uint16_t from, left;
};

static void hand_ended(struct core *core, struct message *message)
{
	struct crew *crew = message->args[0].ptr;
	if (--crew->left == 0)
		fiber_wake(core, crew->caller);
}

static void hand_main(void *arg)
{
	struct crew *crew = arg;
	struct core *core = core_current();
	crew->work(core, crew->arg);
	core_post(core, crew->from, &(struct message){.run = hand_ended, .args[0].ptr = crew});
}

static void hand_begins(struct core *core, struct message *message)
{
	fiber_start(core, hand_main, message->args[0].ptr);
}

static void hand_send(struct core *core, uint16_t to, struct crew *crew)
{
	core_post(core, to, &(struct message){.run = hand_begins, .args[0].ptr = crew});
}

void crew_run_on(struct core *core, uint16_t to, void (*work)(struct core *there, void *arg), void *arg)
{
	struct crew crew = {.work = work, .arg = arg, .caller = fiber_self(core), .from = core->id, .left = 1};
	hand_send(core, to, &crew);
	fiber_wait(core);
}

void crew_run(struct core *core, void (*work)(struct core *there, void *arg), void *arg)
{
	struct crew crew = {
	        .work = work, .arg = arg, .caller = fiber_self(core), .from = core->id, .left = core->n_cores};
	for (uint16_t to = 0; to < core->n_cores; to++)
		hand_send(core, to, &crew);
	fiber_wait(core);
}
