#include "storage/log/segment.h"

#include "engine/core/core.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "storage/log/frame_private.h"

#include <stdio.h>

enum {
	PATH_MAX_BYTES = 4096,
	NAME_DIGITS = 16,
	HEAD_CRC_FROM = offsetof(struct segment_head, format),
	LOOK_BYTES = 256 * 1024, /* read at a time when a file is searched */
};

void segment_list_add(struct segment_list *list, const struct segment_info *info)
{
	if (list->n == list->room) {
		list->room = list->room ? list->room * 2 : 8;
		list->all = memory_resize(list->all, list->room * sizeof(*list->all));
	}
	list->all[list->n++] = *info;
}

void segment_list_free(struct segment_list *list)
{
	if (!list)
		return;
	memory_free(list->all);
	*list = (struct segment_list){0};
}

void segment_path(const char *directory, uint64_t number, char *out, size_t size)
{
	snprintf(out, size, "%s/log/%016llx", directory, (unsigned long long)number);
}

/* ---- heads ------------------------------------------------------------------------------ */

void segment_head_write(const struct segment_head *head, uint8_t block[LOG_BLOCK])
{
	struct segment_head own = *head;
	own.magic = SEGMENT_MAGIC;
	memset(block, 0, LOG_BLOCK);
	memcpy(block, &own, sizeof(own));
	own.crc = crc32c(0, block + HEAD_CRC_FROM, LOG_BLOCK - HEAD_CRC_FROM);
	memcpy(block + offsetof(struct segment_head, crc), &own.crc, sizeof(own.crc));
}

bool segment_head_read(const uint8_t block[LOG_BLOCK], struct segment_head *out)
{
	struct segment_head head;
	memcpy(&head, block, sizeof(head));
	if (head.magic != SEGMENT_MAGIC || head.crc != crc32c(0, block + HEAD_CRC_FROM, LOG_BLOCK - HEAD_CRC_FROM))
		return false;
	*out = head;
	return true;
}

/* Of two sound copies that differ, as a write that a crash cut short leaves them, the newer one counts. */
static void read_heads(const uint8_t *blocks, struct segment_info *info)
{
	struct segment_head copy;
	for (int i = 0; i < 2; i++) {
		if (!segment_head_read(blocks + i * LOG_BLOCK, &copy) || copy.number != info->number)
			continue;
		if (info->valid_copies == 0 || copy.generation > info->head.generation)
			info->head = copy;
		info->valid_copies++;
	}
	if (info->valid_copies == 2 && memcmp(blocks, blocks + LOG_BLOCK, LOG_BLOCK) != 0)
		info->valid_copies = 1;
}

/* ---- a file without a head ---------------------------------------------------------------- */

/* Does a frame of the same use, further on, say that `first` had become durable? */
static bool attests(const struct frame_header *first, const uint8_t *bytes, size_t size, uint64_t offset)
{
	struct frame_header later;
	return frame_begins(bytes, &later) && later.length <= size && later.log == first->log &&
	       later.generation == first->generation && later.epoch == first->epoch && later.at == frame_at(offset) &&
	       (later.durable_lsn >= first->first_lsn || later.first_lsn == first->first_lsn) &&
	       frame_is_sound(bytes, later.length);
}

static int look_for_witness(struct core *core, int fd, uint8_t *buffer, struct segment_info *info)
{
	uint64_t at = SEGMENT_FRAMES_AT + info->frame.length;
	while (at < info->size && !info->has_frame) {
		int64_t n = file_read(core, fd, buffer, LOOK_BYTES + FRAME_MAX, at);
		if (n < LOG_BLOCK)
			return n < 0 ? (int)n : 0;
		for (uint64_t i = 0; i + LOG_BLOCK <= (uint64_t)n && i < LOOK_BYTES && !info->has_frame; i += LOG_BLOCK)
			info->has_frame = attests(&info->frame, buffer + i, (size_t)n - i, at + i);
		at += LOOK_BYTES;
	}
	return 0;
}

/* A first frame that nothing later vouches for may be what a crash left of a write that began the
 * segment, head and frame together: nobody was told that it was there. */
static int look_for_frames(struct core *core, int fd, uint8_t *buffer, struct segment_info *info)
{
	int64_t n = file_read(core, fd, buffer, FRAME_MAX, SEGMENT_FRAMES_AT);
	if (n < LOG_BLOCK)
		return n < 0 ? (int)n : 0;
	if (!frame_begins(buffer, &info->frame) || info->frame.length > n ||
	    info->frame.at != frame_at(SEGMENT_FRAMES_AT) || !frame_is_sound(buffer, info->frame.length))
		return 0;
	return look_for_witness(core, fd, buffer, info);
}

/* ---- the survey ----------------------------------------------------------------------------- */

static int survey_open(struct core *core, int fd, uint8_t *buffer, struct segment_info *info)
{
	int64_t size = file_size(core, fd);
	if (size < 0)
		return (int)size;
	info->size = (uint64_t)size;
	int64_t n = file_read(core, fd, buffer, SEGMENT_FRAMES_AT, 0);
	if (n < SEGMENT_FRAMES_AT)
		return n < 0 ? (int)n : 0;
	read_heads(buffer, info);
	return info->valid_copies > 0 ? 0 : look_for_frames(core, fd, buffer, info);
}

static int survey_file(struct core *core, const char *directory, uint8_t *buffer, struct segment_info *info)
{
	char path[PATH_MAX_BYTES];
	segment_path(directory, info->number, path, sizeof(path));
	int fd = file_open(core, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	if (fd < 0)
		return fd;
	int result = survey_open(core, fd, buffer, info);
	file_close(core, fd);
	return result;
}

static bool parse_name(const char *name, uint64_t *out)
{
	uint64_t number = 0;
	size_t n = 0;
	for (; name[n]; n++) {
		char c = name[n];
		if (n == NAME_DIGITS || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = number;
	return n == NAME_DIGITS;
}

int segments_survey(struct core *core, const char *directory, struct segment_list *out)
{
	char path[PATH_MAX_BYTES];
	cleanup(buf_fini) struct buf names = {0};
	snprintf(path, sizeof(path), "%s/log", directory);
	int result = dir_list(core, path, &names);
	uint8_t *buffer = file_buffer_new(LOOK_BYTES + FRAME_MAX);
	struct segment_list list = {0};
	for (size_t at = 0; at < names.len && result >= 0;) {
		const char *name = (const char *)names.ptr + at;
		at += strlen(name) + 1;
		struct segment_info info = {0};
		if (!parse_name(name, &info.number))
			continue;
		result = survey_file(core, directory, buffer, &info);
		segment_list_add(&list, &info);
	}
	file_buffer_free(buffer);
	if (result < 0) {
		segment_list_free(&list);
		return result;
	}
	*out = list;
	return 0;
}
