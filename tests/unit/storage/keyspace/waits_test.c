/* Waits: clients with several keys each, against a model that keeps every line as an array. */
#include "storage/keyspace/waits.h"

#include "storage/keyspace/list.h"
#include "storage/keyspace/value.h"
#include "support.h"

enum { KEYSPACES = 2, NAMES = 5, KEYS = KEYSPACES * NAMES, CLIENTS = 24, KEYS_MAX = 3, STEPS = 20000 };

struct client {
	struct waiter waiters[KEYS_MAX];
	uint32_t keys[KEYS_MAX]; /* of the model; follow the names as the rows do */
	uint32_t n;              /* 0: does not wait */
	uint32_t types;
};

/* What a key should have: its line, and whether it is ready. */
struct line {
	uint32_t clients[CLIENTS];
	uint32_t n;
	uint32_t types;
};

static struct shard *shard;
static struct client clients[CLIENTS];
static struct line lines[KEYS];
static uint32_t ready[KEYS], n_ready;
static uint32_t locked; /* a bit for each key that may not be shown */
static struct dice dice;
static uint32_t served;

static struct key key_of_number(uint32_t number)
{
	static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};
	return key_named(number / NAMES, text(names[number % NAMES]));
}

static struct object *object_at(uint32_t number)
{
	struct key key = key_of_number(number);
	return keyspace_find(shard, &key, FIND_QUIET);
}

static void start(void)
{
	shard = shard_new(NULL, SEED);
	shard->now_ms = 1000;
	memset(clients, 0, sizeof(clients));
	memset(lines, 0, sizeof(lines));
	n_ready = locked = served = 0;
	dice.state = 1;
}

static void stop(void)
{
	shard_verify(shard);
	shard_free(shard);
}

TestSuite(waits, .init = start, .fini = stop, .timeout = 60);

/* ---- the model ------------------------------------------------------------------------- */

static bool is_ready(uint32_t number)
{
	for (uint32_t i = 0; i < n_ready; i++)
		if (ready[i] == number)
			return true;
	return false;
}

static void not_ready(uint32_t number)
{
	uint32_t to = 0;
	for (uint32_t i = 0; i < n_ready; i++)
		if (ready[i] != number)
			ready[to++] = ready[i];
	n_ready = to;
}

static void changed(uint32_t number)
{
	struct object *object = object_at(number);
	if (object && lines[number].n > 0 && lines[number].types & 1u << object_type(object) && !is_ready(number))
		ready[n_ready++] = number;
}

static void leave_line(uint32_t number, uint32_t client)
{
	struct line *line = &lines[number];
	uint32_t to = 0;
	for (uint32_t i = 0; i < line->n; i++)
		if (line->clients[i] != client)
			line->clients[to++] = line->clients[i];
	line->n = to;
}

static void forget_empty(uint32_t number)
{
	if (lines[number].n > 0)
		return;
	lines[number].types = 0;
	not_ready(number);
}

/* ---- operations ------------------------------------------------------------------------- */

static void wait_for(uint32_t number)
{
	struct client *client = &clients[number];
	client->types = roll(&dice, 4) ? 1u << OBJECT_LIST : 1u << OBJECT_STRING;
	for (uint32_t want = 1 + roll(&dice, KEYS_MAX); want > 0; want--) {
		uint32_t at = roll(&dice, KEYS);
		struct key key = key_of_number(at);
		struct waiter *last = waits_last(shard, &key);
		uint32_t expected = lines[at].n ? lines[at].clients[lines[at].n - 1] : CLIENTS;
		bool is_mine = last >= client->waiters && last < client->waiters + KEYS_MAX;
		cr_assert_eq(last != NULL, expected < CLIENTS);
		cr_assert_eq(is_mine, expected == number);
		if (is_mine)
			continue;
		struct waiter *waiter = &client->waiters[client->n];
		*waiter = (struct waiter){.types = client->types};
		waiter_add(shard, &key, waiter);
		cr_assert(slice_equal(waiter_key(waiter)->name, key.name));
		client->keys[client->n++] = at;
		lines[at].clients[lines[at].n++] = number;
		lines[at].types |= client->types;
	}
}

static void stop_waiting(uint32_t number)
{
	struct client *client = &clients[number];
	for (uint32_t i = 0; i < client->n; i++) {
		waiter_remove(shard, &client->waiters[i]);
		waiter_remove(shard, &client->waiters[i]); /* once more does nothing */
		leave_line(client->keys[i], number);
	}
	client->n = 0;
}

static void leave(uint32_t number)
{
	stop_waiting(number);
	for (uint32_t i = 0; i < KEYS; i++)
		forget_empty(i);
}

static void push(uint32_t number)
{
	struct collection list;
	struct key key = key_of_number(number);
	if (collection_open(shard, &key, OBJECT_LIST, FIND_WRITE, &list) != OK)
		return;
	for (uint32_t n = 1 + roll(&dice, 3); n > 0; n--)
		list_push(&list, LIST_TAIL, text("element"));
	changed(number);
}

static void pop(uint32_t number)
{
	struct collection list;
	struct key key = key_of_number(number);
	cr_assert_eq(collection_open(shard, &key, OBJECT_LIST, FIND_WRITE, &list), OK);
	list_cut(&list, 0, 1);
	(void)collection_close(&list);
}

static void put(uint32_t number)
{
	struct key key = key_of_number(number);
	string_put(shard, &key, text("v"), EXPIRES_NEVER);
	changed(number);
}

