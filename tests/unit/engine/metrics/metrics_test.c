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
