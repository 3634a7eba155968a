/* stream_private.h -- a file as a stream of bytes, in direct writes and reads of 256 KiB: one is on its way
 * while the other side of the buffer is filled or used.
 *
 * Where     Fiber code of one core; one fiber at a time.
 */
#pragma once

#include "engine/base/compiler.h"
#include "engine/base/slice.h"

#include <stdint.h>

struct core;

/* ---- out -------------------------------------------------------------------------- */

struct image_out;

/* Makes the file anew. NULL with -errno in *error. */
struct image_out *image_out_new(struct core *core, const char *path, int *error) must_check;

/* Once something has failed, nothing more is written. 0 or -errno of it. */
int image_out_append(struct image_out *out, struct slice bytes) must_check;

/* Fills with zeros to a multiple of 4096, waits until the device has all. 0 or -errno. */
int image_out_finish(struct image_out *out) must_check;

uint64_t image_out_size(const struct image_out *out); /* bytes appended */
void image_out_free(struct image_out *out);           /* waits for what is in flight */

/* ---- in --------------------------------------------------------------------------- */

struct image_in;
enum { IMAGE_IN_MOST = 72 * 1024 };

/* NULL with -errno in *error. */
struct image_in *image_in_new(struct core *core, const char *path, int *error) must_check;
uint64_t image_in_size(const struct image_in *in); /* the file's, when it was opened */
uint64_t image_in_at(const struct image_in *in);   /* of the next byte */

/* The next `size` bytes (IMAGE_IN_MOST at most), in one piece, good until the next call. 0, or -errno;
 * -ENODATA: the file ends before them. */
int image_in_take(struct image_in *in, size_t size, const uint8_t **out) must_check;
void image_in_free(struct image_in *in); /* waits for what is in flight */
