/* The server group, on two cores: CONFIG, INFO, COMMAND, SLOWLOG, LATENCY, databases. */
#include "query/commands/latency.h"
#include "query/commands/slowlog.h"
#include "tests/unit/query/commands/whole_server.h"

static struct client *a, *b; /* on core 0, on core 1 */

static void start(void)
{
	server_start(2);
	a = client_new(0);
	b = client_new(1);
}

TestSuite(server, .init = start, .fini = server_stop, .timeout = 60);

/* ---- CONFIG ----------------------------------------------------------------------------- */

Test(server, config_get_takes_names_and_patterns)
{
	expect(a, "CONFIG GET maxmemory", "%1 \"maxmemory\" \"0\"");
	expect(a, "CONFIG GET MaxMemory", "%1 \"MaxMemory\" \"0\"");
	expect(a, "CONFIG GET maxmem*s timeout timeout nope", "%2 \"maxmemory-samples\" \"5\" \"timeout\" \"0\"");
	expect(a, "CONFIG GET port save", "%2 \"port\" \"6379\" \"save\" \"\"");
	expect(a, "CONFIG GET nope", "%0");
}

Test(server, config_set_reaches_every_core)
{
	expect(b, "CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru", "+OK");
	for (uint16_t id = 0; id < 2; id++) {
		cr_assert_eq(server.m.core[id]->settings->maxmemory, 100 << 20);
		cr_assert_eq(server.m.core[id]->shard->memory_max, 50 << 20);
		cr_assert_eq(server.m.core[id]->shard->policy, EVICT_ALLKEYS_LRU);
	}
	expect(a, "CONFIG GET maxmemory", "%1 \"maxmemory\" \"104857600\"");
}

Test(server, config_set_is_all_or_nothing)
{
	expect(a, "CONFIG SET timeout 5 maxmemory abc",
	       "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value");
	expect(a, "CONFIG SET timeout 5 nope 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'");
	expect(a, "CONFIG SET timeout 5 databases 3",
	       "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config");
	expect(a, "CONFIG SET timeout 5 timeout 6",
	       "-ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter");
	expect(a, "CONFIG SET timeout 5 hz", "-ERR syntax error");
	expect(a, "CONFIG SET timeout 5 save 60",
	       "-ERR CONFIG SET failed (possibly related to argument 'save') - "
	       "can't set immutable config");
	expect(a, "CONFIG SET client-output-soft-limit 2gb",
	       "-ERR CONFIG SET failed - client-output-soft-limit must not be above client-output-hard-limit");
	expect(a, "CONFIG GET timeout", "%1 \"timeout\" \"0\"");
	expect(a, "CONFIG SET save '' timeout 5", "+OK");
	expect(a, "CONFIG GET timeout", "%1 \"timeout\" \"5\"");
	expect(a, "CONFIG REWRITE", "-ERR The server is running without a config file");
}

/* Changes that are on their way at once: both count, and all cores end with the same. */
Test(server, config_set_from_two_cores_at_once)
{
	for (int i = 0; i < 200; i++) {
		char one[64], other[64], got[256];
		snprintf(one, sizeof(one), "CONFIG SET timeout %d", i);
		snprintf(other, sizeof(other), "CONFIG SET maxclients %d", 1000 + i);
		client_begin(a, one);
		client_begin(b, other);
		cr_assert_str_eq(client_end(a), "+OK");
		cr_assert_str_eq(client_end(b), "+OK");
		cr_assert_eq(server.m.core[0]->settings, server.m.core[1]->settings);
		snprintf(got, sizeof(got), "%%2 \"maxclients\" \"%d\" \"timeout\" \"%d\"", 1000 + i, i);
		expect(b, "CONFIG GET timeout maxclients", got);
	}
}

/* ---- INFO ------------------------------------------------------------------------------- */

Test(server, info_has_sections_and_fields)
{
	expect(a, "SET k v", "+OK");
	const char *info = client_run(a, "INFO");
	static const char *const fields[] = {
	        "# Server\\x0d\\x0aredis_version:7.2.0",
	        "# Clients\\x0d\\x0aconnected_clients:2\\x0d\\x0a",
	        "# Memory\\x0d\\x0aused_memory:",
	        "# Persistence\\x0d\\x0aloading:0",
	        "# Stats\\x0d\\x0atotal_connections_received:",
	        "# Replication\\x0d\\x0arole:master",
	        "# CPU\\x0d\\x0aused_cpu_sys:",
	        "# Errorstats\\x0d\\x0a",
	        "# Cluster\\x0d\\x0acluster_enabled:0",
	        "# Keyspace\\x0d\\x0adb0:keys=1,expires=0,avg_ttl=0,subexpiry=0\\x0d\\x0a",
	};
	const char *at = info;
	for (size_t i = 0; i < array_len(fields); i++) {
		at = strstr(at, fields[i]);
		cr_assert_not_null(at, "%s is missing or out of order in %s", fields[i], info);
	}
	cr_assert_null(strstr(info, "# Commandstats"));
	cr_assert_null(strstr(info, "# Latencystats"));
}

