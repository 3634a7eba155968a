#include "tests/sim/world.h"

#include "engine/config/settings.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/core/reactor_private.h"
#include "engine/io/sim_disk.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network.h"
#include "engine/placement/placement.h"
#include "protocols/resp/resp.h"
#include "query/commands/commands.h"
#include "query/session/functions.h"
#include "query/session/round.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/waits.h"
#include "storage/locks/locks.h"
#include "storage/recovery/store_private.h"
#include "storage/tier/tier_private.h"
#include "tests/sim/values.h"

#include <errno.h>

/* One core: where its loop stands, and how gladly the scheduler lets it run. */
struct player {
	struct core *core;
	enum reactor_stage stage;
	uint32_t weight;
	struct errand drain, cut, stop;
};

enum { WHY_SIZE = 600 };

struct world {
	const struct config *config;
	struct sim *sim;
	const struct command_index *index;
	struct settings *settings;
	struct machine *machine;
	uint64_t hash_seed;
	uint32_t mood_left; /* steps */
	struct history *history;
	char names[KEYS_MAX][16];
	uint64_t touched;                        /* shared keys changed in this step, as slots */
	uint32_t keyspace_of_db[DATABASES_USED]; /* of core 0, when last seen */
	struct store *store;                     /* NULL: nothing is kept, or not yet */
	bool has_looked;                         /* at the data directory */
	bool has_rooms, is_open, is_closing, is_closed;
	char why[WHY_SIZE]; /* the directory was refused */
	struct errand close;
	struct player players[CORES_MAX];
};

/* ---- what is seen of the keys ------------------------------------------------------------- */

static int key_number(const struct world *world, struct slice name)
{
	for (uint8_t key = 0; key < world->config->n_keys; key++)
		if (slice_equal(name, slice_from_str(world->names[key])))
			return key;
	return -1;
}

static void key_changed(struct shard *shard, const struct key *key)
{
	struct world *world = shard->changed_arg;
	int number = key_number(world, key->name);
	for (uint8_t db = 0; db < DATABASES_USED && number >= 0; db++)
		if (shard->keyspace_of_db[db] == key->keyspace)
			world->touched |= slot_bit(db, (uint8_t)number);
}

static void note_sighting(struct world *world, uint8_t slot, uint32_t text)
{
	struct sighting sighting = {.moment = history_moment(world->history), .slot = slot, .text = text};
	buf_append(&world->history->sightings, slice_of(&sighting, sizeof(sighting)));
}

uint32_t world_text(const struct world *world, struct texts *texts, const struct object *object)
{
	return value_text(texts, object, sim_disk_of(world->sim), WORLD_DIRECTORY);
}

static uint32_t value_seen(struct world *world, struct shard *shard, uint8_t slot)
{
	struct key key = {.name = slice_from_str(world->names[slot % KEYS_MAX]),
	                  .keyspace = shard->keyspace_of_db[slot / KEYS_MAX]};
	key.hash = key_hash(shard->hash_seed, key.name);
	key.slot = slot_of(key.name);
	return world_text(world, world->history->texts, keyspace_find(shard, &key, FIND_QUIET));
}

static void look_at_keys(struct world *world, struct shard *shard)
{
	for (; world->touched; world->touched &= world->touched - 1) {
		uint8_t slot = (uint8_t)__builtin_ctzll(world->touched);
		uint32_t text = value_seen(world, shard, slot);
		if (text != TEXT_LOST)
			note_sighting(world, slot, text);
	}
	const uint32_t *now = world->players[0].core->shard->keyspace_of_db;
	if (memcmp(now, world->keyspace_of_db, sizeof(world->keyspace_of_db)) == 0)
		return;
	memcpy(world->keyspace_of_db, now, sizeof(world->keyspace_of_db));
	note_sighting(world, SLOT_ALL, TEXT_NONE);
}

/* ---- making and unmaking: as protocols/serve.c does ------------------------------------ */

static void core_make(struct world *world, uint16_t id)
{
	struct core *core = core_new(world->machine, id, sim_io_new(world->sim));
	core->settings = world->settings;
	core->metrics = metrics_new();
	reactor_set_poll(core, REACTOR_POLL_NEVER);
	world->players[id].core = core;
}

