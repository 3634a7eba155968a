/* Commands on keys: whatever a client sends, the shard stays sound, and every command says
 * exactly one whole reply. Input: a byte of choices, then requests as a client sends them.
 * They run on a scratch shard, as the rows of the command table that have keys; besides,
 * SELECT changes the database, TICK the time (ms), BACK gives the background a slice, and
 * RESTORE's payload gets the footer that would take too long to guess. */
#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "kernels/checksum/crc64.h"
#include "kernels/cpu.h"
#include "protocols/resp/parse.h"
#include "protocols/resp/render.h"
#include "query/commands/command.h"
#include "tests/fuzz/fuzz.h"

enum { ARGUMENTS_MAX = 256, COMMANDS_MAX = 200, DATABASES = 16, START_MS = 1000000 };

/* Values may grow to this; what would only fill memory is left out. */
enum { GROWTH_MAX = 64 * 1024, GROWTH_REFUSED_FROM = 1 << 29 };

struct world {
	struct shard *shard;
	struct client_view client;
	struct buf out;
	bool verifies_always;
};

/* Read-only once it is made. */
static const struct command_index *command_index(void)
{
	static struct command_index *index;
	if (!index) {
		kernels_init(cpu_features());
		index = command_index_new();
	}
	return index;
}

/* ---- replies ---------------------------------------------------------------------------- */

/* Takes a line with a number off the front, as in "*12\r\n" behind the type. */
static int64_t take_count(struct slice *reply)
{
	const uint8_t *end = memchr(reply->ptr, '\r', reply->len);
	int64_t count;
	fuzz_check(end != NULL);
	fuzz_check(integer_parse(slice_of(reply->ptr, (size_t)(end - reply->ptr)), &count));
	fuzz_check(end + 1 < reply->ptr + reply->len && end[1] == '\n');
	*reply = slice_sub(*reply, (size_t)(end - reply->ptr) + 2, reply->len);
	return count;
}

static void take_line(struct slice *reply)
{
	const uint8_t *end = memchr(reply->ptr, '\n', reply->len);
	fuzz_check(end != NULL);
	fuzz_check(end > reply->ptr && end[-1] == '\r');
	fuzz_check(memchr(reply->ptr, '\r', (size_t)(end - reply->ptr)) == end - 1);
	*reply = slice_sub(*reply, (size_t)(end - reply->ptr) + 1, reply->len);
}

static void take_reply(struct slice *reply, uint8_t resp);

static void take_members(struct slice *reply, int64_t n, uint8_t resp)
{
	for (; n > 0; n--)
		take_reply(reply, resp);
}

static void take_reply(struct slice *reply, uint8_t resp)
{
	fuzz_check(reply->len >= 3);
	uint8_t type = *reply->ptr;
	*reply = slice_sub(*reply, 1, reply->len);
	fuzz_check(strchr(resp == 3 ? "+-:$*%~,#_(=" : "+-:$*", type) != NULL);
	if (strchr("+-:,#_(", type)) {
		take_line(reply);
		return;
	}
	int64_t count = take_count(reply);
	fuzz_check(count >= 0 || (count == -1 && resp == 2));
	if (type == '*' || type == '~')
		take_members(reply, count, resp);
	else if (type == '%')
		take_members(reply, 2 * count, resp);
	else if (count >= 0) {
		fuzz_check(reply->len >= (size_t)count + 2);
		fuzz_check(memcmp(reply->ptr + count, "\r\n", 2) == 0);
		*reply = slice_sub(*reply, (size_t)count + 2, reply->len);
	}
}

static void check_reply(const struct world *world)
{
	struct slice reply = buf_slice(&world->out);
	take_reply(&reply, world->client.resp);
	fuzz_check(reply.len == 0);
}

/* ---- commands ---------------------------------------------------------------------------- */

/* An offset that is allowed and far away would only fill memory with zeros. "#8" is one too. */
static bool is_vast(struct slice argument)
{
	int64_t value;
	if (argument.len > 0 && argument.ptr[0] == '#')
		return integer_parse(slice_sub(argument, 1, argument.len), &value) && value > GROWTH_MAX / 64;
	return integer_parse(argument, &value) && value > GROWTH_MAX && value < 8ll * GROWTH_REFUSED_FROM;
}

static bool grows_far(const struct command *command, const struct slice *argv, uint32_t argc)
{
	static const char *const names[] = {"SETRANGE", "SETBIT", "BITFIELD"};
	for (size_t i = 0; i < array_len(names); i++)
		for (uint32_t at = 1; strcmp(command->name, names[i]) == 0 && at < argc; at++)
			if (is_vast(argv[at]))
				return true;
	return false;
}

