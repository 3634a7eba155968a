/* Numbers to text and back. */
#include "engine/base/number.h"

#include "engine/base/compiler.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static bool parses(const char *text)
{
	int64_t value;
	return integer_parse(slice_from_str(text), &value);
}

static void expect_integer(int64_t value)
{
	char expected[32], text[INTEGER_TEXT_MAX];
	snprintf(expected, sizeof(expected), "%lld", (long long)value);
	size_t len = integer_format(value, text);
	cr_assert_eq(len, strlen(expected));
	cr_assert_arr_eq(text, expected, len);
	int64_t back;
	cr_assert(integer_parse(slice_of(text, len), &back));
	cr_assert_eq(back, value);
}

Test(integer, goes_to_text_and_back_at_every_width)
{
	expect_integer(0);
	expect_integer(INT64_MAX);
	expect_integer(INT64_MIN);
	int64_t power = 1;
	for (int digits = 1; digits <= 18; digits++, power *= 10)
		for (int64_t around = -2; around <= 2; around++) {
			expect_integer(power + around);
			expect_integer(-power - around);
		}
	for (int i = 0; i < 100000; i++)
		expect_integer((int64_t)(random_next() >> random_next() % 64));
}

Test(integer, has_one_form_only)
{
	static const char *const bad[] = {"",
	                                  "-",
	                                  "+1",
	                                  " 1",
	                                  "1 ",
	                                  "01",
	                                  "-0",
	                                  "00",
	                                  "-01",
	                                  "0x1",
	                                  "1.0",
	                                  "1e3",
	                                  "a",
	                                  "9223372036854775808",
	                                  "-9223372036854775809",
	                                  "18446744073709551616",
	                                  "99999999999999999999",
	                                  "-99999999999999999999",
	                                  "184467440737095516160"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(!parses(bad[i]), "%s", bad[i]);
	cr_expect(parses("9223372036854775807"));
	cr_expect(parses("-9223372036854775808"));
	int64_t value = 7;
	cr_expect(!integer_parse(S("12\0003"), &value));
	cr_expect_eq(value, 7, "a failure leaves the output alone");
}

Test(real, reads_back_whatever_the_bits)
{
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = random_next();
		double value;
		memcpy(&value, &bits, sizeof(value));
		if (!isfinite(value))
			continue;
		if (i % 2)
			value = (double)(int64_t)(bits % 2000000) / 1000;
		char text[33];
		size_t len = real_format_17(value, text);
		cr_assert_lt(len, 32u);
		text[len] = '\0';
		cr_assert_eq(strtod(text, NULL), value, "%s is not %.17g", text, value);
	}
}

static void expect_17(double value, const char *expected)
{
	char text[32];
	size_t len = real_format_17(value, text);
	cr_expect(slice_equal(slice_of(text, len), slice_from_str(expected)), "%.17g: %.*s instead of %s", value,
	          (int)len, text, expected);
}

Test(real, has_17_digits_on_the_wire)
{
	expect_17(0, "0");
	expect_17(-0.0, "-0");
	expect_17(-3, "-3");
	expect_17(0.1, "0.10000000000000001");
	expect_17(1e16, "10000000000000000");
	expect_17(123456789012345678, "1.2345678901234568e+17");
	expect_17(1e20, "1e+20");
	expect_17(5e-324, "4.9406564584124654e-324");
	expect_17(INFINITY, "inf");
	expect_17(-INFINITY, "-inf");
	expect_17(NAN, "nan");
}

static bool reads_double(const char *text, double expected)
{
	double value = 7;
	bool read = real_parse_double(slice_from_str(text), &value);
	return read && memcmp(&value, &expected, sizeof(value)) == 0;
}

Test(real, is_read_as_a_double)
{
	cr_expect(reads_double("0", 0));
	cr_expect(reads_double("-0", -0.0));
	cr_expect(reads_double("-.5", -0.5));
	cr_expect(reads_double("5.", 5));
	cr_expect(reads_double("0.1", 0.1));
	cr_expect(reads_double("123456789012345", 123456789012345));
	cr_expect(reads_double("12345678901234567890", 12345678901234567890.0));
	cr_expect(reads_double("0.30000000000000004", 0.1 + 0.2));
	cr_expect(reads_double("1e3", 1000));
	cr_expect(reads_double("0x10", 16));
	cr_expect(reads_double("+inf", INFINITY));
	cr_expect(reads_double("-Infinity", -INFINITY));
	cr_expect(reads_double("5e-324", 5e-324));
	static const char *const bad[] = {"", "-", ".", " 1", "1 ", "nan", "1e400", "1e-400", "1.2.3", "1,5", "abc", "--1"};
	for (size_t i = 0; i < array_len(bad); i++) {
		double value = 7;
		cr_expect(!real_parse_double(slice_from_str(bad[i]), &value), "%s", bad[i]);
		cr_expect_eq(value, 7, "a failure leaves the output alone");
	}
}

Test(real, is_read_as_strtod_reads_it)
{
	for (int i = 0; i < 200000; i++) {
		char text[64];
		uint64_t bits = random_next();
		int len = i % 2 ? snprintf(text, sizeof(text), "%.*f", (int)(bits % 12), (double)(int64_t)bits / 9.3e12)
		                : snprintf(text, sizeof(text), "%llu.%llu", (unsigned long long)(bits % 100000),
		                           (unsigned long long)(bits >> 40));
		double value;
		cr_assert(real_parse_double(slice_of(text, (size_t)len), &value));
		cr_assert_eq(value, strtod(text, NULL), "%s", text);
	}
}

static bool reads_real(const char *text)
{
	long double value;
	return real_parse(slice_from_str(text), &value);
}

Test(real, is_read_as_strtold_does_without_the_surprises)
{
	static const char *const good[] = {"1",   "+1",    "-1.5", ".5",        "5.",
	                                   "1e5", "0x1p3", "inf",  "-Infinity", "1e-4940"};
	static const char *const bad[] = {"", " 1", "1 ", "\t1", "nan", "1e", "abc", "1e5000", "1e-5000", "--1", "1,5"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(reads_real(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(!reads_real(bad[i]), "%s", bad[i]);
	long double value;
	cr_expect(!real_parse(S("1\0"), &value));
}

static void expect_plain(long double value, const char *expected)
{
	char text[REAL_TEXT_MAX];
	size_t len = real_format_plain(value, text);
	cr_expect(slice_equal(slice_of(text, len), slice_from_str(expected)), "%.*s instead of %s", (int)len, text,
	          expected);
}

Test(real, is_plain_without_trailing_zeros)
{
	expect_plain(3, "3");
	expect_plain(-10.5L, "-10.5");
	expect_plain(100, "100");
	expect_plain(0, "0");
	expect_plain(-1e-30L, "0");
	expect_plain(5e3L, "5000");
	expect_plain(1e-17L, "0.00000000000000001");
	char text[REAL_TEXT_MAX];
	cr_expect_eq(real_format_plain(LDBL_MAX, text), 4933u);
}
