#include "tests/sim/values.h"

#include "engine/base/number.h"
#include "engine/io/sim_disk.h"
#include "engine/placement/placement.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/hash.h"
#include "storage/keyspace/list.h"
#include "storage/keyspace/set.h"
#include "storage/keyspace/stream.h"
#include "storage/keyspace/stream_groups.h"
#include "storage/keyspace/zset.h"
#include "storage/tier/tier_private.h"
#include "tests/sim/streams.h"

static uint32_t warm_text(struct texts *texts, const struct object *object);

/* Files of the tier, beside the server. */
struct shelf {
	struct sim_disk *disk;
	const char *directory;
};

static bool read_record(const struct shelf *shelf, const struct cold_pointer *pointer, struct buf *bytes,
                        struct slice *name, struct slice *packed)
{
	char path[64];
	struct tier_record record;
	bytes->len = 0;
	tier_path(shelf->directory, pointer->file, path, sizeof(path));
	size_t n = sim_disk_read(shelf->disk, path, pointer->offset, buf_reserve(bytes, pointer->size), pointer->size);
	return tier_record_read(bytes->ptr, n, pointer->file, pointer->offset, &record, name, packed) &&
	       record.crc == pointer->crc;
}

static uint32_t packed_text_of(struct texts *texts, struct slice name, struct slice packed)
{
	struct shard *scratch = shard_new(NULL, 0);
	struct key key = {.name = name, .hash = key_hash(0, name), .slot = slot_of(name)};
	uint32_t text = TEXT_LOST;
	if (object_unpack(scratch, &key, packed, EXPIRES_NEVER) == OK)
		text = warm_text(texts, keyspace_peek(scratch, &key));
	shard_free(scratch);
	return text;
}

/* Of a value that is not in memory, put together beside the server. */
static uint32_t cold_text(struct texts *texts, const struct object *object, const struct shelf *shelf)
{
	struct cold_pointer pointer;
	struct slice name, packed;
	cleanup(buf_fini) struct buf bytes = {0};
	bool has = object_pointer(object, &pointer);
	assert(has);
	if (!read_record(shelf, &pointer, &bytes, &name, &packed) || !slice_equal(name, object_key(object)))
		return TEXT_LOST;
	return packed_text_of(texts, name, packed);
}

/* Of one that is in memory but for leaves: the packed form with these in their places, and whatever follows. */
static uint32_t patched_text(struct texts *texts, const struct object *object, const struct shelf *shelf)
{
	cleanup(buf_fini) struct buf bytes = {0}, whole = {0}, kept = {0};
	struct tree_path path;
	struct packed_leaf leaf;
	size_t leaves_at;
	pack_new(&whole, object_type(object), &leaves_at);
	object_pack(object, &kept);
	struct slice rest = slice_sub(buf_slice(&kept), whole.len, kept.len);
	for (bool more = tree_first(collection_tree(object), &path); more; more = tree_next(&path)) {
		bool has = packed_take_leaf(&rest, &leaf);
		assert(has);
		if (leaf.away) {
			struct cold_pointer pointer = cold_leaf_pointer(path.leaf);
			struct slice name;
			if (!read_record(shelf, &pointer, &bytes, &name, &leaf.bytes) ||
			    !cold_leaf_take(object, path.leaf, &leaf.bytes))
				return TEXT_LOST;
		}
		pack_leaf(&whole, leaves_at, leaf.bytes, leaf.count);
	}
	buf_append(&whole, rest);
	return packed_text_of(texts, object_key(object), buf_slice(&whole));
}

/* Bytes that stay as long as the texts do. */
static struct slice keep(struct texts *texts, struct slice bytes) { return text_bytes(texts, text_id(texts, bytes)); }

static struct slice keep_element(struct texts *texts, const struct packed_element *element)
{
	char scratch[PACKED_SCRATCH];
	return keep(texts, packed_text(element, scratch));
}

static void list_items(struct texts *texts, const struct object *object, struct items *out)
{
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element;
	for (list_walk(object, 0, &walk); list_next(&walk, &element);)
		items_add(out, keep_element(texts, &element));
}

static void set_items(struct texts *texts, const struct object *object, struct items *out)
{
	struct set_walk walk;
	struct packed_element element;
	for (set_walk(object, &walk); set_next(&walk, &element);)
		items_add(out, keep_element(texts, &element));
	items_sort(out, 1);
}

