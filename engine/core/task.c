/* Ready tasks, and how the classes share a core's time.
 *
 * Foreground tasks run first, all that were ready when the turn began; so do messages and
 * completions. Of every 16 ns, query tasks may take 4 and background tasks 1: time spent
 * elsewhere earns them credit, their own runs use it up. On a quiet core, where a turn finds
 * nothing else to do, they run without credit, one slice a turn, so that a message waits for
 * one at most; if both are ready, 4 to 1.
 */
#include "engine/core/reactor_private.h"

#include "engine/io/io.h"

enum {
	SHARES = 16,
	CREDIT_MAX_NS = 1000 * 1000, /* what a class may save up; and how deep one long run may sink it */
	SLICE_NS = 100 * 1000,       /* begun in one turn */
};

static const uint8_t class_share[CLASS_COUNT] = {[CLASS_FOREGROUND] = 11, [CLASS_QUERY] = 4, [CLASS_BACKGROUND] = 1};
static_assert(11 + 4 + 1 == SHARES, "all of it");

void core_ready(struct core *core, struct task *task, enum class class)
{
	assert(task->run);
	if (!link_linked(&task->link))
		list_push_back(&core->reactor->ready[class], &task->link);
}

void core_forget(struct core *core, struct task *task) { list_remove(&task->link); }

void tasks_init(struct reactor *reactor)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		list_init(&reactor->ready[c]);
}

bool tasks_ready(const struct reactor *reactor)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		if (!list_empty(&reactor->ready[c]))
			return true;
	return false;
}

/* Returns how long it took. */
static uint64_t run_one(struct core *core, struct link *list, int class)
{
	struct task *task = container_of(list_pop_front(list), struct task, link);
	struct reactor *reactor = core->reactor;
	const char *name = task->name; /* the task may be gone when it has run */
	void (*run)(struct core *, struct task *) = task->run;
	uint64_t from_ns = reactor->at_ns;
	run(core, task);
	stall_check(core, name, (const void *)run);
	reactor->stats.tasks++;
	reactor->stats.class_ns[class] += reactor->at_ns - from_ns;
	return reactor->at_ns - from_ns;
}

/* Those that were ready before; what they make ready runs in the next turn. */
static int run_foreground(struct core *core)
{
	struct link *ready = &core->reactor->ready[CLASS_FOREGROUND], now;
	if (list_empty(ready))
		return 0;
	now = *ready;
	now.next->prev = now.prev->next = &now;
	list_init(ready);
	int n = 0;
	for (; !list_empty(&now); n++)
		(void)run_one(core, &now, CLASS_FOREGROUND);
	return n;
}

static void earn(struct reactor *reactor, int class, uint64_t others_ns)
{
	int64_t earned = (int64_t)(others_ns * class_share[class] / (SHARES - class_share[class]));
	int64_t credit = reactor->credit_ns[class] + earned;
	reactor->credit_ns[class] = credit < CREDIT_MAX_NS ? credit : CREDIT_MAX_NS;
}

static void spend(struct reactor *reactor, int class, uint64_t ns)
{
	int64_t credit = reactor->credit_ns[class] - (int64_t)ns;
	reactor->credit_ns[class] = credit > -CREDIT_MAX_NS ? credit : -CREDIT_MAX_NS;
	for (int other = CLASS_QUERY; other < CLASS_COUNT; other++)
		if (other != class)
			earn(reactor, other, ns);
}

/* A class with nothing to do saves nothing. */
static bool lower_ready(struct reactor *reactor)
{
	bool any = false;
	for (int c = CLASS_QUERY; c < CLASS_COUNT; c++) {
		if (!list_empty(&reactor->ready[c]))
			any = true;
		else if (reactor->credit_ns[c] > 0)
			reactor->credit_ns[c] = 0;
	}
	return any;
}

/* The class whose turn it is on a busy core, CLASS_COUNT if none's. */
static int next_by_credit(const struct reactor *reactor)
{
	int best = CLASS_COUNT;
	for (int c = CLASS_QUERY; c < CLASS_COUNT; c++) {
		if (list_empty(&reactor->ready[c]) || reactor->credit_ns[c] <= 0)
			continue;
		if (best == CLASS_COUNT || reactor->credit_ns[c] > reactor->credit_ns[best])
			best = c;
	}
	return best;
}

/* And on a quiet one. */
static int next_by_balance(const struct reactor *reactor)
{
	bool query = !list_empty(&reactor->ready[CLASS_QUERY]);
	bool background = !list_empty(&reactor->ready[CLASS_BACKGROUND]);
	if (query && (!background || reactor->query_ahead_ns <= 0))
		return CLASS_QUERY;
	return background ? CLASS_BACKGROUND : CLASS_COUNT;
}

/* Whoever finds the other with nothing to do owes it nothing. */
static void weigh(struct reactor *reactor, int class, uint64_t ns)
{
	if (list_empty(&reactor->ready[class == CLASS_QUERY ? CLASS_BACKGROUND : CLASS_QUERY]))
		reactor->query_ahead_ns = 0;
	else
		reactor->query_ahead_ns += class == CLASS_QUERY ? (int64_t)ns : -(int64_t)ns * class_share[CLASS_QUERY];
}

static void earn_all(struct core *core)
{
	struct reactor *reactor = core->reactor;
	uint64_t from_ns = reactor->lower_ended_ns ? reactor->lower_ended_ns : core->now_ns;
	for (int c = CLASS_QUERY; c < CLASS_COUNT; c++)
		if (!list_empty(&reactor->ready[c]))
			earn(reactor, c, reactor->at_ns - from_ns);
}

static int run_lower(struct core *core, bool quiet)
{
	struct reactor *reactor = core->reactor;
	if (!lower_ready(reactor)) {
		reactor->lower_ended_ns = 0;
		return 0;
	}
	earn_all(core);
	int n = 0;
	for (uint64_t spent_ns = 0; spent_ns < SLICE_NS; n++) {
		int class = quiet ? next_by_balance(reactor) : next_by_credit(reactor);
		if (class == CLASS_COUNT)
			break;
		uint64_t took_ns = run_one(core, &reactor->ready[class], class);
		if (quiet)
			weigh(reactor, class, took_ns);
		else
			spend(reactor, class, took_ns);
		spent_ns += took_ns;
	}
	reactor->lower_ended_ns = reactor->at_ns;
	return n;
}

int tasks_run(struct core *core, bool quiet)
{
	int n = run_foreground(core);
	return n + run_lower(core, quiet && n == 0);
}
