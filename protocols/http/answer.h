/* answer.h -- requests answered: routes, and answers as bytes.
 *
 * What      A row of http_routes is a page: path, method, code. HEAD is answered where GET
 *           is. Every answer that says no tells in a line of text what would work.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/core/core.h"
#include "protocols/http/parse.h"

/* What a route has to say. `body` is the answer's own. */
struct http_answer {
	enum http_status status;
	const char *type; /* Content-Type */
	struct buf body;
	struct buf allow; /* the Allow header's value; empty: none */
};

struct http_route {
	const char *path;
	const char *method;
	void (*run)(struct core *core, const struct http_request *request, struct http_answer *answer);
	const char *meaning;
};

/* All routes; ends with a zeroed row. */
extern const struct http_route http_routes[];

/* Answers a request whole into `out`. `keep_alive` says whether another may follow. */
void http_answer(struct core *core, const struct http_request *request, bool keep_alive, struct buf *out);

/* Says no to what is no request, as the connection's last answer. */
void http_refuse(struct core *core, enum http_status status, const char *why, struct buf *out);
