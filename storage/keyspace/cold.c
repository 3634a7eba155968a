/* Values that leave and come back: one object takes another's place, and nobody is told. */
#include "storage/keyspace/cold.h"

#include "storage/journal/journal.h"
#include "storage/keyspace/keyspace_private.h"

/* The journal may still point to the object that goes. */
static void place_swap(struct shard *shard, const struct place *place, struct object *fresh)
{
	struct object *old = entry_object(*place->entry);
	if (shard->journal)
		journal_flush(shard->journal);
	fresh->access = old->access;
	dict_replace(shard, place, fresh);
	object_discard(shard, old);
}

void keyspace_chill(struct shard *shard, const struct key *key, const struct cold_pointer *pointer)
{
	struct place place;
	struct object *object = place_peek(shard, key, &place);
	assert(object);
	assert(!object->lent);
	assert(!object_is_cold(object));
	struct object *cold =
	        object_new_cold(shard, (enum object_type)object->type, key_of(object), expiry_of(object), pointer);
	cold->encoding = object->encoding;
	place_swap(shard, &place, cold);
}

enum err keyspace_warm(struct shard *shard, const struct key *key, struct slice packed)
{
	struct place place;
	struct object *cold = place_peek(shard, key, &place);
	assert(cold);
	assert(object_is_cold(cold));
	struct object *warm = object_warm(shard, cold, packed);
	if (!warm)
		return ERR_SYNTAX;
	place_swap(shard, &place, warm);
	return OK;
}

void keyspace_repoint(struct shard *shard, const struct key *key, const struct cold_pointer *pointer)
{
	struct place place;
	struct object *object = place_peek(shard, key, &place);
	assert(object);
	object_repoint(shard, object, pointer);
}

void keyspace_put_cold(struct shard *shard, const struct key *key, enum object_type type, int64_t expires_ms,
                       const struct cold_pointer *pointer)
{
	struct place place;
	struct object *old = place_find(shard, key, &place);
	place_put(shard, key, &place, old, EXPIRES_NEVER, object_new_cold(shard, type, key->name, expires_ms, pointer));
}

/* ---- all of them -------------------------------------------------------------------- */

struct pointer_walk {
	void (*show)(void *arg, const struct cold_pointer *pointer);
	void *arg;
};

static void show_pointer(void *arg, uint64_t entry)
{
	const struct pointer_walk *walk = arg;
	struct cold_pointer pointer;
	if (object_pointer(entry_object(entry), &pointer))
		walk->show(walk->arg, &pointer);
}

void keyspace_each_entry(struct shard *shard, void (*show)(void *arg, uint64_t entry), void *arg)
{
	for (uint32_t i = 0; i < shard->tables->n_keyspaces; i++)
		for (uint32_t p = 0; p < PARTITIONS; p++) {
			uint64_t position = 0;
			do
				position = dict_walk(&shard->tables->keyspaces[i]->dicts[p], position, show, arg);
			while (position != 0);
		}
}

void keyspace_each_pointer(struct shard *shard, void (*show)(void *arg, const struct cold_pointer *pointer), void *arg)
{
	struct pointer_walk walk = {.show = show, .arg = arg};
	keyspace_each_entry(shard, show_pointer, &walk);
}
