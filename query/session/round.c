#include "query/session/round.h"

#include "engine/base/rare.h"
#include "engine/config/settings.h"
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/placement/placement.h"
#include "query/commands/slowlog.h"
#include "query/session/cold.h"
#include "query/session/parcel.h"
#include "query/session/pause.h"
#include "query/session/round_private.h"
#include "query/session/spread.h"
#include "query/session/transaction.h"
#include "query/session/unit.h"

enum { ROUNDS_FREE_MAX = 64, ARGUMENTS_FIRST = 512, ARGUMENTS_KEPT_MAX = 4096, BUFFER_KEPT_MAX = 64 * 1024 };
enum { PREFETCH_OBJECT_AHEAD = 6 };
enum { FIBERS_MAX = RARE(8192, 4) }; /* of all cores */
enum { TIME_EACH_UNDER_NS = 1000 * 1000, TIME_ONE_BATCH_IN = 8 };

static bool go_on(struct round *round);
static void batch_passed(struct core *core, struct batch *batch);

/* ---- life ------------------------------------------------------------------------- */

struct rounds *rounds_new(struct core *core)
{
	struct rounds *rounds = memory_zalloc(sizeof(*rounds));
	rounds->core = core;
	list_init(&rounds->fiberless);
	pause_init(rounds);
	rounds->scratch = shard_new(NULL, core->shard->hash_seed);
	return rounds;
}

static void batch_free(struct batch *batch)
{
	if (!batch)
		return;
	buf_fini(&batch->out);
	buf_fini(&batch->loans);
	buf_fini(&batch->parcel);
	memory_free(batch);
}

static void round_destroy(struct round *round)
{
	for (uint16_t i = 0; i < round->core->n_cores; i++)
		batch_free(round->batches[i]);
	memory_free(round->batches);
	memory_free(round->arguments);
	buf_fini(&round->side);
	buf_fini(&round->side_loans);
	memory_free(round);
}

void rounds_free(struct rounds *rounds)
{
	if (!rounds)
		return;
	timer_stop(&rounds->core->timers, &rounds->pause_look);
	while (rounds->free) {
		struct round *round = rounds->free;
		rounds->free = round->next_free;
		round_destroy(round);
	}
	while (rounds->guests) {
		struct guest *guest = rounds->guests;
		rounds->guests = guest->next_free;
		guest_free(guest);
	}
	shard_free(rounds->scratch);
	memory_free(rounds);
}

static void resume(struct core *core, struct task *task)
{
	struct round *round = container_of(task, struct round, resume);
	if (go_on(round))
		round->sink->done(round->wire);
}

struct round *round_new(struct session *session, const struct round_sink *sink, void *wire)
{
	struct core *core = session->core;
	struct rounds *rounds = core->commands->rounds;
	struct round *round = rounds->free;
	if (round) {
		rounds->free = round->next_free;
		rounds->n_free--;
	} else {
		round = memory_zalloc(sizeof(*round));
		round->rounds = rounds;
		round->core = core;
		round->batches = memory_zalloc(core->n_cores * sizeof(*round->batches));
		round->arguments_room = ARGUMENTS_FIRST;
		round->arguments = memory_alloc(ARGUMENTS_FIRST * sizeof(*round->arguments));
		round->resume = (struct task){.run = resume, .name = "round"};
	}
	round->session = session;
	round->sink = sink;
	round->wire = wire;
	round->strict = core->settings->pipeline_order == 1;
	return round;
}

void round_free(struct round *round)
{
	assert(round->n == 0);
	struct rounds *rounds = round->rounds;
	if (rounds->n_free == ROUNDS_FREE_MAX || round->arguments_room > ARGUMENTS_KEPT_MAX) {
		round_destroy(round);
		return;
	}
	round->next_free = rounds->free;
	rounds->free = round;
	rounds->n_free++;
}

/* ---- adding calls ----------------------------------------------------------------- */

struct slice *round_arguments(struct round *round, uint32_t n, uint32_t *room)
{
	if (round->arguments_room - round->n_arguments < n) {
		round->arguments_room = (round->n_arguments + n) * 2;
		round->arguments = memory_resize(round->arguments, round->arguments_room * sizeof(struct slice));
	}
	*room = round->arguments_room - round->n_arguments;
	return round->arguments + round->n_arguments;
}

