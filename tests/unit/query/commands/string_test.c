/* The string group, answer by answer. The answers are Redis 7.0's. */
#include "engine/core/core.h"
#include "engine/placement/placement.h"
#include "query/commands/reply.h"
#include "tests/support/runner.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define TOO_LONG         "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define BAD_EXPIRY(name) "-ERR invalid expire time in '" name "' command"

TestSuite(string, .init = runner_start, .fini = runner_stop, .timeout = 20);

static int64_t expiry_of(const char *name)
{
	struct slice slice = slice_from_str(name);
	struct shard *shard = runner_shard();
	struct key key = {.name = slice, .hash = key_hash(shard->hash_seed, slice), .slot = slot_of(slice)};
	struct object *object = keyspace_find(shard, &key, FIND_QUIET);
	cr_assert_not_null(object, "%s is absent", name);
	return object_expires_ms(object);
}

Test(string, set_and_get)
{
	expect("GET k", "nil");
	expect("SET k v", "+OK");
	expect("GET k", "\"v\"");
	expect("SET k ''", "+OK");
	expect("GET k", "\"\"");
	expect("SET k \\x00\\xff", "+OK");
	expect("GET k", "\"\\x00\\xff\"");
	expect("SET '' nameless", "+OK");
	expect("GET ''", "\"nameless\"");
}

Test(string, set_keeps_to_its_conditions)
{
	expect("SET k 1 XX", "nil");
	expect("SET k 1 nx", "+OK");
	expect("SET k 2 NX", "nil");
	expect("GET k", "\"1\"");
	expect("SET k 3 xx", "+OK");
	expect("SET k 4 NX NX", "nil");
	expect("SET k 4 NX XX", SYNTAX_ERROR);
	expect("GET k", "\"3\"");
}

Test(string, set_answers_the_old_value)
{
	expect("SET k 1 GET", "nil");
	expect("SET k 2 GET", "\"1\"");
	expect("SET k 3 NX GET", "\"2\"");
	expect("GET k", "\"2\"");
	expect("SET other 1 NX GET", "nil");
	expect("GET other", "\"1\"");
	expect("SET absent 1 XX GET", "nil");
	expect("GET absent", "nil");
}

Test(string, set_takes_an_expiry_in_four_forms)
{
	given("SET k v EX 10");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 10000);
	given("SET k v px 10");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 10);
	given("SET k v EXAT 2000");
	cr_expect_eq(expiry_of("k"), 2000000);
	given("SET k v PXAT 2000001");
	cr_expect_eq(expiry_of("k"), 2000001);
	given("SET k v EX 1 EX 2");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 2000);
	given("SET k w KEEPTTL");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 2000);
	given("SET k v");
	cr_expect_eq(expiry_of("k"), EXPIRES_NEVER);
}

Test(string, set_refuses_what_makes_no_sense)
{
	expect("SET k v EX", SYNTAX_ERROR);
	expect("SET k v foo", SYNTAX_ERROR);
	expect("SET k v PERSIST", SYNTAX_ERROR);
	expect("SET k v EX 10 KEEPTTL", SYNTAX_ERROR);
	expect("SET k v KEEPTTL PX 10", SYNTAX_ERROR);
	expect("SET k v EX 10 PX 10", SYNTAX_ERROR);
	expect("SET k v EX abc foo", SYNTAX_ERROR);
	expect("SET k v EX abc", NOT_INTEGER);
	expect("SET k v EX 0", BAD_EXPIRY("set"));
	expect("SET k v PX -1", BAD_EXPIRY("set"));
	expect("SET k v EX 9223372036854775807", BAD_EXPIRY("set"));
	expect("SET k v PX 9223372036854775807", BAD_EXPIRY("set"));
	expect("SET k v EXAT 9223372036854775808", NOT_INTEGER);
	expect("SET k v EXAT 9223372036854776", BAD_EXPIRY("set"));
	expect("GET k", "nil");
	expect("SET k v EXAT 9223372036854775", "+OK");
	expect("SET k v PXAT 9223372036854775807", "+OK");
	expect("GET k", "\"v\"");
}

Test(string, set_in_the_past_deletes)
{
	given("SET k v");
	expect("SET k w PXAT 999999 GET", "\"v\"");
	expect("GET k", "nil");
	expect("SET k w EXAT 1", "+OK");
	cr_expect_eq(keyspace_count(runner_shard(), 0), 0u);
	expect("SETNX k 1", ":1");
}

