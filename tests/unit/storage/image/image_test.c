/* Images against a model: what an image shows, and a log replayed where the image does not cover it, is what
 * the keys were in the end, whatever happened while it was written. */
#include "storage/image/image.h"

#include "engine/placement/placement.h"
#include "storage/image/format.h"
#include "storage/keyspace/keyspace.h"
#include "tests/unit/storage/disk/fibers.h"

#include <errno.h>
#include <unistd.h>

enum { SEED = 7, SPACES = 3, NAMES = 400, PARTITION = 21, WHY = 300 };

static const struct superblock superblock = {.format = 1, .id = "an id of sixteen", .hash_seed = SEED, .partitions = 64};

/* ---- the model: a log with all that happened -------------------------------------------- */

struct model_record {
	uint64_t lsn;
	uint32_t space, name;
	int64_t expires_ms;
	bool is_put;
	struct buf value; /* packed */
};

struct world {
	struct core *core;
	struct chance chance;
	struct shard *shard;
	struct buf log; /* of struct model_record */
	uint64_t lsn;
	char names[NAMES][40];
	uint32_t huge;    /* chance in 1000 of a huge value */
	uint32_t changes; /* most between two slices */
	uint32_t pauses;
	uint32_t give_up_at; /* pauses; 0: never */
	uint32_t dice_deletes; /* in 10 */
};

static struct key key_of_name(struct world *w, uint32_t space, uint32_t name)
{
	struct slice text = slice_from_str(w->names[name]);
	return (struct key){
	        .name = text, .hash = key_hash(SEED, text), .keyspace = space, .slot = slot_of(text)};
}

static void name_keys(struct world *w)
{
	uint32_t n = 0;
	/* A tag of this partition. */
	char tag[20];
	for (uint32_t i = 0;; i++) {
		snprintf(tag, sizeof(tag), "t%u", i);
		if (partition_of(slot_of(slice_from_str(tag))) == PARTITION)
			break;
	}
	for (; n < NAMES; n++)
		snprintf(w->names[n], sizeof(w->names[n]), "{%s}%u", tag, n);
}

static void note(struct world *w, uint32_t space, uint32_t name)
{
	struct key key = key_of_name(w, space, name);
	struct object *object = keyspace_find(w->shard, &key, FIND_QUIET);
	struct model_record record = {.lsn = ++w->lsn, .space = space, .name = name, .is_put = object != NULL};
	if (object) {
		object_pack(object, &record.value);
		record.expires_ms = object_expires_ms(object);
	}
	buf_append(&w->log, slice_of(&record, sizeof(record)));
}

static void put(struct world *w, const struct key *key)
{
	size_t len = draw_below(&w->chance, 1000) < w->huge ? draw_below(&w->chance, 400 * 1000) : draw_below(&w->chance, 40);
	if (draw_below(&w->chance, 30) == 0)
		len = 10 * 1000 + draw_below(&w->chance, 30 * 1000);
	uint8_t *bytes = memory_alloc(len + 1);
	uint8_t base = (uint8_t)draw(&w->chance);
	bool random = draw_below(&w->chance, 2);
	for (size_t i = 0; i < len; i++)
		bytes[i] = random ? (uint8_t)draw(&w->chance) : (uint8_t)(base + i / 100);
	int64_t expires_ms = draw_below(&w->chance, 3) ? EXPIRES_NEVER : 1 + (int64_t)draw_below(&w->chance, 1000);
	if (draw_below(&w->chance, 5) == 0)
		string_put_integer(w->shard, key, (int64_t)draw(&w->chance), expires_ms);
	else
		string_put(w->shard, key, slice_of(bytes, len), expires_ms);
	memory_free(bytes);
}

