/* Values on their way out: gathered into a batch and lent meanwhile, so that no string changes and no object is taken
 * for another; written; and when the device has them, those that their keys still have leave memory. */
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "storage/journal/journal.h"
#include "storage/keyspace/waits.h"
#include "storage/locks/locks.h"
#include "storage/tier/tier_private.h"

#include <errno.h>
#include <string.h>

enum {
	TAKEN_AT_ONCE = 48, /* values, between two turns of others */
	SEEN_AT_ONCE = 4096,
	BACKED_LOOKS = 16,
	GATE_NS = 200 * 1000,
};

struct key key_of_object(const struct shard *shard, const struct object *object, uint32_t keyspace)
{
	struct slice name = object_key(object);
	return (struct key){
	        .name = name, .hash = key_hash(shard->hash_seed, name), .keyspace = keyspace, .slot = slot_of(name)};
}

/* ---- a batch ---------------------------------------------------------------------------- */

static void leaving_return(struct tier *tier, const struct leaving *leaving)
{
	if (leaving->object)
		object_return(tier->shard, leaving->object);
	if (leaving->leaf)
		leaf_let_go(tier->shard, leaving->leaf);
}

static void batch_drop(struct tier *tier, struct batch *batch)
{
	const struct leaving *one = (const struct leaving *)(const void *)batch->leaving.ptr;
	for (size_t n = batch->leaving.len / sizeof(*one); n-- > 0; one++)
		leaving_return(tier, one);
	batch->leaving.len = 0;
}

void batch_fini(struct tier *tier, struct batch *batch)
{
	batch_drop(tier, batch);
	buf_fini(&batch->leaving);
	memory_free(batch->bytes);
	*batch = (struct batch){0};
}

/* A file that is full is only read from now on. */
static bool find_file(struct tier *tier, struct batch *batch, size_t size)
{
	struct tier_file *active = tier->active;
	if (active && active->size + size > tier->file_size && active->size > TIER_BLOCK) {
		active->sealed = true;
		tier->active = NULL;
	}
	if (!tier->active) {
		batch->waited = true;
		tier->active = file_create(tier);
	}
	batch->file = tier->active;
	return tier->active;
}

static bool batch_begin(struct tier *tier, struct batch *batch, size_t size)
{
	size_t room = size > TIER_BATCH ? (size + TIER_BLOCK - 1) / TIER_BLOCK * TIER_BLOCK : TIER_BATCH;
	if (!find_file(tier, batch, room))
		return false;
	if (batch->room != room) {
		memory_free(batch->bytes);
		batch->bytes = memory_aligned(TIER_BLOCK, room);
		batch->room = room;
	}
	batch->used = 0;
	return true;
}

bool batch_add(struct tier *tier, struct batch *batch, const struct key *key, struct slice head, struct slice value,
               const struct leaving *leaving)
{
	uint32_t size = tier_record_size(key->name, head, value);
	if (batch->file && batch->used + size > batch->room && !batch_write(tier, batch))
		return false;
	if (!batch->file && !batch_begin(tier, batch, size))
		return false;
	struct leaving own = *leaving;
	own.hash = key->hash;
	own.space = key->keyspace;
	own.slot = key->slot;
	own.name_length = (uint32_t)key->name.len;
	own.at = batch->used;
	own.to = tier_record_write(batch->bytes + batch->used, batch->file->number,
	                           (uint32_t)(batch->file->size + batch->used), key, head, value, leaving->to.length);
	buf_append(&batch->leaving, slice_of(&own, sizeof(own)));
	batch->used += size;
	return true;
}

static struct key key_of_leaving(const struct batch *batch, const struct leaving *one)
{
	return (struct key){.name = slice_of(batch->bytes + one->at + sizeof(struct tier_record), one->name_length),
	                    .hash = one->hash,
	                    .keyspace = one->space,
	                    .slot = one->slot};
}

/* A transaction that is not decided must not be told by a pointer to what it wrote. */
static bool may_move(const struct tier *tier, uint64_t hash) { return !lock_is_held(tier->shard->locks, hash); }

/* Waiting clients are shown their key at once. What they mostly want of a large collection is at its end. */
static bool may_leave(const struct tier *tier, const struct key *key)
{
	return may_move(tier, key->hash) && !waits_last(tier->shard, key);
}

static bool is_same_pointer(const struct cold_pointer *a, const struct cold_pointer *b)
{
	return a->file == b->file && a->offset == b->offset;
}

static void note(struct tier *tier, const struct key *key)
{
	if (tier->shard->journal)
		journal_note_pointer(tier->shard->journal, key, keyspace_peek(tier->shard, key));
}

static void chill_one(struct tier *tier, const struct key *key, const struct leaving *one)
{
	bool same = keyspace_peek(tier->shard, key) == one->object && object_version(one->object) == one->version;
	object_return(tier->shard, one->object); /* if it is not the key's any more this frees it */
	if (!same || object_is_lent(one->object) || !may_leave(tier, key))
		return;
	keyspace_chill(tier->shard, key, &one->to);
	note(tier, key);
	tier->counters.demotions++;
}

