/* The sorted-set group, answer by answer. The answers are Redis 7.0's. */
#include "tests/support/runner.h"

#include "engine/base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define NOT_FLOAT      "-ERR value is not a valid float"
#define NOT_RANGE      "-ERR min or max is not a float"
#define NOT_MEMBERS    "-ERR min or max not valid string range item"
#define NOT_COMPATIBLE "-ERR GT, LT, and/or NX options at the same time are not compatible"

TestSuite(sorted_set, .init = runner_start, .fini = runner_stop, .timeout = 20);

Test(sorted_set, members_get_scores)
{
	expect("ZADD z 1 a 2 b", ":2");
	expect("ZADD z 3 a 4 c", ":1");
	expect("ZADD z CH 5 a 4 c 1 d", ":2");
	expect("ZRANGE z 0 -1 WITHSCORES", "*8 \"d\" ,1 \"b\" ,2 \"c\" ,4 \"a\" ,5");
	expect("ZCARD z", ":4");
	expect("TYPE z", "+zset");
	expect("OBJECT ENCODING z", "\"listpack\"");
	expect("ZSCORE z a", ",5");
	expect("ZSCORE z x", "nil");
	expect("ZSCORE absent x", "nil");
	expect("ZMSCORE z a x b", "*3 ,5 nil ,2");
	expect("ZMSCORE absent a b", "*2 nil nil");
	expect("ZCARD absent", ":0");
	expect("ZADD z 0.1 a -0 b inf c", ":0");
	expect("ZMSCORE z a b c", "*3 ,0.10000000000000001 ,0 ,inf");
	given("SET s 1");
	expect("ZADD s 1 a", WRONG_TYPE);
	expect("ZSCORE s a", WRONG_TYPE);
	expect("ZMSCORE s a", WRONG_TYPE);
	expect("ZCARD s", WRONG_TYPE);
	expect("GET z", WRONG_TYPE);
}

Test(sorted_set, is_added_to_under_conditions)
{
	expect("ZADD z XX 1 a", ":0");
	expect("EXISTS z", ":0");
	expect("ZADD z NX 1 a", ":1");
	expect("ZADD z NX 2 a 3 b", ":1");
	expect("ZADD z XX CH 2 a 3 c", ":1");
	expect("ZADD z GT CH 1 a", ":0");
	expect("ZADD z GT CH 5 a 6 d", ":2");
	expect("ZADD z LT XX CH 4 a 9 e", ":1");
	expect("ZADD z INCR 2.5 a", ",6.5");
	expect("ZADD z NX INCR 1 a", "nil");
	expect("ZADD z GT INCR -1 a", "nil");
	expect("ZADD z XX INCR 1 x", "nil");
	expect("ZADD z incr 1 x", ",1");
	expect("ZINCRBY z 3 x", ",4");
	expect("ZINCRBY new -inf x", ",-inf");
	expect("ZINCRBY new inf x", "-ERR resulting score is not a number (NaN)");
	expect("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible");
	expect("ZADD z NX GT 1 a", NOT_COMPATIBLE);
	expect("ZADD z LT GT 1 a", NOT_COMPATIBLE);
	expect("ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair");
	expect("ZADD z 1 a 2", SYNTAX_ERROR);
	expect("ZADD z NX CH", SYNTAX_ERROR);
	expect("ZADD z 1 a x b", NOT_FLOAT);
	expect("ZADD z nan b", NOT_FLOAT);
	expect("ZADD z 1e400 b", NOT_FLOAT);
	expect("ZINCRBY z x a", NOT_FLOAT);
}

Test(sorted_set, members_are_removed)
{
	given("ZADD z 1 a 2 b 3 c");
	expect("ZREM z a x", ":1");
	expect("ZREM absent a", ":0");
	expect("ZREM z b c d", ":2");
	expect("EXISTS z", ":0");
	given("SET s 1");
	expect("ZREM s a", WRONG_TYPE);
}

