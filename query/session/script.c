#include "query/session/script_private.h"

#include "engine/base/number.h"
#include "engine/base/rare.h"
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "query/commands/slowlog.h"
#include "query/script/flags.h"
#include "query/script/values.h"
#include "query/session/block.h"
#include "query/session/cold.h"
#include "query/session/gate.h"
#include "query/session/round_private.h"

static_assert((int)FIBER_DEEP_STACK_SIZE >= (int)SCRIPT_STACK, "Lua's depth is bounded by this stack");

enum { WAITING_MAX = RARE(256, 2) };

/* ---- life --------------------------------------------------------------------------- */

struct script_jobs *script_jobs_new(struct core *core)
{
	struct script_jobs *jobs = memory_zalloc(sizeof(*jobs));
	jobs->core = core;
	jobs->scripts = scripts_new(core);
	jobs->functions = functions_new();
	list_init(&jobs->running);
	list_init(&jobs->line);
	return jobs;
}

void script_jobs_free(struct script_jobs *jobs)
{
	if (!jobs)
		return;
	assert(list_empty(&jobs->running));
	scripts_free(jobs->scripts);
	functions_free(jobs->functions);
	memory_free(jobs);
}

struct scripts *script_jobs_scripts(struct script_jobs *jobs) { return jobs->scripts; }
struct functions *script_jobs_functions(struct script_jobs *jobs) { return jobs->functions; }

static struct script_jobs *jobs_of(const struct script_job *job) { return job->core->commands->rounds->scripts; }

/* ---- finding its script ------------------------------------------------------------- */

struct text_search {
	struct slice name;
	struct buf texts[CORES_MAX];
	bool stays[CORES_MAX];
};

static void find_there(struct core *there, void *arg)
{
	struct text_search *search = arg;
	struct script *script = scripts_find(there->commands->rounds->scripts->scripts, search->name);
	if (!script)
		return;
	buf_append(&search->texts[there->id], script->text);
	buf_byte(&search->texts[there->id], 0); /* an empty text is one, too */
}

/* EVAL has left the text on the core that it ran on. */
static struct script *find_elsewhere(struct script_job *job)
{
	struct scripts *scripts = jobs_of(job)->scripts;
	cleanup(buf_fini) struct buf why = {0};
	struct text_search *search = memory_zalloc(sizeof(*search));
	search->name = job->argv[1];
	job->waits = true;
	fiber_call_all(job->core, find_there, search);
	struct script *script = scripts_find(scripts, job->argv[1]);
	for (uint16_t i = 0; i < job->core->n_cores; i++) {
		struct buf *text = &search->texts[i];
		if (!script && text->len > 0)
			script = scripts_add(scripts, slice_of(text->ptr, text->len - 1), &why);
		buf_fini(text);
	}
	memory_free(search);
	return script;
}

static bool is_by_name(const struct command *command) { return memcmp(command->name, "EVALSHA", 7) == 0; }

/* False: an error was said. */
static bool find_script(struct script_job *job, struct reply *reply)
{
	struct scripts *scripts = jobs_of(job)->scripts;
	cleanup(buf_fini) struct buf why = {0};
	struct slice given = job->argv[1];
	if (is_by_name(job->command)) {
		job->script = scripts_find(scripts, given);
		if (!job->script && given.len == SHA1_HEX && job->core->n_cores > 1)
			job->script = find_elsewhere(job);
		if (!job->script) {
			reply_error_fmt(reply, "NOSCRIPT No matching script. Please use EVAL.");
			return false;
		}
	} else {
		job->script = scripts_find_text(scripts, given);
		if (!job->script)
			job->script = scripts_add(scripts, given, &why);
		if (!job->script) {
			reply_error_fmt(reply, "ERR %.*s", (int)why.len, why.ptr);
			return false;
		}
	}
	script_hold(job->script);
	job->habits = &job->script->habits;
	job->name = slice_of(job->script->name, SHA1_HEX);
	return true;
}

static bool is_call_of_function(const struct command *command) { return memcmp(command->name, "FCALL", 5) == 0; }

/* False: an error was said. */
static bool find_function(struct script_job *job, struct reply *reply)
{
	struct function *function = functions_find(jobs_of(job)->functions, job->argv[1]);
	if (!function) {
		reply_error_fmt(reply, "ERR Function not found");
		return false;
	}
	function_hold(function);
	job->function = function;
	job->habits = &function->habits;
	job->name = function->name;
	return true;
}

