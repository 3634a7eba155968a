#include "kernels/text/find_text.h"
#include "tests/unit/kernels/places.h"

#include <string.h>

enum { TEXT_MAX = 80 };

static size_t text_one_by_one(const uint8_t *bytes, size_t n, const uint8_t *text, size_t len)
{
	for (size_t at = 0; at + len <= n; at++)
		if (memcmp(bytes + at, text, len) == 0)
			return at;
	return n;
}

/* Few letters, so that many a place has some of the text's bytes; often the text itself, maybe cut by the end. */
static void look_at_text(const struct kernel_variant *variant, uint8_t *bytes, size_t n)
{
	uint8_t text[TEXT_MAX];
	size_t len = 2 + random_u64() % (random_u64() & 1 ? 4 : TEXT_MAX - 1);
	unsigned letters = random_u64() & 1 ? 2 : 200;
	for (size_t i = 0; i < len; i++)
		text[i] = (uint8_t)(random_u64() % letters);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(random_u64() % letters);
	for (int i = 0; i < 3 && n > 0 && random_u64() & 1; i++) {
		size_t at = random_u64() % n, part = n - at < len ? n - at : len;
		memcpy(bytes + at, text, part);
		if (random_u64() & 1)
			bytes[at + random_u64() % part] ^= 1;
	}
	find_text_fn *find = (find_text_fn *)variant->run;
	if (find(bytes, n, text, len) != text_one_by_one(bytes, n, text, len))
		disagree(variant, bytes, n);
}

Test(find_text, every_form_agrees_with_a_loop) { at_every_place(find_text_variants, look_at_text); }

/* The bytes behind the end complete the match; it is none all the same. */
Test(find_text, a_text_that_the_end_cuts_is_none)
{
	uint8_t bytes[PLACES_EVERY + 3];
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&find_text_variants[v]))
			continue;
		for (size_t n = 1; n <= PLACES_EVERY; n++)
			for (size_t inside = 0; inside < 3 && inside <= n; inside++) {
				memset(bytes, 0, sizeof(bytes));
				memcpy(bytes + n - inside, "abc", 3);
				size_t found = ((find_text_fn *)find_text_variants[v].run)(bytes, n,
				                                                           (const uint8_t *)"abc", 3);
				if (found != n)
					disagree(&find_text_variants[v], bytes, n);
			}
	}
}
