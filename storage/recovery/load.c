#include "storage/recovery/load.h"

#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "engine/memory/slab.h"
#include "engine/placement/placement.h"
#include "storage/journal/apply.h"
#include "storage/recovery/crew.h"
#include "storage/recovery/load_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	WORK_SLICE = 256, /* records or so, about 100 us */
	PATH_ROOM = 4096,
	IMAGES_AT_ONCE = 3, /* on each core */
};

uint16_t load_owner(const struct core *core, uint16_t partition)
{
	return partition == PARTITION_SYSTEM ? 0 : core->machine->placement->core_of[partition];
}

void share_worked(struct load_share *share, uint32_t work)
{
	share->work += work;
	if (share->work < WORK_SLICE)
		return;
	share->work = 0;
	fiber_yield(share->core);
}

/* ---- packed records ------------------------------------------------------------------------ */

static size_t packed_size(uint32_t length) { return sizeof(struct packed_record) + ((size_t)length + 7) / 8 * 8; }

void pack_record(struct buf *to, const struct record *record, bool covered)
{
	uint32_t length = (uint32_t)record->body.len;
	struct packed_record *packed = (struct packed_record *)buf_reserve(to, packed_size(length));
	*packed = (struct packed_record){.lsn = record->lsn,
	                                 .space = record->space,
	                                 .length = length,
	                                 .slot = record->slot,
	                                 .kind = record->kind,
	                                 .covered = covered};
	if (length > 0)
		memcpy(packed + 1, record->body.ptr, length);
	to->len += packed_size(length);
}

bool unpack_record(struct slice *from, struct record *out, bool *covered)
{
	if (from->len == 0)
		return false;
	const struct packed_record *packed = (const struct packed_record *)from->ptr;
	*out = (struct record){.kind = packed->kind,
	                       .slot = packed->slot,
	                       .space = packed->space,
	                       .lsn = packed->lsn,
	                       .body = slice_of(packed + 1, packed->length)};
	*covered = packed->covered;
	*from = slice_sub(*from, packed_size(packed->length), from->len);
	return true;
}

/* ---- keyspaces ----------------------------------------------------------------------------- */

static bool has_space(const struct load_share *share, uint32_t space)
{
	for (uint32_t i = 0; i < share->n_spaces; i++)
		if (share->spaces[i] == space)
			return true;
	return false;
}

static void note_space(struct load_share *share, uint32_t space)
{
	if (has_space(share, space))
		return;
	if (share->n_spaces == share->spaces_room) {
		share->spaces_room = share->spaces_room ? share->spaces_room * 2 : 16;
		share->spaces = memory_resize(share->spaces, share->spaces_room * sizeof(*share->spaces));
	}
	share->spaces[share->n_spaces++] = space;
}

/* Keys of a keyspace that was emptied need not be put back. */
static bool space_is_dead(struct load_share *share, uint32_t space)
{
	if (share->last_space == space)
		return share->last_dead;
	share->last_space = space;
	share->last_dead = keyspace_is_dead(&share->names, space);
	if (!share->last_dead)
		note_space(share, space);
	return share->last_dead;
}

/* Names are learnt in the order in which they were given, so one that is dead stays dead. */
static void learn_names(struct load_share *share, const struct keyspace_names *names)
{
	share->names = *names;
	share->last_space = UINT32_MAX;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < share->n_spaces; i++) {
		if (keyspace_is_dead(names, share->spaces[i]))
			keyspace_drop(share->core->shard, share->spaces[i], true);
		else
			share->spaces[kept++] = share->spaces[i];
	}
	share->n_spaces = kept;
}

struct news {
	struct load *load;
	struct keyspace_names names;
};

static void news_come(struct core *core, struct message *message)
{
	struct news *news = message->args[0].ptr;
	learn_names(news->load->shares[core->id], &news->names);
	memory_free(news);
}

