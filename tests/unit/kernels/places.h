/* places.h -- inputs of every length at every alignment, with unreadable pages around them.
 *
 * A form that reads past an end of its input stops the test with a fault.
 */
#pragma once

#include "kernels/cpu.h"

#include <criterion/criterion.h>

enum { PLACES_EVERY = 300, PLACES_MAX = 16384 };

/* Looks at one form with one input. It may write to bytes[0..n). */
typedef void place_fn(const struct kernel_variant *variant, uint8_t *bytes, size_t n);

/* Calls `look` for each form that this machine can run, with all lengths up to PLACES_EVERY and some
 * larger ones, the first and the last byte 0 to 15 bytes from an unreadable page. */
void at_every_place(const struct kernel_variant *variants, place_fn *look);

/* Does this machine have what the form needs? */
bool can_run(const struct kernel_variant *variant);

/* The next number of a fixed sequence, so that a failure comes back. */
uint64_t random_u64(void);
void random_fill(uint8_t *bytes, size_t n);

/* Stops the test and says which input it was. */
#define disagree(variant, bytes, n)                                                                \
	cr_assert_fail("%s disagrees, n = %zu, address %% 64 = %zu", (variant)->name, (size_t)(n), \
	               (size_t)((uintptr_t)(bytes) % 64))
