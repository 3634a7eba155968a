/* Superblock and manifests: what is written, what is refused, what a crash leaves. */
#include "engine/io/sim_disk.h"
#include "kernels/checksum/crc32c.h"
#include "storage/disk/directory.h"
#include "storage/disk/format.h"
#include "tests/unit/storage/disk/fibers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WHY = 300, DISK_BYTES = 64 * 1024 * 1024 };

static const struct superblock superblock = {.format = DIRECTORY_FORMAT,
                                             .features_optional = 1u << 5,
                                             .id = "sixteen bytes id",
                                             .hash_seed = 0x1122334455667788,
                                             .partitions = PARTITIONS,
                                             .made_us = 1700000000000000};

static const struct sim_faults world_faults = {.clock_ns = 100, .chunks = 2};

/* One power-on time of a world on this disk. */
static bool on_disk(struct sim_disk *disk, uint64_t seed, void (*tell)(struct core *, void *), void *arg)
{
	struct sim *sim = sim_new(seed, &world_faults);
	sim_use_disk(sim, disk);
	bool ended = tell_in_world(sim, tell, arg);
	if (ended)
		sim_free(sim);
	return ended;
}

static void make_manifest(struct manifest *m, uint32_t n_logs, uint64_t salt)
{
	memset(m, 0, sizeof(*m));
	m->epoch = salt;
	m->next_log = 1000 + n_logs;
	m->next_era = n_logs / 4 + 1;
	m->next_image = 500;
	m->next_generation = 77;
	m->n_cores = 4;
	m->n_logs = n_logs;
	for (uint32_t i = 0; i < n_logs; i++)
		m->logs[i] = (struct manifest_log){
		        .id = 1000 + i, .era = i / 4, .core = (uint16_t)(i % 4), .durable_lsn = 7ull * i << 30};
	for (uint32_t p = 0; p < PARTITIONS_ALL; p++) {
		struct manifest_partition *partition = &m->partitions[p];
		partition->image = (p * 7 + salt) % 500;
		uint32_t eras = n_logs / 4, n = eras < p % (RANGES_MAX + 1) ? eras : p % (RANGES_MAX + 1);
		for (uint32_t i = 0; i < n; i++)
			partition->ranges[partition->n_ranges++] = (struct manifest_range){
			        .log = 1000 + (eras - n + i) * 4 + p % 4, .from_lsn = p * 100 + i + salt};
	}
}

static bool same_manifest(const struct manifest *a, const struct manifest *b)
{
	bool same = a->version == b->version && a->epoch == b->epoch && a->next_log == b->next_log &&
	            a->next_era == b->next_era && a->next_image == b->next_image &&
	            a->next_generation == b->next_generation && a->n_cores == b->n_cores && a->n_logs == b->n_logs;
	for (uint32_t i = 0; i < a->n_logs && same; i++)
		same = a->logs[i].id == b->logs[i].id && a->logs[i].era == b->logs[i].era &&
		       a->logs[i].core == b->logs[i].core && a->logs[i].durable_lsn == b->logs[i].durable_lsn;
	for (uint32_t p = 0; p < PARTITIONS_ALL && same; p++) {
		const struct manifest_partition *x = &a->partitions[p], *y = &b->partitions[p];
		same = x->image == y->image && x->n_ranges == y->n_ranges;
		for (uint32_t i = 0; i < x->n_ranges && same; i++)
			same = x->ranges[i].log == y->ranges[i].log && x->ranges[i].from_lsn == y->ranges[i].from_lsn;
	}
	return same;
}

static bool same_superblock(const struct superblock *a, const struct superblock *b)
{
	uint8_t x[SUPERBLOCK_COPY_SIZE], y[SUPERBLOCK_COPY_SIZE];
	superblock_encode(a, 0, x);
	superblock_encode(b, 0, y);
	return memcmp(x, y, sizeof(x)) == 0;
}

/* ---- bytes ------------------------------------------------------------------------------ */

