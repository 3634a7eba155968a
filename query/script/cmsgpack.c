/* cmsgpack.c -- MessagePack, as scripts that keep structured values in strings use it.
 *
 * Tables whose keys are 1 .. n are arrays, others maps; whole numbers are integers, others floats that are
 * as short as they can be exactly. What is nested too deeply, and what has no form, is packed as nil.
 */
#include "kernels/bytes.h"
#include "query/script/heap_text.h"
#include "query/script/libraries.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { PACK_DEPTH_MAX = 16, UNPACK_DEPTH_MAX = 1000 };

/* ---- packing ------------------------------------------------------------------------ */

static void put_number(struct heap_text *out, uint8_t type, uint64_t value, int size)
{
	uint8_t *to = heap_text_reserve(out, 9);
	*to++ = type;
	for (int i = size; i-- > 0;)
		*to++ = (uint8_t)(value >> (8 * i));
	out->len += 1 + (size_t)size;
}

/* A length: in the type byte if it fits there, else behind one of `types` for 8 (0: there is none), 16, 32 bits. */
static void put_length(struct heap_text *out, uint8_t small, size_t small_max, const uint8_t types[3], size_t len)
{
	if (len <= small_max)
		heap_text_byte(out, (uint8_t)(small | len));
	else if (len <= UINT8_MAX && types[0])
		put_number(out, types[0], len, 1);
	else if (len <= UINT16_MAX)
		put_number(out, types[1], len, 2);
	else
		put_number(out, types[2], len, 4);
}

static void pack_integer(struct heap_text *out, int64_t n)
{
	if (n >= -32 && n <= INT8_MAX)
		heap_text_byte(out, (uint8_t)n);
	else if (n >= 0)
		n <= UINT8_MAX    ? put_number(out, 0xcc, (uint64_t)n, 1)
		: n <= UINT16_MAX ? put_number(out, 0xcd, (uint64_t)n, 2)
		: n <= UINT32_MAX ? put_number(out, 0xce, (uint64_t)n, 4)
		                  : put_number(out, 0xcf, (uint64_t)n, 8);
	else
		n >= INT8_MIN    ? put_number(out, 0xd0, (uint64_t)n, 1)
		: n >= INT16_MIN ? put_number(out, 0xd1, (uint64_t)n, 2)
		: n >= INT32_MIN ? put_number(out, 0xd2, (uint64_t)n, 4)
		                 : put_number(out, 0xd3, (uint64_t)n, 8);
}

static void pack_float(struct heap_text *out, double n)
{
	float narrow = (float)n;
	uint32_t bits32;
	uint64_t bits64;
	memcpy(&bits32, &narrow, sizeof(bits32));
	memcpy(&bits64, &n, sizeof(bits64));
	if ((double)narrow == n)
		put_number(out, 0xca, bits32, 4);
	else
		put_number(out, 0xcb, bits64, 8);
}

static void pack_number(struct heap_text *out, double n)
{
	bool is_integer = n >= -0x1p63 && n < 0x1p63 && n == (double)(int64_t)n;
	if (is_integer)
		pack_integer(out, (int64_t)n);
	else
		pack_float(out, n);
}

/* Counts the pairs of the table on top; are its keys 1 .. n? */
static bool is_array(lua_State *L, size_t *out_n)
{
	double greatest = 0;
	bool counts = true;
	*out_n = 0;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		++*out_n;
		double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
		counts &= key >= 1 && key == floor(key);
		greatest = key > greatest ? key : greatest;
	}
	return counts && greatest == (double)*out_n;
}

static void pack_value(struct heap_text *out, int depth);

/* The table on top of the stack; leaves it there. */
static void pack_table(struct heap_text *out, int depth)
{
	lua_State *L = out->L;
	size_t n;
	luaL_checkstack(L, 4, "in function mp_encode_lua_table");
	if (is_array(L, &n)) {
		put_length(out, 0x90, 15, (const uint8_t[]){0, 0xdc, 0xdd}, n);
		for (size_t i = 1; i <= n; i++) {
			lua_rawgeti(L, -1, (int)i);
			pack_value(out, depth + 1);
		}
		return;
	}
	put_length(out, 0x80, 15, (const uint8_t[]){0, 0xde, 0xdf}, n);
	for (lua_pushnil(L); lua_next(L, -2);) {
		lua_pushvalue(L, -2);
		pack_value(out, depth + 1);
		pack_value(out, depth + 1);
	}
}

