/* Files of a simulated world: when operations on its disk are done, and who is told.
 *
 * An operation has its effect when it is done, and those in flight are done in any order:
 * whoever writes twice to one place without waiting gets either.
 */
#include "engine/io/sim_disk_private.h"
#include "engine/io/sim_private.h"
#include "engine/memory/memory.h"

enum { OWN_DISK_BYTES = 256 * 1024 * 1024 };

/* An operation in flight. */
struct sim_op {
	struct link all;
	struct io_op *op;
	uint64_t at_ns;
	uint64_t number; /* of all that were staged in this world */
	uint32_t ref;    /* the disk's; 0: staged when the power was off */
	void *memory;
	struct buf *names;
};

/* ---- the disk ------------------------------------------------------------------------- */

/* From the seed, but not a draw: worlds that never look at a disk are as they were. */
static uint64_t disk_seed(const struct sim *sim) { return sim->random ^ 0xd15cull; }

void sim_use_disk(struct sim *sim, struct sim_disk *disk)
{
	assert(!sim->disk);
	sim->disk = disk;
	disk_attach(disk, disk_seed(sim));
	sim->disk_life = disk->life;
}

struct sim_disk *sim_disk_of(struct sim *sim)
{
	if (!sim->disk) {
		struct sim_disk_faults faults = {.delay_ns = sim->faults.delay_ns};
		sim->own_disk = sim_disk_new(OWN_DISK_BYTES);
		sim_disk_set_faults(sim->own_disk, &faults);
		sim_use_disk(sim, sim->own_disk);
	}
	return sim->disk;
}

static bool is_off(const struct sim *sim)
{
	return sim->disk && (sim->disk->has_crashed || sim->disk->life != sim->disk_life);
}

void sim_files_fini(struct sim *sim)
{
	if (sim->disk && !is_off(sim))
		disk_detach(sim->disk);
	sim_disk_free(sim->own_disk);
}

/* ---- operations ----------------------------------------------------------------------- */

static uint64_t takes_ns(struct sim *sim)
{
	const struct sim_disk_faults *faults = sim_disk_faults(sim->disk);
	if (sim_chance(sim, faults->slow)) {
		disk_count_slow(sim->disk);
		return sim_below(sim, faults->slow_ns + 1);
	}
	return sim_below(sim, (uint64_t)faults->delay_ns + 1);
}

static void stage(struct io *base, struct io_op *op, struct disk_request request, void *memory, struct buf *names)
{
	struct sim_io *io = sim_io_of(base);
	struct sim *sim = io->sim;
	struct sim_op *staged = memory_alloc(sizeof(*staged));
	request.memory = memory;
	*staged = (struct sim_op){.op = op, .memory = memory, .names = names, .number = sim->ops_staged++};
	staged->ref = is_off(sim) ? 0 : disk_stage(sim_disk_of(sim), &request);
	staged->at_ns = sim->now_ns + takes_ns(sim);
	op->io = base;
	list_push_back(&io->ops, &staged->all);
}

void sim_file_open(struct io *io, struct io_op *op, const char *path, unsigned flags, unsigned mode)
{
	stage(io, op, (struct disk_request){.kind = DISK_OPEN, .path = path, .flags = flags}, NULL, NULL);
}

void sim_file_read(struct io *io, struct io_op *op, int fd, void *to, size_t size, uint64_t at)
{
	stage(io, op, (struct disk_request){.kind = DISK_READ, .fd = fd, .size = size, .at = at}, to, NULL);
}

void sim_file_write(struct io *io, struct io_op *op, int fd, const void *from, size_t size, uint64_t at, unsigned flags)
{
	stage(io, op, (struct disk_request){.kind = DISK_WRITE, .fd = fd, .size = size, .at = at, .flags = flags},
	      (void *)from, NULL);
}

static void stage_on_file(struct io *io, struct io_op *op, enum disk_kind kind, int fd)
{
	stage(io, op, (struct disk_request){.kind = kind, .fd = fd}, NULL, NULL);
}

static void stage_on_path(struct io *io, struct io_op *op, enum disk_kind kind, const char *path, struct buf *names)
{
	stage(io, op, (struct disk_request){.kind = kind, .path = path}, NULL, names);
}

void sim_file_sync(struct io *io, struct io_op *op, int fd) { stage_on_file(io, op, DISK_SYNC, fd); }
void sim_file_close(struct io *io, struct io_op *op, int fd) { stage_on_file(io, op, DISK_CLOSE, fd); }
void sim_file_size(struct io *io, struct io_op *op, int fd) { stage_on_file(io, op, DISK_SIZE, fd); }

void sim_file_reserve(struct io *io, struct io_op *op, int fd, uint64_t size)
{
	stage(io, op, (struct disk_request){.kind = DISK_RESERVE, .fd = fd, .size = size}, NULL, NULL);
}

void sim_file_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	stage(io, op, (struct disk_request){.kind = DISK_RENAME, .path = from, .path_to = to}, NULL, NULL);
}

void sim_file_remove(struct io *io, struct io_op *op, const char *path)
{
	stage_on_path(io, op, DISK_REMOVE, path, NULL);
}

void sim_dir_make(struct io *io, struct io_op *op, const char *path)
{
	stage_on_path(io, op, DISK_DIR_MAKE, path, NULL);
}

void sim_dir_sync(struct io *io, struct io_op *op, const char *path)
{
	stage_on_path(io, op, DISK_DIR_SYNC, path, NULL);
}

void sim_dir_list(struct io *io, struct io_op *op, const char *path, struct buf *names)
{
	stage_on_path(io, op, DISK_DIR_LIST, path, names);
}

/* ---- the turn --------------------------------------------------------------------------- */

/* The one that is done first, of those with a number below `end`. */
static struct sim_op *next_op(const struct sim_io *io, uint64_t end)
{
	struct sim_op *next = NULL;
	if (list_empty(&io->ops) || is_off(io->sim))
		return NULL;
	list_each (link, &io->ops) {
		struct sim_op *staged = container_of(link, struct sim_op, all);
		if (staged->number < end && (!next || staged->at_ns < next->at_ns))
			next = staged;
	}
	return next;
}

uint64_t sim_files_next_ns(const struct sim_io *io)
{
	const struct sim_op *next = next_op(io, UINT64_MAX);
	return next ? next->at_ns : UINT64_MAX;
}

bool sim_files_due(const struct sim_io *io) { return sim_files_next_ns(io) <= io->sim->now_ns; }

static void op_free(struct sim_op *staged)
{
	list_remove(&staged->all);
	memory_free(staged);
}

int sim_files_poll(struct sim_io *io)
{
	struct sim *sim = io->sim;
	/* Not those that are staged by what is called back: they might never end. */
	uint64_t end = sim->ops_staged;
	struct sim_op *staged;
	int n = 0;
	for (; (staged = next_op(io, end)) && staged->at_ns <= sim->now_ns; n++) {
		struct io_op *op = staged->op;
		int64_t result = disk_finish(sim->disk, staged->ref, staged->memory, staged->names);
		sim_note(sim, (uint64_t)result);
		if (is_off(sim))
			break; /* it is done, but nobody hears of it */
		op_free(staged);
		op->result = result;
		op->done(op);
	}
	return n;
}

/* When the power is off, what was staged stays so. */
void sim_files_forget(struct sim_io *io)
{
	assert(list_empty(&io->ops) || is_off(io->sim));
	list_each (link, &io->ops)
		op_free(container_of(link, struct sim_op, all));
}
