/* transaction.h -- MULTI's queue and WATCH's watches of one session. */
#pragma once

#include "query/commands/command.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

bool transaction_is_queueing(const struct session *session);

/* Queues a copy of the call and says QUEUED. */
void transaction_queue(struct session *session, const struct command *command, const struct slice *argv,
		       uint32_t argc, struct reply *reply);

/* A call was refused while queueing: EXEC will say EXECABORT. */
void transaction_spoil(struct session *session);

/* EXEC itself is refused, in the middle of a transaction or not: says so, and forgets it. */
void transaction_abort(struct session *session, const char *why, struct reply *reply);

/* Forgets queue and watches; may be called when the session ends. */
void transaction_drop(struct session *session);

uint32_t transaction_queued(const struct session *session); /* calls */
uint32_t transaction_flags(const struct session *session);  /* of all queued calls together */
uint32_t transaction_watched(const struct session *session); /* keys */
