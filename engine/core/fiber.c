/* Fibers of one core.
 *
 *   fiber_start() --> runs --fiber_wait()--> waits --fiber_wake()--> ready --task--> runs
 *                       \--returns--> its stack goes to the pool
 *
 * Whoever lets a fiber run (the loop through its task, or a fiber or task that starts it)
 * gets the control back when the fiber waits or ends; `resumed_by` is that stack. The
 * struct lies at the top of its own stack, so that a fiber is one mapping.
 */
#include "engine/core/fiber.h"

#include "engine/core/core.h"
#include "engine/core/reactor_private.h"
#include "engine/core/sanitize.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

enum {
	IDLE_MAX = 64, /* stacks kept for the next fiber */
	DEEP_IDLE_MAX = 4,
	STACK_SIZE = FIBER_STACK_SIZE * SANITIZE_STACK_FACTOR,
	DEEP_STACK_SIZE = FIBER_DEEP_STACK_SIZE * SANITIZE_STACK_FACTOR,
};

struct stack {
	void *sp; /* while it rests */
	struct stack_facts facts;
};

struct fiber {
	struct stack stack;
	struct stack *resumed_by;
	struct fiber *next_idle;
	struct task task;
	void (*run)(void *arg);
	void *arg;
	void (*errand)(struct core *core, void *arg); /* to be run outside, on the stack that resumed it */
	void *errand_arg;
	bool ended;
	bool waits;
	bool woken;     /* before it waited */
	bool from_loop; /* resumed by its task: nothing else is half done below it */
	bool deep;
};

/* Stacks of one size, kept for the next fiber. */
struct idle_stacks {
	struct fiber *first;
	uint32_t n;
};

struct fiber_pool {
	struct fiber *running;
	struct stack thread; /* the core's own stack */
	struct idle_stacks idle, deep_idle;
	uint32_t n_living;
};

static size_t stack_size(bool deep) { return deep ? DEEP_STACK_SIZE : STACK_SIZE; }

void fiber_switch(void **out_sp, void *to_sp);
void fiber_begin(void);

static struct fiber *pool_take(struct fiber_pool *pool, bool deep);
static void pool_put(struct fiber_pool *pool, struct fiber *fiber);

/* ---- switching ------------------------------------------------------------------ */

/* Returns when somebody switches back to `from`. */
static void switch_stacks(struct stack *from, struct stack *to, bool ends)
{
	sanitize_leave(&from->facts, &to->facts, ends);
	fiber_switch(&from->sp, to->sp);
}

/* Runs `fiber` until it waits or ends. */
static void resume(struct core *core, struct fiber *fiber, bool from_loop)
{
	struct fiber_pool *pool = core->fibers;
	struct fiber *outer = pool->running;
	struct stack *here = outer ? &outer->stack : &pool->thread;
	if (!outer)
		sanitize_thread_stack(&here->facts);
	fiber->resumed_by = here;
	fiber->from_loop = from_loop;
	for (;;) {
		pool->running = fiber;
		switch_stacks(here, &fiber->stack, false);
		sanitize_enter(&here->facts, &fiber->stack.facts);
		pool->running = outer;
		if (likely(!fiber->errand))
			break;
		void (*errand)(struct core *, void *) = take(fiber->errand);
		errand(core, fiber->errand_arg);
	}
	if (fiber->ended)
		pool_put(pool, fiber);
}

/* Back to whoever resumed the running fiber. */
static void leave(struct fiber *fiber, bool ends)
{
	switch_stacks(&fiber->stack, fiber->resumed_by, ends);
	sanitize_enter(&fiber->stack.facts, &fiber->resumed_by->facts);
}

static void fiber_main(struct fiber *fiber)
{
	sanitize_enter(&fiber->stack.facts, &fiber->resumed_by->facts);
	fiber->run(fiber->arg);
	fiber->ended = true;
	leave(fiber, true);
	__builtin_unreachable();
}

/* What fiber_switch() expects on a resting stack, so that its first return goes to
 * fiber_begin() with the function to call and its argument in two kept registers. */
