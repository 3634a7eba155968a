/* reply.h -- a command's answer, typed; a protocol says it in its own words.
 *
 * What      Commands say what they answer through these calls; `ops` is the wire that
 *           renders it (RESP2, RESP3, later others) into `out` as it is said. Aggregates
 *           announce their length first, then their members follow.
 * Owner     `out` belongs to whoever gave the reply; loans are listed there too.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/base/rare.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct reply;
struct object;

/* A value that is sent from the shard's memory: it belongs between byte `at` - 1 and
 * byte `at` of `out`. Given back to core `core` when it was sent or dropped. */
struct loan {
	size_t at;
	struct slice bytes;
	struct object *object;
	uint16_t core;
};

struct reply_ops {
	void (*null)(struct reply *reply);
	void (*null_array)(struct reply *reply);
	void (*simple)(struct reply *reply, struct slice text);    /* +OK */
	void (*error)(struct reply *reply, struct slice text);     /* "ERR ..." whole, no line ends */
	void (*integer)(struct reply *reply, int64_t value);
	void (*real)(struct reply *reply, double value);
	void (*boolean)(struct reply *reply, bool value);
	void (*bulk)(struct reply *reply, struct slice bytes);
	void (*verbatim)(struct reply *reply, const char format[4], struct slice bytes);
	void (*big_number)(struct reply *reply, struct slice digits);
	void (*array)(struct reply *reply, size_t n);
	void (*map)(struct reply *reply, size_t n_pairs);          /* RESP2: an array of 2n */
	void (*set)(struct reply *reply, size_t n);
	void (*push)(struct reply *reply, size_t n);
	void (*attribute)(struct reply *reply, size_t n_pairs);
	void (*lent)(struct reply *reply, struct loan loan);       /* a bulk string, by reference */
	void (*decimal)(struct reply *reply, struct slice digits); /* a real in these digits; NULL: as a bulk string */
};

struct reply {
	const struct reply_ops *ops;
	struct buf *out;
	struct buf *loans;  /* of struct loan; NULL: nothing may be lent, copy */
	uint32_t errors;    /* error replies said at top level or inside */
};

enum { REPLY_LEND_MIN = RARE(16 * 1024, 64) }; /* smaller values are copied */

static inline void reply_null(struct reply *r) { r->ops->null(r); }
static inline void reply_null_array(struct reply *r) { r->ops->null_array(r); }
static inline void reply_simple(struct reply *r, struct slice text) { r->ops->simple(r, text); }
static inline void reply_ok(struct reply *r) { r->ops->simple(r, S("OK")); }
static inline void reply_integer(struct reply *r, int64_t value) { r->ops->integer(r, value); }
static inline void reply_real(struct reply *r, double value) { r->ops->real(r, value); }
static inline void reply_decimal(struct reply *r, struct slice digits)
{
	if (r->ops->decimal)
		r->ops->decimal(r, digits);
	else
		r->ops->bulk(r, digits);
}
static inline void reply_boolean(struct reply *r, bool value) { r->ops->boolean(r, value); }
static inline void reply_bulk(struct reply *r, struct slice bytes) { r->ops->bulk(r, bytes); }
static inline void reply_str(struct reply *r, const char *text) { r->ops->bulk(r, slice_from_str(text)); }
static inline void reply_verbatim(struct reply *r, const char format[4], struct slice bytes)
{
	r->ops->verbatim(r, format, bytes);
}
static inline void reply_array(struct reply *r, size_t n) { r->ops->array(r, n); }
static inline void reply_map(struct reply *r, size_t n_pairs) { r->ops->map(r, n_pairs); }
static inline void reply_set(struct reply *r, size_t n) { r->ops->set(r, n); }
static inline void reply_push(struct reply *r, size_t n) { r->ops->push(r, n); }

/* An error with names in it; the text begins with its code: "ERR ...", "WRONGTYPE ...".
 * Line ends in it are turned into spaces. Counts in `errors`. */
void reply_error_fmt(struct reply *reply, const char *format, ...) printf_like(2, 3);
void reply_err(struct reply *reply, enum err err); /* the table's text */
