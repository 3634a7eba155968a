#include "query/script/values.h"

#include "engine/base/number.h"
#include "kernels/bytes.h"
#include "query/script/state_private.h"

#include <stdio.h>

enum tag {
	TAG_NULL,
	TAG_NULL_ARRAY,
	TAG_SIMPLE,
	TAG_ERROR, /* counted when it was first said */
	TAG_ERROR_UNCOUNTED,
	TAG_INTEGER,
	TAG_REAL,
	TAG_BOOLEAN,
	TAG_BULK,
	TAG_VERBATIM,
	TAG_BIG_NUMBER,
	TAG_DECIMAL, /* a real, in these digits */
	TAG_ARRAY,
	TAG_MAP,
	TAG_SET,
	TAG_ATTRIBUTE,
};

enum { HEAD = 9, FORMAT = 3, TAKEN_MAX = 256 * 1024 * 1024 };

/* ---- writing ------------------------------------------------------------------------ */

/* A tag and a word: a number, or a length. */
static void put(struct buf *record, enum tag tag, uint64_t word)
{
	uint8_t *to = buf_reserve(record, HEAD);
	to[0] = (uint8_t)tag;
	memcpy(to + 1, &word, sizeof(word));
	record->len += HEAD;
}

static void put_bytes(struct buf *record, enum tag tag, struct slice bytes)
{
	put(record, tag, bytes.len);
	buf_append(record, bytes);
}

static void put_real(struct buf *record, double value)
{
	uint64_t word;
	memcpy(&word, &value, sizeof(word));
	put(record, TAG_REAL, word);
}

static void put_verbatim(struct buf *record, const char *format, struct slice bytes)
{
	put(record, TAG_VERBATIM, bytes.len + FORMAT);
	buf_append(record, slice_of(format, FORMAT));
	buf_append(record, bytes);
}

void record_error(struct buf *record, struct slice text, bool counted)
{
	size_t from = record->len + HEAD;
	put_bytes(record, counted ? TAG_ERROR : TAG_ERROR_UNCOUNTED, text);
	for (size_t i = from; i < record->len; i++)
		if (record->ptr[i] == '\r' || record->ptr[i] == '\n')
			record->ptr[i] = ' ';
}

static void say_null(struct reply *reply) { put(reply->out, TAG_NULL, 0); }
static void say_null_array(struct reply *reply) { put(reply->out, TAG_NULL_ARRAY, 0); }
static void say_simple(struct reply *reply, struct slice text) { put_bytes(reply->out, TAG_SIMPLE, text); }
static void say_error(struct reply *reply, struct slice text) { put_bytes(reply->out, TAG_ERROR, text); }
static void say_integer(struct reply *reply, int64_t value) { put(reply->out, TAG_INTEGER, (uint64_t)value); }
static void say_real(struct reply *reply, double value) { put_real(reply->out, value); }
static void say_boolean(struct reply *reply, bool value) { put(reply->out, TAG_BOOLEAN, value); }
static void say_bulk(struct reply *reply, struct slice bytes) { put_bytes(reply->out, TAG_BULK, bytes); }
static void say_big_number(struct reply *reply, struct slice digits) { put_bytes(reply->out, TAG_BIG_NUMBER, digits); }
static void say_decimal(struct reply *reply, struct slice digits) { put_bytes(reply->out, TAG_DECIMAL, digits); }
static void say_array(struct reply *reply, size_t n) { put(reply->out, TAG_ARRAY, n); }
static void say_map(struct reply *reply, size_t n_pairs) { put(reply->out, TAG_MAP, n_pairs); }
static void say_set(struct reply *reply, size_t n) { put(reply->out, TAG_SET, n); }
static void say_attribute(struct reply *reply, size_t n_pairs) { put(reply->out, TAG_ATTRIBUTE, n_pairs); }

static void say_verbatim(struct reply *reply, const char format[4], struct slice bytes)
{
	put_verbatim(reply->out, format, bytes);
}

