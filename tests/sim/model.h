/* model.h -- what the commands mean, one at a time, on a few keys: the oracle.
 *
 * Source    The behaviour of Redis 7.2, for keys whose expiry is far away, if they have one. Elements of sets and
 * hashes come in the order of their bytes (replies.h).
 */
#pragma once

#include "tests/sim/history.h"

/* All keys, and who watches which. */
struct state {
	uint32_t values[DATABASES_USED * KEYS_MAX]; /* texts */
	uint8_t expires[32];                        /* in seconds after EXPIRES_FROM_S; 0: never */
	uint16_t sessions[CLIENTS_MAX];             /* whose watches these are: */
	uint64_t watched[CLIENTS_MAX];              /* slots */
	uint64_t broken[CLIENTS_MAX];               /* those changed since */
	uint64_t doubtful[CLIENTS_MAX];             /* a database was emptied or swapped: either is right */
};

static_assert(DATABASES_USED * KEYS_MAX <= 32, "one for each key");

struct model {
	struct texts *texts;
	struct buf said, value, script; /* at work */
};

void model_fini(struct model *model);

/* Does the operation; whether its reply is what it would have been. A reply not seen is
 * always right. If not, the state is of no use any more. */
bool model_explains(struct model *model, struct state *state, const struct operation *operation);

/* One command on key 0 of database 0, which has the value *text; its reply, as RESP2 has it, is put behind what is in
 * `out`. */
void model_do(struct model *model, const struct step *step, uint32_t *text, struct buf *out);
