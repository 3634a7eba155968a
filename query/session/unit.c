#include "query/session/unit.h"

#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "query/commands/notify.h"
#include "query/session/block.h"
#include "storage/keyspace/keyspace.h"

/* What happened on one shard. */
struct unit_part {
	struct changes changes;
	uint64_t rests_on;    /* what was there when it was joined, in LSN; 0: durable */
	struct log_hold hold; /* from before its first change until its outcome is durable */
	struct buf events;    /* of what happened to its keys: told with the outcome */
};

/* One step of the commit on the shards that take part, side by side. */
struct step {
	struct unit *unit;
	const struct tx_id *tx;
	uint64_t (*run)(struct core *there, struct step *step, struct unit_part *part); /* what must be durable; 0 */
	bool waits;
	struct fiber *fiber;
	uint32_t pending;
	_Atomic bool failed;
};

struct visit {
	struct log_waiter waiter;
	struct step *step;
	uint16_t from;
	bool deferred; /* the answer comes by a post */
};

void unit_init(struct unit *unit, struct core *core, bool waits)
{
	*unit = (struct unit){.core = core, .waits = waits};
}

void unit_fini(struct unit *unit)
{
	for (uint16_t i = 0; i < unit->core->n_cores; i++) {
		if (!unit->parts[i])
			continue;
		changes_free(&unit->parts[i]->changes);
		buf_fini(&unit->parts[i]->events);
		memory_free(unit->parts[i]);
	}
}

/* ---- collecting ------------------------------------------------------------------- */

void unit_join(struct core *there, struct unit *unit)
{
	struct journal *journal = there->shard->journal;
	if (!journal)
		return;
	struct unit_part *part = unit->parts[there->id];
	if (!part) {
		struct log *log = journal_log(journal);
		part = unit->parts[there->id] = memory_zalloc(sizeof(*part));
		part->hold.lsn = log_appended(log) + 1;
		log_hold(log, &part->hold);
	}
	if (unit->waits)
		part->rests_on = journal_rests_on_all(journal);
	journal_collect(journal, &part->changes);
	notify_collect(there, &part->events);
}

void unit_leave(struct core *there, struct unit *unit)
{
	if (!there->shard->journal)
		return;
	journal_collect(there->shard->journal, NULL);
	notify_collect(there, NULL);
}

struct changes *unit_changes(const struct core *there, const struct unit *unit)
{
	return &unit->parts[there->id]->changes;
}

/* ---- steps ------------------------------------------------------------------------ */

static void visit_over(struct core *core, struct message *message)
{
	struct step *step = ((struct visit *)message->args[0].ptr)->step;
	if (--step->pending == 0)
		fiber_wake(core, step->fiber);
}

static void visit_answer(struct core *there, struct visit *visit)
{
	if (log_failed(journal_log(there->shard->journal)))
		visit->step->failed = true;
	struct message message = {.run = visit_over, .args[0].ptr = visit};
	if (visit->deferred)
		core_post(there, visit->from, &message);
	else
		core_reply(there, visit->from, &message);
}

static void visit_durable(struct log *log, struct log_waiter *waiter)
{
	visit_answer(core_current(), container_of(waiter, struct visit, waiter));
}

/* True: nothing to wait for. */
static bool visit_run(struct core *there, struct visit *visit)
{
	struct step *step = visit->step;
	uint64_t lsn = step->run(there, step, step->unit->parts[there->id]);
	visit->waiter = (struct log_waiter){.lsn = lsn, .run = visit_durable};
	return lsn == 0 || !step->waits || log_wait(journal_log(there->shard->journal), &visit->waiter);
}

static void visit_begins(struct core *there, struct message *message)
{
	struct visit *visit = message->args[0].ptr;
	if (visit_run(there, visit)) {
		visit_answer(there, visit);
		return;
	}
	visit->deferred = true;
	core_defer(there, visit->from);
}

/* False: a log has failed. On this core the step runs before anything else can. */
static bool on_each(struct unit *unit, const struct tx_id *tx, bool waits,
                    uint64_t (*run)(struct core *, struct step *, struct unit_part *))
{
	struct core *core = unit->core;
	struct step step = {.unit = unit, .tx = tx, .run = run, .waits = waits, .fiber = fiber_self(core)};
	struct visit visits[CORES_MAX];
	struct visit *here = &visits[core->id];
	*here = (struct visit){.step = &step, .from = core->id, .deferred = true};
	if (unit->parts[core->id] && !visit_run(core, here))
		step.pending++;
	for (uint16_t to = 0; to < core->n_cores; to++) {
		if (!unit->parts[to] || to == core->id)
			continue;
		visits[to] = (struct visit){.step = &step, .from = core->id};
		struct message message = {.run = visit_begins, .args[0].ptr = &visits[to]};
		step.pending++;
		core_request(core, to, &message);
	}
	if (step.pending > 0)
		fiber_wait(core);
	return !step.failed && (!unit->parts[core->id] || !log_failed(journal_log(core->shard->journal)));
}

static uint64_t later(uint64_t one, uint64_t other) { return one > other ? one : other; }

