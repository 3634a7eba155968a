/* block.c -- clients that wait for keys: their parts on shards, the claim, and the four who compete for it.
 *
 * What is done on a shard's core and what on the client's is said at each section. Between them go:
 *   served    a shard has claimed the wait, and here is the answer (or it was refused)
 *   moves     a shard has what it waits for, and serving it takes locks
 *   withdraw  the wait is over: let go of the part; and back: it is
 */
#include "query/session/block.h"

#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/placement/placement.h"
#include "query/commands/slowlog.h"
#include "query/commands/tracking.h"
#include "query/session/cold.h"
#include "query/session/round_private.h"
#include "query/session/spread_private.h"
#include "query/session/unit.h"
#include "storage/keyspace/waits.h"

#include <stdatomic.h>

enum claim {
	WAITS,
	MOVES, /* its own core tries to serve it, under locks; it keeps its place */
	ENDED,
};

/* Of the client's core. */
enum stage { STARTING, WAITING, OVER };

/* Why a wait ends without what was waited for. */
enum ending { NOT_ENDING, TIME_IS_OVER, UNBLOCKED_WITH_ERROR };

/* One key of a part. */
struct block_key {
	struct waiter waiter;
	struct block_part *part;
	uint32_t at; /* among the arguments */
	char pinned[PIN_TEXT_MAX];
};

/* What a shard keeps; in its core's memory. */
struct block_part {
	struct blocked *blocked;
	uint16_t number; /* among the parts */
	uint32_t n;
	struct block_key keys[];
};

struct blocked {
	_Atomic uint32_t claim;
	/* Constant once there are parts: */
	struct core *core;
	const struct command *command;
	const struct reply_ops *ops;
	struct client_view client;
	uint64_t timeout_ns;
	struct block_part **parts; /* one for a call on one shard, else by core */
	struct block_part *one;
	uint16_t n_parts, first_core;
	/* The client core's: */
	struct session *session; /* NULL: gone, or it waits no more */
	struct timer timer;
	enum stage stage;
	enum ending late; /* that came while it moved */
	bool muted;
	bool answered;    /* before the session waited */
	uint32_t pending; /* parts not yet let go of */
	struct buf answer;
	struct task move_task;
	struct fiberless line;
	uint32_t moves; /* under way: fibers that run or line up, and what they still have to say */
	size_t size;
	uint32_t argc;
	struct slice argv[];
};

static const struct blocking *how(const struct blocked *blocked) { return blocked->command->blocking; }

/* ---- life: on the client's core ---------------------------------------------------------- */

static void time_is_over(struct core *core, struct timer *timer);
static void move_begins(struct core *core, struct task *task);

struct blocked *blocked_new(struct session *session, const struct command *command, const struct slice *argv,
                            uint32_t argc)
{
	size_t size = sizeof(struct blocked) + argc * sizeof(struct slice);
	for (uint32_t i = 0; i < argc; i++)
		size += argv[i].len;
	struct blocked *blocked = memory_alloc(size);
	*blocked = (struct blocked){.core = session->core,
	                            .command = command,
	                            .ops = session->ops->reply_ops(session),
	                            .client = session_view(session),
	                            .session = session,
	                            .timer.run = time_is_over,
	                            .move_task = {.run = move_begins, .name = "move"},
	                            .size = size,
	                            .argc = argc};
	blocked->line.task = &blocked->move_task;
	uint8_t *at = (uint8_t *)&blocked->argv[argc];
	for (uint32_t i = 0; i < argc; i++) {
		if (argv[i].len > 0)
			memcpy(at, argv[i].ptr, argv[i].len);
		blocked->argv[i] = slice_of(at, argv[i].len);
		at += argv[i].len;
	}
	return blocked;
}

size_t blocked_memory(const struct blocked *blocked)
{
	return blocked->size + blocked->n_parts * (sizeof(struct block_part) + sizeof(struct block_key));
}

static _Atomic uint32_t *count_of_waiting(const struct core *core)
{
	return &core->machine->cores[0]->commands->n_waiting;
}

bool block_any(const struct core *core)
{
	return atomic_load_explicit(count_of_waiting(core), memory_order_relaxed) > 0;
}

