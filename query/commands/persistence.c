/* persistence.c -- images and whole databases: what commands say about data on disk.
 *
 * FLUSHDB gives a database a new keyspace id and frees what the old one named in the
 * background; SWAPDB exchanges two ids. Both happen behind the gate, on every shard, so
 * that no command sees some shards changed and others not; and the names are durable
 * before the gate opens. Ids are core 0's to give.
 */
#include "engine/base/number.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/rows_private.h"
#include "query/commands/tracking.h"
#include "query/session/gate.h"
#include "query/session/session.h"
#include "query/session/unit.h"
#include "storage/keyspace/waits.h"
#include "storage/keyspace/watch.h"
#include "storage/recovery/store.h"

#include <errno.h>
#include <limits.h>

enum { DATABASES = array_len(((struct shard *)NULL)->keyspace_of_db) };

/* ---- names of keyspaces ----------------------------------------------------------- */

/* What the numbers of databases stand for, before and after. */
struct renaming {
	struct keyspace_names names; /* after */
	uint32_t fresh;              /* bit for each database that gets a new keyspace */
	bool now;                    /* free at once what no number stands for any more */
	uint32_t one, other;         /* keyspaces that change places; equal: none do */
};

static void take_ids(struct core *first, void *arg)
{
	struct renaming *renaming = arg;
	for (int db = 0; db < DATABASES; db++)
		if (renaming->fresh & 1u << db)
			renaming->names.of_db[db] = first->commands->next_keyspace++;
	renaming->names.next_id = first->commands->next_keyspace;
}

static void follow(struct shard *shard, uint32_t one, uint32_t other)
{
	watches_follow(shard, one, other);
	waits_follow(shard, one, other);
}

static void rename_there(struct core *there, void *arg)
{
	const struct renaming *renaming = arg;
	struct shard *shard = there->shard;
	/* In one step with the names: WATCH does not stop at the gate. */
	if (renaming->one != renaming->other)
		follow(shard, renaming->one, renaming->other);
	for (int db = 0; db < DATABASES; db++) {
		uint32_t old = shard->keyspace_of_db[db], new = renaming->names.of_db[db];
		if (!(renaming->fresh & 1u << db)) {
			shard->keyspace_of_db[db] = new;
			continue;
		}
		shard->changes += keyspace_count(shard, old);
		follow(shard, old, new);
		shard->keyspace_of_db[db] = new;
		keyspace_drop(shard, old, renaming->now);
	}
	tracking_all_changed(there);
}

struct naming {
	struct store *store;
	struct unit *unit;
	const struct keyspace_names *names;
	bool admitted; /* with the rest of a transaction, before any of it ran */
	enum err err;
};

static void name_there(struct core *first, void *arg)
{
	struct naming *naming = arg;
	naming->err = naming->admitted ? OK : shard_refuses(first->shard, SHARD_FREES);
	if (naming->err != OK)
		return;
	unit_join(first, naming->unit);
	store_collect_names(naming->store, naming->names, unit_changes(first, naming->unit));
	unit_leave(first, naming->unit);
}

/* Inside MULTI the names count with the rest of the transaction, else by themselves. Whatever the client waits for,
 * the gate does not open before they are durable: keys that come after them lie in other logs. */
static enum err make_durable(struct exec *exec, const struct keyspace_names *names)
{
	struct core *core = exec->core;
	struct unit own, *unit = exec->session->unit;
	struct naming naming = {.store = core->store, .names = names, .unit = unit ? unit : &own,
	                        .admitted = unit != NULL};
	if (!core->store)
		return OK;
	if (!unit)
		unit_init(&own, core, true);
	naming.unit->waits = naming.unit->renames = true;
	fiber_call(core, 0, name_there, &naming);
	if (unit)
		return naming.err;
	enum err err = naming.err == OK ? unit_commit(&own) : naming.err;
	unit_fini(&own);
	return err;
}

/* Behind the gate. */
static enum err rename_keyspaces(struct exec *exec, struct renaming *renaming)
{
	fiber_call(exec->core, 0, take_ids, renaming);
	TRY(make_durable(exec, &renaming->names));
	fiber_call_all(exec->core, rename_there, renaming);
	return OK;
}

