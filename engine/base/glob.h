/* glob.h -- Redis' patterns: `*`, `?`, `[a-z]`, `[^a-z]`, `\x`.
 *
 * What      One walk over pattern and text that falls back to the last `*` only: an earlier
 *           one need never take more, since what comes after it was found already.
 * Bounds    Time grows with the product of the lengths at worst, and is cut off: a match
 *           that takes more steps than GLOB_STEPS_LEAST + GLOB_STEPS_BYTE for each byte of
 *           pattern and text is none, as Redis gives up on abusive patterns. Work that must
 *           not hold others up is done in portions (glob_go_on).
 * Kept      What Redis does at the edges: an empty text fits the empty pattern only; a set
 *           without its end runs to the end of the pattern; ranges compare signed bytes.
 * Owner     Pattern and text are borrowed.
 */
#pragma once

#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { GLOB_STEPS_LEAST = 1 << 20, GLOB_STEPS_BYTE = 64 };

bool glob_fits(struct slice pattern, struct slice text);
bool glob_fits_nocase(struct slice pattern, struct slice text);

/* ---- in portions ---------------------------------------------------------------- */

enum glob_verdict { GLOB_NO, GLOB_YES, GLOB_UNDECIDED };

struct glob {
	struct slice pattern, text;
	size_t pattern_at, text_at;
	size_t star_at, star_text_at; /* behind the last `*`, and where its rest was tried */
	uint64_t steps_left;
	bool any_star, nocase;
};

struct glob glob_of(struct slice pattern, struct slice text, bool nocase);

/* Goes on for about *steps, which it counts down. A step looks at one byte of pattern. */
enum glob_verdict glob_go_on(struct glob *glob, uint64_t *steps);
