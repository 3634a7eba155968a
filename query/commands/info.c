/* info.c -- INFO: how the server is, in Redis' sections and fields.
 *
 * First everything that is asked is gathered, core after core; then it is written at one
 * go. Fields about what this server does not have are left out, unless programs that watch
 * Redis look for them: then they say what is so (no replicas, nothing being saved).
 */
#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "query/commands/commands.h"
#include "query/commands/latency.h"
#include "query/commands/memory_sums.h"
#include "query/commands/pubsub.h"
#include "query/commands/rows_private.h"
#include "query/commands/tracking.h"
#include "query/commands/version.h"
#include "query/session/round.h"
#include "query/session/script.h"
#include "query/session/session.h"
#include "storage/journal/journal.h"
#include "storage/recovery/store.h"
#include "storage/tier/tier.h"

#include <stdio.h>

enum { DATABASES = array_len(((struct shard *)NULL)->keyspace_of_db), NS_PER_S = 1000000000 };

struct database_sums {
	uint64_t keys, expiring;
	uint64_t due;  /* with fields that expire */
	double ttl_ms; /* of all expiring keys together */
};

struct info {
	struct core *core;
	const struct settings *settings;
	struct buf out;
	uint64_t sessions, subscribers, blocked;
	uint64_t changes;
	struct store_facts store;  /* zeros without a disk */
	struct log_counters log;   /* of all cores together; the same */
	struct tier_counters tier; /* the same */
	uint64_t tier_keys, tier_leaves, tier_bytes, tier_live_bytes;
	uint64_t log_backlog; /* the same */
	struct memory_sums memory;
	struct database_sums databases[DATABASES];
	struct subscription_counts channels;
	struct tracking_sums tracking;
	struct script_sums scripts;
	struct command_statistics *statistics; /* by command number */
	struct latency_histogram **latencies;  /* NULL: not asked for */
	struct error_count errors[ERROR_CODES_MAX];
	uint32_t n_errors;
	double ops_per_s, in_kb_per_s, out_kb_per_s;
};

/* ---- gathering -------------------------------------------------------------------- */

static void add_session(void *arg, struct session *session)
{
	struct info *info = arg;
	info->sessions++;
	info->blocked += session->blocked != NULL;
	info->subscribers += session->subscriptions && subscriptions_count(session) > 0;
}

static void add_databases(struct info *info, struct shard *shard)
{
	for (size_t db = 0; db < DATABASES; db++) {
		uint32_t keyspace = shard->keyspace_of_db[db];
		uint64_t expiring = keyspace_count_expiring(shard, keyspace);
		info->databases[db].keys += keyspace_count(shard, keyspace);
		info->databases[db].expiring += expiring;
		info->databases[db].due += keyspace_count_due(shard, keyspace);
		info->databases[db].ttl_ms += (double)expiring * (double)keyspace_average_ttl_ms(shard, keyspace);
	}
}

static void add_errors(struct info *info, const struct commands *commands)
{
	for (uint32_t i = 0; i < commands->n_errors; i++) {
		const struct error_count *error = &commands->errors[i];
		uint32_t at = 0;
		while (at < info->n_errors && strcmp(info->errors[at].code, error->code) != 0)
			at++;
		if (at == ERROR_CODES_MAX)
			continue;
		if (at == info->n_errors) {
			info->errors[info->n_errors] = *error;
			info->errors[info->n_errors++].n = 0;
		}
		info->errors[at].n += error->n;
	}
}

static void add_log(struct info *info, const struct shard *shard)
{
	if (!shard->journal)
		return;
	const struct log_counters *log = log_counters(journal_log(shard->journal));
	info->log_backlog += log_backlog(journal_log(shard->journal));
	info->log.records += log->records;
	info->log.frames += log->frames;
	info->log.written_bytes += log->written_bytes;
}

static void add_tier(struct info *info, const struct shard *shard)
{
	info->tier_keys += shard->counters.cold_keys;
	info->tier_leaves += shard->counters.cold_leaves;
	info->tier_bytes += shard->counters.cold_bytes;
	if (!shard->tier)
		return;
	const struct tier_counters *tier = tier_counters(shard->tier);
	info->tier.reads += tier->reads;
	info->tier.demotions += tier->demotions + tier->dropped;
	info->tier.written_bytes += tier->written_bytes;
	info->tier.cleaned_bytes += tier->cleaned_bytes;
	info->tier.lost += tier->lost;
	info->tier_live_bytes += tier_live_bytes(shard->tier);
}

