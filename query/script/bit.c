/* bit.c -- 32-bit operations on Lua's numbers; results are signed. */
#include "query/script/libraries.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

enum { HEX_DIGITS = 8 };

/* Modulo 2^32; halves go to the even neighbour, since the sum has no room for them. */
static uint32_t to_bits(lua_State *L, int at)
{
	union {
		double number;
		uint64_t bits;
	} sum = {.number = luaL_checknumber(L, at) + 6755399441055744.0};
	return (uint32_t)sum.bits;
}

static int give(lua_State *L, uint32_t bits)
{
	lua_pushnumber(L, (int32_t)bits);
	return 1;
}

static int bit_tobit(lua_State *L) { return give(L, to_bits(L, 1)); }
static int bit_bnot(lua_State *L) { return give(L, ~to_bits(L, 1)); }
static int bit_bswap(lua_State *L) { return give(L, __builtin_bswap32(to_bits(L, 1))); }

static int bit_band(lua_State *L)
{
	uint32_t bits = to_bits(L, 1);
	for (int i = lua_gettop(L); i > 1; i--)
		bits &= to_bits(L, i);
	return give(L, bits);
}

static int bit_bor(lua_State *L)
{
	uint32_t bits = to_bits(L, 1);
	for (int i = lua_gettop(L); i > 1; i--)
		bits |= to_bits(L, i);
	return give(L, bits);
}

static int bit_bxor(lua_State *L)
{
	uint32_t bits = to_bits(L, 1);
	for (int i = lua_gettop(L); i > 1; i--)
		bits ^= to_bits(L, i);
	return give(L, bits);
}

static int bit_lshift(lua_State *L) { return give(L, to_bits(L, 1) << (to_bits(L, 2) & 31)); }
static int bit_rshift(lua_State *L) { return give(L, to_bits(L, 1) >> (to_bits(L, 2) & 31)); }
static int bit_arshift(lua_State *L) { return give(L, (uint32_t)((int32_t)to_bits(L, 1) >> (to_bits(L, 2) & 31))); }

static uint32_t turned(uint32_t bits, uint32_t left) { return left ? bits << left | bits >> (32 - left) : bits; }

static int bit_rol(lua_State *L) { return give(L, turned(to_bits(L, 1), to_bits(L, 2) & 31)); }
static int bit_ror(lua_State *L) { return give(L, turned(to_bits(L, 1), -to_bits(L, 2) & 31)); }

/* A negative number of digits means capital letters; INT32_MIN has no positive counterpart. */
static int bit_tohex(lua_State *L)
{
	uint32_t bits = to_bits(L, 1);
	int64_t n = lua_isnone(L, 2) ? HEX_DIGITS : (int32_t)to_bits(L, 2);
	const char *digits = n < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[HEX_DIGITS];
	n = n < 0 ? -n : n;
	n = n > HEX_DIGITS ? HEX_DIGITS : n;
	for (int64_t i = n; i-- > 0; bits >>= 4)
		text[i] = digits[bits & 15];
	lua_pushlstring(L, text, (size_t)n);
	return 1;
}

static const struct luaL_Reg bit_functions[] = {
        {"arshift", bit_arshift},
        {"band", bit_band},
        {"bnot", bit_bnot},
        {"bor", bit_bor},
        {"bswap", bit_bswap},
        {"bxor", bit_bxor},
        {"lshift", bit_lshift},
        {"rol", bit_rol},
        {"ror", bit_ror},
        {"rshift", bit_rshift},
        {"tobit", bit_tobit},
        {"tohex", bit_tohex},
        {0},
};

int script_open_bit(lua_State *L)
{
	lua_newtable(L);
	luaL_register(L, NULL, bit_functions);
	return 1;
}
