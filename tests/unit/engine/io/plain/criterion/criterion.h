/* criterion.h -- as much of Criterion as tests of threads need, under the thread sanitizer.
 *
 * Criterion keeps its state in memory it shares with its workers at a fixed address, where
 * the thread sanitizer has its shadow: it cannot start. Here tests run one after another in
 * this process, and the first that fails ends it.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_test {
	const char *name;
	void (*run)(void);
	struct plain_test *next;
};

extern struct plain_test *plain_tests;

#define Test(suite, title, ...)                                                        \
	static void suite##_##title(void);                                             \
	__attribute__((constructor)) static void suite##_##title##_join(void)          \
	{                                                                              \
		static struct plain_test test = {#suite "::" #title, suite##_##title}; \
		test.next = plain_tests;                                               \
		plain_tests = &test;                                                   \
	}                                                                              \
	static void suite##_##title(void)

/* The text after the condition may be missing, so it is the first of what varies. */
#define cr_assert(...) plain_assert_(__VA_ARGS__, "")
#define plain_assert_(condition, ...)                                                   \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)
#define cr_assert_fail(...)         plain_assert_(false, "")
#define cr_assert_not(a, ...)       plain_assert_(!(a), "")
#define cr_assert_null(a, ...)      plain_assert_(!(a), "")
#define cr_assert_not_null(a, ...)  plain_assert_((a) != NULL, "")
#define cr_assert_eq(a, b, ...)     plain_assert_((a) == (b), "")
#define cr_assert_neq(a, b, ...)    plain_assert_((a) != (b), "")
#define cr_assert_lt(a, b, ...)     plain_assert_((a) < (b), "")
#define cr_assert_leq(a, b, ...)    plain_assert_((a) <= (b), "")
#define cr_assert_gt(a, b, ...)     plain_assert_((a) > (b), "")
#define cr_assert_geq(a, b, ...)    plain_assert_((a) >= (b), "")
#define cr_assert_str_eq(a, b, ...) plain_assert_(strcmp(a, b) == 0, "")
