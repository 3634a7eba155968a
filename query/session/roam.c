#include "query/session/roam.h"

#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/metrics/metrics.h"
#include "engine/placement/placement.h"
#include "query/commands/sort.h"
#include "query/commands/tracking.h"
#include "query/session/cold.h"
#include "query/session/gate.h"
#include "query/session/round_private.h"
#include "query/session/spread_private.h"
#include "query/session/unit.h"

enum {
	WISHES_AT_ONCE = 2048, /* on all cores together: some 300 us */
	FETCHES_MAX = 16,      /* of what leaves memory again before it is read */
};

struct roam {
	struct core *core;
	const struct client_view *client;
	const struct command *command;
	const struct slice *argv;
	uint32_t argc;
	struct reply *reply;
	struct unit *unit;
	bool admitted; /* before */
	struct sort sort;
	uint64_t from, to;         /* wishes that are being answered */
	bool source_is_cold;       /* it has not begun */
	_Atomic(enum err) refused; /* a shard has no memory or no log; written by any core, read after all */
};

/* ---- a step on a shard ----------------------------------------------------------------- */

struct visit {
	struct client_view view;
	struct exec exec;
};

static bool visit_begins(struct core *there, struct roam *roam, uint32_t flags, struct visit *out)
{
	struct shard *shard = there->shard;
	enum err err = roam->admitted ? OK : call_admit(shard, flags);
	if (unlikely(err != OK)) {
		roam->refused = err;
		return false;
	}
	out->view = view_on_shard(roam->client, shard);
	out->exec = (struct exec){.core = there,
	                          .shard = shard,
	                          .client = &out->view,
	                          .command = roam->command,
	                          .argv = roam->argv,
	                          .argc = roam->argc,
	                          .reply = roam->reply};
	out->exec.first = exec_key(&out->exec, 1);
	shard->now_ms = out->view.now_ms;
	unit_join(there, roam->unit);
	tracking_write_begins(there, roam->client);
	return true;
}

static void visit_ends(struct core *there, struct roam *roam)
{
	tracking_write_ends(there);
	unit_leave(there, roam->unit);
}

/* The key's value is copied here: it must be in memory. */
static void begin_there(struct core *there, void *arg)
{
	struct roam *roam = arg;
	struct visit visit;
	if (!visit_begins(there, roam, roam->command->flags, &visit))
		return;
	const struct key *key = &visit.exec.first;
	enum err err = OK;
	roam->source_is_cold = tier_must_fetch(there->shard, key, &reach_all);
	if (likely(!roam->source_is_cold))
		err = values_are_here(&visit.exec);
	if (likely(err == OK && !roam->source_is_cold))
		err = sort_begin(&roam->sort, &visit.exec);
	if (roam->client->tracks & TRACKS_READS && roam->command->flags & COMMAND_READ)
		tracking_read(there, roam->client, key->hash, key->name);
	roam->refused = err;
	visit_ends(there, roam);
}

static void answer_there(struct core *there, void *arg)
{
	struct roam *roam = arg;
	struct visit visit;
	if (!visit_begins(there, roam, COMMAND_READ, &visit))
		return;
	sort_answer(&roam->sort, &visit.exec, roam->from, roam->to);
	visit_ends(there, roam);
}

static void end_there(struct core *there, void *arg)
{
	struct roam *roam = arg;
	struct visit visit;
	if (!visit_begins(there, roam, roam->command->flags, &visit))
		return;
	sort_end(&roam->sort, &visit.exec);
	visit_ends(there, roam);
}

/* ---- values that are cold ---------------------------------------------------------------- */

static void warm_source(struct roam *roam)
{
	struct lockset source = {.core = roam->core};
	lockset_add(&source, roam->core, roam->argv[1]);
	lockset_warm(roam->core, &source, roam->client->db);
	lockset_fini(&source);
}

/* False: none of those that were asked for is cold. */
static bool warm_wishes(struct roam *roam)
{
	struct lockset cold = {.core = roam->core};
	const struct sort_wish *wishes = sort_wishes(&roam->sort);
	for (uint64_t i = roam->from; i < roam->to; i++)
		if (unlikely(wishes[i].state == WISH_COLD))
			lockset_add(&cold, roam->core, sort_wish_name(&roam->sort, &wishes[i]));
	bool any = cold.n > 0;
	if (any)
		lockset_warm(roam->core, &cold, roam->client->db);
	lockset_fini(&cold);
	return any;
}

