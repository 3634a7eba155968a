/* The simulated world: time, chance and the network. sim_file.c has the files.
 *
 *   client --in: pieces on their way--> arrived --chunks--> socket of some core
 *   client <--arrived <--pieces on their way :out--<-- sends, as far as the window goes
 *
 * What is due for an io is found anew at each poll from the state of its connections, so
 * that nothing can be delivered that a callback has just made void. Which connection is
 * served first, and what of it, is chance; each draw and each delivery is noted in the
 * trace.
 */
#include "engine/io/sim.h"

#include "engine/io/sim_private.h"
#include "engine/memory/memory.h"

#include <errno.h>
#include <stdio.h>

enum {
	PIECES_MAX = 16, /* of what is sent at once */
	EVENTS_MAX = 4,  /* of one connection in a poll */
	ALL_CHANCES = 1000,
	JUNK = 0xdd, /* in what was released */
	FIRST_FD = 1000,
};

/* io_socket.state */
enum { WANTED = 1, SENDING = 2, LISTENING = 4, CLOSING = 8, ENDED = 16 };

static const uint64_t START_NS = 1000ull * 1000 * 1000;
static const int64_t START_WALL_US = 1800000000ll * 1000000;

/* ---- time and chance ----------------------------------------------------------------- */

uint64_t sim_now_ns(const struct sim *sim) { return sim->now_ns; }
void sim_pass_ns(struct sim *sim, uint64_t ns) { sim->now_ns += ns; }

void sim_note(struct sim *sim, uint64_t what)
{
	sim->trace = (sim->trace << 23 | sim->trace >> 41) ^ what * 0x9e3779b97f4a7c15u;
}

void sim_note_bytes(struct sim *sim, struct slice bytes)
{
	uint64_t word = bytes.len;
	for (size_t i = 0; i < bytes.len; i++)
		word = word * 0x100000001b3u ^ bytes.ptr[i];
	sim_note(sim, word);
}

uint64_t sim_trace(const struct sim *sim) { return sim->trace; }

/* SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
uint64_t sim_random(struct sim *sim)
{
	uint64_t z = sim->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	sim_note(sim, z ^ sim->now_ns);
	return z;
}

uint64_t sim_below(struct sim *sim, uint64_t n)
{
	assert(n > 0);
	return (uint64_t)((unsigned __int128)sim_random(sim) * n >> 64);
}

bool sim_chance(struct sim *sim, uint32_t in_1000) { return in_1000 > 0 && sim_below(sim, ALL_CHANCES) < in_1000; }

/* Up to `most`, and often much less. */
static uint64_t some_ns(struct sim *sim, uint64_t most)
{
	if (most == 0)
		return 0;
	uint64_t r = sim_below(sim, most + 1);
	return sim_chance(sim, 500) ? r / 16 : r;
}

static uint64_t sim_clock(struct io *io)
{
	struct sim *sim = sim_io_of(io)->sim;
	if (sim->faults.clock_ns)
		sim->now_ns += sim_below(sim, sim->faults.clock_ns) + 1;
	return sim->now_ns;
}

static int64_t sim_wall_us(struct io *io) { return START_WALL_US + (int64_t)(sim_io_of(io)->sim->now_ns / 1000); }

static void sim_fill(struct io *io, void *out, size_t size)
{
	uint8_t *to = out;
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(sim_random(sim_io_of(io)->sim) >> 56);
}

/* ---- streams ------------------------------------------------------------------------- */

static size_t stream_len(const struct sim_stream *stream) { return stream->bytes.len - stream->from; }

static void piece_add(struct sim *sim, struct sim_stream *stream, size_t n, bool end)
{
	uint64_t at_ns = sim->now_ns + some_ns(sim, sim->faults.delay_ns);
	if (at_ns < stream->last_ns)
		at_ns = stream->last_ns;
	stream->last_ns = at_ns;
	struct sim_piece piece = {.n = n, .at_ns = at_ns, .end = end};
	buf_append(&stream->pieces, slice_of(&piece, sizeof(piece)));
}

