/* The list group, answer by answer. The answers are Redis 7.0's. */
#include "tests/support/runner.h"

#include "engine/base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define NOT_POSITIVE "-ERR value is out of range, must be positive"

TestSuite(list, .init = runner_start, .fini = runner_stop, .timeout = 20);

Test(list, grows_at_both_ends)
{
	expect("RPUSH l b c", ":2");
	expect("LPUSH l a 0", ":4");
	expect("LRANGE l 0 -1", "*4 \"0\" \"a\" \"b\" \"c\"");
	expect("LLEN l", ":4");
	expect("TYPE l", "+list");
	expect("OBJECT ENCODING l", "\"quicklist\"");
	expect("LPUSHX l x", ":5");
	expect("RPUSHX l y z", ":7");
	expect("LPUSHX absent x", ":0");
	expect("RPUSHX absent x", ":0");
	expect("EXISTS absent", ":0");
	expect("LLEN absent", ":0");
	given("SET s 1");
	expect("LPUSH s a", WRONG_TYPE);
	expect("RPUSHX s a", WRONG_TYPE);
	expect("LLEN s", WRONG_TYPE);
	expect("GET l", WRONG_TYPE);
	expect("APPEND l x", WRONG_TYPE);
}

Test(list, is_popped_from_both_ends)
{
	given("RPUSH l a b c d e");
	expect("LPOP l", "\"a\"");
	expect("RPOP l", "\"e\"");
	expect("LPOP l 0", "*0");
	expect("RPOP l 2", "*2 \"d\" \"c\"");
	expect("LPOP l 10", "*1 \"b\"");
	expect("EXISTS l", ":0");
	expect("LPOP l", "nil");
	expect("LPOP l 0", "nil*");
	expect("RPOP l 5", "nil*");
	given("RPUSH l a");
	expect("LPOP l -1", NOT_POSITIVE);
	expect("LPOP l x", NOT_POSITIVE);
	expect("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command");
	expect("RPOP l 1 2", "-ERR wrong number of arguments for 'rpop' command");
	given("SET s 1");
	expect("LPOP s", WRONG_TYPE);
	expect("LPOP s 0", WRONG_TYPE);
}

Test(list, is_popped_at_once_or_not_at_all_where_nobody_may_wait)
{
	given("RPUSH l a b c d e f");
	expect("BLPOP absent l 0", "*2 \"l\" \"a\"");
	expect("BRPOP l 1.5", "*2 \"l\" \"f\"");
	expect("BLMPOP 0 2 absent l RIGHT COUNT 2", "*2 \"l\" *2 \"e\" \"d\"");
	expect("BLMOVE l m LEFT RIGHT 0", "\"b\"");
	expect("BRPOPLPUSH l m 0", "\"c\"");
	expect("LRANGE m 0 -1", "*2 \"c\" \"b\"");
	expect("BLPOP l absent 0", "nil*");
	expect("BLMPOP 0 1 l LEFT", "nil*");
	expect("BLMOVE l m LEFT RIGHT 0", "nil");
	expect("BRPOPLPUSH l m 0", "nil");
	expect("BLPOP l x", "-ERR timeout is not a float or out of range");
	expect("BLPOP l -1", "-ERR timeout is negative");
	given("SET s 1");
	expect("BLPOP l s 0", WRONG_TYPE);
	expect("BLMOVE s m LEFT LEFT 0", WRONG_TYPE);
	expect("BLMOVE m s LEFT LEFT 0", WRONG_TYPE);
}

