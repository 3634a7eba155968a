#include "tests/unit/storage/recovery/house.h"

#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/core/reactor_private.h"
#include "engine/io/sim.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "kernels/cpu.h"
#include "storage/check/check.h"
#include "storage/keyspace/keyspace.h"
#include "storage/locks/locks.h"
#include "storage/tier/tier.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

enum { DATABASES = 16, VALUE_MAX = 200 * 1024, TX_KEYS_MAX = 4, NAME_MAX_BYTES = 32 };

uint64_t chance(uint64_t *random, uint64_t n)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

void *model_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(memory != MAP_FAILED);
	return memory;
}

struct model *model_new(uint64_t seed)
{
	struct model *model = model_share(sizeof(*model));
	model->random = seed;
	for (uint32_t k = 0; k < HOUSE_KEYS; k++)
		model->keys[k].db = k % 7 == 0 ? 1 + k % 3 : 0;
	return model;
}

/* ---- cores --------------------------------------------------------------------------------- */

static bool is_ready(struct house *house, uint16_t id)
{
	struct core *core = house->cores[id].core;
	return house->cores[id].stage != REACTOR_SLEEP || sim_io_due(house->cores[id].io) ||
	       timer_wheel_next_ns(&core->timers) <= sim_now_ns(house->sim);
}

static uint64_t next_ns(struct house *house)
{
	uint64_t next = UINT64_MAX;
	for (uint16_t id = 0; id < house->n_cores; id++) {
		uint64_t io_ns = sim_io_next_ns(house->cores[id].io);
		uint64_t timer_ns = timer_wheel_next_ns(&house->cores[id].core->timers);
		next = io_ns < next ? io_ns : next;
		next = timer_ns < next ? timer_ns : next;
	}
	return next;
}

/* False: nothing will ever happen, or the power is off. */
static bool house_step(struct house *house)
{
	uint16_t ready[HOUSE_CORES_MAX], n = 0;
	if (sim_disk_has_crashed(house->disk))
		return false;
	for (uint16_t id = 0; id < house->n_cores; id++)
		if (is_ready(house, id))
			ready[n++] = id;
	if (n == 0) {
		uint64_t next = next_ns(house), now = sim_now_ns(house->sim);
		if (next == UINT64_MAX)
			return false;
		sim_pass_ns(house->sim, next > now ? next - now : 0);
		return true;
	}
	uint16_t id = ready[sim_below(house->sim, n)];
	core_set_current(house->cores[id].core);
	house->cores[id].stage = reactor_step(house->cores[id].core);
	return true;
}

struct telling {
	struct house *house;
	void (*work)(struct house *house, void *arg);
	void *arg;
	bool done;
};

static void telling_main(void *arg)
{
	struct telling *telling = arg;
	telling->work(telling->house, telling->arg);
	telling->done = true;
}

bool house_run(struct house *house, void (*work)(struct house *house, void *arg), void *arg)
{
	struct telling *telling = memory_zalloc(sizeof(*telling)); /* a crash leaves it behind */
	*telling = (struct telling){.house = house, .work = work, .arg = arg};
	core_set_current(house->cores[0].core);
	fiber_start(house->cores[0].core, telling_main, telling);
	while (!telling->done)
		if (!house_step(house)) {
			must(sim_disk_has_crashed(house->disk), "all wait for what never comes");
			return false;
		}
	memory_free(telling);
	return true;
}

static void do_begin(struct house *house, void *arg)
{
	struct core *core = house->cores[0].core;
	int result = dir_make(core, house->options.directory);
	must(result == 0 || result == -EEXIST);
	house->store = store_begin(core, &house->options, house->why, sizeof(house->why));
}

static void do_open(struct house *house, void *arg)
{
	*(bool *)arg = store_open(house->cores[0].core, house->store, house->why, sizeof(house->why));
}

static void make_cores(struct house *house, uint64_t seed)
{
	const struct sim_faults faults = {.clock_ns = 100, .delay_ns = 200 * 1000, .wake_ns = 5000, .chunks = 2};
	house->sim = sim_new(seed, &faults);
	sim_use_disk(house->sim, house->disk);
	house->machine = machine_new(house->n_cores);
	house->machine->log_level = LOG_WARNING;
	for (uint16_t id = 0; id < house->n_cores; id++) {
		house->cores[id].io = sim_io_new(house->sim);
		house->cores[id].core = core_new(house->machine, id, house->cores[id].io);
		house->cores[id].stage = REACTOR_WORK;
		reactor_set_poll(house->cores[id].core, REACTOR_POLL_NEVER);
	}
}

