#include "storage/recovery/store.h"

#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "storage/image/image.h"
#include "storage/log/reader.h"
#include "storage/recovery/crew.h"
#include "storage/recovery/load_private.h"
#include "storage/recovery/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096 };

/* A start uses fewer generations than this, whatever it writes: those of files whose heads cannot be read lie
 * below what the manifest says. */
static const uint64_t generations_reserved = 1ull << 40;

static const uint64_t progress_ns = 2000000000;

/* ---- before there are shards --------------------------------------------------------------- */

static struct store *store_new(struct core *core, const struct store_options *options)
{
	struct store *store = memory_zalloc(sizeof(*store));
	size_t size = strlen(options->directory) + 1;
	store->options = *options;
	store->directory = memcpy(memory_alloc(size), options->directory, size);
	store->options.directory = store->directory;
	if (store->options.segment_size == 0)
		store->options.segment_size = STORE_SEGMENT_SIZE;
	store->manifest = memory_zalloc(sizeof(*store->manifest));
	store->recovered = keyspaces_initial();
	store->machine = core->machine;
	store->n_cores = core->n_cores;
	list_init(&store->changes);
	list_init(&store->round.asks);
	store->loading = true;
	return store;
}

static int write_superblock(struct core *core, const struct store *store, char *why, size_t why_size)
{
	int result = superblock_create(core, store->directory, &store->superblock);
	if (result < 0)
		snprintf(why, why_size, "cannot make a data directory in %s: %s", store->directory, strerror(-result));
	return result;
}

static int make_superblock(struct core *core, struct store *store, char *why, size_t why_size)
{
	struct superblock *superblock = &store->superblock;
	*superblock = (struct superblock){
	        .format = DIRECTORY_FORMAT, .partitions = PARTITIONS, .made_us = io_wall_us(core->io)};
	io_random(core->io, superblock->id, sizeof(superblock->id));
	io_random(core->io, &superblock->hash_seed, sizeof(superblock->hash_seed));
	return write_superblock(core, store, why, why_size);
}

/* Generations begin where nobody could guess: bytes that a client stores never look like a frame of a later use of
 * the file that they lie in. */
static void first_manifest(struct core *core, struct manifest *manifest)
{
	uint64_t generation;
	io_random(core->io, &generation, sizeof(generation));
	*manifest = (struct manifest){
	        .next_log = 1, .next_era = 1, .next_image = 1, .next_generation = (generation >> 16) + 1};
}

/* Without a manifest the start that made the superblock came to no end: nobody knows whether it is durable, nor its
 * name. It is made again, the same; where there are data as well the survey refuses. */
static int load_manifest(struct core *core, struct store *store, bool is_new, char *why, size_t why_size)
{
	int result = manifest_load(core, store->directory, &store->superblock, store->manifest, why, why_size);
	if (result != -ENOENT)
		return result;
	first_manifest(core, store->manifest);
	result = is_new ? 1 : directory_has_data(core, store->directory);
	if (result == 0)
		return write_superblock(core, store, why, why_size);
	if (result < 0)
		snprintf(why, why_size, "cannot read the data directory %s: %s", store->directory, strerror(-result));
	return result < 0 ? result : 0;
}

struct store *store_begin(struct core *core, const struct store_options *options, char *why, size_t why_size)
{
	struct store *store = store_new(core, options);
	int result = superblock_load(core, store->directory, &store->superblock, why, why_size);
	bool is_new = result == -ENOENT;
	if (is_new)
		result = make_superblock(core, store, why, why_size);
	if (result == 0)
		result = load_manifest(core, store, is_new, why, why_size);
	if (result == 0)
		return store;
	store_free(store);
	return NULL;
}

uint64_t store_hash_seed(const struct store *store) { return store->superblock.hash_seed; }
const struct keyspace_names *store_keyspace_names(const struct store *store) { return &store->recovered; }

/* ---- what there is ------------------------------------------------------------------------- */

static bool refuse(const struct faults *faults, const struct store *store, char *why, size_t why_size)
{
	snprintf(why, why_size,
	         "%s. Nothing was changed. `orbit check %s` lists all faults; `orbit check %s --salvage NEWDIR` writes "
	         "what can "
	         "be saved into a new directory",
	         faults->first, store->directory, store->directory);
	return false;
}

