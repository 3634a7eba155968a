#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"

#include <criterion/criterion.h>

static struct core cores[2];
static struct machine machine;

static void begin(void)
{
	machine = (struct machine){.n_cores = 3, .cores = {&cores[0], NULL, &cores[1]}};
	for (int i = 0; i < 2; i++)
		cores[i] = (struct core){.machine = &machine, .metrics = metrics_new()};
}

static void end(void)
{
	for (int i = 0; i < 2; i++)
		memory_free(cores[i].metrics);
}

TestSuite(metrics, .init = begin, .fini = end);

/* Sums count each core that is there; a core that has not started yet is none. */
Test(metrics, sums_over_cores)
{
	metric_add(&cores[0], METRIC_COMMANDS, 2);
	metric_add(&cores[0], METRIC_COMMANDS, 3);
	metric_add(&cores[1], METRIC_COMMANDS, 40);
	metric_set(&cores[1], METRIC_KEYS, 7);
	cr_assert_eq(metric_sum(&machine, METRIC_COMMANDS), 45);
	cr_assert_eq(metric_sum(&machine, METRIC_KEYS), 7);
	metrics_reset_counters(&cores[1]);
	cr_assert_eq(metric_sum(&machine, METRIC_COMMANDS), 5);
	cr_assert_eq(metric_sum(&machine, METRIC_KEYS), 7, "a gauge tells how it is, whatever was reset");
}

Test(metrics, prometheus_text)
{
	metric_add(&cores[0], METRIC_CONNECTIONS_ACCEPTED, 12);
	metric_set(&cores[0], METRIC_CONNECTIONS, 5);
	struct buf out = {0};
	metrics_prometheus(&machine, &out);
	buf_byte(&out, '\0');
	const char *text = (const char *)out.ptr;
	static const char first[] = "# HELP orbit_connections_accepted_total Connections accepted.\n"
	                            "# TYPE orbit_connections_accepted_total counter\n"
	                            "orbit_connections_accepted_total 12\n";
	cr_assert_eq(strncmp(text, first, sizeof(first) - 1), 0, "%s", text);
	cr_assert(strstr(text, "\n# TYPE orbit_connections gauge\norbit_connections 5\n"));
	cr_assert_eq(text[out.len - 2], '\n');
	buf_fini(&out);
}

Test(metrics, buckets_of_durations_follow_one_another)
{
	uint64_t begin_ns = 0;
	for (unsigned bucket = 0; bucket < DURATION_BUCKETS; bucket++) {
		uint64_t end_ns = duration_bucket_end_ns(bucket);
		cr_assert_gt(end_ns, begin_ns);
		cr_assert_eq(duration_bucket(begin_ns), bucket);
		cr_assert_eq(duration_bucket(end_ns - 1), bucket);
		if (bucket > 0 && bucket < DURATION_BUCKETS - 1)
			cr_assert_leq(end_ns - begin_ns, begin_ns / 4);
		begin_ns = end_ns;
	}
	cr_assert_eq(begin_ns, UINT64_MAX);
	cr_assert_eq(duration_bucket(UINT64_MAX), DURATION_BUCKETS - 1);
}

Test(metrics, durations_are_a_histogram)
{
	duration_add(&cores[0], DURATION_REPLY, 1000);
	duration_add(&cores[1], DURATION_REPLY, 1100);
	duration_add(&cores[1], DURATION_REPLY, 1ull << 40);
	struct buf out = {0};
	metrics_prometheus(&machine, &out);
	buf_byte(&out, '\0');
	const char *text = (const char *)out.ptr;
	cr_assert(strstr(text, "\n# TYPE orbit_reply_seconds histogram\n"
	                       "orbit_reply_seconds_bucket{le=\"1.024e-06\"} 1\n"
	                       "orbit_reply_seconds_bucket{le=\"1.28e-06\"} 2\n"),
	          "%s", text);
	cr_assert(strstr(text, "\norbit_reply_seconds_bucket{le=\"17.1798692\"} 2\n"
	                       "orbit_reply_seconds_bucket{le=\"+Inf\"} 3\n"
	                       "orbit_reply_seconds_sum 1099.511629876\norbit_reply_seconds_count 3\n"),
	          "%s", text);
	buf_fini(&out);
	metrics_reset_counters(&cores[1]);
	cr_assert_eq(metric_sum(&machine, (enum metric)(METRIC_COUNT + DURATION_BUCKETS)), 1000);
}

/* Prometheus' rules for names, and one line for each meaning. */
Test(metrics, rows_are_sound)
{
	for (enum metric a = 0; a < METRIC_COUNT; a++) {
		const struct metric_row *row = metric_row(a);
		cr_assert_eq(strspn(row->prometheus, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(row->prometheus));
		cr_assert_eq(strncmp(row->prometheus, "orbit_", 6), 0);
		cr_assert_null(strpbrk(row->meaning, "\n\\"));
		bool is_total = strlen(row->prometheus) > 6 && strstr(row->prometheus, "_total");
		cr_assert_eq(is_total, row->kind == METRIC_IS_COUNTER, "%s", row->prometheus);
		for (enum metric b = 0; b < a; b++)
			cr_assert_str_neq(row->prometheus, metric_row(b)->prometheus);
	}
}
