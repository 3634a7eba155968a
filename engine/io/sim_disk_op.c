/* Operations. Each has its effect in disk_finish(), at once and as a whole, after the faults have had
 * their say.
 */
#include "engine/io/io.h"
#include "engine/io/sim_disk_private.h"

#include <errno.h>

static struct disk_op *op_at(const struct sim_disk *disk, uint32_t ref) { return heap_at(disk, ref); }

/* The power may fail here. */
static void count_event(struct sim_disk *disk)
{
	disk->events++;
	disk->has_crashed |= disk->events == disk->crash_at;
}

/* ---- whom faults hit ------------------------------------------------------------------------------- */

static bool is_allowed(const struct sim_disk *disk, const char *path) { return strstr(path, disk->faults.where); }

struct search {
	const struct sim_disk *disk;
	uint32_t file; /* 0: any */
	uint32_t n;
	uint32_t found[64];
};

static void look_at(void *arg, const char *path, uint64_t size)
{
	struct search *search = arg;
	struct place place;
	if (!is_allowed(search->disk, path) || names_place(search->disk, path, &place) != 0)
		return;
	bool wanted = search->file ? place.file == search->file : file_at(search->disk, place.file)->sectors_used > 0;
	if (wanted && search->n < array_len(search->found))
		search->found[search->n++] = place.file;
}

/* A file that has no name any more is hit only where all may be. */
static bool is_victim(const struct sim_disk *disk, uint32_t file)
{
	if (!disk->faults.where[0])
		return true;
	struct search search = {.disk = disk, .file = file};
	sim_disk_each(disk, look_at, &search);
	return search.n > 0;
}

/* Some file that has contents, or NULL. */
static struct disk_file *draw_victim(struct sim_disk *disk)
{
	struct search search = {.disk = disk};
	sim_disk_each(disk, look_at, &search);
	return search.n > 0 ? file_at(disk, search.found[disk_below(disk, search.n)]) : NULL;
}

static bool strikes(struct sim_disk *disk, uint32_t in_1000, uint32_t file, uint64_t *count)
{
	if (!disk_chance(disk, in_1000) || !is_victim(disk, file))
		return false;
	++*count;
	return true;
}

static bool strikes_name(struct sim_disk *disk, const struct disk_op *op)
{
	if (!disk_chance(disk, disk->faults.name_fails))
		return false;
	bool hit = is_allowed(disk, text_at(disk, op->path)) ||
	           (op->path_to && is_allowed(disk, text_at(disk, op->path_to)));
	disk->counts.name_fails += hit;
	return hit;
}

static void flip_at_rest(struct sim_disk *disk)
{
	if (!disk_chance(disk, disk->faults.flip_at_rest))
		return;
	struct disk_file *file = draw_victim(disk);
	if (!file)
		return;
	data_flip(disk, file, disk_below(disk, file->length * 8));
	disk->counts.flip_at_rest++;
}

/* ---- descriptors ------------------------------------------------------------------------------------ */

static struct descriptor *descriptor_of(struct sim_disk *disk, int fd)
{
	if (fd < 0 || fd >= DESCRIPTORS_MAX || !disk->descriptors[fd].file)
		return NULL;
	return &disk->descriptors[fd];
}

/* The lowest that is free, as a kernel does. */
static int64_t descriptor_new(struct sim_disk *disk, uint32_t file, uint32_t flags)
{
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		if (!disk->descriptors[fd].file) {
			disk->descriptors[fd] = (struct descriptor){file, flags};
			return fd;
		}
	return -EMFILE;
}

static bool is_aligned(const struct disk_request *request)
{
	return ((uintptr_t)request->memory | request->size | request->at) % SIM_SECTOR_SIZE == 0;
}

static int check_descriptor(struct sim_disk *disk, const struct disk_request *request)
{
	const struct descriptor *descriptor = descriptor_of(disk, request->fd);
	bool reads = request->kind == DISK_READ;
	bool writes = request->kind == DISK_WRITE || request->kind == DISK_RESERVE;
	if (!descriptor)
		return -EBADF;
	if (writes && !(descriptor->flags & IO_OPEN_WRITE))
		return -EBADF;
	if (reads && descriptor->flags & IO_OPEN_WRITE && !(descriptor->flags & IO_OPEN_READ))
		return -EBADF;
	if ((reads || writes) && descriptor->flags & IO_OPEN_DIRECT && !is_aligned(request))
		return -EINVAL;
	if (writes && (request->at > FILE_LENGTH_MAX || request->size > FILE_LENGTH_MAX - request->at))
		return -EFBIG;
	return 0;
}

