/* apply.h -- records on their way back into a shard.
 *
 * What      Applies one record of a key to a shard that recovers (shard->recovering): no clock and no
 *           chance, and applying it twice in a row is the same as once.
 * Transactions  are the caller's: records behind a TX_PREPARE are applied with its outcome.
 * Errors    ERR_SYNTAX: malformed, or at odds with what is there: the key's slot is another, a patch
 *           of something shorter. The shard is as it was.
 */
#pragma once

#include "engine/base/err.h"
#include "storage/keyspace/keyspace.h"
#include "storage/log/record.h"

/* KEY_PUT, KEY_DELETE, KEY_EXPIRE, KEY_PATCH. */
enum err record_apply(struct shard *shard, const struct record *record) must_check;

/* The same in two steps, so that what many records will touch can be fetched between them. Slices point where the
 * record's do. */
struct change {
	const struct record *record;
	struct record_body body;
	struct key key;
	bool sound; /* false: malformed, change_apply() will say so */
};
void change_read(const struct shard *shard, const struct record *record, struct change *out);
enum err change_apply(struct shard *shard, const struct change *change) must_check;
