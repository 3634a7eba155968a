/* disk_private.h -- what superblock.c and manifest.c share. */
#pragma once

#include "storage/disk/format.h"

#include <limits.h>

struct core;

enum { PATH_SIZE = PATH_MAX };

/* Cut off where it would be too long: no file has such a name. */
void disk_path(char out[PATH_SIZE], const char *format, ...) printf_like(2, 3);

/* The first `size` bytes of a file, less where it is shorter: how many; or -errno. */
int disk_read(struct core *core, const char *path, uint8_t *to, size_t size) must_check;

/* Says that it cannot be read, and returns `error`. */
int disk_fail(int error, const char *path, char *why, size_t why_size);

/* How many sound copies there are, and what the first says; 0 copies if there is no file. */
int superblock_count_copies(struct core *core, const char *directory, struct superblock *out,
                            uint8_t *out_n) must_check;
