#include "storage/keyspace/waits.h"

#include "engine/base/rare.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/keyspace_private.h"

/* A key that somebody waits for. */
struct waited {
	struct waited *next; /* in its chain */
	struct key key;      /* the name lies behind */
	uint32_t types;      /* of all its waiters together; of those gone, too */
	bool shown;          /* its waiters are being shown: it stays, though it may have none */
	struct link ready;   /* in line; zeroed: it is not */
	struct link waiters;
	uint8_t name[];
};

struct waits {
	struct waited **chains;
	uint32_t cap; /* power of two */
	struct link ready;
};

enum { CHAINS_FIRST = RARE(64, 1) };

/* ---- rows ----------------------------------------------------------------------------- */

/* The link that leads to the key, or the end of its chain. */
static struct waited **waited_find(const struct waits *waits, const struct key *key)
{
	struct waited **at = &waits->chains[key->hash & (waits->cap - 1)];
	while (*at && ((*at)->key.hash != key->hash || (*at)->key.keyspace != key->keyspace ||
	               !slice_equal((*at)->key.name, key->name)))
		at = &(*at)->next;
	return at;
}

static size_t chains_size(uint32_t cap) { return cap * sizeof(struct waited *); }

static void resize(struct shard *shard, struct waits *waits, uint32_t cap)
{
	struct waited **old = waits->chains;
	uint32_t old_cap = waits->cap;
	waits->chains = table_take(shard, chains_size(cap));
	memset(waits->chains, 0, chains_size(cap));
	waits->cap = cap;
	for (uint32_t i = 0; i < old_cap; i++)
		for (struct waited *waited = old[i], *next; waited; waited = next) {
			next = waited->next;
			struct waited **at = &waits->chains[waited->key.hash & (cap - 1)];
			waited->next = *at;
			*at = waited;
		}
	if (old)
		table_give(shard, old, chains_size(old_cap));
}

static struct waits *waits_of(struct shard *shard)
{
	struct waits *waits = shard->tables->waits;
	if (waits)
		return waits;
	waits = shard->tables->waits = table_take(shard, sizeof(*waits));
	*waits = (struct waits){0};
	list_init(&waits->ready);
	resize(shard, waits, CHAINS_FIRST);
	return waits;
}

void waits_free(struct shard *shard)
{
	struct waits *waits = shard->tables->waits;
	if (!waits)
		return;
	assert(shard->waited_keys == 0);
	table_give(shard, waits->chains, chains_size(waits->cap));
	table_give(shard, waits, sizeof(*waits));
	shard->tables->waits = NULL;
}

static struct waited *waited_new(struct shard *shard, const struct key *key)
{
	struct waited *waited = table_take(shard, sizeof(*waited) + key->name.len);
	*waited = (struct waited){.key = *key};
	if (key->name.len)
		memcpy(waited->name, key->name.ptr, key->name.len);
	waited->key.name.ptr = waited->name;
	list_init(&waited->waiters);
	return waited;
}

static void forget_if_idle(struct shard *shard, struct waited *waited)
{
	struct waits *waits = shard->tables->waits;
	if (waited->shown || !list_empty(&waited->waiters))
		return;
	*waited_find(waits, &waited->key) = waited->next;
	list_remove(&waited->ready);
	shard->keys_ready = !list_empty(&waits->ready);
	table_give(shard, waited, sizeof(*waited) + waited->key.name.len);
	if (--shard->waited_keys == 0)
		waits_free(shard);
}

/* ---- waiting -------------------------------------------------------------------------- */

void waiter_add(struct shard *shard, const struct key *key, struct waiter *waiter)
{
	struct waits *waits = waits_of(shard);
	if (shard->waited_keys == waits->cap)
		resize(shard, waits, 2 * waits->cap);
	struct waited **at = waited_find(waits, key);
	if (!*at) {
		*at = waited_new(shard, key);
		shard->waited_keys++;
	}
	waiter->waited = *at;
	waiter->waited->types |= waiter->types;
	list_push_back(&waiter->waited->waiters, &waiter->link);
}

