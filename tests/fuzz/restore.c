/* RESTORE: of any payload it takes or refuses, the shard stays sound; and what it took is said by DUMP in a form that
 * is taken again and says the same. Input: a byte of choices, then a payload without its footer. */
#include "kernels/checksum/crc64.h"
#include "kernels/cpu.h"
#include "protocols/resp/render.h"
#include "query/commands/command.h"
#include "tests/fuzz/fuzz.h"

enum { VERSION = 10 };

struct world {
	const struct command_index *commands;
	struct shard *shard;
	struct client_view client;
};

/* The answer, good until the next. */
static struct slice run(const struct world *world, const struct slice *argv, uint32_t argc, struct buf *out)
{
	struct reply reply = {.ops = &resp2_ops, .out = out};
	struct exec exec = {.shard = world->shard,
	                    .client = &world->client,
	                    .command = command_resolve(world->commands, argv, argc, &reply),
	                    .argv = argv,
	                    .argc = argc,
	                    .reply = &reply};
	fuzz_check(exec.command != NULL);
	out->len = 0;
	exec.first = exec_key(&exec, 1);
	enum err err = exec.command->run(&exec);
	if (err != OK)
		reply_err(&reply, err);
	return buf_slice(out);
}

static bool restore(const struct world *world, struct slice name, struct slice payload)
{
	struct buf out = {0};
	struct slice argv[] = {S("RESTORE"), name, S("0"), payload, S("REPLACE")};
	struct slice answer = run(world, argv, array_len(argv), &out);
	bool taken = answer.ptr[0] == '+';
	fuzz_check(taken || answer.ptr[0] == '-');
	buf_fini(&out);
	return taken;
}

/* Appends the payload of a key that is there. */
static void dump(const struct world *world, struct slice name, struct buf *to)
{
	struct buf out = {0};
	struct slice argv[] = {S("DUMP"), name};
	struct slice answer = run(world, argv, array_len(argv), &out);
	fuzz_check(answer.ptr[0] == '$' && answer.ptr[1] != '-');
	const uint8_t *text = (const uint8_t *)memchr(answer.ptr, '\n', answer.len) + 1;
	buf_append(to, slice_of(text, (size_t)(answer.ptr + answer.len - text) - 2));
	buf_fini(&out);
}

static void append_footer(struct buf *payload)
{
	buf_byte(payload, VERSION);
	buf_byte(payload, 0);
	uint64_t crc = crc64(0, payload->ptr, payload->len);
	buf_append(payload, slice_of(&crc, sizeof(crc)));
}

/* Small limits make large forms of what is short. */
static void set_limits(struct shard *shard, uint8_t choices)
{
	if (choices & 1)
		shard->collections =
		        (struct collection_settings){.list_leaf = 3, .list_compress_depth = 1, .stream_entries = 2};
}

static void check(const struct world *world, struct slice payload)
{
	struct buf first = {0}, second = {0};
	if (restore(world, S("a"), payload)) {
		shard_verify(world->shard);
		dump(world, S("a"), &first);
		fuzz_check(restore(world, S("a"), buf_slice(&first)));
		shard_verify(world->shard);
		dump(world, S("a"), &second);
		fuzz_check(slice_equal(buf_slice(&first), buf_slice(&second)));
	}
	shard_verify(world->shard);
	buf_fini(&first);
	buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct command_index *commands;
	if (!commands) {
		kernels_init(cpu_features());
		commands = command_index_new();
	}
	struct slice input = slice_of(data, size);
	struct world world = {.commands = commands,
	                      .shard = shard_new(NULL, 42),
	                      .client = {.client_id = 1, .resp = 2, .now_ms = 1000}};
	world.shard->now_ms = world.client.now_ms;
	set_limits(world.shard, fuzz_byte(&input));
	struct buf payload = {0};
	buf_append(&payload, input);
	append_footer(&payload);
	uint8_t *own = fuzz_copy(buf_slice(&payload));
	check(&world, slice_of(own, payload.len));
	free(own);
	buf_fini(&payload);
	shard_free(world.shard);
	return 0;
}
