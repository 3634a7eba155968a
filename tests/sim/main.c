/* The simulator's program.
 *
 *   sim --seed S            one seed, loudly
 *   sim --from A --seeds N  a row of seeds; each is run in a child, so that one that stops
 *                           the program is told like any other. Each twentieth runs twice.
 *   --durable               the server keeps a data directory through many lives
 *   --trouble WORD          what is wrong with its disk in each seed: none, slow, fails, full, lies, flips
 *   --play WORD             what each seed is made to play: contention, pipelines, waits, scripts, tracking, hurry,
 * recycling
 *   --failures N            ends with the Nth failure
 *   --seconds T             ends after that time
 *
 * The last line is `N passed, N failed, N skipped`.
 */
#include "kernels/cpu.h"
#include "query/commands/command.h"
#include "tests/sim/lives.h"
#include "tests/sim/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TWICE_EVERY = 20, FAILURES_MAX = 20, GIVEN_UP_ONE_IN = 100 };

/* What child and parent both see. */
struct shared {
	uint64_t next; /* the seed to run, or that runs */
	uint64_t passed, failed, given_up;
	uint64_t operations, steps, search_steps, search_steps_most, virtual_ns;
	struct tally tally;
};

struct arguments {
	uint64_t from, seeds, seed, seconds, failures;
	bool one, durable;
	enum disk_trouble trouble; /* TROUBLES: as seeds say */
	enum play play;
};

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct outcome play(const struct arguments *arguments, uint64_t seed, const struct command_index *index,
                           struct tally *tally)
{
	return arguments->durable
	               ? run_lives(seed, arguments->trouble, arguments->play, index, tally, arguments->one, stdout)
	               : run_seed(seed, arguments->play, index, arguments->one, stdout);
}

static bool run_one(const struct arguments *arguments, uint64_t seed, const struct command_index *index,
                    struct shared *shared)
{
	struct outcome outcome = play(arguments, seed, index, &shared->tally);
	bool passed = outcome.passed;
	if (passed && seed % TWICE_EVERY == 0) {
		struct tally ignored = {0};
		struct outcome again = play(arguments, seed, index, &ignored);
		if (again.trace != outcome.trace) {
			printf("seed %llu: two runs differ\n", (unsigned long long)seed);
			passed = false;
		}
	}
	shared->operations += outcome.operations;
	shared->steps += outcome.steps;
	shared->virtual_ns += outcome.virtual_ns;
	shared->search_steps += outcome.search_steps;
	shared->given_up += outcome.given_up;
	if (outcome.search_steps > shared->search_steps_most)
		shared->search_steps_most = outcome.search_steps;
	return passed;
}

static void child_run(const struct arguments *arguments, struct shared *shared, const struct command_index *index,
                      double until)
{
	uint64_t end = arguments->from + arguments->seeds;
	while (shared->next < end && (until == 0 || seconds_now() < until)) {
		bool passed = run_one(arguments, shared->next, index, shared);
		fflush(stdout);
		if (!passed)
			_exit(1); /* what the failed run left behind goes with us */
		shared->passed++;
		shared->next++;
		if (arguments->durable)
			_exit(0); /* worlds that have crashed go with us, or each fork of a trial would copy their pages
			           */
	}
}

static int run_row(const struct arguments *arguments)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double start = seconds_now(), until = arguments->seconds ? start + (double)arguments->seconds : 0;
	uint64_t end = arguments->from + arguments->seeds;
	struct command_index *index = command_index_new();
	shared->next = arguments->from;
	while (shared->next < end && (until == 0 || seconds_now() < until)) {
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			child_run(arguments, shared, index, until);
			exit(0); /* leaks are looked for here */
		}
		int status;
		waitpid(child, &status, 0);
		if (status == 0)
			continue;
		if (WIFSIGNALED(status))
			printf("seed %llu: stopped by signal %d\n", (unsigned long long)shared->next, WTERMSIG(status));
		else if (shared->next == end)
			printf("at the end: exit %d\n", WEXITSTATUS(status));
		shared->failed++;
		shared->next++;
		if (shared->failed >= arguments->failures)
			break;
	}
	command_index_free(index);
	double took = seconds_now() - start;
	uint64_t n = shared->passed + shared->failed;
	printf("%llu seeds in %.1f s (%.0f a second), %llu operations, %llu steps, %.1f s of virtual time, "
	       "%llu steps of search (at most %llu), %llu searches given up\n",
	       (unsigned long long)n, took, (double)n / took, (unsigned long long)shared->operations,
	       (unsigned long long)shared->steps, (double)shared->virtual_ns / 1e9,
	       (unsigned long long)shared->search_steps, (unsigned long long)shared->search_steps_most,
	       (unsigned long long)shared->given_up);
	if (shared->given_up > 1 + n / GIVEN_UP_ONE_IN) {
		printf("more searches were given up than one in %d\n", GIVEN_UP_ONE_IN);
		shared->failed++;
	}
	if (arguments->durable)
		tally_print(&shared->tally, stdout);
	printf("%llu passed, %llu failed, 0 skipped\n", (unsigned long long)shared->passed,
	       (unsigned long long)shared->failed);
	return shared->failed > 0;
}

static uint64_t number_behind(int argc, char **argv, const char *name, uint64_t otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return strtoull(argv[i + 1], NULL, 10);
	return otherwise;
}

static bool is_said(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

/* Which of these words stands behind the name; `n`: none. */
static int word_behind(int argc, char **argv, const char *name, const char *const *words, int n)
{
	for (int i = 1; i + 1 < argc; i++)
		for (int word = 0; word < n && strcmp(argv[i], name) == 0; word++)
			if (strcmp(argv[i + 1], words[word]) == 0)
				return word;
	return n;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
	        .one = is_said(argc, argv, "--seed"),
	        .durable = is_said(argc, argv, "--durable"),
	        .trouble = (enum disk_trouble)word_behind(argc, argv, "--trouble", trouble_names, TROUBLES),
	        .play = (enum play)(word_behind(argc, argv, "--play", play_names, PLAYS) % PLAYS),
	        .seed = number_behind(argc, argv, "--seed", 0),
	        .from = number_behind(argc, argv, "--from", 1),
	        .seeds = number_behind(argc, argv, "--seeds", 100),
	        .seconds = number_behind(argc, argv, "--seconds", 0),
	        .failures = number_behind(argc, argv, "--failures", FAILURES_MAX),
	};
	kernels_init(cpu_features());
	if (!arguments.one)
		return run_row(&arguments);
	struct command_index *index = command_index_new();
	struct tally tally = {0};
	struct outcome outcome = play(&arguments, arguments.seed, index, &tally);
	if (arguments.durable)
		tally_print(&tally, stdout);
	printf("%s: trace %016llx, %llu steps, %u operations, %llu steps of search, %.3f ms of virtual time\n",
	       outcome.passed ? "passed" : outcome.kind, (unsigned long long)outcome.trace,
	       (unsigned long long)outcome.steps, outcome.operations, (unsigned long long)outcome.search_steps,
	       (double)outcome.virtual_ns / 1e6);
	printf("%d passed, %d failed, 0 skipped\n", outcome.passed, !outcome.passed);
	fflush(stdout);
	if (!outcome.passed || arguments.durable)
		_exit(!outcome.passed);
	command_index_free(index);
	return 0;
}
