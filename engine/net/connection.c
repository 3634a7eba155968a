#include "engine/net/connection.h"

#include "engine/base/rare.h"
#include "engine/config/settings.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network_private.h"

#include <stdio.h>

static void connection_destroy(struct connection *c);

/* ---- input ------------------------------------------------------------------------ */

struct slice connection_input(const struct connection *c)
{
	if (c->chunk.ptr)
		return slice_of(c->chunk.ptr + c->chunk_at, c->chunk.len - c->chunk_at);
	return slice_of(c->carry.ptr + c->carry_at, c->carry.len - c->carry_at);
}

void connection_consume(struct connection *c, size_t n)
{
	if (c->chunk.ptr) {
		assert(n <= c->chunk.len - c->chunk_at);
		c->chunk_at += (uint32_t)n;
	} else {
		assert(n <= c->carry.len - c->carry_at);
		c->carry_at += n;
	}
}

static void chunk_drop(struct connection *c)
{
	io_chunk_release(c->core->io, c->chunk);
	c->chunk = (struct io_chunk){0};
	c->chunk_at = 0;
}

/* Drops what was consumed; moves a rest that lies in a chunk to the carry buffer. */
static void window_settle(struct connection *c)
{
	struct slice rest = connection_input(c);
	if (c->chunk.ptr) {
		if (rest.len > 0)
			buf_append(&c->carry, rest);
		chunk_drop(c);
	} else if (rest.len == 0) {
		buf_fini(&c->carry);
		c->carry_at = 0;
	} else if (c->carry_at > c->carry.cap / 2) {
		buf_drop(&c->carry, c->carry_at);
		c->carry_at = 0;
	}
}

struct slice connection_keep_input(struct connection *c)
{
	if (c->chunk.ptr)
		window_settle(c);
	return connection_input(c);
}

/* Puts what waits behind the window into it; false if nothing does. */
static bool window_extend(struct connection *c)
{
	if (c->waiting.len == 0)
		return false;
	window_settle(c);
	if (c->carry.len == 0) {
		c->carry = buf_take(&c->waiting);
		return true;
	}
	buf_append(&c->carry, buf_slice(&c->waiting));
	buf_fini(&c->waiting);
	return true;
}

static void input_drop(struct connection *c)
{
	if (c->chunk.ptr)
		chunk_drop(c);
	buf_fini(&c->carry);
	buf_fini(&c->waiting);
	c->carry_at = 0;
}

static bool may_feed(const struct connection *c) { return !c->blocked && !c->choked && !c->closing && !c->dead; }

static uint64_t input_limit(const struct connection *c)
{
	const struct settings *settings = c->core->settings;
	return c->trusted ? settings->client_query_buffer_limit : settings->unauthenticated_input_limit;
}

enum { WAITING_MAX = RARE(64 * 1024, 1) };

/* Receiving stops while much waits and goes on when it was taken. */
static void receive_adjust(struct connection *c)
{
	if (c->closing || c->dead || c->ended)
		return;
	bool want_pause = c->waiting.len >= WAITING_MAX || c->choked;
	if (want_pause == c->paused)
		return;
	c->paused = want_pause;
	if (want_pause)
		io_pause(&c->socket);
	else
		io_recv(&c->socket);
}

bool connection_is_choked(const struct connection *c)
{
	const struct settings *settings = c->core->settings;
	uint64_t limit = c->trusted ? settings->client_output_soft_limit : settings->unauthenticated_output_limit;
	return connection_unsent(c) > limit;
}

/* Shows the protocol its input until it takes no more. */
static void feed(struct connection *c)
{
	if (c->in_input)
		return;
	c->in_input = true;
	c->holds++; /* whatever a command does, the connection lives until the end of this */
	while (may_feed(c)) {
		size_t before = connection_input(c).len;
		if (before > 0)
			c->protocol->input(c);
		c->choked = connection_is_choked(c);
		if (!may_feed(c))
			break;
		if (!window_extend(c)) {
			window_settle(c);
			break;
		}
	}
	c->in_input = false;
	if (c->choked && !c->blocked)
		window_settle(c); /* it may be long until the peer has read */
	if (may_feed(c) && connection_input(c).len > input_limit(c)) {
		log_notice("client %lu closed: its request is longer than the limit", (unsigned long)c->id);
		connection_abort(c);
	} else if (may_feed(c) && c->ended) {
		c->protocol->ended(c);
	}
	receive_adjust(c);
	connection_release(c);
}

