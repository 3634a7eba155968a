#include "engine/memory/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static void expect_zeroed(const uint8_t *ptr, size_t size)
{
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(ptr[i], 0);
}

Test(arena, gives_zeroed_aligned_memory_that_does_not_overlap)
{
	struct arena *arena = arena_new(16 * 1024 * 1024);
	for (int round = 0; round < 3; round++) {
		uint8_t *ptrs[2000];
		for (size_t i = 0; i < 2000; i++) {
			size_t align = (size_t)1 << i % 7, size = 1 + i * i % 3001;
			ptrs[i] = arena_alloc(arena, size, align);
			cr_assert_not_null(ptrs[i]);
			cr_assert_eq((uintptr_t)ptrs[i] % align, 0);
			expect_zeroed(ptrs[i], size);
			memset(ptrs[i], (int)(i & 0xff), size);
		}
		for (size_t i = 0; i < 2000; i++)
			cr_assert_eq(ptrs[i][i * i % 3001], (uint8_t)i);
		arena_reset(arena);
	}
	arena_free(arena);
}

Test(arena, refuses_what_exceeds_its_budget)
{
	struct arena *arena = arena_new(1024 * 1024);
	cr_assert_null(arena_alloc(arena, 2 * 1024 * 1024, 1));
	cr_assert_null(arena_alloc(arena, SIZE_MAX, 1));
	int blocks = 0;
	while (arena_alloc(arena, 60 * 1024, 8))
		blocks++;
	cr_assert_eq(blocks, 16);
	arena_reset(arena);
	cr_assert_not_null(arena_alloc(arena, 900 * 1024, 64));
	arena_free(arena);
	arena_free(NULL);
}

Test(arena, a_large_request_leaves_the_small_room_in_use)
{
	struct arena *arena = arena_new(1024 * 1024);
	uint8_t *first = arena_alloc(arena, 8, 8);
	cr_assert_not_null(arena_alloc(arena, 200 * 1024, 8));
	uint8_t *second = arena_alloc(arena, 8, 8);
	cr_assert_eq(second, first + 8);
	arena_free(arena);
}
