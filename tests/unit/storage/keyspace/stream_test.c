/* Streams against arrays of entries: added, deleted, trimmed, walked from any ID in both directions; groups against an
 * array of who has what; copies and packed values against what they were made from. */
#include "storage/keyspace/stream.h"

#include "engine/memory/memory.h"
#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/stream_groups.h"
#include "support.h"

enum { LENGTH_MAX = 60000, CONSUMERS = 5 };

static struct shard *shard;
static struct dice dice = {1};

/* ---- entries -------------------------------------------------------------------------- */

/* What is pending in the one group, too: 0: it is not, else the consumer and 1. */
struct item {
	struct stream_id id;
	uint32_t number;
	uint32_t owner, deliveries;
	bool gone; /* from the stream: only pending */
};

struct model {
	struct item *items; /* in the order of IDs */
	uint64_t n;
	struct stream_id last, max_deleted, read;
	uint64_t added;
	bool has_group, has_consumer[CONSUMERS];
};

/* Names and values by number: mostly the same names. */
static uint32_t fields_of(uint32_t number, char room[8][NAME_MAX_SIZE], struct slice out[8])
{
	uint32_t shape = number % 11, n = shape == 0 ? 1 : shape == 1 ? 4 : 2;
	for (uint32_t i = 0; i < n; i++) {
		int name = snprintf(room[2 * i], NAME_MAX_SIZE,
		                    shape < 2    ? "name%u:%u"
		                    : shape == 2 ? "%u"
		                                 : "name%u",
		                    i, number % 3);
		int value = snprintf(room[2 * i + 1], NAME_MAX_SIZE, number % 3 ? "%u" : "value:%u", number * (i + 1));
		memset(room[2 * i + 1] + value, 'v', 200);
		out[2 * i] = slice_of(room[2 * i], (size_t)name);
		out[2 * i + 1] = slice_of(room[2 * i + 1], (size_t)value + (number % 3         ? 0
		                                                            : number % 97 == 0 ? 180
		                                                                               : number % 20));
	}
	return n;
}

static void entry_is(struct stream_entry *entry, const struct item *item)
{
	char room[8][NAME_MAX_SIZE], scratch[PACKED_SCRATCH];
	struct slice fields[8];
	uint32_t n = fields_of(item->number, room, fields);
	cr_assert(stream_id_equal(entry->id, item->id));
	cr_assert_eq(entry->n_fields, n);
	for (uint32_t i = 0; i < n; i++) {
		struct packed_element name, value;
		stream_field(entry, &name, &value);
		cr_assert(slice_equal(packed_text(&name, scratch), fields[2 * i]));
		cr_assert(slice_equal(packed_text(&value, scratch), fields[2 * i + 1]));
	}
}

static struct collection open_stream(const struct key *key)
{
	struct collection stream;
	cr_assert_eq(collection_open(shard, key, OBJECT_STREAM, FIND_QUIET, &stream), OK);
	return stream;
}

static uint64_t living(const struct model *model)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < model->n; i++)
		n += !model->items[i].gone;
	return n;
}

static bool between(const struct item *item, struct stream_id from, struct stream_id to)
{
	return !item->gone && stream_id_compare(item->id, from) >= 0 && stream_id_compare(item->id, to) <= 0;
}

static struct stream_id any_id(const struct model *model)
{
	if (model->n == 0 || roll(&dice, 10) == 0)
		return (struct stream_id){roll(&dice, 3) * model->last.ms, roll(&dice, 5)};
	struct stream_id id = model->items[roll(&dice, (uint32_t)model->n)].id;
	id.seq += roll(&dice, 4) == 0;
	return id;
}

static void check_range(const struct object *stream, const struct model *model, struct stream_id from,
                        struct stream_id to)
{
	struct stream_walk walk;
	struct stream_entry entry;
	uint64_t n = 0;
	stream_walk(stream, from, to, false, &walk);
	for (uint64_t i = 0; i < model->n; i++) {
		if (!between(&model->items[i], from, to))
			continue;
		cr_assert(stream_next(&walk, &entry));
		entry_is(&entry, &model->items[i]);
		n++;
	}
	cr_assert(!stream_next(&walk, &entry));
	stream_walk(stream, from, to, true, &walk);
	cr_assert_eq(stream_count(&walk, UINT64_MAX), n);
	for (uint64_t i = model->n; i-- > 0;) {
		if (!between(&model->items[i], from, to))
			continue;
		cr_assert(stream_next(&walk, &entry));
		entry_is(&entry, &model->items[i]);
	}
	cr_assert(!stream_next(&walk, &entry));
}

