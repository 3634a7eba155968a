#include "protocols/bench/mix.h"

#include "engine/base/number.h"
#include "engine/memory/memory.h"

#include <stdio.h>

static const struct operation operations[] = {
        {"get", "read a string", {"GET", "@key"}},
        {"set", "write a string", {"SET", "@key", "@value"}},
        {"setex", "write a string that lives an hour", {"SETEX", "@key", "3600", "@value"}},
        {"setnx", "write a string if there is none", {"SETNX", "@key", "@value"}},
        {"getset", "write a string, read the one before", {"GETSET", "@key", "@value"}},
        {"append", "lengthen a string by eight bytes", {"APPEND", "@tail", "12345678"}},
        {"strlen", "measure a string", {"STRLEN", "@key"}},
        {"getrange", "read the first eight bytes", {"GETRANGE", "@key", "0", "7"}},
        {"setbit", "set one of 65,536 bits", {"SETBIT", "@bits", "@small", "1"}},
        {"getbit", "read one of 65,536 bits", {"GETBIT", "@bits", "@small"}},
        {"incr", "count up", {"INCR", "@count"}},
        {"incrby", "count up by a random number", {"INCRBY", "@count", "@small"}},
        {"mget10", "read ten strings", {"MGET", "@key"}, 10},
        {"mset10", "write ten strings", {"MSET", "@key", "@value"}, 10},
        {"del", "delete a key", {"DEL", "@key"}},
        {"unlink10", "delete ten keys", {"UNLINK", "@key"}, 10},
        {"exists", "ask for a key", {"EXISTS", "@key"}},
        {"expire", "let a key live an hour", {"EXPIRE", "@key", "3600"}},
        {"ttl", "ask how long a key lives", {"TTL", "@key"}},
        {"type", "ask for a key's type", {"TYPE", "@key"}},
        {"lpush", "push a value to a list", {"LPUSH", "@list", "@value"}},
        {"rpush", "push a value to the end of a list", {"RPUSH", "@list", "@value"}},
        {"lpop", "pop a value from a list", {"LPOP", "@list"}},
        {"rpop", "pop a value from the end of a list", {"RPOP", "@list"}},
        {"lrange", "read ten values of a list", {"LRANGE", "@list", "0", "9"}},
        {"hset", "write a field of a hash", {"HSET", "@hash", "@small", "@value"}},
        {"hget", "read a field of a hash", {"HGET", "@hash", "@small"}},
        {"hgetall", "read all of a hash", {"HGETALL", "@hash"}},
        {"sadd", "add a member to a set", {"SADD", "@sets", "@small"}},
        {"srem", "take a member from a set", {"SREM", "@sets", "@small"}},
        {"sismember", "ask for a member of a set", {"SISMEMBER", "@sets", "@small"}},
        {"zadd", "give a member of a sorted set a score", {"ZADD", "@rank", "@small", "@small"}},
        {"zrange", "read ten members of a sorted set", {"ZRANGE", "@rank", "0", "9"}},
        {"zrank", "ask for the rank of a member", {"ZRANK", "@rank", "@small"}},
        {"xadd", "append an entry to a stream", {"XADD", "@strm", "*", "field", "@value"}},
        {"xreadgroup",
         "read the next entry of a stream as a consumer of group g",
         {"XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "@strm", ">"}},
        {"eval",
         "write a string by a script",
         {"EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", "@key", "@value"}},
        {"publish", "publish a value to channel `channel`", {"PUBLISH", "channel", "@value"}},
        {"ping", "nothing but the way there and back", {"PING"}},
};

/* Words that are keys: what they are called, and how their keys begin. */
static const struct {
	const char *word;
	char prefix[KEY_PREFIX_SIZE + 1];
} key_words[] = {
        {"@key", "key:"},  {"@tail", "app:"}, {"@bits", "bit:"}, {"@count", "cnt:"}, {"@list", "lst:"},
        {"@hash", "hsh:"}, {"@sets", "set:"}, {"@rank", "zst:"}, {"@strm", "str:"},
};

enum { SMALL_NUMBERS = 65536 };

const struct operation *operation_at(size_t i) { return i < array_len(operations) ? &operations[i] : NULL; }

const struct operation *operation_find(struct slice name)
{
	for (size_t i = 0; i < array_len(operations); i++)
		if (slice_equal_nocase(name, slice_from_str(operations[i].name)))
			return &operations[i];
	return NULL;
}

/* ---- reading a mix -------------------------------------------------------------------- */

static struct slice cut(struct slice *text, char at)
{
	const uint8_t *found = text->len ? memchr(text->ptr, at, text->len) : NULL;
	size_t n = found ? (size_t)(found - text->ptr) : text->len;
	struct slice head = slice_sub(*text, 0, n);
	*text = slice_sub(*text, found ? n + 1 : n, text->len);
	return head;
}

static bool part_parse(struct slice part, struct mix *mix, char *why, size_t why_size)
{
	struct slice name = cut(&part, ':');
	int64_t weight = 1;
	if (mix->n == MIX_OPERATIONS_MAX) {
		snprintf(why, why_size, "more than %d operations", MIX_OPERATIONS_MAX);
		return false;
	}
	const struct operation *operation = operation_find(name);
	if (!operation) {
		snprintf(why, why_size, "there is no operation '%.*s'", (int)(name.len < 64 ? name.len : 64), name.ptr);
		return false;
	}
	if (part.len > 0 && (!integer_parse(part, &weight) || weight < 1 || weight > 1000000)) {
		snprintf(why, why_size, "the weight of %s is a number from 1 to 1000000", operation->name);
		return false;
	}
	mix->parts[mix->n].operation = operation;
	mix->parts[mix->n++].weight = (uint64_t)weight;
	mix->weights += (uint64_t)weight;
	return true;
}

bool mix_parse(struct slice text, struct mix *out, char *why, size_t why_size)
{
	struct mix mix = {0};
	do {
		if (!part_parse(cut(&text, ','), &mix, why, why_size))
			return false;
	} while (text.len > 0);
	*out = mix;
	return true;
}

/* ---- saying a request ----------------------------------------------------------------- */

void say_array(struct buf *out, uint64_t n)
{
	char digits[INTEGER_TEXT_MAX];
	buf_byte(out, '*');
	buf_append(out, slice_of(digits, integer_format((int64_t)n, digits)));
	buf_append(out, S("\r\n"));
}

void say_word(struct buf *out, struct slice word)
{
	char digits[INTEGER_TEXT_MAX];
	buf_byte(out, '$');
	buf_append(out, slice_of(digits, integer_format((int64_t)word.len, digits)));
	buf_append(out, S("\r\n"));
	buf_append(out, word);
	buf_append(out, S("\r\n"));
}

static size_t prefix_size(uint32_t key_size) { return key_size > 2 * KEY_PREFIX_SIZE ? KEY_PREFIX_SIZE : 0; }

bool key_size_suffices(uint32_t key_size, uint64_t n_keys)
{
	size_t digits = 1;
	for (uint64_t last = n_keys - 1; last >= 10; last /= 10)
		digits++;
	return digits <= key_size - prefix_size(key_size);
}

static void say_key(struct speaker *speaker, const char *prefix, uint64_t number, struct buf *out)
{
	size_t front = prefix_size(speaker->key_size);
	speaker->last_key = number;
	memcpy(speaker->key, prefix, front);
	for (size_t at = speaker->key_size; at > front; number /= 10)
		speaker->key[--at] = (uint8_t)('0' + number % 10);
	say_word(out, slice_of(speaker->key, speaker->key_size));
}

void speaker_value_of(struct speaker *speaker, uint64_t key, struct buf *out)
{
	enum { DIGITS = 16 };
	struct random random = {key};
	const uint8_t *from = speaker->noise + random_below(&random, SPEAKER_NOISE_SIZE);
	say_word(out, slice_of(from, speaker->value_size));
	uint8_t *value = out->ptr + out->len - strlen("\r\n") - speaker->value_size;
	for (size_t at = speaker->value_size < DIGITS ? speaker->value_size : DIGITS; at-- > 0; key /= 16)
		value[at] = (uint8_t) "0123456789abcdef"[key % 16];
}

static void say_value(struct speaker *speaker, struct buf *out)
{
	if (speaker->is_keyed) {
		speaker_value_of(speaker, speaker->last_key, out);
		return;
	}
	const uint8_t *from = speaker->noise + random_below(&speaker->random, SPEAKER_NOISE_SIZE);
	say_word(out, slice_of(from, speaker->value_size));
}

static void say_number(uint64_t number, struct buf *out)
{
	char digits[INTEGER_TEXT_MAX];
	say_word(out, slice_of(digits, integer_format((int64_t)number, digits)));
}

static void say_named(struct speaker *speaker, const char *word, struct buf *out)
{
	if (word[0] != '@') {
		say_word(out, slice_from_str(word));
	} else if (strcmp(word, "@value") == 0) {
		say_value(speaker, out);
	} else if (strcmp(word, "@small") == 0) {
		say_number(random_below(&speaker->random, SMALL_NUMBERS), out);
	} else {
		for (size_t i = 0; i < array_len(key_words); i++)
			if (strcmp(word, key_words[i].word) == 0)
				say_key(speaker, key_words[i].prefix, keys_next(&speaker->keys), out);
	}
}

static const struct operation *pick(const struct mix *mix, struct random *random)
{
	uint64_t at = random_below(random, mix->weights);
	int i = 0;
	while (at >= mix->parts[i].weight)
		at -= mix->parts[i++].weight;
	return mix->parts[i].operation;
}

void mix_say(const struct mix *mix, struct speaker *speaker, struct buf *out)
{
	const struct operation *operation = mix->n == 1 ? mix->parts[0].operation : pick(mix, &speaker->random);
	uint64_t times = operation->repeated ? operation->repeated : 1, n = 0;
	speaker->last = operation;
	while (n < MIX_WORDS_MAX && operation->words[n])
		n++;
	say_array(out, 1 + times * (n - 1));
	say_named(speaker, operation->words[0], out);
	for (uint64_t i = 0; i < times; i++)
		for (uint64_t word = 1; word < n; word++)
			say_named(speaker, operation->words[word], out);
}

void speaker_fill(struct speaker *speaker, uint64_t key, uint64_t ttl_s, struct buf *out)
{
	say_array(out, ttl_s ? 5 : 3);
	say_word(out, S("SET"));
	say_key(speaker, key_words[0].prefix, key, out);
	say_value(speaker, out);
	if (!ttl_s)
		return;
	say_word(out, S("EX"));
	say_number(ttl_s, out);
}

uint8_t *speaker_noise_new(uint32_t value_size, uint64_t seed)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t size = (size_t)value_size + SPEAKER_NOISE_SIZE;
	uint8_t *noise = memory_alloc(size);
	struct random random = {seed};
	for (size_t i = 0; i < size; i++)
		noise[i] = (uint8_t)letters[random_next(&random) % (sizeof(letters) - 1)];
	return noise;
}
