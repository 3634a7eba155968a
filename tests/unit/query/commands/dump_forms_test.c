/* Listpacks and ziplists in payloads: bytes that redis-server wrote, and whatever comes instead. */
#include "engine/memory/memory.h"
#include "query/commands/dump_private.h"
#include "storage/collections/packed.h"

#include <criterion/criterion.h>

/* The string that a payload has, around some bytes. */
static struct buf string_of(struct slice bytes)
{
	struct buf out = {0};
	dump_put_length(&out, bytes.len);
	buf_append(&out, bytes);
	return out;
}

static bool taken_as(bool (*take_form)(struct slice *, struct buf *), struct slice bytes, struct buf *packed)
{
	cleanup(buf_fini) struct buf payload = string_of(bytes);
	uint8_t *exact = memory_alloc(payload.len); /* a sanitizer sees its end */
	memcpy(exact, payload.ptr, payload.len);
	struct slice in = slice_of(exact, payload.len);
	bool taken = take_form(&in, packed) && in.len == 0;
	memory_free(exact);
	return taken;
}

static void elements_are(const struct buf *packed, const char *const *values, uint32_t n)
{
	uint32_t count;
	char scratch[PACKED_SCRATCH];
	cr_assert(packed_check(buf_slice(packed), &count));
	cr_assert_eq(count, n);
	const uint8_t *at = packed->ptr;
	for (uint32_t i = 0; i < n; i++) {
		struct packed_element element;
		at = packed_read(at, &element);
		cr_assert(slice_equal(packed_text(&element, scratch), slice_from_str(values[i])), "%u", i);
	}
}

#define ZIPLIST                                                                                                \
	"\x38\x00\x00\x00\x2a\x00\x00\x00\x09\x00\x00\xf1\x02\xfd\x02\xfe\x0d\x03\xfe\xff\x03\xc0\xe8\x03\x04" \
	"\xf0\xa0\x86\x01\x05\xd0\x00\x00\x00\x80\x06\xe0\x00\x00\x00\x00\x01\x00\x00\x00\x0a\x04seven\xff"

/* Heads of every kind: tiny, of 1, 2, 3, 4 and 8 bytes, and text. */
static struct buf ziplist(void)
{
	struct buf out = {0};
	buf_append(&out, slice_of(ZIPLIST, sizeof(ZIPLIST) - 1));
	uint8_t *text = out.ptr + out.len - 7; /* its head says four of five letters: put right */
	cr_assert_eq(text[0], 4);
	text[0] = 5;
	uint32_t last = (uint32_t)out.len - 8, size = (uint32_t)out.len;
	memcpy(out.ptr, &size, sizeof(size));
	memcpy(out.ptr + 4, &last, sizeof(last));
	return out;
}

Test(dump_forms, reads_ziplists)
{
	static const char *const values[] = {"0",      "12",          "13",         "-1",   "1000",
	                                     "100000", "-2147483648", "4294967296", "seven"};
	cleanup(buf_fini) struct buf bytes = ziplist();
	cleanup(buf_fini) struct buf packed = {0};
	cr_assert(taken_as(dump_take_ziplist, buf_slice(&bytes), &packed));
	elements_are(&packed, values, 9);
}

static struct buf listpack(void)
{
	struct buf packed = {0}, out = {0};
	static const char *const values[] = {"1", "-5000", "a", "123456789012", "the quick brown fox"};
	for (size_t i = 0; i < array_len(values); i++) {
		struct slice value = slice_from_str(values[i]);
		uint8_t *at = buf_reserve(&packed, packed_size(value));
		packed.len += (size_t)(packed_write(at, value) - at);
	}
	dump_put_listpack(&out, buf_slice(&packed), array_len(values));
	struct slice in = buf_slice(&out), bytes;
	struct buf room = {0}, copy = {0};
	cr_assert(dump_take_string(&in, &room, &bytes));
	buf_append(&copy, bytes);
	buf_fini(&room);
	buf_fini(&packed);
	buf_fini(&out);
	return copy;
}

Test(dump_forms, reads_the_listpacks_that_it_writes)
{
	static const char *const values[] = {"1", "-5000", "a", "123456789012", "the quick brown fox"};
	cleanup(buf_fini) struct buf bytes = listpack();
	cleanup(buf_fini) struct buf packed = {0};
	cr_assert_eq(bytes.ptr[bytes.len - 1], 0xff);
	cr_assert_eq(bytes.ptr[0], bytes.len);
	cr_assert(taken_as(dump_take_listpack, buf_slice(&bytes), &packed));
	elements_are(&packed, values, array_len(values));
}

/* Refused, or elements. */
static void stays_sound(bool (*take_form)(struct slice *, struct buf *), const struct buf *good)
{
	uint64_t state = 1;
	for (int round = 0; round < 200000; round++) {
		struct buf bytes = {0}, packed = {0};
		buf_append(&bytes, buf_slice(good));
		for (int i = round % 3; i >= 0; i--) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			bytes.ptr[(state >> 33) % bytes.len] = (uint8_t)(state >> 24);
		}
		size_t len = round % 5 ? bytes.len : (state >> 40) % bytes.len;
		uint32_t count;
		if (taken_as(take_form, slice_of(bytes.ptr, len), &packed))
			cr_assert(packed_check(buf_slice(&packed), &count));
		buf_fini(&bytes);
		buf_fini(&packed);
	}
}

Test(dump_forms, stays_sound_on_hostile_bytes)
{
	cleanup(buf_fini) struct buf a = ziplist(), b = listpack();
	stays_sound(dump_take_ziplist, &a);
	stays_sound(dump_take_listpack, &b);
}
