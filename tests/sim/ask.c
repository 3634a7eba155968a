/* What clients ask: commands drawn by the weights of the configuration. */
#include "engine/base/number.h"
#include "tests/sim/ask_collections.h"
#include "tests/sim/caches.h"
#include "tests/sim/keeper.h"

#include <stdarg.h>
#include <stdlib.h>

enum { LONG_MIN = 40, LONG_MAX = 300, HUGE_MIN = 16 * 1024, HUGE_MORE = 5000, TRANSACTION_STEPS = 4 };

/* ---- requests ------------------------------------------------------------------------------ */

void ask_begin(struct client *c, enum awaits what, uint32_t number, uint32_t text)
{
	struct mark mark = {.at = c->output.len, .what = what, .number = number};
	struct awaited awaited = {.what = what, .number = number, .text = text};
	buf_append(&c->marks, slice_of(&mark, sizeof(mark)));
	buf_append(&c->awaited, slice_of(&awaited, sizeof(awaited)));
}

void ask_word(struct client *c, struct slice word)
{
	buf_printf(&c->output, "$%zu\r\n", word.len);
	buf_append(&c->output, word);
	buf_append(&c->output, S("\r\n"));
}

void ask_words(struct client *c, uint32_t more, const char *words)
{
	uint32_t n = 1;
	for (const char *at = words; *at; at++)
		n += *at == ' ';
	buf_printf(&c->output, "*%u\r\n", n + more);
	for (const char *end; n > 0; n--, words = end + 1) {
		end = strchrnul(words, ' ');
		ask_word(c, slice_of(words, (size_t)(end - words)));
	}
}

static void put_number(struct client *c, int64_t number)
{
	char digits[INTEGER_TEXT_MAX];
	ask_word(c, slice_of(digits, integer_format(number, digits)));
}

static void put_key(struct client *c, uint8_t key)
{
	char name[16];
	key_name(c->config, key, name);
	ask_word(c, slice_from_str(name));
}

static void put_text(struct client *c, uint32_t text) { ask_word(c, text_bytes(c->history->texts, text)); }

uint32_t text_fmt(struct client *c, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text_id(c->history->texts, slice_of(text, (size_t)n));
}

/* A request without arguments of its own, whose reply is known. */
static void ask(struct client *c, const char *words, const char *reply)
{
	ask_begin(c, AWAIT_TEXT, text_id(c->history->texts, slice_from_str(reply)), 0);
	ask_words(c, 0, words);
}

void ask_hello(struct client *c)
{
	ask_begin(c, AWAIT_ANYTHING, 0, 0);
	ask_words(c, 0, "HELLO 3");
	c->resp = 3;
}

void ask_id(struct client *c)
{
	ask_begin(c, AWAIT_ID, 0, 0);
	ask_words(c, 0, "CLIENT ID");
}

/* Ends a wait, if it has not found its end by then. */
static void ask_unblock(struct client *c, int64_t whom)
{
	bool with_error = sim_chance(c->sim, 500);
	ask_begin(c, AWAIT_ANYTHING, 0, 0);
	ask_words(c, 1u + with_error, "CLIENT UNBLOCK");
	put_number(c, whom);
	if (with_error)
		ask_word(c, S("ERROR"));
}

/* A word that nobody else says, back and forth: replies that lose their order show it. */
static void ask_echo(struct client *c)
{
	char word[40];
	int n = snprintf(word, sizeof(word), "echo-%u.%u.%u", c->id, c->session, ++c->uniques);
	ask_begin(c, AWAIT_TEXT, text_fmt(c, "$%d\r\n%s\r\n", n, word), 0);
	if (sim_chance(c->sim, 200)) {
		buf_printf(&c->output, "ECHO %s\r\n", word);
		return;
	}
	ask_words(c, 1, sim_chance(c->sim, 500) ? "ECHO" : "PING");
	ask_word(c, slice_of(word, (size_t)n));
}

/* ---- steps: what the model knows ---------------------------------------------------------------- */

static uint8_t draw_key(struct client *c) { return (uint8_t)sim_below(c->sim, c->config->n_keys); }

static uint32_t draw_value(struct client *c)
{
	uint32_t unique = ++c->uniques;
	if (sim_chance(c->sim, 250))
		return text_fmt(c, "%u", c->config->life * 100000000 + c->id * 1000000 + unique * 100);
	size_t len = 0;
	if (sim_chance(c->sim, c->config->huge_values))
		len = HUGE_MIN + sim_below(c->sim, HUGE_MORE);
	else if (sim_chance(c->sim, c->config->long_values))
		len = LONG_MIN + sim_below(c->sim, LONG_MAX - LONG_MIN);
	struct buf value = {0};
	if (c->config->life)
		buf_printf(&value, "l%u", c->config->life);
	buf_printf(&value, "v%u.%u", c->id, unique);
	while (value.len < len)
		buf_byte(&value, (uint8_t)('a' + value.len % 23));
	uint32_t text = text_id(c->history->texts, buf_slice(&value));
	buf_fini(&value);
	return text;
}