/* "PARTITION-NUMBER" */
static bool parse_image_name(const char *name, uint64_t *number)
{
	char *end;
	if (*name < '0' || *name > '9')
		return false;
	unsigned long partition = strtoul(name, &end, 10);
	if (*end != '-' || partition >= PARTITIONS_ALL)
		return false;
	const char *digits = end + 1;
	*number = strtoull(digits, &end, 16);
	return end > digits && *end == '\0';
}

static bool is_named(const struct store *store, const char *path)
{
	char named[PATH_ROOM];
	for (uint16_t p = 0; p < PARTITIONS_ALL; p++) {
		if (!store->manifest->partitions[p].image)
			continue;
		image_path(store->directory, p, store->manifest->partitions[p].image, named, sizeof(named));
		if (strcmp(named, path) == 0)
			return true;
	}
	return false;
}

/* Looks at every image file: numbers go on above all of them; those that do not count are removed if `remove`. */
static int look_at_images(struct core *core, struct store *store, bool remove)
{
	char path[PATH_ROOM];
	cleanup(buf_fini) struct buf names = {0};
	snprintf(path, sizeof(path), "%s/image", store->directory);
	int result = dir_list(core, path, &names);
	for (size_t at = 0; at < names.len && result >= 0;) {
		const char *name = (const char *)names.ptr + at;
		uint64_t number;
		at += strlen(name) + 1;
		if (!parse_image_name(name, &number))
			continue;
		if (number >= store->next_image)
			store->next_image = number + 1;
		snprintf(path, sizeof(path), "%s/image/%s", store->directory, name);
		if (remove && !is_named(store, path))
			result = file_remove(core, path);
	}
	return result < 0 ? result : 0;
}

static bool look_at_directory(struct core *core, struct store *store, char *why, size_t why_size)
{
	struct faults faults = {0};
	store->next_image = store->manifest->next_image;
	if (!survey_take(core, store->directory, &store->superblock, store->manifest, &store->survey, &faults))
		return refuse(&faults, store, why, why_size);
	int result = look_at_images(core, store, false);
	if (result < 0)
		fault(&faults, "%s/image: cannot be read: %s", store->directory, strerror(-result));
	else if (store->manifest->version == 0 && (store->survey.n_files > 0 || store->next_image > 1))
		fault(&faults, "%s: there are logs or images, but no manifest that says which of them count",
		      store->directory);
	return faults.n == 0 || refuse(&faults, store, why, why_size);
}

/* ---- loading ------------------------------------------------------------------------------- */

/* Says how far it has come, once in a while; lies in load_all()'s fiber. */
struct progress {
	struct timer timer;
	struct store *store;
};

static void say_progress(struct core *core, struct timer *timer)
{
	struct progress *progress = container_of(timer, struct progress, timer);
	const struct load_progress *p = &progress->store->progress;
	uint64_t all = told(p->all_bytes), done = told(p->done_bytes), keys = told(p->keys);
	double seconds = (double)(core->now_ns - progress->store->load_began_ns) / 1e9;
	log_notice("loading: %" PRIu64 " of %" PRIu64 " MB, %" PRIu64 " keys, %.0f keys/s", done >> 20, all >> 20, keys,
	           seconds > 0 ? (double)keys / seconds : 0.0);
	timer_start(&core->timers, timer, core->now_ns + progress_ns);
}

static void say_loaded(struct store *store)
{
	const struct load *load = store->load;
	double seconds = (double)store->load_ns / 1e9;
	log_notice("loaded %" PRIu64 " keys from %" PRIu64 " images and %" PRIu32 " logs (%" PRIu64
	           " MB) in %.3f s, %.0f keys/s%s",
	           store->progress.keys, load->n_images, store->survey.n_logs, store->progress.all_bytes >> 20, seconds,
	           seconds > 0 ? (double)store->progress.keys / seconds : 0.0,
	           load->torn_bytes ? "; a torn tail, never acknowledged, was cut" : "");
}

