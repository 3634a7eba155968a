/* Scripts: whatever they are and whatever their libraries are given, they end with an answer or an error, in bounds.
 * Input: a byte of choices; then arguments, each behind its length, for one of the calls below, or a script's text. */
#include "kernels/cpu.h"
#include "protocols/resp/render.h"
#include "query/script/state.h"
#include "query/script/values.h"
#include "tests/fuzz/fuzz.h"

enum { ARGUMENTS_MAX = 6, LOOKS_MAX = 200 };

/* What comes back is asked again: bytes that were taken can be said, and are taken once more. */
static const char *const calls[] = {
        "return cjson.encode(cjson.decode(ARGV[1]))",
        "local t = cjson.decode(ARGV[1]) local again = cjson.decode(cjson.encode(t)) return {again, type(t)}",
        "return {cmsgpack.unpack(ARGV[1])}",
        "return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))",
        "return {cmsgpack.unpack(cmsgpack.pack(unpack(ARGV)))}",
        "return {cmsgpack.unpack_one(ARGV[1], tonumber(ARGV[2]))}",
        "return {cmsgpack.unpack_limit(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))}",
        "return {struct.unpack(ARGV[1], ARGV[2], tonumber(ARGV[3]))}",
        "return struct.pack(ARGV[1], tonumber(ARGV[2]) or ARGV[2], tonumber(ARGV[3]) or ARGV[3], tonumber(ARGV[4]))",
        "return {struct.size(ARGV[1]), struct.unpack(ARGV[1], struct.pack(ARGV[1], unpack(ARGV, 2)))}",
        "local r = {} for _, f in pairs({'band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol', 'ror', 'tohex'}) "
        "do "
        "r[#r + 1] = tostring(bit[f](tonumber(ARGV[1]), tonumber(ARGV[2]))) end return r",
        "return {redis.sha1hex(ARGV[1]), tostring(bit.bswap(tonumber(ARGV[2]))), bit.tobit(tonumber(ARGV[2]))}",
        "return string.format(ARGV[1], tonumber(ARGV[2]) or ARGV[2], ARGV[3])",
        "return {string.find(ARGV[1], ARGV[2]), string.gsub(ARGV[1], ARGV[2], ARGV[3], 9)}",
        "redis.setresp(3) return redis.call(unpack(ARGV))",
        "return {redis.pcall(unpack(ARGV)), redis.status_reply(ARGV[1]), redis.error_reply(ARGV[1])}",
        "return {double = tonumber(ARGV[1]), map = ARGV, ok = ARGV[1], err = ARGV[2]}",
        "return loadstring(ARGV[1])()",
};

static bool call(struct script_host *host, const struct slice *argv, uint32_t argc, uint8_t resp, struct reply *reply)
{
	reply_map(reply, 1);
	reply_bulk(reply, argv[0]);
	reply_array(reply, argc);
	for (uint32_t i = 0; i < argc; i++)
		if (i % 3)
			reply_bulk(reply, argv[i]);
		else
			reply_real(reply, (double)argv[i].len / 3);
	return true;
}

static uint32_t looks; /* of the running script */
static bool go_on(struct script_host *host) { return ++looks <= LOOKS_MAX; }
static void say(struct script_host *host, int level, struct slice text) { fuzz_check(level >= 0 && text.ptr); }
static bool knows(struct script_host *host, const struct slice *argv, uint32_t argc) { return argc > 1; }

static struct slice take_argument(struct slice *input)
{
	size_t len = fuzz_byte(input);
	len = len < 255 ? len : 255 + 16 * (size_t)fuzz_byte(input);
	len = len < input->len ? len : input->len;
	struct slice argument = slice_sub(*input, 0, len);
	*input = slice_sub(*input, len, input->len);
	return argument;
}

/* An answer can be said to any client, as one whole reply. */
static void check_answer(const struct buf *record)
{
	const struct reply_ops *const wires[] = {&resp2_ops, &resp3_ops};
	for (size_t i = 0; i < array_len(wires); i++) {
		struct buf out = {0};
		struct reply reply = {.ops = wires[i], .out = &out};
		record_say(record, &reply);
		fuzz_check(out.len >= 3 && memcmp(out.ptr + out.len - 2, "\r\n", 2) == 0);
		buf_fini(&out);
	}
}

static void run(struct script_state *state, struct slice text, const struct slice *args, uint32_t n)
{
	struct script_host host = {.call = call, .go_on = go_on, .log = say, .knows = knows};
	struct buf answer = {0};
	int function = script_compile(state, text, &answer);
	if (function >= 0) {
		struct script_call what = {
		        .function = function, .name = S("it"), .args = args, .n_args = n, .host = &host};
		looks = 0;
		answer.len = 0;
		if (script_run(state, &what, &answer))
			check_answer(&answer);
		script_forget(state, function);
	}
	fuzz_check(script_state_memory(state) <= SCRIPT_MEMORY_MAX);
	buf_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script_state *state;
	kernels_init(cpu_features());
	if (state && script_state_is_spent(state)) {
		script_state_free(state);
		state = NULL;
	}
	if (!state)
		state = script_state_new(SCRIPTS_OF_EVAL);
	uint8_t *own = fuzz_copy(slice_of(data, size));
	struct slice input = slice_of(own, size), args[ARGUMENTS_MAX];
	size_t choice = fuzz_byte(&input);
	if (choice < array_len(calls)) {
		uint32_t n = 0;
		while (n < ARGUMENTS_MAX && input.len > 0)
			args[n++] = take_argument(&input);
		run(state, slice_from_str(calls[choice]), args, n);
	} else {
		run(state, input, &input, 1);
	}
	free(own);
	return 0;
}
