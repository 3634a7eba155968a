/* The end of a world: what was in flight lands or does not, descriptors are gone, and after a crash
 * nothing is cached any more.
 */
#include "engine/io/io.h"
#include "engine/io/sim_disk_private.h"

static struct disk_op *op_at(const struct sim_disk *disk, uint32_t ref) { return heap_at(disk, ref); }

static void begin_life(struct sim_disk *disk, uint64_t random)
{
	disk->random = random;
	disk->life++;
}

static void close_all(struct sim_disk *disk)
{
	memset(disk->descriptors, 0, sizeof(disk->descriptors));
	disk->has_crashed = false;
	disk->crash_at = 0;
	names_sweep(disk);
}

void disk_attach(struct sim_disk *disk, uint64_t random)
{
	assert(!disk->has_crashed && !disk->ops && "crash it, or kill what used it");
	disk->random = random;
}

void disk_detach(struct sim_disk *disk)
{
	assert(!disk->ops);
	close_all(disk);
}

/* ---- what was in flight -------------------------------------------------------------------------- */

/* Most of what there is room for. */
static struct slice bytes_that_fit(struct sim_disk *disk, const struct disk_op *op)
{
	uint64_t size = op->size;
	if (disk->faults.room_bytes) {
		uint64_t room = disk->faults.room_bytes / SIM_SECTOR_SIZE, used = names_sectors_used(disk);
		size = data_fits(disk, file_at(disk, op->file), op->at, size, room > used ? room - used : 0);
	}
	return slice_of(heap_at(disk, op->bytes), size);
}

/* All of it may have reached the device, or the cache, from where the crash takes it. A device that has
 * all of it, and nobody who was told: that is what recovery must be ready for. */
static void land(struct sim_disk *disk, const struct disk_op *op)
{
	if (op->error || disk_chance(disk, 250))
		return;
	struct slice bytes = bytes_that_fit(disk, op);
	bool durable = disk_chance(disk, 333);
	if (bytes.len == 0)
		return;
	data_land(disk, file_at(disk, op->file), op->at, bytes, durable ? LANDS_DURABLE : LANDS_CACHED);
	data_extend(file_at(disk, op->file), op->at + bytes.len, durable);
}

static uint32_t draw_op(struct sim_disk *disk)
{
	uint32_t n = 0, ref;
	for (ref = disk->ops; ref; ref = op_at(disk, ref)->next)
		n++;
	if (n == 0)
		return 0;
	ref = disk->ops;
	for (uint64_t at = disk_below(disk, n); at > 0; at--)
		ref = op_at(disk, ref)->next;
	return ref;
}

/* In any order. */
static void land_all(struct sim_disk *disk)
{
	disk->clock++;
	for (uint32_t ref; (ref = draw_op(disk));) {
		const struct disk_op *op = op_at(disk, ref);
		disk->counts.in_flight++;
		if (op->kind == DISK_WRITE)
			land(disk, op);
		else if (op->path && disk_chance(disk, 500))
			(void)disk_change_names(disk, op);
		disk_forget(disk, ref);
	}
}

/* ---- the end ---------------------------------------------------------------------------------------- */

void sim_disk_kill(struct sim_disk *disk, uint64_t random)
{
	begin_life(disk, random);
	disk->counts.kills++;
	land_all(disk);
	close_all(disk);
}

void sim_disk_crash(struct sim_disk *disk, uint64_t random)
{
	begin_life(disk, random);
	disk->counts.crashes++;
	land_all(disk);
	names_crash(disk);
	close_all(disk);
	for (uint32_t ref = disk->files; ref; ref = file_at(disk, ref)->next)
		data_crash(disk, file_at(disk, ref));
}