static void check_group(const struct object *stream, const struct model *model)
{
	cr_assert_eq(stream_groups(stream), model->has_group);
	if (!model->has_group)
		return;
	struct stream_group *group = stream_group(stream, S("group"));
	struct ids_walk walk, own[CONSUMERS];
	uint64_t counts[CONSUMERS] = {0}, n = 0;
	cr_assert(stream_id_equal(group->last, model->read));
	ids_walk(&group->pending, sizeof(struct pending), (struct stream_id){0}, &walk);
	for (uint32_t i = 0; i < CONSUMERS; i++) {
		struct stream_consumer *consumer = group_consumer(group, slice_of("abcde" + i, 1));
		cr_assert_eq(consumer != NULL, model->has_consumer[i]);
		if (consumer)
			ids_walk(&consumer->pending, sizeof(struct stream_id), (struct stream_id){0}, &own[i]);
	}
	for (uint64_t i = 0; i < model->n; i++) {
		const struct item *item = &model->items[i];
		if (item->owner == 0)
			continue;
		const struct pending *pending = ids_next(&walk, sizeof(*pending));
		const struct stream_id *id = ids_next(&own[item->owner - 1], sizeof(*id));
		cr_assert(pending && stream_id_equal(pending->id, item->id));
		cr_assert(id && stream_id_equal(*id, item->id));
		cr_assert_eq(pending->deliveries, item->deliveries);
		cr_assert_eq(pending_owner(group, pending),
		             group_consumer(group, slice_of("abcde" + item->owner - 1, 1)));
		counts[item->owner - 1]++;
		n++;
	}
	cr_assert_eq(group->pending.count, n);
	for (uint32_t i = 0; i < CONSUMERS; i++)
		cr_assert(!model->has_consumer[i] ||
		          group_consumer(group, slice_of("abcde" + i, 1))->pending.count == counts[i]);
}

static void check(const struct key *key, const struct model *model, bool all)
{
	const struct object *stream = keyspace_find(shard, key, FIND_QUIET);
	struct stream_facts facts;
	if (!stream) {
		cr_assert_eq(model->added, 0);
		return;
	}
	stream_facts(stream, &facts);
	cr_assert(stream_id_equal(facts.last, model->last));
	cr_assert(stream_id_equal(facts.max_deleted, model->max_deleted));
	cr_assert_eq(facts.added, model->added);
	cr_assert_eq(facts.length, living(model));
	if (all) {
		check_range(stream, model, (struct stream_id){0}, STREAM_ID_MAX);
		check_group(stream, model);
		return;
	}
	struct stream_id from = any_id(model), to = from;
	to.ms += roll(&dice, 30);
	check_range(stream, model, from, to);
}

/* ---- changes -------------------------------------------------------------------------- */

static void forget_gone(struct model *model)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < model->n; i++)
		if (!model->items[i].gone || model->items[i].owner > 0)
			model->items[n++] = model->items[i];
	model->n = n;
}

static void add(struct collection *stream, struct model *model)
{
	char room[8][NAME_MAX_SIZE];
	struct slice fields[8];
	struct item item = {.id = model->last, .number = roll(&dice, 5000)};
	if (roll(&dice, 3))
		item.id = (struct stream_id){item.id.ms + 1 + roll(&dice, 1000), roll(&dice, 4)};
	else
		item.id.seq += 1 + roll(&dice, roll(&dice, 9) ? 3 : 100000);
	uint32_t n = fields_of(item.number, room, fields);
	stream_add(stream, item.id, fields, n);
	model->items[model->n++] = item;
	model->last = item.id;
	model->added++;
}

static void delete (struct collection *stream, struct model *model)
{
	struct stream_id id = any_id(model);
	bool there = false;
	for (uint64_t i = 0; i < model->n; i++)
		if (stream_id_equal(model->items[i].id, id) && !model->items[i].gone)
			there = model->items[i].gone = true;
	if (there && stream_id_compare(id, model->max_deleted) > 0)
		model->max_deleted = id;
	cr_assert_eq(stream_delete(stream, id), there);
	forget_gone(model);
}

