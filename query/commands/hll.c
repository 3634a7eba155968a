#include "query/commands/hll.h"

#include "kernels/bytes.h"

#include <assert.h>
#include <math.h>

/* The header: "HYLL", the encoding, three bytes that are not used, the cached count: little-endian, its top bit set if
 * it is not known.
 *
 * A sparse one is a sequence of runs of registers:
 *   00nnnnnn           n + 1 zeros
 *   01nnnnnn nnnnnnnn  n + 1 zeros
 *   1vvvvvnn           n + 1 times v + 1
 */
enum { ENCODING_AT = 4, DENSE = 0, SPARSE = 1, COUNT_UNKNOWN = 0x80 };
enum { ZERO_MAX = 64, LONG_ZERO_MAX = 16384, VALUE_RUN_MAX = 4, VALUE_MAX = 32 };
enum { INDEX_BITS = 14, RANK_BITS = 64 - INDEX_BITS, RANKS = 64 };

bool hll_is_one(struct slice string)
{
	if (string.len < HLL_HEAD_SIZE || memcmp(string.ptr, "HYLL", 4) != 0 || string.ptr[ENCODING_AT] > SPARSE)
		return false;
	return string.ptr[ENCODING_AT] == SPARSE || string.len == HLL_DENSE_SIZE;
}

bool hll_is_dense(struct slice hll) { return hll.ptr[ENCODING_AT] == DENSE; }

/* ---- elements ----------------------------------------------------------------------- */

/* MurmurHash64A, Austin Appleby's, by words of little-endian bytes. */
static uint64_t murmur(struct slice bytes, uint64_t seed)
{
	const uint64_t by = 0xc6a4a7935bd1e995u;
	const uint8_t *at = bytes.ptr, *end = at + (bytes.len & ~(size_t)7);
	uint64_t hash = seed ^ (bytes.len * by);
	for (; at != end; at += 8) {
		uint64_t word = load_u64(at) * by;
		hash = (hash ^ ((word ^ (word >> 47)) * by)) * by;
	}
	size_t rest = bytes.len & 7;
	for (size_t i = 0; i < rest; i++)
		hash ^= (uint64_t)at[i] << (8 * i);
	if (rest > 0)
		hash *= by;
	hash = (hash ^ (hash >> 47)) * by;
	return hash ^ (hash >> 47);
}

struct hll_place hll_place_of(struct slice element)
{
	uint64_t hash = murmur(element, 0xadc83b19u);
	uint64_t rank = hash >> INDEX_BITS | (uint64_t)1 << RANK_BITS;
	return (struct hll_place){.index = hash & (HLL_REGISTERS - 1), .count = (uint8_t)(__builtin_ctzll(rank) + 1)};
}

/* ---- dense: four registers in three bytes ------------------------------------------------ */

size_t hll_four_at(uint32_t index) { return HLL_HEAD_SIZE + (size_t)index / 4 * 3; }

static void registers_unpack(const uint8_t *from, uint8_t to[4])
{
	to[0] = from[0] & 63;
	to[1] = (uint8_t)(from[0] >> 6 | from[1] << 2) & 63;
	to[2] = (uint8_t)(from[1] >> 4 | from[2] << 4) & 63;
	to[3] = from[2] >> 2;
}

static void registers_pack(uint8_t *to, const uint8_t from[4])
{
	to[0] = (uint8_t)(from[0] | from[1] << 6);
	to[1] = (uint8_t)(from[1] >> 2 | from[2] << 4);
	to[2] = (uint8_t)(from[2] >> 4 | from[3] << 2);
}

bool hll_raise_four(uint8_t four[3], struct hll_place place)
{
	uint8_t registers[4];
	registers_unpack(four, registers);
	if (registers[place.index % 4] >= place.count)
		return false;
	registers[place.index % 4] = place.count;
	registers_pack(four, registers);
	return true;
}

static enum hll_change raise_dense(struct buf *hll, struct hll_place place)
{
	return hll_raise_four(hll->ptr + hll_four_at(place.index), place) ? HLL_CHANGED : HLL_SAME;
}

/* ---- runs ------------------------------------------------------------------------------- */

struct run {
	const uint8_t *at;
	size_t size;
	uint32_t len;
	uint8_t value;
	bool is_long; /* zeros in two bytes */
};

/* The run at `at`, before `end`; false: it is cut off. */
static bool run_read(const uint8_t *at, const uint8_t *end, struct run *out)
{
	*out = (struct run){.at = at, .size = 1};
	if (at >= end)
		return false;
	if (*at & 0x80) {
		out->value = (uint8_t)((*at >> 2 & 31) + 1);
		out->len = (*at & 3u) + 1;
		return true;
	}
	out->len = (*at & 63u) + 1;
	out->is_long = *at & 0x40;
	if (!out->is_long)
		return true;
	if (end - at < 2)
		return false;
	out->size = 2;
	out->len = ((*at & 63u) << 8 | at[1]) + 1;
	return true;
}