static void stream_put(struct sim *sim, struct sim_stream *stream, struct slice bytes)
{
	assert(!stream->finished);
	buf_append(&stream->bytes, bytes);
	for (size_t left = bytes.len; left > 0;) {
		size_t n = 1 + sim_below(sim, sim->faults.piece_bytes) + bytes.len / PIECES_MAX;
		if (n > left)
			n = left;
		piece_add(sim, stream, n, false);
		left -= n;
	}
}

static void stream_finish(struct sim *sim, struct sim_stream *stream)
{
	if (stream->finished)
		return;
	stream->finished = true;
	piece_add(sim, stream, 0, true);
}

static const struct sim_piece *stream_next(const struct sim_stream *stream)
{
	return stream->pieces.len > 0 ? (const struct sim_piece *)stream->pieces.ptr : NULL;
}

static uint64_t stream_next_ns(const struct sim_stream *stream)
{
	const struct sim_piece *next = stream_next(stream);
	return next ? next->at_ns : UINT64_MAX;
}

/* What had time enough to arrive has arrived. */
static void stream_settle(const struct sim *sim, struct sim_stream *stream)
{
	const struct sim_piece *piece = (const struct sim_piece *)stream->pieces.ptr;
	size_t n = stream->pieces.len / sizeof(*piece), settled = 0;
	for (; settled < n && piece[settled].at_ns <= sim->now_ns; settled++) {
		stream->arrived += piece[settled].n;
		stream->ended |= piece[settled].end;
	}
	if (settled > 0)
		buf_drop(&stream->pieces, settled * sizeof(*piece));
}

static struct slice stream_arrived(const struct sim_stream *stream)
{
	return slice_of(stream->bytes.ptr + stream->from, stream->arrived);
}

static void stream_take(struct sim_stream *stream, size_t n)
{
	assert(n <= stream->arrived);
	stream->arrived -= n;
	stream->from += n;
	if (stream->from > stream->bytes.len / 2) {
		buf_drop(&stream->bytes, stream->from);
		stream->from = 0;
	}
}

/* Nothing of it will ever be read. */
static void stream_drop(struct sim_stream *stream)
{
	buf_fini(&stream->bytes);
	buf_fini(&stream->pieces);
	stream->from = stream->arrived = 0;
	stream->finished = stream->ended = true;
}

/* ---- connections, seen from the server ------------------------------------------------ */

static struct sim_client *client_by_fd(const struct sim *sim, int fd)
{
	list_each (link, &sim->clients) {
		struct sim_client *client = container_of(link, struct sim_client, all);
		if (client->fd == fd)
			return client;
	}
	return NULL;
}

static void client_destroy(struct sim_client *client)
{
	list_remove(&client->all);
	buf_fini(&client->in.bytes);
	buf_fini(&client->in.pieces);
	buf_fini(&client->out.bytes);
	buf_fini(&client->out.pieces);
	memory_free(client);
}

static struct io *client_io(const struct sim_client *client)
{
	return client->socket ? client->socket->io : client->awaited ? client->awaited->io : NULL;
}

static bool is_cut(const struct sim_client *client) { return client->reset && client->known_ns <= client->sim->now_ns; }

static bool has_chunk(const struct io_socket *socket)
{
	const struct sim_io *io = sim_io_of(socket->io);
	return io->chunks_out < io->sim->faults.chunks;
}

static bool is_accepting(const struct sim_client *client)
{
	return client->awaited && client->known_ns <= client->sim->now_ns;
}

static bool has_data(const struct sim_client *client)
{
	const struct io_socket *socket = client->socket;
	if (!socket || socket->state & ENDED || is_cut(client) || client->in.arrived == 0 || !has_chunk(socket))
		return false;
	return client->straggler || (socket->state & WANTED && !(socket->state & CLOSING));
}

static bool has_end(const struct sim_client *client)
{
	const struct io_socket *socket = client->socket;
	if (!socket || !(socket->state & WANTED) || socket->state & (ENDED | CLOSING))
		return false;
	return is_cut(client) || (client->in.arrived == 0 && client->in.ended);
}

static size_t window_room(const struct sim_client *client)
{
	size_t used = stream_len(&client->out), window = client->sim->faults.window_bytes;
	return used < window ? window - used : 0;
}

