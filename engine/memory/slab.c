/* A region's first span begins with the table of all its spans, so that a block's address
 * leads to its span by masking. Within a span free blocks are chained by 16-bit numbers
 * (offset / 8), and what was never used is never touched. */
#include "engine/memory/slab.h"

#include "engine/base/list.h"
#include "engine/base/rare.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"
#include "engine/memory/region.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SPAN_SIZE = 64 * 1024,
	SPANS = REGION_SIZE / SPAN_SIZE,
	REGION_HEADER_SIZE = 2048, /* of the first span */
	CLASSES = 16 + 8 * 8,      /* 8 .. 128, then 144 .. 32 KiB */
	NO_BLOCK = 0xffff,
	SPANS_AHEAD = 8, /* free ones left when the next region is asked for */
};

struct span {
	struct link link; /* among the spans of its class that have room */
	uint32_t block_size;
	uint32_t fresh; /* offset of the first byte never handed out */
	uint32_t used;  /* blocks */
	uint16_t free;  /* offset / 8 of the first free block, or NO_BLOCK */
	uint16_t class;
};

struct region {
	struct link link;      /* all regions, oldest first */
	struct link free_link; /* those with free spans */
	uint32_t free_spans;   /* bit set: the span is free */
	bool small;            /* of small pages */
	struct span spans[SPANS];
};
static_assert(sizeof(struct region) <= REGION_HEADER_SIZE, "the table fits before the first span's blocks");

struct slab {
	enum slab_backing backing;
	uint64_t used;
	uint64_t mapped;
	struct region_source *source;
	bool may_wait;
	uint32_t n_empty; /* regions */
	void (*tell_empty)(void *arg);
	void *tell_arg;
	struct link regions;
	struct link free_regions; /* empty ones last */
	struct link classes[CLASSES];
};

static unsigned class_of(size_t size)
{
	if (size <= 128)
		return (unsigned)((size + 7) / 8) - 1 + (size == 0);
	unsigned top = 63 - (unsigned)__builtin_clzll(size - 1);
	return 16 + (top - 7) * 8 + (unsigned)(((size - 1) >> (top - 3)) & 7);
}

static size_t class_size(unsigned class)
{
	if (class < 16)
		return (class + 1) * 8;
	unsigned doubling = (class - 16) / 8, step = (class - 16) % 8;
	return ((size_t)128 << doubling) + (step + 1) * ((size_t)16 << doubling);
}

static size_t round_up(size_t size, size_t to) { return (size + to - 1) / to * to; }

size_t slab_size(size_t size)
{
	if (size <= SLAB_SMALL_MAX)
		return class_size(class_of(size));
	return round_up(size, size < SLAB_HUGE_MIN ? 4096 : REGION_SIZE);
}

struct slab *slab_new(enum slab_backing backing)
{
	struct slab *slab = memory_zalloc(sizeof(*slab));
	slab->backing = backing;
	slab->source = backing == SLAB_REGIONS ? region_source_new() : NULL;
	list_init(&slab->regions);
	list_init(&slab->free_regions);
	for (unsigned class = 0; class < CLASSES; class ++)
		list_init(&slab->classes[class]);
	return slab;
}

static void region_unmap(struct slab *slab, struct region *region)
{
	list_remove(&region->link);
	list_remove(&region->free_link);
	slab->mapped -= REGION_SIZE;
	region_give(region);
}

void slab_free(struct slab *slab)
{
	if (!slab)
		return;
	assert(slab->used == 0);
	while (!list_empty(&slab->regions))
		region_unmap(slab, container_of(slab->regions.next, struct region, link));
	assert(slab->mapped == 0);
	region_source_free(slab->source);
	memory_free(slab);
}

/* ---- spans ---------------------------------------------------------------------- */

static bool region_empty(const struct region *region) { return region->free_spans == UINT32_MAX; }

void slab_may_wait(struct slab *slab, bool may_wait) { slab->may_wait = may_wait; }