Test(string, expired_keys_are_absent)
{
	given("SET k v PX 10");
	runner_wait(9);
	expect("GET k", "\"v\"");
	runner_wait(1);
	expect("GET k", "nil");
	given("SET k v PX 10");
	runner_wait(10);
	expect("APPEND k w", ":1");
	expect("SETNX k v", ":0");
}

Test(string, setnx_setex_psetex)
{
	expect("SETNX k 1", ":1");
	expect("SETNX k 2", ":0");
	expect("GET k", "\"1\"");
	expect("SETEX k 5 v", "+OK");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 5000);
	expect("PSETEX k 5 v", "+OK");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 5);
	expect("SETEX k 0 v", BAD_EXPIRY("setex"));
	expect("SETEX k abc v", NOT_INTEGER);
	expect("PSETEX k -1 v", BAD_EXPIRY("psetex"));
	expect("SETEX k 9223372036854775807 v", BAD_EXPIRY("setex"));
}

Test(string, getset_and_getdel)
{
	expect("GETSET k 1", "nil");
	given("SET k 1 EX 10");
	expect("GETSET k 2", "\"1\"");
	cr_expect_eq(expiry_of("k"), EXPIRES_NEVER);
	expect("GETDEL k", "\"2\"");
	expect("GETDEL k", "nil");
	expect("GET k", "nil");
}

Test(string, getex_changes_the_expiry_alone)
{
	expect("GETEX k EX abc", "nil");
	expect("GETEX k foo", SYNTAX_ERROR);
	given("SET k v");
	expect("GETEX k", "\"v\"");
	expect("GETEX k EX 10", "\"v\"");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 10000);
	(void)runner_changes();
	expect("GETEX k", "\"v\"");
	cr_expect_eq(runner_changes(), 0u);
	expect("GETEX k PERSIST", "\"v\"");
	cr_expect_eq(expiry_of("k"), EXPIRES_NEVER);
	(void)runner_changes();
	expect("GETEX k PERSIST", "\"v\"");
	cr_expect_eq(runner_changes(), 0u, "nothing to persist");
	expect("GETEX k PXAT 2000000", "\"v\"");
	cr_expect_eq(expiry_of("k"), 2000000);
	expect("GETEX k PX abc", NOT_INTEGER);
	expect("GETEX k EX 0", BAD_EXPIRY("getex"));
	expect("GETEX k PERSIST EX 1", SYNTAX_ERROR);
	expect("GETEX k EX 1 PERSIST", SYNTAX_ERROR);
	expect("GETEX k KEEPTTL", SYNTAX_ERROR);
	expect("GETEX k NX", SYNTAX_ERROR);
	expect("GETEX k EXAT 1", "\"v\"");
	expect("GET k", "nil");
}

Test(string, strlen_and_append)
{
	expect("STRLEN k", ":0");
	expect("APPEND k 12", ":2");
	expect("APPEND k ''", ":2");
	expect("INCR k", ":13");
	expect("APPEND k 4x", ":4");
	expect("GET k", "\"134x\"");
	expect("STRLEN k", ":4");
	expect("APPEND empty ''", ":0");
	expect("GET empty", "\"\"");
	given("SET k v EX 10");
	given("APPEND k w");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 10000);
}

