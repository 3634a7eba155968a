/* Random changes, and what their records make of an empty shard: the same, at every end of a group. */
#include "storage/keyspace/list.h"
#include "tests/unit/storage/journal/world.h"

enum { KEYSPACES = 2, KEYS = 60, ROUNDS = 3000 };

static struct dice dice = {7};
static uint64_t sums[FAKE_RECORDS_MAX + 1]; /* of the shard, after the record; 0: not known */
static uint32_t keys_in_use = KEYS - 6;     /* by what runs */
static bool half_way;                       /* a transaction is: what it did is in memory before it counts */
static uint8_t noise[64 * 1024];

static struct slice some_bytes(uint32_t max)
{
	uint32_t len = roll(&dice, max), at = roll(&dice, (uint32_t)sizeof(noise) - len);
	return slice_of(noise + at, len);
}

/* Locked keys are those of a transaction: others leave them alone. */
static struct key some_key(bool locked, char name[NAME_MAX_SIZE])
{
	uint32_t number = locked ? KEYS - 1 - roll(&dice, 6) : roll(&dice, keys_in_use);
	if (roll(&dice, 20) == 0)
		number += 1000; /* a long name */
	int len = snprintf(name, NAME_MAX_SIZE, number >= 1000 ? "key:%-400u" : "key:%u", number);
	return key_named(roll(&dice, KEYSPACES), slice_of(name, (size_t)len));
}

static int64_t some_expiry(void)
{
	uint32_t r = roll(&dice, 6);
	return r == 0 ? shard->now_ms + 1 + roll(&dice, 300) : r == 1 ? EXPIRES_KEEP : EXPIRES_NEVER;
}

static uint32_t some_size(void)
{
	static const uint32_t sizes[] = {8, 64, 600, 3000, 20000};
	return sizes[roll(&dice, (uint32_t)array_len(sizes))];
}

static void edit_part(const struct key *key)
{
	struct object *object = keyspace_find(shard, key, FIND_WRITE);
	if (object && object_type(object) != OBJECT_STRING)
		return;
	size_t length = object ? string_length(object) : 0;
	size_t at = roll(&dice, 3) ? roll(&dice, (uint32_t)length + 1) : length + roll(&dice, some_size());
	struct slice part = some_bytes(some_size());
	uint8_t *bytes = string_edit(shard, key, at + part.len);
	memcpy(bytes + at, part.ptr, part.len);
	if (roll(&dice, 4))
		journal_note_patch(journal, at, part.len);
}

static void edit_list_once(struct collection *list)
{
	uint64_t n = list->object ? collection_count(list->object) : 0, at = n ? roll(&dice, (uint32_t)n) : 0;
	switch (n ? roll(&dice, 7) : 0) {
	case 1:
		list_set(list, at, some_bytes(some_size()));
		break;
	case 2:
		list_insert(list, at, some_bytes(64));
		break;
	case 3:
		list_cut(list, at, roll(&dice, 8) ? 1 : n - at);
		break;
	default:
		list_push(list, roll(&dice, 2) ? LIST_HEAD : LIST_TAIL, some_bytes(some_size()));
	}
}

static void edit_list(const struct key *key)
{
	struct collection list;
	if (collection_open(shard, key, OBJECT_LIST, FIND_WRITE, &list) != OK) {
		keyspace_delete(shard, key);
		return;
	}
	for (uint32_t n = roll(&dice, 4) ? 1 : roll(&dice, 30); n > 0; n--) {
		edit_list_once(&list);
		if (collection_close(&list))
			return;
	}
}

static void set_expiry(const struct key *key)
{
	struct object *object = keyspace_find(shard, key, FIND_WRITE);
	if (object)
		keyspace_expire(shard, key, object,
		                roll(&dice, 3) ? shard->now_ms + 1 + roll(&dice, 500) : EXPIRES_NEVER);
}

static void move_or_copy(const struct key *from, const struct key *to)
{
	if (!keyspace_find(shard, from, FIND_WRITE))
		return;
	if (roll(&dice, 2))
		keyspace_move(shard, from, to);
	else
		keyspace_copy(shard, from, to);
}

static void change_something(bool locked)
{
	char name[NAME_MAX_SIZE], other_name[NAME_MAX_SIZE];
	struct key key = some_key(locked, name), other = some_key(locked, other_name);
	switch (roll(&dice, 18)) {
	case 0:
	case 1:
		string_put(shard, &key, some_bytes(some_size()), some_expiry());
		break;
	case 2:
		string_put_integer(shard, &key, roll(&dice, 1000), some_expiry());
		break;
	case 3:
	case 4:
	case 5:
		edit_part(&key);
		break;
	case 6:
		set_expiry(&key);
		break;
	case 7:
		move_or_copy(&key, &other);
		break;
	case 8:
		keyspace_delete(shard, &key);
		break;
	default:
		edit_list(&key);
	}
}

