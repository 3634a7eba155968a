/* Directories made durable, for all cores by core 0.
 *
 *   dir_sync() --message--> queue --one directory at a time, for all who wait for it--> message --> the caller goes on
 */
#include "engine/core/core.h"
#include "engine/core/dir_sync_private.h"
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct dir_syncs {
	_Atomic uint64_t failures; /* written by core 0 */
	/* Core 0's: */
	struct core *core;
	struct io_op op;
	struct link queue, running; /* of struct dir_request; running: those whom the operation serves */
};

/* On the stack of the fiber that waits. */
struct dir_request {
	struct link link;
	const char *path;
	uint64_t mark;
	struct fiber *fiber;
	uint16_t from;
	int result;
};

struct dir_syncs *dir_syncs_new(void)
{
	struct dir_syncs *syncs = memory_zalloc(sizeof(*syncs));
	atomic_init(&syncs->failures, 0);
	list_init(&syncs->queue);
	list_init(&syncs->running);
	return syncs;
}

void dir_syncs_free(struct dir_syncs *syncs) { memory_free(syncs); }

static struct dir_request *request_of(struct link *link) { return container_of(link, struct dir_request, link); }

static void go_on(struct core *core, struct message *message)
{
	struct dir_request *request = message->args[0].ptr;
	fiber_wake(core, request->fiber);
}

static void sync_next(struct core *core);

static void on_synced(struct io_op *op)
{
	struct dir_syncs *syncs = container_of(op, struct dir_syncs, op);
	struct core *core = syncs->core;
	/* Before the next one begins: what that one finds durable is not what this one has lost. */
	if (op->result < 0)
		atomic_fetch_add_explicit(&syncs->failures, 1, memory_order_relaxed);
	uint64_t failures = atomic_load_explicit(&syncs->failures, memory_order_relaxed);
	for (struct link *link; (link = list_pop_front(&syncs->running));) {
		struct dir_request *request = request_of(link);
		request->result = op->result < 0 ? (int)op->result : request->mark != failures ? -EIO : 0;
		core_post(core, request->from, &(struct message){.run = go_on, .args[0].ptr = request});
	}
	sync_next(core);
}

static void sync_next(struct core *core)
{
	struct dir_syncs *syncs = core->machine->dir_syncs;
	struct link queue;
	if (!list_empty(&syncs->running) || list_empty(&syncs->queue))
		return;
	const char *path = request_of(syncs->queue.next)->path;
	list_init(&queue);
	for (struct link *link; (link = list_pop_front(&syncs->queue));)
		list_push_back(strcmp(request_of(link)->path, path) == 0 ? &syncs->running : &queue, link);
	for (struct link *link; (link = list_pop_front(&queue));)
		list_push_back(&syncs->queue, link);
	syncs->core = core;
	syncs->op = (struct io_op){.done = on_synced};
	io_dir_sync(core->io, &syncs->op, path);
}

static void ask(struct core *core, struct message *message)
{
	struct dir_request *request = message->args[0].ptr;
	list_push_back(&core->machine->dir_syncs->queue, &request->link);
	sync_next(core);
}

uint64_t dir_mark(const struct core *core)
{
	return atomic_load_explicit(&core->machine->dir_syncs->failures, memory_order_relaxed);
}

int dir_sync(struct core *core, const char *path, uint64_t mark)
{
	struct dir_request request = {.path = path, .mark = mark, .fiber = fiber_self(core), .from = core->id};
	core_post(core, 0, &(struct message){.run = ask, .args[0].ptr = &request});
	fiber_wait(core);
	return request.result;
}