static void *first_frame(void *top, void (*call)(struct fiber *), struct fiber *fiber)
{
#if defined(__x86_64__)
	enum { R15, R14, R13, R12, RBX, RBP, RIP, WORDS }; /* popped: fiber_begin() runs at `top`, aligned to call */
	void **sp = (void **)((uintptr_t)top & ~(uintptr_t)15) - WORDS;
	sp[R15] = sp[R14] = sp[RBX] = sp[RBP] = NULL;
	sp[R12] = (void *)call;
	sp[R13] = fiber;
	sp[RIP] = (void *)fiber_begin;
#elif defined(__aarch64__)
	enum { X19 = 0, X20 = 1, X30 = 11, WORDS = 20 };
	void **sp = (void **)((uintptr_t)top & ~(uintptr_t)15) - WORDS;
	for (int i = 0; i < WORDS; i++)
		sp[i] = NULL;
	sp[X19] = (void *)call;
	sp[X20] = fiber;
	sp[X30] = (void *)fiber_begin;
#else
#error "no fiber switch for this processor"
#endif
	return sp;
}

/* ---- life ----------------------------------------------------------------------- */

static void run_task(struct core *core, struct task *task)
{
	resume(core, container_of(task, struct fiber, task), true);
}

static void start(struct core *core, void (*run)(void *arg), void *arg, bool deep)
{
	struct fiber *fiber = pool_take(core->fibers, deep);
	size_t size = stack_size(deep);
	void *bottom = (char *)(fiber + 1) - size;
	*fiber = (struct fiber){.run = run, .arg = arg, .task = {.run = run_task, .name = "fiber"}, .deep = deep};
	fiber->stack.facts = (struct stack_facts){.bottom = bottom, .size = size - sizeof(*fiber)};
	fiber->stack.sp = first_frame(fiber, fiber_main, fiber);
	sanitize_born(&fiber->stack.facts);
	resume(core, fiber, false);
}

void fiber_start(struct core *core, void (*run)(void *arg), void *arg) { start(core, run, arg, false); }
void fiber_start_deep(struct core *core, void (*run)(void *arg), void *arg) { start(core, run, arg, true); }

struct fiber *fiber_self(struct core *core) { return core->fibers->running; }

void fiber_wait(struct core *core)
{
	struct fiber *fiber = fiber_self(core);
	assert(fiber); /* shard code cannot wait */
	if (fiber->woken) {
		fiber->woken = false;
		return;
	}
	fiber->waits = true;
	leave(fiber, false);
}

void fiber_wake(struct core *core, struct fiber *fiber)
{
	if (!fiber->waits) {
		assert(!fiber->woken); /* once for each wait */
		fiber->woken = true;
		return;
	}
	fiber->waits = false;
	core_ready(core, &fiber->task, CLASS_FOREGROUND);
}

void fiber_yield(struct core *core)
{
	struct fiber *fiber = fiber_self(core);
	assert(fiber);
	core_ready(core, &fiber->task, CLASS_QUERY);
	leave(fiber, false);
}

struct sleep {
	struct timer timer;
	struct fiber *fiber;
};

static void sleep_ends(struct core *core, struct timer *timer)
{
	fiber_wake(core, container_of(timer, struct sleep, timer)->fiber);
}

void fiber_sleep(struct core *core, uint64_t ns)
{
	struct sleep sleep = {.timer.run = sleep_ends, .fiber = fiber_self(core)};
	timer_start(&core->timers, &sleep.timer, io_now_ns(core->io) + ns);
	fiber_wait(core);
	timer_stop(&core->timers, &sleep.timer);
}

size_t fiber_stack_left(struct core *core)
{
	struct fiber *fiber = fiber_self(core);
	if (!fiber)
		return SIZE_MAX;
	return (size_t)((const char *)__builtin_frame_address(0) - (const char *)fiber->stack.facts.bottom);
}

/* ---- calls to other cores ------------------------------------------------------- */

struct call {
	void (*work)(struct core *there, void *arg);
	void *arg;
	struct fiber *caller;
	uint16_t left; /* cores that have not answered */
};

