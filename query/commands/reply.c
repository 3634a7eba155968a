#include "query/commands/reply.h"

#include "engine/core/core.h"
#include "query/commands/commands.h"

#include <stdarg.h>

static bool is_line_end(uint8_t c) { return c == '\r' || c == '\n'; }

/* One line: a line end inside would end the error early and pass the rest for a reply. */
static struct slice one_line(struct buf *text)
{
	size_t from = 0, to = text->len;
	while (from < to && is_line_end(text->ptr[from]))
		from++;
	while (to > from && is_line_end(text->ptr[to - 1]))
		to--;
	for (size_t i = from; i < to; i++)
		if (is_line_end(text->ptr[i]))
			text->ptr[i] = ' ';
	return slice_sub(buf_slice(text), from, to);
}

void reply_error_fmt(struct reply *reply, const char *format, ...)
{
	cleanup(buf_fini) struct buf text = {0};
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	struct slice line = one_line(&text);
	struct core *core = core_current();
	if (core && core->commands)
		commands_count_error(core, line);
	reply->errors++;
	reply->ops->error(reply, line);
}

void reply_err(struct reply *reply, enum err err)
{
	const struct err_text *row = err_text(err);
	reply_error_fmt(reply, "%s %s", row->resp_code, row->text);
}