static bool load_all(struct core *core, struct store *store, char *why, size_t why_size)
{
	struct faults faults = {0};
	struct progress progress = {.timer.run = say_progress, .store = store};
	core_refresh_clock(core);
	store->load_began_ns = core->now_ns;
	store->load = memory_zalloc(sizeof(*store->load));
	*store->load = (struct load){.directory = store->directory,
	                             .superblock = &store->superblock,
	                             .manifest = store->manifest,
	                             .survey = &store->survey,
	                             .gives_up = store->options.gives_up,
	                             .progress = &store->progress};
	timer_start(&core->timers, &progress.timer, core->now_ns + progress_ns);
	bool ok = load_run(core, store->load, &faults);
	timer_stop(&core->timers, &progress.timer);
	core_refresh_clock(core);
	tell(store->load_ns, core->now_ns - store->load_began_ns);
	if (!ok && faults.n == 0)
		snprintf(why, why_size, "stopped while loading %s; nothing was changed", store->directory);
	else if (!ok)
		return refuse(&faults, store, why, why_size);
	if (!ok)
		return false;
	say_loaded(store);
	store->recovered = store->load->names;
	store->rows = store->load->rows;
	store->load->rows = (struct system_rows){0};
	return true;
}

/* ---- the manifest of this start ------------------------------------------------------------ */

static bool goes_on(const struct store *store) { return store->manifest->n_cores == store->n_cores; }

/* Some partition, or the list of logs, could not hold one era more. */
static bool is_full(const struct manifest *manifest, uint16_t n_cores)
{
	for (uint32_t p = 0; p < PARTITIONS_ALL; p++)
		if (manifest->partitions[p].n_ranges == RANGES_MAX)
			return true;
	return manifest->n_logs + n_cores > LOGS_MAX;
}

static uint32_t add_log(struct manifest *manifest, uint32_t era, uint16_t core)
{
	assert(manifest->n_logs < LOGS_MAX);
	struct manifest_log *log = &manifest->logs[manifest->n_logs++];
	*log = (struct manifest_log){.id = manifest->next_log++, .era = era, .core = core};
	return log->id;
}

/* Logs of this many cores, from LSN 0 on: so they are as long as nothing is in them yet. */
static void add_era(struct core *core, struct manifest *manifest)
{
	uint32_t ids[CORES_MAX], era = manifest->next_era++;
	for (uint16_t id = 0; id < core->n_cores; id++)
		ids[id] = add_log(manifest, era, id);
	for (uint16_t p = 0; p < PARTITIONS_ALL; p++) {
		struct manifest_partition *partition = &manifest->partitions[p];
		partition->ranges[partition->n_ranges++] = (struct manifest_range){.log = ids[load_owner(core, p)]};
	}
	manifest->n_cores = core->n_cores;
}

static uint64_t first_generation(const struct store *store)
{
	uint64_t seen = store->survey.next_generation, reserved = store->manifest->next_generation;
	return seen > reserved ? seen : reserved;
}

static void clean_images(struct core *core, struct store *store)
{
	int result = look_at_images(core, store, true);
	if (result < 0)
		log_warning("images that are not needed any more cannot be removed from %s: %s", store->directory,
		            strerror(-result));
}

static bool has_room(const struct store *store) { return told(store->reserve.kept) <= LOG_KEPT_ALL; }

/* Images instead of logs, where those cannot go on: in the manifest, or on a disk that they fill. There the room that is
 * left is the images' as long as no log has taken it; if it is not enough, the logs stay. 1: there are images, 0: not. */
static int images_instead(struct core *core, struct store *store, struct manifest *next)
{
	bool must = !goes_on(store) && is_full(next, core->n_cores);
	if (!must && has_room(store))
		return 0;
	int result = images_before_logs(core, store, next);
	if (result == 0)
		return 1;
	clean_images(core, store);
	return result == -ENOSPC && !must ? 0 : result;
}

static int next_manifest(struct core *core, struct store *store, struct manifest *next)
{
	*next = *store->manifest;
	next->epoch++;
	next->next_generation = first_generation(store) + generations_reserved;
	int result = images_instead(core, store, next);
	next->next_image = store->next_image;
	if (result < 0 || (result == 0 && goes_on(store)))
		return result;
	(void)manifest_drop_logs(next); /* makes room; the last era stays until there is another */
	add_era(core, next);
	(void)manifest_drop_logs(next);
	return 0;
}

/* The first is written to both files, so that later ones need no room on a disk that is full. */
static int store_manifest(struct core *core, const struct store *store, struct manifest *next)
{
	bool is_first = next->version == 0;
	int result = manifest_store(core, store->directory, &store->superblock, next);
	return result == 0 && is_first ? manifest_store(core, store->directory, &store->superblock, next) : result;
}

