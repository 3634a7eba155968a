#include "storage/journal/apply.h"

#include "engine/placement/placement.h"
#include "storage/keyspace/cold.h"

enum { PATCHED_MAX = 512 * 1024 * 1024 }; /* no string is longer than commands can make one */

static bool is_expiry(int64_t expires_ms) { return expires_ms >= 0 || expires_ms == EXPIRES_NEVER; }

static enum err apply_put(struct shard *shard, const struct key *key, const struct record_body *body)
{
	if (!is_expiry(body->expires_ms))
		return ERR_SYNTAX;
	return object_unpack(shard, key, body->value, body->expires_ms);
}

/* A key that is gone: a transaction changed its expiry, and it was evicted before the outcome. */
static enum err apply_expire(struct shard *shard, const struct key *key, const struct record_body *body)
{
	if (!is_expiry(body->expires_ms))
		return ERR_SYNTAX;
	struct object *object = keyspace_peek(shard, key);
	if (object && object_expires_ms(object) != body->expires_ms)
		keyspace_expire(shard, key, object, body->expires_ms);
	return OK;
}

static enum err apply_patch(struct shard *shard, const struct key *key, const struct record_body *body)
{
	uint64_t whole = body->whole_length;
	if (whole > PATCHED_MAX || body->offset > whole || body->value.len > whole - body->offset)
		return ERR_SYNTAX;
	struct object *object = keyspace_peek(shard, key);
	if (object && (object_type(object) != OBJECT_STRING || object_is_cold(object) || string_length(object) > whole))
		return ERR_SYNTAX;
	uint8_t *bytes = string_edit(shard, key, whole);
	if (body->value.len > 0)
		memcpy(bytes + body->offset, body->value.ptr, body->value.len);
	return OK;
}

enum err record_apply(struct shard *shard, const struct record *record)
{
	assert(shard->recovering);
	struct record_body body;
	if (!record_parse(record, &body))
		return ERR_SYNTAX;
	struct key key = {.name = body.key,
	                  .hash = key_hash(shard->hash_seed, body.key),
	                  .keyspace = record->space,
	                  .slot = record->slot};
	if (slot_of(body.key) != key.slot)
		return ERR_SYNTAX;
	switch (record->kind) {
	case RECORD_KEY_PUT:
		return apply_put(shard, &key, &body);
	case RECORD_KEY_DELETE:
		(void)keyspace_delete(shard, &key);
		return OK;
	case RECORD_KEY_EXPIRE:
		return apply_expire(shard, &key, &body);
	case RECORD_KEY_PATCH:
		return apply_patch(shard, &key, &body);
	default:
		return ERR_SYNTAX;
	}
}
