/* Commands on a shard whose log lies on the simulated disk; read back and applied to an empty shard, it
 * gives the same after every command. */
#include "storage/journal/apply.h"
#include "storage/journal/journal.h"
#include "tests/support/runner.h"
#include "tests/unit/storage/journal/sum.h"
#include "tests/unit/storage/keyspace/support.h"
#include "tests/unit/storage/log/stage.h"

#include <stdarg.h>

enum { COMMANDS = 6000, KEYS = 25, LSNS_MAX = 64 * 1024 };

struct story {
	struct dice dice;
	struct journal *journal;
	uint64_t sums[LSNS_MAX]; /* of the shard, after the record; 0: not the last of a command */
	uint64_t last_lsn, compared;
	uint64_t kinds[256];
	uint64_t patched_bytes;
	struct shard *recovered;
};

/* ---- commands ------------------------------------------------------------------------- */

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	static char line[70000];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	(void)runner_run(line);
}

static const char *some_text(struct dice *dice)
{
	static const uint32_t sizes[] = {3, 20, 300, 3000, 20000};
	static char text[20001];
	uint32_t len = roll(dice, sizes[roll(dice, (uint32_t)array_len(sizes))]);
	for (uint32_t i = 0; i < len; i++)
		text[i] = (char)('a' + roll(dice, 26));
	text[len] = '\0';
	return text;
}

static void change_part(struct dice *dice, uint32_t key)
{
	uint32_t at = roll(dice, roll(dice, 4) ? 3000 : 30000);
	switch (roll(dice, 6)) {
	case 0:
		run("APPEND %u '%s'", key, some_text(dice));
		break;
	case 1:
		run("SETRANGE %u %u '%s'", key, at, some_text(dice));
		break;
	case 2:
	case 3:
		run("SETBIT %u %u %u", key, 8 * at + roll(dice, 8), roll(dice, 2));
		break;
	default:
		run("BITFIELD %u SET u%u %u %u INCRBY i64 %u %u OVERFLOW FAIL INCRBY u8 %u 250 GET u8 0", key,
		    1 + roll(dice, 63), at, roll(dice, 1000), at + roll(dice, 500), roll(dice, 1000), at / 2);
	}
}

static void change_number(struct dice *dice, uint32_t key)
{
	if (roll(dice, 2))
		run("INCRBY %u %u", key, roll(dice, 1000));
	else
		run("INCRBYFLOAT %u %u.5", key, roll(dice, 1000));
}

static void change_whole(struct dice *dice, uint32_t key, uint32_t other)
{
	switch (roll(dice, 7)) {
	case 0:
		run("SET %u %s", key, some_text(dice));
		break;
	case 1:
		run("SET %u %u PX %u", key, roll(dice, 1000), 1 + roll(dice, 500));
		break;
	case 2:
		run("SET %u '%s' KEEPTTL", key, some_text(dice));
		break;
	case 3:
		run("MSET %u '%s' %u 2 %u 3", key, some_text(dice), other, key);
		break;
	case 4:
		run("BITOP %s %u %u %u", roll(dice, 2) ? "XOR" : "AND", key, other, key);
		break;
	case 5:
		run("GETDEL %u", key);
		break;
	default:
		run("MSETNX %u '%s' %u 2", key, some_text(dice), other);
	}
}

static void change_expiry(struct dice *dice, uint32_t key)
{
	if (roll(dice, 3))
		run("GETEX %u PX %u", key, 1 + roll(dice, 3000));
	else
		run("GETEX %u PERSIST", key);
}

static void run_something(struct dice *dice)
{
	uint32_t key = roll(dice, KEYS), other = roll(dice, KEYS);
	switch (roll(dice, 8)) {
	case 0:
		change_whole(dice, key, other);
		break;
	case 1:
		change_number(dice, key);
		break;
	case 2:
		change_expiry(dice, key);
		break;
	case 3:
		run("GET %u", key); /* may find that it has expired */
		break;
	default:
		change_part(dice, key);
	}
}

/* ---- there ----------------------------------------------------------------------------- */

static struct log *open_log(struct stage *s)
{
	const struct log_start start = start_of(1024 * 1024);
	int error = 0;
	make_directory(s, NULL);
	struct log *log = log_open(s->core, &start, &error);
	check(log, "error %d", error);
	return log;
}

static void run_commands(struct stage *s, void *arg)
{
	struct story *story = arg;
	struct shard *shard = runner_shard();
	struct log *log = open_log(s);
	shard->journal = story->journal = journal_new(shard, log);
	for (int i = 0; i < COMMANDS; i++) {
		runner_wait(roll(&story->dice, 10));
		run_something(&story->dice);
		uint64_t lsn = journal_flush(story->journal);
		if (lsn == 0)
			continue;
		cr_assert_lt(lsn, LSNS_MAX);
		story->sums[lsn] = shard_sum(shard, 1) | 1;
		story->last_lsn = lsn;
		if (i % 20 == 0)
			cr_assert_eq(log_wait_for(s->core, log, lsn), 0);
	}
	journal_free(story->journal);
	log_close(log);
}

/* ---- and back -------------------------------------------------------------------------- */

static void apply(struct story *story, const struct record *record)
{
	cr_assert_eq(record_apply(story->recovered, record), OK);
	story->kinds[record->kind]++;
	if (record->group || story->sums[record->lsn] == 0)
		return;
	cr_assert_eq(story->sums[record->lsn], shard_sum(story->recovered, 1) | 1, "after record %lu", record->lsn);
	story->sums[record->lsn] = 0;
	story->compared++;
}

static void read_all(struct stage *s, struct story *story, const struct segment_list *segments)
{
	struct log_reader *reader = log_reader_new(s->core, "data", segments, 1);
	const struct record *records;
	uint32_t n;
	enum log_read read;
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME)
		for (uint32_t i = 0; i < n; i++)
			apply(story, &records[i]);
	cr_assert_eq(read, LOG_READ_END, "%s", log_reader_why(reader));
	log_reader_free(reader);
}

static void replay(struct stage *s, void *arg)
{
	struct found found;
	find_segments(s, 1, &found);
	read_all(s, arg, &found.segments);
	segment_list_free(&found.segments);
	segment_list_free(&found.spare);
}

Test(commands, are_put_back_by_their_records, .init = runner_start, .fini = runner_stop, .timeout = 60)
{
	struct sim_disk *disk = sim_disk_new(64 * 1024 * 1024);
	struct stage s = stage_begin(disk, 1);
	struct story *story = memory_zalloc(sizeof(*story));
	story->dice.state = 11;
	story->recovered = shard_new(NULL, SEED);
	story->recovered->recovering = true;
	cr_assert(stage_run(&s, run_commands, story));
	cr_assert(stage_run(&s, replay, story));
	stage_end(&s);
	sim_disk_free(disk);
	for (uint64_t lsn = 0; lsn <= story->last_lsn; lsn++)
		cr_assert_eq(story->sums[lsn], 0, "record %lu was not read", lsn);
	cr_assert_gt(story->compared, COMMANDS / 2);
	cr_assert_gt(story->kinds[RECORD_KEY_PATCH], COMMANDS / 10);
	cr_assert_gt(story->kinds[RECORD_KEY_EXPIRE], 100);
	cr_assert_gt(story->kinds[RECORD_KEY_DELETE], 100);
	shard_verify(story->recovered);
	shard_free(story->recovered);
	memory_free(story);
}