static void unmake_cores(struct house *house)
{
	for (uint16_t id = 0; id < house->n_cores; id++) {
		core_set_current(house->cores[id].core);
		shard_free(house->cores[id].core->shard);
		core_free(house->cores[id].core);
		io_free(house->cores[id].io);
	}
	machine_free(house->machine);
	sim_free(house->sim);
}

static void fail_open(struct house *house)
{
	fprintf(stderr, "does not open: %s\n", house->why);
	store_free(house->store);
	unmake_cores(house);
}

bool house_open(struct house *house, struct sim_disk *disk, struct model *model, uint16_t n_cores, uint64_t seed)
{
	*house = (struct house){.disk = disk,
	                        .model = model,
	                        .n_cores = n_cores,
	                        .random = seed,
	                        .options = house->options,
	                        .memory_max = house->memory_max};
	kernels_init(cpu_features());
	if (!house->options.directory)
		house->options.directory = "data";
	if (!house->options.segment_size)
		house->options.segment_size = 64 * 1024;
	make_cores(house, seed);
	if (!house_run(house, do_begin, NULL))
		return false;
	if (!house->store) {
		fail_open(house);
		return false;
	}
	for (uint16_t id = 0; id < n_cores; id++)
		house->cores[id].core->shard = shard_new(house->cores[id].core, store_hash_seed(house->store));
	bool opened = false;
	if (!house_run(house, do_open, &opened))
		return false;
	if (!opened) {
		fail_open(house);
		return false;
	}
	house->names = *store_keyspace_names(house->store);
	for (uint16_t id = 0; id < n_cores && house->memory_max; id++) {
		struct shard *shard = house->cores[id].core->shard;
		shard->policy = EVICT_TIER;
		shard->memory_max = house->memory_max;
	}
	return true;
}

void house_shut(struct house *house, void *arg) { store_close(house->cores[0].core, house->store); }

