/* Images against a model: what an image shows, and a log replayed where the image does not cover it, is what
 * the keys were in the end, whatever happened while it was written. */
#include "storage/image/image.h"

#include "engine/io/sim_disk.h"
#include "engine/placement/placement.h"
#include "storage/image/format.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/list.h"
#include "tests/unit/storage/disk/fibers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEED = 7, SPACES = 3, NAMES = RARE(1500, 200), PARTITION = 21, WHY = 300 };

static const struct superblock superblock = {
        .format = 1, .id = "an id of sixteen", .hash_seed = SEED, .partitions = 64};

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
	uint32_t join_at;    /* the same: then all go but the last name, which is not changed any more */
	uint32_t deletes;    /* chance in 10 */
	uint32_t storms;     /* chance in 1000 that most of a keyspace goes, or comes, at once */
};

static struct key key_of_name(struct world *w, uint32_t space, uint32_t name)
{
	struct slice text = slice_from_str(w->names[name]);
	return (struct key){.name = text, .hash = key_hash(SEED, text), .keyspace = space, .slot = slot_of(text)};
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
	size_t len = draw_below(&w->chance, 1000) < w->huge ? draw_below(&w->chance, RARE(400 * 1000, 5000))
	                                                    : draw_below(&w->chance, 40);
	if (draw_below(&w->chance, 30) == 0)
		len = RARE(10 * 1000, 60) + draw_below(&w->chance, RARE(30 * 1000, 200));
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

/* False: it was the last element. */
static bool change_list(struct world *w, struct collection *list)
{
	uint64_t n = list->object ? collection_count(list->object) : 0;
	uint8_t bytes[200];
	size_t len = draw_below(&w->chance, sizeof(bytes));
	memset(bytes, (int)draw_below(&w->chance, 256), sizeof(bytes));
	if (n && draw_below(&w->chance, 4) == 0)
		list_cut(list, draw_below(&w->chance, n), 1);
	else if (n && draw_below(&w->chance, 3) == 0)
		list_set(list, draw_below(&w->chance, n), slice_of(bytes, len));
	else
		list_push(list, draw_below(&w->chance, 2) ? LIST_HEAD : LIST_TAIL, slice_of(bytes, len));
	return !collection_close(list);
}

/* Some of many leaves, which are written piece by piece. */
static void put_list(struct world *w, const struct key *key)
{
	struct collection list;
	keyspace_delete(w->shard, key);
	cr_assert_eq(collection_open(w->shard, key, OBJECT_LIST, FIND_QUIET, &list), OK);
	for (uint64_t n = 1 + draw_below(&w->chance, draw_below(&w->chance, RARE(300, 20)) ? 20 : RARE(20000, 200)); n;
	     n--)
		(void)change_list(w, &list);
}

static void change_one(struct world *w)
{
	uint32_t space = (uint32_t)draw_below(&w->chance, SPACES), name = (uint32_t)draw_below(&w->chance, NAMES);
	struct key key = key_of_name(w, space, name);
	struct object *object = keyspace_find(w->shard, &key, FIND_QUIET);
	struct collection list;
	if (object && draw_below(&w->chance, 10) < w->deletes) {
		keyspace_delete(w->shard, &key);
	} else if (object && object_type(object) == OBJECT_LIST && draw_below(&w->chance, 2) == 0) {
		cr_assert_eq(collection_open(w->shard, &key, OBJECT_LIST, FIND_QUIET, &list), OK);
		(void)change_list(w, &list);
	} else if (draw_below(&w->chance, 5) == 0) {
		put_list(w, &key);
	} else if (object && object_type(object) == OBJECT_STRING && draw_below(&w->chance, 4) == 0) {
		size_t len = string_length(object);
		memset(string_edit(w->shard, &key, len + 10) + len, 'e', 10);
	} else if (object && draw_below(&w->chance, 4) == 0) {
		(void)keyspace_expire(w->shard, &key, object, 1 + (int64_t)draw_below(&w->chance, 1000));
	} else {
		put(w, &key);
	}
	note(w, space, name);
}

/* Segments join, or split. */
static void storm(struct world *w)
{
	uint32_t space = (uint32_t)draw_below(&w->chance, SPACES), keep = 2 + (uint32_t)draw_below(&w->chance, 20);
	bool is_end = draw_below(&w->chance, 2);
	for (uint32_t name = 0; name < NAMES; name++) {
		struct key key = key_of_name(w, space, name);
		if (name % keep == 0 || (keyspace_find(w->shard, &key, FIND_QUIET) != NULL) != is_end)
			continue;
		if (is_end)
			keyspace_delete(w->shard, &key);
		else
			string_put(w->shard, &key, key.name, EXPIRES_NEVER);
		note(w, space, name);
	}
}

static void change_some(struct world *w, uint32_t most)
{
	if (draw_below(&w->chance, 5) == 0)
		w->deletes = (uint32_t)draw_below(&w->chance, 10); /* grows or shrinks for a while */
	if (draw_below(&w->chance, 1000) < w->storms)
		storm(w);
	for (uint64_t n = draw_below(&w->chance, most + 1); n; n--)
		change_one(w);
}

static uint64_t world_lsn(void *arg) { return ((struct world *)arg)->lsn; }

static void delete_all_but_last(struct world *w)
{
	for (uint32_t name = 0; name + 1 < NAMES; name++) {
		struct key key = key_of_name(w, 0, name);
		if (keyspace_delete(w->shard, &key))
			note(w, 0, name);
	}
}

static bool world_pause(void *arg, size_t bytes)
{
	struct world *w = arg;
	if (++w->pauses == w->join_at)
		delete_all_but_last(w);
	change_some(w, w->changes);
	return w->pauses != w->give_up_at;
}

/* Larger than a fiber's stack. */
static struct world *world_new(struct core *core, uint64_t seed)
{
	struct world *w = memory_zalloc(sizeof(*w));
	w->core = core;
	w->chance.state = seed;
	w->shard = shard_new(NULL, SEED);
	w->deletes = 3;
	name_keys(w);
	return w;
}

static void world_free(struct world *w)
{
	struct model_record *records = (struct model_record *)(void *)w->log.ptr;
	for (size_t i = 0; i < w->log.len / sizeof(*records); i++)
		buf_fini(&records[i].value);
	buf_fini(&w->log);
	cr_assert_eq(w->shard->counters.lent, 0);
	shard_verify(w->shard);
	shard_free(w->shard);
	memory_free(w);
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

/* An image shows exactly what the records that it covers have made, no more and no less. */
static void expect_exact(struct world *w, struct shard *shard, const struct image_cover *cover)
{
	const struct model_record **last = memory_zalloc(SPACES * NAMES * sizeof(struct model_record *));
	const struct model_record *records = (const struct model_record *)(const void *)w->log.ptr;
	for (size_t i = 0; i < w->log.len / sizeof(*records); i++) {
		struct key key = key_of_name(w, records[i].space, records[i].name);
		if (image_covers(cover, key.keyspace, key_position(key.hash), records[i].lsn))
			last[records[i].space * NAMES + records[i].name] = &records[i];
	}
	for (uint32_t i = 0; i < SPACES * NAMES; i++) {
		struct key key = key_of_name(w, i / NAMES, i % NAMES);
		struct object *is = keyspace_find(shard, &key, FIND_QUIET);
		cr_assert_eq(is != NULL, last[i] && last[i]->is_put, "%s in %u", w->names[i % NAMES], i / NAMES);
		if (!is)
			continue;
		struct buf packed = {0};
		object_pack(is, &packed);
		cr_assert(slice_equal(buf_slice(&packed), buf_slice(&last[i]->value)));
		cr_assert_eq(object_expires_ms(is), last[i]->expires_ms);
		buf_fini(&packed);
	}
	memory_free(last);
}

static void make_folders(struct core *core)
{
	cr_assert_eq(dir_make(core, "data"), 0);
	cr_assert_eq(dir_make(core, "data/image"), 0);
}

enum { NUMBER = 3 };

/* Loads the image, and expects it to be right; then replays what it lacks, and expects all to be right. */
static void expect_image(struct world *w, const struct image_written *written)
{
	struct shard *shard = shard_new(NULL, SEED);
	struct image_cover *cover;
	uint64_t begin_lsn;
	cr_assert_eq(load_image(w->core, shard, NUMBER, &cover, &begin_lsn), written->entries);
	cr_assert_eq(begin_lsn, written->begin_lsn);
	expect_exact(w, shard, cover);
	replay(w, shard, cover, begin_lsn);
	expect_same(w, shard);
	image_cover_free(cover);
	shard_free(shard);
}

static int write_image(struct world *w, struct image_written *written)
{
	static const uint32_t spaces[] = {2, 0, 1, 0};
	struct image_source source = {.shard = w->shard, .lsn = world_lsn, .arg = w, .pause = world_pause};
	return image_write(w->core, "data", &superblock, NUMBER, PARTITION, &source, spaces, 4, written);
}

static void tell_fuzzy(struct core *core, void *arg)
{
	struct world *w = world_new(core, *(uint64_t *)arg);
	make_folders(core);
	w->huge = draw_below(&w->chance, 3) ? 0 : 5;
	w->changes = (uint32_t)draw_below(&w->chance, 60);
	w->storms = draw_below(&w->chance, 2) ? 0 : 100;
	change_some(w, 8 * NAMES);
	struct image_written written;
	cr_assert_eq(write_image(w, &written), 0);
	cr_assert_leq(written.begin_lsn, written.end_lsn + 1);
	cr_assert_leq(written.end_lsn, w->lsn);
	change_some(w, 100);
	expect_image(w, &written);
	world_free(w);
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
	for (uint64_t seed = 0; seed < RARE(100, 30); seed++)
		in_fresh_world(seed, tell_fuzzy, &seed);
}

/* ---- single cases ----------------------------------------------------------------------- */

static void tell_empty(struct core *core, void *arg)
{
	struct world *w = world_new(core, 1);
	make_folders(core);
	w->lsn = 17;
	struct image_written written;
	cr_assert_eq(write_image(w, &written), 0);
	cr_assert_eq(written.entries, 0);
	cr_assert_eq(written.begin_lsn, 18);
	cr_assert_eq(written.end_lsn, 17);
	expect_image(w, &written);
	struct shard *shard = shard_new(NULL, SEED);
	struct image_cover *cover;
	uint64_t begin_lsn;
	cr_assert_eq(load_image(core, shard, NUMBER, &cover, &begin_lsn), 0);
	for (uint64_t position = 0; position <= UINT64_MAX - UINT64_MAX / 7; position += UINT64_MAX / 7) {
		cr_assert(image_covers(cover, 1, position, 17));
		cr_assert_not(image_covers(cover, 1, position, 18));
		cr_assert_not(image_covers(cover, 9, position, 1));
		cr_assert_not(image_covers(NULL, 1, position, 1));
	}
	image_cover_free(cover);
	shard_free(shard);
	world_free(w);
}

Test(image, of_nothing_covers_everything) { in_fresh_world(1, tell_empty, NULL); }

/* A value of many pieces, replaced, changed and deleted while it is written. */
static void tell_huge(struct core *core, void *arg)
{
	struct world *w = world_new(core, 2);
	make_folders(core);
	w->changes = 3;
	struct buf bytes = {0};
	for (uint32_t i = 0; i < RARE(3 * 1000 * 1000, 30 * 1000); i++)
		buf_byte(&bytes, (uint8_t)(i * 7 + i / 300));
	for (uint32_t name = 0; name < 9; name++) {
		struct key key = key_of_name(w, name % SPACES, name);
		string_put(w->shard, &key, slice_sub(buf_slice(&bytes), name, bytes.len - name * 1000), 500 + name);
		note(w, name % SPACES, name);
	}
	change_some(w, 20);
	struct image_written written;
	cr_assert_eq(write_image(w, &written), 0);
	cr_assert_gt(w->pauses, RARE(300, 50));
	expect_image(w, &written);
	buf_fini(&bytes);
	world_free(w);
}

Test(image, has_huge_values_as_they_were) { in_fresh_world(2, tell_huge, NULL); }

static void tell_give_up(struct core *core, void *arg)
{
	struct world *w = world_new(core, 3);
	make_folders(core);
	w->huge = 20;
	change_some(w, 8 * NAMES);
	for (w->give_up_at = 1; w->give_up_at < 40; w->give_up_at++) {
		struct image_written written;
		w->pauses = 0;
		cr_assert_eq(write_image(w, &written), -ECANCELED);
		cr_assert_eq(w->shard->counters.lent, 0);
		struct buf names = {0};
		cr_assert_eq(dir_list(core, "data/image", &names), 0);
		cr_assert_eq(names.len, 0);
		buf_fini(&names);
	}
	world_free(w);
}

Test(image, that_was_given_up_leaves_nothing) { in_fresh_world(3, tell_give_up, NULL); }

enum { ROWS = 300 };

static void tell_rows(struct core *core, void *arg)
{
	static struct slice names[ROWS], values[ROWS];
	static uint8_t bytes[200 * 1000];
	static char texts[ROWS][16];
	memset(bytes, 'v', sizeof(bytes));
	for (int i = 0; i < ROWS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "row %d", i);
		names[i] = slice_from_str(texts[i]);
		values[i] = slice_of(bytes, i % 50 == 7 ? sizeof(bytes) - (size_t)i : (size_t)i);
	}
	make_folders(core);
	struct image_written written;
	for (uint32_t n = 0; n <= ROWS; n += ROWS / 2) {
		cr_assert_eq(image_write_rows(core, "data", &superblock, 4, 99, names, values, n, &written), 0);
		cr_assert_eq(written.entries, n);
		struct image_reader *reader;
		char why[WHY];
		const struct image_entry *entries;
		uint32_t got, seen = 0;
		uint8_t has[ROWS] = {0};
		cr_assert_eq(image_open(core, "data", &superblock, 4, PARTITION_SYSTEM, &reader, why, WHY), 0);
		while (image_next(reader, &entries, &got, why, WHY) == 1)
			for (uint32_t i = 0; i < got; i++, seen++) {
				int row = atoi((const char *)entries[i].key.ptr + 4);
				cr_assert(slice_equal(entries[i].key, names[row]));
				cr_assert(slice_equal(entries[i].value, values[row]));
				cr_assert_eq(has[row]++, 0);
			}
		cr_assert_eq(seen, n);
		cr_assert_eq(image_begin_lsn(reader), 100);
		struct image_cover *cover = image_take_cover(reader);
		image_close(reader);
		cr_assert(image_covers(cover, 0, 12345, 99));
		cr_assert_not(image_covers(cover, 0, 12345, 100));
		image_cover_free(cover);
	}
}

Test(image, of_rows_has_them_all) { in_fresh_world(4, tell_rows, NULL); }

/* The real back ends: direct writes into a real file. */
static void tell_real(struct core *core, void *arg)
{
	for (uint64_t seed = 1000; seed < 1003; seed++)
		tell_fuzzy(core, &seed);
	char path[100];
	image_path("data", PARTITION, NUMBER, path, sizeof(path));
	cr_assert_eq(file_remove(core, path), 0);
}

static void on_back_end(enum io_choice choice)
{
	char folder[64];
	snprintf(folder, sizeof(folder), "image_test.%d", getpid());
	cr_assert_eq(mkdir(folder, 0700), 0);
	cr_assert_eq(chdir(folder), 0);
	tell_for_real(choice, tell_real, NULL);
	cr_assert_eq(rmdir("data/image"), 0);
	cr_assert_eq(rmdir("data"), 0);
	cr_assert_eq(chdir(".."), 0);
	cr_assert_eq(rmdir(folder), 0);
}

Test(image, is_the_same_on_the_ring) { on_back_end(IO_URING); }
Test(image, is_the_same_on_the_pool) { on_back_end(IO_EPOLL); }

/* ---- damage ----------------------------------------------------------------------------- */

/* Reads the whole image: 0, or what it was refused for. */
static int drain(struct core *core, const struct superblock *with, char *why)
{
	struct image_reader *reader;
	const struct image_entry *entries;
	uint32_t n;
	int result = image_open(core, "data", with, NUMBER, PARTITION, &reader, why, WHY);
	if (result < 0)
		return result;
	do
		result = image_next(reader, &entries, &n, why, WHY);
	while (result > 0);
	if (result < 0) /* and it stays so */
		cr_assert_eq(image_next(reader, &entries, &n, why, WHY), -EBADMSG);
	image_close(reader);
	return result;
}

struct image_bytes {
	uint8_t *ptr;
	size_t size;
};

/* Through the page cache: any length will do. */
static struct image_bytes read_bytes(struct core *core)
{
	char path[100];
	image_path("data", PARTITION, NUMBER, path, sizeof(path));
	int fd = file_open(core, path, IO_OPEN_READ, 0);
	struct image_bytes bytes = {.size = (size_t)file_size(core, fd)};
	bytes.ptr = file_buffer_new(bytes.size + 2 * IMAGE_PAGE);
	cr_assert_eq(file_read(core, fd, bytes.ptr, bytes.size, 0), (int64_t)bytes.size);
	file_close(core, fd);
	return bytes;
}

static void write_bytes(struct core *core, const uint8_t *from, size_t size)
{
	char path[100];
	image_path("data", PARTITION, NUMBER, path, sizeof(path));
	int fd = file_open(core, path, IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
	cr_assert_eq(file_write(core, fd, from, size, 0, 0), 0);
	file_close(core, fd);
}

static void rewrite_bytes(struct core *core, const uint8_t *from, size_t size)
{
	char path[100];
	image_path("data", PARTITION, NUMBER, path, sizeof(path));
	cr_assert_eq(file_remove(core, path), 0);
	write_bytes(core, from, size);
}

static void make_small_image(struct core *core, uint64_t seed)
{
	struct world *w = world_new(core, seed);
	w->changes = 5;
	change_some(w, RARE(500, 40));
	struct image_written written;
	cr_assert_eq(write_image(w, &written), 0);
	world_free(w);
}

static void flip_one(struct core *core, struct image_bytes bytes, size_t bit)
{
	char why[WHY] = "";
	bytes.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
	write_bytes(core, bytes.ptr, bytes.size);
	int result = drain(core, &superblock, why);
	cr_assert_eq(result, -EBADMSG, "bit %zu: %d", bit, result);
	cr_assert_neq(why[0], 0);
	bytes.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void tell_flips(struct core *core, void *arg)
{
	struct chance chance = {5};
	make_folders(core);
	make_small_image(core, 5);
	struct image_bytes bytes = read_bytes(core);
	for (size_t bit = 0; bit < 8 * 80; bit++)
		flip_one(core, bytes, bit);
	for (size_t bit = 8 * IMAGE_PAGE; bit < 8 * (IMAGE_PAGE + 80); bit++)
		flip_one(core, bytes, bit);
	for (size_t bit = 8 * (bytes.size - 200); bit < 8 * bytes.size; bit++)
		flip_one(core, bytes, bit);
	for (int i = 0; i < RARE(6000, 500); i++)
		flip_one(core, bytes, draw_below(&chance, 8 * bytes.size));
	char why[WHY];
	write_bytes(core, bytes.ptr, bytes.size);
	cr_assert_eq(drain(core, &superblock, why), 0);
	file_buffer_free(bytes.ptr);
}

Test(image, with_any_bit_flipped_is_refused, .timeout = 120) { in_fresh_world(5, tell_flips, NULL); }

static void tell_sizes(struct core *core, void *arg)
{
	make_folders(core);
	make_small_image(core, 6);
	struct image_bytes bytes = read_bytes(core);
	char why[WHY];
	for (size_t size = 0; size < bytes.size; size += size < IMAGE_PAGE || size % 7 ? 512 : 1024) {
		rewrite_bytes(core, bytes.ptr, size);
		cr_assert_eq(drain(core, &superblock, why), -EBADMSG);
	}
	for (size_t more = 1; more <= 2 * IMAGE_PAGE; more += 511) {
		rewrite_bytes(core, bytes.ptr, bytes.size + more);
		cr_assert_eq(drain(core, &superblock, why), -EBADMSG);
	}
	rewrite_bytes(core, bytes.ptr, bytes.size);
	cr_assert_eq(drain(core, &superblock, why), 0);
	struct superblock other = superblock;
	other.id[0] ^= 1;
	cr_assert_eq(drain(core, &other, why), -EBADMSG);
	struct image_reader *reader;
	cr_assert_eq(image_open(core, "data", &superblock, NUMBER, PARTITION + 1, &reader, why, WHY), -ENOENT);
	file_buffer_free(bytes.ptr);
}

Test(image, of_another_size_is_refused, .timeout = 120) { in_fresh_world(6, tell_sizes, NULL); }

/* ---- forgery: what a bug or a misdirected write would leave, all checksums right ---------------- */

enum { BLOCKS_MAX = 1000 };

struct blocks {
	size_t at[BLOCKS_MAX];
	uint32_t n; /* the foot is the last */
};

static size_t block_size(const uint8_t *at)
{
	struct image_block block;
	memcpy(&block, at, sizeof(block));
	return sizeof(block) + block.stored_length;
}

static struct blocks *find_blocks(const uint8_t *bytes)
{
	struct blocks *blocks = memory_zalloc(sizeof(*blocks));
	for (size_t at = IMAGE_PAGE;; at += block_size(bytes + at)) {
		cr_assert_lt(blocks->n, BLOCKS_MAX);
		blocks->at[blocks->n++] = at;
		if (bytes[at + offsetof(struct image_block, kind)] == IMAGE_FOOT)
			return blocks;
	}
}

/* The blocks in another order, numbered anew; as the blocks say, or with the foot's counts made right too. */
static int drain_forged(struct core *core, struct image_bytes bytes, const struct blocks *blocks, const uint32_t *order,
                        uint32_t n, char *why)
{
	struct buf forged = {0};
	buf_append(&forged, slice_of(bytes.ptr, IMAGE_PAGE));
	struct image_foot foot;
	memcpy(&foot, bytes.ptr + blocks->at[blocks->n - 1] + sizeof(struct image_block), sizeof(foot));
	foot.blocks = foot.entries = foot.raw_bytes = 0; /* a forger who knows all but the chain */
	for (uint32_t i = 0; i <= n; i++) {
		const uint8_t *at = bytes.ptr + blocks->at[i == n ? blocks->n - 1 : order[i]];
		struct image_block block;
		memcpy(&block, at, sizeof(block));
		const uint8_t *body = i == n ? (const uint8_t *)&foot : at + sizeof(block);
		block.index = i;
		if (i == n)
			foot.file_size =
			        (forged.len + sizeof(block) + sizeof(foot) + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE;
		block.crc = image_block_crc(NUMBER, &block, body);
		foot.blocks += i < n;
		foot.entries += block.entries;
		foot.raw_bytes += i < n ? block.raw_length : 0;
		buf_append(&forged, slice_of(&block, sizeof(block)));
		buf_append(&forged, slice_of(body, block.stored_length));
	}
	while (forged.len % IMAGE_PAGE)
		buf_byte(&forged, 0);
	rewrite_bytes(core, forged.ptr, forged.len);
	buf_fini(&forged);
	return drain(core, &superblock, why);
}

static void tell_forgery(struct core *core, void *arg)
{
	struct chance chance = {7};
	make_folders(core);
	make_small_image(core, 7);
	struct image_bytes bytes = read_bytes(core);
	struct blocks *blocks = find_blocks(bytes.ptr);
	uint32_t n = blocks->n - 1, order[BLOCKS_MAX + 1];
	char why[WHY];
	cr_assert_geq(n, 3);
	for (uint32_t gone = 0; gone < n; gone++) {
		for (uint32_t i = 0; i + 1 < n; i++)
			order[i] = i < gone ? i : i + 1;
		cr_assert_eq(drain_forged(core, bytes, blocks, order, n - 1, why), -EBADMSG);
		for (uint32_t i = 0; i <= n; i++)
			order[i] = i <= gone ? i : i - 1;
		cr_assert_eq(drain_forged(core, bytes, blocks, order, n + 1, why), -EBADMSG);
	}
	for (int times = 0; times < 100; times++) {
		for (uint32_t i = 0; i < n; i++)
			order[i] = i;
		uint32_t a = (uint32_t)draw_below(&chance, n), b = (uint32_t)draw_below(&chance, n);
		order[a] = b;
		order[b] = a;
		cr_assert_eq(drain_forged(core, bytes, blocks, order, n, why), a == b ? 0 : -EBADMSG);
	}
	memory_free(blocks);
	file_buffer_free(bytes.ptr);
}

Test(image, with_blocks_missing_doubled_or_swapped_is_refused) { in_fresh_world(7, tell_forgery, NULL); }

/* ---- joins: when segments have joined, a scan goes back a little, to what was shown already ------- */

enum { COARSE = 52 }; /* bits of a position below a place in a table of one segment */

/* Renames the last name to one whose position lies between `position` and the coarse place that it is in. */
static bool name_before(struct world *w, uint64_t position)
{
	uint64_t from = position >> COARSE << COARSE;
	char tag[20];
	sscanf(w->names[0], "{%19[^}]}", tag);
	for (uint32_t i = 0; i < 100 * 1000 && from < position; i++) {
		snprintf(w->names[NAMES - 1], sizeof(w->names[0]), "{%s}near %u", tag, i);
		struct key key = key_of_name(w, 0, NAMES - 1);
		if (key_position(key.hash) >= from && key_position(key.hash) < position)
			return true;
	}
	return false;
}

static void fill_space(struct world *w, uint32_t names)
{
	for (uint32_t name = 0; name < names; name++) {
		struct key key = key_of_name(w, 0, name);
		string_put(w->shard, &key, key.name, EXPIRES_NEVER);
		note(w, 0, name);
	}
}

/* An image in the midst of which all but the last name goes; it begins a range at `position`, or would without
 * that name. */
static void join_at(struct core *core, uint64_t position, uint32_t pauses)
{
	struct world *w = world_new(core, 8);
	if (name_before(w, position)) {
		fill_space(w, NAMES);
		w->join_at = pauses;
		struct image_written written;
		cr_assert_eq(write_image(w, &written), 0);
		expect_image(w, &written);
	}
	world_free(w);
}

static void tell_joins(struct core *core, void *arg)
{
	make_folders(core);
	struct world *w = world_new(core, 8);
	fill_space(w, NAMES - 1);
	struct image_written written;
	cr_assert_eq(write_image(w, &written), 0);
	struct image_bytes bytes = read_bytes(core);
	struct blocks *blocks = find_blocks(bytes.ptr);
	for (uint32_t i = 1; i < blocks->n; i++) {
		struct image_block block;
		memcpy(&block, bytes.ptr + blocks->at[i], sizeof(block));
		for (uint32_t pauses = i; pauses < i + 2 && block.space == 0; pauses++)
			join_at(core, block.from, pauses);
	}
	memory_free(blocks);
	file_buffer_free(bytes.ptr);
	world_free(w);
}

Test(image, shows_no_key_again_where_segments_join) { in_fresh_world(8, tell_joins, NULL); }

/* ---- disks that fail, and crashes -------------------------------------------------------------- */

enum { DISK_BYTES = 256 * 1024 * 1024 };

static bool on_disk(struct sim_disk *disk, uint64_t seed, void (*tell)(struct core *, void *), void *arg)
{
	struct sim *sim = sim_new(seed, &faults);
	sim_use_disk(sim, disk);
	bool ended = tell_in_world(sim, tell, arg);
	if (ended)
		sim_free(sim);
	return ended;
}

/* Also shared with a process that outlives the power. */
struct attempt {
	struct sim_disk *disk;
	const struct sim_disk_faults *faults;
	uint64_t seed;
	int written;
	int read;
	struct image_written image;
};

static void tell_attempt(struct core *core, void *arg)
{
	struct attempt *a = arg;
	struct world *w = world_new(core, a->seed);
	make_folders(core);
	cr_assert_eq(dir_sync(core, "data", dir_mark(core)) | dir_sync(core, ".", dir_mark(core)), 0);
	w->changes = 5;
	w->huge = 3;
	change_some(w, RARE(1500, 60));
	sim_disk_set_faults(a->disk, a->faults);
	a->written = 1;
	a->written = write_image(w, &a->image);
	char why[WHY];
	a->read = a->written == 0 ? drain(core, &superblock, why) : 0;
	sim_disk_set_faults(a->disk, &(struct sim_disk_faults){0});
	if (a->written == 0 && a->read == 0 && drain(core, &superblock, why) == 0)
		expect_image(w, &a->image);
	world_free(w);
}

/* Whatever the disk does wrong: an error, a refusal, or an image that is right. */
Test(image, is_right_or_refused_on_a_bad_disk, .timeout = 120)
{
	static const struct sim_disk_faults bad[] = {
	        {.write_fails = 100},
	        {.sync_fails = 300, .name_fails = 100},
	        {.write_short = 100, .read_short = 300},
	        {.write_lost = 100},
	        {.write_misdirected = 100},
	        {.flip_at_rest = 30},
	        {.flip_on_read = 100, .read_fails = 20},
	        {.delay_ns = 100 * 1000, .slow = 100, .slow_ns = 10 * 1000 * 1000},
	};
	uint32_t failed = 0, refused = 0, whole = 0;
	for (uint64_t seed = 0; seed < 10 * array_len(bad); seed++) {
		struct attempt a = {
		        .disk = sim_disk_new(DISK_BYTES), .faults = &bad[seed % array_len(bad)], .seed = seed};
		cr_assert(on_disk(a.disk, seed, tell_attempt, &a));
		failed += a.written < 0;
		refused += a.written == 0 && a.read < 0;
		whole += a.written == 0 && a.read == 0;
		sim_disk_free(a.disk);
	}
	cr_assert_gt(failed, 5);
	cr_assert_gt(refused, 5);
	cr_assert_gt(whole, 20);
}

static void tell_full(struct core *core, void *arg)
{
	struct attempt *a = arg;
	tell_attempt(core, arg);
	cr_assert_eq(a->written, -ENOSPC);
	struct buf names = {0};
	cr_assert_eq(dir_list(core, "data/image", &names), 0);
	cr_assert_eq(names.len, 0);
	buf_fini(&names);
}

Test(image, for_which_there_is_no_room_is_removed)
{
	const struct sim_disk_faults full = {.room_bytes = 8192};
	struct attempt a = {.disk = sim_disk_new(DISK_BYTES), .faults = &full, .seed = 3};
	cr_assert(on_disk(a.disk, 3, tell_full, &a));
	sim_disk_free(a.disk);
}

static void tell_drain(struct core *core, void *arg)
{
	struct attempt *a = arg;
	char why[WHY];
	a->read = drain(core, &superblock, why);
}

/* What was said to be written is there; what was not does not hinder the next attempt of that number. */
Test(image, outlives_a_crash_once_it_is_written, .timeout = 120)
{
	static const struct sim_disk_faults late = {.delay_ns = 100 * 1000};
	struct attempt *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct chance chance = {13};
	uint32_t written = 0, cut_off = 0;
	for (int times = 0; times < 60; times++) {
		*a = (struct attempt){.disk = sim_disk_new(DISK_BYTES), .faults = &late, .seed = (uint64_t)times};
		sim_disk_crash_after(a->disk, 8 + draw_below(&chance, 40));
		pid_t child = fork();
		if (child == 0) {
			(void)on_disk(a->disk, 5, tell_attempt, a);
			_exit(0);
		}
		int status;
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert_eq(status, 0);
		sim_disk_crash(a->disk, draw(&chance));
		sim_disk_crash_after(a->disk, 0);
		cr_assert(on_disk(a->disk, 6, tell_drain, a));
		if (a->written == 0)
			cr_assert_eq(a->read, 0);
		else
			cr_assert(a->read == 0 || a->read == -ENOENT || a->read == -EBADMSG);
		written += a->written == 0;
		cut_off += a->written != 0;
		a->faults = &(struct sim_disk_faults){0};
		cr_assert(on_disk(a->disk, 7, tell_attempt, a));
		cr_assert_eq(a->written | a->read, 0);
		sim_disk_free(a->disk);
	}
	cr_assert_gt(written, 10);
	cr_assert_gt(cut_off, 10);
}