static void hash_items(struct texts *texts, const struct object *object, struct items *out)
{
	struct hash_walk walk;
	struct hash_pair pair;
	for (hash_walk(object, 0, &walk); hash_next(&walk, &pair);) {
		items_add(out, keep_element(texts, &pair.field));
		items_add(out, keep_element(texts, &pair.value));
	}
	items_sort(out, 2);
}

static void zset_items(struct texts *texts, const struct object *object, struct items *out)
{
	struct zset_walk walk;
	struct zset_element element;
	for (zset_walk(object, 0, &walk); zset_next(&walk, &element);) {
		char score[40];
		items_add(out, keep_element(texts, &element.member));
		int n = snprintf(score, sizeof(score), "%.17g", element.score);
		items_add(out, keep(texts, slice_of(score, (size_t)n)));
	}
}

static void add_entries(struct texts *texts, const struct object *object, struct flow *flow)
{
	struct stream_walk walk;
	struct stream_entry entry;
	stream_walk(object, (struct stream_id){0}, STREAM_ID_MAX, false, &walk);
	while (stream_next(&walk, &entry)) {
		struct packed_element field, value;
		stream_field(&entry, &field, &value);
		struct flow_entry one = {.id = (int64_t)entry.id.seq,
		                         .field = keep_element(texts, &field),
		                         .value = keep_element(texts, &value)};
		buf_append(&flow->entries, slice_of(&one, sizeof(one)));
	}
}

static void add_group(struct texts *texts, struct stream_group *group, struct flow *flow)
{
	struct ids_walk walk;
	const struct pending *pending;
	flow->has_group = true;
	flow->read = (int64_t)group->last.seq;
	for (uint32_t i = 0; i < group->n_consumers; i++)
		items_add(&flow->consumers, keep(texts, group_consumer_at(group, i)->name));
	ids_walk(&group->pending, sizeof(*pending), (struct stream_id){0}, &walk);
	while ((pending = ids_next(&walk, sizeof(*pending)))) {
		struct flow_pending one = {.id = (int64_t)pending->id.seq,
		                           .times = (int64_t)pending->deliveries,
		                           .consumer = keep(texts, pending_owner(group, pending)->name)};
		buf_append(&flow->pending, slice_of(&one, sizeof(one)));
	}
}

static uint32_t stream_text(struct texts *texts, const struct object *object)
{
	struct stream_facts facts;
	cleanup(buf_fini) struct buf text = {0};
	stream_facts(object, &facts);
	struct flow flow = {.last = (int64_t)facts.last.seq,
	                    .added = (int64_t)facts.added,
	                    .max_deleted = (int64_t)facts.max_deleted.seq};
	add_entries(texts, object, &flow);
	if (stream_groups(object) > 0)
		add_group(texts, stream_group_at(object, 0), &flow);
	flow_text(&flow, &text);
	flow_fini(&flow);
	return text_id(texts, buf_slice(&text));
}

static uint32_t warm_text(struct texts *texts, const struct object *object)
{
	static void (*const items_in[])(struct texts *, const struct object *,
	                                struct items *) = {[OBJECT_LIST] = list_items,
	                                                   [OBJECT_SET] = set_items,
	                                                   [OBJECT_ZSET] = zset_items,
	                                                   [OBJECT_HASH] = hash_items};
	static_assert((int)OBJECT_LIST == VALUE_LIST && (int)OBJECT_SET == VALUE_SET &&
	                      (int)OBJECT_ZSET == VALUE_ZSET && (int)OBJECT_HASH == VALUE_HASH,
	              "the marks of texts are types");
	char scratch[STRING_SCRATCH];
	if (object_type(object) == OBJECT_STRING)
		return text_id(texts, string_value(object, scratch));
	if (object_type(object) == OBJECT_STREAM)
		return stream_text(texts, object);
	struct items items = {0};
	cleanup(buf_fini) struct buf text = {0};
	items_in[object_type(object)](texts, object, &items);
	items_text(&items, (enum value_type)object_type(object), &text);
	items_fini(&items);
	return text_id(texts, buf_slice(&text));
}

uint32_t value_text(struct texts *texts, const struct object *object, struct sim_disk *disk, const char *directory)
{
	if (!object)
		return TEXT_NONE;
	const struct shelf shelf = {disk, directory};
	if (object_is_cold(object))
		return cold_text(texts, object, &shelf);
	return object_has_away(object) ? patched_text(texts, object, &shelf) : warm_text(texts, object);
}
