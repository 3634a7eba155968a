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

struct reach call_reach(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t at)
{
	if (!needs_values(command, argv, argc))
		return reach_none;
	return command->reach ? command->reach(argv, argc, at) : reach_all;
}

bool lacks_value(const struct exec *exec, uint32_t at)
{
	struct key key = exec_key(exec, at);
	struct object *object = keyspace_peek(exec->shard, &key);
	struct reach reach = call_reach(exec->command, exec->argv, exec->argc, at);
	if (!object || !tier_lacks(object, &reach))
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
	for (int i = 0; i < n && !any; i++)
		any = lacks_value(exec, at[i]);
	memory_free(owned);
	return any ? ERR_VALUE_LOST : OK;
}