Test(list, ranges_are_cut_to_what_is_there)
{
	given("RPUSH l 0 1 2 3 4");
	expect("LRANGE l 1 2", "*2 \"1\" \"2\"");
	expect("LRANGE l -2 -1", "*2 \"3\" \"4\"");
	expect("LRANGE l -100 1", "*2 \"0\" \"1\"");
	expect("LRANGE l 3 100", "*2 \"3\" \"4\"");
	expect("LRANGE l 3 1", "*0");
	expect("LRANGE l 5 6", "*0");
	expect("LRANGE l 0 -9", "*0");
	expect("LRANGE l -9223372036854775808 9223372036854775807", "*5 \"0\" \"1\" \"2\" \"3\" \"4\"");
	expect("LRANGE absent 0 -1", "*0");
	expect("LRANGE absent a b", NOT_INTEGER);
	expect("LTRIM l 1 -2", "+OK");
	expect("LRANGE l 0 -1", "*3 \"1\" \"2\" \"3\"");
	expect("LTRIM l 0 -1", "+OK");
	expect("LLEN l", ":3");
	expect("LTRIM l 2 1", "+OK");
	expect("EXISTS l", ":0");
	expect("LTRIM l 0 1", "+OK");
	expect("LTRIM l 0 x", NOT_INTEGER);
}

Test(list, elements_have_places)
{
	given("RPUSH l a b c");
	expect("LINDEX l 0", "\"a\"");
	expect("LINDEX l -1", "\"c\"");
	expect("LINDEX l 3", "nil");
	expect("LINDEX l -4", "nil");
	expect("LINDEX l x", NOT_INTEGER);
	expect("LINDEX absent x", "nil");
	expect("LSET l 1 B", "+OK");
	expect("LSET l -1 12345678901234567890", "+OK");
	expect("LSET l 3 x", "-ERR index out of range");
	expect("LSET l x y", NOT_INTEGER);
	expect("LSET absent x y", "-ERR no such key");
	expect("LRANGE l 0 -1", "*3 \"a\" \"B\" \"12345678901234567890\"");
}

Test(list, elements_are_inserted_beside_others)
{
	given("RPUSH l a c a");
	expect("LINSERT l BEFORE c b", ":4");
	expect("LINSERT l after a A", ":5");
	expect("LRANGE l 0 -1", "*5 \"a\" \"A\" \"b\" \"c\" \"a\"");
	expect("LINSERT l BEFORE x y", ":-1");
	expect("LINSERT absent BEFORE x y", ":0");
	expect("LINSERT l BESIDE x y", SYNTAX_ERROR);
	expect("LINSERT absent BESIDE x y", SYNTAX_ERROR);
	expect("LLEN l", ":5");
}

Test(list, elements_are_removed_by_value)
{
	given("RPUSH l a b a 7 a 07 7");
	expect("LREM l 1 a", ":1");
	expect("LREM l -1 a", ":1");
	expect("LRANGE l 0 -1", "*5 \"b\" \"a\" \"7\" \"07\" \"7\"");
	expect("LREM l 0 7", ":2");
	expect("LREM l 0 x", ":0");
	expect("LREM l x a", NOT_INTEGER);
	expect("LREM absent 0 a", ":0");
	expect("LREM l 5 b", ":1");
	expect("LREM l -5 07", ":1");
	expect("LREM l 0 a", ":1");
	expect("EXISTS l", ":0");
}

Test(list, elements_are_found)
{
	given("RPUSH l a b c d 1 2 3 4 3 3 3");
	expect("LPOS l 3", ":6");
	expect("LPOS l 3 RANK -1", ":10");
	expect("LPOS l 3 RANK 2", ":8");
	expect("LPOS l 3 RANK 5", "nil");
	expect("LPOS l 3 COUNT 2", "*2 :6 :8");
	expect("LPOS l 3 COUNT 0 RANK 3", "*2 :9 :10");
	expect("LPOS l 3 RANK -2 COUNT 0", "*3 :9 :8 :6");
	expect("LPOS l 3 COUNT 0 MAXLEN 9", "*2 :6 :8");
	expect("LPOS l a MAXLEN 0", ":0");
	expect("LPOS l x COUNT 0", "*0");
	expect("LPOS l x", "nil");
	expect("LPOS absent x", "nil");
	expect("LPOS absent x COUNT 1", "*0");
	expect("LPOS l 3 RANK 0",
	       "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to "
	       "start from the end of the list");
	expect("LPOS l 3 COUNT -1", "-ERR COUNT can't be negative");
	expect("LPOS l 3 MAXLEN x", "-ERR MAXLEN can't be negative");
	expect("LPOS l 3 RANK x", NOT_INTEGER);
	expect("LPOS l 3 RANK", SYNTAX_ERROR);
	expect("LPOS l 3 BEST 1", SYNTAX_ERROR);
}

