/* transaction.c -- MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * Between MULTI and EXEC calls are copied into a queue. EXEC takes the locks of all keys
 * that the queue and the watches name, asks the shards whether a watched key has changed,
 * runs the queue and gives the locks back. If all of it lies on this core and nothing in
 * it waits, one uninterrupted step needs no locks. A queue with a command on every key
 * (FLUSHALL), or with a script or SORT, which may touch any, takes the gate instead.
 */
#include "query/session/transaction.h"

#include "engine/config/settings.h"
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "query/commands/monitor.h"
#include "query/session/block.h"
#include "query/session/cold.h"
#include "query/session/gate.h"
#include "query/session/roam.h"
#include "query/session/round_private.h"
#include "query/session/script.h"
#include "query/session/spread.h"
#include "query/session/unit.h"
#include "storage/keyspace/watch.h"

struct queued {
	struct queued *next;
	const struct command *command;
	bool roams;
	uint32_t argc;
	struct slice argv[]; /* their bytes follow */
};

struct watched {
	struct watched *next;
	struct watch *watch; /* the shard's */
	struct slice name;   /* owned */
	uint16_t db, core;
};

struct transaction {
	bool queueing, spoiled;
	struct queued *first, **last;
	uint32_t n_queued, n_watched;
	uint64_t queued_bytes;
	uint32_t flags;      /* of all queued commands together */
	bool roams;          /* one of them does */
	struct watched *watched;
};

bool transaction_is_queueing(const struct session *session)
{
	return session->transaction && session->transaction->queueing;
}

uint32_t transaction_queued(const struct session *session)
{
	return session->transaction ? session->transaction->n_queued : 0;
}

uint32_t transaction_flags(const struct session *session)
{
	return session->transaction ? session->transaction->flags : 0;
}

uint32_t transaction_watched(const struct session *session)
{
	return session->transaction ? session->transaction->n_watched : 0;
}

void transaction_spoil(struct session *session)
{
	if (transaction_is_queueing(session))
		session->transaction->spoiled = true;
}

static struct transaction *transaction_of(struct session *session)
{
	if (!session->transaction) {
		session->transaction = memory_zalloc(sizeof(*session->transaction));
		session->transaction->last = &session->transaction->first;
	}
	return session->transaction;
}

/* ---- the queue ---------------------------------------------------------------------- */

static struct queued *queued_new(const struct command *command, const struct slice *argv, uint32_t argc, size_t *size)
{
	*size = sizeof(struct queued) + argc * sizeof(struct slice);
	for (uint32_t i = 0; i < argc; i++)
		*size += argv[i].len;
	struct queued *queued = memory_alloc(*size);
	uint8_t *at = (uint8_t *)&queued->argv[argc];
	queued->next = NULL;
	queued->command = command;
	queued->roams = false;
	queued->argc = argc;
	for (uint32_t i = 0; i < argc; i++) {
		if (argv[i].len > 0)
			memcpy(at, argv[i].ptr, argv[i].len);
		queued->argv[i] = slice_of(at, argv[i].len);
		at += argv[i].len;
	}
	return queued;
}

/* Whatever a queued command does later: being kept takes memory. False: refused. Where there may be room soon EXEC
 * waits for it. */
static bool may_queue(struct session *session, struct reply *reply)
{
	struct shard *shard = session->core->shard;
	if (!shard->memory_max || shard_admit(shard) || tier_is_full(shard))
		return true;
	reply_err(reply, ERR_NO_MEMORY);
	session->transaction->spoiled = true;
	return false;
}

