/* batch.c -- a round's calls on one core: run, parked where they wait, and answered when what they rest on is durable. */
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/placement/placement.h"
#include "query/commands/slowlog.h"
#include "query/commands/tracking.h"
#include "query/session/block.h"
#include "query/session/cold.h"
#include "query/session/parcel.h"
#include "query/session/round_private.h"
#include "query/session/script.h"
#include "query/session/spread.h"

enum { PREFETCH_OBJECT_AHEAD = 6 };
enum { TIME_EACH_UNDER_NS = 1000 * 1000, TIME_ONE_BATCH_IN = 8 };

static void batch_passed(struct core *core, struct batch *batch);

/* ---- running calls on a shard ----------------------------------------------------- */

struct client_view view_on_shard(const struct client_view *client, const struct shard *shard)
{
	struct client_view view = *client;
	view.keyspace = shard->keyspace_of_db[client->db];
	return view;
}

/* A shard that is over its limit evicts before any command, as Redis does; but nothing goes in the midst of a script. */
static enum err admit(struct exec *exec)
{
	uint32_t flags = exec->command->flags;
	TRY(call_admit(exec->shard, flags));
	if (!(flags & COMMAND_GROWS) && !exec->client->scripted)
		shard_relieve(exec->shard);
	return OK;
}

static inline void execute(struct exec *exec)
{
	enum err err = unlikely(exec->guarded) ? admit(exec) : OK;
	exec->refused = err != OK;
	if (likely(err == OK) && unlikely(shard_has_cold(exec->shard)))
		err = values_are_here(exec);
	if (likely(err == OK))
		err = unlikely(exec->tracked) ? tracking_run(exec) : exec->command->run(exec);
	if (unlikely(err != OK))
		reply_err(exec->reply, err);
	if (exec->shard->journal)
		(void)journal_flush(exec->shard->journal);
}

/* Is it worth a clock reading of its own (25 ns)? Those of constant cost share their
 * batch's time evenly, and one batch in eight stands for the others, unless somebody
 * looks for slow ones that closely. */
static bool is_timed(const struct core *core, const struct command *command)
{
	bool is_constant = command->flags & COMMAND_FAST || memcmp(command->complexity, "O(1)", 4) == 0;
	return !is_constant || core->commands->slow_ns < TIME_EACH_UNDER_NS;
}

void call_count(struct core *core, const struct client_view *client, const struct command *command,
                const struct slice *argv, uint32_t argc, uint64_t ns, bool failed)
{
	commands_count(core, command, 1, ns, failed);
	slowlog_note(core, command, argv, argc, ns, client);
	metric_add(core, METRIC_COMMANDS, 1);
}

void call_execute(struct core *core, struct shard *shard, const struct client_view *client, struct session *session,
                  const struct command *command, const struct slice *argv, uint32_t argc, struct reply *reply,
                  bool admitted)
{
	struct exec exec = {.core = core,
	                    .shard = shard,
	                    .client = client,
	                    .session = session,
	                    .command = command,
	                    .argv = argv,
	                    .argc = argc,
	                    .reply = reply,
	                    .guarded = !admitted && shard_is_guarded(shard),
	                    .tracked = tracking_concerns(shard, client)};
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n = keys_positions(command, argv, argc, room, ROUND_KEYS_INLINE, &at, &owned);
	if (n > 0)
		exec.first = exec_key(&exec, at[0]);
	memory_free(owned);
	bool timed = is_timed(core, command);
	uint64_t before = timed ? io_now_ns(core->io) : 0;
	uint32_t errors = reply->errors;
	execute(&exec);
	uint64_t ns = timed ? io_now_ns(core->io) - before : core->commands->rounds->call_ns;
	if (unlikely(exec.refused))
		commands_count_refused(core, command, 1);
	else
		call_count(core, client, command, argv, argc, ns, reply->errors != errors);
}

