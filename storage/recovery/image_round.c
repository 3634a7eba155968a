/* Images of everything, a round at a time.
 *
 *   core 0      begin ----------------------------------------------------------> all cores done: end
 *   each core     \-> write a few partitions -> settle -> change the manifest -> forget -> the next few -/
 *
 * What an image shows must be in the logs for good before it counts, and so must what the transactions
 * decided whose changes it shows. So the cores settle first: those who hold locks now let go of them, which
 * they do when their outcome is logged, and then everything logged so far becomes durable, on all cores.
 */
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "storage/image/image.h"
#include "storage/locks/locks.h"
#include "storage/recovery/crew.h"
#include "storage/recovery/load_private.h"
#include "storage/recovery/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	GROUP_MAX = 8, /* partitions that are settled together */
	LOOK_NS = RARE(1000 * 1000 * 1000, 20 * 1000 * 1000),
	SETTLE_NS = 1000 * 1000,
	REST_MIN_NS = 1000 * 1000, /* a timer is no finer */
	REST_MAX_NS = 50 * 1000 * 1000,
	DATABASES = 16,
	PATH_ROOM = 4096,
};
static const uint64_t wait_after_failure_ns = 5000000000;
static const uint64_t cold_idle_usual = RARE(64ull << 20, 64 << 10);
static const uint64_t log_bytes_usual = RARE(256ull << 20, 256 << 10);

/* One partition's image, written and not yet in the manifest. */
struct image_made {
	uint16_t partition;
	uint64_t number; /* 0: the partition was empty */
	uint64_t from_lsn;
	uint64_t replaced; /* the image that it takes the place of; 0: none */
};

struct image_part {
	struct store *store;
	struct core *core;
	uint16_t partitions[PARTITIONS_ALL]; /* to be written */
	uint16_t n, at;
	struct image_made made[GROUP_MAX];
	uint16_t n_made;
	struct manifest_change change; /* of these */
	uint64_t durable_lsn;          /* of the log, before it */
	uint64_t forget_lsn;           /* what it allows */
	struct fiber *fiber;
	int error;
	bool had_reserve; /* for these: there is no more */
	uint64_t raw_bytes;
	/* Holding back: */
	uint64_t resumed_ns, debt_ns;
	uint64_t seen; /* what the shard had done when last looked at */
};

bool store_has_failed_log(const struct store *store)
{
	for (uint16_t i = 0; i < store->n_cores; i++)
		if (told(store->cores[i].log_error))
			return true;
	return false;
}

static bool gives_up(const struct store *store) { return told(store->closing) || store_has_failed_log(store); }

/* ---- holding back -------------------------------------------------------------------------- */

/* Is somebody being served, or does a commit wait? */
static bool is_busy(struct image_part *part)
{
	const struct shard *shard = part->core->shard;
	const struct log *log = part->store->cores[part->core->id].log;
	uint64_t done = shard->counters.hits + shard->counters.misses + shard->changes;
	bool busy = done != part->seen || (log && log_durable(log) < log_appended(log));
	part->seen = done;
	return busy;
}

/* Of the time of a busy core an image takes three parts in twenty; of a quiet one four in five. */
static bool part_pause(void *arg, size_t bytes)
{
	struct image_part *part = arg;
	struct core *core = part->core;
	uint64_t worked_ns = io_now_ns(core->io) - part->resumed_ns;
	part->debt_ns += is_busy(part) ? worked_ns * 17 / 3 : worked_ns / 4;
	if (part->debt_ns < REST_MIN_NS) {
		fiber_yield(core);
	} else {
		uint64_t rest_ns = part->debt_ns < REST_MAX_NS ? part->debt_ns : REST_MAX_NS;
		part->debt_ns = 0;
		fiber_sleep(core, rest_ns);
	}
	part->resumed_ns = io_now_ns(core->io);
	return !gives_up(part->store);
}

/* ---- one partition ------------------------------------------------------------------------- */