static bool has_sent(const struct sim_client *client)
{
	const struct io_socket *socket = client->socket;
	if (!socket || !(socket->state & SENDING) || client->send_ns > client->sim->now_ns)
		return false;
	return window_room(client) > 0 || is_cut(client) || client->away || socket->state & CLOSING;
}

static bool has_closed(const struct sim_client *client)
{
	const struct io_socket *socket = client->socket;
	return socket && socket->state & CLOSING && !(socket->state & SENDING) &&
	       client->close_ns <= client->sim->now_ns;
}

static bool is_due(const struct sim_client *client)
{
	return is_accepting(client) || has_data(client) || has_end(client) || has_sent(client) || has_closed(client);
}

static uint64_t sooner(uint64_t a_ns, uint64_t b_ns) { return a_ns < b_ns ? a_ns : b_ns; }

static uint64_t client_due_ns(const struct sim_client *client)
{
	uint64_t now_ns = client->sim->now_ns, next_ns = stream_next_ns(&client->in);
	const struct io_socket *socket = client->socket;
	if (client->known_ns > now_ns)
		next_ns = sooner(next_ns, client->known_ns);
	if (socket && socket->state & SENDING && client->send_ns > now_ns)
		next_ns = sooner(next_ns, client->send_ns);
	if (socket && socket->state & CLOSING && client->close_ns > now_ns)
		next_ns = sooner(next_ns, client->close_ns);
	return next_ns;
}

/* ---- what is called back --------------------------------------------------------------- */

static void give_accepted(struct sim_client *client)
{
	struct io_socket *listener = client->awaited;
	client->awaited = NULL;
	client->accepted = true;
	sim_note(client->sim, (uint64_t)client->fd);
	listener->on->accepted(listener, client->fd);
}

/* A block of its own for each chunk, so that a look past its end, or after its release, is
 * seen by the sanitizer. */
static void give_data(struct sim_client *client)
{
	struct io_socket *socket = client->socket;
	struct sim_io *io = sim_io_of(socket->io);
	struct slice arrived = stream_arrived(&client->in);
	size_t n = 1 + sim_below(io->sim, io->sim->faults.receive_bytes);
	if (n > arrived.len)
		n = arrived.len;
	if (n > IO_CHUNK_SIZE)
		n = IO_CHUNK_SIZE;
	struct io_chunk chunk = {.ptr = memory_alloc(n), .len = (uint32_t)n, .id = ++io->next_chunk};
	memcpy(chunk.ptr, arrived.ptr, n);
	stream_take(&client->in, n);
	buf_append(&io->lent, slice_of(&chunk, sizeof(chunk)));
	io->chunks_out++;
	client->straggler = false;
	sim_note_bytes(io->sim, slice_of(chunk.ptr, n));
	socket->on->data(socket, chunk);
}

static void give_end(struct sim_client *client)
{
	struct io_socket *socket = client->socket;
	bool cut = is_cut(client);
	socket->state |= ENDED;
	if (cut)
		stream_drop(&client->in);
	socket->on->end(socket, cut ? -ECONNRESET : 0);
}

/* The bytes are looked at only now: until here they must have stayed. */
static ssize_t take_bytes(struct sim_client *client)
{
	struct sim *sim = client->sim;
	const struct io_socket *socket = client->socket;
	if (is_cut(client))
		return -ECONNRESET;
	if (client->away || client->out.finished)
		return -EPIPE;
	size_t most = window_room(client), taken = 0;
	if (most > sim->faults.send_bytes)
		most = 1 + sim_below(sim, sim->faults.send_bytes);
	if (socket->state & CLOSING)
		most = sim_below(sim, most + 1);
	for (int i = 0; i < socket->send_iovs && taken < most; i++) {
		size_t n = socket->send_iov[i].iov_len < most - taken ? socket->send_iov[i].iov_len : most - taken;
		struct slice bytes = slice_of(socket->send_iov[i].iov_base, n);
		sim_note_bytes(sim, bytes);
		stream_put(sim, &client->out, bytes);
		taken += n;
	}
	return taken > 0 ? (ssize_t)taken : -ECANCELED;
}

