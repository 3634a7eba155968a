/* latency.c -- LATENCY: histograms of commands, spikes and what they say. */
#include "query/commands/latency.h"

#include "engine/base/list.h"
#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/rows_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVENTS_MAX = 8, SAMPLES_MAX = 160 };

struct sample {
	int64_t at_s;
	uint64_t ms;
};

/* The slow moments of one kind of event; a ring. */
struct series {
	const char *event; /* a const text */
	uint32_t n, at;    /* samples; where the next goes */
	uint64_t ms_max;   /* ever */
	struct sample samples[SAMPLES_MAX];
};

struct latency {
	uint32_t n_commands;
	struct latency_histogram **histograms; /* by number; NULL: never ran */
	uint32_t n_events;
	struct series *events[EVENTS_MAX];
};

struct latency *latency_new(uint32_t n_commands)
{
	struct latency *latency = memory_zalloc(sizeof(*latency));
	latency->n_commands = n_commands;
	latency->histograms = memory_zalloc(n_commands * sizeof(*latency->histograms));
	return latency;
}

void latency_free(struct latency *latency)
{
	if (!latency)
		return;
	latency_forget_counts(latency);
	memory_free(latency->histograms);
	for (uint32_t i = 0; i < latency->n_events; i++)
		memory_free(latency->events[i]);
	memory_free(latency);
}

/* ---- histograms ------------------------------------------------------------------- */

/* Steps below 8 ns are the value itself; from there on eight steps double it. */
static uint32_t bucket_of(uint64_t ns)
{
	if (ns < LATENCY_STEPS)
		return (uint32_t)ns;
	unsigned power = 63 - (unsigned)__builtin_clzll(ns);
	uint64_t bucket = (power - 2) * LATENCY_STEPS + (ns >> (power - 3)) % LATENCY_STEPS;
	return bucket < LATENCY_BUCKETS ? (uint32_t)bucket : LATENCY_BUCKETS - 1;
}

/* The greatest duration that falls in a bucket. */
static uint64_t bucket_top_ns(uint32_t bucket)
{
	if (bucket < LATENCY_STEPS)
		return bucket;
	unsigned power = bucket / LATENCY_STEPS + 2;
	uint64_t step = bucket % LATENCY_STEPS + LATENCY_STEPS;
	return ((step + 1) << (power - 3)) - 1;
}

void latency_count(struct latency *latency, uint32_t number, uint32_t n, uint64_t ns)
{
	struct latency_histogram *histogram = latency->histograms[number];
	if (unlikely(!histogram))
		histogram = latency->histograms[number] = memory_zalloc(sizeof(*histogram));
	histogram->n += n;
	histogram->counts[bucket_of(ns)] += n;
}

void latency_forget_counts(struct latency *latency)
{
	for (uint32_t i = 0; i < latency->n_commands; i++) {
		memory_free(latency->histograms[i]);
		latency->histograms[i] = NULL;
	}
}

uint64_t latency_percentile(const struct latency_histogram *histogram, double fraction)
{
	uint64_t wanted = (uint64_t)ceil((double)histogram->n * fraction), seen = 0;
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen >= wanted && seen > 0)
			return bucket_top_ns(i);
	}
	return 0;
}

/* ---- spikes ----------------------------------------------------------------------- */

static struct series *series_find(const struct latency *latency, struct slice event)
{
	for (uint32_t i = 0; i < latency->n_events; i++)
		if (slice_equal(event, slice_from_str(latency->events[i]->event)))
			return latency->events[i];
	return NULL;
}

void latency_event(struct core *core, const char *event, uint64_t ms)
{
	struct latency *latency = core->commands->latency;
	struct series *series = series_find(latency, slice_from_str(event));
	if (!series) {
		assert(latency->n_events < EVENTS_MAX);
		series = latency->events[latency->n_events++] = memory_zalloc(sizeof(*series));
		series->event = event;
	}
	if (ms > series->ms_max)
		series->ms_max = ms;
	int64_t now_s = core->wall_us / 1000000;
	struct sample *last = &series->samples[(series->at + SAMPLES_MAX - 1) % SAMPLES_MAX];
	if (series->n > 0 && last->at_s == now_s) {
		last->ms = ms > last->ms ? ms : last->ms;
		return;
	}
	series->samples[series->at] = (struct sample){now_s, ms};
	series->at = (series->at + 1) % SAMPLES_MAX;
	if (series->n < SAMPLES_MAX)
		series->n++;
}

