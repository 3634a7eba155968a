/* segment.h -- the files of logs: fixed size, zero-filled ahead, used again.
 *
 * What      A pool of files for one log: those in use, oldest first; those ready, filled
 *           with zeros once so that writing them extends nothing; those being made, in the
 *           background, a piece at a time. Names: `log/` and the number in 16 hexadecimal digits.
 * Owner     The log's core.
 * Disk full Some segments are kept in reserve; only deletions and cleaning may use them.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "storage/log/format.h"

#include <stdbool.h>
#include <stdint.h>

struct core;

/* A file of the log directory as its head describes it. */
struct segment_info {
	struct segment_head head; /* of the copy that is valid */
	uint64_t number;          /* by its name */
	uint64_t size;            /* by the file system */
	uint8_t valid_copies;     /* 0: no head can be read; 1: one copy is broken; 2 */
	bool has_frame;           /* no head is valid, but a later frame says that the first was durable: it was lost */
	struct frame_header frame; /* the first */
};

struct segment_list {
	struct segment_info *all;
	uint32_t n, room;
};
void segment_list_add(struct segment_list *list, const struct segment_info *info);
void segment_list_free(struct segment_list *list); /* NULL is fine */

/* Fiber code: reads the heads of all files in `directory`/log. 0 or -errno. */
int segments_survey(struct core *core, const char *directory, struct segment_list *out) must_check;

/* "DIRECTORY/log/NUMBER" */
void segment_path(const char *directory, uint64_t number, char *out, size_t size);

/* Fills the block of a head, checksum included; and is a block one, and sound? */
void segment_head_write(const struct segment_head *head, uint8_t block[LOG_BLOCK]);
bool segment_head_read(const uint8_t block[LOG_BLOCK], struct segment_head *out) must_check;
