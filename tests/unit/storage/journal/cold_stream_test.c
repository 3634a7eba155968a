/* A stream whose blocks leave and come back between changes: it is its twin that stays, also for calls that have in
 * memory only what they reach; and so is what recovery makes of any image of it and the log behind that, whatever the
 * image knows by pointers alone. */
#include "storage/keyspace/stream.h"
#include "storage/keyspace/stream_groups.h"
#include "tests/unit/storage/journal/away.h"

enum { STEPS = 30000, LENGTH_MAX = 400, CONSUMERS = 3 };

static struct dice dice = {1};
static struct shard *twins;
static struct key key;
static const struct slice group_name = {.ptr = (const uint8_t *)"group", .len = 5};

static struct collection stream_in(struct shard *there)
{
	struct collection stream;
	cr_assert_eq(collection_open(there, &key, OBJECT_STREAM, FIND_QUIET, &stream), OK);
	return stream;
}

static struct stream_id id_of(uint64_t n) { return (struct stream_id){1 + n / 10, n % 10}; }

/* ---- changes, of both ------------------------------------------------------------------------------ */

enum what { ADD, DELETE, TRIM_LENGTH, TRIM_ID, TRIM_BLOCKS, SET, DELIVER, REPEAT, CLAIM, ACKNOWLEDGE, REGROUP, WHATS };

struct edit_of_both {
	enum what what;
	uint64_t number, n; /* an ID's; how many */
	uint32_t shape, consumer;
};

static uint64_t last_number; /* of an ID that was given */

static void add(struct collection *stream, const struct edit_of_both *c)
{
	char room[3][64];
	struct slice fields[4] = {S("name"), S("value"), slice_of(room[1], 0), S("twice")};
	fields[1] = slice_of(room[0], (size_t)snprintf(room[0], 64, "a value like others: %u", c->shape));
	fields[2] = slice_of(room[1], (size_t)snprintf(room[1], 64, "%s", c->shape % 5 ? "number" : "other"));
	stream_add(stream, id_of(c->number), fields, c->shape % 7 ? 2 : 1);
}

static struct stream_consumer *consumer_of(struct collection *stream, struct stream_group *group, uint32_t number)
{
	char name[8];
	struct slice text = slice_of(name, (size_t)snprintf(name, sizeof(name), "c%u", number));
	struct stream_consumer *consumer = group_consumer(group, text);
	return consumer ? consumer : consumer_create(stream, group, text, 5);
}

static void deliver(struct collection *stream, struct stream_group *group, const struct edit_of_both *c)
{
	struct stream_walk walk;
	struct stream_id from = group->last;
	(void)stream_id_increment(&from);
	stream_walk(stream->object, from, STREAM_ID_MAX, false, &walk);
	uint64_t n = stream_count(&walk, c->n);
	if (n > 0)
		group_deliver(stream, group, consumer_of(stream, group, c->consumer), &walk, (uint32_t)n,
		              c->shape % 4 > 0, 100 + c->shape);
}

static void claim(struct collection *stream, struct stream_group *group, const struct edit_of_both *c)
{
	struct stream_entry entry;
	if (stream_find(stream->object, id_of(c->number), &entry))
		group_claim(stream, group, consumer_of(stream, group, c->consumer), entry.id, 300, c->shape);
	else
		(void)group_acknowledge(stream, group, id_of(c->number));
}

static void regroup(struct collection *stream, struct stream_group *group, const struct edit_of_both *c)
{
	if (group && c->shape % 3 == 0)
		group_destroy(stream, group);
	else if (group)
		group_set(stream, group, id_of(c->number), c->shape % 2 ? 7 : ENTRIES_READ_UNKNOWN);
	else
		group_create(stream, group_name, id_of(c->number), c->shape % 2 ? 3 : ENTRIES_READ_UNKNOWN);
}

static void set(struct collection *stream, const struct edit_of_both *c)
{
	struct stream_facts facts;
	struct stream_id last;
	stream_facts(stream->object, &facts);
	if (!stream_last_entry(stream->object, &last) || c->shape % 2)
		last = facts.last;
	stream_set(stream, last, facts.added + c->shape, facts.max_deleted);
}