static void rooms_make(struct world *world, struct core *core)
{
	core_set_current(core);
	core->store = world->store;
	core->shard = shard_new(core, world->hash_seed);
	core->commands = commands_new(core, world->index);
	core->commands->rounds = rounds_new(core);
	commands_follow_settings(core);
	core->network = network_new(core);
}

static void core_unmake(struct core *core)
{
	struct io *io = core->io;
	core_set_current(core);
	if (core->network) { /* the rooms were made */
		network_free(core->network);
		rounds_free(core->commands->rounds);
		commands_free(core->commands);
		shard_free(core->shard);
	}
	memory_free(core->metrics);
	core_free(core);
	io_free(io);
}

static void listen_for_clients(struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		struct shard *shard = world->players[id].core->shard;
		assert(!shard->changed); /* or there would be two who listen */
		shard->changed = key_changed;
		shard->changed_arg = world;
	}
	memcpy(world->keyspace_of_db, world->players[0].core->shard->keyspace_of_db, sizeof(world->keyspace_of_db));
	struct listen_address where = {.protocol = &resp_protocol, .address = "127.0.0.1", .port = WORLD_PORT};
	int result = network_listen(world->players[0].core, &where, NULL);
	assert(result == 0);
	world->is_open = true;
}

static void make_all_rooms(struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++)
		rooms_make(world, world->players[id].core);
	world->has_rooms = true;
}

static void begins(void *arg)
{
	struct world *world = arg;
	const struct config *config = world->config;
	struct store_options options = {.directory = WORLD_DIRECTORY,
	                                .segment_size = config->segment_size,
	                                .image_log_bytes = config->image_log_bytes,
	                                .image_growth = config->image_growth,
	                                .mode = (enum log_mode)config->durability};
	int result = dir_make(world->players[0].core, WORLD_DIRECTORY);
	if (result < 0 && result != -EEXIST)
		snprintf(world->why, sizeof(world->why), "the directory cannot be made: %s", strerror(-result));
	else
		world->store = store_begin(world->players[0].core, &options, world->why, sizeof(world->why));
	world->has_looked = true;
}

static void follow_there(struct core *there, void *arg)
{
	commands_follow_names(there, store_keyspace_names(arg));
	commands_follow_settings(there);
}

static void opens(void *arg)
{
	struct world *world = arg;
	struct core *core = world->players[0].core;
	if (!store_open(core, world->store, world->why, sizeof(world->why)))
		return;
	fiber_call_all(core, follow_there, world->store);
	if (functions_recover(core, world->store, world->why, sizeof(world->why)))
		listen_for_clients(world);
}

/* The directory was looked at: now there can be shards. */
static void go_on_opening(struct world *world)
{
	world->hash_seed = store_hash_seed(world->store);
	make_all_rooms(world);
	core_set_current(world->players[0].core);
	fiber_start(world->players[0].core, opens, world);
	core_set_current(NULL);
}

static void ignore_stop(struct machine *machine) {}

struct world *world_new(const struct config *config, struct sim *sim, const struct command_index *index,
                        struct history *history)
{
	struct world *world = memory_zalloc(sizeof(*world));
	world->config = config;
	world->sim = sim;
	world->index = index;
	world->history = history;
	for (uint8_t key = 0; key < config->n_keys; key++)
		key_name(config, key, world->names[key]);
	world->settings = settings_new();
	world->settings->client_output_soft_limit = config->output_limit;
	world->settings->pipeline_order = config->strict;
	world->settings->list_max_listpack_size = config->list_leaf;
	world->settings->list_compress_depth = config->list_compress_depth;
	world->settings->loglevel = LOG_NOTHING;
	world->settings->durability = config->durability;
	world->settings->maxmemory = config->memory_bytes;
	world->settings->maxmemory_policy = config->memory_bytes ? EVICT_TIER : EVICT_NOTHING;
	world->hash_seed = sim_random(sim);
	world->machine = machine_new(config->n_cores);
	world->machine->stop = ignore_stop;
	world->machine->log_level = LOG_NOTHING;
	for (uint16_t id = 0; id < config->n_cores; id++)
		core_make(world, id);
	core_set_current(world->players[0].core);
	if (config->keeps) {
		fiber_start(world->players[0].core, begins, world);
	} else {
		make_all_rooms(world);
		listen_for_clients(world);
	}
	core_set_current(NULL);
	return world;
}

