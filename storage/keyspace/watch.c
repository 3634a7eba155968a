#include "storage/keyspace/watch.h"

#include "engine/memory/memory.h"
#include "storage/keyspace/keyspace_private.h"

/* A key somebody watches. */
struct watched {
	struct watched *next; /* in its chain */
	struct key key;       /* the name lies behind */
	uint64_t changes;     /* since it is watched */
	uint32_t watches;
	uint8_t name[];
};

struct watches {
	struct watched **chains;
	uint32_t n;
	uint32_t cap; /* power of two */
};

struct watch {
	struct watched *watched;
	uint64_t changes; /* of the key, when the watch was made */
	bool existed;
};

/* The link that leads to the key, or the end of its chain. */
static struct watched **watched_find(const struct watches *watches, const struct key *key)
{
	struct watched **at = &watches->chains[key->hash & (watches->cap - 1)];
	while (*at && ((*at)->key.hash != key->hash || (*at)->key.keyspace != key->keyspace ||
	               !slice_equal((*at)->key.name, key->name)))
		at = &(*at)->next;
	return at;
}

static void watches_resize(struct watches *watches, uint32_t cap)
{
	struct watches larger = {.n = watches->n, .cap = cap};
	larger.chains = memory_zalloc(cap * sizeof(*larger.chains));
	for (uint32_t i = 0; i < watches->cap; i++)
		for (struct watched *watched = watches->chains[i], *next; watched; watched = next) {
			next = watched->next;
			watched->next = NULL;
			*watched_find(&larger, &watched->key) = watched;
		}
	memory_free(watches->chains);
	*watches = larger;
}

static struct watched *watched_new(const struct key *key)
{
	struct watched *watched = memory_zalloc(sizeof(*watched) + key->name.len);
	watched->key = *key;
	if (key->name.len)
		memcpy(watched->name, key->name.ptr, key->name.len);
	watched->key.name.ptr = watched->name;
	return watched;
}

struct watch *watch_new(struct shard *shard, const struct key *key)
{
	/* First: an expired key is deleted here, which is no change for this watch. */
	bool existed = keyspace_find(shard, key, FIND_QUIET) != NULL;
	struct watches *watches = shard->tables->watches;
	if (!watches)
		watches = shard->tables->watches = memory_zalloc(sizeof(*watches));
	if (watches->n == watches->cap)
		watches_resize(watches, watches->cap ? 2 * watches->cap : 8);
	struct watched **at = watched_find(watches, key);
	if (!*at) {
		*at = watched_new(key);
		watches->n++;
	}
	struct watched *watched = *at;
	watched->watches++;
	struct watch *watch = memory_alloc(sizeof(*watch));
	*watch = (struct watch){.watched = watched, .changes = watched->changes, .existed = existed};
	return watch;
}

void watch_free(struct shard *shard, struct watch *watch)
{
	if (!watch)
		return;
	struct watches *watches = shard->tables->watches;
	struct watched *watched = watch->watched;
	memory_free(watch);
	if (--watched->watches)
		return;
	*watched_find(watches, &watched->key) = watched->next;
	memory_free(watched);
	if (--watches->n)
		return;
	memory_free(watches->chains);
	memory_free(watches);
	shard->tables->watches = NULL;
}

bool watch_broken(struct shard *shard, const struct watch *watch)
{
	if (watch->watched->changes != watch->changes)
		return true;
	/* It may have expired just now, or its keyspace was dropped. */
	return watch->existed && !keyspace_find(shard, &watch->watched->key, FIND_QUIET);
}

bool watch_existed(const struct watch *watch) { return watch->existed; }

void watches_mark(struct shard *shard, const struct key *key)
{
	struct watched *watched = *watched_find(shard->tables->watches, key);
	if (watched)
		watched->changes++;
}

static bool lives_in(struct shard *shard, const struct key *key, uint32_t keyspace)
{
	struct key there = *key;
	there.keyspace = keyspace;
	return keyspace_find(shard, &there, FIND_QUIET);
}

void watches_follow(struct shard *shard, uint32_t one, uint32_t other)
{
	struct watches *watches = shard->tables->watches;
	for (uint32_t i = 0; watches && i < watches->cap; i++)
		for (struct watched *watched = watches->chains[i]; watched; watched = watched->next) {
			struct key *key = &watched->key;
			if (key->keyspace != one && key->keyspace != other)
				continue;
			if (lives_in(shard, key, one) || lives_in(shard, key, other))
				watched->changes++;
			key->keyspace = key->keyspace == one ? other : one; /* its chain is the hash's */
		}
}