static void remember(void)
{
	if (half_way)
		return;
	sums[journal_log_->n] = shard_sum(shard, KEYSPACES) | 1;
}

static void run_command(void)
{
	keys_in_use = roll(&dice, 3) ? KEYS - 6 : 2; /* much of few keys in one group, or a little of many */
	for (uint32_t n = roll(&dice, 4) ? 1 : roll(&dice, 30); n > 0; n--)
		change_something(false);
	journal_flush(journal);
	remember();
}

static void work_by_itself(void)
{
	uint64_t next_ns;
	shard->memory_max = roll(&dice, 8) ? 0 : shard_memory(shard) * 9 / 10;
	(void)shard_background(shard, 3000, &next_ns);
	if (shard->memory_max)
		(void)shard_admit(shard);
	journal_flush(journal);
	shard->memory_max = 0;
	remember();
}

/* ---- a transaction in the background of the rest -------------------------------------- */

static void run_transaction(void)
{
	struct changes changes = {0};
	struct tx_id id = journal_next_tx(journal);
	half_way = true;
	for (uint32_t parts = 1 + roll(&dice, 3); parts > 0; parts--) {
		journal_collect(journal, &changes);
		for (uint32_t n = roll(&dice, 5); n > 0; n--)
			change_something(true);
		journal_collect(journal, NULL);
		run_command();
		work_by_itself();
	}
	journal_prepare(journal, &changes, &id);
	changes_free(&changes);
	run_command();
	work_by_itself();
	journal_outcome(journal, &id, true);
	half_way = false;
	remember();
}

static void fill(void)
{
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)roll(&dice, 256);
	shard->policy = EVICT_ALLKEYS_RANDOM;
	for (int i = 0; i < ROUNDS && journal_log_->n < FAKE_RECORDS_MAX - 1000; i++) {
		shard->now_ms += roll(&dice, 10);
		if (roll(&dice, 20) == 0)
			work_by_itself();
		else if (roll(&dice, 20) == 0)
			run_transaction();
		else
			run_command();
	}
	shard_verify(shard);
}

/* ---- replay --------------------------------------------------------------------------- */

struct replay {
	struct shard *shard;
	uint64_t prepare_at, prepare_to; /* the prepared records; none: equal */
};

static void apply(struct shard *to, uint64_t lsn)
{
	struct record record = fake_record(journal_log_, lsn);
	enum err err = record_apply(to, &record);
	cr_assert_eq(err, OK, "record %lu, a %s", lsn, record_kind_name(record.kind));
}

/* One group, from `lsn` on; returns the LSN behind it. */
static uint64_t replay_group(struct replay *replay, uint64_t lsn)
{
	bool preparing = fake_record(journal_log_, lsn).kind == RECORD_TX_PREPARE, more = true;
	uint64_t from = lsn;
	for (; more; lsn++) {
		struct record record = fake_record(journal_log_, lsn);
		more = record.group;
		if (record.kind == RECORD_TX_OUTCOME)
			for (; replay->prepare_at < replay->prepare_to; replay->prepare_at++)
				apply(replay->shard, replay->prepare_at);
		else if (!preparing)
			apply(replay->shard, lsn);
	}
	if (preparing) {
		replay->prepare_at = from + 1;
		replay->prepare_to = lsn;
	}
	return lsn;
}

Test(replay, gives_the_same_at_every_end_of_a_group, .init = world_start, .fini = world_stop, .timeout = 60)
{
	fill();
	struct replay replay = {.shard = recovering_shard()};
	uint64_t compared = 0, kinds[256] = {0};
	for (uint64_t lsn = 1; lsn <= journal_log_->n;) {
		kinds[fake_record(journal_log_, lsn).kind]++;
		lsn = replay_group(&replay, lsn);
		if (!sums[lsn - 1])
			continue;
		cr_assert_eq(sums[lsn - 1], shard_sum(replay.shard, KEYSPACES) | 1, "after record %lu", lsn - 1);
		compared++;
	}
	shard_verify(replay.shard);
	replay.shard->now_ms = shard->now_ms;
	shard_recovered(replay.shard);
	cr_assert_gt(compared, ROUNDS / 2);
	cr_assert_gt(kinds[RECORD_KEY_PATCH], 30);
	cr_assert_gt(kinds[RECORD_KEY_EXPIRE], 50);
	cr_assert_gt(kinds[RECORD_KEY_EDIT], 500);
	cr_assert_gt(kinds[RECORD_TX_OUTCOME], 50);
	cr_assert_gt(shard->counters.expired, 50);
	cr_assert_gt(shard->counters.evicted, 50);
	shard_free(replay.shard);
}