/* The series of all cores as one: for each second the slowest. */
struct merged {
	const char *event;
	uint64_t ms_max;
	size_t n;
	struct sample *samples; /* oldest first */
};

struct merging {
	struct merged events[EVENTS_MAX];
	uint32_t n_events;
};

static struct merged *merged_find(struct merging *merging, struct slice event)
{
	for (uint32_t i = 0; i < merging->n_events; i++)
		if (slice_equal(event, slice_from_str(merging->events[i].event)))
			return &merging->events[i];
	return NULL;
}

static void merge_there(struct core *there, void *arg)
{
	struct merging *merging = arg;
	const struct latency *latency = there->commands->latency;
	for (uint32_t i = 0; i < latency->n_events; i++) {
		const struct series *series = latency->events[i];
		struct merged *merged = merged_find(merging, slice_from_str(series->event));
		if (!merged) {
			merged = &merging->events[merging->n_events++];
			merged->event = series->event;
			merged->samples = memory_alloc(there->n_cores * SAMPLES_MAX * sizeof(struct sample));
		}
		merged->ms_max = series->ms_max > merged->ms_max ? series->ms_max : merged->ms_max;
		for (uint32_t j = 0; j < series->n; j++)
			merged->samples[merged->n++] = series->samples[j];
	}
}

static int oldest_first(const void *a, const void *b)
{
	const struct sample *one = a, *other = b;
	return (one->at_s > other->at_s) - (one->at_s < other->at_s);
}

static void seconds_once(struct merged *merged)
{
	size_t n = 0;
	qsort(merged->samples, merged->n, sizeof(*merged->samples), oldest_first);
	for (size_t i = 0; i < merged->n; i++) {
		struct sample sample = merged->samples[i];
		if (n > 0 && merged->samples[n - 1].at_s == sample.at_s) {
			if (sample.ms > merged->samples[n - 1].ms)
				merged->samples[n - 1].ms = sample.ms;
		} else {
			merged->samples[n++] = sample;
		}
	}
	size_t dropped = n > SAMPLES_MAX ? n - SAMPLES_MAX : 0;
	merged->n = n - dropped;
	memmove(merged->samples, merged->samples + dropped, merged->n * sizeof(*merged->samples));
}

static void merge(struct core *core, struct merging *out)
{
	*out = (struct merging){0};
	commands_each_core(core, merge_there, out);
	for (uint32_t i = 0; i < out->n_events; i++)
		seconds_once(&out->events[i]);
}

static void merging_fini(struct merging *merging)
{
	for (uint32_t i = 0; i < merging->n_events; i++)
		memory_free(merging->events[i].samples);
}

/* ---- showing spikes --------------------------------------------------------------- */

static enum err run_latency_latest(struct exec *exec)
{
	cleanup(merging_fini) struct merging merging;
	struct reply *reply = exec->reply;
	merge(exec->core, &merging);
	reply_array(reply, merging.n_events);
	for (uint32_t i = 0; i < merging.n_events; i++) {
		const struct merged *merged = &merging.events[i];
		const struct sample *last = &merged->samples[merged->n - 1];
		reply_array(reply, 4);
		reply_str(reply, merged->event);
		reply_integer(reply, last->at_s);
		reply_integer(reply, (int64_t)last->ms);
		reply_integer(reply, (int64_t)merged->ms_max);
	}
	return OK;
}

static enum err run_latency_history(struct exec *exec)
{
	cleanup(merging_fini) struct merging merging;
	merge(exec->core, &merging);
	const struct merged *merged = merged_find(&merging, exec->argv[2]);
	reply_array(exec->reply, merged ? merged->n : 0);
	for (size_t i = 0; merged && i < merged->n; i++) {
		reply_array(exec->reply, 2);
		reply_integer(exec->reply, merged->samples[i].at_s);
		reply_integer(exec->reply, (int64_t)merged->samples[i].ms);
	}
	return OK;
}

struct forgetting {
	const struct slice *events;
	uint32_t n; /* 0: all */
};