Test(list, elements_move_between_lists)
{
	given("RPUSH a 1 2 3");
	expect("LMOVE a b LEFT RIGHT", "\"1\"");
	expect("LMOVE a b right left", "\"3\"");
	expect("RPOPLPUSH a b", "\"2\"");
	expect("EXISTS a", ":0");
	expect("LRANGE b 0 -1", "*3 \"2\" \"3\" \"1\"");
	expect("LMOVE a b LEFT LEFT", "nil");
	expect("LMOVE a b UP LEFT", SYNTAX_ERROR);
	given("SET s 1");
	expect("LMOVE s b LEFT LEFT", WRONG_TYPE);
	expect("LMOVE b s LEFT LEFT", WRONG_TYPE);
	expect("RPOPLPUSH absent s", "nil");
	expect("LLEN b", ":3");
}

Test(list, a_list_is_turned_in_itself)
{
	given("RPUSH l 1 2 3");
	expect("RPOPLPUSH l l", "\"3\"");
	expect("LRANGE l 0 -1", "*3 \"3\" \"1\" \"2\"");
	expect("LMOVE l l LEFT RIGHT", "\"3\"");
	expect("LMOVE l l LEFT LEFT", "\"1\"");
	expect("LMOVE l l RIGHT RIGHT", "\"3\"");
	expect("LRANGE l 0 -1", "*3 \"1\" \"2\" \"3\"");
	given("RPUSH one x");
	expect("LMOVE one one RIGHT LEFT", "\"x\"");
	expect("LMOVE one one LEFT LEFT", "\"x\"");
	expect("LRANGE one 0 -1", "*1 \"x\"");
}

Test(list, the_first_list_of_several_is_popped)
{
	given("RPUSH b 1 2 3");
	given("RPUSH c 4");
	expect("LMPOP 3 a b c LEFT", "*2 \"b\" *1 \"1\"");
	expect("LMPOP 3 a b c RIGHT COUNT 9", "*2 \"b\" *2 \"3\" \"2\"");
	expect("LMPOP 3 a b c RIGHT COUNT 9", "*2 \"c\" *1 \"4\"");
	expect("LMPOP 3 a b c LEFT", "nil*");
	expect("LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0");
	expect("LMPOP x a LEFT", "-ERR numkeys should be greater than 0");
	expect("LMPOP 9 a LEFT", SYNTAX_ERROR);
	expect("LMPOP 1 a UP", SYNTAX_ERROR);
	expect("LMPOP 1 a LEFT COUNT 0", "-ERR count should be greater than 0");
	expect("LMPOP 1 a LEFT COUNT", SYNTAX_ERROR);
	expect("LMPOP 1 a LEFT COUNT 1 COUNT 1", SYNTAX_ERROR);
	given("SET a 1");
	expect("LMPOP 2 c a LEFT", WRONG_TYPE);
}

/* As far as a list of many blocks is concerned; what it holds is compared in the keyspace's own tests. */
Test(list, a_large_list_is_a_list)
{
	char line[64], answer[64];
	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof(line), "RPUSH l element:%d", i);
		given(line);
	}
	expect("LLEN l", ":20000");
	for (int i = 0; i < 20000; i += 997) {
		snprintf(line, sizeof(line), "LINDEX l %d", i - (i % 2 ? 20000 : 0));
		snprintf(answer, sizeof(answer), "\"element:%d\"", i);
		expect(line, answer);
	}
	expect("LPOS l element:19999", ":19999");
	expect("LINSERT l BEFORE element:10000 x", ":20001");
	expect("LINDEX l 10000", "\"x\"");
	expect("COPY l m", ":1");
	expect("LREM l 0 x", ":1");
	expect("LTRIM l 100 19899", "+OK");
	expect("LLEN l", ":19800");
	expect("LLEN m", ":20001");
	expect("RENAME m l", "+OK");
	expect("LINDEX l -1", "\"element:19999\"");
	expect("DEL l", ":1");
}

