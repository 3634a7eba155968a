/* One Lua and a host that is a table of answers: the sandbox, conversions both ways, bounds, and ends. */
#include "query/script/state.h"

#include "query/script/values.h"
#include "tests/support/unit.h"

#include <string.h>

/* A host whose one command says its second argument in the kind that the first names. */
struct host {
	struct script_host host;
	uint32_t looks, looks_max; /* it is killed past these */
	bool unwanted;
	uint8_t resp;
};

static struct script_state *state;
static struct host host;
static struct buf answer;

static bool call(struct script_host *of, const struct slice *argv, uint32_t argc, uint8_t resp, struct reply *reply)
{
	host.resp = resp;
	if (host.unwanted)
		return false;
	if (slice_equal(argv[0], S("null")))
		reply_null(reply);
	else if (slice_equal(argv[0], S("real")))
		reply_real(reply, 1.5);
	else if (slice_equal(argv[0], S("map")))
		reply_map(reply, 1), reply_str(reply, "key"), reply_integer(reply, 7);
	else if (slice_equal(argv[0], S("set")))
		reply_set(reply, 2), reply_str(reply, "one"), reply_boolean(reply, true);
	else if (slice_equal(argv[0], S("error")))
		reply_error_fmt(reply, "WRONG thing");
	else
		reply_array(reply, argc), ({
			for (uint32_t i = 0; i < argc; i++)
				reply_bulk(reply, argv[i]);
		});
	return true;
}

static bool go_on(struct script_host *of) { return ++host.looks <= host.looks_max; }
static void say(struct script_host *of, int level, struct slice text) {}
static bool knows(struct script_host *of, const struct slice *argv, uint32_t argc) { return true; }

static void start(void)
{
	state = script_state_new(SCRIPTS_OF_EVAL);
	host = (struct host){.host = {.call = call, .go_on = go_on, .log = say, .knows = knows},
	                     .looks_max = UINT32_MAX};
}

static void stop(void)
{
	script_state_free(state);
	buf_fini(&answer);
}

TestSuite(script_state, .init = start, .fini = stop, .timeout = 60);

/* What a script's answer looks like in a plain form: i7 "text" +status -error [ ... ] n(il) t f. */
static struct buf shown;
static void show(struct reply *reply, const char *format, struct slice text)
{
	buf_printf(&shown, format, (int)text.len, text.ptr);
}
static void show_null(struct reply *reply) { buf_printf(&shown, "n "); }
static void show_simple(struct reply *reply, struct slice text) { show(reply, "+%.*s ", text); }
static void show_error(struct reply *reply, struct slice text) { show(reply, "-%.*s ", text); }
static void show_bulk(struct reply *reply, struct slice text) { show(reply, "\"%.*s\" ", text); }
static void show_integer(struct reply *reply, int64_t value) { buf_printf(&shown, "i%lld ", (long long)value); }
static void show_real(struct reply *reply, double value) { buf_printf(&shown, "d%g ", value); }
static void show_boolean(struct reply *reply, bool value) { buf_printf(&shown, value ? "t " : "f "); }
static void show_array(struct reply *reply, size_t n) { buf_printf(&shown, "[%zu ", n); }
static void show_map(struct reply *reply, size_t n) { buf_printf(&shown, "{%zu ", n); }
static void show_set(struct reply *reply, size_t n) { buf_printf(&shown, "(%zu ", n); }
static const struct reply_ops show_ops = {
        .null = show_null,
        .null_array = show_null,
        .simple = show_simple,
        .error = show_error,
        .bulk = show_bulk,
        .integer = show_integer,
        .real = show_real,
        .boolean = show_boolean,
        .array = show_array,
        .map = show_map,
        .set = show_set,
};