static void gather_there(struct core *there, void *arg)
{
	struct info *info = arg;
	const struct commands *commands = there->commands;
	commands_sample(there);
	if (there->store)
		store_facts_here(there, there->store);
	session_each(there, add_session, info);
	info->blocked += round_postponed(there);
	add_databases(info, there->shard);
	add_log(info, there->shard);
	add_tier(info, there->shard);
	add_errors(info, commands);
	info->changes += there->shard->changes;
	for (uint32_t i = 0; i < command_count(commands->index); i++) {
		info->statistics[i].calls += commands->statistics[i].calls;
		info->statistics[i].rejected += commands->statistics[i].rejected;
		info->statistics[i].failed += commands->statistics[i].failed;
		info->statistics[i].busy_ns += commands->statistics[i].busy_ns;
	}
}

static uint64_t sum(const struct info *info, enum metric metric) { return metric_sum(info->core->machine, metric); }

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

/* Rates are those since INFO was last asked, so that no timer has to wake an idle server;
 * askers within a tenth of a second are shown the same. */
static void mark_rates(struct core *first, void *arg)
{
	struct info *info = arg;
	struct rate_mark *mark = &first->commands->rates;
	double seconds = (double)(first->now_ns - mark->at_ns) / NS_PER_S;
	uint64_t commands = sum(info, METRIC_COMMANDS), in = sum(info, METRIC_BYTES_IN),
	         out = sum(info, METRIC_BYTES_OUT);
	info->ops_per_s = per_second(commands, mark->commands, seconds);
	info->in_kb_per_s = per_second(in, mark->bytes_in, seconds) / 1024;
	info->out_kb_per_s = per_second(out, mark->bytes_out, seconds) / 1024;
	if (seconds < 0.1)
		return;
	mark->at_ns = first->now_ns;
	mark->commands = commands;
	mark->bytes_in = in;
	mark->bytes_out = out;
}

static void gather(struct info *info, struct core *core, bool with_latencies)
{
	*info = (struct info){.core = core};
	info->statistics = memory_zalloc(command_count(core->commands->index) * sizeof(*info->statistics));
	commands_each_core(core, gather_there, info);
	info->memory = memory_sums_of(core);
	info->channels = channels_count_all(core);
	info->tracking = tracking_sum(core);
	info->scripts = script_sum(core);
	if (with_latencies)
		info->latencies = latency_sums_new(core, NULL);
	fiber_call(core, 0, mark_rates, info);
	if (core->store)
		store_facts(core->store, &info->store);
	info->settings = core->settings; /* nothing waits from here on */
}

static void info_fini(struct info *info)
{
	buf_fini(&info->out);
	memory_free(info->statistics);
	if (info->latencies)
		latency_sums_free(info->core, info->latencies);
}

/* ---- fields ----------------------------------------------------------------------- */

static void number(struct info *info, const char *name, uint64_t value)
{
	buf_printf(&info->out, "%s:%llu\r\n", name, (unsigned long long)value);
}

/* As Redis: -1 for what has not happened. */
static void seconds_or_none(struct info *info, const char *name, uint64_t ns)
{
	buf_printf(&info->out, "%s:%lld\r\n", name, ns ? (long long)(ns / NS_PER_S) : -1);
}

/* How long the images have been written that are being written; -1: none are. */
static void seconds_running(struct info *info, const char *name)
{
	int64_t s = info->core->wall_us / 1000000 - info->store.image_last_s;
	buf_printf(&info->out, "%s:%lld\r\n", name, info->store.image_running ? (long long)(s > 0 ? s : 0) : -1);
}

static void text(struct info *info, const char *name, const char *value)
{
	buf_printf(&info->out, "%s:%s\r\n", name, value);
}

static void real(struct info *info, const char *name, double value)
{
	buf_printf(&info->out, "%s:%.2f\r\n", name, value);
}

static void percent(struct info *info, const char *name, uint64_t part, uint64_t whole)
{
	buf_printf(&info->out, "%s:%.2f%%\r\n", name, whole ? 100.0 * (double)part / (double)whole : 0.0);
}

static void seconds(struct info *info, const char *name, uint64_t us)
{
	buf_printf(&info->out, "%s:%llu.%06llu\r\n", name, (unsigned long long)(us / 1000000),
	           (unsigned long long)(us % 1000000));
}

