/* The set group, answer by answer, but for what is random. The answers are Redis 7.0's. */
#include "tests/support/runner.h"

#include "engine/base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(set, .init = runner_start, .fini = runner_stop, .timeout = 20);

Test(set, members_are_in_once)
{
	expect("SADD s 3 1 2 1", ":3");
	expect("SADD s 1", ":0");
	expect("SMEMBERS s", "~3 \"1\" \"2\" \"3\"");
	expect("SCARD s", ":3");
	expect("TYPE s", "+set");
	expect("OBJECT ENCODING s", "\"intset\"");
	expect("SISMEMBER s 2", ":1");
	expect("SISMEMBER s 02", ":0");
	expect("SMISMEMBER s 1 4 3", "*3 :1 :0 :1");
	expect("SADD s '' x", ":2");
	expect("OBJECT ENCODING s", "\"hashtable\"");
	expect("SMISMEMBER s '' 1 2 3 x y", "*6 :1 :1 :1 :1 :1 :0");
	expect("SREM s '' 1 nobody", ":2");
	expect("SCARD s", ":3");
	expect("SREM s 2 3 x", ":3");
	expect("EXISTS s", ":0");
	expect("SREM s 2", ":0");
	expect("SMISMEMBER s a b", "*2 :0 :0");
	expect("SMEMBERS s", "~0");
	given("SET t 1");
	expect("SADD t a", WRONG_TYPE);
	expect("SREM t a", WRONG_TYPE);
	expect("SCARD t", WRONG_TYPE);
	expect("SMISMEMBER t a", WRONG_TYPE);
	expect("SMEMBERS t", WRONG_TYPE);
	expect("SPOP t", WRONG_TYPE);
	expect("SRANDMEMBER t", WRONG_TYPE);
	given("SADD s a");
	expect("GET s", WRONG_TYPE);
}

Test(set, integers_are_an_array_up_to_the_setting)
{
	char line[64];
	for (int i = 0; i < 512; i++) {
		snprintf(line, sizeof(line), "SADD s %d", i * 7919);
		expect(line, ":1");
	}
	expect("OBJECT ENCODING s", "\"intset\"");
	expect("SADD s -9223372036854775808", ":1");
	expect("OBJECT ENCODING s", "\"hashtable\"");
	expect("SCARD s", ":513");
	expect("SREM s -9223372036854775808", ":1");
	expect("OBJECT ENCODING s", "\"hashtable\"");
}

Test(set, members_move)
{
	given("SADD a 1 2 x");
	given("SADD b 2 y");
	expect("SMOVE a b 1", ":1");
	expect("SMOVE a b 1", ":0");
	expect("SMOVE a b 2", ":1");
	expect("SMOVE a a x", ":1");
	expect("SMOVE a a y", ":0");
	expect("SCARD b", ":3");
	expect("SMOVE a c x", ":1");
	expect("EXISTS a", ":0");
	expect("SMEMBERS c", "~1 \"x\"");
	expect("SMOVE absent b x", ":0");
	given("SET t 1");
	expect("SMOVE absent t x", ":0");
	expect("SMOVE c t x", WRONG_TYPE);
	expect("SMOVE t c x", WRONG_TYPE);
}

Test(set, sets_are_combined)
{
	given("SADD a 1 2 3 4 5");
	given("SADD b 2 4 6");
	given("SADD c 4");
	expect("SINTER a b", "~2 \"2\" \"4\"");
	expect("SINTER a b c", "~1 \"4\"");
	expect("SINTER a absent", "~0");
	expect("SINTER a a", "~5 \"1\" \"2\" \"3\" \"4\" \"5\"");
	expect("SUNION b c absent a", "~6 \"1\" \"2\" \"3\" \"4\" \"5\" \"6\"");
	expect("SDIFF a b c", "~3 \"1\" \"3\" \"5\"");
	expect("SDIFF a a", "~0");
	expect("SDIFF absent a", "~0");
	expect("SINTERCARD 2 a b", ":2");
	expect("SINTERCARD 2 a b LIMIT 1", ":1");
	expect("SINTERCARD 2 a b LIMIT 0", ":2");
	expect("SINTERCARD 0 a", "-ERR numkeys should be greater than 0");
	expect("SINTERCARD x a", "-ERR numkeys should be greater than 0");
	expect("SINTERCARD 2 a", "-ERR Number of keys can't be greater than number of args");
	expect("SINTERCARD 1 a LIMIT", SYNTAX_ERROR);
	expect("SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative");
	expect("SINTERCARD 1 a LIMIT x", "-ERR LIMIT can't be negative");
	given("SET t 1");
	expect("SINTER absent t", WRONG_TYPE);
	expect("SUNION a t", WRONG_TYPE);
	expect("SDIFFSTORE d t", WRONG_TYPE);
}

Test(set, combinations_are_stored)
{
	given("SADD a 1 2 x");
	given("SADD b 2 y");
	given("SET d 1");
	expect("SUNIONSTORE d a b", ":4");
	expect("SCARD d", ":4");
	expect("PEXPIRE d 1000", ":1");
	expect("SINTERSTORE d a b d", ":1");
	expect("PTTL d", ":-1");
	expect("SMEMBERS d", "~1 \"2\"");
	expect("OBJECT ENCODING d", "\"intset\"");
	expect("SDIFFSTORE a a b", ":2");
	expect("SINTERSTORE d a b", ":0");
	expect("EXISTS d", ":0");
	expect("SUNIONSTORE d absent", ":0");
}

Test(set, small_sets_are_scanned_at_once)
{
	given("SADD s 1 2 3 11");
	expect("SSCAN s 0", "*2 \"0\" *4 \"1\" \"2\" \"3\" \"11\"");
	expect("SSCAN s 0 MATCH 1* COUNT 1", "*2 \"0\" *2 \"1\" \"11\"");
	expect("SSCAN s 77 COUNT 1", "*2 \"0\" *4 \"1\" \"2\" \"3\" \"11\"");
	expect("SSCAN s x", "-ERR invalid cursor");
	expect("SSCAN s 0 COUNT 0", SYNTAX_ERROR);
	expect("SSCAN s 0 COUNT x", NOT_INTEGER);
	expect("SSCAN s 0 TYPE set", SYNTAX_ERROR);
	expect("SSCAN s 0 NOVALUES", SYNTAX_ERROR);
	expect("SSCAN absent 0 COUNT 0", "*2 \"0\" *0");
	given("SET t 1");
	expect("SSCAN t 0", WRONG_TYPE);
}

Test(set, numbers_of_random_members_are_checked)
{
	given("SADD s 1 2");
	expect("SPOP s -1", "-ERR value is out of range, must be positive");
	expect("SPOP s x", "-ERR value is out of range, must be positive");
	expect("SPOP s 1 2", SYNTAX_ERROR);
	expect("SPOP s 0", "~0");
	expect("SPOP absent", "nil");
	expect("SPOP absent 3", "~0");
	expect("SPOP s 3", "~2 \"1\" \"2\"");
	expect("EXISTS s", ":0");
	given("SADD s 1 2");
	expect("SRANDMEMBER s 2", "*2 \"1\" \"2\"");
	expect("SRANDMEMBER s 200", "*2 \"1\" \"2\"");
	expect("SRANDMEMBER s 0", "*0");
	expect("SRANDMEMBER s x", NOT_INTEGER);
	expect("SRANDMEMBER s 1 2", SYNTAX_ERROR);
	expect("SRANDMEMBER s -9223372036854775808",
	       "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
	expect("SRANDMEMBER absent", "nil");
	expect("SRANDMEMBER absent -4", "*0");
}