static void pack_text(struct heap_text *out, const char *bytes, size_t len)
{
	put_length(out, 0xa0, 31, (const uint8_t[]){0xd9, 0xda, 0xdb}, len);
	heap_text_append(out, bytes, len);
}

/* Packs what is on top of the stack, and pops it. A map's value lies below its copied key: hence the order. */
static void pack_value(struct heap_text *out, int depth)
{
	lua_State *L = out->L;
	size_t len;
	const char *bytes;
	int type = lua_type(L, -1);
	switch (type == LUA_TTABLE && depth == PACK_DEPTH_MAX ? LUA_TNIL : type) {
	case LUA_TSTRING:
		bytes = lua_tolstring(L, -1, &len);
		pack_text(out, bytes, len);
		break;
	case LUA_TBOOLEAN:
		heap_text_byte(out, lua_toboolean(L, -1) ? 0xc3 : 0xc2);
		break;
	case LUA_TNUMBER:
		pack_number(out, lua_tonumber(L, -1));
		break;
	case LUA_TTABLE:
		pack_table(out, depth);
		break;
	default:
		heap_text_byte(out, 0xc0);
		break;
	}
	lua_pop(L, 1);
}

static int cmsgpack_pack(lua_State *L)
{
	int n = lua_gettop(L);
	struct heap_text out;
	if (n == 0)
		return luaL_argerror(L, 0, "MessagePack pack needs input.");
	heap_text_init(&out, L);
	for (int i = 1; i <= n; i++) {
		luaL_checkstack(L, 1, "in function mp_check");
		lua_pushvalue(L, i);
		pack_value(&out, 0);
	}
	heap_text_push(&out);
	return 1;
}

/* ---- unpacking ---------------------------------------------------------------------- */

struct input {
	lua_State *L;
	const uint8_t *at, *end;
};

static int is_short(lua_State *L) { return luaL_error(L, "Missing bytes in input."); }
static int is_bad(lua_State *L) { return luaL_error(L, "Bad data format in input."); }

static uint64_t get_number(struct input *in, int size)
{
	uint64_t value = 0;
	if (in->end - in->at < size)
		is_short(in->L);
	for (int i = 0; i < size; i++)
		value = value << 8 | *in->at++;
	return value;
}

static void unpack_text(struct input *in, uint64_t len)
{
	if ((uint64_t)(in->end - in->at) < len)
		is_short(in->L);
	lua_pushlstring(in->L, (const char *)in->at, len);
	in->at += len;
}

static void unpack_value(struct input *in, int depth);

static void unpack_array(struct input *in, uint64_t n, int depth)
{
	lua_newtable(in->L);
	for (uint64_t i = 1; i <= n; i++) {
		lua_pushnumber(in->L, (double)i);
		unpack_value(in, depth + 1);
		lua_rawset(in->L, -3);
	}
}

static void unpack_map(struct input *in, uint64_t n, int depth)
{
	lua_newtable(in->L);
	for (uint64_t i = 0; i < n; i++) {
		unpack_value(in, depth + 1);
		unpack_value(in, depth + 1);
		lua_settable(in->L, -3); /* refuses a key that is nil or no number */
	}
}

static void unpack_float(struct input *in, int size)
{
	uint64_t bits64 = get_number(in, size);
	uint32_t bits32 = (uint32_t)bits64;
	float narrow;
	double wide;
	memcpy(&narrow, &bits32, sizeof(narrow));
	memcpy(&wide, &bits64, sizeof(wide));
	lua_pushnumber(in->L, size == 4 ? narrow : wide);
}

static void unpack_signed(struct input *in, int size)
{
	uint64_t value = get_number(in, size);
	int unused = 64 - 8 * size;
	lua_pushnumber(in->L, (double)((int64_t)(value << unused) >> unused));
}

