/* network.h -- listeners, placement of connections, and the connections of a core.
 *
 * Core 0 listens. An accepted descriptor goes to the core with the fewest connections,
 * before its first byte is read, and stays there. Each core counts its own.
 */
#pragma once

#include "engine/net/connection.h"

struct machine;

struct listen_address {
	const struct protocol *protocol;
	const char *address;       /* "127.0.0.1", "::1", or a path for a Unix socket */
	uint16_t port;             /* ignored for a Unix socket */
	bool is_unix;
	unsigned unix_mode;
	struct tls_context *tls;   /* NULL: plain */
};

/* A core's network; before its loop runs. */
struct network *network_new(struct core *core) must_check;
void network_free(struct network *network); /* asserts that no connection lives */

/* On core 0. 0 or -errno. `port_out` (may be NULL) is the port bound. */
int network_listen(struct core *core, const struct listen_address *where, uint16_t *port_out) must_check;

/* Stops accepting; every connection is asked to drain. On each core. */
void network_drain(struct core *core);
/* Cuts what is still there. */
void network_cut(struct core *core);
uint32_t network_connections(const struct core *core);
/* Does nobody listen, and is no connection open or on its way to its core? After the drain
 * it stays so. From any thread. */
bool network_is_quiet(const struct machine *machine);

/* The settings of the core may have changed: the idle are looked for as `timeout` says. */
void network_follow_settings(struct core *core);

/* Calls `visit` for each connection of this core. It may close the one it is shown. */
void network_each(struct core *core, void (*visit)(void *arg, struct connection *connection), void *arg);
