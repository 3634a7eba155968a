/* err.h -- what can go wrong, told once for every wire.
 *
 * A function that can fail returns `enum err`, and the compiler insists that it is
 * looked at. Three kinds of trouble, three answers:
 *   the caller's or the world's doing   -> return an err (this file)
 *   our own bug                         -> assert: stop before it spreads
 *   a text with names in it             -> said where it is known (reply_error_fmt)
 * engine/base/err.def is the single list; each protocol takes its own column.
 */
#pragma once

#include "engine/base/compiler.h"

enum err {
	OK = 0,
#define ERR(name, ...) ERR_##name,
#include "engine/base/err.def"
#undef ERR
	ERR_COUNT
};

struct err_text {
	const char *name;
	const char *sqlstate;
	const char *resp_code;
	const char *text;
};

/* The row of an error; OK has none. */
const struct err_text *err_text(enum err err);

/* Hand an error up unchanged; cleanups still run. */
#define TRY(expr)                          \
	do {                               \
		enum err err_ = (expr);    \
		if (unlikely(err_ != OK))  \
			return err_;       \
	} while (0)
