#include "query/session/cold.h"

#include "engine/memory/memory.h"
#include "query/session/round_private.h"

enum { OPTIONS_FROM = 3 };

bool needs_values(const struct command *command, const struct slice *argv, uint32_t argc)
{
	if (!(command->flags & COMMAND_COLD))
		return true;
	for (uint32_t i = OPTIONS_FROM; command->flags & COMMAND_MAY_GET && i < argc; i++)
		if (slice_equal_nocase(argv[i], S("GET")))
			return true;
	return false;
}

static bool is_cold(const struct exec *exec, const struct key *key)
{
	struct object *object = keyspace_peek(exec->shard, key);
	if (!object || !object_is_cold(object))
		return false;
	int64_t expires_ms = object_expires_ms(object);
	return expires_ms == EXPIRES_NEVER || expires_ms > exec->shard->now_ms;
}

enum err values_are_here(const struct exec *exec)
{
	if (!needs_values(exec->command, exec->argv, exec->argc))
		return OK;
	uint32_t room[ROUND_KEYS_INLINE], *at, *owned;
	int n = keys_positions(exec->command, exec->argv, exec->argc, room, ROUND_KEYS_INLINE, &at, &owned);
	bool any = false;
	for (int i = 0; i < n && !any; i++) {
		struct key key = exec_key(exec, at[i]);
		any = is_cold(exec, &key);
	}
	memory_free(owned);
	return any ? ERR_VALUE_LOST : OK;
}
