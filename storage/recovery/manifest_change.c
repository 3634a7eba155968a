/* Changes of the manifest: asked for by any core, made by core 0, one writing at a time. */
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "storage/recovery/store_private.h"

#include <string.h>

static void answer(struct core *core, struct manifest_change *change)
{
	core_post(core, change->from, &(struct message){.run = change->answered, .args[0].ptr = change});
}

static void take_all(struct link *from, struct link *to)
{
	list_init(to);
	for (struct link *link; (link = list_pop_front(from));)
		list_push_back(to, link);
}

/* What is asked for together becomes one version. If it cannot be stored, all goes on with the one before: it may or
 * may not be what a restart finds, and both are good, since nothing is given up before the answer. */
static void store_changes(struct core *core, struct store *store)
{
	struct link asked;
	struct manifest *next = memory_alloc(sizeof(*next));
	take_all(&store->changes, &asked);
	*next = *store->manifest;
	list_each (link, &asked) {
		struct manifest_change *change = container_of(link, struct manifest_change, link);
		change->apply(next, change);
	}
	(void)manifest_drop_logs(next);
	int result = manifest_store(core, store->directory, &store->superblock, next);
	if (result == 0)
		*store->manifest = *next;
	store->manifest->version = next->version; /* a failed one is counted too */
	memory_free(next);
	for (struct link *link; (link = list_pop_front(&asked));) {
		struct manifest_change *change = container_of(link, struct manifest_change, link);
		change->result = result;
		answer(core, change);
	}
}

static void changer(void *arg)
{
	struct store *store = arg;
	struct core *core = core_current();
	while (!list_empty(&store->changes))
		store_changes(core, store);
	store->changing = false;
	round_may_have_ended(core, store);
}

static void change_asked(struct core *core, struct message *message)
{
	struct manifest_change *change = message->args[0].ptr;
	struct store *store = message->args[1].ptr;
	change->from = message->from;
	list_push_back(&store->changes, &change->link);
	if (store->changing)
		return;
	store->changing = true;
	fiber_start(core, changer, store);
}

void manifest_ask(struct core *core, struct store *store, struct manifest_change *change)
{
	core_post(core, 0, &(struct message){.run = change_asked, .args = {{.ptr = change}, {.ptr = store}}});
}
