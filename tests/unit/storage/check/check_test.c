/* What a check says of a directory that is sound, and of one that is not; and what salvage saves of it. */
#include "tests/unit/storage/recovery/house.h"

#include "engine/base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { DISK_BYTES = 1 << 30 };

static void do_write(struct house *house, void *arg) { house_write(house, *(uint32_t *)arg); }
static void do_image(struct house *house, void *arg)
{
	cr_assert_eq(store_image(house->cores[0].core, house->store), 0);
}

/* A directory with images and logs of two eras. */
static struct sim_disk *make_disk(struct model *model)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct house house = {0};
	uint32_t n = 30;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		cr_assert(house_open(&house, disk, model, seed == 1 ? 2 : 3, seed), "%s", house.why);
		cr_assert(house_run(&house, do_write, &n));
		if (seed == 2)
			cr_assert(house_run(&house, do_image, NULL));
		cr_assert(house_run(&house, do_write, &n));
		house_close(&house);
	}
	return disk;
}

struct files {
	char paths[512][64];
	uint64_t sizes[512];
	uint32_t n;
};

static void see_file(void *arg, const char *path, uint64_t size)
{
	struct files *files = arg;
	cr_assert_lt(files->n, 512);
	snprintf(files->paths[files->n], sizeof(files->paths[0]), "%s", path);
	files->sizes[files->n++] = size;
}

static const char *find_file(const struct files *files, const char *part, uint32_t nth)
{
	for (uint32_t i = 0; i < files->n; i++)
		if (strstr(files->paths[i], part) && nth-- == 0)
			return files->paths[i];
	cr_assert(false, "there is no %s", part);
	return NULL;
}

Test(check, finds_nothing_in_what_is_sound)
{
	struct model *model = model_new(1);
	struct sim_disk *disk = make_disk(model);
	struct buf text = {0};
	cr_assert(house_check(disk, "data", 1, &text), "%s", (const char *)text.ptr);
	cr_assert(strstr((const char *)text.ptr, "faults         0\n"));
	text.len = 0;
	cr_assert(house_dump(disk, "data", 1, &text));
	cr_assert(strstr((const char *)text.ptr, " put, slot "));
	cr_assert(strstr((const char *)text.ptr, " commit transaction "));
	buf_fini(&text);
	sim_disk_free(disk);
}

/* Each opens the directory again, or says that it will not. */
static bool opens(struct sim_disk *disk, struct model *model, char *why, size_t why_size)
{
	struct house house = {0};
	bool opened = house_open(&house, disk, model, 2, 9);
	snprintf(why, why_size, "%s", house.why);
	if (opened)
		house_close(&house);
	return opened;
}

static void expect_refusal(struct sim_disk *disk, struct model *model, const char *what)
{
	char why[1024];
	struct buf text = {0};
	cr_assert_not(house_check(disk, "data", 1, &text), "%s", what);
	cr_assert(strstr((const char *)text.ptr, "FAULT: "), "%s", what);
	cr_assert_not(opens(disk, model, why, sizeof(why)), "%s: was opened", what);
	cr_assert(strstr(why, "--salvage"), "%s: %s", what, why);
	buf_fini(&text);
	sim_disk_free(disk);
}

static void flip(struct sim_disk *disk, const char *path, uint64_t byte)
{
	sim_disk_flip_bit(disk, path, byte * 8 + 3);
}

Test(check, tells_and_refuses_what_is_damaged)
{
	struct model *model = model_new(1);
	struct sim_disk *disk = make_disk(model), *hurt;
	struct files files = {0};
	sim_disk_each(disk, see_file, &files);
	const char *image = find_file(&files, "data/image/", 5);

	hurt = sim_disk_copy(disk);
	flip(hurt, image, 4096 + 20);
	expect_refusal(hurt, model, "a bit of an image's block");

	hurt = sim_disk_copy(disk);
	flip(hurt, image, 12);
	expect_refusal(hurt, model, "a bit of an image's head");

	hurt = sim_disk_copy(disk);
	sim_disk_cut(hurt, image, 4096);
	expect_refusal(hurt, model, "an image that was cut");

	hurt = sim_disk_copy(disk);
	sim_disk_remove(hurt, image);
	expect_refusal(hurt, model, "an image that is gone");
	sim_disk_free(disk);
}

/* A bit of a segment matters if the segment is needed, and the bit used. */
Test(check, tells_every_log_that_is_gone)
{
	struct model *model = model_new(1);
	struct sim_disk *disk = make_disk(model);
	struct files files = {0};
	uint32_t told = 0;
	sim_disk_each(disk, see_file, &files);
	for (uint32_t i = 0; i < files.n; i++) {
		if (!strstr(files.paths[i], "data/log/"))
			continue;
		struct sim_disk *hurt = sim_disk_copy(disk);
		struct buf text = {0};
		char why[1024];
		sim_disk_remove(hurt, files.paths[i]);
		bool sound = house_check(hurt, "data", 1, &text), opened = opens(hurt, model, why, sizeof(why));
		/* The last of a log may be gone and nobody knows, unless an image says that it went on. */
		cr_assert_eq(sound, opened, "%s: check says %s, the store says %s", files.paths[i],
		             (const char *)text.ptr, why);
		told += !sound;
		buf_fini(&text);
		sim_disk_free(hurt);
	}
	cr_assert_gt(told, 2);
	sim_disk_free(disk);
}

Test(check, saves_what_is_left)
{
	struct model *model = model_new(1);
	struct sim_disk *disk = make_disk(model);
	struct files files = {0};
	struct buf text = {0};
	char why[1024];
	sim_disk_each(disk, see_file, &files);
	/* Nothing is damaged: all is saved. */
	cr_assert(house_salvage(disk, "data", "saved", 1, &text), "%s", (const char *)text.ptr);
	text.len = 0;
	cr_assert(house_check(disk, "saved", 1, &text), "%s", (const char *)text.ptr);
	struct house house = {.options.directory = "saved"};
	cr_assert(house_open(&house, disk, model, 2, 9), "%s", house.why);
	house_verify(&house);
	house_close(&house);

	/* An image is lost: its partition's keys are, at most; the rest opens. */
	const char *image = find_file(&files, "data/image/", 7);
	flip(disk, image, 4096 + 100);
	text.len = 0;
	cr_assert(house_salvage(disk, "data", "left", 1, &text), "%s", (const char *)text.ptr);
	cr_assert(strstr((const char *)text.ptr, "FAULT: "));
	text.len = 0;
	cr_assert(house_check(disk, "left", 1, &text), "%s", (const char *)text.ptr);
	cr_assert_not(opens(disk, model, why, sizeof(why)));
	buf_fini(&text);
	sim_disk_free(disk);
}
