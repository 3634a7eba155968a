/* Numbers: what is read is written again as it was, and reals survive the way through text. */
#include "engine/base/number.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

static void check_integer(struct slice text)
{
	int64_t value;
	char again[INTEGER_TEXT_MAX];
	bool read = integer_parse(text, &value);
	if (read)
		fuzz_check(slice_equal(slice_of(again, integer_format(value, again)), text));
}

static void check_bits(struct slice input)
{
	double value;
	int64_t integer, same;
	if (input.len < sizeof(value))
		return;
	memcpy(&value, input.ptr, sizeof(value));
	memcpy(&integer, input.ptr, sizeof(integer));
	char text[33], digits[INTEGER_TEXT_MAX];
	size_t len = real_format_17(value, text);
	fuzz_check(len <= 32);
	long double read;
	if (!isnan(value)) {
		fuzz_check(real_parse(slice_of(text, len), &read));
		/* Not by way of the long double just read: that would round twice. */
		text[len] = '\0';
		fuzz_check(strtod(text, NULL) == value);
	}
	len = integer_format(integer, digits);
	fuzz_check(integer_parse(slice_of(digits, len), &same));
	fuzz_check(same == integer);
}

static void check_plain(struct slice text)
{
	long double value;
	if (!real_parse(text, &value) || isinf(value))
		return;
	fuzz_check(!isnan(value));
	char *plain = malloc(REAL_TEXT_MAX);
	size_t len = real_format_plain(value, plain);
	fuzz_check(len > 0);
	fuzz_check(len <= REAL_TEXT_MAX);
	fuzz_check(memchr(plain, 'e', len) == NULL);
	free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *own = fuzz_copy(slice_of(data, size));
	check_integer(slice_of(own, size));
	check_plain(slice_of(own, size));
	check_bits(slice_of(own, size));
	free(own);
	return 0;
}
