#include "tests/unit/engine/io/plain/criterion/criterion.h"

struct plain_test *plain_tests;

/* Runs all, or those whose name has the first argument in it. */
int main(int argc, char **argv)
{
	int n = 0;
	for (struct plain_test *test = plain_tests; test; test = test->next) {
		if (argc > 1 && !strstr(test->name, argv[1]))
			continue;
		fprintf(stderr, "%s\n", test->name);
		test->run();
		n++;
	}
	printf("Tested: %d | Passing: %d | Failing: 0 | Crashing: 0\n", n, n);
	return 0;
}