static void say_lent(struct reply *reply, struct loan loan) { assert(!"a record lends nothing"); }

const struct reply_ops record_ops = {
        .null = say_null,
        .null_array = say_null_array,
        .simple = say_simple,
        .error = say_error,
        .integer = say_integer,
        .real = say_real,
        .boolean = say_boolean,
        .bulk = say_bulk,
        .verbatim = say_verbatim,
        .big_number = say_big_number,
        .array = say_array,
        .map = say_map,
        .set = say_set,
        .push = say_array,
        .attribute = say_attribute,
        .lent = say_lent,
        .decimal = say_decimal,
};

/* ---- reading ------------------------------------------------------------------------ */

struct value {
	enum tag tag;
	uint64_t word;
	struct slice bytes;
};

static bool has_bytes(enum tag tag)
{
	return tag == TAG_SIMPLE || tag == TAG_ERROR || tag == TAG_ERROR_UNCOUNTED || tag == TAG_BULK ||
	       tag == TAG_VERBATIM || tag == TAG_BIG_NUMBER || tag == TAG_DECIMAL;
}

/* Records are written here alone: whole, and as they should be. */
static struct value get(const struct buf *record, size_t *at)
{
	assert(record->len - *at >= HEAD);
	struct value value = {.tag = record->ptr[*at], .word = load_u64(record->ptr + *at + 1)};
	*at += HEAD;
	if (has_bytes(value.tag)) {
		assert(record->len - *at >= value.word);
		value.bytes = slice_of(record->ptr + *at, value.word);
		*at += value.word;
	}
	return value;
}

static double real_of(const struct value *value)
{
	double real;
	memcpy(&real, &value->word, sizeof(real));
	return real;
}

bool record_is_error(const struct buf *record)
{
	return record->len > 0 && (record->ptr[0] == TAG_ERROR || record->ptr[0] == TAG_ERROR_UNCOUNTED);
}

static void say(const struct value *value, struct reply *reply)
{
	char format[FORMAT + 1] = {0};
	switch (value->tag) {
	case TAG_NULL:
		reply_null(reply);
		break;
	case TAG_NULL_ARRAY:
		reply_null_array(reply);
		break;
	case TAG_SIMPLE:
		reply_simple(reply, value->bytes);
		break;
	case TAG_ERROR:
		reply->errors++;
		reply->ops->error(reply, value->bytes);
		break;
	case TAG_ERROR_UNCOUNTED:
		reply_error_fmt(reply, "%.*s", (int)value->bytes.len, (const char *)value->bytes.ptr);
		break;
	case TAG_INTEGER:
		reply_integer(reply, (int64_t)value->word);
		break;
	case TAG_REAL:
		reply_real(reply, real_of(value));
		break;
	case TAG_BOOLEAN:
		reply_boolean(reply, value->word);
		break;
	case TAG_BULK:
		reply_bulk(reply, value->bytes);
		break;
	case TAG_VERBATIM:
		memcpy(format, value->bytes.ptr, FORMAT);
		reply_verbatim(reply, format, slice_sub(value->bytes, FORMAT, value->bytes.len));
		break;
	case TAG_BIG_NUMBER:
		reply->ops->big_number(reply, value->bytes);
		break;
	case TAG_DECIMAL:
		reply_decimal(reply, value->bytes);
		break;
	case TAG_ARRAY:
		reply_array(reply, value->word);
		break;
	case TAG_MAP:
		reply_map(reply, value->word);
		break;
	case TAG_SET:
		reply_set(reply, value->word);
		break;
	case TAG_ATTRIBUTE:
		reply->ops->attribute(reply, value->word);
		break;
	}
}

void record_say(const struct buf *record, struct reply *reply)
{
	for (size_t at = 0; at < record->len;) {
		struct value value = get(record, &at);
		say(&value, reply);
	}
}

/* ---- to Lua ------------------------------------------------------------------------- */