/* Bytes, and again for people: "1.50M". */
static void bytes(struct info *info, const char *name, uint64_t value)
{
	static const char letters[] = "BKMGTP";
	size_t power = 0;
	double shown = (double)value;
	for (; shown >= 1024 && power < sizeof(letters) - 2; power++)
		shown /= 1024;
	number(info, name, value);
	buf_printf(&info->out, power ? "%s_human:%.2f%c\r\n" : "%s_human:%.0f%c\r\n", name, shown, letters[power]);
}

static void zeros(struct info *info, const char *const *names)
{
	for (; *names; names++)
		number(info, *names, 0);
}

/* ---- sections --------------------------------------------------------------------- */

static void section_server(struct info *info)
{
	const struct core *core = info->core;
	const struct machine *machine = core->machine;
	int64_t wall_us = core->wall_us;
	uint64_t up_s = core->now_ns > machine->started_ns ? (core->now_ns - machine->started_ns) / NS_PER_S : 0;
	text(info, "redis_version", versions.compatible);
	text(info, "redis_git_sha1", "00000000");
	number(info, "redis_git_dirty", 0);
	text(info, "redis_mode", "standalone");
	text(info, "orbit_version", versions.orbit);
	number(info, "orbit_cores", core->n_cores);
	text(info, "orbit_io", core->io->ops->name);
	text(info, "orbit_io_note", core->io->note ? core->io->note : "");
	text(info, "os", os_release());
	number(info, "arch_bits", sizeof(void *) * 8);
	text(info, "monotonic_clock", "POSIX clock_gettime");
	text(info, "multiplexing_api", core->io->ops->name);
	text(info, "gcc_version", __VERSION__);
	number(info, "process_id", (uint64_t)os_pid());
	text(info, "process_supervised", "no");
	text(info, "run_id", machine->cores[0]->commands->run_id);
	number(info, "tcp_port", (uint64_t)info->settings->resp_port);
	number(info, "server_time_usec", (uint64_t)wall_us);
	number(info, "uptime_in_seconds", up_s);
	number(info, "uptime_in_days", up_s / (24 * 60 * 60));
	number(info, "hz", 10);
	number(info, "configured_hz", 10);
	number(info, "lru_clock", (uint64_t)(wall_us / 1000000) & 0xffffff);
	text(info, "config_file", info->settings->file ? info->settings->file : "");
	number(info, "io_threads_active", 0);
}

static void section_clients(struct info *info)
{
	number(info, "connected_clients", info->sessions);
	number(info, "cluster_connections", 0);
	number(info, "maxclients", (uint64_t)info->settings->maxclients);
	number(info, "client_recent_max_input_buffer", 0);
	number(info, "client_recent_max_output_buffer", 0);
	number(info, "blocked_clients", info->blocked);
	number(info, "tracking_clients", info->tracking.clients);
	number(info, "pubsub_clients", info->subscribers);
	number(info, "clients_in_timeout_table", 0);
}

static void section_memory(struct info *info)
{
	const struct memory_sums *memory = &info->memory;
	static const char *const none[] = {"mem_not_counted_for_evict", "mem_replication_backlog", "mem_clients_slaves",
	                                   "mem_aof_buffer", NULL};
	bytes(info, "used_memory", memory->total);
	bytes(info, "used_memory_rss", memory->resident);
	bytes(info, "used_memory_peak", memory->peak);
	percent(info, "used_memory_peak_perc", memory->total, memory->peak);
	number(info, "used_memory_overhead", memory->tables);
	number(info, "used_memory_startup", 0);
	number(info, "used_memory_dataset", memory->objects);
	percent(info, "used_memory_dataset_perc", memory->objects, memory->total);
	number(info, "allocator_allocated", memory->total);
	number(info, "allocator_active", memory->resident);
	number(info, "allocator_resident", memory->resident);
	bytes(info, "total_system_memory", os_memory_total());
	bytes(info, "maxmemory", info->settings->maxmemory);
	struct buf policy = {0};
	settings_get(info->settings, setting_find(S("maxmemory-policy")), &policy);
	buf_printf(&info->out, "maxmemory_policy:%.*s\r\n", (int)policy.len, policy.ptr);
	buf_fini(&policy);
	real(info, "mem_fragmentation_ratio", memory_fragmentation(memory));
	buf_printf(&info->out, "mem_fragmentation_bytes:%lld\r\n", (long long)(memory->resident - memory->total));
	number(info, "mem_clients_normal", memory->clients);
	bytes(info, "used_memory_lua", info->scripts.lua_bytes);
	number(info, "used_memory_vm_eval", info->scripts.lua_bytes);
	number(info, "used_memory_scripts_eval", info->scripts.text_bytes);
	number(info, "number_of_cached_scripts", info->scripts.scripts);
	number(info, "number_of_functions", info->scripts.functions);
	number(info, "number_of_libraries", info->scripts.libraries);
	number(info, "used_memory_vm_functions", info->scripts.functions_lua_bytes);
	bytes(info, "used_memory_vm_total", info->scripts.lua_bytes + info->scripts.functions_lua_bytes);
	number(info, "used_memory_functions", info->scripts.functions_bytes);
	bytes(info, "used_memory_scripts", info->scripts.text_bytes + info->scripts.functions_bytes);
	zeros(info, none);
	text(info, "mem_allocator", "mimalloc");
	number(info, "active_defrag_running", 0);
	number(info, "lazyfree_pending_objects", memory->freeing);
	number(info, "lazyfreed_objects", memory->freed);
	number(info, "tier_keys", info->tier_keys);
	number(info, "tier_leaves", info->tier_leaves);
	number(info, "tier_bytes", info->tier_bytes);
	number(info, "tier_file_live_bytes", info->tier_live_bytes);
}

