/* network_private.h -- what connection.c and network.c share. */
#pragma once

#include "engine/core/core.h"
#include "engine/net/network.h"
#include "engine/net/tls.h"

#include <stdatomic.h>

enum { LISTENERS_MAX = 32, SPARE_BUFFERS = 64, SPARE_BUFFER_SIZE = 16 * 1024 };

struct listener {
	struct io_socket socket;
	struct network *network;
	const struct protocol *protocol;
	struct tls_context *tls;
	bool is_unix;
	bool open;
};

struct network {
	struct core *core;
	struct link connections;
	struct link dirty;
	struct turn_end flush;
	_Atomic uint32_t n;  /* connections placed here, from acceptance on; read by core 0 */
	_Atomic uint32_t n_listening; /* listeners that may still accept; core 0's */
	uint64_t next_id;    /* core 0's */
	struct timer idle;   /* looks for connections that were silent for too long */
	bool draining;
	struct listener listeners[LISTENERS_MAX]; /* core 0's */
	uint32_t n_listeners;
	struct buf spare[SPARE_BUFFERS]; /* output buffers at rest */
	uint32_t n_spare;
};

/* Makes an accepted descriptor a connection of this core. */
void connection_open(struct network *network, int fd, uint64_t id, const struct protocol *protocol,
		     struct tls_context *tls, bool refuse);
void connections_flush(struct core *core, struct turn_end *hook);

/* The server stops: one that has said all lingers no longer than it must. */
void connection_hurry(struct connection *connection);
