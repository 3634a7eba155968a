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
 * By itself Expiry and eviction in the background delete keys outside of commands: those deletions are noted
 *           apart even while a transaction collects, and flushed by shard_background(); those of
 *           shard_admit() by whoever asked it.
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
	struct buf keys;  /* of struct change, names behind each */
	struct buf edits; /* of collections, what the changes say of them */
	size_t last;      /* where the last one lies in it */
	uint32_t n;       /* of keys */
	struct buf rows;  /* of the system partition, that came or went */
};

static inline bool changes_any(const struct changes *changes) { return changes->n > 0 || changes->rows.len > 0; }

/* The key of this hash will be changed soon: what is remembered of it is fetched ahead. */
void journal_prefetch(const struct journal *journal, uint64_t hash);

/* Notes what happens on a shard from the time on when shard->journal is set. A shard without one notes nothing:
 * servers without durability, scratch shards. A shard that recovers (shard->recovering) notes nothing either. */
struct journal *journal_new(struct shard *shard, struct log *log) must_check;
void journal_free(struct journal *journal); /* NULL is fine; not the log; the shard has none then */
struct log *journal_log(struct journal *journal);

/* ---- noting ------------------------------------------------------------------------- */

/* The key was put (`object`), or is gone (NULL). Called by the keyspace at each change. An object that
 * the key had before is still readable then. */
void journal_note(struct journal *journal, const struct key *key, const struct object *object);

/* The key is gone by no command's doing: its record stands alone, whatever is being collected. */
void journal_note_gone(struct journal *journal, const struct key *key);

/* Of the key just noted only the expiry changed. */
void journal_note_expiry(struct journal *journal);

/* How many notes there were: another after each. */
uint64_t journal_notes(const struct journal *journal);

/* Of the collection just noted only what the edits say is changed, and make this version of it: no edits yet. Then
 * room for one more of `len` bytes, for the caller to fill, as long as nothing else is noted. */
void journal_note_edit(struct journal *journal, uint32_t version);
uint8_t *journal_edit(struct journal *journal, size_t len);

/* Of the string that was just changed by string_edit(), bytes [at, at + len) are all that changed, and the zeros
 * that lengthened it. Said again for the same string_edit(): these too, and what lies between. */
void journal_note_patch(struct journal *journal, uint64_t at, uint64_t len);

static inline void shard_note_patch(struct shard *shard, uint64_t at, uint64_t len)
{
	if (shard->journal)
		journal_note_patch(shard->journal, at, len);
}

/* The log may hold nothing but a pointer in place of what the string was before: no patch can say the change. */
void journal_note_whole(struct journal *journal);

/* A key's value has left memory, or lies elsewhere: says so in a record of its own. It is no change. */
void journal_note_pointer(struct journal *journal, const struct key *key, const struct object *object);

/* Objects are about to go without a note: a keyspace is dropped. */
void journal_keep_names(struct journal *journal);

/* Logs what was noted, as one group; the LSN of its last record, 0 if there was nothing. */
uint64_t journal_flush(struct journal *journal);

/* ---- transactions over several shards ------------------------------------------------- */

/* What is noted from now on goes to `changes`, until journal_collect(journal, NULL). Both flush. */
void journal_collect(struct journal *journal, struct changes *changes);
void changes_free(struct changes *changes);

/* Rows of the system partition that change together with them, in this order (core 0 only). */
void changes_put_row(struct changes *changes, struct slice name, struct slice value);
void changes_delete_row(struct changes *changes, struct slice name);

/* Logs collected changes where they are all that there is, as one group; as journal_flush(). */
uint64_t journal_flush_changes(struct journal *journal, struct changes *changes);

/* Logs collected changes as the part of a transaction that lies here, in the state that the keys are in now; the
 * LSN that must be durable before the commit record is written. */
uint64_t journal_prepare(struct journal *journal, const struct changes *changes, const struct tx_id *tx);
uint64_t journal_commit(struct journal *journal, const struct tx_id *tx); /* the coordinator's */

/* Keys of the transaction that went by themselves since it was prepared are deleted again in the outcome's
 * group: replay puts them with the outcome. */
uint64_t journal_outcome(struct journal *journal, const struct tx_id *tx, bool committed);
struct tx_id journal_next_tx(struct journal *journal);

/* ---- answers -------------------------------------------------------------------------- */

/* What an answer that read or wrote this key rests on: an LSN that is not durable yet, or 0. */
uint64_t journal_rests_on(const struct journal *journal, uint64_t hash);
uint64_t journal_rests_on_all(const struct journal *journal); /* it looked at many keys */

/* May a command run? ERR_SHARD_STOPPED once the log has failed, whatever it does; ERR_NO_ROOM for what
 * grows when log room is low, for all that writes when there is none; what frees everything runs as long as it can. */
enum shard_use { SHARD_READS, SHARD_WRITES, SHARD_GROWS, SHARD_FREES };
enum err journal_refuses(const struct journal *journal, enum shard_use use) must_check;

static inline enum err shard_refuses(const struct shard *shard, enum shard_use use)
{
	return likely(!shard->journal) ? OK : journal_refuses(shard->journal, use);
}

/* A row of the system partition (core 0 only). */
uint64_t journal_put_row(struct journal *journal, struct slice name, struct slice value);
