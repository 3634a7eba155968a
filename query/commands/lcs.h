/* lcs.h -- the longest common subsequence of two strings of bytes.
 *
 * What      Of the many longest ones, the one that Redis finds: walking back from both
 *           ends, a byte is dropped from `a` only if that alone keeps the length.
 * Cost      |a| * |b| / 64 steps; tracing keeps a bit for each pair of positions.
 * Source    Hyyrö, "Bit-Parallel LCS-length Computation Revisited", AWOCA 2004.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

/* A stretch that both strings share; the ends are the positions of its last bytes. */
struct lcs_run {
	size_t a_from, a_to;
	size_t b_from, b_to;
};

size_t lcs_length(struct slice a, struct slice b);

/* Appends the subsequence to `text` and its runs, last first, to `runs` (of struct
 * lcs_run); returns its length. */
size_t lcs_trace(struct slice a, struct slice b, struct buf *text, struct buf *runs);
