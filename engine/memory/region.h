/* region.h -- memory in pieces of 2 MiB, made ready before they are needed.
 *
 * What      Zeroing a huge page at its first touch costs a good part of a millisecond, and
 *           several where a hypervisor must find the memory first: too long for a task. So a
 *           thread beside the core touches the next region while the present one fills.
 *           Who comes too early, or for the first region, gets one of small pages instead,
 *           which costs a few microseconds at a time and little if little is used.
 * Owner     One core. The thread starts with the first region_prepare().
 * Errors    None: exhaustion ends the process with a message.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

enum { REGION_SIZE = 2 * 1024 * 1024 };

struct region_source;

struct region_source *region_source_new(void) must_check;
void region_source_free(struct region_source *source); /* regions that were taken stay */

/* Zeroed, aligned to its size. `*small`: of small pages. */
void *region_take(struct region_source *source, bool *small) __attribute__((returns_nonnull));

/* For who can wait: the one that was made ready, or one that is touched now, which takes a while. */
void *region_take_touched(struct region_source *source) __attribute__((returns_nonnull));
void region_give(void *region);

/* A region will be wanted soon. */
void region_prepare(struct region_source *source);

/* Pages of a small region may be joined when the kernel finds time: it is in full use. */
void region_join(void *region);
