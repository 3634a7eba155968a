#include "engine/base/number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char two_digits[] = "00010203040506070809"
                                 "10111213141516171819"
                                 "20212223242526272829"
                                 "30313233343536373839"
                                 "40414243444546474849"
                                 "50515253545556575859"
                                 "60616263646566676869"
                                 "70717273747576777879"
                                 "80818283848586878889"
                                 "90919293949596979899";

static unsigned count_digits(uint64_t value)
{
	unsigned n = 1;
	for (; value >= 10000; value /= 10000)
		n += 4;
	return n + (value >= 10) + (value >= 100) + (value >= 1000);
}

size_t integer_format(int64_t value, char out[INTEGER_TEXT_MAX])
{
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
	size_t len = (value < 0) + count_digits(rest);
	char *at = out + len;
	for (; rest >= 100; rest /= 100) {
		at -= 2;
		memcpy(at, two_digits + rest % 100 * 2, 2);
	}
	if (rest >= 10)
		memcpy(at - 2, two_digits + rest * 2, 2);
	else
		at[-1] = (char)('0' + rest);
	if (value < 0)
		out[0] = '-';
	return len;
}

enum { DIGITS_MAX = 19 }; /* of the largest, and any so many fit into 64 bits without a sign */

bool integer_parse(struct slice text, int64_t *out)
{
	if (text.len == 0 || text.len > INTEGER_TEXT_MAX)
		return false;
	const uint8_t *at = text.ptr, *end = text.ptr + text.len;
	bool negative = *at == '-';
	at += negative;
	if (at == end)
		return false;
	if (*at == '0') {
		if (text.len != 1)
			return false;
		*out = 0;
		return true;
	}
	if (end - at > DIGITS_MAX)
		return false;
	uint64_t value = 0;
	for (; at < end; at++) {
		uint8_t digit = (uint8_t)(*at - '0');
		if (digit > 9)
			return false;
		value = value * 10 + digit;
	}
	if (value > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)-value : (int64_t)value;
	return true;
}

static size_t copy_text(const char *text, char *out)
{
	size_t len = strlen(text);
	memcpy(out, text, len);
	return len;
}

size_t real_format_17(double value, char out[32])
{
	const double exact_max = 1e15;
	if (isnan(value))
		return copy_text("nan", out);
	if (isinf(value))
		return copy_text(value < 0 ? "-inf" : "inf", out);
	if (fabs(value) < exact_max && value == (double)(int64_t)value && value != 0)
		return integer_format((int64_t)value, out);
	return (size_t)snprintf(out, 32, "%.17g", value);
}

/* Digits that are exact as a double, divided by a power of ten that is exact, are rounded once, as strtod() does.
 * Source: Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990. False: not so simple a number. */
static bool parse_simple(struct slice text, double *out)
{
	static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
	bool negative = text.len > 0 && text.ptr[0] == '-';
	uint64_t digits = 0;
	size_t at = negative, n = 0, n_behind = 0;
	bool point = false;
	if (text.len > 17)
		return false;
	for (; at < text.len; at++) {
		uint8_t digit = (uint8_t)(text.ptr[at] - '0');
		if (digit <= 9) {
			digits = 10 * digits + digit;
			n++;
			n_behind += point;
		} else if (text.ptr[at] == '.' && !point) {
			point = true;
		} else {
			return false;
		}
	}
	if (n == 0 || n > 15)
		return false;
	double value = (double)digits / tens[n_behind];
	*out = negative ? -value : value;
	return true;
}

bool real_parse_double(struct slice text, double *out)
{
	char copy[REAL_TEXT_MAX];
	if (parse_simple(text, out))
		return true;
	if (text.len == 0 || text.len >= sizeof(copy) || isspace(text.ptr[0]))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	char *end;
	errno = 0;
	double value = strtod(copy, &end);
	if (end != copy + text.len || isnan(value) || (errno == ERANGE && (isinf(value) || value == 0)))
		return false;
	*out = value;
	return true;
}

bool real_parse(struct slice text, long double *out)
{
	char copy[REAL_TEXT_MAX];
	if (text.len == 0 || text.len >= sizeof(copy) || isspace(text.ptr[0]))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	char *end;
	errno = 0;
	long double value = strtold(copy, &end);
	if (end != copy + text.len || isnan(value))
		return false;
	/* Too near to zero is refused as too large is; a denormal is neither. */
	if (errno == ERANGE && (isinf(value) || value == 0))
		return false;
	*out = value;
	return true;
}

size_t real_format_plain(long double value, char out[REAL_TEXT_MAX])
{
	assert(isfinite(value));
	size_t len = (size_t)snprintf(out, REAL_TEXT_MAX, "%.17Lf", value);
	assert(len < REAL_TEXT_MAX);
	while (out[len - 1] == '0')
		len--;
	if (out[len - 1] == '.')
		len--;
	if (len == 2 && memcmp(out, "-0", 2) == 0) {
		out[0] = '0';
		return 1;
	}
	return len;
}
