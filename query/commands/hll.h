/* hll.h -- HyperLogLogs in the bytes that Redis keeps them in.
 *
 * What      A string: a header with a cached count, then 16,384 registers of six bits, packed (dense), or as runs
 *           (sparse) while those are shorter than the setting hll-sparse-max-bytes. Every operation leaves the bytes
 *           that Redis 7.0 leaves.
 * Errors    Bytes come from clients: what makes no sense is HLL_CORRUPT or false, and nothing outside is touched.
 * Source    Flajolet et al., "HyperLogLog", AofA 2007; the count: Ertl, "New cardinality estimation algorithms for
 *           HyperLogLog sketches", arXiv:1702.01284, 2017.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	HLL_REGISTERS = 16384,
	HLL_HEAD_SIZE = 16,
	HLL_DENSE_SIZE = HLL_HEAD_SIZE + HLL_REGISTERS * 6 / 8,
	HLL_COUNT_AT = 8, /* of the cached count, eight bytes */
};

/* What an element says: its register, and what that is at least. */
struct hll_place {
	uint32_t index;
	uint8_t count;
};

enum hll_change { HLL_SAME, HLL_CHANGED, HLL_CORRUPT };

bool hll_is_one(struct slice string); /* by its header; registers may still make no sense */
bool hll_is_dense(struct slice hll);

void hll_make_empty(struct buf *out);
struct hll_place hll_place_of(struct slice element);

/* Raises a register; a sparse one that would be longer than `sparse_max` bytes becomes dense. The cached count is the
 * caller's to forget. */
enum hll_change hll_raise(struct buf *hll, struct hll_place place, uint64_t sparse_max);

/* The same in a dense one, of which only the three bytes are given that the register lies in with its neighbours;
 * true if it has changed. */
bool hll_raise_four(uint8_t four[3], struct hll_place place);
size_t hll_four_at(uint32_t index); /* where those bytes begin */

bool hll_make_dense(struct buf *hll) must_check; /* false: corrupt */

/* Raises each of `registers` to this one's. */
bool hll_merge(struct slice hll, uint8_t registers[HLL_REGISTERS]) must_check;

void hll_forget_count(uint8_t *hll);
bool hll_known_count(struct slice hll, uint64_t *out);
void hll_say_count(uint8_t count[8], uint64_t value); /* as it is cached */

bool hll_count(struct slice hll, uint64_t *out) must_check;
uint64_t hll_count_registers(const uint8_t registers[HLL_REGISTERS]);

/* The runs of a sparse one in the words of PFDEBUG DECODE. */
void hll_decode(struct slice hll, struct buf *out);
