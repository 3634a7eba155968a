/* parse.h -- HTTP/1.1 requests: bytes in, requests out.
 *
 * What      Takes one request at a time off the front of a window: its line, what its
 *           headers say of the message itself, its body if it has a small one. Slices point
 *           into the window; nothing is copied and nothing is allocated.
 * State     Incremental and restartable at every byte; positions are offsets, so the window
 *           may move between calls as long as its bytes stay the same.
 * Strict    Whatever two readers could understand differently is refused: bare CR or LF,
 *           folded headers, spaces before a colon, repeated or signed lengths, a length
 *           beside a transfer encoding, several hosts.
 * Errors    A status and a sentence for the client; the connection is of no more use.
 * Source    RFC 9110, RFC 9112.
 */
#pragma once

#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	HTTP_LINE_MAX = 4 * 1024,  /* bytes of the request line */
	HTTP_HEAD_MAX = 16 * 1024, /* and with all headers */
	HTTP_HEADERS_MAX = 100,
	HTTP_BODY_MAX = 16 * 1024,
};

enum http_status {
	HTTP_OK = 200,
	HTTP_BAD_REQUEST = 400,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD_NOT_ALLOWED = 405,
	HTTP_REQUEST_TIMEOUT = 408,
	HTTP_LENGTH_REQUIRED = 411,
	HTTP_CONTENT_TOO_LARGE = 413,
	HTTP_URI_TOO_LONG = 414,
	HTTP_HEADERS_TOO_LARGE = 431,
	HTTP_NOT_IMPLEMENTED = 501,
	HTTP_UNAVAILABLE = 503,
	HTTP_VERSION_NOT_SUPPORTED = 505,
};

enum http_parsed {
	HTTP_REQUEST,  /* `out` is one; `used` bytes of the window are its */
	HTTP_PARTIAL,  /* more bytes are needed */
	HTTP_CONTINUE, /* the client waits for "100 Continue"; said once, then call again */
	HTTP_BROKEN,   /* parser->status and parser->why */
};

struct http_request {
	struct slice method; /* as sent; methods are case-sensitive */
	struct slice path;   /* without query, not decoded; "*" for the whole server */
	struct slice query;  /* after the "?" */
	struct slice body;
	bool keep_alive;     /* the client would go on with this connection */
};

struct http_place {
	uint32_t at, len;
};

struct http_parser {
	uint32_t at;      /* bytes of the window understood so far */
	uint32_t scanned; /* bytes past `at` known not to end the line that is awaited */
	uint8_t stage;    /* parse.c's enum stage */
	bool is_1_0;
	bool said_close, said_keep_alive;
	bool expects_continue;
	bool has_length;
	bool is_encoded, is_chunked; /* Transfer-Encoding: any, its last one */
	uint32_t n_hosts, n_headers;
	uint32_t body_len;           /* at most HTTP_BODY_MAX + 1: more is no different */
	struct http_place method, path, query;
	enum http_status status;     /* after HTTP_BROKEN */
	const char *why;
};

/* One request off the front of `window`, which begins with the first byte not yet `used`.
 * A zeroed parser is at a connection's start. `out` and `used` are set with HTTP_REQUEST
 * only, and `out` is good while the window's bytes stay. */
enum http_parsed http_parse(struct http_parser *parser, struct slice window, struct http_request *out, size_t *used);
