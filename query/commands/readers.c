#include "query/commands/readers.h"

#include "engine/base/rare.h"
#include "engine/memory/memory.h"

#include <assert.h>
#include <string.h>

enum { SEGMENT = RARE(1024, 2), SPARSE = 4 };

struct readers {
	struct read_key ***segments; /* of SEGMENT chains each */
	uint32_t n_segments, segments_room;
	uint32_t n_chains;
	uint32_t low; /* power of two: low <= n_chains < 2 * low */
	uint64_t keys, items;
};

/* ---- chains ----------------------------------------------------------------------- */

static struct read_key **chain_at(const struct readers *readers, uint32_t at)
{
	return &readers->segments[at / SEGMENT][at % SEGMENT];
}

static uint32_t chain_number(const struct readers *readers, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash & (2 * (uint64_t)readers->low - 1));
	return at < readers->n_chains ? at : at - readers->low;
}

static void segment_add(struct readers *readers)
{
	if (readers->n_segments == readers->segments_room) {
		readers->segments_room = readers->segments_room ? 2 * readers->segments_room : 4;
		readers->segments =
		        memory_resize(readers->segments, readers->segments_room * sizeof(*readers->segments));
	}
	readers->segments[readers->n_segments++] = memory_zalloc(SEGMENT * sizeof(struct read_key *));
}

/* One chain more, with its part of the one that it splits off from. */
static void grow(struct readers *readers)
{
	uint32_t new = readers->n_chains;
	if (new == readers->n_segments * SEGMENT)
		segment_add(readers);
	readers->n_chains++;
	if (readers->n_chains == 2 * readers->low)
		readers->low *= 2;
	uint32_t old = new & ~(1u << (31 - __builtin_clz(new)));
	struct read_key **to = chain_at(readers, new);
	for (struct read_key **at = chain_at(readers, old), *key; (key = *at);) {
		if (chain_number(readers, key->hash) == old) {
			at = &key->next;
			continue;
		}
		*at = key->next;
		key->next = *to;
		*to = key;
	}
}

static void shrink(struct readers *readers)
{
	uint32_t last = --readers->n_chains;
	if (readers->n_chains < readers->low)
		readers->low /= 2;
	struct read_key **from = chain_at(readers, last), **to = chain_at(readers, last - readers->low);
	while (*to)
		to = &(*to)->next;
	*to = take(*from);
	if (last % SEGMENT == 0)
		memory_free(readers->segments[--readers->n_segments]);
}

/* ---- one key ---------------------------------------------------------------------- */

static void read_key_free(struct read_key *key)
{
	if (key->room)
		memory_free(key->many);
	memory_free(key);
}

static struct read_key *read_key_new(uint64_t hash, struct slice name)
{
	struct read_key *key = memory_alloc(sizeof(*key) + name.len);
	*key = (struct read_key){.hash = hash, .name_len = (uint32_t)name.len};
	if (name.len > 0)
		memcpy(key->name, name.ptr, name.len);
	return key;
}