/* ---- staging ---------------------------------------------------------------------------------------- */

static uint32_t text_or_none(struct sim_disk *disk, const char *text)
{
	return text ? heap_text(disk, slice_from_str(text)) : 0;
}

static void append(struct sim_disk *disk, uint32_t ref)
{
	uint32_t *place = &disk->ops;
	while (*place)
		place = &op_at(disk, *place)->next;
	*place = ref;
}

static void stage_on_file(struct sim_disk *disk, struct disk_op *op, const struct disk_request *request)
{
	op->error = check_descriptor(disk, request);
	if (op->error)
		return;
	op->file = descriptor_of(disk, request->fd)->file;
	struct disk_file *file = file_at(disk, op->file);
	op->length = file->length;
	file->syncs_in_flight += op->kind == DISK_SYNC;
	if (op->kind != DISK_WRITE)
		return;
	op->bytes = heap_take(disk, op->size);
	memcpy(heap_at(disk, op->bytes), request->memory, op->size);
}

uint32_t disk_stage(struct sim_disk *disk, const struct disk_request *request)
{
	assert(!disk->has_crashed);
	uint32_t ref = heap_take(disk, sizeof(struct disk_op));
	struct disk_op *op = op_at(disk, ref);
	*op = (struct disk_op){.kind = (uint8_t)request->kind,
	                       .fd = request->fd,
	                       .flags = request->flags,
	                       .path = text_or_none(disk, request->path),
	                       .path_to = text_or_none(disk, request->path_to),
	                       .size = request->size,
	                       .at = request->at,
	                       .staged = disk->clock};
	if (!request->path)
		stage_on_file(disk, op, request);
	append(disk, ref);
	count_event(disk);
	return ref;
}

void disk_forget(struct sim_disk *disk, uint32_t ref)
{
	struct disk_op *op = op_at(disk, ref);
	uint32_t *place = &disk->ops;
	while (*place != ref)
		place = &op_at(disk, *place)->next;
	*place = op->next;
	if (op->kind == DISK_SYNC && op->file)
		file_at(disk, op->file)->syncs_in_flight--;
	heap_text_give(disk, op->path);
	heap_text_give(disk, op->path_to);
	heap_give(disk, op->bytes, op->size);
	heap_give(disk, ref, sizeof(*op));
}

/* ---- data --------------------------------------------------------------------------------------------- */

static struct slice bytes_of(const struct sim_disk *disk, const struct disk_op *op)
{
	return slice_of(heap_at(disk, op->bytes), op->size);
}

static bool is_durable(const struct disk_op *op) { return op->flags & IO_WRITE_DURABLE; }

static uint64_t fitting(struct sim_disk *disk, const struct disk_op *op, uint64_t size)
{
	uint64_t room = disk->faults.room_bytes / SIM_SECTOR_SIZE, used;
	if (!disk->faults.room_bytes)
		return size;
	used = names_sectors_used(disk);
	return data_fits(disk, file_at(disk, op->file), op->at, size, room > used ? room - used : 0);
}

/* Somewhere that has contents; what does not fit there is gone. */
static void misdirect(struct sim_disk *disk, const struct disk_op *op, uint64_t size)
{
	struct disk_file *file = draw_victim(disk);
	if (!file)
		return;
	uint64_t at =
	        disk_below(disk, (file->length - 1) / SIM_SECTOR_SIZE + 1) * SIM_SECTOR_SIZE + op->at % SIM_SECTOR_SIZE;
	uint64_t room = at < file->length ? file->length - at : 0;
	data_land(disk, file, at, slice_sub(bytes_of(disk, op), 0, size < room ? size : room),
	          is_durable(op) ? LANDS_DURABLE : LANDS_CACHED);
}

static int64_t write_fails(struct sim_disk *disk, const struct disk_op *op, uint64_t size)
{
	struct disk_file *file = file_at(disk, op->file);
	if (disk_chance(disk, 500))
		data_extend(file, op->at + disk_below(disk, size + 1), is_durable(op) && disk_chance(disk, 500));
	uint64_t room = op->at < file->length ? file->length - op->at : 0;
	struct slice bytes = slice_sub(bytes_of(disk, op), 0, size < room ? size : room);
	data_land_some(disk, file, op->at, bytes, is_durable(op));
	return -EIO;
}

