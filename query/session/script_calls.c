/* script_calls.c -- the commands of a script: the keys that they touch, and how they are put back. */
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "query/commands/monitor.h"
#include "query/commands/tracking.h"
#include "query/script/flags.h"
#include "query/session/cold.h"
#include "query/session/roam.h"
#include "query/session/round_private.h"
#include "query/session/script_private.h"

enum {
	SLICE_NS = 200 * 1000,
	LOCK_LOOK_NS = 100 * 1000,
	SAVED_BYTES_MAX = 64 * 1024,
	SAVED_KEYS_MAX = 64,
	TRIAL_RUNS = 16, /* of a script that keeps to what it declares: then nothing is saved for a second run */
};

static const uint64_t LOCK_WAIT_MAX_NS = 10ull * 1000 * 1000 * 1000;

static void saved_free(struct script_job *job)
{
	while (job->saved) {
		struct saved *saved = job->saved;
		job->saved = saved->next;
		buf_fini(&saved->packed);
		memory_free(saved);
	}
	job->n_saved = 0;
}

static void names_free(struct script_job *job)
{
	while (job->names) {
		struct key_name *name = job->names;
		job->names = name->next;
		memory_free(name);
	}
}

void job_forget_keys(struct script_job *job)
{
	saved_free(job);
	names_free(job);
}

static struct key_name *name_keep(struct script_job *job, struct slice name)
{
	struct key_name *kept = memory_alloc(sizeof(*kept) + name.len);
	if (name.len > 0)
		memcpy(kept + 1, name.ptr, name.len);
	kept->name = slice_of(kept + 1, name.len);
	kept->next = job->names;
	job->names = kept;
	return kept;
}

/* ---- keys --------------------------------------------------------------------------- */

static bool is_declared(const struct script_job *job, struct slice name)
{
	for (uint32_t i = 0; i < job->n_keys && i < DECLARED_LOOKED_AT; i++)
		if (slice_equal(job_declared(job)[i], name))
			return true;
	return false;
}

void job_add_declared(struct script_job *job)
{
	for (uint32_t i = 0; i < job->n_keys; i++)
		lockset_add(&job->set, job->core, job_declared(job)[i]);
}

/* The keys of a command; see keys_positions(). */
struct key_list {
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n;
	int core; /* of all of them; -1: several */
};

static void keys_take(struct key_list *keys, struct core *core, const struct command *command, const struct slice *argv,
                      uint32_t argc)
{
	keys->n = keys_positions(command, argv, argc, keys->room, ROUND_KEYS_INLINE, &keys->at, &keys->owned);
	keys->core = keys->n > 0 ? core_of_slot(core, slot_of(argv[keys->at[0]])) : core->id;
	for (int i = 1; i < keys->n && keys->core >= 0; i++)
		if (core_of_slot(core, slot_of(argv[keys->at[i]])) != keys->core)
			keys->core = -1;
}

static void keys_fini(struct key_list *keys) { memory_free(keys->owned); }

/* ---- from one step to locks ----------------------------------------------------------- */

/* Nobody else has run on this shard since it began, when nothing was locked: so the locks are there to be had. */
static void leave_step(struct script_job *job)
{
	if (job->isolation != ONE_STEP)
		return;
	job_add_declared(job);
	lockset_hold(job->core, &job->set);
	job->isolation = BY_LOCKS;
	job->waits = true;
	job->own_unit.waits = job->client.waits;
}

/* ---- putting back ------------------------------------------------------------------- */

static struct key key_there(const struct core *there, const struct saved *saved)
{
	return (struct key){.name = saved->name->name,
	                    .hash = key_hash(there->shard->hash_seed, saved->name->name),
	                    .slot = slot_of(saved->name->name),
	                    .keyspace = there->shard->keyspace_of_db[saved->db]};
}

struct save_visit {
	struct saved *saved;
	bool too_large;
	struct unit *unit;
	int64_t now_ms;
};

static void save_there(struct core *there, void *arg)
{
	struct save_visit *visit = arg;
	struct saved *saved = visit->saved;
	struct key key = key_there(there, saved);
	struct object *object = keyspace_peek(there->shard, &key);
	if (!object)
		return;
	saved->existed = true;
	saved->expires_ms = object_expires_ms(object);
	visit->too_large = tier_lacks(object, &reach_all) || object_memory(object) > SAVED_BYTES_MAX;
	if (!visit->too_large)
		object_pack(object, &saved->packed);
}

