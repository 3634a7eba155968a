#include "query/script/heap_text.h"

#include <lauxlib.h>
#include <string.h>

enum { FIRST = 64 };

void heap_text_init(struct heap_text *text, lua_State *L)
{
	*text = (struct heap_text){.L = L};
	luaL_checkstack(L, 2, "too many values");
	text->ptr = lua_newuserdata(L, FIRST);
	text->cap = FIRST;
	text->at = lua_gettop(L);
}

uint8_t *heap_text_reserve(struct heap_text *text, size_t more)
{
	if (more <= text->cap - text->len)
		return text->ptr + text->len;
	if (more > SIZE_MAX / 4 || text->len > SIZE_MAX / 4)
		luaL_error(text->L, "not enough memory");
	size_t cap = (text->len + more) * 2;
	luaL_checkstack(text->L, 1, "too many values");
	uint8_t *ptr = lua_newuserdata(text->L, cap);
	memcpy(ptr, text->ptr, text->len);
	lua_replace(text->L, text->at);
	text->ptr = ptr;
	text->cap = cap;
	return ptr + text->len;
}

void heap_text_append(struct heap_text *text, const void *bytes, size_t len)
{
	uint8_t *to = heap_text_reserve(text, len);
	if (len > 0)
		memcpy(to, bytes, len);
	text->len += len;
}

void heap_text_byte(struct heap_text *text, uint8_t byte) { heap_text_append(text, &byte, 1); }

void heap_text_push(const struct heap_text *text) { lua_pushlstring(text->L, (const char *)text->ptr, text->len); }
