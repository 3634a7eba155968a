#include "query/session/spread.h"

#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/placement/placement.h"
#include "query/commands/notify.h"
#include "query/commands/tracking.h"
#include "query/session/block.h"
#include "query/session/cold.h"
#include "query/session/round_private.h"
#include "query/session/spread_private.h"
#include "query/session/unit.h"

enum { DATABASES = 16 };

/* ---- the set ---------------------------------------------------------------------- */

static int key_compare(const struct locked_key *a, const struct locked_key *b)
{
	if (a->core != b->core)
		return a->core < b->core ? -1 : 1;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return slice_compare(a->name, b->name);
}

/* Where a key is or belongs; sets *found. */
static uint32_t lockset_place(const struct lockset *set, const struct locked_key *key, bool *found)
{
	uint32_t low = 0, high = set->n;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		int c = key_compare(&set->keys[middle], key);
		if (c == 0) {
			*found = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return low;
}

static struct locked_key key_of_name(const struct core *core, struct slice name)
{
	struct locked_key key = {.name = name, .hash = key_hash(core->shard->hash_seed, name), .slot = slot_of(name),
				 .reach = reach_all};
	key.core = core_of_slot(core, key.slot);
	return key;
}

bool lockset_has(const struct lockset *set, const struct core *core, struct slice name)
{
	struct locked_key key = key_of_name(core, name);
	bool found;
	(void)lockset_place(set, &key, &found);
	return found;
}

void lockset_add(struct lockset *set, const struct core *core, struct slice name)
{
	struct locked_key key = key_of_name(core, name);
	bool found;
	uint32_t at = lockset_place(set, &key, &found);
	if (found)
		return;
	if (set->n == set->room) {
		set->room = set->room ? set->room * 2 : 16;
		set->keys = memory_resize(set->keys, set->room * sizeof(*set->keys));
	}
	memmove(set->keys + at + 1, set->keys + at, (set->n - at) * sizeof(*set->keys));
	set->keys[at] = key;
	set->n++;
}

void lockset_add_for(struct lockset *set, const struct core *core, const struct command *command,
		     const struct slice *argv, uint32_t argc, uint32_t at)
{
	struct reach reach = call_reach(command, argv, argc, at);
	struct locked_key key = key_of_name(core, argv[at]);
	uint32_t n = set->n;
	bool found;
	lockset_add(set, core, argv[at]);
	struct reach *all = &set->keys[lockset_place(set, &key, &found)].reach;
	if (set->n > n)
		*all = reach;
	else if (all->n > 0 || reach.n > 0)
		*all = reach_all;
}

static void key_forget(struct locked_key *key)
{
	for (int db = 0; key->fetched && db < DATABASES; db++)
		buf_fini(&key->fetched[db]);
	memory_free(key->fetched);
	memory_free(key->expires_ms);
	memory_free(key->dirty);
	key->fetched = NULL;
	key->expires_ms = NULL;
	key->dirty = NULL;
}

void lockset_fini(struct lockset *set)
{
	for (uint32_t i = 0; i < set->n; i++)
		key_forget(&set->keys[i]);
	memory_free(set->keys);
	*set = (struct lockset){0};
}

/* The keys [from, to) of one core, from `from` on. */
static uint32_t run_end(const struct lockset *set, uint32_t from)
{
	uint32_t to = from;
	while (to < set->n && set->keys[to].core == set->keys[from].core)
		to++;
	return to;
}

/* ---- locking ---------------------------------------------------------------------- */

/* One core's part of the set, being locked key by key. */
struct lock_visit {
	struct lock_waiter waiter;
	const struct locked_key *keys;
	uint32_t n, at;
	uint16_t from;
	bool deferred; /* the answer comes by a post */
	struct fiber *fiber;
	const char *why; /* it was refused, and holds nothing; NULL: it was not */
};

static void visit_over(struct core *core, struct message *message) { fiber_wake(core, message->args[0].ptr); }

/* Two keys of one hash share a lock. */
static bool same_lock_as_before(const struct lock_visit *visit)
{
	return visit->at > 0 && visit->keys[visit->at - 1].hash == visit->keys[visit->at].hash;
}

static void visit_answer(struct shard *shard, struct lock_visit *visit)
{
	struct message message = {.run = visit_over, .args[0].ptr = visit->fiber};
	if (visit->deferred)
		core_post(shard->core, visit->from, &message);
	else
		core_reply(shard->core, visit->from, &message);
}

/* True: it holds all, and has said so. */
static bool visit_go_on(struct shard *shard, struct lock_visit *visit)
{
	for (; visit->at < visit->n; visit->at++) {
		if (same_lock_as_before(visit))
			continue;
		visit->waiter.fingerprint = visit->keys[visit->at].hash;
		visit->waiter.inside = visit->at > 0;
		if (!lock_take(shard->locks, &visit->waiter))
			return false;
	}
	visit_answer(shard, visit);
	return true;
}

static void visit_refused(struct shard *shard, struct lock_waiter *waiter, const char *why)
{
	struct lock_visit *visit = container_of(waiter, struct lock_visit, waiter);
	for (uint32_t i = 0; i < visit->at; i++)
		if (i == 0 || visit->keys[i - 1].hash != visit->keys[i].hash)
			lock_release(shard, shard->locks, visit->keys[i].hash);
	visit->why = why;
	visit_answer(shard, visit);
}

static void visit_granted(struct shard *shard, struct lock_waiter *waiter)
{
	struct lock_visit *visit = container_of(waiter, struct lock_visit, waiter);
	visit->at++;
	(void)visit_go_on(shard, visit);
}

static void visit_begins(struct core *core, struct message *message)
{
	struct lock_visit *visit = message->args[0].ptr;
	if (visit_go_on(core->shard, visit))
		return; /* the visit is over, and its memory not ours any more */
	visit->deferred = true;
	core_defer(core, visit->from);
}

/* ---- locking out of order ------------------------------------------------------------ */

void lockset_hold(struct core *core, struct lockset *set)
{
	set->core = core;
	for (uint32_t i = 0; i < set->n; i++) {
		assert(set->keys[i].core == core->id);
		bool shares = i > 0 && set->keys[i - 1].hash == set->keys[i].hash;
		bool held = shares || lock_try(core->shard->locks, set->keys[i].hash);
		assert(held);
	}
}

struct try_visit {
	uint64_t hash;
	bool held;
};

static void try_there(struct core *there, void *arg)
{
	struct try_visit *visit = arg;
	visit->held = lock_try(there->shard->locks, visit->hash);
}

/* Two keys of one hash share a lock: neighbours in the set. */
static bool has_lock_of(const struct lockset *set, const struct locked_key *key, uint32_t at)
{
	bool before = at > 0 && set->keys[at - 1].core == key->core && set->keys[at - 1].hash == key->hash;
	return before || (at < set->n && set->keys[at].core == key->core && set->keys[at].hash == key->hash);
}

bool lockset_try(struct core *core, struct lockset *set, struct slice name)
{
	struct locked_key key = key_of_name(core, name);
	bool found;
	uint32_t at = lockset_place(set, &key, &found);
	if (found)
		return true;
	struct try_visit visit = {.hash = key.hash, .held = has_lock_of(set, &key, at)};
	if (!visit.held && key.core == core->id)
		try_there(core, &visit);
	else if (!visit.held)
		fiber_call(core, key.core, try_there, &visit);
	if (visit.held)
		lockset_add(set, core, name);
	return visit.held;
}

/* ---- the same work on each core of the set ------------------------------------------ */

struct part_group {
	struct fiber *fiber;
	uint32_t pending;
};

static void part_done(struct core *core, struct message *message)
{
	struct part *part = message->args[0].ptr;
	if (--part->group->pending == 0)
		fiber_wake(core, part->group->fiber);
}

static void part_begins(struct core *core, struct message *message)
{
	struct part *part = message->args[0].ptr;
	part->work(core, part);
	struct message done = {.run = part_done, .args[0].ptr = part};
	core_reply(core, part->from, &done);
}

void lockset_each(struct core *core, struct lockset *set, void (*work)(struct core *, struct part *), void *arg)
{
	struct part parts[CORES_MAX];
	struct part_group group = {.fiber = fiber_self(core)};
	for (uint32_t from = 0, to; from < set->n; from = to) {
		to = run_end(set, from);
		struct part *part = &parts[group.pending++];
		*part = (struct part){.work = work, .keys = set->keys + from, .n = to - from, .from = core->id,
				      .group = &group, .arg = arg};
		struct message message = {.run = part_begins, .args[0].ptr = part};
		core_request(core, set->keys[from].core, &message);
	}
	if (group.pending > 0)
		fiber_wait(core);
}

/* ---- locking and releasing --------------------------------------------------------- */

static void release_part(struct core *there, struct part *part)
{
	block_serve(there, there->shard, part->keys, part->n);
	for (uint32_t i = 0; i < part->n; i++)
		if (i == 0 || part->keys[i - 1].hash != part->keys[i].hash)
			lock_release(there->shard, there->shard->locks, part->keys[i].hash);
}

void lockset_release(struct core *core, struct lockset *set) { lockset_each(core, set, release_part, NULL); }

/* False: `why`, and none is locked. */
static bool lock_all(struct core *core, struct lockset *set, bool gives_up, const char **why)
{
	set->core = core;
	for (uint32_t from = 0, to; from < set->n; from = to) {
		to = run_end(set, from);
		struct lock_visit visit = {.waiter = {.kind = LOCK_HOLD, .run = visit_granted}, .keys = set->keys + from,
					   .n = to - from, .from = core->id, .fiber = fiber_self(core)};
		struct message message = {.run = visit_begins, .args[0].ptr = &visit};
		visit.waiter.refused = gives_up ? visit_refused : NULL;
		core_request(core, set->keys[from].core, &message);
		fiber_wait(core);
		if (unlikely(visit.why)) {
			struct lockset held = {.core = core, .keys = set->keys, .n = from};
			lockset_release(core, &held);
			*why = visit.why;
			return false;
		}
	}
	return true;
}

void lockset_lock(struct core *core, struct lockset *set) { (void)lock_all(core, set, false, NULL); }

bool lockset_lock_unless_busy(struct core *core, struct lockset *set, const char **why)
{
	return lock_all(core, set, true, why);
}

/* ---- cold values -------------------------------------------------------------------- */

/* One core's part of the set: its values on their way back, or its wait for room. */
struct cold_visit {
	struct fetch_waiter fetched;
	struct room_waiter room;
	const struct locked_key *keys;
	uint32_t n, pending;
	int db; /* -1: all */
	uint16_t from;
	bool deferred; /* the answer comes by a post */
	bool waited;
	struct core *there;
	struct fiber *fiber;
};

static void cold_visit_end(struct cold_visit *visit)
{
	struct message message = {.run = visit_over, .args[0].ptr = visit->fiber};
	if (visit->deferred)
		core_post(visit->there, visit->from, &message);
	else
		core_reply(visit->there, visit->from, &message);
}

static void cold_visit_defer(struct core *core, struct cold_visit *visit)
{
	visit->deferred = visit->waited = true;
	core_defer(core, visit->from);
}

static void one_fetched(struct fetch_waiter *waiter)
{
	struct cold_visit *visit = container_of(waiter, struct cold_visit, fetched);
	if (--visit->pending == 0)
		cold_visit_end(visit);
}

static void warm_begins(struct core *core, struct message *message)
{
	struct cold_visit *visit = message->args[0].ptr;
	struct shard *shard = core->shard;
	visit->there = core;
	visit->pending = 1; /* this one */
	for (uint32_t i = 0; i < visit->n; i++) {
		for (int db = 0; db < DATABASES; db++) {
			const struct locked_key *locked = &visit->keys[i];
			struct key key = {.name = locked->name, .hash = locked->hash, .slot = locked->slot,
					  .keyspace = shard->keyspace_of_db[db]};
			if ((visit->db >= 0 && visit->db != db) ||
			    !tier_must_fetch(shard, &key, &locked->reach))
				continue;
			visit->pending++;
			tier_fetch_held(shard, &key, &locked->reach, &visit->fetched);
		}
	}
	if (visit->pending > 1)
		cold_visit_defer(core, visit);
	one_fetched(&visit->fetched);
}

static void room_found(struct shard *shard, struct room_waiter *waiter)
{
	cold_visit_end(container_of(waiter, struct cold_visit, room));
}

static void room_begins(struct core *core, struct message *message)
{
	struct cold_visit *visit = message->args[0].ptr;
	visit->there = core;
	if (!tier_is_full(core->shard)) {
		cold_visit_end(visit);
		return;
	}
	cold_visit_defer(core, visit);
	visit->room.run = room_found;
	tier_wait_for_room(core->shard, &visit->room);
}

/* Did any of them wait? */
static bool visit_each(struct core *core, struct lockset *set, int db, void (*begin)(struct core *, struct message *))
{
	bool waited = false;
	for (uint32_t from = 0, to; from < set->n; from = to) {
		to = run_end(set, from);
		struct cold_visit visit = {.fetched.done = one_fetched, .keys = set->keys + from, .n = to - from,
					   .db = db, .from = core->id, .fiber = fiber_self(core)};
		struct message message = {.run = begin, .args[0].ptr = &visit};
		core_request(core, set->keys[from].core, &message);
		fiber_wait(core);
		waited |= visit.waited;
	}
	return waited;
}

/* A fetch ends without its value if the cleaner has moved that meanwhile: so this goes on until none is to be had. The
 * keys are locked, so none leaves again. */
void lockset_warm(struct core *core, struct lockset *set, int db)
{
	while (visit_each(core, set, db, warm_begins))
		continue;
}

void lockset_wait_for_room(struct core *core, struct lockset *set)
{
	if (unlikely(core->shard->policy == EVICT_TIER))
		(void)visit_each(core, set, 0, room_begins);
}

/* ---- values there and back ---------------------------------------------------------- */

struct spread {
	const struct client_view *client;
	bool all_databases;
	const struct command *command;
	struct unit *unit;
	bool admitted; /* before */
	bool needs_values;
	_Atomic bool cold; /* a value must be fetched first */
	_Atomic(enum err) refused; /* a shard has no memory or no log; written by any core, read after all */
	struct lockset *changes; /* where the scratch shard's hook looks keys up */
	struct buf events; /* that the command has told there */
};

static struct key key_in_db(const struct shard *shard, const struct locked_key *locked, int db)
{
	return (struct key){.name = locked->name, .hash = locked->hash, .slot = locked->slot,
			    .keyspace = shard->keyspace_of_db[db]};
}

static void fetch_db(struct shard *shard, struct spread *spread, struct locked_key *locked, int db)
{
	struct key key = key_in_db(shard, locked, db);
	struct object *object = keyspace_find(shard, &key, FIND_QUIET);
	if (!object)
		return;
	if (unlikely(tier_lacks(object, &reach_all)) && spread->needs_values) {
		if (tier_must_fetch(shard, &key, &reach_all))
			spread->cold = true;
		else
			spread->refused = ERR_VALUE_LOST;
		return;
	}
	object_pack(object, &locked->fetched[db]);
	locked->expires_ms[db] = object_expires_ms(object);
}

static void fetch_part(struct core *there, struct part *part)
{
	struct spread *spread = part->arg;
	struct shard *shard = there->shard;
	shard->now_ms = spread->client->now_ms;
	enum err err = spread->admitted ? OK : call_admit(shard, spread->command->flags);
	if (err != OK)
		spread->refused = err;
	unit_join(there, spread->unit);
	for (uint32_t i = 0; i < part->n; i++) {
		struct locked_key *locked = &part->keys[i];
		if (unlikely(spread->client->tracks & TRACKS_READS) && spread->command->flags & COMMAND_READ)
			tracking_read(there, spread->client, locked->hash, locked->name);
		for (int db = 0; db < DATABASES; db++)
			if (spread->all_databases || db == spread->client->db)
				fetch_db(shard, spread, locked, db);
	}
	unit_leave(there, spread->unit);
}

static void apply_part(struct core *there, struct part *part)
{
	struct spread *spread = part->arg;
	struct shard *shard = there->shard;
	uint32_t classes = shard->event_classes;
	shard->now_ms = spread->client->now_ms;
	unit_join(there, spread->unit);
	notify_tell(shard, 0); /* the command has said what happened */
	tracking_write_begins(there, spread->client);
	for (uint32_t i = 0; i < part->n; i++) {
		struct locked_key *locked = &part->keys[i];
		for (int db = 0; db < DATABASES; db++) {
			if (!locked->dirty[db])
				continue;
			struct key key = key_in_db(shard, locked, db);
			if (locked->fetched[db].len == 0) {
				(void)keyspace_delete(shard, &key);
				continue;
			}
			enum err err = object_unpack(shard, &key, buf_slice(&locked->fetched[db]), locked->expires_ms[db]);
			assert(err == OK); /* packed by this very program a moment ago */
		}
	}
	tracking_write_ends(there);
	notify_tell(shard, classes);
	notify_happened_here(there, &spread->events);
	unit_leave(there, spread->unit);
}

static int db_of_keyspace(const struct shard *shard, uint32_t keyspace)
{
	for (int db = 0; db < DATABASES; db++)
		if (shard->keyspace_of_db[db] == keyspace)
			return db;
	assert(!"a key of no database");
	return -1;
}

/* The command changed a key of the scratch shard. */
static void scratch_changed(struct shard *scratch, const struct key *key)
{
	struct spread *spread = scratch->changed_arg;
	struct locked_key wanted = {.name = key->name, .hash = key->hash, .slot = key->slot};
	wanted.core = core_of_slot(spread->changes->core, key->slot);
	bool found;
	uint32_t at = lockset_place(spread->changes, &wanted, &found);
	assert(found); /* a command touches the keys that its row names, no others */
	spread->changes->keys[at].dirty[db_of_keyspace(scratch, key->keyspace)] = true;
}

static void scratch_load(struct shard *scratch, struct lockset *set)
{
	scratch->changed = NULL;
	for (uint32_t i = 0; i < set->n; i++) {
		struct locked_key *locked = &set->keys[i];
		for (int db = 0; db < DATABASES; db++) {
			if (locked->fetched[db].len == 0)
				continue;
			struct key key = key_in_db(scratch, locked, db);
			enum err err = object_unpack(scratch, &key, buf_slice(&locked->fetched[db]), locked->expires_ms[db]);
			assert(err == OK);
		}
	}
}

/* Takes back what changed, and leaves the scratch shard empty. */
static bool scratch_unload(struct shard *scratch, struct lockset *set)
{
	bool any = false;
	scratch->changed = NULL;
	for (uint32_t i = 0; i < set->n; i++) {
		struct locked_key *locked = &set->keys[i];
		for (int db = 0; db < DATABASES; db++) {
			struct key key = key_in_db(scratch, locked, db);
			locked->fetched[db].len = 0;
			if (locked->dirty[db]) {
				any = true;
				struct object *object = keyspace_find(scratch, &key, FIND_QUIET);
				if (object) {
					object_pack(object, &locked->fetched[db]);
					locked->expires_ms[db] = object_expires_ms(object);
				}
			}
			(void)keyspace_delete(scratch, &key);
		}
	}
	return any;
}

static void lockset_reach_all(struct lockset *set)
{
	for (uint32_t i = 0; i < set->n; i++)
		set->keys[i].reach = reach_all;
}

static void lockset_prepare(struct lockset *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		struct locked_key *locked = &set->keys[i];
		key_forget(locked);
		locked->fetched = memory_zalloc(DATABASES * sizeof(*locked->fetched));
		locked->expires_ms = memory_zalloc(DATABASES * sizeof(*locked->expires_ms));
		locked->dirty = memory_zalloc(DATABASES * sizeof(*locked->dirty));
	}
}

