/* memory_commands.c -- MEMORY: what memory goes to. */
#include "engine/base/number.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/memory_sums.h"
#include "query/commands/rows_private.h"
#include "query/session/session.h"

/* ---- sums ------------------------------------------------------------------------- */

static void add_session(void *arg, struct session *session)
{
	struct memory_sums *sums = arg;
	size_t input = 0, output = 0;
	sums->clients += session->ops->memory(session, &input, &output);
}

static void sum_there(struct core *there, void *arg)
{
	struct memory_sums *sums = arg;
	const struct shard *shard = there->shard;
	sums->total += shard_memory(shard);
	sums->objects += shard->counters.objects_bytes;
	sums->tables += shard->counters.tables_bytes;
	sums->freeing += shard->counters.freeing;
	sums->freed += shard->counters.freed;
	for (size_t db = 0; db < array_len(shard->keyspace_of_db); db++)
		sums->keys += keyspace_count(there->shard, shard->keyspace_of_db[db]);
	session_each(there, add_session, sums);
}

static void note_peak(struct core *first, void *arg)
{
	struct memory_sums *sums = arg;
	struct rate_mark *rates = &first->commands->rates;
	if (sums->total > rates->memory_peak)
		rates->memory_peak = sums->total;
	sums->peak = rates->memory_peak;
}

struct memory_sums memory_sums_of(struct core *core)
{
	struct memory_sums sums = {0};
	commands_each_core(core, sum_there, &sums);
	fiber_call(core, 0, note_peak, &sums);
	sums.resident = os_resident_bytes();
	return sums;
}

double memory_fragmentation(const struct memory_sums *sums)
{
	return sums->total > 0 ? (double)sums->resident / (double)sums->total : 0;
}

/* ---- commands --------------------------------------------------------------------- */

/* Shard code: on the shard of the key. */
static enum err run_memory_usage(struct exec *exec)
{
	int64_t samples;
	for (uint32_t at = 3; at < exec->argc; at += 2) {
		if (!exec_is(exec, at, S("SAMPLES")) || at + 1 == exec->argc)
			return ERR_SYNTAX;
		TRY(exec_integer(exec, at + 1, &samples));
		if (samples < 0)
			return ERR_SYNTAX;
	}
	struct object *object = keyspace_find(exec->shard, &exec->first, FIND_QUIET);
	if (object)
		reply_integer(exec->reply, (int64_t)object_memory(object));
	else
		reply_null(exec->reply);
	return OK;
}

static void say_number(struct reply *reply, const char *name, uint64_t value)
{
	reply_str(reply, name);
	reply_integer(reply, (int64_t)value);
}

static void say_real(struct reply *reply, const char *name, double value)
{
	reply_str(reply, name);
	reply_real(reply, value);
}

static double percent(uint64_t part, uint64_t whole) { return whole ? 100.0 * (double)part / (double)whole : 0; }

static enum err run_memory_stats(struct exec *exec)
{
	struct memory_sums sums = memory_sums_of(exec->core);
	struct reply *reply = exec->reply;
	reply_map(reply, 13);
	say_number(reply, "peak.allocated", sums.peak);
	say_number(reply, "total.allocated", sums.total);
	say_number(reply, "startup.allocated", 0);
	say_number(reply, "replication.backlog", 0);
	say_number(reply, "clients.slaves", 0);
	say_number(reply, "clients.normal", sums.clients);
	say_number(reply, "overhead.total", sums.tables);
	say_number(reply, "keys.count", sums.keys);
	say_number(reply, "keys.bytes-per-key", sums.keys ? sums.total / sums.keys : 0);
	say_number(reply, "dataset.bytes", sums.objects);
	say_real(reply, "dataset.percentage", percent(sums.objects, sums.total));
	say_real(reply, "peak.percentage", percent(sums.total, sums.peak));
	say_real(reply, "fragmentation", memory_fragmentation(&sums));
	return OK;
}

static enum err run_memory_doctor(struct exec *exec)
{
	enum { SMALL_BYTES = 5 * 1024 * 1024 };
	struct memory_sums sums = memory_sums_of(exec->core);
	cleanup(buf_fini) struct buf out = {0};
	if (sums.total < SMALL_BYTES)
		buf_printf(&out, "The keys take so little memory that there is nothing to find out.\n");
	else if (memory_fragmentation(&sums) > 1.5)
		buf_printf(&out,
		           "The process holds %.1f times the memory of its keys: unfilled blocks, buffers of clients, "
		           "or memory that was freed and is kept for new keys. MEMORY PURGE gives some back.\n",
		           memory_fragmentation(&sums));
	else
		buf_printf(&out, "Memory is used as it should be.\n");
	if (sums.clients > sums.total / 2 && sums.total >= SMALL_BYTES)
		buf_printf(&out,
		           "Buffers of clients are large beside the keys: CLIENT LIST shows whose (omem, qbuf).\n");
	reply_verbatim(exec->reply, "txt", buf_slice(&out));
	return OK;
}

static enum err run_memory_malloc_stats(struct exec *exec)
{
	reply_bulk(exec->reply, S("Stats not supported for the current allocator"));
	return OK;
}

static void purge_there(struct core *there, void *arg) { memory_give_back(); }

static enum err run_memory_purge(struct exec *exec)
{
	fiber_call_all(exec->core, purge_there, NULL);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_memory_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "DOCTOR",
	        "    Return memory problems reports.",
	        "MALLOC-STATS",
	        "    Return internal statistics report from the memory allocator.",
	        "PURGE",
	        "    Attempt to purge dirty pages for reclamation by the allocator.",
	        "STATS",
	        "    Return information about the memory usage of the server.",
	        "USAGE <key> [SAMPLES <count>]",
	        "    Return memory in bytes used by <key> and its value. Nested values are",
	        "    sampled up to <count> times (default: 5, 0 means sample all).",
	        NULL,
	};
	return reply_help(exec, "MEMORY", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument memory_usage_args[] = {
        {"key", .type = ARG_KEY},
        {"count", "SAMPLES", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

/* clang-format off */
const struct command memory_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"DOCTOR", 2, {0}, COMMAND_FIBER, "4.0.0", "O(1)",
	 "Says in words what memory goes to, and what may be done.", run_memory_doctor,
	 .tips = "nondeterministic_output request_policy:all_shards response_policy:special"},
	{"HELP", 2, {0}, ROW_ALWAYS, "4.0.0", "O(1)", "Explains the subcommands.", run_memory_help},
	{"MALLOC-STATS", 2, {0}, 0, "4.0.0", "Depends on how much memory is allocated, could be slow",
	 "What the allocator says of itself.", run_memory_malloc_stats,
	 .tips = "nondeterministic_output request_policy:all_shards response_policy:special"},
	{"PURGE", 2, {0}, COMMAND_FIBER, "4.0.0", "Depends on how much memory is allocated, could be slow",
	 "Gives memory that is free back to the system.", run_memory_purge,
	 .tips = "request_policy:all_shards response_policy:all_succeeded"},
	{"STATS", 2, {0}, COMMAND_FIBER, "4.0.0", "O(1)", "What memory goes to.", run_memory_stats,
	 .tips = "nondeterministic_output request_policy:all_shards response_policy:special"},
	{"USAGE", -3, {2, 2, 1}, COMMAND_READ | COMMAND_COLD, "4.0.0", "O(N) where N is the number of samples.",
	 "The memory that a key and its value take.", run_memory_usage, memory_usage_args, .uses = "RO"},
	{0},
};
/* clang-format on */
