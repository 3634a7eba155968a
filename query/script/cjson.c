/* cjson.c -- JSON for scripts, as lua-cjson 2.1 writes and reads it.
 *
 * Text is built on Lua's heap, so that its limit counts it. Nesting is bounded by a setting of at most
 * DEPTH_MAX levels, each some 200 bytes of stack. What a script sets holds until it ends.
 */
#include "engine/base/number.h"
#include "query/script/heap_text.h"
#include "query/script/state_private.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_DEFAULT = 1000, DEPTH_MAX = 4000, PRECISION_MAX = 14 };

void script_json_defaults(struct json_settings *settings)
{
	*settings = (struct json_settings){.sparse_ratio = 2,
	                                   .sparse_safe = 10,
	                                   .encode_depth = DEPTH_DEFAULT,
	                                   .decode_depth = DEPTH_DEFAULT,
	                                   .decode_invalid = true,
	                                   .precision = PRECISION_MAX};
}

static struct json_settings *settings_of(lua_State *L) { return &script_state_of(L)->json; }

/* ---- writing ------------------------------------------------------------------------ */

static void write_value(lua_State *L, struct heap_text *text, int depth);

static void write_string(lua_State *L, struct heap_text *text, int at)
{
	static const char digits[] = "0123456789abcdef";
	static const char escaped[] = "\"\\/\b\f\n\r\t", letters[] = "\"\\/bfnrt";
	size_t len;
	const char *bytes = lua_tolstring(L, at, &len);
	heap_text_byte(text, '"');
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)bytes[i];
		const char *found = c ? strchr(escaped, c) : NULL;
		if (found) {
			heap_text_append(text, (char[]){'\\', letters[found - escaped]}, 2);
		} else if (c < 0x20 || c == 0x7f) {
			heap_text_append(text, "\\u00", 4);
			heap_text_append(text, (char[]){digits[c >> 4], digits[c & 15]}, 2);
		} else {
			heap_text_byte(text, c);
		}
	}
	heap_text_byte(text, '"');
}

static int refuse_type(lua_State *L, int at, const char *why)
{
	return luaL_error(L, "Cannot serialise %s: %s", lua_typename(L, lua_type(L, at)), why);
}

static void write_number(lua_State *L, struct heap_text *text, int at)
{
	const struct json_settings *settings = settings_of(L);
	lua_Number number = lua_tonumber(L, at);
	char digits[64];
	if (!isfinite(number) && settings->encode_null_invalid) {
		heap_text_append(text, "null", 4);
		return;
	}
	if (!isfinite(number) && !settings->encode_invalid)
		refuse_type(L, at, "must not be NaN or Inf");
	int len = snprintf(digits, sizeof(digits), "%.*g", settings->precision, number);
	heap_text_append(text, digits, (size_t)len);
}

/* How long the table at the top is as an array; -1: it is an object. */
static int array_length(lua_State *L)
{
	const struct json_settings *settings = settings_of(L);
	int64_t largest = 0, items = 0;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), items++) {
		lua_Number key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
		if (!(key >= 1) || floor(key) != key || key > INT32_MAX) {
			lua_pop(L, 2);
			return -1;
		}
		if (key > largest)
			largest = (int64_t)key;
	}
	if (settings->sparse_ratio > 0 && largest > items * settings->sparse_ratio && largest > settings->sparse_safe) {
		if (!settings->convert_sparse)
			refuse_type(L, -1, "excessively sparse array");
		return -1;
	}
	return (int)largest;
}

static void write_array(lua_State *L, struct heap_text *text, int n, int depth)
{
	heap_text_byte(text, '[');
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			heap_text_byte(text, ',');
		lua_rawgeti(L, -1, i);
		write_value(L, text, depth);
		lua_pop(L, 1);
	}
	heap_text_byte(text, ']');
}