static void move_one(struct tier *tier, const struct key *key, const struct leaving *one)
{
	struct cold_pointer now;
	struct object *object = keyspace_peek(tier->shard, key);
	if (!object || !object_pointer(object, &now) || !is_same_pointer(&now, &one->from) || now.lost ||
	    !may_move(tier, key->hash))
		return;
	keyspace_repoint(tier->shard, key, &one->to);
	note(tier, key);
	tier->counters.cleaned_bytes += one->to.size;
}

/* Nothing is logged: whoever is told of the list by its pointers or by its bytes is told the same. It is found again
 * though elements came and went at the ends. */
static void chill_leaf(struct tier *tier, const struct key *key, const struct leaving *one)
{
	struct tree_path path;
	struct object *object = keyspace_peek(tier->shard, key);
	if (!object || object_is_lent(object) || !may_move(tier, key->hash) ||
	    !cold_leaf_find(object, one->leaf, one->before, &path))
		return;
	cold_leaf_send(tier->shard, object, &path, &one->to);
	tier->counters.demotions++;
	tier->counters.leaves++;
}

/* It was away before: another record says the same. */
static void move_leaf(struct tier *tier, const struct leaving *one)
{
	struct cold_pointer now = cold_leaf_pointer(one->leaf);
	if (one->leaf->refs == 1 || !is_same_pointer(&now, &one->from) || now.lost) /* the only hold is ours */
		return;
	cold_leaf_repoint(tier->shard, one->leaf, &one->to);
	tier->counters.cleaned_bytes += one->to.size;
}

static void leaf_takes_effect(struct tier *tier, const struct key *key, const struct leaving *one)
{
	if (one->leaf->away)
		move_leaf(tier, one);
	else
		chill_leaf(tier, key, one);
	leaf_let_go(tier->shard, one->leaf);
}

static void batch_take_effect(struct tier *tier, struct batch *batch)
{
	const struct leaving *one = (const struct leaving *)(const void *)batch->leaving.ptr;
	tier->shard->now_ms = tier->core->wall_us / 1000;
	for (size_t n = batch->leaving.len / sizeof(*one); n-- > 0; one++) {
		struct key key = key_of_leaving(batch, one);
		if (one->leaf)
			leaf_takes_effect(tier, &key, one);
		else if (one->object)
			chill_one(tier, &key, one);
		else
			move_one(tier, &key, one);
	}
	batch->leaving.len = 0;
}

/* The gate is taken for moments only. */
static void wait_for_gate(const struct tier *tier)
{
	while (locks_gated(tier->shard->locks))
		fiber_sleep(tier->core, GATE_NS);
}

/* What a failed write left is unknown: the file is not written to again. */
bool batch_write(struct tier *tier, struct batch *batch)
{
	struct tier_file *file = batch->file;
	if (!file)
		return true;
	batch->file = NULL;
	batch->waited = true;
	size_t size = (batch->used + TIER_BLOCK - 1) / TIER_BLOCK * TIER_BLOCK;
	memset(batch->bytes + batch->used, 0, size - batch->used);
	file->users++;
	int result = size ? file_write(tier->core, file->fd, batch->bytes, size, file->size, IO_WRITE_DURABLE) : 0;
	file->users--;
	file->size += size;
	if (result < 0) {
		file->sealed = true;
		tier->active = NULL;
		batch_drop(tier, batch);
		tier_fail(tier, "a write", -result);
		return false;
	}
	file->share += size;
	tier->counters.written_bytes += size;
	tier->error = 0;
	wait_for_gate(tier);
	if (shard_refuses(tier->shard, SHARD_WRITES) != OK) {
		batch_drop(tier, batch);
		tier_fail(tier, "the log", ENOSPC);
		return false;
	}
	batch_take_effect(tier, batch);
	return true;
}

/* ---- what leaves ------------------------------------------------------------------------- */

/* A copy is good already. The log knows it: or it would know the value whole, which is as good. */
static bool leave_backed(struct tier *tier, const struct key *key, struct object *object)
{
	struct cold_pointer pointer;
	if (!object_pointer(object, &pointer))
		return false;
	keyspace_chill(tier->shard, key, &pointer);
	tier->counters.dropped++;
	return true;
}

bool demote_backed(struct tier *tier, unsigned percent)
{
	uint64_t before = tier->counters.dropped;
	if (!tier->begun || locks_gated(tier->shard->locks))
		return false;
	for (int looks = 0; looks < BACKED_LOOKS && shard_excess(tier->shard, percent) > 0; looks++) {
		struct cold_walk walk = {0};
		unsigned n = keyspace_coldest(tier->shard, true, &walk);
		for (unsigned i = 0; i < n; i++) {
			struct key key = key_of_object(tier->shard, walk.found[i], walk.keyspace);
			if (may_leave(tier, &key))
				(void)leave_backed(tier, &key, walk.found[i]);
		}
	}
	return tier->counters.dropped > before;
}

struct gathering {
	struct tier *tier;
	struct batch batch;
	struct cold_walk walk;
	uint64_t freed, taken; /* bytes that leave; values */
	uint64_t seen_before;
	bool failed;
};

