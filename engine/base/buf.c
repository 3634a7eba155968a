#include "engine/base/buf.h"

#include "engine/memory/memory.h"

#include <stdio.h>

void buf_fini(struct buf *buf)
{
	memory_free(buf->ptr);
	*buf = (struct buf){0};
}

uint8_t *buf_reserve(struct buf *buf, size_t more)
{
	size_t need;
	if (__builtin_add_overflow(buf->len, more, &need))
		assert(!"a buffer larger than the address space");
	if (need > buf->cap) {
		size_t cap = buf->cap < 64 ? 64 : buf->cap + buf->cap / 2;
		if (cap < need)
			cap = need;
		buf->ptr = memory_resize(buf->ptr, cap);
		buf->cap = cap;
	}
	return buf->ptr + buf->len;
}

void buf_append(struct buf *buf, struct slice bytes)
{
	if (bytes.len == 0)
		return;
	memcpy(buf_reserve(buf, bytes.len), bytes.ptr, bytes.len);
	buf->len += bytes.len;
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	assert(n >= 0);
	/* vsnprintf ends what it writes with a NUL: room for it, not counted. */
	char *at = (char *)buf_reserve(buf, (size_t)n + 1);
	vsnprintf(at, (size_t)n + 1, format, args);
	buf->len += (size_t)n;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}

void buf_drop(struct buf *buf, size_t n)
{
	assert(n <= buf->len);
	if (n == 0)
		return;
	buf->len -= n;
	memmove(buf->ptr, buf->ptr + n, buf->len);
}
