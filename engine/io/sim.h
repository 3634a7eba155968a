/* sim.h -- the back end on which any number of cores run in one thread, on virtual time.
 *
 * What      A `struct sim` is the world: its clock, its randomness, its network with the
 *           clients at the far ends, its files. Each core of it gets an io of its own. One
 *           seed decides everything, so a run can be had again.
 * Time      Goes on a little with each reading of the clock, and by leaps where its owner
 *           says so. io_poll() never waits: it calls back what is due, or some of it, in an
 *           order of its own. Whoever steps the cores asks sim_io_due() before it lets a
 *           core poll that sleeps.
 * Streams   Bytes arrive late, in other pieces than they were sent in, but in order. Between
 *           streams there is no order. Sends take what the window has room for, or less.
 * Unkind    How much so is drawn by the owner: see struct sim_faults.
 * Owner     One thread. Nothing here is for the program that serves.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/io/io.h"

#include <stdbool.h>

struct sim;
struct sim_client;
struct sim_disk; /* engine/io/sim_disk.h */

/* Upper bounds, and chances in 1000. */
struct sim_faults {
	uint32_t clock_ns;      /* that a reading of the clock takes */
	uint32_t delay_ns;      /* of bytes on their way */
	uint32_t wake_ns;       /* from io_wake() to the end of the sleep */
	uint32_t piece_bytes;   /* that travel together */
	uint32_t receive_bytes; /* in one chunk */
	uint32_t send_bytes;    /* that one send takes */
	uint32_t window_bytes;  /* on their way to a client, or not yet read by it */
	uint32_t chunks;        /* that a core has for what it receives */
	uint32_t held_back;     /* chance that what is due waits for a later poll */
	uint32_t stragglers;    /* chance of data after a pause or a close */
};

struct sim *sim_new(uint64_t seed, const struct sim_faults *faults) must_check;
void sim_free(struct sim *sim); /* after its ios */

struct io *sim_io_new(struct sim *sim) must_check;

/* The disk that files lie on, which outlives the world; before the first operation on files. One of
 * its own, which takes as long as faults.delay_ns allows and is kind, has a world that is given none. */
void sim_use_disk(struct sim *sim, struct sim_disk *disk);
struct sim_disk *sim_disk_of(struct sim *sim);

/* ---- time and chance ----------------------------------------------------------------- */

uint64_t sim_now_ns(const struct sim *sim);
void sim_pass_ns(struct sim *sim, uint64_t ns);

uint64_t sim_random(struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t n); /* 0 .. n - 1; n at least 1 */
bool sim_chance(struct sim *sim, uint32_t in_1000);

/* What has happened so far, as one number; sim_note() adds to it. Two runs that differ
 * anywhere differ here. */
void sim_note(struct sim *sim, uint64_t what);
void sim_note_bytes(struct sim *sim, struct slice bytes);
uint64_t sim_trace(const struct sim *sim);

/* Would a poll of this io find something now? And when will one at the latest, if nobody
 * does anything meanwhile; UINT64_MAX: never. */
bool sim_io_due(struct io *io);
uint64_t sim_io_next_ns(struct io *io);

/* Has somebody woken it, though it may not know yet? */
bool sim_io_is_woken(const struct io *io);

/* What was lent and not given back, for the end of a run. */
uint32_t sim_io_chunks_out(const struct io *io);

/* ---- clients: the far ends of connections, driven by the owner of the world ----------- */

/* NULL: nobody listens there. */
struct sim_client *sim_connect(struct sim *sim, uint16_t port) must_check;

void sim_client_send(struct sim_client *client, struct slice bytes);
void sim_client_finish(struct sim_client *client); /* half-close */
void sim_client_reset(struct sim_client *client);  /* both ways, at once; what is on its way is lost */

/* What has arrived, until the next call on the client; taken as it is read, or never. */
struct slice sim_client_input(struct sim_client *client);
void sim_client_read(struct sim_client *client, size_t n);
bool sim_client_ended(struct sim_client *client);       /* nothing more will come */
uint64_t sim_client_next_ns(struct sim_client *client); /* when more arrives; UINT64_MAX */

/* The descriptor that the server sees; and does it see it, or will it? */
int sim_client_fd(const struct sim_client *client);
bool sim_fd_is_known(const struct sim *sim, int fd);

/* The owner has done with it: as a reset, if it still stands. */
void sim_client_free(struct sim_client *client);