bool round_is_empty(const struct round *round) { return round->n == 0; }

bool round_takes_more(const struct round *round)
{
	return round->n < ROUND_CALLS && !round->has_last &&
	       !(round->n > 0 && round->session->flags & SESSION_REPLY_SKIP);
}

int keys_positions(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t *room,
		   uint32_t room_n, uint32_t **out, uint32_t **owned)
{
	*out = room;
	*owned = NULL;
	if (argc > room_n)
		*out = *owned = memory_alloc(argc * sizeof(**out));
	return command_keys(command, argv, argc, *out, *owned ? argc : room_n);
}

/* Where a command with several keys runs; the core, or -1 if they lie on several. */
static int common_core(struct core *core, const struct command *command, const struct slice *argv, uint32_t argc)
{
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n = keys_positions(command, argv, argc, room, ROUND_KEYS_INLINE, &at, &owned);
	int common = n > 0 ? core_of_slot(core, slot_of(argv[at[0]])) : core->id;
	for (int i = 1; i < n && common >= 0; i++)
		if (core_of_slot(core, slot_of(argv[at[i]])) != common)
			common = -1;
	memory_free(owned);
	return common;
}

static bool is_single_key(const struct command *command)
{
	bool fixed = !(command->flags & COMMAND_MOVABLE_KEYS);
	return fixed && command->keys.first > 0 && command->keys.first == command->keys.last;
}

static void place_on_shard(struct round *round, struct call *call, const struct slice *argv)
{
	struct core *core = round->core;
	const struct command *command = call->command;
	uint32_t first = (uint32_t)command->keys.first;
	if (command->flags & COMMAND_MOVABLE_KEYS) {
		uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
		int n = keys_positions(command, argv, call->argc, room, ROUND_KEYS_INLINE, &at, &owned);
		first = n > 0 ? at[0] : 0;
		memory_free(owned);
	}
	call->kind = CALL_SHARD;
	call->many_keys = !is_single_key(command);
	call->first_key = (uint8_t)first;
	call->core = core->id;
	if (first == 0)
		return; /* no keys after all: the command says why */
	call->slot = slot_of(argv[first]);
	call->hash = key_hash(core->shard->hash_seed, argv[first]);
	call->core = core_of_slot(core, call->slot);
	if (call->many_keys && core->n_cores > 1 && common_core(core, command, argv, call->argc) < 0)
		call->kind = CALL_SPREAD;
}

static enum call_kind kind_of(struct session *session, const struct command *command)
{
	if (unlikely(!session->authenticated) && !(command->flags & COMMAND_NO_AUTH))
		return CALL_NO_AUTH;
	if (unlikely(session->subscriptions) && !(command->flags & COMMAND_SUBSCRIBED) && session_is_subscribed(session))
		return CALL_SUBSCRIBED;
	if (unlikely(session->transaction) && transaction_is_queueing(session) && !(command->flags & COMMAND_IN_MULTI))
		return CALL_QUEUE;
	if (command->flags & COMMAND_FIBER)
		return CALL_FIBER;
	return command->keys.first > 0 || command->flags & COMMAND_MOVABLE_KEYS ? CALL_SHARD : CALL_HERE;
}

static struct batch *batch_of(struct round *round, uint16_t core)
{
	struct batch *batch = round->batches[core];
	if (!batch) {
		batch = round->batches[core] = memory_zalloc(sizeof(*batch));
		batch->core = core;
		batch->round = round;
	}
	if (batch->n == 0) {
		batch->last = &batch->first;
		batch->flags = 0;
		round->cores[round->n_cores++] = core;
	}
	return batch;
}

static void batch_add(struct round *round, struct call *call)
{
	struct batch *batch = batch_of(round, call->core);
	call->next = NULL;
	*batch->last = call;
	batch->last = &call->next;
	batch->n++;
	batch->flags |= call->command->flags;
}

