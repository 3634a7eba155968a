/* caches.h -- clients that keep what they have read, and are told when it changes (CLIENT TRACKING).
 *
 * What      A cacher reads shared keys while others work, and drops what an invalidation names. When all others have
 *           done and all is at rest it reads each key once more: what it still keeps is what the server has.
 */
#pragma once

#include "tests/sim/clients_private.h"

void ask_as_cacher(struct client *client);

/* What was read as number `key`; false: what was kept is another, and nobody has said so. */
bool cache_take(struct client *client, uint8_t key, struct slice reply);

/* True: it is an invalidation. */
bool cache_drop(struct client *client, struct slice reply);
