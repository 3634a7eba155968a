/* values.h -- what lies in the server, as the texts of the model. */
#pragma once

#include "tests/sim/history.h"

struct object;
struct sim_disk;

/* The value of a key, wherever it lies: what is not in memory is read from the disk, behind the server's back.
 * TEXT_NONE: there is no object; TEXT_LOST: what lies on the disk is not what was written. */
uint32_t value_text(struct texts *texts, const struct object *object, struct sim_disk *disk, const char *directory);
