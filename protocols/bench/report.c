#include "protocols/bench/report.h"

#include "engine/memory/memory.h"

#include <stdio.h>

/* The sum of all cores. */
struct total {
	struct histogram latency;
	uint64_t replies, errors, nulls, unanswered;
	double per_s; /* each core's replies by its own window */
	double seconds;
	uint64_t cpu_ns, spin_ns, enters, server_cpu_ns;
	double server_seconds;
};

static const struct {
	const char *name, *json;
	double share;
} quantiles[] = {
        {"p50", "p50", 0.5},  {"p90", "p90", 0.9},      {"p95", "p95", 0.95},
        {"p99", "p99", 0.99}, {"p99.9", "p999", 0.999}, {"p99.99", "p9999", 0.9999},
};

static void total_add(struct total *total, const struct measure *m)
{
	if (!m->closed)
		return;
	double seconds = (double)(m->to_ns - m->from_ns) / 1e9;
	total->replies += m->replies;
	total->errors += m->errors;
	total->nulls += m->nulls;
	total->unanswered += m->unanswered;
	total->per_s += seconds > 0 ? (double)m->replies / seconds : 0;
	total->seconds = seconds > total->seconds ? seconds : total->seconds;
	total->cpu_ns += m->cpu_ns;
	total->spin_ns += m->spin_ns;
	total->enters += m->enters;
	total->server_cpu_ns += m->server_cpu_ns;
	histogram_merge(&total->latency, &m->latency);
}

static struct total *total_new(const struct bench *bench)
{
	struct total *total = memory_zalloc(sizeof(*total));
	for (uint64_t i = 0; i < bench->options.threads; i++)
		total_add(total, &bench->workers[i].measure);
	return total;
}

static double us(uint64_t ns) { return (double)ns / 1000; }

static double us_each(uint64_t ns, uint64_t n) { return n ? us(ns) / (double)n : 0; }

/* 1234567 as 1,234,567: big numbers are for eyes here. */
static const char *grouped(uint64_t number, char out[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number), at = 0;
	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = 0;
	return out;
}

static void put_mix(const struct mix *mix, struct buf *out)
{
	for (int i = 0; i < mix->n; i++)
		buf_printf(out, "%s%s:%llu", i ? "," : "", mix->parts[i].operation->name,
		           (unsigned long long)mix->parts[i].weight);
}

static double fill_seconds(const struct bench *bench)
{
	return (double)(bench->fill_to_ns - bench->fill_from_ns) / 1e9;
}

/* ---- for people --------------------------------------------------------------------- */

static void table_head(const struct bench *bench, struct buf *out)
{
	const struct options *o = &bench->options;
	if (o->unix_path[0])
		buf_printf(out, "server       %s\n", o->unix_path);
	else
		buf_printf(out, "server       %s port %llu\n", o->host, (unsigned long long)o->port);
	buf_printf(out, "asked        ");
	put_mix(&o->mix, out);
	buf_printf(out, "; %llu keys, %s", (unsigned long long)o->n_keys, o->distribution_text);
	if (o->distribution == KEYS_ZIPF)
		buf_printf(out, " %g", o->theta);
	buf_printf(out, "; keys of %llu and values of %llu bytes\n", (unsigned long long)o->key_size,
	           (unsigned long long)o->value_size);
	buf_printf(out, "by           %llu connections, pipeline %llu, %llu thread%s, ",
	           (unsigned long long)o->connections, (unsigned long long)o->pipeline, (unsigned long long)o->threads,
	           o->threads == 1 ? "" : "s");
	if (o->rate > 0)
		buf_printf(out, "open loop at %g a second\n", o->rate);
	else
		buf_printf(out, "closed loop\n");
}

static void table_fill(const struct bench *bench, struct buf *out)
{
	char number[32], rate[32];
	double seconds = fill_seconds(bench);
	buf_printf(out, "filled       %s keys in %.2f s, %s a second", grouped(bench->filled, number), seconds,
	           grouped(seconds > 0 ? (uint64_t)((double)bench->filled / seconds) : 0, rate));
	if (bench->fill_errors)
		buf_printf(out, "; %s ERRORS: %s", grouped(bench->fill_errors, number), bench->server_error);
	buf_byte(out, '\n');
}