static void count_hits(struct core *core, struct shard *scratch)
{
	core->shard->counters.hits += scratch->counters.hits;
	core->shard->counters.misses += scratch->counters.misses;
	scratch->counters.hits = scratch->counters.misses = 0;
}

void lockset_of(struct lockset *set, struct core *core, const struct command *command, const struct slice *argv,
		uint32_t argc)
{
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n = keys_positions(command, argv, argc, room, ROUND_KEYS_INLINE, &at, &owned);
	for (int i = 0; i < n; i++)
		lockset_add_for(set, core, command, argv, argc, at[i]);
	memory_free(owned);
	set->core = core;
}

void spread_execute_on(struct core *core, struct lockset *set, const struct client_view *client,
		       const struct command *command, const struct slice *argv, uint32_t argc, struct reply *reply,
		       struct unit *unit, bool admitted)
{
	struct shard *scratch = core->commands->rounds->scratch;
	struct spread spread = {.client = client, .command = command, .changes = set, .unit = unit, .admitted = admitted,
				.all_databases = command->flags & COMMAND_OTHER_DB,
				.needs_values = needs_values(command, argv, argc)};
	lockset_prepare(set);
	lockset_each(core, set, fetch_part, &spread);
	if (unlikely(spread.cold) && spread.refused == OK) {
		lockset_reach_all(set); /* values travel whole */
		lockset_warm(core, set, spread.all_databases ? -1 : client->db);
		lockset_prepare(set);
		spread.cold = false;
		lockset_each(core, set, fetch_part, &spread);
		assert(!spread.cold);
	}
	if (spread.refused != OK) {
		reply_err(reply, spread.refused);
		return;
	}
	/* From here to the unloading nothing waits: the scratch shard is ours alone. */
	memcpy(scratch->keyspace_of_db, core->shard->keyspace_of_db, sizeof(scratch->keyspace_of_db));
	scratch->now_ms = client->now_ms;
	scratch_load(scratch, set);
	scratch->changed = scratch_changed;
	scratch->changed_arg = &spread;
	struct client_view view = view_on_shard(client, scratch);
	struct buf *loans = reply->loans;
	reply->loans = NULL; /* values here are gone in a moment: copy them */
	notify_tell(scratch, core->shard->event_classes);
	notify_collect(core, &spread.events);
	call_execute(core, scratch, &view, NULL, command, argv, argc, reply, true);
	notify_collect(core, NULL);
	notify_tell(scratch, 0);
	reply->loans = loans;
	count_hits(core, scratch);
	if (scratch_unload(scratch, set) || spread.events.len > 0)
		lockset_each(core, set, apply_part, &spread);
	buf_fini(&spread.events);
}

