/* The libraries as scripts see them: each line is Lua that must be true, or must raise an error that says so. */
#include "query/script/libraries.h"

#include <criterion/criterion.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAP_MAX = 64 * 1024 * 1024 };

static lua_State *L;
static size_t heap_used;

static void *heap_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
	if (size == 0) {
		free(ptr);
		heap_used -= old_size;
		return NULL;
	}
	if (heap_used - old_size + size > HEAP_MAX)
		return NULL;
	ptr = realloc(ptr, size);
	heap_used += size - old_size;
	return ptr;
}

static void open_library(const char *name, lua_CFunction open)
{
	lua_pushcfunction(L, open);
	lua_call(L, 0, 1);
	lua_setglobal(L, name);
}

/* hex("a\0") is "6100"; bytes() turns it back; same() compares values deeply. */
static const char *const words =
        "function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end\n"
        "function bytes(h) return (h:gsub('..', function(x) return string.char(tonumber(x, 16)) end)) end\n"
        "function same(a, b) if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end\n"
        "  for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
        "  for k in pairs(b) do if a[k] == nil then return false end end return true end\n";

static void start(void)
{
	heap_used = 0;
	L = lua_newstate(heap_resize, NULL);
	luaL_openlibs(L);
	open_library("bit", script_open_bit);
	open_library("cmsgpack", script_open_cmsgpack);
	open_library("struct", script_open_struct);
	cr_assert_eq(luaL_dostring(L, words), 0);
}

static void stop(void)
{
	lua_close(L);
	cr_expect_eq(heap_used, 0);
}

static void is_true(const char *what)
{
	char text[1024];
	snprintf(text, sizeof(text), "return %s", what);
	cr_expect_eq(luaL_dostring(L, text), 0, "%s: %s", what, lua_tostring(L, -1));
	cr_expect(lua_toboolean(L, -1), "%s", what);
	lua_settop(L, 0);
}

static void raises(const char *what, const char *error)
{
	char text[1024];
	snprintf(text, sizeof(text), "return %s", what);
	cr_expect_neq(luaL_dostring(L, text), 0, "%s", what);
	const char *said = lua_tostring(L, -1);
	cr_expect(said && strstr(said, error), "%s: %s", what, said);
	lua_settop(L, 0);
}

TestSuite(script_libraries, .init = start, .fini = stop, .timeout = 30);

Test(script_libraries, bit_works_on_32_bits)
{
	is_true("bit.tobit(0xffffffff) == -1 and bit.tobit(2^40 + 5) == 5 and bit.tobit(0.5) == 0");
	is_true("bit.band(0xff, 0x0f, 6) == 6 and bit.bor(1, 2, 4) == 7 and bit.bxor(5, 1) == 4 and bit.bnot(0) == -1");
	is_true("bit.lshift(1, 31) == -2147483648 and bit.lshift(1, 32) == 1 and bit.rshift(-1, 28) == 15");
	is_true("bit.arshift(-8, 1) == -4 and bit.rol(0x12345678, 12) == 0x45678123 and bit.ror(1, 1) == -2147483648");
	is_true("bit.rol(7, 0) == 7 and bit.ror(7, 32) == 7 and bit.bswap(0x12345678) == 0x78563412");
	is_true("bit.tohex(255) == '000000ff' and bit.tohex(-1, 4) == 'ffff' and bit.tohex(0xabc, -3) == 'ABC'");
	is_true("bit.tohex(1, 0) == ''");
	raises("bit.band()", "number expected");
}

/* Its digits had no positive number: a stack was overrun (CVE-2024-31449). */
Test(script_libraries, bit_tohex_bounds_the_digits)
{
	is_true("bit.tohex(65535, -2147483648) == '0000FFFF' and bit.tohex(65535, 2147483647) == '0000ffff'");
}

