/* Files of cold values: made known to all cores at the start, removed when none of them needs them. */
#include "engine/core/file.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "storage/recovery/crew.h"
#include "storage/recovery/store_private.h"

#include <errno.h>
#include <string.h>

enum { PATH_ROOM = 4096, SEGMENTS_IN_FILE = 4 };

/* ---- the start ------------------------------------------------------------------------------- */

static void make_here(struct core *core, void *arg)
{
	struct store *store = arg;
	store->cores[core->id].tier = tier_new(core, store->directory, store->options.segment_size * SEGMENTS_IN_FILE,
	                                       &store->tiers, store->tiers.next_number + core->id, store->n_cores);
}

int tiers_make(struct core *core, struct store *store)
{
	int result = tier_survey(core, store->directory, &store->tiers);
	if (result == 0)
		crew_run(core, make_here, store);
	return result;
}

static void share_here(struct core *core, void *arg)
{
	struct store *store = arg;
	tier_learn_share(store->cores[core->id].tier, &store->tiers);
}

/* Nothing changes on other cores yet: they wait. */
void tiers_share(struct core *core, struct store *store)
{
	for (uint16_t id = 0; id < store->n_cores; id++)
		tier_tell_live(store->cores[id].tier, &store->tiers);
	crew_run(core, share_here, store);
	tier_list_fini(&store->tiers);
}

/* ---- removing ---------------------------------------------------------------------------------- */

struct removal {
	struct store *store;
	struct tier_list list;
	uint64_t *needed; /* words of all cores, one a file: each sets its bit */
};

static void look_here(struct core *core, void *arg)
{
	struct removal *removal = arg;
	const struct tier *tier = removal->store->cores[core->id].tier;
	for (uint32_t i = 0; i < removal->list.n; i++)
		if (tier_needs(tier, removal->list.all[i].number))
			__atomic_fetch_or(&removal->needed[i], (uint64_t)1 << core->id, __ATOMIC_RELAXED);
}

static void drop_here(struct core *core, void *arg)
{
	struct removal *removal = arg;
	struct tier *tier = removal->store->cores[core->id].tier;
	for (uint32_t i = 0; i < removal->list.n; i++)
		if (removal->needed[i] == 0)
			tier_drop_file(tier, removal->list.all[i].number);
}

static void remove_one(struct core *core, const struct store *store, uint32_t number)
{
	char path[PATH_ROOM];
	tier_path(store->directory, number, path, sizeof(path));
	int result = file_remove(core, path);
	if (result < 0 && result != -ENOENT)
		log_warning("%s, which is not needed any more, cannot be removed: %s", path, strerror(-result));
}

/* Files that are begun after the list was made are not in it. What nobody points to now nobody will. */
void tiers_remove_files(struct core *core, struct store *store)
{
	static_assert(CORES_MAX <= 64, "a bit for each core");
	struct removal removal = {.store = store};
	if (tier_survey(core, store->directory, &removal.list) < 0)
		return;
	removal.needed = memory_zalloc((removal.list.n + 1) * sizeof(*removal.needed));
	crew_run(core, look_here, &removal);
	crew_run(core, drop_here, &removal);
	for (uint32_t i = 0; i < removal.list.n; i++)
		if (removal.needed[i] == 0)
			remove_one(core, store, removal.list.all[i].number);
	memory_free(removal.needed);
	tier_list_fini(&removal.list);
}