/* The images: nothing is forked and nothing copied on write. */
static void write_image_facts(struct info *info)
{
	static const char *const none[] = {"current_cow_peak", "current_cow_size", "current_cow_size_age", NULL};
	const struct core *core = info->core;
	const struct store_facts *store = &info->store;
	int64_t last_ok_s = store->image_last_ok_s ? store->image_last_ok_s : core->machine->started_wall_us / 1000000;
	zeros(info, none);
	real(info, "current_fork_perc", 0);
	number(info, "current_save_keys_processed", 0);
	number(info, "current_save_keys_total", 0);
	number(info, "rdb_changes_since_last_save", info->changes - store->changes_at_image);
	number(info, "rdb_bgsave_in_progress", store->image_running);
	number(info, "rdb_last_save_time", (uint64_t)last_ok_s);
	text(info, "rdb_last_bgsave_status", store->image_failed ? "err" : "ok");
	seconds_or_none(info, "rdb_last_bgsave_time_sec", store->image_last_ns);
	seconds_running(info, "rdb_current_bgsave_time_sec");
	number(info, "rdb_saves", store->images_ok);
	number(info, "rdb_last_cow_size", 0);
	number(info, "rdb_last_load_keys_expired", 0);
	number(info, "rdb_last_load_keys_loaded", store->loaded_keys);
}

/* The log; writing images is what rewrites it. */
static void write_log_facts(struct info *info)
{
	static const char *const none[] = {"aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size",
	                                   NULL};
	const struct store_facts *store = &info->store;
	bool keeps = info->core->store != NULL;
	number(info, "aof_enabled", keeps);
	number(info, "aof_rewrite_in_progress", store->image_running);
	number(info, "aof_rewrite_scheduled", 0);
	seconds_or_none(info, "aof_last_rewrite_time_sec", store->image_last_ns);
	seconds_running(info, "aof_current_rewrite_time_sec");
	text(info, "aof_last_bgrewrite_status", store->image_failed ? "err" : "ok");
	number(info, "aof_rewrites", store->images_ok);
	number(info, "aof_rewrites_consecutive_failures", store->images_failed);
	text(info, "aof_last_write_status", store->failed_cores ? "err" : "ok");
	zeros(info, none);
	if (!keeps)
		return;
	number(info, "aof_current_size", store->log_bytes);
	number(info, "aof_base_size", 0);
	number(info, "aof_pending_rewrite", 0);
	number(info, "aof_buffer_length", info->log_backlog);
	number(info, "aof_pending_bio_fsync", 0);
	number(info, "aof_delayed_fsync", 0);
}

/* Images are what Redis calls RDB, and the log is its AOF. */
static void section_persistence(struct info *info)
{
	struct buf durability = {0};
	number(info, "loading", 0); /* clients are let in when that is over */
	number(info, "async_loading", 0);
	write_image_facts(info);
	write_log_facts(info);
	settings_get(info->settings, setting_find(S("durability")), &durability);
	buf_byte(&durability, 0);
	text(info, "durability", info->core->store ? (const char *)durability.ptr : "none");
	buf_fini(&durability);
	number(info, "log_records", info->log.records);
	number(info, "log_frames", info->log.frames);
	number(info, "log_written_bytes", info->log.written_bytes);
	number(info, "log_stopped_cores", (uint64_t)info->store.failed_cores);
}

