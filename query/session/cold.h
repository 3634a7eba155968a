/* cold.h -- calls whose values are not in memory.
 *
 * What      Shard code cannot wait: so a call that needs values which have left memory is held up before it runs,
 *           behind the fetches of its keys. One that adds memory is held up while the shard is full and values
 *           are on their way out.
 */
#pragma once

#include "engine/base/err.h"
#include "query/commands/command.h"
#include "storage/tier/tier.h"

/* Does a call look at the values of its keys? */
bool needs_values(const struct command *command, const struct slice *argv, uint32_t argc);

/* What a call needs of a large collection at argv[at]; nothing, if it looks at no values. */
struct reach call_reach(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t at);

/* Before a command runs: a value that it needs and that is cold still is one that cannot be had. */
enum err values_are_here(const struct exec *exec) must_check;

/* The same of the key argv[at] alone. */
bool lacks_value(const struct exec *exec, uint32_t at);
