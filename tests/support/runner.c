#include "tests/support/runner.h"

#include "kernels/cpu.h"
#include "query/commands/command.h"
#include "tests/support/recorder.h"

#include <stdlib.h>

enum { WORDS_MAX = 256 };

/* A test program runs one test at a time, each in its own process. */
static struct {
	struct shard *shard;
	struct command_index *index;
	struct client_view client;
	struct buf answer;
	struct buf words;
	struct buf *loans;
	uint64_t changes_seen;
} runner;

void runner_start(void)
{
	kernels_init(cpu_features());
	runner.index = command_index_new();
	runner.shard = shard_new(NULL, 42);
	runner.client = (struct client_view){.client_id = 1, .resp = 2};
	runner_wait(RUNNER_START_MS);
}

void runner_stop(void)
{
	shard_verify(runner.shard);
	shard_free(runner.shard);
	command_index_free(runner.index);
	buf_fini(&runner.answer);
	buf_fini(&runner.words);
}

struct shard *runner_shard(void) { return runner.shard; }

void runner_wait(int64_t ms)
{
	runner.client.now_ms += ms;
	runner.client.now_us += ms * 1000;
	runner.shard->now_ms = runner.client.now_ms;
}

void runner_set_no_touch(bool no_touch) { runner.client.no_touch = no_touch; }

void runner_lend(struct buf *loans) { runner.loans = loans; }

uint64_t runner_changes(void)
{
	uint64_t n = runner.shard->changes - runner.changes_seen;
	runner.changes_seen = runner.shard->changes;
	return n;
}

static void run_resolved(const struct command *command, const struct slice *argv, uint32_t argc, struct reply *reply)
{
	struct exec exec = {
	        .shard = runner.shard,
	        .client = &runner.client,
	        .command = command,
	        .argv = argv,
	        .argc = argc,
	        .reply = reply,
	};
	uint32_t first;
	if (command_keys(command, argv, argc, &first, 1) > 0)
		exec.first = exec_key(&exec, first);
	size_t said = reply->out->len;
	enum err err = command->run(&exec);
	assert((err == OK) == (reply->out->len > said)); /* exactly one of the two */
	if (err != OK)
		reply_err(reply, err);
}

const char *runner_run_words(const struct slice *argv, uint32_t argc)
{
	runner.answer.len = 0;
	struct reply reply = {.ops = &recorder_ops, .out = &runner.answer, .loans = runner.loans};
	const struct command *command = command_resolve(runner.index, argv, argc, &reply);
	if (command)
		run_resolved(command, argv, argc, &reply);
	buf_byte(&runner.answer, '\0');
	return (const char *)runner.answer.ptr;
}

/* Takes one byte of a word off `*at`. */
static uint8_t take_byte(const char **at)
{
	if ((*at)[0] != '\\' || (*at)[1] != 'x')
		return (uint8_t)(*(*at)++);
	char digits[3] = {(*at)[2], (*at)[3], '\0'};
	*at += 4;
	return (uint8_t)strtoul(digits, NULL, 16);
}

/* Takes one word off `*at`. Words lie in runner.words, which has room for the whole line. */
static struct slice take_word(const char **at)
{
	size_t from = runner.words.len;
	char end = ' ';
	if (**at == '\'')
		end = *(*at)++;
	while (**at && **at != end)
		buf_byte(&runner.words, take_byte(at));
	if (**at && end == '\'')
		(*at)++;
	return slice_of(runner.words.ptr + from, runner.words.len - from);
}

const char *runner_run(const char *line)
{
	struct slice argv[WORDS_MAX];
	uint32_t argc = 0;
	runner.words.len = 0;
	buf_reserve(&runner.words, strlen(line) + 1);
	while (*line) {
		if (*line == ' ') {
			line++;
			continue;
		}
		assert(argc < WORDS_MAX);
		argv[argc++] = take_word(&line);
	}
	return runner_run_words(argv, argc);
}
