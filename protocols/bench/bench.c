#include "protocols/bench/bench.h"

#include "engine/io/os.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "protocols/bench/report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };
enum { SAME_SIGNAL_NS = 300 * 1000 * 1000 };

static void say(const char *text)
{
	struct buf line = {0};
	buf_printf(&line, "orbit bench: %s\n", text);
	os_stderr(buf_slice(&line));
	buf_fini(&line);
}

/* ---- before and after ------------------------------------------------------------------- */

static void greet(struct bench *bench, int n_words, const char *const *words)
{
	say_array(&bench->greeting, (uint64_t)n_words);
	for (int i = 0; i < n_words; i++)
		say_word(&bench->greeting, slice_from_str(words[i]));
	bench->greeting_replies++;
}

static void greeting_init(struct bench *bench)
{
	const struct options *o = &bench->options;
	char db[24];
	snprintf(db, sizeof(db), "%llu", (unsigned long long)o->db);
	if (o->password[0])
		greet(bench, 2, (const char *const[]){"AUTH", o->password});
	if (o->resp3)
		greet(bench, 2, (const char *const[]){"HELLO", "3"});
	if (o->db)
		greet(bench, 2, (const char *const[]){"SELECT", db});
}

static void workers_init(struct bench *bench)
{
	const struct options *o = &bench->options;
	bench->workers = memory_zalloc(o->threads * sizeof(*bench->workers));
	for (uint64_t i = 0; i < o->threads; i++) {
		struct worker *worker = &bench->workers[i];
		worker->bench = bench;
		worker->id = (uint16_t)i;
		worker->client_first = o->connections * i / o->threads;
		worker->n_clients = o->connections * (i + 1) / o->threads - worker->client_first;
		worker->interrupt.run = worker_interrupt;
	}
}

static void bench_init(struct bench *bench)
{
	const struct options *o = &bench->options;
	bench->machine = machine_new((uint16_t)o->threads);
	bench->machine->log_level = LOG_NOTHING; /* a stall of ours is nobody's concern */
	bench->noise = speaker_noise_new((uint32_t)o->value_size, o->verify ? 0 : o->seed); /* those written by another run too */
	bench->progress = !o->quiet && isatty(STDERR_FILENO);
	greeting_init(bench);
	workers_init(bench);
	pthread_barrier_init(&bench->joined, NULL, (unsigned)o->threads + 1);
	pthread_barrier_init(&bench->left, NULL, (unsigned)o->threads + 1);
}

static void bench_fini(struct bench *bench)
{
	pthread_barrier_destroy(&bench->joined);
	pthread_barrier_destroy(&bench->left);
	memory_free(bench->workers);
	memory_free((void *)bench->noise);
	buf_fini(&bench->greeting);
	machine_free(bench->machine);
}

/* ---- the main thread -------------------------------------------------------------------- */

/* The first signal ends the run and reports what there is; a later one ends the program. One
 * that follows at once is the same: timeout(1) signals the process, and then its group. */
static void interrupt(struct bench *bench)
{
	uint64_t now_ns = os_now_ns();
	if (atomic_exchange(&bench->interrupted, true)) {
		if (now_ns - bench->interrupted_ns > SAME_SIGNAL_NS)
			_exit(EXIT_FAILED);
		return;
	}
	bench->interrupted_ns = now_ns;
	for (uint64_t i = 0; i < bench->options.threads; i++)
		core_errand(bench->machine->cores[i], &bench->workers[i].interrupt);
}

/* The last core to end raises a signal too. The cores are there until `left`. */
static void wait_for_end(struct bench *bench)
{
	while (!atomic_load(&bench->finished)) {
		int signal = os_signal_wait();
		if (signal != SIGHUP && !atomic_load(&bench->finished))
			interrupt(bench);
	}
}

static bool threads_start(struct bench *bench)
{
	const struct options *o = &bench->options;
	for (uint64_t i = 0; i < o->threads; i++) {
		char name[16];
		snprintf(name, sizeof(name), "bench %u", (unsigned)i);
		if (os_thread_start(&bench->workers[i].thread, o->n_cpus ? o->cpus[i] : -1, name, worker_main,
		                    &bench->workers[i]) < 0)
			return false;
	}
	return true;
}

static void run(struct bench *bench)
{
	if (!threads_start(bench)) {
		say("cannot start a thread");
		_exit(EXIT_FAILED); /* the others wait for it: there is no way back */
	}
	pthread_barrier_wait(&bench->joined);
	if (!atomic_load(&bench->unmade))
		wait_for_end(bench);
	pthread_barrier_wait(&bench->left);
	for (uint64_t i = 0; i < bench->options.threads; i++)
		os_thread_join(bench->workers[i].thread);
	if (bench->progress)
		os_stderr(S("\r\033[K"));
}

static int report(const struct bench *bench)
{
	if (bench->unmade || bench->failed) {
		say(bench->why);
		return EXIT_FAILED;
	}
	struct buf out = {0};
	if (bench->options.json)
		report_json(bench, &out);
	else
		report_table(bench, &out);
	os_stdout(buf_slice(&out));
	buf_fini(&out);
	return EXIT_DONE;
}

static int help(void)
{
	struct buf out = {0};
	options_help(&out);
	os_stdout(buf_slice(&out));
	buf_fini(&out);
	return EXIT_DONE;
}

static int bench_with(struct bench *bench, int argc, char **argv)
{
	char why[512];
	if (!options_read(&bench->options, argc, argv, why, sizeof(why))) {
		say(why);
		return EXIT_USAGE;
	}
	if (bench->options.help)
		return help();
	os_files_max_raise();
	os_signals_block();
	bench_init(bench);
	run(bench);
	int status = report(bench);
	bench_fini(bench);
	return status;
}

int bench_main(int argc, char **argv, char *const *environment)
{
	struct bench *bench = memory_zalloc(sizeof(*bench));
	int status = bench_with(bench, argc, argv);
	memory_free(bench);
	return status;
}