Test(disk, superblock_lies_as_the_readme_says)
{
	uint8_t block[SUPERBLOCK_COPY_SIZE];
	struct superblock with = superblock, found;
	with.features_needed = 0x8877665544332211;
	superblock_encode(&with, 2, block);
	cr_assert_eq(memcmp(block, "ORSB", 4), 0);
	cr_assert_eq(memcmp(block + 8, "\1\0\0\0\2\0\0\0", 8), 0);
	cr_assert_eq(memcmp(block + 16, "\x11\x22\x33\x44\x55\x66\x77\x88\x20\0\0\0\0\0\0\0", 16), 0);
	cr_assert_eq(memcmp(block + 32, "sixteen bytes id", 16), 0);
	cr_assert_eq(memcmp(block + 48, "\x88\x77\x66\x55\x44\x33\x22\x11\x40\0\0\0\0\0\0\0", 16), 0);
	cr_assert(superblock_decode(block, 2, &found));
	cr_assert(same_superblock(&with, &found));
	cr_assert_not(superblock_decode(block, 1, &found));
	for (size_t bit = 0; bit < 8 * SUPERBLOCK_COPY_SIZE; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_not(superblock_decode(block, 2, &found));
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

Test(disk, manifest_comes_back_and_no_flipped_bit_passes)
{
	static struct manifest made, found;
	static uint8_t bytes[MANIFEST_COPY_SIZE];
	char why[WHY];
	for (uint32_t n_logs = 0; n_logs <= LOGS_MAX; n_logs += 32) {
		make_manifest(&made, n_logs, n_logs);
		made.version = 12345678901 + n_logs;
		manifest_encode(&superblock, &made, 1, bytes);
		cr_assert_eq(manifest_decode(bytes, &superblock, 1, &found, why, WHY), COPY_SOUND, "%s", why);
		cr_assert(same_manifest(&made, &found));
		cr_assert_eq(manifest_decode(bytes, &superblock, 0, &found, why, WHY), COPY_UNSOUND);
	}
	cr_assert_eq(memcmp(bytes, "ORMN", 4), 0);
	for (size_t bit = 0; bit < 8 * MANIFEST_COPY_SIZE; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(manifest_decode(bytes, &superblock, 1, &found, why, WHY), COPY_UNSOUND);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	struct superblock other = superblock;
	other.id[3]++;
	cr_assert_eq(manifest_decode(bytes, &other, 1, &found, why, WHY), COPY_REFUSED);
	cr_assert(strstr(why, "another data directory"));
}

/* Whatever is changed, what is taken for sound is something that could be stored. */
Test(disk, manifest_with_hostile_fields_is_refused)
{
	static struct manifest made, found;
	static uint8_t bytes[MANIFEST_COPY_SIZE];
	struct chance chance = {9};
	char why[WHY];
	uint32_t refused = 0;
	for (int times = 0; times < 20000; times++) {
		make_manifest(&made, 24, 3);
		manifest_encode(&superblock, &made, 0, bytes);
		for (uint64_t n = 1 + draw_below(&chance, 3); n; n--)
			bytes[8 + draw_below(&chance, 1500)] = (uint8_t)draw(&chance);
		uint32_t crc = crc32c(0, bytes + 8, MANIFEST_COPY_SIZE - 8);
		memcpy(bytes + 4, &crc, sizeof(crc));
		why[0] = 0;
		enum copy_state state = manifest_decode(bytes, &superblock, 0, &found, why, WHY);
		refused += state == COPY_REFUSED;
		cr_assert_eq(state == COPY_REFUSED, why[0] != 0);
		if (state == COPY_SOUND)
			cr_assert_null(manifest_problem(&found));
	}
	cr_assert_gt(refused, 1000);
}

/* ---- what a manifest is asked ------------------------------------------------------------- */

Test(disk, manifest_drops_logs_by_eras)
{
	static struct manifest m;
	memset(&m, 0, sizeof(m));
	m.next_log = 10;
	m.next_era = 4;
	m.n_logs = 6;
	for (uint32_t i = 0; i < 6; i++)
		m.logs[i] = (struct manifest_log){.id = i + 1, .era = i / 2, .core = (uint16_t)(i % 2)};
	m.partitions[3] = (struct manifest_partition){.n_ranges = 2, .ranges = {{1, 50}, {4, 60}}};
	m.partitions[PARTITION_SYSTEM] = (struct manifest_partition){.n_ranges = 1, .ranges = {{4, 40}}};
	cr_assert_null(manifest_problem(&m));
	cr_assert_eq(manifest_needs_from(&m, 1), 50);
	cr_assert_eq(manifest_needs_from(&m, 4), 40);
	cr_assert_eq(manifest_needs_from(&m, 2), UINT64_MAX);
	cr_assert_eq(manifest_find_log(&m, 4)->era, 1);
	cr_assert_null(manifest_find_log(&m, 9));
	/* Log 2 stays beside log 1; of era 2 nothing is needed. */
	cr_assert_eq(manifest_drop_logs(&m), 2);
	cr_assert_eq(m.n_logs, 4);
	cr_assert_not_null(manifest_find_log(&m, 2));
	cr_assert_null(manifest_find_log(&m, 5));
	m.partitions[3] = (struct manifest_partition){.n_ranges = 1, .ranges = {{4, 60}}};
	cr_assert_eq(manifest_drop_logs(&m), 2);
	cr_assert_null(manifest_find_log(&m, 1));
	/* Nobody needs it, but it is the one that is being written. */
	m.next_era = 2;
	m.partitions[3].n_ranges = m.partitions[PARTITION_SYSTEM].n_ranges = 0;
	cr_assert_eq(manifest_drop_logs(&m), 0);
	cr_assert_eq(m.n_logs, 2);
}

Test(disk, manifest_problems_are_named)
{
	static struct manifest m;
	make_manifest(&m, 24, 1);
	cr_assert_null(manifest_problem(&m));
	m.logs[3].id = m.logs[4].id;
	cr_assert(strstr(manifest_problem(&m), "twice"));
	make_manifest(&m, 24, 1);
	m.partitions[8].image = 500;
	cr_assert(strstr(manifest_problem(&m), "image"));
	make_manifest(&m, 24, 1);
	m.partitions[8].ranges[0].log = 3;
	cr_assert(strstr(manifest_problem(&m), "does not name"));
	make_manifest(&m, 24, 1);
	m.partitions[8].ranges[1] = m.partitions[8].ranges[0];
	cr_assert(strstr(manifest_problem(&m), "out of order"));
	make_manifest(&m, 24, 1);
	m.logs[0].era = m.next_era;
	cr_assert(strstr(manifest_problem(&m), "era"));
}

/* ---- loading ------------------------------------------------------------------------------ */

struct loaded {
	int superblock_result, manifest_result; /* 1: not asked */
	struct superblock superblock;
	struct manifest manifest;
	char why[WHY];
};

static void tell_load(struct core *core, void *arg)
{
	struct loaded *l = arg;
	l->why[0] = 0;
	l->manifest_result = 1;
	l->superblock_result = superblock_load(core, "data", &l->superblock, l->why, WHY);
	if (l->superblock_result == 0)
		l->manifest_result = manifest_load(core, "data", &l->superblock, &l->manifest, l->why, WHY);
	bool has_why = l->why[0] != 0;
	cr_assert_eq(has_why, l->superblock_result == -EBADMSG || l->manifest_result == -EBADMSG);
}

static struct loaded *load(struct sim_disk *disk)
{
	static struct loaded loaded;
	cr_assert(on_disk(disk, 1, tell_load, &loaded));
	return &loaded;
}

static void tell_create(struct core *core, void *arg) { cr_assert_eq(superblock_create(core, "data", &superblock), 0); }

static void tell_store(struct core *core, void *arg)
{
	cr_assert_eq(manifest_store(core, "data", &superblock, arg), 0);
}

static struct sim_disk *made_disk(uint32_t manifests, struct manifest *last)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	cr_assert(on_disk(disk, 1, tell_create, NULL));
	make_manifest(last, 24, 0);
	for (uint32_t i = 0; i < manifests; i++) {
		last->epoch++;
		cr_assert(on_disk(disk, 1, tell_store, last));
		cr_assert_eq(last->version, i + 1);
	}
	return disk;
}

static struct manifest last;

Test(disk, is_loaded_as_it_was_made)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	cr_assert_eq(load(disk)->superblock_result, -ENOENT);
	cr_assert(on_disk(disk, 1, tell_create, NULL));
	sim_disk_crash(disk, 3);
	cr_assert_eq(load(disk)->superblock_result, 0);
	cr_assert(same_superblock(&load(disk)->superblock, &superblock));
	cr_assert_eq(load(disk)->manifest_result, -ENOENT);
	make_manifest(&last, LOGS_MAX, 0);
	for (int i = 0; i < 5; i++) {
		last.epoch++;
		cr_assert(on_disk(disk, 1, tell_store, &last));
		sim_disk_crash(disk, (uint64_t)i);
		cr_assert_eq(load(disk)->manifest_result, 0);
		cr_assert(same_manifest(&load(disk)->manifest, &last));
	}
	sim_disk_free(disk);
}

static void write_superblock(struct sim_disk *disk, const struct superblock *with, unsigned copy)
{
	uint8_t block[SUPERBLOCK_COPY_SIZE];
	superblock_encode(with, copy, block);
	sim_disk_write(disk, "data/superblock", copy * sizeof(block), slice_of(block, sizeof(block)));
}

static void expect_refused(struct sim_disk *disk, const char *says)
{
	struct loaded *l = load(disk);
	cr_assert(l->superblock_result == -EBADMSG || l->manifest_result == -EBADMSG);
	cr_assert(strstr(l->why, says), "%s", l->why);
}

Test(disk, of_another_program_is_refused_by_name)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct superblock with = superblock;
	with.format = 9;
	write_superblock(disk, &with, 3);
	expect_refused(disk, "format 9");
	with.format = DIRECTORY_FORMAT;
	with.features_needed = 1u << 3 | (uint64_t)1 << 40;
	write_superblock(disk, &with, 3);
	expect_refused(disk, "bits 3, 40");
	with = superblock;
	with.partitions = 32;
	write_superblock(disk, &with, 3);
	expect_refused(disk, "32 partitions");
	write_superblock(disk, &superblock, 3);
	cr_assert_eq(load(disk)->superblock_result, 0);
	with = superblock;
	with.hash_seed++;
	write_superblock(disk, &with, 1);
	expect_refused(disk, "differ");
	sim_disk_free(disk);
}

