#include "query/session/luas.h"

#include "engine/log/log.h"
#include "engine/memory/memory.h"

enum { LUAS_IDLE_MAX = 2, PLACES_FIRST = 64, LOG_TEXT_MAX = 4096 };

/* Of another serial: of something that went. */
struct compiled {
	uint64_t serial;
	int reference;
};

struct lua {
	struct lua *next_idle;
	struct script_state *state;
	struct compiled *compiled; /* by index */
	uint32_t room;
	uint64_t generation; /* of luas_renew(), when it was made */
};

struct luas {
	enum script_source source;
	struct lua *idle;
	uint32_t n_idle;
	uint64_t generation;
	uint64_t next_serial;
	uint32_t *free_indexes, n_free, free_room, next_index;
};

/* ---- life --------------------------------------------------------------------------- */

struct luas *luas_new(enum script_source source)
{
	struct luas *luas = memory_zalloc(sizeof(*luas));
	luas->source = source;
	luas->next_serial = 1;
	return luas;
}

static void lua_free(struct lua *lua)
{
	script_state_free(lua->state);
	memory_free(lua->compiled);
	memory_free(lua);
}

void luas_renew(struct luas *luas)
{
	while (luas->idle) {
		struct lua *lua = luas->idle;
		luas->idle = lua->next_idle;
		lua_free(lua);
	}
	luas->n_idle = 0;
	luas->generation++;
}

void luas_free(struct luas *luas)
{
	if (!luas)
		return;
	luas_renew(luas);
	memory_free(luas->free_indexes);
	memory_free(luas);
}

size_t luas_memory(const struct luas *luas)
{
	size_t sum = 0;
	for (const struct lua *lua = luas->idle; lua; lua = lua->next_idle)
		sum += script_state_memory(lua->state);
	return sum;
}

/* ---- taking and giving -------------------------------------------------------------- */

struct lua *luas_take(struct luas *luas)
{
	struct lua *lua = luas->idle;
	if (lua) {
		luas->idle = lua->next_idle;
		luas->n_idle--;
		return lua;
	}
	lua = memory_zalloc(sizeof(*lua));
	lua->state = script_state_new(luas->source);
	lua->generation = luas->generation;
	return lua;
}

void luas_give(struct luas *luas, struct lua *lua)
{
	bool is_old = lua->generation != luas->generation;
	if (is_old || luas->n_idle == LUAS_IDLE_MAX || script_state_is_spent(lua->state)) {
		lua_free(lua);
		return;
	}
	lua->next_idle = luas->idle;
	luas->idle = lua;
	luas->n_idle++;
}

struct script_state *lua_state_of(struct lua *lua) { return lua->state; }

void script_log(int level, struct slice text)
{
	log_line((enum log_level)(LOG_DEBUG + level), "script: %.*s",
	         (int)(text.len < LOG_TEXT_MAX ? text.len : LOG_TEXT_MAX), text.ptr);
}

/* ---- places ------------------------------------------------------------------------- */

struct lua_place luas_place(struct luas *luas)
{
	uint32_t index = luas->n_free > 0 ? luas->free_indexes[--luas->n_free] : luas->next_index++;
	return (struct lua_place){.serial = luas->next_serial++, .index = index};
}

void luas_give_place(struct luas *luas, struct lua_place place)
{
	if (luas->n_free == luas->free_room) {
		luas->free_room = luas->free_room ? luas->free_room * 2 : PLACES_FIRST;
		luas->free_indexes = memory_resize(luas->free_indexes, luas->free_room * sizeof(*luas->free_indexes));
	}
	luas->free_indexes[luas->n_free++] = place.index;
}

int lua_find(const struct lua *lua, struct lua_place place)
{
	if (place.index >= lua->room || lua->compiled[place.index].serial != place.serial)
		return -1;
	return lua->compiled[place.index].reference;
}

static void make_room(struct lua *lua, uint32_t index)
{
	if (index < lua->room)
		return;
	uint32_t room = (index + 1) * 2;
	lua->compiled = memory_resize(lua->compiled, room * sizeof(*lua->compiled));
	memset(lua->compiled + lua->room, 0, (room - lua->room) * sizeof(*lua->compiled));
	lua->room = room;
}

void lua_keep(struct lua *lua, struct lua_place place, int reference)
{
	make_room(lua, place.index);
	struct compiled *compiled = &lua->compiled[place.index];
	if (compiled->serial)
		script_forget(lua->state, compiled->reference);
	*compiled = (struct compiled){.serial = place.serial, .reference = reference};
}