static void draw_keys(struct client *c, struct step *step, bool with_values)
{
	uint8_t most = c->config->n_keys < STEP_KEYS ? (uint8_t)c->config->n_keys : STEP_KEYS;
	step->n = (uint8_t)(1 + sim_below(c->sim, most));
	uint32_t one = sim_chance(c->sim, 500) ? draw_value(c) : TEXT_NONE;
	for (uint8_t i = 0; i < step->n; i++) {
		step->keys[i] = draw_key(c);
		if (with_values)
			step->values[i] = one ? one : draw_value(c);
	}
}

static enum verb draw_verb(struct client *c, const enum verb *of, size_t n) { return of[sim_below(c->sim, n)]; }
#define DRAW(c, ...) draw_verb(c, (const enum verb[]){__VA_ARGS__}, array_len(((const enum verb[]){__VA_ARGS__})))

static void draw_read(struct client *c, struct step *step)
{
	step->verb = DRAW(c, GET, GET, GET, STRLEN, GETRANGE, TYPE, EXISTS);
	if (step->verb == GETRANGE) {
		step->number = (int64_t)sim_below(c->sim, 5);
		step->number_to = step->number + (int64_t)sim_below(c->sim, sim_chance(c->sim, 200) ? 30000 : 10);
	}
}

static void draw_write(struct client *c, struct step *step)
{
	step->verb = DRAW(c, SET, SET, SET, SET_NX, SET_XX, SET_GET, SETNX, GETSET, GETDEL, DEL, UNLINK);
	if (step->verb != GETDEL && step->verb != DEL && step->verb != UNLINK)
		step->values[0] = draw_value(c);
}

static void draw_count(struct client *c, struct step *step)
{
	step->verb = DRAW(c, INCR, INCR, DECR, INCRBY);
	if (step->verb == INCRBY)
		step->number = (int64_t)sim_below(c->sim, 1000) - 300;
}

static void draw_edit(struct client *c, struct step *step)
{
	step->verb = DRAW(c, APPEND, APPEND, SETRANGE);
	step->values[0] = draw_value(c);
	if (step->verb == SETRANGE)
		step->number = (int64_t)sim_below(c->sim, sim_chance(c->sim, c->config->huge_values) ? HUGE_MIN : 60);
}

static void draw_many(struct client *c, struct step *step)
{
	step->verb = DRAW(c, MGET, MGET, MSET, MSET, MSETNX, DEL, UNLINK, EXISTS);
	draw_keys(c, step, step->verb == MSET || step->verb == MSETNX);
}

static void draw_move(struct client *c, struct step *step)
{
	step->verb = DRAW(c, RENAME, RENAMENX, COPY, COPY, MOVE);
	if (step->verb == MOVE || (step->verb == COPY && sim_chance(c->sim, 400)))
		step->db_to = (uint8_t)sim_below(c->sim, DATABASES_USED);
	else
		step->db_to = step->db;
	step->replace = step->verb == COPY && sim_chance(c->sim, 500);
	if (step->verb == MOVE)
		return;
	step->n = 2;
	step->keys[1] = draw_key(c);
}

static void draw_global(struct client *c, struct step *step)
{
	/* The keeper's keys lie in database 0. */
	uint8_t first = c->config->has_keeper;
	step->verb = DRAW(c, FLUSHDB, FLUSHALL, SWAPDB, SWAPDB);
	step->n = 0;
	if (step->verb == FLUSHALL && c->config->has_keeper)
		step->verb = FLUSHDB;
	if (step->verb == FLUSHDB && step->db < first)
		step->verb = SWAPDB;
	if (step->verb != SWAPDB)
		return;
	step->db = first + (uint8_t)sim_below(c->sim, DATABASES_USED - first);
	step->db_to = first + (uint8_t)sim_below(c->sim, DATABASES_USED - first);
}

static void draw_expire(struct client *c, struct step *step)
{
	step->verb = DRAW(c, EXPIREAT, EXPIREAT, PERSIST, EXPIRETIME);
	if (step->verb == EXPIREAT)
		step->number = 1 + (int64_t)sim_below(c->sim, EXPIRES_MORE_S);
}

uint32_t draw_element(struct client *c)
{
	return sim_chance(c->sim, 300) ? text_fmt(c, "e%u", (unsigned)sim_below(c->sim, 3)) : draw_value(c);
}

