/* Keyspaces, one key, many keys: the public calls. */
#include "storage/keyspace/keyspace.h"

#include "engine/memory/memory.h"
#include "storage/journal/journal.h"
#include "storage/keyspace/access_private.h"
#include "storage/keyspace/collection_private.h"

/* ---- keyspaces ---------------------------------------------------------------------- */

/* The first whose id is not smaller. */
static uint32_t keyspace_rank(const struct keyspace_tables *tables, uint32_t id)
{
	uint32_t from = 0, to = tables->n_keyspaces;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (tables->keyspaces[middle]->id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct keyspace *keyspace_lookup(struct keyspace_tables *tables, uint32_t id)
{
	uint32_t rank = keyspace_rank(tables, id);
	if (rank == tables->n_keyspaces || tables->keyspaces[rank]->id != id)
		return NULL;
	return tables->last = tables->keyspaces[rank];
}

static struct keyspace *keyspace_make(struct shard *shard, uint32_t id)
{
	struct keyspace_tables *tables = shard->tables;
	if (tables->n_keyspaces == tables->keyspaces_cap) {
		tables->keyspaces_cap = tables->keyspaces_cap ? 2 * tables->keyspaces_cap : 4;
		tables->keyspaces = memory_resize(tables->keyspaces, tables->keyspaces_cap * sizeof(struct keyspace *));
	}
	struct keyspace *keyspace = table_take(shard, sizeof(*keyspace));
	memset(keyspace, 0, sizeof(*keyspace));
	keyspace->id = id;
	for (unsigned partition = 0; partition < PARTITIONS; partition++)
		keyspace->dicts[partition].partition = (uint8_t)partition;
	uint32_t rank = keyspace_rank(tables, id);
	struct keyspace **at = &tables->keyspaces[rank];
	memmove(at + 1, at, (tables->n_keyspaces - rank) * sizeof(*at));
	*at = keyspace;
	tables->n_keyspaces++;
	return tables->last = keyspace;
}

void keyspace_unlist(struct keyspace_tables *tables, struct keyspace *keyspace)
{
	uint32_t rank = keyspace_rank(tables, keyspace->id);
	struct keyspace **at = &tables->keyspaces[rank];
	memmove(at, at + 1, (--tables->n_keyspaces - rank) * sizeof(*at));
	if (tables->last == keyspace)
		tables->last = NULL;
}

uint64_t keyspace_count(struct shard *shard, uint32_t id)
{
	struct keyspace *keyspace = keyspace_of(shard->tables, id);
	return keyspace ? keyspace->count : 0;
}

uint64_t keyspace_count_expiring(struct shard *shard, uint32_t id)
{
	struct keyspace *keyspace = keyspace_of(shard->tables, id);
	return keyspace ? keyspace->expiring : 0;
}

uint64_t keyspace_count_due(struct shard *shard, uint32_t id)
{
	struct keyspace *keyspace = keyspace_of(shard->tables, id);
	return keyspace ? keyspace->due : 0;
}

uint64_t keyspace_average_ttl_ms(struct shard *shard, uint32_t id)
{
	struct keyspace *keyspace = keyspace_of(shard->tables, id);
	if (!keyspace || !keyspace->expiring)
		return 0;
	int64_t average_ms = (int64_t)(keyspace->expiry_sum_ms / keyspace->expiring) - shard->now_ms;
	return average_ms > 0 ? (uint64_t)average_ms : 0;
}

/* ---- one key ------------------------------------------------------------------------ */

/* The dictionary where a key belongs, or NULL if it has no keys at all. */
static struct dict *dict_of(struct shard *shard, const struct key *key)
{
	struct keyspace *keyspace = keyspace_of(shard->tables, key->keyspace);
	if (unlikely(!keyspace))
		return NULL;
	struct dict *dict = &keyspace->dicts[partition_of(key->slot)];
	return likely(dict->directory != NULL) ? dict : NULL;
}

void keyspace_prefetch_way(struct shard *shard, const struct key *key)
{
	struct dict *dict = dict_of(shard, key);
	if (dict)
		__builtin_prefetch(dict_cell_at(dict, position_of(key->hash)));
}

static inline void prefetch_bucket(const struct probe *probe)
{
	struct bucket *home = &probe->segment->buckets[probe->home];
	__builtin_prefetch(home);
	__builtin_prefetch(&home->entries[6]); /* its second line */
}

void keyspace_prefetch_bucket(struct shard *shard, const struct key *key)
{
	struct dict *dict = dict_of(shard, key);
	if (!dict)
		return;
	struct probe probe = dict_probe(dict, key->hash);
	prefetch_bucket(&probe);
}

void keyspace_prefetch_change(struct shard *shard, const struct key *key)
{
	struct dict *dict = dict_of(shard, key);
	if (!dict)
		return;
	struct probe probe = dict_probe(dict, key->hash);
	prefetch_bucket(&probe);
	__builtin_prefetch(&probe.segment->count);
}

void keyspace_prefetch_object(struct shard *shard, const struct key *key)
{
	struct dict *dict = dict_of(shard, key);
	if (!dict)
		return;
	struct probe probe = dict_probe(dict, key->hash);
	struct bucket *home = &probe.segment->buckets[probe.home];
	for (unsigned matches = bucket_match(home, probe.tag); matches; matches &= matches - 1) {
		uint64_t entry = home->entries[__builtin_ctz(matches)];
		if (entry_window(entry) != probe.window)
			continue;
		__builtin_prefetch(entry_object(entry));
		__builtin_prefetch((uint8_t *)entry_object(entry) + 40); /* small objects often straddle two lines */
		return;
	}
	if (home->near)
		__builtin_prefetch(&probe.segment->buckets[next_bucket(probe.home, probe.n)]);
}

static void tell_change(struct shard *shard, const struct key *key)
{
	shard->changes++;
	if (unlikely(shard->tables->watches != NULL))
		watches_mark(shard, key);
	if (unlikely(shard->tracked != NULL))
		shard->tracked(shard, key, false);
	if (shard->changed)
		shard->changed(shard, key);
}

void shard_key_changed(struct shard *shard, const struct key *key, const struct object *object)
{
	tell_change(shard, key);
	if (unlikely(shard->waited_keys > 0))
		waits_mark(shard, key, object);
	if (shard->journal && likely(!shard->recovering))
		journal_note(shard->journal, key, object);
}

/* The name may lie in the object itself, so that goes last. */
static void place_delete(struct shard *shard, const struct key *key, const struct place *place)
{
	struct object *object = entry_object(*place->entry);
	dict_remove(shard, place);
	shard_key_changed(shard, key, NULL);
	object_discard(shard, object);
}

struct object *place_peek(struct shard *shard, const struct key *key, struct place *out)
{
	struct dict *dict = dict_of(shard, key);
	return dict && dict_find(dict, key->hash, key->name, out) ? entry_object(*out->entry) : NULL;
}

static bool place_expired(const struct shard *shard, const struct place *place)
{
	return unlikely(*place->entry & ENTRY_WAITS) && object_expired(entry_object(*place->entry), shard->now_ms) &&
	       !shard->recovering;
}

/* The key itself, or all elements of its value. */
static void tell_expired(struct shard *shard, const struct key *key, const struct object *object)
{
	if (object_is_over(object, shard->now_ms)) {
		shard->counters.expired_elements += collection_count(object);
		shard_key_happened(shard, key, KEY_ELEMENTS_EXPIRED);
		shard_key_happened(shard, key, KEY_EMPTIED);
	} else {
		shard->counters.expired++;
		shard_key_happened(shard, key, KEY_EXPIRED);
	}
}

struct object *place_find(struct shard *shard, const struct key *key, struct place *out)
{
	struct object *object = place_peek(shard, key, out);
	if (likely(!object || !place_expired(shard, out)))
		return object;
	tell_expired(shard, key, object);
	if (unlikely(shard->tracked != NULL))
		shard->tracked(shard, key, true); /* before it counts as the running command's doing */
	place_delete(shard, key, out);
	return NULL;
}

/* For readers: what has expired is gone, but stays as long as the log has no room to say so. */
static struct object *place_find_living(struct shard *shard, const struct key *key)
{
	struct place place;
	struct object *object = place_peek(shard, key, &place);
	if (likely(!object || !place_expired(shard, &place)))
		return object;
	return shard_may_forget(shard) ? place_find(shard, key, &place) : NULL;
}

struct object *keyspace_peek(struct shard *shard, const struct key *key)
{
	struct place place;
	return place_peek(shard, key, &place);
}

struct object *keyspace_find(struct shard *shard, const struct key *key, enum find_how how)
{
	struct object *object = place_find_living(shard, key);
	if (how == FIND_QUIET)
		return object;
	if (!object) {
		shard->counters.misses += how == FIND_READ;
		return NULL;
	}
	shard->counters.hits += how == FIND_READ;
	access_touch(shard, object);
	return object;
}

void place_put(struct shard *shard, const struct key *key, const struct place *place, struct object *old,
               int64_t before_ms, struct object *object)
{
	if (!old) {
		struct keyspace *keyspace = keyspace_of(shard->tables, key->keyspace);
		if (unlikely(!keyspace))
			keyspace = keyspace_make(shard, key->keyspace);
		dict_insert(shard, &keyspace->dicts[partition_of(key->slot)], key->hash, object);
		shard_key_happened(shard, key, KEY_NEW);
	} else {
		if (old == object) {
			if (before_ms != expiry_of(object))
				dict_expiry_changed(shard, place, before_ms);
		} else {
			object->access = old->access;
			dict_replace(shard, place, object);
		}
		access_touch(shard, object);
	}
	shard_key_changed(shard, key, object);
	if (old && old != object)
		object_discard(shard, old);
}

bool keyspace_delete(struct shard *shard, const struct key *key)
{
	struct place place;
	if (!place_find(shard, key, &place))
		return false;
	place_delete(shard, key, &place);
	return true;
}

struct key key_from(struct shard *shard, const struct keyspace *keyspace, const struct object *object)
{
	struct slice name = key_of(object);
	return (struct key){.name = name,
	                    .hash = key_hash(shard->hash_seed, name),
	                    .keyspace = keyspace->id,
	                    .slot = slot_of(name)};
}

void keyspace_forget(struct shard *shard, struct keyspace *keyspace, struct object *object, enum key_event why)
{
	struct key key = key_from(shard, keyspace, object);
	struct place place;
	bool found = dict_find(&keyspace->dicts[partition_of(key.slot)], key.hash, key.name, &place);
	assert(found);
	dict_remove(shard, &place);
	tell_change(shard, &key);
	if (shard->journal)
		journal_note_gone(shard->journal, &key);
	shard_key_happened(shard, &key, why);
	object_discard(shard, object);
}

struct object *keyspace_expire(struct shard *shard, const struct key *key, struct object *object, int64_t expires_ms)
{
	struct place place;
	struct object *found = place_find(shard, key, &place);
	assert(found == object);
	assert(expires_ms >= 0 || expires_ms == EXPIRES_NEVER);
	int64_t before_ms = expiry_of(object);
	if (object->shape & SHAPE_EXPIRES)
		*object_expiry(object) = expires_ms;
	else if (expires_ms != EXPIRES_NEVER)
		object = object_reshape(shard, object, key->name, expires_ms,
		                        true); /* nothing hangs from such an object */
	place_put(shard, key, &place, found, before_ms, object);
	if (shard->journal && !shard->recovering)
		journal_note_expiry(shard->journal);
	return object;
}

void keyspace_due_changed(struct shard *shard, const struct key *key)
{
	struct place place;
	if (place_peek(shard, key, &place))
		dict_due_changed(shard, &place);
}

void keyspace_due_later(struct shard *shard, const struct key *key, int64_t at_ms)
{
	struct place place;
	struct object *object = place_peek(shard, key, &place);
	if (!object)
		return;
	place.segment->swept_ms = at_ms;
	segment_expires(shard, place.segment, object_due_ms(object));
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->keyspace == b->keyspace && slice_equal(a->name, b->name);
}

void keyspace_copy(struct shard *shard, const struct key *from, const struct key *to)
{
	struct place place;
	struct object *object = place_find(shard, from, &place);
	assert(object);
	if (same_key(from, to))
		return;
	assert(!object_is_cold(object));
	if (object_kind(object->type)->collection) {
		struct object *copy = collection_share(shard, object, to->name, expiry_of(object));
		struct object *old = place_find(shard, to, &place);
		place_put(shard, to, &place, old, old ? expiry_of(old) : EXPIRES_NEVER, copy);
		return;
	}
	struct buf packed = {0};
	object_pack(object, &packed);
	enum err err = object_unpack(shard, to, buf_slice(&packed), expiry_of(object));
	assert(err == OK);
	buf_fini(&packed);
}

void keyspace_move(struct shard *shard, const struct key *from, const struct key *to)
{
	struct place place;
	struct object *object = place_find(shard, from, &place);
	assert(object);
	if (same_key(from, to))
		return;
	if (object->lent) { /* what is lent stays where it is, until it comes back */
		keyspace_copy(shard, from, to);
		keyspace_delete(shard, from);
		return;
	}
	struct object *moved = object_reshape(shard, object, to->name, expiry_of(object), false);
	dict_remove(shard, &place);
	shard_key_changed(shard, from, NULL);
	object_free_shell(shard, object);
	struct object *old = place_find(shard, to, &place);
	uint32_t access = moved->access;
	place_put(shard, to, &place, old, EXPIRES_NEVER, moved);
	moved->access = access;
}

/* ---- many keys ---------------------------------------------------------------------- */

struct scan {
	void (*show)(void *arg, struct object *object);
	void *arg;
	int64_t now_ms;
	uint32_t seen;
};

static void scan_entry(void *arg, uint64_t entry)
{
	struct scan *scan = arg;
	scan->seen++;
	if (!object_expired(entry_object(entry), scan->now_ms))
		scan->show(scan->arg, entry_object(entry));
}

static void scan_any_entry(void *arg, uint64_t entry)
{
	struct scan *scan = arg;
	scan->seen++;
	scan->show(scan->arg, entry_object(entry));
}

static uint64_t scan_from(struct shard *shard, uint32_t id, uint16_t partition, uint64_t position, uint32_t want,
                          void (*show)(void *arg, uint64_t entry), struct scan *scan)
{
	assert(partition < PARTITIONS);
	struct keyspace *keyspace = keyspace_of(shard->tables, id);
	if (!keyspace)
		return 0;
	do {
		uint32_t before = scan->seen;
		position = dict_walk(&keyspace->dicts[partition], position, show, scan);
		scan->seen += scan->seen == before; /* an empty bucket is work too */
	} while (position != 0 && scan->seen < want);
	return position;
}

uint64_t keyspace_scan(struct shard *shard, uint32_t id, uint16_t partition, uint64_t position, uint32_t want,
                       void (*show)(void *arg, struct object *object), void *arg)
{
	struct scan scan = {.show = show, .arg = arg, .now_ms = shard->now_ms};
	return scan_from(shard, id, partition, position, want, scan_entry, &scan);
}

uint64_t keyspace_scan_all(struct shard *shard, uint32_t id, uint16_t partition, uint64_t position, uint32_t want,
                           void (*show)(void *arg, struct object *object), void *arg)
{
	struct scan scan = {.show = show, .arg = arg};
	return scan_from(shard, id, partition, position, want, scan_any_entry, &scan);
}

uint64_t key_position(uint64_t hash) { return position_of(hash); }

static void keep_first(void *arg, struct object *object)
{
	struct object **first = arg;
	if (!*first)
		*first = object;
}

/* For keyspaces where nearly every key has expired. */
static struct object *first_living(struct shard *shard, struct keyspace *keyspace, unsigned from)
{
	struct object *first = NULL;
	for (unsigned i = 0; i < PARTITIONS && !first; i++) {
		uint64_t position = 0;
		do
			position = keyspace_scan(shard, keyspace->id, (uint16_t)((from + i) % PARTITIONS), position, 1,
			                         keep_first, &first);
		while (position != 0 && !first);
	}
	return first;
}

/* The dictionary that holds key number `at`, counted through all partitions. */
static struct dict *dict_by_number(struct keyspace *keyspace, uint64_t at)
{
	struct dict *dict = keyspace->dicts;
	for (; at >= dict->count; dict++)
		at -= dict->count;
	return dict;
}

struct object *keyspace_random(struct shard *shard, uint32_t id, uint64_t random)
{
	struct keyspace *keyspace = keyspace_of(shard->tables, id);
	if (!keyspace || !keyspace->count)
		return NULL;
	for (int tries = 0; tries < 32; tries++) {
		struct dict *dict = dict_by_number(keyspace, random % keyspace->count);
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint64_t entry = dict_random(dict, random);
		if (entry && !object_expired(entry_object(entry), shard->now_ms))
			return entry_object(entry);
	}
	return first_living(shard, keyspace, random % PARTITIONS);
}
