/* keeper.h -- a client that has many keys on all shards to itself, and knows them over all lives of a data
 * directory: what was acknowledged, and what was asked for when the server died.
 *
 * What      It asks one thing after the other, several at a time, and expects each answer byte by byte. After a crash
 *           each key is as acknowledged, or as some of what was asked for after it left it, in order; and what
 *           one command changes is there wholly or not at all.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct client;
struct config;
struct history;
struct keeper;
struct world;

struct keeper *keeper_new(void) must_check;
void keeper_free(struct keeper *keeper);

/* Asks one thing, of that client. */
void keeper_ask(struct keeper *keeper, struct client *client);

/* The answer to what was asked as `number`; false: it is not what it should be. */
bool keeper_told(struct keeper *keeper, struct history *history, const struct config *config, uint32_t number,
                 struct slice reply);

/* Compares what is there at the beginning of a life, and takes it as known from now on. `lax`: what was acknowledged
 * may be lost, but nothing may be there that never was. What is wrong is told; values that nobody can tell are added
 * up. */
bool keeper_judge(struct keeper *keeper, struct world *world, bool lax, FILE *to, char *why, size_t why_size,
                  uint32_t *lost);

void keeper_print(const struct keeper *keeper, uint32_t number, FILE *to); /* what was asked */

uint64_t keeper_keys(const struct keeper *keeper);   /* that are there, as known */
uint64_t keeper_judged(const struct keeper *keeper); /* commands acknowledged and compared so far */