static bool run(const char *text)
{
	struct slice keys[] = {S("k")}, args[] = {S("a1"), S("a2")};
	int function = script_compile(state, slice_from_str(text), &answer);
	cr_assert_geq(function, 0, "%s: %.*s", text, (int)answer.len, answer.ptr);
	struct script_call what = {.function = function,
	                           .name = S("NAME"),
	                           .keys = keys,
	                           .n_keys = 1,
	                           .args = args,
	                           .n_args = 2,
	                           .host = &host.host};
	answer.len = 0;
	bool wanted = script_run(state, &what, &answer);
	script_forget(state, function);
	return wanted;
}

static void answers(const char *text, const char *expected)
{
	cr_expect(run(text), "%s", text);
	struct reply reply = {.ops = &show_ops, .out = &shown};
	shown.len = 0;
	record_say(&answer, &reply);
	buf_byte(&shown, 0);
	cr_expect(strstr((const char *)shown.ptr, expected) == (const char *)shown.ptr, "%s: %s, not %s", text,
	          shown.ptr, expected);
	buf_fini(&shown);
}

Test(script_state, arguments_and_answers)
{
	answers("return {KEYS[1], ARGV[1], ARGV[2], #KEYS}", "[4 \"k\" \"a1\" \"a2\" i1 ");
	answers("return redis.call('x', 1, 1.5, 2^53, -0.0, 1e15)",
	        "[6 \"x\" \"1\" \"1.5\" \"9007199254740992\" \"-0\" \"1000000000000000\" ");
	answers("return {1.9, 'x', true, false, {}, nil}", "[5 i1 \"x\" i1 n [0 ");
	answers("return {ok = 'a\\nb'}", "+a b ");
	answers("return {err = 'E x'}", "-E x ");
	answers("redis.setresp(3) return {true, false, {map = {a = 1}}, {set = {b = true}}, {double = 0.5}}",
	        "[5 t f {1 \"a\" i1 (1 \"b\" d0.5 ");
	cr_expect_eq(host.resp, 2);
}

Test(script_state, answers_of_commands_in_both_versions)
{
	answers("return {redis.call('null') == false, redis.call('real'), redis.call('map'), redis.call('set')}",
	        "[4 i1 \"1.5\" [2 \"key\" i7 [2 \"one\" i1 ");
	answers("redis.setresp(3) return {redis.call('null') == nil, redis.call('real').double, "
	        "redis.call('map').map.key, "
	        "redis.call('set').set.one, redis.call('set').set[true]}",
	        "[5 t i1 i7 t t ");
	answers("return redis.pcall('error')", "-WRONG thing ");
	answers("return redis.pcall('error').err", "\"WRONG thing\" ");
	answers("\nredis.call('error')", "-WRONG thing script: NAME, on @user_script:2. ");
	answers("return {pcall(redis.call, 'error')}", "[2 n \"WRONG thing\" ");
}

Test(script_state, tables_are_read_only)
{
	static const char *const changes[] = {"x = 1",
	                                      "_G.x = 1",
	                                      "redis.x = 1",
	                                      "string.len = nil",
	                                      "rawset(_G, 'x', 1)",
	                                      "rawset(string, 'x', 1)",
	                                      "table.insert(math, 1)",
	                                      "setmetatable(redis, {})",
	                                      "setmetatable(_G, nil)",
	                                      "getmetatable('').__index = nil",
	                                      "getmetatable('').__index.upper = nil",
	                                      "function f() end",
	                                      "math.pi = 3"};
	for (size_t i = 0; i < array_len(changes); i++) {
		cr_expect(run(changes[i]));
		cr_expect(record_is_error(&answer), "%s", changes[i]);
	}
	answers("local n = 0 for k, v in pairs(_G) do if type(v) == 'table' then n = n + 1 end end return n", "i12 ");
	answers("return {type(rawget(redis, 'call')), rawget(_G, 'x') == nil, next(bit) ~= nil, ('x'):upper()}",
	        "[4 \"function\" i1 i1 \"X\" ");
	/* Whatever the tables hand out must not lead behind them. */
	answers("local seen, bad = {}, 0 "
	        "local function walk(t) if seen[t] then return end seen[t] = true "
	        "if pcall(rawset, t, 'x', 1) then bad = bad + 1 end "
	        "for k, v in pairs(t) do if type(v) == 'table' then walk(v) end end end "
	        "walk(_G) walk({getmetatable(''), getmetatable(_G)}) return bad",
	        "i3 "); /* KEYS, ARGV, and that of the walk */
}

