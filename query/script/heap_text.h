/* heap_text.h -- a growing text on Lua's heap.
 *
 * Lives in one place of the Lua stack, which heap_text_init() takes: what is pushed later lies above it. An error,
 * of memory too, leaves it to the collector.
 */
#pragma once

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

struct heap_text {
	lua_State *L;
	uint8_t *ptr;
	size_t len, cap;
	int at; /* in the stack */
};

void heap_text_init(struct heap_text *text, lua_State *L);
uint8_t *heap_text_reserve(struct heap_text *text, size_t more); /* where they go; raises an error without memory */
void heap_text_append(struct heap_text *text, const void *bytes, size_t len);
void heap_text_byte(struct heap_text *text, uint8_t byte);
void heap_text_push(const struct heap_text *text); /* as a Lua string */
