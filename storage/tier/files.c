#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/memory/memory.h"
#include "storage/journal/journal.h"
#include "storage/tier/tier_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- names -------------------------------------------------------------------------- */

void tier_path(const char *directory, uint32_t number, char *out, size_t size)
{
	snprintf(out, size, "%s/tier/%08x", directory, number);
}

uint32_t tier_number(const char *name)
{
	uint32_t number = 0;
	for (int n = 0; n < 8; n++) {
		char c = name[n];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return 0;
		number = number << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return name[8] == '\0' ? number : 0;
}

static int64_t size_of(struct core *core, const char *directory, uint32_t number)
{
	char path[PATH_ROOM];
	tier_path(directory, number, path, sizeof(path));
	int fd = file_open(core, path, IO_OPEN_READ, 0);
	if (fd < 0)
		return fd;
	int64_t size = file_size(core, fd);
	file_close(core, fd);
	return size;
}

static uint32_t count_names(const struct buf *names)
{
	uint32_t n = 0;
	for (size_t at = 0; at < names->len; at += strlen((const char *)names->ptr + at) + 1)
		n++;
	return n;
}

/* Names come sorted, so numbers do. */
int tier_survey(struct core *core, const char *directory, struct tier_list *out)
{
	char path[PATH_ROOM];
	cleanup(buf_fini) struct buf names = {0};
	snprintf(path, sizeof(path), "%s/tier", directory);
	*out = (struct tier_list){.next_number = 1};
	int result = dir_list(core, path, &names);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	out->all = memory_zalloc((count_names(&names) + 1) * sizeof(*out->all));
	for (size_t at = 0; at < names.len; at += strlen((const char *)names.ptr + at) + 1) {
		uint32_t number = tier_number((const char *)names.ptr + at);
		int64_t size = number ? size_of(core, directory, number) : 0;
		if (size < 0) {
			tier_list_fini(out);
			return (int)size;
		}
		if (number == 0)
			continue;
		out->all[out->n++] = (struct tier_listed){.number = number, .size = (uint64_t)size};
		out->next_number = number + 1;
	}
	return 0;
}

void tier_list_fini(struct tier_list *list)
{
	memory_free(list->all);
	*list = (struct tier_list){0};
}

/* ---- the table ------------------------------------------------------------------------ */

/* The first whose number is not smaller. */
static uint32_t file_rank(const struct tier *tier, uint32_t number)
{
	uint32_t from = 0, to = tier->n_files;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (tier->files[middle]->number < number)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct tier_file *file_find(const struct tier *tier, uint32_t number)
{
	uint32_t rank = file_rank(tier, number);
	return rank < tier->n_files && tier->files[rank]->number == number ? tier->files[rank] : NULL;
}

struct tier_file *file_add(struct tier *tier, uint32_t number, uint64_t size)
{
	if (tier->n_files == tier->files_room) {
		tier->files_room = tier->files_room ? 2 * tier->files_room : 16;
		tier->files = memory_resize(tier->files, tier->files_room * sizeof(struct tier_file *));
	}
	struct tier_file *file = memory_zalloc(sizeof(*file));
	*file = (struct tier_file){.number = number, .fd = -1, .size = size, .left = UINT64_MAX};
	list_init(&file->openers);
	uint32_t rank = file_rank(tier, number);
	struct tier_file **at = &tier->files[rank];
	memmove(at + 1, at, (tier->n_files - rank) * sizeof(*at));
	*at = file;
	tier->n_files++;
	return file;
}

static void file_forget(struct tier *tier, uint32_t number)
{
	struct tier_file **at = &tier->files[file_rank(tier, number)], *file = *at;
	memmove(at, at + 1, (size_t)(tier->files + --tier->n_files - at) * sizeof(*at));
	memory_free(file->leaves);
	memory_free(file);
}

/* ---- what is live ---------------------------------------------------------------------- */

bool tier_may_point(const struct cold_pointer *pointer)
{
	return pointer->file > 0 && pointer->size > sizeof(struct tier_record) && pointer->offset >= TIER_BLOCK &&
	       pointer->size <= UINT32_MAX - pointer->offset &&
	       pointer->length <= pointer->size - sizeof(struct tier_record);
}

/* A file that is not there is noticed when it is read. */
void tier_retain(struct tier *tier, const struct cold_pointer *pointer)
{
	struct tier_file *file = file_find(tier, pointer->file);
	if (!file) {
		file = file_add(tier, pointer->file, 0);
		file->sealed = true;
	}
	file->live += pointer->size;
}

/* What replaces the pointer is logged next; images begun before that may still show it. */
void tier_release(struct tier *tier, const struct cold_pointer *pointer)
{
	struct tier_file *file = file_find(tier, pointer->file);
	assert(file);
	assert(file->live >= pointer->size);
	file->live -= pointer->size;
	if (tier->shard->journal)
		file->kept_lsn = log_appended(journal_log(tier->shard->journal)) + 2;
}

void tier_retain_leaf(struct tier *tier, struct leaf *leaf, const struct cold_pointer *pointer)
{
	tier_retain(tier, pointer);
	struct tier_file *file = file_find(tier, pointer->file);
	if (file->n_leaves == file->leaves_room) {
		file->leaves_room = file->leaves_room ? 2 * file->leaves_room : 16;
		file->leaves = memory_resize(file->leaves, file->leaves_room * sizeof(*file->leaves));
	}
	file->leaves[file->n_leaves] = (struct tier_leaf){leaf, pointer->offset};
	cold_leaf_set_place(leaf, file->n_leaves++);
}

/* The last one takes its place. */
void tier_release_leaf(struct tier *tier, const struct leaf *leaf, const struct cold_pointer *pointer)
{
	struct tier_file *file = file_find(tier, pointer->file);
	uint32_t place = cold_leaf_place(leaf);
	assert(file);
	assert(place < file->n_leaves);
	assert(file->leaves[place].leaf == leaf);
	struct tier_leaf last = file->leaves[--file->n_leaves];
	if (last.leaf != leaf) {
		file->leaves[place] = last;
		cold_leaf_set_place(last.leaf, place);
	}
	tier_release(tier, pointer);
}

struct leaf *file_leaf_from(const struct tier_file *file, uint32_t offset)
{
	const struct tier_leaf *best = NULL;
	for (uint32_t i = 0; i < file->n_leaves; i++) {
		const struct tier_leaf *one = &file->leaves[i];
		if (one->offset >= offset && (!best || one->offset < best->offset))
			best = one;
	}
	return best ? best->leaf : NULL;
}

/* Nobody is in the midst of a change: what replaced the pointers that have gone is in the log, if anything did. Without
 * this the files of keys that were freed last would wait for somebody to write something. */
void files_settle(struct tier *tier)
{
	uint64_t next = log_appended(journal_log(tier->shard->journal)) + 1;
	for (uint32_t i = 0; i < tier->n_files; i++)
		if (tier->files[i]->kept_lsn > next)
			tier->files[i]->kept_lsn = next;
}

bool tier_needs(const struct tier *tier, uint32_t number)
{
	const struct tier_file *file = file_find(tier, number);
	return file && (file->live > 0 || !file->sealed || file->users > 0 || file->opening || !tier->begun ||
	                tier->forgotten_lsn < file->kept_lsn);
}

void tier_forget_before(struct tier *tier, uint64_t lsn)
{
	if (lsn > tier->forgotten_lsn)
		tier->forgotten_lsn = lsn;
}

uint64_t tier_idle_bytes(const struct tier *tier)
{
	uint64_t bytes = 0, next = tier->begun ? log_appended(journal_log(tier->shard->journal)) + 1 : 0;
	for (uint32_t i = 0; i < tier->n_files; i++)
		if (tier->files[i]->live == 0 && tier->files[i]->sealed && tier->files[i]->kept_lsn <= next)
			bytes += tier->files[i]->share;
	return bytes;
}

uint64_t tier_live_bytes(const struct tier *tier)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < tier->n_files; i++)
		bytes += tier->files[i]->live;
	return bytes;
}

