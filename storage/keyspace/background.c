/* When a shard works by itself: a timer for the next expiry, a background task for what is due. */
#include "engine/core/core.h"
#include "storage/keyspace/keyspace_private.h"

enum {
	SLICE_NS = 100 * 1000,
	REST_MS = 10, /* between two rounds of expiry: what is expired is hidden anyway */
};

static void background_run(struct core *core, struct task *task)
{
	struct shard *shard = container_of(task, struct keyspace_tables, task)->shard;
	if (shard->recovering)
		return;
	shard->now_ms = core->wall_us / 1000;
	uint64_t next_ns;
	if (shard_background(shard, SLICE_NS, &next_ns))
		core_ready(core, task, CLASS_BACKGROUND);
	else
		background_wake_at(shard, expiry_next_ms(shard));
}

static void background_ring(struct core *core, struct timer *timer)
{
	struct keyspace_tables *tables = container_of(timer, struct keyspace_tables, timer);
	tables->wake_ms = INT64_MAX;
	core_ready(core, &tables->task, CLASS_BACKGROUND);
}

void background_init(struct shard *shard)
{
	struct keyspace_tables *tables = shard->tables;
	tables->shard = shard;
	tables->wake_ms = INT64_MAX;
	tables->task = (struct task){.run = background_run, .name = "keyspace"};
	tables->timer = (struct timer){.run = background_ring};
}

void background_fini(struct shard *shard)
{
	if (!shard->core)
		return;
	timer_stop(&shard->core->timers, &shard->tables->timer);
	core_forget(shard->core, &shard->tables->task);
}

void background_wake(struct shard *shard)
{
	if (shard->core && !shard->recovering)
		core_ready(shard->core, &shard->tables->task, CLASS_BACKGROUND);
}

void shard_limits_changed(struct shard *shard) { background_wake(shard); }

void background_wake_at(struct shard *shard, int64_t at_ms)
{
	struct keyspace_tables *tables = shard->tables;
	if (!shard->core || shard->recovering || at_ms >= tables->wake_ms)
		return;
	tables->wake_ms = at_ms;
	int64_t wait_ms = at_ms - shard->now_ms;
	if (wait_ms < REST_MS)
		wait_ms = REST_MS;
	timer_start(&shard->core->timers, &tables->timer, shard->core->now_ns + (uint64_t)wait_ms * 1000000u);
}

void shard_recovered(struct shard *shard)
{
	assert(shard->recovering);
	shard->recovering = false;
	background_wake(shard); /* looks what is due, and when the next will be */
}