static void change(struct shard *there, const struct edit_of_both *c)
{
	struct collection stream = stream_in(there);
	struct stream_group *group = stream.object ? stream_group(stream.object, group_name) : NULL;
	if (!stream.object && c->what != ADD)
		return;
	switch (c->what) {
	case ADD:
		add(&stream, c);
		break;
	case DELETE:
		(void)stream_delete(&stream, id_of(c->number));
		break;
	case TRIM_LENGTH:
		(void)stream_trim(&stream, &(struct stream_trim){.length = c->n});
		break;
	case TRIM_BLOCKS:
	case TRIM_ID:
		(void)stream_trim(&stream, &(struct stream_trim){.by_id = true, .least = id_of(c->number)});
		break;
	case SET:
		set(&stream, c);
		break;
	case DELIVER:
		if (group)
			deliver(&stream, group, c);
		break;
	case REPEAT:
		if (group)
			group_repeat(&stream, group, consumer_of(&stream, group, c->consumer), id_of(c->number), c->n,
			             200 + c->shape);
		break;
	case CLAIM:
		if (group)
			claim(&stream, group, c);
		break;
	case ACKNOWLEDGE:
		if (group)
			(void)group_acknowledge(&stream, group, id_of(c->number));
		break;
	default:
		regroup(&stream, group, c);
	}
	(void)collection_close(&stream);
}

/* What a call would ask for. */
static struct reach reach_of(const struct edit_of_both *c)
{
	struct reach reach = reach_none;
	switch (c->what) {
	case DELETE:
	case TRIM_ID:
	case CLAIM:
		reach_add_key(&reach, stream_key(id_of(c->number)));
		return reach;
	case TRIM_LENGTH:
		return c->n ? reach_range(-(int64_t)c->n, -(int64_t)c->n) : reach_none;
	case SET:
		return reach_range(-1, -1);
	case DELIVER:
		return stream_reach_group(STREAM_REACH_UNREAD, group_name, id_of(0), c->n);
	case REPEAT:
		return stream_reach_group(STREAM_REACH_PENDING, group_name, id_of(c->number), UINT64_MAX);
	default:
		return reach_none;
	}
}

/* Where blocks end is another matter in the twin: it loses what went. */
static void trim_blocks(struct edit_of_both *c)
{
	struct collection stream = stream_in(shard);
	struct stream_facts facts;
	(void)stream_trim(&stream, &(struct stream_trim){.length = c->n, .whole_blocks = true, .limit = c->shape % 3 * 20});
	stream_facts(stream.object, &facts);
	struct stream_id first = facts.length ? facts.first : STREAM_ID_MAX;
	stream = stream_in(twins);
	(void)stream_trim(&stream, &(struct stream_trim){.by_id = true, .least = first});
}

static void change_both(void)
{
	const struct object *object = stream_in(shard).object;
	uint64_t count = object ? collection_count(object) : 0;
	struct edit_of_both c = {.what = roll(&dice, WHATS),
	                         .number = last_number - roll(&dice, 2 * (uint32_t)count + 2) % (last_number + 1),
	                         .n = roll(&dice, 30),
	                         .shape = roll(&dice, 50),
	                         .consumer = roll(&dice, CONSUMERS)};
	if (count < 40 || roll(&dice, 2))
		c.what = ADD;
	if (c.what == ADD)
		c.number = last_number += 1 + roll(&dice, 20) / 19;
	if (c.what == TRIM_LENGTH || c.what == TRIM_BLOCKS)
		c.n = count > LENGTH_MAX ? roll(&dice, LENGTH_MAX) : count - roll(&dice, 10);
	if (c.what == TRIM_ID && count <= LENGTH_MAX)
		c.number = last_number > count ? last_number - count : 0;
	struct reach reach = reach_of(&c);
	if (object)
		fetch(shard, stream_in(shard).object, reach);
	if (c.what == TRIM_BLOCKS && object) {
		trim_blocks(&c);
	} else {
		change(shard, &c);
		change(twins, &c);
	}
	(void)journal_flush(journal);
}

/* ---- what there is ---------------------------------------------------------------------------------- */

static void expect_entry(struct stream_entry *entry, struct stream_entry *twin)
{
	struct packed_element field[2], value[2];
	char scratch[2][PACKED_SCRATCH];
	cr_assert(stream_id_equal(entry->id, twin->id));
	cr_assert_eq(entry->n_fields, twin->n_fields);
	for (uint32_t i = 0; i < entry->n_fields; i++) {
		stream_field(entry, &field[0], &value[0]);
		stream_field(twin, &field[1], &value[1]);
		cr_assert(slice_equal(packed_text(&field[0], scratch[0]), packed_text(&field[1], scratch[1])));
		cr_assert(slice_equal(packed_text(&value[0], scratch[0]), packed_text(&value[1], scratch[1])));
	}
}

static void expect_walk(const struct object *object, const struct object *twin, struct stream_id from,
                        struct stream_id to, bool backwards, uint64_t limit)
{
	struct stream_walk walk, its;
	struct stream_entry entry, other;
	stream_walk(object, from, to, backwards, &walk);
	stream_walk(twin, from, to, backwards, &its);
	for (; limit > 0 && stream_next(&its, &other); limit--) {
		cr_assert(stream_next(&walk, &entry));
		expect_entry(&entry, &other);
	}
	cr_assert(limit == 0 || !stream_next(&walk, &entry));
}