Test(disk, half_made_is_fresh_and_ruins_are_not)
{
	static const char *const data[] = {"data/log/0000000000000001", "data/image/00-0000000000000001",
	                                   "data/manifest.0", "data/manifest.1"};
	for (size_t i = 0; i < array_len(data); i++) {
		struct sim_disk *disk = sim_disk_new(DISK_BYTES);
		uint8_t block[SUPERBLOCK_COPY_SIZE];
		superblock_encode(&superblock, 0, block);
		sim_disk_write(disk, "data/superblock.new", 0, slice_of(block, sizeof(block)));
		sim_disk_write(disk, "data/superblock", 0, slice_of(block, 40));
		sim_disk_write(disk, "data/orbit.log", 0, S("a stranger's"));
		cr_assert_eq(load(disk)->superblock_result, -ENOENT, "%s", load(disk)->why);
		sim_disk_write(disk, data[i], 0, S("x"));
		expect_refused(disk, data[i][5] == 'l' ? "data/log" : data[i][5] == 'i' ? "data/image" : data[i]);
		sim_disk_remove(disk, data[i]);
		cr_assert_eq(load(disk)->superblock_result, -ENOENT);
		cr_assert(on_disk(disk, 1, tell_create, NULL));
		cr_assert_eq(load(disk)->superblock_result, 0);
		sim_disk_free(disk);
	}
}

