#include "storage/tier/tier.h"

#include "engine/core/fiber.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "storage/journal/journal.h"
#include "storage/locks/locks.h"
#include "storage/tier/tier_private.h"

#include <string.h>

enum { RETRY_NS = 200 * 1000 * 1000, BUSY_NS = 1000 * 1000, BUSY_MAX = 200 };

/* How often in a row nothing could leave; as long as values are read meanwhile, what holds them up goes on. */
struct patience {
	unsigned times;
	uint64_t reads;
};

/* ---- the worker ------------------------------------------------------------------------- */

/* Where nothing could leave, what came since may. It is looked at no sooner than the memory is all used: each look
 * goes round all keys. */
static bool is_stuck(const struct tier *tier)
{
	bool has_grown = shard_memory(tier->shard) > tier->least_memory && shard_excess(tier->shard, 100) > 0;
	return tier->stuck != STUCK_NOT && !(tier->stuck == STUCK_BARREN && has_grown);
}

bool tier_wants_room(const struct tier *tier)
{
	const struct shard *shard = tier->shard;
	return shard->policy == EVICT_TIER && shard_excess(shard, BEGIN_PERCENT) > 0 &&
	       (!is_stuck(tier) || tier->core->now_ns >= tier->retry_ns);
}

void tier_fail(struct tier *tier, const char *what, int error)
{
	if (tier->error != error)
		log_warning("values cannot leave memory: %s in %s/tier: %s; tried again in a while", what,
		            tier->directory, strerror(error));
	tier->error = error;
	tier->stuck = STUCK_FAILED;
	tier->retry_ns = tier->core->now_ns + RETRY_NS;
}

static bool can_leave(const struct shard *shard)
{
	return shard->tier && shard->tier->begun && !is_stuck(shard->tier) && !shard->tier->stopping;
}

/* Somebody waits for room that has not been told yet that there is none. */
static void begin_anew(struct tier *tier)
{
	if (tier->stuck == STUCK_BUSY)
		tier->stuck = STUCK_NOT;
	tier_look(tier);
}

/* Those who wait now; who comes meanwhile has not waited yet. */
void tier_serve_rooms(struct tier *tier)
{
	struct link *last = tier->rooms.prev, *link = NULL;
	tier->serving = true;
	while (link != last && !list_empty(&tier->rooms) &&
	       (shard_excess(tier->shard, 100) == 0 || !can_leave(tier->shard))) {
		link = list_pop_front(&tier->rooms);
		struct room_waiter *waiter = container_of(link, struct room_waiter, link);
		waiter->run(tier->shard, waiter);
	}
	tier->serving = false;
	if (!list_empty(&tier->rooms))
		begin_anew(tier);
}

/* What could go is locked or lent, for a moment: by whoever fetches it, for as long as that takes; or it has gone, and
 * an image keeps it for as long. */
static bool wait_for_others(struct tier *tier, struct patience *patience)
{
	if (tier->shard->counters.streams > 0 || tier->counters.reads != patience->reads)
		*patience = (struct patience){.reads = tier->counters.reads};
	if (++patience->times > BUSY_MAX)
		tier->stuck = STUCK_BUSY;
	if (is_stuck(tier))
		return false;
	fiber_sleep(tier->core, BUSY_NS);
	return true;
}

static void make_room(struct tier *tier)
{
	struct patience patience = {0};
	while (!tier->stopping && tier_wants_room(tier)) {
		bool any = demote_some(tier);
		if (any)
			patience.times = 0;
		else if (!wait_for_others(tier, &patience))
			break;
		tier_serve_rooms(tier);
		fiber_yield(tier->core);
	}
	if (tier->stuck != STUCK_NOT && tier->retry_ns <= tier->core->now_ns)
		tier->retry_ns = tier->core->now_ns + RETRY_NS;
	tier_serve_rooms(tier);
}

static void work(void *arg)
{
	struct tier *tier = arg;
	struct tier_file *file;
	make_room(tier);
	while (!tier->stopping && tier->clean_due && tier->stuck == STUCK_NOT && (file = clean_choose(tier))) {
		clean_file(tier, file);
		make_room(tier);
	}
	tier->clean_due = false;
	tier->working = false;
	tier_may_have_ended(tier);
	tier_look(tier);
}

static void start(struct core *core, struct task *task)
{
	struct tier *tier = container_of(task, struct tier, task);
	if (tier->working || tier->stopping)
		return;
	tier->working = true;
	fiber_start(core, work, tier);
}

void tier_look(struct tier *tier)
{
	if (tier->begun && !tier->working && !tier->stopping && (tier_wants_room(tier) || tier->clean_due))
		core_ready(tier->core, &tier->task, CLASS_BACKGROUND);
}

void tier_tend(struct tier *tier)
{
	if (tier->begun && locks_at_rest(tier->shard->locks) && journal_flush(tier->shard->journal) == 0)
		files_settle(tier);
	tier->clean_due = !tier->stopping && clean_choose(tier);
	tier_look(tier);
}

/* ---- pressure --------------------------------------------------------------------------- */

/* Those who waited were told so; who comes now may wait. */
static bool is_held_up(const struct shard *shard)
{
	return shard->tier && shard->tier->stuck == STUCK_BUSY && !shard->tier->stopping;
}

/* What is admitted below the limit grows from there. */
static void note_memory(struct tier *tier)
{
	uint64_t memory = shard_memory(tier->shard);
	if (memory < tier->least_memory)
		tier->least_memory = memory;
}