/* A call that waits for a lock; its own memory, since most rounds have none. */
struct parked {
	struct lock_waiter waiter;
	struct batch *batch;
	struct call *call;
	bool has_turn;  /* at the key of waiter.fingerprint: it is free while `run` is called */
	bool with_rest; /* those behind it in the batch wait for it */
	struct room_waiter room;
	struct buf pins; /* of struct object *: values that must not leave again before it runs */
};

static void unpin(struct shard *shard, struct parked *parked)
{
	struct object **objects = (struct object **)(void *)parked->pins.ptr;
	for (size_t n = parked->pins.len / sizeof(*objects); n-- > 0;)
		object_return(shard, objects[n]);
	parked->pins.len = 0;
}

static void pin(struct shard *shard, struct parked *parked, const struct key *key)
{
	struct object *object = keyspace_peek(shard, key);
	if (!object || object_is_cold(object) || object_chillable(object) < COLD_VALUE_MIN)
		return;
	object_lend(shard, object);
	buf_append(&parked->pins, slice_of(&object, sizeof(struct object *)));
}

static void parked_free(struct shard *shard, struct parked *parked)
{
	unpin(shard, parked);
	buf_fini(&parked->pins);
	memory_free(parked);
}

static bool park(struct shard *shard, struct parked *parked, uint64_t fingerprint)
{
	if (parked->has_turn && parked->waiter.fingerprint == fingerprint)
		return false;
	struct lock_waiter waiter = parked->waiter;
	if (waiter.fingerprint != fingerprint)
		parked->waiter.place = LOCK_LAST;
	parked->waiter.fingerprint = fingerprint;
	if (!lock_take(shard->locks, &parked->waiter))
		return true;
	parked->waiter = waiter;
	return false;
}

/* A value that is needed and cold is on its way from here on; the fetch is in the key's queue before the call. */
static void call_for_value(struct shard *shard, struct parked *parked, const struct key *key,
			   const struct reach *reach)
{
	if (!tier_must_fetch(shard, key, reach)) {
		if (parked->call->many_keys)
			pin(shard, parked, key);
		return;
	}
	bool had_turn = parked->has_turn && parked->waiter.fingerprint == key->hash;
	bool begun = tier_fetch(shard, key, reach, parked->waiter.inside, had_turn);
	if (had_turn) { /* those behind it stay there, unless one of them has begun what it waits for */
		parked->has_turn = false;
		parked->waiter.place = begun ? LOCK_SECOND : LOCK_LAST;
	}
}

static void call_for_values(struct shard *shard, struct parked *parked, const uint32_t *at, int n)
{
	const struct batch *batch = parked->batch;
	const struct slice *argv = batch->arguments + parked->call->args_at;
	unpin(shard, parked);
	if (!shard_is_tiered(shard) || !shard->tier || !needs_values(parked->call->command, argv, parked->call->argc))
		return;
	for (int i = 0; i < n; i++) {
		struct slice name = argv[at[i]];
		struct key key = {.name = name,
		                  .hash = key_hash(shard->hash_seed, name),
		                  .slot = slot_of(name),
		                  .keyspace = shard->keyspace_of_db[batch->client.db]};
		struct reach reach = call_reach(parked->call->command, argv, parked->call->argc, at[i]);
		call_for_value(shard, parked, &key, &reach);
	}
}

/* Queues a call at the first of its keys that is locked, behind the fetches of those that are cold; false if none is. */
static bool park_call(struct shard *shard, struct parked *parked)
{
	struct call *call = parked->call;
	const struct slice *argv = parked->batch->arguments + call->args_at;
	if (!call->many_keys || !call->first_key) {
		uint32_t first = call->first_key;
		call_for_values(shard, parked, &first, first ? 1 : 0);
		return park(shard, parked, call->hash);
	}
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n = keys_positions(call->command, argv, call->argc, room, ROUND_KEYS_INLINE, &at, &owned);
	bool waits = false;
	call_for_values(shard, parked, at, n);
	for (int i = 0; i < n && !waits; i++)
		waits = park(shard, parked, key_hash(shard->hash_seed, argv[at[i]]));
	memory_free(owned);
	return waits;
}