/* Whoever half-closes while he waits is not answered, as one who has gone. */
bool draw_waiting(struct client *c)
{
	return c->config->waits && !c->in_script && c->leaves != LEAVE_BY_END && sim_chance(c->sim, c->config->waits);
}

uint32_t key_text(struct client *c, uint8_t key)
{
	char name[16];
	key_name(c->config, key, name);
	return text_id(c->history->texts, slice_from_str(name));
}

static void draw_list(struct client *c, struct step *step)
{
	step->verb = DRAW(c, RPUSH, RPUSH, LPUSH, LPUSH, RPUSHX, LPOP, RPOP, LSET, LREM, LTRIM, LINSERT, LMOVE, LMOVE,
	                  LLEN, LINDEX, LRANGE, LRANGE);
	if (c->config->hungry)
		step->verb = DRAW(c, RPUSH, LPUSH, RPUSHX, LPOP, LPOP, RPOP, LMOVE, LREM, LRANGE);
	step->number = (int64_t)sim_below(c->sim, 7) - 3;
	step->number_to =
	        (int64_t)sim_below(c->sim, 3) ? -1 - (int64_t)sim_below(c->sim, 3) : (int64_t)sim_below(c->sim, 12);
	switch (step->verb) {
	case RPUSH:
	case LPUSH:
	case RPUSHX:
		step->number = step->number_to = 0;
		step->n_values = (uint8_t)(c->config->hungry ? 1 : 1 + sim_below(c->sim, STEP_KEYS));
		for (uint8_t i = 0; i < step->n_values; i++)
			step->values[i] = draw_element(c);
		break;
	case LPOP:
	case RPOP:
		step->number_to = 0;
		step->number = step->number < 0 ? 0 : step->number;
		if (!draw_waiting(c))
			break;
		step->verb = step->verb == LPOP ? BLPOP : BRPOP;
		step->number = 0;
		step->name = key_text(c, step->keys[0]);
		break;
	case LINSERT:
		step->n_values = 2;
		step->number = step->number > 0;
		step->values[1] = text_fmt(c, "e%u", (unsigned)sim_below(c->sim, 3));
		step->values[0] = draw_element(c);
		break;
	case LSET:
		step->values[0] = draw_element(c);
		break;
	case LREM:
		step->values[0] = text_fmt(c, "e%u", (unsigned)sim_below(c->sim, 3));
		break;
	case LMOVE:
		step->n = 2;
		step->keys[1] = draw_key(c);
		step->number = step->number > 0;
		step->number_to = step->number_to > 0;
		if (draw_waiting(c))
			step->verb = BLMOVE;
		break;
	default:
		break;
	}
}

static enum mix draw_kind(struct client *c, uint32_t of)
{
	uint64_t total = 0;
	for (int kind = 0; kind < MIX_KINDS; kind++)
		total += of & 1u << kind ? c->config->mix[kind] : 0;
	if (total == 0)
		return MIX_READ;
	uint64_t at = sim_below(c->sim, total);
	for (int kind = 0;; kind++) {
		uint32_t weight = of & 1u << kind ? c->config->mix[kind] : 0;
		if (at < weight)
			return (enum mix)kind;
		at -= weight;
	}
}

static void draw_step(struct client *c, enum mix kind, struct step *step)
{
	static void (*const draws[])(struct client *, struct step *) = {
	        [MIX_READ] = draw_read,     [MIX_WRITE] = draw_write,   [MIX_COUNT] = draw_count,
	        [MIX_EDIT] = draw_edit,     [MIX_MANY] = draw_many,     [MIX_MOVE] = draw_move,
	        [MIX_GLOBAL] = draw_global, [MIX_EXPIRE] = draw_expire, [MIX_LIST] = draw_list,
	        [MIX_SET] = draw_set,       [MIX_HASH] = draw_hash,     [MIX_ZSET] = draw_zset,
	        [MIX_STREAM] = draw_stream,
	};
	*step = (struct step){.db = c->db, .n = 1, .keys[0] = draw_key(c)};
	draws[kind](c, step);
}

static const uint32_t STEP_KINDS = 1u << MIX_READ | 1u << MIX_WRITE | 1u << MIX_COUNT | 1u << MIX_EDIT |
                                   1u << MIX_MANY | 1u << MIX_MOVE | 1u << MIX_GLOBAL | 1u << MIX_EXPIRE |
                                   1u << MIX_LIST | 1u << MIX_SET | 1u << MIX_HASH | 1u << MIX_ZSET | 1u << MIX_STREAM;

/* ---- steps as requests ------------------------------------------------------------------------------ */

static void put_keys(struct client *c, const struct step *step, const char *name)
{
	ask_words(c, step->n, name);
	for (uint8_t i = 0; i < step->n; i++)
		put_key(c, step->keys[i]);
}

