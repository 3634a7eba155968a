/* timer.h -- timers of a core: a hierarchical wheel of milliseconds.
 *
 * What      Four levels of 256 slots, 1 ms to 49 days; further ones wait in the last.
 * Owner     The core. A timer lies inside its owner, and is stopped before that goes.
 * Units     Monotonic nanoseconds in; fired at or after, never before, the time asked.
 * Source    Varghese, Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987.
 */
#pragma once

#include "engine/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct core;

struct timer {
	struct link link; /* zeroed: not started */
	uint64_t at_ms;   /* of the wheel's clock */
	void (*run)(struct core *core, struct timer *timer);
};

enum { TIMER_LEVELS = 4, TIMER_SLOTS = 256 };

struct timer_wheel {
	uint64_t now_ms; /* everything before it has fired */
	uint32_t n;      /* timers started */
	uint64_t again_ns; /* no timer, and finer: core_turn_again(); UINT64_MAX: none */
	uint64_t used[TIMER_LEVELS][TIMER_SLOTS / 64];
	struct link slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);

/* (Re)starts a timer. `timer->run` is set by its owner; it may start the timer again. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t at_ns);
void timer_stop(struct timer_wheel *wheel, struct timer *timer); /* fine if not started */
static inline bool timer_started(const struct timer *timer) { return link_linked(&timer->link); }

/* Fires what is due at `now_ns`; returns how many. */
int timer_wheel_run(struct core *core, struct timer_wheel *wheel, uint64_t now_ns);

/* No timer fires before this time, nor is it again_ns; UINT64_MAX if there is none. May be early, never late. */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);
