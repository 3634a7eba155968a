#include "engine/memory/region.h"

#include "engine/base/rare.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct region_source {
	pthread_mutex_t mutex; /* taken for moments only, once for each region */
	pthread_cond_t asked;
	pthread_t thread;
	bool started;
	bool wanted;
	bool stopping;
	void *ready; /* NULL: none */
};

static void *map(void)
{
	void *region = os_map(REGION_SIZE);
	if (unlikely(!region)) {
		os_stderr(S("orbit: out of memory mapping a region of 2 MiB\n"));
		abort();
	}
	return region;
}

/* The first byte brings the huge page; where there is none, each small page is touched. */
static void *map_touched(void)
{
	volatile uint8_t *region = map();
	for (size_t at = 0; at < REGION_SIZE; at += 4096)
		region[at] = 0;
	return (void *)region;
}

static void prepare_all(void *arg)
{
	struct region_source *source = arg;
	pthread_mutex_lock(&source->mutex);
	while (!source->stopping) {
		if (!source->wanted || source->ready) {
			pthread_cond_wait(&source->asked, &source->mutex);
			continue;
		}
		source->wanted = false;
		pthread_mutex_unlock(&source->mutex);
		void *region = map_touched();
		pthread_mutex_lock(&source->mutex);
		source->ready = region;
	}
	pthread_mutex_unlock(&source->mutex);
}

struct region_source *region_source_new(void)
{
	struct region_source *source = memory_zalloc(sizeof(*source));
	pthread_mutex_init(&source->mutex, NULL);
	pthread_cond_init(&source->asked, NULL);
	return source;
}

void region_source_free(struct region_source *source)
{
	if (!source)
		return;
	pthread_mutex_lock(&source->mutex);
	source->stopping = true;
	pthread_cond_signal(&source->asked);
	pthread_mutex_unlock(&source->mutex);
	if (source->started)
		os_thread_join(source->thread);
	if (source->ready)
		region_give(source->ready);
	pthread_cond_destroy(&source->asked);
	pthread_mutex_destroy(&source->mutex);
	memory_free(source);
}

static void *take_ready(struct region_source *source)
{
	pthread_mutex_lock(&source->mutex);
	void *region = take(source->ready);
	pthread_mutex_unlock(&source->mutex);
	return region;
}

void *region_take(struct region_source *source, bool *small)
{
	void *region = take_ready(source);
	*small = region == NULL;
	if (region)
		return region;
	region = map();
	os_advise_small(region, REGION_SIZE);
	return region;
}

void *region_take_touched(struct region_source *source)
{
	void *region = take_ready(source);
	return region ? region : map_touched();
}

void region_give(void *region) { os_unmap(region, REGION_SIZE); }

void region_prepare(struct region_source *source)
{
	/* The simulator's worlds are many and small, and have one thread. */
	if (RARE(false, true))
		return;
	/* Without the thread regions are of small pages: slower, not wrong. */
	if (!source->started)
		source->started = os_thread_start(&source->thread, -1, "orbit-memory", prepare_all, source) == 0;
	pthread_mutex_lock(&source->mutex);
	source->wanted = true;
	pthread_cond_signal(&source->asked);
	pthread_mutex_unlock(&source->mutex);
}

void region_join(void *region) { os_advise_huge(region, REGION_SIZE); }