void tier_tell_live(struct tier *tier, struct tier_list *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		list->all[i].live += file_find(tier, list->all[i].number)->live;
}

/* Nobody points there: whoever comes first counts it. */
void tier_learn_share(struct tier *tier, const struct tier_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		const struct tier_listed *listed = &list->all[i];
		struct tier_file *file = file_find(tier, listed->number);
		if (listed->live > 0)
			file->share = (uint64_t)((unsigned __int128)file->size * file->live / listed->live);
		else
			file->share = tier->core->id == 0 ? file->size : 0;
	}
}

/* ---- descriptors ------------------------------------------------------------------------ */

/* The name must outlive a crash before anything points there. */
static int create(struct tier *tier, const char *path, uint32_t number)
{
	char folder[PATH_ROOM];
	uint64_t mark = dir_mark(tier->core);
	snprintf(folder, sizeof(folder), "%s/tier", tier->directory);
	int fd = file_open(tier->core, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, 0600);
	if (fd < 0)
		return fd;
	uint8_t *head = file_buffer_new(TIER_BLOCK);
	tier_head_write(number, head);
	int result = file_write(tier->core, fd, head, TIER_BLOCK, 0, IO_WRITE_DURABLE);
	file_buffer_free(head);
	if (result == 0)
		result = dir_sync(tier->core, folder, mark);
	if (result == 0)
		return fd;
	file_close(tier->core, fd);
	int removed = file_remove(tier->core, path);
	(void)removed; /* what stays nobody points to */
	return result;
}

