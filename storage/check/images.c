#include "engine/core/core.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/placement/placement.h"
#include "storage/check/check_private.h"
#include "storage/image/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_ROOM = 4096 };

struct images_look {
	struct subject *subject;
	uint32_t n;
	uint64_t entries, bytes;
};

static uint64_t wrong_entries(uint16_t partition, const struct image_entry *entries, uint32_t n)
{
	uint64_t wrong = 0;
	for (uint32_t i = 0; i < n && partition != PARTITION_SYSTEM; i++)
		wrong += partition_of(slot_of(entries[i].key)) != partition;
	return wrong;
}

/* To its end, or to a fault. */
static void read_entries(struct images_look *look, uint16_t partition, struct image_reader *reader, const char *path)
{
	const struct image_entry *entries;
	uint32_t n;
	uint64_t wrong = 0;
	char why[512] = "";
	int result;
	while ((result = image_next(reader, &entries, &n, why, sizeof(why))) == 1) {
		look->entries += n;
		wrong += wrong_entries(partition, entries, n);
		for (uint32_t i = 0; i < n && partition != PARTITION_SYSTEM; i++)
			check_pointer(look->subject, entries[i].key, entries[i].value, path);
	}
	if (result < 0)
		fault(&look->subject->faults, "%s", why);
	if (wrong)
		fault(&look->subject->faults, "%s: %" PRIu64 " keys of other partitions", path, wrong);
}

/* What the image does not show must lie in the log. */
static void judge_begin(struct images_look *look, uint16_t partition, uint64_t begin_lsn, const char *path)
{
	const struct manifest_partition *p = &look->subject->manifest->partitions[partition];
	if (p->n_ranges > 0 && p->ranges[0].from_lsn > begin_lsn)
		fault(&look->subject->faults,
		      "%s: was begun at LSN %" PRIu64 ", but the log is replayed from LSN %" PRIu64 " on only", path,
		      begin_lsn, p->ranges[0].from_lsn);
}

static uint64_t size_of(struct core *core, const char *path)
{
	int fd = file_open(core, path, IO_OPEN_READ, 0);
	if (fd < 0)
		return 0;
	int64_t size = file_size(core, fd);
	file_close(core, fd);
	return size > 0 ? (uint64_t)size : 0;
}

static void check_image(struct images_look *look, uint16_t partition)
{
	struct subject *subject = look->subject;
	uint64_t number = subject->manifest->partitions[partition].image;
	char path[PATH_ROOM], why[512] = "";
	struct image_reader *reader;
	image_path(subject->directory, partition, number, path, sizeof(path));
	look->n++;
	int result = image_open(subject->core, subject->directory, &subject->superblock, number, partition, &reader,
	                        why, sizeof(why));
	if (result < 0) {
		fault(&subject->faults, "%s", why);
		return;
	}
	judge_begin(look, partition, image_begin_lsn(reader), path);
	read_entries(look, partition, reader, path);
	image_close(reader);
	look->bytes += size_of(subject->core, path);
}

/* Files that the manifest does not name: an image that was being written, or is no longer needed. */
static void count_others(struct images_look *look)
{
	char path[PATH_ROOM];
	cleanup(buf_fini) struct buf names = {0};
	snprintf(path, sizeof(path), "%s/image", look->subject->directory);
	int result = dir_list(look->subject->core, path, &names);
	uint32_t n = 0;
	if (result < 0) {
		fault(&look->subject->faults, "%s: cannot be read: %s", path, strerror(-result));
		return;
	}
	for (size_t at = 0; at < names.len; n++)
		at += strlen((const char *)names.ptr + at) + 1;
	if (n > look->n)
		say(look->subject->out, "remark: %" PRIu32 " files in %s do not count; the next start removes them",
		    n - look->n, path);
}

void check_images(struct subject *subject)
{
	struct images_look look = {.subject = subject};
	for (uint16_t p = 0; p < PARTITIONS_ALL; p++) {
		if (subject->manifest->partitions[p].n_ranges == 0)
			fault(&subject->faults, "manifest: partition %u has no log", p);
		if (subject->manifest->partitions[p].image)
			check_image(&look, p);
	}
	count_others(&look);
	say(subject->out, "images         %" PRIu32 ", %" PRIu64 " entries, %" PRIu64 " bytes", look.n, look.entries,
	    look.bytes);
}
