/* What becomes of changes: which records, in which groups. */
#include "storage/keyspace/set.h"
#include "tests/unit/storage/journal/world.h"

TestSuite(journal, .init = world_start, .fini = world_stop, .timeout = 20);

static struct key key_called(const char *name) { return key_named(0, text(name)); }

static void put(const char *name, const char *value)
{
	struct key key = key_called(name);
	string_put(shard, &key, text(value), EXPIRES_NEVER);
}

static void put_until(const char *name, int64_t expires_ms)
{
	struct key key = key_called(name);
	string_put(shard, &key, text("mortal"), expires_ms);
}

static bool remove_key(const char *name)
{
	struct key key = key_called(name);
	return keyspace_delete(shard, &key);
}

static void put_long(const char *name, size_t len)
{
	struct key key = key_called(name);
	struct buf value = {0};
	memset(buf_reserve(&value, len), 'v', len);
	string_put(shard, &key, slice_of(value.ptr, len), EXPIRES_NEVER);
	buf_fini(&value);
}

static struct object *find(const char *name)
{
	struct key key = key_called(name);
	return keyspace_peek(shard, &key);
}

static void expire(const char *name, int64_t expires_ms)
{
	struct key key = key_called(name);
	keyspace_expire(shard, &key, keyspace_peek(shard, &key), expires_ms);
}

static void expect(uint64_t lsn, enum record_kind kind, const char *name, bool more)
{
	struct record record = fake_record(journal_log_, lsn);
	struct record_body body;
	cr_assert_eq(record.kind, kind, "record %lu is a %s", lsn, record_kind_name(record.kind));
	cr_assert_eq(record.group, more, "record %lu", lsn);
	cr_assert(record_parse(&record, &body));
	if (!name) {
		cr_assert_eq(record.slot, SLOT_SYSTEM);
		return;
	}
	cr_assert(slice_equal(body.key, text(name)), "record %lu is on '%.*s'", lsn, (int)body.key.len, body.key.ptr);
	cr_assert_eq(record.slot, slot_of(body.key));
	cr_assert_eq(record.space, 0);
}

static void expect_no_more(uint64_t lsn) { cr_assert_eq(journal_log_->n, lsn); }

static uint64_t rests_on(const char *name) { return journal_rests_on(journal, key_called(name).hash); }

/* ---- one command ---------------------------------------------------------------------- */

Test(journal, logs_one_change_as_one_record)
{
	cr_assert_eq(journal_flush(journal), 0);
	put("a", "1");
	cr_assert_eq(journal_flush(journal), 1);
	remove_key("a");
	cr_assert_eq(journal_flush(journal), 2);
	cr_assert_eq(journal_flush(journal), 0);
	expect(1, RECORD_KEY_PUT, "a", false);
	expect(2, RECORD_KEY_DELETE, "a", false);
	expect_no_more(2);
}

static void add_members(const char *name, uint32_t from, uint32_t n)
{
	struct key key = key_called(name);
	struct collection set;
	cr_assert_eq(collection_open(shard, &key, OBJECT_SET, FIND_WRITE, &set), OK);
	for (uint32_t i = from; i < from + n; i++) {
		char member[40];
		snprintf(member, sizeof(member), "a member with a number: %u", i);
		struct packed_sought sought = packed_seek(text(member));
		cr_assert(set_add(&set, &sought));
	}
	collection_close(&set);
}

enum { LARGE = 20000 };

