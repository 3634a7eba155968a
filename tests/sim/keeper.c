#include "tests/sim/keeper.h"

#include "engine/memory/memory.h"
#include "storage/keyspace/keyspace.h"
#include "tests/sim/ask_collections.h"
#include "tests/sim/items.h"
#include "tests/sim/model.h"
#include "tests/sim/replies.h"
#include "tests/sim/world.h"

enum { KEPT_KEYS = 200, COLLECTIONS = 12, MANY = 12, KEPT_NAME_MAX = 24, APPENDED_MAX = 60 * 1000 };

enum kept_verb { KEPT_GET, KEPT_MSET, KEPT_DEL, KEPT_APPEND, KEPT_SETRANGE, KEPT_STEP };

struct kept_command {
	enum kept_verb verb;
	enum { OPEN, DONE, REFUSED, DOUBTFUL } fate;
	uint32_t n, at;
	uint16_t keys[MANY]; /* different ones */
	uint32_t texts[MANY];
	struct step step; /* KEPT_STEP: on a key 0, which stands for the one it has */
};

/* A key had a value, or would have. */
struct sighted {
	uint32_t key, text;
};

struct keeper {
	struct texts *texts;
	struct model model;
	uint32_t given[KEPT_KEYS]; /* texts: when this life began */
	uint32_t acked[KEPT_KEYS];
	uint32_t asked[KEPT_KEYS];     /* when all is done that was asked */
	uint32_t last_done[KEPT_KEYS]; /* number of the last command acknowledged, counted from 1 */
	struct buf commands;           /* struct kept_command, of this life */
	struct buf ever;               /* struct sighted, of this life */
	struct buf said, value;        /* at work */
	uint32_t uniques;
	uint64_t judged;
};

struct keeper *keeper_new(void)
{
	struct keeper *keeper = memory_zalloc(sizeof(*keeper));
	keeper->texts = keeper->model.texts = texts_new();
	return keeper;
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	model_fini(&keeper->model);
	texts_free(keeper->texts);
	buf_fini(&keeper->commands);
	buf_fini(&keeper->ever);
	buf_fini(&keeper->said);
	buf_fini(&keeper->value);
	memory_free(keeper);
}

static struct kept_command *command_at(const struct keeper *keeper, uint32_t i)
{
	return (struct kept_command *)keeper->commands.ptr + i;
}

static uint32_t command_count(const struct keeper *keeper)
{
	return (uint32_t)(keeper->commands.len / sizeof(struct kept_command));
}

uint64_t keeper_judged(const struct keeper *keeper) { return keeper->judged; }

uint64_t keeper_keys(const struct keeper *keeper)
{
	uint64_t n = 0;
	for (uint32_t key = 0; key < KEPT_KEYS; key++)
		n += keeper->acked[key] != TEXT_NONE;
	return n;
}

static struct slice name_of(uint32_t key, char *out)
{
	if (key % 4 == 0)
		return slice_of(out, (size_t)snprintf(out, KEPT_NAME_MAX, "{keep%u}:%u", key % 5, key));
	return slice_of(out, (size_t)snprintf(out, KEPT_NAME_MAX, "keep:%u", key));
}

/* ---- what commands mean ---------------------------------------------------------------- */

static uint32_t edited(struct keeper *keeper, uint32_t text, size_t at, struct slice bytes)
{
	struct buf *value = &keeper->value;
	value->len = 0;
	buf_append(value, text_bytes(keeper->texts, text));
	if (value->len < at + bytes.len) {
		size_t grow = at + bytes.len - value->len;
		memset(buf_reserve(value, grow), 0, grow);
		value->len += grow;
	}
	memcpy(value->ptr + at, bytes.ptr, bytes.len);
	return text_id(keeper->texts, buf_slice(value));
}

static bool is_collection(const struct keeper *keeper, uint32_t text)
{
	return value_type(text_bytes(keeper->texts, text)) != VALUE_STRING;
}

/* A command on a collection; its answer is in keeper->said. */
static uint32_t after_step(struct keeper *keeper, const struct kept_command *command, uint32_t before)
{
	keeper->said.len = 0;
	model_do(&keeper->model, &command->step, &before, &keeper->said);
	return before;
}