void house_close(struct house *house)
{
	must(house_run(house, house_shut, NULL));
	store_free(house->store);
	unmake_cores(house);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static uint8_t byte_of(uint32_t seed, uint32_t at) { return (uint8_t)((seed + at / 16) * 2654435761u >> 20); }

static void value_of(const struct key_state *state, uint8_t *out)
{
	for (uint32_t i = 0; i < state->length; i++)
		out[i] = byte_of(state->seed, i);
	for (uint32_t i = 0; i < state->patch_length; i++)
		out[state->patch_at + i] = byte_of(state->patch_seed, i);
}

static void name_of(uint32_t k, char *out)
{
	if (k % 5 == 0)
		snprintf(out, NAME_MAX_BYTES, "{tag%u}:%u", k % 40, k);
	else
		snprintf(out, NAME_MAX_BYTES, "key:%u", k);
}

static struct key key_of_number(const struct house *house, uint32_t k, char *name)
{
	name_of(k, name);
	struct key key = {.name = slice_from_str(name), .keyspace = house->names.of_db[house->model->keys[k].db]};
	key.hash = key_hash(store_hash_seed(house->store), key.name);
	key.slot = slot_of(key.name);
	return key;
}

static uint16_t owner_of(const struct house *house, uint32_t k)
{
	char name[NAME_MAX_BYTES];
	struct key key = key_of_number(house, k, name);
	return core_of_slot(house->cores[0].core, key.slot);
}

/* The next state of a key. */
static struct key_state draw_state(struct house *house, const struct key_state *before)
{
	uint64_t *random = &house->random;
	struct key_state next = {.expires_ms = EXPIRES_NEVER};
	if (before->exists && chance(random, 6) == 0)
		return next; /* gone */
	if (before->exists && before->patch_length == 0 && before->length > 1000 && chance(random, 2) == 0) {
		next = *before;
		next.patch_at = (uint32_t)chance(random, next.length);
		next.patch_length = (uint32_t)chance(random, next.length - next.patch_at) / 4 + 1;
		next.patch_seed = (uint32_t)chance(random, UINT32_MAX);
		return next;
	}
	next.exists = true;
	if (before->exists && chance(random, 8) == 0) {
		next = *before;
		next.expires_ms = (int64_t)(4000000000000 + chance(random, 1000));
		return next;
	}
	next.length = (uint32_t)chance(random, chance(random, 40) == 0  ? VALUE_MAX
	                                       : chance(random, 4) == 0 ? 5000
	                                                                : 100);
	next.seed = (uint32_t)chance(random, UINT32_MAX);
	if (chance(random, 8) == 0)
		next.expires_ms = (int64_t)(4000000000000 + chance(random, 1000));
	return next;
}

/* On the owner's core. */
static void change_key(struct house *house, struct shard *shard, uint32_t k)
{
	char name[NAME_MAX_BYTES];
	const struct key_model *model = &house->model->keys[k];
	const struct key_state *from = &model->acked, *to = &model->asked;
	struct key key = key_of_number(house, k, name);
	if (!to->exists) {
		(void)keyspace_delete(shard, &key);
		return;
	}
	if (from->exists && from->seed == to->seed && from->length == to->length &&
	    from->patch_length == to->patch_length) {
		keyspace_expire(shard, &key, keyspace_find(shard, &key, FIND_WRITE), to->expires_ms);
		return;
	}
	static uint8_t value[VALUE_MAX];
	value_of(to, value);
	if (to->patch_length == 0) {
		string_put(shard, &key, slice_of(value, to->length), to->expires_ms);
		return;
	}
	uint8_t *bytes = string_edit(shard, &key, to->length);
	memcpy(bytes + to->patch_at, value + to->patch_at, to->patch_length);
	if (shard->journal)
		journal_note_patch(shard->journal, to->patch_at, to->patch_length);
}

static void take_time(struct core *there) { there->shard->now_ms = there->wall_us / 1000; }

/* ---- clients ------------------------------------------------------------------------------- */

struct client {
	struct house *house;
	struct core *core;
	uint32_t number, left;
};

/* A key of this client's: no other touches it. */
static uint32_t own_key(struct client *client)
{
	return (uint32_t)chance(&client->house->random, HOUSE_KEYS / HOUSE_CLIENTS) * HOUSE_CLIENTS + client->number;
}

static void ask_for(struct house *house, uint32_t k, uint32_t tx)
{
	struct key_model *key = &house->model->keys[k];
	key->asked = draw_state(house, &key->acked);
	key->tx = tx;
	key->is_asked = true;
}

static void acknowledge(struct house *house, uint32_t k)
{
	struct key_model *key = &house->model->keys[k];
	key->acked = key->asked;
	key->is_asked = false;
	key->tx = 0;
}

/* True: the key's value is not in memory, and on its way now. */
static bool fetch_if_cold(struct house *house, struct shard *shard, uint32_t k, struct fetch_waiter *held)
{
	char name[NAME_MAX_BYTES];
	struct key key = key_of_number(house, k, name);
	if (!tier_must_fetch(shard, &key, &reach_all))
		return false;
	house->model->fetches++;
	if (held)
		tier_fetch_held(shard, &key, &reach_all, held);
	else
		(void)tier_fetch(shard, &key, &reach_all, false, false);
	return true;
}

struct write_one {
	struct house *house;
	uint32_t k[3], n;
	bool cold; /* a value must come back first */
	uint64_t lsn;
};

static void write_here(struct core *there, void *arg)
{
	struct write_one *write = arg;
	take_time(there);
	write->cold = false;
	for (uint32_t i = 0; i < write->n; i++)
		write->cold |= fetch_if_cold(write->house, there->shard, write->k[i], NULL);
	if (write->cold)
		return;
	(void)shard_admit(there->shard);
	for (uint32_t i = 0; i < write->n; i++)
		change_key(write->house, there->shard, write->k[i]);
	write->lsn = journal_flush(there->shard->journal);
}

struct durable_wait {
	struct log_waiter waiter;
	struct fiber *fiber;
	struct core *there;
	uint16_t from;
	bool failed;
};

static void wake_waiter(struct core *core, struct message *message) { fiber_wake(core, message->args[0].ptr); }

static void now_durable(struct log *log, struct log_waiter *waiter)
{
	struct durable_wait *wait = container_of(waiter, struct durable_wait, waiter);
	wait->failed = log_durable(log) < waiter->lsn;
	core_post(wait->there, wait->from, &(struct message){.run = wake_waiter, .args[0].ptr = wait->fiber});
}

static void wait_here(struct core *there, struct message *message)
{
	struct durable_wait *wait = message->args[0].ptr;
	struct log *log = journal_log(there->shard->journal);
	wait->there = there;
	wait->waiter.run = now_durable;
	if (log_failed(log) || log_wait(log, &wait->waiter))
		now_durable(log, &wait->waiter);
}

/* False: the log there has failed. */
static bool wait_durable(struct core *core, uint16_t at, uint64_t lsn)
{
	struct durable_wait wait = {.waiter.lsn = lsn, .fiber = fiber_self(core), .from = core->id};
	core_post(core, at, &(struct message){.run = wait_here, .args[0].ptr = &wait});
	fiber_wait(core);
	return !wait.failed;
}

/* One key, or two or three of one core in one group. */
static bool client_writes(struct client *client)
{
	struct house *house = client->house;
	struct write_one write = {.house = house, .n = 1, .k[0] = own_key(client)};
	uint16_t owner = owner_of(house, write.k[0]);
	for (uint32_t more = (uint32_t)chance(&house->random, 3); more > 0; more--) {
		uint32_t k = own_key(client);
		bool again = k == write.k[0] || (write.n == 2 && k == write.k[1]);
		if (!again && owner_of(house, k) == owner)
			write.k[write.n++] = k;
	}
	uint32_t tx = write.n > 1 ? ++house->model->next_tx : 0;
	for (uint32_t i = 0; i < write.n; i++)
		ask_for(house, write.k[i], tx);
	for (fiber_call(client->core, owner, write_here, &write); write.cold;) {
		fiber_sleep(client->core, 300 * 1000);
		fiber_call(client->core, owner, write_here, &write);
	}
	if (!wait_durable(client->core, owner, write.lsn))
		return false;
	for (uint32_t i = 0; i < write.n; i++)
		acknowledge(house, write.k[i]);
	house->model->writes++;
	return true;
}

/* ---- transactions over several cores ------------------------------------------------------- */

struct tx_part {
	struct house *house;
	struct tx_id id;
	uint32_t keys[TX_KEYS_MAX], n;
	uint64_t lsn;
	struct lock_waiter waiter;
	struct fetch_waiter fetched;
	uint32_t fetching;
	struct core *there;
	struct fiber *fiber;
	uint16_t from;
};

static void part_locked(struct shard *shard, struct lock_waiter *waiter)
{
	struct tx_part *part = container_of(waiter, struct tx_part, waiter);
	core_post(shard->core, part->from, &(struct message){.run = wake_waiter, .args[0].ptr = part->fiber});
}

static void lock_here(struct core *there, struct message *message)
{
	struct tx_part *part = message->args[0].ptr;
	part->waiter.run = part_locked;
	if (lock_take(there->shard->locks, &part->waiter))
		part_locked(there->shard, &part->waiter);
}

static uint64_t lock_of(struct house *house, uint32_t k)
{
	char name[NAME_MAX_BYTES];
	return key_of_number(house, k, name).hash;
}

static void part_fetched(struct fetch_waiter *waiter)
{
	struct tx_part *part = container_of(waiter, struct tx_part, fetched);
	if (--part->fetching == 0)
		core_post(part->there, part->from, &(struct message){.run = wake_waiter, .args[0].ptr = part->fiber});
}

static void fetch_here(struct core *there, struct message *message)
{
	struct tx_part *part = message->args[0].ptr;
	part->fetched.done = part_fetched;
	part->there = there;
	part->fetching = 1 + part->n;
	take_time(there);
	for (uint32_t i = 0; i < part->n; i++)
		if (!fetch_if_cold(part->house, there->shard, part->keys[i], &part->fetched))
			part->fetching--;
	part_fetched(&part->fetched);
}

static void fetch_all(struct client *client, struct tx_part *parts)
{
	for (uint16_t at = 0; at < client->house->n_cores; at++) {
		parts[at].house = client->house;
		if (parts[at].n == 0)
			continue;
		core_post(client->core, at, &(struct message){.run = fetch_here, .args[0].ptr = &parts[at]});
		fiber_wait(client->core);
	}
}

static void prepare_here(struct core *there, void *arg)
{
	struct tx_part *part = arg;
	struct changes changes = {0};
	struct journal *journal = there->shard->journal;
	take_time(there);
	journal_collect(journal, &changes);
	for (uint32_t i = 0; i < part->n; i++)
		change_key(part->house, there->shard, part->keys[i]);
	journal_collect(journal, NULL);
	part->lsn = journal_prepare(journal, &changes, &part->id);
	changes_free(&changes);
}

static void outcome_here(struct core *there, void *arg)
{
	struct tx_part *part = arg;
	(void)journal_outcome(there->shard->journal, &part->id, true);
	for (uint32_t i = 0; i < part->n; i++)
		lock_release(there->shard, there->shard->locks, lock_of(part->house, part->keys[i]));
}

static void lock_all(struct client *client, struct tx_part *parts)
{
	for (uint16_t at = 0; at < client->house->n_cores; at++)
		for (uint32_t i = 0; i < parts[at].n; i++) {
			struct tx_part *part = &parts[at];
			part->waiter = (struct lock_waiter){.fingerprint = lock_of(client->house, part->keys[i]),
			                                    .kind = LOCK_HOLD,
			                                    .inside = i > 0};
			part->fiber = fiber_self(client->core);
			part->from = client->core->id;
			core_post(client->core, at, &(struct message){.run = lock_here, .args[0].ptr = part});
			fiber_wait(client->core);
		}
}

static bool commit_all(struct client *client, struct tx_part *parts)
{
	struct house *house = client->house;
	struct journal *own = client->core->shard->journal;
	struct tx_id id = journal_next_tx(own);
	for (uint16_t at = 0; at < house->n_cores; at++) {
		parts[at].id = id;
		parts[at].house = house;
		if (parts[at].n > 0)
			fiber_call(client->core, at, prepare_here, &parts[at]);
	}
	for (uint16_t at = 0; at < house->n_cores; at++)
		if (parts[at].n > 0 && !wait_durable(client->core, at, parts[at].lsn))
			return false;
	if (!wait_durable(client->core, client->core->id, journal_commit(own, &id)))
		return false;
	for (uint16_t at = 0; at < house->n_cores; at++)
		if (parts[at].n > 0)
			fiber_call(client->core, at, outcome_here, &parts[at]);
	return true;
}

static bool is_among(const struct tx_part *part, uint32_t k)
{
	for (uint32_t i = 0; i < part->n; i++)
		if (part->keys[i] == k)
			return true;
	return false;
}

static bool client_commits(struct client *client)
{
	struct house *house = client->house;
	struct tx_part parts[HOUSE_CORES_MAX] = {0};
	uint32_t keys[TX_KEYS_MAX], n = 0, tx = ++house->model->next_tx;
	for (uint32_t i = 0; i < TX_KEYS_MAX; i++) {
		uint32_t k = own_key(client);
		struct tx_part *part = &parts[owner_of(house, k)];
		if (is_among(part, k))
			continue;
		part->keys[part->n++] = keys[n++] = k;
	}
	lock_all(client, parts);
	fetch_all(client, parts);
	for (uint32_t i = 0; i < n; i++)
		ask_for(house, keys[i], tx);
	if (!commit_all(client, parts))
		return false;
	for (uint32_t i = 0; i < n; i++)
		acknowledge(house, keys[i]);
	house->model->transactions++;
	return true;
}

static void client_left(struct core *core, struct message *message)
{
	struct house *house = message->args[0].ptr;
	if (--house->clients_left == 0)
		fiber_wake(core, message->args[1].ptr);
}

struct client_start {
	struct client client;
	struct fiber *fiber;
};

static void client_main(void *arg)
{
	struct client_start *start = arg;
	struct client *client = &start->client;
	client->core = core_current();
	while (client->left-- > 0) {
		bool commits = chance(&client->house->random, 4) == 0;
		if (!(commits ? client_commits(client) : client_writes(client))) {
			client->house->clients_stopped++;
			break;
		}
		if (chance(&client->house->random, 4) == 0)
			fiber_sleep(client->core, chance(&client->house->random, 3000000));
	}
	core_post(client->core, 0,
	          &(struct message){.run = client_left, .args = {{.ptr = client->house}, {.ptr = start->fiber}}});
	memory_free(start);
}

static void client_begins(struct core *core, struct message *message)
{
	fiber_start(core, client_main, message->args[0].ptr);
}

void house_write(struct house *house, uint32_t n)
{
	struct core *core = house->cores[0].core;
	house->clients_left = HOUSE_CLIENTS;
	for (uint32_t i = 0; i < HOUSE_CLIENTS; i++) {
		struct client_start *start = memory_zalloc(sizeof(*start));
		*start = (struct client_start){.client = {.house = house, .number = i, .left = n},
		                               .fiber = fiber_self(core)};
		core_post(core, (uint16_t)chance(&house->random, house->n_cores),
		          &(struct message){.run = client_begins, .args[0].ptr = start});
	}
	fiber_wait(core);
}

/* ---- flushing ------------------------------------------------------------------------------ */

static void drop_here(struct core *there, void *arg)
{
	struct house *house = arg;
	for (uint32_t db = 0; db < DATABASES; db++) {
		keyspace_drop(there->shard, there->shard->keyspace_of_db[db], false);
		there->shard->keyspace_of_db[db] = house->names.of_db[db];
	}
}

void house_flush(struct house *house)
{
	struct core *core = house->cores[0].core;
	for (uint32_t db = 0; db < DATABASES; db++)
		house->names.of_db[db] = house->names.next_id++;
	house->model->flush_asked = true;
	must(store_name_keyspaces(core, house->store, &house->names) == 0);
	for (uint32_t k = 0; k < HOUSE_KEYS; k++)
		house->model->keys[k].acked.exists = false;
	house->model->flush_asked = false;
	fiber_call_all(core, drop_here, house);
	house->model->flushes++;
}

/* ---- the verdict --------------------------------------------------------------------------- */

static bool is_in_state(struct object *object, const struct key_state *state)
{
	static uint8_t value[VALUE_MAX];
	char scratch[STRING_SCRATCH];
	if (!object || !state->exists)
		return !object == !state->exists;
	value_of(state, value);
	return object_expires_ms(object) == state->expires_ms &&
	       slice_equal(string_value(object, scratch), slice_of(value, state->length));
}

static struct object *object_of_number(struct house *house, uint32_t k)
{
	char name[NAME_MAX_BYTES];
	struct key key = key_of_number(house, k, name);
	struct shard *shard = house->cores[core_of_slot(house->cores[0].core, key.slot)].core->shard;
	return keyspace_peek(shard, &key);
}

/* Was a flush under way, and has it happened? Then nothing is there, under new names. */
static void judge_flush(struct house *house)
{
	struct model *model = house->model;
	if (!model->flush_asked)
		return;
	model->flush_asked = false;
	bool any = false;
	for (uint32_t k = 0; k < HOUSE_KEYS; k++)
		any |= object_of_number(house, k) != NULL;
	if (any)
		return;
	for (uint32_t k = 0; k < HOUSE_KEYS; k++)
		model->keys[k].acked.exists = false;
}

enum found { FOUND_EITHER, FOUND_OLD, FOUND_NEW };

/* False: the disk has crashed meanwhile. */
static bool make_warm(struct house *house, uint32_t k)
{
	char name[NAME_MAX_BYTES];
	struct key key = key_of_number(house, k, name);
	struct core *core = house->cores[core_of_slot(house->cores[0].core, key.slot)].core;
	while (tier_must_fetch(core->shard, &key, &reach_all)) {
		core_set_current(core);
		(void)tier_fetch(core->shard, &key, &reach_all, false, false);
		house->model->fetches++;
		if (!house_step(house))
			return false;
	}
	return true;
}

static enum found judge_key(struct house *house, uint32_t k)
{
	struct key_model *key = &house->model->keys[k];
	struct object *object = object_of_number(house, k);
	bool old = is_in_state(object, &key->acked), new = key->is_asked &&is_in_state(object, &key->asked);
	must(old || new, "key %u of db %u: %s; acknowledged: %d (%u bytes)%s", k, key->db,
	     object ? "is there in another state" : "is lost", key->acked.exists, key->acked.length,
	     key->is_asked ? ", another was asked for" : "");
	return old && new ? FOUND_EITHER : new ? FOUND_NEW : FOUND_OLD;
}

/* What one transaction changed is there whole or not at all. */
static void judge_together(struct house *house, const enum found *found, uint32_t k)
{
	const struct key_model *keys = house->model->keys;
	for (uint32_t other = 0; other < k; other++) {
		if (!keys[other].is_asked || !keys[k].tx || keys[other].tx != keys[k].tx)
			continue;
		must(found[other] == FOUND_EITHER || found[k] == FOUND_EITHER || found[other] == found[k],
		     "transaction %u is there by half: keys %u and %u", keys[k].tx, other, k);
	}
}

static uint64_t keys_there(struct house *house)
{
	uint64_t n = 0;
	for (uint16_t id = 0; id < house->n_cores; id++) {
		shard_verify(house->cores[id].core->shard);
		if (house->cores[id].core->shard->tier)
			tier_verify(house->cores[id].core->shard->tier);
		for (uint32_t db = 0; db < DATABASES; db++)
			n += keyspace_count(house->cores[id].core->shard, house->names.of_db[db]);
	}
	return n;
}

void house_verify(struct house *house)
{
	enum found found[HOUSE_KEYS];
	uint64_t n = 0;
	judge_flush(house);
	for (uint32_t k = 0; k < HOUSE_KEYS; k++) {
		if (!make_warm(house, k))
			return;
		found[k] = judge_key(house, k);
	}
	for (uint32_t k = 0; k < HOUSE_KEYS; k++)
		if (house->model->keys[k].is_asked)
			judge_together(house, found, k);
	for (uint32_t k = 0; k < HOUSE_KEYS; k++) {
		struct key_model *key = &house->model->keys[k];
		if (key->is_asked && found[k] == FOUND_NEW)
			key->acked = key->asked;
		key->is_asked = false;
		key->tx = 0;
		n += key->acked.exists;
	}
	must(keys_there(house) == n, "there are %lu keys, and should be %lu", (unsigned long)keys_there(house),
	     (unsigned long)n);
}

/* ---- looking ------------------------------------------------------------------------------- */

struct look {
	struct check_out out; /* first */
	struct buf *text;
	const char *directory, *into;
	bool (*look)(struct core *core, struct look *look);
	bool ok;
};

static void write_text(struct check_out *out, struct slice text)
{
	buf_append(container_of(out, struct look, out)->text, text);
}

static bool look_check(struct core *core, struct look *look) { return check_run(core, look->directory, &look->out); }
static bool look_dump(struct core *core, struct look *look) { return check_dump(core, look->directory, &look->out); }

static bool look_salvage(struct core *core, struct look *look)
{
	must(dir_make(core, look->into) == 0);
	return check_salvage(core, look->directory, look->into, &look->out);
}

static void do_look(struct house *house, void *arg)
{
	struct look *look = arg;
	look->ok = look->look(house->cores[0].core, look);
}

static bool look_at(struct sim_disk *disk, uint64_t seed, struct look *look)
{
	struct house house = {.disk = disk, .n_cores = 1, .random = seed};
	kernels_init(cpu_features());
	look->out.write = write_text;
	make_cores(&house, seed);
	if (!house_run(&house, do_look, look))
		return false;
	unmake_cores(&house);
	buf_byte(look->text, '\0');
	return look->ok;
}

bool house_check(struct sim_disk *disk, const char *directory, uint64_t seed, struct buf *out)
{
	return look_at(disk, seed, &(struct look){.text = out, .directory = directory, .look = look_check});
}

bool house_dump(struct sim_disk *disk, const char *directory, uint64_t seed, struct buf *out)
{
	return look_at(disk, seed, &(struct look){.text = out, .directory = directory, .look = look_dump});
}

bool house_salvage(struct sim_disk *disk, const char *directory, const char *into, uint64_t seed, struct buf *out)
{
	return look_at(disk, seed,
	               &(struct look){.text = out, .directory = directory, .into = into, .look = look_salvage});
}
