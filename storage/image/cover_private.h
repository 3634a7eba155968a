/* cover_private.h -- which LSN an image shows where. */
#pragma once

#include "engine/base/buf.h"
#include "storage/image/image.h"

/* From `from` to the next range's begin, or the last position. */
struct cover_range {
	uint64_t from, lsn;
};

struct cover_space {
	uint32_t space;
	uint32_t first, n; /* of its ranges */
};

struct image_cover {
	struct buf ranges; /* of struct cover_range, by space, then by position */
	struct buf spaces; /* of struct cover_space, by id */
};

/* In the order of the file. Neighbours of one LSN become one range: a quiet keyspace has one. */
void image_cover_add(struct image_cover *cover, uint32_t space, uint64_t from, uint64_t lsn);
