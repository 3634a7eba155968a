/* The files of the simulated world: names and bytes in memory, operations that take time.
 *
 * An operation has its effect when it is done, and those in flight are done in any order:
 * whoever writes twice to one place without waiting gets either.
 */
#include "engine/io/sim_private.h"
#include "engine/memory/memory.h"

#include <errno.h>

struct sim_file {
	struct sim_file *next;
	char *path; /* NULL: it has lost its name */
	bool is_directory;
	struct buf bytes;
};

enum kind { OPEN, READ, WRITE, SYNC, CLOSE, RENAME, REMOVE, SIZE, DIR_MAKE, DIR_SYNC, DIR_LIST };

/* An operation in flight. */
struct sim_op {
	struct link all;
	struct io_op *op;
	enum kind kind;
	uint64_t at_ns;
	char *path, *path_to; /* owned */
	void *memory;
	size_t size;
	uint64_t at;
	unsigned flags;
	int fd;
	struct buf *names;
};

/* ---- files -------------------------------------------------------------------------- */

static char *text_copy(const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(memory_alloc(size), text, size);
}

static struct sim_file *file_find(const struct sim *sim, const char *path)
{
	for (struct sim_file *file = sim->files; file; file = file->next)
		if (file->path && strcmp(file->path, path) == 0)
			return file;
	return NULL;
}

static struct sim_file *file_new(struct sim *sim, const char *path)
{
	struct sim_file *file = memory_zalloc(sizeof(*file));
	file->path = text_copy(path);
	file->next = sim->files;
	sim->files = file;
	return file;
}

static struct sim_file **descriptor(const struct sim *sim, int fd)
{
	struct sim_file **files = (struct sim_file **)(void *)sim->descriptors.ptr;
	bool open = fd >= 0 && (size_t)fd < sim->descriptors.len / sizeof(*files) && files[fd];
	return open ? &files[fd] : NULL;
}

static int64_t do_open(struct sim *sim, const struct sim_op *op)
{
	struct sim_file *file = file_find(sim, op->path);
	if (file && file->is_directory)
		return -EISDIR;
	if (!file && !(op->flags & IO_OPEN_CREATE))
		return -ENOENT;
	if (!file)
		file = file_new(sim, op->path);
	buf_append(&sim->descriptors, slice_of(&file, sizeof(struct sim_file *)));
	return (int64_t)(sim->descriptors.len / sizeof(struct sim_file *)) - 1;
}

static int64_t do_read(struct sim *sim, const struct sim_op *op)
{
	struct sim_file **file = descriptor(sim, op->fd);
	if (!file)
		return -EBADF;
	struct slice bytes = buf_slice(&(*file)->bytes);
	if (op->at >= bytes.len)
		return 0;
	size_t n = op->size < bytes.len - op->at ? op->size : bytes.len - op->at;
	memcpy(op->memory, bytes.ptr + op->at, n);
	return (int64_t)n;
}

static int64_t do_write(struct sim *sim, const struct sim_op *op)
{
	struct sim_file **file = descriptor(sim, op->fd);
	if (!file)
		return -EBADF;
	struct buf *bytes = &(*file)->bytes;
	if (op->at + op->size > bytes->len) {
		size_t more = op->at + op->size - bytes->len;
		memset(buf_reserve(bytes, more), 0, more);
		bytes->len += more;
	}
	memcpy(bytes->ptr + op->at, op->memory, op->size);
	return (int64_t)op->size;
}

static int64_t do_close(struct sim *sim, const struct sim_op *op)
{
	struct sim_file **file = descriptor(sim, op->fd);
	if (!file)
		return -EBADF;
	*file = NULL;
	return 0;
}

static int64_t do_rename(struct sim *sim, const struct sim_op *op)
{
	struct sim_file *file = file_find(sim, op->path), *replaced = file_find(sim, op->path_to);
	if (!file)
		return -ENOENT;
	if (file == replaced)
		return 0;
	if (replaced) {
		memory_free(replaced->path);
		replaced->path = NULL; /* those who have it open keep it */
	}
	memory_free(file->path);
	file->path = text_copy(op->path_to);
	return 0;
}

static int64_t do_remove(struct sim *sim, const struct sim_op *op)
{
	struct sim_file *file = file_find(sim, op->path);
	if (!file)
		return -ENOENT;
	if (file->is_directory)
		return -EISDIR;
	memory_free(file->path);
	file->path = NULL;
	return 0;
}

static int64_t do_size(struct sim *sim, const struct sim_op *op)
{
	struct sim_file **file = descriptor(sim, op->fd);
	return file ? (int64_t)(*file)->bytes.len : -EBADF;
}

static int64_t do_dir_make(struct sim *sim, const struct sim_op *op)
{
	struct sim_file *file = file_find(sim, op->path);
	if (file)
		return file->is_directory ? 0 : -ENOTDIR;
	file_new(sim, op->path)->is_directory = true;
	return 0;
}

static int64_t do_dir_sync(struct sim *sim, const struct sim_op *op)
{
	struct sim_file *file = file_find(sim, op->path);
	return !file ? -ENOENT : file->is_directory ? 0 : -ENOTDIR;
}

