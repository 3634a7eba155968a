#include "tests/unit/query/commands/keys_runner.h"

static struct runner r;

static void setup(void) { runner_init(&r, 1); }
static void teardown(void) { runner_fini(&r); }

TestSuite(keys, .init = setup, .fini = teardown);

struct step {
	const char *command, *reply;
};

/* ---- as redis 7.0.15 answers ------------------------------------------------------------ */

/* clang-format off */
static const struct step del_unlink_exists_touch[] = {
        {"SET a 1", "+OK\r\n"},
        {"SET b 2", "+OK\r\n"},
        {"EXISTS a b c a", ":3\r\n"},
        {"TOUCH a b c", ":2\r\n"},
        {"DEL a c a", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"UNLINK b b", ":1\r\n"},
        {"EXISTS b", ":0\r\n"},
        {"DEL nope", ":0\r\n"},
        {"DEL", "-ERR wrong number of arguments for 'del' command\r\n"},
        {"EXISTS", "-ERR wrong number of arguments for 'exists' command\r\n"},
        {"TOUCH", "-ERR wrong number of arguments for 'touch' command\r\n"},
        {"UNLINK", "-ERR wrong number of arguments for 'unlink' command\r\n"},
        {0},
};
static const struct step type[] = {
        {"SET a 1", "+OK\r\n"},
        {"TYPE a", "+string\r\n"},
        {"TYPE b", "+none\r\n"},
        {"TYPE", "-ERR wrong number of arguments for 'type' command\r\n"},
        {"TYPE a b", "-ERR wrong number of arguments for 'type' command\r\n"},
        {0},
};
static const struct step rename[] = {
        {"RENAME a b", "-ERR no such key\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"RENAME a a", "+OK\r\n"},
        {"RENAME a b", "+OK\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"GET b", "$1\r\n1\r\n"},
        {"SET c 3", "+OK\r\n"},
        {"EXPIRE b 100", ":1\r\n"},
        {"RENAME b c", "+OK\r\n"},
        {"GET c", "$1\r\n1\r\n"},
        {"TTL c", ":100\r\n"},
        {"SET d 4", "+OK\r\n"},
        {"RENAME d c", "+OK\r\n"},
        {"TTL c", ":-1\r\n"},
        {"GET c", "$1\r\n4\r\n"},
        {"RENAME c", "-ERR wrong number of arguments for 'rename' command\r\n"},
        {"RENAMENX c c", ":0\r\n"},
        {"RENAMENX x x", "-ERR no such key\r\n"},
        {"RENAMENX x c", "-ERR no such key\r\n"},
        {"SET e 5", "+OK\r\n"},
        {"RENAMENX c e", ":0\r\n"},
        {"RENAMENX c f", ":1\r\n"},
        {"GET f", "$1\r\n4\r\n"},
        {"EXISTS c", ":0\r\n"},
        {0},
};
static const struct step copy[] = {
        {"COPY a b", ":0\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"COPY a b", ":1\r\n"},
        {"GET b", "$1\r\n1\r\n"},
        {"COPY a b", ":0\r\n"},
        {"SET a 2", "+OK\r\n"},
        {"COPY a b", ":0\r\n"},
        {"COPY a b REPLACE", ":1\r\n"},
        {"GET b", "$1\r\n2\r\n"},
        {"COPY a a", "-ERR source and destination objects are the same\r\n"},
        {"COPY a a DB 0", "-ERR source and destination objects are the same\r\n"},
        {"COPY x x", "-ERR source and destination objects are the same\r\n"},
        {"COPY a b FOO", "-ERR syntax error\r\n"},
        {"COPY a b DB", "-ERR syntax error\r\n"},
        {"COPY a b DB 16", "-ERR DB index is out of range\r\n"},
        {"COPY a b DB -1", "-ERR DB index is out of range\r\n"},
        {"COPY a b DB x", "-ERR value is not an integer or out of range\r\n"},
        {"COPY a b DB 99999999999", "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
        {"COPY x y DB 99", "-ERR DB index is out of range\r\n"},
        {"COPY a b DB x FOO", "-ERR value is not an integer or out of range\r\n"},
        {"COPY a b FOO DB x", "-ERR syntax error\r\n"},
        {"EXPIRE a 100", ":1\r\n"},
        {"COPY a c", ":1\r\n"},
        {"TTL c", ":100\r\n"},
        {"COPY a b REPLACE replace", ":1\r\n"},
        {"TTL b", ":100\r\n"},
        {"COPY a", "-ERR wrong number of arguments for 'copy' command\r\n"},
        {"COPY a a DB 1", ":1\r\n"},
        {"COPY a a DB 1", ":0\r\n"},
        {"COPY a a DB 1 REPLACE", ":1\r\n"},
        {0},
};
static const struct step move[] = {
        {"MOVE a 1", ":0\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"EXPIRE a 100", ":1\r\n"},
        {"MOVE a 0", "-ERR source and destination objects are the same\r\n"},
        {"MOVE a 16", "-ERR DB index is out of range\r\n"},
        {"MOVE a -1", "-ERR DB index is out of range\r\n"},
        {"MOVE a x", "-ERR value is not an integer or out of range\r\n"},
        {"MOVE a 2147483648", "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
        {"MOVE nope 99", "-ERR DB index is out of range\r\n"},
        {"MOVE a 1", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"SET a 2", "+OK\r\n"},
        {"MOVE a 1", ":0\r\n"},
        {"MOVE a 2", ":1\r\n"},
        {"MOVE a", "-ERR wrong number of arguments for 'move' command\r\n"},
        {"SET a 3", "+OK\r\n"},
        {"COPY a a DB 1", ":0\r\n"},
        {"COPY a a DB 2 REPLACE", ":1\r\n"},
        {"COPY a a DB 3", ":1\r\n"},
        {0},
};
static const struct step object[] = {
        {"OBJECT ENCODING a", "$-1\r\n"},
        {"SET a 12", "+OK\r\n"},
        {"OBJECT ENCODING a", "$3\r\nint\r\n"},
        {"SET a hello", "+OK\r\n"},
        {"OBJECT ENCODING a", "$6\r\nembstr\r\n"},
        {"APPEND a x", ":6\r\n"},
        {"OBJECT ENCODING a", "$3\r\nraw\r\n"},
        {"OBJECT REFCOUNT a", ":1\r\n"},
        {"OBJECT REFCOUNT b", "$-1\r\n"},
        {"OBJECT FREQ a", "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n"},
        {"OBJECT FREQ b", "$-1\r\n"},
        {"OBJECT IDLETIME b", "$-1\r\n"},
        {"OBJECT", "-ERR wrong number of arguments for 'object' command\r\n"},
        {"OBJECT FOO", "-ERR unknown subcommand 'FOO'. Try OBJECT HELP.\r\n"},
        {"OBJECT FREQ", "-ERR wrong number of arguments for 'object|freq' command\r\n"},
        {"OBJECT ENCODING a b", "-ERR wrong number of arguments for 'object|encoding' command\r\n"},
        {"OBJECT HELP", "*15\r\n+OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+ENCODING <key>\r\n+    Return the kind of internal representation used in order to store the value\r\n+    associated with a <key>.\r\n+FREQ <key>\r\n+    Return the access frequency index of the <key>. The returned integer is\r\n+    proportional to the logarithm of the recent access frequency of the key.\r\n+IDLETIME <key>\r\n+    Return the idle time of the <key>, that is the approximated number of\r\n+    seconds elapsed since the last access to the key.\r\n+REFCOUNT <key>\r\n+    Return the number of references of the value associated with the specified\r\n+    <key>.\r\n+HELP\r\n+    Prints this help.\r\n"},
        {"OBJECT HELP x", "-ERR wrong number of arguments for 'object|help' command\r\n"},
        {0},
};
static const struct step wait[] = {
        {"WAIT x 0", "-ERR value is not an integer or out of range\r\n"},
        {"WAIT 0 x", "-ERR timeout is not an integer or out of range\r\n"},
        {"WAIT 0 -1", "-ERR timeout is negative\r\n"},
        {"WAIT -1 0", ":0\r\n"},
        {"WAIT 99999999999999999999 -1", "-ERR value is not an integer or out of range\r\n"},
        {"WAIT 0 0", ":0\r\n"},
        {"WAIT 0", "-ERR wrong number of arguments for 'wait' command\r\n"},
        {"WAIT 0 0 0", "-ERR wrong number of arguments for 'wait' command\r\n"},
        {0},
};
static const struct step sort[] = {
        {"SORT a", "*0\r\n"},
        {"SORT a BY x GET y GET z LIMIT 0 10 ALPHA DESC ASC", "*0\r\n"},
        {"SORT a LIMIT x 1", "-ERR value is not an integer or out of range\r\n"},
        {"SORT a LIMIT 1", "-ERR syntax error\r\n"},
        {"SORT a LIMIT 1 x", "-ERR value is not an integer or out of range\r\n"},
        {"SORT a BY", "-ERR syntax error\r\n"},
        {"SORT a GET", "-ERR syntax error\r\n"},
        {"SORT a STORE", "-ERR syntax error\r\n"},
        {"SORT a FOO", "-ERR syntax error\r\n"},
        {"SET k v", "+OK\r\n"},
        {"SORT k", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"SORT k FOO", "-ERR syntax error\r\n"},
        {"SORT k LIMIT x y", "-ERR value is not an integer or out of range\r\n"},
        {"SORT k STORE a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"SORT a STORE k", ":0\r\n"},
        {"EXISTS k", ":0\r\n"},
        {"SORT_RO a", "*0\r\n"},
        {"SORT_RO a STORE k", "-ERR syntax error\r\n"},
        {"SORT_RO a BY x LIMIT 0 1", "*0\r\n"},
        {"SORT", "-ERR wrong number of arguments for 'sort' command\r\n"},
        {"SORT_RO", "-ERR wrong number of arguments for 'sort_ro' command\r\n"},
        {0},
};
static const struct step expire[] = {
        {"EXPIRE a 10", ":0\r\n"},
        {"TTL a", ":-2\r\n"},
        {"PTTL a", ":-2\r\n"},
        {"EXPIRETIME a", ":-2\r\n"},
        {"PEXPIRETIME a", ":-2\r\n"},
        {"PERSIST a", ":0\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"TTL a", ":-1\r\n"},
        {"PTTL a", ":-1\r\n"},
        {"EXPIRETIME a", ":-1\r\n"},
        {"PEXPIRETIME a", ":-1\r\n"},
        {"PERSIST a", ":0\r\n"},
        {"EXPIRE a 100", ":1\r\n"},
        {"TTL a", ":100\r\n"},
        {"PERSIST a", ":1\r\n"},
        {"TTL a", ":-1\r\n"},
        {"PEXPIRE a 100000", ":1\r\n"},
        {"TTL a", ":100\r\n"},
        {"SET a 2", "+OK\r\n"},
        {"TTL a", ":-1\r\n"},
        {"EXPIREAT a 33177117420", ":1\r\n"},
        {"EXPIRETIME a", ":33177117420\r\n"},
        {"PEXPIRETIME a", ":33177117420000\r\n"},
        {"PEXPIREAT a 33177117420499", ":1\r\n"},
        {"EXPIRETIME a", ":33177117420\r\n"},
        {"PEXPIREAT a 33177117420500", ":1\r\n"},
        {"EXPIRETIME a", ":33177117421\r\n"},
        {"PEXPIRETIME a", ":33177117420500\r\n"},
        {"PEXPIREAT a 9223372036854775807", ":1\r\n"},
        {"PEXPIRETIME a", ":9223372036854775807\r\n"},
        {0},
};
static const struct step expire_in_the_past[] = {
        {"SET a 1", "+OK\r\n"},
        {"EXPIRE a 0", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"EXPIRE a -1", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"PEXPIREAT a 1", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"EXPIREAT a 1", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"PEXPIRE a -9223372036854775808", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {"EXPIRE a -1", ":0\r\n"},
        {0},
};
static const struct step expire_errors[] = {
        {"SET a 1", "+OK\r\n"},
        {"EXPIRE a x", "-ERR value is not an integer or out of range\r\n"},
        {"EXPIRE a", "-ERR wrong number of arguments for 'expire' command\r\n"},
        {"EXPIRE a 10 FOO", "-ERR Unsupported option FOO\r\n"},
        {"EXPIRE a x FOO", "-ERR Unsupported option FOO\r\n"},
        {"EXPIRE nope x", "-ERR value is not an integer or out of range\r\n"},
        {"EXPIRE nope 10 FOO", "-ERR Unsupported option FOO\r\n"},
        {"EXPIRE a 10 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
        {"EXPIRE a 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
        {"EXPIRE a 10 LT NX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
        {"EXPIRE a 10 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"},
        {"EXPIRE a 10 NX GT LT FOO", "-ERR Unsupported option FOO\r\n"},
        {"EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"},
        {"EXPIRE a 9223372036854775", "-ERR invalid expire time in 'expire' command\r\n"},
        {"EXPIRE a -9223372036854775808", "-ERR invalid expire time in 'expire' command\r\n"},
        {"PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"},
        {"EXPIREAT a 9223372036854775807", "-ERR invalid expire time in 'expireat' command\r\n"},
        {"EXPIREAT a -9223372036854775808", "-ERR invalid expire time in 'expireat' command\r\n"},
        {"EXPIREAT nope 9223372036854775807", "-ERR invalid expire time in 'expireat' command\r\n"},
        {"PEXPIREAT a 9223372036854775808", "-ERR value is not an integer or out of range\r\n"},
        {"EXPIRE a 1.5", "-ERR value is not an integer or out of range\r\n"},
        {"TTL", "-ERR wrong number of arguments for 'ttl' command\r\n"},
        {"PERSIST", "-ERR wrong number of arguments for 'persist' command\r\n"},
        {"PEXPIREAT a", "-ERR wrong number of arguments for 'pexpireat' command\r\n"},
        {"EXPIREAT a", "-ERR wrong number of arguments for 'expireat' command\r\n"},
        {"PEXPIRE a", "-ERR wrong number of arguments for 'pexpire' command\r\n"},
        {"TTL a b", "-ERR wrong number of arguments for 'ttl' command\r\n"},
        {"TTL a", ":-1\r\n"},
        {0},
};
static const struct step expire_conditions[] = {
        {"SET a 1", "+OK\r\n"},
        {"EXPIRE a 100 XX", ":0\r\n"},
        {"EXPIRE a 100 GT", ":0\r\n"},
        {"TTL a", ":-1\r\n"},
        {"EXPIRE a 100 LT", ":1\r\n"},
        {"TTL a", ":100\r\n"},
        {"EXPIRE a 200 NX", ":0\r\n"},
        {"EXPIRE a 50 GT", ":0\r\n"},
        {"EXPIRE a 200 GT", ":1\r\n"},
        {"TTL a", ":200\r\n"},
        {"EXPIRE a 300 LT", ":0\r\n"},
        {"EXPIRE a 150 LT", ":1\r\n"},
        {"TTL a", ":150\r\n"},
        {"EXPIRE a 160 XX GT", ":1\r\n"},
        {"TTL a", ":160\r\n"},
        {"EXPIRE a 120 xx lt", ":1\r\n"},
        {"TTL a", ":120\r\n"},
        {"EXPIRE a 100 GT XX", ":0\r\n"},
        {"PERSIST a", ":1\r\n"},
        {"EXPIRE a 70 NX NX", ":1\r\n"},
        {"TTL a", ":70\r\n"},
        {"EXPIRE a -1 GT", ":0\r\n"},
        {"TTL a", ":70\r\n"},
        {"EXPIRE a -1 LT", ":1\r\n"},
        {"EXISTS a", ":0\r\n"},
        {0},
};
static const struct step dump_restore[] = {
        {"DUMP a", "$-1\r\n"},
        {"RESTORE a 0", "-ERR wrong number of arguments for 'restore' command\r\n"},
        {"RESTORE a x x", "-ERR value is not an integer or out of range\r\n"},
        {"RESTORE a -1 x", "-ERR Invalid TTL value, must be >= 0\r\n"},
        {"RESTORE a 0 x", "-ERR DUMP payload version or checksum are wrong\r\n"},
        {"RESTORE a 0 x FOO", "-ERR syntax error\r\n"},
        {"RESTORE a 0 x IDLETIME", "-ERR syntax error\r\n"},
        {"RESTORE a 0 x IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0\r\n"},
        {"RESTORE a 0 x IDLETIME x", "-ERR value is not an integer or out of range\r\n"},
        {"RESTORE a 0 x FREQ -1", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n"},
        {"RESTORE a 0 x FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n"},
        {"RESTORE a 0 x FREQ x", "-ERR value is not an integer or out of range\r\n"},
        {"RESTORE a 0 x FREQ 1 IDLETIME 1", "-ERR syntax error\r\n"},
        {"RESTORE a 0 x IDLETIME 1 FREQ 1", "-ERR syntax error\r\n"},
        {"SET a 1", "+OK\r\n"},
        {"RESTORE a x x", "-BUSYKEY Target key name already exists.\r\n"},
        {"RESTORE a 0 x", "-BUSYKEY Target key name already exists.\r\n"},
        {"RESTORE a 0 x REPLACE", "-ERR DUMP payload version or checksum are wrong\r\n"},
        {"RESTORE a x x REPLACE", "-ERR value is not an integer or out of range\r\n"},
        {"RESTORE a -1 x replace absttl", "-ERR Invalid TTL value, must be >= 0\r\n"},
        {"RESTORE a 0 x FOO", "-ERR syntax error\r\n"},
        {"GET a", "$1\r\n1\r\n"},
        {0},
};
/* clang-format on */

static void follow(const struct step *step)
{
	for (; step->command; step++)
		expect(&r, step->command, step->reply);
}

Test(keys, del_unlink_exists_touch) { follow(del_unlink_exists_touch); }
Test(keys, type) { follow(type); }
Test(keys, rename) { follow(rename); }
Test(keys, copy) { follow(copy); }
Test(keys, move) { follow(move); }
Test(keys, object) { follow(object); }
Test(keys, wait) { follow(wait); }
Test(keys, sort) { follow(sort); }
Test(keys, expire) { follow(expire); }
Test(keys, expire_in_the_past) { follow(expire_in_the_past); }
Test(keys, expire_errors) { follow(expire_errors); }
Test(keys, expire_conditions) { follow(expire_conditions); }
Test(keys, dump_restore) { follow(dump_restore); }

/* ---- what takes time, or goes further than redis 7.0 -------------------------------------- */

Test(keys, are_gone_once_expired)
{
	expect(&r, "SET a 1", "+OK\r\n");
	expect(&r, "PEXPIRE a 1000", ":1\r\n");
	r.client.now_ms += 499;
	expect(&r, "PTTL a", ":501\r\n");
	expect(&r, "TTL a", ":1\r\n");
	r.client.now_ms += 2;
	expect(&r, "TTL a", ":0\r\n");
	r.client.now_ms += 498;
	expect(&r, "PTTL a", ":1\r\n");
	r.client.now_ms += 1;
	expect(&r, "PTTL a", ":-2\r\n");
	expect(&r, "EXISTS a", ":0\r\n");
	expect(&r, "DEL a", ":0\r\n");
	expect(&r, "RENAME a b", "-ERR no such key\r\n");
	expect(&r, "PERSIST a", ":0\r\n");
}

Test(keys, in_another_database_keep_their_value)
{
	expect(&r, "SET a 1", "+OK\r\n");
	expect(&r, "COPY a a DB 3", ":1\r\n");
	expect(&r, "MOVE a 1", ":1\r\n");
	r.client.db = 1;
	r.client.keyspace = r.m.core[0]->shard->keyspace_of_db[1];
	expect(&r, "GET a", "$1\r\n1\r\n");
	r.client.db = 3;
	r.client.keyspace = r.m.core[0]->shard->keyspace_of_db[3];
	expect(&r, "GET a", "$1\r\n1\r\n");
	expect(&r, "MOVE a 1", ":0\r\n");
	expect(&r, "COPY a b DB 1", ":1\r\n");
}

Test(keys, wait_for_no_log)
{
	expect(&r, "WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1\r\n");
	expect(&r, "WAITAOF x 0 0", "-ERR value is not an integer or out of range\r\n");
	expect(&r, "WAITAOF 0 -1 0", "-ERR value is out of range, must be positive\r\n");
	expect(&r, "WAITAOF 0 0 -1", "-ERR timeout is negative\r\n");
	expect(&r, "WAITAOF 1 0 0", "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n");
	expect(&r, "WAITAOF 0 1 10", "*2\r\n:0\r\n:0\r\n");
	expect(&r, "WAIT 1 10", ":0\r\n");
}

Test(keys, do_not_migrate)
{
	expect(&r, "MIGRATE h 1 k 0", "-ERR wrong number of arguments for 'migrate' command\r\n");
	expect(&r, "MIGRATE h 1 k 0 0", "-ERR MIGRATE is not supported by this server\r\n");
}

Test(keys, tell_idleness_and_frequency_by_policy)
{
	expect(&r, "SET a 1", "+OK\r\n");
	expect(&r, "OBJECT IDLETIME a", ":0\r\n");
	r.client.now_ms += 5100;
	expect(&r, "EXISTS a", ":1\r\n");
	expect(&r, "OBJECT IDLETIME a", ":5\r\n");
	r.client.no_touch = true;
	expect(&r, "GET a", "$1\r\n1\r\n");
	expect(&r, "OBJECT IDLETIME a", ":5\r\n");
	expect(&r, "TOUCH a", ":1\r\n");
	expect(&r, "OBJECT IDLETIME a", ":0\r\n");
	r.m.core[0]->shard->policy = EVICT_ALLKEYS_LFU;
	expect(&r, "OBJECT IDLETIME a",
	       "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching "
	       "between policies at runtime LRU and LFU data will take some time to adjust.\r\n");
	expect(&r, "SET b 1", "+OK\r\n");
	expect(&r, "OBJECT FREQ b", ":5\r\n");
}

Test(keys, count_hits_and_misses)
{
	struct shard_counters *counters = &r.m.core[0]->shard->counters;
	expect(&r, "SET a 1", "+OK\r\n");
	expect(&r, "EXISTS a b a", ":2\r\n");
	cr_expect_eq(counters->hits, 2);
	cr_expect_eq(counters->misses, 1);
	expect(&r, "TTL a", ":-1\r\n");
	expect(&r, "TYPE b", "+none\r\n");
	cr_expect_eq(counters->hits, 3);
	cr_expect_eq(counters->misses, 2);
}

/* ---- where keys are among arguments -------------------------------------------------------- */

static void expect_keys(const char *text, int n, uint32_t first, uint32_t second)
{
	struct slice argv[ARGUMENTS_MAX];
	uint32_t argc = 0, at[2] = {0};
	for (const char *word = text, *end; *word; word = *end ? end + 1 : end) {
		end = strchrnul(word, ' ');
		argv[argc++] = slice_of(word, (size_t)(end - word));
	}
	const struct command *command = command_find(r.index, argv[0]);
	cr_expect_eq(command_keys(command, argv, argc, at, 2), n, "%s", text);
	cr_expect_eq(at[0], first, "%s", text);
	cr_expect_eq(at[1], second, "%s", text);
}

Test(keys, are_found_among_arguments)
{
	expect_keys("SORT a STORE b STORE c", 2, 1, 5);
	expect_keys("SORT a BY STORE LIMIT STORE STORE", 1, 1, 0);
	expect_keys("SORT_RO a STORE b", 1, 1, 0);
	expect_keys("MIGRATE h 1 x 0 0 AUTH KEYS", 1, 3, 0);
	expect_keys("MIGRATE h 1  0 0 KEYS a b", 2, 7, 8);
	expect_keys("MIGRATE h 1  0 0 COPY AUTH2 KEYS KEYS KEYS a", 1, 11, 0);
	expect_keys("MIGRATE h 1 x 0 0 KEYS a b", -1, 0, 0);
	expect_keys("MIGRATE h 1  0 0 KEYS", 0, 0, 0);
}
