#include "tests/sim/items.h"

#include <assert.h>
#include <stdlib.h>

enum value_type value_type(struct slice text)
{
	return text.len > 0 && text.ptr[0] >= VALUE_LIST && text.ptr[0] <= VALUE_STREAM ? text.ptr[0] : VALUE_STRING;
}

const char *value_type_name(enum value_type type)
{
	static const char *const names[] = {"string", "list", "set", "zset", "hash", "stream"};
	return names[type];
}

/* Takes an item off the front of the rest of a text; false: there is none. */
static bool take_item(struct slice *rest, struct slice *out)
{
	if (rest->len == 0)
		return false;
	char *end;
	size_t len = strtoul((const char *)rest->ptr, &end, 10), head = (size_t)((uint8_t *)end - rest->ptr) + 1;
	*out = slice_sub(*rest, head, head + len);
	*rest = slice_sub(*rest, head + len, rest->len);
	return true;
}

struct items items_of(struct slice text)
{
	struct items items = {0};
	if (value_type(text) == VALUE_STRING)
		return items;
	struct slice rest = slice_sub(text, 1, text.len), item;
	while (take_item(&rest, &item))
		buf_append(&items.slices, slice_of(&item, sizeof(item)));
	return items;
}

void items_fini(struct items *items) { buf_fini(&items->slices); }

void items_text(const struct items *items, enum value_type type, struct buf *out)
{
	buf_byte(out, (uint8_t)type);
	for (size_t i = 0; i < items_count(items); i++) {
		buf_printf(out, "%zu:", items_at(items, i)->len);
		buf_append(out, *items_at(items, i));
	}
}

void items_insert(struct items *items, size_t at, struct slice item)
{
	size_t n = items_count(items);
	buf_append(&items->slices, slice_of(&item, sizeof(item)));
	memmove(items_at(items, at + 1), items_at(items, at), (n - at) * sizeof(item));
	*items_at(items, at) = item;
}

void items_cut(struct items *items, size_t at, size_t n)
{
	size_t count = items_count(items);
	assert(at + n <= count);
	if (n == 0)
		return;
	memmove(items_at(items, at), items_at(items, at + n), (count - at - n) * sizeof(struct slice));
	items->slices.len -= n * sizeof(struct slice);
}

int bytes_compare(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_first(const void *a, const void *b)
{
	return bytes_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void items_sort(struct items *items, size_t stride)
{
	if (items_count(items) > 0)
		qsort(items->slices.ptr, items_count(items) / stride, stride * sizeof(struct slice), by_first);
}

bool items_seek(const struct items *items, size_t stride, struct slice name, size_t *out)
{
	size_t at = 0;
	while (at < items_count(items) && bytes_compare(*items_at(items, at), name) < 0)
		at += stride;
	*out = at;
	return at < items_count(items) && slice_equal(*items_at(items, at), name);
}