static void expect_facts(const struct object *object, const struct object *twin)
{
	struct stream_facts facts, its;
	struct stream_id last = {0}, its_last = {0};
	stream_facts(object, &facts);
	stream_facts(twin, &its);
	facts.blocks = its.blocks;
	cr_assert_eq(memcmp(&facts, &its, sizeof(facts)), 0);
	cr_assert_eq(stream_last_entry(object, &last), stream_last_entry(twin, &its_last));
	cr_assert(stream_id_equal(last, its_last));
}

static void expect_group(const struct object *object, const struct object *twin)
{
	struct stream_group *group = stream_group(object, group_name), *its = stream_group(twin, group_name);
	struct ids_walk walk, other;
	const struct pending *pending, *its_pending;
	cr_assert_eq(group != NULL, its != NULL);
	if (!group)
		return;
	cr_assert(stream_id_equal(group->last, its->last));
	cr_assert_eq(group->entries_read, its->entries_read);
	cr_assert_eq(group->pending.count, its->pending.count);
	ids_walk(&group->pending, sizeof(*pending), (struct stream_id){0}, &walk);
	ids_walk(&its->pending, sizeof(*pending), (struct stream_id){0}, &other);
	while ((pending = ids_next(&walk, sizeof(*pending)))) {
		its_pending = ids_next(&other, sizeof(*pending));
		cr_assert_eq(memcmp(pending, its_pending, sizeof(*pending)), 0);
	}
}

static void expect_twin(struct shard *there)
{
	struct object *object = stream_in(there).object, *twin = stream_in(twins).object;
	cr_assert_eq(object != NULL, twin != NULL);
	if (!object)
		return;
	expect_facts(object, twin);
	expect_group(object, twin);
	fetch(there, object, reach_all);
	expect_walk(object, twin, (struct stream_id){0}, STREAM_ID_MAX, false, UINT64_MAX);
	expect_walk(object, twin, (struct stream_id){0}, STREAM_ID_MAX, true, UINT64_MAX);
}

/* What is reached is all that is needed. */
static void expect_range(void)
{
	struct object *object = stream_in(shard).object, *twin = stream_in(twins).object;
	uint64_t one = last_number - roll(&dice, roll(&dice, 2) ? 20 : 1000) % (last_number + 1);
	uint64_t limit = roll(&dice, 3) ? roll(&dice, 40) : UINT64_MAX;
	struct stream_id from = id_of(one), to = roll(&dice, 2) ? STREAM_ID_MAX : id_of(one + roll(&dice, 60));
	bool backwards = roll(&dice, 2);
	expect_facts(object, twin);
	fetch(shard, object, stream_reach(from, to, backwards, limit));
	expect_walk(object, twin, from, to, backwards, limit);
}

static void recover(struct slice image, uint64_t lsn)
{
	struct shard *recovered = recovering_shard();
	recovered->collections.stream_entries = roll(&dice, 2) ? 9 : 4;
	if (image.len > 0)
		cr_assert_eq(object_unpack(recovered, &key, image, EXPIRES_NEVER), OK);
	while (lsn++ < journal_log_->n) {
		struct record record = fake_record(journal_log_, lsn);
		cr_assert_eq(record_apply(recovered, &record), OK);
	}
	expect_twin(recovered);
	shard_verify(recovered);
	shard_free(recovered);
}

static void look(struct buf *image, uint64_t *lsn)
{
	const struct object *object = stream_in(shard).object;
	image->len = 0;
	if (object)
		object_pack(object, image);
	*lsn = journal_log_->n;
}

Test(cold_stream, streams_are_what_they_were_in_memory_and_in_the_log, .timeout = 240)
{
	char name[NAME_MAX_SIZE];
	struct buf image = {0};
	uint64_t lsn = 0;
	key = key_numbered(0, NULL, 1, name);
	world_start();
	twins = shard_new(NULL, SEED);
	shard->collections.stream_entries = 9;
	for (uint32_t i = 0; i < STEPS; i++) {
		struct object *object = stream_in(shard).object;
		uint32_t what = roll(&dice, 200), count = object ? (uint32_t)collection_count(object) : 0;
		if (count > 0 && what < 100)
			send(object, roll(&dice, 3) ? roll(&dice, count) : count - 1);
		else if (count > 0 && what < 110)
			expect_range();
		else if (what == 121)
			look(&image, &lsn);
		else if (what == 122)
			recover(buf_slice(&image), lsn);
		else
			change_both();
	}
	shard_verify(shard);
	recover(buf_slice(&image), lsn);
	expect_twin(shard);
	keyspace_delete(shard, &key);
	cr_assert_eq(shard->counters.cold_leaves, 0);
	cr_assert_eq(shard->counters.cold_bytes, 0);
	shard_free(twins);
	world_stop();
	buf_fini(&image);
	records_free();
}