/* A type byte that says how many bytes its number has: 0xcc .. 0xcf are 1, 2, 4, 8. */
static int size_of(uint8_t type, uint8_t first) { return 1 << (type - first); }

static void unpack_long(struct input *in, uint8_t type, int depth)
{
	lua_State *L = in->L;
	switch (type) {
	case 0xc0:
		lua_pushnil(L);
		break;
	case 0xc2:
	case 0xc3:
		lua_pushboolean(L, type == 0xc3);
		break;
	case 0xca:
	case 0xcb:
		unpack_float(in, type == 0xca ? 4 : 8);
		break;
	case 0xcc ... 0xcf:
		lua_pushnumber(L, (double)get_number(in, size_of(type, 0xcc)));
		break;
	case 0xd0 ... 0xd3:
		unpack_signed(in, size_of(type, 0xd0));
		break;
	case 0xd9 ... 0xdb:
		unpack_text(in, get_number(in, size_of(type, 0xd9)));
		break;
	case 0xdc:
	case 0xdd:
		unpack_array(in, get_number(in, type == 0xdc ? 2 : 4), depth);
		break;
	case 0xde:
	case 0xdf:
		unpack_map(in, get_number(in, type == 0xde ? 2 : 4), depth);
		break;
	default:
		is_bad(L);
	}
}

/* Pushes the next value. */
static void unpack_value(struct input *in, int depth)
{
	if (depth > UNPACK_DEPTH_MAX)
		luaL_error(in->L, "stack overflow (in function mp_decode_to_lua_array)");
	luaL_checkstack(in->L, 4, "too many return values at once; use unpack_one or unpack_limit instead.");
	uint8_t type = (uint8_t)get_number(in, 1);
	if (type <= 0x7f || type >= 0xe0)
		lua_pushnumber(in->L, (int8_t)type);
	else if (type <= 0x8f)
		unpack_map(in, type & 15, depth);
	else if (type <= 0x9f)
		unpack_array(in, type & 15, depth);
	else if (type <= 0xbf)
		unpack_text(in, type & 31);
	else
		unpack_long(in, type, depth);
}

/* At most `limit` values from `offset` on; both 0: all, and nothing about where they end. */
static int unpack_from(lua_State *L, int limit, int offset)
{
	size_t len;
	const uint8_t *bytes = (const uint8_t *)luaL_checklstring(L, 1, &len);
	if (offset < 0 || limit < 0)
		return luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.", offset, (int)len);
	if ((size_t)offset > len)
		return luaL_error(L, "Start offset %d greater than input length %d.", offset, (int)len);
	bool all = limit == 0 && offset == 0;
	struct input in = {.L = L, .at = bytes + offset, .end = bytes + len};
	lua_settop(L, 1);
	if (!all)
		lua_pushnil(L); /* where the end goes */
	int n = 0;
	for (; in.at < in.end && (all || n < limit); n++)
		unpack_value(&in, 0);
	if (all)
		return n;
	lua_pushnumber(L, in.at == in.end ? -1 : (double)(in.at - bytes));
	lua_replace(L, 2);
	return n + 1;
}

static int cmsgpack_unpack(lua_State *L) { return unpack_from(L, 0, 0); }
static int cmsgpack_unpack_one(lua_State *L) { return unpack_from(L, 1, luaL_optint(L, 2, 0)); }

static int cmsgpack_unpack_limit(lua_State *L) { return unpack_from(L, luaL_checkint(L, 2), luaL_optint(L, 3, 0)); }

static const struct luaL_Reg cmsgpack_functions[] = {
        {"pack", cmsgpack_pack},
        {"unpack", cmsgpack_unpack},
        {"unpack_limit", cmsgpack_unpack_limit},
        {"unpack_one", cmsgpack_unpack_one},
        {0},
};

int script_open_cmsgpack(lua_State *L)
{
	lua_newtable(L);
	luaL_register(L, NULL, cmsgpack_functions);
	lua_pushliteral(L, "cmsgpack");
	lua_setfield(L, -2, "_NAME");
	lua_pushliteral(L, "lua-cmsgpack 0.4.0");
	lua_setfield(L, -2, "_VERSION");
	return 1;
}
