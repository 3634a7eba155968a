/* The records are 128-bit IDs (pending.h): the time, a number among the fields of equal time and hash, the hash. */
#include "storage/keyspace/hash_times.h"

#include "storage/collections/slots.h"
#include "storage/keyspace/pending.h"

enum { NUMBER_BITS = 16, NUMBERS = 1 << NUMBER_BITS };

static struct stream_id record_of(int64_t time_ms, uint64_t hash, uint64_t number)
{
	return (struct stream_id){.ms = (uint64_t)time_ms << NUMBER_BITS | number, .seq = hash};
}

static int64_t time_of(struct stream_id record) { return (int64_t)(record.ms >> NUMBER_BITS); }

bool times_add(struct shard *shard, struct tree *times, int64_t time_ms, uint64_t hash)
{
	for (uint64_t number = 0; number < NUMBERS; number++) {
		struct stream_id record = record_of(time_ms, hash, number);
		if (ids_insert(shard, times, sizeof(record), &record))
			return true;
	}
	return false;
}

/* The one of the greatest number, so that the next comes to its place. */
void times_remove(struct shard *shard, struct tree *times, int64_t time_ms, uint64_t hash)
{
	uint64_t number = 0;
	while (number + 1 < NUMBERS && ids_find(times, sizeof(struct stream_id), record_of(time_ms, hash, number + 1)))
		number++;
	bool removed = ids_remove(shard, times, sizeof(struct stream_id), record_of(time_ms, hash, number));
	assert(removed);
}

int64_t times_first(struct tree *times, uint64_t *out_hash)
{
	struct stream_id first, last;
	bool any = ids_ends(times, sizeof(first), &first, &last);
	assert(any);
	*out_hash = first.seq;
	return time_of(first);
}

int64_t times_last(struct tree *times)
{
	struct stream_id first, last;
	bool any = ids_ends(times, sizeof(first), &first, &last);
	assert(any);
	return time_of(last);
}

uint64_t times_until(struct tree *times, int64_t now_ms)
{
	struct ids_walk walk;
	if (now_ms < 0 || now_ms >= SLOTS_TIME_MAX)
		return now_ms < 0 ? 0 : times->count;
	ids_walk(times, sizeof(struct stream_id), record_of(now_ms + 1, 0, 0), &walk);
	return walk.more ? walk.path.before + walk.at : 0;
}