void world_free(struct world *world)
{
	if (!world)
		return;
	store_free(world->store);
	for (uint16_t id = 0; id < world->config->n_cores; id++)
		core_unmake(world->players[id].core);
	machine_free(world->machine);
	settings_free(world->settings);
	memory_free(world);
}

struct core *world_core(struct world *world, uint16_t id) { return world->players[id].core; }

/* ---- with a store -------------------------------------------------------------------------- */

const char *const moment_names[MOMENTS] = {"begin", "load",  "open",   "manifest", "clean", "demote",
                                           "fetch", "image", "commit", "serve",    "close"};

bool world_is_open(const struct world *world) { return world->is_open; }
bool world_is_closed(const struct world *world) { return world->is_closed; }
const char *world_refused(const struct world *world) { return world->why[0] ? world->why : NULL; }
struct store *world_store(struct world *world) { return world->store; }

struct object *world_object(struct world *world, uint8_t db, struct slice name)
{
	struct core *first = world->players[0].core;
	struct key key = {.name = name, .hash = key_hash(world->hash_seed, name), .slot = slot_of(name)};
	struct shard *shard = world->players[core_of_slot(first, key.slot)].core->shard;
	key.keyspace = shard->keyspace_of_db[db];
	return keyspace_peek(shard, &key);
}

uint64_t world_keys(struct world *world)
{
	uint64_t n = 0;
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		struct shard *shard = world->players[id].core->shard;
		for (size_t db = 0; db < array_len(shard->keyspace_of_db); db++)
			n += keyspace_count(shard, shard->keyspace_of_db[db]);
	}
	return n;
}

void world_add_tiers(const struct world *world, struct tier_counters *sum)
{
	for (uint16_t id = 0; world->has_rooms && id < world->config->n_cores; id++) {
		const struct tier *tier = world->players[id].core->shard->tier;
		if (!tier)
			continue;
		sum->reads += tier->counters.reads;
		sum->demotions += tier->counters.demotions;
		sum->dropped += tier->counters.dropped;
		sum->leaves += tier->counters.leaves;
		sum->cleaned_bytes += tier->counters.cleaned_bytes;
		sum->lost += tier->counters.lost;
	}
}

/* What moves between memory and the disk: of several the rarest. */
static enum moment tier_moment(const struct world *world)
{
	enum moment moment = MOMENT_SERVE;
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		const struct tier *tier = world->players[id].core->shard->tier;
		enum moment here = MOMENT_SERVE;
		if (tier && tier->working)
			here = tier->cleaning ? MOMENT_CLEAN : MOMENT_DEMOTE;
		else if (tier && tier->n_fetches > 0)
			here = MOMENT_FETCH;
		moment = here < moment ? here : moment;
	}
	return moment;
}

enum moment world_moment(struct world *world)
{
	const struct store *store = world->store;
	if (world->is_closing)
		return MOMENT_CLOSE;
	if (!world->has_rooms)
		return MOMENT_BEGIN;
	if (!world->is_open)
		return told(store->load_ns) ? MOMENT_OPEN : MOMENT_LOAD;
	if (store->changing)
		return MOMENT_MANIFEST;
	enum moment tier = tier_moment(world);
	if (tier != MOMENT_SERVE)
		return tier;
	if (told(store->image_running))
		return MOMENT_IMAGE;
	for (uint16_t id = 0; id < world->config->n_cores; id++)
		if (!locks_at_rest(world->players[id].core->shard->locks))
			return MOMENT_COMMIT;
	return MOMENT_SERVE;
}

bool world_is_behind(const struct world *world)
{
	for (uint16_t id = 0; world->is_open && world->store && id < world->config->n_cores; id++) {
		const struct log *log = world->store->cores[id].log;
		if (log && log_durable(log) < log_appended(log))
			return true;
	}
	return false;
}

static void closes(void *arg)
{
	struct world *world = arg;
	store_close(world->players[0].core, world->store);
	world->is_closed = true;
}

static void do_close(struct core *core, struct errand *errand)
{
	fiber_start(core, closes, container_of(errand, struct world, close));
}

void world_close(struct world *world)
{
	world->is_closing = true;
	world->close.run = do_close;
	core_errand(world->players[0].core, &world->close);
}

