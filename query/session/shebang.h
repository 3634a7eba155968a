/* shebang.h -- the first line of a script or library: "#!lua name=x flags=no-writes". */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The first line of a text that begins with "#!"; false: it does not end. What comes behind begins at *body_at, with
 * the end of the line, so that lines count from the first. */
bool shebang_line(struct slice text, struct slice *line, uint32_t *body_at);

/* Takes the next of the line's words off, in place of what was in `out`. Words may be quoted as a shell's are. */
enum shebang { SHEBANG_WORD, SHEBANG_END, SHEBANG_MALFORMED };
enum shebang shebang_word(struct slice *line, struct buf *out);