static bool is_named(const struct forgetting *forgetting, const char *event)
{
	for (uint32_t i = 0; i < forgetting->n; i++)
		if (slice_equal_nocase(forgetting->events[i], slice_from_str(event)))
			return true;
	return forgetting->n == 0;
}

static void forget_there(struct core *there, void *arg)
{
	struct latency *latency = there->commands->latency;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < latency->n_events; i++) {
		if (is_named(arg, latency->events[i]->event))
			memory_free(latency->events[i]);
		else
			latency->events[kept++] = latency->events[i];
	}
	latency->n_events = kept;
}

static enum err run_latency_reset(struct exec *exec)
{
	cleanup(merging_fini) struct merging merging;
	struct forgetting forgetting = {exec->argv + 2, exec->argc - 2};
	merge(exec->core, &merging);
	int64_t n = 0;
	for (uint32_t i = 0; i < merging.n_events; i++)
		n += is_named(&forgetting, merging.events[i].event);
	commands_each_core(exec->core, forget_there, &forgetting);
	reply_integer(exec->reply, n);
	return OK;
}

/* ---- pictures and words ----------------------------------------------------------- */

enum { GRAPH_ROWS = 4, GRAPH_RULE = 80 };

static void append_age(struct buf *out, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;
	while (i < array_len(units) - 1 && seconds < units[i].seconds)
		i++;
	buf_printf(out, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

/* Each sample is a column, three marks high in each row: "_", "o", "#". */
static void append_columns(struct buf *out, const struct merged *merged, uint64_t low, uint64_t high)
{
	static const char marks[] = "_o#";
	double range = high > low ? (double)(high - low) : 1;
	for (int row = GRAPH_ROWS - 1; row >= 0; row--) {
		for (size_t i = 0; i < merged->n; i++) {
			double part = (double)(merged->samples[i].ms - low) / range;
			int level = (int)(part * (GRAPH_ROWS * 3 - 1)) - row * 3;
			buf_byte(out, level < 0 ? ' ' : level > 2 ? '|' : (uint8_t)marks[level]);
		}
		buf_byte(out, '\n');
	}
}

/* The age of each sample, read downwards. */
static void append_ages(struct buf *out, const struct merged *merged, int64_t now_s)
{
	enum { AGE_ROWS = 4 };
	buf_byte(out, '\n');
	for (size_t row = 0; row < AGE_ROWS; row++) {
		for (size_t i = 0; i < merged->n; i++) {
			struct buf age = {0};
			int64_t seconds = now_s - merged->samples[i].at_s;
			append_age(&age, seconds > 0 ? seconds : 0);
			buf_byte(out, row < age.len ? age.ptr[row] : ' ');
			buf_fini(&age);
		}
		buf_byte(out, '\n');
	}
}

static enum err run_latency_graph(struct exec *exec)
{
	cleanup(merging_fini) struct merging merging;
	cleanup(buf_fini) struct buf out = {0};
	merge(exec->core, &merging);
	const struct merged *merged = merged_find(&merging, exec->argv[2]);
	if (!merged) {
		reply_error_fmt(exec->reply, "ERR No samples available for event '%.*s'", (int)exec->argv[2].len,
		                exec->argv[2].ptr);
		return OK;
	}
	uint64_t low = UINT64_MAX, high = 0;
	for (size_t i = 0; i < merged->n; i++) {
		low = merged->samples[i].ms < low ? merged->samples[i].ms : low;
		high = merged->samples[i].ms > high ? merged->samples[i].ms : high;
	}
	buf_printf(&out, "%s - high %llu ms, low %llu ms (all time high %llu ms)\n", merged->event,
	           (unsigned long long)high, (unsigned long long)low, (unsigned long long)merged->ms_max);
	for (int i = 0; i < GRAPH_RULE; i++)
		buf_byte(&out, '-');
	buf_byte(&out, '\n');
	append_columns(&out, merged, low, high);
	append_ages(&out, merged, exec->core->wall_us / 1000000);
	reply_verbatim(exec->reply, "txt", buf_slice(&out));
	return OK;
}

static void append_diagnosis(struct buf *out, const struct merged *merged)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < merged->n; i++)
		sum += merged->samples[i].ms;
	buf_printf(out, "%s: %zu slow seconds, average %llu ms, worst ever %llu ms.\n", merged->event, merged->n,
	           (unsigned long long)(sum / merged->n), (unsigned long long)merged->ms_max);
}

