/* Little memory, many lives: values leave and come back, files are cleaned and removed, the power fails at any moment,
 * and the number of cores changes. */
#include "tests/unit/storage/recovery/house.h"

#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "storage/tier/tier.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISK_BYTES = 1 << 30, LIVES = 120, ROUNDS = 8, MEMORY = 56 * 1024 };

static void count(struct house *house)
{
	for (uint16_t id = 0; id < house->n_cores; id++) {
		const struct tier_counters *counters = tier_counters(house->cores[id].core->shard->tier);
		house->model->demotions += counters->demotions + counters->dropped;
		house->model->cleaned_bytes += counters->cleaned_bytes;
		cr_assert_eq(counters->lost, 0);
	}
}

static void tend(struct core *there, void *arg) { tier_tend(there->shard->tier); }

/* As soon as it serves: values are read while their files are being opened to be cleaned. */
static void tend_all(struct house *house, void *arg) { fiber_call_all(house->cores[0].core, tend, NULL); }

static void live_on(struct house *house, void *arg)
{
	struct core *core = house->cores[0].core;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		if (chance(&house->random, 3) == 0)
			house->model->images += store_image_start(core, house->store);
		house_write(house, 1 + (uint32_t)chance(&house->random, 12));
		fiber_call_all(core, tend, NULL);
		if (chance(&house->random, 2) == 0)
			fiber_sleep(core, 5 * 1000 * 1000);
		if (chance(&house->random, 30) == 0)
			house_flush(house);
	}
}

static bool is_sound(struct sim_disk *disk, uint64_t seed)
{
	struct buf text = {0};
	bool sound = sim_disk_size(disk, "data/superblock") < 0 || house_check(disk, "data", seed, &text);
	if (!sound)
		fprintf(stderr, "%s", text.ptr ? (const char *)text.ptr : "the power failed");
	buf_fini(&text);
	return sound;
}

static bool live(struct sim_disk *disk, struct model *model, uint16_t n_cores, uint64_t seed)
{
	uint64_t random = seed;
	if (model->lives % 3 == 0 && !is_sound(disk, seed))
		return false;
	bool early = chance(&random, 4) == 0;
	if (early)
		sim_disk_crash_after(disk, 1 + chance(&random, chance(&random, 2) ? 300 : 6000));
	struct house house = {.options = {.image_log_bytes = seed % 2 ? 100 * 1024 : 0}, .memory_max = MEMORY};
	if (!house_open(&house, disk, model, n_cores, seed)) {
		model->crashes_in_open += sim_disk_has_crashed(disk);
		if (!sim_disk_has_crashed(disk))
			fprintf(stderr, "life %lu: %s\n", (unsigned long)model->lives, house.why);
		return sim_disk_has_crashed(disk);
	}
	if (!house_run(&house, tend_all, NULL))
		return true;
	house_verify(&house);
	if (!early)
		sim_disk_crash_after(disk, 1 + chance(&random, chance(&random, 2) ? 300 : 6000));
	bool lived = house_run(&house, live_on, NULL);
	count(&house);
	if (!lived)
		return true;
	house_verify(&house);
	if (chance(&house.random, 2) == 0)
		(void)house_run(&house, house_shut, NULL);
	return true;
}

static void run_lives(uint64_t first, uint64_t n)
{
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	struct model *model = model_new(first);
	bool *went_well = model_share(sizeof(bool));
	sim_disk_set_faults(disk, &(struct sim_disk_faults){.delay_ns = 300 * 1000});
	for (uint64_t i = 0; i < n; i++) {
		uint16_t cores = 1 + (uint16_t)chance(&model->random, 3);
		uint64_t seed = chance(&model->random, UINT32_MAX);
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
	       "flushes; "
	       "%lu values left, %lu came back, %lu bytes were moved\n",
	       (unsigned long)model->lives, (unsigned long)model->crashes, (unsigned long)model->crashes_in_open,
	       (unsigned long)model->writes, (unsigned long)model->transactions, (unsigned long)model->images,
	       (unsigned long)model->flushes, (unsigned long)model->demotions, (unsigned long)model->fetches,
	       (unsigned long)model->cleaned_bytes);
	cr_assert_gt(model->demotions, n);
	cr_assert_gt(model->fetches, n);
	cr_assert_gt(model->cleaned_bytes, n);
	sim_disk_free(disk);
}

Test(life, loses_nothing_that_was_acknowledged)
{
	const char *seed = getenv("CRASH_SEED"), *lives = getenv("CRASH_LIVES");
	run_lives(seed ? strtoull(seed, NULL, 10) : 1, lives ? strtoull(lives, NULL, 10) : LIVES);
}