bool script_may_write(struct core *core, const struct command *command, const struct slice *argv)
{
	const struct script_jobs *jobs = core->commands->rounds->scripts;
	const struct script_habits *habits = NULL;
	if (is_call_of_function(command)) {
		const struct function *function = functions_find(jobs->functions, argv[1]);
		habits = function ? &function->habits : NULL;
	} else {
		cleanup(buf_fini) struct buf why = {0};
		const struct script *script = is_by_name(command) ? scripts_find(jobs->scripts, argv[1])
		                                                  : scripts_find_text(jobs->scripts, argv[1]);
		if (!script && !is_by_name(command))
			script = scripts_add(jobs->scripts, argv[1], &why);
		habits = script ? &script->habits : NULL;
	}
	return !habits || !(habits->flags & SCRIPT_NO_WRITES);
}

static void let_code_go(struct script_job *job)
{
	if (job->script)
		script_let_go(jobs_of(job)->scripts, job->script);
	if (job->function)
		function_let_go(jobs_of(job)->functions, job->function);
	job->script = NULL;
	job->function = NULL;
}

static bool count_keys(struct script_job *job, struct reply *reply)
{
	int64_t n;
	if (!integer_parse(job->argv[2], &n) && job->function)
		reply_error_fmt(reply, "ERR Bad number of keys provided");
	else if (!integer_parse(job->argv[2], &n))
		reply_err(reply, ERR_NOT_INTEGER);
	else if (n > (int64_t)job->argc - 3)
		reply_error_fmt(reply, "ERR Number of keys can't be greater than number of args");
	else if (n < 0)
		reply_error_fmt(reply, "ERR Number of keys can't be negative");
	else
		return job->n_keys = (uint32_t)n, true;
	return false;
}

/* What the script's first line allows. False: an error was said. */
static bool may_begin(struct script_job *job, struct reply *reply)
{
	uint32_t flags = job->habits->flags;
	bool ro_command = strstr(job->command->name, "_RO");
	job->read_only = ro_command || flags & SCRIPT_NO_WRITES;
	if (!(flags & SCRIPT_DECLARES) || flags & SCRIPT_NO_WRITES)
		return true;
	if (ro_command) {
		reply_error_fmt(reply, "ERR Can not execute a script with write flag using *_ro command.");
		return false;
	}
	struct shard *shard = job->core->shard;
	if (!(flags & SCRIPT_ALLOW_OOM) && shard->memory_max && !shard_admit(shard)) {
		reply_error_fmt(reply, "OOM allow-oom flag is not set on the script, can not run it when used memory > "
		                       "'maxmemory'");
		return false;
	}
	return true;
}

/* ---- running it --------------------------------------------------------------------- */

static struct luas *luas_of(const struct script_job *job)
{
	return job->function ? functions_luas(jobs_of(job)->functions) : scripts_luas(jobs_of(job)->scripts);
}

/* What it runs, in this Lua; -1: it is unsound, which was said. */
static int code_in(struct script_job *job, struct lua *lua, struct reply *reply)
{
	cleanup(buf_fini) struct buf why = {0};
	int function = job->function ? function_reference(lua, job->function->library, &job->host, &why)
	                             : script_function(lua, job->script, &why);
	if (function < 0 && job->function)
		reply_error_fmt(reply, "ERR %.*s", (int)why.len, why.ptr);
	else if (function < 0)
		reply_error_fmt(reply, "ERR Error compiling script (new function): %.*s", (int)why.len, why.ptr);
	return function;
}

/* One run of its Lua. False: it begins anew. */
static bool run_lua(struct script_job *job, struct reply *reply)
{
	struct luas *luas = luas_of(job);
	struct lua *lua = luas_take(luas);
	int function = code_in(job, lua, reply);
	bool done = true;
	if (function >= 0) {
		struct script_call call = {.function = function,
		                           .member = job->function ? job->name : S(""),
		                           .name = job->name,
		                           .keys = job_declared(job),
		                           .n_keys = job->n_keys,
		                           .args = job_declared(job) + job->n_keys,
		                           .n_args = job->argc - 3 - job->n_keys,
		                           .seed = core_random(job->core),
		                           .host = &job->host};
		done = script_run(lua_state_of(lua), &call, &job->answer);
	}
	luas_give(luas, lua);
	return done;
}

static void commit(struct script_job *job)
{
	enum err err = unit_commit(&job->own_unit);
	unit_fini(&job->own_unit);
	if (likely(err == OK))
		return;
	struct reply reply = {.ops = &record_ops, .out = &job->answer};
	job->answer.len = 0;
	reply_err(&reply, err);
}

