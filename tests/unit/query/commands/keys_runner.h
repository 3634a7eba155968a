/* keys_runner.h -- commands as text in, replies as RESP2 out, on cores stepped by hand. */
#pragma once

#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "protocols/resp/render.h"
#include "query/commands/command.h"
#include "tests/unit/engine/core/machine.h"

#include <criterion/criterion.h>

enum { DATABASES = 16, ARGUMENTS_MAX = 32, START_MS = 1700000000000 };

struct runner {
	struct test_machine m;
	struct command_index *index;
	struct client_view client;
	struct buf out;
};

static inline void runner_init(struct runner *r, uint16_t n_cores)
{
	*r = (struct runner){.index = command_index_new(), .client = {.now_ms = START_MS, .resp = 2}};
	test_machine_init(&r->m, n_cores, 1);
	for (uint16_t id = 0; id < n_cores; id++) {
		struct core *core = r->m.core[id];
		core_set_current(core);
		core->shard = shard_new(core, 42);
		core->shard->now_ms = START_MS;
		for (uint32_t db = 0; db < DATABASES; db++)
			core->shard->keyspace_of_db[db] = db;
	}
}

static inline void runner_fini(struct runner *r)
{
	for (uint16_t id = 0; id < r->m.machine->n_cores; id++) {
		core_set_current(r->m.core[id]);
		shard_verify(r->m.core[id]->shard);
		shard_free(r->m.core[id]->shard);
	}
	command_index_free(r->index);
	buf_fini(&r->out);
	test_machine_fini(&r->m);
}

struct running {
	struct exec exec;
	bool done;
};

static inline void run_row(void *arg)
{
	struct running *running = arg;
	enum err err = running->exec.command->run(&running->exec);
	if (err != OK)
		reply_err(running->exec.reply, err);
	running->done = true;
}

/* Runs arguments on the core of their first key, or on core 0; the reply until the next. */
static inline struct slice run_arguments(struct runner *r, const struct slice *argv, uint32_t argc)
{
	r->out.len = 0;
	struct reply reply = {.ops = &resp2_ops, .out = &r->out};
	const struct command *command = command_resolve(r->index, argv, argc, &reply);
	if (!command)
		return buf_slice(&r->out);
	struct core *core = r->m.core[0];
	struct running running = {.exec = {.core = core,
	                                   .shard = core->shard,
	                                   .client = &r->client,
	                                   .command = command,
	                                   .argv = argv,
	                                   .argc = argc,
	                                   .reply = &reply}};
	struct exec *exec = &running.exec;
	uint32_t at;
	if (command_keys(command, argv, argc, &at, 1) > 0) {
		exec->first = exec_key(exec, at);
		exec->core = core = r->m.core[core_of_slot(core, exec->first.slot)];
		exec->shard = core->shard;
	}
	core_set_current(core);
	exec->shard->now_ms = r->client.now_ms;
	if (command->flags & COMMAND_FIBER) {
		fiber_start(core, run_row, &running);
		r->m.io[core->id].woken = true; /* it may have been asleep */
		test_run_until_asleep(&r->m);
	} else {
		run_row(&running);
	}
	cr_assert(running.done);
	return buf_slice(&r->out);
}

/* Words separated by single spaces; two in a row hold an empty one. */
static inline struct slice run(struct runner *r, const char *text)
{
	struct slice argv[ARGUMENTS_MAX];
	uint32_t argc = 0;
	for (const char *at = text;; at++) {
		const char *end = strchrnul(at, ' ');
		cr_assert_lt(argc, ARGUMENTS_MAX);
		argv[argc++] = slice_of(at, (size_t)(end - at));
		at = end;
		if (!*at)
			return run_arguments(r, argv, argc);
	}
}

static inline void expect(struct runner *r, const char *text, const char *reply)
{
	struct slice said = run(r, text);
	cr_expect(slice_equal(said, slice_from_str(reply)), "%s\n  wanted %s  said   %.*s", text, reply, (int)said.len,
	          said.ptr);
}