static void blocked_free(struct blocked *blocked)
{
	if (blocked->n_parts > 0)
		atomic_fetch_sub(count_of_waiting(blocked->core), 1);
	if (blocked->parts != &blocked->one)
		memory_free(blocked->parts);
	buf_fini(&blocked->answer);
	memory_free(blocked);
}

void blocked_discard(struct blocked *blocked) { blocked_free(blocked); }

static void free_if_done(struct blocked *blocked)
{
	if (blocked->stage == OVER && blocked->pending == 0 && blocked->moves == 0)
		blocked_free(blocked);
}

static bool claim(struct blocked *blocked, enum claim to)
{
	uint32_t waits = WAITS;
	return atomic_compare_exchange_strong(&blocked->claim, &waits, to);
}

/* ---- parts: on the shard's core ------------------------------------------------------------ */

static struct block_part *part_new(struct core *core, struct blocked *blocked, uint16_t number, uint32_t room)
{
	struct block_part *part = memory_alloc(sizeof(*part) + room * sizeof(part->keys[0]));
	part->blocked = blocked;
	part->number = number;
	part->n = 0;
	blocked->parts[number] = part;
	return part;
}

static struct block_key *key_of_waiter(struct waiter *waiter) { return container_of(waiter, struct block_key, waiter); }

/* A key that is named twice is waited for once. */
static bool part_has(struct block_part *part, struct shard *shard, const struct key *key)
{
	struct waiter *last = waits_last(shard, key);
	return last && key_of_waiter(last)->part == part;
}

/* What its arguments say of the key as it is now stays so. */
static void pin(struct block_key *place, const struct exec *exec, const struct key *key)
{
	struct blocked *blocked = place->part->blocked;
	size_t len;
	if (!how(blocked)->pin)
		return;
	const struct object *object = keyspace_find(exec->shard, key, FIND_QUIET);
	uint32_t at = how(blocked)->pin(exec, place->at, object, place->pinned, &len);
	if (at > 0)
		blocked->argv[at] = slice_of(place->pinned, len);
}

static void part_add(struct block_part *part, const struct exec *exec, const struct key *key, uint32_t at)
{
	if (part_has(part, exec->shard, key))
		return;
	struct block_key *place = &part->keys[part->n++];
	*place = (struct block_key){.waiter.types = how(part->blocked)->types, .part = part, .at = at};
	pin(place, exec, key);
	waiter_add(exec->shard, key, &place->waiter);
}

static void part_free(struct shard *shard, struct block_part *part)
{
	for (uint32_t i = 0; i < part->n; i++)
		waiter_remove(shard, &part->keys[i].waiter);
	memory_free(part);
}

void exec_block(struct exec *exec, const struct block_wish *wish)
{
	struct blocked *blocked = exec->blocked;
	blocked->timeout_ns = wish->timeout_ns;
	blocked->parts = &blocked->one;
	blocked->n_parts = 1;
	blocked->pending = 1;
	blocked->first_core = exec->core->id;
	atomic_fetch_add(count_of_waiting(exec->core), 1);
	struct block_part *part = part_new(exec->core, blocked, 0, wish->n);
	for (uint32_t at = wish->first; at < wish->first + wish->n; at++) {
		struct key key = exec_key(exec, at);
		part_add(part, exec, &key, at);
	}
}

/* ---- serving: on the shard's core ---------------------------------------------------------- */

/* An answer on its way, which waits until it is durable. */
struct served {
	struct log_waiter waiter;
	struct blocked *blocked;
	uint16_t number; /* of the part */
	struct buf answer;
};

static void served_arrived(struct core *core, struct message *message);
static void move_arrived(struct core *core, struct message *message);

static void served_send(struct core *core, struct served *served)
{
	struct message message = {.run = served_arrived, .number = served->number, .args[0].ptr = served->blocked};
	message.args[1].ptr = served->answer.ptr;
	message.args[2].word = served->answer.len;
	message.args[3].word = served->answer.cap;
	core_post(core, served->blocked->core->id, &message);
	memory_free(served);
}

