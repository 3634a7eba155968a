/* scan.h -- what SCAN, SSCAN, HSCAN and ZSCAN say alike: cursors, options, answers. */
#pragma once

#include "query/commands/command.h"
#include "storage/collections/packed.h"

/* As strtoul() reads it whole: with a sign, and nothing as 0, but no space before it. */
bool scan_cursor(struct slice text, uint64_t *out) must_check;

struct scan_options {
	struct slice pattern, type;
	int64_t count;
	bool no_values;
};

enum { SCAN_TYPE = 1, SCAN_NOVALUES = 2 }; /* options that only some have */

/* From argv[at] on. */
enum err scan_options(const struct exec *exec, uint32_t at, unsigned which, struct scan_options *out) must_check;

/* How many elements a call looks at. COUNT is a hint: of a large collection they are no more than a task has time for. */
uint64_t scan_want(const struct scan_options *options, const struct object *object);

/* Does a name fit the pattern? */
bool scan_fits(const struct scan_options *options, struct slice name);

/* Says a cursor and `n` packed elements. */
void scan_reply(struct reply *reply, uint64_t cursor, uint64_t n, const struct buf *found);