/* The log makes it when its turn comes: the set may be another then, or gone. */
Test(journal, logs_a_large_value_later_as_it_was)
{
	struct key from = key_called("from"), to = key_called("to");
	add_members("from", 0, LARGE);
	(void)journal_flush(journal);
	cr_assert(fake_log_make(journal_log_), "a new one is logged whole");
	keyspace_copy(shard, &from, &to);
	cr_assert_eq(journal_flush(journal), 2);
	add_members("to", LARGE, LARGE);
	cr_assert_eq(journal_flush(journal), 3);
	remove_key("to");
	add_members("from", LARGE, LARGE);
	(void)journal_flush(journal);
	cr_assert_eq(shard->counters.streams, 1u);
	cr_assert(fake_log_make(journal_log_));
	cr_assert_eq(shard->counters.streams, 0u);
	expect(2, RECORD_KEY_PUT, "to", false);

	struct shard *recovered = recovering_shard();
	for (uint64_t lsn = 2; lsn <= 3; lsn++) {
		struct record record = fake_record(journal_log_, lsn);
		cr_assert_eq(record_apply(recovered, &record), OK);
		cr_assert_eq(collection_count(keyspace_peek(recovered, &to)), (lsn - 1) * LARGE);
	}
	shard_free(recovered);
}

Test(journal, logs_several_changes_as_one_group_with_each_key_once)
{
	put("a", "1");
	put("b", "1");
	put("a", "a value that takes another object, so that the first is gone");
	remove_key("c");
	put("c", "1");
	remove_key("b");
	put("d", "1");
	cr_assert_eq(journal_flush(journal), 4);
	expect(1, RECORD_KEY_PUT, "a", true);
	expect(2, RECORD_KEY_DELETE, "b", true);
	expect(3, RECORD_KEY_PUT, "c", true);
	expect(4, RECORD_KEY_PUT, "d", false);
	expect_no_more(4);
}

Test(journal, logs_thousands_of_keys_as_one_group)
{
	char name[NAME_MAX_SIZE];
	for (unsigned i = 0; i < 30000; i++) {
		struct key key = key_numbered(0, NULL, i % 10000, name);
		string_put_integer(shard, &key, i, EXPIRES_NEVER);
	}
	cr_assert_eq(journal_flush(journal), 10000);
	for (uint64_t lsn = 1; lsn <= 10000; lsn++)
		cr_assert_eq(fake_record(journal_log_, lsn).group, lsn < 10000);
}

Test(journal, logs_the_new_expiry_alone)
{
	put_long("a", 5000);
	journal_flush(journal);
	expire("a", 9000);
	journal_flush(journal);
	expire("a", EXPIRES_NEVER);
	expire("a", 8000);
	journal_flush(journal);
	put("a", "1");
	expire("a", 7000);
	journal_flush(journal);
	expect(2, RECORD_KEY_EXPIRE, "a", false);
	expect(3, RECORD_KEY_EXPIRE, "a", false);
	expect(4, RECORD_KEY_PUT, "a", false);
	expect_no_more(4);
	cr_assert_lt(fake_record(journal_log_, 2).body.len, 20);
}

static struct record_body edit(const char *name, size_t size, uint64_t at, uint64_t len)
{
	struct key key = key_called(name);
	struct record_body body;
	string_edit(shard, &key, size);
	journal_note_patch(journal, at, len);
	struct record record = fake_record(journal_log_, journal_flush(journal));
	cr_assert(record_parse(&record, &body));
	body.committed = record.kind == RECORD_KEY_PATCH;
	return body;
}

Test(journal, logs_what_changed_of_a_long_string)
{
	put_long("a", 5000);
	journal_flush(journal);
	struct record_body body = edit("a", 5010, 5000, 10);
	cr_assert(body.committed);
	cr_assert_eq(body.offset, 5000);
	cr_assert_eq(body.whole_length, 5010);
	cr_assert_eq(body.value.len, 10);
	cr_assert_not(edit("a", 0, 0, 4000).committed, "most of it changed");
	cr_assert_not(edit("short", 100, 0, 1).committed, "it is short");
	cr_assert(edit("new", 100000, 99999, 1).committed, "zeros are not logged");
}

Test(journal, widens_a_patch_over_all_that_was_said)
{
	struct key key = key_called("a");
	put_long("a", 5000);
	journal_flush(journal);
	string_edit(shard, &key, 0);
	journal_note_patch(journal, 0, 0);
	journal_note_patch(journal, 300, 10);
	struct record_body body = edit("a", 0, 200, 5);
	cr_assert_eq(body.offset, 200);
	cr_assert_eq(body.value.len, 110);
}

