/* What was acknowledged is there after the next start, whatever the number of cores. */
#include "tests/unit/storage/recovery/house.h"

#include <criterion/criterion.h>

enum { DISK_BYTES = 1 << 30 };

static void do_write(struct house *house, void *arg) { house_write(house, *(uint32_t *)arg); }

static void do_image(struct house *house, void *arg)
{
	cr_assert_eq(store_image(house->cores[0].core, house->store), 0);
	house->model->images++;
}

static void do_flush(struct house *house, void *arg) { house_flush(house); }

Test(store, keeps_what_was_written)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	uint32_t n = 20;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		cr_assert(house_open(&house, disk, model, 2, seed), "%s", house.why);
		house_verify(&house);
		cr_assert(house_run(&house, do_write, &n));
		house_verify(&house);
		house_close(&house);
	}
	sim_disk_free(disk);
}

Test(store, goes_on_with_any_number_of_cores)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint32_t n = 1 + (uint32_t)chance(&model->random, 20);
		cr_assert(house_open(&house, disk, model, 1 + (uint16_t)chance(&model->random, 4), seed), "%s",
		          house.why);
		house_verify(&house);
		cr_assert(house_run(&house, do_write, &n));
		if (chance(&model->random, 4) == 0)
			cr_assert(house_run(&house, do_image, NULL));
		if (chance(&model->random, 8) == 0)
			cr_assert(house_run(&house, do_flush, NULL));
		cr_assert(house_run(&house, do_write, &n));
		house_close(&house);
	}
	sim_disk_free(disk);
}
