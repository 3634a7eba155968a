#include "storage/log/window_private.h"

#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"

#include <assert.h>
#include <string.h>

static_assert(WINDOW_LOOK_MAX <= WINDOW_PIECE, "one piece more is always enough");

void window_init(struct window *window, struct core *core)
{
	*window = (struct window){.core = core, .fd = -1};
	window->now = file_buffer_new(WINDOW_LOOK_MAX + WINDOW_PIECE);
	window->next = file_buffer_new(WINDOW_LOOK_MAX + WINDOW_PIECE);
}

void window_fini(struct window *window)
{
	window_close(window);
	file_buffer_free(window->now);
	file_buffer_free(window->next);
}

/* ---- the piece ahead -------------------------------------------------------------------------- */

static void on_read(struct io_op *op)
{
	struct window *window = container_of(op, struct window, op);
	window->done = true;
	if (window->waits)
		fiber_wake(window->core, take(window->waits));
}

static size_t piece_at(const struct window *window, uint64_t at)
{
	uint64_t left = at < window->end ? window->end - at : 0;
	return left < WINDOW_PIECE ? (size_t)left : WINDOW_PIECE;
}

static void read_ahead(struct window *window)
{
	window->asked = piece_at(window, window->to);
	if (window->asked == 0)
		return;
	window->done = false;
	window->op.done = on_read;
	io_file_read(window->core->io, &window->op, window->fd, window->next + WINDOW_LOOK_MAX, window->asked,
	             window->to);
}

/* The bytes that came; fewer than were asked for only where the file ends. */
static int64_t wait_ahead(struct window *window)
{
	if (window->asked == 0)
		return 0;
	if (!window->done) {
		window->waits = fiber_self(window->core);
		fiber_wait(window->core);
	}
	size_t asked = window->asked;
	int64_t n = window->op.result;
	window->asked = 0;
	if (n < 0 || (size_t)n == asked)
		return n;
	return file_read(window->core, window->fd, window->next + WINDOW_LOOK_MAX, asked, window->to);
}

/* ---- looking ------------------------------------------------------------------------------------ */

void window_open(struct window *window, int fd, uint64_t end)
{
	window_close(window);
	window->fd = fd;
	window->end = end / LOG_BLOCK * LOG_BLOCK;
}

void window_close(struct window *window)
{
	(void)wait_ahead(window);
	window->from = window->to = 0;
	window->fd = -1;
}

/* Goes on to the piece that was read ahead, keeping what lies behind `at`. */
static int64_t go_on(struct window *window, uint64_t at)
{
	size_t kept = (size_t)(window->to - at);
	int64_t n = wait_ahead(window);
	if (n < 0)
		return n;
	uint8_t *next = window->next;
	memcpy(next + WINDOW_LOOK_MAX - kept, window->from_at + (at - window->from), kept);
	window->next = window->now;
	window->now = next;
	window->from = at;
	window->from_at = next + WINDOW_LOOK_MAX - kept;
	window->to += (uint64_t)n;
	if (n > 0)
		read_ahead(window);
	return n;
}

static int64_t jump(struct window *window, uint64_t at)
{
	(void)wait_ahead(window);
	int64_t n = file_read(window->core, window->fd, window->now + WINDOW_LOOK_MAX, piece_at(window, at), at);
	window->from = at;
	window->from_at = window->now + WINDOW_LOOK_MAX;
	window->to = at + (n < 0 ? 0 : (uint64_t)n);
	if (n > 0)
		read_ahead(window);
	return n;
}

int64_t window_look(struct window *window, uint64_t at, size_t want, const uint8_t **out)
{
	assert(want <= WINDOW_LOOK_MAX);
	if (at >= window->end)
		return 0;
	if (want > window->end - at)
		want = (size_t)(window->end - at);
	bool inside = at >= window->from && at <= window->to;
	int64_t n = 1;
	if (!inside || window->to == window->from)
		n = jump(window, at);
	else if (at + want > window->to)
		n = go_on(window, at);
	if (n < 0) {
		window->from = window->to = 0;
		return n;
	}
	*out = window->from_at + (at - window->from);
	uint64_t there = window->to - at;
	return there < want ? (int64_t)there : (int64_t)want;
}