bool tier_admit(struct shard *shard)
{
	if (shard->tier) {
		note_memory(shard->tier);
		tier_look(shard->tier);
	}
	return shard_excess(shard, 100) == 0 || can_leave(shard);
}

bool tier_is_full(const struct shard *shard)
{
	return shard->policy == EVICT_TIER && shard_excess(shard, 100) > 0 && (can_leave(shard) || is_held_up(shard));
}

void tier_wait_for_room(struct shard *shard, struct room_waiter *waiter)
{
	list_push_back(&shard->tier->rooms, &waiter->link);
	if (!shard->tier->serving)
		begin_anew(shard->tier);
}

/* ---- life ------------------------------------------------------------------------------- */

static void count_pointer(void *arg, const struct cold_pointer *pointer) { tier_retain(arg, pointer); }

static void count_leaf(void *arg, struct leaf *leaf)
{
	struct cold_pointer pointer = cold_leaf_pointer(leaf);
	tier_retain_leaf(arg, leaf, &pointer);
}

struct tier *tier_new(struct core *core, const char *directory, uint64_t file_size, const struct tier_list *list,
                      uint32_t next_number, uint32_t step)
{
	struct tier *tier = memory_zalloc(sizeof(*tier));
	size_t size = strlen(directory) + 1;
	*tier = (struct tier){.core = core,
	                      .shard = core->shard,
	                      .file_size = file_size < TIER_FILE_MIN ? TIER_FILE_MIN : file_size,
	                      .next_number = next_number,
	                      .step = step,
	                      .task = {.run = start, .name = "tier"}};
	tier->directory = memcpy(memory_alloc(size), directory, size);
	list_init(&tier->rooms);
	for (int i = 0; i < FETCH_LISTS; i++)
		list_init(&tier->fetches[i]);
	for (uint32_t i = 0; i < list->n; i++)
		file_add(tier, list->all[i].number, list->all[i].size)->sealed = true;
	if (core->shard->counters.cold_keys > 0)
		keyspace_each_pointer(core->shard, count_pointer, tier);
	if (core->shard->counters.cold_leaves > 0)
		keyspace_each_away(core->shard, count_leaf, tier);
	core->shard->tier = tier;
	return tier;
}

/* What the images and logs of before show may point anywhere. */
void tier_begin(struct tier *tier)
{
	uint64_t lsn = log_appended(journal_log(tier->shard->journal)) + 2;
	for (uint32_t i = 0; i < tier->n_files; i++)
		tier->files[i]->kept_lsn = lsn;
	tier->begun = true;
	tier_look(tier);
}

static bool is_at_work(const struct tier *tier) { return tier->working || tier->n_fetches > 0 || tier->n_closing > 0; }

void tier_may_have_ended(struct tier *tier)
{
	if (tier->stopper && !is_at_work(tier))
		fiber_wake(tier->core, take(tier->stopper));
}

static void wait_for_end(struct tier *tier)
{
	while (is_at_work(tier)) {
		tier->stopper = fiber_self(tier->core);
		fiber_wait(tier->core);
	}
}

void tier_stop(struct tier *tier)
{
	tier->stopping = true;
	wait_for_end(tier);
	files_close(tier);
	wait_for_end(tier);
	core_forget(tier->core, &tier->task);
	for (struct link *link; (link = list_pop_front(&tier->rooms));) {
		struct room_waiter *waiter = container_of(link, struct room_waiter, link);
		waiter->run(tier->shard, waiter);
	}
}

void tier_free(struct tier *tier)
{
	if (!tier)
		return;
	core_forget(tier->core, &tier->task);
	tier->shard->tier = NULL;
	files_free(tier);
	memory_free(tier->directory);
	memory_free(tier);
}

const struct tier_counters *tier_counters(const struct tier *tier) { return &tier->counters; }

/* ---- proof ------------------------------------------------------------------------------ */

struct tally {
	struct tier *tier;
	uint64_t *live; /* of each file */
};

static void tally_pointer(void *arg, const struct cold_pointer *pointer)
{
	struct tally *tally = arg;
	for (uint32_t i = 0; i < tally->tier->n_files; i++)
		if (tally->tier->files[i]->number == pointer->file)
			tally->live[i] += pointer->size;
}

/* Leaves may be shared: each counts once, where it is noted. */
static void tally_leaves(struct tally *tally)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < tally->tier->n_files; i++) {
		const struct tier_file *file = tally->tier->files[i];
		for (uint32_t at = 0; at < file->n_leaves; at++) {
			struct cold_pointer pointer = cold_leaf_pointer(file->leaves[at].leaf);
			assert(pointer.file == file->number);
			assert(pointer.offset == file->leaves[at].offset);
			assert(cold_leaf_place(file->leaves[at].leaf) == at);
			tally_pointer(tally, &pointer);
		}
		n += file->n_leaves;
	}
	assert(n == tally->tier->shard->counters.cold_leaves);
}

void tier_verify(struct tier *tier)
{
	struct tally tally = {.tier = tier, .live = memory_zalloc((tier->n_files + 1) * sizeof(uint64_t))};
	keyspace_each_pointer(tier->shard, tally_pointer, &tally);
	tally_leaves(&tally);
	/* Objects that are lent, or wait to be freed, have left their tables and count still. */
	for (uint32_t i = 0; i < tier->n_files; i++) {
		assert(tier->files[i]->live >= tally.live[i]);
		if (tier->shard->counters.lent == 0 && tier->shard->counters.freeing == 0)
			assert(tier->files[i]->live == tally.live[i]);
	}
	memory_free(tally.live);
}
