#include "engine/base/number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <float.h>
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
	uint64_t value = 0;
	for (; at < end; at++) {
		uint8_t digit = (uint8_t)(*at - '0');
		if (digit > 9)
			return false;
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (value > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)-value : (int64_t)value;
	return true;
}

/* The shortest digits that read back, without trailing zeros, and the decimal exponent of
 * the first. Any decimal of up to 15 digits survives the way through a double, so if
 * 15 digits read back, cutting their zeros gives the shortest form; not so a denormal. */
static int shortest_digits(double value, char digits[17], int *exponent)
{
	char text[32];
	for (int n = value < DBL_MIN ? 1 : DBL_DIG; n <= 17; n++) {
		snprintf(text, sizeof(text), "%.*e", n - 1, value);
		if (n < 17 && strtod(text, NULL) != value)
			continue;
		digits[0] = text[0];
		memcpy(digits + 1, text + 2, (size_t)n - 1);
		*exponent = atoi(strchr(text, 'e') + 1);
		while (n > 1 && digits[n - 1] == '0')
			n--;
		return n;
	}
	__builtin_unreachable();
}

/* Plain up to 7 zeros at either end, else with an exponent, as Redis' printer does. */
static size_t lay_out(const char *digits, int n, int exponent, char *out)
{
	char *at = out;
	if (exponent >= n - 1 && exponent < n + 7) {
		memcpy(at, digits, (size_t)n);
		memset(at + n, '0', (size_t)(exponent - n + 1));
		return (size_t)exponent + 1;
	}
	if (exponent < n - 1 && (exponent - n + 1 > -7 || abs(exponent) < 4)) {
		int whole = exponent < 0 ? 0 : exponent + 1;
		if (whole == 0)
			*at++ = '0';
		memcpy(at, digits, (size_t)whole);
		at += whole;
		*at++ = '.';
		for (int zeros = -1 - exponent; zeros > 0; zeros--)
			*at++ = '0';
		memcpy(at, digits + whole, (size_t)(n - whole));
		return (size_t)(at - out) + (size_t)(n - whole);
	}
	*at++ = digits[0];
	if (n > 1) {
		*at++ = '.';
		memcpy(at, digits + 1, (size_t)n - 1);
		at += n - 1;
	}
	*at++ = 'e';
	*at++ = exponent < 0 ? '-' : '+';
	char number[INTEGER_TEXT_MAX];
	size_t len = integer_format(abs(exponent), number);
	memcpy(at, number, len);
	return (size_t)(at - out) + len;
}

static size_t copy_text(const char *text, char *out)
{
	size_t len = strlen(text);
	memcpy(out, text, len);
	return len;
}

size_t real_format(double value, char out[32])
{
	if (isnan(value))
		return copy_text("nan", out);
	if (isinf(value))
		return copy_text(value < 0 ? "-inf" : "inf", out);
	if (value == 0)
		return copy_text(signbit(value) ? "-0" : "0", out);
	if (fabs(value) < (double)(INT64_MAX / 2) && value == (double)(int64_t)value)
		return integer_format((int64_t)value, out);
	char digits[17];
	int exponent;
	int n = shortest_digits(fabs(value), digits, &exponent);
	size_t sign = value < 0;
	if (sign)
		out[0] = '-';
	return sign + lay_out(digits, n, exponent, out + sign);
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
