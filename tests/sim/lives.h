/* lives.h -- one data directory through many lives of the server: the power fails, the process dies or all ends in
 * order, at a drawn moment; the next life must know everything that was acknowledged.
 *
 * What      After each start all keys are compared with what the life before told its clients: some order of its
 *           commands explains its answers and what is found, where those unanswered may be missing
 *           (check.h); the keeper's keys one by one (keeper.h). A start that dies is followed by another.
 *           What lies on the disk is what `orbit check` takes for sound.
 * Steered   Crashes fall at a number of events of the disk that is drawn from what former lives took, or a few events
 *           after something rare has begun: the start's manifest, images, a change of the manifest, the end.
 * Trouble   In seeds of their own the disk fails, or is full, or slow, in some lives: commands are refused or left in
 *           doubt, a start may be refused, but nothing acknowledged is lost. And where writes are lost or go astray,
 *           or bits change, the next start knows what was true, or refuses, and so does `orbit check`: this is
 *           tried on copies of the disk, in processes of their own.
 */
#pragma once

#include "engine/io/sim_disk.h"
#include "storage/tier/tier.h"
#include "tests/sim/config.h"
#include "tests/sim/run.h"
#include "tests/sim/world.h"

/* What happened in all seeds so far; for the last lines. */
struct tally {
	uint64_t lives, starts, stops, kills, checks;
	uint64_t crashes[MOMENTS];
	uint64_t commits; /* acknowledged commands that were compared with what a later life found */
	uint64_t too_hard;
	uint64_t refused; /* starts, for the disk had failed */
	/* Trials: what a lie or a changed bit led to. */
	uint64_t trials[TROUBLES], harmless[TROUBLES], detected[TROUBLES], by_check_alone[TROUBLES];
	struct sim_disk_counts disk;
	struct tier_counters tiers;
	uint64_t unadmitted; /* commands, for want of memory */
};

/* `trouble`: that in each seed; TROUBLES: as the seed says. */
struct outcome run_lives(uint64_t seed, enum disk_trouble trouble, enum play play, const struct command_index *index,
                         struct tally *tally, bool loud, FILE *to);
void tally_print(const struct tally *tally, FILE *to);
