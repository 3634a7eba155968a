/* message.h -- how one core asks another for something.
 *
 * What      A ring for each ordered pair of cores: one writer, one reader, no locks. A
 *           message is 64 bytes by value, and names the function that handles it there.
 * Owner     What a message points to stays the sender's: the receiver may use it until
 *           it replies, and must not keep it. One-way messages (core_post) carry values
 *           or memory whose new owner is the receiver; the poster says which.
 * Order     Requests and posts from one core to another arrive in the order sent.
 * Full      Nobody waits on a full ring. Requests and posts beyond their credit are
 *           parked on the sender and go out in order; replies always have room, since
 *           no more requests are ever out than the reply room of a ring.
 * Source    Lamport, "Proving the Correctness of Multiprocess Programs", IEEE TSE 1977;
 *           cached counters: Lee, Bu, Chandranmenon, "MCRingBuffer", IPDPS 2010.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct message;

typedef void message_fn(struct core *core, struct message *message);

struct message {
	message_fn *run; /* called on the receiving core, on its ring slot: copy what stays */
	uint16_t from;   /* set by the sender's core */
	uint8_t kind;    /* enum message_kind; set by core_*() */
	uint8_t lines;   /* that the handler reads at args[0]: see message_fetch_ahead() */
	uint32_t number; /* the handler's */
	union {
		void *ptr;
		uint64_t word;
	} args[6];
};
static_assert(sizeof(struct message) == 64, "one message, one cache line");

enum message_kind { MESSAGE_REQUEST, MESSAGE_REPLY, MESSAGE_POST };

enum { MESSAGE_LINES_MAX = 16 };

/* The handler will read `size` bytes at args[0].ptr, which the sender has just written: the
 * receiver fetches the first of them while it handles what came before. */
static inline void message_fetch_ahead(struct message *message, size_t size)
{
	size_t lines = (size + 63) / 64;
	message->lines = (uint8_t)(lines < MESSAGE_LINES_MAX ? lines : MESSAGE_LINES_MAX);
}

/* A request: its handler sees to it that core_reply() is called once, now or later, on
 * the receiving core. To the own core it arrives in the next turn. */
void core_request(struct core *core, uint16_t to, const struct message *message);

/* Answers a request of core `to`. */
void core_reply(struct core *core, uint16_t to, const struct message *message);

/* Instead of core_reply(), for an answer that waits until another request has done its work,
 * a lock's release for one: gives the credit back, or requests that wait could keep from being
 * sent the one that they wait for. What the request points to stays the receiver's to use
 * until it answers, once, by core_post(). */
void core_defer(struct core *core, uint16_t to);

/* One way, never answered. */
void core_post(struct core *core, uint16_t to, const struct message *message);
