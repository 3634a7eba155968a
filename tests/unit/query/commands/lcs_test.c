/* The longest common subsequence against the classic table. */
#include "query/commands/lcs.h"

#include <criterion/criterion.h>

enum { SIZE_MAX_HERE = 200 };

static uint32_t lengths[SIZE_MAX_HERE + 1][SIZE_MAX_HERE + 1];
static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 33) % limit;
}

static void fill_lengths(struct slice a, struct slice b)
{
	for (size_t i = 1; i <= a.len; i++) {
		for (size_t j = 1; j <= b.len; j++) {
			uint32_t up = lengths[i - 1][j], left = lengths[i][j - 1];
			lengths[i][j] = a.ptr[i - 1] == b.ptr[j - 1] ? lengths[i - 1][j - 1] + 1
			                : up > left                  ? up
			                                             : left;
		}
	}
}

static struct lcs_run take_run(struct buf *runs)
{
	struct lcs_run run;
	cr_assert_geq(runs->len, sizeof(run), "a run is missing");
	memcpy(&run, runs->ptr, sizeof(run));
	buf_drop(runs, sizeof(run));
	return run;
}

/* Walks the table back as the contract says, and compares each run on the way. */
static void expect_walk(struct slice a, struct slice b, struct buf *text, struct buf *runs)
{
	size_t i = a.len, j = b.len;
	while (i > 0 && j > 0) {
		if (a.ptr[i - 1] != b.ptr[j - 1]) {
			if (lengths[i - 1][j] > lengths[i][j - 1])
				i--;
			else
				j--;
			continue;
		}
		struct lcs_run run = take_run(runs);
		cr_assert_eq(run.a_to, i - 1);
		cr_assert_eq(run.b_to, j - 1);
		for (; i > 0 && j > 0 && a.ptr[i - 1] == b.ptr[j - 1]; i--, j--)
			cr_assert_eq(text->ptr[--text->len], a.ptr[i - 1]);
		cr_assert_eq(run.a_from, i);
		cr_assert_eq(run.b_from, j);
	}
	cr_assert_eq(runs->len, 0u);
	cr_assert_eq(text->len, 0u);
}

static void compare(struct slice a, struct slice b)
{
	struct buf text = {0}, runs = {0};
	fill_lengths(a, b);
	size_t length = lengths[a.len][b.len];
	cr_assert_eq(lcs_length(a, b), length);
	cr_assert_eq(lcs_trace(a, b, &text, &runs), length);
	cr_assert_eq(text.len, length);
	expect_walk(a, b, &text, &runs);
	buf_fini(&text);
	buf_fini(&runs);
}

static struct slice random_text(uint8_t *out)
{
	size_t len = random_below(4) ? random_below(SIZE_MAX_HERE + 1) : random_below(8);
	uint32_t letters = 1 + random_below(random_below(2) ? 4 : 256);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)random_below(letters);
	return slice_of(out, len);
}

Test(lcs, agrees_with_the_table)
{
	uint8_t a[SIZE_MAX_HERE], b[SIZE_MAX_HERE];
	for (int i = 0; i < 3000; i++)
		compare(random_text(a), random_text(b));
}

Test(lcs, carries_over_words)
{
	uint8_t same[SIZE_MAX_HERE];
	memset(same, 'x', sizeof(same));
	for (size_t n = 60; n <= SIZE_MAX_HERE; n++)
		compare(slice_of(same, n), slice_of(same, n - 3));
}