Test(string, append_grows_a_value_past_every_size)
{
	static const char piece[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	struct slice argv[] = {S("APPEND"), S("k"), slice_from_str(piece)};
	for (int i = 1; i <= 2000; i++) {
		char answer[32];
		snprintf(answer, sizeof(answer), ":%d", i * 36);
		cr_assert_str_eq(runner_run_words(argv, 3), answer);
	}
	expect("GETRANGE k 35999 36036", "\"z0123456789abcdefghijklmnopqrstuvwxyz0\"");
	expect("GETRANGE k -3 -1", "\"xyz\"");
}

Test(string, getrange)
{
	given("SET k hello");
	expect("GETRANGE k 0 -1", "\"hello\"");
	expect("GETRANGE k -3 -2", "\"ll\"");
	expect("GETRANGE k 3 1", "\"\"");
	expect("GETRANGE k -1 -3", "\"\"");
	expect("GETRANGE k 0 -100", "\"h\"");
	expect("GETRANGE k 1 -100", "\"\"");
	expect("GETRANGE k 5 10", "\"\"");
	expect("GETRANGE k 4 10", "\"o\"");
	expect("GETRANGE k 4 5", "\"o\"");
	expect("GETRANGE k -9223372036854775808 9223372036854775807", "\"hello\"");
	expect("GETRANGE k a 1", NOT_INTEGER);
	expect("GETRANGE absent 0 b", NOT_INTEGER);
	expect("GETRANGE absent 0 1", "\"\"");
	expect("SUBSTR k 1 2", "\"el\"");
	given("SET n 12345");
	expect("GETRANGE n 1 2", "\"23\"");
}

Test(string, setrange)
{
	expect("SETRANGE k 0 ''", ":0");
	expect("GET k", "nil");
	expect("SETRANGE k 3 xy", ":5");
	expect("GET k", "\"\\x00\\x00\\x00xy\"");
	expect("SETRANGE k 0 abc", ":5");
	expect("SETRANGE k 1 BC", ":5");
	expect("GET k", "\"aBCxy\"");
	expect("SETRANGE k 0 ''", ":5");
	expect("SETRANGE k -1 x", "-ERR offset is out of range");
	expect("SETRANGE k a x", NOT_INTEGER);
	expect("SETRANGE k 536870912 ''", ":5");
	expect("SETRANGE k 536870912 x", TOO_LONG);
	expect("SETRANGE k 536870911 xy", TOO_LONG);
	expect("SETRANGE k 9223372036854775807 x", TOO_LONG);
	given("SET n 12345");
	expect("SETRANGE n 1 x", ":5");
	expect("GET n", "\"1x345\"");
	given("SET e v EX 10");
	given("SETRANGE e 1 w");
	cr_expect_eq(expiry_of("e"), RUNNER_START_MS + 10000);
}

Test(string, grows_to_its_bound_and_no_further)
{
	expect("SETRANGE k 536870911 x", ":536870912");
	expect("APPEND k ''", ":536870912");
	expect("APPEND k y", TOO_LONG);
	expect("GETRANGE k -2 -1", "\"\\x00x\"");
}

Test(string, incr_and_decr)
{
	expect("INCR k", ":1");
	expect("INCRBY k 41", ":42");
	expect("DECR k", ":41");
	expect("DECRBY k 50", ":-9");
	expect("DECRBY absent 5", ":-5");
	expect("GET k", "\"-9\"");
	expect("INCRBY k abc", NOT_INTEGER);
	expect("INCRBY k 1.5", NOT_INTEGER);
	expect("DECRBY k ' 1'", NOT_INTEGER);
	given("SET k v EX 10");
	expect("INCR k", NOT_INTEGER);
	given("SET k 1 EX 10");
	given("INCR k");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 10000);
}

Test(string, numbers_have_one_form)
{
	given("SET k 007");
	expect("INCR k", NOT_INTEGER);
	expect("GET k", "\"007\"");
	given("SET k ' 7'");
	expect("INCR k", NOT_INTEGER);
	given("SET k +7");
	expect("INCR k", NOT_INTEGER);
	given("SET k -0");
	expect("INCR k", NOT_INTEGER);
	given("SET k ''");
	expect("INCR k", NOT_INTEGER);
}

Test(string, integers_do_not_wrap)
{
	given("SET k 9223372036854775807");
	expect("INCR k", "-ERR increment or decrement would overflow");
	expect("GET k", "\"9223372036854775807\"");
	given("SET k -9223372036854775807");
	expect("DECR k", ":-9223372036854775808");
	expect("DECR k", "-ERR increment or decrement would overflow");
	expect("DECRBY k -9223372036854775808", "-ERR decrement would overflow");
	expect("DECRBY k 9223372036854775807", "-ERR increment or decrement would overflow");
	given("SET k 9223372036854775808");
	expect("DECR k", NOT_INTEGER);
}

Test(string, incrbyfloat)
{
	expect("INCRBYFLOAT k 10.50", "\"10.5\"");
	expect("INCRBYFLOAT k 0.1", "\"10.6\"");
	expect("INCRBYFLOAT k -5", "\"5.6\"");
	given("SET k 3.0e3");
	expect("INCRBYFLOAT k 200", "\"3200\"");
	expect("INCR k", ":3201");
	expect("INCRBYFLOAT k abc", "-ERR value is not a valid float");
	expect("INCRBYFLOAT k nan", "-ERR value is not a valid float");
	expect("INCRBYFLOAT k inf", "-ERR increment would produce NaN or Infinity");
	given("SET k inf");
	expect("INCRBYFLOAT k -inf", "-ERR increment would produce NaN or Infinity");
	given("SET k v");
	expect("INCRBYFLOAT k abc", "-ERR value is not a valid float");
	given("SET k 0 EX 10");
	expect("INCRBYFLOAT k -1e-30", "\"0\"");
	cr_expect_eq(expiry_of("k"), RUNNER_START_MS + 10000);
}