static void push(lua_State *L, const struct buf *record, size_t *at, uint8_t resp);

static void push_bytes(lua_State *L, struct slice bytes) { lua_pushlstring(L, (const char *)bytes.ptr, bytes.len); }

/* {name = bytes} */
static void push_named(lua_State *L, enum script_kept name, struct slice bytes)
{
	lua_createtable(L, 0, 1);
	script_push_kept(L, name);
	push_bytes(L, bytes);
	lua_rawset(L, -3);
}

static bool has_space(struct slice text) { return text.len > 0 && memchr(text.ptr, ' ', text.len); }

static void push_failure(lua_State *L, struct slice text)
{
	lua_createtable(L, 0, 2);
	lua_pushliteral(L, "ERR ");
	push_bytes(L, text);
	if (has_space(text)) {
		lua_remove(L, -2);
	} else {
		lua_concat(L, 2); /* an error has a code */
	}
	lua_setfield(L, -2, "err");
	lua_pushboolean(L, true);
	lua_setfield(L, -2, "ignore_error_stats_update");
}

static void push_array(lua_State *L, const struct buf *record, size_t *at, uint64_t n, uint8_t resp)
{
	lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
	for (uint64_t i = 1; i <= n; i++) {
		push(L, record, at, resp);
		lua_rawseti(L, -2, (int)i);
	}
}

static void push_map(lua_State *L, const struct buf *record, size_t *at, uint64_t n)
{
	lua_createtable(L, 0, 1);
	lua_newtable(L);
	for (uint64_t i = 0; i < n; i++) {
		push(L, record, at, 3);
		push(L, record, at, 3);
		lua_rawset(L, -3);
	}
	lua_setfield(L, -2, "map");
}

static void push_set(lua_State *L, const struct buf *record, size_t *at, uint64_t n)
{
	lua_createtable(L, 0, 1);
	lua_newtable(L);
	for (uint64_t i = 0; i < n; i++) {
		push(L, record, at, 3);
		lua_pushboolean(L, true);
		lua_rawset(L, -3);
	}
	lua_setfield(L, -2, "set");
}

static void push_verbatim(lua_State *L, struct slice bytes)
{
	lua_createtable(L, 0, 1);
	lua_createtable(L, 0, 2);
	push_bytes(L, slice_sub(bytes, FORMAT, bytes.len));
	lua_setfield(L, -2, "string");
	push_bytes(L, slice_sub(bytes, 0, FORMAT));
	lua_setfield(L, -2, "format");
	lua_setfield(L, -2, "verbatim_string");
}

static void push_real(lua_State *L, double real)
{
	lua_createtable(L, 0, 1);
	lua_pushnumber(L, real);
	lua_setfield(L, -2, "double");
}

/* RESP2 knows no more than these. */
static void push_flat(lua_State *L, const struct value *value, const struct buf *record, size_t *at)
{
	char text[32];
	switch (value->tag) {
	case TAG_REAL:
		lua_pushlstring(L, text, real_format_17(real_of(value), text));
		break;
	case TAG_BOOLEAN:
		lua_pushnumber(L, (lua_Number)value->word);
		break;
	case TAG_VERBATIM:
		push_bytes(L, slice_sub(value->bytes, FORMAT, value->bytes.len));
		break;
	case TAG_BIG_NUMBER:
	case TAG_DECIMAL:
		push_bytes(L, value->bytes);
		break;
	case TAG_MAP:
		push_array(L, record, at, value->word * 2, 2);
		break;
	case TAG_SET:
		push_array(L, record, at, value->word, 2);
		break;
	default:
		lua_pushboolean(L, false);
		break; /* of the nulls */
	}
}