/* They are told everywhere at once, or memory would fill with keys that a FLUSHALL had removed. */
static void tell_names(struct load_share *share)
{
	learn_names(share, &share->load->names);
	for (uint16_t to = 0; to < share->core->n_cores; to++) {
		if (to == share->core->id)
			continue;
		struct news *news = memory_alloc(sizeof(*news));
		*news = (struct news){.load = share->load, .names = share->load->names};
		core_post(share->core, to, &(struct message){.run = news_come, .args[0].ptr = news});
	}
}

/* ---- applying ------------------------------------------------------------------------------ */

static void malformed(struct load_share *share, const struct record *record)
{
	const char *kind = record_kind_name(record->kind);
	fault(&share->faults, "record LSN %" PRIu64 " (%s) of slot %u: its content is not what such a record may say",
	      record->lsn, kind ? kind : "of no known kind", record->slot);
}

/* False: the value is not what the row may hold. */
static bool row_put(struct load_share *share, struct slice name, struct slice value)
{
	struct load *load = share->load;
	bool is_names = slice_equal(name, ROW_KEYSPACES);
	if (is_names && !keyspaces_decode(value, &load->names))
		return false;
	rows_put(&load->rows, name, value);
	if (is_names)
		tell_names(share);
	return true;
}

static bool apply_row(struct load_share *share, const struct record *record)
{
	struct record_body body;
	if (!record_parse(record, &body))
		return false;
	if (record->kind == RECORD_SYSTEM_PUT)
		return row_put(share, body.key, body.value);
	if (record->kind != RECORD_SYSTEM_DELETE)
		return false;
	rows_delete(&share->load->rows, body.key);
	return true;
}

/* Is what the record did in the image already? */
static bool is_covered(const struct load_share *share, const struct change *change)
{
	uint16_t partition = partition_of(change->record->slot);
	const struct image_cover *cover = share->covers[partition];
	return cover && change->sound &&
	       image_covers(cover, change->record->space, key_position(change->key.hash), change->record->lsn);
}

static bool apply_key(struct load_share *share, const struct change *change, bool covered)
{
	if ((covered && is_covered(share, change)) || space_is_dead(share, change->record->space))
		return true;
	return change_apply(share->core->shard, change) == OK;
}

static void apply_one(struct load_share *share, const struct change *change, bool covered)
{
	const struct record *record = change->record;
	if (record->slot == SLOT_SYSTEM ? !apply_row(share, record) : !apply_key(share, change, covered))
		malformed(share, record);
}

/* Takes a record apart, and fetches the first of the lines that its key will touch. */
static void begin_change(struct shard *shard, const struct record *record, struct change *change)
{
	change->record = record;
	change->sound = false;
	if (record->slot == SLOT_SYSTEM)
		return;
	change_read(shard, record, change);
	if (change->sound)
		keyspace_prefetch_way(shard, &change->key);
}

/* Most of the time would be waiting for memory, so records go through four steps, each some records behind the one
 * before it: what a step needs was fetched by the last one. */
enum { STEP_BEHIND = 8, CHANGES_MAX = 4 * STEP_BEHIND };

void share_apply(struct load_share *share, struct record_chunk *chunk)
{
	struct shard *shard = share->core->shard;
	struct change changes[CHANGES_MAX];
	for (uint32_t at = 0; at < chunk->n + 3 * STEP_BEHIND; at++) {
		uint32_t second = at - STEP_BEHIND, third = second - STEP_BEHIND, last = third - STEP_BEHIND;
		if (at < chunk->n)
			begin_change(shard, &chunk->records[at], &changes[at % CHANGES_MAX]);
		if (second < chunk->n && changes[second % CHANGES_MAX].sound)
			keyspace_prefetch_change(shard, &changes[second % CHANGES_MAX].key);
		if (third < chunk->n && changes[third % CHANGES_MAX].sound)
			keyspace_prefetch_object(shard, &changes[third % CHANGES_MAX].key);
		if (last < chunk->n)
			apply_one(share, &changes[last % CHANGES_MAX], chunk->covered[last]);
	}
	progress_add(&share->load->progress->keys, chunk->n);
	chunk->n = 0;
}

