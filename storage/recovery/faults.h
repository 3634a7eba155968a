/* faults.h -- what is wrong with a data directory, for people.
 *
 * What      Whoever looks at a directory says each fault that it finds and goes on as far as that makes
 *           sense; whoever asked keeps the first, counts them, or prints them all.
 * Owner     One core.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults {
	void (*found)(struct faults *faults, const char *text); /* NULL: nobody wants to hear of each */
	uint32_t n;
	char first[768];
};

void fault(struct faults *faults, const char *format, ...) printf_like(2, 3);
