/* The superblock: written once, under another name first, so that it is there whole or not at all. */
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "storage/disk/disk_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const folders[] = {"log", "image", "tier"};

/* ---- reading ------------------------------------------------------------------------ */

int disk_read(struct core *core, const char *path, uint8_t *to, size_t size)
{
	int fd = file_open(core, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	if (fd < 0)
		return fd;
	int64_t n = file_read(core, fd, to, size, 0);
	file_close(core, fd);
	return (int)n;
}

int disk_fail(int error, const char *path, char *why, size_t why_size)
{
	snprintf(why, why_size, "cannot read %s: %s", path, strerror(-error));
	return error;
}

static bool has_names(struct core *core, const char *path, int *error)
{
	cleanup(buf_fini) struct buf names = {0};
	int result = dir_list(core, path, &names);
	if (result < 0 && result != -ENOENT)
		*error = result;
	return names.len > 0;
}

/* Something that is only there once a superblock was: its name in `out`. 0, 1 or -errno. */
static int find_data(struct core *core, const char *directory, char out[PATH_SIZE])
{
	int error = 0;
	for (size_t i = 0; i < array_len(folders); i++) {
		disk_path(out, "%s/%s", directory, folders[i]);
		if (has_names(core, out, &error) || error)
			return error ? error : 1;
	}
	for (unsigned file = 0; file < 2; file++) {
		disk_path(out, "%s/manifest.%u", directory, file);
		int fd = file_open(core, out, IO_OPEN_READ, 0);
		if (fd >= 0)
			file_close(core, fd);
		if (fd != -ENOENT)
			return fd < 0 ? fd : 1;
	}
	return 0;
}

/* Nothing at all, a creation that was cut off, or the ruins of a data directory? */
static int judge_missing(struct core *core, const char *directory, char *why, size_t why_size)
{
	char path[PATH_SIZE];
	int found = find_data(core, directory, path);
	if (found < 0)
		return disk_fail(found, path, why, why_size);
	if (!found)
		return -ENOENT;
	snprintf(
	        why, why_size,
	        "%s/superblock has no sound copy, but there is data in %s: the directory is damaged, or is not Orbit's",
	        directory, path);
	return -EBADMSG;
}

/* The first sound copy, and the mask of those that are. False: they are not all equal. */
static bool choose_copy(const uint8_t *bytes, struct superblock *out, unsigned *out_sound)
{
	const uint8_t *first = NULL;
	bool agree = true;
	*out_sound = 0;
	for (unsigned copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
		const uint8_t *block = bytes + copy * SUPERBLOCK_COPY_SIZE;
		struct superblock found;
		if (!superblock_decode(block, copy, &found))
			continue;
		*out_sound |= 1u << copy;
		if (first) {
			agree &= superblock_same(first, block);
			continue;
		}
		first = block;
		*out = found;
	}
	return agree;
}

static int judge(const uint8_t *bytes, const char *directory, struct superblock *out, char *why, size_t why_size)
{
	struct superblock found;
	unsigned sound;
	bool agree = choose_copy(bytes, &found, &sound);
	if (!sound)
		return -ENOENT;
	if (!superblock_is_known(&found, why, why_size))
		return -EBADMSG;
	if (!agree) {
		snprintf(why, why_size, "%s/superblock has sound copies that differ (mask %x)", directory, sound);
		return -EBADMSG;
	}
	*out = found;
	return 0;
}

int superblock_load(struct core *core, const char *directory, struct superblock *out, char *why, size_t why_size)
{
	char path[PATH_SIZE];
	disk_path(path, "%s/superblock", directory);
	uint8_t *bytes = file_buffer_new(SUPERBLOCK_SIZE);
	int result = disk_read(core, path, bytes, SUPERBLOCK_SIZE);
	if (result >= 0)
		result = judge(bytes, directory, out, why, why_size);
	else if (result != -ENOENT)
		result = disk_fail(result, path, why, why_size);
	file_buffer_free(bytes);
	return result == -ENOENT ? judge_missing(core, directory, why, why_size) : result;
}

/* ---- making ------------------------------------------------------------------------- */

/* Makes a directory whose name outlives a crash. Where its parent may not be opened or is not seen,
 * it was not this program that made it. */
static int make_durable(struct core *core, const char *path)
{
	uint64_t mark = dir_mark(core);
	int result = dir_make(core, path);
	if (result < 0)
		return result;
	char parent[PATH_SIZE];
	disk_path(parent, "%s", path);
	size_t len = strlen(parent);
	while (len > 1 && parent[len - 1] == '/')
		len--;
	while (len > 0 && parent[len - 1] != '/')
		len--;
	while (len > 1 && parent[len - 1] == '/')
		len--;
	parent[len] = 0;
	result = dir_sync(core, len ? parent : ".", mark);
	return result == -EACCES || result == -ENOENT ? 0 : result;
}

static int write_copies(struct core *core, const char *path, const struct superblock *superblock)
{
	int fd = file_open(core, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, 0600);
	if (fd < 0)
		return fd;
	uint8_t *bytes = file_buffer_new(SUPERBLOCK_SIZE);
	for (unsigned copy = 0; copy < SUPERBLOCK_COPIES; copy++)
		superblock_encode(superblock, copy, bytes + copy * SUPERBLOCK_COPY_SIZE);
	int result = file_write(core, fd, bytes, SUPERBLOCK_SIZE, 0, IO_WRITE_DURABLE);
	file_buffer_free(bytes);
	file_close(core, fd);
	return result;
}

int directory_has_data(struct core *core, const char *directory)
{
	char path[PATH_SIZE];
	return find_data(core, directory, path);
}

int superblock_create(struct core *core, const char *directory, const struct superblock *superblock)
{
	char path[PATH_SIZE], path_new[PATH_SIZE];
	int result = make_durable(core, directory);
	uint64_t mark = dir_mark(core);
	/* New ones in the place of any that is there: an attempt that failed may have left names that are not durable
	 * and that no sync makes so. */
	for (size_t i = 0; i < array_len(folders) && result == 0; i++) {
		disk_path(path, "%s/%s", directory, folders[i]);
		disk_path(path_new, "%s/%s.new", directory, folders[i]);
		result = dir_make(core, path_new);
		if (result == 0)
			result = file_rename(core, path_new, path);
	}
	disk_path(path, "%s/superblock", directory);
	disk_path(path_new, "%s/superblock.new", directory);
	if (result == 0)
		result = write_copies(core, path_new, superblock);
	/* Nothing is missing once it has its name. */
	if (result == 0)
		result = dir_sync(core, directory, mark);
	if (result == 0)
		result = file_rename(core, path_new, path);
	return result == 0 ? dir_sync(core, directory, mark) : result;
}

/* ---- counting ----------------------------------------------------------------------- */

int superblock_count_copies(struct core *core, const char *directory, struct superblock *out, uint8_t *out_n)
{
	char path[PATH_SIZE];
	disk_path(path, "%s/superblock", directory);
	uint8_t *bytes = file_buffer_new(SUPERBLOCK_SIZE);
	int result = disk_read(core, path, bytes, SUPERBLOCK_SIZE);
	unsigned sound = 0;
	if (result >= 0)
		(void)choose_copy(bytes, out, &sound);
	file_buffer_free(bytes);
	if (result < 0 && result != -ENOENT)
		return result;
	*out_n = (uint8_t)__builtin_popcount(sound);
	return 0;
}
