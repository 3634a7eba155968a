#include "engine/base/copy.h"

#include <criterion/criterion.h>

enum { LENGTH_MAX = 100, AROUND = 32 };

/* Every length lands whole, and nothing around it is touched. */
Test(copy, any_length)
{
	uint8_t from[LENGTH_MAX], to[LENGTH_MAX + 2 * AROUND], expected[sizeof(to)];
	for (unsigned i = 0; i < LENGTH_MAX; i++)
		from[i] = (uint8_t)(i + 1);
	for (size_t n = 0; n <= LENGTH_MAX; n++) {
		memset(to, 0xee, sizeof(to));
		memset(expected, 0xee, sizeof(expected));
		memcpy(expected + AROUND, from, n);
		copy_short(to + AROUND, from, n);
		cr_assert_eq(memcmp(to, expected, sizeof(to)), 0, "%zu bytes", n);
	}
	copy_short(to, NULL, 0);
}