/* ---- damage --------------------------------------------------------------------------------- */

/* A sector that was lost, a bit, some bytes, or all. */
static void damage(struct sim_disk *disk, const char *path, uint64_t at, size_t size, struct chance *chance)
{
	uint8_t bytes[MANIFEST_COPY_SIZE];
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)draw(chance);
	switch (draw_below(chance, 4)) {
	case 0:
		sim_disk_flip_bit(disk, path, 8 * at + draw_below(chance, 8 * size));
		return;
	case 1:
		memset(bytes, 0, size);
		break;
	case 2:
		at += draw_below(chance, size - 64);
		size = 64;
		break;
	}
	sim_disk_write(disk, path, at, slice_of(bytes, size));
}

Test(disk, superblock_needs_one_copy)
{
	struct chance chance = {11};
	struct sim_disk *whole = made_disk(2, &last);
	for (int times = 0; times < 300; times++) {
		struct sim_disk *disk = sim_disk_copy(whole);
		uint64_t broken = draw_below(&chance, 1u << SUPERBLOCK_COPIES);
		for (unsigned copy = 0; copy < SUPERBLOCK_COPIES; copy++)
			if (broken >> copy & 1)
				damage(disk, "data/superblock", copy * SUPERBLOCK_COPY_SIZE, SUPERBLOCK_COPY_SIZE,
				       &chance);
		struct loaded *l = load(disk);
		cr_assert_eq(l->superblock_result, broken == 15 ? -EBADMSG : 0);
		cr_assert(broken == 15 || same_superblock(&l->superblock, &superblock));
		sim_disk_free(disk);
	}
	sim_disk_free(whole);
}