void connection_block(struct connection *c) { c->blocked = true; }

void connection_unblock(struct connection *c)
{
	c->blocked = false;
	feed(c); /* a loop further up does it, if there is one */
}

static void take_cipher(struct connection *c, struct io_chunk chunk)
{
	int result = tls_receive(c->tls, slice_of(chunk.ptr, chunk.len), &c->waiting, &c->sending_tls);
	io_chunk_release(c->core->io, chunk);
	if (c->sending_tls.len > 0)
		connection_written(c);
	if (result < 0) {
		connection_close(c);
		return;
	}
	if (result > 0)
		c->ended = true;
	if (result > 0 && c->blocked && c->protocol->left)
		c->protocol->left(c);
	if (may_feed(c))
		window_extend(c);
	feed(c);
}

static void take_plain(struct connection *c, struct io_chunk chunk)
{
	bool is_next = may_feed(c) && c->waiting.len == 0;
	if (is_next && !c->chunk.ptr && c->carry.len == 0) {
		c->chunk = chunk;
		c->chunk_at = 0;
	} else {
		if (is_next)
			window_settle(c);
		buf_append(is_next ? &c->carry : &c->waiting, slice_of(chunk.ptr, chunk.len));
		io_chunk_release(c->core->io, chunk);
	}
	feed(c);
}

enum { DROPPED_MAX = 64 * 1024 };

/* What comes after the end has begun. Who goes on sending is not listened to while it does
 * not read, and is cut when it has. */
static void drop(struct connection *c, struct io_chunk chunk)
{
	c->dropped += chunk.len;
	io_chunk_release(c->core->io, chunk);
	if (c->dead || c->dropped <= DROPPED_MAX)
		return;
	if (c->lingering)
		connection_abort(c);
	else
		io_pause(&c->socket);
}

/* The rest of a request that is not whole yet counts from its last bytes on: how slowly a client sends is its own. */
static void note_asked(struct connection *c)
{
	if (!c->blocked && c->out.len == 0)
		c->asked_ns = c->core->now_ns;
	else if (c->came_ns == 0)
		c->came_ns = c->core->now_ns;
}

static void on_data(struct io_socket *socket, struct io_chunk chunk)
{
	struct connection *c = container_of(socket, struct connection, socket);
	c->bytes_in += chunk.len;
	c->active_ns = c->core->now_ns;
	note_asked(c);
	metric_add(c->core, METRIC_BYTES_IN, chunk.len);
	if (c->closing || c->dead)
		drop(c, chunk);
	else if (c->tls)
		take_cipher(c, chunk);
	else
		take_plain(c, chunk);
}

static void on_end(struct io_socket *socket, int error)
{
	struct connection *c = container_of(socket, struct connection, socket);
	c->ended = true;
	if (c->blocked && c->protocol->left)
		c->protocol->left(c);
	if (error || c->lingering) {
		connection_abort(c);
		return;
	}
	/* Whoever half-closes may still read: what was asked is answered first. */
	feed(c);
}

/* ---- output ----------------------------------------------------------------------- */

size_t connection_unsent(const struct connection *c) { return c->out.len + c->sending.len + c->spliced_bytes; }

static void splices_end(struct connection *c, struct buf *splices)
{
	struct splice *splice = (struct splice *)splices->ptr;
	for (size_t n = splices->len / sizeof(*splice); n-- > 0; splice++) {
		c->spliced_bytes -= splice->bytes.len;
		splice->sent(c->core, splice->object, splice->from);
	}
	buf_fini(splices);
}

static void spare_give(struct network *network, struct buf *buf)
{
	if (buf->cap == SPARE_BUFFER_SIZE && network->n_spare < SPARE_BUFFERS) {
		buf->len = 0;
		network->spare[network->n_spare++] = *buf;
		*buf = (struct buf){0};
	} else {
		buf_fini(buf);
	}
}

static void output_drop(struct connection *c)
{
	splices_end(c, &c->out_splices);
	spare_give(c->core->network, &c->out);
}

enum { SEAL_MIN = RARE(256 * 1024, 200) };

