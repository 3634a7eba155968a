/* sanitize.h -- tells the sanitizers which stack runs; nothing in ordinary builds.
 *
 * AddressSanitizer must know the bounds of the stack it walks, and ThreadSanitizer takes
 * each fiber for a thread of its own, or both see ghosts.
 */
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZE_STACK_FACTOR = 4 }; /* their frames are larger */
#else
enum { SANITIZE_STACK_FACTOR = 1 };
#endif

/* What is known of a stack besides its pointer. */
struct stack_facts {
	const void *bottom;
	size_t size;
	void *fake; /* ASan's side stack while this one rests */
	void *tsan;
};

static inline void sanitize_born(struct stack_facts *facts)
{
#if defined(__SANITIZE_ADDRESS__)
	__asan_unpoison_memory_region(facts->bottom, facts->size); /* of the fiber before */
#endif
#if defined(__SANITIZE_THREAD__)
	facts->tsan = __tsan_create_fiber(0);
#endif
}

static inline void sanitize_gone(struct stack_facts *facts)
{
#if defined(__SANITIZE_THREAD__)
	__tsan_destroy_fiber(facts->tsan);
#endif
}

/* Just before the switch. `ends`: the stack that is left will not run again. */
static inline void sanitize_leave(struct stack_facts *from, struct stack_facts *to, int ends)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(ends ? NULL : &from->fake, to->bottom, to->size);
#endif
#if defined(__SANITIZE_THREAD__)
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* Just after it, on the stack that runs now: `self` is that one, `from` the one that was
 * left, whose bounds only the sanitizer knows when it is a thread's own. */
static inline void sanitize_enter(struct stack_facts *self, struct stack_facts *from)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(self->fake, &from->bottom, &from->size);
#endif
}

/* Before the first switch away from a thread's own stack. */
static inline void sanitize_thread_stack(struct stack_facts *facts)
{
#if defined(__SANITIZE_THREAD__)
	facts->tsan = __tsan_get_current_fiber();
#endif
}
