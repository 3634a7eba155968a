/* listen.h -- were messages delivered as they had to be? */
#pragma once

#include "tests/sim/history.h"

/* Each subscriber has each publisher's messages in the order they were published, none twice,
 * none missing while it listened; and each publisher was told how many got it. Explains
 * itself to `to` if not. */
bool check_deliveries(const struct history *history, FILE *to);

/* Whoever has received a message may rely on what its publisher did before: the operations
 * before it count as done by then. Before check_history(). */
void deliveries_date(struct history *history);
