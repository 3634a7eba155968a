/* buf.h -- one growable buffer, owned.
 *
 * Lifetime  A zeroed struct is an empty buffer; buf_fini() frees and zeroes it.
 * Errors    Growing never fails softly: what a client may make grow is limited
 *           before it is appended (see the limits in engine/config/settings.def),
 *           so running out of address space here is a bug and stops the program.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdarg.h>

struct buf {
	uint8_t *ptr;
	size_t len;
	size_t cap;
};

void buf_fini(struct buf *buf);

/* Makes room for `more` bytes past len and returns where they go. */
uint8_t *buf_reserve(struct buf *buf, size_t more);

void buf_append(struct buf *buf, struct slice bytes);
void buf_printf(struct buf *buf, const char *format, ...) printf_like(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list args) printf_like(2, 0);

/* Drops the first `n` bytes; what follows moves to the front. */
void buf_drop(struct buf *buf, size_t n);

/* Gives away what a buffer owns and leaves it empty. */
static inline struct buf buf_take(struct buf *buf)
{
	struct buf taken = *buf;
	*buf = (struct buf){0};
	return taken;
}

static inline struct slice buf_slice(const struct buf *buf)
{
	return slice_of(buf->ptr, buf->len);
}

static inline void buf_byte(struct buf *buf, uint8_t byte)
{
	*buf_reserve(buf, 1) = byte;
	buf->len++;
}
