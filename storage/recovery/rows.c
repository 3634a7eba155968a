#include "storage/recovery/rows.h"

#include "engine/memory/memory.h"
#include "kernels/bytes.h"

/* ---- rows ---------------------------------------------------------------------------------- */

static struct system_row *row_of(const struct system_rows *rows, struct slice name)
{
	for (uint32_t i = 0; i < rows->n; i++)
		if (slice_equal(buf_slice(&rows->all[i].name), name))
			return &rows->all[i];
	return NULL;
}

static struct system_row *row_new(struct system_rows *rows, struct slice name)
{
	if (rows->n == rows->room) {
		rows->room = rows->room ? rows->room * 2 : 8;
		rows->all = memory_resize(rows->all, rows->room * sizeof(*rows->all));
	}
	struct system_row *row = &rows->all[rows->n++];
	*row = (struct system_row){0};
	buf_append(&row->name, name);
	return row;
}

void rows_put(struct system_rows *rows, struct slice name, struct slice value)
{
	struct system_row *row = row_of(rows, name);
	if (!row)
		row = row_new(rows, name);
	row->value.len = 0;
	buf_append(&row->value, value);
}

static void row_fini(struct system_row *row)
{
	buf_fini(&row->name);
	buf_fini(&row->value);
}

void rows_delete(struct system_rows *rows, struct slice name)
{
	struct system_row *row = row_of(rows, name);
	if (!row)
		return;
	row_fini(row);
	rows->n--;
	memmove(row, row + 1, (size_t)(rows->all + rows->n - row) * sizeof(*row));
}

bool rows_find(const struct system_rows *rows, struct slice name, struct slice *value)
{
	const struct system_row *row = row_of(rows, name);
	if (!row)
		return false;
	*value = buf_slice(&row->value);
	return true;
}

void rows_fini(struct system_rows *rows)
{
	for (uint32_t i = 0; i < rows->n; i++)
		row_fini(&rows->all[i]);
	memory_free(rows->all);
	*rows = (struct system_rows){0};
}

/* ---- names of keyspaces -------------------------------------------------------------------- */

enum { DATABASES = array_len(((struct keyspace_names *)0)->of_db) };
static_assert(KEYSPACES_SIZE == (DATABASES + 1) * 4, "the row's size");

void keyspaces_encode(const struct keyspace_names *names, uint8_t out[KEYSPACES_SIZE])
{
	memcpy(out, names->of_db, sizeof(names->of_db));
	memcpy(out + sizeof(names->of_db), &names->next_id, sizeof(names->next_id));
}

bool keyspaces_decode(struct slice value, struct keyspace_names *out)
{
	struct keyspace_names names;
	if (value.len != KEYSPACES_SIZE)
		return false;
	memcpy(names.of_db, value.ptr, sizeof(names.of_db));
	names.next_id = load_u32(value.ptr + sizeof(names.of_db));
	for (uint32_t db = 0; db < DATABASES; db++) {
		if (names.of_db[db] >= names.next_id)
			return false;
		for (uint32_t other = 0; other < db; other++)
			if (names.of_db[other] == names.of_db[db])
				return false;
	}
	*out = names;
	return true;
}

struct keyspace_names keyspaces_initial(void)
{
	struct keyspace_names names = {.next_id = DATABASES};
	for (uint32_t db = 0; db < DATABASES; db++)
		names.of_db[db] = db;
	return names;
}

bool keyspace_is_dead(const struct keyspace_names *names, uint32_t id)
{
	if (id >= names->next_id)
		return false;
	for (uint32_t db = 0; db < DATABASES; db++)
		if (names->of_db[db] == id)
			return false;
	return true;
}