/* What the `i`th of its keys becomes. */
static uint32_t after(struct keeper *keeper, const struct kept_command *command, uint32_t i, uint32_t before)
{
	switch (command->verb) {
	case KEPT_GET:
		return before;
	case KEPT_DEL:
		return TEXT_NONE;
	case KEPT_MSET:
		return command->texts[i];
	case KEPT_STEP:
		return after_step(keeper, command, before);
	case KEPT_APPEND:
	case KEPT_SETRANGE:
		break;
	}
	size_t at = command->verb == KEPT_SETRANGE ? command->at : text_bytes(keeper->texts, before).len;
	if (is_collection(keeper, before))
		return before;
	return edited(keeper, before, at, text_bytes(keeper->texts, command->texts[i]));
}

static void say_bulk(struct keeper *keeper, uint32_t text)
{
	struct slice bytes = text_bytes(keeper->texts, text);
	if (!text) {
		buf_append(&keeper->said, S("$-1\r\n"));
		return;
	}
	buf_printf(&keeper->said, "$%zu\r\n", bytes.len);
	buf_append(&keeper->said, bytes);
	buf_append(&keeper->said, S("\r\n"));
}

/* Does it on `state`; the answer is in keeper->said. */
static void apply(struct keeper *keeper, const struct kept_command *command, uint32_t *state)
{
	uint32_t there = 0;
	keeper->said.len = 0;
	for (uint32_t i = 0; i < command->n; i++) {
		uint32_t *text = &state[command->keys[i]];
		there += *text != TEXT_NONE;
		*text = after(keeper, command, i, *text);
	}
	if (command->verb == KEPT_STEP)
		return;
	if (is_collection(keeper, state[command->keys[0]]) && command->verb != KEPT_DEL && command->verb != KEPT_MSET)
		buf_append(&keeper->said, S("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"));
	else if (command->verb == KEPT_GET)
		say_bulk(keeper, state[command->keys[0]]);
	else if (command->verb == KEPT_DEL)
		buf_printf(&keeper->said, ":%u\r\n", there);
	else if (command->verb == KEPT_MSET)
		buf_append(&keeper->said, S("+OK\r\n"));
	else
		buf_printf(&keeper->said, ":%zu\r\n", text_bytes(keeper->texts, state[command->keys[0]]).len);
}

/* ---- asking ---------------------------------------------------------------------------- */

static uint32_t draw_text(struct keeper *keeper, struct client *c)
{
	static const uint32_t lengths[] = {40, 40, 40, 40, 200, 600, 600, 5000, 40000};
	static const uint32_t tiered[] = {40, 200, 600, 600, 600, 2000, 2000, 5000, 40000};
	const uint32_t *most = c->config->memory_bytes ? tiered : lengths;
	struct buf value = {0};
	size_t length = sim_below(c->sim, most[sim_below(c->sim, array_len(lengths))]);
	buf_printf(&value, "kept%u.", ++keeper->uniques);
	while (value.len < length)
		buf_byte(&value, (uint8_t)('a' + (value.len + value.len / 100 + keeper->uniques) % 26));
	uint32_t text = text_id(keeper->texts, buf_slice(&value));
	buf_fini(&value);
	return text;
}

static void note_asked(struct keeper *keeper, const struct kept_command *command)
{
	apply(keeper, command, keeper->asked);
	for (uint32_t i = 0; i < command->n; i++) {
		struct sighted sighted = {.key = command->keys[i], .text = keeper->asked[command->keys[i]]};
		buf_append(&keeper->ever, slice_of(&sighted, sizeof(sighted)));
	}
}

static void put_number(struct client *c, uint32_t number)
{
	char digits[16];
	ask_word(c, slice_of(digits, (size_t)snprintf(digits, sizeof(digits), "%u", number)));
}

static const char *const verb_names[] = {"GET", "MSET", "DEL", "APPEND", "SETRANGE", "of a collection:"};

