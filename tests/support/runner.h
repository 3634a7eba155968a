/* runner.h -- runs commands on a scratch shard, for tests of the command room.
 *
 * What      A command is one line: words divided by spaces; 'a b' keeps spaces, and \xNN
 *           in any word is a byte. Its answer is text as in recorder.h.
 * Owner     One runner for each test; between runner_start() and runner_stop().
 * Time      Stands still at RUNNER_START_MS until runner_wait().
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"
#include "storage/keyspace/keyspace.h"

#include <stdint.h>

enum { RUNNER_START_MS = 1000000 };

void runner_start(void);
void runner_stop(void);
struct shard *runner_shard(void);
void runner_wait(int64_t ms);
void runner_set_no_touch(bool no_touch);

/* From now on values may be lent, to `loans`; NULL: they are copied. */
void runner_lend(struct buf *loans);

/* The answer; good until the next call. */
const char *runner_run(const char *line);
const char *runner_run_words(const struct slice *argv, uint32_t argc);

/* How many keys changed since the last call. */
uint64_t runner_changes(void);

/* Runs a line and insists on its answer; prints both if they differ. */
#define expect(line, answer)                                                                          \
	do {                                                                                          \
		const char *answer_ = runner_run(line);                                               \
		cr_expect_str_eq(answer_, answer, "%s\n   is: %s\n  not: %s", line, answer_, answer); \
	} while (0)
#define given(line) ((void)runner_run(line))

/* An answer to several lines that differ in nothing else. */
#define WRONG_TYPE   "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INTEGER  "-ERR value is not an integer or out of range"
#define SYNTAX_ERROR "-ERR syntax error"