static enum err run_latency_doctor(struct exec *exec)
{
	cleanup(merging_fini) struct merging merging;
	cleanup(buf_fini) struct buf out = {0};
	merge(exec->core, &merging);
	if (merging.n_events == 0 && exec->core->settings->latency_monitor_threshold == 0)
		buf_printf(&out, "Spikes are not watched for. \"CONFIG SET latency-monitor-threshold <milliseconds>\" "
		                 "makes this server remember what takes that long.\n");
	else if (merging.n_events == 0)
		buf_printf(&out, "Nothing has been slow since the server started or LATENCY RESET was called.\n");
	for (uint32_t i = 0; i < merging.n_events; i++)
		append_diagnosis(&out, &merging.events[i]);
	if (merging.n_events > 0)
		buf_printf(&out, "SLOWLOG GET shows which commands these were. Commands over many keys or large values "
		                 "are the usual cause; on a shared machine, other programs on the same CPUs are.\n");
	reply_verbatim(exec->reply, "txt", buf_slice(&out));
	return OK;
}

/* ---- showing histograms ----------------------------------------------------------- */

struct summing {
	const bool *wanted; /* by number; NULL: all */
	struct latency_histogram **sums;
};

static void sum_there(struct core *there, void *arg)
{
	const struct summing *summing = arg;
	const struct latency *latency = there->commands->latency;
	for (uint32_t number = 0; number < latency->n_commands; number++) {
		const struct latency_histogram *histogram = latency->histograms[number];
		if (!histogram || (summing->wanted && !summing->wanted[number]))
			continue;
		struct latency_histogram **sum = &summing->sums[number];
		if (!*sum)
			*sum = memory_zalloc(sizeof(**sum));
		(*sum)->n += histogram->n;
		for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
			(*sum)->counts[i] += histogram->counts[i];
	}
}

struct latency_histogram **latency_sums_new(struct core *core, const bool *wanted)
{
	struct summing summing = {.wanted = wanted};
	summing.sums = memory_zalloc(core->commands->latency->n_commands * sizeof(struct latency_histogram *));
	commands_each_core(core, sum_there, &summing);
	return summing.sums;
}

void latency_sums_free(struct core *core, struct latency_histogram **sums)
{
	for (uint32_t number = 0; number < core->commands->latency->n_commands; number++)
		memory_free(sums[number]);
	memory_free(sums);
}

/* How many took at most 1.024 us, twice that, four times that...: while it still grows. */
static uint32_t cumulate(const struct latency_histogram *histogram, int64_t *micros, int64_t *counts, uint32_t room)
{
	uint32_t n = 0, bucket = 0;
	uint64_t seen = 0;
	for (uint32_t power = 0; n < room && seen < histogram->n; power++) {
		uint64_t top_ns = (uint64_t)1024 << power, before = seen;
		for (; bucket < LATENCY_BUCKETS && (bucket_top_ns(bucket) <= top_ns || bucket == LATENCY_BUCKETS - 1);
		     bucket++)
			seen += histogram->counts[bucket];
		if (seen == before)
			continue;
		micros[n] = (int64_t)((top_ns + top_ns / 128 - 1) / 1000);
		counts[n++] = (int64_t)seen;
	}
	return n;
}

static void say_histogram(struct exec *exec, const char *name, const struct latency_histogram *histogram)
{
	enum { ROOM = 40 };
	int64_t micros[ROOM], counts[ROOM];
	struct reply *reply = exec->reply;
	uint32_t n = cumulate(histogram, micros, counts, ROOM);
	reply_str(reply, name);
	reply_map(reply, 2);
	reply_str(reply, "calls");
	reply_integer(reply, (int64_t)histogram->n);
	reply_str(reply, "histogram_usec");
	reply_map(reply, n);
	for (uint32_t i = 0; i < n; i++) {
		reply_integer(reply, micros[i]);
		reply_integer(reply, counts[i]);
	}
}