/* In whole blocks, where blocks end is the stream's to say: what it says is believed, if it may be so. */
static void trim(struct collection *stream, struct model *model)
{
	struct stream_trim how = {.by_id = roll(&dice, 2), .whole_blocks = roll(&dice, 2), .least = any_id(model)};
	uint64_t n = living(model), removed = 0, may = 0;
	how.length = n ? n - roll(&dice, roll(&dice, 6) ? 8 : (uint32_t)n + 1) % (n + 1) : 0;
	if (how.whole_blocks && roll(&dice, 2))
		how.limit = 1 + roll(&dice, 500);
	for (uint64_t i = 0; i < model->n; i++)
		may += !model->items[i].gone &&
		       (how.by_id ? stream_id_compare(model->items[i].id, how.least) < 0 : may < n - how.length);
	uint64_t said = stream_trim(stream, &how);
	cr_assert(how.whole_blocks ? said <= may : said == may);
	cr_assert(how.limit == 0 || said <= how.limit);
	for (uint64_t i = 0; i < model->n && removed < said; i++) {
		removed += !model->items[i].gone;
		model->items[i].gone = true;
	}
	forget_gone(model);
}

static struct stream_consumer *any_consumer(struct collection *stream, struct model *model, struct stream_group *group,
                                            uint32_t *which)
{
	*which = roll(&dice, CONSUMERS);
	struct slice name = slice_of("abcde" + *which, 1);
	if (!model->has_consumer[*which])
		(void)consumer_create(stream, group, name, 5);
	model->has_consumer[*which] = true;
	return group_consumer(group, name);
}

static void read_on(struct collection *stream, struct model *model, struct stream_group *group)
{
	uint32_t which, n = 1 + roll(&dice, roll(&dice, 5) ? 8 : 500);
	struct stream_consumer *consumer = any_consumer(stream, model, group, &which);
	struct stream_id from = group->last;
	struct stream_walk walk;
	bool noted = roll(&dice, 4);
	(void)stream_id_increment(&from);
	stream_walk(stream->object, from, STREAM_ID_MAX, false, &walk);
	n = (uint32_t)stream_count(&walk, n);
	group_deliver(stream, group, consumer, &walk, n, noted, 7);
	for (uint64_t i = 0; i < model->n && n > 0; i++) {
		struct item *item = &model->items[i];
		if (item->gone || stream_id_compare(item->id, from) < 0)
			continue;
		model->read = item->id;
		if (noted)
			item->owner = which + 1, item->deliveries = 1;
		n--;
	}
}

static void take_over(struct collection *stream, struct model *model, struct stream_group *group)
{
	uint32_t which;
	struct item *item = &model->items[roll(&dice, (uint32_t)model->n)];
	struct stream_consumer *consumer = any_consumer(stream, model, group, &which);
	item->owner = which + 1;
	item->deliveries = roll(&dice, 100);
	group_claim(stream, group, consumer, item->id, 9, item->deliveries);
}

static void acknowledge(struct collection *stream, struct model *model, struct stream_group *group)
{
	for (uint32_t n = 1 + roll(&dice, 30); n > 0 && model->n > 0; n--) {
		struct item *item = &model->items[roll(&dice, 3) ? roll(&dice, (uint32_t)model->n) : 0];
		cr_assert_eq(group_acknowledge(stream, group, item->id), item->owner > 0);
		item->owner = 0;
		forget_gone(model);
	}
}

