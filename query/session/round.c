#include "query/session/round.h"

#include "engine/config/settings.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/placement/placement.h"
#include "query/commands/monitor.h"
#include "query/commands/notify.h"
#include "query/commands/tracking.h"
#include "query/session/block.h"
#include "query/session/parcel.h"
#include "query/session/pause.h"
#include "query/session/round_private.h"
#include "query/session/script.h"
#include "query/session/transaction.h"

enum { ROUNDS_FREE_MAX = 64, ARGUMENTS_FIRST = 512, ARGUMENTS_KEPT_MAX = 4096, BUFFER_KEPT_MAX = 64 * 1024 };

/* ---- life ------------------------------------------------------------------------- */

struct rounds *rounds_new(struct core *core)
{
	struct rounds *rounds = memory_zalloc(sizeof(*rounds));
	rounds->core = core;
	list_init(&rounds->fiberless);
	pause_init(rounds);
	rounds->scratch = shard_new(NULL, core->shard->hash_seed);
	rounds->scripts = script_jobs_new(core);
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
	script_jobs_free(rounds->scripts);
	memory_free(rounds);
}

static void resume(struct core *core, struct task *task) { round_goes_on(container_of(task, struct round, resume)); }

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
		round->line.task = &round->resume;
	}
	round->session = session;
	round->sink = sink;
	round->wire = wire;
	round->strict = core->settings->pipeline_order == 1;
	round->notifies =
	        shard_notifies(core->shard) || tracking_anywhere(core) || (core->n_cores > 1 && block_any(core));
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
	return round->n < ROUND_CALLS && !round->has_last && !round->blocked &&
	       !(round->n > 0 && round->session->flags & (SESSION_REPLY_SKIP | SESSION_CACHING));
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
	if (unlikely(command->roams) && command->roams(core, argv, call->argc))
		call->kind = CALL_ROAM;
}

static enum call_kind kind_of(struct session *session, const struct command *command)
{
	if (unlikely(!session->authenticated) && !(command->flags & COMMAND_NO_AUTH))
		return CALL_NO_AUTH;
	if (unlikely(session->subscriptions) && !(command->flags & COMMAND_SUBSCRIBED) &&
	    session_is_subscribed(session))
		return CALL_SUBSCRIBED;
	if (unlikely(link_linked(&session->watching)) &&
	    command->flags & (COMMAND_READ | COMMAND_WRITE | COMMAND_MAY_REPLICATE))
		return CALL_MONITORING;
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

static bool writes_elsewhere(const struct round *round, uint16_t core)
{
	for (uint16_t i = 0; i < round->n_cores; i++)
		if (round->cores[i] != core && round->batches[round->cores[i]]->flags & MAY_WRITE)
			return true;
	return false;
}

/* Has the round calls on another core? */
static bool runs_elsewhere(const struct round *round, uint16_t core)
{
	return round->n_cores > 1 || (round->n_cores == 1 && round->cores[0] != core);
}

/* Must what is before it run first? Whoever is told of a change finds what the client has written before; and a script
 * may touch keys of any core. One that is watched has a round of its own: its line comes before those of its commands. */
static bool must_follow(const struct round *round, const struct call *call)
{
	bool is_script = call->command->flags & COMMAND_SCRIPT;
	if (unlikely(round->core->commands->monitored) && round->n > 0 && (round->scripted || is_script))
		return true;
	if ((round->strict || round->scripted || is_script) && runs_elsewhere(round, call->core))
		return true;
	return round->notifies && call->command->flags & MAY_WRITE && writes_elsewhere(round, call->core);
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
	if (last->argc != call->argc || !slice_equal(last_argv[0], argv[0]) || last->resolved)
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
	call->direct = call->failed = call->refused = false;
	call->many_keys = false;
	if (!is_like_the_last(round, call, argv))
		resolve(round, call, argv);
	if (likely(call->kind == CALL_SHARD)) {
		place_on_shard(round, call, argv);
		bool is_script = call->command->flags & COMMAND_SCRIPT;
		if (unlikely(round->strict || round->notifies || round->scripted || is_script) &&
		    must_follow(round, call))
			return false;
		round->scripted |= is_script;
		if (unlikely(call->command->blocking) && blocking_may(call->command->blocking, argv, n)) {
			if (round->n > 0) /* it may be long until its answer: those before it have theirs */
				return false;
			round->blocked = blocked_new(session, call->command, argv, n);
		}
	}
	if (likely(call->kind == CALL_SHARD)) {
		if (call->core == core->id && call->first_key) {
			struct key key = {.name = argv[call->first_key],
			                  .hash = call->hash,
			                  .slot = call->slot,
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

/* ---- answers ---------------------------------------------------------------------- */

bool round_is_muted(const struct session *session) { return session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP); }

/* Loans of an answer that was said straight into the wire's buffer, or stitched there. */
static void lend_one(struct round *round, const struct loan *loan)
{
	round->sink->lend(round->wire, loan->bytes, loan->object, loan->core);
}

void round_stitch(struct round *round, const struct buf *out, const struct buf *loans, size_t *loan_at, size_t from,
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
	bool direct = round->n_cores == 1 && !round_is_muted(round->session) && !batch_may_wait(round->core, batch);
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
			round_stitch(round, &said, &loans, &loan_at, 0, said.len);
			buf_fini(&said);
			buf_fini(&loans);
		}
	}
	if (batch->parked == 0 && batch_settles(round->core, batch))
		round->pending--;
}

void round_shrink_buffer(struct buf *buf)
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
	round_stitch(round, &batch->out, &mine, &loan_at, from, to);
}

/* Puts the answers of all batches together in the order of the calls. What lies together
 * already is copied together. */
static void gather(struct round *round)
{
	bool muted = round_is_muted(round->session);
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
		round_shrink_buffer(&batch->out);
		round_shrink_buffer(&batch->loans);
		batch->n = 0;
		batch->first = NULL;
	}
	round->n_cores = 0;
}

