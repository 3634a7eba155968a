/* check.h -- looks at a data directory that no server uses: is everything there and sound?
 *
 * What      Superblock and manifests, copy by copy; every segment, frame and record of the logs that count; every
 *           image, block by block; and whether what one names is there. Faults are told one by one; what a crash
 *           leaves in the ordinary course (a torn tail, files that do not count yet) is a remark.
 * Reads     only, but for salvage, which writes into another directory.
 * Where     Fiber code of a machine with one core.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdbool.h>

struct core;

/* Whither the words go: lines, each with its end. */
struct check_out {
	void (*write)(struct check_out *out, struct slice text);
};

/* Prints each fault, remarks and a summary. True: no fault. */
bool check_run(struct core *core, const char *directory, struct check_out *out) must_check;

/* Prints all frames and records that are there, for people. True: it could be read to the end. */
bool check_dump(struct core *core, const char *directory, struct check_out *out) must_check;

/* Writes what can be saved into `into`, a directory that is empty but for its lock. Prints what is lost. False: nothing
 * could be written. All keys lie in memory for a while. */
bool check_salvage(struct core *core, const char *directory, const char *into, struct check_out *out) must_check;
