/* value.h -- memory of values, on a shard's slab and counted: what maxmemory limits. */
#pragma once

#include <stddef.h>

struct shard;

/* Never fails: shard_admit() is asked before. */
void *value_take(struct shard *shard, size_t size) __attribute__((malloc, returns_nonnull));
void value_give(struct shard *shard, void *block, size_t size); /* any size of the same class */
