/* The checker by itself, on histories made by hand: what has an order, and what has none. */
#include "tests/sim/check.h"

#include <criterion/criterion.h>

static struct history history;
static FILE *nowhere;

static void begin(void)
{
	history_init(&history);
	nowhere = fopen("/dev/null", "w");
}

static void end(void)
{
	fclose(nowhere);
	history_fini(&history);
}

TestSuite(check, .init = begin, .fini = end);

static uint32_t text(const char *words) { return text_id(history.texts, slice_from_str(words)); }

/* Asked and answered at these moments; NEVER: not answered, and `reply` NULL. */
static struct operation *add(uint16_t client, uint64_t invoked, uint64_t responded, struct step step, const char *reply)
{
	struct operation *operation = history_at(&history, history_add(&history, 1));
	operation->client = client;
	operation->resp = 2;
	operation->invoked = invoked;
	operation->responded = responded;
	operation->reply = reply ? text(reply) : TEXT_NONE;
	operation->steps[0] = step;
	return operation;
}

static struct step set(uint8_t key, const char *value)
{
	return (struct step){.verb = SET, .n = 1, .keys[0] = key, .values[0] = text(value)};
}

static struct step get(uint8_t key) { return (struct step){.verb = GET, .n = 1, .keys[0] = key}; }

static enum verdict verdict(void) { return check_history(&history, 1000000, nowhere).verdict; }

Test(check, a_read_sees_the_write_before_it)
{
	add(0, 1, 2, set(0, "a"), "+OK\r\n");
	add(1, 3, 4, get(0), "$1\r\na\r\n");
	cr_assert_eq(verdict(), LINEARIZABLE);
}

Test(check, a_read_may_not_be_stale)
{
	add(0, 1, 2, set(0, "a"), "+OK\r\n");
	add(0, 3, 4, set(0, "b"), "+OK\r\n");
	add(1, 5, 6, get(0), "$1\r\na\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, what_overlaps_may_come_in_any_order)
{
	add(0, 1, 10, set(0, "a"), "+OK\r\n");
	add(1, 2, 9, set(0, "b"), "+OK\r\n");
	add(2, 11, 12, get(0), "$1\r\na\r\n");
	cr_assert_eq(verdict(), LINEARIZABLE);
}

Test(check, but_all_see_the_same_order)
{
	add(0, 1, 10, set(0, "a"), "+OK\r\n");
	add(1, 2, 9, set(0, "b"), "+OK\r\n");
	add(2, 3, 4, get(0), "$1\r\na\r\n");
	add(2, 5, 6, get(0), "$1\r\nb\r\n");
	add(3, 3, 4, get(0), "$1\r\nb\r\n");
	add(3, 5, 6, get(0), "$1\r\na\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, a_session_keeps_its_order_on_a_key)
{
	add(0, 1, 10, set(0, "a"), "+OK\r\n");
	add(0, 2, 9, get(0), "$-1\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, what_was_never_answered_may_have_been_done)
{
	add(0, 1, NEVER, set(0, "a"), NULL);
	add(1, 5, 6, get(0), "$1\r\na\r\n");
	cr_assert_eq(verdict(), LINEARIZABLE);
}

Test(check, or_not)
{
	add(0, 1, NEVER, set(0, "a"), NULL);
	add(1, 5, 6, get(0), "$-1\r\n");
	cr_assert_eq(verdict(), LINEARIZABLE);
}

Test(check, but_not_after_its_death)
{
	add(0, 1, NEVER, set(0, "a"), NULL)->dead = 4;
	add(1, 5, 6, get(0), "$-1\r\n");
	add(1, 7, 8, get(0), "$1\r\na\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, several_keys_change_at_once)
{
	struct step both = {.verb = MSET, .n = 2, .keys = {0, 1}, .values = {text("a"), text("a")}};
	struct step look = {.verb = MGET, .n = 2, .keys = {0, 1}};
	add(0, 1, 10, both, "+OK\r\n");
	add(1, 2, 9, look, "*2\r\n$1\r\na\r\n$-1\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, flushing_nothing_may_have_to_wait_until_there_is_something)
{
	add(0, 1, 10, (struct step){.verb = FLUSHALL}, "+OK\r\n");
	add(1, 2, 3, set(0, "a"), "+OK\r\n");
	add(1, 4, 5, get(0), "$1\r\na\r\n");
	add(1, 6, 7, get(0), "$-1\r\n");
	cr_assert_eq(verdict(), LINEARIZABLE);
}

Test(check, a_watch_that_was_broken_refuses)
{
	add(0, 1, 2, (struct step){.verb = WATCH, .n = 1, .keys[0] = 0, .replace = true}, "+OK\r\n");
	add(1, 3, 4, set(0, "a"), "+OK\r\n");
	add(0, 5, 6, (struct step){.verb = EXEC}, "*0\r\n")->watched = slot_bit(0, 0);
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, a_watch_that_was_not_broken_lets_pass)
{
	add(0, 1, 2, (struct step){.verb = WATCH, .n = 1, .keys[0] = 0, .replace = true}, "+OK\r\n");
	add(1, 3, 4, set(1, "a"), "+OK\r\n");
	add(0, 5, 6, (struct step){.verb = EXEC}, "*-1\r\n")->watched = slot_bit(0, 0);
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

/* EXEC of SET 0 and SET 1, of which the second could not be done. */
static void add_transaction(const char *reply)
{
	struct operation *operation = history_at(&history, history_add(&history, 3));
	operation->resp = 2;
	operation->invoked = 3;
	operation->responded = 4;
	operation->reply = text(reply);
	operation->steps[0] = (struct step){.verb = EXEC};
	operation->steps[1] = set(0, "b");
	operation->steps[2] = set(1, "b");
}

Test(check, a_step_that_cannot_be_done_leaves_the_others)
{
	add(0, 1, 2, set(1, "a"), "+OK\r\n");
	add_transaction("*2\r\n+OK\r\n-IOERR the value is lost\r\n");
	add(0, 5, 6, get(0), "$1\r\nb\r\n");
	add(0, 7, 8, get(1), "$1\r\na\r\n");
	cr_assert_eq(verdict(), LINEARIZABLE);
}

Test(check, and_changes_nothing)
{
	add(0, 1, 2, set(1, "a"), "+OK\r\n");
	add_transaction("*2\r\n+OK\r\n-IOERR the value is lost\r\n");
	add(0, 5, 6, get(1), "$1\r\nb\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, nor_does_it_stop_the_others)
{
	add(0, 1, 2, set(0, "a"), "+OK\r\n");
	add_transaction("*2\r\n+OK\r\n-IOERR the value is lost\r\n");
	add(0, 5, 6, get(0), "$1\r\na\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}

Test(check, but_a_log_that_has_stopped_does)
{
	add(0, 1, 2, set(1, "a"), "+OK\r\n");
	add_transaction("*2\r\n+OK\r\n-IOERR the log has stopped\r\n");
	add(0, 5, 6, get(1), "$1\r\na\r\n");
	cr_assert_eq(verdict(), NOT_LINEARIZABLE);
}
