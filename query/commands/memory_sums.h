/* memory_sums.h -- memory of all cores together, for MEMORY and INFO. */
#pragma once

#include <stdint.h>

struct core;

struct memory_sums {
	uint64_t total;   /* all that maxmemory counts */
	uint64_t objects; /* of it, keys and values */
	uint64_t tables;  /* of it, dictionaries */
	uint64_t freeing, freed; /* objects that wait to be freed, and that were after they had waited */
	uint64_t clients; /* buffers */
	uint64_t keys;    /* how many */
	uint64_t peak;    /* greatest total that was ever asked for */
	uint64_t resident;
};

struct memory_sums memory_sums_of(struct core *core); /* fiber code */

/* Resident memory for each byte that keys take; 0 without keys. */
double memory_fragmentation(const struct memory_sums *sums);
