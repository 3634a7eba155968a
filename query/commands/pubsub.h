/* pubsub.h -- who listens to which channel on one core.
 *
 * What      Each core knows the subscriptions of its own sessions. A message is shown to
 *           every core that has any; a word that all cores may read tells which do.
 * Order     What one client publishes arrives at a subscriber in that order.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct channels;
struct core;
struct machine;
struct session;

struct channels *channels_new(struct core *core) must_check;
void channels_free(struct channels *channels);

/* Does anybody listen on that core? */
bool channels_any(const struct machine *machine, uint16_t core);

/* Shows a message to the sessions of this core that listen to the channel; how many got it, once for each way. Not
 * while one of them is being answered. */
uint64_t channels_show(struct core *core, struct slice channel, struct slice message);

/* One session's, for CLIENT LIST. */
struct subscription_counts {
	uint32_t channels, patterns, shard_channels;
};
struct subscription_counts subscription_counts(const struct session *session);

/* Different names on all cores. Fiber code. */
struct subscription_counts channels_count_all(struct core *core);