static void put_back_there(struct core *there, void *arg)
{
	struct save_visit *visit = arg;
	struct saved *saved = visit->saved;
	struct key key = key_there(there, saved);
	there->shard->now_ms = visit->now_ms;
	unit_join(there, visit->unit);
	if (!saved->existed) {
		(void)keyspace_delete(there->shard, &key);
	} else {
		enum err err = object_unpack(there->shard, &key, buf_slice(&saved->packed), saved->expires_ms);
		assert(err == OK); /* packed by this very program a moment ago */
	}
	unit_leave(there, visit->unit);
}

static void on_core(struct core *core, uint16_t to, void (*work)(struct core *, void *), void *arg)
{
	if (to == core->id)
		work(core, arg);
	else
		fiber_call(core, to, work, arg);
}

static bool is_saved(const struct script_job *job, struct slice name)
{
	for (const struct saved *saved = job->saved; saved; saved = saved->next)
		if (saved->db == job->session.db && slice_equal(saved->name->name, name))
			return true;
	return false;
}

/* Before a command changes its keys. */
static void save_keys(struct script_job *job, const struct command *command, const struct slice *argv,
                      const struct key_list *keys)
{
	if (job->isolation > BY_LOCKS || job->unsaved)
		return;
	if (command->flags & COMMAND_OTHER_DB || job->n_saved + (uint32_t)keys->n > SAVED_KEYS_MAX ||
	    (job->habits->runs >= TRIAL_RUNS && !job->habits->strays)) {
		job->unsaved = true;
		saved_free(job);
		return;
	}
	for (int i = 0; i < keys->n; i++) {
		struct slice name = argv[keys->at[i]];
		if (is_saved(job, name))
			continue;
		struct saved *saved = memory_zalloc(sizeof(*saved));
		*saved = (struct saved){.next = job->saved,
		                        .name = name_keep(job, name),
		                        .db = job->session.db,
		                        .core = core_of_slot(job->core, slot_of(name))};
		job->saved = saved;
		job->n_saved++;
		struct save_visit visit = {.saved = saved};
		on_core(job->core, saved->core, save_there, &visit);
		job->unsaved |= visit.too_large;
	}
}

void job_put_back(struct script_job *job)
{
	for (struct saved *saved = job->saved; saved; saved = saved->next) {
		struct save_visit visit = {.saved = saved, .unit = job->unit, .now_ms = job->client.now_ms};
		on_core(job->core, saved->core, put_back_there, &visit);
	}
	saved_free(job);
}

static bool may_begin_anew(const struct script_job *job) { return !(job->wrote && job->unsaved) && !job->told; }

/* It cannot go on as it is: it begins anew, by the gate, if what it did can be undone. False, with the error said: that
 * cannot be, and it shall not happen again. */
static bool begin_anew(struct script_job *job, struct reply *reply)
{
	if (!may_begin_anew(job)) {
		job->habits->needs_all = true;
		reply_error_fmt(reply, "ERR Script touched a key that it had not declared, while others held it, after "
		                       "changes that cannot be undone");
		return false;
	}
	job->restarts = true;
	return true;
}

/* ---- running its commands ----------------------------------------------------------- */

struct call_there {
	struct unit *unit; /* NULL: it only reads, in one step */
	struct client_view view;
	const struct command *command;
	const struct slice *argv;
	uint32_t argc;
	struct reply *reply;
	const struct key_list *keys;
	bool admitted;
	bool cold; /* it has not run: values must be fetched */
};

static bool must_fetch(const struct core *there, const struct call_there *call)
{
	if (likely(!shard_has_cold(there->shard)) || !needs_values(call->command, call->argv, call->argc))
		return false;
	bool any = false;
	for (int i = 0; i < call->keys->n && !any; i++) {
		struct slice name = call->argv[call->keys->at[i]];
		struct key key = {.name = name,
		                  .hash = key_hash(there->shard->hash_seed, name),
		                  .slot = slot_of(name),
		                  .keyspace = there->shard->keyspace_of_db[call->view.db]};
		struct reach reach = call_reach(call->command, call->argv, call->argc, call->keys->at[i]);
		any = tier_must_fetch(there->shard, &key, &reach);
	}
	return any;
}

static void run_there(struct core *there, void *arg)
{
	struct call_there *call = arg;
	call->cold = must_fetch(there, call);
	if (unlikely(call->cold))
		return;
	struct client_view view = view_on_shard(&call->view, there->shard);
	there->shard->now_ms = view.now_ms;
	if (call->unit)
		unit_join(there, call->unit);
	call_execute(there, there->shard, &view, NULL, call->command, call->argv, call->argc, call->reply,
	             call->admitted);
	if (call->unit)
		unit_leave(there, call->unit);
}

