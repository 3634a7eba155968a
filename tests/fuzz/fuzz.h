/* fuzz.h -- what fuzzers have in common.
 *
 * Each fuzzer is one file with LLVMFuzzerTestOneInput(). clang links it with libFuzzer
 * (scripts/fuzz NAME SECONDS); any compiler links it with replay.c, which runs the
 * committed corpus as a test. What is wrong stops the program.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An assertion that says what it is about; in fuzzers only. */
#define fuzz_check(that)                                                                   \
	do {                                                                               \
		if (!(that)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #that); \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* Choices taken off the front of the input: what the mutator can find its way through. */
static inline uint8_t fuzz_byte(struct slice *input)
{
	if (input->len == 0)
		return 0;
	uint8_t byte = *input->ptr;
	*input = slice_sub(*input, 1, input->len);
	return byte;
}

/* Lengths of the pieces that a stream arrives in, from a seed: mostly short. */
static inline size_t fuzz_piece(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	uint32_t r = *seed >> 16;
	return 1 + (r % 4 ? r / 4 % 8 : r / 4 % 600);
}

/* A copy in a block of its own size, so that a look past its end is seen. free() it. */
static inline uint8_t *fuzz_copy(struct slice bytes)
{
	uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	return copy;
}