static void put_pairs(struct client *c, const struct step *step, const char *name)
{
	ask_words(c, 2u * step->n, name);
	for (uint8_t i = 0; i < step->n; i++) {
		put_key(c, step->keys[i]);
		put_text(c, step->values[i]);
	}
}

static void put_key_value(struct client *c, const struct step *step, const char *name, const char *option)
{
	ask_words(c, option ? 3 : 2, name);
	put_key(c, step->keys[0]);
	put_text(c, step->values[0]);
	if (option)
		ask_word(c, slice_from_str(option));
}

static void put_key_numbers(struct client *c, const struct step *step, const char *name, uint32_t n)
{
	ask_words(c, 1 + n, name);
	put_key(c, step->keys[0]);
	put_number(c, step->number);
	if (n > 1)
		put_number(c, step->number_to);
}

static void put_copy(struct client *c, const struct step *step)
{
	bool names_db = step->db_to != step->db;
	ask_words(c, 2u + 2u * names_db + step->replace, "COPY");
	put_key(c, step->keys[0]);
	put_key(c, step->keys[1]);
	if (names_db) {
		ask_word(c, S("DB"));
		put_number(c, step->db_to);
	}
	if (step->replace)
		ask_word(c, S("REPLACE"));
}

const char *draw_patience(struct client *c)
{
	static const char *const times[] = {"0.001", "0.003", "0.05"};
	return times[sim_below(c->sim, array_len(times))];
}

static void put_list_step(struct client *c, const struct step *step)
{
	static const char *const names[VERBS] = {
	        [LLEN] = "LLEN",   [LINDEX] = "LINDEX", [LRANGE] = "LRANGE", [RPUSH] = "RPUSH",
	        [LPUSH] = "LPUSH", [RPUSHX] = "RPUSHX", [LPOP] = "LPOP",     [RPOP] = "RPOP",
	        [LSET] = "LSET",   [LREM] = "LREM",     [LTRIM] = "LTRIM",   [LINSERT] = "LINSERT",
	        [LMOVE] = "LMOVE", [BLPOP] = "BLPOP",   [BRPOP] = "BRPOP",   [BLMOVE] = "BLMOVE",
	};
	enum verb verb = step->verb;
	bool has_index =
	        verb == LINDEX || verb == LSET || verb == LREM || ((verb == LPOP || verb == RPOP) && step->number);
	bool has_range = verb == LRANGE || verb == LTRIM;
	bool is_move = verb == LMOVE || verb == BLMOVE, waits = verb >= BLPOP && verb <= BLMOVE;
	uint32_t values = verb == LSET || verb == LREM ? 1 : verb == LINSERT ? 0 : step->n_values;
	ask_words(c,
	          step->n + has_index + 2u * has_range + values + waits +
	                  (is_move           ? 2
	                   : verb == LINSERT ? 3
	                                     : 0),
	          names[verb]);
	for (uint8_t i = 0; i < step->n; i++)
		put_key(c, step->keys[i]);
	if (has_index || has_range)
		put_number(c, step->number);
	if (has_range)
		put_number(c, step->number_to);
	if (is_move) {
		ask_word(c, step->number ? S("RIGHT") : S("LEFT"));
		ask_word(c, step->number_to ? S("RIGHT") : S("LEFT"));
	}
	if (verb == LINSERT) {
		ask_word(c, step->number ? S("AFTER") : S("BEFORE"));
		put_text(c, step->values[1]);
		put_text(c, step->values[0]);
	}
	for (uint32_t i = 0; i < values; i++)
		put_text(c, step->values[i]);
	if (waits)
		ask_word(c, slice_from_str(draw_patience(c)));
}

static void put_step_of_collection(struct client *c, const struct step *step)
{
	char names[STEP_KEYS][16];
	struct slice slices[STEP_KEYS];
	for (uint8_t i = 0; i < step->n; i++) {
		key_name(c->config, step->keys[i], names[i]);
		slices[i] = slice_from_str(names[i]);
	}
	put_collection_step(c, c->history->texts, step, slices);
}

