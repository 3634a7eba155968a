/* compiler.h -- the few words the compiler needs from us. */
#pragma once

#include <stddef.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define cleanup(fn) __attribute__((cleanup(fn)))

/* Fetches a cache line that will be written, for this processor alone. The compiler's own prefetch would ask for
 * that only where every processor knows the instruction; those that don't pass over it. */
static inline void prefetch_to_write(const void *at)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* Gives away what a variable owns and leaves NULL behind. */
#define take(pointer)                     \
	({                                \
		typeof(pointer) taken_ = (pointer); \
		(pointer) = NULL;         \
		taken_;                   \
	})

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define array_len(array) (sizeof(array) / sizeof((array)[0]))