/* Where the reader is or belongs. */
static uint32_t rank(const struct read_key *key, uint64_t reader)
{
	const uint64_t *all = read_key_readers(key);
	uint32_t from = 0, to = key->n_readers;
	if (to > 0 && all[to - 1] < reader)
		return to; /* who came last has the greatest number */
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (all[middle] < reader)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool has_reader(const struct read_key *key, uint32_t at, uint64_t reader)
{
	return at < key->n_readers && read_key_readers(key)[at] == reader;
}

static void make_room(struct read_key *key)
{
	if (key->room == 0) {
		uint64_t *many = memory_alloc(4 * sizeof(*many));
		many[0] = key->one;
		key->many = many;
		key->room = 4;
	} else if (key->n_readers == key->room) {
		key->room *= 2;
		key->many = memory_resize(key->many, key->room * sizeof(*key->many));
	}
}

/* False: it is there already. */
static bool read_key_add(struct read_key *key, uint64_t reader)
{
	uint32_t at = rank(key, reader);
	if (has_reader(key, at, reader))
		return false;
	if (key->n_readers == 0) {
		key->one = reader;
	} else {
		make_room(key);
		memmove(key->many + at + 1, key->many + at, (key->n_readers - at) * sizeof(*key->many));
		key->many[at] = reader;
	}
	key->n_readers++;
	return true;
}

/* ---- all -------------------------------------------------------------------------- */

struct readers *readers_new(void)
{
	struct readers *readers = memory_zalloc(sizeof(*readers));
	segment_add(readers);
	readers->n_chains = readers->low = SEGMENT;
	return readers;
}

bool readers_free_some(struct readers *readers, uint32_t keys)
{
	while (readers->n_chains > 0) {
		struct read_key **chain = chain_at(readers, readers->n_chains - 1);
		for (struct read_key *key; (key = *chain); keys--) {
			if (keys == 0)
				return false;
			*chain = key->next;
			read_key_free(key);
		}
		if (--readers->n_chains % SEGMENT == 0)
			memory_free(readers->segments[--readers->n_segments]);
	}
	memory_free(readers->segments);
	memory_free(readers);
	return true;
}

void readers_free(struct readers *readers)
{
	while (readers && !readers_free_some(readers, UINT32_MAX))
		;
}

struct read_key *readers_find(const struct readers *readers, uint64_t hash, struct slice name)
{
	struct read_key *key = *chain_at(readers, chain_number(readers, hash));
	while (key && (key->hash != hash || !slice_equal(read_key_name(key), name)))
		key = key->next;
	return key;
}

void readers_add(struct readers *readers, uint64_t hash, struct slice name, uint64_t reader)
{
	assert(reader != READER_NONE);
	struct read_key *key = readers_find(readers, hash, name);
	if (!key) {
		if (++readers->keys > readers->n_chains)
			grow(readers);
		key = read_key_new(hash, name);
		struct read_key **chain = chain_at(readers, chain_number(readers, hash));
		key->next = *chain;
		*chain = key;
	}
	readers->items += read_key_add(key, reader);
}

struct read_key *readers_any(const struct readers *readers, uint64_t random)
{
	if (readers->keys == 0)
		return NULL;
	uint32_t at = (uint32_t)(random % readers->n_chains);
	while (!*chain_at(readers, at))
		at = (at + 1) % readers->n_chains;
	return *chain_at(readers, at);
}

static void remove_key(struct readers *readers, struct read_key *key)
{
	struct read_key **at = chain_at(readers, chain_number(readers, key->hash));
	while (*at != key)
		at = &(*at)->next;
	*at = key->next;
	read_key_free(key);
	if (--readers->keys < readers->n_chains / SPARSE && readers->n_chains > SEGMENT)
		shrink(readers);
}

void readers_forget(struct readers *readers, struct read_key *key, uint64_t but)
{
	bool keeps = but != READER_NONE && has_reader(key, rank(key, but), but);
	readers->items -= key->n_readers - keeps;
	if (!keeps) {
		remove_key(readers, key);
		return;
	}
	if (key->room)
		memory_free(key->many);
	key->room = 0;
	key->n_readers = 1;
	key->one = but;
}

uint64_t readers_keys(const struct readers *readers) { return readers->keys; }
uint64_t readers_items(const struct readers *readers) { return readers->items; }

void readers_verify(const struct readers *readers)
{
	uint64_t keys = 0, items = 0;
	assert(readers->low <= readers->n_chains && readers->n_chains < 2 * readers->low);
	assert(readers->n_segments == (readers->n_chains + SEGMENT - 1) / SEGMENT);
	for (uint32_t at = 0; at < readers->n_chains; at++) {
		for (const struct read_key *key = *chain_at(readers, at); key; key = key->next, keys++) {
			assert(chain_number(readers, key->hash) == at);
			assert(key->n_readers > 0 &&
			       (key->room == 0 ? key->n_readers == 1 : key->n_readers <= key->room));
			for (uint32_t i = 1; i < key->n_readers; i++)
				assert(key->many[i - 1] < key->many[i]);
			items += key->n_readers;
		}
	}
	assert(keys == readers->keys && items == readers->items);
}