/* The name in directory `path` that comes after `last`, of those there are. */
static const char *name_after(const struct sim *sim, const char *path, const char *last)
{
	size_t n = strlen(path);
	const char *next = NULL;
	for (struct sim_file *file = sim->files; file; file = file->next) {
		if (!file->path || strncmp(file->path, path, n) != 0 || file->path[n] != '/')
			continue;
		const char *name = file->path + n + 1;
		if (!strchr(name, '/') && strcmp(name, last) > 0 && (!next || strcmp(name, next) < 0))
			next = name;
	}
	return next;
}

static int64_t do_dir_list(struct sim *sim, const struct sim_op *op)
{
	int64_t result = do_dir_sync(sim, op);
	for (const char *name = ""; result == 0 && (name = name_after(sim, op->path, name));)
		buf_append(op->names, slice_of(name, strlen(name) + 1));
	return result;
}

static int64_t run(struct sim *sim, const struct sim_op *op)
{
	switch (op->kind) {
	case OPEN:
		return do_open(sim, op);
	case READ:
		return do_read(sim, op);
	case WRITE:
		return do_write(sim, op);
	case SYNC:
		return descriptor(sim, op->fd) ? 0 : -EBADF;
	case CLOSE:
		return do_close(sim, op);
	case RENAME:
		return do_rename(sim, op);
	case REMOVE:
		return do_remove(sim, op);
	case SIZE:
		return do_size(sim, op);
	case DIR_MAKE:
		return do_dir_make(sim, op);
	case DIR_SYNC:
		return do_dir_sync(sim, op);
	case DIR_LIST:
		return do_dir_list(sim, op);
	}
	return -EINVAL;
}

/* ---- operations ----------------------------------------------------------------------- */

static void stage(struct io *base, struct io_op *op, struct sim_op what)
{
	struct sim_io *io = sim_io_of(base);
	struct sim_op *staged = memory_alloc(sizeof(*staged));
	*staged = what;
	staged->op = op;
	staged->at_ns = io->sim->now_ns + sim_below(io->sim, (uint64_t)io->sim->faults.delay_ns + 1);
	op->io = base;
	list_push_back(&io->ops, &staged->all);
}

void sim_file_open(struct io *io, struct io_op *op, const char *path, unsigned flags, unsigned mode)
{
	stage(io, op, (struct sim_op){.kind = OPEN, .path = text_copy(path), .flags = flags});
}

void sim_file_read(struct io *io, struct io_op *op, int fd, void *to, size_t size, uint64_t at)
{
	stage(io, op, (struct sim_op){.kind = READ, .fd = fd, .memory = to, .size = size, .at = at});
}

void sim_file_write(struct io *io, struct io_op *op, int fd, const void *from, size_t size, uint64_t at, unsigned flags)
{
	stage(io, op,
	      (struct sim_op){.kind = WRITE, .fd = fd, .memory = (void *)from, .size = size, .at = at, .flags = flags});
}

void sim_file_sync(struct io *io, struct io_op *op, int fd) { stage(io, op, (struct sim_op){.kind = SYNC, .fd = fd}); }

void sim_file_close(struct io *io, struct io_op *op, int fd)
{
	stage(io, op, (struct sim_op){.kind = CLOSE, .fd = fd});
}

void sim_file_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	stage(io, op, (struct sim_op){.kind = RENAME, .path = text_copy(from), .path_to = text_copy(to)});
}

void sim_file_remove(struct io *io, struct io_op *op, const char *path)
{
	stage(io, op, (struct sim_op){.kind = REMOVE, .path = text_copy(path)});
}

void sim_file_size(struct io *io, struct io_op *op, int fd) { stage(io, op, (struct sim_op){.kind = SIZE, .fd = fd}); }

void sim_dir_make(struct io *io, struct io_op *op, const char *path)
{
	stage(io, op, (struct sim_op){.kind = DIR_MAKE, .path = text_copy(path)});
}

void sim_dir_sync(struct io *io, struct io_op *op, const char *path)
{
	stage(io, op, (struct sim_op){.kind = DIR_SYNC, .path = text_copy(path)});
}

void sim_dir_list(struct io *io, struct io_op *op, const char *path, struct buf *names)
{
	stage(io, op, (struct sim_op){.kind = DIR_LIST, .path = text_copy(path), .names = names});
}

uint64_t sim_files_next_ns(const struct sim_io *io)
{
	uint64_t next_ns = UINT64_MAX;
	list_each (link, &io->ops) {
		uint64_t at_ns = container_of(link, struct sim_op, all)->at_ns;
		next_ns = at_ns < next_ns ? at_ns : next_ns;
	}
	return next_ns;
}

bool sim_files_due(const struct sim_io *io) { return sim_files_next_ns(io) <= io->sim->now_ns; }

int sim_files_poll(struct sim_io *io)
{
	int n = 0;
	list_each (link, &io->ops) {
		struct sim_op *staged = container_of(link, struct sim_op, all);
		if (staged->at_ns > io->sim->now_ns)
			continue;
		struct io_op *op = staged->op;
		op->result = run(io->sim, staged);
		list_remove(&staged->all);
		memory_free(staged->path);
		memory_free(staged->path_to);
		memory_free(staged);
		n++;
		op->done(op); /* may stage more, behind those that are looked at */
	}
	return n;
}

void sim_files_fini(struct sim *sim)
{
	for (struct sim_file *file = sim->files, *next; file; file = next) {
		next = file->next;
		memory_free(file->path);
		buf_fini(&file->bytes);
		memory_free(file);
	}
	buf_fini(&sim->descriptors);
}
