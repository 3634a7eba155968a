/* model_private.h -- for the files that say what commands mean. */
#pragma once

#include "tests/sim/items.h"
#include "tests/sim/model.h"

/* A command at work. */
struct doing {
	struct model *model;
	struct state *state;
	const struct operation *operation;
	const struct step *step;
	struct buf *out; /* the reply */
};

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

void answer(struct buf *out, const char *text);
void answer_integer(struct buf *out, int64_t value);
void answer_bulk(struct buf *out, struct slice bytes);
void answer_value(struct doing *d, uint32_t text);
void answer_null_array(struct buf *out, uint8_t resp);

uint32_t *place(struct doing *d, uint8_t db, uint8_t key);
uint32_t *first(struct doing *d);

/* The key has this value, and never expires; or has it and expires as it did. TEXT_NONE: it is gone. */
void put(struct doing *d, uint8_t db, uint8_t key, uint32_t text);
void put_edited(struct doing *d, uint8_t key, uint32_t text);
void put_items(struct doing *d, uint8_t key, enum value_type type, const struct items *items); /* of none: it is gone */
/* As put_edited(), but those who watch may hear of it or not. */
void put_quietly(struct doing *d, uint8_t key, uint32_t text);

/* What a step's two numbers say of so many; false: nothing lies there. */
bool step_range(const struct step *step, size_t count, size_t *from, size_t *n);

/* The step, which is one of its kind. */
void list_step(struct doing *d);
void collection_step(struct doing *d); /* sets, hashes, sorted sets */
void stream_step(struct doing *d);
