/* waits.h -- who waits for keys to come, in order (blocking commands).
 *
 * What      A row for each key that somebody waits for, with its waiters, oldest first. A change that leaves the key
 *           with a value of a type that is waited for makes it ready; ready keys stand in line in the order in which
 *           they became so, until waits_serve() shows their waiters.
 * When      Whoever changes keys serves at the end of what nobody may see the middle of: a command, a transaction.
 * Names     A row holds the keyspace's id. Whoever lets a name (SELECT n) stand for another id makes the rows follow.
 * Owner     The shard. A waiter lies in its owner's memory until it is removed. Remove all before the shard goes.
 * Cost      Keys nobody waits for: one test for each change, and one at the end of a command.
 */
#pragma once

#include "storage/keyspace/keyspace.h"

struct waited; /* a key's row */

struct waiter {
	struct link link;      /* in its key's row */
	struct waited *waited; /* NULL: it waits for nothing */
	uint32_t types;        /* a bit for each enum object_type that it waits for, and WAITS_FOR_LOSS */
};

/* It is shown, too, when the key is gone or has come to have a value of a type that it does not wait for. */
#define WAITS_FOR_LOSS (1u << 31)
static_assert(OBJECT_TYPES < 31, "types are bits beside it");

/* At the end of the key's line. `waiter->types` is set. */
void waiter_add(struct shard *shard, const struct key *key, struct waiter *waiter);
void waiter_remove(struct shard *shard, struct waiter *waiter); /* fine if it waits for nothing */

/* Who came last to this key; NULL: nobody waits for it. */
struct waiter *waits_last(struct shard *shard, const struct key *key);

/* The key, good until the waiter is removed. */
const struct key *waiter_key(const struct waiter *waiter);

/* The key is to be shown once more, though it has not changed. */
void waits_show_again(struct shard *shard, const struct key *key);

/* What serving asks of whoever knows the waiters. */
struct waits_server {
	/* May this key be changed now? If not it stays in line. */
	bool (*may)(void *arg, const struct key *key);
	/* False: those behind have nothing to expect, but for a loss. May remove waiters of whoever `waiter` belongs
	 * to, no others'. */
	bool (*serve)(void *arg, const struct key *key, struct waiter *waiter);
	void *arg;
};

/* Shows the waiters of ready keys, also of those that become ready meanwhile. Not from within itself. */
void waits_serve(struct shard *shard, const struct waits_server *server);

/* The names of two keyspaces change places: the rows of both go along, and keys that live are ready. */
void waits_follow(struct shard *shard, uint32_t one, uint32_t other);

/* Keys that are waited for. */
uint32_t waits_count(const struct shard *shard);

/* For tests: a key that has a type that somebody waits for; NULL: none. When nothing
 * is under way that can only be because nobody was told, but where the type alone is not what is waited for. */
const struct key *waits_overlooked(struct shard *shard);
