#include "engine/log/log.h"

#include "engine/core/core.h"
#include "engine/io/io.h"
#include "engine/io/os.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { LINE_MAX = 1024 }; /* longer ones are cut; on a fiber's stack this is not little */

static const char *const level_names[] = {
        [LOG_DEBUG] = "debug", [LOG_VERBOSE] = "verbose", [LOG_NOTICE] = "notice", [LOG_WARNING] = "warning"};

static enum log_level level_now(const struct core *core)
{
	return core ? (enum log_level)atomic_load_explicit(&core->machine->log_level, memory_order_relaxed)
	            : LOG_NOTICE;
}

/* "2026-11-22T23:00:00.123Z notice core 0: " */
static size_t put_head(char *out, size_t size, const struct core *core, enum log_level level)
{
	int64_t wall_us = core ? io_wall_us(core->io) : os_wall_us();
	time_t seconds = (time_t)(wall_us / 1000000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	len += (size_t)snprintf(out + len, size - len, ".%03dZ %s ", (int)(wall_us / 1000 % 1000), level_names[level]);
	if (core)
		len += (size_t)snprintf(out + len, size - len, "core %u: ", core->id);
	return len;
}

/* What came from outside must not look like lines of ours. */
static void tame(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
	const struct core *core = core_current();
	if (level < level_now(core) || level >= LOG_NOTHING)
		return;
	char line[LINE_MAX];
	size_t len = put_head(line, sizeof(line), core, level), room = sizeof(line) - len - 1;
	va_list args;
	va_start(args, format);
	int text = vsnprintf(line + len, room, format, args);
	va_end(args);
	if (text > 0)
		len += (size_t)text < room ? (size_t)text : room - 1;
	tame(line, len);
	line[len++] = '\n';
	os_stderr(slice_of(line, len));
}
