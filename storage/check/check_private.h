/* check_private.h -- what the parts of the check share. */
#pragma once

#include "storage/check/check.h"
#include "storage/recovery/survey.h"

/* A directory that is being looked at. */
struct subject {
	struct faults faults; /* first */
	struct core *core;
	const char *directory;
	struct check_out *out;
	struct superblock superblock;
	struct manifest *manifest;
	struct survey survey;
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
