#include "storage/image/cover_private.h"

#include "engine/memory/memory.h"

static struct cover_space *spaces_of(const struct image_cover *cover) { return (void *)cover->spaces.ptr; }
static struct cover_range *ranges_of(const struct image_cover *cover) { return (void *)cover->ranges.ptr; }
static size_t n_spaces(const struct image_cover *cover) { return cover->spaces.len / sizeof(struct cover_space); }

static struct cover_space *begin_space(struct image_cover *cover, uint32_t space)
{
	struct cover_space fresh = {.space = space,
	                            .first = (uint32_t)(cover->ranges.len / sizeof(struct cover_range))};
	buf_append(&cover->spaces, slice_of(&fresh, sizeof(fresh)));
	return &spaces_of(cover)[n_spaces(cover) - 1];
}

void image_cover_add(struct image_cover *cover, uint32_t space, uint64_t from, uint64_t lsn)
{
	struct cover_space *last = n_spaces(cover) ? &spaces_of(cover)[n_spaces(cover) - 1] : NULL;
	if (!last || last->space != space)
		last = begin_space(cover, space);
	else if (ranges_of(cover)[last->first + last->n - 1].lsn == lsn)
		return;
	struct cover_range range = {.from = from, .lsn = lsn};
	buf_append(&cover->ranges, slice_of(&range, sizeof(range)));
	last->n++;
}

static const struct cover_space *find_space(const struct image_cover *cover, uint32_t space)
{
	size_t from = 0, to = n_spaces(cover);
	while (from < to) {
		size_t middle = (from + to) / 2;
		if (spaces_of(cover)[middle].space < space)
			from = middle + 1;
		else
			to = middle;
	}
	bool found = from < n_spaces(cover) && spaces_of(cover)[from].space == space;
	return found ? &spaces_of(cover)[from] : NULL;
}

bool image_covers(const struct image_cover *cover, uint32_t space, uint64_t position, uint64_t lsn)
{
	const struct cover_space *found = cover ? find_space(cover, space) : NULL;
	if (!found)
		return false;
	const struct cover_range *ranges = ranges_of(cover) + found->first;
	uint32_t from = 0, to = found->n; /* the last whose begin is not greater; the first begins at 0 */
	while (to - from > 1) {
		uint32_t middle = from + (to - from) / 2;
		if (ranges[middle].from <= position)
			from = middle;
		else
			to = middle;
	}
	return lsn <= ranges[from].lsn;
}

void image_cover_free(struct image_cover *cover)
{
	if (!cover)
		return;
	buf_fini(&cover->ranges);
	buf_fini(&cover->spaces);
	memory_free(cover);
}
