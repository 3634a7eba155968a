/* window_private.h -- a file read from front to back, a piece ahead of whoever looks at it.
 *
 * What      While one piece is looked at the next is being read. What lies across the border of two is moved
 *           in front of the second, so that everything asked for is in one place.
 * Where     Fiber code. Offsets are multiples of LOG_BLOCK.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/io/io.h"
#include "storage/log/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct fiber;

enum { WINDOW_PIECE = RARE(512 * 1024, 8 * LOG_BLOCK), WINDOW_LOOK_MAX = FRAME_MAX };

struct window {
	struct core *core;
	int fd;
	uint64_t end;           /* of the file, as far as it matters */
	uint8_t *now, *next;    /* pieces, each behind room for WINDOW_LOOK_MAX bytes */
	uint64_t from, to;      /* bytes of the file that lie in `now`, */
	const uint8_t *from_at; /* from here on */
	struct io_op op;        /* reads what comes behind `to` into `next` */
	size_t asked;           /* bytes; 0: nothing was asked for */
	bool done;
	struct fiber *waits;
};

void window_init(struct window *window, struct core *core);
void window_fini(struct window *window);

/* From now on it shows this file, up to `end`. */
void window_open(struct window *window, int fd, uint64_t end);

/* Nothing reads from the file any more: before its descriptor is closed. */
void window_close(struct window *window);

/* Bytes from `at` on, `want` of them (WINDOW_LOOK_MAX at most) unless the file ends before; how many, or
 * -errno. Good until the next look. */
int64_t window_look(struct window *window, uint64_t at, size_t want, const uint8_t **out) must_check;
