/* copy.h -- short copies without a call.
 *
 * What      Keys and values are mostly some ten bytes long: the call of memcpy() and its look at the length take longer
 *           than the copy. Up to 64 bytes go in pieces of 16, 8 or 4, the last of which overlaps the one before it.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* As memcpy(); `from` may be NULL if `n` is 0. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t n)
{
	if (unlikely(n > 64)) {
		memcpy(to, from, n);
	} else if (n >= 16) {
		for (size_t at = 0; at + 16 < n; at += 16)
			memcpy(to + at, from + at, 16);
		memcpy(to + n - 16, from + n - 16, 16);
	} else if (n >= 8) {
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	} else {
		for (size_t at = 0; at < n; at++)
			to[at] = from[at];
	}
}