/* ---- images -------------------------------------------------------------------------------- */

static bool put_entry(struct load_share *share, uint16_t partition, const struct image_entry *entry)
{
	if (partition == PARTITION_SYSTEM)
		return row_put(share, entry->key, entry->value);
	struct shard *shard = share->core->shard;
	struct key key = {.name = entry->key,
	                  .hash = key_hash(shard->hash_seed, entry->key),
	                  .keyspace = entry->space,
	                  .slot = slot_of(entry->key)};
	if (partition_of(key.slot) != partition)
		return false;
	if (space_is_dead(share, entry->space))
		return true;
	progress_add(&share->load->progress->keys, 1);
	return object_unpack(shard, &key, entry->value, entry->expires_ms) == OK;
}

static bool put_entries(struct load_share *share, uint16_t partition, const struct image_entry *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!put_entry(share, partition, &entries[i])) {
			fault(&share->faults, "image %u-%" PRIu64 ": an entry that no key of partition %u can have",
			      partition, share->load->manifest->partitions[partition].image, partition);
			return false;
		}
		share_worked(share, 1 + (uint32_t)(entries[i].value.len / 4096));
	}
	return !load_gives_up(share->load);
}

static void read_image(struct load_share *share, uint16_t partition, struct image_reader *reader)
{
	const struct image_entry *entries;
	uint32_t n;
	char why[512] = "";
	int result;
	while ((result = image_next(reader, &entries, &n, why, sizeof(why))) == 1)
		if (!put_entries(share, partition, entries, n))
			return;
	if (result < 0) {
		fault(&share->faults, "%s", why);
		return;
	}
	share->covers[partition] = image_take_cover(reader);
	progress_add(&share->load->n_images, 1);
}

static uint64_t size_of_image(struct core *core, const struct load *load, uint16_t partition)
{
	char path[PATH_ROOM];
	image_path(load->directory, partition, load->manifest->partitions[partition].image, path, sizeof(path));
	int fd = file_open(core, path, IO_OPEN_READ, 0);
	if (fd < 0)
		return 0; /* image_open() will say why */
	int64_t size = file_size(core, fd);
	file_close(core, fd);
	return size > 0 ? (uint64_t)size : 0;
}

static void load_image(struct load_share *share, uint16_t partition)
{
	struct load *load = share->load;
	struct image_reader *reader;
	char why[512] = "";
	int result = image_open(share->core, load->directory, load->superblock,
	                        load->manifest->partitions[partition].image, partition, &reader, why, sizeof(why));
	if (result < 0) {
		fault(&share->faults, "%s", why);
		return;
	}
	read_image(share, partition, reader);
	image_close(reader);
	progress_add(&load->progress->done_bytes, size_of_image(share->core, load, partition));
}

/* Is this partition's image to be read here? */
static bool reads_image(const struct load_share *share, uint16_t partition)
{
	return load_owner(share->core, partition) == share->core->id &&
	       share->load->manifest->partitions[partition].image;
}

static bool goes_on(const struct load_share *share)
{
	return !load_gives_up(share->load) && (share->load->salvage || share->faults.n == 0);
}

/* A few at a time: while one is opened, or waits for the disk, another goes on. */
struct image_hands {
	struct load_share *share;
	uint16_t next; /* partition */
	uint16_t left; /* hands at work, the caller's among them */
	struct fiber *waits;
};

static void load_next_images(struct image_hands *hands)
{
	while (hands->next < PARTITION_SYSTEM && goes_on(hands->share)) {
		uint16_t partition = hands->next++;
		if (reads_image(hands->share, partition))
			load_image(hands->share, partition);
	}
	hands->left--;
}