Test(journal, logs_the_whole_value_when_not_all_was_a_patch)
{
	struct key key = key_called("a");
	put_long("a", 5000);
	cr_assert_not(edit("a", 0, 7, 1).committed, "the value is not in the log yet");
	remove_key("a");
	string_edit(shard, &key, 5000);
	journal_note_patch(journal, 4999, 1);
	struct record record = fake_record(journal_log_, journal_flush(journal));
	cr_assert_eq(record.kind, RECORD_KEY_PUT);
	string_edit(shard, &key, 0);
	record = fake_record(journal_log_, journal_flush(journal));
	cr_assert_eq(record.kind, RECORD_KEY_PUT, "nobody said what changed");
}

Test(journal, survives_the_drop_of_a_keyspace_that_changed)
{
	put("a", "1");
	keyspace_drop(shard, 0, true);
	put("b", "1");
	journal_flush(journal);
	expect(1, RECORD_KEY_DELETE, "a", true);
	expect(2, RECORD_KEY_PUT, "b", false);
}

Test(journal, logs_both_names_of_a_move)
{
	struct key from = key_called("a"), to = key_called("b");
	put("a", "1");
	journal_flush(journal);
	keyspace_move(shard, &from, &to);
	journal_flush(journal);
	expect(2, RECORD_KEY_DELETE, "a", true);
	expect(3, RECORD_KEY_PUT, "b", false);
}

/* ---- what goes by itself -------------------------------------------------------------- */

Test(journal, logs_an_expiry_that_a_reader_found)
{
	put_until("a", 2000);
	journal_flush(journal);
	shard->now_ms = 2000;
	struct key key = key_called("a");
	cr_assert_null(keyspace_find(shard, &key, FIND_READ));
	journal_flush(journal);
	expect(2, RECORD_KEY_DELETE, "a", false);
}

Test(journal, logs_what_the_background_expires)
{
	uint64_t next_ns;
	for (char name[] = "a"; *name <= 'j'; ++*name) {
		put_until(name, 2000);
		journal_flush(journal);
	}
	shard->now_ms = 3000;
	while (shard_background(shard, 1000000, &next_ns))
		;
	expect_no_more(20);
	for (uint64_t lsn = 11; lsn <= 20; lsn++)
		cr_assert_eq(fake_record(journal_log_, lsn).kind, RECORD_KEY_DELETE);
}

Test(journal, logs_evictions)
{
	char name[NAME_MAX_SIZE];
	shard->policy = EVICT_ALLKEYS_LRU;
	for (unsigned i = 0; i < 1000; i++) {
		struct key key = key_numbered(0, NULL, i, name);
		string_put_integer(shard, &key, i, EXPIRES_NEVER);
		journal_flush(journal);
	}
	shard->memory_max = shard_memory(shard) / 2;
	cr_assert(shard_admit(shard));
	uint64_t evicted = shard->counters.evicted;
	cr_assert_gt(evicted, 0);
	cr_assert_eq(journal_flush(journal), 1000 + evicted);
}

Test(journal, leaves_what_has_expired_while_there_is_no_room)
{
	uint64_t next_ns;
	struct key key = key_called("a");
	put_until("a", 2000);
	journal_flush(journal);
	shard->now_ms = 5000;
	journal_log_->room = LOG_ROOM_NONE;
	cr_assert_null(keyspace_find(shard, &key, FIND_READ));
	cr_assert_not(shard_background(shard, 1000000, &next_ns));
	cr_assert_not_null(keyspace_peek(shard, &key));
	expect_no_more(1);
	journal_log_->room = LOG_ROOM_LOW;
	cr_assert_null(keyspace_find(shard, &key, FIND_READ));
	cr_assert_null(keyspace_peek(shard, &key));
	cr_assert_eq(journal_flush(journal), 2);
}

