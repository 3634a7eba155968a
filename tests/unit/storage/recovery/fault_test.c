/* A disk that fails in the middle: what was acknowledged stays, and nothing is given up too early. */
#include "tests/unit/storage/recovery/house.h"

#include "engine/core/fiber.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISK_BYTES = 1 << 30 };

static void do_write(struct house *house, void *arg) { house_write(house, *(uint32_t *)arg); }

static void do_image(struct house *house, void *arg) { *(int *)arg = store_image(house->cores[0].core, house->store); }

static void fail_in(struct sim_disk *disk, const char *where)
{
	struct sim_disk_faults faults = {.delay_ns = 100 * 1000, .write_fails = 1000, .sync_fails = 1000};
	snprintf(faults.where, sizeof(faults.where), "%s", where);
	sim_disk_set_faults(disk, &faults);
}

static void heal(struct sim_disk *disk)
{
	sim_disk_set_faults(disk, &(struct sim_disk_faults){.delay_ns = 100 * 1000});
}

static int image_of(struct house *house)
{
	int result;
	must(house_run(house, do_image, &result));
	return result;
}

static struct store_facts facts_of(struct house *house)
{
	struct store_facts facts;
	store_facts(house->store, &facts);
	return facts;
}

/* Images that cannot be written leave everything as it was; later ones can. */
static void images_fail(const char *where)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	struct house house = {0};
	uint32_t n = 30;
	cr_assert(house_open(&house, disk, model, 2, 1), "%s", house.why);
	cr_assert(house_run(&house, do_write, &n));
	cr_assert_eq(image_of(&house), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert(house_run(&house, do_write, &n));
		fail_in(disk, where);
		cr_assert_eq(image_of(&house), -EIO);
		cr_assert(facts_of(&house).image_failed);
		heal(disk);
		cr_assert(house_run(&house, do_write, &n));
		if (i == 2)
			cr_assert_eq(image_of(&house), 0);
		house_close(&house);
		cr_assert(house_open(&house, disk, model, 2 + i % 2, 1), "%s", house.why);
		house_verify(&house);
	}
	cr_assert_eq(image_of(&house), 0);
	cr_assert_not(facts_of(&house).image_failed);
	house_close(&house);
	cr_assert(house_open(&house, disk, model, 1, 1), "%s", house.why);
	house_verify(&house);
	house_close(&house);
	sim_disk_free(disk);
}

Test(fault, images_that_cannot_be_written) { images_fail("image/"); }
Test(fault, manifests_that_cannot_be_written) { images_fail("manifest"); }

/* In a process of its own: clients whose transactions are in doubt leave locks behind. */
static void in_child(void (*live)(struct sim_disk *disk, struct model *model), struct sim_disk *disk,
                     struct model *model)
{
	uint64_t lives = model->lives;
	pid_t child = fork();
	if (child == 0) {
		live(disk, model);
		model->lives++;
		_exit(0);
	}
	waitpid(child, NULL, 0);
	cr_assert_eq(model->lives, lives + 1);
}

static void live_with_failing_logs(struct sim_disk *disk, struct model *model)
{
	struct house house = {0};
	uint32_t n = 30;
	must(house_open(&house, disk, model, 3, 7 + model->lives), "%s", house.why);
	house_verify(&house);
	must(house_run(&house, do_write, &n));
	fail_in(disk, "log/");
	must(house_run(&house, do_write, &n));
	must(house.clients_stopped > 0);
	must(house_run(&house, house_shut, NULL));
}

static void live_on(struct sim_disk *disk, struct model *model)
{
	struct house house = {0};
	must(house_open(&house, disk, model, 2, 7), "%s", house.why);
	house_verify(&house);
	house_close(&house);
}

Test(fault, logs_that_cannot_be_written)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	for (int i = 0; i < 10; i++) {
		in_child(live_with_failing_logs, disk, model);
		sim_disk_kill(disk, (uint64_t)i);
		heal(disk);
		in_child(live_on, disk, model);
	}
	sim_disk_free(disk);
}

/* One log fails while others go on; an image must not wait for what will never be. */
static void live_with_one_failing_log(struct sim_disk *disk, struct model *model)
{
	struct house house = {0};
	uint32_t n = 20;
	must(house_open(&house, disk, model, 3, 7 + model->lives), "%s", house.why);
	house_verify(&house);
	must(house_run(&house, do_write, &n));
	log_stop(journal_log(house.cores[1 + model->lives % 2].core->shard->journal));
	must(house_run(&house, do_write, &n));
	must(image_of(&house) < 0);
	must(house_run(&house, house_shut, NULL));
}

Test(fault, one_log_of_several)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(1);
	for (int i = 0; i < 10; i++) {
		in_child(live_with_one_failing_log, disk, model);
		sim_disk_kill(disk, (uint64_t)i);
		in_child(live_on, disk, model);
	}
	sim_disk_free(disk);
}