/* The newest or nothing: never an older one, whose logs and images may be gone. */
Test(disk, damaged_manifest_is_the_newest_or_none)
{
	struct chance chance = {12};
	uint32_t loaded = 0, refused = 0;
	for (uint32_t manifests = 1; manifests < 8; manifests++) {
		struct sim_disk *whole = made_disk(manifests, &last);
		for (int times = 0; times < 100; times++) {
			struct sim_disk *disk = sim_disk_copy(whole);
			uint64_t broken = draw_below(&chance, 16);
			for (unsigned copy = 0; copy < 4; copy++) {
				char path[40];
				snprintf(path, sizeof(path), "data/manifest.%u", copy / 2);
				if (broken >> copy & 1 && sim_disk_size(disk, path) > 0)
					damage(disk, path, copy % 2 * MANIFEST_COPY_STRIDE, MANIFEST_COPY_SIZE,
					       &chance);
			}
			struct loaded *l = load(disk);
			bool newest_is_gone = (broken >> last.version % 2 * 2 & 3) == 3;
			bool other_is_gone = manifests > 1 && (broken >> (1 - last.version % 2) * 2 & 3) == 3;
			if (l->manifest_result == 0) {
				cr_assert_not(newest_is_gone);
				cr_assert(same_manifest(&l->manifest, &last));
			} else {
				cr_assert(newest_is_gone || other_is_gone);
			}
			loaded += l->manifest_result == 0;
			refused += l->manifest_result == -EBADMSG;
			sim_disk_free(disk);
		}
		sim_disk_free(whole);
	}
	cr_assert_gt(loaded, 200);
	cr_assert_gt(refused, 200);
}

static void tell_count(struct core *core, void *arg) { cr_assert_eq(directory_copies(core, "data", arg), 0); }

Test(disk, copies_are_counted)
{
	struct directory_copies copies;
	struct sim_disk *disk = made_disk(5, &last);
	cr_assert(on_disk(disk, 1, tell_count, &copies));
	cr_assert_eq(copies.superblock, 4);
	cr_assert_eq(copies.superblock_all, 4);
	cr_assert_eq(copies.manifest[0], 2);
	cr_assert_eq(copies.manifest[1], 2);
	cr_assert_eq(copies.manifest_all, 2);
	cr_assert_eq(copies.manifest_version[0], 4);
	cr_assert_eq(copies.manifest_version[1], 5);
	sim_disk_flip_bit(disk, "data/superblock", 8 * 5000);
	sim_disk_flip_bit(disk, "data/manifest.1", 8 * (MANIFEST_COPY_STRIDE + 50));
	sim_disk_remove(disk, "data/manifest.0");
	cr_assert(on_disk(disk, 1, tell_count, &copies));
	cr_assert_eq(copies.superblock, 3);
	cr_assert_eq(copies.manifest[0], 0);
	cr_assert_eq(copies.manifest[1], 1);
	expect_refused(disk, "manifest.0 is gone");
	sim_disk_free(disk);
}

/* ---- crashes -------------------------------------------------------------------------------- */

/* What the living told before they died; shared with the process that outlives them. */
struct testament {
	bool made;              /* superblock_create() returned */
	uint32_t n_done;        /* manifests stored, or begun to be: */
	struct manifest begun;  /* the one that was being stored, or was the last */
	bool is_done;           /* it was stored */
	struct manifest before; /* the one that was stored before it; version 0: none */
	uint64_t seed;
	uint32_t stores;
};

