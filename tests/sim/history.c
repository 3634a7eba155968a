#include "tests/sim/history.h"

#include "engine/memory/memory.h"

#include <xxhash.h>

/* ---- texts ------------------------------------------------------------------------------- */

struct text {
	uint64_t hash;
	uint8_t *bytes; /* owned */
	size_t len;
};

struct texts {
	struct buf all;  /* of struct text; the first is no text */
	uint32_t *table; /* of ids, by hash; 0: free */
	uint32_t cap;
};

static struct text *text_at(const struct texts *texts, uint32_t id) { return (struct text *)texts->all.ptr + id; }
static uint32_t texts_count(const struct texts *texts) { return (uint32_t)(texts->all.len / sizeof(struct text)); }

struct texts *texts_new(void)
{
	struct texts *texts = memory_zalloc(sizeof(*texts));
	struct text none = {0};
	buf_append(&texts->all, slice_of(&none, sizeof(none)));
	texts->cap = 1024;
	texts->table = memory_zalloc(texts->cap * sizeof(*texts->table));
	return texts;
}

void texts_free(struct texts *texts)
{
	if (!texts)
		return;
	for (uint32_t id = 1; id < texts_count(texts); id++)
		memory_free(text_at(texts, id)->bytes);
	buf_fini(&texts->all);
	memory_free(texts->table);
	memory_free(texts);
}

static void texts_grow(struct texts *texts)
{
	memory_free(texts->table);
	texts->cap *= 2;
	texts->table = memory_zalloc(texts->cap * sizeof(*texts->table));
	for (uint32_t id = 1; id < texts_count(texts); id++) {
		uint32_t at = (uint32_t)text_at(texts, id)->hash & (texts->cap - 1);
		while (texts->table[at])
			at = (at + 1) & (texts->cap - 1);
		texts->table[at] = id;
	}
}

uint32_t text_id(struct texts *texts, struct slice bytes)
{
	uint64_t hash = XXH3_64bits(bytes.ptr, bytes.len);
	uint32_t at = (uint32_t)hash & (texts->cap - 1);
	for (; texts->table[at]; at = (at + 1) & (texts->cap - 1)) {
		const struct text *text = text_at(texts, texts->table[at]);
		if (text->hash == hash && slice_equal(slice_of(text->bytes, text->len), bytes))
			return texts->table[at];
	}
	struct text text = {.hash = hash, .bytes = memory_alloc(bytes.len), .len = bytes.len};
	if (bytes.len > 0)
		memcpy(text.bytes, bytes.ptr, bytes.len);
	uint32_t id = texts_count(texts);
	texts->table[at] = id;
	buf_append(&texts->all, slice_of(&text, sizeof(text)));
	if (id * 2 > texts->cap)
		texts_grow(texts);
	return id;
}

struct slice text_bytes(const struct texts *texts, uint32_t id)
{
	const struct text *text = text_at(texts, id);
	return slice_of(text->bytes, text->len);
}

/* ---- operations -------------------------------------------------------------------------- */

void history_init(struct history *history) { *history = (struct history){.texts = texts_new()}; }

void history_fini(struct history *history)
{
	for (uint32_t i = 0; i < history_count(history); i++)
		memory_free(history_at(history, i)->steps);
	buf_fini(&history->operations);
	buf_fini(&history->sightings);
	buf_fini(&history->publications);
	buf_fini(&history->memberships);
	buf_fini(&history->deliveries);
	texts_free(history->texts);
	*history = (struct history){0};
}

uint64_t history_moment(struct history *history) { return ++history->moment; }

uint32_t history_add(struct history *history, uint32_t n_steps)
{
	struct operation operation = {.invoked = NEVER, .responded = NEVER, .dead = NEVER, .n_steps = n_steps};
	operation.steps = memory_zalloc(n_steps * sizeof(struct step));
	buf_append(&history->operations, slice_of(&operation, sizeof(operation)));
	return history_count(history) - 1;
}

struct operation *history_at(const struct history *history, uint32_t number)
{
	return (struct operation *)history->operations.ptr + number;
}

uint32_t history_count(const struct history *history)
{
	return (uint32_t)(history->operations.len / sizeof(struct operation));
}

static uint64_t step_slots(const struct step *step)
{
	uint64_t slots = 0;
	if (step->verb == FLUSHALL || step->verb == FLUSHDB || step->verb == SWAPDB)
		return UINT64_MAX;
	for (uint8_t i = 0; i < step->n; i++)
		slots |= slot_bit(step->db, step->keys[i]);
	if (step->verb == MOVE)
		slots |= slot_bit(step->db_to, step->keys[0]);
	if (step->verb == COPY)
		slots = slot_bit(step->db, step->keys[0]) | slot_bit(step->db_to, step->keys[1]);
	return slots;
}

uint64_t operation_slots(const struct operation *operation)
{
	uint64_t slots = operation->watched;
	for (uint32_t i = 0; i < operation->n_steps; i++)
		slots |= step_slots(&operation->steps[i]);
	return slots;
}

bool operation_is_barrier(const struct operation *operation)
{
	switch (operation->steps[0].verb) {
	case FLUSHALL:
	case FLUSHDB:
	case SWAPDB:
	case WATCH:
	case UNWATCH:
	case EXEC:
		return true;
	default:
		return false;
	}
}

/* ---- for people -------------------------------------------------------------------------- */