/* Lines are "name:value", headings and empty ones; names do not repeat. */
Test(server, info_can_be_parsed)
{
	char *info = strdup(client_run(b, "INFO everything")), *names[400];
	size_t n = 0;
	for (char *line = info + strlen("=txt\""), *next; line; line = next) {
		next = strstr(line, "\\x0d\\x0a");
		if (next) {
			*next = 0;
			next += strlen("\\x0d\\x0a");
		}
		if (!*line || *line == '#' || *line == '"')
			continue;
		char *colon = strchr(line, ':');
		cr_assert_not_null(colon, "'%s'", line);
		*colon = 0;
		for (size_t i = 0; i < n; i++)
			cr_assert(strcmp(names[i], line) != 0, "%s twice", line);
		names[n++] = line;
	}
	cr_assert_gt(n, 100);
	free(info);
}

Test(server, info_counts_commands_and_errors)
{
	expect(a, "GET", "-ERR wrong number of arguments for 'get' command");
	expect(a, "ECHO x", "\"x\"");
	expect(b, "ECHO x", "\"x\"");
	expect(b, "SELECT 99", "-ERR DB index is out of range");
	const char *info = client_run(a, "INFO commandstats errorstats latencystats");
	cr_expect_str_eq(field(info, "cmdstat_echo:calls=", ","), "2");
	cr_expect_str_eq(field(info, "cmdstat_select:", "\\x0d"),
	                 "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1");
	cr_expect_str_eq(field(info, "errorstat_ERR:", "\\x0d"), "count=2");
	cr_expect_str_eq(field(info, "latency_percentiles_usec_echo:", "\\x0d"), "p50=0.000,p99=0.000,p99.9=0.000");
	expect(b, "CONFIG RESETSTAT", "+OK");
	cr_expect_str_eq(field(client_run(a, "INFO commandstats errorstats"), "Commandstats\\x0d\\x0a", "calls"),
	                 "cmdstat_config|resetstat:");
}

/* ---- COMMAND ---------------------------------------------------------------------------- */

Test(server, command_docs_have_their_shape)
{
	expect(a, "COMMAND DOCS echo",
	       "%1 \"echo\" %5 \"summary\" \"Answers what it was given.\" \"since\" \"1.0.0\" \"group\" \"connection\" "
	       "\"complexity\" \"O(1)\" \"arguments\" *1 %2 \"name\" \"message\" \"type\" \"string\"");
	expect(a, "COMMAND DOCS slowlog|get nope",
	       "%1 \"slowlog|get\" %6 \"summary\" \"The slowest commands remembered, the newest first.\" \"since\" "
	       "\"2.2.12\" \"group\" \"server\" \"complexity\" \"O(N) where N is the number of entries returned\" "
	       "\"history\" ~1 *2 \"4.0.0\" \"Added client IP address, port and name to the reply.\" "
	       "\"arguments\" *1 %3 \"name\" \"count\" \"type\" \"integer\" \"flags\" ~1 +optional");
}

/* Reads one value of the recorder's text; fails where the text ends early. */
static const char *skip_value(const char *at)
{
	at += *at == ' ';
	char kind = *at;
	cr_assert(kind, "the answer ends early");
	if (kind == '"')
		return strchr(at + 1, '"') + 1;
	size_t n = 0;
	if (kind == '*' || kind == '%' || kind == '~')
		n = strtoul(at + 1, NULL, 10) * (kind == '%' ? 2 : 1);
	at += strcspn(at, " ");
	while (n-- > 0)
		at = skip_value(at);
	return at;
}

Test(server, command_answers_are_whole)
{
	static const char *const lines[] = {
	        "COMMAND",      "COMMAND DOCS",        "COMMAND INFO", "COMMAND LIST", "LATENCY HISTOGRAM",
	        "MEMORY STATS", "CLIENT TRACKINGINFO", "CONFIG GET *", "HELLO",        "SLOWLOG GET"};
	for (size_t i = 0; i < array_len(lines); i++) {
		const char *answer = client_run(a, lines[i]);
		cr_expect_str_eq(skip_value(answer), "", "%s says more than it announces", lines[i]);
	}
}

