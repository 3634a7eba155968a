#include "engine/base/glob.h"

enum { SEEK_BYTES_STEP = 16 }; /* of text that memchr() passes in the time of a step */

struct glob glob_of(struct slice pattern, struct slice text, bool nocase)
{
	return (struct glob){
	        .pattern = pattern,
	        .text = text,
	        .steps_left = GLOB_STEPS_LEAST + GLOB_STEPS_BYTE * ((uint64_t)pattern.len + text.len),
	        .nocase = nocase,
	};
}

static bool same(uint8_t a, uint8_t b, bool nocase) { return a == b || (nocase && ascii_lower(a) == ascii_lower(b)); }

static bool in_range(uint8_t from, uint8_t to, uint8_t c, bool nocase)
{
	int8_t low = (int8_t)from, high = (int8_t)to, at = (int8_t)c;
	if (low > high) {
		low = (int8_t)to;
		high = (int8_t)from;
	}
	if (nocase) {
		low = (int8_t)ascii_lower((uint8_t)low);
		high = (int8_t)ascii_lower((uint8_t)high);
		at = (int8_t)ascii_lower(c);
	}
	return at >= low && at <= high;
}

/* A set, whose '[' is at *at; moves *at behind its end. */
static bool set_has(struct slice pattern, size_t *at, uint8_t c, bool nocase)
{
	size_t i = *at + 1;
	bool inverted = i < pattern.len && pattern.ptr[i] == '^';
	i += inverted;
	bool found = false;
	for (; i < pattern.len && pattern.ptr[i] != ']'; i++) {
		size_t left = pattern.len - i;
		const uint8_t *here = pattern.ptr + i;
		if (here[0] == '\\' && left >= 2) {
			found |= here[1] == c;
			i++;
		} else if (left >= 3 && here[1] == '-') {
			found |= in_range(here[0], here[2], c, nocase);
			i += 2;
		} else {
			found |= same(here[0], c, nocase);
		}
	}
	*at = i < pattern.len ? i + 1 : pattern.len;
	return found != inverted;
}

/* Does the pattern's next sign, which is no star, take this byte? Moves *at behind it. */
static bool sign_takes(struct slice pattern, size_t *at, uint8_t c, bool nocase)
{
	uint8_t sign = pattern.ptr[*at];
	if (sign == '[')
		return set_has(pattern, at, c, nocase);
	if (sign == '\\' && *at + 1 < pattern.len)
		sign = pattern.ptr[++*at];
	else if (sign == '?')
		sign = c;
	++*at;
	return same(sign, c, nocase);
}

static bool only_stars(struct slice pattern, size_t at)
{
	while (at < pattern.len && pattern.ptr[at] == '*')
		at++;
	return at == pattern.len;
}

/* After a star: on to where its rest may fit, if that begins with a plain byte. */
static enum glob_verdict seek_rest(struct glob *glob, uint64_t *cost)
{
	uint8_t first = glob->pattern.ptr[glob->star_at];
	if (!glob->nocase && first != '*' && first != '?' && first != '[' && first != '\\') {
		const uint8_t *from = glob->text.ptr + glob->text_at;
		size_t left = glob->text.len - glob->text_at;
		const uint8_t *at = left ? memchr(from, first, left) : NULL;
		if (!at)
			return GLOB_NO;
		glob->text_at += (size_t)(at - from);
		*cost += (uint64_t)(at - from) / SEEK_BYTES_STEP;
	}
	glob->star_text_at = glob->text_at;
	return GLOB_UNDECIDED;
}

/* Behind the last star, one byte further on; without a star there is no other way. */
static enum glob_verdict fall_back(struct glob *glob, uint64_t *cost)
{
	if (!glob->any_star)
		return GLOB_NO;
	glob->pattern_at = glob->star_at;
	glob->text_at = glob->star_text_at + 1;
	return seek_rest(glob, cost);
}

static enum glob_verdict pass_star(struct glob *glob, uint64_t *cost)
{
	glob->any_star = true;
	glob->star_at = ++glob->pattern_at;
	return glob->star_at == glob->pattern.len ? GLOB_YES : seek_rest(glob, cost);
}

/* One sign against one byte; adds the bytes of pattern that were looked at. */
static enum glob_verdict step(struct glob *glob, uint64_t *cost)
{
	struct slice pattern = glob->pattern;
	if (glob->text_at == glob->text.len) /* a star that takes more would leave less */
		return only_stars(pattern, glob->pattern_at) ? GLOB_YES : GLOB_NO;
	if (glob->pattern_at == pattern.len)
		return fall_back(glob, cost);
	size_t from = glob->pattern_at;
	if (pattern.ptr[from] == '*')
		return pass_star(glob, cost);
	bool taken = sign_takes(pattern, &glob->pattern_at, glob->text.ptr[glob->text_at], glob->nocase);
	*cost += glob->pattern_at - from;
	if (!taken)
		return fall_back(glob, cost);
	glob->text_at++;
	return GLOB_UNDECIDED;
}

static uint64_t less(uint64_t from, uint64_t n) { return from > n ? from - n : 0; }

enum glob_verdict glob_go_on(struct glob *glob, uint64_t *steps)
{
	if (glob->text.len == 0)
		return glob->pattern.len == 0 ? GLOB_YES : GLOB_NO;
	enum glob_verdict verdict = GLOB_UNDECIDED;
	while (verdict == GLOB_UNDECIDED && *steps > 0) {
		uint64_t cost = 1;
		verdict = step(glob, &cost);
		*steps = less(*steps, cost);
		glob->steps_left = less(glob->steps_left, cost);
		if (verdict == GLOB_UNDECIDED && glob->steps_left == 0)
			return GLOB_NO;
	}
	return verdict;
}

static bool fits(struct slice pattern, struct slice text, bool nocase)
{
	struct glob glob = glob_of(pattern, text, nocase);
	uint64_t steps = UINT64_MAX;
	return glob_go_on(&glob, &steps) == GLOB_YES;
}

bool glob_fits(struct slice pattern, struct slice text) { return fits(pattern, text, false); }
bool glob_fits_nocase(struct slice pattern, struct slice text) { return fits(pattern, text, true); }