static void call_run(struct exec *exec, struct call *call, const struct slice *arguments)
{
	exec->command = call->command;
	exec->argv = arguments + call->args_at;
	exec->argc = call->argc;
	exec->first = (struct key){.name = exec->argv[call->first_key],
	                           .hash = call->hash,
	                           .keyspace = exec->client->keyspace,
	                           .slot = call->slot};
	uint32_t errors = exec->reply->errors;
	execute(exec);
	call->failed = exec->reply->errors != errors;
	call->refused = exec->refused;
}

/* The same with its time taken, which it returns. */
static uint64_t call_run_timed(struct exec *exec, struct call *call, const struct slice *arguments)
{
	uint64_t before = io_now_ns(exec->core->io);
	call_run(exec, call, arguments);
	uint64_t ns = io_now_ns(exec->core->io) - before;
	if (unlikely(call->refused))
		return ns;
	commands_count(exec->core, call->command, 1, ns, call->failed);
	slowlog_note(exec->core, call->command, exec->argv, exec->argc, ns, exec->client);
	return ns;
}

static void parked_turn(struct shard *shard, struct lock_waiter *waiter);
static void parked_refused(struct shard *shard, struct lock_waiter *waiter, const char *why);
static void room_turn(struct shard *shard, struct room_waiter *waiter);
static void count_batch(struct core *core, const struct batch *batch);

static bool lacks_room(const struct shard *shard, const struct call *call)
{
	return call->command->flags & COMMAND_GROWS && tier_is_full(shard);
}

/* Nothing is locked: may a call run at once, though there are cold keys? */
static bool may_run(struct shard *shard, const struct batch *batch, const struct call *call)
{
	struct key key = {.name = batch->arguments[call->args_at + call->first_key],
	                  .hash = call->hash,
	                  .slot = call->slot,
	                  .keyspace = shard->keyspace_of_db[batch->client.db]};
	if (lacks_room(shard, call) || call->many_keys)
		return false;
	const struct slice *argv = batch->arguments + call->args_at;
	if (!call->first_key || likely(!shard_has_cold(shard)) || !needs_values(call->command, argv, call->argc))
		return true;
	struct reach reach = call_reach(call->command, argv, call->argc, call->first_key);
	return !tier_must_fetch(shard, &key, &reach);
}

enum held {
	HELD_NOT,
	HELD_ALONE,
	HELD_WITH_REST, /* those behind it wait for it */
};

/* Must the call wait, for a lock, a value or room? Then its turn comes later. */
static enum held must_park(struct core *core, struct batch *batch, struct call *call)
{
	struct shard *shard = core->shard;
	if (call->command->flags & COMMAND_SCRIPT) /* it takes its locks itself */
		return HELD_NOT;
	if (locks_at_rest(shard->locks) && may_run(shard, batch, call))
		return HELD_NOT;
	struct parked *parked = memory_zalloc(sizeof(*parked));
	parked->waiter.kind = LOCK_PASS;
	parked->waiter.run = parked_turn;
	parked->waiter.refused = parked_refused;
	parked->batch = batch;
	parked->call = call;
	parked->room.run = room_turn;
	bool waits_for_room = lacks_room(shard, call);
	parked->with_rest = call->many_keys || waits_for_room;
	if (waits_for_room) {
		tier_wait_for_room(shard, &parked->room);
	} else if (!park_call(shard, parked)) {
		parked_free(shard, parked);
		return HELD_NOT;
	}
	batch->parked++;
	batch->disordered = true;
	batch->direct = false; /* this answer is held back anyway */
	metric_add(core, METRIC_COMMANDS_PARKED, 1);
	return parked->with_rest ? HELD_WITH_REST : HELD_ALONE;
}