static void put_command(struct keeper *keeper, struct client *c, const struct kept_command *command)
{
	bool has_values = command->verb != KEPT_GET && command->verb != KEPT_DEL;
	char name[KEPT_NAME_MAX];
	if (command->verb == KEPT_STEP) {
		struct slice key = name_of(command->keys[0], name);
		put_collection_step(c, keeper->texts, &command->step, &key);
		return;
	}
	ask_words(c, command->n * (1u + has_values) + (command->verb == KEPT_SETRANGE), verb_names[command->verb]);
	for (uint32_t i = 0; i < command->n; i++) {
		ask_word(c, name_of(command->keys[i], name));
		if (command->verb == KEPT_SETRANGE)
			put_number(c, command->at);
		if (has_values)
			ask_word(c, text_bytes(keeper->texts, command->texts[i]));
	}
}

static enum kept_verb draw_verb(struct keeper *keeper, struct client *c, uint32_t key)
{
	static const enum kept_verb verbs[] = {KEPT_GET,  KEPT_MSET, KEPT_MSET,   KEPT_MSET,   KEPT_MSET,
	                                       KEPT_MSET, KEPT_DEL,  KEPT_APPEND, KEPT_APPEND, KEPT_SETRANGE};
	enum kept_verb verb = verbs[sim_below(c->sim, array_len(verbs))];
	if (c->config->memory_bytes && sim_chance(c->sim, 500))
		verb = KEPT_GET;
	bool too_long = text_bytes(keeper->texts, keeper->asked[key]).len > APPENDED_MAX;
	return verb >= KEPT_APPEND && too_long ? KEPT_DEL : verb;
}

/* What the first few keys mostly are, so that they grow. */
static enum value_type type_of(uint32_t key)
{
	static const enum value_type types[] = {VALUE_SET, VALUE_HASH, VALUE_ZSET, VALUE_STREAM};
	return types[(key + key / 4) % array_len(types)];
}

/* Of commands on shared keys, those that have one key; their texts are the history's. */
static void draw_step(struct keeper *keeper, struct client *c, uint32_t key, struct step *step)
{
	static void (*const draws[])(struct client *, struct step *) = {[VALUE_SET] = draw_set,
	                                                                [VALUE_HASH] = draw_hash,
	                                                                [VALUE_ZSET] = draw_zset,
	                                                                [VALUE_STREAM] = draw_stream};
	char name[KEPT_NAME_MAX];
	do {
		*step = (struct step){.n = 1, .keys[0] = (uint8_t)(key % 2)};
		draws[type_of(key)](c, step);
	} while (step->n > 1 || verb_waits(step->verb));
	step->keys[0] = 0;
	for (uint8_t i = 0; i < step->n_values; i++)
		step->values[i] = text_id(keeper->texts, text_bytes(c->history->texts, step->values[i]));
	step->name = text_id(keeper->texts, name_of(key, name));
}

static void ask_command(struct keeper *keeper, struct client *c, const struct kept_command *command)
{
	note_asked(keeper, command);
	ask_begin(c, AWAIT_KEPT, command_count(keeper), 0);
	buf_append(&keeper->commands, slice_of(command, sizeof(*command)));
	put_command(keeper, c, command);
}

static void ask_of_collection(struct keeper *keeper, struct client *c, uint32_t key)
{
	struct kept_command command = {.verb = KEPT_STEP, .n = 1, .keys[0] = (uint16_t)key};
	draw_step(keeper, c, key, &command.step);
	ask_command(keeper, c, &command);
}

void keeper_ask(struct keeper *keeper, struct client *c)
{
	uint32_t key = (uint32_t)sim_below(c->sim, KEPT_KEYS), stride = 1 + (uint32_t)sim_below(c->sim, 4);
	if (sim_chance(c->sim, 400)) {
		ask_of_collection(keeper, c, key % COLLECTIONS);
		return;
	}
	struct kept_command command = {.verb = draw_verb(keeper, c, key), .n = 1};
	if (command.verb == KEPT_MSET || command.verb == KEPT_DEL)
		command.n = 1 + (uint32_t)sim_below(c->sim, sim_chance(c->sim, 300) ? MANY : 2);
	for (uint32_t i = 0; i < command.n; i++) {
		command.keys[i] = (uint16_t)((key + i * stride) % KEPT_KEYS);
		if (command.verb != KEPT_GET && command.verb != KEPT_DEL)
			command.texts[i] = draw_text(keeper, c);
	}
	if (command.verb == KEPT_SETRANGE)
		command.at = (uint32_t)sim_below(c->sim, text_bytes(keeper->texts, keeper->asked[key]).len + 20);
	ask_command(keeper, c, &command);
}

