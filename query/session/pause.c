#include "query/session/pause.h"

#include "query/session/round_private.h"
#include "query/session/script.h"
#include "query/session/transaction.h"

enum { LOOK_NS = 20 * 1000 * 1000, RELEASED = 256 };

static bool is_in_effect(const struct core *core)
{
	/* A server that stops must not wait for the end of a pause. */
	return core->commands->clients_paused_until_ns > core->now_ns && !core->stopping;
}

static bool is_refused(const struct call *call)
{
	return call->kind == CALL_UNSOUND || call->kind == CALL_NO_AUTH || call->kind == CALL_SUBSCRIBED ||
	       call->kind == CALL_MONITORING;
}

static bool may_write(const struct round *round, const struct call *call)
{
	bool is_exec = strcmp(call->command->name, "EXEC") == 0;
	uint32_t flags = call->command->flags | (is_exec ? transaction_flags(round->session) : 0);
	if (call->command->flags & COMMAND_SCRIPT && flags & COMMAND_MAY_REPLICATE)
		return script_may_write(round->core, call->command, round->arguments + call->args_at);
	return flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE);
}

bool pause_holds(const struct round *round)
{
	if (!is_in_effect(round->core))
		return false;
	bool writes_only = round->core->commands->paused_writes_only;
	for (uint32_t i = 0; i < round->n; i++)
		if (!is_refused(&round->calls[i]) && (!writes_only || may_write(round, &round->calls[i])))
			return true;
	return false;
}

static void look(struct core *core, struct timer *timer);

void pause_init(struct rounds *rounds)
{
	list_init(&rounds->paused);
	rounds->pause_look.run = look;
}

static void look_in(struct rounds *rounds, uint64_t ns)
{
	if (!list_empty(&rounds->paused) && !timer_started(&rounds->pause_look))
		timer_start(&rounds->core->timers, &rounds->pause_look, rounds->core->now_ns + ns);
}

void round_postpone(struct round *round, struct postponed *postponed)
{
	round_cancel(round);
	list_push_back(&round->rounds->paused, &postponed->link);
	look_in(round->rounds, LOOK_NS);
}

uint32_t round_postponed(const struct core *core)
{
	uint32_t n = 0;
	list_each (link, &core->commands->rounds->paused)
		n++;
	return n;
}

/* Some at a time: when a pause ends, thousands may wait. */
static void look(struct core *core, struct timer *timer)
{
	struct rounds *rounds = core->commands->rounds;
	if (is_in_effect(core)) {
		look_in(rounds, LOOK_NS);
		return;
	}
	for (uint32_t i = 0; i < RELEASED && !list_empty(&rounds->paused); i++) {
		struct postponed *first = container_of(list_pop_front(&rounds->paused), struct postponed, link);
		first->again(first);
	}
	look_in(rounds, 0);
}