Test(string, mset_mget_msetnx)
{
	expect("MSET a 1 b 2 a 3", "+OK");
	expect("MGET a absent b", "*3 \"3\" nil \"2\"");
	expect("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command");
	expect("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command");
	expect("MSETNX c 1 b 1", ":0");
	expect("GET c", "nil");
	expect("MSETNX c 1 c 2", ":1");
	expect("GET c", "\"2\"");
	given("SET a 1 EX 10");
	given("MSET a 2");
	cr_expect_eq(expiry_of("a"), EXPIRES_NEVER);
}

Test(string, mset_and_mget_of_more_keys_than_are_asked_for_at_once)
{
	struct slice argv[101] = {S("MSET")};
	char names[50][8];
	for (size_t i = 0; i < 50; i++) {
		snprintf(names[i], sizeof(names[i]), "key%zu", i);
		argv[1 + 2 * i] = argv[2 + 2 * i] = slice_from_str(names[i]);
	}
	cr_expect_str_eq(runner_run_words(argv, 101), "+OK");
	char answer[1024] = "*50";
	for (size_t i = 0; i < 50; i++) {
		argv[1 + i] = slice_from_str(names[i]);
		snprintf(answer + strlen(answer), sizeof(answer) - strlen(answer), " \"%s\"", names[i]);
	}
	argv[0] = S("MGET");
	cr_expect_str_eq(runner_run_words(argv, 51), answer);
}

Test(string, lcs)
{
	given("MSET a ohmytext b mynewtext n 12345 m 345");
	expect("LCS a b", "\"mytext\"");
	expect("LCS a b LEN", ":6");
	expect("LCS n m", "\"345\"");
	expect("LCS a absent", "\"\"");
	expect("LCS a b IDX", "%2 \"matches\" *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 \"len\" :6");
	expect("LCS a b IDX MINMATCHLEN 4", "%2 \"matches\" *1 *2 *2 :4 :7 *2 :5 :8 \"len\" :6");
	expect("LCS a b idx withmatchlen minmatchlen 3", "%2 \"matches\" *1 *3 *2 :4 :7 *2 :5 :8 :4 \"len\" :6");
	expect("LCS a absent IDX", "%2 \"matches\" *0 \"len\" :0");
	expect("LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX.");
	expect("LCS a b MINMATCHLEN", SYNTAX_ERROR);
	expect("LCS a b MINMATCHLEN x", NOT_INTEGER);
	expect("LCS a b foo", SYNTAX_ERROR);
}

Test(string, lcs_bounds_its_work)
{
	given("SETRANGE a 20000 x");
	given("SETRANGE b 20000 x");
	expect("LCS a b LEN", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
}

/* Runs a line on a shard that has a core; how many loans it makes. */
static size_t count_loans(struct core *core, struct buf *loans, const char *line)
{
	loans->len = 0;
	runner_shard()->core = core;
	runner_lend(loans);
	given(line);
	runner_lend(NULL);
	runner_shard()->core = NULL;
	return loans->len / sizeof(struct loan);
}

Test(string, lends_large_values_of_shards_that_stay)
{
	struct core core = {.id = 3};
	struct buf loans = {0};
	given("SETRANGE large 20000 x");
	given("SETRANGE small 2000 x");
	cr_expect_eq(count_loans(&core, &loans, "GET small"), 0u);
	cr_expect_eq(count_loans(&core, &loans, "GETRANGE large 0 100"), 0u);
	cr_expect_eq(count_loans(NULL, &loans, "GET large"), 0u);
	cr_assert_eq(count_loans(&core, &loans, "GETRANGE large 1 -1"), 1u);
	struct loan loan = *(struct loan *)loans.ptr;
	cr_expect_eq(loan.core, 3u);
	cr_expect_eq(loan.bytes.len, 20000u);
	given("SETRANGE large 20000 y");
	given("GETDEL large");
	cr_expect_eq(loan.bytes.ptr[loan.bytes.len - 1], 'x', "what is lent stays");
	object_return(runner_shard(), loan.object);
	buf_fini(&loans);
}

Test(string, reads_count_as_hits_and_misses_even_untouched)
{
	struct shard_counters *counters = &runner_shard()->counters;
	given("SET k v");
	uint64_t hits = counters->hits, misses = counters->misses;
	given("GET k");
	given("GET absent");
	runner_set_no_touch(true);
	expect("GET k", "\"v\"");
	given("GET absent");
	cr_expect_eq(counters->hits - hits, 2u);
	cr_expect_eq(counters->misses - misses, 2u);
}