Test(script_state, ends_when_its_host_says_so)
{
	host.looks_max = 100;
	answers("while true do pcall(function() while true do end end) end", "-ERR Script killed by user");
	host.looks_max = UINT32_MAX;
	answers("return 1", "i1 ");
	host.looks = 0;
	host.looks_max = 100;
	answers("local c = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) "
	        "c()",
	        "-ERR Script killed by user");
	host.looks_max = UINT32_MAX;
	host.unwanted = true;
	cr_expect_not(run("pcall(redis.call, 'x') pcall(redis.call, 'x') while true do pcall(redis.call, 'x') end"));
	cr_expect_eq(answer.len, 0);
	host.unwanted = false;
	answers("return redis.call('x')", "[1 \"x\" ");
}

Test(script_state, memory_is_bounded_and_given_back)
{
	answers("local t = {} while true do t[#t + 1] = string.rep('x', 1e6) .. #t end",
	        "-ERR Error running script NAME, not "
	        "enough memory");
	cr_expect_lt(script_state_memory(state), 1024 * 1024);
	answers("local t = {} for i = 1, 1e4 do t[i] = {} end return #t", "i10000 ");
	answers("return #string.rep('x', 3e8)", "-ERR user_script:1: not enough memory");
}

Test(script_state, text_that_is_no_script)
{
	cr_expect_lt(script_compile(state, S("return +"), &answer), 0);
	cr_expect(strstr((const char *)answer.ptr, "user_script:1: unexpected symbol near '+'"));
	answer.len = 0;
	cr_expect_lt(script_compile(state, S("\x1bLua"), &answer), 0);
	answers("return 1", "i1 ");
}

#define LARGE "local t = {} for i = 1, 1e5 do t[i] = -i end "

/* How often the host is asked while a script of few instructions runs. */
static uint32_t looks_of(const char *text)
{
	host.looks = 0;
	cr_expect(run(text), "%s", text);
	return host.looks;
}

Test(script_state, few_instructions_that_do_much_are_looked_at)
{
	cr_expect_eq(looks_of("local s = 0 for i = 1, 100 do s = s + i end return s"), 0);
	cr_expect_gt(looks_of("for i = 1, 40 do local s = string.rep('x', 1e6) end"), 5);
	cr_expect_gt(looks_of("local s = string.rep('x', 1e6) for i = 1, 40 do local t = s .. i end"), 5);
	cr_expect_gt(looks_of("local s = string.rep('x', 1e6) for i = 1, 40 do s:upper() end"), 5);
	cr_expect_gt(looks_of("local s = string.rep('x', 1e6) for i = 1, 40 do s:find('y') end"), 5);
	cr_expect_gt(looks_of("local s = string.rep('x', 1e6) for i = 1, 40 do redis.sha1hex(s) end"), 5);
	cr_expect_gt(looks_of("local s = string.rep('x', 1e6) for i = 1, 40 do collectgarbage() end"), 5);
	uint32_t filled = looks_of(LARGE);
	cr_expect_gt(looks_of(LARGE "for i = 1, 40 do table.insert(t, 1, i) end"), filled + 5);
	cr_expect_gt(looks_of(LARGE "for i = 1, 40 do table.remove(t, 1) end"), filled + 5);
	cr_expect_lt(looks_of(LARGE "for i = 1, 40 do table.insert(t, i) end"), filled + 5);
	cr_expect_gt(looks_of(LARGE "table.sort(t) return t[1]"), filled + 500);
	answers("local t = {} for i = 1, 5000 do t[i] = i % 100 end table.sort(t) return {t[1], t[5000]}",
	        "[2 i0 i99 ");
	answers("local t = {} for i = 1, 5000 do t[i] = i end t[2500] = 'x' table.sort(t)", "-ERR attempt to compare");
}

