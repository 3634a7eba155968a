/* roam.h -- SORT whose patterns make names of keys that may lie on any shard.
 *
 * What      Each step of query/commands/sort.h runs where its keys are, while the gate keeps all others out: what is
 *           read, and what is stored of it, is of one moment. Values that are cold come back first.
 * Where     Fiber code of the client's core.
 * Cost      The gate, one message there and back for each step, and for each 2,048 keys that a pattern makes one to
 *           every core. Nobody else's commands run meanwhile. Patterns with a hash tag of their own need none of it.
 */
#pragma once

#include "query/commands/command.h"

struct core;
struct unit;

/* Closes the gate, runs, makes durable, opens it: for a command by itself. */
void roam_run(struct core *core, const struct client_view *client, const struct command *command,
              const struct slice *argv, uint32_t argc, struct reply *reply);

/* The same for who holds the gate. What it changes belongs to `unit`; memory and log room were asked for. */
void roam_within(struct core *core, const struct client_view *client, const struct command *command,
                 const struct slice *argv, uint32_t argc, struct reply *reply, struct unit *unit);
