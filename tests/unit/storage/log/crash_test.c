/* Logs are written, cut short by power failures and kills, read back and written on, over and over:
 * what was durable is there, in order and unchanged, and no group is half there. */
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "tests/unit/storage/log/stage.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	DISK_BYTES = 64 * 1024 * 1024,
	RECORDS_MAX = 64 * 1024,
	LIVES = 8,
	SEEDS = 100,
	BODY_MAX = 200 * 1000,
};

/* What may be in the log, by LSN; outlives the processes that die. */
struct entry {
	bool there;
	bool more;     /* of its group follows */
	uint32_t seed; /* of the body */
	uint32_t size;
	uint64_t epoch;
};

struct memory_of_all {
	uint64_t durable_lsn; /* promised */
	uint64_t appended_lsn;
	uint64_t forgotten_lsn; /* nothing before it is needed */
	struct entry entries[RECORDS_MAX];
};

struct life {
	struct memory_of_all *all;
	struct log *log;
	uint64_t epoch, segment_size;
	bool unkind; /* the disk fails now and then */
	struct waiting {
		struct log_waiter waiter;
		struct life *life;
	} waiting[64];
	uint64_t waited_lsn; /* for which the last of them has waited */
};

static void body_fill(uint8_t *bytes, uint32_t size, uint32_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
	for (uint32_t i = 0; i < size; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		bytes[i] = (uint8_t)(x >> 56);
	}
}

static uint32_t random_size(struct stage *s)
{
	uint32_t most[] = {1, 40, 100, 3000, 5000, 70 * 1000, BODY_MAX};
	return (uint32_t)sim_below(s->sim, most[sim_below(s->sim, sim_chance(s->sim, 100) ? 7 : 4)]);
}

static void note_durable(struct life *life)
{
	uint64_t lsn = log_durable(life->log);
	check(lsn >= life->all->durable_lsn, "%lu after %lu", lsn, life->all->durable_lsn);
	life->all->durable_lsn = lsn;
}

/* ---- recovery -------------------------------------------------------------------------------- */

/* The entries that count are those whose group is whole, up to `end_lsn`; the others never were. */
static void settle_entries(struct memory_of_all *all, uint64_t end_lsn)
{
	uint64_t open_from = 0, open_epoch = 0;
	for (uint64_t lsn = 1; lsn <= all->appended_lsn; lsn++) {
		struct entry *entry = &all->entries[lsn];
		if (lsn > end_lsn)
			entry->there = false;
		if (!entry->there)
			continue;
		if (open_from == 0 && entry->more) {
			open_from = lsn;
			open_epoch = entry->epoch;
		}
		check(open_from == 0 || entry->epoch == open_epoch);
		if (!entry->more)
			open_from = 0;
	}
	for (uint64_t lsn = open_from; open_from && lsn <= end_lsn; lsn++) {
		check(!all->entries[lsn].there || lsn > all->durable_lsn || all->entries[lsn].more);
		all->entries[lsn].there = false;
	}
}

static uint64_t next_entry(const struct memory_of_all *all, uint64_t lsn, uint64_t end_lsn)
{
	while (lsn <= end_lsn && !all->entries[lsn].there)
		lsn++;
	return lsn;
}

static void check_record(const struct memory_of_all *all, const struct record *record)
{
	static uint8_t bytes[BODY_MAX];
	const struct entry *entry = &all->entries[record->lsn];
	check(entry->there);
	check_eq(record->group, entry->more);
	check_eq(record->space, entry->seed);
	check_eq(record->slot, entry->seed % 16384);
	check_eq(record->body.len, entry->size);
	body_fill(bytes, entry->size, entry->seed);
	check_eq(memcmp(record->body.ptr, bytes, entry->size), 0);
}

static void check_sizes(const struct segment_list *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		check_eq(list->all[i].size, list->all[i].head.size);
}