Test(script_state, is_ended_in_the_midst_of_few_instructions)
{
	host.looks_max = 3;
	answers("while true do pcall(string.rep, 'x', 1e6) end", "-ERR Script killed by user with SCRIPT KILL...");
	answers("local t = {} while true do pcall(table.concat, {string.rep('x', 1e6), 'y'}) end",
	        "-ERR Script killed by user with SCRIPT KILL...");
}

/* ---- libraries ---------------------------------------------------------------------- */

static struct buf registered_names;
static void on_registered(struct script_loader *loader, const struct script_function *function)
{
	buf_printf(&registered_names, "%.*s:%u ", (int)function->name.len, function->name.ptr, function->flags);
}

static int load(const char *text)
{
	struct script_loader loader = {.host = &host.host, .registered = on_registered};
	registered_names.len = answer.len = 0;
	return script_load_library(state, slice_from_str(text), &loader, &answer);
}

static void start_library(void)
{
	script_state_free(state);
	state = script_state_new(SCRIPTS_OF_LIBRARIES);
}

static void stop_library(void) { buf_fini(&registered_names); }

Test(script_state, libraries_register_what_is_called, .init = start_library, .fini = stop_library)
{
	int loaded = load("local function inner(k, a) return {k[1], a[2], type(KEYS), type(redis.call)} end\n"
	                  "redis.register_function('f', function(k, a) return inner(k, a) end)\n"
	                  "redis.register_function{function_name = 'g', callback = function() return 'g' end, "
	                  "flags = {'no-writes', 'allow-oom'}}");
	cr_assert_geq(loaded, 0, "%.*s", (int)answer.len, answer.ptr);
	buf_byte(&registered_names, 0);
	cr_expect_str_eq((const char *)registered_names.ptr, "f:0 g:3 ");
	struct slice keys[] = {S("k")}, args[] = {S("a1"), S("a2")};
	struct script_call call = {.function = loaded,
	                           .member = S("f"),
	                           .name = S("f"),
	                           .keys = keys,
	                           .n_keys = 1,
	                           .args = args,
	                           .n_args = 2,
	                           .host = &host.host};
	answer.len = 0;
	cr_expect(script_run(state, &call, &answer));
	cr_expect(record_is_error(&answer), "KEYS is no global");
	call.member = S("g");
	answer.len = 0;
	cr_expect(script_run(state, &call, &answer));
	cr_expect_not(record_is_error(&answer));
	script_forget(state, loaded);
}

Test(script_state, libraries_fail_as_a_whole, .init = start_library, .fini = stop_library)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	        {"x(", "Error compiling function: user_function:1: unexpected symbol near '<eof>'"},
	        {"\033Lua", "Error compiling function: user_function:1: unexpected symbol near 'char(27)'"},
	        {"redis.call('x')", "Error registering functions: ERR user_function:1: Script attempted to access "
	                            "nonexistent global variable 'call'"},
	        {"return math.pi", "Error registering functions: ERR user_function:1: Script attempted to access "
	                           "nonexistent global variable 'math'"},
	        {"while true do end", "Error registering functions: ERR FUNCTION LOAD timeout"},
	        {"local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end",
	         "Error registering functions: ERR FUNCTION LOAD timeout"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		host.looks = 0;
		host.looks_max = 20;
		cr_expect_lt(load(rows[i].text), 0, "%s", rows[i].text);
		buf_byte(&answer, 0);
		cr_expect_str_eq((const char *)answer.ptr, rows[i].why);
	}
	host.looks = 0;
	int loaded = load("redis.register_function('f', function() return 1 end)");
	cr_expect_geq(loaded, 0, "the globals are sound again");
	script_forget(state, loaded);
}
