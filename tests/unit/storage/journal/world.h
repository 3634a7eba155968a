/* world.h -- a shard with a journal on a fake log, and a shard to recover. */
#pragma once

#include "storage/journal/apply.h"
#include "storage/journal/journal.h"
#include "tests/unit/storage/journal/fake_log.h"
#include "tests/unit/storage/journal/sum.h"
#include "tests/unit/storage/keyspace/support.h"

static struct log *journal_log_;
static struct shard *shard;
static struct journal *journal;

static inline void world_start(void)
{
	journal_log_ = fake_log_new();
	shard = shard_new(NULL, SEED);
	shard->now_ms = 1000;
	shard->journal = journal = journal_new(shard, journal_log_);
}

static inline void world_stop(void)
{
	(void)fake_log_make(journal_log_);
	shard_verify(shard);
	journal_free(journal);
	shard_free(shard);
	fake_log_free(journal_log_);
}

static inline struct shard *recovering_shard(void)
{
	struct shard *recovered = shard_new(NULL, SEED);
	recovered->recovering = true;
	recovered->now_ms = (int64_t)1 << 42; /* later than any expiry: nothing may look at it */
	return recovered;
}
