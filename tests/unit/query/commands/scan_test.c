#include "engine/base/glob.h"
#include "engine/base/number.h"
#include "tests/unit/query/commands/keys_runner.h"

#include <stdio.h>
#include <stdlib.h>

static struct runner r;

static void teardown(void) { runner_fini(&r); }

TestSuite(scan, .fini = teardown, .timeout = 120);

/* ---- reading replies ---------------------------------------------------------------------- */

/* The number after a type byte; moves *at behind the line. */
static int64_t take_header(struct slice *in, char type)
{
	cr_assert(in->len > 0 && in->ptr[0] == type, "%.*s", (int)in->len, in->ptr);
	const uint8_t *end = memchr(in->ptr, '\r', in->len);
	cr_assert_not_null(end);
	size_t len = (size_t)(end - in->ptr);
	int64_t n;
	cr_assert(integer_parse(slice_sub(*in, 1, len), &n));
	*in = slice_sub(*in, len + 2, in->len);
	return n;
}

static struct slice take_bulk(struct slice *in)
{
	size_t n = (size_t)take_header(in, '$');
	struct slice bulk = slice_sub(*in, 0, n);
	*in = slice_sub(*in, n + 2, in->len);
	return bulk;
}

/* ---- keys that are numbered --------------------------------------------------------------- */

enum { KEYS_MAX = 20000 };

static uint32_t seen[KEYS_MAX];

static void set_key(uint32_t i)
{
	char text[64];
	snprintf(text, sizeof(text), "SET key:%u value", i);
	expect(&r, text, "+OK\r\n");
}

static void delete_key(uint32_t i)
{
	char text[64];
	snprintf(text, sizeof(text), "DEL key:%u", i);
	run(&r, text);
}

static void begin(uint16_t n_cores, uint32_t n_keys)
{
	runner_init(&r, n_cores);
	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < n_keys; i++)
		set_key(i);
}

static void see_names(struct slice *in)
{
	int64_t n = take_header(in, '*');
	while (n-- > 0) {
		struct slice name = take_bulk(in);
		int64_t i;
		cr_assert(integer_parse(slice_sub(name, 4, name.len), &i), "%.*s", (int)name.len, name.ptr);
		cr_assert_lt(i, KEYS_MAX);
		seen[i]++;
	}
	cr_assert_eq(in->len, 0);
}

/* One SCAN; the next cursor. */
static uint64_t scan_once(uint64_t cursor, const char *options)
{
	char text[128];
	snprintf(text, sizeof(text), "SCAN %lu%s", cursor, options);
	struct slice in = run(&r, text);
	cr_assert_eq(take_header(&in, '*'), 2);
	struct slice digits = take_bulk(&in);
	int64_t next;
	cr_assert(integer_parse(digits, &next));
	cr_assert(next >= 0 && next < 1l << 53, "a double must hold it");
	see_names(&in);
	return (uint64_t)next;
}

static uint32_t scan_all(const char *options)
{
	uint32_t calls = 0;
	uint64_t cursor = 0;
	do {
		cursor = scan_once(cursor, options);
		cr_assert(++calls < 100000);
	} while (cursor != 0);
	return calls;
}

static uint32_t count_seen(uint32_t from, uint32_t to)
{
	uint32_t n = 0;
	for (uint32_t i = from; i < to; i++)
		n += seen[i] > 0;
	return n;
}

/* ---- SCAN --------------------------------------------------------------------------------- */

static const uint16_t machines[] = {1, 2, 3};
static const char *const counts[] = {"", " COUNT 1", " COUNT 7", " COUNT 300", " COUNT 9223372036854775807"};

Test(scan, shows_every_key_once_when_nothing_changes)
{
	for (size_t m = 0; m < array_len(machines); m++) {
		for (size_t c = 0; c < array_len(counts); c++) {
			begin(machines[m], 3000);
			uint32_t calls = scan_all(counts[c]);
			for (uint32_t i = 0; i < 3000; i++)
				cr_assert_eq(seen[i], 1, "key:%u", i);
			cr_assert(c != 4 || calls == 1);
			cr_assert(c != 0 || (calls > 50 && calls <= 301), "%u calls", calls);
			if (m + 1 < array_len(machines) || c + 1 < array_len(counts))
				runner_fini(&r);
		}
	}
}

Test(scan, of_few_keys_takes_one_call)
{
	begin(3, 5);
	cr_expect_eq(scan_all(""), 1);
	cr_expect_eq(count_seen(0, 5), 5);
}

