#include "query/script/sha1.h"

#include "kernels/bytes.h"

#include <string.h>

enum { BLOCK = 64, WORDS = 5 };

static uint32_t turn(uint32_t word, int by) { return word << by | word >> (32 - by); }

static uint32_t mix(int step, uint32_t b, uint32_t c, uint32_t d)
{
	if (step < 20)
		return ((b & c) | (~b & d)) + 0x5a827999;
	if (step < 40)
		return (b ^ c ^ d) + 0x6ed9eba1;
	if (step < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	return (b ^ c ^ d) + 0xca62c1d6;
}

static void take_block(uint32_t state[WORDS], const uint8_t *block)
{
	uint32_t w[80];
	for (int i = 0; i < 16; i++)
		w[i] = __builtin_bswap32(load_u32(block + 4 * i));
	for (int i = 16; i < 80; i++)
		w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	for (int i = 0; i < 80; i++) {
		uint32_t next = turn(a, 5) + mix(i, b, c, d) + e + w[i];
		e = d;
		d = c;
		c = turn(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

/* What is left of the text, a one bit, zeros, and the length in bits. */
static void take_end(uint32_t state[WORDS], struct slice rest, uint64_t len)
{
	uint8_t last[2 * BLOCK] = {0};
	size_t blocks = rest.len + 9 > BLOCK ? 2 : 1;
	uint64_t bits = __builtin_bswap64(len * 8);
	if (rest.len > 0)
		memcpy(last, rest.ptr, rest.len);
	last[rest.len] = 0x80;
	memcpy(last + blocks * BLOCK - 8, &bits, 8);
	for (size_t i = 0; i < blocks; i++)
		take_block(state, last + i * BLOCK);
}

void sha1_hex(struct slice text, char out[SHA1_HEX + 1])
{
	uint32_t state[WORDS] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	size_t at = 0;
	for (; text.len - at >= BLOCK; at += BLOCK)
		take_block(state, text.ptr + at);
	take_end(state, slice_sub(text, at, text.len), text.len);
	for (int i = 0; i < SHA1_HEX; i++)
		out[i] = "0123456789abcdef"[state[i / 8] >> (28 - 4 * (i % 8)) & 15];
	out[SHA1_HEX] = 0;
}