static struct region *region_new(struct slab *slab)
{
	/* The simulator's worlds are small, and would touch more than they use. */
	bool touched = RARE(slab->may_wait, false) && slab->mapped > 0, small = false;
	struct region *region = touched ? region_take_touched(slab->source) : region_take(slab->source, &small);
	region->small = small;
	region->free_spans = UINT32_MAX;
	slab->mapped += REGION_SIZE;
	list_push_back(&slab->regions, &region->link);
	list_push_back(&slab->free_regions, &region->free_link);
	slab->n_empty++;
	return region;
}

static uint32_t span_start(const struct region *region, const struct span *span)
{
	return span == region->spans ? REGION_HEADER_SIZE : 0;
}

static uint8_t *span_base(struct span *span)
{
	struct region *region = (struct region *)((uintptr_t)span & ~(uintptr_t)(REGION_SIZE - 1));
	return (uint8_t *)region + (size_t)(span - region->spans) * SPAN_SIZE;
}

static void region_is_full(struct region *region)
{
	list_remove(&region->free_link);
	if (region->small)
		region_join(region);
	region->small = false;
}

static struct span *span_take(struct slab *slab, unsigned class)
{
	struct region *region = list_empty(&slab->free_regions)
	                                ? region_new(slab)
	                                : container_of(slab->free_regions.next, struct region, free_link);
	slab->n_empty -= region_empty(region);
	unsigned at = (unsigned)__builtin_ctz(region->free_spans);
	region->free_spans &= region->free_spans - 1;
	if (!region->free_spans)
		region_is_full(region);
	if (__builtin_popcount(region->free_spans) == SPANS_AHEAD && region->free_link.next == region->free_link.prev)
		region_prepare(slab->source); /* it is the last with free spans */
	struct span *span = &region->spans[at];
	*span = (struct span){.block_size = (uint32_t)class_size(class),
	                      .fresh = span_start(region, span),
	                      .free = NO_BLOCK,
	                      .class = (uint16_t) class};
	list_push_front(&slab->classes[class], &span->link);
	return span;
}

static void span_give(struct slab *slab, struct region *region, struct span *span)
{
	list_remove(&span->link);
	region->free_spans |= 1u << (span - region->spans);
	if (!link_linked(&region->free_link))
		list_push_front(&slab->free_regions, &region->free_link);
	if (!region_empty(region))
		return;
	list_remove(&region->free_link);
	list_push_back(&slab->free_regions, &region->free_link);
	if (++slab->n_empty > 1 && slab->tell_empty)
		slab->tell_empty(slab->tell_arg);
}

/* One is kept, lest a shard at the border maps and unmaps. */
bool slab_can_trim(const struct slab *slab) { return slab->n_empty > 1; }

bool slab_trim(struct slab *slab)
{
	if (!slab_can_trim(slab))
		return false;
	region_unmap(slab, container_of(slab->free_regions.prev, struct region, free_link));
	slab->n_empty--;
	return slab_can_trim(slab);
}

void slab_tell_empty(struct slab *slab, void (*empty)(void *arg), void *arg)
{
	slab->tell_empty = empty;
	slab->tell_arg = arg;
}

static bool span_full(const struct span *span)
{
	return span->free == NO_BLOCK && span->fresh + span->block_size > SPAN_SIZE;
}

static void *span_pop(struct span *span)
{
	uint8_t *block;
	if (span->free != NO_BLOCK) {
		block = span_base(span) + (size_t)span->free * 8;
		span->free = *(uint16_t *)block;
	} else {
		block = span_base(span) + span->fresh;
		span->fresh += span->block_size;
	}
	span->used++;
	if (span_full(span))
		list_remove(&span->link);
	return block;
}

static void *small_take(struct slab *slab, size_t size)
{
	unsigned class = class_of(size);
	struct link *spans = &slab->classes[class];
	struct span *span = list_empty(spans) ? span_take(slab, class) : container_of(spans->next, struct span, link);
	slab->used += span->block_size;
	return span_pop(span);
}

static void small_give(struct slab *slab, void *block, size_t size)
{
	struct region *region = (struct region *)((uintptr_t)block & ~(uintptr_t)(REGION_SIZE - 1));
	size_t offset = (size_t)((uint8_t *)block - (uint8_t *)region);
	struct span *span = &region->spans[offset / SPAN_SIZE];
	assert(span->class == class_of(size));
	assert(span->used > 0);
	if (!link_linked(&span->link))
		list_push_front(&slab->classes[span->class], &span->link);
	*(uint16_t *)block = span->free;
	span->free = (uint16_t)(offset % SPAN_SIZE / 8);
	slab->used -= span->block_size;
	if (--span->used == 0)
		span_give(slab, region, span);
}