static void look_at_room(struct core *there, void *arg)
{
	_Atomic bool *short_of_room = arg;
	if (there->shard->journal && log_room(journal_log(there->shard->journal)) != LOG_ROOM_YES)
		*short_of_room = true;
}

/* Images of what is left let go of the files that all the rest lay in. */
static void free_room(struct core *core)
{
	_Atomic bool short_of_room = false;
	if (core->store)
		fiber_call_all(core, look_at_room, &short_of_room);
	if (short_of_room)
		(void)store_image_start(core, core->store);
}

/* False: a script is in the way, which was said. */
static bool close_gate(struct exec *exec)
{
	const char *why;
	bool closed = gate_close_unless_busy(exec->core, &why);
	if (!closed)
		reply_error_fmt(exec->reply, "%s", why);
	return closed;
}

static enum err flush(struct exec *exec, uint16_t first, uint16_t last)
{
	struct renaming renaming = {.now = exec->argc == 2 && exec_is(exec, 1, S("SYNC"))};
	if (exec->argc > 2 || (exec->argc == 2 && !renaming.now && !exec_is(exec, 1, S("ASYNC"))))
		return ERR_SYNTAX;
	for (uint16_t db = first; db <= last; db++)
		renaming.fresh |= 1u << db;
	if (!close_gate(exec))
		return OK;
	memcpy(renaming.names.of_db, exec->core->shard->keyspace_of_db, sizeof(renaming.names.of_db));
	enum err err = rename_keyspaces(exec, &renaming);
	gate_open(exec->core);
	TRY(err);
	free_room(exec->core);
	reply_ok(exec->reply);
	return OK;
}

enum err run_flushdb(struct exec *exec) { return flush(exec, exec->client->db, exec->client->db); }
enum err run_flushall(struct exec *exec) { return flush(exec, 0, DATABASES - 1); }

static bool is_database(int64_t number) { return number >= 0 && number < DATABASES; }

/* What a C int cannot hold is no number to SWAPDB. */
static bool read_int(struct slice word, int64_t *out)
{
	return integer_parse(word, out) && *out >= INT_MIN && *out <= INT_MAX;
}

static void count_change(struct core *there, void *arg) { there->shard->changes++; }

/* Behind the gate, which it opens. */
static enum err swap(struct exec *exec, int64_t one, int64_t other)
{
	struct renaming renaming = {0};
	uint32_t *of_db = renaming.names.of_db;
	memcpy(of_db, exec->core->shard->keyspace_of_db, sizeof(renaming.names.of_db));
	renaming.one = of_db[one];
	renaming.other = of_db[other];
	of_db[one] = renaming.other;
	of_db[other] = renaming.one;
	enum err err = rename_keyspaces(exec, &renaming);
	if (err == OK)
		fiber_call_all(exec->core, count_change, NULL);
	gate_open(exec->core);
	return err;
}

enum err run_swapdb(struct exec *exec)
{
	int64_t one, other;
	const char *wrong = NULL;
	if (!read_int(exec->argv[1], &one))
		wrong = "invalid first DB index";
	else if (!read_int(exec->argv[2], &other))
		wrong = "invalid second DB index";
	if (wrong) {
		reply_error_fmt(exec->reply, "ERR %s", wrong);
		return OK;
	}
	if (!is_database(one) || !is_database(other))
		return ERR_DB_INDEX;
	if (!close_gate(exec))
		return OK;
	TRY(swap(exec, one, other));
	reply_ok(exec->reply);
	return OK;
}

/* ---- images ----------------------------------------------------------------------- */

static bool keeps_data(struct exec *exec)
{
	if (exec->core->store)
		return true;
	reply_error_fmt(exec->reply, "ERR this server keeps nothing on disk (setting persist)");
	return false;
}

static enum err say_busy(struct exec *exec)
{
	reply_error_fmt(exec->reply, "ERR Background save already in progress");
	return OK;
}

enum err run_save(struct exec *exec)
{
	if (!keeps_data(exec))
		return OK;
	int result = store_image(exec->core, exec->core->store);
	if (result == -EBUSY)
		return say_busy(exec);
	if (result < 0)
		reply_error_fmt(exec->reply, "ERR Images could not be written: %s", strerror(-result));
	else
		reply_ok(exec->reply);
	return OK;
}

