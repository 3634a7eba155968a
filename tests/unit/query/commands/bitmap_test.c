/* The bitmap group, answer by answer, and against bits counted one by one. The answers are
 * Redis 7.0's. */
#include "tests/support/runner.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define BAD_OFFSET "-ERR bit offset is not an integer or out of range"
#define BAD_BIT    "-ERR bit is not an integer or out of range"
#define BAD_TYPE   "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."

TestSuite(bitmap, .init = runner_start, .fini = runner_stop, .timeout = 20);

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int64_t random_between(int64_t from, int64_t to)
{
	return from + (int64_t)(random_next() >> 1) % (to - from + 1);
}

Test(bitmap, setbit_and_getbit)
{
	expect("SETBIT k 7 1", ":0");
	expect("GET k", "\"\\x01\"");
	expect("SETBIT k 7 1", ":1");
	expect("SETBIT k 16 0", ":0");
	expect("GET k", "\"\\x01\\x00\\x00\"");
	expect("SETBIT k 7 0", ":1");
	expect("GETBIT k 7", ":0");
	expect("GETBIT k 4294967295", ":0");
	expect("GETBIT absent 3", ":0");
	given("SET n 123");
	expect("GETBIT n 2", ":1");
	expect("SETBIT n 6 1", ":0");
	expect("GET n", "\"323\"");
}

Test(bitmap, setbit_that_changes_nothing_is_no_change)
{
	given("SETBIT k 5 0");
	cr_expect_eq(runner_changes(), 1u, "the key was created");
	given("SETBIT k 5 0");
	cr_expect_eq(runner_changes(), 0u);
	given("SETBIT k 8 0");
	cr_expect_eq(runner_changes(), 1u, "the value grew");
}

Test(bitmap, offsets_are_bounded)
{
	expect("SETBIT k -1 1", BAD_OFFSET);
	expect("SETBIT k a 1", BAD_OFFSET);
	expect("SETBIT k #1 1", BAD_OFFSET);
	expect("SETBIT k 4294967296 1", BAD_OFFSET);
	expect("SETBIT k 99999999999999999999 1", BAD_OFFSET);
	expect("GETBIT absent -1", BAD_OFFSET);
	expect("SETBIT k 1 2", BAD_BIT);
	expect("SETBIT k 1 a", BAD_BIT);
	expect("STRLEN k", ":0");
	expect("SETBIT k 4294967295 1", ":0");
	expect("STRLEN k", ":536870912");
	expect("BITPOS k 1", ":4294967295");
}

Test(bitmap, bitcount)
{
	given("SET k foobar");
	expect("BITCOUNT k", ":26");
	expect("BITCOUNT k 0 0", ":4");
	expect("BITCOUNT k 1 1", ":6");
	expect("BITCOUNT k -2 -1", ":7");
	expect("BITCOUNT k 5 30 BIT", ":17");
	expect("BITCOUNT k 5 30 byte", ":4");
	expect("BITCOUNT k 0 -5 bit", ":25");
	expect("BITCOUNT k 0 -100", ":4");
	expect("BITCOUNT k 10 20", ":0");
	expect("BITCOUNT k -1 -2 foo", ":0");
	expect("BITCOUNT k 9 3 foo", SYNTAX_ERROR);
	expect("BITCOUNT k 0", SYNTAX_ERROR);
	expect("BITCOUNT k 0 1 bit x", SYNTAX_ERROR);
	expect("BITCOUNT k a 0", NOT_INTEGER);
	expect("BITCOUNT k 0 a", NOT_INTEGER);
	expect("BITCOUNT absent a b", ":0");
	expect("BITCOUNT k -9223372036854775808 9223372036854775807 bit", ":26");
	given("SET empty ''");
	expect("BITCOUNT empty 0 -1 BIT", ":0");
}

Test(bitmap, bitpos)
{
	given("SET k \\xff\\xff\\xff");
	expect("BITPOS k 0", ":24");
	expect("BITPOS k 0 0", ":24");
	expect("BITPOS k 0 -1", ":24");
	expect("BITPOS k 0 3", ":-1");
	expect("BITPOS k 0 0 -1", ":-1");
	expect("BITPOS k 0 2 10", ":-1");
	expect("BITPOS k 1 9 15 BIT", ":9");
	expect("BITPOS k 1 9 8 bit", ":-1");
	expect("BITPOS k 1 -3 -1 bit", ":21");
	given("SET z \\x00\\xff\\xf0");
	expect("BITPOS z 1", ":8");
	expect("BITPOS z 0 1", ":20");
	expect("BITPOS z 1 0 7 bit", ":-1");
	expect("BITPOS z 2", "-ERR The bit argument must be 1 or 0.");
	expect("BITPOS z a", NOT_INTEGER);
	expect("BITPOS z 1 a", NOT_INTEGER);
	expect("BITPOS z 1 0 a", NOT_INTEGER);
	expect("BITPOS z 1 0 a foo", SYNTAX_ERROR);
	expect("BITPOS z 1 0 1 bit foo", SYNTAX_ERROR);
	expect("BITPOS absent 0", ":0");
	expect("BITPOS absent 1 a b", ":-1");
	given("SET empty ''");
	expect("BITPOS empty 0", ":-1");
	expect("BITPOS empty 0 0 -1 bit", ":-1");
}

