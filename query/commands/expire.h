/* expire.h -- what commands that let keys or fields expire have in common. */
#pragma once

#include "query/commands/command.h"

/* Bits. */
enum expire_condition { IF_NONE = 1, IF_ANY = 2, IF_LATER = 4, IF_EARLIER = 8 };

/* What argv[at] names; 0: nothing. */
unsigned expire_condition_named(const struct exec *exec, uint32_t at);

/* May what expires at `now_set_ms` (EXPIRES_NEVER: it does not, which counts as later than any time) expire at
 * `wanted_ms` instead? */
bool expire_conditions_hold(unsigned conditions, int64_t now_set_ms, int64_t wanted_ms);

/* "ERR invalid expire time in '...' command". */
void reply_wrong_expiry(struct exec *exec);