/* ---- steps ------------------------------------------------------------------------------- */

static bool is_ready(struct world *world, const struct player *player)
{
	if (player->stage == REACTOR_STOPPED || (!world->has_rooms && player->core->id > 0))
		return false;
	if (player->stage != REACTOR_SLEEP)
		return true;
	return sim_io_due(player->core->io) || timer_wheel_next_ns(&player->core->timers) <= sim_now_ns(world->sim);
}

/* For a while some cores are fast, some slow, and some do not run at all. */
static void change_mood(struct world *world)
{
	static const uint32_t weights[] = {0, 1, 1, 8, 64};
	world->mood_left = 1 + (uint32_t)sim_below(world->sim, world->config->moody);
	for (uint16_t id = 0; id < world->config->n_cores; id++)
		world->players[id].weight = weights[sim_below(world->sim, array_len(weights))];
}

static struct player *choose(struct world *world)
{
	struct player *ready[CORES_MAX];
	uint32_t n = 0, total = 0;
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		struct player *player = &world->players[id];
		if (!is_ready(world, player))
			continue;
		ready[n++] = player;
		total += player->weight;
	}
	if (n == 0)
		return NULL;
	if (total == 0)
		return ready[sim_below(world->sim, n)];
	uint64_t at = sim_below(world->sim, total);
	for (uint32_t i = 0;; i++) {
		if (at < ready[i]->weight)
			return ready[i];
		at -= ready[i]->weight;
	}
}

static struct player *anyone(struct world *world)
{
	struct player *player = &world->players[sim_below(world->sim, world->config->n_cores)];
	return player->stage == REACTOR_STOPPED || !world->has_rooms ? NULL : player;
}

bool world_step(struct world *world)
{
	if (world->mood_left-- == 0)
		change_mood(world);
	struct player *player = choose(world);
	if (!player)
		return false;
	if (sim_chance(world->sim, world->config->spurious_wakes)) {
		struct player *other = anyone(world);
		player = other ? other : player;
	}
	sim_note(world->sim, player->core->id * 8u + player->stage);
	sim_pass_ns(world->sim, sim_below(world->sim, world->config->step_ns) + 1);
	core_set_current(player->core);
	player->stage = reactor_step(player->core);
	if (world->is_open)
		look_at_keys(world, player->core->shard);
	core_set_current(NULL);
	if (world->has_looked && !world->has_rooms && world->store)
		go_on_opening(world);
	return true;
}

int world_sleeper(struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		const struct player *player = &world->players[id];
		if (world->has_rooms && player->stage == REACTOR_SLEEP && !sim_io_is_woken(player->core->io) &&
		    !reactor_inbox_empty(player->core))
			return id;
	}
	return -1;
}

static bool is_at_rest(struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		const struct player *player = &world->players[id];
		if (player->stage != REACTOR_SLEEP || sim_io_is_woken(player->core->io) ||
		    !locks_at_rest(player->core->shard->locks))
			return false;
	}
	return !world_is_behind(world);
}

const struct key *world_overlooked(struct world *world)
{
	const struct key *key = NULL;
	if (!world->is_open || !is_at_rest(world))
		return NULL;
	for (uint16_t id = 0; id < world->config->n_cores && !key; id++)
		key = waits_overlooked(world->players[id].core->shard);
	return key;
}

uint64_t world_next_ns(struct world *world)
{
	uint64_t next_ns = UINT64_MAX;
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		struct player *player = &world->players[id];
		if (player->stage == REACTOR_STOPPED || (!world->has_rooms && id > 0))
			continue;
		uint64_t io_ns = sim_io_next_ns(player->core->io);
		uint64_t timer_ns = timer_wheel_next_ns(&player->core->timers);
		next_ns = io_ns < next_ns ? io_ns : next_ns;
		next_ns = timer_ns < next_ns ? timer_ns : next_ns;
	}
	return next_ns;
}

/* ---- the end ----------------------------------------------------------------------------- */

static void do_drain(struct core *core, struct errand *errand) { network_drain(core); }
static void do_cut(struct core *core, struct errand *errand) { network_cut(core); }
static void do_stop(struct core *core, struct errand *errand) { core->stopped = true; }

void world_drain(struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		world->players[id].drain.run = do_drain;
		core_errand(world->players[id].core, &world->players[id].drain);
	}
}

