/* parcel.h -- calls on their way to another core, and their answers on the way back.
 *
 * What      A core that reads what another has written waits for each cache line. So all
 *           that it needs of a batch lies in one piece of memory, in the order in which
 *           it is read, and is fetched while what came before runs; what it finds out
 *           comes back in another. Neither core looks at the other's structs.
 *               there   head, then each call: row, hash, ..., lengths and bytes of its arguments
 *               back    where each answer ends, where it begins if that is not where the
 *                       one before ends, then the answers
 * Owner     Both pieces and the loans are the round's; the other core has the first until
 *           it answers, and has and may grow the second. Long arguments stay where they
 *           are, in the client's input.
 */
#pragma once

#include "query/session/round_private.h"

/* A batch of another core's round, while it runs here; in memory of this core. */
struct guest {
	struct batch batch;
	uint16_t from; /* core of the round */
	void *host;    /* its batch, for the answer */
	struct slice *arguments;
	uint32_t calls_room, arguments_room;
	struct call *calls;
	struct guest *next_free;
};

static inline struct guest *guest_of(struct batch *batch) { return container_of(batch, struct guest, batch); }

/* Packs a batch into its parcel, and says what to send. */
void parcel_pack(struct batch *batch, const struct client_view *client, struct message *out);

/* On the core of the calls. The answers are to be said behind what `batch.out` holds. */
struct guest *parcel_unpack(struct core *core, const struct message *message) must_check;

/* All calls have run: lets go of the guest, and says what to answer. */
void parcel_answer(struct core *core, struct guest *guest, struct message *out);

/* On the round's core: the batch has its answers, and each of its calls knows where. */
struct batch *parcel_answered(const struct message *message) must_check;

void guest_free(struct guest *guest);
