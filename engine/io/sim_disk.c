#include "engine/io/sim_disk_private.h"

#include <assert.h>
#include <sys/mman.h>

/* ---- memory ---------------------------------------------------------------------------------- */

static uint32_t class_of(size_t size)
{
	uint32_t class = 0;
	while ((size_t)HEAP_UNIT << class < size)
		class ++;
	assert(class < HEAP_CLASSES);
	return class;
}

size_t heap_size(size_t size) { return (size_t)HEAP_UNIT << class_of(size); }

/* Powers of two, and a list of free blocks for each. */
uint32_t heap_take(struct sim_disk *disk, size_t size)
{
	uint32_t class = class_of(size), ref = disk->free[class], units = 1u << class;
	if (ref) {
		disk->free[class] = *(uint32_t *)heap_at(disk, ref);
	} else {
		ref = (uint32_t)disk->top;
		disk->top += units;
		assert(disk->top * HEAP_UNIT <= disk->memory_bytes && "the simulated disk has no more memory");
	}
	disk->taken += units;
	memset(heap_at(disk, ref), 0, (size_t)units * HEAP_UNIT);
	return ref;
}

void heap_give(struct sim_disk *disk, uint32_t ref, size_t size)
{
	if (!ref)
		return;
	uint32_t class = class_of(size);
	*(uint32_t *)heap_at(disk, ref) = disk->free[class];
	disk->free[class] = ref;
	disk->taken -= 1u << class;
}

uint32_t heap_text(struct sim_disk *disk, struct slice text)
{
	uint32_t ref = heap_take(disk, text.len + 1);
	memcpy(heap_at(disk, ref), text.ptr, text.len);
	return ref;
}

void heap_text_give(struct sim_disk *disk, uint32_t ref)
{
	if (ref)
		heap_give(disk, ref, strlen(text_at(disk, ref)) + 1);
}

void *array_add(struct sim_disk *disk, struct disk_array *array, size_t item_size)
{
	if (array->n == array->room) {
		uint32_t room = array->room ? array->room * 2 : 4, items = heap_take(disk, room * item_size);
		memcpy(heap_at(disk, items), heap_at(disk, array->items), array->n * item_size);
		heap_give(disk, array->items, array->room * item_size);
		array->items = items;
		array->room = room;
	}
	void *item = (uint8_t *)heap_at(disk, array->items) + array->n++ * item_size;
	memset(item, 0, item_size);
	return item;
}

void array_give(struct sim_disk *disk, struct disk_array *array, size_t item_size)
{
	heap_give(disk, array->items, array->room * item_size);
	*array = (struct disk_array){0};
}

/* ---- chance ----------------------------------------------------------------------------------- */

/* SplitMix64, as in sim.c; apart from it, since a crash has a seed of its own. */
uint64_t disk_random(struct sim_disk *disk)
{
	uint64_t z = disk->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t disk_below(struct sim_disk *disk, uint64_t n)
{
	assert(n > 0);
	return (uint64_t)((unsigned __int128)disk_random(disk) * n >> 64);
}

bool disk_chance(struct sim_disk *disk, uint32_t in_1000) { return in_1000 > 0 && disk_below(disk, 1000) < in_1000; }

/* ---- life ------------------------------------------------------------------------------------- */

static struct sim_disk *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(memory != MAP_FAILED);
	return memory;
}

struct sim_disk *sim_disk_new(size_t memory_bytes)
{
	struct sim_disk *disk = map(memory_bytes);
	disk->memory_bytes = memory_bytes;
	disk->top = (sizeof(*disk) + HEAP_UNIT - 1) / HEAP_UNIT;
	disk->root = disk->files = heap_take(disk, sizeof(struct disk_file));
	file_at(disk, disk->root)->is_directory = true;
	return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
	if (disk)
		munmap(disk, disk->memory_bytes);
}

struct sim_disk *sim_disk_copy(const struct sim_disk *disk)
{
	struct sim_disk *copy = map(disk->memory_bytes);
	memcpy(copy, disk, disk->top * HEAP_UNIT);
	return copy;
}

void sim_disk_set_faults(struct sim_disk *disk, const struct sim_disk_faults *faults) { disk->faults = *faults; }
const struct sim_disk_faults *sim_disk_faults(const struct sim_disk *disk) { return &disk->faults; }
const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *disk) { return &disk->counts; }