static void push_rich(lua_State *L, const struct value *value, const struct buf *record, size_t *at)
{
	double real = 0;
	switch (value->tag) {
	case TAG_REAL:
		push_real(L, real_of(value));
		break;
	case TAG_BOOLEAN:
		lua_pushboolean(L, (int)value->word);
		break;
	case TAG_VERBATIM:
		push_verbatim(L, value->bytes);
		break;
	case TAG_BIG_NUMBER:
		push_named(L, WORD_BIG_NUMBER, value->bytes);
		break;
	case TAG_DECIMAL:
		(void)real_parse_double(value->bytes, &real);
		push_real(L, real);
		break;
	case TAG_MAP:
		push_map(L, record, at, value->word);
		break;
	case TAG_SET:
		push_set(L, record, at, value->word);
		break;
	default:
		lua_pushnil(L);
		break;
	}
}

/* Attributes are not for scripts. */
static void skip_attribute(lua_State *L, const struct buf *record, size_t *at, uint64_t n)
{
	for (uint64_t i = 0; i < 2 * n; i++) {
		push(L, record, at, 2);
		lua_pop(L, 1);
	}
}

static void push(lua_State *L, const struct buf *record, size_t *at, uint8_t resp)
{
	luaL_checkstack(L, 8, "an answer is nested too deeply");
	struct value value = get(record, at);
	switch (value.tag) {
	case TAG_BULK:
		push_bytes(L, value.bytes);
		break;
	case TAG_INTEGER:
		lua_pushnumber(L, (lua_Number)(int64_t)value.word);
		break;
	case TAG_SIMPLE:
		push_named(L, WORD_OK, value.bytes);
		break;
	case TAG_ERROR:
	case TAG_ERROR_UNCOUNTED:
		push_failure(L, value.bytes);
		break;
	case TAG_ARRAY:
		push_array(L, record, at, value.word, resp);
		break;
	case TAG_ATTRIBUTE:
		skip_attribute(L, record, at, value.word);
		push(L, record, at, resp);
		break;
	default:
		if (resp == 2)
			push_flat(L, &value, record, at);
		else
			push_rich(L, &value, record, at);
		break;
	}
}

void record_push(lua_State *L, const struct buf *record, uint8_t resp)
{
	size_t at = 0;
	push(L, record, &at, resp);
}

/* ---- from Lua ----------------------------------------------------------------------- */

static struct slice text_at(lua_State *L, int index)
{
	size_t len;
	const char *text = lua_tolstring(L, index, &len);
	return slice_of(text, len);
}

/* The field of the table at the top, if it has that type: then it lies at the top. */
static bool field(lua_State *L, enum script_kept name, int type)
{
	script_push_kept(L, name);
	lua_rawget(L, -2);
	if (lua_type(L, -1) == type)
		return true;
	lua_pop(L, 1);
	return false;
}

static int64_t integer_of(lua_Number number)
{
	return number >= -9223372036854775808.0 && number < 9223372036854775808.0 ? (int64_t)number : INT64_MIN;
}

static void take_failure(lua_State *L, struct buf *record)
{
	bool counted = false;
	if (field(L, WORD_IGNORE, LUA_TBOOLEAN)) {
		counted = lua_toboolean(L, -1);
		lua_pop(L, 1);
	}
	(void)field(L, WORD_ERR, LUA_TSTRING);
	record_error(record, slice_from_str(lua_tostring(L, -1)), counted);
}

static void take_status(lua_State *L, struct buf *record)
{
	size_t from = record->len + HEAD;
	put_bytes(record, TAG_SIMPLE, slice_from_str(lua_tostring(L, -1)));
	for (size_t i = from; i < record->len; i++)
		if (record->ptr[i] == '\r' || record->ptr[i] == '\n')
			record->ptr[i] = ' ';
}

static void take_big_number(lua_State *L, struct buf *record)
{
	size_t from = record->len + HEAD;
	put_bytes(record, TAG_BIG_NUMBER, text_at(L, -1));
	for (size_t i = from; i < record->len; i++)
		if (record->ptr[i] == '\r' || record->ptr[i] == '\n')
			record->ptr[i] = ' ';
}

