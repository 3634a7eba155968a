#include "tests/sim/ask_collections.h"

#include "engine/base/number.h"

enum { MEMBERS = 24, LONG_FROM = 20, SCORES = 10, FIELDS = 3, CONSUMERS = 3, IDS = 20, IDS_TIERED = 80 };

/* ---- steps --------------------------------------------------------------------------------- */

static enum verb pick_verb(struct client *c, const enum verb *of, size_t n) { return of[sim_below(c->sim, n)]; }
#define PICK(c, ...) pick_verb(c, (const enum verb[]){__VA_ARGS__}, array_len(((const enum verb[]){__VA_ARGS__})))

/* Few, so that they meet; of some keys integers only; some so long that they make others of what has them. */
static uint32_t draw_member(struct client *c, uint8_t key)
{
	unsigned number = (unsigned)sim_below(c->sim, MEMBERS);
	if (key % 2)
		return text_fmt(c, "%u", number);
	return text_fmt(c, number < LONG_FROM ? "m%u" : "m%u........................................................",
	                number);
}

static void draw_members(struct client *c, struct step *step, uint32_t most)
{
	step->n_values = (uint8_t)(1 + sim_below(c->sim, most));
	for (uint8_t i = 0; i < step->n_values; i++)
		step->values[i] = draw_member(c, step->keys[0]);
}

static void draw_other_keys(struct client *c, struct step *step, uint32_t most)
{
	step->n = (uint8_t)(2 + sim_below(c->sim, most));
	for (uint8_t i = 1; i < step->n; i++)
		step->keys[i] = (uint8_t)sim_below(c->sim, c->config->n_keys);
}

void draw_set(struct client *c, struct step *step)
{
	step->verb = PICK(c, SADD, SADD, SADD, SREM, SREM, SMOVE, SUNIONSTORE, SCARD, SISMEMBER, SMEMBERS, SMEMBERS);
	if (step->verb == SADD || step->verb == SREM)
		draw_members(c, step, STEP_KEYS);
	if (step->verb == SMOVE || step->verb == SISMEMBER)
		draw_members(c, step, 1);
	if (step->verb == SMOVE)
		draw_other_keys(c, step, 1);
	if (step->verb == SUNIONSTORE)
		draw_other_keys(c, step, STEP_KEYS - 1);
}

void draw_hash(struct client *c, struct step *step)
{
	step->verb = PICK(c, HSET, HSET, HSET, HDEL, HINCRBY, HGET, HGET, HLEN, HGETALL, HGETALL);
	if (step->verb == HLEN || step->verb == HGETALL)
		return;
	draw_members(c, step, step->verb == HDEL ? STEP_KEYS : 1);
	if (step->verb == HINCRBY)
		step->number = (int64_t)sim_below(c->sim, 100) - 30;
	if (step->verb != HSET)
		return;
	step->n_values = sim_chance(c->sim, 500) ? 2 : 4;
	for (uint8_t i = 0; i < step->n_values; i += 2) {
		step->values[i] = draw_member(c, step->keys[0]);
		step->values[i + 1] = draw_element(c);
	}
}

void draw_zset(struct client *c, struct step *step)
{
	step->verb = PICK(c, ZADD, ZADD, ZADD, ZINCRBY, ZREM, ZPOPMIN, ZUNIONSTORE, ZSCORE, ZCARD, ZRANGE, ZRANGE);
	switch (step->verb) {
	case ZADD:
	case ZINCRBY:
		step->number = (int64_t)sim_below(c->sim, SCORES);
		draw_members(c, step, step->verb == ZADD ? STEP_KEYS : 1);
		break;
	case ZREM:
		draw_members(c, step, 2);
		break;
	case ZSCORE:
		draw_members(c, step, 1);
		break;
	case ZPOPMIN:
		step->number = (int64_t)sim_below(c->sim, 3);
		if (!draw_waiting(c))
			break;
		step->verb = BZPOPMIN;
		step->number = 0;
		step->name = key_text(c, step->keys[0]);
		break;
	case ZRANGE:
		step->number = (int64_t)sim_below(c->sim, 3);
		step->number_to = (int64_t)sim_below(c->sim, 8) - 4;
		break;
	case ZUNIONSTORE:
		draw_other_keys(c, step, STEP_KEYS - 1);
		break;
	default:
		break;
	}
}

void draw_stream(struct client *c, struct step *step)
{
	step->verb = PICK(c, XADD, XADD, XADD, XADD, XDEL, XTRIM, XGROUP_CREATE, XREADGROUP, XREADGROUP, XREADGROUP,
	                  XACK, XACK, XLEN, XRANGE, XPENDING);
	step->name = key_text(c, step->keys[0]);
	step->number = 1 + (int64_t)sim_below(c->sim, c->config->memory_bytes ? IDS_TIERED : IDS);
	switch (step->verb) {
	case XADD:
		step->n_values = 2;
		step->values[0] = text_fmt(c, "f%u", (unsigned)sim_below(c->sim, FIELDS));
		step->values[1] = draw_element(c);
		break;
	case XREADGROUP:
		step->n_values = 1;
		step->values[0] = text_fmt(c, "c%u", (unsigned)sim_below(c->sim, CONSUMERS));
		step->replace = sim_chance(c->sim, 300);
		step->number = 1 + (int64_t)sim_below(c->sim, 4);
		break;
	case XGROUP_CREATE:
		step->number = sim_chance(c->sim, 300);
		break;
	default:
		break;
	}
}