/* Finds the row of a call and what must happen with it. */
static void resolve(struct round *round, struct call *call, const struct slice *argv)
{
	struct session *session = round->session;
	const struct command_index *index = round->core->commands->index;
	call->command = command_find(index, argv[0]);
	call->resolved = false;
	if (unlikely(!call->command || call->command->subcommands || !command_arity_fits(call->command, call->argc))) {
		call->command = command_resolve(index, argv, call->argc, NULL);
		call->resolved = true;
	}
	call->kind = call->command ? kind_of(session, call->command) : CALL_UNSOUND;
}

/* A pipeline mostly repeats one command: the same name with as many arguments, with only
 * calls on shards in between, means the same row and the same kind. */
static bool is_like_the_last(const struct round *round, struct call *call, const struct slice *argv)
{
	if (round->n == 0)
		return false;
	const struct call *last = call - 1;
	const struct slice *last_argv = round->arguments + last->args_at;
	if (last->argc != call->argc || !slice_equal(last_argv[0], argv[0]) ||
	    last->resolved)
		return false;
	call->command = last->command;
	call->kind = CALL_SHARD;
	call->resolved = false;
	return true;
}

bool round_add(struct round *round, uint32_t n)
{
	struct session *session = round->session;
	struct core *core = round->core;
	const struct slice *argv = round->arguments + round->n_arguments;
	assert(round_takes_more(round));
	struct call *call = &round->calls[round->n];
	call->args_at = round->n_arguments;
	call->argc = n;
	call->direct = call->failed = false;
	call->many_keys = false;
	if (!is_like_the_last(round, call, argv))
		resolve(round, call, argv);
	if (likely(call->kind == CALL_SHARD)) {
		place_on_shard(round, call, argv);
		if (unlikely(round->strict) && round->n_cores > 0 && round->cores[0] != call->core)
			return false;
	}
	if (likely(call->kind == CALL_SHARD)) {
		if (call->core == core->id && call->first_key) {
			struct key key = {.name = argv[call->first_key], .hash = call->hash, .slot = call->slot,
					  .keyspace = core->shard->keyspace_of_db[session->db]};
			keyspace_prefetch_bucket(core->shard, &key);
		}
		batch_add(round, call);
	} else {
		round->has_last = true;
	}
	if (call->command)
		session->last_command = call->command;
	session->n_commands++;
	round->n_arguments += n;
	round->n++;
	return true;
}

/* ---- running calls on a shard ----------------------------------------------------- */

struct client_view view_on_shard(const struct client_view *client, const struct shard *shard)
{
	struct client_view view = *client;
	view.keyspace = shard->keyspace_of_db[client->db];
	return view;
}

static inline void execute(struct exec *exec)
{
	enum err err = unlikely(exec->guarded) ? call_admit(exec->shard, exec->command->flags) : OK;
	if (likely(err == OK) && unlikely(exec->shard->counters.cold_keys > 0))
		err = values_are_here(exec);
	if (likely(err == OK))
		err = exec->command->run(exec);
	if (unlikely(err != OK))
		reply_err(exec->reply, err);
	if (exec->shard->journal)
		(void)journal_flush(exec->shard->journal);
}

void call_execute(struct core *core, struct shard *shard, const struct client_view *client, struct session *session,
		  const struct command *command, const struct slice *argv, uint32_t argc, struct reply *reply,
		  bool admitted)
{
	struct exec exec = {.core = core, .shard = shard, .client = client, .session = session, .command = command,
			    .argv = argv, .argc = argc, .reply = reply,
			    .guarded = !admitted && shard_is_guarded(shard)};
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n = keys_positions(command, argv, argc, room, ROUND_KEYS_INLINE, &at, &owned);
	if (n > 0)
		exec.first = exec_key(&exec, at[0]);
	memory_free(owned);
	uint64_t before = io_now_ns(core->io);
	uint32_t errors = reply->errors;
	execute(&exec);
	uint64_t ns = io_now_ns(core->io) - before;
	bool failed = reply->errors != errors;
	commands_count(core, command, 1, ns, failed);
	slowlog_note(core, command, argv, argc, ns, client);
	metric_add(core, METRIC_COMMANDS, 1);
	if (failed)
		metric_add(core, METRIC_COMMAND_ERRORS, 1);
}