/* Reads all there is; where the log goes on. */
static struct log_end recover(struct stage *s, struct memory_of_all *all, struct found *found)
{
	uint64_t from = all->forgotten_lsn ? all->forgotten_lsn : 1;
	find_segments(s, from, found);
	check_eq(found->headless, 0);
	check_sizes(&found->segments);
	struct log_reader *reader = log_reader_new(s->core, "data", &found->segments, from);
	/* How far it goes is not known before: first all records are counted, then compared. */
	const struct record *records;
	uint32_t n;
	enum log_read read;
	uint64_t seen = from;
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME) {
		for (uint32_t i = 0; i < n; i++) {
			check(records[i].lsn >= seen);
			for (uint64_t lsn = seen; lsn < records[i].lsn; lsn++)
				check(!(all->entries[lsn].there && !all->entries[lsn].more &&
				        all->entries[lsn].epoch == all->entries[records[i].lsn].epoch));
			check_record(all, &records[i]);
			seen = records[i].lsn + 1;
		}
	}
	check_eq(read, LOG_READ_END, "%s", log_reader_why(reader));
	struct log_end end = *log_reader_end(reader);
	check(end.next_lsn >= all->durable_lsn + 1, "lost: %lu of %lu", end.next_lsn, all->durable_lsn);
	settle_entries(all, end.next_lsn - 1);
	/* Nothing that counts was left out at the end. */
	check_eq(next_entry(all, seen, end.next_lsn - 1), end.next_lsn);
	all->appended_lsn = end.next_lsn - 1;
	log_reader_free(reader);
	return end;
}

/* The same, and each record that counts is given. */
static void recover_again(struct stage *s, struct memory_of_all *all)
{
	struct found found;
	uint64_t lsn = all->forgotten_lsn ? all->forgotten_lsn : 1, end_lsn = all->appended_lsn;
	find_segments(s, lsn, &found);
	struct log_reader *reader = log_reader_new(s->core, "data", &found.segments, lsn);
	const struct record *records;
	uint32_t n;
	enum log_read read;
	while ((read = log_reader_next(reader, &records, &n)) == LOG_READ_FRAME) {
		for (uint32_t i = 0; i < n; i++) {
			check_eq(records[i].lsn, next_entry(all, lsn, end_lsn));
			lsn = records[i].lsn + 1;
		}
	}
	check_eq(read, LOG_READ_END, "%s", log_reader_why(reader));
	check_eq(next_entry(all, lsn, end_lsn), end_lsn + 1);
	log_reader_free(reader);
	segment_list_free(&found.segments);
	segment_list_free(&found.spare);
}

/* ---- a life ------------------------------------------------------------------------------------ */

static void set_faults(struct sim_disk *disk, bool unkind)
{
	struct sim_disk_faults faults = {.delay_ns = 200 * 1000, .slow = 20, .slow_ns = 30 * 1000 * 1000};
	if (unkind)
		faults.write_fails = faults.sync_fails = faults.write_short = faults.name_fails = 15;
	sim_disk_set_faults(disk, &faults);
}

static void open_log(struct stage *s, struct life *life)
{
	struct found found;
	struct log_start start = start_of(life->segment_size);
	set_faults(s->disk, false);
	struct log_end end = recover(s, life->all, &found);
	recover_again(s, life->all);
	start.epoch = life->epoch;
	start.next_lsn = end.next_lsn;
	start.place = end.place;
	start.chain = end.chain;
	start.segments = &found.segments;
	start.spare = &found.spare;
	start.next_number = found.next_number;
	start.next_generation = found.next_generation;
	int error;
	life->log = log_open(s->core, &start, &error);
	check(life->log);
	life->all->durable_lsn = life->all->appended_lsn; /* now others may see them */
	set_faults(s->disk, life->unkind);
}

static uint64_t append_now(struct stage *s, struct log *log, const struct entry *entry)
{
	static uint8_t bytes[BODY_MAX];
	body_fill(bytes, entry->size, entry->seed);
	uint32_t cut = (uint32_t)sim_below(s->sim, entry->size + 1);
	struct slice parts[3] = {slice_of(bytes, cut), S(""), slice_of(bytes + cut, entry->size - cut)};
	return log_append(log, RECORD_KEY_PUT, (uint16_t)(entry->seed % 16384), entry->seed, parts, 3, entry->more);
}

