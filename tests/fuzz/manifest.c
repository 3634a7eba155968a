/* Copies of superblocks and manifests with whatever fields, their checksums right: what is taken can be
 * written again and says the same, what is refused is refused with a reason. */
#include "storage/disk/format.h"

#include "kernels/checksum/crc32c.h"
#include "tests/fuzz/fuzz.h"

static const struct superblock superblock = {.id = "an id of sixteen"};

static void seal(uint8_t *bytes, size_t size)
{
	uint32_t crc = crc32c(0, bytes + 8, size - 8);
	memcpy(bytes + 4, &crc, sizeof(crc));
}

/* The input lies over a copy that is sound: pieces, each with its place and its length. */
static void overlay(uint8_t *bytes, size_t size, struct slice input)
{
	while (input.len > 0) {
		size_t at = 8 + (fuzz_byte(&input) | (size_t)fuzz_byte(&input) << 8) % (size - 8);
		for (size_t n = 1 + fuzz_byte(&input) % 32; n > 0 && at < size; n--, at++)
			bytes[at] = fuzz_byte(&input);
	}
	seal(bytes, size);
}

/* Some logs in several eras, and partitions that need them. */
static void fill(struct manifest *manifest)
{
	*manifest = (struct manifest){.next_log = 20, .next_era = 5, .next_image = 100, .n_cores = 3, .n_logs = 12};
	for (uint32_t i = 0; i < 12; i++)
		manifest->logs[i] = (struct manifest_log){.id = i, .era = i / 3, .core = (uint16_t)(i % 3)};
	for (uint32_t i = 0; i < PARTITIONS_ALL; i++) {
		struct manifest_partition *partition = &manifest->partitions[i];
		partition->image = i;
		partition->n_ranges = i % 4;
		for (uint32_t n = 0; n < partition->n_ranges; n++)
			partition->ranges[n] = (struct manifest_range){.log = n * 3 + i % 3, .from_lsn = i};
	}
}

static void try_superblock(struct slice input, unsigned copy)
{
	uint8_t bytes[SUPERBLOCK_COPY_SIZE], again[SUPERBLOCK_COPY_SIZE];
	struct superblock found, twice;
	char why[200] = "";
	superblock_encode(&superblock, copy, bytes);
	overlay(bytes, sizeof(bytes), input);
	if (!superblock_decode(bytes, copy, &found))
		return;
	fuzz_check(superblock_is_known(&found, why, sizeof(why)) == (why[0] == 0));
	superblock_encode(&found, copy, again);
	fuzz_check(superblock_decode(again, copy, &twice));
	fuzz_check(twice.format == found.format && twice.features_needed == found.features_needed &&
	           twice.hash_seed == found.hash_seed && twice.made_us == found.made_us);
}

static void try_manifest(struct slice input, unsigned copy)
{
	static uint8_t bytes[MANIFEST_COPY_SIZE], again[MANIFEST_COPY_SIZE];
	static struct manifest found;
	char why[200] = "";
	fill(&found);
	manifest_encode(&superblock, &found, copy, bytes);
	overlay(bytes, sizeof(bytes), input);
	enum copy_state state = manifest_decode(bytes, &superblock, copy, &found, why, sizeof(why));
	fuzz_check((state == COPY_REFUSED) == (why[0] != 0));
	if (state != COPY_SOUND)
		return;
	fuzz_check(!manifest_problem(&found));
	manifest_encode(&superblock, &found, copy, again);
	uint32_t length;
	memcpy(&length, again + 16, sizeof(length));
	fuzz_check(memcmp(bytes + 8, again + 8, length - 8) == 0);
	uint32_t n = found.n_logs;
	fuzz_check(manifest_drop_logs(&found) + found.n_logs == n);
	fuzz_check(!manifest_problem(&found));
	for (uint32_t i = 0; i < found.n_logs; i++)
		(void)manifest_needs_from(&found, found.logs[i].id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	uint8_t which = fuzz_byte(&input);
	if (which & 1)
		try_superblock(input, which >> 1 & 3);
	else
		try_manifest(input, which >> 1 & 1);
	return 0;
}
