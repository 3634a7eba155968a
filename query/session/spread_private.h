/* spread_private.h -- what spread.c shares with block.c. */
#pragma once

#include "query/session/spread.h"

/* One core's part of a set, in work there. */
struct part {
	void (*work)(struct core *there, struct part *part);
	struct locked_key *keys;
	uint32_t n;
	uint16_t from;
	struct part_group *group;
	void *arg;
};

/* Runs `work` on every core of the set, side by side, each with its keys; waits for the last. */
void lockset_each(struct core *core, struct lockset *set, void (*work)(struct core *, struct part *), void *arg);

/* The keys of a command; lockset_fini() it. */
void lockset_of(struct lockset *set, struct core *core, const struct command *command, const struct slice *argv,
                uint32_t argc);

/* As spread_execute(), for a command whose own keys the set is. */
void spread_execute_on(struct core *core, struct lockset *set, const struct client_view *client,
                       const struct command *command, const struct slice *argv, uint32_t argc, struct reply *reply,
                       struct unit *unit, bool admitted);
