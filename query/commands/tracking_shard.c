/* tracking_shard.c -- which keys of a shard clients have read, and what is told of their changes. */
#include "query/commands/tracking_private.h"

#include "engine/config/settings.h"
#include "engine/memory/memory.h"

enum { TRIMMED_AT_ONCE = 100, FREED_AT_ONCE = 1000 };

/* ---- reads and changes ------------------------------------------------------------ */

/* One event for each core that has readers of the key. */
static void tell_readers(struct tracking *tracking, const struct read_key *key, uint64_t but)
{
	const uint64_t *readers = read_key_readers(key);
	uint64_t told = 0;
	for (uint32_t i = 0; i < key->n_readers; i++) {
		uint16_t to = core_of_reader(readers[i]);
		if (told & 1ull << to || readers[i] == but)
			continue;
		told |= 1ull << to;
		struct buf *events = &tracking->lanes[to].events;
		size_t event = event_begin(events, EVENT_READ);
		for (uint32_t j = i; j < key->n_readers; j++)
			if (core_of_reader(readers[j]) == to && readers[j] != but)
				event_id(events, event, id_of_reader(readers[j]));
		event_name(events, event, read_key_name(key));
		event_end(events, event);
	}
	if (told)
		lanes_wake(tracking);
}

static void invalidate(struct tracking *tracking, struct read_key *key, uint64_t but)
{
	tell_readers(tracking, key, but);
	readers_forget(tracking->readers, key, but);
}

static void tell_listeners(struct tracking *tracking, struct slice name, uint64_t writer)
{
	size_t event = event_begin(&tracking->changed, EVENT_CHANGED);
	event_id(&tracking->changed, event, writer);
	event_name(&tracking->changed, event, name);
	event_end(&tracking->changed, event);
	lanes_wake(tracking);
}

static void key_changed(struct shard *shard, const struct key *key, bool by_itself)
{
	struct tracking *tracking = tracking_of(shard->core);
	if (tracking->listeners)
		tell_listeners(tracking, key->name, by_itself ? 0 : tracking->writer);
	struct read_key *read = tracking->readers ? readers_find(tracking->readers, key->hash, key->name) : NULL;
	if (!read)
		return;
	invalidate(tracking, read, by_itself ? (uint64_t)READER_NONE : tracking->keeps);
	if (readers_keys(tracking->readers) == 0)
		tracking_follow_shard(tracking);
}

void tracking_follow_shard(struct tracking *tracking)
{
	bool any = tracking->listeners || (tracking->readers && readers_keys(tracking->readers) > 0);
	tracking->core->shard->tracked = any ? key_changed : NULL;
}

/* The limit is shared out, so that the cores' tables keep to it together. */
static uint64_t keys_max(const struct core *core)
{
	uint64_t all = (uint64_t)core->settings->tracking_table_max_keys;
	if (all == 0)
		return UINT64_MAX;
	return all / core->n_cores + (core->id < all % core->n_cores);
}

static void forget_any(struct tracking *tracking)
{
	invalidate(tracking, readers_any(tracking->readers, core_random(tracking->core)), READER_NONE);
}

void tracking_read(struct core *there, const struct client_view *client, uint64_t hash, struct slice name)
{
	struct tracking *tracking = tracking_of(there);
	if (!tracking->readers)
		tracking->readers = readers_new();
	readers_add(tracking->readers, hash, name, reader_of(client->client_id, client->core));
	if (unlikely(readers_keys(tracking->readers) > keys_max(there)))
		forget_any(tracking);
	tracking_follow_shard(tracking);
}

void tracking_trim(struct core *core, struct task *task)
{
	struct tracking *tracking = container_of(task, struct tracking, trim);
	uint64_t max = keys_max(core);
	for (int i = 0; i < TRIMMED_AT_ONCE && tracking->readers && readers_keys(tracking->readers) > max; i++)
		forget_any(tracking);
	if (tracking->readers && readers_keys(tracking->readers) > max)
		core_ready(core, task, CLASS_BACKGROUND);
}

void tracking_follow_settings(struct core *core) { core_ready(core, &tracking_of(core)->trim, CLASS_BACKGROUND); }

void tracking_write_begins(struct core *there, const struct client_view *client)
{
	struct tracking *tracking = tracking_of(there);
	tracking->writer = client->client_id;
	tracking->keeps = client->tracks & TRACKS_NO_LOOP ? reader_of(client->client_id, client->core) : READER_NONE;
}

void tracking_write_ends(struct core *there)
{
	tracking_of(there)->writer = 0;
	tracking_of(there)->keeps = READER_NONE;
}

static void read_keys(struct exec *exec)
{
	uint32_t room[16], *at = room;
	if (exec->argc > array_len(room))
		at = memory_alloc(exec->argc * sizeof(*at));
	int n = command_keys(exec->command, exec->argv, exec->argc, at, exec->argc);
	for (int i = 0; i < n; i++) {
		struct slice name = exec->argv[at[i]];
		tracking_read(exec->core, exec->client, key_hash(exec->shard->hash_seed, name), name);
	}
	if (at != room)
		memory_free(at);
}

/* What waits may meet others' changes: those of its own that it does elsewhere are told there. */
enum err tracking_run(struct exec *exec)
{
	const struct command *command = exec->command;
	if (command->flags & COMMAND_FIBER)
		return command->run(exec);
	if (exec->shard->core)
		tracking_write_begins(exec->core, exec->client);
	enum err err = command->run(exec);
	if (!exec->shard->core)
		return err;
	tracking_write_ends(exec->core);
	if (command->flags & COMMAND_READ && exec->client->tracks & TRACKS_READS)
		read_keys(exec);
	return err;
}

/* ---- everything ------------------------------------------------------------------- */

void tracking_free_doomed(struct core *core, struct task *task)
{
	struct tracking *tracking = container_of(task, struct tracking, free);
	struct doomed *doomed = container_of(tracking->doomed.next, struct doomed, link);
	if (list_empty(&tracking->doomed))
		return;
	if (readers_free_some(doomed->readers, FREED_AT_ONCE)) {
		list_remove(&doomed->link);
		memory_free(doomed);
	}
	core_ready(core, task, CLASS_BACKGROUND);
}

void tracking_all_changed(struct core *there)
{
	struct tracking *tracking = tracking_of(there);
	if (tracking->readers) {
		struct doomed *doomed = memory_zalloc(sizeof(*doomed));
		doomed->readers = take(tracking->readers);
		list_push_back(&tracking->doomed, &doomed->link);
		core_ready(there, &tracking->free, CLASS_BACKGROUND);
		tracking_follow_shard(tracking);
	}
	trackers_tell_all(tracking);
}