static bool put_manifest(struct core *core, struct store *store, struct manifest *next, char *why, size_t why_size)
{
	int result = store_manifest(core, store, next);
	if (result == 0)
		*store->manifest = *next;
	else
		snprintf(why, why_size, "cannot write to the data directory %s: %s", store->directory,
		         strerror(-result));
	return result == 0;
}

static bool switch_manifest(struct core *core, struct store *store, char *why, size_t why_size)
{
	struct manifest *next = memory_alloc(sizeof(*next));
	int result = next_manifest(core, store, next);
	if (result < 0)
		snprintf(why, why_size, "cannot write to the data directory %s: %s", store->directory,
		         strerror(-result));
	bool is_stored = result == 0 && put_manifest(core, store, next, why, why_size);
	memory_free(next);
	return is_stored;
}

/* ---- logs ---------------------------------------------------------------------------------- */

struct opening {
	struct store *store;
	uint64_t generation;
};

/* The log that this core writes from now on, and its place in the survey; NULL there: it is new. */
static uint32_t log_of_core(const struct store *store, uint16_t core, struct log_files **files)
{
	const struct manifest *manifest = store->manifest;
	uint32_t id = 0;
	for (uint32_t i = 0; i < manifest->n_logs; i++)
		if (manifest->logs[i].era + 1 == manifest->next_era && manifest->logs[i].core == core)
			id = manifest->logs[i].id;
	assert(id > 0);
	*files = NULL;
	for (uint32_t i = 0; i < store->survey.n_logs; i++)
		if (store->survey.logs[i].log.id == id)
			*files = &store->survey.logs[i];
	return id;
}

static void share_spare(const struct store *store, uint16_t core, struct segment_list *out)
{
	for (uint32_t i = core; i < store->survey.spare.n; i += store->n_cores)
		segment_list_add(out, &store->survey.spare.all[i]);
}

/* Does some core go on writing it? */
static bool is_of_last_era(const struct store *store, const struct log_files *files)
{
	return files->log.era + 1 == store->manifest->next_era;
}

/* The ends of logs that nobody goes on writing, those of an era with another number of cores; this core's part of
 * them. 0 or -errno. */
static int secure_logs(struct core *core, struct store *store, struct log_start *start)
{
	int result = 0;
	for (uint32_t i = core->id; i < store->survey.n_logs && result == 0; i += store->n_cores) {
		struct log_files *files = &store->survey.logs[i];
		struct log_end end = *load_log_end(store->load, i);
		if (is_of_last_era(store, files) || files->segments.n == 0)
			continue;
		do {
			result = log_secure(core, store->directory, &files->segments, &end, start->epoch,
			                    start->next_number, start->next_generation);
			start->next_number += start->number_step;
		} while (result == -ENOSPC && reserve_give(core, store));
	}
	return result;
}

static bool has_records(const struct store *store, uint32_t log)
{
	for (uint32_t i = 0; i < store->survey.n_logs; i++)
		if (store->survey.logs[i].log.id == log)
			return load_log_end(store->load, i)->next_lsn > 1;
	return false;
}

static void open_log(struct core *core, void *arg)
{
	struct opening *opening = arg;
	struct store *store = opening->store;
	struct store_core *own = &store->cores[core->id];
	struct log_files *files;
	struct segment_list spare = {0};
	struct log_start start = {.id = log_of_core(store, core->id, &files),
	                          .epoch = store->manifest->epoch,
	                          .next_lsn = 1,
	                          .segment_size = store->options.segment_size,
	                          .directory = store->directory,
	                          .spare = &spare,
	                          .next_number = store->survey.next_number + core->id,
	                          .number_step = store->n_cores,
	                          .next_generation = opening->generation,
	                          .giver = &store->reserve.giver};
	memcpy(start.directory_id, store->superblock.id, sizeof(start.directory_id));
	share_spare(store, core->id, &spare);
	if (files) {
		const struct log_end *end = load_log_end(store->load, (uint32_t)(files - store->survey.logs));
		start.next_lsn = end->next_lsn;
		start.place = end->place;
		start.chain = end->chain;
		start.segments = &files->segments;
	}
	own->store = store;
	own->core = core;
	own->is_begun = files && has_records(store, start.id);
	own->error = secure_logs(core, store, &start);
	if (own->error == 0)
		own->log = log_open(core, &start, &own->error);
}

