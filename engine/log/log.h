/* log.h -- few lines, for people: what happened, and what to do about it.
 *
 * A line goes to standard error: time, level, core, text. Debug lines are dropped unless
 * the setting `loglevel` asks for them. Secrets and key contents are never logged.
 */
#pragma once

#include "engine/base/compiler.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

void log_line(enum log_level level, const char *format, ...) printf_like(2, 3);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
