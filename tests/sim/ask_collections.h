/* ask_collections.h -- commands on sets, hashes, sorted sets and streams: which ones, and in what words. */
#pragma once

#include "tests/sim/clients_private.h"

/* Fill in the rest of a step that has a database and one key. */
void draw_set(struct client *client, struct step *step);
void draw_hash(struct client *client, struct step *step);
void draw_zset(struct client *client, struct step *step);
void draw_stream(struct client *client, struct step *step);

/* Puts it into the output; keys have these names. */
void put_collection_step(struct client *client, struct texts *texts, const struct step *step,
                         const struct slice *names);