static void change_one(struct world *w)
{
	uint32_t space = (uint32_t)draw_below(&w->chance, SPACES), name = (uint32_t)draw_below(&w->chance, NAMES);
	struct key key = key_of_name(w, space, name);
	struct object *object = keyspace_find(w->shard, &key, FIND_QUIET);
	if (object && draw_below(&w->chance, 10) < w->dice_deletes) {
		keyspace_delete(w->shard, &key);
	} else if (object && draw_below(&w->chance, 4) == 0) {
		size_t len = string_length(object);
		memset(string_edit(w->shard, &key, len + 10) + len, 'e', 10);
	} else if (object && draw_below(&w->chance, 4) == 0) {
		(void)keyspace_expire(w->shard, &key, object, 1 + (int64_t)draw_below(&w->chance, 1000));
	} else {
		put(w, &key);
	}
	note(w, space, name);
}

static void change_some(struct world *w, uint32_t most)
{
	if (draw_below(&w->chance, 5) == 0)
		w->dice_deletes = (uint32_t)draw_below(&w->chance, 10); /* grows or shrinks for a while */
	for (uint64_t n = draw_below(&w->chance, most + 1); n; n--)
		change_one(w);
}

static uint64_t world_lsn(void *arg) { return ((struct world *)arg)->lsn; }

static bool world_pause(void *arg, size_t bytes)
{
	struct world *w = arg;
	change_some(w, w->changes);
	return ++w->pauses != w->give_up_at;
}

static void world_init(struct world *w, struct core *core, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->core = core;
	w->chance.state = seed;
	w->shard = shard_new(NULL, SEED);
	w->shard->now_ms = 0;
	w->dice_deletes = 3;
	name_keys(w);
}

static void world_fini(struct world *w)
{
	struct model_record *records = (struct model_record *)(void *)w->log.ptr;
	for (size_t i = 0; i < w->log.len / sizeof(*records); i++)
		buf_fini(&records[i].value);
	buf_fini(&w->log);
	cr_assert_eq(w->shard->counters.lent, 0);
	shard_verify(w->shard);
	shard_free(w->shard);
}

/* ---- reading back ----------------------------------------------------------------------- */

static void load_entry(struct shard *shard, const struct image_entry *entry)
{
	struct key key = {.name = entry->key,
	                  .hash = key_hash(SEED, entry->key),
	                  .keyspace = entry->space,
	                  .slot = slot_of(entry->key)};
	cr_assert_eq(partition_of(key.slot), PARTITION);
	cr_assert_null(keyspace_find(shard, &key, FIND_QUIET), "a key is shown twice");
	cr_assert_eq(object_unpack(shard, &key, entry->value, entry->expires_ms), OK);
}

static uint64_t load_image(struct core *core, struct shard *shard, uint64_t number, struct image_cover **cover,
                           uint64_t *begin_lsn)
{
	char why[WHY];
	struct image_reader *reader;
	int result = image_open(core, "data", &superblock, number, PARTITION, &reader, why, sizeof(why));
	cr_assert_eq(result, 0, "%s", why);
	uint64_t count = 0;
	const struct image_entry *entries;
	uint32_t n;
	while ((result = image_next(reader, &entries, &n, why, sizeof(why))) > 0) {
		for (uint32_t i = 0; i < n; i++)
			load_entry(shard, &entries[i]);
		count += n;
	}
	cr_assert_eq(result, 0, "%s", why);
	*begin_lsn = image_begin_lsn(reader);
	*cover = image_take_cover(reader);
	image_close(reader);
	return count;
}

static void replay(struct world *w, struct shard *shard, const struct image_cover *cover, uint64_t begin_lsn)
{
	const struct model_record *records = (const struct model_record *)(void *)w->log.ptr;
	for (size_t i = 0; i < w->log.len / sizeof(*records); i++) {
		const struct model_record *record = &records[i];
		struct key key = key_of_name(w, record->space, record->name);
		if (record->lsn < begin_lsn || image_covers(cover, record->space, key_position(key.hash), record->lsn))
			continue;
		if (record->is_put)
			cr_assert_eq(object_unpack(shard, &key, buf_slice(&record->value), record->expires_ms), OK);
		else
			keyspace_delete(shard, &key);
	}
}

