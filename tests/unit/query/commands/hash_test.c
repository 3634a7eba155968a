/* The hash group, answer by answer, but for what is random. The answers are Redis 7.0's. */
#include "tests/support/runner.h"

#include "engine/base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(hash, .init = runner_start, .fini = runner_stop, .timeout = 20);

Test(hash, fields_have_values)
{
	expect("HSET h a 1 b two c 3", ":3");
	expect("HSET h a 10 d 4", ":1");
	expect("HGET h a", "\"10\"");
	expect("HGET h x", "nil");
	expect("HGET absent x", "nil");
	expect("HMGET h d x a", "*3 \"4\" nil \"10\"");
	expect("HMGET absent a b", "*2 nil nil");
	expect("HGETALL h", "%4 \"a\" \"10\" \"b\" \"two\" \"c\" \"3\" \"d\" \"4\"");
	expect("HGETALL absent", "%0");
	expect("HKEYS h", "*4 \"a\" \"b\" \"c\" \"d\"");
	expect("HVALS h", "*4 \"10\" \"two\" \"3\" \"4\"");
	expect("HKEYS absent", "*0");
	expect("HLEN h", ":4");
	expect("HLEN absent", ":0");
	expect("HSTRLEN h b", ":3");
	expect("HSTRLEN h a", ":2");
	expect("HSTRLEN h x", ":0");
	expect("HEXISTS h a", ":1");
	expect("HEXISTS h x", ":0");
	expect("HSETNX h a 5", ":0");
	expect("HSETNX h e 5", ":1");
	expect("HMSET h a 1 f 6", "+OK");
	expect("HDEL h a b x", ":2");
	expect("HDEL h c d e f", ":4");
	expect("EXISTS h", ":0");
	expect("HDEL h a", ":0");
	expect("HSET h a", "-ERR wrong number of arguments for 'hset' command");
	expect("HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command");
	expect("HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command");
	expect("TYPE h", "+none");
}

Test(hash, other_types_are_refused)
{
	given("SET s 1");
	expect("HSET s a 1", WRONG_TYPE);
	expect("HSETNX s a 1", WRONG_TYPE);
	expect("HGET s a", WRONG_TYPE);
	expect("HMGET s a", WRONG_TYPE);
	expect("HGETALL s", WRONG_TYPE);
	expect("HDEL s a", WRONG_TYPE);
	expect("HINCRBY s a 1", WRONG_TYPE);
	expect("HRANDFIELD s", WRONG_TYPE);
	expect("HSCAN s 0", WRONG_TYPE);
	given("HSET h a 1");
	expect("TYPE h", "+hash");
	expect("SADD h a", WRONG_TYPE);
	expect("GET h", WRONG_TYPE);
}

Test(hash, values_count)
{
	expect("HINCRBY h n 5", ":5");
	expect("HINCRBY h n -7", ":-2");
	expect("HINCRBY h n x", NOT_INTEGER);
	given("HSET h t text max 9223372036854775807 f 1.5");
	expect("HINCRBY h t 1", "-ERR hash value is not an integer");
	expect("HINCRBY h f 1", "-ERR hash value is not an integer");
	expect("HINCRBY h max 1", "-ERR increment or decrement would overflow");
	expect("HINCRBYFLOAT h f 0.25", "\"1.75\"");
	expect("HINCRBYFLOAT h n 2.5", "\"0.5\"");
	expect("HINCRBYFLOAT h new 3.0e3", "\"3000\"");
	expect("HINCRBYFLOAT h t 1", "-ERR hash value is not a float");
	expect("HINCRBYFLOAT h n x", "-ERR value is not a valid float");
	expect("HINCRBYFLOAT h n inf", "-ERR value is NaN or Infinity");
	expect("HINCRBY h new 1", ":3001");
}

Test(hash, small_hashes_are_scanned_at_once)
{
	given("HSET h a 1 b 2 ab 3");
	expect("HSCAN h 0", "*2 \"0\" *6 \"a\" \"1\" \"b\" \"2\" \"ab\" \"3\"");
	expect("HSCAN h 0 MATCH a* COUNT 1", "*2 \"0\" *4 \"a\" \"1\" \"ab\" \"3\"");
	expect("HSCAN h 0 NOVALUES", "*2 \"0\" *3 \"a\" \"b\" \"ab\"");
	expect("HSCAN h x", "-ERR invalid cursor");
	expect("HSCAN h 0 COUNT 0", SYNTAX_ERROR);
	expect("HSCAN absent 0 COUNT 0", "*2 \"0\" *0");
}

Test(hash, numbers_of_random_fields_are_checked)
{
	given("HSET h a 1 b 2");
	expect("HRANDFIELD h 2", "*2 \"a\" \"b\"");
	expect("HRANDFIELD h 9 WITHVALUES", "*4 \"a\" \"1\" \"b\" \"2\"");
	expect("HRANDFIELD h 0", "*0");
	expect("HRANDFIELD h x", NOT_INTEGER);
	expect("HRANDFIELD h 1 VALUES", SYNTAX_ERROR);
	expect("HRANDFIELD h 1 WITHVALUES x", SYNTAX_ERROR);
	expect("HRANDFIELD h -9223372036854775807 WITHVALUES", "-ERR value is out of range");
	expect("HRANDFIELD absent", "nil");
	expect("HRANDFIELD absent 3 WITHVALUES", "*0");
}