void waiter_remove(struct shard *shard, struct waiter *waiter)
{
	struct waited *waited = waiter->waited;
	if (!waited)
		return;
	list_remove(&waiter->link);
	waiter->waited = NULL;
	forget_if_idle(shard, waited);
}

struct waiter *waits_last(struct shard *shard, const struct key *key)
{
	if (shard->waited_keys == 0)
		return NULL;
	struct waited *waited = *waited_find(shard->tables->waits, key);
	return waited && !list_empty(&waited->waiters) ? container_of(waited->waiters.prev, struct waiter, link) : NULL;
}

const struct key *waiter_key(const struct waiter *waiter) { return &waiter->waited->key; }

uint32_t waits_count(const struct shard *shard) { return shard->waited_keys; }

/* Of all its waiters together, and none that have gone. */
static uint32_t types_waited_for(const struct waited *waited)
{
	uint32_t types = 0;
	list_each (link, &waited->waiters)
		types |= container_of(link, struct waiter, link)->types;
	return types;
}

const struct key *waits_overlooked(struct shard *shard)
{
	const struct waits *waits = shard->tables->waits;
	for (uint32_t i = 0; waits && i < waits->cap; i++)
		for (const struct waited *waited = waits->chains[i]; waited; waited = waited->next) {
			const struct object *object = keyspace_peek(shard, &waited->key);
			if (object && types_waited_for(waited) & 1u << object_type(object))
				return &waited->key;
		}
	return NULL;
}

/* ---- ready keys ----------------------------------------------------------------------- */

static void make_ready(struct shard *shard, struct waited *waited)
{
	if (link_linked(&waited->ready))
		return;
	list_push_back(&shard->tables->waits->ready, &waited->ready);
	shard->keys_ready = true;
}

void waits_mark(struct shard *shard, const struct key *key, const struct object *object)
{
	struct waited *waited = *waited_find(shard->tables->waits, key);
	uint32_t shown = WAITS_FOR_LOSS | (object ? 1u << object_type(object) : 0);
	if (waited && waited->types & shown)
		make_ready(shard, waited);
}

void waits_show_again(struct shard *shard, const struct key *key)
{
	if (shard->waited_keys == 0)
		return;
	struct waited *waited = *waited_find(shard->tables->waits, key);
	if (waited)
		make_ready(shard, waited);
}

static void show(struct shard *shard, const struct waits_server *server, struct waited *waited)
{
	waited->shown = true;
	for (struct link *at = waited->waiters.next, *next; at != &waited->waiters; at = next) {
		next = at->next;
		if (!server->serve(server->arg, &waited->key, container_of(at, struct waiter, link)) &&
		    !(waited->types & WAITS_FOR_LOSS))
			break;
	}
	waited->shown = false;
	list_remove(&waited->ready); /* what they took has made it ready once more, and they have seen that */
	forget_if_idle(shard, waited);
}

/* The first in line that may be shown. */
static struct waited *first_ready(struct shard *shard, const struct waits_server *server)
{
	struct waits *waits = shard->tables->waits;
	if (!waits)
		return NULL;
	list_each (link, &waits->ready) {
		struct waited *waited = container_of(link, struct waited, ready);
		if (server->may(server->arg, &waited->key))
			return waited;
	}
	return NULL;
}

void waits_serve(struct shard *shard, const struct waits_server *server)
{
	for (struct waited *waited; (waited = first_ready(shard, server));)
		show(shard, server, waited);
	shard->keys_ready = shard->tables->waits && !list_empty(&shard->tables->waits->ready);
}

/* ---- names ---------------------------------------------------------------------------- */

void waits_follow(struct shard *shard, uint32_t one, uint32_t other)
{
	struct waits *waits = shard->tables->waits;
	for (uint32_t i = 0; waits && i < waits->cap; i++)
		for (struct waited *waited = waits->chains[i]; waited; waited = waited->next) {
			struct key *key = &waited->key;
			if (key->keyspace != one && key->keyspace != other)
				continue;
			key->keyspace = key->keyspace == one ? other : one; /* its chain is the hash's */
			waits_mark(shard, key, keyspace_find(shard, key, FIND_QUIET));
		}
}
