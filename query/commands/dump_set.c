/* dump_set.c -- sets in payloads of DUMP.
 *
 *   integers   as a string: bytes of each 4 | how many 4 | so many bytes each, ascending
 *   others     how many | each as a string; or (7.2) a listpack
 */
#include "kernels/bytes.h"
#include "query/commands/dump_private.h"
#include "storage/keyspace/set.h"

enum { INTEGERS_HEAD = 8 };

void dump_set(const struct object *set, struct buf *out)
{
	uint32_t head[2] = {0};
	unsigned width;
	struct slice integers;
	if (set_integers(set, &width, &integers)) {
		cleanup(buf_fini) struct buf array = {0};
		head[0] = width;
		head[1] = (uint32_t)collection_count(set);
		buf_append(&array, slice_of(head, sizeof(head)));
		buf_append(&array, integers);
		buf_byte(out, DUMP_SET_INTEGERS);
		dump_put_string(out, buf_slice(&array));
		return;
	}
	struct set_walk walk;
	struct packed_element member;
	char scratch[PACKED_SCRATCH];
	buf_byte(out, DUMP_SET);
	dump_put_length(out, collection_count(set));
	for (set_walk(set, &walk); set_next(&walk, &member);)
		dump_put_string(out, packed_text(&member, scratch));
}

/* The width in one byte, then the array. */
static bool take_integers(struct slice *in, struct buf *out)
{
	cleanup(buf_fini) struct buf room = {0};
	struct slice array;
	if (!dump_take_string(in, &room, &array) || array.len <= INTEGERS_HEAD)
		return false;
	uint32_t width = load_u32(array.ptr), n = load_u32(array.ptr + 4);
	if ((width != 2 && width != 4 && width != 8) || (uint64_t)n * width != array.len - INTEGERS_HEAD)
		return false;
	buf_byte(out, (uint8_t)width);
	buf_append(out, slice_sub(array, INTEGERS_HEAD, array.len));
	return true;
}

bool restore_set_read(enum dump_type type, struct slice *in, struct buf *out)
{
	uint64_t n;
	if (type == DUMP_SET_INTEGERS)
		return take_integers(in, out);
	if (type == DUMP_SET_LISTPACK)
		return dump_take_listpack(in, out) && out->len > 0;
	if (!dump_take_length(in, &n))
		return false;
	for (; n > 0; n--)
		if (!dump_take_element(in, out))
			return false;
	return out->len > 0;
}

static bool add_all(struct collection *set, struct slice packed)
{
	for (const uint8_t *at = packed.ptr; at != packed.ptr + packed.len;) {
		struct packed_element element;
		at = packed_read(at, &element);
		struct packed_sought member = packed_seek_element(&element);
		if (!set_add(set, &member))
			return false;
	}
	return true;
}

bool restore_set_put(struct exec *exec, enum dump_type type, struct slice content, int64_t expires_ms)
{
	struct collection set = collection_apart(exec->shard, &exec->first, OBJECT_SET);
	bool sound = type == DUMP_SET_INTEGERS
	                     ? set_put_integers(&set, content.ptr[0], slice_sub(content, 1, content.len))
	                     : add_all(&set, content);
	if (sound)
		(void)collection_put(&set, expires_ms);
	collection_drop(&set);
	return sound;
}