static void sealed_sent(struct core *core, void *object, uint16_t from) { memory_free(object); }

/* What gathers behind a slow reader would be moved whenever its buffer grows, hundreds of
 * megabytes at last: instead it is put by, and another buffer is begun. */
static void seal(struct connection *c)
{
	const struct splice *splice = (const struct splice *)c->out_splices.ptr;
	size_t n = c->out_splices.len / sizeof(*splice);
	if (n > 0 && splice[n - 1].at > 0)
		return; /* that one lies amid the bytes */
	struct buf full = buf_take(&c->out);
	connection_splice(c, (struct splice){.bytes = buf_slice(&full), .sent = sealed_sent, .object = full.ptr});
}

void connection_written(struct connection *c)
{
	if (unlikely(c->dead)) {
		output_drop(c);
		return;
	}
	if (!link_linked(&c->dirty))
		list_push_back(&c->core->network->dirty, &c->dirty);
	if (unlikely(c->out.len >= SEAL_MIN))
		seal(c);
}

void connection_splice(struct connection *c, struct splice splice)
{
	splice.at = c->out.len;
	c->spliced_bytes += splice.bytes.len;
	buf_append(&c->out_splices, slice_of(&splice, sizeof(splice)));
	connection_written(c);
}

struct buf *connection_out(struct connection *c)
{
	struct network *network = c->core->network;
	if (!c->out.ptr) {
		if (network->n_spare > 0)
			c->out = network->spare[--network->n_spare];
		else
			buf_reserve(&c->out, SPARE_BUFFER_SIZE);
	}
	return &c->out;
}

/* The iovecs of a buffer with splices in it. */
static void iov_weave(struct connection *c)
{
	const struct splice *splice = (const struct splice *)c->sending_splices.ptr;
	size_t n = c->sending_splices.len / sizeof(*splice), from = 0;
	c->iov = c->iov_room = memory_alloc((2 * n + 1) * sizeof(*c->iov));
	c->n_iov = 0;
	for (size_t i = 0; i <= n; i++) {
		size_t to = i < n ? splice[i].at : c->sending.len;
		if (to > from)
			c->iov[c->n_iov++] = (struct iovec){c->sending.ptr + from, to - from};
		if (i < n && splice[i].bytes.len > 0)
			c->iov[c->n_iov++] = (struct iovec){(void *)splice[i].bytes.ptr, splice[i].bytes.len};
		from = to;
	}
}

/* The first n bytes of the flight have gone. */
static void iov_advance(struct connection *c, size_t n)
{
	size_t left = n;
	while (c->n_iov > 0 && left >= c->iov->iov_len) {
		left -= c->iov->iov_len;
		c->iov++;
		c->n_iov--;
	}
	if (c->n_iov > 0) {
		c->iov->iov_base = (char *)c->iov->iov_base + left;
		c->iov->iov_len -= left;
	}
}

enum { CIPHER_MAX = RARE(256 * 1024, 300) };

static void send_cipher(struct connection *c)
{
	c->cipher = buf_take(&c->sending_tls);
	c->piece = (struct iovec){c->cipher.ptr, c->cipher.len};
	io_send(&c->socket, &c->piece, 1);
}

/* Turns some of the flight into ciphertext, behind what TLS itself has to say. */
static bool encrypt(struct connection *c)
{
	while (c->n_iov > 0 && c->sending_tls.len < CIPHER_MAX) {
		size_t n = c->iov->iov_len < CIPHER_MAX ? c->iov->iov_len : CIPHER_MAX;
		if (tls_send(c->tls, slice_of(c->iov->iov_base, n), &c->sending_tls) < 0)
			return false;
		iov_advance(c, n);
	}
	return true;
}

enum { SEND_MAX = RARE(1024 * 1024, 400) };

/* A send may be answered only when all of it has gone: so that it is seen how a slow reader
 * gets on, no send is huge. */
static void send_plain(struct connection *c)
{
	size_t bytes = c->iov->iov_len;
	int n = 1;
	if (bytes > SEND_MAX) {
		c->piece = (struct iovec){c->iov->iov_base, SEND_MAX};
		io_send(&c->socket, &c->piece, 1);
		return;
	}
	while (n < c->n_iov && n < IO_SEND_IOVS && bytes + c->iov[n].iov_len <= SEND_MAX)
		bytes += c->iov[n++].iov_len;
	io_send(&c->socket, c->iov, n);
}

