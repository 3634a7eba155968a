/* assembly_private.h -- the records of frames, put together: fragments to whole records, records to whole groups.
 *
 * What      Frames are added in their order; after each, the records whose group is complete can be had.
 *           What is not complete waits, copied, for the next frame.
 * Hostile   A frame's checksum was right, but what it says is believed only after it was checked.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/compiler.h"
#include "storage/log/record.h"

#include <stdbool.h>
#include <stdint.h>

struct assembly {
	uint64_t from_lsn; /* records before it are left out */
	uint32_t log, seed;
	struct buf items;  /* of struct item: whole records */
	struct buf out;    /* of struct record: those that are given */
	struct buf held;   /* bodies, and pieces of one, that outlive their frame */
	uint32_t n_given;  /* of the items: complete groups */
	bool partial;      /* the last record of the frame goes on in the next */
	size_t partial_at; /* its first fragment, in `held` */
	struct record_header partial_header;
	bool headless; /* the beginning was not seen: what goes on from there is left out */
	bool lost;     /* the frames before were lost: a group may have begun in them */
};

void assembly_init(struct assembly *assembly, uint32_t log, uint64_t from_lsn);
void assembly_fini(struct assembly *assembly);

/* Takes the frame's records; slices point into it until the next call. False: `why` says what is wrong. */
bool assembly_add(struct assembly *assembly, const uint8_t *frame, const struct frame_header *header,
                  struct buf *why) must_check;

/* What the last frame completed. */
const struct record *assembly_records(const struct assembly *assembly, uint32_t *n);

/* Forgets what waits: the frames that follow are not the continuation. `lost`: nor do they begin anew. */
void assembly_break(struct assembly *assembly, bool lost);