Test(journal, refuses_by_what_a_command_does)
{
	cr_assert_eq(shard_refuses(shard, SHARD_GROWS), OK);
	journal_log_->room = LOG_ROOM_LOW;
	cr_assert_eq(shard_refuses(shard, SHARD_GROWS), ERR_NO_ROOM);
	cr_assert_eq(shard_refuses(shard, SHARD_WRITES), OK);
	journal_log_->room = LOG_ROOM_NONE;
	cr_assert_eq(shard_refuses(shard, SHARD_WRITES), ERR_NO_ROOM);
	cr_assert_eq(shard_refuses(shard, SHARD_READS), OK);
	journal_log_->failed = 5;
	cr_assert_eq(shard_refuses(shard, SHARD_READS), ERR_SHARD_STOPPED);
	journal_log_->failed = 0;
	journal_log_->room = LOG_ROOM_YES;
	shard->journal = NULL;
	cr_assert_eq(shard_refuses(shard, SHARD_GROWS), OK);
}

/* ---- answers -------------------------------------------------------------------------- */

Test(journal, says_what_an_answer_rests_on)
{
	cr_assert_eq(rests_on("a"), 0);
	put("a", "1");
	put("b", "1");
	journal_flush(journal);
	put("c", "1");
	journal_flush(journal);
	cr_assert_eq(rests_on("a"), 2, "a group counts when it is whole");
	cr_assert_eq(rests_on("b"), 2);
	cr_assert_eq(rests_on("c"), 3);
	cr_assert_eq(rests_on("never written"), 0);
	cr_assert_eq(journal_rests_on_all(journal), 3);
	journal_log_->durable = 2;
	cr_assert_eq(rests_on("a"), 0);
	cr_assert_eq(rests_on("c"), 3);
	journal_log_->durable = 3;
	cr_assert_eq(rests_on("c"), 0);
	cr_assert_eq(journal_rests_on_all(journal), 0);
}

/* ---- transactions --------------------------------------------------------------------- */

static const struct tx_id tx = {.log = 3, .epoch = 2, .number = 1};

static uint64_t collect_and_prepare(struct changes *changes)
{
	journal_collect(journal, changes);
	put("a", "1");
	put("b", "1");
	put("a", "2");
	journal_collect(journal, NULL);
	cr_assert_eq(journal_flush(journal), 0);
	uint64_t lsn = journal_prepare(journal, changes, &tx);
	changes_free(changes);
	return lsn;
}

Test(journal, prepares_and_decides)
{
	struct changes changes = {0};
	cr_assert_eq(collect_and_prepare(&changes), 3);
	expect(1, RECORD_TX_PREPARE, NULL, true);
	expect(2, RECORD_KEY_PUT, "a", true);
	expect(3, RECORD_KEY_PUT, "b", false);
	cr_assert_eq(rests_on("a"), 0);
	cr_assert_eq(journal_commit(journal, &tx), 4);
	cr_assert_eq(journal_outcome(journal, &tx, true), 5);
	expect(4, RECORD_TX_COMMIT, NULL, false);
	expect(5, RECORD_TX_OUTCOME, NULL, false);
	cr_assert_eq(rests_on("a"), 5);
	cr_assert_eq(rests_on("b"), 5);
}

Test(journal, deletes_again_what_went_between_prepare_and_outcome)
{
	struct changes changes = {0};
	shard->policy = EVICT_ALLKEYS_RANDOM;
	collect_and_prepare(&changes);
	shard->memory_max = 1;
	(void)shard_admit(shard);
	cr_assert_null(find("a"));
	journal_flush(journal);
	uint64_t n = journal_log_->n;
	cr_assert_eq(journal_outcome(journal, &tx, true), n + 3);
	expect(n + 1, RECORD_TX_OUTCOME, NULL, true);
	expect(n + 2, RECORD_KEY_DELETE, "a", true);
	expect(n + 3, RECORD_KEY_DELETE, "b", false);
	cr_assert_eq(rests_on("a"), n + 3);
}