static void section_stats(struct info *info)
{
	static const char *const none[] = {"sync_full",
	                                   "sync_partial_ok",
	                                   "sync_partial_err",
	                                   "evicted_clients",
	                                   "latest_fork_usec",
	                                   "total_forks",
	                                   "migrate_cached_sockets",
	                                   "slave_expires_tracked_keys",
	                                   "unexpected_error_replies",
	                                   NULL};
	number(info, "total_connections_received", sum(info, METRIC_CONNECTIONS_ACCEPTED));
	number(info, "total_commands_processed", sum(info, METRIC_COMMANDS));
	number(info, "instantaneous_ops_per_sec", (uint64_t)info->ops_per_s);
	number(info, "total_net_input_bytes", sum(info, METRIC_BYTES_IN));
	number(info, "total_net_output_bytes", sum(info, METRIC_BYTES_OUT));
	real(info, "instantaneous_input_kbps", info->in_kb_per_s);
	real(info, "instantaneous_output_kbps", info->out_kb_per_s);
	number(info, "rejected_connections", sum(info, METRIC_CONNECTIONS_REFUSED));
	number(info, "expired_keys", sum(info, METRIC_KEYS_EXPIRED));
	number(info, "expired_subkeys", sum(info, METRIC_FIELDS_EXPIRED));
	real(info, "expired_stale_perc", 0);
	number(info, "expired_time_cap_reached_count", 0);
	number(info, "evicted_keys", sum(info, METRIC_KEYS_EVICTED));
	number(info, "keyspace_hits", sum(info, METRIC_KEYSPACE_HITS));
	number(info, "keyspace_misses", sum(info, METRIC_KEYSPACE_MISSES));
	number(info, "tier_reads", info->tier.reads);
	number(info, "tier_demotions", info->tier.demotions);
	number(info, "tier_written_bytes", info->tier.written_bytes);
	number(info, "tier_cleaned_bytes", info->tier.cleaned_bytes);
	number(info, "tier_lost_values", info->tier.lost);
	number(info, "pubsub_channels", info->channels.channels);
	number(info, "pubsub_patterns", info->channels.patterns);
	number(info, "pubsubshard_channels", info->channels.shard_channels);
	number(info, "tracking_total_keys", info->tracking.keys);
	number(info, "tracking_total_items", info->tracking.items);
	number(info, "tracking_total_prefixes", info->tracking.prefixes);
	zeros(info, none);
	number(info, "total_error_replies", sum(info, METRIC_COMMAND_ERRORS));
}

static void section_replication(struct info *info)
{
	text(info, "role", "master");
	number(info, "connected_slaves", 0);
	text(info, "master_failover_state", "no-failover");
	text(info, "master_replid", info->core->machine->cores[0]->commands->run_id);
	text(info, "master_replid2", "0000000000000000000000000000000000000000");
	number(info, "master_repl_offset", 0);
	text(info, "second_repl_offset", "-1");
	number(info, "repl_backlog_active", 0);
	number(info, "repl_backlog_size", 0);
	number(info, "repl_backlog_first_byte_offset", 0);
	number(info, "repl_backlog_histlen", 0);
}

static void section_cpu(struct info *info)
{
	uint64_t user_us, system_us;
	os_process_cpu_split(&user_us, &system_us);
	seconds(info, "used_cpu_sys", system_us);
	seconds(info, "used_cpu_user", user_us);
	seconds(info, "used_cpu_sys_children", 0);
	seconds(info, "used_cpu_user_children", 0);
	seconds(info, "orbit_cpu_spin", sum(info, METRIC_SPIN_NS) / 1000);
}

static void section_modules(struct info *info) {}

static void section_commandstats(struct info *info)
{
	const struct command_index *index = info->core->commands->index;
	for (uint32_t i = 0; i < command_count(index); i++) {
		const struct command_statistics *s = &info->statistics[i];
		if (!s->calls && !s->rejected && !s->failed)
			continue;
		double us = (double)s->busy_ns / 1000;
		buf_printf(
		        &info->out,
		        "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n",
		        command_full_name(index, command_by_number(index, i)), (unsigned long long)s->calls,
		        (unsigned long long)us, s->calls ? us / (double)s->calls : 0, (unsigned long long)s->rejected,
		        (unsigned long long)s->failed);
	}
}