uint64_t sim_disk_used_bytes(const struct sim_disk *disk)
{
	return names_sectors_used((struct sim_disk *)disk) * SIM_SECTOR_SIZE;
}

void sim_disk_crash_after(struct sim_disk *disk, uint64_t n) { disk->crash_at = n ? disk->events + n : 0; }
bool sim_disk_has_crashed(const struct sim_disk *disk) { return disk->has_crashed; }
uint64_t sim_disk_events(const struct sim_disk *disk) { return disk->events; }

/* ---- for tests --------------------------------------------------------------------------------- */

static struct disk_file *file_of(const struct sim_disk *disk, const char *path)
{
	struct place place;
	if (names_place(disk, path, &place) != 0 || !place.file)
		return NULL;
	struct disk_file *file = file_at(disk, place.file);
	return file->is_directory ? NULL : file;
}

static void each_in(const struct sim_disk *disk, uint32_t dir, struct buf *path,
                    void (*see)(void *arg, const char *path, uint64_t size), void *arg)
{
	size_t len = path->len;
	for (uint32_t ref = file_at(disk, dir)->entries; ref;) {
		const struct disk_entry *entry = heap_at(disk, ref);
		const struct disk_file *file = file_at(disk, entry->file);
		buf_printf(path, "%s%s", len ? "/" : "", text_at(disk, entry->name));
		ref = entry->next;
		if (file->is_directory) {
			each_in(disk, entry->file, path, see, arg);
		} else {
			*buf_reserve(path, 1) = 0;
			see(arg, (const char *)path->ptr, file->length);
		}
		path->len = len;
	}
}

void sim_disk_each(const struct sim_disk *disk, void (*see)(void *arg, const char *path, uint64_t size), void *arg)
{
	cleanup(buf_fini) struct buf path = {0};
	each_in(disk, disk->root, &path, see, arg);
}

int64_t sim_disk_size(const struct sim_disk *disk, const char *path)
{
	const struct disk_file *file = file_of(disk, path);
	return file ? (int64_t)file->length : -1;
}

size_t sim_disk_read(const struct sim_disk *disk, const char *path, uint64_t at, void *to, size_t size)
{
	const struct disk_file *file = file_of(disk, path);
	return file ? data_read(disk, file, at, to, size) : 0;
}

static void make_directories(struct sim_disk *disk, const char *path)
{
	cleanup(buf_fini) struct buf part = {0};
	uint32_t dir;
	for (const char *end = path; (end = strchr(end, '/')); end++) {
		part.len = 0;
		buf_printf(&part, "%.*s", (int)(end - path), path);
		*buf_reserve(&part, 1) = 0;
		int64_t result = names_create(disk, (const char *)part.ptr, true, &dir);
		assert(result == 0);
		names_sync_path(disk, (const char *)part.ptr);
	}
}

void sim_disk_write(struct sim_disk *disk, const char *path, uint64_t at, struct slice bytes)
{
	struct place place;
	make_directories(disk, path);
	int err = names_place(disk, path, &place);
	assert(err == 0);
	if (!place.file) {
		int64_t result = names_create(disk, path, false, &place.file);
		assert(result == 0);
	}
	names_sync_path(disk, path);
	struct disk_file *file = file_at(disk, place.file);
	data_land(disk, file, at, bytes, LANDS_DURABLE);
	data_extend(file, at + bytes.len, true);
}

void sim_disk_cut(struct sim_disk *disk, const char *path, uint64_t size)
{
	struct disk_file *file = file_of(disk, path);
	if (file && size < file->length)
		data_cut(disk, file, size);
}

void sim_disk_remove(struct sim_disk *disk, const char *path)
{
	if (names_remove(disk, path) != 0)
		return;
	names_sync_path(disk, path);
	names_sweep(disk);
}

void sim_disk_flip_bit(struct sim_disk *disk, const char *path, uint64_t bit)
{
	struct disk_file *file = file_of(disk, path);
	assert(file && bit / 8 < file->length);
	data_flip(disk, file, bit);
}