static void drop(uint32_t number)
{
	struct key key = key_of_number(number);
	(void)keyspace_delete(shard, &key);
}

static void rename_key(uint32_t from, uint32_t to)
{
	struct key one = key_of_number(from), other = key_of_number(to);
	if (!object_at(from) || from == to)
		return;
	keyspace_move(shard, &one, &other);
	changed(to);
}

/* The rows go along in the order of the table, which is no order: so at most one key may become ready. */
static void swap_names(void)
{
	for (uint32_t i = 0; i < NAMES; i++) {
		struct line line = lines[i];
		lines[i] = lines[i + NAMES];
		lines[i + NAMES] = line;
	}
	for (uint32_t i = 0; i < n_ready; i++)
		ready[i] = (ready[i] + NAMES) % KEYS;
	for (uint32_t i = 0; i < CLIENTS; i++)
		for (uint32_t k = 0; k < clients[i].n; k++)
			clients[i].keys[k] = (clients[i].keys[k] + NAMES) % KEYS;
	waits_follow(shard, 0, 1);
}

/* ---- serving ---------------------------------------------------------------------------- */

static uint32_t number_of(const struct key *key) { return key->keyspace * NAMES + (uint32_t)(key->name.ptr[0] - 'a'); }

static uint32_t next_client; /* that should be shown, among those of its key */
static uint32_t showing = KEYS;

static bool may(void *arg, const struct key *key) { return !(locked & 1u << number_of(key)); }

/* The key whose turn it is, in the model. */
static void turn_of(uint32_t number)
{
	if (showing == number)
		return;
	if (showing < KEYS) {
		not_ready(showing);
		forget_empty(showing);
	}
	uint32_t first = 0;
	while (locked & 1u << ready[first])
		first++;
	cr_assert_lt(first, n_ready);
	cr_assert_eq(ready[first], number, "key %u is shown, and it is the turn of %u", number, ready[first]);
	showing = number;
	next_client = 0;
}

static bool serve(void *arg, const struct key *key, struct waiter *waiter)
{
	uint32_t number = number_of(key), who = CLIENTS;
	turn_of(number);
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (waiter >= clients[i].waiters && waiter < clients[i].waiters + KEYS_MAX)
			who = i;
	cr_assert_lt(who, CLIENTS);
	cr_assert_eq(lines[number].clients[next_client], who);
	struct object *object = object_at(number);
	if (!object)
		return false;
	if (!(waiter->types & 1u << object_type(object))) {
		next_client++;
		return true;
	}
	served++;
	if (object_type(object) == OBJECT_LIST)
		pop(number);
	else
		drop(number);
	stop_waiting(who);
	for (uint32_t i = 0; i < KEYS; i++)
		if (i != number)
			forget_empty(i);
	return true;
}

static void serve_all(void)
{
	struct waits_server server = {.may = may, .serve = serve};
	showing = KEYS;
	waits_serve(shard, &server);
	if (showing < KEYS) {
		not_ready(showing);
		forget_empty(showing);
	}
	for (uint32_t i = 0; i < n_ready; i++)
		cr_assert(locked & 1u << ready[i], "key %u was forgotten", ready[i]);
	cr_assert_eq(shard->keys_ready, n_ready > 0);
}

static void check(void)
{
	uint32_t waited = 0;
	for (uint32_t i = 0; i < KEYS; i++)
		waited += lines[i].n > 0;
	cr_assert_eq(waits_count(shard), waited);
	cr_assert_eq(shard->keys_ready, n_ready > 0);
}

static void step(void)
{
	uint32_t key = roll(&dice, KEYS), who = roll(&dice, CLIENTS);
	switch (roll(&dice, 12)) {
	case 0 ... 3:
		if (clients[who].n == 0)
			wait_for(who);
		break;
	case 4:
		leave(who);
		break;
	case 5 ... 6:
		push(key);
		break;
	case 7:
		put(key);
		break;
	case 8:
		drop(key);
		break;
	case 9:
		rename_key(key, roll(&dice, KEYS));
		break;
	case 10:
		locked = roll(&dice, 2) ? 0 : 1u << roll(&dice, KEYS) | 1u << roll(&dice, KEYS);
		serve_all();
		break;
	default:
		/* Only where the order in which keys become ready is one. */
		for (uint32_t i = 0; i < KEYS; i++)
			drop(i);
		swap_names();
		break;
	}
	check();
}

Test(waits, lines_are_as_in_the_model)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		dice.state = seed;
		for (uint32_t i = 0; i < STEPS; i++)
			step();
		for (uint32_t i = 0; i < CLIENTS; i++)
			leave(i);
		check();
	}
	cr_assert_gt(served, STEPS / 10);
	cr_assert_eq(waits_count(shard), 0);
}

Test(waits, names_that_change_bring_what_lives_there)
{
	struct waiter waiter = {.types = 1u << OBJECT_LIST};
	struct key here = key_of_number(0);
	waiter_add(shard, &here, &waiter);
	push(NAMES); /* the same name in the other keyspace */
	cr_assert_not(shard->keys_ready);
	waits_follow(shard, 0, 1);
	cr_assert(shard->keys_ready);
	cr_assert_eq(waiter_key(&waiter)->keyspace, 1);
	waiter_remove(shard, &waiter);
	cr_assert_not(shard->keys_ready);
}
