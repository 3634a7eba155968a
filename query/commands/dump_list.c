/* dump_list.c -- lists in payloads of DUMP: a block of ours is a listpack there. */
#include "query/commands/dump_private.h"
#include "storage/keyspace/list.h"

/* What a block of a quicklist is. */
enum { NODE_STRING = 1, NODE_LISTPACK = 2 };

static void put_block(void *out, struct slice packed, uint32_t count)
{
	dump_put_length(out, NODE_LISTPACK);
	dump_put_listpack(out, packed, count);
}

void dump_list(const struct object *list, struct buf *out)
{
	buf_byte(out, DUMP_LIST_QUICKLIST_2);
	dump_put_length(out, list_blocks(list));
	list_each_block(list, put_block, out);
}

static bool take_node(struct slice *in, struct buf *packed)
{
	uint64_t kind;
	if (!dump_take_length(in, &kind))
		return false;
	return kind == NODE_LISTPACK ? dump_take_listpack(in, packed)
	                             : kind == NODE_STRING && dump_take_element(in, packed);
}

bool restore_list_read(enum dump_type type, struct slice *in, struct buf *packed)
{
	uint64_t n = 1;
	if (type != DUMP_LIST_ZIPLIST && !dump_take_length(in, &n))
		return false;
	for (; n > 0; n--) {
		bool taken = type == DUMP_LIST               ? dump_take_element(in, packed)
		             : type == DUMP_LIST_QUICKLIST_2 ? take_node(in, packed)
		                                             : dump_take_ziplist(in, packed);
		if (!taken)
			return false;
	}
	return packed->len > 0;
}

struct object *restore_list_put(struct exec *exec, struct slice packed, int64_t expires_ms)
{
	struct collection list;
	struct packed_element element;
	char scratch[PACKED_SCRATCH];
	(void)keyspace_delete(exec->shard, &exec->first);
	enum err err = collection_open(exec->shard, &exec->first, OBJECT_LIST, FIND_QUIET, &list);
	assert(err == OK);
	for (const uint8_t *at = packed.ptr; at != packed.ptr + packed.len;) {
		at = packed_read(at, &element);
		list_push(&list, LIST_TAIL, packed_text(&element, scratch));
	}
	(void)collection_close(&list);
	struct object *object = keyspace_find(exec->shard, &exec->first, FIND_QUIET);
	return expires_ms == EXPIRES_NEVER ? object : keyspace_expire(exec->shard, &exec->first, object, expires_ms);
}