static void put_step(struct client *c, const struct step *step)
{
	static const char *const by_keys[VERBS] = {
	        [GET] = "GET",       [STRLEN] = "STRLEN",   [TYPE] = "TYPE",
	        [EXISTS] = "EXISTS", [MGET] = "MGET",       [GETDEL] = "GETDEL",
	        [DEL] = "DEL",       [UNLINK] = "UNLINK",   [INCR] = "INCR",
	        [DECR] = "DECR",     [RENAME] = "RENAME",   [RENAMENX] = "RENAMENX",
	        [WATCH] = "WATCH",   [PERSIST] = "PERSIST", [EXPIRETIME] = "EXPIRETIME",
	};
	switch (step->verb) {
	case SET:
		put_key_value(c, step, "SET", NULL);
		break;
	case SET_NX:
		put_key_value(c, step, "SET", "NX");
		break;
	case SET_XX:
		put_key_value(c, step, "SET", "XX");
		break;
	case SET_GET:
		put_key_value(c, step, "SET", "GET");
		break;
	case SETNX:
		put_key_value(c, step, "SETNX", NULL);
		break;
	case GETSET:
		put_key_value(c, step, "GETSET", NULL);
		break;
	case APPEND:
		put_key_value(c, step, "APPEND", NULL);
		break;
	case SETRANGE:
		ask_words(c, 3, "SETRANGE");
		put_key(c, step->keys[0]);
		put_number(c, step->number);
		put_text(c, step->values[0]);
		break;
	case GETRANGE:
		put_key_numbers(c, step, "GETRANGE", 2);
		break;
	case INCRBY:
		put_key_numbers(c, step, "INCRBY", 1);
		break;
	case EXPIREAT:
		ask_words(c, 2, "EXPIREAT");
		put_key(c, step->keys[0]);
		put_number(c, EXPIRES_FROM_S + step->number);
		break;
	case MSET:
		put_pairs(c, step, "MSET");
		break;
	case MSETNX:
		put_pairs(c, step, "MSETNX");
		break;
	case COPY:
		put_copy(c, step);
		break;
	case MOVE:
		ask_words(c, 2, "MOVE");
		put_key(c, step->keys[0]);
		put_number(c, step->db_to);
		break;
	case FLUSHDB:
		ask_words(c, 0, "FLUSHDB");
		break;
	case FLUSHALL:
		ask_words(c, 0, "FLUSHALL");
		break;
	case SWAPDB:
		ask_words(c, 2, "SWAPDB");
		put_number(c, step->db);
		put_number(c, step->db_to);
		break;
	case LLEN ... LRANGE:
	case RPUSH ... BLMOVE:
		put_list_step(c, step);
		break;
	case SCARD ... XPENDING:
	case BZPOPMIN ... XACK:
		put_step_of_collection(c, step);
		break;
	default:
		put_keys(c, step, by_keys[step->verb]);
	}
}

static uint32_t add_operation(struct client *c, uint32_t n_steps)
{
	uint32_t number = history_add(c->history, n_steps);
	struct operation *operation = history_at(c->history, number);
	operation->client = c->id;
	operation->session = c->session;
	operation->resp = c->resp;
	return number;
}

static void ask_step(struct client *c, const struct step *step)
{
	uint32_t number = add_operation(c, 1);
	history_at(c->history, number)->steps[0] = *step;
	ask_begin(c, AWAIT_OPERATION, number, 0);
	put_step(c, step);
}

/* ---- transactions --------------------------------------------------------------------------------------- */

static void ask_watch(struct client *c)
{
	struct step step = {.verb = WATCH, .db = c->db, .replace = c->watched == 0};
	draw_keys(c, &step, false);
	for (uint8_t i = 0; i < step.n; i++)
		c->watched |= slot_bit(c->db, step.keys[i]);
	ask_step(c, &step);
}

/* What was watched until now. */
static uint64_t take_watched(struct client *c)
{
	uint64_t watched = c->watched;
	c->watched = 0;
	return watched;
}

static void ask_forget(struct client *c, const char *words)
{
	if (!c->watched) {
		ask(c, words, "+OK\r\n");
		return;
	}
	uint32_t number = add_operation(c, 1);
	history_at(c->history, number)->steps[0] = (struct step){.verb = UNWATCH};
	history_at(c->history, number)->watched = take_watched(c);
	ask_begin(c, AWAIT_OPERATION, number, 0);
	ask_words(c, 0, words);
}

static void ask_multi(struct client *c)
{
	uint32_t n = 1 + (uint32_t)sim_below(c->sim, TRANSACTION_STEPS);
	ask(c, "MULTI", "+OK\r\n");
	if (sim_chance(c->sim, 100)) {
		ask(c, "PING", "+QUEUED\r\n");
		ask_forget(c, "DISCARD");
		return;
	}
	uint32_t number = add_operation(c, n + 1);
	history_at(c->history, number)->steps[0].verb = EXEC;
	for (uint32_t i = 1; i <= n; i++) {
		struct step step;
		draw_step(c, draw_kind(c, STEP_KINDS), &step);
		ask_begin(c, AWAIT_TEXT, text_id(c->history->texts, S("+QUEUED\r\n")), 0);
		put_step(c, &step);
		history_at(c->history, number)->steps[i] = step;
	}
	history_at(c->history, number)->watched = take_watched(c);
	ask_begin(c, AWAIT_OPERATION, number, 0);
	ask_words(c, 0, "EXEC");
}

