/* house.h -- a server's cores with a store, on the simulator; and what its keys should be.
 *
 * What      Cores step in random order on virtual time; the disk outlives them. A house that crashes does so in a
 *           process of its own, which ends: house_live() runs a story there, and the model lies in shared memory.
 * Model     Each key has one state that was acknowledged, and maybe a later one that was asked for. After a
 *           crash it must be in one of the two; keys that one transaction changed, all in the same.
 */
#pragma once

#include "engine/core/core.h"
#include "engine/io/sim_disk.h"
#include "storage/journal/journal.h"
#include "storage/recovery/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOUSE_KEYS = 240, HOUSE_CLIENTS = 4, HOUSE_CORES_MAX = 4 };

struct key_state {
	bool exists;
	uint32_t length, seed;                       /* of the value */
	uint32_t patch_at, patch_length, patch_seed; /* over it */
	int64_t expires_ms;
};

struct key_model {
	struct key_state acked, asked;
	bool is_asked;
	uint32_t tx; /* that asked for it; 0: none */
	uint32_t db;
};

struct model {
	struct key_model keys[HOUSE_KEYS];
	bool flush_asked; /* of all databases */
	uint32_t next_tx;
	uint64_t random;
	/* What happened, for the last line of a test: */
	uint64_t demotions, fetches, cleaned_bytes;
	uint64_t writes, transactions, images, flushes, lives, crashes, crashes_in_open, undecided;
};

struct house {
	struct sim_disk *disk;
	struct sim *sim;
	struct machine *machine;
	uint16_t n_cores;
	struct {
		struct core *core;
		struct io *io;
		enum reactor_stage stage;
	} cores[HOUSE_CORES_MAX];
	struct store *store;
	struct store_options options;
	struct model *model;
	struct keyspace_names names;
	uint64_t random; /* of what is done */
	char why[1024];
	uint64_t memory_max; /* of each core, under the policy tier; 0: no limit */
	uint32_t clients_left, clients_stopped; /* since a log has failed: they leave their locks */
};

void *model_share(size_t size); /* zeroed memory that a child process shares */
/* As cr_assert(), in a child process too, which Criterion does not listen to. */
#define must(condition, ...)                                                            \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			fprintf(stderr, "  " __VA_ARGS__);                              \
			fputc('\n', stderr);                                            \
			abort();                                                        \
		}                                                                       \
	} while (0)

struct model *model_new(uint64_t seed);
uint64_t chance(uint64_t *random, uint64_t n);

/* Begins the store and opens it. False: house->why, or the disk has crashed. */
bool house_open(struct house *house, struct sim_disk *disk, struct model *model, uint16_t n_cores, uint64_t seed);

/* Closes the store orderly: for house_run(). */
void house_shut(struct house *house, void *arg);

/* The same, and takes the house down. */
void house_close(struct house *house);

/* Runs `work` in a fiber of core 0 to its end; false: the disk has crashed. */
bool house_run(struct house *house, void (*work)(struct house *house, void *arg), void *arg);

/* Clients write `n` things each, at the same time; waits for them. One to which a log fails leaves, and its locks stay.
 * Fiber code of core 0. */
void house_write(struct house *house, uint32_t n);

/* Compares all keys with the model, and takes what is found as acknowledged; asserts. Between fibers. */
void house_verify(struct house *house);

/* Empties all databases. Fiber code of core 0, while no client writes. */
void house_flush(struct house *house);

/* ---- looking at what lies on the disk, between lives ------------------------------------------ */

/* As `orbit check` does: is it sound? What it says goes to `out`. False too if the disk crashed meanwhile. */
bool house_check(struct sim_disk *disk, const char *directory, uint64_t seed, struct buf *out);
bool house_dump(struct sim_disk *disk, const char *directory, uint64_t seed, struct buf *out);
bool house_salvage(struct sim_disk *disk, const char *directory, const char *into, uint64_t seed, struct buf *out);
