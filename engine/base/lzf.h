/* lzf.h -- the LZF format, in which Redis' payloads carry long strings.
 *
 * What      A stream of runs. A first byte below 32 is followed by that many literal bytes
 *           plus one; any other repeats earlier output: 3 bits of length, 13 of distance,
 *           and a further byte of length if the 3 bits are full.
 * Chosen    The format leaves open which repetitions are used. Payloads are compared byte
 *           by byte, so lzf_pack() finds those that Redis finds: the last place that the
 *           same hash of three bytes was seen.
 * Bounds    264 bytes come from 3 at most.
 */
#pragma once

#include "engine/base/slice.h"

#include <stdbool.h>

/* Packs into out[0 .. room) and returns how many bytes that took; 0 if they do not
 * fit, or are 4 GiB. */
size_t lzf_pack(struct slice plain, uint8_t *out, size_t room);

/* How many bytes a stream unpacks to; false if it is malformed. Touches the runs' heads. */
bool lzf_measure(struct slice packed, size_t *out);

/* Unpacks a measured stream into room for all of it. */
void lzf_unpack(struct slice packed, uint8_t *out);