Test(script_libraries, cmsgpack_packs_in_the_shortest_form)
{
	is_true("hex(cmsgpack.pack(0, 127, 128, 255, 256, 65535, 65536)) == '007fcc80ccffcd0100cdffffce00010000'");
	is_true("hex(cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769)) == "
	        "'ffe0d0dfd080d1ff7fd18000d2ffff7fff'");
	is_true("hex(cmsgpack.pack(4294967295, 4294967296, -2147483649)) == "
	        "'ceffffffffcf0000000100000000d3ffffffff7fffffff'");
	is_true("hex(cmsgpack.pack(1.5, 0.1, nil, true, false)) == 'ca3fc00000cb3fb999999999999ac0c3c2'");
	is_true("hex(cmsgpack.pack('', 'abc')) == 'a0a3616263' and hex(cmsgpack.pack({}, {1, 2})) == '90920102'");
	is_true("hex(cmsgpack.pack({a = 1})) == '81a16101' and hex(cmsgpack.pack({[2] = 1})) == '810201'");
	is_true("hex(cmsgpack.pack(('x'):rep(32)):sub(1, 34)):sub(1, 4) == 'd920'");
	is_true("hex(cmsgpack.pack(('x'):rep(256)):sub(1, 3)) == 'da0100'");
	is_true("hex(cmsgpack.pack(('x'):rep(65536)):sub(1, 5)) == 'db00010000'");
	is_true("hex(cmsgpack.pack(1e300, 1/0)) == 'cb7e37e43c8800759cca7f800000'");
	raises("cmsgpack.pack()", "MessagePack pack needs input.");
}

Test(script_libraries, cmsgpack_unpacks_what_it_packs)
{
	is_true("same({cmsgpack.unpack(cmsgpack.pack(1, 'a', {1, {2}}, {x = {y = 'z'}}, 1.25, -7))}, "
	        "{1, 'a', {1, {2}}, {x = {y = 'z'}}, 1.25, -7})");
	is_true("(function() local t = {} for i = 1, 70000 do t[i] = i end "
	        "return same(cmsgpack.unpack(cmsgpack.pack(t)), t) end)()");
	is_true("(function() for e = 0, 53 do for _, n in ipairs{2^e, 2^e - 1, -2^e, -2^e - 1} do "
	        "if cmsgpack.unpack(cmsgpack.pack(n)) ~= n then return false end end end return true end)()");
	is_true("select('#', cmsgpack.unpack('')) == 0");
}

Test(script_libraries, cmsgpack_unpacks_in_parts)
{
	is_true("same({cmsgpack.unpack_one(bytes('010203'))}, {1, 1}) and same({cmsgpack.unpack_one(bytes('010203'), "
	        "2)}, {-1, 3})");
	is_true("same({cmsgpack.unpack_limit(bytes('010203'), 2)}, {2, 1, 2})");
	is_true("same({cmsgpack.unpack_limit(bytes('010203'), 9, 1)}, {-1, 2, 3})");
	raises("cmsgpack.unpack_one('a', 2)", "Start offset 2 greater than input length 1.");
	raises("cmsgpack.unpack_limit('a', -1)", "Invalid request to unpack");
	raises("cmsgpack.unpack_one('a', -1)", "Invalid request to unpack");
}

Test(script_libraries, cmsgpack_refuses_what_is_cut_or_no_value)
{
	is_true("(function() local whole = cmsgpack.pack({1, 'abc', {x = 2.5}, 70000}) for n = 1, #whole - 1 do "
	        "local ok, why = pcall(cmsgpack.unpack, whole:sub(1, n)) "
	        "if ok or not why:find('Missing bytes') then return false end end return true end)()");
	raises("cmsgpack.unpack(bytes('ddffffffff'))", "Missing bytes in input.");
	raises("cmsgpack.unpack(bytes('dbffffffff'))", "Missing bytes in input.");
	raises("cmsgpack.unpack(bytes('c403616263'))", "Bad data format in input.");
	raises("cmsgpack.unpack(bytes('c1'))", "Bad data format in input.");
	raises("cmsgpack.unpack(bytes('d401ff'))", "Bad data format in input.");
	raises("cmsgpack.unpack(bytes('81c001'))", "index is nil");
}

Test(script_libraries, cmsgpack_bounds_nesting)
{
	is_true("(function() local t = {} t[1] = t return hex(cmsgpack.pack(t)) == ('91'):rep(16) .. 'c0' end)()");
	raises("cmsgpack.unpack(bytes('91'):rep(100000))", "stack overflow");
}

Test(script_libraries, struct_packs_as_c_lays_out)
{
	is_true("hex(struct.pack('<i4', 1)) == '01000000' and hex(struct.pack('>i4', 1)) == '00000001'");
	is_true("hex(struct.pack('>bhHl', -1, -2, 65535, 1)) == 'fffffeffff0000000000000001'");
	is_true("hex(struct.pack('<!4bi4', 1, 2)) == '0100000002000000' and hex(struct.pack('<bi4', 1, 2)) == "
	        "'0102000000'");
	is_true("hex(struct.pack('sc2c0x', 'ab', 'cde', 'f')) == '616200' .. '6364' .. '66' .. '00'");
	is_true("hex(struct.pack('>d f', 1.5, 0.5)) == '3ff80000000000003f000000'");
	is_true("hex(struct.pack('<i10', -2)) == 'feffffffffffffff0000'");
	raises("struct.pack('i')", "number expected");
	raises("struct.pack('c4', 'a')", "string too short");
	raises("struct.pack('y', 1)", "invalid format option 'y'");
	raises("struct.pack('!3i', 1)", "alignment 3 is not a power of 2");
}