static void table_run(const struct bench *bench, const struct total *t, struct buf *out)
{
	char number[32];
	buf_printf(out, "replies      %s in %.2f s", grouped(t->replies, number), t->seconds);
	buf_printf(out, "; %s nulls", grouped(t->nulls, number));
	buf_printf(out, "; %s errors\n", grouped(t->errors, number));
	if (t->errors)
		buf_printf(out, "FIRST ERROR  %s\n", bench->server_error);
	if (t->unanswered)
		buf_printf(out, "unanswered   %s at the end; they count in the latency\n",
		           grouped(t->unanswered, number));
	buf_printf(out, "throughput   %s a second\n", grouped((uint64_t)t->per_s, number));
	buf_printf(out, "latency us   least %.1f, mean %.1f", us(t->latency.least), histogram_mean(&t->latency) / 1000);
	for (size_t i = 0; i < array_len(quantiles); i++)
		buf_printf(out, ", %s %.1f", quantiles[i].name,
		           us(histogram_quantile(&t->latency, quantiles[i].share)));
	buf_printf(out, ", most %.1f\n", us(t->latency.most));
	/* An open loop never sleeps, so its CPU time says nothing. */
	if (bench->options.rate == 0)
		buf_printf(
		        out,
		        "generator    %.3f us of CPU a request, %.3f of them spinning; %.3f kernel entries a request\n",
		        us_each(t->cpu_ns, t->replies), us_each(t->spin_ns, t->replies),
		        t->replies ? (double)t->enters / (double)t->replies : 0);
	if (bench->options.server_pid)
		buf_printf(out, "server       %.3f us of CPU a request, %.2f cores busy\n",
		           us_each(t->server_cpu_ns, t->replies),
		           t->seconds > 0 ? (double)t->server_cpu_ns / 1e9 / t->seconds : 0);
}

void report_table(const struct bench *bench, struct buf *out)
{
	struct total *total = total_new(bench);
	table_head(bench, out);
	if (bench->options.load)
		table_fill(bench, out);
	if (total->seconds > 0)
		table_run(bench, total, out);
	else if (bench->options.duration_s > 0)
		buf_printf(out, "nothing was measured: it was over before the warm-up was\n");
	if (bench->interrupted)
		buf_printf(out, "interrupted\n");
	memory_free(total);
}

/* ---- for programs ------------------------------------------------------------------- */

/* What came from the server may hold anything. */
static void put_json_text(const char *text, struct buf *out)
{
	buf_byte(out, '"');
	for (const uint8_t *c = (const uint8_t *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_printf(out, "\\%c", *c);
		else if (*c < ' ' || *c > '~')
			buf_printf(out, "\\u%04x", *c);
		else
			buf_byte(out, *c);
	}
	buf_byte(out, '"');
}

static void json_head(const struct bench *bench, struct buf *out)
{
	const struct options *o = &bench->options;
	buf_printf(out, "{\"mix\": \"");
	put_mix(&o->mix, out);
	buf_printf(out,
	           "\", \"connections\": %llu, \"pipeline\": %llu, \"threads\": %llu, \"rate\": %.17g, \"keys\": %llu, "
	           "\"distribution\": \"%s\", \"key_size\": %llu, \"value_size\": %llu, \"seed\": %llu, "
	           "\"interrupted\": %s",
	           (unsigned long long)o->connections, (unsigned long long)o->pipeline, (unsigned long long)o->threads,
	           o->rate, (unsigned long long)o->n_keys, o->distribution_text, (unsigned long long)o->key_size,
	           (unsigned long long)o->value_size, (unsigned long long)o->seed,
	           bench->interrupted ? "true" : "false");
}

static void json_run(const struct bench *bench, const struct total *t, struct buf *out)
{
	uint64_t all = 0;
	for (uint64_t i = 0; i < bench->options.threads; i++)
		all += bench->workers[i].replies;
	buf_printf(out,
	           ", \"replies\": %llu, \"replies_with_warmup\": %llu, \"nulls\": %llu, \"errors\": %llu, "
	           "\"unanswered\": %llu, \"seconds\": %.6f, \"per_second\": %.1f",
	           (unsigned long long)t->replies, (unsigned long long)all, (unsigned long long)t->nulls,
	           (unsigned long long)t->errors, (unsigned long long)t->unanswered, t->seconds, t->per_s);
	buf_printf(out, ", \"latency_us\": {\"least\": %.3f, \"mean\": %.3f", us(t->latency.least),
	           histogram_mean(&t->latency) / 1000);
	for (size_t i = 0; i < array_len(quantiles); i++)
		buf_printf(out, ", \"%s\": %.3f", quantiles[i].json,
		           us(histogram_quantile(&t->latency, quantiles[i].share)));
	buf_printf(out, ", \"most\": %.3f}", us(t->latency.most));
	buf_printf(out, ", \"generator_cpu_us\": %.6f, \"generator_spin_us\": %.6f", us_each(t->cpu_ns, t->replies),
	           us_each(t->spin_ns, t->replies));
	if (bench->options.server_pid)
		buf_printf(out, ", \"server_cpu_us\": %.6f, \"server_cores\": %.4f",
		           us_each(t->server_cpu_ns, t->replies),
		           t->seconds > 0 ? (double)t->server_cpu_ns / 1e9 / t->seconds : 0);
}

void report_json(const struct bench *bench, struct buf *out)
{
	struct total *total = total_new(bench);
	json_head(bench, out);
	if (bench->options.load)
		buf_printf(out, ", \"filled\": %llu, \"fill_errors\": %llu, \"fill_seconds\": %.6f",
		           (unsigned long long)bench->filled, (unsigned long long)bench->fill_errors,
		           fill_seconds(bench));
	if (total->seconds > 0)
		json_run(bench, total, out);
	if (bench->server_error[0]) {
		buf_printf(out, ", \"first_error\": ");
		put_json_text(bench->server_error, out);
	}
	buf_printf(out, "}\n");
	memory_free(total);
}