static void write_key(lua_State *L, struct heap_text *text, int at)
{
	if (lua_type(L, at) == LUA_TNUMBER) {
		heap_text_byte(text, '"');
		write_number(L, text, at);
		heap_text_byte(text, '"');
	} else if (lua_type(L, at) == LUA_TSTRING) {
		write_string(L, text, at);
	} else {
		refuse_type(L, at, "table key must be a number or string");
	}
}

static void write_object(lua_State *L, struct heap_text *text, int depth)
{
	bool more = false;
	heap_text_byte(text, '{');
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		if (more)
			heap_text_byte(text, ',');
		more = true;
		write_key(L, text, lua_gettop(L) - 1);
		heap_text_byte(text, ':');
		write_value(L, text, depth);
	}
	heap_text_byte(text, '}');
}

static void write_table(lua_State *L, struct heap_text *text, int depth)
{
	if (depth > settings_of(L)->encode_depth || !lua_checkstack(L, 6))
		luaL_error(L, "Cannot serialise, excessive nesting (%d)", depth);
	bool hides = script_unprotect(L, lua_gettop(L));
	int n = array_length(L);
	if (n > 0)
		write_array(L, text, n, depth);
	else
		write_object(L, text, depth);
	if (hides)
		lua_pop(L, 1);
}

/* The value at the top, which stays. */
static void write_value(lua_State *L, struct heap_text *text, int depth)
{
	int top = lua_gettop(L);
	switch (lua_type(L, top)) {
	case LUA_TSTRING:
		write_string(L, text, top);
		break;
	case LUA_TNUMBER:
		write_number(L, text, top);
		break;
	case LUA_TBOOLEAN:
		if (lua_toboolean(L, top))
			heap_text_append(text, "true", 4);
		else
			heap_text_append(text, "false", 5);
		break;
	case LUA_TTABLE:
		write_table(L, text, depth + 1);
		break;
	case LUA_TNIL:
		heap_text_append(text, "null", 4);
		break;
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(L, top) == NULL) {
			heap_text_append(text, "null", 4);
			break;
		}
		/* fall through */
	default:
		refuse_type(L, top, "type not supported");
	}
}

static int encode(lua_State *L)
{
	luaL_argcheck(L, lua_gettop(L) == 1, 1, "expected 1 argument");
	struct heap_text text;
	heap_text_init(&text, L);
	lua_pushvalue(L, 1);
	write_value(L, &text, 0);
	heap_text_push(&text);
	return 1;
}

/* ---- reading: words ----------------------------------------------------------------- */

enum token {
	OBJECT_BEGIN,
	OBJECT_END,
	ARRAY_BEGIN,
	ARRAY_END,
	STRING,
	NUMBER,
	BOOLEAN,
	NOTHING,
	COLON,
	COMMA,
	END,
	BAD
};

static const char *const token_names[] = {"T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END",
                                          "T_STRING",    "T_NUMBER",  "T_BOOLEAN",   "T_NULL",
                                          "T_COLON",     "T_COMMA",   "T_END"};

struct reader {
	lua_State *L;
	const char *text, *end, *at; /* a NUL lies at `end` */
	enum token token;
	size_t from; /* of the token */
	double number;
	bool truth;
	const char *wrong; /* of BAD */
	struct heap_text string;
	int depth;
};

static void bad(struct reader *reader, const char *at, const char *why)
{
	reader->token = BAD;
	reader->from = (size_t)(at - reader->text);
	reader->wrong = why;
}

static int hex_value(const char *digits)
{
	int value = 0;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit((uint8_t)digits[i]);
		if (digit < 0)
			return -1; /* the NUL at the end, too */
		value = value * 16 + digit;
	}
	return value;
}

static void add_utf8(struct heap_text *text, uint32_t c)
{
	if (c < 0x80) {
		heap_text_byte(text, (uint8_t)c);
	} else if (c < 0x800) {
		heap_text_append(text, (uint8_t[]){(uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 63))}, 2);
	} else if (c < 0x10000) {
		heap_text_append(text,
		                 (uint8_t[]){(uint8_t)(0xe0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 63)),
		                             (uint8_t)(0x80 | (c & 63))},
		                 3);
	} else {
		heap_text_append(text,
		                 (uint8_t[]){(uint8_t)(0xf0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 63)),
		                             (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))},
		                 4);
	}
}