bool keeper_told(struct keeper *keeper, struct history *history, const struct config *config, uint32_t number,
                 struct slice reply)
{
	struct kept_command *command = command_at(keeper, number);
	cleanup(buf_fini) struct buf in_order = {0};
	if (reply_leaves_doubt(reply)) {
		command->fate = DOUBTFUL;
		return config->may_stop;
	}
	if (reply_refuses(reply)) {
		command->fate = REFUSED;
		return may_refuse(history, config, reply);
	}
	apply(keeper, command, keeper->acked);
	command->fate = DONE;
	keeper->judged++;
	for (uint32_t i = 0; i < command->n; i++)
		keeper->last_done[command->keys[i]] = number + 1;
	if (command->verb == KEPT_STEP) {
		reply_in_order(&(struct operation){.n_steps = 1, .steps = &command->step}, reply, &in_order);
		return slice_equal(buf_slice(&in_order), buf_slice(&keeper->said));
	}
	return slice_equal(reply, buf_slice(&keeper->said));
}

void keeper_print(const struct keeper *keeper, uint32_t number, FILE *to)
{
	const struct kept_command *command = command_at(keeper, number);
	static const char *const fates[] = {"", " (done)", " (refused)", " (in doubt)"};
	char name[KEPT_NAME_MAX];
	fprintf(to, "    %s%s", verb_names[command->verb], fates[command->fate]);
	for (uint32_t i = 0; i < command->n; i++)
		fprintf(to, " %.*s (%zu)", (int)name_of(command->keys[i], name).len,
		        name_of(command->keys[i], name).ptr, text_bytes(keeper->texts, command->texts[i]).len);
	fprintf(to, "\n");
}

/* ---- judging --------------------------------------------------------------------------- */

/* What a command that was open can have been, as far as its keys say. */
struct verdict_of {
	bool done, undone;
};

static uint32_t found_text(struct keeper *keeper, struct world *world, uint32_t key)
{
	char name[KEPT_NAME_MAX];
	return world_text(world, keeper->texts, world_object(world, 0, name_of(key, name)));
}

static int place_of_key(const struct kept_command *command, uint32_t key)
{
	for (uint32_t i = 0; i < command->n; i++)
		if (command->keys[i] == key)
			return (int)i;
	return -1;
}

/* After an answer that left it in doubt each may have been done or not, whatever came later: any of the states that
 * some of them lead to. */
static bool judge_doubtful(struct keeper *keeper, uint32_t key, uint32_t found)
{
	uint32_t states[64] = {keeper->acked[key]}, n_states = 1;
	for (uint32_t i = 0; i < command_count(keeper); i++) {
		const struct kept_command *command = command_at(keeper, i);
		int at = place_of_key(command, key);
		bool may_be = command->fate == OPEN || command->fate == DOUBTFUL;
		for (uint32_t n = n_states; may_be && at >= 0 && n > 0 && n_states < array_len(states); n--)
			states[n_states++] = after(keeper, command, (uint32_t)at, states[n - 1]);
	}
	for (uint32_t i = 0; i < n_states; i++)
		if (states[i] == found)
			return true;
	return n_states == array_len(states);
}

static bool is_doubtful(const struct keeper *keeper, uint32_t key)
{
	for (uint32_t i = 0; i < command_count(keeper); i++)
		if (command_at(keeper, i)->fate == DOUBTFUL && place_of_key(command_at(keeper, i), key) >= 0)
			return true;
	return false;
}

