#include "engine/placement/placement.h"

#include "kernels/checksum/crc16.h"

void placement_spread(struct placement *placement, uint16_t n_cores)
{
	for (uint16_t partition = 0; partition < PARTITIONS; partition++)
		placement->core_of[partition] = partition % n_cores;
}

/* The part of a key that counts. */
static struct slice tag_of(struct slice key)
{
	const uint8_t *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
	if (likely(!open))
		return key;
	size_t from = (size_t)(open - key.ptr) + 1;
	const uint8_t *close = from < key.len ? memchr(key.ptr + from, '}', key.len - from) : NULL;
	size_t to = close ? (size_t)(close - key.ptr) : from;
	return to == from ? key : slice_sub(key, from, to);
}

uint16_t slot_of(struct slice key)
{
	struct slice tag = tag_of(key);
	return crc16(tag.ptr, tag.len) % SLOTS;
}
