/* stage.h -- one core on a simulated disk, and fibers that run on it to their end. */
#pragma once

#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/core/reactor_private.h"
#include "engine/io/sim.h"
#include "engine/io/sim_disk.h"
#include "engine/memory/memory.h"
#include "storage/log/log.h"
#include "storage/log/reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* An assertion for processes that Criterion does not know of, too. */
#define check(that, ...)                                                                 \
	do {                                                                             \
		if (!(that)) {                                                           \
			fprintf(stderr, "%s:%d: not so: %s", __FILE__, __LINE__, #that); \
			fprintf(stderr, " " __VA_ARGS__);                                \
			fputc('\n', stderr);                                             \
			abort();                                                         \
		}                                                                        \
	} while (0)
#define check_eq(a, b, ...) check((a) == (b), ##__VA_ARGS__)

struct stage {
	struct sim *sim;
	struct sim_disk *disk; /* stays the caller's */
	struct io *io;
	struct machine *machine;
	struct core *core;
	enum reactor_stage at;
};

static inline struct stage stage_begin(struct sim_disk *disk, uint64_t seed)
{
	const struct sim_faults faults = {.clock_ns = 100, .chunks = 2};
	struct stage s = {.sim = sim_new(seed, &faults), .disk = disk, .machine = machine_new(1), .at = REACTOR_WORK};
	sim_use_disk(s.sim, disk);
	s.io = sim_io_new(s.sim);
	s.core = core_new(s.machine, 0, s.io);
	reactor_set_poll(s.core, REACTOR_POLL_NEVER);
	return s;
}

static inline void stage_end(struct stage *s)
{
	core_free(s->core);
	machine_free(s->machine);
	io_free(s->io);
	sim_free(s->sim);
}

static inline uint64_t stage_next_ns(const struct stage *s)
{
	uint64_t io_ns = sim_io_next_ns(s->io), timer_ns = timer_wheel_next_ns(&s->core->timers);
	return io_ns < timer_ns ? io_ns : timer_ns;
}

/* One stage of the loop; time leaps when the core sleeps. False: it would sleep for ever. */
static inline bool stage_step(struct stage *s)
{
	core_set_current(s->core);
	if (s->at == REACTOR_SLEEP && !sim_io_due(s->io)) {
		uint64_t next_ns = stage_next_ns(s), now_ns = sim_now_ns(s->sim);
		if (next_ns == UINT64_MAX)
			return false;
		if (next_ns > now_ns)
			sim_pass_ns(s->sim, next_ns - now_ns);
	}
	s->at = reactor_step(s->core);
	return true;
}

struct stage_call {
	void (*run)(struct stage *s, void *arg);
	struct stage *stage;
	void *arg;
	bool done;
};

static inline void stage_call_run(void *arg)
{
	struct stage_call *call = arg;
	call->run(call->stage, call->arg);
	call->done = true;
}

/* Runs `run` in a fiber until it ends. False: the power failed before. */
static inline bool stage_run(struct stage *s, void (*run)(struct stage *s, void *arg), void *arg)
{
	struct stage_call call = {.run = run, .stage = s, .arg = arg};
	core_set_current(s->core);
	fiber_start(s->core, stage_call_run, &call);
	while (!call.done) {
		if (sim_disk_has_crashed(s->disk))
			return false;
		check(stage_step(s), "it waits for what never comes");
	}
	return true;
}

/* ---- a log on it -------------------------------------------------------------------------- */

enum { TEST_LOG = 7 };

static inline void make_directory(struct stage *s, void *arg)
{
	check_eq(dir_make(s->core, "data"), 0);
	check_eq(dir_make(s->core, "data/log"), 0);
	check_eq(dir_sync(s->core, "data", dir_mark(s->core)), 0);
	check_eq(dir_sync(s->core, ".", dir_mark(s->core)), 0);
}

static inline struct log_start start_of(uint64_t segment_size)
{
	return (struct log_start){.id = TEST_LOG,
	                          .epoch = 1,
	                          .next_lsn = 1,
	                          .segment_size = segment_size,
	                          .directory = "data",
	                          .next_number = 1,
	                          .number_step = 1,
	                          .next_generation = 1};
}

/* A body that is made later, of bytes of its own. */
struct late_body {
	struct log_source source;
	uint8_t *bytes;
	size_t at, most; /* read so far; at once */
	bool *freed;     /* NULL: nobody asks */
};

static inline void late_body_read(struct log_source *source, uint8_t *to, size_t n)
{
	struct late_body *late = container_of(source, struct late_body, source);
	check(n <= source->length - late->at);
	memcpy(to, late->bytes + late->at, n);
	late->at += n;
	late->most = n > late->most ? n : late->most;
}

static inline void late_body_free(struct log_source *source)
{
	struct late_body *late = container_of(source, struct late_body, source);
	if (late->freed)
		*late->freed = true;
	memory_free(late->bytes);
	memory_free(late);
}

static inline struct late_body *late_body_new(size_t size)
{
	struct late_body *late = memory_zalloc(sizeof(*late));
	late->source = (struct log_source){.length = size, .read = late_body_read, .free = late_body_free};
	late->bytes = memory_zalloc(size);
	return late;
}

static inline int by_place(const void *a, const void *b)
{
	const struct segment_head *x = &((const struct segment_info *)a)->head,
	                          *y = &((const struct segment_info *)b)->head;
	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return x->generation < y->generation ? -1 : x->generation > y->generation;
}

/* What recovery finds: the segments that hold `from_lsn` and all after it, and the files that nobody needs. */
struct found {
	struct segment_list segments, spare;
	uint64_t next_number, next_generation;
	uint32_t headless; /* files that have lost their heads */
};

static inline void find_segments(struct stage *s, uint64_t from_lsn, struct found *out)
{
	struct segment_list all = {0}, own = {0};
	*out = (struct found){.next_number = 1, .next_generation = 1};
	check_eq(segments_survey(s->core, "data", &all), 0);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct segment_info *info = &all.all[i];
		out->next_number = info->number >= out->next_number ? info->number + 1 : out->next_number;
		if (info->head.generation >= out->next_generation)
			out->next_generation = info->head.generation + 1;
		segment_list_add(info->valid_copies > 0 && info->head.log == TEST_LOG ? &own : &out->spare, info);
	}
	if (own.n > 0)
		qsort(own.all, own.n, sizeof(*own.all), by_place);
	uint32_t first = 0;
	for (uint32_t i = 0; i < own.n; i++)
		first = own.all[i].head.first_lsn <= from_lsn ? i : first;
	for (uint32_t i = 0; i < own.n; i++) {
		bool older = i + 1 < own.n && own.all[i + 1].head.place == own.all[i].head.place;
		segment_list_add(i < first || older ? &out->spare : &out->segments, &own.all[i]);
	}
	/* One whose frames are no longer needed was only being cleaned. */
	uint64_t needed = out->segments.n > 0 ? out->segments.all[0].head.first_lsn : 0;
	for (uint32_t i = 0; i < all.n; i++)
		out->headless += all.all[i].has_frame && all.all[i].frame.first_lsn >= needed;
	segment_list_free(&own);
	segment_list_free(&all);
}