static void let_others_in(struct script_job *job)
{
	if (job->isolation == BY_LOCKS)
		lockset_release(job->core, &job->set);
	else if (job->isolation == BY_GATE)
		gate_open(job->core);
	lockset_fini(&job->set);
}

static void unit_begin(struct script_job *job)
{
	unit_init(&job->own_unit, job->core, job->waits && job->client.waits);
	job->unit = &job->own_unit;
}

/* False: nothing is held, and why was said. */
static bool keep_others_out(struct script_job *job, struct reply *reply)
{
	struct core *core = job->core;
	const char *why;
	if (job->habits->needs_all && job->isolation == BY_LOCKS)
		job->isolation = BY_GATE;
	bool held = true;
	if (job->isolation == BY_LOCKS) {
		job_add_declared(job);
		if (!job->read_only)
			lockset_wait_for_room(core, &job->set);
		held = lockset_lock_unless_busy(core, &job->set, &why);
	} else if (job->isolation == BY_GATE) {
		held = gate_close_unless_busy(core, &why);
	}
	if (held)
		return true;
	job->isolation = ONE_STEP;
	reply_error_fmt(reply, "%s", why);
	return false;
}

/* Puts back what a run has changed, and begins the one behind the gate. False: that is not to be had. */
static bool start_over(struct script_job *job, struct reply *reply)
{
	job_put_back(job);
	commit(job);
	let_others_in(job);
	job_forget_keys(job);
	job->answer.len = 0;
	job->restarts = job->wrote = job->unsaved = false;
	job->waits = true;
	job->session.db = job->client.db;
	job->isolation = BY_GATE;
	unit_begin(job);
	return keep_others_out(job, reply);
}

/* It was ended in the midst of its changes: they are undone, or the shards that have them stop before anybody sees
 * them. */
static void abandon(struct script_job *job)
{
	if (job->isolation <= BY_LOCKS && !job->unsaved && !job->told)
		job_put_back(job);
	else
		job->unit->doomed = true;
}

static void run_code(struct script_job *job, struct reply *reply)
{
	list_push_back(&jobs_of(job)->running, &job->link);
	if (job->waits)
		job->runs_ns = job->slice_ns = io_now_ns(job->core->io);
	bool goes_on = true;
	while (goes_on && !run_lua(job, reply))
		goes_on = start_over(job, reply);
	list_remove(&job->link);
	if (unlikely(job->abandoned))
		abandon(job);
	job->habits->runs++;
	job->habits->strays |= job->strayed;
}

/* False: an error was said. */
static bool find_code(struct script_job *job, struct reply *reply)
{
	if (is_call_of_function(job->command))
		return find_function(job, reply) && count_keys(job, reply);
	if (is_by_name(job->command) && job->argv[1].len != SHA1_HEX) {
		reply_error_fmt(reply, "NOSCRIPT No matching script. Please use EVAL.");
		return false;
	}
	return count_keys(job, reply) && find_script(job, reply);
}

/* How others are kept out, now that it is known what runs. */
static void choose_isolation(struct script_job *job, bool was_waiting)
{
	if (job->waits != was_waiting && job->isolation == ONE_STEP)
		job->isolation = BY_LOCKS; /* the step is over: others have run */
	if (job->habits->needs_all && job->isolation == ONE_STEP) {
		job->isolation = BY_LOCKS;
		job->waits = true;
	}
	if (job->isolation == ONE_STEP && job->n_keys > DECLARED_LOOKED_AT)
		job_add_declared(job);
}

static void run_by_itself(struct script_job *job, struct reply *reply)
{
	unit_begin(job);
	if (keep_others_out(job, reply))
		run_code(job, reply);
	commit(job);
	if (job->isolation == ONE_STEP) /* without a log nobody has yet */
		block_serve(job->core, job->core->shard, NULL, 0);
	let_others_in(job);
}

static void run_job(struct script_job *job)
{
	struct reply reply = {.ops = &record_ops, .out = &job->answer};
	bool was_waiting = job->waits, found = find_code(job, &reply);
	if (found)
		choose_isolation(job, was_waiting);
	if (found && may_begin(job, &reply)) {
		if (job->isolation == WITHIN)
			run_code(job, &reply);
		else
			run_by_itself(job, &reply);
	}
	let_code_go(job);
}

static const struct reply_ops *ops_of_script(const struct session *session) { return &record_ops; }