static void served_durable(struct log *log, struct log_waiter *waiter)
{
	struct served *served = container_of(waiter, struct served, waiter);
	if (unlikely(log_durable(log) < waiter->lsn)) {
		struct reply reply = {.ops = served->blocked->ops, .out = &served->answer};
		served->answer.len = 0;
		reply_err(&reply, ERR_SHARD_STOPPED);
	}
	served_send(core_current(), served);
}

/* What the answer rests on: what was changed for it, or what it has read. */
static uint64_t rests_on(struct journal *journal, const struct key *key, uint64_t changed)
{
	uint64_t read = journal_rests_on(journal, key->hash);
	return changed > read ? changed : read;
}

/* The wait is claimed; its part goes. */
static void serve(struct core *core, struct block_part *part, const struct key *key, uint32_t at)
{
	struct shard *shard = core->shard;
	struct blocked *blocked = part->blocked;
	struct served *served = memory_zalloc(sizeof(*served));
	struct client_view view = view_on_shard(&blocked->client, shard);
	struct reply reply = {.ops = blocked->ops, .out = &served->answer};
	struct exec exec = {.core = core,
	                    .shard = shard,
	                    .client = &view,
	                    .command = blocked->command,
	                    .argv = blocked->argv,
	                    .argc = blocked->argc,
	                    .reply = &reply};
	view.now_ms = shard->now_ms;
	view.now_us = shard->now_ms * 1000;
	served->blocked = blocked;
	served->number = part->number;
	enum err err = call_admit(shard, blocked->command->flags & ~(uint32_t)COMMAND_GROWS);
	tracking_write_begins(core, &view);
	uint64_t before = io_now_ns(core->io);
	if (unlikely(shard_has_cold(shard)) && err == OK && lacks_value(&exec, at))
		err = ERR_VALUE_LOST;
	if (likely(err == OK))
		err = how(blocked)->serve(&exec, key, at);
	slowlog_note(core, exec.command, exec.argv, exec.argc, io_now_ns(core->io) - before, &view);
	tracking_write_ends(core);
	if (unlikely(err != OK))
		reply_err(&reply, err);
	if (unlikely(reply.errors)) /* the call was counted when it began to wait */
		commands_count(core, blocked->command, 0, 0, 1);
	uint64_t lsn = 0;
	if (shard->journal) {
		lsn = journal_flush(shard->journal);
		lsn = rests_on(shard->journal, key, lsn);
	}
	part_free(shard, part);
	served->waiter = (struct log_waiter){.lsn = lsn, .run = served_durable};
	if (lsn == 0 || !blocked->client.waits || log_wait(journal_log(shard->journal), &served->waiter))
		served_send(core, served);
}

struct serving {
	struct core *core;
	const struct locked_key *held; /* by hash */
	uint32_t n;
};

static bool is_ours(const struct serving *serving, uint64_t hash)
{
	uint32_t from = 0, to = serving->n;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (serving->held[middle].hash == hash)
			return true;
		if (serving->held[middle].hash < hash)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}

static bool may_show(void *arg, const struct key *key)
{
	const struct serving *serving = arg;
	const struct locks *locks = serving->core->shard->locks;
	return locks_at_rest(locks) || !lock_is_held(locks, key->hash) || is_ours(serving, key->hash);
}

/* Does it change keys that are not here, that somebody has locked, or whose values are not in memory? */
static bool is_out_of_reach(struct core *core, const struct blocked *blocked, struct slice name, uint64_t hash)
{
	struct shard *shard = core->shard;
	struct key key = {.name = name,
	                  .hash = hash,
	                  .slot = slot_of(name),
	                  .keyspace = shard->keyspace_of_db[blocked->client.db]};
	if (core_of_slot(core, key.slot) != core->id || lock_is_held(shard->locks, hash))
		return true;
	const struct object *object = shard_is_tiered(shard) ? keyspace_peek(shard, &key) : NULL;
	return object && object_is_cold(object);
}

