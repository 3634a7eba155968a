#include "engine/base/compiler.h"
#include "engine/base/glob.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

struct example {
	const char *pattern, *text;
	bool fits, fits_nocase;
};

/* As redis 7.0.15 answers KEYS. */
static const struct example examples[] = {
        {"", "", true, true},
        {"*", "", false, false},
        {"**", "", false, false},
        {"", "a", false, false},
        {"*", "a", true, true},
        {"a", "a", true, true},
        {"A", "a", false, true},
        {"a", "ab", false, false},
        {"ab", "a", false, false},
        {"h?llo", "hello", true, true},
        {"h?llo", "hllo", false, false},
        {"h*llo", "heeeello", true, true},
        {"h[ae]llo", "hallo", true, true},
        {"h[ae]llo", "hillo", false, false},
        {"h[AE]llo", "hallo", false, true},
        {"h[^e]llo", "hallo", true, true},
        {"h[^e]llo", "hello", false, false},
        {"h[a-b]llo", "hbllo", true, true},
        {"h[b-a]llo", "hbllo", true, true},
        {"h[A-B]llo", "hbllo", false, true},
        {"h[^a-b]llo", "hbllo", false, false},
        {"a*", "a", true, true},
        {"a**", "a", true, true},
        {"a*b*c", "a1b2b3c", true, true},
        {"a*b*c", "a1b2b3d", false, false},
        {"*a*a*a", "aa", false, false},
        {"\\*", "*", true, true},
        {"\\*", "a", false, false},
        {"\\", "\\", true, true},
        {"a\\", "a\\", true, true},
        {"[\\]]", "]", true, true},
        {"[\\]", "\\", false, false},
        {"[", "[", false, false},
        {"[^", "x", true, true},
        {"[a", "a", true, true},
        {"[a", "b", false, false},
        {"[]", "a", false, false},
        {"[^]", "a", true, true},
        {"[]a]", "]", false, false},
        {"[a-]", "]", true, true},
        {"[a-]", "b", false, false},
        {"[a-", "-", true, true},
        {"[\x01-\x7f]", "a", true, true},
        {"[\x01-\xff]", "a", false, false}, /* bytes count as signed */
        {"[\x80-\xff]", "\x90", true, true},
};

Test(glob, fits_as_in_redis)
{
	for (size_t i = 0; i < array_len(examples); i++) {
		const struct example *e = &examples[i];
		struct slice pattern = slice_from_str(e->pattern), text = slice_from_str(e->text);
		cr_expect_eq(glob_fits(pattern, text), e->fits, "'%s' on '%s'", e->pattern, e->text);
		cr_expect_eq(glob_fits_nocase(pattern, text), e->fits_nocase, "'%s' on '%s', any case", e->pattern,
		             e->text);
	}
}

/* ---- the model: a list of sets and stars, and a table of what each can reach ---------- */

enum { SIGNS_MAX = 16, TEXT_MAX = 12 };

struct sign {
	bool star;
	bool takes[256];
};

static void add_range(struct sign *sign, int from, int to)
{
	int low = (signed char)from, high = (signed char)to;
	for (int c = low < high ? low : high; c <= (low < high ? high : low); c++)
		sign->takes[(unsigned char)c] = true;
}

static size_t read_set(struct slice p, size_t i, struct sign *sign)
{
	bool inverted = i < p.len && p.ptr[i] == '^';
	i += inverted;
	while (i < p.len && p.ptr[i] != ']') {
		if (p.ptr[i] == '\\' && i + 1 < p.len) {
			sign->takes[p.ptr[i + 1]] = true;
			i += 2;
		} else if (i + 2 < p.len && p.ptr[i + 1] == '-') {
			add_range(sign, p.ptr[i], p.ptr[i + 2]);
			i += 3;
		} else {
			sign->takes[p.ptr[i++]] = true;
		}
	}
	for (int c = 0; inverted && c < 256; c++)
		sign->takes[c] = !sign->takes[c];
	return i + 1;
}

