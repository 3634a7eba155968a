#include "storage/disk/format.h"

#include "engine/memory/memory.h"
#include "kernels/bytes.h"
#include "kernels/checksum/crc32c.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- bytes -------------------------------------------------------------------------- */

static void put(uint8_t **at, uint64_t value, size_t size)
{
	memcpy(*at, &value, size);
	*at += size;
}

static void put_bytes(uint8_t **at, const void *bytes, size_t size)
{
	memcpy(*at, bytes, size);
	*at += size;
}

/* What is read; past its end come zeros, and it is `short_of` them. */
struct source {
	const uint8_t *at, *end;
	bool short_of;
};

static void get_bytes(struct source *source, void *out, size_t size)
{
	if ((size_t)(source->end - source->at) < size) {
		source->short_of = true;
		source->at = source->end;
		memset(out, 0, size);
		return;
	}
	memcpy(out, source->at, size);
	source->at += size;
}

static uint64_t get(struct source *source, size_t size)
{
	uint64_t value = 0;
	get_bytes(source, &value, size);
	return value;
}

/* Both kinds of copies begin with a magic and the checksum of what comes after it; then format, and
 * number of the copy. */
enum { CHECKED_FROM = 8, FORMAT_AT = 8, FEATURES_AT = 16 };

static void seal(uint8_t *bytes, uint32_t magic, size_t size)
{
	uint32_t crc = crc32c(0, bytes + CHECKED_FROM, size - CHECKED_FROM);
	memcpy(bytes, &magic, sizeof(magic));
	memcpy(bytes + 4, &crc, sizeof(crc));
}

static bool is_sealed(const uint8_t *bytes, uint32_t magic, size_t size)
{
	return load_u32(bytes) == magic && load_u32(bytes + 4) == crc32c(0, bytes + CHECKED_FROM, size - CHECKED_FROM);
}

/* ---- superblock --------------------------------------------------------------------- */

void superblock_encode(const struct superblock *superblock, unsigned copy, uint8_t block[SUPERBLOCK_COPY_SIZE])
{
	memset(block, 0, SUPERBLOCK_COPY_SIZE);
	uint8_t *at = block + CHECKED_FROM;
	put(&at, superblock->format, 4);
	put(&at, copy, 4);
	put(&at, superblock->features_needed, 8);
	put(&at, superblock->features_optional, 8);
	put_bytes(&at, superblock->id, sizeof(superblock->id));
	put(&at, superblock->hash_seed, 8);
	put(&at, superblock->partitions, 4);
	put(&at, 0, 4);
	put(&at, (uint64_t)superblock->made_us, 8);
	seal(block, SUPERBLOCK_MAGIC, SUPERBLOCK_COPY_SIZE);
}

bool superblock_decode(const uint8_t block[SUPERBLOCK_COPY_SIZE], unsigned copy, struct superblock *out)
{
	if (!is_sealed(block, SUPERBLOCK_MAGIC, SUPERBLOCK_COPY_SIZE))
		return false;
	struct source source = {block + CHECKED_FROM, block + SUPERBLOCK_COPY_SIZE, false};
	struct superblock found = {.format = (uint32_t)get(&source, 4)};
	if (get(&source, 4) != copy)
		return false;
	found.features_needed = get(&source, 8);
	found.features_optional = get(&source, 8);
	get_bytes(&source, found.id, sizeof(found.id));
	found.hash_seed = get(&source, 8);
	found.partitions = (uint32_t)get(&source, 4);
	(void)get(&source, 4);
	found.made_us = (int64_t)get(&source, 8);
	*out = found;
	return true;
}

bool superblock_same(const uint8_t a[SUPERBLOCK_COPY_SIZE], const uint8_t b[SUPERBLOCK_COPY_SIZE])
{
	return load_u32(a + FORMAT_AT) == load_u32(b + FORMAT_AT) &&
	       memcmp(a + FEATURES_AT, b + FEATURES_AT, SUPERBLOCK_COPY_SIZE - FEATURES_AT) == 0;
}