/* ---- the steps ---------------------------------------------------------------------------- */

static void begin(struct roam *roam)
{
	uint16_t source = core_of_slot(roam->core, slot_of(roam->argv[1]));
	fiber_call(roam->core, source, begin_there, roam);
	for (int fetches = 0; unlikely(roam->source_is_cold) && roam->refused == OK; fetches++) {
		warm_source(roam);
		fiber_call(roam->core, source, begin_there, roam);
		if (fetches == FETCHES_MAX)
			roam->refused = ERR_VALUE_LOST;
	}
}

/* What stays cold is said by sort_end(). */
static void answer_some(struct roam *roam)
{
	fiber_call_all(roam->core, answer_there, roam);
	for (int fetches = 0; fetches < FETCHES_MAX && roam->refused == OK && warm_wishes(roam); fetches++)
		fiber_call_all(roam->core, answer_there, roam);
}

static void answer(struct roam *roam, uint64_t n)
{
	for (roam->from = 0; roam->from < n && roam->refused == OK; roam->from = roam->to) {
		roam->to = n - roam->from > WISHES_AT_ONCE ? roam->from + WISHES_AT_ONCE : n;
		answer_some(roam);
	}
}

static void end(struct roam *roam)
{
	uint32_t store_at = roam->sort.options.store_at;
	uint16_t target = roam->core->id;
	if (store_at != SORT_NO_STORE)
		target = core_of_slot(roam->core, slot_of(roam->argv[store_at]));
	fiber_call(roam->core, target, end_there, roam);
}

static void run_steps(struct roam *roam)
{
	struct core *core = roam->core;
	uint64_t before = io_now_ns(core->io);
	uint32_t errors = roam->reply->errors;
	begin(roam);
	for (uint64_t n; roam->refused == OK && (n = sort_ask(&roam->sort)) > 0;)
		answer(roam, n);
	if (roam->refused == OK)
		end(roam);
	if (unlikely(roam->refused != OK))
		reply_err(roam->reply, roam->refused);
	sort_fini(&roam->sort);
	call_count(core, roam->client, roam->command, roam->argv, roam->argc, io_now_ns(core->io) - before,
	           roam->reply->errors != errors);
}

void roam_within(struct core *core, const struct client_view *client, const struct command *command,
                 const struct slice *argv, uint32_t argc, struct reply *reply, struct unit *unit)
{
	struct roam roam = {.core = core,
	                    .client = client,
	                    .command = command,
	                    .argv = argv,
	                    .argc = argc,
	                    .reply = reply,
	                    .unit = unit,
	                    .admitted = true};
	run_steps(&roam);
}

static void run_by_itself(struct roam *roam)
{
	struct reply_mark mark = reply_mark(roam->reply);
	struct unit unit;
	unit_init(&unit, roam->core, roam->client->waits);
	roam->unit = &unit;
	run_steps(roam);
	enum err err = unit_commit(&unit);
	if (unlikely(err != OK)) {
		reply_take_back(roam->core, roam->reply, mark);
		reply_err(roam->reply, err);
	}
	unit_fini(&unit);
}

static void wait_for_room(struct roam *roam)
{
	struct lockset named = {0};
	lockset_of(&named, roam->core, roam->command, roam->argv, roam->argc);
	lockset_wait_for_room(roam->core, &named);
	lockset_fini(&named);
}

void roam_run(struct core *core, const struct client_view *client, const struct command *command,
              const struct slice *argv, uint32_t argc, struct reply *reply)
{
	struct roam roam = {
	        .core = core, .client = client, .command = command, .argv = argv, .argc = argc, .reply = reply};
	const char *why;
	if (command->flags & COMMAND_GROWS)
		wait_for_room(&roam);
	metric_add(core, METRIC_COMMANDS_SPREAD, 1);
	if (gate_close_unless_busy(core, &why)) {
		run_by_itself(&roam);
		gate_open(core);
	} else {
		reply_error_fmt(reply, "%s", why);
	}
}