Test(journal, keeps_evictions_apart_from_what_is_collected)
{
	struct changes changes = {0};
	put("z", "1");
	journal_flush(journal);
	shard->policy = EVICT_ALLKEYS_RANDOM;
	shard->memory_max = 1;
	journal_collect(journal, &changes);
	(void)shard_admit(shard);
	put("a", "1");
	journal_collect(journal, NULL);
	cr_assert_eq(journal_prepare(journal, &changes, &tx), 4);
	changes_free(&changes);
	expect(2, RECORD_KEY_DELETE, "z", false);
	expect(3, RECORD_TX_PREPARE, NULL, true);
	expect(4, RECORD_KEY_PUT, "a", false);
}

Test(journal, tells_nothing_of_a_transaction_that_puts_back_what_was_evicted)
{
	struct changes changes = {0};
	put("a", "1");
	journal_flush(journal);
	shard->policy = EVICT_ALLKEYS_RANDOM;
	shard->memory_max = 1;
	journal_collect(journal, &changes);
	(void)shard_admit(shard);
	put("a", "2");
	journal_collect(journal, NULL);
	expect(2, RECORD_KEY_DELETE, "a", false);
	expect_no_more(2);
	journal_prepare(journal, &changes, &tx);
	changes_free(&changes);
	expect(4, RECORD_KEY_PUT, "a", false);
}

Test(journal, logs_what_was_collected_as_a_plain_group)
{
	struct changes changes = {0};
	journal_collect(journal, &changes);
	put("a", "1");
	put("b", "1");
	changes_put_row(&changes, S("name"), S("value"));
	changes_delete_row(&changes, S("other"));
	journal_collect(journal, NULL);
	cr_assert_eq(journal_flush_changes(journal, &changes), 4);
	expect(1, RECORD_SYSTEM_PUT, NULL, true);
	expect(2, RECORD_SYSTEM_DELETE, NULL, true);
	expect(3, RECORD_KEY_PUT, "a", true);
	expect(4, RECORD_KEY_PUT, "b", false);
	cr_assert_eq(rests_on("a"), 4);
	cr_assert_eq(journal_flush_changes(journal, &changes), 0);
	changes_free(&changes);
}

Test(journal, prepares_nothing_and_aborts)
{
	struct changes changes = {0};
	cr_assert_eq(journal_prepare(journal, &changes, &tx), 1);
	expect(1, RECORD_TX_PREPARE, NULL, false);
	cr_assert_eq(journal_outcome(journal, &tx, false), 2);
	expect(2, RECORD_TX_OUTCOME, NULL, false);
}

Test(journal, numbers_transactions)
{
	journal_log_->epoch = 9;
	struct tx_id first = journal_next_tx(journal), second = journal_next_tx(journal);
	cr_assert_eq(first.log, 5);
	cr_assert_eq(first.epoch, 9);
	cr_assert_neq(first.number, second.number);
}

Test(journal, puts_rows)
{
	journal_put_row(journal, S("name"), S("value"));
	struct record record = fake_record(journal_log_, 1);
	struct record_body body;
	cr_assert(record_parse(&record, &body));
	cr_assert_eq(record.kind, RECORD_SYSTEM_PUT);
	cr_assert_eq(record.slot, SLOT_SYSTEM);
	cr_assert(slice_equal(body.key, S("name")));
	cr_assert(slice_equal(body.value, S("value")));
}

Test(journal, prepares_rows_alone)
{
	struct changes changes = {0};
	changes_put_row(&changes, S("name"), S("value"));
	changes_delete_row(&changes, S("other"));
	cr_assert_eq(journal_prepare(journal, &changes, &tx), 3);
	changes_free(&changes);
	expect(1, RECORD_TX_PREPARE, NULL, true);
	expect(2, RECORD_SYSTEM_PUT, NULL, true);
	expect(3, RECORD_SYSTEM_DELETE, NULL, false);
	struct record record = fake_record(journal_log_, 3);
	struct record_body body;
	cr_assert(record_parse(&record, &body));
	cr_assert(slice_equal(body.key, S("other")));
}
