/* A list whose leaves leave and come back between changes: it is its twin that stays, and so is what recovery makes of
 * any image of it and the log behind that, whatever the image knows by pointers alone. */
#include "storage/keyspace/cold_leaf.h"

#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/list.h"
#include "tests/unit/storage/journal/away.h"

enum { STEPS = 30000, LENGTH_MAX = 1500 };

static struct dice dice = {1};
static struct shard *twins;
static struct key key;

/* ---- changes, of both ------------------------------------------------------------------------------ */

static struct collection list_in(struct shard *there)
{
	struct collection list;
	cr_assert_eq(collection_open(there, &key, OBJECT_LIST, FIND_QUIET, &list), OK);
	return list;
}

struct edit_of_both {
	uint32_t kind, at, n, value;
};

static void change(struct shard *there, const struct edit_of_both *c)
{
	char room[64];
	struct collection list = list_in(there);
	struct slice value = slice_of(room, (size_t)snprintf(room, sizeof(room), "a value like others: %u", c->value));
	switch (c->kind) {
	case 0:
	case 1:
		list_push(&list, c->kind ? LIST_HEAD : LIST_TAIL, value);
		break;
	case 2:
		list_set(&list, c->at, value);
		break;
	case 3:
		list_insert(&list, c->at, value);
		break;
	case 4:
		(void)list_cut_equal(&list, c->at % 2 ? LIST_HEAD : LIST_TAIL, 1 + c->n, value);
		break;
	default:
		list_cut(&list, c->at, c->n);
	}
	(void)collection_close(&list);
}

static void prepare(const struct edit_of_both *c)
{
	struct object *object = list_in(shard).object;
	if (!object || c->kind < 2)
		return;
	if (c->kind == 4)
		fetch(shard, object, reach_all);
	else
		fetch(shard, object, reach_places(c->at, c->at + c->n));
}

static void change_both(void)
{
	const struct object *object = list_in(shard).object;
	uint32_t count = object ? (uint32_t)collection_count(object) : 0;
	struct edit_of_both c = {.kind = roll(&dice, 9), .at = roll(&dice, count), .value = roll(&dice, 50)};
	if (count < 20)
		c.kind %= 2;
	if (c.kind >= 4)
		c.n = roll(&dice, count > LENGTH_MAX ? count : 6);
	if (c.kind == 6 || c.kind == 7)
		c.at = c.kind == 6 ? 0 : count - c.n;
	c.n = c.n < count - c.at || c.kind < 5 ? c.n : count - c.at;
	prepare(&c);
	change(shard, &c);
	change(twins, &c);
	(void)journal_flush(journal);
}

/* ---- what there is ---------------------------------------------------------------------------------- */

static void expect_twin(struct shard *there)
{
	struct object *object = list_in(there).object, *twin = list_in(twins).object;
	cr_assert_eq(object != NULL, twin != NULL);
	if (!object)
		return;
	fetch(there, object, reach_all);
	cr_assert_eq(collection_count(object), collection_count(twin));
	cleanup(list_walk_end) struct list_walk walk = {0}, other = {0};
	struct packed_element element, its;
	char scratch[2][PACKED_SCRATCH];
	list_walk(object, 0, &walk);
	list_walk(twin, 0, &other);
	while (list_next(&walk, &element)) {
		cr_assert(list_next(&other, &its));
		cr_assert(slice_equal(packed_text(&element, scratch[0]), packed_text(&its, scratch[1])));
	}
}

static void recover(struct slice image, uint64_t lsn)
{
	struct shard *recovered = recovering_shard();
	recovered->collections.list_leaf = roll(&dice, 2) ? 9 : 4;
	recovered->collections.list_compress_depth = roll(&dice, 2);
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
	const struct object *object = list_in(shard).object;
	image->len = 0;
	if (object)
		object_pack(object, image);
	*lsn = journal_log_->n;
}

Test(cold_leaf, lists_are_what_they_were_in_memory_and_in_the_log, .timeout = 120)
{
	char name[NAME_MAX_SIZE];
	struct buf image = {0};
	uint64_t lsn = 0;
	key = key_numbered(0, NULL, 1, name);
	world_start();
	twins = shard_new(NULL, SEED);
	shard->collections.list_leaf = 9;
	for (uint32_t i = 0; i < STEPS; i++) {
		struct object *object = list_in(shard).object;
		uint32_t what = roll(&dice, 200);
		if (object && collection_tree(object) && what < 100)
			send(object, roll(&dice, (uint32_t)collection_count(object)));
		else if (object && what < 120)
			fetch(shard, object, reach_range(roll(&dice, 200), 200));
		else if (what == 120)
			shard->collections.list_compress_depth = roll(&dice, 3);
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