static void give_sent(struct sim_client *client)
{
	struct io_socket *socket = client->socket;
	ssize_t result = take_bytes(client);
	socket->state &= (uint16_t)~SENDING;
	socket->on->sent(socket, result);
}

/* A server that closes before it has read all resets, and what is on its way may be lost. */
static void give_closed(struct sim_client *client)
{
	struct io_socket *socket = client->socket;
	struct sim *sim = client->sim;
	if (stream_len(&client->in) > 0 && sim_chance(sim, 500)) {
		stream_settle(sim, &client->out);
		client->out.bytes.len = client->out.from + client->out.arrived;
		buf_fini(&client->out.pieces);
	}
	stream_finish(sim, &client->out);
	client->socket = NULL;
	client->gone = true;
	socket->on->closed(socket); /* and it may be gone */
}

static bool give_one(struct sim_client *client)
{
	bool send_first = sim_chance(client->sim, 500);
	if (is_accepting(client))
		give_accepted(client);
	else if (send_first && has_sent(client))
		give_sent(client);
	else if (has_data(client))
		give_data(client);
	else if (has_end(client))
		give_end(client);
	else if (has_sent(client))
		give_sent(client);
	else
		return false;
	return true;
}

static int give_some(struct sim_client *client, struct io *io)
{
	int n = 0;
	for (uint64_t most = 1 + sim_below(client->sim, EVENTS_MAX); most > 0 && client_io(client) == io; most--) {
		stream_settle(client->sim, &client->in);
		if (!give_one(client))
			break;
		n++;
	}
	if (client_io(client) == io && has_closed(client)) {
		give_closed(client);
		n++;
	}
	return n;
}

/* ---- the turn ------------------------------------------------------------------------- */

/* Those due, in their order. What both sides have left is freed here, where nobody is in the
 * middle of it. */
static uint32_t gather(struct sim_io *io)
{
	uint32_t n = 0;
	list_each (link, &io->sim->clients) {
		struct sim_client *client = container_of(link, struct sim_client, all);
		if (client->away && client->gone) {
			client_destroy(client);
			continue;
		}
		if (client_io(client) != &io->io)
			continue;
		stream_settle(io->sim, &client->in);
		if (!is_due(client) || sim_chance(io->sim, io->sim->faults.held_back))
			continue;
		if (n == io->order_room) {
			io->order_room = io->order_room ? io->order_room * 2 : 16;
			io->order = memory_resize(io->order, io->order_room * sizeof(struct sim_client *));
		}
		io->order[n++] = client;
	}
	return n;
}

static void shuffle(struct sim *sim, struct sim_client **order, uint32_t n)
{
	for (; n > 1; n--) {
		uint64_t other = sim_below(sim, n);
		struct sim_client *kept = order[n - 1];
		order[n - 1] = order[other];
		order[other] = kept;
	}
}

static bool listener_closes(const struct sim_io *io, const struct sim_listener *listener)
{
	return listener->close_ns && listener->close_ns <= io->sim->now_ns;
}

static bool any_listener_closes(const struct sim_io *io)
{
	list_each (link, &io->listeners)
		if (listener_closes(io, container_of(link, struct sim_listener, all)))
			return true;
	return false;
}

static int close_listeners(struct sim_io *io)
{
	int n = 0;
	list_each (link, &io->listeners) {
		struct sim_listener *listener = container_of(link, struct sim_listener, all);
		if (!listener_closes(io, listener))
			continue;
		struct io_socket *socket = listener->socket;
		list_remove(&listener->all);
		memory_free(listener);
		socket->on->closed(socket);
		n++;
	}
	return n;
}

static int sim_poll(struct io *base, uint64_t until_ns)
{
	struct sim_io *io = sim_io_of(base);
	uint32_t clients = gather(io);
	bool woken = io->wake_ns <= io->sim->now_ns;
	base->enters++;
	if ((clients > 0 || any_listener_closes(io) || sim_files_due(io)) && base->awake)
		base->awake(base);
	shuffle(io->sim, io->order, clients);
	int n = woken;
	for (uint32_t i = 0; i < clients; i++)
		n += give_some(io->order[i], base);
	n += close_listeners(io);
	n += sim_files_poll(io);
	if (woken)
		io->wake_ns = UINT64_MAX;
	return n;
}

