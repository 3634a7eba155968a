/* pubsub.h -- who listens to which channel on one core.
 *
 * What      Each core knows the subscriptions of its own sessions. A message is shown to
 *           every core that has any; a word that all cores may read tells which do.
 * Order     What one client publishes arrives at a subscriber in that order.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdint.h>

struct channels;
struct core;
struct session;

struct channels *channels_new(struct core *core) must_check;
void channels_free(struct channels *channels);

/* One session's, for CLIENT LIST. */
struct subscription_counts {
	uint32_t channels, patterns, shard_channels;
};
struct subscription_counts subscription_counts(const struct session *session);

/* Different names on all cores. Fiber code. */
struct subscription_counts channels_count_all(struct core *core);