static bool is_in_flight(const struct sim_disk *disk, const struct disk_op *op, const char *path, uint64_t at,
                         uint64_t size)
{
	struct place place;
	int err = names_place(disk, path, &place);
	assert(err == 0);
	if (op->kind == DISK_WRITE && op->file == place.file && !op->error && op->size > 0)
		return op->at / SIM_SECTOR_SIZE <= (at + size - 1) / SIM_SECTOR_SIZE &&
		       at / SIM_SECTOR_SIZE <= (op->at + op->size - 1) / SIM_SECTOR_SIZE;
	if (op->kind == DISK_RENAME && names_touch(disk, path, text_at(disk, op->path_to)))
		return true;
	return (op->kind == DISK_RENAME || op->kind == DISK_REMOVE) && names_touch(disk, path, text_at(disk, op->path));
}

bool sim_disk_is_durable(const struct sim_disk *disk, const char *path, uint64_t at, uint64_t size)
{
	const struct disk_file *file = file_of(disk, path);
	if (!file || !names_are_durable(disk, path))
		return false;
	if (size == 0)
		return true;
	for (uint32_t ref = disk->ops; ref;) {
		const struct disk_op *op = heap_at(disk, ref);
		if (is_in_flight(disk, op, path, at, size))
			return false;
		ref = op->next;
	}
	return data_is_durable(disk, file, at, size);
}

/* ---- verifying ----------------------------------------------------------------------------------- */

static size_t text_taken(const struct sim_disk *disk, uint32_t ref)
{
	return ref ? heap_size(strlen(text_at(disk, ref)) + 1) : 0;
}

static size_t array_taken(const struct disk_array *array, size_t item_size)
{
	return array->items ? heap_size(array->room * item_size) : 0;
}

static size_t data_taken(const struct sim_disk *disk, const struct disk_file *file)
{
	const struct sector *sectors = heap_at(disk, file->sectors.items);
	size_t taken = array_taken(&file->sectors, sizeof(*sectors)), used = 0;
	for (uint32_t i = 0; i < file->sectors.n; i++) {
		taken += ((sectors[i].base != 0) + (sectors[i].cached != 0)) * heap_size(SIM_SECTOR_SIZE);
		used += sectors[i].base || sectors[i].cached;
		assert(sectors[i].cached || !sectors[i].dirty);
		assert(sectors[i].dirty <= disk->clock);
	}
	assert(used == file->sectors_used);
	assert(file->durable_length <= file->length);
	assert(file->sectors.n <= (file->length + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE);
	return taken;
}

static size_t entries_taken(const struct sim_disk *disk, const struct disk_file *dir)
{
	size_t taken = 0;
	const char *last = NULL;
	for (uint32_t ref = dir->entries; ref;) {
		const struct disk_entry *entry = heap_at(disk, ref);
		assert(dir->is_directory && entry->file);
		assert(!last || strcmp(last, text_at(disk, entry->name)) < 0);
		last = text_at(disk, entry->name);
		taken += heap_size(sizeof(*entry)) + text_taken(disk, entry->name);
		ref = entry->next;
	}
	return taken;
}

static size_t changes_taken(const struct sim_disk *disk)
{
	const struct change *changes = heap_at(disk, disk->changes.items);
	size_t taken = array_taken(&disk->changes, sizeof(*changes));
	for (uint32_t i = 0; i < disk->changes.n; i++)
		for (int s = 0; s < changes[i].n_slots; s++)
			taken += text_taken(disk, changes[i].slots[s].name);
	return taken;
}

static size_t ops_taken(const struct sim_disk *disk)
{
	size_t taken = 0;
	for (uint32_t ref = disk->ops; ref;) {
		const struct disk_op *op = heap_at(disk, ref);
		taken += heap_size(sizeof(*op)) + text_taken(disk, op->path) + text_taken(disk, op->path_to);
		taken += op->bytes ? heap_size(op->size) : 0;
		ref = op->next;
	}
	return taken;
}

void sim_disk_verify(const struct sim_disk *disk)
{
	size_t taken = changes_taken(disk) + ops_taken(disk);
	for (uint32_t ref = disk->files; ref; ref = file_at(disk, ref)->next) {
		const struct disk_file *file = file_at(disk, ref);
		taken += heap_size(sizeof(*file)) + data_taken(disk, file) + entries_taken(disk, file);
	}
	assert(taken == disk->taken * HEAP_UNIT && "memory of the simulated disk has got lost");
}
