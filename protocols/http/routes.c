#include "engine/metrics/metrics.h"
#include "protocols/http/answer.h"

static void run_metrics(struct core *core, const struct http_request *request, struct http_answer *answer)
{
	answer->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_prometheus(core->machine, &answer->body);
}

/* Alive is who answers at all. */
static void run_livez(struct core *core, const struct http_request *request, struct http_answer *answer)
{
	buf_append(&answer->body, S("ok\n"));
}

/* A server that stops still serves what runs, but wants no more: balancers ask this. */
static void run_readyz(struct core *core, const struct http_request *request, struct http_answer *answer)
{
	if (core->stopping)
		answer->status = HTTP_UNAVAILABLE;
	buf_append(&answer->body, core->stopping ? S("stopping\n") : S("ok\n"));
}

const struct http_route http_routes[] = {
        {"/metrics", "GET", run_metrics, "all counters and gauges, as Prometheus reads them"},
        {"/livez", "GET", run_livez, "200 while the process serves at all"},
        {"/readyz", "GET", run_readyz, "200 while the server takes work, 503 when it stops"},
        {0},
};