static int64_t write_lands(struct sim_disk *disk, const struct disk_op *op, uint64_t size)
{
	struct disk_file *file = file_at(disk, op->file);
	const struct sim_disk_faults *faults = &disk->faults;
	if (strikes(disk, faults->write_misdirected, op->file, &disk->counts.write_misdirected))
		misdirect(disk, op, size);
	else if (!strikes(disk, faults->write_lost, op->file, &disk->counts.write_lost))
		data_land(disk, file, op->at, slice_sub(bytes_of(disk, op), 0, size),
		          is_durable(op) ? LANDS_DURABLE : LANDS_CACHED);
	data_extend(file, op->at + size, is_durable(op));
	return (int64_t)size;
}

static int64_t do_write(struct sim_disk *disk, const struct disk_op *op, const void *memory)
{
	const struct sim_disk_faults *faults = &disk->faults;
	uint64_t size = op->size, pieces = size > 0 ? (size - 1) / SIM_PIECE_SIZE : 0;
	assert(memcmp(memory, heap_at(disk, op->bytes), size) == 0 && "bytes changed while they were written");
	disk->counts.writes++;
	disk->counts.durable_writes += is_durable(op);
	if (size == 0)
		return 0;
	if (pieces > 0 && strikes(disk, faults->write_short, op->file, &disk->counts.write_short))
		size = SIM_PIECE_SIZE * (1 + disk_below(disk, pieces));
	uint64_t fits = fitting(disk, op, size);
	if (fits < size) {
		disk->counts.full++;
		if (fits == 0 || disk_chance(disk, 500))
			return -ENOSPC;
		size = fits;
	}
	if (strikes(disk, faults->write_fails, op->file, &disk->counts.write_fails))
		return write_fails(disk, op, size);
	return write_lands(disk, op, size);
}

static int64_t do_reserve(struct sim_disk *disk, const struct disk_op *op)
{
	if (fitting(disk, op, op->size) < op->size) {
		disk->counts.full++;
		return -ENOSPC;
	}
	if (strikes(disk, disk->faults.write_fails, op->file, &disk->counts.write_fails))
		return -EIO;
	data_reserve(disk, file_at(disk, op->file), op->size);
	return 0;
}

static int64_t read_fails(struct sim_disk *disk, const struct disk_op *op, uint8_t *to)
{
	for (uint64_t n = disk_below(disk, op->size + 1), i = 0; i < n; i++)
		to[i] = (uint8_t)disk_random(disk);
	return -EIO;
}

static int64_t do_read(struct sim_disk *disk, const struct disk_op *op, uint8_t *to)
{
	const struct sim_disk_faults *faults = &disk->faults;
	disk->counts.reads++;
	if (strikes(disk, faults->read_fails, op->file, &disk->counts.read_fails))
		return read_fails(disk, op, to);
	uint64_t size = data_read(disk, file_at(disk, op->file), op->at, to, op->size);
	uint64_t sectors = size > 0 ? (size - 1) / SIM_SECTOR_SIZE : 0;
	if (sectors > 0 && strikes(disk, faults->read_short, op->file, &disk->counts.read_short))
		size = SIM_SECTOR_SIZE * (1 + disk_below(disk, sectors));
	if (size > 0 && strikes(disk, faults->flip_on_read, op->file, &disk->counts.flip_on_read))
		to[disk_below(disk, size)] ^= (uint8_t)(1u << disk_below(disk, 8));
	return (int64_t)size;
}

static int64_t do_sync(struct sim_disk *disk, const struct disk_op *op)
{
	struct disk_file *file = file_at(disk, op->file);
	disk->counts.syncs++;
	if (strikes(disk, disk->faults.sync_fails, op->file, &disk->counts.sync_fails)) {
		data_sync_fails(disk, file, op->length);
		return -EIO;
	}
	data_sync(disk, file, op->staged, op->length);
	return 0;
}

static int64_t do_close(struct sim_disk *disk, const struct disk_op *op)
{
	disk->descriptors[op->fd] = (struct descriptor){0};
	return 0;
}