static uint64_t append_late(struct log *log, const struct entry *entry)
{
	struct late_body *late = late_body_new(entry->size);
	body_fill(late->bytes, entry->size, entry->seed);
	return log_append_later(log, RECORD_KEY_PUT, (uint16_t)(entry->seed % 16384), entry->seed, &late->source,
	                        entry->more);
}

static void append_one(struct stage *s, struct life *life, bool more)
{
	struct memory_of_all *all = life->all;
	struct entry entry = {.there = true,
	                      .more = more,
	                      .seed = (uint32_t)sim_random(s->sim),
	                      .size = random_size(s),
	                      .epoch = life->epoch};
	uint64_t before = log_appended(life->log);
	bool late = entry.size > FRAGMENT_MAX && sim_below(s->sim, 2);
	uint64_t lsn = late ? append_late(life->log, &entry) : append_now(s, life->log, &entry);
	check(lsn > before);
	check_eq(lsn, log_appended(life->log));
	check(lsn < RECORDS_MAX);
	memset(&all->entries[before + 1], 0, (lsn - before) * sizeof(entry));
	all->entries[lsn] = entry;
	all->appended_lsn = lsn;
}

static void append_group(struct stage *s, struct life *life)
{
	uint32_t n = 1 + (uint32_t)sim_below(s->sim, sim_chance(s->sim, 100) ? 40 : 3);
	for (uint32_t i = 0; i < n; i++)
		append_one(s, life, i + 1 < n);
}

/* In the order of what they wait for. */
static void waited(struct log *log, struct log_waiter *waiter)
{
	struct life *life = container_of(waiter, struct waiting, waiter)->life;
	check(log_failed(log) || waiter->lsn <= log_durable(log));
	check(log_failed(log) || waiter->lsn >= life->waited_lsn);
	life->waited_lsn = waiter->lsn;
	waiter->lsn = 0;
}

static void wait_for_some(struct stage *s, struct life *life)
{
	struct waiting *waiting = &life->waiting[sim_below(s->sim, array_len(life->waiting))];
	if (waiting->waiter.lsn)
		return;
	uint64_t durable = log_durable(life->log);
	uint64_t lsn = durable + sim_below(s->sim, log_appended(life->log) - durable + 1);
	*waiting = (struct waiting){.waiter = {.lsn = lsn, .run = waited}, .life = life};
	if (log_wait(life->log, &waiting->waiter))
		waiting->waiter.lsn = 0;
}

/* A session that wants to know. */
static void wait_in_line(struct stage *s, struct life *life)
{
	uint64_t lsn = log_appended(life->log);
	int result = log_wait_for(s->core, life->log, lsn);
	check(result == 0 ? lsn <= log_durable(life->log) : result == -log_failed(life->log));
}

/* The last LSN up to `lsn` at which a group ends, if it is not forgotten; else 0. */
static uint64_t group_end(const struct memory_of_all *all, uint64_t lsn)
{
	for (; lsn > 0 && lsn >= all->forgotten_lsn; lsn--)
		if (all->entries[lsn].there && !all->entries[lsn].more)
			return lsn;
	return 0;
}

/* As the owners of images do: never more than is durable, and sure itself before it is said to the log. */
static void forget_some(struct stage *s, struct life *life)
{
	uint64_t lsn = group_end(life->all, log_durable(life->log));
	for (uint64_t back = sim_below(s->sim, 30); back > 0 && lsn > 0; back--)
		lsn = group_end(life->all, lsn - 1);
	if (lsn == 0)
		return;
	life->all->forgotten_lsn = lsn + 1;
	log_forget_before(life->log, lsn + 1);
}