static void image_hand_main(void *arg)
{
	struct image_hands *hands = arg;
	load_next_images(hands);
	if (hands->left == 0 && hands->waits)
		fiber_wake(hands->share->core, take(hands->waits));
}

static void load_images(struct core *core, void *arg)
{
	struct image_hands hands = {.share = ((struct load *)arg)->shares[core->id], .left = IMAGES_AT_ONCE};
	for (int i = 1; i < IMAGES_AT_ONCE; i++)
		fiber_start(core, image_hand_main, &hands);
	load_next_images(&hands);
	if (hands.left == 0)
		return;
	hands.waits = fiber_self(core);
	fiber_wait(core);
}

/* ---- the shares ---------------------------------------------------------------------------- */

static void share_begin(struct core *core, void *arg)
{
	struct load *load = arg;
	struct load_share *share = memory_zalloc(sizeof(*share));
	*share =
	        (struct load_share){.load = load, .core = core, .names = keyspaces_initial(), .last_space = UINT32_MAX};
	load->shares[core->id] = share;
	core->shard->recovering = true;
	slab_may_wait(core->shard->slab, true);
	core->shard->now_ms = core->wall_us / 1000;
	for (uint16_t p = 0; p < PARTITION_SYSTEM; p++)
		if (reads_image(share, p))
			progress_add(&load->progress->all_bytes, size_of_image(core, load, p));
}

/* What a late name made obsolete goes; and the databases get their names. */
static void share_end(struct core *core, void *arg)
{
	struct load *load = arg;
	learn_names(load->shares[core->id], &load->names);
	slab_may_wait(core->shard->slab, false);
	memcpy(core->shard->keyspace_of_db, load->names.of_db, sizeof(load->names.of_db));
}

static void share_free(struct load_share *share)
{
	if (!share)
		return;
	for (uint32_t i = 0; i < PARTITIONS_ALL; i++)
		image_cover_free(share->covers[i]);
	memory_free(share->spaces);
	memory_free(share);
}

/* Tells what the cores found to the one who asked; true: nothing that forbids to go on. */
static bool hand_up_faults(struct load *load, struct faults *faults)
{
	bool any = false;
	for (uint16_t i = 0; i < load->n_cores; i++) {
		struct faults *own = &load->shares[i]->faults;
		if (own->n > 0)
			fault(faults, "%s", own->first);
		if (own->n > 1)
			fault(faults, "and %" PRIu32 " more of the kind found by core %u", own->n - 1, i);
		any |= own->n > 0;
		own->n = 0;
	}
	return !load_gives_up(load) && (load->salvage || !any);
}

/* ---- eras ---------------------------------------------------------------------------------- */

struct era_work {
	struct load *load;
	uint32_t era;
	void (*work)(struct replay *replay, struct load_share *share);
	uint16_t left[CORES_MAX]; /* logs being read on a core */
	struct fiber *waits[CORES_MAX];
};

struct replay_hand {
	struct era_work *era;
	struct replay *replay;
	struct load_share *share;
};

static void replay_hand_main(void *arg)
{
	struct replay_hand hand = *(struct replay_hand *)arg;
	memory_free(arg);
	hand.era->work(hand.replay, hand.share);
	uint16_t here = hand.share->core->id;
	if (--hand.era->left[here] == 0 && hand.era->waits[here])
		fiber_wake(hand.share->core, hand.era->waits[here]);
}

static bool is_mine(const struct era_work *work, const struct log_files *files, const struct core *core)
{
	return files->log.era == work->era && files->log.core % core->n_cores == core->id;
}