static void flight_end(struct connection *c)
{
	splices_end(c, &c->sending_splices);
	spare_give(c->core->network, &c->sending);
	memory_free(c->iov_room);
	c->iov = c->iov_room = NULL;
	c->n_iov = 0;
}

static void send_rest(struct connection *c)
{
	if (!c->tls) {
		send_plain(c);
	} else if (!encrypt(c)) {
		flight_end(c);
		connection_abort(c);
	} else if (c->sending_tls.len > 0) {
		send_cipher(c);
	} else {
		flight_end(c); /* kept inside until the handshake is done */
	}
}

/* ---- the end ---------------------------------------------------------------------- */

static const uint64_t close_ns = 60ull * 1000 * 1000 * 1000;   /* for the peer to read something */
static const uint64_t linger_ns = 1000ull * 1000 * 1000;       /* for the peer to leave */
static const uint64_t linger_at_stop_ns = 20ull * 1000 * 1000; /* a drain does not wait for it */

static void out_of_patience(struct core *core, struct timer *timer)
{
	connection_abort(container_of(timer, struct connection, patience));
}

static void be_patient(struct connection *c, uint64_t ns)
{
	timer_start(&c->core->timers, &c->patience, c->core->now_ns + ns);
}

/* The output is out. */
static void linger(struct connection *c)
{
	if (c->ended || c->refused) { /* refusals may be many, and must not fill the room they lack */
		connection_abort(c);
		return;
	}
	if (!c->blocked)
		input_drop(c);
	c->lingering = true;
	c->dropped = 0;
	io_finish(&c->socket);
	io_recv(&c->socket); /* may have been paused */
	be_patient(c, c->core->stopping ? linger_at_stop_ns : linger_ns);
}

void connection_hurry(struct connection *c)
{
	if (c->lingering && !c->dead)
		be_patient(c, linger_at_stop_ns);
}

static bool in_flight(const struct connection *c) { return c->iov || c->cipher.ptr; }

/* Nothing waits but what TLS has to say. */
static void flush_last(struct connection *c)
{
	spare_give(c->core->network, &c->sending);
	if (c->tls && c->closing)
		tls_finish(c->tls, &c->sending_tls);
	if (c->sending_tls.len > 0)
		send_cipher(c);
	else if (c->closing)
		linger(c);
}

/* Its answers are handed over. */
static void note_answered(struct connection *c, uint64_t now_ns)
{
	if (c->asked_ns)
		duration_add(c->core, DURATION_REPLY, now_ns - c->asked_ns);
	c->asked_ns = c->blocked || c->choked ? c->came_ns : 0; /* else what came behind is answered too */
	c->came_ns = 0;
}

static void flush(struct connection *c, uint64_t now_ns)
{
	if (in_flight(c) || c->dead)
		return; /* the end of the send in flight comes back here */
	if (c->lingering) { /* the last word was said */
		output_drop(c);
		return;
	}
	c->sending = buf_take(&c->out);
	c->sending_splices = buf_take(&c->out_splices);
	if (c->sending.len == 0 && c->sending_splices.len == 0) {
		flush_last(c);
		return;
	}
	note_answered(c, now_ns);
	if (c->sending_splices.len > 0) {
		iov_weave(c);
	} else {
		c->whole = (struct iovec){c->sending.ptr, c->sending.len};
		c->iov = &c->whole;
		c->n_iov = 1;
	}
	send_rest(c);
}

void connections_flush(struct core *core, struct turn_end *hook)
{
	struct network *network = container_of(hook, struct network, flush);
	if (list_empty(&network->dirty))
		return;
	uint64_t now_ns = io_now_ns(core->io);
	for (struct link *link; (link = list_pop_front(&network->dirty));)
		flush(container_of(link, struct connection, dirty), now_ns);
}

/* What was in flight is sent. */
static void landed(struct connection *c)
{
	if (c->out.len > 0 || c->out_splices.len > 0 || c->sending_tls.len > 0 || c->closing)
		connection_written(c);
	if (c->choked) {
		c->choked = connection_is_choked(c);
		if (!c->choked)
			feed(c);
	}
}