static void execute(struct world *world, const struct command *command, const struct slice *argv, uint32_t argc,
                    uint32_t first, struct reply *reply)
{
	struct exec exec = {.shard = world->shard,
	                    .client = &world->client,
	                    .command = command,
	                    .argv = argv,
	                    .argc = argc,
	                    .reply = reply};
	exec.first = exec_key(&exec, first);
	if (command->flags & COMMAND_GROWS && !shard_admit(world->shard)) {
		reply_err(reply, ERR_NO_MEMORY);
		return;
	}
	enum err err = command->run(&exec);
	fuzz_check((err == OK) == (world->out.len > 0));
	if (err != OK)
		reply_err(reply, err);
}

static void run(struct world *world, const struct slice *argv, uint32_t argc)
{
	struct reply reply = {.ops = world->client.resp == 3 ? &resp3_ops : &resp2_ops, .out = &world->out};
	uint32_t keys[ARGUMENTS_MAX];
	world->out.len = 0;
	const struct command *command = command_resolve(command_index(), argv, argc, &reply);
	if (command) {
		int n = command_keys(command, argv, argc, keys, ARGUMENTS_MAX);
		for (int i = 0; i < n; i++)
			fuzz_check(keys[i] > 0 && keys[i] < argc);
		if (n <= 0 || command->flags & COMMAND_FIBER || grows_far(command, argv, argc))
			return;
		execute(world, command, argv, argc, keys[0], &reply);
	}
	check_reply(world);
}

static void run_restore(struct world *world, struct slice *argv, uint32_t argc)
{
	struct buf payload = {0};
	buf_append(&payload, argv[3]);
	buf_append(&payload, S("\x0a\0"));
	uint64_t crc = crc64(0, payload.ptr, payload.len);
	buf_append(&payload, slice_of(&crc, sizeof(crc)));
	argv[3] = buf_slice(&payload);
	run(world, argv, argc);
	buf_fini(&payload);
}

static void set_time(struct world *world, int64_t ms)
{
	world->client.now_ms = world->shard->now_ms = ms;
	world->client.now_us = ms * 1000;
}

static void obey(struct world *world, struct slice *argv, uint32_t argc)
{
	int64_t number = 0;
	uint64_t next_ns;
	bool has_number = argc == 2 && integer_parse(argv[1], &number);
	if (slice_equal_nocase(argv[0], S("TICK"))) {
		if (has_number && number > 0 && number < 1ll << 40)
			set_time(world, world->shard->now_ms + number);
	} else if (slice_equal_nocase(argv[0], S("BACK"))) {
		(void)shard_background(world->shard, 1000000, &next_ns);
	} else if (slice_equal_nocase(argv[0], S("SELECT"))) {
		if (has_number && number >= 0 && number < DATABASES)
			world->client.db = (uint16_t)(world->client.keyspace = (uint32_t)number);
	} else if (slice_equal_nocase(argv[0], S("RESTORE")) && argc > 3) {
		run_restore(world, argv, argc);
	} else {
		run(world, argv, argc);
	}
	if (world->verifies_always)
		shard_verify(world->shard);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static struct world world_of(uint8_t choices)
{
	struct world world = {.shard = shard_new(NULL, 42),
	                      .verifies_always = choices & 2,
	                      .client = {.client_id = 1, .resp = choices & 1 ? 3 : 2, .no_touch = choices & 4}};
	for (uint32_t db = 0; db < DATABASES; db++)
		world.shard->keyspace_of_db[db] = db;
	world.shard->memory_max = choices & 8 ? 64 * 1024 : 0;
	world.shard->policy = (enum eviction_policy)(choices >> 4 & 7);
	set_time(&world, START_MS);
	return world;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct resp_limits limits = {1 << 20, ARGUMENTS_MAX, 64 * 1024, true};
	struct slice stream = slice_of(data, size), argv[ARGUMENTS_MAX];
	struct resp_parser parser = {0};
	command_index();
	struct world world = world_of(fuzz_byte(&stream));
	for (int i = 0; i < COMMANDS_MAX; i++) {
		uint32_t n = 0;
		size_t used = 0;
		enum resp_parsed parsed = resp_parse(&parser, &limits, stream, argv, ARGUMENTS_MAX, &n, &used);
		if (parsed == RESP_PARTIAL || parsed == RESP_BROKEN)
			break;
		if (n > 0 && n <= ARGUMENTS_MAX)
			obey(&world, argv, n);
		stream = slice_sub(stream, used, stream.len);
	}
	shard_verify(world.shard);
	shard_free(world.shard);
	resp_parser_fini(&parser);
	buf_fini(&world.out);
	return 0;
}
