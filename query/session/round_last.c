/* round_last.c -- the call that ends a round: it has no keys, keys on several shards, waits, or is refused. */
#include "engine/core/fiber.h"
#include "query/commands/monitor.h"
#include "query/session/block.h"
#include "query/session/roam.h"
#include "query/session/round_private.h"
#include "query/session/script.h"
#include "query/session/spread.h"
#include "query/session/transaction.h"
#include "query/session/unit.h"

enum { FIBERS_MAX = RARE(8192, 4) }; /* of all cores */

static void say_side(struct round *round)
{
	if (round_is_muted(round->session)) {
		loans_drop(round->core, &round->side_loans);
	} else {
		size_t loan_at = 0;
		round_stitch(round, &round->side, &round->side_loans, &loan_at, 0, round->side.len);
	}
	round_shrink_buffer(&round->side);
	round_shrink_buffer(&round->side_loans);
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
	if (unlikely(core->commands->monitored) && call->command->flags & COMMAND_SCRIPT)
		monitor_show(round->session, call->command, argv, call->argc);
	if (call->kind == CALL_SPREAD && round->blocked)
		blocked_run_spread(core, &client, call->command, &round->side_reply, round->blocked);
	else if (call->kind == CALL_SPREAD && call->command->flags & COMMAND_SCRIPT)
		script_run_alone(core, &client, call->command, argv, call->argc, &round->side_reply);
	else if (call->kind == CALL_ROAM)
		roam_run(core, &client, call->command, argv, call->argc, &round->side_reply);
	else if (call->kind == CALL_SPREAD)
		spread_run(core, &client, call->command, argv, call->argc, &round->side_reply);
	else
		run_waiting(core, &client, round->session, call, argv, &round->side_reply);
	say_side(round);
	round->last_done = true;
	if (!round->starting)
		core_ready(core, &round->resume, CLASS_FOREGROUND);
	fiber_over(round->rounds);
}

/* Stacks are many mappings, which the kernel counts: clients may start so many fibers, and
 * others line up. Who holds a lock has one already, so the line moves on. Other rooms' fibers are few, and
 * would not move it. */
static bool may_start_fiber(const struct rounds *rounds)
{
	uint16_t n_cores = rounds->core->n_cores;
	return rounds->n_fibers < (FIBERS_MAX + n_cores - 1u) / n_cores;
}

bool fiber_granted(struct rounds *rounds, struct fiberless *line)
{
	if (unlikely(!may_start_fiber(rounds))) {
		list_push_back(&rounds->fiberless, &line->link);
		return false;
	}
	rounds->n_fibers++;
	return true;
}

void fiber_over(struct rounds *rounds)
{
	rounds->n_fibers--;
	struct link *next = list_pop_front(&rounds->fiberless);
	if (next) /* it begins when this fiber is gone */
		core_ready(rounds->core, container_of(next, struct fiberless, link)->task, CLASS_FOREGROUND);
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

static void refuse(struct round *round, const struct call *call, const struct slice *argv, struct reply *reply)
{
	struct session *session = round->session;
	const struct command_index *index = round->core->commands->index;
	const struct command *command = call->command ? call->command : command_find(index, argv[0]);
	if (command && command->run)
		commands_count_refused(round->core, command, 1);
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
	case CALL_MONITORING:
		reply_error_fmt(reply, "ERR Replica can't interact with the keyspace");
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

/* Does it run Lua? */
static bool is_deep(const struct round *round, const struct call *call)
{
	bool is_exec = strcmp(call->command->name, "EXEC") == 0;
	return (call->command->flags | (is_exec ? transaction_flags(round->session) : 0)) & COMMAND_SCRIPT;
}

bool round_run_last(struct round *round)
{
	struct core *core = round->core;
	struct session *session = round->session;
	struct call *call = &round->calls[round->n - 1];
	const struct slice *argv = round->arguments + call->args_at;
	struct reply *reply = &round->side_reply;
	*reply = (struct reply){
	        .ops = session->ops->reply_ops(session), .out = &round->side, .loans = &round->side_loans};
	if (call->kind == CALL_FIBER || call->kind == CALL_SPREAD || call->kind == CALL_ROAM) {
		if (!fiber_granted(round->rounds, &round->line))
			return false;
		round->starting = true;
		if (is_deep(round, call))
			fiber_start_deep(core, last_in_fiber, round);
		else
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