static uint64_t do_log(struct core *there, struct step *step, struct unit_part *part)
{
	uint64_t lsn = journal_flush_changes(there->shard->journal, &part->changes);
	log_release(journal_log(there->shard->journal), &part->hold);
	notify_happened(there, &part->events);
	if (step->unit->unlocked)
		block_serve(there, there->shard, NULL, 0);
	return later(lsn, part->rests_on);
}

static uint64_t do_rest(struct core *there, struct step *step, struct unit_part *part)
{
	return changes_any(&part->changes) ? 0 : part->rests_on;
}

/* What was only read must be durable before the commit record, too. */
static uint64_t do_prepare(struct core *there, struct step *step, struct unit_part *part)
{
	if (!changes_any(&part->changes))
		return part->rests_on;
	return journal_prepare(there->shard->journal, &part->changes, step->tx);
}

static uint64_t do_decide(struct core *there, struct step *step, struct unit_part *part)
{
	return changes_any(&part->changes) ? journal_outcome(there->shard->journal, step->tx, true) : 0;
}

static uint64_t do_release(struct core *there, struct step *step, struct unit_part *part)
{
	log_release(journal_log(there->shard->journal), &part->hold);
	notify_happened(there, &part->events);
	return 0;
}

static uint64_t do_stop(struct core *there, struct step *step, struct unit_part *part)
{
	struct log *log = journal_log(there->shard->journal);
	log_release(log, &part->hold);
	if (changes_any(&part->changes))
		log_stop(log);
	return 0;
}

/* ---- commit ----------------------------------------------------------------------- */

static uint32_t changed_shards(const struct unit *unit)
{
	uint32_t n = 0;
	for (uint16_t i = 0; i < unit->core->n_cores; i++)
		n += unit->parts[i] && changes_any(&unit->parts[i]->changes);
	return n;
}

/* The commit point, on this core's log; kept until no participant can ask for it. */
static bool decide(struct unit *unit, const struct tx_id *tx)
{
	struct journal *journal = unit->core->shard->journal;
	struct log *log = journal_log(journal);
	struct log_hold hold = {.lsn = log_appended(log) + 1};
	log_hold(log, &hold);
	uint64_t lsn = journal_commit(journal, tx);
	bool decided = log_wait_for(unit->core, log, lsn) == 0;
	/* The client need not wait for the outcomes, but the decision must: locks are short, so both do. */
	if (decided)
		(void)on_each(unit, tx, true, do_decide);
	log_release(log, &hold);
	return decided;
}

/* Some shard was only read from, and has something that is not durable. */
static bool rests_elsewhere(const struct unit *unit)
{
	for (uint16_t i = 0; i < unit->core->n_cores; i++)
		if (unit->parts[i] && !changes_any(&unit->parts[i]->changes) && unit->parts[i]->rests_on > 0)
			return true;
	return false;
}

/* One log: no record of what was read elsewhere may be durable before that is, or a crash would keep a copy of what it
 * loses. */
static enum err commit_alone(struct unit *unit, uint32_t n_changed)
{
	bool rested = n_changed == 0 || !rests_elsewhere(unit) || on_each(unit, NULL, true, do_rest);
	if (rested && on_each(unit, NULL, unit->waits, do_log))
		return OK;
	if (!rested)
		(void)on_each(unit, NULL, false, do_stop);
	return ERR_SHARD_STOPPED;
}

static enum err commit_together(struct unit *unit)
{
	struct tx_id tx = journal_next_tx(unit->core->shard->journal);
	if (on_each(unit, &tx, true, do_prepare) && decide(unit, &tx)) {
		(void)on_each(unit, NULL, false, do_release);
		return OK;
	}
	(void)on_each(unit, NULL, false, do_stop);
	return ERR_SHARD_STOPPED;
}

/* What others have made before stays. */
static enum err give_up(struct unit *unit)
{
	enum err waited = unit_wait_everywhere(unit->core);
	(void)waited; /* a log that has failed stops no further */
	(void)on_each(unit, NULL, false, do_stop);
	return ERR_SHARD_STOPPED;
}

static void stop_there(struct core *there, void *arg) { log_stop(journal_log(there->shard->journal)); }

enum err unit_commit(struct unit *unit)
{
	if (!unit->core->shard->journal)
		return OK;
	if (unlikely(unit->doomed))
		return give_up(unit);
	uint32_t n_changed = changed_shards(unit);
	enum err err = n_changed <= 1 ? commit_alone(unit, n_changed) : commit_together(unit);
	if (unlikely(err != OK) && unit->renames)
		fiber_call_all(unit->core, stop_there, NULL);
	return err;
}

static void look_there(struct core *there, void *arg)
{
	unit_join(there, arg);
	unit_leave(there, arg);
}

enum err unit_wait_everywhere(struct core *core)
{
	struct unit unit;
	if (!core->shard->journal)
		return OK;
	unit_init(&unit, core, true);
	fiber_call_all(core, look_there, &unit);
	enum err err = unit_commit(&unit);
	unit_fini(&unit);
	return err;
}