/* ---- the round -------------------------------------------------------------------- */

/* CLIENT REPLY SKIP mutes the one command after it, CLIENT CACHING counts for it: `command` was the last. */
static void skip_advance(struct session *session, const struct command *command)
{
	session->flags &= ~(uint32_t)SESSION_REPLY_SKIP;
	if (session->flags & SESSION_REPLY_SKIP_NEXT)
		session->flags = (session->flags & ~(uint32_t)SESSION_REPLY_SKIP_NEXT) | SESSION_REPLY_SKIP;
	if (unlikely(session->flags & SESSION_CACHING) && !transaction_is_queueing(session))
		tracking_caching_over(session, command);
}

static void round_reset(struct round *round)
{
	round->n = 0;
	round->n_arguments = 0;
	round->has_last = round->last_done = round->scripted = false;
}

/* Its call is the only one. An error that was said instead of its answer stands. */
static void settle_blocked(struct round *round)
{
	const struct call *call = &round->calls[0];
	bool said = call->kind == CALL_SHARD && call->to > call->from;
	blocked_settle(take(round->blocked), said, round->sink->out(round->wire));
}

/* Shows calls to those who watch: scripts before they run, everything else when it has. */
static void monitor_calls(const struct round *round, uint32_t from, uint32_t to, bool scripts)
{
	for (uint32_t i = from; i < to; i++) {
		const struct call *call = &round->calls[i];
		if (call->kind <= CALL_ROAM && !(call->command->flags & COMMAND_SCRIPT) == !scripts)
			monitor_show(round->session, call->command, round->arguments + call->args_at, call->argc);
	}
}

/* After an answer came: true when the round is done. */
static bool go_on(struct round *round)
{
	if (round->pending > 0)
		return false;
	if (round->n_cores > 0) {
		gather(round);
		if (unlikely(round->core->commands->monitored))
			monitor_calls(round, 0, round->n - round->has_last, false);
	}
	if (round->has_last && !round->last_done) {
		round->last_done = false;
		if (!round_run_last(round))
			return false;
	}
	if (unlikely(round->core->commands->monitored) && round->has_last)
		monitor_calls(round, round->n - 1, round->n, false);
	if (unlikely(round->blocked))
		settle_blocked(round);
	skip_advance(round->session, round->calls[round->n - 1].command);
	round_reset(round);
	return true;
}

void round_goes_on(struct round *round)
{
	if (go_on(round))
		round->sink->done(round->wire);
}

void round_cancel(struct round *round)
{
	assert(round->pending == 0);
	for (uint16_t i = 0; i < round->n_cores; i++) {
		struct batch *batch = round->batches[round->cores[i]];
		batch->n = 0;
		batch->first = NULL;
	}
	if (round->blocked)
		blocked_discard(take(round->blocked));
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
	if (unlikely(core->commands->monitored) && round->scripted)
		monitor_calls(round, 0, round->n - round->has_last, true);
	batches_send(round);
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