/* \uXXXX, or two of them for what lies past 16 bits. False: neither. */
static bool read_unicode(struct reader *reader)
{
	int c = hex_value(reader->at + 2);
	size_t len = 6;
	if (c < 0)
		return false;
	if ((c & 0xf800) == 0xd800) {
		if (c & 0x400 || reader->at[6] != '\\' || reader->at[7] != 'u')
			return false;
		int low = hex_value(reader->at + 8);
		if (low < 0 || (low & 0xfc00) != 0xdc00)
			return false;
		c = (c & 0x3ff) * 0x400 + (low & 0x3ff) + 0x10000;
		len = 12;
	}
	add_utf8(&reader->string, (uint32_t)c);
	reader->at += len;
	return true;
}

static bool read_escape(struct reader *reader)
{
	static const char letters[] = "\"\\/bfnrt", escaped[] = "\"\\/\b\f\n\r\t";
	char c = reader->at[1];
	if (c == 'u') {
		if (read_unicode(reader))
			return true;
		bad(reader, reader->at, "invalid unicode escape code");
		return false;
	}
	const char *found = c ? strchr(letters, c) : NULL;
	if (!found) {
		bad(reader, reader->at, "invalid escape code");
		return false;
	}
	heap_text_byte(&reader->string, (uint8_t)escaped[found - letters]);
	reader->at += 2;
	return true;
}

static void read_string(struct reader *reader)
{
	reader->at++;
	reader->string.len = 0;
	while (*reader->at != '"') {
		if (!*reader->at) {
			bad(reader, reader->at, "unexpected end of string");
			return;
		}
		if (*reader->at == '\\') {
			if (!read_escape(reader))
				return;
			continue;
		}
		const char *from = reader->at;
		while (*reader->at && *reader->at != '"' && *reader->at != '\\')
			reader->at++;
		heap_text_append(&reader->string, from, (size_t)(reader->at - from));
	}
	reader->at++;
	reader->token = STRING;
}

/* What strtod() takes, and JSON does not: leading zeros, hexadecimal, infinity, not a number. */
static bool is_invalid_number(const char *at)
{
	if (*at == '+')
		return true;
	if (*at == '-')
		at++;
	if (*at == '0')
		return (at[1] | 0x20) == 'x' || isdigit((uint8_t)at[1]);
	if (isdigit((uint8_t)*at))
		return false;
	return strncasecmp(at, "inf", 3) == 0 || strncasecmp(at, "nan", 3) == 0;
}

static bool may_begin_number(const char *at)
{
	return isdigit((uint8_t)*at) || *at == '-' || *at == '+' || strncasecmp(at, "inf", 3) == 0 ||
	       strncasecmp(at, "nan", 3) == 0;
}

static void read_number(struct reader *reader)
{
	if (!settings_of(reader->L)->decode_invalid && is_invalid_number(reader->at)) {
		bad(reader, reader->at, "invalid number");
		return;
	}
	char *end;
	reader->number = strtod(reader->at, &end);
	if (end == reader->at) {
		bad(reader, reader->at, "invalid number");
		return;
	}
	reader->at = end;
	reader->token = NUMBER;
}

static bool read_word(struct reader *reader, const char *word, enum token token)
{
	size_t len = strlen(word);
	if (strncmp(reader->at, word, len) != 0)
		return false;
	reader->at += len;
	reader->token = token;
	reader->truth = word[0] == 't';
	return true;
}