void spread_execute(struct core *core, const struct client_view *client, const struct command *command,
		    const struct slice *argv, uint32_t argc, struct reply *reply, struct unit *unit)
{
	struct lockset set = {0};
	lockset_of(&set, core, command, argv, argc);
	spread_execute_on(core, &set, client, command, argv, argc, reply, unit, true);
	lockset_fini(&set);
}

void spread_run(struct core *core, const struct client_view *client, const struct command *command,
		const struct slice *argv, uint32_t argc, struct reply *reply)
{
	struct lockset set = {0};
	struct unit unit;
	struct reply_mark mark = reply_mark(reply);
	unit_init(&unit, core, client->waits);
	lockset_of(&set, core, command, argv, argc);
	if (command->flags & COMMAND_GROWS)
		lockset_wait_for_room(core, &set);
	metric_add(core, METRIC_COMMANDS_SPREAD, 1);
	const char *why;
	enum err err = OK;
	if (lockset_lock_unless_busy(core, &set, &why)) {
		spread_execute_on(core, &set, client, command, argv, argc, reply, &unit, false);
		err = unit_commit(&unit);
		lockset_release(core, &set);
	} else {
		reply_error_fmt(reply, "%s", why);
	}
	if (unlikely(err != OK)) {
		reply_take_back(core, reply, mark);
		reply_err(reply, err);
	}
	unit_fini(&unit);
	lockset_fini(&set);
}
