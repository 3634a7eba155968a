/* away.h -- a tier in memory for leaves of large collections: pointers' offsets count records. */
#pragma once

#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/collection_private.h"
#include "tests/unit/storage/journal/world.h"

enum { RECORDS_MAX = 1 << 16, OFFSET = 4096 };

static struct buf records[RECORDS_MAX];
static uint32_t n_records;

static inline void send(struct object *object, uint64_t at)
{
	struct tree_path path;
	tree_seek_at(collection_tree(object), at, &path);
	if (path.leaf->away || n_records == RECORDS_MAX)
		return;
	buf_append(&records[n_records], slice_of(path.leaf->bytes, path.leaf->len));
	struct cold_pointer pointer = {
	        .file = 1, .offset = OFFSET + n_records++, .size = path.leaf->len + 100, .length = path.leaf->len};
	cold_leaf_send(shard, object, &path, &pointer);
	cr_assert_eq(cold_leaf_pointer(path.leaf).offset, pointer.offset);
}

static inline void fetch(struct shard *there, struct object *object, struct reach reach)
{
	struct tree_path path;
	while (reach_away(object, &reach, 0, &path)) {
		struct cold_pointer pointer = cold_leaf_pointer(path.leaf);
		cold_leaf_return(there, &path, buf_slice(&records[pointer.offset - OFFSET]));
	}
}

static inline void records_free(void)
{
	while (n_records > 0)
		buf_fini(&records[--n_records]);
}
