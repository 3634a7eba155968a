/* fake_io.h -- an io without a kernel: one thread plays all cores, time stands still.
 *
 * A sleep returns at once; whether it should have ended is for the test to say: it steps a
 * core that is about to sleep only when fake_io_may_run() says that something would wake it.
 */
#pragma once

#include "engine/io/io.h"

#include <stdbool.h>
#include <string.h>

struct fake_io {
	struct io io;
	uint64_t now_ns;
	uint64_t seed;
	bool woken;
	int polls, sleeps, wakes; /* wakes: those that others sent here */
	uint64_t until_ns;        /* of the last sleep */
	uint64_t poll_takes_ns;
	int (*completes)(void *arg); /* if set: called in each poll; returns how many completions there were */
	void *completes_arg;
};

static inline struct fake_io *fake_of(struct io *io) { return (struct fake_io *)io; }

static inline int fake_poll(struct io *io, uint64_t until_ns)
{
	struct fake_io *fake = fake_of(io);
	int n = 0;
	fake->polls++;
	fake->now_ns += fake->poll_takes_ns;
	if (until_ns) {
		fake->sleeps++;
		fake->until_ns = until_ns;
		if (!fake->woken && until_ns != UINT64_MAX && fake->now_ns < until_ns)
			fake->now_ns = until_ns;
	}
	if (fake->woken)
		n++;
	fake->woken = false;
	if (fake->completes) {
		if (io->awake)
			io->awake(io);
		n += fake->completes(fake->completes_arg);
	}
	return n;
}

static inline void fake_wake(struct io *io, struct io *target)
{
	fake_of(target)->woken = true;
	fake_of(target)->wakes++;
}

static inline uint64_t fake_now_ns(struct io *io) { return fake_of(io)->now_ns; }
static inline int64_t fake_wall_us(struct io *io) { return (int64_t)(fake_of(io)->now_ns / 1000); }

static inline void fake_random(struct io *io, void *out, size_t size)
{
	struct fake_io *fake = fake_of(io);
	for (size_t i = 0; i < size; i++) {
		fake->seed = fake->seed * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)out)[i] = (uint8_t)(fake->seed >> 56);
	}
}

static const struct io_ops fake_ops = {
        .name = "fake",
        .poll = fake_poll,
        .wake = fake_wake,
        .now_ns = fake_now_ns,
        .wall_us = fake_wall_us,
        .random = fake_random,
};

static inline void fake_io_init(struct fake_io *fake, uint64_t seed)
{
	*fake = (struct fake_io){.io.ops = &fake_ops, .now_ns = 1000000000, .seed = seed};
}