void world_cut(struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		world->players[id].cut.run = do_cut;
		core_errand(world->players[id].core, &world->players[id].cut);
	}
}

void world_stop(struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		world->players[id].stop.run = do_stop;
		core_errand(world->players[id].core, &world->players[id].stop);
	}
}

struct search {
	int fd;
	bool found;
};

static void look_at(void *arg, struct connection *c)
{
	struct search *search = arg;
	search->found |= c->socket.fd == search->fd;
}

bool world_has_connection(struct world *world, int fd)
{
	struct search search = {.fd = fd, .found = sim_fd_is_known(world->sim, fd)};
	for (uint16_t id = 0; id < world->config->n_cores && !search.found; id++)
		network_each(world->players[id].core, look_at, &search);
	return search.found;
}

uint32_t world_connections(const struct world *world)
{
	uint32_t n = 0;
	for (uint16_t id = 0; id < world->config->n_cores; id++)
		n += network_connections(world->players[id].core);
	return n;
}

bool world_has_stopped(const struct world *world)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++)
		if (world->players[id].stage != REACTOR_STOPPED)
			return false;
	return true;
}

void world_verify(struct world *world)
{
	for (uint16_t id = 0; world->has_rooms && id < world->config->n_cores; id++)
		shard_verify(world->players[id].core->shard);
}

static void show_connection(void *arg, struct connection *c)
{
	fprintf(arg, "    client %llu: input %zu, chunk %d, waiting %zu, unsent %zu, sending %zu,%s%s%s%s%s%s%s\n",
	        (unsigned long long)c->id, connection_input(c).len, c->chunk.ptr != NULL,
	        c->waiting.len / sizeof(struct io_chunk), connection_unsent(c), c->sending.len,
	        c->blocked ? " blocked" : "", c->choked ? " choked" : "", c->paused ? " paused" : "",
	        c->ended ? " ended" : "", c->closing ? " closing" : "", c->dead ? " dead" : "",
	        c->iov ? " in flight" : "");
}

void world_print(struct world *world, FILE *to)
{
	static const char *const stages[] = {"works", "arms", "checks", "sleeps", "has stopped"};
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		struct player *player = &world->players[id];
		fprintf(to, "  core %u %s; chunks out %u, fibers %u, locks %s\n", id, stages[player->stage],
		        sim_io_chunks_out(player->core->io), fiber_pool_living(player->core->fibers),
		        player->core->shard && !locks_at_rest(player->core->shard->locks) ? "taken" : "at rest");
		if (world->store && world->store->cores[id].log) {
			const struct log *log = world->store->cores[id].log;
			fprintf(to, "    log: LSN %llu, durable up to %llu, backlog %llu, failed %d, room %d\n",
			        (unsigned long long)log_appended(log), (unsigned long long)log_durable(log),
			        (unsigned long long)log_backlog(log), log_failed(log), log_room(log));
		}
		if (player->core->network)
			network_each(player->core, show_connection, to);
	}
}

static const char *left_over(const struct core *core, bool may_have_keys)
{
	const struct shard *shard = core->shard;
	if (!locks_at_rest(shard->locks))
		return "a lock";
	if (fiber_pool_living(core->fibers) > 0)
		return "a fiber";
	if (shard->counters.lent > 0)
		return "a value in loan";
	if (sim_io_chunks_out(core->io) > 0)
		return "a received chunk";
	if (core->commands->n_sessions > 0)
		return "a session";
	if (shard_memory(shard) > 0 && !may_have_keys)
		return "memory of keys";
	return NULL;
}

bool world_is_clean(struct world *world, bool may_have_keys, char *why, size_t why_size)
{
	for (uint16_t id = 0; id < world->config->n_cores; id++) {
		const char *what = left_over(world->players[id].core, may_have_keys);
		if (!what)
			continue;
		const struct shard_counters *counters = &world->players[id].core->shard->counters;
		snprintf(why, why_size,
		         "core %u still has %s (objects %llu bytes, tables %llu, %llu lent, %llu to free)", id, what,
		         (unsigned long long)counters->objects_bytes, (unsigned long long)counters->tables_bytes,
		         (unsigned long long)counters->lent, (unsigned long long)counters->freeing);
		return false;
	}
	return true;
}