static uint8_t *put_zeros(uint8_t *to, uint32_t len)
{
	if (len == 0)
		return to;
	if (len > ZERO_MAX) {
		*to++ = (uint8_t)(0x40 | (len - 1) >> 8);
		*to++ = (uint8_t)(len - 1);
	} else {
		*to++ = (uint8_t)(len - 1);
	}
	return to;
}

static uint8_t *put_values(uint8_t *to, uint8_t value, uint32_t len)
{
	if (len > 0)
		*to++ = (uint8_t)(0x80 | (value - 1) << 2 | (len - 1));
	return to;
}

/* Shows the runs; false if they are not of all registers. */
static bool runs_each(struct slice hll, void (*show)(void *arg, uint32_t index, const struct run *run), void *arg)
{
	const uint8_t *at = hll.ptr + HLL_HEAD_SIZE, *end = hll.ptr + hll.len;
	uint32_t index = 0;
	for (struct run run; at < end; at += run.size, index += run.len) {
		if (!run_read(at, end, &run) || run.len > HLL_REGISTERS - index)
			return false;
		show(arg, index, &run);
	}
	return index == HLL_REGISTERS;
}

static void raise_run(void *arg, uint32_t index, const struct run *run)
{
	uint8_t *registers = arg;
	for (uint32_t i = index; i < index + run->len; i++)
		if (registers[i] < run->value)
			registers[i] = run->value;
}

bool hll_merge(struct slice hll, uint8_t registers[HLL_REGISTERS])
{
	if (!hll_is_dense(hll))
		return runs_each(hll, raise_run, registers);
	const uint8_t *at = hll.ptr + HLL_HEAD_SIZE;
	for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, at += 3) {
		uint8_t four[4];
		registers_unpack(at, four);
		for (int k = 0; k < 4; k++)
			registers[i + k] = four[k] > registers[i + k] ? four[k] : registers[i + k];
	}
	return true;
}

bool hll_make_dense(struct buf *hll)
{
	uint8_t registers[HLL_REGISTERS] = {0};
	if (hll_is_dense(buf_slice(hll)))
		return true;
	if (!hll_merge(buf_slice(hll), registers))
		return false;
	hll->len = HLL_HEAD_SIZE;
	uint8_t *at = buf_reserve(hll, HLL_DENSE_SIZE - HLL_HEAD_SIZE);
	for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, at += 3)
		registers_pack(at, registers + i);
	hll->len = HLL_DENSE_SIZE;
	hll->ptr[ENCODING_AT] = DENSE;
	return true;
}

void hll_make_empty(struct buf *out)
{
	static const uint8_t head[HLL_HEAD_SIZE] = {'H', 'Y', 'L', 'L', SPARSE};
	out->len = 0;
	buf_append(out, slice_of(head, sizeof(head)));
	put_zeros(buf_reserve(out, 2), HLL_REGISTERS);
	out->len += 2;
}

/* ---- sparse ----------------------------------------------------------------------------- */

enum { JOIN_RUNS = 5 }; /* that are looked at after a change */

static bool is_value(const uint8_t *at) { return *at & 0x80; }

/* Joins neighbours of one value, from `at` on, as far as Redis looks. */
static void join_values(struct buf *hll, size_t at)
{
	for (int i = 0; i < JOIN_RUNS && at < hll->len; i++) {
		uint8_t *run = hll->ptr + at;
		if (!is_value(run)) {
			at += *run & 0x40 ? 2 : 1;
			continue;
		}
		uint32_t len = at + 1 < hll->len ? (run[0] & 3u) + (run[1] & 3u) + 2 : 0;
		if (len > 0 && is_value(run + 1) && run[0] >> 2 == run[1] >> 2 && len <= VALUE_RUN_MAX) {
			put_values(run + 1, (uint8_t)((run[0] >> 2 & 31) + 1), len);
			memmove(run, run + 1, hll->len - at - 1);
			hll->len--;
			continue; /* the joined one may be joined again */
		}
		at++;
	}
}

static enum hll_change promote(struct buf *hll, struct hll_place place)
{
	if (!hll_make_dense(hll))
		return HLL_CORRUPT;
	return raise_dense(hll, place);
}

/* What comes instead of `run`, whose first register is `first`: at most five bytes. */
static size_t split(const struct run *run, uint32_t first, struct hll_place place, uint8_t out[8])
{
	uint32_t before = place.index - first, after = first + run->len - 1 - place.index;
	uint8_t *to = run->value ? put_values(out, run->value, before) : put_zeros(out, before);
	to = put_values(to, place.count, 1);
	to = run->value ? put_values(to, run->value, after) : put_zeros(to, after);
	return (size_t)(to - out);
}

