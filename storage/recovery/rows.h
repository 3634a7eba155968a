/* rows.h -- the system partition in memory: few rows, each a name and a value.
 *
 * Owner     Core 0.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"
#include "storage/recovery/store.h"

struct system_row {
	struct buf name, value;
};

struct system_rows {
	struct system_row *all; /* in the order in which they came */
	uint32_t n, room;
};

void rows_put(struct system_rows *rows, struct slice name, struct slice value);
void rows_delete(struct system_rows *rows, struct slice name);
bool rows_find(const struct system_rows *rows, struct slice name, struct slice *value) must_check;
void rows_fini(struct system_rows *rows);

/* The row `keyspaces`: of_db 16 x 4 | next_id 4. */
#define ROW_KEYSPACES S("keyspaces")
enum { KEYSPACES_SIZE = 17 * 4 };
void keyspaces_encode(const struct keyspace_names *names, uint8_t out[KEYSPACES_SIZE]);

/* False: malformed, an id twice, or one that next_id does not lie behind. */
bool keyspaces_decode(struct slice value, struct keyspace_names *out) must_check;

/* What a fresh directory has. */
struct keyspace_names keyspaces_initial(void);

/* Does no name stand for this keyspace any more? Ids are never used again. */
bool keyspace_is_dead(const struct keyspace_names *names, uint32_t id);
