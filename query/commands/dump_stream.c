/* dump_stream.c -- streams in payloads of DUMP: blocks, IDs, and groups with what is pending.
 *
 *   blocks     how many | each: ID 16, as a string | listpack
 *   facts      entries | last ID | (first ID | greatest ID deleted | entries ever added)
 *   groups     how many | each: name | last ID | (entries read) | pending | consumers
 *   pending    how many | each: ID 16 | delivered, ms 8 | deliveries
 *   consumers  how many | each: name | seen, ms 8 | (active, ms 8) | how many are pending | each: ID 16
 *
 * Numbers are lengths, IDs two of them, but those of 16 bytes, high byte first. What is in brackets came with later
 * versions.
 */
#include "engine/memory/memory.h"
#include "kernels/bytes.h"
#include "query/commands/dump_private.h"
#include "storage/keyspace/stream.h"
#include "storage/keyspace/stream_groups.h"

/* ---- writing ---------------------------------------------------------------------- */

static void put_id(struct buf *out, struct stream_id id)
{
	dump_put_length(out, id.ms);
	dump_put_length(out, id.seq);
}

static void put_raw_id(struct buf *out, struct stream_id id)
{
	dump_put_number(out, id.ms, 8, true);
	dump_put_number(out, id.seq, 8, true);
}

static void put_block(void *arg, struct stream_id id, struct slice packed, uint32_t elements)
{
	struct buf *out = arg;
	cleanup(buf_fini) struct buf raw = {0};
	put_raw_id(&raw, id);
	dump_put_string(out, buf_slice(&raw));
	dump_put_listpack(out, packed, elements);
}

static void put_pending(struct buf *out, struct stream_group *group)
{
	struct ids_walk walk;
	const struct pending *pending;
	dump_put_length(out, group->pending.count);
	ids_walk(&group->pending, sizeof(*pending), (struct stream_id){0}, &walk);
	while ((pending = ids_next(&walk, sizeof(*pending)))) {
		put_raw_id(out, pending->id);
		dump_put_number(out, pending->delivered_ms, 8, false);
		dump_put_length(out, pending->deliveries);
	}
}

static void put_consumer(struct buf *out, struct stream_consumer *consumer)
{
	struct ids_walk walk;
	const struct stream_id *id;
	dump_put_string(out, consumer->name);
	dump_put_number(out, (uint64_t)consumer->seen_ms, 8, false);
	dump_put_length(out, consumer->pending.count);
	ids_walk(&consumer->pending, sizeof(*id), (struct stream_id){0}, &walk);
	while ((id = ids_next(&walk, sizeof(*id))))
		put_raw_id(out, *id);
}

static void put_group(struct buf *out, struct stream_group *group)
{
	dump_put_string(out, group->name);
	put_id(out, group->last);
	dump_put_length(out, (uint64_t)group->entries_read);
	put_pending(out, group);
	dump_put_length(out, group->n_consumers);
	for (uint32_t i = 0; i < group->n_consumers; i++)
		put_consumer(out, group_consumer_at(group, i));
}

void dump_stream(const struct object *stream, struct buf *out)
{
	struct stream_facts facts;
	uint32_t groups = stream_groups(stream);
	stream_facts(stream, &facts);
	buf_byte(out, DUMP_STREAM_2);
	dump_put_length(out, facts.blocks);
	stream_each_block(stream, put_block, out);
	dump_put_length(out, facts.length);
	put_id(out, facts.last);
	put_id(out, facts.first);
	put_id(out, facts.max_deleted);
	dump_put_length(out, facts.added);
	dump_put_length(out, groups);
	for (uint32_t i = 0; i < groups; i++)
		put_group(out, stream_group_at(stream, i));
}

/* ---- reading ---------------------------------------------------------------------- */

static bool take_id(struct slice *in, struct stream_id *out)
{
	return dump_take_length(in, &out->ms) && dump_take_length(in, &out->seq);
}

static bool take_raw_id(struct slice *in, struct stream_id *out)
{
	return dump_take_number(in, 8, true, &out->ms) && dump_take_number(in, 8, true, &out->seq);
}

static bool take_block(struct slice *in, struct stream_pack *pack)
{
	cleanup(buf_fini) struct buf room = {0}, packed = {0};
	struct slice raw;
	struct stream_id id;
	return dump_take_string(in, &room, &raw) && raw.len == sizeof(id) && take_raw_id(&raw, &id) &&
	       dump_take_listpack(in, &packed) && stream_pack_block(pack, id, buf_slice(&packed));
}

static bool take_facts(struct slice *in, enum dump_type type, struct stream_pack *pack)
{
	struct stream_facts *facts = &pack->facts;
	struct stream_id first;
	uint64_t length;
	if (!dump_take_length(in, &length) || length != facts->length || !take_id(in, &facts->last))
		return false;
	if (type == DUMP_STREAM)
		facts->added = length;
	else if (!take_id(in, &first) || !take_id(in, &facts->max_deleted) || !dump_take_length(in, &facts->added))
		return false;
	return length == 0 || stream_id_compare(pack->last, facts->last) <= 0;
}

/* A group on its way in. */
struct reading {
	struct stream_group_facts facts;
	struct buf name;      /* if it is not in the payload itself */
	struct buf pending;   /* of struct pending; their consumer: number + 1, 0 so far */
	struct buf consumers; /* of struct stream_consumer_facts */
	struct buf names;     /* of struct buf: those that are not in the payload */
};

