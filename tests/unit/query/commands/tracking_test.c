/* Who tracks on two cores: what is on its way between them, and what is lost there. */
#include "engine/placement/placement.h"
#include "query/commands/tracking.h"
#include "tests/unit/query/commands/whole_server.h"

enum { LARGE = 1 << 20, TOO_MANY = 80 };

static struct client *a, *b;

static void start(void)
{
	server_start(2);
	a = client_new(0);
	b = client_new(1);
	cr_assert_eq(client_run(a, "HELLO 3")[0], '%');
}

TestSuite(tracking, .init = start, .fini = server_stop, .timeout = 120);

static struct key key_of_name(struct slice name)
{
	return (struct key){.name = name, .hash = key_hash(42, name), .slot = slot_of(name)};
}

static void read_there(struct core *there, struct client *client, struct slice name)
{
	struct client_view view = session_view(&client->session);
	struct key key = key_of_name(name);
	core_set_current(there);
	cr_assert(view.tracks & TRACKS_READS);
	tracking_read(there, &view, key.hash, name);
}

static void change_there(struct core *there, struct slice name)
{
	struct key key = key_of_name(name);
	core_set_current(there);
	there->shard->tracked(there->shard, &key, false);
	server.m.io[there->id].woken = true;
}

/* Lets one core run, and not the other. */
static void run_alone(uint16_t id)
{
	while (test_may_run(&server.m, id))
		test_step(&server.m, id);
}

Test(tracking, a_change_elsewhere_is_told_once)
{
	struct core *there = server.m.core[1];
	expect(a, "CLIENT TRACKING ON", "+OK");
	cr_assert_null(there->shard->tracked, "nobody has read anything");
	read_there(there, a, S("k"));
	change_there(there, S("k"));
	cr_assert_null(there->shard->tracked, "nobody keeps anything");
	test_run_until_asleep(&server.m);
	expect_pushed(a, ">2 \"invalidate\" *1 \"k\"");
}

Test(tracking, a_client_that_has_gone_is_passed_by)
{
	struct core *there = server.m.core[1];
	struct client *d = client_new(0);
	expect(a, "CLIENT TRACKING ON", "+OK");
	d->session.resp = 3;
	expect(d, "CLIENT TRACKING ON", "+OK");
	read_there(there, d, S("k"));
	read_there(there, a, S("k"));
	core_set_current(d->session.core);
	tracking_drop(&d->session);
	change_there(there, S("k"));
	test_run_until_asleep(&server.m);
	expect_pushed(d, "");
	expect_pushed(a, ">2 \"invalidate\" *1 \"k\"");
}

Test(tracking, listeners_are_known_everywhere_once_answered)
{
	expect(a, "CLIENT TRACKING ON BCAST", "+OK");
	for (uint16_t id = 0; id < 2; id++)
		cr_assert_not_null(server.m.core[id]->shard->tracked);
	cr_assert(tracking_anywhere(server.m.core[1]));
	expect(a, "CLIENT TRACKING OFF", "+OK");
	test_run_until_asleep(&server.m);
	for (uint16_t id = 0; id < 2; id++)
		cr_assert_null(server.m.core[id]->shard->tracked);
	cr_assert_not(tracking_anywhere(server.m.core[1]));
}

/* A core that does not get on is told less, and in the end that everything has changed. */
Test(tracking, what_is_too_much_becomes_everything)
{
	struct core *there = server.m.core[1];
	static uint8_t name[LARGE];
	expect(a, "CLIENT TRACKING ON", "+OK");
	memset(name, 'x', sizeof(name));
	for (int i = 0; i < TOO_MANY; i++) {
		name[0] = (uint8_t)('!' + i);
		read_there(there, a, slice_of(name, sizeof(name)));
		change_there(there, slice_of(name, sizeof(name)));
		run_alone(1);
	}
	read_there(there, a, S("last"));
	change_there(there, S("last"));
	test_run_until_asleep(&server.m);
	static const char all[] = ">2 \"invalidate\" nil";
	size_t len = a->pushed.len, tail = sizeof(all) - 1;
	cr_assert_lt(len, (size_t)TOO_MANY * LARGE);
	cr_assert_gt(len, tail);
	cr_expect(memcmp(a->pushed.ptr + len - tail, all, tail) == 0, "%.100s", a->pushed.ptr + len - 100);
	a->pushed.len = 0;
	read_there(there, a, S("next"));
	change_there(there, S("next"));
	test_run_until_asleep(&server.m);
	expect_pushed(a, ">2 \"invalidate\" *1 \"next\"");
}