Test(server, command_info_and_list)
{
	expect(a, "COMMAND INFO config|get nope",
	       "*2 *10 \"config|get\" :-3 ~4 +admin +noscript +loading +stale :0 :0 :0 ~3 +@admin +@slow +@dangerous "
	       "~0 "
	       "~0 ~0 nil");
	expect(a, "COMMAND LIST FILTERBY PATTERN config|re*", "*2 \"config|resetstat\" \"config|rewrite\"");
	expect(a, "COMMAND LIST FILTERBY ACLCAT nope", "*0");
	expect(a, "COMMAND LIST FILTERBY x y", "-ERR syntax error");
	expect(a, "COMMAND GETKEYS MSET a 1 b 2", "*2 \"a\" \"b\"");
	expect(a, "COMMAND GETKEYS memory usage k", "*1 \"k\"");
	expect(a, "COMMAND GETKEYS ping x", "-ERR The command has no key arguments");
	expect(a, "COMMAND GETKEYS get a b", "-ERR Invalid number of arguments specified for command");
	expect(a, "COMMAND GETKEYS nope x", "-ERR Invalid command specified");
}

/* ---- SLOWLOG, LATENCY ------------------------------------------------------------------- */

/* A command that took so long on the core of `client`. */
static void slow(struct client *client, const char *text, uint64_t ms)
{
	char line[256];
	struct slice argv[64];
	snprintf(line, sizeof(line), "%s", text);
	uint32_t argc = split(line, argv, array_len(argv));
	struct core *core = client->session.core;
	struct client_view view = session_view(&client->session);
	core->wall_us += 1000;
	slowlog_note(core, command_find(server.index, argv[0]), argv, argc, ms * 1000000, &view);
}

Test(server, slowlog_merges_cores_by_time)
{
	expect(a, "CLIENT SETNAME first", "+OK");
	expect(a, "SLOWLOG LEN", ":0");
	server.m.core[0]->wall_us = server.m.core[1]->wall_us = 5000000;
	slow(a, "GET k1", 20);
	slow(a, "GET k2", 9); /* below the default threshold */
	server.m.core[1]->wall_us += 10000;
	slow(b, "GET k3", 30);
	expect(a, "SLOWLOG LEN", ":2");
	expect(b, "SLOWLOG GET",
	       "*2 *6 :1 :5 :30000 *2 \"GET\" \"k3\" \"127.0.0.1:50002\" \"\" "
	       "*6 :0 :5 :20000 *2 \"GET\" \"k1\" \"127.0.0.1:50001\" \"first\"");
	expect(b, "SLOWLOG GET 1", "*1 *6 :1 :5 :30000 *2 \"GET\" \"k3\" \"127.0.0.1:50002\" \"\"");
	expect(b, "SLOWLOG GET 0", "*0");
	expect(b, "SLOWLOG GET -2", "-ERR count should be greater than or equal to -1");
	expect(b, "SLOWLOG RESET", "+OK");
	expect(a, "SLOWLOG GET -1", "*0");
}

Test(server, slowlog_finds_a_client_of_another_core)
{
	struct core *core = server.m.core[1];
	struct slice argv[] = {S("GET"), S("k")};
	struct client_view view = session_view(&a->session);
	slowlog_note(core, command_find(server.index, argv[0]), argv, 2, 20000000, &view);
	const char *answer = client_run(b, "SLOWLOG GET");
	cr_assert_not_null(strstr(answer, "\"127.0.0.1:50001\""), "%s", answer);
}

Test(server, slowlog_keeps_the_newest_and_cuts_arguments)
{
	expect(a, "CONFIG SET slowlog-max-len 3", "+OK");
	for (int i = 0; i < 10; i++) {
		char line[32];
		snprintf(line, sizeof(line), "GET k%d", i);
		slow(a, line, 20);
	}
	expect(a, "SLOWLOG LEN", ":3");
	const char *answer = client_run(a, "SLOWLOG GET 2");
	cr_expect_str_eq(field(answer, "\"GET\" ", " "), "\"k9\"");
	expect(a, "CONFIG SET slowlog-max-len 1", "+OK");
	expect(a, "SLOWLOG LEN", ":1");

	char long_word[200], line[256];
	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = 0;
	snprintf(line, sizeof(line), "GET %s", long_word);
	slow(a, line, 20);
	cr_expect_not_null(strstr(client_run(a, "SLOWLOG GET 1"), "xxx... (71 more bytes)\""));
	strcpy(line, "MGET");
	for (int i = 0; i < 40; i++)
		strcat(line, " k");
	slow(a, line, 20);
	answer = client_run(a, "SLOWLOG GET 1");
	cr_expect_not_null(strstr(answer, "*32 \"MGET\""), "%s", answer);
	cr_expect_not_null(strstr(answer, "\"... (10 more arguments)\""), "%s", answer);
}