/* Bit by bit, what BITCOUNT and BITPOS say of a range of bits. */
static void expect_range(const uint8_t *bytes, int64_t from, int64_t to)
{
	int64_t count = 0, first[2] = {-1, -1};
	for (int64_t at = from; at <= to; at++) {
		unsigned bit = bytes[at / 8] >> (7 - at % 8) & 1;
		count += bit;
		if (first[bit] < 0)
			first[bit] = at;
	}
	char line[128], answer[32];
	snprintf(line, sizeof(line), "BITCOUNT k %ld %ld BIT", (long)from, (long)to);
	snprintf(answer, sizeof(answer), ":%ld", (long)count);
	expect(line, answer);
	for (unsigned bit = 0; bit < 2; bit++) {
		snprintf(line, sizeof(line), "BITPOS k %u %ld %ld BIT", bit, (long)from, (long)to);
		snprintf(answer, sizeof(answer), ":%ld", (long)first[bit]);
		expect(line, answer);
	}
}

Test(bitmap, ranges_agree_with_bits_counted_one_by_one)
{
	uint8_t bytes[300];
	for (int round = 0; round < 400; round++) {
		size_t size = (size_t)random_between(1, sizeof(bytes));
		/* Long runs of equal bytes, now and then broken. */
		memset(bytes, round % 2 ? 0xff : 0, size);
		for (int64_t i = random_between(0, 3); i > 0; i--)
			bytes[random_between(0, (int64_t)size - 1)] = (uint8_t)random_next();
		struct slice argv[] = {S("SET"), S("k"), slice_of(bytes, size)};
		cr_assert_str_eq(runner_run_words(argv, 3), "+OK");
		for (int i = 0; i < 5; i++) {
			int64_t from = random_between(0, (int64_t)size * 8 - 1);
			expect_range(bytes, from, random_between(from, (int64_t)size * 8 - 1));
		}
	}
}

Test(bitmap, bitop)
{
	given("MSET a \\xff\\x0f b \\xf0 n 123 empty ''");
	expect("BITOP AND d a b", ":2");
	expect("GET d", "\"\\xf0\\x00\"");
	expect("BITOP or d a b", ":2");
	expect("GET d", "\"\\xff\\x0f\"");
	expect("BITOP XOR d a b absent", ":2");
	expect("GET d", "\"\\x0f\\x0f\"");
	expect("BITOP AND d a absent", ":2");
	expect("GET d", "\"\\x00\\x00\"");
	expect("BITOP NOT d a", ":2");
	expect("GET d", "\"\\x00\\xf0\"");
	expect("BITOP NOT a a", ":2");
	expect("GET a", "\"\\x00\\xf0\"");
	expect("BITOP OR d n", ":3");
	expect("GET d", "\"123\"");
	expect("BITOP OR d empty absent", ":0");
	expect("GET d", "nil");
	expect("BITOP foo d a", SYNTAX_ERROR);
	expect("BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key.");
}

Test(bitmap, bitop_forgets_the_destinations_expiry)
{
	given("SET d x PX 10");
	given("SET a y");
	given("BITOP OR d a");
	runner_wait(20);
	expect("GET d", "\"y\"");
}

Test(bitmap, bitfield_reads_and_writes)
{
	expect("BITFIELD k", "*0");
	expect("BITFIELD k GET u8 0", "*1 :0");
	expect("STRLEN k", ":0");
	expect("BITFIELD k SET u8 0 255 GET u8 0 GET i8 0 INCRBY u4 4 1", "*4 :0 :255 :-1 :0");
	expect("GET k", "\"\\xf0\"");
	expect("BITFIELD k SET i5 #3 -7 GET i5 #3 GET u5 15", "*3 :0 :-7 :25");
	expect("STRLEN k", ":3");
	expect("BITFIELD k GET u8 1000", "*1 :0");
	expect("BITFIELD_RO k GET u4 0 get u4 4", "*2 :15 :0");
	expect("BITFIELD_RO k SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand");
	expect("BITFIELD_RO k SET u8 0 a", NOT_INTEGER);
	given("SET n 123");
	expect("BITFIELD n GET u8 #1 INCRBY u8 #1 7", "*2 :50 :57");
	expect("GET n", "\"193\"");
}