static void cipher_sent(struct connection *c, size_t n)
{
	c->piece = (struct iovec){(char *)c->piece.iov_base + n, c->piece.iov_len - n};
	if (c->piece.iov_len > 0) {
		io_send(&c->socket, &c->piece, 1);
		return;
	}
	buf_fini(&c->cipher);
	if (c->n_iov > 0) {
		send_rest(c);
		return;
	}
	flight_end(c);
	landed(c);
}

static void plain_sent(struct connection *c, size_t n)
{
	iov_advance(c, n);
	if (c->n_iov > 0) {
		send_rest(c);
		return;
	}
	flight_end(c);
	landed(c);
}

static void on_sent(struct io_socket *socket, ssize_t result)
{
	struct connection *c = container_of(socket, struct connection, socket);
	if (c->dead || result < 0) {
		buf_fini(&c->cipher);
		flight_end(c);
		connection_abort(c);
		return;
	}
	c->bytes_out += (size_t)result;
	c->active_ns = c->core->now_ns;
	if (c->closing)
		be_patient(c, close_ns);
	metric_add(c->core, METRIC_BYTES_OUT, (size_t)result);
	if (c->tls)
		cipher_sent(c, (size_t)result);
	else
		plain_sent(c, (size_t)result);
}

/* ---- life ------------------------------------------------------------------------- */

static void on_closed(struct io_socket *socket)
{
	struct connection *c = container_of(socket, struct connection, socket);
	c->socket_gone = true;
	if (c->iov)
		flight_end(c);
	if (c->holds == 0)
		connection_destroy(c);
}

static const struct io_socket_events connection_events = {
	.data = on_data, .end = on_end, .sent = on_sent, .closed = on_closed,
};

void connection_hold(struct connection *c) { c->holds++; }

void connection_release(struct connection *c)
{
	assert(c->holds > 0);
	if (--c->holds == 0 && c->socket_gone)
		connection_destroy(c);
}

void connection_close(struct connection *c)
{
	if (c->closing || c->dead)
		return;
	c->closing = true;
	be_patient(c, close_ns);
	connection_written(c);
}

void connection_abort(struct connection *c)
{
	if (c->dead)
		return;
	c->closing = c->dead = true;
	timer_stop(&c->core->timers, &c->patience);
	list_remove(&c->dirty);
	io_socket_close(&c->socket);
}

void connection_trust(struct connection *c, bool trusted) { c->trusted = trusted; }

void connection_address(struct connection *c, bool local, char *out, size_t size)
{
	if (c->dead || io_socket_address(&c->socket, local, out, size) < 0)
		snprintf(out, size, "?:0");
}

void connection_open(struct network *network, int fd, uint64_t id, const struct protocol *protocol,
		     struct tls_context *tls, bool refuse)
{
	struct core *core = network->core;
	struct connection *c = memory_zalloc(protocol->connection_size);
	io_socket_init(&c->socket, core->io, &connection_events);
	io_adopt(&c->socket, fd);
	c->core = core;
	c->protocol = protocol;
	c->id = id;
	c->opened_ns = c->active_ns = core->now_ns;
	c->patience.run = out_of_patience;
	c->tls = tls ? tls_new(tls) : NULL;
	list_push_back(&network->connections, &c->all);
	metric_add(core, METRIC_CONNECTIONS_ACCEPTED, 1);
	protocol->opened(c);
	if (refuse || network->draining) {
		metric_add(core, METRIC_CONNECTIONS_REFUSED, 1);
		c->refused = true;
		buf_append(connection_out(c), protocol->refusal);
		connection_close(c);
	}
	if (!c->dead)
		io_recv(&c->socket);
}

static void connection_destroy(struct connection *c)
{
	struct network *network = c->core->network;
	c->protocol->closed(c);
	list_remove(&c->all);
	list_remove(&c->dirty);
	input_drop(c);
	splices_end(c, &c->out_splices);
	buf_fini(&c->out);
	buf_fini(&c->sending);
	buf_fini(&c->sending_tls);
	buf_fini(&c->cipher);
	tls_free(c->tls);
	memory_free(c);
	atomic_fetch_sub_explicit(&network->n, 1, memory_order_relaxed);
}