/* Pipelines are mostly of one command: runs of it are counted together. */
static void count_batch(struct core *core, const struct batch *batch)
{
	uint32_t refused = 0;
	for (struct call *call = batch->first; call;) {
		const struct command *command = call->command;
		uint32_t run = 0, run_failed = 0, run_refused = 0;
		for (; call && call->command == command; call = call->next) {
			run++;
			run_failed += call->failed;
			run_refused += call->refused;
		}
		if (unlikely(run_refused))
			commands_count_refused(core, command, run_refused);
		refused += run_refused;
		run -= run_refused;
		if (run && !is_timed(core, command))
			commands_count(core, command, run, core->commands->rounds->call_ns, run_failed - run_refused);
	}
	metric_add(core, METRIC_COMMANDS, batch->n - refused);
}

static void script_ended(void *arg, struct script_job *job);

/* False: it goes on by itself, and those behind it in the batch wait for it. */
static bool call_run_script(struct exec *exec, struct batch *batch, struct call *call)
{
	uint32_t errors = exec->reply->errors;
	exec->command = call->command;
	exec->argv = batch->arguments + call->args_at;
	exec->argc = call->argc;
	if (likely(!script_begin(exec, script_ended, batch))) {
		call->failed = exec->reply->errors != errors;
		return true;
	}
	batch->script = call;
	batch->parked++;
	batch->disordered = true;
	batch->direct = call->direct = false;
	return false;
}

/* Runs a call after others of its batch have waited. One key may be locked still though it is free: that whose turn it
 * has. False: see call_run_script(). */
static bool call_run_late(struct exec *exec, struct batch *batch, struct call *call, const struct locked_key *turn)
{
	bool done = true;
	call->from = batch->out.len;
	if (call->command->flags & COMMAND_SCRIPT)
		done = call_run_script(exec, batch, call);
	else if (is_timed(exec->core, call->command))
		(void)call_run_timed(exec, call, batch->arguments);
	else
		call_run(exec, call, batch->arguments);
	call->to = batch->out.len;
	block_serve(exec->core, exec->shard, turn, turn != NULL);
	return done;
}

/* A parked call waits in the queue of one key. If it has several, calls behind it on the
 * others would overtake it: so all of them wait, here. */
static void batch_go_on(struct exec *exec, struct batch *batch)
{
	for (struct call *call = take(batch->rest); call; call = call->next) {
		bool is_free = locks_at_rest(exec->shard->locks) && !shard_is_tiered(exec->shard);
		enum held held = is_free ? HELD_NOT : must_park(exec->core, batch, call);
		bool goes_on = held == HELD_NOT ? call_run_late(exec, batch, call, NULL) : held == HELD_ALONE;
		if (!goes_on) {
			batch->rest = call->next;
			return;
		}
	}
}

/* One of its calls that had to wait has been run, at last. */
static void batch_resume(struct exec *exec, struct batch *batch, bool with_rest)
{
	assert(batch->parked > 0);
	batch->parked--;
	if (with_rest)
		batch_go_on(exec, batch);
	if (!batch->passed || batch->parked > 0)
		return;
	count_batch(exec->core, batch);
	if (batch_settles(exec->core, batch))
		batch_passed(exec->core, batch);
}

/* What a call sees that runs when its batch has passed: the time is another. */
struct late {
	struct reply reply;
	struct client_view view;
	struct exec exec;
};

static void late_begin(struct late *late, struct core *core, struct batch *batch)
{
	struct shard *shard = core->shard;
	late->reply = (struct reply){.ops = batch->ops, .out = &batch->out, .loans = &batch->loans};
	late->view = view_on_shard(&batch->client, shard);
	late->exec = (struct exec){.core = core,
	                           .shard = shard,
	                           .client = &late->view,
	                           .reply = &late->reply,
	                           .guarded = shard_is_guarded(shard),
	                           .blocked = batch->blocked,
	                           .tracked = tracking_concerns(shard, &late->view)};
	shard->now_ms = core->wall_us / 1000;
	late->view.now_ms = shard->now_ms;
	late->view.now_us = core->wall_us;
}

