/* access_private.h -- 32 bits in each object that say how it was used.
 *
 * LRU   bit 31: used again after it came; bits 0..30: when last used, in ticks of 8 ms, 198 days.
 *       Uses within one tick count once, as the correlated references of 2Q do.
 * LFU   bits 8..31: minute of the last use; bits 0..7: logarithmic counter, halving its
 *       chance to rise at each step and falling by one each minute, with Redis' constants.
 */
#pragma once

#include "storage/keyspace/object_private.h"

enum { ACCESS_AGAIN = (int)0x80000000u, ACCESS_TICKS = 0x7fffffff, TICK_MS = 8 };
enum { BACK_TICKS = 10 * 60 * 1000 / TICK_MS }; /* how far a clock may go back */
enum { LFU_START = 5, LFU_LOG_FACTOR = 10, MINUTE_MS = 60000 };

static inline bool policy_is_lfu(enum eviction_policy policy)
{
	return policy == EVICT_ALLKEYS_LFU || policy == EVICT_VOLATILE_LFU;
}

static inline uint32_t access_tick(int64_t now_ms) { return (uint32_t)(now_ms / TICK_MS) & ACCESS_TICKS; }

/* Of an object that is new. */
uint32_t access_first(const struct shard *shard);

void access_count(struct shard *shard, struct object *object); /* LFU */

static inline void access_touch(struct shard *shard, struct object *object)
{
	if (unlikely(policy_is_lfu(shard->policy))) {
		access_count(shard, object);
		return;
	}
	uint32_t tick = access_tick(shard->now_ms);
	if ((object->access & ACCESS_TICKS) != tick) /* mostly equal: no write */
		object->access = (uint32_t)ACCESS_AGAIN | tick;
}

/* How long unused, in ticks; one that was used again counts a quarter, so that what is seen
 * once leaves first. And the counter of LFU as it is by now. */
uint32_t access_idle_ticks(const struct shard *shard, const struct object *object);
uint32_t access_age(const struct shard *shard, const struct object *object);
unsigned access_frequency(const struct shard *shard, const struct object *object);