void transaction_queue(struct session *session, const struct command *command, const struct slice *argv,
		       uint32_t argc, struct reply *reply)
{
	struct transaction *t = session->transaction;
	if (command->flags & COMMAND_NO_MULTI) {
		reply_error_fmt(reply, "ERR Command not allowed inside a transaction");
		t->spoiled = true;
		return;
	}
	if (!may_queue(session, reply))
		return;
	if (!t->spoiled) {
		size_t size;
		struct queued *queued = queued_new(command, argv, argc, &size);
		*t->last = queued;
		t->last = &queued->next;
		t->n_queued++;
		t->queued_bytes += size;
		uint32_t flags = command->flags, script = COMMAND_SCRIPT | COMMAND_MAY_REPLICATE;
		if ((flags & script) == script && !script_may_write(session->core, command, argv))
			flags &= ~(uint32_t)COMMAND_MAY_REPLICATE;
		t->flags |= flags;
		queued->roams = command->roams && command->roams(session->core, argv, argc);
		t->roams |= queued->roams;
	}
	if (t->queued_bytes > session->core->settings->client_query_buffer_limit) {
		session->ops->close(session, true);
		return;
	}
	reply_simple(reply, S("QUEUED"));
}

/* ---- watches ------------------------------------------------------------------------ */

static void watch_let_go(struct core *core, struct message *message)
{
	watch_free(core->shard, message->args[0].ptr);
}

static void watched_drop(struct core *core, struct transaction *t)
{
	while (t->watched) {
		struct watched *watched = t->watched;
		t->watched = watched->next;
		struct message message = {.run = watch_let_go, .args[0].ptr = watched->watch};
		core_post(core, watched->core, &message);
		memory_free(watched);
	}
	t->n_watched = 0;
}

static void transaction_free(struct core *core, struct transaction *t)
{
	watched_drop(core, t);
	while (t->first) {
		struct queued *queued = t->first;
		t->first = queued->next;
		memory_free(queued);
	}
	memory_free(t);
}

void transaction_drop(struct session *session)
{
	if (session->transaction)
		transaction_free(session->core, take(session->transaction));
}

static void say_aborted(struct reply *reply, const char *why)
{
	reply_error_fmt(reply, "EXECABORT Transaction discarded because of: %s", why);
}

void transaction_abort(struct session *session, const char *why, struct reply *reply)
{
	say_aborted(reply, why);
	transaction_drop(session);
}

static void watch_there(struct core *there, void *arg)
{
	struct watched *watched = arg;
	struct shard *shard = there->shard;
	struct key key = {.name = watched->name, .hash = key_hash(shard->hash_seed, watched->name),
			  .slot = slot_of(watched->name), .keyspace = shard->keyspace_of_db[watched->db]};
	shard->now_ms = there->wall_us / 1000;
	watched->watch = watch_new(shard, &key);
}

static bool is_watched(const struct transaction *t, uint16_t db, struct slice name)
{
	for (const struct watched *w = t->watched; w; w = w->next)
		if (w->db == db && slice_equal(w->name, name))
			return true;
	return false;
}

static void call_on(struct core *core, uint16_t to, void (*work)(struct core *, void *), void *arg)
{
	if (to == core->id)
		work(core, arg);
	else
		fiber_call(core, to, work, arg);
}

static void watch_one(struct core *core, struct session *session, struct slice name)
{
	struct transaction *t = transaction_of(session);
	if (is_watched(t, session->db, name))
		return;
	struct watched *watched = memory_zalloc(sizeof(*watched) + name.len);
	if (name.len > 0)
		memcpy(watched + 1, name.ptr, name.len);
	watched->name = slice_of(watched + 1, name.len);
	watched->db = session->db;
	watched->core = core_of_slot(core, slot_of(name));
	call_on(core, watched->core, watch_there, watched);
	watched->next = t->watched;
	t->watched = watched;
	t->n_watched++;
}

