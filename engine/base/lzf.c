#include "engine/base/lzf.h"

#include "engine/memory/memory.h"

enum {
	PLACES = 1 << 16,
	LITERALS_MAX = 1 << 5,
	DISTANCE_MAX = 1 << 13,
	REPEAT_MAX = (1 << 8) + (1 << 3),
	REPEAT_MIN = 3,
	UNASKED = 16,
	SHORT_MAX = 8, /* longest repetition that needs no further byte */
};

/* ---- packing ---------------------------------------------------------------------- */

struct packer {
	struct slice plain;
	uint32_t *places; /* by hash of three bytes: where they were seen last, plus one */
	uint8_t *out;
	size_t room, len; /* the head of a run of literals is counted when the run begins */
	size_t literals;  /* in the open run */
};

static uint32_t *place_of(const struct packer *p, size_t at)
{
	const uint8_t *three = p->plain.ptr + at;
	uint32_t word = (uint32_t)three[0] << 16 | (uint32_t)three[1] << 8 | three[2];
	return &p->places[((word >> 8) - word * 5) % PLACES];
}

static void remember(struct packer *p, size_t at) { *place_of(p, at) = (uint32_t)at + 1; }

/* Where the three bytes at `at` were last, if near enough to repeat; else `at`. The very
 * first byte is never repeated from: the format's first writer took its place for none. */
static size_t find_earlier(struct packer *p, size_t at)
{
	uint32_t *place = place_of(p, at);
	uint32_t seen = *place;
	*place = (uint32_t)at + 1;
	if (seen <= 1 || at - (seen - 1) > DISTANCE_MAX)
		return at;
	const uint8_t *bytes = p->plain.ptr;
	return memcmp(bytes + seen - 1, bytes + at, REPEAT_MIN) == 0 ? seen - 1 : at;
}

static void open_run(struct packer *p)
{
	p->literals = 0;
	p->len++;
}

static void close_run(struct packer *p)
{
	if (p->literals == 0)
		p->len--; /* nothing in it: its head is not needed */
	else
		p->out[p->len - p->literals - 1] = (uint8_t)(p->literals - 1);
}

static bool add_literal(struct packer *p, size_t at)
{
	if (p->len >= p->room)
		return false;
	p->out[p->len++] = p->plain.ptr[at];
	if (++p->literals == LITERALS_MAX) {
		close_run(p);
		open_run(p);
	}
	return true;
}

static size_t repeat_length(const struct packer *p, size_t from, size_t at)
{
	const uint8_t *bytes = p->plain.ptr;
	size_t max = p->plain.len - at - 2;
	if (max > REPEAT_MAX)
		max = REPEAT_MAX;
	/* The first writer of the format looks at 16 bytes before it asks whether the end is
	 * near, which lets the last repetition be up to two bytes longer. */
	if (max > UNASKED && max < UNASKED + REPEAT_MIN)
		max = UNASKED + REPEAT_MIN;
	size_t len = REPEAT_MIN;
	while (len < max && bytes[from + len] == bytes[at + len])
		len++;
	return len;
}

static bool add_repeat(struct packer *p, size_t distance, size_t len)
{
	if (p->len - !p->literals + 4 >= p->room)
		return false;
	close_run(p);
	uint8_t high = (uint8_t)((distance - 1) >> 8);
	if (len <= SHORT_MAX) {
		p->out[p->len++] = (uint8_t)(high | (len - 2) << 5);
	} else {
		p->out[p->len++] = (uint8_t)(high | 7 << 5);
		p->out[p->len++] = (uint8_t)(len - SHORT_MAX - 1);
	}
	p->out[p->len++] = (uint8_t)(distance - 1);
	open_run(p);
	return true;
}

static bool pack(struct packer *p)
{
	size_t at = 0, end = p->plain.len;
	open_run(p);
	while (at + 2 < end) {
		size_t from = find_earlier(p, at);
		if (from == at) {
			if (!add_literal(p, at++))
				return false;
			continue;
		}
		size_t len = repeat_length(p, from, at);
		if (!add_repeat(p, at - from, len))
			return false;
		at += len;
		if (at + 2 >= end)
			break;
		/* Of what was repeated, only its last two places are remembered. */
		remember(p, at - 2);
		remember(p, at - 1);
	}
	if (p->len + 3 > p->room)
		return false;
	while (at < end)
		(void)add_literal(p, at++); /* at most two, and there is room for three bytes */
	close_run(p);
	return true;
}

size_t lzf_pack(struct slice plain, uint8_t *out, size_t room)
{
	if (plain.len == 0 || plain.len >= UINT32_MAX || room == 0)
		return 0;
	struct packer packer = {.plain = plain, .out = out, .room = room};
	packer.places = memory_zalloc(PLACES * sizeof(*packer.places));
	bool packed = pack(&packer);
	memory_free(packer.places);
	return packed ? packer.len : 0;
}

/* ---- unpacking -------------------------------------------------------------------- */

struct run {
	size_t literals; /* or: */
	size_t repeat, distance;
};

/* The run at *at; moves *at behind its head. False if the head is cut off. */
static bool read_run(struct slice packed, size_t *at, struct run *out)
{
	uint8_t head = packed.ptr[(*at)++];
	*out = (struct run){.literals = head + 1u};
	if (head < LITERALS_MAX)
		return true;
	size_t len = head >> 5;
	size_t more = len == 7 ? 2 : 1;
	if (packed.len - *at < more)
		return false;
	if (len == 7)
		len += packed.ptr[(*at)++];
	*out = (struct run){.repeat = len + 2, .distance = ((head & 0x1fu) << 8 | packed.ptr[(*at)++]) + 1u};
	return true;
}

bool lzf_measure(struct slice packed, size_t *out)
{
	size_t len = 0;
	for (size_t at = 0; at < packed.len;) {
		struct run run;
		if (!read_run(packed, &at, &run) || run.distance > len || run.literals > packed.len - at)
			return false;
		at += run.literals;
		len += run.literals + run.repeat;
	}
	*out = len;
	return true;
}

void lzf_unpack(struct slice packed, uint8_t *out)
{
	for (size_t at = 0; at < packed.len;) {
		struct run run;
		bool whole = read_run(packed, &at, &run);
		assert(whole);
		memcpy(out, packed.ptr + at, run.literals);
		at += run.literals;
		out += run.literals;
		for (size_t i = 0; i < run.repeat; i++, out++) /* may repeat what it just wrote */
			*out = *(out - run.distance);
	}
}
