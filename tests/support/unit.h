/* unit.h -- Criterion; under ThreadSanitizer a stand-in for the part of it that tests of
 * threads use, since Criterion's runner and TSan want the same addresses.
 *
 * Each test runs in a process of its own, fails at the first false assertion, and is ended
 * when its time is up. To be included by one file of a program.
 */
#pragma once

#ifndef __SANITIZE_THREAD__
#include <criterion/criterion.h>
#else

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct unit_options {
	void (*init)(void);
	void (*fini)(void);
	double timeout;
};

struct unit_test {
	const char *suite, *name;
	void (*run)(void);
	struct unit_options options;
	const struct unit_options *suite_options;
	struct unit_test *next;
};

static struct unit_test *unit_tests;

#define TestSuite(suite_, ...) \
	static const struct unit_options unit_options_##suite_ __attribute__((unused)) = {__VA_ARGS__}

/* A suite without TestSuite() has no options: the tentative definition stands for it. */
#define Test(suite_, name_, ...)                                                                     \
	static const struct unit_options unit_options_##suite_;                                      \
	static void unit_run_##suite_##_##name_(void);                                               \
	static struct unit_test unit_##suite_##_##name_ = {.suite = #suite_,                         \
	                                                   .name = #name_,                           \
	                                                   .run = unit_run_##suite_##_##name_,       \
	                                                   .options = {__VA_ARGS__},                 \
	                                                   .suite_options = &unit_options_##suite_}; \
	__attribute__((constructor)) static void unit_enlist_##suite_##_##name_(void)                \
	{                                                                                            \
		unit_##suite_##_##name_.next = unit_tests;                                           \
		unit_tests = &unit_##suite_##_##name_;                                               \
	}                                                                                            \
	static void unit_run_##suite_##_##name_(void)

#define cr_assert(condition, ...)                                                       \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			fprintf(stderr, "  " __VA_ARGS__);                              \
			fputc('\n', stderr);                                            \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)
#define cr_assert_not(a, ...)       cr_assert(!(a), ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...)     cr_assert((a) == (b), ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...)    cr_assert((a) != (b), ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...)     cr_assert((a) < (b), ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...)    cr_assert((a) <= (b), ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...)     cr_assert((a) > (b), ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...)    cr_assert((a) >= (b), ##__VA_ARGS__)
#define cr_assert_null(a, ...)      cr_assert(!(a), ##__VA_ARGS__)
#define cr_assert_not_null(a, ...)  cr_assert((a), ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp((a), (b)) == 0, ##__VA_ARGS__)
#define cr_skip_test(...)           _exit(0)

static int unit_run_one(const struct unit_test *test)
{
	const struct unit_options *own = &test->options, *suite = test->suite_options;
	double timeout = own->timeout > 0 ? own->timeout : suite->timeout;
	pid_t child = fork();
	if (child == 0) {
		alarm(timeout > 0 ? 1 + (unsigned)timeout : 120);
		if (own->init || suite->init)
			(own->init ? own->init : suite->init)();
		test->run();
		if (own->fini || suite->fini)
			(own->fini ? own->fini : suite->fini)();
		exit(0); /* through TSan, which says here what it found */
	}
	int status = 0;
	waitpid(child, &status, 0);
	if (status != 0)
		fprintf(stderr, "[FAIL] %s::%s: status %x\n", test->suite, test->name, (unsigned)status);
	return status == 0;
}

int main(int argc, char **argv)
{
	int tested = 0, passing = 0;
	for (const struct unit_test *test = unit_tests; test; test = test->next) {
		if (argc > 1 && !strstr(test->name, argv[1]))
			continue;
		tested++;
		passing += unit_run_one(test);
	}
	printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: 0\n", tested, passing,
	       tested - passing);
	return tested != passing;
}

#endif
