/* pause.h -- CLIENT PAUSE: which rounds must wait for its end, and their line. */
#pragma once

#include <stdbool.h>

struct round;
struct rounds;

void pause_init(struct rounds *rounds);

/* Does a pause hold back what this round would do? */
bool pause_holds(const struct round *round);