static void job_init(struct script_job *job, struct core *core, const struct client_view *client,
                     const struct command *command, const struct slice *argv, uint32_t argc, enum isolation isolation)
{
	uint64_t now_ns = io_now_ns(core->io);
	static const struct session_ops nobody = {.reply_ops = ops_of_script};
	*job = (struct script_job){
	        .host = job_host,
	        .core = core,
	        .command = command,
	        .argv = argv,
	        .argc = argc,
	        .client = *client,
	        .isolation = isolation,
	        .session = {.core = core,
	                    .ops = &nobody,
	                    .id = client->client_id,
	                    .db = client->db,
	                    .resp = 2,
	                    .authenticated = true,
	                    .opened_ns = core->now_ns,
	                    .active_ns = core->now_ns},
	        .began_ns = now_ns,
	        .runs_ns = now_ns,
	        .slice_ns = now_ns,
	        .set = {.core = core},
	        .waits = isolation != ONE_STEP,
	};
}

static void job_fini(struct script_job *job)
{
	lockset_fini(&job->set);
	job_forget_keys(job);
	buf_fini(&job->answer);
}

/* ---- in a batch --------------------------------------------------------------------- */

static void begin_next(struct script_jobs *jobs);

static void job_over(struct core *core, struct task *task)
{
	struct script_job *job = container_of(task, struct script_job, task);
	struct script_jobs *jobs = jobs_of(job);
	jobs->n_waiting--;
	job->on_end(job->arg, job);
	begin_next(jobs);
}

static void job_main(void *arg)
{
	struct script_job *job = arg;
	run_job(job);
	job->ended = true;
	if (job->on_end)
		core_ready(job->core, &job->task, CLASS_FOREGROUND);
}

static void begin_next(struct script_jobs *jobs)
{
	if (jobs->n_waiting >= WAITING_MAX || list_empty(&jobs->line))
		return;
	struct script_job *job = container_of(list_pop_front(&jobs->line), struct script_job, link);
	jobs->n_waiting++;
	fiber_start_deep(jobs->core, job_main, job);
}

void script_job_answer(struct script_job *job, struct reply *reply)
{
	struct core *core = job->core;
	uint32_t errors = reply->errors;
	record_say(&job->answer, reply);
	uint64_t ns = io_now_ns(core->io) - job->began_ns;
	bool failed = reply->errors != errors;
	commands_count(core, job->command, 1, ns, failed);
	slowlog_note(core, job->command, job->argv, job->argc, ns, &job->client);
	job_fini(job);
	memory_free(job);
}

struct script_job *script_begin(struct exec *exec, void (*ended)(void *arg, struct script_job *job), void *arg)
{
	struct core *core = exec->core;
	struct script_jobs *jobs = core->commands->rounds->scripts;
	bool is_full = jobs->n_waiting >= WAITING_MAX;
	bool is_free = !is_full && locks_at_rest(core->shard->locks) && !shard_is_tiered(core->shard);
	struct script_job *job = memory_alloc(sizeof(*job));
	job_init(job, core, exec->client, exec->command, exec->argv, exec->argc, is_free ? ONE_STEP : BY_LOCKS);
	job->task = (struct task){.run = job_over, .name = "script"};
	if (unlikely(is_full)) {
		list_push_back(&jobs->line, &job->link);
	} else {
		fiber_start_deep(core, job_main, job);
		if (likely(job->ended)) {
			script_job_answer(job, exec->reply);
			return NULL;
		}
		jobs->n_waiting++;
	}
	job->on_end = ended;
	job->arg = arg;
	return job;
}

/* ---- in a fiber --------------------------------------------------------------------- */

static void run_here(struct core *core, const struct client_view *client, const struct command *command,
                     const struct slice *argv, uint32_t argc, struct reply *reply, struct unit *unit)
{
	struct script_job *job = memory_alloc(sizeof(*job));
	job_init(job, core, client, command, argv, argc, unit ? WITHIN : BY_LOCKS);
	job->unit = unit;
	run_job(job);
	script_job_answer(job, reply);
}

void script_run_alone(struct core *core, const struct client_view *client, const struct command *command,
                      const struct slice *argv, uint32_t argc, struct reply *reply)
{
	run_here(core, client, command, argv, argc, reply, NULL);
}

void script_run_within(struct core *core, const struct client_view *client, const struct command *command,
                       const struct slice *argv, uint32_t argc, struct reply *reply, struct unit *unit)
{
	run_here(core, client, command, argv, argc, reply, unit);
}