Test(sorted_set, members_have_ranks)
{
	given("ZADD z 1 a 2 b 2 bb 3 c");
	expect("ZRANK z a", ":0");
	expect("ZRANK z bb", ":2");
	expect("ZREVRANK z bb", ":1");
	expect("ZRANK z x", "nil");
	expect("ZRANK absent x", "nil");
	expect("ZRANK z b WITHSCORE", "*2 :1 ,2");
	expect("ZREVRANK z b withscore", "*2 :2 ,2");
	expect("ZRANK z x WITHSCORE", "nil*");
	expect("ZRANK z a WITH", SYNTAX_ERROR);
	expect("ZRANK z a WITHSCORE x", SYNTAX_ERROR);
}

Test(sorted_set, is_popped_from_both_ends)
{
	given("ZADD z 1 a 2 b 3 c 4 d 5 e");
	expect("ZPOPMIN z", "*2 \"a\" ,1");
	expect("ZPOPMAX z", "*2 \"e\" ,5");
	expect("ZPOPMIN z 0", "*0");
	expect("ZPOPMAX z 2", "*4 \"d\" ,4 \"c\" ,3");
	expect("ZPOPMIN z 9", "*2 \"b\" ,2");
	expect("EXISTS z", ":0");
	expect("ZPOPMIN z", "*0");
	expect("ZPOPMIN z 3", "*0");
	expect("ZPOPMIN z -1", "-ERR value is out of range, must be positive");
	expect("ZPOPMIN z x", "-ERR value is out of range, must be positive");
	expect("ZPOPMIN z 1 2", SYNTAX_ERROR);
	given("ZADD b 1 a 2 b 3 c");
	expect("ZMPOP 2 a b MIN", "*2 \"b\" *1 *2 \"a\" ,1");
	expect("ZMPOP 2 a b MAX COUNT 5", "*2 \"b\" *2 *2 \"c\" ,3 *2 \"b\" ,2");
	expect("ZMPOP 2 a b MAX", "nil*");
	expect("ZMPOP 0 a MIN", "-ERR numkeys should be greater than 0");
	expect("ZMPOP 1 a UP", SYNTAX_ERROR);
	expect("ZMPOP 2 a MIN", SYNTAX_ERROR);
	expect("ZMPOP 1 a MIN COUNT 0", "-ERR count should be greater than 0");
	expect("ZMPOP 1 a MIN COUNT", SYNTAX_ERROR);
	given("SET a 1");
	expect("ZMPOP 2 b a MIN", WRONG_TYPE);
	expect("ZPOPMIN a", WRONG_TYPE);
}