static size_t read_signs(struct slice p, struct sign signs[SIGNS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < p.len; n++) {
		signs[n] = (struct sign){0};
		if (p.ptr[i] == '*') {
			signs[n].star = true;
			i++;
		} else if (p.ptr[i] == '?') {
			memset(signs[n].takes, true, 256);
			i++;
		} else if (p.ptr[i] == '[') {
			i = read_set(p, i + 1, &signs[n]);
		} else {
			i += p.ptr[i] == '\\' && i + 1 < p.len;
			signs[n].takes[p.ptr[i++]] = true;
		}
	}
	return n;
}

static bool model_fits(struct slice pattern, struct slice text)
{
	struct sign signs[SIGNS_MAX];
	size_t n = read_signs(pattern, signs);
	if (text.len == 0)
		return pattern.len == 0;
	bool reached[SIGNS_MAX + 1][TEXT_MAX + 1] = {{true}};
	for (size_t s = 0; s < n; s++)
		for (size_t t = 0; t <= text.len; t++) {
			if (signs[s].star)
				reached[s + 1][t] = reached[s][t] || (t > 0 && reached[s + 1][t - 1]);
			else
				reached[s + 1][t] = t > 0 && reached[s][t - 1] && signs[s].takes[text.ptr[t - 1]];
		}
	return reached[n][text.len];
}

static struct slice random_text(char *out, size_t max, const char *letters)
{
	size_t len = (size_t)rand() % (max + 1);
	for (size_t i = 0; i < len; i++)
		out[i] = letters[(size_t)rand() % strlen(letters)];
	return slice_of(out, len);
}

Test(glob, agrees_with_a_model)
{
	srand(1);
	size_t fitting = 0;
	for (int round = 0; round < 400000; round++) {
		char pattern_room[SIGNS_MAX], text_room[TEXT_MAX];
		struct slice pattern = random_text(pattern_room, SIGNS_MAX - 1, "aab**?[]^-\\\xe9");
		struct slice text = random_text(text_room, TEXT_MAX, "aaab]-\xe9");
		bool expected = model_fits(pattern, text);
		fitting += expected;
		cr_assert_eq(glob_fits(pattern, text), expected, "'%.*s' on '%.*s'", (int)pattern.len, pattern.ptr,
		             (int)text.len, text.ptr);
	}
	cr_assert_gt(fitting, 5000);
}

Test(glob, decides_the_same_in_portions)
{
	srand(2);
	for (int round = 0; round < 20000; round++) {
		char pattern_room[SIGNS_MAX], text_room[TEXT_MAX];
		struct slice pattern = random_text(pattern_room, SIGNS_MAX - 1, "aab**?[]");
		struct slice text = random_text(text_room, TEXT_MAX, "aaab");
		struct glob glob = glob_of(pattern, text, false);
		enum glob_verdict verdict = GLOB_UNDECIDED;
		while (verdict == GLOB_UNDECIDED) {
			uint64_t steps = 1 + (uint64_t)rand() % 3;
			verdict = glob_go_on(&glob, &steps);
		}
		cr_assert_eq(verdict == GLOB_YES, glob_fits(pattern, text));
	}
}

/* What takes exponential time by recursion, and what takes product time here. */
Test(glob, gives_up_on_abusive_patterns, .timeout = 20)
{
	enum { LENGTH = 1 << 20 };
	char *text = malloc(LENGTH), *pattern = malloc(LENGTH);
	memset(text, 'a', LENGTH);
	for (size_t i = 0; i < LENGTH; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[999] = 'b';
	cr_expect_not(glob_fits(slice_of(pattern, 1000), slice_of(text, 100000)));
	memset(pattern, 'a', LENGTH);
	pattern[0] = '*';
	pattern[LENGTH / 2] = 'b';
	cr_expect_not(glob_fits(slice_of(pattern, LENGTH / 2 + 1), slice_of(text, LENGTH)));
	/* A long set at each byte of the text. */
	pattern[1] = '[';
	cr_expect_not(glob_fits(slice_of(pattern, LENGTH / 2), slice_of("b", 1)));
	memset(text, 'b', LENGTH);
	memset(pattern + 2, 'a', LENGTH - 2);
	cr_expect_not(glob_fits(slice_of(pattern, LENGTH), slice_of(text, LENGTH)));
	free(text);
	free(pattern);
}
