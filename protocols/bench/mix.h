/* mix.h -- what is asked for: a table of operations, and a blend of them.
 *
 * What      An operation is a command whose words may stand for a random key, value or
 *           number. A mix names operations with weights: "get:90,set:10", or just "get".
 * Keys      Each kind of key has its own prefix, so that INCR never meets a string that SET
 *           has written. Numbers fill them up with zeros to the key size.
 */
#pragma once

#include "engine/base/buf.h"
#include "protocols/bench/keys.h"

#include <stdbool.h>

enum {
	MIX_OPERATIONS_MAX = 16,
	MIX_WORDS_MAX = 9,
	KEY_SIZE_MAX = 1024,
	KEY_PREFIX_SIZE = 4, /* "key:" and its like; dropped where the key size has no room for it */
};

struct operation {
	const char *name, *meaning;
	const char *words[MIX_WORDS_MAX]; /* "@key" and so on: see mix.c; the others stand for themselves */
	uint8_t repeated;                 /* how often the words after the first are said; 0: once */
};

const struct operation *operation_find(struct slice name);
const struct operation *operation_at(size_t i); /* NULL behind the last */

struct mix {
	int n;
	uint64_t weights; /* of all */
	struct {
		const struct operation *operation;
		uint64_t weight;
	} parts[MIX_OPERATIONS_MAX];
};

bool mix_parse(struct slice text, struct mix *out, char *why, size_t why_size);

/* Words that a request is made of. */
struct speaker {
	struct keys keys;
	struct random random;
	uint32_t key_size, value_size;
	const uint8_t *noise; /* SPEAKER_NOISE_SIZE letters more than value_size; borrowed */
	uint8_t key[KEY_SIZE_MAX];
	bool is_keyed; /* a value is a function of its key, not of chance */
	/* What was said last: */
	const struct operation *last;
	uint64_t last_key;
};

enum { SPEAKER_NOISE_SIZE = 4096 };

/* Letters that values are cut from; freed by memory_free(). */
uint8_t *speaker_noise_new(uint32_t value_size, uint64_t seed);

/* Appends one request of the mix, encoded. */
void mix_say(const struct mix *mix, struct speaker *speaker, struct buf *out);

/* Appends the value of key number `key` as a word, if values are functions of keys: its number, then letters. */
void speaker_value_of(struct speaker *speaker, uint64_t key, struct buf *out);

/* Appends the request that fills `key`; lives `ttl_s` seconds if that is not 0. */
void speaker_fill(struct speaker *speaker, uint64_t key, uint64_t ttl_s, struct buf *out);

/* Appends "*n\r\n" and "$len\r\nbytes\r\n". */
void say_array(struct buf *out, uint64_t n);
void say_word(struct buf *out, struct slice word);

/* Whether `n_keys` different keys can be told apart in `key_size` bytes. */
bool key_size_suffices(uint32_t key_size, uint64_t n_keys);