Test(scan, of_nothing_ends)
{
	begin(2, 0);
	expect(&r, "SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
	expect(&r, "KEYS *", "*0\r\n");
	expect(&r, "RANDOMKEY", "$-1\r\n");
}

/* Keys 0 .. 999 live throughout; others come and go in masses, so that tables grow, split,
 * shrink and merge between the calls. */
Test(scan, shows_what_lives_throughout_whatever_changes)
{
	srand(1);
	for (int round = 0; round < 6; round++) {
		begin(round % 3 ? 2 : 1, 1000);
		if (round % 2)
			for (uint32_t i = 1000; i < KEYS_MAX; i++)
				set_key(i);
		uint64_t cursor = 0;
		uint32_t calls = 0, come = 1000, go = 1000;
		do {
			cursor = scan_once(cursor, " COUNT 20");
			cr_assert(++calls < 5000);
			for (int i = 0; i < 300; i++) {
				if (round % 2 == 0 && come < KEYS_MAX)
					set_key(come++);
				else if (go < KEYS_MAX)
					delete_key(go++);
			}
		} while (cursor != 0);
		cr_assert_eq(count_seen(0, 1000), 1000, "round %d", round);
		if (round < 5)
			runner_fini(&r);
	}
}

Test(scan, takes_any_cursor)
{
	begin(2, 500);
	srand(2);
	for (int i = 0; i < 2000; i++) {
		uint64_t cursor = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();
		scan_once(i % 2 ? cursor : cursor >> (cursor % 64), i % 3 ? "" : " COUNT 100");
	}
	/* Any place leads to the end. */
	uint64_t cursor = 0x123456789abcdef;
	for (int calls = 0; cursor != 0; calls++) {
		cr_assert_lt(calls, 100);
		cursor = scan_once(cursor, "");
	}
}

Test(scan, filters_names_and_types)
{
	begin(2, 1200);
	scan_all(" MATCH key:1?");
	cr_expect_eq(count_seen(0, 1200), 10);
	cr_expect_eq(count_seen(10, 20), 10);
	memset(seen, 0, sizeof(seen));
	scan_all(" TYPE string COUNT 50");
	cr_expect_eq(count_seen(0, 1200), 1200);
	memset(seen, 0, sizeof(seen));
	scan_all(" TYPE STRING MATCH *:77*");
	cr_expect_eq(count_seen(0, 1200), 11);
	memset(seen, 0, sizeof(seen));
	scan_all(" TYPE list");
	cr_expect_eq(count_seen(0, 1200), 0);
}

Test(scan, hides_what_expired)
{
	begin(2, 50);
	expect(&r, "PEXPIRE key:7 10", ":1\r\n");
	r.client.now_ms += 10;
	scan_all("");
	cr_expect_eq(seen[7], 0);
	cr_expect_eq(count_seen(0, 50), 49);
}

Test(scan, stays_in_its_database)
{
	begin(2, 50);
	r.client.db = 5;
	r.client.keyspace = 5;
	scan_all("");
	cr_expect_eq(count_seen(0, 50), 0);
	expect(&r, "KEYS *", "*0\r\n");
	expect(&r, "RANDOMKEY", "$-1\r\n");
}

Test(scan, refuses_as_redis_does)
{
	begin(1, 0);
	static const char *const refused[][2] = {
	        {"SCAN x", "-ERR invalid cursor\r\n"},
	        {"SCAN x FOO", "-ERR invalid cursor\r\n"},
	        {"SCAN 0x", "-ERR invalid cursor\r\n"},
	        {"SCAN -", "-ERR invalid cursor\r\n"},
	        {"SCAN +", "-ERR invalid cursor\r\n"},
	        {"SCAN 18446744073709551616", "-ERR invalid cursor\r\n"},
	        {"SCAN 0 COUNT 0", "-ERR syntax error\r\n"},
	        {"SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n"},
	        {"SCAN 0 COUNT -5", "-ERR syntax error\r\n"},
	        {"SCAN 0 COUNT", "-ERR syntax error\r\n"},
	        {"SCAN 0 MATCH", "-ERR syntax error\r\n"},
	        {"SCAN 0 TYPE", "-ERR syntax error\r\n"},
	        {"SCAN 0 FOO", "-ERR syntax error\r\n"},
	        {"SCAN 0 FOO COUNT x", "-ERR syntax error\r\n"},
	        {"SCAN 0 COUNT 99999999999999999999", "-ERR value is not an integer or out of range\r\n"},
	        {"SCAN", "-ERR wrong number of arguments for 'scan' command\r\n"},
	        {"KEYS", "-ERR wrong number of arguments for 'keys' command\r\n"},
	        {"KEYS a b", "-ERR wrong number of arguments for 'keys' command\r\n"},
	        {"RANDOMKEY a", "-ERR wrong number of arguments for 'randomkey' command\r\n"},
	};
	for (size_t i = 0; i < array_len(refused); i++)
		expect(&r, refused[i][0], refused[i][1]);
	struct slice spaced[] = {S("SCAN"), S(" 0")};
	cr_expect(slice_equal(run_arguments(&r, spaced, 2), S("-ERR invalid cursor\r\n")));
	static const char *const taken[] = {"SCAN ", "SCAN -1", "SCAN +0", "SCAN 00", "SCAN 18446744073709551615"};
	for (size_t i = 0; i < array_len(taken); i++)
		expect(&r, taken[i], "*2\r\n$1\r\n0\r\n*0\r\n");
}

/* ---- KEYS --------------------------------------------------------------------------------- */

static void see_keys(const char *pattern)
{
	char text[64];
	memset(seen, 0, sizeof(seen));
	snprintf(text, sizeof(text), "KEYS %s", pattern);
	struct slice in = run(&r, text);
	see_names(&in);
}

Test(scan, keys_shows_each_that_fits_once)
{
	static const char *const patterns[] = {"*",           "key:*", "*7",     "key:1?3",
	                                       "key:[0-4]*5", "no*",   "key:12", "k*:*[^3]"};
	begin(3, 5000);
	for (size_t p = 0; p < array_len(patterns); p++) {
		see_keys(patterns[p]);
		for (uint32_t i = 0; i < 5000; i++) {
			char name[32];
			snprintf(name, sizeof(name), "key:%u", i);
			bool fits = glob_fits(slice_from_str(patterns[p]), slice_from_str(name));
			cr_assert_eq(seen[i], fits, "%s on %s", patterns[p], name);
		}
	}
}

/* Names so long that a visit runs out of steps: the fiber decides the rest. */
Test(scan, decides_long_names_at_home)
{
	enum { LONG = 3000, N = 64 };
	runner_init(&r, 2);
	static char name[LONG];
	memset(name, 'a', LONG);
	for (int i = 0; i < N; i++) {
		memcpy(name, i % 4 ? "x" : "y", 1);
		snprintf(name + LONG - 8, 8, "%07d", i);
		struct slice argv[] = {S("SET"), slice_of(name, LONG - 1), S("v")};
		run_arguments(&r, argv, 3);
	}
	struct slice in = run(&r, "KEYS *y*aaa*aab*");
	cr_expect_eq(take_header(&in, '*'), 0);
	in = run(&r, "KEYS y*a0*aa*");
	cr_expect_eq(take_header(&in, '*'), 0);
	in = run(&r, "KEYS y*aaaaaaaaaaaaaaaa0*?");
	cr_expect_eq(take_header(&in, '*'), N / 4);
	struct slice first = take_bulk(&in);
	cr_expect_eq(first.len, LONG - 1);
	cr_expect_eq(first.ptr[0], 'y');
}

/* ---- RANDOMKEY ---------------------------------------------------------------------------- */

Test(scan, randomkey_finds_them_all)
{
	begin(3, 60);
	for (int i = 0; i < 6000; i++) {
		struct slice in = run(&r, "RANDOMKEY"), name = take_bulk(&in);
		int64_t nth;
		cr_assert(integer_parse(slice_sub(name, 4, name.len), &nth));
		seen[nth]++;
	}
	/* Each comes 100 times on average. */
	for (int i = 0; i < 60; i++)
		cr_expect(seen[i] >= 10 && seen[i] <= 500, "key:%d came %u times", i, seen[i]);
}

Test(scan, randomkey_finds_nothing_expired)
{
	begin(2, 20);
	for (int i = 1; i < 20; i++) {
		char text[64];
		snprintf(text, sizeof(text), "PEXPIRE key:%d 5", i);
		expect(&r, text, ":1\r\n");
	}
	r.client.now_ms += 5;
	int found = 0;
	for (int i = 0; i < 100; i++) {
		struct slice said = run(&r, "RANDOMKEY");
		found += slice_equal(said, S("$5\r\nkey:0\r\n"));
		cr_assert(slice_equal(said, S("$5\r\nkey:0\r\n")) || slice_equal(said, S("$-1\r\n")));
	}
	cr_expect_gt(found, 0);
}