static bool open_logs(struct core *core, struct store *store, uint64_t generation, char *why, size_t why_size)
{
	struct opening opening = {.store = store, .generation = generation};
	crew_run(core, open_log, &opening);
	segment_list_free(&store->survey.spare);
	for (uint16_t id = 0; id < store->n_cores; id++) {
		if (store->cores[id].log)
			continue;
		snprintf(why, why_size, "cannot begin a log in the data directory %s: %s%s", store->directory,
		         strerror(-store->cores[id].error),
		         store->cores[id].error == -ENOSPC ? "; a few MB must be freed on its disk" : "");
		return false;
	}
	return true;
}

/* True: some log that had no record when it was named has some by now, or ends later than was known. */
static bool note_ends(const struct store *store, struct manifest *manifest)
{
	bool any = false;
	for (uint32_t i = 0; i < store->survey.n_logs; i++)
		any |= manifest_saw_durable(manifest, store->survey.logs[i].log.id,
		                            load_log_end(store->load, i)->next_lsn - 1);
	for (uint32_t p = 0; p < PARTITIONS_ALL; p++)
		for (uint32_t i = 0; i < manifest->partitions[p].n_ranges; i++) {
			struct manifest_range *range = &manifest->partitions[p].ranges[i];
			if (range->from_lsn > 0 || !has_records(store, range->log))
				continue;
			range->from_lsn = 1;
			any = true;
		}
	return any;
}

/* From here on it is a fault if their files are missing. Not before their ends were made sure of: what a process that
 * was killed has written is read, and a crash may take it back, with the heads. */
static bool tell_begun_logs(struct core *core, struct store *store, char *why, size_t why_size)
{
	struct manifest *next = memory_alloc(sizeof(*next));
	*next = *store->manifest;
	bool is_stored = !note_ends(store, next) || put_manifest(core, store, next, why, why_size);
	memory_free(next);
	return is_stored;
}

/* ---- serving begins ------------------------------------------------------------------------ */

static void say_outcomes(struct store_core *own)
{
	struct log_files *files;
	uint32_t n;
	(void)log_of_core(own->store, own->core->id, &files);
	if (!files)
		return;
	const struct load_outcome *outcomes =
	        load_outcomes(own->store->load, (uint32_t)(files - own->store->survey.logs), &n);
	for (uint32_t i = 0; i < n; i++)
		(void)journal_outcome(own->journal, &outcomes[i].tx, outcomes[i].committed);
}

/* While the mode is LOG_ALWAYS. On a disk without any room that would wait until somebody makes some: whoever asked for
 * the start learns of it instead, after a while in which the log has tried more than once. */
static int wait_for_outcomes(struct core *core, struct log *log)
{
	const uint64_t step_ns = 1000 * 1000, patience_ns = 3000 * step_ns;
	uint64_t until_ns = core->now_ns + patience_ns, lsn = log_appended(log);
	while (log_durable(log) < lsn && !log_failed(log)) {
		if (core->now_ns > until_ns && log_room(log) >= LOG_ROOM_NONE)
			return -ENOSPC;
		fiber_sleep(core, step_ns);
	}
	return -log_failed(log);
}

/* How transactions ended that a crash had left open is logged before anything rests on it: the coordinator's
 * decision may be forgotten from now on. */
static void begin_core(struct core *core, void *arg)
{
	struct store *store = arg;
	struct store_core *own = &store->cores[core->id];
	log_set_kept(own->log, told(store->reserve.kept));
	own->journal = journal_new(core->shard, own->log);
	say_outcomes(own);
	own->error = wait_for_outcomes(core, own->log);
	log_set_mode(own->log, store->options.mode);
	core->shard->journal = own->journal;
	shard_recovered(core->shard);
	tier_begin(own->tier);
	look_begin(own);
}

static bool begin_cores(struct core *core, struct store *store, char *why, size_t why_size)
{
	crew_run(core, begin_core, store);
	for (uint16_t id = 0; id < store->n_cores; id++) {
		if (store->cores[id].error == 0)
			continue;
		snprintf(why, why_size, "cannot write to a log in the data directory %s: %s", store->directory,
		         strerror(-store->cores[id].error));
		return false;
	}
	return true;
}