static struct client_view view_of(struct script_job *job, uint8_t resp)
{
	struct client_view view = job->client;
	job->session.resp = resp;
	view.resp = resp;
	view.scripted = true;
	view.db = job->session.db;
	view.keyspace = job->core->shard->keyspace_of_db[view.db];
	return view;
}

static void run_on_one_shard(struct script_job *job, struct call_there *call)
{
	bool in_step = job->isolation == ONE_STEP;
	call->unit = in_step && !(call->command->flags & COMMAND_WRITE) ? NULL : job->unit;
	on_core(job->core, (uint16_t)call->keys->core, run_there, call);
	if (likely(!call->cold))
		return;
	struct lockset cold = {.core = job->core};
	for (int i = 0; i < call->keys->n; i++)
		lockset_add_for(&cold, job->core, call->command, call->argv, call->argc, call->keys->at[i]);
	lockset_warm(job->core, &cold, call->view.db);
	on_core(job->core, (uint16_t)call->keys->core, run_there, call);
	lockset_fini(&cold);
}

/* Takes the lock of a key that was not declared. Who cannot begin anew waits for it: mostly its holder needs but a
 * moment, and who wait for what the script holds are turned away in time. Two scripts that wait for each other do so
 * in vain. */
static bool take_key(struct script_job *job, struct slice name)
{
	struct core *core = job->core;
	name = name_keep(job, name)->name;
	bool has = lockset_try(core, &job->set, name);
	for (uint64_t waited_ns = 0; !has && !may_begin_anew(job) && waited_ns < LOCK_WAIT_MAX_NS;
	     waited_ns += LOCK_LOOK_NS) {
		fiber_sleep(core, LOCK_LOOK_NS);
		job_turn_others_away(job);
		has = lockset_try(core, &job->set, name);
	}
	return has;
}

/* May the script have these keys? False: it begins anew, or an error was said. */
static bool have_keys(struct script_job *job, const struct slice *argv, const struct key_list *keys,
                      struct reply *reply, bool *out_restarts)
{
	if (job->isolation > BY_LOCKS)
		return true;
	bool stays_here = job->isolation == ONE_STEP && keys->core == job->core->id;
	for (int i = 0; i < keys->n; i++) {
		struct slice name = argv[keys->at[i]];
		if (is_declared(job, name))
			continue;
		if (stays_here) {
			if (!lockset_has(&job->set, job->core, name))
				lockset_add(&job->set, job->core, name_keep(job, name)->name);
			continue;
		}
		leave_step(job);
		if (lockset_has(&job->set, job->core, name))
			continue;
		job->strayed = true;
		if (!take_key(job, name)) {
			*out_restarts = begin_anew(job, reply);
			return false;
		}
	}
	if (!stays_here)
		leave_step(job);
	return true;
}

static void track_there(struct core *there, void *arg)
{
	const struct script_job *job = arg;
	for (uint32_t i = 0; i < job->n_keys; i++) {
		struct slice name = job_declared(job)[i];
		if (core_of_slot(there, slot_of(name)) == there->id)
			tracking_read(there, &job->client, key_hash(there->shard->hash_seed, name), name);
	}
}

/* A script that reads any key counts as having read those that it declared, as in Redis. */
static void track_declared(struct script_job *job)
{
	uint64_t seen[(CORES_MAX + 63) / 64] = {0};
	job->tracked = true;
	for (uint32_t i = 0; i < job->n_keys; i++) {
		uint16_t to = core_of_slot(job->core, slot_of(job_declared(job)[i]));
		if (seen[to / 64] >> to % 64 & 1)
			continue;
		seen[to / 64] |= 1ull << to % 64;
		on_core(job->core, to, track_there, job);
	}
}

/* Does it look at all keys, or change them? */
static bool is_on_all(const struct command *command)
{
	bool reads_all = command->flags & COMMAND_FIBER && command->flags & (COMMAND_READ | COMMAND_WRITE);
	return command->flags & COMMAND_ALL_SLOTS || reads_all;
}