static void ask_transaction(struct client *c)
{
	uint64_t chance = sim_below(c->sim, 100);
	if (chance < 30)
		ask_watch(c);
	else if (chance < 35)
		ask_forget(c, "UNWATCH");
	else
		ask_multi(c);
}

/* ---- scripts ----------------------------------------------------------------------------------------------- */

enum { SCRIPT_STEPS = 4, SCRIPT_VARIANTS = 100000 };

/* Does what its arguments say: how many words, and the words; and that again. */
static const char script_text[] = "local out, at = {}, 1\n"
                                  "while ARGV[at] do\n"
                                  "  local n = tonumber(ARGV[at])\n"
                                  "  out[#out + 1] = redis.call(unpack(ARGV, at + 1, at + n))\n"
                                  "  at = at + n + 1\n"
                                  "end\n"
                                  "return out -- ";

/* Commands that may go to other databases are not undone: a script that must begin anew behind them is refused with
 * half of it done. They are played elsewhere. */
static void draw_script_step(struct client *c, struct step *step)
{
	do
		draw_step(c, draw_kind(c, STEP_KINDS & ~(1u << MIX_GLOBAL)), step);
	while (step->verb == MOVE || step->verb == COPY);
}

/* A write, and then what cannot be done with what was written. */
static void draw_failure(struct client *c, struct step *steps)
{
	steps[0] = (struct step){.verb = SET, .db = c->db, .n = 1, .keys[0] = draw_key(c), .values[0] = draw_value(c)};
	steps[1] = steps[0];
	steps[1].verb = RPUSH;
	steps[1].n_values = 1;
}

static void put_script_step(struct client *c, const struct step *step, uint32_t *words)
{
	struct buf before = c->output;
	c->output = (struct buf){0};
	put_step(c, step);
	struct slice request = buf_slice(&c->output);
	uint32_t n = (uint32_t)strtoul((const char *)request.ptr + 1, NULL, 10);
	const uint8_t *rest = (const uint8_t *)memchr(request.ptr, '\n', request.len) + 1;
	struct buf own = c->output;
	c->output = before;
	put_number(c, n);
	buf_append(&c->output, slice_of(rest, (size_t)(request.ptr + request.len - rest)));
	buf_fini(&own);
	*words += 1 + n;
}

/* The keys of the first steps are declared, those of the others are not. */
static void put_script(struct client *c, const struct operation *operation)
{
	bool only_looks = true;
	uint32_t keys = 0, words = 0;
	struct buf before = c->output;
	c->output = (struct buf){0};
	for (uint32_t i = 1; i <= operation->steps[0].number; i++)
		for (uint8_t k = 0; k < operation->steps[i].n; k++, keys++)
			put_key(c, operation->steps[i].keys[k]);
	for (uint32_t i = 1; i < operation->n_steps; i++) {
		only_looks &= operation->steps[i].verb <= MGET;
		put_script_step(c, &operation->steps[i], &words);
	}
	struct buf arguments = c->output;
	c->output = before;
	ask_words(c, 2 + keys + words, only_looks && sim_chance(c->sim, 500) ? "EVAL_RO" : "EVAL");
	put_text(c, text_fmt(c, "%s%u", script_text, (unsigned)sim_below(c->sim, SCRIPT_VARIANTS)));
	put_number(c, keys);
	buf_append(&c->output, buf_slice(&arguments));
	buf_fini(&arguments);
}

static void ask_script(struct client *c)
{
	struct step steps[SCRIPT_STEPS + 2];
	uint32_t n = 1 + (uint32_t)sim_below(c->sim, SCRIPT_STEPS);
	c->in_script = true;
	for (uint32_t i = 0; i < n; i++)
		draw_script_step(c, &steps[i]);
	c->in_script = false;
	if (sim_chance(c->sim, 150)) {
		draw_failure(c, &steps[n]);
		n += 2;
	}
	uint32_t number = add_operation(c, n + 1);
	struct operation *operation = history_at(c->history, number);
	operation->steps[0].verb = EVAL;
	memcpy(&operation->steps[1], steps, n * sizeof(steps[0]));
	operation->steps[0].number = sim_chance(c->sim, 500) ? n : (int64_t)sim_below(c->sim, n);
	ask_begin(c, AWAIT_OPERATION, number, 0);
	put_script(c, operation);
}

/* ---- the roles -------------------------------------------------------------------------------------------- */

static void ask_select(struct client *c)
{
	c->db = (uint8_t)sim_below(c->sim, DATABASES_USED);
	char words[20];
	snprintf(words, sizeof(words), "SELECT %u", c->db);
	ask(c, words, "+OK\r\n");
}