static void drop_load(struct store *store)
{
	if (!store->load)
		return;
	load_fini(store->load);
	memory_free(take(store->load));
}

static bool make_tiers(struct core *core, struct store *store, char *why, size_t why_size)
{
	int result = tiers_make(core, store);
	if (result < 0)
		snprintf(why, why_size, "%s/tier: cannot be read: %s", store->directory, strerror(-result));
	return result == 0;
}

static void close_log(struct store_core *own)
{
	look_end(own);
	journal_free(take(own->journal));
	bool failed = log_failed(own->log);
	uint64_t durable_lsn = log_close(take(own->log)); /* of one that has failed: waits for what makes its files */
	if (!failed)
		own->closed_lsn = durable_lsn;
}

/* What waits for a disk without room would wait on: that log is abandoned later. */
static void give_up_log(struct core *core, void *arg)
{
	struct store_core *own = &((struct store *)arg)->cores[core->id];
	if (own->log && log_durable(own->log) == log_appended(own->log))
		close_log(own);
}

/* The logs are open: if this fails they make files in the background, which must come to an end. */
static bool begin_serving(struct core *core, struct store *store, char *why, size_t why_size)
{
	if (tell_begun_logs(core, store, why, why_size) && begin_cores(core, store, why, why_size))
		return true;
	crew_run(core, give_up_log, store);
	return false;
}

bool store_open(struct core *core, struct store *store, char *why, size_t why_size)
{
	if (!look_at_directory(core, store, why, why_size) || !make_tiers(core, store, why, why_size) ||
	    !load_all(core, store, why, why_size))
		return false;
	tiers_share(core, store);
	reserve_open(core, store);
	uint64_t generation = first_generation(store);
	if (!switch_manifest(core, store, why, why_size))
		return false;
	if (!has_room(store)) {
		remove_old_logs(core, store);
		clean_images(core, store);
		reserve_open(core, store);
	}
	if (!open_logs(core, store, generation, why, why_size) || !begin_serving(core, store, why, why_size))
		return false;
	clean_images(core, store);
	drop_load(store);
	tell(store->loading, false);
	if (!has_room(store))
		(void)store_image_start(core, store); /* the old logs take the room */
	return true;
}

/* ---- system rows ---------------------------------------------------------------------------- */

struct row_ask {
	struct log_waiter waiter;
	struct store *store;
	struct slice name, value;
	struct fiber *fiber;
	uint16_t from;
	int result;
};

static void row_answered(struct core *core, struct message *message)
{
	struct row_ask *ask = message->args[0].ptr;
	fiber_wake(core, ask->fiber);
}

static void row_durable(struct log *log, struct log_waiter *waiter)
{
	struct row_ask *ask = container_of(waiter, struct row_ask, waiter);
	struct core *core = ask->store->cores[0].core;
	ask->result = log_durable(log) >= waiter->lsn ? 0 : -log_failed(log);
	core_post(core, ask->from, &(struct message){.run = row_answered, .args[0].ptr = ask});
}

static void row_asked(struct core *core, struct message *message)
{
	struct row_ask *ask = message->args[0].ptr;
	struct store_core *own = &ask->store->cores[0];
	rows_put(&ask->store->rows, ask->name, ask->value); /* what images of the system partition show */
	ask->waiter.run = row_durable;
	ask->waiter.lsn = journal_put_row(own->journal, ask->name, ask->value);
	if (log_failed(own->log) || log_wait(own->log, &ask->waiter))
		row_durable(own->log, &ask->waiter);
}

int store_put_row(struct core *core, struct store *store, struct slice name, struct slice value)
{
	struct row_ask ask = {
	        .store = store, .name = name, .value = value, .fiber = fiber_self(core), .from = core->id};
	core_post(core, 0, &(struct message){.run = row_asked, .args[0].ptr = &ask});
	fiber_wait(core);
	return ask.result;
}

int store_name_keyspaces(struct core *core, struct store *store, const struct keyspace_names *names)
{
	uint8_t value[KEYSPACES_SIZE];
	keyspaces_encode(names, value);
	return store_put_row(core, store, ROW_KEYSPACES, slice_of(value, sizeof(value)));
}

