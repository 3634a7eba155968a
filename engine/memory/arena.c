#include "engine/memory/arena.h"

#include "engine/memory/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024, ALIGN_MAX = 64 };

/* Blocks form a stack; the top one is bumped. A large request gets a block of its own
 * below the top, so that the room left in the top one is not lost. */
struct block {
	struct block *below;
	size_t size; /* header included */
	size_t used;
	_Alignas(ALIGN_MAX) uint8_t bytes[];
};

struct arena {
	struct block *top;
	size_t budget;
	size_t held; /* bytes of all blocks */
};

struct arena *arena_new(size_t budget_bytes)
{
	struct arena *arena = memory_zalloc(sizeof(*arena));
	arena->budget = budget_bytes;
	return arena;
}

static void blocks_free(struct arena *arena, struct block *block)
{
	while (block) {
		struct block *below = block->below;
		arena->held -= block->size;
		memory_free(block);
		block = below;
	}
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	blocks_free(arena, arena->top);
	memory_free(arena);
}

static struct block *block_new(struct arena *arena, size_t payload)
{
	if (payload > arena->budget)
		return NULL; /* also: no sum below overflows */
	size_t size = (sizeof(struct block) + payload + ALIGN_MAX - 1) / ALIGN_MAX * ALIGN_MAX;
	if (size < BLOCK_SIZE)
		size = BLOCK_SIZE;
	if (size > arena->budget - arena->held)
		return NULL;
	struct block *block = memory_aligned(ALIGN_MAX, size);
	*block = (struct block){.size = size};
	arena->held += size;
	return block;
}

static void *bump(struct block *block, size_t size, size_t align)
{
	size_t at = (block->used + align - 1) / align * align;
	size_t room = block->size - sizeof(*block);
	if (at > room || size > room - at)
		return NULL;
	block->used = at + size;
	return memset(block->bytes + at, 0, size);
}

void *arena_alloc(struct arena *arena, size_t size, size_t align)
{
	assert(align > 0 && (align & (align - 1)) == 0);
	assert(align <= ALIGN_MAX);
	void *ptr = arena->top ? bump(arena->top, size, align) : NULL;
	if (ptr)
		return ptr;
	struct block *block = block_new(arena, size);
	if (!block)
		return NULL;
	bool large = arena->top && block->size > BLOCK_SIZE;
	struct block **place = large ? &arena->top->below : &arena->top;
	block->below = *place;
	*place = block;
	return bump(block, size, align);
}

void arena_reset(struct arena *arena)
{
	struct block *top = arena->top;
	if (!top)
		return;
	blocks_free(arena, take(top->below));
	top->used = 0;
	if (top->size > BLOCK_SIZE) /* one large request is no reason to keep much */
		blocks_free(arena, take(arena->top));
}