/* All logs of the era that fall to this core, each in a fiber. */
static void era_here(struct core *core, void *arg)
{
	struct era_work *work = arg;
	struct load *load = work->load;
	work->left[core->id] = 1; /* this one */
	for (uint32_t i = 0; i < load->survey->n_logs; i++) {
		if (!is_mine(work, &load->survey->logs[i], core))
			continue;
		struct replay_hand *hand = memory_alloc(sizeof(*hand));
		*hand = (struct replay_hand){.era = work, .replay = &load->replays[i], .share = load->shares[core->id]};
		work->left[core->id]++;
		fiber_start(core, replay_hand_main, hand);
	}
	if (--work->left[core->id] == 0)
		return;
	work->waits[core->id] = fiber_self(core);
	fiber_wait(core);
}

static void settle(struct replay *replay, struct load_share *share) { replay_settle(replay); }

static bool any_open(const struct load *load, uint32_t era)
{
	for (uint32_t i = 0; i < load->survey->n_logs; i++)
		if (load->survey->logs[i].log.era == era && !list_empty(&load->replays[i].open))
			return true;
	return false;
}

static void era_run(struct core *core, struct load *load, uint32_t era,
                    void (*work)(struct replay *replay, struct load_share *share))
{
	struct era_work *all = memory_zalloc(sizeof(*all));
	*all = (struct era_work){.load = load, .era = era, .work = work};
	crew_run(core, era_here, all);
	memory_free(all);
}

/* The first era after `era` that has logs; false: none. */
static bool next_era(const struct load *load, int64_t era, uint32_t *out)
{
	bool found = false;
	for (uint32_t i = 0; i < load->survey->n_logs; i++) {
		uint32_t other = load->survey->logs[i].log.era;
		if (other > era && (!found || other < *out)) {
			*out = other;
			found = true;
		}
	}
	return found;
}

static bool load_logs(struct core *core, struct load *load, struct faults *faults)
{
	int64_t last = -1;
	for (uint32_t era; next_era(load, last, &era); last = era) {
		era_run(core, load, era, replay_run);
		if (!hand_up_faults(load, faults))
			return false;
		if (any_open(load, era))
			era_run(core, load, era, settle);
		if (!hand_up_faults(load, faults))
			return false;
	}
	return true;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static void load_init(struct core *core, struct load *load)
{
	load->n_cores = core->n_cores;
	load->names = keyspaces_initial();
	load->shares = memory_zalloc(core->n_cores * sizeof(*load->shares));
	load->replays = memory_zalloc((load->survey->n_logs + 1) * sizeof(*load->replays));
	for (uint32_t i = 0; i < load->survey->n_logs; i++)
		replay_init(&load->replays[i], load, &load->survey->logs[i]);
	load->progress->all_bytes = load->survey->log_bytes;
}

bool load_run(struct core *core, struct load *load, struct faults *faults)
{
	load_init(core, load);
	crew_run(core, share_begin, load);
	/* Names first: they say which entries of other images are worth reading. */
	if (load->manifest->partitions[PARTITION_SYSTEM].image)
		load_image(load->shares[0], PARTITION_SYSTEM);
	bool ok = hand_up_faults(load, faults);
	if (ok) {
		crew_run(core, load_images, load);
		ok = hand_up_faults(load, faults) && load_logs(core, load, faults);
	}
	crew_run(core, share_end, load);
	return ok;
}

const struct log_end *load_log_end(const struct load *load, uint32_t i) { return &load->replays[i].end; }

const struct load_outcome *load_outcomes(const struct load *load, uint32_t i, uint32_t *n)
{
	const struct buf *outcomes = &load->replays[i].outcomes;
	*n = (uint32_t)(outcomes->len / sizeof(struct load_outcome));
	return (const struct load_outcome *)outcomes->ptr;
}

void load_fini(struct load *load)
{
	for (uint16_t i = 0; load->shares && i < load->n_cores; i++)
		share_free(load->shares[i]);
	memory_free(load->shares);
	for (uint32_t i = 0; load->replays && i < load->survey->n_logs; i++)
		replay_fini(&load->replays[i]);
	memory_free(load->replays);
	rows_fini(&load->rows);
	load->shares = NULL;
	load->replays = NULL;
}
