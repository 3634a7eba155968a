/* check_private.h -- what the parts of the check share. */
#pragma once

#include "storage/check/check.h"
#include "storage/recovery/survey.h"
#include "storage/tier/tier.h"

/* A directory that is being looked at. */
struct subject {
	struct faults faults; /* first */
	struct core *core;
	const char *directory;
	struct check_out *out;
	struct superblock superblock;
	struct manifest *manifest;
	struct survey survey;
	uint64_t pointers, bad_pointers; /* to cold values */
	struct buf cold_record;          /* the last one read */
};

void say(struct check_out *out, const char *format, ...) printf_like(2, 3);

/* Prints each fault of the subject's as it is found. */
void subject_init(struct subject *subject, struct core *core, const char *directory, struct check_out *out);

/* Superblock, manifest, survey. False: there is nothing more to look at; if no fault was told, because the directory is
 * fresh. */
bool subject_open(struct subject *subject) must_check;
void subject_fini(struct subject *subject);

/* logs.c: reads all logs, and says of each how much it holds. */
void check_logs(struct subject *subject);

/* images.c: the same of images. */
void check_images(struct subject *subject);

/* cold.c: if a packed value is a pointer, the record must be there, of this key; and at the end what was found. */
void check_pointer(struct subject *subject, struct slice key, struct slice packed, const char *where);
void check_cold(struct subject *subject);

/* Fiber code: all files of cold values, as they are. False: that was said. */
bool copy_cold(struct subject *subject, const char *into) must_check;