/* ---- names -------------------------------------------------------------------------------------------- */

static int64_t do_open(struct sim_disk *disk, const struct disk_op *op)
{
	struct place place;
	int err = names_place(disk, text_at(disk, op->path), &place);
	if (err || !place.file)
		return err ? err : -ENOENT;
	if (file_at(disk, place.file)->is_directory)
		return -EISDIR;
	return descriptor_new(disk, place.file, op->flags);
}

int64_t disk_change_names(struct sim_disk *disk, const struct disk_op *op)
{
	const char *path = text_at(disk, op->path);
	uint32_t file;
	switch ((enum disk_kind)op->kind) {
	case DISK_OPEN:
		return op->flags & IO_OPEN_CREATE ? names_create(disk, path, false, &file) : 0;
	case DISK_RENAME:
		return names_rename(disk, path, text_at(disk, op->path_to));
	case DISK_REMOVE:
		return names_remove(disk, path);
	case DISK_DIR_MAKE:
		return names_create(disk, path, true, &file);
	case DISK_READ:
	case DISK_WRITE:
	case DISK_SYNC:
	case DISK_CLOSE:
	case DISK_SIZE:
	case DISK_RESERVE:
	case DISK_DIR_SYNC:
	case DISK_DIR_LIST:
		break;
	}
	return 0;
}

static int64_t do_dir_sync(struct sim_disk *disk, const struct disk_op *op)
{
	struct place place;
	int err = names_place(disk, text_at(disk, op->path), &place);
	if (err || !place.file)
		return err ? err : -ENOENT;
	if (!file_at(disk, place.file)->is_directory)
		return -ENOTDIR;
	disk->counts.syncs++;
	if (disk_chance(disk, disk->faults.sync_fails) && is_allowed(disk, text_at(disk, op->path))) {
		disk->counts.sync_fails++;
		names_sync_fails(disk, place.file, op->staged);
		return -EIO;
	}
	names_sync(disk, place.file, op->staged);
	return 0;
}

/* One that fails may have happened. */
static int64_t do_change_names(struct sim_disk *disk, const struct disk_op *op)
{
	if (strikes_name(disk, op)) {
		if (disk_chance(disk, 500))
			(void)disk_change_names(disk, op);
		return -EIO;
	}
	return disk_change_names(disk, op);
}

/* ---- an operation is done ------------------------------------------------------------------------------ */

static int64_t run(struct sim_disk *disk, const struct disk_op *op, void *memory, struct buf *names)
{
	int64_t result;
	if (op->error)
		return op->error;
	switch ((enum disk_kind)op->kind) {
	case DISK_OPEN:
		result = op->flags & IO_OPEN_CREATE ? do_change_names(disk, op) : 0;
		return result < 0 ? result : do_open(disk, op);
	case DISK_READ:
		return do_read(disk, op, memory);
	case DISK_WRITE:
		return do_write(disk, op, memory);
	case DISK_SYNC:
		return do_sync(disk, op);
	case DISK_CLOSE:
		return do_close(disk, op);
	case DISK_SIZE:
		return (int64_t)file_at(disk, op->file)->length;
	case DISK_RESERVE:
		return do_reserve(disk, op);
	case DISK_RENAME:
	case DISK_REMOVE:
	case DISK_DIR_MAKE:
		return do_change_names(disk, op);
	case DISK_DIR_SYNC:
		return do_dir_sync(disk, op);
	case DISK_DIR_LIST:
		return names_list(disk, text_at(disk, op->path), names);
	}
	return -EINVAL;
}

/* After these somebody may be unreachable. */
static bool lets_go(const struct disk_op *op) { return op->kind == DISK_CLOSE || op->kind == DISK_DIR_SYNC; }

int64_t disk_finish(struct sim_disk *disk, uint32_t ref, void *memory, struct buf *names)
{
	assert(!disk->has_crashed);
	const struct disk_op *op = op_at(disk, ref);
	bool sweeps = lets_go(op);
	disk->clock++;
	disk->counts.operations++;
	disk->counts.reordered += disk->ops != ref;
	int64_t result = run(disk, op, memory, names);
	disk_forget(disk, ref);
	if (sweeps)
		names_sweep(disk);
	flip_at_rest(disk);
	count_event(disk);
	return result;
}