static const char *const verb_names[VERBS] = {
        [GET] = "GET",
        [STRLEN] = "STRLEN",
        [GETRANGE] = "GETRANGE",
        [TYPE] = "TYPE",
        [EXISTS] = "EXISTS",
        [MGET] = "MGET",
        [SET] = "SET",
        [SET_NX] = "SET NX",
        [SET_XX] = "SET XX",
        [SET_GET] = "SET GET",
        [SETNX] = "SETNX",
        [GETSET] = "GETSET",
        [GETDEL] = "GETDEL",
        [DEL] = "DEL",
        [UNLINK] = "UNLINK",
        [INCR] = "INCR",
        [DECR] = "DECR",
        [INCRBY] = "INCRBY",
        [APPEND] = "APPEND",
        [SETRANGE] = "SETRANGE",
        [MSET] = "MSET",
        [MSETNX] = "MSETNX",
        [RENAME] = "RENAME",
        [RENAMENX] = "RENAMENX",
        [COPY] = "COPY",
        [MOVE] = "MOVE",
        [FLUSHDB] = "FLUSHDB",
        [FLUSHALL] = "FLUSHALL",
        [SWAPDB] = "SWAPDB",
        [WATCH] = "WATCH",
        [UNWATCH] = "UNWATCH",
        [EXEC] = "EXEC",
        [EVAL] = "EVAL",
        [EXPIRETIME] = "EXPIRETIME",
        [EXPIREAT] = "EXPIREAT",
        [PERSIST] = "PERSIST",
        [LLEN] = "LLEN",
        [LINDEX] = "LINDEX",
        [LRANGE] = "LRANGE",
        [IS] = "is",
        [BECOMES] = "becomes",
        [RPUSH] = "RPUSH",
        [LPUSH] = "LPUSH",
        [RPUSHX] = "RPUSHX",
        [LPOP] = "LPOP",
        [RPOP] = "RPOP",
        [LSET] = "LSET",
        [LREM] = "LREM",
        [LTRIM] = "LTRIM",
        [LINSERT] = "LINSERT",
        [LMOVE] = "LMOVE",
        [BLPOP] = "BLPOP",
        [BRPOP] = "BRPOP",
        [BLMOVE] = "BLMOVE",
        [BZPOPMIN] = "BZPOPMIN",
        [SCARD] = "SCARD",
        [SISMEMBER] = "SISMEMBER",
        [SMEMBERS] = "SMEMBERS",
        [HGET] = "HGET",
        [HLEN] = "HLEN",
        [HGETALL] = "HGETALL",
        [ZSCORE] = "ZSCORE",
        [ZCARD] = "ZCARD",
        [ZRANGE] = "ZRANGE",
        [XLEN] = "XLEN",
        [XRANGE] = "XRANGE",
        [XPENDING] = "XPENDING",
        [SADD] = "SADD",
        [SREM] = "SREM",
        [SMOVE] = "SMOVE",
        [SUNIONSTORE] = "SUNIONSTORE",
        [HSET] = "HSET",
        [HDEL] = "HDEL",
        [HINCRBY] = "HINCRBY",
        [ZADD] = "ZADD",
        [ZINCRBY] = "ZINCRBY",
        [ZREM] = "ZREM",
        [ZPOPMIN] = "ZPOPMIN",
        [ZUNIONSTORE] = "ZUNIONSTORE",
        [XADD] = "XADD",
        [XDEL] = "XDEL",
        [XTRIM] = "XTRIM",
        [XGROUP_CREATE] = "XGROUP CREATE",
        [XREADGROUP] = "XREADGROUP",
        [XACK] = "XACK",
};

static void text_print(struct slice bytes, FILE *to)
{
	for (size_t i = 0; i < bytes.len && i < 60; i++) {
		if (bytes.ptr[i] >= ' ' && bytes.ptr[i] < 127)
			fputc(bytes.ptr[i], to);
		else if (bytes.ptr[i] != '\r')
			fputc(bytes.ptr[i] == '\n' ? '|' : '?', to);
	}
	if (bytes.len > 60)
		fprintf(to, "...(%zu)", bytes.len);
}

static void step_print(const struct history *history, const struct step *step, FILE *to)
{
	fprintf(to, " %s", verb_names[step->verb]);
	for (uint8_t i = 0; i < step->n; i++) {
		fprintf(to, " %u:%u", step->db, step->keys[i]);
		if (step->values[i])
			fprintf(to, "="), text_print(text_bytes(history->texts, step->values[i]), to);
	}
	for (uint8_t i = step->n; i < step->n_values; i++)
		fprintf(to, ","), text_print(text_bytes(history->texts, step->values[i]), to);
	if (step->number || step->number_to)
		fprintf(to, " %lld %lld", (long long)step->number, (long long)step->number_to);
	if (step->db_to)
		fprintf(to, " (to %u)", step->db_to);
	fprintf(to, ";");
}

void operation_print(const struct history *history, const struct operation *operation, FILE *to)
{
	fprintf(to, "c%u.%u [%llu, ", operation->client, operation->session, (unsigned long long)operation->invoked);
	if (operation->responded == NEVER)
		fprintf(to, "-)");
	else
		fprintf(to, "%llu]", (unsigned long long)operation->responded);
	for (uint32_t i = 0; i < operation->n_steps; i++)
		step_print(history, &operation->steps[i], to);
	fprintf(to, " -> ");
	text_print(text_bytes(history->texts, operation->reply), to);
	fprintf(to, "\n");
}

void key_name(const struct config *config, uint8_t key, char *out)
{
	if (config->tagged)
		snprintf(out, 16, "{%c}k%u", 'a' + key % 2, key);
	else
		snprintf(out, 16, "k%u", key);
}