static void reading_fini(struct reading *reading)
{
	struct buf *names = (struct buf *)reading->names.ptr;
	for (size_t i = 0; i < reading->names.len / sizeof(*names); i++)
		buf_fini(&names[i]);
	buf_fini(&reading->names);
	buf_fini(&reading->consumers);
	buf_fini(&reading->pending);
	buf_fini(&reading->name);
}

enum { PENDING_MIN = 16 + 8 + 1, CONSUMER_MIN = 1 + 8 + 1 }; /* bytes of one, at least */

static bool take_pending(struct slice *in, struct reading *group)
{
	uint64_t n, delivered_ms, deliveries;
	struct stream_id last = {0};
	if (!dump_take_length(in, &n) || n > in->len / PENDING_MIN)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		struct pending pending = {0};
		if (!take_raw_id(in, &pending.id) || !dump_take_number(in, 8, false, &delivered_ms) ||
		    !dump_take_length(in, &deliveries) || (i > 0 && stream_id_compare(last, pending.id) >= 0))
			return false;
		last = pending.id;
		pending_set(&pending, 0, (int64_t)delivered_ms, deliveries);
		buf_append(&group->pending, slice_of(&pending, sizeof(pending)));
	}
	group->facts.n_pending = n;
	return true;
}

static struct pending *find_pending(struct reading *group, struct stream_id id)
{
	struct pending *all = (struct pending *)group->pending.ptr;
	uint64_t from = 0, to = group->facts.n_pending;
	while (from < to) {
		uint64_t middle = from + (to - from) / 2;
		int order = stream_id_compare(all[middle].id, id);
		if (order == 0)
			return &all[middle];
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

/* All that is pending at consumer `number`: it is nobody else's. */
static bool take_owned(struct slice *in, struct reading *group, uint32_t number)
{
	uint64_t n;
	struct stream_id id;
	if (!dump_take_length(in, &n))
		return false;
	for (; n > 0; n--) {
		struct pending *pending = take_raw_id(in, &id) ? find_pending(group, id) : NULL;
		if (!pending || pending_consumer(pending) != 0)
			return false;
		pending_set(pending, number + 1, (int64_t)pending->delivered_ms, pending->deliveries);
	}
	return true;
}

static bool take_consumer(struct slice *in, enum dump_type type, struct reading *group, uint32_t number)
{
	struct buf room = {0};
	struct stream_consumer_facts consumer;
	uint64_t seen_ms, active_ms;
	bool taken = dump_take_string(in, &room, &consumer.name);
	buf_append(&group->names, slice_of(&room, sizeof(room)));
	if (!taken || !dump_take_number(in, 8, false, &seen_ms) ||
	    (type == DUMP_STREAM_3 && !dump_take_number(in, 8, false, &active_ms)))
		return false;
	consumer.seen_ms = (int64_t)seen_ms;
	buf_append(&group->consumers, slice_of(&consumer, sizeof(consumer)));
	return take_owned(in, group, number);
}

/* Everything that is pending has a consumer. */
static bool settle(struct reading *group)
{
	struct pending *all = (struct pending *)group->pending.ptr;
	for (uint64_t i = 0; i < group->facts.n_pending; i++) {
		uint32_t consumer = pending_consumer(&all[i]);
		if (consumer == 0)
			return false;
		pending_set(&all[i], consumer - 1, (int64_t)all[i].delivered_ms, all[i].deliveries);
	}
	group->facts.pending = all;
	group->facts.consumers = (const struct stream_consumer_facts *)group->consumers.ptr;
	return true;
}

static bool take_group(struct slice *in, enum dump_type type, struct stream_pack *pack)
{
	cleanup(reading_fini) struct reading group = {0};
	uint64_t entries_read, n;
	if (!dump_take_string(in, &group.name, &group.facts.name) || !take_id(in, &group.facts.last))
		return false;
	group.facts.entries_read = stream_entries_up_to(&pack->facts, group.facts.last);
	if (type != DUMP_STREAM) {
		if (!dump_take_length(in, &entries_read))
			return false;
		group.facts.entries_read = (int64_t)entries_read;
	}
	if (!take_pending(in, &group) || !dump_take_length(in, &n) || n > in->len / CONSUMER_MIN)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!take_consumer(in, type, &group, i))
			return false;
	group.facts.n_consumers = (uint32_t)n;
	if (!settle(&group))
		return false;
	stream_pack_group(pack, &group.facts);
	return true;
}

static bool take_stream(struct slice *in, enum dump_type type, struct stream_pack *pack)
{
	uint64_t n;
	stream_pack_begin(pack);
	if (!dump_take_length(in, &n))
		return false;
	for (; n > 0; n--)
		if (!take_block(in, pack))
			return false;
	if (!take_facts(in, type, pack) || !dump_take_length(in, &n))
		return false;
	stream_pack_facts(pack);
	for (; n > 0; n--)
		if (!take_group(in, type, pack))
			return false;
	stream_pack_end(pack);
	return true;
}

bool restore_stream_read(enum dump_type type, struct slice *in, struct buf *packed)
{
	struct stream_pack pack = {0};
	bool taken = take_stream(in, type, &pack);
	*packed = pack.packed;
	return taken;
}