/* False: the script begins anew. */
static bool run_on_keys(struct script_job *job, const struct command *command, const struct slice *argv, uint32_t argc,
                        uint8_t resp, struct reply *reply)
{
	struct key_list keys;
	bool restarts = false, roams = command->roams && command->roams(job->core, argv, argc);
	if (roams && job->isolation < BY_GATE) {
		job->habits->needs_all = true;
		return !begin_anew(job, reply);
	}
	keys_take(&keys, job->core, command, argv, argc);
	bool has = have_keys(job, argv, &keys, reply, &restarts);
	if (has) {
		if (command->flags & COMMAND_WRITE)
			save_keys(job, command, argv, &keys);
		struct call_there call = {.view = view_of(job, resp),
		                          .command = command,
		                          .argv = argv,
		                          .argc = argc,
		                          .reply = reply,
		                          .keys = &keys};
		call.admitted = job->wrote || job->habits->flags & SCRIPT_ALLOW_OOM;
		if (unlikely(roams))
			roam_within(job->core, &call.view, command, argv, argc, reply, job->unit);
		else if (likely(keys.core >= 0))
			run_on_one_shard(job, &call);
		else
			spread_execute(job->core, &call.view, command, argv, argc, reply, job->unit);
		job->wrote |= (command->flags & COMMAND_WRITE) != 0;
		if (unlikely(job->client.tracks & TRACKS_READS) && command->flags & COMMAND_READ && !job->tracked)
			track_declared(job);
		if (unlikely(job->core->commands->monitored))
			monitor_show_scripted(job->core, call.view.db, command, argv, argc);
	}
	keys_fini(&keys);
	return !restarts;
}

static bool run_without_keys(struct script_job *job, const struct command *command, const struct slice *argv,
                             uint32_t argc, uint8_t resp, struct reply *reply)
{
	struct core *core = job->core;
	if (is_on_all(command) && job->isolation < BY_GATE) {
		job->habits->needs_all = true;
		return !begin_anew(job, reply);
	}
	if (command->flags & COMMAND_FIBER)
		leave_step(job);
	struct client_view view = view_of(job, resp);
	job->told |= (command->flags & COMMAND_MAY_REPLICATE) != 0;
	job->wrote |= (command->flags & COMMAND_WRITE) != 0;
	core->shard->now_ms = view.now_ms;
	job->session.unit = job->unit;
	call_execute(core, core->shard, &view, &job->session, command, argv, argc, reply, true);
	job->session.unit = NULL;
	if (unlikely(core->commands->monitored))
		monitor_show_scripted(core, job->session.db, command, argv, argc);
	return true;
}

static const struct command *find_command(const struct script_job *job, const struct slice *argv, uint32_t argc)
{
	return command_resolve(job->core->commands->index, argv, argc, NULL);
}

static const char *why_unknown(const struct script_job *job, const struct slice *argv, uint32_t argc)
{
	const struct command *parent = command_find(job->core->commands->index, argv[0]);
	const struct command *row = parent ? parent->subcommands : NULL;
	while (row && argc > 1 && row->name && !slice_equal_nocase(argv[1], slice_from_str(row->name)))
		row++;
	return parent && (!row || row->name) ? "Wrong number of args calling Redis command from script"
	                                     : "Unknown Redis command called from script";
}

/* Why a script may not run this; NULL: it may. */
static const char *why_not(const struct script_job *job, const struct command *command, const struct slice *argv,
                           uint32_t argc)
{
	if (!command)
		return why_unknown(job, argv, argc);
	if (command->flags & COMMAND_NO_SCRIPT)
		return "This Redis command is not allowed from script";
	if (job->read_only && command->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE))
		return "Write commands are not allowed from read-only scripts.";
	return NULL;
}

static bool host_call(struct script_host *host, const struct slice *argv, uint32_t argc, uint8_t resp,
                      struct reply *reply)
{
	struct script_job *job = container_of(host, struct script_job, host);
	const struct command *command = find_command(job, argv, argc);
	const char *why = why_not(job, command, argv, argc);
	if (unlikely(why)) {
		const struct command *named = command ? command : command_find(job->core->commands->index, argv[0]);
		if (named && named->run)
			commands_count_refused(job->core, named, 1);
		reply_error_fmt(reply, "ERR %s", why);
		return true;
	}
	bool on_keys =
	        !(command->flags & COMMAND_FIBER) && (command->keys.first > 0 || command->flags & COMMAND_MOVABLE_KEYS);
	return on_keys ? run_on_keys(job, command, argv, argc, resp, reply)
	               : run_without_keys(job, command, argv, argc, resp, reply);
}

static bool host_knows(struct script_host *host, const struct slice *argv, uint32_t argc)
{
	return find_command(container_of(host, struct script_job, host), argv, argc) != NULL;
}

static bool host_go_on(struct script_host *host)
{
	struct script_job *job = container_of(host, struct script_job, host);
	uint64_t now_ns = io_now_ns(job->core->io);
	if (now_ns - job->slice_ns >= SLICE_NS) {
		leave_step(job);
		job_turn_others_away(job);
		fiber_yield(job->core);
		job->slice_ns = io_now_ns(job->core->io);
	}
	return job_may_go_on(job);
}

static void host_log(struct script_host *host, int level, struct slice text) { script_log(level, text); }

const struct script_host job_host = {
        .call = host_call,
        .go_on = host_go_on,
        .log = host_log,
        .knows = host_knows,
};
