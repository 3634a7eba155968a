/* The power fails at any moment, inside recovery and images too: what was acknowledged is there, and nothing by half.
 */
#include "tests/unit/storage/recovery/house.h"

#include "engine/core/fiber.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISK_BYTES = 1 << 30, LIVES = 150, ROUNDS = 6 };

static void live_on(struct house *house, void *arg)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		if (chance(&house->random, 3) == 0)
			house->model->images += store_image_start(house->cores[0].core, house->store);
		house_write(house, 1 + (uint32_t)chance(&house->random, 12));
		if (chance(&house->random, 12) == 0)
			house_flush(house);
	}
}

/* Whatever a crash leaves, it is nothing that `orbit check` takes for a fault. */
static bool is_sound(struct sim_disk *disk, uint64_t seed)
{
	struct buf text = {0};
	bool sound = sim_disk_size(disk, "data/superblock") < 0 || house_check(disk, "data", seed, &text);
	if (!sound)
		fprintf(stderr, "%s", text.ptr ? (const char *)text.ptr : "the power failed");
	buf_fini(&text);
	return sound;
}

/* In a process of its own. True: it went as it should. */
static bool live(struct sim_disk *disk, struct model *model, uint16_t n_cores, uint64_t seed)
{
	uint64_t random = seed;
	if (model->lives % 3 == 0 && !is_sound(disk, seed))
		return false;
	bool early = chance(&random, 3) == 0;
	if (early)
		sim_disk_crash_after(disk, 1 + chance(&random, chance(&random, 2) ? 300 : 6000));
	struct house house = {.options = {.image_log_bytes = seed % 2 ? 100 * 1024 : 0}};
	if (!house_open(&house, disk, model, n_cores, seed)) {
		bool crashed = sim_disk_has_crashed(disk), may_refuse = sim_disk_faults(disk)->write_fails > 0;
		model->crashes_in_open += crashed;
		if (!crashed && !may_refuse)
			fprintf(stderr, "life %lu: %s\n", (unsigned long)model->lives, house.why);
		return crashed || may_refuse;
	}
	house_verify(&house);
	if (!early)
		sim_disk_crash_after(disk, 1 + chance(&random, chance(&random, 2) ? 300 : 4000));
	if (!house_run(&house, live_on, NULL))
		return true;
	house_verify(&house);
	if (chance(&house.random, 2) == 0 && house_run(&house, house_shut, NULL))
		house_verify(&house);
	return true;
}

/* Now and then manifests or images cannot be written, or some writes to logs take so long that a whole
 * image may be made meanwhile. */
static void draw_faults(struct sim_disk *disk, uint64_t *random)
{
	struct sim_disk_faults faults = {.delay_ns = 300 * 1000};
	if (chance(random, 4) == 0) {
		faults.write_fails = 1 + (uint32_t)chance(random, 300);
		faults.sync_fails = faults.name_fails = (uint32_t)chance(random, 100);
		snprintf(faults.where, sizeof(faults.where), "%s", chance(random, 2) ? "manifest" : "image/");
	} else if (chance(random, 3) == 0) {
		faults.slow = (uint32_t)chance(random, 300);
		faults.slow_ns = 20 * 1000 * 1000;
		snprintf(faults.where, sizeof(faults.where), "log/");
	}
	sim_disk_set_faults(disk, &faults);
}

static void run_lives(uint64_t first, uint64_t n)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(first);
	bool *went_well = model_share(sizeof(bool));
	for (uint64_t i = 0; i < n; i++) {
		uint16_t cores = 1 + (uint16_t)chance(&model->random, HOUSE_CORES_MAX);
		uint64_t seed = chance(&model->random, UINT32_MAX);
		draw_faults(disk, &model->random);
		*went_well = false;
		model->lives++;
		pid_t child = fork();
		if (child == 0) {
			*went_well = live(disk, model, cores, seed);
			_exit(0);
		}
		waitpid(child, NULL, 0);
		cr_assert(*went_well, "life %lu of seed %lu, %u cores", (unsigned long)i, (unsigned long)first, cores);
		model->crashes += sim_disk_has_crashed(disk);
		if (chance(&model->random, 4) == 0 && !sim_disk_has_crashed(disk))
			sim_disk_kill(disk, chance(&model->random, UINT32_MAX));
		else
			sim_disk_crash(disk, chance(&model->random, UINT32_MAX));
	}
	printf("%lu lives: %lu crashes, %lu of them in recovery; %lu writes, %lu transactions, %lu images, %lu "
	       "flushes\n",
	       (unsigned long)model->lives, (unsigned long)model->crashes, (unsigned long)model->crashes_in_open,
	       (unsigned long)model->writes, (unsigned long)model->transactions, (unsigned long)model->images,
	       (unsigned long)model->flushes);
	sim_disk_free(disk);
}

Test(crash, loses_nothing_that_was_acknowledged)
{
	const char *seed = getenv("CRASH_SEED"), *lives = getenv("CRASH_LIVES");
	run_lives(seed ? strtoull(seed, NULL, 10) : 1, lives ? strtoull(lives, NULL, 10) : LIVES);
}