static void script_ended(void *arg, struct script_job *job)
{
	struct batch *batch = arg;
	struct core *core = core_current();
	struct call *call = take(batch->script);
	struct late late;
	late_begin(&late, core, batch);
	call->from = batch->out.len;
	script_job_answer(job, &late.reply);
	call->to = batch->out.len;
	call->failed = late.reply.errors > 0;
	batch_resume(&late.exec, batch, true);
}

/* What it waited for is there; maybe there is more. */
static void parked_go_on(struct shard *shard, struct parked *parked)
{
	struct batch *batch = parked->batch;
	struct call *call = parked->call;
	bool with_rest = parked->with_rest;
	shard->now_ms = shard->core->wall_us / 1000;
	if (park_call(shard, parked))
		return;
	struct late late;
	late_begin(&late, shard->core, batch);
	struct locked_key turn = {.hash = parked->waiter.fingerprint};
	(void)call_run_late(&late.exec, batch, call, parked->has_turn ? &turn : NULL);
	parked_free(shard, parked);
	batch_resume(&late.exec, batch, with_rest);
}

/* A script has the key for too long. */
static void parked_refused(struct shard *shard, struct lock_waiter *waiter, const char *why)
{
	struct parked *parked = container_of(waiter, struct parked, waiter);
	struct batch *batch = parked->batch;
	struct call *call = parked->call;
	bool with_rest = parked->with_rest;
	struct late late;
	late_begin(&late, shard->core, batch);
	call->from = batch->out.len;
	reply_error_fmt(&late.reply, "%s", why);
	call->to = batch->out.len;
	call->failed = true;
	parked_free(shard, parked);
	batch_resume(&late.exec, batch, with_rest);
}

static void parked_turn(struct shard *shard, struct lock_waiter *waiter)
{
	struct parked *parked = container_of(waiter, struct parked, waiter);
	waiter->inside = true; /* it has passed the entry already */
	parked->has_turn = true;
	parked_go_on(shard, parked);
}

static void room_turn(struct shard *shard, struct room_waiter *waiter)
{
	parked_go_on(shard, container_of(waiter, struct parked, room));
}

static struct key key_of_call(const struct batch *batch, const struct call *call)
{
	return (struct key){.name = batch->arguments[call->args_at + call->first_key],
	                    .hash = call->hash,
	                    .slot = call->slot,
	                    .keyspace = batch->client.keyspace};
}

static void prefetch_object(struct core *core, const struct batch *batch, const struct call *call)
{
	if (!call->first_key)
		return;
	struct key key = key_of_call(batch, call);
	keyspace_prefetch_object(core->shard, &key);
	if (core->shard->journal && call->command->flags & COMMAND_WRITE)
		journal_prefetch(core->shard->journal, call->hash);
}

/* The objects of the first few calls; returns the call to go on from. One call by itself
 * has nothing to hide the waiting behind. */
static struct call *prefetch_first(struct core *core, const struct batch *batch)
{
	struct call *call = batch->first;
	if (batch->n == 1)
		return NULL;
	for (uint32_t i = 0; i < PREFETCH_OBJECT_AHEAD && call; i++, call = call->next)
		prefetch_object(core, batch, call);
	return call;
}

