/* Sectors: what is durable, what is cached over it, and what a crash makes of the two. */
#include "engine/io/sim_disk_private.h"

static struct sector *sectors_of(const struct sim_disk *disk, const struct disk_file *file)
{
	return heap_at(disk, file->sectors.items);
}

static struct sector *sector_take(struct sim_disk *disk, struct disk_file *file, uint64_t i)
{
	assert(i < FILE_LENGTH_MAX / SIM_SECTOR_SIZE);
	while (file->sectors.n <= i)
		(void)array_add(disk, &file->sectors, sizeof(struct sector));
	return &sectors_of(disk, file)[i];
}

static uint32_t seen(const struct sector *sector) { return sector->cached ? sector->cached : sector->base; }
static bool is_used(const struct sector *sector) { return sector->base || sector->cached; }

/* What is cached becomes durable. */
static void settle(struct sim_disk *disk, struct sector *sector)
{
	if (!sector->cached)
		return;
	heap_give(disk, sector->base, SIM_SECTOR_SIZE);
	sector->base = sector->cached;
	sector->cached = 0;
	sector->dirty = 0;
}

/* What is cached is forgotten. */
static void drop(struct sim_disk *disk, struct disk_file *file, struct sector *sector)
{
	if (!sector->cached)
		return;
	heap_give(disk, sector->cached, SIM_SECTOR_SIZE);
	sector->cached = 0;
	sector->dirty = 0;
	file->sectors_used -= !sector->base;
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* At any time, and certainly while a sync is under way, what is cached may be written: so a crash may
 * leave the second last content, and a sync has what was there when it was staged. */
static void write_back(struct sim_disk *disk, const struct disk_file *file, struct sector *sector)
{
	if (sector->dirty && (file->syncs_in_flight > 0 || disk_chance(disk, 250)))
		settle(disk, sector);
}

static void land_in_sector(struct sim_disk *disk, struct disk_file *file, uint64_t at, struct slice bytes,
                           enum landing how)
{
	struct sector *sector = sector_take(disk, file, at / SIM_SECTOR_SIZE);
	write_back(disk, file, sector);
	file->sectors_used += !is_used(sector);
	uint32_t content = heap_take(disk, SIM_SECTOR_SIZE);
	if (seen(sector))
		memcpy(heap_at(disk, content), heap_at(disk, seen(sector)), SIM_SECTOR_SIZE);
	memcpy((uint8_t *)heap_at(disk, content) + at % SIM_SECTOR_SIZE, bytes.ptr, bytes.len);
	heap_give(disk, sector->cached, SIM_SECTOR_SIZE);
	sector->cached = content;
	sector->dirty = how == LANDS_CACHED ? disk->clock : 0;
	if (how == LANDS_DURABLE)
		settle(disk, sector);
}

static size_t until_next_sector(uint64_t at, size_t size)
{
	size_t left = SIM_SECTOR_SIZE - at % SIM_SECTOR_SIZE;
	return left < size ? left : size;
}

void data_land(struct sim_disk *disk, struct disk_file *file, uint64_t at, struct slice bytes, enum landing how)
{
	for (size_t done = 0, n; done < bytes.len; done += n) {
		n = until_next_sector(at + done, bytes.len - done);
		land_in_sector(disk, file, at + done, slice_sub(bytes, done, done + n), how);
	}
}

/* Pieces of it. */
static void land_torn(struct sim_disk *disk, struct disk_file *file, uint64_t at, struct slice bytes, enum landing how)
{
	for (size_t done = 0, n; done < bytes.len; done += n) {
		n = SIM_PIECE_SIZE - (at + done) % SIM_PIECE_SIZE;
		n = n < bytes.len - done ? n : bytes.len - done;
		if (disk_chance(disk, 500))
			land_in_sector(disk, file, at + done, slice_sub(bytes, done, done + n), how);
	}
}

/* Of a write that failed: in each sector anything may have become of it. */
void data_land_some(struct sim_disk *disk, struct disk_file *file, uint64_t at, struct slice bytes, bool durable)
{
	enum landing how = durable ? LANDS_DURABLE : LANDS_CACHED;
	for (size_t done = 0, n; done < bytes.len; done += n) {
		n = until_next_sector(at + done, bytes.len - done);
		struct slice part = slice_sub(bytes, done, done + n);
		switch (disk_below(disk, 4)) {
		case 0:
			break;
		case 1:
			land_in_sector(disk, file, at + done, part, how);
			break;
		case 2:
			land_torn(disk, file, at + done, part, how);
			break;
		case 3:
			land_in_sector(disk, file, at + done, part, LANDS_LOST);
			break;
		}
	}
}

void data_extend(struct disk_file *file, uint64_t length, bool durable)
{
	if (length > file->length)
		file->length = length;
	if (durable && length > file->durable_length)
		file->durable_length = length;
}

void data_reserve(struct sim_disk *disk, struct disk_file *file, uint64_t size)
{
	static const uint8_t zeros[SIM_SECTOR_SIZE];
	for (uint64_t i = 0; i * SIM_SECTOR_SIZE < size; i++)
		if (i >= file->sectors.n || !is_used(&sectors_of(disk, file)[i]))
			land_in_sector(disk, file, i * SIM_SECTOR_SIZE, slice_of(zeros, sizeof(zeros)), LANDS_CACHED);
	data_extend(file, size, false);
}

uint64_t data_fits(const struct sim_disk *disk, const struct disk_file *file, uint64_t at, uint64_t size,
                   uint64_t sectors)
{
	const struct sector *table = sectors_of(disk, file);
	for (size_t done = 0, n; done < size; done += n) {
		uint64_t i = (at + done) / SIM_SECTOR_SIZE;
		n = until_next_sector(at + done, size - done);
		if (i < file->sectors.n && is_used(&table[i]))
			continue;
		if (sectors-- == 0)
			return done;
	}
	return size;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static void read_sector(const struct sim_disk *disk, const struct disk_file *file, uint64_t at, uint8_t *to, size_t n)
{
	uint64_t i = at / SIM_SECTOR_SIZE;
	uint32_t content = i < file->sectors.n ? seen(&sectors_of(disk, file)[i]) : 0;
	if (content)
		memcpy(to, (uint8_t *)heap_at(disk, content) + at % SIM_SECTOR_SIZE, n);
	else
		memset(to, 0, n);
}

size_t data_read(const struct sim_disk *disk, const struct disk_file *file, uint64_t at, void *to, size_t size)
{
	if (at >= file->length)
		return 0;
	if (size > file->length - at)
		size = file->length - at;
	for (size_t done = 0, n; done < size; done += n) {
		n = until_next_sector(at + done, size - done);
		read_sector(disk, file, at + done, (uint8_t *)to + done, n);
	}
	return size;
}

/* ---- syncs --------------------------------------------------------------------------------------------- */

void data_sync(struct sim_disk *disk, struct disk_file *file, uint64_t staged, uint64_t length)
{
	struct sector *sectors = sectors_of(disk, file);
	for (uint32_t i = 0; i < file->sectors.n; i++)
		if (sectors[i].dirty && sectors[i].dirty <= staged)
			settle(disk, &sectors[i]);
	if (length > file->durable_length)
		file->durable_length = length;
}

/* As Linux has it: what could not be written counts as clean; it is read until it leaves the cache. */
void data_sync_fails(struct sim_disk *disk, struct disk_file *file, uint64_t length)
{
	struct sector *sectors = sectors_of(disk, file);
	for (uint32_t i = 0; i < file->sectors.n; i++) {
		if (!sectors[i].dirty)
			continue;
		uint64_t fate = disk_below(disk, 3);
		if (fate == 0)
			settle(disk, &sectors[i]);
		else if (fate == 1)
			sectors[i].dirty = 0;
		else
			drop(disk, file, &sectors[i]);
	}
	if (length > file->durable_length && disk_chance(disk, 500))
		file->durable_length = length;
}

/* ---- damage and ends -------------------------------------------------------------------------------------- */

void data_flip(struct sim_disk *disk, struct disk_file *file, uint64_t bit)
{
	uint64_t i = bit / 8 / SIM_SECTOR_SIZE, at = bit / 8 % SIM_SECTOR_SIZE;
	struct sector *sector = sector_take(disk, file, i);
	uint8_t mask = (uint8_t)(1u << bit % 8);
	if (!is_used(sector)) {
		sector->base = heap_take(disk, SIM_SECTOR_SIZE);
		file->sectors_used++;
	}
	if (sector->base)
		((uint8_t *)heap_at(disk, sector->base))[at] ^= mask;
	if (sector->cached)
		((uint8_t *)heap_at(disk, sector->cached))[at] ^= mask;
}

/* What lies behind the end would be read if the file grew again. */
static void clear_behind(struct sim_disk *disk, const struct sector *sector, size_t from)
{
	if (sector->base)
		memset((uint8_t *)heap_at(disk, sector->base) + from, 0, SIM_SECTOR_SIZE - from);
	if (sector->cached)
		memset((uint8_t *)heap_at(disk, sector->cached) + from, 0, SIM_SECTOR_SIZE - from);
}

void data_cut(struct sim_disk *disk, struct disk_file *file, uint64_t size)
{
	struct sector *sectors = sectors_of(disk, file);
	uint32_t n = (uint32_t)((size + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE);
	for (uint32_t i = n; i < file->sectors.n; i++) {
		file->sectors_used -= is_used(&sectors[i]);
		heap_give(disk, sectors[i].base, SIM_SECTOR_SIZE);
		heap_give(disk, sectors[i].cached, SIM_SECTOR_SIZE);
	}
	if (n < file->sectors.n)
		file->sectors.n = n;
	if (size % SIM_SECTOR_SIZE && n == file->sectors.n && n > 0)
		clear_behind(disk, &sectors[n - 1], size % SIM_SECTOR_SIZE);
	file->length = size;
	if (file->durable_length > size)
		file->durable_length = size;
	if (file->sectors.n == 0)
		array_give(disk, &file->sectors, sizeof(struct sector));
}

bool data_is_durable(const struct sim_disk *disk, const struct disk_file *file, uint64_t at, uint64_t size)
{
	if (at + size > file->durable_length)
		return false;
	const struct sector *sectors = sectors_of(disk, file);
	for (uint64_t i = at / SIM_SECTOR_SIZE; i <= (at + size - 1) / SIM_SECTOR_SIZE && i < file->sectors.n; i++)
		if (sectors[i].cached)
			return false;
	return true;
}

/* ---- a crash --------------------------------------------------------------------------------------------------- */

/* A mood for each file: crashes in which everything is kept, or nothing, are as telling as those in
 * which each sector goes its own way, and would hardly ever come by chance. */
enum mood { KEEPS, LOSES, MIXES };

static enum mood draw_mood(struct sim_disk *disk)
{
	uint64_t drawn = disk_below(disk, 4);
	return drawn == 0 ? KEEPS : drawn == 1 ? LOSES : MIXES;
}

static void garble(struct sim_disk *disk, uint8_t *piece)
{
	for (size_t i = 0; i < SIM_PIECE_SIZE; i += sizeof(uint64_t)) {
		uint64_t word = disk_random(disk);
		memcpy(piece + i, &word, sizeof(word));
	}
}

/* A sector is written as a whole: where it tears, even a piece that should not change may be lost. */
static void tear(struct sim_disk *disk, struct sector *sector)
{
	uint8_t *cached = heap_at(disk, sector->cached);
	const uint8_t *base = heap_at(disk, sector->base);
	for (size_t piece = 0; piece < PIECES; piece++) {
		if (disk_chance(disk, 500))
			continue;
		uint8_t *to = cached + piece * SIM_PIECE_SIZE;
		if (sector->base)
			memcpy(to, base + piece * SIM_PIECE_SIZE, SIM_PIECE_SIZE);
		else
			memset(to, 0, SIM_PIECE_SIZE);
	}
	disk->counts.sectors_torn++;
	if (disk_chance(disk, 125)) {
		garble(disk, cached + disk_below(disk, PIECES) * SIM_PIECE_SIZE);
		disk->counts.sectors_garbled++;
	}
	settle(disk, sector);
}

static void crash_sector(struct sim_disk *disk, struct disk_file *file, struct sector *sector, enum mood mood)
{
	if (!sector->cached)
		return;
	uint64_t fate = mood == KEEPS ? 0 : mood == LOSES ? 1 : disk_below(disk, 3);
	if (!sector->dirty || fate == 1) {
		drop(disk, file, sector);
		disk->counts.sectors_lost++;
	} else if (fate == 0) {
		settle(disk, sector);
		disk->counts.sectors_kept++;
	} else {
		tear(disk, sector);
	}
}

static uint64_t crash_length(struct sim_disk *disk, const struct disk_file *file, enum mood mood)
{
	uint64_t more = file->length - file->durable_length;
	uint64_t kept = mood == KEEPS ? more : mood == LOSES ? 0 : disk_below(disk, more + 1);
	if (more > 0 && kept == more)
		disk->counts.lengths_kept++;
	else if (more > 0)
		disk->counts.lengths_lost++;
	return file->durable_length + kept;
}

void data_crash(struct sim_disk *disk, struct disk_file *file)
{
	enum mood mood = draw_mood(disk);
	struct sector *sectors = sectors_of(disk, file);
	for (uint32_t i = 0; i < file->sectors.n; i++)
		crash_sector(disk, file, &sectors[i], mood);
	if (file->durable_length < file->length)
		data_cut(disk, file, crash_length(disk, file, draw_mood(disk)));
	file->durable_length = file->length;
	file->syncs_in_flight = 0;
}
