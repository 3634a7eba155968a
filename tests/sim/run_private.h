/* run_private.h -- a server and its clients at play: what run.c and lives.c share. */
#pragma once

#include "tests/sim/clients.h"
#include "tests/sim/run.h"
#include "tests/sim/world.h"

struct run {
	struct config config;
	struct history history;
	struct sim *sim;
	struct sim_disk *disk; /* it may crash; NULL: it does not */
	struct world *world;
	struct clients *clients;
	struct outcome outcome;
	bool has_drained;                /* in the middle of the work */
	bool is_over;                    /* the process was killed */
	bool may_be_refused, is_refused; /* the data directory */
	void (*watch)(struct run *run);  /* before each step; NULL: nobody does */
	FILE *to;
};

void run_fail(struct run *run, const char *kind, const char *why);

/* Somebody does something. False: nobody ever will by himself. */
bool run_step(struct run *run);

/* False: it has failed, or the disk has crashed. */
bool run_goes_on(struct run *run);

/* Until the clients have done; false: it does not go on. */
bool run_serve(struct run *run);

/* The orderly end, behind which the cores have stopped. */
void run_stop(struct run *run);

void run_check_replies(struct run *run);
