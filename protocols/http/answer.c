#include "protocols/http/answer.h"

#include <time.h>

static const struct {
	enum http_status status;
	const char *reason;
} reasons[] = {
        {HTTP_OK, "OK"},
        {HTTP_BAD_REQUEST, "Bad Request"},
        {HTTP_NOT_FOUND, "Not Found"},
        {HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed"},
        {HTTP_REQUEST_TIMEOUT, "Request Timeout"},
        {HTTP_LENGTH_REQUIRED, "Length Required"},
        {HTTP_CONTENT_TOO_LARGE, "Content Too Large"},
        {HTTP_URI_TOO_LONG, "URI Too Long"},
        {HTTP_HEADERS_TOO_LARGE, "Request Header Fields Too Large"},
        {HTTP_NOT_IMPLEMENTED, "Not Implemented"},
        {HTTP_UNAVAILABLE, "Service Unavailable"},
        {HTTP_VERSION_NOT_SUPPORTED, "HTTP Version Not Supported"},
};

static const char *reason_of(enum http_status status)
{
	for (size_t i = 0; i < array_len(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	assert(!"a status without a row");
	return "";
}

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT" */
static void say_date(const struct core *core, struct buf *out)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = core->wall_us / 1000000;
	struct tm tm;
	if (!gmtime_r(&seconds, &tm))
		return;
	buf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
	           tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void say(struct core *core, const struct http_answer *answer, bool with_body, bool keep_alive, struct buf *out)
{
	buf_printf(out, "HTTP/1.1 %d %s\r\n", answer->status, reason_of(answer->status));
	say_date(core, out);
	buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", answer->type, answer->body.len);
	if (answer->allow.len > 0)
		buf_printf(out, "Allow: %.*s\r\n", (int)answer->allow.len, answer->allow.ptr);
	buf_append(out, S("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"));
	buf_append(out, keep_alive ? S("Connection: keep-alive\r\n\r\n") : S("Connection: close\r\n\r\n"));
	if (with_body)
		buf_append(out, buf_slice(&answer->body));
}

static void answer_fini(struct http_answer *answer)
{
	buf_fini(&answer->body);
	buf_fini(&answer->allow);
}

/* ---- which route ---------------------------------------------------------------------- */

static bool same(const char *word, struct slice text) { return slice_equal(slice_from_str(word), text); }

static void allow(struct http_answer *answer, const char *method)
{
	buf_printf(&answer->allow, "%s%s", answer->allow.len > 0 ? ", " : "", method);
	if (strcmp(method, "GET") == 0)
		buf_append(&answer->allow, S(", HEAD"));
}

static void say_not_found(struct http_answer *answer)
{
	answer->status = HTTP_NOT_FOUND;
	buf_append(&answer->body, S("There is no such page. There are:\n"));
	for (const struct http_route *route = http_routes; route->path; route++)
		buf_printf(&answer->body, "%s %s  %s\n", route->method, route->path, route->meaning);
}

static void say_not_allowed(struct http_answer *answer)
{
	answer->status = HTTP_METHOD_NOT_ALLOWED;
	buf_printf(&answer->body, "This page answers %.*s only.\n", (int)answer->allow.len, answer->allow.ptr);
}

static void answer_fill(struct core *core, const struct http_request *request, struct http_answer *answer)
{
	bool is_head = same("HEAD", request->method);
	for (const struct http_route *route = http_routes; route->path; route++) {
		if (!same(route->path, request->path))
			continue;
		if (same(route->method, request->method) || (is_head && strcmp(route->method, "GET") == 0)) {
			buf_fini(&answer->allow);
			route->run(core, request, answer);
			return;
		}
		allow(answer, route->method);
	}
	if (answer->allow.len > 0)
		say_not_allowed(answer);
	else
		say_not_found(answer);
}

void http_answer(struct core *core, const struct http_request *request, bool keep_alive, struct buf *out)
{
	cleanup(answer_fini) struct http_answer answer = {HTTP_OK, "text/plain; charset=utf-8"};
	answer_fill(core, request, &answer);
	say(core, &answer, !same("HEAD", request->method), keep_alive, out);
}

void http_refuse(struct core *core, enum http_status status, const char *why, struct buf *out)
{
	cleanup(answer_fini) struct http_answer answer = {status, "text/plain; charset=utf-8"};
	buf_printf(&answer.body, "%s: %s.\n", reason_of(status), why);
	say(core, &answer, true, false, out);
}