static bool needs_locks(struct core *core, const struct blocked *blocked, const struct key *key)
{
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	bool needs = false;
	int n = keys_positions(blocked->command, blocked->argv, blocked->argc, room, ROUND_KEYS_INLINE, &at, &owned);
	for (int i = 0; i < n && !needs; i++) {
		struct slice name = blocked->argv[at[i]];
		uint64_t hash = key_hash(core->shard->hash_seed, name);
		needs = hash != key->hash && is_out_of_reach(core, blocked, name, hash);
	}
	memory_free(owned);
	return needs;
}

/* A key whose value is on its way: then it is shown again. */
struct fetched_key {
	struct lock_waiter waiter; /* behind the fetch */
	struct key key;
	uint8_t name[];
};

static void show_fetched(struct shard *shard, struct lock_waiter *waiter)
{
	struct fetched_key *fetched = container_of(waiter, struct fetched_key, waiter);
	struct locked_key turn = {.hash = fetched->key.hash};
	shard->now_ms = shard->core->wall_us / 1000;
	waits_show_again(shard, &fetched->key);
	memory_free(fetched);
	block_serve(shard->core, shard, &turn, 1);
}

/* True: what the call needs of the key's value is not in memory, and comes. */
static bool fetches(struct core *core, const struct exec *exec, const struct key *key, uint32_t at)
{
	struct shard *shard = core->shard;
	struct reach reach = call_reach(exec->command, exec->argv, exec->argc, at);
	if (likely(!shard_has_cold(shard)) || !tier_must_fetch(shard, key, &reach))
		return false;
	struct fetched_key *fetched = memory_zalloc(sizeof(*fetched) + key->name.len);
	fetched->waiter =
	        (struct lock_waiter){.fingerprint = key->hash, .kind = LOCK_PASS, .run = show_fetched};
	fetched->key = *key;
	if (key->name.len > 0)
		memcpy(fetched->name, key->name.ptr, key->name.len);
	fetched->key.name = slice_of(fetched->name, key->name.len);
	(void)tier_fetch(shard, key, &reach, false, false);
	if (!lock_take(shard->locks, &fetched->waiter))
		return true;
	memory_free(fetched);
	return false;
}

static bool show(void *arg, const struct key *key, struct waiter *waiter)
{
	struct core *core = ((struct serving *)arg)->core;
	struct block_key *place = key_of_waiter(waiter);
	struct block_part *part = place->part;
	struct blocked *blocked = part->blocked;
	struct object *object = keyspace_find(core->shard, key, FIND_QUIET);
	if (!object || !(waiter->types & 1u << object_type(object))) {
		if (waiter->types & WAITS_FOR_LOSS && claim(blocked, ENDED))
			serve(core, part, key, place->at);
		return object;
	}
	if (atomic_load(&blocked->claim) == MOVES)
		return false; /* it comes first; then the key is shown again */
	struct client_view view = view_on_shard(&blocked->client, core->shard);
	struct exec exec = {.core = core,
	                    .shard = core->shard,
	                    .client = &view,
	                    .command = blocked->command,
	                    .argv = blocked->argv,
	                    .argc = blocked->argc};
	bool looks = how(blocked)->fits && !object_is_cold(object);
	if (looks && !how(blocked)->fits(&exec, place->at, object))
		return true;
	if (unlikely(fetches(core, &exec, key, place->at)))
		return false;
	if (how(blocked)->moves && needs_locks(core, blocked, key)) {
		if (!claim(blocked, MOVES))
			return true;
		struct message message = {.run = move_arrived, .args[0].ptr = blocked};
		core_post(core, blocked->core->id, &message);
		return false;
	}
	if (claim(blocked, ENDED))
		serve(core, part, key, place->at);
	return true;
}

void block_serve_ready(struct core *core, const struct locked_key *held, uint32_t n)
{
	struct serving serving = {.core = core, .held = held, .n = n};
	struct waits_server server = {.may = may_show, .serve = show, .arg = &serving};
	waits_serve(core->shard, &server);
}

/* ---- the end of a wait: on the client's core ------------------------------------------------- */

static void part_gone(struct core *core, struct message *message)
{
	struct blocked *blocked = message->args[0].ptr;
	blocked->pending--;
	free_if_done(blocked);
}

