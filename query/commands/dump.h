/* dump.h -- the parts that payloads of DUMP and FUNCTION DUMP are made of.
 *
 * dump.c says what they look like. What is taken comes off the front of `in`; false: it is not there, or malformed.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

void dump_put_length(struct buf *out, uint64_t len);
void dump_put_string(struct buf *out, struct slice value);
void dump_put_number(struct buf *out, uint64_t value, int n_bytes, bool high_first);

bool dump_take_number(struct slice *in, int n_bytes, bool high_first, uint64_t *out);
bool dump_take_length(struct slice *in, uint64_t *out);
bool dump_take_bytes(struct slice *in, uint64_t len, struct slice *out);
/* In `in` itself, or in `room` if the bytes are made up there. */
bool dump_take_string(struct slice *in, struct buf *room, struct slice *out);

/* Version and checksum come behind all that a payload holds. */
void dump_seal(struct buf *payload);
bool dump_unseal(struct slice *payload);
