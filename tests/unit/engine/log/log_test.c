#include "engine/log/log.h"

#include "tests/unit/engine/core/machine.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct test_machine m;
static int pipe_ends[2], stderr_kept;
static char text[8192];

static void setup(void)
{
	test_machine_init(&m, 2, 1);
	cr_assert_eq(pipe2(pipe_ends, O_NONBLOCK), 0);
	stderr_kept = dup(STDERR_FILENO);
	dup2(pipe_ends[1], STDERR_FILENO);
}

static void teardown(void)
{
	dup2(stderr_kept, STDERR_FILENO);
	test_machine_fini(&m);
}

/* What was logged since, and standard error as it was. */
static const char *logged(void)
{
	ssize_t n = read(pipe_ends[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	return text;
}

TestSuite(log, .init = setup, .fini = teardown);

Test(log, a_line_says_when_who_and_what)
{
	core_set_current(m.core[1]);
	m.io[1].now_ns = 1795388400123ull * 1000000;
	log_notice("%d keys", 42);
	cr_assert_str_eq(logged(), "2026-11-22T23:00:00.123Z notice core 1: 42 keys\n");
	core_set_current(NULL);
	log_warning("no core");
	cr_assert_str_eq(strstr(logged(), "Z "), "Z warning no core\n");
}

Test(log, levels_below_the_setting_are_dropped)
{
	core_set_current(m.core[0]);
	log_debug("unseen");
	log_line(LOG_VERBOSE, "unseen");
	cr_assert_str_eq(logged(), "");
	atomic_store(&m.machine->log_level, LOG_DEBUG);
	log_debug("seen");
	cr_assert_not_null(strstr(logged(), "debug core 0: seen\n"));
	atomic_store(&m.machine->log_level, LOG_NOTHING);
	log_warning("unseen");
	cr_assert_str_eq(logged(), "");
}

Test(log, a_line_is_one_line_and_not_endless)
{
	char endless[5000];
	memset(endless, 'x', sizeof(endless));
	endless[sizeof(endless) - 1] = 0;
	log_notice("a\nb\x1b[2J\tc");
	cr_assert_not_null(strstr(logged(), "a?b?[2J?c\n"));
	log_notice("%s", endless);
	size_t len = strlen(logged());
	cr_assert(len > 900 && len <= 1024, "%zu", len);
	cr_assert_eq(strchr(text, '\n'), text + len - 1);
}
