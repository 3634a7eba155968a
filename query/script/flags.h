/* flags.h -- what scripts and functions declare of themselves. */
#pragma once

#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum script_flags {
	SCRIPT_NO_WRITES = 1 << 0,
	SCRIPT_ALLOW_OOM = 1 << 1,
	SCRIPT_ALLOW_STALE = 1 << 2,
	SCRIPT_NO_CLUSTER = 1 << 3,
	SCRIPT_CROSS_SLOTS = 1 << 4,
	SCRIPT_DECLARES = 1 << 5, /* a script's first line says its flags; functions always do */
};

struct script_flag {
	const char *name;
	uint32_t flag;
};
enum { SCRIPT_FLAG_COUNT = 5 };
extern const struct script_flag script_flag_names[SCRIPT_FLAG_COUNT];

/* 0: there is none of that name. Functions' may be in any case. */
uint32_t script_flag_find(struct slice name, bool any_case);
