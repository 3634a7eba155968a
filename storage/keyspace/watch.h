/* watch.h -- has a key changed since somebody looked? (WATCH; transactions over keys)
 *
 * What      A watch remembers a key as it was when the watch was made. Every change of the
 *           key marks it; so does its expiry, and the drop of its keyspace while it lives.
 * Names     The watch holds the keyspace's id. Whoever lets a name (SELECT n) stand for
 *           another id, by SWAPDB or FLUSHDB, makes the watches follow it.
 * Owner     The shard of the key. Free every watch before the shard.
 * Cost      Without watches, one test for each change.
 */
#pragma once

#include "storage/keyspace/keyspace.h"

struct watch;

struct watch *watch_new(struct shard *shard, const struct key *key) must_check;
void watch_free(struct shard *shard, struct watch *watch); /* NULL is fine */

/* At shard->now_ms. Once true it stays so. */
bool watch_broken(struct shard *shard, const struct watch *watch);

/* The names of two keyspaces change places: the watches of the keys in both go along, and
 * those of keys that live in either are marked. */
void watches_follow(struct shard *shard, uint32_t one, uint32_t other);

/* Did the key live when the watch was made? */
bool watch_existed(const struct watch *watch);