Test(script_libraries, struct_unpacks_what_it_packs)
{
	is_true("same({struct.unpack('<bhil', struct.pack('<bhil', -1, -300, -70000, -2^40))}, {-1, -300, -70000, "
	        "-2^40, 16})");
	is_true("same({struct.unpack('>Bc0s', bytes('036162637a00'))}, {'abc', 'z', 7})");
	is_true("same({struct.unpack('>H', 'xab', 2)}, {0x6162, 4}) and struct.size('<!4bi4d') == 16");
	raises("struct.unpack('i', 'abc')", "data string too short");
	raises("struct.unpack('s', 'abc')", "unfinished string in data");
	raises("struct.unpack('s', 'abc', 9)", "data string too short");
	raises("struct.unpack('c0', 'abc')", "format 'c0' needs a previous size");
	raises("struct.unpack('bc0', 'abc')", "data string too short");
	raises("struct.unpack('i', 'abcd', 0)", "offset must be 1 or greater");
	raises("struct.size('s')", "option 's' has no fixed size");
	raises("struct.size('c0')", "option 'c0' has no fixed size");
}

/* Sizes that wrap around read beyond the data (CVE-2020-14147 and its kin). */
Test(script_libraries, struct_bounds_sizes)
{
	raises("struct.pack('I99999999999', 1)", "integral size overflow");
	raises("struct.unpack('I33', 'x')", "integral size 33 is larger than limit of 32");
	raises("struct.unpack('c2147483647', 'x')", "data string too short");
	raises("struct.unpack('>I', 'abcd', 2^53)", "data string too short");
	raises("struct.unpack('>I', 'abcd', 2^31 - 1)", "data string too short");
	raises("struct.unpack('dc0', struct.pack('d', -1))", "data string too short");
	raises("struct.unpack('dc0', struct.pack('d', 0/0))", "data string too short");
	is_true("struct.size(('c2147483647'):rep(3)) == 6442450941");
}

/* What does not fit into the heap is an error, and leaves no bytes behind. */
Test(script_libraries, errors_of_memory_are_errors)
{
	raises("(function() local s = ('x'):rep(9e6) return cmsgpack.pack(s, s, s, s, s) end)()", "not enough memory");
	raises("(function() local s = ('x'):rep(9e6) return struct.pack('c0c0c0c0c0', s, s, s, s, s) end)()",
	       "not enough memory");
	for (int i = 0; i < 16; i++) /* Lua halves its own buffer each time */
		lua_gc(L, LUA_GCCOLLECT, 0);
	cr_expect_lt(heap_used, 1024 * 1024, "%zu", heap_used);
	is_true("cmsgpack.unpack(cmsgpack.pack(1)) == 1");
}

/* Whatever the bytes are: a value or an error, and what was understood is packed and understood again. */
Test(script_libraries, any_bytes_are_values_or_errors)
{
	is_true("(function() math.randomseed(7) for round = 1, 50000 do local t = {} "
	        "for i = 1, math.random(24) do t[i] = string.char(math.random(4) > 1 and math.random(0x80, 0xff) or "
	        "math.random(0, 255)) end "
	        "local ok, v = pcall(cmsgpack.unpack, table.concat(t)) "
	        "if ok and v == v and not (type(v) == 'table') and cmsgpack.unpack(cmsgpack.pack(v)) ~= v then return "
	        "false end "
	        "end return true end)()");
	is_true("(function() math.randomseed(8) local options = '<>! bBhHlLTiIfdxsc0123489' "
	        "for round = 1, 50000 do local f, d = {}, {} "
	        "for i = 1, math.random(8) do local at = math.random(#options) f[i] = options:sub(at, at) end "
	        "for i = 1, math.random(0, 24) do d[i] = string.char(math.random(0, 255)) end "
	        "local format, data = table.concat(f), table.concat(d) pcall(struct.unpack, format, data, "
	        "math.random(0, 30)) "
	        "pcall(struct.size, format) pcall(struct.pack, format, 1, 'ab', -2.5, 1e30, 0/0, 'c', 3) "
	        "end return true end)()");
}
