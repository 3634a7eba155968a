/* Credit, parking, order, and no lost wake, over random schedules of the loop's stages. */
#include "tests/unit/engine/core/machine.h"

static struct test_machine m;

static void teardown(void) { test_machine_fini(&m); }

TestSuite(message, .fini = teardown, .timeout = 120);

/* ---- a model: every core numbers what it sends to each; numbers must arrive in order -- */

struct flow {
	uint64_t sent, arrived, answered;
};
static struct flow flows[TEST_CORES_MAX][TEST_CORES_MAX];

static void on_answer(struct core *core, struct message *message)
{
	flows[core->id][message->from].answered++;
	cr_assert_eq(message->kind, MESSAGE_REPLY);
}

static void arrive(struct core *core, const struct message *message)
{
	struct flow *flow = &flows[message->from][core->id];
	cr_assert_eq(message->args[0].word, flow->arrived, "messages overtake each other");
	flow->arrived++;
}

static void on_request(struct core *core, struct message *message)
{
	arrive(core, message);
	core_reply(core, message->from, &(struct message){.run = on_answer});
}

static void on_post(struct core *core, struct message *message) { arrive(core, message); }

static void send_one(struct core *core, uint16_t to, bool request)
{
	struct flow *flow = &flows[core->id][to];
	struct message message = {.run = request ? on_request : on_post, .args[0].word = flow->sent++};
	if (request)
		core_request(core, to, &message);
	else
		core_post(core, to, &message), flow->answered++; /* as good as answered */
}

static void expect_all_arrived(void)
{
	for (uint16_t a = 0; a < m.machine->n_cores; a++)
		for (uint16_t b = 0; b < m.machine->n_cores; b++) {
			cr_assert_eq(flows[a][b].arrived, flows[a][b].sent, "%u to %u: %lu of %lu", a, b,
			             flows[a][b].arrived, flows[a][b].sent);
			cr_assert_eq(flows[a][b].answered, flows[a][b].sent);
		}
}

/* ---- tests ------------------------------------------------------------------------------ */

Test(message, request_and_reply_cross)
{
	test_machine_init(&m, 2, 1);
	send_one(m.core[0], 1, true);
	test_run_until_asleep(&m);
	expect_all_arrived();
	cr_assert_eq(flows[0][1].sent, 1);
}

Test(message, to_the_own_core_arrives_in_the_next_turn)
{
	test_machine_init(&m, 1, 1);
	send_one(m.core[0], 0, true);
	send_one(m.core[0], 0, false);
	cr_assert_eq(flows[0][0].arrived, 0);
	test_step(&m, 0);
	cr_assert_eq(flows[0][0].arrived, 2);
	cr_assert_eq(flows[0][0].answered, 1);
	test_step(&m, 0);
	cr_assert_eq(flows[0][0].answered, 2);
}

/* Far more than fits, before anybody reads. */
Test(message, what_is_beyond_the_credit_is_parked_and_goes_out_in_order)
{
	test_machine_init(&m, 2, 2);
	for (int i = 0; i < 5000; i++)
		send_one(m.core[0], 1, i % 3 != 0);
	cr_assert_eq(m.core[0]->reactor->peers[1].parked.n, 5000 - RING_CREDIT);
	test_run_until_asleep(&m);
	expect_all_arrived();
	cr_assert_eq(m.core[0]->reactor->parked, 0);
}

Test(message, posts_alone_give_their_credit_back)
{
	test_machine_init(&m, 2, 3);
	for (int i = 0; i < 5000; i++)
		send_one(m.core[0], 1, false);
	test_run_until_asleep(&m);
	expect_all_arrived();
}

/* Replies that wait for each other would show as an assertion of ring_stage(). */
Test(message, both_sides_flood_each_other)
{
	test_machine_init(&m, 2, 4);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 3000; i++) {
			send_one(m.core[0], 1, true);
			send_one(m.core[1], 0, i % 2);
		}
		for (int i = 0; i < 100; i++)
			test_step(&m, (uint16_t)(test_random(&m) % 2));
	}
	test_run_until_asleep(&m);
	expect_all_arrived();
}

/* Answers come late, after the handlers returned. */
static uint16_t late_from[4096];
static int n_late;
static void on_late(struct core *core, struct message *message)
{
	arrive(core, message);
	late_from[n_late++] = message->from;
}

