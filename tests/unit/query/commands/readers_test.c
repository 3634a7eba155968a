/* Who has read which keys, against a plain table of bits. */
#include "query/commands/readers.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 5000, READERS = 12 };

/* Bits of the readers of each key. */
static uint16_t model[KEYS];
static uint64_t seed;

static uint64_t random_number(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 33;
}

static struct slice name_of(uint32_t key, char out[16]) { return slice_of(out, (size_t)snprintf(out, 16, "%u", key)); }

/* Few different ones, so that chains are shared by keys of one hash, too. */
static uint64_t hash_of(uint32_t key) { return (uint64_t)(key / 2) * 0x9e3779b97f4a7c15u >> 7; }

static uint64_t number_of(uint32_t reader) { return 1 + (uint64_t)reader * 1000003; }

static struct read_key *find(const struct readers *readers, uint32_t key)
{
	char name[16];
	return readers_find(readers, hash_of(key), name_of(key, name));
}

static void must_agree(const struct readers *readers, uint32_t key)
{
	const struct read_key *found = find(readers, key);
	cr_assert_eq(found != NULL, model[key] != 0);
	cr_assert(!found || found->n_readers == (uint32_t)__builtin_popcount(model[key]));
	uint32_t at = 0;
	for (uint32_t reader = 0; found && reader < READERS; reader++)
		if (model[key] & 1 << reader)
			cr_assert_eq(read_key_readers(found)[at++], number_of(reader));
}

static void forget(struct readers *readers, struct read_key *key, uint32_t number, uint32_t but)
{
	readers_forget(readers, key, number_of(but));
	model[number] &= 1 << but;
}

static void step(struct readers *readers, uint64_t adding)
{
	char name[16];
	uint32_t key = (uint32_t)(random_number() % KEYS), reader = (uint32_t)(random_number() % READERS);
	uint64_t what = random_number() % 100;
	if (what < adding) {
		readers_add(readers, hash_of(key), name_of(key, name), number_of(reader));
		model[key] |= 1 << reader;
	} else if (what < 99) {
		struct read_key *found = find(readers, key);
		if (found && random_number() % 4 == 0) {
			forget(readers, found, key, reader);
		} else if (found) {
			readers_forget(readers, found, READER_NONE);
			model[key] = 0;
		}
	} else {
		struct read_key *any = readers_any(readers, random_number());
		if (!any)
			return;
		memcpy(name, any->name, any->name_len);
		name[any->name_len] = 0;
		key = (uint32_t)atoi(name);
		readers_forget(readers, any, READER_NONE);
		model[key] = 0;
	}
	must_agree(readers, key);
}

static void must_agree_wholly(const struct readers *readers)
{
	uint64_t keys = 0, items = 0;
	readers_verify(readers);
	for (uint32_t key = 0; key < KEYS; key++) {
		must_agree(readers, key);
		keys += model[key] != 0;
		items += (uint64_t)__builtin_popcount(model[key]);
	}
	cr_assert_eq(readers_keys(readers), keys);
	cr_assert_eq(readers_items(readers), items);
}

/* The table grows, shrinks to nothing, and grows again. */
Test(readers, agree_with_bits_through_random_operations)
{
	struct readers *readers = readers_new();
	static const uint64_t adding[] = {90, 40, 5, 60, 0};
	for (size_t phase = 0; phase < 5; phase++) {
		for (int i = 0; i < 60000; i++)
			step(readers, adding[phase]);
		must_agree_wholly(readers);
	}
	readers_free(readers);
}

Test(readers, any_key_is_any_of_them)
{
	struct readers *readers = readers_new();
	char name[16];
	cr_assert_null(readers_any(readers, 7));
	for (uint32_t key = 0; key < 100; key++)
		readers_add(readers, hash_of(2 * key), name_of(key, name), 1);
	bool seen[100] = {0};
	for (int i = 0; i < 20000; i++) {
		const struct read_key *any = readers_any(readers, random_number());
		memcpy(name, any->name, any->name_len);
		name[any->name_len] = 0;
		seen[atoi(name)] = true;
	}
	for (int key = 0; key < 100; key++)
		cr_assert(seen[key]);
	readers_free(readers);
}

Test(readers, are_freed_in_pieces)
{
	struct readers *readers = readers_new();
	char name[16];
	for (uint32_t key = 0; key < KEYS; key++)
		readers_add(readers, hash_of(key), name_of(key, name), 1);
	uint32_t pieces = 1;
	while (!readers_free_some(readers, 100))
		pieces++;
	cr_assert_geq(pieces, KEYS / 100);
}