static uint64_t lsn_of_log(void *arg)
{
	const struct image_part *part = arg;
	const struct log *log = part->store->cores[part->core->id].log;
	return log ? log_appended(log) : 0;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void see_one(void *arg, struct object *object) { *(bool *)arg = true; }

static bool is_empty(struct shard *shard, uint16_t partition, const uint32_t spaces[DATABASES])
{
	bool any = false;
	for (uint32_t i = 0; i < DATABASES && !any; i++)
		any = keyspace_scan_all(shard, spaces[i], partition, 0, 1, see_one, &any) != 0 || any;
	return !any;
}

static int write_keys(struct image_part *part, uint16_t partition, uint64_t number, struct image_made *made)
{
	struct shard *shard = part->core->shard;
	struct image_source source = {.shard = shard, .lsn = lsn_of_log, .arg = part, .pause = part_pause};
	uint32_t spaces[DATABASES];
	memcpy(spaces, shard->keyspace_of_db, sizeof(spaces));
	qsort(spaces, DATABASES, sizeof(spaces[0]), by_id);
	/* Not from where the image says that it began: by then a keyspace may have got another id, whose keys it lacks.
	 */
	*made = (struct image_made){.partition = partition, .from_lsn = lsn_of_log(part) + 1};
	if (is_empty(shard, partition, spaces))
		return 0;
	struct image_written written;
	int result = image_write(part->core, part->store->directory, &part->store->superblock, number, partition,
	                         &source, spaces, DATABASES, &written);
	if (result < 0)
		return result;
	made->number = number;
	part->raw_bytes += written.raw_bytes;
	return 0;
}

/* Rows may change while they are written: what is written is a copy. */
static void copy_rows(const struct system_rows *rows, struct buf *bytes, struct slice *names, struct slice *values)
{
	for (uint32_t i = 0; i < rows->n; i++) {
		buf_append(bytes, buf_slice(&rows->all[i].name));
		buf_append(bytes, buf_slice(&rows->all[i].value));
	}
	size_t at = 0;
	for (uint32_t i = 0; i < rows->n; i++) {
		names[i] = slice_of(bytes->ptr + at, rows->all[i].name.len);
		values[i] = slice_of(names[i].ptr + names[i].len, rows->all[i].value.len);
		at += names[i].len + values[i].len;
	}
}

static int write_rows(struct image_part *part, uint64_t number, struct image_made *made)
{
	const struct system_rows *rows = &part->store->rows;
	uint32_t n = rows->n;
	uint64_t lsn = lsn_of_log(part);
	*made = (struct image_made){.partition = PARTITION_SYSTEM, .from_lsn = lsn + 1};
	if (n == 0)
		return 0;
	cleanup(buf_fini) struct buf bytes = {0};
	struct slice *slices = memory_alloc(2 * n * sizeof(*slices));
	struct image_written written;
	copy_rows(rows, &bytes, slices, slices + n);
	int result = image_write_rows(part->core, part->store->directory, &part->store->superblock, number, lsn, slices,
	                              slices + n, n, &written);
	memory_free(slices);
	if (result < 0)
		return result;
	made->number = number;
	return 0;
}

static int write_one(struct image_part *part, uint16_t partition, uint64_t number, struct image_made *made)
{
	return partition == PARTITION_SYSTEM ? write_rows(part, number, made)
	                                     : write_keys(part, partition, number, made);
}

/* ---- settling ------------------------------------------------------------------------------ */

struct settling {
	struct store *store;
	int errors[CORES_MAX];
};

static void settle_here(struct core *core, void *arg)
{
	struct settling *settling = arg;
	struct log *log = settling->store->cores[core->id].log;
	const struct locks *locks = core->shard->locks;
	for (uint64_t seen = locks_next(locks); locks_oldest(locks) < seen;) {
		if (gives_up(settling->store)) {
			settling->errors[core->id] = -ECANCELED;
			return;
		}
		fiber_sleep(core, SETTLE_NS);
	}
	settling->errors[core->id] = log_failed(log) ? -log_failed(log) : log_wait_for(core, log, log_appended(log));
}

static int settle(struct image_part *part)
{
	struct settling *settling = memory_zalloc(sizeof(*settling));
	settling->store = part->store;
	crew_run(part->core, settle_here, settling);
	int error = 0;
	for (uint16_t i = 0; i < part->store->n_cores && !error; i++)
		error = settling->errors[i];
	memory_free(settling);
	return error;
}

/* ---- making it count ----------------------------------------------------------------------- */

static uint32_t own_log(const struct manifest *manifest, uint16_t core)
{
	const struct manifest_log *last = NULL;
	for (uint32_t i = 0; i < manifest->n_logs; i++)
		if (manifest->logs[i].core == core && (!last || manifest->logs[i].era > last->era))
			last = &manifest->logs[i];
	return last->id;
}

/* On core 0, while the part's fiber waits. */
static void put_into_manifest(struct manifest *manifest, const struct manifest_change *change)
{
	struct image_part *part = container_of(change, struct image_part, change);
	uint32_t log = own_log(manifest, part->core->id);
	(void)manifest_saw_durable(manifest, log, part->durable_lsn);
	for (uint16_t i = 0; i < part->n_made; i++) {
		struct image_made *made = &part->made[i];
		struct manifest_partition *partition = &manifest->partitions[made->partition];
		made->replaced = partition->image;
		partition->image = made->number;
		partition->n_ranges = 1;
		partition->ranges[0] = (struct manifest_range){.log = log, .from_lsn = made->from_lsn};
		if (made->number >= manifest->next_image)
			manifest->next_image = made->number + 1;
	}
	part->forget_lsn = manifest_needs_from(manifest, log);
}

static void part_answered(struct core *core, struct message *message)
{
	struct manifest_change *change = message->args[0].ptr;
	fiber_wake(core, container_of(change, struct image_part, change)->fiber);
}

static void remove_image(struct core *core, const struct store *store, uint16_t partition, uint64_t number)
{
	char path[PATH_ROOM];
	image_path(store->directory, partition, number, path, sizeof(path));
	int result = file_remove(core, path);
	if (result < 0 && result != -ENOENT)
		log_warning("%s, which is not needed any more, cannot be removed: %s", path, strerror(-result));
}

/* A log without any record has no file yet, and LSN 0 says so. */
static void mark_empty_log(struct image_part *part)
{
	bool none = log_appended(part->store->cores[part->core->id].log) == 0;
	for (uint16_t i = 0; i < part->n_made && none; i++)
		part->made[i].from_lsn = 0;
}

static int make_count(struct image_part *part)
{
	mark_empty_log(part);
	part->fiber = fiber_self(part->core);
	part->durable_lsn = log_durable(part->store->cores[part->core->id].log);
	part->change = (struct manifest_change){.apply = put_into_manifest, .answered = part_answered};
	manifest_ask(part->core, part->store, &part->change);
	fiber_wait(part->core);
	if (part->change.result < 0)
		return part->change.result;
	for (uint16_t i = 0; i < part->n_made; i++)
		if (part->made[i].replaced)
			remove_image(part->core, part->store, part->made[i].partition, part->made[i].replaced);
	log_forget_before(part->store->cores[part->core->id].log, part->forget_lsn);
	tier_forget_before(part->store->cores[part->core->id].tier, part->forget_lsn);
	part->n_made = 0;
	part->change.apply = NULL;
	return 0;
}

/* ---- one core's part ----------------------------------------------------------------------- */

/* Those with most log behind them first. */
struct behind {
	uint64_t from_lsn;
	uint32_t era;
	uint16_t partition;
};

static int most_behind(const void *a, const void *b)
{
	const struct behind *x = a, *y = b;
	if (x->era != y->era)
		return x->era < y->era ? -1 : 1;
	return (x->from_lsn > y->from_lsn) - (x->from_lsn < y->from_lsn);
}

static struct behind behind_of(const struct manifest *manifest, uint16_t partition)
{
	const struct manifest_partition *p = &manifest->partitions[partition];
	struct behind behind = {.partition = partition};
	if (p->n_ranges == 0)
		return behind;
	behind.from_lsn = p->ranges[0].from_lsn;
	behind.era = manifest_find_log(manifest, p->ranges[0].log)->era;
	return behind;
}

/* On core 0, which owns the manifest. */
static struct image_part *part_new(struct store *store, uint16_t id)
{
	struct behind all[PARTITIONS_ALL];
	struct image_part *part = memory_zalloc(sizeof(*part));
	part->store = store;
	part->core = store->machine->cores[id];
	for (uint16_t p = 0; p < PARTITIONS_ALL; p++)
		if (load_owner(part->core, p) == id)
			all[part->n++] = behind_of(store->manifest, p);
	qsort(all, part->n, sizeof(all[0]), most_behind);
	for (uint16_t i = 0; i < part->n; i++)
		part->partitions[i] = all[i].partition;
	return part;
}

static int write_group(struct image_part *part)
{
	while (part->at < part->n && part->n_made < GROUP_MAX) {
		int result = write_one(part, part->partitions[part->at], part->store->round.number,
		                       &part->made[part->n_made]);
		if (result < 0)
			return result;
		part->at++;
		part->n_made++;
	}
	return 0;
}

/* What is kept for a full disk is taken, by this core or by another. */
static bool takes_reserve(struct image_part *part)
{
	if (part->had_reserve)
		return false;
	part->had_reserve = true;
	reserve_give_to_images(part->core, part->store);
	return true;
}

/* On a disk that is nearly full groups are smaller: those that are there make room for others once they count. */
static int part_run(struct image_part *part)
{
	while (part->at < part->n) {
		int result = write_group(part);
		if (result == -ENOSPC && part->n_made == 0 && takes_reserve(part))
			continue;
		if (result < 0 && !(result == -ENOSPC && part->n_made > 0))
			return result;
		part->had_reserve = false;
		result = settle(part);
		if (result == 0)
			result = make_count(part);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Images that will never count. */
static void remove_made(struct image_part *part)
{
	/* Once the manifest was to name them, it may: whatever the writing said. They stay for the next start to judge.
	 */
	for (uint16_t i = 0; i < part->n_made && !part->change.apply; i++)
		if (part->made[i].number)
			remove_image(part->core, part->store, part->made[i].partition, part->made[i].number);
}

static void round_end(void *arg);

static void part_ended(struct core *core, struct message *message)
{
	struct image_part *part = message->args[0].ptr;
	struct store *store = part->store;
	if (part->error && !store->round.error)
		store->round.error = part->error;
	memory_free(part);
	if (--store->round.left == 0)
		fiber_start(core, round_end, store);
}

static void part_main(void *arg)
{
	struct image_part *part = arg;
	struct store_core *own = &part->store->cores[part->core->id];
	uint64_t changes = part->core->shard->changes, logged = log_counters(own->log)->bytes;
	part->resumed_ns = io_now_ns(part->core->io);
	part->error = log_failed(own->log) ? -log_failed(own->log) : part_run(part);
	if (part->error)
		remove_made(part);
	if (!part->error) {
		own->image_bytes = part->raw_bytes;
		own->logged_before = 0;
		own->logged_at_image = logged;
		tell(own->changes_at_image, changes);
	}
	store_core_tell(own);
	core_post(part->core, 0, &(struct message){.run = part_ended, .args[0].ptr = part});
}

static void part_begins(struct core *core, struct message *message)
{
	fiber_start(core, part_main, message->args[0].ptr);
}

/* ---- the round, on core 0 ------------------------------------------------------------------ */

bool round_begin(struct core *core, struct store *store)
{
	struct image_round *round = &store->round;
	if (told(store->closing) || round->running) {
		if (!round->running)
			tell(store->image_running, false);
		return false;
	}
	round->running = true;
	round->number = store->next_image++;
	round->left = store->n_cores;
	round->error = 0;
	round->began_ns = core->now_ns;
	for (uint16_t id = 0; id < store->n_cores; id++)
		core_post(core, id, &(struct message){.run = part_begins, .args[0].ptr = part_new(store, id)});
	return true;
}

void remove_old_logs(struct core *core, struct store *store)
{
	char path[PATH_ROOM];
	for (uint32_t i = 0; i < store->survey.n_logs; i++) {
		struct log_files *files = &store->survey.logs[i];
		if (manifest_find_log(store->manifest, files->log.id))
			continue;
		for (uint32_t s = 0; s < files->segments.n; s++) {
			segment_path(store->directory, files->segments.all[s].number, path, sizeof(path));
			int result = file_remove(core, path);
			if (result < 0 && result != -ENOENT)
				log_warning("%s, which is not needed any more, cannot be removed: %s", path,
				            strerror(-result));
		}
		segment_list_free(&files->segments);
	}
}

static void ask_answered(struct core *core, struct message *message)
{
	struct image_ask *ask = message->args[0].ptr;
	fiber_wake(core, ask->fiber);
}

static void answer(struct core *core, struct image_ask *ask, int result)
{
	ask->result = result;
	core_post(core, ask->from, &(struct message){.run = ask_answered, .args[0].ptr = ask});
}

static void note_end(struct core *core, struct store *store)
{
	struct image_round *round = &store->round;
	uint64_t took_ns = core->now_ns - round->began_ns;
	tell(store->image_last_ns, took_ns);
	tell(store->image_failed, round->error != 0);
	if (round->error == 0) {
		tell(store->image_last_ok_s, core->wall_us / 1000000);
		tell(store->images_ok, store->images_ok + 1);
		tell(store->images_failed, 0);
		log_notice("images of all partitions written in %.3f s", (double)took_ns / 1e9);
		return;
	}
	tell(store->images_failed, store->images_failed + 1);
	tell(store->round.wait_until_ns, core->now_ns + wait_after_failure_ns);
	if (round->error != -ECANCELED)
		log_warning("images could not be written: %s; logs are kept instead", strerror(-round->error));
}

static void round_end(void *arg)
{
	struct store *store = arg;
	struct core *core = core_current();
	struct image_round *round = &store->round;
	remove_old_logs(core, store);
	if (round->error == 0)
		tiers_remove_files(core, store);
	note_end(core, store);
	tell(round->again_ns, core->now_ns + (round->error ? wait_after_failure_ns : LOOK_NS));
	round->running = false;
	reserve_tend(core, store);
	tell(store->image_running, false);
	for (struct link *link; (link = list_pop_front(&round->asks));)
		answer(core, container_of(link, struct image_ask, link), round->error);
	round_may_have_ended(core, store);
}

void round_may_have_ended(struct core *core, struct store *store)
{
	if (store->closer && !store->round.running && !store->changing && !store->reserve.n_workers)
		fiber_wake(core, take(store->closer));
}

void round_wait_for_end(struct core *core, struct store *store)
{
	while (store->round.running || store->changing || store->reserve.n_workers) {
		store->closer = fiber_self(core);
		fiber_wait(core);
	}
}

/* ---- asking for it ------------------------------------------------------------------------- */

static void image_asked(struct core *core, struct message *message)
{
	struct store *store = message->args[0].ptr;
	struct image_ask *ask = message->args[1].ptr;
	bool begun = round_begin(core, store);
	if (ask && begun)
		list_push_back(&store->round.asks, &ask->link);
	else if (ask)
		answer(core, ask, -EBUSY);
}

static bool ask_for_round(struct core *core, struct store *store, struct image_ask *ask)
{
	if (told(store->loading) || __atomic_exchange_n(&store->image_running, true, __ATOMIC_RELAXED))
		return false;
	tell(store->image_last_s, core->wall_us / 1000000);
	core_post(core, 0, &(struct message){.run = image_asked, .args = {{.ptr = store}, {.ptr = ask}}});
	return true;
}

bool store_image_start(struct core *core, struct store *store) { return ask_for_round(core, store, NULL); }

int store_image(struct core *core, struct store *store)
{
	struct image_ask ask = {.fiber = fiber_self(core), .from = core->id};
	if (!ask_for_round(core, store, &ask))
		return -EBUSY;
	fiber_wait(core);
	return ask.result;
}

/* ---- looking ------------------------------------------------------------------------------- */

static void put_begun(struct manifest *manifest, const struct manifest_change *change)
{
	const struct store_core *own = container_of(change, struct store_core, begun);
	uint32_t log = own_log(manifest, own->core->id);
	for (uint32_t p = 0; p < PARTITIONS_ALL; p++)
		for (uint32_t i = 0; i < manifest->partitions[p].n_ranges; i++) {
			struct manifest_range *range = &manifest->partitions[p].ranges[i];
			if (range->log == log && range->from_lsn == 0)
				range->from_lsn = 1;
		}
}

static void begun_answered(struct core *core, struct message *message)
{
	struct manifest_change *change = message->args[0].ptr;
	struct store_core *own = container_of(change, struct store_core, begun);
	own->tells_begun = false;
	if (change->result < 0)
		own->is_begun = false;
}

/* From the first record on the log has files, and it is a fault if they are missing. */
static void tell_begun(struct store_core *own)
{
	if (own->is_begun || own->tells_begun || log_durable(own->log) == 0)
		return;
	own->is_begun = own->tells_begun = true;
	own->begun = (struct manifest_change){.apply = put_begun, .answered = begun_answered};
	manifest_ask(own->core, own->store, &own->begun);
}

/* Images let go of files that nobody points to any more. */
static bool wants_cold_space(const struct store_core *own)
{
	uint64_t idle = told(own->tier_idle_bytes), live = told(own->tier_live_bytes);
	return idle > cold_idle_usual && idle > live / 4 && idle > own->image_bytes / 4;
}

static bool wants_images(const struct store_core *own)
{
	const struct store_options *options = &own->store->options;
	uint64_t bytes = told(own->log_bytes);
	uint64_t limit = options->image_log_bytes ? options->image_log_bytes : log_bytes_usual;
	uint64_t growth = options->image_growth ? options->image_growth : 2;
	bool log_grew = bytes > limit && bytes > own->image_bytes * (growth - 1);
	return (log_grew || wants_cold_space(own)) && own->core->now_ns >= told(own->store->round.wait_until_ns);
}

/* Images let go of the log that fills the disk, but for the segment that is written: sooner where not even deletions
 * are taken. */
static bool wants_room(const struct store_core *own)
{
	enum log_room room = log_room(own->log);
	uint64_t segments = room >= LOG_ROOM_NONE ? 1 : 2;
	return room != LOG_ROOM_YES && told(own->log_bytes) > segments * own->store->options.segment_size &&
	       own->core->now_ns >= told(own->store->round.again_ns);
}

static uint64_t old_log_bytes(const struct store *store)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < store->survey.n_logs; i++)
		for (uint32_t s = 0; s < store->survey.logs[i].segments.n; s++)
			bytes += store->survey.logs[i].segments.all[s].size;
	return bytes;
}

static void look(struct core *core, struct timer *timer)
{
	struct store_core *own = container_of(timer, struct store_core, look);
	store_core_tell(own);
	if (!log_failed(own->log)) {
		tell_begun(own);
		tier_tend(own->tier);
		if (wants_images(own) || wants_room(own))
			(void)store_image_start(core, own->store);
	}
	if (core->id == 0)
		reserve_tend(core, own->store);
	timer_start(&core->timers, timer, core->now_ns + LOOK_NS);
}

/* No image can grow by more than was logged since, nor take more than memory; and two of a partition lie there for a
 * while. */
static uint64_t image_growth(const struct store_core *own)
{
	uint64_t logged = own->logged_before + log_counters(own->log)->bytes - own->logged_at_image;
	uint64_t memory = shard_memory(own->core->shard);
	return (logged < memory ? logged : memory) + memory / 32;
}

void store_core_tell(struct store_core *own)
{
	uint64_t old = own->core->id == 0 ? old_log_bytes(own->store) : 0;
	tell(own->log_bytes, log_size(own->log) + old);
	tell(own->log_error, log_failed(own->log));
	tell(own->image_growth, image_growth(own));
	tell(own->tier_idle_bytes, tier_idle_bytes(own->tier));
	tell(own->tier_live_bytes, tier_live_bytes(own->tier));
}

void look_begin(struct store_core *own)
{
	tell(own->changes_at_image, own->core->shard->changes);
	own->look.run = look;
	own->logged_before = log_size(own->log) + old_log_bytes(own->store) / own->store->n_cores;
	store_core_tell(own);
	timer_start(&own->core->timers, &own->look, own->core->now_ns + LOOK_NS);
}

void look_end(struct store_core *own) { timer_stop(&own->core->timers, &own->look); }

/* ---- before there are logs ----------------------------------------------------------------- */

struct early_images {
	struct store *store;
	uint64_t number;
	int errors[CORES_MAX];
	bool has[PARTITIONS_ALL];
};

/* On a disk without room once more, with what is kept for that, given by this core or by another. */
static int write_one_early(struct image_part *part, uint16_t partition, uint64_t number, struct image_made *made)
{
	int result = write_one(part, partition, number, made);
	if (result != -ENOSPC || part->had_reserve)
		return result;
	part->had_reserve = true;
	(void)reserve_give(part->core, part->store);
	return write_one(part, partition, number, made);
}

static void write_early(struct core *core, void *arg)
{
	struct early_images *early = arg;
	struct image_part *part = memory_zalloc(sizeof(*part));
	*part = (struct image_part){.store = early->store, .core = core, .resumed_ns = io_now_ns(core->io)};
	for (uint16_t p = 0; p < PARTITIONS_ALL && !early->errors[core->id]; p++) {
		struct image_made made;
		if (load_owner(core, p) != core->id)
			continue;
		early->errors[core->id] = write_one_early(part, p, early->number, &made);
		early->has[p] = made.number != 0;
	}
	memory_free(part);
}

int images_before_logs(struct core *core, struct store *store, struct manifest *manifest)
{
	struct early_images *early = memory_zalloc(sizeof(*early));
	early->store = store;
	early->number = store->next_image++;
	crew_run(core, write_early, early);
	int error = 0;
	for (uint16_t i = 0; i < store->n_cores && !error; i++)
		error = early->errors[i];
	for (uint32_t p = 0; p < PARTITIONS_ALL && !error; p++) {
		manifest->partitions[p].image = early->has[p] ? early->number : 0;
		manifest->partitions[p].n_ranges = 0;
	}
	memory_free(early);
	return error;
}
