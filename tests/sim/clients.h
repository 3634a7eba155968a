/* clients.h -- those who use the simulated server: what they ask, and what they note down.
 *
 * What      Workers send pipelines of commands on few keys that all share, and write down
 *           when they asked and what they were told. A filler has many keys of one partition
 *           to itself, so that it knows each answer beforehand. Subscribers listen. A sulker asks
 *           and does not read while anybody else is busy. A keeper (keeper.h) has keys of its own over many lives.
 *           When all have done, a janitor reads every key once more, and empties the server, if this is its only life.
 * Replies   Those that are known beforehand are compared as they come; all come in order.
 */
#pragma once

#include "tests/sim/history.h"

struct clients;

/* Errors of a disk that is faulty or full: the command may have been done, or was not. */
bool reply_leaves_doubt(struct slice reply);
bool reply_refuses(struct slice reply);
/* It refuses, and that is all right. */
bool may_refuse(struct history *history, const struct config *config, struct slice reply);

struct clients *clients_new(const struct config *config, struct sim *sim, struct history *history) must_check;
void clients_free(struct clients *clients);

/* Lets one client do something; false: none can now. */
bool clients_step(struct clients *clients);
uint64_t clients_next_ns(struct clients *clients); /* when one can; UINT64_MAX */

/* The server is no more: reads all that it has said, and dates the end of all that it has not answered. */
void clients_hear_out(struct clients *clients);

/* The server was asked to stop: it may close connections, and nobody comes again. */
void clients_expect_end(struct clients *clients);

/* Dates the end of what the server has not answered those who left, where `knows` says that
 * it has forgotten them. */
void clients_bury(struct clients *clients, bool (*knows)(void *arg, int fd), void *arg);

bool clients_are_done(const struct clients *clients);
uint64_t clients_idle_since_ns(const struct clients *clients);
const char *clients_failure(const struct clients *clients); /* NULL: none */
void clients_print(const struct clients *clients, FILE *to);