Test(list, expires_and_persists)
{
	given("RPUSH l a b");
	expect("PEXPIRE l 100", ":1");
	expect("LPUSH l c", ":3");
	expect("PTTL l", ":100");
	runner_wait(100);
	expect("LLEN l", ":0");
	expect("RPUSH l d", ":1");
	expect("PTTL l", ":-1");
}

/* ---- SORT ------------------------------------------------------------------------------ */

Test(list, elements_are_sorted)
{
	given("RPUSH l 3 -1 10 2.5 2.50 1e1");
	expect("SORT l", "*6 \"-1\" \"2.5\" \"2.50\" \"3\" \"10\" \"1e1\"");
	expect("SORT l DESC LIMIT 0 2", "*2 \"1e1\" \"10\"");
	expect("SORT l LIMIT -5 2", "*2 \"-1\" \"2.5\"");
	expect("SORT l LIMIT 5 100", "*1 \"1e1\"");
	expect("SORT l LIMIT 6 1", "*0");
	expect("SORT l LIMIT 2 0", "*0");
	expect("SORT l ALPHA", "*6 \"-1\" \"10\" \"1e1\" \"2.5\" \"2.50\" \"3\"");
	expect("SORT l BY nosort DESC LIMIT 0 3", "*3 \"1e1\" \"2.50\" \"2.5\"");
	expect("SORT_RO l LIMIT 0 1", "*1 \"-1\"");
	expect("SORT_RO l STORE x", SYNTAX_ERROR);
	given("RPUSH l text");
	expect("SORT l", "-ERR One or more scores can't be converted into double");
	expect("SORT l STORE x", "-ERR One or more scores can't be converted into double");
	given("HSET h a 1");
	expect("SORT h", WRONG_TYPE);
	given("ZADD z 1 b 2 a");
	expect("SORT z ALPHA", "*2 \"a\" \"b\"");
	expect("SORT z BY nosort", "*2 \"b\" \"a\"");
	given("SADD s b a c");
	expect("SORT s ALPHA DESC", "*3 \"c\" \"b\" \"a\"");
	expect("SORT s BY nosort STORE x", ":3");
	expect("LRANGE x 0 -1", "*3 \"a\" \"b\" \"c\"");
	expect("SORT absent STORE x", ":0");
	expect("EXISTS x", ":0");
}

Test(list, elements_are_sorted_by_what_other_keys_say)
{
	given("RPUSH l 1 2 3");
	given("MSET w1 30 w2 10 w3 20 n1 one n3 three");
	given("HSET h1 weight 5 name uno");
	given("HSET h2 weight 7");
	expect("SORT l BY w*", "*3 \"2\" \"3\" \"1\"");
	expect("SORT l BY w* GET n* GET # GET h*->name", "*9 nil \"2\" nil \"three\" \"3\" nil \"one\" \"1\" \"uno\"");
	expect("SORT l BY h*->weight DESC", "*3 \"2\" \"1\" \"3\"");
	expect("SORT l BY n* ALPHA", "*3 \"2\" \"1\" \"3\"");
	expect("SORT l BY n*", "-ERR One or more scores can't be converted into double");
	expect("SORT l GET fixed GET l* GET *-> GET *->x", "*12 nil nil nil nil nil nil nil nil nil nil nil nil");
	expect("SORT l BY w* GET n* STORE l", ":3");
	expect("LRANGE l 0 -1", "*3 \"\" \"three\" \"one\"");
}