static void expect_same(struct world *w, struct shard *shard)
{
	for (uint32_t space = 0; space < SPACES; space++)
		for (uint32_t name = 0; name < NAMES; name++) {
			struct key key = key_of_name(w, space, name);
			struct object *is = keyspace_find(shard, &key, FIND_QUIET),
			              *should = keyspace_find(w->shard, &key, FIND_QUIET);
			cr_assert_eq(is == NULL, should == NULL, "%s in %u", w->names[name], space);
			if (!is)
				continue;
			struct buf a = {0}, b = {0};
			object_pack(is, &a);
			object_pack(should, &b);
			cr_assert(slice_equal(buf_slice(&a), buf_slice(&b)), "%s in %u", w->names[name], space);
			cr_assert_eq(object_expires_ms(is), object_expires_ms(should));
			buf_fini(&a);
			buf_fini(&b);
		}
}

/* What a record that the image covers would change is there already: an image may not show more or less. */
static void expect_exact(struct world *w, struct shard *shard, const struct image_cover *cover)
{
	struct model_record *records = (struct model_record *)(void *)w->log.ptr;
	for (uint32_t space = 0; space < SPACES; space++)
		for (uint32_t name = 0; name < NAMES; name++) {
			struct key key = key_of_name(w, space, name);
			struct model_record *last = NULL;
			for (size_t i = 0; i < w->log.len / sizeof(*records); i++)
				if (records[i].space == space && records[i].name == name &&
				    image_covers(cover, space, key_position(key.hash), records[i].lsn))
					last = &records[i];
			struct object *is = keyspace_find(shard, &key, FIND_QUIET);
			cr_assert_eq(is != NULL, last && last->is_put, "%s in %u", w->names[name], space);
			if (!is)
				continue;
			struct buf a = {0};
			object_pack(is, &a);
			cr_assert(slice_equal(buf_slice(&a), buf_slice(&last->value)));
			cr_assert_eq(object_expires_ms(is), last->expires_ms);
			buf_fini(&a);
		}
}

static void make_folders(struct core *core)
{
	cr_assert_eq(dir_make(core, "data"), 0);
	cr_assert_eq(dir_make(core, "data/image"), 0);
}

static struct image_source source_of(struct world *w)
{
	return (struct image_source){.shard = w->shard, .lsn = world_lsn, .arg = w, .pause = world_pause};
}

static void tell_fuzzy(struct core *core, void *arg)
{
	struct world w;
	uint64_t seed = *(uint64_t *)arg;
	world_init(&w, core, seed);
	make_folders(core);
	w.huge = draw_below(&w.chance, 3) ? 0 : 5;
	w.changes = (uint32_t)draw_below(&w.chance, 60);
	change_some(&w, 4 * NAMES);
	const uint32_t spaces[] = {2, 0, 1, 0};
	struct image_source source = source_of(&w);
	struct image_written written;
	uint64_t number = 1 + draw_below(&w.chance, 5);
	cr_assert_eq(image_write(core, "data", &superblock, number, PARTITION, &source, spaces, 4, &written), 0);
	uint64_t end_lsn = w.lsn;
	cr_assert_leq(written.begin_lsn, written.end_lsn + 1);
	cr_assert_leq(written.end_lsn, end_lsn);
	change_some(&w, 100);

	struct shard *shard = shard_new(NULL, SEED);
	struct image_cover *cover;
	uint64_t begin_lsn;
	cr_assert_eq(load_image(core, shard, number, &cover, &begin_lsn), written.entries);
	cr_assert_eq(begin_lsn, written.begin_lsn);
	expect_exact(&w, shard, cover);
	replay(&w, shard, cover, begin_lsn);
	expect_same(&w, shard);
	image_cover_free(cover);
	shard_free(shard);
	world_fini(&w);
}

static const struct sim_faults faults = {.clock_ns = 100, .delay_ns = 5000, .chunks = 2};

static void in_fresh_world(uint64_t seed, void (*tell)(struct core *, void *), void *arg)
{
	struct sim *sim = sim_new(seed, &faults);
	cr_assert(tell_in_world(sim, tell, arg));
	sim_free(sim);
}

Test(image, with_what_came_later_is_the_keyspace, .timeout = 120)
{
	for (uint64_t seed = 0; seed < 150; seed++)
		in_fresh_world(seed, tell_fuzzy, &seed);
}