bool sim_io_due(struct io *base)
{
	struct sim_io *io = sim_io_of(base);
	if (io->wake_ns <= io->sim->now_ns || any_listener_closes(io) || sim_files_due(io))
		return true;
	list_each (link, &io->sim->clients) {
		struct sim_client *client = container_of(link, struct sim_client, all);
		if (client_io(client) != base)
			continue;
		stream_settle(io->sim, &client->in);
		if (is_due(client))
			return true;
	}
	return false;
}

uint64_t sim_io_next_ns(struct io *base)
{
	struct sim_io *io = sim_io_of(base);
	uint64_t next_ns = sooner(io->wake_ns, sim_files_next_ns(io));
	list_each (link, &io->listeners) {
		const struct sim_listener *listener = container_of(link, struct sim_listener, all);
		if (listener->close_ns)
			next_ns = sooner(next_ns, listener->close_ns);
	}
	list_each (link, &io->sim->clients) {
		const struct sim_client *client = container_of(link, struct sim_client, all);
		if (client_io(client) == base)
			next_ns = sooner(next_ns, client_due_ns(client));
	}
	return next_ns;
}

static void sim_wake(struct io *io, struct io *target)
{
	struct sim_io *woken = sim_io_of(target);
	struct sim *sim = woken->sim;
	woken->wake_ns = sooner(woken->wake_ns, sim->now_ns + some_ns(sim, sim->faults.wake_ns));
}

/* ---- sockets --------------------------------------------------------------------------- */

static struct sim_client *client_of(const struct io_socket *socket)
{
	struct sim_client *client = client_by_fd(sim_io_of(socket->io)->sim, socket->fd);
	assert(client && client->socket == socket);
	return client;
}

static int sim_listen_tcp(struct io *io, struct io_socket *socket, const char *address, uint16_t port)
{
	struct sim_io *on = sim_io_of(io);
	struct sim_listener *listener = memory_zalloc(sizeof(*listener));
	listener->socket = socket;
	listener->port = port;
	list_push_back(&on->listeners, &listener->all);
	socket->state = LISTENING;
	socket->fd = port;
	return 0;
}

static int sim_listen_unix(struct io *io, struct io_socket *socket, const char *path, unsigned mode)
{
	return -EADDRNOTAVAIL; /* this world has ports alone */
}

/* Nobody can be reached from here: clients come by themselves. */
static int sim_connect_tcp(struct io *io, struct io_socket *socket, const char *address, uint16_t port)
{
	return -ENETUNREACH;
}

static int sim_connect_unix(struct io *io, struct io_socket *socket, const char *path) { return -ENOENT; }

static void sim_adopt(struct io *io, struct io_socket *socket, int fd)
{
	struct sim_client *client = client_by_fd(sim_io_of(io)->sim, fd);
	assert(client && client->accepted && !client->socket && !client->gone);
	client->socket = socket;
	socket->fd = fd;
	socket->state = 0;
}

static void server_leaves(struct sim_client *client)
{
	stream_finish(client->sim, &client->out);
	client->gone = true;
}

static void sim_refuse(struct io *io, int fd) { server_leaves(client_by_fd(sim_io_of(io)->sim, fd)); }

static void sim_recv(struct io_socket *socket)
{
	if (!(socket->state & (ENDED | CLOSING)))
		socket->state |= WANTED;
}

static void sim_pause(struct io_socket *socket)
{
	struct sim_client *client = client_of(socket);
	socket->state &= (uint16_t)~WANTED;
	client->straggler = sim_chance(client->sim, client->sim->faults.stragglers);
}

