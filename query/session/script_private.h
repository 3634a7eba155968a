/* script_private.h -- one run of a script, and who shares it.
 *
 *   script.c          finds what runs, keeps others out, runs it, makes what it changed durable
 *   script_calls.c    its commands: the keys that they touch, and how they are put back
 *   script_running.c  those that run, for others to see and to end
 */
#pragma once

#include "engine/base/list.h"
#include "query/commands/command.h"
#include "query/script/state.h"
#include "query/session/functions.h"
#include "query/session/script.h"
#include "query/session/scripts.h"
#include "query/session/session.h"
#include "query/session/spread.h"
#include "query/session/unit.h"

/* How others are kept out. */
enum isolation { ONE_STEP, BY_LOCKS, BY_GATE, WITHIN };

/* A key as it was before the script changed it first. */
struct saved {
	struct saved *next;
	struct key_name *name;
	uint16_t db, core;
	bool existed;
	int64_t expires_ms;
	struct buf packed;
};

/* Names of keys that a script made up: Lua's own copies may go. */
struct key_name {
	struct key_name *next;
	struct slice name;
};

struct script_job {
	struct script_host host;
	struct core *core;
	const struct command *command;
	const struct slice *argv;
	uint32_t argc, n_keys;
	struct client_view client;
	struct session session;       /* what commands without keys see */
	struct script *script;        /* what it runs: this */
	struct function *function;    /* or this */
	struct script_habits *habits; /* of what it runs, and its name: */
	struct slice name;
	bool read_only;
	bool wrote, killed, told; /* told: somebody has heard of it, who cannot unhear */
	bool restarts;            /* it has to begin anew, by the gate */
	bool unsaved;             /* something that it changed cannot be put back */
	bool strayed;             /* it touched what it had not declared */
	bool tracked;             /* what it declared is remembered as read */
	bool abandoned;           /* the server stops in the midst of what it changes */
	enum isolation isolation;
	struct unit own_unit, *unit;
	struct lockset set; /* held BY_LOCKS; before that what it touched besides what it declared */
	struct key_name *names;
	struct saved *saved;
	uint32_t n_saved;
	uint64_t began_ns;
	uint64_t runs_ns, slice_ns; /* since when it runs, and does so without a pause */
	uint64_t turned_away_ns;    /* when those whom it holds up were last; 0: never */
	struct buf answer;          /* a record */
	bool waits;                 /* no longer in the step of its batch */
	bool ended;
	struct task task;
	void (*on_end)(void *arg, struct script_job *job);
	void *arg;
	struct link link; /* of those that run, or line up */
};

struct script_jobs {
	struct core *core;
	struct scripts *scripts;
	struct functions *functions;
	struct link running;
	struct link line; /* those that have not begun */
	uint32_t n_waiting;
};

static inline const struct slice *job_declared(const struct script_job *job) { return job->argv + 3; }

/* ---- script_calls.c ------------------------------------------------------------------ */

/* Its command finds these when it is called; see state.h. */
extern const struct script_host job_host;

enum { DECLARED_LOOKED_AT = 8 }; /* more are found in a sorted set */
void job_add_declared(struct script_job *job);

/* What it changed is as it was. */
void job_put_back(struct script_job *job);
void job_forget_keys(struct script_job *job);

/* ---- script_running.c ---------------------------------------------------------------- */

bool job_may_go_on(struct script_job *job);

/* If it has run for too long, those whom it holds up are answered that they cannot be served. Waits for other cores. */
void job_turn_others_away(struct script_job *job);