/* ---- words ---------------------------------------------------------------------------------- */

/* %k the first key, %K the others, %c how many those are, %v the first value, %V all, %S all, each behind its score,
 * %n and %m the numbers, %o the first if it is not 0, %i an ID, %a where a group begins, %r what a consumer reads,
 * %t for how long one waits. */
static const char *const forms[VERBS] = {
        [SCARD] = "SCARD %k",
        [SISMEMBER] = "SISMEMBER %k %v",
        [SMEMBERS] = "SMEMBERS %k",
        [SADD] = "SADD %k %V",
        [SREM] = "SREM %k %V",
        [SMOVE] = "SMOVE %k %K %v",
        [SUNIONSTORE] = "SUNIONSTORE %k %K",
        [HGET] = "HGET %k %v",
        [HLEN] = "HLEN %k",
        [HGETALL] = "HGETALL %k",
        [HSET] = "HSET %k %V",
        [HDEL] = "HDEL %k %V",
        [HINCRBY] = "HINCRBY %k %v %n",
        [ZSCORE] = "ZSCORE %k %v",
        [ZCARD] = "ZCARD %k",
        [ZRANGE] = "ZRANGE %k %n %m WITHSCORES",
        [ZADD] = "ZADD %k %S",
        [ZINCRBY] = "ZINCRBY %k %n %v",
        [ZREM] = "ZREM %k %V",
        [ZPOPMIN] = "ZPOPMIN %k %o",
        [BZPOPMIN] = "BZPOPMIN %k %t",
        [ZUNIONSTORE] = "ZUNIONSTORE %k %c %K",
        [XLEN] = "XLEN %k",
        [XRANGE] = "XRANGE %k - + COUNT %n",
        [XPENDING] = "XPENDING %k g",
        [XADD] = "XADD %k 0-* %V",
        [XDEL] = "XDEL %k %i",
        [XTRIM] = "XTRIM %k MAXLEN %n",
        [XGROUP_CREATE] = "XGROUP CREATE %k g %a MKSTREAM",
        [XREADGROUP] = "XREADGROUP GROUP g %v COUNT %n STREAMS %k %r",
        [XACK] = "XACK %k g %i",
};

struct speech {
	struct client *client;
	struct texts *texts;
	const struct step *step;
	const struct slice *names;
	struct buf words; /* each as a request has it */
	uint32_t n;
};

static void say(struct speech *speech, struct slice word)
{
	buf_printf(&speech->words, "$%zu\r\n", word.len);
	buf_append(&speech->words, word);
	buf_append(&speech->words, S("\r\n"));
	speech->n++;
}

static void say_number(struct speech *speech, int64_t number)
{
	char digits[INTEGER_TEXT_MAX];
	say(speech, slice_of(digits, integer_format(number, digits)));
}

static void say_id(struct speech *speech, int64_t number)
{
	char id[INTEGER_TEXT_MAX + 2] = "0-";
	say(speech, slice_of(id, 2 + integer_format(number, id + 2)));
}

static void say_values(struct speech *speech, bool with_scores)
{
	for (uint8_t i = 0; i < speech->step->n_values; i++) {
		if (with_scores)
			say_number(speech, speech->step->number + i);
		say(speech, text_bytes(speech->texts, speech->step->values[i]));
	}
}

static void say_place(struct speech *speech, char what)
{
	const struct step *step = speech->step;
	switch (what) {
	case 'k':
		say(speech, speech->names[0]);
		break;
	case 'K':
		for (uint8_t i = 1; i < step->n; i++)
			say(speech, speech->names[i]);
		break;
	case 'c':
		say_number(speech, step->n - 1);
		break;
	case 'v':
		say(speech, text_bytes(speech->texts, step->values[0]));
		break;
	case 'V':
	case 'S':
		say_values(speech, what == 'S');
		break;
	case 'n':
	case 'm':
		say_number(speech, what == 'n' ? step->number : step->number_to);
		break;
	case 'o':
		if (step->number)
			say_number(speech, step->number);
		break;
	case 'i':
		say_id(speech, step->number);
		break;
	case 'a':
		say(speech, step->number ? S("$") : S("0"));
		break;
	case 't':
		say(speech, slice_from_str(draw_patience(speech->client)));
		break;
	default:
		say(speech, step->replace ? S("0") : S(">"));
	}
}

void put_collection_step(struct client *c, struct texts *texts, const struct step *step, const struct slice *names)
{
	struct speech speech = {.client = c, .texts = texts, .step = step, .names = names};
	const char *word = forms[step->verb];
	for (const char *end; *word; word = *end ? end + 1 : end) {
		end = strchrnul(word, ' ');
		if (*word == '%')
			say_place(&speech, word[1]);
		else
			say(&speech, slice_of(word, (size_t)(end - word)));
	}
	buf_printf(&c->output, "*%u\r\n", speech.n);
	buf_append(&c->output, buf_slice(&speech.words));
	buf_fini(&speech.words);
}