static void withdraw_there(struct core *core, struct message *message)
{
	struct message gone = {.run = part_gone, .args[0].ptr = message->args[0].ptr};
	part_free(core->shard, message->args[1].ptr);
	core_reply(core, message->from, &gone);
}

static uint16_t core_of_part(const struct blocked *blocked, uint16_t number)
{
	return blocked->n_parts == 1 ? blocked->first_core : number;
}

/* Somebody has claimed it: all parts that are left go. */
static void withdraw(struct blocked *blocked)
{
	struct core *core = blocked->core;
	for (uint16_t i = 0; i < blocked->n_parts; i++) {
		struct block_part *part = take(blocked->parts[i]);
		if (!part)
			continue;
		uint16_t to = core_of_part(blocked, i);
		if (to == core->id) {
			part_free(core->shard, part);
			blocked->pending--;
			continue;
		}
		struct message message = {.run = withdraw_there, .args = {{.ptr = blocked}, {.ptr = part}}};
		core_request(core, to, &message);
	}
}

/* It is claimed, and its session waits no more, or never did. The caller frees it if it is done. */
static void end(struct blocked *blocked)
{
	struct session *session = take(blocked->session);
	timer_stop(&blocked->core->timers, &blocked->timer);
	if (blocked->stage == WAITING)
		session->blocked = NULL;
	blocked->stage = OVER;
	withdraw(blocked);
}

/* Ends it with the answer that it has. */
static void finish(struct blocked *blocked)
{
	struct session *session = blocked->session;
	struct reply reply;
	session->ops->push(session, &reply);
	if (!blocked->muted)
		buf_append(reply.out, buf_slice(&blocked->answer));
	end(blocked);
	free_if_done(blocked);
	session->ops->resume(session);
}

static void answer_arrived(struct blocked *blocked)
{
	if (blocked->stage == WAITING) {
		finish(blocked);
	} else if (blocked->stage == STARTING) {
		blocked->answered = true;
	} else {
		withdraw(blocked);
		free_if_done(blocked);
	}
}

static void served_arrived(struct core *core, struct message *message)
{
	struct blocked *blocked = message->args[0].ptr;
	blocked->answer =
	        (struct buf){.ptr = message->args[1].ptr, .len = message->args[2].word, .cap = message->args[3].word};
	blocked->parts[message->number] = NULL;
	blocked->pending--;
	answer_arrived(blocked);
}