/* As a server does: load, make what is missing, store some manifests. */
static void tell_life(struct core *core, void *arg)
{
	struct testament *t = arg;
	char why[WHY] = "";
	struct superblock found;
	int result = superblock_load(core, "data", &found, why, WHY);
	if (result == -ENOENT && !t->made)
		result = superblock_create(core, "data", &superblock);
	if (result < 0)
		return;
	t->made = true;
	static struct manifest m;
	result = manifest_load(core, "data", &superblock, &m, why, WHY);
	if (result == -ENOENT)
		make_manifest(&m, 24, 0);
	for (uint32_t i = 0; i < t->stores; i++) {
		m.epoch += 1 + t->seed % 5;
		t->is_done = false;
		t->begun = m;
		t->begun.version++;
		t->n_done++;
		result = manifest_store(core, "data", &superblock, &m);
		if (result < 0)
			return;
		t->before = t->begun;
		t->is_done = true;
	}
}

/* What is found must be what was last acknowledged, or what was begun after it. */
static void expect_old_or_new(const struct testament *t, const struct loaded *l)
{
	if (l->superblock_result == -ENOENT) {
		cr_assert_not(t->made);
		return;
	}
	cr_assert_eq(l->superblock_result, 0, "%s", l->why);
	cr_assert(same_superblock(&l->superblock, &superblock));
	if (l->manifest_result == -ENOENT) {
		cr_assert_eq(t->before.version, 0);
		return;
	}
	cr_assert_eq(l->manifest_result, 0, "%s", l->why);
	bool is_old = t->before.version > 0 && same_manifest(&l->manifest, &t->before);
	bool is_new = t->n_done > 0 && same_manifest(&l->manifest, &t->begun);
	cr_assert(is_old || is_new, "version %lu, %lu was stored, %lu begun", (unsigned long)l->manifest.version,
	          (unsigned long)t->before.version, (unsigned long)t->begun.version);
}

