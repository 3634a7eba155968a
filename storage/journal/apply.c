#include "storage/journal/apply.h"

#include "engine/placement/placement.h"
#include "storage/keyspace/cold.h"
#include "storage/keyspace/collection.h"

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

/* A key that is gone: see apply_expire(). An edit that the key has already comes from a transaction whose changes an
 * image has seen before they were logged. */
static enum err apply_edit(struct shard *shard, const struct key *key, const struct record_body *body)
{
	struct object *object = keyspace_peek(shard, key);
	if (!object)
		return OK;
	return collection_apply(shard, key, object, (enum object_type)body->type, body->version, body->value)
	               ? OK
	               : ERR_SYNTAX;
}

void change_read(const struct shard *shard, const struct record *record, struct change *out)
{
	out->record = record;
	out->sound = record_parse(record, &out->body);
	if (!out->sound)
		return;
	out->key = (struct key){.name = out->body.key,
	                        .hash = key_hash(shard->hash_seed, out->body.key),
	                        .keyspace = record->space,
	                        .slot = record->slot};
}

enum err change_apply(struct shard *shard, const struct change *change)
{
	const struct key *key = &change->key;
	assert(shard->recovering);
	if (!change->sound || slot_of(key->name) != key->slot)
		return ERR_SYNTAX;
	switch (change->record->kind) {
	case RECORD_KEY_PUT:
		return apply_put(shard, key, &change->body);
	case RECORD_KEY_DELETE:
		(void)keyspace_delete(shard, key);
		return OK;
	case RECORD_KEY_EXPIRE:
		return apply_expire(shard, key, &change->body);
	case RECORD_KEY_EDIT:
		return apply_edit(shard, key, &change->body);
	case RECORD_KEY_PATCH:
		return apply_patch(shard, key, &change->body);
	default:
		return ERR_SYNTAX;
	}
}

enum err record_apply(struct shard *shard, const struct record *record)
{
	struct change change;
	change_read(shard, record, &change);
	return change_apply(shard, &change);
}