void store_collect_names(struct store *store, const struct keyspace_names *names, struct changes *changes)
{
	uint8_t value[KEYSPACES_SIZE];
	keyspaces_encode(names, value);
	store_collect_row(store, ROW_KEYSPACES, slice_of(value, sizeof(value)), changes);
}

void store_collect_row(struct store *store, struct slice name, struct slice value, struct changes *changes)
{
	rows_put(&store->rows, name, value);
	changes_put_row(changes, name, value);
}

void store_collect_row_gone(struct store *store, struct slice name, struct changes *changes)
{
	rows_delete(&store->rows, name);
	changes_delete_row(changes, name);
}

void store_each_row(struct store *store, struct slice prefix,
                    void (*visit)(void *arg, struct slice name, struct slice value), void *arg)
{
	for (uint32_t i = 0; i < store->rows.n; i++) {
		struct slice name = buf_slice(&store->rows.all[i].name);
		if (name.len >= prefix.len && slice_equal(slice_sub(name, 0, prefix.len), prefix))
			visit(arg, name, buf_slice(&store->rows.all[i].value));
	}
}

/* ---- the end ------------------------------------------------------------------------------- */

static void close_core(struct core *core, void *arg)
{
	struct store_core *own = &((struct store *)arg)->cores[core->id];
	if (own->tier)
		tier_stop(own->tier);
	tier_free(take(own->tier));
	if (own->log)
		close_log(own);
}

/* How far each log goes, for the next start to find: nothing in a log itself says what came last. */
static void say_ends(struct core *core, struct store *store)
{
	struct manifest *next = memory_alloc(sizeof(*next));
	struct log_files *files;
	bool is_news = false;
	*next = *store->manifest;
	for (uint16_t id = 0; id < store->n_cores; id++)
		if (store->cores[id].closed_lsn > 0)
			is_news |=
			        manifest_saw_durable(next, log_of_core(store, id, &files), store->cores[id].closed_lsn);
	int result = is_news ? manifest_store(core, store->directory, &store->superblock, next) : 0;
	memory_free(next);
	if (result < 0)
		log_warning("the manifest of %s does not say how far the logs go: %s", store->directory,
		            strerror(-result));
}

void store_close(struct core *core, struct store *store)
{
	tell(store->closing, true);
	round_wait_for_end(core, store);
	crew_run(core, close_core, store);
	round_wait_for_end(core, store);
	say_ends(core, store);
}

static void abandon_core(struct store_core *own)
{
	tier_free(take(own->tier));
	if (!own->log)
		return;
	look_end(own);
	journal_free(take(own->journal));
	log_abandon(take(own->log));
}

void store_free(struct store *store)
{
	if (!store)
		return;
	for (uint16_t id = 0; id < store->n_cores; id++)
		abandon_core(&store->cores[id]);
	drop_load(store);
	tier_list_fini(&store->tiers);
	survey_fini(&store->survey);
	rows_fini(&store->rows);
	memory_free(store->manifest);
	memory_free(store->directory);
	memory_free(store);
}

/* ---- what it tells ------------------------------------------------------------------------- */

void store_facts_here(struct core *core, struct store *store)
{
	struct store_core *own = &store->cores[core->id];
	if (own->log)
		store_core_tell(own);
}

void store_facts(struct store *store, struct store_facts *out)
{
	*out = (struct store_facts){.loading = told(store->loading),
	                            .load_ns = told(store->load_ns),
	                            .image_running = told(store->image_running),
	                            .image_failed = told(store->image_failed),
	                            .image_last_s = told(store->image_last_s),
	                            .image_last_ok_s = told(store->image_last_ok_s),
	                            .image_last_ns = told(store->image_last_ns),
	                            .images_ok = told(store->images_ok),
	                            .images_failed = told(store->images_failed)};
	out->load_all_bytes = told(store->progress.all_bytes);
	out->load_done_bytes = told(store->progress.done_bytes);
	out->loaded_keys = told(store->progress.keys);
	for (uint16_t id = 0; id < store->n_cores; id++) {
		const struct store_core *own = &store->cores[id];
		out->changes_at_image += told(own->changes_at_image);
		out->log_bytes += told(own->log_bytes);
		out->failed_cores += told(own->log_error) != 0;
	}
}