static void change_group(struct collection *stream, struct model *model)
{
	struct stream_group *group = model->has_group ? stream_group(stream->object, S("group")) : NULL;
	uint32_t kind = roll(&dice, 40), which = roll(&dice, CONSUMERS);
	if (!group) {
		model->read = any_id(model);
		group_create(stream, S("group"), model->read, ENTRIES_READ_UNKNOWN);
		model->has_group = true;
	} else if (kind == 0) {
		group_destroy(stream, group);
		model->has_group = false;
		memset(model->has_consumer, 0, sizeof(model->has_consumer));
		for (uint64_t i = 0; i < model->n; i++)
			model->items[i].owner = 0;
	} else if (kind == 1) {
		model->read = any_id(model);
		group_set(stream, group, model->read, 3);
	} else if (kind == 2 && model->has_consumer[which]) {
		consumer_delete(stream, group, group_consumer(group, slice_of("abcde" + which, 1)));
		model->has_consumer[which] = false;
		for (uint64_t i = 0; i < model->n; i++)
			model->items[i].owner = model->items[i].owner == which + 1 ? 0 : model->items[i].owner;
	} else if (kind < 15 && model->n > 0) {
		take_over(stream, model, group);
	} else if (kind < 25) {
		acknowledge(stream, model, group);
	} else {
		read_on(stream, model, group);
	}
	forget_gone(model);
}

static void step(const struct key *key, struct model *model, uint32_t size)
{
	struct collection stream = open_stream(key);
	uint32_t kind = roll(&dice, 20);
	if (!stream.object || (kind < 10 && model->n < size))
		for (uint32_t n = 1 + roll(&dice, roll(&dice, 30) ? 5 : size / 2); n > 0 && model->n < LENGTH_MAX; n--)
			add(&stream, model);
	else if (kind < 14)
		delete (&stream, model);
	else if (kind < 16 || model->n > size)
		trim(&stream, model);
	else
		change_group(&stream, model);
	cr_assert(!collection_close(&stream));
}

static void live(int64_t bytes, int64_t entries, uint32_t size, uint32_t steps)
{
	char name[2][NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 1, name[0]), copy = key_numbered(0, NULL, 2, name[1]);
	struct model model = {.items = memory_alloc((LENGTH_MAX + 1) * sizeof(struct item))}, then = {0};
	then.items = memory_alloc((LENGTH_MAX + 1) * sizeof(struct item));
	shard = shard_new(NULL, SEED);
	shard->collections.stream_bytes = bytes;
	shard->collections.stream_entries = entries;
	for (uint32_t i = 0; i < steps; i++) {
		step(&key, &model, size);
		check(&key, &model, i % 64 == 0);
		if (i % 64 == 0)
			shard_verify(shard);
		if (i % 500 == 0) { /* what a copy was stays, whatever becomes of the other */
			struct item *items = then.items;
			keyspace_copy(shard, &key, &copy);
			then = model;
			then.items = memcpy(items, model.items, model.n * sizeof(struct item));
		}
		if (i % 500 == 400)
			check(&copy, &then, true);
	}
	keyspace_delete(shard, &key);
	keyspace_delete(shard, &copy);
	while (shard->counters.freeing)
		(void)shard_background(shard, 1000000, &(uint64_t){0});
	cr_assert_eq(shard->counters.objects_bytes, 0);
	shard_free(shard);
	memory_free(model.items);
	memory_free(then.items);
}

TestSuite(stream, .timeout = 170);
Test(stream, is_what_its_model_says_when_small) { live(4096, 100, 100, 20000); }
Test(stream, is_what_its_model_says_with_tiny_blocks) { live(0, 3, 600, 12000); }
Test(stream, is_what_its_model_says_when_large) { live(4096, 100, 20000, 2500); }

/* ---- packed values, as they come from disk and from other servers --------------------------- */

static void fill(const struct key *key, struct model *model, uint32_t n)
{
	struct collection stream = open_stream(key);
	stream_touch(&stream);
	for (; n > 0; n--)
		add(&stream, model);
	for (uint32_t i = roll(&dice, 60); i > 0; i--)
		delete (&stream, model);
	for (uint32_t i = roll(&dice, 20); i > 0; i--)
		change_group(&stream, model);
}

static void add_id(struct collection *stream, uint64_t ms)
{
	struct slice fields[] = {S("name"), S("value")};
	stream_add(stream, (struct stream_id){ms, 0}, fields, 1);
}

static void survives_packing(const struct key *key, uint64_t length)
{
	struct buf packed = {0};
	object_pack(keyspace_find(shard, key, FIND_QUIET), &packed);
	cr_assert_eq(object_unpack(shard, key, buf_slice(&packed), EXPIRES_NEVER), OK);
	cr_assert_eq(collection_count(open_stream(key).object), length);
	buf_fini(&packed);
}

