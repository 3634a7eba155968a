/* The connection and pub/sub groups, on two cores. */
#include "tests/unit/query/commands/whole_server.h"

static struct client *a, *b, *c;

static void start(void)
{
	server_start(2);
	a = client_new(0);
	b = client_new(1);
	c = client_new(1);
}

TestSuite(client, .init = start, .fini = server_stop, .timeout = 60);

/* ---- connections ------------------------------------------------------------------------ */

Test(client, hello_says_who_answers)
{
	expect(a, "HELLO 3 SETNAME me",
	       "%7 \"server\" \"redis\" \"version\" \"7.2.0\" \"proto\" :3 \"id\" :1 \"mode\" \"standalone\" \"role\" "
	       "\"master\" \"modules\" *0");
	cr_assert_eq(a->session.resp, 3);
	expect(a, "CLIENT GETNAME", "\"me\"");
	expect(a, "HELLO 4", "-NOPROTO unsupported protocol version");
	expect(a, "HELLO 2 SETNAME 'a b'", "-ERR Client names cannot contain spaces, newlines or special characters.");
	expect(a, "HELLO 2 NAME x", "-ERR Syntax error in HELLO option 'NAME'");
	cr_assert_eq(a->session.resp, 3);
}

Test(client, passwords_are_asked_for)
{
	expect(a, "AUTH default anything", "+OK");
	expect(a, "CONFIG SET requirepass sesame", "+OK");
	struct client *d = client_new(0);
	cr_assert_not(d->session.authenticated);
	static const char *const wrong[] = {"AUTH x",         "AUTH sesam",       "AUTH sesamesesame",     "AUTH ''",
	                                    "AUTH default x", "AUTH root sesame", "HELLO 3 AUTH default x"};
	for (size_t i = 0; i < array_len(wrong); i++)
		expect(d, wrong[i], "-WRONGPASS invalid username-password pair or user is disabled.");
	cr_assert_not(d->session.authenticated);
	expect(d, "AUTH a b c", "-ERR syntax error");
	cr_assert_str_eq(field(client_run(d, "HELLO"), "-", " "), "NOAUTH");
	expect(d, "AUTH sesame", "+OK");
	cr_assert(d->session.authenticated);
	expect(d, "RESET", "+RESET");
	cr_assert_not(d->session.authenticated);
	cr_assert_eq(client_run(d, "HELLO 3 AUTH default sesame")[0], '%');
}

Test(client, list_shows_all_cores)
{
	expect(b, "CLIENT SETNAME bee", "+OK");
	expect(b, "CLIENT SETINFO LIB-NAME lib", "+OK");
	expect(b, "SELECT 4", "+OK");
	const char *list = client_run(a, "CLIENT LIST");
	cr_expect_not_null(strstr(list, "id=1 addr=127.0.0.1:50001 laddr=127.0.0.1:6379 fd=11 name= "), "%s", list);
	cr_expect_not_null(strstr(list, "id=2 addr=127.0.0.1:50002"), "%s", list);
	cr_expect_str_eq(field(list, "name=bee ", " multi"), "age=0 idle=0 flags=N db=4 sub=0 psub=0 ssub=0");
	cr_expect_not_null(strstr(list, "cmd=select user=default redir=-1 resp=2 lib-name=lib lib-ver=\\x0a"), "%s",
	                   list);
	list = client_run(a, "CLIENT LIST ID 3 99 1");
	cr_expect_str_eq(field(list, "\"", " "), "id=3");
	cr_expect_not_null(strstr(list, "\\x0aid=1 "));
	cr_expect_null(strstr(list, "id=2 "));
	expect(a, "CLIENT LIST TYPE replica", "=txt\"\"");
}

Test(client, kill_finds_its_clients)
{
	expect(a, "CLIENT KILL ID 2", ":1");
	cr_expect(b->closed);
	cr_expect_not(c->closed);
	expect(a, "CLIENT KILL 127.0.0.1:50003", "+OK");
	cr_expect(c->closed);
	expect(a, "CLIENT KILL 127.0.0.1:1", "-ERR No such client");
	expect(a, "CLIENT KILL ID 1", ":0");
	cr_expect_not(a->closed);
	expect(a, "CLIENT KILL ID 1 SKIPME no", ":1");
	cr_expect(a->closed);
}

Test(client, pauses_add_up)
{
	const struct commands *there = server.m.core[1]->commands;
	expect(a, "CLIENT PAUSE 1000 WRITE", "+OK");
	cr_expect(there->paused_writes_only);
	uint64_t until_ns = there->clients_paused_until_ns;
	cr_expect_gt(until_ns, 0);
	expect(a, "CLIENT PAUSE 10 ALL", "+OK");
	cr_expect_not(there->paused_writes_only);
	cr_expect_eq(there->clients_paused_until_ns, until_ns);
	expect(a, "CLIENT UNPAUSE", "+OK");
	cr_expect_eq(there->clients_paused_until_ns, 0);
}

/* ---- pub/sub ---------------------------------------------------------------------------- */

