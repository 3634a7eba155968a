#include "protocols/http/parse.h"

#include "engine/base/compiler.h"

enum stage { STAGE_LINE, STAGE_HEADERS, STAGE_CONTINUE, STAGE_BODY };

static enum http_parsed refuse(struct http_parser *parser, enum http_status status, const char *why)
{
	parser->status = status;
	parser->why = why;
	return HTTP_BROKEN;
}

static enum http_parsed bad_request(struct http_parser *parser, const char *why)
{
	return refuse(parser, HTTP_BAD_REQUEST, why);
}

/* ---- characters --------------------------------------------------------------------- */

static bool is_token_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_token_char(text.ptr[i]))
			return false;
	return text.len > 0;
}

static bool is_target(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 127 || text.ptr[i] == '#')
			return false;
	return text.len > 0;
}

static bool is_field_value(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.ptr[i] < ' ' && text.ptr[i] != '\t') || text.ptr[i] == 127)
			return false;
	return true;
}

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t'; }

static struct slice trimmed(struct slice text)
{
	while (text.len > 0 && is_blank(text.ptr[0]))
		text = slice_sub(text, 1, text.len);
	while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

/* Takes what is before `separator` off the front of `rest`; all of it if there is none. */
static struct slice split_off(struct slice *rest, uint8_t separator)
{
	const uint8_t *found = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;
	size_t len = found ? (size_t)(found - rest->ptr) : rest->len;
	struct slice first = slice_sub(*rest, 0, len);
	*rest = slice_sub(*rest, found ? len + 1 : len, rest->len);
	return first;
}

static struct http_place place_of(struct slice window, struct slice text)
{
	return (struct http_place){(uint32_t)(text.ptr - window.ptr), (uint32_t)text.len};
}

static struct slice placed(struct slice window, struct http_place place)
{
	return slice_sub(window, place.at, place.at + place.len);
}

/* ---- the request line ---------------------------------------------------------------- */

/* Leaves of "http://name:port/path" what is behind the name: proxies ask so. */
static bool drop_authority(struct slice *target)
{
	static const struct slice schemes[] = {S("http://"), S("https://")};
	for (size_t i = 0; i < array_len(schemes); i++) {
		size_t len = schemes[i].len;
		if (target->len <= len || !slice_equal_nocase(slice_sub(*target, 0, len), schemes[i]))
			continue;
		while (len < target->len && target->ptr[len] != '/' && target->ptr[len] != '?')
			len++;
		*target = slice_sub(*target, len, target->len);
		return true;
	}
	return false;
}

static enum http_parsed take_target(struct http_parser *parser, struct slice window, struct slice target)
{
	if (!is_target(target))
		return bad_request(parser, "the request's target has characters that must be %-encoded");
	if (target.ptr[0] != '/' && !slice_equal(target, S("*")) && !drop_authority(&target))
		return bad_request(parser, "the request's target is neither a path nor an http URL");
	parser->path = place_of(window, split_off(&target, '?'));
	parser->query = place_of(window, target);
	return HTTP_PARTIAL;
}

static enum http_parsed take_version(struct http_parser *parser, struct slice version)
{
	const uint8_t *p = version.ptr;
	if (version.len != 8 || memcmp(p, "HTTP/", 5) != 0 || p[6] != '.' || p[5] < '0' || p[5] > '9' || p[7] < '0' ||
	    p[7] > '9')
		return bad_request(parser, "this port speaks HTTP/1.1: a request begins as GET /metrics HTTP/1.1");
	if (p[5] != '1')
		return refuse(parser, HTTP_VERSION_NOT_SUPPORTED, "this port speaks HTTP/1.1 and HTTP/1.0");
	parser->is_1_0 = p[7] == '0';
	return HTTP_PARTIAL;
}

static enum http_parsed take_request_line(struct http_parser *parser, struct slice window, struct slice line)
{
	if (line.len == 0)
		return HTTP_PARTIAL; /* left over by careless clients behind a body */
	struct slice rest = line;
	struct slice method = split_off(&rest, ' ');
	struct slice target = split_off(&rest, ' ');
	if (!is_token(method))
		return bad_request(parser, "the request does not begin with a method");
	if (take_version(parser, rest) != HTTP_PARTIAL || take_target(parser, window, target) != HTTP_PARTIAL)
		return HTTP_BROKEN;
	parser->method = place_of(window, method);
	parser->stage = STAGE_HEADERS;
	return HTTP_PARTIAL;
}

/* ---- headers -------------------------------------------------------------------------- */

static enum http_parsed take_host(struct http_parser *parser, struct slice value)
{
	parser->n_hosts++;
	return HTTP_PARTIAL;
}

static enum http_parsed take_connection(struct http_parser *parser, struct slice value)
{
	while (value.len > 0) {
		struct slice word = trimmed(split_off(&value, ','));
		parser->said_close |= slice_equal_nocase(word, S("close"));
		parser->said_keep_alive |= slice_equal_nocase(word, S("keep-alive"));
	}
	return HTTP_PARTIAL;
}

static enum http_parsed take_length(struct http_parser *parser, struct slice value)
{
	if (parser->has_length)
		return bad_request(parser, "Content-Length is given more than once");
	uint32_t len = 0;
	for (size_t i = 0; i < value.len; i++) {
		uint32_t digit = (uint32_t)value.ptr[i] - '0';
		if (digit > 9)
			return bad_request(parser, "Content-Length is not a number");
		len = len * 10 + digit;
		if (len > HTTP_BODY_MAX)
			len = HTTP_BODY_MAX + 1;
	}
	if (value.len == 0)
		return bad_request(parser, "Content-Length is empty");
	parser->has_length = true;
	parser->body_len = len;
	return HTTP_PARTIAL;
}

static enum http_parsed take_encoding(struct http_parser *parser, struct slice value)
{
	parser->is_encoded = true;
	while (value.len > 0)
		parser->is_chunked = slice_equal_nocase(trimmed(split_off(&value, ',')), S("chunked"));
	return HTTP_PARTIAL;
}

static enum http_parsed take_expect(struct http_parser *parser, struct slice value)
{
	parser->expects_continue |= slice_equal_nocase(value, S("100-continue"));
	return HTTP_PARTIAL;
}

/* The headers that are about the message itself. */
static const struct {
	struct slice name;
	enum http_parsed (*read)(struct http_parser *parser, struct slice value);
} headers[] = {
        {S("Host"), take_host},
        {S("Connection"), take_connection},
        {S("Content-Length"), take_length},
        {S("Transfer-Encoding"), take_encoding},
        {S("Expect"), take_expect},
};

static enum http_parsed take_header(struct http_parser *parser, struct slice line)
{
	if (++parser->n_headers > HTTP_HEADERS_MAX)
		return refuse(parser, HTTP_HEADERS_TOO_LARGE, "the request has more than 100 headers");
	if (is_blank(line.ptr[0]))
		return bad_request(parser, "a header is folded over several lines");
	struct slice value = line;
	struct slice name = split_off(&value, ':');
	if (name.len == line.len || !is_token(name))
		return bad_request(parser, "a header line is not \"Name: value\"");
	value = trimmed(value);
	if (!is_field_value(value))
		return bad_request(parser, "a header has control characters in it");
	for (size_t i = 0; i < array_len(headers); i++)
		if (slice_equal_nocase(name, headers[i].name))
			return headers[i].read(parser, value);
	return HTTP_PARTIAL;
}

/* The empty line behind the headers: can the body be told from the next request? */
static enum http_parsed end_head(struct http_parser *parser)
{
	if (parser->n_hosts > 1 || (parser->n_hosts == 0 && !parser->is_1_0))
		return bad_request(parser, "an HTTP/1.1 request has one Host header");
	if (parser->is_encoded && (parser->has_length || parser->is_1_0))
		return bad_request(parser, "Transfer-Encoding does not go with Content-Length or HTTP/1.0");
	if (parser->is_chunked)
		return refuse(parser, HTTP_LENGTH_REQUIRED, "a body is taken with Content-Length only");
	if (parser->is_encoded)
		return refuse(parser, HTTP_NOT_IMPLEMENTED, "no Transfer-Encoding is understood");
	if (parser->body_len > HTTP_BODY_MAX)
		return refuse(parser, HTTP_CONTENT_TOO_LARGE, "a request's body has at most 16 KiB");
	bool waits = parser->expects_continue && parser->body_len > 0 && !parser->is_1_0;
	parser->stage = waits ? STAGE_CONTINUE : STAGE_BODY;
	return HTTP_PARTIAL;
}

/* ---- all of it ------------------------------------------------------------------------ */

/* What cannot be the beginning of a request is refused before a line end is waited for:
 * somebody speaks TLS here, or something else. */
static bool begins_well(const struct http_parser *parser, struct slice window)
{
	uint8_t first = window.ptr[parser->at];
	return parser->stage != STAGE_LINE || is_token_char(first) || first == '\r';
}

static enum http_parsed line_too_long(struct http_parser *parser)
{
	if (parser->stage == STAGE_LINE)
		return refuse(parser, HTTP_URI_TOO_LONG, "a request line has at most 4 KiB");
	return refuse(parser, HTTP_HEADERS_TOO_LARGE, "the headers of a request have at most 16 KiB");
}

/* Takes the next line of the head; HTTP_REQUEST means that one was there. */
static enum http_parsed take_line(struct http_parser *parser, struct slice window)
{
	const uint8_t *line = window.ptr + parser->at;
	size_t left = window.len - parser->at;
	size_t most = (parser->stage == STAGE_LINE ? HTTP_LINE_MAX : HTTP_HEAD_MAX) - parser->at;
	size_t to = left < most ? left : most;
	if (left > 0 && !begins_well(parser, window))
		return bad_request(parser, "this port speaks HTTP/1.1, without TLS");
	const uint8_t *end = to > parser->scanned ? memchr(line + parser->scanned, '\n', to - parser->scanned) : NULL;
	if (!end) {
		parser->scanned = (uint32_t)to;
		return left >= most ? line_too_long(parser) : HTTP_PARTIAL;
	}
	size_t len = (size_t)(end - line);
	if (len == 0 || line[len - 1] != '\r' || memchr(line, '\r', len - 1))
		return bad_request(parser, "lines end with CR LF, and neither is in them");
	struct slice text = slice_of(line, len - 1);
	enum http_parsed taken = parser->stage == STAGE_LINE ? take_request_line(parser, window, text)
	                         : text.len == 0             ? end_head(parser)
	                                                     : take_header(parser, text);
	parser->at += (uint32_t)len + 1;
	parser->scanned = 0;
	return taken == HTTP_BROKEN ? HTTP_BROKEN : HTTP_REQUEST;
}

static enum http_parsed take_body(struct http_parser *parser, struct slice window, struct http_request *out,
                                  size_t *used)
{
	if (window.len - parser->at < parser->body_len)
		return HTTP_PARTIAL;
	struct slice path = placed(window, parser->path);
	*out = (struct http_request){
	        .method = placed(window, parser->method),
	        .path = path.len > 0 ? path : S("/"),
	        .query = placed(window, parser->query),
	        .body = slice_sub(window, parser->at, parser->at + parser->body_len),
	        .keep_alive = !parser->said_close && (!parser->is_1_0 || parser->said_keep_alive),
	};
	*used = parser->at + parser->body_len;
	*parser = (struct http_parser){0};
	return HTTP_REQUEST;
}

enum http_parsed http_parse(struct http_parser *parser, struct slice window, struct http_request *out, size_t *used)
{
	assert(parser->at <= window.len);
	if (window.len == 0)
		return HTTP_PARTIAL;
	while (parser->stage == STAGE_LINE || parser->stage == STAGE_HEADERS) {
		enum http_parsed line = take_line(parser, window);
		if (line != HTTP_REQUEST)
			return line;
	}
	if (parser->stage == STAGE_CONTINUE) {
		parser->stage = STAGE_BODY;
		return HTTP_CONTINUE;
	}
	return take_body(parser, window, out, used);
}