static void ask_publish(struct client *c)
{
	struct publication p = {.client = c->id, .session = c->session, .invoked = NEVER, .responded = NEVER};
	p.channel = (uint8_t)sim_below(c->sim, CHANNELS);
	p.operations = history_count(c->history);
	uint32_t number = (uint32_t)(c->history->publications.len / sizeof(p));
	buf_append(&c->history->publications, slice_of(&p, sizeof(p)));
	ask_begin(c, AWAIT_PUBLISHED, number, 0);
	char channel[] = {'n', 'e', 'w', 's', (char)('0' + p.channel), 0}, text[200];
	int n = snprintf(text, sizeof(text), "%.*s#%u", (int)sim_below(c->sim, 100),
	                 "........................................"
	                 "........................................"
	                 "....................",
	                 number);
	ask_words(c, 2, "PUBLISH");
	ask_word(c, slice_from_str(channel));
	ask_word(c, slice_of(text, (size_t)n));
}

static void ask_as_worker(struct client *c, bool only_look)
{
	enum mix kind = draw_kind(c, only_look ? 1u << MIX_READ | 1u << MIX_PUBLISH | 1u << MIX_ECHO : UINT32_MAX);
	struct step step;
	int64_t whom = sim_chance(c->sim, c->config->waits / 8) ? draw_worker(c) : 0;
	if (whom) {
		ask_unblock(c, whom);
		return;
	}
	switch (kind) {
	case MIX_MULTI:
		ask_transaction(c);
		break;
	case MIX_SCRIPT:
		ask_script(c);
		break;
	case MIX_SELECT:
		ask_select(c);
		break;
	case MIX_PUBLISH:
		ask_publish(c);
		break;
	case MIX_ECHO:
		ask_echo(c);
		break;
	case MIX_SAVE:
		ask_begin(c, AWAIT_WHATEVER, 0, 0);
		ask_words(c, 0, "BGSAVE");
		break;
	default:
		draw_step(c, kind, &step);
		ask_step(c, &step);
	}
}

static void await_filled(struct client *c, uint32_t text)
{
	struct slice value = text_bytes(c->history->texts, text);
	if (!text) {
		ask_begin(c, AWAIT_TEXT, text_fmt(c, c->resp == 3 ? "_\r\n" : "$-1\r\n"), 0);
		return;
	}
	struct buf reply = {0};
	buf_printf(&reply, "$%zu\r\n", value.len);
	buf_append(&reply, value);
	buf_append(&reply, S("\r\n"));
	ask_begin(c, AWAIT_TEXT, text_id(c->history->texts, buf_slice(&reply)), 0);
	buf_fini(&reply);
}

/* A value of its own, lent over and over, and words: whatever shared keys it read could be read
 * at any time until it looks at the answers. */
static void ask_as_sulker(struct client *c)
{
	if (c->config->mix[MIX_GLOBAL] > 0 || sim_chance(c->sim, 300)) {
		ask_echo(c);
		return;
	}
	if (c->filled[0]) {
		await_filled(c, c->filled[0]);
		ask_words(c, 0, "GET sulk");
		return;
	}
	c->filled[0] = draw_value(c);
	ask_begin(c, AWAIT_TEXT, text_id(c->history->texts, S("+OK\r\n")), 0);
	ask_words(c, 1, "SET sulk");
	put_text(c, c->filled[0]);
}

static uint32_t add_membership(struct client *c, uint8_t channel)
{
	struct membership m = {.client = c->id,
	                       .session = c->session,
	                       .channel = channel,
	                       .asked = NEVER,
	                       .confirmed = NEVER,
	                       .left = NEVER,
	                       .left_confirmed = NEVER};
	buf_append(&c->history->memberships, slice_of(&m, sizeof(m)));
	return (uint32_t)(c->history->memberships.len / sizeof(m)) - 1;
}

static uint32_t find_membership(const struct client *c, uint8_t channel)
{
	const struct membership *all = (const struct membership *)c->history->memberships.ptr;
	size_t i = c->history->memberships.len / sizeof(*all);
	do
		i--;
	while (all[i].client != c->id || all[i].session != c->session || all[i].channel != channel);
	return (uint32_t)i;
}

