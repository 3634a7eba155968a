#include "storage/check/check.h"

#include "engine/memory/memory.h"
#include "storage/check/check_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void say_superblock(const struct subject *subject)
{
	const struct superblock *superblock = &subject->superblock;
	char id[2 * sizeof(superblock->id) + 1];
	hex(superblock->id, sizeof(superblock->id), id);
	say(subject->out, "directory      %s, id %s, format %" PRIu32 ", %" PRIu32 " partitions", subject->directory,
	    id, superblock->format, superblock->partitions);
}

/* All copies of the superblock are written before its name is there. Of a manifest, a crash may leave one; the next
 * writing but one replaces it. */
static void judge_copies(struct subject *subject)
{
	struct directory_copies copies;
	int result = directory_copies(subject->core, subject->directory, &copies);
	if (result < 0) {
		fault(&subject->faults, "%s: cannot be read: %s", subject->directory, strerror(-result));
		return;
	}
	say(subject->out, "superblock     %u of %u copies", copies.superblock, copies.superblock_all);
	if (copies.superblock < copies.superblock_all)
		fault(&subject->faults, "superblock: %u of %u copies are sound", copies.superblock,
		      copies.superblock_all);
	for (int file = 0; file < 2; file++) {
		if (copies.manifest[file] == 0 && subject->manifest->version < 2)
			continue; /* it is not there yet */
		say(subject->out, "manifest.%d     version %" PRIu64 ", %u of %u copies%s", file,
		    copies.manifest_version[file], copies.manifest[file], copies.manifest_all,
		    copies.manifest_version[file] == subject->manifest->version ? ", counts" : "");
		if (copies.manifest[file] < copies.manifest_all)
			say(subject->out, "remark: manifest.%d: a crash cut off a writing of it, or it was damaged",
			    file);
	}
}

static void say_manifest(const struct subject *subject)
{
	const struct manifest *manifest = subject->manifest;
	say(subject->out, "manifest       version %" PRIu64 ", start %" PRIu64 ", %u cores, %" PRIu32 " logs",
	    manifest->version, manifest->epoch, manifest->n_cores, manifest->n_logs);
}

static void look_at_all(struct subject *subject)
{
	bool more = subject_open(subject);
	if (subject->superblock.format == 0)
		return;
	say_superblock(subject);
	judge_copies(subject);
	if (!more)
		return;
	say_manifest(subject);
	check_logs(subject);
	say(subject->out, "spare          %" PRIu32 " segments", subject->survey.spare.n);
	check_images(subject);
	check_cold(subject);
}

bool check_run(struct core *core, const char *directory, struct check_out *out)
{
	struct subject *subject = memory_alloc(sizeof(*subject));
	subject_init(subject, core, directory, out);
	look_at_all(subject);
	uint32_t n = subject->faults.n;
	say(out, "faults         %" PRIu32, n);
	subject_fini(subject);
	memory_free(subject);
	return n == 0;
}