static void do_something(struct stage *s, struct life *life)
{
	switch (sim_below(s->sim, 16)) {
	case 0:
		log_set_mode(life->log, (enum log_mode)sim_below(s->sim, 3));
		break;
	case 1:
		forget_some(s, life);
		break;
	case 2:
		fiber_sleep(s->core, sim_below(s->sim, 30 * 1000 * 1000));
		break;
	case 3:
		if (sim_chance(s->sim, 100))
			fiber_sleep(s->core, sim_below(s->sim, 2000 * 1000 * 1000ull));
		break;
	case 4:
	case 5:
		for (uint64_t n = sim_below(s->sim, 5); n > 0; n--)
			wait_for_some(s, life);
		break;
	case 6:
		wait_in_line(s, life);
		break;
	case 7:
		fiber_sleep(s->core, sim_below(s->sim, 300 * 1000));
		break;
	default:
		append_group(s, life);
	}
	note_durable(life);
}

static void live(struct stage *s, void *arg)
{
	struct life *life = arg;
	open_log(s, life);
	uint32_t n = (uint32_t)sim_below(s->sim, 120);
	for (uint32_t i = 0; i < n && life->all->appended_lsn + 8000 < RECORDS_MAX; i++)
		do_something(s, life);
	bool failed = log_failed(life->log);
	log_close(life->log); /* may fail as well */
	if (!failed && !life->unkind)
		life->all->durable_lsn = life->all->appended_lsn;
	for (size_t i = 0; i < array_len(life->waiting); i++)
		check_eq(life->waiting[i].waiter.lsn, 0);
}

static void begin_world(struct stage *s, void *arg) { make_directory(s, arg); }

/* A life in a process of its own, which ends as soon as the power does. */
static void run_life(struct sim_disk *disk, struct memory_of_all *all, uint64_t seed, uint64_t epoch, uint64_t cut)
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		struct life life = {.all = all,
		                    .epoch = epoch,
		                    .segment_size = (16u << seed % 4) * 1024 * 4,
		                    .unkind = random() % 3 == 0};
		struct stage s = stage_begin(disk, seed * 1000 + epoch);
		s.machine->log_level = LOG_NOTHING;
		if (cut)
			sim_disk_crash_after(disk, cut);
		if (!stage_run(&s, live, &life))
			_exit(0);
		stage_end(&s);
		_exit(0);
	}
	int status;
	check_eq(waitpid(child, &status, 0), child);
	check_eq(status, 0, "seed %lu, life %lu", seed, epoch);
}

/* What the disk did to them. */
struct counts {
	uint64_t lost, torn, garbled, in_flight;
};

static void add_counts(struct counts *counts, const struct sim_disk_counts *disk)
{
	counts->lost += disk->sectors_lost;
	counts->torn += disk->sectors_torn;
	counts->garbled += disk->sectors_garbled;
	counts->in_flight += disk->in_flight;
}

static void run_seed(uint64_t seed, struct counts *counts)
{
	struct memory_of_all *all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct stage s = stage_begin(disk, seed);
	check(stage_run(&s, begin_world, NULL));
	stage_end(&s);
	srandom((unsigned)seed);
	for (uint64_t epoch = 1; epoch <= LIVES; epoch++) {
		static const uint64_t most[] = {20, 60, 200, 400};
		uint64_t limit = most[random() % 4], cut = random() % 8 > 0 ? 1 + (uint64_t)random() % limit : 0;
		run_life(disk, all, seed, epoch, cut);
		if (random() % 3 == 0)
			sim_disk_kill(disk, (uint64_t)random());
		else
			sim_disk_crash(disk, (uint64_t)random());
	}
	add_counts(counts, sim_disk_counts(disk));
	sim_disk_free(disk);
	munmap(all, sizeof(*all));
}

Test(crash, what_was_durable_survives, .timeout = 600)
{
	const char *seed_text = getenv("SEED"), *n_text = getenv("SEEDS");
	uint64_t first = seed_text ? strtoull(seed_text, NULL, 10) : 1;
	uint64_t n = n_text ? strtoull(n_text, NULL, 10) : seed_text ? 1 : SEEDS;
	struct counts counts = {0};
	for (uint64_t seed = first; seed < first + n; seed++)
		run_seed(seed, &counts);
	if (seed_text)
		return;
	/* Or the disk was too kind for this to prove anything. */
	cr_assert_gt(counts.lost, n);
	cr_assert_gt(counts.torn, n);
	cr_assert_gt(counts.garbled, 0);
	cr_assert_gt(counts.in_flight, n);
}