static void sim_release(struct io *base, struct io_chunk chunk)
{
	struct sim_io *io = sim_io_of(base);
	struct io_chunk *lent = (struct io_chunk *)io->lent.ptr;
	size_t n = io->lent.len / sizeof(*lent), at = 0;
	while (at < n && lent[at].id != chunk.id)
		at++;
	assert(at < n); /* else it was released twice */
	memset(lent[at].ptr, JUNK, lent[at].len);
	memory_free(lent[at].ptr);
	lent[at] = lent[n - 1];
	io->lent.len -= sizeof(*lent);
	io->chunks_out--;
}

static void sim_send(struct io_socket *socket, const struct iovec *iov, int n)
{
	struct sim_client *client = client_of(socket);
	assert(n > 0 && n <= IO_SEND_IOVS);
	assert(!(socket->state & (SENDING | CLOSING)));
	socket->state |= SENDING;
	socket->send_iov = iov;
	socket->send_iovs = n;
	client->send_ns = client->sim->now_ns + some_ns(client->sim, client->sim->faults.delay_ns);
}

static void sim_finish(struct io_socket *socket)
{
	assert(!(socket->state & SENDING));
	stream_finish(sim_io_of(socket->io)->sim, &client_of(socket)->out);
}

static void refuse_awaiting(struct sim *sim, const struct io_socket *listener)
{
	list_each (link, &sim->clients) {
		struct sim_client *client = container_of(link, struct sim_client, all);
		if (client->awaited != listener)
			continue;
		client->awaited = NULL;
		server_leaves(client);
	}
}

static void close_listener(struct io_socket *socket)
{
	struct sim_io *io = sim_io_of(socket->io);
	list_each (link, &io->listeners) {
		struct sim_listener *listener = container_of(link, struct sim_listener, all);
		if (listener->socket == socket)
			listener->close_ns = io->sim->now_ns + 1 + some_ns(io->sim, io->sim->faults.delay_ns);
	}
	refuse_awaiting(io->sim, socket);
}

static void sim_close(struct io_socket *socket)
{
	assert(!(socket->state & CLOSING));
	socket->state |= CLOSING;
	socket->state &= (uint16_t)~WANTED;
	if (socket->state & LISTENING) {
		close_listener(socket);
		return;
	}
	struct sim_client *client = client_of(socket);
	struct sim *sim = client->sim;
	client->close_ns = sim->now_ns + 1 + some_ns(sim, sim->faults.delay_ns);
	client->straggler = sim_chance(sim, sim->faults.stragglers);
}

static int sim_peer(struct io_socket *socket, bool local, char *out, size_t size)
{
	if (socket->state & LISTENING)
		snprintf(out, size, "127.0.0.1:%d", socket->fd);
	else
		snprintf(out, size, local ? "127.0.0.1:6379" : "10.0.0.1:%d", socket->fd);
	return 0;
}

/* ---- the client's side ------------------------------------------------------------------ */

static struct io_socket *find_listener(const struct sim_io *io, uint16_t port)
{
	list_each (link, &io->listeners) {
		struct sim_listener *listener = container_of(link, struct sim_listener, all);
		if (listener->port == port && !listener->close_ns)
			return listener->socket;
	}
	return NULL;
}

static struct io_socket *find_listener_anywhere(const struct sim *sim, uint16_t port)
{
	struct io_socket *found = NULL;
	list_each (link, &sim->ios)
		if (!found)
			found = find_listener(container_of(link, struct sim_io, all), port);
	return found;
}

struct sim_client *sim_connect(struct sim *sim, uint16_t port)
{
	struct io_socket *listener = find_listener_anywhere(sim, port);
	if (!listener)
		return NULL;
	struct sim_client *client = memory_zalloc(sizeof(*client));
	client->sim = sim;
	client->fd = sim->next_fd++;
	client->awaited = listener;
	client->known_ns = sim->now_ns + some_ns(sim, sim->faults.delay_ns);
	list_push_back(&sim->clients, &client->all);
	return client;
}

void sim_client_send(struct sim_client *client, struct slice bytes)
{
	if (!client->in.finished && !client->gone)
		stream_put(client->sim, &client->in, bytes);
}

void sim_client_finish(struct sim_client *client) { stream_finish(client->sim, &client->in); }