void batch_run(struct core *core, struct batch *batch, struct buf *direct, struct buf *direct_loans)
{
	struct shard *shard = core->shard;
	struct reply reply = {.ops = batch->ops,
	                      .out = direct ? direct : &batch->out,
	                      .loans = direct ? direct_loans : &batch->loans};
	struct exec exec = {.core = core,
	                    .shard = shard,
	                    .client = &batch->client,
	                    .reply = &reply,
	                    .guarded = shard_is_guarded(shard),
	                    .blocked = batch->blocked,
	                    .tracked = tracking_concerns(shard, &batch->client)};
	batch->client.keyspace = shard->keyspace_of_db[batch->client.db];
	shard->now_ms = batch->client.now_ms;
	batch->parked = 0;
	batch->rest = NULL;
	batch->passed = batch->disordered = false;
	batch->direct = direct != NULL;
	bool is_tiered = shard_is_tiered(shard);
	batch->out_from = batch->out.len;

	struct call *object_ahead = prefetch_first(core, batch);
	bool is_sampled = core->commands->rounds->batches++ % TIME_ONE_BATCH_IN == 0;
	uint64_t start = is_sampled ? io_now_ns(core->io) : 0, timed_ns = 0;
	uint32_t n_shared = 0;
	for (struct call *call = batch->first; call; call = call->next) {
		if (object_ahead) {
			prefetch_object(core, batch, object_ahead);
			object_ahead = object_ahead->next;
		}
		enum held held = HELD_NOT;
		if (unlikely(!locks_at_rest(shard->locks) || is_tiered))
			held = must_park(core, batch, call);
		if (unlikely(held != HELD_NOT)) {
			reply.out = &batch->out;
			reply.loans = &batch->loans;
			if (held == HELD_ALONE)
				continue;
			batch->rest = call->next;
			break;
		}
		call->direct = reply.out == direct;
		call->from = reply.out->len;
		if (unlikely(call->command->flags & COMMAND_SCRIPT)) {
			uint64_t before = is_sampled ? io_now_ns(core->io) : 0;
			if (!call_run_script(&exec, batch, call)) {
				batch->rest = call->next;
				break;
			}
			timed_ns += is_sampled ? io_now_ns(core->io) - before : 0;
		} else if (unlikely(is_timed(core, call->command))) {
			timed_ns += call_run_timed(&exec, call, batch->arguments);
		} else {
			call_run(&exec, call, batch->arguments);
			n_shared++;
		}
		call->to = reply.out->len;
		block_serve(core, shard, NULL, 0);
	}
	if (is_sampled && n_shared > 0)
		core->commands->rounds->call_ns = (io_now_ns(core->io) - start - timed_ns) / n_shared;
	if (batch->parked == 0)
		count_batch(core, batch);
	batch->passed = true;
}

void loans_drop(struct core *core, struct buf *loans)
{
	const struct loan *loan = (const struct loan *)loans->ptr;
	for (size_t n = loans->len / sizeof(*loan); n-- > 0; loan++)
		loan_return(core, loan->object, loan->core);
	loans->len = 0;
}

struct reply_mark reply_mark(const struct reply *reply)
{
	return (struct reply_mark){.said = reply->out->len, .lent = reply->loans ? reply->loans->len : 0};
}

void reply_take_back(struct core *core, struct reply *reply, struct reply_mark mark)
{
	reply->out->len = mark.said;
	if (!reply->loans)
		return;
	const struct loan *from = (const struct loan *)(reply->loans->ptr + mark.lent);
	for (size_t n = (reply->loans->len - mark.lent) / sizeof(*from); n-- > 0; from++)
		loan_return(core, from->object, from->core);
	reply->loans->len = mark.lent;
}

/* ---- what answers rest on ----------------------------------------------------------- */

/* In memory ahead of the log: nobody may be told before it is durable. */
static uint64_t batch_rests_on(const struct journal *journal, const struct batch *batch)
{
	uint64_t lsn = 0;
	for (const struct call *call = batch->first; call; call = call->next) {
		uint64_t rests_on = 0;
		if (call->many_keys)
			rests_on = journal_rests_on_all(journal);
		else if (call->first_key)
			rests_on = journal_rests_on(journal, call->hash);
		lsn = rests_on > lsn ? rests_on : lsn;
	}
	return lsn;
}

