/* support.h -- keys by number, and a generator that always says the same. */
#pragma once

#include "engine/placement/placement.h"
#include "storage/keyspace/keyspace.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { SEED = 7, NAME_MAX_SIZE = 700 };

struct dice {
	uint64_t state;
};

static inline uint32_t roll(struct dice *dice, uint32_t sides)
{
	dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((dice->state >> 32) * sides >> 32);
}

static inline struct key key_named(uint32_t keyspace, struct slice name)
{
	return (struct key){.name = name, .hash = key_hash(SEED, name), .keyspace = keyspace, .slot = slot_of(name)};
}

/* A key of `tag`'s partition (many keys in one dictionary) or, without a tag, of any. */
static inline struct key key_numbered(uint32_t keyspace, const char *tag, uint32_t number, char name[NAME_MAX_SIZE])
{
	int len = snprintf(name, NAME_MAX_SIZE, tag ? "{%s}:%u" : "%s%u", tag ? tag : "key:", number);
	return key_named(keyspace, slice_of(name, (size_t)len));
}

static inline struct slice text(const char *str) { return slice_from_str(str); }

static inline bool value_is(const struct object *object, struct slice value)
{
	char scratch[STRING_SCRATCH];
	return slice_equal(string_value(object, scratch), value) && string_length(object) == value.len;
}