static void say_ending(struct blocked *blocked, enum ending ending)
{
	struct reply reply = {.ops = blocked->ops, .out = &blocked->answer};
	if (ending == TIME_IS_OVER)
		reply_null_array(&reply);
	else
		reply_error_fmt(&reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

/* False: somebody else has claimed it for good. */
static bool end_as(struct blocked *blocked, enum ending ending)
{
	if (claim(blocked, ENDED)) {
		say_ending(blocked, ending);
		finish(blocked);
		return true;
	}
	if (atomic_load(&blocked->claim) != MOVES)
		return false;
	if (blocked->late == NOT_ENDING)
		blocked->late = ending;
	return true;
}

static void time_is_over(struct core *core, struct timer *timer)
{
	(void)end_as(container_of(timer, struct blocked, timer), TIME_IS_OVER);
}

bool session_unblock(struct session *session, bool with_error)
{
	return session->blocked && end_as(session->blocked, with_error ? UNBLOCKED_WITH_ERROR : TIME_IS_OVER);
}

void session_leave(struct session *session)
{
	struct blocked *blocked = session->blocked;
	if (!blocked)
		return;
	timer_stop(&blocked->core->timers, &blocked->timer);
	session->blocked = NULL;
	blocked->session = NULL;
	blocked->stage = OVER;
	if (claim(blocked, ENDED))
		withdraw(blocked);
	free_if_done(blocked);
}

static bool is_muted(const struct session *session)
{
	return session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
}

static void start(struct blocked *blocked)
{
	struct session *session = blocked->session;
	blocked->stage = WAITING;
	blocked->muted = is_muted(session);
	session->blocked = blocked;
	if (blocked->timeout_ns > 0)
		timer_start(&blocked->core->timers, &blocked->timer, blocked->core->now_ns + blocked->timeout_ns);
}

bool blocked_settle(struct blocked *blocked, bool said, struct buf *out)
{
	if (blocked->n_parts == 0) {
		blocked_free(blocked);
		return false;
	}
	if (likely(!said && !blocked->answered)) {
		start(blocked);
		return true;
	}
	if (!said && !is_muted(blocked->session))
		buf_append(out, buf_slice(&blocked->answer));
	if (blocked->answered || claim(blocked, ENDED)) {
		end(blocked);
	} else {
		blocked->session = NULL; /* what a shard does for it is in vain: its log has failed */
		blocked->stage = OVER;
	}
	free_if_done(blocked);
	return false;
}

/* ---- several shards: fibers of the client's core --------------------------------------------- */

static void count(struct core *core, const struct command *command)
{
	commands_count(core, command, 1, core->commands->rounds->call_ns, 0);
	metric_add(core, METRIC_COMMANDS, 1);
}

/* What the keys of a wish have. */
enum found { FOUND_NOTHING, FOUND_IT, FOUND_OTHER, FOUND_COLD };

struct look {
	const struct client_view *client;
	const struct command *command;
	const struct slice *argv;
	uint32_t argc;
	struct block_wish wish;
	uint8_t *found;          /* enum found, by key of the wish: each core says its own */
	struct blocked *blocked; /* to be registered */
};

static struct exec exec_on(struct core *there, const struct look *look, struct client_view *view)
{
	*view = view_on_shard(look->client, there->shard);
	return (struct exec){.core = there,
	                     .shard = there->shard,
	                     .client = view,
	                     .command = look->command,
	                     .argv = look->argv,
	                     .argc = look->argc};
}

static bool is_here(const struct core *there, const struct look *look, uint32_t at)
{
	return core_of_slot(there, slot_of(look->argv[at])) == there->id;
}

static enum found look_at(const struct exec *exec, uint32_t at)
{
	const struct blocking *blocking = exec->command->blocking;
	struct key key = exec_key(exec, at);
	struct object *object = keyspace_find(exec->shard, &key, FIND_QUIET);
	if (!object)
		return blocking->needs_keys ? FOUND_OTHER : FOUND_NOTHING;
	if (!(blocking->types & 1u << object_type(object)))
		return FOUND_OTHER;
	struct reach reach = call_reach(exec->command, exec->argv, exec->argc, at);
	if (tier_lacks(object, &reach))
		return FOUND_COLD;
	return !blocking->fits || blocking->fits(exec, at, object) ? FOUND_IT : FOUND_NOTHING;
}

static void look_there(struct core *there, struct part *part)
{
	struct look *look = part->arg;
	struct client_view view;
	struct exec exec = exec_on(there, look, &view);
	there->shard->now_ms = look->client->now_ms;
	for (uint32_t i = 0; i < look->wish.n; i++)
		if (is_here(there, look, look->wish.first + i))
			look->found[i] = look_at(&exec, look->wish.first + i);
}

static void register_there(struct core *there, struct part *part)
{
	struct look *look = part->arg;
	struct client_view view;
	struct exec exec = exec_on(there, look, &view);
	there->shard->now_ms = look->client->now_ms;
	struct block_part *mine = part_new(there, look->blocked, there->id, part->n);
	for (uint32_t at = look->wish.first; at < look->wish.first + look->wish.n; at++) {
		if (!is_here(there, look, at))
			continue;
		struct key key = exec_key(&exec, at);
		part_add(mine, &exec, &key, at);
	}
}

/* The locks are held. Shards of keys that cannot end the wait have no part. */
static void register_all(struct core *core, struct lockset *set, struct look *look)
{
	struct blocked *blocked = look->blocked;
	struct lockset waited = {.core = core};
	for (uint32_t at = look->wish.first; at < look->wish.first + look->wish.n; at++)
		lockset_add(&waited, core, look->argv[at]);
	blocked->parts = memory_zalloc(core->n_cores * sizeof(struct block_part *));
	blocked->n_parts = core->n_cores;
	blocked->timeout_ns = look->wish.timeout_ns;
	atomic_fetch_add(count_of_waiting(core), 1);
	lockset_each(core, &waited, register_there, look);
	for (uint16_t i = 0; i < core->n_cores; i++)
		blocked->pending += blocked->parts[i] != NULL;
	lockset_fini(&waited);
}

struct serve_call {
	const struct look *look;
	struct unit *unit;
	struct reply *reply;
	uint32_t at;
};

static void serve_there(struct core *there, void *arg)
{
	struct serve_call *call = arg;
	struct client_view view;
	struct exec exec = exec_on(there, call->look, &view);
	struct key key = exec_key(&exec, call->at);
	exec.reply = call->reply;
	there->shard->now_ms = view.now_ms;
	enum err err = call_admit(there->shard, exec.command->flags);
	unit_join(there, call->unit);
	tracking_write_begins(there, &view);
	if (err == OK)
		err = exec.command->blocking->serve(&exec, &key, call->at);
	tracking_write_ends(there);
	if (err != OK)
		reply_err(call->reply, err);
	unit_leave(there, call->unit);
}

static const uint32_t none = UINT32_MAX;

/* The first key that is not without what is wanted; or `none`. */
static uint32_t first_found(const struct look *look, enum found *out)
{
	for (uint32_t i = 0; i < look->wish.n; i++) {
		*out = look->found[i];
		if (*out != FOUND_NOTHING)
			return look->wish.first + i;
	}
	return none;
}

/* The locks are held. A value that is cold even so cannot be had. */
static uint32_t look_at_all(struct core *core, struct lockset *set, struct look *look, enum found *out)
{
	if (unlikely(look->wish.fails)) {
		*out = FOUND_OTHER;
		return look->wish.first;
	}
	lockset_each(core, set, look_there, look);
	uint32_t at = first_found(look, out);
	if (likely(at == none || *out != FOUND_COLD))
		return at;
	lockset_warm(core, set, look->client->db);
	lockset_each(core, set, look_there, look);
	return first_found(look, out);
}

static void run_found(struct core *core, struct lockset *set, struct look *look, uint32_t at, enum found found,
                      struct reply *reply)
{
	struct unit unit;
	struct reply_mark mark = reply_mark(reply);
	unit_init(&unit, core, look->client->waits);
	if (found == FOUND_IT && !look->command->blocking->moves && !look->command->blocking->whole) {
		struct serve_call call = {.look = look, .unit = &unit, .reply = reply, .at = at};
		fiber_call(core, core_of_slot(core, slot_of(look->argv[at])), serve_there, &call);
		count(core, look->command);
	} else {
		spread_execute_on(core, set, look->client, look->command, look->argv, look->argc, reply, &unit, false);
	}
	enum err err = unit_commit(&unit);
	unit_fini(&unit);
	if (likely(err == OK))
		return;
	reply_take_back(core, reply, mark);
	reply_err(reply, err);
}

static bool read_wish(struct core *core, struct look *look, struct reply *reply)
{
	struct client_view view;
	struct exec exec = exec_on(core, look, &view);
	exec.reply = reply;
	return look->command->blocking->read(&exec, &look->wish);
}

void blocked_run_spread(struct core *core, const struct client_view *client, const struct command *command,
                        struct reply *reply, struct blocked *blocked)
{
	struct look look = {
	        .client = client, .command = command, .argv = blocked->argv, .argc = blocked->argc, .blocked = blocked};
	struct lockset set = {0};
	enum found found;
	if (!read_wish(core, &look, reply)) {
		count(core, command);
		return;
	}
	lockset_of(&set, core, command, blocked->argv, blocked->argc);
	look.found = memory_zalloc(look.wish.n);
	if (command->flags & COMMAND_GROWS)
		lockset_wait_for_room(core, &set);
	lockset_lock(core, &set);
	metric_add(core, METRIC_COMMANDS_SPREAD, 1);
	uint32_t at = look_at_all(core, &set, &look, &found);
	if (at == none) {
		register_all(core, &set, &look);
		count(core, command);
	} else {
		run_found(core, &set, &look, at, found, reply);
	}
	lockset_release(core, &set);
	lockset_fini(&set);
	memory_free(look.found);
}

/* ---- moves: a fiber of the client's core ------------------------------------------------------- */

/* What becomes of a wait that moved; said on the shard of its part, under the lock. */
struct moved {
	struct blocked *blocked;
	struct block_part *part;
	bool is_over; /* it was served, or is to end */
};

static void settle_there(struct core *there, void *arg)
{
	struct moved *moved = arg;
	struct blocked *blocked = moved->blocked;
	struct block_part *part = moved->part;
	struct key key = *waiter_key(&part->keys[0].waiter);
	key.name = blocked->argv[part->keys[0].at];
	if (moved->is_over)
		part_free(there->shard, part);
	atomic_store(&blocked->claim, moved->is_over ? ENDED : WAITS);
	waits_show_again(there->shard, &key); /* when the lock is let go */
}

/* A wait that moves has one part, with one key. */
static uint16_t part_of_move(const struct blocked *blocked)
{
	uint16_t number = 0;
	while (!blocked->parts[number])
		number++;
	return number;
}

static bool try_move(struct blocked *blocked, struct lockset *set)
{
	struct core *core = blocked->core;
	struct client_view client = blocked->client;
	uint8_t found = FOUND_NOTHING;
	client.now_us = core->wall_us;
	client.now_ms = core->wall_us / 1000;
	struct look look = {.client = &client,
	                    .command = blocked->command,
	                    .argv = blocked->argv,
	                    .argc = blocked->argc,
	                    .found = &found};
	struct reply reply = {.ops = blocked->ops, .out = &blocked->answer};
	bool is_sound = read_wish(core, &look, &reply);
	assert(is_sound && !look.wish.fails && look.wish.n == 1); /* as when the wait began */
	lockset_each(core, set, look_there, &look);
	if (found != FOUND_IT || blocked->stage == OVER)
		return false;
	run_found(core, set, &look, look.wish.first, FOUND_IT, &reply);
	return true;
}

/* What came while it moved. If it moves again, that comes later. */
static void catch_up(struct blocked *blocked)
{
	bool is_due = blocked->stage == OVER || blocked->late != NOT_ENDING;
	if (!is_due || !claim(blocked, ENDED))
		return;
	if (blocked->stage == WAITING) {
		say_ending(blocked, blocked->late);
		finish(blocked);
	} else {
		withdraw(blocked);
	}
}

enum { MOVE_ENDED = 1 };

/* Out of the fiber: the client's next commands may run here. */
static void move_is_over(struct core *core, struct message *message)
{
	struct blocked *blocked = message->args[0].ptr;
	if (message->number == MOVE_ENDED)
		answer_arrived(blocked);
	else
		catch_up(blocked);
	blocked->moves--;
	free_if_done(blocked);
}

static void move_in_fiber(void *arg)
{
	struct blocked *blocked = arg;
	struct core *core = blocked->core;
	struct lockset set = {0};
	struct message over = {.run = move_is_over, .args[0].ptr = blocked};
	lockset_of(&set, core, blocked->command, blocked->argv, blocked->argc);
	lockset_lock(core, &set);
	uint16_t number = part_of_move(blocked);
	bool served = try_move(blocked, &set);
	bool is_late = blocked->stage == OVER || blocked->late != NOT_ENDING;
	struct moved moved = {.blocked = blocked, .part = blocked->parts[number], .is_over = served || is_late};
	if (moved.is_over) {
		blocked->parts[number] = NULL;
		blocked->pending--;
		over.number = MOVE_ENDED;
		if (!served && blocked->stage != OVER)
			say_ending(blocked, blocked->late);
	}
	fiber_call(core, core_of_part(blocked, number), settle_there, &moved);
	lockset_release(core, &set);
	lockset_fini(&set);
	core_post(core, core->id, &over);
	fiber_over(core->commands->rounds);
}

static void move_begins(struct core *core, struct task *task)
{
	struct blocked *blocked = container_of(task, struct blocked, move_task);
	if (fiber_granted(core->commands->rounds, &blocked->line))
		fiber_start(core, move_in_fiber, blocked);
}

static void move_arrived(struct core *core, struct message *message)
{
	struct blocked *blocked = message->args[0].ptr;
	blocked->moves++;
	move_begins(core, &blocked->move_task);
}