/* A call that waits for a lock; its own memory, since most rounds have none. */
struct parked {
	struct lock_waiter waiter;
	struct batch *batch;
	struct call *call;
	bool has_turn; /* at the key of waiter.fingerprint: it is free while `run` is called */
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
	parked->waiter.fingerprint = fingerprint;
	if (!lock_take(shard->locks, &parked->waiter))
		return true;
	parked->waiter = waiter;
	return false;
}

/* A value that is needed and cold is on its way from here on; the fetch is in the key's queue before the call. */
static void call_for_value(struct shard *shard, struct parked *parked, const struct key *key)
{
	if (!tier_must_fetch(shard, key)) {
		if (parked->call->many_keys)
			pin(shard, parked, key);
		return;
	}
	tier_fetch(shard, key, parked->waiter.inside);
	if (parked->waiter.fingerprint == key->hash)
		parked->has_turn = false;
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
		struct key key = {.name = name, .hash = key_hash(shard->hash_seed, name), .slot = slot_of(name),
				  .keyspace = shard->keyspace_of_db[batch->client.db]};
		call_for_value(shard, parked, &key);
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
	exec->first = (struct key){.name = exec->argv[call->first_key], .hash = call->hash,
				   .keyspace = exec->client->keyspace, .slot = call->slot};
	uint32_t errors = exec->reply->errors;
	execute(exec);
	call->failed = exec->reply->errors != errors;
}

/* Runs a call by itself, with its answer in the batch's buffer and its time taken. */
static void call_run_timed(struct exec *exec, struct call *call, const struct slice *arguments)
{
	uint64_t before = io_now_ns(exec->core->io);
	call_run(exec, call, arguments);
	uint64_t ns = io_now_ns(exec->core->io) - before;
	commands_count(exec->core, call->command, 1, ns, call->failed);
	slowlog_note(exec->core, call->command, exec->argv, exec->argc, ns, exec->client);
}

static void parked_turn(struct shard *shard, struct lock_waiter *waiter);
static void room_turn(struct shard *shard, struct room_waiter *waiter);
static bool batch_settles(struct core *core, struct batch *batch);

static bool lacks_room(const struct shard *shard, const struct call *call)
{
	return call->command->flags & COMMAND_GROWS && tier_is_full(shard);
}

