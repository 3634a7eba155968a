#include "engine/memory/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if ORBIT_SYSTEM_MALLOC
#include <malloc.h>
#define raw_alloc malloc
#define raw_zalloc(size) calloc(1, size)
#define raw_resize realloc
#define raw_aligned(align, size) aligned_alloc(align, ((size) + (align)-1) / (align) * (align))
#define raw_free free
#define raw_give_back() malloc_trim(0)
#else
#include <mimalloc.h>
#define raw_alloc mi_malloc
#define raw_zalloc mi_zalloc
#define raw_resize mi_realloc
#define raw_aligned(align, size) mi_malloc_aligned(size, align)
#define raw_free mi_free
#define raw_give_back() mi_collect(true)
#endif

static void *checked(void *ptr, size_t size)
{
	if (unlikely(!ptr)) {
		fprintf(stderr, "orbit: out of memory asking for %zu bytes\n", size);
		abort();
	}
	return ptr;
}

void *memory_alloc(size_t size) { return checked(raw_alloc(size ? size : 1), size); }
void *memory_zalloc(size_t size) { return checked(raw_zalloc(size ? size : 1), size); }
void *memory_resize(void *ptr, size_t size) { return checked(raw_resize(ptr, size ? size : 1), size); }
void *memory_aligned(size_t align, size_t size) { return checked(raw_aligned(align, size ? size : 1), size); }
void memory_free(void *ptr) { raw_free(ptr); }
void memory_give_back(void) { raw_give_back(); }
