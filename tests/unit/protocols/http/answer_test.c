#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "protocols/http/answer.h"

#include <criterion/criterion.h>

static struct machine machine;
static struct core core;
static struct buf out;

static void begin(void)
{
	machine = (struct machine){.n_cores = 1, .cores = {&core}};
	core = (struct core){.machine = &machine, .metrics = metrics_new(), .wall_us = 784111777000000};
}

static void end(void)
{
	memory_free(core.metrics);
	buf_fini(&out);
}

TestSuite(http_answer, .init = begin, .fini = end);

static const char *answered(const char *method, const char *path, bool keep_alive)
{
	struct http_request request = {.method = slice_from_str(method), .path = slice_from_str(path)};
	out.len = 0;
	http_answer(&core, &request, keep_alive, &out);
	buf_byte(&out, '\0');
	return (const char *)out.ptr;
}

#define DATE  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define TEXT  "Content-Type: text/plain; charset=utf-8\r\n"
#define EXTRA "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
#define KEEP  "Connection: keep-alive\r\n\r\n"
#define CLOSE "Connection: close\r\n\r\n"

Test(http_answer, health)
{
	cr_assert_str_eq(answered("GET", "/livez", true),
	                 "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\n" EXTRA KEEP "ok\n");
	cr_assert_str_eq(answered("GET", "/readyz", false),
	                 "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\n" EXTRA CLOSE "ok\n");
	core.stopping = true;
	cr_assert_str_eq(answered("GET", "/livez", true),
	                 "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\n" EXTRA KEEP "ok\n");
	cr_assert_str_eq(answered("GET", "/readyz", false), "HTTP/1.1 503 Service Unavailable\r\n" DATE TEXT
	                                                    "Content-Length: 9\r\n" EXTRA CLOSE "stopping\n");
}

/* HEAD says what GET would, without the body. */
Test(http_answer, head)
{
	cr_assert_str_eq(answered("HEAD", "/livez", true),
	                 "HTTP/1.1 200 OK\r\n" DATE TEXT "Content-Length: 3\r\n" EXTRA KEEP);
	const char *text = answered("HEAD", "/nowhere", true);
	cr_assert_eq(strncmp(text, "HTTP/1.1 404 Not Found\r\n", 24), 0);
	cr_assert_str_eq(text + strlen(text) - 4, "\r\n\r\n");
}

Test(http_answer, metrics)
{
	metric_add(&core, METRIC_COMMANDS, 42);
	const char *text = answered("GET", "/metrics", true);
	cr_assert(strstr(text, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	cr_assert(strstr(text, "\norbit_commands_total 42\n"));
	const char *body = strstr(text, "\r\n\r\n") + 4;
	cr_assert_eq(atoi(strstr(text, "Content-Length: ") + 16), strlen(body));
}

Test(http_answer, what_is_not_there)
{
	const char *text = answered("GET", "/nowhere", true);
	cr_assert_eq(strncmp(text, "HTTP/1.1 404 Not Found\r\n", 24), 0);
	cr_assert(strstr(text, "GET /metrics"));
	text = answered("POST", "/metrics", true);
	cr_assert_eq(strncmp(text, "HTTP/1.1 405 Method Not Allowed\r\n", 33), 0);
	cr_assert(strstr(text, "\r\nAllow: GET, HEAD\r\n"));
	cr_assert(strstr(text, "\r\n\r\nThis page answers GET, HEAD only.\n"));
	text = answered("get", "/metrics", true);
	cr_assert_eq(strncmp(text, "HTTP/1.1 405 ", 13), 0, "methods are case-sensitive");
}

Test(http_answer, refusals)
{
	http_refuse(&core, HTTP_CONTENT_TOO_LARGE, "a request's body has at most 16 KiB", &out);
	cr_assert(slice_equal(buf_slice(&out),
	                      S("HTTP/1.1 413 Content Too Large\r\n" DATE TEXT "Content-Length: 56\r\n" EXTRA CLOSE
	                        "Content Too Large: a request's body has at most 16 KiB.\n")),
	          "%.*s", (int)out.len, out.ptr);
}

/* Every status has its reason, and routes are paths. */
Test(http_answer, tables_are_sound)
{
	static const enum http_status all[] = {
	        HTTP_OK,
	        HTTP_BAD_REQUEST,
	        HTTP_NOT_FOUND,
	        HTTP_METHOD_NOT_ALLOWED,
	        HTTP_REQUEST_TIMEOUT,
	        HTTP_LENGTH_REQUIRED,
	        HTTP_CONTENT_TOO_LARGE,
	        HTTP_URI_TOO_LONG,
	        HTTP_HEADERS_TOO_LARGE,
	        HTTP_NOT_IMPLEMENTED,
	        HTTP_UNAVAILABLE,
	        HTTP_VERSION_NOT_SUPPORTED,
	};
	for (size_t i = 0; i < array_len(all); i++)
		http_refuse(&core, all[i], "why", &out);
	for (const struct http_route *route = http_routes; route->path; route++) {
		cr_assert_eq(route->path[0], '/');
		cr_assert_not_null(route->run);
		cr_assert_not_null(route->meaning);
	}
}