/* XDEL leaves marks in a block, and XSETID may go back behind them. */
Test(stream, stays_in_order_when_the_last_id_goes_back_behind_deleted_entries)
{
	char name[NAME_MAX_SIZE];
	struct key key = key_numbered(0, NULL, 0, name);
	struct stream_entry entry;
	shard = shard_new(NULL, SEED);
	for (uint64_t deleted = 1; deleted <= 3; deleted++) {
		struct collection stream = open_stream(&key);
		for (uint64_t ms = 1; ms <= 6; ms++)
			add_id(&stream, 10 * ms);
		for (uint64_t ms = 7 - deleted; ms <= 6; ms++)
			cr_assert(stream_delete(&stream, (struct stream_id){10 * ms, 0}));
		stream_set(&stream, (struct stream_id){10 * (6 - deleted), 5}, 6, (struct stream_id){0});
		survives_packing(&key, 6 - deleted);
		stream = open_stream(&key);
		add_id(&stream, 10 * (6 - deleted) + 1);
		add_id(&stream, 60);
		survives_packing(&key, 8 - deleted);
		stream = open_stream(&key);
		cr_assert(stream_find(stream.object, (struct stream_id){60, 0}, &entry));
		cr_assert(stream_delete(&stream, (struct stream_id){10 * (6 - deleted) + 1, 0}));
		shard_verify(shard);
		keyspace_delete(shard, &key);
	}
	shard_free(shard);
}

Test(stream, is_packed_and_unpacked_and_stays_sound_when_that_is_hostile)
{
	char name[3][NAME_MAX_SIZE];
	struct key keys[3];
	for (uint32_t i = 0; i < 3; i++)
		keys[i] = key_numbered(0, NULL, i, name[i]);
	struct item *items = memory_alloc((LENGTH_MAX + 1) * sizeof(struct item));
	shard = shard_new(NULL, SEED);
	for (int round = 0; round < 300; round++) {
		struct model model = {.items = items};
		shard->collections.stream_entries = roll(&dice, 2) ? 3 : 100;
		fill(&keys[0], &model, roll(&dice, roll(&dice, 4) ? 12 : 1000));
		struct buf packed = {0};
		object_pack(keyspace_find(shard, &keys[0], FIND_QUIET), &packed);
		cr_assert_eq(object_unpack(shard, &keys[1], buf_slice(&packed), EXPIRES_NEVER), OK);
		check(&keys[1], &model, true);
		struct object_stream *pieces = object_stream_new(shard, keyspace_find(shard, &keys[0], FIND_QUIET));
		if (pieces) {
			uint8_t *read = memory_alloc(packed.len + 100);
			size_t n = 0, got;
			cr_assert_eq(object_stream_length(pieces), packed.len);
			while ((got = object_stream_read(pieces, read + n, 1 + roll(&dice, 300))) > 0)
				n += got;
			cr_assert(slice_equal(slice_of(read, n), buf_slice(&packed)));
			object_stream_free(shard, pieces);
			memory_free(read);
		}
		for (int i = 0; i < 100; i++) {
			size_t len = roll(&dice, 3) ? packed.len : roll(&dice, (uint32_t)packed.len + 1);
			uint8_t *exact = memory_alloc(len + 1); /* a sanitizer sees its end */
			memcpy(exact, packed.ptr, len);
			for (uint32_t n = 1 + roll(&dice, 3); n > 0 && len > 1; n--) /* but not the type */
				exact[1 + roll(&dice, (uint32_t)len - 1)] = (uint8_t)roll(&dice, 256);
			if (object_unpack(shard, &keys[2], slice_of(exact, len), EXPIRES_NEVER) == OK) {
				struct collection stream = open_stream(&keys[2]);
				struct stream_walk walk;
				stream_walk(stream.object, (struct stream_id){0}, STREAM_ID_MAX, roll(&dice, 2), &walk);
				cr_assert_eq(stream_count(&walk, UINT64_MAX), collection_count(stream.object));
				(void)stream_trim(&stream, &(struct stream_trim){.length = roll(&dice, 20)});
			}
			memory_free(exact);
		}
		shard_verify(shard);
		for (int i = 0; i < 3; i++)
			keyspace_delete(shard, &keys[i]);
		buf_fini(&packed);
	}
	shard_free(shard);
	memory_free(items);
}