/* Of those that touch the key and are open: how many of them, from the first on, explain what was found? */
static bool judge_key(struct keeper *keeper, uint32_t key, uint32_t found, struct verdict_of *verdicts)
{
	uint32_t state = keeper->acked[key], n = command_count(keeper);
	if (is_doubtful(keeper, key))
		return judge_doubtful(keeper, key, found);
	bool fits = state == found, any = fits;
	struct {
		uint32_t command;
		bool before; /* it can be undone: what came before it fits */
		bool after;
	} open[256];
	uint32_t n_open = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct kept_command *command = command_at(keeper, i);
		if (command->fate != OPEN || command->verb == KEPT_GET)
			continue;
		for (uint32_t k = 0; k < command->n; k++) {
			if (command->keys[k] != key)
				continue;
			state = after(keeper, command, k, state);
			if (n_open < array_len(open)) {
				open[n_open].command = i;
				open[n_open].before = any;
				open[n_open++].after = state == found;
			}
			any |= state == found;
		}
	}
	bool later = false;
	for (uint32_t i = n_open; i-- > 0;) {
		later |= open[i].after;
		if (keeper->last_done[key] > open[i].command + 1)
			continue; /* what was acknowledged after it says nothing about it */
		verdicts[open[i].command].done &= later;
		verdicts[open[i].command].undone &= open[i].before;
	}
	return any;
}

static bool was_ever(const struct keeper *keeper, uint32_t key, uint32_t text)
{
	const struct sighted *all = (const struct sighted *)keeper->ever.ptr;
	for (size_t i = 0; i < keeper->ever.len / sizeof(*all); i++)
		if (all[i].key == key && all[i].text == text)
			return true;
	return keeper->given[key] == text;
}

static void show(struct keeper *keeper, uint32_t text, char *out, size_t size)
{
	struct slice bytes = text_bytes(keeper->texts, text);
	if (text)
		snprintf(out, size, "%.*s (%zu bytes)", (int)(bytes.len < 24 ? bytes.len : 24), bytes.ptr, bytes.len);
	else
		snprintf(out, size, "not there");
}

/* All that the life asked about a key. */
static void print_key(const struct keeper *keeper, uint32_t key, FILE *to)
{
	for (uint32_t i = 0; i < command_count(keeper); i++)
		for (uint32_t k = 0; k < command_at(keeper, i)->n; k++)
			if (command_at(keeper, i)->keys[k] == key)
				keeper_print(keeper, i, to);
}

static bool judge_all(struct keeper *keeper, const uint32_t *found, bool lax, FILE *to, char *why, size_t why_size)
{
	uint32_t n = command_count(keeper);
	struct verdict_of *verdicts = memory_alloc((n + 1) * sizeof(*verdicts));
	memset(verdicts, true, (n + 1) * sizeof(*verdicts));
	bool fine = true;
	for (uint32_t key = 0; key < KEPT_KEYS && fine; key++) {
		char name[KEPT_NAME_MAX], is[80], was[80];
		fine = lax ? was_ever(keeper, key, found[key]) : judge_key(keeper, key, found[key], verdicts);
		if (fine)
			continue;
		print_key(keeper, key, to);
		show(keeper, found[key], is, sizeof(is));
		show(keeper, keeper->acked[key], was, sizeof(was));
		snprintf(why, why_size, "the keeper's key %.*s is %s; acknowledged was %s", (int)name_of(key, name).len,
		         name_of(key, name).ptr, is, was);
	}
	for (uint32_t i = 0; i < n && fine && !lax; i++) {
		fine = command_at(keeper, i)->fate != OPEN || verdicts[i].done || verdicts[i].undone;
		if (!fine)
			snprintf(why, why_size, "the keeper's command %u of %u keys, unanswered, is there by half", i,
			         command_at(keeper, i)->n);
	}
	memory_free(verdicts);
	return fine;
}

bool keeper_judge(struct keeper *keeper, struct world *world, bool lax, FILE *to, char *why, size_t why_size,
                  uint32_t *lost)
{
	uint32_t found[KEPT_KEYS];
	for (uint32_t key = 0; key < KEPT_KEYS; key++) {
		found[key] = found_text(keeper, world, key);
		if (found[key] != TEXT_LOST)
			continue;
		++*lost;
		found[key] = keeper->acked[key]; /* nothing is known of it, but that it is there */
	}
	if (!judge_all(keeper, found, lax, to, why, why_size))
		return false;
	memcpy(keeper->given, found, sizeof(found));
	memcpy(keeper->acked, found, sizeof(found));
	memcpy(keeper->asked, found, sizeof(found));
	memset(keeper->last_done, 0, sizeof(keeper->last_done));
	keeper->commands.len = keeper->ever.len = 0;
	return true;
}