/* Known before it is there: what lies in the directory and no core knows is removed. */
struct tier_file *file_create(struct tier *tier)
{
	char path[PATH_ROOM];
	uint32_t number = tier->next_number;
	tier->next_number += tier->step;
	tier_path(tier->directory, number, path, sizeof(path));
	struct tier_file *file = file_add(tier, number, TIER_BLOCK);
	int fd = create(tier, path, number);
	if (fd < 0) {
		file_forget(tier, number);
		tier_fail(tier, path, -fd);
		return NULL;
	}
	file->fd = fd;
	tier->n_open++;
	return file;
}

void file_opened(struct tier *tier, struct tier_file *file, int fd)
{
	file->fd = fd;
	tier->n_open++;
	file_close_idle(tier);
}

struct closing {
	struct io_op op;
	struct tier *tier;
};

static void closed(struct io_op *op)
{
	struct closing *closing = container_of(op, struct closing, op);
	closing->tier->n_closing--;
	tier_may_have_ended(closing->tier);
	memory_free(closing);
}

static void close_now(struct tier *tier, struct tier_file *file)
{
	struct closing *closing = memory_zalloc(sizeof(*closing));
	closing->tier = tier;
	closing->op.done = closed;
	io_file_close(tier->core->io, &closing->op, file->fd);
	file->fd = -1;
	tier->n_open--;
	tier->n_closing++;
}

static bool is_idle(const struct tier_file *file)
{
	return file->fd >= 0 && file->sealed && file->users == 0 && list_empty(&file->openers);
}

void file_close_idle(struct tier *tier)
{
	for (uint32_t i = 0; i < tier->n_files && tier->n_open > TIER_OPEN_MAX; i++)
		if (is_idle(tier->files[i]))
			close_now(tier, tier->files[i]);
}

void files_close(struct tier *tier)
{
	for (uint32_t i = 0; i < tier->n_files; i++)
		if (tier->files[i]->fd >= 0)
			close_now(tier, tier->files[i]);
}

void files_free(struct tier *tier)
{
	for (uint32_t i = 0; i < tier->n_files; i++) {
		assert(tier->files[i]->fd < 0);
		memory_free(tier->files[i]->leaves);
		memory_free(tier->files[i]);
	}
	memory_free(tier->files);
	tier->files = NULL;
	tier->n_files = 0;
}

void tier_drop_file(struct tier *tier, uint32_t number)
{
	struct tier_file *file = file_find(tier, number);
	if (!file)
		return;
	assert(!tier_needs(tier, number));
	if (file->fd >= 0)
		close_now(tier, file);
	file_forget(tier, number);
}