Test(message, no_credit_comes_back_before_the_reply)
{
	test_machine_init(&m, 2, 5);
	for (int i = 0; i < 1000; i++)
		core_request(m.core[0], 1, &(struct message){.run = on_late, .args[0].word = flows[0][1].sent++});
	test_run_until_asleep(&m);
	cr_assert_eq(n_late, RING_CREDIT);
	for (int answered = 0; answered < 1000;) {
		core_reply(m.core[1], late_from[answered++], &(struct message){.run = on_answer});
		m.io[1].woken = true; /* as the event that made it answer does */
		test_run_until_asleep(&m);
		cr_assert_eq(n_late, answered + RING_CREDIT < 1000 ? answered + RING_CREDIT : 1000);
	}
	expect_all_arrived();
}

/* ---- random schedules ------------------------------------------------------------------- */

static int to_send;

static int send_some(void *arg)
{
	struct core *core = arg;
	if (to_send == 0 || test_random(&m) % 4)
		return 0;
	uint64_t burst = test_random(&m) % 16 ? 1 + test_random(&m) % 4 : test_random(&m) % 900;
	for (; burst && to_send; burst--, to_send--)
		send_one(core, (uint16_t)(test_random(&m) % core->n_cores), test_random(&m) % 3);
	return 1;
}

/* Sends come from completions, at any moment; in the end all cores sleep, and whatever has
 * not arrived then never would. */
Test(message, no_wake_is_lost_under_any_schedule)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		memset(flows, 0, sizeof(flows));
		test_machine_init(&m, (uint16_t)(2 + seed % 3), seed * 7919);
		to_send = 3000;
		for (uint16_t id = 0; id < m.machine->n_cores; id++) {
			m.io[id].completes = send_some;
			m.io[id].completes_arg = m.core[id];
		}
		while (to_send) { /* an event on some core */
			uint16_t id = (uint16_t)(test_random(&m) % m.machine->n_cores);
			m.io[id].woken = true;
			for (uint64_t steps = test_random(&m) % 100; steps; steps--) {
				uint16_t which = (uint16_t)(test_random(&m) % m.machine->n_cores);
				if (test_may_run(&m, which))
					test_step(&m, which);
			}
		}
		test_run_until_asleep(&m);
		expect_all_arrived();
		if (seed < 300)
			test_machine_fini(&m);
	}
}

Test(message, a_sleeper_is_woken_once)
{
	test_machine_init(&m, 3, 6);
	test_run_until_asleep(&m);
	for (int i = 0; i < 10; i++)
		send_one(m.core[0], 2, true);
	m.io[0].woken = m.io[1].woken = true;
	do
		test_step(&m, 0);
	while (m.core[0]->reactor->stage != REACTOR_ARM);
	send_one(m.core[1], 2, true);
	do
		test_step(&m, 1);
	while (m.core[1]->reactor->stage != REACTOR_ARM);
	cr_assert_eq(m.io[2].wakes, 1);
	test_run_until_asleep(&m);
	expect_all_arrived();
}

/* ---- errands ------------------------------------------------------------------------------ */

struct numbered_errand {
	struct errand errand;
	int number;
};
static int errands_run;

static void on_errand(struct core *core, struct errand *errand)
{
	cr_assert_eq(container_of(errand, struct numbered_errand, errand)->number, errands_run++);
}

Test(message, errands_run_in_order_and_wake)
{
	test_machine_init(&m, 1, 7);
	test_run_until_asleep(&m);
	struct numbered_errand errands[3];
	for (int i = 0; i < 3; i++) {
		errands[i] = (struct numbered_errand){.errand.run = on_errand, .number = i};
		core_errand(m.core[0], &errands[i].errand);
	}
	cr_assert_eq(m.io[0].wakes, 1);
	test_run_until_asleep(&m);
	cr_assert_eq(errands_run, 3);
}

/* Between the last look at the errands and the announcement of sleep. */
Test(message, an_errand_at_the_edge_of_sleep_is_seen)
{
	test_machine_init(&m, 1, 8);
	do
		test_step(&m, 0);
	while (m.core[0]->reactor->stage != REACTOR_ARM);
	struct numbered_errand late = {.errand.run = on_errand};
	core_errand(m.core[0], &late.errand);
	test_run_until_asleep(&m);
	cr_assert_eq(errands_run, 1);
}