/* Held before anything can wait. */
static void take_leaf(struct gathering *g, const struct object *object, const struct key *key,
                      const struct tree_path *path)
{
	uint8_t head[COLD_LEAF_HEAD];
	struct leaving leaving = {.leaf = leaf_hold(path->leaf), .before = path->before, .to.length = path->leaf->len};
	cold_leaf_head(object, path->leaf, head);
	if (!batch_add(g->tier, &g->batch, key, slice_of(head, sizeof(head)),
	               slice_of(leaving.leaf->bytes, leaving.leaf->len), &leaving)) {
		leaf_let_go(g->tier->shard, leaving.leaf);
		g->failed = true;
		return;
	}
	g->taken++;
	g->freed += leaving.leaf->len;
}

/* Some leaves of a large collection, until a batch is full. None found among those that were looked at: others may be
 * there. */
static void take_leaves(struct gathering *g, struct object *object, struct key key)
{
	cleanup(buf_fini) struct buf name = {0};
	struct tree_path path;
	uint64_t before = g->taken;
	buf_append(&name, key.name); /* while the last of them waits for room in a batch the object may go */
	key.name = buf_slice(&name);
	while (!g->failed && !g->batch.waited && g->taken - before < TAKEN_AT_ONCE &&
	       g->freed < shard_excess(g->tier->shard, REST_PERCENT) && cold_leaf_choose(object, &path))
		take_leaf(g, object, &key, &path);
	g->walk.busy += g->taken == before;
}

static void take_one(struct gathering *g, struct object *object)
{
	struct tier *tier = g->tier;
	struct key key = key_of_object(tier->shard, object, g->walk.keyspace);
	size_t memory = object_memory(object);
	bool by_leaf = object_leaves_by_leaf(object);
	if (by_leaf ? !may_move(tier, key.hash) : !may_leave(tier, &key)) {
		g->walk.busy++;
		return;
	}
	if (by_leaf) {
		take_leaves(g, object, key);
		return;
	}
	g->taken++;
	if (leave_backed(tier, &key, object))
		return;
	g->freed += memory;
	cleanup(buf_fini) struct buf head = {0};
	struct slice value = object_pack_parts(object, &head);
	uint32_t length = (uint32_t)object_chillable(object);
	if (object_type(object) != OBJECT_STRING) { /* it may change while others are written */
		buf_append(&head, value);
		value = S("");
		length = (uint32_t)head.len;
	}
	struct leaving leaving = {.object = object, .version = object_version(object), .to.length = length};
	object_lend(tier->shard, object); /* before anything can wait */
	if (!batch_add(tier, &g->batch, &key, buf_slice(&head), value, &leaving)) {
		object_return(tier->shard, object);
		g->failed = true;
	}
}

static bool gather_goes_on(const struct gathering *g)
{
	uint64_t excess = shard_excess(g->tier->shard, REST_PERCENT);
	if (g->failed || g->tier->stopping || g->freed >= excess)
		return false;
	if (g->batch.file && g->batch.used + COLD_VALUE_MIN > g->batch.room)
		return false;
	/* A batch does not wait for the last few values that might still go along. */
	return g->walk.seen < (g->taken > 0 ? cold_round(g->tier->shard) / 4 + 1 : cold_round(g->tier->shard));
}

/* What was found is taken at once. Once others have run, what was found is found again. */
static void gather(struct gathering *g)
{
	uint64_t taken = 0, seen = 0;
	while (gather_goes_on(g)) {
		unsigned n = keyspace_coldest(g->tier->shard, false, &g->walk);
		g->batch.waited = false;
		for (unsigned i = 0; i < n && !g->failed && !g->batch.waited; i++)
			take_one(g, g->walk.found[i]);
		if (g->taken - taken >= TAKEN_AT_ONCE || g->walk.seen - seen >= SEEN_AT_ONCE) {
			taken = g->taken;
			seen = g->walk.seen;
			fiber_yield(g->tier->core);
			wait_for_gate(g->tier);
		}
	}
}

bool demote_some(struct tier *tier)
{
	struct gathering g = {.tier = tier};
	if (shard_refuses(tier->shard, SHARD_WRITES) != OK) {
		tier_fail(tier, "the log", ENOSPC);
		return false;
	}
	wait_for_gate(tier);
	uint64_t round = cold_round(tier->shard);
	tier->least_memory = shard_memory(tier->shard);
	gather(&g);
	bool any = g.taken > 0 && !g.failed;
	if (!batch_write(tier, &g.batch))
		any = false;
	/* What is lent, being packed, or waits to be freed, still counts: it goes by itself. */
	const struct shard_counters *counters = &tier->shard->counters;
	bool busy = g.walk.busy > 0 || counters->lent > 0 || counters->streams > 0 || counters->freeing > 0;
	bool barren = !any && !g.failed && !busy && g.walk.seen >= round;
	batch_fini(tier, &g.batch);
	if (barren)
		tier->stuck = STUCK_BARREN;
	else if (any)
		tier->stuck = STUCK_NOT;
	return any;
}
