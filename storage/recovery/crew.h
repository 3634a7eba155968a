/* crew.h -- the same work in a fiber on every core, side by side. */
#pragma once

#include <stdint.h>

struct core;

/* Fiber code. Runs `work(there, arg)` in a new fiber on each core, this one included, and waits for the last. `arg` is
 * shared by all: give each core its own place in it. */
void crew_run(struct core *core, void (*work)(struct core *there, void *arg), void *arg);

/* The same on one core. */
void crew_run_on(struct core *core, uint16_t to, void (*work)(struct core *there, void *arg), void *arg);