Test(client, messages_reach_all_cores)
{
	expect(a, "SUBSCRIBE x y x", ">3 \"subscribe\" \"x\" :1 >3 \"subscribe\" \"y\" :2 >3 \"subscribe\" \"x\" :2");
	expect(b, "PSUBSCRIBE x*", ">3 \"psubscribe\" \"x*\" :1");
	expect(b, "SUBSCRIBE x", ">3 \"subscribe\" \"x\" :2");
	expect(b, "SSUBSCRIBE x", ">3 \"ssubscribe\" \"x\" :1");
	expect(c, "PUBLISH x hello", ":3");
	expect_pushed(a, ">3 \"message\" \"x\" \"hello\"");
	expect_pushed(b, ">3 \"message\" \"x\" \"hello\" >4 \"pmessage\" \"x*\" \"x\" \"hello\"");
	expect(c, "SPUBLISH x shard", ":1");
	expect_pushed(b, ">3 \"smessage\" \"x\" \"shard\"");
	expect(c, "PUBLISH nobody m", ":0");
	expect(c, "PUBSUB CHANNELS", "*2 \"x\" \"y\"");
	expect(c, "PUBSUB CHANNELS y*", "*1 \"y\"");
	expect(c, "PUBSUB NUMSUB x y z", "*6 \"x\" :2 \"y\" :1 \"z\" :0");
	expect(c, "PUBSUB SHARDNUMSUB x", "*2 \"x\" :1");
	expect(c, "PUBSUB NUMPAT", ":1");
	expect(b, "UNSUBSCRIBE", ">3 \"unsubscribe\" \"x\" :1");
	expect(b, "UNSUBSCRIBE", ">3 \"unsubscribe\" nil :1");
	expect(b, "PUNSUBSCRIBE z x*", ">3 \"punsubscribe\" \"z\" :1 >3 \"punsubscribe\" \"x*\" :0");
	expect(b, "SUNSUBSCRIBE", ">3 \"sunsubscribe\" \"x\" :0");
	cr_expect_null(b->session.subscriptions);
	expect(c, "PUBLISH x hello", ":1");
}

static uint64_t messages_sent(void)
{
	uint64_t n = 0;
	for (uint16_t i = 0; i < server.m.machine->n_cores; i++)
		n += reactor_stats(server.m.machine->cores[i])->messages_sent;
	return n;
}

Test(client, no_message_goes_where_nobody_listens)
{
	expect(b, "SUBSCRIBE x", ">3 \"subscribe\" \"x\" :1");
	uint64_t before = messages_sent();
	expect(c, "PUBLISH x m", ":1"); /* on its own core */
	expect(b, "UNSUBSCRIBE x", ">3 \"unsubscribe\" \"x\" :0");
	expect(a, "PUBLISH x m", ":0");
	cr_expect_eq(messages_sent(), before);
}

/* Topics come and go at random; a model knows who listens to what. */
Test(client, subscriptions_agree_with_a_model)
{
	enum { NAMES = 150 };
	static bool listens[3][NAMES];
	struct client *clients[] = {a, b, c};
	uint64_t seed = 99;
	char line[64], wanted[64];
	for (int i = 0; i < 4000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		unsigned who = (unsigned)(seed >> 33) % 3, name = (unsigned)(seed >> 40) % NAMES;
		switch ((seed >> 60) % 4) {
		case 0:
		case 1:
			snprintf(line, sizeof(line), "SUBSCRIBE n%u", name);
			listens[who][name] = true;
			(void)client_run(clients[who], line);
			break;
		case 2:
			snprintf(line, sizeof(line), "UNSUBSCRIBE n%u", name);
			listens[who][name] = false;
			(void)client_run(clients[who], line);
			break;
		default:
			if (i % 50 == 0) {
				(void)client_run(clients[who], "UNSUBSCRIBE");
				memset(listens[who], 0, sizeof(listens[who]));
			}
			snprintf(line, sizeof(line), "PUBLISH n%u %d", name, i);
			snprintf(wanted, sizeof(wanted), ":%d", listens[0][name] + listens[1][name] + listens[2][name]);
			for (int j = 0; j < 3; j++)
				(void)client_pushes(clients[j]);
			expect(clients[who], line, wanted);
			for (int j = 0; j < 3; j++) {
				snprintf(wanted, sizeof(wanted), ">3 \"message\" \"n%u\" \"%d\"", name, i);
				expect_pushed(clients[j], listens[j][name] ? wanted : "");
			}
		}
	}
}

/* Two publishers at once, cores stepped in any order: each one's messages stay in order. */
Test(client, messages_of_a_publisher_stay_in_order)
{
	struct client *d = client_new(0);
	expect(a, "PSUBSCRIBE *", ">3 \"psubscribe\" \"*\" :1");
	expect(b, "SUBSCRIBE c", ">3 \"subscribe\" \"c\" :1");
	for (int i = 0; i < 100; i++) {
		char line[64];
		snprintf(line, sizeof(line), "PUBLISH c c%d", i);
		client_begin(c, line);
		snprintf(line, sizeof(line), "PUBLISH c d%d", i);
		client_begin(d, line);
		cr_assert_str_eq(client_end(c), ":2");
		cr_assert_str_eq(client_end(d), ":2");
	}
	for (char from = 'c'; from <= 'd'; from++) {
		buf_byte(&b->pushed, 0);
		const char *at = (const char *)b->pushed.ptr;
		for (int i = 0; i < 100; i++) {
			char wanted[64];
			snprintf(wanted, sizeof(wanted), "\"%c%d\"", from, i);
			at = strstr(at, wanted);
			cr_assert_not_null(at, "%s is missing or early", wanted);
		}
		b->pushed.len--;
	}
}