/* Is a command, or the one it is a subcommand of, among the names? No names: all are. */
static bool is_asked(const struct exec *exec, const char *full_name)
{
	struct slice full = slice_from_str(full_name);
	for (uint32_t at = 2; at < exec->argc; at++) {
		struct slice asked = exec->argv[at];
		bool is_parent = asked.len < full.len && full.ptr[asked.len] == '|';
		if (slice_equal_nocase(asked, is_parent ? slice_sub(full, 0, asked.len) : full))
			return true;
	}
	return exec->argc == 2;
}

static enum err run_latency_histogram(struct exec *exec)
{
	const struct command_index *index = exec->core->commands->index;
	uint32_t n = command_count(index);
	bool *wanted = memory_alloc(n);
	for (uint32_t i = 0; i < n; i++)
		wanted[i] = is_asked(exec, command_full_name(index, command_by_number(index, i)));
	struct latency_histogram **sums = latency_sums_new(exec->core, wanted);
	size_t n_shown = 0;
	for (uint32_t i = 0; i < n; i++)
		n_shown += sums[i] != NULL;
	reply_map(exec->reply, n_shown);
	for (uint32_t i = 0; i < n; i++)
		if (sums[i])
			say_histogram(exec, command_full_name(index, command_by_number(index, i)), sums[i]);
	latency_sums_free(exec->core, sums);
	memory_free(wanted);
	return OK;
}

static enum err run_latency_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "DOCTOR",
	        "    Return a human readable latency analysis report.",
	        "GRAPH <event>",
	        "    Return an ASCII latency graph for the <event> class.",
	        "HISTORY <event>",
	        "    Return time-latency samples for the <event> class.",
	        "LATEST",
	        "    Return the latest latency samples for all events.",
	        "RESET [<event> ...]",
	        "    Reset latency data of one or more <event> classes.",
	        "    (default: reset all data for all event classes)",
	        "HISTOGRAM [COMMAND ...]",
	        "    Return a cumulative distribution of latencies in the format of a histogram for the specified "
	        "command names.",
	        "    If no commands are specified then all histograms are replied.",
	        NULL,
	};
	return reply_help(exec, "LATENCY", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument latency_graph_args[] = {
        {"event", .type = ARG_STRING},
        {0},
};

static const struct command_argument latency_histogram_args[] = {
        {"command", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

static const struct command_argument latency_reset_args[] = {
        {"event", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

/* clang-format off */
const struct command latency_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"DOCTOR", 2, {0}, ROW_ADMIN | COMMAND_FIBER, "2.8.13", "O(1)",
	 "Says in words what was slow, and what may be done.", run_latency_doctor,
	 .tips = "nondeterministic_output request_policy:all_nodes response_policy:special"},
	{"GRAPH", 3, {0}, ROW_ADMIN | COMMAND_FIBER, "2.8.13", "O(1)", "Draws the slow moments of an event.",
	 run_latency_graph, latency_graph_args,
	 .tips = "nondeterministic_output request_policy:all_nodes response_policy:special"},
	{"HELP", 2, {0}, ROW_ALWAYS, "2.8.13", "O(1)", "Explains the subcommands.", run_latency_help},
	{"HISTOGRAM", -2, {0}, ROW_ADMIN | COMMAND_FIBER, "7.0.0",
	 "O(N) where N is the number of commands with latency information being retrieved.",
	 "How many calls of commands took how long.", run_latency_histogram, latency_histogram_args,
	 .tips = "nondeterministic_output request_policy:all_nodes response_policy:special"},
	{"HISTORY", 3, {0}, ROW_ADMIN | COMMAND_FIBER, "2.8.13", "O(1)", "The slow moments of an event.",
	 run_latency_history, latency_graph_args,
	 .tips = "nondeterministic_output request_policy:all_nodes response_policy:special"},
	{"LATEST", 2, {0}, ROW_ADMIN | COMMAND_FIBER, "2.8.13", "O(1)", "The last slow moment of each event.",
	 run_latency_latest,
	 .tips = "nondeterministic_output request_policy:all_nodes response_policy:special"},
	{"RESET", -2, {0}, ROW_ADMIN | COMMAND_FIBER, "2.8.13", "O(1)", "Forgets the slow moments of events.",
	 run_latency_reset, latency_reset_args,
	 .tips = "request_policy:all_nodes response_policy:all_succeeded"},
	{0},
};
/* clang-format on */
