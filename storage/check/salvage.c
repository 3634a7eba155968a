/* What can be saved of a damaged directory, written into a new one.
 *
 *   damaged: images that are sound, logs past their damage --load--> one shard --images--> a fresh directory
 *
 * Nothing is mended in place: whoever looks again later finds what was there. */
#include "engine/base/buf.h"
#include "engine/core/core.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "storage/check/check_private.h"
#include "storage/disk/format.h"
#include "storage/keyspace/keyspace.h"
#include "storage/recovery/load.h"
#include "storage/recovery/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_ROOM = 4096 };

/* ---- the damaged one ----------------------------------------------------------------------- */

/* One file's copies: the newest that is sound becomes the subject's. */
static bool take_manifest_of(struct subject *subject, unsigned file)
{
	char path[PATH_ROOM], why[160];
	snprintf(path, sizeof(path), "%s/manifest.%u", subject->directory, file);
	int fd = file_open(subject->core, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	if (fd < 0)
		return false;
	bool any = false;
	uint8_t *bytes = file_buffer_new(MANIFEST_FILE_SIZE);
	struct manifest *found = memory_alloc(sizeof(*found));
	int64_t n = file_read(subject->core, fd, bytes, MANIFEST_FILE_SIZE, 0);
	for (unsigned copy = 0; n > 0 && copy < MANIFEST_COPIES; copy++) {
		if (manifest_decode(bytes + copy * MANIFEST_COPY_STRIDE, &subject->superblock, copy, found, why,
		                    sizeof(why)) != COPY_SOUND)
			continue;
		any = true;
		if (found->version >= subject->manifest->version)
			*subject->manifest = *found;
	}
	memory_free(found);
	file_buffer_free(bytes);
	file_close(subject->core, fd);
	return any;
}

/* Where it cannot be told which manifest counts, the newest that is sound must do. */
static bool open_damaged(struct subject *subject)
{
	if (subject_open(subject))
		return true;
	if (subject->superblock.format != DIRECTORY_FORMAT)
		return false;
	survey_fini(&subject->survey);
	*subject->manifest = (struct manifest){0};
	bool first = take_manifest_of(subject, 0), second = take_manifest_of(subject, 1);
	if (!first && !second) {
		say(subject->out, "no manifest is left that says which images and logs count: nothing can be saved");
		return false;
	}
	say(subject->out, "what manifest version %" PRIu64 " names is saved", subject->manifest->version);
	(void)survey_take(subject->core, subject->directory, &subject->superblock, subject->manifest, &subject->survey,
	                  &subject->faults);
	return true;
}

/* ---- the fresh one --------------------------------------------------------------------------- */

static bool is_unused(struct core *core, const char *directory, struct check_out *out)
{
	cleanup(buf_fini) struct buf names = {0};
	int result = dir_list(core, directory, &names);
	if (result < 0) {
		say(out, "%s cannot be read: %s", directory, strerror(-result));
		return false;
	}
	for (size_t at = 0; at < names.len; at += strlen((const char *)names.ptr + at) + 1) {
		if (strcmp((const char *)names.ptr + at, "lock") == 0)
			continue;
		say(out, "%s is not empty: what is saved goes into a new directory", directory);
		return false;
	}
	return true;
}

static bool put_rows(struct core *core, struct store *store, const struct system_rows *rows)
{
	int result = 0;
	for (uint32_t i = 0; i < rows->n && result == 0; i++)
		result = store_put_row(core, store, buf_slice(&rows->all[i].name), buf_slice(&rows->all[i].value));
	return result == 0;
}

/* The shard has the keys already; images make them last. */
static bool fill(struct core *core, struct store *store, const struct load *load, struct check_out *out)
{
	memcpy(core->shard->keyspace_of_db, load->names.of_db, sizeof(load->names.of_db));
	if (!put_rows(core, store, &load->rows)) {
		say(out, "the system rows cannot be written");
		return false;
	}
	int result = store_image(core, store);
	if (result < 0)
		say(out, "the images cannot be written: %s", strerror(-result));
	return result == 0;
}

static bool write_all(struct core *core, struct store *store, const struct load *load, struct check_out *out)
{
	char why[1024] = "";
	if (!store_open(core, store, why, sizeof(why))) {
		say(out, "%s", why);
		return false;
	}
	bool filled = fill(core, store, load, out);
	store_close(core, store);
	return filled;
}

static bool move_over(struct subject *subject, struct store *store, const char *into)
{
	struct load_progress progress = {0};
	struct load load = {.directory = subject->directory,
	                    .superblock = &subject->superblock,
	                    .manifest = subject->manifest,
	                    .survey = &subject->survey,
	                    .salvage = true,
	                    .progress = &progress};
	(void)load_run(subject->core, &load, &subject->faults); /* what is lost was told */
	bool ok = copy_cold(subject, into) && write_all(subject->core, store, &load, subject->out);
	if (ok)
		say(subject->out,
		    "saved: %" PRIu64 " images, %" PRIu64 " entries and records applied; faults: %" PRIu32,
		    load.n_images, progress.keys, subject->faults.n);
	load_fini(&load);
	return ok;
}

static bool save(struct subject *subject, const char *into)
{
	char why[1024] = "";
	struct core *core = subject->core;
	struct store_options options = {.directory = into, .image_log_bytes = UINT64_MAX};
	struct store *store = store_begin(core, &options, why, sizeof(why));
	if (!store) {
		say(subject->out, "%s", why);
		return false;
	}
	core->shard = shard_new(core, store_hash_seed(store));
	bool ok = move_over(subject, store, into);
	store_free(store);
	shard_free(take(core->shard));
	return ok;
}

bool check_salvage(struct core *core, const char *directory, const char *into, struct check_out *out)
{
	if (!is_unused(core, into, out))
		return false;
	struct subject *subject = memory_alloc(sizeof(*subject));
	subject_init(subject, core, directory, out);
	bool ok = open_damaged(subject) && save(subject, into);
	subject_fini(subject);
	memory_free(subject);
	return ok;
}
