/* journal.h -- what commands change on a shard, on its way into the log; and what answers wait for.
 *
 * What      Every change of a key is noted (journal_note()); at the end of a command the state in which it
 *           left its keys goes into the log as one group (journal_flush()). Between the
 *           two nothing else runs on the shard. A table of fingerprints remembers the last LSN that
 *           wrote a key, so that a reader knows what its answer rests on (a collision only
 *           waits longer).
 * Over      A transaction over several shards collects its changes apart (struct changes), while it
 * shards    holds the locks: journal_prepare() logs them where they are; after the
 *           coordinator's commit record journal_outcome() makes them count.
 * Owner     The shard's core.
 */
#pragma once

#include "storage/keyspace/keyspace.h"
#include "storage/log/log.h"

#include <stdbool.h>
#include <stdint.h>

struct journal;

/* Changes noted and not logged: keys, each maybe more than once. Zeroed: none. */
struct changes {
	struct buf keys; /* of struct change, names behind each */
	uint32_t n;
	const struct object *only; /* of the only change, if it put an object */
};

/* A journal without a log notes nothing: servers without durability, scratch shards, recovery. */
struct journal *journal_new(struct shard *shard, struct log *log) must_check;
void journal_free(struct journal *journal); /* NULL is fine; not the log */
struct log *journal_log(struct journal *journal);

/* The key was put (`object`), or is gone (NULL). Called by the keyspace at each change. */
void journal_note(struct journal *journal, const struct key *key, const struct object *object);

/* Of the string that was just changed by string_edit(), bytes [at, at + len) are all that changed, and the zeros
 * that lengthened it. */
void journal_note_patch(struct journal *journal, uint64_t at, uint64_t len);

/* Logs what was noted, as one group; the LSN of its last record, 0 if there was nothing. */
uint64_t journal_flush(struct journal *journal);

/* What is noted from now on goes to `changes`, until journal_collect(journal, NULL). */
void journal_collect(struct journal *journal, struct changes *changes);
void changes_free(struct changes *changes);

/* Logs collected changes as the part of a transaction that lies here; the LSN that must be durable
 * before the commit record is written. */
uint64_t journal_prepare(struct journal *journal, const struct changes *changes, const struct tx_id *tx);
uint64_t journal_commit(struct journal *journal, const struct tx_id *tx); /* the coordinator's */
uint64_t journal_outcome(struct journal *journal, const struct tx_id *tx, bool committed);
struct tx_id journal_next_tx(struct journal *journal);

/* What an answer that read or wrote this key rests on: an LSN that is not durable yet, or 0. */
uint64_t journal_rests_on(const struct journal *journal, uint64_t hash);
uint64_t journal_rests_on_all(const struct journal *journal); /* it looked at many keys */

/* A row of the system partition (core 0 only). */
uint64_t journal_put_row(struct journal *journal, struct slice name, struct slice value);