Test(server, slowlog_shows_no_secrets)
{
	expect(a, "CONFIG SET slowlog-max-len 8", "+OK");
	slow(a, "AUTH sesame", 20);
	slow(a, "HELLO 3 AUTH default sesame SETNAME x", 20);
	slow(a, "CONFIG SET requirepass sesame timeout 3", 20);
	const char *answer = client_run(a, "SLOWLOG GET");
	cr_assert_null(strstr(answer, "sesame"), "%s", answer);
	cr_assert_not_null(strstr(answer, "\"HELLO\" \"3\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"x\""),
	                   "%s", answer);
	cr_assert_not_null(strstr(answer, "\"requirepass\" \"(redacted)\" \"timeout\" \"3\""), "%s", answer);
}

Test(server, latency_remembers_the_worst_of_each_second)
{
	expect(a, "CONFIG SET latency-monitor-threshold 50", "+OK");
	server.m.core[0]->wall_us = server.m.core[1]->wall_us = 5000000;
	slow(a, "GET k", 60);
	slow(b, "GET k", 80);
	slow(b, "GET k", 40);
	server.m.core[1]->wall_us = 7000000;
	slow(b, "GET k", 70);
	slow(b, "KEYS *", 90);
	expect(a, "LATENCY HISTORY fast-command", "*2 *2 :5 :80 *2 :7 :70");
	expect(a, "LATENCY LATEST", "*2 *4 \"fast-command\" :7 :70 :80 *4 \"command\" :7 :90 :90");
	expect(a, "LATENCY GRAPH nope", "-ERR No samples available for event 'nope'");
	expect(a, "LATENCY RESET command nope", ":1");
	expect(a, "LATENCY RESET", ":1");
	expect(a, "LATENCY LATEST", "*0");
	expect(a, "LATENCY HISTORY fast-command", "*0");
}

Test(server, latency_percentiles_are_close)
{
	struct core *core = server.m.core[0];
	uint32_t number = command_number(server.index, command_find(server.index, S("GETBIT")));
	for (uint64_t us = 1; us <= 10000; us++)
		latency_count(core->commands->latency, number, 1, us * 1000);
	const char *info = client_run(a, "INFO latencystats");
	static const struct {
		const char *mark;
		double wanted_us;
	} percentiles[] = {{"usec_getbit:p50=", 5000}, {"p99=", 9900}, {"p99.9=", 9990}};
	const char *at = info;
	for (size_t i = 0; i < array_len(percentiles); i++) {
		at = strstr(at, percentiles[i].mark);
		cr_assert_not_null(at);
		double us = strtod(at + strlen(percentiles[i].mark), NULL);
		cr_assert(us >= percentiles[i].wanted_us && us <= percentiles[i].wanted_us * 1.13, "%s %f",
		          percentiles[i].mark, us);
	}
	expect(a, "LATENCY HISTOGRAM getbit",
	       "%1 \"getbit\" %2 \"calls\" :10000 \"histogram_usec\" %15 :1 :1 :2 :2 :4 :4 :8 :8 :16 :16 :33 :32 :66 "
	       ":65 "
	       ":132 :131 :264 :262 :528 :524 :1056 :1048 :2113 :2097 :4227 :4194 :8454 :8388 :16908 :10000");
}

/* ---- databases -------------------------------------------------------------------------- */

Test(server, flush_forgets_on_every_core)
{
	/* SET runs on its client's core here, whatever its slot: keys on both shards. */
	expect(a, "SET k1 v", "+OK");
	expect(b, "SET k2 v", "+OK");
	expect(a, "SELECT 3", "+OK");
	expect(a, "SET k3 v", "+OK");
	expect(b, "DBSIZE", ":2");
	expect(a, "DBSIZE", ":1");
	expect(b, "FLUSHDB", "+OK");
	expect(b, "DBSIZE", ":0");
	expect(a, "DBSIZE", ":1");
	expect(b, "SET k4 v", "+OK");
	expect(b, "SWAPDB 0 3", "+OK");
	expect(b, "GET k4", "nil");
	expect(a, "DBSIZE", ":1");
	expect(b, "SWAPDB 0 16", "-ERR DB index is out of range");
	expect(b, "SWAPDB x 3", "-ERR invalid first DB index");
	expect(a, "FLUSHALL SYNC", "+OK");
	expect(a, "DBSIZE", ":0");
	expect(b, "DBSIZE", ":0");
	expect(b, "FLUSHALL SOON", "-ERR syntax error");
}

static int stops;
static void count_stop(struct machine *machine) { stops++; }

Test(server, shutdown_asks_the_program)
{
	server.m.machine->stop = count_stop;
	expect(a, "SHUTDOWN ABORT", "-ERR No shutdown in progress.");
	expect(a, "SHUTDOWN LATER", "-ERR syntax error");
	cr_assert_eq(stops, 0);
	expect(a, "SHUTDOWN NOSAVE FORCE", "");
	cr_assert_eq(stops, 1);
}
