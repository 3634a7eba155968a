/* Patterns: Redis' own recursion agrees, and portions change nothing. Input: a byte that
 * says how long the pattern is and whether case counts, the pattern, the text. */
#include "engine/base/glob.h"
#include "tests/fuzz/fuzz.h"

static int folded(uint8_t c, bool nocase) { return nocase ? ascii_lower(c) : c; }

/* [...] at `p`: does it hold `c`? Moves *p to its last byte. Bytes are compared as signed. */
static bool set_holds(struct slice pattern, size_t *p, uint8_t c, bool nocase)
{
	size_t at = *p + 1;
	bool negated = at < pattern.len && pattern.ptr[at] == '^', holds = false;
	at += negated;
	for (;; at++) {
		if (at >= pattern.len) {
			at = pattern.len - 1;
			break;
		}
		if (pattern.ptr[at] == '\\' && pattern.len - at >= 2) {
			holds |= pattern.ptr[++at] == c;
		} else if (pattern.ptr[at] == ']') {
			break;
		} else if (pattern.len - at >= 3 && pattern.ptr[at + 1] == '-') {
			int8_t low = (int8_t)folded(pattern.ptr[at], nocase);
			int8_t high = (int8_t)folded(pattern.ptr[at + 2], nocase);
			int8_t byte = (int8_t)folded(c, nocase);
			/* Redis swaps the ends before it folds their case. */
			if ((int8_t)pattern.ptr[at] > (int8_t)pattern.ptr[at + 2]) {
				int8_t swap = low;
				low = high;
				high = swap;
			}
			at += 2;
			holds |= byte >= low && byte <= high;
		} else {
			holds |= folded(pattern.ptr[at], nocase) == folded(c, nocase);
		}
	}
	*p = at;
	return holds != negated;
}

/* stringmatchlen() of Redis 7, without its guards against depth: inputs are short. */
static bool reference_fits(struct slice pattern, struct slice text, bool nocase)
{
	size_t p = 0, t = 0;
	while (p < pattern.len && t < text.len) {
		uint8_t c = pattern.ptr[p];
		if (c == '*') {
			while (p + 1 < pattern.len && pattern.ptr[p + 1] == '*')
				p++;
			if (p + 1 == pattern.len)
				return true;
			struct slice rest = slice_sub(pattern, p + 1, pattern.len);
			for (; t < text.len; t++)
				if (reference_fits(rest, slice_sub(text, t, text.len), nocase))
					return true;
			return false;
		}
		if (c == '[') {
			if (!set_holds(pattern, &p, text.ptr[t], nocase))
				return false;
		} else if (c != '?') {
			if (c == '\\' && pattern.len - p >= 2)
				c = pattern.ptr[++p];
			if (folded(c, nocase) != folded(text.ptr[t], nocase))
				return false;
		}
		t++;
		p++;
		if (t == text.len)
			while (p < pattern.len && pattern.ptr[p] == '*')
				p++;
	}
	return p == pattern.len && t == text.len;
}

static void check(struct slice pattern, struct slice text, bool nocase)
{
	bool fits = nocase ? glob_fits_nocase(pattern, text) : glob_fits(pattern, text);
	if (pattern.len <= 12 && text.len <= 24)
		fuzz_check(fits == reference_fits(pattern, text, nocase));
	struct glob glob = glob_of(pattern, text, nocase);
	enum glob_verdict verdict = GLOB_UNDECIDED;
	while (verdict == GLOB_UNDECIDED) {
		uint64_t steps = 3;
		verdict = glob_go_on(&glob, &steps);
	}
	fuzz_check((verdict == GLOB_YES) == fits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	uint8_t choices = fuzz_byte(&input);
	size_t cut = input.len > 0 ? choices / 2 % (input.len + 1) : 0;
	struct slice pattern = slice_sub(input, 0, cut), text = slice_sub(input, cut, input.len);
	uint8_t *own_pattern = fuzz_copy(pattern), *own_text = fuzz_copy(text);
	check(slice_of(own_pattern, pattern.len), slice_of(own_text, text.len), choices & 1);
	free(own_pattern);
	free(own_text);
	return 0;
}
