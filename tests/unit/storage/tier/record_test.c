#include "storage/tier/record.h"

#include "kernels/checksum/crc32c.h"
#include "kernels/cpu.h"
#include "storage/tier/tier.h"

#include <criterion/criterion.h>
#include <string.h>

static struct key some_key(void) { return (struct key){.name = S("a key"), .hash = 1, .keyspace = 3, .slot = 4}; }

static void begin(void) { kernels_init(cpu_features()); }

TestSuite(record, .init = begin);

Test(record, says_what_was_written)
{
	uint8_t bytes[200];
	struct key key = some_key();
	struct cold_pointer pointer = tier_record_write(bytes, 7, 4096, &key, S("\1"), S("value"), 5);
	struct tier_record record;
	struct slice name, packed;
	cr_assert(tier_record_read(bytes, pointer.size, 7, 4096, &record, &name, &packed));
	cr_assert(slice_equal(name, key.name));
	cr_assert(slice_equal(packed, S("\1value")));
	cr_assert_eq(record.space, 3);
	cr_assert_eq(record.slot, 4);
	cr_assert_eq(record.length, 5);
	cr_assert_eq(record.crc, pointer.crc);
	cr_assert(tier_may_point(&pointer));
}

Test(record, is_none_elsewhere)
{
	uint8_t bytes[200];
	struct key key = some_key();
	struct cold_pointer pointer = tier_record_write(bytes, 7, 4096, &key, S("\1"), S("value"), 5);
	struct tier_record record;
	struct slice name, packed;
	cr_assert_not(tier_record_read(bytes, pointer.size, 8, 4096, &record, &name, &packed));
	cr_assert_not(tier_record_read(bytes, pointer.size, 7, 8192, &record, &name, &packed));
	cr_assert_not(tier_record_read(bytes, pointer.size - 1, 7, 4096, &record, &name, &packed));
}

Test(record, notices_each_flipped_bit)
{
	uint8_t bytes[200];
	struct key key = some_key();
	struct cold_pointer pointer = tier_record_write(bytes, 7, 4096, &key, S("\1"), S("value"), 5);
	struct tier_record record;
	struct slice name, packed;
	for (uint32_t bit = 0; bit < pointer.size * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_not(tier_record_read(bytes, pointer.size, 7, 4096, &record, &name, &packed), "bit %u", bit);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

Test(record, head_tells_its_file)
{
	uint8_t block[TIER_BLOCK];
	tier_head_write(9, block);
	cr_assert(tier_head_is_sound(9, block));
	cr_assert_not(tier_head_is_sound(8, block));
	block[100] = 1;
	cr_assert_not(tier_head_is_sound(9, block));
}

Test(record, files_have_numbers)
{
	char path[100];
	tier_path("data", 0xab, path, sizeof(path));
	cr_assert_str_eq(path, "data/tier/000000ab");
	cr_assert_eq(tier_number("000000ab"), 0xab);
	cr_assert_eq(tier_number("0000000g"), 0);
	cr_assert_eq(tier_number("000000ab1"), 0);
	cr_assert_eq(tier_number("ab"), 0);
}
