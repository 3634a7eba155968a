/* fiber.h -- stackful coroutines for session and coordinator code.
 *
 * What      Straight-line C that may wait. A fiber runs on the core that started it and
 *           never leaves it; while it waits it costs its stack (64 KiB of addresses, the
 *           touched pages of memory), so what outlives a message is an object, not a fiber.
 * Lifetime  From fiber_start() until its function returns; the stack goes back to a pool.
 * Limits    A stack is two mappings, of which Linux allows a process some 65,000: whoever
 *           starts fibers for clients keeps them under 10,000 (fiber_pool_living()).
 * Rules     Shard code never waits: fiber_wait() outside a fiber is an assertion.
 *           Whoever wakes a fiber does so once for each wait; a wake that comes before
 *           the wait makes that wait return at once.
 * Source    A switch saves the callee-saved registers of the ABI and swaps stacks; about
 *           20 ns for a pair. ucontext would call the kernel twice for the signal mask.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct fiber;
struct message;

enum { FIBER_STACK_SIZE = 64 * 1024, FIBER_DEEP_STACK_SIZE = 8 * 1024 * 1024 };

/* Runs `run(arg)` in a new fiber: at once, until its first wait. A deep one has the stack that an interpreter of
 * scripts needs. */
void fiber_start(struct core *core, void (*run)(void *arg), void *arg);
void fiber_start_deep(struct core *core, void (*run)(void *arg), void *arg);

/* The running fiber; NULL in task code. */
struct fiber *fiber_self(struct core *core);

/* Parks the running fiber until fiber_wake(); the other side of a wait is the waker's. */
void fiber_wait(struct core *core);
void fiber_wake(struct core *core, struct fiber *fiber); /* it runs in this turn or the next */

void fiber_sleep(struct core *core, uint64_t ns);

/* Lets other work run and goes on in a later turn, as query work: for long computations. */
void fiber_yield(struct core *core);

/* Runs `work(there, arg)` on core `to` as shard code and waits for its end. `arg` stays
 * the caller's; its memory may be read and written there meanwhile. On the own core it
 * runs at once, on the loop's stack, unless earlier messages of this core to itself wait. */
void fiber_call(struct core *core, uint16_t to, void (*work)(struct core *there, void *arg), void *arg);

/* The same on every core, this one included, all at once; waits for the last. `arg` is
 * shared by all: give each core its own place in it. */
void fiber_call_all(struct core *core, void (*work)(struct core *there, void *arg), void *arg);

/* How much of the running fiber's stack is left, bytes: for code whose depth a user
 * controls. SIZE_MAX outside fibers, where depth is the code's own. */
size_t fiber_stack_left(struct core *core);

struct fiber_pool; /* one a core; stacks idle in it are few (64, and 4 deep ones) */
struct fiber_pool *fiber_pool_new(void) must_check;
void fiber_pool_free(struct fiber_pool *pool); /* asserts that no fiber lives */
uint32_t fiber_pool_living(const struct fiber_pool *pool);