Test(sorted_set, ranges_go_by_rank_score_and_member)
{
	given("ZADD z 1 a 2 b 3 c 4 d");
	expect("ZRANGE z 1 2", "*2 \"b\" \"c\"");
	expect("ZRANGE z -2 9 REV", "*2 \"b\" \"a\"");
	expect("ZREVRANGE z 0 1 WITHSCORES", "*4 \"d\" ,4 \"c\" ,3");
	expect("ZRANGE z 3 1", "*0");
	expect("ZRANGE z (1 3 BYSCORE", "*2 \"b\" \"c\"");
	expect("ZRANGE z 3 (1 BYSCORE REV", "*2 \"c\" \"b\"");
	expect("ZRANGE z -inf +inf BYSCORE LIMIT 1 2", "*2 \"b\" \"c\"");
	expect("ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2 WITHSCORES", "*4 \"c\" ,3 \"b\" ,2");
	expect("ZRANGE z -inf +inf BYSCORE LIMIT 1 -1", "*3 \"b\" \"c\" \"d\"");
	expect("ZRANGE z -inf +inf BYSCORE LIMIT -1 2", "*0");
	expect("ZRANGE z 2 2 BYSCORE", "*1 \"b\"");
	expect("ZRANGE z (2 2 BYSCORE", "*0");
	expect("ZRANGEBYSCORE z 2 3", "*2 \"b\" \"c\"");
	expect("ZREVRANGEBYSCORE z 3 2", "*2 \"c\" \"b\"");
	expect("ZCOUNT z (1 4", ":3");
	expect("ZCOUNT z '' 2", ":2");
	expect("ZCOUNT absent 0 1", ":0");
	expect("ZCOUNT z x 1", NOT_RANGE);
	expect("ZCOUNT z nan 1", NOT_RANGE);
	expect("ZRANGE z 0 1 LIMIT 0 1",
	       "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
	expect("ZRANGE z - + BYLEX WITHSCORES",
	       "-ERR syntax error, WITHSCORES not supported in combination with BYLEX");
	expect("ZRANGE z x 1", NOT_INTEGER);
	expect("ZRANGE z 0 1 BYSCORE BYLEX", SYNTAX_ERROR);
	expect("ZRANGE z 0 1 BYSCORE LIMIT 0", SYNTAX_ERROR);
	expect("ZRANGE z 0 1 BYSCORE LIMIT x 1", NOT_INTEGER);
	expect("ZREVRANGE z 0 1 REV", SYNTAX_ERROR);
	given("ZADD e 0 a 0 b 0 c 0 d");
	expect("ZRANGEBYLEX e [b +", "*3 \"b\" \"c\" \"d\"");
	expect("ZRANGEBYLEX e - (c", "*2 \"a\" \"b\"");
	expect("ZREVRANGEBYLEX e (d [b", "*2 \"c\" \"b\"");
	expect("ZRANGE e (d (a BYLEX REV LIMIT 1 1", "*1 \"b\"");
	expect("ZLEXCOUNT e - +", ":4");
	expect("ZLEXCOUNT e + -", ":0");
	expect("ZLEXCOUNT e (a [aa", ":0");
	expect("ZLEXCOUNT e a b", NOT_MEMBERS);
	expect("ZRANGEBYLEX e -a +", NOT_MEMBERS);
	given("SET s 1");
	expect("ZRANGE s 0 1", WRONG_TYPE);
	expect("ZCOUNT s 0 1", WRONG_TYPE);
	expect("ZRANGE absent 0 1", "*0");
}

Test(sorted_set, ranges_are_removed_and_stored)
{
	given("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f");
	expect("ZREMRANGEBYRANK z 1 1", ":1");
	expect("ZREMRANGEBYSCORE z (4 5", ":1");
	expect("ZRANGE z 0 -1", "*4 \"a\" \"c\" \"d\" \"f\"");
	expect("ZRANGESTORE t z 1 2", ":2");
	expect("ZRANGE t 0 -1 WITHSCORES", "*4 \"c\" ,3 \"d\" ,4");
	expect("ZRANGESTORE z z -inf 3 BYSCORE", ":2");
	expect("ZRANGE z 0 -1", "*2 \"a\" \"c\"");
	expect("ZRANGESTORE t z 9 9", ":0");
	expect("EXISTS t", ":0");
	expect("ZRANGESTORE t absent 0 1", ":0");
	given("SET s 1");
	expect("ZRANGESTORE t s 0 1", WRONG_TYPE);
	expect("ZRANGESTORE s z 0 -1 REV", ":2");
	expect("TYPE s", "+zset");
	expect("ZRANGESTORE s z 0 -1 WITHSCORES", SYNTAX_ERROR);
	given("ZADD e 0 a 0 b 0 c");
	expect("ZREMRANGEBYLEX e [b [c", ":2");
	expect("ZREMRANGEBYRANK e 0 -1", ":1");
	expect("EXISTS e", ":0");
	expect("ZREMRANGEBYRANK e 0 -1", ":0");
	expect("ZREMRANGEBYRANK e x -1", NOT_INTEGER);
}

/* What is drawn at random is compared over sockets. */
Test(sorted_set, random_members_are_asked_for_by_number)
{
	given("ZADD z 1 a");
	expect("ZRANDMEMBER z 0", "*0");
	expect("ZRANDMEMBER absent", "nil");
	expect("ZRANDMEMBER absent 3", "*0");
	expect("ZRANDMEMBER z x", NOT_INTEGER);
	expect("ZRANDMEMBER z 1 WITH", SYNTAX_ERROR);
	expect("ZRANDMEMBER z -9223372036854775808",
	       "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
	expect("ZRANDMEMBER z -4611686018427387905 WITHSCORES", "-ERR value is out of range");
}

Test(sorted_set, is_united_intersected_and_subtracted)
{
	given("ZADD a 1 x 2 y 3 z");
	given("ZADD b 10 y 20 z 30 w");
	given("SADD s y z 7");
	expect("ZUNION 2 a b WITHSCORES", "*8 \"x\" ,1 \"y\" ,12 \"z\" ,23 \"w\" ,30");
	expect("ZUNION 2 a b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES", "*8 \"x\" ,2 \"y\" ,10 \"z\" ,20 \"w\" ,30");
	expect("ZUNION 3 a s absent AGGREGATE min", "*4 \"7\" \"x\" \"y\" \"z\"");
	expect("ZINTER 3 a b s WITHSCORES", "*4 \"y\" ,13 \"z\" ,24");
	expect("ZINTER 2 a absent", "*0");
	expect("ZINTERCARD 2 a b", ":2");
	expect("ZINTERCARD 2 a b LIMIT 1", ":1");
	expect("ZINTERCARD 2 a b LIMIT 0", ":2");
	expect("ZDIFF 2 a b WITHSCORES", "*2 \"x\" ,1");
	expect("ZDIFF 2 s a", "*1 \"7\"");
	expect("ZDIFF 2 a a", "*0");
	expect("ZUNIONSTORE t 2 a s", ":4");
	expect("ZRANGE t 0 -1 WITHSCORES", "*8 \"7\" ,1 \"x\" ,1 \"y\" ,3 \"z\" ,4");
	expect("ZINTERSTORE a 2 a b WEIGHTS 0 inf", ":2");
	expect("ZSCORE a y", ",inf");
	expect("ZDIFFSTORE t 2 b b", ":0");
	expect("EXISTS t", ":0");
	given("ZADD n -inf x");
	given("ZADD p inf x");
	expect("ZUNION 2 n p WITHSCORES", "*2 \"x\" ,0");
	given("ZADD zero 0 x");
	expect("ZUNION 1 zero WEIGHTS -1 WITHSCORES", "*2 \"x\" ,-0");
	expect("ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command");
	expect("ZINTERSTORE t 0 a", "-ERR at least 1 input key is needed for 'zinterstore' command");
	expect("ZUNION x a", NOT_INTEGER);
	expect("ZUNION 3 a b", SYNTAX_ERROR);
	expect("ZUNION 2 a b WEIGHTS 1", SYNTAX_ERROR);
	expect("ZUNION 2 a b WEIGHTS 1 x", "-ERR weight value is not a float");
	expect("ZUNION 1 a AGGREGATE avg", SYNTAX_ERROR);
	expect("ZUNIONSTORE t 1 a WITHSCORES", SYNTAX_ERROR);
	expect("ZDIFF 1 a WEIGHTS 1", SYNTAX_ERROR);
	expect("ZINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative");
	expect("ZINTERCARD 1 a WITHSCORES", SYNTAX_ERROR);
	given("SET str 1");
	expect("ZUNION 2 a str", WRONG_TYPE);
	expect("ZUNIONSTORE str 1 b", ":3");
	expect("TYPE str", "+zset");
}

Test(sorted_set, is_scanned)
{
	given("ZADD z 1 a 2.5 b 3 ab");
	expect("ZSCAN z 0", "*2 \"0\" *6 \"a\" \"1\" \"b\" \"2.5\" \"ab\" \"3\"");
	expect("ZSCAN z 0 MATCH a* COUNT 1", "*2 \"0\" *4 \"a\" \"1\" \"ab\" \"3\"");
	expect("ZSCAN absent 0", "*2 \"0\" *0");
	expect("ZSCAN z x", "-ERR invalid cursor");
	expect("ZSCAN z 0 COUNT 0", SYNTAX_ERROR);
	expect("ZSCAN z 0 COUNT x", NOT_INTEGER);
	expect("ZSCAN z 0 TYPE zset", SYNTAX_ERROR);
	given("SET s 1");
	expect("ZSCAN s 0", WRONG_TYPE);
}
