/* hash_times.h -- the fields of a large hash in the order in which they expire.
 *
 * What      A tree with one record of 16 bytes for each field that expires: its time, and the hash by which slots.h
 *           finds it. So the first to expire is at hand, and how many have expired is counted on one way down.
 * Owner     The shard.
 */
#pragma once

#include "storage/collections/tree.h"

/* False: more fields than fit have this very hash and time; it was not added. */
bool times_add(struct shard *shard, struct tree *times, int64_t time_ms, uint64_t hash) must_check;

/* One that is there. */
void times_remove(struct shard *shard, struct tree *times, int64_t time_ms, uint64_t hash);

/* The earliest and the latest time; there is any. */
int64_t times_first(struct tree *times, uint64_t *out_hash);
int64_t times_last(struct tree *times);

/* How many are not later. */
uint64_t times_until(struct tree *times, int64_t now_ms);