static void next_token(struct reader *reader)
{
	static const char signs[] = "{}[]:,";
	static const enum token of_signs[] = {OBJECT_BEGIN, OBJECT_END, ARRAY_BEGIN, ARRAY_END, COLON, COMMA};
	while (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r')
		reader->at++;
	reader->from = (size_t)(reader->at - reader->text);
	char c = *reader->at;
	const char *sign = c ? strchr(signs, c) : NULL;
	if (reader->at == reader->end) {
		reader->token = END;
	} else if (sign) {
		reader->token = of_signs[sign - signs];
		reader->at++;
	} else if (c == '"') {
		read_string(reader);
	} else if (may_begin_number(reader->at)) {
		read_number(reader);
	} else if (!read_word(reader, "true", BOOLEAN) && !read_word(reader, "false", BOOLEAN) &&
	           !read_word(reader, "null", NOTHING)) {
		bad(reader, reader->at, "invalid token");
	}
}

/* ---- reading: values ---------------------------------------------------------------- */

static void read_value(struct reader *reader);

static int raise_expected(struct reader *reader, const char *what)
{
	const char *found = reader->token == BAD ? reader->wrong : token_names[reader->token];
	return luaL_error(reader->L, "Expected %s but found %s at character %d", what, found, (int)reader->from + 1);
}

static void descend(struct reader *reader)
{
	reader->depth++;
	if (reader->depth <= settings_of(reader->L)->decode_depth && lua_checkstack(reader->L, 4))
		return;
	luaL_error(reader->L, "Found too many nested data structures (%d) at character %d", reader->depth,
	           (int)(reader->at - reader->text));
}

static void read_object(struct reader *reader)
{
	lua_State *L = reader->L;
	descend(reader);
	lua_newtable(L);
	next_token(reader);
	while (reader->token != OBJECT_END) {
		if (reader->token != STRING)
			raise_expected(reader, "object key string");
		heap_text_push(&reader->string);
		next_token(reader);
		if (reader->token != COLON)
			raise_expected(reader, "colon");
		next_token(reader);
		read_value(reader);
		lua_rawset(L, -3);
		next_token(reader);
		if (reader->token == OBJECT_END)
			break;
		if (reader->token != COMMA)
			raise_expected(reader, "comma or object end");
		next_token(reader);
		if (reader->token == OBJECT_END)
			raise_expected(reader, "object key string");
	}
	reader->depth--;
}

static void read_array(struct reader *reader)
{
	lua_State *L = reader->L;
	descend(reader);
	lua_newtable(L);
	next_token(reader);
	for (int i = 1; reader->token != ARRAY_END; i++) {
		read_value(reader);
		lua_rawseti(L, -2, i);
		next_token(reader);
		if (reader->token == ARRAY_END)
			break;
		if (reader->token != COMMA)
			raise_expected(reader, "comma or array end");
		next_token(reader);
		if (reader->token == ARRAY_END)
			raise_expected(reader, "value");
	}
	reader->depth--;
}

/* Of the token that was read. */
static void read_value(struct reader *reader)
{
	lua_State *L = reader->L;
	switch (reader->token) {
	case STRING:
		heap_text_push(&reader->string);
		break;
	case NUMBER:
		lua_pushnumber(L, reader->number);
		break;
	case BOOLEAN:
		lua_pushboolean(L, reader->truth);
		break;
	case NOTHING:
		lua_pushlightuserdata(L, NULL);
		break;
	case OBJECT_BEGIN:
		read_object(reader);
		break;
	case ARRAY_BEGIN:
		read_array(reader);
		break;
	default:
		raise_expected(reader, "value");
	}
}

static int decode(lua_State *L)
{
	luaL_argcheck(L, lua_gettop(L) == 1, 1, "expected 1 argument");
	struct reader reader = {.L = L};
	size_t len;
	reader.text = reader.at = luaL_checklstring(L, 1, &len);
	reader.end = reader.text + len;
	if (len >= 2 && (!reader.text[0] || !reader.text[1]))
		return luaL_error(L, "JSON parser does not support UTF-16 or UTF-32");
	heap_text_init(&reader.string, L);
	next_token(&reader);
	read_value(&reader);
	next_token(&reader);
	if (reader.token != END)
		raise_expected(&reader, "the end");
	return 1;
}

/* ---- settings ----------------------------------------------------------------------- */

static void one_integer(lua_State *L, int at, int *value, int min, int max)
{
	if (!lua_isnil(L, at)) {
		int given = luaL_checkint(L, at);
		char why[64];
		snprintf(why, sizeof(why), "expected integer between %d and %d", min, max);
		luaL_argcheck(L, min <= given && given <= max, at, why);
		*value = given;
	}
	lua_pushinteger(L, *value);
}

static void one_switch(lua_State *L, int at, bool *value)
{
	static const char *const words[] = {"off", "on", NULL};
	if (lua_isboolean(L, at))
		*value = lua_toboolean(L, at);
	else if (!lua_isnil(L, at))
		*value = luaL_checkoption(L, at, NULL, words);
	lua_pushboolean(L, *value);
}

static struct json_settings *settings_arguments(lua_State *L, int n)
{
	luaL_argcheck(L, lua_gettop(L) <= n, n + 1, "found too many arguments");
	lua_settop(L, n);
	return settings_of(L);
}

static int encode_sparse_array(lua_State *L)
{
	struct json_settings *settings = settings_arguments(L, 3);
	one_switch(L, 1, &settings->convert_sparse);
	one_integer(L, 2, &settings->sparse_ratio, 0, INT32_MAX);
	one_integer(L, 3, &settings->sparse_safe, 0, INT32_MAX);
	return 3;
}

/* More than the stack has room for is taken for as much as it has. */
static int max_depth(lua_State *L, int *depth)
{
	one_integer(L, 1, depth, 1, INT32_MAX);
	if (*depth > DEPTH_MAX)
		*depth = DEPTH_MAX;
	return 1;
}

static int encode_max_depth(lua_State *L) { return max_depth(L, &settings_arguments(L, 1)->encode_depth); }
static int decode_max_depth(lua_State *L) { return max_depth(L, &settings_arguments(L, 1)->decode_depth); }

static int encode_number_precision(lua_State *L)
{
	one_integer(L, 1, &settings_arguments(L, 1)->precision, 1, PRECISION_MAX);
	return 1;
}

/* There is none to keep. */
static int encode_keep_buffer(lua_State *L)
{
	bool keep = true;
	(void)settings_arguments(L, 1);
	one_switch(L, 1, &keep);
	return 1;
}

static int encode_invalid_numbers(lua_State *L)
{
	struct json_settings *settings = settings_arguments(L, 1);
	if (lua_type(L, 1) == LUA_TSTRING && strcmp(lua_tostring(L, 1), "null") == 0) {
		settings->encode_null_invalid = true;
		return 1;
	}
	if (!lua_isnil(L, 1))
		settings->encode_null_invalid = false;
	one_switch(L, 1, &settings->encode_invalid);
	return 1;
}

static int decode_invalid_numbers(lua_State *L)
{
	one_switch(L, 1, &settings_arguments(L, 1)->decode_invalid);
	return 1;
}

int script_open_cjson(lua_State *L)
{
	static const luaL_Reg functions[] = {
	        {"encode", encode},
	        {"decode", decode},
	        {"encode_sparse_array", encode_sparse_array},
	        {"encode_max_depth", encode_max_depth},
	        {"decode_max_depth", decode_max_depth},
	        {"encode_number_precision", encode_number_precision},
	        {"encode_keep_buffer", encode_keep_buffer},
	        {"encode_invalid_numbers", encode_invalid_numbers},
	        {"decode_invalid_numbers", decode_invalid_numbers},
	        {"new", script_open_cjson},
	        {0},
	};
	lua_newtable(L);
	for (const luaL_Reg *function = functions; function->name; function++) {
		lua_pushcfunction(L, function->func);
		lua_setfield(L, -2, function->name);
	}
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	lua_pushliteral(L, "cjson");
	lua_setfield(L, -2, "_NAME");
	lua_pushliteral(L, "2.1.0");
	lua_setfield(L, -2, "_VERSION");
	return 1;
}