static enum err run_watch(struct exec *exec)
{
	if (transaction_is_queueing(exec->session)) {
		if (may_queue(exec->session, exec->reply))
			reply_error_fmt(exec->reply, "ERR WATCH inside MULTI is not allowed");
		return OK;
	}
	for (uint32_t i = 1; i < exec->argc; i++)
		watch_one(exec->core, exec->session, exec->argv[i]);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_unwatch(struct exec *exec)
{
	if (exec->session->transaction)
		watched_drop(exec->core, exec->session->transaction);
	reply_ok(exec->reply);
	return OK;
}

/* ---- MULTI, DISCARD ----------------------------------------------------------------- */

static enum err run_multi(struct exec *exec)
{
	if (transaction_is_queueing(exec->session)) {
		if (may_queue(exec->session, exec->reply))
			reply_error_fmt(exec->reply, "ERR MULTI calls can not be nested");
		return OK;
	}
	transaction_of(exec->session)->queueing = true;
	reply_ok(exec->reply);
	return OK;
}

static enum err run_discard(struct exec *exec)
{
	if (!transaction_is_queueing(exec->session)) {
		reply_error_fmt(exec->reply, "ERR DISCARD without MULTI");
		return OK;
	}
	transaction_drop(exec->session);
	reply_ok(exec->reply);
	return OK;
}

/* ---- EXEC --------------------------------------------------------------------------- */

/* How a transaction keeps others out while it runs. */
enum isolation { ONE_STEP, BY_LOCKS, BY_GATE };

static void keys_of(struct core *core, const struct transaction *t, struct lockset *set)
{
	for (const struct queued *q = t->first; q; q = q->next) {
		uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
		int n = keys_positions(q->command, q->argv, q->argc, room, ROUND_KEYS_INLINE, &at, &owned);
		for (int i = 0; i < n; i++)
			lockset_add_for(set, core, q->command, q->argv, q->argc, at[i]);
		memory_free(owned);
	}
	for (const struct watched *w = t->watched; w; w = w->next)
		lockset_add(set, core, w->name);
}

static enum isolation isolation_for(const struct core *core, const struct transaction *t, const struct lockset *set)
{
	if (t->flags & (COMMAND_ALL_SLOTS | COMMAND_SCRIPT) || t->roams)
		return BY_GATE;
	if (t->flags & COMMAND_FIBER || !locks_at_rest(core->shard->locks) || shard_has_cold(core->shard))
		return BY_LOCKS;
	for (uint32_t i = 0; i < set->n; i++)
		if (set->keys[i].core != core->id)
			return BY_LOCKS;
	return ONE_STEP;
}

struct watch_check {
	struct watched *watched;
	int64_t now_ms;
	bool broken;
};

static void check_there(struct core *there, void *arg)
{
	struct watch_check *check = arg;
	struct shard *shard = there->shard;
	shard->now_ms = check->now_ms;
	check->broken = watch_broken(shard, check->watched->watch);
}

static bool watches_hold(struct core *core, const struct transaction *t, int64_t now_ms)
{
	for (struct watched *w = t->watched; w; w = w->next) {
		struct watch_check check = {.watched = w, .now_ms = now_ms};
		call_on(core, w->core, check_there, &check);
		if (check.broken)
			return false;
	}
	return true;
}

struct admission {
	uint32_t flags; /* of all commands */
	bool cold;      /* some shard has cold keys */
	enum err err;
};

static void admit_there(struct core *there, void *arg)
{
	struct admission *admission = arg;
	admission->err = call_admit(there->shard, admission->flags);
	if (there->shard->journal)
		(void)journal_flush(there->shard->journal); /* what had to go for it */
	admission->cold |= shard_has_cold(there->shard);
}

/* Memory and log room are asked for before the first command runs, and values that are cold come back. */
static enum err admit(struct core *core, const struct transaction *t, struct lockset *set)
{
	struct admission admission = {.flags = t->flags};
	for (uint32_t i = 0; i < set->n && admission.err == OK; i++)
		if (i == 0 || set->keys[i - 1].core != set->keys[i].core)
			call_on(core, set->keys[i].core, admit_there, &admission);
	if (t->flags & COMMAND_ALL_SLOTS && admission.err == OK) {
		admission.flags = COMMAND_WRITE | COMMAND_ALL_SLOTS;
		call_on(core, 0, admit_there, &admission); /* names of keyspaces are there */
	}
	if (unlikely(admission.cold) && admission.err == OK)
		lockset_warm(core, set, -1);
	return admission.err;
}

struct call_there {
	struct unit *unit;
	const struct client_view *client;
	const struct queued *queued;
	struct reply *reply;
};

static void run_there(struct core *there, void *arg)
{
	struct call_there *call = arg;
	struct client_view view = view_on_shard(call->client, there->shard);
	there->shard->now_ms = view.now_ms;
	unit_join(there, call->unit);
	call_execute(there, there->shard, &view, NULL, call->queued->command, call->queued->argv, call->queued->argc,
		     call->reply, true);
	unit_leave(there, call->unit);
}

/* The core of a queued command's keys; -1: several. Without keys: this one. */
static int core_of_call(struct core *core, const struct queued *queued)
{
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n = keys_positions(queued->command, queued->argv, queued->argc, room, ROUND_KEYS_INLINE, &at, &owned);
	int common = n > 0 ? core_of_slot(core, slot_of(queued->argv[at[0]])) : core->id;
	for (int i = 1; i < n && common >= 0; i++)
		if (core_of_slot(core, slot_of(queued->argv[at[i]])) != common)
			common = -1;
	memory_free(owned);
	return common;
}

static void run_queued(struct core *core, struct session *session, const struct client_view *begun,
		       const struct queued *queued, struct reply *reply, struct unit *unit)
{
	/* One time for the whole transaction; the rest as SELECT or HELLO in it leave it. */
	struct client_view client = session_view(session);
	client.now_ms = begun->now_ms;
	client.now_us = begun->now_us;
	reply->ops = session->ops->reply_ops(session);
	bool on_keys = !(queued->command->flags & COMMAND_FIBER) &&
		       (queued->command->keys.first > 0 || queued->command->flags & COMMAND_MOVABLE_KEYS);
	if (!on_keys) {
		core->shard->now_ms = client.now_ms;
		call_execute(core, core->shard, &client, session, queued->command, queued->argv, queued->argc, reply,
			     true);
		return;
	}
	if (queued->command->flags & COMMAND_SCRIPT) {
		script_run_within(core, &client, queued->command, queued->argv, queued->argc, reply, unit);
		return;
	}
	if (queued->roams) {
		roam_within(core, &client, queued->command, queued->argv, queued->argc, reply, unit);
		return;
	}
	int to = core_of_call(core, queued);
	if (to < 0) {
		spread_execute(core, &client, queued->command, queued->argv, queued->argc, reply, unit);
		return;
	}
	struct call_there call = {.unit = unit, .client = &client, .queued = queued, .reply = reply};
	call_on(core, (uint16_t)to, run_there, &call);
}

/* It tells of a change: so that change must stay. */
static void say_broken(struct exec *exec)
{
	enum err err = exec->client->waits ? unit_wait_everywhere(exec->core) : OK;
	if (likely(err == OK))
		reply_null_array(exec->reply);
	else
		reply_err(exec->reply, err);
}

static void run_transaction(struct exec *exec, struct transaction *t, struct lockset *set, bool unlocked)
{
	struct core *core = exec->core;
	if (!watches_hold(core, t, exec->client->now_ms)) {
		say_broken(exec);
		return;
	}
	enum err err = admit(core, t, set);
	if (err != OK) {
		const struct err_text *why = err_text(err);
		reply_error_fmt(exec->reply, "EXECABORT Transaction discarded because of: %s %s", why->resp_code, why->text);
		return;
	}
	/* Errors inside are their commands', not EXEC's. */
	uint32_t errors = exec->reply->errors;
	struct reply_mark mark = reply_mark(exec->reply);
	struct unit unit;
	unit_init(&unit, core, exec->client->waits);
	unit.unlocked = unlocked;
	exec->session->unit = &unit;
	reply_array(exec->reply, t->n_queued);
	for (const struct queued *q = t->first; q; q = q->next) {
		bool is_script = q->command->flags & COMMAND_SCRIPT;
		if (unlikely(core->commands->monitored) && is_script)
			monitor_show(exec->session, q->command, q->argv, q->argc);
		run_queued(core, exec->session, exec->client, q, exec->reply, &unit);
		if (unlikely(core->commands->monitored) && !is_script)
			monitor_show(exec->session, q->command, q->argv, q->argc);
	}
	exec->session->unit = NULL;
	exec->reply->errors = errors;
	err = unit_commit(&unit);
	unit_fini(&unit);
	if (unlikely(err != OK)) {
		reply_take_back(core, exec->reply, mark);
		reply_err(exec->reply, err);
	}
}

static enum err run_exec(struct exec *exec)
{
	struct session *session = exec->session;
	if (!transaction_is_queueing(session)) {
		reply_error_fmt(exec->reply, "ERR EXEC without MULTI");
		return OK;
	}
	struct transaction *t = take(session->transaction);
	session->flags |= SESSION_IN_EXEC;
	if (t->spoiled) {
		transaction_free(exec->core, t);
		return ERR_EXEC_ABORT;
	}
	struct lockset set = {.core = exec->core};
	keys_of(exec->core, t, &set);
	if (t->flags & COMMAND_GROWS)
		lockset_wait_for_room(exec->core, &set);
	enum isolation isolation = isolation_for(exec->core, t, &set);
	const char *why;
	bool held = true;
	if (isolation == BY_LOCKS)
		held = lockset_lock_unless_busy(exec->core, &set, &why);
	else if (isolation == BY_GATE)
		held = gate_close_unless_busy(exec->core, &why);
	if (held) {
		run_transaction(exec, t, &set, isolation == ONE_STEP);
	} else {
		isolation = ONE_STEP;
		say_aborted(exec->reply, why);
	}
	if (isolation == ONE_STEP)
		block_serve(exec->core, exec->core->shard, NULL, 0); /* without a log nobody has yet */
	if (isolation == BY_LOCKS)
		lockset_release(exec->core, &set);
	else if (isolation == BY_GATE)
		gate_open(exec->core);
	lockset_fini(&set);
	transaction_free(exec->core, t);
	return OK;
}

/* ---- the rows ------------------------------------------------------------------------ */

static const struct command_argument watch_arguments[] = {
	{"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
	{0},
};

enum { CONTROL = COMMAND_NO_SCRIPT | COMMAND_LOADING | COMMAND_STALE };

const struct command transaction_commands[] = {
	{"DISCARD", 1, {0}, CONTROL | COMMAND_FAST | COMMAND_IN_MULTI, "2.0.0",
	 "O(N), when N is the number of queued commands", "Discards a transaction.", run_discard},
	{"EXEC", 1, {0}, CONTROL | COMMAND_FIBER | COMMAND_IN_MULTI | COMMAND_SKIP_SLOWLOG, "1.2.0",
	 "Depends on commands in the transaction", "Executes all commands in a transaction.", run_exec},
	{"MULTI", 1, {0}, CONTROL | COMMAND_FAST | COMMAND_IN_MULTI, "1.2.0", "O(1)", "Starts a transaction.", run_multi},
	{"UNWATCH", 1, {0}, CONTROL | COMMAND_FAST, "2.2.0", "O(1)",
	 "Forgets about watched keys of a transaction.", run_unwatch},
	{"WATCH", -2, {1, -1, 1}, CONTROL | COMMAND_FAST | COMMAND_FIBER | COMMAND_IN_MULTI | COMMAND_COLD, "2.2.0",
	 "O(1) for every key.", "Monitors changes to keys to determine the execution of a transaction.", run_watch,
	 watch_arguments, .uses = "RO"},
	{0},
};
