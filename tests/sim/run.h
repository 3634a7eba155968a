/* run.h -- one seed, from the first connection to the last check. */
#pragma once

#include "tests/sim/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct command_index;

struct outcome {
	bool passed;
	bool given_up;    /* whether the replies can be explained was not found out */
	const char *kind; /* of failure: "hang", "reply", "order" ...; else NULL */
	uint64_t trace;   /* the same for the same seed */
	uint64_t steps, virtual_ns;
	uint32_t operations;
	uint64_t search_steps;
};

/* Tells `to` what is wrong, if something is; everything, if `loud`. */
struct outcome run_seed(uint64_t seed, enum play play, const struct command_index *index, bool loud, FILE *to);