/* In a process of its own, which dies where the power fails. */
static void live(struct sim_disk *disk, struct testament *t)
{
	pid_t child = fork();
	if (child == 0) {
		(void)on_disk(disk, t->seed, tell_life, t);
		_exit(0);
	}
	int status;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

/* After the crash what was found is what is known. */
static void settle(struct testament *t, const struct loaded *l)
{
	t->made = l->superblock_result == 0;
	t->n_done = 0;
	t->before.version = 0;
	if (l->manifest_result == 0)
		t->before = l->manifest;
}

static uint64_t lives(struct testament *t, uint64_t seed, uint32_t n, const struct sim_disk_faults *faults)
{
	struct chance chance = {seed};
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	sim_disk_set_faults(disk, faults);
	memset(t, 0, sizeof(*t));
	for (uint32_t life = 0; life < n; life++) {
		t->seed = draw(&chance);
		t->stores = (uint32_t)draw_below(&chance, 4);
		sim_disk_crash_after(disk, 1 + draw_below(&chance, life % 3 ? 60 : 15));
		live(disk, t);
		sim_disk_crash(disk, draw(&chance));
		sim_disk_crash_after(disk, 0);
		struct loaded *l = load(disk);
		expect_old_or_new(t, l);
		settle(t, l);
	}
	uint64_t torn = sim_disk_counts(disk)->sectors_torn + sim_disk_counts(disk)->changes_undone;
	sim_disk_free(disk);
	return torn;
}

static struct testament *testament_new(void)
{
	void *shared = mmap(NULL, sizeof(struct testament), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(shared, MAP_FAILED);
	return shared;
}

Test(disk, after_any_crash_is_the_old_or_the_new, .timeout = 120)
{
	struct testament *t = testament_new();
	const struct sim_disk_faults faults = {.delay_ns = 1000};
	uint64_t torn = 0;
	for (uint64_t seed = 0; seed < 60; seed++)
		torn += lives(t, seed, 12, &faults);
	cr_assert_gt(torn, 30);
}

/* Every moment of the creation and of the first manifests. */
Test(disk, survives_a_crash_at_each_event_of_its_making, .timeout = 120)
{
	struct testament *t = testament_new();
	for (uint64_t n = 1, crashed = 1; crashed; n++)
		for (uint64_t random = 0; random < 6; random++) {
			struct sim_disk *disk = sim_disk_new(DISK_BYTES);
			memset(t, 0, sizeof(*t));
			t->stores = 4;
			t->seed = n;
			sim_disk_crash_after(disk, n);
			live(disk, t);
			crashed = sim_disk_has_crashed(disk);
			sim_disk_crash(disk, n * 100 + random);
			sim_disk_crash_after(disk, 0);
			struct loaded *l = load(disk);
			expect_old_or_new(t, l);
			settle(t, l);
			/* And life goes on. */
			live(disk, t);
			l = load(disk);
			cr_assert_eq(l->manifest_result, 0);
			cr_assert(same_manifest(&l->manifest, &t->begun));
			sim_disk_free(disk);
		}
}

/* Stores that fail in the midst leave the old or the new too, and the next attempt spoils neither. */
struct failing {
	struct sim_disk *disk;
	uint64_t seed;
	uint32_t fails;
};

static void tell_failing(struct core *core, void *arg)
{
	struct failing *f = arg;
	static struct manifest m, stored, found;
	char why[WHY];
	make_manifest(&m, 24, 0);
	cr_assert_eq(superblock_create(core, "data", &superblock), 0);
	for (uint32_t i = 0; i < 40; i++) {
		const struct sim_disk_faults faults = {.write_fails = 200, .sync_fails = 200, .name_fails = 200};
		m.epoch++;
		sim_disk_set_faults(f->disk, i < 3 ? &(struct sim_disk_faults){0} : &faults);
		int result = manifest_store(core, "data", &superblock, &m);
		sim_disk_set_faults(f->disk, &(struct sim_disk_faults){0});
		f->fails += result < 0;
		if (result == 0)
			stored = m;
		cr_assert_eq(manifest_load(core, "data", &superblock, &found, why, WHY), 0, "%s", why);
		/* Or one that was said to have failed since. */
		cr_assert(same_manifest(&found, &stored) ||
		          (found.version > stored.version && found.epoch > stored.epoch && found.epoch <= m.epoch));
	}
}

Test(disk, that_fails_keeps_what_it_had)
{
	uint32_t fails = 0;
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct failing f = {.disk = sim_disk_new(DISK_BYTES), .seed = seed};
		cr_assert(on_disk(f.disk, seed, tell_failing, &f));
		sim_disk_free(f.disk);
		fails += f.fails;
	}
	cr_assert_gt(fails, 100);
}

/* ---- the real back ends ------------------------------------------------------------------------ */

static void tell_real(struct core *core, void *arg)
{
	static struct loaded l;
	static struct manifest m;
	tell_load(core, &l);
	cr_assert_eq(l.superblock_result, -ENOENT);
	cr_assert_eq(superblock_create(core, "data", &superblock), 0);
	make_manifest(&m, 40, 0);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(manifest_store(core, "data", &superblock, &m), 0);
		tell_load(core, &l);
		cr_assert_eq(l.superblock_result, 0);
		cr_assert(same_manifest(&l.manifest, &m));
		m.epoch++;
	}
}

static void on_back_end(enum io_choice choice)
{
	static const char *const files[] = {"data/superblock", "data/manifest.0", "data/manifest.1"};
	char folder[64];
	snprintf(folder, sizeof(folder), "disk_test.%d", getpid());
	cr_assert_eq(mkdir(folder, 0700), 0);
	cr_assert_eq(chdir(folder), 0);
	tell_for_real(choice, tell_real, NULL);
	for (size_t i = 0; i < array_len(files); i++)
		cr_assert_eq(unlink(files[i]), 0);
	cr_assert_eq(rmdir("data/log") | rmdir("data/image") | rmdir("data/tier") | rmdir("data"), 0);
	cr_assert_eq(chdir(".."), 0);
	cr_assert_eq(rmdir(folder), 0);
}

Test(disk, is_the_same_on_the_ring) { on_back_end(IO_URING); }
Test(disk, is_the_same_on_the_pool) { on_back_end(IO_EPOLL); }