Test(bitmap, bitfield_overflows_as_told)
{
	expect("BITFIELD k SET u8 0 255 INCRBY u8 0 10", "*2 :0 :9");
	expect("BITFIELD k OVERFLOW SAT INCRBY u8 0 300 INCRBY u8 0 -300", "*2 :255 :0");
	expect("BITFIELD k overflow fail INCRBY u8 0 300 INCRBY u8 0 5", "*2 nil :5");
	expect("BITFIELD k SET i8 0 200 GET i8 0", "*2 :5 :-56");
	expect("BITFIELD k OVERFLOW SAT SET i8 0 -200 GET i8 0", "*2 :-56 :-128");
	expect("BITFIELD k OVERFLOW SAT SET u8 0 -1 GET u8 0", "*2 :128 :255");
	expect("BITFIELD k OVERFLOW FAIL SET u8 0 -1 SET i8 0 128 SET i8 0 -128", "*3 nil nil :-1");
	expect("BITFIELD k SET i64 0 9223372036854775807 INCRBY i64 0 1",
	       "*2 :-9223372036854775808 :-9223372036854775808");
	expect("BITFIELD k OVERFLOW SAT INCRBY i64 0 -1 OVERFLOW WRAP INCRBY i64 0 -1",
	       "*2 :-9223372036854775808 :9223372036854775807");
	expect("BITFIELD k SET u63 1 9223372036854775807 INCRBY u63 1 1", "*2 :9223372036854775807 :0");
}

Test(bitmap, bitfield_grows_even_if_it_fails_but_changes_only_by_writing)
{
	expect("BITFIELD k OVERFLOW FAIL INCRBY u8 100 300", "*1 nil");
	expect("STRLEN k", ":14");
	(void)runner_changes();
	expect("BITFIELD k OVERFLOW FAIL INCRBY u8 100 300 GET u8 0", "*2 nil :0");
	cr_expect_eq(runner_changes(), 0u);
}

Test(bitmap, bitfield_refuses_what_makes_no_sense)
{
	expect("BITFIELD k GET u64 0", BAD_TYPE);
	expect("BITFIELD k GET i65 0", BAD_TYPE);
	expect("BITFIELD k GET u0 a", BAD_TYPE);
	expect("BITFIELD k GET u08 0", BAD_TYPE);
	expect("BITFIELD k GET U8 0", BAD_TYPE);
	expect("BITFIELD k GET '' 0", BAD_TYPE);
	expect("BITFIELD k GET u8 -1", BAD_OFFSET);
	expect("BITFIELD k GET u8 #", BAD_OFFSET);
	expect("BITFIELD k GET u8 #-1", BAD_OFFSET);
	expect("BITFIELD k GET u8 4294967296", BAD_OFFSET);
	expect("BITFIELD k GET u8 #536870912", BAD_OFFSET);
	expect("BITFIELD k GET u8 #9223372036854775807", BAD_OFFSET);
	expect("BITFIELD k SET u8 a a", BAD_OFFSET);
	expect("BITFIELD k SET u8 0 a", NOT_INTEGER);
	expect("BITFIELD k SET u8 0", SYNTAX_ERROR);
	expect("BITFIELD k GET u8", SYNTAX_ERROR);
	expect("BITFIELD k OVERFLOW", SYNTAX_ERROR);
	expect("BITFIELD k OVERFLOW foo", "-ERR Invalid OVERFLOW type specified");
	expect("BITFIELD k SET u8 0 1 foo", SYNTAX_ERROR);
	expect("STRLEN k", ":0");
}

/* A field read bit by bit. */
static int64_t read_slowly(const uint8_t *bytes, size_t size, bool is_signed, unsigned width, uint64_t at)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < width; i++, at++)
		value = value << 1 | (at / 8 < size ? bytes[at / 8] >> (7 - at % 8) & 1 : 0);
	if (is_signed && width < 64 && value >> (width - 1))
		value |= UINT64_MAX << width;
	return (int64_t)value;
}

Test(bitmap, fields_agree_with_bits_read_one_by_one)
{
	uint8_t bytes[32];
	char line[128], answer[64];
	for (int round = 0; round < 3000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)random_next();
		struct slice set[] = {S("SET"), S("k"), slice_of(bytes, sizeof(bytes))};
		(void)runner_run_words(set, 3);
		bool is_signed = random_next() % 2;
		unsigned width = (unsigned)random_between(1, is_signed ? 64 : 63);
		uint64_t at = (uint64_t)random_between(0, 32 * 8);
		long old = (long)read_slowly(bytes, sizeof(bytes), is_signed, width, at);
		long wanted = (long)random_next();
		uint8_t low[8];
		for (int i = 0; i < 8; i++)
			low[i] = (uint8_t)((uint64_t)wanted >> (56 - 8 * i));
		long wrapped = (long)read_slowly(low, 8, is_signed, width, 64 - width);
		char kind = is_signed ? 'i' : 'u';
		snprintf(line, sizeof(line), "BITFIELD k SET %c%u %lu %ld GET %c%u %lu", kind, width, (unsigned long)at,
		         wanted, kind, width, (unsigned long)at);
		snprintf(answer, sizeof(answer), "*2 :%ld :%ld", old, wrapped);
		expect(line, answer);
		/* What lies beside the field stays. */
		if (at > 0) {
			snprintf(line, sizeof(line), "GETBIT k %lu", (unsigned long)at - 1);
			snprintf(answer, sizeof(answer), ":%ld",
			         (long)read_slowly(bytes, sizeof(bytes), false, 1, at - 1));
			expect(line, answer);
		}
		snprintf(line, sizeof(line), "GETBIT k %lu", (unsigned long)at + width);
		snprintf(answer, sizeof(answer), ":%ld", (long)read_slowly(bytes, sizeof(bytes), false, 1, at + width));
		expect(line, answer);
	}
}