/* Nothing is locked: may a call run at once, though there are cold keys? */
static bool may_run(struct shard *shard, const struct batch *batch, const struct call *call)
{
	struct key key = {.name = batch->arguments[call->args_at + call->first_key], .hash = call->hash,
			  .slot = call->slot, .keyspace = shard->keyspace_of_db[batch->client.db]};
	if (lacks_room(shard, call) || call->many_keys)
		return false;
	return !call->first_key || !tier_must_fetch(shard, &key) ||
	       !needs_values(call->command, batch->arguments + call->args_at, call->argc);
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
	if (locks_at_rest(shard->locks) && may_run(shard, batch, call))
		return HELD_NOT;
	struct parked *parked = memory_zalloc(sizeof(*parked));
	parked->waiter.kind = LOCK_PASS;
	parked->waiter.run = parked_turn;
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

/* Is it worth a clock reading of its own (25 ns)? Those of constant cost share their
 * batch's time evenly, and one batch in eight stands for the others, unless somebody
 * looks for slow ones that closely. */
static bool is_timed(const struct core *core, const struct command *command)
{
	bool is_constant = command->flags & COMMAND_FAST || memcmp(command->complexity, "O(1)", 4) == 0;
	return !is_constant || core->commands->slow_ns < TIME_EACH_UNDER_NS;
}

/* Pipelines are mostly of one command: runs of it are counted together. */
static void count_batch(struct core *core, const struct batch *batch)
{
	uint64_t failed = 0;
	for (struct call *call = batch->first; call;) {
		const struct command *command = call->command;
		uint32_t run = 0, run_failed = 0;
		for (; call && call->command == command; call = call->next) {
			run++;
			run_failed += call->failed;
		}
		failed += run_failed;
		if (!is_timed(core, command))
			commands_count(core, command, run, core->commands->rounds->call_ns, run_failed);
	}
	metric_add(core, METRIC_COMMANDS, batch->n);
	if (failed)
		metric_add(core, METRIC_COMMAND_ERRORS, failed);
}

/* Runs a call after others of its batch have waited. */
static void call_run_late(struct exec *exec, struct batch *batch, struct call *call)
{
	call->from = batch->out.len;
	if (is_timed(exec->core, call->command))
		call_run_timed(exec, call, batch->arguments);
	else
		call_run(exec, call, batch->arguments);
	call->to = batch->out.len;
}

/* A parked call waits in the queue of one key. If it has several, calls behind it on the
 * others would overtake it: so all of them wait, here. */
static void batch_go_on(struct exec *exec, struct batch *batch)
{
	for (struct call *call = take(batch->rest); call; call = call->next) {
		bool is_free = locks_at_rest(exec->shard->locks) && !shard_is_tiered(exec->shard);
		enum held held = is_free ? HELD_NOT : must_park(exec->core, batch, call);
		if (held == HELD_NOT) {
			call_run_late(exec, batch, call);
		} else if (held == HELD_WITH_REST) {
			batch->rest = call->next;
			return;
		}
	}
}

/* What it waited for is there; maybe there is more. */
static void parked_go_on(struct shard *shard, struct parked *parked)
{
	struct batch *batch = parked->batch;
	struct call *call = parked->call;
	struct core *core = shard->core;
	bool with_rest = parked->with_rest;
	shard->now_ms = core->wall_us / 1000;
	if (park_call(shard, parked))
		return;
	struct reply reply = {.ops = batch->ops, .out = &batch->out, .loans = &batch->loans};
	struct client_view view = view_on_shard(&batch->client, shard);
	struct exec exec = {.core = core, .shard = shard, .client = &view, .reply = &reply,
			    .guarded = shard_is_guarded(shard)};
	view.now_ms = shard->now_ms;
	view.now_us = core->wall_us;
	call_run_late(&exec, batch, call);
	parked_free(shard, parked);
	assert(batch->parked > 0);
	batch->parked--;
	if (with_rest)
		batch_go_on(&exec, batch);
	if (!batch->passed || batch->parked > 0)
		return;
	count_batch(core, batch);
	if (batch_settles(core, batch))
		batch_passed(core, batch);
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
	return (struct key){.name = batch->arguments[call->args_at + call->first_key], .hash = call->hash,
			    .slot = call->slot, .keyspace = batch->client.keyspace};
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

/* Runs a batch's calls on their shard. `direct` (may be NULL) is the wire's own output:
 * answers go there until a call has to wait, those after it to the batch's buffer. */
static void batch_run(struct core *core, struct batch *batch, struct buf *direct, struct buf *direct_loans)
{
	struct shard *shard = core->shard;
	struct reply reply = {.ops = batch->ops, .out = direct ? direct : &batch->out,
			      .loans = direct ? direct_loans : &batch->loans};
	struct exec exec = {.core = core, .shard = shard, .client = &batch->client, .reply = &reply,
			    .guarded = shard_is_guarded(shard)};
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
		if (unlikely(is_timed(core, call->command))) {
			uint64_t before = io_now_ns(core->io);
			call_run_timed(&exec, call, batch->arguments);
			timed_ns += io_now_ns(core->io) - before;
		} else {
			call_run(&exec, call, batch->arguments);
			n_shared++;
		}
		call->to = reply.out->len;
	}
	if (is_sampled && n_shared > 0)
		core->commands->rounds->call_ns = (io_now_ns(core->io) - start - timed_ns) / n_shared;
	if (batch->parked == 0)
		count_batch(core, batch);
	batch->passed = true;
}

static void loans_drop(struct core *core, struct buf *loans)
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

/* Must answers of this batch maybe wait? */
static bool batch_may_wait(const struct core *core, const struct batch *batch)
{
	const struct journal *journal = core->shard->journal;
	if (!journal || !batch->client.waits)
		return false;
	return batch->flags & COMMAND_WRITE || journal_rests_on_all(journal) > 0;
}

/* All calls have run. True: the answers may go. A client that does not wait for the device still waits when
 * the log has fallen too far behind, or it would outgrow memory. */
static bool batch_settles(struct core *core, struct batch *batch)
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
	if (--round->pending == 0 && !round->running_now && go_on(round))
		round->sink->done(round->wire);
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

static void send_batches(struct round *round)
{
	struct core *core = round->core;
	struct client_view client = session_view(round->session);
	const struct reply_ops *ops = round->session->ops->reply_ops(round->session);
	for (uint16_t i = 0; i < round->n_cores; i++) {
		struct batch *batch = round->batches[round->cores[i]];
		batch->ops = ops;
		batch->arguments = round->arguments;
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

static bool is_muted(const struct session *session)
{
	return session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
}

/* Loans of an answer that was said straight into the wire's buffer, or stitched there. */
static void lend_one(struct round *round, const struct loan *loan)
{
	round->sink->lend(round->wire, loan->bytes, loan->object, loan->core);
}

/* Appends bytes [from, to) of `out` with the loans between them to the wire's output. */
static void stitch(struct round *round, const struct buf *out, const struct buf *loans, size_t *loan_at, size_t from,
		   size_t to)
{
	const struct loan *loan = (const struct loan *)loans->ptr;
	size_t n = loans->len / sizeof(*loan);
	for (; *loan_at < n && loan[*loan_at].at <= to; (*loan_at)++) {
		buf_append(round->sink->out(round->wire), slice_of(out->ptr + from, loan[*loan_at].at - from));
		lend_one(round, &loan[*loan_at]);
		from = loan[*loan_at].at;
	}
	buf_append(round->sink->out(round->wire), slice_of(out->ptr + from, to - from));
}

/* Runs the local calls. Alone in their round they answer straight into the output. */
static void run_local(struct round *round, struct batch *batch)
{
	bool direct = round->n_cores == 1 && !is_muted(round->session) && !batch_may_wait(round->core, batch);
	if (!direct) {
		batch_run(round->core, batch, NULL, NULL);
	} else {
		struct buf *out = round->sink->out(round->wire);
		size_t from = out->len;
		struct buf loans = {0};
		batch_run(round->core, batch, out, &loans);
		if (unlikely(loans.len > 0)) {
			/* What was said around the loans moves behind them, in order. */
			struct buf said = {0};
			size_t loan_at = 0;
			buf_append(&said, slice_of(out->ptr + from, out->len - from));
			out->len = from;
			struct loan *loan = (struct loan *)loans.ptr;
			for (size_t n = loans.len / sizeof(*loan); n-- > 0; loan++)
				loan->at -= from;
			stitch(round, &said, &loans, &loan_at, 0, said.len);
			buf_fini(&said);
			buf_fini(&loans);
		}
	}
	if (batch->parked == 0 && batch_settles(round->core, batch))
		round->pending--;
}

static void buf_shrink(struct buf *buf)
{
	buf->len = 0;
	if (buf->cap > BUFFER_KEPT_MAX)
		buf_fini(buf);
}

/* Appends the bytes [from, to) of a batch's answers, with the loans between them: by position,
 * since a call that was parked has answered later than its successors. */
static void gather_run(struct round *round, struct batch *batch, size_t from, size_t to)
{
	if (likely(batch->loans.len == 0)) {
		buf_append(round->sink->out(round->wire), slice_of(batch->out.ptr + from, to - from));
		return;
	}
	const struct loan *loan = (const struct loan *)batch->loans.ptr;
	size_t loan_at = 0, n_loans = batch->loans.len / sizeof(*loan);
	while (loan_at < n_loans && loan[loan_at].at <= from)
		loan_at++;
	while (n_loans > loan_at && loan[n_loans - 1].at > to)
		n_loans--;
	struct buf mine = batch->loans;
	mine.len = n_loans * sizeof(*loan);
	stitch(round, &batch->out, &mine, &loan_at, from, to);
}

/* Puts the answers of all batches together in the order of the calls. What lies together
 * already is copied together. */
static void gather(struct round *round)
{
	bool muted = is_muted(round->session);
	uint32_t n = round->n - round->has_last;
	for (uint32_t i = 0; i < n && !muted;) {
		struct call *call = &round->calls[i++];
		if (call->direct)
			continue;
		size_t from = call->from, to = call->to;
		for (; i < n && call[1].core == call->core && call[1].from == to && !call[1].direct; i++, call++)
			to = call[1].to;
		gather_run(round, round->batches[call->core], from, to);
	}
	for (uint16_t i = 0; i < round->n_cores; i++) {
		struct batch *batch = round->batches[round->cores[i]];
		if (muted)
			loans_drop(round->core, &batch->loans);
		buf_shrink(&batch->out);
		buf_shrink(&batch->loans);
		batch->n = 0;
		batch->first = NULL;
	}
	round->n_cores = 0;
}

/* ---- the last call ---------------------------------------------------------------- */

static void say_side(struct round *round)
{
	if (is_muted(round->session)) {
		loans_drop(round->core, &round->side_loans);
	} else {
		size_t loan_at = 0;
		stitch(round, &round->side, &round->side_loans, &loan_at, 0, round->side.len);
	}
	buf_shrink(&round->side);
	buf_shrink(&round->side_loans);
}

/* A command that waits. One that looked at keys all over waits for all that it may have seen, too. */
static void run_waiting(struct core *core, const struct client_view *client, struct session *session, struct call *call,
			const struct slice *argv, struct reply *reply)
{
	const struct command *command = call->command;
	struct reply_mark mark = reply_mark(reply);
	call_execute(core, core->shard, client, session, command, argv, call->argc, reply, false);
	if (!(command->flags & COMMAND_READ) || command->keys.first > 0 || !client->waits)
		return;
	enum err err = unit_wait_everywhere(core);
	if (likely(err == OK))
		return;
	reply_take_back(core, reply, mark);
	reply_err(reply, err);
}

static void last_in_fiber(void *arg)
{
	struct round *round = arg;
	struct core *core = round->core;
	struct call *call = &round->calls[round->n - 1];
	const struct slice *argv = round->arguments + call->args_at;
	struct client_view client = session_view(round->session);
	if (call->kind == CALL_SPREAD)
		spread_run(core, &client, call->command, argv, call->argc, &round->side_reply);
	else
		run_waiting(core, &client, round->session, call, argv, &round->side_reply);
	say_side(round);
	round->last_done = true;
	if (!round->starting)
		core_ready(core, &round->resume, CLASS_FOREGROUND);
	round->rounds->n_fibers--;
	struct link *next = list_pop_front(&round->rounds->fiberless);
	if (next) /* it begins when this fiber is gone */
		core_ready(core, &container_of(next, struct round, queue)->resume, CLASS_FOREGROUND);
}

/* Stacks are many mappings, which the kernel counts: clients may start so many fibers, and
 * others line up. Who holds a lock has one already, so the line moves on. Other rooms' fibers are few, and
 * would not move it. */
static bool may_start_fiber(const struct rounds *rounds)
{
	uint16_t n_cores = rounds->core->n_cores;
	return rounds->n_fibers < (FIBERS_MAX + n_cores - 1u) / n_cores;
}

static const char *why_no_exec(enum call_kind kind)
{
	switch (kind) {
	case CALL_UNSOUND:
		return "wrong number of arguments for 'exec' command";
	case CALL_NO_AUTH:
		return "NOAUTH Authentication required.";
	default:
		return "Can't execute 'exec': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed "
		       "in this context";
	}
}

/* A browser that was led here by somebody else's page says so before it says a command. */
static bool is_http(struct slice name)
{
	return slice_equal_nocase(name, S("POST")) || slice_equal_nocase(name, S("Host:"));
}

static void count_refusal(struct core *core, const struct command *command)
{
	const struct command_index *index = core->commands->index;
	if (command && command->run)
		core->commands->statistics[command_number(index, command)].rejected++;
	metric_add(core, METRIC_COMMAND_ERRORS, 1);
}

static void refuse(struct round *round, const struct call *call, const struct slice *argv, struct reply *reply)
{
	struct session *session = round->session;
	const struct command_index *index = round->core->commands->index;
	count_refusal(round->core, call->command ? call->command : command_find(index, argv[0]));
	if (slice_equal_nocase(argv[0], S("EXEC"))) {
		transaction_abort(session, why_no_exec(call->kind), reply);
		return;
	}
	switch (call->kind) {
	case CALL_UNSOUND:
		if (is_http(argv[0])) {
			session->ops->close(session, true);
			return;
		}
		(void)command_resolve(index, argv, call->argc, reply);
		break;
	case CALL_NO_AUTH:
		reply_err(reply, ERR_NO_AUTH);
		break;
	default:
		reply_error_fmt(reply,
				"ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
				"are allowed in this context",
				command_full_name(index, call->command));
		break;
	}
	transaction_spoil(session);
}

/* True: it has answered. */
static bool run_last(struct round *round)
{
	struct core *core = round->core;
	struct session *session = round->session;
	struct call *call = &round->calls[round->n - 1];
	const struct slice *argv = round->arguments + call->args_at;
	struct reply *reply = &round->side_reply;
	*reply = (struct reply){.ops = session->ops->reply_ops(session), .out = &round->side, .loans = &round->side_loans};
	if (call->kind == CALL_FIBER || call->kind == CALL_SPREAD) {
		if (unlikely(!may_start_fiber(round->rounds))) {
			list_push_back(&round->rounds->fiberless, &round->queue);
			return false;
		}
		round->rounds->n_fibers++;
		round->starting = true;
		fiber_start(core, last_in_fiber, round);
		round->starting = false;
		return round->last_done;
	}
	if (call->kind == CALL_HERE) {
		struct client_view client = session_view(session);
		core->shard->now_ms = client.now_ms;
		call_execute(core, core->shard, &client, session, call->command, argv, call->argc, reply, false);
	} else if (call->kind == CALL_QUEUE) {
		transaction_queue(session, call->command, argv, call->argc, reply);
	} else {
		refuse(round, call, argv, reply);
	}
	say_side(round);
	return true;
}

/* ---- the round -------------------------------------------------------------------- */

/* CLIENT REPLY SKIP mutes the one command after it. */
static void skip_advance(struct session *session)
{
	session->flags &= ~(uint32_t)SESSION_REPLY_SKIP;
	if (session->flags & SESSION_REPLY_SKIP_NEXT)
		session->flags = (session->flags & ~(uint32_t)SESSION_REPLY_SKIP_NEXT) | SESSION_REPLY_SKIP;
}

static void round_reset(struct round *round)
{
	round->n = 0;
	round->n_arguments = 0;
	round->has_last = round->last_done = false;
}

/* After an answer came: true when the round is done. */
static bool go_on(struct round *round)
{
	if (round->pending > 0)
		return false;
	if (round->n_cores > 0)
		gather(round);
	if (round->has_last && !round->last_done) {
		round->last_done = false;
		if (!run_last(round))
			return false;
	}
	skip_advance(round->session);
	round_reset(round);
	return true;
}

void round_cancel(struct round *round)
{
	assert(round->pending == 0);
	for (uint16_t i = 0; i < round->n_cores; i++) {
		struct batch *batch = round->batches[round->cores[i]];
		batch->n = 0;
		batch->first = NULL;
	}
	round->n_cores = 0;
	round->session->n_commands -= round->n;
	round_reset(round);
}

bool round_is_paused(const struct round *round)
{
	return unlikely(round->core->commands->clients_paused_until_ns) && pause_holds(round);
}

bool round_run(struct round *round)
{
	struct core *core = round->core;
	assert(round->n > 0);
	round->session->active_ns = core->now_ns;
	metric_add(core, METRIC_ROUNDS, 1);
	round->running_now = true;
	send_batches(round);
	struct batch *local = round->batches[core->id];
	if (local && local->n > 0)
		run_local(round, local);
	bool done = go_on(round);
	round->running_now = false;
	return done;
}

/* ---- loans ------------------------------------------------------------------------ */

static void loan_came_back(struct core *core, struct message *message)
{
	object_return(core->shard, message->args[0].ptr);
}

void loan_return(struct core *core, void *object, uint16_t from)
{
	if (from == core->id) {
		object_return(core->shard, object);
		return;
	}
	struct message message = {.run = loan_came_back, .args[0].ptr = object};
	core_post(core, from, &message);
}
