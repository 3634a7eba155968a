/* connection.h -- a client's byte stream between a socket and a protocol.
 *
 * What      Input arrives in chunks and is shown to the protocol as one window of bytes,
 *           in place where it can be; what is left over is carried. Output gathers in one
 *           buffer and leaves as one send for each turn of the loop. TLS, where the
 *           listener asks for it, sits in between and is not seen here.
 * Chunks    Are few and all connections of the core receive into them. One is held only
 *           while a request that was begun at once is at work on it; all else that waits
 *           is copied.
 * Lifetime  The protocol may hold a connection (connection_hold) while others still read
 *           its input or write its answers; it is freed when closed and not held.
 * Limits    While more than client-output-soft-limit bytes wait to be sent, the protocol is
 *           not given input; one request longer than client-query-buffer-limit closes the
 *           connection. Unauthenticated connections have small limits on both sides
 *           (connection_trust() lifts them).
 * End       A closed connection sends what waits, half-closes, and for a moment receives and
 *           drops what the peer still sends: a close with unread input would reset the
 *           connection, and the peer might lose the last words.
 * Owner     The core it was placed on when accepted, for ever.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/list.h"
#include "engine/core/timer.h"
#include "engine/io/io.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct connection;
struct tls;
struct tls_context;

/* One wire. Rows are const structs, one beside each protocol's code. */
struct protocol {
	const char *name;
	struct slice refusal;   /* sent to connections beyond maxclients before they are closed */
	size_t connection_size; /* of the struct that begins with struct connection; zeroed when opened */
	void (*opened)(struct connection *connection);
	/* Input grew, or may be taken again. Takes what is whole with connection_consume(). */
	void (*input)(struct connection *connection);
	/* The peer has sent all; what is in the window is all there will ever be. */
	void (*ended)(struct connection *connection);
	/* The same, while input is blocked: it is not shown what came before. NULL: nobody asks. */
	void (*left)(struct connection *connection);
	/* The server stops: finish what runs and call connection_close(). */
	void (*drain)(struct connection *connection);
	/* Nothing came or went for as long as the setting `timeout` says. NULL: it may stay. */
	void (*idled)(struct connection *connection);
	/* Nothing refers to the connection any more; let go of what it owns. */
	void (*closed)(struct connection *connection);
};

/* Bytes sent from elsewhere than the output buffer; `sent` is called once when they were
 * sent or will never be. It belongs before byte `at` of the buffer. */
struct splice {
	size_t at;
	struct slice bytes;
	void (*sent)(struct core *core, void *object, uint16_t from);
	void *object;
	uint16_t from;
};

struct connection {
	struct io_socket socket;
	struct core *core;
	const struct protocol *protocol;
	struct tls *tls;         /* NULL: plain */
	uint64_t id;             /* unique in the server */
	uint64_t opened_ns;      /* monotonic */
	uint64_t active_ns;      /* when bytes came or went last */
	uint64_t asked_ns;       /* when the bytes came that are being answered; 0: none are */
	uint64_t came_ns;        /* when the first came behind them; 0: none did */
	struct link all;         /* of this core's connections */
	struct link dirty;       /* output waits for the end of the turn */
	struct timer patience;   /* while closing: with a peer that neither reads nor leaves */
	/* Input: the window is the chunk from chunk_at, or the carry buffer from carry_at. */
	struct io_chunk chunk;   /* ptr NULL: none */
	uint32_t chunk_at;
	size_t carry_at;
	struct buf carry;
	struct buf waiting;      /* bytes behind the window */
	/* Output: gathered, and in flight. */
	struct buf out;
	struct buf out_splices;  /* of struct splice */
	struct buf sending;
	struct buf sending_splices;
	struct buf sending_tls;  /* ciphertext that waits for the next send */
	struct buf cipher;       /* ... and that in flight; `piece` is what is left of it */
	struct iovec whole;      /* `iov` of a send without splices */
	struct iovec piece;      /* what is sent, if not whole iovecs are */
	struct iovec *iov;       /* what is left of the flight; NULL: none */
	struct iovec *iov_room;  /* owned, if there are splices */
	int n_iov;
	size_t spliced_bytes;    /* of both lists */
	uint64_t bytes_in, bytes_out;
	uint32_t holds;
	uint32_t dropped;        /* bytes that came since the end began */
	bool trusted;
	bool refused;            /* was one too many */
	bool in_input;           /* protocol->input() is on the stack */
	bool paused;             /* receiving is paused */
	bool ended;              /* the peer has sent all */
	bool closing;            /* no more input; close when the output is out */
	bool lingering;          /* the output is out: what still comes is dropped */
	bool dead;               /* the socket is being closed */
	bool socket_gone;        /* ... and is */
	bool blocked;            /* the protocol asked for no input (connection_block) */
	bool choked;             /* too much output waits */
};

/* The bytes not yet consumed. They stay where they are until consumed, closed, or, if the
 * connection is not held, until the next input. */
struct slice connection_input(const struct connection *connection);
void connection_consume(struct connection *connection, size_t n);

/* Asks for no calls of input() until unblocked: a request is at work whose input bytes
 * must stay in place. Unblocking calls input() if there is some. */
void connection_block(struct connection *connection);
void connection_unblock(struct connection *connection);

/* Moves the window to memory of the connection's own, for a request that will be at work
 * for long; returns it. */
struct slice connection_keep_input(struct connection *connection);

/* The output buffer; append, then say so. */
struct buf *connection_out(struct connection *connection);
void connection_written(struct connection *connection);

/* Adds bytes by reference at the end of the output so far. */
void connection_splice(struct connection *connection, struct splice splice);

/* Bytes that wait to be sent, spliced ones included. */
size_t connection_unsent(const struct connection *connection);

/* So many that the connection is given no input until its peer has read some of them. */
bool connection_is_choked(const struct connection *connection);

void connection_hold(struct connection *connection);
void connection_release(struct connection *connection);

/* Sends what waits, then closes; no more input is taken. */
void connection_close(struct connection *connection);
/* Closes at once. */
void connection_abort(struct connection *connection);

/* The client has proven who it is: the usual limits apply; or is nobody again. */
void connection_trust(struct connection *connection, bool trusted);

/* "127.0.0.1:50000" of the peer or of this side, into `out`. */
void connection_address(struct connection *connection, bool local, char *out, size_t size);