static void section_errorstats(struct info *info)
{
	for (uint32_t i = 0; i < info->n_errors; i++)
		buf_printf(&info->out, "errorstat_%s:count=%llu\r\n", info->errors[i].code,
		           (unsigned long long)info->errors[i].n);
}

static double percentile_us(const struct latency_histogram *histogram, double fraction)
{
	return (double)latency_percentile(histogram, fraction) / 1000;
}

static void section_latencystats(struct info *info)
{
	const struct command_index *index = info->core->commands->index;
	for (uint32_t i = 0; i < command_count(index); i++) {
		const struct latency_histogram *histogram = info->latencies[i];
		if (histogram)
			buf_printf(&info->out, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f\r\n",
			           command_full_name(index, command_by_number(index, i)), percentile_us(histogram, 0.5),
			           percentile_us(histogram, 0.99), percentile_us(histogram, 0.999));
	}
}

static void section_cluster(struct info *info) { number(info, "cluster_enabled", 0); }

static void section_keyspace(struct info *info)
{
	for (size_t db = 0; db < DATABASES; db++) {
		const struct database_sums *sums = &info->databases[db];
		if (sums->keys > 0)
			buf_printf(&info->out, "db%zu:keys=%llu,expires=%llu,avg_ttl=%llu,subexpiry=%llu\r\n", db,
			           (unsigned long long)sums->keys, (unsigned long long)sums->expiring,
			           (unsigned long long)(sums->expiring ? sums->ttl_ms / (double)sums->expiring : 0),
			           (unsigned long long)sums->due);
	}
}

enum section_flags {
	SECTION_USUAL = 1, /* shown when nothing is asked for */
	SECTION_ALL = 2,   /* by "all" */
	SECTION_EVERYTHING = 4,
	SECTION_LATENCIES = 8 /* needs the histograms */
};

static const struct section {
	const char *name, *title;
	unsigned flags;
	void (*write)(struct info *info);
} sections[] = {
        {"server", "Server", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_server},
        {"clients", "Clients", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_clients},
        {"memory", "Memory", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_memory},
        {"persistence", "Persistence", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_persistence},
        {"stats", "Stats", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_stats},
        {"replication", "Replication", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_replication},
        {"cpu", "CPU", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_cpu},
        {"modules", "Modules", SECTION_USUAL | SECTION_EVERYTHING, section_modules},
        {"commandstats", "Commandstats", SECTION_ALL | SECTION_EVERYTHING, section_commandstats},
        {"errorstats", "Errorstats", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_errorstats},
        {"latencystats", "Latencystats", SECTION_ALL | SECTION_EVERYTHING | SECTION_LATENCIES, section_latencystats},
        {"cluster", "Cluster", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_cluster},
        {"keyspace", "Keyspace", SECTION_USUAL | SECTION_ALL | SECTION_EVERYTHING, section_keyspace},
};

static bool is_asked(const struct exec *exec, const struct section *section)
{
	for (uint32_t at = 1; at < exec->argc; at++)
		if (exec_is(exec, at, slice_from_str(section->name)) ||
		    (exec_is(exec, at, S("default")) && section->flags & SECTION_USUAL) ||
		    (exec_is(exec, at, S("all")) && section->flags & SECTION_ALL) ||
		    (exec_is(exec, at, S("everything")) && section->flags & SECTION_EVERYTHING))
			return true;
	return exec->argc == 1 && section->flags & SECTION_USUAL;
}

enum err run_info(struct exec *exec)
{
	bool asked[array_len(sections)], with_latencies = false;
	for (size_t i = 0; i < array_len(sections); i++) {
		asked[i] = is_asked(exec, &sections[i]);
		with_latencies |= asked[i] && sections[i].flags & SECTION_LATENCIES;
	}
	cleanup(info_fini) struct info info;
	gather(&info, exec->core, with_latencies);
	for (size_t i = 0; i < array_len(sections); i++) {
		if (!asked[i])
			continue;
		if (info.out.len > 0)
			buf_append(&info.out, S("\r\n"));
		buf_printf(&info.out, "# %s\r\n", sections[i].title);
		sections[i].write(&info);
	}
	reply_verbatim(exec->reply, "txt", buf_slice(&info.out));
	return OK;
}