void sim_client_reset(struct sim_client *client)
{
	struct sim *sim = client->sim;
	if (client->reset || client->gone)
		return;
	client->reset = true;
	client->known_ns = sim->now_ns + 1 + some_ns(sim, sim->faults.delay_ns);
	stream_drop(&client->out);
}

struct slice sim_client_input(struct sim_client *client)
{
	stream_settle(client->sim, &client->out);
	return stream_arrived(&client->out);
}

void sim_client_read(struct sim_client *client, size_t n) { stream_take(&client->out, n); }

bool sim_client_ended(struct sim_client *client)
{
	stream_settle(client->sim, &client->out);
	return client->out.ended && client->out.arrived == 0;
}

uint64_t sim_client_next_ns(struct sim_client *client) { return stream_next_ns(&client->out); }

int sim_client_fd(const struct sim_client *client) { return client->fd; }

bool sim_fd_is_known(const struct sim *sim, int fd)
{
	const struct sim_client *client = client_by_fd(sim, fd);
	return client && !client->gone;
}

void sim_client_free(struct sim_client *client)
{
	if (!client)
		return;
	if (!client->in.finished)
		sim_client_reset(client);
	client->away = true;
}

/* ---- making and unmaking ----------------------------------------------------------------- */

static void sim_io_free(struct io *base)
{
	struct sim_io *io = sim_io_of(base);
	sim_files_forget(io);
	while (io->lent.len > 0)
		sim_release(base, *(struct io_chunk *)io->lent.ptr);
	for (struct link *link; (link = list_pop_front(&io->listeners));)
		memory_free(container_of(link, struct sim_listener, all));
	list_remove(&io->all);
	buf_fini(&io->lent);
	memory_free(io->order);
	memory_free(io);
}

bool sim_io_is_woken(const struct io *io) { return ((const struct sim_io *)io)->wake_ns != UINT64_MAX; }

uint32_t sim_io_chunks_out(const struct io *io) { return ((const struct sim_io *)io)->chunks_out; }

static const struct io_ops sim_ops = {
        .name = "sim",
        .free = sim_io_free,
        .poll = sim_poll,
        .wake = sim_wake,
        .now_ns = sim_clock,
        .wall_us = sim_wall_us,
        .random = sim_fill,
        .listen_tcp = sim_listen_tcp,
        .listen_unix = sim_listen_unix,
        .connect_tcp = sim_connect_tcp,
        .connect_unix = sim_connect_unix,
        .adopt = sim_adopt,
        .refuse = sim_refuse,
        .recv = sim_recv,
        .pause = sim_pause,
        .release = sim_release,
        .send = sim_send,
        .finish = sim_finish,
        .close = sim_close,
        .peer = sim_peer,
        .file_open = sim_file_open,
        .file_read = sim_file_read,
        .file_write = sim_file_write,
        .file_sync = sim_file_sync,
        .file_close = sim_file_close,
        .file_rename = sim_file_rename,
        .file_remove = sim_file_remove,
        .file_size = sim_file_size,
        .file_reserve = sim_file_reserve,
        .dir_make = sim_dir_make,
        .dir_sync = sim_dir_sync,
        .dir_list = sim_dir_list,
};

struct io *sim_io_new(struct sim *sim)
{
	struct sim_io *io = memory_zalloc(sizeof(*io));
	io->io = (struct io){.ops = &sim_ops, .note = "simulated"};
	io->sim = sim;
	io->wake_ns = UINT64_MAX;
	list_init(&io->listeners);
	list_init(&io->ops);
	list_push_back(&sim->ios, &io->all);
	return &io->io;
}

struct sim *sim_new(uint64_t seed, const struct sim_faults *faults)
{
	struct sim *sim = memory_zalloc(sizeof(*sim));
	sim->faults = *faults;
	sim->random = seed;
	sim->now_ns = START_NS;
	sim->next_fd = FIRST_FD;
	list_init(&sim->ios);
	list_init(&sim->clients);
	return sim;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	assert(list_empty(&sim->ios));
	while (!list_empty(&sim->clients))
		client_destroy(container_of(sim->clients.next, struct sim_client, all));
	sim_files_fini(sim);
	memory_free(sim);
}
