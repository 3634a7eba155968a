#include "query/script/flags.h"

const struct script_flag script_flag_names[SCRIPT_FLAG_COUNT] = {
        {"no-writes", SCRIPT_NO_WRITES},
        {"allow-oom", SCRIPT_ALLOW_OOM},
        {"allow-stale", SCRIPT_ALLOW_STALE},
        {"no-cluster", SCRIPT_NO_CLUSTER},
        {"allow-cross-slot-keys", SCRIPT_CROSS_SLOTS},
};

uint32_t script_flag_find(struct slice name, bool any_case)
{
	for (size_t i = 0; i < SCRIPT_FLAG_COUNT; i++) {
		struct slice known = slice_from_str(script_flag_names[i].name);
		if (slice_equal(name, known) || (any_case && slice_equal_nocase(name, known)))
			return script_flag_names[i].flag;
	}
	return 0;
}
