/* file.h -- files, for fibers: each call stages one operation and waits for it.
 *
 * Where     Fiber code of the core that owns the io. What must not wait (a log's writer)
 *           stages operations of engine/io by itself.
 * Errors    -errno, as the kernel says it.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct core;

enum { FILE_ALIGNMENT = 4096 }; /* of memory, offsets and lengths of files opened with IO_OPEN_DIRECT */

/* `flags`: IO_OPEN_*. A descriptor. */
int file_open(struct core *core, const char *path, unsigned flags, unsigned mode) must_check;
void file_close(struct core *core, int fd);

/* Reads until `size` bytes are there or the file ends; how many there are. */
int64_t file_read(struct core *core, int fd, void *to, size_t size, uint64_t at) must_check;

/* Writes all, or says why not; 0. `flags`: IO_WRITE_*. A write that took a part is an
 * error, -ENOSPC, since that is what cuts writes short: what it left is unknown. */
int file_write(struct core *core, int fd, const void *from, size_t size, uint64_t at, unsigned flags) must_check;
int file_sync(struct core *core, int fd) must_check;
int64_t file_size(struct core *core, int fd) must_check;
int file_reserve(struct core *core, int fd, uint64_t size) must_check; /* as io_file_reserve() */

int file_rename(struct core *core, const char *from, const char *to) must_check;
int file_remove(struct core *core, const char *path) must_check;
int dir_make(struct core *core, const char *path) must_check;
int dir_list(struct core *core, const char *path, struct buf *names) must_check; /* as io_dir_list() */

/* Makes names of a directory durable: those made since `mark`, which was taken before the first of them.
 * Several cores make names in one directory, and a sync that fails does not say whose it lost, nor does a later one that
 * succeeds bring them back. So the syncs of a machine follow one another, on core 0, and one is good for nobody
 * whose names may be older than a failure: -EIO. They are to be made anew, under other names. */
uint64_t dir_mark(const struct core *core);
int dir_sync(struct core *core, const char *path, uint64_t mark) must_check;

/* Memory for such files: aligned, zeroed. */
void *file_buffer_new(size_t size) __attribute__((malloc, returns_nonnull));
void file_buffer_free(void *buffer);
