/* Who has lent what. Few values are lent at a time, and only large ones, so the count lies in
 * a table beside and the object has one bit. */
#include "engine/memory/memory.h"
#include "storage/keyspace/keyspace_private.h"

static uint32_t loan_home(const struct loans *loans, const struct object *object)
{
	return (uint32_t)((uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u >> 32) & (loans->cap - 1);
}

/* Its place, or the free one where it would go. */
static struct loan_count *loan_find(const struct loans *loans, const struct object *object)
{
	uint32_t at = loan_home(loans, object);
	while (loans->table[at].object && loans->table[at].object != object)
		at = (at + 1) & (loans->cap - 1);
	return &loans->table[at];
}

static void loans_grow(struct loans *loans)
{
	struct loans larger = {.n = loans->n, .cap = loans->cap ? 2 * loans->cap : 16};
	larger.table = memory_zalloc(larger.cap * sizeof(*larger.table));
	for (uint32_t at = 0; at < loans->cap; at++)
		if (loans->table[at].object)
			*loan_find(&larger, loans->table[at].object) = loans->table[at];
	memory_free(loans->table);
	*loans = larger;
}

/* Those that were pushed past the place move back, so that no search ends early. */
static void loan_remove(struct loans *loans, struct loan_count *loan)
{
	uint32_t mask = loans->cap - 1, hole = (uint32_t)(loan - loans->table);
	for (uint32_t at = (hole + 1) & mask; loans->table[at].object; at = (at + 1) & mask) {
		uint32_t home = loan_home(loans, loans->table[at].object);
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		loans->table[hole] = loans->table[at];
		hole = at;
	}
	loans->table[hole] = (struct loan_count){0};
	loans->n--;
}

void object_lend(struct shard *shard, struct object *object)
{
	struct loans *loans = &shard->tables->loans;
	if (2 * (loans->n + 1) > loans->cap)
		loans_grow(loans);
	struct loan_count *loan = loan_find(loans, object);
	loans->n += loan->object == NULL;
	loan->object = object;
	loan->loans++;
	object->lent = 1;
	shard->counters.lent++;
}

void object_return(struct shard *shard, struct object *object)
{
	struct loans *loans = &shard->tables->loans;
	struct loan_count *loan = loan_find(loans, object);
	assert(loan->object == object);
	shard->counters.lent--;
	if (--loan->loans)
		return;
	bool orphan = loan->orphan;
	loan_remove(loans, loan);
	object->lent = 0;
	if (orphan)
		object_discard(shard, object);
}

bool loans_orphan(struct loans *loans, struct object *object)
{
	struct loan_count *loan = loan_find(loans, object);
	assert(loan->object == object);
	assert(!loan->orphan);
	return loan->orphan = true;
}
