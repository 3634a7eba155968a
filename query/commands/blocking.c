/* blocking.c -- the words that rows of commands which wait for keys are written with. */
#include "engine/base/number.h"
#include "query/commands/command.h"

#include <math.h>

enum { MS_A_SECOND = 1000, NS_A_MS = 1000 * 1000 };

bool exec_timeout(struct exec *exec, uint32_t at, uint64_t *out_ns)
{
	static const long double ms_max = (long double)(UINT64_MAX / NS_A_MS / 2); /* 292 years */
	long double seconds;
	const char *wrong = NULL;
	if (exec_real(exec, at, &seconds) != OK)
		wrong = "timeout is not a float or out of range";
	else if (seconds < 0 && ceill(seconds * MS_A_SECOND) < 0)
		wrong = "timeout is negative";
	else if (ceill(seconds * MS_A_SECOND) > ms_max)
		wrong = "timeout is out of range";
	else
		*out_ns = (uint64_t)ceill(seconds * MS_A_SECOND) * NS_A_MS;
	if (wrong)
		reply_error_fmt(exec->reply, "ERR %s", wrong);
	return !wrong;
}

enum err run_blocking(struct exec *exec)
{
	const struct blocking *how = exec->command->blocking;
	struct block_wish wish;
	if (!how->read(exec, &wish))
		return OK;
	for (uint32_t at = wish.first; at < wish.first + wish.n; at++) {
		struct key key = exec_key(exec, at);
		struct object *object = exec_find(exec, &key, FIND_WRITE);
		if (!object)
			continue;
		if (!(how->types & 1u << object_type(object)))
			return ERR_WRONG_TYPE;
		if (!how->fits || how->fits(exec, at, object))
			return how->serve(exec, &key, at);
	}
	if (exec->blocked)
		exec_block(exec, &wish);
	else
		how->nothing(exec->reply);
	return OK;
}