/* Redis begins none before a transaction ends, and says so. Here images are begun at once, and wait for it. */
static bool is_in_exec(const struct exec *exec) { return exec->session->unit != NULL; }

enum err run_bgsave(struct exec *exec)
{
	if (exec->argc > 2 || (exec->argc == 2 && !exec_is(exec, 1, S("SCHEDULE"))))
		return ERR_SYNTAX;
	if (!keeps_data(exec))
		return OK;
	if (!store_image_start(exec->core, exec->core->store))
		return say_busy(exec);
	reply_simple(exec->reply, is_in_exec(exec) ? S("Background saving scheduled") : S("Background saving started"));
	return OK;
}

/* The log is rewritten by writing images. */
enum err run_bgrewriteaof(struct exec *exec)
{
	if (!keeps_data(exec))
		return OK;
	if (store_image_start(exec->core, exec->core->store))
		reply_simple(exec->reply, is_in_exec(exec) ? S("Background append only file rewriting scheduled")
		                                           : S("Background append only file rewriting started"));
	else
		reply_error_fmt(exec->reply, "ERR Background append only file rewriting already in progress");
	return OK;
}

/* Without an image yet, or without a disk: as Redis, this says when the server started. */
enum err run_lastsave(struct exec *exec)
{
	int64_t at_s = exec->core->machine->started_wall_us / 1000000;
	if (exec->core->store) {
		struct store_facts facts;
		store_facts(exec->core->store, &facts);
		at_s = facts.image_last_ok_s ? facts.image_last_ok_s : at_s;
	}
	reply_integer(exec->reply, at_s);
	return OK;
}

/* ---- waiting for the device ------------------------------------------------------- */

static void look_there(struct core *there, void *arg)
{
	_Atomic bool *durable = arg;
	struct journal *journal = there->shard->journal;
	if (!journal || log_failed(journal_log(journal)) || journal_rests_on_all(journal) > 0)
		*durable = false;
}

bool durability_reached(struct core *core)
{
	_Atomic bool durable = core->store != NULL;
	if (durable)
		fiber_call_all(core, look_there, &durable);
	return durable;
}

static const uint64_t ns_per_ms = 1000000, forever_ms = 1ull << 40;

/* Between who waits and the fiber that does it for him: whoever comes last frees it. */
struct patience {
	struct core *core;
	struct fiber *waiter; /* NULL: gone */
	struct timer timer;
	bool ended;
	enum err err;
};

static void out_of_patience(struct core *core, struct timer *timer)
{
	fiber_wake(core, container_of(timer, struct patience, timer)->waiter);
}

static void wait_patiently(void *arg)
{
	struct patience *patience = arg;
	patience->err = unit_wait_everywhere(patience->core);
	patience->ended = true;
	if (!patience->waiter) {
		memory_free(patience);
	} else if (timer_started(&patience->timer)) { /* else it has woken the waiter already */
		timer_stop(&patience->core->timers, &patience->timer);
		fiber_wake(patience->core, patience->waiter);
	}
}

static enum err wait_at_most(struct core *core, uint64_t timeout_ms, bool *out)
{
	struct patience *patience = memory_zalloc(sizeof(*patience));
	patience->core = core;
	patience->waiter = fiber_self(core);
	patience->timer.run = out_of_patience;
	timer_start(&core->timers, &patience->timer, core->now_ns + timeout_ms * ns_per_ms);
	fiber_start(core, wait_patiently, patience);
	fiber_wait(core);
	timer_stop(&core->timers, &patience->timer);
	*out = patience->ended;
	if (!patience->ended) {
		patience->waiter = NULL;
		return OK;
	}
	enum err err = patience->err;
	memory_free(patience);
	return err;
}

enum err durability_wait(struct core *core, uint64_t timeout_ms, bool *out)
{
	if (timeout_ms > 0 && timeout_ms < forever_ms)
		return wait_at_most(core, timeout_ms, out);
	TRY(unit_wait_everywhere(core));
	*out = true;
	return OK;
}
