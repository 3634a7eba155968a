#include "query/commands/commands.h"

#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/reactor.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "query/commands/latency.h"
#include "query/commands/monitor.h"
#include "query/commands/notify.h"
#include "query/commands/pubsub.h"
#include "query/commands/slowlog.h"
#include "query/commands/tracking.h"
#include "storage/journal/journal.h"
#include "storage/recovery/store.h"
#include "storage/tier/tier.h"

#include <stdatomic.h>
#include <stdio.h>

/* ---- life ------------------------------------------------------------------------- */

enum { SAMPLE_AFTER_NS = 100 * 1000 * 1000 };

static void sample_due(struct core *core, struct timer *timer) { commands_sample(core); }

static void run_id_make(struct core *core, char out[41])
{
	uint8_t bytes[20];
	io_random(core->io, bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

struct commands *commands_new(struct core *core, const struct command_index *index)
{
	struct commands *commands = memory_zalloc(sizeof(*commands));
	commands->core = core;
	commands->index = index;
	list_init(&commands->sessions);
	commands->statistics = memory_zalloc(command_count(index) * sizeof(*commands->statistics));
	commands->slowlog = slowlog_new();
	commands->latency = latency_new(command_count(index));
	commands->channels = channels_new(core);
	commands->notifier = notifier_new(core);
	commands->tracking = tracking_new(core);
	commands->monitor = monitor_new(core);
	commands->next_keyspace = array_len(core->shard->keyspace_of_db);
	commands->rates.at_ns = core->now_ns;
	commands->sample.run = sample_due;
	run_id_make(core, commands->run_id);
	return commands;
}

void commands_free(struct commands *commands)
{
	if (!commands)
		return;
	assert(list_empty(&commands->sessions));
	/* The first version of the settings is their maker's, later ones are CONFIG SET's. */
	struct core *core = commands->core;
	timer_stop(&core->timers, &commands->sample);
	if (core->id == 0 && core->settings->version > 0) {
		settings_free((struct settings *)core->settings);
		core->settings = NULL;
	}
	monitor_free(commands->monitor);
	tracking_free(commands->tracking);
	notifier_free(commands->notifier);
	channels_free(commands->channels);
	latency_free(commands->latency);
	slowlog_free(commands->slowlog);
	memory_free(commands->statistics);
	memory_free(commands);
}

/* ---- settings --------------------------------------------------------------------- */

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t scaled(int64_t value, uint64_t unit_ns)
{
	uint64_t ns;
	return __builtin_mul_overflow((uint64_t)value, unit_ns, &ns) ? UINT64_MAX : ns;
}

static uint64_t slow_from_ns(const struct settings *settings)
{
	uint64_t slowlog_ns = settings->slowlog_log_slower_than < 0 || settings->slowlog_max_len == 0
	                              ? UINT64_MAX
	                              : scaled(settings->slowlog_log_slower_than, 1000);
	uint64_t latency_ns = settings->latency_monitor_threshold == 0
	                              ? UINT64_MAX
	                              : scaled(settings->latency_monitor_threshold, 1000 * 1000);
	return smaller(slowlog_ns, latency_ns);
}

void commands_follow_names(struct core *core, const struct keyspace_names *names)
{
	memcpy(core->shard->keyspace_of_db, names->of_db, sizeof(core->shard->keyspace_of_db));
	core->commands->next_keyspace = names->next_id;
}

void commands_follow_settings(struct core *core)
{
	const struct settings *settings = core->settings;
	struct commands *commands = core->commands;
	struct shard *shard = core->shard;
	shard->policy = (enum eviction_policy)settings->maxmemory_policy;
	shard->memory_max = settings->maxmemory / core->n_cores;
	if (settings->maxmemory > 0 && shard->memory_max == 0)
		shard->memory_max = 1; /* 0 would be no limit at all */
	shard->collections = (struct collection_settings){
	        .list_leaf = (int32_t)settings->list_max_listpack_size,
	        .list_compress_depth = (uint32_t)settings->list_compress_depth,
	        .set_integers_max = (uint32_t)settings->set_max_intset_entries,
	        .zset_packed_count = (uint64_t)settings->zset_max_listpack_entries,
	        .zset_packed_member = (uint64_t)settings->zset_max_listpack_value,
	        .hash_entries_max = (uint64_t)settings->hash_max_listpack_entries,
	        .hash_value_max = (uint64_t)settings->hash_max_listpack_value,
	        .stream_bytes = settings->stream_node_max_bytes,
	        .stream_entries = settings->stream_node_max_entries,
	};
	shard_limits_changed(shard);
	if (shard->tier)
		tier_tend(shard->tier);
	notify_tell(shard, settings->notify_keyspace_events);
	tracking_follow_settings(core);
	commands->slow_ns = slow_from_ns(settings);
	if (shard->journal)
		log_set_mode(journal_log(shard->journal), (enum log_mode)settings->durability);
	if (core->id == 0)
		atomic_store(&core->machine->log_level, settings->loglevel);
	slowlog_trim(commands->slowlog, (size_t)settings->slowlog_max_len);
}

/* ---- statistics ------------------------------------------------------------------- */

void commands_count(struct core *core, const struct command *command, uint32_t n, uint64_t ns, uint32_t n_failed)
{
	struct commands *commands = core->commands;
	uint32_t number = command_number(commands->index, command);
	struct command_statistics *statistics = &commands->statistics[number];
	statistics->calls += n;
	statistics->busy_ns += n * ns;
	statistics->failed += n_failed;
	if (unlikely(!timer_started(&commands->sample)))
		timer_start(&core->timers, &commands->sample, core->now_ns + SAMPLE_AFTER_NS);
	if (core->settings->latency_tracking)
		latency_count(commands->latency, number, n, ns);
}

void commands_count_refused(struct core *core, const struct command *command, uint32_t n)
{
	struct commands *commands = core->commands;
	commands->statistics[command_number(commands->index, command)].rejected += n;
}

static struct error_count *error_find(struct commands *commands, struct slice code)
{
	for (uint32_t i = 0; i < commands->n_errors; i++)
		if (slice_equal(code, slice_from_str(commands->errors[i].code)))
			return &commands->errors[i];
	return NULL;
}

void commands_count_error(struct core *core, struct slice text)
{
	struct commands *commands = core->commands;
	const uint8_t *space = text.len > 0 ? memchr(text.ptr, ' ', text.len) : NULL;
	struct slice code = slice_sub(text, 0, space ? (size_t)(space - text.ptr) : text.len);
	if (code.len == 0 || code.len >= sizeof(commands->errors[0].code))
		code = S("other");
	struct error_count *error = error_find(commands, code);
	if (!error && commands->n_errors >= ERROR_CODES_MAX - 1) {
		code = S("other"); /* the last place is kept for it */
		error = error_find(commands, code);
	}
	if (!error) {
		error = &commands->errors[commands->n_errors++];
		memcpy(error->code, code.ptr, code.len);
		error->code[code.len] = 0;
		error->n = 0;
	}
	error->n++;
	metric_add(core, METRIC_COMMAND_ERRORS, 1);
}

void commands_sample(struct core *core)
{
	const struct shard *shard = core->shard;
	uint64_t keys = 0;
	for (size_t db = 0; db < array_len(shard->keyspace_of_db); db++)
		keys += keyspace_count(core->shard, shard->keyspace_of_db[db]);
	metric_set(core, METRIC_KEYS, keys);
	metric_set(core, METRIC_MEMORY_KEYS, shard_memory(shard));
	metric_set(core, METRIC_KEYSPACE_HITS, shard->counters.hits);
	metric_set(core, METRIC_KEYSPACE_MISSES, shard->counters.misses);
	metric_set(core, METRIC_KEYS_EXPIRED, shard->counters.expired);
	metric_set(core, METRIC_FIELDS_EXPIRED, shard->counters.expired_elements);
	metric_set(core, METRIC_KEYS_EVICTED, shard->counters.evicted);
	metric_set(core, METRIC_FIBERS, fiber_pool_living(core->fibers));
	const struct reactor_stats *loop = reactor_stats(core);
	metric_set(core, METRIC_TURNS, loop->turns);
	metric_set(core, METRIC_SLEEPS, loop->sleeps);
	metric_set(core, METRIC_WAKES_SENT, loop->wakes);
	metric_set(core, METRIC_SPIN_NS, loop->spin_ns);
	metric_set(core, METRIC_STALLS, loop->stalls);
	metric_set(core, METRIC_LONGEST_RUN_NS, loop->run_longest_cpu_ns);
	metric_set(core, METRIC_MESSAGES_SENT, loop->messages_sent);
	metric_set(core, METRIC_MESSAGES_PARKED, loop->messages_parked);
}

void commands_each_core(struct core *core, void (*work)(struct core *there, void *arg), void *arg)
{
	for (uint16_t to = 0; to < core->n_cores; to++)
		fiber_call(core, to, work, arg);
}