/* "3, 17" */
static void name_bits(uint64_t bits, char *out, size_t size)
{
	size_t len = 0;
	for (; bits; bits &= bits - 1) {
		int n = snprintf(out + len, size - len, "%s%d", len ? ", " : "", __builtin_ctzll(bits));
		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}

bool superblock_is_known(const struct superblock *superblock, char *why, size_t why_size)
{
	if (superblock->format != DIRECTORY_FORMAT) {
		snprintf(why, why_size,
		         "the superblock has format %" PRIu32
		         ", this program knows format %d only: a newer one has made the directory, and reads it",
		         superblock->format, DIRECTORY_FORMAT);
		return false;
	}
	uint64_t unknown = superblock->features_needed & ~(uint64_t)FEATURES_NEEDED_KNOWN;
	if (unknown) {
		char bits[160] = "";
		name_bits(unknown, bits, sizeof(bits));
		snprintf(why, why_size,
		         "the superblock needs features that this program does not know: bits %s of 0x%" PRIx64
		         ": a newer one has made the directory, and reads it",
		         bits, superblock->features_needed);
		return false;
	}
	if (superblock->partitions != PARTITIONS) {
		snprintf(why, why_size, "the superblock says %" PRIu32 " partitions, this program has %d",
		         superblock->partitions, PARTITIONS);
		return false;
	}
	return true;
}

/* ---- manifest ----------------------------------------------------------------------- */

enum { LENGTH_AT = 16, BODY_AT = 40, BODY_FIXED = 50, LOG_SIZE = 18, PARTITION_SIZE = 12, RANGE_SIZE = 12 };
static_assert(BODY_AT + BODY_FIXED + LOGS_MAX * LOG_SIZE +
                              PARTITIONS_ALL * (PARTITION_SIZE + RANGES_MAX * RANGE_SIZE) ==
                      MANIFEST_SIZE_MAX,
              "the greatest manifest");
static_assert(MANIFEST_SIZE_MAX <= (int)MANIFEST_COPY_SIZE, "fits");

void manifest_encode(const struct superblock *superblock, const struct manifest *manifest, unsigned copy,
                     uint8_t bytes[MANIFEST_COPY_SIZE])
{
	assert(manifest->n_logs <= LOGS_MAX);
	memset(bytes, 0, MANIFEST_COPY_SIZE);
	uint8_t *at = bytes + CHECKED_FROM;
	put(&at, MANIFEST_FORMAT, 4);
	put(&at, copy, 4);
	put(&at, 0, 8); /* length */
	put_bytes(&at, superblock->id, sizeof(superblock->id));
	put(&at, manifest->version, 8);
	put(&at, manifest->epoch, 8);
	put(&at, manifest->next_log, 4);
	put(&at, manifest->next_era, 4);
	put(&at, manifest->next_image, 8);
	put(&at, manifest->next_generation, 8);
	put(&at, manifest->n_cores, 2);
	put(&at, manifest->n_logs, 4);
	put(&at, PARTITIONS_ALL, 4);
	for (uint32_t i = 0; i < manifest->n_logs; i++) {
		put(&at, manifest->logs[i].id, 4);
		put(&at, manifest->logs[i].era, 4);
		put(&at, manifest->logs[i].core, 2);
		put(&at, manifest->logs[i].durable_lsn, 8);
	}
	for (const struct manifest_partition *p = manifest->partitions; p < manifest->partitions + PARTITIONS_ALL;
	     p++) {
		assert(p->n_ranges <= RANGES_MAX);
		put(&at, p->image, 8);
		put(&at, p->n_ranges, 4);
		for (uint32_t i = 0; i < p->n_ranges; i++) {
			put(&at, p->ranges[i].log, 4);
			put(&at, p->ranges[i].from_lsn, 8);
		}
	}
	uint32_t length = (uint32_t)(at - bytes);
	memcpy(bytes + LENGTH_AT, &length, sizeof(length));
	seal(bytes, MANIFEST_MAGIC, MANIFEST_COPY_SIZE);
}

/* False: a count is out of bounds. */
static bool get_partition(struct source *source, struct manifest_partition *out)
{
	out->image = get(source, 8);
	uint64_t n = get(source, 4);
	if (n > RANGES_MAX)
		return false;
	out->n_ranges = (uint32_t)n;
	for (uint32_t i = 0; i < out->n_ranges; i++) {
		out->ranges[i].log = (uint32_t)get(source, 4);
		out->ranges[i].from_lsn = get(source, 8);
	}
	return true;
}

/* The same: the fields, and what is wrong with how they lie. */
static const char *get_manifest(struct source *source, struct manifest *out)
{
	out->version = get(source, 8);
	out->epoch = get(source, 8);
	out->next_log = (uint32_t)get(source, 4);
	out->next_era = (uint32_t)get(source, 4);
	out->next_image = get(source, 8);
	out->next_generation = get(source, 8);
	out->n_cores = (uint16_t)get(source, 2);
	uint64_t n_logs = get(source, 4);
	if (n_logs > LOGS_MAX)
		return "has too many logs";
	if (get(source, 4) != PARTITIONS_ALL)
		return "has another number of partitions";
	out->n_logs = (uint32_t)n_logs;
	for (uint32_t i = 0; i < out->n_logs; i++) {
		out->logs[i].id = (uint32_t)get(source, 4);
		out->logs[i].era = (uint32_t)get(source, 4);
		out->logs[i].core = (uint16_t)get(source, 2);
		out->logs[i].durable_lsn = get(source, 8);
	}
	for (uint32_t i = 0; i < PARTITIONS_ALL; i++)
		if (!get_partition(source, &out->partitions[i]))
			return "has too many ranges in a partition";
	if (source->short_of || source->at != source->end)
		return "has another length than its parts";
	return manifest_problem(out);
}

static enum copy_state refuse(char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "%s", what);
	return COPY_REFUSED;
}