/* Instead of what it could not make true. */
static void batch_spoil(struct core *core, struct batch *batch)
{
	struct reply reply = {.ops = batch->ops, .out = &batch->out, .loans = &batch->loans};
	batch->out.len = batch->out_from;
	loans_drop(core, &batch->loans);
	for (struct call *call = batch->first; call; call = call->next) {
		if (call->direct)
			continue; /* it rested on nothing */
		call->from = batch->out.len;
		reply_err(&reply, ERR_SHARD_STOPPED);
		call->to = batch->out.len;
	}
}

static void batch_durable(struct log *log, struct log_waiter *waiter)
{
	struct core *core = core_current();
	struct batch *batch = container_of(waiter, struct batch, waiter);
	if (unlikely(log_durable(log) < waiter->lsn) && batch->client.waits)
		batch_spoil(core, batch);
	batch_passed(core, batch);
}

bool batch_may_wait(const struct core *core, const struct batch *batch)
{
	const struct journal *journal = core->shard->journal;
	if (!journal || !batch->client.waits)
		return false;
	return batch->flags & MAY_WRITE || journal_rests_on_all(journal) > 0;
}

/* A client that does not wait for the device still waits when the log has fallen too far behind, or it would outgrow
 * memory. */
bool batch_settles(struct core *core, struct batch *batch)
{
	struct journal *journal = core->shard->journal;
	if (!journal)
		return true;
	struct log *log = journal_log(journal);
	uint64_t lsn = 0;
	if (!batch->client.waits)
		lsn = unlikely(log_backlog(log) > LOG_BACKLOG_MAX) ? log_appended(log) : 0;
	else if (!batch->direct && log_appended(log) > log_durable(log))
		lsn = batch_rests_on(journal, batch);
	batch->waiter = (struct log_waiter){.lsn = lsn, .run = batch_durable};
	return lsn == 0 || log_wait(log, &batch->waiter);
}

/* ---- batches over cores ----------------------------------------------------------- */

static void batch_answered(struct core *core, struct message *message)
{
	struct round *round = parcel_answered(message)->round;
	assert(round->pending > 0);
	if (--round->pending == 0 && !round->running_now)
		round_goes_on(round);
}

static void guest_passed(struct core *core, struct guest *guest)
{
	struct message message = {.run = batch_answered};
	bool deferred = guest->batch.deferred;
	uint16_t to = guest->from;
	parcel_answer(core, guest, &message);
	if (unlikely(deferred))
		core_post(core, to, &message);
	else
		core_reply(core, to, &message);
}

/* On the batch's core: all its calls have run. */
static void batch_passed(struct core *core, struct batch *batch)
{
	struct round *round = batch->round;
	if (!round) {
		guest_passed(core, guest_of(batch));
		return;
	}
	/* Here the unlocking of somebody else is on the stack: go on in a task. */
	assert(round->pending > 0);
	if (--round->pending == 0 && !round->running_now)
		core_ready(core, &round->resume, CLASS_FOREGROUND);
}

static void batch_arrived(struct core *core, struct message *message)
{
	struct guest *guest = parcel_unpack(core, message);
	struct batch *batch = &guest->batch;
	batch_run(core, batch, NULL, NULL);
	metric_add(core, METRIC_COMMANDS_REMOTE, batch->n);
	batch->deferred = batch->parked > 0 || !batch_settles(core, batch);
	if (likely(!batch->deferred))
		batch_passed(core, batch);
	else
		core_defer(core, guest->from);
}

void batches_send(struct round *round)
{
	struct core *core = round->core;
	struct client_view client = session_view(round->session);
	const struct reply_ops *ops = round->session->ops->reply_ops(round->session);
	for (uint16_t i = 0; i < round->n_cores; i++) {
		struct batch *batch = round->batches[round->cores[i]];
		batch->ops = ops;
		batch->arguments = round->arguments;
		batch->blocked = round->blocked;
		round->pending++;
		if (batch->core == core->id) {
			batch->client = client;
			continue;
		}
		struct message message = {.run = batch_arrived};
		parcel_pack(batch, &client, &message);
		core_request(core, batch->core, &message);
	}
}
