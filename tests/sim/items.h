/* items.h -- values that are no strings, as texts: a mark that no string begins with, which says the type, then each
 * item, "length:bytes".
 *
 * What      Lists in their order. Sets: members, sorted. Hashes: fields, sorted, each with its value behind it. Sorted
 *           sets: members in their order, each with its score behind it. Streams: see streams.h.
 * Owner     The items of a text lie in that text.
 */
#pragma once

#include "engine/base/buf.h"

#include <stdbool.h>

/* As the server's object types, but that nothing comes before them all. */
enum value_type { VALUE_STRING, VALUE_LIST, VALUE_SET, VALUE_ZSET, VALUE_HASH, VALUE_STREAM };

enum value_type value_type(struct slice text);
const char *value_type_name(enum value_type type);

struct items {
	struct buf slices; /* of struct slice */
};

struct items items_of(struct slice text); /* of "" and strings: none */
void items_fini(struct items *items);
void items_text(const struct items *items, enum value_type type, struct buf *out); /* behind what is there */

static inline size_t items_count(const struct items *items) { return items->slices.len / sizeof(struct slice); }

static inline struct slice *items_at(const struct items *items, size_t at)
{
	return (struct slice *)(void *)items->slices.ptr + at;
}

void items_insert(struct items *items, size_t at, struct slice item);
void items_cut(struct items *items, size_t at, size_t n);
static inline void items_add(struct items *items, struct slice item) { items_insert(items, items_count(items), item); }

int bytes_compare(struct slice a, struct slice b);

/* Groups of `stride` items in the order of their first ones' bytes. */
void items_sort(struct items *items, size_t stride);

/* Where the group of that name is; false: where it would be. */
bool items_seek(const struct items *items, size_t stride, struct slice name, size_t *out);