enum copy_state manifest_decode(const uint8_t bytes[MANIFEST_COPY_SIZE], const struct superblock *superblock,
                                unsigned copy, struct manifest *out, char *why, size_t why_size)
{
	if (!is_sealed(bytes, MANIFEST_MAGIC, MANIFEST_COPY_SIZE))
		return COPY_UNSOUND;
	struct source source = {bytes + CHECKED_FROM, bytes + MANIFEST_COPY_SIZE, false};
	uint32_t format = (uint32_t)get(&source, 4);
	if (format != MANIFEST_FORMAT) {
		snprintf(why, why_size, "has format %" PRIu32 ", this program knows format %d only", format,
		         MANIFEST_FORMAT);
		return COPY_REFUSED;
	}
	if (get(&source, 4) != copy)
		return COPY_UNSOUND; /* a misdirected write */
	uint64_t length = get(&source, 8);
	uint8_t id[sizeof(superblock->id)];
	get_bytes(&source, id, sizeof(id));
	if (length < BODY_AT || length > MANIFEST_COPY_SIZE)
		return refuse(why, why_size, "has an impossible length");
	if (memcmp(id, superblock->id, sizeof(id)) != 0)
		return refuse(why, why_size, "belongs to another data directory");
	source.end = bytes + length;
	struct manifest *found = memory_zalloc(sizeof(*found));
	const char *problem = get_manifest(&source, found);
	if (!problem)
		*out = *found;
	memory_free(found);
	return problem ? refuse(why, why_size, problem) : COPY_SOUND;
}

static const char *logs_problem(const struct manifest *manifest)
{
	for (uint32_t i = 0; i < manifest->n_logs; i++) {
		const struct manifest_log *log = &manifest->logs[i];
		if (log->id >= manifest->next_log)
			return "names a log that it says was never begun";
		if (log->era >= manifest->next_era)
			return "names an era that it says never was";
		if (log->core >= CORES_MAX)
			return "names a core that cannot be";
		if (manifest_find_log(manifest, log->id) != log)
			return "names a log twice";
	}
	return NULL;
}

static const char *partition_problem(const struct manifest *manifest, const struct manifest_partition *partition)
{
	if (partition->image && partition->image >= manifest->next_image)
		return "names an image that it says was never written";
	int64_t last_era = -1;
	for (uint32_t i = 0; i < partition->n_ranges; i++) {
		const struct manifest_log *log = manifest_find_log(manifest, partition->ranges[i].log);
		if (!log)
			return "replays a log that it does not name";
		if (log->era <= last_era)
			return "replays logs of a partition out of order";
		last_era = log->era;
	}
	return NULL;
}

const char *manifest_problem(const struct manifest *manifest)
{
	const char *problem = manifest->n_cores > CORES_MAX ? "has too many cores" : logs_problem(manifest);
	for (uint32_t i = 0; i < PARTITIONS_ALL && !problem; i++)
		problem = partition_problem(manifest, &manifest->partitions[i]);
	return problem;
}
