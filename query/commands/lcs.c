/* lcs.c -- rows of the classic table, 64 columns to a word.
 *
 * Let L(i, j) be the length for the first i bytes of a and j of b. Neighbours in a row
 * differ by 0 or 1, so a row is a string of bits: bit j - 1 is clear where
 * L(i, j) = L(i, j - 1) + 1. With M the places in b of a's next byte, the next row is
 * (V + (V & M)) | (V & ~M). The bits of all rows are enough to walk back: where the bytes
 * at (i, j) differ, L(i - 1, j) > L(i, j - 1) exactly if bit j - 1 of row i is clear.
 */
#include "query/commands/lcs.h"

#include "engine/memory/memory.h"

enum { BYTES = 256, WORD_BITS = 64 };

/* For each byte value that occurs in a: where it stands in b. */
struct places {
	size_t n_words;
	uint16_t of_byte[BYTES]; /* 1 + index of its words; 0: none */
	uint64_t *words;
};

static size_t words_for(size_t bits) { return (bits + WORD_BITS - 1) / WORD_BITS; }

static void places_init(struct places *places, struct slice a, struct slice b)
{
	*places = (struct places){.n_words = words_for(b.len)};
	uint16_t n = 0;
	for (size_t i = 0; i < a.len && n < BYTES; i++)
		if (!places->of_byte[a.ptr[i]])
			places->of_byte[a.ptr[i]] = ++n;
	places->words = memory_zalloc((n + 1u) * places->n_words * sizeof(uint64_t));
	for (size_t j = 0; j < b.len; j++) {
		size_t at = places->of_byte[b.ptr[j]];
		if (at)
			places->words[(at - 1) * places->n_words + j / WORD_BITS] |= (uint64_t)1 << j % WORD_BITS;
	}
}

static const uint64_t *places_of(const struct places *places, uint8_t byte)
{
	return places->words + (places->of_byte[byte] - 1u) * places->n_words;
}

static void next_row(uint64_t *row, const uint64_t *matches, size_t n_words)
{
	bool carry = false;
	for (size_t w = 0; w < n_words; w++) {
		uint64_t both = row[w] & matches[w];
		uint64_t rest = row[w] & ~matches[w];
		uint64_t sum;
		bool over = __builtin_add_overflow(row[w], both, &sum);
		carry = __builtin_add_overflow(sum, carry, &sum) | over;
		row[w] = sum | rest;
	}
}

static size_t count_clear(const uint64_t *row, size_t bits)
{
	size_t n = 0;
	for (size_t w = 0; w < bits / WORD_BITS; w++)
		n += (size_t)__builtin_popcountll(~row[w]);
	if (bits % WORD_BITS)
		n += (size_t)__builtin_popcountll(~row[bits / WORD_BITS] << (WORD_BITS - bits % WORD_BITS));
	return n;
}

/* Runs all rows; keeps the first `stride` bytes of each in `kept` if that isn't NULL. */
static size_t run_rows(struct slice a, struct slice b, uint8_t *kept, size_t stride)
{
	struct places places;
	places_init(&places, a, b);
	uint64_t *row = memory_alloc(places.n_words * sizeof(*row));
	memset(row, 0xff, places.n_words * sizeof(*row));
	for (size_t i = 0; i < a.len; i++) {
		next_row(row, places_of(&places, a.ptr[i]), places.n_words);
		if (kept)
			memcpy(kept + i * stride, row, stride);
	}
	size_t length = count_clear(row, b.len);
	memory_free(row);
	memory_free(places.words);
	return length;
}

size_t lcs_length(struct slice a, struct slice b)
{
	if (a.len == 0 || b.len == 0)
		return 0;
	return a.len < b.len ? run_rows(a, b, NULL, 0) : run_rows(b, a, NULL, 0);
}

static void add_run(struct buf *runs, struct lcs_run run)
{
	if (run.a_from <= run.a_to)
		buf_append(runs, slice_of(&run, sizeof(run)));
}

/* Writes the subsequence backwards, to before `text_end`. */
static void walk_back(struct slice a, struct slice b, const uint8_t *rows, size_t stride, uint8_t *text_end,
                      struct buf *runs)
{
	size_t i = a.len, j = b.len;
	struct lcs_run none = {.a_from = 1}, run = none;
	while (i > 0 && j > 0) {
		if (a.ptr[i - 1] == b.ptr[j - 1]) {
			i--, j--;
			if (run.a_from > run.a_to)
				run = (struct lcs_run){.a_to = i, .b_to = j};
			run.a_from = i;
			run.b_from = j;
			*--text_end = a.ptr[i];
			continue;
		}
		add_run(runs, run);
		run = none;
		bool is_clear = !(rows[(i - 1) * stride + (j - 1) / 8] >> (j - 1) % 8 & 1);
		if (is_clear)
			i--;
		else
			j--;
	}
	add_run(runs, run);
}

size_t lcs_trace(struct slice a, struct slice b, struct buf *text, struct buf *runs)
{
	if (a.len == 0 || b.len == 0)
		return 0;
	size_t stride = (b.len + 7) / 8;
	uint8_t *rows = memory_alloc(a.len * stride);
	size_t length = run_rows(a, b, rows, stride);
	uint8_t *at = buf_reserve(text, length);
	walk_back(a, b, rows, stride, at + length, runs);
	text->len += length;
	memory_free(rows);
	return length;
}
