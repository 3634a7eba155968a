/* struct.c -- values to and from C's layouts, by a format: struct.pack("<i4d", 1, 2.5).
 *
 *   > <   bytes of numbers from the greatest, or the least      !n   align to n at most
 *   x     a zero byte      b B h H l L T iN IN   integers       f d  floats
 *   s     bytes up to a zero byte      cN   N bytes; c0: as many as the number before says
 */
#include "query/script/heap_text.h"
#include "query/script/libraries.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

enum { INTEGER_SIZE_MAX = 32, ALIGN_MAX = 8 };

struct layout {
	lua_State *L;
	const char *format;
	bool big;
	int align;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int get_count(struct layout *layout, int otherwise)
{
	if (!is_digit(*layout->format))
		return otherwise;
	int n = 0;
	do {
		int digit = *layout->format++ - '0';
		if (n > (INT_MAX - digit) / 10)
			luaL_error(layout->L, "integral size overflow");
		n = n * 10 + digit;
	} while (is_digit(*layout->format));
	return n;
}

static int size_of_option(struct layout *layout, char option)
{
	int size;
	switch (option) {
	case 'b':
	case 'B':
	case 'x':
		return 1;
	case 'h':
	case 'H':
		return 2;
	case 'f':
		return 4;
	case 'l':
	case 'L':
	case 'T':
	case 'd':
		return 8;
	case 'c':
		return get_count(layout, 1);
	case 'i':
	case 'I':
		size = get_count(layout, 4);
		if (size > INTEGER_SIZE_MAX)
			luaL_error(layout->L, "integral size %d is larger than limit of %d", size, INTEGER_SIZE_MAX);
		return size;
	default:
		return 0;
	}
}

/* An option that is no value. */
static void control(struct layout *layout, char option)
{
	lua_State *L = layout->L;
	int align;
	switch (option) {
	case ' ':
		return;
	case '>':
	case '<':
		layout->big = option == '>';
		return;
	case '!':
		align = get_count(layout, ALIGN_MAX);
		if (align <= 0 || (align & (align - 1)))
			luaL_error(L, "alignment %d is not a power of 2", align);
		layout->align = align;
		return;
	default:
		luaL_argerror(L, 1, lua_pushfstring(L, "invalid format option '%c'", option));
	}
}

static size_t padding(const struct layout *layout, size_t at, char option, int size)
{
	if (size == 0 || option == 'c')
		return 0;
	size_t to = (size_t)(size < layout->align ? size : layout->align);
	/* Sizes that are no power of two mask oddly, as they do in Redis. */
	return to > 1 ? (to - (at & (to - 1))) & (to - 1) : 0;
}

/* Beyond eight bytes it is zeros, for what is negative too, as in Redis. */
static void put_bytes(struct heap_text *out, const struct layout *layout, uint64_t value, int size)
{
	uint8_t *to = heap_text_reserve(out, (size_t)size);
	for (int i = 0; i < size; i++)
		to[layout->big ? size - 1 - i : i] = i < 8 ? (uint8_t)(value >> (8 * i)) : 0;
	out->len += (size_t)size;
}

/* Whole part, modulo 2^64; what is far beyond has no defined bytes, here zero. */
static uint64_t to_word(double n)
{
	if (n < 0)
		return n >= -0x1p63 ? (uint64_t)(int64_t)n : 0;
	return n < 0x1p64 ? (uint64_t)n : 0;
}

static void pack_text(struct heap_text *out, int arg, char option, size_t size)
{
	size_t len;
	const char *bytes = luaL_checklstring(out->L, arg, &len);
	if (size == 0)
		size = len;
	luaL_argcheck(out->L, len >= size, arg, "string too short");
	heap_text_append(out, bytes, size);
	if (option == 's')
		heap_text_byte(out, 0);
}

static void pack_float(struct heap_text *out, const struct layout *layout, double n, int size)
{
	float narrow = (float)n;
	uint64_t bits = 0;
	memcpy(&bits, size == 4 ? (const void *)&narrow : (const void *)&n, (size_t)size);
	put_bytes(out, layout, bits, size);
}

static int struct_pack(lua_State *L)
{
	struct layout layout = {.L = L, .format = luaL_checkstring(L, 1), .align = 1};
	struct heap_text out;
	int arg = 2, last = lua_gettop(L);
	lua_pushnil(L); /* a missing argument is nil, not what is built */
	heap_text_init(&out, L);
	while (*layout.format) {
		char option = *layout.format++;
		int size = size_of_option(&layout, option);
		for (size_t n = padding(&layout, out.len, option, size); n-- > 0;)
			heap_text_byte(&out, 0);
		int at = arg <= last ? arg : last + 1;
		if (option == 'x') {
			heap_text_byte(&out, 0);
		} else if (option != 0 && strchr("bBhHlLTiI", option)) {
			put_bytes(&out, &layout, to_word(luaL_checknumber(L, at)), size);
			arg++;
		} else if (option == 's' || option == 'c') {
			pack_text(&out, at, option, (size_t)size);
			arg++;
		} else if (option == 'f' || option == 'd') {
			pack_float(&out, &layout, luaL_checknumber(L, at), size);
			arg++;
		} else {
			control(&layout, option);
		}
	}
	heap_text_push(&out);
	return 1;
}

static uint64_t get_bytes(const struct layout *layout, const uint8_t *from, int size)
{
	uint64_t value = 0;
	for (int i = size < 8 ? size : 8; i-- > 0;)
		value = value << 8 | from[layout->big ? size - 1 - i : i];
	return value;
}

static void push_integer(const struct layout *layout, const uint8_t *from, char option, int size)
{
	uint64_t value = get_bytes(layout, from, size);
	bool is_signed = option >= 'a'; /* small letters are */
	int unused = size > 0 && size < 8 ? 64 - 8 * size : 0;
	if (is_signed)
		lua_pushnumber(layout->L, (double)((int64_t)(value << unused) >> unused));
	else
		lua_pushnumber(layout->L, (double)value);
}

static void push_float(const struct layout *layout, const uint8_t *from, int size)
{
	uint64_t bits = get_bytes(layout, from, size);
	float narrow;
	double wide;
	memcpy(&narrow, &bits, sizeof(narrow));
	memcpy(&wide, &bits, sizeof(wide));
	lua_pushnumber(layout->L, size == 4 ? narrow : wide);
}

/* The length of a "c0": the number that was unpacked before, which it takes the place of. */
static size_t pop_length(lua_State *L, int n_unpacked, size_t left)
{
	if (n_unpacked == 0 || lua_type(L, -1) != LUA_TNUMBER)
		luaL_error(L, "format 'c0' needs a previous size");
	double length = lua_tonumber(L, -1);
	lua_pop(L, 1);
	luaL_argcheck(L, length >= 0 && length <= (double)left, 2, "data string too short");
	return (size_t)length;
}

static int struct_unpack(lua_State *L)
{
	struct layout layout = {.L = L, .format = luaL_checkstring(L, 1), .align = 1};
	size_t len;
	const uint8_t *bytes = (const uint8_t *)luaL_checklstring(L, 2, &len);
	double from = luaL_optnumber(L, 3, 1);
	luaL_argcheck(L, from >= 1, 3, "offset must be 1 or greater");
	size_t at = from - 1 > (double)len ? len + 1 : (size_t)(from - 1);
	int n = 0;
	lua_settop(L, 2);
	while (*layout.format) {
		char option = *layout.format++;
		int size = size_of_option(&layout, option);
		at += padding(&layout, at, option, size);
		luaL_argcheck(L, at <= len && (size_t)size <= len - at, 2, "data string too short");
		luaL_checkstack(L, 2, "too many results");
		if (option == 'x') {
			at += 1;
		} else if (strchr("bBhHlLTiI", option)) {
			push_integer(&layout, bytes + at, option, size);
			at += (size_t)size;
			n++;
		} else if (option == 'f' || option == 'd') {
			push_float(&layout, bytes + at, size);
			at += (size_t)size;
			n++;
		} else if (option == 'c') {
			bool counted = size == 0;
			size_t take = counted ? pop_length(L, n, len - at) : (size_t)size;
			lua_pushlstring(L, (const char *)bytes + at, take);
			at += take;
			n += !counted;
		} else if (option == 's') {
			const uint8_t *end = at < len ? memchr(bytes + at, 0, len - at) : NULL;
			if (!end)
				luaL_error(L, "unfinished string in data");
			lua_pushlstring(L, (const char *)bytes + at, (size_t)(end - (bytes + at)));
			at = (size_t)(end - bytes) + 1;
			n++;
		} else {
			control(&layout, option);
		}
	}
	lua_pushnumber(L, (double)at + 1);
	return n + 1;
}

static int struct_size(lua_State *L)
{
	struct layout layout = {.L = L, .format = luaL_checkstring(L, 1), .align = 1};
	size_t at = 0;
	while (*layout.format) {
		char option = *layout.format++;
		int size = size_of_option(&layout, option);
		at += padding(&layout, at, option, size);
		if (option == 's')
			luaL_argerror(L, 1, "option 's' has no fixed size");
		else if (option == 'c' && size == 0)
			luaL_argerror(L, 1, "option 'c0' has no fixed size");
		if (!strchr("bBhHlLTiIfdxc", option))
			control(&layout, option);
		at += (size_t)size;
	}
	lua_pushnumber(L, (double)at);
	return 1;
}

static const struct luaL_Reg struct_functions[] = {
        {"pack", struct_pack},
        {"size", struct_size},
        {"unpack", struct_unpack},
        {0},
};

int script_open_struct(lua_State *L)
{
	lua_newtable(L);
	luaL_register(L, NULL, struct_functions);
	return 1;
}