static void ask_as_subscriber(struct client *c)
{
	uint8_t channel = (uint8_t)sim_below(c->sim, CHANNELS);
	bool leaves = c->listens & 1u << channel;
	if (sim_chance(c->sim, 300)) {
		bool listens = c->resp == 2 && c->listens;
		ask(c, "PING", listens ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n");
		return;
	}
	c->listens ^= (uint8_t)(1u << channel);
	uint32_t text =
	        text_fmt(c, "%c3\r\n$%d\r\n%s\r\n$5\r\nnews%u\r\n:%d\r\n", c->resp == 3 ? '>' : '*', leaves ? 11 : 9,
	                 leaves ? "unsubscribe" : "subscribe", channel, __builtin_popcount(c->listens));
	uint32_t number = leaves ? find_membership(c, channel) : add_membership(c, channel);
	ask_begin(c, leaves ? AWAIT_UNSUBSCRIBED : AWAIT_SUBSCRIBED, number, text);
	ask_words(c, 1, leaves ? "UNSUBSCRIBE" : "SUBSCRIBE");
	char name[] = {'n', 'e', 'w', 's', (char)('0' + channel), 0};
	ask_word(c, slice_from_str(name));
}

/* ---- the filler: keys enough for a table to grow, split, shrink and join ------------------------------------- */

static void put_filler_key(struct client *c, uint32_t key)
{
	char name[24];
	ask_word(c, slice_of(name, (size_t)snprintf(name, sizeof(name), "{fill}%u", key)));
}

static void fill_get(struct client *c, uint32_t key)
{
	await_filled(c, c->filled[key]);
	ask_words(c, 1, "GET");
	put_filler_key(c, key);
}

static void fill_set(struct client *c, uint32_t key, uint32_t n)
{
	ask_begin(c, AWAIT_TEXT, text_id(c->history->texts, S("+OK\r\n")), 0);
	ask_words(c, 2 * n, "MSET");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (key + i) % FILLER_KEYS;
		c->filled[at] = draw_value(c);
		put_filler_key(c, at);
		put_text(c, c->filled[at]);
	}
}

static void fill_delete(struct client *c, uint32_t key, uint32_t n)
{
	uint32_t there = 0;
	for (uint32_t i = 0; i < n; i++)
		there += c->filled[(key + i) % FILLER_KEYS] != TEXT_NONE;
	ask_begin(c, AWAIT_TEXT, text_fmt(c, ":%u\r\n", there), 0);
	ask_words(c, n, "DEL");
	for (uint32_t i = 0; i < n; i++) {
		put_filler_key(c, (key + i) % FILLER_KEYS);
		c->filled[(key + i) % FILLER_KEYS] = TEXT_NONE;
	}
}

static void ask_as_filler(struct client *c)
{
	uint32_t key = (uint32_t)sim_below(c->sim, FILLER_KEYS), n = 1 + (uint32_t)sim_below(c->sim, 30);
	bool shrinks = c->left < FILLER_OPERATIONS / 3;
	if (sim_chance(c->sim, 300))
		fill_get(c, key);
	else if (sim_chance(c->sim, shrinks ? 800 : 150))
		fill_delete(c, key, n);
	else
		fill_set(c, key, n);
}

/* ---- the janitor ------------------------------------------------------------------------------------------------ */

static void read_whole(struct client *c, enum mix kind, uint8_t db, uint8_t key)
{
	static const enum verb verbs[MIX_KINDS] = {[MIX_LIST] = LRANGE,
	                                           [MIX_SET] = SMEMBERS,
	                                           [MIX_HASH] = HGETALL,
	                                           [MIX_ZSET] = ZRANGE,
	                                           [MIX_STREAM] = XRANGE};
	struct step step = {.verb = verbs[kind], .db = db, .n = 1, .keys[0] = key, .number_to = -1};
	if (kind == MIX_STREAM)
		step.number = INT32_MAX;
	ask_step(c, &step);
}

static void read_database(struct client *c, uint8_t db)
{
	char words[20];
	snprintf(words, sizeof(words), "SELECT %u", db);
	ask(c, words, "+OK\r\n");
	c->db = db;
	for (uint8_t key = 0; key < c->config->n_keys; key++)
		ask_step(c, &(struct step){.verb = GET, .db = db, .n = 1, .keys[0] = key});
	for (enum mix kind = MIX_LIST; kind <= MIX_STREAM; kind++)
		for (uint8_t key = 0; c->config->mix[kind] > 0 && key < c->config->n_keys; key++)
			read_whole(c, kind, db, key);
}

static void ask_as_janitor(struct client *c)
{
	uint32_t stage = c->stage++;
	if (stage < DATABASES_USED)
		read_database(c, (uint8_t)stage);
	else if (stage == DATABASES_USED)
		ask(c, "FLUSHALL", "+OK\r\n");
	else
		ask(c, "DBSIZE", ":0\r\n");
}

void ask_something(struct client *c, bool only_look)
{
	switch (c->role) {
	case WORKER:
		ask_as_worker(c, only_look);
		break;
	case FILLER:
		ask_as_filler(c);
		break;
	case SUBSCRIBER:
		ask_as_subscriber(c);
		break;
	case SULKER:
		ask_as_sulker(c);
		break;
	case CACHER:
		ask_as_cacher(c);
		break;
	case JANITOR:
		ask_as_janitor(c);
		break;
	case KEEPER:
		keeper_ask(c->history->keeper, c);
		break;
	}
}
