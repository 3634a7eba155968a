#include "engine/net/network.h"

#include "engine/config/settings.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- silence ------------------------------------------------------------------------ */

enum { IDLE_LOOK_NS = 250 * 1000 * 1000, IDLE_LOOKS = 1000 };

/* Looks at some connections and goes on with the others next time. */
static void close_idle(struct core *core, struct timer *timer)
{
	struct network *network = core->network;
	uint64_t timeout_ns = (uint64_t)core->settings->timeout * 1000 * 1000 * 1000;
	uint32_t n = network_connections(core);
	for (uint32_t i = 0; i < n && i < IDLE_LOOKS && !list_empty(&network->connections); i++) {
		struct link *link = list_pop_front(&network->connections);
		list_push_back(&network->connections, link);
		struct connection *c = container_of(link, struct connection, all);
		if (!c->closing && c->protocol->idled && core->now_ns - c->active_ns > timeout_ns)
			c->protocol->idled(c);
	}
	timer_start(&core->timers, timer, core->now_ns + IDLE_LOOK_NS);
}

void network_follow_settings(struct core *core)
{
	struct network *network = core->network;
	if (!network)
		return; /* a core that serves nobody, as in tests of commands */
	if (core->settings->timeout == 0)
		timer_stop(&core->timers, &network->idle);
	else if (!timer_started(&network->idle))
		timer_start(&core->timers, &network->idle, core->now_ns + IDLE_LOOK_NS);
}

/* ---- life --------------------------------------------------------------------------- */

struct network *network_new(struct core *core)
{
	struct network *network = memory_zalloc(sizeof(*network));
	network->core = core;
	list_init(&network->connections);
	list_init(&network->dirty);
	network->flush.run = connections_flush;
	network->idle.run = close_idle;
	core_at_turn_end(core, &network->flush);
	return network;
}

void network_free(struct network *network)
{
	if (!network)
		return;
	assert(list_empty(&network->connections));
	list_remove(&network->flush.link);
	timer_stop(&network->core->timers, &network->idle);
	while (network->n_spare > 0)
		buf_fini(&network->spare[--network->n_spare]);
	memory_free(network);
}

uint32_t network_connections(const struct core *core)
{
	return atomic_load_explicit(&core->network->n, memory_order_relaxed);
}

/* ---- placement -------------------------------------------------------------------- */

static uint16_t least_loaded(const struct machine *machine, uint32_t *total)
{
	uint16_t best = 0;
	uint32_t least = UINT32_MAX;
	*total = 0;
	for (uint16_t i = 0; i < machine->n_cores; i++) {
		uint32_t n = network_connections(machine->cores[i]);
		*total += n;
		if (n < least) {
			least = n;
			best = i;
		}
	}
	return best;
}

/* args: descriptor, id, protocol, TLS context, refuse. */
static void receive_connection(struct core *core, struct message *message)
{
	connection_open(core->network, (int)message->args[0].word, message->args[1].word, message->args[2].ptr,
			message->args[3].ptr, message->args[4].word != 0);
}

static void on_accepted(struct io_socket *socket, int result)
{
	struct listener *listener = container_of(socket, struct listener, socket);
	struct network *network = listener->network;
	if (result < 0)
		return; /* the back end has slowed itself down if there are no descriptors left */
	uint32_t total;
	uint16_t to = least_loaded(network->core->machine, &total);
	bool refuse = total >= (uint64_t)network->core->settings->maxclients;
	atomic_fetch_add_explicit(&network->core->machine->cores[to]->network->n, 1, memory_order_relaxed);
	struct message message = {.run = receive_connection};
	message.args[0].word = (uint64_t)result;
	message.args[1].word = ++network->next_id;
	message.args[2].ptr = (void *)listener->protocol;
	message.args[3].ptr = listener->tls;
	message.args[4].word = refuse;
	if (to == network->core->id)
		receive_connection(network->core, &message);
	else
		core_post(network->core, to, &message);
}

static void on_listener_closed(struct io_socket *socket)
{
	struct listener *listener = container_of(socket, struct listener, socket);
	listener->open = false;
	/* Whatever it accepted was counted before. */
	atomic_fetch_sub_explicit(&listener->network->n_listening, 1, memory_order_release);
}

static const struct io_socket_events listener_events = {.accepted = on_accepted, .closed = on_listener_closed};

static uint16_t port_of(struct io_socket *socket)
{
	char text[128];
	if (io_socket_address(socket, true, text, sizeof(text)) < 0)
		return 0;
	const char *colon = strrchr(text, ':');
	return colon ? (uint16_t)atoi(colon + 1) : 0;
}

int network_listen(struct core *core, const struct listen_address *where, uint16_t *port_out)
{
	struct network *network = core->network;
	if (network->n_listeners == LISTENERS_MAX)
		return -EMFILE;
	struct listener *listener = &network->listeners[network->n_listeners];
	listener->network = network;
	listener->protocol = where->protocol;
	listener->tls = where->tls;
	listener->is_unix = where->is_unix;
	io_socket_init(&listener->socket, core->io, &listener_events);
	int result = where->is_unix ? io_listen_unix(&listener->socket, where->address, where->unix_mode)
				    : io_listen_tcp(&listener->socket, where->address, where->port);
	if (result < 0)
		return result;
	listener->open = true;
	network->n_listeners++;
	atomic_fetch_add_explicit(&network->n_listening, 1, memory_order_relaxed);
	if (port_out)
		*port_out = port_of(&listener->socket);
	return 0;
}

/* ---- the end ---------------------------------------------------------------------- */

void network_drain(struct core *core)
{
	struct network *network = core->network;
	if (network->draining)
		return;
	network->draining = true;
	for (uint32_t i = 0; i < network->n_listeners; i++)
		if (network->listeners[i].open)
			io_socket_close(&network->listeners[i].socket);
	list_each(link, &network->connections) {
		struct connection *c = container_of(link, struct connection, all);
		if (!c->closing)
			c->protocol->drain(c);
		connection_hurry(c);
	}
}

bool network_is_quiet(const struct machine *machine)
{
	if (atomic_load_explicit(&machine->cores[0]->network->n_listening, memory_order_acquire) > 0)
		return false;
	for (uint16_t i = 0; i < machine->n_cores; i++)
		if (network_connections(machine->cores[i]) > 0)
			return false;
	return true;
}

void network_cut(struct core *core)
{
	list_each(link, &core->network->connections)
		connection_abort(container_of(link, struct connection, all));
}

void network_each(struct core *core, void (*visit)(void *arg, struct connection *connection), void *arg)
{
	list_each(link, &core->network->connections)
		visit(arg, container_of(link, struct connection, all));
}