static bool take_verbatim(lua_State *L, struct buf *record)
{
	if (!field(L, WORD_FORMAT, LUA_TSTRING))
		return false;
	char format[FORMAT + 1];
	snprintf(format, sizeof(format), "%-3.3s", lua_tostring(L, -1));
	lua_pop(L, 1);
	if (!field(L, WORD_STRING, LUA_TSTRING))
		return false;
	put_verbatim(record, format, text_at(L, -1));
	return true;
}

static uint64_t fields_count(lua_State *L)
{
	uint64_t n = 0;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		n++;
	return n;
}

static void take_map(lua_State *L, struct buf *record, uint8_t resp)
{
	put(record, TAG_MAP, fields_count(L));
	for (lua_pushnil(L); lua_next(L, -2);) {
		lua_pushvalue(L, -2);
		record_take(L, record, resp);
		record_take(L, record, resp);
	}
}

static void take_set(lua_State *L, struct buf *record, uint8_t resp)
{
	put(record, TAG_SET, fields_count(L));
	for (lua_pushnil(L); lua_next(L, -2);) {
		lua_pop(L, 1);
		lua_pushvalue(L, -1);
		record_take(L, record, resp);
	}
}

/* Up to the first nil. */
static void take_array(lua_State *L, struct buf *record, uint8_t resp)
{
	int n = 0;
	for (bool more = true; more; n += more) {
		lua_rawgeti(L, -1, n + 1);
		more = !lua_isnil(L, -1);
		lua_pop(L, 1);
	}
	put(record, TAG_ARRAY, (uint64_t)n);
	for (int i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, i);
		record_take(L, record, resp);
	}
}

static void take_table(lua_State *L, struct buf *record, uint8_t resp)
{
	int top = lua_gettop(L);
	if (field(L, WORD_ERR, LUA_TSTRING)) {
		lua_settop(L, top);
		take_failure(L, record);
	} else if (field(L, WORD_OK, LUA_TSTRING)) {
		take_status(L, record);
	} else if (field(L, WORD_DOUBLE, LUA_TNUMBER)) {
		put_real(record, lua_tonumber(L, -1));
	} else if (field(L, WORD_BIG_NUMBER, LUA_TSTRING)) {
		take_big_number(L, record);
	} else if (field(L, WORD_VERBATIM, LUA_TTABLE) && take_verbatim(L, record)) {
		/* that was it */
	} else if (lua_settop(L, top), field(L, WORD_MAP, LUA_TTABLE)) {
		take_map(L, record, resp);
	} else if (field(L, WORD_SET, LUA_TTABLE)) {
		take_set(L, record, resp);
	} else {
		take_array(L, record, resp);
	}
	lua_settop(L, top);
}

void record_take(lua_State *L, struct buf *record, uint8_t resp)
{
	if (!lua_checkstack(L, 8)) {
		record_error(record, S("ERR reached lua stack limit"), false);
		lua_pop(L, 1);
		return;
	}
	if (record->len > TAKEN_MAX) /* a table in itself, twice, has no end */
		luaL_error(L, "the answer is too large");
	script_breathe(L);
	switch (lua_type(L, -1)) {
	case LUA_TSTRING:
		put_bytes(record, TAG_BULK, text_at(L, -1));
		break;
	case LUA_TNUMBER:
		put(record, TAG_INTEGER, (uint64_t)integer_of(lua_tonumber(L, -1)));
		break;
	case LUA_TTABLE:
		take_table(L, record, resp);
		break;
	case LUA_TBOOLEAN:
		if (resp != 2)
			put(record, TAG_BOOLEAN, (uint64_t)lua_toboolean(L, -1));
		else if (lua_toboolean(L, -1))
			put(record, TAG_INTEGER, 1);
		else
			put(record, TAG_NULL, 0);
		break;
	default:
		put(record, TAG_NULL, 0);
		break;
	}
	lua_pop(L, 1);
}