static enum hll_change raise_sparse(struct buf *hll, struct hll_place place, uint64_t sparse_max)
{
	if (place.count > VALUE_MAX)
		return promote(hll, place);
	size_t at = HLL_HEAD_SIZE, before = HLL_HEAD_SIZE;
	uint32_t first = 0;
	struct run run;
	for (;; before = at, at += run.size, first += run.len) {
		if (!run_read(hll->ptr + at, hll->ptr + hll->len, &run))
			return HLL_CORRUPT;
		if (place.index < first + run.len)
			break;
	}
	if (run.value >= place.count)
		return HLL_SAME;
	uint8_t instead[8];
	size_t size = split(&run, first, place, instead);
	if (size > run.size && hll->len + size - run.size > sparse_max)
		return promote(hll, place);
	size_t rest = hll->len - at - run.size;
	buf_reserve(hll, sizeof(instead));
	memmove(hll->ptr + at + size, hll->ptr + at + run.size, rest);
	memcpy(hll->ptr + at, instead, size);
	hll->len = at + size + rest;
	join_values(hll, before);
	return HLL_CHANGED;
}

enum hll_change hll_raise(struct buf *hll, struct hll_place place, uint64_t sparse_max)
{
	if (!hll_is_dense(buf_slice(hll)))
		return raise_sparse(hll, place, sparse_max);
	return raise_dense(hll, place);
}

/* ---- counting --------------------------------------------------------------------------- */

void hll_forget_count(uint8_t *hll) { hll[HLL_HEAD_SIZE - 1] |= COUNT_UNKNOWN; }

bool hll_known_count(struct slice hll, uint64_t *out)
{
	if (hll.ptr[HLL_HEAD_SIZE - 1] & COUNT_UNKNOWN)
		return false;
	*out = load_u64(hll.ptr + HLL_COUNT_AT);
	return true;
}

void hll_say_count(uint8_t count[8], uint64_t value)
{
	for (int i = 0; i < 8; i++)
		count[i] = (uint8_t)(value >> (8 * i));
}

static double sigma(double x)
{
	if (x == 1)
		return INFINITY;
	double y = 1, z = x, before;
	do {
		x *= x;
		before = z;
		z += x * y;
		y += y;
	} while (before != z);
	return z;
}

static double tau(double x)
{
	if (x == 0 || x == 1)
		return 0;
	double y = 1, z = 1 - x, before;
	do {
		x = sqrt(x);
		before = z;
		y *= 0.5;
		z -= (1 - x) * (1 - x) * y;
	} while (before != z);
	return z / 3;
}

/* From how many registers have each value. */
static uint64_t estimate(const uint32_t ranks[RANKS])
{
	const double m = HLL_REGISTERS, alpha = 0.721347520444481703680;
	double z = m * tau((m - ranks[RANK_BITS + 1]) / m);
	for (int rank = RANK_BITS; rank >= 1; rank--) {
		z += ranks[rank];
		z *= 0.5;
	}
	z += m * sigma(ranks[0] / m);
	return (uint64_t)llroundl((long double)(alpha * m * m / z));
}

uint64_t hll_count_registers(const uint8_t registers[HLL_REGISTERS])
{
	uint32_t ranks[RANKS] = {0};
	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		ranks[registers[i] % RANKS]++;
	return estimate(ranks);
}

static void count_run(void *arg, uint32_t index, const struct run *run) { ((uint32_t *)arg)[run->value] += run->len; }

bool hll_count(struct slice hll, uint64_t *out)
{
	uint32_t ranks[RANKS] = {0};
	if (!hll_is_dense(hll)) {
		if (!runs_each(hll, count_run, ranks))
			return false;
		*out = estimate(ranks);
		return true;
	}
	const uint8_t *at = hll.ptr + HLL_HEAD_SIZE;
	for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, at += 3) {
		uint8_t four[4];
		registers_unpack(at, four);
		for (int k = 0; k < 4; k++)
			ranks[four[k]]++;
	}
	*out = estimate(ranks);
	return true;
}

/* ---- words ------------------------------------------------------------------------------ */

static void say_run(void *arg, uint32_t index, const struct run *run)
{
	struct buf *out = arg;
	const char *space = out->len > 0 ? " " : "";
	if (run->value)
		buf_printf(out, "%sv:%u,%u", space, run->value, run->len);
	else
		buf_printf(out, "%s%c:%u", space, run->is_long ? 'Z' : 'z', run->len);
}

void hll_decode(struct slice hll, struct buf *out) { (void)runs_each(hll, say_run, out); }