static void call_ended(struct core *core, struct message *message)
{
	struct call *call = message->args[0].ptr;
	if (--call->left == 0)
		fiber_wake(core, call->caller);
}

/* The call lies on the caller's stack, which waits; only its own core counts in it. */
static void call_run(struct core *core, struct message *message)
{
	const struct call *call = message->args[0].ptr;
	struct message answer = {.run = call_ended, .args[0].ptr = message->args[0].ptr};
	uint16_t from = message->from;
	call->work(core, call->arg);
	core_reply(core, from, &answer);
}

static void call_send(struct core *core, uint16_t to, struct call *call)
{
	core_request(core, to, &(struct message){.run = call_run, .args[0].ptr = call});
}

/* Work for the own core runs at once, on the loop's stack: a message would cost two turns.
 * But not before messages that this core sent itself earlier, and not while whoever started
 * this fiber is in the middle of something. */
static bool may_run_here(struct core *core, uint16_t to, const struct fiber *fiber)
{
	return to == core->id && fiber->from_loop && message_queue_empty(&core->reactor->local);
}

void fiber_call(struct core *core, uint16_t to, void (*work)(struct core *there, void *arg), void *arg)
{
	struct fiber *fiber = fiber_self(core);
	assert(fiber);
	if (may_run_here(core, to, fiber)) {
		fiber->errand_arg = arg;
		fiber->errand = work;
		leave(fiber, false);
		return;
	}
	struct call call = {.work = work, .arg = arg, .caller = fiber, .left = 1};
	call_send(core, to, &call);
	fiber_wait(core);
}

void fiber_call_all(struct core *core, void (*work)(struct core *there, void *arg), void *arg)
{
	struct call call = {.work = work, .arg = arg, .caller = fiber_self(core), .left = core->n_cores};
	assert(call.caller);
	for (uint16_t to = 0; to < core->n_cores; to++)
		call_send(core, to, &call);
	fiber_wait(core);
}

/* ---- stacks --------------------------------------------------------------------- */

struct fiber_pool *fiber_pool_new(void) { return memory_zalloc(sizeof(struct fiber_pool)); }

static struct idle_stacks *idle_of(struct fiber_pool *pool, bool deep)
{
	return deep ? &pool->deep_idle : &pool->idle;
}

static void stack_unmap(struct fiber *fiber, bool deep)
{
	os_stack_unmap((char *)(fiber + 1) - stack_size(deep), stack_size(deep));
}

static void idle_free(struct idle_stacks *idle, bool deep)
{
	while (idle->first) {
		struct fiber *fiber = idle->first;
		idle->first = fiber->next_idle;
		stack_unmap(fiber, deep);
	}
}

void fiber_pool_free(struct fiber_pool *pool)
{
	if (!pool)
		return;
	assert(pool->n_living == 0);
	idle_free(&pool->idle, false);
	idle_free(&pool->deep_idle, true);
	memory_free(pool);
}

static struct fiber *pool_take(struct fiber_pool *pool, bool deep)
{
	struct idle_stacks *idle = idle_of(pool, deep);
	struct fiber *fiber = idle->first;
	pool->n_living++;
	if (fiber) {
		idle->first = fiber->next_idle;
		idle->n--;
		return fiber;
	}
	char *stack = os_stack_map(stack_size(deep));
	/* As memory_alloc(): the number of fibers is limited where they are started. */
	assert(stack);
	return (struct fiber *)(stack + stack_size(deep)) - 1;
}

static void pool_put(struct fiber_pool *pool, struct fiber *fiber)
{
	bool deep = fiber->deep;
	struct idle_stacks *idle = idle_of(pool, deep);
	sanitize_gone(&fiber->stack.facts);
	pool->n_living--;
	if (idle->n == (deep ? DEEP_IDLE_MAX : IDLE_MAX)) {
		stack_unmap(fiber, deep);
		return;
	}
	fiber->next_idle = idle->first;
	idle->first = fiber;
	idle->n++;
}

uint32_t fiber_pool_living(const struct fiber_pool *pool) { return pool->n_living; }