/* ---- blocks --------------------------------------------------------------------- */

static void *huge_take(struct slab *slab, size_t rounded)
{
	void *block = os_map(rounded);
	if (unlikely(!block)) {
		char text[80];
		int len = snprintf(text, sizeof(text), "orbit: out of memory mapping %zu bytes\n", rounded);
		os_stderr(slice_of(text, (size_t)len));
		abort();
	}
	slab->used += rounded;
	slab->mapped += rounded;
	return block;
}

static void *plain_take(struct slab *slab, size_t rounded)
{
	slab->used += rounded;
	slab->mapped += rounded;
	return rounded % 128 == 0 ? memory_aligned(128, rounded) : memory_alloc(rounded);
}

static void plain_give(struct slab *slab, void *block, size_t rounded)
{
	slab->used -= rounded;
	slab->mapped -= rounded;
	memory_free(block);
}

void *slab_take(struct slab *slab, size_t size)
{
	if (likely(size <= SLAB_SMALL_MAX && slab->backing == SLAB_REGIONS))
		return small_take(slab, size);
	size_t rounded = slab_size(size);
	return size < SLAB_HUGE_MIN ? plain_take(slab, rounded) : huge_take(slab, rounded);
}

void slab_give(struct slab *slab, void *block, size_t size)
{
	if (likely(size <= SLAB_SMALL_MAX && slab->backing == SLAB_REGIONS))
		small_give(slab, block, size);
	else if (size < SLAB_HUGE_MIN)
		plain_give(slab, block, slab_size(size));
	else
		slab_cut(slab, block, size, 0);
}

void slab_cut(struct slab *slab, void *block, size_t size, size_t keep)
{
	assert(size >= SLAB_HUGE_MIN);
	assert(keep % REGION_SIZE == 0);
	size_t rounded = slab_size(size);
	assert(keep <= rounded);
	if (keep == rounded)
		return;
	slab->used -= rounded - keep;
	slab->mapped -= rounded - keep;
	os_unmap((uint8_t *)block + keep, rounded - keep);
}

uint64_t slab_used(const struct slab *slab) { return slab->used; }
uint64_t slab_mapped(const struct slab *slab) { return slab->mapped; }

/* ---- proof ---------------------------------------------------------------------- */

static uint64_t span_verify(struct region *region, struct span *span)
{
	uint32_t start = span_start(region, span);
	assert(span->block_size == class_size(span->class));
	assert(span->used > 0);
	assert((span->fresh - start) % span->block_size == 0);
	assert(span->fresh <= SPAN_SIZE);
	uint32_t blocks = (span->fresh - start) / span->block_size, free = 0;
	for (uint16_t at = span->free; at != NO_BLOCK; at = *(uint16_t *)(span_base(span) + (size_t)at * 8)) {
		assert(((uint32_t)at * 8 - start) % span->block_size == 0);
		assert(++free <= blocks);
	}
	assert(span->used + free == blocks);
	assert(link_linked(&span->link) == !span_full(span));
	return (uint64_t)span->used * span->block_size;
}

void slab_verify(const struct slab *slab)
{
	if (slab->backing == SLAB_PLAIN)
		return;
	uint64_t used = 0, mapped = 0;
	uint32_t n_empty = 0;
	list_each (link, &slab->regions) {
		struct region *region = container_of(link, struct region, link);
		assert(link_linked(&region->free_link) == (region->free_spans != 0));
		n_empty += region_empty(region);
		for (unsigned at = 0; at < SPANS; at++)
			if (!(region->free_spans >> at & 1))
				used += span_verify(region, &region->spans[at]);
		mapped += REGION_SIZE;
	}
	assert(slab->n_empty == n_empty);
	/* Blocks above SLAB_SMALL_MAX lie outside, and are mapped as they are used. */
	assert(slab->used >= used);
	assert(slab->mapped - mapped == slab->used - used);
}
