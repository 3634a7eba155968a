/* script_running.c -- the scripts that run now, for others to see and to end, and those whom they hold up. */
#include "query/session/script_private.h"

#include "engine/config/settings.h"
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "query/session/round_private.h"
#include "query/session/spread_private.h"

enum { TURN_AWAY_EVERY_NS = 1000 * 1000, PATIENCE_MS = 5000 };

static const struct script_jobs *jobs_on(const struct core *core) { return core->commands->rounds->scripts; }

/* How long a script may hold up others; 0: for ever. */
static uint64_t threshold_ns(const struct core *core)
{
	return (uint64_t)core->settings->busy_reply_threshold * 1000000u;
}

static enum script_source source_of(const struct script_job *job)
{
	return job->function ? SCRIPTS_OF_LIBRARIES : SCRIPTS_OF_EVAL;
}

static bool is_busy(const struct script_job *job)
{
	uint64_t limit_ns = threshold_ns(job->core);
	return limit_ns > 0 && io_now_ns(job->core->io) - job->runs_ns >= limit_ns;
}

const char *script_busy_text(enum script_source source)
{
	return source == SCRIPTS_OF_LIBRARIES
	               ? "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
	               : "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
}

/* ---- seeing them -------------------------------------------------------------------- */

struct search {
	enum script_source source;
	struct script_running *found;
	bool busy;
};

static void take_words(const struct script_job *job, struct script_running *out)
{
	out->name.len = out->command.len = 0;
	buf_append(&out->name, job->name);
	out->argc = job->argc;
	for (uint32_t i = 0; i < job->argc; i++) {
		uint64_t len = job->argv[i].len;
		buf_append(&out->command, slice_of(&len, sizeof(len)));
		buf_append(&out->command, job->argv[i]);
	}
}

static void look_there(struct core *there, void *arg)
{
	struct search *search = arg;
	struct script_running *found = search->found;
	list_each (link, &jobs_on(there)->running) {
		const struct script_job *job = container_of(link, struct script_job, link);
		if (source_of(job) != search->source)
			continue;
		search->busy |= is_busy(job);
		if (!found || (found->argc > 0 && found->since_ns <= job->runs_ns))
			continue;
		take_words(job, found);
		found->since_ns = job->runs_ns;
		found->ms = (io_now_ns(there->io) - job->runs_ns) / 1000000u;
	}
}

void script_find_running(struct core *core, enum script_source source, struct script_running *out)
{
	struct search search = {.source = source, .found = out};
	commands_each_core(core, look_there, &search);
}

bool script_is_busy(struct core *core, enum script_source source)
{
	struct search search = {.source = source};
	commands_each_core(core, look_there, &search);
	return search.busy;
}

/* ---- ending them -------------------------------------------------------------------- */

struct killing {
	enum script_source source;
	bool any_wrote, any_other;
	const struct script_job *found; /* that has run longest; only its core looks into it */
	uint64_t since_ns;
	uint16_t core;
	bool killed;
};

static void find_victim(struct core *there, void *arg)
{
	struct killing *killing = arg;
	list_each (link, &jobs_on(there)->running) {
		const struct script_job *job = container_of(link, struct script_job, link);
		bool is_other = source_of(job) != killing->source;
		killing->any_wrote |= job->wrote;
		killing->any_other |= is_other;
		if (is_other || job->wrote || (killing->found && killing->since_ns <= job->runs_ns))
			continue;
		killing->found = job;
		killing->since_ns = job->runs_ns;
		killing->core = there->id;
	}
}

static void kill_there(struct core *there, void *arg)
{
	struct killing *killing = arg;
	list_each (link, &jobs_on(there)->running) {
		struct script_job *job = container_of(link, struct script_job, link);
		if (job != killing->found || job->runs_ns != killing->since_ns)
			continue;
		job->killed = killing->killed = !job->wrote;
		killing->any_wrote |= job->wrote;
	}
}

void script_kill_running(struct core *core, enum script_source source, struct reply *reply)
{
	struct killing killing = {.source = source};
	enum script_source other = source == SCRIPTS_OF_EVAL ? SCRIPTS_OF_LIBRARIES : SCRIPTS_OF_EVAL;
	commands_each_core(core, find_victim, &killing);
	if (killing.found)
		fiber_call(core, killing.core, kill_there, &killing);
	if (killing.killed)
		reply_ok(reply);
	else if (killing.any_wrote)
		reply_error_fmt(reply, "UNKILLABLE Sorry the script already executed write commands against the "
		                       "dataset. You can either wait the script termination or kill the server in "
		                       "a hard way using the SHUTDOWN NOSAVE command.");
	else if (killing.any_other)
		reply_error_fmt(reply, "%s", script_busy_text(other));
	else
		reply_error_fmt(reply, "NOTBUSY No scripts in execution right now.");
}

/* The server stops: whoever has only read ends now, others may end what they do, but not for ever. */
static bool is_in_the_way(struct script_job *job)
{
	uint64_t limit_ns = threshold_ns(job->core);
	if (limit_ns == 0)
		limit_ns = PATIENCE_MS * 1000000ull;
	job->abandoned = job->wrote && io_now_ns(job->core->io) - job->runs_ns >= limit_ns;
	return !job->wrote || job->abandoned;
}

bool job_may_go_on(struct script_job *job) { return !job->killed && !(job->core->stopping && is_in_the_way(job)); }

/* ---- turning others away ------------------------------------------------------------ */

static void turn_away_part(struct core *there, struct part *part)
{
	const struct script_job *job = part->arg;
	for (uint32_t i = 0; i < part->n; i++)
		lock_turn_away(there->shard, there->shard->locks, part->keys[i].hash, script_busy_text(source_of(job)));
}

static void turn_away_there(struct core *there, void *arg)
{
	const struct script_job *job = arg;
	gate_turn_away(there->shard, there->shard->locks, script_busy_text(source_of(job)));
}

static void tell_log(const struct script_job *job)
{
	uint64_t ms = (io_now_ns(job->core->io) - job->runs_ns) / 1000000u;
	log_warning("slow script: still running after %llu milliseconds; %s ends it if it has not written. Its name is "
	            "%.*s",
	            (unsigned long long)ms, job->function ? "FUNCTION KILL" : "SCRIPT KILL", (int)job->name.len,
	            job->name.ptr);
}

void job_turn_others_away(struct script_job *job)
{
	uint64_t now_ns = io_now_ns(job->core->io);
	if (!is_busy(job) || now_ns - job->turned_away_ns < TURN_AWAY_EVERY_NS)
		return;
	if (job->turned_away_ns == 0)
		tell_log(job);
	job->turned_away_ns = now_ns;
	if (job->isolation == BY_LOCKS)
		lockset_each(job->core, &job->set, turn_away_part, job);
	else if (job->isolation > BY_LOCKS)
		fiber_call_all(job->core, turn_away_there, job);
}
